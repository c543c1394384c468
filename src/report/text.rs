//! The report for people: one diagnostic a credential, worst first, then what was scanned.

use super::wording::{
    chronicle, correspondence, first_sentence, headline, remarks, remedy, secret_noun, steps, suppressed_by_reason,
};
use super::{Options, Report};
use crate::finding::Finding;
use crate::rule::{Finder, Matcher, Severity};
use crate::text::sanitize::one_line;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::fmt::Write;

/// So many credentials are rendered in parallel before they are joined: of a large report there is no second copy.
const RENDERED_AT_ONCE: usize = 500;

/// The report as text, with terminal colours if asked for.
pub fn write(report: &Report, options: &Options, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    let shown: &[Box<Finding>] = if options.show_suppressed { &report.suppressed } else { &[] };
    let credentials = by_credential(&report.findings);
    let render =
        |credential: &Vec<&Finding>| with_place(&renderer.render(&[diagnostic(credential)]), credential[0]) + "\n\n";
    for some in credentials.chunks(RENDERED_AT_ONCE).chain(by_credential(shown).chunks(RENDERED_AT_ONCE)) {
        out.extend(some.par_iter().map(render).collect::<Vec<_>>());
    }
    for skip in report.coverage.skips.iter().filter(|skip| !skip.cause.is_of_many()) {
        let level = if skip.cause.is_failure() { "error" } else { "note" };
        _ = writeln!(out, "{level}: {}: {}", one_line(&skip.path.to_text()), one_line(&skip.cause.to_string()));
    }
    if report.coverage.skips.iter().any(|skip| !skip.cause.is_of_many()) {
        out.push('\n');
    }
    let is_key = |credential: &&Vec<&Finding>| credential[0].key().is_some();
    summary(&mut out, report, credentials.iter().filter(is_key).count(), options);
    out
}

/// The findings of each credential, worst first; the credentials likewise.
fn by_credential(findings: &[Box<Finding>]) -> Vec<Vec<&Finding>> {
    let rank = |finding: &Finding| {
        let security = (finding.rule.security_severity * 10.0) as u32;
        let is_past = finding.history.as_ref().is_some_and(|history| history.is_past());
        // What is judged comes after what it is judged of.
        let worth = (
            finding.judgement().is_none(),
            finding.severity,
            finding.id().is_some() && finding.secret().is_some(),
            security,
            !is_past,
        );
        Reverse(worth)
    };
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    let mut places = foldhash::HashMap::default();
    for finding in findings {
        let place = *places.entry(finding.credential()).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(finding);
    }
    // Both sorts are stable, so that equals stay in the order of paths.
    for group in &mut groups {
        group.sort_by_key(|finding| rank(finding));
    }
    let severity = |group: &Vec<&Finding>| group.iter().map(|finding| finding.severity).max();
    groups.sort_by_key(|group| (Reverse(severity(group)), rank(group[0])));
    groups
}

/// Stands for the place of a finding until [`with_place`] writes it; a character for private use.
const PLACE: &str = "\u{e000}";

/// The renderer tells a place by counting in the text it is given, and ours is cut; so the real one is put in.
fn with_place(rendered: &str, finding: &Finding) -> String {
    let Some((before, after)) = rendered.split_once(PLACE) else { return rendered.to_owned() };
    let after = after.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
    format!("{before}{}{after}", place(finding))
}

fn place(finding: &Finding) -> String {
    format!("{}:{}:{}", one_line(&finding.path.to_text()), finding.location.start_line, finding.location.start_column)
}

fn diagnostic<'a>(findings: &[&'a Finding]) -> Group<'a> {
    let (judgements, findings): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| finding.judgement().is_some());
    let worst = findings[0];
    let severity = judgements.iter().map(|finding| finding.severity).max().unwrap_or(worst.severity);
    let title = level(severity.max(worst.severity)).primary_title(headline(worst)).id(worst.rule.id.as_str());
    let mut group = Group::with_title(title).element(snippet(worst));
    for finding in &judgements {
        let reasons = finding.judgement().into_iter().flat_map(|judgement| &judgement.reasons);
        let reasons: Vec<_> = reasons.map(|reason| one_line(reason)).collect();
        // What it stands on, if that is somewhere else.
        let evidence = finding.judgement().into_iter().filter_map(|judgement| judgement.occurrences.first());
        let elsewhere: String = evidence
            .filter(|evidence| evidence.path != worst.path)
            .map(|evidence| format!(" ({}:{})", one_line(&evidence.path.to_text()), evidence.location.start_line))
            .collect();
        let verdict = format!("{}: {}{elsewhere}", finding.rule.id, reasons.join(" "));
        group = group.element(level(finding.severity).message(verdict));
    }
    for remark in remarks(worst) {
        group = group.element(Level::NOTE.message(one_line(&remark)));
    }
    if let Some(message) = &worst.message {
        group = group.element(Level::NOTE.message(one_line(&correspondence(message))));
    }
    if let Some(owner) = worst.owner() {
        let kind = if owner.is_profile { "profile" } else { "user" };
        group = group.element(Level::NOTE.message(format!("It is that of the {kind} {}.", one_line(&owner.name))));
    }
    for sentence in worst.history.iter().flat_map(|history| chronicle(history)) {
        group = group.element(Level::NOTE.message(one_line(&sentence)));
    }
    let others: Vec<String> = findings[1..].iter().map(|other| occurrence(other, worst)).collect();
    if !others.is_empty() {
        let count = others.len();
        let noun = if count == 1 { "place" } else { "places" };
        group = group.element(Level::NOTE.message(format!("it is in {count} more {noun}:\n{}", others.join("\n"))));
    }
    if worst.suppression.is_none() {
        group = group.element(Level::HELP.message(advice(worst, &judgements)));
    }
    group
}

/// What to do: of a root user's key what that takes, else what the finding's rule says first; then the steps.
fn advice(worst: &Finding, judgements: &[&Finding]) -> String {
    let root = judgements.iter().find(|finding| {
        let is_root = matches!(finding.rule.matcher, Matcher::Finder(Finder::RootKey));
        is_root && finding.severity == Severity::Error
    });
    let steps = steps(worst, root.is_some());
    let first = first_sentence(&remedy(root.unwrap_or(&worst))).to_owned();
    if steps.is_empty() || worst.secret().is_none() && root.is_none() {
        return first;
    }
    let numbered = (1..).zip(&steps).map(|(n, step)| format!("{n}. {step}"));
    let title = if root.is_some() {
        "it is the root user's; take it away:"
    } else {
        "take the key away, then look for its use:"
    };
    std::iter::once(title.to_owned()).chain(numbered).collect::<Vec<_>>().join("\n")
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

fn occurrence(finding: &Finding, worst: &Finding) -> String {
    let mut remarks = Vec::new();
    if finding.rule.id != worst.rule.id {
        remarks.push(finding.rule.name.clone());
    }
    if let Some(history) = finding.history.as_ref().filter(|history| history.is_past()) {
        let commit = history.introduced.listed.first();
        remarks.push(commit.map_or("in history".into(), |commit| format!("in history, since {}", commit.oid.short())));
    }
    if remarks.is_empty() { place(finding) } else { format!("{} ({})", place(finding), remarks.join("; ")) }
}

/// All excerpts as one source; lines that are not known are left blank, and the renderer folds them.
fn snippet(finding: &Finding) -> Snippet<'_, Annotation<'_>> {
    let first_line = finding.excerpts.first().map_or(1, |excerpt| excerpt.line);
    let mut source = String::new();
    let mut annotations = Vec::new();
    let mut line = first_line;
    let mut all_known = true;
    for excerpt in finding.excerpts.iter() {
        all_known &= excerpt.line <= line + 1;
        // Far apart, the number of the second line counts, not how many lines there are between.
        source.extend(std::iter::repeat_n('\n', (excerpt.line - line) as usize));
        line = excerpt.line;
        for (mark, is_secret) in excerpt.marks() {
            let span = source.len() + mark.start..source.len() + mark.end;
            let is_main = is_secret || finding.secret().is_none();
            let kind = if is_main { AnnotationKind::Primary } else { AnnotationKind::Context };
            annotations.push(kind.span(span).label(noun(finding, is_secret)));
        }
        source.push_str(&excerpt.text);
    }
    Snippet::source(source).path(PLACE).line_start(first_line as usize).fold(!all_known).annotations(annotations)
}

fn noun(finding: &Finding, is_secret: bool) -> &'static str {
    match (&finding.rule.matcher, finding.id()) {
        (Matcher::Finder(Finder::UnusedAllow), _) => "allows nothing",
        (Matcher::Finder(Finder::MailsKey), _) => "sends it",
        (Matcher::Finder(Finder::RootUsage), _) => "the root user",
        _ if is_secret => secret_noun(finding),
        (_, Some(id)) if id.text.len() == 20 => "access key id",
        _ => "user",
    }
}

fn summary(out: &mut String, report: &Report, credentials: usize, options: &Options) {
    let counts =
        [Severity::Error, Severity::Warning, Severity::Note].map(|severity| (report.count(severity), severity));
    let counts: Vec<_> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, severity)| plural(*n, &severity.to_string())).collect();
    match counts.len() {
        0 => out.push_str("found nothing"),
        _ if credentials == 0 => _ = write!(out, "found {}", counts.join(", ")),
        _ => _ = write!(out, "found {}: {}", plural(credentials, "credential"), counts.join(", ")),
    }
    let suppressed: Vec<_> = suppressed_by_reason(report)
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, reason)| if reason.starts_with('a') { format!("{n} {reason}") } else { plural(n, reason) })
        .collect();
    if !suppressed.is_empty() {
        let hint = if options.show_suppressed { "" } else { "; --show-suppressed lists them" };
        _ = write!(out, "; not counted: {}{hint}", suppressed.join(", "));
    }
    out.push('\n');
    let coverage = &report.coverage;
    let files = plural(usize::try_from(coverage.files).unwrap_or(usize::MAX), "file");
    _ = write!(out, "scanned {files}, {}", bytesize::ByteSize(coverage.bytes));
    if coverage.inner_blobs > 0 {
        let parts = plural(usize::try_from(coverage.inner_blobs).unwrap_or(usize::MAX), "part");
        _ = write!(out, "; in archives, documents and mail {parts}, {}", bytesize::ByteSize(coverage.inner_bytes));
    }
    if coverage.objects > 0 {
        let count = |n: u64, noun| plural(usize::try_from(n).unwrap_or(usize::MAX), noun);
        let (commits, objects) = (count(coverage.commits, "commit"), count(coverage.objects, "object"));
        _ = write!(out, "; in history {commits}, {objects}, {}", bytesize::ByteSize(coverage.object_bytes));
    }
    if coverage.objects == 0 && coverage.commits > 0 {
        _ = write!(out, "; of {}", plural(usize::try_from(coverage.commits).unwrap_or(usize::MAX), "commit"));
    }
    if let Some(elapsed) = options.stats {
        _ = write!(out, " in {:.3} s", elapsed.as_secs_f64());
    }
    let under: Vec<_> = report.config.iter().chain(&report.baseline).map(|file| one_line(&file.to_text())).collect();
    if !under.is_empty() {
        _ = write!(out, "; under {}", under.join(", "));
    }
    let skipped: Vec<_> = coverage.skips_by_cause().into_iter().map(|(cause, n)| format!("{n} {cause}")).collect();
    if !skipped.is_empty() {
        _ = write!(out, "; not scanned: {}", skipped.join(", "));
    }
    out.push('\n');
}

fn plural(n: usize, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {noun}{s}", with_thousands(n))
}

fn with_thousands(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(plural(1, "file"), "1 file");
        assert_eq!(plural(1_234_567, "file"), "1,234,567 files");
        assert_eq!(with_thousands(12), "12");
    }
}
