//! Accepted findings: keyspill's own and those of other scanners.

#![no_main]

use keyspill::internals::policy::{baseline::Baseline, migrate};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    keyspill_fuzz::settings(text, Baseline::read);
    keyspill_fuzz::settings(text, migrate::read);
});
