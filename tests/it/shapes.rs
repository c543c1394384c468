//! Every form in which AWS issues keys, or people store them, is found, id and secret, at its exact location.
//!
//! A case is a file in `tests/shapes/pair` (id and secret of the same label belong together), `id` or `secret` (found
//! alone). Each is scanned as it is, with CRLF line ends, in UTF-16 and UTF-32, and as a whole in base64, compressed, in
//! hexadecimal, escaped and in quoted-printable.

use crate::support::{Sandbox, expand, findings_in, line_column};
use data_encoding::{BASE64, HEXLOWER};
use keyspill::internals::rule::example::Expanded;
use serde_json::Value;
use std::io::Write;
use std::path::Path;

struct Case {
    name: String,
    text: Expanded,
}

fn cases(kind: &str) -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shapes").join(kind);
    let mut cases: Vec<_> = std::fs::read_dir(dir)
        .expect("the cases")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| {
            let template = std::fs::read_to_string(entry.path()).expect("a case is UTF-8");
            Case { name: entry.file_name().into_string().expect("a plain name"), text: expand(&template) }
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() >= 9, "cases of {kind} are missing");
    cases
}

/// The location of one of a finding's values.
fn place(value: &Value) -> Option<(u64, u64)> {
    let location = value.get("location")?;
    Some((location["startLine"].as_u64()?, location["startColumn"].as_u64()?))
}

/// The locations of id and secret for each label in the text; `None` for a part that is not in the text.
type Expected = Vec<(Option<(u64, u64)>, Option<(u64, u64)>)>;

fn expected(text: &Expanded) -> Expected {
    let is_id = |kind: &str| matches!(kind, "akia" | "asia" | "abia" | "acca");
    let at = |range: &std::ops::Range<usize>| line_column(&text.text, range.start);
    let mut labels: Vec<&str> = Vec::new();
    for value in text.values.iter().filter(|value| is_id(&value.kind) || value.kind == "secret") {
        // Ids of different kinds with the same label are distinct.
        let label =
            if value.kind == "abia" || value.kind == "acca" { value.kind.as_str() } else { value.label.as_str() };
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    let find = |label: &str, wanted: &dyn Fn(&str) -> bool| {
        let of_label = |value: &&keyspill::internals::rule::example::Value| {
            (value.label == label || value.kind == label) && wanted(&value.kind)
        };
        text.values.iter().find(of_label).map(|value| at(&value.range))
    };
    let mut all: Expected =
        labels.into_iter().map(|label| (find(label, &is_id), find(label, &|kind| kind == "secret"))).collect();
    all.sort();
    all
}

fn found(report: &Value, name: &str) -> Expected {
    let rules = ["aws-access-key-pair", "aws-access-key-id", "aws-secret-access-key", "aws-temporary-key"];
    let of_keys =
        findings_in(report, name).into_iter().filter(|finding| rules.iter().any(|rule| finding["rule"] == *rule));
    let mut all: Expected = of_keys.map(|finding| (place(&finding["id"]), place(&finding["secret"]))).collect();
    all.sort();
    all
}

/// Scans all cases of a kind, each encoded by `write`, and compares the locations.
#[track_caller]
fn check(kind: &str, write: impl Fn(&str) -> Vec<u8>, same_text: impl Fn(&Expanded) -> Expanded) {
    let sandbox = Sandbox::new();
    let cases = cases(kind);
    for case in &cases {
        sandbox.write_bytes(&case.name, &write(&same_text(&case.text).text));
    }
    let report = sandbox.json(&["."]);
    let mut wrong = String::new();
    for case in &cases {
        let (expected, found) = (expected(&same_text(&case.text)), found(&report, &case.name));
        if expected != found {
            wrong += &format!("\n{}: expected {expected:?}, found {found:?}", case.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn unchanged(text: &Expanded) -> Expanded {
    with_text(text, text.text.clone(), |offset| offset)
}

fn with_text(text: &Expanded, new: String, offset: impl Fn(usize) -> usize) -> Expanded {
    let values = text.values.iter().map(|value| keyspill::internals::rule::example::Value {
        kind: value.kind.clone(),
        label: value.label.clone(),
        range: offset(value.range.start)..offset(value.range.end),
    });
    Expanded { text: new, values: values.collect() }
}

fn with_crlf(text: &Expanded) -> Expanded {
    let bare = |upto: usize| text.text[..upto].replace("\r\n", "\n").replace('\n', "\r\n").len();
    with_text(text, text.text.replace("\r\n", "\n").replace('\n', "\r\n"), bare)
}

fn without_mark(text: &Expanded) -> Expanded {
    let mark = if text.text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    with_text(text, text.text[mark..].to_owned(), |offset| offset - mark)
}

const KINDS: [&str; 3] = ["pair", "id", "secret"];

#[test]
fn as_written() {
    KINDS.iter().for_each(|kind| check(kind, |text| text.as_bytes().to_vec(), unchanged));
}

#[test]
fn with_crlf_line_ends() {
    KINDS.iter().for_each(|kind| check(kind, |text| text.as_bytes().to_vec(), with_crlf));
}

#[test]
fn in_utf16_with_a_byte_order_mark() {
    let little = |text: &str| format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big = |text: &str| format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect();
    for kind in KINDS {
        check(kind, little, without_mark);
        check(kind, big, without_mark);
    }
}

#[test]
fn in_utf16_without_a_byte_order_mark() {
    let little = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for kind in KINDS {
        check(kind, little, without_mark);
        check(kind, big, without_mark);
    }
}

/// A whole file in some encoding: each pair is found, on the lines of the encoded text.
#[track_caller]
fn check_whole(name: &str, encode: impl Fn(&str) -> String) {
    let sandbox = Sandbox::new();
    let cases = cases("pair");
    for case in &cases {
        let encoded = encode(&case.text.text);
        sandbox.write_bytes(&case.name, format!("first: line\ndata:\n  {encoded}\nlast: line\n").as_bytes());
    }
    let report = sandbox.json(&["."]);
    let mut wrong = String::new();
    for case in &cases {
        let is_plain = case.text.values.iter().all(|value| value.range.len() <= 40 || value.kind == "base64");
        let (expected, found) = (expected(&case.text).len(), found(&report, &case.name));
        let is_below = |place: &Option<(u64, u64)>| place.is_some_and(|place| place.0 >= 3);
        let pairs = found.iter().filter(|(id, secret)| is_below(id) && is_below(secret)).count();
        // Cases that contain base64 already would be encoded twice.
        if is_plain && pairs != expected {
            wrong += &format!("\n{} {name}: {pairs} of {expected} pairs in {found:?}", case.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn wrapped(encoded: &str, width: usize) -> String {
    let lines: Vec<_> = encoded.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line)).collect();
    lines.join("\n  ")
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn in_base64_as_a_whole() {
    let base64 = |text: &str| BASE64.encode(text.as_bytes());
    check_whole("unwrapped", base64);
    check_whole("wrapped", |text| wrapped(&base64(text), 76));
    check_whole("twice", |text| base64(&base64(text)));
    check_whole("url-safe", |text| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes()));
}

#[test]
fn compressed_and_in_base64() {
    check_whole("once", |text| BASE64.encode(&gzip(text)));
    check_whole("wrapped", |text| wrapped(&BASE64.encode(&gzip(text)), 76));
    // Like Helm.
    check_whole("twice", |text| BASE64.encode(BASE64.encode(&gzip(text)).as_bytes()));
    check_whole("zlib", |text| {
        let mut encoder = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::default());
        encoder.write_all(text.as_bytes()).expect("memory");
        BASE64.encode(&encoder.finish().expect("memory"))
    });
}

/// Compressed by other programs before encoding.
#[test]
fn files_that_are_compressed_in_other_ways_and_in_base64() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/containers/cases");
    let read = |name: &str| std::fs::read(cases.join(name)).expect("a case");
    for name in ["compressed/app.env.bz2", "compressed/app.env.xz", "compressed/app.env.zst", "zip/deflated.zip"] {
        let sandbox = Sandbox::new();
        sandbox.write_bytes("a.yml", format!("data: {}\n", BASE64.encode(&read(name))).as_bytes());
        let report = sandbox.json(&[".", "--show-suppressed"]);
        let found = report["suppressed"].as_array().expect("a list");
        assert_eq!((found.len(), &found[0]["rule"]), (1, &"aws-access-key-pair".into()), "{name}");
    }
}

/// Archives written by programs that cannot seek, and JSON with escaped line breaks.
#[test]
fn streamed_archives_and_escaped_lines_in_base64() {
    let mut archive = zip::ZipWriter::new_stream(vec![]);
    archive.start_file("a.env", zip::write::SimpleFileOptions::default()).expect("a file");
    archive.write_all(expand("{{akia}} {{secret}}\n").text.as_bytes()).expect("memory");
    let base64 = data_encoding::BASE64_MIME.encode(&archive.finish().expect("memory").into_inner());
    for text in [base64.clone(), base64.replace("\r\n", "\\n").replace('/', "\\/"), base64.replace("\r\n", "\\r\\n")] {
        let sandbox = Sandbox::new();
        sandbox.write_bytes("a.json", format!("{{\"data\": \"{text}\"}}\n").as_bytes());
        assert_eq!(findings_in(&sandbox.json(&["."]), "a.json").len(), 1, "{text}");
    }
}

/// The encoding of PowerShell's encoded commands.
#[test]
fn in_utf16_and_in_base64() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for before in ["", " ", "  "] {
        check_whole("base64", |text| BASE64.encode(&utf16(&format!("{before}{text}"))));
    }
}

/// Scans one text with a made-up pair in it; `write` makes the text from an id and a secret.
#[track_caller]
fn check_pair(name: &str, write: impl Fn(&str, &str) -> String) {
    let sandbox = Sandbox::new();
    let [id, secret] = ["{{akia}}", "{{secret}}"].map(|placeholder| expand(placeholder).text);
    sandbox.write_bytes("a.txt", write(&id, &secret).as_bytes());
    let report = sandbox.json(&["."]);
    let found = findings_in(&report, "a.txt");
    assert_eq!(found.len(), 1, "{name}: {}\n{report:#}", write("ID", "SECRET"));
    assert_eq!((&found[0]["rule"], &found[0]["id"]["value"]), (&"aws-access-key-pair".into(), &id.into()), "{name}");
}

#[test]
fn as_lists_of_bytes() {
    let list =
        |text: &str, write: fn(u8) -> String, comma: &str| text.bytes().map(write).collect::<Vec<_>>().join(comma);
    type Way = (&'static str, fn(u8) -> String);
    let ways: [Way; 6] = [
        ("c", |b| format!("0x{b:02x}")),
        ("upper case", |b| format!("0x{b:02X}")),
        ("go", |b| b.to_string()),
        ("java", |b| format!("(byte) 0x{b:02x}")),
        ("cast", |b| format!("(byte){b}")),
        ("characters", |b| format!("'{}'", char::from(b))),
    ];
    for (name, write) in ways {
        for comma in [", ", ","] {
            check_pair(name, |id, secret| {
                let (id, secret) = (list(id, write, comma), list(secret, write, comma));
                format!("var id = new byte[] {{{id}}};\nvar secretKey = new byte[] {{ {secret} }};\n")
            });
        }
        check_pair(name, |id, secret| {
            let lines = |text: &str| {
                text.as_bytes()
                    .chunks(8)
                    .map(|line| list(&String::from_utf8_lossy(line), write, ", "))
                    .collect::<Vec<_>>()
                    .join(",\n    ")
            };
            format!("id := []byte{{\n    {},\n}}\nsecretKey := []byte{{\n    {},\n}}\n", lines(id), lines(secret))
        });
    }
}

/// Invisible characters, anywhere in an id and a secret.
#[test]
fn with_invisible_characters_between() {
    for invisible in ["\u{200b}", "\u{200c}", "\u{200d}", "\u{2060}", "\u{ad}"] {
        for at in [1, 2, 3, 4, 11, 19] {
            check_pair(&format!("{} at {at}", invisible.escape_unicode()), |id, secret| {
                let cut = |text: &str, at: usize| format!("{}{invisible}{}", &text[..at], &text[at..]);
                format!("aws_access_key_id = {}\naws_secret_access_key = {}\n", cut(id, at), cut(&cut(secret, 30), at))
            });
        }
    }
}

#[test]
fn folded_by_yaml_and_the_shell() {
    for at in [4, 9, 19] {
        check_pair("yaml", |id, secret| {
            let fold = |text: &str| format!("\"{}\\\n      {}\"", &text[..at], &text[at..]);
            format!("key:\n  aws_access_key_id: {}\n  aws_secret_access_key: {}\n", fold(id), fold(secret))
        });
    }
}

#[test]
fn in_hexadecimal_as_a_whole() {
    check_whole("lower case", |text| HEXLOWER.encode(text.as_bytes()));
    check_whole("upper case, wrapped", |text| wrapped(&data_encoding::HEXUPPER.encode(text.as_bytes()), 72));
}

#[test]
fn escaped_as_a_whole() {
    let each = |write: fn(u8) -> String| move |text: &str| text.bytes().map(write).collect::<String>();
    check_whole("percent", each(|b| format!("%{b:02X}")));
    check_whole("percent twice", each(|b| format!("%25{b:02X}")));
    check_whole("octal", each(|b| format!("\\{b:03o}")));
    check_whole("octal with a zero", each(|b| format!("\\0{b:03o}")));
    check_whole("quoted-printable", each(|b| format!("={b:02X}")));
    check_whole("shell", each(|b| format!("\\x{b:02x}")));
    check_whole("json", each(|b| format!("\\u00{b:02x}")));
    check_whole("html", each(|b| format!("&#{b};")));
}

/// Soft line breaks split ids and secrets anywhere.
#[test]
fn in_quoted_printable_outside_of_mail() {
    for width in [41, 60, 76] {
        check_whole("quoted-printable", |text| quoted_printable(text, width));
    }
}

fn quoted_printable(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for byte in text.bytes() {
        let unit = match byte {
            b'\n' | b'\r' => char::from(byte).to_string(),
            b' '..=b'<' | b'>'..=b'~' => char::from(byte).to_string(),
            _ => format!("={byte:02X}"),
        };
        // The first four letters of an id are searched literally.
        if column + unit.len() >= width && !matches!(byte, b'\n' | b'\r') && !out.ends_with(['A', 'K', 'I', 'S']) {
            out += "=\n";
            column = 0;
        }
        column = if byte == b'\n' { 0 } else { column + unit.len() };
        out += &unit;
    }
    out
}

#[test]
fn in_utf32() {
    for kind in KINDS {
        check(
            kind,
            |text| format!("\u{feff}{text}").chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
            without_mark,
        );
        check(kind, |text| text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(), without_mark);
    }
}

#[test]
fn text_is_no_binary_in_which_strings_touch() {
    let sandbox = Sandbox::new();
    let long = format!("{}{}", expand("{{secret}}").text, "AbC3dEf7Gh1");
    let texts = [
        ("a.js", format!("let a='{}'; t = x({long})\n", expand("{{akia}}").text)),
        ("b.txt", format!("id {} \u{5bc6}\u{94a5}({long})\n", expand("{{akia}}").text)),
    ];
    for (name, text) in &texts {
        sandbox.write_bytes(name, text.as_bytes());
    }
    sandbox.write_bytes("c.txt", &[b"# caf\xe9\nfoo", expand("{{akia}}").text.as_bytes(), b"bar x\n"].concat());
    sandbox.write_bytes("d.txt", b"x^2+2x+1\nhello world, nothing here\n");
    let report = sandbox.json(&["."]);
    let rules: Vec<_> = report["findings"].as_array().expect("a list").iter().map(|one| &one["rule"]).collect();
    assert_eq!(rules, ["aws-access-key-id", "aws-access-key-id"], "{report}");
    assert_eq!(report["skipped"], serde_json::json!([]));
}
