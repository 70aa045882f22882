//! `weir reading list`: the readings of a device, page by page.
//!
//! Invariant: JSON is printed page by page, so memory holds one page.

use weir_proto::v1;

use crate::{
    cli::{
        Failure, Session, arguments,
        listed::Listed,
        view::reading::{self as view, Reading},
    },
    domain::{Eui64, Millis},
};

/// Readings of a page.
const PAGE_READINGS: u32 = 10_000;

pub(super) const HELP: &str = "Examples:
  weir reading list --device 00-DB-12-34-56-78-90-A0
  weir reading list --device 00-DB-12-34-56-78-90-A0 --since 2026-11-23 --until 2026-11-24
  weir reading list --device 00-DB-12-34-56-78-90-A0 --limit 0 --json > readings.ndjson";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The device: EUI-64 (16 hex digits, with hyphens or without).
    #[arg(long, value_name = "EUI", value_parser = arguments::device)]
    device: Eui64,
    /// Periods that ended at or after: a time like 2026-11-23T09:00:00Z, or a day like 2026-11-23 (UTC).
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    since: Option<Millis>,
    /// Periods that ended before: a time, or a day (UTC).
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    until: Option<Millis>,
    /// List so many and no more; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let (since_ms, until_ms) = arguments::stretch("-", args.since, args.until)?;
    let mut listed = Listed::new(args.limit);
    let page_size = listed.page_size(PAGE_READINGS);
    let device_id = args.device.0;
    let mut request = v1::ListReadingsRequest { device_id, since_ms, until_ms, page_size, page_token: String::new() };
    let mut client = super::client(session).await?;
    loop {
        let answer = client.list_readings(request.clone()).await.map_err(|status| session.failed(&status))?;
        let v1::ListReadingsResponse { readings, sources, next_page_token } = answer.into_inner();
        let sources = sources.into_iter().chain(std::iter::repeat_with(String::new));
        let rows = readings.into_iter().zip(sources);
        let rows = rows.map(|(reading, source)| Reading { source, ..Reading::from(reading) });
        if !listed.take(session, rows, view::table)? || next_page_token.is_empty() {
            return listed.finish(session, view::table);
        }
        request.page_token = next_page_token;
    }
}
