//! What is left of a line of a file of cases. Pure.

use std::time::Duration;

use super::text::Text;

/// What is left of a line.
pub struct Words<'a>(pub &'a str);

impl<'a> Words<'a> {
    /// The next word; empty if there is none.
    pub fn word(&mut self) -> &'a str {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest.trim_start();
        word
    }

    /// What stands between two quotation marks.
    ///
    /// # Errors
    /// One is missing.
    pub fn quoted(&mut self) -> Result<&'a str, String> {
        let inside = self
            .0
            .strip_prefix('"')
            .ok_or("a quotation mark is missing")?;
        let mut escaped = false;
        let end = inside.find(|it| {
            let is_end = it == '"' && !escaped;
            escaped = it == '\\' && !escaped;
            is_end
        });
        let end = end.ok_or("a quotation mark is missing")?;
        self.0 = inside[end + 1..].trim_start();
        Ok(&inside[..end])
    }

    /// The same, read.
    ///
    /// # Errors
    /// It is no text.
    pub fn text(&mut self) -> Result<Text, String> {
        Text::parse(self.quoted()?)
    }

    /// A whole number.
    ///
    /// # Errors
    /// It is none.
    pub fn number(&mut self) -> Result<u64, String> {
        let word = self.word();
        word.parse().map_err(|_| format!("{word:?} is no number"))
    }

    /// A number with a sign and a fraction, perhaps.
    ///
    /// # Errors
    /// It is none.
    pub fn decimal(&mut self) -> Result<f64, String> {
        let word = self.word();
        let number = word.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| format!("{word:?} is no number"))
    }

    /// Milliseconds, if there is anything left.
    ///
    /// # Errors
    /// It is no number.
    pub fn time(&mut self) -> Result<Option<Duration>, String> {
        match self.0.is_empty() {
            true => Ok(None),
            false => Ok(Some(Duration::from_millis(self.number()?))),
        }
    }
}
