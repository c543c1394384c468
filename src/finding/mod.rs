//! A finding: what was found, where, and what is known of it. Data only; what it needs to be judged is in it.

mod encoding;
pub mod evidence;
mod excerpt;
pub mod history;
pub mod limited;
pub mod location;
pub mod message;
pub mod object;
pub mod path;
mod suppression;
pub mod verification;

use crate::credential::{AccountId, Fingerprint};
use crate::rule::{AWS, Finder, Grade, Matcher, Rule, Severity};
use crate::text::alphabet::ID_LEN;
pub use encoding::Encoding;
use evidence::{Evidence, Link, Owner};
pub use excerpt::Excerpt;
use history::History;
use location::Location;
use message::Message;
pub use path::BlobPath;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;
pub use suppression::{Dummy, Suppression};
use verification::{KeyStatus, Verification};

/// One result of a scan. What is shared by several findings is shared in memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Finding {
    /// The rule that it falls under.
    pub rule: Arc<Rule>,
    /// The severity of this finding: the rule's own, unless the case or the configuration says otherwise.
    pub severity: Severity,
    /// The file, or the commit or tag in whose text it was found (`commit 0123…`).
    pub path: Arc<BlobPath>,
    /// The place to go to: that of the key id if there is one.
    pub location: Location,
    /// The same value's place in the file itself, if the finding is in a container that can be read as it is.
    pub outer: Option<Box<Location>>,
    /// Identifies the value, wherever it occurs.
    pub fingerprint: Fingerprint,
    /// The account that it belongs to, if known.
    pub account: Option<AccountId>,
    /// True if the account belongs to a service that plants keys to be found, or is configured as one.
    pub is_canary: bool,
    /// The lines around it, with secrets masked.
    pub excerpts: Arc<[Excerpt]>,
    /// The message that it is in, if any. Secrets in its texts are masked, too.
    pub message: Option<Arc<Message>>,
    /// What the repository's history says of it, if that was scanned.
    pub history: Option<Arc<History>>,
    /// A sentence about an allow that has expired.
    pub expired: Option<Arc<str>>,
    /// Why it does not count, if it does not.
    pub suppression: Option<Box<Suppression>>,
    /// What it is.
    pub kind: Kind,
}

/// When something holds, in seconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// The first moment; `None` if it always did.
    pub from: Option<i64>,
    /// The moment at which it ends; `None` if it never does.
    pub until: Option<i64>,
}

impl Times {
    /// Always.
    pub const ALL: Self = Self { from: None, until: None };

    /// From a moment on.
    pub fn from(moment: i64) -> Self {
        Self { from: Some(moment), until: None }
    }

    /// Before a moment.
    pub fn until(moment: i64) -> Self {
        Self { from: None, until: Some(moment) }
    }

    /// True if a moment is among them; of an unknown moment, if all are.
    pub fn contain(self, moment: Option<i64>) -> bool {
        match moment {
            Some(moment) => {
                self.from.is_none_or(|from| from <= moment) && self.until.is_none_or(|until| moment < until)
            }
            None => self == Self::ALL,
        }
    }

    /// The moments that are in both.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        let until = self.until.into_iter().chain(other.until).min();
        Self { from: self.from.max(other.from), until }
    }
}

/// What a finding is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Kind {
    /// An occurrence of a key, or of a part of one.
    Key(Arc<Key>),
    /// Evidence about keys.
    Observation {
        /// Who or what it is about.
        subject: Value,
        /// The profile it is about.
        profile: Option<Box<str>>,
        /// What was seen, as a sentence.
        sentence: Box<str>,
        /// When that holds.
        times: Times,
    },
    /// What the occurrences of one key mean together.
    Judgement(Box<Judgement>),
    /// A comment or an entry of the configuration that allows nothing.
    UnusedAllow {
        /// What is probably wrong with it, as a sentence.
        hint: Option<Arc<str>>,
    },
}

/// A key, as far as it is known from one place.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Key {
    /// The part that may be shown.
    pub id: Option<Value>,
    /// The part that may not: masked, unless the scan was told to show secrets.
    pub secret: Option<Value>,
    /// Identifies the secret alone, whatever id stands beside it.
    pub secret_fingerprint: Option<Fingerprint>,
    /// The id that belongs to a secret, if it was found elsewhere.
    pub link: Option<Arc<Link>>,
    /// The vendor, if the text names one other than AWS.
    pub vendor: Option<&'static str>,
    /// When it stops working, in seconds since 1970, if the text tells.
    pub expires: Option<i64>,
    /// True if id and secret probably belong together, but another id or secret is about as near.
    pub is_doubtful: bool,
    /// The proof that id and secret belong together, as a sentence.
    pub proof: Option<Arc<str>>,
    /// What the service answered that it belongs to, if that was asked.
    pub verification: Option<Arc<Verification>>,
    /// What judgements are made from.
    pub evidence: Evidence,
}

/// A judgement about all occurrences of a key together.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Judgement {
    /// How bad it is.
    pub grade: Grade,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// The occurrences it is based on, the most telling first.
    pub occurrences: Vec<Occurrence>,
    /// The key, as the most telling occurrence has it.
    pub key: Arc<Key>,
}

/// Where a key occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Occurrence {
    /// The file, and the part of it if it is a container.
    pub path: Arc<BlobPath>,
    /// The place.
    pub location: Location,
    /// The place in the file itself, if that is another.
    pub outer: Option<Location>,
}

/// A value as shown, and where it stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Value {
    /// The value as it may be shown.
    pub text: Cow<'static, str>,
    /// Its location.
    pub location: Location,
    /// The encodings it was decoded from, outermost first.
    pub encodings: Box<[Encoding]>,
}

impl Finding {
    /// The key that it is an occurrence or a judgement of.
    pub fn key(&self) -> Option<&Key> {
        match &self.kind {
            Kind::Key(key) => Some(key),
            Kind::Judgement(judgement) => Some(&judgement.key),
            Kind::Observation { .. } | Kind::UnusedAllow { .. } => None,
        }
    }

    /// The key that it is an occurrence of, to note what becomes known of it.
    pub fn key_mut(&mut self) -> Option<&mut Key> {
        match &mut self.kind {
            Kind::Key(key) => Some(Arc::make_mut(key)),
            Kind::Judgement(_) | Kind::Observation { .. } | Kind::UnusedAllow { .. } => None,
        }
    }

    /// The part that may be shown: a key id, or the subject of an observation.
    pub fn id(&self) -> Option<&Value> {
        match &self.kind {
            Kind::Observation { subject, .. } => Some(subject),
            _ => self.key()?.id.as_ref(),
        }
    }

    /// The secret, masked.
    pub fn secret(&self) -> Option<&Value> {
        self.key()?.secret.as_ref()
    }

    /// The id, then the secret.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.id().into_iter().chain(self.secret())
    }

    /// Identifies the secret alone.
    pub fn secret_fingerprint(&self) -> Option<Fingerprint> {
        self.key()?.secret_fingerprint
    }

    /// The id that belongs to its secret and was found elsewhere.
    pub fn link(&self) -> Option<&Link> {
        self.key()?.link.as_deref()
    }

    /// A sentence that proves that its id and secret belong together.
    pub fn proof(&self) -> Option<&str> {
        self.key()?.proof.as_deref()
    }

    /// The profile or user that the file gives the key to.
    pub fn owner(&self) -> Option<&Owner> {
        self.evidence()?.owner.as_deref()
    }

    /// What the service answered that its key belongs to, if that was asked.
    pub fn verification(&self) -> Option<&Verification> {
        self.key()?.verification.as_deref()
    }

    /// What judgements are made from, if it is an occurrence of a key.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.key().map(|key| &key.evidence)
    }

    /// What it means for a key, if it is a judgement.
    pub fn judgement(&self) -> Option<&Judgement> {
        match &self.kind {
            Kind::Judgement(judgement) => Some(judgement),
            _ => None,
        }
    }

    /// What was seen, if it is an observation.
    pub fn observation(&self) -> Option<&str> {
        match &self.kind {
            Kind::Observation { sentence, .. } => Some(sentence),
            _ => None,
        }
    }

    /// Of an allow that allows nothing: what is probably wrong with it, as a sentence.
    pub fn hint(&self) -> Option<&str> {
        match &self.kind {
            Kind::UnusedAllow { hint } => hint.as_deref(),
            _ => None,
        }
    }

    /// True if it is of a comment or an entry that allows nothing.
    pub fn is_unused_allow(&self) -> bool {
        matches!(self.kind, Kind::UnusedAllow { .. })
    }

    /// Names what it is about: findings of one key have the same name, which is its id or else the fingerprint of its
    /// secret. Observations have names of their own.
    pub fn credential(&self) -> Cow<'_, str> {
        match (&self.kind, self.id(), self.link()) {
            (Kind::Observation { subject, .. }, ..) => format!("{}: {}", self.rule.id, subject.text).into(),
            (_, Some(id), _) => Cow::Borrowed(&id.text),
            (_, None, Some(link)) => Cow::Borrowed(&link.id),
            (_, None, None) => self.fingerprint.to_string().into(),
        }
    }

    /// The id of its key, as far as it is known.
    pub fn key_id(&self) -> Option<&str> {
        let key = self.key()?;
        let own = key.id.as_ref().filter(|id| id.text.len() == ID_LEN).map(|id| &*id.text);
        own.or_else(|| key.link.as_ref().map(|link| link.id.as_str()))
    }

    /// The directory of its file, without a slash at the end.
    pub fn directory(&self) -> &[u8] {
        self.path.file().rsplitn(2, |&b| b == b'/').nth(1).unwrap_or_default()
    }

    /// True if it is of the id of a key alone.
    pub fn is_lone_id(&self) -> bool {
        matches!(self.rule.matcher, Matcher::Finder(Finder::AccessKeyId | Finder::TemporaryKey))
            && self.secret().is_none()
    }

    /// True if nothing is worse: a judgement of that grade, or a key verified as active.
    pub fn is_critical(&self) -> bool {
        let is_judged = self.judgement().is_some_and(|judgement| judgement.grade == Grade::Critical);
        let is_active = self.verification().is_some_and(|answer| answer.status == KeyStatus::Active);
        self.severity == Severity::Error && (is_judged || is_active && self.secret().is_some())
    }

    /// True if it is of a key that is not AWS's, or not known to be.
    pub fn is_of_others(&self) -> bool {
        matches!(self.rule.matcher, Matcher::Finder(finder) if finder.is_of_others()) && self.link().is_none()
            || self.is_of_pack()
    }

    /// True if its id has the form of today's long-term ids of AWS.
    pub fn is_of_aws_form(&self) -> bool {
        self.id().is_some_and(|id| id.text.starts_with("AKIA"))
    }

    /// True if it is of another vendor's secret, or whatever a rule of the user's finds.
    pub fn is_of_pack(&self) -> bool {
        self.rule.pack != Some(AWS)
    }

    /// True if it is of a link that no longer worked when it was found.
    pub fn is_expired_link(&self) -> bool {
        matches!(&self.kind, Kind::Key(key) if key.expires.is_some()) && self.severity == Severity::Note
    }

    /// True if it is a secret alone, whose id is not known.
    pub fn is_lone_secret(&self) -> bool {
        matches!(self.rule.matcher, Matcher::Finder(Finder::SecretAccessKey | Finder::SecretKey40))
            && self.id().is_none()
            && self.link().is_none()
    }

    /// Moves it from a part to the whole, of which so many line breaks, columns and bytes come before.
    pub fn shift(&mut self, lines: u32, columns: u32, offset: usize) {
        let shifted = |location: &mut Location| *location = location.shifted(lines, columns, offset);
        shifted(&mut self.location);
        match &mut self.kind {
            Kind::Key(key) => {
                let key = Arc::make_mut(key);
                key.id.iter_mut().chain(&mut key.secret).for_each(|value| shifted(&mut value.location));
            }
            Kind::Observation { subject, .. } => shifted(&mut subject.location),
            Kind::Judgement(_) | Kind::UnusedAllow { .. } => {}
        }
        let moved = self.excerpts.iter().cloned().map(|mut excerpt| {
            excerpt.line = excerpt.line.saturating_add(lines);
            excerpt
        });
        self.excerpts = moved.collect();
    }

    /// A total order, so that reports do not depend on threads: path, place, rule, fingerprint.
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
