//! A finding is one occurrence of what a rule describes: where it stands, what may be shown of it, what speaks against it.

pub mod excerpt;
pub mod history;
pub mod location;
pub mod mask;

use crate::credential::{Account, AccountId, Fingerprint, account};
use crate::detect::comment::MARKERS;
use crate::detect::decode::Encoding;
use crate::detect::dummy::Dummy;
use crate::detect::key_id::ID_LEN;
use crate::detect::{Candidate, Detection, Part};
use crate::judge::owner::Owner;
use crate::judge::partner::Partner;
use crate::judge::root::Sign;
use crate::judge::{Evidence, Grade};
use crate::rule::{Finder, Matcher, Rule, Severity};
use crate::source::BlobPath;
use crate::source::message::Message;
use excerpt::{Excerpt, Excerpts};
use history::History;
use location::{Location, Locations};
use secrecy::{ExposeSecret, SecretString};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

/// One occurrence.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule it is a finding of.
    pub rule: Arc<Rule>,
    /// The rule's severity, or the finder's grade of this case.
    pub severity: Severity,
    /// The file, or what the history holds beside files, as in `commit 0123…`.
    pub path: Arc<BlobPath>,
    /// The place to go to: of the id if there is one.
    pub location: Location,
    /// The part that may be shown: a key id, a user name.
    pub id: Option<Value>,
    /// The part that may not: masked, unless the run was told to show secrets.
    pub secret: Option<Value>,
    /// The account it belongs to, if the text tells.
    pub account: Option<AccountId>,
    /// Names the value, wherever it stands.
    pub fingerprint: Fingerprint,
    /// The lines it stands on, masked.
    pub excerpts: Box<[Excerpt]>,
    /// A sentence on what allowed it until some day.
    pub expired: Option<Arc<str>>,
    /// Why it does not count, if it does not.
    pub suppression: Option<Box<Suppression>>,
    /// Where the same value stands in the file itself, if the finding is in a container that can be read as it is.
    pub outer: Option<Box<Location>>,
    /// The message it is in, if it is in one. Secrets in its texts are masked, too.
    pub message: Option<Arc<Message>>,
    /// What here says that it is a root user's key, the strongest first.
    pub root_signs: Vec<Sign>,
    /// Names the secret alone, as it is named in company of any id.
    pub secret_print: Option<Fingerprint>,
    /// The profile or user that the file gives it to.
    pub owner: Option<Arc<Owner>>,
    /// What the name of a lone id or secret says besides that it is one: `prod`. Empty if nothing.
    pub label: Option<Box<str>>,
    /// The id of a secret that stands elsewhere.
    pub partner: Option<Arc<Partner>>,
    /// A sentence that proves that id and secret belong together.
    pub proof: Option<Arc<str>>,
    /// What was seen, as a sentence, if it is not a key; then `id` tells who or what it is about.
    pub note: Option<String>,
    /// Set if this is not an occurrence, but what several of them mean together.
    pub judgement: Option<Arc<Judgement>>,
    /// True if the key belongs to a service that plants keys to be found.
    pub is_canary: bool,
    /// What the repository's history tells of it, if that was scanned and holds it.
    pub history: Option<Arc<History>>,
}

/// What the occurrences of a key mean together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// How bad it is.
    pub grade: Grade,
    /// Sentences.
    pub reasons: Vec<String>,
    /// The places it stands on, the most telling first.
    pub evidence: Vec<Evidence>,
}

/// A shown value and where it stands.
#[derive(Debug, Clone)]
pub struct Value {
    /// The value as it may be shown.
    pub text: Cow<'static, str>,
    /// Its place.
    pub location: Location,
    /// What was undone to read it, outermost first.
    pub encodings: Box<[Encoding]>,
}

/// Why a finding does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suppression {
    /// It is nobody's key.
    Dummy(Dummy),
    /// The configuration allows it.
    Allowlist {
        /// File and line of the configuration.
        place: String,
        /// What it gives as a reason; empty if nothing.
        reason: String,
    },
    /// It was accepted.
    Baseline {
        /// File and line of the entry.
        place: String,
        /// What it gives as a reason; empty if nothing.
        reason: String,
    },
    /// A comment in the file allows it.
    Inline {
        /// 1-based line of the comment.
        line: u32,
        /// What the comment gives as a reason; empty if nothing.
        reason: String,
    },
}

impl Finding {
    /// The id, then the secret.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.id.iter().chain(&self.secret)
    }

    /// True if it is of a comment and not of a key.
    pub fn is_of_comment(&self) -> bool {
        matches!(self.rule.matcher, Matcher::Finder(Finder::UnusedAllow))
    }

    /// True if it is of a key, or what several findings of one mean; false if it only tells of the use of keys.
    pub fn is_of_key(&self) -> bool {
        !self.is_of_comment() && self.note.is_none()
    }

    /// Findings of one key have the same name: its id, else the fingerprint of the secret. What is of no key has a name of
    /// its own.
    pub fn credential(&self) -> Cow<'_, str> {
        match (&self.id, &self.partner) {
            (Some(id), _) if self.note.is_some() => format!("{}: {}", self.rule.id, id.text).into(),
            (Some(id), _) => Cow::Borrowed(&id.text),
            (None, Some(partner)) => partner.id.as_str().into(),
            (None, None) => self.fingerprint.to_string().into(),
        }
    }

    /// The id of the key that it is of, as far as it is known.
    pub fn key_id(&self) -> Option<&str> {
        let own = self.id.as_ref().filter(|id| id.text.len() == ID_LEN && self.note.is_none()).map(|id| &*id.text);
        own.or_else(|| self.partner.as_ref().map(|partner| partner.id.as_str()))
    }

    /// True if it is of a key's id alone.
    pub fn is_lone_id(&self) -> bool {
        matches!(self.rule.matcher, Matcher::Finder(Finder::AccessKeyId | Finder::TemporaryKey))
            && self.secret.is_none()
    }

    /// True if it is of a secret access key alone, whose id is not known.
    pub fn is_lone_secret(&self) -> bool {
        matches!(self.rule.matcher, Matcher::Finder(Finder::SecretAccessKey))
            && self.id.is_none()
            && self.partner.is_none()
    }

    /// A total order, so that reports do not depend on which thread was first: path, place, rule.
    pub fn order(&self, other: &Self) -> Ordering {
        let place = |finding: &Self| (finding.location, finding.values().last().map(|value| value.location));
        // Findings of one file share its path.
        let paths = if Arc::ptr_eq(&self.path, &other.path) { Ordering::Equal } else { self.path.cmp(&other.path) };
        paths
            .then_with(|| place(self).cmp(&place(other)))
            .then_with(|| self.rule.id.cmp(&other.rule.id))
            .then_with(|| self.fingerprint.cmp(&other.fingerprint))
    }
}

/// Findings of what was detected in one blob, in the order of [`Detection::candidates`].
pub fn findings(
    path: &Arc<BlobPath>,
    detection: &Detection,
    excerpts: &Excerpts,
    locations: &Locations,
) -> Vec<Finding> {
    let finding = |candidate: &Candidate| {
        // What is no id was made of the scanned text.
        let shown = |text: &String| if candidate.note.is_some() { mask::hide_long_words(text) } else { text.clone() };
        let id = candidate.id.as_ref().map(|part| value(part, locations, shown(&part.value).into()));
        let secret = candidate.secret.as_ref().map(|part| {
            let clear = part.value.expose_secret();
            let shown = if excerpts.shows_secrets() { clear.to_owned().into() } else { mask::mask(clear) };
            value(part, locations, shown)
        });
        let first = id.iter().chain(&secret).next().map(|value| value.location);
        let account = account_of(candidate);
        Finding {
            rule: candidate.rule.clone(),
            severity: candidate.severity,
            path: path.clone(),
            location: first.unwrap_or_else(|| locations.of(&candidate.primary())),
            excerpts: excerpts.of(candidate),
            id,
            secret,
            account,
            fingerprint: fingerprint(candidate),
            expired: None,
            suppression: candidate.dummy.map(|dummy| Box::new(Suppression::Dummy(dummy))),
            outer: None,
            message: None,
            root_signs: Vec::new(),
            secret_print: candidate.secret.as_ref().map(|part| Fingerprint::of(None, Some(part.value.expose_secret()))),
            owner: None,
            label: None,
            partner: None,
            proof: None,
            note: candidate.note.as_deref().map(mask::hide_long_words),
            judgement: None,
            is_canary: account.is_some_and(AccountId::is_canary),
            history: None,
        }
    };
    detection.candidates.iter().map(finding).collect()
}

/// The finding that a comment, whose marker is at the raw bytes `marker`, allows nothing.
pub fn unused_allow(
    rule: &Arc<Rule>,
    path: &Arc<BlobPath>,
    marker: &Range<usize>,
    excerpts: &Excerpts,
    locations: &Locations,
) -> Finding {
    unused(rule, path, locations.of(marker), excerpts.of_span(marker))
}

/// The finding that something which allows findings, at `location`, allows nothing.
pub fn unused(rule: &Arc<Rule>, path: &Arc<BlobPath>, location: Location, excerpts: Box<[Excerpt]>) -> Finding {
    Finding {
        rule: rule.clone(),
        severity: rule.severity,
        path: path.clone(),
        location,
        id: None,
        secret: None,
        account: None,
        // All of them are one thing to clean up.
        fingerprint: Fingerprint::of(None, Some(MARKERS[0])),
        excerpts,
        expired: None,
        suppression: None,
        outer: None,
        message: None,
        root_signs: Vec::new(),
        secret_print: None,
        owner: None,
        label: None,
        partner: None,
        proof: None,
        note: None,
        judgement: None,
        is_canary: false,
        history: None,
    }
}

/// The name of what was found.
pub fn fingerprint(candidate: &Candidate) -> Fingerprint {
    let id = candidate.id.as_ref().map(|part| part.value.as_str());
    Fingerprint::of(id, candidate.secret.as_ref().map(|part| part.value.expose_secret()))
}

fn value<T>(part: &Part<T>, locations: &Locations, text: Cow<'static, str>) -> Value {
    Value { text, location: locations.of(&part.span), encodings: part.encodings.as_slice().into() }
}

fn account_of(candidate: &Candidate) -> Option<AccountId> {
    let of_id = candidate.id.as_ref().and_then(|part| Account::of_id(&part.value).known());
    let of_secret = |part: &Part<SecretString>| account::of_token(part.value.expose_secret());
    candidate.account.or(of_id).or_else(|| candidate.secret.as_ref().and_then(of_secret))
}
