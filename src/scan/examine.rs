//! Looking at one blob: what is found in it and in what it holds, where that is, and what speaks for and against it.

use super::{hidden, hidden_name};
use crate::credential::signature::SignedRequest;
use crate::detect::comment::Comment;
use crate::detect::finder::SECRET_LEN;
use crate::detect::key_id::{self, ID_LEN};
use crate::detect::{Candidate, Detection, Detector, context};
use crate::file;
use crate::finding::excerpt::Excerpts;
use crate::finding::location::{Location, Locations};
use crate::finding::{self, Finding, mask};
use crate::judge::partner::{self, Clues};
use crate::judge::{owner, root};
use crate::policy::inline::{self, Allow};
use crate::report::uri::to_path;
use crate::rule::{Finder, Matcher};
use crate::source::chat::{self, slack};
use crate::source::container::format::Format;
use crate::source::container::limits::Limits;
use crate::source::container::{Content, Place, Unpacker};
use crate::source::message::Message;
use crate::source::{Blob, BlobPath, Context, Item, SizeLimit, Skip, SkipCause};
use aho_corasick::AhoCorasick;
use secrecy::{ExposeSecret, SecretString};
use std::cell::LazyCell;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What stands for the name of something as a place of its own.
pub const NAME: &[u8] = b"name";

/// So much is kept of what was found in one file, in bytes: what is told of each finding (names of archives in archives,
/// everybody that a mail went to) can be many thousand times as long as what was read.
const MAX_HELD: usize = 64 << 20;

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
    /// What tells which ids and secrets belong together.
    pub clues: Clues,
    /// What must not be shown in names and messages.
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
        self.clues.add(other.clues);
        self.secrets.extend(other.secrets);
    }

    /// What a report tells of it, in bytes.
    fn weight(&self) -> usize {
        self.findings.iter().map(weight).sum::<usize>() + self.skips.iter().map(weight_of_skip).sum::<usize>()
    }

    /// Lets go of what is beyond so many bytes.
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

/// What a report tells of a finding, in bytes: what several findings share in memory counts for each.
fn weight(finding: &Finding) -> usize {
    let excerpts = finding.excerpts.iter().map(|excerpt| size_of_val(excerpt) + excerpt.text.len());
    let messages = std::iter::successors(finding.message.as_ref(), |message| message.outer.as_ref());
    let messages = messages.map(|message| message.weight());
    size_of::<Finding>() + finding.path.weight() + excerpts.sum::<usize>() + messages.sum::<usize>()
}

fn weight_of_skip(skip: &Skip) -> usize {
    size_of_val(skip) + skip.path.weight()
}

/// What was found in the parts of one file, up to [`MAX_HELD`].
#[derive(Default)]
struct Held {
    /// Those in which something was found.
    parts: Vec<Part>,
    /// Of all parts, in bytes.
    weight: usize,
    /// True if parts were let go.
    is_cut: bool,
    blobs: u64,
    bytes: u64,
}

struct Part {
    order: PathOrder,
    weight: usize,
    examined: Examined,
}

impl Held {
    fn add(&mut self, path: &BlobPath, mut examined: Examined) {
        self.blobs += std::mem::take(&mut examined.blobs);
        self.bytes += std::mem::take(&mut examined.bytes);
        if examined.is_nothing() {
            return;
        }
        let part = Part { order: path_order(path), weight: examined.weight(), examined };
        self.weight += part.weight;
        self.parts.push(part);
        // Not every time that there is a little too much.
        if self.weight > 2 * MAX_HELD {
            self.cut();
        }
    }

    /// Lets go of the last parts, in the order of a report, so that what is kept does not depend on who came first.
    fn cut(&mut self) {
        self.is_cut = true;
        self.parts.sort_by(|a, b| a.order.cmp(&b.order));
        let mut room = MAX_HELD;
        self.parts.retain_mut(|part| {
            if part.weight > room {
                part.examined.truncate(room);
                part.weight = part.examined.weight();
                room = 0;
            }
            room -= part.weight.min(room);
            !part.examined.is_nothing()
        });
        self.weight = self.parts.iter().map(|part| part.weight).sum();
    }

    fn into_examined(mut self, path: &BlobPath) -> Examined {
        let mut all = Examined { blobs: self.blobs, bytes: self.bytes, ..Examined::default() };
        if self.is_cut {
            self.cut();
            all.skips.push(Skip { path: path.clone(), cause: SkipCause::TooMany });
        }
        self.parts.sort_by(|a, b| a.order.cmp(&b.order));
        for mut part in self.parts {
            part.examined.findings.sort_by(|a, b| (a.location, &a.rule.id).cmp(&(b.location, &b.rule.id)));
            all.add(part.examined);
        }
        all
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

    /// What is in the name of a directory.
    pub fn directory(&self, path: &BlobPath) -> Examined {
        let found = self.in_name(path);
        if found.is_nothing() { found } else { self.without_secrets(found) }
    }

    /// What is in the last part of the name of a file, of which the directories are looked at on their own; in all of the name
    /// of what is in a container.
    fn in_name(&self, path: &BlobPath) -> Examined {
        let bytes = if path.inside().is_empty() { path.last_name() } else { path.innermost() };
        // Nothing of interest is shorter, and most names are.
        if bytes.len() < ID_LEN {
            return Examined::default();
        }
        // An extension is no part of a value.
        let words: Vec<u8> = bytes.iter().map(|b| if *b == b'.' { b' ' } else { *b }).collect();
        let path = path.within(NAME);
        Self::guarded(&path, || self.alone(&Blob { path: path.clone(), bytes: &words, context: None }))
    }

    /// What is in a blob, in its name, and in what it holds.
    pub fn blob(&self, blob: &Blob) -> Examined {
        let mut outer = Held::default();
        outer.add(&blob.path, Self::guarded(&blob.path, || self.alone(blob)));
        outer.add(&blob.path, self.in_name(&blob.path));
        let mut outer = outer.into_examined(&blob.path);
        let all = match Format::of_all(blob.bytes) {
            None => {
                if let Some(cause) = Format::problem_by_name(blob.path.innermost(), blob.bytes) {
                    outer.skips.push(Skip { path: blob.path.clone(), cause });
                }
                // As most are.
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

    /// What is in a container of `size` bytes, if that is known.
    pub fn container(&self, path: &BlobPath, format: Format, content: Content, size: Option<u64>) -> Examined {
        self.without_secrets(self.inside(path, format, content, size))
    }

    fn inside(&self, path: &BlobPath, format: Format, content: Content, size: Option<u64>) -> Examined {
        let found = Mutex::new(Held::default());
        // What was found in the bytes of containers in it.
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
            Item::Container(..) | Item::Directory(_) => unreachable!("an unpacker opens what it meets"),
        };
        // Bytes in memory are scanned as they are, too.
        let is_seen = matches!(content, Content::Bytes(_));
        let place = Place::outermost(path.clone(), is_seen);
        Unpacker::new(&self.limits, size, self.size, self.archives, &take).open(format, &place, content);
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner).into_examined(path);
        let mut whole = whole.into_inner().unwrap_or_else(PoisonError::into_inner).into_examined(path);
        let own = without_known(std::mem::take(&mut whole.findings), &found.findings);
        found.add(Examined { findings: own, ..whole });
        found
    }

    /// The same with every secret hidden that stands in a name or message: of what was found in one file, none may be
    /// shown, in whatever company it is there.
    fn without_secrets(&self, mut examined: Examined) -> Examined {
        let secrets = std::mem::take(&mut examined.secrets);
        if self.show_secrets {
            return examined;
        }
        // There is seldom a text to hide something in.
        let known = LazyCell::new(|| {
            let secrets: BTreeSet<&str> = secrets.iter().map(ExposeSecret::expose_secret).collect();
            let masks: Vec<_> = secrets.iter().map(|secret| mask::mask(secret)).collect();
            AhoCorasick::new(&secrets).ok().map(|known| (known, masks))
        });
        let hide = |text: &str| match text.len() {
            SECRET_LEN.. if !secrets.is_empty() => {
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

    /// A bug that one file brings out must not cost the scan of all others, nor pass unseen.
    fn guarded(path: &BlobPath, examine: impl FnOnce() -> Examined) -> Examined {
        catch_unwind(AssertUnwindSafe(examine)).unwrap_or_else(|_| Examined::skipped(path.clone(), SkipCause::Internal))
    }

    /// What is in the bytes of a blob as they are.
    fn alone(&self, blob: &Blob) -> Examined {
        let Blob { path, bytes, .. } = blob;
        let detection = self.detector.detect(bytes, Some(path.innermost()));
        let cut = detection.is_cut.then(|| Skip { path: path.clone(), cause: SkipCause::TooMany });
        if detection.candidates.is_empty() && detection.comments.is_empty() {
            return Examined { skips: cut.into_iter().collect(), ..Examined::default() };
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
        note_signs(blob, &mut findings);
        let clues = clues(&detection, &findings, blob, &path);
        self.attach_messages(blob, &mut findings);
        let secrets = secrets.into_iter().map(|secret| secret.value.clone()).collect();
        Examined { findings, skips: cut.into_iter().collect(), clues, secrets, ..Examined::default() }
    }

    /// Tells in whose message each finding is, if it is in one.
    fn attach_messages(&self, blob: &Blob, findings: &mut [Finding]) {
        if let Some(Context::Message(message)) = &blob.context {
            let message = message.shown(&|message| self.shown(message));
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
        // Most of a file's findings are in the same message as the one before.
        let mut last: Option<(Message, Arc<Message>)> = None;
        let mut left = 2 * MAX_HELD;
        let mut attach = |number: usize, message: Message| {
            if last.as_ref().is_none_or(|(known, _)| *known != message) {
                let weight = message.weight();
                // What is beyond is let go with its findings.
                left = left.saturating_sub(weight);
                let shown = Arc::new(self.shown(&message));
                last = (left > 0).then_some((message, shown));
            }
            findings[number].message = last.as_ref().map(|(_, shown)| shown.clone());
        };
        match export.filter(|_| slack::is_day(path)) {
            Some(export) => export.messages(path, blob.bytes, &offsets, &mut attach),
            None => chat::messages(blob.bytes, &offsets, &mut attach),
        }
    }

    /// A message without the secrets that stand in what is told of it.
    fn shown(&self, message: &Message) -> Message {
        let hide = |text: &str| {
            String::from_utf8_lossy(&hidden(self.detector, text.as_bytes().to_vec(), self.show_secrets)).into_owned()
        };
        let mut shown = message.hide(&hide);
        if !self.show_secrets {
            // People write whatever they like there.
            shown.subject = mask::without_key_material(shown.subject.as_bytes());
        }
        shown
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

/// Notes whose each key is, and what says of a long-term one that it is a root user's.
fn note_signs(blob: &Blob, findings: &mut [Finding]) {
    let is_own = |finding: &&mut Finding| {
        let is_plain = finding.values().all(|value| value.encodings.is_empty());
        finding.is_of_key() && is_plain && (finding.id.is_some() || finding.secret_print.is_some())
    };
    let mut keys: Vec<&mut Finding> = findings.iter_mut().filter(is_own).collect();
    keys.sort_by_key(|finding| finding.location.byte_offset);
    let span = |finding: &Finding| {
        let at = finding.location.byte_offset;
        at..at + finding.location.byte_length as usize
    };
    let spans: Vec<_> = keys.iter().map(|finding| span(finding)).collect();
    for (finding, owner) in keys.iter_mut().zip(owner::owners(blob.bytes, &spans)) {
        finding.owner = owner.map(Arc::new);
        if finding.is_lone_id() || finding.is_lone_secret() {
            finding.label = Some(context::qualifier(blob.bytes, finding.location.byte_offset).into());
        }
    }
    keys.retain(|finding| finding.id.as_ref().is_some_and(|id| key_id::is_long_term(&id.text)));
    let spans: Vec<_> = keys.iter().map(|finding| span(finding)).collect();
    for (finding, signs) in keys.into_iter().zip(root::signs(blob.path.innermost(), blob.bytes, &spans)) {
        finding.root_signs = signs;
    }
}

/// What in a blob tells which ids and secrets belong together. The first findings are those of the candidates.
fn clues(detection: &Detection, findings: &[Finding], blob: &Blob, path: &Arc<BlobPath>) -> Clues {
    let mut clues = Clues::default();
    let found = detection.candidates.iter().zip(findings);
    for (candidate, finding) in found.filter(|(candidate, _)| candidate.dummy.is_none()) {
        let secret = candidate.secret.as_ref().map(|part| part.value.clone());
        let secret = finding.secret_print.zip(secret);
        match &candidate.rule.matcher {
            Matcher::Finder(Finder::SesSmtpPassword) => clues.smtp_passwords.extend(secret),
            Matcher::Finder(finder) if finder.is_of_secret() => clues.secrets.extend(secret),
            Matcher::Finder(_) => {}
            Matcher::Regex(_) => {
                let id = candidate.id.as_ref().filter(|id| id.encodings.is_empty() && id.value.len() == ID_LEN);
                let request = id.and_then(|id| SignedRequest::read(blob.bytes, &id.span));
                let room = clues.requests.len() < partner::MOST_REQUESTS;
                let place = || (path.clone(), finding.location);
                clues.requests.extend(request.filter(|_| room).map(|request| (request, place())));
            }
        }
    }
    clues
}

fn read_table(path: &Path) -> Option<Vec<u8>> {
    // A link may lead anywhere.
    path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    file::open(path).ok()?.take(slack::MOST_TABLE).read_to_end(&mut bytes).ok()?;
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
        finding.outer = places
            .and_then(|places| if places.len() > 1 { places.pop_front() } else { places.front().copied() })
            .map(Box::new);
    }
    without_known(outer, inner)
}

/// Those of `outer` that are not in `inner`.
fn without_known(outer: Vec<Finding>, inner: &[Finding]) -> Vec<Finding> {
    let values: HashSet<_> = inner.iter().map(|finding| finding.fingerprint).collect();
    let ids: HashSet<_> = inner.iter().filter_map(|finding| Some(&finding.id.as_ref()?.text)).collect();
    let is_inside = |finding: &Finding| {
        values.contains(&finding.fingerprint)
            || finding.secret.is_none() && finding.id.as_ref().is_some_and(|id| ids.contains(&id.text))
    };
    outer.into_iter().filter(|finding| !is_inside(finding)).collect()
}

/// The names inside of a path, each as text and number.
type PathOrder = Vec<(Vec<u8>, u64)>;

/// The order in which parts stand in their container, so far as their names tell: the tenth message is after the second.
fn path_order(path: &BlobPath) -> PathOrder {
    let number = |name: &Arc<[u8]>| {
        let digits = name.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let (text, digits) = name.split_at(name.len() - digits);
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        (text.to_vec(), number)
    };
    path.inside().iter().map(number).collect()
}
