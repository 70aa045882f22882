//! The levels of a label's values: of a substation, say.
//!
//! Invariant: the lines add up to what the label's values, and devices without it, have in the period together.

use std::{collections::HashMap, ops::Range};

use tonic::Status;
use weir_proto::v1::{self, count_service_client::CountServiceClient};

use super::{Asking, Link};
use crate::{
    cli::{
        arguments,
        session::MESSAGE_BYTES_MAX,
        table::thousands,
        view::{
            count::{Counts, Row},
            report::{Line, Section},
        },
    },
    domain::{Millis, OTHER_VALUES},
};

impl Asking {
    /// The section of the label that is reported by: those values whose devices raise most, and all others in one line.
    pub(super) async fn by_label(&self) -> Result<Option<Section>, Status> {
        let Some(key) = &self.wanted.label else { return Ok(None) };
        let (key, days) = (key.as_str(), self.days.count());
        // Of none it would be all.
        let top = u32::try_from(self.wanted.top).unwrap_or(u32::MAX).max(1);
        let now = self.counts_by(key, &self.days.period, top, None).await?;
        let values: Vec<String> = now.rows.iter().map(|row| value_of(row).to_owned()).collect();
        let wanted = |values: Vec<String>| v1::LabelFilter { key: key.to_owned(), values };
        let (mut before, mut devices) = (HashMap::new(), HashMap::new());
        for some in values.chunks(VALUES_AT_ONCE) {
            let counted = self.counts_by(key, &self.days.before, 0, Some(wanted(some.to_vec()))).await?;
            let taken = |row: &Row| row.balance.forwarded + row.balance.suppressed;
            before.extend(counted.rows.iter().map(|row| (value_of(row).to_owned(), taken(row))));
            let request = v1::QueryInventoryRequest {
                operators: arguments::operators(&self.wanted.operators),
                generations: self.generations(),
                label_key: key.to_owned(),
                labels: vec![wanted(some.to_vec())],
            };
            let counted = self.reports().query_inventory(request).await?.into_inner();
            devices.extend(counted.rows.into_iter().map(|row| (row.label, row.listed_count)));
        }
        let mut lines: Vec<Line> = now
            .rows
            .iter()
            .map(|row| {
                let value = value_of(row);
                let line = Line::new(value.to_owned(), row.key.label(key), &row.balance);
                let line = line.of_devices(devices.get(value).copied().unwrap_or(0), days);
                Line { taken_before: Some(before.get(value).copied().unwrap_or(0)), ..line }
            })
            .collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.taken()));
        if let Some(rest) = &now.rest {
            let label = format!("{} more", thousands(now.rest_row_count.unwrap_or_default()));
            lines.push(Line::new(OTHER_VALUES.to_owned(), label, &rest.balance));
        }
        Ok(Some(Section { name: "label", title: format!("By {key}, as the inventory has it now"), lines }))
    }

    async fn counts_by(
        &self,
        key: &str,
        period: &Range<Millis>,
        top: u32,
        only: Option<v1::LabelFilter>,
    ) -> Result<Counts, Status> {
        let request = v1::QueryCountsRequest {
            group_by: vec![v1::Grouping::Label.into()],
            label_keys: vec![key.to_owned()],
            operators: arguments::operators(&self.wanted.operators),
            generations: self.generations(),
            since_ms: period.start,
            until_ms: period.end,
            top,
            labels: only.into_iter().collect(),
            ..v1::QueryCountsRequest::default()
        };
        let link: Link = self.link.clone();
        let mut client = CountServiceClient::new(link).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Counts::from(client.query_counts(request).await?.into_inner()))
    }
}

/// Values that are asked about at once: a filter has no more.
const VALUES_AT_ONCE: usize = 1_000;

fn value_of(row: &Row) -> &str {
    row.key.labels.values().next().map_or("", String::as_str)
}
