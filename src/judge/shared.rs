//! Judges whether a key is too widely shared: across repositories, authors or files, or outside the organisation.

use super::inventory::Credential;
use super::{Assessment, list};
use crate::config::Config;
use crate::finding::Finding;
use crate::finding::history::Person;
use crate::finding::message::Medium;
use crate::rule::{Finder, Grade};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) fn judge<'a>(key: &Credential<'a>, config: &Config) -> Vec<Assessment<'a>> {
    let mut repositories: BTreeMap<Arc<str>, BTreeSet<&[u8]>> = BTreeMap::new();
    for finding in key.occurrences.iter().filter(|finding| finding.secret().is_some()) {
        let is_now = finding.history.as_ref().is_none_or(|history| !history.is_past());
        if let Some(repository) = finding.evidence().and_then(|found| found.repository.clone()) {
            let files = repositories.entry(repository).or_default();
            if is_now {
                files.insert(finding.path.file());
            }
        }
    }
    [outside(key, config), inside(key, config, &repositories), copied(key, &repositories)]
        .into_iter()
        .flatten()
        .collect()
}

/// In a conversation with outsiders, or committed by one.
fn outside<'a>(key: &Credential<'a>, config: &Config) -> Option<Assessment<'a>> {
    let mut reasons = Vec::new();
    let mut findings: Vec<&Finding> = Vec::new();
    for finding in &key.occurrences {
        let chat = finding.message.as_deref().filter(|message| matches!(message.medium, Medium::Chat | Medium::Ticket));
        let channel = chat.and_then(|message| message.channel.as_ref()).filter(|channel| channel.is_external);
        let guest = chat.filter(|message| message.is_from_outside).and_then(|message| message.from.first());
        let from_outside = |party: &&crate::finding::message::Party| {
            !config.org_domains.is_empty() && party.address.contains('@') && !config.is_inside(&party.address)
        };
        let stranger = chat.and_then(|message| message.from.iter().chain(&message.to).find(from_outside));
        let committer = strangers(finding, config).into_iter().next();
        let reason = if let Some(channel) = channel {
            format!("It is in {}, which is shared with other organisations.", channel.name)
        } else if let Some(guest) = guest.or(stranger) {
            format!("{}, who takes part in the conversation, is outside the organisation.", guest.to_text())
        } else if let Some(person) = committer {
            format!("It was committed by {} <{}>, who is outside the organisation.", person.name, person.email)
        } else {
            continue;
        };
        if !reasons.contains(&reason) && reasons.len() < 5 {
            reasons.push(reason);
        }
        findings.push(finding);
    }
    let grade = if findings.iter().any(|finding| finding.secret().is_some()) { Grade::Critical } else { Grade::Medium };
    (!findings.is_empty()).then_some(Assessment { finder: Finder::SharedKey, grade, reasons, findings })
}

/// People outside the organisation who introduced a finding.
fn strangers<'a>(finding: &'a Finding, config: &Config) -> Vec<&'a Person> {
    if config.org_domains.is_empty() {
        return vec![];
    }
    let people = authors(finding).filter(|person| person.email.contains('@'));
    people.filter(|person| !config.is_inside(&person.email) && !is_a_machine(&person.email)).collect()
}

/// True for the private addresses that code hosts assign: they do not show where a person belongs.
fn is_a_machine(address: &str) -> bool {
    address.ends_with("noreply.github.com") || address.ends_with("noreply.gitlab.com")
}

fn authors(finding: &Finding) -> impl Iterator<Item = &Person> {
    let history = finding.history.as_deref();
    let commits = history.into_iter().flat_map(|history| &history.introduced.listed);
    commits.flat_map(|commit| [&commit.author, &commit.committer])
}

/// In several repositories, introduced by several authors, or used by several profiles or users.
fn inside<'a>(
    key: &Credential<'a>,
    config: &Config,
    repositories: &BTreeMap<Arc<str>, BTreeSet<&[u8]>>,
) -> Option<Assessment<'a>> {
    if !key.has_secret() {
        return None;
    }
    let is_trusted = |name: &str| config.trusted_repos.iter().any(|part| name.contains(part.as_str()));
    let names: Vec<String> = repositories.keys().filter(|name| !is_trusted(name)).map(ToString::to_string).collect();
    let of_secret = || key.occurrences.iter().filter(|finding| finding.secret().is_some());
    let people: BTreeSet<String> = of_secret()
        .filter_map(|finding| finding.history.as_deref())
        .flat_map(|history| &history.introduced.listed)
        .map(|commit| commit.author.email.to_ascii_lowercase())
        .filter(|email| !email.is_empty())
        .collect();
    let people: Vec<String> = people.into_iter().collect();
    let mut reasons = Vec::new();
    if names.len() > 1 {
        reasons.push(format!("It is in {} repositories: {}.", names.len(), list(&names, 3)));
    }
    if people.len() > 1 {
        reasons.push(format!("It was introduced by {} authors: {}.", people.len(), list(&people, 3)));
    }
    let owners: BTreeSet<(bool, String)> =
        of_secret().filter_map(|finding| finding.owner()).map(|owner| (owner.is_profile, owner.name.clone())).collect();
    for (is_profile, noun) in [(true, "profiles"), (false, "users")] {
        let names: Vec<String> =
            owners.iter().filter(|owner| owner.0 == is_profile).map(|owner| owner.1.clone()).collect();
        if names.len() > 1 {
            reasons.push(format!("It is used by {} {noun}: {}.", names.len(), list(&names, 3)));
        }
    }
    let grade = if names.len().max(people.len()).max(owners.len()) > 2 { Grade::High } else { Grade::Medium };
    let findings = of_secret().copied().collect();
    (!reasons.is_empty()).then_some(Assessment { finder: Finder::SharedKey, grade, reasons, findings })
}

/// In several files of one repository.
fn copied<'a>(key: &Credential<'a>, repositories: &BTreeMap<Arc<str>, BTreeSet<&[u8]>>) -> Option<Assessment<'a>> {
    let (name, files) =
        repositories.iter().max_by_key(|(_, files)| files.len()).filter(|(_, files)| files.len() > 1)?;
    let shown: Vec<String> = files.iter().map(|file| String::from_utf8_lossy(file).into_owned()).collect();
    let reasons = vec![format!("It is in {} files of {name}: {}.", files.len(), list(&shown, 3))];
    let findings =
        key.occurrences.iter().filter(|finding| finding.secret().is_some() && files.contains(finding.path.file()));
    Some(Assessment { finder: Finder::CopiedKey, grade: Grade::Low, reasons, findings: findings.copied().collect() })
}
