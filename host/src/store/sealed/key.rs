//! What a key of a table may be, and how an error names it.

use redb::Key;

use crate::domain::{Digest, Eui64};

/// A key, and how an error names it.
pub(in crate::store) trait TableKey: Key + 'static {
    fn show(key: &Self::SelfType<'_>) -> String;
}

impl TableKey for u32 {
    fn show(key: &u32) -> String {
        key.to_string()
    }
}

impl TableKey for u64 {
    fn show(key: &u64) -> String {
        key.to_string()
    }
}

impl TableKey for &'static str {
    fn show(key: &&str) -> String {
        format!("{key:?}")
    }
}

impl TableKey for [u8; 32] {
    fn show(key: &[u8; 32]) -> String {
        Digest(*key).to_string()
    }
}

impl TableKey for (&'static str, &'static str, u64) {
    fn show((holder, name, number): &(&str, &str, u64)) -> String {
        format!("{holder:?} {name:?} {number}")
    }
}

impl TableKey for (&'static str, &'static str) {
    fn show((holder, name): &(&str, &str)) -> String {
        format!("{holder:?} {name:?}")
    }
}

impl TableKey for (u32, &'static str) {
    fn show((number, name): &(u32, &str)) -> String {
        format!("{number} {name:?}")
    }
}

impl TableKey for (u32, u32) {
    fn show((first, second): &(u32, u32)) -> String {
        format!("{first} {second}")
    }
}

impl TableKey for (u32, u64, u8) {
    fn show((week, device, phase): &(u32, u64, u8)) -> String {
        format!("{week} {} {phase}", Eui64(*device))
    }
}

impl TableKey for (u64, u8, i64) {
    fn show((device, limit, from_ms): &(u64, u8, i64)) -> String {
        format!("{} {limit} {from_ms}", Eui64(*device))
    }
}
