//! What one variant says of alerts of average voltage, counted.
//!
//! Invariant: each is decided one way or undecided for one reason, and examples do not depend on the order in which alerts
//! came.

use std::collections::BTreeMap;

use super::{
    answer::{Excursion, FilterVariant, ReadDevice, Span},
    group::{Followed, Joining},
    joins::Said,
};
use crate::{
    domain::{Limit, Millis, Reading, Rows},
    voltage::{Unjoined, UnjoinedCounts},
};

/// Examples that are kept while counting: more than any answer lists.
const EXAMPLES_MAX: usize = 1_000;

/// An alert of average voltage, and what the candidate says of it.
pub(super) struct Met<'m> {
    pub(super) rows: &'m Rows,
    pub(super) row: usize,
    pub(super) joining: &'m Joining,
    pub(super) said: Said,
}

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    held: u64,
    passed: u64,
    straddles: u64,
    unjoined: UnjoinedCounts,
    hidden: u64,
    hidden_unknown: u64,
    highest_dv: Option<u16>,
    /// By device number: decided, undecided.
    devices: BTreeMap<u32, [u64; 2]>,
    /// By how far beyond, device and time, the furthest first.
    examples: BTreeMap<(std::cmp::Reverse<u16>, u64, Millis, u16), Hidden>,
}

/// What a filter hides after an alert that it holds back.
#[derive(Debug, Clone, Copy)]
struct Hidden {
    reading: Reading,
    furthest: Reading,
}

impl Tally {
    pub(super) fn add(&mut self, Met { rows, row, joining, said }: Met<'_>) {
        let decided = match (said, joining.reading) {
            (Said::Nothing, _) => return,
            (Said::Held(hides), Ok(reading)) => {
                self.held += 1;
                self.hold(rows, row, (joining, reading), hides);
                0
            }
            (Said::Passed, _) => {
                self.passed += 1;
                0
            }
            (Said::Held(_) | Said::Straddles, _) => {
                self.straddles += 1;
                1
            }
            (Said::Unjoined, reading) => {
                self.unjoined.add(reading.err().unwrap_or(Unjoined::NoReading));
                1
            }
        };
        self.devices.entry(rows.device_no[row]).or_default()[decided] += 1;
    }

    fn hold(&mut self, rows: &Rows, row: usize, (joining, reading): (&Joining, Reading), hides: Option<bool>) {
        let (furthest, may_be_furthest) = match joining.followed {
            Followed::By(episode) => (episode.furthest, episode.may_be_furthest),
            Followed::Nothing | Followed::Unknown => (reading, reading),
        };
        if joining.limit == Limit::Over {
            self.highest_dv = self.highest_dv.max(Some(may_be_furthest.volts.high_dv()));
        }
        match hides {
            None => self.hidden_unknown += 1,
            Some(false) => {}
            Some(true) => {
                self.hidden += 1;
                let beyond_dv = match joining.limit {
                    Limit::Over => furthest.volts.low_dv(),
                    Limit::Under => u16::MAX - furthest.volts.high_dv(),
                };
                let key = (std::cmp::Reverse(beyond_dv), rows.device[row], rows.occurred_ms[row], rows.code[row]);
                self.examples.insert(key, Hidden { reading, furthest });
                self.trim();
            }
        }
    }

    fn trim(&mut self) {
        while self.examples.len() > EXAMPLES_MAX {
            self.examples.pop_last();
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.held += other.held;
        self.passed += other.passed;
        self.straddles += other.straddles;
        self.hidden += other.hidden;
        self.hidden_unknown += other.hidden_unknown;
        self.highest_dv = self.highest_dv.max(other.highest_dv);
        self.unjoined.merge(other.unjoined);
        for (device, [decided, undecided]) in other.devices {
            let counts = self.devices.entry(device).or_default();
            *counts = [counts[0] + decided, counts[1] + undecided];
        }
        self.examples.extend(other.examples);
        self.trim();
    }

    /// As an answer has it, but for what would be if all that is undecided were held back.
    pub(super) fn finish(self, examples: usize, devices: usize, eui: &dyn Fn(u32) -> u64) -> FilterVariant {
        let mut by_decided: Vec<(u32, [u64; 2])> = self.devices.into_iter().collect();
        by_decided.sort_by_key(|(device_no, [decided, _])| (std::cmp::Reverse(*decided), *device_no));
        let device = |(device_no, [decided, undecided]): (u32, [u64; 2])| ReadDevice {
            device: eui(device_no),
            decided,
            undecided,
        };
        let excursion = |((_, device, occurred_ms, code), hidden): ((_, u64, Millis, u16), Hidden)| Excursion {
            device,
            phase: hidden.reading.phase as u8,
            code,
            occurred_ms,
            read: Span::from(hidden.reading.volts),
            furthest: Span::from(hidden.furthest.volts),
            furthest_end_ms: hidden.furthest.end_ms,
        };
        FilterVariant {
            held: self.held,
            passed: self.passed,
            straddling: self.straddles,
            without_reading: self.unjoined.iter().map(|(why, count)| (why.name().to_owned(), count)).collect(),
            hidden: self.hidden,
            hidden_unknown: self.hidden_unknown,
            highest_dv: self.highest_dv,
            excursions: self.examples.into_iter().take(examples).map(excursion).collect(),
            devices: by_decided.into_iter().take(devices).map(device).collect(),
        }
    }
}
