//! How the records of a recording lie in its file: in blocks, each with its length and a hash, so that a
//! file which was damaged is not taken for code that does something else.

use super::digest::Digest;
use crate::worlds::mix::mix;

/// Bytes of records in a block, at most.
pub const BLOCK_MAX: usize = 32 * 1024;

/// Before each block: its length, the same with every bit turned, and a hash of it and of all that stands
/// before it, the header of the recording too.
const HEAD: usize = 8;

/// Puts records into blocks.
pub struct Blocks {
    hash: u32,
}

impl Blocks {
    /// Blocks that come behind this header.
    pub fn new(header: &[u8]) -> Blocks {
        Blocks {
            hash: hash(0, header),
        }
    }

    /// Puts `records` behind `file`.
    pub fn put(&mut self, records: &[u8], file: &mut Vec<u8>) {
        for block in records.chunks(BLOCK_MAX) {
            let length = block.len() as u16;
            self.hash = hash(self.hash, block);
            file.extend_from_slice(&length.to_le_bytes());
            file.extend_from_slice(&(!length).to_le_bytes());
            file.extend_from_slice(&self.hash.to_le_bytes());
            file.extend_from_slice(block);
        }
    }
}

/// The records of a file.
pub struct Records {
    /// The records, out of their blocks.
    pub bytes: Vec<u8>,
    /// Where each block begins among these bytes, and in the file.
    places: Vec<(usize, usize)>,
    /// The last block was cut: so many of these bytes are hashed.
    pub whole: usize,
    /// How long the file is.
    pub length: usize,
    /// From where on the file is not what was written.
    pub damaged: Option<usize>,
}

impl Records {
    /// Reads a file's records, from the end of its header on, up to a cut or damage.
    pub fn read(file: &[u8], header: usize) -> Records {
        let mut records = Records {
            bytes: Vec::new(),
            places: vec![(0, header)],
            whole: 0,
            length: file.len(),
            damaged: None,
        };
        let (mut at, mut before) = (header, hash(0, &file[..header]));
        while let Some(rest) = file.get(at..).filter(|rest| !rest.is_empty()) {
            let Some((length, due)) = head(rest) else {
                // A cut may be anywhere, also in a head; of less than this nothing can be said.
                records.damaged = Some(at).filter(|_| rest.len() >= size_of::<u32>());
                break;
            };
            let block = &rest[HEAD.min(rest.len())..];
            let is_whole = block.len() >= length;
            let block = &block[..length.min(block.len())];
            before = hash(before, block);
            if is_whole && due != before {
                // If it is the first, the header may be what is damaged.
                records.damaged = Some(if at == header { 0 } else { at });
                break;
            }
            records.places.push((records.bytes.len(), at + HEAD));
            records.bytes.extend_from_slice(block);
            records.whole = if is_whole {
                records.bytes.len()
            } else {
                records.whole
            };
            at += HEAD + length;
        }
        records
    }

    /// Where the byte at `position` stands in the file.
    pub fn place(&self, position: usize) -> usize {
        let after = self.places.partition_point(|(from, _)| *from <= position);
        let (from, place) = self.places[after.saturating_sub(1)];
        place + position - from
    }
}

/// The length and the hash in the head that `bytes` begin with. If its hash was cut, so was its block.
fn head(bytes: &[u8]) -> Option<(usize, u32)> {
    let &[low, high, not_low, not_high] = bytes.first_chunk()?;
    let length = u16::from_le_bytes([low, high]);
    let is_head = length == !u16::from_le_bytes([not_low, not_high]);
    let hash = bytes.get(4..).and_then(<[u8]>::first_chunk);
    let hash = hash.copied().map_or(0, u32::from_le_bytes);
    let length = usize::from(length);
    (is_head && (1..=BLOCK_MAX).contains(&length)).then_some((length, hash))
}

fn hash(before: u32, block: &[u8]) -> u32 {
    mix(u64::from(before) << 32 | u64::from(Digest::of(block).hash)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"h\n";

    /// A file of four blocks behind a header of two bytes, and where each begins.
    fn file(records: &[u8]) -> (Vec<u8>, Vec<usize>) {
        let (mut file, mut blocks) = (HEADER.to_vec(), Blocks::new(HEADER));
        let mut begins = Vec::new();
        for part in records.chunks(records.len() / 4) {
            begins.push(file.len());
            blocks.put(part, &mut file);
        }
        (file, begins)
    }

    #[test]
    fn records_come_out_of_their_blocks_and_know_their_place() {
        let records: Vec<u8> = (0..4 * BLOCK_MAX).map(|at| (at / 7) as u8).collect();
        let (file, begins) = file(&records);
        let read = Records::read(&file, 2);
        assert!(read.bytes == records && read.damaged.is_none());
        assert_eq!((read.whole, read.length), (records.len(), file.len()));
        for at in [0, 1, BLOCK_MAX - 1, BLOCK_MAX, 3 * BLOCK_MAX + 5] {
            assert_eq!(file[read.place(at)], records[at], "{at}");
        }
        assert_eq!(read.place(BLOCK_MAX), begins[1] + HEAD);
        assert_eq!(read.place(records.len()), file.len());
        // One call makes as many blocks as it needs.
        let mut whole = HEADER.to_vec();
        Blocks::new(HEADER).put(&records, &mut whole);
        assert!(whole == file);
    }

    #[test]
    fn a_cut_leaves_what_was_before_it() {
        let records: Vec<u8> = (0..200).collect();
        let (file, _) = file(&records);
        for end in 2..=file.len() {
            let read = Records::read(&file[..end], 2);
            assert_eq!(read.damaged, None, "{end}");
            assert!(records.starts_with(&read.bytes) && read.whole <= read.bytes.len());
        }
    }

    #[test]
    fn a_block_that_is_lost_doubled_or_elsewhere_is_damage() {
        let records: Vec<u8> = (0..200).collect();
        let (file, begins) = file(&records);
        let block = |number: usize| match begins.get(number + 1) {
            Some(end) => &file[begins[number]..*end],
            None => &file[begins[number]..],
        };
        for (order, good) in [
            (&[0, 2, 3][..], 1),
            (&[0, 1, 1, 2, 3], 2),
            (&[1, 0, 2, 3], 0),
            (&[0, 1, 3, 2], 2),
        ] {
            let mut damaged = HEADER.to_vec();
            order
                .iter()
                .for_each(|&number| damaged.extend(block(number)));
            let read = Records::read(&damaged, 2);
            let from = if good == 0 { 0 } else { begins[good] };
            assert_eq!(read.damaged, Some(from), "{order:?}");
            assert_eq!(read.bytes, records[..50 * good]);
        }
    }
}
