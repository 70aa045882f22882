//! Bytes as GBCS messages: written in hex, or as the file of hex itself.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use weir_fuzz::begin_with;
use weir_host::fuzzing::{Format, decoded, example_file, hex, message};

/// The first byte of a file of hex; after any other one follows a message.
const FILE: u8 = 0xFF;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    begin_with(data, size, max_size, seed, || match seed % 4 {
        0 => [&[FILE][..], &example_file(Format::GbcsHex, seed)].concat(),
        _ => [&[0][..], &message(seed)].concat(),
    })
});

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        None => {}
        Some((&FILE, file)) => drop(decoded(Format::GbcsHex, file)),
        Some((_, message)) => drop(decoded(Format::GbcsHex, hex(message).as_bytes())),
    }
});
