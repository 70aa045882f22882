//! What alerts say of the inventory: pairs of a device and a metering point that it lacks or contradicts.
//!
//! Invariant: nothing is proposed of alerts or devices that are not the caller's to know, and at most
//! `report.count_rows_max` pairs are held.

use std::collections::HashMap;

use super::{Handle, LOOKED_UP_AT_A_TIME, Refusal, internal};
use crate::{
    domain::{AlertCode, DeviceType, End, Eui64, Generation, Group, Millis, Mpxn, OperatorId, Position},
    intake::tables::OperatorTable,
    pipeline::{NamedDevice, collect::Command, engine::Engine},
};

/// An outage that a communications hub reports; its metering points are those of the hub's meters.
const OUTAGE: AlertCode = AlertCode(0xDA01);

/// Meters at one point that are looked at.
const METERS_MAX: usize = 8;

/// Which alerts are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProposalQuery {
    /// Received at or after.
    pub since_ms: Option<Millis>,
    /// Received before.
    pub until_ms: Option<Millis>,
    /// Operators of the alerts; empty for any.
    pub operators: Vec<OperatorId>,
}

/// What the inventory lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProposalKind {
    /// It does not list the device.
    NewDevice,
    /// It lists the device at no metering point.
    NoPoint,
    /// It lists the device at other metering points.
    OtherPoint,
    /// The device is a hub, and the meter at the point does not name it.
    Hub,
    /// It lists the device, but not as the caller's, who is told no more of it.
    NotOwn,
}

/// A device and a metering point, as alerts name them together.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The device of the alerts.
    pub device: Eui64,
    /// The metering point that they name.
    pub mpxn: Mpxn,
    /// What the inventory lacks.
    pub kind: ProposalKind,
    /// How many alerts say so, each once.
    pub alerts: u64,
    /// The last of them.
    pub last: Position,
    /// When that was received.
    pub last_received_ms: Millis,
    /// The generation that it had.
    pub generation: Generation,
    /// Whether the device is a communications hub, by the alerts or the inventory.
    pub is_hub: bool,
    /// What the inventory has of the device.
    pub now: Option<NamedDevice>,
    /// The meter that the inventory has at the point; `None` where it has none, or several.
    pub meter: Option<NamedDevice>,
    /// Whether the MPAN is of another operator than the device.
    pub other_operator: bool,
    /// Whether a load has spoken of the device's metering points after the last of the alerts.
    pub is_older: bool,
    /// Whether later alerts name another point for the device, or another hub for the meter, as the inventory may have it.
    pub is_superseded: bool,
}

/// Proposals.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Proposals {
    /// By device, those seen last first.
    pub rows: Vec<Proposal>,
    /// Everything before was looked at.
    pub position: Position,
    /// What was received before may be gone from the log; `None` where nothing is.
    pub kept_since_ms: Option<Millis>,
}

/// What alerts say of one pair.
#[derive(Debug, Clone, Copy)]
struct Seen {
    alerts: u64,
    last: Position,
    last_received_ms: Millis,
    generation: Generation,
    is_hub: bool,
}

/// What alerts say of all pairs.
struct SeenPairs {
    /// By device, those seen last first.
    pairs: Vec<((Eui64, Mpxn), Seen)>,
    /// Everything before was looked at.
    position: Position,
    /// What was received before may be gone from the log.
    kept_since_ms: Option<Millis>,
}

/// What the inventory has of one pair.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StandingAt {
    /// The device, where it is listed and the caller may know of it.
    now: Option<NamedDevice>,
    /// Whether it is listed and the caller may not know as what.
    is_not_own: bool,
    /// Whether it is at the point.
    is_there: bool,
    /// Other devices at the point that may be meters.
    meters: Vec<NamedDevice>,
}

/// What a pair says something of: the last pair that says something of it counts, whether the inventory agrees or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    /// Where the device is.
    PointOf(Eui64),
    /// At which hub the meter is; of several at a point, the first.
    HubOf(Eui64),
}

impl StandingAt {
    fn is_hub(&self, seen: &Seen) -> bool {
        seen.is_hub || self.now.as_ref().is_some_and(|now| now.placement.kind == DeviceType::Chf)
    }

    fn subject(&self, device: Eui64, seen: &Seen) -> Subject {
        match self.meters.first() {
            Some(meter) if self.is_hub(seen) => Subject::HubOf(meter.device.eui),
            _ => Subject::PointOf(device),
        }
    }
}

impl Engine {
    /// What the inventory has of pairs, of devices of one operator or of all.
    pub fn standings(&self, pairs: &[(Eui64, Mpxn)], own: Option<OperatorId>) -> Vec<StandingAt> {
        let is_own = |device: &NamedDevice| own.is_none_or(|own| device.device.operator == own);
        let of = |(eui, mpxn): &(Eui64, Mpxn)| {
            let now = self.inventory.number(*eui).map(|no| self.named(no));
            let listed = now.filter(|named| named.device.listed);
            let is_not_own = listed.as_ref().is_some_and(|named| !is_own(named));
            let now = listed.filter(is_own);
            let is_there =
                now.as_ref().is_some_and(|named| named.placement.points(&named.device).any(|(_, own)| own == *mpxn));
            let there = self.inventory.at(*mpxn, crate::domain::DeviceNo(0)).map(|no| self.named(no));
            let meters =
                there.filter(|named| named.device.eui != *eui && named.placement.kind.may_be_meter() && is_own(named));
            StandingAt { now, is_not_own, is_there, meters: meters.take(METERS_MAX).collect() }
        };
        pairs.iter().map(of).collect()
    }
}

impl Handle {
    /// Finds what alerts of a period say of the inventory that it does not have.
    pub async fn proposals(&self, query: ProposalQuery) -> Result<Proposals, Refusal> {
        let SeenPairs { pairs: seen, position, kept_since_ms } = self.scan(move |handle| handle.seen(&query)).await?;
        let own = self.who.operator();
        let table = OperatorTable::builtin();
        let (mut rows, mut last) = (Vec::new(), HashMap::<Subject, Position>::new());
        for part in seen.chunks(LOOKED_UP_AT_A_TIME) {
            let pairs = part.iter().map(|(pair, _)| *pair).collect();
            let standings = self.ask(|reply| Command::Standings { pairs, own, reply }).await?;
            for ((pair, seen), at) in part.iter().zip(standings) {
                let subject = at.subject(pair.0, seen);
                let known = last.entry(subject).or_default();
                *known = seen.last.max(*known);
                rows.extend(propose(*pair, seen, at, &table).map(|proposal| (subject, proposal)));
            }
        }
        let with_later = |(subject, row): (Subject, Proposal)| {
            let is_superseded = last.get(&subject).is_some_and(|last| row.last < *last);
            Proposal { is_superseded, ..row }
        };
        let rows: Vec<Proposal> = rows.into_iter().map(with_later).collect();
        let rows = self.read(move |handle| handle.with_age(rows)).await?;
        Ok(Proposals { rows, position, kept_since_ms })
    }

    /// The pairs of devices and metering points that alerts name.
    fn seen(&self, query: &ProposalQuery) -> Result<SeenPairs, Refusal> {
        let mut operators = query.operators.clone();
        self.limit_operators(&mut operators)?;
        let received = query.since_ms.unwrap_or(Millis::MIN)..query.until_ms.unwrap_or(Millis::MAX);
        let mut pairs: HashMap<(Eui64, Mpxn), Seen> = HashMap::new();
        let (mut position, pairs_max) = (Position::default(), self.report.count_rows_max);
        let kept_since_ms = self.each_group(&received, Position::default()..Position(u64::MAX), |head, group| {
            position = head.end;
            let Some(group) = group else { return Ok(()) };
            let rows = &group.rows;
            for (row, details) in rows.details.iter().filter(|(_, details)| details.mpxn != Mpxn::NONE) {
                let row = *row as usize;
                let is_wanted = received.contains(&rows.received_ms[row])
                    && group.mark_of(row).end != End::Duplicate
                    && (operators.is_empty() || operators.iter().any(|operator| operator.get() == rows.operator[row]));
                if is_wanted {
                    note(&mut pairs, &group, row, details.mpxn);
                }
            }
            if pairs.len() > pairs_max {
                return Err(Refusal::Exhausted(format!(
                    "alerts name more than report.count_rows_max ({pairs_max}) pairs of device and metering point; ask for a \
                     shorter time, or fewer operators"
                )));
            }
            Ok(())
        })?;
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_unstable_by_key(|((device, _), seen)| (*device, std::cmp::Reverse(seen.last)));
        Ok(SeenPairs { pairs, position, kept_since_ms })
    }

    /// Marks proposals whose alerts are older than what a load last said of the device.
    fn with_age(&self, mut rows: Vec<Proposal>) -> Result<Vec<Proposal>, Refusal> {
        let reader = self.shared.reader()?;
        for row in rows.iter_mut().filter(|row| row.kind != ProposalKind::Hub) {
            self.go_on()?;
            let Some(NamedDevice { device, .. }) = &row.now else { continue };
            let (eui, seen_ms) = (row.device, row.last_received_ms);
            let had_it_then = reader.tenures(row.mpxn).map_err(internal)?.is_some_and(|tenures| {
                tenures.kept.iter().any(|tenure| tenure.device == eui && tenure.until_ms.is_some_and(|ms| ms > seen_ms))
            });
            let came_later = reader.tenures(device.mpxn).map_err(internal)?.is_some_and(|tenures| {
                let since = tenures.kept.iter().rev().find(|tenure| tenure.device == eui);
                since.is_some_and(|tenure| tenure.since_ms > Some(seen_ms))
            });
            row.is_older = had_it_then || came_later;
        }
        Ok(rows)
    }
}

fn note(pairs: &mut HashMap<(Eui64, Mpxn), Seen>, group: &Group, row: usize, mpxn: Mpxn) {
    let rows = &group.rows;
    let last = group.first.after(row);
    let seen = Seen {
        alerts: 1,
        last,
        last_received_ms: rows.received_ms[row],
        generation: crate::domain::Flags(rows.flags[row]).generation(),
        is_hub: rows.code[row] == OUTAGE.0,
    };
    let known = pairs.entry((Eui64(rows.device[row]), mpxn)).or_insert(Seen { alerts: 0, ..seen });
    *known = Seen { alerts: known.alerts + 1, is_hub: known.is_hub || seen.is_hub, ..seen };
}

/// What a pair proposes; `None` where the inventory has it.
fn propose(
    (device, mpxn): (Eui64, Mpxn),
    seen: &Seen,
    standing: StandingAt,
    table: &OperatorTable,
) -> Option<Proposal> {
    let is_hub = standing.is_hub(seen);
    let StandingAt { now, is_not_own, is_there, mut meters } = standing;
    let names_it = |meter: &NamedDevice| meter.placement.hub == device;
    let is_of_meters = is_hub && !meters.is_empty();
    if if is_of_meters { meters.iter().any(names_it) } else { is_there } {
        return None;
    }
    let kind = match &now {
        _ if is_of_meters => ProposalKind::Hub,
        None if is_not_own => ProposalKind::NotOwn,
        None => ProposalKind::NewDevice,
        Some(now) if now.placement.points(&now.device).next().is_none() => ProposalKind::NoPoint,
        Some(_) => ProposalKind::OtherPoint,
    };
    let operator = now.as_ref().map_or(OperatorId::UNKNOWN, |now| now.device.operator);
    let is_other = |by_mpan: OperatorId| {
        let lies_within = table.is_embedded(by_mpan) && !table.is_embedded(operator);
        operator != OperatorId::UNKNOWN && by_mpan != operator && !lies_within
    };
    Some(Proposal {
        device,
        mpxn,
        kind,
        alerts: seen.alerts,
        last: seen.last,
        last_received_ms: seen.last_received_ms,
        generation: seen.generation,
        is_hub,
        other_operator: kind != ProposalKind::Hub && mpxn.distributor().is_some_and(is_other),
        now,
        meter: if meters.len() == 1 { meters.pop() } else { None },
        is_older: false,
        is_superseded: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Device, Placement};

    fn named(eui: u64, mpxn: &str, operator: u32, placement: Placement) -> NamedDevice {
        let device = Device {
            mpxn: mpxn.parse().unwrap(),
            operator: OperatorId::new(operator).unwrap(),
            listed: true,
            ..Device::unlisted(Eui64(eui))
        };
        NamedDevice { device, placement, model: String::new(), labels: Vec::new() }
    }

    fn proposed(is_hub: bool, standing: StandingAt) -> Option<(ProposalKind, bool, Option<Eui64>)> {
        let seen = Seen { alerts: 1, last: Position(1), last_received_ms: 1, generation: Generation::Unknown, is_hub };
        let pair = (Eui64(1), "1000000000012".parse().unwrap());
        let proposal = propose(pair, &seen, standing, &OperatorTable::builtin())?;
        Some((proposal.kind, proposal.other_operator, proposal.meter.map(|meter| meter.device.eui)))
    }

    #[test]
    fn a_pair_proposes_what_the_inventory_lacks() {
        let at = |now, meters| StandingAt { now, meters, ..StandingAt::default() };
        let none = Placement::default();
        assert_eq!(proposed(true, at(None, vec![])), Some((ProposalKind::NewDevice, false, None)));
        let without = named(1, "", 12, none);
        assert_eq!(proposed(false, at(Some(without), vec![])), Some((ProposalKind::NoPoint, true, None)));
        let elsewhere = named(1, "1000000000021", 10, none);
        let there = StandingAt { now: Some(elsewhere.clone()), is_there: true, ..StandingAt::default() };
        assert_eq!(proposed(false, there), None);
        let not_own = StandingAt { is_not_own: true, ..StandingAt::default() };
        assert_eq!(proposed(false, not_own), Some((ProposalKind::NotOwn, false, None)), "never a new device");
        assert_eq!(proposed(false, at(Some(elsewhere), vec![])), Some((ProposalKind::OtherPoint, false, None)));
    }

    #[test]
    fn a_hub_is_proposed_to_the_meter_at_the_point_and_not_in_its_place() {
        let hub = |hub| Placement { hub: Eui64(hub), ..Placement::default() };
        let meter = |eui, placement| named(eui, "1000000000012", 10, placement);
        let at = |meters| StandingAt { meters, ..StandingAt::default() };
        let other = Some((ProposalKind::Hub, false, Some(Eui64(2))));
        assert_eq!(proposed(true, at(vec![meter(2, Placement::default())])), other);
        assert_eq!(proposed(true, at(vec![meter(2, hub(9))])), other);
        assert_eq!(proposed(true, at(vec![meter(2, hub(1))])), None);
        let both = at(vec![meter(2, Placement::default()), meter(3, Placement::default())]);
        assert_eq!(proposed(true, both), Some((ProposalKind::Hub, false, None)));
        let kind = Placement { kind: DeviceType::Chf, ..Placement::default() };
        let listed = StandingAt { now: Some(named(1, "", 10, kind)), ..at(vec![meter(2, Placement::default())]) };
        assert_eq!(proposed(false, listed.clone()), other);
        assert_eq!(proposed(false, StandingAt { is_there: true, ..listed }), other, "though it is at the point itself");
    }

    #[test]
    fn an_operator_whose_network_lies_within_anothers_is_no_other() {
        let standing =
            |operator| StandingAt { now: Some(named(1, "", operator, Placement::default())), ..StandingAt::default() };
        let seen =
            Seen { alerts: 1, last: Position(1), last_received_ms: 1, generation: Generation::Unknown, is_hub: false };
        let other = |mpxn: &str, operator| {
            let pair = (Eui64(1), mpxn.parse().unwrap());
            propose(pair, &seen, standing(operator), &OperatorTable::builtin()).unwrap().other_operator
        };
        assert!(!other("2400000000013", 10));
        assert!(other("1000000000012", 24));
        assert!(!other("1000000000012", 0), "nobody's");
        assert!(!other("7654321", 12), "gas has no distributor");
    }
}
