//! `weir rule list --muting`: the rules that hold alerts back now.

use std::collections::HashMap;

use weir_proto::v1::{self, count_service_client::CountServiceClient};

use super::{client, pairs, pairs_said, standing};
use crate::{
    cli::{
        Failure, Session,
        arguments::{NameFiles, now_ms},
        session::MESSAGE_BYTES_MAX,
        view::rule::{Mute, Rule, mutes},
    },
    domain::HOUR_MS,
};

/// Hours of which it is counted what each rule held back.
const HOURS: i64 = 24;

pub(super) async fn list(session: &Session, names: &NameFiles) -> Result<(), Failure> {
    let names = names.of_host(session).await?;
    let counted_since_ms = (now_ms() / HOUR_MS - HOURS).max(0) * HOUR_MS;
    let held = held_back(session, counted_since_ms).await?;
    let mut rows = Vec::new();
    let now_ms = now_ms();
    // The host turns a rule off with the first alerts after its end; until then it holds nothing back either.
    let is_in_force = |rule: &Rule| rule.mode == "active" && rule.until_ms.is_none_or(|until_ms| until_ms > now_ms);
    for rule in standing(session).await?.into_iter().filter(is_in_force) {
        let (suppressed, overruled) = held.get(&rule.name).copied().unwrap_or_default();
        let change = last_change(session, &rule).await?;
        let half = pairs::half_held_by(&rule, &names.codes);
        let half_pairs = pairs_said(session, &half, &names).await?;
        let (changed_at_ms, who, why) = match change {
            Some(v1::RuleRevision { made_at_ms, who, why, .. }) => (Some(made_at_ms), who, why),
            None => (None, String::new(), String::new()),
        };
        rows.push(Mute { rule, changed_at_ms, who, why, counted_since_ms, suppressed, overruled, half_pairs });
    }
    session.list(&rows, mutes)
}

/// What each rule held back since a time, and was overruled on.
async fn held_back(session: &Session, since_ms: i64) -> Result<HashMap<String, (u64, u64)>, Failure> {
    let group_by = vec![v1::Grouping::Rule.into()];
    let request = v1::QueryCountsRequest { group_by, since_ms, ..v1::QueryCountsRequest::default() };
    let mut client = CountServiceClient::new(session.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let answer = client.query_counts(request).await.map_err(|status| session.failed(&status))?.into_inner();
    let of = |row: v1::CountRow| Some((row.rule?, (row.balance?.suppressed, row.overruled)));
    Ok(answer.rows.into_iter().filter_map(of).collect())
}

/// How a rule came to be as it is; `None` where the caller may not see that.
async fn last_change(session: &Session, rule: &Rule) -> Result<Option<v1::RuleRevision>, Failure> {
    let request = v1::ListRuleRevisionsRequest { name: rule.name.clone(), page_size: 1, page_token: String::new() };
    match client(session).await?.list_rule_revisions(request).await {
        Ok(answer) => Ok(answer.into_inner().revisions.into_iter().next()),
        Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
        Err(status) => Err(session.failed(&status)),
    }
}
