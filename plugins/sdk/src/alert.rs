//! An alert as a rule sees it.
//!
//! It must not know columns or the sandbox. Invariant: the numbers and text forms here are those of the contract
//! (`wit/rule.wit`) and of the host's own identifiers.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// One alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// EUI-64 of the device, most significant byte first.
    pub device: u64,
    /// What happened. Codes nobody has a name for occur.
    pub code: AlertCode,
    /// When the device says it happened: milliseconds since 1970-01-01T00:00:00Z. May be out of order or wrong.
    pub occurred_ms: i64,
    /// What it reports, in the unit its code implies: decivolts (tenths of a volt) for voltage, thousandths for power
    /// factor. Most real alerts carry none.
    pub measurement: Option<i32>,
    /// How many alerts it stands for: itself and the copies withheld upstream. At least 1.
    pub weight: u32,
    /// What kind of meter the device is.
    pub generation: Generation,
    /// Distributor id of the operator, 10 to 99, where known.
    pub operator: Option<u8>,
    /// The device's model combination.
    pub model: ModelId,
}

/// A 16-bit alert code. In parameters: four hex digits as a string, such as `"8F40"`, or the name of one of the DCC's own
/// codes, such as `"N24"` or `"AD1"`. Those stand here as numbers that no device sends: N0 to N999 as D000 to D3E7, AD0 to
/// AD9 as DA00 to DA09.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertCode(pub u16);

/// What kind of meter a device is. In parameters: `"smets1"`, `"smets2"` or `"unknown"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Generation {
    /// Not known.
    #[default]
    Unknown = 0,
    /// SMETS1.
    Smets1 = 1,
    /// SMETS2.
    Smets2 = 2,
}

/// A device model combination: the 32-bit FNV-1a hash of its name, 0 when not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ModelId(pub u32);

/// What the names of the DCC's codes begin with, the number that stands for the first, and how many there are.
const DCC_CODES: [(&str, u16, u16); 2] = [("N", 0xD000, 1_000), ("AD", 0xDA00, 10)];

impl fmt::Display for AlertCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, first, count) in DCC_CODES {
            if let Some(number) = self.0.checked_sub(first).filter(|number| *number < count) {
                return write!(f, "{name}{number}");
            }
        }
        write!(f, "{:04X}", self.0)
    }
}

/// One of the DCC's own codes by its name.
fn of_dcc(text: &str) -> Option<AlertCode> {
    DCC_CODES.into_iter().find_map(|(name, first, count)| {
        let (start, digits) = text.split_at_checked(name.len())?;
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: u16 = digits.parse().ok().filter(|number| plain && *number < count)?;
        start.eq_ignore_ascii_case(name).then_some(AlertCode(first + number))
    })
}

impl<'de> Deserialize<'de> for AlertCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;

        impl de::Visitor<'_> for Digits {
            type Value = AlertCode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "an alert code: a string of 4 hex digits, like \"8F40\", or a code of the DCC, like \"N24\"",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AlertCode, E> {
                let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
                let hex = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                let code = if hex { u16::from_str_radix(digits, 16).ok().map(AlertCode) } else { of_dcc(text) };
                code.ok_or_else(|| {
                    let shown: String = text.chars().take(40).collect();
                    E::invalid_value(de::Unexpected::Str(&shown), &self)
                })
            }
        }

        deserializer.deserialize_str(Digits)
    }
}

impl Generation {
    /// From bits 1 and 2 of the contract's flags. A number from a later contract is not known here.
    #[inline]
    pub(crate) fn from_flags(flags: u8) -> Self {
        match flags >> 1 & 3 {
            1 => Self::Smets1,
            2 => Self::Smets2,
            _ => Self::Unknown,
        }
    }
}

impl ModelId {
    /// Not known.
    pub const UNKNOWN: Self = Self(0);

    /// The id of a name. The empty name is the unknown model.
    pub fn of(name: &str) -> Self {
        if name.is_empty() {
            return Self::UNKNOWN;
        }
        Self(name.bytes().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_four_hex_digits_and_written_the_same() {
        for text in ["8F40", "8f40", "0x8F40", "0X8f40"] {
            let code: AlertCode = serde_json::from_str(&format!("{text:?}")).unwrap();
            assert_eq!(code, AlertCode(0x8F40));
            assert_eq!(code.to_string(), "8F40");
        }
        for (text, code) in [("N24", 0xD018), ("n999", 0xD3E7), ("AD1", 0xDA01)] {
            let read: AlertCode = serde_json::from_str(&format!("{text:?}")).unwrap();
            assert_eq!((read, read.to_string()), (AlertCode(code), text.to_uppercase()));
        }
        for wrong in [
            "\"N1000\"",
            "\"AD+1\"",
            "\"N\"",
            "\"8F4\"",
            "\"8F400\"",
            "\"+F40\"",
            "\"8F4G\"",
            "\"\"",
            "36672",
            "null",
            "\"0x0x8F40\"",
        ] {
            let error = serde_json::from_str::<AlertCode>(wrong).unwrap_err().to_string();
            assert!(error.contains("4 hex digits"), "{wrong}: {error}");
        }
    }

    #[test]
    fn an_error_shows_at_most_forty_characters_of_what_was_there() {
        let error = serde_json::from_str::<AlertCode>(&format!("{:?}", "8".repeat(1000))).unwrap_err().to_string();
        assert!(error.len() < 200, "{error}");
    }

    /// Published vectors of 32-bit FNV-1a: the host computes the same ids.
    #[test]
    fn model_ids_are_fnv_1a() {
        assert_eq!(ModelId::of(""), ModelId::UNKNOWN);
        assert_eq!(ModelId::of("a"), ModelId(0xE40C_292C));
        assert_eq!(ModelId::of("foobar"), ModelId(0xBF9C_F968));
    }

    #[test]
    fn generations_come_from_bits_one_and_two_of_the_flags() {
        let of = Generation::from_flags;
        assert_eq!(
            [of(0b000), of(0b010), of(0b100), of(0b110)],
            [Generation::Unknown, Generation::Smets1, Generation::Smets2, Generation::Unknown]
        );
        assert_eq!(of(0b1111_1011), Generation::Smets1);
    }
}
