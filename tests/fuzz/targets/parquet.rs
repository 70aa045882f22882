//! Bytes as a Parquet file: it is read to an end, whatever is in it, in memory that goes with its size.

#![no_main]

use std::{alloc::System, panic, sync::Once};

use cap::Cap;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use weir_fuzz::begin_with;
use weir_host::fuzzing::{example_rows, rows};

/// Bytes that a file may take in memory, whatever its size: a page that says how large it is unpacked is believed.
const BYTES_ANYWAY: usize = 256 << 20;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

static BEGUN: Once = Once::new();

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    begin_with(data, size, max_size, seed, || example_rows(seed))
});

fuzz_target!(|data: &[u8]| {
    // A panic of the crate that reads files is an error of the file, so it is no finding; one that gets as far as here is.
    BEGUN.call_once(|| panic::set_hook(Box::new(|_| {})));
    ALLOCATOR.set_limit(ALLOCATOR.allocated() + BYTES_ANYWAY).expect("more is allowed than is held");
    rows(data.to_vec());
    ALLOCATOR.set_limit(usize::MAX).expect("as before");
});
