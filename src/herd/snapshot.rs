//! The table as a file: a line for each record, with a checksum that also covers all before it.
//! Pure.
//!
//! ```text
//! herd snapshot 1
//! 5ab21c0e AT Clark +0.263873386 kiwi.cs.ucla.edu +34.068930-118.445127 1621464827.959498503
//! 9e01d3f7 end 1
//! ```
//!
//! A file that was cut or damaged is good up to the first line whose checksum is wrong; what comes
//! behind is not believed, and the reader says so. A table needs no more than that: any part of it
//! is a table, which the neighbours complete.

use std::io::Write;

/// What a snapshot begins with; a later form will have a later number.
const FIRST_LINE: &[u8] = b"herd snapshot 1\n";

/// Writes a snapshot, record by record.
#[derive(Debug, Default)]
pub struct SnapshotWriter {
    checksum: Checksum,
    records: u64,
}

impl SnapshotWriter {
    /// Begins one.
    pub fn begin(out: &mut Vec<u8>) -> SnapshotWriter {
        out.extend_from_slice(FIRST_LINE);
        SnapshotWriter::default()
    }

    /// Appends a record: an AT line, LF included.
    pub fn record(&mut self, line: &[u8], out: &mut Vec<u8>) {
        self.records += 1;
        self.line(line, out);
    }

    /// Ends it.
    pub fn end(mut self, out: &mut Vec<u8>) {
        let line = format!("end {}\n", self.records);
        self.line(line.as_bytes(), out);
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        self.checksum.add(line);
        // A Vec takes everything.
        let _ = write!(out, "{:08x} ", self.checksum.0);
        out.extend_from_slice(line);
    }
}

/// Reads a snapshot: its records, as AT lines with their LF, up to the first damage.
#[derive(Debug)]
pub struct SnapshotReader<'a> {
    bytes: &'a [u8],
    position: usize,
    checksum: Checksum,
    records: u64,
    over: bool,
    damage: Option<String>,
}

impl<'a> SnapshotReader<'a> {
    /// Reads these bytes; none at all are an empty table.
    pub fn new(bytes: &'a [u8]) -> SnapshotReader<'a> {
        let mut reader = SnapshotReader {
            bytes,
            position: FIRST_LINE.len(),
            checksum: Checksum::default(),
            records: 0,
            over: bytes.is_empty(),
            damage: None,
        };
        if !bytes.is_empty() && !bytes.starts_with(FIRST_LINE) {
            reader.position = 0;
            reader.stop("expected \"herd snapshot 1\"");
        }
        reader
    }

    /// What is wrong with it, and where; to be asked after the last record.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    fn stop(&mut self, what: &str) {
        self.over = true;
        self.damage = Some(format!("byte {}: {what}", self.position));
    }

    /// The next line, if its checksum is right.
    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.position..];
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
            self.stop("it is cut here");
            return None;
        };
        let (line, mut checksum) = (&rest[..=end], self.checksum);
        let (stated, content) = line.split_at_checked(9).unwrap_or((line, b""));
        checksum.add(content);
        if stated != format!("{:08x} ", checksum.0).as_bytes() {
            self.stop("the checksum is wrong");
            return None;
        }
        self.checksum = checksum;
        Some(content)
    }
}

impl<'a> Iterator for SnapshotReader<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.over {
            return None;
        }
        let start = self.position;
        let content = self.line()?;
        if content.starts_with(b"AT ") {
            self.position = start + 9 + content.len();
            self.records += 1;
            return Some(content);
        }
        self.over = true;
        self.position = start + 9 + content.len();
        if content != format!("end {}\n", self.records).as_bytes() {
            self.position = start;
            self.stop("expected a record, or the end");
        } else if self.position < self.bytes.len() {
            self.stop("something stands behind the end");
        }
        None
    }
}

/// FNV-1a of 32 bits: each of its steps can be undone, so that one changed byte always shows.
#[derive(Clone, Copy, Debug)]
struct Checksum(u32);

impl Default for Checksum {
    fn default() -> Checksum {
        Checksum(0x811c_9dc5)
    }
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(records: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
        let line = |n| format!("AT Clark +0.1 id-{n} +1-1 {n}.5\n").into_bytes();
        let lines: Vec<_> = (0..records).map(line).collect();
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::begin(&mut bytes);
        for line in &lines {
            writer.record(line, &mut bytes);
        }
        writer.end(&mut bytes);
        (lines, bytes)
    }

    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<String>) {
        let mut reader = SnapshotReader::new(bytes);
        let lines = reader.by_ref().map(<[u8]>::to_vec).collect();
        (lines, reader.damage().map(str::to_string))
    }

    #[test]
    fn what_is_written_is_read() {
        for records in [0, 1, 7] {
            let (lines, bytes) = sample(records);
            assert_eq!(read(&bytes), (lines, None));
        }
        assert_eq!(read(b""), (Vec::new(), None));
    }

    #[test]
    fn cut_at_each_byte_it_is_a_prefix_and_says_so() {
        let (lines, bytes) = sample(20);
        for cut in 1..bytes.len() {
            let (found, damage) = read(&bytes[..cut]);
            assert_eq!(found, lines[..found.len()], "cut at {cut}");
            assert!(damage.is_some(), "cut at {cut}: nothing was said");
        }
    }

    #[test]
    fn each_flipped_bit_is_seen() {
        let (lines, bytes) = sample(20);
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (found, damage) = read(&bytes);
            assert_eq!(found, lines[..found.len()], "bit {bit}");
            assert!(damage.is_some(), "bit {bit}: nothing was said");
        }
    }

    #[test]
    fn what_stands_behind_the_end_is_said() {
        let (lines, mut bytes) = sample(2);
        bytes.extend_from_slice(b"x");
        let (found, damage) = read(&bytes);
        assert_eq!(found, lines);
        assert!(damage.is_some_and(|text| text.contains("behind the end")));
        assert!(read(b"AT Clark\n").1.is_some());
    }
}
