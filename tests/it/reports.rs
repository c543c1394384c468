//! Reports: snapshots of what people read, schemas for what programs read, and invariants of all formats.

use crate::support::{Sandbox, expand, sarif_schema};
use serde_json::{Value, json};

/// All report formats.
const FORMATS: [&str; 9] = ["text", "json", "jsonl", "sarif", "github", "gitlab", "junit", "csv", "html"];

/// A small tree with one of everything that a report can show.
fn sample() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox
        .write("aws/credentials", "[default]\naws_access_key_id = {{akia a}}\naws_secret_access_key = {{secret a}}\n");
    sandbox.write("deploy.py", "client(\n  '{{akia a}}',\n  region='eu',\n  x='{{secret a}}')\nprint('{{akia a}}')\n");
    sandbox.write("lone.txt", "the id is {{akia b}}\n");
    sandbox.write("temporary.json", "{\"AccessKeyId\": \"{{asia}}\"}\n");
    sandbox.write("secret.env", "export AWS_SECRET_ACCESS_KEY={{secret c}}\n");
    sandbox.write("k8s.yaml", "data:\n  id: {{akia d | base64}}\n  key: {{secret d | base64}}\n");
    sandbox.write(
        "far.conf",
        &format!("access_key = {{{{akia e}}}}\n{}secret_key = {{{{secret e}}}}\n", "# …\n".repeat(30)),
    );
    sandbox.write("long.js", &format!("{}k='{{{{akia f}}}}';{}", "var a=1;".repeat(300), "var b=2;".repeat(300)));
    sandbox.write("docs.md", "AKIAIOSFODNN7EXAMPLE\n");
    sandbox.write("allowed.py", "k = '{{akia g}}'  # {{allow}} aws-access-key-id for the tests\n# {{allow}}\n");
    sandbox.write("smtp.yml", "smtp_user: {{akia h}}\nsmtp_password: {{ses}}\n");
    sandbox.write("sp ace/ñ#%?.txt", "{{akia i}} in a path that needs encoding\n");
    sandbox
}

/// Replaces made-up keys in a report by their placeholders, so that no snapshot contains anything that looks like a
/// key.
fn redact(report: &str) -> String {
    let mut report = report.to_owned();
    for label in ["a", "b", "d", "e", "f", "g", "h", "i"] {
        let id = format!("{{{{akia {label}}}}}");
        report = report.replace(&expand(&id).text, &format!("[KEY ID {label:<12}]"));
        let wrapped = expand(&format!("{{{{akia {label} | base64}}}}")).text;
        report =
            report.replace(wrapped.trim_end_matches('='), &format!("[KEY ID {:<18}]", format!("{label} IN BASE64")));
    }
    report
        .replace(&expand("{{asia}}").text, "[TEMPORARY KEY ID  ]")
        .replace(&expand("{{allow}}").text, "[ALLOW MARKER]")
}

#[test]
fn text_is_drawn_for_people() {
    let run = sample().run(&["scan", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    insta::assert_snapshot!(redact(&run.stdout));
}

#[test]
fn text_shows_what_does_not_count_if_asked() {
    let run = sample().run(&["scan", "docs.md", "allowed.py", "--show-suppressed"]);
    assert_eq!(run.code, Some(0));
    insta::assert_snapshot!(redact(&run.stdout));
}

#[test]
fn colours_only_if_wanted() {
    let sandbox = sample();
    assert!(!sandbox.run(&["scan", "lone.txt"]).stdout.contains('\u{1b}'));
    assert!(sandbox.run(&["scan", "lone.txt", "--color", "always"]).stdout.contains('\u{1b}'));
}

#[test]
fn json_is_as_the_schema_says() {
    let schema = crate::support::report_schema();
    let document = jsonschema::validator_for(&schema).expect("the schema is valid");
    let line_schema = json!({ "$schema": schema["$schema"], "$ref": "#/$defs/line", "$defs": schema["$defs"] });
    let line = jsonschema::validator_for(&line_schema).expect("the schema of a line is valid");
    let sandbox = sample();
    for extra in [&[][..], &["--show-suppressed", "--stats"], &["--max-file-size", "60B"]] {
        let args = [&["scan", ".", "missing"], extra].concat();
        let json: Value =
            serde_json::from_str(&sandbox.run(&[&args[..], &["--format", "json"]].concat()).stdout).expect("JSON");
        let errors: Vec<_> =
            document.iter_errors(&json).map(|error| format!("{error} at {}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?}");
        let lines = sandbox.run(&[&args[..], &["--format", "jsonl"]].concat()).stdout;
        assert!(lines.lines().count() > 5);
        for text in lines.lines() {
            let json: Value = serde_json::from_str(text).expect("a line is JSON");
            let errors: Vec<_> = line.iter_errors(&json).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?} in {text}");
        }
    }
}

#[test]
fn the_schema_refuses_what_it_should() {
    let schema = crate::support::report_schema();
    let document = jsonschema::validator_for(&schema).expect("the schema is valid");
    let mut report = sample().json(&["lone.txt"]);
    assert!(document.is_valid(&report));
    report["findings"][0]["location"]["startLine"] = json!(0);
    assert!(!document.is_valid(&report));
}

fn sarif(sandbox: &Sandbox, args: &[&str]) -> Value {
    let run = sandbox.run(&[&["scan", "--format", "sarif"], args].concat());
    serde_json::from_str(&run.stdout).expect("SARIF is JSON")
}

#[test]
fn sarif_is_as_the_schema_says() {
    let schema = sarif_schema();
    for args in [&["."][..], &[".", "missing", "--sarif-suppressed", "--stats", "--max-file-size", "60B"]] {
        let report = sarif(&sample(), args);
        let errors: Vec<_> =
            schema.iter_errors(&report).map(|error| format!("{error} at {}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    assert!(!schema.is_valid(&json!({ "version": "2.1.0", "runs": [{ "results": 1 }] })));
}

#[test]
fn sarif_has_what_code_hosts_read() {
    let report = sarif(&sample(), &["."]);
    let run = &report["runs"][0];
    assert_eq!(run["columnKind"], "utf16CodeUnits");
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    for rule in run["tool"]["driver"]["rules"].as_array().expect("rules") {
        let severity = rule["properties"]["security-severity"].as_str().expect("a string, as GitHub wants it");
        assert!(severity.parse::<f64>().is_ok_and(|severity| (0.0..=10.0).contains(&severity)));
        for text in ["shortDescription", "fullDescription", "help"] {
            assert!(rule[text]["text"].as_str().is_some_and(|text| !text.is_empty()), "{text} of {rule}");
        }
    }
    let results = run["results"].as_array().expect("results");
    assert!(results.len() >= 10);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("a small index");
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        let location = &result["locations"][0]["physicalLocation"];
        let uri = location["artifactLocation"]["uri"].as_str().expect("a URI");
        assert!(uri.is_ascii() && !uri.contains([' ', '#', '?', '\\']) && !uri.starts_with('/'), "{uri}");
        let region = &location["region"];
        assert!(region["endColumn"].as_u64() > region["startColumn"].as_u64(), "{region}");
        // The message links to every related location, and to nothing else.
        let text = result["message"]["text"].as_str().expect("a message");
        let related = result["relatedLocations"].as_array().map(Vec::as_slice).unwrap_or_default();
        for location in related {
            assert!(text.contains(&format!("]({})", location["id"])), "{text}");
        }
        assert_eq!(text.matches("](").count(), related.len(), "{text}");
    }
    let encoded = results.iter().find(|result| {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "sp%20ace/%C3%B1%23%25%3F.txt"
    });
    assert!(encoded.is_some(), "the path with special characters is missing");
}

#[test]
fn sarif_uris_start_at_the_repository() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "."]);
    sandbox.write("sub/dir/x.txt", "{{akia}}\n");
    let report = sarif(&sandbox, &["sub/dir/x.txt"]);
    assert_eq!(
        report["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "sub/dir/x.txt"
    );
}

#[test]
fn secrets_are_never_shown_unless_asked() {
    let sandbox = sample();
    sandbox.write(
        "row.csv",
        "User name,Password,Access key ID,Secret access key\nbob,Tr0ub4dor,{{akia j}},{{secret j}}\n",
    );
    sandbox.write("two.txt", "{{akia k}} {{secret k}} {{secret l}} password={{base62:30}}\n");
    sandbox.write_bytes(
        "wide.txt",
        &expand("{{akia m}} {{secret m}} {{secret n}}")
            .text
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<_>>(),
    );
    sandbox.write("allowed.c", "/* {{allow}} because */ i = \"{{akia o}}\", k = \"{{secret o}}\";\n");
    sandbox.write("allowed.sh", "# {{allow}} because {{akia p}} {{secret p}} {{secret q | percent}}\n");
    sandbox.write("token.txt", "IQoJb3JpZ2luX2Vj{{base64:400}}\nABSK{{base64:128}}\nda2-{{lower:26}}\n");
    let mut hidden: Vec<String> = ["a", "c", "d", "e", "j", "k", "l", "m", "n", "o", "p", "q"]
        .map(|label| expand(&format!("{{{{secret {label}}}}}")).text)
        .into();
    hidden.extend(
        [
            "{{ses}}",
            "{{base62:30}}",
            "{{secret d | base64}}",
            "{{base64:400}}",
            "{{base64:128}}",
            "{{lower:26}}",
            "Tr0ub4dor",
        ]
        .map(|template| expand(template).text),
    );
    for format in FORMATS {
        let run = sandbox.run(&["scan", ".", "--show-suppressed", "--sarif-suppressed", "--format", format]);
        let output = run.stdout + &run.stderr;
        for secret in &hidden {
            // Nor any part of it.
            for part in secret.as_bytes().windows(9) {
                let part = std::str::from_utf8(part).expect("ASCII");
                assert!(!output.contains(part), "{format}: {part} of {secret}");
            }
        }
    }
    let clear = sandbox.run(&["scan", ".", "--show-secrets", "--format", "json"]).stdout;
    assert!(clear.contains(&hidden[0]));
}

/// A secret can be split into pieces that no rule recognises.
#[test]
fn no_piece_of_a_secret_is_shown_beside_an_id() {
    let [id, secret] = ["{{akia}}", "{{secret}}"].map(|placeholder| expand(placeholder).text);
    for length in [8, 10, 13, 20] {
        let pieces: Vec<_> = secret.as_bytes().chunks(length).map(|part| String::from_utf8_lossy(part)).collect();
        let sandbox = Sandbox::new();
        sandbox.write_bytes("a.py", format!("client(\"{id}\", \"{}\")\n", pieces.join("\" + \"")).as_bytes());
        sandbox.write_bytes(
            "a.eml",
            format!("From: a@x.example\nTo: b@y.example\nSubject: {}\n\n{id}\n", pieces.join(" ")).as_bytes(),
        );
        sandbox.init();
        sandbox.commit(0, &format!("Use {id} with {}", pieces.join(" and ")));
        for (format, scope) in FORMATS.into_iter().flat_map(|format| [(format, "."), (format, "--history")]) {
            let run = sandbox.run(&["scan", scope, "--format", format]);
            assert_eq!(run.code, Some(1), "{format} {scope}: {}", run.stderr);
            assert!(run.stdout.contains(&id));
            for piece in pieces.iter().filter(|piece| piece.len() >= 8) {
                assert!(!run.stdout.contains(&**piece), "{format} {scope}, pieces of {length}");
            }
        }
    }
}

#[test]
fn names_of_branches_tags_and_files_are_shown_without_secrets() {
    let [id, secret, bare] =
        ["{{akia b}}", "{{base62:40}}", "{{base62:40}}"].map(|placeholder| expand(placeholder).text);
    let bare: String = bare.chars().rev().collect();
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("a.env", "{{akia}} {{secret}}\n");
    sandbox.write(&format!("of-{bare}.env"), "{{akia}} {{secret}}\n");
    sandbox.commit(0, "Keys");
    sandbox.git(&["checkout", "-q", "-b", &format!("fix/{id}")]);
    sandbox.git(&["tag", &format!("v-{bare}")]);
    sandbox.git(&["checkout", "-q", "-b", &format!("aws_secret_access_key={secret}")]);
    for format in FORMATS {
        for scope in [&["--history"][..], &["."], &["--branch", "HEAD"]] {
            let run = sandbox.run(&[&["scan", "--format", format][..], scope].concat());
            let shown = run.stdout + &run.stderr;
            assert!(!shown.contains(&secret) && !shown.contains(&bare), "{format} {scope:?}: {shown}");
        }
    }
    let report = sandbox.json(&["--history"]);
    let found = report["findings"].as_array().expect("findings");
    assert!(found.iter().any(|finding| finding["path"] == ".git/refs" && finding["id"]["value"] == id), "{report:#}");
}

/// Reports are printed to terminals, and to logs that CI servers parse.
#[test]
fn no_report_holds_raw_control_characters_or_commands() {
    let sandbox = Sandbox::new();
    let name = "\u{9b}31m \u{202e} \u{2028} \u{200b} ##[error]x ##vso[task.complete]";
    sandbox.write(&format!("::error::{name}.txt"), "{{akia}} {{secret}}\n");
    sandbox.write_bytes(
        "a.eml",
        expand(&format!("From: {name} <a@x.example>\nTo: b@y.example\n\n{{{{akia}}}}\n")).text.as_bytes(),
    );
    sandbox.init();
    sandbox.commit(0, name);
    for (format, scope) in FORMATS.into_iter().flat_map(|format| [(format, "."), (format, "--history")]) {
        let run = sandbox.run(&["scan", scope, "--format", format, "gone"]);
        let is_raw =
            |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t') || "\u{202e}\u{2028}\u{200b}".contains(c);
        for text in [&run.stdout, &run.stderr] {
            assert!(!text.contains(is_raw), "{format} {scope}: {text:?}");
        }
        let is_command =
            |line: &str| line.trim_start().starts_with("::") || line.contains("##[") || line.contains("##vso[");
        assert!(!run.stderr.lines().any(is_command), "{}", run.stderr);
        if format == "text" {
            assert!(!run.stdout.lines().any(is_command), "{}", run.stdout);
        }
    }
}

#[test]
fn reports_do_not_depend_on_the_number_of_threads() {
    let sandbox = sample();
    for n in 0..200 {
        sandbox
            .write(&format!("many/{}/{n}.txt", n % 7), &format!("{{{{akia {n}}}}} {{{{secret {n}}}}}\n{{{{akia a}}}}"));
    }
    for format in FORMATS {
        let run = |threads| {
            sandbox.run(&["scan", ".", "gone", "--show-suppressed", "--format", format, "--threads", threads]).stdout
        };
        let one = run("1");
        assert!(one.len() > 1000);
        for threads in ["2", "3", "8"] {
            assert_eq!(run(threads), one, "{format} with {threads} threads");
        }
    }
}

#[test]
fn hostile_text_cannot_steer_the_terminal() {
    let sandbox = Sandbox::new();
    sandbox.write("a\u{1b}[31mb\u{202e}.txt", "\u{1b}]0;title\u{7} {{akia}} \u{202e}\u{9b}2J\n");
    let run = sandbox.run(&["scan", "."]);
    let odd = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert_eq!(run.stdout.chars().find(|&c| odd(c)), None, "{:?}", run.stdout);
    assert!(run.stdout.contains("found 1 "));
}

#[test]
fn several_formats_in_one_run() {
    let sandbox = sample();
    let run = sandbox.run(&[
        "scan", ".", "--format", "json", "--output", "r.json", "--format", "sarif", "-o", "r.sarif", "--format", "text",
    ]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stdout.contains("found 5 errors"), "{}", run.stdout);
    for file in ["r.json", "r.sarif"] {
        let text = std::fs::read_to_string(sandbox.path().join(file)).expect("the report");
        serde_json::from_str::<Value>(&text).expect("JSON");
    }
    let two = sandbox.run(&["scan", ".", "--format", "json", "--format", "text"]);
    assert_eq!(two.code, Some(2));
    assert!(two.stderr.contains("only one --format can go to standard output"), "{}", two.stderr);
    let orphan = sandbox.run(&["scan", ".", "-o", "a", "-o", "b"]);
    assert_eq!(orphan.code, Some(2));
    let nowhere = sandbox.run(&["scan", ".", "-o", "no/such/dir/report"]);
    assert_eq!(nowhere.code, Some(2));
    assert!(
        nowhere.stderr.contains("cannot write no/such/dir/report: no such file or directory"),
        "{}",
        nowhere.stderr
    );
}

#[test]
fn every_other_format_is_as_it_was() {
    let sandbox = sample();
    for format in ["github", "gitlab", "junit", "csv", "html"] {
        let run = sandbox.run(&["scan", ".", "missing", "--format", format]);
        assert_eq!(run.code, Some(2), "{format}: {}", run.stderr);
        // Style changes are not content changes.
        let (start, end) = (run.stdout.find("<style>"), run.stdout.find("</style>"));
        let text = match (start, end) {
            (Some(start), Some(end)) => format!("{}{}", &run.stdout[..start], &run.stdout[end..]),
            _ => run.stdout,
        };
        insta::assert_snapshot!(format!("format_{format}"), redact(&text));
    }
}

#[test]
fn hostile_names_are_only_text_in_every_format() {
    let sandbox = Sandbox::hostile();
    let write = |format| sandbox.run(&["scan", "--history", ".", "--format", format]).stdout;
    let page = write("html");
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
    assert!(!page.contains("<img") && page.contains("&lt;img src=x onerror=alert(1)&gt;"), "{page}");
    assert!(!page.contains("http://") && !page.contains("https://"), "it needs no network");
    let github = write("github");
    let is_command = |line: &&str| line.starts_with("::");
    assert_eq!(
        github.lines().filter(is_command).count(),
        github.lines().count() - 1,
        "one line each, and the summary: {github}"
    );
    assert!(github.contains("%250A%3A%3Aerror%3A%3A"), "{github}");
    let mut rows = csv::Reader::from_reader(write("csv").into_bytes().leak() as &[u8]);
    let cells: Vec<_> =
        rows.records().flat_map(|row| row.expect("a row").iter().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(cells.len() > 20 && cells.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "{cells:?}");
    for format in ["github", "gitlab", "junit", "csv", "html", "text"] {
        let text = write(format);
        assert!(text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r')), "{format}: {text:?}");
    }
    let gitlab: Value = serde_json::from_str(&write("gitlab")).expect("JSON");
    let found = gitlab["vulnerabilities"].as_array().expect("a list");
    let ids: std::collections::BTreeSet<_> = found.iter().map(|one| one["id"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), found.len(), "each has its own id");
    let junit = write("junit");
    let mut depth = 0;
    let mut reader = quick_xml::Reader::from_str(&junit);
    loop {
        match reader.read_event().expect("it is well-formed") {
            quick_xml::events::Event::Start(_) => depth += 1,
            quick_xml::events::Event::End(_) => depth -= 1,
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
}

#[test]
fn gitlab_gets_what_its_schema_demands() {
    let report: Value = serde_json::from_str(&sample().run(&["scan", ".", "--format", "gitlab"]).stdout).expect("JSON");
    assert_eq!((&report["version"], &report["scan"]["type"]), (&"15.0.7".into(), &"secret_detection".into()));
    assert_eq!(report["scan"]["start_time"], "2022-09-27T00:00:00");
    for tool in ["analyzer", "scanner"] {
        for key in ["id", "name", "version"] {
            assert!(report["scan"][tool][key].as_str().is_some_and(|text| !text.is_empty()));
        }
    }
    for found in report["vulnerabilities"].as_array().expect("a list") {
        assert!(["Critical", "High", "Medium", "Low"].contains(&found["severity"].as_str().expect("a word")));
        assert!(found["identifiers"][0]["value"].is_string() && found["location"]["commit"]["sha"].is_string());
        assert!(found["name"].as_str().is_some_and(|name| name.len() <= 255));
    }
    // The id does not change when lines move.
    let id = |before: &str| {
        let sandbox = Sandbox::new();
        sandbox.write("a.txt", &format!("{before}{{{{akia}}}}\n"));
        let report: Value =
            serde_json::from_str(&sandbox.run(&["scan", "a.txt", "--format", "gitlab"]).stdout).expect("JSON");
        report["vulnerabilities"][0]["id"].as_str().expect("an id").to_owned()
    };
    assert_eq!(id(""), id("x\ny\n"));
}

#[test]
fn sarif_tells_new_from_accepted_and_suppressed_on_request() {
    let sandbox = sample();
    let result = |args: &[&str]| sarif(&sandbox, args)["runs"][0]["results"].as_array().expect("results").clone();
    assert!(result(&["."]).iter().all(|result| result.get("baselineState").is_none()));
    assert_eq!(sandbox.run(&["baseline", "create", "lone.txt"]).code, Some(0));
    let with = result(&[".", "--sarif-suppressed"]);
    let states = |state: &str| with.iter().filter(|result| result["baselineState"] == state).count();
    assert_eq!(states("unchanged"), 1);
    assert!(states("new") > 5);
    assert!(with.iter().any(|result| result["suppressions"][0]["kind"] == "inSource"));
    assert!(result(&[".", "--show-suppressed"]).iter().all(|result| result.get("suppressions").is_none()));
}

#[test]
fn sarif_keeps_to_what_code_hosts_take() {
    let sandbox = Sandbox::new();
    let lines: String = (0..25_010).map(|n| expand(&format!("{{{{akia {n}}}}}\n")).text).collect();
    sandbox.write_bytes("many.txt", lines.as_bytes());
    sandbox.write("pair.txt", "{{akia}} {{secret}}\n");
    let report = sarif(&sandbox, &["."]);
    let run = &report["runs"][0];
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 25_000);
    assert!(results.iter().any(|result| result["ruleId"] == "aws-access-key-pair"), "the most severe are kept");
    let told = run["invocations"][0]["toolExecutionNotifications"].to_string();
    assert!(told.contains("The 11 least severe results are left out"), "{told}");
}

/// What can be skipped for has a word, and programs that read reports are told all of them.
#[test]
fn the_schema_knows_every_cause() {
    let source = include_str!("../../src/source/skip.rs");
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../schemas/report-2.schema.json")).expect("JSON");
    let known: Vec<&str> =
        schema["$defs"]["cause"]["enum"].as_array().expect("words").iter().filter_map(|word| word.as_str()).collect();
    let word = regex::Regex::new("=> \"([a-z-]+)\",").expect("a regex");
    let words: Vec<&str> = word.captures_iter(source).map(|found| found.get(1).expect("a group").as_str()).collect();
    assert!(words.len() > 20, "{words:?}");
    assert!(words.iter().all(|word| known.contains(word)), "{words:?}");
}

/// The console's table of new users has their passwords, which no rule could tell.
#[test]
fn passwords_in_tables_are_never_shown() {
    let sandbox = Sandbox::new();
    for delimiter in [",", ";", "\t"] {
        let rows = ["User name,Password,Access key ID,Secret access key", "ann,pw!7xQ,{{akia}},{{secret}}"];
        let text = expand(&format!("{}\n", rows.join("\n").replace(',', delimiter))).text;
        let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        for bytes in [text.as_bytes(), &wide] {
            sandbox.write_bytes("users.csv", bytes);
            for format in ["text", "json", "html"] {
                let shown = sandbox.run(&["scan", "users.csv", "--format", format]).stdout;
                assert!(
                    shown.contains("AKIA") && !shown.contains("pw!7xQ") && !shown.contains("7xQ"),
                    "{format}: {shown}"
                );
            }
        }
    }
}
