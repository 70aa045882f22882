//! A webhook: alerts as signed requests to somebody's server, one at a time and in order.
//!
//! It must not know where alerts come from. Invariants: a request that is made again has the same id and body; alerts
//! count as delivered once a request was taken, or is a file among the dead letters that a crash does not lose.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac, digest::KeyInit};
use sha2::Sha256;
use ureq::{
    Agent, Proxy,
    http::{HeaderMap, Uri},
    tls::{PemItem, RootCerts, TlsConfig},
};
use weir_proto::v1;

use crate::cli::{Failure, input::read_whole, loopback::is_loopback, view::alert::LoggedAlert};

/// How long one request may take, from the name to the answer's head.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Time from one attempt to the next: it doubles from the first to the last.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The longest that the other side may ask to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// Bytes of a secret, and of a file of certificates.
const SECRET_BYTES_MIN: usize = 16;
const SECRET_BYTES_MAX: u64 = 4_096;
const PEM_BYTES_MAX: u64 = 4 << 20;
/// How a secret begins that is given in base64.
const SECRET_PREFIX: &str = "whsec_";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File with the secret to sign with: whsec_ and base64, or at least 16 bytes as they are.
    #[arg(long, value_name = "FILE")]
    secret: PathBuf,
    /// Folder for requests that were not taken. It is made where it is not there.
    #[arg(long, value_name = "DIR")]
    dead_letters: Option<PathBuf>,
    /// Alerts of one request at most.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) batch: u32,
    /// How often a request is made before it is given up.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    attempts: u32,
    /// Certificates that vouch for the other server, PEM. Where not given, public authorities do.
    #[arg(long, value_name = "FILE")]
    webhook_ca: Option<PathBuf>,
}

/// Somebody's server, and what it is owed.
pub(in crate::cli::alert) struct Webhook {
    agent: Agent,
    url: String,
    cursor: String,
    key: Hmac<Sha256>,
    dead_letters: Option<PathBuf>,
    attempts: u32,
}

/// How an attempt ended that was not taken.
struct Missed {
    why: String,
    /// After how long to try again, where that makes sense; zero: as long as usual.
    again: Option<Duration>,
}

impl Webhook {
    pub(super) fn new(url: String, cursor: String, args: Args) -> Result<Self, Failure> {
        let uri = check(&url)?;
        if let Some(folder) = &args.dead_letters {
            fs::create_dir_all(folder).map_err(|error| Failure::of_folder(folder, &error).under("--dead-letters"))?;
        }
        let tls = args.webhook_ca.as_deref().map(trusting).transpose()?.unwrap_or_default();
        // A proxy of the environment would have a plain request leave this machine.
        let proxy = Proxy::try_from_env().filter(|_| uri.scheme_str() == Some("https"));
        let config = Agent::config_builder()
            .proxy(proxy)
            .timeout_global(Some(REQUEST_TIMEOUT))
            .http_status_as_error(false)
            // Whoever was meant to have them is who has them.
            .max_redirects(0)
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self {
            agent: config.into(),
            url,
            cursor,
            key: secret(&args.secret)?,
            dead_letters: args.dead_letters,
            attempts: args.attempts,
        })
    }

    /// Returns once the alerts were taken or set aside.
    pub(super) async fn deliver(&mut self, alerts: Vec<v1::LoggedAlert>, position: u64) -> Result<(), Failure> {
        if alerts.is_empty() {
            return Ok(());
        }
        let alerts: Vec<LoggedAlert> = alerts.into_iter().map(LoggedAlert::from).collect();
        let first = alerts.first().map_or(position, |alert| alert.position);
        let id = format!("{}-{first}-{position}", self.cursor);
        let body = serde_json::json!({ "cursor": self.cursor, "position": position, "alerts": alerts });
        let body = Arc::new(body.to_string());
        let mut pause = PAUSE_MIN;
        let mut made = 0;
        loop {
            made += 1;
            let Missed { why, again } = match self.attempt(&id, Arc::clone(&body)).await? {
                Ok(()) => return Ok(()),
                Err(missed) => missed,
            };
            let refused = again.is_none();
            let Some(asked) = again.filter(|_| made < self.attempts) else {
                return self.set_aside(&id, &body, &format!("{why}; attempts: {made}"), refused);
            };
            eprintln!("{}: {why}; attempt {made} of {}", self.url, self.attempts);
            tokio::time::sleep(pause.max(asked) + jitter(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Makes the request once.
    async fn attempt(&self, id: &str, body: Arc<String>) -> Result<Result<(), Missed>, Failure> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut mac = self.key.clone();
        mac.update(format!("{id}.{seconds}.{body}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let request = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signature);
        let answer = tokio::task::spawn_blocking(move || request.send(body.as_bytes())).await;
        let answer = answer.map_err(|error| Failure::internal(format!("a request: {error}")))?;
        Ok(match answer {
            Ok(answer) => taken(answer.status().as_u16(), answer.headers()),
            Err(error) => Err(Missed { why: error.to_string(), again: Some(Duration::ZERO) }),
        })
    }

    /// Keeps a request that was not taken, or ends the delivery where nothing is kept. A request that was `refused` would
    /// be refused again: the URL, the secret or the receiver has to be mended first.
    fn set_aside(&self, id: &str, body: &str, why: &str, refused: bool) -> Result<(), Failure> {
        let Some(folder) = &self.dead_letters else {
            let message = format!("{}: {why}", self.url);
            let failure = if refused { Failure::usage(message) } else { Failure::unavailable(message) };
            return Err(failure.with_hint("--dead-letters DIR keeps what is not taken and goes on"));
        };
        let path = folder.join(format!("{id}.json"));
        let letter = format!("{{\"why\":{},\"request\":{body}}}\n", serde_json::Value::from(why));
        keep(&path, letter.as_bytes()).map_err(|error| Failure::internal(format!("{}: {error}", path.display())))?;
        eprintln!("{}: {why}; set aside as {}", self.url, path.display());
        Ok(())
    }
}

/// Writes a file under another name first, so that it is there whole or not at all.
fn keep(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let unfinished = path.with_added_extension("new");
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn taken(status: u16, headers: &HeaderMap) -> Result<(), Missed> {
    let why = format!("the answer is {status}");
    match status {
        200..=299 => Ok(()),
        408 | 425 | 429 | 500..=599 => {
            let seconds = headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
            let again = seconds.map_or(Duration::ZERO, Duration::from_secs).min(RETRY_AFTER_MAX);
            Err(Missed { why, again: Some(again) })
        }
        _ => Err(Missed { why, again: None }),
    }
}

/// Up to a quarter of a pause, so that many who wait do not come back at once.
fn jitter(pause: Duration) -> Duration {
    let mut byte = [0_u8];
    // Without randomness nobody is spread, and nothing else is lost.
    let _ = getrandom::fill(&mut byte);
    pause * u32::from(byte[0]) / 1_024
}

/// Alerts go over a network only where nobody else can read them.
fn check(url: &str) -> Result<Uri, Failure> {
    let wrong = |why: &str| Failure::usage(format!("URL: {why}, found {url:?}"));
    let uri: Uri = url.parse().map_err(|_| wrong("expected a URL like https://example.net/alerts"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => Ok(uri),
        (Some("http"), Some(_)) if is_loopback(&uri) => Ok(uri),
        _ => Err(wrong("expected https, or http on this machine")),
    }
}

fn secret(path: &Path) -> Result<Hmac<Sha256>, Failure> {
    let wrong = |why: String| Failure::usage(format!("--secret: {}: {why}", path.display()));
    let bytes = read_whole(path, SECRET_BYTES_MAX)?;
    let text = std::str::from_utf8(&bytes).map_or(&bytes[..], |text| text.trim().as_bytes());
    let secret = match text.strip_prefix(SECRET_PREFIX.as_bytes()) {
        Some(digits) => {
            STANDARD.decode(digits).map_err(|error| wrong(format!("after whsec_ is no base64: {error}")))?
        }
        None => text.to_vec(),
    };
    if secret.len() < SECRET_BYTES_MIN {
        return Err(wrong(format!("{} bytes are too few to sign with; at least {SECRET_BYTES_MIN}", secret.len())));
    }
    <Hmac<Sha256> as KeyInit>::new_from_slice(&secret).map_err(|error| wrong(error.to_string()))
}

fn trusting(path: &Path) -> Result<TlsConfig, Failure> {
    let pem = read_whole(path, PEM_BYTES_MAX)?;
    let certificates = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = certificates.collect();
    if certificates.is_empty() {
        return Err(Failure::usage(format!("--webhook-ca: {} has no certificate in it", path.display())));
    }
    Ok(TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(certificates))).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_taken_later_is_tried_again_and_nothing_else() {
        let again = |status| taken(status, &HeaderMap::new()).err().map(|missed| missed.again.is_some());
        for status in [200, 202, 204] {
            assert_eq!(again(status), None, "{status}");
        }
        for status in [408, 425, 429, 500, 503, 599] {
            assert_eq!(again(status), Some(true), "{status}");
        }
        for status in [301, 307, 400, 401, 404, 410, 413] {
            assert_eq!(again(status), Some(false), "{status}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        assert_eq!(taken(429, &headers).unwrap_err().again, Some(Duration::from_secs(7)));
        headers.insert("retry-after", "999999999".parse().unwrap());
        assert_eq!(taken(429, &headers).unwrap_err().again, Some(RETRY_AFTER_MAX));
    }

    #[test]
    fn alerts_leave_this_machine_encrypted_only() {
        for url in ["https://example.net/alerts", "http://127.0.0.1:8080/", "http://localhost/a", "http://[::1]:1/"] {
            assert!(check(url).is_ok(), "{url}");
        }
        for url in
            ["http://example.net/", "ftp://example.net/", "example.net", "", "https://", "http://127.0.0.1.evil/"]
        {
            assert!(check(url).is_err(), "{url}");
        }
    }
}
