//! `/rules` and `/rules/NAME`: what rules are, were and did.
//!
//! It must not know how they look. Invariant: what a rule did is counted by `QueryCounts`, what a shadow would have done
//! by `CompareRule`.

use std::collections::HashMap;

use axum::{extract::Path, response::Response};
use tonic::Code;
use weir_proto::v1::{self, Grouping};

use super::{
    answer::Refusal,
    levels::query,
    visitor::Visitor,
    window::{Step, Window, now},
};
use crate::{
    cli::{
        rule::pairs,
        view::{
            count::NOT_FINAL,
            rule::{Rule, RuleRevision},
            trial::Comparison,
        },
    },
    page::{
        frame::{Shown, Tab},
        levels::times,
        rule,
        rules::{self, Effect},
    },
};

/// Shadows that are compared for the list.
const SHADOWS_MAX: usize = 20;

/// Changes on one page.
const CHANGES: u32 = 50;

/// Sampled alerts of each kind.
const SAMPLES: u32 = 10;

pub async fn list(visitor: Visitor) -> Response {
    let shown = show_list(&visitor).await;
    visitor.answer(Tab::Rules, shown)
}

pub async fn one(visitor: Visitor, Path(name): Path<String>) -> Response {
    let shown = show_one(&visitor, &name).await;
    visitor.answer(Tab::Rules, shown)
}

/// The rules as they stand.
pub async fn standing(visitor: &Visitor) -> Result<Vec<Rule>, Refusal> {
    let (mut rules, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListRulesRequest { page_size: 0, page_token };
        let page = visitor.rules().list_rules(request).await?.into_inner();
        rules.extend(page.rules.into_iter().map(Rule::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(rules);
        }
    }
}

async fn show_list(visitor: &Visitor) -> Result<Shown, Refusal> {
    let rules = standing(visitor).await?;
    let window = Window::read(&visitor.here, "week", now())?;
    let request = v1::QueryCountsRequest {
        group_by: vec![Grouping::Rule.into()],
        since_ms: window.since,
        until_ms: window.until(),
        ..v1::QueryCountsRequest::default()
    };
    let counts = query(visitor, request).await?;
    let mut did: HashMap<&str, Effect> = HashMap::new();
    for row in &counts.rows {
        let effect = did.entry(row.key.rule.as_deref().unwrap_or_default()).or_default();
        effect.suppressed += row.balance.suppressed;
        effect.overruled += row.overruled;
    }
    let (mut listed, mut compared) = (Vec::with_capacity(rules.len()), 0);
    for rule in rules {
        let mut effect = did.get(rule.name.as_str()).copied().unwrap_or_default();
        if rule.mode == "shadow" && compared < SHADOWS_MAX {
            compared += 1;
            let comparison = compare(visitor, &rule.name, Some(&window)).await?;
            effect.would = comparison.map(|comparison| {
                let total = comparison.total;
                let agreed = total.both_forward + total.both_suppress + total.overruled;
                (total.would_suppress, agreed + total.would_suppress + total.would_forward)
            });
        }
        listed.push((rule, effect));
    }
    let head = times(&visitor.here, &window.times());
    let said = window.times().said.replacen("From", "from", 1);
    Ok(Shown { head, ..Shown::still("Rules", rules::body(&listed, &said)) })
}

/// What a shadow would have done; nothing where it is none, or not theirs.
async fn compare(visitor: &Visitor, name: &str, window: Option<&Window>) -> Result<Option<Comparison>, Refusal> {
    let request = v1::CompareRuleRequest {
        name: name.to_owned(),
        group_by: vec![Grouping::Code.into()],
        since_ms: window.map_or(0, |window| window.since),
        until_ms: window.map_or(0, Window::until),
        samples_max: if window.is_some() { 0 } else { SAMPLES },
    };
    match visitor.trials().compare_rule(request).await {
        Ok(answer) => Ok(Some(Comparison::from(answer.into_inner()))),
        Err(status) if matches!(status.code(), Code::NotFound | Code::FailedPrecondition) => Ok(None),
        Err(status) => Err(status.into()),
    }
}

async fn show_one(visitor: &Visitor, name: &str) -> Result<Shown, Refusal> {
    let rules = standing(visitor).await?;
    let standing = rules.iter().find(|rule| rule.name == name);
    let request = v1::ListRuleRevisionsRequest {
        name: name.to_owned(),
        page_size: CHANGES,
        page_token: visitor.here.get("before").to_owned(),
    };
    let (history, older) = match visitor.rules().list_rule_revisions(request).await {
        Ok(answer) => {
            let v1::ListRuleRevisionsResponse { revisions, next_page_token } = answer.into_inner();
            let older = (!next_page_token.is_empty()).then(|| visitor.here.with("before", &next_page_token));
            (revisions.into_iter().map(RuleRevision::from).collect(), older)
        }
        // A rule of the host is shown to an operator, its history is not.
        Err(status) if status.code() == Code::NotFound && standing.is_some() => (Vec::new(), None),
        Err(status) => return Err(status.into()),
    };
    if standing.is_none() && history.is_empty() {
        return Err(Refusal::absent(format!("No rule is named {name:?}.")));
    }
    let window = Window::read(&visitor.here, "month", now())?;
    let comparison = match standing {
        Some(rule) if rule.mode == "shadow" => compare(visitor, name, None).await?,
        _ => None,
    };
    let names = visitor.names().await?;
    let half = standing.map_or_else(Vec::new, |rule| pairs::half_held_by(rule, &names.codes));
    let half_pairs =
        if half.is_empty() { Vec::new() } else { pairs::with_counts(visitor.link(), &half, &names).await? };
    let shown = rule::Shown {
        half_pairs,
        rule: standing,
        days: days(visitor, name, &window).await?,
        comparison: comparison.as_ref(),
        history: &history,
        older,
        names: &names,
        may_ask: visitor.may_ask(),
    };
    Ok(Shown {
        foot: rule::past(&shown, &times(&visitor.here, &window.times())),
        ..Shown::still(format!("Rule {name}"), rule::body(&shown))
    })
}

/// What it did by day, the days on which it did nothing included.
async fn days(visitor: &Visitor, name: &str, window: &Window) -> Result<Vec<(String, u64, u64)>, Refusal> {
    let request = v1::QueryCountsRequest {
        group_by: vec![Grouping::Day.into()],
        rule: name.to_owned(),
        since_ms: window.since,
        until_ms: window.until(),
        ..v1::QueryCountsRequest::default()
    };
    let counts = query(visitor, request).await?;
    let found: HashMap<i64, (u64, u64)> = counts
        .rows
        .iter()
        .filter_map(|row| Some((row.key.start_ms?, (row.balance.suppressed, row.overruled))))
        .collect();
    let day = |start: i64| {
        let (suppressed, overruled) = found.get(&start).copied().unwrap_or_default();
        let is_open = counts.final_until.is_some_and(|until| until.is_receipt_open(start + Step::Day.ms()));
        let name = Step::Day.names(start, true).0 + if is_open { NOT_FINAL } else { "" };
        (name, suppressed, overruled)
    };
    Ok(window.steps(Step::Day).map(day).collect())
}
