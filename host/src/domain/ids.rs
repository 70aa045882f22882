//! Identifiers: small copyable types, each with the one text form people write.
//!
//! It must not know where an identifier came from. Invariant: `parse` and `Display` are inverse to each other.

use std::{fmt, str::FromStr};

/// An identifier that could not be read: what was expected, and what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdError {
    /// What the text should have been.
    pub expected: &'static str,
    /// The text, cut to 40 characters.
    pub found: String,
}

impl IdError {
    pub(super) fn new(expected: &'static str, found: &str) -> Self {
        Self { expected, found: found.chars().take(40).collect() }
    }
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {:?}", self.expected, self.found)
    }
}

impl std::error::Error for IdError {}

/// EUI-64 of a device or party. The first byte on the wire is the most significant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Eui64(pub u64);

impl Eui64 {
    /// No party: what an absent recipient is written as.
    pub const NONE: Self = Self(0);
    /// All devices: what a signed -1 becomes too.
    pub const BROADCAST: Self = Self(u64::MAX);

    /// Returns the EUI-64 where a device or party can have it.
    pub fn of_device(self) -> Result<Self, NoDevice> {
        match self {
            Self::NONE | Self::BROADCAST => Err(NoDevice(self)),
            eui => Ok(eui),
        }
    }
}

/// An EUI-64 that no device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoDevice(Eui64);

impl fmt::Display for NoDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Eui64::NONE => f.write_str("0 is no device"),
            eui => write!(f, "{eui} is the broadcast address, which no device has"),
        }
    }
}

impl std::error::Error for NoDevice {}

impl fmt::Display for Eui64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.to_be_bytes();
        for (i, byte) in bytes.iter().enumerate() {
            let dash = if i == 0 { "" } else { "-" };
            write!(f, "{dash}{byte:02X}")?;
        }
        Ok(())
    }
}

impl FromStr for Eui64 {
    type Err = IdError;

    /// Accepts 16 hex digits in either case, with hyphens or colons between the bytes or without. Not all zero.
    fn from_str(text: &str) -> Result<Self, IdError> {
        const EXPECTED: &str = "an EUI-64: 16 hex digits, not all zero, like 00-DB-12-34-56-78-90-A0";
        let wrong = || IdError::new(EXPECTED, text);
        let bytes = text.as_bytes();
        let separated = match bytes.len() {
            16 => false,
            23 => true,
            _ => return Err(wrong()),
        };
        let mut value = 0;
        for (i, byte) in bytes.iter().enumerate() {
            if separated && i % 3 == 2 {
                if !matches!(byte, b'-' | b':') {
                    return Err(wrong());
                }
                continue;
            }
            let digit = char::from(*byte).to_digit(16).ok_or_else(wrong)?;
            value = value << 4 | u64::from(digit);
        }
        if value == 0 { Err(wrong()) } else { Ok(Self(value)) }
    }
}

/// Dense number of a device in this store, in order of first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNo(pub u32);

impl DeviceNo {
    /// As an index into per-device columns.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// MPAN core (13 digits) or MPRN (6 to 10 digits); 0 when not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mpxn(u64);

impl Mpxn {
    /// Not known.
    pub const NONE: Self = Self(0);

    /// From its number, as a store kept it.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// As a number: what a store keeps.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The distributor id that an MPAN begins with. An MPRN has none.
    pub fn distributor(self) -> Option<OperatorId> {
        let id = self.0 / 100_000_000_000;
        u8::try_from(id).ok().filter(|id| *id >= 10).map(OperatorId)
    }
}

/// The check digit of an MPAN core: weights over its first twelve digits, modulo 11, modulo 10.
fn mpan_check_digit(digits: &[u8]) -> u32 {
    const WEIGHTS: [u32; 12] = [3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43];
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    sum % 11 % 10
}

impl FromStr for Mpxn {
    type Err = IdError;

    /// An MPAN core with its check digit verified, an MPRN, or empty for not known.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.as_bytes();
        let wrong = |expected| Err(IdError::new(expected, text));
        if !digits.iter().all(u8::is_ascii_digit) {
            return wrong("an MPAN (13 digits) or MPRN (6 to 10 digits): digits only");
        }
        match digits.len() {
            0 => return Ok(Self::NONE),
            6..=10 if digits[0] != b'0' => {}
            13 if digits[0] == b'0' => return wrong("an MPAN with a distributor id from 10 to 99"),
            13 if mpan_check_digit(&digits[..12]) != u32::from(digits[12] - b'0') => {
                return wrong("an MPAN whose 13th digit is its check digit");
            }
            13 => {}
            _ => return wrong("an MPAN (13 digits) or MPRN (6 to 10 digits, no leading zero)"),
        }
        text.parse().map(Self).or_else(|_| wrong("an MPAN or MPRN"))
    }
}

impl fmt::Display for Mpxn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE { Ok(()) } else { write!(f, "{}", self.0) }
    }
}

/// A network operator by distributor id; 0 when not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OperatorId(u8);

impl OperatorId {
    /// Not known.
    pub const UNKNOWN: Self = Self(0);

    /// 0 for not known, or 10 to 99.
    pub fn new(id: u32) -> Option<Self> {
        matches!(id, 0 | 10..=99).then_some(Self(id as u8))
    }

    /// The distributor id.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNKNOWN { f.write_str("unknown") } else { write!(f, "{}", self.0) }
    }
}

/// What kind of meter a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Generation {
    /// Not known.
    #[default]
    Unknown = 0,
    /// SMETS1.
    Smets1 = 1,
    /// SMETS2.
    Smets2 = 2,
}

impl Generation {
    /// From its number in flags, pages and keys.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Unknown, Self::Smets1, Self::Smets2].get(usize::from(number)).copied()
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Smets1 => "smets1",
            Self::Smets2 => "smets2",
        })
    }
}

impl FromStr for Generation {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.to_ascii_lowercase().as_str() {
            "smets1" => Ok(Self::Smets1),
            "smets2" => Ok(Self::Smets2),
            "" | "unknown" => Ok(Self::Unknown),
            _ => Err(IdError::new("a generation: smets1, smets2 or unknown", text)),
        }
    }
}

/// A device model combination: the 32-bit FNV-1a hash of its name, 0 when not known. Part of the rule contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ModelId(pub u32);

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

/// A 16-bit alert code.
///
/// Alerts of the DCC itself have names of their own. They stand here as numbers that no device sends: N0 to N999 as
/// D000 to D3E7, AD0 to AD9 as DA00 to DA09. Part of the protocol and of the rule contract: never move them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertCode(pub u16);

/// What the names of the DCC's codes begin with, the number that stands for the first, and how many there are.
const DCC_CODES: [(&str, u16, u16); 2] = [("N", 0xD000, 1_000), ("AD", 0xDA00, 10)];

impl AlertCode {
    /// Whether it is one of the DCC itself.
    pub fn is_of_dcc(self) -> bool {
        self.of_dcc().is_some()
    }

    /// The beginning of its name and its number, where it is one of the DCC itself.
    fn of_dcc(self) -> Option<(&'static str, u16)> {
        let blocks = DCC_CODES.into_iter();
        let mut numbers = blocks.filter_map(|(name, first, count)| {
            Some((name, self.0.checked_sub(first).filter(|number| *number < count)?))
        });
        numbers.next()
    }

    /// A code of the DCC itself by its name.
    fn of_dcc_named(text: &str) -> Option<Self> {
        DCC_CODES.into_iter().find_map(|(name, first, count)| {
            let (start, digits) = text.split_at_checked(name.len())?;
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let number: u16 = digits.parse().ok().filter(|number| plain && *number < count)?;
            start.eq_ignore_ascii_case(name).then_some(Self(first + number))
        })
    }
}

impl fmt::Display for AlertCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of_dcc() {
            Some((name, number)) => write!(f, "{name}{number}"),
            None => write!(f, "{:04X}", self.0),
        }
    }
}

impl FromStr for AlertCode {
    type Err = IdError;

    /// Four hex digits, with or without 0x, or the name of a code of the DCC itself.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let code = if hex { u16::from_str_radix(digits, 16).ok().map(Self) } else { Self::of_dcc_named(text) };
        code.ok_or_else(|| IdError::new("an alert code: 4 hex digits, like 8F40, or a code of the DCC, like N24", text))
    }
}

/// Number of a change to the rules, counted over all rules from 1. 0 stands for no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u32);

impl Revision {
    /// No rule.
    pub const NONE: Self = Self(0);
}

/// A place in the log: how many positions lie before it. Opaque outside the store, but ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl Position {
    /// The position `rows` further on.
    pub fn after(self, rows: usize) -> Self {
        Self(self.0 + rows as u64)
    }

    /// How many positions lie between `earlier` and this one.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// SHA-256 of a component: its name for the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Hex digits that a digest must be cut to at least, to stand for the whole.
    pub const PREFIX_DIGITS_MIN: usize = 8;
    /// Hex digits of a whole one.
    const DIGITS: usize = 64;

    /// Returns true for text that a person may mean as a digest: all of its hex digits, or enough of the first ones.
    pub fn is_meant_by(text: &str) -> bool {
        (Self::PREFIX_DIGITS_MIN..=Self::DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
    }

    /// Returns true if the text is this digest or its beginning, in either case.
    pub fn begins_with(&self, text: &str) -> bool {
        self.to_string().starts_with(&text.to_ascii_lowercase())
    }

    /// From 64 hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes: [u8; 64] = text.as_bytes().try_into().ok()?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let mut digest = [0; 32];
        for (at, pair) in bytes.chunks_exact(2).enumerate() {
            digest[at] = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
        }
        Some(Self(digest))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests;
