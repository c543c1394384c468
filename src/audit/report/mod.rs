//! Writers of the inventory, one for each format.

mod csv;
mod html;
mod json;
mod markdown;
pub mod sarif;
mod text;

use super::inventory::{Inventory, KeyEntry, Status};
use crate::finding::verification::KeyStatus;
use crate::report::Layout;
use crate::report::wording::{plural, short_key};
use std::io;

/// A format of inventories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Human-readable tables, what changed first.
    Text,
    /// JSON.
    Json,
    /// CSV table, one row per key.
    Csv,
    /// Self-contained HTML page.
    Html,
    /// Markdown for tickets, one section per key.
    Markdown,
    /// SARIF 2.1.0, a file per repository in the folder given as output.
    Sarif,
}

/// Writes an inventory; SARIF, which has a file per repository, has a writer of its own.
///
/// # Errors
/// Those of `out`.
pub fn write(inventory: &Inventory, format: Format, layout: Layout, out: &mut dyn io::Write) -> io::Result<()> {
    match format {
        Format::Text => text::write(inventory, layout, out),
        Format::Json => json::write(inventory, out),
        Format::Csv => csv::write(inventory, out),
        Format::Html => html::write(inventory, out),
        Format::Markdown => markdown::write(inventory, out),
        Format::Sarif => Err(io::Error::other("SARIF is written to a folder")),
    }
}

/// Judgements in a word each, the worst first: `root, mailed`.
fn verdicts(key: &KeyEntry) -> Vec<&'static str> {
    const WORDS: [(&str, &str); 5] = [
        ("aws-root-key", "root"),
        ("aws-emailed-key", "mailed"),
        ("aws-shared-key", "shared"),
        ("aws-foreign-key", "foreign"),
        ("aws-copied-key", "copied"),
    ];
    let canary = key.is_canary.then_some("canary");
    let words = WORDS.iter().filter(|(rule, _)| key.is(rule)).map(|(_, word)| *word);
    canary.into_iter().chain(words).collect()
}

/// What is known of a key: its parts, and what was judged.
fn what(key: &KeyEntry) -> String {
    let parts = match (&key.id, &key.secret) {
        (Some(_), Some(_)) => "id and secret",
        (Some(_), None) => "id",
        (None, _) if !key.is_of_aws => &key.title,
        (None, _) => "secret",
    };
    let answer = key.verification.as_ref().map(|answer| answer.status).filter(|status| *status != KeyStatus::NotAsked);
    let words: Vec<&str> = answer.map(KeyStatus::word).into_iter().chain(verdicts(key)).collect();
    if words.is_empty() { parts.to_owned() } else { format!("{}; {parts}", words.join(", ")) }
}

/// A short name: an id, or the start of a fingerprint.
fn short_name(key: &KeyEntry) -> String {
    short_key(&key.name)
}

/// The whole in a sentence.
fn headline(inventory: &Inventory) -> String {
    let accounts: std::collections::BTreeSet<_> = inventory.keys.iter().filter_map(|key| key.account).collect();
    let is_root = |key: &&KeyEntry| key.is("aws-root-key");
    let roots = inventory.keys.iter().filter(is_root).count();
    let of_accounts =
        if accounts.is_empty() { String::new() } else { format!(" of {}", plural(accounts.len(), "account")) };
    let keys = plural(inventory.keys.len(), "key");
    let targets = plural(inventory.target_count(), "target");
    let of_roots = match roots {
        0 => String::new(),
        1 => "; 1 is a root user's".to_owned(),
        more => format!("; {more} are root users'"),
    };
    format!("{keys}{of_accounts} in {targets}{of_roots}")
}

/// What changed, in a sentence; none if there was no audit before.
fn changes(inventory: &Inventory) -> Option<String> {
    let changes = inventory.changes.as_ref()?;
    let count = |status: Status| changes.counts.get(&status).copied().unwrap_or_default();
    let unseen = match changes.unseen.len() {
        0 => String::new(),
        count => format!(", {count} not fully rechecked"),
    };
    Some(format!(
        "Since {}: {} new, {} back again, {} known, {} fixed{unseen}",
        crate::report::wording::date(changes.since),
        count(Status::New),
        count(Status::BackAgain),
        count(Status::Known),
        count(Status::Fixed)
    ))
}

/// The first of a list, and how many more there are.
fn first_of(list: &[String], count: usize) -> String {
    match list.first() {
        None => String::new(),
        Some(first) if count > 1 => format!("{first} +{}", count - 1),
        Some(first) => first.clone(),
    }
}
