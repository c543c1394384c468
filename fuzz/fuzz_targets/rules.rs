//! A rule file, or a configuration of gitleaks: it is rejected or works, and does not panic.

#![no_main]

use keyspill::internals::detect::{Detector, check};
use keyspill::internals::rule::{RuleSet, example};
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::Arc;

fuzz_target!(|text: &str| {
    example::expand(text);
    let mut rules = RuleSet::built_in();
    keyspill_fuzz::settings(text.as_bytes(), |file| RuleSet::built_in().add(file));
    let mut others = RuleSet::default();
    keyspill_fuzz::settings(text.as_bytes(), |file| others.add_gitleaks(file));
    Detector::new(Arc::new(others)).detect(text.as_bytes(), Some(b"fuzz"));
    if rules.add_text(Path::new("fuzz.toml"), text).is_ok() {
        let rules = Arc::new(rules);
        check::check(&rules, |rule| rule.pack.is_none());
        Detector::new(rules).detect(text.as_bytes(), Some(b"fuzz"));
    }
});
