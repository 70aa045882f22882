//! Both questions that readings answer, through the real binary, against meters of which it is known what they measured:
//! which alerts a filter would hold back, and which alerts meters would have raised with another threshold.

use std::{fmt::Write, fs, path::Path};

use serde_json::Value;
use weir_host::domain::{Limit, Rounding, TimeStatus};
use weir_tests::{
    host::{Host, KEEPS_ALL, file},
    meters::{Meter, Quality, Raised, estate},
    typed,
    workload::{Random, seed},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const PERIODS: usize = 200;
const CODES: &str = r#""codes":["8002","8003","8004","8005"]"#;
const BELOW_DV: [u16; 6] = [2_500, 2_520, 2_540, 2_560, 2_580, 2_600];
const THRESHOLDS_DV: [u16; 3] = [2_480, 2_530, 2_555];

/// Name of the model of a meter: what is said of a model is how it rounds.
fn model(meter: &Meter) -> &'static str {
    match meter.rounding {
        None => "Tenths",
        Some(Rounding::Unknown) => "Whole",
        Some(Rounding::Nearest) => "Nearest",
        Some(Rounding::Down) => "Down",
    }
}

fn device(meter: &Meter) -> String {
    format!("{:016X}", meter.device.0)
}

fn start(folder: &Path) -> Host {
    let settings = [KEEPS_ALL, ("WEIR_READINGS__RETENTION_DAYS_MAX", "36500"), ("WEIR_WHATIF__CPU_PERCENT_MAX", "100")];
    Host::start_with(BINARY, &folder.join("data"), &settings)
}

/// Writes what there is of an estate: its inventory, its thresholds, what was read of it, and its alerts.
fn write(folder: &Path, meters: &[Meter]) -> [String; 4] {
    let mut devices = "eui,mpxn,generation,model,operator\n".to_owned();
    let mut thresholds = "device,limit,threshold_dv,from_ms\n".to_owned();
    let mut readings = "device,phase,period_end_ms,length_s,voltage_v\n".to_owned();
    let mut alerts = Vec::new();
    for meter in meters {
        // The phases of a meter are one device, with one model and one set of thresholds.
        if meter.phase as u8 <= 1 {
            writeln!(devices, "{},,smets2,{},12", device(meter), model(meter)).unwrap();
            for configured in &meter.configured {
                let from_ms = meter.end_ms(configured.from);
                for (limit, dv) in [("over", configured.over_dv), ("under", configured.under_dv)] {
                    writeln!(thresholds, "{},{limit},{dv},{from_ms}", device(meter)).unwrap();
                }
            }
        }
        for (period, mv) in meter.averages_mv.iter().enumerate() {
            if let Some(reading) = meter.reading(period) {
                let volts = match meter.whole_volts(period) {
                    None => format!("{}.{}", mv / 1_000, mv / 100 % 10),
                    Some(volts) => volts.to_string(),
                };
                let (device, phase) = (device(meter), meter.phase as u8);
                let phase = if phase == 0 { String::new() } else { phase.to_string() };
                writeln!(readings, "{device},{phase},{},{},{volts}", reading.end_ms, meter.length_s).unwrap();
            }
        }
        for raised in &meter.raised {
            let first = if raised.limit == Limit::Over { 0x8002 } else { 0x8006 };
            let code = format!("{:04X}", first + u16::from(meter.phase as u8));
            let status = if raised.status == TimeStatus::Stated { "" } else { "unreliable" };
            let received_ms = meter.end_ms(raised.period) + 300_000;
            let row =
                format!("{},{code},{},{received_ms},{},{status}", device(meter), raised.occurred_ms, raised.weight);
            alerts.push((received_ms, row));
        }
    }
    alerts.sort();
    let mut sent = "device,code,occurred_ms,received_ms,weight,occurred_at_status\n".to_owned();
    alerts.iter().for_each(|(_, row)| writeln!(sent, "{row}").unwrap());
    [("devices.csv", devices), ("thresholds.csv", thresholds), ("readings.csv", readings), ("alerts.csv", sent)]
        .map(|(name, text)| file(folder, name, &text))
}

/// A host that has an estate.
fn with(folder: &Path, meters: &[Meter]) -> Host {
    let host = start(folder);
    let [devices, thresholds, readings, alerts] = write(folder, meters);
    host.json(["device", "load", &devices, "--json"]);
    host.json(["threshold", "load", &thresholds, "--json"]);
    host.json(["reading", "load", &readings, "--json"]);
    for (model, rounding) in [("Nearest", "nearest"), ("Down", "down")] {
        host.json(["reading", "model", "set", model, "--rounding", rounding, "--json"]);
    }
    host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"]);
    let parameters = format!("{{{CODES},\"below_dv\":2300}}");
    host.json(["rule", "set", "voltage", "--plugin", "threshold", "--parameters", &parameters, "--json"]);
    host.json(["alert", "send", &alerts, "--format", "csv", "--batch", "200", "--json"]);
    host
}

fn ask(host: &Host, arguments: &[&str]) -> Value {
    let all = ["whatif", "run", "--json", "--readings", "--as"].into_iter().chain(arguments.iter().copied());
    host.json(all).remove(0)["answer"].clone()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// What a filter holds back of alerts that carry what their meter measured.
fn held(meters: &[Meter], below_dv: u16) -> u64 {
    let over = meters.iter().flat_map(|meter| {
        let raised = meter.raised.iter().filter(|raised| raised.limit == Limit::Over);
        raised.map(|raised| meter.averages_mv[raised.period] / 100)
    });
    over.filter(|dv| *dv < i64::from(below_dv)).count() as u64
}

/// Of those, after how many voltage went on to what the filter lets pass, and of how many the end is not known: it was beyond
/// the threshold still in the last period.
fn hidden(meters: &[Meter], below_dv: u16) -> [u64; 2] {
    let below_mv = i64::from(below_dv) * 100;
    let mut counts = [0, 0];
    for meter in meters {
        let periods = meter.averages_mv.len();
        let is_beyond =
            |period: &usize| meter.averages_mv[*period] > i64::from(meter.configured_dv(Limit::Over, *period)) * 100;
        let held = meter.raised.iter().filter(|raised| raised.limit == Limit::Over);
        for from in held.map(|raised| raised.period).filter(|period| meter.averages_mv[*period] < below_mv) {
            let episode: Vec<usize> = (from..periods).take_while(is_beyond).collect();
            let goes_on = episode.iter().any(|period| meter.averages_mv[*period] >= below_mv);
            let is_open = episode.last() == Some(&(periods - 1));
            counts = [counts[0] + u64::from(goes_on), counts[1] + u64::from(!goes_on && is_open)];
        }
    }
    counts
}

/// What meters would have raised at the ends of periods that were read.
fn raised(meters: &[Meter], threshold_dv: u16) -> u64 {
    let of = |meter: &Meter| {
        let crossed = meter.crossings(Limit::Over, &|_| threshold_dv);
        crossed.into_iter().filter(|period| meter.is_read[*period]).count() as u64
    };
    meters.iter().map(of).sum()
}

const FILTER: [&str; 5] = ["filter", "--rule", "voltage", "--sweep", "below_dv=2500..2600:20"];
const DEVICE: [&str; 3] = ["device", "--threshold", "2480,2530,2555"];

#[test]
fn where_everything_was_read_both_answers_are_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(seed(2_580));
    let meters = estate(&mut random, 12, PERIODS, Quality::PERFECT);
    let host = with(folder.path(), &meters);

    let answer = ask(&host, &FILTER);
    for (at, below_dv) in BELOW_DV.into_iter().enumerate() {
        let (decided, all_held) = (&answer["readings"]["variants"][at], &answer["readings"]["all_held"][at]);
        assert_eq!(number(&decided["held"]), held(&meters, below_dv), "below {below_dv}: {decided}");
        assert_eq!(answer["outcomes"][at]["then"], all_held["then"], "nothing is undecided");
        assert_eq!(number(&answer["outcomes"][at]["then"]["suppressed"]), held(&meters, below_dv));
        let found = ["hidden", "hidden_unknown"].map(|name| number(&decided[name]));
        assert_eq!(found, hidden(&meters, below_dv), "below {below_dv}: {decided}");
    }
    assert!(hidden(&meters, 2_560)[0] > 0, "an estate where nothing is hidden shows nothing");

    let answer = ask(&host, &DEVICE);
    let devices = &answer["readings"]["devices"];
    for (at, threshold_dv) in THRESHOLDS_DV.into_iter().enumerate() {
        let alerts = &devices["thresholds"][at]["alerts"];
        assert_eq!(number(&alerts["least"]), raised(&meters, threshold_dv), "{threshold_dv}");
        // Before its first period nothing is known of a meter.
        assert!(number(&alerts["most"]) <= raised(&meters, threshold_dv) + meters.len() as u64, "{threshold_dv}");
    }
    let all_raised: usize =
        meters.iter().map(|meter| meter.raised.iter().filter(|raised| raised.limit == Limit::Over).count()).sum();
    let backtest = serde_json::json!({
        "matched": all_raised, "alerts_without_crossing": 0, "open": 0, "crossings_without_alert": 0,
        "devices_without_threshold": 0,
    });
    assert_eq!(devices["backtest"], backtest);
    assert_eq!((number(&devices["recorded"]), number(&devices["recorded_elsewhere"])), (all_raised as u64, 0));

    // The same question has the same answer, to the byte.
    let digests = |_| host.json(["whatif", "list", "--json"])[0]["answer_digest"].clone();
    let before = digests(());
    ask(&host, &DEVICE);
    assert_eq!(digests(()), before);
}

#[test]
fn where_much_is_missing_the_truth_lies_within_the_bounds() {
    let first = seed(180);
    for seed in first..first + 3 {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random::new(seed);
        let quality = Quality { gaps: 15, withheld: 10, unreliable: 10, whole_volts: true };
        let meters = estate(&mut random, 12, PERIODS, quality);
        let host = with(folder.path(), &meters);
        let answer = ask(&host, &FILTER);
        let mut is_open = false;
        for (at, below_dv) in BELOW_DV.into_iter().enumerate() {
            let all_held = &answer["readings"]["all_held"][at];
            let [least, most] =
                [&answer["outcomes"][at], all_held].map(|outcome| number(&outcome["then"]["suppressed"]));
            let truth = held(&meters, below_dv);
            assert!((least..=most).contains(&truth), "seed {seed}, below {below_dv}: {truth} is not {least} to {most}");
            is_open |= least < most;
        }
        assert!(is_open, "seed {seed}: an estate where all is known shows nothing");
        let answer = ask(&host, &DEVICE);
        for (at, threshold_dv) in THRESHOLDS_DV.into_iter().enumerate() {
            let alerts = &answer["readings"]["devices"]["thresholds"][at]["alerts"];
            let (least, most) = (number(&alerts["least"]), number(&alerts["most"]));
            let truth = raised(&meters, threshold_dv);
            assert!(
                (least..=most).contains(&truth),
                "seed {seed}, at {threshold_dv}: {truth} is not {least} to {most}"
            );
        }
    }
}

#[test]
fn a_report_says_of_each_alert_whether_it_has_a_reading_or_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(seed(2_019));
    let quality = Quality { gaps: 15, withheld: 10, unreliable: 10, whole_volts: true };
    let meters = estate(&mut random, 12, PERIODS, quality);
    let host = with(folder.path(), &meters);
    let all = || meters.iter().flat_map(|meter| meter.raised.iter().map(move |raised| (meter, raised)));
    // All of it is of the last week of this month.
    let month = ["report", "alerts", "--period", "month", "--ending", "2025-10-31", "--json"];
    let report = host.json(month).remove(0);
    let sum = |reason: &str| -> u64 {
        let codes = report["readings"]["codes"].as_array().unwrap();
        codes.iter().filter_map(|code| code["without_reading"][reason].as_u64()).sum()
    };
    let is_timed = |raised: &Raised| raised.status == TimeStatus::Stated;
    let count = |is: &dyn Fn(&Meter, &Raised) -> bool| all().filter(|(meter, raised)| is(meter, raised)).count() as u64;
    assert_eq!(number(&report["readings"]["alerts"]), count(&|_, _| true));
    assert_eq!(sum("no-time"), count(&|_, raised| !is_timed(raised)));
    assert_eq!(sum("withheld-copies"), count(&|_, raised| is_timed(raised) && raised.weight > 1));
    let could_join = |raised: &Raised| is_timed(raised) && raised.weight == 1;
    let read = count(&|meter, raised| could_join(raised) && meter.is_read[raised.period]);
    assert_eq!(number(&report["readings"]["with_reading"]), read);
    assert_eq!(sum("no-reading"), count(&|meter, raised| could_join(raised) && !meter.is_read[raised.period]));
    let text = host.weir(&month[..6]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("## Alerts of average voltage that have a reading"), "{text}");
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn the_page_shows_what_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(2_530);
    let quality = Quality { gaps: 3, withheld: 5, unreliable: 3, whole_volts: true };
    let meters = estate(&mut random, 40, PERIODS, quality);
    write(folder.path(), &meters);
    fs::copy(env!("WEIR_GUEST_THRESHOLD"), folder.path().join("threshold.wasm")).unwrap();
    let host = start(folder.path());
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/threshold-change.md");
    let page = fs::read_to_string(page).unwrap();
    // What follows is about alerts that carry a voltage, and is typed by `threshold_change.rs`.
    let (page, _) = page.split_once("## Alerts that carry a voltage").unwrap();
    let steps = typed::steps(page);
    assert_eq!(steps.len(), 10, "all commands of the page");
    assert!(typed::run(folder.path(), (BINARY, &host.url), &steps) >= 2, "the page shows what both answers look like");
}
