//! Who answers for a file, by `CODEOWNERS`.
//!
//! Sources: <https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners>,
//! <https://docs.gitlab.com/user/project/codeowners/reference/>.

use crate::git::repository::Repository;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::path::Path;

/// Where hosts look for the file, in their order; GitLab's last place is its own.
const PLACES: [&str; 4] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"];

/// The maximum size of the file in bytes: GitHub ignores it above 3 MB.
const MAX_BYTES: u64 = 3_000_000;

/// The maximum number of lines with a pattern. A longer list is ignored as a whole, as part of one would name the wrong
/// people.
const MAX_ENTRIES: usize = 20_000;

/// The maximum number of owners named for a file.
const MAX_OWNERS: usize = 10;

/// A list of code owners. Patterns are in order; in each section, the last one that matches counts, unless one takes the
/// file out.
#[derive(Debug, Default)]
pub struct CodeOwners {
    sections: Vec<Section>,
}

#[derive(Debug, Default)]
struct Section {
    /// In small letters; sections of the same name are one.
    name: String,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    pattern: Gitignore,
    /// True for `docs/*`, which means the files in a folder, and not those below.
    is_flat: bool,
    /// True for `!docs/`, which takes files out of the section, whatever follows.
    is_exclusion: bool,
    owners: Vec<String>,
}

/// Whose rules a list follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Patterns as in `.gitignore`, without `!`.
    GitHub,
    /// Patterns that do not begin with `/` match below any folder; `!` takes files out; there are sections.
    GitLab,
}

impl Dialect {
    /// By where the list is, or else by where the repository was cloned from.
    fn new(place: &str, url: Option<&str>, text: &str) -> Self {
        let url = url.unwrap_or_default();
        let has_sections = || text.lines().any(|line| section(line.trim()).is_some());
        let is_gitlabs = match place {
            _ if place.starts_with(".gitlab/") => true,
            _ if place.starts_with(".github/") => false,
            _ => url.contains("gitlab") || !url.contains("github") && has_sections(),
        };
        if is_gitlabs { Self::GitLab } else { Self::GitHub }
    }
}

impl CodeOwners {
    /// The list at HEAD, of a repository that was cloned from `url`; empty if there is none.
    pub fn at_head(repository: &Repository, url: Option<&str>) -> Self {
        let at = |place: &'static str| Some((place, repository.file_at_head(place, MAX_BYTES)?));
        let Some((place, text)) = PLACES.into_iter().find_map(at) else { return Self::default() };
        let text = String::from_utf8_lossy(&text);
        Self::parse(&text, Dialect::new(place, url, &text))
    }

    /// Parses a list. What cannot be understood is left out, as hosts do.
    pub fn parse(text: &str, dialect: Dialect) -> Self {
        let mut sections = vec![Section::default()];
        let mut current = 0;
        let mut count = 0;
        // Owners that a section gives to entries without any.
        let mut usual: Vec<String> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some((name, owners)) = section(line).filter(|_| dialect == Dialect::GitLab) {
                usual = names(owners);
                let name = name.to_lowercase();
                current = sections.iter().position(|section| section.name == name).unwrap_or_else(|| {
                    sections.push(Section { name, entries: vec![] });
                    sections.len() - 1
                });
                continue;
            }
            count += 1;
            if count > MAX_ENTRIES {
                return Self::default();
            }
            let (written, owners) = split_pattern(line);
            let is_exclusion = written.starts_with('!');
            if is_exclusion && dialect == Dialect::GitHub {
                continue;
            }
            let pattern = written.strip_prefix('!').unwrap_or(&written);
            let is_anywhere = dialect == Dialect::GitLab && !pattern.starts_with('/');
            let pattern = if is_anywhere { format!("**/{pattern}") } else { pattern.to_owned() };
            let mut builder = GitignoreBuilder::new("");
            if builder.add_line(None, &pattern).is_err() {
                continue;
            }
            let Ok(pattern) = builder.build() else { continue };
            let is_flat = written.ends_with("/*");
            let mut owners = names(owners);
            if owners.is_empty() {
                owners.clone_from(&usual);
            }
            sections[current].entries.push(Entry { pattern, is_flat, is_exclusion, owners });
        }
        Self { sections }
    }

    /// The owners of a file, by its path in the repository.
    pub fn of(&self, path: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(path);
        let path = Path::new(&*text);
        // A path that climbs out of the repository is none of it.
        if path.is_absolute() || path.components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            return vec![];
        }
        let fits = |entry: &&Entry| {
            let pattern = &entry.pattern;
            let found = if entry.is_flat {
                pattern.matched(path, false)
            } else {
                pattern.matched_path_or_any_parents(path, false)
            };
            found.is_ignore()
        };
        let mut owners: Vec<String> = Vec::new();
        let last = |section: &'_ Section| {
            let entries = &section.entries;
            let is_out = entries.iter().any(|entry| entry.is_exclusion && fits(&entry));
            if is_out { None } else { entries.iter().rposition(|entry| fits(&entry)) }
        };
        for (section, place) in self.sections.iter().filter_map(|section| Some((section, last(section)?))) {
            let entry = &section.entries[place];
            owners.extend(entry.owners.iter().filter(|owner| !owners.contains(owner)).cloned().collect::<Vec<_>>());
        }
        owners.truncate(MAX_OWNERS);
        owners
    }
}

/// The name of a section of GitLab's, and what follows its head: `^[Name][2] @owner`.
fn section(line: &str) -> Option<(&str, &str)> {
    let inner = line.strip_prefix('^').unwrap_or(line).strip_prefix('[')?;
    let (name, rest) = inner.split_once(']')?;
    // A class of characters in a pattern goes on after it.
    let rest = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((count, rest)) if count.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => rest,
    };
    (!name.is_empty() && (rest.is_empty() || rest.starts_with(char::is_whitespace))).then_some((name, rest))
}

/// The pattern, in which blanks may be escaped, and the rest of the line.
fn split_pattern(line: &str) -> (String, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let ends = c.is_whitespace() && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    let (pattern, rest) = line.split_at(end.map_or(line.len(), |(at, _)| at));
    (pattern.replace("\\ ", " "), rest)
}

fn names(text: &str) -> Vec<String> {
    let words = text.split_whitespace().take_while(|word| !word.starts_with('#'));
    words.filter(|word| word.contains('@')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_that_matches_counts() {
        let list = CodeOwners::parse(
            "# all\n*  @acme/all\n*.js @js # scripts\n/build/logs/ @ops ann@acme.example\ndocs/* docs@acme.example\napps/ @octo\n/apps/github\n!a.txt @nobody\n",
            Dialect::GitHub,
        );
        for (path, owners) in [
            ("a.txt", &["@acme/all"][..]),
            ("x/y/a.js", &["@js"]),
            ("build/logs/x/a.txt", &["@ops", "ann@acme.example"]),
            ("src/build/logs/a.txt", &["@acme/all"]),
            ("docs/a.md", &["docs@acme.example"]),
            ("docs/x/a.md", &["@acme/all"]),
            ("src/apps/a", &["@octo"]),
            ("apps/github/a", &[]),
            ("../a.js", &[]),
        ] {
            assert_eq!(list.of(path.as_bytes()), owners, "{path}");
        }
    }

    #[test]
    fn sections_of_one_name_are_one_and_what_is_taken_out_stays_out() {
        let list = CodeOwners::parse(
            "[Docs]\n*.env @a\n[Other]\nx/ @o\n[docs]\nreadme.env @b\n[S] @s\n*.md @e\n!a.md\n*.md\t@x\t# ask @boss\n",
            Dialect::GitLab,
        );
        for (path, owners) in [("readme.env", &["@b"][..]), ("x.env", &["@a"]), ("a.md", &[]), ("b.md", &["@x"])] {
            assert_eq!(list.of(path.as_bytes()), owners, "{path}");
        }
        assert!(CodeOwners::parse(&"a @b\n".repeat(MAX_ENTRIES + 1), Dialect::GitHub).of(b"a").is_empty());
    }

    #[test]
    fn each_section_has_its_own_owners() {
        let list = CodeOwners::parse(
            "* @all\n[Docs][2] @docs\n*.md\n!CHANGELOG.md\n^[Optional]\napi/ @api\npath\\ with\\ blanks/ @blanks\n\\#file @hash\n",
            Dialect::GitLab,
        );
        for (path, owners) in [
            ("a.md", &["@all", "@docs"][..]),
            ("CHANGELOG.md", &["@all"]),
            ("api/a.md", &["@all", "@docs", "@api"]),
            ("path with blanks/a", &["@all", "@blanks"]),
            ("#file", &["@all", "@hash"]),
        ] {
            assert_eq!(list.of(path.as_bytes()), owners, "{path}");
        }
    }

    #[test]
    fn gitlab_looks_in_every_folder() {
        for (dialect, owners) in [(Dialect::GitLab, vec!["@i"]), (Dialect::GitHub, vec![])] {
            let list = CodeOwners::parse("internal/a.env @i\n/build/logs/ @b\n", dialect);
            assert_eq!(list.of(b"docs/api/internal/a.env"), owners, "{dialect:?}");
            assert_eq!(list.of(b"internal/a.env"), ["@i"]);
            assert!(list.of(b"x/build/logs/a").is_empty());
        }
    }

    #[test]
    fn the_dialect_is_that_of_the_host() {
        let of = |place, url, text| Dialect::new(place, url, text);
        assert_eq!(of(".gitlab/CODEOWNERS", Some("https://github.com/a/b"), ""), Dialect::GitLab);
        assert_eq!(of(".github/CODEOWNERS", None, "[A]\n"), Dialect::GitHub);
        assert_eq!(of("CODEOWNERS", Some("https://gitlab.corp.example/a.git"), ""), Dialect::GitLab);
        assert_eq!(of("CODEOWNERS", None, "[Docs] @a\n*.md\n"), Dialect::GitLab);
        assert_eq!(of("docs/CODEOWNERS", None, "* @a\n"), Dialect::GitHub);
    }
}
