//! The pipeline: sources hand over blobs, each is detected, judged and collected; then all is sorted.

use crate::detect::Detector;
use crate::detect::comment::Comment;
use crate::finding::excerpt::Excerpts;
use crate::finding::location::Locations;
use crate::finding::{self, Finding, mask};
use crate::policy::inline::{self, Allow};
use crate::report::{Coverage, Report};
use crate::rule::Finder;
use crate::source::read::Reader;
use crate::source::tree::Tree;
use crate::source::{BlobPath, Item, Skip, SkipCause};
use secrecy::ExposeSecret;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What to scan.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Files and directories.
    pub tree: Tree,
    /// Standard input, under this name.
    pub stdin: Option<PathBuf>,
    /// Leave secrets in clear in findings.
    pub show_secrets: bool,
}

impl Scan {
    /// Scans everything. What goes wrong with one file is in the report's skips, and the rest is still scanned.
    pub fn run(&self, detector: &Detector) -> Report {
        let collected = Collected::default();
        let sink = |item: Item| match item {
            Item::Skip(skip) => collected.skip(skip),
            Item::Blob(path, bytes) => {
                collected.files.fetch_add(1, Ordering::Relaxed);
                collected.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                let name = path.clone();
                // A bug that one file brings out must not cost the scan of all others, nor pass unseen.
                match catch_unwind(AssertUnwindSafe(|| examine(detector, path, bytes, self.show_secrets))) {
                    Ok(examined) => {
                        collected.add(examined.findings);
                        if examined.is_cut {
                            collected.skip(Skip { path: name, cause: SkipCause::TooMany });
                        }
                    }
                    Err(_) => collected.skip(Skip { path: name, cause: SkipCause::Internal }),
                }
            }
        };
        if let Some(name) = &self.stdin {
            Reader::new(self.tree.limit).stdin(BlobPath::new(name), &sink);
        }
        self.tree.walk(&sink);
        collected.into_report(detector)
    }
}

/// What one blob holds.
#[derive(Debug, Default)]
pub struct Examined {
    /// In no particular order.
    pub findings: Vec<Finding>,
    /// True if there was more than is reported of one blob.
    pub is_cut: bool,
}

/// Detects, locates and judges what is in one blob.
pub fn examine(detector: &Detector, path: BlobPath, bytes: &[u8], show_secrets: bool) -> Examined {
    let detection = detector.detect(bytes, path.as_bytes());
    if detection.candidates.is_empty() && detection.comments.is_empty() {
        return Examined::default();
    }
    let path = Arc::new(path);
    let comments = detection.comments.iter().map(|comment| comment.span.clone());
    let spans = detection.candidates.iter().flat_map(super::detect::Candidate::spans);
    let locations = Locations::new(bytes, spans.chain(comments));
    let excerpts = Excerpts::new(bytes, &detection, &locations, show_secrets);
    let mut findings = finding::findings(&path, &detection, &excerpts, &locations);
    let rules = detector.rules();
    let mut secrets: Vec<_> = detection.candidates.iter().filter_map(|candidate| candidate.secret.as_ref()).collect();
    secrets.sort_by_key(|secret| secret.span.start);
    let read = |comment: &Comment| {
        let mut allow = Allow::read(comment, &locations, rules)?;
        if !show_secrets {
            // The reason is the rest of the line, which may hold the very key that is allowed.
            let first = secrets.partition_point(|secret| secret.span.start < comment.span.start);
            let reach = comment.span.end + 2 * comment.text.len();
            let on_line = secrets[first..].iter().take_while(|secret| secret.span.start < reach);
            allow.reason = mask::redact(&allow.reason, on_line.map(|secret| secret.value.expose_secret()));
        }
        Some(allow)
    };
    let allows = detection.comments.iter().filter_map(read).collect();
    let unused = inline::apply(allows, &mut findings);
    if let Some(rule) = rules.of_finder(Finder::UnusedAllow) {
        findings
            .extend(unused.iter().map(|allow| finding::unused_allow(rule, &path, &allow.span, &excerpts, &locations)));
    }
    Examined { findings, is_cut: detection.is_cut }
}

/// What all threads found, in no order.
#[derive(Default)]
struct Collected {
    files: AtomicU64,
    bytes: AtomicU64,
    findings: Mutex<Vec<Finding>>,
    skips: Mutex<Vec<Skip>>,
}

impl Collected {
    fn add(&self, found: Vec<Finding>) {
        if !found.is_empty() {
            self.findings.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        }
    }

    fn skip(&self, skip: Skip) {
        self.skips.lock().unwrap_or_else(PoisonError::into_inner).push(skip);
    }

    fn into_report(self, detector: &Detector) -> Report {
        let mut all = self.findings.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut skips = self.skips.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.sort_by(Finding::order);
        skips.sort();
        let (suppressed, findings) = all.into_iter().partition(|finding| finding.suppression.is_some());
        Report {
            findings,
            suppressed,
            coverage: Coverage { files: self.files.into_inner(), bytes: self.bytes.into_inner(), skips },
            rules: detector.rules().clone(),
        }
    }
}
