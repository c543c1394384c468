//! Scanning history: what is scanned in a repository, and what is reported about a finding.

use crate::support::{Sandbox, expand};
use serde_json::Value;

/// `keyspill scan --history ARGS` as JSON.
fn history(sandbox: &Sandbox, args: &[&str]) -> Value {
    sandbox.json(&[&["--history"], args].concat())
}

/// Paths of the findings, and the subjects of the commits that introduced each.
fn introductions(report: &Value) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let subjects = |finding: &Value| {
        let commits = finding["history"]["introduced"]["commits"].as_array().expect("commits");
        commits.iter().map(|commit| text(&commit["subject"])).collect()
    };
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().map(|finding| (text(&finding["path"]), subjects(finding))).collect()
}

fn one<'a>(report: &'a Value, path: &str) -> &'a Value {
    let found = crate::support::findings_in(report, path);
    assert_eq!(found.len(), 1, "{path}: {report:#}");
    found[0]
}

fn told<'a>(finding: &'a Value, what: &str) -> Vec<&'a str> {
    let commits = finding["history"][what]["commits"].as_array().expect("commits");
    commits.iter().map(|commit| commit["subject"].as_str().expect("a subject")).collect()
}

/// Formats without a place for commits say at least that the file is not like that any more.
#[test]
fn short_formats_tell_what_is_in_history_alone() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.env", "id = {{akia}}\nsecret = {{secret}}\n");
    let introduced = sandbox.commit(0, "add the key");
    std::fs::remove_file(sandbox.path().join("a.env")).expect("removed");
    sandbox.commit(1, "remove the key");
    let told = format!("in history, since commit {}, and not in the current files", &introduced[..10]);
    for format in ["brief", "github", "junit"] {
        let run = sandbox.run(&["scan", "--history", ".", "--format", format]);
        assert!(run.stdout.contains(&told), "{format}: {}", run.stdout);
    }
}

#[test]
fn a_deleted_key_is_found_with_its_commits() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("readme", "nothing\n");
    sandbox.commit(0, "start");
    sandbox.write("conf/prod.env", "\nid = {{akia}}\nsecret = {{secret}}\n");
    let introduced = sandbox.commit(10, "add the key");
    sandbox.write("conf/prod.env", "# moved down\n\nid = {{akia}}\nsecret = {{secret}}\n");
    let edited = sandbox.commit(20, "edit around it");
    std::fs::remove_file(sandbox.path().join("conf/prod.env")).expect("removed");
    let removed = sandbox.commit(41, "remove the key");
    let report = history(&sandbox, &["."]);
    let finding = one(&report, "conf/prod.env");
    assert_eq!(finding["rule"], "aws-access-key-pair");
    assert_eq!(finding["location"]["startLine"], 2, "its line when it was introduced");
    let told = &finding["history"];
    assert_eq!(told["introduced"]["count"], 1);
    assert_eq!(told["introduced"]["commits"][0]["id"], *introduced);
    assert_eq!(told["introduced"]["commits"][0]["author"]["email"], "ann@example.com");
    assert_eq!(told["introduced"]["commits"][0]["author"]["time"], "2020-01-11T00:00:00Z");
    assert_eq!(told["removed"]["commits"][0]["id"], *removed);
    assert_eq!(told["last"]["id"], *edited);
    assert_eq!((&told["atHead"], &told["inTree"], &told["refCount"]), (&false.into(), &false.into(), &0.into()));
    assert_eq!((&told["reach"], &told["exposure"]["days"]), (&"head".into(), &31.into()));
    assert_eq!(told["exposure"]["until"], "2020-02-11T00:00:00Z");
    assert_eq!(sandbox.run(&["scan", "--history"]).code, Some(1));
    assert_eq!(sandbox.run(&["scan", "."]).code, Some(0), "the working tree is clean");
}

#[test]
fn a_key_in_tree_and_history_is_one_finding() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.commit(0, "add");
    sandbox.write("a.txt", "one more line\n{{akia}}\n");
    sandbox.write("new.txt", "{{akia new}}\n");
    sandbox.write("staged.txt", "{{akia staged}}\n");
    sandbox.git(&["add", "staged.txt"]);
    sandbox.write("staged.txt", "{{akia staged}}\nand more\n");
    let report = history(&sandbox, &["."]);
    let staged = one(&report, "staged.txt");
    assert_eq!((&staged["history"]["reach"], &staged["history"]["inTree"]), (&"index".into(), &true.into()));
    let finding = one(&report, "a.txt");
    assert_eq!(finding["location"]["startLine"], 2, "its line now");
    assert_eq!((&finding["history"]["inTree"], &finding["history"]["atHead"]), (&true.into(), &true.into()));
    assert_eq!(finding["history"]["exposure"]["days"], 1000, "it still exists");
    assert!(one(&report, "new.txt").get("history").is_none(), "it is not committed");
    let without = history(&sandbox, &["--no-tree", "."]);
    assert_eq!(one(&without, "a.txt")["location"]["startLine"], 1);
    assert_eq!(introductions(&without).len(), 2);
}

#[test]
fn an_allow_comment_at_head_covers_older_versions() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.commit(0, "add");
    sandbox.write("a.txt", "{{akia}} # {{allow}}\n");
    sandbox.commit(1, "allow");
    assert_eq!(sandbox.run(&["scan", "--history"]).code, Some(0));
    assert_eq!(sandbox.run(&["scan", "--history", "--no-tree"]).code, Some(0));
}

#[test]
fn branches_merges_and_renames_are_told_apart() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("base", "x\n");
    sandbox.commit(0, "base");
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("side.txt", "{{akia a}}\n");
    sandbox.commit(1, "on the side");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("side.txt", "{{akia a}}\n");
    sandbox.commit(2, "on main, too");
    sandbox.git(&["merge", "-q", "--no-commit", "--no-ff", "side"]);
    sandbox.write("evil.txt", "{{akia b}}\n");
    sandbox.commit(3, "merge that adds");
    sandbox.git(&["mv", "side.txt", "renamed.txt"]);
    sandbox.commit(4, "rename");
    std::fs::remove_file(sandbox.path().join("evil.txt")).expect("removed");
    sandbox.commit(5, "remove");
    let report = history(&sandbox, &["."]);
    let evil = one(&report, "evil.txt");
    assert_eq!((told(evil, "introduced"), told(evil, "removed")), (vec!["merge that adds"], vec!["remove"]));
    let side = one(&report, "side.txt");
    assert_eq!(told(side, "introduced"), ["on the side", "on main, too"]);
    assert_eq!(told(side, "removed"), ["rename"]);
    assert_eq!(side["history"]["refs"], serde_json::json!(["refs/heads/side"]));
    assert_eq!(told(one(&report, "renamed.txt"), "introduced"), ["rename"]);
}

#[test]
fn a_key_that_a_merge_drops_was_removed_by_the_merge() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.commit(0, "base");
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("key.txt", "{{akia}}\n");
    sandbox.commit(1, "side");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.git_on(2, &["merge", "-q", "--no-ff", "-s", "ours", "-m", "drop it", "side"]);
    sandbox.git(&["branch", "-q", "-D", "side"]);
    let report = history(&sandbox, &["."]);
    assert_eq!(told(one(&report, "key.txt"), "removed"), ["drop it"]);
}

#[test]
fn everything_a_repository_keeps_is_scanned() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("base.txt", "x\n");
    sandbox.commit(0, "base");
    let text = |template: &str| expand(template).text;
    sandbox.git(&["tag", "-a", "v1", "-m", &format!("tagged {}", text("{{akia tag}}"))]);
    sandbox.git(&["notes", "add", "-m", &text("{{akia note}}")]);
    sandbox.commit(1, &format!("message {}", text("{{akia message}}")));
    sandbox.git(&[
        "-c",
        &format!("user.name={}", text("{{akia author}}")),
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "named",
        "--author",
        &format!("{} <x@example.com>", text("{{akia author}}")),
    ]);
    sandbox.write("stashed.txt", "{{akia stash}}\n");
    sandbox.git(&["add", "."]);
    sandbox.git(&["stash", "-q"]);
    sandbox.write("amended.txt", "{{akia reflog}}\n");
    sandbox.commit(2, "soon gone");
    sandbox.git(&["reset", "-q", "--hard", "HEAD~1"]);
    sandbox.write("staged.txt", "{{akia staged}}\n");
    sandbox.git(&["add", "staged.txt"]);
    sandbox.git(&["rm", "-q", "-f", "staged.txt"]);
    sandbox.git(&["checkout", "-q", "-b", "temporary"]);
    sandbox.write("lost.txt", "{{akia unreachable}}\n");
    sandbox.commit(3, "on a branch that goes");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.git(&["branch", "-q", "-D", "temporary"]);
    std::fs::remove_dir_all(sandbox.path().join(".git/logs/refs/heads")).expect("removed");
    std::fs::write(sandbox.path().join(".git/logs/HEAD"), "").expect("emptied");
    #[cfg(unix)]
    std::os::unix::fs::symlink(text("{{akia link}}"), sandbox.path().join("link")).expect("a link");
    sandbox.write("wide.txt", "{{akia wide}}\n");
    let wide: Vec<u8> = text("\u{feff}{{akia wide}}\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    sandbox.write_bytes("wide.txt", &wide);
    sandbox.write_bytes("binary", &[b"\0\xff\x01", text("{{akia binary}}").as_bytes(), b"\0"].concat());
    sandbox.commit(4, "more");
    for packed in [false, true] {
        if packed {
            sandbox.git(&["-c", "gc.reflogExpire=never", "repack", "-q", "-a", "-d", "-k"]);
        }
        let report = history(&sandbox, &["--no-tree", "."]);
        assert_eq!(report["summary"]["complete"], true, "{report:#}");
        let reach = |label: &str| {
            let id = text(&format!("{{{{akia {label}}}}}"));
            let findings = report["findings"].as_array().expect("findings");
            let found: Vec<_> = findings.iter().filter(|finding| finding["id"]["value"] == *id).collect();
            assert!(!found.is_empty(), "{label}, packed: {packed}");
            (
                found[0]["history"]["reach"].as_str().expect("a reach"),
                found[0]["history"]["kind"].as_str().expect("a kind"),
            )
        };
        assert_eq!(reach("tag"), ("refs", "tag"));
        assert_eq!(reach("note"), ("refs", "blob"));
        assert_eq!(reach("message"), ("head", "commit"));
        assert_eq!(reach("author"), ("head", "commit"));
        assert_eq!(reach("stash"), ("refs", "blob"));
        assert_eq!(reach("staged"), ("unreachable", "blob"));
        assert_eq!(reach("unreachable"), ("unreachable", "blob"));
        assert_eq!(reach("wide"), ("head", "blob"));
        assert_eq!(reach("binary"), ("head", "blob"));
        #[cfg(unix)]
        assert_eq!(reach("link"), ("head", "blob"));
    }
}

#[test]
fn what_only_a_reflog_holds_is_said_to_be() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.commit(0, "base");
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.commit(1, "soon gone");
    sandbox.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let report = history(&sandbox, &["."]);
    assert_eq!(one(&report, "a.txt")["history"]["reach"], "reflog");
    let run = sandbox.run(&["scan", "--history"]);
    assert!(run.stdout.contains("It is only reachable from a reflog"), "{}", run.stdout);
}

#[cfg(unix)]
#[test]
fn odd_paths_are_kept() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    sandbox.init();
    for (name, label) in [(&b"tab\there"[..], "a"), (b"new\nline", "b"), (b"quo\"te\\", "c"), (b"inv\xffalid", "d")] {
        let dir = sandbox.path().join(OsStr::from_bytes(name));
        std::fs::create_dir(&dir).expect("a directory");
        std::fs::write(dir.join("f"), expand(&format!("{{{{akia {label}}}}}\n")).text).expect("a file");
    }
    sandbox.commit(0, "odd");
    sandbox.git(&["rm", "-q", "-r", "."]);
    sandbox.commit(1, "gone");
    let report = history(&sandbox, &["."]);
    let paths: Vec<_> = introductions(&report).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["inv\u{fffd}alid/f", "new\nline/f", "quo\"te\\/f", "tab\there/f"]);
    assert_eq!(report["findings"][0]["pathBase64"], "aW52/2FsaWQvZg==");
    assert!(!sandbox.run(&["scan", "--history"]).stdout.contains("new\nline"), "the path is on one line");
}

#[test]
fn a_repository_is_given_by_any_path_in_it() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "repo"]);
    sandbox.write("repo/sub/dir/a.txt", "{{akia}}\n");
    let git = |args: &[&str]| sandbox.git(&[&["-C", "repo"], args].concat());
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "add"]);
    git(&["rm", "-q", "-r", "."]);
    git(&["commit", "-q", "-m", "remove"]);
    git(&["commit", "-q", "--allow-empty", "-m", "more"]);
    sandbox.git(&["clone", "-q", "--bare", "repo", "bare.git"]);
    git(&["worktree", "add", "-q", "../linked", "HEAD~1"]);
    sandbox.write("repo/sub/dir/b", "");
    for (given, path) in [
        ("repo", "repo/sub/dir/a.txt"),
        ("repo/sub/dir", "repo/sub/dir/a.txt"),
        ("repo/sub/dir/b", "repo/sub/dir/a.txt"),
        ("bare.git", "bare.git/sub/dir/a.txt"),
        ("linked", "linked/sub/dir/a.txt"),
    ] {
        let report = history(&sandbox, &[given]);
        assert_eq!(introductions(&report), [(path.to_owned(), vec!["add".to_owned()])], "{given}");
    }
    let both = history(&sandbox, &["repo", "linked"]);
    assert_eq!(introductions(&both).len(), 1, "worktrees share their history");
}

#[test]
fn a_repository_may_have_files_that_look_like_its_own() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "modules/x"]);
    sandbox.write("modules/x/objects/a.txt", "{{akia}}\n");
    sandbox.write("modules/x/HEAD", "x\n");
    let git = |args: &[&str]| sandbox.git(&[&["-C", "modules/x"], args].concat());
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "add"]);
    let report = history(&sandbox, &["modules/x"]);
    assert_eq!(introductions(&report), [("modules/x/objects/a.txt".to_owned(), vec!["add".to_owned()])]);
}

#[test]
fn what_is_no_repository_is_2() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "{{akia}}\n");
    for args in [&["--history"][..], &["--staged"], &["--range", "A..B"], &["--since", "2020-01-01"]] {
        let run = sandbox.run(&[&["scan"], args].concat());
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.stdout);
        assert!(run.stderr.contains(".: not in a git repository"), "{}", run.stderr);
    }
    let run = sandbox.run(&["scan", "--history", "nowhere"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("nowhere: no such file or directory"), "{}", run.stderr);
}

#[test]
fn a_shallow_clone_says_that_it_is_one() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "origin"]);
    sandbox.write("origin/a.txt", "{{akia}}\n");
    sandbox.git(&["-C", "origin", "add", "."]);
    sandbox.git(&["-C", "origin", "commit", "-q", "-m", "add"]);
    sandbox.git(&["-C", "origin", "commit", "-q", "--allow-empty", "-m", "later"]);
    let url = format!("file://{}/origin", sandbox.path().display());
    sandbox.git(&["clone", "-q", "--depth", "1", &url, "clone"]);
    let report = history(&sandbox, &["clone"]);
    assert_eq!(report["summary"]["complete"], true);
    assert_eq!(report["skipped"][0]["cause"], "shallow");
    let finding = one(&report, "clone/a.txt");
    assert_eq!((told(finding, "introduced"), &finding["history"]["shallow"]), (vec!["later"], &true.into()));
}

#[test]
fn a_partial_clone_says_what_it_lacks() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "origin"]);
    sandbox.git(&["-C", "origin", "config", "uploadpack.allowFilter", "true"]);
    sandbox.write("origin/a.txt", "{{akia}}\n");
    sandbox.write("origin/b.txt", "x\n");
    sandbox.git(&["-C", "origin", "add", "."]);
    sandbox.git(&["-C", "origin", "commit", "-q", "-m", "add"]);
    let url = format!("file://{}/origin", sandbox.path().display());
    sandbox.git(&["clone", "-q", "--no-checkout", "--filter=blob:none", &url, "clone"]);
    sandbox.git(&["-C", "clone", "config", "core.repositoryFormatVersion", "1"]);
    sandbox.git(&["-C", "clone", "config", "extensions.partialClone", "origin"]);
    let run = sandbox.run(&["scan", "--history", "clone"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("a partial clone: 2 objects were never fetched"), "{}", run.stdout);
}

#[test]
fn alternates_and_submodules_are_followed() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "lender"]);
    sandbox.write("lender/a.txt", "{{akia a}}\n");
    sandbox.git(&["-C", "lender", "add", "."]);
    sandbox.git(&["-C", "lender", "commit", "-q", "-m", "lent"]);
    sandbox.git(&["clone", "-q", "--shared", "lender", "borrower"]);
    let report = history(&sandbox, &["--no-tree", "borrower"]);
    assert_eq!(introductions(&report), [("borrower/a.txt".to_owned(), vec!["lent".to_owned()])]);
    let allow = ["-c", "protocol.file.allow=always"];
    sandbox.git(&["init", "-q", "outer"]);
    sandbox.git(&[&["-C", "outer"], &allow[..], &["submodule", "add", "-q", "../lender", "lib"]].concat());
    sandbox.git(&["-C", "outer", "commit", "-q", "-m", "outer"]);
    assert_eq!(introductions(&history(&sandbox, &["--no-tree", "outer"])), []);
    let report = history(&sandbox, &["--no-tree", "--submodules", "outer"]);
    assert_eq!(introductions(&report), [("outer/lib/a.txt".to_owned(), vec!["lent".to_owned()])]);
    sandbox.git(&["clone", "-q", "outer", "fresh"]);
    let report = history(&sandbox, &["--submodules", "fresh"]);
    assert_eq!(
        (&report["skipped"][0]["cause"], &report["summary"]["complete"]),
        (&"no-submodule".into(), &true.into())
    );
}

#[test]
fn the_report_does_not_depend_on_threads() {
    let sandbox = Sandbox::new();
    sandbox.init();
    for commit in 0..30 {
        let label = commit % 7;
        sandbox.write(
            &format!("d{}/f{}.txt", commit % 3, commit % 5),
            &format!("{commit}\n{{{{akia {label}}}}}\n{{{{secret {label}}}}}\n"),
        );
        sandbox.commit(commit, &format!("commit {commit}"));
    }
    sandbox.git(&["repack", "-q", "-a", "-d"]);
    for format in ["text", "json", "sarif"] {
        let run = |threads: &str| sandbox.run(&["scan", "--history", "--format", format, "--threads", threads]).stdout;
        let one = run("1");
        assert!(one.len() > 1000);
        assert!(one == run("2") && one == run("5"), "{format}");
    }
}

#[test]
fn secrets_are_masked_in_commits() {
    let sandbox = Sandbox::new();
    sandbox.init();
    let secret = expand("{{secret}}").text;
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.commit(0, &format!("aws_secret_access_key = {secret}"));
    for format in ["text", "json", "jsonl", "sarif"] {
        let run = sandbox.run(&["scan", "--history", "--format", format]);
        assert!(run.stdout.contains("commit ") || run.stdout.contains("commit%20"), "{}", run.stdout);
        assert!(!run.stdout.contains(&secret), "{format}: {}", run.stdout);
    }
    assert!(sandbox.run(&["scan", "--history", "--show-secrets"]).stdout.contains(&secret));
}

#[test]
fn nothing_in_a_repository_runs_a_program() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write(".gitattributes", "* filter=evil diff=evil\n");
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.commit(0, "add");
    let touch = format!("touch {}/ran", sandbox.path().display());
    for key in [
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.textconv",
        "diff.evil.command",
        "diff.external",
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.gitProxy",
        "uploadpack.packObjectsHook",
    ] {
        sandbox.git(&["config", key, &touch]);
    }
    for hook in ["pre-commit", "post-checkout", "post-index-change", "reference-transaction", "fsmonitor-watchman"] {
        let path = sandbox.write(&format!(".git/hooks/{hook}"), &format!("#!/bin/sh\n{touch}\n"));
        #[cfg(unix)]
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    }
    sandbox.write("b.txt", "{{akia}}\n");
    let index = std::fs::read(sandbox.path().join(".git/index")).expect("an index");
    for args in [&["--history"][..], &["--staged"], &["--range", "HEAD"], &["."]] {
        let code = sandbox.run(&[&["scan"], args].concat()).code;
        assert!(code == Some(0) || code == Some(1), "{args:?}");
        assert!(!sandbox.path().join("ran").exists(), "{args:?}");
    }
    assert_eq!(std::fs::read(sandbox.path().join(".git/index")).expect("an index"), index, "nothing is written");
}

#[test]
fn sarif_keeps_history_in_a_category_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.git(&["remote", "add", "origin", "https://user:hunter2@example.com/team/app.git"]);
    sandbox.write("gone.txt", "{{akia a}}\n");
    sandbox.write("here.txt", "{{akia b}}\n");
    sandbox.commit(0, "add");
    std::fs::remove_file(sandbox.path().join("gone.txt")).expect("removed");
    let head = sandbox.commit(1, "remove");
    let run = sandbox.run(&["scan", "--history", "--format", "sarif"]);
    let sarif: Value = serde_json::from_str(&run.stdout).expect("SARIF");
    let runs = sarif["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 2);
    for (run, id, path) in [(&runs[0], "keyspill/", "here.txt"), (&runs[1], "keyspill-history/", "gone.txt")] {
        assert_eq!(run["automationDetails"]["id"], id);
        assert_eq!(run["results"].as_array().expect("results").len(), 1);
        assert_eq!(run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], path);
        let provenance = &run["versionControlProvenance"][0];
        assert_eq!(provenance["repositoryUri"], "https://example.com/team/app.git");
        assert_eq!((&provenance["revisionId"], &provenance["branch"]), (&(*head).into(), &"main".into()));
    }
    assert!(!run.stdout.contains("hunter2"));
    let errors: Vec<_> = crate::support::sarif_schema().iter_errors(&sarif).map(|error| error.to_string()).collect();
    assert_eq!(errors, [""; 0]);
}

#[test]
fn json_follows_its_schema() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("gone.txt", "{{akia a}}\n{{secret a}}\n");
    sandbox.commit(0, &expand("add {{akia b}}").text);
    std::fs::remove_file(sandbox.path().join("gone.txt")).expect("removed");
    sandbox.commit(1, "remove");
    let schema = crate::support::report_schema();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for args in [&["--history"][..], &["--range", "HEAD"], &["--since", "2020-01-01"], &["--range", "nope"]] {
        let report = sandbox.json(args);
        let errors: Vec<_> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{args:?}");
    }
}

#[test]
fn text_tells_the_story() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("conf.env", "id = {{akia a}}\nsecret = {{secret a}}\n");
    sandbox.write("now.txt", "{{akia b}}\n");
    sandbox.commit(5, "Add the deploy key");
    std::fs::remove_file(sandbox.path().join("conf.env")).expect("removed");
    sandbox.commit(41, "Remove it");
    let run = sandbox.run(&["scan", "--history"]);
    let mut text = run.stdout;
    for label in ["a", "b"] {
        text = text.replace(&expand(&format!("{{{{akia {label}}}}}")).text, &format!("[KEY ID {label:<12}]"));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn no_secret_is_shown_in_a_subject() {
    let sandbox = Sandbox::new();
    sandbox.init();
    let token = format!("amzn.mws.{}", "4ea38b7b-f563-7709-4bae-87aea15c5b9d");
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.commit(0, &format!("rotate {token}"));
    for args in [&["--history"][..], &["--range", "HEAD"]] {
        for format in ["text", "json", "sarif"] {
            let run = sandbox.run(&[&["scan", "--format", format], args].concat());
            assert!(run.stdout.contains("rotate") && !run.stdout.contains(&token), "{format} {}", run.stdout);
        }
    }
}

#[test]
fn the_removal_that_is_told_is_one_that_counts() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.txt", "{{akia}}\n");
    sandbox.commit(0, "add");
    std::fs::remove_file(sandbox.path().join("a.txt")).expect("removed");
    sandbox.commit(1, "remove wrongly");
    sandbox.git_on(2, &["commit", "-q", "--amend", "-m", "remove rightly"]);
    let report = history(&sandbox, &["."]);
    assert_eq!(told(one(&report, "a.txt"), "removed"), ["remove rightly", "remove wrongly"]);
    let run = sandbox.run(&["scan", "--history"]);
    assert!(run.stdout.contains("Ann Author: remove rightly), after 2 days"), "{}", run.stdout);
}

#[test]
fn refs_may_hold_blobs_and_tags() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.commit(0, "base");
    sandbox.write("key", "{{akia a}}\n");
    let blob = sandbox.git(&["hash-object", "-w", "key"]);
    std::fs::remove_file(sandbox.path().join("key")).expect("removed");
    sandbox.git(&["tag", "held", &blob]);
    sandbox.git(&["tag", "-a", "inner", "-m", &expand("{{akia b}}").text]);
    sandbox.git(&["tag", "-a", "outer", "-m", "outer", "inner"]);
    sandbox.git(&["tag", "-d", "inner"]);
    let report = history(&sandbox, &["."]);
    let findings = report["findings"].as_array().expect("findings");
    let held: Vec<_> =
        findings.iter().map(|finding| (&finding["history"]["reach"], &finding["history"]["refs"][0])).collect();
    assert_eq!(held, [(&"refs".into(), &"refs/tags/held".into()), (&"refs".into(), &"refs/tags/outer".into())]);
}

#[test]
fn submodules_that_cannot_be_told_or_are_left_over() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "lender"]);
    sandbox.write("lender/a.txt", "{{akia a}}\n");
    sandbox.git(&["-C", "lender", "add", "."]);
    sandbox.git(&["-C", "lender", "commit", "-q", "-m", "lent"]);
    sandbox.git(&["init", "-q", "outer"]);
    sandbox.git(&["-C", "outer", "-c", "protocol.file.allow=always", "submodule", "add", "-q", "../lender", "lib"]);
    sandbox.git(&["-C", "outer", "commit", "-q", "-m", "outer"]);
    sandbox.git(&["-C", "outer", "rm", "-q", "-f", "lib"]);
    sandbox.git(&["-C", "outer", "commit", "-q", "-m", "without"]);
    let report = history(&sandbox, &["--no-tree", "--submodules", "outer"]);
    assert_eq!(report["summary"]["complete"], true, "{report:#}");
    assert_eq!(introductions(&report).len(), 1, "{report:#}");
    sandbox.write("outer/.gitmodules", "[submodule \"x\n");
    let run = sandbox.run(&["scan", "--history", "--submodules", "outer"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
}

#[test]
fn forks_that_borrow_objects_are_read_once_and_told_apart() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "up"]);
    let commit = |dir: &str, file: &str, key: &str| {
        sandbox.write(
            &format!("{dir}/{file}"),
            &format!("aws_access_key_id = {{{{akia {key}}}}}\naws_secret_access_key = {{{{secret {key}}}}}\n"),
        );
        sandbox.git(&["-C", dir, "add", "."]);
        sandbox.git(&["-C", dir, "commit", "-q", "-m", key]);
    };
    commit("up", "common.env", "common");
    sandbox.git(&["clone", "-q", "--shared", "up", "fork"]);
    commit("up", "up.env", "up");
    commit("fork", "fork.env", "fork");
    // What no ref leads to any more is of the repository that keeps it.
    sandbox.git(&["-C", "fork", "checkout", "-q", "-b", "gone"]);
    commit("fork", "gone.env", "gone");
    sandbox.git(&["-C", "fork", "checkout", "-q", "-"]);
    sandbox.git(&["-C", "fork", "branch", "-q", "-D", "gone"]);
    sandbox.git(&["-C", "fork", "reflog", "expire", "--expire=now", "--all"]);

    let report = sandbox.json(&["up", "fork", "--history", "--no-tree"]);
    let pairs = report["findings"].as_array().expect("a list").iter();
    let pairs = pairs.filter(|finding| finding["rule"] == "aws-access-key-pair");
    let found: Vec<_> = pairs.map(|finding| (finding["path"].as_str(), finding["history"]["reach"].as_str())).collect();
    let expected = [
        ("fork/common.env", "head"),
        ("fork/fork.env", "head"),
        ("fork/gone.env", "unreachable"),
        ("up/common.env", "head"),
        ("up/up.env", "head"),
    ];
    assert_eq!(found, expected.map(|(path, reach)| (Some(path), Some(reach))));
    let objects = |args: &[&str]| sandbox.json(args)["summary"]["history"]["objects"].as_u64().expect("a count");
    let alone = objects(&["fork", "--history", "--no-tree"]);
    assert_eq!(
        report["summary"]["history"]["objects"].as_u64(),
        Some(alone),
        "the fork borrows all of the other's objects"
    );
}
