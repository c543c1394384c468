//! Deltas: how to make one object from another.
//!
//! Source: [gitformat-pack, "Deltified representation"](https://git-scm.com/docs/gitformat-pack#_deltified_representation).

use super::Damage;

/// A delta, inflated.
#[derive(Debug, Clone, Copy)]
pub struct Delta<'a> {
    /// Size of the base object, in bytes.
    pub base_size: u64,
    /// Size of the new object, in bytes.
    pub size: u64,
    instructions: &'a [u8],
}

/// A part of the new object that is copied from the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Offset in the base.
    pub from: usize,
    /// Offset in the new object.
    pub to: usize,
    /// Length in bytes.
    pub length: usize,
}

impl<'a> Delta<'a> {
    /// Reads the two sizes.
    ///
    /// # Errors
    /// If they are missing or malformed.
    pub fn read(mut bytes: &'a [u8]) -> Result<Self, Damage> {
        let base_size = read_size(&mut bytes)?;
        let size = read_size(&mut bytes)?;
        Ok(Self { base_size, size, instructions: bytes })
    }

    /// Writes the new object to `out`, whose length must be [`Self::size`], and passes each part copied from the base
    /// to `on_copy`, in order.
    ///
    /// # Errors
    /// If the delta does not belong to `base` or is damaged; the content of `out` is then unspecified.
    pub fn apply(&self, base: &[u8], out: &mut [u8], mut on_copy: impl FnMut(Copied)) -> Result<(), Damage> {
        if self.base_size != base.len() as u64 || self.size != out.len() as u64 {
            return Err(Damage::Delta);
        }
        let mut rest = self.instructions;
        let mut at = 0;
        while let Some((&code, after)) = rest.split_first() {
            rest = after;
            let (source, length) = if code & 0x80 != 0 {
                let from = read_little_endian(&mut rest, code & 0x0f)?;
                let length = match read_little_endian(&mut rest, code >> 4 & 0x07)? {
                    0 => 0x10000,
                    length => length,
                };
                on_copy(Copied { from, to: at, length });
                (base.get(from..from + length), length)
            } else {
                // Zero is reserved.
                let length = usize::from(code);
                let literal = rest.get(..length).filter(|_| length > 0);
                rest = rest.get(length..).unwrap_or_default();
                (literal, length)
            };
            match (source, out.get_mut(at..at + length)) {
                (Some(source), Some(target)) => target.copy_from_slice(source),
                _ => return Err(Damage::Delta),
            }
            at += length;
        }
        if at == out.len() { Ok(()) } else { Err(Damage::Delta) }
    }
}

fn read_size(bytes: &mut &[u8]) -> Result<u64, Damage> {
    let mut size = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Damage::Delta)?;
        *bytes = rest;
        size |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(size);
        }
    }
    Err(Damage::Size)
}

/// Reads a little-endian number that stores only the bytes whose bits are set in `present`.
#[inline]
fn read_little_endian(bytes: &mut &[u8], present: u8) -> Result<usize, Damage> {
    let mut value = 0;
    for n in 0..4 {
        if present >> n & 1 != 0 {
            let (&byte, rest) = bytes.split_first().ok_or(Damage::Delta)?;
            *bytes = rest;
            value |= usize::from(byte) << (8 * n);
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(base: &[u8], delta: &[u8]) -> Result<(Vec<u8>, Vec<Copied>), Damage> {
        let delta = Delta::read(delta)?;
        let mut out = vec![0; delta.size as usize];
        let mut copies = Vec::new();
        delta.apply(base, &mut out, |copied| copies.push(copied))?;
        Ok((out, copies))
    }

    #[test]
    fn copies_and_literals_are_put_together() {
        let delta = [6, 7, 0x91, 2, 3, 3, b'x', b'y', b'z', 0x90, 1];
        let copies = vec![Copied { from: 2, to: 0, length: 3 }, Copied { from: 0, to: 6, length: 1 }];
        assert_eq!(apply(b"abcdef", &delta), Ok((b"cdexyza".to_vec(), copies)));
    }

    #[test]
    fn a_length_of_zero_is_64_kib() {
        let base = vec![b'b'; 0x10000];
        let delta = [0x80, 0x80, 0x04, 0x80, 0x80, 0x04, 0x80];
        assert_eq!(apply(&base, &delta).map(|(out, _)| out), Ok(base.clone()));
    }

    #[test]
    fn nothing_outside_the_base_or_the_result_is_touched() {
        for delta in [
            &[6, 3, 0x91, 4, 3][..],              // beyond the base
            &[6, 2, 0x90, 3],                     // beyond the result
            &[6, 4, 0x90, 3],                     // short of the result
            &[6, 1, 0],                           // reserved
            &[6, 3, 3, b'x'],                     // a literal cut off
            &[6, 3, 0x91],                        // an offset cut off
            &[5, 1, 0x90, 1],                     // another base
            &[6],                                 // no size
            &[6, 3, 0x9f, 255, 255, 255, 255, 3], // far beyond
        ] {
            assert_eq!(apply(b"abcdef", delta), Err(Damage::Delta), "{delta:?}");
        }
        assert_eq!(apply(b"abcdef", &[0x80; 12]), Err(Damage::Size));
    }
}
