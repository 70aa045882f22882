//! What comes after an alert: a meter alerts once when its threshold is crossed, however far voltage goes from there.
//!
//! Who holds back an alert because its own reading is low hides what follows as well: nothing more is said until voltage
//! was within the threshold again.

use crate::domain::{Limit, Millis, Reading};

/// How long after an alert its episode is followed.
pub const EPISODE_MS_MAX: Millis = 7 * 86_400_000;

/// What was read of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Episode {
    /// The reading that is surely furthest beyond the threshold: that of the alert, or a later one.
    pub furthest: Reading,
    /// The reading that may be furthest beyond it.
    pub may_be_furthest: Reading,
    /// Whether its end was read: otherwise it may have gone further.
    pub is_whole: bool,
}

/// Follows an episode: from the period `from` of its alert to the first period whose average is surely within the threshold,
/// for [`EPISODE_MS_MAX`] at most. `readings` are those of the device and phase, in order; `threshold_dv` gives what the meter
/// compares with at the end of a period, `None` where that is not known.
pub fn episode(
    readings: &[Reading],
    from: &Reading,
    limit: Limit,
    threshold_dv: impl Fn(Millis) -> Option<u16>,
) -> Episode {
    let mut found = Episode { furthest: *from, may_be_furthest: *from, is_whole: false };
    let later = &readings[readings.partition_point(|reading| reading.end_ms <= from.end_ms)..];
    let mut end_ms = from.end_ms;
    for reading in later.iter().take_while(|reading| reading.end_ms - from.end_ms <= EPISODE_MS_MAX) {
        let is_next = std::mem::replace(&mut end_ms, reading.end_ms) == reading.period_ms().start;
        let Some(threshold_dv) = threshold_dv(reading.end_ms).filter(|_| is_next) else { break };
        let volts = reading.volts;
        if !volts.can_be_beyond(limit, threshold_dv) {
            found.is_whole = true;
            break;
        }
        let may_be_further = match limit {
            Limit::Over => volts.high_dv() > found.may_be_furthest.volts.high_dv(),
            Limit::Under => volts.low_dv() < found.may_be_furthest.volts.low_dv(),
        };
        if may_be_further {
            found.may_be_furthest = *reading;
        }
        // Where the episode may be over, what follows is not surely of it.
        if volts.can_be_within(limit, threshold_dv) {
            break;
        }
        let is_further = match limit {
            Limit::Over => volts.low_dv() > found.furthest.volts.low_dv(),
            Limit::Under => volts.high_dv() < found.furthest.volts.high_dv(),
        };
        if is_further {
            found.furthest = *reading;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Eui64, Phase, Volts};

    fn readings(dv: &[Option<u16>]) -> Vec<Reading> {
        let reading = |(at, dv): (usize, &Option<u16>)| {
            let volts = Volts::between((*dv)?, (*dv)?)?;
            let end_ms = at as Millis * 1_800_000;
            Some(Reading { device: Eui64(1), phase: Phase::Whole, end_ms, length_s: 1_800, volts })
        };
        dv.iter().enumerate().filter_map(reading).collect()
    }

    /// The voltage furthest beyond a threshold, and whether the end of the episode was read.
    fn furthest_of(dv: &[Option<u16>], limit: Limit, threshold_dv: u16) -> (u16, bool) {
        let readings = readings(dv);
        let found = episode(&readings, &readings[1], limit, |_| Some(threshold_dv));
        assert_eq!(found.furthest, found.may_be_furthest, "all of it is exact");
        (found.furthest.volts.low_dv(), found.is_whole)
    }

    #[test]
    fn what_follows_an_alert_belongs_to_it_until_voltage_is_within_again() {
        let day = [2_500, 2_550, 2_590, 2_570, 2_500, 2_600].map(Some);
        assert_eq!(furthest_of(&day, Limit::Over, 2_530), (2_590, true));
        assert_eq!(furthest_of(&day[..2], Limit::Over, 2_530), (2_550, false));
        let gap = [Some(2_500), Some(2_550), None, Some(2_590)];
        assert_eq!(furthest_of(&gap, Limit::Over, 2_530), (2_550, false));
        let low = [2_200, 2_150, 2_100, 2_120, 2_200].map(Some);
        assert_eq!(furthest_of(&low, Limit::Under, 2_160), (2_100, true));
    }

    #[test]
    fn a_threshold_that_rises_ends_an_episode() {
        let day = readings(&[2_500, 2_550, 2_560, 2_590, 2_500].map(Some));
        let risen = |end_ms: Millis| Some(if end_ms >= day[2].end_ms { 2_570 } else { 2_530 });
        let found = episode(&day, &day[1], Limit::Over, risen);
        assert_eq!((found.furthest.volts.low_dv(), found.is_whole), (2_550, true));
        let forgotten = |end_ms: Millis| (end_ms < day[2].end_ms).then_some(2_530);
        assert!(!episode(&day, &day[1], Limit::Over, forgotten).is_whole);
    }

    #[test]
    fn what_readings_leave_open_is_told_from_what_is_sure() {
        let mut day = readings(&[2_500, 2_550, 2_550, 2_500].map(Some));
        day[2].volts = Volts::between(2_520, 2_700).unwrap();
        let found = episode(&day, &day[1], Limit::Over, |_| Some(2_530));
        assert_eq!((found.furthest, found.may_be_furthest, found.is_whole), (day[1], day[2], false));
        day[2].volts = Volts::between(2_540, 2_700).unwrap();
        let found = episode(&day, &day[1], Limit::Over, |_| Some(2_530));
        assert_eq!((found.furthest, found.may_be_furthest, found.is_whole), (day[1], day[2], true));
    }
}
