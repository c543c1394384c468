//! Chooses which four bytes of each literal a vectorised search looks for, and in which of its buckets.
//!
//! Several literals share a bucket, and so the search also stops where their bytes are mixed. That costs most of its time,
//! so literals are placed where this is expected to happen least. It takes seconds for the several hundred literals of the
//! built-in rules: `build.rs` does it.

use super::bigrams;

/// Number of bytes of a literal that are checked before the rest.
pub const WINDOW: usize = 4;

/// The number of hashes of windows.
pub const HASHES: usize = 1 << 16;

/// Less than [`HASHES`].
pub const fn hash(window: [u8; WINDOW]) -> usize {
    u32::from_le_bytes(window).wrapping_mul(2_654_435_761) as usize >> 16
}

/// Length of the shortest literal, in bytes. Its window ends with any byte.
pub const MIN_LITERAL: usize = 3;

/// With more literals than this there are sixteen buckets: in eight, they would hide one another.
const MAX_FOR_EIGHT: usize = 128;

/// The number of buckets for so many literals.
pub const fn buckets_for(literals: usize) -> usize {
    if literals > MAX_FOR_EIGHT { 16 } else { 8 }
}

/// How a search looks up the bytes of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// By their lower seven bits.
    Bytes,
    /// By their lower and upper four bits: a bucket has all combinations of those of its literals.
    Nibbles,
}

/// The place of a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Where in the literal its window starts, in bytes.
    pub offset: usize,
    /// Counted from 0.
    pub bucket: usize,
}

/// How much work goes into placing.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How many windows of a literal are tried, the rarest first.
    pub windows: usize,
    /// How many times all literals may move.
    pub rounds: usize,
}

impl Effort {
    /// For a few literals, whenever the program starts.
    pub const LITTLE: Self = Self { windows: 1, rounds: 0 };
}

/// The placements of `texts`. Those that are `known` stay where they are. With `folds`, the texts are in small letters and
/// found in any case.
pub fn place(
    texts: &[Vec<u8>],
    folds: bool,
    look_up: LookUp,
    effort: Effort,
    known: impl Fn(&[u8]) -> Option<Placement>,
) -> Vec<Placement> {
    let count = buckets_for(texts.len());
    let mut buckets = Buckets { sets: vec![Set::default(); count], chances: vec![0.0; count], look_up };
    let mut placements: Vec<Option<Placement>> = texts.iter().map(|text| known(text)).collect();
    let window = |text: usize, offset| Set::of(&texts[text], offset, folds);
    for (text, placement) in placements.iter().enumerate() {
        if let Some(Placement { offset, bucket }) = *placement {
            buckets.sets[bucket] = buckets.sets[bucket].with(window(text, offset));
        }
    }
    let mut unknown: Vec<(usize, Vec<(f32, usize)>)> = (0..texts.len())
        .filter(|text| placements[*text].is_none())
        .map(|text| (text, rarest_windows(&texts[text], effort.windows)))
        .collect();
    if !unknown.is_empty() {
        buckets.chances = buckets.sets.iter().map(|set| set.chance(look_up)).collect();
    }
    // The common ones first, so that each starts a bucket, and the rare ones join where they cost least.
    unknown.sort_by(|(_, a), (_, b)| b[0].0.total_cmp(&a[0].0));
    for round in 0..=effort.rounds {
        for (text, offsets) in &unknown {
            // The early ones were placed before it was known what would join them.
            if round > 0
                && let Some(Placement { bucket, .. }) = placements[*text].take()
            {
                let others = placements.iter().enumerate().filter_map(|(n, other)| Some((n, (*other)?)));
                let others = others.filter(|(_, other)| other.bucket == bucket);
                let set = others.fold(Set::default(), |set, (n, other)| set.with(window(n, other.offset)));
                buckets.put(bucket, set);
            }
            let best = offsets.iter().map(|&(own, offset)| {
                let (bucket, cost) = buckets.cheapest(window(*text, offset));
                (Placement { offset, bucket }, cost + own)
            });
            let best = best.min_by(|(_, a), (_, b)| a.total_cmp(b));
            let (Placement { offset, bucket }, _) = best.expect("every literal has a window");
            buckets.put(bucket, buckets.sets[bucket].with(window(*text, offset)));
            placements[*text] = Some(Placement { offset, bucket });
        }
    }
    placements.into_iter().map(|placement| placement.expect("the rest was placed above")).collect()
}

/// How common the rarest windows of a literal are, and where they start; the rarest first.
fn rarest_windows(text: &[u8], count: usize) -> Vec<(f32, usize)> {
    let all = text.array_windows::<WINDOW>().enumerate();
    let mut windows: Vec<(f32, usize)> = all.map(|(offset, window)| (bigrams::chance(window), offset)).collect();
    windows.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    windows.truncate(count);
    if windows.is_empty() { vec![(bigrams::chance(text), 0)] } else { windows }
}

struct Buckets {
    sets: Vec<Set>,
    /// Of each.
    chances: Vec<f32>,
    look_up: LookUp,
}

impl Buckets {
    fn put(&mut self, bucket: usize, set: Set) {
        self.sets[bucket] = set;
        self.chances[bucket] = set.chance(self.look_up);
    }

    /// The bucket in which a window costs least, and how much.
    fn cheapest(&self, window: Set) -> (usize, f32) {
        let costs =
            self.sets.iter().zip(&self.chances).map(|(set, chance)| set.with(window).chance(self.look_up) - chance);
        costs.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b)).expect("there are eight buckets or more")
    }
}

/// The bytes that occur in a bucket at each place of a window, one bit each.
#[derive(Clone, Copy, Default)]
struct Set {
    bytes: [u128; WINDOW],
    low: [u16; WINDOW],
    high: [u16; WINDOW],
}

impl Set {
    fn of(text: &[u8], offset: usize, folds: bool) -> Self {
        let mut set = Self::default();
        for place in 0..WINDOW {
            let Some(&byte) = text.get(offset + place) else {
                (set.bytes[place], set.low[place], set.high[place]) = (!0, !0, !0);
                continue;
            };
            let cases = if folds { [byte, byte.to_ascii_uppercase()] } else { [byte; 2] };
            for byte in cases {
                set.bytes[place] |= 1 << (byte & 127);
                set.low[place] |= 1 << (byte & 15);
                set.high[place] |= 1 << (byte >> 4);
            }
        }
        set
    }

    #[inline]
    fn with(mut self, other: Self) -> Self {
        for place in 0..WINDOW {
            self.bytes[place] |= other.bytes[place];
            self.low[place] |= other.low[place];
            self.high[place] |= other.high[place];
        }
        self
    }

    /// How likely a search stops at a place of source text for this bucket.
    fn chance(&self, look_up: LookUp) -> f32 {
        bigrams::chance_of_any(match look_up {
            LookUp::Bytes => self.bytes,
            LookUp::Nibbles => std::array::from_fn(|place| {
                let rows = (0..8).filter(|row| self.high[place] >> row & 1 == 1);
                rows.fold(0, |all, row| all | u128::from(self.low[place]) << (16 * row))
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::marks;
    use std::collections::BTreeSet;

    const NONE: fn(&[u8]) -> Option<Placement> = |_| None;

    fn texts(all: &[&str]) -> Vec<Vec<u8>> {
        all.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    #[test]
    fn the_rarest_part_of_a_literal_is_its_window() {
        let placed = place(&texts(&["function_xq7z", "abc"]), false, LookUp::Bytes, Effort::LITTLE, NONE);
        assert_eq!(placed[0].offset, 9);
        assert_eq!(placed[1].offset, 0);
    }

    #[test]
    fn what_is_known_stays_and_the_rest_keeps_away_from_it() {
        let known = |text: &[u8]| (text == b"tion").then_some(Placement { offset: 0, bucket: 5 });
        let all = texts(&["tion", "ment"]);
        for look_up in [LookUp::Bytes, LookUp::Nibbles] {
            let placed = place(&all, false, look_up, Effort::LITTLE, known);
            assert_eq!(placed[0].bucket, 5);
            assert_ne!(placed[1].bucket, 5);
        }
    }

    #[test]
    fn effort_pays() {
        let all: BTreeSet<Vec<u8>> = marks::all().into_iter().map(|(literal, _)| literal).collect();
        let all: Vec<Vec<u8>> = all.into_iter().collect();
        let cost = |effort, look_up| {
            let (mut sets, mut windows) = ([Set::default(); 8], 0.0);
            for (text, placed) in all.iter().zip(place(&all, false, look_up, effort, NONE)) {
                sets[placed.bucket] = sets[placed.bucket].with(Set::of(text, placed.offset, false));
                windows += bigrams::chance(&text[placed.offset..text.len().min(placed.offset + WINDOW)]);
            }
            sets.iter().map(|set| set.chance(look_up)).sum::<f32>() + windows
        };
        for look_up in [LookUp::Bytes, LookUp::Nibbles] {
            assert!(cost(Effort { windows: 4, rounds: 2 }, look_up) < cost(Effort::LITTLE, look_up));
        }
    }
}
