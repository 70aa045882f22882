//! Bytes as files of rows, written in whatever way a caller may say: read to an end, and nothing unbounded is said.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use weir_fuzz::begin_with;
use weir_host::fuzzing::{Format, decoded_in_form, decoded_tables, example_file, form};

/// Bytes that choose the way.
const FORM_BYTES: usize = 4;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    begin_with(data, size, max_size, seed, || {
        let format = if seed % 2 == 0 { Format::Csv } else { Format::Ndjson };
        [&seed.to_le_bytes()[..], &example_file(format, seed)].concat()
    })
});

fuzz_target!(|data: &[u8]| {
    let Some((number, bytes)) = data.split_first_chunk::<FORM_BYTES>() else { return };
    let form = form(u32::from_le_bytes(*number));
    decoded_in_form(Format::Csv, &form, bytes);
    decoded_in_form(Format::Ndjson, &form, bytes);
    decoded_tables(&form, bytes);
});
