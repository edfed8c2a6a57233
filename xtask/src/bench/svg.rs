//! Plots as inline SVG: bars with their ranges, and curves.

use super::html::escape;
use super::stats::Spread;
use std::fmt::Write as _;

const COLOURS: [&str; 6] = ["#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b83280", "#4a5568"];
const WIDTH: f64 = 900.0;

/// One bar for each value, its low and high as a line over it. Linear, from zero: lengths may be compared.
pub(super) fn bars(unit: &str, bars: &[(&str, &Spread)]) -> String {
    const LEFT: f64 = 330.0;
    const STEP: f64 = 22.0;
    let most = bars.iter().map(|(_, value)| value.high).filter(|high| high.is_finite());
    let most = nice(most.fold(0.0, f64::max));
    let scale = (WIDTH - LEFT - 70.0) / most;
    let height = 30.0 + STEP * count(bars.len());
    let mut svg = open(height);
    for (index, (name, value)) in bars.iter().enumerate() {
        let y = STEP * count(index);
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 15.0,
            escape(name)
        );
        if !value.median.is_finite() {
            continue;
        }
        let (low, high) = (LEFT + value.low * scale, LEFT + value.high * scale);
        let length = value.median * scale;
        let middle = y + 10.0;
        let _ = write!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{}\" width=\"{length:.1}\" height=\"14\" fill=\"{}\"/>\
             <line x1=\"{low:.1}\" y1=\"{middle}\" x2=\"{high:.1}\" y2=\"{middle}\" stroke=\"#000\"/>\
             <text x=\"{:.1}\" y=\"{}\">{:.2}</text>",
            y + 3.0,
            COLOURS[0],
            high.max(LEFT + length) + 6.0,
            y + 15.0,
            value.median
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\" fill=\"#555\">{}</text></svg>",
        height - 6.0,
        escape(unit)
    );
    svg
}

/// Curves over common axes that begin at zero.
pub(super) fn curves(x: &str, y: &str, curves: &[(String, Vec<(f64, f64)>)]) -> String {
    const LEFT: f64 = 60.0;
    const TOP: f64 = 10.0;
    const TALL: f64 = 220.0;
    let points = || curves.iter().flat_map(|(_, points)| points);
    let x_most = nice(points().map(|point| point.0).fold(0.0, f64::max));
    let y_most = nice(points().map(|point| point.1).fold(0.0, f64::max));
    let (x_scale, y_scale) = ((WIDTH - LEFT - 20.0) / x_most, TALL / y_most);
    let floor = TOP + TALL;
    let mut svg = open(floor + 40.0 + 18.0 * count(curves.len()));
    let _ = write!(
        svg,
        "<path d=\"M{LEFT} {TOP}V{floor}H{}\" fill=\"none\" stroke=\"#999\"/>",
        WIDTH - 20.0
    );
    for part in [0.0, 0.5, 1.0] {
        let (along, up) = (LEFT + part * x_most * x_scale, floor - part * y_most * y_scale);
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#555\">{}</text>\
             <text x=\"{along}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
            LEFT - 6.0,
            up + 5.0,
            part * y_most,
            floor + 18.0,
            part * x_most
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" fill=\"#555\">{}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
        LEFT + 6.0,
        TOP + 12.0,
        escape(y),
        WIDTH - 20.0,
        floor + 34.0,
        escape(x)
    );
    for (index, (name, points)) in curves.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let places: Vec<String> = points
            .iter()
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .map(|(x, y)| format!("{:.1},{:.1}", LEFT + x * x_scale, floor - y * y_scale))
            .collect();
        let below = floor + 50.0 + 18.0 * count(index);
        let _ = write!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\
             <text x=\"{LEFT}\" y=\"{below}\" fill=\"{colour}\">{}</text>",
            places.join(" "),
            escape(name)
        );
    }
    svg.push_str("</svg>");
    svg
}

fn open(height: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" font-size=\"13\" font-family=\"sans-serif\">"
    )
}

/// The next larger number of the form 1, 2 or 5 times a power of ten; 1 for nothing.
fn nice(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|top| *top >= value)
        .unwrap_or(value)
}

#[expect(clippy::cast_precision_loss, reason = "rows of a plot")]
const fn count(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::super::stats::Spread;
    use super::{bars, curves, nice};

    #[test]
    fn axes_end_at_round_numbers() {
        let check =
            |value, expected: f64| assert!((nice(value) - expected).abs() < 1e-9, "{value}");
        check(0.0, 1.0);
        check(0.31, 0.5);
        check(1.0, 1.0);
        check(7.0, 10.0);
        check(1234.0, 2000.0);
    }

    #[test]
    fn longer_values_have_longer_bars() {
        let (short, long, none) = (Spread::of([1.0]), Spread::of([2.0]), Spread::of([]));
        let svg = bars("s", &[("a", &short), ("b", &long), ("c", &none)]);
        // 500 pixels are 2.0.
        assert!(svg.contains("width=\"250.0\"") && svg.contains("width=\"500.0\""), "{svg}");
        assert!(!svg.contains("NaN") && svg.contains(">c<"), "{svg}");
    }

    #[test]
    fn curves_leave_out_what_is_no_number() {
        let svg =
            curves("s", "MiB", &[("a".to_owned(), vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 2.0)])]);
        assert!(svg.contains("60.0,120.0 880.0,10.0") && !svg.contains("NaN"), "{svg}");
    }
}
