//! A bar chart of how many times the rate of each peer the engine reaches.

use std::fmt::Write as _;

use super::figures::{FLOWFABRIC, Figures, RAW, Row, Unit};

/// Sizes in pixels.
const WIDTH: f64 = 860.0;
const LEFT: f64 = 330.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 58.0;
const BAR: f64 = 16.0;
const STEP: f64 = 24.0;

/// One bar: what, whom it is compared with, and how many times as fast.
#[derive(Debug, PartialEq)]
struct Bar {
    what: String,
    who: String,
    times: f64,
}

/// Draws the chart; nothing where nobody was compared.
pub(super) fn svg(figures: &Figures, section: &str) -> Option<String> {
    let bars = bars(figures, section);
    let most = bars.iter().map(|bar| bar.times).fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / most;
    let height = TOP + STEP * bars.len() as f64 + 16.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"600\" fill=\"#1f2430\">\
         How many times the rate of its peers {FLOWFABRIC} reaches</text>\n\
         <text x=\"16\" y=\"44\" fill=\"#667085\">same machine, same server, same rounds; \
         medians; the line marks equal rates</text>\n"
    );
    for (place, bar) in bars.iter().enumerate() {
        let y = TOP + STEP * place as f64;
        let (width, middle) = (bar.times * scale, y + BAR - 4.0);
        let (what, colour) = (format!("{}, {}", bar.what, bar.who), colour(&bar.who));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\" fill=\"#1f2430\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\" \
             fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{middle}\" fill=\"#1f2430\">{:.1} x</text>",
            LEFT - 8.0,
            escaped(&what),
            LEFT + width + 6.0,
            bar.times,
        );
    }
    let (one, bottom) = (LEFT + scale, height - 12.0);
    let _ = writeln!(
        text,
        "<line x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{}\" y2=\"{bottom}\" stroke=\"#1f2430\" \
         stroke-dasharray=\"3 3\"/>\n</svg>",
        TOP - 6.0,
    );
    (!bars.is_empty()).then_some(text)
}

fn bars(figures: &Figures, section: &str) -> Vec<Bar> {
    let bar = |row: &&Row| {
        let times = figures.times(&row.of(FLOWFABRIC), row, Unit::PerSecond)?.median;
        let compared = row.who != FLOWFABRIC && row.who != RAW;
        let (what, who) = (row.what.clone(), row.who.clone());
        compared.then_some(Bar { what, who, times })
    };
    figures.rows(section).iter().filter_map(bar).collect()
}

/// Returns a colour that stays the same for a peer.
fn colour(who: &str) -> &'static str {
    if who.starts_with('B') { "#3b6fb6" } else { "#7aa95c" }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_drawn_for_each_peer_and_none_for_the_ceiling() {
        let mut figures = Figures::default();
        let row = Row::new("s", "R1", "a & b");
        figures.put(&row, Unit::PerSecond, 4.0);
        figures.put(&row.of("Peer"), Unit::PerSecond, 2.0);
        figures.put(&row.of(RAW), Unit::PerSecond, 8.0);
        let svg = svg(&figures, "s").expect("a chart");
        assert_eq!(svg.matches("rx=\"2\"").count(), 1);
        assert!(svg.contains("a &amp; b, Peer") && svg.contains("2.0 x"), "{svg}");
    }

    #[test]
    fn without_peers_there_is_no_chart() {
        assert_eq!(svg(&Figures::default(), "s"), None);
    }
}
