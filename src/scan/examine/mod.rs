//! Examines one blob: what is found in it and in everything it contains, where, and what speaks for and against it.

mod evidence;
mod excerpt;
mod finding;
mod held;
mod message;
mod reconcile;

use super::hidden_name;
use crate::detect::comment::{self, Comment};
use crate::detect::{Candidate, Detector};
use crate::finding::location::Locations;
use crate::finding::message::Message;
use crate::finding::{BlobPath, Finding};
use crate::policy::inline::{self, AllowComment};
use crate::policy::unused;
use crate::rule::Finder;
use crate::source::chat::export::Export;
use crate::source::pieces::Piece;
use crate::source::unpack::format::Format;
use crate::source::unpack::limits::Limits;
use crate::source::unpack::{Content, Place, Unpacker};
use crate::source::{Blob, Item, SizeLimit, Skip, SkipCause};
use crate::text::alphabet::{ID_LEN, SECRET_LEN};
use crate::text::mask;
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use excerpt::Excerpts;
pub use finding::fingerprint;
use held::{Held, weight, weight_of_skip};
use reconcile::{reconcile, without_known};
use secrecy::{ExposeSecret, SecretString};
use std::cell::LazyCell;
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A path component that stands for the name of something as a place of its own.
pub const NAME: &[u8] = b"name";

/// What was found in one file.
#[derive(Debug, Default)]
pub struct Examined {
    /// In no particular order.
    pub findings: Vec<Finding>,
    /// The parts of it that were not scanned.
    pub skips: Vec<Skip>,
    /// The number of blobs in it.
    pub blobs: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// Secrets that must not be shown in names and messages.
    secrets: Vec<SecretString>,
}

impl Examined {
    /// True if nothing was found in a blob and all of it was scanned.
    pub fn is_nothing(&self) -> bool {
        self.findings.is_empty() && self.skips.is_empty() && self.blobs == 0
    }

    fn add(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.skips.extend(other.skips);
        self.blobs += other.blobs;
        self.bytes += other.bytes;
        self.secrets.extend(other.secrets);
    }

    /// Its size in a report, in bytes.
    fn weight(&self) -> usize {
        self.findings.iter().map(weight).sum::<usize>() + self.skips.iter().map(weight_of_skip).sum::<usize>()
    }

    /// Drops what exceeds `room` bytes.
    fn truncate(&mut self, mut room: usize) {
        let mut fits = |weight: usize| {
            let rest = room.checked_sub(weight);
            room = rest.unwrap_or(0);
            rest.is_some()
        };
        let skips = self.skips.iter().take_while(|skip| fits(weight_of_skip(skip))).count();
        self.skips.truncate(skips);
        self.findings.sort_by(|a, b| (a.location, &a.rule.id).cmp(&(b.location, &b.rule.id)));
        let findings = self.findings.iter().take_while(|finding| fits(weight(finding))).count();
        self.findings.truncate(findings);
    }

    fn skipped(path: BlobPath, cause: SkipCause) -> Self {
        Self { skips: vec![Skip { path, cause }], ..Self::default() }
    }
}

/// Where an unpacked export begins, and how many folders above its files of messages that is.
type ExportRoot = (usize, PathBuf);

/// Examines blobs. Shared by all threads.
#[derive(Debug)]
pub struct Examiner<'a> {
    detector: &'a Detector,
    show_secrets: bool,
    limits: Limits,
    size: SizeLimit,
    archives: bool,
    is_verifying: bool,
    exports: Mutex<HashMap<ExportRoot, Option<Arc<Export>>>>,
}

impl<'a> Examiner<'a> {
    /// An examiner that uses `detector`, within `limits`. With `archives`, it also examines their contents.
    pub fn new(detector: &'a Detector, show_secrets: bool, limits: Limits, size: SizeLimit, archives: bool) -> Self {
        Self { detector, show_secrets, limits, size, archives, is_verifying: false, exports: Mutex::default() }
    }

    /// Also gathers what is needed to ask whether keys work, if `is_verifying`.
    #[must_use]
    pub fn verifying(self, is_verifying: bool) -> Self {
        Self { is_verifying, ..self }
    }

    /// The detector in use.
    pub fn detector(&self) -> &'a Detector {
        self.detector
    }

    /// Examines the name of a directory.
    pub fn directory(&self, path: &BlobPath) -> Examined {
        let found = self.in_name(path);
        if found.is_nothing() { found } else { self.without_secrets(found) }
    }

    /// Examines the last component of a file's path, whose directories are examined separately; of something in a
    /// container, its whole name.
    fn in_name(&self, path: &BlobPath) -> Examined {
        let bytes = if path.inside().is_empty() { path.last_name() } else { path.innermost() };
        // Nothing of interest is shorter, and most names are.
        if bytes.len() < ID_LEN {
            return Examined::default();
        }
        // An extension is not part of a value.
        let words: Vec<u8> = bytes.iter().map(|b| if *b == b'.' { b' ' } else { *b }).collect();
        let path = path.within(NAME);
        Self::guarded(&path, || self.alone(&Blob { path: path.clone(), bytes: &words, context: None }))
    }

    /// Examines a blob, its name, and everything it contains.
    pub fn blob(&self, blob: &Blob) -> Examined {
        let mut outer = Held::default();
        outer.add(&blob.path, Self::guarded(&blob.path, || self.alone(blob)));
        outer.add(&blob.path, self.in_name(&blob.path));
        let mut outer = outer.into_examined(&blob.path);
        let all = match Format::from_named_blob(blob.path.innermost(), blob.bytes) {
            None => {
                if let Some(cause) = Format::problem(blob.path.innermost(), blob.bytes) {
                    outer.skips.push(Skip { path: blob.path.clone(), cause });
                }
                // As for most blobs.
                if outer.is_nothing() {
                    return outer;
                }
                outer
            }
            Some(format) => {
                let size = Some(blob.bytes.len() as u64);
                let mut all = self.inside(&blob.path, format, Content::Bytes(blob.bytes), size);
                let own = reconcile(outer.findings, &mut all.findings);
                all.add(Examined { findings: own, ..outer });
                all
            }
        };
        self.without_secrets(all)
    }

    /// Examines a container of `size` bytes, if that is known.
    pub fn container(&self, path: &BlobPath, format: Format, content: Content, size: Option<u64>) -> Examined {
        self.without_secrets(self.inside(path, format, content, size))
    }

    /// The findings of a part of a file that is too large for memory.
    pub fn piece(&self, piece: &Piece) -> Examined {
        let examined = self.part(piece);
        if examined.is_nothing() { examined } else { self.without_secrets(examined) }
    }

    /// The findings in a piece's own part, with their places in the whole; and in the name, once.
    fn part(&self, piece: &Piece) -> Examined {
        let Piece { blob, start, own } = piece;
        let mut examined = Self::guarded(&blob.path, || self.alone(blob));
        examined.findings.retain(|finding| own.contains(&finding.location.byte_offset));
        for finding in &mut examined.findings {
            finding.shift(start.lines, start.columns, start.offset);
        }
        if start.offset == 0 {
            examined.add(self.in_name(&blob.path));
        }
        examined
    }

    fn inside(&self, path: &BlobPath, format: Format, content: Content, size: Option<u64>) -> Examined {
        let found = Mutex::new(Held::default());
        // Findings in the raw bytes of nested containers.
        let whole = Mutex::new(Held::default());
        let add = |to: &Mutex<Held>, path: &BlobPath, examined: Examined| {
            to.lock().unwrap_or_else(PoisonError::into_inner).add(path, examined);
        };
        let take = |item: Item| match item {
            Item::Blob(inner) => {
                let mut examined = Self::guarded(&inner.path, || self.alone(&inner));
                examined.add(self.in_name(&inner.path));
                add(&found, &inner.path, Examined { blobs: 1, bytes: inner.bytes.len() as u64, ..examined });
            }
            Item::Whole(inner) => {
                add(&found, &inner.path, self.in_name(&inner.path));
                add(&whole, &inner.path, Self::guarded(&inner.path, || self.alone(&inner)));
            }
            Item::Skip(skip) => {
                let path = skip.path.clone();
                add(&found, &path, Examined { skips: vec![skip], ..Examined::default() });
            }
            Item::Piece(piece) => {
                let (path, length) = (piece.blob.path.clone(), piece.own.len() as u64);
                let is_first = piece.start.offset == 0;
                let examined = self.part(&piece);
                add(&found, &path, Examined { blobs: u64::from(is_first), bytes: length, ..examined });
            }
            Item::Container(..) | Item::Directory(_) => unreachable!("an unpacker opens what it meets"),
        };
        // Bytes in memory are also scanned as they are.
        let is_seen = matches!(content, Content::Bytes(_));
        let place = Place::outermost(path.clone(), is_seen);
        Unpacker::new(&self.limits, size, self.size, self.archives, &take).open(format, &place, content);
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner).into_examined(path);
        let mut whole = whole.into_inner().unwrap_or_else(PoisonError::into_inner).into_examined(path);
        let own = without_known(std::mem::take(&mut whole.findings), &found.findings);
        found.add(Examined { findings: own, ..whole });
        found
    }

    /// Hides every secret in names and messages: no secret found in the file may be shown in them, wherever it was
    /// found.
    fn without_secrets(&self, mut examined: Examined) -> Examined {
        let secrets = std::mem::take(&mut examined.secrets);
        if self.show_secrets {
            return examined;
        }
        // Lazy, because there is seldom a text to hide something in.
        let known = LazyCell::new(|| {
            let secrets: BTreeSet<&str> = secrets.iter().map(ExposeSecret::expose_secret).collect();
            let masks: Vec<_> = secrets.iter().map(|secret| mask::mask(secret)).collect();
            // The texts are short, so to build more would take longer than to search with it.
            let known = AhoCorasick::builder().kind(Some(AhoCorasickKind::NoncontiguousNFA)).build(&secrets);
            known.ok().map(|known| (known, masks))
        });
        let shortest = secrets.iter().map(|secret| secret.expose_secret().len()).min().unwrap_or(usize::MAX);
        let hide = |text: &str| match text.len() {
            length if length >= shortest.max(SECRET_LEN) => {
                known.as_ref().map_or_else(|| text.to_owned(), |(known, masks)| known.replace_all(text, masks))
            }
            _ => text.to_owned(),
        };
        let hide_name = |name: &[u8]| {
            let name = hidden_name(self.detector, name);
            std::str::from_utf8(&name).map_or_else(|_| name.clone(), |text| hide(text).into_bytes())
        };
        let mut paths: HashMap<*const BlobPath, Arc<BlobPath>> = HashMap::new();
        let mut messages: HashMap<*const Message, Arc<Message>> = HashMap::new();
        // Both are shared by many findings.
        for finding in &mut examined.findings {
            let known = paths.entry(Arc::as_ptr(&finding.path)).or_insert_with(|| {
                finding.path.map_long(SECRET_LEN, hide_name).map_or_else(|| finding.path.clone(), Arc::new)
            });
            finding.path = known.clone();
            if let Some(message) = finding.message.as_mut().filter(|_| !secrets.is_empty()) {
                let shown = messages.entry(Arc::as_ptr(message)).or_insert_with(|| Arc::new(message.hide(&hide)));
                *message = shown.clone();
            }
        }
        for skip in &mut examined.skips {
            if let Some(path) = skip.path.map_long(SECRET_LEN, hide_name) {
                skip.path = path;
            }
        }
        examined
    }

    /// A bug triggered by one file must neither abort the scan of the others nor go unnoticed.
    fn guarded(path: &BlobPath, examine: impl FnOnce() -> Examined) -> Examined {
        catch_unwind(AssertUnwindSafe(examine)).unwrap_or_else(|_| Examined::skipped(path.clone(), SkipCause::Internal))
    }

    /// Examines the bytes of a blob as they are.
    fn alone(&self, blob: &Blob) -> Examined {
        let Blob { path, bytes, .. } = blob;
        let detection = self.detector.detect(bytes, Some(path.innermost()));
        let skip = |cause| Skip { path: path.clone(), cause };
        let cut = detection.is_cut.then(|| skip(SkipCause::TooMany));
        let own = detection.is_own_report.then(|| skip(SkipCause::OwnReport));
        let skips: Vec<Skip> = cut.into_iter().chain(own).collect();
        if detection.candidates.is_empty() && detection.comments.is_empty() {
            return Examined { skips, ..Examined::default() };
        }
        let path = Arc::new(path.clone());
        let near_misses = comment::near_misses(bytes, &detection);
        let comments = detection.comments.iter().chain(&near_misses).map(|comment| comment.span.clone());
        let spans = detection.candidates.iter().flat_map(Candidate::spans);
        let locations = Locations::new(bytes, spans.chain(comments));
        let excerpts = Excerpts::new(bytes, &detection, &locations, self.show_secrets);
        let mut findings = finding::findings(&path, &detection, &excerpts, &locations);
        let rules = self.detector.rules();
        let mut secrets: Vec<_> =
            detection.candidates.iter().filter_map(|candidate| candidate.secret.as_ref()).collect();
        secrets.sort_by_key(|secret| secret.span.start);
        let read = |comment: &Comment| {
            let mut allow = AllowComment::read(comment, &locations, rules)?;
            if !self.show_secrets {
                // The reason is the rest of the line, which may contain the allowed key itself.
                let first = secrets.partition_point(|secret| secret.span.start < comment.span.start);
                let reach = comment.span.end + 2 * comment.text.len();
                let on_line = secrets[first..].iter().take_while(|secret| secret.span.start < reach);
                allow.reason = mask::redact(&allow.reason, on_line.map(|secret| secret.value.expose_secret()));
            }
            Some(allow)
        };
        let allows = detection.comments.iter().chain(&near_misses).filter_map(read).collect();
        let unused = inline::apply(allows, &mut findings, rules);
        if let Some(rule) = rules.of_finder(Finder::UnusedAllow) {
            findings.extend(unused.into_iter().map(|(allow, hint)| {
                let (location, excerpts) = (locations.of(&allow.span), excerpts.of_span(&allow.span));
                unused::unused(rule, &path, location, excerpts, hint)
            }));
        }
        evidence::gather(blob, &detection, &mut findings, self.is_verifying);
        self.attach_messages(blob, &mut findings);
        let secrets = secrets.into_iter().map(|secret| secret.value.clone()).collect();
        Examined { findings, skips, secrets, ..Examined::default() }
    }
}
