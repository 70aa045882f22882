use super::*;

fn good() -> Description {
    Description {
        name: "storm-2".to_owned(),
        version: "0.1.0".to_owned(),
        summary: "Holds back repetitions \u{20AC}".to_owned(),
        parameters_schema: "{\n\t\"type\": \"object\" }".to_owned(),
        state_key: contract::StateKey::DeviceAndCode,
        state_words: 3,
        state_version: 7,
        reasons: vec!["storm".to_owned(), "below-limit".to_owned()],
        reads: contract::Columns::OCCURRED | contract::Columns::MODEL,
    }
}

fn judge(change: impl FnOnce(&mut Description)) -> Result<PluginInfo, (&'static str, String)> {
    let mut description = good();
    change(&mut description);
    let origin = Origin { digest: Digest([9; 32]), size_bytes: 5, uploaded_ms: 6 };
    let described = info(description, origin, &PluginLimits::default()).map(|(info, _)| info);
    described.map_err(|refusal| match refusal {
        Refusal::Description { field, message } => (field, message),
        other => panic!("another refusal: {other}"),
    })
}

/// Whether the change is refused for this field, with a message that holds this text and no control character.
#[track_caller]
fn refused(field: &str, text: &str, change: impl FnOnce(&mut Description)) {
    let (found, message) = judge(change).unwrap_err();
    assert_eq!(found, field);
    assert!(message.contains(text), "{message}");
    assert!(!message.contains(char::is_control), "{message:?}");
    assert!(message.len() < 400, "{message}");
}

#[test]
fn a_good_description_is_taken_over_as_it_is() {
    let info = judge(|_| ()).unwrap();
    assert_eq!((info.name.as_str(), info.version.as_str()), ("storm-2", "0.1.0"));
    assert_eq!((info.state_key, info.state_words, info.state_version), (StateKey::DeviceAndCode, 3, 7));
    assert_eq!(info.reasons, ["storm", "below-limit"]);
    assert_eq!(info.reads, [Column::Occurred, Column::Model].into_iter().collect());
    assert_eq!((info.digest, info.size_bytes, info.uploaded_ms), (Digest([9; 32]), 5, 6));
}

#[test]
fn names_have_one_shape() {
    for name in ["", "Storm", "2storm", "-storm", "storm-", "a--b", "st orm", "st\u{F6}rm", "a_b", "a\x1b[2J"] {
        refused("name", "lower-case letters", |d| d.name = name.to_owned());
        refused("reasons", "lower-case letters", |d| d.reasons[1] = name.to_owned());
    }
}

#[test]
fn texts_are_bounded() {
    let long = || "a".repeat(4097);
    refused("name", "4097 bytes, at most 4096", |d| d.name = long());
    refused("version", "4097 bytes", |d| d.version = long());
    refused("summary", "4097 bytes", |d| d.summary = long());
    refused("reasons", "4097 bytes", |d| d.reasons[0] = long());
    refused("parameters-schema", "65537 bytes, at most 65536", |d| d.parameters_schema = " ".repeat(65537));
}

#[test]
fn control_characters_are_refused() {
    refused("version", "\\u{1b}", |d| d.version = "1\x1b[31m".to_owned());
    refused("version", "is empty", |d| d.version.clear());
    refused("summary", "\\n", |d| d.summary = "two\nlines".to_owned());
    refused("parameters-schema", "\\u{0}", |d| d.parameters_schema = "{\0}".to_owned());
}

#[test]
fn the_schema_is_a_json_object() {
    for schema in ["true", "[]"] {
        refused("parameters-schema", "is not a JSON object", |d| d.parameters_schema = schema.to_owned());
    }
    for schema in ["", "{", "{} {}"] {
        refused("parameters-schema", "is not JSON: ", |d| d.parameters_schema = schema.to_owned());
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    refused("parameters-schema", "is not JSON: recursion limit", |d| d.parameters_schema = deep);
}

#[test]
fn state_and_reasons_are_counted() {
    assert!(judge(|d| d.state_words = 16).is_ok());
    refused("state-words", "is 17, at most 16", |d| d.state_words = 17);
    assert!(judge(|d| d.reasons = (0..255).map(|n| format!("r{n}")).collect()).is_ok());
    refused("reasons", "has 256 entries", |d| d.reasons = (0..256).map(|n| format!("r{n}")).collect());
    refused("reasons", "\"storm\" twice", |d| d.reasons[1] = "storm".to_owned());
    assert!(judge(|d| d.reasons.clear()).is_ok());
}
