use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::domain::{
    AlertCode, Balance, Cell, End, Eui64, Group, HOUR_MS, Mark, ModelId, Position, RejectReason, Rejected, Remark,
    Revision, Rows, SettingsNo, Tally,
};

fn group(first: u64, alerts: &[(i64, u16, Mark)]) -> Group {
    let mut rows = Rows::default();
    let mut marks: Vec<Mark> = Vec::new();
    let mut mark = Vec::new();
    for (received, code, m) in alerts {
        rows.device_no.push(0);
        rows.device.push(1);
        rows.recipient.push(0);
        rows.counter.push(0);
        rows.code.push(*code);
        rows.occurred_ms.push(*received);
        rows.received_ms.push(*received);
        rows.measurement.push(0);
        rows.weight.push(2);
        rows.flags.push(2);
        rows.operator.push(14);
        rows.model.push(ModelId::of("A").0);
        rows.dcc_ms.push(0);
        // Each alert is out of order, and those of code 2 are not plausible either.
        rows.remarks.push(if *code == 2 { 12 } else { 4 });
        let at = marks.iter().position(|known| known == m).unwrap_or_else(|| {
            marks.push(*m);
            marks.len() - 1
        });
        mark.push(at as u16);
    }
    let withheld = vec![1; rows.len()];
    Group {
        first: Position(first),
        judged_ms: 0,
        settings: SettingsNo::UNKNOWN,
        rows,
        marks,
        mark,
        withheld,
        rejected: Vec::new(),
        shadows: Vec::new(),
        remembered_from: None,
        faults: Vec::new(),
    }
}

const HELD: Mark = Mark { end: End::Suppressed, rule: Revision(1), reason: 1 };
const OVERRULED: Mark = Mark { end: End::Forwarded, rule: Revision(1), reason: 1 };

fn names() -> Names {
    Names {
        rules: [(Revision(1), "r".to_owned())].into_iter().collect(),
        models: [(ModelId::of("A"), "A".to_owned())].into_iter().collect(),
        families: Families::new(vec![(Position(0), odd(&[1, 3]))]),
    }
}

fn odd(codes: &[u16]) -> HashMap<AlertCode, String> {
    codes.iter().map(|code| (AlertCode(*code), "odd".to_owned())).collect()
}

fn ask(ledger: &Ledger, query: &CountQuery) -> CountTable {
    sum(ledger, query, usize::MAX).unwrap()
}

fn sum(ledger: &Ledger, query: &CountQuery, rows_max: usize) -> Result<CountTable, TooManyCountRows> {
    let mut sum = Summing::new(query, names(), rows_max);
    ledger.cells(check(query).unwrap()).try_for_each(|(hour, cells)| take_all(&mut sum, hour, cells))?;
    Ok(sum.finish(ledger.position()))
}

/// Adds the cells of an hour.
fn take_all(
    sum: &mut Summing<'_>,
    hour: u32,
    mut cells: impl Iterator<Item = (Cell, Tally)>,
) -> Result<(), TooManyCountRows> {
    cells.try_for_each(|counted| sum.take_one(hour, counted, Parties::default()))
}

fn filled() -> Ledger {
    let mut ledger = Ledger::default();
    let mut first =
        group(0, &[(0, 1, HELD), (1, 1, Mark::FORWARDED), (HOUR_MS, 2, Mark::DUPLICATE), (30 * HOUR_MS, 2, OVERRULED)]);
    first.rejected = vec![Rejected { reason: RejectReason::Code, code: None, hour: 1, count: 3 }];
    ledger.add(&first);
    ledger
}

#[test]
fn the_largest_rows_are_chosen_and_the_others_are_one_sum() {
    let ledger = filled();
    let by_hour = CountQuery { group_by: vec![Grouping::Hour], ..CountQuery::default() };
    let all = ask(&ledger, &by_hour);
    let table = ask(&ledger, &CountQuery { top: Some(1), ..by_hour.clone() });
    assert_eq!((table.rows.len(), table.total), (1, all.total));
    let (rows, rest) = table.rest.unwrap();
    assert_eq!(rows as usize, all.rows.len() - 1);
    assert_eq!(rest.balance.received() + table.rows[0].1.balance.received(), all.total.balance.received());
    let largest = all.rows.iter().map(|(_, counts)| counts.balance.received()).max().unwrap();
    assert_eq!(table.rows[0].1.balance.received(), largest);
    assert_eq!(ask(&ledger, &CountQuery { top: Some(99), ..by_hour }).rest, None);

    // By device: choosing first, with no more held than a number for each row, gives the same.
    let query = CountQuery { group_by: vec![Grouping::Device], top: Some(2), ..CountQuery::default() };
    let cell = |end| Cell { code: Some(1), operator: 0, generation: 0, model: 0, end, rule: Revision::NONE, reason: 0 };
    let counted = (cell(End::Forwarded), Tally { count: 1, ..Tally::default() });
    let of = |device| Parties { device: Eui64(device), ..Parties::default() };
    let alerts = [5, 7, 7, 9, 9, 9, 3].map(of);
    let mut plain = Summing::new(&query, names(), 10);
    alerts.iter().for_each(|alert| plain.take_one(0, counted, *alert).unwrap());
    let mut chosen = Summing::new(&query, names(), 2);
    let mut ranks = Ranks::new(4);
    alerts.iter().for_each(|alert| chosen.rank_one(&mut ranks, 0, counted, *alert).unwrap());
    assert_eq!(chosen.rank_one(&mut ranks, 0, counted, of(4)), Err(TooManyCountRows));
    chosen.choose(ranks, 2);
    alerts.iter().for_each(|alert| chosen.take_one(0, counted, *alert).unwrap());
    let table = chosen.finish(Position(1));
    assert_eq!(table, plain.finish(Position(1)));
    let devices: Vec<_> = table.rows.iter().map(|(key, counts)| (key.device, counts.balance.forwarded)).collect();
    assert_eq!(devices, [(Some(Eui64(9)), 3), (Some(Eui64(7)), 2)]);
    assert_eq!(table.rest.map(|(rows, counts)| (rows, counts.balance.forwarded)), Some((2, 2)));
}

#[test]
fn codes_are_grouped_by_family() {
    let ledger = filled();
    let by = |group_by: &[Grouping]| {
        let query = CountQuery { group_by: group_by.to_vec(), ..CountQuery::default() };
        ask(&ledger, &query).rows
    };
    let families = by(&[Grouping::Family]);
    let names: Vec<_> = families.iter().map(|(key, _)| key.family.clone().unwrap()).collect();
    assert_eq!(names, ["", "odd"]);
    let odd: u64 = by(&[Grouping::Code])
        .iter()
        .filter(|(key, _)| matches!(key.code, Some(Some(AlertCode(1 | 3)))))
        .map(|(_, counts)| counts.balance.received())
        .sum();
    assert_eq!(families[1].1.balance.received(), odd);
}

/// Counted by the books under the oldest table, and then moved: what each alert was logged under counts.
#[test]
fn an_alert_that_was_logged_under_another_table_is_of_the_family_it_had_there() {
    let query = CountQuery { group_by: vec![Grouping::Family], ..CountQuery::default() };
    let families = || Families::new(vec![(Position(0), odd(&[1])), (Position(5), odd(&[2]))]);
    let cell =
        |code, end| Cell { code: Some(code), operator: 0, generation: 0, model: 0, end, rule: Revision(1), reason: 1 };
    let one = Tally { count: 1, represented: 3, withheld: 2, ..Tally::default() };
    let mut sum = Summing::new(&query, Names { families: families(), ..names() }, 10);
    let logged = [(1, End::Forwarded, 4), (1, End::Forwarded, 5), (1, End::Suppressed, 6), (2, End::Suppressed, 7)];
    for (code, end, _) in logged {
        sum.take_one(0, (cell(code, end), one), Parties::default()).unwrap();
    }
    sum.take_one(0, (cell(2, End::Rejected), one), Parties::default()).unwrap();
    for (code, end, position) in logged {
        let parties = Parties { position: Some(Position(position)), ..Parties::default() };
        sum.relocate(0, (cell(code, end), one), parties).unwrap();
    }
    let table = sum.finish(Position(8));
    let row = |at: usize| {
        let (key, counts) = &table.rows[at];
        let Balance { forwarded, suppressed, rejected, .. } = counts.balance;
        (key.family.as_deref().unwrap(), [forwarded, suppressed, rejected], counts.represented, counts.overruled)
    };
    assert_eq!((row(0), row(1)), (("", [1, 1, 0], 6, 1), ("odd", [1, 1, 1], 9, 1)));
    assert_eq!((table.rows.len(), table.total.balance.received(), table.total.represented), (2, 5, 15));
    // A row that all was moved out of is no row.
    let mut sum = Summing::new(&query, Names { families: families(), ..names() }, 2);
    sum.take_one(0, (cell(1, End::Forwarded), one), Parties::default()).unwrap();
    let parties = Parties { position: Some(Position(5)), ..Parties::default() };
    sum.relocate(0, (cell(1, End::Forwarded), one), parties).unwrap();
    assert_eq!(sum.finish(Position(8)).rows.len(), 1);
}

#[test]
fn every_answer_balances_and_its_rows_add_up() {
    let ledger = filled();
    let all = [
        Grouping::Code,
        Grouping::Rule,
        Grouping::Operator,
        Grouping::Generation,
        Grouping::Model,
        Grouping::Hour,
        Grouping::Rejection,
    ];
    for count in 0..=all.len() {
        let table = ask(&ledger, &CountQuery { group_by: all[..count].to_vec(), ..CountQuery::default() });
        let sum: u64 = table.rows.iter().map(|(_, counts)| counts.balance.received()).sum();
        assert_eq!((sum, table.total.balance.received()), (7, 7));
        assert_eq!(table.total.overruled, 1);
        assert_eq!(table.total.represented, 4 * 2 + 3);
        assert_eq!((table.total.remarks.get(Remark::OutOfOrder), table.total.remarks.get(Remark::Implausible)), (4, 2));
        assert_eq!(table.rows.iter().map(|(_, counts)| counts.remarks.get(Remark::Implausible)).sum::<u64>(), 2);
    }
}

#[test]
fn an_answer_is_given_up_at_the_first_row_too_many() {
    let ledger = filled();
    let by_hour = CountQuery { group_by: vec![Grouping::Hour, Grouping::Code], ..CountQuery::default() };
    let rows = ask(&ledger, &by_hour).rows.len();
    assert_eq!(sum(&ledger, &by_hour, rows).unwrap().rows.len(), rows);
    assert_eq!(sum(&ledger, &by_hour, rows - 1), Err(TooManyCountRows));
    // What is not asked for takes up no room.
    let one = CountQuery { codes: vec![AlertCode(1)], ..by_hour };
    assert_eq!(sum(&ledger, &one, 1).unwrap().total.balance.received(), 2);
}

#[test]
fn revisions_of_one_rule_are_one_row() {
    let other = Mark { rule: Revision(2), ..HELD };
    let unnamed = Mark { rule: Revision(9), ..HELD };
    let mut ledger = Ledger::default();
    ledger.add(&group(0, &[(0, 1, HELD), (0, 1, other), (0, 1, unnamed), (0, 1, Mark::FORWARDED)]));
    let names = Names { rules: [1, 2].map(|number| (Revision(number), "r".to_owned())).into(), ..names() };
    let query = CountQuery { group_by: vec![Grouping::Rule], ..CountQuery::default() };
    let mut sum = Summing::new(&query, names, 2);
    ledger.cells(0..9).try_for_each(|(hour, cells)| take_all(&mut sum, hour, cells)).unwrap();
    let rows = sum.finish(ledger.position()).rows;
    let rows: Vec<_> = rows.into_iter().map(|(key, counts)| (key.rule.unwrap(), counts.balance.received())).collect();
    assert_eq!(rows, [(String::new(), 2), ("r".to_owned(), 2)]);
}

#[test]
fn filters_and_hours_narrow_the_answer() {
    let ledger = filled();
    let received = |query: CountQuery| ask(&ledger, &query).total.balance.received();
    assert_eq!(received(CountQuery { codes: vec![AlertCode(1)], ..CountQuery::default() }), 2);
    assert_eq!(received(CountQuery { rule: Some("r".into()), ..CountQuery::default() }), 2);
    assert_eq!(received(CountQuery { models: vec!["A".into()], ..CountQuery::default() }), 4);
    assert_eq!(received(CountQuery { models: vec![String::new()], ..CountQuery::default() }), 3);
    assert_eq!(received(CountQuery { until_ms: Some(HOUR_MS), ..CountQuery::default() }), 2);
    assert_eq!(received(CountQuery { since_ms: Some(HOUR_MS), ..CountQuery::default() }), 5);
    let by_day = ask(&ledger, &CountQuery { group_by: vec![Grouping::Day], ..CountQuery::default() });
    let days: Vec<_> = by_day.rows.iter().map(|(key, counts)| (key.start_ms, counts.balance.received())).collect();
    assert_eq!(days, [(Some(0), 6), (Some(24 * HOUR_MS), 1)]);
}

#[test]
fn times_inside_an_hour_and_double_groupings_are_refused_by_field() {
    let odd = CountQuery { since_ms: Some(1), ..CountQuery::default() };
    assert_eq!(check(&odd).unwrap_err().field, "since_ms");
    let twice = CountQuery { group_by: vec![Grouping::Code, Grouping::Code], ..CountQuery::default() };
    assert_eq!(check(&twice).unwrap_err().field, "group_by");
    let both = CountQuery { group_by: vec![Grouping::Hour, Grouping::Day], ..CountQuery::default() };
    assert_eq!(check(&both).unwrap_err().field, "group_by");
    let backwards = CountQuery { since_ms: Some(HOUR_MS), until_ms: Some(0), ..CountQuery::default() };
    assert_eq!(check(&backwards).unwrap_err().field, "until_ms");
}

#[test]
fn hours_read_back_count_each_group_once() {
    let groups = [group(0, &[(0, 1, HELD)]), group(1, &[(5, 1, HELD), (HOUR_MS, 1, HELD)]), group(3, &[(7, 1, HELD)])];
    let mut whole = Ledger::default();
    groups.iter().for_each(|group| whole.add(group));

    let mut written = Ledger::default();
    groups[..2].iter().for_each(|group| written.add(group));
    let page = written.due(Position(9), 1).remove(0);
    assert_eq!((page.hour, page.as_of), (0, Position(3)));
    assert_eq!(written.oldest_dirty(Position(3)), Position(1));

    let mut again = Ledger::new(Position(0));
    again.restore(0, Some(page));
    assert_eq!(again.missing(&groups[1]), [1]);
    groups.iter().for_each(|group| again.add(group));
    assert_eq!(again.pages(), whole.pages());
}

#[test]
fn old_hours_leave_memory_only_when_written() {
    let mut ledger = Ledger::default();
    for hour in 0..200 {
        ledger.add(&group(hour, &[(hour as i64 * HOUR_MS, 1, HELD)]));
    }
    assert_eq!(ledger.pages().len(), 200);
    assert_eq!(ledger.due(Position(200), 1000).len(), 200);
    ledger.add(&group(200, &[(0, 1, HELD)]));
    assert!(ledger.pages().len() <= 73, "{}", ledger.pages().len());
}

proptest! {
    /// The hours that are due, and since when, against a plain list of them.
    #[test]
    fn what_is_to_be_written_is_known_without_a_walk(
        steps in prop::collection::vec((prop::collection::vec(0_i64..12, 1..4), 0_u64..40, 0_usize..5), 1..40),
    ) {
        let mut ledger = Ledger::default();
        let mut dirty: Vec<(u64, u32)> = Vec::new();
        let mut first = 0;
        for (hours, before, hours_max) in steps {
            let alerts: Vec<_> = hours.iter().map(|hour| (hour * HOUR_MS, 1, HELD)).collect();
            for hour in ledger.missing(&group(first, &alerts)) {
                ledger.restore(hour, None);
            }
            ledger.add(&group(first, &alerts));
            for hour in hours.iter().map(|hour| *hour as u32) {
                if dirty.iter().all(|(_, known)| *known != hour) {
                    dirty.push((first, hour));
                }
            }
            first += alerts.len() as u64;
            dirty.sort_unstable();
            prop_assert_eq!(ledger.oldest_dirty(Position(999)).0, dirty.first().map_or(999, |(since, _)| *since));
            let due = dirty.iter().take_while(|(since, _)| *since <= before).take(hours_max).count();
            let expected: Vec<u32> = dirty.drain(..due).map(|(_, hour)| hour).collect();
            let found: Vec<u32> = ledger.due(Position(before), hours_max).iter().map(|page| page.hour).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_hundred_thousand_hours_to_be_written_cost_a_group_nothing() {
    let mut ledger = Ledger::default();
    for hour in 0..100_000 {
        ledger.add(&group(hour, &[(hour as i64 * HOUR_MS, 1, HELD)]));
        assert_eq!(ledger.oldest_dirty(Position(0)), Position(0));
    }
    let alerts: Vec<_> = (0..50_000).map(|hour| ((200_000 + hour) * HOUR_MS, 1, HELD)).collect();
    assert_eq!(ledger.missing(&group(100_000, &alerts)).len(), 50_000);
    for written in 0..100_000 / 64 {
        assert_eq!(ledger.due(Position(u64::MAX), 64)[0].hour, written * 64);
    }
}
