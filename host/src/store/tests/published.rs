//! Fingerprints of every table's encoding, as this format was published.

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};

use super::{arbitrary, before, disk::Disk, fixtures::one_of_everything, open};

/// A store that is out there must be readable for ever. Who changes a number here changes a published encoding.
#[test]
fn the_published_encodings_stay() {
    fn fingerprint<K: redb::Key + 'static>(txn: &ReadTransaction, table: &str) -> (usize, u64) {
        let table = txn.open_table(TableDefinition::<K, &[u8]>::new(table)).unwrap();
        let values: Vec<u8> =
            table.iter().unwrap().flat_map(|entry| before::without_checksum(entry.unwrap().1.value())).collect();
        (values.len(), arbitrary::fingerprint(&values))
    }
    let disk = Disk::default();
    let mut store = open(&disk);
    store.commit(&one_of_everything()).unwrap();
    store.close().unwrap();
    let database = Database::builder().create_with_backend(disk).unwrap();
    let txn = database.begin_read().unwrap();
    let found = [
        ("log", fingerprint::<u64>(&txn, "log")),
        ("head", fingerprint::<u64>(&txn, "head")),
        ("device", fingerprint::<u32>(&txn, "device")),
        ("page", fingerprint::<u32>(&txn, "page")),
        ("hour", fingerprint::<u32>(&txn, "hour")),
        ("revision", fingerprint::<u32>(&txn, "revision")),
        ("plugin", fingerprint::<[u8; 32]>(&txn, "plugin")),
        ("batch", fingerprint::<(&str, &str, u64)>(&txn, "batch")),
        ("token", fingerprint::<&str>(&txn, "token")),
        ("audit", fingerprint::<u64>(&txn, "audit")),
        ("guard", fingerprint::<u32>(&txn, "guard")),
        ("settings", fingerprint::<u32>(&txn, "settings")),
        ("code_table", fingerprint::<u64>(&txn, "code_table")),
        ("label", fingerprint::<u32>(&txn, "label")),
        ("label_key", fingerprint::<u32>(&txn, "label_key")),
        ("label_value", fingerprint::<u32>(&txn, "label_value")),
        ("placement", fingerprint::<u32>(&txn, "placement")),
        ("tenure", fingerprint::<u64>(&txn, "tenure")),
    ];
    let published = [
        ("log", (379, 0xCAEB_69ED_0425_6C7B)),
        ("head", (46, 0xD6DB_0AD7_2C41_FAA0)),
        ("device", (120, 0x1583_6826_1E21_1AD8)),
        ("page", (370, 0x2476_718D_4EFC_3CC6)),
        ("hour", (462, 0x4234_A3EA_5C6E_DF8C)),
        ("revision", (268, 0x6B11_C29A_0C46_3518)),
        ("plugin", (186, 0x9D9E_03F9_8D0C_DBDF)),
        ("batch", (666, 0x8977_43A3_70EB_50F5)),
        ("token", (194, 0x9319_5471_2646_8A15)),
        ("audit", (172, 0xE8E6_B277_054E_DF59)),
        ("guard", (34, 0x7618_6791_3217_5B6B)),
        ("settings", (73, 0xE276_8626_6398_8A71)),
        ("code_table", (22, 0x00BC_60D8_1EBE_E4A5)),
        ("label", (25, 0x3A29_BCF6_54BE_D386)),
        ("label_key", (24, 0x9B3B_019A_D62F_67D3)),
        ("label_value", (27, 0xE556_3945_7500_87FF)),
        ("placement", (52, 0x6EDA_FE40_D5ED_6855)),
        ("tenure", (132, 0x2FF5_FDDF_B645_BB7A)),
    ];
    assert_eq!(found, published);
}
