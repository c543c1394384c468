//! Verifies all pages and blocks of an Outlook store ([MS-PST] 2.2.2), and lists its nodes.

use crate::file::Reason;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

/// A node ([MS-PST] 2.2.2.7.7.4): a folder, message or table, by the type in the lowest five bits of its number (2.2.2.1).
#[derive(Debug, Clone, Copy)]
pub struct Node {
    /// Its number.
    pub id: u32,
    /// The block with its data, or zero.
    pub data: u64,
}

/// What the check found.
#[derive(Debug, Default)]
pub struct Checked {
    /// All nodes that the store lists.
    pub nodes: Vec<Node>,
    /// Number of pages and blocks whose checksums fail, and of references to missing blocks.
    pub damaged: usize,
    /// Number of impossible values (loops, sizes) despite correct checksums: a reader may not terminate on them.
    pub misbuilt: usize,
}

/// Reads all pages of both trees and all blocks, but at most twice the size of the store.
///
/// # Errors
/// If it cannot be read, or its header is damaged.
pub fn check<S: Read + Seek>(source: &mut S) -> io::Result<Checked> {
    let size = source.seek(SeekFrom::End(0))?;
    let mut check = Check { source, size, left: size.saturating_mul(2), wide: true, found: Checked::default() };
    // HEADER, 2.2.2.6: both kinds are alike up to offset 24. dwCRCPartial covers 471 bytes from offset 8.
    let head = check.bytes(0, 512)?.unwrap_or_default();
    let version = number(&head, 10, 2);
    check.wide = version == 23;
    let sound = head.starts_with(b"!BDN") && head.get(8..479).is_some_and(|part| number(&head, 4, 4) == crc(part));
    if !(sound && matches!(version, 14 | 15 | 23)) {
        return Err(Reason("the header is damaged").into());
    }
    if check.wide {
        // dwCRCFull (Unicode only) covers 516 bytes from offset 8.
        let head = check.bytes(0, 564)?.unwrap_or_default();
        check.found.damaged += usize::from(head.get(8..524).is_none_or(|part| number(&head, 524, 4) != crc(part)));
    }
    // ROOT, 2.2.2.5: BREFNBT and BREFBBT, each a BID and an IB (2.2.2.4).
    let (roots, word) = if check.wide { (216, 8) } else { (184, 4) };
    let root = |at: usize| [number(&head, roots + at * word, word), number(&head, roots + (at + 1) * word, word)];
    let (mut nodes, mut blocks) = (vec![], vec![]);
    check.tree(0x81, root(0), None, &mut nodes)?;
    check.tree(0x80, root(2), None, &mut blocks)?;
    // The lowest bit of a BID must be ignored (2.2.2.2). If keys do not ascend, searches miss some.
    for block in &mut blocks {
        block[0] &= !1;
    }
    for entries in [&mut nodes, &mut blocks] {
        check.found.misbuilt += entries.windows(2).filter(|pair| pair[0][0] >= pair[1][0]).count();
        entries.sort_unstable();
        entries.dedup_by_key(|entry| entry[0]);
    }
    check.blocks(&nodes, &blocks)?;
    let node = |node: &[u64; 4]| Node { id: node[0] as u32, data: node[1] };
    check.found.nodes = nodes.iter().map(node).collect();
    Ok(check.found)
}

struct Check<'a, S> {
    source: &'a mut S,
    size: u64,
    /// How many bytes may still be read.
    left: u64,
    /// Whether numbers have eight bytes (Unicode) or four (ANSI).
    wide: bool,
    found: Checked,
}

impl<S: Read + Seek> Check<'_, S> {
    fn word(&self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    /// The bytes at an offset, or `None` if the file ends before or `left` is used up.
    fn bytes(&mut self, at: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(left) = self.left.checked_sub(length as u64) else {
            self.found.misbuilt += 1;
            return Ok(None);
        };
        if at.checked_add(length as u64).is_none_or(|end| end > self.size) {
            return Ok(None);
        }
        self.left = left;
        let mut bytes = vec![0; length];
        _ = self.source.seek(SeekFrom::Start(at))?;
        self.source.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Whether the trailer (PAGETRAILER, 2.2.2.7.1; BLOCKTRAILER, 2.2.2.8.1) matches: two bytes specific to the kind,
    /// wSig (5.5), then dwCRC and bid (Unicode) or bid and dwCRC (ANSI). The checksum (5.3) covers the encoded bytes.
    fn sealed(&self, covered: &[u8], trailer: &[u8], bid: u64, at: u64, ignored: u64) -> bool {
        let mixed = (at ^ bid) as u32;
        let (sum, own) = if self.wide { (4, 8) } else { (8, 4) };
        number(trailer, 2, 2) == u64::from((mixed >> 16 ^ mixed) as u16)
            && number(trailer, sum, 4) == crc(covered)
            && (number(trailer, own, self.word()) ^ bid) & !ignored == 0
    }

    /// Collects the leaves under a page of a tree (BTPAGE, 2.2.2.7.7.1). Levels decrease by one, so there are no loops.
    fn tree(&mut self, kind: u8, [bid, at]: [u64; 2], level: Option<u8>, leaves: &mut Vec<[u64; 4]>) -> io::Result<()> {
        let (word, end) = (self.word(), if self.wide { 496 } else { 500 });
        let page = self.bytes(at, 512)?.unwrap_or_default();
        if page.len() != 512 || !self.sealed(&page[..end], &page[end..], bid, at, 0) {
            self.found.damaged += 1;
            return Ok(());
        }
        // rgentries is 488 bytes long (Unicode) or 496 (ANSI); cEnt, cEntMax, cbEnt and cLevel follow.
        let room = if self.wide { 488 } else { 496 };
        let (count, width, own) = (usize::from(page[room]), usize::from(page[room + 2]), page[room + 3]);
        // BTENTRY and BBTENTRY are three words, NBTENTRY is four (2.2.2.7.7.2 to 2.2.2.7.7.4).
        let least = if own == 0 && kind == 0x81 { 4 } else { 3 } * word;
        let falls = level.map_or(own <= 8, |level| own == level);
        if page[end] != kind || page[end + 1] != kind || !falls || width < least || count * width > room {
            self.found.misbuilt += 1;
            return Ok(());
        }
        for entry in page[..room].chunks_exact(width).take(count) {
            let field = |index: usize| number(entry, index * word, word);
            match (own.checked_sub(1), kind) {
                (Some(below), _) => self.tree(kind, [field(1), field(2)], Some(below), leaves)?,
                (None, 0x81) => leaves.push([field(0), field(1), field(2), number(entry, 3 * word, 4)]),
                (None, _) => leaves.push([field(0), field(1), number(entry, 2 * word, 2), 0]),
            }
        }
        Ok(())
    }

    /// The raw data of a block (2.2.2.8): padded to 64 bytes, with the trailer at the end.
    fn block(&mut self, &[bid, at, size, _]: &[u64; 4]) -> io::Result<Option<Vec<u8>>> {
        let (size, trailer) = (size as usize, 8 + self.word());
        if size == 0 || size + trailer > 8192 || bid & 2 != 0 && size < 8 {
            self.found.misbuilt += 1;
            return Ok(None);
        }
        let length = (size + trailer).next_multiple_of(64);
        let mut bytes = self.bytes(at, length)?.unwrap_or_default();
        let (data, rest) = bytes.split_at(size.min(bytes.len()));
        let end = rest.len().saturating_sub(trailer);
        if bytes.len() != length || number(rest, end, 2) != size as u64 || !self.sealed(data, &rest[end..], bid, at, 1)
        {
            self.found.damaged += 1;
            return Ok(None);
        }
        bytes.truncate(size);
        Ok(Some(bytes))
    }

    /// Checks all blocks, then the references in nodes and internal blocks.
    fn blocks(&mut self, nodes: &[[u64; 4]], blocks: &[[u64; 4]]) -> io::Result<()> {
        // By BID: btype, cLevel and lcbTotal of internal blocks, whose BIDs have bit 1 set (2.2.2.2).
        let mut inner = BTreeMap::new();
        for block in blocks {
            if let Some(data) = self.block(block)?.filter(|_| block[0] & 2 != 0) {
                _ = inner.insert(block[0], (data[0], data[1], number(&data, 4, 4)));
            }
        }
        let size = |bid: u64| blocks.binary_search_by_key(&(bid & !1), |block| block[0]).ok().map(|at| blocks[at][2]);
        // Data is a block or a tree of btype 1, subnodes are a tree of btype 2; zero means none.
        let fits = |bid: u64, kind: u8| match (bid, inner.get(&(bid & !1))) {
            (0, _) => true,
            (_, Some(&(own, ..))) => own == kind,
            (_, None) => kind == 1 || bid & 2 != 0,
        };
        let missing = |bid: u64| usize::from(bid != 0 && size(bid).is_none());
        for &[_, data, sub, _] in nodes {
            self.found.damaged += missing(data) + missing(sub);
            self.found.misbuilt += usize::from(!fits(data, 1)) + usize::from(!fits(sub, 2));
        }
        let word = self.word();
        for block in blocks.iter().filter(|block| inner.contains_key(&block[0])) {
            let data = self.block(block)?.unwrap_or_default();
            let Some(&(kind, level, total)) = inner.get(&block[0]) else { continue };
            // XBLOCK, XXBLOCK (2.2.2.8.3.2), SLBLOCK, SIBLOCK (2.2.2.8.3.3); ANSI has no padding in the last two.
            let (start, width) = match (kind, level) {
                (1, 1 | 2) => (8, word),
                (2, 0) => (word, 3 * word),
                (2, 1) => (word, 2 * word),
                _ => (data.len(), 1),
            };
            let count = number(&data, 2, 2) as usize;
            let mut sound =
                matches!((kind, level), (1 | 2, 1) | (1, 2) | (2, 0)) && start + count * width <= data.len();
            let mut sum = 0;
            for entry in data.get(start..).unwrap_or_default().chunks_exact(width).take(if sound { count } else { 0 }) {
                let (bid, sub) = (number(entry, if kind == 1 { 0 } else { word }, word), number(entry, 2 * word, word));
                self.found.damaged += missing(bid) + missing(sub);
                let below = inner.get(&(bid & !1)).map(|&(kind, level, total)| ((kind, level), total));
                // A block whose checksum failed cannot be judged; it is already counted.
                let unread = bid & 2 != 0 && below.is_none();
                sum += if level == 1 { size(bid) } else { below.map(|below| below.1) }.unwrap_or_default();
                sound &= unread
                    || match (kind, level) {
                        (1, 1) => bid & 2 == 0,
                        (1, _) => below.is_some_and(|below| below.0 == (1, 1)),
                        (_, 0) => fits(bid, 1) && fits(sub, 2),
                        (..) => below.is_some_and(|below| below.0 == (2, 0)),
                    };
            }
            // A tree that is larger than the file repeats blocks in order to swell.
            self.found.misbuilt += usize::from(!sound || kind == 1 && (total > self.size || sum > self.size));
        }
        Ok(())
    }
}

/// A little-endian number of up to eight bytes; bytes beyond the end count as zero.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let bytes = bytes.get(at..).unwrap_or_default();
    bytes.iter().take(length).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The checksum of [MS-PST] 5.3: CRC-32 with initial value zero and without inversion.
fn crc(bytes: &[u8]) -> u64 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let (mut value, mut bit) = (at as u32, 0);
            while bit < 8 {
                value = if value & 1 == 0 { value >> 1 } else { value >> 1 ^ 0xedb8_8320 };
                bit += 1;
            }
            table[at] = value;
            at += 1;
        }
        table
    };
    let step = |crc: u32, byte: &u8| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8;
    u64::from(bytes.iter().fold(0, step))
}
