//! The grammar of a line. Pure.

use std::cmp::Ordering;

use super::geo::Position;
use super::time::Decimal;
use crate::scan;

/// The longest client id, in bytes.
pub const ID_MAX: usize = 4096;
/// The largest radius that WHATSAT takes, in metres.
pub const RADIUS_MAX_METRES: u64 = 50_000;
/// The largest number of results that WHATSAT takes.
pub const BOUND_MAX: u64 = 20;

/// A valid line, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// A client says where it is.
    Iamat(Report<'a>),
    /// A client asks what is near another.
    Whatsat(Question<'a>),
    /// A server passes a report on.
    At(At<'a>),
    /// A server says its name.
    Peer(&'a [u8]),
}

/// A client's report: where it was, and when by its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// Any bytes but white space, at most [`ID_MAX`].
    pub id: &'a [u8],
    /// Where it was.
    pub position: Position<'a>,
    /// POSIX seconds by the client's clock.
    pub time: Decimal<'a>,
}

/// WHATSAT's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// Whom it asks about.
    pub id: &'a [u8],
    /// How far around, in metres: at most [`RADIUS_MAX_METRES`], fractions of a metre cut off.
    pub radius_metres: u32,
    /// How many results at most: at most [`BOUND_MAX`].
    pub bound: u8,
}

/// An AT line: a report as a server took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<'a> {
    /// The server that took it.
    pub server: &'a [u8],
    /// That server's time minus the client's, as the server wrote it.
    pub skew: &'a [u8],
    /// The report.
    pub report: Report<'a>,
}

impl<'a> At<'a> {
    /// Reads back a line that [`At::write`] made, without checking it again.
    pub fn stored(line: &'a [u8]) -> Option<At<'a>> {
        let mut fields = line
            .strip_suffix(b"\n")?
            .split(|&byte| byte == b' ')
            .skip(1);
        Some(At {
            server: fields.next()?,
            skew: fields.next()?,
            report: Report {
                id: fields.next()?,
                position: Position::stored(fields.next()?),
                time: Decimal::parse(fields.next()?)?,
            },
        })
    }

    /// Where the client's id stands in the line that [`At::write`] makes.
    pub fn id_offset(&self) -> usize {
        "AT ".len() + self.server.len() + 1 + self.skew.len() + 1
    }

    /// The total order of the herd's table: of two reports of one client the greater wins, on
    /// every server. By time, server, position, skew, whole line; and of two lines that agree in
    /// the first four, only the way the time is written can differ.
    pub fn precedence(&self, other: &At<'_>) -> Ordering {
        (self.report.time.cmp(&other.report.time))
            .then_with(|| self.server.cmp(other.server))
            .then_with(|| {
                self.report
                    .position
                    .as_bytes()
                    .cmp(other.report.position.as_bytes())
            })
            .then_with(|| self.skew.cmp(other.skew))
            .then_with(|| {
                self.report
                    .time
                    .as_bytes()
                    .cmp(other.report.time.as_bytes())
            })
    }

    /// Appends the line in its one form, LF included.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Report { id, position, time } = self.report;
        out.extend_from_slice(b"AT ");
        for field in [self.server, self.skew, id, position.as_bytes()] {
            out.extend_from_slice(field);
            out.push(b' ');
        }
        out.extend_from_slice(time.as_bytes());
        out.push(b'\n');
    }
}

/// Exactly the six bytes that separate fields. (Python's split takes FS, GS and NBSP as well.)
pub fn is_white_space(byte: u8) -> bool {
    const BITS: u64 = 1 << b' ' | 1 << b'\t' | 1 << b'\r' | 1 << b'\n' | 1 << 0x0b | 1 << 0x0c;
    byte <= b' ' && BITS >> byte & 1 == 1
}

/// The most fields that a command has: AT and its five.
const FIELDS_MAX: usize = 6;

/// Splits a line at its white space. `None`: there are more fields than any command has.
fn split<'a>(line: &'a [u8], fields: &mut [&'a [u8]; FIELDS_MAX]) -> Option<usize> {
    let mut count = 0;
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        if is_white_space(byte) {
            at += 1;
            continue;
        }
        let start = at;
        at = loop {
            match scan::space_or_below(&line[at..]) {
                None => break line.len(),
                Some(found) if is_white_space(line[at + found]) => break at + found,
                // Another control byte is one of the field's.
                Some(found) => at += found + 1,
            }
        };
        *fields.get_mut(count)? = &line[start..at];
        count += 1;
    }
    Some(count)
}

impl<'a> Command<'a> {
    /// Reads a line without its LF. `None`: the command is invalid.
    pub fn parse(line: &'a [u8]) -> Option<Command<'a>> {
        let mut fields = [&b""[..]; FIELDS_MAX];
        let count = split(line, &mut fields)?;
        match fields[..count] {
            [b"IAMAT", id, position, time] => Some(Command::Iamat(report(id, position, time)?)),
            [b"WHATSAT", id, radius, bound] => Some(Command::Whatsat(question(id, radius, bound)?)),
            [b"AT", server, skew, id, position, time] => Some(Command::At(At {
                server,
                skew: is_skew(skew).then_some(skew)?,
                report: report(id, position, time)?,
            })),
            [b"PEER", name] => Some(Command::Peer(name)),
            _ => None,
        }
    }
}

fn report<'a>(id: &'a [u8], position: &'a [u8], time: &'a [u8]) -> Option<Report<'a>> {
    Some(Report {
        id: (id.len() <= ID_MAX).then_some(id)?,
        position: Position::parse(position)?,
        time: Decimal::parse(time)?,
    })
}

fn question<'a>(id: &'a [u8], radius: &[u8], bound: &[u8]) -> Option<Question<'a>> {
    let radius = Decimal::parse(radius)?;
    let limit = Decimal::parse(b"50")?;
    if id.len() > ID_MAX || radius > limit || !bound.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let bound = Decimal::parse(bound)?
        .scaled(0)
        .filter(|&bound| bound <= BOUND_MAX)?;
    Some(Question {
        id,
        radius_metres: u32::try_from(radius.scaled(3)?).ok()?,
        bound: u8::try_from(bound).ok()?,
    })
}

/// A sign, digits, perhaps a point and digits, perhaps an exponent: course servers print floats
/// (`+1e-05`), and the text is only ever copied and compared by the byte.
fn is_skew(text: &[u8]) -> bool {
    let [b'+' | b'-', number @ ..] = text else {
        return false;
    };
    let Some(e) = number.iter().position(|b| matches!(b, b'e' | b'E')) else {
        return Decimal::parse(number).is_some();
    };
    let exponent = match &number[e + 1..] {
        [b'+' | b'-', digits @ ..] => digits,
        digits => digits,
    };
    Decimal::parse(&number[..e]).is_some()
        && !exponent.is_empty()
        && exponent.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid(line: &str) -> bool {
        Command::parse(line.as_bytes()).is_some()
    }

    #[test]
    fn fields_are_separated_by_exactly_six_bytes() {
        assert!(valid("\t IAMAT\x0ba\x0c+1-1\r\r5 "));
        let with_fs = Command::parse(b"IAMAT a\x1cb\xa0\x00\xff +1-1 5");
        assert!(
            matches!(with_fs, Some(Command::Iamat(report)) if report.id == b"a\x1cb\xa0\x00\xff")
        );
        assert!(!valid("") && !valid("  ") && !valid("IAMAT\u{85}a +1-1 5"));
        let separators = (0..=u8::MAX).filter(|&byte| is_white_space(byte));
        assert_eq!(separators.collect::<Vec<_>>(), b"\t\n\x0b\x0c\r ");
    }

    #[test]
    fn each_command_has_its_number_of_fields() {
        for good in [
            "IAMAT a +1-1 5",
            "WHATSAT a 1 1",
            "AT B +0.1 a +1-1 5",
            "PEER Bona",
        ] {
            assert!(valid(good), "{good}");
            assert!(!valid(&format!("{good} more")), "{good} more");
            assert!(!valid(&good.to_lowercase()), "{good} in lower case");
            let (shorter, _) = good.rsplit_once(' ').expect("two fields");
            assert!(!valid(shorter), "{shorter}");
        }
        assert!(!valid("IAMAT a b c d e f g h"));
    }

    #[test]
    fn the_limits_of_whatsat() {
        for good in ["a 50 20", "a 0 0", "a 050 020", "a 2.5 1", "a 50.000 1"] {
            assert!(valid(&format!("WHATSAT {good}")), "{good}");
        }
        for bad in [
            "a 50.0001 1",
            "a 51 1",
            "a 1 21",
            "a -1 1",
            "a 1 -1",
            "a +1 1",
            "a 1 1.0",
            "a x 1",
        ] {
            assert!(!valid(&format!("WHATSAT {bad}")), "{bad}");
        }
        let question = Command::parse(b"WHATSAT a 2.5 020");
        let wanted = Question {
            id: b"a",
            radius_metres: 2500,
            bound: 20,
        };
        assert_eq!(question, Some(Command::Whatsat(wanted)));
    }

    #[test]
    fn ids_have_a_limit() {
        assert!(valid(&format!("IAMAT {} +1-1 5", "x".repeat(ID_MAX))));
        assert!(!valid(&format!("IAMAT {} +1-1 5", "x".repeat(ID_MAX + 1))));
        assert!(valid(&format!("WHATSAT {} 1 1", "x".repeat(ID_MAX))));
        assert!(!valid(&format!("WHATSAT {} 1 1", "x".repeat(ID_MAX + 1))));
    }

    #[test]
    fn skews_of_course_servers_pass() {
        for good in ["+0.1", "-1", "+1e-05", "+1.5E+3"] {
            assert!(valid(&format!("AT B {good} a +1-1 5")), "{good}");
        }
        for bad in ["0.1", "+", "+e5", "+1e", "+nan", "+1e5.5"] {
            assert!(!valid(&format!("AT B {bad} a +1-1 5")), "{bad}");
        }
    }

    #[test]
    fn a_line_written_reads_back_the_same() {
        let line =
            b"AT Bona -0.000000001 kiwi.cs.ucla.edu +34.068930-118.445127 1621464827.959498503";
        let Some(Command::At(at)) = Command::parse(line) else {
            panic!("not AT")
        };
        let mut out = Vec::new();
        at.write(&mut out);
        assert_eq!(out, [&line[..], b"\n"].concat());
        assert_eq!(At::stored(&out), Some(at));
    }
}
