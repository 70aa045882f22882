//! Pages for a browser or a printer: what they look like, whether the program prints one as a file that needs nothing
//! beside itself or serves it.
//!
//! It must not know where what it shows came from, nor how a page is asked for. Invariants: no request to anywhere else,
//! every text from elsewhere is escaped, and what a chart shows stands in a table under it.
//!
//! It alone names maud: markup that is checked when it is compiled, and escapes every value unless it is told not to.
//! With templates in files of their own the compiler would see neither.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use address::Address;

use crate::{
    cli::{
        table::{Value, thousands},
        view::{clean, percent},
    },
    domain::Millis,
};

pub(crate) mod address;
pub(crate) mod assets;
mod chart;
pub(crate) mod device;
pub(crate) mod devices;
pub(crate) mod frame;
pub(crate) mod levels;
pub(crate) mod reconcile;
pub(crate) mod report;
pub(crate) mod reports;
pub(crate) mod rule;
pub(crate) mod rules;
pub(crate) mod sign_in;
pub(crate) mod what_if;
pub(crate) mod what_ifs;

/// Characters of one cell.
const CELL_CHARS_MAX: usize = 2_000;

/// Text of so many characters stands on one line where there is room to move it sideways.
const SHORT_CHARS_MAX: usize = 48;

/// Readable on paper, on a phone, in the dark and without colours.
const STYLE: &str = include_str!("page/style.css");

/// Nothing is loaded, nothing is run, whatever a text holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// A whole page.
pub(crate) fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (clean(title, CELL_CHARS_MAX)) }
                // The only text that is not escaped: it is this program's own.
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    };
    page.into_string()
}

/// What stands in a cell of a page's table.
pub(crate) enum Cell {
    /// What may stand in any table.
    Plain(Value),
    /// Text that leads somewhere.
    Link(String, Address),
    /// A word that has a colour of its own, by a class of the style sheet.
    Word(&'static str, &'static str),
}

impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        Self::Plain(value)
    }
}

impl Cell {
    /// Text from wherever.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Plain(Value::text(text))
    }

    /// Whether it stands to the right.
    fn is_number(&self) -> bool {
        matches!(self, Self::Plain(Value::Number(_) | Value::Quantity(_)))
    }

    /// A number.
    pub(crate) fn number(number: impl Into<u64>) -> Self {
        Self::Plain(Value::Number(number.into()))
    }
}

/// A table with a caption. Numbers stand to the right.
pub(crate) fn table<C: Into<Cell>>(caption: &str, headings: &[&str], rows: impl IntoIterator<Item = Vec<C>>) -> Markup {
    let caption = clean(caption, CELL_CHARS_MAX);
    let rows: Vec<Vec<Cell>> = rows.into_iter().map(|row| row.into_iter().map(Into::into).collect()).collect();
    let is_number = |at: usize| rows.iter().any(|row| row.get(at).is_some_and(Cell::is_number));
    let headings: Vec<(&str, bool)> = headings.iter().enumerate().map(|(at, text)| (*text, is_number(at))).collect();
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for (heading, is_number) in headings {
                    th class=[is_number.then_some("number")] scope="col" { (clean(heading, CELL_CHARS_MAX)) }
                } } }
                tbody { @for row in rows { tr { @for value in row { (cell(value)) } } } }
            }
        }
    }
}

fn cell(cell: Cell) -> Markup {
    match cell {
        Cell::Plain(Value::Number(number)) => html! { td.number { (thousands(number)) } },
        Cell::Plain(Value::Quantity(text)) => html! { td.number { (clean(&text, CELL_CHARS_MAX)) } },
        Cell::Plain(Value::Text(text)) if text.chars().count() > SHORT_CHARS_MAX => {
            html! { td.long { (clean(&text, CELL_CHARS_MAX)) } }
        }
        Cell::Plain(Value::Text(text)) => html! { td { (clean(&text, CELL_CHARS_MAX)) } },
        Cell::Link(text, address) => html! { td { a href=(address) { (clean(&text, CELL_CHARS_MAX)) } } },
        Cell::Word(class, word) => html! { td { span.word.(class) { (word) } } },
    }
}

/// One thing, a line for each of its facts.
fn facts<N: maud::Render>(facts: impl IntoIterator<Item = (N, Markup)>) -> Markup {
    html! { dl.facts { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } } }
}

/// Text from elsewhere.
fn text(text: &str) -> Markup {
    html! { (clean(text, CELL_CHARS_MAX)) }
}

/// Numbers that say the most, large.
fn tiles(tiles: &[(&str, u64, String)]) -> Markup {
    html! {
        dl.tiles {
            @for (name, number, note) in tiles {
                div { dt { (name) } dd { (thousands(*number)) } @if !note.is_empty() { dd.note { (note) } } }
            }
        }
    }
}

/// Choices of which one is made, each a link.
fn choices<'a>(name: &str, choices: impl IntoIterator<Item = (&'a str, Address, bool)>) -> Markup {
    html! {
        nav.choices aria-label=(name) {
            @for (word, address, chosen) in choices {
                a href=(address) aria-current=[chosen.then_some("true")] { (word) }
            }
        }
    }
}

/// A time to the minute, in UTC.
fn minute(ms: Millis) -> String {
    let time = jiff::Timestamp::from_millisecond(ms);
    time.map_or_else(|_| format!("{ms} ms"), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_text_and_nothing_more() {
        let hostile = "</td><script>alert('x')</script>\" onload=\"y\u{202e}&amp;<svg/onload=z>";
        let rows = [vec![Value::text(hostile), Value::Quantity(hostile.into()), Value::Number(1_234)]];
        let page = document(hostile, &table(hostile, &[hostile, "count"], rows));
        assert!(!page.contains("<script") && !page.contains("<svg") && !page.contains("onload=\"y"), "{page}");
        assert!(
            page.contains("&lt;/td&gt;&lt;script&gt;alert('x')&lt;/script&gt;&quot; onload=&quot;y\u{FFFD}&amp;amp;")
        );
        assert!(page.contains("<td class=\"number\">1,234</td>"));
        assert!(!page.contains('\u{202e}'));
    }
}
