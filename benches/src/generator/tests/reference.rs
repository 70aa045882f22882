//! A second reading of the specification: slow, plain, over maps that keep everything, and told nothing by the
//! generator but the alerts, the inventory and the rules' parameters.

use super::*;

/// What "within a window" may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// A window begins with the first alert after the last window.
    Tumbling,
    /// The window is what lies before each alert.
    Sliding,
}

/// What storm protection keeps of one device and code.
#[derive(Default)]
struct Seen {
    passed: Vec<i64>,
    window_ms: Option<i64>,
    in_window: u64,
    times: Vec<i64>,
    withheld: u64,
}

/// The books of some alerts.
pub fn books(plan: &Plan, sent: &[Alert], window: Window) -> Books {
    let generations: HashMap<u64, i32> = plan.fleet().inventory().map(|d| (d.device_id, d.generation)).collect();
    let rules = plan.rules();
    let parameters: Vec<serde_json::Value> =
        rules.iter().map(|rule| serde_json::from_str(&rule.parameters).unwrap()).collect();
    let protected = weir_host::config::Config::default().protected_codes;

    let mut books = Books::default();
    let mut known = BTreeSet::new();
    let mut storms: BTreeMap<(u64, u32), Seen> = BTreeMap::new();
    for alert in sent {
        let mut counts = Counts { received: 1, represented: alert.weight.into(), ..Counts::default() };
        let mut by = String::new();
        let copy = (alert.device_id, alert.recipient_id, alert.originator_counter);
        if alert.device_id == 0 || alert.code > 0xFFFF {
            counts.rejected = 1;
        } else if !known.insert(copy) {
            counts.duplicate = 1;
        } else {
            let generation = generations.get(&alert.device_id).copied().unwrap_or(0);
            let matches = lists(&parameters[0], alert.code) && generation == i32::from(Generation::Smets1);
            let below = i64::from(alert.measurement.unwrap_or(i32::MAX)) < parameters[1]["below_dv"].as_i64().unwrap();
            let low = lists(&parameters[1], alert.code) && below;
            let mut storm =
                || storms.entry((alert.device_id, alert.code)).or_default().excess(alert, &parameters[2], window);
            let verdict = if matches {
                Err(0)
            } else if low {
                Err(1)
            } else {
                storm().ok_or(2)
            };
            match verdict {
                Ok(withheld) => (counts.forwarded, counts.withheld) = (1, withheld),
                Err(rule) => {
                    by = rules[rule].name.to_owned();
                    let overruled = protected.contains(&format!("{:04X}", alert.code));
                    *if overruled { &mut counts.overruled } else { &mut counts.suppressed } = 1;
                    counts.forwarded = overruled.into();
                }
            }
        }
        books.by_code.entry(u16::try_from(alert.code).ok()).or_default().add(&counts);
        books.by_rule.entry(by).or_default().add(&counts);
    }
    books
}

fn lists(parameters: &serde_json::Value, code: u32) -> bool {
    parameters["codes"].as_array().unwrap().iter().any(|listed| *listed == format!("{code:04X}"))
}

impl Seen {
    /// How many held back before an alert that passes, or `None` for one that is held back.
    fn excess(&mut self, alert: &Alert, parameters: &serde_json::Value, window: Window) -> Option<u64> {
        let number = |name: &str| parameters[name].as_i64().unwrap();
        let excluded = parameters["exclude_codes"].as_array().unwrap();
        if excluded.iter().any(|code| *code == format!("{:04X}", alert.code)) {
            return Some(0);
        }
        let now = alert.occurred_at_ms;
        let within = |since: i64| now - since < number("window_s") * 1000;
        self.times.push(now);
        let count = match window {
            Window::Sliding => self.times.iter().filter(|time| within(**time)).count() as u64,
            Window::Tumbling => {
                if !self.window_ms.is_some_and(within) {
                    (self.window_ms, self.in_window) = (Some(now), 0);
                }
                self.in_window += 1;
                self.in_window
            }
        };
        let rested = self.passed.last().is_none_or(|last| now - last >= number("period_s") * 1000);
        if count > number("more_than") as u64 && !rested {
            self.withheld += 1;
            return None;
        }
        self.passed.push(now);
        Some(std::mem::take(&mut self.withheld))
    }
}
