//! `/`: the levels of alerts in a period, live.
//!
//! It must not know how they look. Invariant: every figure is one of `QueryCounts`.

use std::collections::HashMap;

use axum::response::Response;
use weir_proto::v1::{self, Grouping};

use super::{
    answer::Refusal,
    visitor::Visitor,
    window::{Step, Window, now},
};
use crate::{
    cli::{
        arguments,
        table::thousands,
        view::{
            alert::Balance,
            count::{Counts, NOT_FINAL},
        },
    },
    domain::AlertCode,
    page::{
        frame::{Live, Shown, Tab},
        levels,
    },
};

/// How often what is shown is asked for again.
const EVERY_S: u32 = 5;

pub async fn page(visitor: Visitor) -> Response {
    let shown = show(&visitor).await;
    visitor.answer(Tab::Levels, shown)
}

async fn show(visitor: &Visitor) -> Result<Shown, Refusal> {
    let (here, names) = (&visitor.here, visitor.names().await?);
    let window = Window::read(here, "day", now())?;
    let wanted = wanted(visitor, &window)?;
    let ask = |key: Grouping| query(visitor, v1::QueryCountsRequest { group_by: vec![key.into()], ..wanted.clone() });
    let (step, by_time) = if window.is_of_weeks() { (Step::Day, Grouping::Day) } else { (Step::Hour, Grouping::Hour) };
    let (steps, codes) = tokio::try_join!(ask(by_time), ask(Grouping::Code))?;
    let (operators, rules) = tokio::try_join!(ask(Grouping::Operator), ask(Grouping::Rule))?;
    let balance = steps.total.balance;
    let last_day = match balance.received {
        0 => last_day(visitor, &wanted).await?,
        _ => None,
    };
    let levels = levels::Levels {
        here,
        names: &names,
        step: step.word(),
        steps: filled(&window, step, &steps),
        by: [(Grouping::Code, &codes), (Grouping::Operator, &operators), (Grouping::Rule, &rules)],
        total: &steps.total,
        position: steps.position,
        last_day,
    };
    let said = format!(
        "{} alerts received, {} forwarded, {} suppressed.",
        thousands(balance.received),
        thousands(balance.forwarded),
        thousands(balance.suppressed)
    );
    Ok(Shown {
        head: levels::head(here, &window.times(), &names),
        live: window.is_open.then_some(Live { every_s: EVERY_S, said, stage: "" }),
        ..Shown::still("Alert levels", levels::body(&levels))
    })
}

/// What the address says is to be counted.
fn wanted(visitor: &Visitor, window: &Window) -> Result<v1::QueryCountsRequest, Refusal> {
    let here = &visitor.here;
    let code = |text: &str| text.parse::<AlertCode>().map_err(|error| Refusal::wrong("code", &error.to_string()));
    let codes = Some(here.get("code")).filter(|text| !text.is_empty()).map(code).transpose()?;
    Ok(v1::QueryCountsRequest {
        codes: codes.into_iter().map(|code| code.0.into()).collect(),
        operators: operators(here.get("operator"))?,
        generations: generations(here.get("generation"))?,
        since_ms: window.since,
        until_ms: window.until(),
        ..v1::QueryCountsRequest::default()
    })
}

/// An operator as an address has it; none for all.
pub fn operators(text: &str) -> Result<Vec<u32>, Refusal> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let operator = arguments::operator(text).map_err(|why| Refusal::wrong("operator", &why))?;
    Ok(vec![operator.get().into()])
}

/// A generation as an address has it; none for all.
pub fn generations(text: &str) -> Result<Vec<i32>, Refusal> {
    Ok(generation(text)?.map(arguments::Generation::wire).into_iter().collect())
}

/// A generation as an address has it.
pub fn generation(text: &str) -> Result<Option<arguments::Generation>, Refusal> {
    match text {
        "" => Ok(None),
        "smets1" => Ok(Some(arguments::Generation::Smets1)),
        "smets2" => Ok(Some(arguments::Generation::Smets2)),
        "unknown" => Ok(Some(arguments::Generation::Unknown)),
        _ => Err(Refusal::wrong("generation", "is smets1, smets2 or unknown")),
    }
}

/// Counts, as they are asked for.
pub async fn query(visitor: &Visitor, request: v1::QueryCountsRequest) -> Result<Counts, Refusal> {
    Ok(Counts::from(visitor.counts().query_counts(request).await?.into_inner()))
}

/// Every hour or day of the window, those without an alert included.
fn filled(window: &Window, step: Step, counts: &Counts) -> Vec<(i64, String, String, Balance)> {
    let found: HashMap<i64, Balance> =
        counts.rows.iter().filter_map(|row| Some((row.key.start_ms?, row.balance))).collect();
    let of = |start: i64| {
        let (mut name, label) = step.names(start, window.is_of_days());
        if counts.final_until.is_some_and(|until| until.is_receipt_open(start + step.ms())) {
            name.push_str(NOT_FINAL);
        }
        (start, label, name, found.get(&start).copied().unwrap_or_default())
    };
    window.steps(step).map(of).collect()
}

/// The end of the last day on which any alert came, as an address has it.
async fn last_day(visitor: &Visitor, wanted: &v1::QueryCountsRequest) -> Result<Option<String>, Refusal> {
    let group_by = vec![Grouping::Day.into()];
    let request = v1::QueryCountsRequest { group_by, since_ms: 0, until_ms: 0, ..wanted.clone() };
    let days = query(visitor, request).await?;
    let last = days.rows.iter().filter_map(|row| row.key.start_ms).max();
    Ok(last.map(|start| crate::cli::view::time(start + Step::Day.ms())))
}
