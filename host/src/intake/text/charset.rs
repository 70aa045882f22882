//! The encodings that a declaration within a file can state.
//!
//! Invariant: no character is replaced by another in silence.

use std::borrow::Cow;

use encoding_rs::{UTF_8, WINDOWS_1252};

use super::Encoding;

/// An encoding that ASCII is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::intake) struct Charset(&'static encoding_rs::Encoding);

impl Charset {
    pub(in crate::intake) const UTF_8: Self = Self(UTF_8);

    /// Returns the encoding of a label like `ISO-8859-1`; `None` where none is known, or ASCII is no part of it.
    pub(in crate::intake) fn labelled(label: &str) -> Option<Self> {
        encoding_rs::Encoding::for_label(label.as_bytes()).filter(|found| found.is_ascii_compatible()).map(Self)
    }

    /// Returns a stated encoding; `None` for UTF-16, of which ASCII is no part.
    pub(in crate::intake) fn stated(encoding: Encoding) -> Option<Self> {
        match encoding {
            Encoding::Utf8 => Some(Self(UTF_8)),
            Encoding::Windows1252 => Some(Self(WINDOWS_1252)),
            Encoding::Utf16Le | Encoding::Utf16Be => None,
        }
    }

    pub(in crate::intake) fn name(self) -> &'static str {
        self.0.name()
    }

    /// Decodes bytes; `None` where they are not in this encoding.
    pub(in crate::intake) fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        self.0.decode_without_bom_handling_and_without_replacement(bytes)
    }
}

/// Shows bytes as they read in Windows-1252, of which every byte is a character.
pub(in crate::intake) fn as_windows_1252(bytes: &[u8]) -> Cow<'_, str> {
    WINDOWS_1252.decode_without_bom_handling(bytes).0
}
