//! Secret access keys: which 40-character texts look like one.
//!
//! A secret is 30 random bytes in base64, nothing more, so only its randomness distinguishes it from words, paths, hex
//! and hashes. The comments on the thresholds say how many real secrets each one loses; beyond its shape, a secret
//! needs context ([`super::context`]) or a key id nearby.

use super::context::Context;
use super::decode::escape;
use super::dummy::entropy;
use super::key_id;
use crate::text::alphabet::{ID_LEN, SECRET_LEN};
use std::ops::Range;
use std::sync::LazyLock;

/// True if a maximal base64 run may be, or contain, a secret, by its own characters and up to [`REACH`] on either side.
/// The prefilter calls this for every run, and most are hashes, paths and identifiers.
pub fn may_be_one(text: &[u8], run: &Range<usize>) -> bool {
    match bounded(text, run.clone()) {
        // The loosest test: determining the context costs more.
        Some(span) => is_plausible(&text[span], Context::Strong),
        // An SMTP password, or a secret in base64 again.
        None => run.len() == SMTP_PASSWORD_LEN || (54..=56).contains(&run.len()),
    }
}

/// How many bytes before and after a run decide whether it stands alone.
pub const REACH: usize = escape::ESCAPE_BEFORE;

/// Length of the base64 of an SMTP password of SES: 33 bytes.
pub const SMTP_PASSWORD_LEN: usize = 44;

/// The 40 characters within a maximal base64 `run` that stand alone, if any.
pub fn bounded(text: &[u8], run: Range<usize>) -> Option<Range<usize>> {
    let mut start = run.start + escape::tail_of_escape(text, run.start);
    // Quoted-printable; only if the rest has the length of a secret, since `=` also precedes secrets.
    if run.len() == SECRET_LEN + 2 && text[..start].ends_with(b"=") && text[start..].starts_with(b"3D") {
        start += 2;
    }
    if let Some(touching) = touching(text, &run) {
        return Some(touching);
    }
    if run.end.checked_sub(start) != Some(SECRET_LEN) || !stands_alone(text, &(start..run.end), start > run.start) {
        return None;
    }
    Some(start..run.end)
}

/// The secret at the start of a longer run in a binary: after its length, as Python (`marshal`) and CBOR (RFC 8949) write
/// it, or after its id, in the tables of strings that compilers write.
fn touching(text: &[u8], run: &Range<usize>) -> Option<Range<usize>> {
    if run.len() <= SECRET_LEN {
        return None;
    }
    let before = &text[run.start.saturating_sub(2)..run.start];
    let after_length = matches!(before, [b'x' | 0x80..=0xff, length] if usize::from(*length) == SECRET_LEN);
    let is_after_id = run.len() >= ID_LEN + SECRET_LEN
        && (text[run.start..].starts_with(b"AKIA") || text[run.start..].starts_with(b"ASIA"))
        && text[run.start..run.start + ID_LEN].iter().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'));
    // The oldest form of Python's `pickle`.
    let is_pickled = run.len() == SECRET_LEN + 1
        && text[..=run.start].ends_with(b"\nV")
        && text.get(run.end).is_some_and(|b| *b == b'\n');
    let start = match () {
        () if is_after_id => run.start + ID_LEN,
        () if is_pickled => run.start + 1,
        () => run.start,
    };
    (is_pickled || (after_length || is_after_id) && key_id::is_binary(text)).then_some(start..start + SECRET_LEN)
}

/// True if the characters on either side of `span` can delimit a value: no `-` or `_` (identifiers, base64url), no `=`
/// after it (a name, or padding), no dotted name. `after_escape` says that the text before is an escaped character.
pub fn stands_alone(text: &[u8], span: &Range<usize>, after_escape: bool) -> bool {
    let left = text[..span.start].last().copied().filter(|_| !after_escape);
    let right = text.get(span.end).copied();
    let beyond = text.get(span.end + 1).copied();
    // `==` ends base64, so what comes next is not a value either.
    let after_padding = text[..span.start].ends_with(b"==");
    // A shell's default: `${NAME:-value}`.
    let is_default = || text[..span.start].ends_with(b":-");
    let left_ends = !after_padding
        && left.is_none_or(|b| !matches!(b, b'-' | b'_' | b'.' | b'~' | b'$' | b'\\' | b'%') || is_default());
    let right_ends = match right {
        Some(b'-' | b'_' | b'~' | b'(' | b'$') => false,
        Some(b'=') => false,
        Some(b'.') => beyond.is_none_or(|b| !b.is_ascii_alphanumeric()),
        _ => true,
    };
    left_ends && right_ends
}

/// True if `value` (40 base64 characters) looks random enough for what `context` says of it.
pub fn is_plausible(value: &[u8], context: Context) -> bool {
    // Cheapest first: most candidates are hex, then paths and identifiers.
    let shape = Shape::new(value);
    if !shape.upper || !shape.lower {
        // Loses one secret in 10¹¹.
        return false;
    }
    match context {
        // A name that says "secret key" outweighs much: only what cannot be random is rejected.
        Context::Strong => {
            shape.changes >= 11
                && shape.slashes <= 6
                && entropy(value) >= 4.0
                && word_count(value) < 3
                && lower_parts(value) < 2
                && !is_camel_case(value)
        }
        // Class changes lose 6e-5, slashes 4e-4, no digit 1e-3, entropy 1e-4, words 2e-4, parts of a path 7e-4.
        Context::Weak | Context::None => {
            shape.digit
                && shape.changes >= 13
                && shape.slashes <= 4
                && entropy(value) >= 4.25
                && word_count(value) < 2
                && lower_parts(value) == 0
        }
    }
}

/// The number of parts between slashes that are five and more lower-case letters: directories. One in 1,400 random
/// secrets has such a part, one in three million two.
fn lower_parts(value: &[u8]) -> usize {
    let is_word = |part: &&[u8]| part.len() >= 5 && part.iter().all(u8::is_ascii_lowercase);
    if memchr::memchr(b'/', value).is_none() { 0 } else { value.split(|b| *b == b'/').filter(is_word).count() }
}

/// True for words in camel case: letters only, and a third of them capitals at most. One in 4,000 random secrets has only
/// letters, and one in 50 of these so few capitals.
fn is_camel_case(value: &[u8]) -> bool {
    let capitals = value.iter().filter(|b| b.is_ascii_uppercase()).count();
    value.iter().all(u8::is_ascii_alphabetic) && capitals <= SECRET_LEN / 3
}

/// True if `run` is a line of a block of base64 (PEM, MIME): it fills its line, and so does a run above or below that
/// is not a key. Looks no further than [`WIDEST_LINE`] from the run: a minified file is one line, and this is called
/// for each of its runs.
pub fn in_block(text: &[u8], run: &Range<usize>) -> bool {
    let before = &text[run.start.saturating_sub(WIDEST_LINE)..run.start];
    let after = &text[run.end..text.len().min(run.end + WIDEST_LINE)];
    let (above, indent) = match memchr::memrchr(b'\n', before) {
        Some(newline) => (&before[..newline], &before[newline + 1..]),
        None if before.len() < WIDEST_LINE => (&before[..0], before),
        None => return false,
    };
    let (rest, below) = match memchr::memchr(b'\n', after) {
        Some(newline) => (&after[..newline], &after[newline + 1..]),
        None if after.len() < WIDEST_LINE => (after, &after[..0]),
        None => return false,
    };
    if !indent.trim_ascii().is_empty() || !rest.trim_ascii().is_empty() {
        return false;
    }
    let is_data = |line: &[u8]| {
        let line = line.trim_ascii();
        let padding = line.iter().rev().take_while(|&&b| b == b'=').count();
        let body = &line[..line.len() - padding];
        // A shorter line may be a key id, or a word.
        let is_long = body.len() > 20 || padding > 0;
        is_long && body.iter().all(|&b| crate::text::alphabet::is_base64(b)) || line.starts_with(b"-----")
    };
    let last_line = above.rsplit(|&b| b == b'\n').next().unwrap_or_default();
    let first_line = below.split(|&b| b == b'\n').next().unwrap_or_default();
    (is_data(last_line) || is_data(first_line)) && !is_listed(text, run)
}

/// True if a line is one of a list of secrets, right after or before a list of as many ids; a heading may stand between.
fn is_listed(text: &[u8], run: &Range<usize>) -> bool {
    /// The maximum number of keys in such a list.
    const MAX_KEYS: usize = 20;
    const REACH: usize = 2 * MAX_KEYS * (SECRET_LEN + 10);
    let is_secret = |line: &&[u8]| line.len() == SECRET_LEN;
    let is_id = |line: &&[u8]| line.len() == ID_LEN && (line.starts_with(b"AKIA") || line.starts_with(b"ASIA"));
    let trimmed = |line| <[u8]>::trim_ascii(line);
    let after: Vec<_> =
        text[run.end..text.len().min(run.end + REACH)].split(|b| *b == b'\n').skip(1).map(trimmed).collect();
    let before: Vec<_> =
        text[run.start.saturating_sub(REACH)..run.start].rsplit(|b| *b == b'\n').skip(1).map(trimmed).collect();
    let (below, above) =
        (after.iter().copied().take_while(is_secret).count(), before.iter().copied().take_while(is_secret).count());
    let secrets = above + 1 + below;
    [(above, &before), (below, &after)].into_iter().any(|(own, lines)| {
        let beyond = lines.get(own..).unwrap_or_default().iter().copied();
        let ids = beyond.skip_while({
            let mut skipped = 0;
            move |line| {
                skipped += 1;
                skipped <= 2 && !is_id(line)
            }
        });
        secrets <= MAX_KEYS && ids.take_while(is_id).count() == secrets
    })
}

/// Blocks of base64 have lines of 64 or 76 characters, or are one line; with room for indentation.
const WIDEST_LINE: usize = 200;

/// Statistics of 40 characters.
struct Shape {
    upper: bool,
    lower: bool,
    digit: bool,
    slashes: usize,
    /// The number of changes between classes of characters (upper, lower, digit, symbol).
    changes: usize,
}

impl Shape {
    fn new(value: &[u8]) -> Self {
        const UPPER: u8 = 1;
        const LOWER: u8 = 2;
        const DIGIT: u8 = 4;
        const SYMBOL: u8 = 8;
        /// The class of each byte, as a table, since every text of 40 characters is tested.
        const CLASSES: [u8; 256] = {
            let mut classes = [SYMBOL; 256];
            let mut b = 0;
            while b < classes.len() {
                classes[b] = match b as u8 {
                    b'A'..=b'Z' => UPPER,
                    b'a'..=b'z' => LOWER,
                    b'0'..=b'9' => DIGIT,
                    _ => SYMBOL,
                };
                b += 1;
            }
            classes
        };
        let mut last = value.first().map_or(SYMBOL, |&b| CLASSES[usize::from(b)]);
        let (mut seen, mut slashes, mut changes) = (0, 0, 0);
        for &b in value {
            let class = CLASSES[usize::from(b)];
            seen |= class;
            slashes += usize::from(b == b'/');
            changes += usize::from(class != last);
            last = class;
        }
        let has = |class| seen & class != 0;
        Self { upper: has(UPPER), lower: has(LOWER), digit: has(DIGIT), slashes, changes }
    }
}

/// The number of common words of identifiers and paths in `value`, in any case. One of four letters occurs by chance in
/// one secret of 200, two in one of 50,000.
fn word_count(value: &[u8]) -> usize {
    static WORDS: LazyLock<aho_corasick::AhoCorasick> = LazyLock::new(|| {
        const WORDS: &str = "access account action active admin after agent allow array async attr auth back base before \
            block body bool buffer build byte cache call case change check child class client close cloud code collect \
            column command comment common complete component config connect const container content context control copy \
            core count create current custom data date default define delete deploy desc detail device digest direct \
            display document domain down each edit element email enable encode endpoint engine enter entity entry error \
            event example exec expect export extend factory feature field file filter find first float flow format frame \
            from function generat global graph group handle handler hash head header hidden host http icon image impl \
            import index info inner input insert instance inter internal item java json kind label lambda last layer \
            layout length level library like limit line link list load local lock login logger login long loop main make \
            manage manager mapp match message meta method mode model module mount move multi name native network next node \
            null number object offset open operat option order origin output owner package page param parent parse pass \
            path pattern payload perm plugin point policy pool position post prefix print private process profile project \
            property protocol provide proxy public query queue read record region register release remote remove render \
            replace report request require reset resource response result return role root route rule runtime save scan \
            schema scope script search secret select send serial server service session setting shared should show simple \
            single size source space spec stack start state static status step stop storage store stream string style \
            support switch sync system table target task template test text time title token tool total trace track \
            transform tree trigger type under unique unit update upload user util valid value variable vendor version \
            video view virtual wait warn when width window with work world wrap write writer yaml zone";
        let words = WORDS.split_ascii_whitespace().filter(|word| word.len() >= 4);
        aho_corasick::AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(aho_corasick::MatchKind::LeftmostLongest)
            .build(words)
            .expect("two hundred short words stay far below the automaton's limits")
    });
    WORDS.find_iter(value).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::example::expand;

    #[test]
    fn random_secrets_are_hardly_ever_lost() {
        let count = 20_000;
        let lost = |context| {
            (0..count)
                .filter(|n| !is_plausible(expand(&format!("{{{{secret {n}}}}}")).text.as_bytes(), context))
                .count()
        };
        let (strong, none) = (lost(Context::Strong), lost(Context::None));
        assert!(strong <= 2, "{strong} of {count} random secrets are lost in spite of a strong context");
        // Those made here always have a slash; of all random ones 0.3 % are lost.
        assert!(none <= 100, "{none} of {count} random secrets are lost without context");
    }

    #[test]
    fn other_texts_of_40_characters_are_refused() {
        for text in [
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709",
            "src/main/java/com/company/Project1Test42",
            "getAwsSecretAccessKeyFromEnvironment2345",
            "com/amazonaws/services/s3/model/Region12",
            "AmazonEC2ContainerServiceforEC2RoleTest1",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "node/modules/lodash/fp/Array2/isObject33",
            "b/drivers/media/platform/bcm2835/Kconfig",
            "com/AmazonS3/latest/API/RESTBucketPUTacl",
            "ThisSequenceIsExactlyTheRightLengthToUse",
        ] {
            assert_eq!(text.len(), 40, "{text}");
            assert!(!is_plausible(text.as_bytes(), Context::None), "{text}");
        }
        for text in ["b/drivers/media/platform/bcm2835/Kconfig", "ThisSequenceIsExactlyTheRightLengthToUse"] {
            assert!(!is_plausible(text.as_bytes(), Context::Strong), "{text}");
        }
    }

    #[test]
    fn neighbours_decide_whether_it_stands_alone() {
        let at = |before: &str, after: &str| {
            let text = expand(&format!("{before}{{{{secret}}}}{after}"));
            let span = &text.values[0].range;
            let mut runs = vec![];
            super::super::finder::base64_runs(text.text.as_bytes(), &mut runs);
            runs.into_iter().find_map(|run| bounded(text.text.as_bytes(), run)).map(|found| found == *span)
        };
        for (before, after) in [
            ("", ""),
            ("=", "\n"),
            (":", "@"),
            ("\"", "\","),
            ("%3D", "%26"),
            (r"\n", r"\n"),
            (" ", ". "),
            ("=", "&"),
            ("", "."),
        ] {
            assert_eq!(at(before, after), Some(true), "{before:?} {after:?}");
        }
        for (before, after) in [
            ("x", ""),
            ("-", ""),
            ("_", ""),
            ("", "_"),
            ("", "-"),
            ("", "="),
            ("", ".com"),
            ("a.", ""),
            ("$", ""),
            ("", "("),
        ] {
            assert_eq!(at(before, after), None, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_line_of_a_block_is_told() {
        let text = expand("{{base64:40 a}}\n{{base64:40 b}}\n{{base64:40 c}}\n").text;
        assert!(in_block(text.as_bytes(), &(41..81)));
        let pem = expand("-----BEGIN X-----\n{{base64:40}}\n-----END X-----\n").text;
        assert!(in_block(pem.as_bytes(), &(18..58)));
        let last = expand("{{base64:76}}\r\n{{base64:40}}\r\nAb3d==\r\n").text;
        assert!(in_block(last.as_bytes(), &(78..118)));
        let alone = expand("secret:\n{{secret}}\n{{akia}}\n").text;
        assert!(!in_block(alone.as_bytes(), &(8..48)));
    }
}
