//! The report as `JUnit` tests, for CI servers that show nothing else: a finding that fails the run is a failed test, one
//! below the threshold a passed test that says so, and a path that could not be scanned is a test with an error.
//!
//! `quick-junit` writes the dialect that consumers agree on.

use super::wording::{first_sentence, headline, in_history, remarks, remedy};
use super::{Report, worst_first};
use crate::rule::Severity;
use crate::text::sanitize::one_line;
use quick_junit::{NonSuccessKind, Report as Suites, TestCase, TestCaseStatus, TestSuite};
use std::io;

/// Writes the report as XML. Findings below `fail_on` do not fail the run, nor their tests.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, fail_on: Option<Severity>, out: &mut dyn io::Write) -> io::Result<()> {
    let mut suite = TestSuite::new("keyspill");
    for skip in report.coverage.failures() {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type("incomplete").set_message(one_line(&skip.cause.to_string()));
        let mut case = TestCase::new(one_line(&format!("scan {}", skip.path.to_text())), status);
        case.set_classname("keyspill");
        suite.add_test_case(case);
    }
    for finding in worst_first(report) {
        let place = one_line(&format!("{}:{}", finding.path.to_text(), finding.location.start_line));
        let mut text = format!("{place}:{}", finding.location.start_column);
        let reasons = finding.judgement().into_iter().flat_map(|judgement| judgement.reasons.iter().cloned());
        let history = in_history(finding).map(|history| format!("It is {history}."));
        for sentence in history
            .into_iter()
            .chain(reasons)
            .chain(remarks(finding))
            .chain([first_sentence(&remedy(finding)).to_owned()])
        {
            text = format!("{text}\n{}", one_line(&sentence));
        }
        for excerpt in finding.excerpts.iter() {
            text = format!("{text}\n{:>5} | {}", excerpt.line, excerpt.text);
        }
        let fails = fail_on.is_some_and(|threshold| finding.severity >= threshold);
        let mut status =
            if fails { TestCaseStatus::non_success(NonSuccessKind::Failure) } else { TestCaseStatus::success() };
        if fails {
            status.set_type(finding.severity.to_string()).set_message(one_line(&headline(finding)));
            status.set_description(text.clone());
        }
        let mut case = TestCase::new(one_line(&format!("{} {place}", finding.rule.id)), status);
        if !fails {
            case.set_system_out(format!("{}: {}\n{text}", finding.severity, one_line(&headline(finding))));
        }
        case.set_classname(format!("keyspill.{}", finding.rule.id));
        suite.add_test_case(case);
    }
    if suite.test_cases.is_empty() {
        let mut case = TestCase::new("no secrets", TestCaseStatus::success());
        case.set_classname("keyspill");
        suite.add_test_case(case);
    }
    let mut suites = Suites::new("keyspill");
    suites.add_test_suite(suite);
    let text = suites.to_string().map_err(io::Error::other)?;
    // XML allows neither of these characters.
    out.write_all(text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}").as_bytes())
}
