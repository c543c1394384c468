//! The inventory as a self-contained page that is readable without scripts and makes no network requests.
//!
//! The template escapes every value, and the page's content security policy allows only its one script.

use super::{changes, first_of, headline, short_name, verdicts, what};
use crate::audit::inventory::{Inventory, KeyEntry, Status};
use crate::report::html::{SCRIPT, STYLE};
use crate::report::wording::{date, is_command, plural, verified, with_thousands};
use crate::rule::Severity;
use data_encoding::BASE64;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;

const TEMPLATE: &str = include_str!("inventory.html");

/// The maximum numbers of what is listed: nobody reads a longer page.
const MAX_ROWS: usize = 20_000;
const MAX_CARDS: usize = 1000;
const MAX_LINES: usize = 500;
const MAX_KEYS_OF_OWNER: usize = 20;

#[derive(Serialize)]
struct Page {
    style: &'static str,
    script: &'static str,
    script_hash: String,
    version: &'static str,
    date: String,
    headline: String,
    changes: Option<String>,
    key_count: usize,
    counts: Vec<(&'static str, usize)>,
    failures: Vec<(String, String)>,
    more_failures: usize,
    trend: Vec<Bar>,
    accounts: Vec<AccountRow>,
    owners: Vec<OwnerRow>,
    has_status: bool,
    rows: Vec<Row>,
    cards: Vec<Card>,
    observations: Vec<Seen>,
    extent: String,
    targets: Vec<String>,
    more_targets: usize,
    skips: String,
}

#[derive(Serialize)]
struct Bar {
    date: String,
    width: String,
    text: String,
}

#[derive(Serialize)]
struct AccountRow {
    account: String,
    counts: [usize; 6],
}

#[derive(Serialize)]
struct OwnerRow {
    name: String,
    count: usize,
    keys: Vec<KeyLink>,
}

#[derive(Serialize)]
struct KeyLink {
    name: String,
    anchor: String,
}

#[derive(Serialize)]
struct Row {
    severity: String,
    /// Sort key of the severity.
    rank: u8,
    account: String,
    name: String,
    anchor: Option<String>,
    status: &'static str,
    what: String,
    since: String,
    days: String,
    now: &'static str,
    place: String,
    owner: String,
}

#[derive(Serialize)]
struct Card {
    anchor: String,
    severity: String,
    title: String,
    account: String,
    status: String,
    since: String,
    is_current: bool,
    /// What AWS answered about it.
    answer: String,
    judgements: Vec<JudgementView>,
    owners: String,
    people: String,
    count: String,
    places: Vec<String>,
    /// Each step, and whether it is a command.
    steps: Vec<(String, bool)>,
}

#[derive(Serialize)]
struct JudgementView {
    rule: String,
    grade: String,
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct Seen {
    severity: String,
    text: String,
    place: String,
}

pub(super) fn write(inventory: &Inventory, out: &mut dyn io::Write) -> io::Result<()> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("page", TEMPLATE).map_err(io::Error::other)?;
    let template = environment.get_template("page").map_err(io::Error::other)?;
    let page: minijinja::Value = minijinja::value::Serde(page(inventory)).into();
    template.render_captured_to(page, out).map(|_| ()).map_err(crate::report::html::unwrapped)
}

fn page(inventory: &Inventory) -> Page {
    let words = [("error", Severity::Error), ("warning", Severity::Warning), ("note", Severity::Note)];
    let count = |severity: Severity| inventory.keys.iter().filter(|key| key.severity == severity).count();
    let targets = || inventory.units.iter().flat_map(|unit| &unit.targets);
    let read = inventory.read();
    let cards: Vec<&KeyEntry> = worst_first(inventory).into_iter().take(MAX_CARDS).collect();
    let anchors: BTreeMap<&str, String> =
        cards.iter().enumerate().map(|(number, key)| (key.name.as_str(), format!("key-{}", number + 1))).collect();
    Page {
        style: STYLE,
        script: SCRIPT,
        script_hash: BASE64.encode(&Sha256::digest(SCRIPT)),
        version: env!("CARGO_PKG_VERSION"),
        date: date(inventory.now),
        headline: headline(inventory),
        changes: changes(inventory),
        key_count: inventory.keys.len(),
        counts: words.map(|(word, severity)| (word, count(severity))).to_vec(),
        failures: inventory.failures().take(MAX_LINES).map(|(name, why)| (name.to_owned(), why.to_owned())).collect(),
        more_failures: inventory.failures().count().saturating_sub(MAX_LINES),
        trend: trend(inventory),
        accounts: accounts(inventory),
        owners: owners(inventory, &anchors),
        has_status: inventory.changes.is_some(),
        rows: inventory.keys.iter().take(MAX_ROWS).map(|key| row(key, &anchors)).collect(),
        cards: cards.iter().map(|key| card(key, &anchors)).collect(),
        observations: inventory
            .observations
            .iter()
            .take(MAX_LINES)
            .map(|seen| Seen {
                severity: seen.severity.to_string(),
                text: seen.sentence.clone(),
                place: seen.place.clone(),
            })
            .collect(),
        extent: format!(
            "{}: {}, {}, {} objects",
            plural(inventory.target_count(), "target"),
            plural(read.files as usize, "file"),
            plural(read.commits as usize, "commit"),
            with_thousands(read.objects as usize)
        ),
        targets: targets().take(MAX_LINES).map(|target| target.name.clone()).collect(),
        more_targets: inventory.target_count().saturating_sub(MAX_LINES),
        skips: inventory.skips_in_words().join(", "),
    }
}

fn worst_first(inventory: &Inventory) -> Vec<&KeyEntry> {
    let mut keys: Vec<&KeyEntry> = inventory.keys.iter().collect();
    keys.sort_by_key(|key| Reverse((key.severity, key.judgements.iter().map(|judgement| judgement.grade).max())));
    keys
}

fn trend(inventory: &Inventory) -> Vec<Bar> {
    const MAX_BARS: usize = 30;
    let shown = &inventory.trend[inventory.trend.len().saturating_sub(MAX_BARS)..];
    let most = shown.iter().map(|audit| audit.keys).max().unwrap_or(0).max(1);
    let bar = |audit: &crate::audit::inventory::Moment| Bar {
        date: date(audit.at),
        width: format!("{:.1}", audit.keys as f64 * 100.0 / most as f64),
        text: format!("{}, {} new, {} fixed", plural(audit.keys, "key"), audit.new, audit.fixed),
    };
    shown.iter().map(bar).collect()
}

fn accounts(inventory: &Inventory) -> Vec<AccountRow> {
    // Keys are in order of their accounts.
    let mut rows: Vec<AccountRow> = Vec::new();
    for key in &inventory.keys {
        let account = key.account.map_or_else(|| "unknown".to_owned(), |account| account.to_string());
        if rows.last().is_none_or(|row| row.account != account) {
            rows.push(AccountRow { account, counts: [0; 6] });
        }
        let row = rows.last_mut().expect("one was pushed");
        let judged = ["aws-root-key", "aws-emailed-key", "aws-shared-key", "aws-foreign-key"].map(|rule| key.is(rule));
        let counted = [true, judged[0], judged[1], judged[2], judged[3], key.is_current];
        row.counts.iter_mut().zip(counted).for_each(|(count, is_one)| *count += usize::from(is_one));
    }
    rows
}

fn owners(inventory: &Inventory, anchors: &BTreeMap<&str, String>) -> Vec<OwnerRow> {
    let mut by_name: BTreeMap<&str, Vec<&KeyEntry>> = BTreeMap::new();
    for key in &inventory.keys {
        key.owners.iter().for_each(|owner| by_name.entry(owner).or_default().push(key));
    }
    let mut rows: Vec<OwnerRow> = by_name
        .into_iter()
        .map(|(name, keys)| {
            let link = |key: &&KeyEntry| {
                Some(KeyLink { name: short_name(key), anchor: anchors.get(key.name.as_str())?.clone() })
            };
            let links = keys.iter().filter_map(link).take(MAX_KEYS_OF_OWNER).collect();
            OwnerRow { name: name.to_owned(), count: keys.len(), keys: links }
        })
        .collect();
    rows.sort_by_key(|row| Reverse(row.count));
    rows.truncate(MAX_LINES);
    rows
}

fn row(key: &KeyEntry, anchors: &BTreeMap<&str, String>) -> Row {
    Row {
        severity: key.severity.to_string(),
        rank: key.severity as u8,
        account: key.account.map_or_else(|| "unknown".to_owned(), |account| account.to_string()),
        name: short_name(key),
        anchor: anchors.get(key.name.as_str()).cloned(),
        status: key.status.map_or("", Status::word),
        what: what(key),
        since: key.first_seen.map(date).unwrap_or_default(),
        days: key.days.map(|days| days.to_string()).unwrap_or_default(),
        now: if key.is_current { "yes" } else { "no" },
        place: first_of(&key.targets, key.target_count),
        owner: first_of(&key.owners, key.owners.len()),
    }
}

fn card(key: &KeyEntry, anchors: &BTreeMap<&str, String>) -> Card {
    let title = match verdicts(key).as_slice() {
        [] => key.title.clone(),
        words => format!("{} ({})", key.title, words.join(", ")),
    };
    Card {
        anchor: anchors.get(key.name.as_str()).cloned().unwrap_or_default(),
        severity: key.severity.to_string(),
        title,
        account: key.account.map_or_else(|| "unknown".to_owned(), |account| account.to_string()),
        status: match (key.status, key.first_found) {
            (Some(status), Some(first)) => format!("{}, first found {}", status.word(), date(first)),
            (status, _) => status.map_or("", Status::word).to_owned(),
        },
        since: key.first_seen.map(date).unwrap_or_default(),
        is_current: key.is_current,
        answer: key.verification.as_ref().map(verified).unwrap_or_default(),
        judgements: key
            .judgements
            .iter()
            .map(|judgement| JudgementView {
                rule: judgement.rule.to_string(),
                grade: judgement.grade.to_string(),
                reasons: judgement.reasons.clone(),
            })
            .collect(),
        owners: key.owners.join(", "),
        people: key.people.join(", "),
        count: format!("{} in {}", plural(key.occurrences, "time"), plural(key.target_count, "target")),
        places: key.places.clone(),
        steps: key.steps.iter().map(|step| (step.clone(), is_command(step))).collect(),
    }
}
