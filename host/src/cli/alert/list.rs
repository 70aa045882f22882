//! `weir alert list`.
//!
//! It must not know how the log is kept. Invariant: one page is held at a time, however many are asked for.

use weir_proto::v1;

use crate::{
    cli::{
        Failure, Session,
        arguments::{self, NameFiles, Only, Period, stretch},
        table::count_of,
        view::alert::{LoggedAlert, table},
    },
    domain::{Eui64, Millis, Mpxn},
};

/// Alerts of one page.
const PAGE_ALERTS_MAX: u32 = 1_000;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Only alerts that a rule held back.
    #[arg(long)]
    suppressed: bool,
    /// Only alerts that passed on.
    #[arg(long)]
    forwarded: bool,
    /// Only alerts that had been seen before.
    #[arg(long)]
    duplicate: bool,
    /// Only this device: EUI-64, 16 hex digits.
    #[arg(long, value_name = "EUI", value_parser = arguments::device)]
    device: Option<Eui64>,
    /// Only this metering point, an MPAN or MPRN: alerts that name it, and those of devices that are or were at it.
    #[arg(long, value_name = "MPXN", value_parser = arguments::metering_point)]
    mpxn: Option<Mpxn>,
    /// Only alerts that this rule suppressed or was overruled on.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    #[command(flatten)]
    only: Only,
    /// Only these device model combinations; unknown for those without.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    model: Vec<String>,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    clocks: Clocks,
    /// At most this many alerts.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    #[command(flatten)]
    names: NameFiles,
}

/// Stretches of the other two times of an alert.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
struct Clocks {
    /// Occurred at or after, by the device: a time, or a day (UTC). An alert that states none counts as of its receipt.
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    occurred_since: Option<Millis>,
    /// Occurred before, by the device: a time, or a day (UTC).
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    occurred_until: Option<Millis>,
    /// Passed on by the DCC at or after: a time, or a day (UTC). Alerts without such a time are left out.
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    dcc_since: Option<Millis>,
    /// Passed on by the DCC before: a time, or a day (UTC).
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    dcc_until: Option<Millis>,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let names = args.names.of_host(session).await?;
    let mut left = args.limit;
    let mut request = request(&args)?;
    let mut client = super::client(session).await?;
    let mut shown = false;
    loop {
        request.page_size = u32::try_from(left).unwrap_or(u32::MAX).min(PAGE_ALERTS_MAX);
        let answer = client.list_alerts(request.clone()).await.map_err(|status| session.failed(&status))?;
        let v1::ListAlertsResponse { alerts, next_page_token, position: _ } = answer.into_inner();
        let more = !next_page_token.is_empty();
        if more && next_page_token == request.page_token && alerts.is_empty() {
            return Err(Failure::internal("next_page_token: the server's answers do not get on"));
        }
        left = left.saturating_sub(alerts.len() as u64);
        let rows: Vec<LoggedAlert> = alerts.into_iter().map(LoggedAlert::from).collect();
        // A page may be empty while the server searches on; an empty table is shown where there is nothing at all.
        if !rows.is_empty() || (!more && !shown) {
            session.list(&rows, |rows| table(rows, &names))?;
            shown = true;
        }
        if !more {
            // What the DCC kept for days was received long after the day that is asked for.
            if rows.is_empty() && request.page_token.is_empty() && args.period.is_bounded() {
                eprintln!("none was received then; --occurred-since and --occurred-until ask by when alerts occurred");
            }
            return Ok(());
        }
        if left == 0 {
            eprintln!("{} listed, there are more: raise --limit", count_of(args.limit, "alert", "alerts"));
            return Ok(());
        }
        request.page_token = next_page_token;
    }
}

fn request(args: &Args) -> Result<v1::ListAlertsRequest, Failure> {
    let outcomes = [
        (args.suppressed, v1::Outcome::Suppressed),
        (args.forwarded, v1::Outcome::Forwarded),
        (args.duplicate, v1::Outcome::Duplicate),
    ];
    let (since_ms, until_ms) = args.period.wire()?;
    let Clocks { occurred_since, occurred_until, dcc_since, dcc_until } = args.clocks;
    let (occurred_since_ms, occurred_until_ms) = stretch("--occurred", occurred_since, occurred_until)?;
    let (dcc_since_ms, dcc_until_ms) = stretch("--dcc", dcc_since, dcc_until)?;
    Ok(v1::ListAlertsRequest {
        page_size: 0,
        page_token: String::new(),
        outcomes: outcomes.into_iter().filter(|(wanted, _)| *wanted).map(|(_, outcome)| outcome.into()).collect(),
        device_id: args.device.map_or(0, |device| device.0),
        codes: args.only.codes(),
        rule: args.rule.clone().unwrap_or_default(),
        operators: args.only.operators(),
        since_ms,
        until_ms,
        generations: args.only.generations(),
        models: arguments::models(&args.model),
        occurred_since_ms,
        occurred_until_ms,
        dcc_since_ms,
        dcc_until_ms,
        mpxn: args.mpxn.map(|mpxn| mpxn.to_string()).unwrap_or_default(),
    })
}
