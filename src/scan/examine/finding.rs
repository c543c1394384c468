//! From what was detected to findings: with places, excerpts and masks.

use super::excerpt::Excerpts;
use crate::credential::{Account, AccountId, Fingerprint, account};
use crate::detect::{Candidate, Detection, Part};
use crate::finding::location::Locations;
use crate::finding::{BlobPath, Finding, Key, Kind, Suppression, Value};
use crate::rule::{Finder, Matcher};
use crate::text::mask;
use secrecy::{ExposeSecret, SecretString};
use std::borrow::Cow;
use std::sync::Arc;

/// The findings for what was detected in one blob, in the order of [`Detection::candidates`].
pub fn findings(
    path: &Arc<BlobPath>,
    detection: &Detection,
    excerpts: &Excerpts,
    locations: &Locations,
) -> Vec<Finding> {
    let finding = |candidate: &Candidate| {
        let kind = kind(candidate, locations, excerpts.shows_secrets());
        let account = account_of(candidate);
        Finding {
            rule: candidate.rule.clone(),
            severity: candidate.severity,
            path: path.clone(),
            location: locations.of(&candidate.primary()),
            outer: None,
            fingerprint: fingerprint(candidate),
            account,
            is_canary: account.is_some_and(AccountId::is_canary),
            excerpts: excerpts.of(candidate),
            message: None,
            history: None,
            expired: None,
            suppression: candidate.dummy.map(|dummy| Box::new(Suppression::Dummy(dummy))),
            kind,
        }
    };
    detection.candidates.iter().map(finding).collect()
}

fn kind(candidate: &Candidate, locations: &Locations, shows_secrets: bool) -> Kind {
    let id = |text: String| candidate.id.as_ref().map(|part| value(part, locations, text.into()));
    if let Some(note) = &candidate.note {
        // Both are made of the scanned text.
        let subject = candidate.id.as_ref().map(|part| mask::hide_long_words(&part.value)).unwrap_or_default();
        let nobody = || Value { text: "".into(), location: locations.of(&candidate.primary()), encodings: [].into() };
        let subject = id(subject).unwrap_or_else(nobody);
        let profile = candidate.profile.as_deref().map(Into::into);
        return Kind::Observation {
            subject,
            profile,
            sentence: mask::hide_long_words(note).into(),
            times: candidate.times,
        };
    }
    let secret = candidate.secret.as_ref().map(|part| {
        let clear = part.value.expose_secret();
        let shown = if shows_secrets { clear.to_owned().into() } else { mask::mask(clear) };
        value(part, locations, shown)
    });
    let print = |part: &Part<SecretString>| Fingerprint::new(None, Some(part.value.expose_secret()));
    Kind::Key(Arc::new(Key {
        id: candidate.id.as_ref().and_then(|part| id(part.value.clone())),
        secret,
        secret_fingerprint: candidate.secret.as_ref().map(print),
        vendor: candidate.vendor,
        expires: candidate.expires,
        is_doubtful: candidate.is_doubtful,
        ..Key::default()
    }))
}

/// The fingerprint of what was found.
pub fn fingerprint(candidate: &Candidate) -> Fingerprint {
    let id = candidate.id.as_ref().map(|part| part.value.as_str());
    Fingerprint::new(id, candidate.secret.as_ref().map(|part| part.value.expose_secret()))
}

fn value<T>(part: &Part<T>, locations: &Locations, text: Cow<'static, str>) -> Value {
    Value { text, location: locations.of(&part.span), encodings: part.encodings.as_slice().into() }
}

fn account_of(candidate: &Candidate) -> Option<AccountId> {
    if matches!(candidate.rule.matcher, Matcher::Finder(Finder::S3CompatibleKey)) {
        return None;
    }
    let of_id = candidate.id.as_ref().and_then(|part| Account::from_id(&part.value).known());
    let of_secret = |part: &Part<SecretString>| account::in_token(part.value.expose_secret());
    candidate.account.or(of_id).or_else(|| candidate.secret.as_ref().and_then(of_secret))
}
