//! Promise 2: the books balance, for every query, over random streams with copies, bad alerts, failing rules and rules
//! that change midway.

use proptest::prelude::*;
use weir_host::{
    books::{CountQuery, Grouping},
    domain::{AlertCode, End, Generation, HOUR_MS, OperatorId},
    pipeline::{Handle, Refusal},
};
use weir_tests::{
    disk::Disk,
    engine::{self, compare},
    model::{Entry, Model},
    workload::{CODES, NOW_MS, Size, steps, together},
};

const SIZE: Size = Size { steps: 30, devices: 200, batch: 150 };

const GROUPINGS: [Grouping; 7] = [
    Grouping::Code,
    Grouping::Rule,
    Grouping::Operator,
    Grouping::Generation,
    Grouping::Model,
    Grouping::Hour,
    Grouping::Rejection,
];

/// A query, and which log entries it must count; `None` where rejected ones count too.
fn query() -> impl Strategy<Value = CountQuery> {
    let groups = proptest::sample::subsequence(GROUPINGS.to_vec(), 0..=4).prop_shuffle();
    let codes = proptest::sample::subsequence(CODES.to_vec(), 0..=2);
    let operators = proptest::sample::subsequence(vec![0_u32, 10, 14, 23], 0..=2);
    let generations = proptest::sample::subsequence(vec![Generation::Unknown, Generation::Smets1], 0..=1);
    let rule = proptest::option::weighted(0.2, proptest::sample::select(vec!["hold".to_owned(), "every".to_owned()]));
    let hours = proptest::option::weighted(0.3, (0_i64..30, 0_i64..30));
    (groups, codes, operators, generations, rule, hours).prop_map(
        |(group_by, codes, operators, generations, rule, hours)| {
            let hour = |back: i64| (NOW_MS / HOUR_MS - back) * HOUR_MS;
            CountQuery {
                group_by,
                codes: codes.into_iter().map(AlertCode).collect(),
                rule,
                operators: operators.into_iter().filter_map(OperatorId::new).collect(),
                generations,
                models: Vec::new(),
                since_ms: hours.map(|(a, b)| hour(a.max(b))),
                until_ms: hours.map(|(a, b)| hour(a.min(b))),
                top: None,
                ..CountQuery::default()
            }
        },
    )
}

fn balanced(handle: &Handle, model: &Model, query: &CountQuery) {
    let table = match handle.counts(query) {
        Ok(table) => table,
        Err(refusal) => {
            // Of a rule that never was there is nothing to count.
            assert!(matches!(&refusal, Refusal::Invalid { field, .. } if field == "rule"), "{query:?}: {refusal}");
            assert!(model.log.iter().all(|entry| query.rule.as_deref() != Some(entry.rule)), "{query:?}: {refusal}");
            return;
        }
    };
    let mut sum = weir_host::domain::Balance::default();
    for (_, counts) in &table.rows {
        sum.forwarded += counts.balance.forwarded;
        sum.suppressed += counts.balance.suppressed;
        sum.rejected += counts.balance.rejected;
        sum.duplicate += counts.balance.duplicate;
    }
    assert_eq!(sum, table.total.balance, "{query:?}");
    if query.since_ms.is_none() && query.generations.is_empty() {
        let expected = |end: End| model.log.iter().filter(|entry| entry.end == end && wanted(query, entry)).count();
        let found = (sum.forwarded, sum.suppressed, sum.duplicate);
        let expected = [End::Forwarded, End::Suppressed, End::Duplicate].map(|end| expected(end) as u64);
        assert_eq!(found, (expected[0], expected[1], expected[2]), "{query:?}");
    }
}

fn wanted(query: &CountQuery, entry: &Entry) -> bool {
    let operator = OperatorId::new(entry.operator).expect("a distributor id");
    (query.codes.is_empty() || query.codes.contains(&AlertCode(entry.code)))
        && (query.operators.is_empty() || query.operators.contains(&operator))
        && query.rule.as_ref().is_none_or(|rule| rule == entry.rule)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn received_is_forwarded_and_suppressed_and_rejected_and_duplicate(
        seed in any::<u64>().no_shrink(),
        queries in proptest::collection::vec(query(), 20),
    ) {
        let disk = Disk::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (handle, runner, groups) = engine::start_grouped(&disk, engine::config()).unwrap();
            handle.set_rule(engine::rule("frail", 1, 2)).await.unwrap();
            // What a shadow says changes nothing, and a shadow that fails neither.
            handle.set_rule(engine::shadow("shade", "every", 2, 1)).await.unwrap();
            handle.set_rule(engine::shadow("frail-shade", "frail", 1, 1)).await.unwrap();
            let mut model = Model::default();
            for (at, together) in together(seed, &steps(seed, SIZE)).into_iter().enumerate() {
                groups.perform(&handle, together, 0).await.unwrap();
                together.iter().for_each(|step| model.fold(step));
                balanced(&handle, &model, &queries[at % queries.len()]);
            }
            queries.iter().for_each(|query| balanced(&handle, &model, query));
            compare(&handle, &model, SIZE.devices, &format!("seed {seed}")).await;
            handle.shutdown().await.unwrap();
            runner.join();
        });
    }
}
