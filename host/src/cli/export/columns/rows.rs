//! Alerts as rows, their texts by number.
//!
//! It must not know what a file is. Invariant: a text that many rows have is held once.

use hashbrown::HashMap;
use parquet::data_type::ByteArray;
use weir_proto::v1;

use crate::{
    cli::{
        export::places::Place,
        view::{
            alert::{
                FaultMark, dcc_at_status, occurred_at_status, outcome, payload_kind, remark,
                stated_generation as stated,
            },
            code, generation,
        },
    },
    domain::Mpxn,
};

/// Labels that a file may have columns of: as many as a host keeps by default.
pub(in crate::cli::export) const LABELS_MAX: usize = 16;

/// An alert, with its texts by number.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli::export) struct Row {
    pub(super) position: i64,
    pub(super) device_id: u64,
    pub(super) recipient_id: u64,
    pub(super) mpxn: Mpxn,
    pub(super) secondary_mpan: Mpxn,
    pub(super) export_mpan: Mpxn,
    /// Of the device, in the order of the columns.
    pub(super) labels: [TextId; LABELS_MAX],
    pub(super) originator_counter: Option<u64>,
    pub(super) received_at_ms: i64,
    pub(super) occurred_at_ms: i64,
    pub(super) dcc_at_ms: Option<i64>,
    pub(super) sender_id: u64,
    pub(super) instruction_number: Option<u32>,
    pub(super) message_digest: u64,
    pub(super) occurred_at_status: TextId,
    pub(super) dcc_at_status: TextId,
    pub(super) stated_generation: TextId,
    pub(super) details: Details,
    pub(super) measurement: Option<i32>,
    pub(super) weight: u32,
    pub(super) withheld: u32,
    pub(super) revision: Option<u32>,
    pub(super) overruled: bool,
    pub(super) operator: i32,
    pub(super) code: TextId,
    pub(super) generation: TextId,
    pub(super) model: TextId,
    pub(super) payload_kind: TextId,
    pub(super) outcome: TextId,
    pub(super) mark: Mark,
    pub(super) faults: TextId,
    pub(super) remarks: TextId,
}

/// What the source of an alert states beside it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Details {
    pub(super) mpxn: Mpxn,
    pub(super) throttle_sequence: Option<u32>,
    pub(super) instruction_count: Option<u32>,
    pub(super) interrupted_at_ms: Option<i64>,
    pub(super) restored_at_ms: Option<i64>,
    pub(super) inner_code: TextId,
    pub(super) note: TextId,
}

/// The texts of the rule behind a verdict.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mark {
    pub(super) rule: TextId,
    pub(super) plugin_digest: TextId,
    pub(super) plugin_name: TextId,
    pub(super) parameters: TextId,
    pub(super) reason: TextId,
}

impl Row {
    /// An alert of the log as a row, its texts among others.
    pub(in crate::cli::export) fn new(logged: v1::LoggedAlert, place: &Place<'_>, texts: &mut Texts) -> Self {
        let v1::LoggedAlert {
            position,
            alert,
            operator,
            generation: generation_number,
            model,
            outcome: outcome_number,
            rule,
            overruled,
            withheld,
            faults,
            remarks,
        } = logged;
        let v1::Alert {
            device_id,
            recipient_id,
            originator_counter,
            code: code_number,
            occurred_at_ms,
            received_at_ms,
            measurement,
            weight,
            payload_kind: payload_number,
            dcc_at_ms,
            sender_id,
            instruction_number,
            message_digest,
            occurred_at_status: status_number,
            dcc_at_status: dcc_status_number,
            stated_generation,
            details,
        } = alert.unwrap_or_default();
        let mut labels = [0; LABELS_MAX];
        labels.iter_mut().zip(place.labels).for_each(|(label, text)| *label = texts.id(text));
        let (revision, mark) = rule.map_or_else(Default::default, |rule| texts.mark(&rule));
        Self {
            position: position.cast_signed(),
            device_id,
            recipient_id,
            mpxn: place.mpxn,
            secondary_mpan: place.secondary,
            export_mpan: place.export,
            labels,
            originator_counter,
            received_at_ms,
            occurred_at_ms,
            dcc_at_ms: (dcc_at_ms != 0).then_some(dcc_at_ms),
            sender_id,
            instruction_number: (instruction_number != 0).then_some(instruction_number),
            message_digest,
            occurred_at_status: texts.id(occurred_at_status(status_number)),
            dcc_at_status: texts.id(dcc_at_status(dcc_status_number).unwrap_or_default()),
            stated_generation: texts.id(stated(stated_generation).unwrap_or_default()),
            details: details.map_or_else(Details::default, |details| texts.details(&details)),
            measurement,
            weight,
            withheld,
            revision,
            overruled,
            operator: operator.cast_signed(),
            code: texts.code(code_number),
            generation: texts.id(generation(generation_number)),
            model: texts.id(&model),
            payload_kind: texts.id(payload_kind(payload_number)),
            outcome: texts.id(outcome(outcome_number)),
            mark,
            faults: texts.faults(faults),
            remarks: texts.remarks(&remarks),
        }
    }

    /// When it was received, in milliseconds since 1970-01-01T00:00:00Z.
    pub(in crate::cli::export) fn received_at_ms(&self) -> i64 {
        self.received_at_ms
    }
}

/// Number of a text among [`Texts`]; 0 for the empty one, which stands for none.
pub(super) type TextId = u32;

/// Texts that many rows share.
#[derive(Debug, Default)]
pub(in crate::cli::export) struct Texts {
    ids: HashMap<String, TextId>,
    codes: HashMap<u32, TextId>,
    /// By number, from 1.
    texts: Vec<ByteArray>,
    bytes: usize,
}

impl Texts {
    /// Bytes of all of them.
    pub(in crate::cli::export) fn bytes(&self) -> usize {
        self.bytes
    }

    fn id(&mut self, text: &str) -> TextId {
        if text.is_empty() {
            return 0;
        }
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        self.texts.push(text.into());
        // As many texts as that have more bytes than are let in.
        let id = TextId::try_from(self.texts.len()).unwrap_or(TextId::MAX);
        self.bytes += text.len() + size_of::<(String, ByteArray, TextId)>();
        self.ids.insert(text.to_owned(), id);
        id
    }

    fn code(&mut self, number: u32) -> TextId {
        if let Some(id) = self.codes.get(&number) {
            return *id;
        }
        let id = self.id(&code(number));
        self.codes.insert(number, id);
        id
    }

    fn details(&mut self, details: &v1::AlertDetails) -> Details {
        let v1::AlertDetails {
            mpxn,
            throttle_sequence,
            instruction_count,
            interrupted_at_ms,
            restored_at_ms,
            inner_code,
            note,
        } = details;
        Details {
            mpxn: Mpxn::from_number(*mpxn),
            throttle_sequence: *throttle_sequence,
            instruction_count: (*instruction_count != 0).then_some(*instruction_count),
            interrupted_at_ms: *interrupted_at_ms,
            restored_at_ms: *restored_at_ms,
            inner_code: inner_code.map_or(0, |number| self.code(number)),
            note: self.id(note),
        }
    }

    fn mark(&mut self, rule: &v1::RuleMark) -> (Option<u32>, Mark) {
        let v1::RuleMark { name, revision, plugin_digest, plugin_name, parameters, reason } = rule;
        let mark = Mark {
            rule: self.id(name),
            plugin_digest: self.id(plugin_digest),
            plugin_name: self.id(plugin_name),
            parameters: self.id(parameters),
            reason: self.id(reason),
        };
        (Some(*revision), mark)
    }

    /// As `weir alert list --json` has them.
    fn faults(&mut self, faults: Vec<v1::FaultMark>) -> TextId {
        if faults.is_empty() {
            return 0;
        }
        let faults: Vec<FaultMark> = faults.into_iter().map(FaultMark::from).collect();
        // A list of texts and numbers is JSON whatever is in it.
        self.id(&serde_json::to_string(&faults).unwrap_or_default())
    }

    fn remarks(&mut self, remarks: &[i32]) -> TextId {
        let words: Vec<&str> = remarks.iter().map(|number| remark(*number)).collect();
        self.id(&words.join(","))
    }

    pub(super) fn text(&self, id: TextId) -> Option<ByteArray> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.texts.get(index).cloned()
    }
}
