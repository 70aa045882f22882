//! `weir report migration`: go on, slow, pause or stop.
//!
//! It must not decide. Invariant: the first line of the answer is the advice with its reason.

use weir_proto::v1::{self, report_service_client::ReportServiceClient};

use crate::{
    cli::{Failure, Session, arguments, session::MESSAGE_BYTES_MAX, view::migration::Signal},
    domain::OperatorId,
};

pub(super) const EXAMPLES: &str = "Examples:
  weir report migration --planned-devices 70000 --capacity-per-day 500000
  weir report migration --planned-devices 70000 --capacity-per-day 500000 --operator LOND --ending 2026-11-22";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Devices there will be when the migration is done.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    planned_devices: u64,
    /// Forwarded alerts a day that can be handled.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    capacity_per_day: u64,
    /// Generation that is migrated.
    #[arg(long, value_enum, default_value_t = arguments::Generation::Smets1)]
    generation: arguments::Generation,
    /// Only these operators: distributor ids, four letters like LOND, or unknown.
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = arguments::operator)]
    operator: Vec<OperatorId>,
    /// The last day that is measured (UTC). Without it: yesterday.
    #[arg(long, value_name = "DATE")]
    ending: Option<jiff::civil::Date>,
    /// Days that are measured. Without it: as the host's setting report.window_days says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=400))]
    window_days: Option<u32>,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let Args { planned_devices, capacity_per_day, generation, operator, ending, window_days } = args;
    let request = v1::GetMigrationSignalRequest {
        planned_device_count: planned_devices,
        capacity_alerts_per_day: capacity_per_day,
        generation: generation.wire(),
        operators: arguments::operators(&operator),
        until_ms: ending.map(arguments::end_of_day).transpose()?.unwrap_or(0),
        window_days: window_days.unwrap_or(0),
    };
    let channel = session.connect().await?;
    let mut client = ReportServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let answer = client.get_migration_signal(request).await.map_err(|status| session.failed(&status))?;
    let signal = Signal::from(answer.into_inner());
    if !session.json {
        session.print(&signal.headline())?;
    }
    session.show(&signal, |signal| signal.facts(planned_devices, capacity_per_day))
}
