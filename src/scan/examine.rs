//! Looking at one blob: what is found in it and in what it holds, where that is, and what speaks for and against it.

use super::hidden;
use crate::detect::comment::Comment;
use crate::detect::{Candidate, Detector};
use crate::finding::excerpt::Excerpts;
use crate::finding::location::{Location, Locations};
use crate::finding::{self, Finding, mask};
use crate::judge::root;
use crate::policy::inline::{self, Allow};
use crate::report::uri::to_path;
use crate::rule::Finder;
use crate::source::chat::{self, slack};
use crate::source::container::format::Format;
use crate::source::container::limits::Limits;
use crate::source::container::{Content, Place, Unpacker};
use crate::source::message::Message;
use crate::source::{Blob, BlobPath, Context, Item, SizeLimit, Skip, SkipCause};
use secrecy::ExposeSecret;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What is read of a table of users or channels, in bytes.
const MOST_TABLE: u64 = 64 << 20;

/// What one file holds.
#[derive(Debug, Default)]
pub struct Examined {
    /// In no particular order.
    pub findings: Vec<Finding>,
    /// What of it was not scanned.
    pub skips: Vec<Skip>,
    /// How many blobs were in it.
    pub blobs: u64,
    /// And how many bytes they had.
    pub bytes: u64,
}

impl Examined {
    fn add(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.skips.extend(other.skips);
        self.blobs += other.blobs;
        self.bytes += other.bytes;
    }

    fn skipped(path: BlobPath, cause: SkipCause) -> Self {
        Self { skips: vec![Skip { path, cause }], ..Self::default() }
    }
}

/// Looks at blobs. Shared by all threads.
#[derive(Debug)]
pub struct Examiner<'a> {
    detector: &'a Detector,
    show_secrets: bool,
    limits: Limits,
    size: SizeLimit,
    archives: bool,
    exports: Mutex<HashMap<PathBuf, Option<Arc<slack::Export>>>>,
}

impl<'a> Examiner<'a> {
    /// Looks for what `detector` finds, in what [`Limits`] allow. With `archives`, also in them.
    pub fn new(detector: &'a Detector, show_secrets: bool, limits: Limits, size: SizeLimit, archives: bool) -> Self {
        Self { detector, show_secrets, limits, size, archives, exports: Mutex::default() }
    }

    /// What it looks for.
    pub fn detector(&self) -> &'a Detector {
        self.detector
    }

    /// What is in a blob, and in what it holds.
    pub fn blob(&self, blob: &Blob) -> Examined {
        let outer = Self::guarded(&blob.path, || self.alone(blob));
        let Some(format) = Format::of_all(blob.bytes) else { return outer };
        let mut all = self.container(&blob.path, format, Content::Bytes(blob.bytes), Some(blob.bytes.len() as u64));
        let own = reconcile(outer.findings, &mut all.findings);
        all.add(Examined { findings: own, ..outer });
        all
    }

    /// What is in a container of `size` bytes, if that is known.
    pub fn container(&self, path: &BlobPath, format: Format, content: Content, size: Option<u64>) -> Examined {
        let found = Mutex::new(Examined::default());
        let take = |item: Item| {
            let examined = match item {
                Item::Blob(inner) => {
                    let examined = Self::guarded(&inner.path, || self.alone(&inner));
                    Examined { blobs: 1, bytes: inner.bytes.len() as u64, ..examined }
                }
                Item::Skip(skip) => Examined { skips: vec![skip], ..Examined::default() },
                Item::Container(..) => unreachable!("an unpacker opens what it meets"),
            };
            found.lock().unwrap_or_else(PoisonError::into_inner).add(examined);
        };
        Unpacker::new(&self.limits, size, self.size, self.archives, &take).open(
            format,
            &Place::outermost(path.clone()),
            content,
        );
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.findings.sort_by(Finding::order);
        found
    }

    /// A bug that one file brings out must not cost the scan of all others, nor pass unseen.
    fn guarded(path: &BlobPath, examine: impl FnOnce() -> Examined) -> Examined {
        catch_unwind(AssertUnwindSafe(examine)).unwrap_or_else(|_| Examined::skipped(path.clone(), SkipCause::Internal))
    }

    /// What is in the bytes of a blob as they are.
    fn alone(&self, blob: &Blob) -> Examined {
        let Blob { path, bytes, .. } = blob;
        let detection = self.detector.detect(bytes, Some(path.innermost()));
        if detection.candidates.is_empty() && detection.comments.is_empty() {
            return Examined::default();
        }
        let path = Arc::new(path.clone());
        let comments = detection.comments.iter().map(|comment| comment.span.clone());
        let spans = detection.candidates.iter().flat_map(Candidate::spans);
        let locations = Locations::new(bytes, spans.chain(comments));
        let excerpts = Excerpts::new(bytes, &detection, &locations, self.show_secrets);
        let mut findings = finding::findings(&path, &detection, &excerpts, &locations);
        let rules = self.detector.rules();
        let mut secrets: Vec<_> =
            detection.candidates.iter().filter_map(|candidate| candidate.secret.as_ref()).collect();
        secrets.sort_by_key(|secret| secret.span.start);
        let read = |comment: &Comment| {
            let mut allow = Allow::read(comment, &locations, rules)?;
            if !self.show_secrets {
                // The reason is the rest of the line, which may hold the very key that is allowed.
                let first = secrets.partition_point(|secret| secret.span.start < comment.span.start);
                let reach = comment.span.end + 2 * comment.text.len();
                let on_line = secrets[first..].iter().take_while(|secret| secret.span.start < reach);
                allow.reason = mask::redact(&allow.reason, on_line.map(|secret| secret.value.expose_secret()));
            }
            Some(allow)
        };
        let allows = detection.comments.iter().filter_map(read).collect();
        let unused = inline::apply(allows, &mut findings);
        if let Some(rule) = rules.of_finder(Finder::UnusedAllow) {
            findings.extend(
                unused.iter().map(|allow| finding::unused_allow(rule, &path, &allow.span, &excerpts, &locations)),
            );
        }
        note_root_signs(blob, &mut findings);
        self.attach_messages(blob, &mut findings);
        let cut = detection.is_cut.then(|| Skip { path: (*path).clone(), cause: SkipCause::TooMany });
        Examined { findings, skips: cut.into_iter().collect(), ..Examined::default() }
    }

    /// Tells in whose message each finding is, if it is in one.
    fn attach_messages(&self, blob: &Blob, findings: &mut [Finding]) {
        if let Some(Context::Message(message)) = &blob.context {
            let message = Arc::new(self.shown(message));
            findings.iter_mut().for_each(|finding| finding.message = Some(message.clone()));
            return;
        }
        findings.sort_by_key(|finding| finding.location.byte_offset);
        let offsets: Vec<usize> = findings.iter().map(|finding| finding.location.byte_offset).collect();
        let path = blob.path.innermost();
        let export = match &blob.context {
            Some(Context::Slack(export)) => Some(export.clone()),
            _ => self.export_of(&blob.path),
        };
        let messages = match export.filter(|_| slack::is_day(path)) {
            Some(export) => export.messages(path, blob.bytes, &offsets),
            None => chat::messages(blob.bytes, &offsets),
        };
        for (finding, message) in findings.iter_mut().zip(messages) {
            finding.message = message.map(|message| Arc::new(self.shown(&message)));
        }
    }

    /// A message without the secrets that stand in its subject or elsewhere in what is told of it.
    fn shown(&self, message: &Message) -> Message {
        let hide = |text: &str| {
            String::from_utf8_lossy(&hidden(self.detector, text.as_bytes().to_vec(), self.show_secrets)).into_owned()
        };
        message.hide(&hide)
    }

    /// The tables of the export that a day's file is in, if it is in a directory that Slack's export was unpacked to.
    fn export_of(&self, path: &BlobPath) -> Option<Arc<slack::Export>> {
        if !path.inside().is_empty() || !slack::is_day(path.file()) {
            return None;
        }
        let root = to_path(path).parent()?.parent()?.to_owned();
        let mut exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        exports
            .entry(root.clone())
            .or_insert_with(|| {
                let read = |name: &str| read_table(&root.join(name));
                read("users.json").map(|_| Arc::new(slack::Export::read(read)))
            })
            .clone()
    }
}

/// Notes what says of each long-term key that it is a root user's.
fn note_root_signs(blob: &Blob, findings: &mut [Finding]) {
    let mut keys: Vec<&mut Finding> = findings.iter_mut().filter(|finding| is_long_term(finding)).collect();
    keys.sort_by_key(|finding| finding.location.byte_offset);
    let spans: Vec<_> = keys
        .iter()
        .map(|finding| finding.location.byte_offset..finding.location.byte_offset + finding.location.byte_length)
        .collect();
    for (finding, signs) in keys.into_iter().zip(root::signs(blob.path.innermost(), blob.bytes, &spans)) {
        finding.root_signs = signs;
    }
}

fn is_long_term(finding: &Finding) -> bool {
    let is_plain = |id: &finding::Value| id.text.starts_with("AKIA") && id.encodings.is_empty();
    finding.id.as_ref().is_some_and(is_plain)
}

fn read_table(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(MOST_TABLE).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Takes from what was found in a file's bytes as they are what was found inside, too; that learns its place in the file.
fn reconcile(outer: Vec<Finding>, inner: &mut [Finding]) -> Vec<Finding> {
    let mut places: HashMap<_, VecDeque<Location>> = HashMap::new();
    for finding in &outer {
        places.entry((finding.rule.id.clone(), finding.fingerprint)).or_default().push_back(finding.location);
    }
    for finding in &mut *inner {
        let places = places.get_mut(&(finding.rule.id.clone(), finding.fingerprint));
        finding.outer =
            places.and_then(|places| if places.len() > 1 { places.pop_front() } else { places.front().copied() });
    }
    let values: HashSet<_> = inner.iter().map(|finding| finding.fingerprint).collect();
    let ids: HashSet<_> = inner.iter().filter_map(|finding| Some(&finding.id.as_ref()?.text)).collect();
    let is_inside = |finding: &Finding| {
        values.contains(&finding.fingerprint)
            || finding.secret.is_none() && finding.id.as_ref().is_some_and(|id| ids.contains(&id.text))
    };
    outer.into_iter().filter(|finding| !is_inside(finding)).collect()
}
