//! Who may do what, through the real binary: every call in every role, what belongs to another operator, tokens, and
//! the audit log.

use std::{collections::BTreeMap, fs, thread, time::Duration};

use redb::{Database, ReadableDatabase, TableDefinition};
use serde_json::Value;
use tonic::{Code, Status, client::Grpc, codegen::http::uri::PathAndQuery, metadata::MetadataValue};
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use weir_tests::tenants::{self, EAST_DEVICE, LOND_DEVICE, Two, create, weir};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// Calls a path with an empty message, whatever it wants.
async fn call(url: &str, path: &str, token: Option<&str>) -> Result<(), Status> {
    let channel = tonic::transport::Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap();
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let mut request = tonic::Request::new(tokio_stream::iter([ServerReflectionRequest::default()]));
    if let Some(token) = token {
        let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let codec = tonic_prost::ProstCodec::<ServerReflectionRequest, ServerReflectionResponse>::default();
    let answer = grpc.streaming(request, PathAndQuery::try_from(path).unwrap(), codec).await;
    answer.map(drop)
}

/// Every call of the protocol and the roles that may make it: as docs/security.md has it, written down once more here.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let look = ["reader", "operator", "auditor", "admin"].to_vec();
    let change = ["operator", "admin"].to_vec();
    let send = ["ingest", "admin"].to_vec();
    let load = ["inventory", "admin"].to_vec();
    let lines = [
        ("ReadingService/PutReadings ReadingService/PutThresholds", ["inventory", "operator", "admin"].to_vec()),
        (
            "ReadingService/ListReadings ReadingService/GetReadingStatus ReadingService/ListThresholds \
             ReadingService/ListReadingModels",
            ["inventory", "reader", "operator", "auditor", "admin"].to_vec(),
        ),
        ("ReadingService/SetReadingModel", change.clone()),
        (
            "AlertService/StreamAlerts AlertService/SubmitAlerts AlertService/GetProducer \
             ProducerService/DeleteProducer",
            send,
        ),
        ("ProducerService/ListProducers", ["ingest", "reader", "operator", "auditor", "admin"].to_vec()),
        (
            "CodeService/ListCodes AlertService/GetIntakeLimits",
            ["ingest", "inventory", "reader", "operator", "auditor", "admin"].to_vec(),
        ),
        ("DeviceService/PutDevices", load),
        (
            "AlertService/ListAlerts CountService/QueryCounts DeviceService/GetDevice PluginService/ListPlugins \
             DeviceService/GetPointHistory DeviceService/ListPointTenures DeviceService/ListProposals \
             DeviceService/ListLabels",
            look.clone(),
        ),
        (
            "DeviceService/ListDevices ReportService/QueryDeviceCounts ReportService/QueryInventory \
             ReportService/ListRuleChanges ReportService/GetMigrationSignal ReadingService/GetReadingCoverage",
            look.clone(),
        ),
        ("PluginService/GetPlugin RuleService/ListRules RuleService/ListRuleRevisions TrialService/CompareRule", look),
        (
            "PluginService/UploadPlugin RuleService/SetRule RuleService/RemoveRule RuleService/RestoreRule",
            change.clone(),
        ),
        ("RuleService/ReleaseRule TrialService/PromoteRule PluginService/RemovePlugin", change),
        ("TokenService/CreateToken TokenService/RevokeToken PluginService/RevokePlugin", ["admin"].to_vec()),
        (
            "TokenService/ListTokens AuditService/ListAuditEntries AuditService/VerifyAudit",
            ["auditor", "admin"].to_vec(),
        ),
        (
            "AlertService/ExplainAlert AlertService/SubscribeForwarded CountService/WatchCounts CursorService/ListCursors",
            ["reader", "operator", "auditor", "admin"].to_vec(),
        ),
        ("CursorService/AdvanceCursor CursorService/DeleteCursor", ["reader", "operator", "admin"].to_vec()),
        ("WhatIfService/StartWhatIf WhatIfService/CancelWhatIf", ["operator", "admin"].to_vec()),
        (
            "WhatIfService/GetWhatIf WhatIfService/ListWhatIfs WhatIfService/WatchWhatIf",
            ["reader", "operator", "auditor", "admin"].to_vec(),
        ),
        ("VerifyService/StartVerification HostService/ConfirmClock", ["admin"].to_vec()),
        ("VerifyService/GetVerification HostService/GetHostStatus", ["reader", "auditor", "admin"].to_vec()),
    ];
    lines.into_iter().flat_map(|(calls, roles)| calls.split(' ').map(move |call| (call, roles.clone()))).collect()
}

#[test]
fn every_call_is_open_to_those_roles_that_it_is_for_and_closed_to_all_others() {
    let folder = tempfile::tempdir().unwrap();
    let (host, admin) = tenants::start(BINARY, &folder.path().join("data"));
    let roles: [(&str, &[&str]); 6] = [
        ("ingest", &["ingest"]),
        ("inventory", &["inventory"]),
        ("reader", &["reader"]),
        ("operator", &["operator", "--operator", "LOND"]),
        ("auditor", &["auditor"]),
        ("admin", &["admin"]),
    ];
    let tokens = roles.map(|(role, arguments)| (role, create(&host, &admin, &format!("a-{role}"), arguments)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let allowed = allowed();
        assert_eq!(allowed.len(), 61);
        for (call_name, may) in &allowed {
            let path = format!("/weir.v1.{call_name}");
            let nobody = call(&host.url, &path, None).await.unwrap_err();
            assert_eq!(nobody.code(), Code::Unauthenticated, "{path}");
            let stranger = call(&host.url, &path, Some(&format!("weir_{}", "0".repeat(64)))).await.unwrap_err();
            assert_eq!(stranger.code(), Code::Unauthenticated, "{path}");
            for (role, token) in &tokens {
                let code = call(&host.url, &path, Some(token)).await.map_or_else(|status| status.code(), |()| Code::Ok);
                assert!(code != Code::Unauthenticated, "{path} as {role}");
                assert_eq!(code != Code::PermissionDenied, may.contains(role), "{path} as {role}: {code:?}");
            }
        }
        // What is not there is told to whoever has a name, as tools expect that try one call after the other.
        for path in ["/weir.v1.RuleService/DropEverything", "/weir.v1.NoService/NoCall", "/NoCall"] {
            assert_eq!(call(&host.url, path, None).await.unwrap_err().code(), Code::Unauthenticated, "{path}");
            for (role, token) in &tokens {
                let status = call(&host.url, path, Some(token)).await.unwrap_err();
                assert_eq!(status.code(), Code::Unimplemented, "{path} as {role}: {status}");
            }
        }
        call(&host.url, "/grpc.health.v1.Health/Check", None).await.expect("health is for everybody");
    });
    drop(runtime);
    let denied = weir(&host, &admin, &["audit", "list", "--limit", "1000"]).unwrap();
    let denied: Vec<_> = denied.iter().filter(|entry| entry["action"] == "call.denied").collect();
    assert!(denied.iter().any(|entry| entry["who"] == "a-reader"), "{denied:?}");
    assert!(denied.len() >= 60, "as many as a minute notes: {}", denied.len());
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_token_is_good_until_it_is_revoked_or_over_and_the_admin_that_is_lost_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (host, admin) = tenants::start(BINARY, &data);
    let said = String::from_utf8(host.weir(["rule", "list"]).stderr).unwrap();
    assert!(said.contains("this host asks for a token") && said.contains("weir token create"), "{said}");

    let reader = create(&host, &admin, "grid", &["reader"]);
    assert!(weir(&host, &reader, &["rule", "list"]).is_ok());
    let again = weir(&host, &admin, &["token", "create", "grid", "--role", "admin"]).unwrap_err();
    assert!(again.contains("has a token that is good"), "{again}");
    let short = create(&host, &admin, "short", &["reader", "--expires", "1ms"]);
    thread::sleep(Duration::from_millis(20));
    assert!(weir(&host, &short, &["rule", "list"]).unwrap_err().contains("the token has expired"));

    weir(&host, &admin, &["token", "revoke", "grid"]).unwrap();
    assert!(weir(&host, &reader, &["rule", "list"]).unwrap_err().contains("the token was revoked"));
    let other = create(&host, &admin, "grid", &["reader"]);
    assert!(weir(&host, &other, &["rule", "list"]).is_ok());
    let listed = weir(&host, &admin, &["token", "list"]).unwrap();
    let names: Vec<_> =
        listed.iter().map(|token| (token["name"].as_str().unwrap(), token["made_by"].as_str().unwrap())).collect();
    assert_eq!(names, [("first-admin", "host"), ("grid", "first-admin"), ("short", "first-admin")]);
    host.kill();

    // Neither the store nor anything beside it holds a token's text; the first admin's file is the exception.
    for secret in [&admin, &reader, &other] {
        for entry in fs::read_dir(&data).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            let bytes = fs::read(entry.path()).unwrap();
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert_eq!(found, *secret == admin && entry.file_name() == "first-admin-token", "{entry:?}");
        }
    }
    let (host, same) = tenants::start(BINARY, &data);
    assert_eq!(same, admin, "an admin has one: the file stays as it is");
    assert!(weir(&host, &other, &["rule", "list"]).is_ok());
    weir(&host, &admin, &["token", "revoke", "first-admin"]).unwrap();
    assert!(weir(&host, &admin, &["token", "list"]).is_err());
    host.kill();
    let (host, new) = tenants::start(BINARY, &data);
    assert_ne!(new, admin);
    assert!(weir(&host, &new, &["token", "list"]).is_ok());
    assert_eq!(host.stop(), Some(0));
}

fn names(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn an_operator_sees_its_own_alerts_counts_devices_rules_and_plugins_and_no_others() {
    let two = Two::new(BINARY);
    let lond = |arguments: &[&str]| weir(&two.host, &two.lond, arguments);

    let alerts = lond(&["alert", "list"]).unwrap();
    let seen: Vec<_> = alerts.iter().map(|row| (row["operator"].as_u64(), row["outcome"].as_str().unwrap())).collect();
    assert_eq!(seen, [(Some(12), "suppressed"), (Some(12), "suppressed"), (Some(12), "forwarded")]);
    let rules: Vec<_> = alerts.iter().map(|row| row["rule"]["name"].as_str()).collect();
    assert_eq!(rules, [Some("12-volts"), Some("all-amps"), None]);
    assert!(lond(&["alert", "list", "--operator", "10"]).unwrap_err().contains("may ask for operator 12 alone"));

    let total = |rows: &[Value]| rows[0]["total"]["balance"]["received"].as_u64();
    assert_eq!(total(&lond(&["count"]).unwrap()), Some(3));
    assert_eq!(total(&two.admin(&["count"])), Some(6));
    for filtered in [&["count", "--rule"][..], &["alert", "list", "--rule"]] {
        let absent = |rule| lond(&[filtered, &[rule]].concat()).unwrap_err().replace(rule, "RULE");
        assert_eq!(without_near(&absent("10-volts")), without_near(&absent("10-nonesuch")), "whether it exists or not");
        assert!(absent("12-vots").ends_with("; did you mean \"12-volts\"?\n"), "{}", absent("12-vots"));
    }
    assert_eq!(total(&lond(&["count", "--rule", "all-amps"]).unwrap()), Some(1));
    assert!(lond(&["count", "--operator", "10,12"]).is_err());
    let by_operator = lond(&["count", "--by", "operator"]).unwrap();
    assert_eq!(by_operator[0]["rows"].as_array().unwrap().len(), 1);

    assert!(lond(&["device", "show", LOND_DEVICE]).is_ok());
    let (theirs, nobodys) = (EAST_DEVICE, "00-0D-6F-00-00-00-00-99");
    let absent = |device| lond(&["device", "show", device]).unwrap_err().replace(device, "DEVICE");
    assert_eq!(without_near(&absent(theirs)), without_near(&absent(nobodys)), "whether it exists or not");
    // One digit away from another's device: none of theirs is proposed, however near.
    let near_theirs = format!("{}F", &theirs[..theirs.len() - 1]);
    let proposed = lond(&["device", "show", &near_theirs]).unwrap_err();
    assert!(!proposed.contains(theirs), "{proposed}");

    let by_day = two.host.weir(["count", "--by", "day", "--token", &two.admin]).stdout;
    let by_day = String::from_utf8(by_day).unwrap();
    let day = by_day.split_whitespace().find(|word| word.starts_with("20") && word.len() == 10).expect(&by_day);
    let counts: String = [LOND_DEVICE, theirs, nobodys].iter().map(|eui| format!("{eui},{day},8F40,1\n")).collect();
    let counts = two.file("counts.csv", &format!("eui,date,code,count\n{counts}"));
    let compared = lond(&["reconcile", &counts, "--days", "utc", "--all"]).unwrap().remove(0);
    let standing: Vec<_> =
        compared["rows"].as_array().unwrap().iter().map(|row| row["standing"].as_str().unwrap()).collect();
    assert_eq!(standing, ["agrees", "unknown-device", "unknown-device"], "whether it exists or not");
    assert_eq!(compared["totals"]["ours"], 1);
    assert!(lond(&["reconcile", &counts, "--operator", "10"]).unwrap_err().contains("may ask for operator 12 alone"));

    assert_eq!(names(&lond(&["rule", "list"]).unwrap()), ["12-volts", "all-amps"]);
    assert_eq!(names(&lond(&["plugin", "list"]).unwrap()), ["match", "threshold"]);
    assert_eq!(names(&weir(&two.host, &two.east, &["plugin", "list"]).unwrap()), ["threshold"]);
    assert_eq!(
        lond(&["plugin", "show", "threshold"]).unwrap()[0]["rules"],
        serde_json::json!(["12-volts", "all-amps"])
    );
    let unknown =
        |plugin| weir(&two.host, &two.east, &["plugin", "show", plugin]).unwrap_err().replace(plugin, "PLUGIN");
    assert_eq!(without_near(&unknown("match")), without_near(&unknown("nonesuch")));
    assert!(!unknown("mtch").contains("did you mean"), "{}", unknown("mtch"));
    // Whoever sends inventories is told how many devices differ, and not what they were.
    let inventory = create(&two.host, &two.admin, "assets", &["inventory"]);
    let moved = two.file("moved.csv", &format!("eui,mpxn,generation,model,operator\n{LOND_DEVICE},,smets2,A,10\n"));
    let load = |token: &str| weir(&two.host, token, &["device", "load", &moved, "--dry-run"]).unwrap().remove(0);
    let (told, seen) = (load(&inventory), load(&two.admin));
    assert_eq!((&told["changed"], &told["changes"]), (&1.into(), &Value::Array(Vec::new())));
    assert_eq!((&seen["changed"], &seen["changes"][0]["before"]["operator"]), (&1.into(), &12.into()));
    assert_eq!(two.host.stop(), Some(0));
}

/// What is said of a name without the near one, which follows from what was typed and from the caller's own.
fn without_near(said: &str) -> String {
    said.split("; did you mean").next().unwrap().trim_end().to_owned()
}

#[test]
fn an_operator_changes_its_own_rules_and_no_others() {
    let two = Two::new(BINARY);
    let lond = |arguments: &[&str]| weir(&two.host, &two.lond, arguments);
    let verbs: [&[&str]; 6] = [
        &["rule", "remove"],
        &["rule", "history"],
        &["rule", "release"],
        &["rule", "compare"],
        &["rule", "promote"],
        &["rule", "restore", "--revision", "1"],
    ];
    for verb in verbs {
        let absent = |name| lond(&[verb, &[name]].concat()).unwrap_err().replace(name, "RULE");
        let [theirs, nobodys, hosts] = ["10-volts", "10-nonesuch", "all-amps"].map(|name| without_near(&absent(name)));
        assert_eq!(theirs, nobodys, "{verb:?}: whether it exists or not");
        assert_eq!(theirs, hosts, "{verb:?}: the host's own is not its to touch");
        assert!(!absent("10-vots").contains("\"10-volts\""), "{verb:?}: {}", absent("10-vots"));
        assert!(absent("10-volts").contains("there are: 12-volts"), "{verb:?}: {}", absent("10-volts"));
    }
    let parameters = r#"{"codes":["8F40"],"below_dv":2590}"#;
    let refused = [
        (two.set(&two.lond, "volts", "12", parameters), "the rules of operator 12 are named 12-..., like 12-volts"),
        (two.set(&two.lond, "10-volts", "10", parameters), "the rules of operator 12 are named 12-"),
        (
            two.set(&two.lond, "12-volts", "", parameters),
            "scope.operators: a rule named 12-volts is one of operator 12",
        ),
        (two.set(&two.lond, "12-volts", "10,12", parameters), "scope.operators: "),
        (two.set(&two.admin, "12-volts", "10", parameters), "scope.operators: "),
    ];
    for (answer, words) in refused {
        let said = answer.unwrap_err();
        assert!(said.contains(words), "{words}: {said}");
    }
    let foreign = weir(
        &two.host,
        &two.east,
        &["rule", "set", "10-match", "--plugin", "match", "--operator", "10", "--parameters", r#"{"codes":["8F40"]}"#],
    );
    assert!(foreign.unwrap_err().contains("there are: threshold"), "another operator's plugin");

    let set = two.set(&two.lond, "12-volts", "12", parameters).unwrap();
    assert_eq!(set[0]["name"], "12-volts");
    let history = lond(&["rule", "history", "12-volts"]).unwrap();
    assert_eq!((history.len(), &history[0]["who"]), (2, &"lond".into()));
    assert!(lond(&["rule", "restore", "12-volts", "--revision", "1"]).is_ok());
    assert!(lond(&["rule", "remove", "12-volts"]).is_ok());
    assert_eq!(names(&two.admin(&["rule", "list"])), ["10-volts", "all-amps"], "the others stand");
    assert_eq!(two.host.stop(), Some(0));
}

#[test]
fn the_audit_log_says_who_did_what_and_a_changed_entry_is_named() {
    let two = Two::new(BINARY);
    let entries = two.admin(&["audit", "list"]);
    let said: Vec<_> =
        entries.iter().map(|e| [&e["who"], &e["action"], &e["subject"]].map(|v| v.as_str().unwrap())).collect();
    let expected = [
        ["host", "token.create", "first-admin"],
        ["first-admin", "token.create", "lond"],
        ["first-admin", "token.create", "east"],
    ];
    assert_eq!(said[..3], expected);
    let actions: Vec<_> = said[3..].iter().map(|[who, action, _]| (*who, *action)).collect();
    let rest = [
        ("first-admin", "plugin.upload"),
        ("lond", "plugin.upload"),
        ("first-admin", "device.load"),
        ("lond", "rule.set"),
        ("east", "rule.set"),
        ("first-admin", "rule.set"),
    ];
    assert_eq!(actions, rest);
    let verified = two.admin(&["audit", "verify"]).remove(0);
    assert_eq!((&verified["entry_count"], &verified["broken_number"]), (&9.into(), &Value::Null));
    assert_eq!(verified["last_hash"], entries[8]["hash"]);
    assert_eq!(two.admin(&["audit", "export"]), entries);
    let Two { host, admin, folder, .. } = two;
    assert_eq!(host.stop(), Some(0));

    // Somebody with the store at hand makes it look as if another had set a rule.
    let data = folder.path().join("data");
    let database = Database::open(data.join("weir.redb")).unwrap();
    let table = TableDefinition::<u64, &[u8]>::new("audit");
    let mut bytes = database.begin_read().unwrap().open_table(table).unwrap().get(7).unwrap().unwrap().value().to_vec();
    let at = bytes.windows(4).position(|part| part == b"lond").unwrap();
    bytes[at..at + 4].copy_from_slice(b"east");
    let txn = database.begin_write().unwrap();
    txn.open_table(table).unwrap().insert(7, bytes.as_slice()).unwrap();
    txn.commit().unwrap();
    drop(database);

    let (host, _) = tenants::start(BINARY, &data);
    let output = host.weir(["audit", "verify", "--token", &admin]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(70));
    assert!(said.contains("the audit log is broken at entry 7: its checksum does not match"), "{said}");
    assert_eq!(host.stop(), Some(0));
}

/// A dry run asks the host, which may refuse the token, or its role.
#[test]
fn a_dry_run_says_that_the_send_would_be_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (host, admin) = tenants::start(BINARY, &folder.path().join("data"));
    let file = folder.path().join("alerts.csv");
    fs::write(&file, format!("device,counter,code\n{LOND_DEVICE},1,8F36\n")).unwrap();
    let file = file.to_str().unwrap();
    let run = |token: &str| {
        let output = host.weir(["alert", "send", file, "--dry-run", "--json", "--token", token]);
        let found: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        let by = found.map(|found| found["checked_by"].as_str().unwrap().to_owned());
        (output.status.code(), by, String::from_utf8(output.stderr).unwrap())
    };
    let (code, by, said) = run(&format!("weir_{}", "0".repeat(64)));
    assert_eq!((code, by), (Some(64), None), "{said}");
    assert!(said.contains("WEIR_TOKEN"), "{said}");
    let by_host = Some("host".to_owned());
    let refused = "the send would be refused: the role of this token may not send alerts";
    for (role, note) in [("ingest", None), ("reader", Some(refused)), ("inventory", Some(refused))] {
        let (code, found, said) = run(&create(&host, &admin, &format!("a-{role}"), &[role]));
        assert_eq!((code, &found), (Some(0), &by_host), "{role}: {said}");
        match note {
            Some(note) => assert!(said.contains(note), "{role}: {said}"),
            None => assert_eq!(said, "", "{role}"),
        }
    }
    assert_eq!(host.stop(), Some(0));
}
