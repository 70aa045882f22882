//! Bytes as a packed file, and files that were packed and then cut or changed: an error, or what was packed.

#![no_main]

use std::io::Write;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use weir_host::fuzzing::unpacked;

/// Bytes that are asked of a file that says it has more.
const BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Arbitrary)]
struct Input {
    zstd: bool,
    file: File,
}

#[derive(Debug, Arbitrary)]
enum File {
    /// No packed file at all, most likely.
    Bytes(Vec<u8>),
    /// Packed in two parts, then these bytes after it.
    Followed(Vec<u8>, Vec<u8>),
    /// Packed, then cut.
    Cut(Vec<u8>, u16),
    /// Packed, then one bit changed.
    Changed(Vec<u8>, u16, u8),
}

fuzz_target!(|input: Input| {
    let name = if input.zstd { "a.zst" } else { "a.gz" };
    let unpack = |bytes: Vec<u8>| unpacked(name, bytes, BYTES_MAX);
    let pack = |bytes: &[u8]| if input.zstd { zstd(bytes) } else { gzip(bytes) };
    match input.file {
        File::Bytes(bytes) => drop(unpack(bytes)),
        File::Followed(plain, after) => {
            let (one, two) = plain.split_at(plain.len() / 2);
            let packed = [pack(one), pack(two)].concat();
            assert_eq!(unpack(packed.clone()).expect("it is whole"), plain);
            drop(unpack([packed, after].concat()));
        }
        File::Cut(plain, at) => {
            let mut packed = pack(&plain);
            packed.truncate(usize::from(at) % packed.len());
            // Nothing at all is a file of no frames, and is not gzip.
            let whole = packed.is_empty() && input.zstd;
            assert_eq!(unpack(packed).is_ok(), whole, "one that ends too early");
        }
        File::Changed(plain, at, bit) => {
            let mut packed = pack(&plain);
            let at = usize::from(at) % packed.len();
            packed[at] ^= 1 << (bit % 8);
            if let Ok(found) = unpack(packed) {
                assert_eq!(found, plain, "bit {} of byte {at}", bit % 8);
            }
        }
    }
});

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}
