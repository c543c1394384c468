//! All comments of a ticket in one text, as ServiceNow writes them: `2026-01-01 10:00:00 - Ann (Additional comments)`.

use super::time;
use regex::Regex;
use std::sync::LazyLock;

static HEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) - ([^\\\n(]{1,100}?) \((?:Additional comments|Work notes|Comments)")
        .expect("a valid regex")
});

/// How far back a comment may start, in bytes.
const MAX_COMMENT: usize = 64 << 10;

/// When and by whom the comment was written in which `before` ends, in a field of this name.
pub(super) fn entry(field: &str, before: &[u8]) -> Option<(String, String)> {
    if !["comments", "work_notes", "comments_and_work_notes"].contains(&field) {
        return None;
    }
    let text = String::from_utf8_lossy(before.get(before.len().saturating_sub(MAX_COMMENT)..)?);
    let head = HEAD.captures_iter(&text).last()?;
    Some((time::written(&head[1]), head[2].to_owned()))
}
