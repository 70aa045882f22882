//! `weir reading load`: files of average voltages in.

use clap::ValueEnum;
use tonic::Status;
use weir_proto::v1::{self, reading_service_client::ReadingServiceClient};

use crate::{
    cli::{
        Failure, Session,
        session::Connection,
        upload::{self, Found, Kind},
        view::{eui, reading::phase_name, upload::Put, utc},
    },
    domain::Phase,
    grpc::wire_reading,
    intake::{
        readings::{self, Measured, Options},
        sources,
    },
};

pub(super) const HELP: &str = "Examples:
  weir reading load readings.csv --dry-run
  weir reading load readings.csv --stamp end --length 30m --time-zone Europe/London
  weir reading load vendor.csv --columns device=MeterID,period_end=ReadTime,voltage_v=AvgVolts --length 10m
  weir reading load 4.10-responses.xml

  device,phase,period_end,length_min,voltage_v
  00-DB-12-34-56-78-90-A0,whole,2026-11-23T09:30:00Z,30,258

A voltage of 258 is whole volts: rounded or cut, nothing says which. 258.1 is exact to a tenth, 258.13 lies between two tenths.
voltage_dv holds tenths, lowest_dv and highest_dv both bounds. status or valid says which reads failed, and so does an empty
voltage. DUIS documents are responses to service request 4.10 (Read Network Data), parsed or not; their times are ends of periods.

The exit code is 64 where a reading was not stored or a line cannot be read.";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    upload: upload::Args,
    /// Which end of its period a time is, where the heading (time, timestamp) does not say it.
    #[arg(long, value_enum)]
    stamp: Option<Stamp>,
    /// How long each period is, where the file does not say it, like 30m.
    #[arg(long, value_name = "LENGTH", value_parser = readings::length_s)]
    length: Option<u32>,
    /// Take volts whose decimals are zeros, like 258.0, as whole volts: a program wrote them so.
    #[arg(long)]
    whole_volts: bool,
}

/// An end of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stamp {
    /// The beginning.
    Start,
    /// The end.
    End,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let Args { upload, stamp, length, whole_volts } = args;
    let stamp = stamp.map(|stamp| match stamp {
        Stamp::Start => readings::Stamp::Start,
        Stamp::End => readings::Stamp::End,
    });
    let options = Options { stamp, length_s: length, whole_volts };
    let client = super::client(session).await?;
    upload::run(session, Readings { options, client }, upload).await
}

/// Readings as files hold them.
struct Readings {
    options: Options,
    client: ReadingServiceClient<Connection>,
}

impl Kind for Readings {
    type Item = Measured;
    type Message = v1::Reading;
    const WORDS: (&'static str, &'static str) = ("reading", "readings");

    fn reader(&self) -> sources::Reader<Measured> {
        readings::reader(self.options)
    }

    fn found(item: Measured) -> Found<v1::Reading> {
        match item {
            Measured::Reading(reading) => Found::Messages(vec![wire_reading(&reading)]),
            Measured::Failed { device, field, why } => Found::Failed(format!("{device}: {field}: {why}")),
        }
    }

    fn name(message: &v1::Reading) -> String {
        let v1::Reading { device_id, phase, end_ms, .. } = message;
        let phase = match phase_name(*phase) {
            name if name == Phase::Whole.name() => String::new(),
            name => format!(", phase {name}"),
        };
        format!("{}{phase}, period ending {}", eui(*device_id).unwrap_or_default(), utc(*end_ms))
    }

    async fn put(&mut self, messages: Vec<v1::Reading>, source: &str, dry_run: bool) -> Result<Put, Status> {
        let request = v1::PutReadingsRequest { readings: messages, source: source.to_owned(), dry_run };
        let answer = self.client.put_readings(request).await?.into_inner();
        let v1::PutReadingsResponse { added, same, problems, problem_count } = answer;
        Ok(Put { added, same, replaced: 0, problems, problem_count })
    }
}
