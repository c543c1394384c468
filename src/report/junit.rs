//! The report as tests, for CI servers that show nothing else: a finding is a test that failed, what could not be scanned one
//! that could not run.
//!
//! `quick-junit` writes the format that its consumers agree on.

use super::wording::{first_sentence, headline, remarks, remedy};
use super::{Report, worst_first};
use crate::text::sanitize::one_line;
use quick_junit::{NonSuccessKind, Report as Suites, TestCase, TestCaseStatus, TestSuite};

/// The report as XML.
pub fn write(report: &Report) -> String {
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
        for sentence in reasons.chain(remarks(finding)).chain([first_sentence(&remedy(finding)).to_owned()]) {
            text = format!("{text}\n{}", one_line(&sentence));
        }
        for excerpt in finding.excerpts.iter() {
            text = format!("{text}\n{:>5} | {}", excerpt.line, excerpt.text);
        }
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type(finding.severity.to_string()).set_message(one_line(&headline(finding))).set_description(text);
        let mut case = TestCase::new(one_line(&format!("{} {place}", finding.rule.id)), status);
        case.set_classname(format!("keyspill.{}", finding.rule.id));
        suite.add_test_case(case);
    }
    if suite.test_cases.is_empty() {
        let mut case = TestCase::new("no AWS keys", TestCaseStatus::success());
        case.set_classname("keyspill");
        suite.add_test_case(case);
    }
    let mut suites = Suites::new("keyspill");
    suites.add_test_suite(suite);
    let text = suites.to_string().expect("writing to a text does not fail");
    // XML holds neither.
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
