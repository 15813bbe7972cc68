//! The location table: a last-writer-wins map whose join is the greater of two AT lines. Pure.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

use super::wire::{At, Report};

/// Records a table takes unless told otherwise (`--max-records`).
pub const RECORDS_MAX: usize = 1_000_000;
/// Bytes of AT lines a table takes.
pub const STORE_BYTES_MAX: usize = 1 << 30;

/// One part of these bytes in so many is for clients that are known: their next report may be longer,
/// and one that is refused would leave the table with an old place.
const RESERVE: usize = 16;

/// The index is split so that none of its parts takes long to grow: one map of a million entries
/// would stop the loop for tens of milliseconds when it doubles.
const SHARDS: usize = 256;

/// Says that a record has no successor in its chain.
const NONE: u32 = u32::MAX;

/// How the table joins two reports of one client that bear the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// By the total order: all servers decide alike.
    TotalOrder,
    /// The first to arrive stays, as most public implementations have it: servers can differ for
    /// ever. Only for the experiment that shows so.
    FirstArrival,
}

/// What became of a report that was offered. The number is the record's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Kept: it is news, pass it on.
    Kept(u32),
    /// Not kept: what stands there is as good or better.
    Known(u32),
    /// A new client, and the table is full; or a longer report, and its reserve is used up too.
    Full,
}

/// Who offers a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The client itself: an exact duplicate keeps the first record, skew and all.
    Client,
    /// Another server: joined by the order alone, or replicas could differ.
    Server,
}

/// One allocation a client: its AT line.
struct Record {
    line: Box<[u8]>,
    /// Where the client's id begins in it.
    id: u32,
    /// The next record of those whose ids share a hash.
    next: u32,
    /// [`billionths`](super::time::Decimal::billionths) of the report's time: nearly all that comes
    /// is decided by it.
    billionths: u64,
}

impl Record {
    fn is_of(&self, id: &[u8]) -> bool {
        let said = self.line[self.id as usize..].strip_prefix(id);
        said.is_some_and(|behind| behind.first() == Some(&b' '))
    }
}

/// The table. Records never move and never go: a position names one client for ever, and a dump
/// can walk positions across turns while the table grows.
pub struct Store {
    records: Vec<Record>,
    /// From half of an id's hash to the first record of its chain: half, since twice as much of the index is
    /// then in the caches, where most of a lookup's time goes. Never iterated.
    index: Vec<HashMap<u32, u32, BuildHasherDefault<AlreadyHashed>>>,
    seed: SharedSeed,
    /// Where hashes begin: from zero, ids that begin with eight NULs would all have one hash, whatever the seed.
    start: u64,
    bytes: usize,
    kept: u64,
    records_max: usize,
    bytes_max: usize,
    ties: Ties,
}

impl Store {
    /// An empty table for at most `records_max` clients and `bytes_max` bytes of AT lines.
    pub fn new(records_max: usize, bytes_max: usize, ties: Ties) -> Store {
        Store {
            records: Vec::new(),
            index: (0..SHARDS).map(|_| HashMap::default()).collect(),
            // Nobody can know them, so nobody can choose ids that share a hash.
            seed: SharedSeed::from_u64(RandomState::new().hash_one(0)),
            start: RandomState::new().hash_one(1),
            bytes: 0,
            kept: 0,
            records_max: records_max.min(NONE as usize),
            bytes_max,
            ties,
        }
    }

    /// Number of clients known.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Reports kept so far: each was news.
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// Bytes of AT lines, and how many there may be.
    pub fn bytes(&self) -> (usize, usize) {
        (self.bytes, self.bytes_max)
    }

    /// Clients that the table takes.
    pub fn records_max(&self) -> usize {
        self.records_max
    }

    /// True if no client is known.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The AT line at a position, LF included.
    pub fn line(&self, position: u32) -> Option<&[u8]> {
        self.records
            .get(position as usize)
            .map(|record| &*record.line)
    }

    /// The report at a position.
    pub fn at(&self, position: u32) -> Option<At<'_>> {
        At::stored(self.line(position)?)
    }

    /// Where the record of a client stands.
    pub fn find(&self, id: &[u8]) -> Option<u32> {
        self.find_hashed(id, self.hash(id))
    }

    /// Joins a report into the table. `line` is its AT line as [`At::write`] writes it.
    pub fn offer(&mut self, report: &Report<'_>, line: &[u8], source: Source) -> Offer {
        let hash = self.hash(report.id);
        let Some(position) = self.find_hashed(report.id, hash) else {
            return self.insert(hash, report, line);
        };
        match self.is_news(position, report, line, source) {
            true => self.replace(position, report, line),
            false => Offer::Known(position),
        }
    }

    fn hash(&self, id: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.start, &self.seed);
        hasher.write(id);
        hasher.finish()
    }

    fn is_news(&self, position: u32, report: &Report<'_>, line: &[u8], source: Source) -> bool {
        let known = self.records[position as usize].billionths;
        match report.time.billionths().cmp(&known) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => self.wins_tie(position, line, source),
        }
    }

    #[cold]
    fn wins_tie(&self, position: u32, line: &[u8], source: Source) -> bool {
        // Of what floods, half comes twice.
        if self.line(position) == Some(line) {
            return false;
        }
        let (Some(at), Some(stored)) = (At::stored(line), self.at(position)) else {
            return false;
        };
        let duplicate = at.report.position == stored.report.position
            && at.report.time.as_bytes() == stored.report.time.as_bytes();
        if source == Source::Client && duplicate {
            return false;
        }
        match self.ties {
            Ties::TotalOrder => at.precedence(&stored) == Ordering::Greater,
            Ties::FirstArrival => at.report.time > stored.report.time,
        }
    }

    fn find_hashed(&self, id: &[u8], hash: u64) -> Option<u32> {
        let mut position = *self.index[shard(hash)].get(&(hash as u32))?;
        while let Some(record) = self.records.get(position as usize) {
            if record.is_of(id) {
                return Some(position);
            }
            position = record.next;
        }
        None
    }

    fn insert(&mut self, hash: u64, report: &Report<'_>, line: &[u8]) -> Offer {
        let bytes_max = self.bytes_max - self.bytes_max / RESERVE;
        if self.records.len() >= self.records_max || self.bytes + line.len() > bytes_max {
            return Offer::Full;
        }
        let position = self.records.len() as u32;
        let next = self.index[shard(hash)]
            .insert(hash as u32, position)
            .unwrap_or(NONE);
        self.bytes += line.len();
        self.kept += 1;
        self.records.push(Record {
            line: line.into(),
            id: report.offset_in(line) as u32,
            next,
            billionths: report.time.billionths(),
        });
        Offer::Kept(position)
    }

    fn replace(&mut self, position: u32, report: &Report<'_>, line: &[u8]) -> Offer {
        let record = &mut self.records[position as usize];
        let stored = &mut record.line;
        let bytes = self.bytes - stored.len() + line.len();
        if bytes > self.bytes_max {
            return Offer::Full;
        }
        self.bytes = bytes;
        self.kept += 1;
        record.id = report.offset_in(line) as u32;
        record.billionths = report.time.billionths();
        if stored.len() == line.len() {
            stored.copy_from_slice(line);
        } else {
            *stored = line.into();
        }
        Offer::Kept(position)
    }
}

/// By bits that are no part of the key.
fn shard(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

/// Passes half a hash on as a whole one: maps look at the top and at the lowest bits.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0 << 32 | self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        // Keys are u32s, so this is not reached; folding keeps it right all the same.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
    fn write_u32(&mut self, hash: u32) {
        self.0 = hash.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::herd::Command;

    fn offer(store: &mut Store, line: &str, source: Source) -> Offer {
        let Some(Command::At(at)) = Command::parse(line.as_bytes()) else {
            panic!("{line} is no AT line");
        };
        let mut canonical = Vec::new();
        at.write(&mut canonical);
        store.offer(&at.report, &canonical, source)
    }

    fn store(records_max: usize, bytes_max: usize) -> Store {
        Store::new(records_max, bytes_max, Ties::TotalOrder)
    }

    #[test]
    fn newer_replaces_and_older_does_not() {
        let mut store = store(10, 1000);
        assert_eq!(
            offer(&mut store, "AT B +1 a +1-1 5", Source::Client),
            Offer::Kept(0)
        );
        assert_eq!(
            offer(&mut store, "AT B +1 b +1-1 5", Source::Client),
            Offer::Kept(1)
        );
        assert_eq!(
            offer(&mut store, "AT B +1 a +1-1 4.9", Source::Client),
            Offer::Known(0)
        );
        assert_eq!(
            offer(&mut store, "AT B +1 a +2-2 5.01", Source::Client),
            Offer::Kept(0)
        );
        assert_eq!(store.line(0), Some(&b"AT B +1 a +2-2 5.01\n"[..]));
        assert_eq!(store.find(b"a"), Some(0));
        assert_eq!(store.find(b"c"), None);
    }

    #[test]
    fn a_clients_duplicate_keeps_the_first_and_a_servers_is_joined() {
        let mut store = store(10, 1000);
        offer(&mut store, "AT B +1 a +1-1 5", Source::Client);
        assert_eq!(
            offer(&mut store, "AT C +2 a +1-1 5", Source::Client),
            Offer::Known(0)
        );
        assert_eq!(
            offer(&mut store, "AT C +2 a +1-1 5", Source::Server),
            Offer::Kept(0)
        );
        assert_eq!(
            offer(&mut store, "AT B +1 a +1-1 5", Source::Server),
            Offer::Known(0)
        );
    }

    #[test]
    fn a_client_wins_a_tie_that_is_no_duplicate() {
        let mut store = store(10, 1000);
        offer(&mut store, "AT B +1 a +1-1 5", Source::Client);
        let later = "AT B +1 a +1-1 5.0000000001";
        assert_eq!(offer(&mut store, later, Source::Client), Offer::Kept(0));
        let moved = "AT B +1 a +2-2 5.0000000001";
        assert_eq!(offer(&mut store, moved, Source::Client), Offer::Kept(0));
        assert_eq!(offer(&mut store, later, Source::Client), Offer::Known(0));
    }

    #[test]
    fn what_was_kept_is_counted_and_a_full_table_holds_all_it_may() {
        let line = "AT B +1 a +1-1 5";
        let length = line.len() + 1;
        let share = 2 * length + 2 * length / (RESERVE - 1);
        let mut store = store(2, share);
        assert!(store.is_empty());
        offer(&mut store, line, Source::Server);
        let second = line.replace('a', "b");
        assert_eq!(offer(&mut store, &second, Source::Server), Offer::Kept(1));
        assert_eq!(store.bytes(), (2 * length, share));
        assert_eq!((store.records_max(), store.is_empty()), (2, false));
        let longer = format!("AT B +1 a +1-1 6.{}", "0".repeat(share - 2 * length - 1));
        assert_eq!(offer(&mut store, &longer, Source::Server), Offer::Kept(0));
        assert_eq!(store.bytes(), (share, share));
        assert_eq!((store.len(), store.kept()), (2, 3));
    }

    #[test]
    fn the_table_is_bounded_in_records_and_in_bytes() {
        let mut few = store(1, 1000);
        offer(&mut few, "AT B +1 a +1-1 5", Source::Server);
        assert_eq!(
            offer(&mut few, "AT B +1 b +1-1 5", Source::Server),
            Offer::Full
        );
        assert_eq!(
            offer(&mut few, "AT B +1 a +1-1 6", Source::Server),
            Offer::Kept(0)
        );
        let mut short = store(10, 20);
        offer(&mut short, "AT B +1 a +1-1 5", Source::Server);
        assert_eq!(
            offer(&mut short, "AT B +1 b +1-1 5", Source::Server),
            Offer::Full
        );
        let longer = "AT B +1 a +1-1 6.0000000000";
        assert_eq!(offer(&mut short, longer, Source::Server), Offer::Full);
        assert_eq!(short.line(0), Some(&b"AT B +1 a +1-1 5\n"[..]));
    }

    #[test]
    fn a_client_that_is_known_has_room_for_a_longer_report() {
        let mut store = store(100, 16 * 20);
        let mut known = 0;
        while offer(
            &mut store,
            &format!("AT B +1 {known:02} +1-1 5"),
            Source::Client,
        ) != Offer::Full
        {
            known += 1;
        }
        let (bytes, most) = store.bytes();
        assert!(most - bytes >= 20, "{bytes} of {most}");
        let longer = "AT B +1 00 +1-1 5.000000001";
        assert_eq!(offer(&mut store, longer, Source::Client), Offer::Kept(0));
        let longest = format!("AT B +1 01 +1-1 6.{}", "0".repeat(60));
        assert_eq!(offer(&mut store, &longest, Source::Client), Offer::Full);
        assert_eq!(store.line(1), Some(&b"AT B +1 01 +1-1 5\n"[..]));
    }

    #[test]
    fn the_bytes_are_those_of_the_lines_that_stand() {
        let mut store = store(10, 1000);
        for number in 0..100 {
            let line = format!("AT B +1 a +1-1 {}", "1".repeat(1 + number % 7));
            offer(&mut store, &line, Source::Client);
            offer(
                &mut store,
                &format!("AT B +1 b +1-1 {number}"),
                Source::Client,
            );
            let lines = (0..).map_while(|position| store.line(position));
            assert_eq!(store.bytes().0, lines.map(<[u8]>::len).sum::<usize>());
        }
    }

    #[test]
    fn ids_that_begin_with_zeros_share_no_hash() {
        let store = store(10, 1000);
        let hash = |number: u32| store.hash(format!("\0\0\0\0\0\0\0\0{number:08}").as_bytes());
        let hashes: std::collections::HashSet<u64> = (0..1000).map(hash).collect();
        assert_eq!(hashes.len(), 1000);
    }

    #[test]
    fn ids_that_share_a_hash_are_told_apart() {
        let mut store = store(10, 1000);
        for (position, id) in ["a", "b", "c"].into_iter().enumerate() {
            let line = format!("AT B +1 {id} +1-1 5\n");
            let at = At::stored(line.as_bytes()).expect("an AT line");
            let offered = store.insert(42, &at.report, line.as_bytes());
            assert_eq!(offered, Offer::Kept(position as u32));
        }
        for (position, id) in ["a", "b", "c"].into_iter().enumerate() {
            assert_eq!(store.find_hashed(id.as_bytes(), 42), Some(position as u32));
        }
        assert_eq!(store.find_hashed(b"d", 42), None);
    }
}
