//! The table that is printed, row by row as the figures come.
//!
//! ```text
//! table.at_most("system calls a request, C1 P1", 3.05, 3.02);
//! table.told("updates a second", 121_000.0);
//! ```

/// Prints rows and remembers the goals missed.
#[derive(Default)]
pub struct Table {
    missed: usize,
}

impl Table {
    pub fn head(&self) {
        row("goal", "bound", "measured", "ok");
    }

    /// A goal with an upper bound.
    pub fn at_most(&mut self, goal: &str, bound: f64, measured: f64) {
        let ok = measured <= bound;
        self.judged(
            goal,
            &format!("<= {}", figure(bound)),
            &figure(measured),
            ok,
        );
    }

    /// A goal with a lower bound.
    pub fn at_least(&mut self, goal: &str, bound: f64, measured: f64) {
        let bound_text = format!(">= {}", figure(bound));
        self.judged(goal, &bound_text, &figure(measured), measured >= bound);
    }

    /// A goal with one right value.
    pub fn exactly(&mut self, goal: &str, bound: f64, measured: f64) {
        // Both are quotients of whole numbers: equal ones are the same f64.
        let ok = measured == bound;
        self.judged(goal, &format!("= {}", figure(bound)), &figure(measured), ok);
    }

    /// A figure that nobody promised.
    pub fn told(&mut self, what: &str, measured: f64) {
        row(what, "", &figure(measured), "");
    }

    /// A remark on the row above.
    pub fn remark(&mut self, text: &str) {
        println!("    {text}");
    }

    pub fn all_met(&self) -> bool {
        self.missed == 0
    }

    fn judged(&mut self, goal: &str, bound: &str, measured: &str, ok: bool) {
        self.missed += usize::from(!ok);
        row(goal, bound, measured, if ok { "yes" } else { "NO" });
    }
}

fn row(goal: &str, bound: &str, measured: &str, ok: &str) {
    println!("{goal:<64} | {bound:>9} | {measured:>9} | {ok}");
}

/// Three decimals where they say something.
fn figure(value: f64) -> String {
    match value.abs() {
        whole if whole >= 1000.0 => format!("{value:.0}"),
        whole if whole >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.3}"),
    }
}
