//! Questions that readings answer: no alert carries a voltage, so a question about voltages needs what meters measured.
//!
//! There are two, and they are not the same. *As a filter*: of the alerts that were raised, which would a rule hold back
//! ([`joins`], [`judge`])? *As the device*: had meters had another threshold, which alerts would they have raised
//! ([`device`])? A meter alerts once, when its average crosses its threshold, so a filter at a higher voltage also hides
//! what came after an alert, and a higher threshold can mean more alerts than a lower one.
//!
//! Invariant: an answer says for each alert or crossing whether readings decide it, and never picks a side where they do
//! not. Readings are looked up when a question is asked; no alert is stored with one.

pub(super) mod answer;
pub(super) mod device;
mod group;
pub(super) mod joins;
mod judge;
mod tally;

use serde::{Deserialize, Serialize};

use super::{Question, Stopped, log::failed};
use crate::{
    domain::{Digest, Limit, Millis, ModelId, Rows},
    store::{self, ReadingReader},
    voltage::{EPISODE_MS_MAX, Models, Unjoined},
};

/// Tolerance where none is stated, in milliseconds.
pub const TOLERANCE_MS: Millis = 30_000;

/// Longest tolerance, in milliseconds: within the shortest period, so that an alert is not of a period that came after it.
pub const TOLERANCE_MS_MAX: Millis = 59_999;

/// Thresholds of one question.
pub const THRESHOLDS_MAX: usize = 64;

/// What is asked of readings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedOfReadings {
    /// How long before the end of its period an alert may have occurred, by the clock of its meter.
    pub tolerance_ms: Millis,
    /// Which question it is.
    pub role: ReadingRole,
}

/// In what a voltage is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadingRole {
    /// In the candidate, as a rule of Weir: readings stand in for the measurements that alerts do not have.
    Filter,
    /// In meters: when would each have alerted?
    Device {
        /// The thresholds that all meters would have had, in tenths of a volt.
        thresholds_dv: Vec<u16>,
        /// Average under-voltage; otherwise over-voltage.
        under: bool,
    },
}

impl ReadingRole {
    /// The threshold that is asked about, as the device.
    pub fn limit(under: bool) -> Limit {
        if under { Limit::Under } else { Limit::Over }
    }
}

/// What is known of voltages, as of one moment.
pub struct Readings {
    /// Readings and thresholds.
    pub reader: ReadingReader,
    /// What operators say of models.
    pub models: Models,
}

impl Readings {
    /// Takes a snapshot, and the numbers of models by their names.
    ///
    /// # Errors
    ///
    /// Returns why what is said of models cannot be read.
    pub fn new(reader: ReadingReader, number: impl Fn(&str) -> Option<ModelId>) -> Result<Self, store::Error> {
        let models = Models::new(reader.models()?, number);
        Ok(Self { reader, models })
    }

    /// Returns the rows of a group that are alerts of average voltage and are meant, each with why it has no reading, if it
    /// has none. Alerts that carry a measurement of their own are left out.
    ///
    /// # Errors
    ///
    /// Returns why readings cannot be read.
    pub fn unjoined(
        &self,
        rows: &Rows,
        tolerance_ms: Millis,
        is_meant: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<(usize, Option<Unjoined>)>, store::Error> {
        let joined = group::Joiner { readings: self, tolerance_ms, follows: false }.join(rows, is_meant)?;
        let joined = joined.into_iter().enumerate();
        Ok(joined.filter_map(|(row, joining)| Some((row, joining?.reading.err()))).collect())
    }

    /// Returns the digests of everything that an answer to a question can depend on.
    pub(super) fn digests(&self, question: &Question) -> Result<[Digest; 3], Stopped> {
        // An alert may be received long after the period that it is of, so only the end of the range bounds readings.
        let end_ms = question.received_ms().end.saturating_add(EPISODE_MS_MAX);
        self.reader.digests(Millis::MIN..end_ms).map_err(failed)
    }
}
