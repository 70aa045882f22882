//! `weir alert tail` and `weir alert deliver`: forwarded alerts as they come, to stdout or to somebody's server.
//!
//! It must not know how a stream is kept up. Invariant: both go on where their cursor stands.

use std::time::Duration;

use weir_proto::v1;

use crate::{
    cli::{
        Failure, Session,
        arguments::{self, NameFiles, Only},
    },
    domain::Eui64,
};

mod follow;
mod lines;
mod webhook;

use follow::{Sink, Tail};
use lines::{Format, Lines};
use webhook::Webhook;

/// The longest that the server may be waited for, in days.
const RETRY_DAYS_MAX: i64 = 365;

pub(super) const HELP: &str = "Examples:
  weir alert tail
  weir alert tail --from oldest --code 8F40 --format csv > forwarded.csv
  weir alert tail --cursor control-room --format ndjson | my-program
  weir alert tail --cursor other --format csv | weir alert send - --format csv --server https://other.example:7700

With --cursor the host remembers what was written out, and the next tail of that name goes on there: each alert is seen
at least once, in order, over restarts of either side. `weir cursor list` shows how far each has come.";

pub(super) const DELIVER_HELP: &str = "Example:
  weir alert deliver https://example.net/alerts --cursor control-room --secret key.txt --dead-letters undelivered

Each request is a POST of JSON: {\"cursor\", \"position\", \"alerts\": [...]}, alerts as `weir alert list --json` has them.
Its headers are those of standardwebhooks.com: webhook-id, the same for a request that is made again; webhook-timestamp;
webhook-signature, v1 and the HMAC-SHA256 of id.timestamp.body in base64. Any answer of 2xx takes it. 408, 425, 429, 5xx
and no answer are tried again after 1 s, 2 s, 4 s ... up to 60 s, or as long as retry-after says; what is refused, and what
failed --attempts times, goes to --dead-letters, a file a request, or ends the command where there is no such folder. In order,
one request at a time, and the cursor moves once a request was taken or set aside.";

/// Which forwarded alerts, from where on.
#[derive(Debug, clap::Args)]
struct Wanted {
    /// Where to begin, if the cursor does not know: oldest, now, or a log position.
    #[arg(long, value_name = "WHERE", default_value = "now", value_parser = start)]
    from: Start,
    /// Stop after so many alerts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Stop once everything that is there was seen.
    #[arg(long)]
    until_caught_up: bool,
    /// How long to look for a server of alerts that is away, like 30s or 1h.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = patience)]
    retry: i64,
    /// Only this device: EUI-64, 16 hex digits.
    #[arg(long, value_name = "EUI", value_parser = arguments::device)]
    device: Option<Eui64>,
    #[command(flatten)]
    only: Only,
    /// Only these device model combinations; unknown for those without.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    model: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Have the host remember under this name how far this has come: lower-case letters, digits and hyphens.
    #[arg(long, value_name = "NAME")]
    cursor: Option<String>,
    /// How an alert is written: for people, as JSON objects like those of `weir alert list --json`, or as CSV. Where not
    /// given, text, or ndjson with --json.
    #[arg(long)]
    format: Option<Format>,
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    names: NameFiles,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DeliverArgs {
    /// Where to: https, or http on this machine.
    url: String,
    /// Name under which the host remembers how far this has come: lower-case letters, digits and hyphens.
    #[arg(long, value_name = "NAME")]
    cursor: String,
    #[command(flatten)]
    hook: webhook::Args,
    #[command(flatten)]
    wanted: Wanted,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Start(Option<u64>);

fn start(text: &str) -> Result<Start, String> {
    match text {
        "now" => Ok(Start(None)),
        "oldest" => Ok(Start(Some(0))),
        position => position
            .parse()
            .map(|position| Start(Some(position)))
            .map_err(|_| "expected oldest, now, or a log position like 120000".to_owned()),
    }
}

fn patience(text: &str) -> Result<i64, String> {
    arguments::length(text, RETRY_DAYS_MAX)
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let Args { cursor, format, wanted, names } = args;
    let format = format.unwrap_or(if session.json { Format::Ndjson } else { Format::Text });
    let sink = Sink::Lines(Lines::new(format, names.of_host(session).await?));
    follow(session, sink, (cursor.unwrap_or_default(), 0), wanted).await
}

pub(super) async fn deliver(session: &Session, args: DeliverArgs) -> Result<(), Failure> {
    let DeliverArgs { url, cursor, hook, wanted } = args;
    let alerts_max = hook.batch;
    let sink = Sink::Webhook(Box::new(Webhook::new(url, cursor.clone(), hook)?));
    follow(session, sink, (cursor, alerts_max), wanted).await
}

async fn follow(
    session: &Session,
    sink: Sink,
    (cursor, message_alerts_max): (String, u32),
    wanted: Wanted,
) -> Result<(), Failure> {
    let request = v1::SubscribeForwardedRequest {
        cursor,
        start_position: wanted.from.0,
        message_alerts_max,
        device_id: wanted.device.map_or(0, |device| device.0),
        codes: wanted.only.codes(),
        operators: wanted.only.operators(),
        generations: wanted.only.generations(),
        models: arguments::models(&wanted.model),
    };
    let patience = Duration::from_millis(wanted.retry.unsigned_abs());
    Tail::new(session, sink, request, (wanted.limit, wanted.until_caught_up)).run(patience).await
}
