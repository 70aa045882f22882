//! The characters of documents: the input as UTF-8 where it is UTF-16, and a document as UTF-8 where it declares another
//! encoding.
//!
//! UTF-16 is told by its mark or by the first character, which is `<`. An XML declaration is believed only for encodings
//! that ASCII is a part of: a program that rewrites a file as UTF-8 often leaves `encoding="UTF-16"` in it.
//! Invariant: at most `CHUNK_BYTES` are decoded ahead, and no character is replaced by another in silence.

use std::{
    borrow::Cow,
    io::{self, BufRead, Read},
};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::super::shown;

/// Bytes that are decoded at once.
const CHUNK_BYTES: usize = 16 << 10;

/// An input as UTF-8, or in an encoding that ASCII is a part of.
pub(super) struct Utf8<R> {
    reader: R,
    /// `None` until the first bytes were looked at.
    kind: Option<Kind>,
}

enum Kind {
    /// As it comes, after these bytes of its beginning that were looked at.
    Plain(io::Cursor<Vec<u8>>),
    Wide(Box<Wide>),
}

/// UTF-16 that is decoded on its way.
struct Wide {
    decoder: Decoder,
    head: io::Cursor<Vec<u8>>,
    decoded: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: BufRead> Utf8<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, kind: None }
    }

    /// Looks at the first bytes.
    fn begin(&mut self) -> io::Result<&mut Kind> {
        let mut head = Vec::with_capacity(4);
        while self.kind.is_none() && head.len() < 4 {
            let Some(byte) = self.reader.fill_buf()?.first().copied() else { break };
            head.push(byte);
            self.reader.consume(1);
        }
        let reader = &mut self.kind;
        Ok(reader.get_or_insert_with(|| {
            let encoding = match head[..] {
                [0xFF, 0xFE, ..] | [b'<', 0, ..] => UTF_16LE,
                [0xFE, 0xFF, ..] | [0, b'<', ..] => UTF_16BE,
                _ => return Kind::Plain(io::Cursor::new(head)),
            };
            let (decoder, head) = (encoding.new_decoder_with_bom_removal(), io::Cursor::new(head));
            Kind::Wide(Box::new(Wide { decoder, head, decoded: Vec::new(), given: 0, ended: false }))
        }))
    }
}

impl<R: BufRead> BufRead for Utf8<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.begin()?;
        let Self { reader, kind } = self;
        match kind {
            Some(Kind::Plain(head)) if head.position() < head.get_ref().len() as u64 => head.fill_buf(),
            Some(Kind::Wide(wide)) => wide.fill(reader),
            _ => reader.fill_buf(),
        }
    }

    fn consume(&mut self, count: usize) {
        match &mut self.kind {
            Some(Kind::Plain(head)) if head.position() < head.get_ref().len() as u64 => head.consume(count),
            Some(Kind::Wide(wide)) => wide.given += count,
            _ => self.reader.consume(count),
        }
    }
}

impl<R: BufRead> Read for Utf8<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl Wide {
    fn fill(&mut self, reader: &mut impl BufRead) -> io::Result<&[u8]> {
        while self.given == self.decoded.len() && !self.ended {
            (self.given, self.decoded) = (0, vec![0; CHUNK_BYTES]);
            let in_head = self.head.position() < self.head.get_ref().len() as u64;
            let bytes = if in_head { self.head.fill_buf()? } else { reader.fill_buf()? };
            let last = bytes.is_empty();
            // What is no UTF-16 becomes U+FFFD, which no name, number or time of a document has.
            let (result, read, written, _) = self.decoder.decode_to_utf8(bytes, &mut self.decoded, last);
            self.decoded.truncate(written);
            self.ended = last && result == CoderResult::InputEmpty;
            if in_head {
                self.head.consume(read);
            } else {
                reader.consume(read);
            }
        }
        Ok(&self.decoded[self.given..])
    }
}

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

    fn read(bytes: &[u8]) -> String {
        let mut text = String::new();
        Utf8::new(io::BufReader::with_capacity(3, bytes)).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn utf_16_is_told_by_its_mark_or_its_first_character() {
        let text = "<a>\u{A3}10 \u{1F600}</a>\n".repeat(3_000);
        let wide = |big: bool| -> Vec<u8> {
            text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for bytes in [
            wide(false),
            wide(true),
            [&[0xFF, 0xFE][..], &wide(false)].concat(),
            [&[0xFE, 0xFF][..], &wide(true)].concat(),
            text.clone().into_bytes(),
        ] {
            assert_eq!(read(&bytes), text, "{:?}", &bytes[..4]);
        }
        assert_eq!(read(&[0xFF, 0xFE, b'<', 0, b'a']), "<\u{FFFD}", "half a character is not dropped");
        assert_eq!((read(b""), read(b"<"), read(b"ab")), (String::new(), "<".into(), "ab".into()));
    }

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
