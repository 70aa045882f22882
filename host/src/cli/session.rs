//! What all client commands share: where the server is, and how results are printed.
//!
//! It must not know any command. Invariant: what is printed as JSON is one value a line, and a terminal can show it.

use std::{
    fmt,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use serde::Serialize;
use tonic::{
    Status,
    body::Body,
    codegen::http::{self, Uri},
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use tower::{ServiceExt, util::BoxCloneSyncService};
use weir_proto::Windows;

use super::{
    Failure,
    input::read_whole,
    loopback::is_loopback,
    table::Table,
    terminal::{Look, with_bold_head},
};

/// Bytes of one answer.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Calls that a command makes at once: a stream, and those beside it.
const STREAMS: u32 = 2;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a file of certificates.
const PEM_BYTES_MAX: u64 = 4 << 20;
/// How often a silent connection is probed, and how long the answer may take.
const PROBE_INTERVAL: Duration = Duration::from_secs(20);
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// Options of every command.
#[derive(Clone, clap::Args)]
pub(super) struct Session {
    /// Where the server listens.
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        value_name = "URL",
        env = "WEIR_SERVER",
        default_value = "http://127.0.0.1:7700"
    )]
    pub(super) server: String,
    /// Token to ask with, where the server wants one; better given as WEIR_TOKEN, which no list of processes shows.
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        value_name = "TOKEN",
        env = "WEIR_TOKEN",
        hide_env_values = true
    )]
    pub(super) token: Option<String>,
    /// Send tokens over plain http to another machine: only where something else encrypts the connection, like a VPN.
    #[arg(long, global = true, help_heading = "Options of every command", env = "WEIR_INSECURE_HTTP")]
    pub(super) insecure_http: bool,
    /// Certificates that vouch for the server, PEM: for https.
    #[arg(long, global = true, help_heading = "Options of every command", value_name = "FILE", env = "WEIR_CA")]
    pub(super) ca: Option<PathBuf>,
    /// Certificate that says who asks, PEM: for a server that takes one in place of a token.
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        value_name = "FILE",
        env = "WEIR_CERTIFICATE",
        requires = "key"
    )]
    pub(super) certificate: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        value_name = "FILE",
        env = "WEIR_KEY",
        requires = "certificate"
    )]
    pub(super) key: Option<PathBuf>,
    /// Print JSON: one object a line for lists, one object otherwise.
    #[arg(long, global = true, help_heading = "Options of every command")]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) look: Look,
}

impl fmt::Debug for Session {
    /// Without the token: this goes into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("server", &self.server).field("json", &self.json).finish_non_exhaustive()
    }
}

/// A connection on which every call says who makes it.
pub(super) type Connection = InterceptedService<Channel, Bearer>;

/// Makes calls, over a connection or within this process.
pub(crate) type Link = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

/// A connection as one.
pub(super) fn link(connection: Connection) -> Link {
    BoxCloneSyncService::new(
        connection.map_response(|answer| answer.map(Body::new)).map_err(|error| Status::from_error(error.into())),
    )
}

/// A token, as a call carries it.
#[derive(Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    fn new(token: Option<&str>) -> Result<Self, Failure> {
        let Some(token) = token.map(str::trim).filter(|token| !token.is_empty()) else { return Ok(Self(None)) };
        // The token itself is not shown: what is wrong with it may be one character.
        let wrong = |_| Failure::usage("--token: has a character that no token has; it is weir_ and 64 hex digits");
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(wrong)?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

impl Session {
    /// Connects to the server.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let bearer = Bearer::new(self.token.as_deref())?;
        if bearer.0.is_some() {
            self.keep_secret("the token")?;
        }
        let wrong = |reason: &str| {
            Failure::usage(format!("--server: {reason}, found {:?}", self.server))
                .with_hint("a server is named like http://127.0.0.1:7700")
        };
        let secure = self.server.starts_with("https://");
        if !secure && !self.server.starts_with("http://") {
            return Err(wrong("expected a URL that begins with http:// or https://"));
        }
        let windows = Windows::for_streams(STREAMS);
        let endpoint = Endpoint::from_shared(self.server.clone())
            .map_err(|_| wrong("expected a URL"))?
            .connect_timeout(CONNECT_TIMEOUT)
            .initial_connection_window_size(windows.connection)
            .initial_stream_window_size(windows.stream)
            .http2_keep_alive_interval(PROBE_INTERVAL)
            .keep_alive_timeout(PROBE_TIMEOUT);
        let endpoint = match self.tls()?.filter(|_| secure) {
            Some(tls) => endpoint.tls_config(tls).map_err(|error| wrong(&innermost(&error)))?,
            None if secure => {
                return Err(Failure::usage("--ca: is missing; https needs the certificates that vouch for the server")
                    .with_hint(
                        "those of public authorities are in /etc/ssl/certs/ca-certificates.crt on many systems",
                    ));
            }
            None => endpoint,
        };
        let channel = endpoint.connect().await;
        let channel = channel.map_err(|error| Failure::unreachable(&self.server, &innermost(&error)))?;
        Ok(InterceptedService::new(channel, bearer))
    }

    /// Rejects a server that a secret would reach unencrypted over a network.
    pub(super) fn keep_secret(&self, secret: &str) -> Result<(), Failure> {
        // What is not a URL at all is refused where the connection is made.
        let plain = self.server.parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("http") && !is_loopback(&uri));
        if !plain || self.insecure_http {
            return Ok(());
        }
        let message = format!("--server: {} would carry {secret} unencrypted to another machine", self.server);
        Err(Failure::usage(message).with_hint(
            "use https with --ca; or --insecure-http (WEIR_INSECURE_HTTP=true) where something else encrypts the connection",
        ))
    }

    fn tls(&self) -> Result<Option<ClientTlsConfig>, Failure> {
        let Some(ca) = &self.ca else { return Ok(None) };
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read_whole(ca, PEM_BYTES_MAX)?));
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            let pem = (read_whole(certificate, PEM_BYTES_MAX)?, read_whole(key, PEM_BYTES_MAX)?);
            tls = tls.identity(Identity::from_pem(pem.0, pem.1));
        }
        Ok(Some(tls))
    }

    /// Has everything that is shown from here on be as these options say.
    pub(super) fn set_terminal(&self) {
        self.look.set(self.json);
    }

    /// A failed call as a failure of the command.
    pub(super) fn failed(&self, status: &tonic::Status) -> Failure {
        Failure::of_call(status, &self.server)
    }

    /// Prints one value: as JSON, or as the table made of it.
    pub(super) fn show<T: Serialize>(&self, value: &T, table: impl FnOnce(&T) -> Table) -> Result<(), Failure> {
        if self.json { print(&json_line(value)?) } else { print(&with_bold_head(table(value).fitted().to_string())) }
    }

    /// The same with several tables, one under the other.
    pub(super) fn show_all<T: Serialize>(
        &self,
        value: &T,
        tables: impl FnOnce(&T) -> Vec<Table>,
    ) -> Result<(), Failure> {
        if self.json {
            return print(&json_line(value)?);
        }
        tables(value).into_iter().try_for_each(|table| print(&table.fitted().to_string()))
    }

    /// Prints text that is ready for a terminal or a file.
    pub(super) fn print(&self, text: &str) -> Result<(), Failure> {
        print(text)
    }

    /// Prints a list: as one JSON object a line, or as the table made of it.
    pub(super) fn list<T: Serialize>(&self, rows: &[T], table: impl FnOnce(&[T]) -> Table) -> Result<(), Failure> {
        if !self.json {
            return print(&with_bold_head(table(rows).fitted().to_string()));
        }
        rows.iter().try_for_each(|row| print(&json_line(row)?))
    }
}

fn print(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{line}").map_err(|error| Failure::of_output(&error))
}

/// One value as one line. JSON escapes the control characters of ASCII by itself; the others and those that turn the
/// direction of writing are escaped here. They can only stand inside strings.
pub(super) fn json_line<T: Serialize>(value: &T) -> Result<String, Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::internal(format!("JSON: {error}")))?;
    if text.is_ascii() && !text.contains('\u{7F}') {
        return Ok(text);
    }
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if super::view::is_unsafe(character) {
            line.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            line.push(character);
        }
    }
    Ok(line)
}

/// The reason at the bottom of a chain of errors: "connection refused" rather than "transport error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_text_and_escapes_what_a_terminal_would_obey() {
        let line = json_line(&["\u{1b}[2J", "\u{9b}2J", "\u{202e}abc", "\u{7f}", "Gr\u{fc}n"]).unwrap();
        assert_eq!(line, r#"["\u001b[2J","\u009b2J","\u202eabc","\u007f","Grün"]"#);
        let back: Vec<String> = serde_json::from_str(&line).unwrap();
        assert_eq!(back, ["\u{1b}[2J", "\u{9b}2J", "\u{202e}abc", "\u{7f}", "Gr\u{fc}n"]);
    }
}
