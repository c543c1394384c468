//! Speed of the detector on real source text, on one thread and in memory only.
//!
//! `KEYSPILL_CORPUS=DIR cargo bench --bench detector`; by default the sources of the crates that cargo has unpacked.
//! divan prints the time for the whole corpus and the throughput.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use keyspill::internals::detect::Detector;
use keyspill::internals::detect::finder::literals::Literals;
use keyspill::internals::detect::finder::{self, scalar};
use keyspill::internals::detect::prefilter::Prefilter;
use keyspill::internals::rule::{RuleSet, Selection};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// Maximum total size of the text files, in bytes.
const MAX_COUNT: usize = 256 << 20;

static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let dir = std::env::var_os("KEYSPILL_CORPUS").map(PathBuf::from);
    let dir = dir.or_else(|| Some(cargo_home?.join("registry/src"))).expect("set KEYSPILL_CORPUS to a directory");
    let mut files = Vec::new();
    collect(&dir, &mut files);
    assert!(!files.is_empty(), "no text in {}: set KEYSPILL_CORPUS", dir.display());
    files
});

fn collect(dir: &Path, files: &mut Vec<Vec<u8>>) {
    let mut entries: Vec<_> = std::fs::read_dir(dir).into_iter().flatten().flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            collect(&entry.path(), files);
        } else if kind.is_file()
            && files.iter().map(Vec::len).sum::<usize>() < MAX_COUNT
            && let Ok(bytes) = std::fs::read(entry.path())
            && !bytes.contains(&0)
        {
            files.push(bytes);
        }
    }
}

fn main() {
    let bytes: usize = CORPUS.iter().map(Vec::len).sum();
    println!("corpus: {} files, {:.1} MB", CORPUS.len(), bytes as f64 / 1e6);
    divan::main();
}

fn over_corpus(bencher: Bencher, mut search: impl FnMut(&[u8]) -> usize) {
    let bytes: usize = CORPUS.iter().map(Vec::len).sum();
    bencher
        .counter(BytesCount::new(bytes))
        .bench_local(|| CORPUS.iter().map(|file| search(black_box(file))).sum::<usize>());
}

/// The whole detector: the figure that matters.
#[divan::bench(sample_count = 20)]
fn detect_with_all_rules(bencher: Bencher) {
    let detector = Detector::new(Arc::new(RuleSet::built_in()));
    over_corpus(bencher, |file| detector.detect(file, None).candidates.len());
}

#[divan::bench(sample_count = 20)]
fn prefilter_alone(bencher: Bencher) {
    let prefilter = Prefilter::new(&RuleSet::built_in());
    over_corpus(bencher, |file| prefilter.search(file).marks.len());
}

/// The built-in rules' keywords, as an example of literals.
fn literals() -> Literals {
    let rules = RuleSet::built_in();
    let keywords = rules.iter().flat_map(|rule| rule.keywords.iter().map(|keyword| keyword.as_bytes().to_vec()));
    let keywords = keywords.filter(|keyword| keyword.len() >= keyspill::internals::rule::MIN_KEYWORD);
    Literals::new(keywords.chain([b"AKIA".to_vec(), b"ASIA".to_vec(), b"ecret".to_vec()]).collect())
}

#[divan::bench(sample_count = 20)]
fn literals_vectorised(bencher: Bencher) {
    let literals = literals();
    over_corpus(bencher, |file| {
        let mut found = vec![];
        literals.find(file, &mut found);
        found.len()
    });
}

#[divan::bench(sample_count = 20)]
fn literals_scalar(bencher: Bencher) {
    let literals = literals();
    over_corpus(bencher, |file| {
        let mut found = vec![];
        literals.find_scalar(file, &mut found);
        found.len()
    });
}

#[divan::bench(sample_count = 20)]
fn prefilter_of_aws_alone(bencher: Bencher) {
    let prefilter = Prefilter::new(&RuleSet::selected(&Selection::from_packs(["aws".to_owned()])));
    over_corpus(bencher, |file| prefilter.search(file).marks.len());
}

#[divan::bench(sample_count = 20)]
fn word_runs_vectorised(bencher: Bencher) {
    over_corpus(bencher, |file| {
        let mut count = 0;
        finder::word_runs(file, |_| count += 1);
        count
    });
}

#[divan::bench(sample_count = 20)]
fn word_runs_scalar(bencher: Bencher) {
    over_corpus(bencher, |file| {
        let mut count = 0;
        finder::scalar::word_runs(file, |_| count += 1);
        count
    });
}

#[divan::bench(sample_count = 20)]
fn base64_runs_vectorised(bencher: Bencher) {
    over_corpus(bencher, |file| {
        let mut found = vec![];
        finder::base64_runs(file, &mut found);
        found.len()
    });
}

#[divan::bench(sample_count = 20)]
fn base64_runs_scalar(bencher: Bencher) {
    over_corpus(bencher, |file| {
        let mut found = vec![];
        scalar::base64_runs(file, &mut found);
        found.len()
    });
}
