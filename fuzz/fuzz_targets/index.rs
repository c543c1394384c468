//! Git's index: any bytes are read or rejected, and everything that was read can be queried.
//!
//! The first byte selects the version, so that every input has a supported one.

#![no_main]

use keyspill::internals::git::index::Index;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((version, rest)) = input.split_first() else { return };
    let bytes = [&b"DIRC\0\0\0"[..], &[2 + version % 3], rest].concat();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("index");
    std::fs::write(&path, bytes).expect("an index");
    let Ok(index) = Index::open(&path) else { return };
    for number in 0..index.entry_count() {
        let path = index.entry(number).path;
        assert!(index.end_of(number..number + 1, path) == number + 1);
    }
    if let Some(tree) = index.cached_tree() {
        _ = tree.child(b"a");
    }
});
