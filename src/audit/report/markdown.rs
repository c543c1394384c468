//! The inventory as Markdown for tickets: a section for each key, however many places it is in.

use super::{changes, headline, verdicts};
use crate::audit::inventory::{Inventory, KeyEntry, OwnedBy};
use crate::report::wording::{date, is_command, plural, short_key, verified};
use std::io::{self, Write};

pub(super) fn write(inventory: &Inventory, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# Leaked keys as of {}\n\n{}.", date(inventory.now), headline(inventory))?;
    if let Some(changes) = changes(inventory) {
        writeln!(out, "{changes}.")?;
    }
    for key in &inventory.keys {
        section(key, out)?;
    }
    if let Some(changes) = inventory.changes.as_ref().filter(|changes| !changes.fixed.is_empty()) {
        writeln!(out, "\n## Fixed\n")?;
        for (name, first) in &changes.fixed {
            writeln!(out, "- {}, first found {}", code(&short_key(name)), date(*first))?;
        }
    }
    let skips = inventory.skips_in_words();
    if !inventory.is_complete() || !skips.is_empty() {
        writeln!(out, "\n## Not scanned\n")?;
        if !skips.is_empty() {
            writeln!(out, "In all: {}.\n", skips.join(", "))?;
        }
        for (name, cause) in inventory.failures() {
            writeln!(out, "- {}: {}", code(name), plain(cause))?;
        }
    }
    Ok(())
}

fn section(key: &KeyEntry, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n## {}: {}\n", key.severity, plain(&key.title))?;
    let account = key.account.map_or_else(|| "unknown".to_owned(), |account| account.to_string());
    writeln!(out, "- Account: {account}")?;
    if let Some(status) = key.status {
        let since = key.first_found.map(|first| format!(", first found {}", date(first))).unwrap_or_default();
        writeln!(out, "- Status: {}{since}", status.word())?;
    }
    if let Some(answer) = &key.verification {
        writeln!(out, "- Verified: {}", plain(&verified(answer)))?;
    }
    let verdicts = verdicts(key);
    if !verdicts.is_empty() {
        writeln!(out, "- Judged: {}", verdicts.join(", "))?;
    }
    let proof = if key.is_proven { ", which a signature proves to belong together" } else { "" };
    match (&key.id, &key.secret) {
        (Some(_), Some(_)) => writeln!(out, "- Found: id and secret{proof}")?,
        (Some(_), None) => writeln!(out, "- Found: the id; the secret was not found")?,
        (None, _) => writeln!(out, "- Found: the secret; its id is not known")?,
    }
    let days = key.days.map(|days| format!(", {} in a repository", plural(days as usize, "day"))).unwrap_or_default();
    if let Some(first) = key.first_seen {
        let now = if key.is_current {
            "still there".to_owned()
        } else {
            format!("last there {}", key.last_seen.map(date).unwrap_or_default())
        };
        writeln!(out, "- Exposed: since {}{days}; {now}", date(first))?;
    }
    let by = match key.owned_by {
        OwnedBy::CodeOwners => "code owners",
        OwnedBy::LastCommitter => "committed it last",
        OwnedBy::Sender => "sent it",
        OwnedBy::Nobody => "",
    };
    if !key.owners.is_empty() {
        let owners: Vec<_> = key.owners.iter().map(|owner| code(owner)).collect();
        writeln!(out, "- Who must act: {} ({by})", owners.join(", "))?;
    }
    for judgement in &key.judgements {
        writeln!(out, "\n{} ({}):\n", code(judgement.rule.as_str()), judgement.grade)?;
        for reason in &judgement.reasons {
            writeln!(out, "- {}", plain(reason))?;
        }
    }
    writeln!(out, "\nFound {} in {}:\n", plural(key.occurrences, "time"), plural(key.target_count, "target"))?;
    for place in &key.places {
        writeln!(out, "- {}", code(place))?;
    }
    if key.occurrences > key.places.len() && key.places.len() == super::super::inventory::MAX_LISTED {
        writeln!(out, "- and more")?;
    }
    writeln!(out, "\nWhat to do:\n")?;
    for (number, step) in key.steps.iter().enumerate() {
        let step = if is_command(step) { code(step) } else { plain(step) };
        writeln!(out, "{}. {step}", number + 1)?;
    }
    Ok(())
}

/// Text in which nothing is taken for markup.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in crate::text::sanitize::one_line(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            // A zero-width joiner would do for mentions, too, but cannot be read.
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '!' | '~' | '@' | '>' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// Text as code, whatever backticks it has.
fn code(text: &str) -> String {
    let text = crate::text::sanitize::one_line(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    if longest == 0 { format!("`{text}`") } else { format!("{fence} {text} {fence}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_markup() {
        assert_eq!(plain("<b> [x](y) @all `z`"), "&lt;b\\> \\[x\\](y) \\@all \\`z\\`");
        assert_eq!(code("a`b``c"), "``` a`b``c ```");
        assert_eq!(code("a b"), "`a b`");
    }
}
