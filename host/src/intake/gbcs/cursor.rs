//! Reading bytes in order, with the errors that name a place.
//!
//! It must not know what a field means. Invariant: the offset is counted from the start of the whole message, in
//! sections too.

use crate::domain::{Eui64, NoDevice};

/// What is wrong with a message, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {defect}")]
pub struct GbcsError {
    /// Offset from the start of the message, in bytes from 0.
    pub offset: usize,
    /// What is wrong there.
    pub defect: Defect,
}

/// What can be wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// It ends too early.
    #[error("{field}: it ends here, bytes missing: {missing}")]
    Truncated {
        /// What ends.
        field: &'static str,
        /// How many bytes are missing.
        missing: usize,
    },
    /// Something follows where nothing should.
    #[error("bytes left over: {bytes}")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A length that is not in the short form or a long form of up to four bytes.
    #[error("{field}: its length begins with {found:02X}, expected 00 to 7F or 81 to 84")]
    LengthForm {
        /// Whose length.
        field: &'static str,
        /// Its first byte.
        found: u8,
    },
    /// A length that does not fit.
    #[error("{field}: found {found} bytes, expected {expected}")]
    Length {
        /// Whose length.
        field: &'static str,
        /// What it is.
        found: usize,
        /// What is allowed.
        expected: &'static str,
    },
    /// A wrapper whose length is not that of what it wraps.
    #[error("{field}: its length is {stated}, but {actual} bytes follow")]
    Extent {
        /// Whose length.
        field: &'static str,
        /// What it says.
        stated: usize,
        /// What is there.
        actual: usize,
    },
    /// A byte that must be another one.
    #[error("{field}: found {found:02X}, expected {expected}")]
    Unexpected {
        /// Of what.
        field: &'static str,
        /// What is there.
        found: u8,
        /// What is allowed.
        expected: &'static str,
    },
    /// An alert code that does not fit 16 bits.
    #[error("alert code: expected an integer from 0 to FFFF")]
    CodeRange,
    /// An alert of no device.
    #[error("originator: {0}; expected the EUI-64 of a device")]
    NoOriginator(NoDevice),
    /// An alert to all devices.
    #[error("recipient: {} is the broadcast address; expected the EUI-64 of a party", Eui64::BROADCAST)]
    NoRecipient,
}

/// A place in a message, or in a section of it.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Goes on by one byte that `peek` has shown.
    pub(super) fn skip_byte(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
        self.offset += 1;
    }

    /// An error at this place.
    pub(super) fn error(&self, defect: Defect) -> GbcsError {
        GbcsError { offset: self.offset, defect }
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], GbcsError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            let missing = count - self.rest.len();
            let offset = self.offset + self.rest.len();
            return Err(GbcsError { offset, defect: Defect::Truncated { field, missing } });
        };
        self.rest = rest;
        self.offset += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], GbcsError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N, field)?);
        Ok(bytes)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, GbcsError> {
        Ok(self.array::<1>(field)?[0])
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, GbcsError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, GbcsError> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, GbcsError> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// Exactly these bytes.
    pub(super) fn literal(
        &mut self,
        bytes: &[u8],
        field: &'static str,
        expected: &'static str,
    ) -> Result<(), GbcsError> {
        let start = self.offset;
        let found = self.take(bytes.len(), field)?;
        match found.iter().zip(bytes).position(|(found, wanted)| found != wanted) {
            None => Ok(()),
            Some(at) => {
                let defect = Defect::Unexpected { field, found: found[at], expected };
                Err(GbcsError { offset: start + at, defect })
            }
        }
    }

    /// A BER length: one byte up to 127, or a count of bytes (at most four) and then those.
    fn length(&mut self, field: &'static str) -> Result<usize, GbcsError> {
        let start = self.offset;
        let first = self.u8(field)?;
        match first {
            0..=0x7F => Ok(usize::from(first)),
            0x81..=0x84 => {
                let bytes = self.take(usize::from(first & 0x7F), field)?;
                Ok(bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
            }
            found => Err(GbcsError { offset: start, defect: Defect::LengthForm { field, found } }),
        }
    }

    /// A length and that many bytes, as a cursor of their own.
    pub(super) fn section(&mut self, field: &'static str) -> Result<Self, GbcsError> {
        let length = self.length(field)?;
        let offset = self.offset;
        Ok(Self { rest: self.take(length, field)?, offset })
    }

    /// A length that must be that of everything that follows.
    pub(super) fn length_of_rest(&mut self, field: &'static str) -> Result<(), GbcsError> {
        let start = self.offset;
        let stated = self.length(field)?;
        let actual = self.rest.len();
        if stated == actual {
            return Ok(());
        }
        Err(GbcsError { offset: start, defect: Defect::Extent { field, stated, actual } })
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<(), GbcsError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(self.error(Defect::Trailing { bytes })),
        }
    }
}
