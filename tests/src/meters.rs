//! Meters that measure, average and compare: an estate of which it is known what each would have alerted, and why.
//!
//! It must not know how the host joins or counts. Invariant: the same seed gives the same meters, and a meter compares what
//! it measured, in thousandths of a volt, not what it states.

use weir_host::domain::{Eui64, Limit, Millis, Phase, Reading, Rounding, TimeStatus, Volts};

use crate::workload::{NOW_MS, Random};

/// A threshold that a meter has from some period on.
#[derive(Debug, Clone, Copy)]
pub struct Configured {
    /// From the period of this index.
    pub from: usize,
    /// Average over-voltage, in tenths of a volt.
    pub over_dv: u16,
    /// Average under-voltage.
    pub under_dv: u16,
}

/// An alert that a meter raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// Index of the period at whose end it was raised.
    pub period: usize,
    /// Which threshold was crossed.
    pub limit: Limit,
    /// When, by the meter's clock.
    pub occurred_ms: Millis,
    /// What is known of that time.
    pub status: TimeStatus,
    /// How many alerts it stands for.
    pub weight: u32,
}

/// One phase of one meter.
#[derive(Debug, Clone)]
pub struct Meter {
    /// Its EUI-64.
    pub device: Eui64,
    /// The phase.
    pub phase: Phase,
    /// When its first period ended.
    pub first_end_ms: Millis,
    /// Length of its periods in seconds.
    pub length_s: u32,
    /// What it measured, in thousandths of a volt, period by period.
    pub averages_mv: Vec<i64>,
    /// How it makes whole volts; `None`: it states tenths, and measures no finer.
    pub rounding: Option<Rounding>,
    /// Its thresholds, in order.
    pub configured: Vec<Configured>,
    /// Periods that were read.
    pub is_read: Vec<bool>,
    /// What it alerted at the thresholds that it had.
    pub raised: Vec<Raised>,
}

/// How good an estate is.
#[derive(Debug, Clone, Copy)]
pub struct Quality {
    /// Of a hundred periods, so many were not read.
    pub gaps: u64,
    /// Of a hundred alerts, so many stand for copies that were withheld.
    pub withheld: u64,
    /// Of a hundred alerts, so many have a time that their meter says is unreliable.
    pub unreliable: u64,
    /// Meters may state whole volts.
    pub whole_volts: bool,
}

impl Quality {
    /// Everything is read, exact and on time.
    pub const PERFECT: Self = Self { gaps: 0, withheld: 0, unreliable: 0, whole_volts: false };
}

/// Tolerance that covers the clocks of these meters, in milliseconds.
pub const TOLERANCE_MS: Millis = 60_000;

impl Meter {
    /// Makes one phase of a meter that measured so many periods.
    fn new(
        random: &mut Random,
        (device, phase): (Eui64, Phase),
        periods: usize,
        (make, quality): (&Make, Quality),
    ) -> Self {
        let mut below = |n: u64| random.below(n);
        let Make { first_end_ms, length_s, rounding, configured } = make.clone();
        let step_mv = if rounding.is_some() { 1 } else { 100 };
        let mut mv = 245_000_i64;
        let mut average = |_| {
            mv += (below(12_001) as i64 - 6_000) + (245_000 - mv) / 16;
            mv / step_mv * step_mv
        };
        let averages_mv: Vec<i64> = (0..periods).map(&mut average).collect();
        let is_read = (0..periods).map(|_| below(100) >= quality.gaps).collect();
        let mut meter = Self {
            device,
            phase,
            first_end_ms,
            length_s,
            averages_mv,
            rounding,
            configured,
            is_read,
            raised: Vec::new(),
        };
        let thresholds = |limit: Limit| {
            let meter = &meter;
            move |period: usize| meter.configured_dv(limit, period)
        };
        let mut raised = Vec::new();
        for limit in Limit::ALL {
            let crossed = meter.crossings(limit, &thresholds(limit));
            raised.extend(crossed.into_iter().map(|period| {
                let status = if below(100) < quality.unreliable { TimeStatus::Unreliable } else { TimeStatus::Stated };
                let wrong_ms = if status == TimeStatus::Stated { 0 } else { below(86_400_000) as Millis };
                // A few seconds late, or by a clock that is a little slow.
                let occurred_ms = meter.end_ms(period) + below(90_000) as Millis - 30_000 - wrong_ms;
                let weight = if below(100) < quality.withheld { 2 + below(20) as u32 } else { 1 };
                Raised { period, limit, occurred_ms, status, weight }
            }));
        }
        meter.raised = raised;
        meter
    }

    /// When a period ended.
    pub fn end_ms(&self, period: usize) -> Millis {
        self.first_end_ms + period as Millis * Millis::from(self.length_s) * 1_000
    }

    /// The threshold that it had at the end of a period.
    pub fn configured_dv(&self, limit: Limit, period: usize) -> u16 {
        let configured = self.configured.iter().rfind(|configured| configured.from <= period).unwrap();
        match limit {
            Limit::Over => configured.over_dv,
            Limit::Under => configured.under_dv,
        }
    }

    /// The periods at whose end it would alert at other thresholds. It has no average before the first.
    pub fn crossings(&self, limit: Limit, threshold_dv: &dyn Fn(usize) -> u16) -> Vec<usize> {
        let is_beyond = |mv: i64, threshold_dv: u16| match limit {
            Limit::Over => mv > i64::from(threshold_dv) * 100,
            Limit::Under => mv < i64::from(threshold_dv) * 100,
        };
        let crosses = |period: &usize| {
            let threshold_dv = threshold_dv(*period);
            let [before, now] = [self.averages_mv[period - 1], self.averages_mv[*period]];
            !is_beyond(before, threshold_dv) && is_beyond(now, threshold_dv)
        };
        (1..self.averages_mv.len()).filter(crosses).collect()
    }

    /// The whole volts that it states of a period; `None` where it states tenths.
    pub fn whole_volts(&self, period: usize) -> Option<u16> {
        let mv = self.averages_mv[period];
        let volts = match self.rounding? {
            // Where nobody knows how it rounds, it may round up.
            Rounding::Unknown => (mv + 999) / 1_000,
            Rounding::Nearest => (mv + 500) / 1_000,
            Rounding::Down => mv / 1_000,
        };
        Some(volts as u16)
    }

    /// What was read of a period.
    pub fn reading(&self, period: usize) -> Option<Reading> {
        let tenths = (self.averages_mv[period] / 100) as u16;
        let volts = match self.whole_volts(period) {
            None => Volts::between(tenths, tenths),
            Some(volts) => Volts::whole(volts),
        }?;
        let volts = volts.rounded(self.rounding.unwrap_or_default());
        let Self { device, phase, length_s, .. } = *self;
        self.is_read[period].then(|| Reading { device, phase, end_ms: self.end_ms(period), length_s, volts })
    }

    /// Everything that was read, in order.
    pub fn readings(&self) -> Vec<Reading> {
        (0..self.averages_mv.len()).filter_map(|period| self.reading(period)).collect()
    }
}

/// What the phases of a meter share.
#[derive(Debug, Clone)]
struct Make {
    first_end_ms: Millis,
    length_s: u32,
    rounding: Option<Rounding>,
    configured: Vec<Configured>,
}

impl Make {
    fn new(random: &mut Random, periods: usize, quality: Quality) -> Self {
        let mut below = |n: u64| random.below(n);
        let length_s = [600, 1_800][below(2) as usize];
        // Periods need not begin at the half hour.
        let first_end_ms = NOW_MS - 30 * 86_400_000 + below(u64::from(length_s)) as Millis * 1_000;
        let rounding = (quality.whole_volts && below(2) == 0)
            .then(|| [Rounding::Unknown, Rounding::Nearest, Rounding::Down][below(3) as usize]);
        let mut configured = vec![Configured { from: 0, over_dv: 2_530, under_dv: 2_370 }];
        if below(3) == 0 {
            let from = 1 + below(periods as u64 - 1) as usize;
            let (over_dv, under_dv) = (2_500 + below(100) as u16, 2_350 + below(50) as u16);
            configured.push(Configured { from, over_dv, under_dv });
        }
        Self { first_end_ms, length_s, rounding, configured }
    }
}

/// Makes the phases of an estate: of single-phase meters one, of others three.
pub fn estate(random: &mut Random, meters: u64, periods: usize, quality: Quality) -> Vec<Meter> {
    let mut phases = Vec::new();
    for number in 0..meters {
        let of = if random.below(4) == 0 { &Phase::ALL[1..] } else { &Phase::ALL[..1] };
        let make = Make::new(random, periods, quality);
        let device = Eui64(0x00DB_1234_0000_0000 + number);
        phases.extend(of.iter().map(|phase| Meter::new(random, (device, *phase), periods, (&make, quality))));
    }
    phases
}
