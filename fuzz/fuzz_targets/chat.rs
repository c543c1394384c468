//! Chat exports: each offset is in at most one message, and offsets are reported in order, whatever their tables are.

#![no_main]

use keyspill::finding::BlobPath;
use keyspill::internals::source::chat::{self, export::Export};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let offsets: Vec<usize> = (0..bytes.len()).step_by(7).collect();
    for path in [&b"#ops.log"[..], b"x/2026-01-01.json", b"messages/c1345000000007822216/messages.json"] {
        let tables = vec!["users.json".to_owned()];
        let export = Export::read(path, tables, |name| (name != "dms.json").then(|| bytes.to_vec()));
        let mut last = None;
        chat::messages(&BlobPath::from_bytes(path), bytes, &offsets, export.as_ref(), &mut |number, _| {
            assert!(number < offsets.len() && last < Some(number));
            last = Some(number);
        });
    }
});
