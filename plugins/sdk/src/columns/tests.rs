//! A rule that counts, over columns written out by hand.

use super::*;
use crate::{Description, StateKey, testing};

crate::reasons! {
    enum Held { Even = "even", Big = "big" }
}

crate::state! {
    struct Seen { count: u64, last_device: u64 }
}

/// Counts per slot; holds back every second one, forwards the others for one.
struct Alternate;

impl Rule for Alternate {
    type State = Seen;
    type Reason = Held;
    const DESCRIPTION: Description = Description {
        name: "alternate",
        version: "0",
        summary: "",
        parameters_schema: "{}",
        state_key: StateKey::Device,
        state_version: 0,
        reads: Columns { device: true, measurement: true, operator: true, ..Columns::NONE },
    };

    fn new(_parameters: &str) -> Result<Self, String> {
        Ok(Self)
    }

    fn evaluate(&self, alert: &Alert, seen: &mut Seen) -> Verdict<Held> {
        seen.count += 1;
        seen.last_device = alert.device;
        match (alert.measurement, seen.count) {
            (Some(measurement), _) if measurement > 100 => Verdict::Suppress(Held::Big),
            (_, count) if count % 2 == 0 => Verdict::Suppress(Held::Even),
            (_, 1) => Verdict::Forward,
            _ => Verdict::ForwardFor { withheld: 1 },
        }
    }
}

fn three() -> Batch<'static> {
    Batch {
        device: &[1, 2, 1],
        slot: &[1, 0, 1],
        code: &[0x8F40; 3],
        occurred_ms: &[],
        measurement: &[0, 101, 0],
        weight: &[],
        flags: &[0, 1, 0],
        operator: &[0, 10, 99],
        model: &[],
    }
}

#[test]
fn alerts_of_one_slot_see_each_other_and_others_do_not() {
    let mut state = [0; 4];
    let outcome = evaluate_columns(&Alternate, &three(), &mut state).unwrap();
    assert_eq!(outcome, Outcome { verdict: vec![0, 2, 1], withheld: vec![] });
    assert_eq!(state, [1, 2, 2, 1], "slot 0: seen once, from device 2; slot 1: seen twice, from device 1");
}

#[test]
fn withheld_appears_only_when_an_alert_stands_for_others() {
    let mut state = [0, 0, 2, 1];
    let outcome = evaluate_columns(&Alternate, &three(), &mut state).unwrap();
    assert_eq!(outcome, Outcome { verdict: vec![0, 2, 1], withheld: vec![1, 0, 0] });
}

#[test]
fn an_empty_batch_has_an_empty_outcome() {
    assert_eq!(evaluate_columns(&Alternate, &Batch::default(), &mut []), Ok(Outcome::default()));
}

#[test]
fn a_slot_beyond_the_table_is_an_error() {
    let error = evaluate_columns(&Alternate, &three(), &mut [0; 3]).unwrap_err();
    assert_eq!(error, "alert 0: slot 1 lies beyond the state table of 1 entries");
    let far = Batch { slot: &[u32::MAX; 3], ..three() };
    assert!(evaluate_columns(&Alternate, &far, &mut [0; 4]).unwrap_err().contains("4294967295"));
}

#[test]
fn a_column_of_another_length_is_named() {
    let short = Batch { operator: &[1; 2], ..three() };
    let error = evaluate_columns(&Alternate, &short, &mut [0; 4]).unwrap_err();
    assert_eq!(error, "column operator has 2 entries where column code has 3");
}

/// A host of a later version may send more than was asked for.
#[test]
fn a_column_that_is_not_read_may_be_anything() {
    let (mut state, mut same) = ([0; 4], [0; 4]);
    let more = Batch { weight: &[7; 2], model: &[9; 3], ..three() };
    let outcome = evaluate_columns(&Alternate, &more, &mut state).unwrap();
    assert_eq!(outcome, evaluate_columns(&Alternate, &three(), &mut same).unwrap());
    let alert = more.alert(0, Alternate::DESCRIPTION.reads);
    assert_eq!((alert.weight, alert.model, alert.occurred_ms), (1, ModelId::UNKNOWN, 0));
}

#[test]
fn an_alert_is_what_its_columns_say() {
    let alert = three().alert(1, Alternate::DESCRIPTION.reads);
    assert_eq!((alert.device, alert.measurement, alert.operator), (2, Some(101), Some(10)));
    assert_eq!(three().alert(0, Alternate::DESCRIPTION.reads).measurement, None, "the flag decides, not the number");
    assert_eq!(three().alert(0, Alternate::DESCRIPTION.reads).operator, None);
}

/// Where a stream is cut into batches must not matter: the state carries all there is.
#[test]
fn batch_size_does_not_change_verdicts() {
    let alerts: Vec<Alert> = (0..24)
        .map(|i| Alert { measurement: Some(i % 7 * 20), ..testing::alert(i as u64 % 3, AlertCode(0x8F40)) })
        .collect();
    let whole = testing::run(&Alternate, &alerts);
    for size in [1, 2, 5, 23] {
        assert_eq!(testing::run_in_batches(&Alternate, &alerts, size), whole, "batches of {size}");
    }
}
