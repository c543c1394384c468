//! Rules of all vendors: that the fast search loses nothing, which rules are on, and configurations of gitleaks.

use crate::support::{Sandbox, expand, findings_in};
use keyspill::internals::detect::{Candidate, Detector};
use keyspill::internals::rule::{Form, Matcher, RuleSet, Selection, Shape, example};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

/// All rules of packs that are on by default, each alone, and its positives as a scan would see them.
static RULES: LazyLock<Vec<(Detector, String, Vec<String>)>> = LazyLock::new(|| {
    let all = RuleSet::built_in();
    let from_packs = all.iter().filter(|rule| rule.pack != Some("aws") && matches!(rule.matcher, Matcher::Regex(_)));
    let alone = from_packs.map(|rule| {
        let set = all.filtered(|other| other.id == rule.id);
        let [positives, _] = rule.examples();
        let texts = positives.iter().map(|positive| example::expand(&positive.text).text).collect();
        (Detector::new(Arc::new(set)).at(1_767_225_600), rule.id.to_string(), texts)
    });
    alone.collect()
});

static TOGETHER: LazyLock<Detector> = LazyLock::new(|| Detector::new(Arc::new(RuleSet::built_in())).at(1_767_225_600));

#[test]
fn there_are_rules_for_every_vendor() {
    let all = RuleSet::selected(&Selection::everything());
    let packs: BTreeSet<_> = all.iter().filter_map(|rule| rule.pack).collect();
    assert!(packs.len() >= 14, "{packs:?}");
    assert!(RULES.len() >= 700, "{} rules of other vendors are on", RULES.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever stands around a secret, the search finds what the rule's regex does on its own.
    #[test]
    fn the_search_loses_nothing(
        rule in any::<prop::sample::Index>(),
        positive in any::<prop::sample::Index>(),
        before in "[ -~\n]{0,200}",
        after in "[ -~\n]{0,200}",
    ) {
        let (detector, id, positives) = rule.get(&RULES);
        let text = format!("{before}\n{}\n{after}", positive.get(positives));
        let path = None;
        let found: BTreeSet<_> = detector.detect(text.as_bytes(), path).candidates.iter().map(|c| c.primary().start).collect();
        prop_assert!(!found.is_empty(), "{} is not found in {:?}", id, text);
        let matcher = RuleSet::built_in().get(id).and_then(|rule| rule.regex().map(|regex| regex.source().to_owned()));
        let regex = regex::bytes::Regex::new(&matcher.expect("a regex").replace(r"\A", "")).expect("it compiles");
        for captures in regex.captures_iter(text.as_bytes()) {
            let secret = captures.name("secret").unwrap_or_else(|| captures.get(0).expect("a match"));
            let is_boundary = |byte: Option<&u8>| byte.is_none_or(|b| !b.is_ascii_alphanumeric() && !b"_-".contains(b));
            let before = secret.start().checked_sub(1).and_then(|at| text.as_bytes().get(at));
            // Only what stands alone in the naive search must be found; what its own characters refuse need not.
            if is_boundary(before) && secret.start() > text.find('\n').unwrap_or(0) && positives.iter().any(|p| p.contains(&*String::from_utf8_lossy(secret.as_bytes()))) {
                prop_assert!(found.iter().any(|at| at.abs_diff(secret.start()) < 400), "{} misses {:?}", id, text);
            }
        }
    }

    /// Where one version of a file differs from another by some lines, searching what is new finds what a whole search does.
    #[test]
    fn a_derived_search_loses_nothing(
        rules in prop::collection::vec(any::<[prop::sample::Index; 2]>(), 1..6),
        filler in prop::collection::vec("[ -~]{0,120}", 6..30),
        cut in any::<[prop::sample::Index; 2]>(),
    ) {
        let texts: Vec<&str> = rules.iter().map(|[rule, positive]| positive.get(&rule.get(&RULES).2).as_str()).collect();
        let mut lines: Vec<String> = filler.clone();
        for (n, text) in texts.iter().enumerate() {
            lines.insert((n * 5) % lines.len(), (*text).to_owned());
        }
        let base = lines.join("\n");
        let [from, to] = cut.map(|index| index.index(base.len() + 1));
        prop_assume!(base.is_char_boundary(from) && base.is_char_boundary(to));
        let (from, to) = (from.min(to), from.max(to));
        let text = format!("{}{}{}", &base[..from], texts[0], &base[to..]);
        let shared = [
            keyspill::internals::detect::prefilter::Shared { from: 0, to: 0, length: from },
            keyspill::internals::detect::prefilter::Shared { from: to, to: from + texts[0].len(), length: base.len() - to },
        ];
        let known = TOGETHER.prefilter(base.as_bytes(), None::<(_, std::iter::Empty<_>)>).expect("it is no wide text");
        let derived = TOGETHER.prefilter(text.as_bytes(), Some((&known, shared.into_iter()))).expect("nor is this");
        let whole = TOGETHER.prefilter(text.as_bytes(), None::<(_, std::iter::Empty<_>)>).expect("nor is this");
        prop_assert_eq!(&derived.words, &whole.words);
        prop_assert_eq!(&derived.urls, &whole.urls);
        let marks = |hits: &keyspill::internals::detect::prefilter::Hits| hits.marks.iter().copied().collect::<BTreeSet<_>>();
        prop_assert_eq!(marks(&derived), marks(&whole));
    }
}

/// Rules in the forms that gitleaks' have: with words and without, of any length, over several lines.
const IN_FORMS_OF_GITLEAKS: &str = r#"
[[rules]]
id = "generic-api-key"
regex = '''(?i)[\w.-]{0,50}?(?:access|auth|(?-i:[Aa]pi|API)|key|token)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|:|,)[\x60'"\s=]{0,5}([\w.=-]{10,150}|[a-z0-9][a-z0-9+/]{11,}={0,3})(?:[\x60'"\s;]|\\[nr]|$)'''
keywords = ["access", "api", "auth", "key", "token"]
[[rules]]
id = "jwt"
regex = '''\b(ey[a-zA-Z0-9]{17,}\.ey[a-zA-Z0-9/_-]{17,}\.(?:[a-zA-Z0-9/_-]{10,}={0,2})?)(?:[\x60'"\s;]|$)'''
keywords = ["ey"]
[[rules]]
id = "kubernetes-secret"
regex = '''(?i)(?:\bkind:[ \t]*["']?\bsecret\b(?s:.){0,60}?\bdata:(?s:.){0,40}?\s+([\w.-]+:\s+["']?[a-z0-9+/]{10,}={0,3}))'''
keywords = ["secret"]
[[rules]]
id = "vault-token"
regex = '''\b((?:hvs\.[\w-]{9,120}|s\.(?i:[a-z0-9]{24})))(?:[\s;]|$)'''
keywords = ["hvs.", "s."]
[[rules]]
id = "twilio-api-key"
regex = '''SK[0-9a-fA-F]{32}'''
keywords = ["sk"]
[[rules]]
id = "a-boundary-inside"
regex = '''(?i)\w{2,20}(?:\b-key-|\bkey:)([^\s"']{6,20})'''
keywords = ["key"]
[[rules]]
id = "another-one"
regex = '''(?i)[a-z]{3}(?:\b=tok=){1,2}\s?([^\n]{6,10})\B'''
"#;

fn text_for_gitleaks() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "api",
        "Key",
        "TOKEN",
        "auth",
        " = ",
        "=",
        ">",
        "\"",
        " ",
        "\n",
        ";",
        "ey",
        ".ey",
        ".",
        "kind: Secret\n",
        "data:\n",
        "-key-",
        "key:",
        "=tok=",
        "!",
        " x: ",
        "hvs.",
        " s.",
        "SK",
        "_",
        "-",
        "{",
        "+/",
    ]);
    let piece = prop_oneof![
        4 => word.prop_map(str::to_owned),
        1 => "[a-f0-9]{32}",
        2 => "[a-zA-Z0-9]{1,30}",
        1 => "[a-z0-9]{200,600}",
        1 => "[a-z ]{300,900}"
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Rules of gitleaks are applied only where their matches may be: nothing is lost or added by that, in a text or in what
    /// a version of it shares with another.
    #[test]
    fn rules_of_gitleaks_find_what_their_regexes_do(
        text in text_for_gitleaks(),
        new in text_for_gitleaks(),
        cut in any::<[prop::sample::Index; 2]>(),
    ) {
        static ALL: LazyLock<(Detector, Vec<(String, regex::bytes::Regex)>)> = LazyLock::new(|| {
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), IN_FORMS_OF_GITLEAKS).expect("a file");
            let mut rules = RuleSet::default();
            rules.add_gitleaks(file.path()).expect("rules");
            let regexes = rules.iter().filter_map(|rule| {
                let regex = regex::bytes::Regex::new(rule.regex()?.source()).expect("a regex");
                Some((rule.id.to_string(), regex))
            });
            let regexes = regexes.collect();
            (Detector::new(Arc::new(rules)), regexes)
        });
        let (detector, regexes) = &*ALL;
        let naive = |text: &str| {
            let mut found = BTreeSet::new();
            for (rule, regex) in regexes {
                let mut at = 0;
                while let Some(captures) = (at <= text.len()).then(|| regex.captures_at(text.as_bytes(), at)).flatten() {
                    let secret = captures.iter().skip(1).flatten().next().unwrap_or(captures.get_match());
                    found.insert((rule.clone(), secret.range().start, secret.range().end));
                    at = secret.end().max(captures.get_match().start() + 1);
                }
            }
            // What a rule finds that knows more is not reported by the generic one, too.
            let specific: Vec<_> = found.iter().filter(|(rule, ..)| rule != "generic-api-key").cloned().collect();
            let is_known = |start: usize, end: usize| specific.iter().any(|(_, from, to)| *from <= start && end <= *to);
            found.retain(|(rule, start, end)| rule != "generic-api-key" || !is_known(*start, *end));
            found
        };
        let told = |detection: keyspill::internals::detect::Detection| {
            let spans = detection.candidates.iter().map(|one| (one.rule.id.to_string(), one.primary().start, one.primary().end));
            spans.collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(told(detector.detect(text.as_bytes(), None)), naive(&text));
        let [from, to] = cut.map(|index| index.index(text.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let later = format!("{}{new}{}", &text[..from], &text[to..]);
        let shared = [
            keyspill::internals::detect::prefilter::Shared { from: 0, to: 0, length: from },
            keyspill::internals::detect::prefilter::Shared { from: to, to: from + new.len(), length: text.len() - to },
        ];
        let known = detector.prefilter(text.as_bytes(), None::<(_, std::iter::Empty<_>)>).expect("it is no wide text");
        let derived = detector.prefilter(later.as_bytes(), Some((&known, shared.into_iter()))).expect("nor is this");
        prop_assert_eq!(told(detector.detect_among(later.as_bytes(), None, &derived)), naive(&later));
    }
}

/// Of a rule whose matches may be thousands of bytes long, each place is looked at once, and none is missed.
#[test]
fn long_matches_of_gitleaks_are_found() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "gitleaks.toml",
        "[[rules]]\nid = \"long\"\nregex = '''(?i)token[^z]{0,7000}zz([^\\s]{6,20})!'''\nkeywords = [\"token\"]\n",
    );
    let filler = "token ".repeat(4000);
    sandbox.write("a.txt", &format!("{filler}zz2hdk4nvq! {filler}\n{filler}zz7xkd93hw!"));
    let report = sandbox.json(&[".", "--packs", "aws", "--gitleaks-config", "gitleaks.toml"]);
    let found = findings_in(&report, "a.txt");
    let places: Vec<_> = found.iter().map(|one| one["location"]["byteOffset"].as_u64().expect("a number")).collect();
    let length = filler.len() as u64;
    assert_eq!(places, [length + 2, 3 * length + 2 + 14 - 1], "{report}");
}

/// A rule for the names of files finds something in every version of every file: in history only those with a fitting name
/// are followed.
#[test]
fn rules_for_names_of_files_are_applied_in_history() {
    let sandbox = Sandbox::new();
    sandbox.init();
    let config = Sandbox::new();
    config.write(
        "gitleaks.toml",
        "[[rules]]\nid = \"p12\"\npath = '''(?i)(?:^|\\/)[^\\/]+\\.p(?:12|fx)$'''\n\n\
         [[rules]]\nid = \"in-keys\"\npath = '''(?:^|/)keys/'''\n",
    );
    for (number, (file, text)) in
        [("a/one.P12", "first of all"), ("b.txt", "second of all"), ("a/p12.txt", "third"), ("keys/c", "fourth")]
            .into_iter()
            .enumerate()
    {
        sandbox.write(file, text);
        sandbox.commit(number as u32 + 1, "a.p12");
    }
    // The same content under a name that does not fit is another place.
    sandbox.write("copy.bin", "first of all");
    sandbox.commit(6, "copy");
    for file in ["a/one.P12", "keys/c"] {
        std::fs::remove_file(sandbox.path().join(file)).expect("it is there");
    }
    sandbox.commit(7, "gone");
    let settings = config.path().join("gitleaks.toml").display().to_string();
    let report = sandbox.json(&[".", "--history", "--packs", "aws", "--gitleaks-config", &settings]);
    let found = report["findings"].as_array().expect("findings").iter();
    let found: BTreeSet<_> =
        found.map(|one| (one["rule"].as_str().expect("a rule"), one["path"].as_str().expect("a path"))).collect();
    assert_eq!(found, BTreeSet::from([("p12", "a/one.P12"), ("in-keys", "keys/c")]), "{report}");
}

/// A name and its value are found however a file of another kind writes them.
#[test]
fn assignments_are_found_in_many_notations() {
    let notations = [
        "NAME=VALUE",
        "NAME                = \"VALUE\"",
        "NAME:          VALUE",
        "{\"NAME\": \"VALUE\"}",
        r#"{"source": ["os.environ[\"NAME\"] = \"VALUE\"\n"]}"#,
        r#""{\\\"NAME\\\": \\\"VALUE\\\"}""#,
        r#"{"env": "A=1\nNAME=VALUE\nB=2\n"}"#,
        r#"{"env": "A=1\tNAME=VALUE\tB=2\n"}"#,
        r"NAME\u003dVALUE\n",
        "{&quot;NAME&quot;: &quot;VALUE&quot;}",
        "| NAME | `VALUE` |",
        "- **NAME**: `VALUE`",
        "NAME\u{a0}=\u{a0}VALUE",
        "<string name=\"NAME\">VALUE</string>",
        "\u{feff}NAME=VALUE",
        "+NAME=VALUE",
        "NAME=\x1b[01;31m\x1b[KVALUE\x1b[m",
        "- **NAME:** VALUE",
        "{&#x27;NAME&#x27;: &#x27;VALUE&#x27;}",
        r"\u0022NAME\u0022: \u0022VALUE\u0022",
    ];
    let mut lost = Vec::new();
    let mut count = 0;
    for rule in RuleSet::built_in().iter().filter(|rule| rule.regex().is_some_and(|regex| regex.form == Form::Assigned))
    {
        for positive in &rule.examples()[0] {
            let Some((name, value)) = positive.text.trim_end().split_once('=') else { continue };
            let is_plain =
                |text: &str, others: &[u8]| text.bytes().all(|b| b.is_ascii_alphanumeric() || others.contains(&b));
            if !is_plain(name, b"_") || !is_plain(value, b"_-+/:{}") || !positive.path.is_empty() {
                continue;
            }
            let value = example::expand(value).text;
            count += 1;
            for notation in notations {
                let text = notation.replace("NAME", name).replace("VALUE", &value);
                let found = TOGETHER.detect(text.as_bytes(), None).candidates;
                let secrets = found.iter().filter_map(|candidate| candidate.secret.as_ref());
                if !secrets.into_iter().any(|secret| text[secret.span.clone()].contains(&value)) {
                    lost.push(format!("{}: {notation:?}", rule.id));
                }
            }
        }
    }
    assert!(count > 300, "{count}");
    assert!(lost.is_empty(), "{} of {count}: {lost:#?}", lost.len());
}

/// A file in UTF-16 is judged on its text: an expired key is a note, and a key of another store is called that.
#[test]
fn wide_files_are_judged_as_others_are() {
    let sandbox = Sandbox::new();
    let texts = [
        r#"{"AccessKeyId": "{{asia}}", "SecretAccessKey": "{{secret}}", "Expiration": "2020-01-01T00:00:00Z"}"#,
        "MINIO_ENDPOINT=https://minio.corp.net:9000\naws_access_key_id={{akia}}\naws_secret_access_key={{secret}}\n",
        "[default]\naws_access_key_id={{akia}}\naws_secret_access_key={{secret}}\n",
        "AWSAccessKeyId={{akia}}\nAWSSecretKey={{secret}}\n",
        "aws_secret_access_key={{secret}}\nprintf \"$AWS_SECRET_ACCESS_KEY\" | mail -s key bob@example.com\n",
    ];
    for (number, text) in texts.iter().enumerate() {
        let text = expand(text).text;
        let wide = |bytes: fn(u16) -> [u8; 2], mark: [u8; 2]| {
            [mark.to_vec(), text.encode_utf16().flat_map(bytes).collect()].concat()
        };
        sandbox.write_bytes(&format!("{number}-plain/rootkey.csv"), text.as_bytes());
        sandbox.write_bytes(&format!("{number}-marked/rootkey.csv"), &[b"\xef\xbb\xbf", text.as_bytes()].concat());
        sandbox.write_bytes(&format!("{number}-little/rootkey.csv"), &wide(u16::to_le_bytes, [0xff, 0xfe]));
        sandbox.write_bytes(&format!("{number}-big/rootkey.csv"), &wide(u16::to_be_bytes, [0xfe, 0xff]));
    }
    let told = |name: &str| -> Vec<(String, String, u64)> {
        let told = |finding: &&Value| {
            let text = |name: &str| finding[name].as_str().expect("a text").to_owned();
            (text("rule"), text("severity"), finding["location"]["startLine"].as_u64().expect("a line"))
        };
        // Each alone, as the same key in several files is judged once.
        let report = sandbox.json(&[name]);
        findings_in(&report, name).iter().map(told).collect()
    };
    for number in 0..texts.len() {
        let plain = told(&format!("{number}-plain/rootkey.csv"));
        assert!(!plain.is_empty(), "{number}");
        for order in ["marked", "little", "big"] {
            assert_eq!(told(&format!("{number}-{order}/rootkey.csv")), plain, "{number}-{order}");
        }
    }
}

/// A private key is one wherever its lines are marked.
#[test]
fn keys_in_diffs_mails_and_comments_are_found() {
    let sandbox = Sandbox::new();
    let der = [vec![0x30, 66], (0..66).map(|n| (n * 37 + 11) as u8).collect()].concat();
    let body = data_encoding::BASE64.encode(&der);
    let lines = ["-----BEGIN PRIVATE KEY-----", &body[..64], &body[64..], "-----END PRIVATE KEY-----"];
    for mark in ["", "+", "> ", "// ", "# ", " * ", "    "] {
        let text: String = lines.iter().map(|line| format!("{mark}{line}\n")).collect();
        let run = sandbox.run_with_input(&["scan", "-", "--format", "json"], text.as_bytes());
        assert!(run.stdout.contains("\"private-key\""), "{mark:?}: {}", run.stdout);
    }
}

/// Kubernetes has the values of secrets in base64.
#[test]
fn tokens_in_base64_are_found() {
    let sandbox = Sandbox::new();
    let (mut count, mut lost) = (0, Vec::new());
    for (_, id, positives) in &*RULES {
        let rule = RuleSet::built_in().get(id).expect("it is built in").clone();
        let has_prefix = rule.regex().is_some_and(|regex| matches!(regex.shape, Shape::Prefix { .. }));
        for positive in positives.iter().filter(|_| has_prefix) {
            let found = TOGETHER.detect(positive.as_bytes(), None).candidates;
            let of_rule = found.iter().find(|candidate| candidate.rule.id.as_str() == id);
            let Some(secret) = of_rule.and_then(|candidate| candidate.secret.as_ref()) else { continue };
            count += 1;
            let token = &positive.as_bytes()[secret.span.clone()];
            for end in ["", "\n"] {
                let encoded = data_encoding::BASE64.encode(&[token, end.as_bytes()].concat());
                let text = format!("data:\n  token: {encoded}\n");
                let found = TOGETHER.detect(text.as_bytes(), None).candidates;
                let is_found = |candidate: &Candidate| {
                    let part = candidate.secret.as_ref();
                    part.is_some_and(|part| part.encodings.len() == 1 && text[part.span.clone()].len() > 20)
                };
                if !found.iter().any(is_found) {
                    lost.push(format!("{id}: {end:?}"));
                }
            }
        }
    }
    assert!(count > 300, "{count}");
    assert!(lost.is_empty(), "{} of {count}: {lost:#?}", lost.len());
    // In a file, at its place.
    sandbox.write("secret.yaml", "kind: Secret\ndata:\n  token: {{base62:20 | base64}}\n");
    assert!(sandbox.json(&["."])["findings"].as_array().is_some_and(Vec::is_empty), "random text is no token");
}

/// What a terminal colours is found in a log of it.
#[test]
fn coloured_keys_are_found() {
    let sandbox = Sandbox::new();
    let colours = [
        "\x1b[32m",
        "\x1b[01;31m\x1b[K",
        "\x1b[0;38;2;255;255;255m",
        "\x1b[m",
        "\\x1b[1m",
        "\\u001B[0;32m",
        "[36;1m",
        "%1B[32m",
    ];
    for colour in colours {
        let text = expand(&format!(
            "aws_access_key_id = {colour}{{{{akia}}}}\x1b[0m\naws_secret_access_key = {colour}{{{{secret}}}}\x1b[0m\n\
             token {colour}glpat-{{{{base62:20}}}}\x1b[0m\n"
        ));
        let run = sandbox.run_with_input(&["scan", "-", "--format", "json"], text.text.as_bytes());
        for rule in ["\"aws-access-key-pair\"", "\"gitlab-personal-access-token\""] {
            assert!(run.stdout.contains(rule), "{colour:?}: {rule} in {}", run.stdout);
        }
    }
}

/// What is in a file at a commit is found there, whichever rules apply to its path.
#[test]
fn history_and_commits_tell_what_the_working_tree_does() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("start", "nothing");
    sandbox.commit(1, "start");
    for rule in RuleSet::built_in().iter() {
        for (number, positive) in rule.examples()[0].iter().enumerate() {
            let name = if positive.path.is_empty() { "a.txt" } else { &positive.path };
            sandbox.write(&format!("{}/{number}/{name}", rule.id), &positive.text);
        }
    }
    let found = |args: &[&str]| -> BTreeSet<(String, String)> {
        let report = sandbox.json(&[&["."], args].concat());
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let findings = report["findings"].as_array().expect("findings").iter();
        findings.map(|finding| (text(&finding["path"]), text(&finding["rule"]))).collect()
    };
    let in_tree = found(&[]);
    assert!(in_tree.len() > 1500, "{}", in_tree.len());
    sandbox.commit(2, "all of them");
    for args in [&["--history"][..], &["--range", "HEAD~1..HEAD"]] {
        let other = found(args);
        let differs: Vec<_> = in_tree.symmetric_difference(&other).collect();
        assert!(differs.is_empty(), "{args:?}: {differs:#?}");
    }
}

fn rules_of(report: &Value, path: &str) -> BTreeSet<String> {
    findings_in(report, path).iter().map(|finding| finding["rule"].as_str().expect("a rule").to_owned()).collect()
}

fn set(rules: &[&str]) -> BTreeSet<String> {
    rules.iter().map(|rule| (*rule).to_owned()).collect()
}

#[test]
fn packs_and_rules_are_chosen_on_the_command_line_and_in_the_configuration() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "a.env",
        "ANTHROPIC=x\nDATABASE_URL=postgres://app:{{base62:20}}@db1.prod-cluster.net/x\nAWS_ACCESS_KEY_ID={{akia}}\n",
    );
    sandbox.write(
        "jwt.txt",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI4MTcyNjM1NCIsInJvbGUiOiJhZG1pbiJ9.{{base64url:43}}\n",
    );
    sandbox.write("generic.env", "CLIENT_SECRET={{base62:32}}\n");
    let all = |args: &[&str]| {
        let report = sandbox.json(&[&["."], args].concat());
        ["a.env", "jwt.txt", "generic.env"].map(|path| rules_of(&report, path))
    };
    let [a, jwt, generic] = all(&[]);
    assert_eq!(a, set(&["aws-access-key-id", "postgres-url-password"]));
    assert!(jwt.is_empty() && generic.is_empty(), "rules that are often wrong are off");
    assert_eq!(all(&["--packs", "aws"])[0], set(&["aws-access-key-id"]));
    assert_eq!(all(&["--packs", "passwords,generic"])[2], set(&["generic-secret"]));
    assert_eq!(all(&["--enable", "json-web-token"])[1], set(&["json-web-token"]));
    assert_eq!(all(&["--disable", "postgres-url-password"])[0], set(&["aws-access-key-id"]));
    let wrong = sandbox.run(&["scan", ".", "--disable", "postgres-url-pasword"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("did you mean `postgres-url-password`?"), "{}", wrong.stderr);

    sandbox.write("team/rules.toml", "[[rule]]\nid = \"acme-token\"\nname = \"ACME token\"\ndescription = \"A token.\"\nseverity = \"error\"\ntoken = 'acme_[a-z0-9]{20}'\npositives = [\"acme_{{lower:20}}\"]\n");
    sandbox.write("acme.txt", "acme_{{lower:20}}\n");
    sandbox.write("keyspill.toml", "packs = [\"aws\"]\nenable = [\"json-web-token\"]\nrules = [\"team/rules.toml\"]\n[severity]\nacme-token = \"warning\"\n");
    let report = sandbox.json(&["."]);
    assert_eq!(rules_of(&report, "a.env"), set(&["aws-access-key-id"]));
    assert_eq!(rules_of(&report, "jwt.txt"), set(&["json-web-token"]));
    assert!(rules_of(&report, "acme.txt").contains("acme-token"));
    let audited = sandbox.run(&["audit", ".", "--config", "keyspill.toml", "--format", "json"]);
    assert!(audited.stdout.contains("ACME token"), "{}{}", audited.stdout, audited.stderr);
    for (bad, words) in [
        ("packs = [\"awz\"]\n", "there is no pack"),
        ("disable = [\"nothing\"]\n", "disable: there is no rule"),
        ("rules = [\"none.toml\"]\n", "none.toml cannot be read"),
        ("rules = [\"../outside.toml\"]\n", "rules: "),
    ] {
        sandbox.write("keyspill.toml", bad);
        let run = sandbox.run(&["scan", "."]);
        assert_eq!(run.code, Some(2), "{bad}");
        assert!(run.stderr.contains(words), "{bad}: {}", run.stderr);
    }
}

#[test]
fn of_several_rules_the_one_that_knows_most_reports() {
    let sandbox = Sandbox::new();
    // A token in the URL of a clone is the token's, and not just a password.
    sandbox.write("clone.sh", "git clone https://oauth2:glpat-{{base64url:20}}@gitlab.com/a/b.git\n");
    let report = sandbox.json(&["."]);
    assert_eq!(rules_of(&report, "clone.sh"), set(&["gitlab-personal-access-token"]));
}

#[test]
fn what_has_expired_or_is_for_tests_is_a_note() {
    let sandbox = Sandbox::new();
    let part = |json: &str| data_encoding::BASE64URL_NOPAD.encode(json.as_bytes());
    let token = |exp: &str| {
        let claims = part(&format!("{{\"iss\":\"https://id.acme.example\"{exp}}}"));
        format!("{}.{claims}.{}", part("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"), expand("{{base64url:43}}").text)
    };
    sandbox.write("old.txt", &token(",\"exp\":1600000000"));
    sandbox.write("new.txt", &token(",\"exp\":4100000000"));
    sandbox.write("test.txt", "sk_test_{{base62:24}}\n");
    let report = sandbox.json(&[".", "--enable", "json-web-token"]);
    let severity = |path: &str| findings_in(&report, path)[0]["severity"].as_str().expect("one").to_owned();
    assert_eq!([severity("old.txt"), severity("new.txt"), severity("test.txt")], ["note", "warning", "note"]);
}

#[test]
fn other_vendors_secrets_are_judged_and_not_called_awss() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q"]);
    sandbox.write("a.env", "postgres://app:{{base62:20}}@db1.prod-cluster.net/x\n");
    sandbox.write("b.env", "postgres://app:{{base62:20}}@db1.prod-cluster.net/x\n");
    sandbox.write(
        "mail.eml",
        "From: ann@corp.example\nTo: bob@other.example\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: x\n\npostgres://app:{{base62:20}}@db1.prod-cluster.net/x\n",
    );
    let report = sandbox.json(&[".", "--fail-on", "note"]);
    let rules: BTreeSet<&str> = report["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|finding| finding["rule"].as_str().expect("one"))
        .collect();
    assert!(rules.contains("emailed-secret") && rules.contains("copied-secret"), "{rules:?}");
    assert!(!rules.iter().any(|rule| rule.starts_with("aws-")), "{rules:?}");
    assert!(!report.to_string().contains(&expand("{{base62:20}}").text), "no secret is shown");
}

/// A configuration of gitleaks with everything it knows.
const GITLEAKS: &str = r#"title = "test"
[extend]
path = "base.toml"
disabledRules = ["off"]

[[rules]]
id = "acme-key"
description = "ACME key"
regex = '''(?i)acme[\w.-]{0,10}[ \t]{0,5}[=:][ \t"']{0,5}([a-z0-9]{32})(?:["'\s]|$)'''
entropy = 3
keywords = ["acme"]
[[rules.allowlists]]
stopwords = ["abcdef"]

[[rules]]
id = "group"
regex = '''(id)-(secret)?-([0-9]{6})'''
secretGroup = 3
keywords = ["id-"]
[[rules.allowlists]]
condition = "AND"
regexTarget = "line"
regexes = ['''allowed''']
paths = ['''\.txt$''']

[[rules]]
id = "with-other"
regex = '''main-[a-z]{5}'''
keywords = ["main-"]
[[rules.required]]
id = "helper"
withinLines = 2

[[rules]]
id = "helper"
regex = '''helper-[a-z]{5}'''
keywords = ["helper-"]
skipReport = true

[[rules]]
id = "by-name"
path = '''\.p12$'''
"#;

#[test]
fn a_configuration_of_gitleaks_is_used_as_it_is() {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("g.toml", GITLEAKS.as_bytes());
    sandbox.write_bytes(
        "base.toml",
        b"[[rules]]\nid = \"off\"\nregex = 'off-[0-9]{9}'\nkeywords = [\"off-\"]\n[[rules]]\nid = \"on\"\nregex = 'on-[0-9]{9}'\nkeywords = [\"on-\"]\n",
    );
    sandbox.write(
        "a/one.txt",
        "ACME_KEY = \"{{lower:32}}\"\nacme: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nacme = {{lower:26}}abcdef\n",
    );
    sandbox.write("a/two.txt", "id--123456\nid--123456 allowed\n");
    sandbox.write("a/two.md", "id--123456 allowed\n");
    sandbox.write("a/three.txt", "main-abcde\n\nhelper-abcde\n\n\n\nmain-fghij\n");
    sandbox.write("a/four.txt", "off-123456789\non-123456789\n");
    sandbox.write_bytes("a/five.p12", b"anything");
    let report = sandbox.json(&["a", "--packs", "aws", "--gitleaks-config", "g.toml"]);
    let found: BTreeSet<String> = report["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}:{}", text("rule"), text("path"), finding["location"]["startLine"])
        })
        .collect();
    let expected = [
        "acme-key a/one.txt:1",
        "by-name a/five.p12:1",
        "copied-secret a/two.md:1",
        "group a/two.md:1",
        "group a/two.txt:1",
        "on a/four.txt:2",
        "with-other a/three.txt:1",
    ];
    assert_eq!(found, set(&expected));
    let imported = sandbox.run(&["rules", "import", "g.toml"]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    assert!(imported.stdout.starts_with("6 rules, "), "{}", imported.stdout);
    sandbox.write_bytes("bad.toml", b"[[rules]]\nid = \"x\"\nregex = '''(?<=a)b'''\n");
    let bad = sandbox.run(&["scan", "a", "--gitleaks-config", "bad.toml"]);
    assert_eq!(bad.code, Some(2));
    assert!(bad.stderr.contains("bad.toml") && bad.stderr.contains("rule `x`: line 3"), "{}", bad.stderr);
}
