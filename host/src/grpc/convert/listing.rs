//! Listings of logged alerts: the question in, a page out.
//!
//! It must not read the log. Invariant: a page fits a message of the size that clients are told of, and the token of
//! the next page is its position, to be read by nobody but us.

use prost::Message;
use weir_proto::v1;

use super::{
    alert::wire_alert, code, each, filter, generation, model, operator, point, shown, sorted, time, wire_generation,
};
use crate::{
    config::IntakeLimits,
    domain::{End, Eui64, FaultKind, Millis, ModelId, Position, Remark, Revision},
    intake::times::told,
    listing::{AlertPage, AlertQuery, LoggedAlert, PointFilter, RuleMark},
    pipeline::Refusal,
};

/// Alerts in a page for which no size is asked.
const PAGE_SIZE: usize = 100;

/// What a listed alert takes in a page beside its own bytes: its tag and its length.
pub(super) const FRAME_BYTES: usize = 8;

/// What a page takes beside its alerts.
pub(super) const PAGE_BYTES: usize = 64;

/// What to list.
pub fn query(request: v1::ListAlertsRequest, limits: &IntakeLimits) -> Result<AlertQuery, Refusal> {
    let v1::ListAlertsRequest {
        page_size,
        page_token,
        outcomes,
        device_id,
        codes,
        rule,
        operators,
        since_ms,
        until_ms,
        generations,
        models,
        occurred_since_ms,
        occurred_until_ms,
        dcc_since_ms,
        dcc_until_ms,
        mpxn,
    } = request;
    let page_size = match page_size as usize {
        0 => PAGE_SIZE.min(limits.list_alerts_max),
        size if size > limits.list_alerts_max => {
            let why = format!("{size} is over list_alerts_max ({}); ask page by page", limits.list_alerts_max);
            return Err(Refusal::invalid("page_size", why));
        }
        size => size,
    };
    check_times(["since_ms", "until_ms"], (since_ms, until_ms))?;
    let times = |names, since_ms, until_ms| {
        check_times(names, (since_ms, until_ms))?;
        let end = time(until_ms).unwrap_or(Millis::MAX);
        Ok::<_, Refusal>((since_ms != 0 || until_ms != 0).then_some(since_ms..end))
    };
    let named = |mpxn: String| Ok::<_, Refusal>(PointFilter { mpxn: point::wanted(&mpxn)?, devices: Vec::new() });
    Ok(AlertQuery {
        page_size,
        point: filter(mpxn).map(named).transpose()?,
        from: position(&page_token)?,
        ends: sorted(each("outcomes", outcomes, end)?),
        rule: filter(rule),
        since_ms: time(since_ms),
        until_ms: time(until_ms),
        occurred_ms: times(["occurred_since_ms", "occurred_until_ms"], occurred_since_ms, occurred_until_ms)?,
        dcc_ms: times(["dcc_since_ms", "dcc_until_ms"], dcc_since_ms, dcc_until_ms)?,
        ..filters(device_id, codes, operators, (generations, models))?
    })
}

/// Checks a beginning and an end, 0 for open ones. An end that is not after its beginning would list nothing, and look as
/// if there were nothing.
pub(super) fn check_times([since, until]: [&str; 2], (since_ms, until_ms): (Millis, Millis)) -> Result<(), Refusal> {
    if since_ms < 0 {
        return Err(Refusal::invalid(since, format!("{} lies before 1970", told(since_ms))));
    }
    if until_ms != 0 && until_ms <= since_ms {
        return Err(Refusal::invalid(until, format!("{} is not after {since}, {}", told(until_ms), told(since_ms))));
    }
    Ok(())
}

/// The filters that listing and following have in common.
pub(super) fn filters(
    device_id: u64,
    codes: Vec<u32>,
    operators: Vec<u32>,
    (generations, models): (Vec<i32>, Vec<String>),
) -> Result<AlertQuery, Refusal> {
    Ok(AlertQuery {
        device: (device_id != 0).then_some(Eui64(device_id)),
        codes: each("codes", codes, code)?,
        operators: each("operators", operators, operator)?,
        generations: each("generations", generations, generation)?,
        models: each("models", models, model)?.iter().map(|name| ModelId::of(name)).collect(),
        ..AlertQuery::default()
    })
}

fn end(outcome: i32) -> Result<End, String> {
    match v1::Outcome::try_from(outcome) {
        Ok(v1::Outcome::Forwarded) => Ok(End::Forwarded),
        Ok(v1::Outcome::Suppressed) => Ok(End::Suppressed),
        Ok(v1::Outcome::Duplicate) => Ok(End::Duplicate),
        // An empty list would be taken for "there were none".
        Ok(v1::Outcome::Rejected) => Err("rejected alerts are counted, not logged; count them by rejection".to_owned()),
        Ok(v1::Outcome::Unspecified) => Err("the outcome is not stated; leave the list empty for any".to_owned()),
        Err(_) => Err(format!("{outcome} is no outcome of this protocol")),
    }
}

/// Where a page begins: `p` and the position, or nothing for the beginning.
fn position(token: &str) -> Result<Position, Refusal> {
    if token.is_empty() {
        return Ok(Position::default());
    }
    let digits = token.strip_prefix('p').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let position = digits.and_then(|digits| digits.parse().ok()).map(Position);
    let why = || format!("{} did not come from this host; take next_page_token as it was", shown(token));
    position.ok_or_else(|| Refusal::invalid("page_token", why()))
}

/// A page, cut where it would take more than `bytes_max` bytes. One alert is always in it.
pub fn page(page: AlertPage, bytes_max: usize) -> v1::ListAlertsResponse {
    let AlertPage { alerts: found, next, position, begun: _ } = page;
    let mut alerts = Vec::with_capacity(found.len());
    let mut cut = None;
    let mut bytes = PAGE_BYTES;
    for logged in found {
        let position = logged.position;
        let alert = logged_alert(logged);
        bytes += FRAME_BYTES + alert.encoded_len();
        if bytes > bytes_max && !alerts.is_empty() {
            cut = Some(position);
            break;
        }
        alerts.push(alert);
    }
    v1::ListAlertsResponse {
        alerts,
        next_page_token: cut.or(next).map(|position| format!("p{position}")).unwrap_or_default(),
        position: cut.unwrap_or(position).0,
    }
}

pub(super) fn logged_alert(logged: LoggedAlert) -> v1::LoggedAlert {
    let LoggedAlert { position, alert, operator, generation, model, end, rule, overruled, withheld, faults, remarks } =
        logged;
    let outcome = match end {
        End::Forwarded => v1::Outcome::Forwarded,
        End::Suppressed => v1::Outcome::Suppressed,
        End::Rejected => v1::Outcome::Rejected,
        End::Duplicate => v1::Outcome::Duplicate,
    };
    v1::LoggedAlert {
        position: position.0,
        alert: Some(wire_alert(alert)),
        operator: operator.get().into(),
        generation: wire_generation(generation).into(),
        model,
        outcome: outcome.into(),
        rule: rule.map(|mark| rule_mark(&mark)),
        overruled,
        withheld,
        faults: faults.into_iter().map(fault_mark).collect(),
        remarks: remarks.iter().map(|remark| wire_remark(remark).into()).collect(),
    }
}

fn wire_remark(remark: Remark) -> v1::Remark {
    match remark {
        Remark::OccurredInFuture => v1::Remark::OccurredInFuture,
        Remark::OccurredBeforeRetention => v1::Remark::OccurredBeforeRetention,
        Remark::OutOfOrder => v1::Remark::OutOfOrder,
        Remark::Implausible => v1::Remark::Implausible,
        Remark::MaybeCopy => v1::Remark::MaybeCopy,
        Remark::OtherContent => v1::Remark::OtherContent,
        Remark::ClockUnreliable => v1::Remark::ClockUnreliable,
        Remark::ClockNotSet => v1::Remark::ClockNotSet,
        Remark::OccurredAtLeftOut => v1::Remark::OccurredAtLeftOut,
        Remark::DccAtLeftOut => v1::Remark::DccAtLeftOut,
        Remark::ThrottleGap => v1::Remark::ThrottleGap,
        Remark::GenerationDiffers => v1::Remark::GenerationDiffers,
    }
}

pub(super) fn rule_mark(mark: &RuleMark) -> v1::RuleMark {
    let RuleMark { name, revision, plugin_digest, plugin_name, parameters, reason } = mark.clone();
    v1::RuleMark { name, revision: revision.0, plugin_digest, plugin_name, parameters, reason }
}

fn fault_mark((rule, revision, kind): (String, Revision, FaultKind)) -> v1::FaultMark {
    v1::FaultMark { rule, revision: revision.0, kind: kind.name().to_owned() }
}
