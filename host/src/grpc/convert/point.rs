//! Metering points: where a row says that a device is connected, a point's history, and proposals.
//!
//! It must not know which devices there are. Invariant: the pieces of an answer have its rows in order, each once, and each
//! piece fits a message.

use prost::Message;
use tonic::Status;
use weir_proto::v1;

use super::{balance, device, each, operator, time, wire_generation};
use crate::{
    domain::{DeviceType, Eui64, Mpxn, PlacementChange, PointRole, Tenure},
    pipeline::{
        PointHistory, PointPeriod, PointTenure, Proposal, ProposalKind, ProposalQuery, Proposals, Refusal, SharedPoint,
    },
};

/// Rows of a piece, however large a message may be.
const PIECE_ROWS_MAX: usize = 4_096;

/// What a row takes in a piece beside its own bytes: its tag and its length.
const FRAME_BYTES: usize = 8;

/// What a piece takes beside its rows.
const PIECE_BYTES: usize = 64;

const TYPES: [(DeviceType, v1::DeviceType); 8] = [
    (DeviceType::Esme, v1::DeviceType::Esme),
    (DeviceType::Gsme, v1::DeviceType::Gsme),
    (DeviceType::Gpf, v1::DeviceType::Gpf),
    (DeviceType::Chf, v1::DeviceType::Chf),
    (DeviceType::Hcalcs, v1::DeviceType::Hcalcs),
    (DeviceType::Ppmid, v1::DeviceType::Ppmid),
    (DeviceType::Ihd, v1::DeviceType::Ihd),
    (DeviceType::Cad, v1::DeviceType::Cad),
];

/// A metering point, which has to be one.
pub fn wanted(mpxn: &str) -> Result<Mpxn, Refusal> {
    match mpxn.parse() {
        Ok(Mpxn::NONE) => Err(Refusal::invalid("mpxn", "must not be empty: an MPAN (13 digits) or MPRN (6 to 10)")),
        Ok(mpxn) => Ok(mpxn),
        Err(error) => Err(Refusal::invalid("mpxn", format!("{error}"))),
    }
}

/// Where a row says that its device is connected, or which field is wrong and why.
pub(super) fn placement(sent: &v1::Device) -> Result<PlacementChange, (&'static str, String)> {
    let mpan = |field, text: &Option<String>| {
        let mpan = text.as_ref().map(|text| text.parse::<Mpxn>().map_err(|error| (field, error.to_string())));
        match mpan.transpose()? {
            Some(mpan) if mpan != Mpxn::NONE && mpan.distributor().is_none() => {
                Err((field, format!("{mpan} is an MPRN; an MPAN has 13 digits")))
            }
            mpan => Ok(mpan),
        }
    };
    let kind = |number: i32| match v1::DeviceType::try_from(number) {
        Ok(v1::DeviceType::Unspecified) => Ok(DeviceType::Unknown),
        Ok(sent) => TYPES.iter().find(|(_, wire)| *wire == sent).map(|(kind, _)| *kind).ok_or(()),
        Err(_) => Err(()),
    };
    let known = |number| kind(number).map_err(|()| ("type", format!("{number} is no device type of this protocol")));
    Ok(PlacementChange {
        secondary: mpan("secondary_mpan", &sent.secondary_mpan)?,
        export: mpan("export_mpan", &sent.export_mpan)?,
        kind: sent.r#type.map(known).transpose()?,
        hub: sent.hub_id.map(Eui64),
    })
}

/// A type; `None` where it is not known.
pub(super) fn wire_type(kind: DeviceType) -> Option<v1::DeviceType> {
    TYPES.iter().find(|(known, _)| *known == kind).map(|(_, wire)| *wire)
}

/// Two devices at one point.
pub(super) fn shared(shared: SharedPoint) -> v1::SharedPoint {
    let SharedPoint { mpxn, device, other, is_replaced } = shared;
    v1::SharedPoint { mpxn: mpxn.to_string(), device_id: device.0, other_device_id: other.0, is_replaced }
}

/// A point's history.
pub fn history(history: PointHistory) -> v1::GetPointHistoryResponse {
    let PointHistory { periods, is_cut, position } = history;
    v1::GetPointHistoryResponse { periods: periods.into_iter().map(period).collect(), is_cut, position: position.0 }
}

fn period(told: PointPeriod) -> v1::PointPeriod {
    let PointPeriod { period, balance: ends, counted_since_ms } = told;
    v1::PointPeriod {
        device_id: period.device.0,
        role: role(period.role).into(),
        operator: period.operator.get().into(),
        since_ms: period.since_ms,
        until_ms: period.until_ms,
        is_undecided: period.is_undecided,
        moved_from: period.moved_from.0.to_string(),
        balance: ends.map(balance),
        counted_since_ms,
    }
}

fn role(role: PointRole) -> v1::PointRole {
    match role {
        PointRole::Import => v1::PointRole::Import,
        PointRole::Secondary => v1::PointRole::Secondary,
        PointRole::Export => v1::PointRole::Export,
        PointRole::Gas => v1::PointRole::Gas,
    }
}

/// The metering points whose tenures are asked for.
pub fn wanted_points(request: v1::ListPointTenuresRequest) -> Result<Vec<Mpxn>, Refusal> {
    each("mpxns", request.mpxns, |mpxn: String| match mpxn.parse() {
        Ok(Mpxn::NONE) => Err("must not be empty: an MPAN (13 digits) or MPRN (6 to 10)".to_owned()),
        Ok(mpxn) => Ok(mpxn),
        Err(error) => Err(error.to_string()),
    })
}

/// Tenures of as many points, of so many that were asked for, as fit a message of `bytes_max` bytes, and of one at least.
pub fn tenures(points: usize, found: Vec<PointTenure>, bytes_max: usize) -> v1::ListPointTenuresResponse {
    let mut answer =
        v1::ListPointTenuresResponse { tenures: Vec::with_capacity(found.len()), answered_count: points as u32 };
    let mut bytes = PIECE_BYTES;
    for at in found {
        let PointTenure { point, tenure, counts_before } = at;
        let Tenure { device, role: has, operator, since_ms, until_ms, .. } = tenure;
        let tenure = v1::PointTenure {
            point: point as u32,
            device_id: device.0,
            role: role(has).into(),
            operator: operator.get().into(),
            since_ms,
            until_ms,
            counts_before,
        };
        bytes += FRAME_BYTES + tenure.encoded_len();
        if bytes > bytes_max && point > 0 {
            answer.tenures.retain(|kept: &v1::PointTenure| kept.point < tenure.point);
            answer.answered_count = tenure.point;
            break;
        }
        answer.tenures.push(tenure);
    }
    answer
}

/// Which alerts are looked at for proposals.
pub fn proposal_query(request: v1::ListProposalsRequest) -> Result<ProposalQuery, Refusal> {
    let v1::ListProposalsRequest { since_ms, until_ms, operators } = request;
    super::listing::check_times(["since_ms", "until_ms"], (since_ms, until_ms))?;
    Ok(ProposalQuery {
        since_ms: time(since_ms),
        until_ms: time(until_ms),
        operators: each("operators", operators, operator)?,
    })
}

/// Proposals in pieces.
pub struct ProposalPieces {
    rows: std::iter::Peekable<std::vec::IntoIter<Proposal>>,
    head: v1::ListProposalsResponse,
    bytes_max: usize,
    /// A row that did not fit the piece before.
    held: Option<v1::Proposal>,
    is_begun: bool,
}

impl ProposalPieces {
    /// Each of at most `bytes_max` bytes; there is always one.
    pub fn new(proposals: Proposals, bytes_max: usize) -> Self {
        let Proposals { rows, position, kept_since_ms } = proposals;
        let head = v1::ListProposalsResponse { proposals: Vec::new(), position: position.0, kept_since_ms };
        Self { rows: rows.into_iter().peekable(), head, bytes_max, held: None, is_begun: false }
    }
}

impl Iterator for ProposalPieces {
    type Item = Result<v1::ListProposalsResponse, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_begun && self.held.is_none() && self.rows.peek().is_none() {
            return None;
        }
        self.is_begun = true;
        let mut piece = self.head.clone();
        let mut bytes = PIECE_BYTES;
        while let Some(row) = self.held.take().or_else(|| self.rows.next().map(proposal)) {
            bytes += row.encoded_len() + FRAME_BYTES;
            let is_full = bytes > self.bytes_max || piece.proposals.len() == PIECE_ROWS_MAX;
            if is_full && !piece.proposals.is_empty() {
                self.held = Some(row);
                break;
            }
            piece.proposals.push(row);
        }
        Some(Ok(piece))
    }
}

fn proposal(proposal: Proposal) -> v1::Proposal {
    let kind = match proposal.kind {
        ProposalKind::NewDevice => v1::ProposalKind::NewDevice,
        ProposalKind::NoPoint => v1::ProposalKind::NoPoint,
        ProposalKind::OtherPoint => v1::ProposalKind::OtherPoint,
        ProposalKind::Hub => v1::ProposalKind::Hub,
        ProposalKind::NotOwn => v1::ProposalKind::NotOwn,
    };
    v1::Proposal {
        device_id: proposal.device.0,
        mpxn: proposal.mpxn.to_string(),
        kind: kind.into(),
        alert_count: proposal.alerts,
        last_position: proposal.last.0,
        last_received_ms: proposal.last_received_ms,
        generation: wire_generation(proposal.generation).into(),
        is_hub: proposal.is_hub,
        now: proposal.now.map(device::wire),
        meter: proposal.meter.map(device::wire),
        is_other_operator: proposal.other_operator,
        is_older: proposal.is_older,
        is_superseded: proposal.is_superseded,
    }
}
