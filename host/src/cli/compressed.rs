//! Files that are compressed, read as if they were not.
//!
//! It must not know what is in a file. Invariants: memory is bounded, whatever a file unpacks to, and so is what it unpacks to
//! for its size; one that ends too early or is damaged is an error of reading, never an end.
//!
//! It alone names flate2 and ruzstd. Both are made for their one format, and neither needs a C compiler.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

/// What a Zstandard frame may look back over: what the program `zstd` uses unless it is told to take more.
const WINDOW_BYTES_MAX: u64 = 128 << 20;

/// How many times its size a file may unpack to, once that is more than a little. Files of alerts come to tens or hundreds;
/// a frame made for it comes to 30,000, which would take hours to read.
const EXPANSION_MAX: u64 = 10_000;
const EXPANSION_BYTES_FREE: u64 = 64 << 20;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all.
    None,
    /// gzip, by its extension .gz.
    Gzip,
    /// Zstandard, by its extension .zst.
    Zstd,
}

impl Packing {
    /// By the name of a file, and the name that it has once it is unpacked.
    pub(super) fn of(path: &Path) -> (Self, &Path) {
        let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
        let inner = || path.file_stem().map_or(path, Path::new);
        match extension.as_deref() {
            Some("gz") => (Self::Gzip, inner()),
            Some("zst") => (Self::Zstd, inner()),
            _ => (Self::None, path),
        }
    }

    /// A reader of what is packed in another one.
    pub(super) fn unpack<R: BufRead + Send + 'static>(self, reader: R, buffer_bytes: usize) -> Box<dyn BufRead + Send> {
        let packed = Arc::new(AtomicU64::new(0));
        let counted = |reader| Packed { reader, bytes: Arc::clone(&packed) };
        let unpacked: Box<dyn Read + Send> = match self {
            Self::None => return Box::new(reader),
            Self::Gzip => Box::new(MultiGzDecoder::new(counted(reader))),
            Self::Zstd => Box::new(Frames { state: Some(State::Between(counted(reader))) }),
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

/// Zstandard frames in a row: whoever packs in parallel writes many.
struct Frames<R> {
    state: Option<State<R>>,
}

enum State<R> {
    Between(R),
    Within(R, Box<FrameDecoder>),
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // After an error there is nothing left to read.
            match self.state.take() {
                None => return Ok(0),
                Some(State::Between(mut reader)) => {
                    if reader.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    self.state = Some(begin(reader)?);
                }
                Some(State::Within(mut reader, mut decoder)) => {
                    while decoder.can_collect() == 0 && !decoder.is_finished() {
                        let blocks = decoder.decode_blocks(&mut reader, BlockDecodingStrategy::UptoBlocks(1));
                        blocks.map_err(io::Error::other)?;
                    }
                    match decoder.read(buffer)? {
                        0 if !buffer.is_empty() => {
                            check(&decoder)?;
                            self.state = Some(State::Between(reader));
                        }
                        read => {
                            self.state = Some(State::Within(reader, decoder));
                            return Ok(read);
                        }
                    }
                }
            }
        }
    }
}

/// Begins a frame, or passes over one that is there to be passed over.
fn begin<R: BufRead>(mut reader: R) -> io::Result<State<R>> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(WINDOW_BYTES_MAX);
    match decoder.init(&mut reader) {
        Ok(()) => Ok(State::Within(reader, Box::new(decoder))),
        Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
            let length = u64::from(length);
            if io::copy(&mut reader.by_ref().take(length), &mut io::sink())? < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(State::Between(reader))
        }
        Err(error) => Err(io::Error::other(error)),
    }
}

/// What the writer of a frame said it would add up to must be what came: the decoder leaves that to us.
fn check(decoder: &FrameDecoder) -> io::Result<()> {
    match decoder.get_checksum_from_data() {
        Some(stated) if decoder.get_calculated_checksum() != Some(stated) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum of a frame is wrong"))
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
