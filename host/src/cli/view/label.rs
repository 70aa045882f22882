//! Values of labels that devices or alerts were to be chosen by and that no device has.
//!
//! It must not know what they were asked for.

use serde::Serialize;
use weir_proto::v1;

use super::clean;
use crate::{domain::LABEL_VALUE_BYTES_MAX, near::did_you_mean};

/// A value that no device has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct UnknownLabel {
    pub key: String,
    pub value: String,
    /// The nearest value that a device has; absent where none is near.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near: Option<String>,
}

impl From<v1::UnknownLabel> for UnknownLabel {
    fn from(message: v1::UnknownLabel) -> Self {
        let v1::UnknownLabel { key, value, near } = message;
        Self { key, value, near: (!near.is_empty()).then_some(near) }
    }
}

impl UnknownLabel {
    /// What is said of it beside an answer.
    pub(crate) fn said(&self) -> String {
        let plain = |text: &str| clean(text, LABEL_VALUE_BYTES_MAX);
        let near = self.near.as_deref().map(plain);
        format!("no device has {}={}{}", plain(&self.key), plain(&self.value), did_you_mean(near.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_no_device_has_is_said_with_the_near_one() {
        let of = |near: &str| {
            let (key, value, near) = ("feeder".to_owned(), "F\u{1b}1".to_owned(), near.to_owned());
            UnknownLabel::from(v1::UnknownLabel { key, value, near })
        };
        assert_eq!(of("F1").said(), "no device has feeder=F\u{FFFD}1; did you mean \"F1\"?");
        assert_eq!(of("").said(), "no device has feeder=F\u{FFFD}1");
        let json = serde_json::to_value(of("")).unwrap();
        assert_eq!(json, serde_json::json!({ "key": "feeder", "value": "F\u{1b}1" }));
    }
}
