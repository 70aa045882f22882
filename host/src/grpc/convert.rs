//! Between the messages of the protocol and the words of the domain.
//!
//! It must not ask the pipeline anything, nor check what the pipeline checks: a request is refused here for what the
//! domain has no value for, and for its size. Invariant: every message is taken apart field by field and put together field
//! by field, so that a new one does not compile before somebody has thought about it; what is wrong with a request is a
//! `Refusal::Invalid` that names the field, what is wrong with one alert a `Reject`.

use std::str::FromStr;

use weir_proto::v1;

use crate::{
    domain::{AlertCode, Balance, Eui64, Generation, Millis, OperatorId, Remark, RemarkCounts, check_line},
    pipeline::Refusal,
};

pub mod access;
pub mod alert;
pub mod codes;
pub mod count;
pub mod device;
pub mod explain;
pub mod label;
pub mod listing;
pub mod page;
pub mod plugin;
pub mod point;
pub mod producer;
pub mod reading;
pub mod reading_coverage;
pub mod report;
pub mod rule;
pub mod subscribe;
pub mod trial;
pub mod what_if_reading;
pub mod whatif;

#[cfg(test)]
mod tests;

/// Longest name of a model, in bytes.
const MODEL_BYTES_MAX: usize = 64;

/// Entries of one list of a request. Above that a list says nothing that a shorter one, or none, does not.
const LIST_ENTRIES_MAX: usize = 1_000;

/// How many characters of a value are shown where it is refused.
const SHOWN_CHARS_MAX: usize = 40;

/// Converts a list of bounded length; a wrong entry is named by its index.
fn each<T, U>(
    field: &str,
    entries: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    convert: impl Fn(T) -> Result<U, String>,
) -> Result<Vec<U>, Refusal> {
    let entries = entries.into_iter();
    let count = entries.len();
    if count > LIST_ENTRIES_MAX {
        let why = format!("{count} entries are more than {LIST_ENTRIES_MAX}; ask in parts, or leave it empty for any");
        return Err(Refusal::invalid(field, why));
    }
    let named = |(index, entry)| convert(entry).map_err(|why| Refusal::invalid(format!("{field}[{index}]"), why));
    entries.enumerate().map(named).collect()
}

/// The entries in order, each once.
fn sorted<T: Ord>(mut entries: Vec<T>) -> Vec<T> {
    entries.sort_unstable();
    entries.dedup();
    entries
}

/// A value as it may be shown: short, quoted, control characters escaped.
fn shown(text: &str) -> String {
    let more = if text.chars().nth(SHOWN_CHARS_MAX).is_some() { "..." } else { "" };
    format!("{:?}{more}", text.chars().take(SHOWN_CHARS_MAX).collect::<String>())
}

fn code(value: u32) -> Result<AlertCode, String> {
    u16::try_from(value).map(AlertCode).map_err(|_| format!("{value} is no alert code; at most 65535 is (16 bits)"))
}

fn operator(value: u32) -> Result<OperatorId, String> {
    let wrong = || format!("{value} is no distributor id; 10 to 99 are, and 0 for not known");
    OperatorId::new(value).ok_or_else(wrong)
}

fn generation(value: i32) -> Result<Generation, String> {
    match v1::Generation::try_from(value) {
        Ok(v1::Generation::Unspecified) => Ok(Generation::Unknown),
        Ok(v1::Generation::Smets1) => Ok(Generation::Smets1),
        Ok(v1::Generation::Smets2) => Ok(Generation::Smets2),
        Err(_) => Err(format!("{value} is no generation of this protocol")),
    }
}

fn wire_generation(generation: Generation) -> v1::Generation {
    match generation {
        Generation::Unknown => v1::Generation::Unspecified,
        Generation::Smets1 => v1::Generation::Smets1,
        Generation::Smets2 => v1::Generation::Smets2,
    }
}

/// The name of a model; empty for not known.
fn model(name: String) -> Result<String, String> {
    if name.len() > MODEL_BYTES_MAX {
        return Err(format!("{} has {} bytes; at most {MODEL_BYTES_MAX} are allowed", shown(&name), name.len()));
    }
    match check_line(&name, MODEL_BYTES_MAX) {
        Ok(()) => Ok(name),
        Err(wrong) => Err(format!("{} {wrong}", shown(&name))),
    }
}

/// A device, which has to be one.
fn device_id(value: u64) -> Result<Eui64, String> {
    if value == 0 { Err("0 is no device; its EUI-64 as a number is".to_owned()) } else { Ok(Eui64(value)) }
}

/// The number in a page token, which is one of a row and so stays good whatever is added; `None` for the first page.
pub fn page_at<T: FromStr>(token: &str) -> Result<Option<T>, Refusal> {
    let why = || format!("{} did not come from this host; take next_page_token as it was", shown(token));
    let number = || token.parse().map_err(|_| Refusal::invalid("page_token", why()));
    (!token.is_empty()).then(number).transpose()
}

/// A filter by text; empty for any.
fn filter(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A time; 0 for none.
fn time(ms: i64) -> Option<Millis> {
    (ms != 0).then_some(ms)
}

fn remark_counts(counts: RemarkCounts) -> v1::RemarkCounts {
    let count = |remark| counts.get(remark);
    v1::RemarkCounts {
        occurred_in_future: count(Remark::OccurredInFuture),
        occurred_before_retention: count(Remark::OccurredBeforeRetention),
        out_of_order: count(Remark::OutOfOrder),
        implausible: count(Remark::Implausible),
        maybe_copy: count(Remark::MaybeCopy),
        other_content: count(Remark::OtherContent),
        clock_unreliable: count(Remark::ClockUnreliable),
        clock_not_set: count(Remark::ClockNotSet),
        occurred_at_left_out: count(Remark::OccurredAtLeftOut),
        dcc_at_left_out: count(Remark::DccAtLeftOut),
        throttle_gap: count(Remark::ThrottleGap),
        generation_differs: count(Remark::GenerationDiffers),
    }
}

fn balance(balance: Balance) -> v1::Balance {
    let received = balance.received();
    let Balance { forwarded, suppressed, rejected, duplicate } = balance;
    v1::Balance { received, forwarded, suppressed, rejected, duplicate }
}
