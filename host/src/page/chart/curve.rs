//! A line over a number that can be chosen, like a threshold, and below the line what is not decided.
//!
//! It must not know what is chosen. Invariant: a point stands where its two numbers say, whatever lies between it and the
//! next; a band is as deep as its number says, below the line or below the band before it.

use maud::{Markup, html};

use super::{Picture, Shape, grid, linked, pixels, round, tenths};
use crate::{cli::table::thousands, page::address::Address};

const HEIGHT: u64 = 300;
const TOP: u64 = 44;
const FOOT: u64 = 44;
const RIGHT: u64 = 12;
/// Between the scale and the first point, and after the last: room for what stands above them.
const INSET: u64 = 28;

/// One value that was tried.
pub(crate) struct Point {
    pub(crate) x: i64,
    pub(crate) y: u64,
    /// Where it leads.
    pub(crate) address: Address,
    /// It is the one that is shown.
    pub(crate) chosen: bool,
}

/// How many of the outcome are not decided, for one reason.
pub(crate) struct Band<'a> {
    /// The reason.
    pub(crate) name: &'a str,
    /// Drawn in stripes, not in one colour.
    pub(crate) is_striped: bool,
    /// How many, for each point.
    pub(crate) depths: Vec<u64>,
}

/// A curve.
pub(crate) struct Curve<'a> {
    pub(crate) id: &'a str,
    pub(crate) title: &'a str,
    /// What is chosen, and what comes of it.
    pub(crate) axes: [&'a str; 2],
    /// By `x`.
    pub(crate) points: &'a [Point],
    /// What is now: its name, and how much comes of it.
    pub(crate) level: (&'a str, u64),
    /// A value that stands out: its name, and the value.
    pub(crate) mark: Option<(&'a str, i64)>,
    /// What the line says where bands are below it.
    pub(crate) line: &'a str,
    /// What is not decided, from the line down. All the rest below them is sure.
    pub(crate) bands: &'a [Band<'a>],
}

/// Draws it.
pub(crate) fn curve(curve: &Curve<'_>) -> Markup {
    let Curve { id, title, axes, points, level: (level_name, level), mark, line: line_name, bands } = *curve;
    let most = round(points.iter().map(|point| point.y).chain([level]).max().unwrap_or(0));
    let values = points.iter().map(|point| point.x).chain(mark.map(|(_, x)| x));
    let (low, high) = values.fold((i64::MAX, i64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    let across = high.abs_diff(low).max(1);
    let mut parts = Vec::new();
    if !bands.is_empty() {
        parts.push(("line", line_name));
        parts.extend(bands.iter().map(|band| (if band.is_striped { "stripes" } else { "band" }, band.name)));
    }
    let picture = Picture { id, title, parts: &parts, description: description(curve), has_links: true };
    picture.draw(|shape| {
        let (left, labels_max) = match shape {
            Shape::Wide => (84, 16),
            Shape::Narrow => (70, 4),
        };
        let (width, height) = (shape.width() - left - RIGHT, HEIGHT - TOP - FOOT);
        let x_of = |x: i64| pixels((left + INSET) * 10 + tenths(x.abs_diff(low), across, width - 2 * INSET));
        let y_of = |y: u64| pixels((TOP + height) * 10 - tenths(y, most, height));
        let every = points.len().div_ceil(labels_max).max(1);
        let line: Vec<String> = points.iter().map(|point| format!("{},{}", x_of(point.x), y_of(point.y))).collect();
        let inside = html! {
            (grid(TOP, height, left, left + width, most))
            line.level x1=(left) x2=(left + width) y1=(y_of(level)) y2=(y_of(level)) {}
            text.level x=(left + 4) y=(pixels((TOP + height) * 10 + 150 - tenths(level, most, height))) {
                (level_name) ": " (thousands(level))
            }
            @if let Some((name, x)) = mark {
                line.mark x1=(x_of(x)) x2=(x_of(x)) y1=(TOP - 20) y2=(TOP + height) {}
                @let anchor = if x == low { "start" } else if x == high { "end" } else { "middle" };
                text.mark x=(x_of(x)) y=(TOP - 26) text-anchor=(anchor) { (name) ": " (x) }
            }
            @for (nth, band) in bands.iter().enumerate() {
                @let edge = |nth: usize| points.iter().enumerate().map(move |(at, point)| {
                    format!("{},{}", x_of(point.x), y_of(point.y.saturating_sub(above(bands, nth, at))))
                });
                @let outline = edge(nth).chain(edge(nth + 1).rev()).collect::<Vec<_>>().join(" ");
                @if band.is_striped {
                    @let stripes = format!("{id}-{}-stripes", shape.class());
                    // A style sheet could not tell the stripes of one picture from those of another.
                    defs { pattern id=(stripes) width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                        line.stripe x1="1" x2="1" y1="0" y2="6" {}
                    } }
                    polygon.stripes points=(outline) fill=(format!("url(#{stripes})")) {}
                } @else {
                    polygon.band points=(outline) {}
                }
            }
            polyline.curve points=(line.join(" ")) {}
            @for (nth, point) in points.iter().enumerate() {
                @let said = format!("{} {}: {} {}{}", axes[0], point.x, thousands(point.y), axes[1], undecided(bands, nth));
                (linked(Some(point.address.to_string()), &said, html! {
                    title { (said) }
                    circle.hit cx=(x_of(point.x)) cy=(y_of(point.y)) r="16" {}
                    circle.point.chosen[point.chosen] cx=(x_of(point.x)) cy=(y_of(point.y)) r="6" {}
                }))
                @if points.len() <= labels_max || point.chosen {
                    text x=(x_of(point.x)) y=(pixels((TOP + height) * 10 - tenths(point.y, most, height) - 120)) text-anchor="middle" { (thousands(point.y)) }
                }
                @if nth.is_multiple_of(every) || point.chosen {
                    text.soft x=(x_of(point.x)) y=(TOP + height + 18) text-anchor="middle" { (point.x) }
                }
            }
            text.soft x=(left + width / 2) y=(HEIGHT - 8) text-anchor="middle" { (axes[0]) }
        };
        (HEIGHT, inside)
    })
}

/// How far below the line the top of a band is at a point; of one band more than there are: the bottom of the last.
fn above(bands: &[Band<'_>], nth: usize, point: usize) -> u64 {
    bands.iter().take(nth).map(|band| band.depths.get(point).copied().unwrap_or(0)).sum()
}

/// What is not decided at a point.
fn undecided(bands: &[Band<'_>], point: usize) -> String {
    let said =
        |band: &Band<'_>| format!(", {}: {}", band.name, thousands(band.depths.get(point).copied().unwrap_or(0)));
    bands.iter().map(said).collect()
}

fn description(curve: &Curve<'_>) -> String {
    let [chosen, outcome] = curve.axes;
    let said = curve.points.iter().enumerate();
    let said = said.map(|(nth, point)| format!("at {} {}{}", point.x, thousands(point.y), undecided(curve.bands, nth)));
    let line = match curve.bands {
        [] => String::new(),
        _ => format!("The line is {}; the bands below it are not decided. ", curve.line),
    };
    let mark = curve.mark.map(|(name, x)| format!("{name}: {x}. ")).unwrap_or_default();
    format!(
        "{outcome} by {chosen}: {}. {}: {}. {mark}{line}Each point leads to what would change there. The table below has \
         the same numbers.",
        said.collect::<Vec<_>>().join("; "),
        curve.level.0,
        thousands(curve.level.1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_nothing() -> Curve<'static> {
        let (axes, level) = (["n", "forwarded"], ("as it was", 25));
        Curve { id: "c", title: "t", axes, points: &[], level, mark: None, line: "the most", bands: &[] }
    }

    #[test]
    fn a_point_stands_where_its_numbers_say_and_leads_on() {
        let point =
            |x: i64, y, chosen| Point { x, y, address: Address::new("/w").with("variant", &x.to_string()), chosen };
        let points = [point(-10, 0, false), point(0, 50, false), point(10, 100, true)];
        let drawn = Curve { points: &points, mark: Some(("live now", 0)), ..of_nothing() };
        let svg = curve(&drawn).into_string();
        // From 112 to 920 across, from 256 up to 44.
        assert!(svg.contains("points=\"112.0,256.0 516.0,150.0 920.0,44.0\""), "{svg}");
        assert!(svg.contains("<line class=\"mark\" x1=\"516.0\"") && svg.contains("live now: 0"), "{svg}");
        assert!(svg.contains("<a href=\"/w?variant=-10\" aria-label=\"n -10: 0 forwarded\">"), "{svg}");
        assert_eq!(svg.matches("point chosen").count(), 2, "once in each of the two");
        assert!(svg.contains("as it was: 25. live now: 0. "), "{svg}");
    }

    #[test]
    fn bands_are_below_the_line_look_different_and_are_said() {
        let point = |x: i64, y| Point { x, y, address: Address::new("/w"), chosen: false };
        let points = [point(0, 100), point(10, 100)];
        let band = |name, is_striped, depths: [u64; 2]| Band { name, is_striped, depths: depths.to_vec() };
        let bands = [band("straddles", false, [0, 25]), band("no reading", true, [50, 25])];
        let drawn = Curve { points: &points, bands: &bands, ..of_nothing() };
        let svg = curve(&drawn).into_string();
        // 212 pixels are 100: what straddles is 53 deep at its end, and begins with nothing.
        assert!(
            svg.contains("<polygon class=\"band\" points=\"112.0,44.0 920.0,44.0 920.0,97.0 112.0,44.0\">"),
            "{svg}"
        );
        let outline = "points=\"112.0,44.0 920.0,97.0 920.0,150.0 112.0,150.0\"";
        assert!(svg.contains(&format!("<polygon class=\"stripes\" {outline} fill=\"url(#c-wide-stripes)\">")), "{svg}");
        for id in ["c-wide-stripes", "c-narrow-stripes"] {
            assert_eq!(svg.matches(&format!("<pattern id=\"{id}\"")).count(), 1, "{svg}");
        }
        for (class, name) in [("line", "the most"), ("band", "straddles"), ("stripes", "no reading")] {
            let key = format!("<span class=\"key {class}\" aria-hidden=\"true\"></span>{name}");
            assert!(svg.contains(&key), "{key}: {svg}");
        }
        assert!(
            svg.contains("at 0 100, straddles: 0, no reading: 50; at 10 100, straddles: 25, no reading: 25."),
            "{svg}"
        );
        assert!(svg.contains("The line is the most; the bands below it are not decided. Each point"), "{svg}");
        assert!(svg.contains("aria-label=\"n 10: 100 forwarded, straddles: 25, no reading: 25\""), "{svg}");
    }

    #[test]
    fn without_bands_there_is_neither_a_legend_nor_a_word_of_them() {
        let points = [Point { x: 1, y: 25, address: Address::new("/w"), chosen: false }];
        let svg = curve(&Curve { points: &points, ..of_nothing() }).into_string();
        for word in ["key", "the most", "decided", "polygon", "pattern"] {
            assert!(!svg.contains(word), "{word}: {svg}");
        }
    }
}
