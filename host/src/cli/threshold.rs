//! `weir threshold`: load and look at the thresholds of average voltage that meters have.
//!
//! It must not know how thresholds are used.

use tonic::Status;
use weir_proto::v1::{self, reading_service_client::ReadingServiceClient};

use super::{
    Failure, Session, arguments,
    listed::Listed,
    reading,
    session::Connection,
    upload::{self, Found, Kind},
    view::{
        eui,
        reading::limit_name,
        threshold::{self as view, Threshold},
        upload::Put,
        utc,
    },
};
use crate::{
    domain::{self, Eui64, Millis},
    grpc::wire_threshold,
    intake::{sources, thresholds},
};

/// Thresholds of a page.
const PAGE_THRESHOLDS: u32 = 10_000;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Load thresholds: what a meter compares its averages with, and from when on.
    ///
    /// One that is there for the same time with another value is replaced. The unit comes from the heading, and a value that is no
    /// voltage below 1,000 V is refused, with the unit that it is likely in.
    #[command(after_help = LOAD_HELP)]
    Load(Load),
    /// List thresholds, in order of device, limit and time.
    #[command(after_help = LIST_HELP)]
    List(List),
}

const LOAD_HELP: &str = "Examples:
  weir threshold load thresholds.csv --dry-run
  weir threshold load fleet.csv --from 2026-11-01
  weir threshold load 6.2.1-responses.xml

  device,limit,threshold_v,from
  00-DB-12-34-56-78-90-A0,over,253,2026-11-01T00:00:00Z

threshold_dv holds tenths of a volt. A row may have both limits, under over_v and under_v (or over_dv and under_dv). DUIS
documents are parsed responses to service request 6.2.1 (Read Device Configuration, Voltage): whole volts, from the time of the
response. A response to 6.5 says that a setting was made and not which one.

The exit code is 64 where a threshold was not stored or a line cannot be read.";

const LIST_HELP: &str = "Examples:
  weir threshold list --device 00-DB-12-34-56-78-90-A0
  weir threshold list --limit 0 --json > thresholds.ndjson";

#[derive(Debug, clap::Args)]
pub(super) struct Load {
    #[command(flatten)]
    upload: upload::Args,
    /// From when the thresholds are configured, where a row does not say it: a time, or a day (UTC).
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    from: Option<Millis>,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those of this device: EUI-64 (16 hex digits, with hyphens or without).
    #[arg(long, value_name = "EUI", value_parser = arguments::device)]
    device: Option<Eui64>,
    /// List so many and no more; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Load(Load { upload, from }) => {
            let client = reading::client(session).await?;
            upload::run(session, Thresholds { from_ms: from, client }, upload).await
        }
        Command::List(args) => list(session, args).await,
    }
}

/// Thresholds as files hold them.
struct Thresholds {
    from_ms: Option<Millis>,
    client: ReadingServiceClient<Connection>,
}

impl Kind for Thresholds {
    type Item = Vec<domain::Threshold>;
    type Message = v1::Threshold;
    const WORDS: (&'static str, &'static str) = ("threshold", "thresholds");

    fn reader(&self) -> sources::Reader<Vec<domain::Threshold>> {
        thresholds::reader(self.from_ms)
    }

    fn found(item: Vec<domain::Threshold>) -> Found<v1::Threshold> {
        Found::Messages(item.into_iter().map(wire_threshold).collect())
    }

    fn name(message: &v1::Threshold) -> String {
        let v1::Threshold { device_id, limit, from_ms, .. } = message;
        format!("{}, {}, from {}", eui(*device_id).unwrap_or_default(), limit_name(*limit), utc(*from_ms))
    }

    async fn put(&mut self, messages: Vec<v1::Threshold>, source: &str, dry_run: bool) -> Result<Put, Status> {
        let request = v1::PutThresholdsRequest { thresholds: messages, source: source.to_owned(), dry_run };
        let answer = self.client.put_thresholds(request).await?.into_inner();
        let v1::PutThresholdsResponse { added, same, replaced, problems, problem_count } = answer;
        Ok(Put { added, same, replaced, problems, problem_count })
    }
}

async fn list(session: &Session, args: List) -> Result<(), Failure> {
    let mut listed = Listed::new(args.limit);
    let page_size = listed.page_size(PAGE_THRESHOLDS);
    let device_id = args.device.map_or(0, |device| device.0);
    let mut request = v1::ListThresholdsRequest { device_id, page_size, page_token: String::new() };
    let mut client = reading::client(session).await?;
    loop {
        let answer = client.list_thresholds(request.clone()).await.map_err(|status| session.failed(&status))?;
        let v1::ListThresholdsResponse { thresholds, next_page_token } = answer.into_inner();
        let rows = thresholds.into_iter().map(Threshold::from);
        if !listed.take(session, rows, view::table)? || next_page_token.is_empty() {
            return listed.finish(session, view::table);
        }
        request.page_token = next_page_token;
    }
}
