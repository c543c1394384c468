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
    /// The names in the path of the key, as far as they are known.
    key: Vec<String>,
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
        let key = names(&subject.text.replace('\\', "/"));
        let Some(name) = key.last() else { return };
        let commands = self.0.entry(name.clone().into_bytes()).or_default();
        if commands.len() < MAX_COMMANDS {
            let place = format!("{}:{}", finding.path.to_text(), finding.location.start_line);
            let reason = format!("{} So says {place}.", sentence.trim());
            commands.push(Command { key, directory: finding.directory().to_vec(), reason });
        }
    }

    /// The command that uses the private key in the file of a finding.
    fn of(&self, finding: &Finding) -> Option<&Command> {
        let path = finding.path.file();
        let own: Vec<&[u8]> = path.split(|&b| b == b'/').collect();
        self.0.get(*own.last()?)?.iter().find(|command| match command.key.as_slice() {
            // Many files are called `key.pem`: the folder must be the same, too.
            [.., folder, name] => own.ends_with(&[folder.as_bytes(), name.as_bytes()]),
            _ => finding.directory() == command.directory,
        })
    }
}

/// The names in a path, without those that depend on where and by whom it is used: of `~/pki/../a/k.pem`, `a` and `k.pem`.
fn names(path: &str) -> Vec<String> {
    const OPEN: [&str; 7] = ["", ".", "..", "~", "$HOME", "${HOME}", "%USERPROFILE%"];
    let all: Vec<&str> = path.split('/').collect();
    let known = all.iter().rposition(|name| *name == "..").map_or(0, |up| up + 1);
    all[known..].iter().filter(|name| !OPEN.contains(name)).map(|name| (*name).to_owned()).collect()
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
