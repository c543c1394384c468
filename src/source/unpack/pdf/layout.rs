//! The reading order of a page: from runs with their places to lines of cells, as a reader sees them.
//!
//! ```text
//! runs ─► of one direction ─► lines: what stands on one baseline ─► cells: what no wide gap divides
//!                               │
//!                               ├─ columns of running text, one after the other
//!                               └─ keys that a narrow cell or the end of a line has cut, whole again
//! ```

use super::sheet::{Run, Sheet};

/// Baselines that differ by less than this are one line, in ems of the smaller text.
const SAME_LINE: f64 = 0.4;
/// Directions that differ by less than this are one, in radians: a scan is never quite straight.
const SAME_DIRECTION: f64 = 0.03;
/// The same for text that stands beside other text.
const OVERLAP: f64 = 0.8;
/// From this gap on, in ems, there is a space between two runs: less than the narrowest space of justified text, more
/// than any kerning.
const SPACE: f64 = 0.15;
/// From this gap on, in ems, there are two cells.
const CELL: f64 = 1.0;
/// From this distance between baselines on, in ems, there is an empty line between two lines, unless it is usual.
const PARAGRAPH: f64 = 1.6;
/// The maximum distance between baselines of a cell, in ems.
const MAX_LEADING: f64 = 2.6;
/// Running text in columns has at least this number of lines, with this number of characters in most of them.
const COLUMN: (usize, usize) = (4, 25);
/// The maximum number of columns side by side.
const MAX_COLUMNS: usize = 6;
/// The maximum number of cells in a row that is put together from several lines.
const MAX_CELLS: usize = 100;
/// The length of a secret, the longest key that is made whole.
const MAX_KEY: usize = 40;
/// The maximum number of lines over which a key is spread.
const MAX_PIECES: usize = 10;

/// Text between gaps.
struct Cell {
    /// Where it starts and ends along the line.
    from: f64,
    to: f64,
    text: String,
    /// The first and last of its runs in the order in which they were shown.
    order: (usize, usize),
}

struct Line {
    /// How high it stands.
    height: f64,
    /// Font size.
    size: f64,
    cells: Vec<Cell>,
}

/// A run along its direction.
struct Placed<'a> {
    from: f64,
    to: f64,
    height: f64,
    size: f64,
    text: &'a str,
    order: usize,
}

/// The text of a page in reading order.
pub(super) fn text(sheet: &Sheet) -> String {
    let mut directions: Vec<(f64, Vec<Placed>)> = Vec::new();
    for (order, run) in sheet.runs.iter().enumerate() {
        let own = run.em.1.atan2(run.em.0);
        let index =
            directions.iter().position(|(angle, _)| (own - angle).abs() < SAME_DIRECTION).unwrap_or_else(|| {
                directions.push((own, Vec::new()));
                directions.len() - 1
            });
        let (angle, runs) = &mut directions[index];
        runs.push(place(run, *angle, sheet.text_of(run), order));
    }
    directions.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut text = String::new();
    for (_, runs) in directions {
        let mut columns = Vec::new();
        divide(lines(runs), 0, &mut columns);
        for lines in columns {
            write(&join(lines), &mut text);
        }
    }
    text.push_str(&sheet.aside);
    text
}

fn place<'a>(run: &Run, angle: f64, text: &'a str, order: usize) -> Placed<'a> {
    let (sin, cos) = angle.sin_cos();
    let (x, y) = run.at;
    let size = run.em.0.hypot(run.em.1).max(1e-6);
    let from = x * cos + y * sin;
    Placed { from, to: from + f64::from(run.width) * size, height: y * cos - x * sin, size, text, order }
}

/// Lines from the top, each with its cells from the start of the line.
fn lines(mut runs: Vec<Placed>) -> Vec<Line> {
    runs.sort_by(|one, other| other.height.total_cmp(&one.height));
    let mut lines = Vec::new();
    let mut rest = runs.into_iter().peekable();
    while let Some(first) = rest.next() {
        let (height, mut size) = (first.height, first.size);
        let mut line = vec![first];
        while let Some(run) = rest.next_if(|run| height - run.height < SAME_LINE * run.size.min(size)) {
            size = size.max(run.size);
            line.push(run);
        }
        line.sort_by(|one, other| one.from.total_cmp(&other.from).then(one.order.cmp(&other.order)));
        let cells = cells(&line);
        if !cells.is_empty() {
            lines.push(Line { height, size, cells });
        }
    }
    lines
}

fn cells(line: &[Placed]) -> Vec<Cell> {
    let space = space(line);
    let wide = if is_justified(line) { f64::INFINITY } else { CELL.max(space) };
    let mut cells: Vec<Cell> = Vec::new();
    let mut before: Option<(&Placed, usize)> = None;
    for run in line {
        // Bold by drawing it twice.
        let is_again = |before: &Placed| before.text == run.text && (run.from - before.from).abs() < SPACE * run.size;
        if let Some((before, order)) = &mut before
            && is_again(before)
        {
            *order = run.order;
            continue;
        }
        let size = before.map_or(run.size, |(before, _)| before.size.min(run.size));
        // Where other text was shown between the two, they are from different cells, as in a table whose cells have
        // several lines.
        let is_next = before.is_some_and(|(_, order)| order + 1 == run.order);
        before = Some((run, run.order));
        if let Some(cell) = cells.last_mut()
            && is_next
            && run.from - cell.to < wide * size
        {
            let is_apart = cell.text.ends_with(char::is_whitespace) || run.text.starts_with(char::is_whitespace);
            if run.from - cell.to > space * size && !is_apart {
                cell.text.push(' ');
            }
            cell.text.push_str(run.text);
            cell.to = cell.to.max(run.to);
            cell.order = (cell.order.0.min(run.order), cell.order.1.max(run.order));
        } else if !run.text.trim().is_empty() {
            cells.push(Cell { from: run.from, to: run.to, text: run.text.to_owned(), order: (run.order, run.order) });
        }
    }
    for cell in &mut cells {
        cell.text.truncate(cell.text.trim_end().len());
    }
    cells
}

/// True if the words of a line are equally far apart, however far.
fn is_justified(line: &[Placed]) -> bool {
    let gap = |(one, other): (&Placed, &Placed)| (other.from - one.to) / one.size.min(other.size);
    let gaps: Vec<_> = line.iter().zip(line.iter().skip(1)).map(gap).filter(|gap| *gap > SPACE).collect();
    let most = gaps.iter().copied().fold(0.0, f64::max);
    gaps.len() >= 4 && gaps.iter().all(|gap| *gap > 0.8 * most)
}

/// From which gap on there is a space, in ems. Where nearly all characters stand alone, the text is letter-spaced, and
/// the usual gap is none.
fn space(line: &[Placed]) -> f64 {
    let is_alone = |run: &Placed| run.text.chars().nth(1).is_none() && run.text.chars().all(char::is_alphanumeric);
    if line.len() < 8 || line.iter().filter(|run| is_alone(run)).count() * 8 < line.len() * 7 {
        return SPACE;
    }
    let pairs = line.iter().zip(line.iter().skip(1));
    let mut gaps: Vec<_> = pairs.map(|(one, other)| (other.from - one.to) / one.size.min(other.size)).collect();
    gaps.sort_by(f64::total_cmp);
    match gaps.get(gaps.len() / 2) {
        Some(&usual) if usual > SPACE / 2.0 && usual < 0.6 => usual + SPACE,
        _ => SPACE,
    }
}

/// Divides lines into columns of running text where their text was shown a column at a time. In a table, it is shown a
/// row at a time, or its cells are short.
fn divide(lines: Vec<Line>, depth: usize, columns: &mut Vec<Vec<Line>>) {
    if depth >= MAX_COLUMNS {
        columns.push(lines);
        return;
    }
    let mut rest = lines.into_iter().peekable();
    let mut whole = Vec::new();
    while rest.peek().is_some() {
        // A band: lines with a common gap, or on one side of it.
        let mut band: Vec<Line> = Vec::new();
        let mut gap: Option<(f64, f64)> = None;
        while let Some(line) = rest.next_if(|line| narrowed(line, gap).is_some()) {
            gap = narrowed(&line, gap);
            band.push(line);
        }
        match gap.and_then(|gap| column_at(&band, gap)) {
            Some(at) => {
                if !whole.is_empty() {
                    columns.push(std::mem::take(&mut whole));
                }
                let (left, right) = part(band, at);
                columns.push(left);
                divide(right, depth + 1, columns);
            }
            None if band.is_empty() => whole.extend(rest.next()),
            None => whole.append(&mut band),
        }
    }
    if !whole.is_empty() {
        columns.push(whole);
    }
}

/// The part of a gap that this line leaves free, too; `None` if it leaves nothing.
fn narrowed(line: &Line, gap: Option<(f64, f64)>) -> Option<(f64, f64)> {
    let Some((from, to)) = gap else {
        // The widest gap.
        let gaps = line.cells.iter().zip(line.cells.iter().skip(1)).map(|(one, other)| (one.to, other.from));
        return gaps.max_by(|one, other| (one.1 - one.0).total_cmp(&(other.1 - other.0)));
    };
    let (mut from, mut to) = (from, to);
    // Text may be too wide for its column. What starts where the second column does is in the second one all the same.
    if line.cells.iter().any(|cell| (cell.from - to).abs() < CELL / 2.0 * line.size) {
        return Some((from.min(to - CELL * line.size), to));
    }
    for cell in &line.cells {
        // A cell that reaches into the gap stands on the side where it has more of its width.
        if cell.from + cell.to < from + to {
            from = from.max(cell.to);
        } else {
            to = to.min(cell.from);
        }
    }
    (to - from > CELL / 2.0 * line.size).then_some((from, to))
}

/// Where the columns on both sides of a gap part, if they are columns: running text that was shown a column at a time,
/// or the same labels side by side.
fn column_at(band: &[Line], (from, to): (f64, f64)) -> Option<f64> {
    let at = f64::midpoint(from, to);
    let mut orders = [(usize::MAX, 0); 2];
    let mut lengths = [Vec::new(), Vec::new()];
    for cell in band.iter().flat_map(|line| &line.cells) {
        let side = usize::from(cell.from >= at);
        orders[side] = (orders[side].0.min(cell.order.0), orders[side].1.max(cell.order.1));
        lengths[side].push(cell.text.chars().count());
    }
    let [left, right] = orders;
    let is_shown_apart = left.1 < right.0 || right.1 < left.0;
    let is_running_text = lengths.iter_mut().all(|lengths| {
        lengths.sort_unstable();
        lengths.len() >= COLUMN.0 && lengths[lengths.len() / 2] >= COLUMN.1
    });
    (is_shown_apart && is_running_text || has_labels_twice(band, at)).then_some(at)
}

/// True if most lines have the same label on both sides of a place: `ID: …   ID: …`.
fn has_labels_twice(band: &[Line], at: f64) -> bool {
    let label = |cell: &Cell| cell.text.find([':', '=']).map(|end| cell.text[..end].to_owned());
    let (mut all, mut same) = (0, 0);
    for line in band {
        let right = line.cells.partition_point(|cell| cell.from < at);
        if let (Some(one), Some(other)) = (line.cells.first().filter(|_| right > 0), line.cells.get(right)) {
            all += 1;
            same += usize::from(label(one).is_some_and(|one| label(other) == Some(one)));
        }
    }
    same >= 2 && same * 2 >= all
}

/// What stands before and after a place.
fn part(band: Vec<Line>, at: f64) -> (Vec<Line>, Vec<Line>) {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for Line { height, size, cells } in band {
        let (before, after): (Vec<_>, Vec<_>) = cells.into_iter().partition(|cell| cell.from < at);
        for (side, cells) in [(&mut left, before), (&mut right, after)] {
            if !cells.is_empty() {
                side.push(Line { height, size, cells });
            }
        }
    }
    (left, right)
}

/// Makes keys whole that are cut at the end of a cell or line. The lines of a cell that was cut are one row of its table.
fn join(mut lines: Vec<Line>) -> Vec<Line> {
    let mut rows = Vec::new();
    // A piece under another is the start of a key only if nothing else can be.
    for may_go_on in [false, true] {
        for index in 0..lines.len() {
            let mut last = index;
            for cell in 0..lines.get(index).map_or(0, |line| line.cells.len()) {
                if let Some(pieces) = pieces(&lines, (index, cell), may_go_on) {
                    last = last.max(merge(&mut lines, index, cell, &pieces));
                }
            }
            if last > index {
                rows.push((index, last));
            }
        }
    }
    for (first, last) in rows {
        gather(&mut lines, first, last);
    }
    lines.retain(|line| !line.cells.is_empty());
    level(lines)
}

/// Puts lines together that overlap and stand beside each other, as the field of a form and its label.
fn level(lines: Vec<Line>) -> Vec<Line> {
    let mut level: Vec<Line> = Vec::new();
    for line in lines {
        match level.last_mut() {
            Some(above)
                if above.height - line.height < OVERLAP * above.size.min(line.size)
                    && above.cells.len() + line.cells.len() <= MAX_CELLS
                    && line.cells.iter().all(|cell| overlapping(&above.cells, cell).is_none()) =>
            {
                above.cells.extend(line.cells);
                above.cells.sort_by(|one, other| one.from.total_cmp(&other.from));
            }
            _ => level.push(line),
        }
    }
    level
}

/// Characters of key ids and secrets.
fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'/' || byte == b'+'
}

/// True if this has exactly the shape of a key id or of a secret.
fn is_whole(text: &str) -> bool {
    let has = |is: fn(&u8) -> bool| text.bytes().any(|byte| is(&byte));
    match text.len() {
        20 => {
            (text.starts_with("AKIA") || text.starts_with("ASIA"))
                && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        }
        40 => has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit),
        _ => false,
    }
}

/// A part of a key: in the cell of a line, its length from the start of the cell.
struct Piece {
    line: usize,
    cell: usize,
    length: usize,
}

/// The further pieces of a key that starts at the end of this cell.
fn pieces(lines: &[Line], (index, cell): (usize, usize), may_go_on: bool) -> Option<Vec<Piece>> {
    let start = &lines.get(index)?.cells.get(cell)?.text;
    let head = start.strip_suffix('-').unwrap_or(start);
    let length = head.bytes().rev().take(MAX_KEY + 1).take_while(|byte| is_key(*byte)).count();
    let mut key = head.get(head.len() - length..)?.to_owned();
    // A few letters could be the end of any word, or a word.
    let is_word = length < 8 && key.bytes().all(|byte| byte.is_ascii_lowercase());
    if !(1..40).contains(&length) || length < 3 && length < start.len() || is_word || is_whole(&key) {
        return None;
    }
    let is_alone = length == start.len() && !key.starts_with("AKIA") && !key.starts_with("ASIA");
    let mut pieces: Vec<Piece> = Vec::new();
    let mut place = (index, cell);
    let mut leading = None;
    while pieces.len() < MAX_PIECES {
        let (line, cell) = neighbour(lines, place, lines.get(place.0 + 1..)?)?;
        let line = place.0 + 1 + line;
        let distance = lines[place.0].height - lines[line].height;
        // The lines of a cell are equally far apart, and often closer than the rows of the table.
        let expected = *leading.get_or_insert(distance);
        if (distance - expected).abs() > 0.1 * expected
            || is_alone && !may_go_on && goes_on(lines, (index, cell), expected)
        {
            return None;
        }
        let text = &lines[line].cells[cell].text;
        let length = text.bytes().take(MAX_KEY + 1).take_while(|byte| is_key(*byte)).count();
        key.push_str(text.get(..length)?);
        pieces.push(Piece { line, cell, length });
        if is_whole(&key) {
            return Some(pieces);
        }
        // What is longer, or goes on with something else, is no key.
        if length == 0 || length < text.len() || key.len() >= 40 {
            return None;
        }
        place = (line, cell);
    }
    None
}

/// True if a cell may continue the one above, which is as far away as lines of one cell are.
fn goes_on(lines: &[Line], place: (usize, usize), leading: f64) -> bool {
    let before = lines.get(..place.0).unwrap_or_default();
    neighbour(lines, place, before.iter().rev()).is_some_and(|(line, cell)| {
        let above = &before[before.len() - 1 - line];
        let distance = above.height - lines[place.0].height;
        let text = &above.cells[cell].text;
        (distance - leading).abs() <= 0.1 * leading && (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(is_key)
    })
}

/// The nearest cell under or above another: the position of its line in `others`, and its index in the line.
fn neighbour<'a>(
    lines: &[Line],
    (line, cell): (usize, usize),
    others: impl IntoIterator<Item = &'a Line>,
) -> Option<(usize, usize)> {
    let own = lines.get(line)?;
    let cell = own.cells.get(cell)?;
    let near = others.into_iter().enumerate().take(4);
    let mut near = near.take_while(|(_, other)| (own.height - other.height).abs() < MAX_LEADING * own.size);
    near.find_map(|(index, other)| Some((index, overlapping(&other.cells, cell)?)))
}

/// The first cell of a line that is partly above or under another cell.
fn overlapping(cells: &[Cell], other: &Cell) -> Option<usize> {
    let index = cells.partition_point(|cell| cell.to <= other.from);
    cells.get(index).is_some_and(|cell| cell.from < other.to).then_some(index)
}

/// Moves the pieces of a key to its start. Returns the last line that is part of the same row.
fn merge(lines: &mut [Line], index: usize, cell: usize, pieces: &[Piece]) -> usize {
    let mut last = index;
    for piece in pieces {
        let Some(from) = lines.get_mut(piece.line).and_then(|line| line.cells.get_mut(piece.cell)) else { continue };
        let taken: String = from.text.drain(..piece.length).collect();
        from.text.drain(..from.text.len() - from.text.trim_start().len());
        if from.text.is_empty() {
            last = piece.line;
        }
        if let Some(to) = lines.get_mut(index).and_then(|line| line.cells.get_mut(cell)) {
            if to.text.ends_with('-') {
                to.text.pop();
            }
            to.text.push_str(&taken);
        }
    }
    last
}

/// Moves the cells up to the last line of a row to its first line.
fn gather(lines: &mut [Line], index: usize, last: usize) {
    for line in index + 1..=last {
        if lines[index].cells.len() + lines[line].cells.len() > MAX_CELLS {
            continue;
        }
        let cells = std::mem::take(&mut lines[line].cells);
        let row = &mut lines[index].cells;
        for cell in cells.into_iter().filter(|cell| !cell.text.is_empty()) {
            match overlapping(row, &cell) {
                Some(other) => {
                    row[other].text.push(' ');
                    row[other].text.push_str(&cell.text);
                }
                None => {
                    let at = row.partition_point(|other| other.from < cell.from);
                    row.insert(at, cell);
                }
            }
        }
    }
}

fn write(lines: &[Line], text: &mut String) {
    let distances = lines.iter().zip(lines.iter().skip(1)).map(|(one, other)| (one.height - other.height) / one.size);
    let mut usual: Vec<_> = distances.collect();
    usual.sort_by(f64::total_cmp);
    let usual = usual.get(usual.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    let mut above: Option<f64> = None;
    for line in lines {
        if above.is_some_and(|height| height - line.height > PARAGRAPH.max(1.4 * usual) * line.size) {
            text.push('\n');
        }
        above = Some(line.height);
        for (index, cell) in line.cells.iter().enumerate() {
            if index > 0 {
                text.push('\t');
            }
            text.push_str(&cell.text);
        }
        text.push('\n');
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs of text of this size, at x and y, half an em a character.
    fn sheet(runs: &[(f64, f64, &str)], size: f64) -> Sheet {
        let mut sheet = Sheet::default();
        for (x, y, text) in runs {
            sheet.start((*x, *y), (size, 0.0));
            sheet.extend(text, text.len() as f64 / 2.0);
        }
        sheet
    }

    #[test]
    fn lines_are_read_from_the_top() {
        let runs = [(0.0, 10.0, "below"), (0.0, 30.0, "above"), (30.0, 30.0, "beside"), (0.0, 60.0, "first")];
        assert_eq!(text(&sheet(&runs, 10.0)), "first\n\nabove beside\nbelow\n\n");
    }

    #[test]
    fn a_gap_is_a_space_and_kerning_is_none() {
        let runs = [(0.0, 0.0, "ab"), (10.4, 0.0, "cd"), (23.0, 0.0, "ef"), (60.0, 0.0, "gh")];
        assert_eq!(text(&sheet(&runs, 10.0)), "abcd ef\tgh\n\n");
    }

    #[test]
    fn columns_are_read_one_after_the_other_and_tables_line_by_line() {
        let lines = |columns: &[(f64, &'static str)], count: usize| -> Vec<(f64, f64, &'static str)> {
            columns.iter().flat_map(|(x, text)| (0..count).map(|n| (*x, -12.0 * n as f64, *text))).collect()
        };
        let columns =
            lines(&[(0.0, "running text of the left column"), (200.0, "and of the one on the right side")], 5);
        let read = text(&sheet(&columns, 10.0));
        assert_eq!((read.matches('\t').count(), read.matches("column\n").count()), (0, 5), "{read}");
        let labels = lines(&[(0.0, "label"), (200.0, "and what belongs to it, in the right column")], 5);
        assert_eq!(text(&sheet(&labels, 10.0)).matches('\t').count(), 5);
    }

    #[test]
    fn a_key_that_a_cell_cuts_is_made_whole_and_its_row_with_it() {
        let runs = [
            (0.0, 56.0, "user"),
            (100.0, 56.0, "id"),
            (100.0, 30.0, "AKIAQ3EGW2"),
            (0.0, 24.0, "alice"),
            (100.0, 18.0, "MNB5XTKPHC"),
            (0.0, 0.0, "bob"),
        ];
        let key = ["AKIAQ3EGW2", "MNB5XTKPHC"].concat();
        assert_eq!(text(&sheet(&runs, 10.0)), format!("user\tid\nalice\t{key}\nbob\n\n"));
    }

    proptest! {
        #[test]
        fn no_character_is_lost(places in proptest::collection::vec((-50_i16..50, -50_i16..50, 0_u8..4), 0..60)) {
            let mut sheet = Sheet::default();
            let mut letters = Vec::new();
            for (index, (x, y, turn)) in places.iter().enumerate() {
                let em = [(10.0, 0.0), (0.0, 10.0), (-10.0, 0.0), (7.0, 7.0)][usize::from(*turn)];
                sheet.start((f64::from(*x), f64::from(*y)), em);
                // Each is different: what is shown twice in one place is read once.
                let word = format!("w{index}x");
                sheet.extend(&word, 1.5);
                letters.extend(word.chars());
            }
            let mut read: Vec<_> = text(&sheet).chars().filter(|char| !char.is_whitespace()).collect();
            letters.sort_unstable();
            read.sort_unstable();
            prop_assert_eq!(read, letters);
        }
    }
}
