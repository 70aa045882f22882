//! Columns that stand, one beside the other: what is compared are stretches of time.
//!
//! It must not know what is measured. Invariant: a stretch in which nothing happened has its place, too.

use maud::{Markup, html};

use super::{Picture, Shape, both, grid, pixels, round, tenths};
use crate::cli::table::thousands;

const HEIGHT: u64 = 240;
const TOP: u64 = 12;
const FOOT: u64 = 28;
const RIGHT: u64 = 12;

/// One column of two parts.
pub(crate) struct Column {
    /// Under it, where there is room; empty for none.
    pub(crate) label: String,
    /// In full.
    pub(crate) name: String,
    pub(crate) first: u64,
    pub(crate) second: u64,
}

/// A picture of columns, in the order of time.
pub(crate) fn columns(id: &str, title: &str, parts: [&str; 2], columns: &[Column]) -> Markup {
    let most = round(columns.iter().map(|column| column.first + column.second).max().unwrap_or(0));
    let parts_shown = both(parts);
    let picture =
        Picture { id, title, parts: &parts_shown, description: description(parts, columns), has_links: false };
    picture.draw(|shape| {
        let (left, labels_max) = match shape {
            Shape::Wide => (84, 12),
            Shape::Narrow => (70, 4),
        };
        let (width, height) = (shape.width() - left - RIGHT, HEIGHT - TOP - FOOT);
        let labelled: Vec<usize> = (0..columns.len()).filter(|nth| !columns[*nth].label.is_empty()).collect();
        let every = labelled.len().div_ceil(labels_max).max(1);
        let place = |nth: usize| left * 10 + nth as u64 * width * 10 / (columns.len() as u64).max(1);
        let inside = html! {
            (grid(TOP, height, left, left + width, most))
            @for (nth, column) in columns.iter().enumerate() {
                @let (x, next) = (place(nth), place(nth + 1));
                @let gap = if next - x >= 40 { 10 } else { 0 };
                @let (first, second) = (tenths(column.first, most, height), tenths(column.second, most, height));
                @let base = (TOP + height) * 10;
                g {
                    title { (said(parts, column)) }
                    rect.hit x=(pixels(x)) y=(TOP) width=(pixels(next - x)) height=(height) {}
                    rect.first x=(pixels(x)) y=(pixels(base - first)) width=(pixels(next - x - gap)) height=(pixels(first)) {}
                    rect.second x=(pixels(x)) y=(pixels(base - first - second)) width=(pixels(next - x - gap)) height=(pixels(second)) {}
                }
            }
            @for nth in labelled.iter().step_by(every) {
                text.soft x=(pixels(place(*nth))) y=(HEIGHT - 8) { (columns[*nth].label) }
            }
        };
        (HEIGHT, inside)
    })
}

fn said([first, second]: [&str; 2], column: &Column) -> String {
    format!("{}: {} {first}, {} {second}", column.name, thousands(column.first), thousands(column.second))
}

fn description(parts: [&str; 2], columns: &[Column]) -> String {
    let highest = columns.iter().max_by_key(|column| column.first + column.second);
    let highest = highest.map(|column| format!("The highest is {}. ", said(parts, column))).unwrap_or_default();
    format!("{} columns. {highest}The table below has the same numbers.", columns.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_their_place_and_the_highest_is_said() {
        let column = |name: &str, first, second| Column { label: name.into(), name: name.into(), first, second };
        let svg = columns("hours", "By hour", ["a", "b"], &[column("09:00", 0, 0), column("10:00", 30, 70)]);
        let svg = svg.into_string();
        assert!(svg.contains("2 columns. The highest is 10:00: 30 a, 70 b."), "{svg}");
        // 200 pixels are 100 alerts: 30 from the foot, and 70 on top of them.
        assert!(svg.contains("y=\"152.0\" width=\"431.0\" height=\"60.0\""), "{svg}");
        assert!(svg.contains("y=\"12.0\" width=\"431.0\" height=\"140.0\""), "{svg}");
        assert!(svg.contains("height=\"0.0\""), "nothing has a place too");
    }
}
