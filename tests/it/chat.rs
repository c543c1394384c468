//! Who, where and when, in exports of chats and tickets. A case is a file in `tests/chat`, or a folder of files that belong
//! together, in the form that the service writes; the snapshot has a line for each file with a key.

use crate::support::{Sandbox, findings_in};
use std::path::Path;

#[test]
fn exports_tell_who_wrote_what_where_and_when() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chat");
    let names = files_below(&dir, "");
    let sandbox = Sandbox::new();
    for name in &names {
        sandbox.write(name, &std::fs::read_to_string(dir.join(name)).expect("a case is UTF-8"));
    }
    let report = sandbox.json(&["."]);
    let mut told = String::new();
    for name in &names {
        if !std::fs::read_to_string(dir.join(name)).expect("a case is UTF-8").contains("{{") {
            continue;
        }
        let found = findings_in(&report, name);
        let pair = found.iter().find(|one| one["rule"] == "aws-access-key-pair");
        let context = pair.map(|pair| pair["messageContext"].to_string());
        told += &format!("{name}: {}\n", context.unwrap_or_else(|| "no pair".into()));
    }
    insta::assert_snapshot!("chat_exports", told);
}

/// The names of all files below a folder, sorted.
fn files_below(dir: &Path, prefix: &str) -> Vec<String> {
    let mut entries: Vec<_> =
        std::fs::read_dir(dir).expect("the cases").map(|entry| entry.expect("an entry")).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let name = |entry: &std::fs::DirEntry| format!("{prefix}{}", entry.file_name().to_str().expect("a plain name"));
    let files = entries.iter().flat_map(|entry| {
        if entry.path().is_dir() { files_below(&entry.path(), &format!("{}/", name(entry))) } else { vec![name(entry)] }
    });
    files.collect()
}

#[test]
fn an_export_is_read_as_a_whole_in_an_archive_too() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chat/discord-package");
    let sandbox = Sandbox::new();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
    for name in files_below(&dir, "package/") {
        let text = std::fs::read_to_string(dir.join(name.trim_start_matches("package/"))).expect("a case is UTF-8");
        let file = std::fs::read(sandbox.write(&name, &text)).expect("the file just written");
        zip.start_file(&name, zip::write::SimpleFileOptions::default()).expect("an entry");
        std::io::Write::write_all(&mut zip, &file).expect("an entry");
    }
    sandbox.write_bytes("package.zip", &zip.finish().expect("an archive").into_inner());
    let report = sandbox.json(&["package.zip"]);
    let pair = &report["findings"][0]["messageContext"];
    assert_eq!(pair["from"][0]["address"], "ann@corp.example", "{report}");
    assert_eq!(pair["channel"]["name"], "ops in Acme", "{report}");
}

#[test]
fn guests_are_outsiders_unless_their_addresses_are_of_the_organisation() {
    let sandbox = Sandbox::new();
    sandbox.write("keyspill.toml", "org_domains = [\"corp.example\"]\n");
    let chat = |guest: &str| {
        format!(
            r#"{{"topic":"Ops","tenantId":"corp","members":[
                {{"displayName":"Ann","email":"ann@corp.example","roles":[],"tenantId":"corp"}},
                {{"displayName":"Gus","email":"{guest}","roles":["guest"],"tenantId":"corp"}}],
              "messages":[{{"createdDateTime":"2026-01-01T10:00:00Z","from":{{"user":{{"displayName":"Ann","id":"1"}}}},
                "body":{{"content":"id {{{{akia}}}} secret access key {{{{secret}}}}"}}}}]}}"#
        )
    };
    for (guest, is_outside) in [("gus@partner.example", true), ("gus@corp.example", false)] {
        sandbox.write("chat.json", &chat(guest));
        let report = sandbox.json(&["."]);
        let shared = findings_in(&report, "chat.json").into_iter().find(|one| one["rule"] == "aws-shared-key");
        let reasons = shared.map(|one| one["judgement"]["reasons"].to_string()).unwrap_or_default();
        assert_eq!(reasons.contains("Gus <gus@"), is_outside, "{guest}: {report}");
    }
}

#[test]
fn one_field_makes_no_mail() {
    let sandbox = Sandbox::new();
    let text =
        r#"{"SPF":"x","to":"eve@other.example","aws":{"accessKeyId":"{{akia}}","secretAccessKey":"{{secret}}"}}"#;
    sandbox.write("settings.json", text);
    let report = sandbox.json(&["."]);
    let found = findings_in(&report, "settings.json");
    assert_eq!(found.len(), 1, "{report}");
    assert!(found[0]["messageContext"].is_null(), "{report}");
}
