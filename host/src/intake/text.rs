//! Decodes the text of a file into UTF-8.
//!
//! A byte order mark announces UTF-16; anything else is UTF-8 unless the caller names an encoding. Invariant: the decoder
//! holds at most [`CHUNK_BYTES`], and replaces nothing: a malformed sequence becomes the byte 0xFF, which never occurs in
//! UTF-8, so the reader of lines rejects that line.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, DecoderResult, UTF_16BE, UTF_16LE, WINDOWS_1252};

mod charset;

pub(super) use charset::{Charset, as_windows_1252};

/// Bytes decoded per step.
const CHUNK_BYTES: usize = 16 << 10;
/// Leading bytes that identify a file.
const HEAD_BYTES: usize = 8;
/// Stands for a malformed sequence.
const NO_TEXT: u8 = 0xFF;
/// Characters of the sample that an error shows.
const WORD_CHARS_MAX: usize = 24;

/// A text encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// UTF-16, little endian: the "Unicode text" of spreadsheets, and the output of PowerShell's `>`.
    Utf16Le,
    /// UTF-16, big endian.
    Utf16Be,
    /// Windows-1252, a superset of the printable characters of Latin-1 (ISO-8859-1).
    Windows1252,
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16 (low byte first)",
            Self::Utf16Be => "UTF-16 (high byte first)",
            Self::Windows1252 => "Windows-1252",
        }
    }

    fn decoder(self) -> Option<Decoder> {
        let encoding = match self {
            Self::Utf8 => return None,
            Self::Utf16Le => UTF_16LE,
            Self::Utf16Be => UTF_16BE,
            Self::Windows1252 => WINDOWS_1252,
        };
        Some(encoding.new_decoder_without_bom_handling())
    }
}

/// The file is no text: what it seems to be, and the way out. Wrapped in an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotText(String);

/// Adapts a reader of encoded text into a reader of UTF-8.
pub(super) struct Text<R> {
    reader: R,
    detection: Detection,
    state: State,
    /// The leading bytes, and how many of them the caller consumed.
    head: (Vec<u8>, usize),
}

/// How the encoding of a file is told.
#[derive(Debug, Clone, Copy)]
enum Detection {
    /// By what the caller names, which the file's mark must not contradict, or by the mark.
    Stated(Option<Encoding>),
    /// By the mark, or by the first character, which is `<`, or else by what the caller names, where that is UTF-16. All else
    /// passes through: each document declares its own.
    Xml(Option<Encoding>),
}

enum State {
    New,
    /// UTF-8 passes through.
    Plain,
    Coded(Box<Coded>),
}

/// A decoder and its output buffer.
struct Coded {
    decoder: Decoder,
    decoded: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: BufRead> Text<R> {
    /// `stated` overrides detection.
    pub(super) fn new(reader: R, stated: Option<Encoding>) -> Self {
        Self { reader, detection: Detection::Stated(stated), state: State::New, head: (Vec::new(), 0) }
    }

    /// Text of XML documents, which begins with `<` or a byte order mark. `stated` must not contradict either.
    pub(super) fn of_xml(reader: R, stated: Option<Encoding>) -> Self {
        Self { detection: Detection::Xml(stated), ..Self::new(reader, None) }
    }

    /// Reads the leading bytes and selects the decoder.
    fn begin(&mut self) -> io::Result<()> {
        let head = &mut self.head.0;
        while head.len() < HEAD_BYTES && head.last() != Some(&b'\n') {
            let there = self.reader.fill_buf()?;
            let Some(byte) = there.first().copied() else { break };
            head.push(byte);
            self.reader.consume(1);
        }
        let encoding = match self.detection {
            Detection::Stated(stated) => settle(head, stated),
            Detection::Xml(stated) => of_xml(head, stated),
        };
        let encoding = encoding.map_err(|why| io::Error::new(io::ErrorKind::InvalidData, NotText(why)))?;
        self.state = encoding.decoder().map_or(State::Plain, |decoder| {
            State::Coded(Box::new(Coded { decoder, decoded: Vec::new(), given: 0, ended: false }))
        });
        Ok(())
    }
}

/// Returns the encoding of a file with these leading bytes, or the reason it cannot be read.
fn settle(head: &[u8], stated: Option<Encoding>) -> Result<Encoding, String> {
    if let Some(what) = foreign(head) {
        return Err(what);
    }
    let marked = match head {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => {
            return Err("this is UTF-32, by its mark; save it as UTF-8".to_owned());
        }
        [0xFF, 0xFE, ..] => Some(Encoding::Utf16Le),
        [0xFE, 0xFF, ..] => Some(Encoding::Utf16Be),
        [0xEF, 0xBB, 0xBF, ..] => Some(Encoding::Utf8),
        _ => None,
    };
    match (stated, marked) {
        (Some(stated), Some(marked)) if stated != marked => {
            Err(format!("--encoding says {}, and the file's mark says {}", stated.name(), marked.name()))
        }
        (Some(encoding), _) | (None, Some(encoding)) => Ok(encoding),
        (None, None) => unmarked(head),
    }
}

/// Returns the encoding of XML with these leading bytes, as far as it is not the documents' own affair.
fn of_xml(head: &[u8], stated: Option<Encoding>) -> Result<Encoding, String> {
    let is_wide = |encoding: Encoding| matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be);
    let begins = match head {
        [0xFF, 0xFE, ..] | [b'<', 0, ..] => Some(Encoding::Utf16Le),
        [0xFE, 0xFF, ..] | [0, b'<', ..] => Some(Encoding::Utf16Be),
        [0xEF, 0xBB, 0xBF, ..] => Some(Encoding::Utf8),
        // An encoding that ASCII is a part of; which one is not told by this.
        [b'<', ..] => stated.filter(|stated| !is_wide(*stated)).or(Some(Encoding::Utf8)),
        _ => None,
    };
    match (stated, begins) {
        (Some(stated), Some(begins)) if stated != begins => {
            Err(format!("--encoding says {}, and the file begins in {}", stated.name(), begins.name()))
        }
        (_, Some(begins)) if is_wide(begins) => Ok(begins),
        (Some(stated), None) if is_wide(stated) => Ok(stated),
        _ => Ok(Encoding::Utf8),
    }
}

/// Rejects UTF-16 without a mark: ASCII text in it has a zero in every other byte.
fn unmarked(head: &[u8]) -> Result<Encoding, String> {
    let zeros = |from: usize| head.len() >= 4 && head.iter().skip(from).step_by(2).all(|byte| *byte == 0);
    let option = match (zeros(0), zeros(1)) {
        (false, true) => "utf-16le",
        (true, false) => "utf-16be",
        _ => return Ok(Encoding::Utf8),
    };
    Err(format!("this looks like UTF-16 without a mark; --encoding {option} reads it, or save it as UTF-8"))
}

/// Identifies binary formats by their magic numbers.
fn foreign(head: &[u8]) -> Option<String> {
    const KINDS: [(&[u8], &str); 8] = [
        (b"PAR1", "this is a Parquet file: its name must end in .parquet, or give --format parquet"),
        (&[0x1F, 0x8B], "this is packed by gzip: unpack it, or let its name end in .gz"),
        (&[0x28, 0xB5, 0x2F, 0xFD], "this is packed by Zstandard: unpack it, or let its name end in .zst"),
        (b"PK\x03\x04", "this is a zip archive or a workbook (.xlsx): unpack it, or save the sheet as CSV UTF-8"),
        (&[0xD0, 0xCF, 0x11, 0xE0], "this is a workbook (.xls): save the sheet as CSV UTF-8"),
        (b"BZh", "this is packed by bzip2: unpack it first"),
        (&[0xFD, b'7', b'z', b'X', b'Z'], "this is packed by xz: unpack it first"),
        (b"%PDF-", "this is a PDF: get the figures in it as CSV"),
    ];
    KINDS.iter().find(|(start, _)| head.starts_with(start)).map(|(_, what)| (*what).to_owned())
}

impl<R: BufRead> Read for Text<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Text<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if matches!(self.state, State::New) {
            self.begin()?;
        }
        let (head, given) = &mut self.head;
        match &mut self.state {
            State::Coded(coded) => {
                while coded.given == coded.decoded.len() && !coded.ended {
                    let from_head = *given < head.len();
                    let bytes = if from_head { &head[*given..] } else { self.reader.fill_buf()? };
                    let read = coded.decode(bytes);
                    if from_head {
                        *given += read;
                    } else {
                        self.reader.consume(read);
                    }
                }
                Ok(&coded.decoded[coded.given..])
            }
            State::New | State::Plain if *given < head.len() => Ok(&head[*given..]),
            State::New | State::Plain => self.reader.fill_buf(),
        }
    }

    fn consume(&mut self, count: usize) {
        let (head, given) = &mut self.head;
        match &mut self.state {
            State::Coded(coded) => coded.given += count,
            State::New | State::Plain if *given < head.len() => *given += count,
            State::New | State::Plain => self.reader.consume(count),
        }
    }
}

impl Coded {
    /// Decodes a chunk and returns the bytes consumed. An empty chunk ends the input.
    fn decode(&mut self, bytes: &[u8]) -> usize {
        self.decoded.resize(CHUNK_BYTES, 0);
        self.given = 0;
        let last = bytes.is_empty();
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(bytes, &mut self.decoded, last);
        self.decoded.truncate(written);
        match result {
            DecoderResult::Malformed(_, _) => self.decoded.push(NO_TEXT),
            DecoderResult::InputEmpty => self.ended = last,
            DecoderResult::OutputFull => {}
        }
        read
    }
}

/// Describes the likely encoding of a line that is not UTF-8 from byte `at` on, and how to read it.
pub(super) fn guess(line: &[u8], at: usize) -> String {
    if line.contains(&0) {
        return "looks like UTF-16, perhaps a file joined to one of another encoding; save both as UTF-8".to_owned();
    }
    if line.get(at) == Some(&NO_TEXT) && line.len() == at + 1 {
        return "a character is damaged or cut off".to_owned();
    }
    let divides = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'|' | b'"');
    let start = line[..at].iter().rposition(divides).map_or(0, |place| place + 1);
    let end = line[at..].iter().position(divides).map_or(line.len(), |place| at + place);
    let word = as_windows_1252(&line[start.max(at.saturating_sub(WORD_CHARS_MAX))..end]);
    let word: String = word.chars().take(WORD_CHARS_MAX).collect();
    if word.chars().any(|character| character.is_control()) {
        return "the encoding cannot be told; save the file as UTF-8".to_owned();
    }
    format!(
        "Latin-1 or Windows-1252, in which it reads {}? --encoding windows-1252 reads it so, or save the file as UTF-8",
        super::shown(&word)
    )
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn read(bytes: &[u8], stated: Option<Encoding>, piece: usize) -> Result<Vec<u8>, String> {
        let mut decoded = Vec::new();
        let mut text = Text::new(BufReader::with_capacity(piece, bytes), stated);
        text.read_to_end(&mut decoded).map(|_| decoded).map_err(|error| error.to_string())
    }

    #[test]
    fn a_mark_tells_utf_16_in_pieces_of_any_size() {
        let text = format!("\u{FEFF}Zähler,код,🔌\r\n{}", "x".repeat(CHUNK_BYTES * 2));
        for (bytes, stated) in
            [(utf16(&text, u16::to_le_bytes), Encoding::Utf16Le), (utf16(&text, u16::to_be_bytes), Encoding::Utf16Be)]
        {
            for piece in [1, 2, 3, 7, 1 << 16] {
                assert_eq!(read(&bytes, None, piece).unwrap(), text.as_bytes(), "{piece}");
            }
            assert_eq!(read(&bytes[2..], Some(stated), 5).unwrap(), &text.as_bytes()[3..]);
            let refused = read(&bytes[2..], None, 5).unwrap_err();
            assert!(refused.contains("UTF-16 without a mark"), "{refused}");
            let refused = read(&bytes, Some(Encoding::Windows1252), 5).unwrap_err();
            assert!(refused.starts_with("--encoding says Windows-1252, and the file's mark says UTF-16"), "{refused}");
        }
        assert_eq!(read(b"", None, 9).unwrap(), b"");
        assert_eq!(read(b"a", None, 9).unwrap(), b"a");
    }

    #[test]
    fn utf_16_of_xml_is_told_by_its_mark_or_its_first_character() {
        let text = "<a>\u{A3}10 \u{1F600}</a>\n".repeat(3_000);
        let read = |bytes: &[u8]| {
            let mut decoded = Vec::new();
            Text::of_xml(BufReader::with_capacity(3, bytes), None).read_to_end(&mut decoded).unwrap();
            decoded
        };
        let stated = |bytes: &[u8], encoding| {
            let mut decoded = Vec::new();
            let read = Text::of_xml(bytes, Some(encoding)).read_to_end(&mut decoded);
            read.map(|_| decoded).map_err(|error| error.to_string())
        };
        // Without a mark and with a blank in front, nothing but what is stated tells it.
        let blank = utf16(" <a/>", u16::to_be_bytes);
        assert_eq!(stated(&blank, Encoding::Utf16Be).unwrap(), b" <a/>");
        for encoding in [Encoding::Utf8, Encoding::Windows1252] {
            assert_eq!(stated(b"<a>\xFC</a>", encoding).unwrap(), b"<a>\xFC</a>", "of each document by itself");
            let refused = stated(&utf16("<a/>", u16::to_le_bytes), encoding).unwrap_err();
            assert!(refused.contains("and the file begins in UTF-16 (low byte first)"), "{refused}");
        }
        for wide in [utf16(&text, u16::to_le_bytes), utf16(&text, u16::to_be_bytes)] {
            assert_eq!(read(&wide), text.as_bytes());
        }
        let marked = format!("\u{FEFF}{text}");
        for wide in [utf16(&marked, u16::to_le_bytes), utf16(&marked, u16::to_be_bytes)] {
            assert_eq!(read(&wide), marked.as_bytes());
        }
        assert_eq!(read(&[0xFF, 0xFE, b'<', 0, b'a'])[3..], [b'<', NO_TEXT], "half a character is not dropped");
        for plain in ["", "<", "ab", "PK\u{3}\u{4}", text.as_str()] {
            assert_eq!(read(plain.as_bytes()), plain.as_bytes());
        }
    }

    #[test]
    fn utf_16_without_a_mark_is_named() {
        let refused = |bytes: &[u8]| read(bytes, None, 3).unwrap_err();
        assert!(refused(&utf16("device", u16::to_le_bytes)).contains("--encoding utf-16le reads it"));
        assert!(refused(&utf16("device", u16::to_be_bytes)).contains("--encoding utf-16be reads it"));
    }

    #[test]
    fn what_an_encoding_does_not_allow_is_no_utf_8_either() {
        // Half of a pair, and half of a unit.
        let mut bytes = utf16("\u{FEFF}ab", u16::to_le_bytes);
        bytes.extend([0x00, 0xD8, b'c', 0, b'd']);
        let decoded = read(&bytes, None, 4).unwrap();
        assert_eq!(decoded, ["\u{FEFF}ab".as_bytes(), &[NO_TEXT], b"c", &[NO_TEXT]].concat());
        assert_eq!(read(b"M\xFCller\x80", Some(Encoding::Windows1252), 3).unwrap(), "Müller€".as_bytes());
    }

    #[test]
    fn what_is_no_text_is_named_with_a_way_out() {
        for (bytes, words) in [
            (&b"PAR1..."[..], "Parquet"),
            (&[0x1F, 0x8B, 8], "gzip"),
            (&[0x28, 0xB5, 0x2F, 0xFD], "Zstandard"),
            (b"PK\x03\x04\x14\0", ".xlsx"),
            (&[0xD0, 0xCF, 0x11, 0xE0, 0xA1], ".xls"),
            (b"BZh91AY", "bzip2"),
            (&[0xFD, b'7', b'z', b'X', b'Z', 0], "xz"),
            (&[0xFF, 0xFE, 0, 0, b'd', 0, 0, 0], "UTF-32"),
            (&[0, 0, 0xFE, 0xFF, 0, 0, 0, b'd'], "UTF-32"),
        ] {
            let refused = read(bytes, None, 2).unwrap_err();
            assert!(refused.contains(words), "{words}: {refused}");
        }
    }

    #[test]
    fn a_line_of_another_encoding_is_shown_as_it_reads_there() {
        let line = b"02-00-5E-10-00-00-A0-24,smets1,M\xFCller 3";
        let guessed = guess(line, 32);
        assert!(guessed.starts_with("Latin-1 or Windows-1252, in which it reads \"Müller\"?"), "{guessed}");
        assert!(guess(b"a\xFF", 1).contains("cut off"));
        assert!(guess(b"\xFE\0a\0", 0).contains("UTF-16"));
        assert!(guess(b"ab\x81c", 2).contains("cannot be told"));
    }
}
