//! Maps headings to columns.
//!
//! Invariant: a heading maps to at most one column, and the caller's own mapping wins over the built-in names.

use super::{LineError, form::Form, identifiers::trimmed, rows::Holds, shown};
use crate::{
    domain::{LABEL_HEADING, proposed_label_key},
    near::{did_you_mean, nearest},
};

/// Skipped headings that a remark names; it counts the rest.
const NAMED_MAX: usize = 8;

/// Columns, and what a value in one of them must look like.
pub(super) type Telltale = (&'static [usize], fn(&str) -> bool);

/// Columns of one kind of file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Column names.
    pub(super) names: &'static [&'static str],
    /// Aliases, with the index of the name each stands for.
    pub(super) aliases: &'static [(&'static str, usize)],
    /// What each column holds, by its index.
    pub(super) holds: fn(usize) -> Holds,
    /// Number of leading names that a file must have.
    pub(super) required: usize,
    /// Columns that are skipped without a remark.
    pub(super) others: &'static [&'static str],
    /// The same in Parquet, where an export has more columns than other files.
    pub(super) of_an_export: &'static [&'static str],
    /// True if the commands that read such files have the options of [`Form`]; errors then name them.
    pub(super) is_foreign: bool,
    /// Columns of which one is in every record, and whether a text is a value of theirs: how a record that an unclosed
    /// quote has swallowed is told from a line of a note.
    pub(super) telltale: Option<Telltale>,
    /// True if other columns may be labels.
    pub(super) takes_labels: bool,
}

impl Layout {
    /// Returns true for a column of an export that another host has its own of.
    pub(super) fn is_of_an_export(&self, name: &str) -> bool {
        let may_be_label = !self.of_an_export.is_empty();
        self.of_an_export.contains(&name) || (may_be_label && name.starts_with(LABEL_HEADING))
    }

    /// Returns a layout without aliases and options.
    pub(super) const fn plain(names: &'static [&'static str], required: usize) -> Self {
        Self {
            names,
            aliases: &[],
            holds: |_| Holds::Value,
            required,
            others: &[],
            of_an_export: &[],
            is_foreign: false,
            telltale: None,
            takes_labels: false,
        }
    }

    fn column(&self, name: &str) -> Option<usize> {
        let named = self.names.iter().position(|known| is_named(name, known));
        named.or_else(|| self.aliases.iter().find(|(alias, _)| is_named(name, alias)).map(|(_, column)| *column))
    }

    /// Lists the names for an error.
    pub(super) fn known(&self) -> String {
        format!("known columns are: {}", self.names.join(", "))
    }
}

/// The meaning of a heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The column with this index.
    Column(usize),
    /// A known column that is skipped.
    Other,
    /// An unknown heading.
    Unknown,
}

/// A layout, and the caller's mapping on top of it.
#[derive(Debug, Clone)]
pub(super) struct Headings {
    pub(super) layout: Layout,
    /// The caller's headings, with the columns they map to.
    given: Vec<(String, usize)>,
    /// The caller's headings of labels: their columns come after those of the layout.
    labels: Vec<String>,
}

impl Headings {
    /// Rejects a mapping of an unknown column, of one column twice, or of one heading twice.
    pub(super) fn new(layout: Layout, form: &Form) -> Result<Self, LineError> {
        let mut given: Vec<(String, usize)> = Vec::new();
        for (name, heading) in &form.columns {
            let wrong = |message: String| LineError::new(1, "--columns", message);
            let column = layout.column(name).ok_or_else(|| {
                let near = did_you_mean(nearest(name, layout.names.iter().copied()));
                wrong(format!("{} is no column{near}; {}", shown(name), layout.known()))
            })?;
            if given.iter().any(|(_, other)| *other == column) {
                return Err(wrong(format!("{} is given two headings", layout.names[column])));
            }
            if given.iter().any(|(other, _)| is_named(heading, other)) {
                return Err(wrong(format!("{} is given to two columns", shown(heading))));
            }
            given.push((heading.clone(), column));
        }
        let mut headings = Self { layout, given, labels: Vec::new() };
        for (key, heading) in &form.labels {
            let wrong = |message: String| LineError::new(1, "--label", message);
            if headings.meaning(heading) != Meaning::Unknown {
                let message =
                    format!("{} is the heading of another column, and {key} needs one of its own", shown(heading));
                return Err(wrong(message));
            }
            headings.labels.push(heading.clone());
        }
        Ok(headings)
    }

    /// Returns the number of columns, those of labels included.
    pub(super) fn width(&self) -> usize {
        self.layout.names.len() + self.labels.len()
    }

    /// Returns what errors call a column.
    pub(super) fn name(&self, column: usize) -> &str {
        let label = column.checked_sub(self.layout.names.len()).and_then(|label| self.labels.get(label));
        label.map_or_else(|| self.layout.names[column], String::as_str)
    }

    /// Returns the meaning of a heading. The built-in name of a column that the caller has mapped is skipped.
    pub(super) fn meaning(&self, heading: &str) -> Meaning {
        if let Some((_, column)) = self.given.iter().find(|(given, _)| is_named(heading, given)) {
            return Meaning::Column(*column);
        }
        if let Some(label) = self.labels.iter().position(|given| is_named(heading, given)) {
            return Meaning::Column(self.layout.names.len() + label);
        }
        match self.layout.column(heading) {
            Some(column) if self.given.iter().all(|(_, given)| *given != column) => Meaning::Column(column),
            Some(_) => Meaning::Other,
            None if self.layout.others.iter().any(|other| is_named(heading, other)) => Meaning::Other,
            None => Meaning::Unknown,
        }
    }

    /// True if unknown headings are skipped, because the caller has mapped some.
    pub(super) fn passes_over(&self) -> bool {
        !self.given.is_empty()
    }

    /// Describes an unknown heading and the way out.
    pub(super) fn unknown(&self, heading: &str) -> String {
        let near = did_you_mean(nearest(heading, self.layout.names.iter().copied()));
        let known = self.layout.known();
        let way_out = match self.layout.is_foreign {
            true => format!("; --columns {}=HEADING says what other headings mean", self.layout.names[0]),
            false => String::new(),
        };
        let label = if self.layout.takes_labels { label_way_out(heading) } else { String::new() };
        format!("unknown column {}{near}; {known}{way_out}{label}", shown(heading))
    }

    /// Describes skipped headings.
    pub(super) fn without_meaning(&self, headings: &[&str]) -> String {
        let said = without_meaning(headings);
        match headings.iter().find(|heading| !heading.starts_with('(')) {
            Some(heading) if self.layout.takes_labels => format!("{said}{}", label_way_out(heading)),
            _ => said,
        }
    }

    /// Rejects a file that lacks a required column or one of the caller's headings.
    pub(super) fn check(&self, has: impl Fn(usize) -> bool, headings: &[&str]) -> Result<(), LineError> {
        if let Some((heading, _)) = self.given.iter().find(|(_, column)| !has(*column)) {
            let near = did_you_mean(nearest(heading, headings.iter().copied()));
            return Err(LineError::new(1, "--columns", format!("the file has no heading {}{near}", shown(heading))));
        }
        let mut labels = self.labels.iter().enumerate();
        if let Some((_, heading)) = labels.find(|(label, _)| !has(self.layout.names.len() + label)) {
            let near = did_you_mean(nearest(heading, headings.iter().copied()));
            return Err(LineError::new(1, "--label", format!("the file has no heading {}{near}", shown(heading))));
        }
        match (0..self.layout.required).find(|column| !has(*column)) {
            Some(missing) => {
                let message = format!("the column is missing; {}", self.layout.known());
                Err(LineError::new(1, self.layout.names[missing], message))
            }
            None => Ok(()),
        }
    }
}

/// Describes the option that keeps a column as a label.
fn label_way_out(heading: &str) -> String {
    match proposed_label_key(heading) {
        Some(key) if is_named(heading, &key) => format!("; --label {key} keeps it as a label"),
        Some(key) => format!("; --label {key}={} keeps it as a label", shown(heading)),
        None => format!("; --label KEY={} keeps it as a label", shown(heading)),
    }
}

/// Compares a heading with a name, ignoring case, blanks, hyphens and underscores.
pub(super) fn is_named(heading: &str, name: &str) -> bool {
    let mut one = significant(heading);
    let mut other = significant(name);
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.eq_ignore_ascii_case(&b) => {}
            _ => return false,
        }
    }
}

/// Returns the characters that distinguish headings.
fn significant(text: &str) -> impl Iterator<Item = char> {
    trimmed(text).chars().filter(|c| !matches!(c, ' ' | '-' | '_' | '\u{A0}' | '\u{2010}' | '\u{2011}' | '\u{2013}'))
}

/// Describes skipped headings.
pub(super) fn without_meaning<S: AsRef<str>>(headings: &[S]) -> String {
    let listed: Vec<String> = headings.iter().take(NAMED_MAX).map(|heading| shown(heading.as_ref())).collect();
    let more = headings.len() - listed.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let mean = if headings.len() == 1 { "means" } else { "mean" };
    format!("{}{more} {mean} nothing here; passed over", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        aliases: &[("eui", 0)],
        others: &["position"],
        is_foreign: true,
        ..Layout::plain(&["device", "code", "weight"], 2)
    };

    fn given(columns: &[(&str, &str)]) -> Result<Headings, String> {
        let columns = columns.iter().map(|(name, heading)| ((*name).to_owned(), (*heading).to_owned())).collect();
        Headings::new(LAYOUT, &Form { columns, ..Form::default() }).map_err(|error| error.to_string())
    }

    #[test]
    fn case_blanks_hyphens_and_underscores_make_no_other_heading() {
        for heading in ["alert_code", "Alert Code", "ALERT-CODE", "alertcode", " AlertCode\u{200B}", "Alert\u{A0}Code"]
        {
            assert!(is_named(heading, "alert_code"), "{heading}");
        }
        for heading in ["alert_codes", "alert", "", "alert.code"] {
            assert!(!is_named(heading, "alert_code"), "{heading}");
        }
    }

    #[test]
    fn labels_have_headings_of_their_own_behind_the_columns() {
        let layout = Layout { takes_labels: true, ..LAYOUT };
        let of = |labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(key, heading)| (key.parse().unwrap(), (*heading).to_owned())).collect();
            Headings::new(layout, &Form { labels, ..Form::default() }).map_err(|error| error.to_string())
        };
        let headings = of(&[("feeder", "Primary Feeder"), ("postcode", "postcode")]).unwrap();
        assert_eq!(headings.meaning("primary_feeder"), Meaning::Column(3));
        assert_eq!((headings.width(), headings.name(4), headings.name(1)), (5, "postcode", "code"));
        let missing = headings.check(|column| column != 4, &["post-codes"]).unwrap_err().to_string();
        assert_eq!(missing, "line 1: --label: the file has no heading \"postcode\"; did you mean \"post-codes\"?");
        for taken in [&[("a", "Code")][..], &[("a", "x"), ("b", "X")]] {
            let error = of(taken).unwrap_err();
            assert!(error.contains("is the heading of another column"), "{error}");
        }
        let unknown = headings.unknown("GSP Group");
        assert!(unknown.ends_with("; --label gsp_group keeps it as a label"), "{unknown}");
        let unknown = headings.unknown("PrimaryFeeder\u{DF}");
        assert!(
            unknown.ends_with("keeps it as a label") && unknown.contains("--label primary_feeder=\"Prim"),
            "{unknown}"
        );
        let skipped = headings.without_meaning(&["(no heading)", "MPRN Type"]);
        assert!(skipped.ends_with("passed over; --label mprn_type keeps it as a label"), "{skipped}");
    }

    #[test]
    fn what_the_caller_says_of_a_heading_comes_before_what_it_says_itself() {
        let headings = given(&[("device", "Meter ID"), ("EUI", "x")]).unwrap_err();
        assert_eq!(headings, "line 1: --columns: device is given two headings");
        let headings = given(&[("device", "Code")]).unwrap();
        assert_eq!(headings.meaning("code"), Meaning::Column(0), "as the caller says");
        let headings = given(&[("device", "Meter ID")]).unwrap();
        assert_eq!(headings.meaning("meter_id"), Meaning::Column(0));
        assert_eq!(headings.meaning("device"), Meaning::Other, "the caller means another one");
        assert_eq!(headings.meaning("Weight"), Meaning::Column(2));
        assert_eq!(headings.meaning("position"), Meaning::Other);
        assert_eq!(headings.meaning("notes"), Meaning::Unknown);
        let wrong = given(&[("devise", "x")]).unwrap_err();
        assert!(wrong.contains("\"devise\" is no column; did you mean \"device\"?"), "{wrong}");
        assert!(given(&[("device", "x"), ("code", "X")]).unwrap_err().contains("\"X\" is given to two columns"));
        let missing = headings.check(|column| column != 0, &["MeterIDs", "code"]).unwrap_err().to_string();
        assert_eq!(missing, "line 1: --columns: the file has no heading \"Meter ID\"; did you mean \"MeterIDs\"?");
    }
}
