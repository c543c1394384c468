//! What a blob says about the keys found in it, noted in the findings.

use crate::credential::SpecialPartitions;
use crate::credential::signature::SignedRequest;
use crate::detect::decode::Decoded;
use crate::detect::decode::wide::WideText;
use crate::detect::expiry::SESSION_TOKEN;
use crate::detect::observe::{owner, root_signs};
use crate::detect::{Candidate, Detection, context};
use crate::finding::{Finding, Key};
use crate::rule::{Finder, Matcher};
use crate::source::Blob;
use crate::text::alphabet::{self, ID_LEN};
use crate::text::wide::{Wide, without_mark};
use std::ops::Range;
use std::sync::Arc;

/// The maximum number of signed requests kept of one blob.
const MAX_REQUESTS: usize = 1000;

/// Notes at each finding what the blob says of its key. The first findings are those of the candidates, in order.
pub fn gather(blob: &Blob, detection: &Detection, findings: &mut [Finding], is_verifying: bool) {
    signatures(blob, detection, findings);
    if is_verifying {
        session_tokens(detection, findings);
        partitions(blob, detection, findings);
    }
    // Only what is text as it is has neighbours that tell something; a file in UTF-16 is text as a whole.
    let wide = Wide::detect(blob.bytes).map(|wide| WideText::file(blob.bytes, wide));
    let marked;
    let text = match &wide {
        Some(wide) => wide.text(),
        None => {
            marked = without_mark(blob.bytes);
            &marked
        }
    };
    let layers = usize::from(wide.is_some());
    let is_plain = |finding: &Finding| finding.values().all(|value| value.encodings.len() == layers);
    let span = |finding: &Finding| {
        let at = finding.location.byte_offset;
        let raw = at..at + finding.location.byte_length as usize;
        match &wide {
            Some(wide) => wide.text_offset(raw.start)..wide.text_offset(raw.end),
            None => raw,
        }
    };
    let mut keys: Vec<(Range<usize>, bool, bool, &mut Key)> = findings
        .iter_mut()
        .filter(|finding| is_plain(finding))
        .filter_map(|finding| {
            let is_lone = finding.is_lone_id() || finding.is_lone_secret();
            let is_of_aws = !finding.is_of_others();
            Some((span(finding), is_lone, is_of_aws, finding.key_mut()?))
        })
        .filter(|(.., key)| key.id.is_some() || key.secret_fingerprint.is_some())
        .collect();
    keys.sort_by_key(|(span, ..)| span.start);
    let spans: Vec<_> = keys.iter().map(|(span, ..)| span.clone()).collect();
    for ((span, is_lone, _, key), owner) in keys.iter_mut().zip(owner::owners(text, &spans)) {
        key.evidence.owner = owner.map(Arc::new);
        if *is_lone {
            key.evidence.label = Some((*context::Name::before(text, span.start).qualifier).into());
        }
    }
    keys.retain(|(.., is_of_aws, key)| {
        *is_of_aws && key.id.as_ref().is_some_and(|id| alphabet::is_long_term(&id.text))
    });
    let spans: Vec<_> = keys.iter().map(|(span, ..)| span.clone()).collect();
    let signs = root_signs::signs(blob.path.innermost(), text, &spans);
    for ((.., key), signs) in keys.into_iter().zip(signs) {
        key.evidence.root_signs = signs;
    }
}

/// How far from a key the region may be named that it is used in, in bytes.
const AROUND: usize = 1024;

/// How far from a temporary key its session token may be, in bytes.
const TOKEN_REACH: usize = 4096;

/// Gives each temporary key the session token that is nearest.
fn session_tokens(detection: &Detection, findings: &mut [Finding]) {
    let is_token = |candidate: &&Candidate| candidate.dummy.is_none() && candidate.rule.id.as_str() == SESSION_TOKEN;
    let tokens: Vec<_> = detection.candidates.iter().filter(is_token).filter_map(|it| it.secret.as_ref()).collect();
    if tokens.is_empty() {
        return;
    }
    for (candidate, finding) in detection.candidates.iter().zip(findings) {
        let is_temporary = matches!(candidate.rule.matcher, Matcher::Finder(Finder::TemporaryKey));
        let Some(secret) = candidate.secret.as_ref().filter(|_| is_temporary) else { continue };
        let at = secret.span.start;
        // Candidates are in the order of their places.
        let after = tokens.partition_point(|token| token.span.start < at);
        let near = tokens[after.saturating_sub(1)..].iter().take(2);
        let nearest = near.min_by_key(|token| token.span.start.abs_diff(at));
        let token = nearest.filter(|token| token.span.start.abs_diff(at) <= TOKEN_REACH).map(|it| it.value.clone());
        if let Some(key) = finding.key_mut() {
            key.evidence.token = token;
        }
    }
}

/// Notes at each key which special partitions the text around it speaks of.
fn partitions(blob: &Blob, detection: &Detection, findings: &mut [Finding]) {
    for (candidate, finding) in detection.candidates.iter().zip(findings) {
        let is_of_secret = matches!(candidate.rule.matcher, Matcher::Finder(finder) if finder.is_of_secret());
        let Some(key) = finding.key_mut().filter(|_| is_of_secret) else { continue };
        let span = candidate.primary();
        let around = span.start.saturating_sub(AROUND)..blob.bytes.len().min(span.end + AROUND);
        key.evidence.partitions = blob.bytes.get(around).map(SpecialPartitions::in_text).unwrap_or_default();
    }
}

/// Secrets in clear and the requests that were signed: together they may prove which id belongs to which secret.
fn signatures(blob: &Blob, detection: &Detection, findings: &mut [Finding]) {
    let mut request_count = 0;
    for (candidate, finding) in detection.candidates.iter().zip(findings) {
        let Candidate { dummy: None, rule, .. } = candidate else { continue };
        let Some(key) = finding.key_mut() else { continue };
        match &rule.matcher {
            Matcher::Finder(finder) if finder.is_of_secret() || *finder == Finder::SesSmtpPassword => {
                key.evidence.clear = candidate.secret.as_ref().map(|part| part.value.clone());
            }
            Matcher::Finder(_) => {}
            Matcher::Regex(_) if request_count < MAX_REQUESTS => {
                let id = candidate.id.as_ref().filter(|id| id.encodings.is_empty() && id.value.len() == ID_LEN);
                key.evidence.request = id.and_then(|id| SignedRequest::read(blob.bytes, &id.span)).map(Arc::new);
                request_count += usize::from(key.evidence.request.is_some());
            }
            Matcher::Regex(_) => {}
        }
    }
}
