//! How reports of keyspill begin, so that a scan recognises those of earlier scans.

/// Bytes at the start of a file in which a report is recognised.
const REACH: usize = 600;

/// True if a file begins as keyspill's reports do: text, brief lines and GitHub's annotations say nothing of their own and
/// begin with a finding.
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
}

#[cfg(test)]
mod tests {
    use super::is_report;

    #[test]
    fn other_files_are_not_reports() {
        for text in
            ["", "{\"name\": \"keyspill\"}", "rule,severity\n", "error: aws-", "<html>", "{\"schemaVersion\": 2}"]
        {
            assert!(!is_report(text.as_bytes()), "{text}");
        }
    }
}
