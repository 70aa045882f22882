//! The stretch of time that a page is about, as its address has it.
//!
//! It must not know what is counted. Invariant: it begins and ends with whole hours, for that is what counts go by.

use crate::{
    cli::{arguments, view::time},
    domain::Millis,
    page::{address::Address, levels::Times},
};

use super::answer::Refusal;

pub const HOUR_MS: Millis = 3_600_000;
const DAY_MS: Millis = 24 * HOUR_MS;

/// How long it may be, in hours.
const LENGTHS: [(&str, Millis); 4] = [("hour", 1), ("day", 24), ("week", 7 * 24), ("month", 28 * 24)];

/// What that is called where it ends now, and where it ended then.
const OPEN: [(&str, &str); 4] =
    [("hour", "Last hour"), ("day", "Last day"), ("week", "Last week"), ("month", "Last 28 days")];
const CLOSED: [(&str, &str); 4] = [("hour", "Hour"), ("day", "Day"), ("week", "Week"), ("month", "28 days")];

/// A stretch of time.
#[derive(Debug, Clone)]
pub struct Window {
    pub since: Millis,
    /// The end of its last hour, which may not be over.
    pub end: Millis,
    /// It ends now.
    pub is_open: bool,
    length: &'static str,
    length_ms: Millis,
}

/// Now.
pub fn now() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}

impl Window {
    /// As an address has it; `otherwise` is its length where that says nothing.
    pub fn read(here: &Address, otherwise: &str, now: Millis) -> Result<Self, Refusal> {
        let wanted = if here.get("period").is_empty() { otherwise } else { here.get("period") };
        let Some((length, hours)) = LENGTHS.into_iter().find(|(name, _)| *name == wanted) else {
            return Err(Refusal::wrong("period", "is hour, day, week or month"));
        };
        let is_open = here.get("until").is_empty();
        let until = if is_open {
            now
        } else {
            arguments::time(here.get("until")).map_err(|why| Refusal::wrong("until", &why))?
        };
        // Between years that are far from any alert, so that nothing is computed beyond what a number holds.
        let end = (until.clamp(0, 253_402_300_800_000) + HOUR_MS - 1) / HOUR_MS * HOUR_MS;
        let length_ms = hours * HOUR_MS;
        // The hour that goes on is less than one.
        let further = if is_open && length == "hour" { HOUR_MS } else { 0 };
        Ok(Self { since: (end - length_ms - further).max(0), end, is_open, length, length_ms })
    }

    /// Until when to ask; 0 for no end.
    pub fn until(&self) -> Millis {
        if self.is_open { 0 } else { self.end }
    }

    /// Whether it is so long that days say more than hours.
    pub fn is_of_days(&self) -> bool {
        self.length_ms > DAY_MS
    }

    /// Whether it is so long that hours are too many to look at.
    pub fn is_of_weeks(&self) -> bool {
        self.length_ms > 7 * DAY_MS
    }

    /// The beginnings of its hours, or of its days.
    pub fn steps(&self, step: Step) -> impl Iterator<Item = Millis> {
        let (size, end) = (step.ms(), self.end);
        let first = self.since - self.since % size;
        (0..).map(move |nth| first + nth * size).take_while(move |start| *start < end)
    }

    /// To choose another one.
    pub fn times(&self) -> Times<'static> {
        let until = if self.is_open { "now".to_owned() } else { said(self.end) };
        let later = self.end + self.length_ms;
        Times {
            lengths: if self.is_open { &OPEN } else { &CLOSED },
            length: self.length,
            said: format!("From {} to {until}", said(self.since)),
            is_open: self.is_open,
            earlier: time(self.since),
            later: if later >= now() { String::new() } else { time(later) },
            fixed: time(self.end),
        }
    }
}

/// What columns stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Hour,
    Day,
}

impl Step {
    pub fn ms(self) -> Millis {
        match self {
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Its name in full, and as it has room under a column; that is empty where there are too many.
    pub fn names(self, start: Millis, is_of_days: bool) -> (String, String) {
        let format = |format: &str| {
            let time = jiff::Timestamp::from_millisecond(start);
            time.map_or_else(|_| String::new(), |time| time.strftime(format).to_string())
        };
        match self {
            Self::Day => (format("%Y-%m-%d"), format("%-d %b")),
            Self::Hour if !is_of_days => (format("%Y-%m-%d %H:%M"), format("%H:%M")),
            Self::Hour if start % DAY_MS == 0 => (format("%Y-%m-%d %H:%M"), format("%-d %b")),
            Self::Hour => (format("%Y-%m-%d %H:%M"), String::new()),
        }
    }
}

fn said(ms: Millis) -> String {
    let time = jiff::Timestamp::from_millisecond(ms);
    time.map_or_else(|_| format!("{ms} ms"), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_of_whole_hours_and_says_where_it_ends() {
        let now = 1_795_426_215_250; // 2026-11-23T09:30:15Z
        let read = |query: &str| Window::read(&Address::read("/", query), "day", now);
        let open = read("").unwrap();
        assert_eq!((time(open.since), open.until()), ("2026-11-22T10:00:00Z".to_owned(), 0));
        assert_eq!(open.steps(Step::Hour).count(), 24);
        assert_eq!(
            read("period=hour").unwrap().steps(Step::Hour).count(),
            2,
            "a whole one, and what there is of the next"
        );
        let fixed = read("period=week&until=2019-07-04").unwrap();
        assert_eq!(
            (time(fixed.since), time(fixed.until())),
            ("2019-06-27T00:00:00Z".into(), "2019-07-04T00:00:00Z".into())
        );
        let times = fixed.times();
        assert_eq!((times.earlier, times.later), ("2019-06-27T00:00:00Z".into(), "2019-07-11T00:00:00Z".into()));
        assert_eq!(fixed.steps(Step::Day).count(), 7);
        for wrong in ["period=year", "until=yesterday"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        for far in ["until=-009999-01-02T01:59:59Z", "until=9999-12-30T22:00:00Z"] {
            assert!(read(far).unwrap().since >= 0, "{far}");
        }
    }
}
