//! Matches key ids with secrets that are found elsewhere.
//!
//! A match is proven by a signature made with the secret, known from a place where both appear together, or likely: the
//! same profile, name, file history or commit. A likely match is used only if it is unambiguous.

use crate::credential::Fingerprint;
use crate::credential::signature::{self, SignedRequest};
use crate::finding::evidence::Link;
use crate::finding::location::Location;
use crate::finding::{BlobPath, Finding};
use crate::rule::{Finder, Matcher, RuleSet};
use foldhash::{HashMap, HashSet};
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The place where something was found.
type FoundAt = (Arc<BlobPath>, Location);

/// What may prove that an id and a secret belong together: gathered from the findings.
#[derive(Debug, Default)]
struct Clues {
    /// Secret access keys, in clear.
    secrets: BTreeMap<Fingerprint, SecretString>,
    /// Session tokens, by the secret that they stand beside.
    tokens: BTreeMap<Fingerprint, SecretString>,
    /// SES SMTP passwords, in clear.
    smtp_passwords: BTreeMap<Fingerprint, SecretString>,
    /// Signed requests, and where they were found.
    requests: BTreeSet<(Arc<SignedRequest>, FoundAt)>,
}

/// The secrets of a scan, in clear: wiped when this is dropped.
#[derive(Debug, Default)]
pub struct Secrets {
    keys: BTreeMap<Fingerprint, SecretString>,
    tokens: BTreeMap<Fingerprint, SecretString>,
}

impl Secrets {
    /// The secret access key with this fingerprint.
    pub fn key(&self, fingerprint: Fingerprint) -> Option<&SecretString> {
        self.keys.get(&fingerprint)
    }

    /// The session token that stood beside it.
    pub fn token(&self, fingerprint: Fingerprint) -> Option<&SecretString> {
        self.tokens.get(&fingerprint)
    }
}

/// The maximum number of requests that secrets are tried on: the first ones in order.
const MAX_REQUESTS: usize = 20_000;

/// The maximum number of trials, a secret on a request each: a million take some seconds.
const MAX_TRIALS: usize = 1_000_000;

impl Clues {
    /// Takes them out of the findings, in which no secret in clear is left.
    fn take<'a>(findings: impl Iterator<Item = &'a mut Box<Finding>>) -> Self {
        let mut clues = Self::default();
        for finding in findings {
            let place = (finding.path.clone(), finding.location);
            let is_smtp = matches!(finding.rule.matcher, Matcher::Finder(Finder::SesSmtpPassword));
            // To look at a key that is shared with judgements would copy it.
            let has_clue = finding.evidence().is_some_and(|found| found.clear.is_some() || found.request.is_some());
            let Some(key) = has_clue.then(|| finding.key_mut()).flatten() else { continue };
            clues.tokens.extend(key.secret_fingerprint.zip(key.evidence.token.take()));
            let list = if is_smtp { &mut clues.smtp_passwords } else { &mut clues.secrets };
            list.extend(key.secret_fingerprint.zip(key.evidence.clear.take()));
            clues.requests.extend(key.evidence.request.clone().map(|request| (request, place)));
            while clues.requests.len() > MAX_REQUESTS {
                clues.requests.pop_last();
            }
        }
        clues
    }
}

/// Notes at each of the `findings` what belongs to it; they are in the order of the report. What is suppressed may still
/// prove something. Returns the secrets that were in the findings.
pub fn link(findings: &mut [Box<Finding>], suppressed: &mut [Box<Finding>]) -> Secrets {
    let clues = Clues::take(findings.iter_mut().chain(suppressed));
    prove(findings, &clues);
    derive(findings, &clues);
    if findings.iter().any(|finding| finding.is_lone_secret()) {
        link_by_all(findings);
    }
    Secrets { keys: clues.secrets, tokens: clues.tokens }
}

/// Links what is probably of one key.
fn link_by_all(findings: &mut [Box<Finding>]) {
    // Best reason first: a finding that has a partner is not matched again.
    link_same_secret(findings);
    link_by(findings, "same profile", |finding| {
        let owner = finding.owner().filter(|owner| owner.is_profile)?;
        Some((finding.directory().to_vec(), owner.name.clone()))
    });
    link_by(findings, "same file history", |finding| {
        finding.history.as_ref()?;
        Some((finding.path.file().to_vec(), String::new()))
    });
    link_by(findings, "same name, in the same directory", |finding| {
        // Names that say nothing specific, such as AWS_ACCESS_KEY_ID, are everywhere.
        Some((
            finding.directory().to_vec(),
            finding.evidence()?.label.as_deref().filter(|label| label.len() > 2)?.to_owned(),
        ))
    });
    link_by(findings, "introduced in the same commit", |finding| {
        let commit = finding.history.as_ref()?.introduced.listed.first()?;
        Some((commit.oid.to_string().into_bytes(), String::new()))
    });
}

/// Gives lone secrets to those whose they are, now that it is known from elsewhere: to AWS if their id is known, to another
/// store if they stand beside one of its ids. `regrade` is told of each.
pub fn adopt(findings: &mut [Box<Finding>], rules: &RuleSet, mut regrade: impl FnMut(&mut Finding)) {
    let is_of = |finding: &Finding, finder| matches!(finding.rule.matcher, Matcher::Finder(own) if own == finder);
    let of_stores = findings.iter().filter(|finding| is_of(finding, Finder::S3CompatibleKey));
    let of_stores: HashMap<Fingerprint, Option<&'static str>> =
        of_stores.filter_map(|finding| Some((finding.secret_fingerprint()?, finding.key()?.vendor))).collect();
    for finding in findings.iter_mut() {
        let (is_lone, is_linked) = (finding.is_lone_secret(), finding.link().is_some());
        let vendor = finding.secret_fingerprint().filter(|_| is_lone).and_then(|print| of_stores.get(&print));
        let finder = match vendor {
            Some(_) => Finder::S3CompatibleKey,
            None if is_linked && is_of(finding, Finder::SecretKey40) => Finder::SecretAccessKey,
            None => continue,
        };
        let Some(rule) = rules.of_finder(finder) else { continue };
        finding.rule = rule.clone();
        finding.severity = rule.severity;
        if let (Some(Some(vendor)), Some(key)) = (vendor, finding.key_mut()) {
            key.vendor = Some(vendor);
        }
        regrade(finding);
    }
}

fn place_text((path, location): &FoundAt) -> String {
    // Names inside a container are left out: one may contain the secret itself.
    let file = String::from_utf8_lossy(path.file());
    if path.inside().is_empty() { format!("{file}:{}", location.start_line) } else { file.into_owned() }
}

/// Tries the secrets against the signatures.
fn prove(findings: &mut [Box<Finding>], clues: &Clues) {
    if clues.requests.is_empty() || clues.secrets.is_empty() {
        return;
    }
    let mut paired: HashMap<&str, BTreeSet<Fingerprint>> = HashMap::default();
    let mut lone: BTreeSet<Fingerprint> = BTreeSet::new();
    for finding in findings.iter() {
        match (finding.id(), finding.secret_fingerprint()) {
            (Some(id), Some(print)) => _ = paired.entry(&id.text).or_default().insert(print),
            (None, Some(print)) => _ = lone.insert(print),
            _ => {}
        }
    }
    let mut trials = MAX_TRIALS;
    // The first signature that proves each pair of id and secret.
    let mut proofs: BTreeMap<(String, Fingerprint), &FoundAt> = BTreeMap::new();
    for (request, place) in &clues.requests {
        let own = paired.get(request.id.as_str()).into_iter().flatten();
        for print in own.chain(&lone) {
            let pair = (request.id.clone(), *print);
            let Some(secret) = clues.secrets.get(print).filter(|_| trials > 0 && !proofs.contains_key(&pair)) else {
                continue;
            };
            trials -= 1;
            if request.is_by(secret.expose_secret()) {
                proofs.insert(pair, place);
            }
        }
    }
    if proofs.is_empty() {
        return;
    }
    let by_secret: BTreeMap<Fingerprint, (&String, &&FoundAt)> =
        proofs.iter().map(|((id, print), place)| (*print, (id, place))).collect();
    for finding in findings {
        let Some((id, place)) = finding.secret_fingerprint().and_then(|print| by_secret.get(&print)) else { continue };
        let Some(key) = finding.key_mut() else { continue };
        if key.id.as_ref().is_none_or(|own| own.text == **id) {
            let reason = format!("Proven: the signature of {id} at {} was made with this secret.", place_text(place));
            if key.id.is_none() {
                key.link = Some(Arc::new(Link { id: (*id).clone(), reason, is_proven: true }));
            } else {
                key.proof = Some(reason.into());
            }
        }
    }
}

/// Checks whether SMTP passwords were derived from the secrets.
fn derive(findings: &mut [Box<Finding>], clues: &Clues) {
    if clues.secrets.len() * clues.smtp_passwords.len() > MAX_TRIALS / 24 {
        return;
    }
    let mut sources: HashMap<Fingerprint, (Fingerprint, &str)> = HashMap::default();
    for (print, password) in &clues.smtp_passwords {
        let source = clues.secrets.iter().find_map(|(secret_print, secret)| {
            Some((*secret_print, signature::region_of_smtp_password(password.expose_secret(), secret.expose_secret())?))
        });
        sources.extend(source.map(|source| (*print, source)));
    }
    if sources.is_empty() {
        return;
    }
    let is_source = |finding: &Finding| {
        finding.secret_fingerprint().is_some_and(|print| sources.values().any(|(source, _)| *source == print))
    };
    let places: HashMap<Fingerprint, (Option<String>, FoundAt)> = findings
        .iter()
        .rev()
        .filter(|finding| is_source(finding))
        .filter_map(|finding| {
            let id = finding.id().map(|id| id.text.to_string());
            Some((finding.secret_fingerprint()?, (id, (finding.path.clone(), finding.location))))
        })
        .collect();
    for finding in findings {
        let Some((source, region)) = finding.secret_fingerprint().and_then(|print| sources.get(&print)) else {
            continue;
        };
        let Some((id, place)) = places.get(source) else { continue };
        let reason = format!("Proven: it was derived from the secret at {} for region {region}.", place_text(place));
        let Some(key) = finding.key_mut() else { continue };
        match id {
            Some(id) if key.id.is_none() => {
                key.link = Some(Arc::new(Link { id: id.clone(), reason, is_proven: true }));
            }
            _ => key.proof = Some(reason.into()),
        }
    }
}

/// Links secrets that appear next to their id elsewhere.
fn link_same_secret(findings: &mut [Box<Finding>]) {
    let mut ids: HashMap<Fingerprint, (String, FoundAt)> = HashMap::default();
    for finding in findings.iter().filter(|finding| !finding.is_of_others()) {
        if let (Some(id), Some(print)) = (finding.id(), finding.secret_fingerprint()) {
            ids.entry(print).or_insert_with(|| (id.text.to_string(), (finding.path.clone(), finding.location)));
        }
    }
    for finding in findings.iter_mut().filter(|finding| finding.is_lone_secret()) {
        if let Some((id, place)) = finding.secret_fingerprint().and_then(|print| ids.get(&print)) {
            let reason = format!("Its id is {id}: both appear together at {}.", place_text(place));
            if let Some(key) = finding.key_mut() {
                key.link = Some(Arc::new(Link { id: id.clone(), reason, is_proven: false }));
            }
        }
    }
}

/// True for a secret that may belong to any id: none is known, and it is not said to be another vendor's.
fn is_of_unknown_id(finding: &Finding) -> bool {
    finding.is_lone_secret() && finding.key().is_some_and(|key| key.vendor.is_none())
}

/// Links lone ids and secrets with the same grouping key, if there is one of each.
fn link_by(findings: &mut [Box<Finding>], how: &str, key: impl Fn(&Finding) -> Option<(Vec<u8>, String)>) {
    let of_secret = findings.iter().filter(|finding| finding.secret_fingerprint().is_some());
    let with_secret: HashSet<String> = of_secret.map(|finding| finding.credential().into_owned()).collect();
    type Group = (BTreeMap<String, FoundAt>, BTreeSet<Fingerprint>);
    let mut groups: HashMap<(Vec<u8>, String), Group> = HashMap::default();
    for finding in findings.iter() {
        let is_long_term = finding.id().is_some_and(|id| id.text.starts_with("AKIA"));
        let is_lone_id =
            finding.is_lone_id() && is_long_term && finding.id().is_some_and(|id| !with_secret.contains(&*id.text));
        if !is_lone_id && !is_of_unknown_id(finding) {
            continue;
        }
        let Some(key) = key(finding) else { continue };
        let (ids, secrets) = groups.entry(key).or_default();
        match finding.id() {
            Some(id) => _ = ids.entry(id.text.to_string()).or_insert_with(|| (finding.path.clone(), finding.location)),
            None => secrets.extend(finding.secret_fingerprint()),
        }
    }
    for finding in findings.iter_mut().filter(|finding| is_of_unknown_id(finding)) {
        let group = key(finding).and_then(|key| groups.get(&key));
        let Some((ids, _)) = group.filter(|(ids, secrets)| ids.len() == 1 && secrets.len() == 1) else { continue };
        if let Some((id, place)) = ids.first_key_value() {
            let reason = format!("Its id is probably {id} at {} ({how}).", place_text(place));
            if let Some(key) = finding.key_mut() {
                key.link = Some(Arc::new(Link { id: id.clone(), reason, is_proven: false }));
            }
        }
    }
}
