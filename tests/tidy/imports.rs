//! Which file of `src` imports which, read from the text: `use` items, and paths within the code.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, assert_none, root, sources};

/// Module paths (`["net", "tls", "engine"]`; the library itself is empty) and the files they are.
struct Modules {
    files: BTreeMap<Vec<String>, Source>,
    /// What a module re-exports: the name there, and the path it stands for.
    exports: BTreeMap<Vec<String>, BTreeMap<String, Vec<String>>>,
}

/// One import: which module names what, from the root.
struct Import {
    from: Vec<String>,
    path: Vec<String>,
}

impl Modules {
    fn read(sources: Vec<Source>) -> Modules {
        let files: BTreeMap<_, _> = sources
            .into_iter()
            .map(|source| (module_path(&source), source))
            .collect();
        let mut modules = Modules {
            files,
            exports: BTreeMap::new(),
        };
        for (module, source) in &modules.files {
            let exports = statements(source)
                .into_iter()
                .filter(|statement| statement.starts_with("pub"))
                .flat_map(|statement| modules.paths_of(module, &statement))
                .filter_map(|path| Some((path.last()?.clone(), path)))
                .collect();
            modules.exports.insert(module.clone(), exports);
        }
        modules
    }

    /// The paths that a `use` statement names, from the root; those of other crates are left out.
    fn paths_of(&self, module: &[String], statement: &str) -> Vec<Vec<String>> {
        let Some((_, tree)) = statement.split_once("use ") else {
            return Vec::new();
        };
        let expanded = expand(tree.trim().trim_end_matches(';'));
        let absolute = expanded
            .into_iter()
            .filter_map(|path| self.absolute(module, path));
        absolute.collect()
    }

    fn absolute(&self, module: &[String], path: Vec<String>) -> Option<Vec<String>> {
        let mut base = module.to_vec();
        let mut rest = path.as_slice();
        match rest.first()?.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
            }
            // A child of this module, as `pub use handle::Handle` has it.
            first => {
                base.push(first.to_string());
                if !self.files.contains_key(&base) {
                    return None;
                }
            }
        }
        rest = &rest[1..];
        while rest.first().is_some_and(|part| part == "super") {
            base.pop();
            rest = &rest[1..];
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The module in which what a path names is defined, through all re-exports.
    fn home(&self, path: &[String]) -> Vec<String> {
        let mut module: Vec<String> = Vec::new();
        for (depth, part) in path.iter().enumerate() {
            module.push(part.clone());
            if self.files.contains_key(&module) {
                continue;
            }
            module.pop();
            return match self.exports.get(&module).and_then(|names| names.get(part)) {
                Some(target) if *target != path[..=depth] => self.home(target),
                _ => module,
            };
        }
        module
    }

    fn imports(&self) -> Vec<Import> {
        let mut imports = Vec::new();
        for (module, source) in &self.files {
            let mut note = |path| {
                imports.push(Import {
                    from: module.clone(),
                    path,
                })
            };
            for statement in statements(source) {
                // What a module re-exports it does not use itself.
                if !statement.starts_with("pub") {
                    self.paths_of(module, &statement)
                        .into_iter()
                        .for_each(&mut note);
                }
            }
            for path in paths_in_code(source) {
                self.absolute(module, path).into_iter().for_each(&mut note);
            }
        }
        imports
    }

    /// Who imports whom. A module's own parts in itself are no import.
    fn edges(&self) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
        let mut edges: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for import in self.imports() {
            let home = self.home(&import.path);
            if home != import.from {
                edges.entry(import.from).or_default().insert(home);
            }
        }
        edges
    }
}

/// `["net", "tls"]` for `src/net/tls/mod.rs`.
fn module_path(source: &Source) -> Vec<String> {
    let mut parts: Vec<String> = source
        .inside()
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if parts
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        parts.pop();
    }
    parts
}

/// The `use` statements of a file, each on one line.
fn statements(source: &Source) -> Vec<String> {
    let mut statements = Vec::new();
    let mut open: Option<String> = None;
    for (_, line) in source.code() {
        let line = line.trim();
        let begins = ["use ", "pub use ", "pub(super) use ", "pub(crate) use "];
        if open.is_none() && begins.iter().any(|begin| line.starts_with(begin)) {
            open = Some(String::new());
        }
        if let Some(text) = &mut open {
            text.push_str(line);
            text.push(' ');
            if line.ends_with(';') {
                statements.extend(open.take());
            }
        }
    }
    statements
}

/// Paths that begin with `super::` or `crate::` outside `use` statements.
fn paths_in_code(source: &Source) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (_, line) in source.code() {
        if line.contains("use ") {
            continue;
        }
        for start in ["super::", "crate::"] {
            for (at, _) in line.match_indices(start) {
                let is_first =
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || ":_".contains(c));
                if is_first {
                    let path = line[at..]
                        .split(|c: char| !c.is_alphanumeric() && !":_".contains(c))
                        .next();
                    paths.extend(path.map(segments));
                }
            }
        }
    }
    paths
}

fn segments(path: &str) -> Vec<String> {
    path.split("::")
        .filter(|part| !part.is_empty())
        .map(str::to_string)
        .collect()
}

/// `a::{b, c::{self, D as E}}` as `a::b`, `a::c`, `a::c::D`.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let Some((head, rest)) = tree.split_once('{') else {
        let plain = tree.split(" as ").next().unwrap_or(tree).trim();
        let path = segments(plain);
        let path: Vec<_> = path
            .into_iter()
            .filter(|part| part != "*" && !(part == "self" && plain != "self"))
            .collect();
        return vec![path];
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let mut found = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    let whole = format!("{}{}", head.trim(), inner[start..at].trim());
                    found.extend(expand(&whole));
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// The groups of modules that reach each other, each as a line.
fn circles(edges: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) -> Vec<Vec<Vec<String>>> {
    let reach: BTreeMap<_, _> = edges
        .keys()
        .map(|start| {
            let mut seen = BTreeSet::new();
            let mut next = vec![start.clone()];
            while let Some(module) = next.pop() {
                for target in edges.get(&module).into_iter().flatten() {
                    if seen.insert(target.clone()) {
                        next.push(target.clone());
                    }
                }
            }
            (start.clone(), seen)
        })
        .collect();
    let mut groups = BTreeSet::new();
    for (module, reached) in &reach {
        if reached.contains(module) {
            let both = |other: &&Vec<String>| {
                reach
                    .get(*other)
                    .is_some_and(|theirs| theirs.contains(module))
            };
            groups.insert(reached.iter().filter(both).cloned().collect::<Vec<_>>());
        }
    }
    groups.into_iter().collect()
}

fn named(module: &[String]) -> String {
    match module {
        [] => String::from("lib"),
        parts => parts.join("/"),
    }
}

#[test]
fn no_file_imports_itself_through_others() {
    let modules = Modules::read(sources(&["src"]));
    let found = circles(&modules.edges());
    let findings = found.iter().map(|circle| {
        let names: Vec<_> = circle.iter().map(|module| named(module)).collect();
        format!("a circle of imports: {}", names.join(", "))
    });
    assert_none(findings.collect());
}

/// A test that cannot fail proves nothing: circles put back are found, in each form an import takes.
#[test]
fn a_circle_put_back_is_found() {
    let circle = |files: &[(&str, &str)]| {
        let source = |(path, text): &(&str, &str)| Source {
            path: root().join("src").join(path),
            text: text.to_string(),
        };
        let modules = Modules::read(files.iter().map(source).collect());
        let mut found: Vec<String> = circles(&modules.edges())
            .concat()
            .iter()
            .map(|m| named(m))
            .collect();
        found.sort();
        found.join(" ")
    };
    let plain = [
        ("a/mod.rs", "mod one;\nmod two;\npub use one::One;\n"),
        (
            "a/one.rs",
            "use super::two::{\n    Two,\n};\npub struct One;\n",
        ),
        ("a/two.rs", "use std::io;\npub struct Two;\n"),
    ];
    assert_eq!(circle(&plain), "");
    let back = |text: &'static str| {
        let mut files = plain;
        files[2].1 = text;
        circle(&files)
    };
    assert_eq!(back("use super::one::One;"), "a/one a/two");
    assert_eq!(back("use super::One;"), "a/one a/two");
    assert_eq!(
        back("use crate::a::{self, One as Other};"),
        "a/one a/two",
        "through the re-export"
    );
    assert_eq!(
        back("fn f() -> crate::a::one::One { todo() }"),
        "a/one a/two"
    );
    assert_eq!(back("// use super::one::One;\n"), "");
    assert_eq!(back("#[cfg(test)]\nuse super::one::One;\n"), "");
    let parent = [
        ("a/mod.rs", "mod one;\nuse one::One;\npub struct Here;\n"),
        ("a/one.rs", "use super::Here;\npub struct One;\n"),
    ];
    assert_eq!(circle(&parent), "a a/one");
}
