//! Parses numbers, and explains those that a spreadsheet has damaged.
//!
//! Invariant: a number is exact or an error; nothing is rounded.

use std::str::FromStr;

use super::{form::Form, shown};

/// Parses an integer. `bounds` follows "expected an integer" in the error.
pub(super) fn integer<T: FromStr>(text: &str, bounds: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("expected an integer {bounds}, found {}{}", shown(text), spoilt(text)))
}

/// Parses a decimal number and returns it multiplied by ten to the power of `places`.
pub(super) fn decimal(text: &str, places: usize, form: &Form) -> Result<i32, String> {
    let wrong = || {
        let decimals = if places == 1 { "decimal" } else { "decimals" };
        let why = other_mark(text, form);
        format!("expected a number with at most {places} {decimals}, found {}{why}", shown(text))
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = parts(digits, form).ok_or_else(wrong)?;
    let fraction = fraction.unwrap_or("0");
    if fraction.len() > places {
        return Err(wrong());
    }
    let scaled = || {
        let filled = |digits: &str, zeros: usize| digits.parse::<i64>().ok()?.checked_mul(10_i64.pow(zeros as u32));
        let scaled = filled(whole, places)?.checked_add(filled(fraction, places - fraction.len())?)?;
        i32::try_from(if negative { -scaled } else { scaled }).ok()
    };
    scaled().ok_or_else(|| format!("expected a number that fits 32 bits once scaled, found {}", shown(text)))
}

/// Splits a decimal number without a sign into its whole part and the digits after the mark, where it has one.
fn parts<'t>(text: &'t str, form: &Form) -> Option<(&'t str, Option<&'t str>)> {
    let mark = if form.decimal_comma { ',' } else { '.' };
    let (whole, fraction) = text.split_once(mark).map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (all_digits(whole) && fraction.is_none_or(all_digits)).then_some((whole, fraction))
}

/// Explains a decimal number with the other mark, or what damaged it. Begins with "; " unless empty.
fn other_mark(text: &str, form: &Form) -> String {
    match text.contains(['.', ',']) {
        true if form.decimal_comma && text.contains('.') => "; with --decimal comma the mark is a comma".to_owned(),
        true if !form.decimal_comma && text.contains(',') => "; --decimal comma reads a decimal comma".to_owned(),
        _ => spoilt(text),
    }
}

/// Parses a number that is not negative, and returns its whole part and the digits after the mark, where it has one. A whole
/// part beyond 64 bits is the largest of them.
pub(super) fn unsigned<'t>(text: &'t str, form: &Form) -> Result<(u64, Option<&'t str>), String> {
    let (whole, fraction) = parts(text, form).ok_or_else(|| {
        format!("expected a number that is not negative, found {}{}", shown(text), other_mark(text, form))
    })?;
    Ok((whole.parse().unwrap_or(u64::MAX), fraction))
}

/// Explains what damaged a number, if that shows. Begins with "; " unless empty.
pub(super) fn spoilt(text: &str) -> String {
    let said = if is_exponent(text) {
        "an exponent: a spreadsheet has rounded it, and the digits are lost; take it from where it came as text"
    } else if is_whole_decimal(text) {
        "a decimal point: a program took it for a number; have the column written as text or whole numbers"
    } else if is_grouped(text) {
        "write it without separators of thousands"
    } else if text.starts_with(['\u{2212}', '\u{2013}', '\u{2010}', '\u{2011}']) {
        "its minus is not the sign \"-\""
    } else {
        return String::new();
    };
    format!("; {said}")
}

/// True for scientific notation, like 1.2E+12.
pub(super) fn is_exponent(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return false };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let whole = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = whole.split_once(['.', ',']).unwrap_or((whole, "0"));
    digits(whole) && digits(fraction) && digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
}

/// True for a whole number with a decimal point, like 1300000000512.0.
pub(super) fn is_whole_decimal(text: &str) -> bool {
    text.split_once(['.', ',']).is_some_and(|(whole, zeros)| {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits(whole)
            && !zeros.is_empty()
            && zeros.bytes().all(|byte| byte == b'0')
            && (zeros.len() != 3 || whole.len() > 3)
    })
}

/// True for a number with thousands separators, like 2,000.
fn is_grouped(text: &str) -> bool {
    let mut groups = text.split([',', '.', ' ', '\'', '\u{A0}', '\u{202F}']);
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let first = groups.next().is_some_and(|first| (1..=3).contains(&first.len()) && digits(first));
    let mut count = 0;
    first && groups.inspect(|_| count += 1).all(|group| group.len() == 3 && digits(group)) && count > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_did_to_a_number_is_said() {
        for (text, words) in [
            ("1.31235E+12", "; an exponent"),
            ("9.01235E+15", "; an exponent"),
            ("1,2e12", "; an exponent"),
            ("12.0", "; a decimal point"),
            ("1300000000512.00", "; a decimal point"),
            ("2,000", "; write it without separators"),
            ("1.234.567", "; write it without separators"),
            ("1 234", "; write it without separators"),
            ("\u{2212}5", "; its minus"),
            ("x", ""),
            ("8F40", ""),
            ("", ""),
        ] {
            let said = spoilt(text);
            assert!(said.starts_with(words) && said.is_empty() == words.is_empty(), "{text}: {said}");
        }
    }

    #[test]
    fn a_decimal_comma_is_a_comma_where_it_is_said_to_be_and_an_error_elsewhere() {
        let comma = Form { decimal_comma: true, ..Form::default() };
        assert_eq!(decimal("258,1", 1, &comma), Ok(2581));
        assert_eq!(decimal("0,950", 3, &comma), Ok(950));
        assert_eq!(decimal("258", 1, &comma), Ok(2580));
        let refused = decimal("258.1", 1, &comma).unwrap_err();
        assert!(refused.ends_with("found \"258.1\"; with --decimal comma the mark is a comma"), "{refused}");
        let refused = decimal("258,1", 1, &Form::default()).unwrap_err();
        assert!(refused.ends_with("found \"258,1\"; --decimal comma reads a decimal comma"), "{refused}");
        for text in ["1.258,1", "1,258,1", ",1", "258,", "258,10"] {
            assert!(decimal(text, 1, &comma).is_err(), "{text}");
        }
    }
}
