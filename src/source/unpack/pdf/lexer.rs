//! Content streams, `CMap`s and objects as tokens (ISO 32000-2, 7.2).

pub(super) fn is_space(byte: u8) -> bool {
    b" \t\n\r\0\x0c".contains(&byte)
}

pub(super) fn is_regular(byte: u8) -> bool {
    !is_space(byte) && !b"()<>[]{}/%".contains(&byte)
}

pub(super) enum Token<'a> {
    Number(f64),
    Name(Vec<u8>),
    Text(Vec<u8>),
    /// `[`, or `<` for `<<`.
    Open(u8),
    Close(u8),
    Word(&'a [u8]),
}

/// Splits content streams and `CMap`s into tokens. Ignores anything else.
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    /// Offset of the next byte.
    pub at: usize,
    /// True if a token is not terminated.
    pub is_cut: bool,
}

impl<'a> Lexer<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, is_cut: false }
    }

    fn run(&mut self, is_in: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| is_in(**byte)).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        self.is_cut |= byte.is_none();
        byte
    }

    fn literal(&mut self) -> Vec<u8> {
        let (mut text, mut depth) = (Vec::new(), 0_usize);
        while let Some(byte) = self.byte() {
            match byte {
                b'(' => depth += 1,
                b')' if depth == 0 => break,
                b')' => depth -= 1,
                b'\\' => {
                    match self.byte() {
                        Some(b'n') => text.push(b'\n'),
                        Some(b'r') => text.push(b'\r'),
                        Some(b't') => text.push(b'\t'),
                        Some(b'b') => text.push(8),
                        Some(b'f') => text.push(12),
                        Some(b'\r') => self.at += usize::from(self.bytes.get(self.at) == Some(&b'\n')),
                        Some(b'\n') => {}
                        Some(first @ b'0'..=b'7') => {
                            let rest = self.bytes.get(self.at..).unwrap_or_default();
                            let digits = rest.iter().take(2).take_while(|byte| (b'0'..=b'7').contains(byte));
                            let mut value = u32::from(first - b'0');
                            for digit in digits {
                                value = value * 8 + u32::from(digit - b'0');
                                self.at += 1;
                            }
                            text.push(value as u8);
                        }
                        Some(other) => text.push(other),
                        None => {}
                    }
                    continue;
                }
                _ => {}
            }
            text.push(byte);
        }
        text
    }

    fn hex(&mut self) -> Vec<u8> {
        let (mut text, mut high) = (Vec::new(), None);
        while let Some(byte) = self.byte() {
            let Some(digit) = (byte as char).to_digit(16) else {
                if is_space(byte) {
                    continue;
                }
                if byte != b'>' {
                    // It is not a hex string; what follows must not be lost with it.
                    self.at -= 1;
                    self.is_cut = true;
                }
                break;
            };
            match high.take() {
                Some(high) => text.push(high | digit as u8),
                None => high = Some((digit as u8) << 4),
            }
        }
        text.extend(high);
        text
    }

    fn name(&mut self) -> Vec<u8> {
        let raw = self.run(is_regular);
        let mut name = Vec::with_capacity(raw.len());
        let mut at = 0;
        while let Some(&byte) = raw.get(at) {
            let digit = |offset: usize| raw.get(at + offset).and_then(|byte| (*byte as char).to_digit(16));
            match (byte, digit(1), digit(2)) {
                (b'#', Some(high), Some(low)) => {
                    name.push((high * 16 + low) as u8);
                    at += 3;
                }
                _ => {
                    name.push(byte);
                    at += 1;
                }
            }
        }
        name
    }

    /// Skips the data of an inline image; false if its end is not found.
    pub fn skip_image(&mut self) -> bool {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        for end in memchr::memmem::find_iter(rest, b"EI") {
            let after = rest.get(end + 2..).unwrap_or_default();
            let is_word = end.checked_sub(1).is_none_or(|before| is_space(rest[before]))
                && after.first().is_none_or(|byte| is_space(*byte));
            // Image data may contain `EI` by chance, but is then followed by more data.
            if is_word && after.iter().take(12).all(|byte| (b' '..0x7f).contains(byte) || is_space(*byte) && *byte != 0)
            {
                self.at = start + end + 2;
                return true;
            }
        }
        false
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.run(is_space);
            let byte = *self.bytes.get(self.at)?;
            let is_twice = self.bytes.get(self.at + 1) == Some(&byte);
            if is_regular(byte) {
                let word = self.run(is_regular);
                if byte.is_ascii_digit() || b"+-.".contains(&byte) {
                    let number = std::str::from_utf8(word).ok().and_then(|word| word.parse::<f64>().ok());
                    if let Some(number) = number.filter(|number| number.is_finite()) {
                        return Some(Token::Number(number));
                    }
                }
                return Some(Token::Word(word));
            }
            self.at += 1;
            match byte {
                b'%' => _ = self.run(|byte| !b"\r\n".contains(&byte)),
                b'/' => return Some(Token::Name(self.name())),
                b'(' => return Some(Token::Text(self.literal())),
                b'[' => return Some(Token::Open(b'[')),
                b']' => return Some(Token::Close(b'[')),
                b'<' if is_twice => {
                    self.at += 1;
                    return Some(Token::Open(b'<'));
                }
                b'<' => return Some(Token::Text(self.hex())),
                b'>' if is_twice => {
                    self.at += 1;
                    return Some(Token::Close(b'<'));
                }
                _ => {}
            }
        }
    }
}

pub(super) fn memmem(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, what)
}

pub(super) fn memrmem(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::rfind(bytes, what)
}
