//! From bytes to tokens: key ids, secrets, passwords, regex matches and comments, each traced to its raw bytes.

use super::comment::Comment;
use super::context::{self, Context, Name};
use super::decode::Decoded;
use super::decode::array::ArrayText;
use super::decode::base64::Base64Text;
use super::decode::escape::{self, EscapedText};
use super::decode::hex::HexText;
use super::decode::packed::{Compression, PackedText};
use super::decode::run::Packed;
use super::decode::wide::WideText;
use super::dummy;
use super::key_id::{self, IdKind};
use super::prefilter::{Hits, Mark, Prefilter};
use super::vendor::{self, Whose};
use super::words::{Start, may_begin, may_end};
use super::{Candidate, Part, observe, proof, request, secret};
use crate::finding::{Dummy, Encoding};
use crate::rule::gitleaks::{Gitleaks, Outline};
use crate::rule::program::Program;
use crate::rule::{
    AWS, Check, Finder, Form, Found, Match, Matcher, Observer, RegexMatcher, Rule, RuleSet, Severity, Shape,
};
use crate::text::alphabet::ID_LEN;
use crate::text::alphabet::SECRET_LEN;
use crate::text::alphabet::is_word;
use secrecy::{ExposeSecret, SecretString};
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::BuildHasher;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Maximum number of nested encodings.
const MAX_LAYERS: usize = 4;

/// Maximum amount of compressed text unpacked in one blob, in bytes.
const MAX_UNPACKED: usize = 128 << 20;

/// The cost of starting to unpack something, in unpacked bytes.
const COST_OF_UNPACKING: usize = 16 << 10;

/// Maximum number of tokens read from one blob: no honest file has as many, and a hostile one could exhaust memory.
pub const MAX_TOKENS: usize = 100_000;

/// Maximum length of a token, in bytes.
const MAX_TOKEN: usize = 8192;

/// Maximum length of what a built-in rule may match, in bytes: an RSA key of 16,384 bits is 13,000 bytes long.
const MAX_MATCH: usize = 32 << 10;

/// How far after a word such as "secret" an escaped secret is searched for, in bytes.
const ESCAPE_REACH: usize = 300;

/// The same to either side of a key id, in bytes: five lines of ordinary length.
const ID_ESCAPE_REACH: usize = 600;

/// An access key id.
#[derive(Debug, Clone)]
pub struct KeyId {
    pub part: Part<String>,
    pub name: Name,
    pub dummy: Option<Dummy>,
}

/// Something that looks like a secret access key.
#[derive(Debug, Clone)]
pub struct SecretKey {
    pub part: Part<SecretString>,
    pub name: Name,
    pub context: Context,
    /// Whose it is, if it is named as a secret.
    pub whose: Whose,
    pub dummy: Option<Dummy>,
}

/// Something that looks like an SES SMTP password.
#[derive(Debug, Clone)]
pub struct SmtpPassword {
    pub part: Part<SecretString>,
    /// True if the text calls it one.
    pub named: bool,
}

/// The tokens of one blob, each list by position.
#[derive(Debug, Default)]
pub struct Tokens {
    pub ids: Vec<KeyId>,
    pub secrets: Vec<SecretKey>,
    pub smtp_passwords: Vec<SmtpPassword>,
    pub matches: Vec<Candidate>,
    pub comments: Vec<Comment>,
    /// True if something was left out: tokens beyond [`MAX_TOKENS`], or text in too many layers or too large.
    pub is_cut: bool,
}

impl Tokens {
    /// True if another token may be added; if not, records that one was left out.
    fn has_room(&mut self) -> bool {
        let has_room = !self.is_full();
        self.is_cut |= !has_room;
        has_room
    }

    fn is_full(&self) -> bool {
        let count =
            self.ids.len() + self.secrets.len() + self.smtp_passwords.len() + self.matches.len() + self.comments.len();
        count >= MAX_TOKENS
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
            && self.secrets.is_empty()
            && self.smtp_passwords.is_empty()
            && self.matches.is_empty()
            && self.comments.is_empty()
    }
}

/// Reads one blob, and the encoded texts inside it.
pub struct Tokenizer<'a> {
    rules: &'a RuleSet,
    prefilter: &'a Prefilter,
    path: Option<&'a [u8]>,
    tokens: Tokens,
    /// The name last read: in a file of keys the same names recur.
    last_name: (Vec<u8>, Name),
    /// Bytes of compressed text that have been unpacked.
    unpacked: usize,
    /// The current time in seconds since 1970, if ages are computed up to now.
    now: Option<i64>,
}

/// Text to read, and the encodings it was decoded from, outermost first.
struct Layered<'a> {
    text: &'a [u8],
    layers: &'a [&'a dyn Decoded],
    /// The text of the file, without these decoded.
    file: &'a [u8],
    /// True if it is about AWS's signatures; known once it was asked.
    is_about_signatures: OnceCell<bool>,
    /// The rule whose keywords were looked for last, and whether one is there.
    last_keywords: Cell<Option<(*const Rule, bool)>>,
}

impl<'a> Layered<'a> {
    /// True if it has a keyword of a rule. The matches of a rule come one after the other.
    fn has_keyword(&self, rule: &Arc<Rule>, gitleaks: &Gitleaks) -> bool {
        let own = Arc::as_ptr(rule);
        let known = self.last_keywords.get().filter(|(rule, _)| *rule == own);
        let (_, has) = known.unwrap_or_else(|| (own, gitleaks.has_keyword(self.text)));
        self.last_keywords.set(Some((own, has)));
        has
    }

    fn new(text: &'a [u8], layers: &'a [&'a dyn Decoded], file: &'a [u8]) -> Self {
        Self { text, layers, file, is_about_signatures: OnceCell::new(), last_keywords: Cell::new(None) }
    }

    fn is_about_signatures(&self) -> bool {
        *self.is_about_signatures.get_or_init(|| memchr::memmem::find(self.text, b"AWS4").is_some())
    }

    fn part<T>(&self, value: T, span: Range<usize>) -> Part<T> {
        let encodings = self.layers.iter().map(|layer| layer.encoding()).collect();
        Part { value, span: self.raw(span), encodings }
    }

    fn raw(&self, span: Range<usize>) -> Range<usize> {
        self.layers.iter().rev().fold(span, |span, layer| layer.raw(span))
    }
}

impl<'a> Tokenizer<'a> {
    pub fn new(rules: &'a RuleSet, prefilter: &'a Prefilter, path: Option<&'a [u8]>, now: Option<i64>) -> Self {
        Self { rules, prefilter, path, tokens: Tokens::default(), last_name: Default::default(), unpacked: 0, now }
    }

    /// Reads text as it is, in which the prefilter has found `hits`.
    pub fn read(&mut self, text: &[u8], hits: &Hits) {
        self.read_hits(&Layered::new(text, &[], text), hits);
    }

    /// Reads decoded text; spans are those of the raw bytes.
    pub fn read_decoded(&mut self, decoded: &dyn Decoded) {
        self.read_layered(&Layered::new(decoded.text(), &[decoded], decoded.text()));
    }

    /// The tokens, sorted and each once.
    pub fn finish(self) -> Tokens {
        let mut tokens = self.tokens;
        // Everything that was packed together has the same span. What was read of packed text without unpacking it is in
        // that span.
        fn tidy<T>(list: &mut Vec<T>, span: impl Fn(&T) -> &Range<usize>, value: impl Fn(&T) -> &str) {
            list.sort_by_key(|token| (span(token).start, std::cmp::Reverse(span(token).end)));
            // By hash, so that no secret is copied.
            let hasher = foldhash::fast::RandomState::default();
            let mut ends: foldhash::HashMap<u64, usize> = foldhash::HashMap::default();
            list.retain(|token| {
                let end = ends.entry(hasher.hash_one(value(token))).or_default();
                let is_new = *end < span(token).end;
                *end = span(token).end.max(*end);
                is_new
            });
        }
        tidy(&mut tokens.ids, |token| &token.part.span, |token| &token.part.value);
        tidy(&mut tokens.secrets, |token| &token.part.span, |token| token.part.value.expose_secret());
        tidy(&mut tokens.smtp_passwords, |token| &token.part.span, |token| token.part.value.expose_secret());
        tidy(&mut tokens.comments, |comment| &comment.span, |comment| &comment.text);
        tokens
    }

    fn read_layered(&mut self, layered: &Layered) {
        let hits = self.prefilter.search(layered.text);
        self.read_hits(layered, &hits);
    }

    fn read_hits(&mut self, layered: &Layered, hits: &Hits) {
        if hits.is_empty() {
            return;
        }
        let mut decoded = AlreadyDecoded::default();
        for run in &hits.runs {
            self.read_run(layered, run.clone());
            self.read_packed(layered, run, &mut decoded);
        }
        self.read_words(layered, hits);
        let (rules, names_secret) = self.read_marks(layered, hits, &mut decoded);
        self.read_rules(layered, &rules, names_secret);
    }

    /// Looks at the hits of literals. Returns the rules whose keywords were met, and where; and whether a secret is named.
    fn read_marks<'b>(
        &mut self,
        layered: &Layered<'b>,
        hits: &Hits,
        decoded: &mut AlreadyDecoded<'b>,
    ) -> (BTreeMap<usize, Vec<usize>>, bool) {
        let mut rules: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut names_secret = false;
        let mut escapes = Vec::new();
        for &(at, mark) in &hits.marks {
            match mark {
                Mark::KeyId => {
                    if self.read_id(layered, at) {
                        escapes.push(at.saturating_sub(ID_ESCAPE_REACH)..at + ID_ESCAPE_REACH);
                    }
                }
                Mark::Keyword(rule) => rules.entry(rule).or_default().push(at),
                Mark::SecretWord => {
                    names_secret = names_secret || observe::names_value(layered.text, at);
                    escapes.push(at..at + ESCAPE_REACH);
                }
                Mark::AllowComment if self.tokens.has_room() => {
                    self.tokens.comments.push(Comment::read(layered.text, at, |marker| layered.raw(marker)));
                }
                Mark::AllowComment => {}
                Mark::Base64 { phase } => {
                    if let Some(inner) = decoded.base64(layered.text, at, phase) {
                        self.read_inner(layered, inner);
                    }
                }
                Mark::Utf16 => {
                    if let Some(inner) = decoded.utf16(layered.text, at + 1) {
                        self.read_inner(layered, inner);
                    }
                }
                Mark::Array => {
                    if let Some(inner) = decoded.array(layered.text, at) {
                        self.read_inner(layered, inner);
                    }
                }
                Mark::Escape => {
                    if let Some(inner) = decoded.escaped(layered.text, at) {
                        self.read_inner(layered, inner);
                    }
                }
            }
        }
        self.read_escaped(layered, escapes);
        if !hits.urls.is_empty() {
            rules.extend(self.prefilter.url_rules().iter().map(|rule| (*rule, hits.urls.clone())));
        }
        (rules, names_secret)
    }

    /// Applies the rules whose keywords were met, and observes the text where there is a reason.
    fn read_rules(&mut self, layered: &Layered, rules: &BTreeMap<usize, Vec<usize>>, names_secret: bool) {
        let mut observers = BTreeSet::new();
        for (rule, hits) in rules.iter().filter_map(|(index, hits)| Some((self.rules.at(*index)?, hits))) {
            match &rule.matcher {
                Matcher::Regex(matcher) => self.read_regex(layered, rule, matcher, hits),
                Matcher::Finder(finder) => {
                    let gives_reason =
                        |observer: &Observer| hits.iter().any(|at| observe::gives_reason(*observer, layered.text, *at));
                    observers.extend(finder.observer().filter(gives_reason));
                }
            }
        }
        // Code that names a secret may send it.
        let has_secret = || self.tokens.secrets.iter().any(|token| token.context > Context::None);
        if layered.layers.is_empty() && (names_secret || has_secret()) {
            observers.insert(Observer::Mailer);
        }
        // A key may be next to the caller identity that it belongs to.
        if !self.tokens.ids.is_empty() {
            observers.insert(Observer::RootUse);
        }
        for observer in observers {
            self.observe(layered, observer);
        }
    }

    /// Records evidence about keys that is not itself a key.
    fn observe(&mut self, layered: &Layered, observer: Observer) {
        // Spans of secrets are known only for text as it is.
        let own = self.tokens.secrets.iter().filter(|_| layered.layers.is_empty());
        let mut secrets: Vec<_> =
            own.filter(|token| token.dummy.is_none()).map(|token| token.part.span.clone()).collect();
        secrets.sort_unstable_by_key(|span| span.start);
        let around = observe::Surroundings { file: layered.file, path: self.path, secrets: &secrets };
        // A bug in an observer must neither lose the keys found nor go unnoticed.
        let seen = catch_unwind(AssertUnwindSafe(|| observe::observe(observer, layered.text, &around)));
        self.tokens.is_cut |= seen.is_err();
        for seen in seen.unwrap_or_default() {
            let Some(rule) = self.rules.of_finder(seen.finder) else { continue };
            if !self.tokens.has_room() {
                return;
            }
            self.tokens.matches.push(Candidate {
                severity: seen.severity.unwrap_or(rule.severity),
                id: Some(layered.part(seen.subject, seen.span)),
                dummy: seen.account.filter(|account| account.is_example()).map(|_| Dummy::Documented),
                account: seen.account,
                note: Some(seen.note),
                profile: seen.profile,
                times: seen.times,
                ..Candidate::new(rule.clone())
            });
        }
    }

    fn read_id(&mut self, layered: &Layered, at: usize) -> bool {
        let whole = key_id::judge(layered.text, at)
            .map(|kind| (kind, Cow::Borrowed(&layered.text[at..at + ID_LEN]), at..at + ID_LEN));
        let folded = || key_id::judge_folded(layered.text, at).map(|(kind, id, span)| (kind, Cow::Owned(id), span));
        let Some((kind, value, span)) = whole.or_else(folded) else { return false };
        if !self.tokens.has_room() {
            return false;
        }
        let dummy = match kind {
            IdKind::Real => None,
            IdKind::Dummy(dummy) => Some(dummy),
        };
        let is_folded = span.len() > ID_LEN;
        let name = self.name(layered.text, span.start);
        let mut part = layered.part(String::from_utf8_lossy(&value).into_owned(), span);
        part.encodings.extend(is_folded.then_some(Encoding::Escaped));
        self.tokens.ids.push(KeyId { part, name, dummy });
        true
    }

    /// Reads the content of a run, if it is text that no word reveals.
    fn read_packed(&mut self, layered: &Layered, run: &Range<usize>, decoded: &mut AlreadyDecoded) {
        match Packed::detect(layered.text, run) {
            Some(_) if layered.layers.len() >= MAX_LAYERS => self.tokens.is_cut = true,
            Some((Packed::Compressed(how), start)) => self.read_compressed(layered, start, how, decoded),
            Some((Packed::Hex, start)) => {
                if let Some(inner) = decoded.hex(layered.text, start) {
                    self.read_inner(layered, inner);
                }
            }
            Some((Packed::Base64Twice, start)) => {
                if let Some(inner) = decoded.base64(layered.text, start, 0) {
                    self.read_inner(layered, inner);
                }
            }
            None => {}
        }
    }

    fn read_compressed(&mut self, layered: &Layered, at: usize, how: Compression, decoded: &mut AlreadyDecoded) {
        if decoded.packed.iter().any(|known| known.reads(at)) {
            return;
        }
        // Starting takes time too, whatever the result.
        let left = MAX_UNPACKED.saturating_sub(self.unpacked + COST_OF_UNPACKING);
        // Record that something is left out.
        if left == 0 {
            self.tokens.is_cut = true;
            return;
        }
        self.unpacked += COST_OF_UNPACKING;
        let Some(inner) = PackedText::at(layered.text, at, how, left) else { return };
        self.unpacked += inner.text().len();
        self.tokens.is_cut |= inner.text().len() >= left;
        self.read_inner(layered, &inner);
        decoded.packed.truncate(AlreadyDecoded::KEPT - 1);
        decoded.packed.push_front(inner.without_text());
    }

    fn read_run(&mut self, layered: &Layered, run: Range<usize>) {
        if let Some(span) = secret::bounded(layered.text, run.clone()) {
            let value = &layered.text[span.clone()];
            self.push_secret(layered, span, value, None);
        } else if run.len() == secret::SMTP_PASSWORD_LEN {
            self.read_smtp_password(layered, run);
        } else if (54..=56).contains(&run.len()) {
            self.read_wrapped_secret(layered, run);
        }
    }

    /// A secret in base64 again, as in the `data:` of a Kubernetes secret: recognisable only because it decodes to 40
    /// base64 characters.
    fn read_wrapped_secret(&mut self, layered: &Layered, run: Range<usize>) {
        let padding = layered.text[run.end..].iter().take(2).take_while(|&&b| b == b'=').count();
        if run.len() + padding != 56 {
            return;
        }
        let Ok(inner) = data_encoding::BASE64.decode(&layered.text[run.start..run.end + padding]) else { return };
        let value = inner.trim_ascii();
        if value.len() == SECRET_LEN && value.iter().all(|&b| crate::text::alphabet::is_base64(b)) {
            self.push_secret(layered, run.start..run.end + padding, value, Some(Encoding::Base64));
        }
    }

    /// Reads the secrets with escapes in any of `ranges`.
    fn read_escaped(&mut self, layered: &Layered, mut ranges: Vec<Range<usize>>) {
        ranges.sort_unstable_by_key(|range| range.start);
        let mut read_to = 0;
        for range in ranges {
            let rest = range.start.max(read_to)..range.end.min(layered.text.len());
            read_to = read_to.max(rest.end);
            if rest.is_empty() {
                continue;
            }
            for found in escape::secrets(layered.text, rest) {
                if secret::stands_alone(layered.text, &found.span, true) {
                    self.push_secret(layered, found.span, found.value.as_bytes(), Some(Encoding::Escaped));
                }
            }
        }
    }

    fn push_secret(&mut self, layered: &Layered, span: Range<usize>, value: &[u8], encoding: Option<Encoding>) {
        if encoding.is_some() && !secret::is_plausible(value, Context::Strong) {
            return;
        }
        // To look at the words around a value costs the most.
        if self.tokens.is_full() {
            self.tokens.is_cut = true;
            return;
        }
        let (context, whose) = Self::context_of(layered, &span);
        let is_plausible = |context| secret::is_plausible(value, context);
        // What stands side by side with an id needs to look less random.
        let is_like_one =
            is_plausible(context) || is_plausible(Context::Strong) && key_id::is_beside(layered.text, &span);
        if !is_like_one || secret::in_block(layered.text, &span) {
            return;
        }
        if !self.tokens.has_room() {
            return;
        }
        let value = String::from_utf8_lossy(value).into_owned();
        let dummy = dummy::in_secret(&value);
        let name = self.name(layered.text, span.start);
        let mut part = layered.part(SecretString::from(value), span);
        part.encodings.extend(encoding);
        self.tokens.secrets.push(SecretKey { part, name, context, whose, dummy });
    }

    /// What the text around a value calls it, and whose it is by that.
    fn context_of(layered: &Layered, span: &Range<usize>) -> (Context, Whose) {
        let text = layered.text;
        match context::around(text, span) {
            Context::Strong => (Context::Strong, vendor::of_secret(text, span)),
            // The column of a table, or a plain name in a text about AWS's signatures, is as good as a name.
            weaker => match context::column(text, span) {
                Some(whose) => (Context::Strong, whose),
                None if Name::before(text, span.start).is_secret_alone() && layered.is_about_signatures() => {
                    (Context::Strong, Whose::Aws)
                }
                None => (weaker, Whose::Aws),
            },
        }
    }

    /// The name of the value that starts at `start`.
    fn name(&mut self, text: &[u8], start: usize) -> Name {
        let before = context::name_before(text, start);
        if before != self.last_name.0 {
            self.last_name = (before.to_vec(), Name::before(text, start));
        }
        self.last_name.1.clone()
    }

    fn read_smtp_password(&mut self, layered: &Layered, run: Range<usize>) {
        let text = &layered.text[run.clone()];
        // The first byte is the version, 4.
        if text[0] != b'B' || !text[1].is_ascii_uppercase() || text[1] > b'P' {
            return;
        }
        if !secret::stands_alone(layered.text, &run, false)
            || dummy::entropy(text) < 4.3
            || secret::in_block(layered.text, &run)
        {
            return;
        }
        let before = &layered.text[run.start.saturating_sub(100)..run.start];
        let lower = before.to_ascii_lowercase();
        let named = ["smtp", "ses_", "ses-"].iter().any(|word| memchr::memmem::find(&lower, word.as_bytes()).is_some());
        if !self.tokens.has_room() {
            return;
        }
        let value = SecretString::from(String::from_utf8_lossy(text).into_owned());
        self.tokens.smtp_passwords.push(SmtpPassword { part: layered.part(value, run), named });
    }

    /// Applies the rules that are about runs, where a run is that they may be about.
    fn read_words(&mut self, layered: &Layered, hits: &Hits) {
        let words = self.prefilter.words();
        // Several runs lead to the same match.
        let mut seen = BTreeSet::new();
        for run in &hits.words {
            let mut places = Places::default();
            words.rules(layered.text, run, |rule, place| places.add(rule, place));
            self.read_places(layered, places, &mut seen);
        }
        for run in &hits.runs {
            let mut places = Places::default();
            words.rules_of_base64(layered.text, run, |rule, place| places.add(rule, place));
            self.read_places(layered, places, &mut seen);
        }
    }

    fn read_places(&mut self, layered: &Layered, places: Places, seen: &mut BTreeSet<(usize, usize, usize)>) {
        let Places { starts, windows } = places;
        let starts = starts.into_iter().map(|(rule, at)| (rule, Start::At(at)));
        let windows = windows.into_iter().map(|(rule, (start, end))| (rule, Start::Within { start, end }));
        for (index, place) in starts.chain(windows) {
            let Some(rule) = self.rules.at(index) else { continue };
            let Some(matcher) = rule.regex() else { continue };
            if self.path.is_some_and(|path| !matcher.covers_path(path)) {
                continue;
            }
            self.read_place(layered, rule, matcher, &place, &mut |whole| seen.insert((index, whole.start, whole.end)));
        }
    }

    /// Applies a rule whose keywords were met, where they were.
    fn read_regex(&mut self, layered: &Layered, rule: &Arc<Rule>, matcher: &RegexMatcher, hits: &[usize]) {
        if self.path.is_some_and(|path| !matcher.covers_path(path)) {
            return;
        }
        let length = layered.text.len();
        if matcher.form == Form::Token {
            for &at in hits {
                self.read_place(layered, rule, matcher, &Start::At(at), &mut |_| true);
            }
            return;
        }
        if matcher.shape == Shape::AnyCase {
            if let Some(outline) = matcher.gitleaks.as_ref().and_then(|gitleaks| gitleaks.outline.as_ref()) {
                return self.read_outlined(layered, rule, matcher, outline, hits);
            }
            let whole = Start::Within { start: 0, end: length };
            return self.read_place(layered, rule, matcher, &whole, &mut |_| true);
        }
        let done = match matcher.program() {
            Some(program) => self.read_near(layered, rule, matcher, program, hits),
            None => Some(0),
        };
        if let Some(done) = done {
            self.read_windows(layered, rule, matcher, hits, done);
        }
    }

    /// How many bytes of a match a rule's keyword may be away from: every match contains a keyword.
    fn reach(layered: &Layered, rule: &Rule, matcher: &RegexMatcher) -> usize {
        matcher.max_len().unwrap_or(if rule.pack.is_some() { MAX_MATCH } else { layered.text.len() })
    }

    /// Applies a rule's program where matches with its keywords may start. If that takes too long, the offset from which on
    /// nothing was found yet.
    fn read_near(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        program: &Program,
        hits: &[usize],
    ) -> Option<usize> {
        let length = layered.text.len();
        let reach = Self::reach(layered, rule, matcher);
        let lead = matcher.lead().unwrap_or(reach);
        let mut keywords = Keywords::new(layered.text, rule, matcher);
        let mut done = 0;
        for &at in hits {
            let end = at.saturating_add(reach).saturating_add(1).min(length);
            let mut start = at.saturating_sub(lead).max(done);
            if !keywords.are_in(at.saturating_sub(reach)..end) {
                continue;
            }
            while start <= at {
                match program.find(&layered.text[..end], start, at) {
                    Found::Match(found) => {
                        start = self.read_in_part(layered, rule, matcher, &found.or_secret(), end, &mut |_| true)?;
                    }
                    Found::Nothing => start = at + 1,
                    Found::GaveUp => return Some(start),
                }
            }
            done = start;
        }
        None
    }

    /// Applies a rule's regex from an offset on to the parts of a text where its keywords were met.
    fn read_windows(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        hits: &[usize],
        done: usize,
    ) {
        let length = layered.text.len();
        let mut start = 0;
        let reach = Self::reach(layered, rule, matcher);
        let mut keywords = Keywords::new(layered.text, rule, matcher);
        for (n, &at) in hits.iter().enumerate() {
            let end = at.saturating_add(reach).saturating_add(1).min(length);
            if n == 0 {
                start = at.saturating_sub(reach);
            }
            // Windows that overlap are one.
            if hits.get(n + 1).is_some_and(|next| next.saturating_sub(reach) <= end) {
                continue;
            }
            let mut next = Some(start.max(done)).filter(|_| keywords.are_in(start..end));
            while let Some(start) = next.filter(|start| *start <= end) {
                let found = matcher.find_with_regex(&layered.text[..end], start);
                next = found.and_then(|found| self.read_in_part(layered, rule, matcher, &found, end, &mut |_| true));
            }
            start = hits.get(n + 1).map_or(length, |next| next.saturating_sub(reach).max(end));
        }
    }

    /// Applies a rule where its matches may be.
    fn read_outlined(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        outline: &Outline,
        hits: &[usize],
    ) {
        /// Where matches may be longer than this, in bytes, a search looks further than one place needs: it serves for the
        /// next ones, too.
        const LONG: usize = 1024;
        let length = layered.text.len();
        // What is after the end of a match may be looked at.
        let longest = matcher.max_len().map(|longest| longest + 8);
        // All matches that begin before are known.
        let mut done = 0;
        for &at in hits {
            let last = length.min(at + outline.overlap);
            let reach = longest.map_or(length, |longest| if longest > LONG { 4 * longest } else { longest });
            let end = length.min(last.saturating_add(reach));
            // What begins later may be cut by the end.
            let sure = if end == length { length } else { end - longest.unwrap_or(0) };
            let mut start = at.saturating_sub(outline.lead).max(done);
            while start <= last {
                let mut is_sure = false;
                let mut is_new = |whole: &Range<usize>| {
                    is_sure = whole.start <= sure;
                    is_sure
                };
                let next = self.read_match(layered, rule, matcher, start..end, &mut is_new);
                start = next.filter(|_| is_sure).unwrap_or(sure + 1);
                done = start;
            }
        }
    }

    /// Applies a rule at a place; `is_new` says of a match whether it is the first of it.
    fn read_place(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        place: &Start,
        is_new: &mut dyn FnMut(&Range<usize>) -> bool,
    ) {
        match *place {
            Start::At(at) => {
                let end = layered.text.len().min(at + MAX_TOKEN);
                if let Some(found) = matcher.find_at(&layered.text[at..end], 0) {
                    self.read_found(layered, rule, matcher, &found.after(at), is_new);
                }
            }
            Start::Within { mut start, end } => {
                while start <= end
                    && let Some(next) = self.read_match(layered, rule, matcher, start..end, is_new)
                {
                    start = next;
                }
            }
        }
    }

    /// Applies a rule to a part of a text, once. Where to go on, if it matched and there is room for more.
    fn read_match(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        part: Range<usize>,
        is_new: &mut dyn FnMut(&Range<usize>) -> bool,
    ) -> Option<usize> {
        // It may look at what is before the part, and the end of the part is not the end of the text.
        let found = matcher.find_at(&layered.text[..part.end], part.start)?;
        self.read_in_part(layered, rule, matcher, &found, part.end, is_new)
    }

    /// Records what a rule has found in a text that was cut at `end`, as [`Self::read_found`] does.
    fn read_in_part(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        found: &Match,
        end: usize,
        is_new: &mut dyn FnMut(&Range<usize>) -> bool,
    ) -> Option<usize> {
        let is_cut = found.whole.end == end && end < layered.text.len();
        self.read_found(layered, rule, matcher, found, &mut |whole| !is_cut && is_new(whole))
    }

    /// Records what a rule has found, if it stands alone. Where to go on, if there is room for more.
    fn read_found(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        found: &Match,
        is_new: &mut dyn FnMut(&Range<usize>) -> bool,
    ) -> Option<usize> {
        let Match { whole, secret, .. } = found;
        let is_of_length = rule.pack.is_none() || whole.len() <= MAX_MATCH;
        let is_whole = is_of_length && stands_alone(layered.text, rule, matcher, secret.as_ref().unwrap_or(whole));
        if is_whole && is_new(whole) {
            if !self.tokens.has_room() {
                return None;
            }
            self.push_match(layered, rule, matcher, found);
        }
        // What ends one match may begin another.
        let end_of_secret = secret.as_ref().map_or(whole.end, |secret| secret.end);
        Some(if is_whole { end_of_secret.max(whole.start + 1) } else { whole.start + 1 })
    }

    /// Records a match of a rule, unless its own characters rule it out.
    fn push_match(&mut self, layered: &Layered, rule: &Arc<Rule>, matcher: &RegexMatcher, found: &Match) {
        let Match { whole, id, secret, host } = found;
        let of = |range: &Range<usize>| &layered.text[range.clone()];
        if let (Some(gitleaks), Some(secret)) = (&matcher.gitleaks, secret) {
            let has_keyword = gitleaks.has_keyword(of(whole)) || layered.has_keyword(rule, gitleaks);
            if has_keyword && gitleaks.reports(self.path, layered.text, whole, of(secret)) {
                let text = String::from_utf8_lossy(of(secret)).into_owned();
                let secret = Some(layered.part(SecretString::from(text), secret.clone()));
                self.tokens.matches.push(Candidate { secret, ..Candidate::new(rule.clone()) });
            }
            return;
        }
        let texts = || id.iter().chain(secret).map(of);
        if texts().any(|text| dummy::entropy(text) < matcher.min_entropy || dummy::is_name(text)) {
            return;
        }
        let proof = match (matcher.check, secret) {
            (Some(check), Some(secret)) => match proof::of(check, of(secret), host.as_ref().map(of), of(whole)) {
                Some(proof) => Some(proof),
                None => return,
            },
            _ => None,
        };
        let is_example = texts().any(dummy::is_documented);
        let in_id = id.as_ref().filter(|id| id.len() == ID_LEN).and_then(|id| dummy::in_key_id(of(id)));
        let in_token = secret
            .as_ref()
            .filter(|_| may_be_placeholder(rule, matcher))
            .and_then(|secret| dummy::in_token(&of(secret)[matcher.shape.fixed(of(secret))..]));
        let text = |range: &Range<usize>| String::from_utf8_lossy(of(range)).into_owned();
        let request = id.as_ref().filter(|_| matcher.is_signed_request).map(|id| request::judge(layered.text, id));
        let is_of_others = request.as_ref().is_some_and(|request| !request.is_of_aws);
        let of_others = || self.rules.of_finder(Finder::S3CompatibleKey);
        let Some(rule) = (if is_of_others { of_others() } else { Some(rule) }) else { return };
        let of_token = || request::expiry_of_token(layered.text, secret.as_ref()?);
        let expires = request
            .as_ref()
            .and_then(|request| request.expires)
            .or_else(of_token)
            .or(proof.and_then(|proof| proof.expires));
        let has_expired = expires.zip(self.now).is_some_and(|(expires, now)| expires < now);
        let is_locked = proof.is_some_and(|proof| proof.is_locked);
        self.tokens.matches.push(Candidate {
            severity: if has_expired || is_locked { Severity::Note } else { rule.severity },
            id: id.as_ref().map(|range| layered.part(text(range), range.clone())),
            secret: secret.as_ref().map(|range| layered.part(SecretString::from(text(range)), range.clone())),
            dummy: in_id.or(in_token).or(is_example.then_some(Dummy::Documented)),
            vendor: request.and_then(|request| request.vendor),
            expires,
            account: proof.and_then(|proof| proof.account),
            ..Candidate::new(rule.clone())
        });
    }

    /// Reads decoded text. If nested too deeply, it is not read, which is recorded if it mentions keys.
    fn read_inner(&mut self, layered: &Layered, inner: &dyn Decoded) {
        if layered.layers.len() >= MAX_LAYERS {
            let speaks = |(_, mark): &(usize, Mark)| matches!(mark, Mark::KeyId | Mark::SecretWord);
            self.tokens.is_cut |= self.prefilter.search(inner.text()).marks.iter().any(speaks);
            return;
        }
        let layers: Vec<&dyn Decoded> = layered.layers.iter().copied().chain([inner]).collect();
        self.read_layered(&Layered::new(inner.text(), &layers, layered.file));
    }
}

/// Where rules may match around one run; a rule's windows are one.
#[derive(Default)]
struct Places {
    starts: BTreeSet<(usize, usize)>,
    windows: BTreeMap<usize, (usize, usize)>,
}

impl Places {
    fn add(&mut self, rule: usize, place: Start) {
        match place {
            Start::At(at) => _ = self.starts.insert((rule, at)),
            Start::Within { start, end } => {
                let window = self.windows.entry(rule).or_insert((start, end));
                *window = (window.0.min(start), window.1.max(end));
            }
        }
    }
}

/// True if what a rule finds is short enough that chance does not make it look like a placeholder. Users' own rules decide
/// themselves, AWS's rules know better.
fn may_be_placeholder(rule: &Rule, matcher: &RegexMatcher) -> bool {
    let is_long = matches!(matcher.check, Some(Check::PemKey | Check::Jwt));
    !is_long && (matcher.form != Form::Any || rule.pack.is_some_and(|pack| pack != AWS))
}

/// The keywords of a rule about URLs, whose hits are the ends of users: where they are, as far as that was asked.
struct Keywords<'a> {
    text: &'a [u8],
    /// None if it need not be asked: the hits are keywords, or there are none.
    words: Vec<Keyword<'a>>,
}

struct Keyword<'a> {
    word: &'a [u8],
    /// Before this there is none but those that were passed.
    next: usize,
    /// True if there is one at `next`.
    is_there: bool,
}

impl<'a> Keywords<'a> {
    fn new(text: &'a [u8], rule: &'a Rule, matcher: &RegexMatcher) -> Self {
        let is_asked = matches!(matcher.shape, Shape::Url { .. });
        let words = rule.keywords.iter().filter(|_| is_asked);
        let words = words.map(|word| Keyword { word: word.as_bytes(), next: 0, is_there: false });
        Self { text, words: words.collect() }
    }

    /// True if one is in a part of the text; parts are asked for in order. Each byte is looked at once.
    fn are_in(&mut self, part: Range<usize>) -> bool {
        let text = self.text;
        let is_in = |keyword: &mut Keyword| {
            let from = keyword.next.max(part.start);
            if !(keyword.is_there && keyword.next >= part.start) {
                let found = text.get(from..part.end).and_then(|rest| memchr::memmem::find(rest, keyword.word));
                keyword.is_there = found.is_some();
                keyword.next =
                    found.map_or_else(|| from.max((part.end + 1).saturating_sub(keyword.word.len())), |at| from + at);
            }
            keyword.is_there && keyword.next + keyword.word.len() <= part.end
        };
        self.words.is_empty() || self.words.iter_mut().any(is_in)
    }
}

/// True if a match is not part of something longer, and an assigned value looks like a key and not like a name.
fn stands_alone(text: &[u8], rule: &Rule, matcher: &RegexMatcher, secret: &Range<usize>) -> bool {
    let has_digit = || text[secret.clone()].iter().any(u8::is_ascii_digit);
    match matcher.form {
        Form::Token => {
            let starts_word = text.get(secret.start).is_some_and(|&byte| is_word(byte));
            (!starts_word || may_begin(text, secret.start)) && may_end(text, secret.end)
        }
        Form::Assigned => may_end(text, secret.end) && has_digit(),
        Form::Any => rule.pack.is_none() || !matches!(matcher.shape, Shape::Before { .. }) || has_digit(),
    }
}

/// The most recently decoded texts, so that a text full of anchors is not decoded for each of them.
#[derive(Default)]
struct AlreadyDecoded<'a> {
    base64: VecDeque<Base64Text>,
    utf16: VecDeque<WideText<'a>>,
    hex: VecDeque<HexText>,
    escaped: VecDeque<EscapedText>,
    packed: VecDeque<PackedText>,
    arrays: VecDeque<ArrayText>,
}

impl<'a> AlreadyDecoded<'a> {
    /// There are four ways to read a text as base64, and four as UTF-16.
    const KEPT: usize = 4;

    fn base64(&mut self, text: &[u8], anchor: usize, phase: u8) -> Option<&Base64Text> {
        if self.base64.iter().any(|known| known.reads(anchor, phase)) {
            return None;
        }
        self.base64.truncate(Self::KEPT - 1);
        self.base64.push_front(Base64Text::around(text, anchor, phase));
        self.base64.front()
    }

    fn utf16(&mut self, text: &'a [u8], letter: usize) -> Option<&WideText<'a>> {
        if self.utf16.iter().any(|known| known.reads(letter)) {
            return None;
        }
        self.utf16.truncate(Self::KEPT - 1);
        self.utf16.push_front(WideText::around(text, letter)?);
        self.utf16.front()
    }

    fn hex(&mut self, text: &[u8], anchor: usize) -> Option<&HexText> {
        if self.hex.iter().any(|known| known.reads(anchor)) {
            return None;
        }
        self.hex.truncate(Self::KEPT - 1);
        self.hex.push_front(HexText::around(text, anchor));
        self.hex.front()
    }

    fn array(&mut self, text: &[u8], anchor: usize) -> Option<&ArrayText> {
        if self.arrays.iter().any(|known| known.reads(anchor)) {
            return None;
        }
        self.arrays.truncate(Self::KEPT - 1);
        self.arrays.push_front(ArrayText::around(text, anchor)?);
        self.arrays.front()
    }

    fn escaped(&mut self, text: &[u8], anchor: usize) -> Option<&EscapedText> {
        if self.escaped.iter().any(|known| known.reads(anchor)) {
            return None;
        }
        self.escaped.truncate(Self::KEPT - 1);
        self.escaped.push_front(EscapedText::around(text, anchor)?);
        self.escaped.front()
    }
}
