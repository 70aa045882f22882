//! Questions over the past: what is asked in, what stands and what came of it out.
//!
//! It must not know rules or the log. Invariant: a row's key is set in the answer exactly where its table is by it.

use std::sync::Arc;

use weir_proto::v1;

use super::{
    page::{Room, fill},
    rule::{scope, wire_scope},
    time, what_if_reading, wire_generation,
};
use crate::{
    domain::{Generation, Millis},
    pipeline::{Head, QuestionView, Refusal, Stage, VariantRequest, WhatIfRequest},
    whatif::{
        Answer, Basis, ChangedAlert, ChangedDevice, Failed, Key, Now, Outcome, Question, Row, Said, Sums, Turned,
        Variant, Verdict, Verification,
    },
};

/// A question.
pub fn request(question: v1::WhatIfQuestion) -> Result<WhatIfRequest, Refusal> {
    let v1::WhatIfQuestion {
        name,
        rule,
        variants,
        only,
        position,
        since_ms,
        until_ms,
        warm_up_ms,
        samples_max,
        devices_max,
        seed,
        again_id,
        readings,
    } = question;
    Ok(WhatIfRequest {
        name,
        rule,
        variants: variants.into_iter().map(variant).collect(),
        only: only.map(scope).transpose()?.unwrap_or_default(),
        order: (position != 0).then_some(position),
        since_ms: time(since_ms),
        until_ms: time(until_ms),
        warm_up_ms,
        samples_max: samples_max as usize,
        devices_max: devices_max as usize,
        seed,
        again: (again_id != 0).then_some(again_id),
        readings: readings.map(what_if_reading::asked).transpose()?,
    })
}

fn variant(sent: v1::WhatIfVariant) -> VariantRequest {
    let v1::WhatIfVariant { label, plugin, parameters } = sent;
    VariantRequest { label, plugin: super::filter(plugin), parameters }
}

/// A question as it stands.
pub fn view(view: QuestionView) -> v1::WhatIf {
    let QuestionView { number, head, rows: (rows_done, rows_total), running_ms } = view;
    let Head { name, who, operator, question, asked_ms, ended_ms, stage, why, question_digest, answer_digest } =
        Arc::unwrap_or_clone(head);
    // What only sizes the answer shows there; whether positions were left out follows from whose the question is.
    let Question {
        rule,
        as_recorded,
        order,
        scope,
        only,
        since_ms,
        until_ms,
        warm_up_ms,
        variants,
        seed,
        samples_max: _,
        devices_max: _,
        confined: _,
        readings,
    } = question;
    v1::WhatIf {
        id: number,
        name,
        who,
        operator: operator.into(),
        rule,
        as_recorded,
        position: order,
        scope: Some(wire_scope(scope.scope())),
        only: Some(wire_scope(only.scope())),
        variants: variants.into_iter().map(tried).collect(),
        since_ms: since_ms.unwrap_or(0),
        until_ms: until_ms.unwrap_or(0),
        warm_up_ms,
        seed,
        asked_at_ms: asked_ms,
        ended_at_ms: ended_ms.unwrap_or(0),
        stage: wire_stage(stage).into(),
        why,
        question_digest,
        answer_digest,
        rows_done,
        rows_total,
        running_ms,
        readings: readings.map(what_if_reading::wire_asked),
    }
}

/// A page of questions, newest first, those before a number.
pub fn views(views: Vec<QuestionView>, before: u64, room: Room) -> v1::ListWhatIfsResponse {
    let views = views.into_iter().filter(|view| view.number < before);
    let (what_ifs, next_page_token) = fill(views, room, view, |last| last.id.to_string());
    v1::ListWhatIfsResponse { what_ifs, next_page_token }
}

fn tried(variant: Variant) -> v1::WhatIfTried {
    let Variant { label, plugin_digest, plugin_name, parameters } = variant;
    v1::WhatIfTried { label, plugin_digest, plugin_name, parameters }
}

fn wire_stage(stage: Stage) -> v1::WhatIfStage {
    match stage {
        Stage::Waiting => v1::WhatIfStage::Waiting,
        Stage::Running => v1::WhatIfStage::Running,
        Stage::Done => v1::WhatIfStage::Done,
        Stage::Cancelled => v1::WhatIfStage::Cancelled,
        Stage::Interrupted => v1::WhatIfStage::Interrupted,
        Stage::Failed => v1::WhatIfStage::Failed,
    }
}

/// An answer.
pub fn answer(answer: Answer) -> v1::WhatIfAnswer {
    let Answer { engine, basis, now: Now { sums: now, duplicates, not_replayable }, outcomes, readings } = answer;
    v1::WhatIfAnswer {
        engine,
        basis: Some(wire_basis(basis)),
        now: Some(sums(now)),
        duplicate_count: duplicates,
        losses: not_replayable.into_iter().map(loss).collect(),
        outcomes: outcomes.into_iter().map(outcome).collect(),
        readings: readings.map(what_if_reading::answer),
    }
}

fn wire_basis(basis: Basis) -> v1::WhatIfBasis {
    let Basis { oldest, from, first, end, stateful, whole, state_checked } = basis;
    v1::WhatIfBasis {
        oldest_position: oldest,
        from_position: from,
        first_position: first,
        end_position: end,
        stateful,
        whole,
        state_checked,
    }
}

fn sums(sums: Sums) -> v1::WhatIfSums {
    let Sums { forwarded, suppressed, forwarded_represented, suppressed_represented, withheld } = sums;
    v1::WhatIfSums { forwarded, suppressed, forwarded_represented, suppressed_represented, withheld }
}

pub(super) fn loss((kind, count): (String, u64)) -> v1::WhatIfLoss {
    v1::WhatIfLoss { kind, count }
}

pub(super) fn outcome(outcome: Outcome) -> v1::WhatIfOutcome {
    let Outcome { label, then, turned, rows, rows_left_out, devices, devices_changed, samples, failed } = outcome;
    v1::WhatIfOutcome {
        label,
        then: Some(sums(then)),
        total: Some(row(None, turned)),
        tables: tables(rows),
        rows_left_out,
        devices: devices.into_iter().map(device).collect(),
        devices_changed,
        samples: samples.into_iter().map(sample).collect(),
        failures: failed.into_iter().map(failure).collect(),
    }
}

/// Rows come grouping by grouping.
fn tables(rows: Vec<Row>) -> Vec<v1::WhatIfTable> {
    let mut tables: Vec<v1::WhatIfTable> = Vec::new();
    for Row { key, turned } in rows {
        let grouping = i32::from(match &key {
            Key::Code(_) => v1::Grouping::Code,
            Key::Operator(_) => v1::Grouping::Operator,
            Key::Generation(_) => v1::Grouping::Generation,
            Key::Model(_) => v1::Grouping::Model,
            Key::Day(_) => v1::Grouping::Day,
            Key::Hour(_) => v1::Grouping::Hour,
        });
        if tables.last().is_none_or(|table| table.grouping != grouping) {
            tables.push(v1::WhatIfTable { grouping, rows: Vec::new() });
        }
        if let Some(table) = tables.last_mut() {
            table.rows.push(row(Some(key), turned));
        }
    }
    tables
}

fn row(key: Option<Key>, turned: Turned) -> v1::AgreementRow {
    let Turned { both_forward, both_suppress, newly_suppressed, newly_forwarded, overruled } = turned;
    let mut row = v1::AgreementRow {
        both_forward,
        both_suppress,
        would_suppress: newly_suppressed,
        would_forward: newly_forwarded,
        overruled,
        ..v1::AgreementRow::default()
    };
    match key {
        Some(Key::Code(code)) => row.code = Some(code.into()),
        Some(Key::Operator(operator)) => row.operator = Some(operator.into()),
        Some(Key::Generation(number)) => row.generation = Some(generation(number)),
        Some(Key::Model(model)) => row.model = Some(model),
        Some(Key::Day(start_ms) | Key::Hour(start_ms)) => row.start_ms = Some(start_ms),
        None => {}
    }
    row
}

fn generation(number: u8) -> i32 {
    wire_generation(Generation::from_number(number).unwrap_or_default()).into()
}

fn device(device: ChangedDevice) -> v1::WhatIfDevice {
    let ChangedDevice { device, newly_suppressed, newly_forwarded } = device;
    v1::WhatIfDevice { device_id: device, newly_suppressed, newly_forwarded }
}

fn sample(alert: ChangedAlert) -> v1::WhatIfAlert {
    let ChangedAlert {
        position,
        device,
        code,
        operator,
        generation: number,
        model,
        occurred_ms,
        received_ms,
        measurement,
        weight,
        recorded,
        computed,
    } = alert;
    let alert = v1::Alert {
        device_id: device,
        code: code.into(),
        occurred_at_ms: occurred_ms,
        received_at_ms: received_ms,
        measurement,
        weight,
        ..v1::Alert::default()
    };
    v1::WhatIfAlert {
        position,
        alert: Some(alert),
        operator: operator.into(),
        generation: generation(number),
        model,
        recorded: Some(decision(recorded)),
        computed: Some(decision(computed)),
    }
}

fn decision(said: Said) -> v1::WhatIfDecision {
    let Said { suppressed, rule, revision, reason } = said;
    v1::WhatIfDecision { suppressed, rule, revision, reason }
}

fn failure(failed: Failed) -> v1::WhatIfFailure {
    let Failed { rule, kind, calls, detail } = failed;
    v1::WhatIfFailure { rule, kind, call_count: calls, detail }
}

/// What is to be verified.
pub fn period(request: v1::StartVerificationRequest) -> (Option<Millis>, Option<Millis>) {
    let v1::StartVerificationRequest { since_ms, until_ms } = request;
    (time(since_ms), time(until_ms))
}

/// A verification, with alerts folded and alerts there are to fold.
pub fn verification(verification: Verification, (rows_done, rows_total): (u64, u64)) -> v1::GetVerificationResponse {
    let Verification {
        since_ms,
        until_ms,
        begun_ms,
        ended_ms,
        scheduled,
        verdict,
        from,
        end,
        alerts,
        not_replayable,
        taken_at_their_word,
        damage,
        damage_count,
    } = verification;
    let (verdict, difference, why) = match verdict {
        None => (v1::VerificationVerdict::Unspecified, None, String::new()),
        Some(Verdict::Same) => (v1::VerificationVerdict::Same, None, String::new()),
        Some(Verdict::Differs { position, rule, revision, detail }) => {
            let difference = v1::VerificationDifference { position, rule, revision, detail };
            (v1::VerificationVerdict::Differs, Some(difference), String::new())
        }
        Some(Verdict::Stopped(why)) => (v1::VerificationVerdict::Stopped, None, why),
        Some(Verdict::Damaged) => (v1::VerificationVerdict::Damaged, None, String::new()),
    };
    v1::GetVerificationResponse {
        since_ms: since_ms.unwrap_or(0),
        until_ms: until_ms.unwrap_or(0),
        begun_at_ms: begun_ms,
        ended_at_ms: ended_ms.unwrap_or(0),
        scheduled,
        verdict: verdict.into(),
        difference,
        why,
        from_position: from,
        end_position: end,
        alert_count: alerts,
        losses: not_replayable.into_iter().map(loss).collect(),
        taken_rules: taken_at_their_word,
        damage,
        damage_count,
        rows_done,
        rows_total,
    }
}
