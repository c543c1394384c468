//! How a configuration and accepted findings affect findings.

use crate::support::{Sandbox, expand};
use serde_json::Value;

const PAIR: &str = "aws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n";

fn paths(report: &Value, list: &str) -> Vec<String> {
    let all = report[list].as_array().expect("a list");
    all.iter().map(|finding| finding["path"].as_str().expect("a path").to_owned()).collect()
}

fn repository(config: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write_bytes("keyspill.toml", config.as_bytes());
    sandbox
}

#[test]
fn findings_are_allowed_by_path_rule_value_and_account() {
    let print =
        |sandbox: &Sandbox| sandbox.json(&["a.txt"])["findings"][0]["fingerprint"].as_str().expect("one").to_owned();
    let plain = repository("");
    plain.write("a.txt", "{{akia}}\n");
    let print = print(&plain);
    for (allow, expected) in [
        ("paths = [\"a.txt\"]", vec![]),
        ("paths = [\"/a.txt\"]", vec!["b/a.txt"]),
        ("paths = [\"b/\"]", vec!["a.txt"]),
        ("paths = [\"**/*.txt\"]", vec![]),
        ("rules = [\"aws-access-key-id\"]", vec![]),
        ("rules = [\"aws-access-key-pair\"]", vec!["a.txt", "b/a.txt"]),
        ("accounts = [\"111122223333\"]", vec![]),
        ("accounts = [\"444455556666\"]", vec!["a.txt", "b/a.txt"]),
        (&format!("fingerprints = [\"{print}\"]"), vec![]),
        ("paths = [\"b/\"]\naccounts = [\"444455556666\"]", vec!["a.txt", "b/a.txt"]),
        ("paths = [\"*\"]\nexpires = \"2022-09-26\"", vec!["a.txt", "b/a.txt"]),
        ("paths = [\"*\"]\nexpires = \"2022-09-27\"", vec![]),
    ] {
        let sandbox = repository(&format!("[[allow]]\n{allow}\nreason = \"it is old\"\n"));
        sandbox.write("a.txt", "{{akia}}\n");
        sandbox.write("b/a.txt", "{{akia}}\n");
        let report = sandbox.json(&["a.txt", "b", "--show-suppressed"]);
        assert_eq!(paths(&report, "findings"), expected, "{allow}");
        for suppressed in report["suppressed"].as_array().expect("a list") {
            assert_eq!(suppressed["suppression"]["kind"], "allowlist");
            assert_eq!(suppressed["suppression"]["reason"], "it is old");
            assert_eq!(suppressed["suppression"]["place"], "keyspill.toml:1");
        }
    }
    let sandbox = repository("[[allow]]\npaths = [\"*\"]\nexpires = \"2022-09-26\"\n");
    sandbox.write("a.txt", "{{akia}}\n");
    let text = sandbox.run(&["scan", "a.txt"]).stdout;
    assert!(text.contains("It was allowed by keyspill.toml:1 until 2022-09-26."), "{text}");
}

#[test]
fn severities_and_thresholds_can_be_set() {
    let sandbox = repository(
        "fail_on = \"error\"\n[[override]]\npaths = [\"docs/\"]\nseverity = \"note\"\n[[override]]\npaths = [\"docs/live/\"]\nrules = [\"aws-access-key-pair\"]\nseverity = \"error\"\n",
    );
    sandbox.write("docs/a.md", PAIR);
    sandbox.write("b.txt", "{{akia b}}\n");
    assert_eq!(sandbox.run(&["scan", "."]).code, Some(0), "a note and a warning");
    assert_eq!(sandbox.run(&["scan", ".", "--fail-on", "warning"]).code, Some(1), "the command line wins");
    sandbox.write("docs/live/c.md", "{{akia c}} {{secret c}}\n");
    assert_eq!(sandbox.run(&["scan", "."]).code, Some(1), "the last match applies");
    assert_eq!(sandbox.run(&["scan", ".", "--no-repo-config", "--fail-on", "error"]).code, Some(1));
}

#[test]
fn files_include_others_and_only_add_to_what_is_built_in() {
    let sandbox = repository(
        "include = [\"team/base.toml\"]\norg_accounts = [\"111122223333\"]\n[severity]\naws-copied-key = \"error\"\n",
    );
    sandbox.write_bytes(
        "team/base.toml",
        b"org_accounts = [\"444455556666\"]\n[severity]\naws-copied-key = \"note\"\naws-access-key-id = \"note\"\n",
    );
    let shown = sandbox.run(&["config", "show"]).stdout;
    assert!(shown.contains("org_accounts = [\"111122223333\", \"444455556666\"]"), "{shown}");
    assert!(shown.contains("aws-copied-key = \"error\"") && shown.contains("aws-access-key-id = \"note\""), "{shown}");
    sandbox.write("a.txt", PAIR);
    assert_eq!(sandbox.run(&["scan", "."]).code, Some(1), "all built-in rules are still there");
    assert!(sandbox.run(&["scan", "."]).stdout.contains("; using keyspill.toml, team/base.toml"));
    sandbox.write_bytes("team/base.toml", b"include = [\"../keyspill.toml\"]\n");
    assert_eq!(sandbox.run(&["config", "check"]).code, Some(0), "circular includes are read once each");
    sandbox.write_bytes("keyspill.toml", b"include = [\"/dev/zero\"]\n");
    let run = sandbox.run(&["scan", "."]);
    assert!(
        run.code == Some(2) && run.stderr.contains("/dev/zero: include: the file is outside the repository"),
        "{}",
        run.stderr
    );
    let run = sandbox.run(&["scan", ".", "--config", "keyspill.toml"]);
    assert!(
        run.code == Some(2) && run.stderr.contains("/dev/zero: cannot be read: not a regular file"),
        "{}",
        run.stderr
    );
    sandbox.write_bytes("keyspill.toml", b"include = [\"gone.toml\"]\n");
    assert!(sandbox.run(&["config", "check"]).stderr.contains("include: gone.toml cannot be read"));
}

#[test]
fn what_has_no_effect_is_told_if_all_is_scanned() {
    let sandbox = repository("[[allow]]\npaths = [\"used.txt\"]\n\n[[allow]]\npaths = [\"unused.txt\"]\n");
    sandbox.write("used.txt", "{{akia}}\n");
    let report = sandbox.json(&["."]);
    let found = &report["findings"];
    assert_eq!((&found[0]["rule"], &found[0]["path"]), (&"unused-allow".into(), &"keyspill.toml".into()), "{found}");
    assert_eq!(found[0]["location"]["startLine"], 4);
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    assert_eq!(sandbox.json(&["used.txt"])["findings"].as_array().map(Vec::len), Some(0), "a partial scan cannot tell");
}

#[test]
fn a_broken_file_is_not_quoted() {
    let secret = expand("{{secret}}").text;
    let line = format!("AWS_SECRET_ACCESS_KEY={secret}\n");
    for (name, args) in [
        ("keyspill.toml", &["scan", "."][..]),
        ("keyspill.toml", &["config", "check"]),
        ("keyspill-baseline.toml", &["baseline", "show"]),
        ("from.json", &["baseline", "create", "--from", "from.json"]),
    ] {
        for text in [line.clone(), format!("org_domains = \"{secret}\"\n"), format!("{{\"results\": \"{secret}\"}}")] {
            let sandbox = repository("");
            sandbox.write_bytes(name, text.as_bytes());
            let run = sandbox.run(args);
            assert_eq!(run.code, Some(2), "{name} {args:?}: {}", run.stdout);
            assert!(!(run.stdout + &run.stderr).contains(&secret), "{name} {args:?}: {text}");
        }
    }
    let sandbox = repository(&format!("[[allow]]\npaths = [\"x\"]\nreason = \"aws_secret_access_key={secret}\"\n"));
    for args in [&["scan", "."][..], &["config", "show"]] {
        let run = sandbox.run(args);
        assert!(!(run.stdout + &run.stderr).contains(&secret), "{args:?}");
    }
}

/// A secret in place of each value and key: errors say which entry is wrong, without quoting it.
#[test]
fn nothing_that_was_pasted_in_the_wrong_place_is_quoted() {
    let secret = expand("{{base62:40}}").text;
    let config = [
        "org_domains = [\"* *\"]",
        "org_accounts = [\"*\"]",
        "canary_accounts = [\"*\"]",
        "* = 1",
        "\"a*/+\" = 1",
        "fail_on = \"*\"",
        "x = *",
        "*",
        "[*]",
        "severity.* = \"error\"",
        "severity.aws-root-key = \"*\"",
        "include = [\"*\"]",
        "baseline = \"*\"",
        "[[allow]]\nfingerprints = [\"*\"]",
        "[[allow]]\npaths = [\"a\"]\nexpires = \"*\"",
        "[[allow]]\nrules = [\"*\"]",
        "[[allow]]\n* = 1",
        "[[allow]]\naccounts = [\"*\"]",
        "[[allow]]\npaths = [\"*[z-a]\"]",
        "[[override]]\npaths = [\"a\"]\nseverity = \"*\"",
    ];
    let digest = "a".repeat(64);
    let expires = format!(
        "version = 1\nentries = [{{ path = \"a\", rule = \"r\", fingerprint = \"sha256-v1:{digest}\", expires = \"*\" }}]"
    );
    let baseline = [
        "version = 1\nentries = [{ path = \"a\", rule = \"*\", fingerprint = \"*\" }]",
        "version = \"*\"",
        "version = *",
        "version = 1\n* = 2",
        &expires,
    ];
    let rule = |line: &str| {
        let head = "[[rule]]\nid = \"acme-token\"\nname = \"x\"\ndescription = \"x\"\nwhy = \"x\"\nremedy = \"x\"\n";
        format!("{head}severity = \"error\"\n{line}\n")
    };
    let rules = [
        rule("* = 1"),
        rule("keywords = [\"acme_\"]\nregex = '''*('''"),
        rule("keywords = [\"acme_\"]\nregex = '''(?<*>'''"),
        rule("precision = \"*\""),
        "[[rule]]\nid = \"*\"\n".to_owned(),
        rule("regex = '''*'''"),
    ];
    let all = config.iter().map(|text| ("keyspill.toml", *text, &["scan", "."][..]));
    let all = all.chain(baseline.iter().map(|text| ("keyspill-baseline.toml", *text, &["scan", "."][..])));
    let all =
        all.chain(rules.iter().map(|text| ("own.toml", text.as_str(), &["scan", ".", "--rules", "own.toml"][..])));
    for (name, template, args) in all {
        let sandbox = repository("");
        std::fs::remove_file(sandbox.path().join("keyspill.toml")).expect("it is there");
        sandbox.write_bytes("a.txt", b"x\n");
        sandbox.write_bytes(name, template.replace('*', &secret).as_bytes());
        let run = sandbox.run(args);
        assert_eq!(run.code, Some(2), "{template}: {}{}", run.stdout, run.stderr);
        let shown = run.stdout + &run.stderr;
        assert!(!shown.contains(&secret[..12]) && !shown.contains(&secret[12..24]), "{template}: {shown}");
    }
}

/// Commands that CI servers recognise in a log.
#[test]
fn no_error_starts_a_line_of_its_own() {
    for text in
        ["\"x\\n::stop-commands::y\" = 1\n", "\"##[error]y\" = 1\n", "org_domains = [\"a\\n##vso[task.complete]\"]\n"]
    {
        let sandbox = repository(text);
        let run = sandbox.run(&["scan", "."]);
        assert_eq!(run.code, Some(2));
        let is_command =
            |line: &str| line.trim_start().starts_with("::") || line.contains("##[") || line.contains("##vso[");
        assert!(!run.stderr.lines().any(is_command), "{}", run.stderr);
    }
}

#[test]
fn a_configuration_that_was_found_speaks_of_its_own_directory_only() {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("one/keyspill.toml", b"[[allow]]\naccounts = [\"111122223333\"]\n");
    sandbox.write("one/a.txt", "{{akia}}\n");
    sandbox.write("two/b.txt", "{{akia b}}\n");
    assert_eq!(paths(&sandbox.json(&["one", "two"]), "findings"), ["two/b.txt"]);
    assert_eq!(
        sandbox.run(&["scan", "one", "two", "--config", "one/keyspill.toml"]).code,
        Some(0),
        "a given one of all"
    );
}

#[cfg(unix)]
#[test]
fn a_link_to_a_repository_is_the_repository() {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("repo/keyspill.toml", b"[[allow]]\npaths = [\"a.txt\"]\n");
    sandbox.write("repo/a.txt", "{{akia}}\n");
    std::os::unix::fs::symlink("repo", sandbox.path().join("link")).expect("ours");
    let run = sandbox.run(&["scan", "link/"]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(!run.stdout.contains("unused-allow"), "{}", run.stdout);
}

#[test]
fn a_baseline_elsewhere_accepts_the_same_and_no_copies() {
    let sandbox = repository("baseline = \"ci/accepted.toml\"\n");
    sandbox.write("ci/README", "x\n");
    sandbox.write("a.env", PAIR);
    assert_eq!(sandbox.run(&["baseline", "create"]).code, Some(0));
    assert!(sandbox.read("ci/accepted.toml").contains("path = \"../a.env\""), "{}", sandbox.read("ci/accepted.toml"));
    sandbox.commit(1, "All");
    assert_eq!(sandbox.run(&["scan", "."]).code, Some(0));
    sandbox.write("b.env", PAIR);
    sandbox.git(&["add", "."]);
    for args in [&["scan", "--staged"][..], &["scan", "."], &["hook", "run", "pre-commit"]] {
        assert_eq!(sandbox.run(args).code, Some(1), "{args:?}");
    }
}

#[test]
fn what_only_history_held_does_not_come_back() {
    let sandbox = repository("");
    sandbox.write("old.env", PAIR);
    sandbox.commit(1, "A key");
    std::fs::remove_file(sandbox.path().join("old.env")).expect("ours");
    sandbox.commit(2, "No key");
    assert_eq!(sandbox.run(&["baseline", "create", "--history"]).code, Some(0));
    assert_eq!(sandbox.run(&["scan", "--history", "."]).code, Some(0));
    sandbox.write("new.env", PAIR);
    assert_eq!(sandbox.run(&["scan", "."]).code, Some(1));
    std::fs::remove_file(sandbox.path().join("new.env")).expect("ours");
    assert_eq!(sandbox.run(&["baseline", "prune"]).code, Some(0));
    assert_eq!(sandbox.run(&["scan", "--history", "."]).code, Some(0), "entries for what was not scanned are kept");
}

#[test]
fn pruning_a_part_forgets_nothing_of_the_rest() {
    let sandbox = repository("");
    sandbox.write("a.env", PAIR);
    sandbox.write("p/b.env", "{{akia b}}\n");
    sandbox.write("p/c.env", "{{akia c}}\n");
    assert_eq!(sandbox.run(&["baseline", "create"]).code, Some(0));
    sandbox.write("p/c.env", "fine\n");
    assert!(sandbox.run(&["baseline", "prune", "p"]).stdout.contains("removed 1"));
    assert_eq!(sandbox.run(&["scan", "."]).code, Some(0));
}

#[test]
fn a_line_that_is_longer_when_it_is_safe_is_still_drawn() {
    let sandbox = repository("");
    let entry = format!(
        "{{ path = \"a\", rule = \"aws-access-key-id\", fingerprint = \"sha256-v1:{}\", reason = \"\u{85}\u{90}\u{202e}é\" }}",
        "0".repeat(64)
    );
    sandbox.write_bytes("keyspill-baseline.toml", format!("version = 1\nentries = [\n\t{entry},\n]\n").as_bytes());
    let run = sandbox.run(&["scan", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("keyspill-baseline.toml:3:2"), "{}", run.stdout);
}

#[test]
fn a_repository_that_is_not_trusted_allows_nothing() {
    let sandbox = repository("[[allow]]\npaths = [\"*\"]\n");
    sandbox.write("a.txt", PAIR);
    sandbox.write_bytes("keyspill-baseline.toml", b"version = 9\n");
    assert_eq!(sandbox.run(&["scan", ".", "--no-repo-config"]).code, Some(1));
    sandbox.write_bytes("ours.toml", b"fail_on = \"error\"\n");
    let run = sandbox.run(&["scan", ".", "--no-repo-config", "--config", "ours.toml"]);
    assert!(run.code == Some(1) && run.stdout.contains("; using ours.toml"), "{}", run.stdout);
}

#[test]
fn accepted_findings_survive_edits_and_moves_and_nothing_else() {
    let sandbox = repository("");
    sandbox.write("conf/a.env", PAIR);
    let made = sandbox.run(&["baseline", "create", "--reason", "rotated", "--author", "ann"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let text = sandbox.read("keyspill-baseline.toml");
    assert!(text.contains("reason = \"rotated\", author = \"ann\" },\n"), "{text}");
    assert!(!text.contains(&expand("{{secret}}").text) && !text.contains(&expand("{{akia}}").text), "{text}");
    let codes = |sandbox: &Sandbox| sandbox.run(&["scan", "."]).code;
    assert_eq!(codes(&sandbox), Some(0));
    sandbox.write("conf/a.env", &format!("# more\n\n{PAIR}"));
    assert_eq!(codes(&sandbox), Some(0), "at other lines");
    std::fs::rename(sandbox.path().join("conf/a.env"), sandbox.path().join("b.env")).expect("ours");
    assert_eq!(codes(&sandbox), Some(0), "a move");
    sandbox.write("c.env", PAIR);
    assert_eq!(codes(&sandbox), Some(1), "a move to one place is not a copy to two");
    std::fs::remove_file(sandbox.path().join("c.env")).expect("ours");
    assert_eq!(sandbox.run(&["baseline", "prune"]).code, Some(0));
    assert!(sandbox.read("keyspill-baseline.toml").contains("path = \"b.env\""), "the entry follows");
    assert!(sandbox.read("keyspill-baseline.toml").contains("reason = \"rotated\""));
    sandbox.write("c.env", PAIR);
    assert_eq!(codes(&sandbox), Some(1), "a copy");
    std::fs::remove_file(sandbox.path().join("c.env")).expect("ours");
    sandbox.write("b.env", &PAIR.replace("{{secret}}", "{{secret new}}"));
    assert_eq!(codes(&sandbox), Some(1), "another secret on an accepted line");
    let before = sandbox.read("keyspill-baseline.toml");
    assert_eq!(sandbox.run(&["baseline", "update"]).code, Some(0));
    let after = sandbox.read("keyspill-baseline.toml");
    assert!(before.lines().all(|line| after.contains(line)), "{after}");
    assert_eq!(codes(&sandbox), Some(0));
    assert!(sandbox.run(&["scan", "."]).stdout.contains("unused-allow"), "the old entry accepts nothing now");
    assert!(sandbox.run(&["baseline", "prune"]).stdout.contains("removed 1"));
    assert_eq!(sandbox.run(&["baseline", "show"]).stdout.lines().count(), 1);
    assert_eq!(sandbox.run(&["baseline", "create"]).code, Some(2), "it exists already");
}

#[test]
fn accepted_findings_expire() {
    let sandbox = repository("");
    sandbox.write("a.env", PAIR);
    assert_eq!(sandbox.run(&["baseline", "create", "--expires", "2022-10-01"]).code, Some(0));
    assert_eq!(sandbox.run(&["scan", "."]).code, Some(0));
    let later = sandbox.run(&["scan", ".", "--now", "2022-10-02"]);
    assert_eq!(later.code, Some(1));
    assert!(later.stdout.contains("It was accepted by keyspill-baseline.toml:4 until 2022-10-01."), "{}", later.stdout);
}

#[test]
fn accepted_findings_of_history_survive_a_squash() {
    let sandbox = repository("");
    sandbox.write("a.env", PAIR);
    sandbox.commit(1, "A key");
    sandbox.write("a.env", "fine\n");
    sandbox.commit(2, "No key");
    assert_eq!(sandbox.run(&["baseline", "create", "--history"]).code, Some(0));
    assert_eq!(sandbox.run(&["scan", "--history", "."]).code, Some(0));
    sandbox.git_on(9, &["commit", "-q", "--amend", "-m", "Another name"]);
    assert_eq!(sandbox.run(&["scan", "--history", "."]).code, Some(0));
}

#[test]
fn peers_files_are_taken_over() {
    let sandbox = repository("");
    sandbox.write("a.env", PAIR);
    sandbox.write("b.env", "{{akia b}}\n");
    sandbox.write_bytes(".gitleaksignore", b"a.env:aws-access-token:1\nno.env:x:3\n");
    let run = sandbox.run(&["baseline", "create", "--from", ".gitleaksignore"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("left out no.env:3: keyspill finds nothing there"), "{}", run.stderr);
    let report = sandbox.json(&["."]);
    assert_eq!(paths(&report, "findings"), ["b.env"]);
    std::fs::remove_file(sandbox.path().join("keyspill-baseline.toml")).expect("ours");
    sandbox.write_bytes("bad.json", b"{}");
    let run = sandbox.run(&["baseline", "create", "--from", "bad.json"]);
    assert!(run.code == Some(2) && run.stderr.contains("bad.json: is neither"), "{}", run.stderr);
    assert!(!sandbox.path().join("keyspill-baseline.toml").exists());
}

#[test]
fn the_schema_of_the_configuration_is_true() {
    let schema: Value = serde_json::from_str(include_str!("../../schemas/config.schema.json")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let is_valid = |text: &str| {
        let table: toml::Table = toml::from_str(text).expect("TOML");
        validator.is_valid(&serde_json::to_value(table).expect("JSON"))
    };
    let check = |text: &str| {
        let sandbox = repository(text);
        sandbox.write("x.toml", "version = 1\n");
        sandbox.run(&["config", "check"]).code == Some(0)
    };
    for (text, expected) in [
        ("", true),
        (include_str!("../../keyspill.toml"), true),
        (
            "org_domains = [\"a.example\"]\norg_accounts = [\"1111-2222-3333\"]\nfail_on = \"note\"\nbaseline = \"x.toml\"\n",
            true,
        ),
        ("trusted_repos = [\"a\"]\ncanary_accounts = []\n[severity]\naws-root-key = \"note\"\n", true),
        ("[[override]]\npaths = [\"a\"]\nseverity = \"note\"\n", true),
        (
            "[[allow]]\npaths = [\"a\"]\nrules = [\"aws-root-key\"]\naccounts = [\"111122223333\"]\nreason = \"x\"\nexpires = \"2030-01-01\"\n",
            true,
        ),
        ("org_domain = []", false),
        ("org_accounts = [\"1\"]", false),
        ("fail_on = \"bad\"", false),
        ("[[allow]]\nreason = \"x\"\n", false),
        ("[[allow]]\nfingerprints = [\"x\"]\n", false),
        ("[[override]]\npaths = [\"a\"]\n", false),
        ("[[override]]\npath = [\"a\"]\nseverity = \"note\"\n", false),
    ] {
        assert_eq!(is_valid(text), expected, "the schema: {text}");
        assert_eq!(check(text), expected, "keyspill: {text}");
    }
    let missing = repository("baseline = \"none.toml\"\n").run(&["config", "check"]);
    assert_eq!(missing.code, Some(2), "a scan would fail");
    assert!(missing.stderr.contains("none.toml"), "{}", missing.stderr);
    let known: Vec<&str> = keyspill::internals::config::syntax::KEYS.to_vec();
    let mut in_schema: Vec<&str> =
        schema["properties"].as_object().expect("properties").keys().map(String::as_str).collect();
    let mut sorted = known.clone();
    sorted.sort_unstable();
    in_schema.sort_unstable();
    assert_eq!(in_schema, sorted);
}
