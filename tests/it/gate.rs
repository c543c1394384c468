//! keyspill as a gate: what is scanned, which findings pass, and the exit codes.

use crate::support::Sandbox;
use serde_json::Value;
use std::path::Path;

/// The paths of the findings in a report.
fn paths(report: &Value) -> Vec<&str> {
    report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| finding["path"].as_str().expect("a path"))
        .collect()
}

fn skipped<'a>(report: &'a Value, cause: &str) -> Vec<&'a str> {
    let skips = report["skipped"].as_array().expect("skips").iter();
    skips.filter(|skip| skip["cause"] == cause).map(|skip| skip["path"].as_str().expect("a path")).collect()
}

#[test]
fn exit_codes_follow_the_threshold() {
    let sandbox = Sandbox::new();
    sandbox.write("note.txt", "{{asia}}\n");
    sandbox.write("warning.txt", "{{akia}}\n");
    sandbox.write("error.txt", "{{akia}} {{secret}}\n");
    sandbox.write("clean.txt", "nothing\n");
    let code = |file: &str, fail_on: &[&str]| sandbox.run(&[&["scan", file], fail_on].concat()).code;
    for (file, by_default, on_note, on_warning, on_error) in
        [("clean.txt", 0, 0, 0, 0), ("note.txt", 0, 1, 0, 0), ("warning.txt", 1, 1, 1, 0), ("error.txt", 1, 1, 1, 1)]
    {
        assert_eq!(code(file, &[]), Some(by_default), "{file}");
        assert_eq!(code(file, &["--fail-on", "note"]), Some(on_note), "{file}");
        assert_eq!(code(file, &["--fail-on", "warning"]), Some(on_warning), "{file}");
        assert_eq!(code(file, &["--fail-on", "error"]), Some(on_error), "{file}");
    }
}

#[test]
fn an_incomplete_scan_is_2_and_the_rest_is_scanned() {
    let sandbox = Sandbox::new();
    sandbox.write("key.txt", "{{akia}}\n");
    let run = sandbox.run(&["scan", "no/such/path", "key.txt"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("no/such/path: no such file or directory"), "{}", run.stderr);
    assert!(run.stdout.contains("key.txt:1:1"), "{}", run.stdout);
    assert!(run.stdout.contains("error: no/such/path"), "{}", run.stdout);
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_2() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let sandbox = Sandbox::new();
    sandbox.write("key.txt", "{{akia}}\n");
    // Root may read everything, so the test needs something that nobody can read: a loop of symbolic links.
    symlink("loop", sandbox.path().join("loop")).expect("a link");
    let run = sandbox.run(&["scan", "loop", "key.txt"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(run.stderr.contains("loop: cannot be read: "), "{}", run.stderr);
    let secret = sandbox.write("closed.txt", "{{akia}}\n");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).expect("permissions");
    if std::fs::read(&secret).is_err() {
        let run = sandbox.run(&["scan", "."]);
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.contains("closed.txt: cannot be read: permission denied"), "{}", run.stderr);
    }
}

#[test]
fn misuse_is_2() {
    let sandbox = Sandbox::new();
    for args in [
        &["scan", "--no-such-flag"][..],
        &[],
        &["scan", "--format", "yaml"],
        &["scan", "--max-file-size", "many"],
        &["scan", "--max-file-size", "0"],
        &["rules", "explain", "nope"],
    ] {
        assert_eq!(sandbox.run(args).code, Some(2), "{args:?}");
    }
}

#[test]
fn hidden_files_are_scanned_and_git_is_not() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "."]);
    sandbox.write(".env", "{{akia a}}\n");
    sandbox.write(".hidden/x", "{{akia b}}\n");
    sandbox.write(".git/config-backup", "{{akia c}}\n");
    sandbox.write("sub/.git", "gitdir: {{akia d}}\n");
    assert_eq!(paths(&sandbox.json(&["."])), [".env", ".hidden/x"]);
    assert_eq!(paths(&sandbox.json(&[".git/config-backup"])), [".git/config-backup"]);
}

#[test]
fn ignored_files_are_left_out_and_counted() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "."]);
    sandbox.write(".gitignore", "*.log\n/build/\n!keep.log\n");
    sandbox.write("a.log", "{{akia a}}\n");
    sandbox.write("keep.log", "{{akia b}}\n");
    sandbox.write("build/deep/x.txt", "{{akia c}}\n");
    sandbox.write("sub/.gitignore", "local\n");
    sandbox.write("sub/local", "{{akia d}}\n");
    sandbox.write("sub/build/x.txt", "{{akia e}}\n");
    sandbox.write(".git/info/exclude", "excluded.txt\n");
    sandbox.write("excluded.txt", "{{akia f}}\n");
    let report = sandbox.json(&["."]);
    assert_eq!(paths(&report), ["keep.log", "sub/build/x.txt"]);
    assert_eq!(skipped(&report, "git-ignored"), ["a.log", "build", "excluded.txt", "sub/local"]);
    // The rules of parent directories apply in a subdirectory, too.
    assert_eq!(paths(&sandbox.json(&["sub"])), ["sub/build/x.txt"]);
    let all = sandbox.json(&[".", "--no-ignore"]);
    assert_eq!(paths(&all).len(), 6);
    assert_eq!(paths(&sandbox.json(&["a.log"])), ["a.log"], "a path that is named is scanned");
    assert_eq!(paths(&sandbox.json(&["build"])), ["build/deep/x.txt"], "a directory that is named is scanned");
}

#[test]
fn a_tracked_file_is_not_ignored() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "."]);
    sandbox.write(".env", "{{akia a}}\n");
    sandbox.write("dist/app.js", "{{akia b}}\n");
    sandbox.write("dist/other.js", "{{akia c}}\n");
    sandbox.git(&["add", ".env", "dist/app.js"]);
    sandbox.write(".gitignore", ".env\ndist/\n");
    let report = sandbox.json(&["."]);
    assert_eq!(paths(&report), [".env", "dist/app.js"]);
    assert_eq!(skipped(&report, "git-ignored"), ["dist/other.js"]);
}

/// A repository with a tracked and an untracked file, both of which match an ignore pattern.
fn with_ignored_files(format: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.git(&[&["init", "-q", "."], format].concat());
    sandbox.write_bytes(".gitignore", b"*.env\n");
    sandbox.write("tracked.env", "{{akia}}\n");
    sandbox.git(&["add", "--force", ".gitignore", "tracked.env"]);
    sandbox.write("other.env", "{{akia other}}\n");
    sandbox
}

#[test]
fn where_tracking_cannot_be_told_ignored_files_are_scanned() {
    type Damage<'a> = (&'a str, &'a [&'a str], &'a dyn Fn(&Sandbox));
    let damages: [Damage; 5] = [
        ("damaged", &[], &|sandbox| {
            let file = sandbox.path().join(".git/index");
            let mut bytes = std::fs::read(&file).expect("an index");
            bytes[70] ^= 1;
            std::fs::write(file, bytes).expect("an index");
        }),
        ("empty", &[], &|sandbox| _ = sandbox.write_bytes(".git/index", b"")),
        ("SHA-256", &["--object-format=sha256"], &|_| {}),
        ("gone", &[], &|sandbox| {
            sandbox.git(&["commit", "-q", "-m", "x"]);
            std::fs::remove_file(sandbox.path().join(".git/index")).expect("an index");
        }),
        ("a link to nothing", &[], &|sandbox| {
            std::fs::rename(sandbox.path().join(".git"), sandbox.path().join("moved")).expect("a move");
            sandbox.write_bytes(".git", b"gitdir: nowhere\n");
        }),
    ];
    for (name, format, damage) in damages {
        let sandbox = with_ignored_files(format);
        damage(&sandbox);
        let report = sandbox.json(&["."]);
        assert_eq!(paths(&report), ["other.env", "tracked.env"], "{name}: {report:#}");
        assert_eq!(skipped(&report, "tracking-unknown").len(), 1, "{name}: {report:#}");
        assert_eq!(skipped(&report, "git-ignored").len(), 0, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn tracked_files_are_scanned_in_other_peoples_repositories() {
    let sandbox = with_ignored_files(&[]);
    let owner = std::process::Command::new("chown").arg("-R").arg("4321:4321").arg(sandbox.path()).status();
    if !owner.is_ok_and(|status| status.success()) {
        crate::support::skipped("only root can give files away");
        return;
    }
    let report = sandbox.json(&["."]);
    assert_eq!((paths(&report), skipped(&report, "git-ignored").len()), (vec!["tracked.env"], 1), "{report:#}");
}

/// Files that never end or are never ready, in place of those that are read.
#[cfg(unix)]
#[test]
fn pipes_and_devices_are_not_read() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.env", "{{akia}}\n");
    let pipe = |name: &str| {
        let file = sandbox.path().join(name);
        _ = std::fs::remove_file(&file);
        assert!(std::process::Command::new("mkfifo").arg(&file).status().expect("mkfifo runs").success());
        file
    };
    for name in ["keyspill.toml", "keyspill-baseline.toml"] {
        let file = pipe(name);
        let run = sandbox.run_limited(&["scan", "."]);
        assert_eq!(run.code, Some(2), "{name}: {}", run.stderr);
        assert!(run.stderr.contains("not a regular file"), "{name}: {}", run.stderr);
        std::fs::remove_file(file).expect("it is ours");
    }
    for text in ["baseline = \"/dev/zero\"", "include = [\"/dev/zero\"]"] {
        sandbox.write_bytes("keyspill.toml", text.as_bytes());
        assert_eq!(sandbox.run_limited(&["scan", "."]).code, Some(2), "{text}");
    }
    std::fs::remove_file(sandbox.path().join("keyspill.toml")).expect("it is ours");
    let name = pipe("a-pipe").to_str().expect("a name in UTF-8").to_owned();
    for option in ["--config", "--baseline", "--rules"] {
        for file in [&name, "/dev/zero"] {
            assert_eq!(sandbox.run_limited(&["scan", ".", option, file]).code, Some(2), "{option} {file}");
        }
    }
    // None of these is needed to scan the files.
    for name in [".gitignore", ".gitconfig", ".git/info/exclude", ".git/config", ".git/index"] {
        pipe(name);
        let run = sandbox.run_limited(&["scan", "."]);
        assert_eq!(run.code, Some(1), "{name}: {}", run.stderr);
    }
}

#[test]
fn names_of_files_and_directories_are_looked_at() {
    let sandbox = Sandbox::new();
    let [a, b, secret] = ["{{akia a}}", "{{akia b}}", "{{base62:40}}"].map(|name| crate::support::expand(name).text);
    sandbox.write_bytes(&format!("{a}.txt"), b"x\n");
    sandbox.write_bytes(&format!("of {b}/x"), b"x\n");
    sandbox.write_bytes(&format!("aws_secret_access_key={secret}.txt"), b"x\n");
    let report = sandbox.json(&["."]);
    let found: Vec<_> = report["findings"].as_array().expect("findings").iter().map(|f| &f["rule"]).collect();
    assert_eq!(found.iter().filter(|rule| **rule == "aws-access-key-id").count(), 2, "{report:#}");
    assert_eq!(found.iter().filter(|rule| **rule == "aws-secret-access-key").count(), 1, "{report:#}");
    assert!(!report.to_string().contains(&secret), "a name shows a secret");
    let inside = report["findings"].as_array().expect("findings").iter().map(|finding| &finding["inside"]);
    inside.for_each(|inside| assert_eq!(inside, &serde_json::json!(["name"])));
}

#[test]
fn more_threads_than_work_cost_nothing() {
    let sandbox = Sandbox::new();
    (0..500).for_each(|n| _ = sandbox.write_bytes(&format!("{n}.txt"), b"x\n"));
    #[cfg(unix)]
    assert_eq!(sandbox.run_limited(&["scan", ".", "-j", "1000"]).code, Some(0));
}

#[test]
fn ignore_rules_are_gits_and_end_at_its_repository() {
    let sandbox = Sandbox::new();
    sandbox.write(".gitignore", "*\n");
    sandbox.write(".ignore", "*\n");
    sandbox.write("x.txt", "{{akia a}}\n");
    assert_eq!(paths(&sandbox.json(&["."])), ["x.txt"], "there is no repository");
    sandbox.git(&["init", "-q", "inner"]);
    sandbox.write("inner/y.txt", "{{akia b}}\n");
    sandbox.git(&["init", "-q", "."]);
    assert_eq!(paths(&sandbox.json(&["."])), ["inner/y.txt"], "the outer rules end at the inner repository");
}

#[test]
fn the_answer_is_gits_own() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "."]);
    sandbox
        .write(".gitignore", "*.tmp\n!important.tmp\n/root-only\nfoo/*\n!foo/bar/\n**/deep\ndir/\n\\#hash\n[ab].txt\n");
    sandbox.write("foo/.gitignore", "!back.tmp\n");
    let files = [
        "x.tmp",
        "important.tmp",
        "root-only",
        "sub/root-only",
        "foo/one",
        "foo/bar/two",
        "foo/back.tmp",
        "a/b/deep",
        "dir/x",
        "sub/dir/x",
        "dirt",
        "#hash",
        "a.txt",
        "c.txt",
        "foo/bar/x.tmp",
    ];
    for (n, file) in files.iter().enumerate() {
        sandbox.write(file, &format!("{{{{akia {n}}}}}\n"));
    }
    let output = std::process::Command::new("git")
        .args(["ls-files", "--others", "--exclude-standard"])
        .current_dir(sandbox.path())
        .output();
    let listed = String::from_utf8(output.expect("git runs").stdout).expect("UTF-8");
    let mut expected: Vec<&str> = listed.lines().filter(|file| !file.ends_with(".gitignore")).collect();
    expected.sort_unstable();
    assert!(expected.len() > 4 && expected.len() < files.len());
    assert_eq!(paths(&sandbox.json(&["."])), expected);
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_and_each_file_is_scanned_once() {
    use std::os::unix::fs::symlink;
    let sandbox = Sandbox::new();
    let outside = Sandbox::new();
    outside.write("x.txt", "{{akia a}}\n");
    sandbox.write("tree/y.txt", "{{akia b}}\n");
    symlink(outside.path(), sandbox.path().join("tree/out")).expect("a link");
    symlink("y.txt", sandbox.path().join("tree/in")).expect("a link");
    symlink(".", sandbox.path().join("tree/loop")).expect("a link");
    let report = sandbox.json(&["tree"]);
    assert_eq!(paths(&report), ["tree/y.txt"]);
    assert_eq!(skipped(&report, "symlink"), ["tree/in", "tree/loop", "tree/out"]);
    assert_eq!(report["summary"]["complete"], true);
    let twice = sandbox.json(&["tree", "tree/y.txt", "./tree", "tree/../tree/y.txt"]);
    assert_eq!(twice["summary"]["files"], 1);
    assert_eq!(paths(&sandbox.json(&["tree/out"])), ["tree/out/x.txt"], "a link that is named is followed");
}

#[test]
fn large_files_are_named_and_matter_only_by_default() {
    let sandbox = Sandbox::new();
    sandbox.write("big.txt", &"x".repeat(2000));
    sandbox.write("key.txt", "{{akia}}\n");
    let run = sandbox.run(&["scan", ".", "--max-file-size", "1KB", "--format", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!((run.code, skipped(&report, "too-large")), (Some(1), vec!["big.txt"]));
    assert_eq!(sandbox.run(&["scan", "big.txt", "--max-file-size", "1KB"]).code, Some(0), "the user set the limit");
    assert_eq!(sandbox.run(&["scan", "big.txt", "--max-file-size", "2KB"]).code, Some(0));
    // A sparse file of just over 1 GiB takes no disk space.
    let huge = std::fs::File::create(sandbox.path().join("huge.bin")).expect("a file");
    huge.set_len((1 << 30) + 1).expect("a sparse file");
    // What would have to be in memory as a whole is not opened, and that matters.
    let mut huge_pdf = &huge;
    std::io::Write::write_all(&mut huge_pdf, b"%PDF-1.7\n").expect("a file");
    let run = sandbox.run(&["scan", "huge.bin"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("huge.bin: not scanned: 1.0 GiB is over the limit of 1.0 GiB"), "{}", run.stderr);
    let chosen = sandbox.run(&["scan", "huge.bin", "--max-file-size", "1GB"]);
    assert_eq!(chosen.code, Some(0), "the user set the limit: {}", chosen.stderr);
}

#[test]
fn standard_input_is_scanned_under_its_name() {
    let sandbox = Sandbox::new();
    let text = crate::support::expand("{{akia}}\n").text;
    let run = sandbox.run_with_input(&["scan", "-", "--stdin-path", "src/key.py", "--format", "json"], text.as_bytes());
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!((run.code, paths(&report)), (Some(1), vec!["src/key.py"]));
    assert_eq!(sandbox.run_with_input(&["scan", "-"], b"").code, Some(0));
    let limited = sandbox.run_with_input(&["scan", "-", "--max-file-size", "5B"], text.as_bytes());
    assert_eq!(limited.code, Some(0));
    assert!(limited.stdout.contains("not scanned: 1 file over the size limit"), "{}", limited.stdout);
}

#[test]
fn binary_files_are_scanned_as_bytes() {
    let sandbox = Sandbox::new();
    let text = crate::support::expand("{{akia}}").text;
    sandbox.write_bytes("a.bin", &[&[0, 1, 2, 0xff, 0xfe, b'\n', 0x80], text.as_bytes(), &[0, 0xff]].concat());
    let report = sandbox.json(&["."]);
    assert_eq!(paths(&report), ["a.bin"]);
    assert_eq!(report["findings"][0]["location"]["startLine"], 2);
    assert_eq!(report["findings"][0]["location"]["startColumn"], 2);
}

#[test]
fn allow_comments_let_findings_through() {
    let sandbox = Sandbox::new();
    let code = |name: &str, text: &str| {
        sandbox.write(name, text);
        let run = sandbox.run(&["scan", name]);
        (run.code, run.stdout.contains("unused-allow"))
    };
    for (text, expected) in [
        ("k = '{{akia}}'  # {{allow}}\n", (Some(0), false)),
        ("# {{allow}}-next-line for the tests\nk = '{{akia}}'\n", (Some(0), false)),
        ("k = '{{akia}}'  # gitleaks:allow\n", (Some(0), false)),
        ("k = '{{akia}}'  # pragma: allowlist secret\n", (Some(0), false)),
        ("# pragma: allowlist nextline secret\nk = '{{akia}}'\n", (Some(0), false)),
        ("k = '{{akia}}'  # {{allow}} aws-access-key-id\n", (Some(0), false)),
        ("k = '{{akia}}'  # {{allow}} aws-session-token\n", (Some(1), true)),
        ("k = '{{akia}}'  # {{allow}} aws-no-such-rule\n", (Some(1), true)),
        ("# {{allow}}\nk = '{{akia}}'\n", (Some(1), true)),
        ("nothing here  # {{allow}}\n", (Some(0), true)),
        ("nothing here  # gitleaks:allow\n", (Some(0), false)),
        ("say `{{allow}}` to allow\n", (Some(0), false)),
        // A pair is allowed on either of its lines.
        ("i = '{{akia}}'\ns = '{{secret}}'  # {{allow}}\n", (Some(0), false)),
        ("i = '{{akia}}'  # {{allow}}\ns = '{{secret}}'\n", (Some(0), false)),
        ("# {{allow}}-next-line\ni = '{{akia}}'\ns = '{{secret}}'\n", (Some(0), false)),
        // As people write it.
        ("{{akia}} # keyspill: allow it is a test\n", (Some(0), false)),
        ("{{akia}} # KEYSPILL:ALLOW\n", (Some(0), false)),
        ("{{akia}} # KEYSPILL ALLOW\n", (Some(0), false)),
        ("{{akia}} # keyspill-allow: a test\n", (Some(0), false)),
        ("{{akia}} # keyspill:ignore\n", (Some(0), false)),
        ("# keyspill:allow_next_line\n{{akia}}\n", (Some(0), false)),
        ("{{akia}} # why does keyspill allow this?\n", (Some(1), false)),
        ("WARN keyspill: ignore list not loaded; {{akia}}\n", (Some(1), false)),
        ("./deploy --keyspill-ignore false --id {{akia}}\n", (Some(1), false)),
        ("https://keyspill-allow:x@h/ {{akia}}\n", (Some(1), false)),
        ("{{akia}} # see keyspill:ignore-list\n", (Some(1), false)),
        ("# Keyspill : Allow-Next-Line aws-access-key-id\n{{akia}}\n", (Some(0), false)),
        ("# keyspill: allow\n{{akia}}\n", (Some(1), false)),
        ("nothing here  # keyspill: allow\n", (Some(0), false)),
    ] {
        assert_eq!(code("x.py", text), expected, "{text}");
    }
}

#[test]
fn a_comment_without_effect_is_told_why() {
    let sandbox = Sandbox::new();
    for (rule, words) in [
        ("aws-acces-key-id", "There is no rule aws-acces-key-id; did you mean aws-access-key-id?"),
        ("aws-session-token", "The finding on that line is of the rule aws-access-key-id."),
    ] {
        sandbox.write("x.py", &format!("k = '{{{{akia}}}}'  # {{{{allow}}}} {rule}\n"));
        let run = sandbox.run(&["scan", "."]);
        assert!(run.stdout.contains(words), "{}", run.stdout);
    }
}

#[test]
fn examples_are_said_and_never_fail() {
    let sandbox = Sandbox::new();
    let example =
        "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
    sandbox.write("docs.md", example);
    let run = sandbox.run(&["scan", ".", "--fail-on", "note"]);
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.contains("not counted: 1 documented example; --show-suppressed lists them"), "{}", run.stdout);
    let shown = sandbox.run(&["scan", ".", "--show-suppressed"]);
    assert!(
        shown.stdout.contains("AKIAIOSFODNN7EXAMPLE") && shown.stdout.contains("a documented example"),
        "{}",
        shown.stdout
    );
}

#[test]
fn canaries_are_called_so() {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("canary.txt", ["AKIA", "SP2TPHJSQH3FJRUX\n"].concat().as_bytes());
    let report = sandbox.json(&["."]);
    assert_eq!(
        (&report["findings"][0]["account"], &report["findings"][0]["canary"]),
        (&"171436882533".into(), &true.into())
    );
    assert!(sandbox.run(&["scan", "."]).stdout.contains("planted as a tripwire"));
}

#[test]
fn an_empty_scan_is_said() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["scan", "."]);
    assert_eq!(run.code, Some(0));
    assert!(run.stderr.contains("nothing was scanned"), "{}", run.stderr);
}

#[test]
fn a_flood_of_keys_is_cut_and_said() {
    let sandbox = Sandbox::new();
    let line = crate::support::expand("{{akia}}\n").text;
    sandbox.write_bytes("flood.txt", line.repeat(100_001).as_bytes());
    sandbox.write("other.txt", "{{akia other}}\n");
    let run = sandbox.run(&["scan", ".", "--format", "jsonl"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("flood.txt: scanned in part: it holds more than 100000 keys"), "{}", run.stderr);
    assert_eq!(run.stdout.lines().filter(|line| line.contains("\"finding\"")).count(), 100_001, "the rest is reported");
}

/// Each of these once took quadratic time: minutes, where a scan may take some seconds.
#[cfg(unix)]
#[test]
fn one_long_line_takes_no_quadratic_time() {
    let sandbox = Sandbox::new();
    let pair = crate::support::expand("{{akia}} {{secret}} aws secret key {{base64:40}} ").text;
    sandbox.write_bytes("pairs.txt", pair.repeat(20_000).as_bytes());
    sandbox.write_bytes("escapes.txt", "secret%2F".repeat(300_000).as_bytes());
    sandbox.write_bytes("anchors.txt", "QUtJQFLSUxBS0lB".repeat(100_000).as_bytes());
    sandbox.write_bytes(
        "wide.txt",
        &"AKIA secret ".repeat(100_000).encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
    );
    let run = sandbox.run_limited(&["scan", ".", "--format", "jsonl"]);
    assert_eq!(run.code, Some(1), "124 is a timeout: {}", run.stderr);
}

#[cfg(unix)]
#[test]
fn whoever_reads_less_of_a_report_does_not_change_the_verdict() {
    let sandbox = Sandbox::new();
    for n in 0..2000 {
        sandbox.write(&format!("{n}.txt"), &format!("{{{{akia {n}}}}}\n"));
    }
    for (threshold, expected) in [("warning", 1), ("error", 0)] {
        let keyspill = env!("CARGO_BIN_EXE_keyspill");
        let script = format!("{keyspill} scan . --fail-on {threshold} | head -1 >&2; exit ${{PIPESTATUS[0]}}");
        let output = std::process::Command::new("bash")
            .args(["-c", &script])
            .current_dir(sandbox.path())
            .output()
            .expect("bash runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(expected), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[cfg(unix)]
#[test]
fn paths_that_are_no_text_are_reported() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    let name = Path::new(std::ffi::OsStr::from_bytes(b"a\xff\nb.txt"));
    std::fs::write(sandbox.path().join(name), crate::support::expand("{{akia}}\n").text).expect("a file");
    let report = sandbox.json(&["."]);
    assert_eq!(report["findings"][0]["path"], "a\u{fffd}\nb.txt");
    assert_eq!(report["findings"][0]["pathBase64"], data_encoding::BASE64.encode(b"a\xff\nb.txt"));
}

#[test]
fn diagnostics_can_be_json_and_verbose() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x\n");
    let run = sandbox.run(&["scan", ".", "gone", "--verbose", "--log-format", "json"]);
    assert_eq!(run.code, Some(2));
    let lines: Vec<serde_json::Value> =
        run.stderr.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert!(lines.iter().any(|line| line["level"] == "info" && line["message"] == "no configuration"), "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|line| line["level"] == "error" && line["message"].as_str().is_some_and(|text| text.contains("gone")))
    );
    assert_eq!(sandbox.run(&["scan", "."]).stderr, "", "nothing is said unless asked for");
}

#[test]
fn completions_and_manual_pages_are_made_from_the_command_line() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = sandbox.run(&["completions", shell]);
        assert!(run.code == Some(0) && run.stdout.contains("no-repo-config"), "{shell}");
    }
    assert_eq!(sandbox.run(&["man", "pages"]).code, Some(0));
    assert!(sandbox.read("pages/keyspill.1").contains("Exit codes"));
    assert!(sandbox.read("pages/keyspill-scan.1").contains("fail"));
    assert!(sandbox.path().join("pages/keyspill-hook-install.1").is_file());
}

#[test]
fn misspelt_arguments_are_corrected() {
    let run = Sandbox::new().run(&["scan", "--histroy"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("--history"), "{}", run.stderr);
    let run = Sandbox::new().run(&["scna"]);
    assert!(run.code == Some(2) && run.stderr.contains("scan"), "{}", run.stderr);
}
