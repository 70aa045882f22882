//! The other party's file: its rows and the order of its dates.
//!
//! Invariants: a file is read completely or rejected, because an unreadable line would be missing from a sum; ambiguous dates
//! are read in one order only if the file or the caller determines it.

use std::{collections::HashMap, path::Path};

use jiff::civil::Date;

use crate::{
    cli::{
        Failure,
        input::{self, Notices},
        table::thousands,
    },
    domain::AlertCode,
    intake::{
        claims::{Claim, Claims, DateOrder, Subject, Written},
        form::Form,
    },
};

/// Rows of a file: more are compared in parts.
const CLAIMS_MAX: usize = 2_000_000;

/// Rows with their lines, dates as written.
pub(super) struct TheirFile {
    claims: Vec<(u64, Claim)>,
    /// Order of dates stated by the caller.
    stated: Option<DateOrder>,
}

/// Order of the dates in a file.
pub(super) enum Order {
    Settled(DateOrder),
    /// No date is valid in one order alone, and some differ by it.
    Open,
}

/// A row with a settled day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) line: u64,
    pub(super) subject: Subject,
    pub(super) code: AlertCode,
    pub(super) day: Date,
    pub(super) count: u32,
}

impl TheirFile {
    /// Reads a file completely.
    pub(super) fn read(path: &Path, form: &Form) -> Result<Self, Failure> {
        let input = input::open(path)?;
        let bad_file = |error| Failure::usage(format!("{}: {error}", path.display()));
        let mut notices = Notices::new("lines that cannot be read", input.progress.clone());
        let mut remarks = Notices::remarks("remarks", input.progress.clone());
        let mut twice = Notices::remarks("rows that are there before", input.progress.clone());
        let mut seen: HashMap<(Subject, AlertCode, Written), (u64, u32)> = HashMap::new();
        let mut claims = Vec::new();
        let mut rows = Claims::of(input.reader, form).map_err(bad_file)?;
        loop {
            let row = rows.next();
            std::iter::from_fn(|| rows.remark()).for_each(|remark| remarks.give(&remark.to_string()));
            match row {
                None => break,
                Some(Ok(_)) if claims.len() == CLAIMS_MAX => {
                    let message = format!("{}: has more than {} rows", path.display(), thousands(CLAIMS_MAX as u64));
                    return Err(Failure::usage(message).with_hint("compare fewer days at a time"));
                }
                Some(Ok(claim)) => {
                    let line = rows.line();
                    let (first, count) =
                        *seen.entry((claim.subject, claim.code, claim.day)).or_insert((line, claim.count));
                    if first != line {
                        twice.give(&format!(
                            "line {line}: device, date and code are those of line {first}; the counts are added: {count} + {}",
                            claim.count
                        ));
                    }
                    claims.push((line, claim));
                }
                Some(Err(error)) if error.fatal => return Err(bad_file(error)),
                Some(Err(error)) => notices.give(&error.to_string()),
            }
        }
        input.progress.finish_and_clear();
        remarks.finish();
        twice.finish();
        let unreadable = notices.finish();
        if unreadable > 0 {
            let lines = if unreadable == 1 { "1 line".to_owned() } else { format!("{} lines", thousands(unreadable)) };
            let message = format!("{}: {lines} cannot be read", path.display());
            return Err(Failure::usage(message).with_hint("mend those lines: without them no sum would be true"));
        }
        if claims.is_empty() {
            return Err(Failure::usage(format!("{}: has no rows, so there is nothing to compare", path.display())));
        }
        Ok(Self { claims, stated: form.date_order })
    }

    /// Returns the number of rows.
    pub(super) fn rows(&self) -> usize {
        self.claims.len()
    }

    /// Returns the number of rows whose dates are valid in both orders.
    pub(super) fn ambiguous(&self) -> usize {
        self.claims.iter().filter(|(_, claim)| claim.day.is_ambiguous()).count()
    }

    /// Returns the line of the first ambiguous date, and both readings.
    pub(super) fn example(&self) -> Option<(u64, String)> {
        let (line, claim) = self.claims.iter().find(|(_, claim)| claim.day.is_ambiguous())?;
        let [one, other] = [DateOrder::DayMonth, DateOrder::MonthDay].map(|order| claim.day.in_order(order));
        Some((*line, format!("{} or {}", one?, other?)))
    }

    /// Returns the only order in which every date is valid. Rejects a file with a date that is valid only as month/day: this
    /// country writes day/month, so the ambiguous dates beside it need the caller's decision.
    pub(super) fn order(&self, path: &Path) -> Result<Order, Failure> {
        if let Some(order) = self.stated {
            return Ok(Order::Settled(order));
        }
        let first = |order| self.claims.iter().find(|(_, claim)| claim.day.only_order() == Some(order));
        let (days_first, months_first) = (first(DateOrder::DayMonth), first(DateOrder::MonthDay));
        let path = path.display();
        match (days_first, months_first) {
            (Some((one, _)), Some((other, _))) => Err(Failure::usage(format!(
                "{path}: the date of line {one} can only be day/month/year, and that of line {other} only month/day/year"
            ))
            .with_hint("write all dates like 2026-11-23, or compare the parts of the file one by one, with --date-order")),
            (None, Some((line, claim))) => {
                let in_doubt = self.ambiguous() as u64;
                let day = claim.day.in_order(DateOrder::MonthDay).map_or_else(String::new, |day| format!(", {day}"));
                Err(Failure::usage(format!(
                    "{path}: the date of line {line} can only be month/day/year{day}; {} can be read both ways: which day \
                     is meant is in doubt",
                    if in_doubt == 1 { "1 other date".to_owned() } else { format!("{} other dates", thousands(in_doubt)) }
                ))
                .with_hint("--date-order mdy reads all of them as month/day/year"))
            }
            (Some((line, _)), None) => {
                if self.claims.iter().any(|(_, claim)| claim.day.is_ambiguous()) {
                    eprintln!("note: dates are read as day/month/year: that of line {line} can be nothing else");
                }
                Ok(Order::Settled(DateOrder::DayMonth))
            }
            (None, None) if self.claims.iter().any(|(_, claim)| claim.day.is_ambiguous()) => Ok(Order::Open),
            (None, None) => Ok(Order::Settled(DateOrder::DayMonth)),
        }
    }

    /// Returns the rows with their dates read in an order.
    pub(super) fn in_order(&self, order: DateOrder) -> Result<Vec<Counted>, Failure> {
        let counted = |(line, claim): &(u64, Claim)| {
            let Claim { subject, day, code, count } = *claim;
            let day = day.in_order(order);
            let day =
                day.ok_or_else(|| Failure::usage(format!("line {line}: the date is no day as {}", order.words())))?;
            Ok(Counted { line: *line, subject, code, day, count })
        };
        self.claims.iter().map(counted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dates: &[&str]) -> TheirFile {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts.csv");
        let rows: String = dates.iter().map(|date| format!("1300000000489,{date},8014,1\n")).collect();
        std::fs::write(&path, format!("mpan,date,code,count\n{rows}")).unwrap();
        TheirFile::read(&path, &Form::default()).unwrap()
    }

    fn order(dates: &[&str]) -> Result<Option<DateOrder>, String> {
        match read(dates).order(Path::new("counts.csv")) {
            Ok(Order::Settled(order)) => Ok(Some(order)),
            Ok(Order::Open) => Ok(None),
            Err(failure) => Err(failure.to_string()),
        }
    }

    #[test]
    fn the_order_of_dates_is_that_of_the_file_or_open() {
        assert_eq!(order(&["2026-11-03", "2026-11-04"]), Ok(Some(DateOrder::DayMonth)), "nothing to settle");
        assert_eq!(order(&["11/11/2026", "12/12/2026"]), Ok(Some(DateOrder::DayMonth)), "the same in both");
        assert_eq!(order(&["11/03/2026", "23/03/2026"]), Ok(Some(DateOrder::DayMonth)));
        assert_eq!(order(&["11/03/2026", "11/04/2026"]), Ok(None));
        let months = order(&["11/03/2026", "11/13/2026"]).unwrap_err();
        for words in ["the date of line 3 can only be month/day/year, 2026-11-13; 1 other date can", "--date-order mdy"]
        {
            assert!(months.contains(words), "{months}");
        }
        let mixed = order(&["11/23/2026", "23/11/2026"]).unwrap_err();
        assert!(mixed.contains("line 3 can only be day/month/year, and that of line 2 only month/day/year"), "{mixed}");
        assert_eq!(read(&["2026-11-03", "11/03/2026"]).example(), Some((3, "2026-03-11 or 2026-11-03".to_owned())));
    }
}
