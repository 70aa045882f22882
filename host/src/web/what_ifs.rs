//! `/what-ifs` and `/what-ifs/N`: questions over the past, asked, followed, ended and answered.
//!
//! It must not know how an answer is made. Invariant: a question that is asked here is the one that `weir whatif run`
//! would ask with the same words.

use axum::{
    extract::{Path, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use weir_proto::v1;

use super::{
    answer::{Refusal, see_other},
    rules::standing,
    visitor::{Visitor, field, form},
};
use crate::{
    cli::{
        arguments,
        view::{
            rule::Rule,
            whatif::{Answer, WhatIf},
        },
        whatif::{reading::thresholds, sweep::Sweep},
    },
    page::{
        address::Address,
        frame::{Live, Shown, Tab},
        what_if,
        what_ifs::{self, AS_DEVICE, AS_FILTER, Typed, UNDER},
    },
};

/// How often one that goes on is asked for again.
const EVERY_S: u32 = 2;

/// Sampled alerts of each kind of change, and devices, that are asked for.
const SAMPLES: u32 = 10;
const DEVICES: u32 = 20;

pub async fn list(visitor: Visitor) -> Response {
    let typed = Typed { rule: visitor.here.get("rule").to_owned(), ..Typed::default() };
    let shown = show_list(&visitor, &typed, None).await;
    visitor.answer(Tab::WhatIfs, shown)
}

pub async fn one(visitor: Visitor, Path(id): Path<String>) -> Response {
    let shown = match number(&id) {
        Ok(id) => show_one(&visitor, id).await,
        Err(refusal) => Err(refusal),
    };
    visitor.answer(Tab::WhatIfs, shown)
}

pub async fn ask(visitor: Visitor, request: Request) -> Response {
    let form = match form(request).await {
        Ok(form) => form,
        Err(refusal) => return visitor.refuse(Tab::WhatIfs, &refusal),
    };
    let typed = Typed {
        rule: field(&form, "rule"),
        sweep: field(&form, "sweep"),
        readings: field(&form, "readings"),
        thresholds: field(&form, "thresholds"),
        limit: field(&form, "limit"),
        since: field(&form, "since"),
        until: field(&form, "until"),
        name: field(&form, "name"),
    };
    match start(&visitor, &typed).await {
        Ok(id) => see_other(&one_of(id)),
        Err(refusal) if refusal.is_unknown() => visitor.refuse(Tab::WhatIfs, &refusal),
        // The form again, with what was typed into it and why it was not taken.
        Err(refusal) => match show_list(&visitor, &typed, Some(&refusal.message)).await {
            Ok(shown) => visitor.page(refusal.status, Tab::WhatIfs, shown),
            Err(_) => visitor.refuse(Tab::WhatIfs, &refusal),
        },
    }
}

pub async fn cancel(visitor: Visitor, Path(id): Path<String>) -> Response {
    let cancelled = async {
        let id = number(&id)?;
        visitor.what_ifs().cancel_what_if(v1::CancelWhatIfRequest { id }).await?;
        Ok(see_other(&one_of(id)))
    };
    cancelled.await.unwrap_or_else(|refusal: Refusal| visitor.refuse(Tab::WhatIfs, &refusal)).into_response()
}

fn one_of(id: u64) -> Address {
    Address::new(format!("/what-ifs/{id}"))
}

fn number(id: &str) -> Result<u64, Refusal> {
    id.parse().map_err(|_| Refusal::absent("A question has a number.".to_owned()))
}

async fn show_list(visitor: &Visitor, typed: &Typed, refusal: Option<&str>) -> Result<Shown, Refusal> {
    let (mut rows, mut page_token): (Vec<WhatIf>, String) = (Vec::new(), String::new());
    loop {
        let request = v1::ListWhatIfsRequest { page_size: 0, page_token };
        let page = visitor.what_ifs().list_what_ifs(request).await?.into_inner();
        rows.extend(page.what_ifs.into_iter().map(WhatIf::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let list = what_ifs::list(&rows);
    let mut shown = Shown::still("What-ifs", list);
    if visitor.may_ask() {
        let rules: Vec<(String, String)> = askable(visitor).await?.map(|rule| (rule.name, rule.parameters)).collect();
        let of_chosen = rules.iter().filter(|(name, _)| typed.rule.is_empty() || *name == typed.rule);
        let sweeps: Vec<String> = of_chosen.flat_map(|(_, parameters)| sweeps(parameters)).collect();
        let form = what_ifs::form(&rules, &sweeps, typed, refusal);
        // Whoever comes to ask, or was refused, finds the form first.
        let is_wanted = refusal.is_some() || !typed.rule.is_empty();
        *(if is_wanted { &mut shown.head } else { &mut shown.foot }) = form;
    }
    Ok(shown)
}

/// Sweeps around the numbers of some parameters: five steps down and up, each about a hundredth or less.
fn sweeps(parameters: &str) -> Vec<String> {
    let Ok(serde_json::Value::Object(object)) = serde_json::from_str(parameters) else { return Vec::new() };
    let around = |(name, value): (&String, &serde_json::Value)| {
        let value = value.as_i64().filter(|value| value.unsigned_abs() < 1 << 53)?;
        let step = 10_i64.pow(value.unsigned_abs().max(1).ilog10()).max(100) / 100;
        Some(format!("{name}={}..{}:{step}", value - 5 * step, value + 5 * step))
    };
    object.iter().filter_map(around).collect()
}

/// The rules that somebody may ask about: an operator about its own.
async fn askable(visitor: &Visitor) -> Result<impl Iterator<Item = Rule>, Refusal> {
    let operator = visitor.operator().map(|operator| u32::from(operator.get()));
    let is_theirs = move |rule: &Rule| operator.is_none_or(|operator| rule.scope.operators == [operator]);
    Ok(standing(visitor).await?.into_iter().filter(is_theirs))
}

/// A field of the form cannot be.
fn wrong(name: &str, why: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, format!("{name}: {why}"), "")
}

/// What is asked of readings.
fn by_readings(typed: &Typed) -> Result<Option<v1::ReadingQuestion>, Refusal> {
    let Typed { readings, thresholds: typed_thresholds, limit, sweep, .. } = typed;
    let limit = match limit.as_str() {
        "" => v1::VoltageLimit::Over,
        UNDER => v1::VoltageLimit::Under,
        _ => return Err(wrong("Meters alert", "is above or below a threshold")),
    };
    let role = match readings.as_str() {
        "" => None,
        AS_FILTER => Some(v1::ReadingRole::Filter),
        AS_DEVICE if typed_thresholds.is_empty() => {
            let why = "is missing; as the device it says what meters compare with, like 2530..2600:10";
            return Err(wrong("Thresholds of meters", why));
        }
        AS_DEVICE if !sweep.is_empty() => {
            let why = "is of no use as the device: no rule is part of the question; leave it empty, or ask as a filter";
            return Err(wrong("Values to try", why));
        }
        AS_DEVICE => {
            let thresholds_dv = thresholds(typed_thresholds).map_err(|why| wrong("Thresholds of meters", &why))?;
            let role = v1::ReadingRole::Device.into();
            return Ok(Some(v1::ReadingQuestion { role, tolerance_ms: None, thresholds_dv, limit: limit.into() }));
        }
        _ => return Err(wrong("By readings", "is no, as a filter or as the device")),
    };
    let why = "is asked as the device only; which voltages a rule holds back is under Values to try";
    if !typed_thresholds.is_empty() {
        return Err(wrong("Thresholds of meters", why));
    }
    if limit != v1::VoltageLimit::Over {
        return Err(wrong("Meters alert", why));
    }
    Ok(role.map(|role| v1::ReadingQuestion { role: role.into(), ..v1::ReadingQuestion::default() }))
}

async fn start(visitor: &Visitor, typed: &Typed) -> Result<u64, Refusal> {
    let readings = by_readings(typed)?;
    let is_as_device = readings.as_ref().is_some_and(|asked| asked.role() == v1::ReadingRole::Device);
    let sweep = match is_as_device {
        true => None,
        false => Some(typed.sweep.parse::<Sweep>().map_err(|why| wrong("Values to try", &why))?),
    };
    let time = |name: &str, text: &str| match text {
        "" => Ok(0),
        text => arguments::time(text).map_err(|why| wrong(name, &why)),
    };
    let (since_ms, until_ms) = (time("Received from", &typed.since)?, time("Received before", &typed.until)?);
    let (rule, variants) = match sweep {
        Some(sweep) => variants(visitor, &typed.rule, &sweep).await?,
        None => (String::new(), Vec::new()),
    };
    let question = v1::WhatIfQuestion {
        name: typed.name.clone(),
        rule,
        variants,
        since_ms,
        until_ms,
        samples_max: SAMPLES,
        devices_max: DEVICES,
        readings,
        ..v1::WhatIfQuestion::default()
    };
    let request = v1::StartWhatIfRequest { question: Some(question), ..v1::StartWhatIfRequest::default() };
    let started = visitor.what_ifs().start_what_if(tokio_stream::iter([request])).await?.into_inner();
    Ok(started.what_if.unwrap_or_default().id)
}

/// A rule by its name, and its parameters with each value of a sweep.
async fn variants(visitor: &Visitor, name: &str, sweep: &Sweep) -> Result<(String, Vec<v1::WhatIfVariant>), Refusal> {
    let rule = standing(visitor).await?.into_iter().find(|rule| rule.name == name);
    let rule = rule.ok_or_else(|| wrong("Rule", &format!("none is named {name:?}")))?;
    let parameters = sweep.over(&rule.parameters).map_err(|why| wrong("Values to try", &why))?;
    let variant = |(at, parameters): (usize, String)| v1::WhatIfVariant {
        label: sweep.label(at),
        plugin: String::new(),
        parameters: Some(parameters),
    };
    Ok((rule.name, parameters.into_iter().enumerate().map(variant).collect()))
}

async fn show_one(visitor: &Visitor, id: u64) -> Result<Shown, Refusal> {
    let answer = visitor.what_ifs().get_what_if(v1::GetWhatIfRequest { id }).await?.into_inner();
    let what_if = WhatIf::from(answer.what_if.unwrap_or_default());
    let answer = answer.answer.map(Answer::from);
    let parameter = swept(&what_if);
    let rules = if parameter.is_some() { standing(visitor).await? } else { Vec::new() };
    let live = |parameter: &str| {
        let rule = rules.iter().find(|rule| rule.name == what_if.rule)?;
        serde_json::from_str::<serde_json::Value>(&rule.parameters).ok()?.get(parameter)?.as_i64()
    };
    let shown = what_if::Shown {
        here: &visitor.here,
        what_if: &what_if,
        answer: answer.as_ref(),
        swept: parameter.map(|parameter| (parameter, live(parameter))),
        names: &visitor.names().await?,
        may_ask: visitor.may_ask(),
    };
    let (name, said) = (what_ifs::name(&what_if), what_if::progress_said(&what_if));
    Ok(Shown {
        head: what_if::head(&what_if),
        foot: what_if::foot(&what_if, visitor.may_ask()),
        live: what_if::goes_on(&what_if).then_some(Live { every_s: EVERY_S, said, stage: what_if.stage }),
        ..Shown::still(name, what_if::body(&shown))
    })
}

/// The parameter of which all variants are a whole number each, where there are several.
fn swept(what_if: &WhatIf) -> Option<&str> {
    let parts = what_if.variants.iter().map(|tried| {
        let (name, value) = tried.label.split_once('=')?;
        value.parse::<i64>().ok().map(|_| name)
    });
    let names: Option<Vec<&str>> = parts.collect();
    let names = names.filter(|names| names.len() > 1)?;
    names.iter().all(|name| *name == names[0]).then_some(names[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_that_are_offered_can_be_asked() {
        let offered = sweeps(r#"{"codes":["8F40"],"below_dv":2580,"more_than":20,"low":-7,"none":0}"#);
        assert_eq!(offered, ["below_dv=2530..2630:10", "low=-12..-2:1", "more_than=15..25:1", "none=-5..5:1"]);
        assert!(offered.iter().all(|sweep| sweep.parse::<Sweep>().is_ok()));
        assert!(sweeps("[]").is_empty() && sweeps("").is_empty());
    }

    #[test]
    fn what_is_asked_of_readings_is_what_the_command_asks_and_refusals_name_the_field() {
        let typed = |readings: &str, thresholds: &str, limit: &str| Typed {
            readings: readings.to_owned(),
            thresholds: thresholds.to_owned(),
            limit: limit.to_owned(),
            ..Typed::default()
        };
        let asked = |typed: &Typed| by_readings(typed).unwrap();
        assert_eq!(asked(&typed("", "", "")), None);
        let filter = v1::ReadingQuestion { role: v1::ReadingRole::Filter.into(), ..Default::default() };
        assert_eq!(asked(&typed(AS_FILTER, "", "")), Some(filter));
        let device = v1::ReadingQuestion {
            role: v1::ReadingRole::Device.into(),
            tolerance_ms: None,
            thresholds_dv: vec![2_530, 2_540, 2_580],
            limit: v1::VoltageLimit::Under.into(),
        };
        assert_eq!(asked(&typed(AS_DEVICE, "2530..2540:10,2580", UNDER)), Some(device));
        let refused = [
            (typed("x", "", ""), "By readings: is no, as a filter or as the device"),
            (typed("", "2580", ""), "Thresholds of meters: is asked as the device only"),
            (typed(AS_FILTER, "2580", ""), "Thresholds of meters: is asked as the device only"),
            (typed(AS_FILTER, "", UNDER), "Meters alert: is asked as the device only"),
            (typed(AS_DEVICE, "", ""), "Thresholds of meters: is missing"),
            (typed(AS_DEVICE, "258.0", ""), "Thresholds of meters: expected tenths of a volt"),
            (typed(AS_DEVICE, "2580", "x"), "Meters alert: is above or below"),
            (
                Typed { sweep: "below_dv=1..2".to_owned(), ..typed(AS_DEVICE, "2580", "") },
                "Values to try: is of no use",
            ),
        ];
        for (typed, why) in refused {
            let refusal = by_readings(&typed).unwrap_err();
            assert!(refusal.message.starts_with(why), "{}", refusal.message);
        }
    }

    #[test]
    fn a_sweep_is_known_by_its_labels() {
        let of = |labels: &[&str]| {
            let variant = |label: &&str| v1::WhatIfTried { label: (*label).to_owned(), ..Default::default() };
            let variants = labels.iter().map(variant).collect();
            let what_if = WhatIf::from(v1::WhatIf { variants, ..Default::default() });
            swept(&what_if).map(str::to_owned)
        };
        assert_eq!(of(&["below_dv=2530", "below_dv=-1"]), Some("below_dv".to_owned()));
        for none in [&["below_dv=2530"][..], &["a=1", "b=2"], &["a=1", "a=x"], &["a", "b"], &[]] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
