//! From a figure to its place on the page, and the marks of an axis.
//!
//! ```text
//! let scale = Scale::linear([3.5, 0.9], 170.0, 640.0);
//! let x = scale.place(3.5);
//! ```

/// Maps `first..last`, figures, to `from..to`, places.
#[derive(Debug)]
pub struct Scale {
    logarithmic: bool,
    first: f64,
    last: f64,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Scale {
    /// From zero to the next round figure above the greatest.
    pub fn linear(figures: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Scale {
        let figures = figures.into_iter().filter(|figure| figure.is_finite());
        let greatest = figures.fold(0.0, f64::max);
        let greatest = if greatest > 0.0 { greatest } else { 1.0 };
        let step = round_step(greatest / 5.0);
        let count = (greatest / step).ceil() as usize;
        Scale {
            logarithmic: false,
            first: 0.0,
            last: step * count as f64,
            from,
            to,
            ticks: (0..=count).map(|tick| step * tick as f64).collect(),
        }
    }

    /// From the power of ten (or 2, or 5 times one) below the least to that
    /// above the greatest. What is not above zero has no place.
    pub fn logarithmic(figures: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Scale {
        let positive = |figure: &f64| figure.is_finite() && *figure > 0.0;
        let all: Vec<f64> = figures.into_iter().filter(positive).collect();
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = all.iter().copied().fold(0.0, f64::max);
        let (least, greatest) = match all.is_empty() {
            true => (1.0, 10.0),
            false => (least, greatest),
        };
        let mut ticks: Vec<f64> = steps(least, greatest);
        let (first, last) = (ticks[0], ticks[ticks.len() - 1]);
        // Over many decades only the powers of ten have room.
        if ticks.len() > 8 {
            ticks.retain(|tick| (tick.log10() - tick.log10().round()).abs() < 1e-9);
        }
        Scale {
            logarithmic: true,
            first,
            last,
            from,
            to,
            ticks,
        }
    }

    pub fn place(&self, figure: f64) -> f64 {
        let share = match self.logarithmic {
            true => (figure.max(self.first) / self.first).ln() / (self.last / self.first).ln(),
            false => (figure - self.first) / (self.last - self.first),
        };
        let share = if share.is_finite() { share } else { 0.0 };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// The place of the least figure.
    pub fn start(&self) -> f64 {
        self.from
    }

    pub fn ticks(&self) -> impl Iterator<Item = f64> {
        self.ticks.iter().copied()
    }
}

/// The next of 1, 2, 5, 10, 20 ... not below.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let above = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    above
        .into_iter()
        .find(|&round| round >= step * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// 1, 2, 5, 10 ... from at most `least` to at least `greatest`; two at least.
fn steps(least: f64, greatest: f64) -> Vec<f64> {
    let lowest = least.log10().floor() as i32;
    let highest = greatest.log10().ceil() as i32;
    let all: Vec<f64> = (lowest..=highest + 1)
        .flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(power)))
        .collect();
    let first = all
        .iter()
        .rposition(|&step| step <= least * (1.0 + 1e-9))
        .unwrap_or(0);
    let last = all
        .iter()
        .position(|&step| step >= greatest * (1.0 - 1e-9) && step > all[first])
        .unwrap_or(all.len() - 1);
    all[first..=last].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_scale_begins_at_zero_and_ends_round() {
        let scale = Scale::linear([3.7, 1.0], 100.0, 500.0);
        assert_eq!(scale.place(0.0), 100.0);
        assert_eq!(scale.ticks().collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(scale.place(4.0), 500.0);
        assert_eq!(scale.place(2.0), 300.0);
    }

    #[test]
    fn a_logarithmic_scale_gives_each_decade_the_same_room() {
        let scale = Scale::logarithmic([1.0, 1000.0], 0.0, 300.0);
        assert!((scale.place(10.0) - 100.0).abs() < 1e-9);
        assert!((scale.place(100.0) - 200.0).abs() < 1e-9);
        assert_eq!(
            scale.ticks().collect::<Vec<_>>(),
            [1.0, 10.0, 100.0, 1000.0]
        );
    }

    #[test]
    fn what_cannot_be_placed_stays_on_the_page() {
        for scale in [
            Scale::linear([f64::NAN], 0.0, 10.0),
            Scale::logarithmic([0.0, f64::NAN], 0.0, 10.0),
            Scale::logarithmic([7.0], 0.0, 10.0),
        ] {
            for figure in [0.0, -1.0, 1.0, 7.0, 1e12, f64::NAN] {
                let place = scale.place(figure);
                assert!(
                    (0.0..=10.0).contains(&place),
                    "{figure} at {place} of {scale:?}"
                );
            }
            assert!(scale.ticks().count() >= 2);
        }
    }

    #[test]
    fn an_axis_may_run_upwards() {
        let scale = Scale::logarithmic([10.0, 100.0], 300.0, 20.0);
        assert_eq!((scale.place(10.0), scale.place(100.0)), (300.0, 20.0));
    }
}
