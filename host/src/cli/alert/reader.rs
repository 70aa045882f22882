//! Reads alerts into batches, on a thread of its own.
//!
//! It must not know where batches go. Invariants: only so many batches are read ahead as its channel holds; each item of the
//! input is in one batch, and in none where an earlier sending had it.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use serde::Serialize;
use tokio::sync::mpsc;
use weir_proto::v1;

use super::{
    bookmark::{Bookmark, Moving},
    files::{Files, Opened},
    unreadable::{AtFault, Unreadable},
};
use crate::{
    cli::{Failure, doubt::Doubts, input::Notices, table::thousands},
    domain::Alert,
    grpc::wire_alert,
    intake::LineError,
};

/// Batches that are read ahead of those being sent.
const BATCHES_AHEAD_MAX: usize = 2;
/// Batches that a second is divided into, where so many alerts a second are asked for.
const BATCHES_PER_SECOND: u32 = 10;

/// Alerts that are sent together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The alerts.
    pub(super) alerts: Vec<v1::Alert>,
    /// The line that each came from.
    pub(super) lines: Vec<u64>,
    /// Where there are several files: from which alert on it is which.
    pub(super) files: Vec<(usize, Arc<str>)>,
    /// Lines among them that could not be read.
    pub(super) unreadable_count: u32,
    /// Where the sending stands with it, if it can be gone on with.
    pub(super) bookmark: Vec<u8>,
}

impl Batch {
    fn items(&self) -> usize {
        self.alerts.len() + self.unreadable_count as usize
    }

    /// Where an alert came from.
    pub(super) fn place(&self, index: usize) -> Option<String> {
        let line = self.lines.get(index)?;
        let file = self.files.iter().rev().find(|(from, _)| *from <= index);
        Some(file.map_or_else(|| format!("line {line}"), |(_, name)| format!("{name}: line {line}")))
    }
}

/// How batches are made.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plan {
    /// Items of one.
    pub(super) batch_items: usize,
    /// Items in a second; `None` for as many as can be sent.
    pub(super) rate: Option<u32>,
    /// Whether each has a bookmark.
    pub(super) bookmarks: bool,
    /// Where an earlier sending stood.
    pub(super) past: Option<Bookmark>,
}

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Lines that could not be read.
    pub(super) unreadable_count: u64,
    /// The same, by the part at fault.
    pub(super) unreadable: Vec<AtFault>,
    /// Measurements that are not plausible for their codes.
    pub(super) implausible_count: u64,
    /// Items that an earlier sending had.
    pub(super) past_count: u64,
    /// Each of several files.
    pub(super) files: Vec<FileFound>,
    /// Why not all was read.
    pub(super) failure: Option<Failure>,
}

/// One of several files.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct FileFound {
    file: String,
    /// Alerts that were handed over.
    alert_count: u64,
    /// Lines that could not be read.
    unreadable_count: u64,
}

impl FileFound {
    /// For people: its name, and its counts.
    pub(super) fn row(&self) -> (&str, [u64; 2]) {
        (&self.file, [self.alert_count, self.unreadable_count])
    }
}

/// Starts to read. The thread ends with the input, or when the batches are no longer received. The end of the process
/// does not wait for it: it may be held up by a silent stdin.
pub(super) fn start(files: Files, plan: Plan, doubts: Doubts) -> (mpsc::Receiver<Batch>, thread::JoinHandle<Found>) {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD_MAX);
    (receiver, thread::spawn(move || Reading::new(plan, sender, doubts, files.progress()).run(files)))
}

/// Why reading ends before the input does.
enum End {
    /// Nobody receives batches any more, and the call's status says why.
    Unwanted,
    Failed(Failure),
}

struct Reading {
    plan: Plan,
    sender: mpsc::Sender<Batch>,
    batch: Batch,
    moving: Option<Moving>,
    due: Option<Instant>,
    unreadable: Unreadable,
    remarks: Notices,
    doubts: Doubts,
    found: Found,
}

impl Reading {
    fn new(plan: Plan, sender: mpsc::Sender<Batch>, doubts: Doubts, progress: ProgressBar) -> Self {
        let items = plan.rate.map_or(usize::MAX, |rate| (rate / BATCHES_PER_SECOND).max(1) as usize);
        Self {
            plan: Plan { batch_items: plan.batch_items.min(items), ..plan },
            sender,
            batch: Batch::default(),
            moving: (plan.bookmarks || plan.past.is_some()).then(Moving::default),
            due: None,
            unreadable: Unreadable::new(progress.clone()),
            remarks: Notices::remarks("remarks", progress),
            doubts,
            found: Found::default(),
        }
    }

    fn run(mut self, mut files: Files) -> Found {
        let mut end = Ok(());
        while end.is_ok()
            && let Some(file) = files.next()
        {
            end = self.file(file);
        }
        if end.is_ok() && self.plan.past.is_some() {
            end = Err(End::Failed(self.another("it has fewer of them")));
        }
        // What was read before a file failed is sent: only where the sending does not go on from what was sent before is it not.
        let end = match end {
            Ok(()) => self.flush(),
            Err(End::Failed(failure)) if self.plan.past.is_none() => self.flush().and(Err(End::Failed(failure))),
            end => end,
        };
        self.remarks.finish();
        self.found.implausible_count = self.doubts.finish();
        (self.found.unreadable_count, self.found.unreadable) = self.unreadable.finish();
        if let Err(End::Failed(failure)) = end {
            self.found.failure = Some(failure);
        }
        self.found
    }

    /// One file to its end.
    fn file(&mut self, Opened { name, alerts, watch }: Opened) -> Result<(), End> {
        if let Some(name) = &name {
            self.batch.files.push((self.batch.alerts.len(), Arc::clone(name)));
            self.found.files.push(FileFound { file: name.as_ref().to_owned(), alert_count: 0, unreadable_count: 0 });
        }
        let file = name.as_ref().map_or_else(String::new, |name| format!("{name}: "));
        let mut alerts = match alerts {
            Ok(alerts) => alerts,
            Err(error) => return self.item(Err(&error), &file),
        };
        let items = alerts.items();
        self.unreadable.begin(items);
        // Of a file that grows, what was taken before must all be there already.
        watch.iter().for_each(|watch| watch.past.store(self.plan.past.is_some(), Relaxed));
        loop {
            let item = alerts.next();
            std::iter::from_fn(|| alerts.remark())
                .for_each(|remark| self.remarks.give(&format!("{file}{}", remark.told(items))));
            let Some(item) = item else { break };
            match &item {
                Ok(alert) => self.item(Ok((alert, alerts.line())), &file)?,
                Err(error) => self.item(Err(error), &file)?,
            }
            if self.plan.past.is_none()
                && let Some(watch) = &watch
            {
                watch.past.store(false, Relaxed);
                if watch.drained.load(Relaxed) {
                    self.flush()?;
                }
            }
        }
        let Some(watch) = watch else { return Ok(()) };
        if watch.cut.swap(false, Relaxed) {
            let message = "the file was truncated before the line had its end".to_owned();
            let line = LineError { line: alerts.line() + 1, field: "line".to_owned(), message, fatal: false };
            self.item(Err(&line), &file)?;
        }
        // What takes its place begins anew.
        self.flush()?;
        self.moving = self.moving.take().map(|_| Moving::default());
        if self.plan.past.is_some() { Err(End::Failed(self.another("it has fewer of them"))) } else { Ok(()) }
    }

    /// One alert with its line, or why there is none.
    fn item(&mut self, item: Result<(&Alert, u64), &LineError>, file: &str) -> Result<(), End> {
        if let Err(error) = item
            && error.fatal
        {
            return Err(End::Failed(Failure::usage(format!("{file}{}", error.told(self.unreadable.items())))));
        }
        let alert = item.as_ref().ok().map(|(alert, _)| wire_alert(**alert));
        if let Some(moving) = &mut self.moving {
            moving.pass(alert.as_ref());
            if self.plan.past.is_some() {
                return self.pass();
            }
        }
        let found = self.found.files.last_mut();
        match (alert, item) {
            (Some(alert), Ok((read, line))) => {
                self.doubts.look(file, line, read);
                self.batch.alerts.push(alert);
                self.batch.lines.push(line);
                found.into_iter().for_each(|found| found.alert_count += 1);
            }
            (_, Err(error)) => {
                self.batch.unreadable_count += 1;
                self.unreadable.give(file, error);
                found.into_iter().for_each(|found| found.unreadable_count += 1);
            }
            _ => {}
        }
        // Bad lines count, so that a file of nothing else is sent in parts too.
        if self.batch.items() >= self.plan.batch_items { self.flush() } else { Ok(()) }
    }

    /// Passes over an item that an earlier sending had; at the last of them it must have been the same ones.
    fn pass(&mut self) -> Result<(), End> {
        self.found.past_count += 1;
        let (Some(past), Some(moving)) = (self.plan.past, &self.moving) else { return Ok(()) };
        if moving.items() < past.items {
            return Ok(());
        }
        if moving.here() != past {
            return Err(End::Failed(self.another("they are others")));
        }
        self.plan.past = None;
        Ok(())
    }

    fn another(&self, how: &str) -> Failure {
        let items = self.plan.past.map_or(0, |past| past.items);
        Failure::usage(format!(
            "--resume: this is not what was begun under the name: of {} alerts and lines that cannot be read, which were \
             taken, {how}",
            thousands(items)
        ))
        .with_hint("give what was begun, with the options it was begun with; or another name, to send this from its beginning")
    }

    /// Hands over what there is.
    fn flush(&mut self) -> Result<(), End> {
        let items = self.batch.items();
        if items == 0 {
            return Ok(());
        }
        if let Some(rate) = self.plan.rate {
            let now = Instant::now();
            let due = self.due.map_or(now, |due| due.max(now));
            thread::sleep(due - now);
            self.due = Some(due + Duration::from_secs(1) * items as u32 / rate);
        }
        if self.plan.bookmarks {
            self.batch.bookmark = self.moving.as_ref().map(|moving| moving.here().bytes()).unwrap_or_default();
        }
        let open = self.batch.files.last().map(|(_, name)| (0, Arc::clone(name)));
        let next = Batch { files: open.into_iter().collect(), ..Batch::default() };
        let batch = std::mem::replace(&mut self.batch, next);
        self.sender.blocking_send(batch).map_err(|_| End::Unwanted)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{cli::alert::files::Reading as How, intake::tables::CodeTable};

    fn batches(text: &str, plan: Plan) -> (Vec<Batch>, Found) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.csv");
        fs::write(&path, text).unwrap();
        let doubts = Doubts::new(CodeTable::builtin(), ProgressBar::hidden());
        let (mut receiver, reading) = start(Files::open(&path, How::default()).unwrap(), plan, doubts);
        let batches = std::iter::from_fn(|| receiver.blocking_recv()).collect();
        (batches, reading.join().unwrap())
    }

    /// Packed by the program: the crate for it has another owner.
    fn gzip(text: &str) -> Vec<u8> {
        let mut child = std::process::Command::new("gzip")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        child.wait_with_output().unwrap().stdout
    }

    const TEXT: &str = "device,code,voltage_v\n1,8F40,\n00DB1234567890A0,8F40,258.0\n00DB1234567890A0,8014,\n\n\
                        00DB1234567890A0,zz,\n00DB1234567890A0,8015,\n";

    fn of(batch_items: usize) -> Plan {
        Plan { batch_items, bookmarks: true, ..Plan::default() }
    }

    #[test]
    fn batches_keep_lines_and_count_what_cannot_be_read() {
        let (batches, found) = batches(TEXT, of(2));
        assert_eq!((found.unreadable_count, found.implausible_count, &found.failure), (2, 0, &None));
        let shape: Vec<_> = batches.iter().map(|batch| (batch.lines.clone(), batch.unreadable_count)).collect();
        assert_eq!(shape, [(vec![3], 1), (vec![4], 1), (vec![7], 0)]);
        let first = &batches[0].alerts[0];
        assert_eq!((first.device_id, first.code, first.measurement), (0x00DB_1234_5678_90A0, 0x8F40, Some(2580)));
        assert_eq!((first.weight, first.payload_kind()), (1, v1::PayloadKind::Csv));
        let (sent, found) = self::batches("device,code,voltage_v\n00DB1234567890A0,8F40,25.8\n", of(2));
        assert_eq!((found.implausible_count, sent[0].alerts[0].measurement), (1, Some(258)), "it is sent as it is");
    }

    #[test]
    fn what_was_read_before_a_file_failed_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.csv.gz");
        let mut packed = gzip("device,code\n00DB1234567890A0,8014\n00DB1234567890A0,8015\n");
        packed.extend_from_slice(b"rubbish");
        fs::write(&path, packed).unwrap();
        let doubts = Doubts::new(CodeTable::builtin(), ProgressBar::hidden());
        let (mut receiver, reading) = start(Files::open(&path, How::default()).unwrap(), of(10), doubts);
        assert_eq!(receiver.blocking_recv().unwrap().lines, [2, 3]);
        assert!(receiver.blocking_recv().is_none());
        let failure = reading.join().unwrap().failure.unwrap();
        assert!(failure.message.contains("data that is not packed by gzip follows the packed part"), "{failure}");
    }

    #[test]
    fn a_file_without_alerts_is_no_batch() {
        let (batches, found) = batches("device,code\n", of(2));
        assert!(batches.is_empty());
        assert_eq!(found, Found::default());
    }

    #[test]
    fn what_was_taken_is_passed_over_whatever_batches_it_was_in_and_must_be_the_same() {
        let (whole, _) = batches(TEXT, of(2));
        let past = |batch: &Batch| Plan { past: Bookmark::read(&batch.bookmark), ..of(1) };
        let (rest, found) = batches(TEXT, past(&whole[1]));
        assert_eq!((rest.len(), rest[0].lines.clone(), found.past_count, found.unreadable_count), (1, vec![7], 4, 0));
        assert_eq!(rest[0].bookmark, whole[2].bookmark);
        let (rest, found) = batches(TEXT, past(&whole[2]));
        assert_eq!((rest.len(), found.past_count, found.failure), (0, 5, None));
        // A line more is gone on with; another first line, or one less, is another file.
        let (rest, _) = batches(&format!("{TEXT}00DB1234567890A0,8016,\n"), past(&whole[2]));
        assert_eq!(rest[0].lines, [8]);
        for (other, why) in [
            (TEXT.replace("258.0", "258.1"), "they are others"),
            (TEXT.replace("00DB1234567890A0,8015,\n", ""), "it has fewer of them"),
        ] {
            let (rest, found) = batches(&other, past(&whole[2]));
            let failure = found.failure.unwrap();
            assert!(rest.is_empty() && failure.message.ends_with(why), "{failure}");
        }
    }

    #[test]
    fn a_rate_is_kept() {
        let rows = "00DB1234567890A0,8015\n".repeat(60);
        let began = Instant::now();
        let plan = Plan { rate: Some(100), ..of(1_000) };
        let (batches, _) = batches(&format!("device,code\n{rows}"), plan);
        assert!(batches.iter().all(|batch| batch.alerts.len() == 10), "a tenth of a second each");
        assert!(began.elapsed() >= Duration::from_millis(499), "{:?}", began.elapsed());
    }
}
