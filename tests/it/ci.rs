//! The script of the GitHub action: which commits it scans for each event, and that it never passes without scanning.
#![cfg(unix)]

use crate::support::Sandbox;
use std::process::Command;

/// A repository with three commits: clean, with a key, clean.
fn repository() -> (Sandbox, [String; 3]) {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.txt", "x\n");
    let first = sandbox.commit(1, "First");
    sandbox.write("b.env", "{{akia}} {{secret}}\n");
    let second = sandbox.commit(2, "A key");
    sandbox.write("c.txt", "x\n");
    let third = sandbox.commit(3, "Something else");
    (sandbox, [first, second, third])
}

fn run(sandbox: &Sandbox, facts: &[(&str, &str)]) -> (Option<i32>, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ci/github.sh");
    let mut command = Command::new(script);
    command.current_dir(sandbox.path()).env("HOME", sandbox.path()).env("KEYSPILL", env!("CARGO_BIN_EXE_keyspill"));
    for name in ["FAIL_ON", "CONFIG", "UNTRUSTED", "EVENT", "BASE", "HEAD", "DEFAULT_BRANCH"] {
        command.env(name, "");
    }
    command.env("SARIF", "out.sarif").env("SCOPE", "changes").env("GITHUB_OUTPUT", sandbox.path().join("output"));
    command.envs(facts.iter().copied());
    let output = command.output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn each_event_is_scanned_for_what_it_brings() {
    let (sandbox, [first, second, third]) = repository();
    let none = "0".repeat(40);
    let gone = "1".repeat(40);
    for (facts, expected) in [
        (vec![("EVENT", "pull_request"), ("BASE", &*first), ("HEAD", &*third)], 1),
        (vec![("EVENT", "pull_request"), ("BASE", &second), ("HEAD", &third)], 0),
        (vec![("EVENT", "merge_group"), ("BASE", &first), ("HEAD", &second)], 1),
        (vec![("EVENT", "push"), ("BASE", &first), ("HEAD", &third)], 1),
        (vec![("EVENT", "push"), ("BASE", &second), ("HEAD", &third)], 0),
        // A new branch, and a forced push: everything is scanned.
        (vec![("EVENT", "push"), ("BASE", &none), ("HEAD", &third)], 1),
        (vec![("EVENT", "push"), ("BASE", &gone), ("HEAD", &third)], 1),
        (vec![("EVENT", "schedule"), ("HEAD", &third)], 1),
        (vec![("EVENT", "push"), ("BASE", &none), ("HEAD", &first)], 0),
        // What cannot be determined fails.
        (vec![("EVENT", "pull_request"), ("BASE", &gone), ("HEAD", &third)], 2),
        (vec![("EVENT", "pull_request"), ("HEAD", &third)], 2),
        (vec![("EVENT", "push"), ("BASE", &first), ("HEAD", &gone)], 2),
        (vec![("EVENT", "issue_comment"), ("HEAD", &third)], 2),
        (vec![("SCOPE", "everything"), ("HEAD", &third)], 2),
        (vec![("SCOPE", "tree")], 1),
        (vec![("SCOPE", "history")], 1),
        (vec![("SCOPE", "tree"), ("CONFIG", "gone.toml")], 2),
        (vec![("SCOPE", "tree"), ("FAIL_ON", "bad")], 2),
    ] {
        let (code, out) = run(&sandbox, &facts);
        assert_eq!(code, Some(expected), "{facts:?}: {out}");
        if expected == 1 {
            assert!(out.contains("::error file=b.env,line=1"), "{out}");
            assert!(sandbox.read("out.sarif").contains("aws-access-key-pair"), "it is written despite findings");
        }
    }
    assert!(sandbox.read("output").contains("sarif=out.sarif\n"));
}

#[test]
fn strangers_cannot_allow_their_own_keys() {
    let (sandbox, [first, ..]) = repository();
    sandbox.write_bytes("keyspill.toml", b"[[allow]]\npaths = [\"*\"]\n");
    let head = sandbox.commit(4, "Allow everything");
    let facts = [("EVENT", "pull_request"), ("BASE", &*first), ("HEAD", &*head)];
    assert_eq!(run(&sandbox, &facts).0, Some(0));
    assert_eq!(run(&sandbox, &[&facts[..], &[("UNTRUSTED", "true")]].concat()).0, Some(1));
}
