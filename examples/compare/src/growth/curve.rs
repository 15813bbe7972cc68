//! A cost at several sizes: its chart, its exponent, and where it bends.
//!
//! ```text
//! let mut curve = Curve::new("CPU an IAMAT", "records", "µs", &names, "the table outgrows the caches");
//! curve.add(0, 1e6, spread);
//! exponents.take(curve, &mut section);
//! ```

use crate::chart::{Chart, Line};
use crate::section::{Section, Table};
use crate::stats::{Spread, figure};

/// Slopes that differ by less are one straight line.
const BEND_MIN: f64 = 0.25;

/// Points on each side of a bend: fewer have no slope.
const SIDE_MIN: usize = 2;

pub struct Curve {
    what: &'static str,
    x: &'static str,
    y: &'static str,
    lines: Vec<Line>,
    /// What makes it bend, if it does.
    why: &'static str,
}

impl Curve {
    pub fn new(
        what: &'static str,
        x: &'static str,
        y: &'static str,
        names: &[String],
        why: &'static str,
    ) -> Curve {
        let line = |name: &String| Line {
            name: name.clone(),
            points: Vec::new(),
        };
        let lines = names.iter().map(line).collect();
        Curve {
            what,
            x,
            y,
            lines,
            why,
        }
    }

    /// One more point of a line. What was not measured is none.
    pub fn add(&mut self, line: usize, x: f64, y: Spread) {
        if !y.is_empty() {
            self.lines[line].points.push((x, y));
        }
    }
}

/// What all curves came to.
#[derive(Default)]
pub struct Exponents {
    rows: Vec<(String, Option<f64>, String)>,
}

impl Exponents {
    /// Draws a curve, and says how it grows.
    pub fn take(&mut self, curve: Curve, section: &mut Section) {
        let mut said = Vec::new();
        let mut bends = false;
        for line in &curve.lines {
            let points: Vec<(f64, f64)> = line
                .points
                .iter()
                .map(|(x, y)| (*x, y.median()))
                .filter(|&(x, y)| x > 0.0 && y > 0.0)
                .collect();
            let exponent = slope(&points);
            let bend = bend(&points);
            bends |= bend.is_some();
            let text = bend.map_or("–".to_string(), |bend| bend.text(curve.x));
            if let Some(exponent) = exponent {
                said.push(format!("{} {exponent:.2}", line.name));
            }
            let label = format!("{} by {}: {}", curve.what, curve.x, line.name);
            self.rows.push((label, exponent, text));
        }
        if !said.is_empty() {
            let said = said.join("; ");
            let mut words = format!(
                "{} grows with the {} to the power of: {said}.",
                curve.what, curve.x
            );
            if bends {
                words = format!("{words} {}", curve.why);
            }
            section.follows.push(words);
        }
        let title = format!("{} (both axes logarithmic)", curve.what);
        section.chart(Chart::lines(title, curve.x, curve.y, curve.lines));
    }

    pub fn table(self) -> Table {
        let mut table = Table::new("Exponents", &["exponent", "bends at"]);
        for (label, exponent, bend) in self.rows {
            let exponent = exponent.map_or("–".to_string(), |exponent| format!("{exponent:.2}"));
            table.row(label, vec![exponent.into(), bend.into()]);
        }
        table
    }
}

#[derive(Debug, PartialEq)]
struct Bend {
    at: f64,
    before: f64,
    after: f64,
}

impl Bend {
    fn text(&self, x: &str) -> String {
        let (at, before, after) = (figure(self.at), self.before, self.after);
        format!("{at} {x}: {before:.2} before, {after:.2} after")
    }
}

/// Of the straight line through the logarithms that misses them least.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let logs = || points.iter().map(|(x, y)| (x.ln(), y.ln()));
    let (mean_x, mean_y) = (
        logs().map(|(x, _)| x).sum::<f64>() / count,
        logs().map(|(_, y)| y).sum::<f64>() / count,
    );
    let across: f64 = logs().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let along: f64 = logs().map(|(x, _)| (x - mean_x).powi(2)).sum();
    (along > 0.0).then(|| across / along)
}

/// The inner point whose two sides differ most in slope.
fn bend(points: &[(f64, f64)]) -> Option<Bend> {
    let inner = SIDE_MIN - 1..points.len().saturating_sub(SIDE_MIN - 1);
    inner
        .filter_map(|at| {
            Some(Bend {
                at: points[at].0,
                before: slope(&points[..=at])?,
                after: slope(&points[at..])?,
            })
        })
        .max_by(|one, other| one.turn().total_cmp(&other.turn()))
        .filter(|bend| bend.turn() >= BEND_MIN)
}

impl Bend {
    fn turn(&self) -> f64 {
        (self.after - self.before).abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(y: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        [1e1, 1e2, 1e3, 1e4, 1e5].map(|x| (x, y(x))).to_vec()
    }

    #[test]
    fn a_power_has_its_exponent_and_no_bend() {
        for power in [-1.0, 0.0, 0.5, 1.0, 2.0] {
            let points = points(|x| 7.0 * x.powf(power));
            assert!((slope(&points).unwrap() - power).abs() < 1e-9, "{power}");
            assert_eq!(bend(&points), None, "{power}");
        }
    }

    #[test]
    fn a_cost_that_begins_to_grow_bends_there() {
        let bend = bend(&points(|x| x.max(1e3))).unwrap();
        assert_eq!(bend.at, 1e3);
        assert!(bend.before.abs() < 1e-9 && (bend.after - 1.0).abs() < 1e-9);
    }

    #[test]
    fn too_few_points_have_neither() {
        assert_eq!(slope(&[]), None);
        assert_eq!(slope(&[(10.0, 1.0)]), None);
        assert_eq!(bend(&points(|x| x)[..2]), None);
    }
}
