//! The characters of one document: UTF-8, or what its XML declaration states.
//!
//! The declaration is believed only for encodings that ASCII is a part of: UTF-16 was decoded on the way here
//! ([`Text::of_xml`](super::super::text::Text::of_xml)), and a program that rewrites a file as UTF-8 often leaves
//! `encoding="UTF-16"` in it. Where a document declares none, what the caller states counts. Invariant: no character is
//! replaced by another in silence.

use std::borrow::Cow;

use super::super::{
    shown,
    text::{Charset, as_windows_1252},
};

/// How much of text between documents is looked at.
const LOOKED_AT_BYTES: usize = 4 << 10;
/// What every root's name has in it.
const ROOT: &[u8] = b"Response";

/// The encoding that an XML declaration states; `None` where it states none that ASCII is a part of.
pub(super) fn declared(declaration: &[u8]) -> Option<Charset> {
    let text = std::str::from_utf8(declaration).ok()?;
    let (_, rest) = text.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (label, _) = rest[1..].split_once(quote)?;
    Charset::labelled(label)
}

/// The text of a document in the encoding that is stated for it. An error says what it seems to be.
pub(super) fn text(document: &[u8], stated: Option<Charset>) -> Result<Cow<'_, str>, String> {
    if let Some(encoding) = stated.filter(|encoding| *encoding != Charset::UTF_8) {
        let text = encoding.decode(document);
        return text.ok_or_else(|| format!("it is not {}, as its XML declaration or --encoding says", encoding.name()));
    }
    std::str::from_utf8(document).map(Cow::Borrowed).map_err(|error| {
        let at = error.valid_up_to();
        let begins = document[..at].iter().rposition(|byte| !byte.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
        let word = &document[begins..document.len().min(at + 8)];
        format!(
            "not UTF-8 from byte {at} on; is it ISO-8859-1 or Windows-1252, where it is {}? Then --encoding windows-1252 \
             reads it, whatever it declares; or save it as UTF-8",
            shown(&as_windows_1252(word))
        )
    })
}

/// Whether text that is in no document is a document all the same, in UTF-16 where UTF-8 is read or the other way round.
pub(super) fn is_other(text: &[u8]) -> bool {
    if text.is_ascii() && !text.contains(&0) {
        return false;
    }
    if text.starts_with(&[0xFF, 0xFE]) || text.starts_with(&[0xFE, 0xFF]) {
        return true;
    }
    let text = String::from_utf8_lossy(&text[..text.len().min(LOOKED_AT_BYTES)]);
    let has_root = |units: fn(u16) -> [u8; 2]| {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(units).filter(|byte| *byte != 0).collect();
        bytes.windows(ROOT.len()).any(|window| window == ROOT)
    };
    // Where it is read as it stands it is in the encoding of the rest.
    !text.contains("Response") && (has_root(u16::to_le_bytes) || has_root(u16::to_be_bytes))
}

/// A document that stands in a cell of a CSV file has its quotes twice. Its tags tell: two quotes and then a value are no XML.
pub(super) fn without_doubled_quotes(text: Cow<'_, str>) -> Cow<'_, str> {
    let tags =
        || text.split('<').filter(|tag| !tag.starts_with(['!', '?'])).filter_map(|tag| Some(tag.split_once('>')?.0));
    // What comes behind a number of quotes, where it is a value.
    let has_value = |tag: &str, quotes: &str| {
        tag.match_indices(quotes).any(|(at, _)| {
            let next = tag[at + quotes.len()..].chars().next();
            next.is_some_and(|next| !next.is_whitespace() && !matches!(next, '>' | '/' | '?'))
        })
    };
    // One quote and then a value is of a document that stands in no cell.
    let is_single = |tag: &str| has_value(&tag.replace("\"\"", ""), "=\"");
    let is_doubled = tags().any(|tag| has_value(tag, "=\"\"")) && !tags().any(is_single);
    if is_doubled { Cow::Owned(text.replace("\"\"", "\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_halved_in_a_cell_and_nowhere_else() {
        let undoubled = |text: &'static str| without_doubled_quotes(text.into()).into_owned();
        assert_eq!(undoubled("<a b=\"\"c\"\" d=\"\"\"\">\"\"e\"\"</a>"), "<a b=\"c\" d=\"\">\"e\"</a>");
        // Whatever tag tells it.
        assert_eq!(undoubled("<a><b c=\"\"d\"\">\"\"e\"\"</b></a>"), "<a><b c=\"d\">\"e\"</b></a>");
        assert_eq!(undoubled("<a x='y'><b c=\"\"d\"\"/></a>"), "<a x='y'><b c=\"d\"/></a>");
        for own in ["<a><!-- b=\"\"c --></a>", "<a b=\"c\"><d e='=\"\"f'/></a>"] {
            assert_eq!(undoubled(own), own);
        }
        for own in ["<a b=\"\" c=\"\"/>", "<a b=\"\">\"\"</a>", "<a b=\"c\">x=\"\"y</a>"] {
            assert_eq!(undoubled(own), own);
        }
    }

    #[test]
    fn a_declared_encoding_is_read_and_one_that_cannot_be_is_passed_over() {
        let of = |label: &str| declared(format!("<?xml version='1.0' encoding = \"{label}\"?>").as_bytes());
        assert_eq!(text(b"M\xFCller", of("ISO-8859-1")).unwrap(), "M\u{FC}ller");
        assert_eq!(text(b"\x80 9", of("windows-1252")).unwrap(), "\u{20AC} 9");
        assert_eq!(text(b"\xA4", of("iso-8859-15")).unwrap(), "\u{20AC}");
        for label in ["UTF-16", "utf-16le", "none", ""] {
            assert_eq!(text("M\u{FC}ller".as_bytes(), of(label)).unwrap(), "M\u{FC}ller", "{label}");
        }
        assert_eq!(declared(b"<?xml version='1.0'?>"), None);
        let error = text(b"<a>M\xFCller</a>", None).unwrap_err();
        assert!(error.starts_with("not UTF-8 from byte 4 on") && error.contains("M\u{FC}ller"), "{error}");
    }
}
