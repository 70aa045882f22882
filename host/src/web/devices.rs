//! `/devices` and `/devices/EUI`: who raises most, and one device with what became of its alerts.
//!
//! It must not know how they look. Invariant: how much is read for one page is bounded, and the page says where it was.

use std::collections::HashMap;

use axum::{
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use weir_proto::v1;

use super::{
    answer::{Refusal, see_other},
    levels::{generations, operators},
    visitor::Visitor,
    window::{Step, Window, now},
};
use crate::{
    cli::{
        arguments::{self, Names},
        view::{alert::LoggedAlert, device::DeviceView},
    },
    domain::{Eui64, Mpxn},
    page::{
        address::Address,
        device::{self, Part},
        devices::{self, Loud},
        frame::{Shown, Tab},
        levels::times,
    },
};

/// Devices that are listed.
const LOUD_MAX: usize = 50;

/// Alerts of one device that are looked at for one page.
const ALERTS_MAX: usize = 10_000;

/// Alerts on one page.
const PAGE_ALERTS: usize = 50;

pub async fn list(visitor: Visitor) -> Response {
    let wanted = visitor.here.get("find").trim().to_owned();
    let found = match wanted.as_str() {
        "" => Ok(None),
        wanted => find(&visitor, wanted).await,
    };
    match found {
        Ok(Some(eui)) => see_other(&Address::below("/devices", &eui.to_string())),
        Ok(None) => visitor.answer(Tab::Devices, show_list(&visitor, &wanted, None).await),
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => {
            match show_list(&visitor, &wanted, Some(&refusal.message)).await {
                Ok(shown) => visitor.page(refusal.status, Tab::Devices, shown),
                Err(refusal) => visitor.refuse(Tab::Devices, &refusal),
            }
        }
        Err(refusal) => visitor.refuse(Tab::Devices, &refusal),
    }
}

pub async fn one(visitor: Visitor, Path(eui): Path<String>) -> Response {
    let shown = match arguments::device(&eui) {
        Ok(eui) => show_one(&visitor, eui).await,
        Err(why) => Err(Refusal::absent(why)),
    };
    visitor.answer(Tab::Devices, shown).into_response()
}

/// A device by what somebody calls it.
async fn find(visitor: &Visitor, wanted: &str) -> Result<Option<Eui64>, Refusal> {
    if let Ok(eui) = arguments::device(wanted) {
        let request = v1::GetDeviceRequest { device_id: eui.0, ..Default::default() };
        visitor.devices().get_device(request).await?;
        return Ok(Some(eui));
    }
    let absent = |message: String| Refusal::absent(message);
    let mpxn: Mpxn = wanted.replace(' ', "").parse().map_err(|_| {
        absent(format!("{wanted:?} is neither an EUI-64 (16 hex digits) nor an MPAN (13 digits) or MPRN (6 to 10)."))
    })?;
    let request = v1::GetDeviceRequest { device_id: 0, mpxn: mpxn.to_string() };
    match visitor.devices().get_device(request).await {
        Ok(answer) => Ok(answer.into_inner().device.map(|device| Eui64(device.device_id))),
        Err(status) if status.code() == tonic::Code::NotFound => {
            Err(absent(format!("No device that you may see has the MPxN {mpxn}.")))
        }
        // Several have it: which they are is all that can be said.
        Err(status) if status.code() == tonic::Code::FailedPrecondition => Err(absent(status.message().to_owned())),
        Err(status) => Err(status.into()),
    }
}

async fn show_list(visitor: &Visitor, wanted: &str, came_to: Option<&str>) -> Result<Shown, Refusal> {
    let window = Window::read(&visitor.here, "day", now())?;
    let (loud, alerting) = loudest(visitor, &window).await?;
    let head = devices::head(wanted, came_to, times(&visitor.here.with("find", ""), &window.times()));
    Ok(Shown { head, ..Shown::still("Devices", devices::body(&loud, alerting)) })
}

/// The devices that raised most, and how many raised any.
async fn loudest(visitor: &Visitor, window: &Window) -> Result<(Vec<Loud>, u64), Refusal> {
    let request = v1::QueryDeviceCountsRequest {
        spans: vec![v1::Span { start_ms: window.since, end_ms: window.end }],
        operators: operators(visitor.here.get("operator"))?,
        generations: generations(visitor.here.get("generation"))?,
        since_ms: window.since,
        until_ms: window.end,
        ..v1::QueryDeviceCountsRequest::default()
    };
    let mut pieces = visitor.reports().query_device_counts(request).await?.into_inner();
    let (mut most, mut alerting) = (Vec::new(), 0);
    let keep = |most: &mut Vec<v1::DeviceCountRow>| {
        most.sort_by_key(|row| (std::cmp::Reverse(row.forwarded + row.suppressed), row.device_id));
        most.truncate(LOUD_MAX);
    };
    while let Some(piece) = pieces.message().await? {
        alerting += piece.rows.len() as u64;
        most.extend(piece.rows);
        keep(&mut most);
    }
    let mut loud = Vec::with_capacity(most.len());
    for v1::DeviceCountRow { device_id, forwarded, suppressed, duplicate, .. } in most {
        let said = said(visitor, device_id).await?;
        loud.push(Loud { eui: Eui64(device_id).to_string(), said, forwarded, suppressed, duplicate });
    }
    Ok((loud, alerting))
}

/// What a device is, in words.
async fn said(visitor: &Visitor, device_id: u64) -> Result<String, Refusal> {
    let answer = match visitor.devices().get_device(v1::GetDeviceRequest { device_id, ..Default::default() }).await {
        Ok(answer) => DeviceView::from(answer.into_inner()).device,
        // It was this operator's when it raised the alerts, and is another's now.
        Err(status) if status.code() == tonic::Code::NotFound => return Ok(String::new()),
        Err(status) => return Err(status.into()),
    };
    let operator = if answer.operator == 0 { String::new() } else { Names::builtin().operator(answer.operator) };
    let known = [answer.model, answer.generation.to_owned(), operator];
    Ok(known.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "))
}

async fn show_one(visitor: &Visitor, eui: Eui64) -> Result<Shown, Refusal> {
    let window = Window::read(&visitor.here, "week", now())?;
    let answer = visitor.devices().get_device(v1::GetDeviceRequest { device_id: eui.0, ..Default::default() }).await?;
    let view = DeviceView::from(answer.into_inner());
    let page_size = ALERTS_MAX.min(visitor.terms.list_alerts_max);
    let request = v1::ListAlertsRequest {
        page_size: u32::try_from(page_size).unwrap_or(u32::MAX),
        device_id: eui.0,
        since_ms: window.since,
        until_ms: window.until(),
        ..v1::ListAlertsRequest::default()
    };
    let answer = visitor.alerts().list_alerts(request).await?.into_inner();
    let is_cut = !answer.next_page_token.is_empty();
    let alerts: Vec<LoggedAlert> = answer.alerts.into_iter().map(LoggedAlert::from).collect();
    let step = if window.is_of_days() { Step::Day } else { Step::Hour };
    let here = &visitor.here;
    let part = part(here, &alerts, is_cut)?;
    let names = visitor.names().await?;
    let head = device::head(&view, &names, &times(&here.with("page", ""), &window.times()));
    let body = device::body(here, &columns(&window, step, &alerts), step.word(), &part, &names);
    Ok(Shown { head, ..Shown::still(format!("Device {eui}"), body) })
}

/// Forwarded and suppressed alerts of each step, those of none included.
fn columns(window: &Window, step: Step, alerts: &[LoggedAlert]) -> Vec<(String, String, u64, u64)> {
    let mut counts: HashMap<i64, (u64, u64)> = HashMap::new();
    for logged in alerts {
        let Some(alert) = &logged.alert else { continue };
        let counted = counts.entry(alert.received_at_ms - alert.received_at_ms.rem_euclid(step.ms())).or_default();
        match logged.outcome {
            "forwarded" => counted.0 += 1,
            "suppressed" => counted.1 += 1,
            _ => {}
        }
    }
    let of = |start: i64| {
        let (name, label) = step.names(start, window.is_of_days());
        let (forwarded, suppressed) = counts.get(&start).copied().unwrap_or_default();
        (name, label, forwarded, suppressed)
    };
    window.steps(step).map(of).collect()
}

/// The alerts of one page, the newest first.
fn part<'a>(here: &Address, alerts: &'a [LoggedAlert], is_cut: bool) -> Result<Part<'a>, Refusal> {
    let outcome = here.get("outcome");
    let chosen: Vec<&LoggedAlert> =
        alerts.iter().rev().filter(|alert| outcome.is_empty() || alert.outcome == outcome).collect();
    let pages = chosen.len().div_ceil(PAGE_ALERTS).max(1);
    let page = match here.get("page") {
        "" => 1,
        text => text
            .parse()
            .ok()
            .filter(|page| (1..=pages).contains(page))
            .ok_or_else(|| Refusal::wrong("page", &format!("is a number from 1 to {pages}")))?,
    };
    let count = chosen.len();
    let alerts = chosen.into_iter().skip((page - 1) * PAGE_ALERTS).take(PAGE_ALERTS).collect();
    Ok(Part { alerts, count, page, pages, is_cut })
}
