//! Values of a file that are taken as they are and may not be what was meant.
//!
//! Invariant: of each kind the first in a file is reported, and no other.

use std::collections::VecDeque;

use super::{
    DCC_AT, DCC_MS, DEVICE, INTERRUPTED_AT, INTERRUPTED_MS, OCCURRED_AT, OCCURRED_MS, RECEIVED_AT, RECEIVED_MS,
    RESTORED_AT, RESTORED_MS,
};
use crate::{
    domain::Alert,
    intake::{LineError, identifiers, record::Record, times},
};

/// Reports the first of each kind of value in a file that is taken as it is and may not be what was meant.
#[derive(Debug, Default)]
pub(in crate::intake) struct Oddities {
    remarks: VecDeque<LineError>,
    has_rounded: bool,
    has_time: bool,
}

impl Oddities {
    /// Looks at a record and its alert for a device that a spreadsheet may have rounded and a time of another unit.
    pub(in crate::intake) fn look(&mut self, record: &Record<'_>, alert: Option<&Alert>) {
        let Some(alert) = alert else { return };
        if !self.has_rounded && identifiers::may_be_rounded(alert.device) {
            self.has_rounded = true;
            let message = format!(
                "{} is 16 decimal digits that end in 0: has a spreadsheet rounded it, which keeps 15? It is taken as it is",
                alert.device
            );
            self.remarks.push_back(record.error(DEVICE, message));
        }
        if self.has_time {
            return;
        }
        let times = [
            (alert.occurred_ms, [OCCURRED_AT, OCCURRED_MS]),
            (alert.dcc_ms, [DCC_AT, DCC_MS]),
            (alert.received_ms, [RECEIVED_AT, RECEIVED_MS]),
            (alert.details.interrupted_ms, [INTERRUPTED_AT, INTERRUPTED_MS]),
            (alert.details.restored_ms, [RESTORED_AT, RESTORED_MS]),
        ];
        let doubt = times.into_iter().find_map(|(ms, columns)| {
            let column = columns.into_iter().find(|column| !record.text(*column).is_empty())?;
            Some((column, times::doubt(record.text(column), ms?)?))
        });
        if let Some((column, doubt)) = doubt {
            self.has_time = true;
            self.remarks.push_back(record.error(column, format!("{doubt}; this is the first such time in the file")));
        }
    }

    /// Returns the next remark.
    pub(in crate::intake) fn remark(&mut self) -> Option<LineError> {
        self.remarks.pop_front()
    }
}
