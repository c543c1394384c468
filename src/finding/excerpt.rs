//! The lines of a finding, cut to a readable length and free of secrets.

use std::ops::Range;

/// Part of a line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Excerpt {
    /// 1-based.
    pub line: u32,
    /// Safe to show: secrets are masked (unless the run shows them), control characters replaced.
    pub text: Box<str>,
    /// Byte range of the id in `text`, if it is here; or of what the finding is about, if not a key.
    pub id: Option<Range<u32>>,
    /// Byte range of the secret in `text`, if it is here.
    pub secret: Option<Range<u32>>,
}

impl Excerpt {
    /// Byte ranges of the values in the text, in order, and whether each is the secret.
    pub fn marks(&self) -> impl Iterator<Item = (Range<usize>, bool)> {
        let mark = |range: &Option<Range<u32>>, is_secret| {
            range.as_ref().map(|range| (range.start as usize..range.end as usize, is_secret))
        };
        let mut marks = [mark(&self.id, false), mark(&self.secret, true)];
        marks.sort_unstable_by_key(|mark| mark.as_ref().map(|(range, _)| range.start));
        marks.into_iter().flatten()
    }
}
