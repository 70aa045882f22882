//! Types of Parquet columns, and the conversion of their cells to the text of a CSV file.
//!
//! Invariant: a number keeps its value and a time its instant. A type that leaves either open is an error unless the reading
//! options resolve it.

use std::fmt::Display;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical},
    schema::types::ColumnDescriptor,
};

use super::super::{form::Form, rows::Holds};

/// Largest scale of a decimal number.
const SCALE_MAX: u32 = 18;
/// Julian day number of 1970-01-01.
const JULIAN_1970: i64 = 2_440_588;

/// A conversion to text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// An integer of 32 or 64 bits; true if it is signed.
    Integer(bool),
    /// An integer of 64 bits that is an EUI-64; true if it is signed.
    Eui(bool),
    /// An integer of 16 bits that is a code.
    Code,
    /// A decimal number in an integer, with its scale.
    Decimal(u32),
    /// A decimal number in big-endian bytes, with its scale.
    WideDecimal(u32),
    /// A floating-point number, in its shortest digits.
    Real,
    /// A timestamp in UTC.
    Time(TimeUnit),
    /// A local timestamp, in the zone that the reading options state.
    ClockTime(TimeUnit),
    /// The same in 96 bits: nanoseconds of the day and Julian day.
    ClockTime96,
    /// True or false.
    Boolean,
}

impl Kind {
    /// Returns the conversion for a column, or an error with its type if that does not fit what it holds.
    pub(super) fn of((name, holds): (&str, Holds), column: &ColumnDescriptor, form: &Form) -> Result<Self, String> {
        if column.max_rep_level() != 0 || column.path().parts().len() != 1 {
            return Err("the column is nested or repeated; expected one value a row".to_owned());
        }
        let kind = Self::by_type(column);
        let wrong = |expected: &str| format!("the column is {}; expected {expected}", words(column));
        let no_zone = || format!("the column is {}; --time-zone says whose clock showed it", words(column));
        match (holds, kind) {
            (Holds::Device, Some(Self::Text)) => Ok(Self::Text),
            // A narrower one cannot hold an EUI-64: it has lost the upper digits.
            (Holds::Device, Some(Self::Integer(signed))) if is_wide(column) => Ok(Self::Eui(signed)),
            (Holds::Device, _) => Err(wrong("text, or an integer of 64 bits")),
            (Holds::Code, Some(Self::Text)) => Ok(Self::Text),
            // A signed one is as likely to hold the digits of codes that were taken for numbers.
            (Holds::Code, Some(Self::Integer(false))) if bits(column) == Some(16) => Ok(Self::Code),
            (Holds::Code, _) => Err(wrong("text like 8F40, or an unsigned integer of 16 bits")),
            (Holds::Time, Some(kind)) => match kind {
                Self::Text | Self::Time(_) => Ok(kind),
                Self::ClockTime(_) | Self::ClockTime96 if form.zone.is_some() => Ok(kind),
                Self::ClockTime(_) | Self::ClockTime96 => Err(no_zone()),
                Self::Integer(_) if form.epoch.is_some() => Ok(kind),
                Self::Integer(_) => {
                    Err(wrong("a timestamp adjusted to UTC, or text; --epoch states the unit of a number"))
                }
                _ => Err(wrong("a timestamp adjusted to UTC, or text")),
            },
            (Holds::Time, None) => Err(wrong("a timestamp adjusted to UTC, or text")),
            (Holds::Flag, Some(kind @ (Self::Text | Self::Boolean | Self::Integer(_)))) => Ok(kind),
            (Holds::Flag, _) => Err(wrong("a boolean, or text")),
            (_, Some(Self::Boolean)) => Err(wrong("a number, or text")),
            (_, Some(Self::Time(_) | Self::ClockTime(_) | Self::ClockTime96)) if name.ends_with("_ms") => {
                Err(wrong(&format!("milliseconds as a number; a time belongs under {}at", name.trim_end_matches("ms"))))
            }
            (_, None | Some(Self::Time(_) | Self::ClockTime(_) | Self::ClockTime96)) => Err(wrong("a number, or text")),
            (_, Some(kind)) => Ok(kind),
        }
    }

    fn by_type(column: &ColumnDescriptor) -> Option<Self> {
        let scale = |scale: i32| u32::try_from(scale).ok().filter(|scale| *scale <= SCALE_MAX);
        match (column.physical_type(), column.logical_type_ref()) {
            (Physical::BYTE_ARRAY, Some(LogicalType::String | LogicalType::Enum)) => Some(Self::Text),
            (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Decimal(decimal))) => {
                scale(decimal.scale).map(Self::WideDecimal)
            }
            (Physical::INT32 | Physical::INT64, Some(LogicalType::Decimal(decimal))) => {
                scale(decimal.scale).map(Self::Decimal)
            }
            (Physical::DOUBLE | Physical::FLOAT, None) => Some(Self::Real),
            (Physical::INT64, Some(LogicalType::Timestamp(time))) => {
                Some(if time.is_adjusted_to_u_t_c { Self::Time(time.unit) } else { Self::ClockTime(time.unit) })
            }
            (Physical::INT32 | Physical::INT64, Some(LogicalType::Integer(integer))) => {
                Some(Self::Integer(integer.is_signed))
            }
            (Physical::INT96, None) => Some(Self::ClockTime96),
            (Physical::BOOLEAN, None) => Some(Self::Boolean),
            (physical, None) => Self::by_converted_type(physical, column),
            _ => None,
        }
    }

    /// Reads the type annotations that predate logical types.
    fn by_converted_type(physical: Physical, column: &ColumnDescriptor) -> Option<Self> {
        let scale = u32::try_from(column.type_scale()).ok().filter(|scale| *scale <= SCALE_MAX);
        match (physical, column.converted_type()) {
            (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, ConvertedType::DECIMAL) => {
                scale.map(Self::WideDecimal)
            }
            (Physical::BYTE_ARRAY, _) => Some(Self::Text),
            (Physical::INT32 | Physical::INT64, converted) => match converted {
                ConvertedType::DECIMAL => scale.map(Self::Decimal),
                ConvertedType::TIMESTAMP_MILLIS => Some(Self::Time(TimeUnit::MILLIS)),
                ConvertedType::TIMESTAMP_MICROS => Some(Self::Time(TimeUnit::MICROS)),
                ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
                    Some(Self::Integer(false))
                }
                ConvertedType::NONE
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64 => Some(Self::Integer(true)),
                _ => None,
            },
            _ => None,
        }
    }

    /// True for numbers that have decimals whatever their values are.
    pub(super) fn has_decimals(self) -> bool {
        matches!(self, Self::Real | Self::Decimal(1..) | Self::WideDecimal(1..))
    }

    /// Converts an integer of `bits` bits. Rejects one that programs write where there is no device.
    pub(super) fn integer(self, value: i64, bits: u32) -> Result<String, String> {
        let unsigned = value.cast_unsigned() & (u64::MAX >> (64 - bits));
        Ok(match self {
            // In hex neither would be what the file has.
            Self::Eui(signed) if matches!(value, 0 | -1) => {
                let found = if signed { value.to_string() } else { unsigned.to_string() };
                return Err(format!("{found} is no EUI-64; programs write it where a number is missing"));
            }
            Self::Eui(_) => format!("{unsigned:016X}"),
            Self::Code => format!("{unsigned:04X}"),
            Self::Integer(false) => unsigned.to_string(),
            Self::Decimal(scale) => decimal(value.into(), scale),
            Self::Time(unit) => since_1970(value, unit).map_or_else(|| far(value, unit), |time| time.to_string()),
            Self::ClockTime(unit) => {
                since_1970(value, unit).map_or_else(|| far(value, unit), |time| clock(time).to_string())
            }
            _ => value.to_string(),
        })
    }

    /// Converts a decimal number in bytes.
    pub(super) fn wide(self, bytes: &[u8]) -> String {
        let Self::WideDecimal(scale) = self else { return String::new() };
        if bytes.is_empty() || bytes.len() > size_of::<i128>() {
            return format!("a decimal number of {} bytes", bytes.len());
        }
        let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
        decimal(bytes.iter().fold(sign, |number: i128, byte| number << 8 | i128::from(*byte)), scale)
    }
}

/// Formats a decimal number without trailing zeros.
fn decimal(value: i128, scale: u32) -> String {
    if scale == 0 {
        return value.to_string();
    }
    let (sign, digits) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
    let unit = 10_u128.pow(scale);
    let fraction = format!("{:0width$}", digits % unit, width = scale as usize);
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{dot}{fraction}", digits / unit)
}

fn since_1970(value: i64, unit: TimeUnit) -> Option<Timestamp> {
    match unit {
        TimeUnit::MILLIS => Timestamp::from_millisecond(value),
        TimeUnit::MICROS => Timestamp::from_microsecond(value),
        TimeUnit::NANOS => Timestamp::from_nanosecond(value.into()),
    }
    .ok()
}

fn clock(time: Timestamp) -> DateTime {
    TimeZone::UTC.to_datetime(time)
}

/// Formats a time beyond the calendar, for an error.
fn far(value: i64, unit: TimeUnit) -> String {
    let unit = match unit {
        TimeUnit::MILLIS => "ms",
        TimeUnit::MICROS => "us",
        TimeUnit::NANOS => "ns",
    };
    format!("{value} {unit} since 1970")
}

/// Converts a floating-point number, shown in its shortest digits. Rejects one that stands for several integers.
pub(super) fn real(value: f64, digits: &impl Display, bits: u32) -> Result<String, String> {
    let exact_max = 2_f64.powi(bits as i32);
    if value.is_finite() && value.abs() >= exact_max {
        return Err(format!(
            "{digits} is a floating-point number, and from {exact_max} on these skip integers: digits may have been \
             lost when the file was written; have the column written as integers or text"
        ));
    }
    Ok(digits.to_string())
}

/// Converts a timestamp of 96 bits: nanoseconds of the day, then the Julian day.
pub(super) fn int96(words: &[u32]) -> String {
    let [low, high, day] = words else { return String::new() };
    let nanos = i128::from(u64::from(*high) << 32 | u64::from(*low));
    let since = (i128::from(*day) - i128::from(JULIAN_1970)) * 86_400_000_000_000 + nanos;
    let time = Timestamp::from_nanosecond(since);
    time.map_or_else(|_| format!("day {day} of the Julian calendar"), |time| clock(time).to_string())
}

/// True for an integer of 64 bits.
fn is_wide(column: &ColumnDescriptor) -> bool {
    let narrow = [
        ConvertedType::INT_8,
        ConvertedType::INT_16,
        ConvertedType::INT_32,
        ConvertedType::UINT_8,
        ConvertedType::UINT_16,
        ConvertedType::UINT_32,
    ];
    column.physical_type() == Physical::INT64
        && bits(column).is_none_or(|bits| bits == 64)
        && !narrow.contains(&column.converted_type())
}

/// Returns the width of an integer, if its type states it.
fn bits(column: &ColumnDescriptor) -> Option<i8> {
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Integer(integer)), _) => Some(integer.bit_width),
        (None, ConvertedType::UINT_16 | ConvertedType::INT_16) => Some(16),
        _ => None,
    }
}

/// Names a type for people.
fn words(column: &ColumnDescriptor) -> String {
    let integer =
        |bits: i8, signed: bool| format!("{} integer of {bits} bits", if signed { "an" } else { "an unsigned" });
    let by_logical = column.logical_type_ref().and_then(|logical| {
        Some(match logical {
            LogicalType::String | LogicalType::Enum => "text".to_owned(),
            LogicalType::Decimal(_) => "a decimal number".to_owned(),
            LogicalType::Date => "a date without a time".to_owned(),
            LogicalType::Time(_) => "a time of day without a date".to_owned(),
            LogicalType::Timestamp(time) if time.is_adjusted_to_u_t_c => "a timestamp".to_owned(),
            LogicalType::Timestamp(_) => "a timestamp without a time zone".to_owned(),
            LogicalType::Integer(of) => integer(of.bit_width, of.is_signed),
            LogicalType::Json | LogicalType::Bson => "a document".to_owned(),
            LogicalType::Uuid => "a UUID".to_owned(),
            _ => return None,
        })
    });
    by_logical.unwrap_or_else(|| match (column.physical_type(), column.converted_type()) {
        (_, ConvertedType::DATE) => "a date without a time".to_owned(),
        (_, ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS) => "a time of day without a date".to_owned(),
        (_, ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS) => "a timestamp".to_owned(),
        (_, ConvertedType::DECIMAL) => "a decimal number".to_owned(),
        (Physical::BOOLEAN, _) => "a boolean".to_owned(),
        (Physical::INT32, _) => integer(32, true),
        (Physical::INT64, _) => integer(64, true),
        (Physical::INT96, _) => "a timestamp of 96 bits, which has no time zone".to_owned(),
        (Physical::FLOAT | Physical::DOUBLE, _) => "a number with a binary fraction".to_owned(),
        (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, _) => "bytes".to_owned(),
    })
}
