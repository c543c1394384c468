//! The inventory for people: what changed, then a table, then what was not scanned.

use super::{changes, first_of, headline, short_name, what};
use crate::audit::inventory::{Inventory, KeyEntry, Status};
use crate::report::Layout;
use crate::report::wording::{date, plural, short_key, with_thousands};
use crate::rule::Severity;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use std::io::{self, Write};

/// The maximum number of rows: nobody reads more on a terminal.
const MAX_ROWS: usize = 500;

/// From this width on, tables have all columns.
const WIDE: u16 = 130;

/// The maximum number of lines of each other kind.
const MAX_LINES: usize = 50;

/// The width of tables that are not for a terminal, in columns.
const WIDTH: u16 = 160;

pub(super) fn write(inventory: &Inventory, layout: Layout, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Audit as of {}: {}", date(inventory.now), headline(inventory))?;
    if let Some(changes) = changes(inventory) {
        writeln!(out, "{changes}")?;
    }
    let above = common_folder(inventory);
    if !above.is_empty() {
        writeln!(out, "Names are relative to {above}")?;
    }
    writeln!(out)?;
    news(inventory, &above, out)?;
    if !inventory.keys.is_empty() {
        let width = layout.width.map_or(WIDTH, |width| u16::try_from(width).unwrap_or(u16::MAX));
        writeln!(out, "{}", table(inventory, &above, width))?;
        let more = inventory.keys.len().saturating_sub(MAX_ROWS);
        if more > 0 {
            writeln!(out, "and {} in the other formats", plural(more, "more key"))?;
        }
        writeln!(out)?;
    }
    for seen in inventory.observations.iter().take(MAX_LINES) {
        writeln!(out, "{}: {}, {}", seen.severity, seen.sentence, below(&seen.place, &above))?;
    }
    more(inventory.observation_count, MAX_LINES, "observation", out)?;
    for (name, cause) in inventory.failures().take(MAX_LINES) {
        let cause = cause.strip_prefix("not scanned: ").unwrap_or(cause);
        writeln!(out, "not scanned: {}: {cause}", below(name, &above))?;
    }
    more(inventory.failures().count(), MAX_LINES, "failure", out)?;
    summary(inventory, out)
}

/// What the names of all targets begin with, up to a slash: a folder, or a place on the web. Empty if that is not much.
fn common_folder(inventory: &Inventory) -> String {
    let names: Vec<&str> =
        inventory.units.iter().flat_map(|unit| &unit.targets).map(|target| target.name.as_str()).collect();
    let (Some(first), Some(last), true) = (names.iter().min(), names.iter().max(), names.len() > 1) else {
        return String::new();
    };
    let same = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
    // One may be the folder of the others.
    let same = if same == first.len() { same - 1 } else { same };
    let start = first.find("://").map_or(0, |scheme| scheme + 3);
    let end = first.as_bytes()[..same].iter().rposition(|byte| *byte == b'/').filter(|end| *end > start);
    end.map_or_else(String::new, |end| first[..=end].to_owned())
}

/// A name without the folder that all are in.
fn below<'a>(name: &'a str, above: &str) -> &'a str {
    name.strip_prefix(above).unwrap_or(name)
}

/// What is new, and what is gone.
fn news(inventory: &Inventory, above: &str, out: &mut dyn Write) -> io::Result<()> {
    let Some(changes) = &inventory.changes else { return Ok(()) };
    let is_news = |key: &&KeyEntry| matches!(key.status, Some(Status::New | Status::BackAgain));
    let news = || inventory.keys.iter().filter(is_news);
    for key in news().take(MAX_LINES) {
        let status = key.status.map_or("", Status::word);
        let place = first_of(&key.places, key.occurrences);
        writeln!(out, "{status}: {} ({}), {}", short_name(key), what(key), below(&place, above))?;
    }
    more(news().count(), MAX_LINES, "new key", out)?;
    for (name, first) in changes.fixed.iter().take(MAX_LINES) {
        writeln!(out, "fixed: {}, first found {}", short_key(name), date(*first))?;
    }
    more(changes.fixed.len(), MAX_LINES, "fixed key", out)?;
    for (name, first) in changes.unseen.iter().take(MAX_LINES) {
        writeln!(out, "not fully rechecked: {}, first found {}", short_key(name), date(*first))?;
    }
    more(changes.unseen.len(), MAX_LINES, "key", out)?;
    if news().next().is_some() || !changes.fixed.is_empty() || !changes.unseen.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

fn more(count: usize, shown: usize, noun: &str, out: &mut dyn Write) -> io::Result<()> {
    match count.saturating_sub(shown) {
        0 => Ok(()),
        rest => writeln!(out, "and {}", plural(rest, &format!("more {noun}"))),
    }
}

fn table(inventory: &Inventory, above: &str, width: u16) -> Table {
    let has_status = inventory.changes.is_some();
    let mut table = Table::new();
    table.load_style(presets::ASCII_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width);
    // What a narrow terminal has no room for is in the other formats.
    let is_wide = width >= WIDE;
    let mut header = vec!["Key", "Severity", "What", "Since", "Where", "Who must act"];
    if has_status {
        header.insert(1, "Status");
    }
    if is_wide {
        header.insert(0, "Account");
        let since = header.iter().position(|name| *name == "Since").unwrap_or_default();
        header.insert(since + 1, "Days");
        header.insert(since + 2, "Now");
    }
    table.set_header(header.clone());
    for (index, name) in header.iter().enumerate() {
        let least = match *name {
            "Account" => 12,
            "Key" => 20,
            "Severity" => 8,
            "Since" => 10,
            _ => continue,
        };
        // Two columns are blanks at the edges.
        let constraint = ColumnConstraint::LowerBoundary(Width::Fixed(least + 2));
        table.column_mut(index).into_iter().for_each(|column| _ = column.set_constraint(constraint));
    }
    for key in inventory.keys.iter().take(MAX_ROWS) {
        let mut row = vec![
            short_name(key),
            key.severity.to_string(),
            what(key),
            key.first_seen.map(date).unwrap_or_default(),
            below(&first_of(&key.targets, key.target_count), above).to_owned(),
            first_of(&key.owners, key.owners.len()),
        ];
        if is_wide {
            let now = if key.is_current { "yes" } else { "no" }.to_owned();
            row.splice(4..4, [key.days.map(|days| days.to_string()).unwrap_or_default(), now]);
        }
        if has_status {
            row.insert(1, key.status.map_or("", Status::word).to_owned());
        }
        if is_wide {
            row.insert(0, key.account.map_or_else(|| "unknown".to_owned(), |account| account.to_string()));
        }
        table.add_row(row);
    }
    table
}

/// How many targets were scanned, of how many.
fn scanned_targets(inventory: &Inventory) -> String {
    let all = inventory.target_count();
    let failed: usize = inventory.units.iter().filter(|unit| unit.error.is_some()).map(|unit| unit.targets.len()).sum();
    match failed {
        0 => plural(all, "target"),
        _ => format!("{} of {}", all - failed.min(all), plural(all, "target")),
    }
}

fn summary(inventory: &Inventory, out: &mut dyn Write) -> io::Result<()> {
    let count = |severity: Severity| inventory.keys.iter().filter(|key| key.severity == severity).count();
    let counts = [Severity::Error, Severity::Warning, Severity::Note]
        .map(|severity| (count(severity), severity.to_string()))
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| plural(count, &word))
        .collect::<Vec<_>>();
    let found = if counts.is_empty() { "found nothing".to_owned() } else { format!("keys: {}", counts.join(", ")) };
    let read = inventory.read();
    let suppressed: usize = inventory.suppressed.iter().sum();
    let suppressed =
        if suppressed > 0 { format!("; {} suppressed", plural(suppressed, "finding")) } else { String::new() };
    let partial = inventory.units.iter().filter(|unit| unit.is_cut).count();
    let partial = if partial > 0 {
        format!("; {}, of which parts were never fetched", plural(partial, "shallow or partial clone"))
    } else {
        String::new()
    };
    let skips = inventory.skips_in_words();
    let skips = if skips.is_empty() { String::new() } else { format!("; not scanned: {}", skips.join(", ")) };
    let incomplete = if inventory.is_complete() { "" } else { "; the audit is incomplete" };
    writeln!(
        out,
        "{found}{suppressed}\nscanned {}: {}, {}, {} objects{partial}{skips}{incomplete}",
        scanned_targets(inventory),
        plural(read.files as usize, "file"),
        plural(read.commits as usize, "commit"),
        with_thousands(read.objects as usize),
    )
}
