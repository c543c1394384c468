//! Runs of letters and digits that begin with a rule's prefix, or come after its word.
//!
//! However many rules there are, each run is looked up in two small tables: by its first four bytes, and by any four
//! of the bytes before it. Nearly all runs are in neither.

use super::decode::escape;
use super::finder::{self, bigrams};
use super::marks;
use crate::rule::{MIN_TEXT, RuleSet, Run, Shape, Stretch};
use crate::text::alphabet::is_word;
use std::collections::VecDeque;
use std::ops::Range;

/// The places at which rules with a shape may match.
#[derive(Debug, Default)]
pub struct Words {
    /// All texts that are looked for, one after the other.
    texts: Vec<u8>,
    /// What the run of a match has, by rule.
    stretches: Vec<Stretch>,
    prefixes: Table<Prefix>,
    /// Words before runs.
    named: Around,
    /// The same, for runs of base64.
    named_base64: Around,
    /// True if every rule with a word wants a digit in the run: what has none is a name, and not a key. Of 32 random letters
    /// and digits, one in 290 has no digit.
    wants_digit: bool,
}

/// The place of a text in [`Words::texts`].
#[derive(Debug, Clone, Copy)]
struct Text {
    start: u32,
    length: u32,
}

#[derive(Debug, Clone, Copy)]
struct Prefix {
    rule: u32,
    text: Text,
    /// True for what the prefix is in base64, as in the `data` of a Kubernetes secret.
    is_encoded: bool,
}

#[derive(Debug, Clone, Copy)]
struct Word {
    /// In small letters.
    text: Text,
    /// Where the four bytes that are looked up are in it.
    offset: usize,
    rule: u32,
    reach: usize,
    end: Option<usize>,
    is_inside: bool,
}

/// Words to be found around a run.
#[derive(Debug, Default)]
struct Around {
    table: Table<Word>,
    /// How far before a run a word may begin, in bytes.
    reach: usize,
    /// True if a word may also be part of a run.
    is_inside: bool,
}

/// What is known of the text around the last run: parts before runs overlap, and each byte is looked up once.
#[derive(Debug, Default)]
pub struct Near {
    /// Places where a word may be, in order.
    places: VecDeque<usize>,
    /// All before this offset that is near a run was searched.
    searched: usize,
}

/// Where a rule may match.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// A match begins here, if any.
    At(usize),
    /// A match lies within, if any.
    Within { start: usize, end: usize },
}

impl Words {
    /// The tables of all rules with a shape.
    pub fn new(rules: &RuleSet) -> Self {
        let stretches = vec![Stretch::NOTHING; rules.iter().len()];
        let mut words = Self { wants_digit: true, stretches, ..Self::default() };
        for (number, rule, matcher) in rules.iter().enumerate().filter_map(|(n, rule)| Some((n, rule, rule.regex()?))) {
            match &matcher.shape {
                Shape::Prefix { texts, stretch } => {
                    words.stretches[number] = *stretch;
                    for bytes in texts {
                        let mut add = |bytes: &[u8], is_encoded| {
                            let text = Text::add(&mut words.texts, bytes);
                            words.prefixes.add(first_four(bytes, 0), Prefix { rule: number as u32, text, is_encoded });
                        };
                        add(bytes, false);
                        // gitleaks does not look there.
                        if matcher.gitleaks.is_none()
                            && let Some((encoded, _)) = marks::base64_of(bytes).next()
                        {
                            add(&encoded, true);
                        }
                    }
                }
                Shape::Before { texts, reach, end, run, is_inside, stretch } => {
                    words.stretches[number] = *stretch;
                    let around = match run {
                        Run::Word => &mut words.named,
                        Run::Base64 => &mut words.named_base64,
                    };
                    around.reach = around.reach.max(*reach);
                    around.is_inside |= is_inside;
                    words.wants_digit &= rule.pack.is_some();
                    for bytes in texts {
                        let text = Text::add(&mut words.texts, bytes);
                        let offset = rarest(bytes, *is_inside);
                        let word =
                            Word { text, offset, rule: number as u32, reach: *reach, end: *end, is_inside: *is_inside };
                        around.table.add(first_four(bytes, offset).map(fold_four), word);
                    }
                }
                Shape::Url { .. } | Shape::Texts(_) | Shape::Keywords | Shape::AnyCase => {}
            }
        }
        words.prefixes.sort();
        words.named.table.sort();
        words.named_base64.table.sort();
        words
    }

    fn text(&self, text: Text) -> &[u8] {
        &self.texts[text.start as usize..][..text.length as usize]
    }

    fn prefixes_at<'a>(&'a self, text: &'a [u8], at: usize) -> impl Iterator<Item = &'a Prefix> {
        self.prefixes.at(text, at).filter(move |prefix| {
            let begins = || prefix.is_encoded || self.stretches[prefix.rule as usize].begins(&text[at..]);
            text[at..].starts_with(self.text(prefix.text)) && begins()
        })
    }

    /// Where a run begins with a token in base64, if it does.
    pub fn encoded(&self, text: &[u8], run: &Range<usize>) -> Option<usize> {
        starts(text, run).find(|at| self.prefixes_at(text, *at).any(|prefix| prefix.is_encoded))
    }

    /// How far around a run its meaning depends on the text, in bytes.
    pub fn reach(&self) -> usize {
        // The byte before a run, and what escapes its first letter, too.
        self.named.reach.max(self.named_base64.reach).max(escape::ESCAPE_BEFORE)
    }

    /// Appends the runs in `part` of `text` that some rule may be about, in order, and to `base64` all long runs of base64,
    /// counted from the start of the part. `part` must not cut a run.
    pub fn find(&self, text: &[u8], part: Range<usize>, base64: &mut Vec<Range<usize>>, found: &mut Vec<Range<usize>>) {
        let searched = &text[part.clone()];
        if self.prefixes.is_empty() && self.named.table.is_empty() {
            return finder::base64_runs(searched, base64);
        }
        let mut near = Near::default();
        finder::runs(searched, base64, |run| {
            let run = run.start + part.start..run.end + part.start;
            if self.is_telling(text, &run, &mut near) {
                found.push(run);
            }
        });
    }

    /// True if a run of base64 in `text` follows a rule's word. `near` is for all runs of a text, asked about in order.
    pub fn is_named(&self, text: &[u8], run: &Range<usize>, near: &mut Near) -> bool {
        !self.named_base64.table.is_empty()
            && (!self.wants_digit || has_digit(&text[run.clone()]))
            && self.any(&self.named_base64, text, run, near, &mut |_, _| true)
    }

    fn is_telling(&self, text: &[u8], run: &Range<usize>, near: &mut Near) -> bool {
        let has_prefix = starts(text, run).any(|at| self.prefixes_at(text, at).next().is_some());
        let may_be_named = || !self.wants_digit || has_digit(&text[run.clone()]);
        has_prefix || may_be_named() && self.any(&self.named, text, run, near, &mut |_, _| true)
    }

    /// Calls `look` with each rule that may match at or around a run, and where.
    pub fn rules(&self, text: &[u8], run: &Range<usize>, mut look: impl FnMut(usize, Start)) {
        for at in starts(text, run) {
            let plain = self.prefixes_at(text, at).filter(|prefix| !prefix.is_encoded);
            plain.for_each(|prefix| look(prefix.rule as usize, Start::At(at)));
        }
        self.any(&self.named, text, run, &mut Near::default(), &mut |word, at| {
            look(word.rule as usize, word.within(text, at));
            false
        });
    }

    /// The same for a run of base64.
    pub fn rules_of_base64(&self, text: &[u8], run: &Range<usize>, mut look: impl FnMut(usize, Start)) {
        self.any(&self.named_base64, text, run, &mut Near::default(), &mut |word, at| {
            look(word.rule as usize, word.within(text, at));
            false
        });
    }

    /// True as soon as `is_last` is, called with each word around a run and its offset.
    fn any(
        &self,
        around: &Around,
        text: &[u8],
        run: &Range<usize>,
        near: &mut Near,
        is_last: &mut dyn FnMut(&Word, usize) -> bool,
    ) -> bool {
        let Around { table, reach, is_inside } = around;
        if table.is_empty() {
            return false;
        }
        let from = run.start.saturating_sub(*reach);
        let to = if *is_inside { run.end } else { run.start };
        for at in near.places(table, text, from..to) {
            for word in table.at_folded(text, at) {
                let Some(start) = at.checked_sub(word.offset) else { continue };
                let is_near = start + word.reach >= run.start && (word.is_inside || start < run.start);
                let stretch = self.stretches[word.rule as usize];
                let is_long = word.is_inside || run.len() >= stretch.length;
                let is_here = || {
                    let wanted = self.text(word.text);
                    text.get(start..start + wanted.len()).is_some_and(|here| here.eq_ignore_ascii_case(wanted))
                };
                // The run of a match begins within reach of the word.
                let has_stretch = || {
                    let end = run.end.min((start + word.reach).saturating_add(stretch.length));
                    word.is_inside || stretch.is_in(&text[run.start..end])
                };
                if is_near && is_long && is_here() && has_stretch() && is_last(word, start) {
                    return true;
                }
            }
        }
        false
    }
}

impl Near {
    /// The offsets in a part of a text where the first four bytes, folded, may be of a word. Neither end of the part is ever
    /// before that of the part asked for before.
    fn places<T>(&mut self, table: &Table<T>, text: &[u8], part: Range<usize>) -> impl Iterator<Item = usize> {
        while self.places.front().is_some_and(|at| *at < part.start) {
            self.places.pop_front();
        }
        // The four bytes may extend beyond the part.
        let end = text.len().min(part.end + MIN_TEXT - 1);
        let mut next = self.searched.max(part.start);
        while let Some(at) = table.next_folded(&text[..end], next) {
            self.places.push_back(at);
            next = at + 1;
        }
        self.searched = self.searched.max(part.end);
        self.places.iter().copied()
    }
}

impl Text {
    fn add(texts: &mut Vec<u8>, bytes: &[u8]) -> Self {
        let start = texts.len() as u32;
        texts.extend_from_slice(bytes);
        Self { start, length: bytes.len() as u32 }
    }
}

impl Word {
    /// The window in which a match with the word at `at` lies.
    fn within(&self, text: &[u8], at: usize) -> Start {
        let start = at.saturating_sub(self.reach);
        let end = self.end.map_or(text.len(), |end| text.len().min(at + self.reach + end + 2));
        Start::Within { start, end }
    }
}

/// Where a token may begin in a run: at its start, and after what escapes it (`\n`, `\u003d`, `%3D`) or colours it.
fn starts<'a>(text: &'a [u8], run: &Range<usize>) -> impl Iterator<Item = usize> + use<'a> {
    let start = run.start;
    let before = start.checked_sub(1).map(|before| text[before]);
    let skipped = match before {
        Some(b'%') => 2,
        Some(b'\\') => match text[start] {
            b'u' => 5,
            b'x' => 3,
            _ => 1,
        },
        Some(b'[' | b';') => escape::tail_of_escape(text, start),
        _ => 0,
    };
    let after = Some(start + skipped).filter(|at| *at > start && *at < text.len());
    std::iter::once(start).chain(after)
}

/// True if a run has a digit: eight bytes at a time, as it is asked of each.
fn has_digit(run: &[u8]) -> bool {
    // Of the characters of a run, only digits have the fifth bit and not the seventh.
    let is_digit = |bytes: &[u8; 8]| {
        let bytes = u64::from_le_bytes(*bytes);
        bytes & !bytes >> 2 & 0x1010_1010_1010_1010
    };
    let (eights, _) = run.as_chunks();
    let last = run.last_chunk().map_or(0, is_digit);
    eights.iter().fold(last, |all, eight| all | is_digit(eight)) != 0
}

/// True if a token may begin at `at`: not in the middle of a word.
pub fn may_begin(text: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else { return true };
    if !is_word(text[before]) {
        return true;
    }
    let escaped = |length: usize, mark: &[u8]| at >= length && text[at - length..].starts_with(mark);
    escaped(3, b"%")
        || escaped(2, b"\\") && matches!(text[before], b'n' | b'r' | b't' | b'f' | b'v' | b'b')
        || escaped(6, b"\\u")
        || escaped(4, b"\\x")
        || escape::ends_in_colour(&text[..at])
}

/// True if a token may end at `at`.
pub fn may_end(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|&byte| !is_word(byte))
}

/// Where in `text` the four bytes are that are rarest in other texts. If the text is not part of a run they must begin
/// before it.
fn rarest(text: &[u8], is_inside: bool) -> usize {
    let last = if is_inside { text.len() } else { text.iter().rposition(|&byte| !is_word(byte)).unwrap_or(text.len()) };
    let windows = text.array_windows::<MIN_TEXT>().enumerate().take_while(|(n, _)| *n <= last);
    let rarest = windows.min_by(|(_, a), (_, b)| bigrams::chance(&a[..]).total_cmp(&bigrams::chance(&b[..])));
    rarest.map_or(0, |(offset, _)| offset)
}

/// Small letters for capitals, and other bytes for some others: enough for a first look.
#[inline]
fn fold_four(four: u32) -> u32 {
    four | u32::from_le_bytes([b' '; 4])
}

fn first_four(text: &[u8], offset: usize) -> Option<u32> {
    text.get(offset..)?.first_chunk().map(|four| u32::from_le_bytes(*four))
}

/// Values by four bytes, with a Bloom filter before them, as nearly every look-up fails.
#[derive(Debug)]
struct Table<T> {
    /// Two bits of one of these words are set for each value.
    filter: Box<[u64; 1 << FILTER_BITS]>,
    /// Sorted by the upper bits of their hashes.
    values: Vec<(u32, T)>,
    /// Where the values of each such group begin, and where the last end.
    starts: Vec<u32>,
}

/// How many upper bits of a hash choose the word of the filter, and the group of values.
const FILTER_BITS: u32 = 10;

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { filter: Box::new([0; 1 << FILTER_BITS]), values: Vec::new(), starts: Vec::new() }
    }
}

impl<T> Table<T> {
    fn add(&mut self, four: Option<u32>, value: T) {
        let Some(four) = four else { return };
        self.filter[Self::group(four)] |= Self::bits(four);
        self.values.push((four, value));
    }

    fn sort(&mut self) {
        self.values.sort_by_key(|(four, _)| Self::group(*four));
        self.starts = vec![0; (1 << FILTER_BITS) + 1];
        for (four, _) in &self.values {
            self.starts[Self::group(*four) + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut self.starts {
            sum += *start;
            *start = sum;
        }
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    #[inline]
    fn hash(four: u32) -> u32 {
        four.wrapping_mul(2_654_435_761)
    }

    #[inline]
    fn group(four: u32) -> usize {
        (Self::hash(four) >> (u32::BITS - FILTER_BITS)) as usize
    }

    #[inline]
    fn bits(four: u32) -> u64 {
        let hash = Self::hash(four);
        1 << (hash >> 16 & 63) | 1 << (hash >> 10 & 63)
    }

    #[inline]
    fn may_have(&self, four: u32) -> bool {
        let bits = Self::bits(four);
        self.filter[Self::group(four)] & bits == bits
    }

    /// The next place, at or after `from`, whose four bytes, folded, a value may be of. A function of its own, so that all it
    /// needs is in registers.
    #[inline(never)]
    fn next_folded(&self, text: &[u8], from: usize) -> Option<usize> {
        let mut fours = text.get(from..)?.array_windows().map(|four| fold_four(u32::from_le_bytes(*four)));
        fours.position(|four| self.may_have(four)).map(|n| from + n)
    }

    fn at_folded(&self, text: &[u8], at: usize) -> impl Iterator<Item = &T> {
        first_four(text, at).into_iter().flat_map(|four| self.of(fold_four(four)))
    }

    fn of(&self, four: u32) -> impl Iterator<Item = &T> {
        let group = Self::group(four);
        let values = match self.starts.get(group..group + 2) {
            Some(&[start, end]) => &self.values[start as usize..end as usize],
            _ => &[],
        };
        values.iter().filter(move |(other, _)| *other == four).map(|(_, value)| value)
    }

    fn at(&self, text: &[u8], at: usize) -> impl Iterator<Item = &T> {
        first_four(text, at).filter(|four| self.may_have(*four)).into_iter().flat_map(|four| self.of(four))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs near one another, with words before them and in them, whole and cut.
    fn runs() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            3 => prop::sample::select(vec!["datadog", "TWILIO", "_api_key", " = \"", "\n", "secret", ":", "adafruit", "token"])
                .prop_map(str::to_owned),
            2 => "[a-f0-9]{32}",
            1 => "[a-zA-Z0-9_-]{18,60}",
            1 => "[ a-z]{1,90}",
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// What is known of the text around one run must not change what is found around the next.
        #[test]
        fn runs_are_found_as_if_each_were_the_only_one(text in runs()) {
            static WORDS: std::sync::LazyLock<Words> = std::sync::LazyLock::new(|| Words::new(&RuleSet::built_in()));
            let text = text.as_bytes();
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            WORDS.find(text, 0..text.len(), &mut vec![], &mut found);
            finder::word_runs(text, |run| {
                if WORDS.is_telling(text, &run, &mut Near::default()) {
                    expected.push(run);
                }
            });
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn digits_are_found_eight_at_a_time(run in "[A-Za-z_-]{20,50}[0-9a-z_-]{0,2}[A-Za-z_-]{0,50}") {
            prop_assert_eq!(has_digit(run.as_bytes()), run.bytes().any(|byte| byte.is_ascii_digit()));
        }
    }
}
