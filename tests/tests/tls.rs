//! TLS through the real binary: certificates of both sides, a reload that nobody notices, and connections that never
//! get on with it.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tonic::{
    metadata::MetadataValue,
    transport::{Certificate, Channel, ClientTlsConfig},
};
use weir_proto::v1::{ListRulesRequest, rule_service_client::RuleServiceClient};
use weir_tests::host::Host;

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

fn weir(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).env_remove("WEIR_SERVER").output().unwrap()
}

/// Makes certificates in a new folder.
fn certify(folder: &Path, clients: &[&str]) {
    let clients = clients.iter().flat_map(|name| ["--client", name]);
    let arguments: Vec<&str> = ["cert", "dev", folder.to_str().unwrap()].into_iter().chain(clients).collect();
    let output = weir(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn start(data: &Path, certs: &Path) -> Host {
    let file = |name: &str| certs.join(name).to_str().unwrap().to_owned();
    let (certificate, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let settings = [
        ("WEIR_AUTHENTICATE", "true"),
        ("WEIR_TLS_CERTIFICATE", certificate.as_str()),
        ("WEIR_TLS_KEY", key.as_str()),
        ("WEIR_TLS_CLIENT_CA", ca.as_str()),
    ];
    Host::start_with(BINARY, data, &settings)
}

/// Runs a command that is vouched for by `certs`, with a client's certificate or a token.
fn ask(host: &Host, certs: &Path, client: Option<&str>, token: Option<&str>, arguments: &[&str]) -> Output {
    let file = |name: String| certs.join(name).to_str().unwrap().to_owned();
    let mut all: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    all.extend(["--json".to_owned(), "--ca".to_owned(), file("ca.pem".to_owned())]);
    if let Some(name) = client {
        let pair =
            ["--certificate".to_owned(), file(format!("{name}.pem")), "--key".to_owned(), file(format!("{name}.key"))];
        all.extend(pair);
    }
    all.extend(token.into_iter().flat_map(|token| ["--token".to_owned(), token.to_owned()]));
    host.weir(all)
}

fn error(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_certificate_stands_for_the_token_of_its_name_and_a_stranger_is_not_spoken_to() {
    let folder = tempfile::tempdir().unwrap();
    let (certs, foreign, data) =
        (folder.path().join("certs"), folder.path().join("foreign"), folder.path().join("data"));
    certify(&certs, &["lond", "lond:2", "nobody"]);
    certify(&foreign, &["lond"]);
    for (name, mode) in [("server.key", 0o600), ("lond.key", 0o600), ("ca.pem", 0o644)] {
        assert_eq!(fs::metadata(certs.join(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
    let again = weir(&["cert", "dev", certs.to_str().unwrap()]);
    assert!(error(&again).1.contains("nothing is written over"), "{again:?}");

    let host = start(&data, &certs);
    assert!(host.url.starts_with("https://"));
    let admin = fs::read_to_string(data.join("first-admin-token")).unwrap().trim().to_owned();
    let create = ["token", "create", "lond", "--role", "operator", "--operator", "12"];
    assert!(ask(&host, &certs, None, Some(&admin), &create).status.success());
    let rules = ["rule", "list"];
    assert!(ask(&host, &certs, Some("lond"), None, &rules).status.success());
    let denied = ask(&host, &certs, Some("lond"), None, &["token", "list"]);
    assert!(error(&denied).1.contains("\"lond\" in the role operator may not call"), "{denied:?}");
    // A token that is given comes before the certificate.
    assert!(ask(&host, &certs, Some("lond"), Some(&admin), &["token", "list"]).status.success());

    let (code, said) = error(&ask(&host, &certs, Some("nobody"), None, &rules));
    assert!(code == Some(64) && said.contains("somebody that this host has made no token for"), "{said}");
    let (code, said) = error(&ask(&host, &certs, None, None, &rules));
    assert!(code == Some(64) && said.contains("this host asks for a token"), "{said}");
    assert_eq!(error(&ask(&host, &foreign, None, Some(&admin), &rules)).0, Some(69), "a server it does not know");
    let forged = folder.path().join("forged");
    fs::create_dir(&forged).unwrap();
    fs::copy(certs.join("ca.pem"), forged.join("ca.pem")).unwrap();
    for name in ["lond.pem", "lond.key"] {
        fs::copy(foreign.join(name), forged.join(name)).unwrap();
    }
    assert_eq!(error(&ask(&host, &forged, Some("lond"), None, &rules)).0, Some(69), "a client it does not know");
    let plain = host.url.replace("https://", "http://");
    assert_eq!(error(&weir(&["rule", "list", "--server", &plain, "--token", &admin])).0, Some(69));

    assert!(ask(&host, &certs, None, Some(&admin), &["token", "revoke", "lond"]).status.success());
    let (code, said) = error(&ask(&host, &certs, Some("lond"), None, &rules));
    assert!(code == Some(64) && said.contains("the token was revoked"), "{said}");

    // The name is given to somebody else, who may more: the certificate of before does not come back to life.
    let again = ask(&host, &certs, None, Some(&admin), &["token", "create", "lond", "--role", "admin"]);
    let made: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(made["certificate_uri"], "weir:lond:2", "{made}");
    for arguments in [&rules[..], &["token", "list"]] {
        let (code, said) = error(&ask(&host, &certs, Some("lond"), None, arguments));
        assert!(code == Some(64) && said.contains("is not of whoever has the token of this name now"), "{said}");
    }
    assert!(ask(&host, &certs, Some("lond-2"), None, &["token", "list"]).status.success());
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn certificates_are_read_again_and_open_connections_notice_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (certs, later, data) = (folder.path().join("certs"), folder.path().join("later"), folder.path().join("data"));
    certify(&certs, &[]);
    certify(&later, &[]);
    let before = fs::read(certs.join("ca.pem")).unwrap();
    let host = start(&data, &certs);
    let admin = fs::read_to_string(data.join("first-admin-token")).unwrap().trim().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tls = |ca: &[u8]| ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
        let connect = async |ca: &[u8]| {
            Channel::from_shared(host.url.clone()).unwrap().tls_config(tls(ca)).unwrap().connect().await
        };
        let list = async |channel: &Channel| {
            let value: MetadataValue<_> = format!("Bearer {admin}").parse().unwrap();
            let mut request = tonic::Request::new(ListRulesRequest::default());
            request.metadata_mut().insert("authorization", value);
            RuleServiceClient::new(channel.clone()).list_rules(request).await
        };
        let open = connect(&before).await.unwrap();
        list(&open).await.expect("an answer");

        // A file that is no certificate changes nothing.
        let server = fs::read(certs.join("server.pem")).unwrap();
        fs::write(certs.join("server.pem"), "nonsense").unwrap();
        hang_up(&host);
        thread::sleep(Duration::from_millis(200));
        connect(&before).await.expect("the old one is still there");
        fs::write(certs.join("server.pem"), server).unwrap();

        for name in ["server.pem", "server.key", "ca.pem"] {
            fs::copy(later.join(name), certs.join(name)).unwrap();
        }
        hang_up(&host);
        let after = fs::read(later.join("ca.pem")).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while connect(&after).await.is_err() {
            assert!(Instant::now() < until, "the new certificate is not there");
            thread::sleep(Duration::from_millis(20));
        }
        assert!(connect(&before).await.is_err(), "the old one is gone");
        list(&open).await.expect("a connection keeps what it began with");
    });
    drop(runtime);
    assert_eq!(host.stop(), Some(0));
}

fn hang_up(host: &Host) {
    let id = Pid::from_raw(i32::try_from(host.id()).unwrap()).unwrap();
    kill_process(id, Signal::HUP).unwrap();
}

#[test]
fn whoever_never_shakes_hands_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (certs, data) = (folder.path().join("certs"), folder.path().join("data"));
    certify(&certs, &[]);
    let host = start(&data, &certs);
    let admin = fs::read_to_string(data.join("first-admin-token")).unwrap().trim().to_owned();
    let address = host.url.trim_start_matches("https://").to_owned();
    let silent: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let started = Instant::now();
    assert!(ask(&host, &certs, None, Some(&admin), &["rule", "list"]).status.success());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop(silent);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_port_that_others_reach_wants_certificates_and_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let serve = |settings: &[(&str, &str)]| {
        let output = Command::new(BINARY)
            .args(["serve", "--listen", "0.0.0.0:0", "--data", data.to_str().unwrap()])
            .envs(settings.iter().copied())
            .output()
            .unwrap();
        error(&output)
    };
    let (code, said) = serve(&[]);
    assert!(code == Some(64) && said.contains("listen: 0.0.0.0:0 can be reached from other machines"), "{said}");
    assert_eq!(serve(&[("WEIR_AUTHENTICATE", "true")]).0, Some(64));
    let (code, said) = serve(&[("WEIR_AUTHENTICATE", "true"), ("WEIR_TLS_CERTIFICATE", "none.pem")]);
    assert!(code == Some(64) && said.contains("tls_key: is missing"), "{said}");
    let files = [("WEIR_AUTHENTICATE", "true"), ("WEIR_TLS_CERTIFICATE", "none.pem"), ("WEIR_TLS_KEY", "none.key")];
    let (code, said) = serve(&files);
    assert!(code == Some(64) && said.contains("tls_certificate: none.pem: "), "{said}");
    assert!(!data.exists(), "nothing is opened before");
}

/// `0.0.0.0` leads to this machine here, and is no loopback address.
#[test]
fn a_token_is_not_sent_unencrypted_to_another_machine() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, folder.path(), &[("WEIR_AUTHENTICATE", "true")]);
    let token = fs::read_to_string(folder.path().join("first-admin-token")).unwrap();
    let elsewhere = host.url.replace("127.0.0.1", "0.0.0.0");
    let ask = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = host.command(arguments);
        error(&command.env("WEIR_SERVER", &elsewhere).envs(variables.iter().copied()).output().unwrap())
    };
    let token = token.trim();
    let file = folder.path().join("alerts.csv").to_str().unwrap().to_owned();
    fs::write(&file, "device,code\n00-0D-6F-00-00-00-00-01,8002\n").unwrap();
    let send = ["alert", "send", &file];
    for command in [&["rule", "list"][..], &["alert", "tail"], &send, &["count"], &["token", "list"]] {
        let (exit, said) = ask(&[("WEIR_TOKEN", token)], command);
        assert!(exit == Some(64) && said.contains("--server") && said.contains("the token"), "{command:?}: {said}");
        assert!(said.contains("--insecure-http") && !said.contains(token), "{said}");
    }
    // The answer to this one is a token, whoever asks.
    let create = ["token", "create", "mine", "--role", "reader"];
    let (exit, said) = ask(&[], &create);
    assert!(exit == Some(64) && said.contains("the new token"), "{said}");
    // Without a secret there is nothing to keep: the host refuses by itself.
    assert!(ask(&[], &["rule", "list"]).1.contains("weir token create"));

    let insist = [("WEIR_TOKEN", token), ("WEIR_INSECURE_HTTP", "true")];
    assert_eq!(ask(&insist, &create).0, Some(0));
    assert_eq!(ask(&[("WEIR_TOKEN", token)], &["rule", "list", "--insecure-http"]).0, Some(0));
    assert_eq!(host.stop(), Some(0));
}
