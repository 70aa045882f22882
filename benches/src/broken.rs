//! A file of alerts of which one line in a hundred cannot be read, in one of twelve ways.
//!
//! It must not know how files are read. Invariant: how many lines there are of each kind is known as they are written, under
//! the name of the column, or of the part of a line, that is at fault.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// One line in so many is broken.
const BROKEN_EVERY: u64 = 100;
/// Longest line that is read, in bytes.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Of lines that are too long there are few, or they would be most of the file.
const TOO_LONG_EVERY: u64 = 20;
const HEADER: &str = "device,code,recipient,counter,occurred_at,received_ms,voltage_v,weight";
/// Kinds of broken lines, by the part at fault.
pub const KINDS: [&str; 12] = [
    "device",
    "code",
    "recipient",
    "counter",
    "occurred_at",
    "received_ms",
    "voltage_v",
    "weight",
    "fields",
    "quotes",
    "text",
    "line",
];

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Lines that are alerts.
    pub good: u64,
    /// Lines that are not, by the part at fault.
    pub broken: BTreeMap<&'static str, u64>,
}

/// Writes so many lines after a header. Alerts are received from `start_ms` on, a millisecond after each other, and each
/// has a counter of its own.
pub fn write(out: &mut impl Write, lines: u64, seed: u64, start_ms: i64) -> io::Result<Written> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut below = |n: u64| random.next_u64() % n;
    let mut written = Written::default();
    writeln!(out, "{HEADER}")?;
    for number in 0..lines {
        let device = format!("00-DB-12-34-56-{:02X}-{:02X}-01", below(64), below(256));
        let volts = format!("{}.{}", 200 + below(80), below(10));
        let received = (start_ms + number as i64).to_string();
        let counter = (number + 1).to_string();
        let code = ["8F40", "8002", "8F36", "N24"][below(4) as usize];
        let mut values = [
            device.as_str(),
            code,
            "90-B3-D5-1F-30-02-00-00",
            &counter,
            "2026-11-23T09:30:00Z",
            &received,
            &volts,
            "1",
        ];
        // One of each kind comes for certain.
        let certain = (number % BROKEN_EVERY == 50).then_some((number / BROKEN_EVERY) as usize);
        let certain = certain.filter(|kind| *kind < KINDS.len());
        if below(BROKEN_EVERY) > 0 && certain.is_none() {
            written.good += 1;
            writeln!(out, "{}", values.join(","))?;
            continue;
        }
        let kind = match (certain, below(KINDS.len() as u64) as usize) {
            (Some(kind), _) => kind,
            (None, 11) if below(TOO_LONG_EVERY) > 0 => 8,
            (None, kind) => kind,
        };
        *written.broken.entry(KINDS[kind]).or_default() += 1;
        let wrong = ["nobody", "8G40", "90-B3", "-1", "23/11/2026", "noon", "258.15", "0"];
        let bytes = match kind {
            8 if number.is_multiple_of(2) => format!("{},more", values.join(",")).into_bytes(),
            8 => values[1..].join(",").into_bytes(),
            9 => format!("\"{}", values.join(",")).into_bytes(),
            10 => [values.join(",").as_bytes(), b"\xFF"].concat(),
            11 => vec![b'x'; LINE_BYTES_MAX + 1],
            column => {
                values[column] = wrong[column];
                values.join(",").into_bytes()
            }
        };
        out.write_all(&bytes)?;
        writeln!(out)?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_there_and_the_same_seed_gives_the_same_lines() {
        let file = |seed| {
            let mut bytes = Vec::new();
            let written = write(&mut bytes, 40_000, seed, 0).unwrap();
            (bytes, written)
        };
        let (bytes, written) = file(7);
        assert_eq!(written.broken.len(), KINDS.len(), "{written:?}");
        let broken: u64 = written.broken.values().sum();
        assert_eq!(written.good + broken, 40_000);
        assert!((300..500).contains(&broken), "{broken}");
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 40_001);
        assert!(file(7) == (bytes.clone(), written) && file(8).0 != bytes);
    }
}
