//! Reads documents one after the other, and hands out the items that a caller makes of each.
//!
//! Invariant: what is wrong with one item, or with a whole document, costs no other.

use std::{collections::VecDeque, io::BufRead};

use super::{
    Wrong,
    documents::{Document, Documents},
    encoding,
    header::Notices,
    tree::Tree,
};
use crate::intake::{LineError, text::Encoding};

/// The items of documents.
pub(super) struct Items<R, T> {
    /// On the heap: it is far larger than what reads other formats.
    documents: Box<Documents<R>>,
    /// Items of the document read last that were not handed out, and what is wrong with single ones of them.
    ready: VecDeque<Result<T, LineError>>,
    line: u64,
    notices: VecDeque<LineError>,
}

impl<R: BufRead, T> Items<R, T> {
    /// Takes documents of at most `bytes_max` bytes; nothing is read yet. `encoding` is that of documents that state none.
    pub(super) fn new(reader: R, bytes_max: usize, encoding: Option<Encoding>) -> Self {
        let documents = Box::new(Documents::new(reader, bytes_max, encoding));
        Self { documents, ready: VecDeque::new(), line: 0, notices: VecDeque::new() }
    }

    /// Says how what is too long for one document is divided, where a longer one cannot be read.
    pub(super) fn divided_by(self, how: &'static str) -> Self {
        Self { documents: Box::new(self.documents.divided_by(how)), ..self }
    }

    /// Returns the line on which the document of the last item begins.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Returns the next remark: something noteworthy that loses no data. Call it after each item and at the end.
    pub(super) fn remark(&mut self) -> Option<LineError> {
        self.notices.pop_front().or_else(|| self.documents.passed_over())
    }

    /// Returns the next item. `take` makes items of a document, given as a tree and as text; its error is one of the whole
    /// document, and comes before the items.
    pub(super) fn next(
        &mut self,
        mut take: impl FnMut(&Tree, &str, Notices<'_>, &mut Vec<Result<T, Wrong>>) -> Result<(), Wrong>,
    ) -> Option<Result<T, LineError>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let document = match self.documents.next()? {
                Ok(document) => document,
                Err(error) => {
                    self.line = error.line;
                    return Some(Err(error));
                }
            };
            let line = document.line;
            self.line = line;
            let notices = &mut self.notices;
            let mut notice = |field: &str, message: String| notices.push_back(LineError::new(line, field, message));
            let mut items = Vec::new();
            let taken = with_tree(&document, |tree, text| take(tree, text, &mut notice, &mut items));
            let wrong = |(field, message): Wrong| LineError::new(line, field, message);
            self.ready.extend(items.into_iter().map(|item| item.map_err(wrong)));
            if let Err(error) = taken {
                return Some(Err(wrong(error)));
            }
        }
    }
}

fn with_tree(document: &Document, take: impl FnOnce(&Tree, &str) -> Result<(), Wrong>) -> Result<(), Wrong> {
    let text = encoding::text(&document.bytes, document.encoding).map_err(|why| ("document", why))?;
    let text = encoding::without_doubled_quotes(text);
    take(&Tree::read(&text)?, &text)
}
