//! Encoded text that may be wrapped over several lines: the positions of its characters.

use std::ops::Range;

/// How far to each side of an anchor text is read, in characters.
const REACH: usize = 64 << 10;

/// Minimum length of a line, in characters, that may continue on the next line.
const MIN_WRAP: usize = 20;

/// The characters around an anchor, as contiguous stretches.
#[derive(Debug)]
pub(super) struct Wrapped {
    /// Raw bytes of each stretch, and how many characters there are before it. In order.
    stretches: Vec<(usize, Range<usize>)>,
    length: usize,
}

/// The characters of an encoding.
pub(super) type Alphabet = [bool; 256];

impl Wrapped {
    /// The characters around offset `anchor`, across line ends between long lines and the white space that indents
    /// them; and how many of them precede the anchor.
    pub fn around(raw: &[u8], anchor: usize, alphabet: &Alphabet) -> (Self, usize) {
        let mut stretches = before(raw, anchor, alphabet);
        stretches.reverse();
        let left: usize = stretches.iter().map(Range::len).sum();
        stretches.extend(after(raw, anchor, alphabet));
        let mut length = 0;
        let stretches = stretches.into_iter().filter(|stretch| !stretch.is_empty()).map(|stretch| {
            length += stretch.len();
            (length - stretch.len(), stretch)
        });
        let stretches = stretches.collect();
        (Self { stretches, length }, left)
    }

    /// Drops the first `count` characters.
    pub fn skip(&mut self, mut count: usize) {
        let mut length = 0;
        for (before, stretch) in &mut self.stretches {
            let cut = count.min(stretch.len());
            stretch.start += cut;
            count -= cut;
            *before = length;
            length += stretch.len();
        }
        self.stretches.retain(|(_, stretch)| !stretch.is_empty());
        self.length = length;
    }

    /// The characters in one piece.
    pub fn gather(&self, raw: &[u8]) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.length);
        self.stretches.iter().for_each(|(_, stretch)| all.extend_from_slice(&raw[stretch.clone()]));
        all
    }

    /// Raw offset of the character at `index`, which must exist.
    pub fn raw_offset(&self, index: usize) -> usize {
        let (before, stretch) = &self.stretches[self.stretches.partition_point(|(before, _)| *before <= index) - 1];
        stretch.start + (index - before)
    }

    /// The index of the character at a raw offset, if it is one of these.
    pub fn index_of(&self, at: usize) -> Option<usize> {
        let next = self.stretches.partition_point(|(_, stretch)| stretch.start <= at);
        let (before, stretch) = &self.stretches[next.checked_sub(1)?];
        stretch.contains(&at).then(|| before + (at - stretch.start))
    }
}

/// Stretches before `anchor`, the nearest first.
fn before(raw: &[u8], anchor: usize, alphabet: &Alphabet) -> Vec<Range<usize>> {
    let mut stretches: Vec<Range<usize>> = Vec::new();
    let (mut end, mut length) = (anchor, 0);
    loop {
        let reach = end - end.min(REACH - length);
        let run = raw[reach..end].iter().rev().take_while(|&&b| alphabet[usize::from(b)]).count();
        // The first line of a block often follows a name; the anchor's own line may be cut by the anchor.
        if !stretches.is_empty() && run < MIN_WRAP {
            return stretches;
        }
        stretches.push(end - run..end);
        length += run;
        let blank = raw[..end - run].trim_ascii_end().len();
        if length >= REACH || blank == 0 || !is_one_line_end(&raw[blank..end - run]) {
            return stretches;
        }
        end = blank;
    }
}

/// Stretches from `anchor` on.
fn after(raw: &[u8], anchor: usize, alphabet: &Alphabet) -> Vec<Range<usize>> {
    let mut stretches: Vec<Range<usize>> = Vec::new();
    let (mut start, mut length) = (anchor.min(raw.len()), 0);
    loop {
        let reach = raw.len().min(start + (REACH - length));
        let run = raw[start..reach].iter().take_while(|&&b| alphabet[usize::from(b)]).count();
        let end = start + run;
        let is_first = stretches.is_empty();
        if !is_first {
            // Nothing but padding ends a wrapped line.
            let ends = raw[end..].iter().find(|&&b| b != b'=').is_none_or(u8::is_ascii_whitespace);
            if run == 0 || !ends && end < reach {
                return stretches;
            }
        }
        stretches.push(start..end);
        length += run;
        let blank = raw.len() - raw[end..].trim_ascii_start().len();
        if length >= REACH || blank == raw.len() || run < MIN_WRAP && !is_first || !is_one_line_end(&raw[end..blank]) {
            return stretches;
        }
        start = blank;
    }
}

fn is_one_line_end(blank: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', blank).take(2).count() == 1
}
