//! Two parties' counts compared.
//!
//! It must not know where they came from. Invariant: table, sheet, JSON and page are of the same rows.

use serde::Serialize;

use crate::{
    cli::{
        sheet::Sheet,
        table::{Table, Value, thousands},
    },
    reconciliation::{Cause, Difference, Fit, Reconciliation, Row as Compared, Standing},
};

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
}

impl From<&Compared> for Row {
    fn from(row: &Compared) -> Self {
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
        }
    }
}

impl Row {
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
            Value::text(&self.day),
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
    pub position: u64,
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
            rows: rows.iter().filter(|row| all || row.standing != Standing::Agrees).map(Row::from).collect(),
        }
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
    for Row { subject, code, day, theirs, ours, causes, .. } in rows {
        table.row([
            Value::text(subject),
            Value::text(code),
            Value::text(day),
            theirs.map_or_else(|| Value::text("no row"), Value::Number),
            Value::Number(*ours),
            Value::Text(causes.join(" + ")),
        ]);
    }
    table
}

/// All rows as CSV.
pub(crate) fn sheet(report: &Report) -> String {
    let mut sheet = Sheet::new(&Row::HEADINGS);
    report.rows.iter().for_each(|row| sheet.row(row.values()));
    sheet.finish()
}
