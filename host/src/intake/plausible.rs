//! What measurements count, and whether one is plausible: volts where tenths of a volt are meant are ten times too few.
//!
//! It must not know codes by number. Invariant: what is not plausible is said and never mended.

use std::{fmt, str::FromStr};

use super::shown;
use crate::domain::AlertCode;

/// Characters of a unit of one's own.
const UNIT_CHARS_MAX: usize = 16;
/// What people call voltages in. They are counted in tenths of a volt here, and nothing else.
const VOLTS: [&str; 5] = ["v", "volt", "volts", "mv", "kv"];
/// Decivolts that a low voltage network may have, from a phase that nearly failed to a neutral that did.
pub const VOLTAGE: Range = Range { min: Some(1_000), max: Some(4_000) };

/// What a measurement of a code counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// Tenths of a volt.
    Decivolts,
    /// Thousandths of a power factor.
    Thousandths,
    /// What an operator says, like s for seconds.
    Own(String),
}

impl FromStr for Unit {
    type Err = String;

    /// Reads a table's text.
    fn from_str(text: &str) -> Result<Self, String> {
        let own = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '%' | '/'));
        match text {
            "dv" => Ok(Self::Decivolts),
            "thousandths" => Ok(Self::Thousandths),
            volts if VOLTS.iter().any(|name| name.eq_ignore_ascii_case(volts)) => {
                Err(format!("voltages are counted in dv (tenths of a volt), found {}", shown(volts)))
            }
            text if (1..=UNIT_CHARS_MAX).contains(&text.len()) && own(text) => Ok(Self::Own(text.to_owned())),
            _ => Err(format!(
                "expected dv, thousandths, -, or one of your own like s: at most {UNIT_CHARS_MAX} letters, digits and %/, \
                 found {}",
                shown(text)
            )),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decivolts => "dv",
            Self::Thousandths => "thousandths",
            Self::Own(name) => name,
        })
    }
}

/// Between what bounds a measurement is plausible, both included; an open side has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// The least.
    pub min: Option<i32>,
    /// The largest.
    pub max: Option<i32>,
}

impl Range {
    /// Whether a value lies within.
    pub fn contains(&self, value: i32) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }

    /// What is to be said of a value of a code that lies outside.
    pub fn doubt(&self, code: AlertCode, value: i32, unit: Option<&Unit>) -> Option<Doubt> {
        if self.contains(value) {
            return None;
        }
        let tenfold = value.checked_mul(10).filter(|more| *more != value);
        let tenth = (value % 10 == 0).then_some(value / 10).filter(|less| *less != value);
        let likely = [tenfold, tenth].into_iter().flatten().find(|other| self.contains(*other));
        Some(Doubt { code, value, range: *self, unit: unit.map(Unit::to_string).unwrap_or_default(), likely })
    }
}

/// What is plausible for each code, for many questions: one look for each, without a search.
#[derive(Clone)]
pub struct Ranges(Box<[Range]>);

impl Ranges {
    /// Nothing is known, so all is plausible.
    pub fn open() -> Self {
        Self(vec![Range::default(); 1 << 16].into_boxed_slice())
    }

    /// Sets what is plausible for a code.
    pub(super) fn set(&mut self, code: AlertCode, range: Range) {
        self.0[usize::from(code.0)] = range;
    }

    /// Whether a measurement of a code is plausible.
    pub fn contain(&self, code: AlertCode, measurement: i32) -> bool {
        self.0[usize::from(code.0)].contains(measurement)
    }
}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ranges")
    }
}

/// A value that is not plausible for its code. As text it says the value, the bounds, and what may have been meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The code.
    pub code: AlertCode,
    /// The value as it is.
    pub value: i32,
    /// Ten times the value or a tenth of it, where that is plausible.
    pub likely: Option<i32>,
    range: Range,
    unit: String,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, value, likely, range, unit } = self;
        let space = if unit.is_empty() { "" } else { " " };
        let bounds = match (range.min, range.max) {
            (Some(min), Some(max)) => format!("{min} to {max}"),
            (Some(min), None) => format!("{min} or more"),
            (None, Some(max)) => format!("{max} or less"),
            (None, None) => "any".to_owned(),
        };
        write!(f, "{value}{space}{unit} is not plausible for {code} ({bounds}{space}{unit})")?;
        match likely {
            Some(likely) => write!(f, "; a factor of ten off? {likely}{space}{unit} would be"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubt(range: Range, value: i32) -> Option<(Option<i32>, String)> {
        let doubt = range.doubt(AlertCode(0x8F40), value, Some(&Unit::Decivolts));
        doubt.map(|doubt| (doubt.likely, doubt.to_string()))
    }

    /// DUIS thresholds are whole volts, what was said of 8F40 in 2019 is in tenths.
    #[test]
    fn volts_and_tenths_are_told_apart_and_what_was_meant_is_named() {
        for plausible in [1_000, 2_162, 2_530, 2_580, 4_000] {
            assert_eq!(doubt(VOLTAGE, plausible), None, "{plausible}");
        }
        let told = "258 dv is not plausible for 8F40 (1000 to 4000 dv); a factor of ten off? 2580 dv would be";
        assert_eq!(doubt(VOLTAGE, 258), Some((Some(2_580), told.to_owned())));
        assert_eq!(doubt(VOLTAGE, 25_300).unwrap().0, Some(2_530));
        for unclear in [0, 99, 401, 4_001, 25_301, 258_000, -2_580, i32::MIN, i32::MAX] {
            let (likely, told) = doubt(VOLTAGE, unclear).unwrap();
            assert_eq!(likely, None, "{unclear}");
            assert!(told.ends_with("is not plausible for 8F40 (1000 to 4000 dv)"), "{told}");
        }
    }

    /// A host that has no unit for a code says so by an empty text.
    #[test]
    fn an_empty_text_is_no_unit() {
        assert!("".parse::<Unit>().is_err());
        assert_eq!("s".parse(), Ok(Unit::Own("s".to_owned())));
    }

    #[test]
    fn a_side_may_be_open() {
        let least = Range { min: Some(10), max: None };
        assert_eq!(doubt(least, i32::MAX), None);
        assert_eq!(
            doubt(least, 9).unwrap().1,
            "9 dv is not plausible for 8F40 (10 or more dv); a factor of ten off? 90 dv would be"
        );
        assert_eq!(doubt(Range::default(), i32::MIN), None);
        let plain = Range { min: None, max: Some(5) }.doubt(AlertCode(0xE001), 7, None).unwrap();
        assert_eq!(plain.to_string(), "7 is not plausible for E001 (5 or less)");
    }
}
