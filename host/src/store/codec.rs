//! The bytes of a stored value: little-endian integers, texts and columns, behind one byte of version, with a checksum
//! after them.
//!
//! It must not know what a value means. Invariant: reading never panics and never reserves more memory than the bytes
//! at hand account for.
//!
//! What is published here is on people's disks. Never change an encoding: write a new version beside it. Versions are
//! below 128: the highest bit of their byte says that a checksum of all before it follows, 8 bytes of XXH64. Values of
//! formats before 4 have neither.

use twox_hash::XxHash64;

use super::{
    column::{self, Lane, Packing},
    error::Defect,
};

/// The bit of the version byte that says that a checksum follows the value.
const SEALED: u8 = 0x80;
/// Bytes of a checksum.
const CHECKSUM_BYTES: usize = 8;

/// The checksum of some bytes. Part of the disk format: never change it.
pub(super) fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    XxHash64::oneshot(seed, bytes)
}

/// True if a stored value carries a checksum.
pub(super) fn is_sealed(stored: &[u8]) -> bool {
    stored.first().is_some_and(|version| version & SEALED != 0)
}

/// Checks a stored value and takes its checksum off. One that carries none is returned as it is.
pub(super) fn open(seed: u64, stored: &[u8]) -> Result<&[u8], Defect> {
    if !is_sealed(stored) {
        return Ok(stored);
    }
    let (value, sum) = stored.split_last_chunk::<CHECKSUM_BYTES>().ok_or(Defect("it ends too early"))?;
    if checksum(seed, value) == u64::from_le_bytes(*sum) {
        Ok(value)
    } else {
        Err(Defect("its checksum does not match"))
    }
}

/// Appends values to a buffer.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty value of a version.
    pub(super) fn new(version: u8) -> Self {
        Self { bytes: vec![version] }
    }

    /// A value that was written before.
    pub(super) fn holding(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Starts another value in the same buffer.
    pub(super) fn restart(&mut self, version: u8) {
        self.bytes.clear();
        self.bytes.push(version);
    }

    /// What was written.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends the checksum of what was written and marks the version as one with a checksum.
    pub(super) fn seal(&mut self, seed: u64) -> &[u8] {
        if let Some(version) = self.bytes.first_mut() {
            *version |= SEALED;
        }
        let sum = checksum(seed, &self.bytes);
        self.u64(sum);
        &self.bytes
    }

    /// One byte.
    pub(super) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Two bytes.
    pub(super) fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    /// Four bytes.
    pub(super) fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    /// Eight bytes.
    pub(super) fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    /// Eight bytes.
    pub(super) fn i64(&mut self, value: i64) {
        self.raw(&value.to_le_bytes());
    }

    /// A number in as few bytes as it needs, seven bits in each, the lowest first.
    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }

    /// A difference in as few bytes as it needs: its sign is the lowest bit.
    pub(super) fn zigzag(&mut self, value: i64) {
        self.varint((value << 1 ^ value >> 63) as u64);
    }

    /// Bytes whose number the reader knows.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How many of something follow.
    pub(super) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).expect("what one value counts is held in memory under limits far below 2^32"));
    }

    /// A text with its length.
    pub(super) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.raw(text.as_bytes());
    }

    /// One integer a row. The reader must know the number of rows.
    pub(super) fn column<T: Lane>(&mut self, values: impl ExactSizeIterator<Item = T> + Clone, packing: Packing) {
        column::write(&mut self.bytes, values, packing);
    }
}

/// Takes values off the front of a buffer.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A value that must be of `version`.
    pub(super) fn new(bytes: &'a [u8], version: u8) -> Result<Self, Defect> {
        match bytes.split_first() {
            Some((found, rest)) if found & !SEALED == version => Ok(Self { rest }),
            Some(_) => Err(Defect("its version is not known")),
            None => Err(Defect("it is empty")),
        }
    }

    /// A value of any of some versions, and which one it is of.
    pub(super) fn of_versions(bytes: &'a [u8], versions: &[u8]) -> Result<(u8, Self), Defect> {
        match bytes.split_first() {
            Some((found, rest)) if versions.contains(&(found & !SEALED)) => Ok((found & !SEALED, Self { rest })),
            Some(_) => Err(Defect("its version is not known")),
            None => Err(Defect("it is empty")),
        }
    }

    /// Says that nothing may follow.
    pub(super) fn finish(self) -> Result<(), Defect> {
        if self.rest.is_empty() { Ok(()) } else { Err(Defect("bytes follow its end")) }
    }

    /// The next `count` bytes.
    pub(super) fn raw(&mut self, count: usize) -> Result<&'a [u8], Defect> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Defect("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Defect> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Defect("it ends too early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub(super) fn u8(&mut self) -> Result<u8, Defect> {
        self.array().map(u8::from_le_bytes)
    }

    /// Two bytes.
    pub(super) fn u16(&mut self) -> Result<u16, Defect> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub(super) fn u32(&mut self) -> Result<u32, Defect> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub(super) fn u64(&mut self) -> Result<u64, Defect> {
        self.array().map(u64::from_le_bytes)
    }

    /// Eight bytes.
    pub(super) fn i64(&mut self) -> Result<i64, Defect> {
        self.array().map(i64::from_le_bytes)
    }

    /// True where nothing follows.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes follow.
    pub(super) fn rest_bytes(&self) -> usize {
        self.rest.len()
    }

    /// A number of [`Writer::varint`].
    pub(super) fn varint(&mut self) -> Result<u64, Defect> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Defect("a number is too long"))
    }

    /// A number of [`Writer::varint`] that a smaller type must hold.
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Defect> {
        T::try_from(self.varint()?).map_err(|_| Defect("a number is too large"))
    }

    /// A difference of [`Writer::zigzag`].
    pub(super) fn zigzag(&mut self) -> Result<i64, Defect> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A truth value: 0 or 1.
    pub(super) fn flag(&mut self) -> Result<bool, Defect> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Defect("a truth value is neither 0 nor 1")),
        }
    }

    /// How many follow of something that takes at least `bytes_each`: never more than there is room for.
    pub(super) fn count(&mut self, bytes_each: usize) -> Result<usize, Defect> {
        let count = self.u32()? as usize;
        if count > self.rest.len() / bytes_each {
            return Err(Defect("it counts more than it can hold"));
        }
        Ok(count)
    }

    /// Entries of at least `bytes_each` behind their count.
    pub(super) fn list<T>(
        &mut self,
        bytes_each: usize,
        mut entry: impl FnMut(&mut Self) -> Result<T, Defect>,
    ) -> Result<Vec<T>, Defect> {
        let count = self.count(bytes_each)?;
        (0..count).map(|_| entry(self)).collect()
    }

    /// A text with its length.
    pub(super) fn text(&mut self) -> Result<String, Defect> {
        let length = self.count(1)?;
        let text = std::str::from_utf8(self.raw(length)?).map_err(|_| Defect("a text is not UTF-8"))?;
        Ok(text.to_owned())
    }

    /// One integer a row. Rows that are all equal take no bytes, so the caller must have bounded their number.
    pub(super) fn column<T: Lane>(&mut self, rows: usize) -> Result<Vec<T>, Defect> {
        column::read(self, rows)
    }

    /// Steps over a column.
    pub(super) fn skip_column<T: Lane>(&mut self, rows: usize) -> Result<(), Defect> {
        column::skip::<T>(self, rows)
    }

    /// A column written as [`Packing::Dense`]: at least one byte a row, so it bounds the number of rows.
    pub(super) fn dense_column<T: Lane>(&mut self, rows: usize) -> Result<Vec<T>, Defect> {
        if self.rest.first() == Some(&0) {
            return Err(Defect("a column has no byte a row"));
        }
        column::read(self, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_bytes_that_they_need_and_no_other_number_is_read() {
        for (value, bytes) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)] {
            let mut out = Writer::new(1);
            out.varint(value);
            assert_eq!(out.as_bytes().len(), 1 + bytes, "{value}");
            assert_eq!(Reader::new(out.as_bytes(), 1).unwrap().varint(), Ok(value));
        }
        for value in [0, -1, 1, 63, -64, 64, i64::MIN, i64::MAX] {
            let mut out = Writer::new(1);
            out.zigzag(value);
            assert_eq!(out.as_bytes().len() == 2, (-64..64).contains(&value), "{value}");
            assert_eq!(Reader::new(out.as_bytes(), 1).unwrap().zigzag(), Ok(value));
        }
        let read = |bytes: &[u8]| Reader::new(&[&[1], bytes].concat(), 1).unwrap().varint();
        assert_eq!(read(&[0xFF; 11]), Err(Defect("a number is too long")));
        assert_eq!(read(&[&[0xFF; 9][..], &[2]].concat()), Err(Defect("a number is too long")));
        assert_eq!(read(&[0x80]), Err(Defect("it ends too early")));
        assert_eq!(Reader::new(&[1, 0x80, 2], 1).unwrap().small::<u8>(), Err(Defect("a number is too large")));
    }
}
