//! Evidence about keys, and what belongs together: IAM reports, profiles, signatures, names, history.

use crate::support::{Sandbox, expand, findings_in};
use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A credential report in IAM's format.
const REPORT: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated\n\
<root_account>,arn:aws:iam::111122223333:root,2019-01-01T00:00:00+00:00,not_supported,2022-09-20T00:00:00+00:00,not_supported,not_supported,false,true,2019-02-01T00:00:00+00:00,N/A,N/A,N/A,false,N/A\n\
ann,arn:aws:iam::111122223333:user/ann,2019-01-01T00:00:00+00:00,true,2022-09-01T00:00:00+00:00,2022-09-01T00:00:00+00:00,N/A,false,true,2022-09-01T00:00:00+00:00,2022-09-20T00:00:00+00:00,eu-west-1,s3,true,2022-09-01T00:00:00+00:00\n\
bob,arn:aws:iam::111122223333:user/bob,2019-01-01T00:00:00+00:00,false,N/A,N/A,N/A,false,true,2022-01-01T00:00:00+00:00,2022-02-01T00:00:00+00:00,eu-west-1,s3,false,N/A\n";

/// The rules of the findings in a file, with their lines.
fn rules_in(report: &Value, path: &str) -> Vec<(String, u64)> {
    let rule = |finding: &&Value| {
        let id = finding["rule"].as_str().expect("a rule").to_owned();
        (id, finding["location"]["startLine"].as_u64().expect("a line"))
    };
    findings_in(report, path).iter().map(rule).collect()
}

fn with(report: &Value, rule: &str) -> Vec<Value> {
    report["findings"].as_array().expect("findings").iter().filter(|finding| finding["rule"] == rule).cloned().collect()
}

#[test]
fn a_credential_report_is_read_as_a_table_and_as_the_cli_wraps_it() {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("report.csv", REPORT.as_bytes());
    let wrapped = |date: &str| {
        let content = BASE64.encode(REPORT.as_bytes());
        format!(
            "{{\n    \"Content\": \"{content}\",\n    \"ReportFormat\": \"text/csv\",\n    \"GeneratedTime\": \"{date}\"\n}}\n"
        )
    };
    sandbox.write_bytes("now.json", wrapped("2022-09-27T00:00:00+00:00").as_bytes());
    sandbox.write_bytes("early.json", wrapped("2022-01-15T00:00:00+00:00").as_bytes());
    let report = sandbox.json(&["."]);
    let expected = [
        ("aws-credential-report-key-older-90d", 2),
        ("aws-credential-report-root-active-key", 2),
        ("aws-credential-report-root-no-mfa", 2),
        ("aws-credential-report-root-recently-used", 2),
        ("aws-credential-report-two-active-keys", 3),
        ("aws-credential-report-user-no-mfa", 3),
        ("aws-credential-report-key-older-90d", 4),
        ("aws-credential-report-unused-45d", 4),
    ];
    assert_eq!(rules_in(&report, "report.csv"), expected.map(|(rule, line)| (rule.to_owned(), line)));
    let names = |path: &str| {
        let mut names: Vec<_> = rules_in(&report, path).into_iter().map(|(rule, _)| rule).collect();
        names.sort();
        names
    };
    let mut sorted = expected.map(|(rule, _)| rule.to_owned());
    sorted.sort();
    assert_eq!(names("now.json"), sorted, "the same in base64");
    assert!(!names("early.json").contains(&"aws-credential-report-unused-45d".to_owned()), "its own date counts");
    let root = &with(&report, "aws-credential-report-root-active-key")[0];
    assert_eq!(root["id"]["value"], "arn:aws:iam::111122223333:root");
    assert_eq!(root["account"], "111122223333");
    assert_eq!(root["severity"], "error");
    assert!(report["credentials"].as_array().is_some_and(Vec::is_empty), "none of these is a key");
    let explained = sandbox.run(&["rules", "explain", "aws-credential-report-root-no-mfa"]).stdout;
    assert!(explained.contains("CIS AWS Foundations Benchmark 3.0.0: 1.5"), "{explained}");
}

/// As written by openpyxl (`tests/containers/make.py`); a workbook says TRUE in its own way.
#[test]
fn a_credential_report_is_read_as_a_workbook() {
    let workbook = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/containers/reports/credential-report.xlsx");
    let sandbox = Sandbox::new();
    sandbox.write_bytes("report.xlsx", &std::fs::read(workbook).expect("a case"));
    let report = sandbox.json(&["."]);
    let mut rules = rules_in(&report, "report.xlsx");
    rules.sort();
    let expected = [("aws-credential-report-root-active-key", 2), ("aws-credential-report-root-no-mfa", 2)];
    assert_eq!(rules, expected.map(|(rule, line)| (rule.to_owned(), line)));
}

#[test]
fn a_name_and_a_report_make_a_strong_sign() {
    let sandbox = Sandbox::new();
    sandbox.write("app.env", "AWS_ROOT_ACCESS_KEY_ID={{akia}}\nAWS_SECRET_ACCESS_KEY={{secret}}\n");
    let grade = |report: &Value| with(report, "aws-root-key")[0]["judgement"]["grade"].clone();
    assert_eq!(grade(&sandbox.json(&["."])), "medium");
    sandbox.write_bytes("report.csv", REPORT.as_bytes());
    let report = sandbox.json(&["."]);
    assert_eq!(grade(&report), "critical");
    let reasons = with(&report, "aws-root-key")[0]["judgement"]["reasons"].to_string();
    assert!(reasons.contains("report.csv:2 shows an active key of its account's root user."), "{reasons}");
}

/// An id of the given account, which is not that of the placeholders.
fn of_account(number: u64) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits = 1 << 44 | number << 4;
    let digits: String = (0..9).rev().map(|n| char::from(alphabet[(bits >> (5 * n) & 31) as usize])).collect();
    expand("{{akia}}").text.replace("RTX3GSDSQ", &digits)
}

#[test]
fn an_answer_of_get_caller_identity_is_a_sign_for_keys_of_its_account() {
    let answer = "{\n    \"UserId\": \"111122223333\",\n    \"Account\": \"111122223333\",\n    \"Arn\": \"arn:aws:iam::111122223333:root\"\n}\n";
    for (template, expected) in [
        (format!("$ export AWS_ACCESS_KEY_ID={{{{akia}}}}\n$ aws sts get-caller-identity\n{answer}"), 1),
        (
            format!(
                "$ export AWS_ACCESS_KEY_ID={}\n$ aws sts get-caller-identity\n{answer}",
                of_account(444_455_556_666)
            ),
            0,
        ),
        (format!("{}\n{}", of_account(0), answer.replace("111122223333", "000000000000")), 0),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("session.log", &template);
        let report = sandbox.json(&["."]);
        let judged = with(&report, "aws-root-key");
        assert_eq!(judged.len(), expected, "{template}");
        assert!(judged.iter().all(|judged| judged["judgement"]["grade"] == "critical"), "{judged:?}");
    }
}

#[test]
fn an_id_from_before_iam_may_be_a_root_users() {
    let id = ["1Q8WE04TYM", "2ZB7KXNC62"].concat();
    let sandbox = Sandbox::new();
    sandbox.write("old.properties", &format!("AWSAccessKeyId={id}\nAWSSecretKey={{{{secret}}}}\n"));
    sandbox.write("example.properties", "AWSAccessKeyId=022QF06E7MXBSH9DHM02\nAWSSecretKey={{secret b}}\n");
    sandbox.write("lone.properties", &format!("AWSAccessKeyId={id}\n"));
    let report = sandbox.json(&["."]);
    let rules: Vec<_> = rules_in(&report, "old.properties").into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules, ["aws-access-key-pair", "aws-root-key"]);
    assert_eq!(findings_in(&report, "old.properties")[0]["id"]["value"], id.as_str());
    assert_eq!(with(&report, "aws-root-key")[0]["judgement"]["grade"], "low");
    assert_eq!(rules_in(&report, "example.properties"), [], "an example of AWS's");
    assert_eq!(rules_in(&report, "lone.properties"), [], "nothing distinguishes it from other words");
}

#[test]
fn profiles_are_judged() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".aws/credentials",
        "[default]\naws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n\n\
         [prod]\naws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n\n\
         [session]\naws_access_key_id = {{asia}}\naws_secret_access_key = {{secret s}}\n",
    );
    let report = sandbox.json(&["."]);
    let shared = with(&report, "aws-shared-key");
    assert_eq!(shared[0]["judgement"]["grade"], "medium");
    assert_eq!(shared[0]["judgement"]["reasons"][0], "It is used by 2 profiles: default, prod.");
    assert_eq!(with(&report, "aws-default-profile-key").len(), 1);
    assert_eq!(with(&report, "aws-missing-session-token").len(), 1);
    assert_eq!(with(&report, "aws-readable-credentials").len(), if cfg!(unix) { 2 } else { 0 });
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = sandbox.path().join(".aws/credentials");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
        assert_eq!(with(&sandbox.json(&["."]), "aws-readable-credentials").len(), 0);
    }
    sandbox.write(
        ".aws/credentials",
        "[session]\naws_access_key_id = {{asia}}\naws_secret_access_key = {{secret s}}\naws_session_token = x\n",
    );
    assert_eq!(with(&sandbox.json(&["."]), "aws-missing-session-token").len(), 0);
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn signing_key(secret: &str, scope: &[&str]) -> Vec<u8> {
    scope.iter().fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part))
}

/// A pre-signed URL, made as AWS documents it.
fn presigned(id: &str, secret: &str) -> String {
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={id}%2F20260101%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host"
    );
    let request = format!("GET\n/a%20b\n{query}\nhost:x.s3.amazonaws.com\n\nhost\nUNSIGNED-PAYLOAD");
    let hash = HEXLOWER.encode(&Sha256::digest(&request));
    let text = format!("AWS4-HMAC-SHA256\n20260101T000000Z\n20260101/eu-west-1/s3/aws4_request\n{hash}");
    let signature =
        HEXLOWER.encode(&hmac(&signing_key(secret, &["20260101", "eu-west-1", "s3", "aws4_request"]), &text));
    format!("https://x.s3.amazonaws.com/a%20b?{query}&X-Amz-Signature={signature}")
}

#[test]
fn a_signature_proves_a_pair_near_and_far() {
    let (id, secret) = (expand("{{akia p}}").text, expand("{{secret p}}").text);
    let sandbox = Sandbox::new();
    sandbox.write_bytes("near.txt", format!("{id}\n{secret}\n\n\n\n\n\n\n{}\n", presigned(&id, &secret)).as_bytes());
    let report = sandbox.json(&["."]);
    let pair = &with(&report, "aws-access-key-pair")[0];
    assert_eq!(pair["proof"], format!("Proven: the signature of {id} at near.txt:9 was made with this secret."));
    assert_eq!(report["credentials"][0]["proven"], true);

    let far = Sandbox::new();
    far.init();
    far.write_bytes("log/access.log", format!("GET {}\n", presigned(&id, &secret)).as_bytes());
    far.write_bytes("conf/app.py", format!("SECRET_KEY = 'x'\naws_secret_access_key = '{secret}'\n").as_bytes());
    far.write("conf/other.py", "aws_secret_access_key = '{{secret o}}'\n");
    for args in [&["."][..], &["--history", "."]] {
        let report = far.json(args);
        let lone = findings_in(&report, "conf/app.py")[0];
        assert_eq!(lone["partner"]["id"], id.as_str(), "{args:?}");
        assert_eq!(findings_in(&report, "conf/other.py")[0]["partner"], Value::Null, "it signed nothing");
        let credentials = report["credentials"].as_array().expect("credentials");
        let one = credentials.iter().find(|credential| credential["name"] == id.as_str()).expect("it");
        assert_eq!((&one["proven"], &one["secretKnown"], &one["files"]), (&true.into(), &true.into(), &2.into()));
        far.commit(1, "All");
    }
    let wrong = presigned(&id, &expand("{{secret o}}").text);
    sandbox.write_bytes("near.txt", format!("{id}\n{secret}\n\n\n\n\n\n\n{wrong}\n").as_bytes());
    assert_eq!(with(&sandbox.json(&["."]), "aws-access-key-pair")[0]["proof"], Value::Null);
}

#[test]
fn an_smtp_password_is_tied_to_the_secret_it_was_made_from() {
    let secret = expand("{{secret p}}").text;
    let key = signing_key(&secret, &["11111111", "eu-west-1", "ses", "aws4_request"]);
    let password = BASE64.encode(&[&[4][..], &hmac(&key, "SendRawEmail")].concat());
    let sandbox = Sandbox::new();
    sandbox.write_bytes("mail.env", format!("SMTP_PASSWORD={password}\n").as_bytes());
    sandbox.write("app.env", "aws_access_key_id = {{akia p}}\naws_secret_access_key = {{secret p}}\n");
    let report = sandbox.json(&["."]);
    let found = findings_in(&report, "mail.env")[0];
    assert_eq!(found["partner"]["id"], expand("{{akia p}}").text);
    assert_eq!(found["partner"]["reason"], "Proven: it was derived from the secret at app.env:1 for region eu-west-1.");
    assert!(!sandbox.run(&["scan", "."]).stdout.contains(&password));
}

#[test]
fn an_id_and_a_secret_in_different_places_are_linked_if_there_is_no_other_choice() {
    let partner = |sandbox: &Sandbox, args: &[&str]| {
        let report = sandbox.json(args);
        let found = with(&report, "aws-secret-access-key");
        (found[0]["partner"]["id"].clone(), found[0]["partner"]["reason"].as_str().unwrap_or_default().to_owned())
    };
    let id = expand("{{akia}}").text;

    let names = Sandbox::new();
    names.write("prod/id.env", "PROD_AWS_ACCESS_KEY_ID={{akia}}\n");
    names.write("prod/secret.env", "PROD_AWS_SECRET_ACCESS_KEY={{secret}}\n");
    assert_eq!(partner(&names, &["."]).0, id.as_str());
    names.write("prod/third.env", "PROD_AWS_ACCESS_KEY_ID={{akia b}}\n");
    assert_eq!(partner(&names, &["."]).0, Value::Null, "there are two");
    let elsewhere = Sandbox::new();
    elsewhere.write("prod/id.env", "AWS_ACCESS_KEY_ID={{akia}}\n");
    elsewhere.write("dev/secret.env", "AWS_SECRET_ACCESS_KEY={{secret}}\n");
    assert_eq!(partner(&elsewhere, &["."]).0, Value::Null);

    let profile = Sandbox::new();
    profile.write(
        ".aws/config",
        "[profile x]\naws_access_key_id = {{akia}}\n[profile y]\naws_access_key_id = {{akia y}}\n",
    );
    profile.write(".aws/credentials", "[x]\naws_secret_access_key = {{secret}}\n");
    let (found, reason) = partner(&profile, &["."]);
    assert_eq!((found, reason.contains("(same profile)")), (id.as_str().into(), true));

    let history = Sandbox::new();
    history.init();
    history.write("a.env", "AWS_ACCESS_KEY_ID={{akia}}\n");
    history.commit(1, "The id");
    history.write("a.env", "AWS_SECRET_ACCESS_KEY={{secret}}\n");
    history.commit(2, "The secret");
    let (found, reason) = partner(&history, &["--history", "."]);
    assert_eq!((found, reason.contains("(same file history)")), (id.as_str().into(), true), "{reason}");

    let commit = Sandbox::new();
    commit.init();
    commit.write("a/id.txt", "{{akia}}\n");
    commit.write("b/secret.txt", "aws_secret_access_key: {{secret}}\n");
    commit.commit(1, "Both");
    let (found, reason) = partner(&commit, &["--history", "."]);
    assert_eq!((found, reason.contains("(introduced in the same commit)")), (id.as_str().into(), true), "{reason}");

    let same = Sandbox::new();
    same.write("a/pair.txt", "{{akia}} {{secret}}\n");
    same.write("b/secret.txt", "aws_secret_access_key: {{secret}}\n");
    let (found, reason) = partner(&same, &["."]);
    assert_eq!((found, reason.contains("both appear together")), (id.as_str().into(), true), "{reason}");
}

#[test]
fn cards_say_what_to_do() {
    let sandbox = Sandbox::new();
    sandbox.write("new_user_credentials.csv", "User name,Password,Access key ID,Secret access key,Console login link\nann,hunter2hunter2,{{akia}},{{secret}},https://x\n");
    sandbox.write("rootkey.csv", "Access key ID,Secret access key\n{{akia r}},{{secret r}}\n");
    let text = sandbox.run(&["scan", "."]).stdout;
    let id = expand("{{akia}}").text;
    assert!(
        text.contains(&format!("aws iam update-access-key --user-name ann --access-key-id {id} --status Inactive")),
        "{text}"
    );
    assert!(text.contains("sign in to the console as the root user"), "{text}");
    let root = expand("{{akia r}}").text;
    assert!(text.contains(&format!("choose {root}, Actions, Deactivate")), "{text}");
    assert!(!text.contains(&format!("--access-key-id {root}")), "no command reaches a root key: {text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn reports_with_observations_keep_their_schemas() {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("report.csv", REPORT.as_bytes());
    sandbox.write("mail.sh", "echo \"$AWS_SECRET_ACCESS_KEY\" | mail -s key bob@example.com\n");
    sandbox.write(".aws/credentials", "[default]\naws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n");
    let sarif: Value = serde_json::from_str(&sandbox.run(&["scan", ".", "--format", "sarif"]).stdout).expect("JSON");
    let errors: Vec<_> = crate::support::sarif_schema().iter_errors(&sarif).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let schema = crate::support::report_schema();
    let ours = jsonschema::validator_for(&schema).expect("the schema is valid");
    let report = sandbox.json(&["."]);
    let errors: Vec<_> = ours.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(with(&report, "aws-mails-key").len(), 1);
    let one = sandbox.run(&["scan", ".", "-j", "1"]).stdout;
    assert_eq!(one, sandbox.run(&["scan", ".", "-j", "7"]).stdout);
}

#[test]
fn records_of_the_root_user_are_told_in_the_forms_that_tools_write() {
    let id = expand("{{akia}}").text;
    let record = |kind: &str| {
        format!(
            r#"{{"eventVersion":"1.08","userIdentity":{{"type":"{kind}","accountId":"111122223333","accessKeyId":"{id}"}},"eventTime":"2026-01-02T03:04:05Z","eventSource":"s3.amazonaws.com","eventName":"ListBuckets"}}"#
        )
    };
    let quoted = |text: &str| serde_json::to_string(text).expect("text");
    type Form<'a> = &'a dyn Fn(&str) -> String;
    let forms: [(&str, Form); 8] = [
        ("lookup-events", &|kind| {
            format!(
                r#"{{"Events":[{{"EventName":"ListBuckets","AccessKeyId":"{id}","CloudTrailEvent":{}}}]}}"#,
                quoted(&record(kind))
            )
        }),
        ("CloudWatch Logs", &|kind| format!(r#"{{"events":[{{"timestamp":1,"message":{}}}]}}"#, quoted(&record(kind)))),
        ("Athena", &|kind| {
            format!(
                "useridentity,eventname\n\"{{type={kind}, principalid=1, accountid=111122223333, accesskeyid={id}, username=null, invokedby=null}}\",ListBuckets\n"
            )
        }),
        ("Elastic", &|kind| {
            format!(
                r#"{{"aws":{{"cloudtrail":{{"user_identity":{{"type":"{kind}","access_key_id":"{id}"}}}}}},"event":{{"action":"ListBuckets"}}}}"#
            )
        }),
        ("Elastic, flattened", &|kind| {
            format!(
                r#"{{"_source":{{"aws.cloudtrail.user_identity.type":"{kind}","aws.cloudtrail.user_identity.access_key_id":"{id}"}}}}"#
            )
        }),
        ("Elastic, as fields", &|kind| {
            format!(
                r#"{{"fields":{{"aws.cloudtrail.user_identity.type":["{kind}"],"aws.cloudtrail.user_identity.access_key_id":["{id}"]}}}}"#
            )
        }),
        ("GuardDuty", &|kind| {
            format!(
                r#"{{"Type":"Recon:IAMUser/MaliciousIPCaller","Resource":{{"AccessKeyDetails":{{"AccessKeyId":"{id}","UserType":"{kind}"}}}}}}"#
            )
        }),
        ("Security Hub", &|kind| {
            format!(
                r#"{{"Resources":[{{"Type":"AwsIamAccessKey","Id":"AWS::IAM::AccessKey:{id}","Details":{{"AwsIamAccessKey":{{"PrincipalType":"{kind}"}}}}}}]}}"#
            )
        }),
    ];
    for (what, form) in forms {
        for (kind, expected) in [("Root", 1), ("IAMUser", 0)] {
            let sandbox = Sandbox::new();
            let name = if what == "Athena" { "out.csv" } else { "out.json" };
            sandbox.write_bytes(name, form(kind).as_bytes());
            let report = sandbox.json(&["."]);
            let judged = with(&report, "aws-root-key");
            assert_eq!(judged.len(), expected, "{what}, {kind}: {report}");
            assert!(judged.iter().all(|one| one["judgement"]["grade"] == "critical"), "{what}: {judged:?}");
        }
    }
}

#[test]
fn names_and_comments_about_other_root_users_are_no_sign() {
    let pair = "access_key_id: {{akia}}\n    secret_access_key: {{secret}}\n";
    for (text, expected) in [
        (format!("aws:\n  root:\n    {pair}"), 1),
        ("[corp-root]\naws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n".into(), 1),
        ("# the root account key\n{{akia}} {{secret}}\n".into(), 1),
        (format!("aws:\n  rootless:\n    {pair}"), 0),
        (format!("root:\n  other: 1\naws:\n  prod:\n    {pair}"), 0),
        ("# this is NOT the root account\n{{akia}} {{secret}}\n".into(), 0),
        ("# never use a root key, use this\n{{akia}} {{secret}}\n".into(), 0),
        ("# the mysql root user\n{{akia}} {{secret}}\n".into(), 0),
        ("USER root\nENV AWS_ACCESS_KEY_ID={{akia}}\nENV AWS_SECRET_ACCESS_KEY={{secret}}\n".into(), 0),
        ("mysql -u root\n{{akia}} {{secret}}\n".into(), 0),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("a.conf", &text);
        let judged = with(&sandbox.json(&["."]), "aws-root-key");
        assert_eq!(judged.len(), expected, "{text}: {judged:?}");
        assert!(judged.iter().all(|one| one["judgement"]["grade"] == "medium"), "{text}");
    }
}

/// The files in which AWS's tools keep sessions, and answers of STS: what has ended is a note, and both say when.
#[test]
fn sessions_say_until_when_they_work() {
    let sandbox = Sandbox::new();
    let token = "IQoJb3JpZ2luX2Vj{{base64:400}}==";
    sandbox.write(
        ".aws/cli/cache/0123.json",
        &format!(
            "{{\"Credentials\": {{\"AccessKeyId\": \"{{{{asia a}}}}\", \"SecretAccessKey\": \"{{{{secret a}}}}\", \"SessionToken\": \
             \"{token}\", \"Expiration\": \"2026-06-01T12:00:00Z\", \"AccountId\": \"111122223333\"}}, \"ProviderType\": \"assume-role\"}}"
        ),
    );
    sandbox.write(
        ".aws/login/cache/4567.json",
        "{\"accessToken\": {\"accessKeyId\": \"{{asia b}}\", \"secretAccessKey\": \"{{secret b}}\", \"sessionToken\": \
         \"IQoJb3JpZ2luX2Vj{{base64:399}}=\", \"accountId\": \"111122223333\", \"expiresAt\": \"2026-06-01T12:00:00Z\"}, \
         \"tokenType\": \"aws_sigv4\", \"expiresIn\": 900, \"refreshToken\": \"{{base64url:300}}\", \"idToken\": \"x\", \
         \"clientId\": \"arn:aws:signin:::devtools/same-device\"}",
    );
    sandbox.write(
        ".aws/sso/cache/89ab.json",
        "{\"startUrl\": \"https://corp.awsapps.com/start\", \"region\": \"eu-west-1\", \"accessToken\": \
         \"aoa{{base64url:90}}:MGUC{{base64:130}}\", \"expiresAt\": \"2026-06-01T12:00:00Z\", \"refreshToken\": \
         \"aor{{base64url:91}}:MGQC{{base64:131}}\"}",
    );
    // Two keys in one file; only the second one's end is in the past.
    sandbox.write(
        "answers.xml",
        "<AccessKeyId>{{asia c}}</AccessKeyId><SecretAccessKey>{{secret c}}</SecretAccessKey>\
         <Expiration>2036-06-01T12:00:00Z</Expiration>\n\n\n\n\n\n\n\n\n\n\n\n<AccessKeyId>{{asia d}}</AccessKeyId>\
         <SecretAccessKey>{{secret d}}</SecretAccessKey><Expiration>2016-06-01T12:00:00Z</Expiration>\n",
    );
    let severities = |now: &str| {
        let report = sandbox.json(&["scan", ".", "--now", now]);
        let findings = report["findings"].as_array().expect("findings").clone();
        let shown = findings.iter().filter(|finding| finding["judgement"].is_null()).map(|finding| {
            let text = |field: &str| finding[field].as_str().unwrap_or("-").to_owned();
            format!("{} {} {} {}", text("path"), text("rule"), text("severity"), text("expires"))
        });
        shown.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!("sessions_before", severities("2026-06-01T11:59:59Z"));
    insta::assert_snapshot!("sessions_after", severities("2026-06-01T12:00:01Z"));
}

/// IAM Roles Anywhere takes a private key in place of an access key: which one, a profile says.
#[test]
fn private_keys_of_roles_are_told() {
    let sandbox = Sandbox::new();
    let key = |label: &str| {
        format!(
            "-----BEGIN PRIVATE KEY-----\nMEIC{{{{base64:60 {label}}}}}\n{{{{base64:27 {label}b}}}}=\n-----END PRIVATE KEY-----\n"
        )
    };
    sandbox.write("home/.aws/anywhere/key.pem", &key("a"));
    for (n, path) in ["elsewhere/key.pem", "not-anywhere/key.pem", "home/.aws/beside.pem"].into_iter().enumerate() {
        sandbox.write(path, &key(&format!("c{n}")));
    }
    sandbox.write(
        "home/.aws/config",
        "[profile prod]\nregion = eu-west-1\ncredential_process = aws_signing_helper credential-process --certificate \
         ~/.aws/anywhere/cert.pem --private-key ~/.aws/anywhere/key.pem --role-arn arn:aws:iam::111122223333:role/deploy\n\
         [profile dev]\ncredential_process = aws_signing_helper credential-process --private-key ./beside.pem --role-arn \
         arn:aws:iam::111122223333:role/dev\n",
    );
    let report = sandbox.json(&["."]);
    let rules = |path: &str| {
        let found = findings_in(&report, path);
        let mut rules: Vec<_> = found.iter().map(|one| one["rule"].as_str().expect("a rule").to_owned()).collect();
        rules.sort_unstable();
        rules
    };
    assert_eq!(rules("home/.aws/config"), ["aws-roles-anywhere", "aws-roles-anywhere"], "{report}");
    assert_eq!(rules("not-anywhere/key.pem"), ["private-key"], "{report}");
    assert_eq!(rules("home/.aws/beside.pem"), ["aws-roles-anywhere-key", "private-key"], "{report}");
    assert_eq!(rules("home/.aws/anywhere/key.pem"), ["aws-roles-anywhere-key", "private-key"], "{report}");
    assert_eq!(rules("elsewhere/key.pem"), ["private-key"], "{report}");
    let found = findings_in(&report, "home/.aws/anywhere/key.pem");
    let judged = found.iter().find(|one| one["rule"] == "aws-roles-anywhere-key").expect("a judgement");
    assert_eq!(
        judged["judgement"]["reasons"],
        serde_json::json!([
            "The profile prod gets credentials of arn:aws:iam::111122223333:role/deploy with the private \
                            key ~/.aws/anywhere/key.pem, by IAM Roles Anywhere. So says home/.aws/config:3."
        ])
    );
    assert_eq!(judged["severity"], "error");
}
