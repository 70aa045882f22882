//! Decompresses blocks that are compressed individually, like the pages of a Parquet file.
//!
//! Invariant: the output never exceeds the caller's bound, whatever the block states.

use std::io::Read;

use flate2::bufread::GzDecoder;

use super::{Frame, Part, Parts};

/// A block format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Snappy, unframed.
    Snappy,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// A block of LZ4.
    Lz4,
    /// Hadoop's sequence of LZ4 blocks, each after its sizes; also a bare block, which other writers labelled the same.
    Lz4Hadoop,
}

/// Decompresses a block into at most `bytes_max` bytes.
pub fn unpack(block: Block, packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, String> {
    match block {
        Block::Snappy => {
            let bytes = snap::raw::decompress_len(packed).map_err(|_| damaged("Snappy"))?;
            check(bytes, bytes_max)?;
            snap::raw::Decoder::new().decompress_vec(packed).map_err(|_| damaged("Snappy"))
        }
        Block::Gzip => read::<GzDecoder<_>>(packed, bytes_max, "gzip"),
        Block::Zstd => read::<Frame<_>>(packed, bytes_max, "Zstandard"),
        Block::Lz4 => lz4(packed, bytes_max),
        Block::Lz4Hadoop => hadoop(packed, bytes_max)?.map_or_else(|| lz4(packed, bytes_max), Ok),
    }
}

fn damaged(name: &str) -> String {
    format!("it is packed by {name}, and damaged")
}

fn check(bytes: usize, bytes_max: usize) -> Result<(), String> {
    if bytes <= bytes_max {
        Ok(())
    } else {
        Err(format!("it unpacks to more than the {bytes_max} bytes that are allowed"))
    }
}

fn read<'a, P: Part<&'a [u8]>>(packed: &'a [u8], bytes_max: usize, name: &'static str) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let read = Parts::<_, P>::new(packed, name).take(bytes_max as u64 + 1).read_to_end(&mut unpacked);
    check(unpacked.len(), bytes_max)?;
    read.map(|_| unpacked).map_err(|_| damaged(name))
}

/// Allocates zeroed pages, which the system provides on first use: a small block costs little.
fn lz4(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, String> {
    // The densest token stands for 255 bytes.
    let most = packed.len().saturating_mul(255).saturating_add(64);
    let mut unpacked = vec![0; most.min(bytes_max)];
    let bytes = lz4_flex::block::decompress_into(packed, &mut unpacked).map_err(|error| match error {
        lz4_flex::block::DecompressError::OutputTooSmall { .. } => {
            check(usize::MAX, bytes_max).err().unwrap_or_default()
        }
        _ => damaged("LZ4"),
    })?;
    unpacked.truncate(bytes);
    unpacked.shrink_to_fit();
    Ok(unpacked)
}

/// Decompresses a sequence of blocks, each after its two sizes (4 bytes, big endian). `None` if it is no such sequence.
fn hadoop(mut packed: &[u8], bytes_max: usize) -> Result<Option<Vec<u8>>, String> {
    let mut unpacked = Vec::new();
    while !packed.is_empty() {
        let Some((bytes, block)) = framed(&mut packed) else { return Ok(None) };
        check(unpacked.len().saturating_add(bytes), bytes_max)?;
        let begins = unpacked.len();
        unpacked.resize(begins + bytes, 0);
        if lz4_flex::block::decompress_into(block, &mut unpacked[begins..]).ok() != Some(bytes) {
            return Ok(None);
        }
    }
    Ok(Some(unpacked))
}

/// Returns the next block and its stated decompressed size.
fn framed<'a>(packed: &mut &'a [u8]) -> Option<(usize, &'a [u8])> {
    let (sizes, rest) = packed.split_first_chunk::<8>()?;
    let size = |at: usize| sizes[at..at + 4].iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
    let (block, rest) = rest.split_at_checked(size(4))?;
    *packed = rest;
    Some((size(0), block))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(block: Block, text: &[u8]) -> Vec<u8> {
        match block {
            Block::Snappy => snap::raw::Encoder::new().compress_vec(text).unwrap(),
            Block::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            Block::Zstd => ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest),
            Block::Lz4 => lz4_block(text),
            Block::Lz4Hadoop => {
                let halves = text.split_at(text.len() / 2);
                let framed = |part: &[u8]| {
                    let block = lz4_block(part);
                    let [bytes, length] = [part.len(), block.len()].map(|size| (size as u32).to_be_bytes());
                    [&bytes[..], &length, &block].concat()
                };
                [framed(halves.0), framed(halves.1)].concat()
            }
        }
    }

    /// Builds an LZ4 block of one literal run.
    fn lz4_block(text: &[u8]) -> Vec<u8> {
        let mut block = vec![if text.len() < 15 { (text.len() as u8) << 4 } else { 0xF0 }];
        if text.len() >= 15 {
            let mut left = text.len() - 15;
            while left >= 255 {
                block.push(255);
                left -= 255;
            }
            block.push(left as u8);
        }
        block.extend_from_slice(text);
        block
    }

    const BLOCKS: [Block; 5] = [Block::Snappy, Block::Gzip, Block::Zstd, Block::Lz4, Block::Lz4Hadoop];

    #[test]
    fn what_was_packed_is_unpacked_up_to_what_is_allowed() {
        let text = b"00-DB-12-34-56-78-90-A0,8F40\n".repeat(300);
        for block in BLOCKS {
            let bytes = packed(block, &text);
            assert_eq!(unpack(block, &bytes, text.len()).as_ref(), Ok(&text), "{block:?}");
            let refused = unpack(block, &bytes, text.len() - 1).unwrap_err();
            assert!(refused.contains("unpacks to more than the 8699 bytes"), "{block:?}: {refused}");
            assert!(unpack(block, &bytes[..bytes.len() - 5], text.len()).is_err(), "{block:?}: cut");
            assert!(unpack(block, b"", 10).map_or(true, |unpacked| unpacked.is_empty()), "{block:?}");
        }
        // A bare block under the name of Hadoop's.
        assert_eq!(unpack(Block::Lz4Hadoop, &packed(Block::Lz4, &text), text.len()).unwrap(), text);
    }

    #[test]
    fn a_piece_made_to_fill_memory_does_not() {
        // A run of one byte, 255 times for each byte of its length.
        let mut bomb = vec![0x1F, b'x', 1, 0];
        bomb.extend(vec![255; 1 << 20]);
        bomb.extend([0, 0x50, b'e', b'n', b'd', b'e', b'd']);
        let refused = unpack(Block::Lz4, &bomb, 1 << 20).unwrap_err();
        assert!(refused.contains("unpacks to more than"), "{refused}");
        let zeros = packed(Block::Gzip, &vec![0; 8 << 20]);
        assert!(unpack(Block::Gzip, &zeros, 1 << 20).unwrap_err().contains("unpacks to more than"));
        let stated = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0];
        assert!(unpack(Block::Snappy, &stated, 1 << 20).unwrap_err().contains("unpacks to more than"));
    }
}
