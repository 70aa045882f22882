//! What readings say, against meters of which it is known what they measured: over many seeds, nothing lies outside of the
//! bounds, and where everything was read the bounds are one number.

use weir_host::{
    domain::{Limit, Reading, TimeStatus},
    voltage::{Backtest, Bounds, Crossed, Crossings, Unjoined, backtest, join, reach_ms},
};
use weir_tests::{
    meters::{Meter, Quality, Raised, TOLERANCE_MS, estate},
    workload::{Random, number_of, seed},
};

const SEEDS: u64 = 1_000;

/// Each estate of a run, with its seed.
fn each_estate(quality: impl Fn(&mut Random) -> Quality, check: impl Fn(u64, &Meter)) {
    let first = seed(18);
    for seed in first..first + number_of("WEIR_SEEDS", SEEDS) {
        let mut random = Random::new(seed);
        let quality = quality(&mut random);
        estate(&mut random, 3, 200, quality).iter().for_each(|meter| check(seed, meter));
    }
}

/// Any estate: gaps, whole volts, wrong clocks, withheld copies.
fn any(random: &mut Random) -> Quality {
    Quality {
        gaps: random.below(30),
        withheld: random.below(30),
        unreliable: random.below(30),
        whole_volts: random.below(2) == 0,
    }
}

/// Reads a meter at thresholds by period: what was found of each period that was read, and the bounds.
fn read(meter: &Meter, limit: Limit, threshold_dv: &dyn Fn(usize) -> u16) -> (Vec<(usize, Crossed)>, Bounds) {
    let mut crossings = Crossings::new(limit);
    let periods = 0..meter.averages_mv.len();
    let read = |period| Some((period, crossings.read(meter.reading(period)?, Some(threshold_dv(period)))));
    let found = periods.filter_map(read).collect();
    (found, crossings.bounds())
}

/// Thresholds that are asked about, the same at all times.
const ASKED: [(Limit, u16); 5] =
    [(Limit::Over, 2_480), (Limit::Over, 2_530), (Limit::Over, 2_555), (Limit::Under, 2_400), (Limit::Under, 2_425)];

#[test]
fn the_alerts_of_every_meter_lie_within_the_bounds() {
    each_estate(any, |seed, meter| {
        for (limit, threshold_dv) in ASKED {
            let (found, bounds) = read(meter, limit, &|_| threshold_dv);
            let mut crossed = meter.crossings(limit, &|_| threshold_dv);
            // What a meter alerted at a period that nobody read is outside of what is answered.
            crossed.retain(|period| meter.is_read[*period]);
            let truth = crossed.len() as u64;
            assert!(bounds.contains(truth), "seed {seed}: {truth} is not in {bounds:?} at {threshold_dv}");
            for (period, said) in found {
                let right = match said {
                    Crossed::Surely => crossed.contains(&period),
                    Crossed::No => !crossed.contains(&period),
                    Crossed::Maybe | Crossed::Unknown => true,
                };
                assert!(right, "seed {seed}: period {period} at {threshold_dv}: {said:?}");
            }
        }
    });
}

#[test]
fn where_everything_was_read_the_bounds_are_what_the_meters_did() {
    each_estate(
        |_| Quality::PERFECT,
        |seed, meter| {
            for (limit, threshold_dv) in ASKED {
                let (found, bounds) = read(meter, limit, &|_| threshold_dv);
                let truth = meter.crossings(limit, &|_| threshold_dv);
                let surely = found.iter().filter(|(_, crossed)| *crossed == Crossed::Surely);
                assert_eq!(surely.map(|(period, _)| *period).collect::<Vec<_>>(), truth, "seed {seed}");
                // Of the first period it is not known what was before.
                let open = u64::from(found[0].1 == Crossed::Unknown);
                assert_eq!((bounds.least, bounds.most), (truth.len() as u64, truth.len() as u64 + open), "seed {seed}");
            }
        },
    );
}

/// The reading that an alert is joined with, looked up as the host does.
fn joined(readings: &[Reading], raised: &Raised) -> Result<Reading, Unjoined> {
    let reach = reach_ms(raised.occurred_ms, TOLERANCE_MS);
    let within: Vec<Reading> = readings.iter().filter(|reading| reach.contains(&reading.end_ms)).copied().collect();
    join(&within, (raised.occurred_ms, raised.status), raised.weight, TOLERANCE_MS)
}

#[test]
fn an_alert_is_joined_with_its_own_period_or_with_none() {
    each_estate(any, |seed, meter| {
        let readings = meter.readings();
        for raised in &meter.raised {
            let expected = match meter.reading(raised.period) {
                _ if raised.status != TimeStatus::Stated => Err(Unjoined::NoTime),
                _ if raised.weight > 1 => Err(Unjoined::Withheld),
                None => Err(Unjoined::NoReading),
                Some(reading) => Ok(reading),
            };
            assert_eq!(joined(&readings, raised), expected, "seed {seed}: {raised:?}");
            if let Ok(reading) = expected {
                let mv = meter.averages_mv[raised.period];
                let volts = reading.volts;
                let within = i64::from(volts.low_dv()) * 100..=i64::from(volts.high_dv()) * 100;
                assert!(within.contains(&mv), "seed {seed}: {mv} mV, read as {volts}");
            }
        }
    });
}

#[test]
fn at_the_thresholds_that_meters_had_readings_explain_their_alerts() {
    each_estate(
        |_| Quality::PERFECT,
        |seed, meter| {
            let readings = meter.readings();
            for limit in Limit::ALL {
                let (found, _) = read(meter, limit, &|period| meter.configured_dv(limit, period));
                let periods: Vec<_> = found.iter().map(|(period, crossed)| (meter.end_ms(*period), *crossed)).collect();
                let raised = meter.raised.iter().filter(|raised| raised.limit == limit);
                let alerts: Vec<_> =
                    raised.map(|raised| joined(&readings, raised).map(|reading| reading.end_ms)).collect();
                let expected = Backtest { matched: alerts.len() as u64, ..Backtest::default() };
                assert_eq!(backtest(&periods, &alerts), expected, "seed {seed}");
            }
        },
    );
}
