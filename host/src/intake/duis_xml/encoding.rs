//! The characters of one document: UTF-8, or what its XML declaration states.
//!
//! The declaration is believed only for encodings that ASCII is a part of: UTF-16 was decoded on the way here
//! ([`Text::of_xml`](super::super::text::Text::of_xml)), and a program that rewrites a file as UTF-8 often leaves
//! `encoding="UTF-16"` in it. Invariant: no character is replaced by another in silence.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

use super::super::shown;

/// The encoding that an XML declaration states; `None` where it states none that ASCII is a part of.
pub(super) fn declared(declaration: &[u8]) -> Option<&'static Encoding> {
    let text = std::str::from_utf8(declaration).ok()?;
    let (_, rest) = text.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (label, _) = rest[1..].split_once(quote)?;
    Encoding::for_label(label.as_bytes()).filter(|encoding| encoding.is_ascii_compatible())
}

/// The text of a document. An error says what it seems to be.
pub(super) fn text<'a>(document: &'a [u8], declared: Option<&'static Encoding>) -> Result<Cow<'a, str>, String> {
    let encoding = declared.unwrap_or(UTF_8);
    if encoding != UTF_8 {
        let text = encoding.decode_without_bom_handling_and_without_replacement(document);
        return text.ok_or_else(|| format!("it is not {}, as its XML declaration says", encoding.name()));
    }
    std::str::from_utf8(document).map(Cow::Borrowed).map_err(|error| {
        let at = error.valid_up_to();
        let begins = document[..at].iter().rposition(|byte| !byte.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
        let word = &document[begins..document.len().min(at + 8)];
        let (word, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(word);
        format!(
            "not UTF-8 from byte {at} on; is it ISO-8859-1 or Windows-1252, where it is {}? Then declare it, like \
             <?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>, or save it as UTF-8",
            shown(&word)
        )
    })
}

/// A document that stands in a cell of a CSV file has its quotes twice. Its opening tag tells: two quotes and then a value are
/// no XML.
pub(super) fn without_doubled_quotes(text: Cow<'_, str>) -> Cow<'_, str> {
    let tag = text.split('>').next().unwrap_or_default();
    let is_doubled = |(at, _): (usize, &str)| {
        let next = tag[at + 3..].chars().next();
        next.is_some_and(|next| !next.is_whitespace() && !matches!(next, '>' | '/' | '?'))
    };
    if tag.match_indices("=\"\"").any(is_doubled) { Cow::Owned(text.replace("\"\"", "\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_halved_in_a_cell_and_nowhere_else() {
        let undoubled = |text: &'static str| without_doubled_quotes(text.into()).into_owned();
        assert_eq!(undoubled("<a b=\"\"c\"\" d=\"\"\"\">\"\"e\"\"</a>"), "<a b=\"c\" d=\"\">\"e\"</a>");
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
