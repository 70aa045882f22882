//! Values of a file that are taken as they are and may not be what was meant.
//!
//! Invariant: of each kind the first in a file is reported, and no other.

use std::collections::VecDeque;

use super::{LineError, identifiers, record::Record, times};
use crate::domain::{Eui64, Millis};

/// Reports the first of each kind of value in a file that is taken as it is and may not be what was meant.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    remarks: VecDeque<LineError>,
    has_rounded: bool,
    has_time: bool,
}

impl Oddities {
    /// Looks for a device that a spreadsheet may have rounded. `column` holds it.
    pub(super) fn look_at_device(&mut self, record: &Record<'_>, column: usize, device: Eui64) {
        if !self.has_rounded && identifiers::may_be_rounded(device) {
            self.has_rounded = true;
            let message = format!(
                "{device} is 16 decimal digits that end in 0: has a spreadsheet rounded it, which keeps 15? It is taken as it is"
            );
            self.remarks.push_back(record.error(column, message));
        }
    }

    /// Looks for a time of another unit. Each time has the columns that may hold it.
    pub(super) fn look_at_times<const COLUMNS: usize>(
        &mut self,
        record: &Record<'_>,
        times: impl IntoIterator<Item = (Option<Millis>, [usize; COLUMNS])>,
    ) {
        if self.has_time {
            return;
        }
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
    pub(super) fn remark(&mut self) -> Option<LineError> {
        self.remarks.pop_front()
    }
}
