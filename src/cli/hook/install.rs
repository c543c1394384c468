//! Installs hooks where git, or a hook manager, looks for them, and removes them.
//!
//! A hook is a small shell script, which works on Windows, too: Git for Windows includes a shell. It records the path
//! of keyspill, so that it works in programs with a different PATH.

use super::Kind;
use crate::cli::environment::environment;
use crate::cli::output;
use crate::git::repository::{Repository, with_environment, words};
use crate::report::Verdict;
use anyhow::{Context, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Marks a hook of keyspill; it is in the first lines of each.
const MARK: &str = "# keyspill hook, version 1";

/// The directory for hooks that existed before. They keep their names, since some depend on them.
const BEFORE: &str = "before-keyspill";

/// Maximum size of a hook that is read, in bytes.
const MAX_HOOK: u64 = 16 << 20;

/// Enclose what is added to a husky file.
const HUSKY_START: &str = "# keyspill hook: start";
const HUSKY_END: &str = "# keyspill hook: end";

/// The hooks that git knows. With a global core.hooksPath, git no longer runs the repositories' own hooks. Two hooks
/// are left out because their mere presence changes what git does. Source: githooks(5).
const ALL_HOOKS: [&str; 25] = [
    "applypatch-msg",
    "pre-applypatch",
    "post-applypatch",
    "pre-commit",
    "pre-merge-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-rebase",
    "post-checkout",
    "post-merge",
    "pre-push",
    "pre-receive",
    "update",
    "post-receive",
    "post-update",
    "reference-transaction",
    "pre-auto-gc",
    "post-rewrite",
    "sendemail-validate",
    "fsmonitor-watchman",
    "p4-changelist",
    "p4-prepare-changelist",
    "p4-post-changelist",
    "post-index-change",
];

/// How the hooks of a repository are organised.
enum Layout {
    /// A directory that git searches.
    Dir(PathBuf),
    /// A husky directory: husky's own scripts call the files in it.
    Husky(PathBuf),
}

pub fn install(kinds: &[Kind], global: bool, lenient: bool) -> anyhow::Result<Verdict> {
    let program = std::env::current_exe().context("cannot determine the path of keyspill")?;
    let program = program.to_str().context("the path of keyspill is not valid UTF-8; move it elsewhere")?.to_owned();
    if global {
        return install_global(kinds, &program, lenient);
    }
    match layout()? {
        Layout::Husky(dir) => {
            for kind in kinds {
                install_in_husky(&dir, *kind, lenient)?;
            }
        }
        Layout::Dir(dir) => {
            fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
            // Others get what is in the working tree, and have keyspill elsewhere.
            let program = if is_in_working_tree(&dir)? { None } else { Some(&*program) };
            if program.is_none() {
                warn_of_sharing(&dir);
            }
            for kind in kinds {
                install_in_dir(&dir, *kind, program, lenient, false)?;
            }
        }
    }
    Ok(Verdict::Clean)
}

/// True if a directory of hooks comes with the repository.
fn is_in_working_tree(dir: &Path) -> anyhow::Result<bool> {
    let repository = Repository::open(Path::new("."), environment())?;
    let is_git = dir.starts_with(repository.common_dir()) || dir.starts_with(repository.git_dir());
    Ok(!is_git && repository.work_dir().is_some_and(|tree| dir.starts_with(tree)))
}

fn warn_of_sharing(dir: &Path) {
    if !in_path("keyspill") {
        output::warning(&format!(
            "{} is shared with the repository, so its hooks call keyspill from PATH, where it is not found now",
            dir.display()
        ));
    }
}

/// The hook layout of the repository that contains the working directory.
fn layout() -> anyhow::Result<Layout> {
    let repository = Repository::open(Path::new("."), environment())?;
    let dir = repository.hooks_dir()?;
    if dir.file_name().is_some_and(|name| name == "_")
        && dir.parent().and_then(Path::file_name).is_some_and(|name| name == ".husky")
    {
        return Ok(Layout::Husky(dir.parent().unwrap_or(&dir).to_owned()));
    }
    if repository.shares_hooks() {
        // The global hooks of keyspill call those in each repository's usual directory.
        if own_dir().is_ok_and(|own| own == dir) {
            return Ok(Layout::Dir(repository.common_dir().join("hooks")));
        }
        bail!("core.hooksPath is {} for all repositories; use --global, or set it for this repository", dir.display());
    }
    Ok(Layout::Dir(dir))
}

fn install_in_dir(dir: &Path, kind: Kind, program: Option<&str>, lenient: bool, is_global: bool) -> anyhow::Result<()> {
    let file = dir.join(kind.name());
    let before = dir.join(BEFORE).join(kind.name());
    let existing = read(&file)?;
    // A dangling symbolic link counts as a hook, too: somebody put it there.
    let is_there = file.symlink_metadata().is_ok();
    if is_there && !existing.as_deref().is_some_and(is_ours) {
        if existing.as_deref().is_some_and(|text| text.contains("call_lefthook") || text.contains("lefthook run")) {
            // Without it, lefthook gives the command no input, and every push would pass.
            let input = if kind.is_fed() { "\n      use_stdin: true" } else { "" };
            let name = kind.name();
            bail!(
                "{}: lefthook overwrites this file; add this to lefthook.yml instead:\n{name}:\n  commands:\n    keyspill:\n      run: keyspill hook run {name} {{0}}{input}",
                file.display()
            );
        }
        if before.symlink_metadata().is_ok() {
            bail!("{}: an earlier hook is already saved here; remove one of the two", before.display());
        }
        fs::create_dir_all(dir.join(BEFORE))
            .with_context(|| format!("cannot create {}", dir.join(BEFORE).display()))?;
        fs::rename(&file, &before).with_context(|| format!("cannot rename {}", file.display()))?;
    }
    write(&file, &script(kind.name(), program, lenient, is_global))?;
    let chained = if before.exists() {
        format!("; the previous hook runs first, as {}", before.display())
    } else {
        String::new()
    };
    output::stdout(&format!("installed {}{chained}\n", file.display()))
}

fn install_in_husky(dir: &Path, kind: Kind, lenient: bool) -> anyhow::Result<()> {
    let file = dir.join(kind.name());
    let own = without_ours(&read(&file)?.unwrap_or_default());
    // The file is shared with people whose keyspill is elsewhere.
    let call = format!("{}{} || exit $?\n", locate(None, lenient), call(kind.name()));
    warn_of_sharing(dir);
    // Ours goes first, since the existing commands may end the script.
    let (shebang, rest) = match own.split_once('\n') {
        Some((first, rest)) if first.starts_with("#!") => (format!("{first}\n"), rest.to_owned()),
        _ => (String::new(), own),
    };
    write(&file, &format!("{shebang}{HUSKY_START}\n{call}{HUSKY_END}\n{rest}"))?;
    output::stdout(&format!("installed in {}, before the existing commands\n", file.display()))
}

fn install_global(kinds: &[Kind], program: &str, lenient: bool) -> anyhow::Result<Verdict> {
    let config = user_settings()?;
    let dir = match config.get_path("core.hooksPath") {
        Ok(dir) => dir,
        Err(_) => own_dir()?,
    };
    if dir.is_relative() {
        bail!(
            "core.hooksPath is {}, a relative path that differs for each repository; set it to an absolute path",
            dir.display()
        );
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let is_ours = dir == own_dir()?;
    for kind in kinds {
        install_in_dir(&dir, *kind, Some(program), lenient, true)?;
    }
    if is_ours {
        // Git no longer runs the repositories' own hooks, so the global ones must call them.
        for name in ALL_HOOKS.iter().filter(|name| kinds.iter().all(|kind| kind.name() != **name)) {
            if read(&dir.join(name))?.is_none() {
                write(&dir.join(name), &forwarder(name))?;
            }
        }
        let text = dir.to_str().context("the directory's name is not valid UTF-8")?;
        let set = config.open_level(git2::ConfigLevel::Global).and_then(|mut own| own.set_str("core.hooksPath", text));
        set.map_err(|error| anyhow::anyhow!("cannot set core.hooksPath: {}", words(&error)))?;
        output::stdout(&format!("core.hooksPath is now {text} for all repositories; their own hooks still run\n"))?;
    }
    Ok(Verdict::Clean)
}

/// The git configuration that applies to all repositories of this user.
fn user_settings() -> anyhow::Result<git2::Config> {
    let settings = git2::Config::open_default().and_then(|usual| with_environment(usual, environment()));
    settings.map_err(|error| anyhow::anyhow!("cannot read git's configuration: {}", words(&error)))
}

/// The directory of keyspill's hooks for all repositories.
fn own_dir() -> anyhow::Result<PathBuf> {
    Ok(environment().config_home().context("cannot find the home directory; set HOME")?.join("keyspill").join("hooks"))
}

pub fn uninstall(kinds: &[Kind], global: bool) -> anyhow::Result<Verdict> {
    if global {
        return uninstall_global();
    }
    let mut count = 0;
    match layout()? {
        Layout::Husky(dir) => {
            for kind in kinds {
                let file = dir.join(kind.name());
                let Some(text) = read(&file)?.filter(|text| text.contains(HUSKY_START)) else { continue };
                write(&file, &without_ours(&text))?;
                output::stdout(&format!("removed from {}\n", file.display()))?;
                count += 1;
            }
        }
        Layout::Dir(dir) => {
            for kind in kinds {
                count += usize::from(remove(&dir, kind.name())?);
            }
        }
    }
    if count == 0 {
        output::stdout("no keyspill hook is installed here\n")?;
    }
    Ok(Verdict::Clean)
}

fn uninstall_global() -> anyhow::Result<Verdict> {
    let config = user_settings()?;
    let own = own_dir()?;
    let dir = config.get_path("core.hooksPath").unwrap_or_else(|_| own.clone());
    for name in ALL_HOOKS {
        remove(&dir, name)?;
    }
    if dir == own && config.get_path("core.hooksPath").is_ok() {
        let unset = config.open_level(git2::ConfigLevel::Global).and_then(|mut own| own.remove("core.hooksPath"));
        unset.map_err(|error| anyhow::anyhow!("cannot unset core.hooksPath: {}", words(&error)))?;
        output::stdout("core.hooksPath is no longer set\n")?;
    }
    Ok(Verdict::Clean)
}

/// Removes a hook of keyspill and restores the previous one. False if there was none of keyspill.
fn remove(dir: &Path, name: &str) -> anyhow::Result<bool> {
    let file = dir.join(name);
    if !read(&file)?.is_some_and(|text| is_ours(&text)) {
        return Ok(false);
    }
    let before = dir.join(BEFORE).join(name);
    if before.symlink_metadata().is_ok() {
        fs::rename(&before, &file).with_context(|| format!("cannot rename {}", before.display()))?;
        // Succeeds only if it is empty.
        _ = fs::remove_dir(dir.join(BEFORE));
        output::stdout(&format!("restored the previous {}\n", file.display()))?;
    } else {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        output::stdout(&format!("removed {}\n", file.display()))?;
    }
    Ok(true)
}

/// The state of one hook.
enum State {
    Missing,
    /// There is a hook that is not from keyspill.
    Foreign,
    /// The hook would call keyspill, but git runs only what is executable.
    NotExecutable,
    /// The hook calls this program.
    Installed(String),
}

/// Shows the state of all hooks. Those that are `required` must be installed and work.
pub fn status(required: Option<Vec<Kind>>) -> anyhow::Result<Verdict> {
    let repository = Repository::open(Path::new("."), environment())?;
    // The directory that git searches, possibly one for all repositories.
    let dir = repository.hooks_dir()?;
    let (own, is_husky) = match layout() {
        Ok(Layout::Dir(own)) => (own, false),
        Ok(Layout::Husky(own)) => (own, true),
        // The global hooks are not from keyspill.
        Err(_) => (dir.clone(), false),
    };
    let is_global = !is_husky && own != dir;
    let mut works = true;
    let mut missing = false;
    for kind in Kind::ALL {
        let name = kind.name();
        let global = if is_global { state_of(&dir.join(name), false)? } else { State::Missing };
        let (state, install) = match global {
            State::Installed(_) => (global, "hook install --global"),
            _ => (state_of(&own.join(name), is_husky)?, "hook install"),
        };
        let is_working = matches!(&state, State::Installed(program) if there(program));
        missing |= !is_working && required.iter().flatten().any(|wanted| *wanted == kind);
        let line = match state {
            State::Missing => "not installed".to_owned(),
            State::Foreign => "not installed; there is another hook".to_owned(),
            State::NotExecutable => {
                works = false;
                format!(
                    "installed, but not executable, so git ignores it; run `keyspill {install} {}` again",
                    kind.option()
                )
            }
            State::Installed(program) if is_working => {
                let for_all = if install.ends_with("global") { " for all repositories" } else { "" };
                let program = if program.is_empty() { "keyspill from PATH" } else { &program };
                format!("installed{for_all}, with {program}")
            }
            State::Installed(program) if program.is_empty() => {
                works = false;
                "installed, but keyspill is not in PATH".to_owned()
            }
            State::Installed(program) => {
                works = false;
                format!("installed, but {program} no longer exists; run `keyspill {install} {}` again", kind.option())
            }
        };
        output::stdout(&format!("{name}: {line}\n"))?;
    }
    output::stdout(&format!("hooks are in {}\n", dir.display()))?;
    if is_global {
        output::stdout(&format!("hooks of this repository are in {}\n", own.display()))?;
    }
    Ok(match (works, missing) {
        (_, true) => Verdict::Findings,
        (false, false) => Verdict::Incomplete,
        (true, false) => Verdict::Clean,
    })
}

/// True if the program of a hook is there: at its path or, if it has none, in PATH.
fn there(program: &str) -> bool {
    if program.is_empty() { in_path("keyspill") } else { Path::new(program).is_file() }
}

/// True if a shell would find a program.
fn in_path(name: &str) -> bool {
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&dirs).any(|dir| dir.join(name).is_file() || dir.join(format!("{name}.exe")).is_file())
}

fn state_of(file: &Path, is_husky: bool) -> anyhow::Result<State> {
    let text = read(file)?.unwrap_or_default();
    let is_ours = if is_husky { text.contains(HUSKY_START) } else { is_ours(&text) };
    // A forwarder only calls the repository's hook, so keyspill is not installed.
    if !is_ours || !text.contains("hook run") {
        return Ok(if text.is_empty() || is_ours { State::Missing } else { State::Foreign });
    }
    // Husky's own scripts run its files with a shell.
    if !is_husky && !is_executable(file) {
        return Ok(State::NotExecutable);
    }
    let program = text.lines().find_map(|line| line.trim().strip_prefix("keyspill='")?.strip_suffix('\''));
    Ok(State::Installed(program.map(|program| program.replace(r"'\''", "'")).unwrap_or_default()))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|file| file.permissions().mode() & 0o111 != 0)
}

/// Git for Windows runs every hook that is there.
#[cfg(not(unix))]
fn is_executable(_: &Path) -> bool {
    true
}

/// The script of a hook. It runs the previous hook, then, in a global hook, the repository's own, then keyspill.
fn script(name: &str, program: Option<&str>, lenient: bool, is_global: bool) -> String {
    // Standard input can be read only once, so it is saved.
    let is_fed = Kind::ALL.iter().any(|kind| kind.name() == name && kind.is_fed());
    let (input, feed) =
        if is_fed { ("input=$(cat; echo x)\ninput=${input%x}\n", "printf '%s' \"$input\" | ") } else { ("", "") };
    let mut text = format!(
        "{HEAD}{input}before=\"${{0%/*}}/{BEFORE}/{name}\"\nif [ -x \"$before\" ]; then\n  {feed}\"$before\" \"$@\" || exit $?\nfi\n"
    );
    if is_global {
        text += &format!("{}if [ -x \"$own\" ]; then\n  {feed}\"$own\" \"$@\" || exit $?\nfi\n", own(name));
    }
    // Replace the shell if there is no input to feed.
    let start = if is_fed { feed } else { "exec " };
    text + &locate(program, lenient) + start + &call(name) + "\n"
}

/// The script of a hook that only calls the repository's own hook.
fn forwarder(name: &str) -> String {
    format!("{HEAD}{}[ -x \"$own\" ] || exit 0\nexec \"$own\" \"$@\"\n", own(name))
}

const HEAD: &str = "#!/bin/sh\n# keyspill hook, version 1. `keyspill hook uninstall` removes it.\n";

/// The lines that set the path of the repository's own hook.
fn own(name: &str) -> String {
    format!("own=$(git rev-parse --git-common-dir 2>/dev/null) || own=\nown=\"$own/hooks/{name}\"\n")
}

/// The command that calls keyspill, once it is located.
fn call(name: &str) -> String {
    format!("\"$keyspill\" hook run {name} -- \"$@\"")
}

/// The lines that locate keyspill: at its recorded path, if there is one, else in PATH.
fn locate(program: Option<&str>, lenient: bool) -> String {
    let (verb, end) = if lenient { ("warning", "  exit 0\n") } else { ("error", "  exit 1\n") };
    let hint = if lenient {
        "nothing was scanned"
    } else {
        "nothing was scanned, so the hook fails; --no-verify skips it once"
    };
    let in_path = "keyspill=$(command -v keyspill) || keyspill=\n";
    let (found, place) = match program.map(|program| program.replace('\'', r"'\''")) {
        Some(quoted) => (
            format!("keyspill='{quoted}'\n[ -x \"$keyspill\" ] || {in_path}"),
            format!("keyspill is neither at \"'{quoted}'\" nor in PATH; {hint}. Reinstall keyspill, or remove $0."),
        ),
        None => (in_path.to_owned(), format!("keyspill is not in PATH; {hint}. Install keyspill.")),
    };
    format!("{found}if [ -z \"$keyspill\" ]; then\n  echo \"keyspill: {verb}: {place}\" >&2\n{end}fi\n")
}

fn is_ours(text: &str) -> bool {
    text.lines().take(3).any(|line| line.starts_with(MARK))
}

fn without_ours(text: &str) -> String {
    match (text.find(HUSKY_START), text.find(HUSKY_END)) {
        (Some(start), Some(end)) if start < end => {
            let rest = text[end + HUSKY_END.len()..].trim_start_matches('\n');
            format!("{}{rest}", &text[..start])
        }
        _ => text.to_owned(),
    }
}

fn read(file: &Path) -> anyhow::Result<Option<String>> {
    match crate::file::read(file, MAX_HOOK) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(file, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {} executable", file.display()))?;
    }
    Ok(())
}
