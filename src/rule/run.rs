//! Runs in regexes: how many characters of a run a match has, and of which class.

use regex_syntax::hir::{Class, Hir, HirKind};
use serde::{Deserialize, Serialize};

/// Minimum length of a run, in bytes.
pub const MIN_RUN: usize = 20;

/// Minimum length of a run of base64 characters, in bytes: what the search for secret keys finds anyway.
pub const MIN_BASE64_RUN: usize = 40;

/// Which characters make up a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Run {
    /// At least [`MIN_RUN`] of `[A-Za-z0-9_-]`.
    Word,
    /// At least 40 of `[A-Za-z0-9+/]`.
    Base64,
}

impl Run {
    /// True if it may have this byte.
    pub fn has(self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric()
            || match self {
                Self::Word => matches!(byte, b'_' | b'-'),
                Self::Base64 => matches!(byte, b'+' | b'/'),
            }
    }

    /// Minimum length, in bytes.
    pub fn min(self) -> usize {
        match self {
            Self::Word => MIN_RUN,
            Self::Base64 => MIN_BASE64_RUN,
        }
    }
}

/// So many characters of a class in a row, which are in the run of every match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Bytes.
    pub length: usize,
    /// A bit for each character of ASCII.
    pub class: u128,
}

impl Stretch {
    /// What any text has.
    pub const NOTHING: Self = Self { length: 0, class: u128::MAX };

    const EMPTY: Self = Self { length: 0, class: 0 };

    /// What a run begins with that `items` begin with.
    pub fn of_start(items: &[Hir], run: Run) -> Self {
        let mut stretch = Self::EMPTY;
        for item in items {
            if !stretch.extend(item, run) {
                break;
            }
        }
        stretch
    }

    /// Adds what follows. True if the run may go on after it.
    fn extend(&mut self, item: &Hir, run: Run) -> bool {
        let (min, is_whole) = run_of(item, run);
        self.length += min;
        if is_whole || min > 0 {
            self.class |= class_of(item, run);
        }
        is_whole
    }

    /// What each run of `items` has that is long enough, whichever is taken; there is one at the start.
    pub fn of(items: &[Hir], run: Run) -> Self {
        let mut stretches = Vec::new();
        let mut own = Self::EMPTY;
        for item in items {
            if !own.extend(item, run) {
                stretches.push(std::mem::replace(&mut own, Self::EMPTY));
            }
        }
        stretches.push(own);
        let of_runs = stretches.into_iter().filter(|stretch| stretch.length >= run.min());
        of_runs.reduce(Self::or).unwrap_or(Self::NOTHING)
    }

    /// What each of two has.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { length: self.length.min(other.length), class: self.class | other.class }
    }

    /// True if the text has it.
    pub fn is_in(self, text: &[u8]) -> bool {
        if text.len() < self.length {
            return false;
        }
        let mut so_far = 0;
        self.length == 0
            || text.iter().any(|&byte| {
                so_far = if self.has(byte) { so_far + 1 } else { 0 };
                so_far >= self.length
            })
    }

    /// True if the text begins with it.
    pub fn begins(self, text: &[u8]) -> bool {
        text.get(..self.length).is_some_and(|start| start.iter().all(|&byte| self.has(byte)))
    }

    fn has(self, byte: u8) -> bool {
        byte.is_ascii() && self.class >> byte & 1 == 1
    }
}

/// The characters of a run that a match may have, a bit for each.
pub fn class_of(hir: &Hir, run: Run) -> u128 {
    let range = |start: u32, end: u32| {
        let own = (start..=end.min(127)).filter(|byte| run.has(*byte as u8));
        own.fold(0, |all, byte| all | 1u128 << byte)
    };
    let all = |parts: &mut dyn Iterator<Item = u128>| parts.fold(0, |all, part| all | part);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => all(&mut literal.0.iter().map(|&byte| range(byte.into(), byte.into()))),
        HirKind::Class(Class::Unicode(class)) => {
            all(&mut class.iter().map(|part| range(part.start().into(), part.end().into())))
        }
        HirKind::Class(Class::Bytes(class)) => {
            all(&mut class.iter().map(|part| range(part.start().into(), part.end().into())))
        }
        HirKind::Capture(capture) => class_of(&capture.sub, run),
        HirKind::Repetition(repetition) => class_of(&repetition.sub, run),
        HirKind::Concat(items) | HirKind::Alternation(items) => all(&mut items.iter().map(|item| class_of(item, run))),
    }
}

/// How many characters of a run every match of the sequence begins with.
pub fn run_length(items: &[Hir], run: Run) -> usize {
    Stretch::of_start(items, run).length
}

/// How many characters of a run every match begins with, and whether it has no others.
pub fn run_of(hir: &Hir, run: Run) -> (usize, bool) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => (0, true),
        HirKind::Literal(literal) => {
            let length = literal.0.iter().take_while(|byte| run.has(**byte)).count();
            (length, length == literal.0.len())
        }
        HirKind::Class(class) => {
            let is_inside = all_inside(class, run);
            (usize::from(is_inside), is_inside)
        }
        HirKind::Capture(capture) => run_of(&capture.sub, run),
        HirKind::Repetition(repetition) => match run_of(&repetition.sub, run) {
            (min, true) => (min * repetition.min as usize, true),
            (min, false) => (if repetition.min > 0 { min } else { 0 }, false),
        },
        HirKind::Concat(items) => {
            let mut length = 0;
            for item in items {
                let (min, is_whole) = run_of(item, run);
                length += min;
                if !is_whole {
                    return (length, false);
                }
            }
            (length, true)
        }
        HirKind::Alternation(items) => {
            let all: Vec<_> = items.iter().map(|item| run_of(item, run)).collect();
            (all.iter().map(|(min, _)| *min).min().unwrap_or(0), all.iter().all(|(_, is_whole)| *is_whole))
        }
    }
}

fn all_inside(class: &Class, run: Run) -> bool {
    match class {
        Class::Unicode(class) => {
            class.iter().all(|range| range.end() < '\u{80}' && (range.start()..=range.end()).all(|c| run.has(c as u8)))
        }
        Class::Bytes(class) => class.iter().all(|range| (range.start()..=range.end()).all(|byte| run.has(byte))),
    }
}

/// The first item at or after `from` with which a whole run begins, and how far after `from` that is at most.
pub fn first_run(items: &[Hir], from: usize, run: Run) -> Option<(usize, usize)> {
    let mut distance = 0;
    for index in from..items.len() {
        // A run without digits is taken for a name.
        if run_length(&items[index..], run) >= run.min() && may_have_digit(&items[index]) {
            return Some((index, distance));
        }
        distance += items[index].properties().maximum_len()?;
    }
    None
}

/// How far after their start the first runs of all branches begin at most, and what these runs have.
pub fn first_runs(branches: &[Vec<Hir>], run: Run) -> Option<(usize, Stretch)> {
    let runs = branches.iter().map(|items| {
        let (first, distance) = first_run(items, 0, run)?;
        Some((distance, Stretch::of(&items[first..], run)))
    });
    let runs: Vec<_> = runs.collect::<Option<_>>()?;
    runs.into_iter().reduce(|(distance, stretch), (other, with)| (distance.max(other), stretch.or(with)))
}

fn may_have_digit(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Class(Class::Unicode(class)) => class.iter().any(|range| range.start() <= '9' && range.end() >= '0'),
        HirKind::Class(Class::Bytes(class)) => class.iter().any(|range| range.start() <= b'9' && range.end() >= b'0'),
        HirKind::Repetition(repetition) => may_have_digit(&repetition.sub),
        HirKind::Capture(capture) => may_have_digit(&capture.sub),
        HirKind::Concat(items) | HirKind::Alternation(items) => items.iter().any(may_have_digit),
    }
}
