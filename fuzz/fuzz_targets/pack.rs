//! A pack and its index: nothing panics or hangs, and every object is either handed over or reported as lost.
//!
//! The input describes entries (kind, delta base and content), so that most of them inflate. Trees, commits and deltas
//! refer to objects by number; there are few numbers, so that most of them exist.

#![no_main]

use keyspill::finding::history::Reach;
use keyspill::internals::git::attribute::graph::Graph;
use keyspill::internals::git::attribute::trees::Trees;
use keyspill::internals::git::attribute::{self, Wanted};
use keyspill::internals::git::history::{History, Inspector, Object, Progress};
use keyspill::internals::git::odb::Odb;
use keyspill::internals::git::pack::delta::Copied;
use libfuzzer_sys::fuzz_target;
use sirocco::{Format, deflate::Level};
use std::sync::Mutex;

fn oid(number: u8) -> [u8; 20] {
    [number; 20]
}

struct Taker(Mutex<Vec<u32>>);

impl Inspector for Taker {
    type State = ();

    fn whole(&self, object: Object) {
        self.0.lock().expect("no panic").push(object.node);
    }

    fn derived(&self, object: Object, (): &(), shared: &[Copied]) {
        for part in shared {
            assert!(part.to + part.length <= object.bytes.len());
        }
        self.whole(object);
    }
}

/// Reads one length-prefixed piece.
fn piece<'a>(input: &mut &'a [u8]) -> Option<(u8, u8, &'a [u8])> {
    let (&[kind, base, length], rest) = input.split_first_chunk()?;
    let (content, rest) = rest.split_at(rest.len().min(usize::from(length)));
    *input = rest;
    Some((kind, base, content))
}

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let mut pack = b"PACK\0\0\0\x02\0\0\0\0".to_vec();
    let mut offsets = Vec::new();
    while let Some((kind, base, content)) = piece(&mut input) {
        if offsets.len() == 200 {
            break;
        }
        offsets.push(pack.len() as u32);
        let size = content.len() + usize::from(kind >> 7);
        let kind = kind & 7;
        pack.push(0x80 | kind << 4 | (size & 15) as u8);
        pack.push((size >> 4) as u8 & 0x7f);
        match kind {
            6 => pack.extend(if base < 128 { vec![base] } else { vec![0x80, base & 0x7f] }),
            7 => pack.extend(oid(base)),
            _ => {}
        }
        match base {
            // Not compressed at all.
            255 => pack.extend_from_slice(content),
            _ => pack.extend(sirocco::compress(Format::Zlib, Level::FASTEST, content)),
        }
    }
    let count = offsets.len() as u32;
    pack[8..12].copy_from_slice(&count.to_be_bytes());
    pack.extend([0; 20]);
    let mut index = b"\xfftOc\0\0\0\x02".to_vec();
    index.extend((0..256u32).flat_map(|byte| (byte + 1).min(count).to_be_bytes()));
    index.extend((0..count).flat_map(|number| oid(number as u8)));
    index.extend((0..count).flat_map(|_| [0; 4]));
    index.extend(offsets.iter().flat_map(|offset| offset.to_be_bytes()));
    index.extend([0; 40]);
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("pack")).expect("a directory");
    std::fs::write(dir.path().join("pack/pack-1.pack"), pack).expect("a pack");
    std::fs::write(dir.path().join("pack/pack-1.idx"), index).expect("an index");

    let odb = Odb::open_all(&[dir.path().to_owned()]);
    assert_eq!(odb.unreadable(), []);
    let progress = Progress::default();
    let history = History::new(&odb, 1 << 20, &progress);
    let taker = Taker(Mutex::default());
    let outline = history.walk(&taker);
    let mut taken = taker.0.into_inner().expect("no panic");
    taken.sort_unstable();
    assert!(taken.is_sorted_by(|a, b| a < b), "an object is handed over once");
    let wanted: Vec<Wanted> = taken.iter().map(|node| Wanted { node: *node, items: vec![node % 3] }).collect();
    let trees = Trees::read(&history, &|node| taken.binary_search(&node).is_ok());
    for node in 0..count {
        let name = odb.oid(node);
        let is_tree = || odb.read_node(node, 1 << 20).is_ok_and(|(kind, _)| kind.name() == "tree");
        let is_known = taken.contains(&node) || outline.lost.contains_key(&name) || trees.lost.contains_key(&name);
        assert!(is_known || is_tree(), "{node} is neither taken nor lost");
    }
    let mut graph = Graph::new(&outline.commits);
    graph.reach_from(0..graph.len() as u32, Reach::Refs);
    let found = attribute::attribute(&history, &trees, &graph, &[], &wanted);
    assert!(found.presences.len() <= 200_000);
});
