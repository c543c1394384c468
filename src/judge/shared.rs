//! Judges whether a key is too widely shared: across repositories, authors or files, or outside the organisation.

use super::inventory::Credential;
use super::{Assessment, list};
use crate::config::Config;
use crate::finding::Finding;
use crate::finding::history::{Commit, Person};
use crate::finding::message::{Medium, Message, Party};
use crate::finding::object::Oid;
use crate::rule::{Finder, Grade};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

pub(super) fn judge<'a>(key: &Credential<'a>, config: &Config) -> Vec<Assessment<'a>> {
    [outside(key, config), inside(key, config), copied(key)].into_iter().flatten().collect()
}

/// In a conversation with outsiders, or committed by one.
fn outside<'a>(key: &Credential<'a>, config: &Config) -> Option<Assessment<'a>> {
    let removals = removals(key);
    let mut reasons = Vec::new();
    let mut findings: Vec<&Finding> = Vec::new();
    for finding in &key.occurrences {
        let chat = finding.message.as_deref().filter(|message| matches!(message.medium, Medium::Chat | Medium::Ticket));
        let channel = chat.and_then(|message| message.channel.as_ref()).filter(|channel| channel.is_external);
        let is_outside = |party: &&Party| {
            let has_address = party.address.contains('@');
            has_address && !config.org_domains.is_empty() && !config.is_inside(&party.address)
        };
        // Guests may be people of the organisation, of another part of it.
        let is_own = |party: &&Party| party.address.contains('@') && config.is_inside(&party.address);
        let mut outsiders: BTreeSet<&Party> = chat.map(|message| outsiders(message, is_outside)).unwrap_or_default();
        outsiders.retain(|party| !is_own(party));
        let committer = strangers(finding, config, &removals).into_iter().next();
        let mut own = Vec::new();
        if let Some(channel) = channel {
            own.push(format!("It is in {}, which is shared with other organisations.", channel.name));
        }
        if !outsiders.is_empty() {
            let names: Vec<_> = outsiders.iter().map(|party| party.to_text()).collect();
            let (who, verb) = match names.len() {
                1 => (names.concat(), "takes part in the conversation, is"),
                _ => (list(&names, 5), "take part in the conversation, are"),
            };
            own.push(format!("{who}, who {verb} outside the organisation."));
        }
        if let (Some(person), true) = (committer, own.is_empty()) {
            own.push(format!(
                "It was committed by {} <{}>, who is outside the organisation.",
                person.name, person.email
            ));
        }
        if own.is_empty() {
            continue;
        }
        own.retain(|reason| !reasons.contains(reason));
        reasons.extend(own);
        reasons.truncate(5);
        findings.push(finding);
    }
    let grade = if findings.iter().any(|finding| finding.secret().is_some()) { Grade::Critical } else { Grade::Medium };
    (!findings.is_empty()).then_some(Assessment { finder: Finder::SharedKey, grade, reasons, findings })
}

/// People from outside in a conversation: by their addresses, or because the export says so.
fn outsiders<'a>(message: &'a Message, is_outside: impl Fn(&&'a Party) -> bool) -> BTreeSet<&'a Party> {
    let author = message.from.iter().take(usize::from(message.is_from_outside));
    let by_address = message.from.iter().chain(&message.to).chain(&message.cc).filter(is_outside);
    author.chain(&message.guests).chain(by_address).collect()
}

/// People outside the organisation who introduced a finding.
fn strangers<'a>(finding: &'a Finding, config: &Config, removals: &BTreeSet<Oid>) -> Vec<&'a Person> {
    if config.org_domains.is_empty() {
        return vec![];
    }
    let commits = introductions(finding, removals);
    let people = commits.flat_map(|commit| [&commit.author, &commit.committer].into_iter().chain(&commit.co_authors));
    people.filter(|person| !config.is_inside(&person.email) && !is_nobody(person)).collect()
}

/// The commits that took the key from some place.
fn removals(key: &Credential) -> BTreeSet<Oid> {
    let histories = key.occurrences.iter().filter_map(|finding| finding.history.as_deref());
    histories.flat_map(|history| &history.removed.listed).map(|commit| commit.oid).collect()
}

/// The commits that brought a finding in: not those that move it, join branches, or undo a removal.
fn introductions<'a>(finding: &'a Finding, removals: &BTreeSet<Oid>) -> impl Iterator<Item = &'a Commit> {
    let commits = finding.history.iter().flat_map(|history| &history.introduced.listed).map(|commit| &**commit);
    commits.filter(|commit| {
        !commit.is_merge && !commit.subject.starts_with("Revert \"") && !removals.contains(&commit.oid)
    })
}

/// True for programs and for addresses that do not show where a person belongs: those that code hosts assign, and names
/// of machines.
fn is_nobody(person: &Person) -> bool {
    let address = person.email.to_ascii_lowercase();
    let name = person.name.to_ascii_lowercase();
    let Some((local, domain)) = address.rsplit_once('@') else { return true };
    let is_machine = !domain.contains('.')
        || [".local", ".localdomain", ".internal", ".lan", ".home", ".test", ".invalid"]
            .iter()
            .any(|end| domain.ends_with(end));
    is_machine || is_assigned(domain) || is_bot(&name, local)
}

/// True for programs that commit, or that commits thank: `dependabot`, `noreply@…` of a code host or an assistant.
fn is_bot(name: &str, address: &str) -> bool {
    const NO_REPLY: [&str; 4] = ["noreply", "no-reply", "donotreply", "do-not-reply"];
    const BOTS: [&str; 6] = ["[bot]", "dependabot", "renovate", "greenkeeper", "github-actions", "web-flow"];
    let local = address.split('@').next().unwrap_or_default();
    NO_REPLY.contains(&local) || BOTS.iter().any(|bot| name.contains(bot) || address.contains(bot))
}

/// True for an address that a code host assigns: `12345+ann@users.noreply.github.com`.
fn is_assigned(domain: &str) -> bool {
    domain.contains("noreply")
}

/// Mail addresses of those who brought the key in, each person once: an address that a code host assigned is of the person
/// of the same name.
fn people(key: &Credential) -> Vec<String> {
    let removals = removals(key);
    let findings = key.occurrences.iter().filter(|finding| finding.secret().is_some());
    let commits = findings.flat_map(|finding| introductions(finding, &removals));
    let all: Vec<(String, String)> = commits
        .flat_map(|commit| std::iter::once(&commit.author).chain(&commit.co_authors))
        .map(|person| (person.name.to_lowercase(), person.email.to_lowercase()))
        .filter(|(name, email)| !email.is_empty() && !is_bot(name, email))
        .collect();
    let is_assigned = |email: &str| email.rsplit_once('@').is_some_and(|(_, domain)| is_assigned(domain));
    let known: HashSet<&str> = all.iter().filter(|(_, email)| !is_assigned(email)).map(|(name, _)| &**name).collect();
    let own = all.iter().filter(|(name, email)| !is_assigned(email) || !known.contains(&**name));
    own.map(|(_, email)| email.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// In several repositories, introduced by several authors, or used by several profiles or users.
fn inside<'a>(key: &Credential<'a>, config: &Config) -> Option<Assessment<'a>> {
    if !key.has_secret() {
        return None;
    }
    let is_trusted = |name: &str| config.trusted_repos.iter().any(|part| name.contains(part.as_str()));
    let of_secret = || key.occurrences.iter().filter(|finding| finding.secret().is_some());
    // Clones and worktrees of one repository are one.
    let mut repositories: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
    for evidence in of_secret().filter_map(|finding| finding.evidence()) {
        let Some(name) = evidence.repository.clone().filter(|name| !is_trusted(name)) else { continue };
        repositories.entry(evidence.origin.clone().unwrap_or_else(|| name.clone())).or_insert(name);
    }
    let mut names: Vec<String> = repositories.values().map(ToString::to_string).collect();
    names.sort();
    let people = people(key);
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

/// In several files of one repository, or of what was scanned outside of one.
fn copied<'a>(key: &Credential<'a>) -> Option<Assessment<'a>> {
    let mut places: BTreeMap<Option<&str>, BTreeSet<&[u8]>> = BTreeMap::new();
    for finding in key.occurrences.iter().filter(|finding| finding.secret().is_some()) {
        if finding.history.as_ref().is_none_or(|history| !history.is_past()) {
            let repository = finding.evidence().and_then(|found| found.repository.as_deref());
            places.entry(repository).or_default().insert(finding.path.file());
        }
    }
    let (name, files) = places.iter().max_by_key(|(_, files)| files.len()).filter(|(_, files)| files.len() > 1)?;
    let shown: Vec<String> = files.iter().map(|file| String::from_utf8_lossy(file).into_owned()).collect();
    let of_name = name.map_or_else(String::new, |name| format!(" of {name}"));
    let reasons = vec![format!("It is in {} files{of_name}: {}.", files.len(), list(&shown, 3))];
    let findings =
        key.occurrences.iter().filter(|finding| finding.secret().is_some() && files.contains(finding.path.file()));
    Some(Assessment { finder: Finder::CopiedKey, grade: Grade::Low, reasons, findings: findings.copied().collect() })
}
