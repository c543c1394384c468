//! Scanning what is staged, and what ranges of commits introduce.

use crate::support::{Sandbox, expand, findings_in};
use serde_json::Value;

fn paths(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().map(|finding| finding["path"].as_str().expect("a path")).collect()
}

fn places(report: &Value) -> Vec<(String, u64)> {
    let findings = report["findings"].as_array().expect("findings");
    let line = |finding: &Value| finding["location"]["startLine"].as_u64().expect("a line");
    findings.iter().map(|finding| (finding["path"].as_str().expect("a path").to_owned(), line(finding))).collect()
}

/// Lines of UTF-16 can be compared, too.
#[test]
fn what_a_wide_file_had_before_is_not_reported_again() {
    let sandbox = Sandbox::new();
    sandbox.init();
    let write = |template: &str| {
        let text = expand(template).text;
        let wide = text.encode_utf16().flat_map(u16::to_le_bytes);
        sandbox.write_bytes("a.txt", &[0xff, 0xfe].into_iter().chain(wide).collect::<Vec<_>>());
    };
    write("{{akia a}} ä😀\nsecond\nthird\n");
    sandbox.commit(1, "one");
    write("{{akia a}} ä😀\nsecond\n{{akia b}}\nthird\n");
    sandbox.git(&["add", "."]);
    assert_eq!(places(&sandbox.json(&["--staged"])), [("a.txt".into(), 3)]);
}

/// What is left of `$BASE..HEAD` if the variable is not set must not pass for a scan.
#[test]
fn a_range_of_nothing_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.commit(1, "one");
    for range in ["..HEAD", "...HEAD", "..", "...", "", "..@"] {
        let run = sandbox.run(&["scan", "--range", range]);
        assert_eq!(run.code, Some(2), "{range}");
        assert!(run.stderr.contains("are the variables set?"), "{range}: {}", run.stderr);
    }
    let run = sandbox.run(&["scan", "--range", "HEAD..b"]);
    assert!(run.stderr.contains("`b` is too short to name one commit"), "{}", run.stderr);
}

#[test]
fn the_index_is_scanned_and_not_the_working_tree() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("staged.txt", "{{akia a}}\n");
    sandbox.write("both.txt", "{{akia b}}\n");
    sandbox.git(&["add", "."]);
    sandbox.write("staged.txt", "clean again\n");
    sandbox.write("both.txt", "line\n{{akia b}}\n");
    sandbox.write("unstaged.txt", "{{akia c}}\n");
    sandbox.git(&["add", "--intent-to-add", "unstaged.txt"]);
    let report = sandbox.json(&["--staged"]);
    assert_eq!(places(&report), [("both.txt".into(), 1), ("staged.txt".into(), 1)], "before the first commit");
    assert_eq!(sandbox.run(&["scan", "--staged"]).code, Some(1));
    sandbox.git(&["commit", "-q", "-m", "first"]);
    let run = sandbox.run(&["scan", "--staged"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "nothing is staged now");
}

#[test]
fn only_added_lines_count() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("dir/a.txt", "{{akia old}}\n{{akia kept}} {{secret kept}}\nx\n");
    sandbox.write("moved.txt", "{{akia moved}}\n");
    sandbox.write("same/b.txt", "{{akia same}}\n");
    sandbox.commit(0, "old");
    sandbox.write("dir/a.txt", "y\n{{akia old}}\n{{akia kept}} {{secret kept}}\n{{akia new}}\n");
    sandbox.git(&["mv", "moved.txt", "dir/renamed.txt"]);
    sandbox.git(&["add", "."]);
    let report = sandbox.json(&["--staged"]);
    assert_eq!(places(&report), [("dir/a.txt".into(), 4)]);
    assert_eq!(report["findings"][0]["id"]["value"], expand("{{akia new}}").text);
    let whole = sandbox.json(&["--staged", "--whole-files"]);
    assert_eq!(paths(&whole), ["dir/a.txt", "dir/a.txt", "dir/a.txt", "dir/renamed.txt"]);
    // From anywhere in the repository.
    assert_eq!(paths(&sandbox.json(&["--staged", "dir"])), ["dir/a.txt"]);
}

#[test]
fn a_secret_that_is_added_to_an_id_counts() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.txt", "id = {{akia}}\n");
    sandbox.commit(0, "id");
    sandbox.write("a.txt", "id = {{akia}}\nsecret = {{secret}}\n");
    sandbox.git(&["add", "."]);
    let report = sandbox.json(&["--staged"]);
    assert_eq!(report["findings"][0]["rule"], "aws-access-key-pair");
}

#[test]
fn every_form_of_the_index_is_read() {
    for version in ["2", "3", "4"] {
        for config in [&[][..], &["core.splitIndex=true"], &["index.threads=4"], &["index.recordOffsetTable=true"]] {
            let sandbox = Sandbox::new();
            sandbox.init();
            for number in 0..40 {
                sandbox.write(&format!("d{}/f{number}.txt", number % 4), "old\n");
            }
            // Version 4 cuts a lot from the end of such a path.
            sandbox.write(&format!("d2/{}/{}.txt", "e".repeat(150), "e".repeat(150)), "old\n");
            sandbox.commit(0, "many");
            let options: Vec<&str> = config.iter().flat_map(|key| ["-c", *key]).collect();
            sandbox.write("d2/f6.txt", "{{akia}}\n");
            let git = |args: &[&str]| sandbox.git(&[&options[..], args].concat());
            git(&["update-index", "--index-version", version]);
            if config == ["core.splitIndex=true"] {
                git(&["update-index", "--split-index"]);
            }
            git(&["add", "d2/f6.txt"]);
            git(&["rm", "-q", "--cached", "d1/f1.txt"]);
            assert_eq!(paths(&sandbox.json(&["--staged"])), ["d2/f6.txt"], "{version} {config:?}");
        }
    }
}

#[test]
fn a_hook_sees_the_index_that_git_commits() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.txt", "x\n");
    sandbox.write("b.txt", "x\n");
    sandbox.commit(0, "base");
    let hook = sandbox.write(
        ".git/hooks/pre-commit",
        &format!("#!/bin/sh\nexec '{}' scan --staged\n", env!("CARGO_BIN_EXE_keyspill")),
    );
    #[cfg(unix)]
    std::fs::set_permissions(hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.write("b.txt", "y\n");
    let commit = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.current_dir(sandbox.path()).args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "commit",
            "-q",
            "-m",
            "x",
        ]);
        command.args(args).output().expect("git is installed").status.success()
    };
    assert!(!commit(&["-a"]), "the key is stopped");
    assert!(!commit(&["a.txt"]));
    assert!(commit(&["b.txt"]), "only what is committed is scanned");
}

#[test]
fn conflicts_are_scanned() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.txt", "x\n");
    sandbox.commit(0, "base");
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.commit(1, "side");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("a.txt", "z\n");
    sandbox.commit(2, "main");
    let merge = std::process::Command::new("git").current_dir(sandbox.path()).args(["merge", "-q", "side"]).output();
    assert!(!merge.expect("git is installed").status.success());
    assert_eq!(paths(&sandbox.json(&["--staged"])), ["a.txt"]);
}

#[test]
fn nothing_can_be_staged_in_a_bare_repository() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "--bare", "."]);
    let run = sandbox.run(&["scan", "--staged"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains(".: nothing can be staged in a bare repository"), "{}", run.stderr);
}

#[test]
fn a_damaged_index_is_2() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.git(&["add", "."]);
    let index = std::fs::read(sandbox.path().join(".git/index")).expect("an index");
    for damaged in [&b"DIRC\0\0\0\x02\xff\xff\xff\xff"[..], b"XXXX", b"", &index[..40]] {
        std::fs::write(sandbox.path().join(".git/index"), damaged).expect("an index");
        let run = sandbox.run(&["scan", "--staged"]);
        assert_eq!(run.code, Some(2), "{damaged:?} {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("index") && run.stderr.contains("cannot be read"), "{}", run.stderr);
    }
}

/// main: base - (side: s1, s2 merged) - m1
fn branches() -> (Sandbox, [String; 4]) {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("base.txt", "{{akia base}}\n");
    let base = sandbox.commit(0, "base");
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("side.txt", "{{akia side}}\n");
    let s1 = sandbox.commit(10, "s1");
    sandbox.write("side.txt", "more\n{{akia side}}\n");
    sandbox.write("base.txt", "touched\n{{akia base}}\n");
    sandbox.commit(11, "s2");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("main.txt", "{{akia main}}\n");
    let main = sandbox.commit(20, &expand("m1 {{akia message}}").text);
    sandbox.git(&["merge", "-q", "--no-commit", "--no-ff", "side"]);
    sandbox.write("evil.txt", "{{akia evil}}\n");
    let merge = sandbox.commit(30, "merge");
    (sandbox, [base, s1, main, merge])
}

#[test]
fn ranges_are_gits() {
    let (sandbox, [base, s1, main, merge]) = branches();
    let scan = |args: &[&str]| {
        let report = sandbox.json(args);
        assert_eq!(report["summary"]["complete"], true, "{report:#}");
        paths(&report).iter().map(|path| path.split(' ').next().expect("a word").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(scan(&["--range", &format!("{base}..HEAD")]), ["commit", "evil.txt", "main.txt", "side.txt"]);
    assert_eq!(scan(&["--range", &format!("{base}..")]), ["commit", "evil.txt", "main.txt", "side.txt"]);
    assert_eq!(scan(&["--range", "main~1..side"]), ["side.txt"]);
    assert_eq!(scan(&["--range", &format!("{s1}..side")]), [""; 0], "what was in the file before is not reported");
    assert_eq!(scan(&["--range", &format!("{s1}..side"), "--whole-files"]), ["base.txt", "side.txt"]);
    assert_eq!(scan(&["--range", &format!("{main}...side")]), ["commit", "main.txt", "side.txt"]);
    assert_eq!(scan(&["--range", &format!("{merge}..{merge}")]), [""; 0]);
    assert_eq!(scan(&["--range", &base]), ["base.txt"]);
    assert_eq!(scan(&["--branch", "side"]), ["base.txt", "side.txt"]);
    assert_eq!(scan(&["--since", "2020-01-15"]), ["commit", "evil.txt", "main.txt"]);
    assert_eq!(scan(&["--since", "975 days ago"]), ["evil.txt"]);
    assert_eq!(scan(&["--branch", "side", "--since", "2020-01-05T00:00:00Z"]), ["side.txt"]);
}

#[test]
fn a_finding_of_a_range_names_its_commits() {
    let (sandbox, _) = branches();
    let report = sandbox.json(&["--range", "HEAD"]);
    let finding = findings_in(&report, "side.txt")[0];
    assert_eq!(finding["location"]["startLine"], 2, "its line at the end of the range");
    assert_eq!(finding["history"]["introduced"]["commits"][0]["subject"], "s1");
    assert_eq!(finding["history"]["introduced"]["count"], 1);
}

#[test]
fn ranges_that_cannot_be_told_are_2() {
    let (sandbox, _) = branches();
    for range in ["nope..HEAD", "HEAD..nope", "nope", "HEAD^{tree}..HEAD", "...nope"] {
        let run = sandbox.run(&["scan", "--range", range]);
        assert_eq!(run.code, Some(2), "{range}");
        assert!(run.stderr.contains(".: "), "{}", run.stderr);
    }
    assert_eq!(sandbox.run(&["scan", "--branch", "nope"]).code, Some(2));
    assert_eq!(sandbox.run(&["scan", "--since", "yesterdayish"]).code, Some(2));
    assert_eq!(sandbox.run(&["scan", "--history", "--staged"]).code, Some(2));
    assert_eq!(sandbox.run(&["scan", "--whole-files"]).code, Some(2));
    let empty = Sandbox::new();
    empty.init();
    for args in [&["--range", "HEAD"][..], &["--range", "A..B"], &["--branch", "main"], &["--since", "2020-01-01"]] {
        let run = empty.run(&[&["scan"], args].concat());
        assert_eq!(run.code, Some(2), "{args:?}");
        assert!(run.stderr.contains("there are no commits yet"), "{}", run.stderr);
    }
}

#[test]
fn a_range_of_a_shallow_clone_says_so() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "origin"]);
    sandbox.write("origin/a.txt", "{{akia}}\n");
    sandbox.git(&["-C", "origin", "add", "."]);
    sandbox.git(&["-C", "origin", "commit", "-q", "-m", "one"]);
    sandbox.git(&["-C", "origin", "commit", "-q", "--allow-empty", "-m", "two"]);
    let url = format!("file://{}/origin", sandbox.path().display());
    sandbox.git(&["clone", "-q", "--depth", "1", &url, "clone"]);
    let report = sandbox.json(&["--range", "HEAD", "clone"]);
    assert_eq!(report["findings"][0]["history"]["shallow"], true);
    let run = sandbox.run(&["scan", "--range", "HEAD~1..HEAD", "clone"]);
    assert_eq!(run.code, Some(2), "its start was never fetched");
}

#[test]
fn a_sparse_index_hides_nothing() {
    let sandbox = Sandbox::new();
    sandbox.init();
    for file in ["a/b/1", "a/x/1", "a/zz", "c/1"] {
        sandbox.write(file, "1\n");
    }
    sandbox.commit(0, "base");
    sandbox.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "a/x"]);
    sandbox.write("a/x/key", "{{akia a}}\n");
    sandbox.write("a/zzz", "{{akia b}}\n");
    sandbox.git(&["add", "--sparse", "a/x/key", "a/zzz"]);
    assert_eq!(paths(&sandbox.json(&["--staged"])), ["a/x/key", "a/zzz"]);
}

#[cfg(unix)]
#[test]
fn a_hook_may_go_to_another_directory() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("sub/a.txt", "x\n");
    sandbox.commit(0, "base");
    let text = format!("#!/bin/sh\ncd sub && exec '{}' scan --staged\n", env!("CARGO_BIN_EXE_keyspill"));
    let hook = sandbox.write(".git/hooks/pre-commit", &text);
    std::fs::set_permissions(hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    sandbox.write("sub/a.txt", "{{akia}}\n");
    sandbox.git(&["add", "."]);
    let commit = std::process::Command::new("git")
        .current_dir(sandbox.path())
        .args(["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "x"])
        .output();
    assert!(!commit.expect("git is installed").status.success());
}

#[test]
fn a_tag_does_not_stand_in_for_a_branch() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.commit(0, "base");
    sandbox.git(&["tag", "rel"]);
    sandbox.git(&["checkout", "-q", "-b", "rel"]);
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.commit(1, "key");
    assert_eq!(paths(&sandbox.json(&["--branch", "rel"])), ["a.txt"]);
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    std::fs::remove_file(sandbox.path().join(format!(".git/objects/{}/{}", &head[..2], &head[2..]))).expect("removed");
    assert_eq!(sandbox.run(&["scan", "--since", "2000-01-01"]).code, Some(2), "a broken ref");
}

#[test]
fn a_range_that_a_shallow_clone_cuts_is_2() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "origin"]);
    let git = |args: &[&str]| sandbox.git(&[&["-C", "origin"], args].concat());
    git(&["commit", "-q", "--allow-empty", "-m", "base"]);
    git(&["branch", "base"]);
    sandbox.write("origin/a.txt", "{{akia}}\n");
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "add"]);
    git(&["rm", "-q", "a.txt"]);
    git(&["commit", "-q", "-m", "remove"]);
    git(&["commit", "-q", "--allow-empty", "-m", "x"]);
    let url = format!("file://{}/origin", sandbox.path().display());
    sandbox.git(&["clone", "-q", "--depth", "2", "--no-single-branch", &url, "clone"]);
    let run = sandbox.run(&["scan", "--range", "origin/base..HEAD", "clone"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(run.stderr.contains("the clone is shallow"), "{}", run.stderr);
    assert_eq!(sandbox.run(&["scan", "--range", "..", "clone"]).code, Some(2), "as if made of two unset variables");
}

#[test]
fn a_directory_may_become_a_file_within_a_range() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.commit(0, "base");
    sandbox.write("conf/prod.env", "{{akia}}\n");
    sandbox.commit(1, "add");
    std::fs::remove_dir_all(sandbox.path().join("conf")).expect("removed");
    sandbox.write("conf", "x\n");
    sandbox.commit(2, "file");
    assert_eq!(paths(&sandbox.json(&["--range", "HEAD~2..HEAD"])), ["conf/prod.env"]);
    let run = sandbox.run(&["scan", "--range", "HEAD~2..HEAD", "--format", "sarif"]);
    assert!(run.stdout.contains("conf/prod.env"), "a key that was removed again is in SARIF, too");
}

#[test]
fn what_is_on_another_branch_is_not_at_head() {
    let (sandbox, _) = branches();
    sandbox.git(&["checkout", "-q", "-b", "other", "main~1"]);
    let report = sandbox.json(&["--since", "2000-01-01"]);
    let at_head = |path: &str| findings_in(&report, path)[0]["history"]["atHead"].as_bool();
    assert_eq!((at_head("main.txt"), at_head("evil.txt")), (Some(true), Some(false)));
}

#[test]
fn a_rule_of_other_paths_hides_nothing() {
    let sandbox = Sandbox::new();
    sandbox.init();
    let rule = "[[rule]]\nid = \"of-yaml\"\nname = \"x\"\ndescription = \"x\"\nseverity = \"error\"\nkeywords = [\"id=AKIA\"]\n\
                regex = '(?<id>id=AKIA[A-Z2-7]{16})'\npath = '\\.yaml$'\npositives = [{ path = \"a.yaml\", text = \"id={{akia}}\" }]\n";
    std::fs::write(sandbox.path().join("rules.toml"), rule).expect("a file");
    sandbox.write("k.txt", "id={{akia}}\n");
    sandbox.commit(0, "add");
    for scope in [&["--history", "--no-tree"][..], &["--range", "HEAD"]] {
        let report = sandbox.json(&[scope, &["--rules", "rules.toml"]].concat());
        assert_eq!(findings_in(&report, "k.txt").len(), 1, "{scope:?} {report:#}");
    }
}
