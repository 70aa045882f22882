//! `weir report alerts`: the levels of a day, a week or a month.
//!
//! It must not know how a report looks. Invariant: every figure is one that `weir count` gives for the same range, or a
//! count by device of the same log.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use clap::ValueEnum;
use jiff::civil::Date;
use tonic::Status;
use weir_proto::v1::{
    self, count_service_client::CountServiceClient, device_service_client::DeviceServiceClient,
    report_service_client::ReportServiceClient,
};

use crate::{
    cli::{
        Failure, Session,
        arguments::{self, NameFiles, Names},
        session::{Link, MESSAGE_BYTES_MAX, link},
        view::{
            alert::Balance,
            count::{Counts, Row},
            report::{Change, Line, Report, Section},
            rule::Rule,
            time, utc,
        },
    },
    domain::{Eui64, FinalUntil, LabelKey, Millis, OperatorId},
    page,
};

mod by_label;
mod coverage;

pub(super) const EXAMPLES: &str = "Examples:
  weir report alerts --generation smets1 --period week
  weir report alerts --period month --ending 2026-10-31 --operator LOND --format html > october.html
  weir report alerts --period week --label substation --top 20
  weir report alerts --period day --format csv > levels.csv";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// How long a time.
    #[arg(long, value_enum, default_value_t = Period::Week)]
    period: Period,
    /// Its last day (UTC). Without it: yesterday.
    #[arg(long, value_name = "DATE")]
    ending: Option<Date>,
    /// Only these generations.
    #[arg(long, value_delimiter = ',')]
    generation: Vec<arguments::Generation>,
    /// Only these operators: distributor ids, four letters like LOND, or unknown.
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = arguments::operator)]
    operator: Vec<OperatorId>,
    /// Report by this label of the devices too, like a substation, as the inventory has it now: those values whose devices
    /// raise most, and the others together.
    #[arg(long, value_name = "KEY")]
    label: Option<LabelKey>,
    /// How many devices, and values of the label, are listed: those that raise most.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100))]
    top: u32,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Md)]
    format: Format,
    #[command(flatten)]
    names: NameFiles,
}

/// Changes to rules that a report lists; how many more there are it says.
const CHANGES_MAX: usize = 1_000;

/// How long a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Period {
    /// One day.
    Day,
    /// Seven days.
    Week,
    /// As many days as the month before its last day has: from the same day of that month on.
    Month,
}

impl Period {
    fn span(self) -> jiff::Span {
        match self {
            Self::Day => jiff::Span::new().days(1),
            Self::Week => jiff::Span::new().weeks(1),
            Self::Month => jiff::Span::new().months(1),
        }
    }
}

/// What to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A page for a browser or a printer: one file that needs nothing beside itself.
    Html,
    /// Markdown.
    Md,
    /// Comma-separated values.
    Csv,
    /// One JSON object.
    Json,
}

/// What is reported.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) days: Days,
    pub(crate) generations: Vec<arguments::Generation>,
    pub(crate) operators: Vec<OperatorId>,
    /// How many devices, and values of the label, are listed.
    pub(crate) top: usize,
    /// The label that is reported by.
    pub(crate) label: Option<LabelKey>,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let Args { period, ending, generation, operator, label, top, format, names } = args;
    let names = names.of_host(session).await?;
    let (days, top) = (Days::new(period, ending)?, top as usize);
    let wanted = Wanted { days, generations: generation, operators: operator, top, label };
    let format = if session.json { Format::Json } else { format };
    let report = ask(link(session.connect().await?), wanted, names).await;
    let report = report.map_err(|status| session.failed(&status))?;
    match format {
        Format::Html => session.print(&page::report::page(&report)),
        Format::Md => session.print(report.markdown().trim_end()),
        Format::Csv => session.print(report.sheet().trim_end()),
        Format::Json => session.print(&crate::cli::session::json_line(&report)?),
    }
}

/// The days of a report, and those before.
#[derive(Debug, Clone)]
pub(crate) struct Days {
    first: Date,
    last: Date,
    before_first: Date,
    period: Range<Millis>,
    before: Range<Millis>,
}

impl Days {
    /// Ending with a day; with none, yesterday.
    pub(crate) fn new(period: Period, ending: Option<Date>) -> Result<Self, Failure> {
        let wrong = |_| Failure::usage("--ending: this day is too far from today to be computed with");
        let yesterday =
            || jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date().yesterday().map_err(wrong);
        let last = ending.map_or_else(yesterday, Ok)?;
        let end = last.tomorrow().map_err(wrong)?;
        let first = end.checked_sub(period.span()).map_err(wrong)?;
        let before_first = first.checked_sub(period.span()).map_err(wrong)?;
        let start = arguments::start_of_day;
        Ok(Self {
            first,
            last,
            before_first,
            period: start(first)?..start(end)?,
            before: start(before_first)?..start(first)?,
        })
    }

    fn count(&self) -> u64 {
        ((self.period.end - self.period.start) / 86_400_000).unsigned_abs()
    }
}

/// Devices of a kind, by operator and by model.
struct Inventory {
    rows: Vec<v1::InventoryRow>,
}

impl Inventory {
    fn listed(&self, of: impl Fn(&v1::InventoryRow) -> bool) -> u64 {
        self.rows.iter().filter(|row| of(row)).map(|row| row.listed_count).sum()
    }
}

/// Asks for everything that a report has.
pub(crate) async fn ask(link: Link, wanted: Wanted, names: Names) -> Result<Report, Status> {
    Asking { link, days: wanted.days.clone(), wanted, names }.report().await
}

struct Asking {
    link: Link,
    wanted: Wanted,
    names: Names,
    days: Days,
}

impl Asking {
    async fn report(&self) -> Result<Report, Status> {
        let inventory = self.inventory().await?;
        let days = self.days.count();
        let (top, alerting_devices) = self.devices().await?;
        let (total, until, position) = self.total(&inventory).await?;
        let mut sections = Vec::new();
        for (name, title, key) in [
            ("day", "By day", v1::Grouping::Day),
            ("operator", "By operator", v1::Grouping::Operator),
            ("code", "By code", v1::Grouping::Code),
            ("model", "By model", v1::Grouping::Model),
            ("rule", "By rule", v1::Grouping::Rule),
        ] {
            let mut lines = self.lines(key).await?;
            let all = inventory.listed(|_| true);
            match key {
                v1::Grouping::Operator => lines.iter_mut().for_each(|line| {
                    let devices = inventory.listed(|row| row.operator.to_string() == line.key);
                    *line = line.clone().of_devices(devices, days);
                }),
                v1::Grouping::Model => lines.iter_mut().for_each(|line| {
                    let devices = inventory.listed(|row| row.model == line.key);
                    *line = line.clone().of_devices(devices, days);
                }),
                v1::Grouping::Day => lines.iter_mut().for_each(|line| *line = line.clone().of_devices(all, 1)),
                v1::Grouping::Code => lines.iter_mut().for_each(|line| *line = line.clone().of_devices(all, days)),
                _ => {}
            }
            // Days go by the calendar; of all else what raises most comes first.
            if key != v1::Grouping::Day {
                lines.sort_by_key(|line| std::cmp::Reverse(line.taken()));
            }
            sections.push(Section { name, title: title.to_owned(), lines });
        }
        sections.extend(self.by_label().await?);
        sections.push(Section { name: "device", title: "Devices that raise most".to_owned(), lines: top });
        let (changes, changes_left_out) = self.changes().await?;
        Ok(Report {
            first_day: self.days.first.to_string(),
            last_day: self.days.last.to_string(),
            days,
            before_first_day: self.days.before_first.to_string(),
            scope: self.scope(),
            total,
            has_undelivered: until.is_some_and(|until| until.is_occurrence_open(self.days.period.end)),
            alerting_devices,
            sections,
            changes,
            changes_left_out,
            readings: self.coverage().await?,
            position,
        })
    }

    /// What the report is confined to, in words.
    fn scope(&self) -> String {
        let generations = self.wanted.generations.iter().filter_map(|kind| kind.to_possible_value());
        let generations = generations.map(|value| value.get_name().to_owned());
        let operators = self.wanted.operators.iter().map(|operator| self.names.operator(operator.get().into()));
        generations.chain(operators).collect::<Vec<_>>().join(", ")
    }

    fn generations(&self) -> Vec<i32> {
        self.wanted.generations.iter().map(|generation| generation.wire()).collect()
    }

    async fn counts(&self, group_by: &[v1::Grouping], period: &Range<Millis>) -> Result<Counts, Status> {
        let request = v1::QueryCountsRequest {
            group_by: group_by.iter().map(|key| (*key).into()).collect(),
            operators: arguments::operators(&self.wanted.operators),
            generations: self.generations(),
            since_ms: period.start,
            until_ms: period.end,
            ..v1::QueryCountsRequest::default()
        };
        let mut client = CountServiceClient::new(self.link.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let answer = client.query_counts(request).await?;
        Ok(Counts::from(answer.into_inner()))
    }

    /// The line of all, until when counts are final, and the log position.
    async fn total(&self, inventory: &Inventory) -> Result<(Line, Option<FinalUntil>, u64), Status> {
        let now = self.counts(&[], &self.days.period).await?;
        let before = self.counts(&[], &self.days.before).await?.total.balance;
        let line = Line::new("total".to_owned(), "in all".to_owned(), &now.total.balance);
        let line = line.of_devices(inventory.listed(|_| true), self.days.count());
        let is_provisional = now.final_until.is_some_and(|until| until.is_receipt_open(self.days.period.end));
        let line = Line { taken_before: Some(before.forwarded + before.suppressed), is_provisional, ..line };
        Ok((line, now.final_until, now.position))
    }

    /// A line a group, with the period before where that has the same groups.
    async fn lines(&self, key: v1::Grouping) -> Result<Vec<Line>, Status> {
        let now = self.counts(&[key], &self.days.period).await?.rows;
        let mut before = HashMap::new();
        if key != v1::Grouping::Day {
            let rows = self.counts(&[key], &self.days.before).await?.rows;
            before.extend(rows.iter().map(|row| (raw_key(row), row.balance.forwarded + row.balance.suppressed)));
        }
        // What no rule held back is in every other section.
        let wanted =
            |row: &&Row| key != v1::Grouping::Rule || row.key.rule.as_deref().is_some_and(|name| !name.is_empty());
        let line = |row: &Row| {
            let raw = raw_key(row);
            let taken_before = (key != v1::Grouping::Day).then(|| before.get(&raw).copied().unwrap_or(0));
            let is_provisional = row.key.is_provisional;
            Line { taken_before, is_provisional, ..Line::new(raw, row.key.text(key, &self.names), &row.balance) }
        };
        Ok(now.iter().filter(wanted).map(line).collect())
    }

    async fn inventory(&self) -> Result<Inventory, Status> {
        let request = v1::QueryInventoryRequest {
            operators: arguments::operators(&self.wanted.operators),
            generations: self.generations(),
            ..v1::QueryInventoryRequest::default()
        };
        let mut client = self.reports();
        let answer = client.query_inventory(request).await?;
        Ok(Inventory { rows: answer.into_inner().rows })
    }

    /// The devices that raise most, and how many raised any alert.
    async fn devices(&self) -> Result<(Vec<Line>, u64), Status> {
        let span = |period: &Range<Millis>| v1::Span { start_ms: period.start, end_ms: period.end };
        let request = v1::QueryDeviceCountsRequest {
            spans: vec![span(&self.days.before), span(&self.days.period)],
            operators: arguments::operators(&self.wanted.operators),
            generations: self.generations(),
            ..v1::QueryDeviceCountsRequest::default()
        };
        let mut client = self.reports();
        let answer = client.query_device_counts(request).await?;
        let mut pieces = answer.into_inner();
        let mut levels: BTreeMap<u64, (Balance, u64)> = BTreeMap::new();
        while let Some(piece) = pieces.message().await? {
            for row in piece.rows {
                let (balance, before) = levels.entry(row.device_id).or_default();
                if row.span == 0 {
                    *before = row.forwarded + row.suppressed;
                    continue;
                }
                let v1::DeviceCountRow { forwarded, suppressed, duplicate, .. } = row;
                let received = forwarded + suppressed + duplicate;
                *balance = Balance { received, forwarded, suppressed, duplicate, rejected: 0 };
            }
        }
        levels.retain(|_, (balance, _)| balance.received > 0);
        let alerting = levels.len() as u64;
        let mut levels: Vec<(u64, (Balance, u64))> = levels.into_iter().collect();
        levels
            .sort_by_key(|(device, (balance, _))| (std::cmp::Reverse(balance.forwarded + balance.suppressed), *device));
        levels.truncate(self.wanted.top);
        let mut lines = Vec::with_capacity(levels.len());
        for (device, (balance, before)) in levels {
            let label = self.label(device).await?;
            let line = Line::new(Eui64(device).to_string(), label, &balance).of_devices(1, self.days.count());
            lines.push(Line { taken_before: Some(before), ..line });
        }
        Ok((lines, alerting))
    }

    /// A device with its model and operator.
    async fn label(&self, device_id: u64) -> Result<String, Status> {
        let mut client = DeviceServiceClient::new(self.link.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let eui = Eui64(device_id);
        let answer = match client.get_device(v1::GetDeviceRequest { device_id, ..Default::default() }).await {
            Ok(answer) => answer.into_inner(),
            // It was this operator's when it raised the alerts, and is another's now.
            Err(status) if status.code() == tonic::Code::NotFound => return Ok(eui.to_string()),
            Err(status) => return Err(status),
        };
        let device = answer.device.unwrap_or_default();
        let model = if device.model.is_empty() { "unknown model" } else { &device.model };
        Ok(format!("{eui} {model}, {}", self.names.operator(device.operator)))
    }

    async fn changes(&self) -> Result<(Vec<Change>, u32), Status> {
        let mut client = self.reports();
        let (mut changes, mut page_token): (Vec<Change>, String) = (Vec::new(), String::new());
        loop {
            let request = v1::ListRuleChangesRequest {
                since_ms: self.days.period.start,
                until_ms: self.days.period.end,
                page_size: 0,
                page_token,
            };
            let page = client.list_rule_changes(request).await?.into_inner();
            changes.extend(page.changes.into_iter().map(change));
            page_token = page.next_page_token;
            if page_token.is_empty() || changes.len() >= CHANGES_MAX {
                return Ok((changes, page.left_out_count));
            }
        }
    }

    fn reports(&self) -> ReportServiceClient<Link> {
        ReportServiceClient::new(self.link.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }
}

/// What a row is of, as programs have it.
fn raw_key(row: &Row) -> String {
    let key = &row.key;
    let number = key.operator.map(|operator| operator.to_string());
    let day = key.start_ms.map(|ms| utc(ms).chars().take(10).collect());
    let texts = [&key.code, &key.rule, &key.model].into_iter().find_map(Clone::clone);
    texts.or(number).or(day).unwrap_or_default()
}

fn change(sent: v1::RuleChange) -> Change {
    let v1::RuleChange { name, revision, suppressed, overruled } = sent;
    let revision = revision.unwrap_or_default();
    let became = revision.rule.map(Rule::from).map_or_else(
        || "removed".to_owned(),
        |rule| format!("{}, {} {}", rule.mode, rule.plugin_name, rule.parameters),
    );
    Change {
        rule: name,
        revision: revision.revision,
        made_at: time(revision.made_at_ms),
        who: revision.who,
        why: revision.why,
        became,
        suppressed,
        overruled,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_period_ends_with_its_last_day_and_follows_the_one_before() {
        let days = |period, last| Days::new(period, Some(last)).unwrap();
        let week = days(Period::Week, date(2026, 11, 22));
        assert_eq!((week.first, week.before_first, week.count()), (date(2026, 11, 16), date(2026, 11, 9), 7));
        assert_eq!(week.before.end, week.period.start);
        let month = days(Period::Month, date(2026, 10, 31));
        assert_eq!((month.first, month.before_first, month.count()), (date(2026, 10, 1), date(2026, 9, 1), 31));
        assert_eq!(days(Period::Day, date(2026, 11, 22)).count(), 1);
        assert!(Days::new(Period::Day, Some(Date::MAX)).is_err());
    }
}
