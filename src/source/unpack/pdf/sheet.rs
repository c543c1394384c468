//! Text with its place on a page (ISO 32000-2, 8.3 and 9.4).

/// A transformation `[a b c d e f]`: `x' = a x + c y + e`, `y' = b x + d y + f`.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Matrix(pub [f64; 6]);

impl Matrix {
    pub const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    pub fn translation(x: f64, y: f64) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y])
    }

    /// First this transformation, then `next`.
    pub fn then(self, next: Self) -> Self {
        let [across, up, at] = [(0, 1), (2, 3), (4, 5)].map(|(x, y)| (self.0[x], self.0[y]));
        let (across, up, at) = (next.turn(across), next.turn(up), next.apply(at));
        Self([across.0, across.1, up.0, up.1, at.0, at.1])
    }

    /// Where a point comes to lie.
    pub fn apply(self, point: (f64, f64)) -> (f64, f64) {
        let turned = self.turn(point);
        (turned.0 + self.0[4], turned.1 + self.0[5])
    }

    /// What becomes of a direction.
    fn turn(self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.0[0] * x + self.0[2] * y, self.0[1] * x + self.0[3] * y)
    }
}

/// Consecutive characters on one baseline, without a gap between them.
#[derive(Clone)]
pub(super) struct Run {
    /// Start of the baseline.
    pub at: (f64, f64),
    /// The length and direction of one em along the baseline.
    pub em: (f64, f64),
    /// Width, in ems.
    pub width: f32,
    /// Start and end in the text of its sheet, in bytes.
    text: (u32, u32),
}

/// The text that a content stream shows, in the order in which it shows it.
#[derive(Clone, Default)]
pub(super) struct Sheet {
    text: String,
    pub runs: Vec<Run>,
    /// Text without a place, a line each.
    pub aside: String,
}

/// Lengths of the parts of a sheet.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    runs: usize,
    aside: usize,
}

impl Sheet {
    /// Length of its text, in bytes.
    pub fn length(&self) -> usize {
        self.text.len() + self.aside.len()
    }

    /// How much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        self.length() + self.runs.len() * size_of::<Run>()
    }

    /// Its text without blanks.
    pub fn letters(&self) -> String {
        self.text.split_whitespace().collect()
    }

    pub fn text_of(&self, run: &Run) -> &str {
        self.text.get(run.text.0 as usize..run.text.1 as usize).unwrap_or_default()
    }

    /// Starts a run without text.
    pub fn start(&mut self, at: (f64, f64), em: (f64, f64)) {
        let end = self.text.len() as u32;
        self.runs.push(Run { at, em, width: 0.0, text: (end, end) });
    }

    /// Appends to the last run, which is then so wide, in ems.
    pub fn extend(&mut self, text: &str, width: f64) {
        self.text.push_str(text);
        if let Some(run) = self.runs.last_mut() {
            run.text.1 = self.text.len() as u32;
            run.width = width as f32;
        }
    }

    pub fn mark(&self) -> Mark {
        Mark { runs: self.runs.len(), aside: self.aside.len() }
    }

    /// A copy of what was added since then.
    pub fn since(&self, mark: Mark) -> Self {
        let mut sheet = Self::default();
        sheet.append(self, mark);
        sheet
    }

    /// Appends what was added to another sheet since then.
    pub fn append(&mut self, other: &Self, since: Mark) {
        for run in other.runs.iter().skip(since.runs) {
            let start = self.text.len() as u32;
            self.text.push_str(other.text_of(run));
            self.runs.push(Run { text: (start, self.text.len() as u32), ..run.clone() });
        }
        self.aside.push_str(other.aside.get(since.aside..).unwrap_or_default());
    }

    /// Moves what was added since then.
    pub fn transform(&mut self, since: Mark, matrix: Matrix) {
        for run in self.runs.iter_mut().skip(since.runs) {
            run.at = matrix.apply(run.at);
            run.em = matrix.turn(run.em);
        }
    }
}
