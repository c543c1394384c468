//! What a walk over a repository costs besides inflating, which is unavoidable: single-threaded, medians of several
//! runs.
//!
//! `KEYSPILL_REPOSITORY=DIR cargo bench --bench history`, with a repository whose objects are packed.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use keyspill::finding::object::ObjectKind;
use keyspill::internals::detect::Detector;
use keyspill::internals::detect::prefilter::{Hits, Shared};
use keyspill::internals::git::map::Map;
use keyspill::internals::git::odb::Odb;
use keyspill::internals::git::pack::delta::Copied;
use keyspill::internals::git::pack::entry::Header;
use keyspill::internals::git::pack::forest::Forest;
use keyspill::internals::git::pack::inflate::Inflater;
use keyspill::internals::git::pack::walk::{Visit, Visitor, Walk};
use keyspill::internals::git::pack::{Damage, Pack};
use keyspill::internals::git::repository::Repository;
use keyspill::internals::rule::RuleSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const RUNS: usize = 5;

/// Matches every object, or only receives it.
struct Matcher<'a>(Option<&'a Detector>, u64);

impl Matcher<'_> {
    fn look(&mut self, bytes: &[u8], base: Option<(&Hits, &[Copied])>) -> Option<Hits> {
        self.1 += bytes.len() as u64;
        let detector = self.0?;
        let shared = |part: &Copied| Shared { from: part.from, to: part.to, length: part.length };
        let hits = detector.prefilter(bytes, base.map(|(hits, parts)| (hits, parts.iter().map(shared))))?;
        std::hint::black_box(detector.detect_among(bytes, None, &hits));
        Some(hits)
    }
}

impl Visitor for Matcher<'_> {
    type State = Option<Hits>;
    const MIN_SHARED: usize = 64;

    fn whole(&mut self, visit: Visit) -> Option<Hits> {
        self.look(visit.bytes, None)
    }

    fn derived(&mut self, visit: Visit, base: &Option<Hits>, shared: &[Copied]) -> Option<Hits> {
        self.look(visit.bytes, base.as_ref().map(|hits| (hits, shared)))
    }

    fn lost(&mut self, _: u32, _: Damage) {}
}

fn inflate(data: &[u8], forest: &Forest) {
    let mut inflater = Inflater::new();
    let mut out = Vec::new();
    let roots = (0..).map_while(|number| forest.portion(number)).flatten();
    for root in roots.filter(|root| root.kind == ObjectKind::Blob) {
        for entry in forest.descendants(root.entry) {
            let (start, end) = forest.extent(entry);
            let bytes = &data[start as usize..data.len().min(end as usize)];
            let header = Header::read(bytes).expect("a whole pack");
            if out.len() < header.size as usize {
                out.resize(header.size as usize, 0);
            }
            inflater.inflate(&bytes[header.length..], &mut out[..header.size as usize]).expect("a whole pack");
        }
    }
}

fn walk(pack: &Pack, forest: &Forest, detector: Option<&Detector>) -> u64 {
    let mut matcher = Matcher(detector, 0);
    Walk::new(pack, forest, &[ObjectKind::Blob], 1 << 30).work(&mut matcher);
    matcher.1
}

fn median(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

fn main() {
    // `cargo test --benches` only checks that it builds and starts.
    let Some(dir) = std::env::var_os("KEYSPILL_REPOSITORY") else {
        println!("set KEYSPILL_REPOSITORY to a repository");
        return;
    };
    let repository = Repository::open(Path::new(&dir), &keyspill::Environment::default()).expect("a repository");
    let odb = Odb::open(&repository.object_dirs(&mut Vec::new()));
    let detector = Detector::new(Arc::new(RuleSet::built_in()));
    for file in odb.packs() {
        let data = Map::open(&file.path.with_extension("pack")).expect("a pack");
        file.pack.index.prepare();
        let forest = Forest::new(&file.pack);
        let bytes = walk(&file.pack, &forest, None);
        let floor = median(|| inflate(&data, &forest));
        let plain = median(|| _ = walk(&file.pack, &forest, None));
        let matched = median(|| _ = walk(&file.pack, &forest, Some(&detector)));
        let path = file.path.with_extension("pack");
        let read = median(|| _ = std::hint::black_box(std::fs::read(&path).expect("a pack").len()));
        println!("{}: {} objects, {:.0} MB of blobs", file.path.display(), forest.len(), bytes as f64 / 1e6);
        println!(
            "  reading the file as a whole     {read:.3} s, {:.0} MB (mapping it costs neither)",
            data.len() as f64 / 1e6
        );
        println!("  inflating the blob entries      {floor:.3} s");
        println!("  rebuilding every blob           {plain:.3} s, {:.2} times inflating", plain / floor);
        println!("  and matching all rules          {matched:.3} s, {:.2} times inflating", matched / floor);
    }
}
