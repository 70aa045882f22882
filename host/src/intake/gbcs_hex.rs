//! GBCS alert messages in hex, one a line, each after an optional name and a tab.
//!
//! It must not know what is inside a message. Invariant: a line is one message and nothing else; blank lines, lines
//! that begin with `#`, and a first line that only names its columns are passed over.

use std::io::BufRead;

use super::{LineError, form::Form, gbcs, lines::Lines, shown};
use crate::domain::Alert;

/// The messages of a file of hex.
pub struct Alerts<R> {
    lines: Lines<R>,
    message: Vec<u8>,
}

impl<R: BufRead> Alerts<R> {
    /// Takes the input; nothing is read yet.
    pub fn new(reader: R) -> Self {
        Self::of(reader, &Form::default())
    }

    /// The same, with reading options, of which the encoding counts.
    pub fn of(reader: R, form: &Form) -> Self {
        Self { lines: Lines::encoded(reader, form.encoding), message: Vec::new() }
    }

    /// Number of the line read last.
    pub fn line(&self) -> u64 {
        self.lines.number()
    }

    /// The next message with all that was in it.
    pub fn next_decoded(&mut self) -> Option<Result<gbcs::Decoded, LineError>> {
        loop {
            let text = match self.lines.next()? {
                Ok(text) => text.trim(),
                Err(error) => return Some(Err(error)),
            };
            let hex = text.rsplit('\t').next().unwrap_or_default();
            let heading = matches!(hex, "hex" | "gbcs_hex");
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let decoded = unhex(hex, &mut self.message);
            let line = self.lines.number();
            if heading && line == 1 {
                continue;
            }
            return Some(match decoded {
                Ok(()) => gbcs::decode(&self.message).map_err(|e| LineError::new(line, "message", e.to_string())),
                Err(message) => Err(LineError::new(line, "hex", message)),
            });
        }
    }
}

impl<R: BufRead> Iterator for Alerts<R> {
    type Item = Result<Alert, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_decoded()?.map(|decoded| decoded.alert))
    }
}

/// Replaces `bytes` by what `hex` stands for. Blanks between digits are passed over.
fn unhex(hex: &str, bytes: &mut Vec<u8>) -> Result<(), String> {
    bytes.clear();
    let mut high: Option<u32> = None;
    for character in hex.chars().filter(|c| *c != ' ') {
        let Some(digit) = character.to_digit(16) else {
            return Err(format!("expected hex digits, found {}", shown(&character.to_string())));
        };
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push((high << 4 | digit) as u8),
        }
    }
    if high.is_some() { Err("expected an even number of hex digits".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02X}").unwrap();
            text
        })
    }

    #[test]
    fn names_comments_blanks_and_a_heading_are_passed_over() {
        let message = hex(&gbcs::tests::Message::critical(0x8F30).bytes());
        let spaced = message.to_lowercase().replacen("09", "0 9 ", 1);
        let text = format!("name\tgbcs_hex\n\n# a comment\nfirst\t{message}\n{spaced}\r\n0\nxy\n{}", &message[2..]);
        let mut alerts = Alerts::new(text.as_bytes());
        assert_eq!(alerts.next().unwrap().unwrap().code.0, 0x8F30);
        assert_eq!(alerts.line(), 4);
        assert_eq!(alerts.next().unwrap().unwrap().code.0, 0x8F30);
        let mut error = || alerts.next().unwrap().unwrap_err().to_string();
        assert_eq!(error(), "line 6: hex: expected an even number of hex digits");
        assert_eq!(error(), "line 7: hex: expected hex digits, found \"x\"");
        assert_eq!(error(), "line 8: message: byte 0: message type: found 09, expected DF (signed) or DD (MAC'd)");
        assert!(alerts.next().is_none());
    }

    /// The published sample messages are not ours to copy. Where they are at hand, WEIR_RTDS names the file.
    #[test]
    fn published_samples_are_read() {
        let Some(path) = std::env::var_os("WEIR_RTDS") else {
            println!("WEIR_RTDS is not set: no samples to read");
            return;
        };
        let text = std::fs::read_to_string(path).unwrap();
        let named: Vec<&str> = text.lines().skip(1).map(|line| line.split('\t').next().unwrap()).collect();
        let mut alerts = Alerts::new(text.as_bytes());
        for name in &named {
            let decoded = alerts.next_decoded().unwrap().unwrap_or_else(|error| panic!("{name}: {error}"));
            let code = decoded.alert.code.to_string();
            let stated = name.split('_').find(|part| part.len() == 4 && part.starts_with(['8']));
            assert!(stated.is_none_or(|stated| stated == code), "{name}: {code}");
            assert_eq!(decoded.outage.is_some(), name.starts_with("ECS80_"), "{name}");
        }
        assert!(alerts.next_decoded().is_none());
        println!("{} samples read", named.len());
        assert!(named.len() >= 53, "{} samples", named.len());
    }
}
