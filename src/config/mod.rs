//! `keyspill.toml`: describes the organisation, and the findings that do not count for it. A file only adds to the
//! default behaviour; it cannot turn a rule off without saying where or why.

pub mod allow;
pub mod syntax;

use crate::config::allow::{Allow, Paths, Unscanned};
use crate::credential::{AccountId, Fingerprint};
use crate::environment::Environment;
use crate::file::{self, describe};
use crate::rule::{RuleSet, Selection, Severity, pack};
use crate::text::mask::{hide_long_words, name_shown};
use crate::text::toml::explain;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use syntax::{
    ALLOW_KEYS, AllowSyntax, ConfigFile, KEYS, OVERRIDE_KEYS, OverrideSyntax, UNSCANNED_KEYS, UnscannedSyntax,
};
use toml::Spanned;

/// The file's name.
pub const FILE_NAME: &str = "keyspill.toml";

/// The default name of the baseline file, in the same places.
pub const BASELINE_NAME: &str = "keyspill-baseline.toml";

/// Maximum number of included files, and maximum size of each, in bytes.
const MAX_FILES: usize = 100;
const MAX_BYTES: u64 = 4 << 20;

/// The resolved configuration, including included files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The files it was read from, the main one first.
    pub files: Vec<PathBuf>,
    /// The same files as absolute paths, including those still being read.
    pending: Vec<PathBuf>,
    /// The user's own file among them.
    user_file: Option<PathBuf>,
    /// True while the user's own file is read: its patterns apply to everything that is scanned.
    patterns_apply_anywhere: bool,
    /// The directory that it is limited to, if it was found rather than given.
    pub home: Option<PathBuf>,
    /// Mail domains of the organisation, in lower case.
    pub org_domains: Vec<String>,
    /// AWS accounts of the organisation.
    pub org_accounts: BTreeSet<AccountId>,
    /// Accounts whose keys are canaries, planted to be found, in addition to those that keyspill knows.
    pub canary_accounts: BTreeSet<AccountId>,
    /// Repositories that may share keys: parts of their URLs or paths.
    pub trusted_repos: Vec<String>,
    /// Minimum severity that fails a run, if given.
    pub fail_on: Option<Severity>,
    /// The file of accepted findings, if given.
    pub baseline: Option<PathBuf>,
    /// Which built-in rules are on.
    pub selection: Selection,
    /// Files of rules.
    pub rule_files: Vec<PathBuf>,
    /// Severity overrides by rule.
    pub severity: BTreeMap<String, Severity>,
    /// Findings that do not count.
    pub allows: Vec<Allow>,
    /// Severity overrides by path; the last match wins.
    pub overrides: Vec<Override>,
    /// What is not scanned at all.
    pub exclude: Vec<Paths>,
    /// Files that are known not to be scannable.
    pub unscanned: Vec<Unscanned>,
}

/// A severity override for some paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Which paths.
    pub paths: Paths,
    /// Which rules; all if empty.
    pub rules: Vec<String>,
    /// The severity for these paths.
    pub severity: Severity,
}

/// Why a file was rejected.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    problem: ConfigProblem,
}

impl ConfigError {
    /// What is wrong with the file.
    pub fn problem(&self) -> String {
        self.problem.to_string()
    }
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigProblem {
    /// The file cannot be read.
    #[error("cannot be read: {}", describe(.0))]
    Read(#[from] std::io::Error),
    /// It is not TOML, or has keys that are not known.
    #[error("is not a valid configuration: {0}")]
    Syntax(String),
    /// A value cannot be used.
    #[error("{0}")]
    Value(String),
}

impl Config {
    /// Finds the file for a scan of `path`: in its directory or a parent directory, up to the repository root.
    pub fn find(path: &Path, environment: &Environment) -> Option<PathBuf> {
        find_above(path, FILE_NAME, environment)
    }

    /// The file of accepted findings for a scan of `path`: the configured one, or the one found in a default place.
    pub fn find_baseline(&self, path: &Path, environment: &Environment) -> Option<PathBuf> {
        self.baseline.clone().or_else(|| find_above(path, BASELINE_NAME, environment))
    }

    /// Reads a file; `rules` are those that it may refer to.
    ///
    /// # Errors
    /// If the file, or one that it includes, cannot be read or has unknown or invalid settings.
    pub fn read(file: &Path, rules: &RuleSet) -> Result<Self, ConfigError> {
        Self::default().with(file, rules)
    }

    /// Reads the user's own file, `keyspill/keyspill.toml` in the directory of the user's configuration, if there is one.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_user(rules: &RuleSet, environment: &Environment) -> Result<Self, ConfigError> {
        let file = environment.config_home().map(|dir| dir.join("keyspill").join(FILE_NAME));
        let Some(file) = file.filter(|file| file.symlink_metadata().is_ok()) else { return Ok(Self::default()) };
        let config = Self { patterns_apply_anywhere: true, ..Self::default() }.with(&file, rules)?;
        Ok(Self { user_file: Some(file), patterns_apply_anywhere: false, ..config })
    }

    /// The same, with the settings of a file added.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn with(mut self, file: &Path, rules: &RuleSet) -> Result<Self, ConfigError> {
        self.add_main(file, rules, None)?;
        Ok(self)
    }

    /// The same, with a file that [`Self::find`] found. It may be untrusted, so it only applies to files below its
    /// directory, and only includes files of its repository.
    ///
    /// # Errors
    /// As [`Self::read`], and if it includes a file outside the repository.
    pub fn with_found(mut self, file: &Path, rules: &RuleSet) -> Result<Self, ConfigError> {
        let absolute = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let dir = absolute.parent().unwrap_or(Path::new("")).to_owned();
        let root = file::repository_root(&dir).unwrap_or(&dir).to_owned();
        self.add_main(file, rules, Some(&root))?;
        self.home = Some(dir);
        Ok(self)
    }

    /// Adds a file and those that it includes, and lists it before them and before those that were added earlier.
    fn add_main(&mut self, file: &Path, rules: &RuleSet, root: Option<&Path>) -> Result<(), ConfigError> {
        let earlier = std::mem::take(&mut self.files);
        self.add(file, rules, root)?;
        self.files.reverse();
        self.files.extend(earlier);
        Ok(())
    }

    /// True if a file is the user's own, which is about more than one repository.
    pub fn is_users_own(&self, file: &Path) -> bool {
        self.user_file.as_deref() == Some(file)
    }

    /// The files that the main one includes, and those of rules.
    pub fn included(&self) -> impl Iterator<Item = &PathBuf> {
        let files = self.files.iter().skip(1).filter(|file| Some(*file) != self.user_file.as_ref());
        files.chain(&self.rule_files)
    }

    fn add(&mut self, file: &Path, rules: &RuleSet, root: Option<&Path>) -> Result<(), ConfigError> {
        let refused = |problem| ConfigError { file: file.to_owned(), problem };
        let problem = |text: &str| Err(refused(ConfigProblem::Value(text.into())));
        let absolute = file.canonicalize().map_err(|error| refused(error.into()))?;
        if root.is_some_and(|root| !absolute.starts_with(root)) {
            return problem(
                "include: the file is outside the repository; pass the configuration with --config to allow that",
            );
        }
        let text = file::read_text(&absolute, MAX_BYTES).map_err(|error| refused(error.into()))?;
        let written = parse(&text).map_err(refused)?;
        self.pending.push(absolute);
        if self.pending.len() > MAX_FILES {
            return Err(refused(ConfigProblem::Value(format!("include: more than {MAX_FILES} files"))));
        }
        let dir = file.parent().unwrap_or(Path::new("")).to_owned();
        // Patterns are relative to the directory of the file as named, even if it is a link.
        let here = if dir.as_os_str().is_empty() { Path::new(".") } else { &dir };
        let absolute_dir = here.canonicalize().map_err(|error| refused(error.into()))?;
        let top = absolute_dir.ancestors().last().filter(|_| self.patterns_apply_anywhere);
        let absolute_dir = top.unwrap_or(&absolute_dir).to_owned();
        for include in &written.include {
            let path = dir.join(include);
            let failed = |error| {
                let shown = hide_long_words(&include.display().to_string());
                refused(ConfigProblem::Value(format!("include: {shown} cannot be read: {}", describe(&error))))
            };
            // Read each file only once; files may include each other.
            if !self.pending.contains(&path.canonicalize().map_err(failed)?) {
                self.add(&path, rules, root)?;
            }
        }
        let mut rules = rules.clone();
        for path in &written.rules {
            let path = dir.join(path);
            let failed = |text: String| refused(ConfigProblem::Value(format!("rules: {text}")));
            let whole = path.canonicalize().map_err(|error| {
                let shown = hide_long_words(&path.display().to_string());
                failed(format!("{shown} cannot be read: {}", describe(&error)))
            })?;
            if root.is_some_and(|root| !whole.starts_with(root)) {
                return problem("rules: the file is outside the repository; pass it with --rules to allow that");
            }
            if !self.rule_files.contains(&path) {
                self.rule_files.push(path);
            }
        }
        for path in &self.rule_files {
            rules.add(path).map_err(|error| refused(ConfigProblem::Value(format!("rules: {error}"))))?;
        }
        self.merge(written, &text, file, &absolute_dir, &rules).map_err(refused)?;
        self.files.push(file.to_owned());
        Ok(())
    }

    /// Merges the settings of a file into those of the files it includes.
    fn merge(
        &mut self,
        written: ConfigFile,
        text: &str,
        file: &Path,
        dir: &Path,
        rules: &RuleSet,
    ) -> Result<(), ConfigProblem> {
        known_rules("severity", written.severity.keys(), rules)?;
        known_rules("enable", written.enable.iter(), rules)?;
        known_rules("disable", written.disable.iter(), rules)?;
        if let Some(packs) = written.packs {
            known_packs(&packs)?;
            self.selection.packs = Some(packs.into_iter().collect());
        }
        self.selection.enable.extend(written.enable);
        self.selection.disable.extend(written.disable);
        let domains = written.org_domains.iter().enumerate().map(domain).collect::<Result<Vec<_>, _>>()?;
        self.org_domains.extend(domains);
        self.org_accounts.extend(accounts("org_accounts", &written.org_accounts)?);
        self.canary_accounts.extend(accounts("canary_accounts", &written.canary_accounts)?);
        self.trusted_repos.extend(written.trusted_repos);
        self.fail_on = written.fail_on.or(self.fail_on);
        self.baseline =
            written.baseline.map(|path| file.parent().unwrap_or(Path::new("")).join(path)).or(self.baseline.take());
        self.severity.extend(written.severity);
        for allow in written.allow {
            self.allows.push(resolve_allow(allow, text, file, dir, rules)?);
        }
        for OverrideSyntax { paths, rules: named, severity } in written.overrides {
            known_rules("override", named.iter(), rules)?;
            self.overrides.push(Override { paths: globs("override", dir, &paths)?, rules: named, severity });
        }
        if !written.exclude.is_empty() {
            self.exclude.push(globs("exclude", dir, &written.exclude)?);
        }
        for unscanned in written.unscanned {
            self.unscanned.push(resolve_unscanned(unscanned, text, file, dir)?);
        }
        Ok(())
    }

    /// What judging needs, whatever machine it happens on: without what depends on paths.
    #[must_use]
    pub fn for_judging(&self) -> Self {
        let without_paths = |allow: &&Allow| allow.paths.is_none();
        Self {
            org_domains: self.org_domains.clone(),
            org_accounts: self.org_accounts.clone(),
            canary_accounts: self.canary_accounts.clone(),
            trusted_repos: self.trusted_repos.clone(),
            fail_on: self.fail_on,
            severity: self.severity.clone(),
            allows: self.allows.iter().filter(without_paths).cloned().collect(),
            ..Self::default()
        }
    }

    /// Parses what [`Self::to_toml`] wrote of [`Self::for_judging`].
    ///
    /// # Errors
    /// If it has unknown or invalid settings.
    pub fn parse_for_judging(text: &str, rules: &RuleSet) -> Result<Self, ConfigProblem> {
        let mut config = Self::default();
        let written = parse(text)?;
        let nowhere = Path::new("");
        config.merge(written, text, nowhere, nowhere, rules)?;
        Ok(config)
    }

    /// True if a mail address belongs to the organisation: its domain is one of [`Self::org_domains`] or a subdomain.
    pub fn is_inside(&self, address: &str) -> bool {
        // Users of Matrix are called `@ann:corp.example`.
        let of_matrix = address.strip_prefix('@').and_then(|user| user.split_once(':'));
        let Some((_, domain)) = of_matrix.or_else(|| address.rsplit_once('@')) else { return false };
        let domain = domain.trim_end_matches(['.', '>', ' ']).to_ascii_lowercase();
        let is_below =
            |own: &String| domain.strip_suffix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        self.org_domains.iter().any(is_below)
    }

    /// The effective configuration in the syntax of a file, with included files merged.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        for file in &self.files {
            _ = writeln!(out, "# from {}", file.display());
        }
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let list =
            |items: Vec<String>| format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "));
        let numbers = |accounts: &BTreeSet<AccountId>| list(accounts.iter().map(ToString::to_string).collect());
        _ = writeln!(out, "org_domains = {}", list(self.org_domains.clone()));
        _ = writeln!(out, "org_accounts = {}", numbers(&self.org_accounts));
        _ = writeln!(out, "canary_accounts = {}", numbers(&self.canary_accounts));
        _ = writeln!(out, "trusted_repos = {}", list(self.trusted_repos.clone()));
        _ = writeln!(out, "fail_on = {}", quoted(&self.fail_on.unwrap_or(Severity::Warning).to_string()));
        if let Some(baseline) = &self.baseline {
            _ = writeln!(out, "baseline = {}", quoted(&baseline.to_string_lossy()));
        }
        if let Some(packs) = &self.selection.packs {
            _ = writeln!(out, "packs = {}", list(packs.iter().cloned().collect()));
        }
        for (key, rules) in [("enable", &self.selection.enable), ("disable", &self.selection.disable)] {
            if !rules.is_empty() {
                _ = writeln!(out, "{key} = {}", list(rules.iter().cloned().collect()));
            }
        }
        if !self.rule_files.is_empty() {
            let files = self.rule_files.iter().map(|file| file.to_string_lossy().into_owned());
            _ = writeln!(out, "rules = {}", list(files.collect()));
        }
        if !self.exclude.is_empty() {
            let patterns = self.exclude.iter().flat_map(|paths| paths.patterns().to_vec());
            _ = writeln!(out, "exclude = {}", list(patterns.collect()));
        }
        if !self.severity.is_empty() {
            out.push_str("\n[severity]\n");
            self.severity.iter().for_each(|(rule, severity)| _ = writeln!(out, "{rule} = \"{severity}\""));
        }
        for allow in &self.allows {
            _ = writeln!(out, "\n[[allow]]  # {}:{}", allow.file.display(), allow.line);
            if let Some(paths) = &allow.paths {
                _ = writeln!(out, "paths = {}", list(paths.patterns().to_vec()));
            }
            for (key, items) in [
                ("rules", allow.rules.clone()),
                ("fingerprints", allow.fingerprints.iter().map(ToString::to_string).collect()),
                ("accounts", allow.accounts.iter().map(ToString::to_string).collect()),
            ] {
                if !items.is_empty() {
                    _ = writeln!(out, "{key} = {}", list(items));
                }
            }
            if !allow.reason.is_empty() {
                _ = writeln!(out, "reason = {}", quoted(&allow.reason));
            }
            if let Some(day) = &allow.expires {
                _ = writeln!(out, "expires = \"{day}\"");
            }
        }
        for Unscanned { file, line, paths, reason, expires } in &self.unscanned {
            let paths = list(paths.patterns().to_vec());
            let reason = quoted(reason);
            _ = write!(out, "\n[[unscanned]]  # {}:{line}\npaths = {paths}\nreason = {reason}\n", file.display());
            if let Some(day) = expires {
                _ = writeln!(out, "expires = \"{day}\"");
            }
        }
        for Override { paths, rules, severity } in &self.overrides {
            let rules = if rules.is_empty() { String::new() } else { format!("rules = {}\n", list(rules.clone())) };
            _ = write!(
                out,
                "\n[[override]]\npaths = {}\n{rules}severity = \"{severity}\"\n",
                list(paths.patterns().to_vec())
            );
        }
        out
    }
}

/// The file `name` in the directory of `path` or a parent directory, up to the repository root.
fn find_above(path: &Path, name: &str, environment: &Environment) -> Option<PathBuf> {
    let absolute = path.canonicalize().ok()?;
    let dir = if absolute.is_dir() { absolute.as_path() } else { absolute.parent()? };
    let root = file::repository_root(dir).unwrap_or(dir);
    let candidates = dir.ancestors().take_while(|dir| dir.starts_with(root));
    let file = candidates.map(|dir| dir.join(name)).find(|file| file.symlink_metadata().is_ok())?;
    Some(environment.shown(&file))
}

fn parse(text: &str) -> Result<ConfigFile, ConfigProblem> {
    let table: toml::Table = toml::from_str(text).map_err(|error| ConfigProblem::Syntax(explain(text, &error)))?;
    known_keys(&table, &KEYS, "")?;
    for (key, known) in [("allow", &ALLOW_KEYS[..]), ("override", &OVERRIDE_KEYS), ("unscanned", &UNSCANNED_KEYS)] {
        for inner in
            table.get(key).and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_table)
        {
            known_keys(inner, known, &format!("{key}: "))?;
        }
    }
    toml::from_str(text).map_err(|error| ConfigProblem::Syntax(explain(text, &error)))
}

fn known_keys(table: &toml::Table, known: &[&str], place: &str) -> Result<(), ConfigProblem> {
    let Some(unknown) = table.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    let distance = |known: &&&str| strsim::damerau_levenshtein(known, unknown);
    let nearest =
        known.iter().min_by_key(distance).filter(|known| distance(known) <= unknown.len().max(known.len()) / 3 + 1);
    let hint = nearest
        .map_or_else(|| format!("known keys are {}", known.join(", ")), |known| format!("did you mean `{known}`?"));
    Err(ConfigProblem::Value(format!("{place}unknown key {}: {hint}", name_shown(unknown))))
}

fn known_packs(packs: &[String]) -> Result<(), ConfigProblem> {
    let Some(unknown) = packs.iter().find(|name| pack::all().iter().all(|pack| pack.name != **name)) else {
        return Ok(());
    };
    let known = pack::all().iter().map(|pack| pack.name).collect::<Vec<_>>().join(", ");
    Err(ConfigProblem::Value(format!("packs: there is no pack {}; there are {known}", name_shown(unknown))))
}

fn known_rules<'a>(
    key: &str,
    mut named: impl Iterator<Item = &'a String>,
    rules: &RuleSet,
) -> Result<(), ConfigProblem> {
    // Rules that are off may be named, too.
    let Some(rule) = named.find(|rule| !rules.knows(rule)) else { return Ok(()) };
    let hint = rules
        .nearest(rule)
        .map_or_else(|| "see `keyspill rules list`".into(), |nearest| format!("did you mean `{nearest}`?"));
    Err(ConfigProblem::Value(format!("{key}: there is no rule {}; {hint}", name_shown(rule))))
}

fn resolve_allow(
    written: Spanned<AllowSyntax>,
    text: &str,
    file: &Path,
    dir: &Path,
    rules: &RuleSet,
) -> Result<Allow, ConfigProblem> {
    let line = text[..written.span().start].matches('\n').count() + 1;
    let AllowSyntax { paths, rules: named, fingerprints, accounts: numbers, reason, expires } = written.into_inner();
    if paths.is_empty() && named.is_empty() && fingerprints.is_empty() && numbers.is_empty() {
        let text = "allow: the entry would allow everything; add `paths`, `rules`, `fingerprints` or `accounts`";
        return Err(ConfigProblem::Value(text.into()));
    }
    known_rules("allow", named.iter(), rules)?;
    let fingerprint = |(number, text): (usize, &String)| {
        let expected = "a valid fingerprint; expected `sha256-v1:…`, as in reports";
        Fingerprint::parse(text)
            .ok_or_else(|| not_valid(&format!("line {line}: allow: fingerprints"), number, expected))
    };
    Ok(Allow {
        file: file.to_owned(),
        line,
        paths: if paths.is_empty() { None } else { Some(globs("allow", dir, &paths)?) },
        rules: named,
        fingerprints: fingerprints.iter().enumerate().map(fingerprint).collect::<Result<_, _>>()?,
        accounts: accounts("allow: accounts", &numbers)?,
        reason,
        expires: expires.map(|text| date(&text, line, "allow")).transpose()?,
    })
}

fn resolve_unscanned(
    written: Spanned<UnscannedSyntax>,
    text: &str,
    file: &Path,
    dir: &Path,
) -> Result<Unscanned, ConfigProblem> {
    let line = text[..written.span().start].matches('\n').count() + 1;
    let UnscannedSyntax { paths, reason, expires } = written.into_inner();
    if paths.is_empty() || reason.is_empty() {
        return Err(ConfigProblem::Value(format!("line {line}: unscanned: give `paths` and a `reason`")));
    }
    let paths = globs("unscanned", dir, &paths)?;
    let expires = expires.map(|text| date(&text, line, "unscanned")).transpose()?;
    Ok(Unscanned { file: file.to_owned(), line, paths, reason, expires })
}

/// The last day of an entry.
fn date(text: &str, line: usize, key: &str) -> Result<jiff::civil::Date, ConfigProblem> {
    let words = || format!("line {line}: {key}: expires is not a valid date; expected one such as 2026-12-31");
    text.parse().map_err(|_| ConfigProblem::Value(words()))
}

fn globs(key: &str, dir: &Path, patterns: &[String]) -> Result<Paths, ConfigProblem> {
    Paths::new(dir, patterns).map_err(|error| ConfigProblem::Value(format!("{key}: {error}")))
}

/// The error for an invalid list entry, by its 0-based index. It does not quote the entry, which may be a secret.
fn not_valid(key: &str, number: usize, expected: &str) -> ConfigProblem {
    ConfigProblem::Value(format!("{key}: entry {} is not {expected}", number + 1))
}

fn domain((number, text): (usize, &String)) -> Result<String, ConfigProblem> {
    let domain = text.trim_start_matches(['@', '.']).to_ascii_lowercase();
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-') && !label.starts_with('-')
    };
    if domain.split('.').all(is_label) {
        return Ok(domain);
    }
    Err(not_valid("org_domains", number, "a valid domain; expected one such as `corp.example`"))
}

fn accounts(key: &str, texts: &[String]) -> Result<BTreeSet<AccountId>, ConfigProblem> {
    let account = |(number, text): (usize, &String)| {
        let digits = text.replace('-', "");
        let is_number = digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_digit());
        let account = is_number.then(|| digits.parse().ok()).flatten().and_then(AccountId::new);
        let expected = "a valid account; expected 12 digits in quotes, such as \"111122223333\"";
        account.ok_or_else(|| not_valid(key, number, expected))
    };
    texts.iter().enumerate().map(account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let file = Path::new("keyspill.toml");
        let mut config = Config::default();
        let merged = super::parse(text)
            .and_then(|written| config.merge(written, text, file, Path::new(""), &RuleSet::built_in()));
        merged.map(|()| config).map_err(|problem| problem.to_string())
    }

    #[test]
    fn what_is_written_is_resolved() {
        let text = "org_domains = [\"@Corp.example\"]\norg_accounts = [\"1111-2222-3333\"]\n[severity]\naws-access-key-id = \"note\"\n";
        let config = parse(text).unwrap();
        assert_eq!(config.org_domains, ["corp.example"]);
        assert_eq!(config.org_accounts.first().map(ToString::to_string).as_deref(), Some("111122223333"));
        assert_eq!(config.severity["aws-access-key-id"], Severity::Note);
        assert_eq!(parse(""), Ok(Config::default()));
    }

    #[test]
    fn mistakes_are_named_and_corrected() {
        for (text, expected) in [
            ("org_domain = []", "unknown key `org_domain`: did you mean `org_domains`?"),
            ("nothing_like_it = 1", "unknown key `nothing_like_it`: known keys are include, org_domains"),
            ("org_accounts = [\"1111\"]", "org_accounts: entry 1 is not a valid account"),
            ("org_accounts = [111122223333]", "expected a string"),
            ("org_domains = [\"a b\"]", "org_domains: entry 1 is not a valid domain"),
            ("severity.aws-acces-key-id = \"note\"", "did you mean `aws-access-key-id`?"),
            ("severity.aws-access-key-id = \"bad\"", "unknown value, expected one of `note`, `warning`, `error`"),
            ("org_domains = [", "is not a valid configuration"),
            ("[[allow]]\npath = [\"x\"]", "allow: unknown key `path`: did you mean `paths`?"),
            ("[[allow]]\nreason = \"x\"", "the entry would allow everything"),
            ("[[allow]]\nrules = [\"aws-key\"]", "allow: there is no rule `aws-key`"),
            ("[[allow]]\nfingerprints = [\"abc\"]", "line 1: allow: fingerprints: entry 1 is not a valid fingerprint"),
            ("[[allow]]\npaths = [\"[z-a]\"]", "allow: paths: entry 1 is not a valid pattern"),
            ("[[allow]]\npaths = [\"a\"]\nexpires = \"soon\"", "allow: expires is not a valid date"),
            ("[[override]]\npaths = [\"a\"]", "missing field `severity`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_resolved_can_be_written_again() {
        let text = "org_domains = [\"a.example\"]\nfail_on = \"error\"\n[[allow]]\npaths = [\"docs/**\"]\nrules = [\"aws-access-key-id\"]\nreason = \"it's \\\"fine\\\"\"\nexpires = \"2030-01-01\"\n[[override]]\npaths = [\"x\"]\nseverity = \"note\"\n";
        let config = parse(text).unwrap();
        let again = parse(&config.to_toml()).unwrap();
        let without_places = |mut config: Config| {
            config.allows.iter_mut().for_each(|allow| allow.line = 0);
            config
        };
        assert_eq!(without_places(again), without_places(config));
    }

    #[test]
    fn domains_are_compared_by_their_labels() {
        let config = parse("org_domains = [\"example.com\"]").unwrap();
        for inside in ["a@example.com", "a@mail.example.com", "a@EXAMPLE.com."] {
            assert!(config.is_inside(inside), "{inside}");
        }
        for outside in ["a@evil-example.com", "a@example.com.evil.io", "example.com", "a@example.org", ""] {
            assert!(!config.is_inside(outside), "{outside}");
        }
    }
}
