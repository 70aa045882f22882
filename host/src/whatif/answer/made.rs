//! The answer out of what a fold counted: names for its numbers, rows by what there is to group by, examples.
//!
//! It must not know how alerts are judged. Invariant: what is left out for its size is counted.

use std::collections::BTreeMap;

use super::{
    super::{
        CANDIDATE, Ground, Question,
        axes::{AXES, Axes},
        chains::Stand,
        fold::Fold,
        lane::Lane,
        readings::answer::{DeviceAnswer, Found, ReadingAnswer},
        tally::{Baseline, Changed, Changes, Ends},
    },
    Answer, Basis, ChangedAlert, ChangedDevice, Failed, Key, Now, Outcome, Row, Said, Sums, Turned,
};
use crate::{
    books::Grouping,
    domain::{Digest, End, HOUR_MS, Mark, ModelId, Revision},
};

/// Rows of one grouping in an answer: those that change most, when there are more.
const ROWS_MAX: usize = 2_000;

/// What every answer depends on beside the question and the log.
const ENGINE: &str = concat!("weir ", env!("CARGO_PKG_VERSION"));

impl Fold<'_> {
    /// The answer.
    pub(in crate::whatif) fn finish(
        self,
        basis: Basis,
        digests: Option<[Digest; 3]>,
        eui: &dyn Fn(u32) -> u64,
    ) -> Answer {
        let Self { question, ground, lanes, counts, not_replayable, withheld_is_known, joins, .. } = self;
        let baseline = &counts.baseline;
        let names = Names { question, ground };
        let now = Now {
            sums: Sums {
                forwarded: baseline.ends.forwarded,
                suppressed: baseline.ends.suppressed,
                forwarded_represented: baseline.represented.forwarded,
                suppressed_represented: baseline.represented.suppressed,
                withheld: Some(baseline.withheld),
            },
            duplicates: baseline.duplicates,
            not_replayable: not_replayable.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect(),
        };
        let outcome = |(at, lane): (usize, Lane<'_>)| {
            let devices = counts.devices_of(at);
            let changed = changed_devices(devices, question.devices_max, eui);
            names.outcome(lane, (&counts.axes, baseline), changed, (now.sums, withheld_is_known), eui)
        };
        let mut outcomes: Vec<Outcome> = lanes.into_iter().enumerate().map(outcome).collect();
        let readings = joins.zip(digests).map(|(joins, digests)| {
            // The second half holds back what is undecided.
            let all_held = outcomes.split_off(outcomes.len() / 2);
            let variants = joins.finish(question.samples_max, question.devices_max, eui);
            ReadingAnswer::new(digests, Found::Filter { variants, all_held })
        });
        Answer { engine: ENGINE.to_owned(), basis, now, outcomes, readings }
    }
}

impl Answer {
    /// An answer about meters, to which no rule is part.
    pub(in crate::whatif) fn of_devices(basis: Basis, digests: [Digest; 3], found: DeviceAnswer) -> Self {
        let readings = Some(ReadingAnswer::new(digests, Found::Device(Box::new(found))));
        Self { engine: ENGINE.to_owned(), basis, now: Now::default(), outcomes: Vec::new(), readings }
    }
}

/// Names for numbers, as an answer needs them.
struct Names<'a> {
    question: &'a Question,
    ground: &'a Ground,
}

impl Names<'_> {
    fn outcome(
        &self,
        lane: Lane<'_>,
        (axes, baseline): (&Axes, &Baseline),
        (devices, devices_changed): (Vec<ChangedDevice>, u64),
        (now, withheld_is_known): (Sums, bool),
        eui: &dyn Fn(u32) -> u64,
    ) -> Outcome {
        let Lane { stand, turns, failed, .. } = lane;
        let (label, plugin) = match stand {
            Stand::AsRecorded => ("as recorded".to_owned(), None),
            Stand::Candidate(variant, digest, _) => (variant.label.clone(), Some(digest)),
        };
        let (suppressed, forwarded) = (turns.total.newly_suppressed, turns.total.newly_forwarded);
        let then = Sums {
            forwarded: now.forwarded - suppressed + forwarded,
            suppressed: now.suppressed + suppressed - forwarded,
            forwarded_represented: now.forwarded_represented - turns.represented.0 + turns.represented.1,
            suppressed_represented: now.suppressed_represented + turns.represented.0 - turns.represented.1,
            withheld: withheld_is_known.then_some(turns.withheld),
        };
        let mut rows = Vec::new();
        let mut rows_left_out = 0;
        for grouping in
            [Grouping::Code, Grouping::Operator, Grouping::Generation, Grouping::Model, Grouping::Day, Grouping::Hour]
        {
            rows_left_out += self.rows(grouping, (axes, baseline), &turns.by, &mut rows);
        }
        let mut samples: Vec<Changed> = turns.suppressed.take();
        samples.extend(turns.forwarded.take());
        samples.sort_unstable();
        let failed = failed.into_iter().filter(|((rule, _), _)| !self.question.confined || self.is_candidate(*rule));
        Outcome {
            label,
            then,
            turned: turned(&turns.total, baseline.ends),
            rows,
            rows_left_out,
            devices,
            devices_changed,
            samples: samples.iter().map(|changed| self.sample(changed, plugin, eui)).collect(),
            failed: failed
                .map(|((rule, kind), (calls, detail))| Failed {
                    rule: self.rule(rule),
                    kind: kind.name().to_owned(),
                    calls,
                    detail,
                })
                .collect(),
        }
    }

    /// Adds the rows of one grouping; says how many were left out.
    fn rows(
        &self,
        grouping: Grouping,
        (axes, baseline): (&Axes, &Baseline),
        changes: &[Vec<Changes>; AXES],
        rows: &mut Vec<Row>,
    ) -> u64 {
        let axis = match grouping {
            Grouping::Code => 0,
            Grouping::Operator => 1,
            Grouping::Generation => 2,
            Grouping::Model => 3,
            _ => 4,
        };
        let mut by: BTreeMap<Key, (Ends, Changes)> = BTreeMap::new();
        for (number, value) in axes.values(axis).iter().enumerate() {
            let key = match grouping {
                Grouping::Code => Key::Code(*value as u16),
                Grouping::Operator => Key::Operator(*value as u8),
                Grouping::Generation => Key::Generation(*value as u8),
                Grouping::Model => Key::Model(self.model(*value)),
                Grouping::Day => Key::Day(i64::from(*value / 24) * 24 * HOUR_MS),
                _ => Key::Hour(i64::from(*value) * HOUR_MS),
            };
            let (ends, change) = by.entry(key).or_default();
            let now = baseline.by[axis].get(number).copied().unwrap_or_default();
            ends.add(now);
            change.add(&changes[axis].get(number).copied().unwrap_or_default());
        }
        let mut found: Vec<(Key, Ends, Changes)> =
            by.into_iter().map(|(key, (ends, changes))| (key, ends, changes)).collect();
        found.retain(|(_, ends, _)| *ends != Ends::default());
        let left_out = found.len().saturating_sub(ROWS_MAX);
        if left_out > 0 {
            found.sort_by(|a, b| (b.2.count(), &a.0).cmp(&(a.2.count(), &b.0)));
            found.truncate(ROWS_MAX);
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        rows.extend(found.into_iter().map(|(key, ends, changes)| Row { key, turned: turned(&changes, ends) }));
        left_out as u64
    }

    fn model(&self, id: u32) -> String {
        self.ground.models.get(&ModelId(id)).cloned().unwrap_or_default()
    }

    fn is_candidate(&self, revision: Revision) -> bool {
        revision == CANDIDATE || self.rule(revision) == self.question.rule
    }

    fn rule(&self, revision: Revision) -> String {
        if revision == CANDIDATE {
            return self.question.rule.clone();
        }
        self.ground.registry.revision(revision).map_or(String::new(), |entry| entry.name.clone())
    }

    fn sample(&self, changed: &Changed, plugin: Option<Digest>, eui: &dyn Fn(u32) -> u64) -> ChangedAlert {
        ChangedAlert {
            position: changed.position.0,
            device: eui(changed.device_no),
            code: changed.code,
            operator: changed.operator,
            generation: changed.generation,
            model: self.model(changed.model),
            occurred_ms: changed.occurred_ms,
            received_ms: changed.received_ms,
            measurement: changed.measurement,
            weight: changed.weight,
            recorded: self.said(changed.recorded, None),
            computed: self.said(changed.computed, plugin),
        }
    }

    fn said(&self, mark: Mark, candidate: Option<Digest>) -> Said {
        let registry = &self.ground.registry;
        let rule = registry.revision(mark.rule).and_then(|entry| entry.rule.as_ref());
        let plugin = if mark.rule == CANDIDATE { candidate } else { rule.map(|rule| rule.plugin) };
        let info = plugin.and_then(|digest| self.ground.sources.get(&digest)).map(|source| source.info());
        let reason = usize::from(mark.reason).checked_sub(1).and_then(|at| info?.reasons.get(at).cloned());
        Said {
            suppressed: mark.end == End::Suppressed,
            rule: self.rule(mark.rule),
            revision: if mark.rule == CANDIDATE { 0 } else { mark.rule.0 },
            reason: reason.unwrap_or_default(),
        }
    }
}

fn turned(changes: &Changes, now: Ends) -> Turned {
    let agreement = changes.agreement(now);
    Turned {
        both_forward: agreement.both_forward,
        both_suppress: agreement.both_suppress,
        newly_suppressed: agreement.would_suppress,
        newly_forwarded: agreement.would_forward,
        overruled: agreement.overruled,
    }
}

/// The devices that change most, and how many change at all.
fn changed_devices(
    devices: impl Iterator<Item = [u32; 2]>,
    max: usize,
    eui: &dyn Fn(u32) -> u64,
) -> (Vec<ChangedDevice>, u64) {
    let changed = devices.enumerate().filter(|(_, [suppressed, forwarded])| suppressed + forwarded > 0);
    let mut changed: Vec<(usize, u32, u32)> = changed.map(|(no, [s, f])| (no, s, f)).collect();
    let count = changed.len() as u64;
    changed.sort_by_key(|(no, suppressed, forwarded)| (std::cmp::Reverse(suppressed + forwarded), *no));
    changed.truncate(max);
    let device = |(no, suppressed, forwarded): (usize, u32, u32)| ChangedDevice {
        device: eui(no as u32),
        newly_suppressed: suppressed.into(),
        newly_forwarded: forwarded.into(),
    };
    (changed.into_iter().map(device).collect(), count)
}
