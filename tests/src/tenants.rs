//! A host that asks for tokens, and two operators on it.
//!
//! It must not know what is asked of it. Invariant: whatever is done goes through the real binary's commands.

use std::{fs, path::Path};

use serde_json::Value;

use crate::host::Host;

/// A host that asks for tokens, and its first admin's.
pub fn start(binary: &str, data: &Path) -> (Host, String) {
    let host = Host::start_with(binary, data, &[("WEIR_AUTHENTICATE", "true")]);
    let token = fs::read_to_string(data.join("first-admin-token")).expect("the host has made one").trim().to_owned();
    (host, token)
}

/// Runs a command as the holder of a token: what it printed as JSON, or its exit code and what it said.
pub fn weir(host: &Host, token: &str, arguments: &[&str]) -> Result<Vec<Value>, String> {
    let output = host.weir(arguments.iter().copied().chain(["--json", "--token", token]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
        return Ok(text.lines().map(|line| serde_json::from_str(line).expect(line)).collect());
    }
    assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
    Err(said)
}

/// Makes a token for somebody; `role` is what follows `--role`.
pub fn create(host: &Host, admin: &str, name: &str, role: &[&str]) -> String {
    let arguments = [&["token", "create", name, "--role"], role].concat();
    weir(host, admin, &arguments).expect("an admin may")[0]["secret"].as_str().expect("it is text").to_owned()
}

/// Two operators with a device, a rule and alerts each, and a rule of the host for both.
pub struct Two {
    /// The host.
    pub host: Host,
    /// An administrator's token.
    pub admin: String,
    /// That of operator 12.
    pub lond: String,
    /// That of operator 10.
    pub east: String,
    /// What is on disk.
    pub folder: tempfile::TempDir,
}

/// A device of operator 12.
pub const LOND_DEVICE: &str = "00-0D-6F-00-00-00-00-01";
/// A device of operator 10.
pub const EAST_DEVICE: &str = "00-0D-6F-00-00-00-00-02";

impl Two {
    /// Starts the host and makes all of that.
    pub fn new(binary: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let (host, admin) = start(binary, &folder.path().join("data"));
        let lond = create(&host, &admin, "lond", &["operator", "--operator", "12"]);
        let east = create(&host, &admin, "east", &["operator", "--operator", "10"]);
        let two = Self { host, admin, lond, east, folder };
        two.admin(&["plugin", "push", env!("WEIR_GUEST_THRESHOLD")]);
        weir(&two.host, &two.lond, &["plugin", "push", env!("WEIR_GUEST_MATCH")]).expect("it may");
        let devices =
            format!("eui,mpxn,generation,model,operator\n{LOND_DEVICE},,smets1,A,12\n{EAST_DEVICE},,smets1,A,10\n");
        two.admin(&["device", "load", &two.file("devices.csv", &devices)]);
        for (token, name, operator) in [(&two.lond, "12-volts", "12"), (&two.east, "10-volts", "10")] {
            two.set(token, name, operator, r#"{"codes":["8F40"],"below_dv":2580}"#).expect("it may");
        }
        two.set(&two.admin, "all-amps", "", r#"{"codes":["8F41"],"below_dv":2580}"#).expect("it may");
        let row = |device: &str, counter: u32, code: &str| format!("{device},{counter},{code},2550\n");
        let rows: String = [LOND_DEVICE, EAST_DEVICE]
            .iter()
            .flat_map(|device| [row(device, 1, "8F40"), row(device, 2, "8F41"), row(device, 3, "8014")])
            .collect();
        let alerts = format!("device,counter,code,measurement\n{rows}");
        two.admin(&["alert", "send", &two.file("alerts.csv", &alerts), "--format", "csv"]);
        two
    }

    /// Writes a file; returns its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a folder of our own can be written");
        path.to_str().expect("its name is text").to_owned()
    }

    /// What an administrator's command printed.
    pub fn admin(&self, arguments: &[&str]) -> Vec<Value> {
        weir(&self.host, &self.admin, arguments).expect("an admin may")
    }

    /// Sets a rule of the plugin `threshold`; an empty operator stands for all.
    pub fn set(&self, token: &str, name: &str, operator: &str, parameters: &str) -> Result<Vec<Value>, String> {
        let scope: &[&str] = if operator.is_empty() { &[] } else { &["--operator", operator] };
        let arguments = ["rule", "set", name, "--plugin", "threshold", "--parameters", parameters];
        weir(&self.host, token, &[&arguments, scope].concat())
    }
}
