//! Until when temporary credentials work, as far as the text beside them says so.

use super::Candidate;
use crate::rule::{Finder, Matcher, Severity};
use regex::bytes::Regex;
use secrecy::ExposeSecret;
use std::ops::Range;
use std::sync::LazyLock;

/// How far from credentials their end may be stated, in bytes: a session token, of up to two thousand, may be between.
const REACH: usize = 4096;

/// The rule that finds session tokens.
pub const SESSION_TOKEN: &str = "aws-session-token";

/// The rule that finds tokens of single sign-on, and how access tokens begin; refresh tokens do not end with them.
const SSO_TOKEN: &str = "aws-sso-token";
const SSO_ACCESS_TOKEN: &str = "aoa";

/// Notes until when temporary credentials work. Those that no longer do are notes.
pub(super) fn note(text: &[u8], candidates: &mut [Candidate], now: Option<i64>) {
    let is_temporary = |candidate: &Candidate| {
        let is_pair = matches!(candidate.rule.matcher, Matcher::Finder(Finder::TemporaryKey));
        let rule = candidate.rule.id.as_str();
        candidate.secret.as_ref().is_some_and(|secret| {
            is_pair
                || rule == SESSION_TOKEN
                || rule == SSO_TOKEN && secret.value.expose_secret().starts_with(SSO_ACCESS_TOKEN)
        })
    };
    if !candidates.iter().any(is_temporary) {
        return;
    }
    let ids: Vec<Range<usize>> =
        candidates.iter().filter_map(|candidate| candidate.id.as_ref()).map(|id| id.span.clone()).collect();
    for candidate in candidates.iter_mut().filter(|candidate| candidate.expires.is_none() && is_temporary(candidate)) {
        let own = candidate.primary();
        let before = ids.partition_point(|id| id.start < own.start);
        let after = ids[before..].iter().find(|id| id.start > own.start);
        // What another key's end may be is not this one's.
        let to = after.map_or(text.len(), |id| id.start).min(own.end + REACH).max(own.end);
        let reach = own.start.saturating_sub(REACH);
        let from = match before.checked_sub(1) {
            Some(_) if candidate.id.is_some() => own.start,
            // The id before a token is its own.
            Some(id) => ids[id].end.max(reach).min(own.start),
            None => reach,
        };
        let stated = stated(&text[own.end..to]).or_else(|| stated(&text[from..own.start]));
        candidate.expires = stated;
        if stated.zip(now).is_some_and(|(expires, now)| expires < now) {
            candidate.severity = Severity::Note;
        }
    }
}

/// The first moment that a text calls the end of credentials, in seconds since 1970.
///
/// Sources: AWS STS API Reference, `Credentials`; the AWS CLI's cache of single sign-on; AWS CLI User Guide, "Sourcing credentials with an external process"; the
/// names that single sign-on tools write to `~/.aws/credentials`.
fn stated(text: &[u8]) -> Option<i64> {
    static END: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"(?x-u)
            (?i:\b(?:x_security_token_expires|aws_(?:session_|credential_)?expir(?:ation|es)|expiration|expires_?at)\b)
            ["']?\s*[:=>]\s*["']?
            ([0-9]{4}-[0-9]{2}-[0-9]{2}[T\ ][0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?
            (Z|\ ?UTC|[+-][0-9]{2}:?[0-9]{2})?"#,
        )
        .expect("a valid regex")
    });
    let found = END.captures(text)?;
    let moment = std::str::from_utf8(&found[1]).ok()?;
    let zone = found.get(2).map_or("Z", |zone| std::str::from_utf8(zone.as_bytes()).unwrap_or("Z").trim());
    let zone = if zone == "UTC" { "Z" } else { zone };
    Some(format!("{moment}{zone}").parse::<jiff::Timestamp>().ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_in_all_forms() {
        let end = Some(1_767_312_300);
        for text in [
            "\"Expiration\": \"2026-01-02T00:05:00Z\"",
            "\"expiration\":\"2026-01-02T00:05:00.000Z\"",
            "<Expiration>2026-01-02T00:05:00Z</Expiration>",
            "x_security_token_expires = 2026-01-02T01:05:00+01:00",
            "aws_expiration=2026-01-02 00:05:00 UTC",
            "'expiresAt': '2026-01-02T00:05:00'",
            "AWS_CREDENTIAL_EXPIRATION=2026-01-02T00:05:00+00:00",
            "aws_session_expiration: 2026-01-02T00:05:00+0000",
        ] {
            assert_eq!(stated(text.as_bytes()), end, "{text}");
        }
        for text in [
            "Expiration",
            "expires: never",
            "registrationExpiresAt: 2026-01-02T00:05:00Z",
            "expiration: 2026-13-02T00:05:00Z",
        ] {
            assert_eq!(stated(text.as_bytes()), None, "{text}");
        }
    }
}
