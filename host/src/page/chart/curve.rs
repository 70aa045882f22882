//! A line over a number that can be chosen, like a threshold.
//!
//! It must not know what is chosen. Invariant: a point stands where its two numbers say, whatever lies between it and the
//! next.

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
}

/// Draws it.
pub(crate) fn curve(curve: &Curve<'_>) -> Markup {
    let Curve { id, title, axes, points, level: (level_name, level), mark } = *curve;
    let most = round(points.iter().map(|point| point.y).chain([level]).max().unwrap_or(0));
    let values = points.iter().map(|point| point.x).chain(mark.map(|(_, x)| x));
    let (low, high) = values.fold((i64::MAX, i64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    let across = high.abs_diff(low).max(1);
    let picture = Picture { id, title, parts: &[], description: description(curve), has_links: true };
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
            polyline.curve points=(line.join(" ")) {}
            @for (nth, point) in points.iter().enumerate() {
                @let said = format!("{} {}: {} {}", axes[0], point.x, thousands(point.y), axes[1]);
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

fn description(curve: &Curve<'_>) -> String {
    let [chosen, outcome] = curve.axes;
    let said = curve.points.iter().map(|point| format!("at {} {}", point.x, thousands(point.y)));
    let mark = curve.mark.map(|(name, x)| format!("{name}: {x}. ")).unwrap_or_default();
    format!(
        "{outcome} by {chosen}: {}. {}: {}. {mark}Each point leads to what would change there. The table below has the \
         same numbers.",
        said.collect::<Vec<_>>().join("; "),
        curve.level.0,
        thousands(curve.level.1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_stands_where_its_numbers_say_and_leads_on() {
        let point =
            |x: i64, y, chosen| Point { x, y, address: Address::new("/w").with("variant", &x.to_string()), chosen };
        let points = [point(-10, 0, false), point(0, 50, false), point(10, 100, true)];
        let mark = Some(("live now", 0));
        let drawn =
            Curve { id: "c", title: "t", axes: ["n", "forwarded"], points: &points, level: ("as it was", 25), mark };
        let svg = curve(&drawn).into_string();
        // From 112 to 920 across, from 256 up to 44.
        assert!(svg.contains("points=\"112.0,256.0 516.0,150.0 920.0,44.0\""), "{svg}");
        assert!(svg.contains("<line class=\"mark\" x1=\"516.0\"") && svg.contains("live now: 0"), "{svg}");
        assert!(svg.contains("<a href=\"/w?variant=-10\" aria-label=\"n -10: 0 forwarded\">"), "{svg}");
        assert_eq!(svg.matches("point chosen").count(), 2, "once in each of the two");
        assert!(svg.contains("as it was: 25. live now: 0. "), "{svg}");
    }
}
