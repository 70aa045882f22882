//! Where a page is: its path, and what was chosen about it.
//!
//! It must not know a page. Invariant: an address that was read and written again leads to the same page, and whatever is
//! in it is text.

use std::{borrow::Cow, fmt};

use form_urlencoded::{byte_serialize, parse};
use maud::Render;

/// Choices that are read of one address or form.
const PAIRS_MAX: usize = 32;

/// An address on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    path: Cow<'static, str>,
    pairs: Vec<(String, String)>,
    /// The part of the page; empty for all of it.
    part: &'static str,
}

impl Address {
    /// With nothing chosen.
    pub(crate) fn new(path: impl Into<Cow<'static, str>>) -> Self {
        Self { path: path.into(), pairs: Vec::new(), part: "" }
    }

    /// Below a path, by a name from wherever.
    pub(crate) fn below(path: &str, name: &str) -> Self {
        // In a path a plus is a plus.
        let name: String = byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20");
        Self::new(format!("{path}/{name}"))
    }

    /// As a browser sent it: the path, and what follows its question mark.
    pub(crate) fn read(path: &str, query: &str) -> Self {
        Self { path: path.to_owned().into(), pairs: pairs(query.as_bytes()), part: "" }
    }

    /// What was chosen under a name; empty where nothing was.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The same with another choice; an empty one is none.
    #[must_use]
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut pairs: Vec<_> = self.pairs.iter().filter(|(key, _)| key != name).cloned().collect();
        if !value.is_empty() {
            pairs.push((name.to_owned(), value.to_owned()));
        }
        Self { path: self.path.clone(), pairs, part: self.part }
    }

    /// The same, at a part of the page.
    #[must_use]
    pub(crate) fn at(self, part: &'static str) -> Self {
        Self { part, ..self }
    }
}

/// What a form holds, as far as it is looked at.
pub(crate) fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    parse(encoded).take(PAIRS_MAX).map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        for (at, (key, value)) in self.pairs.iter().enumerate() {
            f.write_str(if at == 0 { "?" } else { "&" })?;
            byte_serialize(key.as_bytes()).try_for_each(|part| f.write_str(part))?;
            f.write_str("=")?;
            byte_serialize(value.as_bytes()).try_for_each(|part| f.write_str(part))?;
        }
        if self.part.is_empty() { Ok(()) } else { write!(f, "#{}", self.part) }
    }
}

impl Render for Address {
    fn render_to(&self, buffer: &mut String) {
        self.to_string().as_str().render_to(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_replaced_and_the_others_stay() {
        let address = Address::read("/", "period=week&code=8F40&empty=");
        assert_eq!((address.get("code"), address.get("empty"), address.get("none")), ("8F40", "", ""));
        assert_eq!(address.with("code", "").with("empty", "").to_string(), "/?period=week");
        assert_eq!(address.with("period", "day").with("empty", "").to_string(), "/?code=8F40&period=day");
    }

    #[test]
    fn whatever_is_in_it_is_text() {
        let hostile = "\"><script>&x=1#/\u{202e}";
        let address = Address::new("/what-ifs/7").with("variant", hostile);
        let text = address.to_string();
        assert!(text.is_ascii() && !text.contains(['"', '<', '>', '#']), "{text}");
        let read = Address::read("/what-ifs/7", text.split_once('?').unwrap().1);
        assert_eq!(read.get("variant"), hostile);
        assert_eq!(Address::below("/rules", "../a b").to_string(), "/rules/..%2Fa%20b");
        assert_eq!(Address::new("/").with("a", "1").at("end").to_string(), "/?a=1#end");
    }
}
