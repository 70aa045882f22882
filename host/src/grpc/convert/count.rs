//! Counts: the question in, the table out.
//!
//! It must not read the books. Invariant: a key is set in the answer exactly where it was grouped by.

use prost::Message;
use weir_proto::v1;

use super::{balance, code, each, filter, generation, label, model, operator, remark_counts, time, wire_generation};
use crate::{
    books::{CountKey, CountQuery, CountTable, Counts, Grouping, LABELS_MAX},
    domain::{FinalUntil, HOUR_MS, Millis},
    pipeline::Refusal,
};

const DAY_MS: Millis = 24 * HOUR_MS;

/// What to count.
pub fn query(request: v1::QueryCountsRequest) -> Result<CountQuery, Refusal> {
    let v1::QueryCountsRequest { group_by, codes, rule, operators, generations, models, since_ms, until_ms, .. } =
        request;
    let v1::QueryCountsRequest { top, only_throttled, label_keys, labels, .. } = request;
    let label_keys = each("label_keys", label_keys, label::key)?;
    Ok(CountQuery {
        group_by: groupings(group_by, label_keys.len())?,
        codes: each("codes", codes, code)?,
        rule: filter(rule),
        operators: each("operators", operators, operator)?,
        generations: each("generations", generations, generation)?,
        models: each("models", models, model)?,
        since_ms: time(since_ms),
        until_ms: time(until_ms),
        top: (top > 0).then_some(top as usize),
        only_throttled,
        label_keys,
        labels: label::filters(labels)?,
    })
}

/// What to group by, where so many labels are named: one for each grouping by a label.
fn groupings(sent: Vec<i32>, labels: usize) -> Result<Vec<Grouping>, Refusal> {
    let by_label = i32::from(v1::Grouping::Label);
    let mentioned = sent.iter().filter(|number| **number == by_label).count();
    if mentioned != labels || labels > LABELS_MAX {
        let why = format!(
            "{labels} keys, and group_by has {mentioned} of GROUPING_LABEL; one key for each, at most {LABELS_MAX}"
        );
        return Err(Refusal::invalid("label_keys", why));
    }
    let mut of_labels = 0..;
    let mut groupings = each("group_by", sent, |number| match number == by_label {
        true => Ok(Grouping::Label(0)),
        false => grouping(number),
    })?;
    for by_label in groupings.iter_mut().filter(|grouping| matches!(grouping, Grouping::Label(_))) {
        *by_label = Grouping::Label(of_labels.next().unwrap_or_default());
    }
    Ok(groupings)
}

pub(super) fn grouping(number: i32) -> Result<Grouping, String> {
    match v1::Grouping::try_from(number) {
        Ok(v1::Grouping::Code) => Ok(Grouping::Code),
        Ok(v1::Grouping::Rule) => Ok(Grouping::Rule),
        Ok(v1::Grouping::Operator) => Ok(Grouping::Operator),
        Ok(v1::Grouping::Generation) => Ok(Grouping::Generation),
        Ok(v1::Grouping::Model) => Ok(Grouping::Model),
        Ok(v1::Grouping::Hour) => Ok(Grouping::Hour),
        Ok(v1::Grouping::Day) => Ok(Grouping::Day),
        Ok(v1::Grouping::Rejection) => Ok(Grouping::Rejection),
        Ok(v1::Grouping::Device) => Ok(Grouping::Device),
        Ok(v1::Grouping::Recipient) => Ok(Grouping::Recipient),
        Ok(v1::Grouping::Family) => Ok(Grouping::Family),
        Ok(v1::Grouping::OccurredDay) => Ok(Grouping::OccurredDay),
        Ok(v1::Grouping::Label) => Err("labels are grouped by in QueryCounts alone".to_owned()),
        Ok(v1::Grouping::Unspecified) => Err("the grouping is not stated; leave the list empty for a total".to_owned()),
        Err(_) => Err(format!("{number} is no grouping of this protocol")),
    }
}

/// Which rows alerts may still come for.
#[derive(Debug, Clone, Copy)]
pub struct Provisional {
    /// Until when counts are final.
    pub until: FinalUntil,
    /// From the start of one row to that of the next, where it is grouped by time of receipt.
    pub step_ms: Option<Millis>,
}

impl Provisional {
    fn is(self, key: &CountKey) -> bool {
        let received = key.start_ms.zip(self.step_ms).map(|(start, step)| start + step);
        let occurred = key.occurred_ms.flatten().map(|start| start + DAY_MS);
        received.is_some_and(|end| self.until.is_receipt_open(end))
            || occurred.is_some_and(|end| self.until.is_occurrence_open(end))
    }
}

/// The counts. They are all of them or none: a table that does not fit a message of `bytes_max` bytes is refused.
pub fn table(
    table: CountTable,
    provisional: Provisional,
    bytes_max: usize,
) -> Result<v1::QueryCountsResponse, Refusal> {
    let CountTable { rows, total, position, rest, kept_since_ms, unknown_labels } = table;
    let response = v1::QueryCountsResponse {
        rows: rows.into_iter().map(|(key, counts)| row(provisional.is(&key), key, counts)).collect(),
        total: Some(row(false, CountKey::default(), total)),
        position: position.0,
        rest: rest.map(|(_, counts)| row(false, CountKey::default(), counts)),
        rest_row_count: rest.map_or(0, |(rows, _)| rows),
        kept_since_ms,
        final_until: Some(v1::FinalUntil {
            received_ms: provisional.until.received_ms,
            occurred_ms: provisional.until.occurred_ms,
        }),
        unknown_labels: unknown_labels.into_iter().map(label::unknown).collect(),
    };
    if response.encoded_len() > bytes_max {
        return Err(Refusal::Exhausted(format!(
            "the table has {} rows, more than a message of message_bytes_max ({bytes_max}) bytes holds; ask for a \
             shorter time or group by less",
            response.rows.len()
        )));
    }
    Ok(response)
}

fn row(is_provisional: bool, key: CountKey, counts: Counts) -> v1::CountRow {
    let CountKey { code, rule, operator, generation, model, start_ms, rejection, .. } = key;
    let CountKey { device, recipient, family, occurred_ms, labels, .. } = key;
    let Counts { balance: ends, represented, overruled, withheld, remarks } = counts;
    v1::CountRow {
        code: code.flatten().map(|code| code.0.into()),
        rule,
        operator: operator.map(|operator| operator.get().into()),
        generation: generation.map(|generation| wire_generation(generation).into()),
        model,
        start_ms,
        rejection: rejection.map(str::to_owned),
        balance: Some(balance(ends)),
        represented,
        overruled,
        withheld,
        remarks: Some(remark_counts(remarks)),
        device_id: device.map(|device| device.0),
        recipient_id: recipient.map(|recipient| recipient.0),
        family,
        occurred_start_ms: occurred_ms.flatten(),
        is_provisional,
        labels: label::wire(labels),
    }
}
