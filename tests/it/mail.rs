//! Mail as mailers and servers write it: who got it, and keys that their formats break.

use crate::support::{Sandbox, expand, findings_in};
use serde_json::{Value, json};

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

/// A text with a line break and a blank after every 60 bytes, as calendars are folded.
fn folded(text: &str) -> String {
    let mut lines = String::new();
    for (index, char) in text.chars().enumerate() {
        if index > 0 && index % 60 == 0 {
            lines.push_str("\r\n ");
        }
        lines.push(char);
    }
    lines
}

#[test]
fn keys_in_calendars_and_cards_are_whole_and_the_invited_are_told() {
    let sandbox = Sandbox::new();
    let keys = expand("aws_access_key_id={{akia}}\\naws_secret_access_key={{secret}}").text;
    let event = format!(
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTAMP:20260302T091427Z\r\nORGANIZER;CN=Ann:mailto:ann@corp.example\r\n\
         ATTENDEE;CN=Bob:mailto:bob@other.example\r\nSUMMARY:Deploy\r\n{}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        folded(&format!("DESCRIPTION:Hello\\, for tomorrow: {keys}"))
    );
    sandbox.write_bytes("event.ics", event.as_bytes());
    let card = format!("BEGIN:VCARD\r\nFN:Ann\r\n{}\r\nEND:VCARD\r\n", folded(&format!("NOTE:{keys}")));
    sandbox.write_bytes("card.vcf", card.as_bytes());
    let report = sandbox.json(&["."]);
    let pair = |path: &str| {
        let found = findings_in(&report, path);
        found.iter().find(|one| one["rule"] == "aws-access-key-pair").map(|one| one["messageContext"].clone())
    };
    let context = pair("event.ics").expect("a pair");
    assert_eq!((&context["date"], &context["medium"]), (&json!("2026-03-02T09:14:27Z"), &json!("mail")));
    assert_eq!(context["to"], json!([{ "name": "Bob", "address": "bob@other.example" }]));
    assert_eq!(pair("card.vcf"), Some(Value::Null));
}

#[test]
fn files_in_uuencode_are_decoded() {
    let sandbox = Sandbox::new();
    let file = expand("[default]\naws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n").text;
    let line = |bytes: &[u8]| {
        let char = |bits: u32| char::from(if bits == 0 { b'`' } else { bits as u8 + 32 });
        let group = |three: &[u8]| {
            let bits = (0..3).fold(0, |bits: u32, at| bits << 8 | three.get(at).map_or(0, |byte| u32::from(*byte)));
            (0..4).map(|at| char(bits >> (18 - 6 * at) & 63)).collect::<String>()
        };
        format!("{}{}\n", char(bytes.len() as u32), bytes.chunks(3).map(group).collect::<String>())
    };
    let lines: String = file.as_bytes().chunks(45).map(line).collect();
    let mail = format!(
        "From: a@corp.example\nTo: b@corp.example\nSubject: x\n\nhere\n\nbegin 644 credentials\n{lines}`\nend\n"
    );
    sandbox.write_bytes("m.eml", mail.as_bytes());
    let report = sandbox.json(&["."]);
    let found = findings_in(&report, "m.eml");
    assert!(found.iter().any(|one| one["rule"] == "aws-access-key-pair"), "{report}");
}
