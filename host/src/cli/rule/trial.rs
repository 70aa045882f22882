//! `weir rule compare` and `weir rule promote`: a rule tried before anybody lives with it.
//!
//! It must not know how a shadow is called. Invariant: a guard's share reaches the server as exactly what was typed.

use std::str::FromStr;

use weir_proto::v1::{self, trial_service_client::TrialServiceClient};

use super::{Why, show};
use crate::cli::{
    Failure, Session,
    arguments::{NameFiles, Period, length},
    count::By,
    session::{Connection, MESSAGE_BYTES_MAX},
    view::trial::{self, Comparison},
};

pub(super) const COMPARE_EXAMPLES: &str = "Examples:
  weir rule compare next
  weir rule compare next --by code,operator --since 2026-11-23
  weir rule compare next --by model --samples 20 --json

A shadow is shown what reaches its place in the chain: to compare it with another rule, set it before that one.";

pub(super) const PROMOTE_EXAMPLES: &str = "Examples:
  weir rule promote next --abort-above 'suppressed>30%' --window 1h
  weir rule promote next --abort-above 'suppressed>0.5%' --window 2d --after-alerts 50000 --why 'two quiet weeks'";

/// What to compare.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CompareArgs {
    /// Name of the rule.
    name: String,
    /// What to group by, in order: code, operator, generation, model, hour or day.
    #[arg(long, value_delimiter = ',')]
    by: Vec<By>,
    #[command(flatten)]
    period: Period,
    /// Sampled alerts of each kind of difference.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    samples: u32,
    #[command(flatten)]
    names: NameFiles,
}

/// What to promote.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PromoteArgs {
    /// Name of the rule.
    name: String,
    /// Set the rule back where it suppresses more than this share of the alerts it is shown.
    #[arg(long, value_name = "suppressed>N%")]
    abort_above: Option<Share>,
    /// How long the rule is guarded: like 30m, 1h or 2d; at most 30d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = window)]
    window: i64,
    /// The share counts once the rule was shown so many alerts, and when the window ends in any case.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    after_alerts: u32,
    #[command(flatten)]
    why: Why,
}

/// A share of alerts, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share(u32);

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "expected suppressed>N%, N from 0 to 100 with at most two decimals, like suppressed>30%".to_owned();
        let number = text.strip_prefix("suppressed").map(str::trim_start).and_then(|rest| rest.strip_prefix('>'));
        let number = number.and_then(|rest| rest.strip_suffix('%')).map(str::trim).ok_or_else(wrong)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || whole.len() > 3 || !digits(part) || part.len() > 2 {
            return Err(wrong());
        }
        let basis_points: u32 = format!("{whole}{part:0<2}").parse().map_err(|_| wrong())?;
        if basis_points > 10_000 { Err(wrong()) } else { Ok(Self(basis_points)) }
    }
}

/// How long a guard may last.
fn window(text: &str) -> Result<i64, String> {
    length(text, 30)
}

/// Shows a comparison.
pub(super) async fn compare(session: &Session, args: CompareArgs) -> Result<(), Failure> {
    let CompareArgs { name, by, period, samples, names } = args;
    let names = names.of_host(session).await?;
    let keys: Vec<v1::Grouping> = by.into_iter().map(By::wire).collect();
    let (since_ms, until_ms) = period.wire()?;
    let group_by = keys.iter().map(|key| (*key).into()).collect();
    let request = v1::CompareRuleRequest { name, group_by, since_ms, until_ms, samples_max: samples };
    let answer = client(session).await?.compare_rule(request).await.map_err(|status| session.failed(&status))?;
    let comparison = Comparison::from(answer.into_inner());
    session.show(&comparison, |comparison| trial::table(comparison, &keys, &names))?;
    if session.json {
        return Ok(());
    }
    trial::notes(&comparison).iter().for_each(|note| eprintln!("{note}"));
    if comparison.samples.is_empty() {
        return Ok(());
    }
    session.list(&comparison.samples, |samples| trial::samples(samples, &names))
}

/// Promotes a rule.
pub(super) async fn promote(session: &Session, args: PromoteArgs) -> Result<(), Failure> {
    let PromoteArgs { name, abort_above, window, after_alerts, why } = args;
    let request = v1::PromoteRuleRequest {
        name,
        suppressed_max_basis_points: abort_above.map(|share| share.0),
        alerts_min: after_alerts,
        window_ms: window,
        why: why.why,
    };
    let answer = client(session).await?.promote_rule(request).await;
    let v1::PromoteRuleResponse { rule } = answer.map_err(|status| session.failed(&status))?.into_inner();
    show(session, rule)
}

async fn client(session: &Session) -> Result<TrialServiceClient<Connection>, Failure> {
    Ok(TrialServiceClient::new(session.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_what_was_typed() {
        let cases = [
            ("suppressed>30%", 3_000),
            ("suppressed > 0.5%", 50),
            ("suppressed>0.05 %", 5),
            ("suppressed>100%", 10_000),
        ];
        for (text, basis_points) in cases {
            assert_eq!(text.parse(), Ok(Share(basis_points)), "{text}");
        }
        for wrong in [
            "",
            "30%",
            "suppressed>30",
            "suppressed<30%",
            "suppressed>100.01%",
            "suppressed>-1%",
            "suppressed>1.234%",
            "suppressed>%",
            "forwarded>3%",
        ] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_window_is_a_length_of_time() {
        for (text, ms) in [("30m", 1_800_000), ("1h", 3_600_000), ("2d", 172_800_000), ("90s", 90_000)] {
            assert_eq!(window(text), Ok(ms), "{text}");
        }
        for wrong in ["", "1", "0s", "-1h", "31d", "soon"] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }
}
