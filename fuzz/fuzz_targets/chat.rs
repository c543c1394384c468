//! Chat exports: each offset is in at most one message, and offsets are reported in order.

#![no_main]

use keyspill::internals::source::chat;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let offsets: Vec<usize> = (0..bytes.len()).step_by(7).collect();
    let mut last = None;
    chat::messages(b"#ops.log", bytes, &offsets, &mut |number, _| {
        assert!(number < offsets.len() && last < Some(number));
        last = Some(number);
    });
    let export = chat::slack::Export::read(|name| (name != "dms.json").then(|| bytes.to_vec()));
    export.messages(b"x/2026-01-01.json", bytes, &offsets, &mut |number, _| assert!(number < offsets.len()));
});
