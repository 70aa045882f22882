//! One document as a tree of elements with their texts.
//!
//! It must not know what an element means. Invariants: depth is bounded, and what is held by the document's length; no entity
//! but the five of XML and numbered characters is resolved.

use quick_xml::{Reader, events::Event};

use super::{
    super::{said, shown},
    Wrong,
};

/// Elements within elements.
const DEPTH_MAX: usize = 64;
/// Elements of a document. Each takes some 100 bytes: without this bound a long document of short tags would take far more
/// memory than its bytes.
const ELEMENTS_MAX: usize = 512 << 10;

/// The elements of a document, each before what is in it.
pub(in crate::intake) struct Tree(Vec<Node>);

struct Node {
    /// Without its prefix.
    name: Box<str>,
    /// What stands in it beside other elements.
    text: String,
    /// The one attribute of it that counts.
    mark: Option<Box<str>>,
    parent: Option<u32>,
    /// Where what is in it ends.
    end: u32,
}

impl Tree {
    /// Reads a document that has one root.
    pub(super) fn read(document: &str) -> Result<Self, Wrong> {
        let wrong = |message: String| ("document", message);
        let mut reader = Reader::from_str(document);
        let mut nodes: Vec<Node> = Vec::new();
        let mut open: Vec<u32> = Vec::new();
        let mut roots = 0;
        loop {
            let at = reader.buffer_position();
            let event = reader.read_event().map_err(|error| wrong(format!("byte {at}: {}", said(&error))))?;
            match event {
                Event::Start(start) | Event::Empty(start) => {
                    let is_empty = document[..reader.buffer_position() as usize].ends_with("/>");
                    roots += u32::from(open.is_empty());
                    if open.len() == DEPTH_MAX {
                        return Err(wrong(format!("byte {at}: elements lie more than {DEPTH_MAX} deep")));
                    }
                    if nodes.len() == ELEMENTS_MAX {
                        return Err(wrong(format!(
                            "byte {at}: more than {ELEMENTS_MAX} elements; divide it into several documents"
                        )));
                    }
                    let name: Box<str> = start.local_name().as_ref().into();
                    let mark = mark(&name).and_then(|mark| attribute(&start, mark));
                    let number = nodes.len() as u32;
                    let parent = open.last().copied();
                    nodes.push(Node { name, text: String::new(), mark, parent, end: number + 1 });
                    if !is_empty {
                        open.push(number);
                    }
                }
                Event::End(_) => {
                    if let Some(number) = open.pop() {
                        nodes[number as usize].end = nodes.len() as u32;
                    }
                }
                Event::Text(text) => append(&mut nodes, &open, &text.xml10_content()),
                Event::CData(text) => append(&mut nodes, &open, &text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let character = match reference.resolve_char_ref().map_err(|error| wrong(said(&error)))? {
                        Some(character) => character,
                        None => predefined(&reference.xml10_content()).map_err(wrong)?,
                    };
                    append(&mut nodes, &open, character.encode_utf8(&mut [0; 4]));
                }
                Event::DocType(_) => return Err(wrong("a document type stands within it".to_owned())),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => break,
            }
        }
        match (open.last(), roots) {
            (Some(open), _) => Err(wrong(format!("it ends within {}", shown(&nodes[*open as usize].name)))),
            (None, 1) => Ok(Self(nodes)),
            (None, roots) => Err(wrong(format!("expected one root element, found {roots}"))),
        }
    }

    /// The root.
    pub(super) fn root(&self) -> Element<'_> {
        Element { tree: self, at: 0 }
    }
}

fn append(nodes: &mut [Node], open: &[u32], text: &str) {
    if let Some(number) = open.last() {
        nodes[*number as usize].text.push_str(text);
    }
}

/// The attribute that counts of an element.
fn mark(name: &str) -> Option<&'static str> {
    match name {
        "Timestamp" => Some("ClockStatus"),
        _ if name.ends_with("Rsp") => Some("MessageSuccess"),
        _ => None,
    }
}

fn attribute(start: &quick_xml::events::BytesStart<'_>, name: &str) -> Option<Box<str>> {
    let found = start.attributes().flatten().find(|found| found.key.local_name().as_ref() == name)?;
    Some(found.value.as_ref().into())
}

fn predefined(name: &str) -> Result<char, String> {
    match name {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        _ => Err(format!("the entity {} is not known", shown(name))),
    }
}

/// An element of a document.
#[derive(Clone, Copy)]
pub(super) struct Element<'t> {
    tree: &'t Tree,
    at: u32,
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<'t> Element<'t> {
    fn node(self) -> &'t Node {
        &self.tree.0[self.at as usize]
    }

    /// Its name without its prefix.
    pub(super) fn name(self) -> &'t str {
        &self.node().name
    }

    /// Its text, without blanks around it.
    pub(super) fn text(self) -> &'t str {
        self.node().text.trim()
    }

    /// Its attribute ClockStatus, which elements named Timestamp may have.
    pub(super) fn clock_status(self) -> Option<&'t str> {
        self.node().mark.as_deref().filter(|_| self.name() == "Timestamp")
    }

    /// Returns true for a parsed response that says that it is of a failure.
    pub(super) fn is_failure(self) -> bool {
        let success = self.node().mark.as_deref().filter(|_| self.name().ends_with("Rsp"));
        success.is_some_and(|success| matches!(success.trim(), "false" | "0"))
    }

    /// The element that it lies in.
    pub(super) fn parent(self) -> Option<Self> {
        self.node().parent.map(|at| Self { at, ..self })
    }

    /// The elements that lie directly in it.
    pub(super) fn children(self) -> impl Iterator<Item = Element<'t>> {
        let mut next = self.at + 1;
        std::iter::from_fn(move || {
            let child = (next < self.node().end).then_some(Element { at: next, ..self })?;
            next = child.node().end;
            Some(child)
        })
    }

    /// All elements that lie in it, however deep, in the order of the document.
    pub(super) fn descendants(self) -> impl Iterator<Item = Element<'t>> {
        (self.at + 1..self.node().end).map(move |at| Element { at, ..self })
    }

    /// The first child of a name.
    pub(super) fn child(self, name: &str) -> Option<Element<'t>> {
        self.children().find(|child| child.name() == name)
    }

    /// The first element of a name in it, however deep.
    pub(super) fn find(self, name: &str) -> Option<Element<'t>> {
        self.descendants().find(|element| element.name() == name)
    }

    /// The text of the first child of a name, where it has any.
    pub(super) fn child_text(self, name: &str) -> Option<&'t str> {
        self.child(name).map(Element::text).filter(|text| !text.is_empty())
    }

    /// Returns true if it lies in the other, however deep.
    pub(super) fn is_within(self, other: Self) -> bool {
        self.at > other.at && self.at < other.node().end
    }

    /// The nearest element around it that has one of these names.
    pub(super) fn within(self, names: &[&str]) -> Option<Element<'t>> {
        std::iter::successors(self.parent(), |element| element.parent()).find(|element| names.contains(&element.name()))
    }

    /// Returns true if no element lies in it.
    pub(super) fn is_leaf(self) -> bool {
        self.node().end == self.at + 1
    }
}
