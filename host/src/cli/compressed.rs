//! Files that are compressed, read as if they were not.
//!
//! It must not know what is in a file. Invariants: memory is bounded, whatever a file unpacks to; one that ends too early or
//! is damaged is an error of reading, never an end.
//!
//! It alone names flate2 and ruzstd. Both are made for their one format, and neither needs a C compiler.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

/// What a Zstandard frame may look back over: what the program `zstd` uses unless it is told to take more.
const WINDOW_BYTES_MAX: u64 = 128 << 20;

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
        match self {
            Self::None => Box::new(reader),
            Self::Gzip => Box::new(BufReader::with_capacity(buffer_bytes, MultiGzDecoder::new(reader))),
            Self::Zstd => {
                Box::new(BufReader::with_capacity(buffer_bytes, Frames { state: Some(State::Between(reader)) }))
            }
        }
    }
}

/// Zstandard frames in a row: whoever packs in parallel writes many.
struct Frames<R: Read> {
    state: Option<State<R>>,
}

enum State<R: Read> {
    Between(R),
    Within(Box<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>),
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
                    let decoder = StreamingDecoder::new_with_max_window_size(reader, WINDOW_BYTES_MAX);
                    self.state = Some(State::Within(Box::new(decoder.map_err(io::Error::other)?)));
                }
                Some(State::Within(mut decoder)) => match decoder.read(buffer)? {
                    0 if !buffer.is_empty() => self.state = Some(State::Between(decoder.into_inner())),
                    read => {
                        self.state = Some(State::Within(decoder));
                        return Ok(read);
                    }
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

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
