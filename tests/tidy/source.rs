//! The source, as text.

use std::fs;
use std::path::{Path, PathBuf};

/// One file.
pub struct Source {
    pub path: PathBuf,
    pub text: String,
}

impl Source {
    /// The lines of code: without comments, and without the unit tests at the end.
    pub fn code(&self) -> Vec<(usize, &str)> {
        let is_comment = |line: &str| line.trim_start().starts_with("//");
        let lines = self
            .text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"));
        let numbered = lines.enumerate().map(|(index, line)| (index + 1, line));
        numbered.filter(|(_, line)| !is_comment(line)).collect()
    }

    /// Its path below `src`.
    pub fn inside(&self) -> &Path {
        let inside = self.path.strip_prefix(root().join("src"));
        inside.expect("below src")
    }

    /// `net` for `src/net/lines.rs` and for `src/net.rs`.
    pub fn floor(&self) -> String {
        let first = self.inside().components().next().expect("a component");
        first
            .as_os_str()
            .to_string_lossy()
            .trim_end_matches(".rs")
            .to_string()
    }
}

/// The package's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below these folders.
pub fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        collect(&root().join(folder), &mut found);
    }
    assert!(!found.is_empty(), "no source was found");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    if folder.is_file() {
        let text = fs::read_to_string(folder).expect("UTF-8");
        let path = folder.to_path_buf();
        return found.push(Source { path, text });
    }
    for entry in fs::read_dir(folder).expect("a folder that can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("UTF-8");
            found.push(Source { path, text });
        }
    }
}

/// Fails with all findings, not with the first.
pub fn assert_none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}
