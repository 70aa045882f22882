//! Questions that readings answer: what is asked in, what they say out.
//!
//! It must not know how alerts are joined.

use weir_proto::v1;

use super::{
    reading::wire_limit,
    whatif::{loss, outcome},
};
use crate::{
    domain::{Millis, VOLTS_MAX_DV},
    pipeline::Refusal,
    voltage::Bounds,
    whatif::{
        AlertingDevice, AskedOfReadings, AtThreshold, BacktestFigures, Coverage, DeviceAnswer, Excursion,
        FilterVariant, Found, ReadDevice, ReadingAnswer, ReadingRole, Span, THRESHOLDS_MAX, TOLERANCE_MS,
        TOLERANCE_MS_MAX,
    },
};

/// What is asked of readings.
pub fn asked(question: v1::ReadingQuestion) -> Result<AskedOfReadings, Refusal> {
    let role = question.role();
    let limit = question.limit();
    let v1::ReadingQuestion { tolerance_ms, thresholds_dv, .. } = question;
    let tolerance_ms = tolerance_ms.map_or(TOLERANCE_MS, Millis::from);
    if tolerance_ms > TOLERANCE_MS_MAX {
        let message = format!("{tolerance_ms} is more than {TOLERANCE_MS_MAX} milliseconds, the shortest period");
        return Err(Refusal::invalid("readings.tolerance_ms", message));
    }
    let role = match role {
        v1::ReadingRole::Unspecified => {
            return Err(Refusal::invalid("readings.role", "is missing: READING_ROLE_FILTER or READING_ROLE_DEVICE"));
        }
        v1::ReadingRole::Filter if !thresholds_dv.is_empty() => {
            let message = "are of no use as a filter: the candidate's parameters say which voltages it holds back";
            return Err(Refusal::invalid("readings.thresholds_dv", message));
        }
        v1::ReadingRole::Filter => ReadingRole::Filter,
        v1::ReadingRole::Device => {
            ReadingRole::Device { thresholds_dv: thresholds(&thresholds_dv)?, under: limit == v1::VoltageLimit::Under }
        }
    };
    Ok(AskedOfReadings { tolerance_ms, role })
}

fn thresholds(sent: &[u32]) -> Result<Vec<u16>, Refusal> {
    if !(1..=THRESHOLDS_MAX).contains(&sent.len()) {
        let message = format!("{} of them: as the device there are 1 to {THRESHOLDS_MAX}", sent.len());
        return Err(Refusal::invalid("readings.thresholds_dv", message));
    }
    let threshold = |(at, sent): (usize, &u32)| {
        u16::try_from(*sent).ok().filter(|dv| (1..=VOLTS_MAX_DV).contains(dv)).ok_or_else(|| {
            let message = format!("{sent} is not 1 to {VOLTS_MAX_DV} tenths of a volt; 258.0 V is 2580");
            Refusal::invalid(format!("readings.thresholds_dv[{at}]"), message)
        })
    };
    sent.iter().enumerate().map(threshold).collect()
}

/// The same, as it was taken.
pub fn wire_asked(asked: AskedOfReadings) -> v1::ReadingQuestion {
    let AskedOfReadings { tolerance_ms, role } = asked;
    let (role, thresholds_dv, limit) = match role {
        ReadingRole::Filter => (v1::ReadingRole::Filter, Vec::new(), v1::VoltageLimit::Unspecified),
        ReadingRole::Device { thresholds_dv, under } => (
            v1::ReadingRole::Device,
            thresholds_dv.into_iter().map(u32::from).collect(),
            wire_limit(ReadingRole::limit(under)),
        ),
    };
    v1::ReadingQuestion {
        role: role.into(),
        tolerance_ms: u32::try_from(tolerance_ms).ok(),
        thresholds_dv,
        limit: limit.into(),
    }
}

/// What readings say.
pub fn answer(answer: ReadingAnswer) -> v1::WhatIfReadings {
    let ReadingAnswer { readings_digest, thresholds_digest, models_digest, found } = answer;
    let (variants, all_held, devices) = match found {
        Found::Filter { variants, all_held } => (variants, all_held, None),
        Found::Device(found) => (Vec::new(), Vec::new(), Some(wire_devices(*found))),
    };
    v1::WhatIfReadings {
        readings_digest,
        thresholds_digest,
        models_digest,
        variants: variants.into_iter().map(decided).collect(),
        all_held: all_held.into_iter().map(outcome).collect(),
        devices,
    }
}

fn decided(variant: FilterVariant) -> v1::WhatIfDecided {
    let FilterVariant {
        held,
        passed,
        straddling,
        without_reading,
        hidden,
        hidden_unknown,
        highest_dv,
        excursions,
        devices,
    } = variant;
    let device =
        |ReadDevice { device, decided, undecided }| v1::WhatIfReadDevice { device_id: device, decided, undecided };
    v1::WhatIfDecided {
        held,
        passed,
        straddling,
        without_reading: without_reading.into_iter().map(loss).collect(),
        hidden,
        hidden_unknown,
        highest_dv: highest_dv.map(u32::from),
        excursions: excursions.into_iter().map(excursion).collect(),
        devices: devices.into_iter().map(device).collect(),
    }
}

fn excursion(excursion: Excursion) -> v1::WhatIfExcursion {
    let Excursion { device, phase, code, occurred_ms, read, furthest, furthest_end_ms } = excursion;
    v1::WhatIfExcursion {
        device_id: device,
        phase: phase.into(),
        code: code.into(),
        occurred_at_ms: occurred_ms,
        read: Some(voltage(read)),
        furthest: Some(voltage(furthest)),
        furthest_end_ms,
    }
}

fn voltage(Span { low_dv, high_dv }: Span) -> v1::VoltageRange {
    v1::VoltageRange { low_dv: low_dv.into(), high_dv: high_dv.into() }
}

fn count(Bounds { least, most }: Bounds) -> v1::CountRange {
    v1::CountRange { least, most }
}

fn wire_devices(found: DeviceAnswer) -> v1::WhatIfDevices {
    let DeviceAnswer { under, thresholds, recorded, recorded_elsewhere, backtest, coverage } = found;
    let BacktestFigures { matched, alerts_without_crossing, open, crossings_without_alert, devices_without_threshold } =
        backtest;
    v1::WhatIfDevices {
        limit: wire_limit(ReadingRole::limit(under)).into(),
        thresholds: thresholds.into_iter().map(at_threshold).collect(),
        recorded,
        recorded_elsewhere,
        backtest: Some(v1::WhatIfBacktest {
            matched,
            alerts_without_crossing,
            open,
            crossings_without_alert,
            devices_without_threshold,
        }),
        coverage: coverage.into_iter().map(wire_coverage).collect(),
    }
}

fn at_threshold(at: AtThreshold) -> v1::WhatIfAtThreshold {
    let AtThreshold { threshold_dv, alerts, by_operator, by_model, devices, most } = at;
    let operator = |(operator, alerts): (u8, Bounds)| v1::WhatIfByOperator {
        operator: operator.into(),
        alerts: Some(count(alerts)),
    };
    let model = |(model, alerts)| v1::WhatIfByModel { model, alerts: Some(count(alerts)) };
    let device =
        |AlertingDevice { device, alerts }| v1::WhatIfAlertingDevice { device_id: device, alerts: Some(count(alerts)) };
    v1::WhatIfAtThreshold {
        threshold_dv: threshold_dv.into(),
        alerts: Some(count(alerts)),
        by_operator: by_operator.into_iter().map(operator).collect(),
        by_model: by_model.into_iter().map(model).collect(),
        devices: Some(count(devices)),
        most: most.into_iter().map(device).collect(),
    }
}

fn wire_coverage(coverage: Coverage) -> v1::WhatIfCoverage {
    let Coverage { model, devices, devices_read, periods_read, periods_missing } = coverage;
    v1::WhatIfCoverage { model, devices, devices_read, periods_read, periods_missing }
}
