use super::*;
use crate::{
    domain::{
        AlertCode, DccTimeStatus, Details, Device, Generation, Message, ModelId, Mpxn, OperatorId, PayloadKind,
        Placement, Remarks, TimeStatus,
    },
    intake::tables::CodeTable,
};

const NOW: Millis = 1_764_000_000_000;

fn alert(device: u64, counter: u64) -> Alert {
    Alert {
        device: Eui64(device),
        recipient: Eui64(7),
        counter: Some(counter),
        code: AlertCode(0x8F40),
        occurred_ms: None,
        dcc_ms: None,
        received_ms: None,
        measurement: Some(2550),
        weight: 1,
        payload: PayloadKind::Csv,
        details: Default::default(),
        generation: Generation::Unknown,
        message: Message::default(),
    }
}

struct Door {
    admitted: Admitted,
    inventory: Inventory,
    plausible: Ranges,
    limits: IntakeLimits,
}

impl Door {
    fn new() -> Self {
        let limits = IntakeLimits { devices_max: 3, ..IntakeLimits::default() };
        let plausible = CodeTable::builtin().ranges();
        Self { admitted: Admitted::default(), inventory: Inventory::default(), plausible, limits }
    }

    fn take(&mut self, alert: Alert) -> Result<(), Reject> {
        let mut rejected = Ok(());
        let mut told = |_, reject| rejected = Err(reject);
        let bounds = Bounds::new(NOW, &self.limits, 400, &self.plausible);
        self.admitted.take(&[Ok(alert)], &bounds, &mut self.inventory, &mut told);
        rejected
    }
}

#[test]
fn an_alert_is_joined_with_the_inventory_as_it_is_now() {
    let mut door = Door::new();
    let device = Device {
        eui: Eui64(1),
        mpxn: Mpxn::NONE,
        operator: OperatorId::new(14).unwrap(),
        generation: Generation::Smets1,
        model: ModelId::of("A"),
        listed: true,
    };
    door.take(alert(1, 1)).unwrap();
    assert_eq!(door.inventory.put(device, Placement::default()), (DeviceNo(0), Change::Added));
    door.take(alert(1, 2)).unwrap();
    assert_eq!(door.inventory.put(device, Placement::default()), (DeviceNo(0), Change::Unchanged));

    assert_eq!(door.admitted.rows.operator, [0, 14]);
    assert_eq!(door.admitted.rows.model, [0, ModelId::of("A").0]);
    assert_eq!(door.admitted.new_devices, [DeviceNo(0)]);
    assert_eq!(door.admitted.rows.occurred_ms, [NOW, NOW]);
}

/// What a document says of its device's generation counts where the inventory has nothing, and never against it.
#[test]
fn a_stated_generation_fills_a_gap_and_never_replaces_the_inventorys() {
    let mut door = Door::new();
    let device = |eui, generation| Device {
        eui: Eui64(eui),
        mpxn: Mpxn::NONE,
        operator: OperatorId::UNKNOWN,
        generation,
        model: ModelId::default(),
        listed: true,
    };
    door.inventory.put(device(1, Generation::Smets2), Placement::default());
    door.inventory.put(device(2, Generation::Unknown), Placement::default());
    for (row, (eui, stated, counts, differs)) in [
        (1, Generation::Smets1, Generation::Smets2, true),
        (1, Generation::Smets2, Generation::Smets2, false),
        (1, Generation::Unknown, Generation::Smets2, false),
        (2, Generation::Smets1, Generation::Smets1, false),
        (3, Generation::Smets1, Generation::Smets1, false),
        (3, Generation::Unknown, Generation::Unknown, false),
    ]
    .into_iter()
    .enumerate()
    {
        door.take(Alert { generation: stated, ..alert(eui, row as u64) }).unwrap();
        let rows = &door.admitted.rows;
        assert_eq!(crate::domain::Flags(rows.flags[row]).generation(), counts);
        assert_eq!(Remarks(rows.remarks[row]).has(Remark::GenerationDiffers), differs);
        assert_eq!(rows.alert(row).generation, stated, "what was stated is not lost");
    }
    assert_eq!(door.inventory.get(DeviceNo(1)).generation, Generation::Unknown, "one alert changes no inventory");
}

#[test]
fn each_defect_is_named_and_counted() {
    let mut door = Door::new();
    let outage = |interrupted_ms, restored_ms| Alert {
        details: Details { interrupted_ms, restored_ms, ..Details::default() },
        ..alert(1, 1)
    };
    let with = |occurred_ms, dcc_ms, time, dcc_time| Alert {
        occurred_ms,
        dcc_ms,
        message: Message { time, dcc_time, ..Message::default() },
        ..alert(1, 1)
    };
    let (as_stated, left_out) = (DccTimeStatus::AsStated, DccTimeStatus::LeftOut);
    let cases = [
        (Alert { device: Eui64(0), ..alert(1, 1) }, RejectReason::DeviceId, "device_id: 0 is no device"),
        (
            Alert { device: Eui64::BROADCAST, ..alert(1, 1) },
            RejectReason::DeviceId,
            "device_id: FF-FF-FF-FF-FF-FF-FF-FF is the broadcast address, which no device has",
        ),
        (Alert { weight: 0, ..alert(1, 1) }, RejectReason::Weight, "weight: 0"),
        (Alert { weight: 1_000_001, ..alert(1, 1) }, RejectReason::Weight, "weight: 1000001"),
        (Alert { received_ms: Some(NOW + 301_000), ..alert(1, 1) }, RejectReason::ReceivedAt, "received_at_ms"),
        (
            Alert { received_ms: Some(0), ..alert(1, 1) },
            RejectReason::ReceivedAt,
            "received_at_ms: 0 (1970-01-01T00:00:00Z) lies",
        ),
        (
            Alert { occurred_ms: Some(-1), ..alert(1, 1) },
            RejectReason::OccurredAt,
            "occurred_at_ms: -1 (1969-12-31T23:59:59.999Z)",
        ),
        (Alert { dcc_ms: Some(1 << 60), ..alert(1, 1) }, RejectReason::DccAt, "dcc_at_ms: 1152921504606846976"),
        (
            Alert { recipient: Eui64::BROADCAST, ..alert(1, 1) },
            RejectReason::DeviceId,
            "recipient_id: FF-FF-FF-FF-FF-FF-FF-FF is the broadcast address, which no party has",
        ),
        (
            Alert { message: Message { sender: Eui64::BROADCAST, ..Message::default() }, ..alert(1, 1) },
            RejectReason::DeviceId,
            "sender_id: FF-FF-FF-FF-FF-FF-FF-FF is the broadcast address",
        ),
        (
            outage(Some(9_i64.pow(18)), None),
            RejectReason::Details,
            "details.interrupted_at_ms: 150094635296999121 lies",
        ),
        (
            outage(None, Some(-1)),
            RejectReason::Details,
            "details.restored_at_ms: -1 (1969-12-31T23:59:59.999Z) lies outside the years 1970 to 2200",
        ),
        // Of a status and a time that contradict each other one would be dropped.
        (
            with(Some(NOW - 1_000), None, TimeStatus::NotStated, as_stated),
            RejectReason::OccurredAt,
            "occurred_at_status: not-stated, but occurred_at_ms is ",
        ),
        (
            with(Some(NOW + 1), None, TimeStatus::LeftOut, as_stated),
            RejectReason::OccurredAt,
            "occurred_at_status: left-out, but occurred_at_ms is ",
        ),
        (
            with(None, None, TimeStatus::Unreliable, as_stated),
            RejectReason::OccurredAt,
            "occurred_at_status: unreliable, but occurred_at_ms is not stated",
        ),
        (
            with(None, Some(NOW), TimeStatus::Stated, left_out),
            RejectReason::DccAt,
            "dcc_at_status: left-out, but dcc_at_ms is ",
        ),
    ];
    for (alert, reason, text) in cases {
        let reject = door.take(alert).unwrap_err();
        assert_eq!(reject.reason, reason);
        assert!(reject.message.starts_with(text), "{}", reject.message);
    }
    let total: u64 = door.admitted.rejected.iter().map(|r| r.count).sum();
    assert_eq!(total, 16);
    assert!(door.admitted.rows.is_empty());
}

#[test]
fn a_full_table_rejects_strangers_and_still_takes_known_devices() {
    let mut door = Door::new();
    for device in 1..=3 {
        door.take(alert(device, 1)).unwrap();
    }
    assert_eq!(door.take(alert(4, 1)).unwrap_err().reason, RejectReason::DeviceLimit);
    door.take(alert(2, 2)).unwrap();
}

/// Nobody's clock is believed more than another's, and no alert is lost or changed by it.
#[test]
fn clocks_that_disagree_and_what_is_not_plausible_are_remarked_and_taken() {
    const DAY: Millis = 24 * HOUR_MS;
    let at = |occurred: Millis, dcc: Option<Millis>| Alert {
        occurred_ms: Some(NOW + occurred),
        dcc_ms: dcc.map(|dcc| NOW + dcc),
        ..alert(1, 1)
    };
    let stated = |occurred_ms, time| Alert {
        occurred_ms: Some(occurred_ms),
        message: Message { time, ..Message::default() },
        ..alert(1, 1)
    };
    let left_out = |time, dcc_time| Alert { message: Message { time, dcc_time, ..Message::default() }, ..alert(1, 1) };
    let future = &[Remark::OccurredInFuture][..];
    let cases = [
        (at(0, None), &[][..]),
        (at(300_000, None), &[]),
        (at(300_001, None), future),
        (at(300_000, Some(-1)), future),
        (at(300_000, Some(9 * DAY)), &[]),
        (at(-400 * DAY, None), &[]),
        (at(-400 * DAY - 1, None), &[Remark::OccurredBeforeRetention]),
        (at(-5, Some(-3)), &[]),
        // The time of receipt stands for one that is not stated: it says nothing of the device's clock.
        (Alert { dcc_ms: Some(NOW - 300_001), ..alert(1, 1) }, &[]),
        (
            Alert { dcc_ms: Some(NOW - 9 * DAY), ..left_out(TimeStatus::LeftOut, DccTimeStatus::AsStated) },
            &[Remark::OccurredAtLeftOut],
        ),
        (Alert { measurement: Some(255), ..alert(1, 1) }, &[Remark::Implausible]),
        (Alert { measurement: Some(255), ..at(300_001, None) }, &[Remark::OccurredInFuture, Remark::Implausible]),
        (Alert { measurement: None, ..alert(1, 1) }, &[]),
        (Alert { code: AlertCode(0x1234), ..alert(1, 1) }, &[]),
        (stated(CLOCK_SET_MS, TimeStatus::Stated), &[Remark::OccurredBeforeRetention]),
        (stated(0, TimeStatus::Stated), &[Remark::OccurredBeforeRetention, Remark::ClockNotSet]),
        (stated(NOW, TimeStatus::Unreliable), &[Remark::ClockUnreliable]),
        (
            stated(CLOCK_SET_MS - 1, TimeStatus::Unreliable),
            &[Remark::OccurredBeforeRetention, Remark::ClockUnreliable, Remark::ClockNotSet],
        ),
        (left_out(TimeStatus::LeftOut, DccTimeStatus::AsStated), &[Remark::OccurredAtLeftOut]),
        (left_out(TimeStatus::Stated, DccTimeStatus::LeftOut), &[Remark::DccAtLeftOut]),
        (left_out(TimeStatus::LeftOut, DccTimeStatus::LeftOut), &[Remark::OccurredAtLeftOut, Remark::DccAtLeftOut]),
    ];
    let mut door = Door::new();
    for (row, (alert, expected)) in cases.into_iter().enumerate() {
        door.take(alert).unwrap();
        let rows = &door.admitted.rows;
        assert_eq!(Remarks(rows.remarks[row]).iter().collect::<Vec<_>>(), expected, "{alert:?}");
        let received_ms = Some(NOW);
        let time = match alert.message.time {
            TimeStatus::Stated if alert.occurred_ms.is_none() => TimeStatus::NotStated,
            time => time,
        };
        let (occurred_ms, message) = (alert.occurred_ms.or(received_ms), Message { time, ..alert.message });
        assert_eq!(rows.alert(row), Alert { occurred_ms, received_ms, message, ..alert });
    }
}

#[test]
fn two_model_names_never_share_an_id() {
    let mut inventory = Inventory::default();
    assert_eq!(inventory.learn_model("A", 2), Ok(true));
    assert_eq!(inventory.learn_model("A", 2), Ok(false));
    assert_eq!(inventory.learn_model("", 2), Ok(false));
    assert_eq!(inventory.learn_model("B", 2), Ok(true));
    assert!(matches!(inventory.learn_model("C", 2), Err(InventoryError::ModelLimit { .. })));
    // A known FNV-1a collision.
    let mut inventory = Inventory::default();
    inventory.learn_model("costarring", 9).unwrap();
    assert!(matches!(inventory.learn_model("liquid", 9), Err(InventoryError::ModelClash { .. })));
}

/// An alert that a host listed has the time of receipt where it stated none; sent again, it still states none.
#[test]
fn a_time_that_is_not_the_devices_is_not_taken_for_it() {
    let mut door = Door::new();
    let message = Message { time: TimeStatus::NotStated, ..Message::default() };
    door.take(Alert { occurred_ms: Some(NOW), received_ms: Some(NOW), message, ..alert(1, 1) }).unwrap();
    let rows = &door.admitted.rows;
    assert_eq!((rows.occurred_ms[0], rows.time_status(0)), (NOW, TimeStatus::NotStated));
}
