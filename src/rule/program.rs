//! Regexes of built-in rules as short programs, which `build.rs` writes: to compile a regex takes a third of a millisecond,
//! and a scan of a tree meets hundreds.
//!
//! A program tries one way after the other and goes back where it does not lead to the end. That is fast on what rules
//! match, as most classes of characters end where the next one begins, but may take for ever on other text. So it counts
//! its steps and gives up in time; then the regex is compiled and searched for, which takes linear time.

use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Names of the groups that are reported. Others are not kept.
pub const GROUPS: [&str; 3] = ["id", "secret", "host"];

/// Most steps of a program. A regex that needs more, by its counts of groups, stays a regex.
const MAX_STEPS: usize = 1024;

/// Steps that a search may take, beside some for each byte.
const PATIENCE: usize = 8 << 10;

/// Steps that a search may take for each byte of what it searches.
const PATIENCE_PER_BYTE: usize = 8;

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Set([u64; 4]);

impl Set {
    const ALL: Self = Self([u64::MAX; 4]);

    fn of(bytes: impl IntoIterator<Item = u8>) -> Self {
        let mut set = Self::default();
        bytes.into_iter().for_each(|byte| set.0[usize::from(byte >> 6)] |= 1 << (byte & 63));
        set
    }

    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|n| self.0[n] | other.0[n]))
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(own, other)| own & other != 0)
    }
}

/// What can be asked of a place without reading on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Assertion {
    Start,
    End,
    StartOfLine,
    EndOfLine,
    WordBoundary,
    NoWordBoundary,
}

impl Assertion {
    fn of(look: Look) -> Option<Self> {
        Some(match look {
            Look::Start => Self::Start,
            Look::End => Self::End,
            Look::StartLF => Self::StartOfLine,
            Look::EndLF => Self::EndOfLine,
            Look::WordAscii => Self::WordBoundary,
            Look::WordAsciiNegate => Self::NoWordBoundary,
            _ => return None,
        })
    }

    fn holds(self, text: &[u8], at: usize) -> bool {
        let before = at.checked_sub(1).map(|before| text[before]);
        let after = text.get(at).copied();
        let is_word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        match self {
            Self::Start => before.is_none(),
            Self::End => after.is_none(),
            Self::StartOfLine => before.is_none_or(|byte| byte == b'\n'),
            Self::EndOfLine => after.is_none_or(|byte| byte == b'\n'),
            Self::WordBoundary => is_word(before) != is_word(after),
            Self::NoWordBoundary => is_word(before) == is_word(after),
        }
    }
}

/// A step of a program. Others are numbered by their place in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    /// These bytes.
    Text(Vec<u8>),
    /// Bytes of a set.
    Many(Many),
    /// One step, and if that leads nowhere, another.
    Either(u16, u16),
    /// Another step.
    Goto(u16),
    /// Notes where a group starts (even) or ends (odd): see [`GROUPS`].
    Note(u8),
    /// Only if this holds.
    Assert(Assertion),
    /// The end of a match.
    Match,
}

/// So many bytes of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Many {
    set: u16,
    min: u32,
    /// `u32::MAX` for any number.
    max: u32,
    is_greedy: bool,
    /// True if what follows cannot begin with a byte of the set, so it need not be tried at less than all.
    is_decided: bool,
    /// What may follow, if not at the end of the text.
    next: u16,
}

/// A regex as a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    steps: Vec<Step>,
    sets: Vec<Set>,
    /// What a match may begin with, if it is not at the end of the text.
    first: Set,
    /// True if it only matches at the start of the text.
    is_anchored: bool,
}

/// A match of a regex: offsets in the text, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// All of it.
    pub whole: Range<usize>,
    /// The group of that name: shown.
    pub id: Option<Range<usize>>,
    /// The group of that name: masked.
    pub secret: Option<Range<usize>>,
    /// The group of that name: where it is used.
    pub host: Option<Range<usize>>,
}

impl Match {
    /// If no group tells what is reported, all of it is, masked.
    #[must_use]
    pub fn or_secret(mut self) -> Self {
        if self.id.is_none() && self.secret.is_none() {
            self.secret = Some(self.whole.clone());
        }
        self
    }

    /// The same in a text that begins so many bytes before.
    #[must_use]
    pub fn after(self, base: usize) -> Self {
        let range = |range: Range<usize>| range.start + base..range.end + base;
        let group = |group: Option<Range<usize>>| group.map(range);
        Self { whole: range(self.whole), id: group(self.id), secret: group(self.secret), host: group(self.host) }
    }
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// With the leftmost match.
    Match(Match),
    /// There is none.
    Nothing,
    /// It took too many steps.
    GaveUp,
}

impl Program {
    /// The program of a regex, as [`regex_syntax`] has parsed it for any bytes; `None` if it has what programs have not:
    /// characters beyond ASCII in classes, assertions about Unicode, or too many steps.
    pub fn of(hir: &Hir) -> Option<Self> {
        let mut program = Self { steps: Vec::new(), sets: Vec::new(), first: Set::default(), is_anchored: false };
        program.write(hir)?;
        program.steps.push(Step::Match);
        for at in 0..program.steps.len() {
            if let Step::Many(many) = program.steps[at] {
                let next = program.first_of(at + 1);
                let is_decided = !next.meets(&program.sets[usize::from(many.set)]);
                program.steps[at] = Step::Many(Many { is_decided, next: program.set(next)?, ..many });
            }
        }
        program.first = program.first_of(0);
        program.is_anchored = hir.properties().look_set_prefix().contains(Look::Start);
        Some(program)
    }

    fn write(&mut self, hir: &Hir) -> Option<()> {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(text) => self.push(Step::Text(text.0.to_vec()))?,
            HirKind::Class(class) => {
                let set = self.set(set_of(class)?)?;
                self.push(Step::Many(Many { set, min: 1, max: 1, is_greedy: true, is_decided: false, next: 0 }))?;
            }
            HirKind::Look(look) => self.push(Step::Assert(Assertion::of(*look)?))?,
            HirKind::Repetition(repetition) => self.write_repetition(repetition)?,
            HirKind::Capture(capture) => {
                let group = GROUPS.iter().position(|name| Some(*name) == capture.name.as_deref());
                let note =
                    |step: usize| group.map(|group| Step::Note(u8::try_from(2 * group + step).expect("few groups")));
                note(0).map_or(Some(()), |note| self.push(note))?;
                self.write(&capture.sub)?;
                note(1).map_or(Some(()), |note| self.push(note))?;
            }
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.write(part))?,
            HirKind::Alternation(ways) => {
                let mut ends = Vec::new();
                for (n, way) in ways.iter().enumerate() {
                    if n + 1 == ways.len() {
                        self.write(way)?;
                        break;
                    }
                    let choice = self.reserve()?;
                    self.write(way)?;
                    ends.push(self.reserve()?);
                    self.steps[choice] = Step::Either(number(choice + 1)?, number(self.steps.len())?);
                }
                let end = number(self.steps.len())?;
                ends.into_iter().for_each(|step| self.steps[step] = Step::Goto(end));
            }
        }
        Some(())
    }

    fn write_repetition(&mut self, repetition: &Repetition) -> Option<()> {
        let Repetition { min, max, greedy: is_greedy, ref sub } = *repetition;
        let class = match sub.kind() {
            HirKind::Class(class) => set_of(class),
            HirKind::Literal(text) if text.0.len() == 1 => Some(Set::of([text.0[0]])),
            _ => None,
        };
        if let Some(set) = class {
            let set = self.set(set)?;
            let max = max.unwrap_or(u32::MAX);
            return self.push(Step::Many(Many { set, min, max, is_greedy, is_decided: false, next: 0 }));
        }
        let either = |inner: usize, outer: usize| {
            let (inner, outer) = (number(inner)?, number(outer)?);
            Some(if is_greedy { Step::Either(inner, outer) } else { Step::Either(outer, inner) })
        };
        for _ in 0..min {
            self.write(sub)?;
        }
        let Some(max) = max else {
            // An empty round would go on for ever.
            if sub.properties().minimum_len().is_none_or(|length| length == 0) {
                return None;
            }
            let choice = self.reserve()?;
            self.write(sub)?;
            self.push(Step::Goto(number(choice)?))?;
            self.steps[choice] = either(choice + 1, self.steps.len())?;
            return Some(());
        };
        let mut choices = Vec::new();
        for _ in min..max {
            choices.push(self.reserve()?);
            self.write(sub)?;
        }
        let end = self.steps.len();
        for choice in choices {
            self.steps[choice] = either(choice + 1, end)?;
        }
        Some(())
    }

    fn push(&mut self, step: Step) -> Option<()> {
        self.steps.push(step);
        (self.steps.len() < MAX_STEPS).then_some(())
    }

    /// Room for a step that depends on what follows; its number.
    fn reserve(&mut self) -> Option<usize> {
        self.push(Step::Match)?;
        Some(self.steps.len() - 1)
    }

    fn set(&mut self, set: Set) -> Option<u16> {
        let known = self.sets.iter().position(|known| *known == set);
        number(known.unwrap_or_else(|| {
            self.sets.push(set);
            self.sets.len() - 1
        }))
    }

    /// What can come next at a step, if anything must. All bytes if nothing need come.
    fn first_of(&self, step: usize) -> Set {
        let mut seen = vec![false; self.steps.len()];
        let mut set = Set::default();
        let mut open = vec![step];
        while let Some(step) = open.pop() {
            if std::mem::replace(&mut seen[step], true) {
                continue;
            }
            match &self.steps[step] {
                Step::Text(text) => set = set.union(Set::of(text.first().copied())),
                Step::Many(many) => {
                    set = set.union(self.sets[usize::from(many.set)]);
                    open.extend((many.min == 0).then_some(step + 1));
                }
                Step::Either(first, second) => open.extend([usize::from(*first), usize::from(*second)]),
                Step::Goto(next) => open.push(usize::from(*next)),
                Step::Assert(Assertion::End) => {}
                Step::Assert(Assertion::EndOfLine) => set = set.union(Set::of([b'\n'])),
                Step::Note(_) | Step::Assert(_) => open.push(step + 1),
                Step::Match => return Set::ALL,
            }
        }
        set
    }
}

fn number(step: usize) -> Option<u16> {
    u16::try_from(step).ok()
}

/// The bytes of a class; `None` if it has characters of several bytes.
fn set_of(class: &Class) -> Option<Set> {
    match class {
        Class::Bytes(class) => Some(Set::of(class.iter().flat_map(|range| range.start()..=range.end()))),
        Class::Unicode(class) => {
            let ranges: Option<Vec<_>> = class
                .iter()
                .map(|range| {
                    Some(u8::try_from(range.start()).ok()?..=u8::try_from(range.end()).ok().filter(u8::is_ascii)?)
                })
                .collect();
            Some(Set::of(ranges?.into_iter().flatten()))
        }
    }
}

/// What is left to try.
enum Open {
    /// A step at a place.
    Step(usize, usize),
    /// The step after this one at any of these places, the last one first.
    Fewer(usize, usize, usize),
    /// The step after this one after more bytes of its set: step, place, the last place.
    More(usize, usize, usize),
    /// What a group was before.
    Group(usize, Option<usize>),
}

/// A search takes more steps than it may.
struct TooLong;

/// A search under way.
struct Search<'a> {
    program: &'a Program,
    text: &'a [u8],
    open: Vec<Open>,
    groups: [Option<usize>; 2 * GROUPS.len()],
    patience: usize,
}

impl Program {
    /// Searches for the leftmost match that starts at `start`, at `last` or between; what is before can be looked at.
    pub fn find(&self, text: &[u8], start: usize, last: usize) -> Found {
        if self.is_anchored && start > 0 {
            return Found::Nothing;
        }
        let patience = PATIENCE + PATIENCE_PER_BYTE * (text.len() - start);
        let mut search = Search { program: self, text, open: Vec::new(), groups: [None; 6], patience };
        let mut next = start;
        while let Some(at) = self.next_start(text, next, last) {
            match search.match_at(at) {
                Ok(Some(end)) => return Found::Match(search.found(at..end)),
                Ok(None) if self.is_anchored => break,
                Ok(None) => next = at + 1,
                Err(TooLong) => return Found::GaveUp,
            }
        }
        Found::Nothing
    }

    /// The next place, from `from` to `last`, where a match may begin.
    fn next_start(&self, text: &[u8], from: usize, last: usize) -> Option<usize> {
        // What lies beyond is not looked at: it may be far more.
        let part = |more: usize| text.get(from..text.len().min(last.saturating_add(more)));
        if from > last {
            return None;
        }
        let is_of_group = |step: &&Step| matches!(step, Step::Note(_));
        match self.steps.iter().find(|step| !is_of_group(step)) {
            Some(Step::Text(start)) => memchr::memmem::find(part(start.len())?, start).map(|at| from + at),
            Some(Step::Assert(Assertion::StartOfLine)) if from > 0 && text[from - 1] != b'\n' => {
                memchr::memchr(b'\n', part(0)?).map(|end| from + end + 1)
            }
            Some(Step::Assert(Assertion::StartOfLine)) => Some(from),
            _ => {
                let part = part(1)?;
                let next = part.iter().position(|byte| self.first.has(*byte));
                // At the end of the text there is no byte.
                next.map(|at| from + at).or_else(|| (last >= text.len()).then_some(text.len()))
            }
        }
    }
}

impl Search<'_> {
    /// Where the match at a place ends, if there is one.
    fn match_at(&mut self, start: usize) -> Result<Option<usize>, TooLong> {
        self.open.clear();
        self.groups = Default::default();
        let (mut step, mut at) = (0, start);
        loop {
            self.patience = self.patience.checked_sub(1).ok_or(TooLong)?;
            let next = match &self.program.steps[step] {
                Step::Text(text) => self.text[at..].starts_with(text).then(|| (step + 1, at + text.len())),
                Step::Many(many) => self.many(*many, step, at)?,
                Step::Either(first, second) => {
                    self.open.push(Open::Step((*second).into(), at));
                    Some(((*first).into(), at))
                }
                Step::Goto(next) => Some(((*next).into(), at)),
                Step::Note(group) => {
                    let group = usize::from(*group);
                    self.open.push(Open::Group(group, self.groups[group]));
                    self.groups[group] = Some(at);
                    Some((step + 1, at))
                }
                Step::Assert(assertion) => assertion.holds(self.text, at).then_some((step + 1, at)),
                Step::Match => return Ok(Some(at)),
            };
            match next.or_else(|| self.go_back()) {
                Some(next) => (step, at) = next,
                None => return Ok(None),
            }
        }
    }

    /// Takes bytes of a set.
    fn many(&mut self, many: Many, step: usize, at: usize) -> Result<Option<(usize, usize)>, TooLong> {
        let set = &self.program.sets[usize::from(many.set)];
        let min = usize::try_from(many.min).unwrap_or(usize::MAX);
        let max = usize::try_from(many.max).unwrap_or(usize::MAX);
        let rest = &self.text[at..];
        // Of what stops as early as it may, no more is looked at.
        let wanted = rest.len().min(if many.is_greedy || many.is_decided { max } else { min });
        let count = rest[..wanted].iter().take_while(|byte| set.has(**byte)).count();
        self.patience = self.patience.checked_sub(count).ok_or(TooLong)?;
        if count < min {
            return Ok(None);
        }
        if many.is_greedy && !many.is_decided && count > min {
            self.open.push(Open::Fewer(step, at + min, at + count - 1));
        } else if !many.is_greedy && !many.is_decided && max > min {
            self.open.push(Open::More(step, at + min, at.saturating_add(max)));
        }
        Ok(Some((step + 1, at + count)))
    }

    /// The step and the place to go on at, when one way did not lead to the end.
    fn go_back(&mut self) -> Option<(usize, usize)> {
        loop {
            match self.open.pop()? {
                Open::Step(step, at) => return Some((step, at)),
                Open::Fewer(step, first, last) => {
                    let next = self.set_of(step, |many| many.next);
                    // The byte at the last place is there: it was taken before.
                    let Some(at) = (first..=last).rev().find(|at| next.has(self.text[*at])) else {
                        self.patience = self.patience.saturating_sub(last - first);
                        continue;
                    };
                    self.patience = self.patience.saturating_sub(last - at);
                    if at > first {
                        self.open.push(Open::Fewer(step, first, at - 1));
                    }
                    return Some((step + 1, at));
                }
                Open::More(step, at, last) => {
                    let is_next = self.text.get(at).is_some_and(|byte| self.set_of(step, |many| many.set).has(*byte));
                    if at < last && is_next {
                        self.open.push(Open::More(step, at + 1, last));
                        return Some((step + 1, at + 1));
                    }
                }
                Open::Group(group, before) => self.groups[group] = before,
            }
        }
    }

    fn set_of(&self, step: usize, which: impl Fn(&Many) -> u16) -> &Set {
        let Step::Many(many) = &self.program.steps[step] else {
            unreachable!("only such a step has fewer or more bytes")
        };
        &self.program.sets[usize::from(which(many))]
    }

    fn found(&self, whole: Range<usize>) -> Match {
        let group = |group: usize| Some(self.groups[2 * group]?..self.groups[2 * group + 1]?);
        Match { whole, id: group(0), secret: group(1), host: group(2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{RuleSet, Selection};
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// A regex, what it is parsed to, and its program.
    struct Compiled {
        regex: regex::bytes::Regex,
        hir: Hir,
        program: Program,
    }

    impl Compiled {
        fn of(source: &str) -> Option<Self> {
            let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(source).expect("a regex");
            let regex = regex::bytes::Regex::new(source).expect("a regex");
            Some(Self { program: Program::of(&hir)?, hir, regex })
        }

        fn agrees(&self, text: &[u8], start: usize) -> Result<(), TestCaseError> {
            let expected = self.regex.captures_at(text, start).map(|captures| {
                let group = |name: &str| captures.name(name).map(|group| group.range());
                let whole = captures.get_match().range();
                Match { whole, id: group("id"), secret: group("secret"), host: group("host") }
            });
            for last in [start, start.midpoint(text.len()), text.len()] {
                let found = match self.program.find(text, start, last) {
                    Found::Match(found) => Some(found),
                    Found::Nothing => None,
                    Found::GaveUp => return Err(TestCaseError::reject("it gave up")),
                };
                let expected = expected.as_ref().filter(|expected| expected.whole.start <= last);
                prop_assert_eq!(
                    found.as_ref(),
                    expected,
                    "{} from {} to {} in {:?}",
                    self.regex,
                    start,
                    last,
                    String::from_utf8_lossy(text)
                );
            }
            Ok(())
        }
    }

    /// A text that a regex matches, apart from what assertions want; `choice` gives numbers to choose by.
    fn write(hir: &Hir, choice: &mut dyn FnMut() -> usize, text: &mut Vec<u8>) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => text.extend(&literal.0[..]),
            HirKind::Class(Class::Bytes(class)) => {
                let range = class.ranges()[choice() % class.ranges().len()];
                text.push(range.start() + u8::try_from(choice() % (range.len())).expect("a byte"));
            }
            HirKind::Class(Class::Unicode(class)) => text.push(class.ranges()[0].start() as u8),
            HirKind::Repetition(Repetition { min, max, sub, .. }) => {
                let more = max.map_or(30, |max| max - min).min(30) as usize;
                let rounds = *min as usize + if more == 0 { 0 } else { choice() % (more + 1) };
                (0..rounds).for_each(|_| write(sub, choice, text));
            }
            HirKind::Capture(capture) => write(&capture.sub, choice, text),
            HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, choice, text)),
            HirKind::Alternation(ways) => write(&ways[choice() % ways.len()], choice, text),
        }
    }

    static OF_RULES: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
        let rules = RuleSet::selected(&Selection::everything());
        rules.iter().filter_map(|rule| Compiled::of(rule.regex()?.source())).collect()
    });

    /// What rules do not have, too.
    static OTHERS: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
        let sources = [
            r"(?-u)(?<id>a+?)(?<secret>a*)b",
            r"(?-u)(?:(?<id>a)|b)*?c",
            r"(?-u)(?:ab|a)(?<secret>b?c|c)\b",
            r"(?-u)(?m)^(?<host>[a-c]{0,3}?)c$",
            r"(?-u)\Ba(?:b|(?<id>c+)){2,3}?",
            r"(?-u)(?:a|(?<id>b)|(?<secret>c{1,2})){1,4}(?:$|[^c])",
            r"(?-u)\Aa[^b]+?b$",
            r"(?-u)(?:a(?:b(?<id>c)?)?)?(?<secret>[ab]{2,5}?)c",
            r"(?-u)$|aa",
            r"(?-u)[\x80-\xff]+a",
        ];
        sources.iter().map(|source| Compiled::of(source).expect("a program")).collect()
    });

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn programs_of_rules_find_what_their_regexes_do(
            rule in any::<prop::sample::Index>(),
            numbers in prop::collection::vec(any::<u16>(), 1..60),
            around in ["[ -~\n]{0,20}", "[ -~\n]{0,20}"],
            damage in prop::option::weighted(0.5, (any::<prop::sample::Index>(), any::<u8>())),
            start in any::<prop::sample::Index>(),
        ) {
            let compiled = rule.get(&OF_RULES);
            let mut numbers = numbers.iter().cycle();
            let mut choice = || usize::from(*numbers.next().expect("there is one"));
            let [before, after] = around;
            let mut text = if before.len() % 3 == 0 { Vec::new() } else { before.into_bytes() };
            let first = start.index(text.len() + 1);
            write(&compiled.hir, &mut choice, &mut text);
            text.extend(after.as_bytes());
            if let Some((at, byte)) = damage && !text.is_empty() {
                let at = at.index(text.len());
                text[at] = byte;
            }
            compiled.agrees(&text, 0)?;
            compiled.agrees(&text, first)?;
        }

        #[test]
        fn programs_find_what_regexes_do(text in "[a-c\n _]{0,24}", start in any::<prop::sample::Index>()) {
            for compiled in OTHERS.iter() {
                compiled.agrees(text.as_bytes(), start.index(text.len() + 1))?;
            }
        }
    }

    #[test]
    fn every_rule_has_a_program() {
        let rules = RuleSet::selected(&Selection::everything());
        let sources: Vec<_> =
            rules.iter().filter_map(|rule| Some((rule.id.as_str(), rule.regex()?.source()))).collect();
        let without: Vec<&str> =
            sources.iter().filter(|(_, source)| Compiled::of(source).is_none()).map(|(id, _)| *id).collect();
        assert_eq!(without, [""; 0], "of {}", sources.len());
    }

    /// A program tries all ways; a regex does not.
    #[test]
    fn a_search_that_takes_too_long_is_given_up() {
        let compiled = Compiled::of("(?-u)(?:a|a[a-z]?){1,40}!").expect("a program");
        let text = "a".repeat(60);
        assert_eq!(compiled.program.find(text.as_bytes(), 0, text.len()), Found::GaveUp);
        assert_eq!(
            compiled.program.find(format!("{}!", &text[..9]).as_bytes(), 0, 0),
            Found::Match(Match { whole: 0..10, ..Match::default() })
        );
    }
}
