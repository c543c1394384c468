//! The configuration: it is rejected or read, and error messages do not quote it.

#![no_main]

use keyspill::internals::config::Config;
use keyspill::internals::rule::RuleSet;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    keyspill_fuzz::settings(text, |file| Config::default().with_found(file, &RuleSet::built_in()));
});
