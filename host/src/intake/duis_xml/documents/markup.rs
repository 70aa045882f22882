//! What begins with `<`: tags, comments and the like, told apart without knowing what they mean.

/// What a CDATA section begins with.
pub(super) const CDATA: &[u8] = b"<![CDATA[";

/// Bytes up to which quotes and brackets are counted. No tag is as long, and counting begins anew with each piece.
const COUNTED_BYTES_MAX: usize = 16 << 10;

/// What begins with `<`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Construct {
    /// A tag.
    Tag,
    Comment,
    /// A CDATA section.
    Text,
    /// A processing instruction, or an XML declaration.
    Instruction,
    /// A document type.
    Declaration,
}

impl Construct {
    /// Tells what begins with these bytes, of which there may be more to come. `only_tags` takes everything for a tag but
    /// an XML declaration.
    pub(super) fn of(bytes: &[u8], only_tags: bool) -> Self {
        match bytes {
            _ if is_declaration(bytes) => Self::Instruction,
            _ if only_tags => Self::Tag,
            _ if bytes.starts_with(b"<!--") => Self::Comment,
            _ if bytes.starts_with(CDATA) => Self::Text,
            _ if bytes.starts_with(b"<?") => Self::Instruction,
            _ if bytes.starts_with(b"<!") => Self::Declaration,
            _ => Self::Tag,
        }
    }

    /// Returns true if it ends where the bytes do.
    pub(super) fn is_whole(self, bytes: &[u8]) -> bool {
        match self {
            Self::Comment => bytes.len() >= 7 && bytes.ends_with(b"-->"),
            Self::Text => bytes.ends_with(b"]]>"),
            Self::Instruction => bytes.ends_with(b"?>"),
            Self::Tag | Self::Declaration if !bytes.ends_with(b">") => false,
            Self::Tag | Self::Declaration if bytes.len() > COUNTED_BYTES_MAX => true,
            Self::Tag => !is_quote_open(bytes),
            Self::Declaration => {
                let count = |wanted: u8| bytes.iter().filter(|byte| **byte == wanted).count();
                count(b'[') <= count(b']')
            }
        }
    }

    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tag => "a tag",
            Self::Comment => "a comment",
            Self::Text => "a CDATA section",
            Self::Instruction => "a processing instruction",
            Self::Declaration => "a document type",
        }
    }
}

/// Returns true for the declaration that a document may begin with, and that stands nowhere else.
pub(super) fn is_declaration(bytes: &[u8]) -> bool {
    bytes.strip_prefix(b"<?xml").and_then(<[u8]>::first).is_some_and(u8::is_ascii_whitespace)
}

fn is_quote_open(bytes: &[u8]) -> bool {
    let open = bytes.iter().fold(None, |open: Option<u8>, byte| match (open, byte) {
        (None, b'"' | b'\'') => Some(*byte),
        (Some(quote), byte) if quote == *byte => None,
        (open, _) => open,
    });
    open.is_some()
}

/// A tag by the name of its element, without the prefix.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    pub(super) is_closing: bool,
    /// It closes what it opens.
    pub(super) is_empty: bool,
}

impl<'a> Tag<'a> {
    /// Reads a whole tag; `None` where it has no name.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let inner = bytes.strip_prefix(b"<")?.strip_suffix(b">")?;
        let (is_closing, inner) = inner.strip_prefix(b"/").map_or((false, inner), |inner| (true, inner));
        let (is_empty, inner) = inner.strip_suffix(b"/").map_or((false, inner), |inner| (true, inner));
        let name = inner.split(u8::is_ascii_whitespace).next()?;
        let name = std::str::from_utf8(name).ok()?;
        let name = name.rsplit(':').next().filter(|name| !name.is_empty())?;
        Some(Self { name, is_closing, is_empty })
    }
}

/// The name of an element whose tag goes on, without the prefix; empty for none.
pub(super) fn begun_name(bytes: &[u8]) -> &str {
    let name = bytes.strip_prefix(b"<").and_then(|inner| inner.split(u8::is_ascii_whitespace).next());
    let name = name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
    name.rsplit(':').next().unwrap_or_default()
}
