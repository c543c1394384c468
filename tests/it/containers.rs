//! Containers: archives, documents, mail, chat exports.
//!
//! `tests/containers/cases` has files written by other programs (see `make.py` there), each with AWS's documented
//! example key, so that nothing in this repository counts. To add a case, add a file and a line to the snapshot.
//! Hostile files are generated here.

use crate::support::{Run, Sandbox, expand, sarif_schema};
use data_encoding::BASE64_MIME;
use flate2::Compression;
use flate2::write::GzEncoder;
use keyspill::internals::detect::Detector;
use keyspill::internals::rule::RuleSet;
use keyspill::internals::scan::Limits;
use keyspill::internals::scan::examine::Examiner;
use keyspill::internals::source::unpack::Content;
use keyspill::internals::source::unpack::format::Format;
use keyspill::{finding::BlobPath, internals::source::SizeLimit};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/containers/cases")
}

fn scan_cases(extra: &[&str]) -> Run {
    let dir = cases();
    let dir = dir.to_str().expect("a path of text");
    Sandbox::new().run(&[&["scan", dir, "--show-suppressed"], extra].concat())
}

fn env() -> Vec<u8> {
    expand("aws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n").text.into_bytes()
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data) in files {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        archive.start_file(*name, options).expect("a file");
        archive.write_all(data).expect("memory");
    }
    archive.finish().expect("an archive").into_inner()
}

fn tarred(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, data) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        // Written directly: the library rejects some names that other programs write.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, *data).expect("memory");
    }
    archive.into_inner().expect("an archive")
}

fn gzipped(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).expect("memory");
    encoder.finish().expect("memory")
}

/// A finding as text: where it is, and in whose message.
fn told(finding: &Value, root: &str) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let path = text(&finding["path"]);
    let path = path.strip_prefix(root).unwrap_or(&path).trim_start_matches('/').to_owned();
    let inside = finding["inside"].as_array().into_iter().flatten().map(|name| format!(" » {}", text(name)));
    let mut line = format!("{path}{}:{}", inside.collect::<String>(), finding["location"]["startLine"]);
    line += &format!(" {}", text(&finding["rule"]));
    if let Some(outer) = finding["outerLocation"].as_object() {
        line += &format!(", line {} of the file", outer["startLine"]);
    }
    let message = &finding["messageContext"];
    let parties = |list: &Value| {
        let party = |party: &Value| format!("{} <{}>", text(&party["name"]), text(&party["address"]));
        list.as_array().into_iter().flatten().map(party).collect::<Vec<_>>().join(", ")
    };
    if message.is_object() {
        line += &format!("\n    {}", text(&message["medium"]));
        for role in ["from", "replyTo", "to", "cc", "bcc"].iter().filter(|role| message[**role].is_array()) {
            line += &format!("; {role}: {}", parties(&message[*role]));
        }
        for field in ["listId", "date", "subject", "id"].iter().filter(|field| message[**field].is_string()) {
            line += &format!("; {field}: {}", text(&message[*field]));
        }
        if let Some(channel) = message["channel"].as_object() {
            let external = if channel["external"] == true { " (external)" } else { "" };
            line += &format!("; channel: {}{external}", text(&channel["name"]));
        }
        if message["outer"].is_object() {
            line += &format!("; in: {}", text(&message["outer"]["subject"]));
        }
    }
    line
}

#[test]
fn what_other_programs_write_is_read() {
    let run = scan_cases(&["--format", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let root = cases().to_str().expect("a path of text").to_owned();
    let found: Vec<_> =
        report["suppressed"].as_array().expect("findings").iter().map(|finding| told(finding, &root)).collect();
    // Every file has a key, except the tables of the unpacked export.
    let files: BTreeSet<_> = ignore::Walk::new(cases())
        .map(|entry| entry.expect("an entry").into_path())
        .filter(|path| path.is_file() && path.parent().is_some_and(|dir| !dir.ends_with("slack")))
        .collect();
    let missed = files.iter().filter(|path| {
        let name = path.strip_prefix(&root).expect("it is below").to_str().expect("a plain name");
        !found.iter().any(|line| line.starts_with(name))
    });
    assert_eq!(missed.collect::<Vec<_>>(), Vec::<&PathBuf>::new());
    assert_eq!(report["skipped"].as_array().map(Vec::len), Some(0), "{}", report["skipped"]);
    assert_eq!(run.code, Some(0), "nothing of it is anybody's key: {}", report["findings"]);
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn reports_are_as_their_schemas_say() {
    let schema = crate::support::report_schema();
    let json: Value = serde_json::from_str(&scan_cases(&["--format", "json"]).stdout).expect("JSON");
    let sarif: Value = serde_json::from_str(&scan_cases(&["--format", "sarif"]).stdout).expect("JSON");
    let ours = jsonschema::validator_for(&schema).expect("the schema is valid");
    for (validator, document) in [(ours, &json), (sarif_schema(), &sarif)] {
        let errors: Vec<_> =
            validator.iter_errors(document).map(|error| format!("{error} at {}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    // Code hosts only know the files that are there, and their lines.
    for result in sarif["runs"][0]["results"].as_array().expect("results") {
        let place = &result["locations"][0]["physicalLocation"];
        assert!(!place["artifactLocation"]["uri"].as_str().expect("a URI").contains('»'));
        assert!(place["region"]["startLine"].as_u64() >= Some(1), "{result}");
    }
}

#[test]
fn standard_input_is_looked_into() {
    for case in
        ["mail/sent.mbox", "zip/nested.zip", "tar/app.tar.gz", "chat/slack.zip", "7z/app.7z", "mail/outlook.msg"]
    {
        let bytes = std::fs::read(cases().join(case)).expect("the case");
        let run = Sandbox::new().run_with_input(&["scan", "-", "--show-suppressed", "--format", "json"], &bytes);
        let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert!(report["suppressed"][0]["inside"].is_array(), "{case}: {report}");
    }
}

/// Containers too large for memory are read in pieces, from a file or a pipe.
#[test]
fn containers_are_read_in_pieces() {
    let start = "From a@example.com Thu Jan  1 10:00:00 2026\n";
    let filler = format!("{start}From: a@example.com\nTo: b@example.com\n\n{}\n", "all is well\n".repeat(1000));
    let key = data_encoding::BASE64.encode(&env());
    let last = format!("{start}From: a@example.com\nTo: c@example.com\nContent-Transfer-Encoding: base64\n\n{key}\n");
    let mailbox = filler.repeat(300) + &last;
    let sandbox = Sandbox::new();
    let path = sandbox.write_bytes("big.mbox", mailbox.as_bytes());
    let detector = Detector::new(Arc::new(RuleSet::built_in()));
    let examiner =
        Examiner::new(&detector, false, Limits::default(), SizeLimit { bytes: 100_000, is_chosen: false }, true);
    let file = std::fs::File::open(&path).expect("the file");
    let mut pipe = mailbox.as_bytes();
    for content in [Content::File(&file), Content::Stream(&mut pipe)] {
        let all = examiner.container(&BlobPath::new(&path), Format::Mbox, content, None);
        assert_eq!(all.skips, []);
        assert_eq!(all.findings.len(), 1);
        let finding = &all.findings[0];
        assert!(finding.path.to_text().ends_with("big.mbox » message 301 » body"));
        assert_eq!(finding.message.as_ref().expect("a mail").to[0].address, "c@example.com");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let sandbox = Sandbox::new();
    let message = |n: usize| {
        let start = "From a@example.com Thu Jan  1 10:00:00 2026\n";
        let key = format!("aws_access_key_id = {{{{akia {n}}}}}\naws_secret_access_key = {{{{secret {n}}}}}\n");
        let body = data_encoding::BASE64.encode(expand(&key).text.as_bytes());
        format!("{start}From: a@example.com\nTo: b@example.com\nContent-Transfer-Encoding: base64\n\n{body}\n\n")
    };
    sandbox.write_bytes("all.mbox", (0..300).map(message).collect::<String>().as_bytes());
    for format in ["json", "sarif", "text"] {
        let one = sandbox.run(&["scan", ".", "--format", format, "--threads", "1"]);
        let many = sandbox.run(&["scan", ".", "--format", format, "--threads", "4"]);
        assert_eq!(one.stdout, many.stdout);
        assert!(one.stdout.contains("message 300"));
        assert_eq!(scan_cases(&["--format", format, "-j1"]).stdout, scan_cases(&["--format", format, "-j4"]).stdout);
    }
}

/// Scans one file with these bytes; returns the JSON report and the exit code.
fn scan(name: &str, bytes: &[u8], extra: &[&str]) -> (Value, Option<i32>) {
    let sandbox = Sandbox::new();
    sandbox.write_bytes(name, bytes);
    let run = sandbox.run(&[&["scan", ".", "--format", "json"], extra].concat());
    let left: Vec<_> = std::fs::read_dir(sandbox.path()).expect("the directory").collect();
    assert_eq!(left.len(), 1, "nothing is unpacked to disk");
    (serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stderr)), run.code)
}

fn causes(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let skips = report["skipped"].as_array().expect("skips").iter();
    let inside =
        |skip: &Value| skip["inside"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(" » ");
    skips.map(|skip| (text(&skip["cause"]), inside(skip))).collect()
}

fn places(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().expect("findings").iter();
    let findings = findings.filter(|finding| finding["judgement"].is_null());
    let name =
        |finding: &Value| finding["inside"].as_array().and_then(|names| names.last()?.as_str()).map(str::to_owned);
    findings.map(|finding| name(finding).unwrap_or_default()).collect()
}

#[test]
fn a_bomb_is_left_and_what_is_before_it_is_scanned() {
    let zeros = vec![0; 3 << 20];
    let bomb = zipped(&[("first.env", &env()), ("zeros", &zeros), ("last.env", &env())]);
    let (report, code) = scan("bomb.zip", &bomb, &["--max-archive-size", "1MiB"]);
    assert_eq!(places(&report), ["first.env"]);
    let over = ("over-limit".to_owned(), "zeros".to_owned());
    assert!(causes(&report).contains(&over), "{}", report["skipped"]);
    assert!(causes(&report).contains(&("more-entries".to_owned(), String::new())), "{}", report["skipped"]);
    assert_eq!(code, Some(1), "who sets a limit knows it");
    let (report, code) = scan("bomb.zip", &bomb, &["--max-archive-entries", "1"]);
    assert_eq!((places(&report).len(), code), (1, Some(1)));
}

#[test]
fn a_ratio_that_no_honest_file_has_makes_the_scan_incomplete() {
    // 300 MiB from 300 KB: over the size where the ratio is not checked, and a thousand times the input.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..300).for_each(|_| encoder.write_all(&zeros).expect("memory"));
    let (report, code) = scan("bomb.gz", &encoder.finish().expect("memory"), &["--max-file-size", "100MiB"]);
    assert_eq!(causes(&report)[0].0, "too-large", "a blob of this size is not kept: {}", report["skipped"]);
    assert_eq!(code, Some(0));
    let inner: Vec<Vec<u8>> = (0..9).map(|_| vec![0; 40 << 20]).collect();
    let files: Vec<_> = inner.iter().map(|data| ("zeros", data.as_slice())).collect();
    let (report, code) = scan("bomb.tar.gz", &gzipped(&tarred(&files)), &[]);
    assert!(causes(&report).iter().any(|(cause, _)| cause == "over-limit"), "{}", report["skipped"]);
    assert_eq!((&report["summary"]["complete"], code), (&Value::Bool(false), Some(2)));
}

#[test]
fn archives_in_archives_end() {
    let mut data = zipped(&[("key.env", &env())]);
    for _ in 0..12 {
        data = zipped(&[("inner.zip", &data)]);
    }
    let (report, code) = scan("deep.zip", &data, &[]);
    assert_eq!((causes(&report)[0].0.as_str(), code), ("over-limit", Some(2)));
    let (report, code) = scan("deep.zip", &data, &["--max-archive-depth", "20"]);
    assert_eq!((places(&report), code), (vec!["key.env".to_owned()], Some(1)));
    let (_, code) = scan("deep.zip", &data, &["--max-archive-depth", "2"]);
    assert_eq!(code, Some(0), "who sets a limit knows it");
}

#[test]
fn damaged_archives_are_read_as_far_as_they_go() {
    let noise: Vec<u8> = (0..20_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let key = env();
    let files: [(&str, &[u8]); 3] = [("key.env", &key), ("noise", &noise), ("last.env", &key)];
    for (name, bytes) in [
        ("cut.zip", zipped(&files)),
        ("cut.tar", tarred(&files)),
        ("cut.tar.gz", gzipped(&tarred(&files))),
        ("cut.gz", gzipped(&[&key[..], &noise].concat())),
    ] {
        let (report, code) = scan(name, &bytes[..bytes.len() / 2], &[]);
        assert!(!places(&report).is_empty(), "{name}: {report}");
        assert!(causes(&report).iter().any(|(cause, _)| cause == "damaged"), "{name}: {}", report["skipped"]);
        assert_eq!(code, Some(2), "{name}");
    }
}

#[test]
fn names_in_archives_are_names_and_no_more() {
    let key = env();
    let names = ["../../up.env", "/abs.env", "a\u{1b}[31mb.env", "c\nd.env"];
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, key.as_slice())).collect();
    for (name, bytes) in [("names.tar", tarred(&files)), ("names.zip", zipped(&files))] {
        let (report, _) = scan(name, &bytes, &[]);
        assert_eq!(
            places(&report).iter().map(String::as_str).collect::<BTreeSet<_>>(),
            BTreeSet::from(names),
            "{name}"
        );
        let sandbox = Sandbox::new();
        sandbox.write_bytes(name, &bytes);
        let text = sandbox.run(&["scan", "."]).stdout;
        assert!(!text.contains('\u{1b}') && !text.contains("c\nd.env"), "{text}");
        let sarif = sandbox.run(&["scan", ".", "--format", "sarif"]).stdout;
        assert!(!sarif.contains("u001b"), "{sarif}");
    }
}

#[test]
fn what_is_encrypted_is_said_and_no_failure() {
    let mut bytes = zipped(&[("key.env", &env())]);
    // The offsets of the flag in the local header and in the central directory.
    for (mark, offset) in [(&b"PK\x03\x04"[..], 6), (b"PK\x01\x02", 8)] {
        let at = memchr::memmem::find(&bytes, mark).expect("a header");
        bytes[at + offset] |= 1;
    }
    let (report, code) = scan("encrypted.zip", &bytes, &[]);
    assert_eq!(causes(&report), [("encrypted".to_owned(), "key.env".to_owned())]);
    assert_eq!(code, Some(0));
}

#[test]
fn archives_may_be_left_out_and_mail_is_not() {
    let zip = zipped(&[("key.env", &env())]);
    let (report, code) = scan("a.zip", &zip, &["--no-archives"]);
    assert_eq!((places(&report).len(), code), (0, Some(0)));
    assert_eq!(report["summary"]["skipped"]["not-opened"], 1);
    let body = data_encoding::BASE64.encode(&env());
    let mail = format!("From: a@example.com\nTo: b@example.com\nContent-Transfer-Encoding: base64\n\n{body}\n");
    let (report, code) = scan("a.eml", mail.as_bytes(), &["--no-archives"]);
    assert_eq!((places(&report), code), (vec!["body".to_owned()], Some(1)));
}

#[test]
fn messages_in_messages_end() {
    let head = "From: a@example.com\nTo: b@example.com\nContent-Type: message/rfc822\n\n";
    for depth in [100, 1999, 100_000] {
        let mail = head.repeat(depth) + "x";
        let (report, code) = scan("deep.eml", mail.as_bytes(), &[]);
        assert_eq!((causes(&report)[0].0.as_str(), code), ("over-limit", Some(2)), "{depth}");
    }
    let multipart: String =
        (0..1900).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    let mail = format!("From: a@example.com\nTo: b@example.com\n{multipart}\n{}", String::from_utf8_lossy(&env()));
    let (report, code) = scan("deep.eml", mail.as_bytes(), &[]);
    assert_eq!((places(&report).len(), code), (1, Some(2)), "none of them has an end");
}

#[test]
fn no_secret_is_shown_of_a_message() {
    let key = expand("{{akia}} {{secret}}");
    let secret = expand("{{secret}}").text;
    let mail = format!(
        "From: {secret} <a@example.com>\nTo: b@example.com\nSubject: the secret access key {secret}\nMessage-ID: <1@x>\n\n{}\n",
        key.text
    );
    let sandbox = Sandbox::new();
    sandbox.write_bytes("a.eml", mail.as_bytes());
    sandbox.write_bytes("b.zip", &zipped(&[("a.eml", mail.as_bytes())]));
    let day = format!("[{{\"user\": \"{secret}\", \"ts\": \"1.1\", \"text\": \"{}\"}}]", key.text);
    sandbox.write_bytes("chat/ops/2026-01-01.json", day.as_bytes());
    sandbox.write_bytes("chat/users.json", b"[]");
    for format in ["text", "json", "jsonl", "sarif"] {
        let run = sandbox.run(&["scan", ".", "--format", format]);
        assert!(run.stdout.contains("b@example.com"), "{}", run.stdout);
        assert!(!run.stdout.contains(&secret) && !run.stderr.contains(&secret), "{}", run.stdout);
    }
}

#[test]
fn an_allow_comment_in_an_archive_counts() {
    let text = expand("k = '{{akia}}'  # {{allow}} a test\n").text;
    let (report, code) = scan("a.zip", &zipped(&[("a.py", text.as_bytes())]), &["--show-suppressed"]);
    assert_eq!((report["suppressed"][0]["inside"][0].as_str(), code), (Some("a.py"), Some(0)));
}

#[test]
fn history_looks_into_archives() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write_bytes("backup.zip", &zipped(&[("etc/app.env", &env())]));
    let added = sandbox.commit(1, "Add a backup");
    sandbox.write_bytes("backup.zip", &zipped(&[("etc/app.env", b"nothing")]));
    let removed = sandbox.commit(11, "Empty it");
    let report = sandbox.json(&["--history", "."]);
    let finding = &report["findings"][0];
    assert_eq!((finding["path"].as_str(), finding["inside"][0].as_str()), (Some("backup.zip"), Some("etc/app.env")));
    assert_eq!(finding["history"]["introduced"]["commits"][0]["id"], added);
    assert_eq!(finding["history"]["removed"]["commits"][0]["id"], removed);
    let range = sandbox.json(&["--range", &format!("{added}..{removed}"), "."]);
    assert_eq!(range["findings"].as_array().map(Vec::len), Some(0));
    let range = sandbox.json(&["--range", &added, "."]);
    assert_eq!(range["findings"][0]["inside"][0], "etc/app.env");
}

#[test]
fn a_hook_reports_what_is_new_in_an_archive() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write_bytes("backup.zip", &zipped(&[("old.env", &env())]));
    sandbox.commit(1, "Add a backup");
    let new = expand("aws_access_key_id = {{akia new}}\naws_secret_access_key = {{secret new}}\n").text;
    sandbox.write_bytes("backup.zip", &zipped(&[("old.env", &env()), ("new.env", new.as_bytes())]));
    sandbox.git(&["add", "."]);
    assert_eq!(places(&sandbox.json(&["--staged", "."])), ["new.env"]);
    assert_eq!(places(&sandbox.json(&["--staged", "--whole-files", "."])), ["new.env", "old.env"]);
}

#[test]
fn a_store_of_outlook_is_read_from_a_file_too() {
    let packed = std::fs::read(cases().join("mail/outlook.pst.gz")).expect("the case");
    let mut store = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut store).expect("it is whole");
    let (report, code) = scan("outlook.pst", &store, &["--show-suppressed"]);
    let inside = |finding: &Value| finding["inside"].as_array().map(Vec::len);
    let found = report["suppressed"].as_array().expect("findings");
    assert!(found.iter().any(|finding| inside(finding) == Some(4)), "{report}");
    assert_eq!(code, Some(0), "{}", report["skipped"]);
    let (report, code) = scan("outlook.pst", &store[..store.len() / 2], &[]);
    assert_eq!((causes(&report)[0].0.as_str(), code), ("damaged", Some(2)), "{report}");
}

/// Found by fuzzing: files on which a parser failed.
#[test]
fn what_a_parser_fails_on_is_told_and_costs_itself() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/containers/crashes");
    for entry in std::fs::read_dir(dir).expect("the cases") {
        let path = entry.expect("an entry").path();
        let run = Sandbox::new().run(&["scan", path.to_str().expect("a plain name"), "--show-suppressed"]);
        assert!(matches!(run.code, Some(0 | 2)), "{path:?}: {} {}", run.stdout, run.stderr);
        assert!(!run.stdout.contains("internal"), "{path:?}: {}", run.stdout);
        let are_all = ["3 documented examples", "4 documented examples"].iter().any(|all| run.stdout.contains(all));
        assert!(are_all, "{path:?}: {}", run.stdout);
    }
}

#[test]
fn names_of_what_is_in_an_archive_are_looked_at() {
    let id = expand("{{akia}}").text;
    for name in [format!("{id}.txt"), format!("of {id}/x")] {
        let (report, _) = scan("a.tar.gz", &gzipped(&tarred(&[(&name, b"x")])), &[]);
        assert_eq!(places(&report), ["name"], "{name}");
    }
}

/// Found by fuzzing: files on which a library aborted the process.
#[test]
fn no_file_ends_the_process() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/containers/aborts");
    for entry in std::fs::read_dir(dir).expect("the cases") {
        let path = entry.expect("an entry").path();
        // Stored in base64, because a scan of this repository must be complete.
        let base64 = std::fs::read_to_string(&path).expect("a case").replace('\n', "");
        let sandbox = Sandbox::new();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a plain name");
        sandbox.write_bytes(name, &data_encoding::BASE64.decode(base64.as_bytes()).expect("base64"));
        let run = sandbox.run(&["scan", name]);
        assert_eq!(run.code, Some(2), "{path:?}: {} {}", run.stdout, run.stderr);
        assert!(run.stdout.contains("damaged") && !run.stdout.contains("internal"), "{path:?}: {}", run.stdout);
    }
}

#[test]
fn what_was_packed_together_shares_its_limits() {
    // Each message of a packed mailbox holds a packed megabyte: together they exceed the limit, but none of them alone.
    let megabyte = data_encoding::BASE64.encode(&gzipped(&vec![b' '; 1 << 20]));
    let start = "From a@example.com Thu Jan  1 10:00:00 2026\n";
    let mail = format!(
        "{start}From: a@example.com\nTo: b@example.com\nContent-Type: application/gzip\nContent-Transfer-Encoding: base64\n\n{megabyte}\n\n"
    );
    let mailbox = mail.repeat(20);
    let (report, code) = scan("a.mbox.gz", &gzipped(mailbox.as_bytes()), &["--max-archive-size", "5MiB"]);
    assert!(report["summary"]["inside"]["bytes"].as_u64() < Some(7 << 20), "{}", report["summary"]);
    assert!(causes(&report).iter().any(|(cause, _)| cause == "over-limit"), "{}", report["skipped"]);
    assert_eq!(code, Some(0));
    let (report, _) = scan("a.mbox", mail.repeat(3).as_bytes(), &["--max-archive-size", "2MiB"]);
    assert_eq!(causes(&report), [], "a mailbox that is no archive may hold as much for each message");
    let (report, _) = scan("a.mbox", mail.repeat(80).as_bytes(), &["--max-archive-size", "2MiB"]);
    assert_eq!(causes(&report).len(), 1, "but not without end");
}

#[test]
fn headers_of_tar_archives_are_bounded() {
    let mut long_name = tar::Header::new_gnu();
    long_name.set_entry_type(tar::EntryType::GNULongName);
    long_name.set_size(2 << 30);
    long_name.set_cksum();
    let bytes =
        [tarred(&[("a.env", &env())])[..1024].to_vec(), long_name.as_bytes().to_vec(), vec![b'a'; 4096]].concat();
    let (report, code) = scan("a.tar", &bytes, &[]);
    assert_eq!((places(&report), code), (vec!["a.env".to_owned()], Some(2)));
    assert!(report["skipped"][0]["message"].as_str().is_some_and(|text| text.contains("too long")), "{report}");
}

#[test]
fn several_archives_in_one_are_all_read() {
    let (one, two) = (tarred(&[("a.env", &env())]), tarred(&[("b.env", &env())]));
    for bytes in [gzipped(&[&one[..], &two].concat()), [gzipped(&one), gzipped(&two), vec![0; 512]].concat()] {
        let (report, code) = scan("a.tar.gz", &bytes, &[]);
        assert_eq!(
            (places(&report), code),
            (vec!["a.env".to_owned(), "b.env".to_owned()], Some(1)),
            "{}",
            report["skipped"]
        );
    }
}

#[test]
fn damaged_entries_are_read_as_far_as_they_go() {
    let mut bytes = zipped(&[("a.env", &env()), ("b.env", &env())]);
    // The checksum of the first entry, in its local header and in the central directory.
    for (mark, offset) in [(&b"PK\x03\x04"[..], 14), (b"PK\x01\x02", 16)] {
        let at = memchr::memmem::find(&bytes, mark).expect("a header");
        bytes[at + offset] ^= 1;
    }
    let (report, code) = scan("a.zip", &bytes, &[]);
    assert_eq!((places(&report), code), (vec!["a.env".to_owned(), "b.env".to_owned()], Some(2)));
    assert_eq!(causes(&report), [("damaged".to_owned(), "a.env".to_owned())]);
}

#[test]
fn entries_of_the_same_name_are_told() {
    let mut bytes = zipped(&[("a.env", &env()), ("b.env", b"nothing")]);
    while let Some(at) = memchr::memmem::find(&bytes, b"b.env") {
        bytes[at] = b'a';
    }
    let (report, code) = scan("a.zip", &bytes, &[]);
    assert_eq!((causes(&report)[0].0.as_str(), code), ("damaged", Some(2)), "{report}");
}

#[test]
fn programs_that_unpack_themselves_are_archives() {
    let zip = [b"#!/bin/sh\nexec unzip $0\n".to_vec(), zipped(&[("a.env", &env())])].concat();
    let mut with_comment = zip.clone();
    let length = with_comment.len();
    with_comment[length - 2] = 5;
    with_comment.extend_from_slice(b"hello");
    let inside = zipped(&[("inner.run", &zip)]);
    for (name, bytes) in [("a.run", &zip), ("b.run", &with_comment), ("c.zip", &inside)] {
        assert_eq!(places(&scan(name, bytes, &[]).0), ["a.env"], "{name}");
    }
}

#[test]
fn nothing_is_lost_that_a_parser_passes_over() {
    let key = String::from_utf8(env()).expect("text");
    let head = "From: a@example.com\nTo: b@example.com\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n";
    let preamble = format!("{head}{key}\n--b\n\nhello\n--b--\n");
    let epilogue = format!("{head}--b\n\nhello\n--b--\n{key}");
    let pdf = format!("%PDF-1.4\n{key}");
    let compound = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), env().repeat(3)].concat();
    for (name, bytes) in [
        ("preamble.eml", preamble.as_bytes()),
        ("epilogue.eml", epilogue.as_bytes()),
        ("broken.pdf", pdf.as_bytes()),
        ("broken.doc", &compound),
    ] {
        assert!(!places(&scan(name, bytes, &[]).0).is_empty(), "{name}");
        let (report, _) = scan("a.zip", &zipped(&[(name, bytes)]), &[]);
        assert_eq!(report["findings"][0]["inside"][0], name, "{report}");
    }
}

#[test]
fn every_field_of_a_name_is_decoded() {
    let id = expand("{{akia}}").text;
    let encode = |text: &str| format!("=?utf-8?B?{}?=", data_encoding::BASE64.encode(text.as_bytes()));
    let mail = format!("From: a@example.com\nTo: b@example.com\nX-N: {}\nX-N: {}\n\nx\n", encode(&id), encode("hello"));
    let (report, _) = scan("a.zip", &zipped(&[("a.eml", mail.as_bytes())]), &[]);
    assert_eq!(places(&report), ["headers"]);
    // Many fields take no longer than they should.
    let many = format!("From: a@example.com\nTo: b@example.com\n{}\n{id}\n", "X-N: =?utf-8?Q?hello?=\n".repeat(50_000));
    assert_eq!(places(&scan("a.eml", many.as_bytes(), &[]).0), ["body"]);
}

#[test]
fn binary_attachments_may_be_called_text() {
    let zip = data_encoding::BASE64.encode(&zipped(&[("a.env", &env())]));
    let mail = format!(
        "From: a@example.com\nTo: b@example.com\nContent-Type: text/plain; name=a.zip\nContent-Disposition: attachment; filename=a.zip\n\
         Content-Transfer-Encoding: base64\n\n{zip}\n"
    );
    assert_eq!(places(&scan("a.eml", mail.as_bytes(), &[]).0), ["a.env"]);
    let (report, code) = scan("a.eml", mail.as_bytes(), &["--no-archives"]);
    assert_eq!((causes(&report)[0].0.as_str(), code), ("not-opened", Some(1)), "the base64 is text all the same");
}

#[test]
fn no_secret_is_shown_in_a_name() {
    let secret = expand("{{secret}}").text;
    let pair = expand("{{akia}} {{secret}}").text;
    let mail = format!("From: a@example.com\nTo: <x{secret}@example.com>\nSubject: key:{secret}x\n\n{pair}\n");
    let chat = format!(
        "[{{\"user\": \"u\", \"ts\": \"1\", \"title\": \"x{secret}\", \"channel\": \"{secret}\", \"text\": \"{pair}\"}}]"
    );
    let name = format!("keys/x{secret}.txt");
    let broken = [pair.as_bytes(), &[0; 64]].concat();
    let mut zip = zipped(&[(&name, pair.as_bytes()), (&secret, &broken)]);
    let at = memchr::memmem::find(&zip, b"PK\x01\x02").expect("a directory");
    zip[at + 16] ^= 1;
    let sandbox = Sandbox::new();
    sandbox.write_bytes("a.eml", mail.as_bytes());
    sandbox.write_bytes("b.json", chat.as_bytes());
    sandbox.write_bytes("c.zip", &zip);
    for format in ["text", "json", "jsonl", "sarif"] {
        let run = sandbox.run(&["scan", ".", "--format", format]);
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(all.contains("c.zip") && all.contains("b.json") && all.contains("a.eml"));
        assert!(!all.contains(&secret) && !all.contains(&secret.replace('/', r"\/")), "{format}: {all}");
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_table_is_not_read() {
    let sandbox = Sandbox::new();
    let day = expand(r#"[{"user": "U1", "ts": "1", "text": "{{akia}} {{secret}}"}]"#).text;
    sandbox.write_bytes("c/2026-01-01.json", day.as_bytes());
    let made = std::process::Command::new("mkfifo").arg(sandbox.path().join("users.json")).status().expect("mkfifo");
    assert!(made.success());
    assert_eq!(places(&sandbox.json(&["."])).len(), 1);
}

#[test]
fn many_findings_in_one_message_take_no_longer_than_they_should() {
    let ids = expand("{{akia}} ").text.repeat(8000);
    let nested =
        format!("{}{{\"ts\": \"1\", \"user\": \"u\", \"text\": \"{ids}\"}}{}", "{\"a\":".repeat(7), "}".repeat(7));
    let xml = format!("{}{}{}", "<r>".repeat(7), expand("<i>{{akia}}</i>").text.repeat(8000), "</r>".repeat(7));
    for (name, text) in [("a.json", nested), ("a.xml", xml)] {
        let (report, code) = scan(name, text.as_bytes(), &[]);
        assert_eq!((report["findings"].as_array().map(Vec::len), code), (Some(8000), Some(1)), "{name}");
    }
}

#[test]
fn places_in_the_file_follow_the_order_of_messages() {
    let message = |n: usize| {
        let body = if n == 2 || n == 10 { String::from_utf8(env()).expect("text") } else { "nothing\n".into() };
        format!("From a@x Thu Jan  1 10:00:00 2026\nFrom: a@example.com\nTo: b@example.com\n\n{body}\n")
    };
    let mailbox: String = (1..=12).map(message).collect();
    let (report, _) = scan("a.mbox", mailbox.as_bytes(), &[]);
    let line = |name: &str| {
        let found =
            report["findings"].as_array().expect("findings").iter().find(|finding| finding["inside"][0] == name);
        found.expect("it")["outerLocation"]["startLine"].as_u64()
    };
    assert!(line("message 2") < line("message 10"), "{report}");
}

#[test]
fn text_of_documents_is_cut_where_people_see_it_cut() {
    let (id, secret) = (expand("{{akia}}").text, expand("{{secret}}").text);
    for (name, xml, expected) in [
        ("content.xml", format!("<text:p>{id}<text:line-break/>{secret}</text:p>"), "aws-access-key-pair"),
        (
            "content.xml",
            format!("<dc:creator>Bob</dc:creator><dc:date>2026-01-04</dc:date><text:p>{id}</text:p>"),
            "aws-access-key-id",
        ),
        ("xl/worksheets/sheet1.xml", format!("<row><c><f>[1]S!A1</f><v>{id}</v></c></row>"), "aws-access-key-id"),
        (
            "word/document.xml",
            format!("<w:p><w:r><w:instrText>X</w:instrText></w:r><w:r><w:t>{id}</w:t></w:r></w:p>"),
            "aws-access-key-id",
        ),
        ("word/document.xml", format!("<w:p><!-- {id} --></w:p>"), "aws-access-key-id"),
        (
            "word/document.xml",
            format!(
                "<w:p><w:r><w:t>{}</w:t></w:r><w:proofErr/><w:ins><w:r><w:rPr><w:b/><w:sz w:val=\"2\"/></w:rPr><w:t>{}</w:t></w:r></w:ins></w:p>",
                &id[..9],
                &id[9..]
            ),
            "aws-access-key-id",
        ),
    ] {
        let document =
            zipped(&[("[Content_Types].xml", b"<x/>"), ("META-INF/manifest.xml", b"<x/>"), (name, xml.as_bytes())]);
        let (report, _) = scan("a.docx", &document, &[]);
        assert_eq!(report["findings"][0]["rule"], expected, "{xml}: {report}");
    }
}

#[test]
fn mail_is_recognised_whatever_stands_before_its_fields() {
    let archive = BASE64_MIME.encode(&zipped(&[("key.env", &env())]));
    let mail = format!(
        "From: a@example.com\nTo: b@example.com\nContent-Type: application/zip\n\
         Content-Transfer-Encoding: base64 (a comment)\nContent-Disposition: attachment; filename=a.zip\n\n{archive}"
    );
    // Two hops, as marked by a large provider: the familiar fields begin after 8 KB.
    let hop = |number: usize| {
        let signature = format!("\n {}", "x".repeat(70)).repeat(30);
        format!("ARC-Seal: i={number}; cv=pass; b={signature}\nARC-Message-Signature: i={number}; b={signature}\n")
    };
    for before in ["\u{feff}", "\n", "\r\n\r\n", &(hop(2) + &hop(1))] {
        // The name does not suggest mail.
        let (report, code) = scan("message", format!("{before}{mail}").as_bytes(), &[]);
        assert_eq!((places(&report), code), (vec!["key.env".to_owned()], Some(1)), "{before:.20}: {report:#}");
    }
    let no_mail = format!("{}x", "Key: value\n".repeat(30_000));
    assert_eq!(causes(&scan("message", no_mail.as_bytes(), &[]).0), []);
}

#[test]
fn parts_of_mail_in_text_are_decoded() {
    let part = format!(
        "--x\nContent-Type: application/zip\nContent-Transfer-Encoding: base64\n\n{}--x--\n",
        BASE64_MIME.encode(&zipped(&[("key.env", &env())]))
    );
    let returned = format!("From: a@example.com\nTo: b@example.com\n\nThis came back:\n\nSubject: x\n\n{part}");
    let (report, code) = scan("returned.eml", returned.as_bytes(), &[]);
    assert!(places(&report).contains(&"key.env".to_owned()) && code == Some(1), "{report:#}");
    assert_eq!(causes(&report), []);
    // Its encoding is not declared.
    let silent = format!("From: a@example.com\nTo: b@example.com\n\n{}", BASE64_MIME.encode(&[7; 300]));
    assert_eq!(causes(&scan("silent.eml", silent.as_bytes(), &[]).0), [("no-text".to_owned(), String::new())]);
}

#[test]
fn several_archives_and_what_is_written_around_them() {
    let one = zipped(&[("key.env", &env())]);
    let other = zipped(&[("README", b"nothing")]);
    let noise: Vec<u8> = (0..5000u32).map(|n| ((n * n) >> 3) as u8).collect();
    for (name, bytes) in [
        ("two.zip", [&one[..], &other].concat()),
        ("three.zip", [&other[..], &one, &other].concat()),
        ("followed.pdf", [&b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"[..], &one].concat()),
        ("padded.exe", [b"MZ", &noise[..], &one, &[0; 4000]].concat()),
        ("signed.exe", [b"MZ", &noise[..], &one, &noise].concat()),
        ("picture.png", [b"\x89PNG\r\n\x1a\n", &noise[..], &one, b"\0\0"].concat()),
        ("followed.gz", [&gzipped(b"nothing")[..], &one].concat()),
        ("tape.gz", [&gzipped(b"nothing")[..], &[0; 999], &gzipped(&env())].concat()),
        ("text.gz", [&gzipped(b"nothing")[..], &env()].concat()),
    ] {
        let (report, code) = scan(name, &bytes, &[]);
        assert_eq!((places(&report).len(), code), (1, Some(1)), "{name}: {report:#}");
    }
    // Data that is neither text nor in a known format is reported.
    let (report, _) = scan("noise.gz", &[&gzipped(b"nothing")[..], &noise[7..]].concat(), &[]);
    assert_eq!(causes(&report), [("no-text".to_owned(), "after the end".to_owned())]);
}

#[test]
fn what_lies_in_too_many_layers_is_told() {
    let mut text = String::from_utf8(env()).expect("text");
    for layers in 1..10 {
        text = data_encoding::BASE64.encode(text.as_bytes());
        // Other keys are still found.
        let other = expand("{{akia other}}").text;
        let (report, code) = scan("a.txt", format!("{text}\n\n\n\n\n\n\n\n{other}\n").as_bytes(), &[]);
        let (found, causes) = (places(&report).len(), causes(&report));
        if layers <= 4 {
            assert_eq!((found, causes, code), (2, vec![], Some(1)), "{layers}");
        } else {
            assert_eq!((found, causes[0].0.as_str(), code), (1, "too-many", Some(2)), "{layers}");
        }
    }
}

#[test]
fn documents_say_what_of_them_cannot_be_read() {
    let pdf = std::fs::read(cases().join("document/form.pdf")).expect("a case");
    let spoil = |from: &[u8], to: &[u8]| {
        let at = memchr::memmem::find(&pdf, from).expect("it is there");
        let mut bytes = pdf.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        scan("a.pdf", &bytes, &["--show-suppressed"]).0
    };
    for (from, to) in [
        (&b"/XObject"[..], &b"/XObjexx"[..]),
        (b"/FlateDecode", b"/FlateDecodx"),
        (b"/Kids", b"/Kixs"),
        (b"/Contents", b"/Contentx"),
        (b"endobj", b"enxobj"),
        (b"/Filter", b"/Filtxr"),
    ] {
        let report = spoil(from, to);
        let is_found = !report["suppressed"].as_array().expect("a list").is_empty();
        assert!(is_found || !causes(&report).is_empty(), "{}: lost without a word", String::from_utf8_lossy(from));
    }
    let report = spoil(b"/FlateDecode", b"/FlateDecodx");
    assert_eq!(causes(&report)[0].0, "no-text");
}

#[test]
fn a_store_that_lost_a_folder_is_damaged() {
    let mut store = Vec::new();
    let packed = std::fs::read(cases().join("mail/outlook.pst.gz")).expect("a case");
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut store).expect("a store");
    let (whole, _) = scan("a.pst", &store, &["--show-suppressed"]);
    assert_eq!(causes(&whole), []);
    // Every page and block has a checksum: a flipped bit in one that is in use is detected.
    let mut seen = 0;
    for at in (0x4400..store.len()).step_by(store.len() / 40) {
        let mut bytes = store.clone();
        bytes[at] ^= 1;
        let (report, code) = scan("a.pst", &bytes, &["--show-suppressed"]);
        let is_whole = report["suppressed"] == whole["suppressed"];
        assert!(is_whole || code == Some(2), "{at:#x}: {report:#}");
        seen += usize::from(code == Some(2));
    }
    assert!(seen > 0);
}

/// Files crafted to take memory, stack or time, with the exit codes that are allowed.
#[cfg(unix)]
#[test]
fn nothing_hostile_takes_much_memory_stack_or_time() {
    let key = expand("{{akia}}").text;
    let keys: String = (0..6000).map(|n| expand(&format!("{{{{akia {n}}}}}\n")).text).collect();
    let addresses: Vec<String> = (0..60_000).map(|n| format!("u{n}@d{n}.example")).collect();
    let to = addresses.join(", ");
    let mut nested = zipped(&[("keys", keys.as_bytes())]);
    for _ in 0..6 {
        nested = zipped(&[(&"n".repeat(65_000), &nested)]);
    }
    let mut mails = format!("From: a@example.com\nTo: b@example.com\n\n{key}\n");
    for depth in 0..2200 {
        let boundary = format!("b{depth}");
        mails = format!(
            "From: a@example.com\nTo: b@example.com\nContent-Type: multipart/mixed; boundary={boundary}\n\n\
             --{boundary}\nContent-Type: message/rfc822\n\n{mails}"
        );
    }
    let mut packed_mails = format!("From: a@example.com\nTo: b@example.com\n\n{key}\n");
    for _ in 0..24 {
        packed_mails = format!(
            "From: a@example.com\nTo: b@example.com\nContent-Type: message/rfc822\n\
             Content-Transfer-Encoding: base64\n\n{}",
            BASE64_MIME.encode(packed_mails.as_bytes())
        );
    }
    let users = format!("[{{\"id\":\"U1\",\"name\":\"{}\"}}]", "n".repeat(1_000_000));
    let day = serde_json::json!([{"type": "message", "user": "U1", "ts": "1", "text": keys}]).to_string();
    let empty_bzip2 = b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0".repeat(600_000);
    let list =
        |count: usize| (0..count).map(|n| format!("\"{}\"", &keys[n * 21..n * 21 + 20])).collect::<Vec<_>>().join(",");
    let comments: String = keys.lines().map(|id| expand(&format!("{id} # {{{{allow}}}} ")).text).collect();
    let cases: Vec<(&str, Vec<u8>, &[i32])> = vec![
        ("long-name.zip", zipped(&[(&"n".repeat(60_000), keys.as_bytes())]), &[1]),
        ("names.zip", nested, &[2]),
        ("addressees.eml", format!("From: a@example.com\nTo: {to}\n\n{keys}").into(), &[1, 2]),
        (
            "subject.eml",
            format!("From: a@example.com\nTo: b@c.example\nSubject: {}\n\n{keys}", "s".repeat(2 << 20)).into(),
            &[1],
        ),
        ("slack.zip", zipped(&[("users.json", users.as_bytes()), ("g/2026-01-01.json", day.as_bytes())]), &[1]),
        ("mails.eml", mails.into(), &[2]),
        ("packed.eml", packed_mails.into(), &[2]),
        ("deep.json", format!("{}\"{key}\"{}", "[".repeat(1 << 20), "]".repeat(1 << 20)).into(), &[1]),
        ("long-key.json", format!("{{\"{}\":[{}]}}", "k".repeat(4 << 20), list(5000)).into(), &[1]),
        ("deep.xml", format!("{}{keys}", "<a>".repeat(1 << 20)).into(), &[1]),
        ("closed.xml", format!("{}<m>{keys}</m>", "<a></a></b>".repeat(300_000)).into(), &[1]),
        ("empty.bz2", empty_bzip2, &[0]),
        ("words.txt", format!("H4sIAAAAAAAA{} ", "A".repeat(40)).repeat(900_000).into(), &[0, 2]),
        ("comments.txt", comments.into(), &[0]),
    ];
    for (name, bytes, codes) in cases {
        let sandbox = Sandbox::new();
        sandbox.write_bytes(name, &bytes);
        for format in ["json", "sarif"] {
            let report = sandbox.path().join("report");
            let report = report.to_str().expect("a name in UTF-8");
            let run = sandbox.run_limited(&["scan", name, "--format", format, "--output", report]);
            assert!(run.code.is_some_and(|code| codes.contains(&code)), "{name}: {:?} {:.300}", run.code, run.stderr);
            assert!(!run.stderr.contains("internal error"), "{name}: {:.300}", run.stderr);
        }
    }
}

#[test]
fn what_follows_a_stream_of_lzma_is_read() {
    let stream = std::fs::read(cases().join("compressed/app.env.lzma")).expect("a case");
    let sandbox = Sandbox::new();
    sandbox.write_bytes("two.lzma", &[&stream[..], &stream].concat());
    let report = sandbox.json(&[".", "--show-suppressed"]);
    let places: Vec<_> =
        report["suppressed"].as_array().expect("a list").iter().map(|one| one["inside"].to_string()).collect();
    assert_eq!(places.len(), 2, "{report}");
    assert!(places.iter().any(|place| place.contains("after the end")), "{places:?}");
}
