//! Accepted findings, keyspill's own and those of peers.

#![no_main]

use keyspill::policy::{baseline::Baseline, migrate};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    keyspill_fuzz::settings(text, Baseline::read);
    keyspill_fuzz::settings(text, migrate::read);
});
