//! Pages for a browser or a printer: one file that needs nothing beside itself.
//!
//! It must not know what a page is about. Invariants: no script, no request to anywhere, every text from elsewhere is
//! escaped, and what a chart shows stands in a table under it.
//!
//! It alone names maud: markup that is checked when it is compiled, and escapes every value unless it is told not to.
//! With templates in files of their own the compiler would see neither.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    table::{Value, thousands},
    view::clean,
};

mod chart;
pub(super) mod reconcile;
pub(super) mod report;

/// Characters of one cell.
const CELL_CHARS_MAX: usize = 2_000;

/// Readable on paper, on a phone, in the dark and without colours.
const STYLE: &str = include_str!("page/style.css");

/// Nothing is loaded, nothing is run, whatever a text holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// A whole page.
pub(super) fn document(title: &str, body: &Markup) -> String {
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

/// A table with a caption. Numbers stand to the right.
pub(super) fn table(caption: &str, headings: &[&str], rows: impl IntoIterator<Item = Vec<Value>>) -> Markup {
    let caption = clean(caption, CELL_CHARS_MAX);
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for heading in headings { th scope="col" { (clean(heading, CELL_CHARS_MAX)) } } } }
                tbody { @for row in rows { tr { @for value in row { (cell(value)) } } } }
            }
        }
    }
}

fn cell(value: Value) -> Markup {
    match value {
        Value::Number(number) => html! { td.number { (thousands(number)) } },
        Value::Quantity(text) => html! { td.number { (clean(&text, CELL_CHARS_MAX)) } },
        Value::Text(text) => html! { td { (clean(&text, CELL_CHARS_MAX)) } },
    }
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
