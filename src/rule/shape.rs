//! What a search can look for, given a regex: fixed text at the start of a run of letters and digits, or before one.
//!
//! Most secrets contain a **run**: at least [`MIN_RUN`] bytes of `[A-Za-z0-9_-]` in a row. Runs are found at memory
//! speed (`detect/finder`), however many rules there are, and few of them begin with a known prefix or follow a known
//! word. This analysis says which, and proves that no match of the regex is lost. `build.rs` does it for the built-in
//! rules, so that no run has to.

use super::fault::Fault;
use super::run::{MIN_RUN, Run, Stretch, first_run, first_runs, run_length, run_of};
use super::syntax::RuleSyntax;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};
use regex_syntax::{Parser, ParserBuilder};
use serde::{Deserialize, Serialize};

/// How far before a run its word may begin, in bytes.
pub const MAX_REACH: usize = 172;

/// Minimum length of a text that is looked for, in bytes.
pub const MIN_TEXT: usize = 4;

/// Maximum number of texts that stand for one rule.
const MAX_TEXTS: usize = 1300;

/// Maximum length of what a rule of tokens or of assigned values may match, in bytes.
const MAX_MATCH: usize = 8192;

/// What stands between a name and its value: the end of the name's quotes, an assignment with a type, the bar of a table,
/// the tags of XML, or the `value:` of a list of variables; then a call, the value's quotes, which may be escaped, and its
/// colour. The length of a match is at most [`MAX_GAP`].
pub const GAP: &str = concat!(
    r#"[\\"'`)\]*]{0,6}(?:&(?:quot|apos|#3[49]|#x2[27]);|\\u002[27])?(?:\x1b\[0?m)?(?:\x1b\[K)?"#,
    r#"(?:"#,
    r#"</(?:name|key|string|Name|Key)>\s{0,8}<(?:value|string|Value)>"#,
    r#"|["',]{0,2}\s{1,8}["']?[Vv]alue["']?\s?[:=]\s?"#,
    // Blanks align what stands below one another; two of the bytes are a non-breaking space.
    r#"|(?:\s?:\s?&?[A-Za-z]{1,10})?[ \t\xc2\xa0]{0,20}"#,
    r#"(?:=>|:=|:-|\?=|\?:|\|\||\?\?|==|=|:|,|<-|->|>|\||%3[Dd]|\\u003[AaDd])[\s\xc2\xa0]{0,12}"#,
    r#"|\sor\s"#,
    r#"|[ \t]{1,3}"#,
    r#")"#,
    r#"(?:[A-Za-z_.]{1,12}\()?"#,
    r#"(?:\*{1,2}[ \t])?["'`\\*]{0,6}(?:&(?:quot|apos|#3[49]|#x2[27]);|\\u002[27])?"#,
    // The colour that a terminal or `grep` gives the value.
    r#"(?:\x1b\[[0-9;]{0,8}m(?:\x1b\[K)?)?"#,
);

/// Maximum length of a match of [`GAP`], in bytes.
pub const MAX_GAP: usize = 113;

/// What a search looks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// A run that begins with one of these texts.
    Prefix {
        /// The texts.
        texts: Vec<Vec<u8>>,
        /// What the run begins with, the text included.
        stretch: Stretch,
    },
    /// One of these texts, in small letters and found in any case, close before a run.
    Before {
        /// The texts.
        texts: Vec<Vec<u8>>,
        /// How far before the run a match may begin, in bytes.
        reach: usize,
        /// How far after the start of the run it may end, in bytes; `None` if there is no bound.
        end: Option<usize>,
        /// The kind of the run.
        run: Run,
        /// True if the text may also be part of the run.
        is_inside: bool,
        /// What the run of a match has, if the text is not part of it.
        stretch: Stretch,
    },
    /// A URL with a user and a password.
    Url {
        /// How long a match may be, in bytes.
        length: usize,
    },
    /// These texts as they are, anywhere: a token begins with them.
    Texts(Vec<Vec<u8>>),
    /// The rule's keywords as they are, anywhere.
    Keywords,
    /// The rule's keywords in any case, anywhere; the whole text if there are none.
    AnyCase,
}

impl Shape {
    /// The length of the fixed text with which a token begins.
    pub fn fixed(&self, token: &[u8]) -> usize {
        let texts = match self {
            Self::Prefix { texts, .. } | Self::Before { texts, .. } | Self::Texts(texts) => texts.as_slice(),
            Self::Url { .. } | Self::Keywords | Self::AnyCase => &[],
        };
        let begins = |text: &&Vec<u8>| token.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
        texts.iter().filter(begins).map(Vec::len).max().unwrap_or(0)
    }
}

/// The shape of a rule.
///
/// # Errors
/// If a regex is not one, or not of the kind that its field needs.
pub fn derive(rule: &RuleSyntax) -> Result<Shape, Fault> {
    match (&rule.token, &rule.assigned, &rule.value) {
        (Some(token), None, None) => of_token(token),
        (None, Some(assigned), Some(value)) => of_assigned(assigned, value, &rule.keywords),
        // What contains a run is found with that; the rest by its keywords.
        _ => match rule.regex.as_deref().map_or(Ok(Shape::Keywords), of_any)? {
            Shape::AnyCase if rule.regex.as_deref().is_some_and(is_url) => {
                let length = rule.regex.as_deref().map_or(Ok(0), |regex| bounded(&parse(regex)?, "regex"))?;
                Ok(Shape::Url { length })
            }
            // Looking into every run costs more than looking for a few more literals.
            Shape::AnyCase | Shape::Before { run: Run::Word, is_inside: true, .. } => Ok(Shape::Keywords),
            shape => Ok(shape),
        },
    }
}

/// The shape of a token that begins with fixed text.
///
/// # Errors
/// If it does not, or may be of any length.
pub fn of_token(regex: &str) -> Result<Shape, Fault> {
    let hir = parse(regex)?;
    let end = bounded(&hir, "token")?;
    let branches: Vec<Vec<Hir>> = branches(&hir);
    let starts: Option<Vec<_>> = branches.iter().map(|items| leading_texts(items)).collect();
    let starts = starts.ok_or(Fault::Field {
        field: "token",
        expected: "must begin with fixed text of at least four characters, or three and a few more",
    })?;
    if branches.iter().all(|items| run_length(items, Run::Word) >= MIN_RUN) {
        let mut texts: Vec<_> = starts.concat();
        texts.sort_unstable();
        texts.dedup();
        let begins = branches.iter().map(|items| Stretch::of_start(items, Run::Word));
        let stretch = begins.reduce(Stretch::or).unwrap_or(Stretch::NOTHING);
        return Ok(Shape::Prefix { texts, stretch });
    }
    let run = [Run::Word, Run::Base64].into_iter().find_map(|run| {
        let (distance, stretch) = first_runs(&branches, run)?;
        (1..=MAX_REACH).contains(&distance).then_some((run, stretch))
    });
    Ok(match run {
        // A later run of the token will do, too.
        Some((run, stretch)) => {
            let reach = end.min(MAX_REACH);
            Shape::Before { texts: folded(starts.concat()), reach, end: Some(end), run, is_inside: false, stretch }
        }
        None => Shape::Texts(shortened(starts.concat())),
    })
}

/// Many texts that begin with the same three characters become these: they are searched for by themselves.
fn shortened(texts: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    const MANY: usize = 8;
    const SHORT: usize = MIN_TEXT - 1;
    match texts.first().map(|first| first[..SHORT].to_vec()) {
        Some(start) if texts.len() > MANY && texts.iter().all(|text| text.starts_with(&start)) => vec![start],
        _ => texts,
    }
}

/// The shape of a value that is assigned to a name.
///
/// # Errors
/// If the value has no run, or one of the two may be of any length.
pub fn of_assigned(assigned: &str, value: &str, keywords: &[String]) -> Result<Shape, Fault> {
    let name = bounded(&parse(assigned)?, "assigned")?;
    let value = parse(value)?;
    let end = bounded(&value, "value")?;
    let branches = branches(&value);
    let run = [Run::Word, Run::Base64].into_iter().find_map(|run| Some((run, first_runs(&branches, run)?)));
    let (run, (lead, stretch)) = run.ok_or(Fault::Field {
        field: "value",
        expected: "must contain 20 characters of `[A-Za-z0-9_-]` in a row, or 40 of base64",
    })?;
    let reach = name + MAX_GAP + lead;
    if reach > MAX_REACH {
        return Err(Fault::Reach { reach, limit: MAX_REACH });
    }
    let texts = keywords.iter().map(|keyword| keyword.to_ascii_lowercase().into_bytes()).collect();
    Ok(Shape::Before { texts, reach, end: Some(end), run, is_inside: false, stretch })
}

/// The shape of any regex: a fixed text that every match contains, close before a run; otherwise its keywords.
///
/// # Errors
/// If it is not a regex.
pub fn of_any(regex: &str) -> Result<Shape, Fault> {
    let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(regex).map_err(|_| Fault::NoRegex)?;
    let branches = branches(&hir);
    let own_texts: Vec<Vec<_>> = branches.iter().map(|items| texts_of_each(items)).collect();
    let before = |run| {
        let found = branches.iter().zip(&own_texts).map(|(items, own)| text_before_run(items, own, run));
        let found: Vec<BeforeRun> = found.collect::<Option<_>>()?;
        let texts: Vec<_> = found.iter().flat_map(|found| found.texts.clone()).collect();
        let is_few = !texts.is_empty() && texts.len() <= MAX_TEXTS;
        is_few.then(|| Shape::Before {
            texts: folded(texts),
            reach: found.iter().map(|found| found.reach + found.end.unwrap_or(0)).max().unwrap_or(0).min(MAX_REACH),
            end: found.iter().try_fold(0, |last: usize, found| Some(last.max(found.end?))),
            run,
            is_inside: found.iter().any(|found| found.is_inside),
            stretch: found.iter().map(|found| found.stretch).reduce(Stretch::or).unwrap_or(Stretch::NOTHING),
        })
    };
    Ok(before(Run::Word).or_else(|| before(Run::Base64)).unwrap_or(Shape::AnyCase))
}

/// How many bytes of a match may be before a word of `words` that every match contains: at most, if there is one.
pub fn lead(hir: &Hir, words: &[&[u8]]) -> Option<usize> {
    match hir.kind() {
        HirKind::Literal(text) => {
            let places = (0..text.0.len()).filter(|at| words.iter().any(|word| text.0[*at..].starts_with(word)));
            places.min()
        }
        HirKind::Capture(capture) => lead(&capture.sub, words),
        HirKind::Repetition(repetition) if repetition.min > 0 => lead(&repetition.sub, words),
        HirKind::Concat(items) => {
            let mut before = 0;
            for item in items {
                if let Some(lead) = lead(item, words) {
                    return Some(before + lead);
                }
                before += item.properties().maximum_len()?;
            }
            None
        }
        HirKind::Alternation(ways) => {
            ways.iter().map(|way| lead(way, words)).try_fold(0, |most, lead| Some(most.max(lead?)))
        }
        _ => None,
    }
}

/// A regex that the name of a file matches if a path that ends with it matches `path`: what of it is about the end of a path
/// and has no slash. `None` if that is nothing.
pub fn of_name(path: &str) -> Option<String> {
    fn may_have_slash(hir: &Hir) -> bool {
        match hir.kind() {
            HirKind::Empty => false,
            // What they are about may be before the name.
            HirKind::Look(_) => true,
            HirKind::Literal(text) => text.0.contains(&b'/'),
            HirKind::Class(Class::Bytes(class)) => {
                class.iter().any(|range| (range.start()..=range.end()).contains(&b'/'))
            }
            HirKind::Class(Class::Unicode(class)) => {
                class.iter().any(|range| (range.start()..=range.end()).contains(&'/'))
            }
            HirKind::Repetition(repetition) => may_have_slash(&repetition.sub),
            HirKind::Capture(capture) => may_have_slash(&capture.sub),
            HirKind::Concat(items) | HirKind::Alternation(items) => items.iter().any(may_have_slash),
        }
    }
    let hir = ParserBuilder::new().utf8(false).build().parse(path).ok()?;
    let HirKind::Concat(items) = hir.kind() else { return None };
    let (end, items) = items.split_last()?;
    let first = items.iter().rposition(may_have_slash).map_or(0, |at| at + 1);
    let is_end = matches!(end.kind(), HirKind::Look(Look::End));
    (is_end && first < items.len())
        .then(|| Hir::concat([&items[first..], std::slice::from_ref(end)].concat()).to_string())
}

/// How a match of a regex begins, or goes on from a text that it contains.
#[derive(Debug, PartialEq, Eq)]
pub struct Outline {
    /// In small letters: one of them is in every match, in any case. Without any, the outline is of the start of a match.
    pub texts: Vec<Vec<u8>>,
    /// How many bytes of a match may be before the text.
    pub lead: usize,
    /// A regex for the text and what follows, or for the start of a match. It may match more than that, never less.
    pub regex: String,
    /// How many bytes it may match.
    pub length: usize,
}

/// How much of a match its outline describes at most, in bytes.
const MAX_OUTLINE: usize = 400;

/// The outline of a regex: from texts that every match contains, if not much can be before them.
pub fn outline_from_texts(regex: &str) -> Option<Outline> {
    const MIN_LENGTH: usize = 3;
    let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(regex).ok()?;
    let best = |items: &Vec<Hir>| {
        let mut before = Some(0usize);
        let leads = items.iter().map_while(|item| {
            let lead = before?;
            before = item.properties().maximum_len().map(|length| lead + length);
            Some(lead)
        });
        let leads: Vec<usize> = leads.take_while(|lead| *lead <= MAX_MATCH).collect();
        let own = texts_of_each(items);
        let texts = leads.into_iter().enumerate().filter_map(|(start, lead)| {
            let mut all = vec![vec![]];
            for texts in &own[start..] {
                let Some(longer) = texts.as_ref().and_then(|texts| product(&all, texts)) else { break };
                all = longer;
                if all.iter().map(Vec::len).min()? >= 8 {
                    break;
                }
            }
            all.iter().all(|text| text.len() >= MIN_LENGTH).then(|| (folded(all), lead, start))
        });
        let rank = |(texts, ..): &(Vec<Vec<u8>>, usize, usize)| {
            (texts.len(), std::cmp::Reverse(texts.iter().map(Vec::len).min()))
        };
        let (texts, lead, start) = texts.min_by_key(rank)?;
        Some((texts, lead, beginning(&items[start..], MAX_OUTLINE, &mut 0)))
    };
    let all = branches(&hir).iter().map(best).collect::<Option<Vec<_>>>()?;
    let texts = folded(all.iter().flat_map(|(texts, ..)| texts.clone()).collect());
    (texts.len() <= 64).then(|| {
        let regexes: Vec<String> = all.iter().map(|(.., beginning)| format!("(?:{})", beginning.hir)).collect();
        Outline {
            texts,
            lead: all.iter().map(|(_, lead, _)| *lead).max().unwrap_or(0),
            regex: regexes.join("|"),
            length: all.iter().map(|(.., beginning)| beginning.length).max().unwrap_or(0),
        }
    })
}

/// The outline of a regex from the start of a match.
pub fn outline(regex: &str) -> Option<Outline> {
    let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(regex).ok()?;
    let Beginning { hir, length } = beginning(&[hir], MAX_OUTLINE, &mut 0);
    Some(Outline { texts: vec![], lead: 0, regex: hir.to_string(), length })
}

/// How what a regex matches begins.
struct Beginning {
    hir: Hir,
    /// How many bytes it may match.
    length: usize,
}

/// How many alternatives and repetitions of a regex are taken apart for its outline.
const MAX_TAKEN_APART: usize = 24;

/// How often something without an upper bound is repeated in an outline, beyond what it has to be.
const MAX_REPEATED: usize = 128;

/// The beginning of every match of a sequence, of at most about `length` bytes.
fn beginning(items: &[Hir], length: usize, taken_apart: &mut usize) -> Beginning {
    let nothing = || Beginning { hir: Hir::empty(), length: 0 };
    let Some((first, rest)) = items.split_first() else { return nothing() };
    if let Some(own) = first.properties().maximum_len().filter(|own| *own <= length) {
        let rest = beginning(rest, length - own, taken_apart);
        return Beginning { hir: Hir::concat(vec![first.clone(), rest.hir]), length: own + rest.length };
    }
    *taken_apart += 1;
    if *taken_apart > MAX_TAKEN_APART {
        return nothing();
    }
    let mut with_rest = |first: &[Hir], length: usize| beginning(&[first, rest].concat(), length, taken_apart);
    let either = |parts: Vec<Beginning>| Beginning {
        length: parts.iter().map(|part| part.length).max().unwrap_or(0),
        hir: Hir::alternation(parts.into_iter().map(|part| part.hir).collect()),
    };
    match first.kind() {
        HirKind::Capture(capture) => with_rest(&[Hir::clone(&capture.sub)], length),
        HirKind::Concat(inner) => with_rest(inner, length),
        HirKind::Alternation(all) => {
            either(all.iter().map(|one| with_rest(std::slice::from_ref(one), length)).collect())
        }
        HirKind::Repetition(repetition) => {
            let Some(once) = repetition.sub.properties().maximum_len().filter(|once| *once > 0) else {
                return nothing();
            };
            let times = |min: usize, max: usize| {
                let (min, max) = (min as u32, Some(max as u32));
                Hir::repetition(Repetition { min, max, ..repetition.clone() })
            };
            let fitting = length / once;
            let min = repetition.min as usize;
            if min >= fitting {
                return Beginning { hir: times(fitting, fitting), length: fitting * once };
            }
            // It ends within what is looked at, or it goes on beyond.
            let most = fitting.min(min + MAX_REPEATED);
            let ends = beginning(rest, length - most * once, taken_apart);
            let ends =
                Beginning { hir: Hir::concat(vec![times(min, most), ends.hir]), length: most * once + ends.length };
            either(vec![ends, Beginning { hir: times(most, most), length: most * once }])
        }
        _ => nothing(),
    }
}

/// The number of groups of a regex; 0 if it is none.
pub fn groups(regex: &str) -> usize {
    let hir = ParserBuilder::new().utf8(false).build().parse(regex).ok();
    hir.map_or(0, |hir| hir.properties().explicit_captures_len())
}

/// Roughly, and rather more than less: the size to which a regex compiles, in bytes.
pub fn compiled_size(regex: &str) -> Option<usize> {
    fn size(hir: &Hir) -> usize {
        const STATE: usize = 64;
        let sum = |items: &[Hir]| items.iter().map(size).fold(STATE * items.len(), usize::saturating_add);
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => STATE,
            HirKind::Literal(literal) => STATE * literal.0.len(),
            HirKind::Class(Class::Bytes(class)) => STATE + 16 * class.ranges().len(),
            HirKind::Class(Class::Unicode(class)) => STATE * (1 + 16 * class.ranges().len()),
            HirKind::Capture(capture) => 2 * STATE + size(&capture.sub),
            HirKind::Repetition(repetition) => {
                let times = repetition.max.unwrap_or(repetition.min + 1).max(1) as usize;
                times.saturating_mul(STATE + size(&repetition.sub))
            }
            HirKind::Concat(items) | HirKind::Alternation(items) => sum(items),
        }
    }
    ParserBuilder::new().utf8(false).build().parse(regex).ok().map(|hir| size(&hir))
}

/// True if every match has `://`, and an `@` after it.
fn is_url(regex: &str) -> bool {
    let ends = |item: &Hir, text: &[u8]| {
        texts(item, false).is_some_and(|texts| texts.iter().all(|one| memchr::memmem::find(one, text).is_some()))
    };
    parse(regex).is_ok_and(|hir| {
        branches(&hir).iter().all(|items| {
            let scheme = items.iter().position(|item| ends(item, b"://"));
            scheme.is_some_and(|scheme| items[scheme + 1..].iter().any(|item| ends(item, b"@")))
        })
    })
}

fn parse(regex: &str) -> Result<Hir, Fault> {
    let as_text = Parser::new().parse(&format!("(?-u:{regex})")).ok();
    let parsed = as_text.or_else(|| ParserBuilder::new().unicode(false).utf8(false).build().parse(regex).ok());
    parsed.ok_or(Fault::NoRegex)
}

fn bounded(hir: &Hir, field: &'static str) -> Result<usize, Fault> {
    hir.properties()
        .maximum_len()
        .filter(|length| *length <= MAX_MATCH)
        .ok_or(Fault::Unbounded { field, limit: MAX_MATCH })
}

fn folded(texts: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut texts: Vec<_> = texts.into_iter().map(|text| text.to_ascii_lowercase()).collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// The alternatives of a regex, each as a sequence.
fn branches(hir: &Hir) -> Vec<Vec<Hir>> {
    match hir.kind() {
        HirKind::Alternation(all) => all.iter().flat_map(branches).collect(),
        HirKind::Capture(capture) => branches(&capture.sub),
        // The first alternatives that are not just a few texts become sequences of their own, so that each has its own
        // fixed text. (The parser takes out what they begin with in common.)
        _ => {
            let items = sequence(hir);
            let few = items.iter().take_while(|item| texts(item, false).is_some()).count();
            match items.get(few) {
                Some(alternatives) if matches!(alternatives.kind(), HirKind::Alternation(_)) => {
                    let (before, after) = (&items[..few], &items[few + 1..]);
                    branches(alternatives).into_iter().map(|branch| [before, &branch, after].concat()).collect()
                }
                _ => vec![items],
            }
        }
    }
}

fn sequence(hir: &Hir) -> Vec<Hir> {
    match hir.kind() {
        HirKind::Concat(items) => items.iter().flat_map(sequence).collect(),
        HirKind::Capture(capture) => sequence(&capture.sub),
        HirKind::Look(_) => vec![],
        _ => vec![hir.clone()],
    }
}

/// The texts of each item, in small letters, where they are few.
fn texts_of_each(items: &[Hir]) -> Vec<Option<Vec<Vec<u8>>>> {
    items.iter().map(|item| texts(item, true)).collect()
}

/// The texts that `hir` can match, if they are few; with `folds`, in small letters.
fn texts(hir: &Hir, folds: bool) -> Option<Vec<Vec<u8>>> {
    let all = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![vec![]],
        HirKind::Literal(literal) => vec![literal.0.to_vec()],
        HirKind::Class(class) => characters(class)?.into_iter().map(|byte| vec![byte]).collect(),
        HirKind::Capture(capture) => texts(&capture.sub, folds)?,
        HirKind::Alternation(items) => {
            items.iter().map(|item| texts(item, folds)).collect::<Option<Vec<_>>>()?.concat()
        }
        HirKind::Concat(items) => {
            items.iter().try_fold(vec![vec![]], |all, item| product(&all, &texts(item, folds)?))?
        }
        HirKind::Repetition(repetition) if repetition.max.is_some_and(|max| max <= 8) => {
            let once = texts(&repetition.sub, folds)?;
            let (min, max) = (repetition.min, repetition.max.unwrap_or(0));
            // Before they are made: that takes long.
            once.len().checked_pow(max).filter(|count| *count <= MAX_TEXTS)?;
            let mut all = Vec::new();
            let mut so_far = vec![vec![]];
            for count in 0..=max {
                if count >= min {
                    all.extend(so_far.iter().cloned());
                }
                if count < max {
                    so_far = product(&so_far, &once)?;
                }
            }
            all
        }
        HirKind::Repetition(_) => return None,
    };
    let mut all: Vec<_> = if folds { all.into_iter().map(|text| text.to_ascii_lowercase()).collect() } else { all };
    all.sort_unstable();
    all.dedup();
    (all.len() <= MAX_TEXTS).then_some(all)
}

fn product(first: &[Vec<u8>], second: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    (first.len() * second.len() <= MAX_TEXTS)
        .then(|| first.iter().flat_map(|a| second.iter().map(|b| [a.as_slice(), b].concat())).collect())
}

/// The characters of a class, if they are ASCII and at most 64.
fn characters(class: &Class) -> Option<Vec<u8>> {
    let ranges: Vec<(u32, u32)> = match class {
        Class::Unicode(class) => class.iter().map(|range| (range.start().into(), range.end().into())).collect(),
        Class::Bytes(class) => class.iter().map(|range| (range.start().into(), range.end().into())).collect(),
    };
    let count: u32 = ranges.iter().map(|(start, end)| end - start + 1).sum();
    (count <= 64 && ranges.iter().all(|(_, end)| *end < 128))
        .then(|| ranges.into_iter().flat_map(|(start, end)| start as u8..=end as u8).collect())
}

/// The texts with which a sequence begins, each of at least [`MIN_TEXT`] bytes.
fn leading_texts(items: &[Hir]) -> Option<Vec<Vec<u8>>> {
    const ENOUGH: usize = 8;
    let mut all = vec![vec![]];
    for item in items {
        let is_enough = all.iter().map(Vec::len).min()? >= MIN_TEXT;
        let next = texts(item, false).or_else(|| first_character(item));
        let longer = next.as_ref().and_then(|next| product(&all, next)).filter(|longer| {
            // Each character of a class makes as many texts as it has members, so only if they are needed.
            !is_enough || longer.len() <= all.len().max(ENOUGH)
        });
        match longer {
            Some(longer) => all = longer,
            None if is_enough => break,
            None => return None,
        }
        if texts(item, false).is_none() {
            break;
        }
    }
    (all.iter().all(|text| text.len() >= MIN_TEXT)).then_some(all)
}

/// The characters with which a repetition begins.
fn first_character(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Repetition(repetition) if repetition.min > 0 => match repetition.sub.kind() {
            HirKind::Class(class) => Some(characters(class)?.into_iter().map(|byte| vec![byte]).collect()),
            _ => None,
        },
        _ => None,
    }
}

/// Texts, one of which is in every match before a run.
struct BeforeRun {
    texts: Vec<Vec<u8>>,
    /// How far before the run a match may begin, in bytes.
    reach: usize,
    /// How far after the start of the run it may end.
    end: Option<usize>,
    /// True if the text may be part of the run.
    is_inside: bool,
    stretch: Stretch,
}

/// True for the scheme that any address on the web begins with: nothing says less.
fn is_of_any_url(texts: &[Vec<u8>]) -> bool {
    texts.iter().any(|text| {
        let rest = [&b"https"[..], b"http"].iter().find_map(|scheme| text.strip_prefix(*scheme)).unwrap_or(text);
        rest.strip_prefix(b"://").is_some_and(|host| host.len() < MIN_TEXT)
    })
}

/// True if every match of the items has a character that is of no run.
fn has_separator(items: &[Hir], run: Run) -> bool {
    items.iter().any(|item| match item.kind() {
        HirKind::Literal(literal) => literal.0.iter().any(|byte| !run.has(*byte)),
        HirKind::Class(class) => characters(class).is_some_and(|all| all.iter().all(|byte| !run.has(*byte))),
        HirKind::Repetition(repetition) => {
            repetition.min > 0 && has_separator(std::slice::from_ref(&*repetition.sub), run)
        }
        HirKind::Capture(capture) => has_separator(std::slice::from_ref(&*capture.sub), run),
        HirKind::Concat(items) => has_separator(items, run),
        HirKind::Alternation(items) => items.iter().all(|item| has_separator(std::slice::from_ref(item), run)),
        HirKind::Empty | HirKind::Look(_) => false,
    })
}

/// True if the items before `start` end with a run of base64 that goes on to `next`.
fn is_long_inside(items: &[Hir], start: usize, next: usize, run: Run) -> bool {
    let is_whole = |item: &Hir| run_of(item, run).1;
    let first = items[..start].iter().rposition(|item| !is_whole(item)).map_or(0, |at| at + 1);
    run == Run::Base64
        && next > start
        && items[start..next].iter().all(is_whole)
        && items[first..next].iter().map(|item| run_of(item, run).0).sum::<usize>() >= run.min()
}

/// `own` are the texts of each item.
fn text_before_run(items: &[Hir], own: &[Option<Vec<Vec<u8>>>], run: Run) -> Option<BeforeRun> {
    let mut best: Option<BeforeRun> = None;
    let mut before = Some(0);
    for start in 0..items.len() {
        // The longest texts from here on.
        let mut all = vec![vec![]];
        let mut next = start;
        while next < items.len() && all.iter().map(Vec::len).min()? < 8 {
            let Some(longer) = own[next].as_ref().and_then(|texts| product(&all, texts)) else { break };
            all = longer;
            next += 1;
        }
        if all.iter().all(|text| text.len() < MIN_TEXT)
            && let Some(longer) = items.get(next).and_then(first_character).and_then(|texts| product(&all, &texts))
        {
            all = folded(longer);
        }
        let is_long = all.iter().all(|text| text.len() >= MIN_TEXT);
        if is_long
            && let Some(before) = before
            && let Some((first, distance)) = first_run(items, start, run)
            && before + distance <= MAX_REACH
        {
            let end = items[first..].iter().try_fold(0, |sum, item| Some(sum + item.properties().maximum_len()?));
            let rank = |texts: &[Vec<u8>]| (is_of_any_url(texts), texts.len());
            if best.as_ref().is_none_or(|best| rank(&all) < rank(&best.texts)) {
                let is_inside = !has_separator(&items[start..first], run);
                let stretch = if is_inside { Stretch::NOTHING } else { Stretch::of(&items[first..], run) };
                best = Some(BeforeRun { texts: all.clone(), reach: before + distance, end, is_inside, stretch });
            }
        }
        if is_long_inside(items, start, next, run)
            && all.iter().all(|text| text.len() >= MIN_TEXT)
            && let Some(reach) = before.filter(|reach| *reach <= MAX_REACH)
            && best.is_none()
        {
            let end = items[start..].iter().try_fold(0, |sum, item| Some(sum + item.properties().maximum_len()?));
            let stretch = Stretch::NOTHING;
            best = Some(BeforeRun { texts: all.clone(), reach, end, is_inside: true, stretch });
        }
        before = before.zip(items[start].properties().maximum_len()).map(|(sum, length)| sum + length);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(regex: &str) -> Vec<String> {
        match of_token(regex) {
            Ok(Shape::Prefix { texts, .. }) => texts.into_iter().map(|text| String::from_utf8(text).unwrap()).collect(),
            other => panic!("{regex}: {other:?}"),
        }
    }

    #[test]
    fn tokens_begin_runs() {
        assert_eq!(prefix("ghp_[A-Za-z0-9]{36}"), ["ghp_"]);
        assert_eq!(prefix("gh[opsu]_[A-Za-z0-9]{36}"), ["gho_", "ghp_", "ghs_", "ghu_"]);
        assert_eq!(prefix("(?:ghp|gho)_[A-Za-z0-9]{36}").len(), 2);
        assert_eq!(prefix("hf_[A-Za-z]{34}").len(), 52);
        let near = |regex: &str| match of_token(regex) {
            Ok(Shape::Before { texts, reach, .. }) => (texts.len(), reach),
            other => panic!("{regex}: {other:?}"),
        };
        assert_eq!(near(r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"), (38, 69));
        assert_eq!(near(r"https://hooks\.slack\.com/services/T[A-Z0-9]{8,10}/B[A-Z0-9]{8,10}/[A-Za-z0-9]{24}").0, 1);
        assert_eq!(of_token(r"abcd\.[0-9.]{40}"), Ok(Shape::Texts(vec![b"abcd.".to_vec()])));
        assert!(of_token("[a-z]{30}").is_err());
        assert!(of_token("ghp_[a-z]+").is_err());
    }

    #[test]
    fn values_contain_runs() {
        let shape = of_assigned("datadog_api_key", "[0-9a-f]{32}", &["datadog".into()]);
        let texts = vec![b"datadog".to_vec()];
        let stretch = Stretch { length: 32, class: crate::rule::run::class_of(&parse("[0-9a-f]").unwrap(), Run::Word) };
        let (reach, end) = (15 + MAX_GAP, Some(32));
        let expected = Shape::Before { texts, reach, end, run: Run::Word, is_inside: false, stretch };
        assert_eq!(shape, Ok(expected));
        assert!(of_assigned("x_key", "[0-9a-f]{16}", &["x_key".into()]).is_err());
    }

    #[test]
    fn other_regexes_have_shapes_too() {
        let gitleaks = r#"(?i)[\w.-]{0,50}?(?:adafruit)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}([a-z0-9_-]{32})(?:[\x60'"\s;]|\\[nr]|$)"#;
        match of_any(gitleaks) {
            Ok(Shape::Before { texts, reach, .. }) => {
                assert_eq!(texts, [b"adafruit".to_vec()]);
                assert!((80..=MAX_REACH).contains(&reach), "{reach}");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(of_any(r"\b(ghp_[0-9a-zA-Z]{36})(?:[\x60'\x22\s;]|$)"), Ok(Shape::Before { .. })));
        assert_eq!(of_any(r"(?i)password\s*=\s*(\S{8,16})"), Ok(Shape::AnyCase));
    }

    /// In the form of gitleaks' rules: with words, without, with matches of any length, and over several lines.
    const REGEXES: [&str; 8] = [
        r#"(?i)[\w.-]{0,50}?(?:access|auth|(?-i:[Aa]pi|API)|key|passw(?:or)?d|token)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|,)[\x60'"\s=]{0,5}([\w.=-]{10,150}|[a-z0-9][a-z0-9+/]{11,}={0,3})(?:[\x60'"\s;]|\\[nr]|$)"#,
        r#"\b(ey[a-zA-Z0-9]{17,}\.ey[a-zA-Z0-9/_-]{17,}\.(?:[a-zA-Z0-9/_-]{10,}={0,2})?)(?:[\x60'"\s;]|$)"#,
        r#"(?i)(?:\bkind:[ \t]*["']?\bsecret\b(?s:.){0,60}?\bdata:(?s:.){0,40}?\s+([\w.-]+:\s+["']?[a-z0-9+/]{10,}={0,3}))"#,
        r"\b((?:hvs\.[\w-]{9,120}|s\.(?i:[a-z0-9]{24})))(?:[\s;]|$)",
        r"SK[0-9a-fA-F]{32}",
        r"(?s)\A.{1,20}",
        r#"(?i)\w{2,20}(?:\b-key-|\bkey:)([^\s"']{6,20})"#,
        r"(?i)[a-z]{3}(?:\b=tok=){1,2}\s?([^\n]{6,10})\B",
    ];

    fn text() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let word = prop::sample::select(vec![
            "api",
            "API",
            "Key",
            "token",
            "auth",
            " = ",
            "=",
            ">",
            "\"",
            "'",
            " ",
            "\n",
            ";",
            "ey",
            ".ey",
            ".",
            "kind: Secret",
            "data:",
            "-key-",
            "key:",
            "=tok=",
            "!",
            "x: ",
            "hvs.",
            "s.",
            "SK",
            "_",
            "-",
            "{",
            "+/",
        ]);
        let piece = prop_oneof![3 => word.prop_map(str::to_owned), 1 => "[a-f0-9]{32}", 2 => "[a-zA-Z0-9]{1,30}", 1 => "[a-z0-9]{200,600}"];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]
        #[test]
        fn an_outline_is_of_every_match(text in text()) {
            use regex::bytes::Regex;
            use regex_automata::{Anchored, Input, meta};
            use std::sync::LazyLock;
            static ALL: LazyLock<Vec<(Regex, Outline, meta::Regex)>> = LazyLock::new(|| {
                let with_outline = |source: &&str| {
                    let outline = outline_from_texts(source).or_else(|| outline(source)).expect("an outline");
                    let bytes = regex_automata::util::syntax::Config::new().utf8(false);
                    let mut builder = meta::Regex::builder();
                    builder.syntax(bytes).configure(meta::Config::new().utf8_empty(false));
                    let begins = builder.build(&format!("(?-u)(?:{})", outline.regex)).expect("a regex");
                    (Regex::new(&format!("(?-u:{source})")).expect("a regex"), outline, begins)
                };
                REGEXES.iter().map(with_outline).collect()
            });
            let text = text.as_bytes();
            for (regex, outline, begins) in ALL.iter() {
                let end = |at: usize| text.len().min(at + outline.length);
                let input = |at: usize| Input::new(text).range(at..end(at)).anchored(Anchored::Yes);
                let is_outlined = |at: usize| begins.is_match(input(at));
                for found in regex.find_iter(text) {
                    let start = found.start();
                    let mut places = start..=(start + outline.lead).min(found.end());
                    let is_text = |at: usize| {
                        let here = text[at..].to_ascii_lowercase();
                        outline.texts.is_empty() || outline.texts.iter().any(|text| here.starts_with(text))
                    };
                    proptest::prop_assert!(places.any(|at| is_text(at) && is_outlined(at)), "{regex}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn sizes_are_not_underestimated() {
        for source in REGEXES {
            let source = format!("(?-u:{source})");
            let size = compiled_size(&source).expect("a regex");
            let mut builder = regex::bytes::RegexBuilder::new(&source);
            assert!(builder.size_limit(size).build().is_ok(), "{source}: {size}");
            assert!(builder.size_limit(size / 64).build().is_err(), "{source}: {size}");
        }
    }

    #[test]
    fn names_of_paths() {
        for (path, name, other) in [
            (r"(?-u:(?i)(?:^|\/)[^\/]+\.p(?:12|fx)$)", "a.P12", "a.p12.txt"),
            (r"(?-u:\.env$)", ".env", "env"),
            (r"(?-u:^secrets/[a-z]+\.key$)", "a.key", "0.kex"),
        ] {
            let regex = regex::bytes::Regex::new(&of_name(path).expect(path)).expect(path);
            assert!(regex.is_match(name.as_bytes()) && !regex.is_match(other.as_bytes()), "{path}: {regex}");
        }
        for unknown in [r"(?-u:\.env)", "(?-u:^a/$)", r"(?-u:(?:a$|b))", r"(?-u:x.*$)"] {
            assert_eq!(of_name(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn the_gap_is_as_long_as_said() {
        assert_eq!(parse(GAP).unwrap().properties().maximum_len(), Some(MAX_GAP));
    }
}
