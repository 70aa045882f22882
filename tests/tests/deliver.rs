//! `weir alert deliver` against a server that answers as servers do: what is not taken is tried again or set aside, and
//! everything that was taken is signed.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;
use serde_json::Value;
use weir_tests::{
    estate,
    host::{Host, file},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const SECRET: &str = "a secret of more than sixteen bytes";

/// One request: its headers and its body.
struct Request {
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        assert!(line.starts_with("POST /alerts HTTP/1.1"), "{line}");
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let mut request = Self { headers, body: String::new() };
        let length: u64 = request.header("content-length").parse().unwrap();
        reader.take(length).read_to_string(&mut request.body).ok()?;
        Some(request)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).expect(name)
    }

    /// Its alerts' positions, once its signature was checked.
    fn positions(&self) -> Vec<u64> {
        let (id, timestamp) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let signature = STANDARD.decode(self.header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        hmac::verify(&key, format!("{id}.{timestamp}.{}", self.body).as_bytes(), &signature).expect("it is signed");
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["alerts"].as_array().unwrap().iter().map(|alert| alert["position"].as_u64().unwrap()).collect()
    }
}

/// A server that gives these answers one after the other, and 200 from then on.
fn server(answers: Vec<&'static str>) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/alerts", listener.local_addr().unwrap());
    let (sender, requests): (Sender<Request>, _) = channel();
    thread::spawn(move || {
        let mut answers = answers.into_iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = Request::read(&stream) else { continue };
            let answer = answers.next().unwrap_or("200 OK");
            if answer != "nothing" {
                let _ = write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
            if sender.send(request).is_err() {
                return;
            }
        }
    });
    (url, requests)
}

#[test]
fn alerts_are_delivered_signed_in_order_and_what_is_not_taken_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, &folder.path().join("data"));
    let lines: String = (0..20).map(|number| format!("{},{number},8F40\n", estate::eui(number))).collect();
    let alerts = file(folder.path(), "alerts.csv", &format!("device,counter,code\n{lines}"));
    host.json(["alert", "send", &alerts, "--json"]);
    let secret = file(folder.path(), "secret", &format!("{SECRET}\n"));
    let letters = folder.path().join("letters");
    let deliver = |url: &str, more: &[&str]| {
        let arguments = ["alert", "deliver", url, "--cursor", "hook", "--from", "oldest", "--secret", &secret];
        host.weir([&arguments[..], &["--batch", "5", "--until-caught-up"], more].concat())
    };

    // The first is taken at the third attempt, the second is refused for good, the third never comes through.
    let answers = vec!["503 Busy", "nothing", "202 Accepted", "400 No", "500 Oh", "500 Oh", "500 Oh", "200 OK"];
    let (url, requests) = server(answers);
    let output = deliver(&url, &["--attempts", "3", "--dead-letters", letters.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let requests: Vec<Request> = requests.try_iter().collect();
    let positions: Vec<Vec<u64>> = requests.iter().map(Request::positions).collect();
    let part = |first: u64| (first..first + 5).collect::<Vec<u64>>();
    let expected = [part(0), part(0), part(0), part(5), part(10), part(10), part(10), part(15)];
    assert_eq!(positions, expected, "{said}");
    let ids: Vec<&str> = requests.iter().map(|request| request.header("webhook-id")).collect();
    assert_eq!((ids[0], ids[1], ids[0] == ids[3]), (ids[2], ids[2], false), "an attempt has the id of its request");

    let mut kept: Vec<_> = fs::read_dir(&letters).unwrap().map(|entry| entry.unwrap().path()).collect();
    kept.sort();
    let kept: Vec<Value> = kept.iter().map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect();
    let firsts: Vec<_> =
        kept.iter().map(|letter| letter["request"]["alerts"][0]["position"].as_u64().unwrap()).collect();
    assert_eq!((firsts.len(), firsts.contains(&5), firsts.contains(&10)), (2, true, true), "{kept:?}");
    assert!(kept.iter().any(|letter| letter["why"] == "the answer is 400; attempts: 1"), "{kept:?}");
    assert_eq!(host.json(["cursor", "list", "--json"])[0]["behind"], 0);

    // Without a place for what is not taken, it ends, and the cursor stays.
    host.json([
        "alert",
        "send",
        &file(folder.path(), "more.csv", "device,code\n00-0D-6F-00-00-00-00-01,8002\n"),
        "--json",
    ]);
    for (answer, exit) in
        [("410 Gone", 64), ("400 No", 64), ("307 There\r\nlocation: /elsewhere", 64), ("503 Busy", 69), ("nothing", 69)]
    {
        let (url, _requests) = server(vec![answer]);
        let output = deliver(&url, &["--attempts", "1"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{answer}: {said}");
        let named = answer == "nothing" || said.contains(&format!("the answer is {}", &answer[..3]));
        assert!(named && said.contains("--dead-letters"), "{said}");
        assert_eq!(host.json(["cursor", "list", "--json"])[0]["behind"], 1, "{answer}");
    }

    // A proxy is for what is encrypted: plain requests stay on this machine.
    let (proxy, proxied) = server(vec!["200 OK"]);
    let (url, requests) = server(vec!["200 OK"]);
    let arguments = ["alert", "deliver", &url, "--cursor", "hook", "--secret", &secret, "--until-caught-up"];
    let output = host.command(arguments).env("http_proxy", proxy.trim_end_matches("/alerts")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((proxied.try_iter().count(), requests.try_iter().count()), (0, 1));

    for (url, secret, part) in [
        ("http://example.net/", SECRET, "expected https, or http on this machine"),
        ("http://127.0.0.1:1/", "short", "at least 16"),
        ("http://127.0.0.1:1/", "whsec_?", "no base64"),
    ] {
        let secret = file(folder.path(), "other", secret);
        let output = host.weir(["alert", "deliver", url, "--cursor", "hook", "--secret", &secret]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(64) && said.contains(part), "{said}");
    }
    assert_eq!(host.stop(), Some(0));
}
