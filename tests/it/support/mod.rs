//! Running the built binary in a temporary directory.

pub mod browser;

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub use keyspill::internals::rule::example::expand;

/// The schema of the JSON report, with objects complete: readers must allow fields that they do not know, but a test must
/// not. A line of JSON Lines is made of parts, which cannot be complete each.
pub fn report_schema() -> serde_json::Value {
    fn complete(schema: &mut serde_json::Value) {
        if let Some(object) = schema.as_object_mut() {
            if object.contains_key("properties") {
                object.entry("additionalProperties").or_insert(false.into());
            }
            object
                .iter_mut()
                .filter(|(name, _)| *name != "summary" && *name != "line")
                .for_each(|(_, part)| complete(part));
        }
        schema.as_array_mut().into_iter().flatten().for_each(complete);
    }
    let text = include_str!("../../../schemas/report-2.schema.json");
    let mut schema = serde_json::from_str(text).expect("the schema is JSON");
    complete(&mut schema);
    schema
}

/// Says that something was not tried, and how often so far: the last of these lines has the count. It is written past the
/// test harness, which shows nothing of what a passing test prints.
pub fn skipped(why: &str) {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
    _ = writeln!(std::io::stderr(), "\nskipped {count} so far: {why}");
}

/// Limits for scanning a hostile file: address space and stack in KiB, time in seconds.
pub const MEMORY: u32 = 1 << 20;
pub const STACK: u32 = 1 << 10;
pub const SECONDS: u32 = 20;

/// A temporary directory to scan.
pub struct Sandbox {
    dir: tempfile::TempDir,
}

/// The result of a run.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// A repository whose names, people and messages are hostile.
    pub fn hostile() -> Self {
        let sandbox = Sandbox::new();
        sandbox.init();
        sandbox.write("<img src=x onerror=alert(1)>\u{1b}[31m/=1+1,\"%0A::error::.py", "{{akia}} {{secret}}\n");
        sandbox.write_bytes(
            "a.eml",
            expand("From: \"<script>alert(3)</script>\" <a@x.example>\nTo: b@y.example\nSubject: ]]></failure>\n\n{{akia}} {{secret}}\n").text.as_bytes(),
        );
        sandbox.git(&["add", "."]);
        sandbox.git(&[
            "-c",
            "user.name=\"><script>alert(2)</script>",
            "commit",
            "-q",
            "-m",
            "</pre><script>alert(4)</script>",
        ]);
        sandbox
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file whose placeholders are expanded.
    pub fn write(&self, name: &str, template: &str) -> PathBuf {
        self.write_bytes(name, expand(template).text.as_bytes())
    }

    pub fn write_bytes(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// Runs `keyspill ARGS` in the directory, without the user's settings.
    pub fn run(&self, args: &[&str]) -> Run {
        self.run_with_input(args, b"")
    }

    /// The same with additional environment variables.
    pub fn run_in(&self, environment: &[(&str, &str)], args: &[&str]) -> Run {
        let mut command = self.command(env!("CARGO_BIN_EXE_keyspill"));
        command.envs(environment.iter().copied()).args(args);
        Run::of(command.output().expect("the binary starts"))
    }

    pub fn run_with_input(&self, args: &[&str], input: &[u8]) -> Run {
        let mut child = self
            .command(env!("CARGO_BIN_EXE_keyspill"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        child.stdin.take().expect("piped").write_all(input).expect("input is read");
        Run::of(child.wait_with_output().expect("it ends"))
    }

    /// Runs `keyspill ARGS` with limited memory, stack and time, as for a hostile file. A timeout exits with 124.
    #[cfg(unix)]
    pub fn run_limited(&self, args: &[&str]) -> Run {
        let script = format!("ulimit -v {MEMORY}; ulimit -s {STACK}; exec timeout {SECONDS} \"$@\"");
        let mut command = self.command("bash");
        command.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_keyspill")]).args(args);
        command.env("RUST_MIN_STACK", (STACK << 10).to_string());
        Run::of(command.output().expect("bash runs"))
    }

    /// Runs `git ARGS` in the directory, and returns what it prints.
    pub fn git(&self, args: &[&str]) -> String {
        self.git_on(0, args)
    }

    /// Runs `git ARGS` as if `day` days after 2020-01-01.
    pub fn git_on(&self, day: u32, args: &[&str]) -> String {
        let moment = format!("@{} +0000", 1_577_836_800 + u64::from(day) * 86_400);
        let mut command = self.command("git");
        command.env("GIT_AUTHOR_DATE", &moment).env("GIT_COMMITTER_DATE", &moment);
        command.args(["-c", "init.defaultBranch=main", "-c", "gc.auto=0"]).args(args);
        let output = command.output().expect("git is installed");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Makes a tree from lines as printed by `git ls-tree`, and returns its object id.
    pub fn make_tree(&self, lines: &str) -> String {
        let mut command = self.command("git");
        let mut child =
            command.arg("mktree").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git is installed");
        child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("input is read");
        Run::of(child.wait_with_output().expect("it ends")).stdout.trim().to_owned()
    }

    /// Runs `git ARGS` and returns the result.
    pub fn try_git(&self, args: &[&str]) -> Run {
        let mut command = self.command("git");
        command.args(["-c", "init.defaultBranch=main", "-c", "gc.auto=0"]).args(args);
        Run::of(command.output().expect("git is installed"))
    }

    /// Reads a text file.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).expect("a text")
    }

    /// Makes the directory a repository.
    pub fn init(&self) {
        self.git(&["init", "-q", "."]);
    }

    /// Commits everything as it is, `day` days after 2020-01-01, and returns the commit's id.
    pub fn commit(&self, day: u32, message: &str) -> String {
        self.git(&["add", "--all", "."]);
        self.git_on(day, &["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).env("HOME", self.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        for name in ["XDG_CONFIG_HOME", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "GIT_DIR", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Ann Author").env(format!("GIT_{role}_EMAIL"), "ann@example.com");
        }
        // 1000 days after 2020-01-01.
        command.env("SOURCE_DATE_EPOCH", "1664236800");
        command
    }

    /// Scans with `--format json` and returns the report.
    pub fn json(&self, args: &[&str]) -> Value {
        let run = self.run(&[&["scan", "--format", "json"], args].concat());
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr))
    }
}

impl Run {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// 1-based line and column, in UTF-16 code units, of byte `offset`. Written for clarity, as a reference for tests.
pub fn line_column(text: &str, offset: usize) -> (u64, u64) {
    let before = &text[..offset];
    let line = before.matches('\n').count() as u64 + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[start..].trim_start_matches('\u{feff}').encode_utf16().count() as u64 + 1;
    (line, column)
}

/// The findings of a JSON report for the file `path`.
pub fn findings_in<'a>(report: &'a Value, path: &str) -> Vec<&'a Value> {
    let all = report["findings"].as_array().expect("findings");
    all.iter().filter(|finding| finding["path"] == path).collect()
}

/// The published schema without a pattern that is not a valid regex (for the run's language, which keyspill does not
/// write).
pub fn sarif_schema() -> jsonschema::Validator {
    let mut schema: Value =
        serde_json::from_str(include_str!("../../sarif-schema-2.1.0.json")).expect("the schema is JSON");
    for object in ["run", "toolComponent"] {
        let language =
            schema["definitions"][object]["properties"]["language"].as_object_mut().expect("the broken property");
        assert!(language.remove("pattern").is_some());
    }
    jsonschema::validator_for(&schema).expect("the schema is valid")
}
