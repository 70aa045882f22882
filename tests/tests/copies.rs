//! Promise of docs/duplicates.md: what is a copy is found however late it comes, nothing else is taken for one, and what cannot
//! be told is said; over restarts, kills, three days, and from a log that told copies by counters alone.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use serde_json::{Value, json};
use weir_host::{
    config::Config,
    domain::{
        Ack, Alert, Device, DeviceNo, Effects, Eui64, Generation, Group, Mark, ModelId, OperatorId, Position, Remark,
        Rows, SettingsNo,
    },
    pipeline::{Batch, Handle, Runner, acks_kept},
    store::Store,
};
use weir_tests::{
    disk::Disk,
    engine,
    host::{self, Host},
    workload::{NOW_MS, Random, plain},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const HOUR_MS: i64 = 3_600_000;

/// A host that is sent the files of `tests/cases`.
struct Cases {
    host: Host,
    _folder: tempfile::TempDir,
}

impl Cases {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start_with(BINARY, &folder.path().join("data"), &[host::KEEPS_ALL]);
        Self { host, _folder: folder }
    }

    /// Sends a file: how many were forwarded, how many were duplicates, and what was remarked.
    fn send(&self, name: &str) -> (u64, u64, Value) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(name);
        let sent = self.host.json(["alert", "send", path.to_str().unwrap(), "--json"]).remove(0);
        let count = |end: &str| sent["balance"][end].as_u64().unwrap();
        assert_eq!(count("forwarded") + count("duplicate"), count("received"), "{name}: {sent}");
        let mut remarks = sent["remarks"].clone();
        remarks.as_object_mut().unwrap().retain(|_, count| *count != 0);
        (count("forwarded"), count("duplicate"), remarks)
    }

    /// The log follows from itself, by the same rule.
    fn end(self) {
        assert_eq!(self.host.json(["verify", "run", "--json"]).remove(0)["verdict"], "same");
        assert_eq!(self.host.stop(), Some(0));
    }
}

#[test]
fn a_counter_of_the_dcc_ends_no_search_for_copies_of_the_meter() {
    let cases = Cases::new();
    assert_eq!(cases.send("dcc-counter.xml"), (3, 2, json!({})));
    let copies = cases.host.json(["alert", "list", "--duplicate", "--json"]);
    let positions: Vec<u64> = copies.iter().map(|copy| copy["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, [1, 4]);
    let of_the_dcc = &cases.host.json(["alert", "list", "--code", "N16", "--json"])[0]["alert"];
    assert_eq!(of_the_dcc["device_id"], "02-00-5E-10-00-00-A0-1F");
    assert_eq!(of_the_dcc["sender_id"], "02-00-5E-10-00-00-DC-01");
    assert_eq!(of_the_dcc["originator_counter"], 1_795_424_760_269_u64);
    assert_eq!(cases.send("dcc-counter.xml"), (0, 5, json!({})));
    cases.end();
}

#[test]
fn an_exchanged_meter_loses_no_outage_alert() {
    let cases = Cases::new();
    assert_eq!(cases.send("exchanged-before.csv"), (5, 0, json!({})));
    assert_eq!(cases.send("exchanged-after.csv"), (5, 0, json!({ "out_of_order": 5 })));
    assert_eq!(cases.send("exchanged-copies.csv"), (0, 2, json!({})));
    let counts = cases.host.json(["count", "--by", "code", "--json"]).remove(0);
    let of = |row: usize, end: &str| counts["rows"][row]["balance"][end].as_u64().unwrap();
    assert_eq!((&counts["rows"][0]["code"], of(0, "forwarded")), (&json!("8014"), 5));
    assert_eq!((&counts["rows"][1]["code"], of(1, "forwarded"), of(1, "duplicate")), (&json!("8F36"), 5, 2));
    cases.end();
}

#[test]
fn neither_a_high_counter_nor_a_flood_ends_the_search() {
    let cases = Cases::new();
    assert_eq!(cases.send("counter-goes-back.csv"), (4, 1, json!({ "out_of_order": 3 })));
    assert_eq!(cases.send("counter-highest.csv"), (3, 1, json!({ "out_of_order": 2 })));
    assert_eq!(cases.send("flood.csv"), (100, 0, json!({})));
    assert_eq!(cases.send("flood.csv"), (0, 100, json!({})));
    cases.end();
}

#[test]
fn an_alert_of_the_dcc_without_a_counter_is_told_by_its_document() {
    let cases = Cases::new();
    assert_eq!(cases.send("dcc-no-ids.xml"), (1, 0, json!({})));
    assert_eq!(cases.send("dcc-request-id.xml"), (1, 0, json!({})));
    let alerts = cases.host.json(["alert", "list", "--json"]);
    let found = |at: usize, name: &str| alerts[at]["alert"][name].clone();
    assert_eq!((found(0, "device_id"), found(0, "code")), ("02-00-5E-10-00-00-A0-1E".into(), "N16".into()));
    assert_eq!((found(0, "recipient_id"), found(0, "dcc_at_ms")), (Value::Null, 1_795_426_200_250_i64.into()));
    assert_eq!((found(1, "device_id"), found(1, "code")), ("02-00-5E-10-00-00-C0-0B".into(), "N24".into()));
    assert_eq!(found(1, "recipient_id"), "02-00-5E-10-00-00-05-01");
    assert_eq!((found(0, "originator_counter"), found(1, "originator_counter")), (Value::Null, Value::Null));
    assert_eq!(cases.send("dcc-no-ids.xml"), (0, 1, json!({})));
    assert_eq!(cases.send("dcc-request-id.xml"), (0, 1, json!({})));

    let nobody = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/dcc-nobody.xml");
    let refused = cases.host.weir(["alert", "send", nobody.to_str().unwrap(), "--json"]);
    let sent: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!((&sent["balance"]["received"], &sent["balance"]["rejected"]), (&1.into(), &1.into()));
    assert_eq!(refused.status.code(), Some(64));
    cases.end();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// A host on a disk, at a time that is moved by hand.
struct Moved {
    disk: Disk,
    now_ms: Arc<AtomicI64>,
    config: Config,
}

impl Moved {
    fn new() -> Self {
        Self { disk: Disk::default(), now_ms: Arc::new(AtomicI64::new(NOW_MS)), config: engine::config() }
    }

    fn start(&self) -> (Handle, Runner) {
        let now_ms = Arc::clone(&self.now_ms);
        engine::start_at(&self.disk, self.config.clone(), Arc::new(move || now_ms.load(Ordering::Relaxed))).unwrap()
    }

    fn pass(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

async fn send(handle: &Handle, alerts: &[Alert]) -> Ack {
    let batch = Batch { alerts: alerts.iter().copied().map(Ok).collect(), ..Batch::default() };
    handle.submit(batch).await.unwrap().await.unwrap().unwrap()
}

/// Forwarded, duplicate, out of order, maybe copies.
fn told(ack: &Ack) -> [u64; 4] {
    let remarks = |remark| ack.remarks.get(remark);
    [ack.balance.forwarded, ack.balance.duplicate, remarks(Remark::OutOfOrder), remarks(Remark::MaybeCopy)]
}

/// Alerts of a meter that happened at a time, a second apart.
fn alerts(device: u64, counters: std::ops::Range<u64>, at_ms: i64) -> Vec<Alert> {
    let alert = |counter| Alert { occurred_ms: Some(at_ms + counter as i64 * 1_000), ..plain(device, counter, 0x8014) };
    counters.map(alert).collect()
}

#[test]
fn copies_are_found_over_kills_and_restarts_and_said_to_be_in_doubt_after_three_days() {
    let mut moved = Moved::new();
    runtime().block_on(async {
        let (handle, runner) = moved.start();
        let first = alerts(1, 0..50, NOW_MS - HOUR_MS);
        assert_eq!(told(&send(&handle, &first).await), [50, 0, 0, 0]);
        handle.shutdown().await.unwrap();
        runner.join();

        // After a restart in good order, and after the power was cut.
        moved.pass(47 * HOUR_MS);
        let (handle, runner) = moved.start();
        assert_eq!(told(&send(&handle, &first).await), [0, 50, 0, 0], "undelivered alerts come two days later");
        let second = alerts(1, 50..60, NOW_MS + 46 * HOUR_MS);
        assert_eq!(told(&send(&handle, &second).await), [10, 0, 0, 0]);
        moved.disk = moved.disk.after_power_cut(&mut Random::new(1));
        drop(handle);
        runner.join();
        let (handle, runner) = moved.start();
        let both = [&first[..], &second[..]].concat();
        assert_eq!(told(&send(&handle, &both).await), [0, 60, 0, 0]);

        // What came before all that came in the last three days is forwarded and remarked; what happened since then is none
        // of that.
        moved.pass(26 * HOUR_MS);
        assert_eq!(told(&send(&handle, &both).await), [50, 10, 50, 50]);
        let late = alerts(1, 45..46, NOW_MS + 30 * HOUR_MS);
        assert_eq!(told(&send(&handle, &late).await), [1, 0, 1, 0]);
        handle.shutdown().await.unwrap();
        runner.join();
        let (handle, runner) = moved.start();
        assert_eq!(told(&send(&handle, &[&late[..], &second].concat()).await), [0, 11, 0, 0]);
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

/// More rows than are remembered: what is forgotten is said to be in doubt, the same after a restart.
#[test]
fn no_more_is_remembered_than_is_set() {
    let mut moved = Moved::new();
    moved.config.intake.copies_rows_max = 65_536;
    runtime().block_on(async {
        let (handle, runner) = moved.start();
        let of = |counters| alerts(1, counters, NOW_MS - 100 * HOUR_MS);
        for part in 0..20 {
            let part = of(part * 10_000..(part + 1) * 10_000);
            assert_eq!(told(&send(&handle, &part).await), [10_000, 0, 0, 0]);
        }
        let (oldest, latest) = (of(0..100), of(190_000..190_100));
        assert_eq!(told(&send(&handle, &latest).await), [0, 100, 0, 0]);
        handle.shutdown().await.unwrap();
        runner.join();
        let (handle, runner) = moved.start();
        assert_eq!(told(&send(&handle, &latest).await), [0, 100, 0, 0]);
        assert_eq!(told(&send(&handle, &oldest).await), [100, 0, 100, 100]);
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

/// A host before this one wrote down what it took for copies, by counters alone. It is not called a liar, and what it took is
/// remembered.
#[test]
fn a_log_that_told_copies_by_counters_alone_is_gone_on_with() {
    let moved = Moved::new();
    let device = |no: u64| Device::unlisted(Eui64(no));
    let taken = [alerts(1, 100..101, NOW_MS), alerts(1, 1..2, NOW_MS), alerts(1, 1..2, NOW_MS)].concat();
    let other = Alert { occurred_ms: Some(NOW_MS + 7), ..taken[1] };
    let mut rows = Rows::default();
    for alert in taken.iter().chain([&other]) {
        let times = (alert.occurred_ms.unwrap(), NOW_MS);
        rows.push(alert, times, DeviceNo(0), (OperatorId::UNKNOWN, Generation::Unknown, ModelId::UNKNOWN));
    }
    // The second of the same counter was too far back to be known; another with that counter was taken for a copy.
    let group = Group {
        first: Position(0),
        judged_ms: NOW_MS,
        rows,
        marks: vec![Mark::FORWARDED, Mark::DUPLICATE],
        mark: vec![0, 0, 0, 1],
        withheld: vec![0; 4],
        rejected: Vec::new(),
        faults: Vec::new(),
        shadows: Vec::new(),
        remembered_from: None,
        settings: SettingsNo::UNKNOWN,
    };
    let mut store = Store::with_backend(moved.disk.clone(), &moved.config.store, acks_kept(&moved.config)).unwrap();
    let devices = vec![(0, device(1))];
    let effects = Effects { group: Some(group), devices, position: Position(4), ..Effects::default() };
    store.commit(&effects).unwrap();
    store.close().unwrap();

    runtime().block_on(async {
        for _ in 0..2 {
            let (handle, runner) = moved.start();
            assert_eq!(told(&send(&handle, &taken).await), [0, 3, 0, 0]);
            handle.shutdown().await.unwrap();
            runner.join();
        }
        let (handle, runner) = moved.start();
        assert_eq!(told(&send(&handle, &[other, other]).await), [1, 1, 1, 0]);
        handle.shutdown().await.unwrap();
        runner.join();
    });
}
