//! One reading of the log for several threads that each fold the alerts of their own devices: each decodes the groups of its
//! own turn, and hands the others their portions.
//!
//! It must not know rules or counts. Invariant: every thread takes its portion of every group, in the order of the log; who
//! gets ahead waits, so that few groups are in memory.

use std::{
    cell::Cell,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Instant,
};

use super::{Stopped, pace::Stint};
use crate::domain::{Group, Position};

/// Portions that may wait for one thread, from each of the others.
const WAITING_MAX: usize = 2;

/// Alerts of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Portion {
    /// They, in order, with what is on record of them.
    pub(super) group: Group,
    /// Per row, its place in the group as it was recorded; empty where none was left out.
    pub(super) places: Vec<u32>,
}

impl Portion {
    /// All of a group.
    pub(super) fn whole(group: Group) -> Self {
        Self { group, places: Vec::new() }
    }

    /// A group in so many portions, by device.
    fn by_device(group: &Group, count: usize) -> Vec<Self> {
        let mut places = vec![Vec::with_capacity(group.rows.len() / count + 1); count];
        for (place, device_no) in (0..).zip(&group.rows.device_no) {
            places[*device_no as usize % count].push(place);
        }
        places.into_iter().map(|places| Self { group: group.pick(&places), places }).collect()
    }

    /// The log position of a row.
    pub(super) fn position(&self, row: usize) -> Position {
        self.group.first.after(self.places.get(row).map_or(row, |place| *place as usize))
    }
}

/// What takes a portion.
pub(super) type Take<'t> = &'t mut dyn FnMut(&Portion) -> Result<(), Stopped>;

/// One thread's place among those that read together.
pub(super) struct Seat {
    which: usize,
    /// To each of the others, and from each; `None` at its own place.
    to: Vec<Option<SyncSender<Portion>>>,
    from: Vec<Option<Receiver<Portion>>>,
    /// Groups that were met in the log, and that were taken.
    met: Cell<usize>,
    taken: Cell<usize>,
}

/// The seats of so many threads.
pub(super) fn seats(count: usize) -> Vec<Seat> {
    let seat = |which| Seat { which, to: Vec::new(), from: Vec::new(), met: Cell::new(0), taken: Cell::new(0) };
    let mut seats: Vec<Seat> = (0..count).map(seat).collect();
    for giver in 0..count {
        for taker in 0..count {
            let (to, from) = sync_channel(WAITING_MAX);
            let is_other = giver != taker;
            seats[giver].to.push(is_other.then_some(to));
            seats[taker].from.push(is_other.then_some(from));
        }
    }
    seats
}

impl Seat {
    /// Whether the next group of the log is decoded here.
    pub(super) fn is_next(&self) -> bool {
        let met = self.met.get();
        self.met.set(met + 1);
        met % self.to.len() == self.which
    }

    /// Hands the others their portions of a group that was decoded here, and takes the round that it is of: a portion of
    /// what each thread decoded.
    pub(super) fn take_round(&self, group: &Group, stint: &mut Stint, take: Take<'_>) -> Result<(), Stopped> {
        let mut own = None;
        for (to, portion) in self.to.iter().zip(Portion::by_device(group, self.to.len())) {
            let Some(to) = to else {
                own = Some(portion);
                continue;
            };
            // Whoever is furthest behind is never waiting, so nobody waits for ever.
            let since = Instant::now();
            to.send(portion).map_err(|_| Stopped::Elsewhere)?;
            stint.waited(since.elapsed());
        }
        for from in &self.from {
            let since = Instant::now();
            // Of the last round there may be nothing more to come.
            let portion = from.as_ref().map_or_else(|| own.take(), |from| from.recv().ok());
            stint.waited(since.elapsed());
            self.take(portion, take)?;
        }
        Ok(())
    }

    /// Takes what the others decoded of the last round, where there was nothing left to decode here.
    pub(super) fn finish(&self, take: Take<'_>) -> Result<(), Stopped> {
        let left = self.met.get() % self.to.len();
        if self.which >= left {
            for from in self.from[..left].iter().flatten() {
                self.take(from.recv().ok(), take)?;
            }
        }
        // Whoever hands out no more before the end was stopped, and says why.
        if self.taken == self.met { Ok(()) } else { Err(Stopped::Elsewhere) }
    }

    fn take(&self, portion: Option<Portion>, take: Take<'_>) -> Result<(), Stopped> {
        let Some(portion) = portion else { return Ok(()) };
        self.taken.set(self.taken.get() + 1);
        take(&portion)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::domain::{Fault, FaultKind, Mark, Revision, Rows, SettingsNo};

    fn some_group(first: Position) -> Group {
        Group {
            first,
            judged_ms: 0,
            settings: SettingsNo::UNKNOWN,
            rows: Rows::default(),
            marks: Vec::new(),
            mark: Vec::new(),
            withheld: Vec::new(),
            rejected: Vec::new(),
            faults: Vec::new(),
            shadows: Vec::new(),
            remembered_from: None,
        }
    }

    /// What one of so many threads takes of so many groups, if it takes no more than that many.
    fn taken(seat: &Seat, groups: u64, most: usize) -> (Vec<u64>, Result<(), Stopped>) {
        let mut taken = Vec::new();
        let mut take = |portion: &Portion| {
            taken.push(portion.group.first.0);
            if taken.len() > most { Err(Stopped::Cancelled) } else { Ok(()) }
        };
        let mut read = || {
            for first in 0..groups {
                if seat.is_next() {
                    let group = some_group(Position(first));
                    seat.take_round(&group, &mut Stint::begin(), &mut take)?;
                }
            }
            seat.finish(&mut take)
        };
        let ended = read();
        (taken, ended)
    }

    fn all_taken(threads: usize, groups: u64, most: impl Fn(usize) -> usize) -> Vec<(Vec<u64>, Result<(), Stopped>)> {
        let most: Vec<usize> = (0..threads).map(most).collect();
        thread::scope(|scope| {
            let seats = seats(threads).into_iter().zip(most);
            let running: Vec<_> = seats.map(|(seat, most)| scope.spawn(move || taken(&seat, groups, most))).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn every_thread_takes_every_group_in_order() {
        for (threads, groups) in [(1, 3), (2, 0), (2, 1), (2, 7), (3, 9), (5, 3), (7, 100), (8, 17)] {
            for (taken, ended) in all_taken(threads, groups, |_| usize::MAX) {
                assert_eq!((taken, ended), ((0..groups).collect(), Ok(())), "{groups} groups on {threads} threads");
            }
        }
    }

    #[test]
    fn whoever_stops_stops_the_others_who_do_not_say_why() {
        for (at, (taken, ended)) in (0..).zip(all_taken(4, 1_000, |at| if at == 2 { 5 } else { usize::MAX })) {
            assert_eq!(ended, Err(if at == 2 { Stopped::Cancelled } else { Stopped::Elsewhere }));
            assert!(taken.len() < 100, "thread {at} took {}", taken.len());
        }
    }

    #[test]
    fn portions_are_the_group_by_devices_and_faults_stay_with_their_alerts() {
        let count = 10_u32;
        let fault = |(first_row, row_count)| {
            let (rule, kind, detail) = (Revision(1), FaultKind::Trap, String::new());
            Fault { rule, kind, first_row, row_count, detail }
        };
        let device_no = (0..count).map(|row| row % 4).collect();
        let group = Group {
            rows: Rows { device_no, model: (0..count).collect(), ..Rows::default() },
            marks: vec![Mark::FORWARDED, Mark::DUPLICATE],
            mark: (0..count as u16).map(|row| row % 2).collect(),
            withheld: (0..count).collect(),
            faults: [(0, 10), (3, 2), (5, 1)].map(fault).to_vec(),
            ..some_group(Position(100))
        };
        let portions = Portion::by_device(&group, 3);
        let mut found: Vec<(Position, u32, u32, Mark)> = Vec::new();
        for (which, portion) in (0..).zip(&portions) {
            let Portion { group, .. } = portion;
            assert!(group.rows.device_no.iter().all(|device_no| device_no % 3 == which));
            assert!(group.faults.iter().all(|fault| fault.row_count > 0));
            found
                .extend((0..group.rows.len()).map(|row| {
                    (portion.position(row), group.rows.model[row], group.withheld[row], group.mark_of(row))
                }));
        }
        found.sort_unstable();
        let whole = Portion::whole(group.clone());
        let all = (0..count as usize).map(|row| (whole.position(row), row as u32, row as u32, group.mark_of(row)));
        assert_eq!(found, all.collect::<Vec<_>>());
        // Devices 0 and 3: rows 0, 3, 4, 7 and 8. Device 1: rows 1, 5 and 9. Device 2: rows 2 and 6.
        let faults = |which: usize| portions[which].group.faults.iter().map(|fault| (fault.first_row, fault.row_count));
        assert_eq!(faults(0).collect::<Vec<_>>(), [(0, 5), (1, 2)]);
        assert_eq!(faults(1).collect::<Vec<_>>(), [(0, 3), (1, 1)]);
        assert_eq!(faults(2).collect::<Vec<_>>(), [(0, 2)]);
    }
}
