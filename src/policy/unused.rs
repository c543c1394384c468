//! Findings of what is meant to allow something, and allows nothing.

use crate::credential::Fingerprint;
use crate::finding::location::Location;
use crate::finding::{BlobPath, Excerpt, Finding, Kind};
use crate::rule::Rule;
use crate::text::markers::MARKERS;
use std::sync::Arc;

/// The finding for an allow at `location` that allows nothing; with a hint of what is probably wrong with it.
pub fn unused(
    rule: &Arc<Rule>,
    path: &Arc<BlobPath>,
    location: Location,
    excerpts: Arc<[Excerpt]>,
    hint: Option<String>,
) -> Finding {
    Finding {
        rule: rule.clone(),
        severity: rule.severity,
        path: path.clone(),
        location,
        outer: None,
        // All of them count as one thing to clean up.
        fingerprint: Fingerprint::new(None, Some(MARKERS[0])),
        account: None,
        is_canary: false,
        excerpts,
        message: None,
        history: None,
        expired: None,
        suppression: None,
        kind: Kind::UnusedAllow { hint: hint.map(Arc::from) },
    }
}
