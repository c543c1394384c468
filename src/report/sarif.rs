//! The report for code hosts: [SARIF 2.1.0](https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html), within what
//! [GitHub code scanning](https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning)
//! accepts.
//!
//! GitHub opens an alert for a suppressed result too, so suppressed findings are written only on request. Its own
//! `primaryLocationLineHash` is left to its uploader, which computes it from the file.

use super::uri::UriBase;
use super::wording::{chronicle, correspondence, headline, remarks, remedy, secret_noun};
use super::{Options, Report, worst_first};
use crate::finding::BlobPath;
use crate::finding::history::Commits;
use crate::finding::location::Location as Place;
use crate::finding::path::INSIDE;
use crate::finding::{Finding, Judgement, Suppression as Reason};
use crate::git::repository::Facts;
use crate::rule::{AWS, Rule, Severity};
use crate::source::Skip;
use crate::text::sanitize::write_json_pretty;
use serde_json::json;
use serde_sarif::sarif::{
    ArtifactLocation, Invocation, Location, LogicalLocation, Message, MultiformatMessageString, Notification,
    PhysicalLocation, PropertyBag, Region, ReportingConfiguration, ReportingDescriptor, ReportingDescriptorReference,
    Result, ResultLevel, Run, RunAutomationDetails, Sarif, Suppression, Tool, ToolComponent, VersionControlDetails,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::Arc;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The name of the base of relative URIs.
const ROOT: &str = "SRCROOT";

/// Key of keyspill's own fingerprint, with the version of its algorithm.
const FINGERPRINT: &str = "keyspillValue/v1";

/// Maximum number of results that GitHub accepts per run.
const MAX_RESULTS: usize = 25_000;

/// Maximum number of related locations per result; GitHub does not show more usefully.
const MAX_OCCURRENCES: usize = 20;

/// Writes the report as a SARIF document.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, options: &Options, out: &mut dyn io::Write) -> io::Result<()> {
    let base = &options.base;
    let mut runs = vec![run(report, options, base, Category::Present)];
    // A code host tracks alerts per category, and closes those that are no longer in it.
    let has_past =
        report.findings().chain(report.suppressed()).any(|finding| Category::from_finding(finding) == Category::Past);
    if has_past || !report.repositories.is_empty() {
        runs.push(run(report, options, base, Category::Past));
    }
    let sarif = Sarif::builder().schema(SCHEMA).version(json!("2.1.0")).runs(runs).build();
    write_json_pretty(out, &sarif)
}

/// Which findings a SARIF run contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Category {
    /// Findings in current files.
    Present,
    /// Findings that are only in a repository's history, not in current files.
    Past,
}

impl Category {
    fn from_finding(finding: &Finding) -> Self {
        let is_past = finding.history.as_ref().is_some_and(|history| history.is_past());
        if is_past { Self::Past } else { Self::Present }
    }

    /// The id, as `category/run`: see [`RunAutomationDetails`].
    fn id(self) -> &'static str {
        match self {
            Self::Present => "keyspill/",
            Self::Past => "keyspill-history/",
        }
    }
}

fn run(report: &Report, options: &Options, base: &UriBase, category: Category) -> Run {
    let occurrences = Occurrences::new(report);
    let shown: &[Box<Finding>] = if options.sarif_suppressed { &report.suppressed } else { &[] };
    let mut findings: Vec<_> =
        worst_first(report).into_iter().filter(|finding| Category::from_finding(finding) == category).collect();
    let left_out = findings.len().saturating_sub(MAX_RESULTS);
    if left_out > 0 {
        findings.truncate(MAX_RESULTS);
    }
    findings.sort_by(|a, b| a.order(b));
    let left = MAX_RESULTS - findings.len();
    findings.extend(
        shown
            .iter()
            .map(AsRef::as_ref)
            .filter(|finding: &&Finding| Category::from_finding(finding) == category)
            .take(left),
    );
    let rules = listed_rules(report, &findings);
    let mut results: Vec<_> = findings.into_iter().map(|finding| result(finding, report, &occurrences, base)).collect();
    let places: HashMap<&str, usize> = rules.iter().enumerate().map(|(n, rule)| (rule.id.as_str(), n)).collect();
    for result in &mut results {
        let place = result.rule_id.as_deref().and_then(|id| places.get(id));
        result.rule_index = place.map(|place| *place as i64);
    }
    let root = ArtifactLocation::builder().description(message("The root of the scanned files.")).build();
    let mut run = Run::builder()
        .tool(Tool::builder().driver(driver(&rules)).build())
        .invocations(vec![invocation(report, options, base, left_out)])
        .column_kind(json!("utf16CodeUnits"))
        .automation_details(RunAutomationDetails::builder().id(category.id()).build())
        .original_uri_base_ids(BTreeMap::from([(ROOT.to_owned(), root)]))
        .results(results)
        .build();
    let provenance: Vec<_> = report.repositories.iter().map(|(path, facts)| provenance(path, facts, base)).collect();
    run.version_control_provenance = (!provenance.is_empty()).then_some(provenance);
    run
}

fn provenance(path: &BlobPath, facts: &Facts, base: &UriBase) -> VersionControlDetails {
    // A repository without a remote URL is identified by its path.
    let uri = facts.url.clone().filter(|url| url.contains("://")).unwrap_or_else(|| base.absolute_uri(path));
    let mut details = VersionControlDetails::builder().repository_uri(uri).build();
    details.revision_id = facts.head.map(|head| head.to_string());
    details.branch.clone_from(&facts.branch);
    let (root, is_relative) = base.uri(path);
    if is_relative && root.is_empty() {
        details.mapped_to = Some(ArtifactLocation::builder().uri_base_id(ROOT).build());
    }
    details
}

/// The rules that a run lists: all of AWS's and the user's, and of the hundreds of others those with results.
fn listed_rules<'a>(report: &'a Report, findings: &[&Finding]) -> Vec<&'a Arc<Rule>> {
    let used: HashSet<&str> = findings.iter().map(|finding| finding.rule.id.as_str()).collect();
    let is_listed = |rule: &&Arc<Rule>| rule.pack.is_none_or(|pack| pack == AWS) || used.contains(rule.id.as_str());
    report.rules.iter().filter(is_listed).collect()
}

fn driver(rules: &[&Arc<Rule>]) -> ToolComponent {
    let causes = [
        ("skipped-missing", "A given path does not exist."),
        ("skipped-unreadable", "A file or directory could not be read."),
        ("skipped-too-large", "A file over the size limit was not scanned."),
        ("skipped-git-ignored", "Files that git ignores were not scanned."),
        ("skipped-symlink", "Symbolic links were not followed."),
        ("skipped-special", "Sockets, pipes and devices were not scanned."),
        ("skipped-too-many", "A file contains more findings than are reported for one file."),
        ("skipped-no-repository", "A given repository could not be opened."),
        ("skipped-no-commits", "The requested changes could not be determined."),
        ("skipped-more-unreadable", "More objects of a repository could not be read."),
        ("skipped-too-many-paths", "A history has more paths than are tracked."),
        ("skipped-not-fetched", "Objects of a partial clone were never fetched."),
        ("skipped-shallow", "The commits before those of a shallow clone were never fetched."),
        ("skipped-no-submodule", "A submodule was never fetched."),
        ("skipped-damaged", "An archive, document or mailbox is damaged and was scanned in part."),
        ("skipped-encrypted", "Something encrypted in an archive or document was not scanned."),
        ("skipped-unsupported", "An archive is packed in a way that keyspill cannot unpack."),
        ("skipped-no-text", "The text of a document could not be read."),
        ("skipped-over-limit", "An archive is over a limit and was scanned in part."),
        ("skipped-more-entries", "More entries of an archive were not scanned."),
        ("skipped-not-opened", "Archives were not unpacked, as requested."),
        ("skipped-results", "There are more results than code hosts accept."),
        ("skipped-internal", "A file was not scanned because of an internal error."),
    ];
    let notification = |(id, text): (&str, &str)| {
        ReportingDescriptor::builder()
            .id(id)
            .name(pascal_case(id))
            .short_description(words(text))
            .full_description(words(text))
            .help(words(
                "The run's invocation lists what was not scanned, and says whether the scan still counts as complete.",
            ))
            .build()
    };
    ToolComponent::builder()
        .name(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .semantic_version(env!("CARGO_PKG_VERSION"))
        .rules(rules.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>())
        .notifications(causes.map(notification).to_vec())
        .build()
}

fn descriptor(rule: &Rule) -> ReportingDescriptor {
    let help = format!("{}\n\nWhat to do: {}", rule.texts().why.trim(), rule.texts().remedy.trim());
    let links: String = rule.texts().references.iter().map(|link| format!("\n- <{link}>")).collect();
    let markdown = format!("{}\n\n**What to do.** {}\n{links}", rule.texts().why.trim(), rule.texts().remedy.trim());
    let properties = PropertyBag::builder()
        .tags(vec!["security".to_owned(), "secrets".to_owned()])
        .additional_properties(BTreeMap::from([
            ("precision".to_owned(), json!(rule.precision)),
            ("security-severity".to_owned(), json!(format!("{:.1}", rule.security_severity))),
        ]))
        .build();
    let mut descriptor = ReportingDescriptor::builder()
        .id(rule.id.as_str())
        .name(pascal_case(rule.id.as_str()))
        .short_description(words(&sentence(&rule.texts().name)))
        .full_description(words(&sentence(rule.texts().description.trim())))
        .default_configuration(ReportingConfiguration::builder().level(json!(rule.severity)).build())
        .help(MultiformatMessageString::builder().text(help).markdown(markdown).build())
        .properties(properties)
        .build();
    descriptor.help_uri = rule.texts().references.first().cloned();
    descriptor
}

fn result(finding: &Finding, report: &Report, occurrences: &Occurrences, base: &UriBase) -> Result {
    if let Some(judgement) = finding.judgement() {
        return judged(finding, judgement, report, base);
    }
    let mut text = format!("{}.", headline(finding));
    if !finding.path.inside().is_empty() {
        let names: Vec<_> = finding.path.inside().iter().map(|name| shown(name)).collect();
        text = format!("{text} It is in {}, line {}.", names.join(INSIDE), finding.location.start_line);
    }
    let mut related = Vec::new();
    if let (Some(_), Some(secret)) = (finding.id(), finding.secret()) {
        let noun = secret_noun(finding);
        text = format!("{text} Its [{noun}](1) is on line {}.", secret.location.start_line);
        related.push(numbered(
            1,
            location(&finding.path, Some(&secret.location), finding.outer.as_deref(), base),
            noun,
        ));
    }
    let (others, count) = occurrences.other_than(finding);
    if count > 0 {
        let shown = others.iter().enumerate().map(|(n, other)| {
            let number = related.len() as i64 + 1;
            let place = location(&other.path, Some(&other.location), other.outer.as_deref(), base);
            related.push(numbered(number, place, "the same credential"));
            let comma = if n > 0 { ", " } else { "" };
            format!("{comma}[{}:{}]({number})", link_text(&other.path), other.location.start_line)
        });
        let shown: String = shown.collect();
        let more = count - others.len();
        let more = if more > 0 { format!(" and {more} more places") } else { String::new() };
        text = format!("{text} It is also at {shown}{more}.");
    }
    for remark in remarks(finding)
        .into_iter()
        .chain(finding.message.iter().map(|message| correspondence(message)))
        .chain(finding.history.iter().flat_map(|history| chronicle(history)))
    {
        text = format!("{text} {}", crate::text::sanitize::one_line(&remark));
    }
    if finding.suppression.is_none() && finding.id().is_some() {
        text = format!("{text} {}", super::wording::first_sentence(&remedy(finding)));
    }
    let mut result = bare(finding, &text, related, report, base);
    result.suppressions = finding.suppression.as_deref().map(|reason| vec![suppression(reason)]);
    result.properties = properties(finding);
    result
}

/// The account and the history of a finding.
fn properties(finding: &Finding) -> Option<PropertyBag> {
    let mut properties = BTreeMap::new();
    if let Some(account) = finding.account {
        properties.insert("account".to_owned(), json!(account.to_string()));
        properties.insert("canary".to_owned(), json!(finding.is_canary));
    }
    if let Some(history) = &finding.history {
        let names =
            |commits: &Commits| json!(commits.listed.iter().map(|commit| commit.oid.to_string()).collect::<Vec<_>>());
        properties.insert("introducedBy".to_owned(), names(&history.introduced));
        properties.insert("removedBy".to_owned(), names(&history.removed));
        properties.insert("exposedDays".to_owned(), json!(history.exposure.map(|exposure| exposure.days)));
    }
    (!properties.is_empty()).then(|| PropertyBag::builder().additional_properties(properties).build())
}

/// A result with the given text, at the finding's location.
fn bare(finding: &Finding, text: &str, related: Vec<Location>, report: &Report, base: &UriBase) -> Result {
    let level = match finding.severity {
        Severity::Note => ResultLevel::Note,
        Severity::Warning => ResultLevel::Warning,
        Severity::Error => ResultLevel::Error,
    };
    let mut result = Result::builder()
        .rule_id(finding.rule.id.as_str())
        .level(level)
        .message(message(text))
        .locations(vec![location(&finding.path, Some(&finding.location), finding.outer.as_deref(), base)])
        .partial_fingerprints(BTreeMap::from([(FINGERPRINT.to_owned(), finding.fingerprint.to_string())]))
        .build();
    // Relative to the baseline, if there is one.
    let is_accepted = matches!(finding.suppression.as_deref(), Some(Reason::Baseline { .. }));
    let state = if is_accepted { "unchanged" } else { "new" };
    result.baseline_state = report.baseline.as_ref().map(|_| json!(state));
    result.related_locations = (!related.is_empty()).then_some(related);
    result
}

/// The result for a judgement, with the locations of its evidence.
fn judged(finding: &Finding, judgement: &Judgement, report: &Report, base: &UriBase) -> Result {
    let mut text = format!("{}.", headline(finding));
    for reason in &judgement.reasons {
        text = format!("{text} {}", crate::text::sanitize::one_line(reason));
    }
    let mut related = Vec::new();
    let places = judgement.occurrences.iter().take(MAX_OCCURRENCES).map(|place| {
        let number = related.len() as i64 + 1;
        let at = location(&place.path, Some(&place.location), place.outer.as_ref(), base);
        related.push(numbered(number, at, "the key"));
        format!("[{}:{}]({number})", link_text(&place.path), place.location.start_line)
    });
    let places = places.collect::<Vec<_>>().join(", ");
    text = format!("{text} It is at {places}. {}", super::wording::first_sentence(&remedy(finding)));
    let mut result = bare(finding, &text, related, report, base);
    let properties = BTreeMap::from([("grade".to_owned(), json!(judgement.grade))]);
    result.properties = Some(PropertyBag::builder().additional_properties(properties).build());
    result
}

fn suppression(reason: &Reason) -> Suppression {
    match reason {
        Reason::Dummy(dummy) => {
            let text = sentence(&format!("It is {}", dummy.describe()));
            Suppression::builder().kind(json!("external")).status(json!("accepted")).justification(text).build()
        }
        Reason::Allowlist { place, reason } | Reason::Baseline { place, reason } => {
            let text = if reason.is_empty() { format!("Allowed by {place}.") } else { reason.clone() };
            Suppression::builder().kind(json!("external")).status(json!("accepted")).justification(text).build()
        }
        Reason::Inline { line, reason } => {
            let text =
                if reason.is_empty() { format!("Allowed by the comment on line {line}.") } else { reason.clone() };
            Suppression::builder().kind(json!("inSource")).status(json!("accepted")).justification(text).build()
        }
    }
}

fn invocation(report: &Report, options: &Options, base: &UriBase, left_out: usize) -> Invocation {
    let coverage = &report.coverage;
    let mut notifications: Vec<_> =
        coverage.skips.iter().filter(|skip| !skip.cause.is_of_many()).map(|skip| notification(skip, base)).collect();
    if left_out > 0 {
        let text =
            format!("The {left_out} least severe results are left out: code hosts accept at most {MAX_RESULTS}.");
        notifications.push(
            Notification::builder()
                .level(json!("warning"))
                .message(message(&text))
                .descriptor(reference("results"))
                .build(),
        );
    }
    let few = coverage.skips.iter().filter(|skip| skip.cause.is_of_many());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    few.for_each(|skip| *counts.entry(skip.cause.word()).or_default() += 1);
    for (word, count) in counts {
        let text = format!("Not scanned: {count} {word}.");
        notifications.push(
            Notification::builder().level(json!("note")).message(message(&text)).descriptor(reference(word)).build(),
        );
    }
    let mut invocation = Invocation::builder().execution_successful(coverage.failures().next().is_none()).build();
    invocation.tool_execution_notifications = (!notifications.is_empty()).then_some(notifications);
    let mut facts =
        BTreeMap::from([("files".to_owned(), json!(coverage.files)), ("bytes".to_owned(), json!(coverage.bytes))]);
    if let Some(elapsed) = options.stats {
        facts.insert("elapsedSeconds".to_owned(), json!(elapsed.as_secs_f64()));
    }
    invocation.properties = Some(PropertyBag::builder().additional_properties(facts).build());
    invocation
}

fn notification(skip: &Skip, base: &UriBase) -> Notification {
    let level = if skip.cause.is_failure() { "error" } else { "note" };
    let text = format!("{}: {}.", crate::text::sanitize::one_line(&skip.path.to_text()), skip.cause);
    Notification::builder()
        .level(json!(level))
        .message(message(&text))
        .descriptor(reference(skip.cause.word()))
        .locations(vec![location(&skip.path, None, None, base)])
        .build()
}

fn reference(cause: &str) -> ReportingDescriptorReference {
    ReportingDescriptorReference::builder().id(format!("skipped-{cause}")).build()
}

/// The location of `place` in a blob. For a blob in a container, code hosts only know the outer file: its region is
/// `outer`, if the value can be read there as it is.
fn location(path: &BlobPath, place: Option<&Place>, outer: Option<&Place>, base: &UriBase) -> Location {
    let (uri, is_relative) = base.uri(path);
    let mut artifact = ArtifactLocation::builder().uri(uri).build();
    artifact.uri_base_id = is_relative.then(|| ROOT.to_owned());
    let mut physical = PhysicalLocation::builder().artifact_location(artifact).build();
    let Some(name) = path.inside().last() else {
        physical.region = place.map(region);
        return Location::builder().physical_location(physical).build();
    };
    physical.region = place.map(|_| outer.map_or_else(|| Region::builder().start_line(1).build(), region));
    let at = place.map_or_else(String::new, |place| format!(":{}:{}", place.start_line, place.start_column));
    let logical = LogicalLocation::builder()
        .name(shown(name))
        .fully_qualified_name(path.inside().iter().map(|name| shown(name)).collect::<Vec<_>>().join(INSIDE) + &at)
        .kind("resource")
        .build();
    Location::builder().physical_location(physical).logical_locations(vec![logical]).build()
}

fn region(place: &Place) -> Region {
    Region::builder()
        .start_line(i64::from(place.start_line))
        .start_column(i64::from(place.start_column))
        .end_line(i64::from(place.end_line))
        .end_column(i64::from(place.end_column))
        .byte_offset(i64::try_from(place.byte_offset).unwrap_or(i64::MAX))
        .byte_length(i64::from(place.byte_length))
        .build()
}

fn numbered(id: i64, mut location: Location, text: &str) -> Location {
    location.id = Some(id);
    location.message = Some(message(&sentence(text)));
    location
}

/// A path as the text of a link in a message. Brackets and backslashes are escaped.
fn link_text(path: &BlobPath) -> String {
    let text = crate::text::sanitize::one_line(&path.to_text());
    text.replace('\\', r"\\").replace('[', r"\[").replace(']', r"\]")
}

/// The name of a container entry, made safe to show.
fn shown(name: &[u8]) -> String {
    crate::text::sanitize::one_line(&String::from_utf8_lossy(name))
}

fn message(text: &str) -> Message {
    Message::builder().text(text).build()
}

fn words(text: &str) -> MultiformatMessageString {
    MultiformatMessageString::builder().text(text).build()
}

/// Adds a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let stop = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

fn pascal_case(kebab: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
    };
    kebab.split('-').map(capital).collect()
}

/// All findings of each credential.
struct Occurrences<'a>(HashMap<Cow<'a, str>, Vec<&'a Finding>>);

impl<'a> Occurrences<'a> {
    fn new(report: &'a Report) -> Self {
        let mut map: HashMap<Cow<str>, Vec<&Finding>> = HashMap::new();
        for finding in report.findings().filter(|finding| finding.judgement().is_none()) {
            map.entry(finding.credential()).or_default().push(finding);
        }
        Self(map)
    }

    /// The first few other findings of the credential, and how many others there are.
    fn other_than(&self, finding: &Finding) -> (Vec<&'a Finding>, usize) {
        let all = self.0.get(&finding.credential()).map(Vec::as_slice).unwrap_or_default();
        let others = || all.iter().copied().filter(|other| !std::ptr::eq(*other, finding));
        let is_known = all.iter().any(|other| std::ptr::eq(*other, finding));
        (others().take(MAX_OCCURRENCES).collect(), all.len() - usize::from(is_known))
    }
}
