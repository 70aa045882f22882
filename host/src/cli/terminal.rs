//! What a terminal is shown: colours or none, and times in which zone.
//!
//! It must not know any command. Invariants: without a terminal nothing is coloured unless somebody says so; what is
//! printed as JSON is neither coloured nor in anybody's zone.

use std::{ffi::OsString, sync::OnceLock};

use clap::{ColorChoice, ValueEnum};
use jiff::tz::TimeZone;

use crate::near::{did_you_mean, nearest};

/// Which zone times are shown in; UTC where nobody says otherwise.
static ZONE: OnceLock<TimeZone> = OnceLock::new();

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR or CLICOLOR=0 says otherwise; CLICOLOR_FORCE=1 has them anywhere.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// What help and mistakes in usage are shown in: they come before any argument is known to be right.
    pub(super) fn of_usage(arguments: impl Iterator<Item = OsString>) -> ColorChoice {
        let arguments: Vec<OsString> = arguments.take_while(|argument| argument != "--").collect();
        let joined = arguments.iter().filter_map(|argument| argument.to_str()?.strip_prefix("--color="));
        let apart = arguments.windows(2).filter(|pair| pair[0] == "--color").filter_map(|pair| pair[1].to_str());
        match joined.chain(apart).last() {
            Some("always") => ColorChoice::Always,
            Some("never") => ColorChoice::Never,
            _ => ColorChoice::Auto,
        }
    }

    fn apply(self) {
        let wanted = match self {
            // The library looks at the terminals and the environment by itself.
            Self::Auto => return,
            Self::Always => true,
            Self::Never => false,
        };
        console::set_colors_enabled(wanted);
        console::set_colors_enabled_stderr(wanted);
    }
}

/// How what a command says is to look.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Look {
    /// When to use colours: auto heeds the terminal, NO_COLOR, CLICOLOR and CLICOLOR_FORCE.
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        hide_default_value = true
    )]
    color: Color,
    /// Zone that times are shown in: utc, local, or a name like Europe/London. JSON keeps to UTC, and so does what is
    /// typed without a zone. Where it is given with a command that reads files, also that of their times that have none.
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        value_name = "ZONE",
        env = "WEIR_TIME_ZONE",
        default_value = "utc",
        value_parser = parse_zone
    )]
    time_zone: TimeZone,
    /// True if the zone comes from the command line, not the environment.
    #[arg(skip)]
    zone_is_stated: bool,
}

impl Look {
    /// Marks the zone as stated on the command line, which makes it the zone of input files too.
    pub(super) fn state_zone(&mut self) {
        self.zone_is_stated = true;
    }

    /// Returns the zone if the command line states it.
    pub(super) fn stated_zone(&self) -> Option<&TimeZone> {
        self.zone_is_stated.then_some(&self.time_zone)
    }

    /// Has it look so for the rest of the process.
    pub(super) fn set(&self, json: bool) {
        self.color.apply();
        // A process runs one command.
        let _ = ZONE.set(if json { TimeZone::UTC } else { self.time_zone.clone() });
    }
}

impl Default for Look {
    fn default() -> Self {
        Self { color: Color::Auto, time_zone: TimeZone::UTC, zone_is_stated: false }
    }
}

/// The zone that times are shown in.
pub(super) fn zone() -> &'static TimeZone {
    ZONE.get().unwrap_or(const { &TimeZone::UTC })
}

/// A zone as people write it.
pub(super) fn parse_zone(text: &str) -> Result<TimeZone, String> {
    match text.to_ascii_lowercase().as_str() {
        "utc" => Ok(TimeZone::UTC),
        "local" => {
            TimeZone::try_system().map_err(|error| format!("this system does not say which zone it is in: {error}"))
        }
        _ => TimeZone::get(text).map_err(|_| {
            let known: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
            let near = did_you_mean(nearest(text, known.iter().map(String::as_str)));
            format!("expected utc, local, or a zone that this system knows, like Europe/London{near}")
        }),
    }
}

/// The head of a table, in lines, made bold where colours are wanted.
pub(super) fn with_bold_head(table: String) -> String {
    let is_rule = |line: &str| line.starts_with("+=");
    if !console::colors_enabled() || !table.lines().any(is_rule) {
        return table;
    }
    let mut in_head = true;
    let line = |line: &str| {
        in_head &= !is_rule(line);
        if in_head && line.starts_with('|') { console::style(line).bold().to_string() } else { line.to_owned() }
    };
    table.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_coloured_as_the_last_word_on_it_says() {
        let of = |line: &str| Color::of_usage(line.split(' ').map(OsString::from));
        assert_eq!(of("weir rule list"), ColorChoice::Auto);
        assert_eq!(of("weir --color never rule"), ColorChoice::Never);
        assert_eq!(of("weir --color=never rule --color=always"), ColorChoice::Always);
        assert_eq!(of("weir rule --color"), ColorChoice::Auto);
        assert_eq!(of("weir -- --color=always"), ColorChoice::Auto);
    }

    #[test]
    fn zones_are_utc_local_or_named() {
        assert_eq!(parse_zone("UTC"), Ok(TimeZone::UTC));
        assert!(parse_zone("Mars/Olympus").unwrap_err().starts_with("expected utc, local, or a zone"));
    }
}
