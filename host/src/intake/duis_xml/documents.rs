//! Documents that follow each other, told apart by their closing tag, or by the XML declaration of the next one.
//!
//! It must not know what is in a document. Invariants: never more than `DOCUMENT_BYTES_MAX` bytes and one more tag are held,
//! however long a document, a tag or white space is; a document that is broken spoils none after it.

use std::io::{self, BufRead, Read};

use super::super::LineError;

/// Bytes of one document.
pub(super) const DOCUMENT_BYTES_MAX: usize = 256 << 10;

/// Bytes of a tag that can end a document. Of a document that is too long so much is held, to find its end.
const TAG_BYTES_MAX: usize = 1 << 10;

/// The name of the root element, with whatever prefix.
const ROOT: &[u8] = b"Response";
const DECLARATION: &[u8] = b"<?xml";

/// Splits an input.
pub(super) struct Documents<R> {
    reader: R,
    /// Line that the next byte is on.
    line: u64,
    ended: bool,
    /// The declaration that ended the document before, which the next one begins with, and the line it is on.
    begun: Option<(u64, Vec<u8>)>,
}

impl<R: BufRead> Documents<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, line: 1, ended: false, begun: None }
    }

    /// The next document with the number of the line it begins on. What stands between two documents is of the second.
    pub(super) fn next(&mut self) -> Option<Result<(u64, Vec<u8>), LineError>> {
        let (mut begins, mut document) = self.begun.take().unwrap_or((self.line, Vec::new()));
        let mut too_long = false;
        while !self.ended {
            let from = document.len();
            match self.read_to_tag_end(&mut document) {
                Ok(read) => self.ended = read == 0,
                Err(error) => {
                    self.ended = true;
                    let message = format!("the input cannot be read any further: {error}");
                    return Some(Err(LineError { fatal: true, ..LineError::new(self.line, "input", message) }));
                }
            }
            let line = self.line;
            self.line += newlines(&document[from..]);
            if from == 0 {
                // Blank lines, or a mark of byte order: the document has not begun.
                let blank = document.iter().take_while(|byte| is_blank(byte)).count();
                begins = line + newlines(&document[..blank]);
                document.drain(..blank);
            }
            let tag = last_tag(&document);
            let at = document.len() - tag.len();
            if at > 0 && declares(tag) {
                let tag = document.split_off(at);
                self.begun = Some((self.line - newlines(&tag), tag));
                break;
            }
            if closes_root(tag) {
                too_long |= document.len() > DOCUMENT_BYTES_MAX;
                break;
            }
            if document.len() > DOCUMENT_BYTES_MAX {
                too_long = true;
                document.drain(..document.len() - TAG_BYTES_MAX);
            }
        }
        if document.is_empty() {
            return None;
        }
        if too_long {
            let message = format!("longer than {DOCUMENT_BYTES_MAX} bytes");
            return Some(Err(LineError::new(begins, "document", message)));
        }
        Some(Ok((begins, document)))
    }

    /// Reads up to the end of the next tag, or as far as a document may go; returns how many bytes came.
    fn read_to_tag_end(&mut self, document: &mut Vec<u8>) -> io::Result<usize> {
        let room = (DOCUMENT_BYTES_MAX + 1).saturating_sub(document.len()).max(1);
        self.reader.by_ref().take(room as u64).read_until(b'>', document)
    }
}

/// The tag that a piece ends with; empty where it ends within one, or the tag is longer than any that matters.
fn last_tag(piece: &[u8]) -> &[u8] {
    let end = &piece[piece.len().saturating_sub(TAG_BYTES_MAX)..];
    match end.iter().rposition(|byte| *byte == b'<') {
        Some(at) if end.ends_with(b">") => &end[at..],
        _ => &[],
    }
}

/// True for the declaration that a document may begin with, and that stands nowhere else.
fn declares(tag: &[u8]) -> bool {
    tag.strip_prefix(DECLARATION).and_then(<[u8]>::first).is_some_and(u8::is_ascii_whitespace)
}

/// Whether a byte may stand before a document: white space, or one of a mark of byte order.
fn is_blank(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, 0xEF | 0xBB | 0xBF)
}

/// A document as it is wherever it stands in a file.
pub(super) fn without_blanks(document: &[u8]) -> &[u8] {
    let blank = document.iter().take_while(|byte| is_blank(byte)).count();
    document[blank..].trim_ascii_end()
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// True for the tag that closes the root.
fn closes_root(tag: &[u8]) -> bool {
    let name = tag.strip_prefix(b"</").and_then(|tag| tag.strip_suffix(b">")).map(<[u8]>::trim_ascii_end);
    let Some(prefix) = name.and_then(|name| name.strip_suffix(ROOT)) else { return false };
    let named = prefix.iter().all(|byte| byte.is_ascii_alphanumeric() || b":_-.".contains(byte));
    named && (prefix.is_empty() || prefix.ends_with(b":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<(u64, String), String>> {
        let mut documents = Documents::new(text.as_bytes());
        let next = std::iter::from_fn(|| documents.next());
        next.map(|item| {
            item.map(|(line, bytes)| (line, String::from_utf8(bytes).unwrap())).map_err(|error| error.to_string())
        })
        .collect()
    }

    #[test]
    fn documents_are_told_apart_by_their_closing_tag() {
        let found =
            read("\u{FEFF}\n<?xml version=\"1.0\"?>\n<sr:Response><a/></sr:Response>\n\n<Response>\n</Response >x");
        let texts: Vec<_> = found.into_iter().map(Result::unwrap).collect();
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert_eq!((texts[0].0, texts[1].0, texts[2].0), (2, 5, 6));
        assert!(texts[0].1.ends_with("</sr:Response>") && texts[1].1.ends_with("</Response >") && texts[2].1 == "x");
        assert!(read("").is_empty() && read(" \n\n").is_empty());
        assert_eq!(read("<NoResponse></NoResponse>").len(), 1);
    }

    #[test]
    fn one_that_is_too_long_is_named_and_the_rest_goes_on() {
        let text = format!("\n<Response>{}\n</Response><Response/>\n<Response></Response>", "<a>".repeat(100_000));
        let found = read(&text);
        assert_eq!(found[0], Err(format!("line 2: document: longer than {DOCUMENT_BYTES_MAX} bytes")));
        assert_eq!(found.len(), 2);
        let long = format!("{}</Response><Response></Response>", "a".repeat(DOCUMENT_BYTES_MAX + 1));
        assert!(read(&long)[0].is_err() && read(&long)[1].is_ok());
    }

    #[test]
    fn one_that_is_cut_short_ends_where_the_next_one_is_declared() {
        let text = "<?xml version='1.0'?>\n<Response><a>\n<?xml version='1.0'?>\n<Response/></Response>";
        let found = read(text);
        assert_eq!(found[0], Ok((1, "<?xml version='1.0'?>\n<Response><a>\n".to_owned())));
        assert_eq!(found[1], Ok((3, "<?xml version='1.0'?>\n<Response/></Response>".to_owned())));
        let long = format!("<Response>{}\n{text}", "x".repeat(3 * DOCUMENT_BYTES_MAX));
        let found = read(&long);
        assert_eq!((found[0].is_err(), found.len()), (true, 3));
        assert_eq!(found[2].as_ref().unwrap().0, 4);
    }

    /// Gigabytes of one kind, or so it says: what it was asked for is counted, and where it was taken from is not kept.
    struct Endless(&'static [u8], usize);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.1);
            buffer[..count].iter_mut().zip(self.0.iter().cycle()).for_each(|(to, from)| *to = *from);
            self.1 -= count;
            Ok(count)
        }
    }

    #[test]
    fn whatever_goes_on_and_on_little_of_it_is_held() {
        const BYTES: usize = 64 << 20;
        for (kind, is_document) in [(&b"a"[..], true), (b" ", false), (b"\n", false), (b"<", true), (b"<a b='", true)] {
            let after = b"</Response>\n<Response></Response>";
            let mut documents = Documents::new(io::BufReader::new(Endless(kind, BYTES).chain(&after[..])));
            let mut document = Vec::new();
            let (mut most, mut found) = (0, Vec::new());
            while let Some(next) = documents.next() {
                document = next.as_ref().map_or_else(|_| Vec::new(), |(_, document)| document.clone());
                most = most.max(next.as_ref().map_or(0, |(_, document)| document.capacity()));
                found.push(next.is_ok());
            }
            assert!(document.ends_with(b"<Response></Response>"), "{kind:?}");
            assert_eq!(found.first(), Some(&!is_document), "{kind:?}: {found:?}");
            assert!(most <= 4 * DOCUMENT_BYTES_MAX, "{kind:?}: {most}");
        }
    }
}
