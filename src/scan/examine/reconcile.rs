//! A container's bytes are scanned as they are, too: what was found in both ways is one finding.

use crate::finding::Finding;
use crate::finding::location::Location;
use std::collections::{HashMap, HashSet, VecDeque};

/// Removes from a file's own findings those also found inside it; these get their location in the file.
pub fn reconcile(outer: Vec<Finding>, inner: &mut [Finding]) -> Vec<Finding> {
    let mut places: HashMap<_, VecDeque<Location>> = HashMap::new();
    for finding in &outer {
        places.entry((finding.rule.id.clone(), finding.fingerprint)).or_default().push_back(finding.location);
    }
    for finding in &mut *inner {
        let places = places.get_mut(&(finding.rule.id.clone(), finding.fingerprint));
        finding.outer = places
            .and_then(|places| if places.len() > 1 { places.pop_front() } else { places.front().copied() })
            .map(Box::new);
    }
    without_known(outer, inner)
}

/// Those of `outer` that are not in `inner`.
pub fn without_known(outer: Vec<Finding>, inner: &[Finding]) -> Vec<Finding> {
    let values: HashSet<_> = inner.iter().map(|finding| finding.fingerprint).collect();
    let ids: HashSet<_> = inner.iter().filter_map(|finding| Some(&finding.id()?.text)).collect();
    let is_inside = |finding: &Finding| {
        values.contains(&finding.fingerprint)
            || finding.secret().is_none() && finding.id().is_some_and(|id| ids.contains(&id.text))
    };
    outer.into_iter().filter(|finding| !is_inside(finding)).collect()
}
