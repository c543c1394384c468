//! keyspill as a library, with nothing but what it promises.

use crate::support::{Sandbox, expand};
use keyspill::finding::Kind;
use keyspill::{Config, Format, Limits, ReportOptions, RuleSet, Scanner, Scope, Selection, Severity, Verdict};

#[test]
fn a_program_can_scan_and_read_the_report() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.env", "aws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n");
    sandbox.commit(1, "A key");
    std::fs::remove_file(sandbox.path().join("a.env")).expect("ours");
    let scan = || Scanner::builder().path(sandbox.path()).now(1_800_000_000);
    assert_eq!(scan().run().verdict(Some(Severity::Note)), Verdict::Clean);

    let report = scan().history().build().run();
    assert_eq!(report.verdict(Some(Severity::Error)), Verdict::Findings);
    assert_eq!(report.verdict(None), Verdict::Clean);
    let finding = report.findings().find(|finding| matches!(finding.kind, Kind::Key(_))).expect("a key");
    let key = finding.key().expect("a key");
    let id = key.id.as_ref().map(|id| id.text.to_string());
    assert_eq!((id, finding.severity), (Some(expand("{{akia}}").text), Severity::Error));
    assert!(key.secret.as_ref().is_some_and(|secret| secret.text.chars().all(|c| c == '*')), "it is masked");
    assert!(!format!("{report:?}").contains(&expand("{{secret}}").text), "nor is it in what is printed to debug");
    let history = finding.history.as_ref().expect("a history");
    assert_eq!(history.introduced.listed[0].subject, "A key");

    let selection = Selection { range: Some("HEAD".into()), ..Selection::default() };
    let report = scan().scope(Scope::Commits { selection, whole_files: false }).run();
    assert_eq!(report.findings().count(), 1);
    let mut brief = Vec::new();
    report.write(Format::Brief, &ReportOptions::default(), &mut brief).expect("memory");
    assert!(String::from_utf8(brief).expect("text").contains(": error aws-access-key-pair: "));
}

#[test]
fn everything_is_told_and_nothing_is_taken_from_the_process() {
    let sandbox = Sandbox::new();
    sandbox.write("keyspill.toml", "[[allow]]\nrules = [\"aws-access-key-id\"]\n");
    let rules = RuleSet::built_in();
    let config = Config::read(&sandbox.path().join("keyspill.toml"), &rules).expect("a configuration");
    let text = expand("{{akia}}").text;
    let scan = || Scanner::builder().bytes("a.txt", text.as_bytes());
    assert_eq!(scan().run().findings().count(), 1);
    let report = scan().config(config).rules(rules).limits(Limits::default()).threads(1).run();
    assert_eq!((report.findings().count(), report.suppressed().count()), (0, 1));
    let large = scan().path(sandbox.path()).max_file_size(3).without_archives().ignored_files().run();
    assert_eq!(large.coverage.failures().count(), 0, "a limit that was set is meant");
    assert_eq!(large.coverage.skips[0].cause.word(), "too-large");
    assert!(scan().show_secrets().run().findings().count() == 1);
}

/// What a broken writer reports is what the caller gets.
#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let report = Scanner::builder().bytes("a.txt", expand("{{akia}}").text).run();
    for format in [
        Format::Text,
        Format::Brief,
        Format::Json,
        Format::Jsonl,
        Format::Sarif,
        Format::Github,
        Format::Gitlab,
        Format::Junit,
        Format::Csv,
        Format::Html,
    ] {
        let error = report.write(format, &ReportOptions::default(), &mut Full).expect_err("it is full");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{format:?}");
    }
}
