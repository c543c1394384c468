//! Plans: what to do about the keys of a report. `tests/verify/against_moto.py` runs their commands.

use crate::support::Sandbox;
use serde_json::{Value, json};

/// A report of one pair, with these changes to its finding and its key.
fn report(finding: Value, credential: Value) -> String {
    let sandbox = Sandbox::new();
    sandbox.write("a.env", "aws_access_key_id={{akia}}\naws_secret_access_key={{secret}}\n");
    let mut report = sandbox.json(&["scan", "."]);
    let merge = |into: &mut Value, from: Value| {
        for (key, value) in from.as_object().expect("an object") {
            into[key] = value.clone();
        }
    };
    merge(&mut report["findings"][0], finding);
    merge(&mut report["credentials"][0], credential);
    report.to_string()
}

#[test]
fn plans_are_as_their_schema_says() {
    let schema = include_str!("../../schemas/plan-1.schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).expect("JSON")).expect("a schema");
    for (finding, credential) in [
        (json!({}), json!({})),
        (json!({}), json!({"verification": {"status": "active", "checkedAt": "2026-11-01T00:00:00Z"}})),
    ] {
        let plan: Value = serde_json::from_str(&plan(&report(finding, credential), "json")).expect("JSON");
        assert!(!plan["sections"].as_array().expect("a list").is_empty());
        let problems: Vec<String> = schema.iter_errors(&plan).map(|problem| problem.to_string()).collect();
        assert!(problems.is_empty(), "{problems:?}: {plan}");
    }
}

fn plan(report: &str, form: &str) -> String {
    let run = Sandbox::new().run_with_input(&["plan", "-f", form, "--now", "2026-11-28"], report.as_bytes());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.stdout
}

/// The purposes of the steps, and their commands' first three words.
fn outline(report: &str) -> String {
    let plan: Value = serde_json::from_str(&plan(report, "json")).expect("JSON");
    assert_eq!(plan["sections"].as_array().map(Vec::len), Some(1));
    let steps = plan["sections"][0]["steps"].as_array().expect("steps");
    let lines = steps.iter().map(|step| {
        let commands = step["commands"].as_array().map_or(&[][..], Vec::as_slice);
        let words = commands.iter().map(|command| {
            let command = command.as_str().expect("text");
            command
                .split_once("aws ")
                .map_or(command, |(_, after)| after)
                .split(' ')
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        });
        format!("{}: {}", step["purpose"].as_str().expect("a purpose"), words.collect::<Vec<_>>().join(", "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn verified(status: &str, more: Value) -> Value {
    let mut verification = json!({ "status": status, "checkedAt": "2026-11-28T00:00:00Z" });
    for (key, value) in more.as_object().expect("an object") {
        verification[key] = value.clone();
    }
    json!({ "verification": verification })
}

#[test]
fn steps_follow_what_is_known() {
    let none = || json!({});
    let exposed =
        json!({ "judgements": [{ "rule": "aws-emailed-key", "grade": "critical", "reasons": ["It was mailed."] }] });
    let root = json!({ "judgements": [{ "rule": "aws-root-key", "grade": "critical", "reasons": ["It is root's."] }] });
    let usage = |last: &str| json!({ "usage": { "user": "ann", "lastUsed": last } });
    let cases = [
        ("not verified", report(none(), none())),
        ("exposed", report(none(), exposed.clone())),
        ("in use", report(verified("active", usage("2026-11-20T00:00:00Z")), none())),
        ("not in use", report(verified("active", usage("2020-01-01T00:00:00Z")), none())),
        ("exposed, not in use", report(verified("active", usage("2020-01-01T00:00:00Z")), exposed)),
        ("inactive", report(verified("inactive", none()), none())),
        ("root", report(none(), root)),
        ("canary", report(none(), json!({ "canary": true }))),
    ];
    let shown = cases.map(|(name, report)| format!("{name}\n{}\n", outline(&report)));
    insta::assert_snapshot!("plan_steps", shown.join("\n"));
}

/// Time is evidence: nobody has to end sessions that are over.
#[test]
fn what_has_expired_is_over() {
    let sandbox = Sandbox::new();
    let end = |year| {
        sandbox.write(
            "a.json",
            &format!(r#"{{"AccessKeyId": "{{{{asia}}}}", "SecretAccessKey": "{{{{secret}}}}", "Expiration": "{year}-01-01T00:00:00Z"}}"#),
        );
        let report = sandbox.json(&["scan", "."]).to_string();
        plan(&report, "text")
    };
    let over = end(2020);
    assert!(over.contains(": expired\n") && over.contains("it worked until 2020-01-01T00:00:00Z"), "{over}");
    assert!(!over.contains("End the role's sessions"), "{over}");
    assert!(end(2999).contains("End the role's sessions"));
    // From an audit, and if AWS was not asked.
    end(2020);
    let audit = sandbox.run(&["audit", ".", "--format", "json"]).stdout;
    let text = plan(&audit, "text");
    assert!(text.contains(": expired\n") && !text.contains("End the role's sessions"), "{text}");
    let mut report = sandbox.json(&["scan", "."]);
    report["findings"][0]["verification"] = verified("not-asked", json!({}))["verification"].clone();
    let text = plan(&report.to_string(), "text");
    assert!(text.contains(": expired\n") && !text.contains("End the role's sessions"), "{text}");
}

#[test]
fn people_are_told_once_and_other_secrets_are_named() {
    let people = json!({ "recipients": ["bob@example.com", "Bob <bob@example.com>", "Eve <eve@example.com>"] });
    let text = plan(&report(json!({}), people), "text");
    assert!(text.contains("- Bob <bob@example.com>, Eve <eve@example.com>: received it"), "{text}");
    let sandbox = Sandbox::new();
    sandbox.write("a.env", "K=glpat-{{base62:20}}\n");
    let report = sandbox.json(&["scan", "."]).to_string();
    let text = plan(&report, "text");
    assert!(text.contains("1. secret ") && text.contains(", GitLab access token: not verified"), "{text}");
}

#[test]
fn a_known_user_is_named_in_commands() {
    let usage = json!({ "usage": { "user": "ann" } });
    let text = plan(&report(verified("active", usage), json!({})), "text");
    assert!(text.contains("--user-name 'ann' --access-key-id"), "{text}");
    assert!(!text.contains("USER_NAME"), "{text}");
    let arn = json!({ "arn": "arn:aws:iam::111122223333:user/team/eve" });
    assert!(plan(&report(verified("active", arn), json!({})), "text").contains("--user-name 'eve'"));
}

/// A report may come from anywhere, and commands are copied to a shell.
#[test]
fn nothing_of_a_report_gets_into_a_command() {
    let evil = "'; touch pwned; '";
    let finding =
        json!({ "id": { "value": "AKIA;touch pwned;aaa" }, "path": "`touch pwned`", "message": "\u{1b}[31m$(x)" });
    let credential = json!({
        "name": "AKIA;touch pwned;aaa",
        "account": "$(touch pwn)",
        "recipients": ["`id`@x.example"],
        "judgements": [{ "rule": "aws-root-key", "grade": "critical", "reasons": ["```\n$(touch pwned)"] }],
    });
    let user = json!({ "usage": { "user": evil }, "arn": format!("arn:aws:iam::111122223333:user/{evil}") });
    let mut both = verified("active", user.clone());
    for (key, value) in finding.as_object().expect("an object") {
        both[key] = value.clone();
    }
    for report in [report(both, credential), report(verified("active", user), json!({ "account": "$(touch pwn)" }))] {
        let json: Value = serde_json::from_str(&plan(&report, "json")).expect("JSON");
        let steps = json["sections"][0]["steps"].as_array().expect("steps");
        let commands = steps.iter().filter_map(|step| step["commands"].as_array()).flatten();
        let all: Vec<_> = commands.map(|command| command.as_str().expect("text")).collect();
        assert!(all.iter().all(|command| !command.contains("touch") && !command.contains('`')), "{all:?}");
        let markdown = plan(&report, "markdown");
        assert!(!markdown.contains("\n```\n$("), "{markdown}");
        assert!(!plan(&report, "text").contains('\u{1b}'));
    }
}

#[test]
fn the_worst_comes_first_and_what_is_over_last() {
    let sandbox = Sandbox::new();
    for name in ["a", "b", "c"] {
        sandbox.write(
            &format!("{name}.env"),
            &format!("aws_access_key_id={{{{akia {name}}}}}\naws_secret_access_key={{{{secret {name}}}}}\n"),
        );
    }
    let mut report = sandbox.json(&["scan", "."]);
    report["findings"][0]["verification"] = json!({ "status": "inactive", "checkedAt": "2026-11-28T00:00:00Z" });
    report["findings"][2]["verification"] = json!({ "status": "active", "checkedAt": "2026-11-28T00:00:00Z" });
    let plan: Value = serde_json::from_str(&plan(&report.to_string(), "json")).expect("JSON");
    let sections = plan["sections"].as_array().expect("sections");
    let statuses: Vec<_> = sections.iter().map(|section| section["status"].as_str().expect("text")).collect();
    assert_eq!(statuses, ["active", "not verified", "inactive"]);
}

#[test]
fn other_input_is_refused() {
    let sandbox = Sandbox::new();
    for (input, words) in [
        ("", "expected a JSON report"),
        ("[]", "expected a JSON report"),
        ("{\"version\": \"2.1.0\", \"runs\": []}", "expected a JSON report"),
        ("{\"tool\": {\"name\": \"keyspill\"}, \"schemaVersion\": 3, \"findings\": []}", "is of version 3"),
        ("{\"tool\": {\"name\": \"keyspill\"}, \"schemaVersion\": 2, \"findings\": [1]}", "expected a JSON report"),
    ] {
        let run = sandbox.run_with_input(&["plan"], input.as_bytes());
        assert_eq!(run.code, Some(2), "{input}");
        assert!(run.stderr.contains(words) && run.stderr.contains("standard input"), "{input}: {}", run.stderr);
    }
    let run = sandbox.run(&["plan", "no/such.json"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("no/such.json: cannot be read"), "{}", run.stderr);
    sandbox.write("clean.txt", "nothing\n");
    let report = sandbox.json(&["scan", "."]).to_string();
    assert_eq!(plan(&report, "text"), "Nothing to do: the report has no keys that count.\n");
}
