//! How reports of keyspill begin, so that a scan recognises those of earlier scans.

use regex::bytes::Regex;
use std::sync::LazyLock;

/// Bytes at the start of a file in which a report is recognised.
const REACH: usize = 600;

/// How reports begin that always begin alike: JSON Lines and CSV of scans, CSV and text of audits, plans, what a hook
/// prints, and what AWS answered about keys.
const STARTS: [&str; 5] = [
    "{\"type\":\"finding\",\"rule\":\"",
    "{\"type\":\"skipped\",\"path\":\"",
    "rule,severity,grade,path,line,column,end_line,",
    "account,key,severity,status,title,judgements,id,",
    "{\"keyspillAnswers\":",
];

/// True if a file begins as keyspill's reports do. Text, brief lines and GitHub's annotations say nothing of their own and
/// begin with a finding, of a rule of which `is_rule` is true, and so does what a hook prints.
pub fn is_report(bytes: &[u8], is_rule: &dyn Fn(&str) -> bool) -> bool {
    let head = &bytes[..bytes.len().min(REACH)];
    let plain;
    let head = if head.contains(&ESCAPE) {
        plain = without_colours(head);
        &plain[..]
    } else {
        head
    };
    let has = |text: &str| memchr::memmem::find(head, text.as_bytes()).is_some();
    let starts = |text: &str| head.starts_with(text.as_bytes());
    // JSON, SARIF, GitLab.
    (starts("{") && has("\"name\": \"keyspill\"") && has("\"schemaVersion\""))
        || (starts("{") && has("sarif-schema") && (has("\"id\": \"keyspill/\"") || has("\"id\": \"keyspill-history/\"")))
        || (starts("{") && has("\"analyzer\"") && has("\"id\": \"keyspill\""))
        // HTML, JUnit.
        || has("<meta name=\"generator\" content=\"keyspill ")
        || has("<testsuites name=\"keyspill\"")
        || STARTS.iter().any(|start| starts(start))
        || ["keyspill stopped the commit: ", "keyspill stopped the push: ", "keyspill checked these files: "].iter().any(|start| starts(start))
        || begins_with_sentence(head)
        || begins_with_finding(head, is_rule)
}

/// `error[aws-access-key-pair]: …`, `::error file=a.env,line=1,title=aws-access-key-pair%3A …` or
/// `src/app.py:2:19: error aws-access-key-pair: …`.
fn begins_with_finding(head: &[u8], is_rule: &dyn Fn(&str) -> bool) -> bool {
    let line = head.split(|&b| b == b'\n').next().unwrap_or_default();
    let is_rule = |text: &[u8]| std::str::from_utf8(text).is_ok_and(is_rule);
    if let Some(annotation) = line.strip_prefix(b"::") {
        let title = memchr::memmem::find(annotation, b"title=").map(|at| &annotation[at + 6..]);
        let title = title.and_then(|title| Some(&title[..memchr::memmem::find(title, b"%3A")?]));
        return title.is_some_and(|title| title == b"keyspill" || is_rule(title));
    }
    LEVELS.iter().any(|level| {
        let rule = line.strip_prefix(level.as_bytes()).and_then(|rest| rest.strip_prefix(b"["));
        let rule = rule.and_then(|rest| rest.split(|&b| b == b']').next());
        rule.is_some_and(is_rule) || is_brief(line, level, &is_rule)
    })
}

/// `Audit as of 2026-11-29: …`, `# Leaked keys as of 2026-11-29` or `What to do about 3 keys, worst first`, as a whole line:
/// people begin texts in a similar way.
fn begins_with_sentence(head: &[u8]) -> bool {
    static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?-u)\A(?:Audit as of \d{4}-\d\d-\d\d: \d[\d,]* keys? (?:in|of) \d|# Leaked keys as of \d{4}-\d\d-\d\d\r?\n|(?:# )?What to do about \d[\d,]* keys?, worst first\r?\n)",
        )
        .expect("a valid regex")
    });
    SENTENCE.is_match(head)
}

/// The severities of findings.
const LEVELS: [&str; 3] = ["error", "warning", "note"];

fn is_brief(line: &[u8], level: &str, is_rule: &dyn Fn(&[u8]) -> bool) -> bool {
    let level = format!(": {level} ");
    memchr::memmem::find_iter(line, level.as_bytes()).any(|at| {
        let mut place = line[..at].rsplit(|&b| b == b':');
        let mut is_number = || place.next().is_some_and(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit));
        let rule = line[at + level.len()..].split(|&b| b == b':').next().unwrap_or_default();
        is_number() && is_number() && (rule == b"not-scanned" || is_rule(rule))
    })
}

const ESCAPE: u8 = 0x1b;

/// Text without the escape sequences that colour it on a terminal: ECMA-48, "SGR".
fn without_colours(text: &[u8]) -> Vec<u8> {
    let mut parts = text.split(|b| *b == ESCAPE);
    let mut plain = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        let end = part.iter().position(|b| !b.is_ascii_digit() && !matches!(b, b'[' | b';'));
        plain.extend(end.filter(|end| part[*end] == b'm').map_or(part, |end| &part[end + 1..]));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::is_report;

    #[test]
    fn other_files_are_not_reports() {
        for text in [
            "",
            "{\"name\": \"keyspill\"}",
            "rule,severity\n",
            "error: aws-",
            "<html>",
            "{\"schemaVersion\": 2}",
            "a: error aws-root-key:",
            "a:1:x: error aws-root-key:",
            "a:1:2: error aws-root:",
            "error[E0425]: cannot find value",
            "::error file=a,title=Build%3A failed::x",
            "# What to do about leaked keys in our org\n",
            "What to do about the March incident\n",
            "Audit as of March: keys that people still use\n",
            "keyspill stopped the bus\n",
            "# Leaked keys as of today\n",
        ] {
            assert!(!is_report(text.as_bytes(), &|rule| rule == "aws-root-key"), "{text}");
        }
    }

    #[test]
    fn findings_of_any_rule_begin_a_report() {
        for text in [
            "error[some-token]: x",
            "\x1b[1m\x1b[31merror[some-token]\x1b[0m: x",
            "::error file=a,line=1,title=some-token%3A Some token::x",
            "::error title=keyspill%3A the scan is incomplete::x",
            "src/a b.py:2:19: note some-token: x",
            "a.zip:1:1: error not-scanned: damaged",
        ] {
            assert!(is_report(text.as_bytes(), &|rule| rule == "some-token"), "{text}");
        }
    }
}
