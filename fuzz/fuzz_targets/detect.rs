//! A scanned file: nothing panics, locations are in the file and in order, and no report contains a secret.

#![no_main]

use keyspill::internals::report::{Coverage, Report};
use keyspill::internals::scan::Limits;
use keyspill::internals::scan::examine::Examiner;
use keyspill::internals::source::{Blob, SizeLimit};
use keyspill::{Format, ReportOptions, finding::BlobPath};
use keyspill_fuzz::DETECTOR;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

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
            assert!(location.byte_offset + location.byte_length as usize <= bytes.len());
            assert!((location.start_line, location.start_column) <= (location.end_line, location.end_column));
        }
    }
    let boxed = masked.into_iter().map(Box::new);
    let (suppressed, findings) = boxed.partition(|finding| finding.suppression.is_some());
    let report = Report {
        findings,
        suppressed,
        coverage: Coverage::default(),
        repositories: vec![],
        config: vec![],
        baseline: None,
        now: 0,
        rules: DETECTOR.rules().clone(),
    };
    let mut options = ReportOptions::default();
    options.show_suppressed = true;
    options.sarif_suppressed = true;
    let outputs = [Format::Text, Format::Brief, Format::Json, Format::Sarif, Format::Gitlab, Format::Csv, Format::Html]
        .map(|format| {
            let mut output = vec![];
            report.write(format, &options, &mut output).expect("memory takes it");
            String::from_utf8(output).expect("reports are text")
        });
    let secrets = clear.iter().filter_map(|finding| finding.secret());
    for secret in secrets.map(|secret| &secret.text[..]).filter(|secret| secret.len() >= 40) {
        assert!(outputs.iter().all(|output| !output.contains(secret)), "a secret is shown");
    }
});
