//! The report for programs: one JSON document, or JSON Lines. `schemas/report-2.schema.json` describes both.

use super::wording::{headline, moment, suppressed_by_reason};
use super::{Options, Report};
use crate::finding::BlobPath;
use crate::finding::Encoding;
use crate::finding::history::Reach;
use crate::finding::history::{Commit, Commits, History, Person};
use crate::finding::location::Location;
use crate::finding::message::{Message, Party};
use crate::finding::verification::{KeyStatus, Usage, Verification};
use crate::finding::{Finding, Judgement, Suppression, Value};
use crate::judge::inventory::Credential;
use crate::rule::Grade;
use crate::rule::Severity;
use crate::source::Skip;
use crate::text::sanitize::{write_json, write_json_pretty};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Incremented when a field is removed or changes its meaning; new fields may be added at any time.
pub const SCHEMA_VERSION: u32 = 2;

/// Writes the report as one document.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, options: &Options, out: &mut dyn io::Write) -> io::Result<()> {
    let document = Document {
        schema_version: SCHEMA_VERSION,
        tool: Tool::THIS,
        credentials: List(|| Credential::all(&report.findings).into_iter().map(|key| CredentialRecord::new(&key))),
        findings: List(|| report.findings().map(FindingRecord::new)),
        suppressed: options.show_suppressed.then_some(List(|| report.suppressed().map(FindingRecord::new))),
        skipped: List(|| report.coverage.skips.iter().map(SkipRecord::new)),
        summary: Summary::new(report, options),
    };
    write_json_pretty(out, &document)
}

/// Writes the report as JSON Lines: one line per finding (suppressed ones if requested), credential and skipped path,
/// then the summary.
///
/// # Errors
/// Those of `out`.
pub fn write_lines(report: &Report, options: &Options, out: &mut dyn io::Write) -> io::Result<()> {
    let suppressed = options.show_suppressed.then(|| report.suppressed());
    for finding in report.findings().chain(suppressed.into_iter().flatten()) {
        write_json(out, &Line::Finding(Box::new(FindingRecord::new(finding))))?;
    }
    for credential in &Credential::all(&report.findings) {
        write_json(out, &Line::Credential(CredentialRecord::new(credential)))?;
    }
    for skip in &report.coverage.skips {
        write_json(out, &Line::Skipped(SkipRecord::new(skip)))?;
    }
    let summary = Summary::new(report, options);
    write_json(out, &Line::Summary { schema_version: SCHEMA_VERSION, tool: Tool::THIS, summary })
}

/// A list that is made while it is written: the records of a million findings are never all in memory.
struct List<F>(F);

impl<I: Iterator<Item: Serialize>, F: Fn() -> I> Serialize for List<F> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<C: Serialize, F: Serialize, S: Serialize, K: Serialize> {
    schema_version: u32,
    tool: Tool,
    credentials: C,
    findings: F,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed: Option<S>,
    skipped: K,
    summary: Summary,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Line<'a> {
    Finding(Box<FindingRecord<'a>>),
    Credential(CredentialRecord),
    Skipped(SkipRecord<'a>),
    Summary {
        schema_version: u32,
        tool: Tool,
        #[serde(flatten)]
        summary: Summary,
    },
}

/// The program that wrote a document.
#[derive(Debug, Serialize)]
pub struct Tool {
    name: &'static str,
    version: &'static str,
}

impl Tool {
    /// This program.
    pub const THIS: Self = Self { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") };
}

/// One key. Its findings bear the same name.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CredentialRecord {
    name: String,
    severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    canary: bool,
    secret_known: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    proven: bool,
    occurrences: usize,
    files: usize,
    at_head: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    exposure: Option<ExposureRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authors: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    senders: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<String>,
    judgements: Vec<VerdictRecord>,
}

#[derive(Serialize)]
struct VerdictRecord {
    rule: String,
    grade: Grade,
    reasons: Vec<String>,
}

/// Maximum number of people named per credential, and per role of a message.
const MAX_PEOPLE: usize = 50;

impl CredentialRecord {
    fn new(credential: &Credential) -> Self {
        let all = || credential.occurrences.iter().chain(&credential.judgements);
        let people = |people: BTreeSet<String>| people.into_iter().take(MAX_PEOPLE).collect();
        let verdict = |finding: &&Finding| {
            let judgement = finding.judgement()?;
            let rule = finding.rule.id.to_string();
            Some(VerdictRecord { rule, grade: judgement.grade, reasons: judgement.reasons.clone() })
        };
        let exposure = credential.exposure().map(|(since, until)| ExposureRecord {
            since: moment(since),
            until: until.map(moment),
            days: credential.days().unwrap_or_default(),
        });
        Self {
            name: credential.name.clone(),
            severity: all().map(|finding| finding.severity).max().unwrap_or(Severity::Note),
            account: credential
                .occurrences
                .iter()
                .find_map(|finding| finding.account)
                .map(|account| account.to_string()),
            canary: credential.occurrences.iter().any(|finding| finding.is_canary),
            secret_known: credential.has_secret(),
            proven: credential.is_proven(),
            occurrences: credential.occurrences.len(),
            files: credential.file_count(),
            at_head: credential.is_current(),
            exposure,
            authors: people(credential.authors().into_iter().map(str::to_owned).collect()),
            senders: people(credential.senders()),
            recipients: people(credential.recipients()),
            judgements: credential.judgements.iter().filter_map(verdict).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingRecord<'a> {
    rule: &'a str,
    severity: Severity,
    message: String,
    #[serde(flatten)]
    path: PathRecord<'a>,
    location: Location,
    #[serde(skip_serializing_if = "Option::is_none")]
    outer_location: Option<Location>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<ValueRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<ValueRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    canary: bool,
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'a str>,
    /// Id and secret only probably belong together.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    doubtful: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<VerificationRecord<'a>>,
    excerpts: Vec<ExcerptRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppression: Option<SuppressionRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    judgement: Option<JudgementRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_context: Option<MessageRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<HistoryRecord<'a>>,
}

/// An answer about a key.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerificationRecord<'a> {
    status: KeyStatus,
    checked_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> VerificationRecord<'a> {
    pub(crate) fn new(answer: &'a Verification) -> Self {
        Self {
            status: answer.status,
            checked_at: moment(answer.checked),
            arn: answer.arn.as_deref(),
            account: answer.account.map(|account| account.to_string()),
            usage: answer.usage.as_ref(),
            reason: answer.reason.as_deref(),
        }
    }
}

impl<'a> FindingRecord<'a> {
    fn new(finding: &'a Finding) -> Self {
        let excerpts = finding.excerpts.iter().map(|excerpt| ExcerptRecord { line: excerpt.line, text: &excerpt.text });
        Self {
            rule: finding.rule.id.as_str(),
            severity: finding.severity,
            message: headline(finding),
            path: PathRecord::new(&finding.path),
            location: finding.location,
            outer_location: finding.outer.as_deref().copied(),
            id: finding.id().map(ValueRecord::new),
            secret: finding.secret().map(ValueRecord::new),
            account: finding.account.map(|account| account.to_string()),
            canary: finding.is_canary,
            fingerprint: finding.fingerprint.to_string(),
            note: finding.observation(),
            owner: finding.owner().map(|owner| OwnerRecord {
                name: &owner.name,
                kind: if owner.is_profile { "profile" } else { "user" },
            }),
            partner: finding.link().map(|link| PartnerRecord { id: &link.id, reason: &link.reason }),
            proof: finding.proof(),
            doubtful: finding.key().is_some_and(|key| key.is_doubtful && key.proof.is_none()),
            vendor: finding.key().and_then(|key| key.vendor),
            expires: finding.key().and_then(|key| key.expires).map(moment),
            verification: finding.verification().map(VerificationRecord::new),
            excerpts: excerpts.collect(),
            suppression: finding.suppression.as_deref().map(SuppressionRecord::new),
            judgement: finding.judgement().map(JudgementRecord::new),
            message_context: finding.message.as_deref().map(MessageRecord::new),
            history: finding.history.as_deref().map(HistoryRecord::new),
        }
    }
}

#[derive(Serialize)]
struct OwnerRecord<'a> {
    name: &'a str,
    kind: &'static str,
}

#[derive(Serialize)]
struct PartnerRecord<'a> {
    id: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JudgementRecord<'a> {
    grade: Grade,
    reasons: &'a [String],
    evidence: Vec<EvidenceRecord<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EvidenceRecord<'a> {
    #[serde(flatten)]
    path: PathRecord<'a>,
    location: Location,
    #[serde(skip_serializing_if = "Option::is_none")]
    outer_location: Option<Location>,
}

impl<'a> JudgementRecord<'a> {
    fn new(judgement: &'a Judgement) -> Self {
        let evidence = judgement.occurrences.iter().map(|place| EvidenceRecord {
            path: PathRecord::new(&place.path),
            location: place.location,
            outer_location: place.outer,
        });
        Self { grade: judgement.grade, reasons: &judgement.reasons, evidence: evidence.collect() }
    }
}

/// Empty strings and lists are omitted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageRecord<'a> {
    medium: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    from: Vec<PartyRecord<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sender: Vec<PartyRecord<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    reply_to: Vec<PartyRecord<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    to: Vec<PartyRecord<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    cc: Vec<PartyRecord<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    bcc: Vec<PartyRecord<'a>>,
    /// Only if there are more than are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    addressee_count: Option<usize>,
    #[serde(skip_serializing_if = "str::is_empty")]
    list_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    date: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<ChannelRecord<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    from_outside: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    guests: Vec<PartyRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outer: Option<Box<MessageRecord<'a>>>,
}

#[derive(Serialize)]
struct PartyRecord<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    address: &'a str,
}

#[derive(Serialize)]
struct ChannelRecord<'a> {
    name: &'a str,
    external: bool,
}

impl<'a> MessageRecord<'a> {
    fn new(message: &'a Message) -> Self {
        let parties = |parties: &'a [Party]| {
            let shown = parties.iter().take(MAX_PEOPLE);
            shown.map(|party| PartyRecord { name: &party.name, address: &party.address }).collect()
        };
        Self {
            medium: message.medium.word(),
            from: parties(&message.from),
            sender: parties(&message.sender),
            reply_to: parties(&message.reply_to),
            to: parties(&message.to),
            cc: parties(&message.cc),
            bcc: parties(&message.bcc),
            addressee_count: Some(message.addressees().count()).filter(|count| *count > MAX_PEOPLE),
            list_id: &message.list_id,
            date: &message.date,
            subject: &message.subject,
            id: &message.id,
            channel: message
                .channel
                .as_ref()
                .map(|channel| ChannelRecord { name: &channel.name, external: channel.is_external }),
            from_outside: message.is_from_outside,
            guests: parties(&message.guests),
            outer: message.outer.as_deref().map(|outer| Box::new(Self::new(outer))),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryRecord<'a> {
    object: String,
    kind: &'static str,
    reach: &'static str,
    at_head: bool,
    in_tree: bool,
    refs: &'a [String],
    ref_count: usize,
    introduced: CommitsRecord<'a>,
    removed: CommitsRecord<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<CommitRecord<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shallow: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    exposure: Option<ExposureRecord>,
}

impl<'a> HistoryRecord<'a> {
    fn new(history: &'a History) -> Self {
        Self {
            object: history.object.to_string(),
            kind: history.kind.name(),
            reach: match history.reach {
                Reach::Head => "head",
                Reach::Refs => "refs",
                Reach::Index => "index",
                Reach::Reflog => "reflog",
                Reach::Unreachable => "unreachable",
            },
            at_head: history.is_at_head,
            in_tree: history.is_in_tree,
            refs: &history.refs,
            ref_count: history.ref_count,
            introduced: CommitsRecord::new(&history.introduced),
            removed: CommitsRecord::new(&history.removed),
            last: history.last.as_deref().map(CommitRecord::new),
            shallow: history.is_cut,
            exposure: history.exposure.as_ref().map(|exposure| ExposureRecord {
                since: moment(exposure.since),
                until: exposure.until.map(moment),
                days: exposure.days,
            }),
        }
    }
}

#[derive(Serialize)]
struct CommitsRecord<'a> {
    count: usize,
    commits: Vec<CommitRecord<'a>>,
}

impl<'a> CommitsRecord<'a> {
    fn new(commits: &'a Commits) -> Self {
        Self { count: commits.count, commits: commits.listed.iter().map(|commit| CommitRecord::new(commit)).collect() }
    }
}

#[derive(Serialize)]
struct CommitRecord<'a> {
    id: String,
    author: PersonRecord<'a>,
    committer: PersonRecord<'a>,
    subject: &'a str,
}

impl<'a> CommitRecord<'a> {
    fn new(commit: &'a Commit) -> Self {
        let person =
            |person: &'a Person| PersonRecord { name: &person.name, email: &person.email, time: moment(person.time) };
        Self {
            id: commit.oid.to_string(),
            author: person(&commit.author),
            committer: person(&commit.committer),
            subject: &commit.subject,
        }
    }
}

#[derive(Serialize)]
struct PersonRecord<'a> {
    name: &'a str,
    email: &'a str,
    time: String,
}

#[derive(Serialize)]
struct ExposureRecord {
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    days: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PathRecord<'a> {
    path: std::borrow::Cow<'a, str>,
    /// Only where `path` is not exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inside: Vec<std::borrow::Cow<'a, str>>,
}

impl<'a> PathRecord<'a> {
    fn new(path: &'a BlobPath) -> Self {
        let file = path.file();
        let exact = std::str::from_utf8(file).is_ok();
        Self {
            path: String::from_utf8_lossy(file),
            path_base64: (!exact).then(|| data_encoding::BASE64.encode(file)),
            inside: path.inside().iter().map(|name| String::from_utf8_lossy(name)).collect(),
        }
    }
}

#[derive(Serialize)]
struct ValueRecord<'a> {
    value: &'a str,
    location: Location,
    encodings: &'a [Encoding],
}

impl<'a> ValueRecord<'a> {
    fn new(value: &'a Value) -> Self {
        Self { value: &value.text, location: value.location, encodings: &value.encodings }
    }
}

#[derive(Serialize)]
struct ExcerptRecord<'a> {
    line: u32,
    text: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum SuppressionRecord<'a> {
    Documented,
    Placeholder,
    Inline {
        line: u32,
        #[serde(skip_serializing_if = "str::is_empty")]
        reason: &'a str,
    },
    Allowlist {
        place: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        reason: &'a str,
    },
    Baseline {
        place: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        reason: &'a str,
    },
}

impl<'a> SuppressionRecord<'a> {
    fn new(suppression: &'a Suppression) -> Self {
        use crate::finding::Dummy;
        match suppression {
            Suppression::Dummy(Dummy::Documented) => Self::Documented,
            Suppression::Dummy(Dummy::Placeholder) => Self::Placeholder,
            Suppression::Inline { line, reason } => Self::Inline { line: *line, reason },
            Suppression::Allowlist { place, reason } => Self::Allowlist { place, reason },
            Suppression::Baseline { place, reason } => Self::Baseline { place, reason },
        }
    }
}

#[derive(Serialize)]
struct SkipRecord<'a> {
    #[serde(flatten)]
    path: PathRecord<'a>,
    cause: &'static str,
    failure: bool,
    message: String,
}

impl<'a> SkipRecord<'a> {
    fn new(skip: &'a Skip) -> Self {
        let cause = &skip.cause;
        let message = cause.to_string();
        Self { path: PathRecord::new(&skip.path), cause: cause.word(), failure: cause.is_failure(), message }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    complete: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    config: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<String>,
    files: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<InsideSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<HistorySummary>,
    findings: BTreeMap<String, usize>,
    suppressed: BTreeMap<&'static str, usize>,
    skipped: BTreeMap<&'static str, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Stats>,
}

#[derive(Serialize)]
struct InsideSummary {
    blobs: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct HistorySummary {
    commits: u64,
    objects: u64,
    bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    elapsed_seconds: f64,
}

impl Summary {
    fn new(report: &Report, options: &Options) -> Self {
        let severities = [Severity::Error, Severity::Warning, Severity::Note];
        let [documented, placeholder, inline, allowlist, baseline] = suppressed_by_reason(report);
        Self {
            complete: report.coverage.failures().next().is_none(),
            config: report.config.iter().map(|path| path.to_text().into_owned()).collect(),
            baseline: report.baseline.as_ref().map(|path| path.to_text().into_owned()),
            files: report.coverage.files,
            bytes: report.coverage.bytes,
            inside: (report.coverage.inner_blobs > 0)
                .then_some(InsideSummary { blobs: report.coverage.inner_blobs, bytes: report.coverage.inner_bytes }),
            history: (report.coverage.objects > 0).then_some(HistorySummary {
                commits: report.coverage.commits,
                objects: report.coverage.objects,
                bytes: report.coverage.object_bytes,
            }),
            findings: severities.iter().map(|severity| (severity.to_string(), report.count(*severity))).collect(),
            suppressed: [
                ("documented", documented),
                ("placeholder", placeholder),
                ("inline", inline),
                ("allowlist", allowlist),
                ("baseline", baseline),
            ]
            .into(),
            skipped: report.coverage.skips_by_cause(),
            stats: options.stats.map(|elapsed| Stats { elapsed_seconds: elapsed.as_secs_f64() }),
        }
    }
}
