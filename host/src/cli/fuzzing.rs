//! Packed files, unpacked, for fuzzing.
//!
//! It must not know what is in a file. Invariant: whoever says that a file is read wants no more than so many bytes of it.

use std::{
    io::{self, Cursor, Read},
    path::Path,
};

use crate::intake::compressed::Packing;

/// Bytes that are handed over at once.
const BUFFER_BYTES: usize = 4 << 10;

/// The first `bytes_max` bytes of what a file of this name holds.
pub fn unpacked(name: &str, bytes: Vec<u8>, bytes_max: u64) -> io::Result<Vec<u8>> {
    let (packing, _) = Packing::of(Path::new(name));
    let mut unpacked = Vec::new();
    packing.unpack(Cursor::new(bytes), BUFFER_BYTES).take(bytes_max).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}
