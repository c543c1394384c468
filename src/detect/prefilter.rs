//! One pass over raw bytes that finds all places worth a look; most blobs have none, and are done.
//!
//! It combines the two [`finder`]s with one search for literals: the keywords of regex rules, the marks of text
//! in another encoding, words that announce a secret, and inline comments that concern keyspill.

use super::decode::base64;
use super::finder;
use crate::rule::{Matcher, RuleSet};
use aho_corasick::{AhoCorasick, Input, MatchKind, packed};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;

/// Blobs longer than this, in bytes, are split at line ends and searched by several threads.
const SPLIT_ABOVE: usize = 8 << 20;
const PART: usize = 2 << 20;

/// What a literal stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// A keyword of the regex rule at this position of the rule set.
    Keyword(usize),
    /// The first characters of something in base64; `phase` is the place of the first in its group of four (0 to 3).
    Base64 { phase: u8 },
    /// A wide letter pair: the first byte is the first letter, whatever the byte order.
    Utf16,
    /// A word that may stand before a secret.
    SecretWord,
    /// A comment that allows a finding, keyspill's or a peer's.
    AllowComment,
}

/// The hits of one pass, each list in ascending order.
#[derive(Debug, Default, PartialEq)]
pub struct Hits {
    /// Offsets of what is spelled like a key id.
    pub ids: Vec<usize>,
    /// Maximal base64 runs of 40 and more.
    pub runs: Vec<Range<usize>>,
    /// Literals: offset and what each means.
    pub marks: Vec<(usize, Mark)>,
}

impl Hits {
    /// True if nothing was found.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.runs.is_empty() && self.marks.is_empty()
    }

    fn append(&mut self, mut later: Self, offset: usize) {
        self.ids.extend(later.ids.drain(..).map(|at| at + offset));
        self.runs.extend(later.runs.drain(..).map(|run| run.start + offset..run.end + offset));
        self.marks.extend(later.marks.drain(..).map(|(at, mark)| (at + offset, mark)));
    }
}

/// Built once from the rules, shared by all threads.
#[derive(Debug)]
pub struct Prefilter {
    engine: Engine,
    literals: Vec<Literal>,
}

#[derive(Debug)]
struct Literal {
    marks: Vec<Mark>,
    /// Other literals that this one begins with; a search reports only the longest of them.
    prefixes: Vec<usize>,
}

#[derive(Debug)]
enum Engine {
    /// Teddy: vectorised, but for few literals and few processors only.
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
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
        for word in ["AKIA", "ASIA", "ABIA", "ACCA", "secret", "SECRET", "Secret"] {
            for (anchor, phase) in base64::anchors(word.as_bytes()) {
                add(anchor, Mark::Base64 { phase });
            }
            let wide: Vec<u8> = word.bytes().flat_map(|b| [b, 0]).collect();
            add(wide[..wide.len() - 1].to_vec(), Mark::Utf16);
        }
        for word in ["ecret", "ECRET"] {
            add(word.into(), Mark::SecretWord);
        }
        for comment in super::comment::MARKERS {
            add(comment.into(), Mark::AllowComment);
        }
        let (texts, marks): (Vec<_>, Vec<_>) = meanings.into_iter().unzip();
        let prefixes = |text: &Vec<u8>| {
            (0..texts.len()).filter(|&n| texts[n].len() < text.len() && text.starts_with(&texts[n])).collect()
        };
        let literals =
            texts.iter().zip(marks).map(|(text, marks)| Literal { marks, prefixes: prefixes(text) }).collect();
        Self { engine: Engine::new(&texts), literals }
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
        finder::key_ids(text, &mut hits.ids);
        finder::base64_runs(text, &mut hits.runs);
        let mut from = 0;
        while let Some((start, literal)) = self.engine.find(text, from) {
            let literal = &self.literals[literal];
            let all = literal.prefixes.iter().map(|&prefix| &self.literals[prefix]).chain([literal]);
            hits.marks.extend(all.flat_map(|literal| &literal.marks).map(|&mark| (start, mark)));
            // Not past the end: literals may overlap.
            from = start + 1;
        }
        hits
    }
}

impl Engine {
    fn new(literals: &[Vec<u8>]) -> Self {
        let packed =
            packed::Config::new().match_kind(packed::MatchKind::LeftmostLongest).builder().extend(literals).build();
        match packed {
            Some(searcher) => Self::Packed(searcher),
            None => Self::Automaton(
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostLongest)
                    .build(literals)
                    .expect("a few hundred short literals stay far below the automaton's limits"),
            ),
        }
    }

    fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let found = match self {
            Self::Packed(searcher) => searcher.find_in(text, aho_corasick::Span { start: from, end: text.len() }),
            Self::Automaton(automaton) => automaton.find(Input::new(text).range(from..)),
        }?;
        Some((found.start(), found.pattern().as_usize()))
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
        assert!(whole.ids.len() > 50_000);
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

    #[test]
    fn both_engines_agree() {
        let rules = RuleSet::built_in();
        let packed = Prefilter::new(&rules);
        let literals: Vec<Vec<u8>> = vec![b"ecret".to_vec(), b"ecret_key".to_vec(), b"A\0K\0I\0A".to_vec()];
        let automaton =
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&literals).expect("three literals");
        let text = b"x ecret_key ecret A\0K\0I\0A".repeat(9);
        if let Engine::Packed(_) = packed.engine {
            let engine = Engine::new(&literals);
            let other = Engine::Automaton(automaton);
            for from in 0..text.len() {
                assert_eq!(engine.find(&text, from), other.find(&text, from));
            }
        }
    }
}
