//! Devices.
//!
//! It must not know how devices are asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{alert::Balance, code, eui, generation, or};
use crate::cli::{
    arguments::Names,
    table::{Table, Value},
};

/// What the inventory says of a device.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Device {
    pub device_id: Option<String>,
    pub mpxn: String,
    pub generation: &'static str,
    pub model: String,
    pub operator: u32,
}

impl From<v1::Device> for Device {
    fn from(message: v1::Device) -> Self {
        let v1::Device { device_id, mpxn, generation: number, model, operator } = message;
        Self { device_id: eui(device_id), mpxn, generation: generation(number), model, operator }
    }
}

/// What one rule keeps for a device.
#[derive(Debug, Serialize)]
pub(crate) struct State {
    pub rule: String,
    /// `None` where the state is kept per device.
    pub code: Option<String>,
    pub words: Vec<u64>,
}

impl From<v1::DeviceState> for State {
    fn from(message: v1::DeviceState) -> Self {
        let v1::DeviceState { rule, code: number, words } = message;
        Self { rule, code: (number != 0).then(|| code(number)), words }
    }
}

/// One device with its counts and state.
#[derive(Debug, Serialize)]
pub(crate) struct DeviceView {
    pub device: Device,
    pub in_inventory: bool,
    pub balance: Balance,
    pub states: Vec<State>,
    pub position: u64,
}

impl From<v1::GetDeviceResponse> for DeviceView {
    fn from(message: v1::GetDeviceResponse) -> Self {
        let v1::GetDeviceResponse { device, in_inventory, balance, states, position } = message;
        Self {
            device: device.map(Device::from).unwrap_or_default(),
            in_inventory,
            balance: balance.map(Balance::from).unwrap_or_default(),
            states: states.into_iter().map(State::from).collect(),
            position,
        }
    }
}

/// What loading an inventory did.
#[derive(Debug, Serialize)]
pub(crate) struct Load {
    pub added: u64,
    pub changed: u64,
    pub unchanged: u64,
    /// Lines that could not be read and were skipped.
    pub unreadable_count: u64,
}

/// What loading did, in one row.
pub(crate) fn load_table(load: &Load) -> Table {
    let mut table = Table::new(&["added", "changed", "unchanged", "unreadable"]);
    table.row([load.added, load.changed, load.unchanged, load.unreadable_count].map(Value::Number));
    table
}

/// One device, a line for each of its facts.
pub(crate) fn facts(view: &DeviceView, names: &Names) -> Table {
    let Device { device_id, mpxn, generation, model, operator } = &view.device;
    let counts = Balance::HEADINGS.into_iter().zip(view.balance.values());
    let head = [
        ("device", Value::text(device_id.as_deref().unwrap_or("unknown"))),
        ("in inventory", Value::text(if view.in_inventory { "yes" } else { "no" })),
        ("mpxn", Value::text(or(mpxn, "unknown"))),
        ("generation", Value::text(*generation)),
        ("model", Value::text(or(model, "unknown"))),
        ("operator", Value::text(names.operator(*operator))),
    ];
    let states = view.states.iter().map(|state| ("state", Value::text(state_text(state))));
    Table::facts(head.into_iter().chain(counts).chain(states))
}

pub(crate) fn state_text(state: &State) -> String {
    let code = state.code.as_ref().map_or_else(String::new, |code| format!(" {code}"));
    let words: Vec<String> = state.words.iter().map(u64::to_string).collect();
    format!("{}{code}: {}", state.rule, words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_shown_with_its_counts_and_state() {
        let balance = v1::Balance { received: 1200, forwarded: 200, suppressed: 1000, rejected: 0, duplicate: 0 };
        let view = DeviceView::from(v1::GetDeviceResponse {
            device: Some(v1::Device {
                device_id: 0x00DB_1234_5678_90A0,
                mpxn: "1312345678907".to_owned(),
                generation: v1::Generation::Smets2.into(),
                model: String::new(),
                operator: 13,
            }),
            in_inventory: true,
            balance: Some(balance),
            states: vec![v1::DeviceState { rule: "storm".to_owned(), code: 0x8F40, words: vec![3, 17] }],
            position: 99,
        });
        let expected = [
            "+----------------------------------------+",
            "| device         00-DB-12-34-56-78-90-A0 |",
            "| in inventory   yes                     |",
            "| mpxn           1312345678907           |",
            "| generation     smets2                  |",
            "| model          unknown                 |",
            "| operator       13 MANW                 |",
            "| received       1,200                   |",
            "| forwarded      200                     |",
            "| suppressed     1,000                   |",
            "| rejected       0                       |",
            "| duplicate      0                       |",
            "| state          storm 8F40: 3 17        |",
            "+----------------------------------------+",
        ];
        assert_eq!(facts(&view, &Names::builtin()).to_string().lines().collect::<Vec<_>>(), expected);
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!(json["device"]["device_id"], "00-DB-12-34-56-78-90-A0");
        assert_eq!(json["states"][0], serde_json::json!({ "rule": "storm", "code": "8F40", "words": [3, 17] }));
    }
}
