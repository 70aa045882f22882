//! Bytes as JSON lines of alerts: no line is lost, whatever is in it.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use weir_fuzz::begin_with;
use weir_host::fuzzing::{Format, decoded, example_file};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    begin_with(data, size, max_size, seed, || example_file(Format::Ndjson, seed))
});

fuzz_target!(|data: &[u8]| {
    decoded(Format::Ndjson, data);
});
