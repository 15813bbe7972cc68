//! What can be counted in a peer's source: lines of code, functions, and
//! those of them that are async.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines that are neither blank nor all comment; unit tests are not counted.
pub fn lines(sources: &[PathBuf]) -> usize {
    let count = |path: &PathBuf| code(path, &fs::read_to_string(path).unwrap_or_default()).len();
    sources.iter().map(count).sum()
}

/// All functions with a name, and the async ones among them.
pub fn functions(sources: &[PathBuf]) -> (usize, usize) {
    let (mut all, mut coloured) = (0, 0);
    for path in sources {
        let text = fs::read_to_string(path).unwrap_or_default();
        for line in code(path, &text) {
            if let Some(is_async) = function(ending(path), line) {
                all += 1;
                coloured += usize::from(is_async);
            }
        }
    }
    (all, coloured)
}

fn ending(path: &Path) -> &str {
    path.extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default()
}

fn code<'t>(path: &Path, text: &'t str) -> Vec<&'t str> {
    let language = ending(path);
    let mut inside = false;
    text.lines()
        .take_while(|line| !(language == "rs" && line.starts_with("#[cfg(test)]")))
        .map(str::trim)
        .filter(|line| match language {
            "py" => is_python_code(line, &mut inside),
            _ => is_c_like_code(line, &mut inside),
        })
        .collect()
}

/// A string by itself, as at the head of a function, is a comment.
fn is_python_code(line: &str, inside: &mut bool) -> bool {
    let quotes = line.matches("\"\"\"").count();
    if *inside {
        *inside = quotes == 0;
        return false;
    }
    if line.starts_with("\"\"\"") {
        *inside = quotes == 1;
        return false;
    }
    !line.is_empty() && !line.starts_with('#')
}

fn is_c_like_code(line: &str, inside: &mut bool) -> bool {
    if *inside || line.starts_with("/*") {
        *inside = !line.contains("*/");
        return false;
    }
    !line.is_empty() && !line.starts_with("//")
}

/// Whether a line begins a function, and an async one.
fn function(language: &str, line: &str) -> Option<bool> {
    let words: Vec<&str> = line.split_ascii_whitespace().take(6).collect();
    let is_async = words.iter().take(4).any(|&word| word == "async");
    let found = match language {
        "py" => line.starts_with("def ") || line.starts_with("async def "),
        "rs" => words.iter().take(5).any(|&word| word == "fn"),
        // A method or function: a name, arguments, an opening brace.
        "mjs" | "java" => line.ends_with('{') && names_a_function(line),
        _ => false,
    };
    found.then_some(is_async)
}

fn names_a_function(line: &str) -> bool {
    let Some((head, _)) = line.split_once('(') else {
        return false;
    };
    let first = head.split_ascii_whitespace().next().unwrap_or_default();
    let control = [
        "if",
        "for",
        "while",
        "switch",
        "catch",
        "try",
        "do",
        "else",
        "}",
        "return",
        "new",
        "synchronized",
    ];
    let plain = |c: char| c.is_alphanumeric() || "_$<>[],.? #*@".contains(c);
    !control.contains(&first)
        && head.chars().all(plain)
        && !head.trim().is_empty()
        && !head.contains(" new ")
        && !line.contains("=> {")
        && !head.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blanks_are_no_code() {
        let python = "\"\"\"One\ntwo\n\"\"\"\n\n# three\nx = 1\ndef f():\n    \"\"\"four\"\"\"\n    return x\n";
        assert_eq!(
            code(Path::new("a.py"), python),
            ["x = 1", "def f():", "return x"]
        );
        let rust = "//! one\n/* two\n three */\nlet x = 1; // four\n\n#[cfg(test)]\nmod tests {}\n";
        assert_eq!(code(Path::new("a.rs"), rust), ["let x = 1; // four"]);
    }

    #[test]
    fn functions_are_found_in_each_language() {
        for (language, line, due) in [
            ("py", "async def serve(self) -> None:", Some(true)),
            ("py", "def take(self) -> None:", Some(false)),
            ("py", "x = define()", None),
            ("rs", "pub async fn keep(server: Arc<Server>) {", Some(true)),
            ("rs", "pub(crate) fn keep() {", Some(false)),
            ("mjs", "async ask({ at, line }, question) {", Some(true)),
            ("mjs", "takeLines() {", Some(false)),
            ("mjs", "if (line) {", None),
            ("mjs", "socket.on('end', () => {", None),
            (
                "java",
                "private static void take(String line) {",
                Some(false),
            ),
            ("java", "} catch (IOException error) {", None),
            ("java", "while (true) {", None),
        ] {
            assert_eq!(function(language, line), due, "{line}");
        }
    }
}
