//! Questions over the past and their answers.
//!
//! It must not know how questions are asked.

use serde::Serialize;
use weir_proto::v1;

use super::{
    alert::{Alert, measured},
    count::heading,
    eui, generation, or,
    rule::Scope,
    time,
    trial::Row,
};
use crate::cli::{
    arguments::Names,
    table::{Table, Value, thousands},
};

/// Characters of the longest bar.
const BAR_CHARS: usize = 40;

/// A question.
#[derive(Debug, Serialize)]
pub(crate) struct WhatIf {
    pub id: u64,
    pub name: String,
    pub who: String,
    pub operator: u32,
    pub rule: String,
    pub as_recorded: bool,
    pub position: u32,
    pub scope: Scope,
    pub only: Scope,
    pub variants: Vec<Tried>,
    pub since_ms: i64,
    pub until_ms: i64,
    pub warm_up_ms: Option<i64>,
    pub seed: u64,
    pub asked_at_ms: i64,
    pub ended_at_ms: i64,
    pub stage: &'static str,
    pub why: String,
    pub question_digest: String,
    pub answer_digest: String,
    pub rows_done: u64,
    pub rows_total: u64,
    pub running_ms: u64,
}

impl From<v1::WhatIf> for WhatIf {
    fn from(message: v1::WhatIf) -> Self {
        let v1::WhatIf {
            id,
            name,
            who,
            operator,
            rule,
            as_recorded,
            position,
            scope,
            only,
            variants,
            since_ms,
            until_ms,
            warm_up_ms,
            seed,
            asked_at_ms,
            ended_at_ms,
            stage,
            why,
            question_digest,
            answer_digest,
            rows_done,
            rows_total,
            running_ms,
        } = message;
        Self {
            id,
            name,
            who,
            operator,
            rule,
            as_recorded,
            position,
            scope: scope.map(Scope::from).unwrap_or_default(),
            only: only.map(Scope::from).unwrap_or_default(),
            variants: variants.into_iter().map(Tried::from).collect(),
            since_ms,
            until_ms,
            warm_up_ms,
            seed,
            asked_at_ms,
            ended_at_ms,
            stage: stage_name(stage),
            why,
            question_digest,
            answer_digest,
            rows_done,
            rows_total,
            running_ms,
        }
    }
}

fn stage_name(stage: i32) -> &'static str {
    match v1::WhatIfStage::try_from(stage) {
        Ok(v1::WhatIfStage::Waiting) => "waiting",
        Ok(v1::WhatIfStage::Running) => "running",
        Ok(v1::WhatIfStage::Done) => "done",
        Ok(v1::WhatIfStage::Cancelled) => "cancelled",
        Ok(v1::WhatIfStage::Interrupted) => "interrupted",
        Ok(v1::WhatIfStage::Failed) => "failed",
        Ok(v1::WhatIfStage::Unspecified) | Err(_) => "unspecified",
    }
}

/// One thing that is tried.
#[derive(Debug, Serialize)]
pub(crate) struct Tried {
    pub label: String,
    pub plugin_digest: String,
    pub plugin_name: String,
    pub parameters: String,
}

impl From<v1::WhatIfTried> for Tried {
    fn from(message: v1::WhatIfTried) -> Self {
        let v1::WhatIfTried { label, plugin_digest, plugin_name, parameters } = message;
        Self { label, plugin_digest, plugin_name, parameters }
    }
}

/// A question with its answer.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub what_if: WhatIf,
    pub answer: Option<Answer>,
}

/// An answer.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    pub engine: String,
    pub basis: Basis,
    pub now: Sums,
    pub duplicate_count: u64,
    pub losses: Vec<Loss>,
    pub outcomes: Vec<Outcome>,
}

impl From<v1::WhatIfAnswer> for Answer {
    fn from(message: v1::WhatIfAnswer) -> Self {
        let v1::WhatIfAnswer { engine, basis, now, duplicate_count, losses, outcomes } = message;
        Self {
            engine,
            basis: basis.map(Basis::from).unwrap_or_default(),
            now: now.map(Sums::from).unwrap_or_default(),
            duplicate_count,
            losses: losses.into_iter().map(Loss::from).collect(),
            outcomes: outcomes.into_iter().map(Outcome::from).collect(),
        }
    }
}

/// What an answer stands on.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Basis {
    pub oldest_position: u64,
    pub from_position: u64,
    pub first_position: u64,
    pub end_position: u64,
    pub stateful: bool,
    pub whole: bool,
    pub state_checked: bool,
}

impl From<v1::WhatIfBasis> for Basis {
    fn from(message: v1::WhatIfBasis) -> Self {
        let v1::WhatIfBasis {
            oldest_position,
            from_position,
            first_position,
            end_position,
            stateful,
            whole,
            state_checked,
        } = message;
        Self { oldest_position, from_position, first_position, end_position, stateful, whole, state_checked }
    }
}

/// Sums over alerts.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Sums {
    pub forwarded: u64,
    pub suppressed: u64,
    pub forwarded_represented: u64,
    pub suppressed_represented: u64,
    pub withheld: Option<u64>,
}

impl From<v1::WhatIfSums> for Sums {
    fn from(message: v1::WhatIfSums) -> Self {
        let v1::WhatIfSums { forwarded, suppressed, forwarded_represented, suppressed_represented, withheld } = message;
        Self { forwarded, suppressed, forwarded_represented, suppressed_represented, withheld }
    }
}

impl Sums {
    fn values(self) -> [Value; 5] {
        let Self { forwarded, suppressed, forwarded_represented, suppressed_represented, withheld } = self;
        let withheld = withheld.map_or_else(|| Value::Quantity("not known".to_owned()), Value::Number);
        let [a, b, c, d] = [forwarded, suppressed, forwarded_represented, suppressed_represented].map(Value::Number);
        [a, b, c, d, withheld]
    }
}

/// Alerts that are compared with nothing.
#[derive(Debug, Serialize)]
pub(crate) struct Loss {
    pub kind: String,
    pub count: u64,
}

impl From<v1::WhatIfLoss> for Loss {
    fn from(message: v1::WhatIfLoss) -> Self {
        let v1::WhatIfLoss { kind, count } = message;
        Self { kind, count }
    }
}

/// What one variant would have changed.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub label: String,
    pub then: Sums,
    pub total: Row,
    pub tables: Vec<KeyedTable>,
    pub rows_left_out: u64,
    pub devices: Vec<Device>,
    pub devices_changed: u64,
    pub samples: Vec<Sample>,
    pub failures: Vec<Failed>,
}

impl From<v1::WhatIfOutcome> for Outcome {
    fn from(message: v1::WhatIfOutcome) -> Self {
        let v1::WhatIfOutcome {
            label,
            then,
            total,
            tables,
            rows_left_out,
            devices,
            devices_changed,
            samples,
            failures,
        } = message;
        Self {
            label,
            then: then.map(Sums::from).unwrap_or_default(),
            total: total.map(Row::from).unwrap_or_default(),
            tables: tables.into_iter().map(KeyedTable::from).collect(),
            rows_left_out,
            devices: devices.into_iter().map(Device::from).collect(),
            devices_changed,
            samples: samples.into_iter().map(Sample::from).collect(),
            failures: failures.into_iter().map(Failed::from).collect(),
        }
    }
}

/// A difference by one key.
#[derive(Debug, Serialize)]
pub(crate) struct KeyedTable {
    pub grouping: &'static str,
    pub rows: Vec<Row>,
    #[serde(skip)]
    pub(crate) key: v1::Grouping,
}

impl From<v1::WhatIfTable> for KeyedTable {
    fn from(message: v1::WhatIfTable) -> Self {
        let v1::WhatIfTable { grouping, rows } = message;
        let key = v1::Grouping::try_from(grouping).unwrap_or_default();
        Self { grouping: heading(key), rows: rows.into_iter().map(Row::from).collect(), key }
    }
}

/// A device whose alerts would change.
#[derive(Debug, Serialize)]
pub(crate) struct Device {
    pub device_id: Option<String>,
    pub newly_suppressed: u64,
    pub newly_forwarded: u64,
}

impl From<v1::WhatIfDevice> for Device {
    fn from(message: v1::WhatIfDevice) -> Self {
        let v1::WhatIfDevice { device_id, newly_suppressed, newly_forwarded } = message;
        Self { device_id: eui(device_id), newly_suppressed, newly_forwarded }
    }
}

/// An alert whose end would be another.
#[derive(Debug, Serialize)]
pub(crate) struct Sample {
    pub position: u64,
    pub alert: Option<Alert>,
    pub operator: u32,
    pub generation: &'static str,
    pub model: String,
    pub recorded: Option<Decision>,
    pub computed: Option<Decision>,
}

impl From<v1::WhatIfAlert> for Sample {
    fn from(message: v1::WhatIfAlert) -> Self {
        let v1::WhatIfAlert { position, alert, operator, generation: number, model, recorded, computed } = message;
        Self {
            position,
            alert: alert.map(Alert::from),
            operator,
            generation: generation(number),
            model,
            recorded: recorded.map(Decision::from),
            computed: computed.map(Decision::from),
        }
    }
}

/// A decision.
#[derive(Debug, Serialize)]
pub(crate) struct Decision {
    pub suppressed: bool,
    pub rule: String,
    pub revision: u32,
    pub reason: String,
}

impl From<v1::WhatIfDecision> for Decision {
    fn from(message: v1::WhatIfDecision) -> Self {
        let v1::WhatIfDecision { suppressed, rule, revision, reason } = message;
        Self { suppressed, rule, revision, reason }
    }
}

impl Decision {
    pub(crate) fn words(&self) -> String {
        let Self { suppressed, rule, revision, reason } = self;
        let end = if *suppressed { "suppressed" } else { "forwarded" };
        match (rule.is_empty(), *revision) {
            (true, _) => end.to_owned(),
            (false, 0) => format!("{end}: {rule}: {reason}"),
            (false, revision) => format!("{end}: {rule} r{revision}: {reason}"),
        }
    }
}

/// Calls of one rule that failed.
#[derive(Debug, Serialize)]
pub(crate) struct Failed {
    pub rule: String,
    pub kind: String,
    pub call_count: u64,
    pub detail: String,
}

impl From<v1::WhatIfFailure> for Failed {
    fn from(message: v1::WhatIfFailure) -> Self {
        let v1::WhatIfFailure { rule, kind, call_count, detail } = message;
        Self { rule, kind, call_count, detail }
    }
}

/// Questions, a row each.
pub(crate) fn list(rows: &[WhatIf]) -> Table {
    let mut table = Table::new(&["id", "stage", "asked", "by", "rule", "variants", "name", "note"]);
    for row in rows {
        table.row([
            Value::Number(row.id),
            Value::text(row.stage),
            Value::text(time(row.asked_at_ms)),
            Value::text(or(&row.who, "-")),
            Value::text(&row.rule),
            Value::Number(row.variants.len() as u64),
            Value::text(&row.name),
            Value::text(&row.why),
        ]);
    }
    table
}

/// One question, without what came of it.
pub(crate) fn facts(what_if: &WhatIf) -> Table {
    let end = |ms: i64, open: &str| if ms == 0 { open.to_owned() } else { time(ms) };
    let tried = match (what_if.as_recorded, &what_if.variants[..]) {
        (true, _) => "nothing: the rule as the log has it".to_owned(),
        (false, [one]) => format!("{} {}", one.plugin_name, one.parameters),
        (false, several) => format!("{} variants", several.len()),
    };
    Table::facts([
        ("question", Value::text(format!("{} {}", what_if.id, what_if.name))),
        ("stage", Value::text(format!("{} {}", what_if.stage, what_if.why))),
        ("rule", Value::text(format!("{}, place {}", what_if.rule, what_if.position))),
        ("tried", Value::text(tried)),
        (
            "received",
            Value::text(format!("{} to {}", end(what_if.since_ms, "the oldest"), end(what_if.until_ms, "now"))),
        ),
        ("took", Value::text(format!("{}.{:03} s", what_if.running_ms / 1000, what_if.running_ms % 1000))),
        ("digests", Value::text(format!("question {}, answer {}", what_if.question_digest, what_if.answer_digest))),
    ])
}

/// What happened and what would have, a row each; with several variants a bar shows what each would forward.
pub(crate) fn totals(answer: &Answer) -> Table {
    let several = answer.outcomes.len() > 1;
    let mut headings =
        vec!["", "forwarded", "suppressed", "newly suppressed", "newly forwarded", "protected", "withheld"];
    if several {
        headings.push("would be forwarded");
    }
    let mut table = Table::new(&headings);
    let most = answer.outcomes.iter().map(|outcome| outcome.then.forwarded).chain([answer.now.forwarded]).max();
    let mut row = |label: &str, sums: Sums, turned: Option<&Row>| {
        let [forwarded, suppressed, _, _, withheld] = sums.values();
        let figures = match turned {
            Some(row) => [row.would_suppress, row.would_forward, row.overruled].map(Value::Number),
            None => [(); 3].map(|()| Value::text("")),
        };
        let cells = [Value::text(label), forwarded, suppressed].into_iter().chain(figures).chain([withheld]);
        table.row(cells.chain(several.then(|| Value::Text(bar(sums.forwarded, most.unwrap_or(0))))));
    };
    row("as it was", answer.now, None);
    for outcome in &answer.outcomes {
        row(&outcome.label, outcome.then, Some(&outcome.total));
    }
    table
}

/// A bar of a length in proportion.
fn bar(value: u64, most: u64) -> String {
    let chars = (u128::from(value) * BAR_CHARS as u128).checked_div(u128::from(most)).unwrap_or(0) as usize;
    "#".repeat(chars.max(usize::from(value > 0)))
}

/// The difference by one key; nothing where the answer has no such table.
pub(crate) fn by(outcome: &Outcome, key: v1::Grouping, names: &Names) -> Option<Table> {
    let found = outcome.tables.iter().find(|table| table.key == key)?;
    let mut table = Table::new(&[
        heading(key),
        "both forward",
        "both suppress",
        "newly suppressed",
        "newly forwarded",
        "protected",
    ]);
    for row in &found.rows {
        let Row { key: keys, both_forward, both_suppress, would_suppress, would_forward, overruled } = row;
        let figures = [both_forward, both_suppress, would_suppress, would_forward, overruled];
        table.row([Value::Text(keys.text(key, names))].into_iter().chain(figures.map(|figure| Value::Number(*figure))));
    }
    Some(table)
}

/// Devices whose alerts would change most.
pub(crate) fn devices(rows: &[Device]) -> Table {
    let mut table = Table::new(&["device", "newly suppressed", "newly forwarded"]);
    for Device { device_id, newly_suppressed, newly_forwarded } in rows {
        let device = Value::text(device_id.as_deref().unwrap_or("unknown"));
        table.row([device, Value::Number(*newly_suppressed), Value::Number(*newly_forwarded)]);
    }
    table
}

/// Alerts whose end would be another.
pub(crate) fn samples(rows: &[Sample], names: &Names) -> Table {
    let mut table =
        Table::new(&["position", "received", "device", "code", "measured", "operator", "model", "was", "would be"]);
    for row in rows {
        let Some(alert) = &row.alert else { continue };
        let words = |decision: &Option<Decision>| decision.as_ref().map(Decision::words).unwrap_or_default();
        table.row([
            Value::Number(row.position),
            Value::text(time(alert.received_at_ms)),
            Value::text(alert.device_id.as_deref().unwrap_or("unknown")),
            Value::text(names.code(&alert.code)),
            Value::Quantity(measured(alert, names)),
            Value::text(names.operator(row.operator)),
            Value::text(or(&row.model, "unknown")),
            Value::text(words(&row.recorded)),
            Value::text(words(&row.computed)),
        ]);
    }
    table
}

/// What the tables do not say: what could not be compared, what failed, what state there was.
pub(crate) fn notes(answer: &Answer) -> Vec<String> {
    let mut notes = Vec::new();
    let compared = answer.now.forwarded + answer.now.suppressed;
    let lost: u64 = answer.losses.iter().map(|loss| loss.count).sum();
    if lost > 0 {
        let kinds: Vec<String> =
            answer.losses.iter().map(|loss| format!("{} {}", thousands(loss.count), loss.kind)).collect();
        let (all, kinds) = (thousands(compared + lost), kinds.join(", "));
        notes.push(format!(
            "{} of {all} alerts are compared with nothing, because what the rule would have said is \
                            not on record: {kinds}",
            thousands(lost)
        ));
    }
    if answer.basis.stateful && !answer.basis.whole {
        notes.push(format!(
            "state begins at log position {}, not at the log's start: what came before is not known to rules that \
             keep state",
            answer.basis.from_position
        ));
    }
    for outcome in &answer.outcomes {
        for Failed { rule, kind, call_count, detail } in &outcome.failures {
            let label = &outcome.label;
            notes.push(format!("{label}: rule {rule} failed in {} calls: {kind}: {detail}", thousands(*call_count)));
        }
        if outcome.rows_left_out > 0 {
            notes.push(format!("{}: {} rows that change least are left out", outcome.label, outcome.rows_left_out));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_a_row_a_variant_with_a_bar_in_proportion() {
        let outcome = |label: &str, forwarded| v1::WhatIfOutcome {
            label: label.to_owned(),
            then: Some(v1::WhatIfSums { forwarded, suppressed: 100 - forwarded, ..v1::WhatIfSums::default() }),
            total: Some(v1::AgreementRow { would_suppress: 80 - forwarded, ..v1::AgreementRow::default() }),
            ..v1::WhatIfOutcome::default()
        };
        let answer = Answer::from(v1::WhatIfAnswer {
            now: Some(v1::WhatIfSums { forwarded: 80, suppressed: 20, withheld: Some(0), ..Default::default() }),
            losses: vec![v1::WhatIfLoss { kind: "trap".to_owned(), count: 7 }],
            outcomes: vec![outcome("below_dv=2530", 40), outcome("below_dv=2580", 0)],
            ..v1::WhatIfAnswer::default()
        });
        let text = totals(&answer).to_string();
        let line = |at: usize| text.lines().nth(at).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(line(3), format!("| as it was 80 20 0 {} |", "#".repeat(40)));
        assert_eq!(line(4), format!("| below_dv=2530 40 60 40 0 0 not known {} |", "#".repeat(20)));
        assert_eq!(line(5), "| below_dv=2580 0 100 80 0 0 not known |");
        let notes = notes(&answer);
        assert!(
            notes.len() == 1 && notes[0].starts_with("7 of 107 alerts") && notes[0].ends_with("7 trap"),
            "{notes:?}"
        );
    }
}
