//! Readings, thresholds and models through the real binary: what is stored stays over a kill, and an operator is told of its
//! own devices alone. Whatever is wrong with their file, alerts are taken.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use tonic::{Code, Request, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use weir_proto::v1::{
    GetReadingStatusRequest, ListReadingModelsRequest, ListReadingsRequest, ListThresholdsRequest, MappedCode, Phase,
    PutReadingsRequest, PutReadingsResponse, PutThresholdsRequest, Reading, ReadingModel, ReadingProblemKind, Rounding,
    SetReadingModelRequest, Threshold, VoltageLimit, reading_service_client::ReadingServiceClient,
};
use weir_tests::{
    host::Host,
    tenants::{Two, create, weir},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// The devices of `tenants`, as numbers.
const LOND: u64 = 0x000D_6F00_0000_0001;
const EAST: u64 = 0x000D_6F00_0000_0002;

const HALF_HOUR_MS: i64 = 1_800_000;

/// A client with somebody's token.
struct Client(ReadingServiceClient<Channel>, String);

impl Client {
    async fn new(host: &Host, token: &str) -> Self {
        let channel = Channel::from_shared(host.url.clone()).unwrap().connect().await.expect("the host listens");
        Self(ReadingServiceClient::new(channel), token.to_owned())
    }

    fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if !self.1.is_empty() {
            request.metadata_mut().insert("authorization", format!("Bearer {}", self.1).parse().unwrap());
        }
        request
    }

    async fn put(&mut self, readings: Vec<Reading>, dry_run: bool) -> Result<PutReadingsResponse, Status> {
        let request = self.ask(PutReadingsRequest { readings, source: "volts.csv".to_owned(), dry_run });
        self.0.put_readings(request).await.map(tonic::Response::into_inner)
    }

    /// All readings of a device with their sources, page by page.
    async fn list(&mut self, device_id: u64) -> Result<Vec<(Reading, String)>, Status> {
        let mut listed = Vec::new();
        let mut page_token = String::new();
        loop {
            let request =
                ListReadingsRequest { device_id, page_size: 20, page_token, ..ListReadingsRequest::default() };
            let page = self.0.list_readings(self.ask(request)).await?.into_inner();
            assert!(page.readings.len() <= 20 && page.readings.len() == page.sources.len());
            listed.extend(page.readings.into_iter().zip(page.sources));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(listed);
            }
        }
    }

    async fn totals(&mut self) -> (u64, u64, u64, u64) {
        let status = self.0.get_reading_status(self.ask(GetReadingStatusRequest {})).await.unwrap().into_inner();
        (status.readings, status.devices, status.thresholds, status.file_bytes)
    }

    async fn thresholds(&mut self, device_id: u64) -> Result<Vec<Threshold>, Status> {
        let request = self.ask(ListThresholdsRequest { device_id, ..ListThresholdsRequest::default() });
        self.0.list_thresholds(request).await.map(|page| page.into_inner().thresholds)
    }

    async fn models(&mut self) -> Vec<(String, u32)> {
        let models = self.0.list_reading_models(self.ask(ListReadingModelsRequest {})).await.unwrap().into_inner();
        models.models.into_iter().map(|model| (model.model, model.operator)).collect()
    }
}

/// The last half hour that is over, so many half hours before.
fn end_ms(before: i64) -> i64 {
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    (now_ms / HALF_HOUR_MS - before) * HALF_HOUR_MS
}

/// A day of half hours of a device, up to a time.
fn day(device_id: u64, until_ms: i64) -> Vec<Reading> {
    let one = |at: i64| Reading {
        device_id,
        end_ms: until_ms - at * HALF_HOUR_MS,
        length_s: 1_800,
        whole_volts: Some(240 + at as u32 % 20),
        ..Reading::default()
    };
    (0..48).rev().map(one).collect()
}

fn threshold(device_id: u64) -> Threshold {
    Threshold { device_id, limit: VoltageLimit::Over.into(), value_dv: 2_580, from_ms: 5, source: String::new() }
}

fn model(name: &str) -> SetReadingModelRequest {
    let code = MappedCode { code: 0x8F40, limit: VoltageLimit::Over.into(), phase: Phase::Unspecified.into() };
    let model =
        ReadingModel { model: name.to_owned(), rounding: Rounding::Down.into(), codes: vec![code], operator: 99 };
    SetReadingModelRequest { model: Some(model) }
}

#[test]
fn readings_stay_over_a_kill_and_an_operator_is_told_of_its_own_alone() {
    let two = Two::new(BINARY);
    let reader = create(&two.host, &two.admin, "grid", &["reader"]);
    let loader = create(&two.host, &two.admin, "assets", &["inventory", "--operators", "12"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let until_ms = end_ms(1);
    let expected: Vec<(Reading, String)> = runtime.block_on(async {
        let mut lond = Client::new(&two.host, &two.lond).await;
        let mut east = Client::new(&two.host, &two.east).await;
        let mut admin = Client::new(&two.host, &two.admin).await;
        let mut sent = day(LOND, until_ms);
        sent.extend([day(EAST, until_ms)[0], day(0x77, until_ms)[0], Reading::default()]);
        sent.push(Reading { end_ms: end_ms(-4), ..sent[0] });
        sent.push(Reading { end_ms: end_ms(48 * 500), ..sent[0] });
        let tried = lond.put(sent.clone(), true).await.unwrap();
        let put = lond.put(sent, false).await.unwrap();
        assert_eq!((put.added, put.same, put.problem_count), (48, 0, 5));
        assert_eq!(tried, put, "a dry run says what is then done");
        let kinds: Vec<_> = put.problems.iter().map(|problem| (problem.index, problem.kind())).collect();
        use ReadingProblemKind::{InFuture, Invalid, NotOwn, TooOld};
        assert_eq!(kinds, [(48, NotOwn), (49, NotOwn), (50, Invalid), (51, InFuture), (52, TooOld)]);
        let not_own = |index: usize| put.problems[index].message.replace("00-00-00-00-00-00-00-77", "X");
        let not_own = (not_own(0).replace("00-0D-6F-00-00-00-00-02", "X"), not_own(1));
        assert_eq!(not_own.0, not_own.1, "whether it is another's or nobody's");
        let put = lond.put(vec![Reading { whole_volts: Some(9), ..day(LOND, until_ms)[0] }], false).await.unwrap();
        assert_eq!((put.added, put.problems[0].kind()), (0, ReadingProblemKind::Contradicts));
        assert_eq!(put.problems[0].stored.unwrap().whole_volts, Some(247));

        let put = Client::new(&two.host, &loader)
            .await
            .put(vec![day(LOND, until_ms)[0], day(EAST, until_ms)[0]], false)
            .await;
        let put = put.unwrap();
        assert_eq!((put.same, put.problems[0].kind()), (1, NotOwn), "a loader is kept to its operators");
        let mut looker = Client::new(&two.host, &reader).await;
        assert_eq!(looker.put(day(LOND, until_ms), false).await.unwrap_err().code(), Code::PermissionDenied);
        assert_eq!(looker.list(LOND).await.unwrap().len(), 48);

        let request = lond.ask(PutThresholdsRequest {
            thresholds: vec![threshold(LOND), threshold(EAST)],
            source: "settings.csv".to_owned(),
            dry_run: false,
        });
        let put = lond.0.put_thresholds(request).await.unwrap().into_inner();
        assert_eq!((put.added, put.problems[0].kind()), (1, NotOwn));
        lond.0.set_reading_model(lond.ask(model("A"))).await.unwrap();
        let said = admin.0.set_reading_model(admin.ask(model("B"))).await.unwrap().into_inner().model.unwrap();
        assert_eq!(said.operator, 0, "an administrator speaks for the host, whatever the request says");

        // What operator 10 is told of all that.
        assert_eq!(east.totals().await, (0, 0, 0, 0));
        let absent = |status: Status, device: &str| (status.code(), status.message().replace(device, "X"));
        let of_lond = absent(east.list(LOND).await.unwrap_err(), "00-0D-6F-00-00-00-00-01");
        assert_eq!(of_lond, absent(east.list(0x77).await.unwrap_err(), "00-00-00-00-00-00-00-77"));
        assert_eq!(of_lond.0, Code::NotFound);
        assert_eq!(east.thresholds(LOND).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(east.thresholds(0).await.unwrap(), []);
        assert_eq!(east.list(EAST).await.unwrap(), [], "its own device has none");
        assert_eq!(east.models().await, [("B".to_owned(), 0)]);
        assert_eq!(lond.models().await, [("A".to_owned(), 12), ("B".to_owned(), 0)]);
        let (readings, devices, thresholds, file_bytes) = admin.totals().await;
        assert_eq!((readings, devices, thresholds), (48, 1, 1));
        assert!(file_bytes > 0);
        lond.list(LOND).await.unwrap()
    });
    let sent: Vec<(Reading, String)> = day(LOND, until_ms)
        .into_iter()
        .map(|one| {
            let stated = one.whole_volts.unwrap() * 10;
            (Reading { low_dv: stated - 10, high_dv: stated + 10, ..one }, "volts.csv".to_owned())
        })
        .collect();
    assert_eq!(expected, sent);

    let Two { host, admin, lond, east: _, folder } = two;
    let host = host.kill_and_restart(&folder.path().join("data"), &[("WEIR_AUTHENTICATE", "true")]);
    runtime.block_on(async {
        let mut again = Client::new(&host, &lond).await;
        assert_eq!(again.list(LOND).await.unwrap(), expected);
        let kept = again.thresholds(LOND).await.unwrap();
        assert_eq!((kept.len(), kept[0].source.as_str(), kept[0].value_dv), (1, "settings.csv", 2_580));
        assert_eq!(again.put(day(LOND, until_ms), false).await.unwrap().same, 48);
        let nothing = ReadingModel { model: "A".to_owned(), ..ReadingModel::default() };
        let request = again.ask(SetReadingModelRequest { model: Some(nothing) });
        again.0.set_reading_model(request).await.unwrap();
        assert_eq!(again.models().await, [("B".to_owned(), 0)]);
    });
    let entries = weir(&host, &admin, &["audit", "list", "--limit", "1000"]).unwrap();
    let of = |action: &str| -> Vec<(String, String)> {
        let text = |entry: &serde_json::Value, key: &str| entry[key].as_str().unwrap().to_owned();
        let entries = entries.iter().filter(|entry| entry["action"] == action);
        entries.map(|entry| (text(entry, "who"), text(entry, "subject"))).collect()
    };
    let pair = |who: &str, subject: &str| (who.to_owned(), subject.to_owned());
    let loads = of("reading.load");
    assert_eq!(loads, [pair("lond", "volts.csv"), pair("assets", "volts.csv"), pair("lond", "volts.csv")]);
    assert_eq!(of("threshold.load"), [pair("lond", "")]);
    assert_eq!(of("reading.model"), [pair("lond", "A"), pair("first-admin", "B"), pair("lond", "A")]);
    drop(runtime);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_damaged_file_of_readings_stops_no_alert_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("readings.redb"), "").unwrap();
    let host = Host::start_with(BINARY, &data, &[("WEIR_METRICS_LISTEN", "127.0.0.1:0")]);
    let alerts = folder.path().join("alerts.csv");
    fs::write(&alerts, "device,counter,code\n00-0D-6F-00-00-00-00-01,1,8F40\n").unwrap();
    let sent = host.weir(["alert".as_ref(), "send".as_ref(), alerts.as_os_str()]);
    assert!(sent.status.success(), "{sent:?}");
    let status = host.json(["host", "status", "--json"]).remove(0);
    assert_eq!(status["state"], "serving");
    assert!(status["readings_problem"].as_str().unwrap().contains("readings.redb"), "{status}");
    let shown = String::from_utf8(host.weir(["host", "status"]).stdout).unwrap();
    // A cell may go on in the next line.
    let shown = shown.replace('|', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("it was cut off") && shown.contains("move that file away"), "{shown}");
    assert!(host.http("GET /metrics").1.contains("weir_readings_available 0"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = Client::new(&host, "").await;
        let refused = client.put(day(LOND, end_ms(1)), false).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().contains("readings.redb is empty, it was cut off"), "{refused}");
        assert_eq!(client.list(LOND).await.unwrap_err().code(), Code::FailedPrecondition);
        let channel = Channel::from_shared(host.url.clone()).unwrap().connect().await.unwrap();
        let mut health = HealthClient::new(channel);
        for (service, serving) in [("", ServingStatus::Serving), ("weir.v1.ReadingService", ServingStatus::NotServing)]
        {
            let check = health.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap();
            assert_eq!(check.into_inner().status(), serving, "{service}");
        }
    });
    drop(runtime);
    assert_eq!(host.stop(), Some(0));

    fs::remove_file(data.join("readings.redb")).unwrap();
    let host = Host::start(BINARY, &data);
    let status = host.json(["host", "status", "--json"]).remove(0);
    assert_eq!(status["readings_problem"], "");
    assert!(data.join("readings.redb").exists());
    assert_eq!(host.stop(), Some(0));
}
