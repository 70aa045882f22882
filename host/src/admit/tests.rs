use super::*;
use crate::domain::{AlertCode, Device, Generation, ModelId, Mpxn, OperatorId, PayloadKind};

const NOW: Millis = 1_764_000_000_000;

fn alert(device: u64, counter: u64) -> Alert {
    Alert {
        device: Eui64(device),
        recipient: Eui64(7),
        counter: Some(counter),
        code: AlertCode(0x8F40),
        occurred_ms: None,
        received_ms: None,
        measurement: Some(2550),
        weight: 1,
        payload: PayloadKind::Csv,
    }
}

struct Door {
    admitted: Admitted,
    inventory: Inventory,
    bounds: Bounds,
}

impl Door {
    fn new() -> Self {
        let limits = IntakeLimits { devices_max: 3, ..IntakeLimits::default() };
        Self { admitted: Admitted::default(), inventory: Inventory::default(), bounds: Bounds::new(NOW, &limits, 400) }
    }

    fn take(&mut self, alert: Alert) -> Result<(), Reject> {
        let mut rejected = Ok(());
        let mut told = |_, reject| rejected = Err(reject);
        self.admitted.take(&[Ok(alert)], &self.bounds, &mut self.inventory, &mut told);
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
    assert_eq!(door.inventory.put(device), (DeviceNo(0), Change::Added));
    door.take(alert(1, 2)).unwrap();
    assert_eq!(door.inventory.put(device), (DeviceNo(0), Change::Unchanged));

    assert_eq!(door.admitted.rows.operator, [0, 14]);
    assert_eq!(door.admitted.rows.model, [0, ModelId::of("A").0]);
    assert_eq!(door.admitted.new_devices, [DeviceNo(0)]);
    assert_eq!(door.admitted.rows.occurred_ms, [NOW, NOW]);
}

#[test]
fn each_defect_is_named_and_counted() {
    let mut door = Door::new();
    let cases = [
        (Alert { device: Eui64(0), ..alert(1, 1) }, RejectReason::DeviceId, "device_id: 0"),
        (Alert { weight: 0, ..alert(1, 1) }, RejectReason::Weight, "weight: 0"),
        (Alert { weight: 1_000_001, ..alert(1, 1) }, RejectReason::Weight, "weight: 1000001"),
        (Alert { received_ms: Some(NOW + 301_000), ..alert(1, 1) }, RejectReason::ReceivedAt, "received_at_ms"),
        (Alert { received_ms: Some(0), ..alert(1, 1) }, RejectReason::ReceivedAt, "received_at_ms: 0"),
        (Alert { occurred_ms: Some(-1), ..alert(1, 1) }, RejectReason::OccurredAt, "occurred_at_ms: -1"),
    ];
    for (alert, reason, text) in cases {
        let reject = door.take(alert).unwrap_err();
        assert_eq!(reject.reason, reason);
        assert!(reject.message.starts_with(text), "{}", reject.message);
    }
    let total: u64 = door.admitted.rejected.iter().map(|r| r.count).sum();
    assert_eq!(total, 6);
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

#[test]
fn a_counter_is_a_copy_only_for_the_same_device_and_recipient() {
    let mut windows = Windows::default();
    let (device, other) = (DeviceNo(0), DeviceNo(9));
    assert!(!windows.note(device, Eui64(1), 100));
    assert!(windows.note(device, Eui64(1), 100));
    assert!(!windows.note(device, Eui64(2), 100));
    assert!(windows.note(device, Eui64(2), 100));
    assert!(!windows.note(other, Eui64(1), 100));
}

#[test]
fn copies_are_found_out_of_order_within_64_and_let_pass_beyond() {
    let mut windows = Windows::default();
    let device = DeviceNo(0);
    for counter in [1000, 990, 1003, 1060] {
        assert!(!windows.note(device, Eui64(1), counter), "{counter}");
    }
    for counter in [1000, 1003, 1060] {
        assert!(windows.note(device, Eui64(1), counter), "{counter}");
    }
    // 990 is 70 back by now: out of the window, so it passes, each time.
    assert!(!windows.note(device, Eui64(1), 990));
    assert!(!windows.note(device, Eui64(1), u64::MAX));
    assert!(windows.note(device, Eui64(1), u64::MAX));
    assert!(!windows.note(device, Eui64(1), 0));
}

#[test]
fn a_counter_of_zero_is_a_counter() {
    let mut windows = Windows::default();
    assert!(!windows.note(DeviceNo(0), Eui64(0), 0));
    assert!(windows.note(DeviceNo(0), Eui64(0), 0));
}

#[test]
fn windows_come_back_as_they_were() {
    let mut windows = Windows::default();
    for recipient in 1..=12 {
        windows.note(DeviceNo(3), Eui64(recipient), recipient);
    }
    let kept: Vec<Window> = windows.of(DeviceNo(3)).copied().collect();
    assert_eq!(kept.len(), RECIPIENTS);
    let mut restored = Windows::default();
    for window in &kept {
        restored.restore(DeviceNo(3), *window);
    }
    assert_eq!(restored.of(DeviceNo(3)).copied().collect::<Vec<_>>(), kept);
}

use crate::domain::Window;
const RECIPIENTS: usize = 8;

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
