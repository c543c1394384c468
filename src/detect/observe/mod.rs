//! What a text tells of the use of keys without holding one: reports of IAM, the root user at work, code that sends a key.

pub mod credential_report;
mod mailer;
pub mod root_use;

use crate::credential::AccountId;
use crate::rule::{Finder, Observer, Severity};
pub use mailer::names_value;
use std::ops::Range;

/// Something that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Whose rule it falls under.
    pub finder: Finder,
    /// Who or what it is about, to be shown: no part of it may be a secret.
    pub subject: String,
    /// Where: bytes of the text.
    pub span: Range<usize>,
    /// How bad, if not as bad as the rule says.
    pub severity: Option<Severity>,
    /// The account it is about.
    pub account: Option<AccountId>,
    /// What was seen, as a sentence.
    pub note: String,
}

/// What there is to know beyond the text.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The file's text, of which the one looked at may be a decoded part.
    pub file: &'a [u8],
    /// Where in the text secrets stand, in order.
    pub secrets: &'a [Range<usize>],
    /// Seconds since 1970, if ages are to be told from now.
    pub now: Option<i64>,
}

/// So many observations are made in one text.
const MOST: usize = 10_000;

/// What `observer` sees in `text`.
pub fn observe(observer: Observer, text: &[u8], around: &Surroundings) -> Vec<Observation> {
    let mut seen = match observer {
        Observer::CredentialReport => credential_report::observe(text, around),
        Observer::RootUse => root_use::observe(text),
        Observer::Mailer => mailer::observe(text, around),
    };
    seen.truncate(MOST);
    seen
}
