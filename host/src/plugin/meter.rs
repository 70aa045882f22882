//! What one instance may use up: memory and tables as it grows, fuel and time per call.
//!
//! It must not know what is called. Invariant: memory of all of an instance's linear memories together stays within
//! the limit, and a growth that was denied is remembered until the instance is gone: a guest that makes do without it must not
//! decide by how much there was.

use wasmtime::ResourceLimiter;

use crate::{
    config::PluginLimits,
    domain::{GuestRoom, Metering},
};

/// Milliseconds between two ticks of the epoch, the grain of deadlines.
pub(super) const TICK_MS: u64 = 10;

/// How many deadlines a replayed call, or a candidate's, may take: the machine may be slower than the one it first ran on.
const PATIENT_DEADLINES: u64 = 60;

/// Fuel of a replayed call. What ran live ran within its fuel; prices may differ between engine versions, so here it
/// is only a backstop behind the deadline.
const REPLAY_FUEL: u64 = u64::MAX / 2;

/// What a call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    pub(super) fuel: u64,
    pub(super) deadline_ms: u64,
    pub(super) metering: Metering,
}

impl Allowance {
    /// The allowance of a call over `alerts` alerts; 0 for `describe` and `check`. A replayed call goes by the deadline on
    /// record: today's says nothing of then.
    pub(super) fn new(limits: &PluginLimits, alerts: usize, metering: Metering, recorded: GuestRoom) -> Self {
        let as_live = limits.fuel_per_call.saturating_add(limits.fuel_per_alert.saturating_mul(alerts as u64));
        let (fuel, deadline_ms) = match metering {
            Metering::Live => (as_live, limits.deadline_ms),
            Metering::Trial => (as_live, limits.deadline_ms.saturating_mul(PATIENT_DEADLINES)),
            Metering::Replay => (REPLAY_FUEL, recorded.deadline_ms.saturating_mul(PATIENT_DEADLINES)),
        };
        Self { fuel, deadline_ms, metering }
    }

    /// The deadline in ticks from now. One more than the quotient, because the running tick is partly over.
    pub(super) fn ticks(self) -> u64 {
        self.deadline_ms.div_ceil(TICK_MS) + 1
    }
}

/// Bounds and counts what an instance holds. It is the data of the instance's store.
#[derive(Debug)]
pub(super) struct Growth {
    room: GuestRoom,
    pub(super) memory_bytes: usize,
    /// What was asked for and not given, for people.
    pub(super) denied: Option<String>,
}

impl Growth {
    pub(super) fn new(room: GuestRoom) -> Self {
        Self { room, memory_bytes: 0, denied: None }
    }
}

impl ResourceLimiter for Growth {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        let max = self.room.memory_bytes_max;
        if wanted as u64 > max {
            self.denied = Some(format!("asked for {wanted} bytes of memory and may have {max}"));
            return Ok(false);
        }
        // Beyond the module's own maximum it gets nothing either, but that is no denial of ours.
        let within = maximum.is_none_or(|maximum| desired <= maximum);
        if within {
            self.memory_bytes = wanted;
        }
        Ok(within)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.denied = Some("the host could not provide the memory it asked for".to_owned());
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let max = self.room.table_entries_max;
        if desired as u64 > max {
            self.denied = Some(format!("asked for a table of {desired} entries and may have {max}"));
            return Ok(false);
        }
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuel_goes_with_the_alerts_and_a_deadline_is_rounded_up() {
        let limits = PluginLimits { fuel_per_call: 7, fuel_per_alert: 3, deadline_ms: 11, ..PluginLimits::default() };
        let recorded = GuestRoom { deadline_ms: 100, ..limits.room() };
        let live = Allowance::new(&limits, 5, Metering::Live, recorded);
        assert_eq!(live, Allowance { fuel: 22, deadline_ms: 11, metering: Metering::Live });
        assert_eq!(live.ticks(), 3);
        let replay = Allowance::new(&limits, 5, Metering::Replay, recorded);
        assert_eq!((replay.fuel, replay.deadline_ms), (u64::MAX / 2, 6_000), "today's deadline says nothing of then");
        let trial = Allowance::new(&limits, 5, Metering::Trial, recorded);
        assert_eq!((trial.fuel, trial.deadline_ms), (22, 660));
    }

    #[test]
    fn allowances_do_not_overflow() {
        let limits = PluginLimits {
            fuel_per_call: u64::MAX,
            fuel_per_alert: u64::MAX,
            deadline_ms: u64::MAX,
            ..PluginLimits::default()
        };
        for metering in [Metering::Live, Metering::Trial, Metering::Replay] {
            assert!(Allowance::new(&limits, usize::MAX, metering, limits.room()).ticks() > 1);
        }
    }

    #[test]
    fn the_memories_of_one_instance_share_one_limit() {
        let mut growth = Growth::new(GuestRoom { memory_bytes_max: 100, table_entries_max: 0, deadline_ms: 0 });
        assert!(growth.memory_growing(0, 60, None).unwrap());
        assert!(growth.memory_growing(0, 40, None).unwrap());
        assert!(growth.denied.is_none());
        assert!(!growth.memory_growing(40, 41, None).unwrap());
        assert_eq!(growth.denied.as_deref(), Some("asked for 101 bytes of memory and may have 100"));
    }

    #[test]
    fn a_modules_own_maximum_is_not_a_denial() {
        let mut growth = Growth::new(PluginLimits::default().room());
        assert!(!growth.memory_growing(0, 65536, Some(0)).unwrap());
        assert!(!growth.table_growing(0, 10, Some(5)).unwrap());
        assert!(growth.denied.is_none());
    }
}
