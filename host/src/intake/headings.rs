//! Which column a heading means.
//!
//! Invariant: a heading means one column or none; two headings of one file never mean the same column unless one of them is
//! named by the caller, who decides.

use super::{LineError, form::Form, identifiers::trimmed, shown};
use crate::near::{did_you_mean, nearest};

/// Headings that are passed over and named; of the rest there is a count.
const NAMED_MAX: usize = 8;

/// The columns that a kind of file may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Their names.
    pub(super) names: &'static [&'static str],
    /// Other names of some, and the place of the name that they stand for.
    pub(super) aliases: &'static [(&'static str, usize)],
    /// How many of the names, from the first on, a file must have.
    pub(super) required: usize,
    /// Names of columns that are passed over without a word.
    pub(super) others: &'static [&'static str],
    /// Whether such files come from others, so that commands have options that say how they are written.
    pub(super) is_foreign: bool,
}

impl Layout {
    /// Columns without other names.
    pub(super) const fn plain(names: &'static [&'static str], required: usize) -> Self {
        Self { names, aliases: &[], required, others: &[], is_foreign: false }
    }

    fn column(&self, name: &str) -> Option<usize> {
        let named = self.names.iter().position(|known| is_named(name, known));
        named.or_else(|| self.aliases.iter().find(|(alias, _)| is_named(name, alias)).map(|(_, column)| *column))
    }

    /// The names, for an error.
    pub(super) fn known(&self) -> String {
        format!("known columns are: {}", self.names.join(", "))
    }
}

/// What a heading means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The column of this place among the names.
    Column(usize),
    /// Something that is known and not wanted.
    Other,
    /// Nothing that is known.
    Unknown,
}

/// Headings as a file of some layout has them, and as the caller says.
#[derive(Debug, Clone)]
pub(super) struct Headings {
    pub(super) layout: Layout,
    /// Headings that the caller gave a meaning.
    given: Vec<(String, usize)>,
}

impl Headings {
    /// An error where the caller gives a heading to a column that is not there.
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
        Ok(Self { layout, given })
    }

    /// What a heading means. One that the caller gave a meaning means that; its column's own name then means nothing.
    pub(super) fn meaning(&self, heading: &str) -> Meaning {
        if let Some((_, column)) = self.given.iter().find(|(given, _)| is_named(heading, given)) {
            return Meaning::Column(*column);
        }
        match self.layout.column(heading) {
            Some(column) if self.given.iter().all(|(_, given)| *given != column) => Meaning::Column(column),
            Some(_) => Meaning::Other,
            None if self.layout.others.iter().any(|other| is_named(heading, other)) => Meaning::Other,
            None => Meaning::Unknown,
        }
    }

    /// Whether what means nothing is passed over: the caller has said what matters.
    pub(super) fn passes_over(&self) -> bool {
        !self.given.is_empty()
    }

    /// What to say of a heading that means nothing.
    pub(super) fn unknown(&self, heading: &str) -> String {
        let near = did_you_mean(nearest(heading, self.layout.names.iter().copied()));
        let known = self.layout.known();
        let way_out = match self.layout.is_foreign {
            true => format!("; --columns {}=HEADING says what other headings mean", self.layout.names[0]),
            false => String::new(),
        };
        format!("unknown column {}{near}; {known}{way_out}", shown(heading))
    }

    /// An error where a column that must be there is not, or one under a heading of the caller's. `has` tells which are.
    pub(super) fn check(&self, has: impl Fn(usize) -> bool, headings: &[&str]) -> Result<(), LineError> {
        if let Some((heading, _)) = self.given.iter().find(|(_, column)| !has(*column)) {
            let near = did_you_mean(nearest(heading, headings.iter().copied()));
            return Err(LineError::new(1, "--columns", format!("the file has no heading {}{near}", shown(heading))));
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

/// Whether a heading is a column's name, however it is written: `Alert Code` and `alertcode` are `alert_code`.
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

/// A heading without blanks, hyphens and underscores.
fn significant(text: &str) -> impl Iterator<Item = char> {
    trimmed(text).chars().filter(|c| !matches!(c, ' ' | '-' | '_' | '\u{A0}' | '\u{2010}' | '\u{2011}' | '\u{2013}'))
}

/// That some headings mean nothing here.
pub(super) fn without_meaning<S: AsRef<str>>(headings: &[S]) -> String {
    let listed: Vec<String> = headings.iter().take(NAMED_MAX).map(|heading| shown(heading.as_ref())).collect();
    let more = headings.len() - listed.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more} mean nothing here; passed over", listed.join(", "))
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
