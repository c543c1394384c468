//! Finds long runs of set bits, 64 bits at a time: a vectorised search sets one for each byte of a class.

use std::ops::Range;

/// The search for all maximal runs of at least `MIN` bits, which is 64 or less. The last step must end with a bit that is not
/// set.
#[derive(Default)]
pub(super) struct Runs<const MIN: usize> {
    /// The bits of the step before.
    before: u64,
    /// Where the long run begins that reaches the end of these, if any.
    open: Option<usize>,
}

impl<const MIN: usize> Runs<MIN> {
    /// Looks at the 64 bits at offset `at`. Calls `found` with each run that ends in them. Nearly always no run is long
    /// enough, and that is all.
    #[inline]
    pub(super) fn step(&mut self, at: usize, now: u64, found: &mut impl FnMut(Range<usize>)) {
        let before = std::mem::replace(&mut self.before, now);
        let across = (!before).leading_zeros() + (!now).trailing_zeros();
        if Self::may_be_within(now) || across as usize >= MIN || self.open.is_some() {
            let bits = u128::from(now) << 64 | u128::from(before);
            self.end(at, (ends::<MIN>(bits) >> 64) as u64, found);
        }
    }

    /// False if no long run lies within a step.
    #[inline]
    const fn may_be_within(now: u64) -> bool {
        if 2 * MIN > 64 {
            // Wherever it begins, it has the bits in the middle.
            let middle = !0 << (64 - MIN) & !0 >> (64 - MIN);
            return now & middle == middle;
        }
        starts::<MIN>(now) != 0
    }

    /// Tells the runs that end in the step at `at`. A bit of `long` is set where `MIN` or more set bits end or go on.
    #[inline(never)]
    fn end(&mut self, at: usize, mut long: u64, found: &mut impl FnMut(Range<usize>)) {
        loop {
            let first = if self.open.is_some() { 0 } else { long.trailing_zeros() as usize };
            let start = match self.open.take() {
                Some(start) => start,
                None if long == 0 => return,
                None => at + first + 1 - MIN,
            };
            let end = first + (long >> first).trailing_ones() as usize;
            if end == u64::BITS as usize {
                self.open = Some(start);
                return;
            }
            found(start..at + end);
            long &= !0 << end;
        }
    }
}

/// A bit at the first of each `MIN` set bits in a row.
#[inline]
const fn starts<const MIN: usize>(mut bits: u64) -> u64 {
    let mut length = 1;
    while 2 * length <= MIN {
        bits &= bits >> length;
        length *= 2;
    }
    bits & bits >> (MIN - length)
}

/// A bit at the last of each `MIN` set bits in a row.
#[inline]
const fn ends<const MIN: usize>(mut bits: u128) -> u128 {
    let mut length = 1;
    while 2 * length <= MIN {
        bits &= bits << length;
        length *= 2;
    }
    bits & bits << (MIN - length)
}
