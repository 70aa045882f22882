//! What is taken, what is refused, and with which words.

use std::{fs, path::Path};

use super::{Config, ConfigError, Limit, Overrides, limits};

fn load(toml: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weir.toml");
    fs::write(&file, toml).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load_with(Some(&file), variables, Overrides::default())
}

fn refusal(toml: &str, variables: &[(&str, &str)]) -> String {
    load(toml, variables).unwrap_err().to_string()
}

/// The key and value of every number in a configuration, as its file would have them.
fn numbers(config: &Config) -> Vec<(String, u64)> {
    let mut numbers = Vec::new();
    collect(&serde_json::to_value(config).unwrap(), "", &mut numbers);
    numbers
}

fn collect(value: &serde_json::Value, path: &str, numbers: &mut Vec<(String, u64)>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        numbers.extend(value.as_u64().map(|number| (path.clone(), number)));
        collect(value, &path, numbers);
    }
}

/// The default configuration with one number changed, unvalidated.
fn with(name: &str, value: u64) -> Result<Config, serde_json::Error> {
    let mut tree = serde_json::to_value(Config::default()).unwrap();
    let pointer = format!("/{}", name.replace('.', "/"));
    *tree.pointer_mut(&pointer).unwrap() = value.into();
    serde_json::from_value(tree)
}

#[test]
fn the_table_holds_every_number_of_the_settings() {
    let mut table: Vec<_> =
        limits(&Config::default()).into_iter().map(|limit| (limit.name.to_owned(), limit.value)).collect();
    table.sort();
    let mut settings = numbers(&Config::default());
    settings.sort();
    assert_eq!(table, settings);
}

#[test]
fn the_defaults_are_valid() {
    Config::default().validate().unwrap();
    assert_eq!(load("", &[]).unwrap(), Config::default());
    assert_eq!(Config::default().protected_codes().unwrap().len(), 20);
}

#[test]
fn both_ends_of_every_bound_are_taken_and_what_lies_beyond_is_not() {
    for Limit { name, allowed, .. } in limits(&Config::default()) {
        for value in [*allowed.start(), *allowed.end()] {
            let limit = limits(&with(name, value).unwrap()).into_iter().find(|limit| limit.name == name).unwrap();
            assert!(limit.holds(), "{limit}");
        }
        let beyond = [allowed.start().checked_sub(1), allowed.end().checked_add(1)];
        for value in beyond.into_iter().flatten() {
            // What does not even fit the field's type is refused when it is read.
            let Ok(config) = with(name, value) else { continue };
            let Err(ConfigError::Bound(limit)) = config.validate() else { panic!("{name}: {value} was taken") };
            assert_eq!((limit.name, limit.value), (name, value));
            assert!(limit.to_string().starts_with(&format!("{name}: {value} is not allowed; from ")), "{limit}");
        }
    }
}

#[test]
fn a_group_holds_the_largest_batch() {
    let message = refusal("group.alerts_max = 100", &[]);
    assert!(message.starts_with("group.alerts_max: 100 is less than intake.batch_alerts_max, 16384"), "{message}");
    load("group.alerts_max = 100\nintake.batch_alerts_max = 100", &[]).unwrap();
}

#[test]
fn figures_are_not_served_beyond_this_machine_unless_that_is_asked_for() {
    let message = refusal("metrics_listen = \"0.0.0.0:9700\"", &[]);
    assert!(message.starts_with("metrics_listen: 0.0.0.0:9700 can be reached from other machines"), "{message}");
    load("metrics_listen = \"0.0.0.0:9700\"\ninsecure_listen = true", &[]).unwrap();
    load("", &[("WEIR_METRICS_LISTEN", "[::1]:0")]).unwrap();
}

#[test]
fn an_identity_may_have_a_whole_batch_in_flight() {
    let message = refusal("access.identity_bytes_in_flight_max = 2048", &[]);
    let expected = "access.identity_bytes_in_flight_max: 2048 is less than a batch of intake.batch_alerts_max, 3702784";
    assert!(message.starts_with(expected), "{message}");
    load("access.identity_bytes_in_flight_max = 2048\nintake.batch_alerts_max = 9", &[]).unwrap();
}

#[test]
fn a_protected_code_is_four_hex_digits() {
    let message = refusal("protected_codes = [\"8F40\", \"8F4\"]", &[]);
    assert!(message.starts_with("protected_codes[1]: expected an alert code"), "{message}");
    let config = load("protected_codes = [\"8f40\", \"0x8F40\"]", &[]).unwrap();
    assert_eq!(config.protected_codes().unwrap().len(), 1);
}

#[test]
fn variables_win_over_the_file_and_flags_over_both() {
    let variables = [("WEIR_STORE__CACHE_BYTES_MAX", "2097152"), ("WEIR_LISTEN", "127.0.0.1:1")];
    let config =
        load("listen = \"127.0.0.1:2\"\n[store]\ncache_bytes_max = 3145728\nretention_days_max = 7", &variables);
    let config = config.unwrap();
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.store.cache_bytes_max, 2 << 20);
    assert_eq!(config.store.retention_days_max, 7);

    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let flags = Overrides {
        data_dir: Some("elsewhere".into()),
        listen: Some(([127, 0, 0, 1], 3).into()),
        without_plugins: true,
        ..Overrides::default()
    };
    let config = Config::load_with(None, variables, flags).unwrap();
    assert_eq!((config.listen.port(), config.data_dir.as_path()), (3, Path::new("elsewhere")));
    assert!(config.without_plugins);
}

#[test]
fn variables_for_others_are_left_alone() {
    let others = ["WEIR_SERVER", "WEIR_BIN", "WEIR_RTDS", "WEIR_LOG", "WEIR_GUEST_TOOLCHAIN", "WEIRD", "PATH"];
    load("", &others.map(|name| (name, "x"))).unwrap();
}

#[test]
fn a_list_in_a_variable_is_written_as_in_the_file() {
    let config = load("", &[("WEIR_PROTECTED_CODES", "[8F40, \"8010\"]")]).unwrap();
    assert_eq!(config.protected_codes, ["8F40", "8010"]);
}

#[test]
fn an_unknown_key_is_named_with_its_origin() {
    let message = refusal("[intake]\nweight = 7", &[]);
    assert!(message.starts_with("intake.weight: there is no such setting; known here: message_bytes_max"), "{message}");
    assert!(message.ends_with("weir.toml)"), "{message}");
    let message = refusal("", &[("WEIR_STORE__CACHE", "1")]);
    assert!(message.starts_with("store.cache: there is no such setting"), "{message}");
    assert!(message.ends_with("(from the variable WEIR_STORE__CACHE)"), "{message}");
    assert!(refusal("port = 1", &[]).starts_with("port: there is no such setting"));
    let message = refusal("[intake]\nmesage_bytes_max = 7", &[]);
    let near = "intake.mesage_bytes_max: there is no such setting; did you mean \"message_bytes_max\"? (from ";
    assert!(message.starts_with(near), "{message}");
}

#[test]
fn a_wrong_type_is_named_with_its_origin() {
    let message = refusal("", &[("WEIR_INTAKE__WEIGHT_MAX", "many")]);
    assert!(message.starts_with("intake.weight_max: found string \"many\", expected a whole number"), "{message}");
    assert!(message.ends_with("(from the variable WEIR_INTAKE__WEIGHT_MAX)"), "{message}");
    assert!(refusal("listen = \"here\"", &[]).starts_with("listen: invalid"));
    assert!(refusal("intake = 1", &[]).starts_with("intake: invalid type"));
    assert!(refusal("intake.devices_max = -1", &[]).starts_with("intake.devices_max: invalid"));
    assert!(refusal("", &[("WEIR_", "1")]).contains("WEIR_"));
    assert!(refusal("", &[("WEIR_INTAKE____X", "1")]).contains("WEIR_INTAKE____X"));
}

#[test]
fn a_file_that_is_no_toml_or_is_not_there_is_named() {
    let message = refusal("listen = ", &[]);
    assert!(message.starts_with("TOML parse error at line 1, column 10"), "{message}");
    assert!(message.ends_with("weir.toml)") && !message.contains('\n'), "{message}");
    let error = Config::load_with(Some(Path::new("/nowhere/weir.toml")), [], Overrides::default()).unwrap_err();
    assert!(error.to_string().starts_with("configuration file /nowhere/weir.toml: "), "{error}");
}
