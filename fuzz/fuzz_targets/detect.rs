//! A scanned file: nothing panics, places are in the file and in order, and no secret is in any report.

#![no_main]

use keyspill::detect::Detector;
use keyspill::report::uri::UriBase;
use keyspill::report::{Coverage, Options, Report, json, sarif, text};
use keyspill::rule::RuleSet;
use keyspill::scan::Limits;
use keyspill::scan::examine::Examiner;
use keyspill::source::{Blob, BlobPath, SizeLimit};
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::{Arc, LazyLock};

static DETECTOR: LazyLock<Detector> = LazyLock::new(|| Detector::new(Arc::new(RuleSet::built_in())));

fuzz_target!(|bytes: &[u8]| {
    let path = || BlobPath::new(Path::new("fuzz/pk-ABCDEFGHIJKLMNOPQRSTUVWXYZ234567.pem"));
    let examine = |show_secrets| {
        let examiner = Examiner::new(&DETECTOR, show_secrets, Limits::default(), SizeLimit::default(), false);
        examiner.blob(&Blob { path: path(), bytes, context: None }).findings
    };
    let (clear, masked) = (examine(true), examine(false));
    assert_eq!(clear.len(), masked.len());
    for finding in &clear {
        for value in finding.values().filter(|_| finding.path.inside().is_empty()) {
            let location = value.location;
            assert!(location.byte_offset + location.byte_length <= bytes.len());
            assert!((location.start_line, location.start_column) <= (location.end_line, location.end_column));
        }
    }
    let (suppressed, findings) = masked.into_iter().partition(|finding| finding.suppression.is_some());
    let report = Report { findings, suppressed, coverage: Coverage::default(), repositories: vec![], config: None, rules: DETECTOR.rules().clone() };
    let options = Options { show_suppressed: true, stats: None };
    let base = UriBase::of_scan(Path::new("/"), &[]);
    let outputs = [text::write(&report, &options, true), json::write(&report, &options), sarif::write(&report, &options, &base)];
    for finding in clear.iter().filter(|finding| !finding.secret.as_ref().is_none_or(|secret| secret.text.len() < 40)) {
        let secret = finding.secret.as_ref().map_or("", |secret| secret.text.as_str());
        assert!(outputs.iter().all(|output| !output.contains(secret)), "a secret is shown");
    }
});
