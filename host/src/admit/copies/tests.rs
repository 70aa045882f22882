//! The rule of docs/duplicates.md, case by case and against lists that are searched from end to end.

use proptest::prelude::*;

use super::*;
use crate::domain::{Alert, Eui64, Generation, Message, ModelId, OperatorId, PayloadKind};

const METER: u64 = 0x0200_5E10_0000_A020;
const OTHER_METER: u64 = 0x0200_5E10_0000_A021;
const NETWORK: u64 = 0x0200_5E10_0000_0501;
const SUPPLIER: u64 = 0x0200_5E10_0000_0601;
const THE_DCC: u64 = 0x0200_5E10_0000_DC01;
const NOW: Millis = 1_795_000_000_000;

/// An alert of the meter, that happened at a second.
fn alert(code: u16, counter: u64, second: i64) -> Alert {
    Alert {
        device: Eui64(METER),
        recipient: Eui64(NETWORK),
        counter: Some(counter),
        code: AlertCode(code),
        occurred_ms: Some(NOW + second * 1_000),
        dcc_ms: None,
        received_ms: None,
        measurement: None,
        weight: 1,
        payload: PayloadKind::Dlms,
        details: Default::default(),
        generation: Generation::Unknown,
        message: Message::default(),
    }
}

fn untimed(alert: Alert) -> Alert {
    Alert { occurred_ms: None, ..alert }
}

fn with_bytes(alert: Alert, digest: u64) -> Alert {
    Alert { message: Message { digest, ..alert.message }, ..alert }
}

fn passed_on(alert: Alert, second: i64) -> Alert {
    Alert { dcc_ms: Some(NOW + second * 1_000), ..alert }
}

/// An alert of the DCC about a device, under a counter of its own.
fn of_the_dcc(code: u16, device: u64, counter: u64) -> Alert {
    let message = Message { sender: Eui64(THE_DCC), ..Message::default() };
    Alert { device: Eui64(device), message, ..untimed(alert(code, counter, 0)) }
}

/// What came of an alert: a copy, or remarks.
type Told = Result<Vec<Remark>, &'static str>;
const COPY: Told = Err("copy");
const NEW: Told = Ok(Vec::new());

fn late() -> Told {
    Ok(vec![Remark::OutOfOrder])
}

fn remarked(remarks: &[Remark]) -> Told {
    Ok(remarks.to_vec())
}

/// What a host remembers, and how far back.
struct Host {
    copies: Copies,
    memory: Memory,
    position: Position,
}

impl Host {
    fn new() -> Self {
        let memory = Memory { from: Position(0), since_ms: Millis::MIN };
        Self { copies: Copies::default(), memory, position: Position(0) }
    }

    fn take(&mut self, alerts: &[Alert]) -> Vec<Told> {
        let rows = rows(alerts);
        let is_protected = |code| code == 0x8F36;
        let sights = self.copies.note_rows(&rows, self.position, self.memory, is_protected, |_| Note::Judge);
        self.position = self.position.after(alerts.len());
        let told = |sight: Sight| if sight.copy { COPY } else { Ok(sight.remarks.iter().collect()) };
        sights.into_iter().map(told).collect()
    }

    fn one(&mut self, alert: Alert) -> Told {
        self.take(&[alert]).remove(0)
    }

    /// Everything so far was received before a second, and is forgotten.
    fn forget(&mut self, second: i64) {
        // Series are told apart by blocks: as if many rows of others had come since.
        let from = Position((self.position.0 / BLOCK_POSITIONS + 1) * BLOCK_POSITIONS);
        self.position = Position(from.0 + BLOCK_POSITIONS);
        self.memory = Memory { from, since_ms: NOW + second * 1_000 };
    }
}

fn rows(alerts: &[Alert]) -> Rows {
    let mut rows = Rows::default();
    for alert in alerts {
        let received_ms = alert.received_ms.unwrap_or(NOW);
        let times = (alert.occurred_ms.unwrap_or(received_ms), received_ms);
        let number = DeviceNo((alert.device.0 & 0xFF) as u32);
        rows.push(alert, times, number, (OperatorId::UNKNOWN, Generation::Unknown, ModelId::UNKNOWN));
    }
    rows
}

#[test]
fn counters_in_order_are_new_and_the_same_again_are_copies() {
    let mut host = Host::new();
    let file: Vec<Alert> = (0..100).map(|at| alert(0x8F40, 1_000 + at, at as i64 * 60)).collect();
    assert_eq!(host.take(&file), vec![NEW; 100]);
    assert_eq!(host.take(&file), vec![COPY; 100], "a file of 100 alerts of one meter sent twice");
    assert_eq!(host.one(alert(0x8F40, 1_100, 9_000)), NEW);
    assert_eq!(host.one(file[0]), COPY, "101 back");
}

#[test]
fn a_high_counter_does_not_end_the_search() {
    let mut host = Host::new();
    let found = host.take(&[1_000_000, 1, 1, 1].map(|counter| alert(0x8014, counter, 0)));
    assert_eq!(found, [NEW, late(), COPY, COPY]);
    let mut host = Host::new();
    let found = host.take(&[u64::MAX, 5, 5, 6, u64::MAX, 0, 0].map(|counter| alert(0x8014, counter, 0)));
    assert_eq!(found, [NEW, late(), COPY, late(), COPY, late(), COPY]);
    // Once it is forgotten, nothing is out of order for it.
    host.forget(10);
    let found = host.take(&[7, 8, 8].map(|counter| alert(0x8014, counter, 20)));
    assert_eq!(found, [NEW, NEW, COPY]);
}

#[test]
fn an_exchanged_meter_that_counts_from_1_loses_nothing() {
    let mut host = Host::new();
    let before: Vec<Alert> = (1..=5).map(|at| alert(0x8014, at, at as i64)).collect();
    let after: Vec<Alert> = (1..=5).map(|at| alert(0x8F36, at, 300 + at as i64)).collect();
    assert_eq!(host.take(&before), vec![NEW; 5]);
    assert_eq!(host.take(&after), vec![late(); 5]);
    assert_eq!(host.take(&after[3..]), [COPY, COPY]);
    // The same code at another time, and another code at the same time.
    assert_eq!(host.take(&[alert(0x8F36, 3, 304), alert(0x8F35, 3, 303), after[2]]), [late(), late(), COPY]);
}

#[test]
fn supplier_and_operator_are_told_apart_and_so_are_devices_and_instructions() {
    let mut host = Host::new();
    let first = alert(0x8F34, 7, 0);
    let to_the_supplier = Alert { recipient: Eui64(SUPPLIER), ..first };
    let of_another = Alert { device: Eui64(OTHER_METER), ..first };
    assert_eq!(host.take(&[first, to_the_supplier, of_another]), [NEW, NEW, NEW]);
    assert_eq!(host.take(&[first, to_the_supplier, of_another]), [COPY, COPY, COPY]);
    let second = Alert { message: Message { instruction: 2, ..Message::default() }, ..first };
    assert_eq!(host.take(&[second, second]), [late(), COPY]);
}

#[test]
fn counters_of_the_dcc_never_meet_those_of_a_meter() {
    let mut host = Host::new();
    let (n16, stated) = (of_the_dcc(0xD010, METER, 1_795_424_760_269), alert(0x8F3E, 700, 0));
    assert_eq!(host.take(&[stated, stated, n16, alert(0x8F3E, 701, 600)]), [NEW, COPY, NEW, NEW]);
    // Nor do they where nobody says who counted, nor those of one sender those of another.
    let unnamed = Alert { message: Message::default(), ..n16 };
    let other = Alert { message: Message { sender: Eui64(9), ..Message::default() }, ..n16 };
    assert_eq!(host.take(&[unnamed, other, alert(0x8F3E, 702, 900)]), [NEW, NEW, NEW]);
    assert_eq!(host.take(&[n16, unnamed, other, alert(0x8F3E, 701, 600)]), vec![COPY; 4]);
    // A meter that is named as the sender of its own alert is a meter.
    let named = Alert { message: Message { sender: Eui64(METER), ..Message::default() }, ..stated };
    assert_eq!(host.one(named), COPY);
}

#[test]
fn the_same_with_other_bytes_is_forwarded_and_remarked() {
    let mut host = Host::new();
    let plain = alert(0x8014, 3, 0);
    assert_eq!(host.one(with_bytes(plain, 0xA0)), NEW);
    let other = remarked(&[Remark::OutOfOrder, Remark::OtherContent]);
    assert_eq!(host.take(&[0xA0, 0xB0, 0xA0, 0xB0].map(|digest| with_bytes(plain, digest))), [COPY, other, COPY, COPY]);
    assert_eq!(host.one(plain), COPY, "bytes are compared where both have them");
}

#[test]
fn without_a_time_the_bytes_decide_or_else_the_dccs_time() {
    let mut host = Host::new();
    let bytes = |digest, second| passed_on(with_bytes(untimed(alert(0x8F67, 3, 0)), digest), second);
    let other = remarked(&[Remark::OutOfOrder, Remark::OtherContent]);
    assert_eq!(host.take(&[bytes(0xA0, 0), bytes(0xA0, 300), bytes(0xB0, 0)]), [NEW, COPY, other]);
    let unclear = || remarked(&[Remark::OutOfOrder, Remark::MaybeCopy]);
    for unreliable in [false, true] {
        let mut host = Host::new();
        let known = alert(0x8F67, 3, 0);
        let time = Message { time: TimeStatus::Unreliable, ..Message::default() };
        let known = if unreliable { Alert { message: time, ..known } } else { untimed(known) };
        assert_eq!(host.take(&[0, 0, 300].map(|second| passed_on(known, second))), [NEW, COPY, unclear()]);
        assert_eq!(host.one(known), unclear(), "the DCC's time is not known");
        assert_eq!(host.one(known), COPY, "nor was it then");
        assert_eq!(host.one(with_bytes(known, 0xA0)), unclear(), "there is nothing to compare the bytes with");
    }
}

#[test]
fn without_a_counter_the_whole_document_decides_and_protected_codes_pass() {
    let mut host = Host::new();
    let document = |code, digest| with_bytes(Alert { counter: None, ..alert(code, 0, 0) }, digest);
    assert_eq!(host.take(&[document(0xD018, 7), document(0xD018, 7), document(0xD018, 8)]), [NEW, COPY, NEW]);
    let maybe = || remarked(&[Remark::MaybeCopy]);
    assert_eq!(host.take(&[document(0x8F36, 7); 3]), [NEW, maybe(), maybe()]);
    assert_eq!(host.take(&[document(0x8014, 0); 3]), vec![NEW; 3], "a row of a table is no document");
}

/// The DCC may tell of one outage again, and nothing says that it does.
#[test]
fn an_outage_under_another_counter_is_forwarded_and_remarked() {
    let mut host = Host::new();
    let outage =
        |counter, second: i64| Alert { occurred_ms: Some(NOW + second * 1_000), ..of_the_dcc(OUTAGE, METER, counter) };
    let maybe = || remarked(&[Remark::MaybeCopy]);
    assert_eq!(host.take(&[outage(90, 0), outage(91, 0), outage(92, 7_200), outage(91, 0)]), [NEW, maybe(), NEW, COPY]);
    let of_another_hub = Alert { device: Eui64(OTHER_METER), ..outage(90, 0) };
    assert_eq!(host.take(&[of_another_hub, of_another_hub]), [NEW, COPY]);
    // Two documents that do not say when it began.
    let unstated = |counter, second| passed_on(untimed(outage(counter, 0)), second);
    assert_eq!(host.take(&[unstated(95, 0), unstated(96, 60), unstated(96, 60)]), [NEW, maybe(), COPY]);
}

#[test]
fn what_was_forgotten_is_neither_a_copy_nor_silently_new() {
    let mut host = Host::new();
    host.take(&[alert(0x8014, 7, 0), untimed(alert(0x8F67, 8, 0))]);
    host.forget(3_600);
    let maybe = || remarked(&[Remark::MaybeCopy]);
    assert_eq!(host.take(&[alert(0x8014, 7, 0), untimed(alert(0x8F67, 8, 0))]), [maybe(), maybe()]);
    assert_eq!(host.one(alert(0x8014, 7, 0)), COPY, "now it is remembered");
    // What happened after all that is forgotten was received is none of it.
    assert_eq!(host.one(alert(0x8014, 6, 3_601)), late());
    let unreliable = Message { time: TimeStatus::Unreliable, ..Message::default() };
    let found = host.one(Alert { message: unreliable, ..alert(0x8014, 5, 3_601) });
    assert_eq!(found, remarked(&[Remark::OutOfOrder, Remark::MaybeCopy]));
    // A meter that was not there then has nothing that is forgotten.
    let fresh = |counter| Alert { device: Eui64(OTHER_METER), ..untimed(alert(0x8F67, counter, 0)) };
    assert_eq!(host.take(&[fresh(9), fresh(8)]), [NEW, late()]);
    // A document that the DCC passed on since then is none of those before.
    let document = |digest| with_bytes(Alert { counter: None, ..untimed(alert(0xD018, 0, 0)) }, digest);
    assert_eq!(host.take(&[passed_on(document(7), 3_601), passed_on(document(8), 3_600)]), [NEW, maybe()]);
}

#[test]
fn a_ninth_recipient_hides_no_copy() {
    let mut host = Host::new();
    let to = |recipient: u64, counter| Alert { recipient: Eui64(recipient), ..alert(0x8F34, counter, 0) };
    for recipient in 1..=9 {
        assert_eq!(host.one(to(recipient, 100)), NEW, "recipient {recipient}");
    }
    // The third was forgotten, and begins again below where it was.
    assert_eq!(host.take(&[to(3, 50), to(3, 100), to(3, 100), to(9, 100), to(1, 100)]), [NEW, COPY, COPY, COPY, COPY]);
    assert_eq!(host.copies.series_of(DeviceNo((METER & 0xFF) as u32)).count(), 8);
    host.forget(10);
    let maybe = || remarked(&[Remark::MaybeCopy]);
    assert_eq!(host.take(&[to(3, 100), to(7, 200), to(4, 100)]), [maybe(), maybe(), maybe()]);
    assert_eq!(host.one(Alert { occurred_ms: Some(NOW + 20_000), ..to(5, 101) }), NEW);
}

#[test]
fn a_flood_of_one_meter_is_remembered_whole_in_any_order() {
    let mut host = Host::new();
    let mut flood: Vec<Alert> = (0..20_000).map(|at| alert(0x8F40, at, at as i64)).collect();
    assert_eq!(host.take(&flood), vec![NEW; 20_000]);
    flood.reverse();
    assert_eq!(host.take(&flood), vec![COPY; 20_000]);
    assert_eq!(host.take(&[alert(0x8F40, 77, 78), alert(0x8F40, 20_000, 0)]), [late(), NEW]);
    // What comes after the table was made is in it.
    assert_eq!(host.take(&[alert(0x8F40, 20_000, 0), alert(0x8F40, 77, 78)]), [COPY, COPY]);
}

#[test]
fn series_come_back_as_they_were() {
    let mut host = Host::new();
    let device = DeviceNo((METER & 0xFF) as u32);
    for recipient in 1..=12 {
        let alert = Alert { recipient: Eui64(recipient), ..alert(0x8F34, recipient, 0) };
        assert_eq!(host.one(alert), NEW);
    }
    let kept: Vec<Series> = host.copies.series_of(device).copied().collect();
    assert_eq!(kept.len(), 8);
    let mut restored = Copies::default();
    kept.iter().for_each(|series| restored.restore(device, *series));
    assert_eq!(restored.series_of(device).copied().collect::<Vec<_>>(), kept);
}

/// Series of a store that told copies by counters alone: the top may be the DCC's, and nothing is out of order by it.
#[test]
fn a_window_of_before_makes_nothing_a_copy_and_nothing_out_of_order() {
    let mut host = Host::new();
    let device = DeviceNo((METER & 0xFF) as u32);
    host.copies.restore(device, Series { party: NETWORK, top: 1_795_424_760_269, ..Series::default() });
    host.position = Position(1_000);
    host.memory = Memory { from: Position(1_000), since_ms: NOW };
    let found = host.take(&[alert(0x8014, 7, 10), alert(0x8014, 8, 20), alert(0x8014, 7, 10), alert(0x8014, 5, -10)]);
    assert_eq!(found, [NEW, NEW, COPY, remarked(&[Remark::OutOfOrder, Remark::MaybeCopy])]);
}

/// What is remembered, as a list that is searched from end to end.
#[derive(Default)]
struct Model {
    kept: Vec<(u64, Alert)>,
}

impl Model {
    /// Whether an alert is a copy of one that was kept at a position or later.
    fn is_copy(&mut self, position: u64, from: u64, alert: Alert) -> bool {
        let same_time = |a: &Alert, b: &Alert| a.occurred_ms == b.occurred_ms;
        let who = |a: &Alert| (a.device, a.recipient, a.message.sender, a.code, a.message.instruction, a.counter);
        let copy = self.kept.iter().filter(|(at, _)| *at >= from).any(|(_, other)| {
            let (a, b) = (alert.message.digest, other.message.digest);
            let content = match (a, b, alert.occurred_ms) {
                (0, 0, Some(_)) => true,
                (0, 0, None) => alert.dcc_ms == other.dcc_ms,
                (0, _, None) | (_, 0, None) => false,
                (0, _, Some(_)) | (_, 0, Some(_)) => true,
                (a, b, _) => a == b,
            };
            who(&alert) == who(other) && same_time(&alert, other) && content
        });
        if !copy {
            self.kept.push((position, alert));
        }
        copy
    }
}

fn some_alert() -> impl Strategy<Value = Alert> {
    let who = (0..3_u64, 0..2_u64, prop_oneof![6 => Just(0_u64), 1 => Just(THE_DCC)]);
    let what = (prop_oneof![0..6_u64, 0..60_u64, Just(u64::MAX)], 0..2_u16, 0..2_u32);
    let when = (proptest::option::weighted(0.8, 0..3_i64), proptest::option::weighted(0.3, 0..2_i64), 0..3_u64);
    (who, what, when).prop_map(
        |((device, recipient, sender), (counter, code, instruction), (occurred, dcc, digest))| Alert {
            device: Eui64(METER + device),
            recipient: Eui64(NETWORK + recipient),
            occurred_ms: occurred.map(|second| NOW + second),
            dcc_ms: dcc.map(|second| NOW + second),
            message: Message { sender: Eui64(sender), instruction, digest, ..Message::default() },
            ..alert(0x8014 + code, counter, 0)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, in groups of any size, with anything forgotten in between.
    #[test]
    fn copies_are_what_a_search_of_everything_says(
        alerts in proptest::collection::vec(some_alert(), 1..400),
        group in 1..50_usize,
        kept in 20..300_u64,
    ) {
        let (mut host, mut model) = (Host::new(), Model::default());
        for group in alerts.chunks(group) {
            host.memory.from = Position(host.position.0.saturating_sub(kept));
            let first = host.position.0;
            let found: Vec<bool> = host.take(group).into_iter().map(|told| told == COPY).collect();
            let expected = (first..).zip(group).map(|(at, alert)| model.is_copy(at, host.memory.from.0, *alert));
            prop_assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }

    /// What is on record and what is found out lead to the same, whichever was taken for which group.
    #[test]
    fn a_record_is_remembered_as_it_was_found_out(
        alerts in proptest::collection::vec(some_alert(), 1..300),
        modes in proptest::collection::vec(0..2_u8, 300),
    ) {
        let (mut host, mut again) = (Host::new(), Host::new());
        for (alert, mode) in alerts.iter().zip(modes) {
            let copy = host.one(*alert) == COPY;
            if mode == 0 {
                let (rows, memory) = (rows(&[*alert]), again.memory);
                again.copies.note_rows(&rows, again.position, memory, |_| false, |_| Note::Obey { copy });
                again.position = again.position.after(1);
            } else {
                prop_assert_eq!(again.one(*alert) == COPY, copy);
            }
        }
        for device in 0..3 {
            let device = DeviceNo(((METER + device) & 0xFF) as u32);
            let series = |host: &Host| host.copies.series_of(device).copied().collect::<Vec<_>>();
            prop_assert_eq!(series(&host), series(&again));
        }
    }
}
