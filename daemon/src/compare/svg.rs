//! The chart as a picture of its own: no script, no fonts, readable on white and on paper.

use std::fmt::Write;

use super::Chart;
use super::chart::Series;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 52.0;
/// Height of a line of the legend, which stands below the chart.
const LEGEND: f64 = 20.0;
/// Told apart also by people who see fewer colours (Okabe and Ito).
const COLOURS: [&str; 7] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000"];

/// The whole SVG document.
pub fn svg(chart: &Chart) -> String {
    let height = HEIGHT + LEGEND * chart.series.len() as f64;
    let names: Vec<_> = chart.series.iter().map(|s| s.name.as_str()).collect();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n<title>Best feasible reward against measurements: {}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n",
        escaped(&names.join(", "))
    );
    axes(chart, &mut out);
    let clip =
        format!("x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"", WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    out += &format!("<clipPath id=\"chart\"><rect {clip}/></clipPath>\n<g clip-path=\"url(#chart)\">\n");
    chart.series.iter().enumerate().for_each(|(i, series)| band(chart, series, colour(i), &mut out));
    chart.series.iter().enumerate().for_each(|(i, series)| median(chart, series, colour(i), &mut out));
    out += "</g>\n";
    chart.series.iter().enumerate().for_each(|(i, series)| legend(i, series, &mut out));
    out + "</svg>\n"
}

fn colour(series: usize) -> &'static str {
    COLOURS[series % COLOURS.len()]
}

fn x(chart: &Chart, entry: usize) -> f64 {
    LEFT + entry as f64 / (f64::from(chart.last) - 1.0).max(1.0) * (WIDTH - LEFT - RIGHT)
}

fn y(chart: &Chart, reward: f64) -> f64 {
    // What lies far below the chart is clipped anyway; an infinity could not be written.
    let share = ((chart.high - reward) / (chart.high - chart.low)).min(10.0);
    TOP + share * (HEIGHT - TOP - BOTTOM)
}

fn axes(chart: &Chart, out: &mut String) {
    let bottom = HEIGHT - BOTTOM;
    let (labels, decimals) = chart.labels(5);
    for value in labels {
        let y = y(chart, value);
        let text =
            format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.decimals$}</text>", LEFT - 8.0, y + 4.0);
        let line = format!("<path d=\"M{LEFT} {y:.1}H{}\" stroke=\"#ddd\"/>", WIDTH - RIGHT);
        *out += &format!("{line}{text}\n");
    }
    for count in chart.counts(8) {
        let x = x(chart, count as usize - 1);
        *out += &format!("<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{count}</text>\n", bottom + 18.0);
    }
    let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
    *out += &format!("<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">measurements</text>\n", bottom + 38.0);
    let up = TOP + (bottom - TOP) / 2.0;
    let turned = format!("transform=\"rotate(-90 14 {up})\" text-anchor=\"middle\"");
    *out += &format!("<text x=\"14\" y=\"{up}\" {turned}>best feasible reward</text>\n");
    *out += &format!("<path d=\"M{LEFT} {TOP}V{bottom}H{}\" fill=\"none\" stroke=\"#444\"/>\n", WIDTH - RIGHT);
}

/// A staircase: a best so far holds until the next measurement.
fn staircase(chart: &Chart, points: &[(usize, f64)]) -> String {
    let mut path = String::new();
    for &(entry, reward) in points {
        let (x, y) = (x(chart, entry), y(chart, reward));
        // Writing to a string cannot fail.
        let _ = if path.is_empty() { write!(path, "{x:.1} {y:.1}") } else { write!(path, "H{x:.1}V{y:.1}") };
    }
    path
}

fn band(chart: &Chart, series: &Series, colour: &str, out: &mut String) {
    let edge = |pick: fn((f64, f64)) -> f64| -> Vec<(usize, f64)> {
        series.band.iter().enumerate().filter_map(|(entry, band)| Some((entry, pick((*band)?)))).collect()
    };
    let (mut lower, upper) = (edge(|(low, _)| low), edge(|(_, high)| high));
    if lower == upper {
        return;
    }
    lower.reverse();
    // Walked backwards, a step down comes before the way to the left.
    let mut back = String::new();
    for (entry, reward) in lower {
        let _ = write!(back, "V{:.1}H{:.1}", y(chart, reward), x(chart, entry));
    }
    *out += &format!("<path d=\"M{}{back}Z\" fill=\"{colour}\" fill-opacity=\"0.15\"/>\n", staircase(chart, &upper));
}

fn median(chart: &Chart, series: &Series, colour: &str, out: &mut String) {
    let points: Vec<_> = series.median.iter().enumerate().filter_map(|(entry, y)| Some((entry, (*y)?))).collect();
    if points.is_empty() {
        return;
    }
    let path = staircase(chart, &points);
    *out += &format!("<path d=\"M{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n");
}

fn legend(index: usize, series: &Series, out: &mut String) {
    let y = HEIGHT + LEGEND * index as f64;
    let line = format!("<path d=\"M{LEFT} {}h24\" stroke=\"{}\" stroke-width=\"2\"/>", y - 4.0, colour(index));
    *out += &format!("{line}<text x=\"{}\" y=\"{y}\">{}</text>\n", LEFT + 32.0, escaped(&series.name));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
