use weir_proto::v1;

use super::*;

/// Alerts of every answer here.
const ALL: u64 = 100;

/// What becomes of them where nothing is changed.
const NOW: u64 = 90;

fn sums(forwarded: u64) -> Option<v1::WhatIfSums> {
    Some(v1::WhatIfSums { forwarded, suppressed: ALL - forwarded, ..v1::WhatIfSums::default() })
}

fn outcome(label: &str, forwarded: u64) -> v1::WhatIfOutcome {
    let total = Some(v1::AgreementRow { would_suppress: NOW - forwarded, ..v1::AgreementRow::default() });
    v1::WhatIfOutcome { label: label.to_owned(), then: sums(forwarded), total, ..v1::WhatIfOutcome::default() }
}

fn answer(outcomes: Vec<v1::WhatIfOutcome>, readings: Option<v1::WhatIfReadings>) -> Answer {
    Answer::from(v1::WhatIfAnswer { now: sums(NOW), outcomes, readings, ..v1::WhatIfAnswer::default() })
}

/// The page of an answer, below its head.
fn page(answer: &Answer, swept: Option<(&str, Option<i64>)>, query: &str) -> String {
    let (here, names) = (Address::read("/what-ifs/7", query), Names::builtin());
    let is_as_device = answer.readings.as_ref().is_some_and(|readings| readings.devices.is_some());
    let role = if is_as_device { v1::ReadingRole::Device } else { v1::ReadingRole::Filter };
    let asked = v1::ReadingQuestion { role: role.into(), ..v1::ReadingQuestion::default() };
    let readings = answer.readings.is_some().then_some(asked);
    let stage = v1::WhatIfStage::Done.into();
    let what_if = WhatIf::from(v1::WhatIf { id: 7, stage, readings, ..v1::WhatIf::default() });
    let answer = Some(answer);
    body(&Shown { here: &here, what_if: &what_if, answer, swept, names: &names, may_ask: true }).into_string()
}

/// What a page says, without its markup, with single spaces.
fn said(page: &str) -> String {
    let mut said = String::new();
    let mut is_in_tag = false;
    for character in page.chars() {
        match character {
            '<' => is_in_tag = true,
            '>' => {
                is_in_tag = false;
                said.push(' ');
            }
            _ if !is_in_tag => said.push(character),
            _ => {}
        }
    }
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn says(page: &str, wanted: &str) {
    let said = said(page);
    assert!(said.contains(wanted), "{wanted:?} is not in: {said}");
}

fn losses(counts: &[(&str, u64)]) -> Vec<v1::WhatIfLoss> {
    counts.iter().map(|(kind, count)| v1::WhatIfLoss { kind: (*kind).to_owned(), count: *count }).collect()
}

/// A sweep over two values. At the first all 20 undecided alerts are forwarded or not; at the second 10 of 20.
fn as_filter() -> Answer {
    let decided = v1::WhatIfDecided {
        held: 1_234,
        passed: 3,
        straddling: 5,
        without_reading: losses(&[("no-reading", 12), ("withheld-copies", 3)]),
        hidden: 7,
        hidden_unknown: 2,
        highest_dv: Some(2_594),
        excursions: vec![v1::WhatIfExcursion {
            device_id: 0x000D_6F00_0000_0001,
            phase: v1::Phase::L2.into(),
            code: 0x8004,
            occurred_at_ms: 1_562_000_000_000,
            read: Some(v1::VoltageRange { low_dv: 2_540, high_dv: 2_549 }),
            furthest: Some(v1::VoltageRange { low_dv: 2_601, high_dv: 2_601 }),
            furthest_end_ms: 1_562_003_600_000,
        }],
        devices: vec![v1::WhatIfReadDevice { device_id: 0x000D_6F00_0000_0001, decided: 41, undecided: 6 }],
    };
    let readings = v1::WhatIfReadings {
        readings_digest: "aa11".to_owned(),
        thresholds_digest: "bb22".to_owned(),
        models_digest: "cc33".to_owned(),
        variants: vec![decided.clone(), decided],
        all_held: vec![outcome("below_dv=2540", 40), outcome("below_dv=2560", 40)],
        devices: None,
    };
    answer(vec![outcome("below_dv=2540", 60), outcome("below_dv=2560", 50)], Some(readings))
}

#[test]
fn without_readings_there_is_no_word_of_them() {
    let two = answer(vec![outcome("below_dv=2530", 40), outcome("below_dv=2580", 0)], None);
    let one = answer(vec![outcome("mine", 40)], None);
    let pages = [
        page(&two, Some(("below_dv", Some(2_580))), ""),
        page(&two, Some(("below_dv", None)), "variant=below_dv%3D2530"),
        page(&one, None, ""),
    ];
    for page in pages {
        for word in ["reading", "undecided", "pattern", "polygon", "key line", "Thresholds"] {
            assert!(!page.contains(word), "{word}: {page}");
        }
    }
}

#[test]
fn a_curve_has_what_is_undecided_below_it_by_why() {
    let page = page(&as_filter(), Some(("below_dv", Some(2_540))), "");
    // 100 alerts are 212 pixels: 60 of them at the first value, of which 5 straddle and 15 have no reading.
    let band = "<polygon class=\"band\" points=\"112.0,128.8 920.0,150.0 920.0,154.3 112.0,139.4\">";
    let stripes = "<polygon class=\"stripes\" points=\"112.0,139.4 920.0,154.3 920.0,171.2 112.0,171.2\"";
    assert!(page.contains(band) && page.contains(stripes), "{page}");
    says(
        &page,
        "forwarded if nothing undecided is held back undecided: the reading straddles the limit undecided: no reading",
    );
    says(&page, "at 2540 60, undecided: the reading straddles the limit: 5, undecided: no reading: 15; at 2560 50,");
    // The table has what the picture has.
    says(&page, "below_dv=2540 1,234 3 5 15 60 40 below_dv=2560 1,234 3 5 15 50 40");
    says(&page, "below_dv=2560: of 20 undecided alerts only 10 change what is forwarded");
    says(&page, "Shared in proportion, 2 straddle the limit and 8 have no reading.");
    assert_eq!(page.matches("Shared in proportion").count(), 1, "not where each of them changes it");
    says(&page, "what would have been with each value if nothing undecided were held back");
    says(&page, "Candidate sees all alerts");
    says(&page, "Readings aa11 Thresholds bb22 Models cc33");
}

#[test]
fn the_detail_has_what_would_be_hidden_and_why_alerts_are_undecided() {
    let page = page(&as_filter(), Some(("below_dv", None)), "variant=below_dv%3D2540");
    says(
        &page,
        "That is if none of 20 undecided alerts is held back. If all are, 50 alerts would be newly suppressed.",
    );
    says(&page, "1,234 alerts of average voltage would be held back for sure.");
    says(&page, "The highest voltage that may be among them and what followed is 259.4 V .");
    says(&page, "After 7 of them voltage went on to what the rule would have let pass.");
    says(&page, "Of 2 of them it is not known what followed");
    says(&page, "00-0D-6F-00-00-00-00-01 2 8004");
    says(&page, "254.0 to 254.9 V 260.1 V");
    says(&page, "no-reading 12 60.0 % no reading is stored");
    says(&page, "withheld-copies 3 15.0 %");
    says(&page, "reading-straddles 5 25.0 %");
    says(&page, "00-0D-6F-00-00-00-00-01 41 6");
    assert!(page.contains("href=\"/devices/00-0D-6F-00-00-00-00-01\""), "{page}");
}

#[test]
fn one_variant_is_two_bars_by_what_becomes_of_what_is_undecided() {
    let Answer { mut outcomes, readings, .. } = as_filter();
    outcomes.truncate(1);
    let page = page(&Answer { outcomes, readings, ..answer(Vec::new(), None) }, None, "");
    says(&page, "undecided forwarded: below_dv=2540: 60 forwarded, 40 suppressed");
    says(&page, "undecided held back: below_dv=2540: 40 forwarded, 60 suppressed");
}

fn range(least: u64, most: u64) -> Option<v1::CountRange> {
    Some(v1::CountRange { least, most })
}

fn at(threshold_dv: u32, least: u64, most: u64) -> v1::WhatIfAtThreshold {
    v1::WhatIfAtThreshold {
        threshold_dv,
        alerts: range(least, most),
        by_operator: vec![v1::WhatIfByOperator { operator: 12, alerts: range(least, most) }],
        by_model: vec![v1::WhatIfByModel { model: "<b>M</b>".to_owned(), alerts: range(0, 1) }],
        devices: range(4, 4),
        most: vec![v1::WhatIfAlertingDevice { device_id: 0x000D_6F00_0000_0009, alerts: range(8, 9) }],
    }
}

/// Meters with other thresholds, in an order that is not theirs.
fn as_device(thresholds: Vec<v1::WhatIfAtThreshold>) -> Answer {
    let backtest = v1::WhatIfBacktest {
        matched: 21,
        alerts_without_crossing: 22,
        open: 23,
        crossings_without_alert: 24,
        devices_without_threshold: 25,
    };
    let coverage = v1::WhatIfCoverage {
        model: String::new(),
        devices: 31,
        devices_read: 32,
        periods_read: 33,
        periods_missing: 34,
    };
    let devices = v1::WhatIfDevices {
        limit: v1::VoltageLimit::Under.into(),
        thresholds,
        recorded: 50,
        recorded_elsewhere: 51,
        backtest: Some(backtest),
        coverage: vec![coverage],
    };
    let readings = v1::WhatIfReadings { devices: Some(devices), ..v1::WhatIfReadings::default() };
    Answer::from(v1::WhatIfAnswer { readings: Some(readings), ..v1::WhatIfAnswer::default() })
}

#[test]
fn thresholds_of_meters_are_a_curve_in_their_order_with_what_is_open_below_it() {
    let answer = as_device(vec![at(2_100, 60, 100), at(2_000, 20, 40)]);
    let page_of_all = page(&answer, None, "");
    // From the lower threshold to the higher one, from the most down to the least.
    let band = "<polygon class=\"band\" points=\"112.0,171.2 920.0,44.0 920.0,128.8 112.0,213.6\">";
    assert!(page_of_all.contains(band) && !page_of_all.contains("pattern"), "{page_of_all}");
    says(&page_of_all, "by threshold of average under-voltage alerts at most open: readings can mean either");
    says(
        &page_of_all,
        "at 2000 40, open: readings can mean either: 20; at 2100 100, open: readings can mean either: 40.",
    );
    says(&page_of_all, "as it was 50 50 210.0 V 60 100 4 4 200.0 V 20 40 4 4");
    says(&page_of_all, "Choose a threshold above");
    says(&page_of_all, "Explained by a crossing 21 Alert without a crossing 22 Crossing without an alert 24");
    says(
        &page_of_all,
        "Alert of which nothing is known 23 Devices without a known threshold 25 Alerts of other devices 51",
    );
    says(&page_of_all, "unknown 31 32 33 34");
    assert!(!page_of_all.contains("Candidate sees") && !page_of_all.contains("no rule was asked"), "{page_of_all}");
    let chosen = page(&answer, None, "threshold=2000");
    says(&chosen, "At 200.0 V Meters would have raised 20 to 40 alerts, of 4 devices.");
    says(&chosen, "12 LOND 20 40");
    says(&chosen, "&lt;b&gt;M&lt;/b&gt; 0 1");
    says(&chosen, "00-0D-6F-00-00-00-00-09 8 9");
    says(&page(&answer, None, "threshold=1999"), "No threshold is &quot;1999&quot;.");
    let one = page(&as_device(vec![at(2_530, 20, 40)]), None, "");
    says(&one, "as it was: 50 for sure, 0 open: readings can mean either; 253.0 V: 20 for sure, 20 open");
    says(&one, "At 253.0 V Meters would have raised");
}

#[test]
fn the_head_says_what_readings_answer() {
    let of = |readings| {
        let what_if = WhatIf::from(v1::WhatIf { id: 7, rule: "voltage".to_owned(), readings, ..v1::WhatIf::default() });
        said(&head(&what_if).into_string())
    };
    let asked =
        |role: v1::ReadingRole| Some(v1::ReadingQuestion { role: role.into(), ..v1::ReadingQuestion::default() });
    assert!(of(None).contains("Rule voltage , alerts received from the oldest to when it was asked."), "{}", of(None));
    let filter = of(asked(v1::ReadingRole::Filter));
    assert!(filter.contains("Rule voltage as a filter by readings, alerts received from the oldest"), "{filter}");
    let device = of(asked(v1::ReadingRole::Device));
    let wanted = "As the device: what meters would raise with other thresholds of average over-voltage, by readings of \
                  periods that ended from the oldest to when it was asked.";
    assert!(device.contains(wanted) && !device.contains("Rule"), "{device}");
}
