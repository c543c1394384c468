//! One pass over raw bytes that finds all places worth a look; most blobs have none, and are done.
//!
//! It combines the two searches of [`finder`]. The literals are the prefixes of key ids, the keywords of regex rules,
//! the marks of text in another encoding, words that announce a secret, and inline comments that concern keyspill.

use super::decode::base64;
use super::finder;
use super::finder::literals::Literals;
use super::key_id;
use crate::rule::{Matcher, RuleSet};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;

/// Blobs longer than this, in bytes, are split at line ends and searched by several threads.
const SPLIT_ABOVE: usize = 8 << 20;
const PART: usize = 2 << 20;

/// What a literal stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// The prefix of a key id.
    KeyId,
    /// A keyword of the regex rule at this position of the rule set.
    Keyword(usize),
    /// The first characters of something in base64; `phase` is the place of the first in its group of four (0 to 3).
    Base64 {
        /// 0 to 3.
        phase: u8,
    },
    /// Wide letters of a word such as `AKIA`, after a zero byte, whatever the byte order.
    Utf16,
    /// A word that may stand before a secret.
    SecretWord,
    /// A comment that allows a finding, keyspill's or a peer's.
    AllowComment,
}

/// The hits of one pass, each list in ascending order.
#[derive(Debug, Default, PartialEq)]
pub struct Hits {
    /// Maximal base64 runs of 40 and more.
    pub runs: Vec<Range<usize>>,
    /// Literals: offset and what each means.
    pub marks: Vec<(usize, Mark)>,
}

impl Hits {
    /// True if nothing was found.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.marks.is_empty()
    }

    fn append(&mut self, mut later: Self, offset: usize) {
        self.runs.extend(later.runs.drain(..).map(|run| run.start + offset..run.end + offset));
        self.marks.extend(later.marks.drain(..).map(|(at, mark)| (at + offset, mark)));
    }
}

/// Built once from the rules, shared by all threads.
#[derive(Debug)]
pub struct Prefilter {
    literals: Literals,
    /// What each of the literals stands for.
    marks: Vec<Vec<Mark>>,
}

impl Prefilter {
    /// A prefilter for all `rules` and encodings.
    pub fn new(rules: &RuleSet) -> Self {
        let mut meanings: BTreeMap<Vec<u8>, Vec<Mark>> = BTreeMap::new();
        let mut add = |literal: Vec<u8>, mark| meanings.entry(literal).or_default().push(mark);
        for (index, rule) in rules.iter().enumerate() {
            if let Matcher::Regex(regex) = &rule.matcher {
                regex.keywords.iter().for_each(|keyword| add(keyword.clone().into(), Mark::Keyword(index)));
            }
        }
        // The wide words are cut to what several have in common.
        for word in ["AKIA", "ASIA", "ABIA", "ACCA", "ecret", "ECRET"] {
            for (anchor, phase) in base64::anchors(word.as_bytes()) {
                add(anchor, Mark::Base64 { phase });
            }
        }
        for wide in ["\0I\0A", "\0C\0A", "\0c\0r\0e", "\0C\0R\0E"] {
            add(wide.into(), Mark::Utf16);
        }
        for prefix in key_id::PREFIXES {
            add(prefix.into(), Mark::KeyId);
        }
        for word in ["ecret", "ECRET"] {
            add(word.into(), Mark::SecretWord);
        }
        for comment in super::comment::MARKERS {
            add(comment.into(), Mark::AllowComment);
        }
        let (texts, marks): (Vec<_>, Vec<_>) = meanings.into_iter().unzip();
        Self { literals: Literals::new(texts), marks }
    }

    /// Everything in `text` that is worth a look.
    pub fn search(&self, text: &[u8]) -> Hits {
        if text.len() <= SPLIT_ABOVE {
            return self.search_part(text);
        }
        let parts: Vec<_> = split_at_lines(text).collect();
        let found: Vec<_> = parts.par_iter().map(|part| (part.start, self.search_part(&text[part.clone()]))).collect();
        let mut hits = Hits::default();
        found.into_iter().for_each(|(start, part)| hits.append(part, start));
        hits
    }

    fn search_part(&self, text: &[u8]) -> Hits {
        let mut hits = Hits::default();
        finder::base64_runs(text, &mut hits.runs);
        let mut literals = Vec::new();
        self.literals.find(text, &mut literals);
        hits.marks.extend(
            literals.into_iter().flat_map(|(at, literal)| self.marks[literal].iter().map(move |&mark| (at, mark))),
        );
        hits
    }
}

/// Parts of about [`PART`] bytes that end after a newline: nothing that the prefilter looks for holds one.
fn split_at_lines(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let end = rest
            .get(PART..)
            .and_then(|after| memchr::memchr(b'\n', after))
            .map_or(text.len(), |newline| start + PART + newline + 1);
        let part = start..end;
        start = end;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_search_finds_what_an_unsplit_one_does() {
        let line = crate::rule::example::expand("x {{akia}} {{secret}} Secret=ABSK amzn.mws. QUtJQ \n").text;
        let text = line.repeat(SPLIT_ABOVE / line.len() + 5000);
        let prefilter = Prefilter::new(&RuleSet::built_in());
        let whole = prefilter.search_part(text.as_bytes());
        assert!(whole.marks.iter().filter(|(_, mark)| *mark == Mark::KeyId).count() > 50_000);
        assert_eq!(prefilter.search(text.as_bytes()), whole);
        let one_line = text.replace('\n', " ");
        assert_eq!(prefilter.search(one_line.as_bytes()), prefilter.search_part(one_line.as_bytes()));
    }

    #[test]
    fn overlapping_and_prefixed_literals_are_all_found() {
        let prefilter = Prefilter::new(&RuleSet::built_in());
        let marks = prefilter.search(b"QUtJQUtJQ").marks;
        assert_eq!(marks.iter().filter(|(_, mark)| matches!(mark, Mark::Base64 { phase: 0 })).count(), 2);
    }
}
