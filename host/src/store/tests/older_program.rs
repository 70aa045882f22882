//! Stores of programs of the same format that kept less.

use redb::TableDefinition;

use super::*;
use crate::domain::{CodeTableChange, Rule, RuleRevision};

#[test]
fn a_store_of_a_program_that_kept_no_tables_of_codes_is_given_that_table() {
    let disk = Disk::default();
    with_groups(&disk, 2).close().unwrap();
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    let txn = database.begin_write().unwrap();
    let name = sealed::AnyTable::name(&code_table::TABLE);
    assert!(txn.delete_table(TableDefinition::<u64, &[u8]>::new(name)).unwrap());
    txn.commit().unwrap();
    let shared = Shared::over(database);
    let mut progress = meta::read(&shared.begin_read().unwrap()).unwrap();
    assert_eq!(progress.rows.remove(name), Some(0));
    let txn = shared.begin_write(&progress).unwrap();
    meta::write(&txn, &progress).unwrap();
    txn.commit().unwrap();
    shared.close().unwrap();

    let mut store = open(&disk);
    assert_eq!((firsts(&store, 0), store.load().unwrap().code_tables), (vec![0, 3], Vec::new()));
    let change = |since, table: &str, dropped| CodeTableChange { since: Position(since), table: table.into(), dropped };
    let at = Position(6);
    let write = |change| Effects { code_table: Some(change), position: at, ..Effects::default() };
    store.commit(&write(change(0, "a", vec![]))).unwrap();
    store.commit(&write(change(6, "b", vec![Position(0)]))).unwrap();
    assert_eq!(store.load().unwrap().code_tables, [(at, "b".to_owned())]);
    let again = store.commit(&write(change(6, "c", vec![]))).unwrap_err();
    assert!(again.to_string().contains("code table at 6: there is one already"), "{again}");
}

#[test]
fn a_revision_of_before_there_were_ends_is_read() {
    let now = some_revision(1);
    let mut bytes = revision::encode(&now).as_bytes().to_vec();
    assert_eq!(bytes[0], 4);
    bytes[0] = 3;
    bytes.truncate(bytes.len() - 8);
    let rule = now.rule.clone().map(|rule| Rule { until_ms: None, ..rule });
    assert_eq!(revision::decode(1, &bytes), Ok(RuleRevision { rule, ..now }));
}
