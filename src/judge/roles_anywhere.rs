//! Judges whether a private key is the one with which IAM Roles Anywhere hands out credentials.

use super::Assessment;
use super::inventory::Credential;
use crate::finding::{Finding, Kind};
use crate::rule::{Finder, Grade, Matcher};
use std::collections::BTreeMap;

/// What commands say of private keys: by the name of the file.
#[derive(Debug, Default)]
pub(super) struct Commands(BTreeMap<Vec<u8>, Vec<Command>>);

#[derive(Debug)]
struct Command {
    /// The path of the key as it is written.
    key: Vec<u8>,
    /// The directory of the file that holds the command.
    directory: Vec<u8>,
    /// What it says, and where.
    reason: String,
}

/// The maximum number of commands that name a file of the same name.
const MAX_COMMANDS: usize = 100;

impl Commands {
    /// Adds what a finding says.
    pub fn add(&mut self, finding: &Finding) {
        let is_command = matches!(finding.rule.matcher, Matcher::Finder(Finder::RolesAnywhere));
        let Kind::Observation { subject, sentence, .. } = &finding.kind else { return };
        if !is_command {
            return;
        }
        let key = subject.text.replace('\\', "/").into_bytes();
        let commands = self.0.entry(last_name(&key).to_vec()).or_default();
        if commands.len() < MAX_COMMANDS {
            let place = format!("{}:{}", finding.path.to_text(), finding.location.start_line);
            let reason = format!("{} So says {place}.", sentence.trim());
            commands.push(Command { key, directory: finding.directory().to_vec(), reason });
        }
    }

    /// The command that uses the private key in the file of a finding.
    fn of(&self, finding: &Finding) -> Option<&Command> {
        let path = finding.path.file();
        self.0.get(last_name(path))?.iter().find(|command| {
            // Many files are called `key.pem`: the folder must be the same, too.
            let end = with_folder(&command.key);
            let is_written_so = end.contains(&b'/') && path.ends_with(end);
            is_written_so || !end.contains(&b'/') && finding.directory() == command.directory
        })
    }
}

fn last_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&b| b == b'/').next().unwrap_or(path)
}

/// The last two names of a path.
fn with_folder(path: &[u8]) -> &[u8] {
    let mut slashes = memchr::memrchr_iter(b'/', path);
    slashes.nth(1).map_or(path, |slash| &path[slash + 1..])
}

/// Judges a key by the commands that use it.
pub(super) fn judge<'a>(key: &Credential<'a>, commands: &Commands) -> Option<Assessment<'a>> {
    let is_private = |finding: &&&Finding| finding.rule.id.as_str().contains("private-key");
    let mut found = Vec::new();
    let mut reasons = Vec::new();
    for finding in key.occurrences.iter().filter(is_private) {
        if let Some(command) = commands.of(finding) {
            found.push(*finding);
            if !reasons.contains(&command.reason) {
                reasons.push(command.reason.clone());
            }
        }
    }
    (!found.is_empty()).then_some(Assessment {
        finder: Finder::RolesAnywhereKey,
        grade: Grade::High,
        reasons,
        findings: found,
    })
}
