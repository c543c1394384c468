//! The house is in the order that ARCHITECTURE.md draws: rooms import only what stands above them.

use std::path::{Path, PathBuf};

/// The rooms of `src/`, from the ground up, as the map names them: the first column of its first code block.
fn rooms() -> Vec<String> {
    let map = include_str!("../../ARCHITECTURE.md");
    let block = map.split("```").nth(1).expect("a drawing");
    let names = block.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    names.map(|name| name.trim_end_matches('/').trim_end_matches(".rs").to_owned()).collect()
}

fn sources(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => sources(&path, all),
            false if path.extension().is_some_and(|extension| extension == "rs") => all.push(path),
            false => {}
        }
    }
}

/// The code of a file before its unit tests, which may use anything, and without its comments.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn rooms_import_only_what_stands_above_them() {
    let rooms = rooms();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let import = regex::Regex::new(r"\bcrate::\{?([a-z_]+)").expect("a valid regex");
    let (mut edges, mut wrong) = (0, Vec::new());
    for file in files {
        let below = file.strip_prefix(&src).expect("it is below");
        let room = below.iter().next().expect("a name").to_string_lossy().trim_end_matches(".rs").to_owned();
        if room == "lib" || room == "main" {
            continue;
        }
        let place = |name: &str| rooms.iter().position(|room| room == name);
        let own = place(&room).unwrap_or_else(|| panic!("ARCHITECTURE.md does not draw {room}"));
        let text = code(&std::fs::read_to_string(&file).expect("a source"));
        assert!(!text.contains("crate::{"), "{}: import one room at a time", file.display());
        for found in import.captures_iter(&text) {
            edges += 1;
            // Anything else is a macro or an item of the root.
            match place(&found[1]) {
                Some(other) if other > own => wrong.push(format!("{}: {room} imports {}", below.display(), &found[1])),
                _ => {}
            }
        }
    }
    assert!(edges > 300, "the imports are read: {edges}");
    assert_eq!(wrong, Vec::<String>::new());
}
