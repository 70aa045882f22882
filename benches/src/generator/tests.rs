//! The generator against a second, plain reading of the specification, and against what it promises of its alerts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use weir_proto::v1::{Alert, Generation};

use super::*;
use crate::books::{Books, Counts};

mod reference;
mod stock;

/// 2026-03-01T00:00:00Z.
const START_MS: i64 = 1_772_323_200_000;

fn plan(seed: u64, devices: u32, alerts: u64) -> Plan {
    Plan { seed, devices, alerts, start_ms: START_MS }
}

fn alerts_of(plan: Plan) -> Vec<Alert> {
    Day::new(plan).unwrap().collect()
}

#[test]
fn expectation_agrees_with_a_plain_reading_of_the_rules() {
    for (devices, alerts) in [(1, 2_000), (50, 20_000), (400, 60_000), (2_000, 200_000), (3_000, 4_000)] {
        for seed in [1, 7, 4_711] {
            let plan = plan(seed, devices, alerts);
            let mut day = Day::new(plan).unwrap();
            let sent: Vec<Alert> = day.by_ref().collect();
            for window in [reference::Window::Tumbling, reference::Window::Sliding] {
                let books = reference::books(&plan, &sent, window);
                let differences = books.differences(&day.expected());
                assert!(differences.is_empty(), "{plan:?}, {window:?} window: {differences:#?}");
            }
            assert!(day.expected().balance(), "{plan:?}");
            assert_eq!(day.expected().total().received, alerts, "{plan:?}");
        }
    }
}

#[test]
fn every_end_and_every_rule_occurs() {
    let mut day = Day::new(plan(3, 2_000, 200_000)).unwrap();
    let sent = day.by_ref().count();
    let books = day.expected();
    let total = books.total();
    for (name, count) in total.fields() {
        assert!(count > 0, "no alert counts as {name}");
    }
    let rules: Vec<&str> = books.by_rule.keys().map(String::as_str).collect();
    assert_eq!(rules, ["", "smets1-8014", "storm", "voltage-8f40"]);
    assert!(books.by_rule["storm"].suppressed > 1_000, "{:?}", books.by_rule["storm"]);
    assert!(books.by_rule["storm"].overruled > 100, "{:?}", books.by_rule["storm"]);
    let share = total.duplicate as f64 / sent as f64;
    assert!((0.008..0.016).contains(&share), "duplicates are {share} of all");
    assert!(books.by_code.contains_key(&None), "no alert has a code beyond 16 bits");
}

#[test]
fn genuine_power_factor_alerts_pass_and_erroneous_ones_do_not() {
    let plan = plan(5, 2_000, 100_000);
    let mut day = Day::new(plan).unwrap();
    day.by_ref().for_each(drop);
    let counts = day.expected().by_code[&Some(codes::POWER_FACTOR)];
    assert!(counts.suppressed > 1_000 && counts.forwarded > 1_000, "{counts:?}");
}

#[test]
fn most_voltage_alerts_lie_below_the_limit() {
    let sent = alerts_of(plan(5, 1_000, 100_000));
    let dv: Vec<i32> =
        sent.iter().filter(|a| a.code == u32::from(codes::VOLTAGE_SMETS1)).filter_map(|a| a.measurement).collect();
    let below = dv.iter().filter(|dv| **dv < BELOW_DV).count();
    assert!(below * 10 > dv.len() * 8 && below * 10 < dv.len() * 95 / 10, "{below} of {} lie below", dv.len());
    assert!(dv.iter().all(|dv| (2530..=2620).contains(dv)));
}

#[test]
fn a_plan_is_repeatable_and_its_seed_matters() {
    let sent = alerts_of(plan(9, 300, 20_000));
    assert_eq!(sent, alerts_of(plan(9, 300, 20_000)));
    assert_ne!(sent, alerts_of(plan(10, 300, 20_000)));
}

#[test]
fn batches_are_the_day_in_pieces() {
    let plan = plan(9, 300, 10_000);
    let mut day = Day::new(plan).unwrap();
    let pieces: Vec<Vec<Alert>> =
        std::iter::repeat_with(|| day.batch(4_096)).take_while(|batch| !batch.is_empty()).collect();
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [4_096, 4_096, 1_808]);
    assert_eq!(pieces.concat(), alerts_of(plan));
}

#[test]
fn alerts_come_in_order_of_receipt_and_mostly_in_order_of_occurrence() {
    let sent = alerts_of(plan(2, 500, 50_000));
    assert!(sent.is_sorted_by_key(|alert| alert.received_at_ms));
    assert!(sent.iter().all(|alert| (START_MS..START_MS + DAY_MS).contains(&alert.received_at_ms)));
    assert!(sent.iter().all(|alert| alert.occurred_at_ms < alert.received_at_ms));
    assert!(!sent.is_sorted_by_key(|alert| alert.occurred_at_ms));
}

#[test]
fn a_copy_comes_while_64_counters_are_remembered() {
    for plan in [plan(1, 1, 5_000), plan(2, 40, 30_000), plan(3, 2_000, 200_000)] {
        let mut highest: HashMap<(u64, u64), u64> = HashMap::new();
        let mut seen: HashSet<(u64, u64, u64)> = HashSet::new();
        for alert in alerts_of(plan).iter().filter(|alert| alert.device_id != 0 && alert.code < 1 << 16) {
            let counter = alert.originator_counter.unwrap();
            let highest = highest.entry((alert.device_id, alert.recipient_id)).or_default();
            *highest = counter.max(*highest);
            let copy = !seen.insert((alert.device_id, alert.recipient_id, counter));
            assert!(!copy || *highest - counter < 64, "{plan:?}: {alert:?} comes {} late", *highest - counter);
        }
    }
}

#[test]
fn counters_of_a_device_rise() {
    for plan in [plan(1, 1, 5_000), plan(3, 1_000, 100_000)] {
        let mut last: HashMap<u64, u64> = HashMap::new();
        let mut seen: HashSet<(u64, u64)> = HashSet::new();
        for alert in alerts_of(plan).iter().filter(|alert| alert.device_id != 0 && alert.code < 1 << 16) {
            let counter = alert.originator_counter.unwrap();
            if seen.insert((alert.device_id, counter)) {
                let before = last.insert(alert.device_id, counter);
                assert!(before.is_none_or(|before| before < counter), "{plan:?}: {alert:?} after {before:?}");
            }
        }
    }
}

#[test]
fn the_inventory_is_valid_and_covers_regions_generations_and_models() {
    let fleet = plan(1, 20_000, 2_000_000).fleet();
    let devices: Vec<_> = fleet.inventory().collect();
    assert_eq!(devices.len(), 20_000);
    let euis: BTreeSet<u64> = devices.iter().map(|device| device.device_id).collect();
    let mpans: BTreeSet<&str> = devices.iter().map(|device| device.mpxn.as_str()).collect();
    assert_eq!((euis.len(), mpans.len()), (devices.len(), devices.len()), "no two devices are the same");

    let mut regions = BTreeMap::new();
    let mut models = BTreeSet::new();
    for device in &devices {
        let mpan: weir_host::domain::Mpxn = device.mpxn.parse().expect("an MPAN with its check digit");
        *regions.entry(mpan.distributor().unwrap().get()).or_insert(0) += 1;
        models.insert((device.generation, device.model.as_str()));
    }
    assert_eq!(regions.keys().copied().collect::<Vec<u8>>(), (10..=23).collect::<Vec<u8>>());
    assert!(regions.values().all(|count| *count > 1_000), "{regions:?}");
    assert_eq!(models.len(), 20);
    let smets1 = devices.iter().filter(|device| device.generation == i32::from(Generation::Smets1)).count();
    assert!((6_000..7_400).contains(&smets1), "{smets1} of 20,000 are SMETS1");
}

#[test]
fn some_devices_alert_that_the_inventory_does_not_list() {
    let plan = plan(1, 2_000, 200_000);
    let listed: HashSet<u64> = plan.fleet().inventory().map(|device| device.device_id).collect();
    let unlisted: HashSet<u64> =
        alerts_of(plan).iter().map(|alert| alert.device_id).filter(|eui| *eui != 0 && !listed.contains(eui)).collect();
    assert_eq!(unlisted.len(), 2);
}

#[test]
fn an_outage_is_a_burst_of_one_region() {
    let plan = plan(1, 20_000, 200_000);
    let restored = |alert: &&Alert| alert.code == u32::from(codes::OUTAGE_RESTORED);
    let sent = alerts_of(plan);
    let middle = &sent[100_000..140_000];
    let busiest = middle.chunks(1_000).map(|chunk| chunk.iter().filter(restored).count()).max();
    assert!(busiest > Some(900), "{busiest:?} of 1,000 alerts in a row come from the outage");
}

#[test]
fn impossible_plans_are_refused() {
    assert!(Day::new(plan(1, 0, 100)).is_err());
    assert!(Day::new(plan(1, 100, 0)).is_err());
    assert!(Day::new(plan(1, u32::MAX, 100)).is_err());
}

#[test]
fn the_protected_codes_are_the_hosts_own() {
    let config = weir_host::config::Config::default();
    for (name, code) in codes::PROTECTED.map(|code| (format!("{code:04X}"), code)) {
        assert!(config.protected_codes.contains(&name), "{code:04X} is not protected by default");
    }
    let open = alerts_of(plan(1, 500, 50_000)).into_iter().filter_map(|alert| u16::try_from(alert.code).ok());
    for code in open.filter(|code| !codes::PROTECTED.contains(code)).collect::<BTreeSet<u16>>() {
        assert!(!config.protected_codes.contains(&format!("{code:04X}")), "{code:04X} is protected by default");
    }
}

#[test]
fn every_code_of_a_table_has_a_name() {
    let nameless: BTreeSet<u32> = alerts_of(plan(1, 500, 50_000))
        .iter()
        .filter(|alert| alert.code < 1 << 16 && code_name(alert.code as u16).is_empty())
        .map(|alert| alert.code)
        .collect();
    assert_eq!(nameless, [0x8FE1, 0x9A10].into());
}
