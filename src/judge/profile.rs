//! Judges how a key is kept on a machine: in the default profile, readable by others, without its session token.

use super::Assessment;
use super::inventory::Credential;
use crate::finding::Finding;
use crate::rule::{Finder, Grade};

pub(super) fn judge<'a>(key: &Credential<'a>) -> Vec<Assessment<'a>> {
    let with_secret: Vec<&Finding> =
        key.occurrences.iter().filter(|finding| finding.secret().is_some()).copied().collect();
    [default_profile(&with_secret), readable(&with_secret), without_token(&with_secret)].into_iter().flatten().collect()
}

fn default_profile<'a>(findings: &[&'a Finding]) -> Option<Assessment<'a>> {
    let is_default = |finding: &&&Finding| {
        let owner = finding
            .evidence()
            .and_then(|found| found.owner.as_deref())
            .filter(|owner| owner.is_profile && owner.name == "default");
        owner.is_some() && is_of(finding, "AKIA")
    };
    let found: Vec<_> = findings.iter().filter(is_default).copied().collect();
    let reasons = vec!["It is a long-term key in the default profile, used by everything that names none.".into()];
    (!found.is_empty()).then_some(Assessment {
        finder: Finder::DefaultProfileKey,
        grade: Grade::Low,
        reasons,
        findings: found,
    })
}

fn readable<'a>(findings: &[&'a Finding]) -> Option<Assessment<'a>> {
    let mode = |finding: &Finding| {
        let is_now = finding.history.as_ref().is_none_or(|history| !history.is_past());
        let mode = finding.evidence()?.file_mode.filter(|_| is_now)?;
        (mode & 0o044 != 0).then_some(mode)
    };
    let found: Vec<(&Finding, u32)> = findings.iter().filter_map(|finding| Some((*finding, mode(finding)?))).collect();
    let (_, mode) = found.first()?;
    let reasons = vec![format!("Other users of the machine can read the file: its mode is {:03o}.", mode & 0o777)];
    let findings = found.into_iter().map(|(finding, _)| finding).collect();
    Some(Assessment { finder: Finder::ReadableCredentials, grade: Grade::Medium, reasons, findings })
}

fn without_token<'a>(findings: &[&'a Finding]) -> Option<Assessment<'a>> {
    let lacks = |finding: &&&Finding| {
        finding
            .evidence()
            .and_then(|found| found.owner.as_deref())
            .is_some_and(|owner| owner.is_profile && !owner.has_token)
            && is_of(finding, "ASIA")
    };
    let found: Vec<_> = findings.iter().filter(lacks).copied().collect();
    let reasons = vec!["It is a temporary key, and its profile has no session token.".into()];
    (!found.is_empty()).then_some(Assessment {
        finder: Finder::MissingSessionToken,
        grade: Grade::Low,
        reasons,
        findings: found,
    })
}

fn is_of(finding: &Finding, prefix: &str) -> bool {
    finding.id().is_some_and(|id| id.text.starts_with(prefix))
}
