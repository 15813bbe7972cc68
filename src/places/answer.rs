//! The frame of a WHATSAT answer. Pure.

/// What a client gets instead of Google's JSON when there is none that could be used: the legacy
/// API's own way to say that something went wrong, and may go right next time.
pub const UNKNOWN_ERROR: &[u8] =
    br#"{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR"}"#;

/// Frames the JSON at `out[start..]` as the protocol wants it: every run of newlines becomes one,
/// trailing ones go, and two newlines end it. CRLF counts as a newline. Newlines inside JSON
/// strings are escaped there, so they are not touched.
pub fn frame(out: &mut Vec<u8>, start: usize) {
    let mut write = start;
    let mut read = start;
    while read < out.len() {
        let newline = newline_len(&out[read..]);
        if newline == 0 {
            out[write] = out[read];
            write += 1;
            read += 1;
            continue;
        }
        read += newline;
        if write == start || out[write - 1] != b'\n' {
            out[write] = b'\n';
            write += 1;
        }
    }
    while write > start && out[write - 1] == b'\n' {
        write -= 1;
    }
    out.truncate(write);
    out.extend_from_slice(b"\n\n");
}

fn newline_len(bytes: &[u8]) -> usize {
    match bytes {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_newlines_become_one_and_two_end_it() {
        for (body, framed) in [
            ("{}", "{}\n\n"),
            ("{}\n", "{}\n\n"),
            ("{\n\n\n}\n\n\n", "{\n}\n\n"),
            ("{\r\n\r\n}\r\n", "{\n}\n\n"),
            ("\n{}", "\n{}\n\n"),
            ("{\n\r\n\n \n}", "{\n \n}\n\n"),
            ("\r{}\r", "\r{}\r\n\n"),
            ("", "\n\n"),
        ] {
            let mut out = [b"before\n", body.as_bytes()].concat();
            frame(&mut out, 7);
            assert_eq!(
                String::from_utf8_lossy(&out),
                format!("before\n{framed}"),
                "{body:?}"
            );
        }
    }
}
