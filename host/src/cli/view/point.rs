//! Metering points: their history, and what alerts propose.
//!
//! It must not know how either is asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{alert::Balance, device::Device, eui, generation, time};
use crate::cli::{
    arguments::Names,
    table::{Table, Value, thousands},
};

/// A point's history.
#[derive(Debug, Serialize)]
pub(crate) struct History {
    pub mpxn: String,
    pub periods: Vec<Period>,
    /// There were earlier ones that are not kept.
    pub is_cut: bool,
    pub position: u64,
}

/// One device's time at a point.
#[derive(Debug, Serialize)]
pub(crate) struct Period {
    pub device_id: Option<String>,
    pub role: &'static str,
    pub operator: u32,
    /// Absent: since before times were kept.
    pub since_ms: Option<i64>,
    /// Absent: it has the point.
    pub until_ms: Option<i64>,
    pub is_undecided: bool,
    /// Where the device was in this role before; empty where it was nowhere.
    pub moved_from: String,
    /// Of all alerts of the device; absent where it is not the caller's any more.
    pub balance: Option<Balance>,
    pub counted_since_ms: Option<i64>,
}

impl History {
    pub(crate) fn new(mpxn: String, message: v1::GetPointHistoryResponse) -> Self {
        let v1::GetPointHistoryResponse { periods, is_cut, position } = message;
        Self { mpxn, periods: periods.into_iter().map(Period::from).collect(), is_cut, position }
    }
}

impl From<v1::PointPeriod> for Period {
    fn from(message: v1::PointPeriod) -> Self {
        let role = role(message.role());
        let v1::PointPeriod { device_id, operator, since_ms, until_ms, is_undecided, moved_from, .. } = message;
        let v1::PointPeriod { balance, counted_since_ms, role: _, .. } = message;
        Self {
            device_id: eui(device_id),
            role,
            operator,
            since_ms,
            until_ms,
            is_undecided,
            moved_from,
            balance: balance.map(Balance::from),
            counted_since_ms,
        }
    }
}

fn role(role: v1::PointRole) -> &'static str {
    match role {
        v1::PointRole::Unspecified => "unknown",
        v1::PointRole::Import => "import",
        v1::PointRole::Secondary => "secondary",
        v1::PointRole::Export => "export",
        v1::PointRole::Gas => "gas",
    }
}

/// A point's history as a table.
pub(crate) fn periods(history: &History, names: &Names) -> Table {
    let mut table =
        Table::new(&["device", "role", "from", "until", "operator", "before", "alerts ever", "suppressed ever"]);
    for period in &history.periods {
        let until = match (period.until_ms, period.is_undecided) {
            (None, false) => "now".to_owned(),
            (None, true) => "now, undecided".to_owned(),
            (Some(ms), false) => time(ms),
            (Some(ms), true) => format!("{}, undecided", time(ms)),
        };
        let count = |count: fn(&Balance) -> u64| match &period.balance {
            Some(balance) => Value::Number(count(balance)),
            None => Value::text(""),
        };
        table.row([
            Value::text(period.device_id.as_deref().unwrap_or("unknown")),
            Value::text(period.role),
            Value::Text(period.since_ms.map_or_else(|| "unknown".to_owned(), time)),
            Value::Text(until),
            Value::Text(names.operator(period.operator)),
            Value::text(&period.moved_from),
            count(|balance| balance.received),
            count(|balance| balance.suppressed),
        ]);
    }
    table
}

/// A device and a metering point that alerts name together.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Proposal {
    pub device_id: Option<String>,
    pub mpxn: String,
    pub kind: &'static str,
    pub alert_count: u64,
    pub last_position: u64,
    pub last_received_ms: i64,
    pub generation: &'static str,
    pub is_hub: bool,
    /// What the inventory has of the device.
    pub now: Option<Device>,
    /// The meter that the inventory has at the point.
    pub meter: Option<Device>,
    pub is_other_operator: bool,
    pub is_older: bool,
    pub is_superseded: bool,
}

impl From<v1::Proposal> for Proposal {
    fn from(message: v1::Proposal) -> Self {
        let kind = kind(message.kind());
        let v1::Proposal { device_id, mpxn, kind: _, alert_count, last_position, last_received_ms, .. } = message;
        let v1::Proposal { generation: number, is_hub, now, meter, is_other_operator, is_older, is_superseded, .. } =
            message;
        Self {
            device_id: eui(device_id),
            mpxn,
            kind,
            alert_count,
            last_position,
            last_received_ms,
            generation: generation(number),
            is_hub,
            now: now.map(Device::from),
            meter: meter.map(Device::from),
            is_other_operator,
            is_older,
            is_superseded,
        }
    }
}

fn kind(kind: v1::ProposalKind) -> &'static str {
    match kind {
        v1::ProposalKind::Unspecified => "unknown",
        v1::ProposalKind::NewDevice => "new-device",
        v1::ProposalKind::NoPoint => "no-point",
        v1::ProposalKind::OtherPoint => "other-point",
        v1::ProposalKind::Hub => "hub",
        v1::ProposalKind::NotOwn => "not-own",
    }
}

/// Proposals as a table.
pub(crate) fn proposals(proposals: &[Proposal], names: &Names) -> Table {
    let mut table = Table::new(&["device", "mpxn", "proposal", "alerts", "last received", "inventory", "note"]);
    for proposal in proposals {
        table.row([
            Value::text(proposal.device_id.as_deref().unwrap_or("unknown")),
            Value::text(&proposal.mpxn),
            Value::text(proposal.kind),
            Value::Number(proposal.alert_count),
            Value::Text(time(proposal.last_received_ms)),
            Value::Text(standing(proposal)),
            Value::Text(note(proposal, names)),
        ]);
    }
    table
}

/// What the inventory has.
fn standing(proposal: &Proposal) -> String {
    match (proposal.kind, &proposal.now, &proposal.meter) {
        ("hub", _, Some(meter)) => {
            let hub = meter.hub_id.as_deref().unwrap_or("unknown");
            format!("meter {}, hub {hub}", meter.device_id.as_deref().unwrap_or("unknown"))
        }
        ("hub", ..) => "several meters".to_owned(),
        ("not-own", ..) => "listed, not as yours".to_owned(),
        (_, None, None) => "not listed".to_owned(),
        (_, None, Some(meter)) => format!("not listed; {} is there", meter.device_id.as_deref().unwrap_or("unknown")),
        (_, Some(now), _) => {
            let points = now.points();
            if points.is_empty() { "no point".to_owned() } else { points.join(", ") }
        }
    }
}

fn note(proposal: &Proposal, names: &Names) -> String {
    let is = proposal.now.as_ref().map_or(0, |now| now.operator);
    let other = format!("MPAN is not of {}", names.operator(is));
    let notes = [
        (proposal.is_other_operator, other.as_str()),
        (proposal.is_older, "older than the last load"),
        (proposal.is_superseded, "superseded by later alerts"),
        (proposal.is_hub && proposal.kind != "hub", "a hub"),
    ];
    notes.into_iter().filter(|(is_so, _)| *is_so).map(|(_, words)| words).collect::<Vec<_>>().join("; ")
}

/// What is left out of a file of proposals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LeftOut {
    /// The MPAN is of another operator.
    pub other_operator: u64,
    /// A load has spoken of the device since.
    pub older: u64,
    /// The inventory does not list the device as the caller's.
    pub not_own: u64,
    /// Later alerts say something else of the device.
    pub superseded: u64,
    /// Several meters are at the point.
    pub several: u64,
}

impl LeftOut {
    /// In words; `None` where nothing is.
    pub(crate) fn told(self) -> Option<String> {
        let parts = [
            (self.other_operator, "whose MPAN is of another operator (--other-operator takes them)"),
            (self.older, "older than the last load of the device"),
            (self.not_own, "of devices that are listed, but not as yours"),
            (self.superseded, "superseded by later alerts"),
            (self.several, "of hubs at points with several meters"),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = parts.map(|(count, what)| format!("{} {what}", thousands(count))).collect();
        (!told.is_empty()).then(|| format!("left out of the file: {}", told.join(", ")))
    }
}
