//! A large file of which one line in a hundred is broken: how fast it is read and sent, and what memory that takes.
//!
//! It must not know how files are read. Invariant: figures are only printed of runs whose report is exact by kind, and whose
//! balance adds up.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::Value;
use weir_benches::{
    broken::{self, Written},
    host::{Host, Launch, Usage, usage_of},
    program,
    report::{say, thousands},
    start_of_yesterday_ms,
};

/// Measures how a file with broken lines is read.
#[derive(Debug, Parser)]
struct Args {
    /// Lines of the file.
    #[arg(long, default_value_t = 1_000_000)]
    lines: u64,
    /// Seed of what is in it.
    #[arg(long, default_value_t = 20_261_125)]
    seed: u64,
}

fn main() -> ExitCode {
    program::run(run(Args::parse()))
}

/// One run of the client.
struct Ran {
    took: Duration,
    usage: Usage,
    report: Value,
}

async fn run(args: Args) -> Result<()> {
    let scratch = tempfile::tempdir().context("no room for a file")?;
    let path = scratch.path().join("alerts.csv");
    let mut out = BufWriter::new(File::create(&path)?);
    let written = broken::write(&mut out, args.lines, args.seed, start_of_yesterday_ms()?)?;
    out.flush()?;
    let bytes = path.metadata()?.len();
    say(&format!("{} lines, {} bytes, seed {}", thousands(args.lines), thousands(bytes), args.seed));

    let launch = Launch::new(&scratch.path().join("data"), 1)?;
    let program = launch.program.clone();
    let read = client(&program, &path, &["--dry-run"])?;
    ensure!(read.report["alert_count"] == written.good, "{} were read of {}", read.report["alert_count"], written.good);
    check(&read.report, &written)?;

    let host = Host::launch(launch).await?;
    let address = host.address().to_owned();
    let (of, sent) = (program.clone(), path.clone());
    let sent = tokio::task::spawn_blocking(move || client(&of, &sent, &["--server", &address])).await??;
    host.stop().await?;
    check(&sent.report, &written)?;
    let balance = |name: &str| sent.report["balance"][name].as_u64().unwrap_or_default();
    ensure!(balance("received") == args.lines, "{} of {} were received", balance("received"), args.lines);
    ensure!(balance("forwarded") == written.good, "{} of {} were forwarded", balance("forwarded"), written.good);
    ensure!(balance("rejected") == args.lines - written.good, "{} were rejected", balance("rejected"));

    println!("{:>10} {:>12} {:>16} {:>16} {:>12}", "", "seconds", "lines/s", "lines/s of CPU", "peak MB");
    for (name, ran) in [("read", &read), ("sent", &sent)] {
        let per = |time: Duration| thousands((args.lines as f64 / time.as_secs_f64()) as u64);
        let (took, cpu) = (ran.took.as_secs_f64(), ran.usage.cpu);
        let memory = ran.usage.memory_bytes_max as f64 / 1e6;
        println!("{name:>10} {took:>12.2} {:>16} {:>16} {memory:>12.1}", per(ran.took), per(cpu));
    }
    println!("The report was exact by kind, and the balance added up, each time.");
    Ok(())
}

/// Each kind of broken line was counted as often as it was written.
fn check(report: &Value, written: &Written) -> Result<()> {
    let counted = report["unreadable"].as_array().context("nothing was said of lines that cannot be read")?;
    ensure!(counted.len() == written.broken.len(), "{} kinds of {}", counted.len(), written.broken.len());
    for part in counted {
        let (field, count) = (part["field"].as_str().unwrap_or_default(), part["count"].as_u64());
        let expected = written.broken.get(field).copied();
        ensure!(count == expected, "{field}: {count:?} were counted of {expected:?}");
    }
    Ok(())
}

/// Runs the client to its end. What it used is what it had used when it was last looked at, a moment before.
fn client(program: &PathBuf, path: &Path, more: &[&str]) -> Result<Ran> {
    let mut command = Command::new(program);
    command.args(["alert", "send", "--json"]).arg(path).args(more).stdout(Stdio::piped()).stderr(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
    let mut usage = Usage::default();
    while child.try_wait()?.is_none() {
        if let Ok(now) = usage_of(child.id()) {
            usage = now;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let took = began.elapsed();
    let output = child.wait_with_output()?;
    let report = serde_json::from_slice(&output.stdout).context("the client did not report")?;
    ensure!(usage.cpu > Duration::ZERO, "it ended before it was looked at: take more lines");
    Ok(Ran { took, usage, report })
}
