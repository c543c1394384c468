//! Whose key is it: AWS's, another vendor's, or nobody knows.

use crate::support::{Sandbox, expand, findings_in};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

/// The rules of the findings in a file.
fn rules_in(report: &Value, path: &str) -> Vec<String> {
    findings_in(report, path).iter().map(|finding| finding["rule"].as_str().expect("a rule").to_owned()).collect()
}

#[test]
fn keys_of_others_are_never_called_aws_s() {
    let id = |first: char| format!("{first}{}", ["Q8WE04TYM", "2ZB7KXNC62"].concat());
    let sandbox = Sandbox::new();
    let pair = |first, before: &str| format!("{before}access_key: {}\nsecret_key: {{{{secret}}}}\n", id(first));
    sandbox.write("zero.yml", &pair('0', ""));
    sandbox.write("minio.yml", &pair('1', "endpoint: https://minio.example.com\n"));
    sandbox.write("spaces.yml", &pair('X', "aws:\n  host: nyc3.digitaloceanspaces.com\n"));
    sandbox.write("copy/root_key.yml", &pair('X', "# the root account key\n"));
    sandbox.write("rootkey.csv", &format!("AWSAccessKeyId={}\nAWSSecretKey={{{{secret}}}}\n", id('B')));
    sandbox.write("duo.env", "DUO_SECRET_KEY={{secret d}}\n");
    sandbox.write("bare.env", "SECRET_KEY={{secret e}}\n");
    let url = format!("https://b.s3.amazonaws.com/k?AWSAccessKeyId={}&Expires=1735689600&Signature=x\n", id('X'));
    sandbox.write("link.txt", &url);
    let other = |id: &str, secret: &str| format!("s3:\n  accessKey: {id}\n  secretKey: {{{{secret {secret}}}}}\n");
    sandbox.write("mixed.yml", &other("u4ccRswj62HV3Ifwima7", "f"));
    sandbox.write("alibaba.yml", &other(&["LTAI5tBx7K", "m2Qp9ZsW4r"].concat(), "g"));
    sandbox.write("variable.yml", &other("theAccessKeyOfTheBucket", "h"));
    let report = sandbox.json(&[".", "--now", "2024-01-01"]);
    assert_eq!(rules_in(&report, "variable.yml"), ["aws-secret-access-key"]);
    let expected = [
        ("zero.yml", "s3-compatible-key", None),
        ("minio.yml", "s3-compatible-key", Some("MinIO")),
        ("spaces.yml", "s3-compatible-key", Some("DigitalOcean Spaces")),
        ("copy/root_key.yml", "s3-compatible-key", None),
        ("rootkey.csv", "s3-compatible-key", None),
        ("duo.env", "secret-key-40", Some("Duo")),
        ("bare.env", "secret-key-40", None),
        ("mixed.yml", "secret-key-40", None),
        ("alibaba.yml", "secret-key-40", Some("Alibaba Cloud")),
        ("link.txt", "s3-compatible-key", None),
    ];
    for (file, rule, vendor) in expected {
        assert_eq!(rules_in(&report, file), [rule], "{file}");
        let finding = &findings_in(&report, file)[0];
        assert_eq!(finding["vendor"].as_str(), vendor, "{file}");
        assert_eq!(
            (&finding["severity"], &finding["account"]),
            (&"warning".into(), &serde_json::Value::Null),
            "{file}"
        );
    }
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(expected.len() + 1), "nothing is judged");
}

#[test]
fn a_secret_that_stands_beside_another_store_s_id_is_that_store_s_everywhere() {
    let sandbox = Sandbox::new();
    let id = ["Y4RJU1RNFG", "K48LGO9I2S"].concat();
    let answer = format!("<AccessKeyId>{id}</AccessKeyId>\n<SecretAccessKey>{{{{secret}}}}</SecretAccessKey>\n");
    sandbox.write("answer.xml", &answer);
    sandbox
        .write("prompt.txt", &format!("access_key_id> {id}\nsecret_access_key> {{{{secret}}}}\nregion> us-east-1\n"));
    sandbox.write("command.sh", &format!("mc config host add mine http://192.168.1.106:9000 {id} {{{{secret}}}}\n"));
    sandbox.write("setting.env", "AWS_SECRET_ACCESS_KEY={{secret}}\n");
    let report = sandbox.json(&["."]);
    for file in ["answer.xml", "prompt.txt", "command.sh", "setting.env"] {
        assert_eq!(rules_in(&report, file), ["s3-compatible-key"], "{file}");
    }
}

#[test]
fn a_bare_secret_is_aws_s_once_its_id_is_known() {
    let sandbox = Sandbox::new();
    sandbox.write("a/app.env", "PAYMENTS_SECRET_KEY={{secret}}\n");
    sandbox.write("a/ids.env", "PAYMENTS_ACCESS_KEY_ID={{akia}}\n");
    sandbox.write("b/duo.env", "DUO_SECRET_KEY={{secret b}}\n");
    sandbox.write("b/ids.env", "DUO_ACCESS_KEY_ID={{akia b}}\n");
    let report = sandbox.json(&["."]);
    assert_eq!(rules_in(&report, "a/app.env"), ["aws-secret-access-key"]);
    assert_eq!(findings_in(&report, "a/app.env")[0]["severity"], "error");
    assert_eq!(rules_in(&report, "b/duo.env"), ["secret-key-40"], "it is said to be another vendor's");
}

#[test]
fn links_that_have_expired_are_notes() {
    let sandbox = Sandbox::new();
    let link = "https://b.s3.amazonaws.com/k?X-Amz-Credential={{akia}}%2F20260102%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20260102T000000Z&X-Amz-Expires=300";
    sandbox.write("link.txt", link);
    // As code hosts link to pictures: in the payload of a token.
    let token = BASE64URL_NOPAD.encode(expand(&format!(r#"{{"path":"{link}"}}"#)).text.as_bytes());
    sandbox.write("picture.md", &format!("![](https://images.example.com/1.png?jwt=eyJhbGciOiJIUzI1NiJ9.{token}.x)\n"));
    for (now, severity) in [("2026-01-02T00:04:00Z", "warning"), ("2026-01-02T00:06:00Z", "note")] {
        let report = sandbox.json(&[".", "--now", now]);
        for file in ["link.txt", "picture.md"] {
            let found = findings_in(&report, file);
            let summary: Vec<_> = found.iter().map(|one| (&one["rule"], &one["severity"], &one["expires"])).collect();
            assert_eq!(
                summary,
                [(&"aws-presigned-url".into(), &severity.into(), &"2026-01-02T00:05:00Z".into())],
                "{file} {now}"
            );
        }
    }
}

#[test]
fn tokens_in_expired_links_are_not_shared() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("keyspill.toml", "org_domains = [\"acme.example\"]\n");
    let link = "https://b.s3.amazonaws.com/k?X-Amz-Credential={{asia}}%2F20260102%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20260102T000000Z&X-Amz-Expires=300&X-Amz-Security-Token=IQoJb3JpZ2luX2Vj{{base64:400}}&X-Amz-Signature={{hex:64}}";
    sandbox.write("image.md", link);
    sandbox.git(&["add", "--all", "."]);
    sandbox.git(&["commit", "-q", "--author", "Eve <eve@elsewhere.example>", "-m", "Add an image"]);
    let judged = |now| {
        let report = sandbox.json(&[".", "--history", "--now", now]);
        let all = report["findings"].as_array().expect("a list").clone();
        all.iter().map(|one| format!("{} {}", one["rule"], one["severity"]).replace('"', "")).collect::<Vec<_>>()
    };
    assert!(judged("2026-01-02T00:04:00Z").contains(&"aws-shared-key error".to_owned()));
    let expired = judged("2026-01-02T00:06:00Z");
    assert!(!expired.is_empty() && expired.iter().all(|one| one.ends_with(" note")), "{expired:?}");
}

#[test]
fn a_known_secret_counts_wherever_it_stands() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("chat.txt", "ann: here you are\nann: {{secret}}\nbob: thanks\n");
    sandbox.write("other.txt", "ann: {{secret b}}\n");
    assert_eq!(sandbox.json(&["."])["findings"], Value::Array(vec![]), "nothing says what they are");
    sandbox.commit(1, "Chats");
    sandbox.write("app.env", "AWS_ACCESS_KEY_ID={{akia}}\nAWS_SECRET_ACCESS_KEY={{secret}}\n");
    sandbox.commit(2, "App");
    for args in [&["."][..], &["--history"], &["--range", "HEAD"]] {
        let report = sandbox.json(args);
        assert_eq!(rules_in(&report, "chat.txt"), ["aws-secret-access-key"], "{args:?}");
        assert_eq!(rules_in(&report, "other.txt"), [""; 0], "{args:?}");
        let id = &findings_in(&report, "app.env")[0]["id"]["value"];
        assert_eq!(&findings_in(&report, "chat.txt")[0]["partner"]["id"], id, "{args:?}");
        assert_eq!(report["summary"]["complete"], true);
    }
    assert_eq!(sandbox.json(&["."])["summary"]["files"], 3, "each is counted once");
}

#[test]
fn a_pipe_does_not_keep_files_from_a_second_look() {
    let sandbox = Sandbox::new();
    sandbox.write("a.env", "AWS_SECRET_ACCESS_KEY={{secret}}\n");
    sandbox.write("n.txt", "note {{secret}}\n");
    let note = expand("note {{secret b}}\nAWS_ACCESS_KEY_ID={{akia}}\n").text;
    let run = sandbox.run_with_input(&["scan", ".", "-", "-f", "json", "--stdin-path", "piped.txt"], note.as_bytes());
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(rules_in(&report, "n.txt"), ["aws-secret-access-key"], "{}", run.stdout);
    assert_eq!(rules_in(&report, "piped.txt"), ["aws-access-key-pair"], "{}", run.stdout);
    assert_eq!(report["summary"]["files"], 3);
}

#[test]
fn secrets_of_aws_are_not_demoted_by_what_stands_beside_them() {
    for text in [
        "DEV_AWS_SECRET_ACCESS_KEY={{base62:40 a}}\nPROD_AWS_SECRET_ACCESS_KEY={{base62:40 b}}\n",
        "UNSPLASH_ACCESS_KEY=h3Kd92mfLq0ZxT7bVn4Yc8Wp\nAWS_SECRET_ACCESS_KEY={{secret}}\n",
        "GITHUB_TOKEN=x AWS_SECRET_ACCESS_KEY={{secret}}\n",
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("a.env", text);
        let rules = rules_in(&sandbox.json(&["."]), "a.env");
        assert!(!rules.is_empty() && rules.iter().all(|rule| rule == "aws-secret-access-key"), "{text}: {rules:?}");
    }
}

#[test]
fn what_nothing_calls_an_id_is_not_shown() {
    let sandbox = Sandbox::new();
    let seed = ["JBSWY3DPEH", "PK3PXPAB7D"].concat();
    sandbox.write("users.csv", &format!("user,totp,aws secret access key\nann,{seed},{{{{secret}}}}\n"));
    let run = sandbox.run(&["scan", ".", "-f", "json"]);
    assert!(!run.stdout.contains(&seed), "{}", run.stdout);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(rules_in(&report, "users.csv"), ["aws-secret-access-key"]);
}

#[test]
fn ids_that_imitate_those_of_aws_are_not_called_so() {
    let sandbox = Sandbox::new();
    let id = format!("AKIAJ{}Q", "4MTQ7KXW2PBRVN");
    let pair = format!("access_key_id: {id}\n  secret_access_key: {{{{secret}}}}\n");
    sandbox.write("lakectl.yaml", &format!("# lakectl configuration\ncredentials:\n  {pair}"));
    // Of the same form, in a text that does not speak of lakeFS, or names it as AWS's, or as the key of its store.
    let other = format!("AKIAJ{}Q", "5NTR3KYX7PCSVM");
    let others = pair.replace(&id, &other).replace("secret}}", "secret b}}");
    sandbox.write("other.yaml", &format!("aws:\n  {others}"));
    sandbox.write("store.yaml", &format!("# lakefs\nblockstore:\n  s3:\n  {others}"));
    sandbox.write(".gitallowed", &format!("{id}\n{{{{akia}}}}\n"));
    let report = sandbox.json(&["."]);
    let told = |file: &str| {
        let found = findings_in(&report, file);
        found.iter().map(|one| (one["rule"].to_string(), one["severity"].to_string())).collect::<Vec<_>>()
    };
    let expected = |rule: &str, severity: &str| (format!("{rule:?}"), format!("{severity:?}"));
    assert_eq!(told("lakectl.yaml"), [expected("s3-compatible-key", "warning")], "{report}");
    assert_eq!(told("other.yaml")[..1], [expected("aws-access-key-pair", "error")], "{report}");
    let keys: Vec<_> = told("store.yaml").into_iter().filter(|(rule, _)| rule.contains("pair")).collect();
    assert_eq!(keys, [expected("aws-access-key-pair", "error")], "{report}");
    assert_eq!(told(".gitallowed"), vec![expected("aws-access-key-id", "note"); 2], "{report}");
    let vendor = &findings_in(&report, "lakectl.yaml")[0]["vendor"];
    assert_eq!(vendor, "lakeFS");
}
