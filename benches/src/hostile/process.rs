//! Runs the attacks in a process of their own, at the lowest priority.
//!
//! Attackers are elsewhere: the processor time that they spend on asking and on reading answers is not the host's, and
//! must not be taken from it or from the sender whose acknowledgements are timed. Invariant: the process ends when its
//! [`Attackers`] is dropped, or when its parent is gone.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, ensure};
use rustix::process::nice;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{Hostile, Made, Scale};

/// Tells the program that it is the process of the attackers.
const ROLE: &str = "WEIR_BENCHES_ATTACKERS";
/// The line that says that all attacks are under way.
const BEGUN: &str = "begun";
/// The lowest priority there is.
const NICE: i32 = 19;

/// Operators that attack a host, each with the tokens it has.
pub type Operators = BTreeMap<u32, Vec<String>>;

/// The attackers' process.
#[derive(Debug)]
pub struct Attackers {
    child: Child,
    /// Closing it ends the attacks.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Attackers {
    /// Starts this program once more, as the attackers, and returns when their attacks are under way.
    pub async fn begin(url: &str, operators: &Operators) -> Result<Self> {
        let task = json!({ "url": url, "operators": operators });
        spawn_blocking(move || Self::start(&task)).await.context("the start of the attackers failed")?
    }

    fn start(task: &Value) -> Result<Self> {
        let program = env::current_exe().context("cannot tell where this program lies")?;
        let mut child = Command::new(program)
            .env(ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the attackers")?;
        let (input, output) = child.stdin.take().zip(child.stdout.take()).context("the attackers are not piped")?;
        let mut attackers = Self { child, input: Some(input), output: BufReader::new(output) };
        writeln!(attackers.input.as_mut().expect("it is open"), "{task}").context("the attackers are gone")?;
        let mut line = String::new();
        attackers.output.read_line(&mut line)?;
        ensure!(line.trim_end() == BEGUN, "the attackers did not begin");
        Ok(attackers)
    }

    /// Ends the attacks and returns what was asked until then.
    pub async fn end(self) -> Result<Made> {
        spawn_blocking(move || self.stop()).await.context("the end of the attackers failed")?
    }

    fn stop(mut self) -> Result<Made> {
        drop(self.input.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the attackers ended with {status}");
        let calls: Vec<(String, String, u64)> = serde_json::from_str(&text).context("what the attackers counted")?;
        Ok(calls.into_iter().map(|(what, ended, count)| ((what, ended), count)).collect())
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        // Both fail when it has ended already, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Attacks if this process was started to do so, until its input ends. `None` in every other process.
pub fn attack_if_told() -> Option<ExitCode> {
    env::var_os(ROLE)?;
    let ended = nice(NICE).context("cannot lower the priority").and_then(|_| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
        runtime.block_on(attack())
    });
    Some(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the attackers: {error:#}");
            ExitCode::FAILURE
        }
    })
}

async fn attack() -> Result<()> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let mut task: Value = serde_json::from_str(&line).context("what to attack")?;
    let operators: Operators = serde_json::from_value(task["operators"].take()).context("operators")?;
    let url = task["url"].as_str().context("url")?;
    let mut attacks = Vec::new();
    for (operator, tokens) in &operators {
        attacks.push(Hostile::begin(url, tokens, *operator, Scale::full()).await?);
    }
    println!("{BEGUN}");
    spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    let mut made = Made::new();
    for attack in attacks {
        attack.end()?.into_iter().for_each(|(what, count)| *made.entry(what).or_default() += count);
    }
    let calls: Vec<_> = made.iter().map(|((what, ended), count)| (what, ended, count)).collect();
    println!("{}", json!(calls));
    Ok(())
}
