//! Parses dates as people write them.
//!
//! Invariant: an ambiguous date stays ambiguous until the caller states the order of day and month.

use jiff::civil::Date;

use super::shown;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Order of day and month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// 23/11/2026.
    DayMonth,
    /// 11/23/2026.
    MonthDay,
}

impl DateOrder {
    /// Returns the other order.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::DayMonth => Self::MonthDay,
            Self::MonthDay => Self::DayMonth,
        }
    }

    /// Returns the order in words, for messages.
    pub fn words(self) -> &'static str {
        match self {
            Self::DayMonth => "day/month/year",
            Self::MonthDay => "month/day/year",
        }
    }

    /// Returns the value that `--date-order` takes.
    pub fn option(self) -> &'static str {
        match self {
            Self::DayMonth => "dmy",
            Self::MonthDay => "mdy",
        }
    }
}

/// A date as written: certain, or ambiguous in the order of day and month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Written {
    /// The year comes first, or the month is spelled out.
    Certain(Date),
    /// Day and month are numbers, in either order, followed by the year.
    Numbers {
        /// The first number.
        first: i8,
        /// The second number.
        second: i8,
        /// The year, of four digits.
        year: i16,
    },
}

impl Written {
    /// Parses 2026-11-23, 23/11/2026 and 23-Nov-2026, with `-`, `/` or `.` between the parts.
    pub fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            let days = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
            let hint =
                if days { "; a number, as a spreadsheet counts days: have the column written as dates" } else { "" };
            format!("expected a day like 2026-11-23, found {}{hint}", shown(text))
        };
        let mark = text.chars().find(|c| matches!(c, '-' | '/' | '.')).ok_or_else(wrong)?;
        let parts: Vec<&str> = text.split(mark).collect();
        let [first, second, third] = parts[..] else { return Err(wrong()) };
        if let (4, Some(year), Some(month), Some(day)) = (first.len(), number(first), number(second), number(third)) {
            return date(year, month, day).map(Self::Certain).ok_or_else(|| format!("{} is no day", shown(text)));
        }
        if third.len() == 2 && number(third).is_some() && first.len() <= 2 && number(first).is_some() {
            return Err(format!("{} has a year of two digits; expected four, like 2026-11-23", shown(text)));
        }
        let year = number(third).filter(|_| third.len() == 4).ok_or_else(wrong)?;
        let first = number(first).ok_or_else(wrong)?;
        if let Some(month) = named_month(second) {
            return date(year, month, first).map(Self::Certain).ok_or_else(|| format!("{} is no day", shown(text)));
        }
        let second = number(second).ok_or_else(wrong)?;
        let small = |number: i16| i8::try_from(number).ok();
        let (Some(first), Some(second)) = (small(first), small(second)) else { return Err(wrong()) };
        let written = Self::Numbers { first, second, year };
        if written.only_order().is_none() && written.in_order(DateOrder::DayMonth).is_none() {
            return Err(format!("{} is no day, whichever of day and month comes first", shown(text)));
        }
        Ok(written)
    }

    /// Returns the date in the given order, or `None` if it does not exist.
    pub fn in_order(self, order: DateOrder) -> Option<Date> {
        match (self, order) {
            (Self::Certain(date), _) => Some(date),
            (Self::Numbers { first, second, year }, DateOrder::DayMonth) => Date::new(year, second, first).ok(),
            (Self::Numbers { first, second, year }, DateOrder::MonthDay) => Date::new(year, first, second).ok(),
        }
    }

    /// Returns the only order in which the date exists; `None` if it exists in both, or needs no order.
    pub fn only_order(self) -> Option<DateOrder> {
        match (self, self.in_order(DateOrder::DayMonth), self.in_order(DateOrder::MonthDay)) {
            (Self::Numbers { .. }, Some(_), None) => Some(DateOrder::DayMonth),
            (Self::Numbers { .. }, None, Some(_)) => Some(DateOrder::MonthDay),
            _ => None,
        }
    }

    /// True if both orders give a date, and the two differ.
    pub fn is_ambiguous(self) -> bool {
        match (self.in_order(DateOrder::DayMonth), self.in_order(DateOrder::MonthDay)) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        }
    }

    /// Returns the date, in the caller's order if there is one. Errors quote `text`.
    pub fn settle(self, order: Option<DateOrder>, text: &str) -> Result<Date, String> {
        if let Some(order) = order {
            return self.in_order(order).ok_or_else(|| {
                let other = order.other();
                format!("{} is no day as {}; it is one as {}", shown(text), order.words(), other.words())
            });
        }
        match (self.in_order(DateOrder::DayMonth), self.in_order(DateOrder::MonthDay)) {
            (Some(one), Some(other)) if one != other => Err(format!(
                "{} is {one} as day/month/year (--date-order dmy) and {other} as month/day/year (--date-order mdy)",
                shown(text)
            )),
            (Some(date), _) | (None, Some(date)) => Ok(date),
            (None, None) => Err(format!("{} is no day", shown(text))),
        }
    }
}

/// Parses one to four digits.
fn number(text: &str) -> Option<i16> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn named_month(text: &str) -> Option<i16> {
    let name = text.to_ascii_lowercase();
    let is_meant =
        |month: &&str| name.len() >= 3 && (month.starts_with(&name) || name == "sept" && **month == *"september");
    MONTHS.iter().zip(1..).find(|(month, _)| is_meant(month)).map(|(_, number)| number)
}

fn date(year: i16, month: i16, day: i16) -> Option<Date> {
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_year_in_front_or_a_month_by_name_leaves_nothing_open() {
        for text in ["2026-11-03", "2026/11/03", "2026.11.3", "03-Nov-2026", "3/november/2026", "03.NOV.2026"] {
            assert_eq!(Written::read(text), Ok(Written::Certain(date(2026, 11, 3))), "{text}");
        }
        for (text, words) in [
            ("", "expected a day like 2026-11-23, found \"\""),
            ("20261103", "expected a day like"),
            ("46349", "expected a day like 2026-11-23, found \"46349\"; a number, as a spreadsheet counts days"),
            ("03-No-2026", "expected a day like"),
            ("03/11/26", "\"03/11/26\" has a year of two digits"),
            ("26-11-03", "\"26-11-03\" has a year of two digits"),
            ("+2026-11-03", "expected a day like 2026-11-23, found \"+2026-11-03\""),
            ("26120-1-23", "expected a day like 2026-11-23, found \"26120-1-23\""),
            ("2026-02-29", "\"2026-02-29\" is no day"),
            ("2026-13-01", "\"2026-13-01\" is no day"),
            ("31/04/2026", "\"31/04/2026\" is no day, whichever"),
            ("32/13/2026", "\"32/13/2026\" is no day, whichever"),
            ("0/11/2026", "\"0/11/2026\" is no day, whichever"),
            ("3/11/2026/1", "expected a day like"),
            ("3/11-2026", "expected a day like"),
            ("+3/11/2026", "expected a day like"),
            ("٣/11/2026", "expected a day like"),
        ] {
            let refused = Written::read(text).unwrap_err();
            assert!(refused.starts_with(words), "{text}: {refused}");
        }
    }

    #[test]
    fn an_order_decides_and_without_one_both_readings_are_shown() {
        let read = |text: &str, order| Written::read(text).and_then(|written| written.settle(order, text));
        assert_eq!(read("11/03/2026", Some(DateOrder::DayMonth)), Ok(date(2026, 3, 11)));
        assert_eq!(read("11/03/2026", Some(DateOrder::MonthDay)), Ok(date(2026, 11, 3)));
        let both = read("11/03/2026", None).unwrap_err();
        let readings =
            "\"11/03/2026\" is 2026-03-11 as day/month/year (--date-order dmy) and 2026-11-03 as month/day/year";
        assert!(both.starts_with(readings), "{both}");
        assert_eq!(read("11/11/2026", None), Ok(date(2026, 11, 11)), "the same in both");
        assert_eq!(read("23.11.2026", None), Ok(date(2026, 11, 23)), "a day in one alone");
        assert_eq!(read("11-23-2026", None), Ok(date(2026, 11, 23)));
        let wrong = read("11/23/2026", Some(DateOrder::DayMonth)).unwrap_err();
        assert_eq!(wrong, "\"11/23/2026\" is no day as day/month/year; it is one as month/day/year");
        assert_eq!(read("2026/03/11", Some(DateOrder::MonthDay)), Ok(date(2026, 3, 11)), "a year in front says it all");
        // 30 February is no day, so 30/02 is refused and 02/30 too, but 29/02 of a leap year is one.
        assert_eq!(read("02/29/2028", None), Ok(date(2028, 2, 29)));
        assert!(read("02/30/2028", None).is_err());
    }
}
