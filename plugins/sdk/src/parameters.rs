//! Reading a rule's parameters: JSON into the rule's own struct, errors that say where.
//!
//! It must not know any rule. Invariant: what is read well costs one pass over the text, as it is read for every
//! batch; the path of an error is looked for only once there is one.

use serde::{Deserialize, de::DeserializeOwned};

use crate::AlertCode;

/// Reads parameters into a struct. An error names the place by its JSON path, and what was expected there.
///
/// Mark the struct with `#[serde(deny_unknown_fields)]`. Only an object is read: a list would fill the struct by order.
pub fn parameters<P: DeserializeOwned>(text: &str) -> Result<P, String> {
    if !text.trim_ascii_start().starts_with('{') {
        return Err("expected a JSON object, like {\"codes\": [\"8F40\"]}".to_owned());
    }
    serde_json::from_str(text).map_err(|error| with_path::<P>(text).unwrap_or_else(|| error.to_string()))
}

#[cold]
fn with_path<P: DeserializeOwned>(text: &str) -> Option<String> {
    let error = serde_path_to_error::deserialize::<_, P>(&mut serde_json::Deserializer::from_str(text)).err()?;
    let path = error.path().to_string();
    // A lone dot stands for the whole object, a question mark for no place at all: the message says enough.
    Some(if path == "." || path == "?" { error.inner().to_string() } else { format!("{path}: {}", error.inner()) })
}

/// A set of alert codes, quick to ask. In parameters: a list of codes.
///
/// Asking takes two loads and no branch, so it costs the same for one code and for a hundred, whatever the mix of
/// alerts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<AlertCode>")]
pub struct CodeSet {
    /// Which page holds the codes that share their upper byte. Page 0 is for those of which there are none.
    page_of: [u16; 256],
    /// A bit for each lower byte.
    pages: Vec<[u64; 4]>,
}

impl CodeSet {
    /// Whether it holds a code.
    #[inline]
    pub fn contains(&self, code: AlertCode) -> bool {
        let page = usize::from(self.page_of[usize::from(code.0 >> 8)]);
        let word = self.pages[page][usize::from(code.0 >> 6 & 3)];
        word >> (code.0 & 63) & 1 != 0
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.pages.len() == 1
    }
}

impl Default for CodeSet {
    fn default() -> Self {
        Self { page_of: [0; 256], pages: vec![[0; 4]] }
    }
}

impl From<Vec<AlertCode>> for CodeSet {
    fn from(mut codes: Vec<AlertCode>) -> Self {
        // In order, so that equal sets are equal pages too.
        codes.sort_unstable();
        let mut set = Self::default();
        for code in codes {
            let page = &mut set.page_of[usize::from(code.0 >> 8)];
            if *page == 0 {
                // At most 256 pages are added, one for each upper byte.
                *page = set.pages.len() as u16;
                set.pages.push([0; 4]);
            }
            set.pages[usize::from(*page)][usize::from(code.0 >> 6 & 3)] |= 1 << (code.0 & 63);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        codes: CodeSet,
        limit: Option<i32>,
    }

    fn error(text: &str) -> String {
        parameters::<Example>(text).unwrap_err()
    }

    #[test]
    fn what_fits_is_read() {
        let example: Example = parameters(r#"{"codes": ["8F40", "8014"]}"#).unwrap();
        assert_eq!(example, Example { codes: vec![AlertCode(0x8014), AlertCode(0x8F40)].into(), limit: None });
    }

    #[test]
    fn an_error_says_where_and_what() {
        let wrong_code = error(r#"{"codes": ["8F40", "80"]}"#);
        assert!(
            wrong_code.starts_with("codes[1]: invalid value: string \"80\", expected an alert code"),
            "{wrong_code}"
        );
        assert!(error(r#"{"codes": [], "limit": "x"}"#).starts_with("limit: invalid type: string \"x\""));
        assert!(error(r#"{"codes": [], "limt": 1}"#).contains("unknown field `limt`, expected `codes` or `limit`"));
        assert!(error("{}").contains("missing field `codes`"));
        assert!(error("{").starts_with("EOF"));
        for no_object in ["", "[]", "[[\"8F40\"], 3]", "null"] {
            assert!(error(no_object).starts_with("expected a JSON object"), "{no_object}");
        }
        assert!(error(r#"{"codes": []} x"#).contains("trailing"));
    }

    #[test]
    fn a_set_holds_its_codes_and_no_others() {
        let codes = [0x8F40, 0x8F40, 0x8014, 0x0000, 0xFFFF, 0x8F35, 0x8F75].map(AlertCode);
        let set = CodeSet::from(codes.to_vec());
        for code in (0..=u16::MAX).map(AlertCode) {
            assert_eq!(set.contains(code), codes.contains(&code), "{code}");
        }
        assert!(CodeSet::default().is_empty() && !CodeSet::default().contains(AlertCode(0)));
    }

    #[test]
    fn a_set_may_hold_every_code() {
        let set = CodeSet::from((0..=u16::MAX).map(AlertCode).collect::<Vec<_>>());
        assert!((0..=u16::MAX).all(|code| set.contains(AlertCode(code))));
    }
}
