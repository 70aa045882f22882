//! The page as what it is over the wire: who is shown what, what a page of elsewhere cannot do, and what each request is
//! bounded by. No browser is needed for that.

use std::{fmt::Write, fs, path::Path, process::Command, time::Duration};

use tonic::{
    body::Body,
    codegen::{Service, http},
    transport::{Certificate, Channel, ClientTlsConfig, Identity},
};
use weir_tests::{
    estate::{self, HOSTILE, KEEPING},
    host::{self, Host},
    http::{Answer, ask, get, post},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// Every page, with the days on which anything happened.
const PAGES: [&str; 12] = [
    "/?period=week&until=2019-07-04",
    "/?period=month&until=2019-07-04&generation=smets1",
    "/rules?until=2019-07-04",
    "/rules/voltage?until=2019-07-04",
    "/rules/shadow",
    "/what-ifs",
    "/what-ifs/1",
    "/what-ifs/1?variant=below_dv%3D2600",
    "/devices?period=week&until=2019-07-04",
    "/devices/00-0D-6F-00-00-00-00-01?until=2019-07-04",
    "/reports?period=week&ending=2019-07-03&planned=70000&capacity=500000",
    "/reports?operator=LOND&generation=smets1",
];

const ASK: &str = "rule=voltage&sweep=below_dv%3D2530..2600:10&since=2019-07-01&until=2019-07-04&name=Summer";

fn start(folder: &Path, settings: &[(&str, &str)]) -> Host {
    Host::start_with(BINARY, &folder.join("data"), &[&[KEEPING], settings].concat())
}

fn admin(folder: &Path) -> String {
    fs::read_to_string(folder.join("data/first-admin-token")).unwrap().trim().to_owned()
}

fn token(host: &Host, admin: &str, name: &str, role: &[&str]) -> String {
    let made = host.json([&["token", "create", name, "--json", "--token", admin, "--role"], role].concat());
    made[0]["secret"].as_str().unwrap().to_owned()
}

/// Waits until a question is over.
fn answered(host: &Host, path: &str, headers: &[(&str, &str)]) -> Answer {
    for _ in 0..200 {
        let answer = get(&host.url, path, headers);
        if !answer.body.contains("id=\"live\"") {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the question is not over");
}

#[test]
fn every_page_has_its_policy_shows_names_as_text_and_leads_only_to_pages_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let host = start(folder.path(), &[]);
    estate::happened(&host, folder.path(), None);
    let asked = post(&host.url, "/what-ifs", &[], ASK);
    assert_eq!((asked.status, asked.header("location")), (303, "/what-ifs/1"), "{}", asked.body);
    let answer = answered(&host, "/what-ifs/1", &[]);
    assert!(answer.body.contains("live now: 2580") && answer.body.contains("Summer"), "{}", answer.body);
    let mut links = std::collections::BTreeSet::new();
    for path in PAGES {
        let page = get(&host.url, path, &[]);
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        let policy = page.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "form-action 'self'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part) && !policy.contains("unsafe"), "{path}: {policy}");
        }
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "same-origin");
        assert!(
            !page.body.contains("<script>") && !page.body.contains("style=") && !page.body.contains("<style"),
            "{path}"
        );
        links.extend(
            page.body.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&")),
        );
    }
    let shown = get(&host.url, "/rules/voltage", &[]).body;
    assert!(shown.contains("=cmd|' /C calc'!A0&lt;script&gt;x&lt;/script&gt;") && !shown.contains(HOSTILE));
    assert!(links.len() > 100, "{links:?}");
    for link in links.iter().map(|link| link.split('#').next().unwrap()).filter(|link| !link.is_empty()) {
        assert!(link.starts_with('/'), "{link} leads elsewhere");
        assert_eq!(get(&host.url, link, &[]).status, 200, "{link}");
    }
    let assets: Vec<_> = links.iter().filter(|link| link.starts_with("/assets/")).collect();
    assert_eq!(assets.len(), 2);
    for asset in assets {
        assert_eq!(get(&host.url, asset, &[]).header("cache-control"), "public, max-age=31536000, immutable");
    }
    for (path, status) in [
        ("/nothing", 404),
        ("/assets/style.0.css", 404),
        ("/rules/nonesuch", 404),
        ("/rules/..%2F..%2Fetc", 404),
        ("/what-ifs/99", 404),
        ("/what-ifs/x", 404),
        ("/devices/00-00-00-00-00-00-00-99", 404),
        ("/devices?find=nobody", 404),
        ("/?period=year", 400),
        ("/?until=tomorrow", 400),
        ("/?code=XYZ", 400),
        ("/?operator=5", 400),
        ("/?generation=smets3", 400),
        ("/reports?planned=5", 400),
        ("/devices/00-0D-6F-00-00-00-00-01?page=9", 400),
        ("/metrics", 404),
    ] {
        let answer = get(&host.url, path, &[]);
        assert_eq!(answer.status, status, "{path}");
        assert!(
            answer.body.contains("role=\"alert\"") && !answer.header("content-security-policy").is_empty(),
            "{path}"
        );
    }
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_question_by_readings_is_asked_from_the_form_and_a_refusal_names_the_field() {
    let folder = tempfile::tempdir().unwrap();
    let host = start(folder.path(), &[]);
    estate::happened(&host, folder.path(), None);
    for (form, why) in [
        ("readings=device", "Thresholds of meters: is missing"),
        ("readings=device&thresholds=258.0", "Thresholds of meters: expected tenths of a volt"),
        ("readings=device&thresholds=2580&sweep=below_dv%3D1..2", "Values to try: is of no use as the device"),
        ("readings=filter&thresholds=2580&rule=voltage&sweep=below_dv%3D1..2", "Thresholds of meters: is asked as"),
        ("readings=x", "By readings: is no, as a filter or as the device"),
        ("readings=filter&rule=voltage", "Values to try: expected NAME=LOW..HIGH:STEP"),
    ] {
        let refused = post(&host.url, "/what-ifs", &[], form);
        assert!(refused.status == 400 && refused.body.contains(why), "{form}: {} {}", refused.status, refused.body);
    }
    // Neither readings nor alerts of average voltage: an answer says so, and that is all.
    let form = "readings=device&thresholds=2530..2550:10,2580&limit=under&name=Lower";
    let asked = post(&host.url, "/what-ifs", &[], form);
    assert_eq!((asked.status, asked.header("location")), (303, "/what-ifs/1"), "{}", asked.body);
    let page = answered(&host, "/what-ifs/1", &[]).body;
    assert!(page.contains("Alerts that meters would raise, by threshold of average under-voltage"), "{page}");
    assert!(page.contains("href=\"/what-ifs/1?threshold=2580#detail\""), "{page}");
    let page = get(&host.url, "/what-ifs/1?threshold=2580", &[]).body;
    assert!(page.contains("Meters would have raised 0 alerts, of 0 devices."), "{page}");
    let asked = post(&host.url, "/what-ifs", &[], &format!("{ASK}&readings=filter&thresholds=&limit="));
    assert_eq!((asked.status, asked.header("location")), (303, "/what-ifs/2"), "{}", asked.body);
    let page = answered(&host, "/what-ifs/2", &[]).body;
    assert!(
        page.contains("forwarded if everything undecided is held back") && page.contains("Readings</dt>"),
        "{page}"
    );
    let list = get(&host.url, "/what-ifs", &[]).body;
    assert!(list.contains("none: as the device") && list.contains("<select id=\"readings\""), "{list}");
    assert_eq!(host.stop(), Some(0));
}

/// A hundred thousand alerts, which a rule with state judges one by one.
fn busy_minutes() -> String {
    let mut text = "device,counter,code,occurred_ms,received_ms,voltage_v\n".to_owned();
    for nth in 0..100_000_u64 {
        let at = 1_562_200_000_000 + nth;
        writeln!(text, "{},{},8F40,{at},{at},259.0", estate::eui(nth % estate::DEVICES), 1_000 + nth).unwrap();
    }
    text
}

#[test]
fn a_question_is_followed_and_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let host = start(folder.path(), &[("WEIR_WHATIF__CPU_PERCENT_MAX", "1")]);
    estate::happened(&host, folder.path(), None);
    let parameters = r#"{"more_than":3,"window_s":60,"period_s":60}"#;
    host.json(["plugin", "push", env!("WEIR_GUEST_STORM"), "--json"]);
    host.json(["rule", "set", "storm", "--plugin", "storm", "--mode", "shadow", "--parameters", parameters, "--json"]);
    let busy = folder.path().join("busy.csv");
    fs::write(&busy, busy_minutes()).unwrap();
    host.json(["alert", "send", busy.to_str().unwrap(), "--json"]);
    // One is worked on at a time, for 5 ms of each half second: tens of milliseconds of work are seconds to each, and
    // the last of them waits for all.
    let ask = "rule=storm&sweep=more_than%3D1..16&since=2019-07-01&until=2019-07-05";
    let asked: Vec<String> =
        (0..6).map(|_| post(&host.url, "/what-ifs", &[], ask).header("location").to_owned()).collect();
    let last = asked.last().unwrap().as_str();
    let page = get(&host.url, last, &[]);
    assert!(page.body.contains("id=\"live\"") && page.body.contains("<progress"), "{}", page.body);
    assert!(page.body.contains(&format!("action=\"{last}/cancel\"")) && page.body.contains("<script src=\"/assets/"));
    let cancelled = post(&host.url, &format!("{last}/cancel"), &[], "");
    assert_eq!((cancelled.status, cancelled.header("location")), (303, last));
    let page = answered(&host, last, &[]);
    assert!(page.body.contains("the question is cancelled") && !page.body.contains("/cancel\""), "{}", page.body);
    for path in &asked {
        assert_eq!(post(&host.url, &format!("{path}/cancel"), &[], "").status, 303, "{path}");
    }
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_device_is_found_by_what_it_is_called_and_the_numbers_are_those_of_weir_count() {
    let folder = tempfile::tempdir().unwrap();
    let host = start(folder.path(), &[]);
    estate::happened(&host, folder.path(), None);
    let device = "/devices/00-0D-6F-00-00-00-00-07";
    let (import, export) = (estate::mpan(7), estate::mpan(7_000));
    let placed = format!(
        "eui,mpxn,generation,model,export_mpan,hub\n\
         00-0D-6F-00-00-00-00-07,{import},smets1,Alpha-1,{export},00-0D-6F-00-00-00-00-08\n"
    );
    let placed = host::file(folder.path(), "placed.csv", &placed);
    assert!(host.weir(["device", "load", &placed]).status.success());
    for wanted in ["00-0D-6F-00-00-00-00-07", "000d6f0000000007", &import, &export] {
        let found = get(&host.url, &format!("/devices?find={wanted}"), &[]);
        assert_eq!((found.status, found.header("location")), (303, device), "{wanted}");
    }
    let page = get(&host.url, &format!("{device}?until=2019-07-04&outcome=suppressed"), &[]).body;
    assert!(page.contains(&export) && page.contains("href=\"/devices/00-0D-6F-00-00-00-00-08\""), "{page}");
    assert!(page.contains("10 alerts, the newest first") && page.contains("voltage r2: "), "{page}");
    assert!(page.contains("{&quot;codes&quot;:[&quot;8F40&quot;],&quot;below_dv&quot;:2580}"), "{page}");

    let counted =
        &host.json(["count", "--json", "--since", "2019-06-27", "--until", "2019-07-04"])[0]["total"]["balance"];
    let page = get(&host.url, "/?period=week&until=2019-07-04", &[]).body;
    for (name, key) in
        [("Received", "received"), ("Forwarded", "forwarded"), ("Suppressed", "suppressed"), ("Copies", "duplicate")]
    {
        let digits = counted[key].as_u64().unwrap().to_string();
        let number = if digits.len() > 3 {
            format!("{},{}", &digits[..digits.len() - 3], &digits[digits.len() - 3..])
        } else {
            digits
        };
        assert!(page.contains(&format!("<dt>{name}</dt><dd>{number}</dd>")), "{name} {number}: {page}");
    }
    let empty = get(&host.url, "/", &[]).body;
    assert!(empty.contains("No alert was received in this period") && empty.contains("until=2019-07-04"), "{empty}");
    assert_eq!(host.stop(), Some(0));
}

/// Makes a request over HTTP/2; gives its status and a header.
async fn over_h2(channel: &mut Channel, request: http::request::Builder) -> http::Response<Body> {
    with_body(channel, request, String::new()).await
}

/// The same with a form.
async fn with_body(channel: &mut Channel, request: http::request::Builder, form: String) -> http::Response<Body> {
    std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    channel.call(request.body(Body::new(form)).unwrap()).await.unwrap()
}

#[test]
fn a_page_of_elsewhere_can_neither_read_nor_change_anything() {
    let folder = tempfile::tempdir().unwrap();
    let host = start(folder.path(), &[]);
    let address = host.url.trim_start_matches("http://").to_owned();
    let port = address.split(':').nth(1).unwrap().to_owned();
    // A name that somebody else has lead here.
    for (name, status) in [
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        (&format!("evil.example:{port}"), 421),
        (&format!("localhost:{port}"), 200),
        (&format!("127.0.0.1:{port}"), 200),
        (&format!("[::1]:{port}"), 200),
    ] {
        assert_eq!(get(&host.url, "/", &[("Host", name)]).status, status, "{name}");
    }
    // A form that somebody else has sent.
    let form = "rule=voltage&sweep=a%3D1..2";
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    for headers in [
        &[][..],
        &[("Origin", "null")],
        &[("Origin", "http://evil.example")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", host.url.as_str())],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "same-origin"), ("Origin", "http://127.0.0.1:1")],
    ] {
        for path in ["/what-ifs", "/what-ifs/1/cancel", "/sign-in", "/sign-out", "/"] {
            let answer = ask(&host.url, &format!("POST {path}"), &[headers, &[kind]].concat(), form);
            assert_eq!(answer.status, 403, "{path} {headers:?}");
            assert!(answer.header("access-control-allow-origin").is_empty());
        }
    }
    assert_eq!(get(&host.url, "/what-ifs/1/cancel", &[]).status, 405, "a link changes nothing");
    // A browser asks first before it sends a call's content type across origins. Nobody says yes.
    let asked = ask(&host.url, "OPTIONS /weir.v1.RuleService/RemoveRule", &[("Origin", "http://evil.example")], "");
    assert!(asked.status >= 400 && asked.header("access-control-allow-origin").is_empty());
    // What it may send without asking is no call, over either protocol.
    for content in ["text/plain", "application/x-www-form-urlencoded", "application/grpc"] {
        let headers = [("Content-Type", content), ("Origin", "http://evil.example")];
        let answer = ask(&host.url, "POST /weir.v1.RuleService/ListRules", &headers, "\0\0\0\0\0");
        assert_eq!((answer.status, answer.header("grpc-status")), (403, ""), "{content}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut channel = Channel::from_shared(host.url.clone()).unwrap().connect().await.unwrap();
        let path = format!("{}/weir.v1.RuleService/ListRules", host.url);
        let plain = over_h2(&mut channel, http::Request::post(&path).header("content-type", "text/plain")).await;
        assert_eq!((plain.status().as_u16(), plain.headers().get("grpc-status")), (403, None));
        let call = over_h2(&mut channel, http::Request::post(&path).header("content-type", "application/grpc")).await;
        assert_eq!(call.headers()["content-type"], "application/grpc", "a call is a call");
    });
    drop(runtime);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn whoever_is_signed_in_sees_what_their_role_may_and_nobody_else_sees_anything() {
    let folder = tempfile::tempdir().unwrap();
    let host = start(folder.path(), &[("WEIR_AUTHENTICATE", "true")]);
    let admin = admin(folder.path());
    estate::happened(&host, folder.path(), Some(&admin));
    // Without a cookie: to the form, and back to where one wanted to go.
    let answer = get(&host.url, "/rules?period=day", &[]);
    assert_eq!((answer.status, answer.header("location")), (303, "/sign-in?next=%2Frules%3Fperiod%3Dday"));
    let followed = get(&host.url, "/rules", &[("Sec-Fetch-Site", "cross-site")]);
    assert!(followed.status == 200 && followed.body.contains("url=/rules") && !followed.body.contains("voltage"));

    let sign_in = |token: &str, next: &str| post(&host.url, "/sign-in", &[], &format!("token={token}&next={next}"));
    let cookie = |token: &str| {
        let answer = sign_in(token, "%2Frules");
        assert_eq!((answer.status, answer.header("location")), (303, "/rules"), "{}", answer.body);
        let set = answer.header("set-cookie").to_owned();
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
        set.split(';').next().unwrap().to_owned()
    };
    assert_eq!(sign_in(&admin, "%2F%2Fevil.example%2F").header("location"), "/", "no way to elsewhere");
    let stranger = format!("weir_{}", "0".repeat(64));
    assert_eq!(sign_in(&stranger, "").status, 401);
    assert_eq!(sign_in("", "").status, 400);
    assert_eq!(sign_in("a%0d%0aSet-Cookie:x", "").status, 400);

    let role = |name: &str, role: &[&str]| cookie(&token(&host, &admin, name, role));
    let (admin_cookie, reader) = (cookie(&admin), role("a-reader", &["reader"]));
    let (lond, east) =
        (role("lond", &["operator", "--operator", "12"]), role("east", &["operator", "--operator", "10"]));
    let ingest = role("head-end", &["ingest"]);
    let see = |cookie: &str, path: &str| get(&host.url, path, &[("Cookie", cookie)]);

    let device = "/devices/00-0D-6F-00-00-00-00-01";
    for (cookie, who) in [(&admin_cookie, "admin"), (&reader, "reader"), (&lond, "operator 12 LOND")] {
        let page = see(cookie, device);
        assert_eq!(page.status, 200, "{who}");
        assert!(
            page.body.contains(who) && page.body.contains("Sign out") && page.body.contains("12 LOND"),
            "{}",
            page.body
        );
    }
    let nobodys = "/devices/00-0D-6F-00-00-00-00-99";
    let said = |path: &str| see(&east, path).body.replace(&path[9..], "DEVICE");
    assert_eq!(see(&east, device).status, 404, "another operator's device is none");
    assert_eq!(said(device), said(nobodys), "in the same words as one that there is not");
    let levels = "/?period=week&until=2019-07-04";
    assert!(see(&east, levels).body.contains("<dt>Received</dt><dd>0</dd>"));
    assert!(!see(&lond, levels).body.contains("<dt>Received</dt><dd>0</dd>"));
    for page in ["/", "/rules", "/what-ifs", "/devices", "/reports"] {
        assert_eq!(see(&ingest, page).status, 403, "{page}");
        assert!(see(&ingest, page).body.contains("head-end"), "they are told who they are: {page}");
        assert_eq!(see(&reader, page).status, 200, "{page}");
    }
    // A form for whoever may ask, and the last word with the gate.
    assert!(
        !see(&reader, "/what-ifs").body.contains("Ask a question")
            && see(&admin_cookie, "/what-ifs").body.contains("Ask a question")
    );
    assert_eq!(post(&host.url, "/what-ifs", &[("Cookie", &reader)], ASK).status, 403);
    assert_eq!(post(&host.url, "/what-ifs", &[("Cookie", &lond)], ASK).status, 404, "no rule of its own");
    assert_eq!(post(&host.url, "/what-ifs", &[("Cookie", &admin_cookie)], ASK).header("location"), "/what-ifs/1");
    answered(&host, "/what-ifs/1", &[("Cookie", &admin_cookie)]);
    assert_eq!(see(&lond, "/what-ifs/1").status, 404);
    assert_eq!(post(&host.url, "/what-ifs/1/cancel", &[("Cookie", &reader)], "").status, 403);
    assert_eq!(post(&host.url, "/what-ifs/1/cancel", &[("Cookie", &admin_cookie)], "").status, 303);
    assert_eq!(post(&host.url, "/what-ifs", &[], ASK).header("location"), "/sign-in");

    // A token that is revoked is good for no page.
    host.json(["token", "revoke", "a-reader", "--json", "--token", &admin]);
    let over = see(&reader, "/rules");
    assert_eq!((over.status, over.header("location")), (303, "/sign-in?next=%2Frules&over=1"));
    assert!(over.header("set-cookie").contains("Max-Age=0"));
    // Signing out ends the session on the host, and that one alone: a copy of the cookie is good for nothing.
    let other = role("lond-2", &["operator", "--operator", "12"]);
    assert!(!lond.contains("weir_") && lond != other, "a cookie is no token");
    let out = post(&host.url, "/sign-out", &[("Cookie", &lond)], "");
    assert!(out.status == 303 && out.header("set-cookie").contains("Max-Age=0"));
    let kept = see(&lond, "/rules");
    assert_eq!((kept.status, kept.header("location")), (303, "/sign-in?next=%2Frules&over=1"));
    assert!(kept.header("set-cookie").contains("Max-Age=0"));
    assert_eq!((see(&other, "/rules").status, see(&admin_cookie, "/rules").status), (200, 200));
    assert_eq!(see(&format!("weir={admin}"), "/rules").status, 303, "nor is a token a cookie");
    assert!(get(&host.url, "/sign-in", &[]).header("strict-transport-security").is_empty(), "there is no TLS here");
    let denied = host.json(["audit", "list", "--limit", "1000", "--json", "--token", &admin]);
    let noted = |who: &str| denied.iter().any(|entry| entry["action"] == "call.denied" && entry["who"] == who);
    assert!(noted("head-end") && noted("a-reader"), "what the page is denied is on record: {denied:?}");
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn one_request_is_bounded_and_an_identity_has_its_limits_on_the_page_too() {
    let folder = tempfile::tempdir().unwrap();
    let slow = [("WEIR_ACCESS__IDENTITY_CALLS_PER_SECOND_MAX", "1"), ("WEIR_ACCESS__IDENTITY_CALLS_BURST_MAX", "12")];
    let host = start(folder.path(), &slow);
    let long = format!("/?code={}", "8".repeat(4_000));
    assert_eq!(get(&host.url, &long, &[]).status, 414);
    let large = format!("sweep={}", "x".repeat(17 << 10));
    assert_eq!(post(&host.url, "/what-ifs", &[], &large).status, 413);
    let statuses: Vec<u16> = (0..12).map(|_| get(&host.url, "/rules", &[]).status).collect();
    assert!(statuses[0] == 200 && statuses.contains(&429), "{statuses:?}");
    let asset = get(&host.url, "/", &[]).body;
    let asset = asset.split("/assets/style").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(get(&host.url, &format!("/assets/style{asset}"), &[]).status, 200, "what is nobody's costs nobody");
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_host_says_where_its_page_is_or_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let host = start(folder.path(), &[("WEIR_PAGE", "false")]);
    let address = host.url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    assert_eq!(host.json(["rule", "list", "--json"]).len(), 0, "the protocol is served");
    assert_eq!(host.stop(), Some(0));

    let said = |flags: &[&str]| {
        let mut child = Command::new(BINARY)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("other"))
            .args(flags)
            .env("WEIR_LOG", "error")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        let mut said = Vec::new();
        for line in lines.map_while(Result::ok) {
            said.push(line);
            if said.last().unwrap().starts_with("listening on ") {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        said
    };
    let lines = said(&[]);
    let url = lines.last().unwrap().strip_prefix("listening on ").unwrap();
    assert!(lines.contains(&format!("page on {url}/")), "{lines:?}");
    assert!(!said(&["--no-page"]).iter().any(|line| line.starts_with("page on ")));
}

#[test]
fn a_certificate_signs_in_by_itself_and_with_tls_a_cookie_is_bound_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().join("certs");
    let made =
        Command::new(BINARY).args(["cert", "dev", certs.to_str().unwrap(), "--client", "lond"]).output().unwrap();
    assert!(made.status.success());
    let file = |name: &str| certs.join(name).to_str().unwrap().to_owned();
    let (certificate, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let host = start(
        folder.path(),
        &[
            ("WEIR_AUTHENTICATE", "true"),
            ("WEIR_TLS_CERTIFICATE", &certificate),
            ("WEIR_TLS_KEY", &key),
            ("WEIR_TLS_CLIENT_CA", &ca),
        ],
    );
    let admin = admin(folder.path());
    host.json([
        "token",
        "create",
        "lond",
        "--role",
        "operator",
        "--operator",
        "12",
        "--json",
        "--token",
        &admin,
        "--ca",
        &ca,
    ]);
    let read = |name: &str| fs::read(certs.join(name)).unwrap();
    let vouched = || ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("ca.pem")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connect = |tls: ClientTlsConfig| {
            let endpoint =
                Channel::from_shared(host.url.replace("127.0.0.1", "localhost")).unwrap().tls_config(tls).unwrap();
            async move { endpoint.connect().await.unwrap() }
        };
        let page = |path: &str| http::Request::get(format!("{}{path}", host.url));
        let mut known = connect(vouched().identity(Identity::from_pem(read("lond.pem"), read("lond.key")))).await;
        let answer = over_h2(&mut known, page("/rules")).await;
        assert_eq!(answer.status().as_u16(), 200, "the certificate says who asks");
        let mut stranger = connect(vouched()).await;
        let answer = over_h2(&mut stranger, page("/rules")).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()),
            (303, "/sign-in?next=%2Frules")
        );
        // A page of elsewhere that has a browser show the certificate changes nothing.
        let forged = http::Request::post(format!("{}/what-ifs", host.url)).header("origin", "https://evil.example");
        assert_eq!(over_h2(&mut known, forged).await.status().as_u16(), 403);
        let hsts = &answer.headers()["strict-transport-security"];
        assert_eq!(hsts, "max-age=31536000", "with TLS a browser is to use nothing else");
        let form = http::Request::post(format!("{}/sign-in", host.url)).header("sec-fetch-site", "same-origin");
        let signed_in = with_body(&mut stranger, form, format!("token={admin}")).await;
        let set = signed_in.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(set.starts_with("__Host-weir=") && set.ends_with("; Secure"), "{set}");
        let id = set.split(['=', ';']).nth(1).unwrap();
        let cookie = |name: &str| page("/rules").header("cookie", format!("{name}={id}"));
        assert_eq!(over_h2(&mut stranger, cookie("__Host-weir")).await.status().as_u16(), 200);
        assert_eq!(over_h2(&mut stranger, cookie("weir")).await.status().as_u16(), 303, "set without TLS, perhaps");
    });
    drop(runtime);
    assert_eq!(host.stop(), Some(0));
}
