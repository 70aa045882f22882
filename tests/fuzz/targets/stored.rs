//! Bytes as a value of every table of the store: refused, or read, written and read again as the same; and never more
//! memory than goes with their number.

#![no_main]

use std::alloc::System;

use cap::Cap;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use weir_host::fuzzing::{TABLES, example, stored};

/// Bytes that one value may take in memory beside those that go with its length: columns of equal values take no bytes
/// on disk, and a group has 65,535 rows at most.
const BYTES_ANYWAY: usize = 32 << 20;
/// Bytes in memory for each on disk: what a shadow rule said of all rows of a group can be 13 bytes.
const BYTES_EACH: usize = 16 << 10;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let table = (seed % u32::from(TABLES)) as u8;
    let example = example(table);
    if (size < 4 || seed % 512 == 0) && !example.is_empty() && example.len() < max_size {
        data[0] = table;
        data[1..=example.len()].copy_from_slice(&example);
        return fuzzer_mutate(data, example.len() + 1, max_size);
    }
    fuzzer_mutate(data, size, max_size)
});

fuzz_target!(|data: &[u8]| {
    let Some((table, bytes)) = data.split_first() else { return };
    // Whoever asks for more ends the process.
    let allowed = BYTES_ANYWAY + BYTES_EACH * bytes.len();
    ALLOCATOR.set_limit(ALLOCATOR.allocated() + allowed).expect("more is allowed than is held");
    stored(*table, bytes);
    ALLOCATOR.set_limit(usize::MAX).expect("as before");
});
