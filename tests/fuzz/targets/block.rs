//! Bytes as packed pages: an error, or no more than is allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_host::fuzzing::unpacked_blocks;

/// Bytes that a page may unpack to.
const BYTES_MAX: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    unpacked_blocks(data, BYTES_MAX);
});
