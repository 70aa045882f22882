//! The documents of an input, one after the other, whatever stands around them: nothing, a wrapper, a SOAP envelope, the
//! lines of a log.
//!
//! A document begins with the opening tag of a root element and ends with its closing tag. It must not know what is in a
//! document. Invariants: never more than the bytes that one may have and one more tag are held, however long a document, a
//! tag or white space is; a document that is broken spoils none after it, whose opening tag or XML declaration ends it.

use std::io::{self, BufRead, Cursor, Read};

use super::{
    super::{
        LineError, shown,
        text::{Charset, Encoding, Text},
    },
    DOCUMENT_BYTES_LIMIT, encoding,
};

mod markup;

use markup::{CDATA, Construct, Tag, is_declaration};

/// Bytes of one tag outside of documents. What is longer is text.
const TAG_BYTES_MAX: usize = 64 << 10;

/// Elements that a document can have as its root: a response of the DCC, one that was parsed, and a signed one by itself.
const ROOTS: [&str; 4] = ["Response", "GBCSResponse", "SMETS1SignedResponse", "SMETS1Response"];
/// Elements that a document with an alert has. One that is in no document is the rest of one that is broken.
const ALERTS: [&str; 4] =
    ["DeviceAlertMessage", "DCCAlertMessage", "FutureDatedDeviceAlertMessage", "SMETS1ResponseMessage"];

/// A document from its opening tag to its closing tag.
pub(super) struct Document {
    /// Line that it begins on.
    pub(super) line: u64,
    /// It in its encoding, never more than a document may have.
    pub(super) bytes: Vec<u8>,
    /// The encoding that its XML declaration states, or that of the wrapper around it, or else the caller, if any does.
    pub(super) encoding: Option<Charset>,
}

/// Splits an input.
pub(super) struct Documents<R> {
    reader: Text<R>,
    /// Bytes of one document.
    bytes_max: usize,
    /// How what is longer is divided; empty where nothing is said of it.
    divided_by: &'static str,
    /// The encoding that the caller states, of documents for which none is declared or another one that they are not in.
    undeclared: Option<Charset>,
    /// What was held and is read a second time, before the rest of the input.
    again: Cursor<Vec<u8>>,
    /// Set while it is.
    is_again: bool,
    /// Set from when something is read again, because a comment or the like had no end, until all of it was looked at. In it
    /// nothing is a comment, and nothing is read a third time.
    is_second_look: bool,
    /// The document at hand, or else the tag; and the line that it begins on.
    held: Vec<u8>,
    line: u64,
    /// How much of what is held was looked at.
    looked: usize,
    /// What is open, and where it begins in what is held.
    open: Option<(usize, Construct)>,
    root: Option<Root>,
    /// Line of the XML declaration before the next document.
    declared: Option<u64>,
    /// What that declaration states of the encoding.
    stated: Option<Stated>,
    /// The element around documents that an XML declaration is of.
    wrapper: Option<Wrapper>,
    /// Text in another encoding than the input began in, as it is to be said.
    other_encoding: Option<LineError>,
    /// Set where an error was told of a document whose rest may follow.
    in_rest: bool,
    /// Whether any document was found, a broken one included.
    found: bool,
    /// The first text or element outside of documents, and its line.
    outside: Option<(u64, String)>,
    /// The first text outside of documents, and its line.
    text: Option<(u64, String)>,
    ended: bool,
}

/// The encoding that an XML declaration states; `None` in it for none.
#[derive(Clone, Copy)]
struct Stated(Option<Charset>);

/// An element around documents: what its XML declaration says holds for those in it that have none of their own.
struct Wrapper {
    name: String,
    /// How many elements of its name are open.
    depth: usize,
    stated: Stated,
}

/// The root of the document at hand.
struct Root {
    name: String,
    /// Line that the document begins on, its XML declaration included.
    line: u64,
    /// Whether a part of a document was met in it. A root without is a wrapper around others of its name.
    has_parts: bool,
}

type Item = Result<Document, LineError>;

impl<R: BufRead> Documents<R> {
    /// Documents of at most `bytes_max` bytes. `encoding` is that of those for which none is declared, if the caller says so.
    pub(super) fn new(reader: R, bytes_max: usize, encoding: Option<Encoding>) -> Self {
        Self {
            reader: Text::of_xml(reader, encoding),
            bytes_max,
            divided_by: "",
            undeclared: encoding.and_then(Charset::stated),
            again: Cursor::default(),
            is_again: false,
            is_second_look: false,
            held: Vec::new(),
            line: 1,
            looked: 0,
            open: None,
            root: None,
            declared: None,
            stated: None,
            wrapper: None,
            other_encoding: None,
            in_rest: false,
            found: false,
            outside: None,
            text: None,
            ended: false,
        }
    }

    /// Says how what is too long for one document is divided, where a longer one cannot be read.
    pub(super) fn divided_by(self, how: &'static str) -> Self {
        Self { divided_by: how, ..self }
    }

    /// Says which text stands outside of documents. Ask at the end.
    pub(super) fn passed_over(&mut self) -> Option<LineError> {
        let (line, what) = if self.ended { self.text.take()? } else { return None };
        Some(LineError::new(line, "document", format!("{what} is in no document; passed over, as all such text is")))
    }

    /// The next document, or what is wrong with one.
    pub(super) fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(error) = self.other_encoding.take() {
                self.found = true;
                return Some(Err(error));
            }
            if self.ended {
                return None;
            }
            let item = match self.read_piece() {
                Ok(0) => self.end(),
                Ok(_) => self.look(),
                Err(error) => {
                    self.ended = true;
                    let message = format!("the input cannot be read any further: {error}");
                    Some(Err(LineError { fatal: true, ..LineError::new(self.line_at(self.looked), "input", message) }))
                }
            };
            if let Some(item) = item {
                self.found = true;
                return Some(item);
            }
        }
    }

    /// Reads up to the next `>`, or as far as a document may go; returns how many bytes came.
    fn read_piece(&mut self) -> io::Result<usize> {
        let room = (self.bytes_max + 1).saturating_sub(self.held.len()).max(1) as u64;
        let read = self.again.by_ref().take(room).read_until(b'>', &mut self.held)?;
        self.is_again = read > 0;
        if read > 0 { Ok(read) } else { self.reader.by_ref().take(room).read_until(b'>', &mut self.held) }
    }

    /// Looks at what was read last.
    fn look(&mut self) -> Option<Item> {
        // What is read again ends where something begins that is not.
        self.is_second_look &= self.is_again || self.open.is_some();
        let Some((at, construct)) = self.construct() else {
            return (self.held.len() > self.bytes_max).then(|| self.give_up());
        };
        if !construct.is_whole(&self.held[at..]) {
            self.open = Some((at, construct));
            self.looked = self.held.len();
            return self.bound(at, construct);
        }
        self.open = None;
        self.looked = self.held.len();
        let item = match construct {
            Construct::Tag => self.tag(at),
            Construct::Instruction if is_declaration(&self.held[at..]) => self.declaration(at),
            _ => None,
        };
        if self.root.is_none() {
            self.forget(self.held.len());
        }
        match item {
            None if self.held.len() > self.bytes_max => Some(self.give_up()),
            item => item,
        }
    }

    /// What the piece read last is a part of, and where that begins. `None`: it is text.
    fn construct(&mut self) -> Option<(usize, Construct)> {
        let (mut at, mut construct) = loop {
            if let Some(open) = self.open {
                break open;
            }
            let Some(text) = self.held[self.looked..].iter().position(|byte| *byte == b'<') else {
                self.looked = self.held.len();
                self.take_text(self.held.len());
                return None;
            };
            let at = self.looked + text;
            let construct = Construct::of(&self.held[at..], self.is_second_look);
            if self.root.is_some() {
                break (at, construct);
            }
            self.take_text(at);
            if construct != Construct::Text {
                break (0, construct);
            }
            // Documents may be wrapped as text.
            self.forget(CDATA.len());
            self.looked = 0;
        };
        // No tag has a `<` in it: what it begins with is none, or was not ended.
        while construct == Construct::Tag
            && let Some(next) = self.held[at + 1..].iter().rposition(|byte| *byte == b'<')
        {
            at += 1 + next;
            construct = Construct::of(&self.held[at..], self.is_second_look);
            if self.root.is_none() {
                self.take_text(at);
                at = 0;
            }
        }
        Some((at, construct))
    }

    /// Outside of documents, forgets text up to a place.
    fn take_text(&mut self, to: usize) {
        if self.root.is_none() {
            let blank = self.held[..to].iter().take_while(|byte| is_blank(byte)).count();
            if !self.in_rest && encoding::is_other(&self.held[blank..to]) {
                self.meet_other_encoding(blank);
            }
            let text = String::from_utf8_lossy(&self.held[blank..to.min(blank + 200)]);
            if !text.is_empty() && !text.starts_with("]]>") && !self.in_rest {
                let note = (self.line_at(blank), shown(text.trim_end()));
                self.outside.get_or_insert_with(|| note.clone());
                self.text.get_or_insert(note);
            }
            self.forget(to);
        }
    }

    /// Text at a place is in another encoding than what was read so far: what follows is said once, and passed over.
    fn meet_other_encoding(&mut self, at: usize) {
        const MESSAGE: &str = "from here on the file is in another encoding than it begins in (UTF-16 and UTF-8 in one \
                               file), and nothing of that is read; keep documents in UTF-16 in files of their own";
        self.other_encoding = Some(LineError::new(self.line_at(at), "document", MESSAGE.to_owned()));
        self.in_rest = true;
    }

    /// Keeps what is held within bounds while something is open.
    fn bound(&mut self, at: usize, construct: Construct) -> Option<Item> {
        if self.root.is_some() {
            return (self.held.len() > self.bytes_max).then(|| self.give_up());
        }
        match construct {
            Construct::Tag | Construct::Declaration if self.held.len() - at > TAG_BYTES_MAX => {
                self.open = None;
                if construct == Construct::Tag && ROOTS.contains(&markup::begun_name(&self.held[at..])) {
                    self.begin(String::new());
                    return Some(self.give_up());
                }
                self.take_text(self.held.len());
            }
            Construct::Comment | Construct::Instruction if self.held.len() > TAG_BYTES_MAX => {
                // All of it is passed over: its beginning and what it may end with are enough.
                let middle = 4..self.held.len() - 2;
                self.line += newlines(&self.held[middle.clone()]);
                self.held.drain(middle);
                self.looked = self.held.len();
            }
            _ => {}
        }
        None
    }

    /// A tag that is whole.
    fn tag(&mut self, at: usize) -> Option<Item> {
        let tag = Tag::of(&self.held[at..])?;
        let name = tag.name.to_owned();
        let Some(root) = &mut self.root else { return self.tag_outside(&name, tag.is_closing, tag.is_empty) };
        match (tag.is_closing, name == root.name) {
            (true, true) => Some(self.take(self.held.len())),
            (false, true) if !tag.is_empty => {
                // One that was cut short, or a wrapper.
                let item = root.has_parts.then(|| self.take(at));
                if item.is_none() {
                    self.enter(&name);
                }
                self.forget(if item.is_some() { 0 } else { at });
                self.begin(name);
                item
            }
            _ => {
                root.has_parts |= !tag.is_closing && matches!(name.as_str(), "Header" | "Body");
                None
            }
        }
    }

    fn tag_outside(&mut self, name: &str, is_closing: bool, is_empty: bool) -> Option<Item> {
        let is_root = ROOTS.contains(&name);
        if is_closing {
            self.in_rest &= !is_root;
            self.leave(name);
            return None;
        }
        if is_root {
            self.begin(name.to_owned());
            return is_empty.then(|| self.take(self.held.len()));
        }
        if ALERTS.contains(&name) && !self.in_rest {
            self.in_rest = true;
            let roots = "its opening tag is missing or broken (Response, GBCSResponse or SMETS1SignedResponse)";
            return Some(Err(LineError::new(self.line, "document", format!("{} is in none: {roots}", shown(name)))));
        }
        self.declared = None;
        if name.contains('\0') {
            if !self.in_rest {
                self.meet_other_encoding(0);
            }
            return None;
        }
        if !is_empty {
            self.enter(name);
        }
        let note = (self.line, format!("the element {}", shown(name)));
        self.outside.get_or_insert(note);
        None
    }

    /// An element around documents begins.
    fn enter(&mut self, name: &str) {
        match (self.stated.take(), &mut self.wrapper) {
            (Some(stated), _) => self.wrapper = Some(Wrapper { name: name.to_owned(), depth: 1, stated }),
            (None, Some(wrapper)) if wrapper.name == name => wrapper.depth += 1,
            _ => {}
        }
    }

    /// An element around documents ends.
    fn leave(&mut self, name: &str) {
        if let Some(wrapper) = self.wrapper.as_mut().filter(|wrapper| wrapper.name == name) {
            wrapper.depth -= 1;
            if wrapper.depth == 0 {
                self.wrapper = None;
            }
        }
    }

    /// The document at hand begins.
    fn begin(&mut self, name: String) {
        let line = self.declared.take().unwrap_or(self.line);
        self.root = Some(Root { name, line, has_parts: false });
        (self.in_rest, self.looked) = (false, self.held.len());
    }

    /// An XML declaration: the document at hand has been cut short.
    fn declaration(&mut self, at: usize) -> Option<Item> {
        let encoding = encoding::declared(&self.held[at..]);
        let item = self.root.is_some().then(|| self.take(at));
        (self.stated, self.declared, self.in_rest) = (Some(Stated(encoding)), Some(self.line), false);
        item
    }

    /// Takes the document at hand, which ends at a place.
    fn take(&mut self, end: usize) -> Item {
        let line = self.root.take().map_or(self.line, |root| root.line);
        let rest = self.held.split_off(end);
        let bytes = std::mem::replace(&mut self.held, rest);
        self.line += newlines(&bytes);
        self.looked = self.held.len();
        let stated = self.stated.take();
        if bytes.len() > self.bytes_max {
            return Err(self.too_long(line));
        }
        let encoding = self.encoding_of(stated, &bytes);
        Ok(Document { line, bytes, encoding })
    }

    /// The encoding of a document: as the caller says where it is not in the UTF-8 that it declares, as it states, or else as its wrapper
    /// does, unless it is UTF-8 all the same.
    fn encoding_of(&self, own: Option<Stated>, bytes: &[u8]) -> Option<Charset> {
        if let Some(own) = own.and_then(|stated| stated.0) {
            // The caller knows better, unless the document is in the UTF-8 that it declares.
            let is_as_declared = || own == Charset::UTF_8 && std::str::from_utf8(bytes).is_ok();
            return self.undeclared.filter(|_| !is_as_declared()).or(Some(own));
        }
        match self.wrapper.as_ref().and_then(|wrapper| wrapper.stated.0).filter(|_| own.is_none()) {
            Some(around) => self.undeclared.or(Some(around)).filter(|_| std::str::from_utf8(bytes).is_err()),
            None => self.undeclared,
        }
    }

    /// Gives up a document that is too long.
    fn give_up(&mut self) -> Item {
        let line = self.root.take().map_or(self.line, |root| root.line);
        let error = self.too_long(line);
        self.stated = None;
        self.read_again();
        self.in_rest = true;
        Err(error)
    }

    /// Forgets what is held; from behind the beginning of what is open it is read again, where that has no end.
    fn read_again(&mut self) {
        let open = self.open.take().filter(|(_, construct)| *construct != Construct::Tag && !self.is_second_look);
        let from = open.map_or(self.held.len(), |(at, _)| at + 1);
        let again = self.held.split_off(from);
        self.forget(self.held.len());
        self.looked = 0;
        if !again.is_empty() {
            let rest = self.again.get_ref()[self.again.position() as usize..].to_vec();
            self.again = Cursor::new([again, rest].concat());
            self.is_second_look = true;
        }
    }

    /// The input has ended.
    fn end(&mut self) -> Option<Item> {
        let begun = self.open.map(|(at, construct)| (self.line_at(at), construct));
        if let Some(Root { line, .. }) = self.root.take() {
            let item = match begun {
                Some((begins, construct)) if construct != Construct::Tag => {
                    let message = format!("it ends within {} that begins on line {begins}", construct.name());
                    Err(LineError::new(line, "document", message))
                }
                _ => {
                    let encoding = self.encoding_of(self.stated, &self.held);
                    Ok(Document { line, bytes: self.held.clone(), encoding })
                }
            };
            self.in_rest = true;
            self.read_again();
            return Some(item);
        }
        match begun {
            Some((begins, construct)) if construct != Construct::Tag && !self.is_second_look => {
                let message = format!("the input ends within {} that begins on line {begins}", construct.name());
                self.read_again();
                return Some(Err(LineError::new(begins, "document", message)));
            }
            _ => {}
        }
        self.open = None;
        self.take_text(self.held.len());
        self.ended = true;
        let (line, what) = self.outside.take().filter(|_| !self.found)?;
        self.text = None;
        let escaped = if what.contains("&lt;") { "; documents that are escaped as text are not read" } else { "" };
        let message = format!(
            "no document is in it (a Response, GBCSResponse or SMETS1SignedResponse): it begins with {what}{escaped}"
        );
        Some(Err(LineError::new(line, "document", message)))
    }

    fn forget(&mut self, to: usize) {
        self.line += newlines(&self.held[..to]);
        self.held.drain(..to);
        self.looked = self.looked.saturating_sub(to);
    }

    fn too_long(&self, line: u64) -> LineError {
        let max = self.bytes_max;
        let way_out = match max < DOCUMENT_BYTES_LIMIT {
            true => format!("; --document-bytes-max N reads longer ones, up to {DOCUMENT_BYTES_LIMIT}"),
            false if self.divided_by.is_empty() => String::new(),
            false => format!("; {}", self.divided_by),
        };
        LineError::new(line, "document", format!("longer than {max} bytes{way_out}"))
    }

    fn line_at(&self, at: usize) -> u64 {
        self.line + newlines(&self.held[..at.min(self.held.len())])
    }
}

/// Whether a byte may stand before a document: white space, or one of a mark of byte order.
fn is_blank(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, 0xEF | 0xBB | 0xBF)
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests;
