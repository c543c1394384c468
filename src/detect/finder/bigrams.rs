//! How often four bytes follow one another in source text, estimated from how often each two do.

use super::fragments::is_fragment;
use super::placement::WINDOW;

/// A line for each first byte and a character for each second one, in the order of [`symbol`]: `0` is a pair that occurs
/// once in 16 MiB or less, and two characters further is twice as often. Measured over thirteen collections of source text
/// in many languages by `benches/bigrams.py`.
const TEXT: &[u8] = include_bytes!("bigrams.txt");

const SYMBOLS: usize = 97;

/// The byte at a place in a line: a tab, a newline, and what ASCII can print.
const fn symbol(place: usize) -> usize {
    match place {
        0 => b'\t' as usize,
        1 => b'\n' as usize,
        _ => b' ' as usize + place - 2,
    }
}

/// How likely an ASCII byte is.
static FIRST: [f32; 128] = TABLES.0;

/// How likely an ASCII byte is after another.
static NEXT: [[f32; 128]; 128] = TABLES.1;

/// The same for other bytes, and pairs that are not in the table.
const RARE: f32 = 1e-7;

const TABLES: ([f32; 128], [[f32; 128]; 128]) = {
    let (mut first, mut next) = ([RARE; 128], [[RARE; 128]; 128]);
    let mut of_levels = [1.0 / (16 << 20) as f32; 64];
    let mut level = 1;
    while level < of_levels.len() {
        of_levels[level] = of_levels[level - 1] * std::f32::consts::SQRT_2;
        level += 1;
    }
    let mut line = 0;
    while line < SYMBOLS {
        let from = symbol(line);
        let mut column = 0;
        while column < SYMBOLS {
            let pair = of_levels[(TEXT[line * (SYMBOLS + 1) + column] - b'0') as usize];
            next[from][symbol(column)] = pair;
            first[from] += pair;
            column += 1;
        }
        let mut to = 0;
        while to < 128 {
            next[from][to] /= first[from];
            to += 1;
        }
        line += 1;
    }
    (first, next)
};

/// How likely these bytes are.
pub fn chance(window: &[u8]) -> f32 {
    /// Of the fragments, on average.
    const OF_FRAGMENTS: f32 = 1e-4;
    let first = window.first().map_or(1.0, |&byte| FIRST.get(usize::from(byte)).copied().unwrap_or(RARE));
    let next = |&[byte, after]: &[u8; 2]| {
        let row = NEXT.get(usize::from(byte));
        row.and_then(|row| row.get(usize::from(after))).copied().unwrap_or(RARE)
    };
    let chance = first * window.array_windows().map(next).product::<f32>();
    if is_fragment(window) { chance.max(OF_FRAGMENTS) } else { chance }
}

/// How likely it is that the bytes at each place of a window are among these, a bit each.
pub fn chance_of_any(sets: [u128; WINDOW]) -> f32 {
    let mut reached = [0.0; 128];
    bytes_of(sets[0]).for_each(|byte| reached[byte] = FIRST[byte]);
    for places in sets.array_windows() {
        let [before, here] = *places;
        let mut next = [0.0; 128];
        for from in bytes_of(before) {
            bytes_of(here).for_each(|to| next[to] += reached[from] * NEXT[from][to]);
        }
        reached = next;
    }
    reached.iter().sum()
}

fn bytes_of(mut set: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let byte = set.trailing_zeros() as usize;
        (set != 0).then(|| {
            set &= set - 1;
            byte
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete() {
        assert_eq!(TEXT.len(), SYMBOLS * (SYMBOLS + 1));
        assert!(TEXT.chunks(SYMBOLS + 1).all(|line| line[SYMBOLS] == b'\n' && line[..SYMBOLS].is_ascii()));
        let all: f32 = FIRST.iter().sum();
        assert!((0.8..1.2).contains(&all), "{all}");
    }

    #[test]
    fn parts_of_words_are_likelier_than_keys() {
        for (word, other) in [(b"tion", b"AKIA"), (b" the", b"ghp_"), (b"self", b"EXOa"), (b"\n\t\t\t", b"glpa")] {
            assert!(chance(word) > 100.0 * chance(other), "{word:?}");
        }
        assert!(chance(b"ab\x80a") > 0.0);
    }

    #[test]
    fn sets_of_one_byte_are_a_window() {
        for window in [b"tion", b"AKIA"] {
            let (one, all) = (chance(window), chance_of_any(window.map(|byte| 1 << byte)));
            assert!((one / all - 1.0).abs() < 1e-3, "{one} {all}");
        }
        assert!(chance_of_any([!0; WINDOW]) > 0.8);
        assert!(chance_of_any([0; WINDOW]) == 0.0);
    }
}
