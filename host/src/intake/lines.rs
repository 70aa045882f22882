//! Lines of text, each bounded.
//!
//! It must not know what a line means. Invariant: never more than one line of `LINE_BYTES_MAX` bytes is held, however
//! long the line is.

use std::io::{self, BufRead, Read};

use super::{
    LineError,
    text::{self, Encoding, NotText, Text},
};

/// Bytes of one line, without its end. Longer ones are refused and passed over.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// Reads lines and numbers them from 1.
pub(super) struct Lines<R> {
    reader: Text<R>,
    number: u64,
    buffer: Vec<u8>,
    ended: bool,
    /// True once an error has named the likely encoding.
    guessed: bool,
}

impl<R: BufRead> Lines<R> {
    /// Reads a stated encoding, or else UTF-8, or UTF-16 announced by a byte order mark.
    pub(super) fn encoded(reader: R, encoding: Option<Encoding>) -> Self {
        let reader = Text::new(reader, encoding);
        Self { reader, number: 0, buffer: Vec::new(), ended: false, guessed: false }
    }

    /// Number of the line read last, 0 before the first.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its end (LF or CRLF), `None` after the last. After a fatal error there is no next line.
    pub(super) fn next(&mut self) -> Option<Result<&str, LineError>> {
        if self.ended {
            return None;
        }
        self.buffer.clear();
        self.number += 1;
        // One byte for the line feed and one to tell a line that fits from one that does not.
        let window = LINE_BYTES_MAX as u64 + 2;
        match self.reader.by_ref().take(window).read_until(b'\n', &mut self.buffer) {
            Ok(0) => {
                self.ended = true;
                self.number -= 1;
                return None;
            }
            Ok(_) => {}
            Err(error) => return Some(Err(self.failed(&error))),
        }
        let ended = self.buffer.pop_if(|byte| *byte == b'\n').is_some();
        if !ended
            && self.buffer.len() > LINE_BYTES_MAX
            && let Err(error) = self.reader.skip_until(b'\n')
        {
            return Some(Err(self.failed(&error)));
        }
        self.buffer.pop_if(|byte| *byte == b'\r');
        if self.buffer.len() > LINE_BYTES_MAX {
            let message = format!("longer than {LINE_BYTES_MAX} bytes");
            return Some(Err(LineError::new(self.number, "line", message)));
        }
        match std::str::from_utf8(&self.buffer) {
            // Spreadsheets write a byte order mark; concatenated files have one in the middle.
            Ok(text) => Some(Ok(text.trim_start_matches('\u{FEFF}'))),
            Err(error) => {
                let at = error.valid_up_to();
                let first = !std::mem::replace(&mut self.guessed, true);
                let guess = if first { format!(": {}", text::guess(&self.buffer, at)) } else { String::new() };
                let message = format!("not UTF-8 from byte {at} on{guess}");
                Some(Err(LineError::new(self.number, "text", message)))
            }
        }
    }

    /// Ends the input. A file that is no text was read fully, so it is no failure of the input.
    fn failed(&mut self, error: &io::Error) -> LineError {
        self.ended = true;
        if let Some(what) = error.get_ref().and_then(|inner| inner.downcast_ref::<NotText>()) {
            return LineError::new(self.number, "file", what.to_string());
        }
        let message = format!("the input cannot be read any further: {error}");
        LineError { fatal: true, ..LineError::new(self.number, "input", message) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, BufReader, Cursor};

    use super::*;

    fn read(bytes: &[u8]) -> Vec<Result<String, LineError>> {
        let mut lines = Lines::encoded(Cursor::new(bytes), None);
        let mut all = Vec::new();
        while let Some(line) = lines.next() {
            all.push(line.map(str::to_owned));
        }
        all
    }

    #[test]
    fn lines_end_in_lf_crlf_or_with_the_input() {
        let texts: Vec<_> = read("\u{FEFF}a\r\n\nb".as_bytes()).into_iter().map(Result::unwrap).collect();
        assert_eq!(texts, ["a", "", "b"]);
        let joined: Vec<_> = read("\u{FEFF}a\n\u{FEFF}b\n".as_bytes()).into_iter().map(Result::unwrap).collect();
        assert_eq!(joined, ["a", "b"], "where two files were joined");
        assert!(read(b"").is_empty());
    }

    #[test]
    fn a_line_of_the_longest_length_passes_and_one_more_byte_does_not() {
        for (extra, end) in [(0, "\n"), (0, "\r\n"), (0, ""), (1, "\n"), (1, ""), (LINE_BYTES_MAX * 3, "\n")] {
            let mut bytes = vec![b'x'; LINE_BYTES_MAX + extra];
            bytes.extend_from_slice(end.as_bytes());
            bytes.extend_from_slice(if end.is_empty() { b"" } else { b"next" });
            let lines = read(&bytes);
            assert_eq!(lines[0].is_ok(), extra == 0, "{extra} {end:?}");
            assert_eq!(lines.get(1).cloned(), (!end.is_empty()).then(|| Ok("next".to_owned())), "{extra} {end:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_spoil_their_line_only() {
        let lines = read(b"ok\nM\xFCller\nok\nJ\xFCrgen\n");
        let said = |line: usize| lines[line].as_ref().unwrap_err().to_string();
        assert!(said(1).starts_with("line 2: text: not UTF-8 from byte 1 on: Latin-1 or Windows-1252"), "{}", said(1));
        assert!(lines[2].is_ok());
        assert_eq!(said(3), "line 4: text: not UTF-8 from byte 1 on", "the encoding is named once");
    }

    #[test]
    fn what_is_no_text_is_one_error_and_the_end() {
        let lines = read(b"PK\x03\x04 and more\nlines\nand lines\n");
        let [Err(error)] = &lines[..] else { panic!("{lines:?}") };
        assert!(!error.fatal && error.to_string().starts_with("line 1: file: this is a zip archive"), "{error}");
    }

    #[test]
    fn an_input_that_fails_ends_the_lines() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("cable cut"))
            }
        }
        let mut lines = Lines::encoded(BufReader::new(Cursor::new(b"a\nb").chain(Broken)), None);
        assert_eq!(lines.next().unwrap().unwrap(), "a");
        let error = lines.next().unwrap().unwrap_err();
        assert!(error.fatal && error.to_string().contains("cable cut"), "{error}");
        assert!(lines.next().is_none());
    }
}
