//! Audits: what is in the inventory, that it does not depend on how the work was divided or interrupted, and what is said
//! when something goes wrong.

use crate::support::{Run, Sandbox, expand};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const NOW: &str = "2026-06-01";

/// The number of repositories of the organisation.
const REPOSITORIES: usize = 200;

/// A commit of an organisation's repository.
struct Change<'a> {
    author: &'a str,
    /// Days after 2020-01-01.
    day: u64,
    file: &'a str,
    /// The content, or nothing if the file is removed.
    text: Option<String>,
}

/// Makes a bare repository in which each change is a commit.
fn repository(sandbox: &Sandbox, name: &str, changes: &[Change]) {
    sandbox.git(&["init", "-q", "--bare", name]);
    import(sandbox, name, "refs/heads/main", changes);
}

fn import(sandbox: &Sandbox, name: &str, branch: &str, changes: &[Change]) {
    let mut stream = String::new();
    for (number, Change { author, day, file, text }) in changes.iter().enumerate() {
        let person =
            format!("{author} <{}@corp.example> {} +0000", author.to_lowercase(), 1_577_836_800 + day * 86_400);
        let message = format!("Change {file}");
        _ = writeln!(stream, "commit {branch}\nauthor {person}\ncommitter {person}\ndata {}\n{message}", message.len());
        if number == 0 && branch != "refs/heads/main" {
            _ = writeln!(stream, "from refs/heads/main^0");
        }
        match text {
            Some(text) => _ = writeln!(stream, "M 100644 inline {file}\ndata {}\n{text}", text.len()),
            None => _ = writeln!(stream, "D {file}"),
        }
        stream.push('\n');
    }
    let mut git = Command::new("git");
    git.current_dir(sandbox.path().join(name)).args(["fast-import", "--quiet"]).stdin(Stdio::piped());
    let mut git = git.spawn().expect("git runs");
    git.stdin.take().expect("piped").write_all(stream.as_bytes()).expect("git reads it");
    assert!(git.wait().expect("it ends").success());
}

fn env(key: &str) -> String {
    expand(&format!("AWS_ACCESS_KEY_ID={{{{akia {key}}}}}\nAWS_SECRET_ACCESS_KEY={{{{secret {key}}}}}\n")).text
}

fn id(key: &str) -> String {
    expand(&format!("{{{{akia {key}}}}}")).text
}

/// What must be found of a key.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Truth {
    targets: BTreeSet<String>,
    is_current: bool,
    judgements: BTreeSet<String>,
    owners: BTreeSet<String>,
}

/// An organisation of many repositories, forks that borrow objects, mail and exports; and what is in it, by id.
fn organisation(sandbox: &Sandbox) -> BTreeMap<String, Truth> {
    let mut truths: BTreeMap<String, Truth> = BTreeMap::new();
    let mut note = |key: &str, target: &str, is_current: bool, judgement: &[&str], owner: &str| {
        let truth = truths.entry(id(key)).or_default();
        truth.targets.insert(target.to_owned());
        truth.is_current |= is_current;
        truth.judgements.extend(judgement.iter().map(|&rule| rule.to_owned()));
        if !owner.is_empty() {
            truth.owners.insert(owner.to_owned());
        }
    };
    sandbox.write("keyspill.toml", "org_domains = [\"corp.example\"]\n");
    for number in 0..REPOSITORIES {
        let name = format!("org/repo-{number:03}.git");
        let readme = Change { author: "Ann", day: 1, file: "README.md", text: Some(format!("# Project {number}\n")) };
        let owners = Change {
            author: "Ann",
            day: 2,
            file: ".github/CODEOWNERS",
            text: Some("* @acme/all\n/infra/ @acme/ops\n".into()),
        };
        let secret = |file, day, key: &str| Change { author: "Bob", day, file, text: Some(env(key)) };
        let removal = |file, day| Change { author: "Cem", day, file, text: None };
        match number % 10 {
            // A key that is still there.
            1 => {
                let key = format!("own {number}");
                repository(sandbox, &name, &[readme, owners, secret("infra/app.env", 10, &key)]);
                note(&key, &name, true, &[], "@acme/ops");
            }
            // One that was removed.
            2 => {
                let key = format!("past {number}");
                repository(sandbox, &name, &[readme, secret("app.env", 10, &key), removal("app.env", 20)]);
                note(&key, &name, false, &[], "Cem <cem@corp.example>");
            }
            // One that several have.
            3 => {
                let key = format!("common {}", number / 50);
                repository(sandbox, &name, &[readme, owners, secret("app.env", 10, &key)]);
                note(&key, &name, true, &["aws-shared-key"], "@acme/all");
            }
            // Copies of one another.
            4 => {
                repository(sandbox, &name, &[readme, secret("app.env", 10, "copied")]);
                note("copied", &name, true, &["aws-shared-key"], "Bob <bob@corp.example>");
            }
            _ => repository(sandbox, &name, &[readme]),
        }
    }
    // A fork that borrows its objects, with a branch of its own.
    sandbox.git(&["clone", "-q", "--bare", "--shared", "org/repo-001.git", "org/fork.git"]);
    let own = Change { author: "Eva", day: 30, file: "fork.env", text: Some(env("fork")) };
    import(sandbox, "org/fork.git", "refs/heads/topic", &[own]);
    // HEAD does not have the file, but says who answers for files of that name.
    note("fork", "org/fork.git", false, &[], "@acme/all");
    // Found in the fork, too; but since that has the same first commit, it is one repository.
    note("own 1", "org/fork.git", true, &[], "@acme/ops");
    // The secret and the id of one key, in different repositories; and mailed.
    let secret = expand("const AWS_SECRET_ACCESS_KEY = '{{secret apart}}'\n").text;
    repository(sandbox, "org/secret.git", &[Change { author: "Bob", day: 3, file: "a.js", text: Some(secret) }]);
    sandbox.write("org/mail/keys.mbox", "From ann@corp.example Thu Jan  1 10:00:00 2026\nFrom: Ann <ann@corp.example>\nTo: Bob <bob@partner.example>\nDate: Thu, 1 Jan 2026 10:00:00 +0000\nSubject: key\n\naccess key id {{akia apart}}\nsecret access key {{secret apart}}\n");
    note("apart", "org/secret.git", true, &["aws-emailed-key"], "Bob <bob@corp.example>");
    note("apart", "org", true, &[], "Ann <ann@corp.example>");
    // A key in one place, and in another what says that it is a root user's.
    repository(sandbox, "org/root.git", &[Change { author: "Bob", day: 3, file: "app.env", text: Some(env("root")) }]);
    sandbox.write("org/exports/rootkey.csv", "AWSAccessKeyId={{akia root}}\nAWSSecretKey={{secret root}}\n");
    note("root", "org/root.git", true, &["aws-root-key"], "Bob <bob@corp.example>");
    note("root", "org", true, &[], "");
    truths
}

fn audit(sandbox: &Sandbox, args: &[&str]) -> Run {
    relative(sandbox, sandbox.run(&[&["audit", "--now", NOW], args].concat()))
}

/// A run whose output has paths below the sandbox as if they were relative: an audit names everything by its whole path.
fn relative(sandbox: &Sandbox, run: Run) -> Run {
    let root = format!("{}/", sandbox.path().canonicalize().expect("a folder").display());
    let shorten = |text: &str| text.replace(&root, "");
    Run { stdout: shorten(&run.stdout), stderr: shorten(&run.stderr), ..run }
}

/// A text as a snapshot has it: no file of this project may look as if it had a key in it.
fn without_ids(text: &str) -> String {
    ["a", "b", "c", "d", "e"]
        .iter()
        .fold(text.to_owned(), |text, key| text.replace(&id(key), &format!("{:<20}", format!("<id of {key}>"))))
}

fn inventory(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr))
}

fn strings(value: &Value) -> BTreeSet<String> {
    value.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

#[test]
fn the_inventory_is_what_is_there() {
    let sandbox = Sandbox::new();
    let truths = organisation(&sandbox);
    let run = audit(&sandbox, &["org", "--format", "json"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let report = inventory(&run);
    assert_eq!(report["complete"], true);
    let keys = report["keys"].as_array().expect("a list");
    let found: BTreeMap<String, Truth> = keys
        .iter()
        .map(|key| {
            // Of shared and copied keys, this is about the first.
            let judgements = key["judgements"].as_array().expect("a list").iter();
            let judgements = judgements.map(|one| one["rule"].as_str().expect("a rule").to_owned());
            let truth = Truth {
                targets: strings(&key["targets"]),
                is_current: key["inFilesNow"] == true,
                judgements: judgements.collect(),
                owners: strings(&key["owners"]),
            };
            assert!(key["secretFingerprint"].is_string(), "{key}");
            (key["name"].as_str().expect("a name").to_owned(), truth)
        })
        .collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), truths.keys().collect::<Vec<_>>());
    for (name, truth) in &truths {
        let found = &found[name];
        // At most ten are listed.
        let shown: BTreeSet<_> = truth.targets.iter().take(10).cloned().collect();
        assert_eq!((&found.targets, found.is_current), (&shown, truth.is_current), "{name}");
        assert_eq!(found.owners, truth.owners, "{name}");
        assert!(found.judgements.is_superset(&truth.judgements), "{name}: {found:?}, {truth:?}");
        let others: Vec<_> = found.judgements.difference(&truth.judgements).collect();
        assert!(others.iter().all(|rule| *rule == "aws-shared-key"), "{name}: {others:?}");
    }
    // The repositories, the folder with what is in none; the fork is read with what it borrows from.
    assert_eq!(report["summary"]["targets"], REPOSITORIES + 4);
    let families = report["units"].as_array().expect("a list").iter();
    let families: Vec<_> =
        families.filter(|unit| unit["targets"].as_array().is_some_and(|all| all.len() > 1)).collect();
    assert_eq!(families.len(), 1);
    assert_eq!(families[0]["targets"][0]["name"], "org/fork.git");
}

/// A small organisation, for tests that audit it often.
fn small(sandbox: &Sandbox) {
    for (number, key) in ["a", "b", "a", "c", "d"].into_iter().enumerate() {
        let change = |file, day, text| Change { author: "Ann", day, file, text };
        let name = format!("org/r{number}.git");
        repository(
            sandbox,
            &name,
            &[change("app.env", number as u64, Some(env(key))), change("README", 9, Some("x".into()))],
        );
    }
    sandbox.write("org/secret.txt", "aws secret access key: {{secret d}}\n");
    sandbox.write(
        "org/mail.eml",
        "From: Ann <ann@corp.example>\nTo: b@partner.example\nSubject: x\n\n{{akia e}}\n{{secret e}}\n",
    );
    sandbox.write("org/other.env", "AWS_SECRET_ACCESS_KEY={{secret e}}\n");
}

fn results(sandbox: &Sandbox, state: &str) -> Vec<PathBuf> {
    let dir = sandbox.path().join(state).join("units");
    let mut files: Vec<_> =
        std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

#[test]
fn a_merge_of_any_parts_is_one_audit() {
    let sandbox = Sandbox::new();
    small(&sandbox);
    let whole = audit(&sandbox, &["org", "--format", "json"]).stdout;
    assert!(whole.contains(&id("e")));
    assert_eq!(audit(&sandbox, &["org", "--state", "s", "-f", "csv", "-o", "s.csv"]).code, Some(1));
    let files = results(&sandbox, "s");
    assert_eq!(files.len(), 6);
    let merged = |parts: &[Vec<&PathBuf>]| {
        for (number, part) in parts.iter().enumerate() {
            let dir = sandbox.path().join(format!("part{number}"));
            _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir(&dir).expect("a folder");
            for file in part {
                std::fs::copy(file, dir.join(file.file_name().expect("a name"))).expect("a copy");
            }
        }
        let names: Vec<String> = (0..parts.len()).rev().map(|number| format!("part{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let run = relative(&sandbox, sandbox.run(&[&["merge", "--now", NOW, "--format", "json"], &names[..]].concat()));
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        run.stdout
    };
    // A fixed sequence of numbers that look random, so that a failure can be repeated.
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..12 {
        let count = 1 + random(4);
        let mut parts: Vec<Vec<&PathBuf>> = vec![vec![]; count];
        for file in &files {
            parts[random(count)].push(file);
            // Some are in several.
            if random(3) == 0 {
                parts[random(count)].push(file);
            }
        }
        parts.retain(|part| !part.is_empty());
        assert_eq!(merged(&parts), whole);
    }
    // The parts that shards make, of which one ran twice.
    for shard in ["0/3", "1/3", "2/3", "1/3"] {
        let state = format!("s{}", &shard[..1]);
        let run = audit(&sandbox, &["org", "--state", &state, "--shard", shard, "--worker"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    }
    let run = relative(&sandbox, sandbox.run(&["merge", "--now", NOW, "--format", "json", "s2", "s0", "s1"]));
    assert_eq!(run.stdout, whole);
    let run = sandbox.run(&["merge", "--now", NOW, "s2", "s0"]);
    assert_eq!(run.code, Some(2), "a part is missing");
    assert!(run.stderr.contains("no result; the shard it belongs to did not finish"), "{}", run.stderr);
}

/// The arguments of the container in a manifest, line by line.
fn arguments(manifest: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != "args:").skip(1);
    let arguments = lines.map_while(|line| line.trim().strip_prefix("- "));
    arguments.map(|argument| argument.trim_matches('"').to_owned()).collect()
}

#[test]
fn the_jobs_for_kubernetes_work_as_processes() {
    let sandbox = Sandbox::new();
    small(&sandbox);
    let audit_job = include_str!("../../deploy/kubernetes/audit-job.yaml");
    let urls: String =
        (0..5).map(|number| format!("file://{}/org/r{number}.git\n", sandbox.path().display())).collect();
    sandbox.write_bytes("config/targets.txt", urls.as_bytes());
    sandbox.write("config/keyspill.toml", "org_domains = [\"corp.example\"]\n");
    std::fs::create_dir_all(sandbox.path().join("results")).expect("a folder");
    let root = sandbox.path().display().to_string();
    let here = |argument: &str, index: usize| {
        // Each pod has a folder of its own for its work.
        let argument = argument.replace("$(JOB_COMPLETION_INDEX)", &index.to_string());
        let argument = argument.replace("/scratch/", &format!("/scratch{index}/"));
        match argument.strip_prefix('/') {
            Some(rest) => format!("{root}/{rest}"),
            None => argument,
        }
    };
    let start = |index: usize| {
        let arguments = arguments(audit_job).into_iter().map(|argument| here(&argument, index));
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyspill"));
        command.current_dir(sandbox.path()).args(arguments).args(["--now", NOW]).stdout(Stdio::piped());
        command.spawn().expect("it starts")
    };
    assert!(
        audit_job.contains("completions: 4") && arguments(audit_job).contains(&"$(JOB_COMPLETION_INDEX)/4".to_owned())
    );
    // One is killed at its work, and its pod is made anew; one runs twice, which it cannot at the same time.
    let mut killed = start(2);
    std::thread::sleep(Duration::from_millis(20));
    killed.kill().expect("SIGKILL");
    killed.wait().expect("it ended");
    let mut running: Vec<_> = (0..4).map(start).collect();
    running.push(start(1));
    for (place, child) in running.into_iter().enumerate() {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.stdout.is_empty());
        let code = output.status.code();
        assert!(code == Some(0) || (place % 3 == 1 && code == Some(75)), "{place}: {code:?}");
    }
    assert_eq!(start(1).wait().expect("it ends").code(), Some(0));
    let merge_job = include_str!("../../deploy/kubernetes/merge-job.yaml");
    let arguments: Vec<_> = arguments(merge_job).iter().map(|argument| here(argument, 0)).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = sandbox.run(&[&arguments[..], &["--now", NOW]].concat());
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let merged = std::fs::read_to_string(sandbox.path().join("results/inventory.json")).expect("a report");
    let merged = relative(&sandbox, Run { code: None, stdout: merged, stderr: String::new() }).stdout;
    let one = audit(
        &sandbox,
        &[
            "--from",
            "config/targets.txt",
            "--config",
            "config/keyspill.toml",
            "--clone",
            "c",
            "--format",
            "json",
            "--state",
            "one",
        ],
    );
    assert_eq!(merged, one.stdout);
    // A part that is not there is told, and the rest is reported.
    std::fs::remove_dir_all(sandbox.path().join("results/3")).expect("a folder");
    let run = sandbox.run(&[&arguments[..], &["--now", NOW]].concat());
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("results/3: not found; this part of the audit is missing"), "{}", run.stderr);
    let run = sandbox.run(&["merge", "results/2", "results/3", "--format", "json", "--now", NOW]);
    let inventory: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!((run.code, &inventory["complete"]), (Some(2), &false.into()), "every format says so");
}

#[test]
fn what_is_passed_over_is_counted() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write(".gitignore", "*.env\n");
    sandbox.write("a.env", "{{akia}}\n");
    sandbox.write("b.txt", "nothing");
    sandbox.commit(1, "all");
    let told = "not scanned: 1 path that git ignores";
    for format in ["text", "markdown", "html"] {
        let run = sandbox.run(&["audit", ".", "--format", format, "--now", NOW]);
        let shown = if format == "text" { told } else { "1 path that git ignores" };
        assert!(run.stdout.contains(shown), "{format}: {}", run.stdout);
    }
    let run = sandbox.run(&["audit", ".", "--format", "json", "--now", NOW]);
    let inventory: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(inventory["units"][0]["skips"]["git-ignored"], 1, "{inventory:#}");
    let empty = Sandbox::new();
    let run = empty.run(&["audit", "."]);
    assert!(run.stderr.contains("warning: nothing was scanned"), "{}", run.stderr);
}

/// The files of a repository that cannot be opened can be read all the same.
#[test]
fn a_repository_of_an_unknown_kind_has_files() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "--quiet", "--object-format=sha256", "."]);
    sandbox.write("a.env", "id = {{akia}}\nsecret = {{secret}}\n");
    let run = sandbox.run(&["audit", ".", "--format", "json", "--now", NOW]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("the repository cannot be opened"), "{}", run.stderr);
    let inventory: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(inventory["keys"].as_array().map(Vec::len), Some(1), "{inventory:#}");
}

#[test]
fn what_did_not_change_is_not_scanned_again() {
    let sandbox = Sandbox::new();
    small(&sandbox);
    let told = |args: &[&str]| {
        let run = audit(&sandbox, &[&["org", "--state", "s", "-v"], args].concat());
        let line = run.stderr.lines().find(|line| line.ends_with(" unchanged")).expect("it is told").to_owned();
        line.rsplit(": ").next().expect("words").to_owned()
    };
    assert_eq!(told(&[]), "6 units, 0 unchanged");
    assert_eq!(told(&[]), "6 units, 6 unchanged");
    let change = Change { author: "Bob", day: 50, file: "new.env", text: Some(env("new")) };
    import(&sandbox, "org/r0.git", "refs/heads/topic", &[change]);
    assert_eq!(told(&[]), "6 units, 5 unchanged");
    assert_eq!(results(&sandbox, "s").len(), 6, "the result before is gone");
    sandbox.write("org/other.env", "nothing\n");
    assert_eq!(told(&[]), "6 units, 5 unchanged");
    sandbox.write("other.toml", "org_domains = [\"corp.example\"]\n");
    assert_eq!(told(&["--config", "other.toml"]), "6 units, 0 unchanged", "the configuration is another");
}

#[test]
fn changes_since_the_audit_before_come_first() {
    let sandbox = Sandbox::new();
    let change = |file: &'static str, text| Change { author: "Ann", day: 3, file, text };
    repository(&sandbox, "org/a.git", &[change("a.env", Some(env("a")))]);
    sandbox.write("org/b.env", "AWS_ACCESS_KEY_ID={{akia b}}\nAWS_SECRET_ACCESS_KEY={{secret b}}\n");
    let audit = |now: &str, args: &[&str]| {
        relative(&sandbox, sandbox.run(&[&["audit", "org", "--state", "s", "--now", now], args].concat()))
    };
    let statuses = |run: &Run| -> BTreeMap<String, String> {
        let report = inventory(run);
        let keys = report["keys"].as_array().expect("a list").iter();
        keys.map(|key| (key["name"].as_str().expect("a name").into(), key["status"].as_str().expect("one").into()))
            .collect()
    };
    let json = ["--format", "json", "--fail-on-new"];
    let first = audit("2026-01-01", &json);
    assert_eq!(first.code, Some(1));
    assert_eq!(statuses(&first), [(id("a"), "new".into()), (id("b"), "new".into())].into());
    let second = audit("2026-01-02", &json);
    assert_eq!(second.code, Some(0), "nothing is new");
    assert_eq!(statuses(&second), [(id("a"), "known".into()), (id("b"), "known".into())].into());
    assert_eq!(inventory(&second)["keys"][0]["firstFound"], "2026-01-01T00:00:00Z");
    std::fs::remove_file(sandbox.path().join("org/b.env")).expect("it is there");
    // What could not be read of the folder may still have it.
    sandbox.write_bytes("org/damaged.gz", b"\x1f\x8b\x08\0 this is not compressed");
    let third = audit("2026-01-03", &json);
    assert_eq!(third.code, Some(2), "{}", third.stderr);
    assert_eq!(inventory(&third)["changes"]["unseen"], 1);
    std::fs::remove_file(sandbox.path().join("org/damaged.gz")).expect("it is there");
    sandbox.write("org/c.txt", "no key\n");
    let text = audit("2026-01-04", &["--fail-on-new"]);
    insta::assert_snapshot!(without_ids(&text.stdout));
    assert_eq!(text.code, Some(0));
    sandbox.write("org/b.env", "AWS_ACCESS_KEY_ID={{akia b}}\nAWS_SECRET_ACCESS_KEY={{secret b}}\n");
    let again = audit("2026-01-05", &json);
    assert_eq!(statuses(&again)[&id("b")], "back-again");
    assert_eq!(again.code, Some(1));
    let report = inventory(&again);
    let trend: Vec<_> =
        report["trend"].as_array().expect("a list").iter().map(|audit| audit["keys"].as_u64()).collect();
    assert_eq!(trend, [Some(2), Some(2), Some(1), Some(1), Some(2)]);
    // The same moment once more is the same audit.
    assert_eq!(audit("2026-01-05", &json).stdout, again.stdout);
    let earlier = audit("2026-01-01", &json);
    assert_eq!(earlier.code, Some(2));
    assert!(earlier.stderr.contains("audits must run in chronological order"), "{}", earlier.stderr);
}

#[test]
fn an_audit_that_is_killed_goes_on() {
    let sandbox = Sandbox::new();
    small(&sandbox);
    // Large enough that there is time to be killed.
    for number in 0..12 {
        let text: String = (0..40_000).map(|line| format!("line {line} of {number}\n")).collect();
        let change = |day| Change { author: "Ann", day, file: "large.txt", text: Some(format!("{text}{day}")) };
        repository(&sandbox, &format!("org/large{number}.git"), &[change(1), change(2), change(3)]);
    }
    let args = ["audit", "org", "--state", "s", "--now", NOW, "--format", "json"];
    let whole = audit(&sandbox, &["org", "--state", "whole", "--format", "json"]).stdout;
    let started = std::time::Instant::now();
    sandbox.run(&["audit", "org", "--state", "once", "--now", NOW]);
    let duration = started.elapsed().as_micros() as u64;
    // xorshift: random moments, the same ones in every run.
    let mut chance = 88_172_645_463_325_252_u64;
    let mut killed = 0;
    let mut tries = 0;
    while killed < 50 {
        tries += 1;
        assert!(tries <= 500, "{killed}: it is faster than was thought");
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyspill"))
            .current_dir(sandbox.path())
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        std::thread::sleep(Duration::from_micros(chance % duration));
        if child.try_wait().expect("a child").is_none() {
            child.kill().expect("SIGKILL");
            child.wait().expect("it ended");
            killed += 1;
            // What several left is taken up.
            if killed % 5 != 0 {
                continue;
            }
        }
        child.wait().expect("it ended");
        let run = relative(&sandbox, sandbox.run(&args));
        assert_eq!((run.code, &run.stdout), (Some(1), &whole), "{killed}: {}", run.stderr);
        // Everything is to be done again.
        std::fs::remove_dir_all(sandbox.path().join("s")).expect("ours");
    }
    sandbox.run(&args);
    assert!(results(&sandbox, "s").iter().all(|file| file.extension().is_some_and(|name| name == "result")));
}

#[test]
fn what_is_wrong_is_told() {
    let sandbox = Sandbox::new();
    small(&sandbox);
    sandbox.write("list", "org # all\n\nno/such/path\n");
    let run = audit(&sandbox, &["--from", "list", "--format", "json"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("no/such/path"), "{}", run.stderr);
    assert!(run.stdout.contains(&id("a")), "the rest is audited");

    let run = audit(&sandbox, &["org", "https://example.invalid/a.git"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("pass --clone DIR"), "{}", run.stderr);

    let run = sandbox.run_with_input(&["audit", "--from", "-"], b"# nothing\n");
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("the list of targets is empty"), "{}", run.stderr);

    assert_eq!(audit(&sandbox, &["org", "--state", "s"]).code, Some(1));
    assert_eq!(audit(&sandbox, &["org", "--state", "list"]).code, Some(2), "it is a file");
    let run = sandbox.run(&["merge", "list"]);
    assert!(run.stderr.contains("it is not a result file of keyspill"), "{}", run.stderr);
    assert_eq!(run.code, Some(2));
    let run = sandbox.run(&["merge", "org"]);
    assert!(run.stderr.contains("there are no results in this folder"), "{}", run.stderr);

    sandbox.write_bytes("key", b"0123456789abcdef0123456789abcdef\n");
    sandbox.write_bytes("short", b"0123\n");
    assert_eq!(audit(&sandbox, &["org", "--fingerprint-key", "short"]).code, Some(2));
    // Of another folder: of one that both have, only the later result would count.
    sandbox.write_bytes("more/x.env", env("x").as_bytes());
    assert_eq!(audit(&sandbox, &["more", "--state", "k", "--fingerprint-key", "key"]).code, Some(1));
    let run = sandbox.run(&["merge", "s", "k"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("fingerprints with different keys"), "{}", run.stderr);

    let lock = std::fs::File::open(sandbox.path().join("s/lock")).expect("a file");
    lock.lock().expect("nobody has it");
    let run = audit(&sandbox, &["org", "--state", "s"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("another audit is using this folder"), "{}", run.stderr);
    assert_eq!(audit(&sandbox, &["org", "--state", "s", "--worker"]).code, Some(75), "it may be free later");
}

#[test]
fn a_result_that_is_cut_or_changed_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("org/app.env", "AWS_ACCESS_KEY_ID={{akia}}\nAWS_SECRET_ACCESS_KEY={{secret}}\n");
    let whole = audit(&sandbox, &["org", "--state", "s", "--format", "json"]).stdout;
    let files = results(&sandbox, "s");
    let bytes = std::fs::read(&files[0]).expect("a file");
    let path = sandbox.path().join("cut.result");
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("a file");
        let run = sandbox.run(&["merge", "cut.result"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
        assert!(run.stderr.starts_with("keyspill: error: cut.result: "), "{}", run.stderr);
    };
    for end in 0..bytes.len() {
        refused(&bytes[..end]);
    }
    for place in (0..bytes.len()).step_by(13) {
        let mut changed = bytes.clone();
        changed[place] ^= 0x10;
        refused(&changed);
    }
    // In the folder of an audit it is told, and made again.
    std::fs::write(&files[0], &bytes[..bytes.len() / 2]).expect("a file");
    let run = audit(&sandbox, &["org", "--state", "s", "--format", "json"]);
    assert!(run.stderr.contains("damaged or truncated; rebuilding it"), "{}", run.stderr);
    assert_eq!((run.code, run.stdout), (Some(1), whole));
    assert_eq!(std::fs::read(&files[0]).expect("a file"), bytes);
}

#[test]
fn no_secret_is_in_what_is_kept() {
    let sandbox = Sandbox::new();
    small(&sandbox);
    assert_eq!(audit(&sandbox, &["org", "--state", "s", "-f", "html", "-o", "s/page.html"]).code, Some(1));
    let secrets: Vec<String> =
        ["a", "b", "c", "d", "e"].map(|key| expand(&format!("{{{{secret {key}}}}}")).text).into();
    let mut count = 0;
    for file in results(&sandbox, "s") {
        let bytes = std::fs::read(&file).expect("a file");
        // Every frame that the file holds, whatever is between them.
        for start in memchr::memmem::find_iter(&bytes, b"\x28\xb5\x2f\xfd") {
            let mut text = Vec::new();
            let decoder = zstd::stream::read::Decoder::with_buffer(&bytes[start..]).expect("a frame");
            _ = std::io::Read::read_to_end(&mut decoder.single_frame(), &mut text);
            count += text.len();
            for secret in &secrets {
                assert!(memchr::memmem::find(&text, &secret.as_bytes()[..20]).is_none(), "{}", file.display());
            }
        }
    }
    assert!(count > 2000, "{count}");
    for file in ["s/keys.json", "s/units.json", "s/page.html"] {
        let text = std::fs::read_to_string(sandbox.path().join(file)).expect("a file");
        assert!(secrets.iter().all(|secret| !text.contains(&secret[..20])), "{file}");
    }
    // Guesses cannot be tested without the key of fingerprints.
    sandbox.write_bytes("key", b"0123456789abcdef0123456789abcdef\n");
    let run = audit(&sandbox, &["org", "--fingerprint-key", "key", "--format", "json"]);
    assert!(run.stdout.contains("hmac-v1:") && !run.stdout.contains("sha256-v1:"), "{}", run.stdout);
    let plain = inventory(&audit(&sandbox, &["org", "--format", "json"]));
    let keyed = inventory(&run);
    let judged = |report: &Value| {
        report["keys"].as_array().expect("a list").iter().map(|key| key["judgements"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(judged(&plain), judged(&keyed), "what is joined does not depend on it");
}

#[test]
fn repositories_are_cloned_and_deleted() {
    let sandbox = Sandbox::new();
    small(&sandbox);
    let url = |name: &str| format!("file://{}/org/{name}", sandbox.path().display());
    let list: String = (0..5).map(|number| url(&format!("r{number}.git")) + "\n").collect();
    sandbox.write_bytes("list", list.as_bytes());
    let args = ["--from", "list", "--clone", "clones", "--state", "s", "--format", "json", "-v"];
    let run = audit(&sandbox, &args);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let report = inventory(&run);
    assert_eq!(report["keys"].as_array().map(Vec::len), Some(4));
    let place = report["keys"][0]["places"][0].as_str().expect("a place");
    assert!(place.starts_with("file://") && !place.contains("clones"), "{place}");
    let clones = || {
        let entries = std::fs::read_dir(sandbox.path().join("clones")).expect("a folder").flatten();
        entries.filter(|entry| entry.file_name() != ".keyspill-lock").count()
    };
    assert_eq!(clones(), 0, "clones are deleted");
    let again = audit(&sandbox, &args);
    assert!(again.stderr.contains("5 units, 5 unchanged"), "{}", again.stderr);
    let keys = |run: &Run| inventory(run)["keys"].as_array().expect("a list").len();
    assert_eq!(keys(&again), keys(&run));
    let kept = audit(&sandbox, &["--from", "list", "--clone", "clones", "--keep-clones"]);
    assert_eq!(kept.code, Some(1));
    assert_eq!(clones(), 5);

    let missing = url("none.git");
    let run = audit(&sandbox, &[&missing, "org", "--clone", "clones", "--format", "json"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("none.git: fatal: "), "{}", run.stderr);
    let run = audit(&sandbox, &["ext::sh -c id", "--clone", "clones"]);
    assert_eq!(run.code, Some(2), "nothing that runs a program");
    let run = audit(&sandbox, &["http://ann:hunter2@127.0.0.1:9/a.git", "--clone", "clones"]);
    assert!(run.stderr.contains("http") && !run.stderr.contains("hunter2"), "{}", run.stderr);
    assert_eq!(run.code, Some(2));
}

#[cfg(unix)]
#[test]
fn a_clone_that_hangs_is_ended() {
    let sandbox = Sandbox::new();
    sandbox.write("org/app.env", "AWS_ACCESS_KEY_ID={{akia}}\nAWS_SECRET_ACCESS_KEY={{secret}}\n");
    let started = std::time::Instant::now();
    let args = [
        "audit",
        "ssh://git@host.invalid/a.git",
        "org",
        "--clone",
        "c",
        "--clone-timeout",
        "1",
        "--clone-retries",
        "0",
        "--format",
        "json",
        "--state",
        "s",
    ];
    let run = sandbox.run_in(&[("GIT_SSH_COMMAND", "sh -c 'sleep 600' ssh")], &args);
    assert!(started.elapsed() < Duration::from_mins(1), "it was waited for");
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("git did not finish within 1 s"), "{}", run.stderr);
    assert!(run.stdout.contains("AKIA"), "the rest is audited");
    let worker = [&args[..], &["--worker"]].concat();
    let run = sandbox.run_in(&[("GIT_SSH_COMMAND", "sh -c 'sleep 600' ssh")], &worker);
    assert_eq!(run.code, Some(75), "a retry may help: {}", run.stderr);
}

#[test]
fn every_format_has_every_key() {
    let sandbox = Sandbox::new();
    small(&sandbox);
    sandbox.write("keyspill.toml", "org_domains = [\"corp.example\"]\n");
    let run = audit(
        &sandbox,
        &[
            "org", "-f", "text", "-f", "json", "-o", "r.json", "-f", "csv", "-o", "r.csv", "-f", "html", "-o",
            "r.html", "-f", "markdown", "-o", "r.md", "-f", "sarif", "-o", "sarif",
        ],
    );
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    insta::assert_snapshot!(without_ids(&run.stdout));
    let read = |name: &str| std::fs::read_to_string(sandbox.path().join(name)).expect("a file");
    for name in ["r.json", "r.csv", "r.html", "r.md"] {
        let text = read(name);
        for key in ["a", "b", "c", "d", "e"] {
            assert!(text.contains(&id(key)), "{name} {key}");
        }
    }
    let markdown = relative(&sandbox, Run { code: None, stdout: read("r.md"), stderr: String::new() }).stdout;
    insta::assert_snapshot!("markdown", without_ids(&markdown));
    let schema: Value =
        serde_json::from_str(include_str!("../../schemas/inventory-1.schema.json")).expect("the schema is JSON");
    let schema = jsonschema::validator_for(&schema).expect("the schema is valid");
    let report: Value = serde_json::from_str(&read("r.json")).expect("JSON");
    let errors: Vec<_> = schema.iter_errors(&report).map(|error| error.to_string()).collect();
    assert_eq!(errors, [""; 0]);
    let rows = csv::Reader::from_path(sandbox.path().join("r.csv")).expect("a file").into_records().count();
    assert_eq!(rows, 5);
    let sarif = crate::support::sarif_schema();
    let mut results = 0;
    let files: Vec<_> = std::fs::read_dir(sandbox.path().join("sarif")).expect("a folder").collect();
    assert_eq!(files.len(), 6, "a file for each target");
    for file in files {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        let log: Value = serde_json::from_str(&text).expect("JSON");
        assert!(sarif.is_valid(&log));
        for result in log["runs"][0]["results"].as_array().expect("a list") {
            results += usize::from(result["ruleId"] == "aws-access-key-pair");
            let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().expect("a URI");
            assert!(!uri.contains(".git"), "paths are relative to the repository: {uri}");
        }
    }
    assert_eq!(results, 6);
}

#[cfg(unix)]
#[test]
fn a_folder_without_rights_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.write("org/app.env", "x\n");
    let dir = sandbox.path().join("s");
    std::fs::create_dir(&dir).expect("a folder");
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o500)).expect("rights");
    if std::fs::write(dir.join("probe"), "").is_ok() {
        return crate::support::skipped("root may write everywhere");
    }
    let run = audit(&sandbox, &["org", "--state", "s"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("s/units"), "{}", run.stderr);
    assert_eq!(audit(&sandbox, &["org", "--state", "s", "--worker"]).code, Some(2), "a retry does not help");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let sandbox = Sandbox::new();
    small(&sandbox);
    let many: String = (0..100).map(|number| format!("{{{{akia {number}}}}} {{{{secret {number}}}}}\n")).collect();
    sandbox.write("org/many.env", &many);
    // The limit of file sizes stands in for the end of the disk.
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    let mut command = Command::new("bash");
    command.current_dir(sandbox.path()).args(["-c", script, "bash", env!("CARGO_BIN_EXE_keyspill")]);
    command.args(["audit", "org", "--state", "s", "--now", NOW]);
    let output = command.output().expect("bash runs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("s/units/") && words.contains("arge"), "{words}");
    // With room again, it goes on.
    let run = audit(&sandbox, &["org", "--state", "s", "--format", "json"]);
    assert_eq!(run.stdout, audit(&sandbox, &["org", "--state", "other", "--format", "json"]).stdout);
    assert!(Path::new(&sandbox.path().join("s/keys.json")).exists());
}

/// The targets of every key, by its name.
fn targets(run: &Run) -> BTreeMap<String, BTreeSet<String>> {
    let report = inventory(run);
    let keys = report["keys"].as_array().expect("a list").iter();
    keys.map(|key| (key["name"].as_str().expect("a name").to_owned(), strings(&key["targets"]))).collect()
}

fn one(target: &str) -> BTreeSet<String> {
    [target.to_owned()].into()
}

#[test]
fn a_folder_of_state_keeps_what_is_not_its_own() {
    let sandbox = Sandbox::new();
    small(&sandbox);
    sandbox.write("s/units/notes.md", "mine\n");
    sandbox.write("s/units/other.result", "mine, too\n");
    assert_eq!(audit(&sandbox, &["org", "--state", "s"]).code, Some(1));
    assert_eq!(results(&sandbox, "s").len(), 8);
    // Inside what is audited, it is none of it.
    let inside = audit(&sandbox, &["org", "--state", "org/s", "-v"]);
    assert_eq!(inside.code, Some(1), "{}", inside.stderr);
    let again = audit(&sandbox, &["org", "--state", "org/s", "-v", "--format", "json"]);
    assert!(again.stderr.contains("6 units, 6 unchanged"), "{}", again.stderr);
    assert!(!again.stdout.contains("org/s/"), "{}", again.stdout);
}

#[test]
fn repositories_in_repositories_are_found_and_told_apart() {
    let sandbox = Sandbox::new();
    let commit = |dir: &str, file: &str, key: &str| {
        sandbox.write_bytes(&format!("{dir}/{file}"), env(key).as_bytes());
        sandbox.git(&["-C", dir, "add", "-f", file]);
        sandbox.git(&["-C", dir, "commit", "-q", "-m", key]);
    };
    for dir in ["org/outer", "org/outer/vendor/ignored", "org/outer/inner"] {
        sandbox.git(&["init", "-q", dir]);
    }
    sandbox.write("org/outer/.gitignore", "vendor\n");
    commit("org/outer", "outer.env", "outer");
    commit("org/outer/vendor/ignored", "a.env", "ignored");
    commit("org/outer/inner", "b.env", "inner");
    sandbox.git(&["-C", "org/outer/inner", "rm", "-q", "b.env"]);
    sandbox.git(&["-C", "org/outer/inner", "commit", "-q", "-m", "Remove"]);
    sandbox.write_bytes("org/outer/inner/now.env", env("now").as_bytes());
    sandbox.git(&[
        "-c",
        "protocol.file.allow=always",
        "-C",
        "org/outer",
        "submodule",
        "add",
        "-q",
        "../outer/inner/.git",
        "sub",
    ]);
    let run = audit(&sandbox, &["org", "org/outer/inner", "--state", "s", "--format", "json"]);
    let expected = [
        ("outer", &["org/outer"][..]),
        ("ignored", &["org/outer/vendor/ignored"]),
        // The submodule has the same history.
        ("inner", &["org/outer/inner", "org/outer/sub"]),
        ("now", &["org/outer/inner"]),
    ];
    let expected: BTreeMap<_, BTreeSet<_>> =
        expected.into_iter().map(|(key, list)| (id(key), list.iter().map(|&name| name.to_owned()).collect())).collect();
    assert_eq!(targets(&run), expected, "{}", run.stderr);
    // What changes only in the submodule's history is noticed.
    sandbox.git(&["-C", "org/outer/sub", "checkout", "-q", "-b", "topic"]);
    commit("org/outer/sub", "c.env", "sub");
    sandbox.git(&["-C", "org/outer/sub", "checkout", "-q", "-"]);
    let run = audit(&sandbox, &["org", "--state", "s", "--format", "json"]);
    assert_eq!(targets(&run).get(&id("sub")), Some(&one("org/outer/sub")));
}

#[cfg(unix)]
#[test]
fn names_and_files_of_all_kinds_are_told_apart() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    let odd: [&[u8]; 4] = [b"a\xff", b"a\xfe", b"n\nl", b"e\x1b[31m"];
    for (number, name) in odd.iter().enumerate() {
        let dir = sandbox.path().join("org").join(std::ffi::OsStr::from_bytes(name));
        std::fs::create_dir_all(&dir).expect("a folder");
        let git = |args: &[&str]| {
            let mut git = Command::new("git");
            git.current_dir(&dir).args(["-c", "user.name=A", "-c", "user.email=a@corp.example"]);
            assert!(git.args(args).status().expect("git runs").success());
        };
        git(&["init", "-q"]);
        std::fs::write(dir.join("a.env"), env(&format!("odd {number}"))).expect("a file");
        git(&["add", "."]);
        git(&["commit", "-q", "-m", "x"]);
    }
    let fifo = Command::new("mkfifo").arg(sandbox.path().join("org/pipe")).status().expect("mkfifo runs");
    assert!(fifo.success());
    sandbox.write_bytes("outside/secret.env", env("outside").as_bytes());
    std::os::unix::fs::symlink("../outside", sandbox.path().join("org/link")).expect("a link");
    sandbox.write_bytes("org/own.env", env("own").as_bytes());

    let run = audit(&sandbox, &["org", "org/own.env", "--format", "json", "-f", "text", "-o", "text"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let found = targets(&run);
    for number in 0..odd.len() {
        let targets = &found[&id(&format!("odd {number}"))];
        assert_eq!(targets.len(), 1, "{targets:?}");
    }
    assert_eq!(found.get(&id("own")), Some(&one("org")), "it is found once");
    assert_eq!(found.get(&id("outside")), None, "links are not followed");
    assert_eq!(found.values().collect::<BTreeSet<_>>().len(), 5);
    let text = std::fs::read_to_string(sandbox.path().join("text")).expect("a report");
    assert!(!text.contains('\u{1b}'));
    for target in ["org/pipe", "/dev/zero"] {
        let run = audit(&sandbox, &[target]);
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.contains("it is a pipe, a socket or a device"), "{}", run.stderr);
    }
    assert_eq!(audit(&sandbox, &["none", "--state", "s", "--worker"]).code, Some(2), "a retry does not help");
    // The same target in other words is the same.
    let whole = sandbox.path().join("org").display().to_string();
    let other = audit(&sandbox, &["./org", "org/../org", &whole, "--format", "json"]);
    assert_eq!(other.stdout, audit(&sandbox, &["org", "--format", "json"]).stdout);
}

#[test]
fn a_change_of_the_same_size_and_time_is_noticed() {
    let sandbox = Sandbox::new();
    let path = sandbox.write_bytes("org/a.env", env("a").as_bytes());
    let time = std::fs::metadata(&path).and_then(|facts| facts.modified()).expect("a time");
    assert_eq!(audit(&sandbox, &["org", "--state", "s"]).code, Some(1));
    sandbox.write_bytes("org/a.env", env("b").as_bytes());
    std::fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(time)).expect("a time");
    let run = audit(&sandbox, &["org", "--state", "s", "--format", "json"]);
    assert_eq!(targets(&run).into_keys().collect::<Vec<_>>(), [id("b")]);
}

#[test]
fn what_could_not_be_reported_is_not_known() {
    let sandbox = Sandbox::new();
    small(&sandbox);
    let run = audit(&sandbox, &["org", "--state", "s", "--fail-on-new", "-f", "json", "-o", "no/such/folder/r.json"]);
    assert_eq!(run.code, Some(2));
    let run = audit(&sandbox, &["org", "--state", "s", "--fail-on-new"]);
    assert_eq!(run.code, Some(1), "all keys are new");
    let run = audit(&sandbox, &["org", "--state", "s", "--worker", "-f", "json", "-o", "no/such/folder/r.json"]);
    assert_eq!(run.code, Some(2));
}

#[test]
fn a_target_that_failed_once_is_forgiven() {
    let sandbox = Sandbox::new();
    let change = |text| Change { author: "Ann", day: 3, file: "a.env", text: Some(text) };
    repository(&sandbox, "a.git", &[change(env("a"))]);
    repository(&sandbox, "z.git", &[change(env("z"))]);
    let at = |now: &str| sandbox.run(&["audit", "a.git", "z.git", "--state", "s", "--now", now, "--format", "json"]);
    assert_eq!(at("2026-01-01").code, Some(1));
    std::fs::rename(sandbox.path().join("a.git"), sandbox.path().join("away")).expect("a folder");
    assert_eq!(at("2026-01-02").code, Some(2));
    std::fs::rename(sandbox.path().join("away"), sandbox.path().join("a.git")).expect("a folder");
    assert_eq!(at("2026-01-03").code, Some(1));
    let merged = sandbox.run(&["merge", "s", "--now", "2026-01-03", "--format", "json"]);
    assert_eq!(merged.code, Some(1), "{}", merged.stderr);
    assert_eq!(targets(&merged).len(), 2);
}

#[test]
fn the_threshold_is_that_of_the_audit() {
    let sandbox = Sandbox::new();
    sandbox.write("org/a.txt", "aws_access_key_id = {{akia}}\n");
    sandbox.write("keyspill.toml", "fail_on = \"error\"\n");
    assert_eq!(audit(&sandbox, &["org", "--state", "s"]).code, Some(0));
    assert_eq!(sandbox.run(&["merge", "s", "--now", NOW]).code, Some(0));
    sandbox.write("org/keyspill.toml", "fail_on = \"note\"\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyspill"));
    command.current_dir(sandbox.path().join("org")).args(["audit", ".", "--now", NOW]);
    let output = command.output().expect("it starts");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("belongs to a target and is ignored"), "{words}");
}

#[test]
fn what_was_named_is_read() {
    let sandbox = Sandbox::new();
    // It looks like a bare repository, and has a file that is none of git's.
    sandbox.git(&["init", "-q", "--bare", "bare"]);
    sandbox.write_bytes("bare/stray.env", env("stray").as_bytes());
    // Git ignores these.
    sandbox.git(&["init", "-q", "tree"]);
    sandbox.write("tree/.gitignore", "*.secret\nbuild/\n");
    sandbox.write_bytes("tree/my.secret", env("file").as_bytes());
    sandbox.write_bytes("tree/build/x.env", env("folder").as_bytes());
    let lists = [["bare", "tree", "tree/my.secret", "tree/build"], ["tree/build", "tree/my.secret", "tree", "bare"]];
    let runs = lists.map(|list| audit(&sandbox, &[&list[..], &["--format", "json"]].concat()));
    assert_eq!(runs[0].stdout, runs[1].stdout, "the order of targets does not matter");
    let found: BTreeSet<String> = targets(&runs[0]).into_keys().collect();
    assert_eq!(found, ["stray", "file", "folder"].map(id).into());
    // A repository that says it has no working tree hides it.
    sandbox.git(&["-C", "tree", "config", "core.bare", "true"]);
    let hidden = audit(&sandbox, &["tree"]);
    assert_eq!(hidden.code, Some(2), "{}", hidden.stderr);
    assert!(hidden.stderr.contains("core.bare"), "{}", hidden.stderr);
    let empty = audit(&sandbox, &["", "tree"]);
    assert_eq!(empty.code, Some(2), "{}", empty.stderr);
    assert!(empty.stderr.contains("a target has no name"), "{}", empty.stderr);
}

/// Keys that are found with their id on one day and without it on another.
#[test]
fn a_key_is_the_same_with_and_without_its_id() {
    let sandbox = Sandbox::new();
    let run = |now: &str| {
        let args = ["audit", "a", "b", "--state", "s", "--format", "json", "--fail-on-new", "--now", now];
        relative(&sandbox, sandbox.run(&args))
    };
    let statuses = |run: &Run| {
        let report = inventory(run);
        let keys = report["keys"].as_array().expect("a list").iter();
        let mut statuses: Vec<String> = keys.map(|key| key["status"].as_str().expect("one").to_owned()).collect();
        statuses.sort();
        (statuses, report["changes"]["fixed"].as_array().map_or(0, Vec::len))
    };
    let secret = "AWS_SECRET_ACCESS_KEY={{secret a}}\n";
    sandbox.write("a/x.env", &format!("AWS_ACCESS_KEY_ID={{{{akia a}}}}\n{secret}"));
    sandbox.write("b/y.env", secret);
    assert_eq!(run("2026-01-01").code, Some(1));
    sandbox.write("a/x.env", "nothing\n");
    let without = run("2026-01-02");
    assert_eq!((statuses(&without), without.code), ((vec!["known".into()], 0), Some(0)), "{}", without.stdout);
    sandbox.write("a/x.env", &format!("AWS_ACCESS_KEY_ID={{{{akia a}}}}\n{secret}"));
    let with = run("2026-01-03");
    assert_eq!((statuses(&with), with.code), ((vec!["known".into()], 0), Some(0)), "{}", with.stdout);
}

#[test]
fn a_failure_is_the_latest_result_and_spoils_no_other() {
    let sandbox = Sandbox::new();
    repository(&sandbox, "r.git", &[Change { author: "Ann", day: 1, file: "a.env", text: Some(env("a")) }]);
    sandbox.write("t/b.env", "AWS_ACCESS_KEY_ID={{akia b}}\nAWS_SECRET_ACCESS_KEY={{secret b}}\n");
    sandbox.write("one.toml", "org_domains = [\"one.example\"]\n");
    sandbox.write("two.toml", "org_domains = [\"two.example\"]\n");
    let url = format!("file://{}/r.git", sandbox.path().display());
    let run = |config: &str| audit(&sandbox, &[&url, "t", "--clone", "c", "--state", "s", "--config", config]);
    assert_eq!(run("one.toml").code, Some(1));
    let moved = |from: &str, to: &str| std::fs::rename(sandbox.path().join(from), sandbox.path().join(to));
    moved("r.git", "gone.git").expect("it is there");
    assert_eq!(run("one.toml").code, Some(2));
    let merged = |format: &str, out: &[&str]| audit_merge(&sandbox, &[&["s", "--format", format], out].concat());
    let report = merged("json", &[]);
    assert_eq!(report.code, Some(2), "{}", report.stderr);
    assert_eq!(inventory(&report)["complete"], false);
    // With another configuration, what failed is not compared.
    assert_eq!(run("two.toml").code, Some(2));
    let report = merged("json", &[]);
    assert_eq!(report.code, Some(2));
    assert_eq!(inventory(&report)["keys"].as_array().map(Vec::len), Some(1), "{}", report.stderr);
    // Reports of others stay, and there is none of what could not be read.
    sandbox.write("sarif/codeql-20260601.sarif", "{}");
    merged("sarif", &["--output", "sarif"]);
    let files: Vec<_> = std::fs::read_dir(sandbox.path().join("sarif")).expect("a folder").flatten().collect();
    let names: BTreeSet<String> = files.iter().map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    assert!(names.contains("codeql-20260601.sarif") && names.len() == 2, "{names:?}");
}

fn audit_merge(sandbox: &Sandbox, args: &[&str]) -> Run {
    relative(sandbox, sandbox.run(&[&["merge", "--now", NOW], args].concat()))
}

#[test]
fn what_an_audit_writes_is_no_target() {
    let sandbox = Sandbox::new();
    sandbox.write("org/a.env", "AWS_ACCESS_KEY_ID={{akia a}}\nAWS_SECRET_ACCESS_KEY={{secret a}}\n");
    repository(&sandbox, "r.git", &[Change { author: "Ann", day: 1, file: "b.env", text: Some(env("b")) }]);
    let url = format!("file://{}/r.git", sandbox.path().display());
    let run = |now: &str| {
        let args = ["org", &url, "--clone", "org/clones", "--keep-clones", "--state", "org/state", "--format", "csv"];
        sandbox.run(&[&["audit", "--now", now], &args[..], &["--output", "org/audit.csv"]].concat());
        std::fs::read_to_string(sandbox.path().join("org/audit.csv")).expect("a report")
    };
    let first = run("2026-01-01");
    assert!(first.contains(&id("a")), "{first}");
    std::fs::remove_file(sandbox.path().join("org/a.env")).expect("it is there");
    let second = run("2026-01-02");
    assert!(!second.contains(&id("a")), "an earlier report is not what is looked for: {second}");
    assert!(!second.contains("org/clones"), "{second}");
}

#[cfg(unix)]
#[test]
fn a_mirror_of_others_runs_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    repository(&sandbox, "r.git", &[Change { author: "Ann", day: 1, file: "a.env", text: Some(env("a")) }]);
    let url = format!("file://{}/r.git", sandbox.path().display());
    let args = [&url, "--clone", "c", "--keep-clones", "--format", "json"];
    assert_eq!(audit(&sandbox, &args).code, Some(1));
    let mirror = std::fs::read_dir(sandbox.path().join("c")).expect("a folder").flatten().map(|entry| entry.path());
    let mirror = mirror.into_iter().find(|path| path.is_dir()).expect("a mirror");
    let mark = sandbox.path().join("ran");
    let mirror_text = mirror.to_str().expect("a plain name");
    sandbox.git(&[
        "-C",
        mirror_text,
        "config",
        "remote.origin.uploadpack",
        &format!("touch {}; git-upload-pack", mark.display()),
    ]);
    let hook = mirror.join("hooks/reference-transaction");
    std::fs::create_dir_all(mirror.join("hooks")).expect("a folder");
    std::fs::write(&hook, format!("#!/bin/sh\ntouch {}\n", mark.display())).expect("a hook");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    // A branch that is overwritten is not kept in the mirror.
    import(
        &sandbox,
        "r.git",
        "refs/heads/next",
        &[Change { author: "Ann", day: 5, file: "b.env", text: Some(env("b")) }],
    );
    let run = audit(&sandbox, &args);
    assert_eq!(targets(&run).len(), 2, "{}", run.stderr);
    sandbox.git(&["-C", "r.git", "branch", "-q", "-D", "next"]);
    sandbox.git(&["-C", "r.git", "gc", "-q", "--prune=now"]);
    let run = audit(&sandbox, &args);
    assert_eq!(targets(&run).len(), 1, "what the server has no more is not in the mirror: {}", run.stderr);
    assert!(!mark.exists(), "a program that a mirror names was run");
    // A folder in which anyone can put mirrors is refused.
    std::fs::set_permissions(sandbox.path().join("c"), std::fs::Permissions::from_mode(0o777)).expect("it is ours");
    let run = audit(&sandbox, &args);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("others can write to it"), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn a_pipe_in_place_of_a_lock_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("org/a.txt", "nothing\n");
    sandbox.write("s/x", "");
    let made = Command::new("mkfifo").arg(sandbox.path().join("s/lock")).status().expect("mkfifo runs");
    assert!(made.success());
    let run = audit(&sandbox, &["org", "--state", "s"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("not a regular file"), "{}", run.stderr);
    // A unit that is none is a mistake.
    sandbox.write("units.json", "[\"/nope/typo\"]");
    let run = audit(&sandbox, &["org", "--units", "units.json", "--state", "t"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("/nope/typo"), "{}", run.stderr);
}

#[test]
fn what_depends_on_the_day_is_as_of_that_day() {
    let sandbox = Sandbox::new();
    let header = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
                  password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,\
                  access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,\
                  access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date\n";
    let row = "ann,arn:aws:iam::111122223333:user/ann,2019-01-01T00:00:00Z,false,N/A,N/A,N/A,false,true,\
               2026-01-01T00:00:00Z,2026-01-20T00:00:00Z,eu-west-1,s3,true,2025-12-01T00:00:00Z,2026-02-10T00:00:00Z\n";
    sandbox.write("org/report.csv", &format!("{header}{row}"));
    sandbox.write("org/a.env", "key = {{asia}} {{secret}}\nExpiration = 2026-02-15T00:00:00Z\n");
    sandbox.write("org/b.env", "aws_access_key_id={{akia}}\naws_secret_access_key={{secret b}}\n");
    sandbox.write_bytes("org/bad.gz", b"\x1f\x8b\x08\x00not gzip at all, and more");
    sandbox.write(
        "keyspill.toml",
        "[[allow]]\npaths = [\"b.env\"]\nexpires = \"2026-03-01\"\n\
         [[unscanned]]\npaths = [\"bad.gz\"]\nreason = \"a test\"\nexpires = \"2026-04-01\"\n",
    );
    let config = ["--config", "keyspill.toml"];
    let mut reports = Vec::new();
    for day in ["2026-02-01", "2026-03-01", "2026-03-02", "2026-04-02", "2026-08-01"] {
        let at = |more: &[&str]| {
            let args = [&["audit", "org", "--now", day, "-f", "csv"], &config[..], more].concat();
            sandbox.run(&args)
        };
        let (fresh, kept) = (at(&[]), at(&["--state", "s"]));
        let without_news = |text: &str| text.replace("known", "new");
        assert_eq!(fresh.code, kept.code, "{day}: {}{}", fresh.stdout, kept.stdout);
        let count =
            |run: &Run| run.stdout.lines().map(|line| line.split(',').nth(2).map(str::to_owned)).collect::<Vec<_>>();
        assert_eq!(count(&fresh), count(&kept), "{day}: {} {}", without_news(&fresh.stdout), kept.stdout);
        reports.push((fresh.code, count(&fresh).len()));
    }
    // A key that has expired, one that is allowed no longer, and a file that is accepted no longer and is listed.
    assert_eq!(reports, [(Some(1), 2), (Some(0), 2), (Some(1), 3), (Some(2), 4), (Some(2), 4)]);
    // A merge cannot scan again: as of another day it says so, or is the same.
    let run = sandbox.run(&[
        "audit",
        "org",
        "--now",
        "2026-02-01",
        "--state",
        "t",
        "-f",
        "json",
        "--config",
        "keyspill.toml",
    ]);
    let observed = |run: &Run| -> usize {
        let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
        report["observations"].as_array().expect("a list").len()
    };
    assert_eq!(observed(&run), 1, "two active keys");
    let same = sandbox.run(&["merge", "t", "--now", "2026-02-20", "-f", "json"]);
    assert_eq!(same.code, Some(0), "{}", same.stderr);
    let fresh = sandbox.run(&["audit", "org", "--now", "2026-02-20", "-f", "json", "--config", "keyspill.toml"]);
    assert_eq!(same.stdout, fresh.stdout);
    let later = sandbox.run(&["merge", "t", "--now", "2026-03-05", "-f", "json"]);
    assert_eq!(later.code, Some(2), "{}", later.stdout);
    assert!(later.stdout.contains("scanned as of 2026-02-01; since then an entry"), "{}", later.stdout);
}

#[test]
fn rules_of_files_are_known_to_a_merge() {
    let sandbox = Sandbox::new();
    sandbox.write("org/a.txt", "token = acme_{{lower:20}}\nother = zeta_{{lower:24}}\n");
    sandbox.write(
        "gitleaks.toml",
        "[[rules]]\nid = \"zeta-token\"\ndescription = \"A token of Zeta.\"\nregex = \"zeta_[a-z0-9]{24}\"\nkeywords = [\"zeta_\"]\n",
    );
    sandbox.write_bytes(
        "rules.toml",
        b"[[rule]]\nid = \"acme-token\"\nname = \"ACME token\"\ndescription = \"A token.\"\nremedy = \"Revoke it at ACME.\"\nseverity = \"error\"\ntoken = 'acme_[a-z0-9]{20}'\npositives = [\"acme_{{lower:20}}\"]\nnegatives = [\"acme_\"]\n",
    );
    let rules = ["--rules", "rules.toml", "--gitleaks-config", "gitleaks.toml", "--now", "2026-01-01"];
    assert_eq!(sandbox.run(&[&["audit", "org", "--state", "s"], &rules[..]].concat()).code, Some(1));
    for format in ["text", "csv", "markdown", "html"] {
        let audit = sandbox.run(&[&["audit", "org", "-f", format], &rules[..]].concat());
        assert_eq!(audit.code, Some(1), "{}", audit.stderr);
        let merged = sandbox.run(&["merge", "s", "-f", format, "--now", "2026-01-01"]);
        assert_eq!((merged.code, merged.stderr.as_str()), (Some(1), ""), "{format}");
        assert_eq!(merged.stdout, audit.stdout, "{format}");
    }
}
