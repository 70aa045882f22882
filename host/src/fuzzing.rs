//! Doors for the fuzz targets of tests/fuzz: what they need beside the library's public parts.
//!
//! Compiled with the feature `fuzzing` alone, which no program turns on. Each door lies beside what it opens, so that
//! nothing else becomes visible. It must not check what is behind a door in place of it. Invariant: a door panics where
//! what is behind it broke its word, and is silent about everything that was refused.

pub use crate::{
    cli::fuzzing::unpacked,
    grpc::fuzzing::{REQUESTS, request},
    intake::{
        columnar::fuzzing::{decoded as rows, example as example_rows},
        fuzzing::{
            Format, decoded, decoded_in_form, decoded_tables, document, example as example_file, form, hex, message,
            unpacked_blocks,
        },
    },
    plugin::fuzzing::{Said, described},
    store::fuzzing::{TABLES, example, stored},
};
