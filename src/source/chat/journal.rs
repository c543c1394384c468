//! All comments of a ticket in one text, each with its time and author before it.

use super::time;
use regex::bytes::Regex;
use std::sync::LazyLock;

/// ServiceNow: `2026-01-01 10:00:00 - Ann (Additional comments)`.
pub(super) static SERVICE_NOW: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) - ([^\\\n(]{1,100}?) \((?:Additional comments|Work notes|Comments)")
        .expect("a valid regex")
});
/// Jira's tables: `02/Mar/26 9:14 AM;ann;text`.
pub(super) static JIRA: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?:^|[,"])(\d{1,2}/[A-Z][a-z]{2}/\d{2,4} \d{1,2}:\d\d(?: [AP]M)?);([^;\n]{1,100});"#)
        .expect("a valid regex")
});

/// The maximum number of comments of one text.
const MAX_COMMENTS: usize = 100_000;

/// Where comments start in a text.
#[derive(Default)]
pub(super) struct Journal {
    /// Offset after the head, time and author; in order.
    heads: Vec<(usize, String, String)>,
}

impl Journal {
    pub fn new(text: &[u8], head: &Regex) -> Self {
        let own = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        let heads = head.captures_iter(text).take(MAX_COMMENTS);
        Self {
            heads: heads
                .map(|found| (found.get(0).map_or(0, |all| all.end()), own(&found[1]), own(&found[2])))
                .collect(),
        }
    }

    /// When and by whom the comment around an offset was written.
    pub fn entry(&self, offset: usize) -> Option<(String, String)> {
        let after = self.heads.partition_point(|(end, ..)| *end <= offset);
        let (_, date, author) = self.heads.get(after.checked_sub(1)?)?;
        Some((time::written(date), author.clone()))
    }
}

/// True for fields that hold all comments of a ticket.
pub(super) fn is_journal(field: &str) -> bool {
    ["comments", "work_notes", "comments_and_work_notes"].contains(&field)
}
