//! The report for people: one diagnostic per credential, worst first, then a summary of what was scanned.

use super::wording::{
    can_be_revoked, chronicle, commands, correspondence, extent, first_sentence, headline, plural, remarks, remedy,
    root_steps, secret_noun, skipped_in_words, suppressed_in_words, with_thousands,
};
use super::{Options, Report};
use crate::finding::Finding;
use crate::rule::{Finder, Matcher, Severity};
use crate::text::sanitize::one_line;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Credentials rendered in parallel before they are joined, so that a large report is not held in memory twice.
const RENDERED_AT_ONCE: usize = 500;

/// Columns that a diagnostic puts before a sentence.
const MARGIN: usize = 12;

/// Sentences are never wrapped to fewer columns.
const MIN_WIDTH: usize = 40;

/// More diagnostics than this are summarised by rule and directory.
const MAX_WITHOUT_SUMMARY: usize = 20;

/// Writes the report as text: what was not scanned, the findings, what to do, and a summary last.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let renderer = if options.layout.colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = options.layout.width.map_or(renderer.clone(), |width| renderer.term_width(width));
    let shown: &[Box<Finding>] = if options.show_suppressed { &report.suppressed } else { &[] };
    let counted = by_credential(&report.findings);
    let suppressed = by_credential(shown);
    let mut credentials: Vec<_> = counted.iter().chain(&suppressed).collect();
    if options.layout.worst_last {
        credentials.reverse();
    }
    let render = |credential: &&Vec<&Finding>| {
        let group = diagnostic(credential, options.layout.width);
        with_place(&renderer.render(&[group]), credential[0]) + "\n\n"
    };
    for some in credentials.chunks(RENDERED_AT_ONCE) {
        for text in some.par_iter().map(render).collect::<Vec<_>>() {
            out.write_all(text.as_bytes())?;
        }
    }
    for skip in report.coverage.skips.iter().filter(|skip| !skip.cause.is_of_many()) {
        let level = if skip.cause.is_failure() { "error" } else { "note" };
        writeln!(out, "{level}: {}: {}", one_line(&skip.path.to_text()), one_line(&skip.cause.to_string()))?;
    }
    if report.coverage.skips.iter().any(|skip| !skip.cause.is_of_many()) {
        writeln!(out)?;
    }
    what_to_do(&counted, options.layout.width, out)?;
    if counted.len() > MAX_WITHOUT_SUMMARY {
        overview(&counted, out)?;
    }
    summary(out, report, &counted, options)
}

/// The commands that revoke keys, once for all of them.
fn what_to_do(credentials: &[Vec<&Finding>], width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    const MAX_LISTED: usize = 10;
    let usable = credentials.iter().filter(|credential| has_steps(credential));
    let ids: Vec<&str> = usable.filter_map(|credential| credential[0].key_id()).collect();
    let (first, owner) = match ids[..] {
        [] => return Ok(()),
        [id] => {
            let of_key = credentials.iter().flatten().filter(|finding| finding.key_id() == Some(id));
            (id, of_key.filter_map(|finding| finding.owner()).find(|owner| !owner.is_profile))
        }
        _ => ("ID", None),
    };
    writeln!(out, "To revoke {} and see where it was used:", if ids.len() == 1 { "the key" } else { "a key" })?;
    for step in commands(&one_line(first), owner.map(|owner| owner.name.as_str())) {
        writeln!(out, "    {step}")?;
    }
    if owner.is_none() {
        writeln!(out, "USER is the name that the first command prints.")?;
    }
    if ids.len() > 1 {
        let more = ids.len().saturating_sub(MAX_LISTED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let listed: Vec<_> = ids.iter().take(MAX_LISTED).map(|id| one_line(id)).collect();
        let sentence = format!("ID is the id of the key: {}{more}.", listed.join(", "));
        let sentence = width.map_or(sentence.clone(), |width| textwrap::fill(&sentence, width.max(MIN_WIDTH)));
        writeln!(out, "{sentence}")?;
    }
    writeln!(out)
}

/// True if the key can be revoked with [`commands`].
fn has_steps(credential: &[&Finding]) -> bool {
    let worst = credential[0];
    worst.suppression.is_none() && worst.secret().is_some() && !is_root(credential) && can_be_revoked(worst)
}

fn is_root(credential: &[&Finding]) -> bool {
    credential.iter().any(|finding| {
        let is_root = matches!(finding.rule.matcher, Matcher::Finder(Finder::RootKey));
        is_root && finding.severity == Severity::Error
    })
}

/// Where most of many findings are.
fn overview(credentials: &[Vec<&Finding>], out: &mut dyn Write) -> io::Result<()> {
    const MAX_LISTED: usize = 8;
    let table = |out: &mut dyn Write, title: &str, counts: BTreeMap<String, usize>| {
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| Reverse(*count));
        writeln!(out, "{title}:")?;
        for (name, count) in counts.iter().take(MAX_LISTED) {
            writeln!(out, "{:>9}  {}", with_thousands(*count), one_line(name))?;
        }
        let rest = counts.len().saturating_sub(MAX_LISTED);
        if rest > 0 {
            writeln!(
                out,
                "{:>9}  in {rest} more",
                with_thousands(counts[MAX_LISTED..].iter().map(|(_, count)| count).sum())
            )
        } else {
            Ok(())
        }
    };
    let (mut rules, mut dirs) = (BTreeMap::new(), BTreeMap::new());
    for finding in credentials.iter().flatten() {
        *rules.entry(finding.rule.id.to_string()).or_default() += 1;
        let file = String::from_utf8_lossy(finding.path.file());
        let dir = file.rsplit_once('/').map_or("./".to_owned(), |(dir, _)| format!("{dir}/"));
        *dirs.entry(dir).or_default() += 1;
    }
    table(out, "Findings by rule", rules)?;
    table(out, "Findings by directory", dirs)?;
    writeln!(out)
}

/// Groups findings by credential. Groups, and the findings in each, are ordered worst first.
fn by_credential(findings: &[Box<Finding>]) -> Vec<Vec<&Finding>> {
    let rank = |finding: &Finding| {
        let security = (finding.rule.security_severity * 10.0) as u32;
        let is_past = finding.history.as_ref().is_some_and(|history| history.is_past());
        // Judgements come after the findings they are about.
        let worth = (
            finding.judgement().is_none(),
            finding.severity,
            finding.is_critical(),
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
    // Both sorts are stable, so that ties stay in path order.
    for group in &mut groups {
        group.sort_by_key(|finding| rank(finding));
    }
    let severity = |group: &Vec<&Finding>| group.iter().map(|finding| finding.severity).max();
    groups.sort_by_key(|group| (Reverse(severity(group)), rank(group[0])));
    groups
}

/// Stands in for the location of a finding until [`with_place`] replaces it; a private-use character.
const PLACE: &str = "\u{e000}";

/// Inserts the real location. The renderer derives its own from the text it is given, which is cut.
fn with_place(rendered: &str, finding: &Finding) -> String {
    let Some((before, after)) = rendered.split_once(PLACE) else { return rendered.to_owned() };
    let after = after.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
    format!("{before}{}{after}", place(finding))
}

fn place(finding: &Finding) -> String {
    format!("{}:{}:{}", one_line(&finding.path.to_text()), finding.location.start_line, finding.location.start_column)
}

fn diagnostic<'a>(findings: &[&'a Finding], width: Option<usize>) -> Group<'a> {
    let wrapped = |text: String| match width {
        Some(width) => textwrap::fill(&text, width.saturating_sub(MARGIN).max(MIN_WIDTH)),
        None => text,
    };
    let sentence = |text: &str| wrapped(one_line(text));
    let findings_of_key = findings;
    let (judgements, findings): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| finding.judgement().is_some());
    let worst = findings[0];
    let severity = judgements.iter().map(|finding| finding.severity).max().unwrap_or(worst.severity);
    let title = level(severity.max(worst.severity)).primary_title(headline(worst)).id(worst.rule.id.as_str());
    let mut group = Group::with_title(title).element(snippet(worst));
    for finding in &judgements {
        let reasons = finding.judgement().into_iter().flat_map(|judgement| &judgement.reasons);
        let reasons: Vec<_> = reasons.map(|reason| one_line(reason)).collect();
        // The location of the evidence, if it is in another file.
        let evidence = finding.judgement().into_iter().filter_map(|judgement| judgement.occurrences.first());
        let elsewhere: String = evidence
            .filter(|evidence| evidence.path != worst.path)
            .map(|evidence| format!(" ({}:{})", one_line(&evidence.path.to_text()), evidence.location.start_line))
            .collect();
        let verdict = format!("{}: {}{elsewhere}", finding.rule.id, reasons.join(" "));
        group = group.element(level(finding.severity).message(wrapped(verdict)));
    }
    for remark in remarks(worst) {
        group = group.element(Level::NOTE.message(sentence(&remark)));
    }
    if let Some(message) = &worst.message {
        group = group.element(Level::NOTE.message(sentence(&correspondence(message))));
    }
    if let Some(owner) = worst.owner() {
        let kind = if owner.is_profile { "profile" } else { "user" };
        group = group.element(Level::NOTE.message(format!("Used by {kind} {}.", one_line(&owner.name))));
    }
    for fact in worst.history.iter().flat_map(|history| chronicle(history)) {
        group = group.element(Level::NOTE.message(wrapped(one_line(&fact))));
    }
    let others: Vec<String> = findings[1..].iter().map(|other| occurrence(other, worst)).collect();
    if !others.is_empty() {
        let count = others.len();
        let noun = if count == 1 { "place" } else { "places" };
        group = group.element(Level::NOTE.message(format!("also in {count} more {noun}:\n{}", others.join("\n"))));
    }
    if worst.suppression.is_none() {
        group = group.element(Level::HELP.message(wrapped(advice(worst, findings_of_key))));
    }
    group
}

/// What to do: a root user's key has steps of its own, the commands for others are given once at the end.
fn advice(worst: &Finding, credential: &[&Finding]) -> String {
    if is_root(credential) {
        let numbered = (1..).zip(root_steps(worst)).map(|(n, step)| format!("{n}. {step}"));
        let title = "this key is the root user's; revoke it:".to_owned();
        return std::iter::once(title).chain(numbered).collect::<Vec<_>>().join("\n");
    }
    if has_steps(credential) {
        return "revoke the key, then check where it was used; the commands are below".to_owned();
    }
    first_sentence(&remedy(worst)).to_owned()
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
        remarks.push(finding.rule.texts().name.clone());
    }
    if let Some(history) = finding.history.as_ref().filter(|history| history.is_past()) {
        let commit = history.introduced.listed.first();
        remarks.push(commit.map_or("in history".into(), |commit| format!("in history, since {}", commit.oid.short())));
    }
    if remarks.is_empty() { place(finding) } else { format!("{} ({})", place(finding), remarks.join("; ")) }
}

/// All excerpts as one source; unknown lines are left blank, and the renderer folds them.
fn snippet(finding: &Finding) -> Snippet<'_, Annotation<'_>> {
    let first_line = finding.excerpts.first().map_or(1, |excerpt| excerpt.line);
    let mut source = String::new();
    let mut annotations = Vec::new();
    let mut line = first_line;
    let mut all_known = true;
    for excerpt in finding.excerpts.iter() {
        all_known &= excerpt.line <= line + 1;
        // Fill the gap, so that the next excerpt gets its real line number.
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
        (Matcher::Finder(Finder::MailsKey), _) => "sends the credential",
        (Matcher::Finder(Finder::RootUsage), _) => "the root user",
        (Matcher::Finder(Finder::RolesAnywhere), _) => "file of the private key",
        _ if is_secret => secret_noun(finding),
        (_, Some(id)) if id.text.len() == 20 => "access key id",
        _ => "user",
    }
}

fn summary(out: &mut dyn Write, report: &Report, credentials: &[Vec<&Finding>], options: &Options) -> io::Result<()> {
    // What is counted is what is shown: diagnostics, each as severe as its worst finding.
    let severity = |credential: &&Vec<&Finding>| credential.iter().map(|finding| finding.severity).max();
    let counts = [Severity::Error, Severity::Warning, Severity::Note]
        .map(|wanted| (credentials.iter().filter(|one| severity(one) == Some(wanted)).count(), wanted));
    let counts: Vec<_> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, severity)| plural(*n, &severity.to_string())).collect();
    let places = report.findings().filter(|finding| finding.judgement().is_none()).count();
    let is_complete = report.coverage.failures().next().is_none();
    if options.is_another_lost {
        write!(out, "a report could not be written; ")?;
    }
    match (counts.len(), is_complete) {
        (0, true) if options.is_another_lost => write!(out, "there are no findings")?,
        (0, true) => write!(out, "found nothing")?,
        (0, false) => write!(out, "the scan is incomplete; found nothing in what was scanned")?,
        (_, true) => write!(out, "found {}", counts.join(", "))?,
        (_, false) => write!(out, "the scan is incomplete; found {}", counts.join(", "))?,
    }
    if places > credentials.len() {
        write!(out, " in {}", plural(places, "place"))?;
    }
    let suppressed = suppressed_in_words(report);
    if !suppressed.is_empty() {
        let hint = if options.show_suppressed { "" } else { "; --show-suppressed lists them" };
        write!(out, "; not counted: {}{hint}", suppressed.join(", "))?;
    }
    writeln!(out)?;
    let coverage = &report.coverage;
    write!(out, "scanned {}", extent(coverage))?;
    if let Some(elapsed) = options.stats {
        write!(out, " in {:.3} s", elapsed.as_secs_f64())?;
    }
    let under: Vec<_> = report.config.iter().chain(&report.baseline).map(|file| one_line(&file.to_text())).collect();
    if !under.is_empty() {
        write!(out, "; using {}", under.join(", "))?;
    }
    let skipped = skipped_in_words(coverage);
    if !skipped.is_empty() {
        write!(out, "; not scanned: {}", skipped.join(", "))?;
    }
    writeln!(out)
}
