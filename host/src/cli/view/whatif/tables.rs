//! Questions over the past and their answers in tables for a terminal, and the words beside them.
//!
//! It must not know how questions are asked.

use weir_proto::v1;

use super::{Answer, Decision, Device, Failed, Outcome, Sample, Sums, WhatIf};
use crate::cli::{
    arguments::Names,
    table::{Table, Value, thousands},
    view::{alert::measured, count::heading, or, time, trial::Row},
};

/// Characters of the longest bar.
const BAR_CHARS: usize = 20;

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
    let as_device = what_if.readings.as_ref().filter(|asked| asked.is_as_device());
    let tried = match (what_if.as_recorded, &what_if.variants[..]) {
        _ if as_device.is_some() => "thresholds of meters, by readings".to_owned(),
        (true, _) => "nothing: the rule as the log has it".to_owned(),
        (false, [one]) => format!("{} {}", one.plugin_name, one.parameters),
        (false, several) => format!("{} variants", several.len()),
    };
    Table::facts([
        ("question", Value::text(format!("{} {}", what_if.id, what_if.name))),
        ("stage", Value::text(format!("{} {}", what_if.stage, what_if.why))),
        (
            "rule",
            Value::text(match as_device {
                Some(_) => "none: as the device".to_owned(),
                None => format!("{}, place {}", what_if.rule, what_if.position),
            }),
        ),
        ("tried", Value::text(tried)),
        (
            "received",
            Value::text(format!("{} to {}", end(what_if.since_ms, "the oldest"), end(what_if.until_ms, "now"))),
        ),
        ("took", Value::text(format!("{}.{:03} s", what_if.running_ms / 1000, what_if.running_ms % 1000))),
        ("question digest", Value::text(&what_if.question_digest)),
        ("answer digest", Value::text(&what_if.answer_digest)),
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

impl Sums {
    fn values(self) -> [Value; 5] {
        let Self { forwarded, suppressed, forwarded_represented, suppressed_represented, withheld } = self;
        let withheld = withheld.map_or_else(|| Value::Quantity("not known".to_owned()), Value::Number);
        let [a, b, c, d] = [forwarded, suppressed, forwarded_represented, suppressed_represented].map(Value::Number);
        [a, b, c, d, withheld]
    }
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
            Value::text(names.code_at(row.position, &alert.code)),
            Value::Quantity(measured(alert, names.codes_at(row.position))),
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
    use crate::intake::tables::CodeTable;

    #[test]
    fn a_sampled_alert_has_the_name_and_unit_of_the_table_it_was_logged_under() {
        let table = |row: &str| CodeTable::builtin().with_file(format!("code,name,unit\n{row}\n").as_bytes()).unwrap();
        let names = Names::with_tables(vec![(10..u64::MAX, table("E001,new,min")), (0..10, table("E001,old,s"))]);
        let sample = |position| {
            let alert = v1::Alert { code: 0xE001, measurement: Some(7), ..v1::Alert::default() };
            Sample::from(v1::WhatIfAlert { position, alert: Some(alert), ..v1::WhatIfAlert::default() })
        };
        let text = samples(&[sample(9), sample(10)], &names).to_string();
        assert!(
            text.contains("E001 old") && text.contains("7 s") && text.contains("E001 new") && text.contains("7 min")
        );
    }

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
        assert_eq!(line(3), format!("| as it was 80 20 0 {} |", "#".repeat(20)));
        assert_eq!(line(4), format!("| below_dv=2530 40 60 40 0 0 not known {} |", "#".repeat(10)));
        assert_eq!(line(5), "| below_dv=2580 0 100 80 0 0 not known |");
        let notes = notes(&answer);
        assert!(
            notes.len() == 1 && notes[0].starts_with("7 of 107 alerts") && notes[0].ends_with("7 trap"),
            "{notes:?}"
        );
    }
}
