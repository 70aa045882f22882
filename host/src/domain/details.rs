//! What an alert carries beside what rules and counts go by: few alerts have any of it.
//!
//! Invariant: a note is at most [`Note::BYTES_MAX`] bytes and has no character that is obeyed.

use std::fmt;

use super::{AlertCode, Millis, Mpxn, is_unsafe};

/// What the source of an alert states beside it. Nothing of it is judged or counted, but for `mpxn`: a device that the
/// inventory has no operator for counts as one of the distributor that the MPAN begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Details {
    /// The metering point that the source names with the device.
    pub mpxn: Mpxn,
    /// Number of the alert in the DCC's throttled sequence.
    pub throttle_sequence: Option<u32>,
    /// How many instructions the command has that the alert is about; 0 for not stated.
    pub instruction_count: u16,
    /// When the supply went.
    pub interrupted_ms: Option<Millis>,
    /// When the supply came back.
    pub restored_ms: Option<Millis>,
    /// The code of the device's own that an alert of the DCC passes on.
    pub inner_code: Option<AlertCode>,
    /// What the source says in words: codes of an S1SP, and what it adds.
    pub note: Note,
}

impl Details {
    /// Returns true if nothing is stated.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A short text of one line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Note {
    length: u8,
    bytes: [u8; Note::BYTES_MAX],
}

impl Note {
    /// Bytes of a note.
    pub const BYTES_MAX: usize = 64;

    /// Makes a note of a text: characters that are obeyed become blanks, and what is too long ends with `...`.
    pub fn new(text: &str) -> Self {
        let plain: String = text.chars().map(|c| if is_unsafe(c) { ' ' } else { c }).collect();
        let plain = plain.trim();
        if plain.len() <= Self::BYTES_MAX {
            return Self::of(plain);
        }
        let end = (0..=Self::BYTES_MAX - 3).rev().find(|at| plain.is_char_boundary(*at)).unwrap_or(0);
        Self::of(&format!("{}...", &plain[..end]))
    }

    /// A text as a file or a call states it; `None` where it is none that [`new`](Self::new) makes. Blanks around it are
    /// refused: no file can state them.
    pub fn stated(text: &str) -> Option<Self> {
        Self::kept(text).filter(|_| text.trim() == text)
    }

    /// A text as it was logged. Older releases logged blanks around one.
    pub fn kept(text: &str) -> Option<Self> {
        let is_kept = text.len() <= Self::BYTES_MAX && !text.chars().any(is_unsafe);
        is_kept.then(|| Self::of(text))
    }

    fn of(text: &str) -> Self {
        let mut bytes = [0; Self::BYTES_MAX];
        let length = text.len().min(Self::BYTES_MAX);
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        Self { length: length as u8, bytes }
    }

    /// The text; empty for none.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl Default for Note {
    fn default() -> Self {
        Self { length: 0, bytes: [0; Self::BYTES_MAX] }
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_short_plain_and_of_whole_characters() {
        assert_eq!(Note::new(" S1VE: no answer ").as_str(), "S1VE: no answer");
        assert_eq!(Note::new("a\nb\u{202E}c").as_str(), "a b c");
        let long = Note::new(&"\u{A3}".repeat(60));
        assert!(long.as_str().ends_with("\u{A3}...") && long.as_str().len() <= Note::BYTES_MAX, "{long:?}");
        assert_eq!(Note::kept(long.as_str()), Some(long));
        assert_eq!((Note::kept(&"a".repeat(65)), Note::kept("\n")), (None, None));
        for blank in [" a", "a ", "\u{A0}a"] {
            assert_eq!((Note::stated(blank), Note::new(blank).as_str()), (None, "a"), "{blank:?}");
            assert!(Note::kept(blank).is_some(), "an older release logged it");
        }
        assert_eq!(
            Note::new("\u{7}a\n").as_str(),
            "a",
            "what is obeyed becomes a blank, and those around it are none of it"
        );
        assert!(Details { note: Note::new(" "), ..Details::default() }.is_empty());
    }
}
