//! Decompresses files while they are read.
//!
//! It must not know what is in a file. Invariants: memory is bounded, and so is the expansion of a file; truncation and damage
//! are errors, never an end of the input, and all data before them is returned.
//!
//! It is the only user of flate2, ruzstd, snap and lz4_flex; none of them needs a C compiler.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use flate2::bufread::GzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

mod block;

pub use block::{Block, unpack};

/// What a Zstandard frame may look back over: what the program `zstd` uses unless it is told to take more.
const WINDOW_BYTES_MAX: u64 = 128 << 20;

/// How many times its size a file may unpack to, once that is more than a little. Files of alerts come to tens or hundreds;
/// a frame made for it comes to 30,000, which would take hours to read.
const EXPANSION_MAX: u64 = 10_000;
const EXPANSION_BYTES_FREE: u64 = 64 << 20;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// gzip, by its extension .gz.
    Gzip,
    /// Zstandard, by its extension .zst.
    Zstd,
}

impl Packing {
    /// By the name of a file, and the name that it has once it is unpacked.
    pub fn of(path: &Path) -> (Self, &Path) {
        let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
        let inner = || path.file_stem().map_or(path, Path::new);
        match extension.as_deref() {
            Some("gz") => (Self::Gzip, inner()),
            Some("zst") => (Self::Zstd, inner()),
            _ => (Self::None, path),
        }
    }

    /// A reader of what is packed in another one.
    pub fn unpack<R: BufRead + Send + 'static>(self, reader: R, buffer_bytes: usize) -> Box<dyn BufRead + Send> {
        let packed = Arc::new(AtomicU64::new(0));
        let counted = |reader| Packed { reader, bytes: Arc::clone(&packed) };
        let unpacked: Box<dyn Read + Send> = match self {
            Self::None => return Box::new(reader),
            Self::Gzip => Box::new(Parts::<_, GzDecoder<_>>::new(counted(reader), "gzip")),
            Self::Zstd => Box::new(Parts::<_, Frame<_>>::new(counted(reader), "Zstandard")),
        };
        Box::new(BufReader::with_capacity(buffer_bytes, Unpacked { reader: unpacked, bytes: 0, packed }))
    }
}

/// What is packed, counted as it is read.
struct Packed<R> {
    reader: R,
    bytes: Arc<AtomicU64>,
}

impl<R: BufRead> Read for Packed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.bytes.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Packed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
        self.bytes.fetch_add(count as u64, Relaxed);
    }
}

/// What was packed, as long as it is in proportion.
struct Unpacked {
    reader: Box<dyn Read + Send>,
    bytes: u64,
    packed: Arc<AtomicU64>,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.bytes += count as u64;
        let packed = self.packed.load(Relaxed);
        if self.bytes > EXPANSION_BYTES_FREE && self.bytes / EXPANSION_MAX > packed {
            let message = format!(
                "{packed} bytes unpack to more than {EXPANSION_MAX} times as many; unpack it by hand if that is right"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(count)
    }
}

/// A member of a compressed file: files may be concatenations of several.
trait Part<R>: Read + Sized {
    /// True if a member may begin with this byte.
    fn begins_with(byte: u8) -> bool;

    /// Begins a member. The inner `Err` returns the reader after a member to be skipped.
    fn begin(reader: R) -> io::Result<Result<Self, R>>;

    /// Verifies a finished member and returns the reader after it.
    fn end(self) -> io::Result<R>;
}

/// Reads concatenated members. Zeros after a member are padding, as gzip has it.
struct Parts<R, P> {
    state: Option<State<R, P>>,
    /// Name of the format, for errors.
    name: &'static str,
    /// Members begun.
    begun: u64,
}

enum State<R, P> {
    Between(R),
    Within(P),
}

impl<R: BufRead, P: Part<R>> Parts<R, P> {
    fn new(reader: R, name: &'static str) -> Self {
        Self { state: Some(State::Between(reader)), name, begun: 0 }
    }

    /// Begins the next member; `None` at the end.
    fn next(&mut self, mut reader: R) -> io::Result<Option<State<R, P>>> {
        let has_begun = self.begun > 0;
        let first = loop {
            let there = reader.fill_buf()?;
            let Some(first) = there.first() else {
                // Nothing at all is no file of gzip; of Zstandard it is one without frames.
                return if has_begun || self.name != "gzip" { Ok(None) } else { Err(self.failed(&cut_off())) };
            };
            let zeros = there.iter().take_while(|byte| **byte == 0 && has_begun).count();
            if zeros == 0 {
                break *first;
            }
            reader.consume(zeros);
        };
        if !P::begins_with(first) {
            return Err(self.something_else());
        }
        let begun = P::begin(reader).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.failed(&cut_off()),
            io::ErrorKind::Unsupported => error,
            _ => self.something_else(),
        })?;
        self.begun += 1;
        Ok(Some(begun.map_or_else(State::Between, State::Within)))
    }

    fn something_else(&self) -> io::Error {
        let name = self.name;
        invalid(match self.begun {
            0 => format!("by its name it is packed by {name}, and it is not"),
            1 => format!("data that is not packed by {name} follows the packed part"),
            _ => format!("data that is not packed by {name} follows the packed parts"),
        })
    }

    fn failed(&self, error: &io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                invalid(format!("it ends within a part packed by {}: it is cut off", self.name))
            }
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                let checksum = if error.to_string().contains("checksum") { ", its checksum is wrong" } else { "" };
                invalid(format!(
                    "a part packed by {} is damaged{checksum}; what was read of it may be wrong",
                    self.name
                ))
            }
            kind => io::Error::new(kind, error.to_string()),
        }
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn cut_off() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

impl<R: BufRead, P: Part<R>> Read for Parts<R, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // After an error there is nothing left to read.
            match self.state.take() {
                None => return Ok(0),
                Some(State::Between(reader)) => match self.next(reader)? {
                    None => return Ok(0),
                    next => self.state = next,
                },
                Some(State::Within(mut part)) => match part.read(buffer).map_err(|error| self.failed(&error))? {
                    0 if !buffer.is_empty() => {
                        self.state = Some(State::Between(part.end().map_err(|error| self.failed(&error))?));
                    }
                    read => {
                        self.state = Some(State::Within(part));
                        return Ok(read);
                    }
                },
            }
        }
    }
}

impl<R: BufRead> Part<R> for GzDecoder<R> {
    fn begins_with(byte: u8) -> bool {
        byte == 0x1F
    }

    fn begin(reader: R) -> io::Result<Result<Self, R>> {
        let decoder = Self::new(reader);
        // It has looked at the head already, and says what it found when it is read.
        if decoder.header().is_none() {
            let mut decoder = decoder;
            let error = decoder.read(&mut [0]).err().unwrap_or_else(|| invalid("no head".to_owned()));
            return Err(error);
        }
        Ok(Ok(decoder))
    }

    fn end(self) -> io::Result<R> {
        Ok(self.into_inner())
    }
}

/// A Zstandard frame.
struct Frame<R> {
    reader: R,
    decoder: Box<FrameDecoder>,
}

impl<R: BufRead> Part<R> for Frame<R> {
    fn begins_with(byte: u8) -> bool {
        // A frame, or one that is there to be passed over.
        byte == 0x28 || byte >> 4 == 5
    }

    fn begin(mut reader: R) -> io::Result<Result<Self, R>> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_BYTES_MAX);
        match decoder.init(&mut reader) {
            Ok(()) => Ok(Ok(Self { reader, decoder: Box::new(decoder) })),
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let length = u64::from(length);
                if io::copy(&mut reader.by_ref().take(length), &mut io::sink())? < length {
                    return Err(cut_off());
                }
                Ok(Err(reader))
            }
            Err(FrameDecoderError::WindowSizeTooBig { .. }) => {
                let message = format!("a frame looks back over more than {WINDOW_BYTES_MAX} bytes: unpack it by hand");
                Err(io::Error::new(io::ErrorKind::Unsupported, message))
            }
            Err(error) => {
                let ended = reader.fill_buf()?.is_empty() && !error.to_string().contains("magic");
                Err(if ended { cut_off() } else { invalid("no frame".to_owned()) })
            }
        }
    }

    fn end(self) -> io::Result<R> {
        check(&self.decoder)?;
        Ok(self.reader)
    }
}

impl<R: BufRead> Read for Frame<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
            let blocks = self.decoder.decode_blocks(&mut self.reader, BlockDecodingStrategy::UptoBlocks(1));
            if let Err(error) = blocks {
                let ended = self.reader.fill_buf()?.is_empty();
                return Err(if ended { cut_off() } else { io::Error::other(error) });
            }
        }
        self.decoder.read(buffer)
    }
}

/// What the writer of a frame said it would add up to must be what came: the decoder leaves that to us.
fn check(decoder: &FrameDecoder) -> io::Result<()> {
    match decoder.get_checksum_from_data() {
        Some(stated) if decoder.get_calculated_checksum() != Some(stated) => {
            Err(invalid("the checksum of a frame is wrong".to_owned()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;

    use super::*;

    fn unpack(packing: Packing, bytes: Vec<u8>) -> io::Result<String> {
        let mut text = String::new();
        packing.unpack(Cursor::new(bytes), 1 << 10).read_to_string(&mut text).map(|_| text)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &str) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn what_was_packed_in_parts_is_read_as_one() {
        let parts: Vec<String> = (0..3).map(|part| format!("part {part}: {}\n", "alert ".repeat(10_000))).collect();
        for (packing, pack) in [(Packing::Gzip, gzip as fn(&str) -> Vec<u8>), (Packing::Zstd, zstd)] {
            let packed: Vec<u8> = parts.iter().flat_map(|part| pack(part)).collect();
            assert_eq!(unpack(packing, packed.clone()).unwrap(), parts.concat(), "{packing:?}");
            let cut = packed[..packed.len() - 5].to_vec();
            assert!(unpack(packing, cut).is_err(), "{packing:?}: one that ends too early");
            assert!(unpack(packing, b"device,code\n".to_vec()).is_err(), "{packing:?}: one that is not packed");
        }
    }

    #[test]
    fn zeros_after_the_last_part_are_padding_and_anything_else_is_named_once_all_before_it_was_read() {
        for (packing, pack) in [(Packing::Gzip, gzip as fn(&str) -> Vec<u8>), (Packing::Zstd, zstd)] {
            let whole = pack("one\ntwo\n");
            for zeros in [1, 511, 70_000] {
                let padded = [&whole[..], &vec![0; zeros]].concat();
                assert_eq!(unpack(packing, padded.clone()).unwrap(), "one\ntwo\n", "{packing:?} {zeros}");
                assert_eq!(unpack(packing, [&padded[..], &whole].concat()).unwrap(), "one\ntwo\none\ntwo\n");
            }
            for rubbish in [&b"rubbish"[..], b"\0\0rubbish", b"\x1f", b"\x1f\x8c...................."] {
                let followed = [&whole[..], rubbish].concat();
                let mut reader = packing.unpack(Cursor::new(followed), 1 << 10);
                let (mut text, mut line) = (String::new(), String::new());
                while line.is_empty() || text.len() < 8 {
                    line.clear();
                    reader.read_line(&mut line).unwrap();
                    text.push_str(&line);
                }
                assert_eq!(text, "one\ntwo\n", "{packing:?}");
                let error = reader.read_line(&mut line).unwrap_err().to_string();
                assert!(
                    error.contains("follows the packed part") || error.contains("is cut off"),
                    "{packing:?} {error}"
                );
            }
            let plain = unpack(packing, b"device,code\n00DB1234567890A0,8F40\n".to_vec()).unwrap_err().to_string();
            assert!(plain.starts_with("by its name it is packed by "), "{plain}");
            let cut = unpack(packing, whole[..whole.len() - 3].to_vec()).unwrap_err().to_string();
            assert!(cut.contains("it is cut off") || packing == Packing::Zstd, "{cut}");
        }
        let mut wrong = gzip("one\n");
        let at = wrong.len() - 6;
        wrong[at] ^= 1;
        assert!(unpack(Packing::Gzip, wrong).unwrap_err().to_string().contains("its checksum is wrong"));
    }

    #[test]
    fn a_frame_that_adds_up_to_something_else_is_an_error_and_one_to_be_passed_over_is_passed_over() {
        let text = "alert ".repeat(1_000);
        let whole = zstd(&text);
        let mut wrong = whole.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert!(unpack(Packing::Zstd, wrong).unwrap_err().to_string().contains("checksum"));
        let skipped = [&[0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &whole].concat();
        assert_eq!(unpack(Packing::Zstd, skipped.clone()).unwrap(), text);
        assert!(unpack(Packing::Zstd, skipped[..10].to_vec()).is_err());
    }

    #[test]
    fn a_frame_that_is_nothing_but_repetition_is_given_up() {
        // 128 KiB of one byte each time, in four.
        let bomb = |blocks: usize| {
            let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x38];
            for block in 1..=blocks {
                let header = (128_u32 << 10) << 3 | 1 << 1 | u32::from(block == blocks);
                frame.extend_from_slice(&header.to_le_bytes()[..3]);
                frame.push(b'\n');
            }
            frame
        };
        assert_eq!(unpack(Packing::Zstd, bomb(100)).unwrap().len(), 100 * (128 << 10));
        let error = unpack(Packing::Zstd, bomb(2_000)).unwrap_err().to_string();
        assert!(error.contains("bytes unpack to more than 10000 times as many"), "{error}");
        // What is packed well and honestly goes on.
        let text = "device,code\n".repeat(8 << 20);
        assert_eq!(unpack(Packing::Gzip, gzip(&text)).unwrap().len(), text.len());
    }

    proptest! {
        /// Bytes of anybody: an error or an end, and never another text than was packed.
        #[test]
        fn whatever_was_done_to_it_what_is_unpacked_is_what_was_packed(
            bytes in prop::collection::vec(any::<u8>(), 0..2_000),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let text = "device,code,voltage_v\n".repeat(bytes.len() % 50 + 1);
            for (packing, packed) in [(Packing::Gzip, gzip(&text)), (Packing::Zstd, zstd(&text))] {
                let _ = unpack(packing, bytes.clone());
                let _ = unpack(packing, [&packed[..], &bytes].concat());
                let cut = at.index(packed.len());
                // Nothing at all is a file of no frames, and is not gzip.
                let whole = cut == 0 && packing == Packing::Zstd;
                prop_assert_eq!(unpack(packing, packed[..cut].to_vec()).is_ok(), whole, "cut at {}", cut);
                let mut changed = packed.clone();
                changed[cut] ^= 1 << bit;
                // Something in the head may change, and nothing with it.
                let found = unpack(packing, changed);
                prop_assert!(found.as_ref().map_or(true, |found| *found == text), "bit {} of byte {}", bit, cut);
            }
        }
    }

    #[test]
    fn a_name_tells_how_and_what_is_left_of_it() {
        let of = |name: &'static str| {
            let (packing, inner) = Packing::of(Path::new(name));
            (packing, inner.to_str().unwrap().to_owned())
        };
        assert_eq!(of("a/alerts.csv.gz"), (Packing::Gzip, "alerts.csv".into()));
        assert_eq!(of("alerts.xml.ZST"), (Packing::Zstd, "alerts.xml".into()));
        assert_eq!(of("a/alerts.csv"), (Packing::None, "a/alerts.csv".into()));
        assert_eq!(of("-"), (Packing::None, "-".into()));
    }
}
