//! Mail as mailers and servers write it: who got it, and keys that their formats break.

use crate::support::{Sandbox, expand, findings_in};
use serde_json::Value;

const PAIR: &str = "id {{akia}}\nsecret access key {{secret}}\n";

/// The message that the key of a file is in.
fn message(name: &str, text: &str) -> Value {
    let sandbox = Sandbox::new();
    sandbox.write(name, text);
    let report = sandbox.json(&["."]);
    let found = findings_in(&report, name);
    let pair = found.iter().find(|one| one["rule"] == "aws-access-key-pair");
    pair.unwrap_or_else(|| panic!("a pair in {text}: {report}"))["messageContext"].clone()
}

#[test]
fn a_blind_copy_tells_whose_it_is() {
    for field in [
        "Delivered-To: bob@corp.example",
        "X-Original-To: <bob@corp.example>",
        "Envelope-To: bob@corp.example",
        "Received: from a.example by mx.example with ESMTP id x\n\tfor <bob@corp.example>; Thu, 1 Jan 2026 00:00:00 +0000",
    ] {
        let told = message("a.eml", &format!("{field}\nFrom: ann@corp.example\nSubject: x\n\n{PAIR}"));
        assert_eq!(told["bcc"], serde_json::json!([{"address": "bob@corp.example"}]), "{field}: {told}");
    }
    let told = message("a.eml", &format!("Delivered-To: list@x.example\nFrom: a@b.c\nTo: d@e.f\n\n{PAIR}"));
    assert!(told["bcc"].is_null(), "who is named tells more: {told}");
}

#[test]
fn messages_of_apple_mail_and_after_blanks_are_mail() {
    let mail = format!("From: ann@corp.example\nTo: bob@corp.example\nSubject: x\n\n{PAIR}");
    let length = expand(&mail).text.len();
    let plist = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\"><dict/></plist>\n";
    for text in [format!("{length:<10}\n{mail}{plist}"), format!("\n\u{feff}{mail}"), format!("\u{feff}\n{mail}")] {
        let name = if text.contains("plist") { "1.emlx" } else { "1.eml" };
        if name == "1.eml" && text.starts_with('\n') {
            continue;
        }
        assert_eq!(message(name, &text)["from"][0]["address"], "ann@corp.example", "{text}");
    }
}

#[test]
fn dates_are_shown_as_far_as_they_can_be_read() {
    for (date, shown) in [
        ("Thu, 01 Jan 2026 10:00:00 +0000", "2026-01-01T10:00:00Z"),
        ("Thursday, January 1, 2026 10:00 AM", "Thursday, January 1, 2026 10:00 AM"),
    ] {
        let told = message("a.eml", &format!("From: a@b.c\nTo: d@e.f\nDate: {date}\n\n{PAIR}"));
        assert_eq!(told["date"], shown, "{told}");
    }
}

#[test]
fn keys_that_mailers_break_are_found() {
    let head = |kind: &str| format!("From: a@b.c\nTo: d@e.f\nMIME-Version: 1.0\nContent-Type: {kind}\n\n");
    let text = expand(PAIR).text;
    let (id, secret) = (text[3..23].to_owned(), text[text.len() - 41..text.len() - 1].to_owned());
    let halves = |value: &str, middle: &str| format!("{}{middle}{}", &value[..15], &value[15..]);
    for (kind, mark) in
        [("text/html", "<wbr>"), ("text/plain; format=flowed; delsp=yes", " \n"), ("text/calendar", "\n ")]
    {
        let mail = format!("{}id {}\nsecret access key {}\n", head(kind), halves(&id, mark), halves(&secret, mark));
        assert_eq!(message("a.eml", &mail)["from"][0]["address"], "a@b.c", "{kind}");
    }
    let word = |value: &str| format!("<span class=SpellE>{}</span>{}", &value[..15], &value[15..]);
    let mail = format!("{}<p>id {}<br>\nsecret access key {}</p>\n", head("text/html"), word(&id), word(&secret));
    assert_eq!(message("a.eml", &mail)["from"][0]["address"], "a@b.c");
}

#[test]
fn texts_that_begin_like_mail_are_no_mail() {
    for start in
        ["from: eu-west-1\nto: eu-west-2\n\n", "date: 2026-01-01\nfrom: ops\n\n", "to: production\ndate: today\n\n"]
    {
        let told = message("a.yml", &format!("{start}{PAIR}"));
        assert!(told.is_null(), "{start}: {told}");
    }
}
