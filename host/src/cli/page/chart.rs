//! Bars, as a picture that a screen reader can say.
//!
//! It must not know what is measured. Invariants: a bar is as long as its number says, to the tenth of a pixel; a picture
//! has a title and a description; its numbers stand in a table beside it.

use maud::{Markup, html};

use crate::cli::{table::thousands, view::clean};

const WIDTH: u64 = 720;
const LABEL_WIDTH: u64 = 200;
const NUMBER_WIDTH: u64 = 110;
const ROW_HEIGHT: u64 = 24;
const BAR_HEIGHT: u64 = 16;

/// Characters of a label that have room.
const LABEL_CHARS_MAX: usize = 28;

/// Bars of one picture.
pub(super) const BARS_MAX: usize = 40;

/// One bar of two parts.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) first: u64,
    pub(super) second: u64,
}

/// A picture of bars; `id` is its own on the page, `parts` are what the two parts are called.
pub(super) fn bars(id: &str, title: &str, parts: [&str; 2], bars: &[Bar]) -> Markup {
    let bars = &bars[..bars.len().min(BARS_MAX)];
    let most = bars.iter().map(|bar| bar.first + bar.second).max().unwrap_or(0);
    let height = bars.len() as u64 * ROW_HEIGHT + 8;
    let (title_id, text_id) = (format!("{id}-title"), format!("{id}-text"));
    let [first, second] = parts;
    html! {
        figure {
            figcaption {
                (title) ": "
                span."key first" aria-hidden="true" {} (first)
                span."key second" aria-hidden="true" {} (second)
            }
            svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-labelledby=(format!("{title_id} {text_id}")) {
                title id=(title_id) { (title) }
                desc id=(text_id) { (description(parts, bars)) }
                line.axis x1=(LABEL_WIDTH) y1="0" x2=(LABEL_WIDTH) y2=(height) {}
                @for (nth, bar) in bars.iter().enumerate() { (row(nth as u64 * ROW_HEIGHT, bar, most)) }
            }
        }
    }
}

fn row(top: u64, bar: &Bar, most: u64) -> Markup {
    let room = WIDTH - LABEL_WIDTH - NUMBER_WIDTH;
    let first = tenths(bar.first, most, room);
    let second = tenths(bar.second, most, room);
    let text_y = top + 16;
    html! {
        text x=(LABEL_WIDTH - 6) y=(text_y) text-anchor="end" { (clean(&bar.label, LABEL_CHARS_MAX)) }
        rect.first x=(LABEL_WIDTH) y=(top + 4) width=(pixels(first)) height=(BAR_HEIGHT) {}
        rect.second x=(pixels(LABEL_WIDTH * 10 + first)) y=(top + 4) width=(pixels(second)) height=(BAR_HEIGHT) {}
        text x=(pixels(LABEL_WIDTH * 10 + first + second + 60)) y=(text_y) { (thousands(bar.first + bar.second)) }
    }
}

/// A number's length in tenths of a pixel, where the most has `room` pixels.
fn tenths(number: u64, most: u64, room: u64) -> u64 {
    let length = u128::from(number) * u128::from(room * 10) / u128::from(most.max(1));
    u64::try_from(length).unwrap_or(room * 10)
}

fn pixels(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
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
    fn a_bar_is_as_long_as_its_number() {
        assert_eq!((tenths(50, 100, 410), tenths(100, 100, 410), tenths(0, 0, 410)), (2_050, 4_100, 0));
        assert_eq!(tenths(u64::MAX, u64::MAX, 410), 4_100);
    }

    #[test]
    fn a_picture_says_what_it_shows_and_obeys_no_label() {
        let hostile = Bar { label: "</text><script>x</script>".into(), first: 3_000, second: 1_000 };
        let svg = bars("days", "By day", ["forwarded", "suppressed"], &[hostile]).into_string();
        assert!(svg.contains("role=\"img\" aria-labelledby=\"days-title days-text\""), "{svg}");
        assert!(svg.contains("3,000 forwarded, 1,000 suppressed") && svg.contains(">4,000</text>"));
        assert!(!svg.contains("<script"));
    }
}
