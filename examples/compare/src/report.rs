//! The report: one HTML file that needs nothing else, and the JSON behind it.
//!
//! ```text
//! let page = report::page(&about, &sections);
//! html::check(&page)?;
//! ```

use crate::claims;
use crate::html::escape;
use crate::machine::Machine;
use crate::section::{Exhibit, Section, Table};
use serde_json::{Value, json};
use std::fmt::Write;

/// The text of a cell that is longer is read, not compared.
const FIGURE_MAX: usize = 60;

/// What stands at the top.
pub struct About<'a> {
    pub machine: &'a Machine,
    pub found: Vec<(String, String)>,
    pub missing: Vec<(&'static str, &'static str)>,
    /// Peers that are not compared, and why.
    pub absent: Vec<String>,
    pub quick: bool,
    pub seconds: f64,
    pub command: String,
}

pub fn json(about: &About, sections: &[Section]) -> Value {
    json!({
        "machine": about.machine.rows(),
        "runtimes": about.found,
        "missing": about.missing,
        "absent": about.absent,
        "quick": about.quick,
        "seconds": about.seconds,
        "command": about.command,
        "claims": claims::json(sections),
        "experiments": sections.iter().map(Section::to_json).collect::<Vec<_>>(),
    })
}

pub fn page(about: &About, sections: &[Section]) -> String {
    let mut page =
        String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
    page.push_str("<title>The same herd, side by side</title>\n<style>\n");
    page.push_str(include_str!("report.css"));
    page.push_str("</style>\n</head>\n<body>\n<main>\n");
    top(&mut page, about, sections);
    for (index, section) in sections.iter().enumerate() {
        chapter(&mut page, index + 1, section);
    }
    not_measured(&mut page);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn top(page: &mut String, about: &About, sections: &[Section]) {
    page.push_str("<header>\n<h1>The same herd, side by side</h1>\n");
    paragraph(
        page,
        "lead",
        "A course paper weighs Python's asyncio against Java threads and Node.js, by argument. \
        This runs the same server herd on each, and on uvloop, tokio and our own loop over mio, and measures.",
    );
    if about.quick {
        paragraph(
            page,
            "warning",
            "A quick run, to see that everything works. Its figures come from fractions of a \
            second on whatever else the machine was doing: do not quote them.",
        );
    }
    let load = about.machine.load_before;
    if load > 0.5 && !about.quick {
        let words =
            format!("The load average was {load:.2} at the start: others used this machine too.");
        paragraph(page, "warning", &words);
    }
    page.push_str("</header>\n");
    opening(page, sections);
    page.push_str("<section>\n<h2>The machine</h2>\n<dl>\n");
    for (name, value) in about.machine.rows().iter().chain(&about.found) {
        definition(page, name, value);
    }
    definition(page, "Command", &about.command);
    definition(page, "Took", &format!("{:.0} s", about.seconds));
    page.push_str("</dl>\n");
    if !about.missing.is_empty() {
        page.push_str("<h3>Not on this machine</h3>\n<ul>\n");
        for (name, how) in &about.missing {
            item(page, &format!("{name}: {how}"));
        }
        page.push_str("</ul>\n");
    }
    list(
        page,
        "Not compared",
        about.absent.iter().map(String::as_str),
    );
    let failures = sections.iter().flat_map(|section| &section.failures);
    list(page, "What failed", failures.map(String::as_str));
    page.push_str("</section>\n<nav>\n<h2>Contents</h2>\n<ol>\n");
    for section in sections {
        let (key, title) = (section.key, escape(section.title));
        let _ = writeln!(page, "<li><a href=\"#{key}\">{title}</a></li>");
    }
    page.push_str("</ol>\n</nav>\n");
}

/// A row for each claim of the paper.
fn opening(page: &mut String, sections: &[Section]) {
    page.push_str("<section>\n<table class=\"claims\">\n");
    page.push_str("<caption>The paper's claims, and what this run says</caption>\n<thead><tr>");
    for column in ["claim", "figure", "what follows"] {
        let _ = write!(page, "<th scope=\"col\">{column}</th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for answer in claims::answers(sections) {
        let claim = escape(answer.claim);
        let measured = sections.iter().any(|one| one.key == answer.experiment);
        let claim = match measured {
            true => format!("<a href=\"#{}\">{claim}</a>", answer.experiment),
            false => claim,
        };
        let nothing = if measured { "–" } else { "not in this run" };
        let figure = escape(answer.figure.as_deref().unwrap_or(nothing));
        let sentence = escape(answer.sentence.as_deref().unwrap_or_default());
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{claim}</th><td>{figure}</td><td>{sentence}</td></tr>"
        );
    }
    page.push_str("</tbody>\n</table>\n</section>\n");
}

fn chapter(page: &mut String, number: usize, section: &Section) {
    let (key, title) = (section.key, escape(section.title));
    let _ = writeln!(page, "<section id=\"{key}\">\n<h2>{number}. {title}</h2>");
    page.push_str("<h3>What the paper says</h3>\n");
    paragraph(page, "says", section.says);
    page.push_str("<h3>What was measured</h3>\n");
    for words in &section.measured {
        paragraph(page, "", words);
    }
    for exhibit in &section.exhibits {
        match exhibit {
            Exhibit::Chart(chart) => {
                if let Some(svg) = chart.svg() {
                    let title = escape(&chart.title);
                    let _ = writeln!(
                        page,
                        "<figure>\n<figcaption>{title}</figcaption>\n{svg}\n</figure>"
                    );
                }
            }
            Exhibit::Table(some) => table(page, some),
        }
    }
    list(
        page,
        "What follows",
        section.follows.iter().map(String::as_str),
    );
    list(page, "What does not", section.beware.iter().copied());
    list(
        page,
        "Left out of this run",
        section.left_out.iter().map(String::as_str),
    );
    list(
        page,
        "What failed",
        section.failures.iter().map(String::as_str),
    );
    page.push_str("</section>\n");
}

fn table(page: &mut String, table: &Table) {
    let caption = escape(&table.caption);
    let _ = writeln!(
        page,
        "<div class=\"table\">\n<table>\n<caption>{caption}</caption>"
    );
    page.push_str("<thead><tr><th></th>");
    for column in &table.columns {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escape(column));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in table.ranked_rows() {
        let class = if row.label.starts_with("herd") {
            " class=\"ours\""
        } else {
            ""
        };
        let _ = write!(
            page,
            "<tr{class}><th scope=\"row\">{}</th>",
            escape(&row.label)
        );
        for cell in &row.cells {
            match cell.texts() {
                (text, None) => {
                    let prose = text.chars().count() > FIGURE_MAX;
                    let class = if prose { " class=\"prose\"" } else { "" };
                    let _ = write!(page, "<td{class}>{}</td>", escape(&text));
                }
                (text, Some(quartiles)) => {
                    let (text, quartiles) = (escape(&text), escape(&quartiles));
                    let _ = write!(page, "<td>{text} <small>({quartiles})</small></td>");
                }
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
}

/// What the paper says that nothing here measures.
fn not_measured(page: &mut String) {
    page.push_str("<section>\n<h2>Said, not measured</h2>\n<ul>\n");
    item(
        page,
        "Jython: it speaks Python 2.7, which has no asyncio. The herd of the paper cannot run there, so there is \
        nothing to measure.",
    );
    item(
        page,
        "Large payloads that live for a moment, of the paper's introduction: out of scope. A herd passes on short \
        lines.",
    );
    page.push_str("</ul>\n</section>\n");
}

fn paragraph(page: &mut String, class: &str, words: &str) {
    let _ = match class {
        "" => writeln!(page, "<p>{}</p>", escape(words)),
        class => writeln!(page, "<p class=\"{class}\">{}</p>", escape(words)),
    };
}

fn definition(page: &mut String, name: &str, value: &str) {
    let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
}

fn item(page: &mut String, words: &str) {
    let _ = writeln!(page, "<li>{}</li>", escape(words));
}

fn list<'a>(page: &mut String, title: &str, items: impl Iterator<Item = &'a str>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    let _ = writeln!(page, "<h3>{title}</h3>\n<ul>");
    items.for_each(|words| item(page, words));
    page.push_str("</ul>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Chart, Line};
    use crate::html;
    use crate::section::Best;
    use crate::stats::Spread;

    fn about(machine: &Machine) -> About<'_> {
        About {
            machine,
            found: vec![("CPython".into(), "3 <x> & \"y\"".into())],
            missing: vec![("tsc", "package node-typescript")],
            absent: vec!["node: no node".into()],
            quick: true,
            seconds: 1.5,
            command: "compare --quick".into(),
        }
    }

    fn section() -> Section {
        let mut section = Section::new("a", "A <b> & c", "Says \"so\".");
        let spread = || Spread::of([1.0, 2.0, 30.0]);
        let rows = || {
            vec![
                ("herd & co".to_string(), spread()),
                ("none".to_string(), Spread::default()),
            ]
        };
        let dots = rows()
            .into_iter()
            .map(|(name, s)| (name, vec![s.clone(), s]))
            .collect();
        let points = vec![(10.0, spread()), (1000.0, spread())];
        let line = |name: &str| Line {
            name: name.into(),
            points: points.clone(),
        };
        section.chart(Chart::bars("bars", rows()).reference(1.0, "one < two"));
        section.chart(Chart::dots("dots", &["p50", "p99"], dots));
        section.chart(Chart::lines(
            "lines",
            "x",
            "y",
            vec![line("herd"), line("other")],
        ));
        section.chart(Chart::bars("nothing", Vec::new()));
        let mut table = Table::new("caption", &["one", "two"]);
        table.row("herd", vec![spread().into(), "a & b".into()]);
        section.table(table);
        section.follows.push("a < b".into());
        section
    }

    #[test]
    fn a_page_is_well_formed() {
        let machine = Machine::of_tests();
        let page = page(&about(&machine), &[section()]);
        assert_eq!(html::check(&page), Ok(()));
        assert_eq!(
            page.matches("<svg").count(),
            3,
            "what has no figures is not drawn"
        );
        assert!(
            !page.contains("<script") && !page.contains("http"),
            "it needs nothing else"
        );
    }

    #[test]
    fn a_page_opens_with_the_claims() {
        let machine = Machine::of_tests();
        let page = page(&about(&machine), &[section()]);
        let claims = page.find("class=\"claims\"").unwrap();
        assert!(claims < page.find("<h2>").unwrap());
        assert!(page.contains("not in this run"));
    }

    #[test]
    fn rows_of_a_page_are_ranked() {
        let mut table = Table::new("caption", &["one"]).ranked(0, Best::Most);
        for (label, value) in [
            ("little", Some(1.0)),
            ("nothing", None),
            ("much", Some(2.0)),
        ] {
            table.row(label, vec![value.into()]);
        }
        let labels: Vec<&str> = table
            .ranked_rows()
            .iter()
            .map(|row| row.label.as_str())
            .collect();
        assert_eq!(labels, ["much", "little", "nothing"]);
    }

    #[test]
    fn the_json_has_each_value() {
        let machine = Machine::of_tests();
        let json = json(&about(&machine), &[section()]);
        let cell = &json["experiments"][0]["tables"][0]["rows"][0]["cells"][0];
        assert_eq!(cell["median"], 2.0);
        assert_eq!(cell["values"], json!([1.0, 2.0, 30.0]));
    }
}
