//! How reports of keyspill begin, so that a scan recognises those of earlier scans.

/// Bytes at the start of a file in which a report is recognised.
const REACH: usize = 600;

/// True if a file begins as keyspill's reports do: text, brief lines and GitHub's annotations say nothing of their own and
/// begin with a finding, and so does what a hook prints.
pub fn is_report(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(REACH)];
    let has = |text: &str| memchr::memmem::find(head, text.as_bytes()).is_some();
    let starts = |text: &str| head.starts_with(text.as_bytes());
    // JSON, JSON Lines, SARIF, GitLab.
    (starts("{") && has("\"name\": \"keyspill\"") && has("\"schemaVersion\""))
        || (starts("{") && has("sarif-schema") && (has("\"id\": \"keyspill/\"") || has("\"id\": \"keyspill-history/\"")))
        || starts("{\"type\":\"finding\",\"rule\":\"aws-")
        || (starts("{") && has("\"analyzer\"") && has("\"id\": \"keyspill\""))
        // HTML, JUnit, CSV.
        || has("<meta name=\"generator\" content=\"keyspill ")
        || has("<testsuites name=\"keyspill\"")
        || starts("rule,severity,grade,path,line,column,end_line,")
        // Text and GitHub's annotations.
        || ["error", "warning", "note"].iter().any(|level| starts(&format!("{level}[aws-")))
        || ["error", "warning", "notice"].iter().any(|level| starts(&format!("::{level} file=")) && has("title=aws-"))
        || starts("keyspill stopped the ")
        // What AWS answered about keys.
        || starts("{\"keyspillAnswers\":")
        || is_brief(head)
}

/// `src/app.py:2:19: error aws-access-key-pair: …`.
fn is_brief(head: &[u8]) -> bool {
    let line = head.split(|&b| b == b'\n').next().unwrap_or_default();
    let levels =
        [" error aws-", " warning aws-", " note aws-"].map(|level| memchr::memmem::find(line, level.as_bytes()));
    levels.into_iter().flatten().any(|at| {
        let mut place = line[..at].strip_suffix(b":").unwrap_or_default().rsplit(|&b| b == b':');
        let mut is_number = || place.next().is_some_and(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit));
        is_number() && is_number()
    })
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
            "a: error aws-",
            "a:1:x: error aws-",
        ] {
            assert!(!is_report(text.as_bytes()), "{text}");
        }
    }
}
