//! Git hooks, run by git: each kind in each situation, with the exit code and the output.

use crate::support::{Run, Sandbox};
use std::process::Command;

const PAIR: &str = "aws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n";

/// A repository with a commit and the hooks installed.
fn hooked(kinds: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("README", "x\n");
    sandbox.commit(1, "First");
    let run = sandbox.run(&[&["hook", "install"], kinds].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    sandbox
}

/// Commits everything with `git commit`.
fn commit(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.git(&["add", "--all", "."]);
    sandbox.try_git(&[&["commit", "-q", "-m", "x"], args].concat())
}

fn assert_blocked(run: &Run, action: &str) {
    assert_ne!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("keyspill stopped the {action}: found an AWS key")), "{}", run.stderr);
    let ours = run.stderr.lines().filter(|line| !line.contains("error: failed to push")).count();
    assert!(ours < 15, "{}", run.stderr);
}

#[track_caller]
fn assert_passes(run: &Run) {
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(!run.stderr.contains("keyspill"), "{}", run.stderr);
}

#[test]
fn pre_commit() {
    let sandbox = hooked(&[]);
    sandbox.write("a.txt", "nothing\n");
    assert_passes(&commit(&sandbox, &[]));
    sandbox.write("b.env", PAIR);
    let blocked = commit(&sandbox, &[]);
    assert_blocked(&blocked, "commit");
    for expected in
        ["b.env:1: AWS access key pair AKIA", "aws iam update-access-key", "git commit --no-verify", "keyspill:allow"]
    {
        assert!(blocked.stderr.contains(expected), "{expected}: {}", blocked.stderr);
    }
    assert!(!blocked.stderr.contains(&crate::support::expand("{{secret}}").text));
    assert_passes(&commit(&sandbox, &["--no-verify"]));
    sandbox.write("b.env", &format!("# a comment\n{PAIR}"));
    assert_passes(&commit(&sandbox, &[]));
    sandbox.write("c.env", "{{akia other}}  # {{allow}} for the tests\n");
    assert_passes(&commit(&sandbox, &[]));
    // Only some of the changes.
    sandbox.write("d.txt", "fine\n");
    sandbox.write("e.env", PAIR);
    sandbox.git(&["add", "--all", "."]);
    assert_passes(&sandbox.try_git(&["commit", "-q", "-m", "x", "d.txt"]));
    assert_blocked(&sandbox.try_git(&["commit", "-q", "-m", "x", "e.env"]), "commit");
}

#[test]
fn pre_commit_with_a_baseline_and_a_broken_configuration() {
    let sandbox = hooked(&[]);
    sandbox.write("old.env", PAIR);
    assert_blocked(&commit(&sandbox, &[]), "commit");
    assert_eq!(sandbox.run(&["baseline", "create"]).code, Some(0));
    assert_passes(&commit(&sandbox, &[]));
    sandbox.write("old.env", &PAIR.replace("{{secret}}", "{{secret new}}"));
    assert_blocked(&commit(&sandbox, &[]), "commit");
    sandbox.write("old.env", PAIR);
    sandbox.write_bytes("keyspill.toml", b"[[allow]]\npath = [\"x\"]\n");
    let broken = commit(&sandbox, &[]);
    assert_ne!(broken.code, Some(0));
    assert!(broken.stderr.contains("allow: unknown key `path`: did you mean `paths`?"), "{}", broken.stderr);
    sandbox.write_bytes("keyspill.toml", b"[[allow]]\npaths = [\"new.env\"]\n");
    sandbox.write("new.env", "{{akia b}} {{secret b}}\n");
    assert_passes(&commit(&sandbox, &[]));
}

#[test]
fn pre_commit_on_an_unborn_branch_in_a_worktree_and_in_a_submodule() {
    let sandbox = Sandbox::new();
    sandbox.init();
    assert_eq!(sandbox.run(&["hook", "install"]).code, Some(0));
    sandbox.write("a.env", PAIR);
    assert_blocked(&commit(&sandbox, &[]), "commit");
    sandbox.write("a.env", "fine\n");
    assert_passes(&commit(&sandbox, &[]));

    let sandbox = hooked(&[]);
    sandbox.git(&["worktree", "add", "-q", "../wt-keyspill", "-b", "other"]);
    let there = sandbox.path().parent().expect("a parent").join("wt-keyspill");
    std::fs::write(there.join("x.env"), crate::support::expand(PAIR).text).expect("a file");
    sandbox.git(&["-C", "../wt-keyspill", "add", "."]);
    let run = sandbox.try_git(&["-C", "../wt-keyspill", "commit", "-q", "-m", "x"]);
    std::fs::remove_dir_all(there).expect("it is ours");
    assert_blocked(&run, "commit");

    let outer = Sandbox::new();
    outer.init();
    let inner = hooked(&[]);
    let url = inner.path().to_str().expect("UTF-8").to_owned();
    outer.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "sub"]);
    std::fs::write(outer.path().join("sub/x.env"), crate::support::expand(PAIR).text).expect("a file");
    let binary = env!("CARGO_BIN_EXE_keyspill");
    let install = Command::new(binary).args(["hook", "install"]).current_dir(outer.path().join("sub")).output();
    assert!(install.expect("it runs").status.success());
    outer.git(&["-C", "sub", "add", "."]);
    assert_blocked(&outer.try_git(&["-C", "sub", "commit", "-q", "-m", "x"]), "commit");
}

#[test]
fn pre_commit_at_the_end_of_a_merge() {
    let sandbox = hooked(&[]);
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("README", "side\n");
    assert_passes(&commit(&sandbox, &[]));
    sandbox.git(&["checkout", "-q", "-"]);
    sandbox.write("README", "main\n");
    assert_passes(&commit(&sandbox, &[]));
    assert_ne!(sandbox.try_git(&["merge", "-q", "side"]).code, Some(0), "a conflict");
    sandbox.write("README", &format!("both\n{PAIR}"));
    assert_blocked(&commit(&sandbox, &[]), "commit");
    sandbox.write("README", "both\n");
    assert_passes(&commit(&sandbox, &[]));
}

#[test]
fn a_merge_without_conflicts_is_looked_at_too() {
    let sandbox = hooked(&[]);
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("a.env", PAIR);
    sandbox.git(&["add", "."]);
    sandbox.git(&["commit", "-q", "--no-verify", "-m", "A key"]);
    sandbox.git(&["checkout", "-q", "-"]);
    sandbox.write("b.txt", "x\n");
    assert_passes(&commit(&sandbox, &[]));
    assert_blocked(&sandbox.try_git(&["merge", "-q", "--no-ff", "-m", "x", "side"]), "commit");
    sandbox.git(&["merge", "--abort"]);
    assert_passes(&sandbox.try_git(&["merge", "-q", "--no-ff", "--no-verify", "-m", "x", "side"]));
}

#[test]
fn only_what_is_staged_can_let_a_key_through() {
    let allow = "[[allow]]\npaths = [\"*.env\"]\n";
    let sandbox = hooked(&[]);
    sandbox.write_bytes("keyspill.toml", allow.as_bytes());
    sandbox.write("a.env", PAIR);
    sandbox.git(&["add", "a.env"]);
    let run = sandbox.try_git(&["commit", "-q", "-m", "x"]);
    assert_blocked(&run, "commit");
    assert!(run.stderr.contains("keyspill.toml is ignored: its current content is not staged"), "{}", run.stderr);
    // A different version is staged.
    sandbox.write_bytes("keyspill.toml", b"");
    sandbox.git(&["add", "keyspill.toml"]);
    sandbox.write_bytes("keyspill.toml", allow.as_bytes());
    assert_blocked(&sandbox.try_git(&["commit", "-q", "-m", "x"]), "commit");
    sandbox.git(&["add", "keyspill.toml"]);
    assert_passes(&sandbox.try_git(&["commit", "-q", "-m", "x"]));

    let sandbox = hooked(&[]);
    sandbox.write("a.env", PAIR);
    assert_eq!(sandbox.run(&["baseline", "create"]).code, Some(0));
    sandbox.git(&["add", "a.env"]);
    assert_blocked(&sandbox.try_git(&["commit", "-q", "-m", "x"]), "commit");
    assert_eq!(sandbox.run(&["scan", "--staged"]).code, Some(1), "outside a hook, too");
    sandbox.git(&["add", "keyspill-baseline.toml"]);
    assert_passes(&sandbox.try_git(&["commit", "-q", "-m", "x"]));
    // The same for included files.
    let sandbox = hooked(&[]);
    sandbox.write_bytes("keyspill.toml", b"include = [\"more.toml\"]\n");
    sandbox.write_bytes("more.toml", allow.as_bytes());
    sandbox.write("a.env", PAIR);
    sandbox.git(&["add", "a.env", "keyspill.toml"]);
    let run = sandbox.try_git(&["commit", "-q", "-m", "x"]);
    assert!(run.code != Some(0) && run.stderr.contains("more.toml: it is included"), "{}", run.stderr);
}

#[test]
fn a_ref_that_somebody_made_up_hides_nothing_from_a_push() {
    let (sandbox, _remote) = pushing(&["--pre-push"]);
    sandbox.write("a.env", PAIR);
    sandbox.commit(2, "A key");
    sandbox.git(&["update-ref", "refs/remotes/origin/x", "HEAD"]);
    assert_blocked(&sandbox.try_git(&["push", "-q", "origin", "HEAD:main"]), "push");
    sandbox.git(&["pack-refs", "--all"]);
    assert_blocked(&sandbox.try_git(&["push", "-q", "origin", "HEAD:main"]), "push");
    // What git itself has transferred counts as known.
    assert_passes(&sandbox.try_git(&["push", "-q", "--no-verify", "origin", "HEAD:refs/heads/y"]));
    assert_passes(&sandbox.try_git(&["push", "-q", "origin", "HEAD:main"]));
    sandbox.write("b.env", "{{akia b}} {{secret b}}\n");
    sandbox.commit(3, "Another key");
    assert_blocked(&sandbox.try_git(&["push", "-q", "origin", "HEAD:main"]), "push");
}

/// The settings that git would use determine where hooks go.
#[test]
fn hooks_go_where_the_environment_sends_git() {
    let sandbox = Sandbox::new();
    sandbox.init();
    let own = sandbox.path().join("own-hooks");
    let settings = sandbox.write_bytes("settings", format!("[core]\n\thooksPath = {}\n", own.display()).as_bytes());
    let settings = settings.to_str().expect("UTF-8");
    for (name, others) in [("GIT_CONFIG_GLOBAL", vec![]), ("GIT_CONFIG_SYSTEM", vec![("GIT_CONFIG_NOSYSTEM", "0")])] {
        let environment = [vec![(name, settings)], others].concat();
        let status = sandbox.run_in(&environment, &["hook", "status"]);
        assert!(status.stdout.contains(&format!("hooks are in {}", own.display())), "{name}: {}", status.stdout);
        let run = sandbox.run_in(&environment, &["hook", "install"]);
        assert!(run.code == Some(2) && run.stderr.contains("use --global"), "{name}: {}", run.stderr);
    }
    let empty = if cfg!(windows) { "NUL" } else { "/dev/null" };
    sandbox.git(&["config", "--global", "core.hooksPath", "elsewhere"]);
    assert_eq!(sandbox.run_in(&[("GIT_CONFIG_GLOBAL", empty)], &["hook", "install"]).code, Some(0));
    assert!(sandbox.path().join(".git/hooks/pre-commit").is_file());
}

#[test]
fn status_tells_of_hooks_for_all_repositories() {
    let sandbox = Sandbox::new();
    sandbox.init();
    assert!(sandbox.run(&["hook", "status"]).stdout.contains("pre-commit: not installed"));
    assert_eq!(sandbox.run(&["hook", "install", "--global"]).code, Some(0));
    let status = sandbox.run(&["hook", "status"]);
    for kind in ["pre-commit", "pre-merge-commit"] {
        let line = format!("{kind}: installed for all repositories, with ");
        assert!(status.code == Some(0) && status.stdout.contains(&line), "{}", status.stdout);
    }
    assert!(status.stdout.contains("pre-push: not installed"), "{}", status.stdout);
}

/// Hooks of the pre-commit framework get file names, which may look like options.
#[test]
fn the_frameworks_hooks_take_names_of_files_for_nothing_else() {
    let hooks = include_str!("../../.pre-commit-hooks.yaml");
    let entries: Vec<&str> = hooks.split("- id: ").skip(1).collect();
    assert_eq!(entries.len(), 7);
    for hook in entries {
        let entry = hook.lines().find_map(|line| line.trim().strip_prefix("entry: keyspill ")).expect("an entry");
        assert!(entry.ends_with(" --") || hook.contains("pass_filenames: false"), "{hook}");
        let words: Vec<&str> = entry.split(' ').collect();
        if words.contains(&"pre-push") || words.contains(&"commit-msg") {
            continue;
        }
        for name in ["--help", "--output=x", "a.env"] {
            let sandbox = hooked(&[]);
            sandbox.write(name, PAIR);
            sandbox.write_bytes("x", b"kept");
            sandbox.git(&["add", "."]);
            let run = sandbox.run(&[&words[..], &[name]].concat());
            assert_eq!(run.code, Some(1), "{entry} {name}: {}{}", run.stdout, run.stderr);
            assert_eq!(sandbox.read("x"), "kept");
            // Nothing is staged: `pre-commit run --all-files`.
            sandbox.git(&["commit", "-q", "--no-verify", "-m", "x"]);
            assert_eq!(sandbox.run(&[&words[..], &[name]].concat()).code, Some(1), "{entry} {name}: all files");
            assert_eq!(sandbox.run(&[&words[..], &["README"]].concat()).code, Some(0), "{entry}: another file");
        }
    }
    // The environment says what is pushed.
    let sandbox = hooked(&["--pre-push"]);
    sandbox.write("a.env", PAIR);
    sandbox.commit(2, "A key");
    for (environment, code) in [
        (&[("PRE_COMMIT", "1"), ("PRE_COMMIT_TO_REF", "HEAD")][..], 1),
        (&[("PRE_COMMIT", "1"), ("PRE_COMMIT_TO_REF", "HEAD~")], 0),
        (&[("PRE_COMMIT", "1")], 1),
    ] {
        let run = sandbox.run_in(environment, &["hook", "run", "pre-push"]);
        assert_eq!(run.code, Some(code), "{environment:?}: {}", run.stderr);
    }
}

#[test]
fn commit_msg() {
    let sandbox = hooked(&["--commit-msg"]);
    sandbox.write("a.txt", "x\n");
    sandbox.git(&["add", "."]);
    let (id, secret) = (crate::support::expand("{{akia}}").text, crate::support::expand("{{secret}}").text);
    let run = sandbox.try_git(&["commit", "-q", "-m", &format!("Use {id} with {secret}")]);
    assert_blocked(&run, "commit");
    assert!(run.stderr.contains("commit message:1"), "{}", run.stderr);
    assert_passes(&sandbox.try_git(&["commit", "-q", "-m", "Use another key"]));
}

/// A repository with hooks and a remote that has its first commit.
fn pushing(kinds: &[&str]) -> (Sandbox, Sandbox) {
    let remote = Sandbox::new();
    remote.git(&["init", "-q", "--bare", "."]);
    let sandbox = hooked(kinds);
    sandbox.git(&["remote", "add", "origin", remote.path().to_str().expect("UTF-8")]);
    assert_passes(&sandbox.try_git(&["push", "-q", "origin", "HEAD:main"]));
    (sandbox, remote)
}

#[test]
fn pre_push() {
    let (sandbox, _remote) = pushing(&["--pre-push"]);
    sandbox.write("a.env", PAIR);
    sandbox.commit(2, "A key");
    sandbox.write_bytes("a.env", b"");
    sandbox.commit(3, "Take it out");
    let run = sandbox.try_git(&["push", "-q", "origin", "HEAD:main"]);
    assert_blocked(&run, "push");
    assert!(run.stderr.contains("a.env:1") && run.stderr.contains("git push --no-verify"), "{}", run.stderr);
    assert_blocked(&sandbox.try_git(&["push", "-q", "origin", "HEAD:refs/heads/new"]), "push");
    assert_passes(&sandbox.try_git(&["push", "-q", "--no-verify", "origin", "HEAD:main"]));
    // What the remote already has is not scanned again.
    sandbox.write("b.txt", "x\n");
    sandbox.commit(4, "Something else");
    assert_passes(&sandbox.try_git(&["push", "-q", "origin", "HEAD:main"]));
    assert_passes(&sandbox.try_git(&["push", "-q", "origin", "HEAD:refs/heads/new"]));
    assert_passes(&sandbox.try_git(&["push", "-q", "origin", ":new"]));
    // Forced, after a rebase.
    sandbox.git(&["reset", "-q", "--hard", "HEAD~1"]);
    sandbox.write("c.env", "{{akia c}} {{secret c}}\n");
    sandbox.commit(5, "Another key");
    let run = sandbox.try_git(&["push", "-q", "--force", "origin", "HEAD:main"]);
    assert_blocked(&run, "push");
    assert!(run.stderr.contains("c.env:1"), "{}", run.stderr);
    sandbox.write_bytes("c.env", b"fine\n");
    sandbox.git_on(6, &["commit", "-q", "-a", "--amend", "-m", "No key"]);
    assert_passes(&sandbox.try_git(&["push", "-q", "--force", "origin", "HEAD:main"]));
    // A tag, and its message.
    let text = crate::support::expand("release {{akia t}} {{secret t}}").text;
    sandbox.git(&["tag", "-a", "v1", "-m", &text]);
    assert_blocked(&sandbox.try_git(&["push", "-q", "origin", "v1"]), "push");
    sandbox.git(&["tag", "-a", "v2", "-m", "fine"]);
    assert_passes(&sandbox.try_git(&["push", "-q", "origin", "v2"]));
    assert_passes(&sandbox.try_git(&["push", "-q", "origin", ":v2"]));
}

#[test]
fn pre_push_to_an_empty_remote_looks_at_everything() {
    let (sandbox, _) = pushing(&["--pre-push"]);
    sandbox.write("a.env", PAIR);
    sandbox.commit(2, "A key");
    let empty = Sandbox::new();
    empty.git(&["init", "-q", "--bare", "."]);
    let url = empty.path().to_str().expect("UTF-8");
    assert_blocked(&sandbox.try_git(&["push", "-q", url, "HEAD:main"]), "push");
    sandbox.git(&["reset", "-q", "--hard", "HEAD~1"]);
    sandbox.write_bytes("keyspill.toml", b"fail_on = 3\n");
    sandbox.git(&["add", "keyspill.toml"]);
    let broken = sandbox.try_git(&["push", "-q", url, "HEAD:main"]);
    assert!(
        broken.code != Some(0) && broken.stderr.contains("is not a valid configuration: line 1"),
        "{}",
        broken.stderr
    );
}

#[test]
fn pre_receive() {
    let remote = Sandbox::new();
    remote.git(&["init", "-q", "--bare", "."]);
    assert_eq!(remote.run(&["hook", "install", "--pre-receive"]).code, Some(0));
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.txt", "x\n");
    sandbox.commit(1, "First");
    let url = remote.path().to_str().expect("UTF-8").to_owned();
    let push = |args: &[&str]| sandbox.try_git(&[&["push", "-q", &url], args].concat());
    let assert_refused = |run: Run| {
        assert_ne!(run.code, Some(0));
        assert!(run.stderr.contains("remote: keyspill stopped the push: found an AWS key"), "{}", run.stderr);
    };
    assert_eq!(push(&["HEAD:main"]).code, Some(0));
    sandbox.write("a.env", PAIR);
    // The pusher's own configuration does not apply on a server.
    sandbox.write_bytes("keyspill.toml", b"[[allow]]\npaths = [\"*\"]\n");
    sandbox.commit(2, "A key");
    assert_refused(push(&["HEAD:main"]));
    assert_refused(push(&["HEAD:refs/heads/new"]));
    assert_refused(push(&["--force", "HEAD:main"]));
    sandbox.git(&["tag", "v1"]);
    assert_refused(push(&["v1"]));
    sandbox.git(&["reset", "-q", "--hard", "HEAD~1"]);
    sandbox.write("b.txt", "x\n");
    sandbox.commit(3, "No key");
    assert_eq!(push(&["HEAD:main"]).code, Some(0));
    assert_eq!(push(&["HEAD:refs/heads/new"]).code, Some(0));
    assert_eq!(push(&[":new"]).code, Some(0));
    sandbox.write("allowed.env", "{{akia}}  # {{allow}} an old one\n");
    sandbox.commit(4, "An allowed key");
    assert_eq!(push(&["HEAD:main"]).code, Some(0));
}

#[test]
fn a_hook_without_its_binary_lets_nothing_through_unless_told() {
    for kind in ["--pre-commit", "--pre-push", "--commit-msg"] {
        for lenient in [false, true] {
            let (sandbox, _remote) = pushing(if lenient { &["--pre-commit", "--lenient"] } else { &["--pre-commit"] });
            let args: &[&str] =
                if lenient { &["hook", "install", kind, "--lenient"] } else { &["hook", "install", kind] };
            assert_eq!(sandbox.run(args).code, Some(0));
            let hooks = sandbox.path().join(".git/hooks");
            for name in ["pre-commit", "pre-push", "commit-msg"] {
                let Ok(text) = std::fs::read_to_string(hooks.join(name)) else { continue };
                std::fs::write(hooks.join(name), text.replace(env!("CARGO_BIN_EXE_keyspill"), "/nowhere/keyspill"))
                    .expect("ours");
            }
            sandbox.write("x.txt", "x\n");
            sandbox.git(&["add", "."]);
            let run = match kind {
                "--pre-push" => {
                    sandbox.git_on(2, &["commit", "-q", "--no-verify", "-m", "x"]);
                    sandbox.try_git(&["push", "-q", "origin", "HEAD:main"])
                }
                _ => sandbox.try_git(&["commit", "-q", "-m", "x"]),
            };
            assert_eq!(run.code == Some(0), lenient, "{kind}: {}", run.stderr);
            assert!(run.stderr.contains("keyspill is neither at /nowhere/keyspill nor in PATH"), "{}", run.stderr);
            let status = sandbox.run(&["hook", "status"]);
            assert_eq!(status.code, Some(2));
            assert!(status.stdout.contains("/nowhere/keyspill no longer exists"), "{}", status.stdout);
        }
    }
}

#[cfg(unix)]
#[test]
fn hooks_that_are_there_run_first_and_come_back() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.init();
    let hook = sandbox.path().join(".git/hooks/pre-commit");
    std::fs::create_dir_all(hook.parent().expect("a directory")).expect("ours");
    std::fs::write(&hook, "#!/bin/sh\necho before >> \"$(git rev-parse --git-dir)/log\"\n[ ! -e fail ]\n")
        .expect("a hook");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("ours");
    for _ in 0..2 {
        assert_eq!(sandbox.run(&["hook", "install"]).code, Some(0), "installing twice is like installing once");
    }
    sandbox.write("a.txt", "x\n");
    assert_passes(&commit(&sandbox, &[]));
    assert_eq!(std::fs::read_to_string(sandbox.path().join(".git/log")).expect("it ran"), "before\n");
    sandbox.write("fail", "x\n");
    assert_ne!(commit(&sandbox, &[]).code, Some(0), "its failure counts");
    std::fs::remove_file(sandbox.path().join("fail")).expect("ours");
    assert_eq!(sandbox.run(&["hook", "uninstall"]).code, Some(0));
    assert!(std::fs::read_to_string(&hook).expect("the old one").contains("echo before"));
    assert!(sandbox.run(&["hook", "status"]).stdout.contains("pre-commit: not installed; there is another hook"));
    assert_eq!(sandbox.run(&["hook", "uninstall"]).code, Some(0), "there is nothing left to do");
}

#[test]
fn hooks_go_where_git_and_its_managers_look() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.git(&["config", "core.hooksPath", "own-hooks"]);
    assert_eq!(sandbox.run(&["hook", "install"]).code, Some(0));
    assert!(sandbox.path().join("own-hooks/pre-commit").is_file());
    sandbox.write("a.env", PAIR);
    // Somebody else who gets the file may not have keyspill.
    let run = commit(&sandbox, &[]);
    assert_ne!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stderr.contains("keyspill is not in PATH; nothing was scanned, so the hook fails"), "{}", run.stderr);
    assert!(!sandbox.read("own-hooks/pre-commit").contains("keyspill='"), "no machine's path is in a shared file");
    assert_eq!(sandbox.run(&["hook", "uninstall"]).code, Some(0));
    assert!(!sandbox.path().join("own-hooks/pre-commit").exists());
    // Whatever was there is kept as it is.
    let compiled = b"\x7fELF\xff\0 not text";
    sandbox.write_bytes("own-hooks/pre-commit", compiled);
    assert_eq!(sandbox.run(&["hook", "install"]).code, Some(0));
    assert_eq!(sandbox.run(&["hook", "uninstall"]).code, Some(0));
    assert_eq!(std::fs::read(sandbox.path().join("own-hooks/pre-commit")).expect("a hook"), compiled);

    let husky = Sandbox::new();
    husky.init();
    husky.git(&["config", "core.hooksPath", ".husky/_"]);
    husky.write(".husky/_/pre-commit", "#!/bin/sh\n. \"$(dirname \"$0\")/h\"\n");
    husky.write(".husky/pre-commit", "npm test\n");
    for _ in 0..2 {
        assert_eq!(husky.run(&["hook", "install"]).code, Some(0));
    }
    let text = husky.read(".husky/pre-commit");
    assert!(
        text.starts_with("# keyspill hook: start\n") && text.ends_with("# keyspill hook: end\nnpm test\n"),
        "{text}"
    );
    assert_eq!(text.matches("hook run pre-commit").count(), 1, "{text}");
    assert_eq!(husky.run(&["hook", "uninstall"]).code, Some(0));
    assert_eq!(husky.read(".husky/pre-commit"), "npm test\n");

    let lefthook = Sandbox::new();
    lefthook.init();
    lefthook.write(".git/hooks/pre-commit", "#!/bin/sh\ncall_lefthook run pre-commit\n");
    let run = lefthook.run(&["hook", "install"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("add this to lefthook.yml"), "{}", run.stderr);
    assert!(!run.stderr.contains("use_stdin"), "{}", run.stderr);
    lefthook.write(".git/hooks/pre-push", "#!/bin/sh\ncall_lefthook run pre-push\n");
    // Without it, lefthook gives a command no input.
    let run = lefthook.run(&["hook", "install", "--pre-push"]);
    assert!(run.stderr.contains("run: keyspill hook run pre-push {0}\n      use_stdin: true"), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn a_hook_that_asks_for_its_name_still_gets_it() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write(
        ".git/hooks/pre-commit",
        "#!/bin/sh\ncase \"$(basename \"$0\")\" in pre-commit) exit 7 ;; *) exit 0 ;; esac\n",
    );
    use std::os::unix::fs::PermissionsExt;
    let file = sandbox.path().join(".git/hooks/pre-commit");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("ours");
    assert_eq!(sandbox.run(&["hook", "install"]).code, Some(0));
    sandbox.write("a.txt", "x\n");
    assert_ne!(commit(&sandbox, &[]).code, Some(0), "it fails under its own name");
    // A dangling symbolic link is kept as it is.
    let other = Sandbox::new();
    other.init();
    std::os::unix::fs::symlink("../../tools/gone", other.path().join(".git/hooks/pre-commit")).expect("ours");
    assert_eq!(other.run(&["hook", "install"]).code, Some(0));
    assert!(!other.path().join("tools").exists());
    assert_eq!(other.run(&["hook", "uninstall"]).code, Some(0));
    assert!(other.path().join(".git/hooks/pre-commit").symlink_metadata().is_ok_and(|facts| facts.is_symlink()));
}

#[test]
fn a_hook_of_one_repository_and_one_for_all_do_not_meet() {
    let sandbox = Sandbox::new();
    sandbox.init();
    assert_eq!(sandbox.run(&["hook", "install", "--global"]).code, Some(0));
    assert_eq!(sandbox.run(&["hook", "install", "--commit-msg"]).code, Some(0));
    assert!(sandbox.path().join(".git/hooks/commit-msg").is_file(), "in the repository; the global hooks call it");
    let status = sandbox.run(&["hook", "status"]);
    assert_eq!(status.code, Some(0), "{}", status.stdout);
    assert_eq!(sandbox.run(&["hook", "uninstall"]).code, Some(0));
    sandbox.write("a.env", PAIR);
    sandbox.git(&["add", "a.env"]);
    assert_blocked(&sandbox.try_git(&["commit", "-q", "-m", "x"]), "commit");
    assert_eq!(sandbox.run(&["hook", "uninstall", "--global"]).code, Some(0));
    sandbox.git(&["config", "--global", "core.hooksPath", ".githooks"]);
    let run = sandbox.run(&["hook", "install", "--global"]);
    assert!(run.code == Some(2) && run.stderr.contains("differs for each repository"), "{}", run.stderr);
    sandbox.git(&["config", "--global", "core.hooksPath", sandbox.path().join("mine").to_str().expect("UTF-8")]);
    let run = sandbox.run(&["hook", "install"]);
    assert!(run.code == Some(2) && run.stderr.contains("use --global"), "{}", run.stderr);
}

#[test]
fn what_git_only_shows_below_a_message_is_not_the_message() {
    let sandbox = hooked(&["--commit-msg"]);
    sandbox.write("a.env", PAIR);
    sandbox.git_on(2, &["add", "."]);
    sandbox.git_on(2, &["commit", "-q", "--no-verify", "-m", "A key"]);
    sandbox.write("a.env", "fine\n");
    sandbox.git(&["add", "."]);
    // An editor that just adds a line.
    sandbox.git(&["config", "core.editor", "sed -i 1iTake-it-out"]);
    for mark in ["#", ";"] {
        sandbox.git(&["config", "core.commentChar", mark]);
        let run = sandbox.try_git(&["commit", "-q", "-v", "--amend"]);
        assert_eq!(run.code, Some(0), "{mark}: {}", run.stderr);
    }
    let text =
        crate::support::expand("x\n# ------------------------ >8 ------------------------\n{{akia}} {{secret}}\n").text;
    sandbox.write_bytes("../message-keyspill", text.as_bytes());
    let run = sandbox.try_git(&["commit", "-q", "--allow-empty", "-F", "../message-keyspill"]);
    std::fs::remove_file(sandbox.path().join("../message-keyspill")).expect("ours");
    assert_blocked(&run, "commit");
}

#[test]
fn what_is_no_key_is_not_called_one() {
    let sandbox = hooked(&[]);
    sandbox.write("mail.sh", "echo \"$AWS_SECRET_ACCESS_KEY\" | mail -s key bob@example.com\n");
    let run = commit(&sandbox, &[]);
    assert!(
        run.code != Some(0) && run.stderr.contains("keyspill stopped the commit: there is a finding"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("mail.sh:1: Code that mails an AWS key"), "{}", run.stderr);
    assert!(run.stderr.contains("Do not send the key."), "{}", run.stderr);
    sandbox.write("mail.sh", "a={{akia}}\nb={{akia b}}\n");
    let run = commit(&sandbox, &[]);
    assert!(run.stderr.contains("keyspill stopped the commit: found 2 AWS keys"), "{}", run.stderr);
}

#[test]
fn pushes_may_be_given_as_expressions() {
    let (sandbox, _remote) = pushing(&["--pre-push"]);
    sandbox.write("b.txt", "x\n");
    sandbox.commit(2, "fix bug");
    assert_passes(&sandbox.try_git(&["push", "-q", "origin", "HEAD@{0 seconds ago}:refs/heads/x"]));
    assert_passes(&sandbox.try_git(&["push", "-q", "origin", ":/fix bug:refs/heads/y"]));
}

#[test]
fn one_hook_for_all_repositories_leaves_theirs_alone() {
    let sandbox = Sandbox::new();
    sandbox.init();
    assert_eq!(sandbox.run(&["hook", "install", "--global"]).code, Some(0));
    sandbox.write(".git/hooks/post-commit", "#!/bin/sh\ntouch \"$(git rev-parse --git-dir)/post\"\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = sandbox.path().join(".git/hooks/post-commit");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("ours");
    }
    sandbox.write("a.env", PAIR);
    sandbox.git(&["add", "a.env"]);
    assert_blocked(&sandbox.try_git(&["commit", "-q", "-m", "x"]), "commit");
    sandbox.write("a.env", "fine\n");
    sandbox.git(&["add", "a.env"]);
    assert_passes(&sandbox.try_git(&["commit", "-q", "-m", "x"]));
    assert!(sandbox.path().join(".git/post").exists(), "the repository's own hook still runs");
    assert_eq!(sandbox.run(&["hook", "uninstall", "--global"]).code, Some(0));
    sandbox.write("a.env", PAIR);
    sandbox.git(&["add", "a.env"]);
    assert_passes(&sandbox.try_git(&["commit", "-q", "-m", "x"]));
}

#[test]
fn a_rebase_is_not_stopped_by_what_it_replays_and_a_push_of_it_is() {
    let (sandbox, _remote) = pushing(&["--pre-push"]);
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("a.env", PAIR);
    sandbox.commit(2, "A key");
    sandbox.git(&["checkout", "-q", "-"]);
    sandbox.write("b.txt", "x\n");
    sandbox.commit(3, "Main goes on");
    sandbox.git_on(4, &["rebase", "-q", "HEAD", "side"]);
    assert_blocked(&sandbox.try_git(&["push", "-q", "origin", "side"]), "push");
}

/// The expected result of an action under a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passes,
    /// Because of a key.
    Stopped,
    /// With this message.
    Fails(&'static str),
}
use Fate::{Fails, Passes, Stopped};

/// A repository with a hook of one kind, and a remote that has the first commit.
struct World {
    kind: &'static str,
    here: Sandbox,
    remote: Sandbox,
    /// Where git is run: the repository, or a worktree or submodule of it.
    dir: String,
}

impl World {
    fn new(kind: &'static str, is_born: bool) -> Self {
        let (here, remote) = (Sandbox::new(), Sandbox::new());
        remote.git(&["init", "-q", "--bare", "."]);
        here.init();
        here.git(&["remote", "add", "origin", remote.path().to_str().expect("UTF-8")]);
        if is_born {
            here.write("README", "x\n");
            here.commit(1, "First");
            here.git(&["push", "-q", "origin", "HEAD:refs/heads/main"]);
        }
        let owner = if kind == "pre-receive" { &remote } else { &here };
        assert_eq!(owner.run(&["hook", "install", &format!("--{kind}")]).code, Some(0));
        Self { kind, here, remote, dir: ".".into() }
    }

    fn put(&self, name: &str, template: &str) {
        self.here.write(&format!("{}/{name}", self.dir), template);
    }

    fn git(&self, args: &[&str]) -> Run {
        self.here.try_git(&[&["-C", &self.dir], args].concat())
    }

    /// Commits everything, bypassing commit hooks.
    fn record(&self) {
        self.git(&["add", "--all", "."]);
        assert_eq!(self.git(&["commit", "-q", "--no-verify", "-m", "x"]).code, Some(0));
    }

    /// Triggers the hook: commits everything, or commits and pushes it.
    fn act(&self) -> Run {
        if self.kind == "pre-commit" {
            self.git(&["add", "--all", "."]);
            return self.git(&["commit", "-q", "-m", "x"]);
        }
        if !self.git(&["status", "--porcelain"]).stdout.is_empty() {
            self.record();
        }
        self.push(&["HEAD:refs/heads/topic"])
    }

    fn push(&self, args: &[&str]) -> Run {
        let url = self.remote.path().to_str().expect("UTF-8").to_owned();
        let to = if self.dir == "." { "origin" } else { &url };
        self.git(&[&["push", "-q", to], args].concat())
    }

    /// The script of the hook.
    fn script(&self) -> std::path::PathBuf {
        let owner =
            if self.kind == "pre-receive" { self.remote.path().to_owned() } else { self.here.path().join(".git") };
        owner.join("hooks").join(self.kind)
    }

    #[track_caller]
    fn assert(&self, what: &str, run: &Run, fate: Fate) {
        let context = format!("{} / {what}: {:?} {}{}", self.kind, run.code, run.stdout, run.stderr);
        match fate {
            Passes => assert_eq!(run.code, Some(0), "{context}"),
            Stopped => {
                let action = if self.kind == "pre-commit" { "commit" } else { "push" };
                let words = format!("keyspill stopped the {action}: found an AWS key");
                assert!(run.code != Some(0) && run.stderr.contains(&words), "{context}");
            }
            Fails(words) => assert!(run.code != Some(0) && run.stderr.contains(words), "{context}"),
        }
    }
}

#[test]
fn every_hook_in_every_situation() {
    for kind in ["pre-commit", "pre-push", "pre-receive"] {
        // A server ignores what the pusher's own files allow.
        let own = |fate: Fate, on_server: Fate| if kind == "pre-receive" { on_server } else { fate };

        let world = World::new(kind, true);
        world.put("a.txt", "fine\n");
        world.assert("clean", &world.act(), Passes);

        let world = World::new(kind, true);
        world.put("a.env", PAIR);
        world.assert("leak", &world.act(), Stopped);

        let world = World::new(kind, true);
        world.put("a.env", "{{akia}}  # {{allow}} revoked\n");
        world.assert("allowed", &world.act(), Passes);

        let world = World::new(kind, true);
        world.put("a.env", PAIR);
        assert_eq!(world.here.run(&["baseline", "create"]).code, Some(0));
        world.assert("baseline", &world.act(), own(Passes, Stopped));

        let world = World::new(kind, true);
        world.put("keyspill.toml", "nonsense = 1\n");
        world.put("a.txt", "fine\n");
        world.assert("broken configuration", &world.act(), own(Fails("unknown key `nonsense`"), Passes));

        let world = World::new(kind, true);
        let text = std::fs::read_to_string(world.script()).expect("the hook");
        std::fs::write(world.script(), text.replace(env!("CARGO_BIN_EXE_keyspill"), "/nowhere/keyspill"))
            .expect("ours");
        world.put("a.txt", "fine\n");
        world.assert("missing binary", &world.act(), Fails("keyspill is neither at /nowhere/keyspill nor in PATH"));

        let world = World::new(kind, false);
        world.put("a.env", PAIR);
        world.assert("unborn branch", &world.act(), Stopped);
        let world = World::new(kind, false);
        world.put("a.txt", "fine\n");
        world.assert("unborn branch, clean", &world.act(), Passes);

        // The key comes in with the merge itself.
        let world = World::new(kind, true);
        world.git(&["checkout", "-q", "-b", "side"]);
        world.put("README", "side\n");
        world.record();
        world.git(&["checkout", "-q", "-"]);
        world.put("README", "main\n");
        world.record();
        assert_ne!(world.git(&["merge", "-q", "--no-verify", "side"]).code, Some(0), "a conflict");
        world.put("README", &format!("both\n{PAIR}"));
        world.assert("merge", &world.act(), Stopped);

        // git does not run pre-commit hooks while it replays commits.
        let world = World::new(kind, true);
        world.git(&["checkout", "-q", "-b", "side"]);
        world.put("a.env", PAIR);
        world.record();
        world.git(&["checkout", "-q", "-"]);
        world.put("b.txt", "x\n");
        world.record();
        assert_eq!(world.git(&["rebase", "-q", "HEAD", "side"]).code, Some(0));
        if kind == "pre-commit" {
            world.put("c.txt", "fine\n");
            world.assert("rebase", &world.act(), Passes);
        } else {
            world.assert("rebase", &world.act(), Stopped);
        }

        let world = World::new(kind, true);
        world.git(&["worktree", "add", "-q", "linked", "-b", "linked"]);
        world.here.write(".git/info/exclude", "linked\n");
        let world = World { dir: "linked".into(), ..world };
        world.put("a.env", PAIR);
        world.assert("worktree", &world.act(), Stopped);
        world.put("a.env", "fine\n");
        if kind == "pre-commit" {
            world.assert("worktree, clean", &world.act(), Passes);
        }

        if kind != "pre-commit" {
            let world = World::new(kind, true);
            world.put("a.env", PAIR);
            world.record();
            world.git(&["tag", "light"]);
            world.git(&["tag", "-a", "full", "-m", "x"]);
            world.assert("tag", &world.push(&["light"]), Stopped);
            world.assert("annotated tag", &world.push(&["full"]), Stopped);
            world.git(&["reset", "-q", "--hard", "HEAD~1"]);
            world.put("b.txt", "x\n");
            world.record();
            world.assert("forced push, clean", &world.push(&["--force", "HEAD:main"]), Passes);
            world.git(&["reset", "-q", "--hard", "HEAD~1"]);
            world.put("c.env", PAIR);
            world.record();
            world.assert("forced push", &world.push(&["--force", "HEAD:main"]), Stopped);
            world.assert("another branch", &world.push(&["HEAD~1:refs/heads/other"]), Passes);
            world.assert("deletion", &world.push(&["--delete", "other"]), Passes);
        }
    }
    // In a submodule, the submodule's own hook runs.
    for kind in ["pre-commit", "pre-push"] {
        let inner = World::new("pre-commit", true);
        let outer = World::new(kind, true);
        let url = inner.here.path().to_str().expect("UTF-8").to_owned();
        outer.here.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "sub"]);
        let binary = env!("CARGO_BIN_EXE_keyspill");
        let dir = outer.here.path().join("sub");
        let install = Command::new(binary).args(["hook", "install", &format!("--{kind}")]).current_dir(&dir).output();
        assert!(install.expect("it runs").status.success());
        let world = World { dir: "sub".into(), ..outer };
        world.put("a.env", PAIR);
        world.assert("submodule", &world.act(), Stopped);
    }
}

#[cfg(unix)]
#[test]
fn a_hook_that_git_ignores_is_not_installed() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.init();
    assert_eq!(sandbox.run(&["hook", "install"]).code, Some(0));
    assert_eq!(sandbox.run(&["hook", "status", "--check"]).code, Some(0));
    let hook = sandbox.path().join(".git/hooks/pre-commit");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let run = sandbox.run(&["hook", "status", "--check"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("installed, but not executable, so git ignores it"), "{}", run.stdout);
}
