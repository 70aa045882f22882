//! `ExplainAlert` and `weir alert explain` through the real binary: every alert is explained by the fold as it stands on
//! record, and what a rule kept after one alert is what it is shown with the next.

use std::collections::HashMap;

use tonic::{Code, transport::Channel};
use weir_proto::v1::{
    Alert, ExplainAlertRequest, ExplainAlertResponse, ListAlertsRequest, Outcome, RuleStep, RuleVerdict,
    SubmitAlertsRequest, alert_service_client::AlertServiceClient,
};
use weir_tests::{
    host::Host,
    workload::{Random, seed},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const ALERTS: u64 = 240;
const DEVICES: u64 = 6;

/// Voltage alerts on both sides of the threshold, others that storm, a protected one and copies.
fn alerts(random: &mut Random, first: u64, count: u64) -> Vec<Alert> {
    let mut alert = |number: u64| {
        let (code, measurement) = match random.below(8) {
            0 => (0x8F36, None),
            1..4 => (0x8014, None),
            _ => (0x8F40, Some(2_500 + random.below(120) as i32)),
        };
        Alert {
            device_id: 1 + random.below(DEVICES),
            originator_counter: Some(number),
            code,
            measurement,
            occurred_at_ms: 1_764_000_000_000 + number as i64 * 1_000,
            ..Alert::default()
        }
    };
    let mut alerts: Vec<Alert> = (first..first + count).map(&mut alert).collect();
    for at in (1..alerts.len()).filter(|at| at % 10 == 0) {
        alerts[at] = alerts[at - 1].clone();
    }
    alerts
}

fn verdict(step: &RuleStep) -> RuleVerdict {
    RuleVerdict::try_from(step.verdict).unwrap()
}

/// What is on record follows from the steps.
fn check(explained: &ExplainAlertResponse) {
    let alert = explained.alert.as_ref().unwrap();
    assert!(explained.is_reproduced, "{explained:?}");
    let holds = explained.steps.iter().find(|step| !step.is_shadow && verdict(step) == RuleVerdict::Suppress);
    match Outcome::try_from(alert.outcome).unwrap() {
        Outcome::Duplicate => assert!(explained.steps.is_empty(), "{explained:?}"),
        Outcome::Suppressed => assert_eq!(holds.and_then(|step| step.rule.as_ref()), alert.rule.as_ref()),
        _ => assert!(holds.is_none(), "{explained:?}"),
    }
    let overruled = explained.steps.iter().any(|step| verdict(step) == RuleVerdict::Overruled);
    assert_eq!(overruled, alert.overruled, "{explained:?}");
    for step in &explained.steps {
        let asked = matches!(verdict(step), RuleVerdict::Forward | RuleVerdict::Suppress | RuleVerdict::Overruled);
        assert_eq!(step.fuel.is_some_and(|fuel| fuel > 0), asked, "{step:?}");
        let keeps = step.rule.as_ref().unwrap().plugin_name == "storm";
        assert_eq!(!step.state_after.is_empty(), asked && keeps, "{step:?}");
    }
}

#[test]
fn every_alert_is_explained_as_it_is_on_record_and_state_goes_on() {
    let mut random = Random::new(seed(20_261_125));
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, folder.path(), &[weir_tests::host::KEEPS_ALL]);
    let set = |name: &str, plugin: &str, mode: &str, parameters: &str| {
        host.json(["rule", "set", name, "--plugin", plugin, "--mode", mode, "--parameters", parameters, "--json"]);
    };
    host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"]);
    host.json(["plugin", "push", env!("WEIR_GUEST_STORM"), "--json"]);
    set("voltage", "threshold", "active", r#"{"codes":["8F40"],"below_dv":2540}"#);
    set("lower", "threshold", "shadow", r#"{"codes":["8F40"],"below_dv":2600}"#);
    set("storm", "storm", "active", r#"{"more_than":3,"window_s":60,"period_s":30}"#);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client =
            AlertServiceClient::new(Channel::from_shared(host.url.clone()).unwrap().connect().await.unwrap());
        for at in 0..12 {
            // One rule changes midway.
            if at == 6 {
                set("voltage", "threshold", "active", r#"{"codes":["8F40"],"below_dv":2580}"#);
            }
            let alerts = alerts(&mut random, 10 + at * (ALERTS / 12), ALERTS / 12);
            let request = SubmitAlertsRequest { alerts, ..SubmitAlertsRequest::default() };
            client.submit_alerts(request).await.unwrap();
        }
        let listed = client.list_alerts(ListAlertsRequest { page_size: 1_000, ..Default::default() }).await.unwrap();
        let listed = listed.into_inner().alerts;
        assert_eq!(listed.len() as u64, ALERTS);
        let mut kept: HashMap<(u64, u32), Vec<u64>> = HashMap::new();
        let mut verdicts: HashMap<RuleVerdict, usize> = HashMap::new();
        for alert in listed {
            let request = ExplainAlertRequest { position: alert.position };
            let explained = client.explain_alert(request).await.unwrap().into_inner();
            assert_eq!(explained.alert.as_ref(), Some(&alert));
            check(&explained);
            let alert = alert.alert.unwrap();
            for step in &explained.steps {
                *verdicts.entry(verdict(step)).or_default() += 1;
                if !step.state_after.is_empty() {
                    let words = kept.insert((alert.device_id, alert.code), step.state_after.clone());
                    let words = words.unwrap_or_else(|| vec![0; step.state_before.len()]);
                    assert_eq!(words, step.state_before, "what was kept is what is shown: {step:?}");
                }
            }
        }
        let wanted = [RuleVerdict::Forward, RuleVerdict::Suppress, RuleVerdict::NotReached];
        assert!(wanted.iter().all(|verdict| verdicts.contains_key(verdict)), "{verdicts:?}");
        let missing = client.explain_alert(ExplainAlertRequest { position: 1_000_000 }).await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound, "{missing}");
    });
    let output = host.weir(["alert", "explain", "100"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("the log, folded again, gives what is on record"), "{text}");
    assert_eq!(host.json(["alert", "explain", "100", "--json"])[0]["is_reproduced"], true);
    assert_eq!(host.weir(["alert", "explain", "9999999"]).status.code(), Some(64));
    assert_eq!(host.stop(), Some(0));
}
