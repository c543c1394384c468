//! The configuration: it is refused or read, and what is wrong is told without what stands there.

#![no_main]

use keyspill::config::Config;
use keyspill::rule::RuleSet;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    keyspill_fuzz::settings(text, |file| Config::read_found(file, &RuleSet::built_in()));
});
