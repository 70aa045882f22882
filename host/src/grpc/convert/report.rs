//! Reports: what is asked in, counts by device, changes and signals out.
//!
//! It must not count. Invariant: the pieces of an answer have its rows in order, each once, and each piece fits a message.

use std::ops::Range;

use prost::Message;
use tonic::Status;
use weir_proto::v1;

use super::{
    each, generation, label, operator,
    page::{Room, fill},
    page_at, rule, time, wire_generation,
};
use crate::{
    books::{AlertClock, DeviceCounts, DeviceEnds, DeviceKey, DeviceQuery},
    domain::{Generation, Millis, Revision},
    intake::times::told,
    migration::{Advice, Light, Migration, Signal},
    pipeline::{
        InventoryCount, InventoryCounts, InventoryKey, InventoryQuery, MigrationQuery, MigrationView, Refusal,
        RuleChange, RuleChangesQuery,
    },
};

/// Stretches of one question.
const SPANS_MAX: usize = 1_000;

/// Days that a migration may be measured by.
const WINDOW_DAYS_MAX: u32 = 400;

/// What a row takes at most in a piece: its tag and length, the device, and eight numbers.
const ROW_BYTES_MAX: usize = 96;

/// Rows of a piece, however large a message may be.
const PIECE_ROWS_MAX: usize = 8_192;

/// What to count by device.
pub fn device_query(request: v1::QueryDeviceCountsRequest) -> Result<DeviceQuery, Refusal> {
    let v1::QueryDeviceCountsRequest {
        spans: sent,
        clock,
        by_code,
        codes,
        operators,
        generations,
        since_ms,
        until_ms,
        position,
        cuts_ms,
    } = request;
    Ok(DeviceQuery {
        spans: spans(sent)?,
        clock: match v1::AlertClock::try_from(clock) {
            Ok(v1::AlertClock::Unspecified | v1::AlertClock::Received) => AlertClock::Received,
            Ok(v1::AlertClock::Occurred) => AlertClock::Occurred,
            Err(_) => return Err(Refusal::invalid("clock", format!("{clock} is no clock of this protocol"))),
        },
        by_code,
        codes: each("codes", codes, super::code)?,
        operators: each("operators", operators, operator)?,
        generations: each("generations", generations, generation)?,
        since_ms: time(since_ms),
        until_ms: time(until_ms),
        cuts: cuts(cuts_ms)?,
        position: (position != 0).then_some(crate::domain::Position(position)),
        // The host's own limit is put in by whoever counts.
        rows_max: usize::MAX,
    })
}

fn cuts(sent: Vec<Millis>) -> Result<Vec<Millis>, Refusal> {
    if sent.len() > SPANS_MAX {
        return Err(Refusal::invalid("cuts_ms", format!("{} times; at most {SPANS_MAX}", sent.len())));
    }
    match sent.windows(2).position(|pair| pair[0] >= pair[1]) {
        Some(at) => {
            let why = format!("{} is not after {}; give the times in order, each once", sent[at + 1], sent[at]);
            Err(Refusal::invalid(format!("cuts_ms[{}]", at + 1), why))
        }
        None => Ok(sent),
    }
}

fn spans(sent: Vec<v1::Span>) -> Result<Vec<Range<Millis>>, Refusal> {
    if sent.is_empty() || sent.len() > SPANS_MAX {
        let why = format!("{} stretches; from 1 to {SPANS_MAX} are allowed", sent.len());
        return Err(Refusal::invalid("spans", why));
    }
    let spans: Vec<Range<Millis>> = sent.into_iter().map(|span| span.start_ms..span.end_ms).collect();
    for (index, span) in spans.iter().enumerate() {
        let before = index.checked_sub(1).map_or(Millis::MIN, |before| spans[before].end);
        if span.is_empty() || span.start < before {
            let (start, end) = (told(span.start), told(span.end));
            let why = format!("{start} to {end} is empty, or begins before the one before it ends");
            return Err(Refusal::invalid(format!("spans[{index}]"), why));
        }
    }
    Ok(spans)
}

/// An answer in pieces.
pub struct Pieces {
    counts: DeviceCounts,
    next: usize,
    rows_max: usize,
    ended: bool,
}

impl Pieces {
    /// Each of at most `bytes_max` bytes; there is always one.
    pub fn new(counts: DeviceCounts, bytes_max: usize) -> Self {
        let rows_max = (bytes_max / ROW_BYTES_MAX).clamp(1, PIECE_ROWS_MAX);
        Self { counts, next: 0, rows_max, ended: false }
    }
}

impl Iterator for Pieces {
    type Item = Result<v1::QueryDeviceCountsResponse, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let DeviceCounts { rows, position, kept_since_ms } = &self.counts;
        let end = rows.len().min(self.next + self.rows_max);
        let piece = v1::QueryDeviceCountsResponse {
            rows: rows[self.next..end].iter().map(device_row).collect(),
            position: position.0,
            kept_since_ms: kept_since_ms.unwrap_or(0),
        };
        self.next = end;
        self.ended = end == rows.len();
        Some(Ok(piece))
    }
}

fn device_row((key, ends): &(DeviceKey, DeviceEnds)) -> v1::DeviceCountRow {
    let DeviceKey { device, code, span, part } = *key;
    let DeviceEnds { forwarded, suppressed, duplicate } = *ends;
    v1::DeviceCountRow {
        device_id: device.0,
        code: code.into(),
        span: span.into(),
        forwarded: forwarded.count,
        suppressed: suppressed.count,
        duplicate: duplicate.count,
        forwarded_represented: forwarded.represented,
        suppressed_represented: suppressed.represented,
        duplicate_represented: duplicate.represented,
        part: part.into(),
    }
}

/// Which devices are to be counted, and by what.
pub fn inventory_query(request: v1::QueryInventoryRequest) -> Result<InventoryQuery, Refusal> {
    let v1::QueryInventoryRequest { operators, generations, label_key: sent, labels } = request;
    let refuse = |why: String| Refusal::invalid("label_key", why);
    Ok(InventoryQuery {
        operators: each("operators", operators, operator)?,
        generations: each("generations", generations, generation)?,
        label_key: super::filter(sent).map(label::key).transpose().map_err(refuse)?,
        labels: label::filters(labels)?,
    })
}

/// The inventory in numbers: all of them or none, where they do not fit a message of `bytes_max` bytes.
pub fn inventory(found: InventoryCounts, bytes_max: usize) -> Result<v1::QueryInventoryResponse, Refusal> {
    let InventoryCounts { counts, unknown_labels } = found;
    let unknown_labels = unknown_labels.into_iter().map(label::unknown).collect();
    let rows = counts.into_iter().map(|(key, InventoryCount { listed, unlisted })| {
        let row = v1::InventoryRow { listed_count: listed, unlisted_count: unlisted, ..v1::InventoryRow::default() };
        match key {
            InventoryKey::Kind(operator, generation, model) => v1::InventoryRow {
                operator: operator.get().into(),
                generation: wire_generation(generation).into(),
                model,
                ..row
            },
            InventoryKey::Label(text) => v1::InventoryRow { label: text.as_ref().to_owned(), ..row },
        }
    });
    let response = v1::QueryInventoryResponse { rows: rows.collect(), unknown_labels };
    if response.encoded_len() > bytes_max {
        return Err(Refusal::Exhausted(format!(
            "the inventory has {} rows, more than a message of message_bytes_max ({bytes_max}) bytes holds; ask for fewer \
             operators, generations or labels",
            response.rows.len()
        )));
    }
    Ok(response)
}

/// Changes in one page, as many as are given where none are asked for.
const CHANGES_MAX: u32 = 1_000;

/// Which changes are asked for, and how many go in a page.
pub fn changes_query(
    request: v1::ListRuleChangesRequest,
    bytes_max: usize,
) -> Result<(RuleChangesQuery, Room), Refusal> {
    let v1::ListRuleChangesRequest { since_ms, until_ms, page_size, page_token } = request;
    if page_size > CHANGES_MAX {
        return Err(Refusal::invalid("page_size", format!("{page_size} is more than {CHANGES_MAX}")));
    }
    let page_size = if page_size == 0 { CHANGES_MAX } else { page_size };
    let query = RuleChangesQuery {
        since_ms: time(since_ms),
        until_ms: time(until_ms),
        after: Revision(page_at(&page_token)?.unwrap_or(0)),
        changes_max: page_size as usize,
    };
    Ok((query, Room::new(page_size, bytes_max)))
}

/// Changes to rules, and how many more there are.
pub fn changes((changes, left_out): (Vec<RuleChange>, usize), room: Room) -> v1::ListRuleChangesResponse {
    let found = changes.len();
    let wire = |RuleChange { change, suppressed, overruled }| v1::RuleChange {
        name: String::clone(&change.name),
        revision: Some(rule::revision(change)),
        suppressed,
        overruled,
    };
    let number = |change: &v1::RuleChange| change.revision.as_ref().map_or(0, |revision| revision.revision).to_string();
    let (changes, next) = fill(changes, room, wire, number);
    let left_out = left_out + found - changes.len();
    let next_page_token = match changes.last() {
        Some(last) if next.is_empty() && left_out > 0 => number(last),
        _ => next,
    };
    let left_out_count = u32::try_from(left_out).unwrap_or(u32::MAX);
    v1::ListRuleChangesResponse { changes, left_out_count, next_page_token }
}

/// What is asked about a migration.
pub fn migration_query(request: v1::GetMigrationSignalRequest) -> Result<MigrationQuery, Refusal> {
    let v1::GetMigrationSignalRequest {
        planned_device_count,
        capacity_alerts_per_day,
        generation: kind,
        operators,
        until_ms,
        window_days,
    } = request;
    let counted = |field: &str, value: u64| match value {
        0 => Err(Refusal::invalid(field, "0 is none; at least 1 is needed to compare with")),
        value => Ok(value),
    };
    if window_days > WINDOW_DAYS_MAX {
        return Err(Refusal::invalid("window_days", format!("{window_days} is more than {WINDOW_DAYS_MAX}")));
    }
    let generation = match generation(kind).map_err(|why| Refusal::invalid("generation", why))? {
        Generation::Unknown => Generation::Smets1,
        stated => stated,
    };
    Ok(MigrationQuery {
        planned_devices: counted("planned_device_count", planned_device_count)?,
        capacity_per_day: counted("capacity_alerts_per_day", capacity_alerts_per_day)?,
        generation,
        operators: each("operators", operators, operator)?,
        until_ms: time(until_ms),
        window_days: (window_days != 0).then_some(window_days),
    })
}

/// A signal.
pub fn migration(view: MigrationView) -> v1::GetMigrationSignalResponse {
    let MigrationView { signal, measured, period, is_provisional, position } = view;
    let Signal {
        advice,
        light,
        reasons,
        forwarded_per_1000_device_days,
        taken_per_1000_device_days,
        projected_per_day,
        projected_raw_per_day,
        capacity_percent,
    } = signal;
    let Migration { devices, days: _, forwarded, taken, planned_devices: _, capacity_per_day: _ } = measured;
    let advice = match advice {
        Advice::GoOn => v1::MigrationAdvice::GoOn,
        Advice::Slow => v1::MigrationAdvice::Slow,
        Advice::Pause => v1::MigrationAdvice::Pause,
        Advice::Stop => v1::MigrationAdvice::Stop,
    };
    let light = match light {
        Light::Green => v1::MigrationLight::Green,
        Light::Amber => v1::MigrationLight::Amber,
        Light::Red => v1::MigrationLight::Red,
    };
    v1::GetMigrationSignalResponse {
        advice: advice.into(),
        light: light.into(),
        reasons,
        device_count: devices,
        since_ms: period.start,
        until_ms: period.end,
        forwarded,
        taken,
        forwarded_per_1000_device_days,
        taken_per_1000_device_days,
        projected_alerts_per_day: projected_per_day,
        projected_raw_alerts_per_day: projected_raw_per_day,
        capacity_percent,
        position: position.0,
        is_provisional,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        books::Weighed,
        domain::{Eui64, OperatorId, Position},
    };

    #[test]
    fn pieces_hold_every_row_once_and_fit_their_messages() {
        let most = Weighed { count: u64::MAX, represented: u64::MAX };
        let ends = DeviceEnds { forwarded: most, suppressed: most, duplicate: most };
        let row = |device| (DeviceKey { device: Eui64(device), code: u16::MAX, span: u16::MAX, part: u16::MAX }, ends);
        for (rows, bytes_max) in [(0, 1_024), (1, 1_024), (1_000, 1_024), (20_000, 4 << 20)] {
            let counts =
                DeviceCounts { rows: (1..=rows).map(row).collect(), position: Position(u64::MAX), kept_since_ms: None };
            let pieces: Vec<_> = Pieces::new(counts, bytes_max).map(Result::unwrap).collect();
            assert!(!pieces.is_empty());
            assert!(pieces.iter().all(|piece| piece.encoded_len() <= bytes_max + 64), "{rows} {bytes_max}");
            let devices: Vec<u64> = pieces.iter().flat_map(|piece| &piece.rows).map(|row| row.device_id).collect();
            assert_eq!(devices, (1..=rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_inventory_is_counted_by_kind_or_by_a_label() {
        let ask = |label_key: &str| {
            inventory_query(v1::QueryInventoryRequest { label_key: label_key.into(), ..Default::default() })
        };
        assert_eq!(ask("").unwrap(), InventoryQuery::default());
        assert_eq!(ask("feeder").unwrap().label_key, "feeder".parse().ok());
        assert!(ask("Feeder").unwrap_err().to_string().starts_with("label_key: \"Feeder\" is no key of a label"));
        let count = InventoryCount { listed: 3, unlisted: 1 };
        let of = |key| {
            let found = InventoryCounts { counts: [(key, count)].into(), unknown_labels: Vec::new() };
            inventory(found, 4 << 20).unwrap().rows.remove(0)
        };
        let row = v1::InventoryRow { listed_count: 3, unlisted_count: 1, ..Default::default() };
        assert_eq!(of(InventoryKey::Label("F1".into())), v1::InventoryRow { label: "F1".into(), ..row.clone() });
        let kind = InventoryKey::Kind(OperatorId::new(12).unwrap(), Generation::Smets2, "M".into());
        assert_eq!(of(kind), v1::InventoryRow { operator: 12, generation: 2, model: "M".into(), ..row });
    }

    #[test]
    fn stretches_are_in_order_and_apart() {
        let span = |start_ms, end_ms| v1::Span { start_ms, end_ms };
        let asked = |spans| device_query(v1::QueryDeviceCountsRequest { spans, ..Default::default() });
        assert_eq!(asked(vec![span(0, 5), span(5, 9)]).unwrap().spans, [0..5, 5..9]);
        let wrong = [
            (vec![], "spans: 0 stretches"),
            (vec![span(5, 5)], "spans[0]: 5 (1970-01-01T00:00:00.005Z) to 5 ("),
            (vec![span(0, 5), span(4, 9)], "spans[1]: 4 (1970-01-01T00:00:00.004Z) to 9 ("),
            (vec![span(0, 1); SPANS_MAX + 1], "spans: 1001 stretches"),
        ];
        for (spans, words) in wrong {
            let why = asked(spans).unwrap_err().to_string();
            assert!(why.starts_with(words), "{why}");
        }
        let cut = |cuts_ms| {
            let spans = vec![span(0, 5)];
            device_query(v1::QueryDeviceCountsRequest { spans, cuts_ms, ..Default::default() })
        };
        assert_eq!(cut(vec![1, 3]).unwrap().cuts, [1, 3]);
        assert!(cut(vec![1, 3, 3]).unwrap_err().to_string().starts_with("cuts_ms[2]: 3 is not after 3"));
        assert!(cut(vec![0; SPANS_MAX + 1]).unwrap_err().to_string().starts_with("cuts_ms: 1001 times"));
    }
}
