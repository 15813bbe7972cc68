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
    /// The three as they came, if they came as [`Report::write`] writes them; else nothing.
    written: &'a [u8],
}

impl Report<'_> {
    /// Appends the three fields in their one form, a space between them.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        if !self.written.is_empty() {
            return out.extend_from_slice(self.written);
        }
        out.extend_from_slice(self.id);
        out.push(b' ');
        out.extend_from_slice(self.position.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.time.as_bytes());
    }

    /// Where the three fields begin in an AT line that [`At::write`] made.
    pub fn offset_in(&self, line: &[u8]) -> usize {
        let (position, time) = (self.position.as_bytes(), self.time.as_bytes());
        line.len() - (self.id.len() + 1 + position.len() + 1 + time.len() + 1)
    }
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
        let (_, rest) = split_once(line.strip_suffix(b"\n")?)?;
        let (server, rest) = split_once(rest)?;
        let (skew, written) = split_once(rest)?;
        let (id, rest) = split_once(written)?;
        let (position, time) = split_once(rest)?;
        let report = Report {
            id,
            position: Position::stored(position),
            time: Decimal::parse(time)?,
            written,
        };
        Some(At {
            server,
            skew,
            report,
        })
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
        out.extend_from_slice(b"AT ");
        out.extend_from_slice(self.server);
        out.push(b' ');
        out.extend_from_slice(self.skew);
        out.push(b' ');
        self.report.write(out);
        out.push(b'\n');
    }
}

/// What stands before the first space, and behind it.
fn split_once(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(|&byte| byte == b' ')?;
    Some((&text[..space], &text[space + 1..]))
}

/// Exactly the six bytes that separate fields. (Python's split takes FS, GS and NBSP as well.)
pub fn is_white_space(byte: u8) -> bool {
    const BITS: u64 = 1 << b' ' | 1 << b'\t' | 1 << b'\r' | 1 << b'\n' | 1 << 0x0b | 1 << 0x0c;
    byte <= b' ' && BITS >> byte & 1 == 1
}

/// Reads a line field by field, each where it stands.
struct Fields<'a> {
    line: &'a [u8],
    /// What was read ends here.
    at: usize,
    /// Single spaces have separated all fields so far, as in the one form of a line.
    single: bool,
    /// The line's end is not known, and only its one form is looked for.
    in_front: bool,
}

impl<'a> Fields<'a> {
    fn of(line: &'a [u8]) -> Fields<'a> {
        Fields {
            line,
            at: 0,
            single: true,
            in_front: false,
        }
    }

    /// Passes over white space; false if there was none.
    #[inline(always)]
    fn gap(&mut self) -> bool {
        match self.line.get(self.at..) {
            Some([b' ', next, ..]) if !is_white_space(*next) => {
                self.at += 1;
                true
            }
            _ => self.any_gap(),
        }
    }

    fn any_gap(&mut self) -> bool {
        let start = self.at;
        if self.in_front {
            // LFs are white space too: here they would be walked over again for every line.
            return false;
        }
        let rest = self.line[start..].iter();
        self.at += rest.take_while(|&&byte| is_white_space(byte)).count();
        let some = self.at > start;
        self.single &= !some;
        some
    }

    /// The field that begins here.
    #[inline(always)]
    fn field(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        loop {
            match scan::space_or_below(&self.line[self.at..]) {
                None => break self.at = self.line.len(),
                Some(found) => self.at += found,
            }
            if is_white_space(self.line[self.at]) {
                break;
            }
            // Another control byte is one of the field's.
            self.at += 1;
        }
        (self.at > start).then(|| &self.line[start..self.at])
    }

    /// The first field: the command. What nearly all lines begin with is seen at one glance.
    #[inline(always)]
    fn verb(&mut self) -> Option<&'a [u8]> {
        for verb in [&b"IAMAT"[..], b"AT"] {
            if self.line.starts_with(verb) && self.line.get(verb.len()) == Some(&b' ') {
                self.at = verb.len();
                return Some(verb);
            }
        }
        self.any_gap();
        self.field()
    }

    /// The next field.
    #[inline(always)]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.gap();
        self.field()
    }

    /// Three fields: who was where, when. What follows the time, if anything, was not looked at.
    #[inline(always)]
    fn report(&mut self) -> Option<Report<'a>> {
        let id = self.next().filter(|id| id.len() <= ID_MAX)?;
        let start = self.at - id.len();
        self.gap();
        let (position, rest) = Position::in_front(&self.line[self.at..])?;
        self.at = self.line.len() - rest.len();
        if !self.gap() {
            return None;
        }
        let (time, rest) = Decimal::in_front(&self.line[self.at..])?;
        self.at = self.line.len() - rest.len();
        let written = match self.single {
            true => &self.line[start..self.at],
            false => &[],
        };
        Some(Report {
            id,
            position,
            time,
            written,
        })
    }

    /// Three fields: about whom, how far around, how many at most.
    fn question(&mut self) -> Option<Question<'a>> {
        let id = self.next().filter(|id| id.len() <= ID_MAX)?;
        let radius = Decimal::parse(self.next()?)?;
        let bound = self.next()?;
        if radius > Decimal::parse(b"50")? || !bound.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let bound = Decimal::parse(bound)?.scaled(0)?;
        Some(Question {
            id,
            radius_metres: u32::try_from(radius.scaled(3)?).ok()?,
            bound: u8::try_from(bound).ok().filter(|_| bound <= BOUND_MAX)?,
        })
    }

    /// All fields of a command. What follows them, if anything, was not looked at.
    #[inline(always)]
    fn command(&mut self) -> Option<Command<'a>> {
        Some(match self.verb()? {
            b"IAMAT" => Command::Iamat(self.report()?),
            b"AT" => Command::At(At {
                server: self.next()?,
                skew: self.next().filter(|skew| is_skew(skew))?,
                report: self.report()?,
            }),
            b"WHATSAT" => Command::Whatsat(self.question()?),
            b"PEER" => Command::Peer(self.next()?),
            _ => return None,
        })
    }
}

impl<'a> Command<'a> {
    /// Reads a line without its LF. `None`: the command is invalid.
    pub fn parse(line: &'a [u8]) -> Option<Command<'a>> {
        let mut fields = Fields::of(line);
        let command = fields.command()?;
        fields.any_gap();
        (fields.at == line.len()).then_some(command)
    }

    /// Reads the line that `input` begins with, if it is valid and has single spaces and an LF, as nearly
    /// all have: so it need not be searched for its end before. How long it is without its LF. `None`
    /// says nothing: look for a line, and [`parse`](Command::parse) it.
    #[inline]
    pub fn in_front(input: &'a [u8]) -> Option<(Command<'a>, usize)> {
        let mut fields = Fields {
            in_front: true,
            ..Fields::of(input)
        };
        let command = fields.command()?;
        let is_line = input.get(fields.at) == Some(&b'\n');
        is_line.then_some((command, fields.at))
    }
}

/// A sign, digits, perhaps a point and digits, perhaps an exponent: course servers print floats
/// (`+1e-05`), and the text is only ever copied and compared by the byte.
fn is_skew(text: &[u8]) -> bool {
    let [b'+' | b'-', number @ ..] = text else {
        return false;
    };
    let Some((_, rest)) = Decimal::in_front(number) else {
        return false;
    };
    let exponent = match rest {
        [] => return true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] => exponent,
        [b'e' | b'E', exponent @ ..] => exponent,
        _ => return false,
    };
    !exponent.is_empty() && exponent.iter().all(u8::is_ascii_digit)
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
    fn white_space_in_front_is_not_walked_over() {
        let blanks = [b"PEER", &b"\n".repeat(1 << 20)[..]].concat();
        let mut fields = Fields {
            in_front: true,
            ..Fields::of(&blanks)
        };
        assert!(fields.command().is_none());
        assert_eq!(fields.at, b"PEER".len());
        assert_eq!(Command::in_front(&blanks[4..]), None);
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
