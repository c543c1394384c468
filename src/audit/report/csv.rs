//! The inventory as a CSV table, one row per key.

use super::verdicts;
use crate::audit::inventory::{Inventory, KeyEntry, OwnedBy, Status};
use crate::report::wording::moment;
use std::io;

const HEADER: [&str; 22] = [
    "account",
    "key",
    "severity",
    "status",
    "title",
    "judgements",
    "id",
    "secret_fingerprint",
    "proven",
    "first_seen",
    "last_seen",
    "exposed_days",
    "in_files_now",
    "occurrences",
    "targets",
    "target_count",
    "places",
    "people",
    "who_must_act",
    "known_by",
    "works",
    "asked",
];

pub(super) fn write(inventory: &Inventory, out: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(out);
    writer.write_record(HEADER)?;
    for key in &inventory.keys {
        writer.write_record(row(key).map(defused))?;
    }
    for (name, cause) in inventory.failures() {
        let mut row: [String; 22] = Default::default();
        (row[2], row[4], row[14]) = ("not scanned".to_owned(), cause.to_owned(), name.to_owned());
        writer.write_record(row.map(defused))?;
    }
    writer.flush()
}

fn row(key: &KeyEntry) -> [String; 22] {
    [
        key.account.map(|account| account.to_string()).unwrap_or_default(),
        key.name.clone(),
        key.severity.to_string(),
        key.status.map_or("", Status::word).to_owned(),
        key.title.clone(),
        verdicts(key).join(" "),
        key.id.clone().unwrap_or_default(),
        key.secret.clone().unwrap_or_default(),
        key.is_proven.to_string(),
        key.first_seen.map(moment).unwrap_or_default(),
        key.last_seen.map(moment).unwrap_or_default(),
        key.days.map(|days| days.to_string()).unwrap_or_default(),
        key.is_current.to_string(),
        key.occurrences.to_string(),
        key.targets.join("\n"),
        key.target_count.to_string(),
        key.places.join("\n"),
        key.people.join("\n"),
        key.owners.join(" "),
        match key.owned_by {
            OwnedBy::CodeOwners => "code owners",
            OwnedBy::LastCommitter => "last committer",
            OwnedBy::Sender => "sender",
            OwnedBy::Nobody => "",
        }
        .to_owned(),
        key.verification.as_ref().map(|answer| answer.status.word().to_owned()).unwrap_or_default(),
        key.verification.as_ref().map(|answer| moment(answer.checked)).unwrap_or_default(),
    ]
}

/// A cell that no spreadsheet takes for a formula.
/// Source: <https://owasp.org/www-community/attacks/CSV_Injection>.
fn defused(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}
