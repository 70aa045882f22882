//! Two parties' counts compared.
//!
//! It must not know where they came from. Invariant: table, sheet, JSON and page are of the same rows.

use jiff::civil::Date;
use serde::Serialize;

use super::count::NOT_FINAL;
use crate::{
    cli::{
        sheet::Sheet,
        table::{Table, Value, thousands},
    },
    reconciliation::{Cause, Difference, Fit, Reconciliation, Row as Compared, Standing},
};

/// Place of the day among the values of a row.
const DAY: usize = 2;

/// One row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub subject: String,
    pub code: String,
    pub day: String,
    pub standing: &'static str,
    pub theirs: Option<u64>,
    pub ours: u64,
    pub causes: Vec<&'static str>,
    pub forwarded: u64,
    pub suppressed: u64,
    pub duplicate: u64,
    pub represented: u64,
    /// Left out where it is false: alerts of this day may still come.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_provisional: bool,
}

impl Row {
    /// `provisional_since` is the first day of which alerts may still come.
    fn new(row: &Compared, provisional_since: Option<Date>) -> Self {
        let Compared { key, theirs, figures, standing, causes } = row;
        let ends = figures.by_day;
        Self {
            subject: key.subject.to_string(),
            code: key.code.to_string(),
            day: key.day.to_string(),
            standing: match standing {
                Standing::Agrees => "agrees",
                Standing::TheirsHigher => "theirs-higher",
                Standing::OursHigher => "ours-higher",
                Standing::UnknownDevice => "unknown-device",
            },
            theirs: *theirs,
            ours: figures.ours(),
            causes: names(causes),
            forwarded: ends.forwarded.count,
            suppressed: ends.suppressed.count,
            duplicate: ends.duplicate.count,
            represented: ends.forwarded.represented + ends.suppressed.represented,
            is_provisional: provisional_since.is_some_and(|since| key.day >= since),
        }
    }

    /// The day, with a mark where it is not final.
    fn marked_day(&self) -> String {
        format!("{}{}", self.day, if self.is_provisional { NOT_FINAL } else { "" })
    }

    pub(crate) const HEADINGS: [&str; 11] = [
        "device",
        "code",
        "day",
        "standing",
        "theirs",
        "ours",
        "likely cause",
        "forwarded",
        "suppressed",
        "duplicate",
        "represented",
    ];

    /// In the order of the headings.
    pub(crate) fn values(&self) -> Vec<Value> {
        let theirs = self.theirs.map_or_else(|| Value::text("-"), Value::Number);
        vec![
            Value::text(&self.subject),
            Value::text(&self.code),
            Value::Text(self.marked_day()),
            Value::text(self.standing),
            theirs,
            Value::Number(self.ours),
            Value::Text(self.causes.join(" + ")),
            Value::Number(self.forwarded),
            Value::Number(self.suppressed),
            Value::Number(self.duplicate),
            Value::Number(self.represented),
        ]
    }
}

fn names(causes: &[Cause]) -> Vec<&'static str> {
    causes.iter().map(|cause| cause.name()).collect()
}

/// Differences with the same causes.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DifferenceRow {
    pub causes: Vec<&'static str>,
    pub meaning: String,
    pub rows: u64,
    pub theirs_more: u64,
    pub ours_more: u64,
}

/// Sums: theirs = agreed + theirs_more, ours = agreed + ours_more.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TotalRow {
    pub rows: u64,
    pub agreeing_rows: u64,
    pub theirs: u64,
    pub ours: u64,
    pub agreed: u64,
    pub theirs_more: u64,
    pub ours_more: u64,
    pub forwarded: u64,
    pub suppressed: u64,
    pub duplicate: u64,
}

/// The way to count that fits their file best.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FitRow {
    pub causes: Vec<&'static str>,
    pub rows: u64,
    pub of_rows: u64,
}

/// What was compared.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Scope {
    pub days: &'static str,
    pub first_day: String,
    pub last_day: String,
    pub codes: Vec<String>,
    pub operators: Vec<u32>,
    /// Alerts of these codes and days that could not be taken; they are of no device.
    pub rejected_count: u64,
    /// The first day of which alerts may still come; left out where all days are final.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub provisional_since: Option<Date>,
    /// Alerts of rows that are not explained that were taken before the inventory listed the device, and so are not in ours.
    #[serde(skip_serializing_if = "is_zero")]
    pub unplaced_count: u64,
    /// Alerts of no operator may be behind what is not explained, and the caller is not shown them.
    #[serde(skip)]
    pub is_untold: bool,
    pub position: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn as_text<S: serde::Serializer>(day: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&day.map_or_else(String::new, |day| day.to_string()))
}

/// A comparison.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub scope: Scope,
    pub totals: TotalRow,
    pub differences: Vec<DifferenceRow>,
    pub fit: FitRow,
    pub rows: Vec<Row>,
}

impl Report {
    /// With the rows that differ, or with all.
    pub(crate) fn new(scope: Scope, found: &Reconciliation, all: bool) -> Self {
        let Reconciliation { rows, totals, fit } = found;
        let sum = |of: fn(&Difference) -> u64| totals.differences.values().map(of).sum();
        let ended = |of: fn(&Compared) -> u64| rows.iter().map(of).sum();
        let Fit { reading, rows: fitting, of_rows } = fit;
        let provisional_since = scope.provisional_since;
        let row = |row: &Compared| Row::new(row, provisional_since);
        Self {
            scope,
            totals: TotalRow {
                rows: rows.len() as u64,
                agreeing_rows: totals.agreeing_rows,
                theirs: totals.theirs,
                ours: totals.ours,
                agreed: totals.agreed,
                theirs_more: sum(|difference| difference.theirs_more),
                ours_more: sum(|difference| difference.ours_more),
                forwarded: ended(|row| row.figures.by_day.forwarded.count),
                suppressed: ended(|row| row.figures.by_day.suppressed.count),
                duplicate: ended(|row| row.figures.by_day.duplicate.count),
            },
            differences: totals.differences.iter().map(difference).collect(),
            fit: FitRow { causes: names(&reading.causes()), rows: *fitting, of_rows: *of_rows },
            rows: rows.iter().filter(|row| all || row.standing != Standing::Agrees).map(row).collect(),
        }
    }

    /// Says which days are not final, if any are.
    pub(crate) fn finality(&self) -> Option<String> {
        let since = self.scope.provisional_since?;
        Some(format!(
            "From {since} on counts are not final, theirs or ours: the DCC keeps for two days what it cannot deliver"
        ))
    }

    /// Explains the causes found, one a line.
    pub(crate) fn legend(&self) -> Vec<String> {
        let is_found = |cause: &Cause| self.differences.iter().any(|row| row.causes.contains(&cause.name()));
        Cause::ALL.into_iter().filter(is_found).map(|cause| format!("{}: {}", cause.name(), cause.meaning())).collect()
    }

    /// Their way to count, in words.
    pub(crate) fn fit_in_words(&self) -> String {
        let FitRow { causes, rows, of_rows } = &self.fit;
        let known = Cause::ALL.into_iter().filter(|cause| causes.contains(&cause.name()));
        let meanings: Vec<&str> = known.map(Cause::meaning).collect();
        let way = if meanings.is_empty() { "they count as we do".to_owned() } else { meanings.join("; ") };
        format!(
            "{} of {} rows of their file are exactly what comes of this: {way}",
            thousands(*rows),
            thousands(*of_rows)
        )
    }

    /// The sums and what they are made of, as rows: name, rows, theirs, ours.
    pub(crate) fn sums(&self) -> Vec<Vec<Value>> {
        let TotalRow { rows, agreeing_rows, theirs, ours, agreed, .. } = self.totals;
        let line = |name: String, [rows, theirs, ours]: [u64; 3]| {
            vec![Value::Text(name), Value::Number(rows), Value::Number(theirs), Value::Number(ours)]
        };
        let differing = rows - agreeing_rows;
        let agreed =
            line(format!("agreed (in {} rows that differ too)", thousands(differing)), [agreeing_rows, agreed, agreed]);
        let differences = self.differences.iter().map(|difference| {
            let DifferenceRow { causes, meaning: _, rows, theirs_more, ours_more } = difference;
            line(causes.join(" + "), [*rows, *theirs_more, *ours_more])
        });
        let total = line("total".to_owned(), [rows, theirs, ours]);
        std::iter::once(agreed).chain(differences).chain([total]).collect()
    }

    pub(crate) const SUM_HEADINGS: [&str; 4] = ["", "rows", "theirs", "ours"];

    /// Their rows, those with the greatest differences first.
    pub(crate) fn worst(&self, rows_max: usize) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.theirs.unwrap_or(0).abs_diff(row.ours)));
        rows.truncate(rows_max);
        rows
    }
}

fn difference((causes, difference): (&Vec<Cause>, &Difference)) -> DifferenceRow {
    let Difference { rows, theirs_more, ours_more } = *difference;
    let meanings: Vec<&str> = causes.iter().map(|cause| cause.meaning()).collect();
    DifferenceRow { causes: names(causes), meaning: meanings.join("; "), rows, theirs_more, ours_more }
}

/// The sums.
pub(crate) fn sums(report: &Report) -> Table {
    let mut table = Table::new(&Report::SUM_HEADINGS);
    report.sums().into_iter().for_each(|row| table.row(row));
    table
}

/// Returns some rows as a table that fits a terminal. CSV and JSON have the other columns.
pub(crate) fn rows(rows: &[&Row]) -> Table {
    let mut table = Table::new(&["device", "code", "day", "theirs", "ours", "likely cause"]);
    for row in rows {
        let Row { subject, code, theirs, ours, causes, .. } = row;
        table.row([
            Value::text(subject),
            Value::text(code),
            Value::Text(row.marked_day()),
            theirs.map_or_else(|| Value::text("no row"), Value::Number),
            Value::Number(*ours),
            Value::Text(causes.join(" + ")),
        ]);
    }
    table
}

/// All rows as CSV.
pub(crate) fn sheet(report: &Report) -> String {
    let mut sheet = Sheet::new(&[&Row::HEADINGS[..], &["not final"]].concat());
    for row in &report.rows {
        let mut values = row.values();
        values[DAY] = Value::text(&row.day);
        values.push(Value::text(if row.is_provisional { "yes" } else { "" }));
        sheet.row(values);
    }
    sheet.finish()
}
