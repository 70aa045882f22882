//! The levels of alerts in a period.
//!
//! It must not know how they are asked for. Invariant: every format has the same sections with the same lines; changes to
//! rules, and how many alerts have a reading, are not levels and are in no sheet.

use serde::Serialize;

use super::{alert::Balance, clean};

pub(crate) mod coverage;

use crate::{
    cli::{
        sheet::Sheet,
        table::{Value, count_of, thousands},
    },
    migration::thousandths,
};
pub(crate) use coverage::Coverage;

/// Characters of one cell of a text.
const CELL_CHARS_MAX: usize = 200;
/// Characters of a sentence: more than any has, its names included.
const SENTENCE_CHARS_MAX: usize = 2_000;

/// The level of one thing.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Line {
    pub key: String,
    /// The key with its name.
    pub label: String,
    /// Devices that the inventory lists. Absent where they cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<u64>,
    pub received: u64,
    pub forwarded: u64,
    pub suppressed: u64,
    pub rejected: u64,
    pub duplicate: u64,
    /// Forwarded and suppressed alerts of 1,000 devices a day, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_per_1000_device_days: Option<u64>,
    /// Forwarded alerts of 1,000 devices a day, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded_per_1000_device_days: Option<u64>,
    /// Forwarded and suppressed alerts of the period before. Absent where there is none to compare with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_before: Option<u64>,
    /// Left out where it is false: alerts may still come that count here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_provisional: bool,
}

impl Line {
    /// From the ends of some alerts.
    pub(crate) fn new(key: String, label: String, balance: &Balance) -> Self {
        let Balance { received, forwarded, suppressed, rejected, duplicate } = *balance;
        Self { key, label, received, forwarded, suppressed, rejected, duplicate, ..Self::default() }
    }

    /// Alerts that were taken, each once: the level before suppression.
    pub(crate) fn taken(&self) -> u64 {
        self.forwarded + self.suppressed
    }

    /// With the level of so many devices in so many days.
    #[must_use]
    pub(crate) fn of_devices(mut self, devices: u64, days: u64) -> Self {
        self.devices = Some(devices);
        let device_days = u128::from(devices) * u128::from(days);
        let level = |count: u64| u64::try_from((u128::from(count) * 1_000).div_ceil(device_days)).ok();
        if device_days > 0 {
            self.taken_per_1000_device_days = level(self.taken());
            self.forwarded_per_1000_device_days = level(self.forwarded);
        }
        self
    }

    /// How much it changed.
    fn trend(&self) -> String {
        match self.taken_before {
            None => "-".to_owned(),
            Some(0) if self.taken() == 0 => "0 %".to_owned(),
            Some(0) => "new".to_owned(),
            Some(before) => {
                let tenths = (i128::from(self.taken()) - i128::from(before)) * 1_000 / i128::from(before);
                let sign = if tenths < 0 { "-" } else { "+" };
                format!("{sign}{}.{} %", tenths.abs() / 10, tenths.abs() % 10)
            }
        }
    }

    /// In the order of the headings.
    pub(crate) fn values(&self) -> Vec<Value> {
        let number = |number: Option<u64>| number.map_or_else(|| Value::text("-"), Value::Number);
        let level = |level: Option<u64>| Value::Quantity(level.map_or_else(|| "-".to_owned(), thousandths));
        vec![
            Value::text(&self.label),
            number(self.devices),
            Value::Number(self.received),
            Value::Number(self.taken()),
            Value::Number(self.forwarded),
            Value::Number(self.suppressed),
            level(self.taken_per_1000_device_days),
            level(self.forwarded_per_1000_device_days),
            number(self.taken_before),
            Value::Quantity(self.trend()),
        ]
    }
}

/// Lines of one kind.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Section {
    pub name: &'static str,
    pub title: String,
    pub lines: Vec<Line>,
}

/// A change to a rule.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Change {
    pub rule: String,
    pub revision: u32,
    pub made_at: String,
    pub who: String,
    pub why: String,
    pub became: String,
    /// By this revision, within the period.
    pub suppressed: u64,
    /// By this revision, within the period.
    pub overruled: u64,
}

impl Change {
    pub(crate) const HEADINGS: [&str; 8] =
        ["rule", "revision", "made", "by", "it became", "suppressed by it", "overruled", "why"];

    /// In the order of the headings.
    pub(crate) fn values(&self) -> Vec<Value> {
        vec![
            Value::text(&self.rule),
            Value::Number(self.revision.into()),
            Value::text(&self.made_at),
            Value::text(&self.who),
            Value::text(&self.became),
            Value::Number(self.suppressed),
            Value::Number(self.overruled),
            Value::text(&self.why),
        ]
    }
}

/// A report.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub first_day: String,
    pub last_day: String,
    pub days: u64,
    pub before_first_day: String,
    /// What it is confined to, in words; empty for everything.
    pub scope: String,
    pub total: Line,
    /// Alerts that occurred in the period may still come, on a day of receipt after it. Left out where it is false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_undelivered: bool,
    /// Devices that raised an alert in the period.
    pub alerting_devices: u64,
    pub sections: Vec<Section>,
    pub changes: Vec<Change>,
    /// Changes that are left out.
    pub changes_left_out: u32,
    /// How many alerts of average voltage have a reading. Left out where the host has no readings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readings: Option<Coverage>,
    pub position: u64,
}

impl Report {
    pub(crate) const HEADINGS: [&str; 10] = [
        "",
        "devices",
        "received",
        "raw",
        "forwarded",
        "suppressed",
        "raw a device and day",
        "forwarded a device and day",
        "raw before",
        "trend",
    ];

    /// What it is about.
    pub(crate) fn title(&self) -> String {
        let scope = if self.scope.is_empty() { String::new() } else { format!(" ({})", self.scope) };
        format!("Alert levels, {} to {}{scope}", self.first_day, self.last_day)
    }

    /// The most important figures as sentences.
    pub(crate) fn summary(&self) -> Vec<String> {
        let Line { devices, forwarded, suppressed, duplicate, rejected, .. } = &self.total;
        let level = |level: Option<u64>| level.map_or_else(|| "-".to_owned(), thousandths);
        let mut sentences = vec![
            format!(
                "{} taken: {} forwarded, {} suppressed. {}, {} could not be taken.",
                count_of(self.total.taken(), "alert was", "alerts were"),
                thousands(*forwarded),
                thousands(*suppressed),
                count_of(*duplicate, "more was a copy", "more were copies"),
                thousands(*rejected)
            ),
            format!(
                "The inventory lists {}, and {} raised an alert: {} a listed device and day, {} after suppression.",
                count_of(devices.unwrap_or(0), "device", "devices"),
                thousands(self.alerting_devices),
                level(self.total.taken_per_1000_device_days),
                level(self.total.forwarded_per_1000_device_days)
            ),
            format!("Against the period before (from {}): {}.", self.before_first_day, self.total.trend()),
        ];
        if self.total.is_provisional {
            sentences.push("The period is not over: its counts are not final.".to_owned());
        } else if self.has_undelivered {
            let late = "The days of receipt are over, and their counts final. Alerts that occurred in the last two days of the \
                        period may still come, and count on the day they are received: the DCC keeps for two days what it \
                        cannot deliver.";
            sentences.push(late.to_owned());
        }
        sentences
    }

    /// All sections, the total first.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &str, &[Line])> {
        let total = ("total", "In all", std::slice::from_ref(&self.total));
        std::iter::once(total)
            .chain(self.sections.iter().map(|section| (section.name, section.title.as_str(), &section.lines[..])))
    }

    /// As CSV: a row a line, with the section it is of.
    pub(crate) fn sheet(&self) -> String {
        let mut sheet = Sheet::new(&[
            "section",
            "key",
            "devices",
            "received",
            "forwarded",
            "suppressed",
            "rejected",
            "duplicate",
            "taken_per_1000_device_days",
            "forwarded_per_1000_device_days",
            "taken_before",
            "not_final",
        ]);
        let number = |number: Option<u64>| number.map_or_else(|| Value::text(""), Value::Number);
        for (name, _, lines) in self.all() {
            for line in lines {
                sheet.row([
                    Value::text(name),
                    Value::text(&line.key),
                    number(line.devices),
                    Value::Number(line.received),
                    Value::Number(line.forwarded),
                    Value::Number(line.suppressed),
                    Value::Number(line.rejected),
                    Value::Number(line.duplicate),
                    number(line.taken_per_1000_device_days),
                    number(line.forwarded_per_1000_device_days),
                    number(line.taken_before),
                    Value::text(if line.is_provisional { "yes" } else { "" }),
                ]);
            }
        }
        sheet.finish()
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", marked(&self.title(), SENTENCE_CHARS_MAX));
        self.summary()
            .iter()
            .for_each(|sentence| text.push_str(&format!("{}\n", marked(sentence, SENTENCE_CHARS_MAX))));
        for (_, title, lines) in self.all() {
            text.push_str(&format!("\n## {}\n\n", marked(title, CELL_CHARS_MAX)));
            text.push_str(&markdown_table(&Self::HEADINGS, lines.iter().map(Line::values)));
        }
        if let Some(coverage) = &self.readings {
            text.push_str(&format!("\n## {}\n\n{}\n\n", Coverage::TITLE, coverage.summary()));
            text.push_str(&markdown_table(&Coverage::HEADINGS, coverage.codes.iter().map(coverage::CodeLine::values)));
        }
        text.push_str("\n## Changes to rules\n\n");
        text.push_str(&markdown_table(&Change::HEADINGS, self.changes.iter().map(Change::values)));
        if self.changes_left_out > 0 {
            text.push_str(&format!("\n{} later changes are left out.\n", self.changes_left_out));
        }
        text
    }
}

fn markdown_table(headings: &[&str], rows: impl Iterator<Item = Vec<Value>>) -> String {
    let mut text = format!("| {} |\n|{}\n", headings.join(" | "), "---|".repeat(headings.len()));
    for row in rows {
        let cells = row.into_iter().map(|value| match value {
            Value::Number(number) => thousands(number),
            Value::Quantity(cell) | Value::Text(cell) => marked(&cell, CELL_CHARS_MAX),
        });
        text.push_str(&format!("| {} |\n", cells.collect::<Vec<_>>().join(" | ")));
    }
    text
}

/// Text that means nothing to Markdown, nor to the HTML that may come of it, cut to `chars_max` characters.
fn marked(text: &str, chars_max: usize) -> String {
    let mut marked = String::with_capacity(text.len());
    for character in clean(text, chars_max).chars() {
        match character {
            '<' => marked.push_str("&lt;"),
            '>' => marked.push_str("&gt;"),
            '&' => marked.push_str("&amp;"),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '!' | '#' | '~' => marked.extend(['\\', character]),
            other => marked.push(other),
        }
    }
    marked
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{coverage::tests::coverage, *};

    /// A report of a day without alerts, on a host with readings or without.
    pub(crate) fn report(readings: Option<Coverage>) -> Report {
        Report {
            first_day: "2026-11-29".to_owned(),
            last_day: "2026-11-29".to_owned(),
            days: 1,
            before_first_day: "2026-11-28".to_owned(),
            scope: String::new(),
            total: Line::default(),
            has_undelivered: false,
            alerting_devices: 0,
            sections: Vec::new(),
            changes: Vec::new(),
            changes_left_out: 0,
            readings,
            position: 7,
        }
    }

    #[test]
    fn a_report_says_how_many_alerts_have_a_reading_or_has_no_word_of_readings() {
        let with = report(Some(coverage()));
        let text = with.markdown();
        let table = "| code | alerts | with a reading | share | no reading | no time | two periods | withheld copies |";
        assert!(text.contains("## Alerts of average voltage that have a reading") && text.contains(table), "{text}");
        assert!(text.contains("| 1,200 | 1,199 | 99.9 % | 0 | 1 | 0 | 0 |"), "{text}");
        let json = serde_json::to_value(&with).unwrap();
        assert_eq!(json["readings"]["codes"][1]["without_reading"]["withheld-copies"], 3);
        assert_eq!((&json["readings"]["alerts"], &json["readings"]["with_reading"]), (&1_210.into(), &1_199.into()));
        let without = report(None);
        let json = serde_json::to_string(&without).unwrap();
        for text in [without.markdown(), without.sheet(), json] {
            assert!(!text.contains("reading") && !text.contains("average"), "{text}");
        }
        assert_eq!(with.sheet(), without.sheet(), "a sheet has levels alone");
    }

    #[test]
    fn levels_are_rounded_up_and_trends_have_a_sign() {
        let line = |taken, before| {
            let balance = Balance { received: taken, forwarded: taken, ..Balance::default() };
            Line { taken_before: before, ..Line::new("k".into(), "k".into(), &balance).of_devices(3, 7) }
        };
        assert_eq!(line(22, None).taken_per_1000_device_days, Some(1_048));
        assert_eq!(
            line(0, None).of_devices(0, 7).taken_per_1000_device_days,
            Some(0),
            "of no device nothing is computed"
        );
        let trends = [
            (22, None, "-"),
            (0, Some(0), "0 %"),
            (5, Some(0), "new"),
            (5, Some(10), "-50.0 %"),
            (15, Some(10), "+50.0 %"),
        ];
        for (taken, before, trend) in trends {
            assert_eq!(line(taken, before).trend(), trend);
        }
    }

    #[test]
    fn a_hostile_name_is_text_in_markdown_too() {
        assert_eq!(marked("a|b<script>[x](y)\n", CELL_CHARS_MAX), "a\\|b&lt;script&gt;\\[x\\](y)\u{FFFD}");
    }
}
