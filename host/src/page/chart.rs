//! Pictures that a screen reader can say, drawn twice: for a wide window, and for a phone.
//!
//! It must not know what is measured. Invariants: a length is what its number says, to the tenth of a pixel; a picture
//! has a title and a description; its numbers stand in a table beside it.

use maud::{Markup, html};

use crate::cli::{table::thousands, view::clean};

mod bars;
mod columns;
mod curve;

pub(super) use bars::{BARS_MAX, Bar, bars};
pub(super) use columns::{Column, columns};
pub(super) use curve::{Band, Curve, Point, curve};

/// Characters of a label that have room.
const LABEL_CHARS_MAX: usize = 34;

/// What a picture is drawn for. Text is as large on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Wide,
    Narrow,
}

impl Shape {
    fn class(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
        }
    }

    fn width(self) -> u64 {
        match self {
            Self::Wide => 960,
            Self::Narrow => 360,
        }
    }
}

/// A picture; `id` is its own on the page, `parts` are its colours, each a class of the style sheet, and what they are called.
struct Picture<'a> {
    id: &'a str,
    title: &'a str,
    parts: &'a [(&'static str, &'a str)],
    description: String,
    /// Something in it leads somewhere.
    has_links: bool,
}

impl Picture<'_> {
    /// Draws it: `draw` gives its height and what is in it.
    fn draw(&self, draw: impl Fn(Shape) -> (u64, Markup)) -> Markup {
        html! {
            figure {
                figcaption {
                    span.title { (self.title) }
                    @for (class, part) in self.parts {
                        span.part { span.key.(class) aria-hidden="true" {} (part) }
                    }
                }
                @for shape in [Shape::Wide, Shape::Narrow] { (self.drawn(shape, draw(shape))) }
            }
        }
    }

    fn drawn(&self, shape: Shape, (height, inside): (u64, Markup)) -> Markup {
        let (id, class) = (self.id, shape.class());
        let ids = format!("{id}-{class}-title {id}-{class}-text");
        // What is in an image is not told apart, so links would be lost there.
        let role = if self.has_links { "group" } else { "img" };
        html! {
            svg.(class) viewBox=(format!("0 0 {} {height}", shape.width())) role=(role) aria-labelledby=(ids) {
                title id=(format!("{id}-{class}-title")) { (self.title) }
                desc id=(format!("{id}-{class}-text")) { (self.description) }
                (inside)
            }
        }
    }
}

/// Two parts in the colours that two parts have.
fn both([first, second]: [&str; 2]) -> [(&'static str, &str); 2] {
    [("first", first), ("second", second)]
}

/// A number's length in tenths of a pixel, where the most has `room` pixels.
fn tenths(number: u64, most: u64, room: u64) -> u64 {
    let length = u128::from(number) * u128::from(room * 10) / u128::from(most.max(1));
    u64::try_from(length).unwrap_or(room * 10)
}

fn pixels(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The least round number that is no less, and whose quarters are round enough.
fn round(most: u64) -> u64 {
    let mut unit = 1_u64;
    while let Some(next) = unit.checked_mul(10) {
        if let Some(tenths) = [10, 12, 16, 20, 24, 32, 40, 60, 80]
            .into_iter()
            .find(|tenths| u128::from(most) * 10 <= u128::from(unit) * tenths)
        {
            return u64::try_from(u128::from(unit) * tenths / 10).unwrap_or(most).max(most).max(4);
        }
        unit = next;
    }
    most
}

/// Lines across a picture at quarters of its height, with their numbers to the left.
fn grid(top: u64, height: u64, left: u64, right: u64, most: u64) -> Markup {
    html! {
        @for quarter in 0..=4_u64 {
            @let y = top + height * (4 - quarter) / 4;
            line.grid x1=(left) x2=(right) y1=(y) y2=(y) {}
            @if (most * quarter).is_multiple_of(4) {
                text.soft x=(left - 6) y=(y + 4) text-anchor="end" { (thousands(most / 4 * quarter + most % 4 * quarter / 4)) }
            }
        }
    }
}

fn short(text: &str) -> String {
    clean(text, LABEL_CHARS_MAX)
}

/// Something that leads somewhere, where it does.
fn linked(href: Option<String>, label: &str, inside: Markup) -> Markup {
    match href {
        Some(href) => html! { a href=(href) aria-label=(clean(label, 200)) { (inside) } },
        None => inside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_what_its_number_says() {
        assert_eq!((tenths(50, 100, 410), tenths(100, 100, 410), tenths(0, 0, 410)), (2_050, 4_100, 0));
        assert_eq!(tenths(u64::MAX, u64::MAX, 410), 4_100);
    }

    #[test]
    fn a_scale_ends_at_a_round_number() {
        for (most, end) in [(0, 4), (3, 4), (5, 6), (6, 6), (11, 12), (21, 24), (5_779, 6_000), (7_000_000, 8_000_000)]
        {
            assert_eq!(round(most), end, "{most}");
        }
        assert!(round(u64::MAX) == u64::MAX);
    }
}
