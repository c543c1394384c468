//! What people meet every day: their own reports, what cannot be scanned, places to accept, files of their own.

use crate::support::{Sandbox, expand};
use serde_json::Value;

const PAIR: &str = "aws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n";

/// The words of the skips of a report, with their paths.
fn skipped(report: &Value) -> Vec<(String, String)> {
    let skips = report["skipped"].as_array().expect("skips").iter();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    skips.map(|skip| (text(&skip["cause"]), text(&skip["path"]))).collect()
}

#[test]
fn reports_of_earlier_scans_are_not_findings() {
    let sandbox = Sandbox::new();
    sandbox.write("src/a.env", PAIR);
    // Worse than the pair by its name only, so that some reports begin with it.
    sandbox.write("src/a.a", "token = ghp_{{base62:30}}3Eavgt\n");
    for format in ["json", "jsonl", "sarif", "gitlab", "html", "junit", "csv", "text", "github", "brief"] {
        let file = format!("r.{format}");
        assert_eq!(sandbox.run(&["scan", "src", "-f", format, "-o", &file]).code, Some(1), "{format}");
        let report = sandbox.json(&[&file]);
        assert_eq!(report["findings"], Value::Array(vec![]), "{format}: {}", report["findings"]);
        assert_eq!(skipped(&report), [("own-report".to_owned(), file.clone())], "{format}");
        // As other systems save it.
        let text = sandbox.read(&file);
        let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        for bytes in [[&b"\xef\xbb\xbf"[..], text.as_bytes()].concat(), wide] {
            sandbox.write_bytes("saved", &bytes);
            assert_eq!(sandbox.json(&["saved"])["findings"], Value::Array(vec![]), "{format}");
        }
    }
    for (name, args) in [
        ("audit.csv", &["audit", "src", "-f", "csv"][..]),
        ("audit.md", &["audit", "src", "-f", "markdown"]),
        ("audit.txt", &["audit", "src"]),
        ("audit.json", &["audit", "src", "-f", "json"]),
        ("audit.html", &["audit", "src", "-f", "html"]),
        ("plan.txt", &["plan", "r.json"]),
        ("plan.md", &["plan", "r.json", "-f", "markdown"]),
        ("plan.json", &["plan", "r.json", "-f", "json"]),
    ] {
        sandbox.write(name, &sandbox.run(args).stdout);
        let report = sandbox.json(&[name]);
        assert_eq!(report["findings"], Value::Array(vec![]), "{name}: {}", report["findings"]);
        assert_eq!(skipped(&report), [("own-report".to_owned(), name.to_owned())], "{name}");
    }
    // Secrets in clear are, wherever they are.
    assert_eq!(sandbox.run(&["scan", "src", "--show-secrets", "-f", "json", "-o", "clear.json"]).code, Some(1));
    assert_eq!(sandbox.run(&["scan", "clear.json"]).code, Some(1));
}

#[test]
fn what_a_scan_wrote_is_no_news_to_the_next() {
    let sandbox = Sandbox::new();
    sandbox.write("a.env", PAIR);
    for _ in 0..2 {
        let run = sandbox.run(&["scan", ".", "-f", "brief", "-o", "r.txt", "-f", "json"]);
        let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert_eq!(report["findings"].as_array().map(Vec::len), Some(1), "{}", run.stdout);
    }
    let run = sandbox.run(&["scan", ".", "-f", "brief", "-o", "r.txt", "-f", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(skipped(&report), [("output".into(), "r.txt".into())]);
    // What is going to be overwritten is scanned only if it is named.
    sandbox.write("b.env", PAIR);
    assert_eq!(sandbox.run(&["scan", ".", "-f", "json", "-o", "a.env", "-f", "text", "-o", "b.env"]).code, Some(0));
    sandbox.write("b.env", PAIR);
    let run = sandbox.run(&["scan", "b.env", "-f", "json", "-o", "b.env"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
}

#[test]
fn a_report_that_cannot_be_written_does_not_stop_the_others() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x\n");
    let run = sandbox.run(&["scan", ".", "-f", "csv", "-o", "no/dir/r.csv", "-f", "json", "-o", "r.json"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("cannot write no/dir/r.csv"), "{}", run.stderr);
    assert!(sandbox.path().join("r.json").exists());
}

#[test]
fn what_cannot_be_scanned_can_be_accepted_until_some_day() {
    let sandbox = Sandbox::new();
    let damaged = [b"PK\x03\x04".as_slice(), &[7; 60]].concat();
    sandbox.write_bytes("data/broken.zip", &damaged);
    assert_eq!(sandbox.run(&["scan", "."]).code, Some(2));
    let entry = b"[[unscanned]]\npaths = [\"data/*.zip\"]\nreason = \"test data\"\nexpires = \"2030-01-01\"\n";
    sandbox.write_bytes("keyspill.toml", entry);
    let run = sandbox.run(&["scan", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("broken.zip: damaged") && run.stdout.contains("keyspill.toml:1: test data"),
        "{}",
        run.stdout
    );
    let run = sandbox.run(&["scan", ".", "--now", "2031-01-01"]);
    assert_eq!(run.code, Some(2), "the entry has expired");
    assert!(run.stdout.contains("it was accepted by keyspill.toml:1 until 2030-01-01"), "{}", run.stdout);
    std::fs::remove_dir_all(sandbox.path().join("data")).expect("ours");
    assert!(sandbox.run(&["scan", "."]).stdout.contains("unused-allow"), "the entry has no effect");
    sandbox.write_bytes("keyspill.toml", b"[[unscanned]]\npaths = [\"x\"]\nreason = \"\"\n");
    let run = sandbox.run(&["scan", "."]);
    assert!(
        run.code == Some(2) && run.stderr.contains("line 1: unscanned: give `paths` and a `reason`"),
        "{}",
        run.stderr
    );
}

#[test]
fn what_could_not_be_scanned_in_history_goes_by_its_path() {
    let sandbox = Sandbox::new();
    sandbox.init();
    let damaged_zip = |byte| [b"PK\x03\x04".as_slice(), &[byte; 60]].concat();
    sandbox.write_bytes("data/broken.zip", &damaged_zip(7));
    sandbox.commit(1, "one");
    sandbox.write_bytes("data/broken.zip", &damaged_zip(8));
    sandbox.write_bytes("data/other.zip", &damaged_zip(9));
    sandbox.commit(2, "two");
    sandbox.git(&["rm", "-q", "-r", "data"]);
    sandbox.commit(3, "three");
    let report = sandbox.json(&["--history", "."]);
    let damaged = |path: &str| ("damaged".to_owned(), path.to_owned());
    assert_eq!(skipped(&report), [damaged("data/broken.zip"), damaged("data/other.zip")], "{report}");
    let entry = b"[[unscanned]]\npaths = [\"data/\"]\nreason = \"test data\"\n";
    sandbox.write_bytes("keyspill.toml", entry);
    let run = sandbox.run(&["scan", "--history", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    // The same version elsewhere is not accepted with it.
    sandbox.write_bytes("elsewhere/broken.zip", &damaged_zip(7));
    sandbox.commit(4, "four");
    sandbox.git(&["rm", "-q", "-r", "elsewhere"]);
    sandbox.commit(5, "five");
    let run = sandbox.run(&["scan", "--history", "."]);
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("elsewhere/broken.zip: damaged"), "{}", run.stdout);
}

#[test]
fn paths_are_excluded_from_trees_changes_and_history() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("vendor/deep/a.env", PAIR);
    sandbox.write("b.txt", "{{akia b}}\n");
    sandbox.write_bytes("keyspill.toml", b"exclude = [\"/vendor/\"]\n");
    let check = |args: &[&str]| {
        let report = sandbox.json(args);
        let findings = report["findings"].as_array().expect("findings");
        let paths: Vec<_> = findings.iter().map(|finding| finding["path"].as_str().expect("a path")).collect();
        assert_eq!(paths, ["b.txt"], "{args:?}");
        let skips = skipped(&report);
        assert!(
            skips.iter().any(|(cause, path)| cause == "excluded" && path.starts_with("vendor")),
            "{args:?} {skips:?}"
        );
    };
    check(&["."]);
    check(&["vendor/deep/a.env", "b.txt"]);
    sandbox.git(&["add", "."]);
    check(&["--staged"]);
    sandbox.commit(1, "All");
    check(&["--range", "HEAD"]);
    check(&["--history", "--no-tree"]);
    check(&["--history"]);
}

#[test]
fn findings_are_accepted_where_they_are() {
    let sandbox = Sandbox::new();
    sandbox.write("config/app.json", "{\n\"a\": \"{{akia}}\",\n\"b\": \"{{akia b}}\"\n}\n");
    let missed = sandbox.run(&["baseline", "add", "config/app.json:1"]);
    assert!(
        missed.code == Some(2) && missed.stderr.contains("config/app.json:1: there is no finding"),
        "{}",
        missed.stderr
    );
    let run = sandbox.run(&["baseline", "add", "config/app.json:2", "--reason", "rotated"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("accepted config/app.json  aws-access-key-id"), "{}", run.stdout);
    let report = sandbox.json(&["."]);
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(1));
    assert_eq!(report["findings"][0]["location"]["startLine"], 3);
    let update = sandbox.run(&["baseline", "update"]);
    assert!(update.stdout.contains("accepted config/app.json  aws-access-key-id"), "{}", update.stdout);
    assert_eq!(sandbox.run(&["scan", "."]).code, Some(0));
    let text = std::fs::read_to_string(sandbox.path().join("keyspill-baseline.toml")).expect("the baseline");
    assert!(text.contains("rotated"), "{text}");
}

#[test]
fn a_threshold_of_never_leaves_incomplete_scans() {
    let sandbox = Sandbox::new();
    sandbox.write("a.env", PAIR);
    assert_eq!(sandbox.run(&["scan", ".", "--fail-on", "never"]).code, Some(0));
    assert_eq!(sandbox.run(&["scan", ".", "nothing", "--fail-on", "never"]).code, Some(2));
    let junit = sandbox.run(&["scan", ".", "--fail-on", "never", "-f", "junit"]).stdout;
    assert!(junit.contains("failures=\"0\"") && junit.contains("aws-access-key-pair"), "{junit}");
    let junit = sandbox.run(&["scan", ".", "-f", "junit"]).stdout;
    assert!(junit.contains("failures=\"1\""), "{junit}");
}

#[test]
fn brief_lines_are_for_editors() {
    let sandbox = Sandbox::new();
    sandbox.write("a.env", PAIR);
    let run = sandbox.run(&["scan", ".", "nothing", "-f", "brief"]);
    let id = expand("{{akia}}").text;
    let finding = format!("a.env:1:21: error aws-access-key-pair: AWS access key pair {id} of account 111122223333");
    let missing = "nothing:1:1: error not-scanned: no such file or directory; check the spelling";
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), [finding.as_str(), missing]);
}

#[test]
fn many_findings_are_summarised() {
    let sandbox = Sandbox::new();
    for n in 0..25 {
        sandbox.write(&format!("dir{}/a{n}.env", n % 3), &format!("{{{{akia n{n}}}}}\n"));
    }
    let text = sandbox.run(&["scan", "."]).stdout;
    assert!(text.contains("Findings by rule:\n       25  aws-access-key-id\n"), "{text}");
    assert!(text.contains("Findings by directory:\n        9  dir0/\n        8  dir1/\n        8  dir2/\n"), "{text}");
}

#[test]
fn nothing_found_is_not_said_of_an_incomplete_scan() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x\n");
    let text = sandbox.run(&["scan", ".", "nothing"]).stdout;
    assert!(text.contains("the scan is incomplete; found nothing in what was scanned\n"), "{text}");
    assert!(text.contains("not scanned: 1 path that does not exist"), "{text}");
}

#[test]
fn the_users_own_configuration_comes_first() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("mail.eml", "From: a@corp.example\nTo: b@corp.example\n\naws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n");
    let home = Sandbox::new();
    home.write_bytes("keyspill/keyspill.toml", b"org_domains = [\"corp.example\"]\nfail_on = \"note\"\n");
    let config_home = home.path().to_str().expect("UTF-8").to_owned();
    let scan = |args: &[&str]| sandbox.run_in(&[("XDG_CONFIG_HOME", &config_home)], &[&["scan", "."], args].concat());
    let text = scan(&[]).stdout;
    assert!(text.contains("aws-emailed-key") && !text.contains("org_domains is not set"), "{text}");
    assert!(text.contains("keyspill/keyspill.toml"), "it is said to be in force: {text}");
    sandbox.write_bytes("keyspill.toml", b"fail_on = \"error\"\norg_domains = [\"other.example\"]\n");
    let text = scan(&[]).stdout;
    assert!(!text.contains("outside the organisation"), "both are in force: {text}");
    home.write_bytes("keyspill/keyspill.toml", b"nonsense");
    assert_eq!(scan(&[]).code, Some(2));
}

#[cfg(unix)]
#[test]
fn the_output_of_a_command_can_be_scanned() {
    let sandbox = Sandbox::new();
    sandbox.write("a.env", PAIR);
    let script = format!("'{}' scan <(cat a.env) -f brief", env!("CARGO_BIN_EXE_keyspill"));
    let run =
        std::process::Command::new("bash").args(["-c", &script]).current_dir(sandbox.path()).output().expect("bash");
    let text = String::from_utf8_lossy(&run.stdout);
    assert_eq!(run.status.code(), Some(1), "{text}{}", String::from_utf8_lossy(&run.stderr));
    assert!(text.starts_with("/dev/fd/") && text.contains("aws-access-key-pair"), "{text}");
}

#[test]
fn a_file_that_is_too_large_for_memory_is_scanned_in_pieces() {
    use std::io::{Seek, SeekFrom, Write};
    let sandbox = Sandbox::new();
    let mut file = std::fs::File::create(sandbox.path().join("huge.log")).expect("a file");
    // Sparse, and with keys at the start, across the border of two pieces, and at the end.
    let size = (1u64 << 30) + 4096;
    file.set_len(size).expect("a sparse file");
    for (at, name) in [(0, "a"), ((64 << 20) - (1 << 19) - 30, "b"), (size - 90, "c")] {
        file.seek(SeekFrom::Start(at)).expect("a file");
        let line = expand(&format!(
            "\naws_access_key_id = {{{{akia {name}}}}}\naws_secret_access_key = {{{{secret {name}}}}}\n"
        ))
        .text;
        file.write_all(line.as_bytes()).expect("written");
    }
    let size = file.metadata().expect("a file").len();
    drop(file);
    let report = sandbox.json(&["huge.log"]);
    let findings = report["findings"].as_array().expect("findings");
    let lines: Vec<_> = findings.iter().map(|finding| &finding["location"]["startLine"]).collect();
    assert_eq!(lines, [&Value::from(2), &5.into(), &8.into()], "{report}");
    assert!(findings.iter().all(|finding| finding["rule"] == "aws-access-key-pair"));
    let offset = findings[1]["location"]["byteOffset"].as_u64().expect("an offset");
    assert_eq!(offset, (64 << 20) - (1 << 19) - 30 + 21);
    assert_eq!((&report["summary"]["files"], &report["summary"]["bytes"]), (&1.into(), &size.into()));
}

/// A repository whose history takes a while, and a terminal to see it on.
#[cfg(unix)]
fn on_a_terminal(sandbox: &Sandbox, command: &str) -> std::process::Child {
    let command = command.replace("keyspill", &format!("'{}'", env!("CARGO_BIN_EXE_keyspill")));
    std::process::Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .current_dir(sandbox.path())
        .env("TERM", "xterm")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("script, of util-linux, runs")
}

#[cfg(target_os = "linux")]
#[test]
fn progress_is_shown_on_a_terminal_and_gone_at_the_end() {
    let sandbox = Sandbox::new();
    sandbox.init();
    // Lines that look like keys up to their last characters: one thread works on them for more than a second.
    for n in 0..12 {
        let text: String = (0..200_000).map(|line| format!("{n} aws secret {line:040} AKIA\\u0020\n")).collect();
        sandbox.write(&format!("{n}.txt"), &text);
    }
    sandbox.commit(1, "Much text");
    let output = on_a_terminal(&sandbox, "stty cols 60 rows 20; keyspill scan --history --no-tree --threads 1")
        .wait_with_output()
        .expect("output");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains(" of 14 objects"), "{shown:?}");
    // What is drawn fits on a line of the terminal, and the last thing that happens to the bar is that it is erased.
    let control = regex::Regex::new("\u{1b}\\[[0-9;?]*[A-Za-z]").expect("a regex");
    for line in shown.split(['\r', '\n']).filter(|line| line.contains(" of 14 objects")) {
        let visible = control.replace_all(line, "");
        assert!(visible.chars().count() <= 60, "{visible:?}");
    }
    let (_, last) = shown.rsplit_once("of 14 objects").expect("a bar");
    let erased = last.find("\u{1b}[2K").or_else(|| last.find("\u{1b}[K")).expect("it is erased");
    assert!(last.find("found nothing").is_some_and(|found| found > erased), "{last:?}");
    // Nothing is drawn where nobody looks.
    let plain = sandbox.run(&["scan", "--history", "--no-tree"]);
    assert!(!plain.stderr.contains("objects"), "{}", plain.stderr);
}

#[cfg(unix)]
#[test]
fn an_interrupted_scan_leaves_no_half_written_report() {
    use std::io::{BufRead, BufReader, Write};
    let sandbox = Sandbox::new();
    sandbox.write_bytes("old.json", b"the old report");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_keyspill"))
        .args(["scan", "-", "-v", "-f", "json", "-o", "old.json"])
        .current_dir(sandbox.path())
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    // It waits for the rest of its input when it is interrupted: to wait for it would end the input.
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"some text\n").expect("it reads");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("scanning")), "it is at work");
    let signal =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(signal.success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    drop(input);
    let names: Vec<_> =
        std::fs::read_dir(sandbox.path()).expect("a directory").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["old.json"]);
    assert_eq!(sandbox.read("old.json"), "the old report");
}

#[test]
fn mailboxes_are_audited_with_repositories() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "repo"]);
    sandbox.write("repo/a.env", PAIR);
    sandbox.git(&["-C", "repo", "add", "."]);
    sandbox.git(&["-C", "repo", "commit", "-q", "-m", "Add"]);
    sandbox.write("mail.mbox", &format!("From a Thu Jan  1 00:00:00 2026\nFrom: a@b.c\nTo: d@e.f\n\n{PAIR}\n"));
    sandbox.write("plain/b.env", "aws_secret_access_key = {{secret b}}\n");
    let report = sandbox.json(&["--history", "repo", "mail.mbox"]);
    assert_eq!(report["summary"]["complete"], true);
    assert_eq!(report["credentials"].as_array().map(Vec::len), Some(1), "the same key in both: {report}");
    assert!(report["findings"].as_array().expect("findings").iter().any(|one| one["rule"] == "aws-emailed-key"));
    // A directory without a repository has files, and no history.
    let run = sandbox.run(&["scan", "--history", "plain"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stdout.contains("plain/b.env") && run.stdout.contains("not in a git repository"), "{}", run.stdout);
    // A file in a repository stands for it.
    assert_eq!(sandbox.run(&["scan", "--range", "HEAD", "repo/a.env"]).code, Some(1));
    let run = sandbox.run(&["scan", "--range", "HEAD", "mail.mbox"]);
    assert!(run.code == Some(2) && run.stderr.contains("not in a git repository"), "{}", run.stderr);
}

#[test]
fn settings_that_cannot_be_used_make_every_report_incomplete() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x\n");
    for (args, settings) in [
        (&[][..], "no_such_key = 1\n"),
        (&["--baseline", "no-such.toml"][..], ""),
        (&["--rules", "no-such.toml"][..], ""),
    ] {
        sandbox.write("keyspill.toml", settings);
        for (format, sign) in [
            ("text", "the scan is incomplete"),
            ("json", "\"complete\": false"),
            ("sarif", "\"executionSuccessful\": false"),
            ("gitlab", "\"status\": \"failure\""),
            ("junit", "errors=\"1\""),
            ("html", "The scan is incomplete"),
            ("github", "::error"),
            ("brief", "error not-scanned"),
        ] {
            let run = sandbox.run(&[&["scan", ".", "-f", format], args].concat());
            assert_eq!(run.code, Some(2), "{format} {args:?}");
            assert!(run.stdout.contains(sign), "{format} {args:?}: {}", run.stdout);
        }
    }
}

#[test]
fn the_users_own_patterns_are_about_all_that_is_scanned() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.config/keyspill/keyspill.toml", "exclude = [\"*.min.js\", \"deps/\"]\n");
    for file in ["work/a.min.js", "work/deps/b.env", "work/sub/deps/c.env", "work/d.env"] {
        sandbox.write(file, PAIR);
    }
    let home = sandbox.path().join("home").display().to_string();
    let run = sandbox.run_in(&[("HOME", &home)], &["scan", "work", "-f", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let paths: Vec<_> = report["findings"].as_array().expect("findings").iter().map(|one| &one["path"]).collect();
    assert_eq!(paths, ["work/d.env"], "{}", run.stdout);
}

#[test]
fn places_as_reports_write_them_can_be_accepted() {
    let sandbox = Sandbox::new();
    sandbox.write("mail.mbox", &format!("From a Thu Jan  1 00:00:00 2026\nFrom: a@b.c\nTo: d@e.f\n\n{PAIR}\n"));
    sandbox.write("a.json", "{\"secretAccessKey\": \"{{secret}}\",\n \"accessKeyId\": \"{{akia}}\"}\n");
    assert_eq!(sandbox.run(&["baseline", "add", "mail.mbox", "--reason", "x"]).code, Some(0));
    let run = sandbox.run(&["scan", ".", "-f", "brief"]);
    let place = run.stdout.split(": ").next().expect("a place").to_owned();
    assert!(place.starts_with("a.json:") && place.matches(':').count() == 2, "{}", run.stdout);
    let run = sandbox.run(&["baseline", "add", &place]);
    assert!(
        run.code == Some(0) && run.stdout.contains("git add keyspill-baseline.toml"),
        "{}{}",
        run.stdout,
        run.stderr
    );
    assert!(run.stderr.contains("--reason"), "{}", run.stderr);
    assert_eq!(sandbox.run(&["scan", "a.json"]).code, Some(0));
    let run = sandbox.run(&["baseline", "add", &place, "--expires", "2020-01-01"]);
    assert!(run.code == Some(2) && run.stderr.contains("the date is in the past"), "{}", run.stderr);
}

#[test]
fn containers_that_are_not_opened_are_listed() {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("a.parquet", b"PAR1\0\x15\x04PAR1");
    sandbox.write_bytes("b.orc", b"ORC\x0a\x03\0\0\0");
    sandbox.write_bytes("text.md", b"PAR1 is how Parquet begins\n");
    let report = sandbox.json(&["."]);
    assert_eq!(skipped(&report), [("no-text".into(), "a.parquet".into()), ("no-text".into(), "b.orc".into())]);
    assert_eq!(report["summary"]["complete"], true, "their raw bytes were scanned");
}
