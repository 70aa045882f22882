//! Pages of a Parquet file, measured before the crate that reads them takes memory for what they state.
//!
//! That crate allocates what a page's header, a dictionary's count or an encoded count of lengths says, before it looks at the
//! bytes: a file of a kilobyte can ask for 64 GiB. Invariant: nothing is unpacked whose stated size is over
//! [`BYTES_MAX`], and no count is believed that the bytes behind it cannot hold.

use std::io::{self, Read};

use parquet::{
    basic::{Compression, Encoding, Type as Physical},
    column::page::{Page, PageMetadata, PageReader},
    errors::{ParquetError, Result},
    file::reader::{ChunkReader, Length},
    schema::types::ColumnDescriptor,
};
use prost::bytes::Bytes;

use super::super::compressed::{Block, unpack};

/// Bytes of a page before and after it is unpacked, and of the file's description. Writers begin a new page at 1 MiB, and
/// DuckDB at the latest after 122,880 rows.
pub(super) const BYTES_MAX: usize = 16 << 20;

/// Bytes of a page's header: statistics are in it, with the smallest and the largest value of the page.
const HEADER_BYTES_MAX: u64 = 1 << 20;
/// Structures within structures of a header.
const DEPTH_MAX: u32 = 8;
/// Values of a page in an encoding whose lengths are all unpacked at once.
const LENGTHS_MAX: u64 = 4 << 20;
/// Bytes at the end of a file, which say how long its description is.
const FOOTER_BYTES: u64 = 8;

/// Magic numbers of plain files and of files with an encrypted footer.
const MAGIC: &[u8; 4] = b"PAR1";
const ENCRYPTED: &[u8; 4] = b"PARE";

/// An error worded by this module, as opposed to the library's.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

fn refused(why: String) -> ParquetError {
    ParquetError::External(Box::new(Refused(why)))
}

/// Words an error for the file's owner: the library's own texts speak of its internals.
pub(super) fn in_words(error: &ParquetError) -> String {
    match error {
        ParquetError::External(inner) => match inner.downcast_ref::<Refused>() {
            Some(refused) => refused.to_string(),
            None => match inner.downcast_ref::<io::Error>() {
                Some(error) => error.to_string(),
                None => super::DAMAGED.to_owned(),
            },
        },
        _ => super::DAMAGED.to_owned(),
    }
}

/// Checks the magic numbers at both ends of a file.
pub(super) fn check_ends(file: &impl ChunkReader) -> std::result::Result<(), String> {
    let length = file.len();
    let four = |start: u64| file.get_bytes(start, MAGIC.len()).map_err(|error| in_words(&error));
    if length < MAGIC.len() as u64 + FOOTER_BYTES || four(0)? != MAGIC.as_slice() && four(0)? != ENCRYPTED.as_slice() {
        return Err("this is no Parquet file: it does not begin with PAR1".to_owned());
    }
    match four(length - MAGIC.len() as u64)? {
        end if end == MAGIC.as_slice() => Ok(()),
        end if end == ENCRYPTED.as_slice() => Err("its description is encrypted, which is not read".to_owned()),
        _ => Err("it does not end with PAR1: it is cut off, or was never finished".to_owned()),
    }
}

/// Maps a codec to a block format, or names one that is not supported.
pub(super) fn packing(compression: Compression) -> std::result::Result<Option<Block>, String> {
    let unread =
        |name: &str| Err(format!("packed by {name}, which is not read: write it with zstd, snappy, gzip or lz4"));
    match compression {
        Compression::UNCOMPRESSED => Ok(None),
        Compression::SNAPPY => Ok(Some(Block::Snappy)),
        Compression::GZIP(_) => Ok(Some(Block::Gzip)),
        Compression::ZSTD(_) => Ok(Some(Block::Zstd)),
        Compression::LZ4_RAW => Ok(Some(Block::Lz4)),
        Compression::LZ4 => Ok(Some(Block::Lz4Hadoop)),
        Compression::BROTLI(_) => unread("Brotli"),
        Compression::LZO => unread("LZO"),
    }
}

fn check_size(what: &str, bytes: u64) -> Result<()> {
    if bytes <= BYTES_MAX as u64 {
        return Ok(());
    }
    Err(refused(format!(
        "{what} of {bytes} bytes, where {BYTES_MAX} are allowed: write it in smaller pages and row groups"
    )))
}

/// A file whose page headers are looked at before they are believed.
pub(super) struct Measured<F>(pub(super) F);

impl<F: ChunkReader> Length for Measured<F> {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl<F: ChunkReader> ChunkReader for Measured<F> {
    type T = F::T;

    /// The reader begins at a page header wherever it is asked for one, but for the last bytes of the file.
    fn get_read(&self, start: u64) -> Result<F::T> {
        if start.saturating_add(FOOTER_BYTES) != self.len() {
            let mut header = self.0.get_read(start)?.take(HEADER_BYTES_MAX);
            for bytes in sizes(&mut header).map_err(|error| refused(format!("a page's header: {error}")))? {
                check_size("a page", bytes)?;
            }
        }
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        check_size("a part", length as u64)?;
        self.0.get_bytes(start, length)
    }
}

/// The sizes that a page's header states: unpacked and packed. A field that stands twice, or out of order, is an error: the
/// last one would count.
fn sizes(header: &mut impl Read) -> io::Result<[u64; 2]> {
    let (mut found, mut field) = ([None; 2], 0_u8);
    loop {
        let byte = byte(header)?;
        if byte == 0 {
            let [Some(unpacked), Some(packed)] = found else { return Err(wrong("a size is missing")) };
            return Ok([unpacked, packed]);
        }
        let (step, kind) = (byte >> 4, byte & 0x0F);
        if step == 0 {
            return Err(wrong("its fields are out of order"));
        }
        field = field.saturating_add(step);
        match field {
            2 | 3 => {
                // Zigzag: a negative one is odd, and no size.
                let value = varint(header)?;
                found[usize::from(field) - 2] = Some(if value % 2 == 0 { value / 2 } else { u64::MAX });
            }
            _ => skip(header, kind, DEPTH_MAX)?,
        }
    }
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

fn byte(from: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    from.read_exact(&mut byte)?;
    Ok(byte[0])
}

fn varint(from: &mut impl Read) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte(from)?;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(wrong("a number has no end"))
}

/// Passes over a value of the compact protocol of Thrift.
fn skip(from: &mut impl Read, kind: u8, depth: u32) -> io::Result<()> {
    let bytes = match kind {
        // A boolean is its type.
        1 | 2 => 0,
        3 => 1,
        4..=6 => return varint(from).map(drop),
        7 => 8,
        8 => varint(from)?,
        12 if depth > 0 => loop {
            let head = byte(from)?;
            if head == 0 {
                return Ok(());
            }
            if head >> 4 == 0 {
                varint(from)?;
            }
            skip(from, head & 0x0F, depth - 1)?;
        },
        _ => return Err(wrong("a field is of a kind that no page has")),
    };
    if io::copy(&mut from.take(bytes), &mut io::sink())? < bytes {
        Err(io::ErrorKind::UnexpectedEof.into())
    } else {
        Ok(())
    }
}

/// Decompresses the pages of a column and checks their counts against their bytes.
pub(super) struct Unpacked {
    /// Pages as stored.
    pub(super) pages: Box<dyn PageReader>,
    pub(super) block: Option<Block>,
    /// Whether cells may be empty, so that a page begins with which are.
    pub(super) has_levels: bool,
    /// Size of the smallest dictionary value, in bytes.
    pub(super) value_bytes_min: usize,
}

/// Returns the size of the smallest value of a column, in bytes: a text has a length prefix.
pub(super) fn value_bytes_min(column: &ColumnDescriptor) -> usize {
    match column.physical_type() {
        Physical::FIXED_LEN_BYTE_ARRAY => usize::try_from(column.type_length()).unwrap_or(0).max(1),
        Physical::INT64 | Physical::DOUBLE => 8,
        Physical::INT96 => 12,
        Physical::BOOLEAN => 1,
        Physical::INT32 | Physical::FLOAT | Physical::BYTE_ARRAY => 4,
    }
}

impl PageReader for Unpacked {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(mut page) = self.pages.get_next_page()? else { return Ok(None) };
        self.unpack(&mut page)?;
        self.check(&page)?;
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }
}

impl Iterator for Unpacked {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl Unpacked {
    /// Decompresses a page. In data page V2, the levels before the cells are not compressed.
    fn unpack(&self, page: &mut Page) -> Result<()> {
        let Some(block) = self.block else { return Ok(()) };
        let (bytes, before) = match page {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => (buf, 0),
            Page::DataPageV2 { is_compressed: false, .. } => return Ok(()),
            Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
                (buf, *def_levels_byte_len as usize + *rep_levels_byte_len as usize)
            }
        };
        let (levels, cells) =
            bytes.split_at_checked(before).ok_or_else(|| refused("a page is shorter than it states".to_owned()))?;
        // A page of nulls alone has no compressed data.
        if !cells.is_empty() {
            let cells = unpack(block, cells, BYTES_MAX - before).map_err(|why| refused(format!("a page: {why}")))?;
            *bytes = if before == 0 { Bytes::from(cells) } else { Bytes::from([levels, &cells].concat()) };
        }
        Ok(())
    }

    fn check(&self, page: &Page) -> Result<()> {
        let values = u64::from(page.num_values());
        let bytes = page.buffer();
        let too_many = || refused(format!("a page of {} bytes cannot hold the {values} values it states", bytes.len()));
        if page.is_dictionary_page() {
            let fit = bytes.len() / self.value_bytes_min;
            return if values > fit as u64 { Err(too_many()) } else { Ok(()) };
        }
        let sequences = match page.encoding() {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
            // How much of the text before is kept of each, and how much is added.
            Encoding::DELTA_BYTE_ARRAY => 2,
            _ => return Ok(()),
        };
        let mut rest = self.cells(page).ok_or_else(too_many)?;
        for sequence in 1..=sequences {
            let deltas = Deltas::read(&mut rest).ok_or_else(too_many)?;
            if deltas.count > values.min(LENGTHS_MAX) {
                return Err(too_many());
            }
            if sequence < sequences {
                deltas.skip(&mut rest).ok_or_else(too_many)?;
            }
        }
        Ok(())
    }

    /// What follows the levels of a page.
    fn cells<'a>(&self, page: &'a Page) -> Option<&'a [u8]> {
        let bytes: &[u8] = page.buffer();
        match page {
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                bytes.get(*def_levels_byte_len as usize..)?.get(*rep_levels_byte_len as usize..)
            }
            Page::DataPage { def_level_encoding: Encoding::RLE, .. } if self.has_levels => {
                let (length, rest) = bytes.split_first_chunk::<4>()?;
                rest.get(u32::from_le_bytes(*length) as usize..)
            }
            Page::DataPage { .. } if self.has_levels => None,
            Page::DataPage { .. } | Page::DictionaryPage { .. } => Some(bytes),
        }
    }
}

/// The head of a sequence of packed differences.
struct Deltas {
    /// Numbers that it says it has.
    count: u64,
    /// Parts of a block, each with a width of its own, and the numbers of a part.
    parts: usize,
    per_part: u64,
}

impl Deltas {
    fn read(from: &mut &[u8]) -> Option<Self> {
        let (block, parts) = (varint(from).ok()?, varint(from).ok()?);
        let count = varint(from).ok()?;
        let _first = varint(from).ok()?;
        let per_part = block.checked_div(parts).filter(|per_part| *per_part > 0)?;
        Some(Self { count, parts: usize::try_from(parts).ok()?, per_part })
    }

    /// Passes over what follows the head.
    fn skip(&self, from: &mut &[u8]) -> Option<()> {
        let mut left = self.count.saturating_sub(1);
        while left > 0 {
            let _least = varint(from).ok()?;
            let (widths, rest) = from.split_at_checked(self.parts)?;
            *from = rest;
            for width in widths {
                if left > 0 {
                    let bytes = u64::from(*width).checked_mul(self.per_part)? / 8;
                    *from = from.get(usize::try_from(bytes).ok()?..)?;
                }
                left = left.saturating_sub(self.per_part);
            }
        }
        Some(())
    }
}
