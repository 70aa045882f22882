//! Labels of devices: columns of an operator's own inventory, like a substation or a postcode.
//!
//! Invariant: a key is a snake_case name, and a value is one plain line without blanks around it.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use super::{OperatorId, is_unsafe};

/// Bytes of a key.
pub const LABEL_KEY_BYTES_MAX: usize = 32;

/// Bytes of a value.
pub const LABEL_VALUE_BYTES_MAX: usize = 64;

/// What tables call devices without a label, and rejected alerts, which are of no device.
pub const NOT_LABELLED: &str = "(not labelled)";

/// What the heading of a label's column begins with in an export, before its key.
pub const LABEL_HEADING: &str = "label_";

/// What reports call the values that are not listed each for itself.
pub const OTHER_VALUES: &str = "(others)";

/// The name of a label, like `substation`. Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelKey(Arc<str>);

impl LabelKey {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LabelKey {
    type Err = String;

    /// Parses a key; the error says what one looks like, and proposes one where a heading can be made one.
    fn from_str(text: &str) -> Result<Self, String> {
        if is_key(text) {
            return Ok(Self(text.into()));
        }
        let near = proposed(text).map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
        let shown: String = text.chars().take(LABEL_KEY_BYTES_MAX + 8).collect();
        Err(format!(
            "{shown:?} is no key of a label: a lower-case letter, then lower-case letters, digits and underscores, at most \
             {LABEL_KEY_BYTES_MAX}{near}"
        ))
    }
}

impl fmt::Display for LabelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_key(text: &str) -> bool {
    text.len() <= LABEL_KEY_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Returns the key that a heading like `Primary Feeder` would have, if there is one.
pub fn proposed(heading: &str) -> Option<String> {
    let mut key = String::new();
    let mut was_lower = false;
    for character in heading.trim().chars() {
        let is_word = character.is_ascii_alphanumeric();
        // A word begins at a capital after a small letter, and after anything that is neither.
        let begins = (!is_word || character.is_ascii_uppercase() && was_lower) && !key.is_empty();
        if begins && !key.ends_with('_') {
            key.push('_');
        }
        if is_word {
            key.push(character.to_ascii_lowercase());
        }
        was_lower = character.is_ascii_lowercase() || character.is_ascii_digit();
    }
    let key = key.trim_end_matches('_');
    is_key(key).then(|| key.to_owned())
}

/// Checks a value, which is stored as it is but for blanks around it. An empty one is none.
pub fn check_label_value(text: &str) -> Result<&str, String> {
    let value = text.trim();
    if value.len() > LABEL_VALUE_BYTES_MAX {
        return Err(format!("{} bytes are more than {LABEL_VALUE_BYTES_MAX}", value.len()));
    }
    // A device with such a value would look like many without it.
    if [NOT_LABELLED, OTHER_VALUES].iter().any(|taken| value.eq_ignore_ascii_case(taken)) {
        return Err("stands for other devices in tables; leave it empty for a device without the label".to_owned());
    }
    match value.chars().find(|character| is_unsafe(*character)) {
        None => Ok(value),
        Some(wrong) => Err(format!("has the control character {}: it must be one plain line", wrong.escape_default())),
    }
}

/// A label that a load states of a device. An empty value removes the label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatedLabel {
    /// Which.
    pub key: LabelKey,
    /// Its value.
    pub value: String,
}

/// A value that devices or alerts were to be chosen by and that no device has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLabel {
    /// Of which label.
    pub key: LabelKey,
    /// The value.
    pub value: String,
    /// The nearest value that a device has, if one is near.
    pub near: Option<String>,
}

/// A value of a label that devices of one operator have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LabelValue {
    /// Whose devices.
    pub operator: OperatorId,
    /// The text. Not empty.
    pub text: Arc<str>,
}

/// The labels of one device: numbers of keys, each with the number of its value, in order of the keys.
pub type LabelNumbers = Vec<(u8, u32)>;

/// Labels as a store keeps them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeptLabels {
    /// Keys by number.
    pub keys: Vec<(u8, LabelKey)>,
    /// Values by number, from 1.
    pub values: Vec<(u32, LabelValue)>,
    /// For each key by its number, the number of a value for each device by its number; 0 for none.
    pub columns: BTreeMap<u8, Vec<u32>>,
}

/// Labels of one device by name, in order of their keys.
pub type DeviceLabels = Vec<(LabelKey, Arc<str>)>;

/// What one transaction writes of labels. `None` removes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LabelEffects {
    /// Keys by number.
    pub keys: Vec<(u8, Option<LabelKey>)>,
    /// Values by number.
    pub values: Vec<(u32, Option<LabelValue>)>,
    /// Labels by the number of their device. One without any has an empty list.
    pub devices: Vec<(u32, LabelNumbers)>,
}

impl LabelEffects {
    /// True where nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.values.is_empty() && self.devices.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_snake_case_and_a_heading_is_proposed_as_one() {
        for good in ["substation", "a", "feeder_2", &"x".repeat(LABEL_KEY_BYTES_MAX)] {
            assert_eq!(good.parse::<LabelKey>().map(|key| key.to_string()), Ok(good.to_owned()));
        }
        for wrong in ["", "Substation", "2nd", "_a", "a-b", "a b", "caf\u{e9}", &"x".repeat(33)] {
            assert!(wrong.parse::<LabelKey>().is_err(), "{wrong}");
        }
        for (heading, key) in
            [("Primary Feeder", "primary_feeder"), ("PrimaryFeeder", "primary_feeder"), ("GSP-Group", "gsp_group")]
        {
            let error = heading.parse::<LabelKey>().unwrap_err();
            assert!(error.ends_with(&format!("; did you mean \"{key}\"?")), "{error}");
        }
        assert_eq!(
            (proposed("Postcode (2)").as_deref(), proposed("2"), proposed("")),
            (Some("postcode_2"), None, None)
        );
    }

    #[test]
    fn a_value_is_one_line_without_blanks_around_it() {
        assert_eq!(check_label_value(" Ash Lane \u{A0}"), Ok("Ash Lane"));
        assert_eq!(check_label_value("  "), Ok(""));
        assert!(check_label_value(&"\u{e9}".repeat(32)).is_ok());
        assert_eq!(check_label_value(&"\u{e9}".repeat(33)), Err("66 bytes are more than 64".to_owned()));
        assert!(check_label_value("a\nb").unwrap_err().starts_with("has the control character \\n"));
        for taken in ["(not labelled)", " (Not Labelled) ", "(others)"] {
            assert!(check_label_value(taken).unwrap_err().starts_with("stands for other devices in tables"), "{taken}");
        }
        assert_eq!(check_label_value("not labelled"), Ok("not labelled"));
    }
}
