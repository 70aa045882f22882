//! Documents that follow each other, told apart by their closing tag.
//!
//! It must not know what is in a document. Invariants: never more than one document of `DOCUMENT_BYTES_MAX` is held, and
//! one that is broken spoils none after it.

use std::io::BufRead;

use super::super::LineError;

/// Bytes of one document.
pub(super) const DOCUMENT_BYTES_MAX: usize = 256 << 10;

/// The name of the root element, with whatever prefix.
const ROOT: &[u8] = b"Response";

/// Splits an input.
pub(super) struct Documents<R> {
    reader: R,
    /// Line that the next byte is on.
    line: u64,
    ended: bool,
}

impl<R: BufRead> Documents<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, line: 1, ended: false }
    }

    /// The next document with the number of the line it begins on. What stands between two documents is of the second.
    pub(super) fn next(&mut self) -> Option<Result<(u64, Vec<u8>), LineError>> {
        let mut document: Vec<u8> = Vec::new();
        let (mut begins, mut too_long) = (self.line, false);
        while !self.ended {
            // Up to the end of the next tag: a closing one ends the document.
            let from = document.len();
            match self.reader.read_until(b'>', &mut document) {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) => {
                    self.ended = true;
                    let message = format!("the input cannot be read any further: {error}");
                    return Some(Err(LineError { fatal: true, ..LineError::new(self.line, "input", message) }));
                }
            }
            if document.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0xEF || *byte == 0xBB || *byte == 0xBF)
            {
                // Blank lines, or a mark of byte order: the document has not begun.
                self.line += newlines(&document);
                document.clear();
                begins = self.line;
                continue;
            }
            if from == 0 {
                let blank = document.iter().take_while(|byte| is_blank(byte)).count();
                begins = self.line + newlines(&document[..blank]);
            }
            self.line += newlines(&document[from..]);
            let closes = closes_root(&document[from..]);
            if document.len() > DOCUMENT_BYTES_MAX {
                too_long = true;
                document.clear();
                document.push(b'<');
            }
            if closes {
                break;
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
}

/// Whether a byte may stand before a document: white space, or one of a mark of byte order.
fn is_blank(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, 0xEF | 0xBB | 0xBF)
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Whether a piece that ends with a tag ends with that which closes the root.
fn closes_root(piece: &[u8]) -> bool {
    let tag = piece.strip_suffix(b">").map(<[u8]>::trim_ascii_end).and_then(|tag| tag.strip_suffix(ROOT));
    let Some(before) = tag else { return false };
    let prefix = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || b":_-.".contains(byte)).count();
    let (before, prefix) = before.split_at(before.len() - prefix);
    before.ends_with(b"</") && (prefix.is_empty() || prefix.ends_with(b":"))
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
}
