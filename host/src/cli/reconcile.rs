//! `weir reconcile`: another party's counts against ours.
//!
//! It must not compare. Invariants: nothing is compared unless every line of their file was read; all our figures are as
//! of one log position.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{self, Write},
    ops::Range,
    path::PathBuf,
};

use clap::ValueEnum;
use indicatif::ProgressBar;
use jiff::civil::Date;
use weir_proto::v1::{self, count_service_client::CountServiceClient, report_service_client::ReportServiceClient};

use super::{
    Failure, Session,
    arguments::{self, NameFiles},
    form::FormArgs,
    input::Notices,
    session::{Connection, MESSAGE_BYTES_MAX},
    table::{count_of, thousands},
    view::{
        count::Counts,
        reconcile::{self, Report, Scope},
    },
};
use crate::{
    books::{DeviceEnds, Weighed},
    domain::{AlertCode, Eui64, FinalUntil, Millis, OperatorId},
    intake::claims::DateOrder,
    reconciliation::{self, Case, Cause, DayError, DayKind, DaySet, Figures, Key},
};

mod known;
mod their_file;

use known::Known;
use their_file::{Counted, Order, TheirFile};

/// How long before and after the days that are compared an alert of those days may have been received.
const LATE_MS_MAX: Millis = 7 * 86_400_000;

/// Times at which one request divides its rows.
const TURNS_OF_REQUEST: usize = 1_000;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir reconcile counts.csv
  weir reconcile counts.csv --days utc --csv > differences.csv
  weir reconcile counts.csv --html > differences.html

  weir reconcile counts.csv --date-order dmy --delimiter ';'

  mpxn,date,code,count
  1312345678907,2026-11-23,8F40,17

Theirs is what the file says. Ours are the alerts that were taken, each once, by the day of receipt: forwarded and
suppressed ones. docs/reconcile.md explains every cause.")]
pub(super) struct Args {
    /// What they counted, as CSV: MPxN or EUI-64, date, code, count; - for stdin.
    file: PathBuf,
    /// What a date in the file is.
    #[arg(long, value_enum, default_value_t = Days::Local)]
    days: Days,
    /// Compare these codes. Without it: those that the file names.
    #[arg(long, value_delimiter = ',', value_parser = arguments::code)]
    code: Vec<AlertCode>,
    /// Compare devices of these operators. Without it: those whose devices the file names.
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = arguments::operator)]
    operator: Vec<OperatorId>,
    /// Rows that are shown, those with the greatest differences. CSV and JSON have all that differ.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// List rows that agree too.
    #[arg(long)]
    all: bool,
    /// Print CSV.
    #[arg(long, conflicts_with_all = ["html", "json"])]
    csv: bool,
    /// Print a page for a browser.
    #[arg(long, conflicts_with = "json")]
    html: bool,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    names: NameFiles,
}

/// What a date is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Days {
    /// A day in London, as exports for people have it.
    Local,
    /// A day of UTC.
    Utc,
}

impl Days {
    fn kind(self) -> DayKind {
        match self {
            Self::Local => DayKind::Local,
            Self::Utc => DayKind::Utc,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Utc => "utc",
        }
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let names = args.names.of_host(session).await?;
    let file = TheirFile::read(&args.file, &args.form.read(session)?)?;
    let order = match file.order(&args.file)? {
        Order::Settled(order) => order,
        Order::Open => return Err(undecided(session, &args, &file).await?),
    };
    let mut added = Notices::remarks("rows of a meter that is there before", ProgressBar::hidden());
    let report = compare(session, &args, &file.in_order(order)?, &mut |note| added.give(note)).await?;
    added.finish();
    if args.csv {
        return print(&reconcile::sheet(&report));
    }
    if args.html {
        return print(&crate::page::reconcile::page(&report, &names));
    }
    session.show(&report, reconcile::sums)?;
    if session.json {
        return Ok(());
    }
    let worst = report.worst(args.limit);
    if !worst.is_empty() {
        session.list(&worst, reconcile::rows)?;
    }
    report.legend().iter().for_each(|line| eprintln!("{line}"));
    eprintln!("{}", report.fit_in_words());
    report.finality().iter().for_each(|line| eprintln!("{line}"));
    if report.scope.unplaced_count > 0 {
        let alerts = count_of(report.scope.unplaced_count, "alert was", "alerts were");
        eprintln!(
            "{alerts} taken of what is not explained, but before the inventory listed the device: of no operator, and not in ours"
        );
    }
    if report.scope.is_untold {
        eprintln!(
            "alerts that were taken before the inventory listed a device are of no operator; this caller is not shown them, so \
             they may be behind what is not explained"
        );
    }
    if worst.len() < report.rows.len() {
        let rows = count_of((report.rows.len() - worst.len()) as u64, "more row", "more rows");
        eprintln!("{rows}: --limit, --csv or --json shows them");
    }
    if report.scope.rejected_count > 0 {
        let alerts = count_of(report.scope.rejected_count, "alert", "alerts");
        eprintln!("{alerts} could not be taken: of no device, and in neither sum");
    }
    Ok(())
}

fn print(text: &str) -> Result<(), Failure> {
    io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Failure::of_output(&error))
}

/// Compares an ambiguous file in both orders, and reports how many rows agree in each.
async fn undecided(session: &Session, args: &Args, file: &TheirFile) -> Result<Failure, Failure> {
    let mut agreeing = Vec::new();
    for order in [DateOrder::DayMonth, DateOrder::MonthDay] {
        let rows = match compare(session, args, &file.in_order(order)?, &mut |_| {}).await {
            Ok(report) => report.totals.agreeing_rows,
            // Days too far apart for a comparison agree with nothing.
            Err(failure) if failure.exit == Failure::USAGE => 0,
            Err(failure) => return Err(failure),
        };
        agreeing.push((rows, order));
    }
    let rows = file.rows() as u64;
    let told: Vec<String> = agreeing
        .iter()
        .map(|(count, order)| format!("{} of {} rows agree as {}", thousands(*count), thousands(rows), order.words()))
        .collect();
    let (line, days) = file.example().unwrap_or_default();
    let which = match file.ambiguous() as u64 {
        open if open == rows => "all dates".to_owned(),
        1 => format!("1 of {} dates", thousands(rows)),
        open => format!("{} of {} dates", thousands(open), thousands(rows)),
    };
    let hint = match agreeing[..] {
        [(one, order), (other, _)] if one > other => format!("--date-order {} is likely right", order.option()),
        [(one, _), (other, order)] if other > one => format!("--date-order {} is likely right", order.option()),
        _ => "--date-order dmy or mdy says which comes first; dates like 2026-11-23 leave nothing open".to_owned(),
    };
    Ok(Failure::usage(format!(
        "{}: {which} can be read in two ways, that of line {line} as {days}: {}",
        args.file.display(),
        told.join(", ")
    ))
    .with_hint(hint))
}

/// Compares their rows with our figures; `note` gets what is to be said of rows that are added.
async fn compare(
    session: &Session,
    args: &Args,
    claims: &[Counted],
    note: &mut impl FnMut(&str),
) -> Result<Report, Failure> {
    let channel = session.connect().await?;
    let wanted = claims.iter().map(|claim| claim.subject).collect();
    let known = Known::of(session, channel.clone(), &wanted).await?;
    let wrong_days = |error: DayError| {
        Failure::usage(format!("{}: {error}", args.file.display())).with_hint("compare fewer days at a time")
    };
    let days = DaySet::of(claims.iter().map(|claim| claim.day).collect()).map_err(wrong_days)?;
    let kind = args.days.kind();
    let (own, other) = (days.spans(kind).map_err(wrong_days)?, days.spans(kind.other()).map_err(wrong_days)?);
    let codes: BTreeSet<AlertCode> = if args.code.is_empty() {
        claims.iter().map(|claim| claim.code).collect()
    } else {
        args.code.iter().copied().collect()
    };
    let operators: Vec<OperatorId> =
        if args.operator.is_empty() { known.operators.iter().copied().collect() } else { args.operator.clone() };

    let mut case = Case::default();
    let mut first: HashMap<Key, &Counted> = HashMap::new();
    for claim in claims.iter().filter(|claim| codes.contains(&claim.code)) {
        let subject = known.settled(claim.subject);
        let key = Key { subject, code: claim.code, day: claim.day };
        *case.theirs.entry(key).or_default() += u64::from(claim.count);
        let before = *first.entry(key).or_insert(claim);
        // The same name twice has been said when the file was read.
        if before.subject != claim.subject {
            note(&format!(
                "line {}: {} is at the metering point of line {}, {}, and date and code are the same; the counts are added: \
                 {} + {}",
                claim.line, claim.subject, before.line, before.subject, before.count, claim.count
            ));
        }
        if !known.subjects.contains(&subject) {
            case.unknown.insert(subject);
        }
    }
    let mut asking = Asking {
        session,
        channel: channel.clone(),
        codes: &codes,
        days: &days,
        kind,
        known: &known,
        kept_since: None,
        position: 0,
    };
    // Of no operator there is nothing to ask: an empty list would ask for all of them.
    let (mut rejected_count, mut provisional_since) = (0, None);
    if !operators.is_empty() {
        case.ours = asking.figures(&operators, [&own, &other]).await?;
        case.kept_since = asking.kept_since;
        let until;
        (rejected_count, until) = rejected(session, channel, &codes, &own).await?;
        // They may count by occurrence, so a day is final when no alert that occurred on it can come any more.
        let open = own.iter().position(|span| until.is_some_and(|until| until.is_occurrence_open(span.end)));
        provisional_since = open.and_then(|at| days.days().get(at).copied());
    }
    let mut found = reconciliation::reconcile(&case);
    let is_missing = |row: &reconciliation::Row| row.parts()[1] > 0 && row.causes.contains(&Cause::NotExplained);
    let mut is_untold = false;
    if !operators.is_empty() && !operators.contains(&OperatorId::UNKNOWN) && found.rows.iter().any(is_missing) {
        match asking.figures(&[OperatorId::UNKNOWN], [&own, &other]).await {
            Ok(mut unplaced) => {
                unplaced.retain(|key, _| known.subjects.contains(&key.subject));
                case.unplaced = unplaced;
                found = reconciliation::reconcile(&case);
            }
            // It may not ask for them, or there are too many.
            Err(failure) if failure.exit == Failure::USAGE => is_untold = true,
            Err(failure) => return Err(failure),
        }
    }
    let open = found.rows.iter().filter(|row| is_missing(row));
    let unplaced_count = open.filter_map(|row| case.unplaced.get(&row.key)).map(Figures::ours).sum();
    let scope = Scope {
        days: args.days.name(),
        first_day: days.days().first().map(ToString::to_string).unwrap_or_default(),
        last_day: days.days().last().map(ToString::to_string).unwrap_or_default(),
        codes: codes.iter().map(ToString::to_string).collect(),
        operators: operators.iter().map(|operator| operator.get().into()).collect(),
        rejected_count,
        provisional_since,
        unplaced_count,
        is_untold,
        position: asking.position,
    };
    Ok(Report::new(scope, &found, args.all))
}

/// Our figures while they are asked for.
struct Asking<'a> {
    session: &'a Session,
    channel: Connection,
    codes: &'a BTreeSet<AlertCode>,
    days: &'a DaySet,
    kind: DayKind,
    known: &'a Known,
    /// The first day of which everything is kept.
    kept_since: Option<Date>,
    /// What the first answer was as of, and so all are.
    position: u64,
}

impl Asking<'_> {
    /// Returns what there is of these operators' devices, by days of our kind and of the other.
    async fn figures(
        &mut self,
        operators: &[OperatorId],
        [own, other]: [&[Range<Millis>]; 2],
    ) -> Result<BTreeMap<Key, Figures>, Failure> {
        let mut all = BTreeMap::new();
        let (received, occurred) = (v1::AlertClock::Received, v1::AlertClock::Occurred);
        self.count(&mut all, operators, own, received, |figures| &mut figures.by_day).await?;
        self.count(&mut all, operators, other, received, |figures| &mut figures.by_other_day).await?;
        self.count(&mut all, operators, own, occurred, |figures| &mut figures.by_occurrence).await?;
        Ok(all)
    }

    /// Counts by these stretches, one a day, into a part of the figures.
    async fn count(
        &mut self,
        all: &mut BTreeMap<Key, Figures>,
        operators: &[OperatorId],
        spans: &[Range<Millis>],
        clock: v1::AlertClock,
        part: impl Fn(&mut Figures) -> &mut DeviceEnds,
    ) -> Result<(), Failure> {
        let hull = spans.first().map_or(0, |span| span.start)..spans.last().map_or(0, |span| span.end);
        let received = hull.start.saturating_sub(LATE_MS_MAX)..hull.end.saturating_add(LATE_MS_MAX);
        let turns = self.known.turns(&received);
        // A request divides its rows at so many times; what is received from the last of them on is for the next request.
        let mut parts: Vec<&[Millis]> = turns.chunks(TURNS_OF_REQUEST).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let starts: Vec<Millis> =
            parts.iter().enumerate().map(|(at, turns)| if at == 0 { received.start } else { turns[0] }).collect();
        for (at, (since_ms, cuts_ms)) in starts.iter().zip(parts).enumerate() {
            let until_ms = starts.get(at + 1).copied().unwrap_or(received.end);
            self.count_part(all, operators, spans, clock, (*since_ms..until_ms, cuts_ms), &part).await?;
        }
        Ok(())
    }

    /// The same of alerts that were received in a stretch, which devices divide that become another subject in it.
    async fn count_part(
        &mut self,
        all: &mut BTreeMap<Key, Figures>,
        operators: &[OperatorId],
        spans: &[Range<Millis>],
        clock: v1::AlertClock,
        (received, cuts_ms): (Range<Millis>, &[Millis]),
        part: &impl Fn(&mut Figures) -> &mut DeviceEnds,
    ) -> Result<(), Failure> {
        let codes: Vec<AlertCode> = self.codes.iter().copied().collect();
        let request = v1::QueryDeviceCountsRequest {
            spans: spans.iter().map(|span| v1::Span { start_ms: span.start, end_ms: span.end }).collect(),
            clock: clock.into(),
            by_code: true,
            codes: arguments::codes(&codes),
            operators: arguments::operators(operators),
            generations: Vec::new(),
            since_ms: received.start,
            until_ms: received.end,
            position: self.position,
            cuts_ms: cuts_ms.to_vec(),
        };
        let mut client = ReportServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let answer = client.query_device_counts(request).await.map_err(|status| self.session.failed(&status))?;
        let mut pieces = answer.into_inner();
        while let Some(piece) = pieces.message().await.map_err(|status| self.session.failed(&status))? {
            let v1::QueryDeviceCountsResponse { rows, position, kept_since_ms } = piece;
            self.position = position;
            // A day that is kept in part is not kept.
            let kept_in_part = (kept_since_ms != 0).then(|| self.kind.of(kept_since_ms)).flatten();
            self.kept_since = kept_in_part.and_then(|day| day.tomorrow().ok());
            for row in rows {
                let from = (row.part as usize).checked_sub(1).and_then(|cut| cuts_ms.get(cut).copied());
                self.add(all, &row, from.unwrap_or(received.start), part)?;
            }
        }
        Ok(())
    }

    fn add(
        &self,
        all: &mut BTreeMap<Key, Figures>,
        row: &v1::DeviceCountRow,
        received_ms: Millis,
        part: impl Fn(&mut Figures) -> &mut DeviceEnds,
    ) -> Result<(), Failure> {
        let unasked = || Failure::internal("the server answered with a day or code that was not asked for");
        let day = *self.days.days().get(row.span as usize).ok_or_else(unasked)?;
        let code = u16::try_from(row.code).map(AlertCode).map_err(|_| unasked())?;
        let key = Key { subject: self.known.subject(Eui64(row.device_id), received_ms), code, day };
        let weighed = |count, represented| Weighed { count, represented };
        let ends = part(all.entry(key).or_default());
        ends.forwarded.add(weighed(row.forwarded, row.forwarded_represented));
        ends.suppressed.add(weighed(row.suppressed, row.suppressed_represented));
        ends.duplicate.add(weighed(row.duplicate, row.duplicate_represented));
        Ok(())
    }
}

/// Alerts of these codes and days that could not be taken, and until when counts are final.
async fn rejected(
    session: &Session,
    channel: Connection,
    codes: &BTreeSet<AlertCode>,
    days: &[Range<Millis>],
) -> Result<(u64, Option<FinalUntil>), Failure> {
    let codes: Vec<AlertCode> = codes.iter().copied().collect();
    let request = v1::QueryCountsRequest {
        codes: arguments::codes(&codes),
        since_ms: days.first().map_or(0, |day| day.start.max(0)),
        until_ms: days.last().map_or(0, |day| day.end.max(0)),
        ..v1::QueryCountsRequest::default()
    };
    let mut client = CountServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let answer = client.query_counts(request).await.map_err(|status| session.failed(&status))?;
    let counts = Counts::from(answer.into_inner());
    Ok((counts.total.balance.rejected, counts.final_until))
}
