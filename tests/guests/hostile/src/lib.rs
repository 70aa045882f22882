//! A guest that misbehaves as its parameters say, to test what holds it.
//!
//! Parameters: `{"do": "loop"}` misbehaves in every batch, `{"do": "loop", "code": "8014"}` only in one that holds
//! that code and otherwise forwards all. `Deed` lists what it can do.
//!
//! It speaks the contract by wit-bindgen alone: the SDK would not let it do most of this. Natively there is nothing
//! here. It must not be mistaken for an example. Invariant: what it does depends on its parameters and the batch, save
//! for `impure`, whose point is the opposite.

#![cfg(target_arch = "wasm32")]

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};

wit_bindgen::generate!({ path: "../../../wit", world: "rule" });

use weir::rule::types::{Columns, StateKey};

/// What it may be told to do.
#[derive(Clone, Copy, PartialEq)]
enum Deed {
    /// Forwards all. Like every deed that returns, counts alerts in the state.
    None,
    /// Suppresses all, as it may.
    Suppress,
    /// Does not come back.
    Loop,
    /// Takes memory until there is no more.
    Memory,
    /// Asks for `rounds` MiB of memory, takes no for an answer, and suppresses all if it was no.
    Adapt,
    /// Suppresses the first alert of each call.
    First,
    /// Gives up.
    Trap,
    /// Calls itself without end.
    Stack,
    /// Returns a verdict too many.
    Count,
    /// Returns a reason that it never named.
    Reason,
    /// Returns a state table that is too long.
    State,
    /// Returns a withheld column of the wrong length.
    Withheld,
    /// Returns an error of 8 MiB.
    Error,
    /// Returns an error full of control characters.
    Escape,
    /// Forwards in the first call of an instance, suppresses in the next: shows if an instance is used twice.
    Impure,
    /// Refuses its parameters.
    Refuse,
    /// Computes for `rounds` rounds an alert, and forwards all.
    Burn,
    /// Waits for memory `rounds` times an alert, and forwards all.
    Chase,
}

const DEEDS: [(&str, Deed); 18] = [
    ("none", Deed::None),
    ("suppress", Deed::Suppress),
    ("loop", Deed::Loop),
    ("memory", Deed::Memory),
    ("adapt", Deed::Adapt),
    ("first", Deed::First),
    ("trap", Deed::Trap),
    ("stack", Deed::Stack),
    ("count", Deed::Count),
    ("reason", Deed::Reason),
    ("state", Deed::State),
    ("withheld", Deed::Withheld),
    ("error", Deed::Error),
    ("escape", Deed::Escape),
    ("impure", Deed::Impure),
    ("refuse", Deed::Refuse),
    ("burn", Deed::Burn),
    ("chase", Deed::Chase),
];

/// Outlives a call, which no rule's memory should.
static CALLS: AtomicU64 = AtomicU64::new(0);

struct Hostile;

impl Guest for Hostile {
    fn describe() -> Description {
        Description {
            name: "hostile".to_owned(),
            version: "0.1.0".to_owned(),
            summary: "Misbehaves as its parameters say".to_owned(),
            parameters_schema: r#"{"type": "object"}"#.to_owned(),
            state_key: StateKey::Device,
            state_words: 1,
            state_version: 0,
            reasons: vec!["hostile".to_owned()],
            reads: Columns::DEVICE | Columns::OCCURRED,
        }
    }

    fn check(parameters: String) -> Result<(), String> {
        match deed(&parameters) {
            Deed::Refuse => Err("do: refused, as asked".to_owned()),
            _ => Ok(()),
        }
    }

    fn evaluate(parameters: String, alerts: Batch, mut state: Vec<u64>) -> Result<Outcome, String> {
        let calls = CALLS.fetch_add(1, Ordering::Relaxed);
        let count = alerts.code.len();
        for slot in &alerts.slot {
            state[*slot as usize] += 1;
        }
        let mut outcome = Outcome { verdict: vec![0; count], withheld: Vec::new(), state };
        match deed_in(&parameters, &alerts) {
            Deed::None => {}
            Deed::Suppress => outcome.verdict.fill(1),
            Deed::Loop => loop {
                black_box(count);
            },
            Deed::Memory => grab(),
            Deed::Adapt => outcome.verdict.fill(u8::from(!has_room_for(rounds(&parameters)))),
            Deed::First => outcome.verdict.iter_mut().take(1).for_each(|verdict| *verdict = 1),
            Deed::Trap => core::arch::wasm32::unreachable(),
            Deed::Stack => outcome.verdict.fill(dive(1) as u8),
            Deed::Count => outcome.verdict.push(0),
            Deed::Reason => outcome.verdict.fill(2),
            Deed::State => outcome.state.push(0),
            Deed::Withheld => outcome.withheld = vec![0; count + 1],
            Deed::Error => return Err("x".repeat(8 << 20)),
            Deed::Escape => return Err("\u{1b}[2J\u{7}\0\r\nall is well".to_owned()),
            Deed::Impure => outcome.verdict.fill((calls > 0) as u8),
            Deed::Refuse => return Err("do: refused, as asked".to_owned()),
            Deed::Burn => burn(rounds(&parameters) * count as u64),
            Deed::Chase => chase(rounds(&parameters) * count as u64),
        }
        Ok(outcome)
    }
}

/// What to do in this batch.
fn deed_in(parameters: &str, alerts: &Batch) -> Deed {
    let code = field(parameters, "code").and_then(|code| u16::from_str_radix(code, 16).ok());
    match code {
        Some(code) if !alerts.code.contains(&code) => Deed::None,
        _ => deed(parameters),
    }
}

fn deed(parameters: &str) -> Deed {
    let name = field(parameters, "do").unwrap_or("none");
    DEEDS.iter().find(|(known, _)| *known == name).map_or(Deed::None, |(_, deed)| *deed)
}

/// The text after `"name":`. Enough JSON for what tests write.
fn field<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = parameters.split_once(&format!("\"{name}\""))?;
    after.split('"').nth(1)
}

fn rounds(parameters: &str) -> u64 {
    field(parameters, "rounds").and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

fn burn(rounds: u64) {
    let mut sum = 1_u64;
    for round in 0..rounds {
        sum = black_box(sum.wrapping_mul(31) ^ round);
    }
}

/// Each step goes to a place that the one before names, far from it: no cache helps, and little is computed.
fn chase(rounds: u64) {
    const PLACES: usize = 2 << 20;
    const STEP: usize = 1_000_003;
    let places: Vec<u32> = (0..PLACES).map(|place| ((place + STEP) % PLACES) as u32).collect();
    let mut place = 0;
    for _ in 0..rounds {
        place = places[black_box(place) as usize];
    }
    black_box(place);
}

/// Whether there is room for so many more MiB.
fn has_room_for(mebibytes: u64) -> bool {
    const PAGES_PER_MEBIBYTE: usize = 16;
    core::arch::wasm32::memory_grow(0, mebibytes as usize * PAGES_PER_MEBIBYTE) != usize::MAX
}

/// Reserves memory without touching it, which would cost fuel first. The allocator traps when it is refused.
fn grab() {
    let mut grabbed: Vec<Vec<u8>> = Vec::new();
    loop {
        grabbed.push(black_box(Vec::with_capacity(1 << 20)));
    }
}

/// The multiplication after the call keeps this from being turned into a loop.
#[inline(never)]
#[allow(unconditional_recursion)]
fn dive(depth: u64) -> u64 {
    black_box(dive(black_box(depth + 1))).wrapping_mul(depth)
}

export!(Hostile);
