//! Parses identifiers as people paste them, and explains those that a spreadsheet has damaged.
//!
//! Invariant: the result has exactly the digits of the text. Invisible characters and unusual hyphens are normalised; a
//! missing, extra or rounded digit is an error that says so.

use std::{borrow::Cow, str::FromStr};

use super::{
    shown,
    values::{is_exponent, is_whole_decimal},
};
use crate::domain::{AlertCode, Eui64, Mpxn};

const EUI_DIGITS: usize = 16;
const EUI: &str = "expected an EUI-64: 16 hex digits, not all zero, like 00-DB-12-34-56-78-90-A0";
const MPXN: &str = "expected an MPAN (13 digits) or MPRN (6 to 10 digits)";
/// Characters of an MPAN's top line: profile class, meter time-switch code, line loss factor class.
const TOP_LINE: usize = 8;
const MPAN_DIGITS: usize = 13;

/// True for characters without a glyph, like zero-width spaces and byte order marks.
pub(super) fn is_invisible(character: char) -> bool {
    matches!(character, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}

/// Trims white space and invisible characters.
pub(super) fn trimmed(text: &str) -> &str {
    let ascii = text.trim_ascii();
    if ascii.is_ascii() { ascii } else { ascii.trim_matches(|c: char| c.is_whitespace() || is_invisible(c)) }
}

/// Normalises hyphens and blanks to ASCII, drops invisible characters, and unwraps `="..."` and a leading apostrophe, by
/// which spreadsheets keep a value text.
fn plain(text: &str) -> Cow<'_, str> {
    let quoted = text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"'));
    let text = quoted.or_else(|| text.strip_prefix('\'')).unwrap_or(text);
    if text.is_ascii() {
        return Cow::Borrowed(text.trim_ascii());
    }
    let seen = text.chars().filter(|character| !is_invisible(*character)).map(|character| match character {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' | '\u{FF0D}' => '-',
        blank if blank.is_whitespace() => ' ',
        other => other,
    });
    Cow::Owned(seen.collect::<String>().trim().to_owned())
}

/// Parses the EUI-64 of a device or party: 16 hex digits, with hyphens, colons or blanks between the bytes, or 0x before them.
pub(super) fn device(text: &str) -> Result<Eui64, String> {
    eui_64(text)?.of_device().map_err(|error| error.to_string())
}

fn eui_64(text: &str) -> Result<Eui64, String> {
    if let Ok(eui) = Eui64::from_str(text) {
        return Ok(eui);
    }
    let plain = plain(text);
    let hex = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")).unwrap_or(&plain);
    let spaced = (hex.len() == 23).then(|| hex.replace(' ', "-"));
    Eui64::from_str(spaced.as_deref().unwrap_or(hex)).map_err(|_| {
        let why = no_device(hex);
        format!("{EUI}, found {}{}{why}", shown(text), if why.is_empty() { "" } else { "; " })
    })
}

/// Explains why a text is no EUI-64, if that shows.
fn no_device(text: &str) -> String {
    let digits: String = text.chars().filter(|c| !matches!(c, '-' | ':' | ' ' | '.')).collect();
    let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_exponent(text) && digits.len() != EUI_DIGITS {
        return "an exponent: a spreadsheet has rounded it, and the digits are lost; take it from where it came as text".into();
    }
    if is_whole_decimal(text) {
        return "a decimal point: a program took it for a number; have the column written as text".into();
    }
    if let Some(odd) = digits.chars().find(|c| !c.is_ascii_hexdigit() && (c.is_alphabetic() || !c.is_ascii())) {
        return format!("{} is no hex digit", shown(&odd.to_string()));
    }
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return String::new();
    }
    match digits.len() {
        17..=20 if is_decimal => match text.parse().map(Eui64) {
            Ok(eui) => format!("{}: a decimal number? In hex it is {eui}", in_digits(digits.len())),
            Err(_) => in_digits(digits.len()),
        },
        12 if text.contains(['-', ':']) => "12 digits: an EUI-48, a MAC address".into(),
        1..=15 => {
            let filled = u64::from_str_radix(&digits, 16).map(Eui64);
            let with = filled.ok().filter(|eui| *eui != Eui64::NONE).map(|eui| format!(" With them it is {eui}"));
            format!("{}: leading zeros lost?{}", in_digits(digits.len()), with.unwrap_or_default())
        }
        length if length > EUI_DIGITS => in_digits(length),
        _ => String::new(),
    }
}

/// A count of digits in words.
fn in_digits(count: usize) -> String {
    if count == 1 { "1 digit".to_owned() } else { format!("{count} digits") }
}

/// True if a spreadsheet may have rounded the device's number: 16 decimal digits, the last of which is 0.
pub(super) fn may_be_rounded(device: Eui64) -> bool {
    let digit = |at: u32| device.0 >> (4 * at) & 0xF;
    digit(0) == 0 && digit(15) != 0 && (1..16).all(|at| digit(at) <= 9)
}

/// Parses an MPAN core, an MPRN, or an MPAN of 21 characters with its top line. Blanks and hyphens between digits are ignored.
pub(super) fn mpxn(text: &str) -> Result<Mpxn, String> {
    if let Ok(mpxn) = Mpxn::from_str(text) {
        return Ok(mpxn);
    }
    let plain = plain(text);
    let joined: String = plain.split_ascii_whitespace().collect();
    let hyphened = !joined.starts_with('-') && joined.contains('-');
    let digits = if hyphened { joined.replace('-', "") } else { joined };
    let full = digits.strip_prefix(['S', 's']).unwrap_or(&digits);
    let core = core_of_full(full).unwrap_or(&digits);
    Mpxn::from_str(core).map_err(|error| {
        let why = no_mpxn(&digits);
        if why.is_empty() {
            format!("expected {}, found {}", error.expected, shown(text))
        } else {
            format!("{MPXN}, found {}; {why}", shown(text))
        }
    })
}

/// Returns the core of an MPAN with its top line.
fn core_of_full(text: &str) -> Option<&str> {
    if text.len() != TOP_LINE + MPAN_DIGITS || !text.is_ascii() {
        return None;
    }
    let (top, core) = text.split_at(TOP_LINE);
    let (fixed, loss_factor) = top.split_at(5);
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (digits(fixed) && loss_factor.bytes().all(|byte| byte.is_ascii_alphanumeric()) && digits(core)).then_some(core)
}

/// Explains why a text is no MPxN, if that shows.
fn no_mpxn(text: &str) -> String {
    if is_exponent(text) {
        return "an exponent: a spreadsheet has rounded it, and the digits are lost; take it from where it came as text".into();
    }
    if is_whole_decimal(text) {
        return "a decimal point: a spreadsheet or a program took it for a number; have the column written as text"
            .into();
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return String::new();
    }
    match text.len() {
        6..=10 => "an MPRN has no leading zero".into(),
        11..=12 => format!("{} digits: one was lost, perhaps at its beginning, or it is cut off", text.len()),
        20 => "20 digits: the 21 of an MPAN with its top line, without the leading zero? Give the last 13 alone".into(),
        13 | 21 => String::new(),
        length => in_digits(length),
    }
}

/// Parses an alert code.
pub(super) fn code(text: &str) -> Result<AlertCode, String> {
    AlertCode::from_str(text).or_else(|_| AlertCode::from_str(&plain(text))).map_err(|error| {
        let why = match text {
            _ if is_exponent(text) => "; an exponent: a spreadsheet took the code for a number",
            _ if is_whole_decimal(text) => "; a decimal point: a program took the code for a number",
            _ if text.len() < 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => "; leading zeros lost?",
            _ => "",
        };
        format!("expected {}, found {}{why}", error.expected, shown(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_read_however_it_was_pasted() {
        let expected = Ok(Eui64(0x00DB_1234_5678_90A0));
        for text in [
            "00-DB-12-34-56-78-90-A0",
            "00db1234567890a0",
            "00:DB:12:34:56:78:90:A0",
            "00 DB 12 34 56 78 90 A0",
            "0x00DB1234567890A0",
            "00\u{2011}DB\u{2010}12\u{2013}34\u{2212}56\u{FF0D}78\u{2014}90-A0",
            "\u{200B}00-DB-12-34\u{200D}-56-78-90-A0\u{FEFF}",
            "00\u{A0}DB\u{A0}12\u{A0}34\u{A0}56\u{A0}78\u{A0}90\u{A0}A0",
            "=\"00-DB-12-34-56-78-90-A0\"",
            "'00DB1234567890A0",
        ] {
            assert_eq!(device(text), expected, "{text}");
        }
        assert_eq!(device("1234123412341234"), Ok(Eui64(0x1234_1234_1234_1234)), "16 digits of text are hex");
        assert_eq!(device("9012345678901E15"), Ok(Eui64(0x9012_3456_7890_1E15)), "E is a hex digit");
    }

    #[test]
    fn what_is_no_device_says_what_became_of_it() {
        for (text, words) in [
            ("DB1234567890A0", "14 digits: leading zeros lost? With them it is 00-DB-12-34-56-78-90-A0"),
            ("9.01235E+15", "an exponent: a spreadsheet has rounded it"),
            ("9012345678901234.0", "a decimal point"),
            ("61663035897974944", "17 digits: a decimal number? In hex it is 00-DB-12-34-56-78-90-A0"),
            ("18446744073709551615", "In hex it is FF-FF-FF-FF-FF-FF-FF-FF"),
            ("99999999999999999999", "20 digits"),
            ("00-DB-12-34-56-78", "12 digits: an EUI-48"),
            ("00-DB-12-34-56-78-90-AO", "\"O\" is no hex digit"),
            ("00-DB-12-34-56-78-90-\u{410}0", "\"А\" is no hex digit"),
            ("00-DB-12-34-56-78-90-A0-11", "18 digits"),
            ("0000000000000000", "not all zero"),
            ("0", "leading zeros lost?"),
            ("-9012345678901234", ""),
        ] {
            let refused = device(text).unwrap_err();
            assert!(refused.starts_with(EUI) && refused.contains(words), "{text}: {refused}");
        }
    }

    #[test]
    fn an_mpan_is_read_in_its_usual_forms() {
        let expected = Mpxn::from_str("1300000000498");
        for text in [
            "1300000000498",
            "13 0000 0000 498",
            "13\u{A0}0000\u{2009}0000 498",
            "13-0000-0000-498",
            "01 801 101 13 0000 0000 498",
            "S 01 801 101 13 0000 0000 498",
            "018011A11300000000498",
            "\u{200B}1300000000498",
            "=\"1300000000498\"",
            "'1300000000498",
        ] {
            assert_eq!(mpxn(text).ok(), expected.clone().ok(), "{text}");
        }
        assert_eq!(mpxn("7654321").map(Mpxn::number), Ok(7_654_321));
        assert_eq!(mpxn(""), Ok(Mpxn::NONE));
        for (text, words) in [
            ("1300000000512.0", "a decimal point: a spreadsheet"),
            ("1.31235E+12", "an exponent: a spreadsheet has rounded it"),
            ("130000000049", "12 digits: one was lost"),
            ("18011011300000000498", "20 digits: the 21 of an MPAN"),
            ("1300000000499", "an MPAN whose 13th digit is its check digit"),
            ("018011011300000000499", "an MPAN whose 13th digit is its check digit"),
            ("01x011011300000000498", "digits only"),
            ("12345", "5 digits"),
            ("-1300000000498", "digits only"),
            ("1,300,000,000,498", "digits only"),
        ] {
            let refused = mpxn(text).unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }

    #[test]
    fn the_broadcast_address_is_no_device() {
        for text in ["FF-FF-FF-FF-FF-FF-FF-FF", "ffffffffffffffff", "0xFFFFFFFFFFFFFFFF", "ff:ff:ff:ff:ff:ff:ff:ff"] {
            assert!(device(text).unwrap_err().ends_with("is the broadcast address, which no device has"), "{text}");
        }
        assert!(device("FF-FF-FF-FF-FF-FF-FF-FE").is_ok());
    }

    #[test]
    fn a_code_that_was_a_number_is_told_so() {
        assert_eq!(code("8F40\u{200B}"), Ok(AlertCode(0x8F40)));
        for (text, words) in [("8E+05", "an exponent"), ("8014.0", "a decimal point"), ("14", "leading zeros lost?")] {
            let refused = code(text).unwrap_err();
            assert!(
                refused.starts_with("expected an alert code: 4 hex digits") && refused.contains(words),
                "{refused}"
            );
        }
    }

    #[test]
    fn sixteen_decimal_digits_that_end_in_zero_may_have_been_rounded() {
        let of = |text| may_be_rounded(device(text).unwrap());
        assert!(of("9012345678901230"));
        assert!(
            !of("9012345678901234") && !of("00DB123456789000") && !of("0012345678901230") && !of("90123456789012A0")
        );
    }
}
