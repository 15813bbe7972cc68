//! How servers of the course write an AT line. Pure.

use super::wire::is_white_space;

/// Fields of an AT line; some servers let more follow: whom it has visited, who sent it.
const FIELDS: usize = 6;

/// Such a line, without its LF, in the form that the grammar has: no fields behind the sixth, and a sign
/// before a skew that has none (`0.0014`, `1e-05`). `None`: it is no AT line.
pub fn course_form(line: &[u8]) -> Option<Vec<u8>> {
    let fields = line.split(|&byte| is_white_space(byte));
    let mut fields = fields.filter(|field| !field.is_empty());
    let mut form = Vec::new();
    for number in 0..FIELDS {
        let field = fields.next()?;
        match number {
            0 if field != b"AT" => return None,
            0 => {}
            _ => form.push(b' '),
        }
        if number == 2 && field[0].is_ascii_digit() {
            form.push(b'+');
        }
        form.extend_from_slice(field);
    }
    Some(form)
}

#[cfg(test)]
mod tests {
    use super::super::wire::Command;
    use super::*;

    #[test]
    fn a_line_of_the_course_becomes_one_of_ours() {
        for (line, ours) in [
            ("AT B 0.0014 a +1-1 5", "AT B +0.0014 a +1-1 5"),
            ("AT B 1e-05 a +1-1 5 B,C", "AT B +1e-05 a +1-1 5"),
            ("AT B -0.1 a +1-1 5 from B C\r", "AT B -0.1 a +1-1 5"),
            ("\tAT  B +3 a\x0b+1-1 5 \u{a0}", "AT B +3 a +1-1 5"),
        ] {
            let form = course_form(line.as_bytes()).expect("an AT line");
            assert_eq!(form, ours.as_bytes(), "{line:?}");
            assert!(matches!(Command::parse(&form), Some(Command::At(_))));
        }
    }

    #[test]
    fn what_is_no_at_line_stays_none() {
        for line in [
            "",
            "AT",
            "AT B 0.1 a +1-1",
            "at B 0.1 a +1-1 5",
            "IAMAT a +1-1 5 b c",
        ] {
            assert_eq!(course_form(line.as_bytes()), None, "{line:?}");
        }
        // These have its shape, and the grammar refuses them as ever.
        for line in [
            "AT B x a +1-1 5",
            "AT B 0.1 a 1-1 5",
            "AT B 1e a +1-1 5",
            "AT B 0.1 a +1-1 -5",
        ] {
            let form = course_form(line.as_bytes()).expect("six fields");
            assert_eq!(Command::parse(&form), None, "{line:?}");
        }
    }
}
