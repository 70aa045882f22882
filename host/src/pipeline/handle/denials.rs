//! How many denied calls are noted in the audit log: of each caller as many as a minute allows.
//!
//! It must not know what was denied. Invariant: a call is either noted or counted as left out, under whoever made it, so
//! that a flood of one caller hides nothing of another.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::domain::Millis;

const MINUTE_MS: Millis = 60_000;

/// Networks of unknown callers that are told apart in one minute. An attacker has as many addresses as it likes.
const NETWORKS_MAX: usize = 16;

/// Whose denied calls are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeniedCaller {
    /// An identity by name.
    Identity(String),
    /// Callers without one, by the network they call from.
    Network(IpAddr),
    /// Callers without one from further networks.
    Elsewhere,
}

impl DeniedCaller {
    /// An unknown caller: those of one /24, or of one /48 of IPv6, are counted together.
    pub fn unknown(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => {
                let [a, b, c, _] = address.octets();
                Self::Network(Ipv4Addr::new(a, b, c, 0).into())
            }
            Some(IpAddr::V6(address)) => {
                let [a, b, c, ..] = address.segments();
                Self::Network(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into())
            }
            None => Self::Elsewhere,
        }
    }

    /// Its name in the audit log; empty where it has none.
    pub fn name(&self) -> &str {
        match self {
            Self::Identity(name) => name,
            Self::Network(_) | Self::Elsewhere => "",
        }
    }
}

impl fmt::Display for DeniedCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(name) => f.write_str(name),
            Self::Network(network @ IpAddr::V4(_)) => write!(f, "unknown callers from {network}/24"),
            Self::Network(network @ IpAddr::V6(_)) => write!(f, "unknown callers from {network}/48"),
            Self::Elsewhere => f.write_str("unknown callers from other networks"),
        }
    }
}

/// The denials of this minute, and those of before that are not noted yet.
#[derive(Debug)]
pub struct Denials {
    per_minute_max: u32,
    minute: Mutex<Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    number: Millis,
    callers: HashMap<DeniedCaller, Count>,
}

#[derive(Debug, Default)]
struct Count {
    noted: u32,
    left_out: u64,
}

impl Denials {
    /// None yet.
    pub fn new(per_minute_max: u32) -> Self {
        Self { per_minute_max, minute: Mutex::default() }
    }

    /// Returns the caller that one more is to be noted of; `None` where it was counted as left out.
    pub fn note(&self, caller: DeniedCaller, now_ms: Millis) -> Option<DeniedCaller> {
        let mut minute = self.minute(now_ms);
        let caller = minute.told_apart(caller);
        let count = minute.callers.entry(caller.clone()).or_default();
        if count.noted == self.per_minute_max {
            count.left_out += 1;
            return None;
        }
        count.noted += 1;
        Some(caller)
    }

    /// Counts calls as left out after all.
    pub fn leave_out(&self, caller: &DeniedCaller, calls: u64) {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        minute.callers.entry(caller.clone()).or_default().left_out += calls;
    }

    /// Takes what was left out of callers that may be noted again; of all callers where this is the `end`.
    pub fn take_left_out(&self, now_ms: Millis, end: bool) -> Vec<(DeniedCaller, u64)> {
        let mut minute = self.minute(now_ms);
        let due = |count: &Count| count.left_out > 0 && (end || count.noted < self.per_minute_max);
        let due = minute.callers.iter_mut().filter(|(_, count)| due(count));
        due.map(|(caller, count)| (caller.clone(), std::mem::take(&mut count.left_out))).collect()
    }

    fn minute(&self, now_ms: Millis) -> MutexGuard<'_, Minute> {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now_ms.div_euclid(MINUTE_MS);
        if minute.number != number {
            minute.number = number;
            minute.callers.retain(|_, count| {
                count.noted = 0;
                count.left_out > 0
            });
        }
        minute
    }
}

impl Minute {
    fn told_apart(&self, caller: DeniedCaller) -> DeniedCaller {
        let is_new = matches!(caller, DeniedCaller::Network(_)) && !self.callers.contains_key(&caller);
        let networks = || self.callers.keys().filter(|known| matches!(known, DeniedCaller::Network(_))).count();
        if is_new && networks() >= NETWORKS_MAX { DeniedCaller::Elsewhere } else { caller }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> DeniedCaller {
        DeniedCaller::Identity(name.to_owned())
    }

    #[test]
    fn what_is_not_noted_is_counted_under_whoever_made_it() {
        let denials = Denials::new(2);
        let noted =
            |caller, times: &[Millis]| times.iter().filter(|at| denials.note(named(caller), **at).is_some()).count();
        assert_eq!(noted("a", &[0, 1, 2, 3, 59_999]), 2);
        assert_eq!(noted("b", &[4]), 1, "the flood of one hides nothing of another");
        assert_eq!(denials.take_left_out(59_999, false), [], "its minute is full");
        assert_eq!(denials.take_left_out(60_000, false), [(named("a"), 3)]);
        assert_eq!(denials.take_left_out(60_000, true), []);
        assert_eq!(noted("a", &[60_001, 60_002, 60_003]), 2);
        assert_eq!(denials.take_left_out(60_003, true), [(named("a"), 1)], "nothing is kept back at the end");
    }

    #[test]
    fn what_found_no_room_is_taken_again_as_soon_as_there_is_some() {
        let denials = Denials::new(2);
        let caller = denials.note(named("a"), 0).unwrap();
        denials.leave_out(&caller, 1);
        assert_eq!(denials.take_left_out(1, false), [(named("a"), 1)]);
    }

    #[test]
    fn unknown_callers_are_told_apart_by_network_and_only_so_many_of_them() {
        let from = |text: &str| DeniedCaller::unknown(Some(text.parse().unwrap()));
        assert_eq!(from("10.1.2.3"), from("10.1.2.200"));
        assert_eq!(from("10.1.2.3"), from("::ffff:10.1.2.9"));
        assert_ne!(from("10.1.2.3"), from("10.1.3.3"));
        assert_eq!(from("2001:db8:5:1::1"), from("2001:db8:5:2::1"));
        assert_eq!(from("10.1.2.3").to_string(), "unknown callers from 10.1.2.0/24");
        assert_eq!(from("2001:db8:5:1::1").to_string(), "unknown callers from 2001:db8:5::/48");
        let denials = Denials::new(1);
        let noted = (0..=255_u8).filter_map(|at| denials.note(from(&format!("10.1.{at}.1")), 0));
        assert_eq!(noted.count(), NETWORKS_MAX + 1);
        let left_out: u64 = denials.take_left_out(60_000, false).iter().map(|(_, calls)| calls).sum();
        assert_eq!(left_out, 256 - NETWORKS_MAX as u64 - 1);
    }
}
