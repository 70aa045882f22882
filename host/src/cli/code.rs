//! `weir code`: the table of alert codes.

use std::collections::BTreeSet;

use weir_proto::v1;

use super::{
    Failure, Session, arguments,
    names::{self, NameFiles},
    session::link,
    view::{
        clean,
        code::{self, Code, Codes},
    },
};
use crate::{
    config::Config,
    domain::AlertCode,
    intake::tables::{CodeTable, sources},
    near::{did_you_mean, nearest},
};

/// Characters of a name of a table that are shown.
const NAME_CHARS_MAX: usize = 40;
/// Characters of a path that are shown.
const PATH_CHARS_MAX: usize = 200;

/// What a file of codes has in it.
const FILE_HELP: &str = "\
Examples:
  weir code list --family voltage
  weir code show 8F40
  weir code show AD1 --json

An operator's own table is a CSV file: the setting code_table of a host, or --code-table (WEIR_CODE_TABLE) for the names
that one's own commands show. It corrects any row and adds others; E000 to EFFF are free for events of one's own.
Columns: code, and any of name, family, owner, critical (yes or no), unit (dv, thousandths, or one like s), pair, edge
(raise or clear), min, max, source, note, description. An empty cell leaves what there is, - removes it. A description
is a text that stands for the code in alerts of SMETS1 meters that carry none; a code may have several rows.
Alerts keep the table that they were logged under: a correction counts from the host's next start on.";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List codes: what each means, who gets it, whether it is critical and protected, its unit and its pair.
    #[command(after_help = FILE_HELP)]
    List(ListArgs),
    /// Show all about codes.
    #[command(after_help = FILE_HELP)]
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only codes of this family, like voltage, supply or tamper.
    #[arg(long, value_name = "NAME")]
    family: Option<String>,
    /// Only codes that this party gets: network-operator, supplier, supplier-and-network-operator, other or unknown.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Only codes that no rule can hold back.
    #[arg(long)]
    protected: bool,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The codes: 4 hex digits each, or like N24.
    #[arg(required = true, value_name = "CODE", value_parser = arguments::code)]
    codes: Vec<AlertCode>,
    #[command(flatten)]
    which: Which,
}

/// Which table.
#[derive(Debug, clap::Args)]
struct Which {
    /// The table that alerts at this log position were logged under.
    #[arg(long, value_name = "POSITION")]
    at: Option<u64>,
    /// The table of this program, with --code-table over it, and the codes that are protected by default: no host is asked.
    #[arg(long, conflicts_with = "at")]
    local: bool,
    #[command(flatten)]
    names: NameFiles,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(args) => {
            let ListArgs { family, owner, protected, which } = args;
            let Codes { mut codes, .. } = ask(session, Vec::new(), &which).await?;
            let owner = owner.map(|owner| if owner == "unknown" { String::new() } else { owner });
            if let Some(family) = &family {
                known("--family", family, codes.iter().map(|code| code.family.as_str()))?;
            }
            if let Some(owner) = owner.as_ref().filter(|owner| !owner.is_empty()) {
                known("--owner", owner, codes.iter().map(|code| code.owner.as_str()))?;
            }
            codes.retain(|code| {
                family.as_ref().is_none_or(|family| code.family == *family)
                    && owner.as_ref().is_none_or(|owner| code.owner == *owner)
                    && (!protected || code.is_protected)
            });
            session.list(&codes, code::table)
        }
        Command::Show(args) => {
            let ShowArgs { codes, which } = args;
            let found = ask(session, codes, &which).await?;
            if session.json {
                return session.list(&found.codes, code::table);
            }
            found.codes.iter().try_for_each(|row| session.show(row, |row| code::facts(row, &found)))
        }
    }
}

/// Rejects a name that no code of the table has, and lists those that some have.
fn known<'a>(option: &str, name: &str, all: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let all: BTreeSet<&str> = all.filter(|known| !known.is_empty()).collect();
    if all.contains(name) {
        return Ok(());
    }
    let near = did_you_mean(nearest(name, all.iter().copied()));
    let listed: Vec<String> = all.iter().map(|known| clean(known, NAME_CHARS_MAX)).collect();
    let message = format!("{option}: no code of the table has {name:?}{near}");
    Err(Failure::usage(message).with_hint(format!("there are {}", listed.join(", "))))
}

async fn ask(session: &Session, codes: Vec<AlertCode>, which: &Which) -> Result<Codes, Failure> {
    if which.local {
        return local(codes, &which.names);
    }
    if let Some(path) = which.names.code_table() {
        let path = clean(&path.display().to_string(), PATH_CHARS_MAX);
        eprintln!(
            "note: --code-table {path}: not read, this is the host's table; --local shows what the file makes of it"
        );
    }
    let link = link(session.connect().await?);
    let answer = names::list(link, arguments::codes(&codes), which.at).await;
    Ok(Codes::from(answer.map_err(|status| session.failed(&status).of_option("position", "--at"))?))
}

/// The same of the tables of this program and of files.
fn local(mut codes: Vec<AlertCode>, files: &NameFiles) -> Result<Codes, Failure> {
    let table = files.read()?.codes;
    let protected = Config::default().protected_codes().map_err(|error| Failure::internal(error.to_string()))?;
    if codes.is_empty() {
        codes = table.rows().map(|(code, _)| code).collect();
    }
    codes.sort_unstable();
    codes.dedup();
    let rows = codes.into_iter().map(|code| Code::of(&table, code, protected.contains(&code)));
    let sources = sources().into_iter().map(|source| (source.name, source.what)).collect();
    let builtin_version = CodeTable::builtin_version();
    Ok(Codes { codes: rows.collect(), since_position: 0, until_position: None, builtin_version, sources })
}

impl From<v1::ListCodesResponse> for Codes {
    fn from(message: v1::ListCodesResponse) -> Self {
        let v1::ListCodesResponse { codes, since_position, until_position, builtin_version, sources } = message;
        Self {
            codes: codes.into_iter().map(Code::from).collect(),
            since_position,
            until_position,
            builtin_version,
            sources: sources.into_iter().map(|source| (source.name, source.what)).collect(),
        }
    }
}
