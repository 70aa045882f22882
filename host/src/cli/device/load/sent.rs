//! Which rows went to the host in which message, to say where in the file a row is that the host refuses.
//!
//! Invariant: a refusal names a row of the file, and never one by its place in a message, as long as that message is one of
//! the last [`MESSAGES_MAX`].

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tonic::Status;

use super::rows::Loadable;
use crate::{
    cli::{Failure, failure::is_broken, table::thousands},
    domain::Eui64,
};

/// Messages whose rows are known. The windows of a connection hold far fewer.
const MESSAGES_MAX: usize = 64;

/// The trailer that says how many devices the host has taken of the messages before.
const DONE: &str = "weir-devices-done";

/// The rows that went to the host.
#[derive(Clone, Default)]
pub(super) struct SentRows(Arc<Mutex<Messages>>);

#[derive(Default)]
struct Messages {
    /// Rows of all messages.
    rows: u64,
    /// Of each of the last ones, how many rows went before it, and the line and the device of each of its rows.
    last: VecDeque<(u64, Vec<(u64, Eui64)>)>,
}

impl SentRows {
    /// Notes the rows of the next message.
    pub(super) fn note(&self, rows: &[Loadable]) {
        let mut messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.last.len() == MESSAGES_MAX {
            messages.last.pop_front();
        }
        let before = messages.rows;
        let noted = rows.iter().map(|row| (row.line, Eui64(row.device.device_id))).collect();
        messages.last.push_back((before, noted));
        messages.rows += rows.len() as u64;
    }

    /// A failed load in terms of the file: which row was refused, and what is stored of those before.
    pub(super) fn failed(&self, status: &Status, failure: Failure, (file, dry_run): (&Path, bool)) -> Failure {
        let messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let done = status.metadata().get(DONE).and_then(|done| done.to_str().ok()?.parse::<u64>().ok());
        let Some(done) = done else {
            if dry_run || messages.rows == 0 || !is_broken(status) {
                return failure;
            }
            let hint = failure.hint.as_ref().map(|hint| format!("{hint}; ")).unwrap_or_default();
            let hint = format!(
                "{hint}up to {} devices of {} may be stored, in whole messages: load the file again, which leaves those \
                 unchanged",
                thousands(messages.rows),
                file.display()
            );
            return failure.with_hint(hint);
        };
        let refused = messages.last.iter().find(|(before, _)| *before == done);
        let message = refused.and_then(|(_, rows)| by_line(&failure.message, rows));
        let message = message.map(|message| format!("{}: {message}", file.display()));
        let failure = Failure { message: message.unwrap_or_else(|| failure.message.clone()), ..failure };
        match (dry_run, done) {
            (true, _) => failure,
            (false, 0) => failure.with_hint("nothing of the file is stored"),
            (false, done) => {
                let stored = if done == 1 { "1 device".to_owned() } else { format!("{} devices", thousands(done)) };
                failure.with_hint(format!(
                    "{stored} of the file went before and are stored: load it again once this is mended, which leaves those \
                     unchanged"
                ))
            }
        }
    }
}

/// A message about `devices[3]`, or a field of it, as one about a line and a device.
fn by_line(message: &str, rows: &[(u64, Eui64)]) -> Option<String> {
    let (index, rest) = message.strip_prefix("devices[")?.split_once(']')?;
    let (line, device) = rows.get(index.parse::<usize>().ok()?)?;
    let (field, why) = rest.split_once(": ")?;
    let field = field.strip_prefix('.').unwrap_or("eui");
    let of = if why.contains(&device.to_string()) { String::new() } else { format!("; of device {device}") };
    Some(format!("line {line}: {field}: {why}{of}"))
}

#[cfg(test)]
mod tests {
    use weir_proto::v1;

    use super::*;

    fn sent() -> SentRows {
        let sent = SentRows::default();
        for lines in [2..4_u64, 4..7] {
            let row = |line| Loadable {
                line,
                device: v1::Device { device_id: line, ..v1::Device::default() },
                ..Loadable::default()
            };
            sent.note(&lines.map(row).collect::<Vec<_>>());
        }
        sent
    }

    fn failed(status: &Status, dry_run: bool) -> (String, String) {
        let failure = Failure::usage(status.message());
        let failure = sent().failed(status, failure, (Path::new("a.csv"), dry_run));
        (failure.message, failure.hint.unwrap_or_default())
    }

    #[test]
    fn a_refusal_names_the_line_and_the_device_and_what_is_stored() {
        let refused = |done: u64, message: &str| {
            let mut status = Status::invalid_argument(message);
            status.metadata_mut().insert(DONE, done.into());
            status
        };
        let (message, hint) = failed(&refused(2, "devices[1].mpxn: no"), false);
        assert_eq!(message, "a.csv: line 5: mpxn: no; of device 00-00-00-00-00-00-00-05");
        assert!(hint.starts_with("2 devices of the file went before and are stored"), "{hint}");
        let (message, hint) = failed(&refused(0, "devices[1]: 00-00-00-00-00-00-00-03: is of another"), false);
        assert_eq!(message, "a.csv: line 3: eui: 00-00-00-00-00-00-00-03: is of another");
        assert_eq!(hint, "nothing of the file is stored");
        assert_eq!(failed(&refused(2, "devices: 9 are new"), true), ("devices: 9 are new".to_owned(), String::new()));
        assert_eq!(failed(&refused(3, "devices[0]: x"), true).0, "devices[0]: x", "no message begins there");
    }

    #[test]
    fn a_lost_connection_says_what_may_be_stored() {
        let lost = Status::from_error(Box::new(std::io::Error::other("cut")));
        assert!(failed(&lost, false).1.starts_with("up to 5 devices of a.csv may be stored"));
        assert_eq!(failed(&lost, true).1, "");
        assert_eq!(failed(&Status::unauthenticated("who"), false).1, "");
    }
}
