//! `keyspill rules` and custom rules.

use crate::support::Sandbox;

const OWN: &str = r#"
[[rule]]
id = "acme-token"
name = "ACME token"
description = "A token of the ACME service."
why = "It opens everything."
remedy = "Revoke it. Then make another."
severity = "error"
security-severity = 8.0
keywords = ["acme_"]
regex = '\b(?<secret>acme_[a-z0-9]{20})\b'
min-entropy = 3.0
positives = ["token: acme_{{lower:20}}"]
negatives = ["acme_short", "acme_aaaaaaaaaaaaaaaaaaaa"]
"#;

#[test]
fn own_rules_are_checked_and_used() {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("own.toml", OWN.as_bytes());
    let run = sandbox.run(&["rules", "check", "own.toml"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "1 rule: all examples pass\n"), "{}", run.stderr);
    sandbox.write("x.txt", "token: acme_{{lower:20}}\n{{akia}}\n");
    let report = sandbox.json(&["x.txt", "--rules", "own.toml"]);
    let rules: Vec<_> =
        report["findings"].as_array().expect("findings").iter().map(|finding| &finding["rule"]).collect();
    assert_eq!(rules, ["acme-token", "aws-access-key-id"]);
    assert_eq!(report["findings"][0]["secret"]["value"], "*".repeat(25));
    let list = sandbox.run(&["rules", "list", "--rules", "own.toml"]).stdout;
    assert!(list.contains("acme-token") && list.contains("aws-access-key-pair"), "{list}");
    let explained = sandbox.run(&["rules", "explain", "acme-token", "--rules", "own.toml"]).stdout;
    assert!(explained.contains("It opens everything.") && explained.contains("token: acme_"), "{explained}");
}

#[test]
fn examples_that_do_not_hold_are_named() {
    let sandbox = Sandbox::new();
    let broken = OWN.replace("token: acme_{{lower:20}}", "token: acme").replace("acme_short", "acme_{{lower:20}}");
    sandbox.write_bytes("own.toml", broken.as_bytes());
    let run = sandbox.run(&["rules", "check", "own.toml"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stdout.contains("own.toml: rule `acme-token`: does not match its positive example 1"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("own.toml: rule `acme-token`: matches its negative example 1"), "{}", run.stdout);
}

#[test]
fn bad_rule_files_are_refused_with_a_reason() {
    let sandbox = Sandbox::new();
    sandbox.write("key.txt", "{{akia}}\n");
    for (bad, message) in [
        (
            OWN.replace("severity = \"error\"", "severity = \"bad\""),
            "line 8, column 12: unknown value, expected one of `note`, `warning`, `error`",
        ),
        (OWN.replace("keywords =", "keyword ="), "unknown key, expected one of `id`"),
        (OWN.replace("acme-token", "ACME"), "must be words of a-z and 0-9"),
        (OWN.replace("acme-token", "aws-access-key-id"), "`id` is already used"),
        (OWN.replace(r"\b(?<secret>acme_[a-z0-9]{20})\b", "(unclosed"), "`regex` is rejected"),
        (OWN.replace(r"\b(?<secret>acme_[a-z0-9]{20})\b", "(?:acme_\\w{50}){5000}"), "its compiled size exceeds"),
        (OWN.replace(r"\b(?<secret>acme_[a-z0-9]{20})\b", "x*"), "matches the empty string"),
        (OWN.replace("[\"acme_\"]", "[\"ac\"]"), "keywords must be ASCII and have at least 4 bytes"),
        (OWN.replace("[\"acme_\"]", "[]"), "`keywords` is required"),
        (OWN.replace("8.0", "11"), "`security-severity` must be a number from 0.0 to 10.0"),
        (OWN.replace("regex = ", "finder = 'access-key-id'\n# "), "`finder` is reserved for built-in rules"),
        ("not toml".into(), "not a valid rule file"),
    ] {
        sandbox.write_bytes("bad.toml", bad.as_bytes());
        let run = sandbox.run(&["scan", "key.txt", "--rules", "bad.toml"]);
        assert_eq!(run.code, Some(2), "{message}");
        assert!(run.stderr.contains("bad.toml") && run.stderr.contains(message), "{message}: {}", run.stderr);
        assert!(run.stdout.contains("key.txt:1:1"), "the rest is still scanned: {}", run.stdout);
        assert_eq!(sandbox.run(&["rules", "check", "bad.toml"]).code, Some(2), "{message}");
    }
    let missing = sandbox.run(&["scan", "key.txt", "--rules", "none.toml"]);
    assert!(missing.code == Some(2) && missing.stderr.contains("none.toml: cannot be read"), "{}", missing.stderr);
}

#[test]
fn an_unknown_rule_is_corrected() {
    let run = Sandbox::new().run(&["rules", "explain", "aws-acces-key-pair"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("did you mean `aws-access-key-pair`?"), "{}", run.stderr);
}

#[test]
fn every_rule_can_be_explained() {
    let sandbox = Sandbox::new();
    let list = sandbox.run(&["rules", "list"]).stdout;
    assert!(list.lines().count() >= 14, "{list}");
    for id in list.lines().filter_map(|line| line.split_whitespace().next()) {
        let run = sandbox.run(&["rules", "explain", id]);
        assert_eq!(run.code, Some(0), "{id}");
        assert!(run.stdout.starts_with(&format!("{id}: ")) && run.stdout.contains("What to do"), "{}", run.stdout);
    }
}

#[test]
fn templates_of_mail_that_hold_a_secret_are_told() {
    let sandbox = Sandbox::new();
    let text = "Hello {{ user.name }},\nyour key is {{ key.access_key_id }}, and {{ key.secret_access_key }}\n";
    sandbox.write_bytes("templates/mail/welcome.html.j2", text.as_bytes());
    sandbox.write_bytes("templates/page/welcome.html.j2", text.as_bytes());
    let report = sandbox.json(&["."]);
    let told: Vec<_> = report["findings"].as_array().expect("a list").iter().map(|one| &one["path"]).collect();
    assert_eq!(told, ["templates/mail/welcome.html.j2"], "{report}");
}
