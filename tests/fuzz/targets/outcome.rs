//! What a guest answers: outcomes and faults of every shape through the fold, and descriptions through their check.
//!
//! Each rule is a closure that answers what the fuzzer says. Every row ends with exactly one mark, a rule that fails
//! leaves no trace, and folding again with what is on record comes to the same.

#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use weir_host::{
    config::PluginLimits,
    domain::{
        AlertCode, ColumnSet, Columns, End, Fault, FaultKind, GuestRoom, Judge, JudgingSettings, Metering, OperatorId,
        Outcome, Position, Revision, Rows, RuleFault, Scope, StateKey, TURN_ALERTS, is_unsafe,
    },
    evaluate::{Chain, ChainRule, Filter, Judged, Judgement, State, judge},
    fuzzing::{Said, described},
};

/// Most rows of a group and rules of a chain here.
const ROWS_MAX: usize = 200;
const RULES_MAX: usize = 6;

#[derive(Debug, Arbitrary)]
enum Input {
    Fold(Fold),
    Description(Description),
}

#[derive(Debug, Arbitrary)]
struct Fold {
    /// Device, code, and whether it was seen before.
    rows: Vec<(u8, u16, bool)>,
    rules: Vec<Rule>,
    protected: Vec<u16>,
    codes_max: u8,
    sheds: bool,
    search: bool,
}

#[derive(Debug, Arbitrary)]
struct Rule {
    answer: Answer,
    reasons: u8,
    words: u8,
    by_code: bool,
    shadow: bool,
    reads: u8,
    codes: Vec<u16>,
}

#[derive(Debug, Clone, Arbitrary)]
enum Answer {
    /// Any lengths.
    Outcome { verdict: Vec<u8>, withheld: Vec<u32>, state: Vec<u64> },
    /// The right lengths, the entries repeated, and verdicts that there are.
    Fitting { verdict: Vec<u8>, withheld: Vec<u32>, state: Vec<u64> },
    /// Fails, in any words.
    Fault { kind: u8, detail: String },
    /// Fails over more alerts than these.
    Frail { alerts_max: u8 },
}

#[derive(Debug, Arbitrary)]
struct Description {
    texts: [String; 3],
    proper: bool,
    schema: String,
    by_code: bool,
    words: [u32; 2],
    reasons: Vec<String>,
    reads: u8,
    parameters: String,
}

fuzz_target!(|input: Input| {
    match input {
        Input::Fold(fold) => run(&fold),
        Input::Description(description) => describe(description),
    }
});

fn run(fold: &Fold) {
    let rows = rows(fold);
    let duplicate: Vec<bool> = fold.rows.iter().take(ROWS_MAX).map(|(.., copy)| *copy).collect();
    let chain = Chain {
        rules: fold.rules.iter().take(RULES_MAX).enumerate().map(|(at, rule)| made(at as u32 + 1, rule)).collect(),
        settings: Arc::new(settings(fold).into()),
    };
    let group = Group { rows: &rows, duplicate: &duplicate, chain: &chain, sheds: fold.sheds, search: fold.search };
    let (mut live, mut again) = (State::default(), State::default());
    for _ in 0..2 {
        let judged = group.judge(&mut live, &[], Metering::Live);
        group.check(&judged);
        let replayed = group.judge(&mut again, &judged.faults, Metering::Replay);
        assert_eq!((&replayed.marks, &replayed.mark), (&judged.marks, &judged.mark), "folded again");
        assert_eq!(replayed.withheld, judged.withheld, "folded again");
        assert_eq!(again.all_pages(Position(1)), live.all_pages(Position(1)), "folded again");
    }
}

fn settings(fold: &Fold) -> JudgingSettings {
    let room = GuestRoom { memory_bytes_max: 0, table_entries_max: 0, deadline_ms: 0 };
    JudgingSettings {
        protected: fold.protected.iter().map(|code| AlertCode(*code)).collect(),
        state_codes_per_device_max: fold.codes_max.into(),
        turn_alerts: TURN_ALERTS,
        stack_bytes_max: 0,
        host: room,
        operators: room,
    }
}

/// Alerts with a chain to judge them.
struct Group<'a> {
    rows: &'a Rows,
    duplicate: &'a [bool],
    chain: &'a Chain,
    sheds: bool,
    search: bool,
}

impl Group<'_> {
    fn judge(&self, state: &mut State, recorded: &[Fault], metering: Metering) -> Judged {
        for (namespace, key, words) in self.chain.rules.iter().filter_map(|rule| rule.namespace) {
            state.slots_mut(namespace, key, words);
        }
        for device_no in &self.rows.device_no {
            state.count(*device_no, End::Forwarded);
        }
        state.touch(self.rows.device_no.iter().copied(), Position(1));
        let judgement = Judgement {
            rows: self.rows,
            duplicate: self.duplicate,
            skipped: &[],
            recorded,
            metering,
            obeyed: None,
            sheds: self.sheds && metering == Metering::Live,
            search: &|_| self.search,
            shares: None,
        };
        judge(state, self.chain, judgement)
    }

    fn check(&self, judged: &Judged) {
        let count = self.rows.len();
        assert_eq!((judged.mark.len(), judged.withheld.len()), (count, count), "one mark a row");
        for (row, mark) in judged.mark.iter().enumerate() {
            let mark = judged.marks[usize::from(*mark)];
            assert_eq!(mark.end == End::Duplicate, self.duplicate[row], "row {row}");
            assert!(mark.end != End::Rejected, "row {row}");
            let protected = self.chain.settings.protected.contains(self.rows.code[row]);
            assert!(!(protected && mark.end == End::Suppressed), "row {row} is protected");
            assert!(mark.end != End::Suppressed || judged.withheld[row] == 0, "row {row} bears others");
            let named = self.chain.rules.iter().find(|rule| rule.revision == mark.rule);
            assert!(named.map_or(mark.rule == Revision::NONE, |rule| !rule.shadow && mark.reason <= rule.reasons));
        }
        for (at, mark) in judged.marks.iter().enumerate() {
            assert!(!judged.marks[..at].contains(mark), "a mark is there once");
        }
        for fault in &judged.faults {
            assert!((fault.first_row + fault.row_count) as usize <= count, "{fault:?}");
            assert!(fault.detail.chars().count() <= 200 && !fault.detail.chars().any(is_unsafe), "{fault:?}");
        }
        assert!(judged.shadows.iter().all(|shadow| shadow.said.len() == count));
        assert!(judged.poison.iter().all(|poison| (poison.row as usize) < count));
    }
}

fn rows(fold: &Fold) -> Rows {
    let mut rows = Rows::default();
    for (device, code, _) in fold.rows.iter().take(ROWS_MAX) {
        rows.device_no.push(u32::from(*device) * 7);
        rows.device.push(u64::from(*device) * 7 + 1);
        rows.recipient.push(0);
        rows.counter.push(0);
        rows.code.push(*code);
        rows.occurred_ms.push(0);
        rows.received_ms.push(0);
        rows.measurement.push(0);
        rows.weight.push(1);
        rows.flags.push(device & 0b111);
        rows.operator.push(12);
        rows.model.push(0);
        rows.dcc_ms.push(0);
        rows.remarks.push(0);
        rows.sender.push(0);
        rows.instruction.push(0);
        rows.digest.push(0);
        rows.time_status.push(0);
    }
    rows
}

fn made(revision: u32, rule: &Rule) -> ChainRule {
    let key = if rule.by_code { StateKey::DeviceAndCode } else { StateKey::Device };
    let words = u32::from(rule.words % 4);
    let codes = rule.codes.iter().map(|code| AlertCode(*code)).collect();
    ChainRule {
        revision: Revision(revision),
        judge: answering(rule.answer.clone(), rule.reasons),
        reasons: rule.reasons,
        filter: Filter::new(&Scope { codes, ..Scope::default() }),
        reads: ColumnSet::from_bits(rule.reads & ColumnSet::ALL.bits()).expect("all of them are columns"),
        shadow: rule.shadow,
        owner: OperatorId::UNKNOWN,
        namespace: (words > 0).then_some((Revision(revision), key, words)),
    }
}

fn answering(answer: Answer, reasons: u8) -> Judge {
    Arc::new(move |columns: &Columns<'_>, table: &[u64], _: Metering| {
        assert!(columns.slot.is_empty() || columns.slot.len() == columns.len());
        match answer.clone() {
            Answer::Outcome { verdict, withheld, state } => Ok(Outcome { verdict, withheld, state }),
            Answer::Fitting { verdict, withheld, state } => Ok(Outcome {
                verdict: fitted(&verdict, columns.len(), |verdict: u8| match reasons {
                    u8::MAX => verdict,
                    reasons => verdict % (reasons + 1),
                }),
                withheld: if withheld.is_empty() { withheld } else { fitted(&withheld, columns.len(), |sum| sum) },
                state: fitted(&state, table.len(), |word| word),
            }),
            Answer::Fault { kind, detail } => {
                let kinds = FaultKind::ALL;
                Err(RuleFault::new(kinds[usize::from(kind) % kinds.len()], &detail))
            }
            Answer::Frail { alerts_max } if columns.len() > usize::from(alerts_max) => {
                Err(RuleFault::new(FaultKind::Trap, "too many"))
            }
            Answer::Frail { .. } => {
                Ok(Outcome { verdict: vec![0; columns.len()], withheld: Vec::new(), state: table.to_vec() })
            }
        }
    })
}

fn fitted<T: Copy + Default>(values: &[T], length: usize, bound: impl Fn(T) -> T) -> Vec<T> {
    let values = if values.is_empty() { &[T::default()][..] } else { values };
    values.iter().copied().cycle().take(length).map(bound).collect()
}

fn describe(description: Description) {
    let Description { mut texts, proper, schema, by_code, words, reasons, reads, parameters } = description;
    // A name that is in order lets the fields after it be looked at.
    if proper {
        texts[0] = "rule".to_owned();
        texts[1] = "1".to_owned();
    }
    let said = Said { texts, schema, by_code, words: words.map(|words| words % 32), reasons, reads, parameters };
    let _ = described(said, &PluginLimits::default());
}
