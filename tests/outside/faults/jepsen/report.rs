//! A report of a position, and the AT line that answers it.

use crate::common::{NAMES, as_time, nanos};

/// How many phones walk about.
pub const PHONES: u16 = 150;

/// A report, as the herd compares it: by time, then by server name (`NAMES` is sorted), then by
/// position. A position is the serial number of its report in nine digits: no two are equal, and one
/// that nobody sent, or that stands beside another's time, gives itself away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Report {
    /// The client's time, in nanoseconds.
    pub time: i64,
    /// The server it was sent to.
    pub server: u8,
    /// Its number.
    pub serial: u32,
}

/// A report that was sent, and what its AT line must be.
#[derive(Clone, Copy)]
pub struct Sent {
    /// Whose it is.
    pub phone: u16,
    /// What it says.
    pub report: Report,
    /// When it was sent, by the wall clock.
    pub at: i64,
    /// The skew under which it was first shown: it never changes.
    pub skew: Option<i64>,
}

impl Sent {
    /// The command that sends it.
    pub fn command(&self) -> String {
        format!("IAMAT {}\n", self.fields())
    }

    /// Its AT line with this skew.
    pub fn line(&self, skew: i64) -> String {
        let (sign, size) = (if skew < 0 { '-' } else { '+' }, skew.unsigned_abs());
        let (whole, part) = (size / 1_000_000_000, size % 1_000_000_000);
        let server = NAMES[usize::from(self.report.server)];
        let fields = self.fields();
        format!("AT {server} {sign}{whole}.{part:09} {fields}\n")
    }

    fn fields(&self) -> String {
        let Report { time, serial, .. } = self.report;
        let (name, time) = (name(self.phone), as_time(i128::from(time)));
        format!("{name} +34.{serial:09}-118.445127 {time}")
    }
}

/// The id of a phone.
pub fn name(phone: u16) -> String {
    format!("phone-{phone}")
}

/// The phone with this id.
pub fn phone(name: &str) -> Option<u16> {
    name.strip_prefix("phone-")?.parse().ok()
}

/// The skew, the id and the serial number in an AT line, as far as it is one.
pub fn parts(line: &str) -> Option<(i64, &str, usize)> {
    let mut fields = line.strip_prefix("AT ")?.strip_suffix('\n')?.split(' ');
    let (skew, name) = (fields.nth(1)?, fields.next()?);
    let position = fields.next()?.strip_prefix("+34.")?;
    let serial = position.split_once('-')?.0.parse().ok()?;
    Some((skew.replace('.', "").parse().ok()?, name, serial))
}

/// The wall clock.
pub fn wall() -> i64 {
    i64::try_from(nanos()).expect("a year before 2262")
}
