//! Questions that readings answer, on the command line.
//!
//! It must not know how an answer looks. Invariant: voltages are whole tenths of a volt, as in the parameters of rules.

use std::str::FromStr;

use weir_proto::v1;

use super::sweep::Steps;
use crate::{
    cli::{arguments, failure::Failure},
    domain::VOLTS_MAX_DV,
};

/// Values of one range at most; the host's own limit may be lower.
const VALUES_MAX: usize = 64;

/// Lowest threshold that is asked about, in tenths of a volt: a lower one is far more likely in volts.
const LOWEST_DV: u32 = 1_000;

/// What is asked of readings.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Readings")]
pub(crate) struct ReadingArgs {
    /// Have readings answer (`weir reading load`), because no alert carries a voltage. Needs --as.
    #[arg(long, requires = "role")]
    readings: bool,
    /// `filter`: which of the alerts would the rule hold back? `device`: which alerts would meters have raised with another
    /// threshold? They differ: a meter alerts once, when its average crosses its threshold.
    #[arg(long = "as", id = "role", value_name = "ROLE", requires = "readings")]
    role: Option<Role>,
    /// As the device: thresholds in tenths of a volt, or ranges of them (2530..2600:10).
    #[arg(long, value_name = "DV", value_delimiter = ',', requires = "role")]
    threshold: Vec<Thresholds>,
    /// As the device: thresholds of average under-voltage instead of over-voltage.
    #[arg(long, requires = "role")]
    under: bool,
    /// How far the clock of a meter may be behind (like 10s; below one minute): an alert may have occurred so long before the
    /// end of its period. 30s if not given.
    #[arg(long, value_name = "TIME", value_parser = tolerance, requires = "role")]
    tolerance: Option<u32>,
}

/// In what a voltage is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// In a rule of Weir.
    Filter,
    /// In meters.
    Device,
}

/// A threshold, or several in steps.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Thresholds(Vec<u32>);

impl FromStr for Thresholds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "expected tenths of a volt, like 2580 for 258.0 V, or LOW..HIGH:STEP, like 2530..2600:10".to_owned();
        let plausible = |dv: i64| match u32::try_from(dv) {
            Ok(dv) if dv >= LOWEST_DV => Ok(dv),
            Ok(dv) => Err(format!("{dv} tenths of a volt are no threshold of a supply; 253 V is 2530")),
            Err(_) => Err(wrong()),
        };
        if !text.contains("..") {
            return Ok(Self(vec![plausible(text.trim().parse().map_err(|_| wrong())?)?]));
        }
        let steps = Steps::read(text).ok_or_else(wrong)?;
        plausible(steps.low)?;
        let values = steps.values(VALUES_MAX)?.into_iter().map(plausible).collect::<Result<_, _>>()?;
        Ok(Self(values))
    }
}

/// Reads thresholds that are separated by commas, each alone or in steps; an error says what is expected.
pub(crate) fn thresholds(text: &str) -> Result<Vec<u32>, String> {
    let read: Vec<Thresholds> = text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>()?;
    let values: Vec<u32> = read.into_iter().flat_map(|Thresholds(values)| values).collect();
    if values.len() > VALUES_MAX {
        return Err(format!("{} are more than {VALUES_MAX}; make the steps larger", values.len()));
    }
    match values.iter().find(|value| !(1..=u32::from(VOLTS_MAX_DV)).contains(*value)) {
        Some(value) => Err(format!("{value} is not 1 to {VOLTS_MAX_DV} tenths of a volt; 258.0 V is 2580")),
        None => Ok(values),
    }
}

fn tolerance(text: &str) -> Result<u32, String> {
    let millis = arguments::length(text, 1)?;
    u32::try_from(millis).map_err(|_| format!("{text}: is not below one minute"))
}

impl ReadingArgs {
    /// Returns true if no rule is part of the question.
    pub(crate) fn is_about_devices(&self) -> bool {
        self.role == Some(Role::Device)
    }

    /// As it is asked.
    pub(crate) fn wire(self) -> Result<Option<v1::ReadingQuestion>, Failure> {
        let Self { readings, role, threshold, under, tolerance } = self;
        let Some(role) = role.filter(|_| readings) else { return Ok(None) };
        let thresholds_dv: Vec<u32> = threshold.into_iter().flat_map(|Thresholds(values)| values).collect();
        let role = match role {
            Role::Filter if under || !thresholds_dv.is_empty() => {
                return Err(Failure::usage(
                    "--threshold, --under: say what meters compare; as a filter, the parameters of the rule say which \
                     voltages it holds back (--parameters or --sweep)",
                ));
            }
            Role::Filter => v1::ReadingRole::Filter,
            Role::Device if thresholds_dv.is_empty() => {
                return Err(Failure::usage(
                    "--threshold: is missing; as the device it says what meters would compare with",
                ));
            }
            Role::Device => v1::ReadingRole::Device,
        };
        let limit = if under { v1::VoltageLimit::Under } else { v1::VoltageLimit::Over };
        let limit = if role == v1::ReadingRole::Device { limit } else { v1::VoltageLimit::Unspecified };
        Ok(Some(v1::ReadingQuestion { role: role.into(), tolerance_ms: tolerance, thresholds_dv, limit: limit.into() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_tenths_of_a_volt_alone_or_in_steps() {
        let read = |text: &str| text.parse::<Thresholds>().map(|Thresholds(values)| values);
        assert_eq!(read("2580"), Ok(vec![2580]));
        assert_eq!(read("2530..2560:15"), Ok(vec![2530, 2545, 2560]));
        for wrong in ["", "258.0", "258V", "2580..2530", "2530..2540:0", "1000..2000", "253"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_of_thresholds_has_no_more_than_are_asked_at_once_and_none_that_is_no_voltage() {
        assert_eq!(thresholds("2580, 2530..2540:10"), Ok(vec![2580, 2530, 2540]));
        let refused = [
            ("", "expected tenths of a volt"),
            ("2580,", "expected tenths of a volt"),
            ("0", "0 tenths of a volt are no threshold of a supply"),
            ("253", "253 tenths of a volt are no threshold of a supply; 253 V is 2530"),
            ("2580,10001", "10001 is not 1 to 10000 tenths of a volt"),
            ("2500..2540,2600..2640", "82 are more than 64"),
        ];
        for (text, why) in refused {
            let said = thresholds(text).unwrap_err();
            assert!(said.starts_with(why), "{text}: {said}");
        }
    }
}
