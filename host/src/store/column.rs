//! A column of integers as bytes, in the narrowest of a few plain forms.
//!
//! It must not know what the integers stand for. Invariant: what `read` gives back is what `write` was given.
//!
//! A column begins with its form. Its length in bytes follows from the form and the number of rows, so a reader can
//! step over a column without decoding it. Never change a published form; unknown ones are refused.
//!
//! ```text
//! frame:       width (0, 1, 2, 4 or 8) | least value, 8 bytes | per row: value - least value, `width` bytes
//! dictionary:  0x10 + width (1 or 2)   | distinct values, 4 bytes | they as a frame | per row: index, `width` bytes
//! ```

use super::{codec::Reader, error::Defect};

/// Which forms a column may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// A frame. Equal values take no bytes.
    Frame,
    /// A frame of at least one byte a row: it proves to a reader how many rows there can be.
    Dense,
    /// A dictionary where that is shorter: for wide values of which few differ.
    Dictionary,
}

/// An integer that a column can hold.
pub(super) trait Lane: Copy + Ord {
    /// How wide it is.
    const BYTES: usize;

    /// Its bits, a sign carried to the top.
    fn bits(self) -> u64;

    /// From the lowest of these bits.
    fn from_bits(bits: u64) -> Self;
}

macro_rules! lanes {
    ($($integer:ty),*) => {
        $(impl Lane for $integer {
            const BYTES: usize = size_of::<$integer>();

            fn bits(self) -> u64 {
                self as u64
            }

            fn from_bits(bits: u64) -> Self {
                bits as $integer
            }
        })*
    };
}

lanes!(u8, u16, u32, u64, i32, i64);

/// Marks a dictionary; the width of its indexes is added.
const DICTIONARY: u8 = 0x10;
/// More different values than this are not worth a dictionary.
const DISTINCT_MAX: usize = 4_096;

/// Appends a column.
pub(super) fn write<T: Lane>(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = T> + Clone, packing: Packing) {
    let (least, width) = frame(values.clone());
    // Narrow values and short columns gain too little to look for.
    if packing == Packing::Dictionary
        && width >= 4
        && values.len() >= 16
        && let Some(dictionary) = Dictionary::of(values.clone())
        && dictionary.bytes(width) < values.len() * width
    {
        return dictionary.write(out);
    }
    let width = if packing == Packing::Dense { width.max(1) } else { width };
    out.push(width as u8);
    out.extend_from_slice(&least.to_le_bytes());
    pack(out, values.map(|value| value.bits().wrapping_sub(least)), width);
}

/// Bytes a row that a frame around these values takes.
pub(super) fn frame_width<T: Lane>(values: impl Iterator<Item = T>) -> usize {
    frame(values).1
}

/// The least value and the width of the differences to it.
fn frame<T: Lane>(mut values: impl Iterator<Item = T>) -> (u64, usize) {
    let Some(first) = values.next() else { return (0, 0) };
    let (least, most) = values.fold((first, first), |(least, most), value| (least.min(value), most.max(value)));
    let width = match most.bits().wrapping_sub(least.bits()) {
        0 => 0,
        1..=0xFF => 1,
        0x100..=0xFFFF => 2,
        0x1_0000..=0xFFFF_FFFF => 4,
        _ => 8,
    };
    (least.bits(), width)
}

/// Appends the lowest `width` bytes of each.
fn pack(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = u64>, width: usize) {
    let start = out.len();
    out.resize(start + values.len() * width, 0);
    let bytes = &mut out[start..];
    match width {
        1 => pack_lanes(bytes, values, |value| (value as u8).to_le_bytes()),
        2 => pack_lanes(bytes, values, |value| (value as u16).to_le_bytes()),
        4 => pack_lanes(bytes, values, |value| (value as u32).to_le_bytes()),
        8 => pack_lanes(bytes, values, u64::to_le_bytes),
        _ => {}
    }
}

fn pack_lanes<const N: usize>(bytes: &mut [u8], values: impl Iterator<Item = u64>, to_bytes: impl Fn(u64) -> [u8; N]) {
    for (lane, value) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
        *lane = to_bytes(value);
    }
}

/// Takes a column of `rows` rows off the front.
pub(super) fn read<T: Lane>(reader: &mut Reader<'_>, rows: usize) -> Result<Vec<T>, Defect> {
    let form = reader.u8()?;
    if !matches!(form, 0x11 | 0x12) {
        return read_frame(reader, form, rows);
    }
    let distinct = reader.u32()? as usize;
    if distinct > DISTINCT_MAX {
        return Err(Defect("a dictionary is too long"));
    }
    let form_of_values = reader.u8()?;
    let values: Vec<T> = read_frame(reader, form_of_values, distinct)?;
    let indexes = take_rows(reader, rows, usize::from(form - DICTIONARY))?;
    if form == 0x11 {
        look_up(&values, indexes.iter().map(|index| usize::from(*index)))
    } else {
        look_up(&values, indexes.as_chunks().0.iter().map(|index| usize::from(u16::from_le_bytes(*index))))
    }
    .ok_or(Defect("an index is outside its dictionary"))
}

/// Steps over a column of `rows` rows without looking at its values.
pub(super) fn skip<T: Lane>(reader: &mut Reader<'_>, rows: usize) -> Result<(), Defect> {
    let form = reader.u8()?;
    if !matches!(form, 0x11 | 0x12) {
        return skip_frame::<T>(reader, form, rows);
    }
    let distinct = reader.u32()? as usize;
    if distinct > DISTINCT_MAX {
        return Err(Defect("a dictionary is too long"));
    }
    let form_of_values = reader.u8()?;
    skip_frame::<T>(reader, form_of_values, distinct)?;
    take_rows(reader, rows, usize::from(form - DICTIONARY)).map(drop)
}

fn skip_frame<T: Lane>(reader: &mut Reader<'_>, form: u8, rows: usize) -> Result<(), Defect> {
    let width = usize::from(form);
    if !matches!(form, 0 | 1 | 2 | 4 | 8) || width > T::BYTES {
        return Err(Defect("the form of a column is not known"));
    }
    reader.u64()?;
    take_rows(reader, rows, width).map(drop)
}

/// The value of each index; `None` where one is out of range.
pub(super) fn look_up<T: Copy>(values: &[T], indexes: impl Iterator<Item = usize> + Clone) -> Option<Vec<T>> {
    // One pass to check and one to copy: each is free of branches, which is several times faster than stopping early.
    let all_there = indexes.clone().fold(true, |all, index| all & (index < values.len()));
    all_there.then(|| indexes.map(|index| values[index]).collect())
}

fn read_frame<T: Lane>(reader: &mut Reader<'_>, form: u8, rows: usize) -> Result<Vec<T>, Defect> {
    let width = usize::from(form);
    if !matches!(form, 0 | 1 | 2 | 4 | 8) || width > T::BYTES {
        return Err(Defect("the form of a column is not known"));
    }
    let least_bits = reader.u64()?;
    let least = T::from_bits(least_bits);
    if least.bits() != least_bits {
        return Err(Defect("a column's least value is out of range"));
    }
    let bytes = take_rows(reader, rows, width)?;
    match width {
        0 => Ok(vec![least; rows]),
        1 => unpack_lanes(bytes, least, u8::from_le_bytes),
        2 => unpack_lanes(bytes, least, u16::from_le_bytes),
        4 => unpack_lanes(bytes, least, u32::from_le_bytes),
        _ => unpack_lanes(bytes, least, u64::from_le_bytes),
    }
}

fn take_rows<'a>(reader: &mut Reader<'a>, rows: usize, width: usize) -> Result<&'a [u8], Defect> {
    reader.raw(rows.checked_mul(width).ok_or(Defect("a column is too long"))?)
}

fn unpack_lanes<T: Lane, W: Into<u64>, const N: usize>(
    bytes: &[u8],
    least: T,
    from_bytes: impl Fn([u8; N]) -> W,
) -> Result<Vec<T>, Defect> {
    let lanes = bytes.as_chunks().0.iter();
    let sum = |lane: &[u8; N]| T::from_bits(least.bits().wrapping_add(from_bytes(*lane).into()));
    let values: Vec<T> = lanes.map(sum).collect();
    // A sum past the top of the type wraps to below the least value, which no writer produces.
    if values.iter().fold(true, |all, value| all & (*value >= least)) {
        Ok(values)
    } else {
        Err(Defect("a column's value is out of range"))
    }
}

/// The distinct values in order of first sight, and which one each row has.
struct Dictionary<T> {
    values: Vec<T>,
    indexes: Vec<u16>,
}

impl<T: Lane> Dictionary<T> {
    /// `None` where too many differ.
    fn of(rows: impl ExactSizeIterator<Item = T>) -> Option<Self> {
        const SLOT_BITS: u32 = 13;
        const EMPTY: u16 = u16::MAX;
        let mut slots = [EMPTY; 1 << SLOT_BITS];
        let distinct_max = DISTINCT_MAX.min(rows.len() / 2);
        let mut dictionary = Self { values: Vec::new(), indexes: Vec::with_capacity(rows.len()) };
        for value in rows {
            // Multiplying by 2^64 over the golden ratio spreads neighbours; the table stays at most half full.
            let mut slot = (value.bits().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SLOT_BITS)) as usize;
            let index = loop {
                match slots[slot] {
                    EMPTY if dictionary.values.len() == distinct_max => return None,
                    EMPTY => {
                        slots[slot] = dictionary.values.len() as u16;
                        dictionary.values.push(value);
                        break slots[slot];
                    }
                    index if dictionary.values[usize::from(index)] == value => break index,
                    _ => slot = (slot + 1) % slots.len(),
                }
            };
            dictionary.indexes.push(index);
        }
        Some(dictionary)
    }

    fn index_width(&self) -> usize {
        if self.values.len() <= 256 { 1 } else { 2 }
    }

    /// About what it takes, at `value_width` for a distinct value.
    fn bytes(&self, value_width: usize) -> usize {
        self.values.len() * value_width + self.indexes.len() * self.index_width()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(DICTIONARY + self.index_width() as u8);
        out.extend_from_slice(&(self.values.len() as u32).to_le_bytes());
        write(out, self.values.iter().copied(), Packing::Frame);
        pack(out, self.indexes.iter().map(|index| u64::from(*index)), self.index_width());
    }
}

#[cfg(test)]
mod tests;
