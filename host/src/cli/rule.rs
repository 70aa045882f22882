//! `weir rule`: set, list, try, remove and release rules, see what they were and go back to it.
//!
//! It must not know what parameters mean: the plugin checks them.

use std::path::Path;

use clap::ValueEnum;
use weir_proto::v1::{self, rule_service_client::RuleServiceClient};

use super::{
    Failure, Session,
    arguments::{NameFiles, Names, Only, time},
    doubt, input,
    session::{Connection, MESSAGE_BYTES_MAX, link},
    view::rule::{self, Removal, Rule, RuleRevision},
};
use crate::domain::Millis;

mod muting;
pub(crate) mod pairs;
mod trial;

/// Bytes of parameters that are worth sending; the server's own limit is lower.
const PARAMETERS_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Set a rule: a new one, or a new revision of the one with that name, whole.
    ///
    /// It judges from the next alert on. Nothing changes unless the plugin accepts the parameters. What it sees is
    /// narrowed by --operator, --generation, --code and --model: each that is given must have an entry that fits.
    #[command(after_help = SET_EXAMPLES)]
    Set(SetArgs),
    /// List the rules in the order they judge.
    #[command(after_help = "Examples:\n  weir rule list\n  weir rule list --muting")]
    List {
        /// Only rules that hold alerts back now: what they see, until when, who set them, why, and what they held back in the
        /// last 24 hours.
        #[arg(long)]
        muting: bool,
        #[command(flatten)]
        names: NameFiles,
    },
    /// Remove a rule. Its revisions stay for the log.
    #[command(after_help = "Example:\n  weir rule remove high-volts")]
    Remove {
        /// Name of the rule.
        name: String,
        #[command(flatten)]
        why: Why,
    },
    /// List what a rule was and is, newest first: who changed it, when and why.
    #[command(after_help = "Example:\n  weir rule history high-volts")]
    History {
        /// Name of the rule; one that was removed has a history too.
        name: String,
        /// At most so many changes.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
    },
    /// Set a rule again as it was in one of its revisions.
    ///
    /// It is a new revision, from the next alert on. The rule goes on with the state it has, where that still means the
    /// same to the plugin of that revision.
    #[command(after_help = "Example:\n  weir rule restore high-volts --revision 3 --why 'too much was held back'")]
    Restore {
        /// Name of the rule.
        name: String,
        /// The revision, as `weir rule history` lists it.
        #[arg(long, value_name = "N")]
        revision: u32,
        #[command(flatten)]
        why: Why,
    },
    /// Compare what a shadow rule says with what really became of the alerts.
    #[command(after_help = trial::COMPARE_EXAMPLES)]
    Compare(trial::CompareArgs),
    /// Make a shadow rule active, under a guard.
    ///
    /// For as long as --window says, the host watches what the rule suppresses, and sets it back to what it was before
    /// where that is too much. An alert with a protected code that the rule would suppress always sets it back.
    #[command(after_help = trial::PROMOTE_EXAMPLES)]
    Promote(trial::PromoteArgs),
    /// Let a rule judge again that the host quarantined or set aside.
    ///
    /// A quarantined rule is tried again by the host itself in time; this ends its quarantine now.
    #[command(after_help = "Example:\n  weir rule release high-volts --why 'its plugin was not to blame'")]
    Release {
        /// Name of the rule.
        name: String,
        #[command(flatten)]
        why: Why,
    },
}

const SET_EXAMPLES: &str = "Examples:
  weir rule set high-volts --plugin threshold --parameters '{\"below_dv\":2580}' --code 8F40 --generation smets1
  weir rule set storm --plugin storm --parameters @storm.json --operator 12,19 --position 20
  weir rule set storm --plugin storm --parameters @storm.json --mode off --why 'it hides outages'
  weir rule set works --plugin match --parameters '{\"codes\":[\"8F40\"]}' --model 'Alder 3' --until 2026-12-01 --why 'works'
  weir rule set next --plugin threshold --parameters '{\"below_dv\":2530}' --mode shadow --position 5
  weir rule set voltage --from-whatif 7 --set below_dv=2580 --mode shadow";

#[derive(Debug, clap::Args)]
pub(super) struct SetArgs {
    /// Name: 1 to 64 lower-case letters, digits and hyphens.
    name: String,
    /// A plugin's digest, the first 8 digits of it or more, or its name (the newest upload of that name).
    #[arg(long, value_name = "DIGEST|NAME", required_unless_present = "from_whatif")]
    plugin: Option<String>,
    /// Parameters as a JSON object, or @FILE to read them from.
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    parameters: String,
    /// Set it as the candidate of this question was: plugin, parameters, scope and place.
    #[arg(
        long,
        value_name = "ID",
        conflicts_with_all = ["plugin", "parameters", "operator", "generation", "code", "model", "position"]
    )]
    from_whatif: Option<u64>,
    /// Of a question with several variants, the one with this label.
    #[arg(long, value_name = "LABEL", requires = "from_whatif")]
    set: Option<String>,
    #[command(flatten)]
    only: Only,
    /// Only these device model combinations.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    model: Vec<String>,
    /// Whether it judges.
    #[arg(long, default_value = "active")]
    mode: Mode,
    /// When it ends, by the host's clock: a time like 2026-11-23T09:00:00Z, or a day (UTC). It is off from the first alerts on
    /// that are judged then.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Millis>,
    /// Place in the chain: lower ones judge first. Where it is, or after the last, if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    position: Option<u32>,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    names: NameFiles,
}

#[derive(Debug, clap::Args)]
pub(super) struct Why {
    /// Why, for the rule's history.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    why: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// It judges.
    Active,
    /// It is shown what it would see in its place, and keeps its state, but suppresses nothing.
    Shadow,
    /// It rests; its state is kept.
    Off,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Set(args) => set(session, args).await,
        Command::List { muting: false, .. } => list(session).await,
        Command::List { muting: true, names } => muting::list(session, &names).await,
        Command::Remove { name, why } => remove(session, name, why.why).await,
        Command::History { name, limit } => history(session, name, limit).await,
        Command::Restore { name, revision, why } => restore(session, name, revision, why.why).await,
        Command::Compare(args) => trial::compare(session, args).await,
        Command::Promote(args) => trial::promote(session, args).await,
        Command::Release { name, why } => release(session, name, why.why).await,
    }
}

async fn set(session: &Session, args: SetArgs) -> Result<(), Failure> {
    let tried = match args.from_whatif {
        Some(id) => Some(tried(session, id, args.set.as_deref()).await?),
        None => None,
    };
    let names = args.names.of_host(session).await?;
    let mut request = request(args)?;
    if let Some((what_if, variant)) = tried {
        request.plugin = variant.plugin_digest;
        request.parameters = variant.parameters;
        request.scope = what_if.scope;
        request.position = what_if.position;
    }
    let scope = request.scope.as_ref().map_or(&[][..], |scope| &scope.codes);
    doubt::say(&request.parameters, scope, &names.codes);
    let held = pairs::half_held(&request.parameters, scope, &names.codes);
    for words in pairs_said(session, &held, &names).await? {
        eprintln!("note: {words}");
    }
    let answer = client(session).await?.set_rule(request).await;
    let v1::SetRuleResponse { rule } = answer.map_err(|status| session.failed(&status))?.into_inner();
    show(session, rule)
}

/// What there is to say of pairs of which one code alone is held back.
async fn pairs_said(session: &Session, half: &[pairs::HalfHeld], names: &Names) -> Result<Vec<String>, Failure> {
    if half.is_empty() {
        return Ok(Vec::new());
    }
    let link = link(session.connect().await?);
    pairs::with_counts(link, half, names).await.map_err(|status| session.failed(&status))
}

/// The variant of a question that a rule is to be set as.
async fn tried(session: &Session, id: u64, label: Option<&str>) -> Result<(v1::WhatIf, v1::WhatIfTried), Failure> {
    let (mut what_if, _) = super::whatif::get(session, id).await?;
    let wanted = |variant: &v1::WhatIfTried| label.is_none_or(|label| variant.label == label);
    let (mut found, others): (Vec<_>, Vec<_>) = std::mem::take(&mut what_if.variants).into_iter().partition(wanted);
    match (found.pop(), found.pop()) {
        (Some(one), None) => Ok((what_if, one)),
        (one, another) => {
            let all = one.into_iter().chain(another).chain(found).chain(others);
            let mut labels: Vec<String> = all.map(|variant| variant.label).collect();
            labels.sort_unstable();
            let message = format!("--set: name one of what question {id} tried: {}", labels.join(", "));
            Err(Failure::usage(message))
        }
    }
}

fn show(session: &Session, rule: Option<v1::Rule>) -> Result<(), Failure> {
    let rule = rule.ok_or_else(|| Failure::internal("rule: missing in the server's answer"))?;
    session.show(&Rule::from(rule), rule::facts)
}

fn request(args: SetArgs) -> Result<v1::SetRuleRequest, Failure> {
    let SetArgs { name, plugin, parameters, only, model, mode, until, position, why, .. } = args;
    let mode = match mode {
        Mode::Active => v1::RuleMode::Active,
        Mode::Shadow => v1::RuleMode::Shadow,
        Mode::Off => v1::RuleMode::Off,
    };
    Ok(v1::SetRuleRequest {
        name,
        plugin: plugin.unwrap_or_default(),
        parameters: read_parameters(parameters)?,
        scope: Some(only.scope(model)),
        mode: mode.into(),
        position: position.unwrap_or(0),
        why: why.why,
        until_ms: until.unwrap_or(0),
    })
}

/// Parameters as they are sent: the text as given, once it is known to be a JSON object.
pub(super) fn read_parameters(argument: String) -> Result<String, Failure> {
    let text = match argument.strip_prefix('@') {
        Some(path) => String::from_utf8(input::read_whole(Path::new(path), PARAMETERS_BYTES_MAX)?)
            .map_err(|_| Failure::usage(format!("parameters: {path} is not UTF-8")))?,
        None => argument,
    };
    match serde_json::from_str::<serde_json::Value>(&text) {
        // A file ends with a line feed, which would be kept with every revision.
        Ok(serde_json::Value::Object(_)) => Ok(text.trim().to_owned()),
        Ok(_) => Err(Failure::usage("parameters: expected a JSON object, like {\"below_dv\":2580}")),
        Err(error) => Err(Failure::usage(format!("parameters: not JSON: {error}"))
            .with_hint("quote it for the shell, '{\"below_dv\":2580}', or put it into a file and give @FILE")),
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    session.list(&standing(session).await?, rule::table)
}

/// Every rule, page by page.
pub(super) async fn standing(session: &Session) -> Result<Vec<Rule>, Failure> {
    let mut client = client(session).await?;
    let (mut rules, mut page_token) = (Vec::new(), String::new());
    loop {
        let answer = client.list_rules(v1::ListRulesRequest { page_size: 0, page_token }).await;
        let page = answer.map_err(|status| session.failed(&status))?.into_inner();
        rules.extend(page.rules.into_iter().map(Rule::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(rules);
        }
    }
}

async fn history(session: &Session, name: String, limit: u32) -> Result<(), Failure> {
    let mut client = client(session).await?;
    let (mut rows, mut page_token): (Vec<RuleRevision>, String) = (Vec::new(), String::new());
    loop {
        // A page may be cut before it is full: what large parameters do not fit is on the next.
        let page_size = limit - u32::try_from(rows.len()).unwrap_or(limit);
        let request = v1::ListRuleRevisionsRequest { name: name.clone(), page_size, page_token };
        let answer = client.list_rule_revisions(request).await;
        let page = answer.map_err(|status| session.failed(&status))?.into_inner();
        rows.extend(page.revisions.into_iter().map(RuleRevision::from));
        page_token = page.next_page_token;
        if page_token.is_empty() || rows.len() >= limit as usize {
            return session.list(&rows, rule::history);
        }
    }
}

async fn restore(session: &Session, name: String, revision: u32, why: String) -> Result<(), Failure> {
    let answer = client(session).await?.restore_rule(v1::RestoreRuleRequest { name, revision, why }).await;
    let v1::RestoreRuleResponse { rule } = answer.map_err(|status| session.failed(&status))?.into_inner();
    show(session, rule)
}

async fn release(session: &Session, name: String, why: String) -> Result<(), Failure> {
    let answer = client(session).await?.release_rule(v1::ReleaseRuleRequest { name, why }).await;
    let v1::ReleaseRuleResponse { rule } = answer.map_err(|status| session.failed(&status))?.into_inner();
    show(session, rule)
}

async fn remove(session: &Session, name: String, why: String) -> Result<(), Failure> {
    let answer = client(session).await?.remove_rule(v1::RemoveRuleRequest { name: name.clone(), why }).await;
    let v1::RemoveRuleResponse { revision } = answer.map_err(|status| session.failed(&status))?.into_inner();
    session.show(&Removal { name, revision }, rule::removal_facts)
}

async fn client(session: &Session) -> Result<RuleServiceClient<Connection>, Failure> {
    Ok(RuleServiceClient::new(session.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_a_json_object_given_or_in_a_file() {
        let read = |text: &str| read_parameters(text.to_owned()).map_err(|failure| failure.message);
        assert_eq!(read("{\"below_dv\": 2580}\n"), Ok("{\"below_dv\": 2580}".to_owned()));
        assert_eq!(read("[1]"), Err("parameters: expected a JSON object, like {\"below_dv\":2580}".to_owned()));
        assert!(read("{below_dv:2580}").unwrap_err().starts_with("parameters: not JSON: "));
        assert!(read("@/nowhere/at-all.json").unwrap_err().starts_with("/nowhere/at-all.json: "));
    }
}
