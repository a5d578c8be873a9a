//! A load run as one page without scripts: the figures, and how they went over time.

use std::fmt::Write as _;

use super::load_report::LoadReport;

/// What was seen in one step of the measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// Seconds since the measurement began, at the end of the step.
    pub(super) at: f64,
    /// Packets that reached participants, per second.
    pub(super) received: f64,
    /// The median latency of the step, in milliseconds.
    pub(super) p50: f64,
    /// The 99th percentile of the step, in milliseconds.
    pub(super) p99: f64,
    /// Packets that should have come in the step and did not.
    pub(super) lost: f64,
    /// Participants who heard something for the first time, per second.
    pub(super) joined: f64,
    /// Datagrams that the impaired network dropped, per second.
    pub(super) dropped: f64,
    /// The share of one processor that the whole server used.
    pub(super) server: f64,
    /// The share of one processor that the participants' media used.
    pub(super) generator: f64,
}

/// A line of a plot: its name and its value in a sample.
type Line = (&'static str, fn(&Sample) -> f64);

/// What is plotted; the last two where there is something to see.
const PLOTS: [(&str, &[Line]); 6] = [
    ("Latency, ms", &[("median", |sample| sample.p50), ("99th percentile", |sample| sample.p99)]),
    ("Packets received, per second", &[("received", |sample| sample.received)]),
    ("Packets lost, per step", &[("lost", |sample| sample.lost)]),
    (
        "Share of one processor",
        &[("server", |sample| sample.server), ("participants' media", |sample| sample.generator)],
    ),
    ("Joins, per second", &[("heard something", |sample| sample.joined)]),
    ("Datagrams dropped by the impaired network, per second", &[("dropped", |sample| sample.dropped)]),
];
/// The plots that every run has.
const ALWAYS: usize = 4;
const COLOURS: [&str; 2] = ["#1b7340", "#8a4f3d"];
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 200.0;
/// Room for the numbers of the axes.
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 24.0;

/// The whole page.
pub(super) fn page(report: &LoadReport, samples: &[Sample]) -> String {
    let mut html = String::from(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Anteroom load</title>\n<style>body{font:15px/1.5 \
         system-ui,sans-serif;max-width:760px;margin:2rem auto;padding:0 1rem;color:#1d1d1b}pre{white-space:\
         pre-wrap;font-size:13px}svg{width:100%;height:auto}text{font-size:12px;fill:#54575f}h2{font-size:1rem;\
         margin:1.6rem 0 .2rem}</style>\n<h1>Anteroom load</h1>\n<pre>",
    );
    html.push_str(&escape(&report.text()));
    html.push_str("</pre>\n");
    for (number, (title, lines)) in PLOTS.into_iter().enumerate() {
        let is_flat = samples.iter().all(|sample| lines.iter().all(|(_, value)| value(sample) == 0.0));
        if number >= ALWAYS && is_flat {
            continue;
        }
        let _ = write!(html, "<h2>{title}</h2>\n{}", plot(lines, samples));
    }
    html.push_str("</html>\n");
    html
}

fn plot(lines: &[Line], samples: &[Sample]) -> String {
    let values = || lines.iter().flat_map(|(_, value)| samples.iter().map(value));
    let most = values().fold(0.0, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    let last = samples.last().map_or(1.0, |sample| sample.at).max(0.001);
    let x = |at: f64| LEFT + at / last * (WIDTH - LEFT - 10.0);
    let y = |value: f64| HEIGHT - BOTTOM - value / most * (HEIGHT - BOTTOM - 24.0);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    for share in [0.0, 0.5, 1.0] {
        let (at, value) = (y(share * most), share * most);
        let shown = if most >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
        let _ = write!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{WIDTH}\" stroke=\"#d9d9d3\"/><text x=\"{:.0}\" y=\"{:.1}\" \
             text-anchor=\"end\">{shown}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    for ((name, value), (colour, place)) in lines.iter().zip(COLOURS.iter().zip(0_u8..)) {
        let points: Vec<String> =
            samples.iter().map(|sample| format!("{:.1},{:.1}", x(sample.at), y(value(sample)))).collect();
        let _ = write!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{:.0}\" \
             y=\"14\" style=\"fill:{colour}\">{name}</text>",
            points.join(" "),
            LEFT + f64::from(place) * 130.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{last:.0} s</text></svg>",
        WIDTH - 4.0,
        HEIGHT - 6.0
    );
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_figures_and_a_line_for_each_series() {
        let report = LoadReport { server: "a <server> & more".to_owned(), ..LoadReport::default() };
        let samples =
            [Sample { at: 1.0, p50: 0.5, ..Sample::default() }, Sample { at: 2.0, ..Sample::default() }];
        let html = page(&report, &samples);
        assert!(html.contains("a &lt;server&gt; &amp; more"));
        assert_eq!(html.matches("<polyline").count(), 6);
        let busy = [Sample { joined: 1.0, dropped: 2.0, ..Sample::default() }];
        assert_eq!(page(&report, &busy).matches("<polyline").count(), 8);
        assert!(page(&report, &[]).contains("</html>"));
    }
}
