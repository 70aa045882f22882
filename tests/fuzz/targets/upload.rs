//! Bytes as an upload: form, compiler, imports, exports and description, under limits that make each look short.
//!
//! It begins with the stock plugins and changes their sections. A panic of the compiler is a refusal, as it is in a
//! host; the panics of everything else end the run.

#![no_main]

use std::{collections::BTreeSet, panic, sync::LazyLock, sync::Mutex};

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use weir_fuzz::{Chance, change_sections};
use weir_host::{
    config::PluginLimits,
    domain::is_unsafe,
    plugin::{Refusal, Sandbox},
};

const BYTES_MAX: usize = 128 << 10;

/// Bytes of any message, and of the lists of names in it.
const MESSAGE_BYTES_MAX: usize = 2_000;

static STOCK: [&[u8]; 4] = [
    include_bytes!(env!("WEIR_GUEST_THRESHOLD")),
    include_bytes!(env!("WEIR_GUEST_STORM")),
    include_bytes!(env!("WEIR_GUEST_MATCH")),
    include_bytes!(concat!(env!("OUT_DIR"), "/probe.wasm")),
];

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    let limits = PluginLimits {
        upload_bytes_max: BYTES_MAX,
        memory_bytes_max: 4 << 20,
        table_entries_max: 10_000,
        fuel_per_call: 100_000,
        deadline_ms: 100,
        ..PluginLimits::default()
    };
    Sandbox::new(&limits).expect("a sandbox can be had here")
});

/// Panics of the compiler, each told once.
static PANICS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut chance = Chance::new(seed);
    let stock = STOCK[chance.below(STOCK.len())];
    let from = if size < 16 || chance.below(64) == 0 { stock } else { &data[..size] };
    let mut change = |part: &mut Vec<u8>, more: usize| {
        let length = part.len();
        part.resize(length + more, 0);
        let length = fuzzer_mutate(part, length, length + more);
        part.truncate(length);
    };
    let changed = change_sections(from, &mut chance, &mut change);
    let length = changed.len().min(max_size);
    data[..length].copy_from_slice(&changed[..length]);
    length
});

fuzz_target!(
    init: {
        // The fuzzer's own hook ends the process at a panic that is caught by name. One that is not ends it all the same.
        panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
        // The first host or compiler that is made is not what is looked at.
        SANDBOX.load(STOCK[3], 0).expect("the probe is a plugin");
    },
    |data: &[u8]| {
        match SANDBOX.load(data, 7) {
            Ok(plugin) => {
                let info = plugin.info();
                let texts = [&info.name, &info.version, &info.summary].into_iter().chain(&info.reasons);
                texts.for_each(|text| plain(text, PluginLimits::default().text_bytes_max));
            }
            Err(refusal) => {
                plain(&refusal.to_string(), MESSAGE_BYTES_MAX);
                if let Refusal::CompilerPanic { detail } = refusal
                    && PANICS.lock().expect("nobody panics over it").insert(detail.clone())
                {
                    eprintln!("the compiler panics: {detail}");
                }
            }
        }
    }
);

fn plain(text: &str, bytes_max: usize) {
    assert!(text.len() <= bytes_max, "a text of {} bytes: {text:?}", text.len());
    assert!(!text.chars().any(is_unsafe), "{text:?}");
}
