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
