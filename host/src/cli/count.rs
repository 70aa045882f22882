//! `weir count`: the books.
//!
//! It must not know how counts are kept.

use clap::ValueEnum;
use weir_proto::v1::{self, count_service_client::CountServiceClient};

use super::{
    Failure, Session,
    arguments::{self, NameFiles, Only, Period},
    session::MESSAGE_BYTES_MAX,
    view::count,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir count
  weir count --by code,rule --since 2026-11-23
  weir count --by day --code 8F40 --generation smets1 --operator LOND
  weir count --by rejection --json")]
pub(super) struct Args {
    /// What to group by, in order. Hour and day exclude each other.
    #[arg(long, value_delimiter = ',')]
    by: Vec<By>,
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
    #[command(flatten)]
    names: NameFiles,
}

/// What to group by.
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
        }
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let Args { by, period, rule, only, model, names } = args;
    let names = names.read()?;
    let keys: Vec<v1::Grouping> = by.into_iter().map(By::wire).collect();
    let (since_ms, until_ms) = period.wire();
    let request = v1::QueryCountsRequest {
        group_by: keys.iter().map(|key| (*key).into()).collect(),
        codes: only.codes(),
        rule: rule.unwrap_or_default(),
        operators: only.operators(),
        generations: only.generations(),
        models: arguments::models(&model),
        since_ms,
        until_ms,
    };
    let channel = session.connect().await?;
    let mut client = CountServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let answer = client.query_counts(request).await.map_err(|status| session.failed(&status))?;
    session.show(&count::Counts::from(answer.into_inner()), |counts| count::table(counts, &keys, &names))
}
