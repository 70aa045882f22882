//! A small estate in which a network operator and the data company count the same alerts differently, each for reasons
//! that are known: what docs/reconcile.md tells of.
//!
//! It must not know how counts are compared, nor how a page looks. Invariant: what each of them counts follows from the alerts by hand, day
//! by day.

use std::{fmt::Write, fs, path::Path};

use crate::host::Host;

/// Devices that both know.
pub const DEVICES: u64 = 40;

/// What they are of a day: devices 0 to 19 send copies, 20 to 29 are throttled.
const COPYING: std::ops::Range<u64> = 0..20;
const THROTTLED: std::ops::Range<u64> = 20..30;

/// The days, of British Summer Time, and the minute after local midnight at which alerts begin.
const DAYS: [(&str, i64, i64); 3] = [
    ("2019-07-01", 1_561_935_600_000, 0),
    ("2019-07-02", 1_562_022_000_000, 120),
    ("2019-07-03", 1_562_108_400_000, 0),
];

const MINUTE_MS: i64 = 60_000;

/// The device of a number, as text.
pub fn eui(number: u64) -> String {
    format!("00-0D-6F-00-00-00-{:02X}-{:02X}", number >> 8, number & 0xFF)
}

/// The metering point of a device: an MPAN of operator 12, with its check digit.
pub fn mpan(number: u64) -> String {
    const WEIGHTS: [u64; 12] = [3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43];
    let digits = format!("12{:010}", 1_000_000 + number);
    let sum: u64 = digits.bytes().zip(WEIGHTS).map(|(digit, weight)| u64::from(digit - b'0') * weight).sum();
    format!("{digits}{}", sum % 11 % 10)
}

/// The inventory: the devices that both know, one more that the operator's file leaves out (40), and one whose clock is
/// a day behind (41).
pub fn inventory() -> String {
    let mut text = "eui,mpxn,generation,model\n".to_owned();
    for number in 0..DEVICES + 2 {
        writeln!(text, "{},{},smets1,Alpha-{}", eui(number), mpan(number), number % 3).expect("text takes text");
    }
    text
}

/// The alerts that arrive on one of the days: of each device 20 of 8F40, every other one below 258.0 V, and 10 of 8014.
pub fn alerts(day: usize) -> String {
    let mut text = "device,counter,code,occurred_ms,received_ms,voltage_v,weight\n".to_owned();
    let (_, midnight, begins) = DAYS[day];
    let mut line = |number: u64, counter: u64, code: &str, occurred: i64, received: i64, volts: &str, weight: u32| {
        writeln!(text, "{},{counter},{code},{occurred},{received},{volts},{weight}", eui(number))
            .expect("text takes text");
    };
    for number in 0..DEVICES {
        for nth in 0..30_u64 {
            let at = midnight + (begins + nth as i64 * 44) * MINUTE_MS;
            let counter = day as u64 * 30 + nth + 1;
            let (code, volts) = match nth % 3 {
                2 => ("8014", ""),
                _ if nth % 2 == 0 => ("8F40", "255.0"),
                _ => ("8F40", "259.0"),
            };
            let weight = if THROTTLED.contains(&number) && nth == 1 { 61 } else { 1 };
            line(number, counter, code, at, at, volts, weight);
            // A copy of each alert that passes any threshold, as far as there are five of a kind.
            if COPYING.contains(&number) && copied(nth) {
                line(number, counter, code, at, at + 1_000, volts, weight);
            }
        }
    }
    if day == 1 {
        for nth in 0..4_u64 {
            let at = midnight + (600 + nth as i64) * MINUTE_MS;
            line(DEVICES, nth + 1, "8F40", at, at, "259.0", 1);
        }
        for nth in 0..3_u64 {
            let at = midnight + (600 + nth as i64) * MINUTE_MS;
            line(DEVICES + 1, nth + 1, "8014", at - 1_440 * MINUTE_MS, at, "", 1);
        }
    }
    text
}

/// Whether an alert of a copying device comes twice: five of 8F40 at 259.0 V, and five of 8014.
fn copied(nth: u64) -> bool {
    match nth % 3 {
        2 => nth < 15,
        _ => nth % 2 == 1 && nth < 15,
    }
}

/// What the operator exports: what reached it, copies and what throttled alerts stand for included, by local day. On the
/// third day a rule holds back 8F40 below 258.0 V. It knows a device that nobody else does, and goes by the device's
/// clock.
pub fn counts() -> String {
    let mut text = "MPxN,Date,Alert Code,Count\n".to_owned();
    let mut line = |mpan: &str, day: usize, code: &str, count: u64| {
        if count > 0 {
            writeln!(text, "{mpan},{},{code},{count}", DAYS[day].0).expect("text takes text");
        }
    };
    for day in 0..DAYS.len() {
        for number in 0..DEVICES {
            let copies = if COPYING.contains(&number) { 5 } else { 0 };
            let throttled = if THROTTLED.contains(&number) { 60 } else { 0 };
            let held = if day == 2 { 10 } else { 0 };
            line(&mpan(number), day, "8F40", 20 - held + copies + throttled);
            line(&mpan(number), day, "8014", 10 + copies);
        }
    }
    line(&mpan(DEVICES + 50), 1, "8F40", 5);
    line(&mpan(DEVICES + 1), 0, "8014", 3);
    text
}

/// A name that is an attack wherever it is not text.
pub const HOSTILE: &str = "=cmd|' /C calc'!A0<script>x</script>";

/// Settings of a host that keeps what happened that long ago.
pub const KEEPING: (&str, &str) = ("WEIR_STORE__RETENTION_DAYS_MAX", "36500");

/// A host on which all of it happened, with a model whose name is an attack, a rule on the third day and a shadow of
/// another one. A token is for a host that asks for one.
pub fn happened(host: &Host, folder: &Path, token: Option<&str>) {
    let token: Vec<&str> = token.into_iter().flat_map(|token| ["--token", token]).collect();
    let tell = |arguments: &[&str]| host.json([arguments, &["--json"], &token[..]].concat());
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("it is written");
        path.to_str().expect("a path").to_owned()
    };
    tell(&["plugin", "push", env!("WEIR_GUEST_THRESHOLD")]);
    tell(&["device", "load", &file("devices.csv", &inventory().replace("Alpha-1", HOSTILE))]);
    let parameters = r#"{"codes":["8F40"],"below_dv":2570}"#;
    tell(&["rule", "set", "shadow", "--plugin", "threshold", "--mode", "shadow", "--parameters", parameters]);
    for day in 0..DAYS.len() {
        if day == 2 {
            let parameters = r#"{"codes":["8F40"],"below_dv":2580}"#;
            let set = ["rule", "set", "voltage", "--plugin", "threshold", "--parameters", parameters, "--why", HOSTILE];
            tell(&set);
        }
        tell(&["alert", "send", &file("alerts.csv", &alerts(day))]);
    }
}
