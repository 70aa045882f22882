//! `/reports`: the regular report, and whether a migration may go on.
//!
//! It must not know how they look. Invariant: what is reported is what `weir report` reports for the same choices.

use axum::response::Response;
use weir_proto::v1;

use super::{
    answer::Refusal,
    levels::{generation, operators},
    visitor::Visitor,
};
use crate::{
    cli::{
        arguments,
        report::alerts::{self, Days, Period, Wanted},
        view::migration::Signal,
    },
    page::{
        frame::{Shown, Tab},
        reports,
    },
};

/// Devices that are listed.
const TOP: usize = 10;

pub async fn page(visitor: Visitor) -> Response {
    let shown = show(&visitor).await;
    visitor.answer(Tab::Reports, shown)
}

async fn show(visitor: &Visitor) -> Result<Shown, Refusal> {
    let here = &visitor.here;
    let ending = match here.get("ending") {
        "" => None,
        text => Some(text.parse().map_err(|_| Refusal::wrong("Last day", "is a day like 2026-11-22"))?),
    };
    let period = match here.get("period") {
        "" | "week" => Period::Week,
        "day" => Period::Day,
        "month" => Period::Month,
        _ => return Err(Refusal::wrong("Period", "is day, week or month")),
    };
    let operator = match here.get("operator") {
        "" => None,
        text => Some(arguments::operator(text).map_err(|why| Refusal::wrong("Operator", &why))?),
    };
    let label = match here.get("label") {
        "" => None,
        text => Some(text.parse().map_err(|why: String| Refusal::wrong("Label", &why))?),
    };
    let wanted = Wanted {
        days: Days::new(period, ending).map_err(|_| Refusal::wrong("Last day", "is too far away"))?,
        generations: generation(here.get("generation"))?.into_iter().collect(),
        operators: operator.into_iter().collect(),
        top: TOP,
        label,
    };
    let labels = visitor.devices().list_labels(v1::ListLabelsRequest {}).await?.into_inner().labels;
    let labels: Vec<String> = labels.into_iter().map(|label| label.key).collect();
    let report = alerts::ask(visitor.link(), wanted, visitor.names().await?).await?;
    let signal = signal(visitor, ending).await?;
    let signal = signal.map(|(signal, planned, capacity)| reports::signal(&signal, planned, capacity));
    Ok(Shown { head: reports::head(here, &labels, signal), ..Shown::still("Reports", reports::levels(&report)) })
}

/// What to do about a migration, where one is planned.
async fn signal(visitor: &Visitor, ending: Option<jiff::civil::Date>) -> Result<Option<(Signal, u64, u64)>, Refusal> {
    let here = &visitor.here;
    let number = |name: &str, label: &str| match here.get(name).replace([',', ' '], "").as_str() {
        "" => Ok(None),
        text => match text.parse::<u64>() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(Refusal::wrong(label, "is a whole number above 0")),
        },
    };
    let (planned, capacity) = (number("planned", "Devices planned")?, number("capacity", "Capacity a day")?);
    let (planned, capacity) = match (planned, capacity) {
        (Some(planned), Some(capacity)) => (planned, capacity),
        (None, None) => return Ok(None),
        _ => return Err(Refusal::wrong("Migration signal", "needs both, the devices planned and the capacity a day")),
    };
    let until_ms = ending.map(arguments::end_of_day).transpose();
    let request = v1::GetMigrationSignalRequest {
        planned_device_count: planned,
        capacity_alerts_per_day: capacity,
        generation: generation(here.get("generation"))?.unwrap_or(arguments::Generation::Smets1).wire(),
        operators: operators(here.get("operator"))?,
        until_ms: until_ms.map_err(|_| Refusal::wrong("Last day", "is too far away"))?.unwrap_or(0),
        window_days: 0,
    };
    let answer = visitor.reports().get_migration_signal(request).await?.into_inner();
    Ok(Some((Signal::from(answer), planned, capacity)))
}
