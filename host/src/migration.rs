//! Whether a migration of devices may go on: the level of those that are migrated, and what it comes to for all.
//!
//! It must not know where the counts came from. Invariants: the advice never grows milder as alerts or planned devices
//! grow, nor as capacity shrinks; every advice but to go on has a reason that names the setting behind it.

use crate::config::ReportLimits;

/// What was measured, and what is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Devices that are migrated. Not 0.
    pub devices: u64,
    /// Days that were measured. Not 0.
    pub days: u64,
    /// Alerts that passed on in them.
    pub forwarded: u64,
    /// Alerts that were forwarded or suppressed.
    pub taken: u64,
    /// Devices there will be.
    pub planned_devices: u64,
    /// Forwarded alerts a day that can be handled. Not 0.
    pub capacity_per_day: u64,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Advice {
    /// As planned.
    GoOn,
    /// Fewer devices at a time.
    Slow,
    /// No further until the level is down.
    Pause,
    /// No further, and act on what is migrated.
    Stop,
}

impl Advice {
    /// Every one, the mildest first.
    pub const ALL: [Self; 4] = [Self::GoOn, Self::Slow, Self::Pause, Self::Stop];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::GoOn => "go-on",
            Self::Slow => "slow",
            Self::Pause => "pause",
            Self::Stop => "stop",
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Light {
    /// Within bounds.
    Green,
    /// A bound is near.
    Amber,
    /// A bound is passed.
    Red,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// What to do.
    pub advice: Advice,
    /// How bad it is.
    pub light: Light,
    /// Why, the gravest first.
    pub reasons: Vec<String>,
    /// Forwarded alerts of 1,000 devices a day, rounded up.
    pub forwarded_per_1000_device_days: u64,
    /// The same of all that were taken.
    pub taken_per_1000_device_days: u64,
    /// Forwarded alerts a day of all planned devices at this level, rounded up.
    pub projected_per_day: u64,
    /// The same without any rule.
    pub projected_raw_per_day: u64,
    /// The projection's share of the capacity in percent, rounded up.
    pub capacity_percent: u64,
}

/// `count * by / (of)` rounded up, at the top of 64 bits where it is more.
fn scaled(count: u64, by: u64, of: u128) -> u64 {
    u64::try_from((u128::from(count) * u128::from(by)).div_ceil(of.max(1))).unwrap_or(u64::MAX)
}

impl Migration {
    /// The signal by these bounds.
    pub fn signal(&self, bounds: &ReportLimits) -> Signal {
        let device_days = u128::from(self.devices) * u128::from(self.days);
        let level = scaled(self.forwarded, 1_000, device_days);
        let projected = scaled(self.forwarded, self.planned_devices, device_days);
        let percent = scaled(projected, 100, u128::from(self.capacity_per_day));
        let mut findings = [self.by_today(), by_capacity(percent, bounds), by_level(level, bounds)];
        findings.sort_by_key(|finding| finding.as_ref().map(|(advice, _)| std::cmp::Reverse(*advice)));
        let findings: Vec<(Advice, String)> = findings.into_iter().flatten().collect();
        let advice = findings.first().map_or(Advice::GoOn, |(advice, _)| *advice);
        let mut reasons: Vec<String> = findings.into_iter().map(|(_, reason)| reason).collect();
        if reasons.is_empty() {
            reasons.push(format!(
                "{} alerts a device and day, and {percent} % of the capacity with all planned devices, are below \
                 report.amber_alerts_per_1000_device_days ({}) and report.amber_capacity_percent ({} %)",
                thousandths(level),
                thousandths(bounds.amber_alerts_per_1000_device_days),
                bounds.amber_capacity_percent
            ));
        }
        Signal {
            advice,
            light: match advice {
                Advice::GoOn => Light::Green,
                Advice::Slow => Light::Amber,
                Advice::Pause | Advice::Stop => Light::Red,
            },
            reasons,
            forwarded_per_1000_device_days: level,
            taken_per_1000_device_days: scaled(self.taken, 1_000, device_days),
            projected_per_day: projected,
            projected_raw_per_day: scaled(self.taken, self.planned_devices, device_days),
            capacity_percent: percent,
        }
    }

    /// What is migrated already is more than can be handled.
    fn by_today(&self) -> Option<(Advice, String)> {
        let per_day = scaled(self.forwarded, 1, u128::from(self.days));
        let capacity = self.capacity_per_day;
        (per_day > capacity).then(|| {
            let reason = format!(
                "the {} devices that are migrated send {per_day} forwarded alerts a day, more than the capacity of \
                 {capacity} a day",
                self.devices
            );
            (Advice::Stop, reason)
        })
    }
}

fn by_capacity(percent: u64, bounds: &ReportLimits) -> Option<(Advice, String)> {
    let ReportLimits { amber_capacity_percent: amber, red_capacity_percent: red, .. } = *bounds;
    let reason = |name: &str, bound: u32| {
        format!(
            "at this level all planned devices take {percent} % of the capacity; report.{name}_capacity_percent is \
             {bound} %"
        )
    };
    match percent {
        _ if percent >= u64::from(red) => Some((Advice::Pause, reason("red", red))),
        _ if percent >= u64::from(amber) => Some((Advice::Slow, reason("amber", amber))),
        _ => None,
    }
}

fn by_level(level: u64, bounds: &ReportLimits) -> Option<(Advice, String)> {
    let amber = bounds.amber_alerts_per_1000_device_days;
    let red = bounds.red_alerts_per_1000_device_days;
    let reason = |name: &str, bound: u64| {
        format!(
            "{} alerts a device and day are forwarded; report.{name}_alerts_per_1000_device_days stands at {}",
            thousandths(level),
            thousandths(bound)
        )
    };
    match level {
        _ if level >= red => Some((Advice::Pause, reason("red", red))),
        _ if level >= amber => Some((Advice::Slow, reason("amber", amber))),
        _ => None,
    }
}

/// A number of thousandths as a decimal number.
pub fn thousandths(number: u64) -> String {
    format!("{}.{:03}", number / 1_000, number % 1_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signal(forwarded: u64, planned_devices: u64, capacity_per_day: u64) -> Signal {
        let migration =
            Migration { devices: 1_000, days: 7, forwarded, taken: 70_000, planned_devices, capacity_per_day };
        migration.signal(&ReportLimits::default())
    }

    #[test]
    fn each_bound_has_its_advice_and_names_its_setting() {
        // A thousand devices in seven days: 7,000 device days.
        let cases = [
            ((0, 70_000, 100_000), Advice::GoOn, "0.000 alerts a device and day"),
            ((6_993, 70_000, 100_000), Advice::GoOn, "70 % of the capacity"),
            ((7_000, 70_000, 100_000), Advice::Slow, "report.amber_alerts_per_1000_device_days stands at 1.000"),
            ((3_500, 70_000, 43_000), Advice::Slow, "report.amber_capacity_percent is 80 %"),
            ((7_000, 70_000, 70_000), Advice::Pause, "report.red_capacity_percent is 100 %"),
            ((70_000, 70_000, 10_000_000), Advice::Pause, "report.red_alerts_per_1000_device_days stands at 10.000"),
            (
                (70_000, 70_000, 9_999),
                Advice::Stop,
                "send 10000 forwarded alerts a day, more than the capacity of 9999",
            ),
        ];
        for ((forwarded, planned, capacity), advice, words) in cases {
            let signal = signal(forwarded, planned, capacity);
            assert_eq!(signal.advice, advice, "{forwarded} {planned} {capacity}: {signal:?}");
            assert!(signal.reasons[0].contains(words), "{words}: {:?}", signal.reasons);
        }
        let feared = signal(700_000, 70_000, 100_000);
        assert_eq!((feared.forwarded_per_1000_device_days, feared.projected_per_day), (100_000, 7_000_000));
        assert_eq!((feared.capacity_percent, feared.projected_raw_per_day), (7_000, 700_000));
        assert_eq!(signal(1, 1, 1).projected_per_day, 1, "rounded up");
    }

    proptest! {
        #[test]
        fn the_advice_never_grows_milder_as_things_grow_worse(
            base in (0..10_000_000_u64, 1..1_000_000_u64, 1..10_000_000_u64),
            more in (0..10_000_000_u64, 0..1_000_000_u64, 0..10_000_000_u64),
        ) {
            let worse = signal(base.0 + more.0, base.1 + more.1, base.2);
            let better = signal(base.0, base.1, base.2 + more.2);
            prop_assert!(worse.advice >= better.advice);
            prop_assert!(worse.light >= better.light);
            prop_assert!(!worse.reasons.is_empty() && !better.reasons.is_empty());
        }

        #[test]
        fn any_numbers_have_an_answer(
            devices in 1_u64.., days in 1_u64.., forwarded in any::<u64>(), taken in any::<u64>(),
            planned_devices in any::<u64>(), capacity_per_day in 1_u64..,
        ) {
            let migration = Migration { devices, days, forwarded, taken, planned_devices, capacity_per_day };
            let signal = migration.signal(&ReportLimits::default());
            prop_assert_eq!(signal.light == Light::Green, signal.advice == Advice::GoOn);
        }
    }
}
