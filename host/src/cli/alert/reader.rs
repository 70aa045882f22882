//! Reads alerts into batches, on a thread of its own.
//!
//! It must not know where batches go. Invariant: only so many batches are read ahead as its channel holds.

use std::{io::BufRead, thread};

use indicatif::ProgressBar;
use tokio::sync::mpsc;
use weir_proto::v1;

use crate::{
    cli::{doubt::Doubts, input::Notices},
    domain::Alert,
    intake::{Alerts, LineError},
};

/// Batches that are read ahead of those being sent.
const BATCHES_AHEAD_MAX: usize = 2;

/// Alerts that are sent together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The alerts.
    pub(super) alerts: Vec<v1::Alert>,
    /// The line that each came from.
    pub(super) lines: Vec<u64>,
    /// Lines among them that could not be read.
    pub(super) unreadable_count: u32,
}

/// How the reading ended: what was noticed, or why the input failed.
pub(super) type Ending = Result<Noticed, LineError>;

/// What was noticed of the lines of a whole input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Noticed {
    /// Lines that could not be read.
    pub(super) unreadable_count: u64,
    /// Measurements that are not plausible for their codes.
    pub(super) implausible_count: u64,
}

/// Starts to read. The thread ends with the input, or when the batches are no longer received. The end of the process
/// does not wait for it: it may be held up by a silent stdin.
pub(super) fn start<R: BufRead + Send + 'static>(
    alerts: Alerts<R>,
    batch_alerts: usize,
    doubts: Doubts,
    progress: ProgressBar,
) -> (mpsc::Receiver<Batch>, thread::JoinHandle<Ending>) {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD_MAX);
    let notices = Notices::new("lines that cannot be read", progress.clone());
    let remarks = Notices::remarks("remarks", progress);
    (receiver, thread::spawn(move || read(alerts, batch_alerts, &sender, (notices, remarks, doubts))))
}

fn read<R: BufRead>(
    mut alerts: Alerts<R>,
    batch_alerts: usize,
    sender: &mpsc::Sender<Batch>,
    (mut notices, mut remarks, mut doubts): (Notices, Notices, Doubts),
) -> Ending {
    let mut batch = Batch::default();
    let mut failed = None;
    loop {
        let item = alerts.next();
        std::iter::from_fn(|| alerts.remark()).for_each(|remark| remarks.give(&remark.to_string()));
        let Some(item) = item else { break };
        match item {
            Ok(alert) => {
                doubts.look(alerts.line(), &alert);
                batch.alerts.push(wire(&alert));
                batch.lines.push(alerts.line());
            }
            Err(error) if error.fatal => {
                failed = Some(error);
                break;
            }
            Err(error) => {
                batch.unreadable_count += 1;
                notices.give(&error.to_string());
            }
        }
        // Bad lines count, so that a file of nothing else is sent in parts too.
        if batch.alerts.len() + batch.unreadable_count as usize >= batch_alerts
            && sender.blocking_send(std::mem::take(&mut batch)).is_err()
        {
            remarks.finish();
            return Ok(Noticed { unreadable_count: notices.finish(), implausible_count: doubts.finish() });
        }
    }
    if !batch.alerts.is_empty() || batch.unreadable_count > 0 {
        // Where nobody receives it any more, the call's status says why.
        let _ = sender.blocking_send(batch);
    }
    remarks.finish();
    let noticed = Noticed { unreadable_count: notices.finish(), implausible_count: doubts.finish() };
    failed.map_or(Ok(noticed), Err)
}

fn wire(alert: &Alert) -> v1::Alert {
    let Alert { device, recipient, counter, code, occurred_ms, dcc_ms, received_ms, measurement, weight, payload } =
        *alert;
    v1::Alert {
        device_id: device.0,
        recipient_id: recipient.0,
        originator_counter: counter,
        code: code.0.into(),
        occurred_at_ms: occurred_ms.unwrap_or(0),
        received_at_ms: received_ms.unwrap_or(0),
        measurement,
        weight,
        payload_kind: payload as i32,
        dcc_at_ms: dcc_ms.unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{csv, tables::CodeTable};

    fn batches(text: &'static str, batch_alerts: usize) -> (Vec<Batch>, Ending) {
        let alerts = Alerts::Csv(csv::Alerts::new(text.as_bytes()).unwrap());
        let (mut receiver, reading) = start(
            alerts,
            batch_alerts,
            Doubts::new(CodeTable::builtin(), ProgressBar::hidden()),
            ProgressBar::hidden(),
        );
        let batches = std::iter::from_fn(|| receiver.blocking_recv()).collect();
        (batches, reading.join().unwrap())
    }

    #[test]
    fn batches_keep_lines_and_count_what_cannot_be_read() {
        let text = "device,code,voltage_v\n1,8F40,\n00DB1234567890A0,8F40,258.0\n00DB1234567890A0,8F40,25.8\n\n\
                    00DB1234567890A0,zz,\n00DB1234567890A0,8015,\n";
        let (batches, ending) = batches(text, 2);
        assert_eq!(ending, Ok(Noticed { unreadable_count: 2, implausible_count: 1 }));
        let shape: Vec<_> = batches.iter().map(|batch| (batch.lines.clone(), batch.unreadable_count)).collect();
        assert_eq!(shape, [(vec![3], 1), (vec![4], 1), (vec![7], 0)]);
        let first = &batches[0].alerts[0];
        assert_eq!((first.device_id, first.code, first.measurement), (0x00DB_1234_5678_90A0, 0x8F40, Some(2580)));
        assert_eq!((first.weight, first.payload_kind()), (1, v1::PayloadKind::Csv));
        assert_eq!(batches[1].alerts[0].measurement, Some(258), "what is not plausible is sent as it is");
    }

    #[test]
    fn a_file_without_alerts_is_no_batch() {
        let (batches, ending) = batches("device,code\n", 2);
        assert!(batches.is_empty());
        assert_eq!(ending, Ok(Noticed::default()));
    }
}
