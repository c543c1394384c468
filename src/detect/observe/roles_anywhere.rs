//! Profiles that get their credentials by IAM Roles Anywhere: with a private key, in place of an access key.
//!
//! Source: IAM Roles Anywhere User Guide, "Get temporary security credentials": `credential_process` in `~/.aws/config`, or a
//! command, with the helper's options.

use super::Observation;
use crate::credential::AccountId;
use crate::finding::Times;
use crate::rule::Finder;
use crate::text::ini;
use crate::text::sanitize::one_line;
use regex::bytes::Regex;
use std::sync::LazyLock;

/// How long a command may be that is looked at, in bytes.
const MAX_COMMAND: usize = 2000;

/// What a command of the helper says, one observation for each.
pub(super) fn observe(text: &[u8]) -> Vec<Observation> {
    static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?-u)\baws_signing_helper(?:\.exe)?\b[^\n]{0,40}?\bcredential-process\b").expect("a valid regex")
    });
    static KEY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?-u)--private-key[ =](?:"([^"\n]{1,400})"|([^\s"'\\]{1,400}))"#).expect("a valid regex")
    });
    static ROLE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?-u)--role-arn[ =](arn:aws[a-z-]{0,10}:iam::([0-9]{12}):role/[A-Za-z0-9+=,.@_/-]{1,576})")
            .expect("a valid regex")
    });
    let mut seen = Vec::new();
    for command in COMMAND.find_iter(text) {
        let rest = &text[command.end()..text.len().min(command.end() + MAX_COMMAND)];
        let rest = command_line(rest);
        let (Some(key), Some(role)) = (KEY.captures(rest), ROLE.captures(rest)) else { continue };
        let Some(path) = key.get(1).or_else(|| key.get(2)) else { continue };
        let told = |bytes: &[u8]| one_line(&String::from_utf8_lossy(bytes));
        let (file, role_name) = (told(path.as_bytes()), told(&role[1]));
        let account = told(&role[2]).parse().ok().and_then(AccountId::new);
        // `[[…]]` begins a list of TOML, and no profile.
        let section = ini::section(text, command.start()).map(|section| one_line(&section.name()));
        let profile = section.filter(|name| !name.starts_with('['));
        let who = profile.as_ref().map_or_else(|| "A command".to_owned(), |name| format!("The profile {name}"));
        let start = command.end() + path.start();
        seen.push(Observation {
            finder: Finder::RolesAnywhere,
            span: start..start + path.len(),
            severity: None,
            account,
            profile,
            note: format!("{who} gets credentials of {role_name} with the private key {file}, by IAM Roles Anywhere."),
            subject: file,
            times: Times::ALL,
        });
    }
    seen
}

/// The line that a command is on, with those that a backslash joins to it.
fn command_line(text: &[u8]) -> &[u8] {
    let is_end = |at: &usize| !text[..*at].ends_with(b"\\") && !text[..*at].ends_with(b"\\\r");
    let end = memchr::memchr_iter(b'\n', text).find(is_end);
    &text[..end.unwrap_or(text.len())]
}
