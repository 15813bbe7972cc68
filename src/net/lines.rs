//! Lines out of bytes that arrive in any pieces. Pure. (asyncio: streams.StreamReader.)

/// The longest line, its LF not counted. (asyncio: streams' `_DEFAULT_LIMIT`.)
pub const LINE_MAX: usize = 64 * 1024;

/// What stands at the front of some input.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A whole line without its LF.
    Line(&'a [u8]),
    /// Part of a line.
    Partial,
    /// A line longer than [`LINE_MAX`], finished or not.
    TooLong,
}

/// Looks for a line at the front of `input`.
pub fn next_line(input: &[u8]) -> Next<'_> {
    let window = &input[..input.len().min(LINE_MAX + 1)];
    match memchr::memchr(b'\n', window) {
        Some(end) => Next::Line(&window[..end]),
        None if window.len() > LINE_MAX => Next::TooLong,
        None => Next::Partial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_lf_and_nowhere_else() {
        assert_eq!(next_line(b"a\rb\n c\n"), Next::Line(b"a\rb"));
        assert_eq!(next_line(b"\n"), Next::Line(b""));
        assert_eq!(next_line(b""), Next::Partial);
        assert_eq!(next_line(b"abc"), Next::Partial);
    }

    #[test]
    fn the_limit_is_exact() {
        let mut input = vec![b'x'; LINE_MAX];
        assert_eq!(next_line(&input), Next::Partial);
        input.push(b'\n');
        assert_eq!(next_line(&input), Next::Line(&input[..LINE_MAX]));
        input[LINE_MAX] = b'x';
        input.push(b'\n');
        assert_eq!(next_line(&input), Next::TooLong);
    }
}
