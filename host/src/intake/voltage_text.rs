//! Voltages as files write them: how fine each is, and whether it can be one at all.
//!
//! Invariants: a voltage is an interval that holds what was written, whole volts with all that rounding may have done to them;
//! a number that is far more likely in another unit is an error that names the unit.

use super::{form::Form, shown, values::unsigned};
use crate::domain::{VOLTS_MAX_DV, Volts};

/// Tenths of a volt which are more likely whole volts under the wrong heading: 10 to 50 V.
const LIKELY_VOLTS: std::ops::RangeInclusive<u16> = 100..=500;

/// Parses volts: without decimals they are whole volts, with one a tenth, with more the tenths that they lie between. `is_whole`:
/// decimals of zeros alone are of a program that writes whole volts so.
pub(super) fn volts(text: &str, is_whole: bool, form: &Form) -> Result<Volts, String> {
    let (whole, fraction) = unsigned(text, form)?;
    let fraction = fraction.filter(|fraction| !is_whole || !is_zero(fraction));
    let volts = u16::try_from(whole).ok().and_then(|whole| match fraction {
        None => Volts::whole(whole),
        Some(fraction) => {
            let (first, rest) = fraction.split_at(1);
            let low_dv = whole.checked_mul(10)?.checked_add(first.parse().ok()?)?;
            Volts::between(low_dv, low_dv.checked_add(u16::from(!is_zero(rest)))?)
        }
    });
    volts.ok_or_else(|| {
        let unit = match whole {
            0..100_000 => "are these tenths of a volt? Their heading is voltage_dv",
            _ => "are these millivolts? Write volts, or tenths of a volt under voltage_dv",
        };
        format!("{} V is no voltage of a supply, which lies below 1,000 V; {unit}", shown(text))
    })
}

/// Parses tenths of a volt; with decimals they are the tenths that they lie between.
pub(super) fn tenths(text: &str, form: &Form) -> Result<Volts, String> {
    let (whole, fraction) = unsigned(text, form)?;
    let volts = u16::try_from(whole).ok().and_then(|low_dv| {
        let is_exact = fraction.is_none_or(is_zero);
        Volts::between(low_dv, low_dv.checked_add(u16::from(!is_exact))?)
    });
    volts.ok_or_else(|| too_many_tenths(text))
}

/// Parses whole tenths of a volt.
pub(super) fn exact_tenths(text: &str, form: &Form) -> Result<u16, String> {
    match unsigned(text, form)? {
        (whole, fraction) if fraction.is_none_or(is_zero) => {
            u16::try_from(whole).ok().filter(|dv| *dv <= VOLTS_MAX_DV).ok_or_else(|| too_many_tenths(text))
        }
        _ => Err(format!("expected whole tenths of a volt, found {}", shown(text))),
    }
}

/// Parses volts of at most one decimal, and returns tenths.
pub(super) fn exact_volts(text: &str, form: &Form) -> Result<u16, String> {
    let (_, fraction) = unsigned(text, form)?;
    let volts = volts(text, false, form).map_err(|why| why.replace("voltage_dv", "threshold_dv"))?;
    match volts.whole_volts() {
        Some(whole) => Ok(whole * 10),
        None if volts.low_dv() == volts.high_dv() => Ok(volts.low_dv()),
        None => {
            let decimals = fraction.map_or(0, str::len);
            Err(format!("expected volts with at most one decimal, found {} with {decimals}", shown(text)))
        }
    }
}

/// Says that tenths of a volt are more likely volts.
pub(super) fn doubt_tenths(text: &str, volts: Volts) -> Option<String> {
    LIKELY_VOLTS.contains(&volts.low_dv()).then(|| {
        format!(
            "{text} tenths of a volt are {volts}; if it is in volts, its heading is voltage_v; this is the first such voltage \
             in the file, and taken as it is"
        )
    })
}

fn too_many_tenths(text: &str) -> String {
    format!(
        "{} tenths of a volt are no voltage of a supply, which lies below 1,000 V; are these millivolts or hundredths? Write \
         tenths",
        shown(text)
    )
}

fn is_zero(digits: &str) -> bool {
    digits.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(u16, u16, Option<u16>), String> {
        volts(text, false, &Form::default()).map(|volts| (volts.low_dv(), volts.high_dv(), volts.whole_volts()))
    }

    #[test]
    fn volts_are_as_fine_as_they_are_written() {
        for (text, expected) in [
            ("258", (2_570, 2_590, Some(258))),
            ("258.0", (2_580, 2_580, None)),
            ("258.1", (2_581, 2_581, None)),
            ("258.10", (2_581, 2_581, None)),
            ("258.13", (2_581, 2_582, None)),
            ("258.0000001", (2_580, 2_581, None)),
            ("258.99", (2_589, 2_590, None)),
            ("0", (0, 10, Some(0))),
            ("0.0", (0, 0, None)),
            ("999", (9_980, 10_000, Some(999))),
            ("1000.0", (10_000, 10_000, None)),
        ] {
            assert_eq!(of(text), Ok(expected), "{text}");
        }
        let comma = Form { decimal_comma: true, ..Form::default() };
        assert_eq!(volts("258,1", false, &comma).map(Volts::low_dv), Ok(2_581));
        let whole = volts("258.00", true, &Form::default()).unwrap();
        assert_eq!(whole.whole_volts(), Some(258));
        assert_eq!(volts("258.1", true, &Form::default()).unwrap().whole_volts(), None);
    }

    #[test]
    fn a_voltage_in_another_unit_is_named() {
        for (text, words) in [
            ("2581", "\"2581\" V is no voltage of a supply, which lies below 1,000 V; are these tenths of a volt?"),
            ("1000", "are these tenths of a volt? Their heading is voltage_dv"),
            ("1000.01", "are these tenths of a volt?"),
            ("258100", "are these millivolts?"),
            ("99999999999999999999", "are these millivolts?"),
            ("-258", "expected a number that is not negative, found \"-258\""),
            ("258,1", "--decimal comma reads a decimal comma"),
            ("2.581E+2", "an exponent"),
            ("", "expected a number that is not negative"),
            (".5", "expected a number that is not negative"),
        ] {
            let refused = of(text).unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }

    #[test]
    fn tenths_are_exact_unless_they_have_decimals() {
        let form = Form::default();
        let of = |text| tenths(text, &form).map(|volts| (volts.low_dv(), volts.high_dv()));
        assert_eq!(
            (of("2581"), of("2581.0"), of("2581.3")),
            (Ok((2_581, 2_581)), Ok((2_581, 2_581)), Ok((2_581, 2_582)))
        );
        assert_eq!(of("10000"), Ok((10_000, 10_000)));
        assert!(of("25810").unwrap_err().contains("are these millivolts or hundredths?"));
        assert!(
            doubt_tenths("258", tenths("258", &form).unwrap()).unwrap().starts_with("258 tenths of a volt are 25.8 V")
        );
        assert_eq!(doubt_tenths("2581", tenths("2581", &form).unwrap()), None);
        assert_eq!(
            (exact_volts("253", &form), exact_volts("253.0", &form), exact_volts("258.10", &form)),
            (Ok(2_530), Ok(2_530), Ok(2_581))
        );
        assert!(exact_volts("258.13", &form).unwrap_err().contains("at most one decimal"));
        assert!(exact_volts("2530", &form).unwrap_err().contains("Their heading is threshold_dv"));
        assert!(exact_tenths("2530.5", &form).unwrap_err().contains("whole tenths"));
    }
}
