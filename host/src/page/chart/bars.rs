//! Bars that lie, one below the other: what is compared has names.
//!
//! It must not know what is measured. Invariant: the longest bar has all the room there is.

use maud::{Markup, html};

use super::{LABEL_CHARS_MAX, Picture, Shape, both, linked, pixels, short, tenths};
use crate::{
    cli::{table::thousands, view::clean},
    page::address::Address,
};

/// Room for a label beside its bar, and for the number after it.
const LABEL_WIDTH: u64 = 264;
const NUMBER_WIDTH: u64 = 100;
const BAR_HEIGHT: u64 = 16;

/// Bars of one picture.
pub(crate) const BARS_MAX: usize = 40;

/// One bar of two parts.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) first: u64,
    pub(crate) second: u64,
    /// Where it leads.
    pub(crate) address: Option<Address>,
}

/// A picture of bars.
pub(crate) fn bars(id: &str, title: &str, parts: [&str; 2], bars: &[Bar]) -> Markup {
    let bars = &bars[..bars.len().min(BARS_MAX)];
    let most = bars.iter().map(|bar| bar.first + bar.second).max().unwrap_or(0);
    let has_links = bars.iter().any(|bar| bar.address.is_some());
    let parts_shown = both(parts);
    let picture = Picture { id, title, parts: &parts_shown, description: description(parts, bars), has_links };
    picture.draw(|shape| {
        let (row_height, label_width) = match shape {
            Shape::Wide => (24, LABEL_WIDTH),
            // The label has a line of its own.
            Shape::Narrow => (42, 0),
        };
        let height = bars.len() as u64 * row_height + 8;
        let inside = html! {
            @if shape == Shape::Wide { line.axis x1=(label_width) y1="0" x2=(label_width) y2=(height) {} }
            @for (nth, bar) in bars.iter().enumerate() {
                (linked(bar.address.as_ref().map(Address::to_string), &bar.label, row(shape, nth as u64 * row_height, bar, most)))
            }
        };
        (height, inside)
    })
}

fn row(shape: Shape, top: u64, bar: &Bar, most: u64) -> Markup {
    let (left, bar_top, label_x, anchor) = match shape {
        Shape::Wide => (LABEL_WIDTH, top + 4, LABEL_WIDTH - 6, "end"),
        Shape::Narrow => (0, top + 20, 0, "start"),
    };
    let room = shape.width() - left - NUMBER_WIDTH;
    let (first, second) = (tenths(bar.first, most, room), tenths(bar.second, most, room));
    html! {
        text x=(label_x) y=(top + 16) text-anchor=(anchor) { (short(&bar.label)) }
        rect.first x=(left) y=(bar_top) width=(pixels(first)) height=(BAR_HEIGHT) {}
        rect.second x=(pixels(left * 10 + first)) y=(bar_top) width=(pixels(second)) height=(BAR_HEIGHT) {}
        text x=(pixels(left * 10 + first + second + 60)) y=(bar_top + 12) { (thousands(bar.first + bar.second)) }
    }
}

fn description([first, second]: [&str; 2], bars: &[Bar]) -> String {
    let said = bars.iter().map(|bar| {
        let label = clean(&bar.label, LABEL_CHARS_MAX);
        format!("{label}: {} {first}, {} {second}", thousands(bar.first), thousands(bar.second))
    });
    format!("{} bars. {}. The table below has the same numbers.", bars.len(), said.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_says_what_it_shows_and_obeys_no_label() {
        let hostile = || Bar { label: "</text><script>x</script>".into(), first: 3_000, second: 1_000, address: None };
        let svg = bars("days", "By day", ["forwarded", "suppressed"], &[hostile()]).into_string();
        for shape in ["wide", "narrow"] {
            let named = format!("role=\"img\" aria-labelledby=\"days-{shape}-title days-{shape}-text\"");
            assert!(svg.contains(&named), "{svg}");
        }
        assert!(svg.contains("3,000 forwarded, 1,000 suppressed") && svg.contains(">4,000</text>"));
        assert!(!svg.contains("<script"));
        let leads = Bar { address: Some(Address::new("/").with("code", "\"><script>")), ..hostile() };
        let svg = bars("days", "By day", ["a", "b"], &[leads]).into_string();
        assert!(svg.contains("role=\"group\"") && svg.contains("<a href=\"/?code=%22%3E%3Cscript%3E\""), "{svg}");
    }
}
