//! Evidence about keys in text that contains none: IAM reports, root user activity, code that sends a key.

pub mod credential_report;
mod mail_block;
mod mailer;
pub mod owner;
mod roles_anywhere;
pub mod root_signs;
pub mod root_use;

use crate::credential::AccountId;
use crate::finding::Times;
use crate::rule::{Finder, Observer, Severity};
pub use mailer::names_value;
use std::ops::Range;

/// Something that was observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The finder whose rule it falls under.
    pub finder: Finder,
    /// Who or what it is about. It is shown, so no part of it may be a secret.
    pub subject: String,
    /// Its byte range in the text.
    pub span: Range<usize>,
    /// Its severity, if not the rule's.
    pub severity: Option<Severity>,
    /// The account it is about.
    pub account: Option<AccountId>,
    /// The profile it is about.
    pub profile: Option<String>,
    /// What was observed, as a sentence.
    pub note: String,
    /// When it holds.
    pub times: Times,
}

/// Context beyond the text.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The file's text; the text to examine may be a decoded part of it.
    pub file: &'a [u8],
    /// The path of the file, if known.
    pub path: Option<&'a [u8]>,
    /// Byte ranges of secrets in the text, in order.
    pub secrets: &'a [Range<usize>],
}

/// Maximum number of observations in one text.
const MAX_COUNT: usize = 10_000;

/// True if a keyword at an offset in `text` is a reason to observe all of it.
pub fn gives_reason(observer: Observer, text: &[u8], keyword: usize) -> bool {
    observer != Observer::RootUse || root_use::gives_reason(text, keyword)
}

/// What `observer` finds in `text`.
pub fn observe(observer: Observer, text: &[u8], around: &Surroundings) -> Vec<Observation> {
    let mut seen = match observer {
        Observer::CredentialReport => credential_report::observe(text, around),
        Observer::RootUse => root_use::observe(text),
        Observer::Mailer => mailer::observe(text, around),
        Observer::RolesAnywhere => roles_anywhere::observe(text),
    };
    seen.truncate(MAX_COUNT);
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::signature::SignedRequest;
    use crate::detect::observe::owner::owners;
    use crate::text::ini;
    use proptest::prelude::*;

    /// Text of what observers look for, whole and cut, in any order.
    fn soup() -> impl Strategy<Value = Vec<u8>> {
        let words = prop::sample::select(vec![
            "sendmail(",
            "send_message(",
            "requests.post(",
            "mail -s x a@b.c ",
            "curl ",
            "aws ses send-email ",
            "| mail ",
            "<<EOF\n",
            "EOF\n",
            "SLACK_WEBHOOK_URL",
            "hooks.slack.com",
            "$AWS_SECRET_ACCESS_KEY",
            "secret_access_key",
            "['SecretAccessKey']",
            "rootkey.csv",
            "msg = ",
            "body += ",
            "msg.set_content(",
            "smtplib",
            "(",
            ")",
            "{",
            "}",
            "[",
            "]",
            "\"",
            "'",
            "`",
            "\\",
            "\n",
            " ",
            ";",
            "=",
            "|",
            "#",
            "f\"{",
            "\"\"\"",
            "user,arn,user_creation_time,password_enabled\n",
            "<root_account>,arn:aws:iam::111122223333:root,x,true\n",
            "\"Root\"",
            "\"userIdentity\":{\"type\":\"Root\"",
            "\"eventName\":\"x\"",
            "\"UserId\": \"111122223333\", ",
            "[profile x]\n",
            "aws_signing_helper credential-process ",
            "--private-key k.pem ",
            "--role-arn arn:aws:iam::111122223333:role/r ",
            "mfa_serial = arn:aws:iam::111122223333:mfa/root-account-mfa-device\n",
            "AWS_ACCESS_KEY_ID=$AWS_ROOT_ACCESS_KEY_ID",
            "PROFILE=root",
            "aws_access_key_id = ",
            "User name,",
            "\"UserName\": \"a\"",
            "https://x.s3.amazonaws.com/a?X-Amz-Credential=",
            "AWS4-HMAC-SHA256 Credential=",
            "GET / HTTP/1.1\n",
            "AKIAIOSFODNN7EXAMPLE",
            "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request",
            "&X-Amz-SignedHeaders=host&X-Amz-Date=1",
            "\u{e9}",
        ]);
        let piece = prop_oneof![
            20 => words.prop_map(|word| word.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..20),
            1 => (1usize..9000).prop_map(|length| vec![b'a'; length]),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn nothing_that_is_written_breaks_an_observer(text in soup(), places in prop::collection::vec(any::<prop::sample::Index>(), 2)) {
            let mut at: Vec<usize> = places.iter().map(|place| place.index(text.len() + 1)).collect();
            at.sort_unstable();
            let secrets = vec![at[0]..at[1]];
            let around = Surroundings { file: &text, path: None, secrets: &secrets };
            for observer in [Observer::CredentialReport, Observer::RootUse, Observer::Mailer] {
                for seen in observe(observer, &text, &around) {
                    prop_assert!(seen.span.start <= seen.span.end && seen.span.end <= text.len());
                    prop_assert!(!seen.note.is_empty());
                }
            }
            _ = SignedRequest::read(&text, &secrets[0]);
            _ = ini::section(&text, at[0]);
            prop_assert_eq!(owners(&text, &secrets).len(), 1);
        }
    }
}
