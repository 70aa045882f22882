//! What one operator can do to a host that is used by others too: rules that burn, wait, fail and hoard, set again and
//! again, and components that are much work to compile.
//!
//! It must not know how the host bears it. Invariant: none of its rules ever suppresses an alert, so whatever becomes of
//! an alert becomes of it for other reasons.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use weir_proto::v1::{RuleScope, SetRuleRequest};

use crate::client::Client;

/// The guest that does what its parameters say.
const HOSTILE: &str = env!("WEIR_GUEST_HOSTILE");

/// Whose rules they are.
pub const OPERATOR: u32 = 12;

/// Its rules, as many as an operator may have: name and parameters. The first two keep within the fuel that an operator
/// has; the others fail.
const RULES: [(&str, &str); 8] = [
    ("12-burn", r#"{"do": "burn", "rounds": "150"}"#),
    ("12-chase", r#"{"do": "chase", "rounds": "50"}"#),
    ("12-loop", r#"{"do": "loop"}"#),
    ("12-memory", r#"{"do": "memory"}"#),
    ("12-trap", r#"{"do": "trap"}"#),
    ("12-stack", r#"{"do": "stack"}"#),
    ("12-error", r#"{"do": "error"}"#),
    ("12-state", r#"{"do": "state"}"#),
];

/// How often every rule is set again, which ends its quarantine.
const AGAIN_EVERY: Duration = Duration::from_secs(5);

/// An attack under way. It ends when this is dropped.
#[derive(Debug)]
pub struct Attack(Vec<JoinHandle<Result<()>>>);

/// What an attack consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Its rules judge; they are set once.
    Rules,
    /// They are set again and again, too.
    Changes,
    /// Components that are much work to compile.
    Uploads,
    /// All of that.
    All,
}

impl Attack {
    /// Uploads the guest, sets its rules and goes on.
    pub async fn begin(client: &Client, kind: Kind) -> Result<Self> {
        let mut tasks = Vec::new();
        if kind != Kind::Uploads {
            let guest = std::fs::read(HOSTILE).with_context(|| format!("cannot read {HOSTILE}"))?;
            client.upload(&guest).await.context("the hostile guest was refused")?;
            set_rules(client).await?;
        }
        if matches!(kind, Kind::Changes | Kind::All) {
            tasks.push(tokio::spawn(change_rules(client.clone())));
        }
        if matches!(kind, Kind::Uploads | Kind::All) {
            tasks.push(tokio::spawn(upload(client.clone(), bomb()?)));
        }
        Ok(Self(tasks))
    }

    /// Ends it. An error says that it had ended before.
    pub async fn end(self) -> Result<()> {
        for task in self.0 {
            if task.is_finished() {
                task.await.context("an attack panicked")?.context("an attack ended early")?;
            } else {
                task.abort();
            }
        }
        Ok(())
    }
}

async fn change_rules(client: Client) -> Result<()> {
    loop {
        tokio::time::sleep(AGAIN_EVERY).await;
        set_rules(&client).await?;
    }
}

async fn upload(client: Client, bomb: Vec<u8>) -> Result<()> {
    let begun = Instant::now();
    for number in 0.. {
        // What comes of it is the host's affair: it may be refused, or told to wait.
        let _ = client.upload(&another(&bomb, number)).await;
        let early = Duration::from_secs(number + 1).saturating_sub(begun.elapsed());
        tokio::time::sleep(early).await;
    }
    Ok(())
}

async fn set_rules(client: &Client) -> Result<()> {
    for (place, (name, parameters)) in RULES.into_iter().enumerate() {
        let request = SetRuleRequest {
            name: name.to_owned(),
            plugin: "hostile".to_owned(),
            parameters: parameters.to_owned(),
            scope: Some(RuleScope { operators: vec![OPERATOR], ..RuleScope::default() }),
            // After the others, whose verdicts it would otherwise see changed.
            position: 1_000 + place as u32,
            ..SetRuleRequest::default()
        };
        client.set_rule(request).await?;
    }
    Ok(())
}

/// The same component with a number in a section that nobody reads: its digest is another, so it is compiled again.
pub(crate) fn another(component: &[u8], number: u64) -> Vec<u8> {
    const CUSTOM_SECTION: u8 = 0;
    let name = b"number";
    let mut bytes = component.to_vec();
    bytes.extend([CUSTOM_SECTION, (1 + name.len() + 8) as u8, name.len() as u8]);
    bytes.extend(name);
    bytes.extend(number.to_le_bytes());
    bytes
}

/// A valid module, in a component, of one function with very many values alive at once.
pub(crate) fn bomb() -> Result<Vec<u8>> {
    const VALUES: u64 = 100_000;
    const LOCALS: u64 = 500;
    let mut body = String::new();
    for at in 0..VALUES {
        let (to, a, b) = (at % LOCALS, at * 7 % LOCALS, at * 13 % LOCALS);
        write!(body, "(local.set {to} (i64.add (local.get {a}) (i64.mul (local.get {b}) (i64.const {at}))))")?;
    }
    let locals = "i64 ".repeat(LOCALS as usize);
    let text = format!(
        "(component (core module (func (export \"f\") (local {locals}) (loop {body} (br_if 0 (i64.eqz (local.get 7)))))))"
    );
    Ok(wat::parse_str(text)?)
}
