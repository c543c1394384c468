//! Content streams: which text they show, and where (ISO 32000-2, 7.8 and 9.4).

use super::Unread;
use super::filter::Purse;
use super::font::{Font, UNKNOWN_WIDTH, text_string};
use super::lexer::{Lexer, Token};
use super::page::{Out, Reader, address, is_form};
use super::sheet::{Matrix, Sheet};
use lopdf::{Dictionary, Object};
use std::rc::Rc;

/// Operators of content streams, and keywords that may be operands.
const OPERATORS: [&[u8]; 76] = [
    b"b", b"B", b"b*", b"B*", b"BDC", b"BI", b"BMC", b"BT", b"BX", b"c", b"cm", b"CS", b"cs", b"d", b"d0", b"d1",
    b"Do", b"DP", b"EI", b"EMC", b"ET", b"EX", b"f", b"F", b"f*", b"G", b"g", b"gs", b"h", b"i", b"ID", b"j", b"J",
    b"K", b"k", b"l", b"m", b"M", b"MP", b"n", b"q", b"Q", b"re", b"RG", b"rg", b"ri", b"s", b"S", b"SC", b"sc",
    b"SCN", b"scn", b"sh", b"T*", b"Tc", b"Td", b"TD", b"Tf", b"Tj", b"TJ", b"TL", b"Tm", b"Tr", b"Ts", b"Tw", b"Tz",
    b"v", b"w", b"W", b"W*", b"y", b"'", b"\"", b"true", b"false", b"null",
];
/// The maximum number of saved graphics states.
const MAX_SAVED: usize = 512;
/// The maximum number of strings and numbers kept for one operator.
const MAX_OPERANDS: usize = 1 << 12;
/// The maximum length of the text kept for one operator, in bytes.
const MAX_TEXT: usize = 12 << 10;
/// Characters further apart than this, or further back, are separate runs, in ems.
const MAX_GAP: (f64, f64) = (0.1, -0.3);

/// The part of the graphics state that matters for text.
#[derive(Clone)]
pub(super) struct State {
    /// From the coordinates of the content stream to those of the page or form.
    pub ctm: Matrix,
    pub font: Option<Rc<Font>>,
    /// Identifies the font; 0 if there is none.
    pub font_id: usize,
    size: f64,
    char_space: f64,
    word_space: f64,
    /// Horizontal scale.
    scale: f64,
    leading: f64,
    rise: f64,
}

/// A state that can be compared.
pub(super) type Key = ([u64; 12], usize);

impl State {
    /// What decides how a content stream that starts with this state is read.
    pub fn key(&self) -> Key {
        let mut numbers = [0; 12];
        let own = [self.size, self.char_space, self.word_space, self.scale, self.leading, self.rise];
        for (number, value) in numbers.iter_mut().zip(self.ctm.0.into_iter().chain(own)) {
            *number = value.to_bits();
        }
        (numbers, self.font_id)
    }
}

enum Operand {
    Text(Vec<u8>),
    Shift(f64),
}

/// State that carries over from one content stream of a page to the next.
pub(super) struct Pen {
    pub state: State,
    saved: Vec<State>,
    /// The text matrix, and that of the start of the line.
    matrix: Matrix,
    line: Matrix,
    operands: Vec<Operand>,
    /// Length of the text in them, in bytes.
    length: usize,
    numbers: [f64; 6],
    name: Vec<u8>,
}

impl Pen {
    /// A pen that has shown nothing.
    pub fn new() -> Self {
        let state = State {
            ctm: Matrix::IDENTITY,
            font: None,
            font_id: 0,
            size: 0.0,
            char_space: 0.0,
            word_space: 0.0,
            scale: 1.0,
            leading: 0.0,
            rise: 0.0,
        };
        Self::with(state)
    }

    /// A pen for a form that is drawn with this state, in coordinates of the form.
    pub fn for_form(state: &State) -> Self {
        Self::with(State { ctm: Matrix::IDENTITY, ..state.clone() })
    }

    fn with(state: State) -> Self {
        let (matrix, line) = (Matrix::IDENTITY, Matrix::IDENTITY);
        Self {
            state,
            saved: Vec::new(),
            matrix,
            line,
            operands: Vec::new(),
            length: 0,
            numbers: [0.0; 6],
            name: Vec::new(),
        }
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.line = Matrix::translation(x, y).then(self.line);
        self.matrix = self.line;
    }

    /// Shows the operands: strings, and by how much to move back between them.
    fn show(&mut self, sheet: &mut Sheet, purse: &mut Purse) {
        self.length = 0;
        let state = &self.state;
        let unit = state.size * state.scale;
        // Where the text is, along its line, and where the last run ended.
        let (mut x, mut end) = (0.0, None::<f64>);
        let (mut start, mut width, mut unfolded) = (0.0, 0.0, 0);
        let trm = Matrix([unit, 0.0, 0.0, state.size, 0.0, state.rise]).then(self.matrix).then(state.ctm);
        let em = (trm.0[0], trm.0[1]);
        for operand in self.operands.drain(..) {
            let bytes = match operand {
                Operand::Shift(by) => {
                    x -= by / 1000.0 * unit;
                    continue;
                }
                Operand::Text(bytes) => bytes,
            };
            let mut glyph = |text: &str, thousandths: f64, is_space: bool| {
                let gap = end.map(|end| (x - end) / unit);
                if gap.is_none_or(|gap| gap > MAX_GAP.0 || gap < MAX_GAP.1) {
                    let at = trm.apply((x / unit, 0.0));
                    let is_placed = [at.0, at.1, em.0, em.1].iter().all(|number| number.is_finite());
                    sheet.start(if is_placed { at } else { (0.0, 0.0) }, if is_placed { em } else { (1.0, 0.0) });
                    start = x;
                    width = 0.0;
                }
                let length = thousandths / 1000.0 * unit;
                let advance = length + state.scale * (state.char_space + if is_space { state.word_space } else { 0.0 });
                // Ghostscript writes kerning as a narrow space.
                let text = if is_space && (advance / unit) < MAX_GAP.0 { "" } else { text };
                let natural = (x + length - start) / unit;
                width = if natural.is_finite() { natural.max(width) } else { width };
                sheet.extend(text, width);
                unfolded += text.len();
                x += advance;
                end = Some(start + width * unit);
            };
            let length = bytes.len();
            match &state.font {
                Some(font) => font.decode(&bytes, &mut glyph),
                None => {
                    for byte in bytes {
                        glyph((byte as char).encode_utf8(&mut [0; 4]), UNKNOWN_WIDTH, byte == b' ');
                    }
                    purse.unread.insert(Unread::Font);
                }
            }
            // A code may stand for many characters.
            purse.spend(std::mem::take(&mut unfolded).saturating_sub(4 * length));
        }
        self.matrix = Matrix::translation(x, 0.0).then(self.matrix);
    }

    /// Text that was the operand of another operator.
    fn lay_aside(&mut self, sheet: &mut Sheet) {
        for operand in self.operands.drain(..) {
            if let Operand::Text(bytes) = operand {
                aside(&bytes, sheet);
            }
        }
    }

    /// Carries out an operator, unless it refers to resources.
    fn operator(&mut self, word: &[u8], sheet: &mut Sheet, purse: &mut Purse) {
        // For example `a b c d e f Tm`; an operator with fewer operands takes the last ones.
        let numbers = self.numbers;
        let [.., before_last, last] = numbers;
        match word {
            b"Tj" | b"TJ" => self.show(sheet, purse),
            b"'" | b"\"" => {
                if word == b"\"" {
                    (self.state.word_space, self.state.char_space) = (before_last, last);
                }
                self.next_line(0.0, -self.state.leading);
                self.show(sheet, purse);
            }
            b"Td" => self.next_line(before_last, last),
            b"TD" => {
                self.state.leading = -last;
                self.next_line(before_last, last);
            }
            b"T*" => self.next_line(0.0, -self.state.leading),
            b"Tm" => (self.matrix, self.line) = (Matrix(numbers), Matrix(numbers)),
            b"BT" => (self.matrix, self.line) = (Matrix::IDENTITY, Matrix::IDENTITY),
            b"Tc" => self.state.char_space = last,
            b"Tw" => self.state.word_space = last,
            b"Tz" => self.state.scale = last / 100.0,
            b"TL" => self.state.leading = last,
            b"Ts" => self.state.rise = last,
            b"cm" => self.state.ctm = Matrix(numbers).then(self.state.ctm),
            b"q" if self.saved.len() < MAX_SAVED => self.saved.push(self.state.clone()),
            b"Q" => {
                if let Some(state) = self.saved.pop() {
                    self.state = state;
                }
            }
            _ => self.lay_aside(sheet),
        }
        self.operands.clear();
        self.length = 0;
    }
}

fn aside(bytes: &[u8], sheet: &mut Sheet) {
    sheet.aside.push_str(&text_string(bytes));
    sheet.aside.push('\n');
}

impl<'d> Reader<'d, '_> {
    /// Reads a content stream.
    pub(super) fn run(&mut self, data: &[u8], resources: Option<&'d Dictionary>, pen: &mut Pen, out: &mut Out) {
        let mut lexer = Lexer::new(data);
        let (mut in_dict, mut in_array, mut in_image) = (0_usize, false, false);
        let mut has_image_end = true;
        let (mut known, mut unknown) = (0_usize, 0_usize);
        while let Some(token) = lexer.next() {
            match token {
                Token::Number(number) => {
                    pen.numbers.rotate_left(1);
                    pen.numbers[5] = number;
                    if in_array && in_dict == 0 {
                        pen.operands.push(Operand::Shift(number));
                    }
                }
                Token::Name(name) => pen.name = name,
                Token::Open(b'[') => in_array = true,
                Token::Close(b'[') => in_array = false,
                Token::Open(_) => in_dict += 1,
                Token::Close(_) => in_dict = in_dict.saturating_sub(1),
                Token::Text(_) if in_image => {}
                Token::Text(bytes) if in_dict > 0 => aside(&bytes, &mut out.sheet),
                Token::Text(bytes) => {
                    // Whole codes of one to four bytes.
                    for part in bytes.chunks(MAX_TEXT) {
                        pen.length += part.len();
                        pen.operands.push(Operand::Text(part.to_vec()));
                        if pen.length > MAX_TEXT {
                            pen.show(&mut out.sheet, &mut self.purse);
                            self.hand_over(out, false);
                        }
                    }
                }
                Token::Word(word) => {
                    (in_dict, in_array) = (0, false);
                    match word {
                        b"BI" => in_image = true,
                        b"ID" if in_image => {
                            out.has_picture = true;
                            in_image = false;
                            has_image_end = has_image_end && lexer.skip_image();
                            if !has_image_end {
                                self.purse.unread.insert(Unread::Stream);
                            }
                        }
                        _ => {
                            if OPERATORS.contains(&word) {
                                known += 1;
                            } else {
                                unknown += 1;
                            }
                            self.operator(word, resources, pen, out);
                        }
                    }
                    self.hand_over(out, false);
                }
            }
            if pen.operands.len() > MAX_OPERANDS {
                pen.show(&mut out.sheet, &mut self.purse);
                self.hand_over(out, false);
            }
            if self.purse.is_spent {
                return;
            }
        }
        // The data is not a content stream, for example because the name of its filter is damaged.
        if lexer.is_cut || unknown > known / 8 && (unknown > 2 || known == 0) {
            self.purse.unread.insert(Unread::Stream);
        }
    }

    fn operator(&mut self, word: &[u8], resources: Option<&'d Dictionary>, pen: &mut Pen, out: &mut Out) {
        match word {
            b"Tf" => {
                pen.state.size = pen.numbers[5];
                let name = std::mem::take(&mut pen.name);
                let font = self.look_up(resources, b"Font", &name).and_then(|font| font.as_dict().ok());
                pen.state.font_id = font.map_or(0, address);
                pen.state.font = font.and_then(|font| self.font(font));
            }
            b"Do" => {
                let name = std::mem::take(&mut pen.name);
                match self.look_up(resources, b"XObject", &name) {
                    Some(Object::Stream(form)) if is_form(form) => self.form(form, resources, &pen.state, out),
                    Some(Object::Stream(_)) => out.has_picture = true,
                    _ => _ = self.purse.unread.insert(Unread::Object),
                }
            }
            _ => pen.operator(word, &mut out.sheet, &mut self.purse),
        }
    }
}
