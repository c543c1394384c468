//! From bytes to tokens: key ids, secrets, passwords, regex matches and comments, each traced to its raw bytes.

mod regexes;

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
use super::marks::Mark;
use super::prefilter::{Hits, Prefilter};
use super::vendor::{self, Whose};
use super::{Candidate, Part, observe, secret};
use crate::finding::{Dummy, Encoding};
use crate::rule::gitleaks::Gitleaks;
use crate::rule::{Matcher, Observer, Rule, RuleSet};
use crate::text::alphabet::ID_LEN;
use crate::text::alphabet::SECRET_LEN;
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
        self.read_words(layered, hits, &mut decoded);
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
