//! One pass over raw bytes that finds all places worth examining; most blobs have none, and are done.
//!
//! It combines the searches of [`finder`](super::finder). The literals are the prefixes of key ids, the keywords of rules,
//! the marks of text in another encoding, words that announce a secret, and inline comments that concern keyspill. What
//! rules of tokens and of names look for is found by `Words`.

use super::decode::run::Packed;
use super::finder::literals::Literals;
use super::marks::{self, Mark};
use super::secret;
use super::words::{Near, Words};
use crate::rule::gitleaks::Outline;
use crate::rule::{Rule, RuleSet, Shape};
use crate::text::alphabet::{is_base64, is_word};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

/// Blobs longer than this, in bytes, are split at line ends and searched by several threads.
const SPLIT_ABOVE: usize = 8 << 20;
const PART: usize = 2 << 20;

/// The hits of one pass, each list in ascending order.
#[derive(Debug, Default, PartialEq)]
pub struct Hits {
    /// Maximal base64 runs that may contain a secret, or text in another encoding.
    pub runs: Vec<Range<usize>>,
    /// Literals: offset and what each means.
    pub marks: Vec<(usize, Mark)>,
    /// Maximal runs of letters and digits that some rule may be about.
    pub words: Vec<Range<usize>>,
    /// Where an `@` may end the user of a URL.
    pub urls: Vec<usize>,
}

/// A part that two texts have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// Offset in the other text.
    pub from: usize,
    /// Offset in this one.
    pub to: usize,
    /// Bytes.
    pub length: usize,
}

/// Minimum length of a shared part that is used, in bytes: each costs a search of its own around its ends.
pub const MIN_SHARED: usize = 256;

impl Hits {
    /// True if nothing was found.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.marks.is_empty() && self.words.is_empty() && self.urls.is_empty()
    }

    /// Adds the hits of `known` that lie in a shared part.
    fn inherit(&mut self, known: &Self, part: Shared, longest_literal: usize, reach: usize) {
        let Shared { from, to, length } = part;
        let end = from + length;
        // A run that reaches an end of the part may be longer here, and one close to it may have other neighbours.
        let inherit = |known: &[Range<usize>], runs: &mut Vec<Range<usize>>| {
            let first = known.partition_point(|run| run.start < from + reach);
            let inside = known[first..].iter().take_while(|run| run.end + reach <= end);
            runs.extend(inside.map(|run| run.start - from + to..run.end - from + to));
        };
        inherit(&known.runs, &mut self.runs);
        inherit(&known.words, &mut self.words);
        // A mark may depend on the letter before it.
        let first = known.marks.partition_point(|(at, _)| *at < from + usize::from(from > 0));
        let marks = known.marks[first..].iter().take_while(|(at, _)| at + longest_literal <= end);
        self.marks.extend(marks.map(|(at, mark)| (at - from + to, *mark)));
    }

    /// Adds the hits of a part that begins at `offset`; words are counted from the start of the text already.
    fn append(&mut self, mut later: Self, offset: usize) {
        self.runs.extend(later.runs.drain(..).map(|run| run.start + offset..run.end + offset));
        self.marks.extend(later.marks.drain(..).map(|(at, mark)| (at + offset, mark)));
        self.words.append(&mut later.words);
    }
}

/// Built once from the rules, shared by all threads.
#[derive(Debug)]
pub struct Prefilter {
    literals: Literals,
    /// What each of them stands for.
    meanings: Vec<Vec<Mark>>,
    /// Keywords in any case, with the rules of each: only of rules that others wrote.
    folded: Option<(Literals, Vec<Vec<usize>>)>,
    /// Rules without words to look for.
    wordless: Vec<usize>,
    /// The rules, for those that others wrote.
    rules: Vec<Arc<Rule>>,
    /// How far after a place it depends on the text what a rule that others wrote finds there, in bytes.
    outline: usize,
    /// The rules about URLs with passwords.
    urls: Vec<usize>,
    words: Words,
}

impl Prefilter {
    /// A prefilter for all `rules` and encodings.
    pub fn new(rules: &RuleSet) -> Self {
        let mut meanings: BTreeMap<Vec<u8>, Vec<Mark>> = BTreeMap::new();
        let (mut urls, mut wordless, mut outline) = (Vec::new(), Vec::new(), 0);
        let mut folded: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
        for (index, rule) in rules.iter().enumerate() {
            let mut add = |literal: Vec<u8>, mark| meanings.entry(literal).or_default().push(mark);
            match rule.regex().map_or(&Shape::Keywords, |regex| &regex.shape) {
                Shape::Keywords => {}
                Shape::Texts(texts) => {
                    texts.iter().for_each(|text| add(text.clone(), Mark::Keyword(index)));
                    continue;
                }
                Shape::Url { .. } => {
                    urls.push(index);
                    continue;
                }
                Shape::AnyCase => {
                    outline = outline.max(outline_of(rule).map_or(0, |outline| outline.length));
                    if rule.keywords.is_empty() {
                        wordless.push(index);
                    }
                    for word in &rule.keywords {
                        folded.entry(word.to_ascii_lowercase().into()).or_default().push(index);
                    }
                    continue;
                }
                Shape::Prefix { .. } | Shape::Before { .. } => continue,
            }
            rule.keywords.iter().for_each(|keyword| add(keyword.as_bytes().to_vec(), Mark::Keyword(index)));
        }
        for (literal, mark) in marks::all() {
            meanings.entry(literal).or_default().push(mark);
        }
        let folded = (!folded.is_empty()).then(|| {
            let (words, rules) = folded.into_iter().unzip();
            (Literals::in_any_case(words), rules)
        });
        let (texts, meanings) = meanings.into_iter().unzip();
        let all = if folded.is_some() || !wordless.is_empty() { rules.iter().cloned().collect() } else { vec![] };
        Self {
            literals: Literals::new(texts),
            meanings,
            folded,
            wordless,
            rules: all,
            outline,
            urls,
            words: Words::new(rules),
        }
    }

    /// The runs that rules are about.
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// Finds everything in `text` that is worth examining.
    pub fn search(&self, text: &[u8]) -> Hits {
        let mut hits = self.search_all(text);
        self.retain_telling(text, &mut hits);
        hits.urls = self.urls_in(text);
        hits
    }

    /// The rules about URLs with passwords.
    pub fn url_rules(&self) -> &[usize] {
        &self.urls
    }

    /// They are found faster than they can be taken over from another version.
    fn urls_in(&self, text: &[u8]) -> Vec<usize> {
        if self.urls.is_empty() { vec![] } else { ends_of_users(text) }
    }

    fn search_all(&self, text: &[u8]) -> Hits {
        if text.len() <= SPLIT_ABOVE {
            return self.search_part(text, 0..text.len());
        }
        let parts: Vec<_> = split_at_lines(text).collect();
        let found: Vec<_> = parts.par_iter().map(|part| (part.start, self.search_part(text, part.clone()))).collect();
        let mut hits = Hits::default();
        found.into_iter().for_each(|(start, part)| hits.append(part, start));
        hits
    }

    /// Like [`Self::search`], but cheaper if `text` shares much with a text whose hits are known: only what is new is
    /// searched, and around it.
    pub fn search_derived(&self, text: &[u8], known: &Hits, shared: impl Iterator<Item = Shared>) -> Hits {
        let shared: Vec<Shared> = shared.filter(|part| part.length >= MIN_SHARED).collect();
        let windows = self.windows(text, &shared);
        let new: usize = windows.iter().map(Range::len).sum();
        if new > text.len() / 2 {
            return self.search(text);
        }
        let mut hits = Hits::default();
        for window in windows {
            hits.append(self.search_part(text, window.clone()), window.start);
        }
        self.retain_telling(text, &mut hits);
        for part in &shared {
            hits.inherit(known, *part, self.longest_literal(), self.reach());
        }
        for runs in [&mut hits.runs, &mut hits.words] {
            runs.sort_unstable_by_key(|run| run.start);
            runs.dedup();
        }
        hits.marks.sort_unstable();
        hits.marks.dedup();
        hits.urls = self.urls_in(text);
        hits
    }

    /// The parts to search: everything not shared, extended into the shared parts on both sides so that literals and
    /// runs are whole. Sorted and non-overlapping.
    fn windows(&self, text: &[u8], shared: &[Shared]) -> Vec<Range<usize>> {
        let reach = self.longest_literal().max(self.reach());
        let is_of_run = |byte| is_base64(byte) || is_word(byte);
        let starts = std::iter::once(0).chain(shared.iter().map(|part| (part.to + part.length).saturating_sub(reach)));
        let ends = shared.iter().map(|part| text.len().min(part.to + reach)).chain([text.len()]);
        let mut windows: Vec<Range<usize>> = Vec::with_capacity(shared.len() + 1);
        for (mut start, mut end) in starts.zip(ends) {
            let done = windows.last().map_or(0, |last| last.end);
            if end <= done {
                continue;
            }
            while start > done && is_of_run(text[start - 1]) {
                start -= 1;
            }
            while end < text.len() && is_of_run(text[end]) {
                end += 1;
            }
            match windows.last_mut() {
                // Separate searches cost more than what lies between.
                Some(last) if start <= last.end + MIN_SHARED / 2 => last.end = end,
                _ => windows.push(start..end),
            }
        }
        windows
    }

    /// How far around a run its meaning depends on the text, in bytes.
    fn reach(&self) -> usize {
        secret::REACH.max(self.words.reach())
    }

    /// Searches a part of `text` that cuts no run and no literal.
    fn search_part(&self, whole: &[u8], part: Range<usize>) -> Hits {
        let mut hits = Hits::default();
        self.words.find(whole, part.clone(), &mut hits.runs, &mut hits.words);
        let start = part.start;
        let text = &whole[part.clone()];
        let mut found = Vec::new();
        self.literals.find(text, &mut found);
        let meanings = |(at, literal): (usize, usize)| self.meanings[literal].iter().map(move |&mark| (at, mark));
        hits.marks.extend(found.into_iter().flat_map(meanings));
        if let Some((words, rules)) = &self.folded {
            let mut found = Vec::new();
            words.find(text, &mut found);
            for (at, word) in found {
                // Most words are followed by nothing that the rule wants.
                let may_match = |rule: &&usize| {
                    outline_of(&self.rules[**rule]).is_none_or(|outline| outline.may_go_on(whole, start + at))
                };
                hits.marks.extend(rules[word].iter().filter(may_match).map(|rule| (at, Mark::Keyword(*rule))));
            }
        }
        for &rule in &self.wordless {
            match outline_of(&self.rules[rule]) {
                Some(outline) => outline.starts(whole, part.clone(), &mut |at| {
                    hits.marks.push((at - start, Mark::Keyword(rule)));
                }),
                None => hits.marks.push((0, Mark::Keyword(rule))),
            }
        }
        // Each search tells its own in order.
        if !self.wordless.is_empty() || self.folded.is_some() {
            hits.marks.sort_by_key(|(at, _)| *at);
        }
        hits
    }

    /// How far after a mark its meaning depends on the text, in bytes.
    fn longest_literal(&self) -> usize {
        let folded = self.folded.as_ref().map_or(0, |(words, _)| words.longest());
        self.literals.longest().max(folded).max(self.outline)
    }

    fn retain_telling(&self, text: &[u8], hits: &mut Hits) {
        let mut near = Near::default();
        hits.runs.retain(|run| {
            secret::may_be_one(text, run)
                || Packed::detect(text, run).is_some()
                || self.words.is_named(text, run, &mut near)
        });
    }
}

fn outline_of(rule: &Rule) -> Option<&Outline> {
    rule.regex()?.gitleaks.as_ref()?.outline.as_ref()
}

/// Each `@` that may end the user of a URL, and perhaps a password: what is between it and the scheme has no end of a word.
fn ends_of_users(text: &[u8]) -> Vec<usize> {
    const MAX_CREDENTIALS: usize = 512;
    static SCHEME: LazyLock<memchr::memmem::Finder> = LazyLock::new(|| memchr::memmem::Finder::new(b"://"));
    let is_end = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'/' | b'"' | b'\'' | b'<' | b'>');
    let mut ends = Vec::new();
    for scheme in SCHEME.find_iter(text) {
        let start = scheme + 3;
        let rest = &text[start..text.len().min(start + MAX_CREDENTIALS)];
        let word = &rest[..rest.iter().position(is_end).unwrap_or(rest.len())];
        ends.extend(memchr::memchr_iter(b'@', word).map(|at| start + at));
    }
    ends
}

/// Parts of about [`PART`] bytes that end after a newline: nothing that the prefilter looks for contains one.
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
    use crate::rule::Selection;
    use proptest::prelude::*;

    #[test]
    fn a_split_search_finds_what_an_unsplit_one_does() {
        let line = crate::rule::example::expand("x {{akia}} {{secret}} Secret=ABSK amzn.mws. QUtJQ \n").text;
        let text = line.repeat(SPLIT_ABOVE / line.len() + 5000);
        let prefilter = Prefilter::new(&RuleSet::built_in());
        let mut whole = prefilter.search_part(text.as_bytes(), 0..text.len());
        prefilter.retain_telling(text.as_bytes(), &mut whole);
        assert!(whole.marks.iter().filter(|(_, mark)| *mark == Mark::KeyId).count() > 50_000);
        assert_eq!(prefilter.search(text.as_bytes()), whole);
        let one_line = text.replace('\n', " ");
        let mut whole = prefilter.search_part(one_line.as_bytes(), 0..one_line.len());
        prefilter.retain_telling(one_line.as_bytes(), &mut whole);
        assert_eq!(prefilter.search(one_line.as_bytes()), whole);
    }

    #[test]
    fn literals_are_placed_when_the_program_is_built() {
        let aws = RuleSet::selected(&Selection::from_packs(["aws".to_owned()]));
        for rules in [RuleSet::built_in(), aws] {
            assert!(Prefilter::new(&rules).literals.are_placed());
        }
    }

    /// Text full of what is searched for, whole and truncated.
    fn dense() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "[A-Za-z0-9+/]{1,90}".prop_map(String::into_bytes),
            "[A-Za-z0-9+/]{40}".prop_map(String::into_bytes),
            Just(crate::rule::example::expand(" {{secret}} ").text.into_bytes()),
            Just(crate::rule::example::expand(r"\n{{secret}}=").text.into_bytes()),
            prop::sample::select(vec![
                &b"AKIA"[..],
                b"ASIA",
                b"ecret",
                b"\0I\0A",
                b"QUtJQ",
                b"ABSK",
                b"amzn.mws.",
                b"keyspill:"
            ])
            .prop_map(<[u8]>::to_vec),
            "[ =\"\n._-]{1,30}".prop_map(String::into_bytes),
            (1usize..600).prop_map(|length| vec![b'.'; length]),
            (1usize..600).prop_map(|length| vec![b'x'; length]),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_derived_search_finds_what_a_whole_one_does(
            base in dense(),
            edits in prop::collection::vec((any::<[prop::sample::Index; 2]>(), dense(), any::<bool>()), 0..6),
        ) {
            let prefilter = Prefilter::new(&RuleSet::built_in());
            let (mut text, mut shared) = (Vec::new(), Vec::new());
            for (ends, new, is_small) in edits {
                let [from, end] = ends.map(|index| index.index(base.len() + 1));
                if from < end {
                    shared.push(Shared { from, to: text.len(), length: end - from });
                    text.extend_from_slice(&base[from..end]);
                }
                text.extend_from_slice(&new[..if is_small { new.len().min(3) } else { new.len() }]);
            }
            let whole = prefilter.search(&text);
            let mut expected = Hits { runs: whole.runs, marks: whole.marks, words: whole.words, urls: whole.urls };
            expected.marks.sort_unstable();
            let mut found = prefilter.search_derived(&text, &prefilter.search(&base), shared.into_iter());
            found.marks.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn overlapping_and_prefixed_literals_are_all_found() {
        let prefilter = Prefilter::new(&RuleSet::built_in());
        let marks = prefilter.search(b"QUtJQUtJQ").marks;
        assert_eq!(marks.iter().filter(|(_, mark)| matches!(mark, Mark::Base64 { phase: 0 })).count(), 2);
    }
}
