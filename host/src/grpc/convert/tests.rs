//! Every defect a message can have, with the words it is refused with; and that what is in order arrives whole.

use std::{fmt::Debug, sync::Arc};

use prost::Message;
use weir_proto::v1;

use super::{alert, count, device, listing, plugin, rule};
use crate::{
    books::{CountKey, CountQuery, CountTable, Counts, Grouping},
    config::IntakeLimits,
    domain::{
        self, Ack, Alert, AlertCode, Balance, Column, DccTimeStatus, Details, Device, DeviceType, Digest, End, Eui64,
        FaultKind, Generation, Mode, ModelId, Mpxn, OperatorId, PayloadKind, Placement, PluginInfo, Position,
        RejectReason, Remark, Remarks, Revision, Scope, StateKey, TimeStatus,
    },
    listing::{AlertPage, LoggedAlert, RuleMark},
    pipeline::{DeviceView, DevicesPut, Refusal, SharedPoint},
    registry::RuleView,
};

mod answers;
mod requests;

/// What an invalid request is refused with.
fn refusal<T: Debug>(result: Result<T, Refusal>) -> String {
    match result {
        Err(refusal @ Refusal::Invalid { .. }) => refusal.to_string(),
        other => panic!("not refused as invalid: {other:?}"),
    }
}

/// Checks that each request is refused with words that begin as given.
fn refused<R, T: Debug>(convert: impl Fn(R) -> Result<T, Refusal>, cases: Vec<(R, &str)>) {
    for (request, expected) in cases {
        let message = refusal(convert(request));
        assert!(message.starts_with(expected), "{message:?} does not begin with {expected:?}");
    }
}

fn sent_alert() -> v1::Alert {
    v1::Alert {
        device_id: 0x00DB_1234_5678_90A0,
        recipient_id: 7,
        originator_counter: Some(0),
        code: 0x8F40,
        occurred_at_ms: -5,
        received_at_ms: 1_700_000_000_000,
        measurement: Some(-2_530),
        weight: 3,
        payload_kind: v1::PayloadKind::Gbz.into(),
        dcc_at_ms: 1_699_999_999_000,
        sender_id: 8,
        instruction_number: 2,
        message_digest: 9,
        occurred_at_status: v1::OccurredAtStatus::Unreliable.into(),
        dcc_at_status: v1::DccAtStatus::Unspecified.into(),
        stated_generation: v1::Generation::Smets2.into(),
        details: Some(v1::AlertDetails {
            mpxn: 1_200_000_000_777,
            throttle_sequence: Some(0),
            instruction_count: 3,
            interrupted_at_ms: Some(1),
            restored_at_ms: Some(2),
            inner_code: Some(0x8F72),
            note: "S1VE".to_owned(),
        }),
    }
}

fn logged(position: u64) -> LoggedAlert {
    LoggedAlert {
        position: Position(position),
        alert: Alert {
            device: Eui64(0x00DB_1234_5678_90A0),
            recipient: Eui64(7),
            counter: Some(0),
            code: AlertCode(0x8F40),
            occurred_ms: Some(-5),
            dcc_ms: Some(1_699_999_999_000),
            received_ms: Some(1_700_000_000_000),
            measurement: Some(-2_530),
            weight: 3,
            payload: PayloadKind::Gbz,
            details: Details {
                mpxn: Mpxn::from_number(1_200_000_000_777),
                throttle_sequence: Some(0),
                instruction_count: 3,
                interrupted_ms: Some(1),
                restored_ms: Some(2),
                inner_code: Some(AlertCode(0x8F72)),
                note: domain::Note::new("S1VE"),
            },
            generation: Generation::Smets2,
            message: domain::Message {
                sender: Eui64(8),
                instruction: 2,
                digest: 9,
                time: TimeStatus::Unreliable,
                dcc_time: DccTimeStatus::AsStated,
            },
        },
        operator: OperatorId::new(12).unwrap(),
        generation: Generation::Smets1,
        model: "ACME-1".into(),
        end: End::Suppressed,
        rule: Some(Arc::new(RuleMark {
            name: "high".into(),
            revision: Revision(4),
            plugin_digest: "ab".into(),
            plugin_name: "threshold".into(),
            parameters: "{}".into(),
            reason: "below".into(),
        })),
        overruled: false,
        withheld: 9,
        faults: vec![("storm".into(), Revision(2), FaultKind::OutOfFuel)],
        remarks: Remarks(Remark::OutOfOrder as u32 | Remark::Implausible as u32),
    }
}
