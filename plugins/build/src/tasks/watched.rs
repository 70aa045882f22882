//! A command whose output is shown as it comes, and read too.
//!
//! It must not know what the command says. Invariant: output and errors keep their order.

use std::{
    io::{self, BufRead, BufReader, Write},
    process::{Command, ExitStatus},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

/// How long lines are waited for once the command has ended. A process that it left behind may hold its output open.
const LAST_LINES: Duration = Duration::from_secs(2);

/// How often a silent command is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Runs a command, prints each line that it says and gives it to `read`.
pub fn watched(mut command: Command, read: &mut dyn FnMut(&str)) -> Result<ExitStatus> {
    let (said, says) = io::pipe().context("no pipe can be had")?;
    command.stdout(says.try_clone().context("no pipe can be had")?).stderr(says);
    let mut child = command.spawn().with_context(|| format!("{:?} cannot be run", command.get_program()))?;
    // It holds this side's ends of the pipe.
    drop(command);
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(said).split(b'\n').map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut ended = None;
    loop {
        match lines.recv_timeout(if ended.is_some() { LAST_LINES } else { LOOK_EVERY }) {
            Ok(line) => {
                let line = String::from_utf8_lossy(&line);
                // Where nobody looks any more, the command goes on all the same.
                let _ = writeln!(io::stdout(), "{line}");
                read(&line);
            }
            Err(RecvTimeoutError::Timeout) if ended.is_none() => ended = child.try_wait()?,
            Err(_) => break,
        }
    }
    match ended {
        Some(status) => Ok(status),
        None => Ok(child.wait()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_errors_are_read_in_order_with_the_end() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; echo three; exit 7"]);
        let mut lines = Vec::new();
        let status = watched(command, &mut |line| lines.push(line.to_owned())).unwrap();
        assert_eq!((lines, status.code()), (vec!["one".to_owned(), "two".to_owned(), "three".to_owned()], Some(7)));
    }

    #[test]
    fn a_process_that_is_left_behind_is_not_waited_for() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & echo $!"]);
        let mut left = String::new();
        let status = watched(command, &mut |line| line.clone_into(&mut left)).unwrap();
        assert!(status.success());
        assert!(Command::new("kill").arg(&left).status().unwrap().success(), "{left} is still there");
    }
}
