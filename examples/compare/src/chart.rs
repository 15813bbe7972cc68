//! Charts as inline SVG. Colours come from the page's style sheet, so that one
//! drawing serves light, dark and paper.
//!
//! ```text
//! Chart::bars("Throughput, × asyncio", rows).reference(1.0, "asyncio streams")
//! Chart::dots("p50, p99, max", &["p50", "p99", "max"], rows)
//! Chart::lines("Connections", "requests a second", series)
//! ```

use super::html::escape;
use super::scale::Scale;
use super::stats::{self, Spread, figure};
use std::fmt::Write;

/// As wide as a phone: the text of a drawing shrinks with it.
const WIDTH: f64 = 390.0;
/// Where the plot begins and ends, with room for a bar's figure behind it.
const LEFT: f64 = 12.0;
const RIGHT: f64 = 320.0;
/// A row is its label, and below it what is drawn.
const ROW: f64 = 40.0;
/// Where in a row it is drawn.
const MIDDLE: f64 = 27.0;
const TOP: f64 = 6.0;
/// A plot of lines, between the ticks of its axis and the names of its lines.
const PLOT: (f64, f64) = (56.0, 262.0);

pub struct Chart {
    pub title: String,
    kind: Kind,
    reference: Option<(f64, String)>,
}

enum Kind {
    /// From zero, as long as the figure is great.
    Bars(Vec<(String, Spread)>),
    /// On a logarithmic scale, one dot a series.
    Dots(Vec<String>, Vec<(String, Vec<Spread>)>),
    /// Both scales logarithmic, one line a series.
    Lines(Axes, Vec<Line>),
}

struct Axes {
    x: String,
    y: String,
}

/// One series: its name and its points.
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, Spread)>,
}

/// Ours is drawn in another colour than everybody else.
fn is_ours(label: &str) -> bool {
    label.starts_with("herd")
}

impl Chart {
    /// The longest comes first.
    pub fn bars(title: impl Into<String>, rows: Vec<(String, Spread)>) -> Chart {
        let rows = rows.into_iter().filter(|(_, spread)| !spread.is_empty());
        let mut rows: Vec<(String, Spread)> = rows.collect();
        rows.sort_by(|(_, one), (_, other)| other.median().total_cmp(&one.median()));
        Chart::new(title, Kind::Bars(rows))
    }

    /// The least comes first, by the series that comes last.
    pub fn dots(
        title: impl Into<String>,
        series: &[&str],
        rows: Vec<(String, Vec<Spread>)>,
    ) -> Chart {
        let series = series.iter().map(|name| name.to_string()).collect();
        let some = |(_, spreads): &(String, Vec<Spread>)| spreads.iter().any(|s| !s.is_empty());
        let mut rows: Vec<(String, Vec<Spread>)> = rows.into_iter().filter(some).collect();
        let last = |spreads: &[Spread]| spreads.last().map_or(f64::NAN, Spread::median);
        rows.sort_by(|(_, one), (_, other)| last(one).total_cmp(&last(other)));
        Chart::new(title, Kind::Dots(series, rows))
    }

    pub fn lines(title: impl Into<String>, x: &str, y: &str, lines: Vec<Line>) -> Chart {
        let axes = Axes {
            x: x.to_string(),
            y: y.to_string(),
        };
        Chart::new(title, Kind::Lines(axes, lines))
    }

    fn new(title: impl Into<String>, kind: Kind) -> Chart {
        Chart {
            title: title.into(),
            kind,
            reference: None,
        }
    }

    /// A dashed line at a figure that the others are held against.
    pub fn reference(mut self, at: f64, name: &str) -> Chart {
        self.reference = Some((at, name.to_string()));
        self
    }

    /// The drawing; nothing if there is nothing to draw.
    pub fn svg(&self) -> Option<String> {
        match &self.kind {
            Kind::Bars(rows) if !rows.is_empty() => Some(self.draw_bars(rows)),
            Kind::Dots(series, rows) if !rows.is_empty() => Some(self.draw_dots(series, rows)),
            Kind::Lines(axes, lines) if lines.iter().any(|line| !line.points.is_empty()) => {
                Some(self.draw_lines(axes, lines))
            }
            _ => None,
        }
    }

    fn open(&self, height: f64) -> String {
        let title = escape(&self.title);
        format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\n")
    }

    fn draw_bars(&self, rows: &[(String, Spread)]) -> String {
        let left = LEFT;
        let highest = rows.iter().map(|(_, spread)| spread.high());
        let at = self.reference.iter().map(|(at, _)| *at);
        let scale = Scale::linear(highest.chain(at), left, RIGHT);
        let bottom = TOP + ROW * rows.len() as f64;
        let mut svg = self.open(bottom + 42.0);
        grid_x(&mut svg, &scale, bottom);
        for (index, (label, spread)) in rows.iter().enumerate() {
            let middle = TOP + ROW * index as f64 + MIDDLE;
            row_label(&mut svg, label, left, middle);
            let class = if is_ours(label) { "bar ours" } else { "bar" };
            let end = scale.place(spread.median());
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{left}\" y=\"{:.1}\" width=\"{:.1}\" height=\"16\" rx=\"2\"/>",
                middle - 8.0,
                (end - left).max(1.0),
            );
            whisker(&mut svg, &scale, spread, middle);
            let behind = scale.place(spread.high()).max(end) + 8.0;
            text(
                &mut svg,
                "value",
                behind,
                middle + 4.0,
                &figure(spread.median()),
            );
        }
        self.draw_reference(&mut svg, &scale, bottom);
        svg + "</svg>"
    }

    fn draw_dots(&self, series: &[String], rows: &[(String, Vec<Spread>)]) -> String {
        let left = LEFT;
        let all = || rows.iter().flat_map(|(_, spreads)| spreads);
        let ends = all().flat_map(|spread| [spread.low(), spread.high()]);
        let at = self.reference.iter().map(|(at, _)| *at);
        let scale = Scale::logarithmic(ends.chain(at), left, RIGHT);
        let bottom = TOP + ROW * rows.len() as f64;
        let legend = if series.len() > 1 { 24.0 } else { 0.0 };
        let mut svg = self.open(bottom + 42.0 + legend);
        grid_x(&mut svg, &scale, bottom);
        for (index, (label, spreads)) in rows.iter().enumerate() {
            let middle = TOP + ROW * index as f64 + MIDDLE;
            row_label(&mut svg, label, left, middle);
            draw_row_of_dots(&mut svg, &scale, spreads, middle, series.len() == 1, label);
        }
        self.draw_reference(&mut svg, &scale, bottom);
        if series.len() > 1 {
            draw_legend(&mut svg, series, left, bottom + 54.0);
        }
        svg + "</svg>"
    }

    fn draw_lines(&self, axes: &Axes, lines: &[Line]) -> String {
        let points = || lines.iter().flat_map(|line| &line.points);
        let x = Scale::logarithmic(points().map(|(x, _)| *x), PLOT.0, PLOT.1);
        let bottom = 300.0;
        let y = Scale::logarithmic(points().map(|(_, y)| y.median()), bottom, 24.0);
        let mut svg = self.open(bottom + 52.0);
        for tick in y.ticks() {
            let at = y.place(tick);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{:.1}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\"/>",
                PLOT.0, PLOT.1
            );
            text(&mut svg, "tick end", PLOT.0 - 8.0, at + 4.0, &figure(tick));
        }
        let mut marks: Vec<f64> = points().map(|(x, _)| *x).collect();
        marks.sort_by(f64::total_cmp);
        marks.dedup();
        for mark in marks {
            text(
                &mut svg,
                "tick middle",
                x.place(mark),
                bottom + 20.0,
                &stats::mark(mark),
            );
        }
        text(
            &mut svg,
            "axis middle",
            (PLOT.0 + PLOT.1) / 2.0,
            bottom + 42.0,
            &axes.x,
        );
        text(&mut svg, "axis", 8.0, 12.0, &axes.y);
        let mut taken: Vec<f64> = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            draw_line(&mut svg, &x, &y, line, index, &mut taken);
        }
        svg + "</svg>"
    }

    fn draw_reference(&self, svg: &mut String, scale: &Scale, bottom: f64) {
        if let Some((at, name)) = &self.reference {
            let x = scale.place(*at);
            let _ = writeln!(
                svg,
                "<line class=\"reference\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>",
                TOP - 4.0
            );
            text(svg, "axis middle", x, bottom + 35.0, name);
        }
    }
}

fn text(svg: &mut String, class: &str, x: f64, y: f64, words: &str) {
    let words = escape(words);
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>"
    );
}

fn row_label(svg: &mut String, label: &str, left: f64, middle: f64) {
    let class = if is_ours(label) {
        "label ours"
    } else {
        "label"
    };
    text(svg, class, left, middle - 13.0, label);
}

fn grid_x(svg: &mut String, scale: &Scale, bottom: f64) {
    for tick in scale.ticks() {
        let x = scale.place(tick);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>"
        );
        text(svg, "tick middle", x, bottom + 17.0, &figure(tick));
    }
}

/// The middle half of the rounds.
fn whisker(svg: &mut String, scale: &Scale, spread: &Spread, middle: f64) {
    let (low, high) = (scale.place(spread.low()), scale.place(spread.high()));
    if high - low >= 1.0 {
        let _ = writeln!(
            svg,
            "<line class=\"whisker\" x1=\"{low:.1}\" y1=\"{middle:.1}\" x2=\"{high:.1}\" y2=\"{middle:.1}\"/>"
        );
    }
}

fn draw_row_of_dots(
    svg: &mut String,
    scale: &Scale,
    spreads: &[Spread],
    middle: f64,
    alone: bool,
    label: &str,
) {
    let some = || {
        spreads
            .iter()
            .enumerate()
            .filter(|(_, spread)| !spread.is_empty())
    };
    let places: Vec<f64> = some()
        .map(|(_, spread)| scale.place(spread.median()))
        .collect();
    let first = places.iter().copied().fold(f64::INFINITY, f64::min);
    let last = places.iter().copied().fold(0.0, f64::max);
    let from = if alone { scale.start() } else { first };
    let _ = writeln!(
        svg,
        "<line class=\"stem\" x1=\"{from:.1}\" y1=\"{middle:.1}\" x2=\"{last:.1}\" y2=\"{middle:.1}\"/>"
    );
    for (index, spread) in some() {
        whisker(svg, scale, spread, middle);
        let class = match (alone, is_ours(label)) {
            (true, true) => "dot ours".to_string(),
            (true, false) => "dot".to_string(),
            (false, _) => format!("dot s{index}"),
        };
        let x = scale.place(spread.median());
        let _ = writeln!(
            svg,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{middle:.1}\" r=\"5\"/>"
        );
    }
    if let Some((_, spread)) = some().next_back() {
        let last = scale.place(spread.high()).max(last);
        text(
            svg,
            "value",
            last + 12.0,
            middle + 4.0,
            &figure(spread.median()),
        );
    }
}

fn draw_legend(svg: &mut String, series: &[String], left: f64, y: f64) {
    let mut x = left;
    for (index, name) in series.iter().enumerate() {
        let middle = y - 4.0;
        let _ = writeln!(
            svg,
            "<circle class=\"dot s{index}\" cx=\"{x:.1}\" cy=\"{middle:.1}\" r=\"5\"/>"
        );
        text(svg, "axis", x + 10.0, y, name);
        x += 34.0 + 7.0 * name.chars().count() as f64;
    }
}

/// A line and, at its end, its name: moved where another name stands already.
fn draw_line(
    svg: &mut String,
    x: &Scale,
    y: &Scale,
    line: &Line,
    index: usize,
    taken: &mut Vec<f64>,
) {
    let places: Vec<(f64, f64)> = line
        .points
        .iter()
        .filter(|(_, spread)| !spread.is_empty())
        .map(|(at, spread)| (x.place(*at), y.place(spread.median())))
        .collect();
    let Some(&(end_x, end_y)) = places.last() else {
        return;
    };
    let class = match is_ours(&line.name) {
        true => "ours".to_string(),
        false => format!("s{index}"),
    };
    let path: Vec<String> = places
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let path = path.join(" ");
    let _ = writeln!(svg, "<polyline class=\"line {class}\" points=\"{path}\"/>");
    for (x, y) in &places {
        let _ = writeln!(
            svg,
            "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"
        );
    }
    let mut label_y = end_y + 4.0;
    while taken.iter().any(|other| (other - label_y).abs() < 15.0) {
        label_y += 3.0;
    }
    taken.push(label_y);
    text(svg, "value", end_x + 10.0, label_y, &line.name);
}
