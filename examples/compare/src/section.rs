//! What an experiment hands over: what the paper says, tables, charts, what
//! follows, and what does not.
//!
//! ```text
//! let mut section = Section::new("speed", "Performance", "The paper says ...");
//! section.table(table);
//! section.chart(chart);
//! section.follows.push("...".into());
//! ```

use super::chart::Chart;
use super::stats::{Spread, figure};
use serde_json::{Value, json};

/// One chapter of the report.
#[derive(Default)]
pub struct Section {
    pub key: &'static str,
    pub title: &'static str,
    /// What the paper says, in our words.
    pub says: &'static str,
    /// What was measured, and how.
    pub measured: Vec<String>,
    pub exhibits: Vec<Exhibit>,
    /// What follows from the figures of this very run.
    pub follows: Vec<String>,
    /// What a reader should not conclude.
    pub beware: Vec<&'static str>,
    /// What this run did not do, and why.
    pub left_out: Vec<String>,
    /// What went wrong: it makes the whole run fail.
    pub failures: Vec<String>,
}

pub enum Exhibit {
    Chart(Chart),
    Table(Table),
}

impl Section {
    pub fn new(key: &'static str, title: &'static str, says: &'static str) -> Section {
        Section {
            key,
            title,
            says,
            ..Section::default()
        }
    }

    pub fn chart(&mut self, chart: Chart) {
        self.exhibits.push(Exhibit::Chart(chart));
    }

    pub fn table(&mut self, table: Table) {
        self.exhibits.push(Exhibit::Table(table));
    }

    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.exhibits.iter().filter_map(|exhibit| match exhibit {
            Exhibit::Table(table) => Some(table),
            Exhibit::Chart(_) => None,
        })
    }

    pub fn to_json(&self) -> Value {
        let tables: Vec<Value> = self.tables().map(Table::to_json).collect();
        json!({
            "experiment": self.key,
            "title": self.title,
            "paper": self.says,
            "measured": self.measured,
            "tables": tables,
            "follows": self.follows,
            "beware": self.beware,
            "left_out": self.left_out,
            "failures": self.failures,
        })
    }
}

/// Rows of figures with their spread.
#[derive(Default)]
pub struct Table {
    pub caption: String,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
    rank: Option<(usize, Best)>,
}

/// Which figure of a column comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Best {
    Most,
    Least,
}

pub struct Row {
    pub label: String,
    pub cells: Vec<Cell>,
}

pub enum Cell {
    Spread(Spread),
    Text(String),
    Nothing,
}

impl From<Spread> for Cell {
    fn from(spread: Spread) -> Cell {
        match spread.is_empty() {
            true => Cell::Nothing,
            false => Cell::Spread(spread),
        }
    }
}

impl From<Option<f64>> for Cell {
    fn from(value: Option<f64>) -> Cell {
        Spread::of(value).into()
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_string())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl Cell {
    /// The figure, and the quartiles where there is more than one value.
    pub fn texts(&self) -> (String, Option<String>) {
        match self {
            Cell::Nothing => ("–".to_string(), None),
            Cell::Text(text) => (text.clone(), None),
            Cell::Spread(spread) => {
                let quartiles = || format!("{} to {}", figure(spread.low()), figure(spread.high()));
                let several = spread.values.len() > 1;
                (figure(spread.median()), several.then(quartiles))
            }
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Cell::Nothing => Value::Null,
            Cell::Text(text) => json!(text),
            Cell::Spread(spread) => spread.to_json(),
        }
    }
}

impl Table {
    pub fn new(caption: impl Into<String>, columns: &[&str]) -> Table {
        Table {
            caption: caption.into(),
            columns: columns.iter().map(|column| column.to_string()).collect(),
            rows: Vec::new(),
            rank: None,
        }
    }

    /// On the page, the rows are in the order of this column. Elsewhere they
    /// stay in that of the peers.
    pub fn ranked(mut self, column: usize, best: Best) -> Table {
        self.rank = Some((column, best));
        self
    }

    /// The rows as the page has them; those without a figure come last.
    pub fn ranked_rows(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        if let Some((column, best)) = self.rank {
            let place = |row: &&Row| match row.cells.get(column) {
                Some(Cell::Spread(spread)) if best == Best::Most => -spread.median(),
                Some(Cell::Spread(spread)) => spread.median(),
                _ => f64::INFINITY,
            };
            rows.sort_by(|one, other| place(one).total_cmp(&place(other)));
        }
        rows
    }

    pub fn row(&mut self, label: impl Into<String>, cells: Vec<Cell>) {
        let label = label.into();
        self.rows.push(Row { label, cells });
    }

    fn to_json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let cells: Vec<Value> = row.cells.iter().map(Cell::to_json).collect();
                json!({ "label": row.label, "cells": cells })
            })
            .collect();
        json!({ "caption": self.caption, "columns": self.columns, "rows": rows })
    }

    /// For a terminal: columns as wide as their widest cell.
    pub fn print(&self) {
        println!("\n{}", self.caption);
        let mut lines: Vec<Vec<String>> = vec![
            std::iter::once(String::new())
                .chain(self.columns.iter().cloned())
                .collect(),
        ];
        for row in &self.rows {
            let cells = row.cells.iter().map(|cell| match cell.texts() {
                (text, Some(quartiles)) => format!("{text} ({quartiles})"),
                (text, None) => text,
            });
            lines.push(std::iter::once(row.label.clone()).chain(cells).collect());
        }
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..=self.columns.len()).map(width).collect();
        for line in &lines {
            let padded: Vec<String> = line
                .iter()
                .zip(&widths)
                .map(|(cell, &width)| format!("{cell:<width$}"))
                .collect();
            println!("  {}", padded.join("  ").trim_end());
        }
    }
}
