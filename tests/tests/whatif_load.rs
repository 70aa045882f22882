//! A question over the past while alerts arrive, through the real binary: its progress moves, it ends when it is
//! cancelled, a kill under it loses nothing that was acknowledged, and after it the question is what it says it is.
//! What that costs those who send is `cargo xtask bench whatif-load`.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use weir_tests::host::Host;

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// Groups of the log before anything is asked, and the alerts of each.
const GROUPS: u64 = 300;
const GROUP_ALERTS: u64 = 200;
const RECORDED: u64 = GROUPS * GROUP_ALERTS;

/// How long a question that is cancelled may go on.
const CANCEL_MS_MAX: i64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Small groups, and a question that has a share of a processor: of a hundredth there is time to look at it.
fn start(data: &Path, percent: &str) -> Host {
    let small = [("WEIR_GROUP__ALERTS_MAX", "200"), ("WEIR_INTAKE__BATCH_ALERTS_MAX", "200")];
    Host::start_with(BINARY, data, &[&small[..], &[("WEIR_WHATIF__CPU_PERCENT_MAX", percent)]].concat())
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Alerts of 8F40, half of them below 258.0 V, of as many devices as are in a group.
fn alerts(path: &Path, first_counter: u64, count: u64) {
    let row = |nth: u64| {
        let (device, counter) = (nth % GROUP_ALERTS + 1, first_counter + nth / GROUP_ALERTS);
        format!("00-0D-6F-00-00-00-00-{device:02X},{counter},8F40,{}\n", 2570 + device % 2 * 20)
    };
    let rows: String = (0..count).map(row).collect();
    fs::write(path, format!("device,counter,code,measurement_dv\n{rows}")).unwrap();
}

fn send(host: &Host, path: &Path) -> Value {
    host.json(["alert", "send", path.to_str().unwrap(), "--batch", "200", "--json"]).remove(0)
}

/// Asks what takes a while: storm protection beside the rule, in many variants, none of which holds back anything.
fn ask(host: &Host) -> u64 {
    let parameters = r#"{"more_than":100000,"window_s":3600,"period_s":3600}"#;
    let run = ["whatif", "run", "--rule", "storms", "--plugin", "storm", "--parameters", parameters];
    let sweep = ["--sweep", "more_than=100000..100031:1", "--detach", "--json"];
    host.json([&run[..], &sweep].concat())[0]["id"].as_u64().unwrap()
}

/// Says that it is time to stop when it goes, by whichever way.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn question(host: &Host, id: u64) -> Value {
    let all = host.json(["whatif", "list", "--json"]);
    all.into_iter().find(|question| question["id"] == id).unwrap()
}

/// Waits until a question has got further, some times over, and is not at its end.
fn moving(host: &Host, id: u64) {
    let (until, mut seen) = (Instant::now() + PATIENCE, Vec::new());
    while seen.len() < 3 {
        let question = question(host, id);
        let rows = question["rows_done"].as_u64().unwrap();
        assert!(["waiting", "running"].contains(&question["stage"].as_str().unwrap()), "{question}");
        if rows > seen.last().copied().unwrap_or(0) {
            seen.push(rows);
        }
        assert!(seen.is_sorted() && Instant::now() < until, "{seen:?}: {question}");
    }
}

/// Waits until a question is over.
fn over(host: &Host, id: u64) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let question = question(host, id);
        if !["waiting", "running"].contains(&question["stage"].as_str().unwrap()) {
            return question;
        }
        assert!(Instant::now() < until, "{question}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_question_beside_arriving_alerts_moves_is_cancelled_and_is_asked_again_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let host = start(&data, "1");
    for plugin in [env!("WEIR_GUEST_THRESHOLD"), env!("WEIR_GUEST_STORM")] {
        host.json(["plugin", "push", plugin, "--json"]);
    }
    let parameters = r#"{"codes":["8F40"],"below_dv":2580}"#;
    host.json(["rule", "set", "voltage", "--plugin", "threshold", "--parameters", parameters, "--json"]);
    let recorded = folder.path().join("recorded.csv");
    alerts(&recorded, 1, RECORDED);
    assert_eq!(send(&host, &recorded)["balance"]["suppressed"], RECORDED / 2);

    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let id = thread::scope(|scope| {
        let live = folder.path().join("live.csv");
        let (host, stop, acknowledged) = (&host, &stop, &acknowledged);
        scope.spawn(move || {
            for round in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                alerts(&live, 1_000 + round * 5, 5 * GROUP_ALERTS);
                let balance = send(host, &live)["balance"].clone();
                assert_eq!((&balance["forwarded"], &balance["suppressed"]), (&json!(500), &json!(500)));
                acknowledged.fetch_add(5 * GROUP_ALERTS, Ordering::Relaxed);
            }
        });
        // The one who sends stops with the scope, also where something is found to be wrong.
        let _stops = Stops(stop);
        let id = ask(host);
        moving(host, id);
        assert!(acknowledged.load(Ordering::Relaxed) > 0, "alerts arrived meanwhile");
        let cancelled_ms = now_ms();
        host.json(["whatif", "cancel", &id.to_string(), "--json"]);
        let cancelled = over(host, id);
        assert_eq!(cancelled["stage"], "cancelled", "{cancelled}");
        let took_ms = cancelled["ended_at_ms"].as_i64().unwrap() - cancelled_ms;
        assert!(took_ms < CANCEL_MS_MAX, "it went on for {took_ms} ms");
        let id = ask(host);
        moving(host, id);
        id
    });
    let acknowledged = acknowledged.into_inner();
    moving(&host, id);
    host.kill();

    let host = start(&data, "100");
    let question = question(&host, id);
    assert_eq!((&question["stage"], &question["answer_digest"]), (&json!("interrupted"), &json!("")), "{question}");
    let again = host.json(["whatif", "run", "--again", &id.to_string(), "--json"]).remove(0);
    let all = RECORDED + acknowledged;
    let now = &again["answer"]["now"];
    assert_eq!((&now["forwarded"], &now["suppressed"]), (&json!(all / 2), &json!(all / 2)));
    let outcomes = again["answer"]["outcomes"].as_array().unwrap();
    assert!(outcomes.len() == 32 && outcomes.iter().all(|outcome| outcome["then"]["forwarded"] == all / 2));
    let counted = host.json(["count", "--json"]).remove(0)["total"]["balance"].clone();
    let balance = json!({
        "received": all, "forwarded": all / 2, "suppressed": all / 2, "rejected": 0, "duplicate": 0,
    });
    assert_eq!(counted, balance, "what was acknowledged before the kill is there, once");
    assert_eq!(host.stop(), Some(0));
}
