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

impl Attack {
    /// Uploads the guest, sets its rules and goes on.
    pub async fn begin(client: &Client) -> Result<Self> {
        let guest = std::fs::read(HOSTILE).with_context(|| format!("cannot read {HOSTILE}"))?;
        client.upload(&guest).await.context("the hostile guest was refused")?;
        set_rules(client).await?;
        let (rules, bombs) = (client.clone(), client.clone());
        Ok(Self(vec![
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(AGAIN_EVERY).await;
                    set_rules(&rules).await?;
                }
            }),
            tokio::spawn(async move {
                let begun = Instant::now();
                for number in 0.. {
                    // What comes of it is the host's affair: it may be refused, or told to wait.
                    let _ = bombs.upload(&bomb(number)?).await;
                    let early = Duration::from_secs(number + 1).saturating_sub(begun.elapsed());
                    tokio::time::sleep(early).await;
                }
                Ok(())
            }),
        ]))
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

/// A valid module, in a component, of one function with very many values alive at once; each number makes another.
fn bomb(number: u64) -> Result<Vec<u8>> {
    const VALUES: u64 = 100_000;
    const LOCALS: u64 = 500;
    let mut body = String::new();
    for at in 0..VALUES {
        let (to, a, b) = (at % LOCALS, at * 7 % LOCALS, at * 13 % LOCALS);
        let factor = at + number;
        write!(body, "(local.set {to} (i64.add (local.get {a}) (i64.mul (local.get {b}) (i64.const {factor}))))")?;
    }
    let locals = "i64 ".repeat(LOCALS as usize);
    let text = format!(
        "(component (core module (func (export \"f\") (local {locals}) (loop {body} (br_if 0 (i64.eqz (local.get 7)))))))"
    );
    Ok(wat::parse_str(text)?)
}
