//! Pairs of codes of which a rule holds back one alone: what follows looks as if it had never ended, or never begun.
//!
//! Invariant: nothing is said of a rule whose codes are not known from its scope and parameters.

use std::collections::{BTreeMap, BTreeSet};

use tonic::Status;
use weir_proto::v1::{self, count_service_client::CountServiceClient};

use crate::{
    cli::{
        arguments::{Names, now_ms},
        session::{Link, MESSAGE_BYTES_MAX},
        table::thousands,
        view::rule::Rule,
    },
    domain::{AlertCode, HOUR_MS},
    intake::tables::{CodeTable, Edge},
};

/// Hours of which alerts of both codes are counted.
const HOURS: i64 = 7 * 24;

/// A pair of which one code is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HalfHeld {
    held: AlertCode,
    passes: AlertCode,
    /// Which of the two is held back.
    edge: Edge,
}

/// Which codes a rule may hold back, as far as that is said in a way that the stock plugins share.
enum Codes {
    Only(BTreeSet<AlertCode>),
    AllBut(BTreeSet<AlertCode>),
}

impl Codes {
    fn of(parameters: &str, scope: &[u32]) -> Option<Self> {
        let parameters: serde_json::Value = serde_json::from_str(parameters).ok()?;
        let list = |name: &str| -> Option<BTreeSet<AlertCode>> {
            let codes = parameters.get(name)?.as_array()?.iter();
            codes.map(|code| code.as_str()?.parse().ok()).collect()
        };
        let scope: BTreeSet<AlertCode> =
            scope.iter().filter_map(|code| u16::try_from(*code).ok()).map(AlertCode).collect();
        match (list("codes").filter(|codes| !codes.is_empty()), list("exclude_codes").unwrap_or_default()) {
            (Some(codes), _) if scope.is_empty() => Some(Self::Only(codes)),
            (Some(codes), _) => Some(Self::Only(codes.intersection(&scope).copied().collect())),
            (None, but) if scope.is_empty() => (!but.is_empty()).then_some(Self::AllBut(but)),
            (None, but) => Some(Self::Only(scope.difference(&but).copied().collect())),
        }
    }

    fn contains(&self, code: AlertCode) -> bool {
        match self {
            Self::Only(codes) => codes.contains(&code),
            Self::AllBut(codes) => !codes.contains(&code),
        }
    }
}

/// Returns the pairs of which a rule with these parameters and this scope holds back one code alone.
pub(crate) fn half_held(parameters: &str, scope: &[u32], table: &CodeTable) -> Vec<HalfHeld> {
    let Some(codes) = Codes::of(parameters, scope) else { return Vec::new() };
    let half = table.rows().filter_map(|(held, row)| {
        let (passes, edge) = (row.pair?, row.edge?);
        (codes.contains(held) && !codes.contains(passes)).then_some(HalfHeld { held, passes, edge })
    });
    half.collect()
}

/// Returns the same of a rule as it is shown.
pub(crate) fn half_held_by(rule: &Rule, table: &CodeTable) -> Vec<HalfHeld> {
    let codes = rule.scope.codes.iter().filter_map(|code| code.parse::<AlertCode>().ok());
    let scope: Vec<u32> = codes.map(|code| code.0.into()).collect();
    half_held(&rule.parameters, &scope, table)
}

/// Returns a sentence for each, with how many alerts of either code were received in the last week.
pub(crate) async fn with_counts(link: Link, half: &[HalfHeld], names: &Names) -> Result<Vec<String>, Status> {
    if half.is_empty() {
        return Ok(Vec::new());
    }
    let codes = half.iter().flat_map(|half| [half.held, half.passes]).map(|code| u32::from(code.0)).collect();
    let request = v1::QueryCountsRequest {
        group_by: vec![v1::Grouping::Code.into()],
        codes,
        since_ms: (now_ms() / HOUR_MS - HOURS).max(0) * HOUR_MS,
        ..v1::QueryCountsRequest::default()
    };
    let mut client = CountServiceClient::new(link).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let answer = client.query_counts(request).await?.into_inner();
    let received: BTreeMap<u32, u64> =
        answer.rows.iter().filter_map(|row| Some((row.code?, row.balance.as_ref()?.received))).collect();
    let count = |code: AlertCode| thousands(received.get(&u32::from(code.0)).copied().unwrap_or_default());
    let words = half.iter().map(|HalfHeld { held, passes, edge }| {
        let (what, follows) = match edge {
            Edge::Raise => ("which clears it", "the condition seems to end without having begun"),
            Edge::Clear => ("which it clears", "the condition seems never to end"),
        };
        format!(
            "{} is held back and {}, {what}, is not: {follows}; received in the last 7 days: {} and {}",
            names.code(&held.to_string()),
            names.code(&passes.to_string()),
            count(*held),
            count(*passes),
        )
    });
    Ok(words.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(parameters: &str, scope: &[u32]) -> Vec<(String, String)> {
        let half = half_held(parameters, scope, &CodeTable::builtin());
        half.iter().map(|half| (half.held.to_string(), half.passes.to_string())).collect()
    }

    #[test]
    fn a_pair_that_is_held_back_by_half_is_found() {
        let pair = |a: &str, b: &str| vec![(a.to_owned(), b.to_owned())];
        assert_eq!(half(r#"{"codes":["8002","8F40"]}"#, &[]), pair("8002", "8085"));
        assert_eq!(half(r#"{"codes":["8002","8085"]}"#, &[]), []);
        assert_eq!(half(r#"{"codes":["8002","8085"]}"#, &[0x8085]), pair("8085", "8002"));
        assert_eq!(half("{}", &[0x81C3]), pair("81C3", "81C2"));
        assert_eq!(half(r#"{"more_than":2,"exclude_codes":["8014"]}"#, &[]), pair("8015", "8014"));
        for everything in ["{}", r#"{"exclude_codes":[]}"#, "not json", r#"{"codes":"8002"}"#, r#"{"codes":[7]}"#] {
            assert_eq!(half(everything, &[]), [], "{everything}");
        }
    }
}
