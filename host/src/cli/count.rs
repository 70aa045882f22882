//! `weir count`: the books.
//!
//! It must not know how counts are kept.

use std::{ffi::OsStr, fmt};

use clap::{
    ValueEnum,
    builder::{EnumValueParser, PossibleValue, PossibleValuesParser, TypedValueParser},
    error::ErrorKind,
};
use weir_proto::v1::{self, count_service_client::CountServiceClient};

use super::{
    Failure, Session,
    arguments::{self, NameFiles, Only, Period},
    device::labels::{self, LabelIs},
    session::MESSAGE_BYTES_MAX,
    signals::StopSignals,
    view::{count, time},
};
use crate::domain::LabelKey;

/// Rows where there can be millions, and nothing is said of how many are wanted.
const TOP: u32 = 20;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir count
  weir count --by code,rule --since 2026-11-23
  weir count --by day --code 8F40 --generation smets1 --operator LOND
  weir count --by device --top 20 --code 8F40
  weir count --by occurred-day --code 8F36
  weir count --by device,model,code --throttled --since 2026-11-23T08:00:00Z
  weir count --by label:substation --top 50 --since 2026-11-23
  weir count --by label:feeder,code --label 'substation=Ash Lane'
  weir count --by rejection --json

By device, recipient, label and day of occurrence is counted from the log, as far back as it is kept. Labels are those that the
inventory has now, also for alerts of before. A day or hour that is marked \"not final\" may still get alerts: the DCC keeps
those it cannot deliver for two days.")]
pub(super) struct Args {
    /// What to group by, in order. Hour and day exclude each other; at most 4 labels.
    #[arg(long, value_name = "BY", value_delimiter = ',', value_parser = ByParser)]
    by: Vec<GroupBy>,
    /// At most so many rows, those of which most was received; the others are added up. By device, recipient and label:
    /// 20, where nothing else is said; 0 for all.
    #[arg(long, value_name = "N")]
    top: Option<u32>,
    /// Only alerts that stand for others which storm protection withheld before them: who is under it, by
    /// --by device,model,code and --since. Counted from the log.
    #[arg(long)]
    throttled: bool,
    #[command(flatten)]
    period: Period,
    /// Only alerts that this rule suppressed or was overruled on.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    #[command(flatten)]
    only: Only,
    /// Only these device model combinations; unknown for those without.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    model: Vec<String>,
    /// Only alerts of devices with this value of a label, as the inventory has it now; without a value, as in feeder=, of those
    /// without the label. Of several values of one label any, of several labels all. Counted from the log.
    #[arg(long, value_name = "KEY=VALUE", value_parser = labels::is)]
    label: Vec<LabelIs>,
    #[command(flatten)]
    names: NameFiles,
    /// Count again whenever alerts have arrived, until interrupted: redrawn on a terminal, otherwise written below.
    #[arg(long)]
    watch: bool,
    /// Time from one count to the next at least, like 500ms or 10s.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval, requires = "watch")]
    interval: u32,
}

fn interval(text: &str) -> Result<u32, String> {
    let ms = u32::try_from(arguments::length(text, 1)?).unwrap_or(u32::MAX);
    if (100..=3_600_000).contains(&ms) { Ok(ms) } else { Err("expected 100ms to 1h".to_owned()) }
}

/// True for a key of which there can be millions.
fn is_of_many(key: v1::Grouping) -> bool {
    matches!(key, v1::Grouping::Device | v1::Grouping::Recipient | v1::Grouping::Label)
}

/// What to group by, labels included.
#[derive(Debug, Clone)]
pub(super) enum GroupBy {
    /// What every alert has.
    Fixed(By),
    /// A label of the device.
    Label(LabelKey),
}

/// Reads `code` and the like, and `label:KEY`.
#[derive(Debug, Clone)]
struct ByParser;

/// How a label is told from what every alert has.
const LABEL: &str = "label:";

impl TypedValueParser for ByParser {
    type Value = GroupBy;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<GroupBy, clap::Error> {
        if let Some(key) = value.to_str().and_then(|text| text.strip_prefix(LABEL)) {
            return key.parse().map(GroupBy::Label).map_err(|why: String| {
                let option = argument.map(ToString::to_string).unwrap_or_default();
                let message = format!("invalid value '{LABEL}{key}' for '{option}': {why}\n");
                clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
            });
        }
        // Another value is answered with all that there are.
        let known: Vec<PossibleValue> = self.possible_values().into_iter().flatten().collect();
        PossibleValuesParser::new(known).parse_ref(command, argument, value)?;
        EnumValueParser::<By>::new().parse_ref(command, argument, value).map(GroupBy::Fixed)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let label = PossibleValue::new("label:KEY").help("A label of the device, as the inventory has it now");
        Some(Box::new(By::value_variants().iter().filter_map(By::to_possible_value).chain([label])))
    }
}

/// What to group by that every alert has.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum By {
    /// Alert code.
    Code,
    /// The rule that suppressed or was overruled.
    Rule,
    /// Operator.
    Operator,
    /// Generation.
    Generation,
    /// Device model combination.
    Model,
    /// Hour of receipt, UTC.
    Hour,
    /// Day of receipt, UTC.
    Day,
    /// Why alerts were rejected.
    Rejection,
    /// Device.
    Device,
    /// The party that alerts are addressed to.
    Recipient,
    /// What codes belong to, like voltage or supply.
    Family,
    /// Day of occurrence, UTC; of an alert that states none, that of receipt.
    OccurredDay,
}

impl GroupBy {
    fn wire(self) -> v1::Grouping {
        match self {
            Self::Fixed(by) => by.wire(),
            Self::Label(_) => v1::Grouping::Label,
        }
    }

    fn label(&self) -> Option<String> {
        match self {
            Self::Fixed(_) => None,
            Self::Label(key) => Some(key.to_string()),
        }
    }
}

impl fmt::Display for GroupBy {
    /// As it is typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(by) => by.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name())),
            Self::Label(key) => write!(f, "{LABEL}{key}"),
        }
    }
}

impl By {
    /// As the protocol has it.
    pub(super) fn wire(self) -> v1::Grouping {
        match self {
            Self::Code => v1::Grouping::Code,
            Self::Rule => v1::Grouping::Rule,
            Self::Operator => v1::Grouping::Operator,
            Self::Generation => v1::Grouping::Generation,
            Self::Model => v1::Grouping::Model,
            Self::Hour => v1::Grouping::Hour,
            Self::Day => v1::Grouping::Day,
            Self::Rejection => v1::Grouping::Rejection,
            Self::Device => v1::Grouping::Device,
            Self::Recipient => v1::Grouping::Recipient,
            Self::Family => v1::Grouping::Family,
            Self::OccurredDay => v1::Grouping::OccurredDay,
        }
    }
}

/// Rejects a grouping that is given twice, and hour with day.
fn check_groups(by: &[GroupBy]) -> Result<(), Failure> {
    let has = |key: v1::Grouping| by.iter().any(|group| matches!(group, GroupBy::Fixed(by) if by.wire() == key));
    if has(v1::Grouping::Hour) && has(v1::Grouping::Day) {
        return Err(Failure::usage("--by: hour and day exclude each other").with_hint("give one of them"));
    }
    let names: Vec<String> = by.iter().map(ToString::to_string).collect();
    let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
    twice.map_or(Ok(()), |(_, name)| Err(Failure::usage(format!("--by: {name} is given twice"))))
}

/// Says of a count that the host does not watch what to do instead.
fn unwatched(failure: Failure) -> Failure {
    if !failure.message.starts_with("query.group_by: ") {
        return failure;
    }
    Failure::usage("--watch: this is counted from the log, which --watch does not read").with_hint(
        "leave out --watch, or group by code, rule, operator, generation, model, hour, day or rejection alone; by family can be \
         watched until a corrected code table moves a code to another family",
    )
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let Args { by, top, throttled, period, rule, only, model, label, names, watch, interval } = args;
    let names = names.of_host(session).await?;
    check_groups(&by)?;
    let labels: Vec<String> = by.iter().filter_map(GroupBy::label).collect();
    let keys: Vec<v1::Grouping> = by.into_iter().map(GroupBy::wire).collect();
    let (since_ms, until_ms) = period.hours()?;
    let request = v1::QueryCountsRequest {
        group_by: keys.iter().map(|key| (*key).into()).collect(),
        codes: only.codes(),
        rule: rule.unwrap_or_default(),
        operators: only.operators(),
        generations: only.generations(),
        models: arguments::models(&model),
        since_ms,
        until_ms,
        top: top.unwrap_or(if keys.iter().any(|key| is_of_many(*key)) { TOP } else { 0 }),
        only_throttled: throttled,
        label_keys: labels.clone(),
        labels: labels::filters(&label),
    };
    let channel = session.connect().await?;
    let mut client = CountServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let show = |answer: v1::QueryCountsResponse| {
        if let Some(since_ms) = answer.kept_since_ms.filter(|_| !session.json) {
            eprintln!("the log has lost its beginning: what was received before {} may be missing", time(since_ms));
        }
        let counts = count::Counts::from(answer);
        if !session.json {
            counts.unknown_labels.iter().for_each(|unknown| eprintln!("{}", unknown.said()));
        }
        session.show(&counts, |counts| count::table(counts, &keys, &labels, &names))
    };
    if !watch {
        let answer = client.query_counts(request).await.map_err(|status| session.failed(&status))?;
        return show(answer.into_inner());
    }
    let request = v1::WatchCountsRequest { query: Some(request), interval_ms: interval };
    let answers = client.watch_counts(request).await.map_err(|status| unwatched(session.failed(&status)))?;
    let mut signals = StopSignals::new()?;
    tokio::select! {
        ended = redraw(session, answers.into_inner(), show) => ended,
        _ = signals.next() => Ok(()),
    }
}

/// Shows count after count, each in the place of the one before where there is a terminal.
async fn redraw(
    session: &Session,
    mut answers: tonic::Streaming<v1::WatchCountsResponse>,
    show: impl Fn(v1::QueryCountsResponse) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let terminal = Some(console::Term::stdout()).filter(|terminal| terminal.is_term() && !session.json);
    while let Some(answer) = answers.message().await.map_err(|status| session.failed(&status))? {
        if let Some(terminal) = &terminal {
            terminal.clear_screen().map_err(|error| Failure::of_output(&error))?;
        }
        show(answer.counts.unwrap_or_default())?;
    }
    Ok(())
}
