//! Figures, each with the bound it must keep: printed as they are found, and once more all together.

use std::fmt;

use anyhow::{Result, ensure};

/// What a figure must keep to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// Told for comparison only.
    None,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    pub what: String,
    pub found: f64,
    pub unit: &'static str,
    pub bound: Bound,
}

impl Figure {
    pub fn is_kept(&self) -> bool {
        match self.bound {
            Bound::AtMost(limit) => self.found <= limit,
            Bound::AtLeast(limit) => self.found >= limit,
            Bound::None => true,
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.bound, self.is_kept()) {
            (Bound::None, _) => "",
            (Bound::AtMost(_) | Bound::AtLeast(_), true) => "kept",
            (Bound::AtMost(_) | Bound::AtLeast(_), false) => "MISSED",
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = match self.bound {
            Bound::AtMost(limit) => format!("≤ {}", number(limit)),
            Bound::AtLeast(limit) => format!("≥ {}", number(limit)),
            Bound::None => String::new(),
        };
        let found = format!("{} {}", number(self.found), self.unit);
        write!(f, "{:<62} {found:>16} {bound:>12}  {}", self.what, self.verdict())
    }
}

/// Three digits that say something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || (value.fract() == 0.0 && size < 100.0) => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The figures of one run.
#[derive(Debug, Default)]
pub struct Figures {
    found: Vec<Figure>,
}

impl Figures {
    pub fn note(&mut self, what: impl Into<String>, found: f64, unit: &'static str, bound: Bound) {
        let figure = Figure { what: what.into(), found, unit, bound };
        println!("{figure}");
        self.found.push(figure);
    }

    pub fn heading(&mut self, text: &str) {
        println!("\n{text}");
    }

    /// Prints everything in one table.
    pub fn print(&self) {
        println!("\n{:<62} {:>16} {:>12}  verdict", "figure", "found", "bound");
        for figure in &self.found {
            println!("{figure}");
        }
    }

    /// # Errors
    /// Where a bound was missed.
    pub fn verdict(&self) -> Result<()> {
        let missed: Vec<_> = self.found.iter().filter(|figure| !figure.is_kept()).collect();
        let names: Vec<_> = missed.iter().map(|figure| figure.what.as_str()).collect();
        ensure!(missed.is_empty(), "missed: {}", names.join("; "));
        Ok(())
    }
}

/// The middle one; of an even number the lower of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// The largest one.
pub fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_misses_its_bound_fails_the_run() {
        let mut figures = Figures::default();
        figures.note("a", 1.3, "×", Bound::AtMost(1.3));
        figures.note("b", 10.0, "×", Bound::AtLeast(10.0));
        figures.note("c", 99.0, "s", Bound::None);
        assert!(figures.verdict().is_ok());
        figures.note("d", 1.31, "×", Bound::AtMost(1.3));
        figures.note("e", f64::NAN, "ms", Bound::AtMost(1.0));
        assert_eq!(figures.verdict().map_err(|error| error.to_string()), Err("missed: d; e".to_owned()));
    }

    #[test]
    fn the_median_is_one_of_the_values() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.0);
        assert!(median(&[]).is_nan());
    }
}
