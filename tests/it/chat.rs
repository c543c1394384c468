//! Who, where and when, in exports of chats and tickets. A case is a file in `tests/chat`, in the form that the service
//! writes; the snapshot has a line for each.

use crate::support::{Sandbox, findings_in};
use std::path::Path;

#[test]
fn exports_tell_who_wrote_what_where_and_when() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chat");
    let mut names: Vec<String> = std::fs::read_dir(&dir)
        .expect("the cases")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .collect();
    names.sort();
    let sandbox = Sandbox::new();
    for name in &names {
        sandbox.write(name, &std::fs::read_to_string(dir.join(name)).expect("a case is UTF-8"));
    }
    let report = sandbox.json(&["."]);
    let mut told = String::new();
    for name in &names {
        let found = findings_in(&report, name);
        let pair = found.iter().find(|one| one["rule"] == "aws-access-key-pair");
        let context = pair.map(|pair| pair["messageContext"].to_string());
        told += &format!("{name}: {}\n", context.unwrap_or_else(|| "no pair".into()));
    }
    insta::assert_snapshot!("chat_exports", told);
}
