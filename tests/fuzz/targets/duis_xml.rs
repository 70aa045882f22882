//! Bytes as DUIS documents: as the payload of one, or as the file itself.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use weir_fuzz::begin_with;
use weir_host::fuzzing::{Format, decoded, document, example_file, message};

/// The first byte of a payload; after any other one follows a file.
const PAYLOAD: u8 = 0xFF;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    begin_with(data, size, max_size, seed, || match seed % 4 {
        0 => [&[PAYLOAD][..], &message(seed)].concat(),
        _ => [&[0][..], &example_file(Format::DuisXml, seed)].concat(),
    })
});

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        None => {}
        // The header names a device, so the alert is not lost, whatever its payload is.
        Some((&PAYLOAD, payload)) => assert_eq!(decoded(Format::DuisXml, document(0, payload).as_bytes()), 1),
        Some((_, file)) => drop(decoded(Format::DuisXml, file)),
    }
});
