//! How all findings of a key are graded together: each row of the tables of mailed and shared keys.

use crate::support::{Sandbox, expand};
use serde_json::Value;

const ORG: &str = "org_domains = [\"corp.example\"]\norg_accounts = [\"111122223333\"]\n";

fn key() -> String {
    expand("aws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n").text
}

/// The judgements of a report for a rule: grade, severity, reasons.
fn judgements(report: &Value, rule: &str) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let findings = report["findings"].as_array().expect("findings").iter().filter(|finding| finding["rule"] == rule);
    let told = findings.map(|finding| {
        let judgement = &finding["judgement"];
        let reasons: Vec<_> = judgement["reasons"].as_array().expect("reasons").iter().map(text).collect();
        assert!(judgement["evidence"].as_array().is_some_and(|evidence| !evidence.is_empty()));
        (text(&judgement["grade"]), text(&finding["severity"]), reasons.join(" "))
    });
    told.collect()
}

/// One mail with the key, scanned under a configuration.
fn mailed(headers: &str, body: &str, config: &str) -> Vec<(String, String, String)> {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("keyspill.toml", config.as_bytes());
    sandbox.write_bytes(
        "a.eml",
        format!("{headers}Subject: x\nDate: Thu, 01 Jan 2026 10:00:00 +0000\n\n{body}").as_bytes(),
    );
    judgements(&sandbox.json(&["."]), "aws-emailed-key")
}

#[test]
fn mails_are_graded_by_who_got_them() {
    let secret = expand("the secret access key is {{secret}}\n").text;
    let id = expand("the id is {{akia}}\n").text;
    let inside = "From: ann@corp.example\nTo: bob@mail.corp.example\n";
    for (headers, body, config, grade, severity, reason) in [
        (inside, key(), ORG, "high", "error", "by ann@corp.example to bob@mail.corp.example"),
        (inside, secret.clone(), ORG, "high", "error", "It was mailed"),
        (inside, id.clone(), ORG, "low", "note", "It was mailed"),
        (inside, key(), "", "high", "error", "org_domains is not set"),
        (
            "From: ann@corp.example\nTo: bob@evil-corp.example\n",
            key(),
            ORG,
            "critical",
            "error",
            "bob@evil-corp.example is outside",
        ),
        ("From: ann@corp.example\nTo: bob@corp.example.evil.io\n", key(), ORG, "critical", "error", "is outside"),
        (
            "From: ann@partner.example\nTo: bob@corp.example\n",
            key(),
            ORG,
            "critical",
            "error",
            "ann@partner.example is outside",
        ),
        (
            "From: ann@corp.example\nTo: bob@corp.example\nBcc: x@y.example\n",
            key(),
            ORG,
            "critical",
            "error",
            "x@y.example is outside",
        ),
        (
            "From: ann@corp.example\nCc: c@d.example, e@f.example\n",
            key(),
            ORG,
            "critical",
            "error",
            "c@d.example, e@f.example are outside",
        ),
        (
            "From: ann@corp.example\nTo: all@corp.example\nList-Id: <all.corp.example>\n",
            key(),
            ORG,
            "critical",
            "error",
            "mailing list",
        ),
        (
            "From: ann@corp.example\nTo: \"AWS Support\" <x@corp.example>\n",
            key(),
            ORG,
            "critical",
            "error",
            "AWS Support <x@corp.example> claims to be AWS",
        ),
        (
            "From: no-reply@amazon-security.io\nTo: bob@corp.example\n",
            key(),
            "",
            "critical",
            "error",
            "claims to be AWS or Amazon",
        ),
        ("From: ann@corp.example\nTo: bob@partner.example\n", id, ORG, "low", "note", "It was mailed"),
    ] {
        let found = mailed(headers, &body, config);
        assert_eq!(found.len(), 1, "{headers}: {found:?}");
        let (found_grade, found_severity, reasons) = &found[0];
        assert_eq!((found_grade.as_str(), found_severity.as_str()), (grade, severity), "{headers}: {reasons}");
        assert!(reasons.contains(reason), "{headers}: {reasons}");
    }
    assert_eq!(mailed("From: ann@corp.example\nMessage-ID: <1@x>\n", &key(), ORG), [], "it has no recipient");
}

#[test]
fn patches_count_as_mailed_if_they_were() {
    let start = format!("From {} Mon Sep 17 00:00:00 2001\nFrom: Ann <ann@corp.example>\n", "0".repeat(40));
    for (to, expected) in [("", 0), ("To: list@lists.example\n", 1)] {
        let sandbox = Sandbox::new();
        sandbox.write_bytes("a.patch", format!("{start}{to}Subject: [PATCH] x\n\n{}", key()).as_bytes());
        assert_eq!(judgements(&sandbox.json(&["."]), "aws-emailed-key").len(), expected, "{to}");
    }
}

#[test]
fn an_attached_message_counts_for_who_got_the_outer_one() {
    let inner = format!("From: ann@corp.example\nTo: bob@corp.example\nSubject: y\n\n{}", key());
    let headers = "From: bob@corp.example\nTo: eve@partner.example\nContent-Type: message/rfc822\n";
    let found = mailed(headers, &inner, ORG);
    assert_eq!(found[0].0, "critical", "{found:?}");
    assert!(found[0].2.contains("eve@partner.example is outside"), "{found:?}");
}

#[test]
fn the_worst_of_several_mails_counts() {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("keyspill.toml", ORG.as_bytes());
    for (n, to) in ["bob@corp.example", "eve@partner.example", "carol@corp.example"].iter().enumerate() {
        let mail = format!("From: ann@corp.example\nTo: {to}\nSubject: {n}\n\n{}", key());
        sandbox.write_bytes(&format!("{n}.eml"), mail.as_bytes());
    }
    let report = sandbox.json(&["."]);
    let found = judgements(&report, "aws-emailed-key");
    assert_eq!(found.len(), 1, "one for each key: {found:?}");
    assert!(found[0].0 == "critical" && found[0].2.contains("It is in 3 mail messages."), "{found:?}");
    let finding =
        report["findings"].as_array().expect("findings").iter().find(|finding| finding["rule"] == "aws-emailed-key");
    assert_eq!(finding.expect("it")["path"], "1.eml", "the path is that of the worst mail");
}

#[test]
fn chats_that_others_read_are_shared() {
    let channels = |external: bool| format!("[{{\"id\": \"C1\", \"name\": \"ops\", \"is_ext_shared\": {external}}}]");
    let users = "[{\"id\": \"U1\", \"profile\": {\"email\": \"ann@corp.example\"}}, \
                 {\"id\": \"U2\", \"profile\": {\"email\": \"gus@agency.example\"}, \"is_restricted\": true}, \
                 {\"id\": \"U4\", \"profile\": {\"email\": \"cora@corp.example\"}, \"is_restricted\": true}, \
                 {\"id\": \"U3\", \"profile\": {\"email\": \"eve@partner.example\"}}]";
    let pair = expand("{{akia}} {{secret}}").text;
    let id = expand("{{akia}}").text;
    for (external, user, text, expected) in [
        (false, "U1", &pair, None),
        (true, "U1", &pair, Some(("critical", "#ops, which is shared with other organisations"))),
        (true, "U1", &id, Some(("medium", "shared with other organisations"))),
        (false, "U2", &pair, Some(("critical", "gus@agency.example, who takes part"))),
        (false, "U4", &pair, None),
        (false, "U3", &pair, Some(("critical", "eve@partner.example, who takes part"))),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write_bytes("keyspill.toml", ORG.as_bytes());
        sandbox.write_bytes("x/channels.json", channels(external).as_bytes());
        sandbox.write_bytes("x/users.json", users.as_bytes());
        let day = format!("[{{\"user\": \"{user}\", \"ts\": \"1767520800.1\", \"text\": \"{text}\"}}]");
        sandbox.write_bytes("x/ops/2026-01-04.json", day.as_bytes());
        let found = judgements(&sandbox.json(&["."]), "aws-shared-key");
        let told = found.first().map(|(grade, _, reasons)| (grade.as_str(), reasons.as_str()));
        match (told, expected) {
            (None, None) => {}
            (Some((grade, reasons)), Some((expected, reason))) => {
                assert_eq!(grade, expected, "{reasons}");
                assert!(reasons.contains(reason), "{reasons}");
            }
            _ => panic!("{external} {user}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn a_key_in_several_repositories_is_shared() {
    let sandbox = Sandbox::new();
    let grade =
        |sandbox: &Sandbox| judgements(&sandbox.json(&["."]), "aws-shared-key").first().map(|found| found.0.clone());
    for (n, expected) in [None, Some("medium"), Some("high")].into_iter().enumerate() {
        sandbox.write_bytes(&format!("r{n}/app.env"), key().as_bytes());
        sandbox.git(&["init", "-q", &format!("r{n}")]);
        assert_eq!(grade(&sandbox).as_deref(), expected);
    }
    sandbox.write_bytes("keyspill.toml", b"trusted_repos = [\"r0\", \"r1\"]\n");
    assert_eq!(grade(&sandbox), None, "two of them may share it");
}

#[test]
fn a_key_that_several_authors_committed_is_shared() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write_bytes("a.env", key().as_bytes());
    sandbox.commit(1, "Add it");
    assert_eq!(judgements(&sandbox.json(&["--history", "."]), "aws-shared-key"), []);
    sandbox.write_bytes("b.env", key().as_bytes());
    sandbox.git(&["add", "."]);
    sandbox.git(&["commit", "-q", "-m", "And again", "--author", "Bob <bob@corp.example>"]);
    let found = judgements(&sandbox.json(&["--history", "."]), "aws-shared-key");
    assert_eq!(found[0].0, "medium");
    assert!(found[0].2.contains("by 2 authors: ann@example.com, bob@corp.example"), "{found:?}");
    sandbox.write_bytes("keyspill.toml", ORG.as_bytes());
    let found = judgements(&sandbox.json(&["--history", "."]), "aws-shared-key");
    assert!(
        found.iter().any(|found| found.0 == "critical" && found.2.contains("ann@example.com>, who is outside")),
        "{found:?}"
    );
}

#[test]
fn a_key_in_several_files_of_a_repository_is_copied() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write_bytes("a.env", key().as_bytes());
    sandbox.write("ids.txt", "{{akia}}\n{{akia}}\n");
    assert_eq!(judgements(&sandbox.json(&["."]), "aws-copied-key"), [], "an id is not a secret");
    sandbox.write_bytes("b.env", key().as_bytes());
    let found = judgements(&sandbox.json(&["."]), "aws-copied-key");
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("low", "note"));
    assert!(found[0].2.contains("2 files of .: a.env, b.env"), "{found:?}");
}

#[test]
fn a_key_in_several_files_outside_a_repository_is_copied_too() {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("a.env", key().as_bytes());
    sandbox.write_bytes("sub/b.env", key().as_bytes());
    let found = judgements(&sandbox.json(&["."]), "aws-copied-key");
    assert_eq!(found[0].2, "It is in 2 files: a.env, sub/b.env.");
}

/// Commits what is there as some person, with a committer.
fn commit_as(sandbox: &Sandbox, author: &str, committer: &str, message: &str) {
    sandbox.git(&["add", "--all", "."]);
    let (name, email) = committer.split_once(" <").expect("NAME <EMAIL>");
    let [name, email] =
        [format!("GIT_COMMITTER_NAME={name}"), format!("GIT_COMMITTER_EMAIL={}", email.trim_end_matches('>'))];
    let (author_name, author_email) = author.split_once(" <").expect("NAME <EMAIL>");
    let author_email = author_email.trim_end_matches('>');
    let status = std::process::Command::new("env")
        .args([&name, &email, &format!("GIT_AUTHOR_NAME={author_name}"), &format!("GIT_AUTHOR_EMAIL={author_email}")])
        .args(["git", "commit", "-q", "-m", message])
        .current_dir(sandbox.path())
        .status();
    assert!(status.expect("git is installed").success());
}

#[test]
fn only_who_brings_a_key_in_shares_it() {
    const ANN: &str = "Ann <ann@corp.example>";
    let of = |steps: &dyn Fn(&Sandbox)| {
        let sandbox = Sandbox::new();
        sandbox.init();
        sandbox.write_bytes("keyspill.toml", ORG.as_bytes());
        sandbox.write_bytes("a.env", key().as_bytes());
        commit_as(&sandbox, ANN, "GitHub <noreply@github.com>", "Add");
        steps(&sandbox);
        judgements(&sandbox.json(&["--history", "."]), "aws-shared-key")
    };
    type Steps<'a> = &'a dyn Fn(&Sandbox);
    let silent: [(&str, Steps); 6] = [
        ("a squash merge on a code host", &|_| {}),
        ("a move", &|sandbox| {
            sandbox.git(&["mv", "a.env", "b.env"]);
            commit_as(sandbox, "Eve <eve@other.example>", "Eve <eve@other.example>", "Move");
        }),
        ("a revert of the removal", &|sandbox| {
            sandbox.git(&["rm", "-q", "a.env"]);
            commit_as(sandbox, ANN, ANN, "Remove");
            sandbox.write_bytes("a.env", key().as_bytes());
            commit_as(sandbox, "Eve <eve@other.example>", ANN, "Revert \"Remove\"");
        }),
        ("one person by .mailmap", &|sandbox| {
            sandbox.write_bytes(".mailmap", b"Ann <ann@corp.example> <ann@old.example>\n");
            sandbox.write_bytes("b.env", key().as_bytes());
            commit_as(sandbox, "Ann <ann@old.example>", ANN, "Again");
        }),
        ("one person in capitals, and behind an assigned address", &|sandbox| {
            sandbox.write_bytes("b.env", key().as_bytes());
            commit_as(sandbox, "Ann <ANN@Corp.Example>", ANN, "Again");
            sandbox.write_bytes("c.env", key().as_bytes());
            commit_as(sandbox, "Ann <1+ann@users.noreply.github.com>", ANN, "And again");
        }),
        ("bots and machines", &|sandbox| {
            sandbox.write_bytes("b.env", key().as_bytes());
            commit_as(sandbox, "dependabot[bot] <support@github.com>", "root <root@build.internal>", "Again");
        }),
    ];
    for (what, steps) in silent {
        assert_eq!(of(steps), [], "{what}");
    }
    let found = of(&|sandbox| {
        sandbox.write_bytes("b.env", key().as_bytes());
        commit_as(sandbox, ANN, ANN, "Again\n\nCo-authored-by: Eve <eve@other.example>");
    });
    assert!(found.iter().any(|one| one.2.contains("by 2 authors: ann@corp.example, eve@other.example")), "{found:?}");
    assert!(found.iter().any(|one| one.2.contains("Eve <eve@other.example>, who is outside")), "{found:?}");
}

#[test]
fn clones_of_a_repository_are_one() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "one"]);
    sandbox.write_bytes("one/a.env", key().as_bytes());
    sandbox.git(&["-C", "one", "add", "."]);
    sandbox.git(&["-C", "one", "commit", "-q", "-m", "Add"]);
    sandbox.git(&["clone", "-q", "one", "two"]);
    sandbox.git(&["-C", "one", "worktree", "add", "-q", "../three"]);
    assert_eq!(judgements(&sandbox.json(&["."]), "aws-shared-key"), []);
    sandbox.git(&["init", "-q", "other"]);
    sandbox.write_bytes("other/a.env", key().as_bytes());
    sandbox.git(&["-C", "other", "add", "."]);
    sandbox.git(&["-C", "other", "commit", "-q", "-m", "Another"]);
    let found = judgements(&sandbox.json(&["."]), "aws-shared-key");
    assert_eq!(found[0].2, "It is in 2 repositories: one, other.");
}

#[test]
fn a_profile_with_the_root_users_device_in_the_file_beside_it() {
    let sandbox = Sandbox::new();
    let device =
        |account: &str| format!("[profile boss]\nmfa_serial = arn:aws:iam::{account}:mfa/root-account-mfa-device\n");
    sandbox.write(".aws/credentials", "[boss]\naws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n");
    sandbox.write(".aws/config", &device("111122223333"));
    let own = sandbox.json(&["."])["findings"][0]["account"].as_str().map(str::to_owned);
    let found = |account: &str| {
        sandbox.write(".aws/config", &device(account));
        judgements(&sandbox.json(&["."]), "aws-root-key")
    };
    let account = own.unwrap_or_else(|| "111122223333".into());
    assert_eq!(found(&account)[0].0, "critical");
    assert!(found(&account)[0].2.contains("by .aws/config:2"), "{:?}", found(&account));
    assert_eq!(found("444455556666"), [], "it is of another account");
}

#[test]
fn keys_of_other_accounts_are_foreign() {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("a.env", key().as_bytes());
    let report = |config: &str| {
        sandbox.write_bytes("keyspill.toml", config.as_bytes());
        sandbox.json(&["."])
    };
    assert_eq!(judgements(&report(""), "aws-foreign-key"), [], "our own accounts are not known");
    assert_eq!(judgements(&report(ORG), "aws-foreign-key"), []);
    let other = "org_accounts = [\"999988887777\"]\n";
    let found = judgements(&report(other), "aws-foreign-key");
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("medium", "warning"));
    let canary = report(&format!("{other}canary_accounts = [\"111122223333\"]\n"));
    assert_eq!(judgements(&canary, "aws-foreign-key"), []);
    assert_eq!(canary["findings"][0]["canary"], true);
}

/// The judgement of one file with a key of account 111122223333.
fn root_of(path: &str, template: &str) -> Option<(String, String, String)> {
    let sandbox = Sandbox::new();
    sandbox.write(path, template);
    let found = judgements(&sandbox.json(&["."]), "aws-root-key");
    assert!(found.len() < 2, "{found:?}");
    found.into_iter().next()
}

const CALL: &str = r#"{"Records": [{"eventVersion": "1.08", "userIdentity": {"type": "Root", "principalId": "111122223333",
  "arn": "arn:aws:iam::111122223333:root", "accountId": "111122223333", "accessKeyId": "{{akia}}"},
  "eventTime": "2026-01-01T00:00:00Z", "eventName": "ListBuckets", "eventType": "AwsApiCall"}]}"#;

const CREATION: &str = r#"{"userIdentity": {"type": "Root", "accountId": "111122223333"}, "eventName": "CreateAccessKey",
  "requestParameters": null, "responseElements": {"accessKey": {"accessKeyId": "{{akia}}", "status": "Active"}}}"#;

const GUARD_DUTY: &str = r#"{"type": "Policy:IAMUser/RootCredentialUsage", "resource": {"resourceType": "AccessKey",
  "accessKeyDetails": {"accessKeyId": "{{akia}}", "userName": "Root", "userType": "Root"}}}"#;

#[test]
fn every_sign_of_a_root_users_key_is_graded() {
    let pair = "{{akia}},{{secret}}\n";
    let csv = format!("Access key ID,Secret access key\n{pair}");
    for (path, text, grade, severity, reason) in [
        ("cloudtrail.json", CALL, "critical", "error", "the root user called AWS with it"),
        ("one-event.json", CREATION, "critical", "error", "the root user created it for itself"),
        ("finding.json", GUARD_DUTY, "critical", "error", "GuardDuty reported"),
        ("rootkey.csv", &csv, "critical", "error", "named as the console names"),
        ("Downloads/rootkey (1).csv", &csv, "critical", "error", "named as the console names"),
        (
            "keys.csv",
            "AWSAccessKeyId={{akia}}\r\nAWSSecretKey={{secret}}\r\n",
            "critical",
            "error",
            "only for a root user's key",
        ),
        (
            "credentials",
            "[main]\naws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\nmfa_serial = arn:aws:iam::111122223333:mfa/root-account-mfa-device\n[x]\n",
            "critical",
            "error",
            "MFA device",
        ),
        (
            "credentials",
            "[root]\naws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n",
            "medium",
            "warning",
            "named root",
        ),
        ("config", "[a]\nx=1\n[profile root]\naws_access_key_id = {{akia}}\n", "medium", "warning", "named root"),
        (".env", "AWS_ROOT_ACCESS_KEY_ID={{akia}}\n", "medium", "warning", "calls it a root user's key"),
        ("a.js", "const rootAccessKey = '{{akia}}'\n", "medium", "warning", "calls it a root user's key"),
        (
            "a.sh",
            "# the root account's key\n\nexport KEY={{akia}}\n",
            "medium",
            "warning",
            "calls it a root user's key",
        ),
    ] {
        let (found_grade, found_severity, reasons) = root_of(path, text).unwrap_or_else(|| panic!("{path}: {text}"));
        assert_eq!((found_grade.as_str(), found_severity.as_str()), (grade, severity), "{path}: {reasons}");
        assert!(reasons.contains(reason), "{path}: {reasons}");
    }
}

#[test]
fn what_is_no_sign_of_a_root_users_key_is_silent() {
    let pair = "aws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n";
    let service = CALL.replace("AwsApiCall", "AwsServiceEvent");
    let invoked = CALL.replace(r#""accountId""#, r#""invokedBy": "AWS Internal", "accountId""#);
    let of_a_user = CALL.replace(r#""Root""#, r#""IAMUser""#);
    let for_a_user = CREATION.replace("null", r#"{"userName": "bob"}"#);
    let other_key = CALL.replace("{{akia}}", "{{akia other}}").replace("ListBuckets", "{{akia}}");
    for (path, text) in [
        ("service.json", service.as_str()),
        ("invoked.json", &invoked),
        ("user.json", &of_a_user),
        ("created.json", &for_a_user),
        ("policy.json", r#"{"Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "key": "{{akia}}"}"#),
        ("arn.txt", &format!("arn:aws:iam::111122223333:user/root\n{pair}")),
        ("mysql.env", &format!("MYSQL_ROOT_PASSWORD=x\nMINIO_ROOT_USER=minio\n{pair}")),
        ("Dockerfile", &format!("USER root\nENV AWS_ACCESS_KEY_ID={{{{akia}}}}\n# ssh root@host\n{pair}")),
        ("ec2.yml", &format!("rootVolume: 8\nroots: r-abcd\n# trusted root certificate\n{pair}")),
        ("accessKeys.csv", "Access key ID,Secret access key\r\n{{akia}},{{secret}}\r\n"),
        (
            "profiles",
            "[main]\naws_access_key_id = {{akia}}\n[other]\nmfa_serial = arn:aws:iam::1:mfa/root-account-mfa-device\n",
        ),
        ("myrootkey.csv.txt", &format!("{pair}# far away\n\n\n\n\n# the root account\n")),
    ] {
        assert_eq!(root_of(path, text), None, "{path}");
    }
    let found = root_of("two.json", &other_key);
    assert!(found.is_some_and(|found| found.2.contains("called AWS")), "the other key is");
}

#[test]
fn evidence_in_one_file_counts_for_the_key_in_another() {
    let sandbox = Sandbox::new();
    sandbox.write("app.env", "aws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n");
    sandbox.write("logs/cloudtrail.json", CALL);
    let text = sandbox.run(&["scan", "."]).stdout;
    assert!(text.contains("app.env:1:21"), "{text}");
    assert!(
        text.contains("= error: aws-root-key: CloudTrail recorded that the root user called AWS with it."),
        "{text}"
    );
    let report = sandbox.json(&["."]);
    let judged =
        report["findings"].as_array().expect("findings").iter().find(|finding| finding["rule"] == "aws-root-key");
    assert_eq!(judged.expect("it")["judgement"]["evidence"][0]["path"], "logs/cloudtrail.json");
}

#[test]
fn a_mailed_root_key_is_critical_in_house_too() {
    let headers = "From: ann@corp.example\nTo: bob@corp.example\nContent-Type: text/csv; name=rootkey.csv\n\
                   Content-Disposition: attachment; filename=rootkey.csv\n";
    let body = expand("AWSAccessKeyId={{akia}}\nAWSSecretKey={{secret}}\n").text;
    let found = mailed(headers, &body, ORG);
    assert_eq!(found[0].0, "critical", "{found:?}");
    assert!(found[0].2.contains("It is a root user's key."), "{found:?}");
}

#[test]
fn a_credential_is_one_key_with_all_its_occurrences() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write_bytes("a.env", key().as_bytes());
    sandbox.commit(10, "Add it");
    sandbox.write_bytes("a.env", b"");
    let mail = format!("From: Ann <ann@corp.example>\nTo: eve@partner.example\nSubject: x\n\n{}", key());
    sandbox.write_bytes("b.eml", mail.as_bytes());
    sandbox.commit(20, "Move it");
    sandbox.write("c.txt", "{{akia other}}\n");
    sandbox.commit(30, "Another");
    let report = sandbox.json(&["--history", "."]);
    let credentials = report["credentials"].as_array().expect("credentials");
    assert_eq!(credentials.len(), 2, "{credentials:?}");
    let one = credentials.iter().find(|credential| credential["secretKnown"] == true).expect("the pair");
    assert_eq!((&one["occurrences"], &one["files"], &one["atHead"]), (&2.into(), &2.into(), &true.into()), "{one}");
    assert_eq!(one["exposure"]["since"], "2020-01-11T00:00:00Z");
    assert_eq!(one["exposure"]["until"], Value::Null, "it still exists");
    assert_eq!(one["exposure"]["days"], 980);
    assert_eq!(one["authors"], serde_json::json!(["ann@example.com"]));
    assert_eq!(one["senders"], serde_json::json!(["Ann <ann@corp.example>"]));
    assert_eq!(one["recipients"], serde_json::json!(["eve@partner.example"]));
    assert_eq!(one["judgements"][0]["rule"], "aws-emailed-key");
    assert_eq!(one["severity"], "error");
}

#[test]
fn the_configuration_is_found_checked_and_obeyed() {
    let sandbox = Sandbox::new();
    sandbox.init();
    sandbox.write("sub/dir/a.txt", "{{akia}}\n");
    sandbox.write_bytes("keyspill.toml", b"[severity]\naws-access-key-id = \"note\"\n");
    let run = sandbox.run(&["scan", "sub/dir"]);
    assert_eq!(run.code, Some(0), "it is found in a parent directory: {}", run.stdout);
    sandbox.write_bytes("other.toml", b"[severity]\naws-access-key-id = \"error\"\n");
    assert!(sandbox.run(&["scan", "sub", "--config", "other.toml"]).stdout.starts_with("error["));
    let check = sandbox.run(&["config", "check"]);
    assert_eq!(check.code, Some(0), "{}", check.stderr);
    sandbox.write_bytes("keyspill.toml", b"org_domain = []\n");
    let check = sandbox.run(&["config", "check"]);
    assert_eq!(check.code, Some(2));
    assert!(check.stderr.contains("unknown key `org_domain`: did you mean `org_domains`?"), "{}", check.stderr);
    let run = sandbox.run(&["scan", "sub"]);
    assert_eq!(run.code, Some(2), "a scan under a broken configuration is not trusted");
    assert!(run.stdout.contains("a.txt:1:1") && run.stderr.contains("org_domain"), "{}", run.stdout);
}

#[test]
fn judgements_are_in_every_report() {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("keyspill.toml", ORG.as_bytes());
    let mail = format!("From: ann@corp.example\nTo: eve@partner.example\nSubject: x\n\n{}", key());
    sandbox.write_bytes("a.eml", mail.as_bytes());
    let text = sandbox.run(&["scan", "."]).stdout;
    assert!(text.contains("= error: aws-emailed-key: It was mailed by ann@corp.example"), "{text}");
    assert!(text.contains("found 1 error"), "{text}");
    assert!(text.contains("; using ") && text.contains("keyspill.toml"), "the configuration in force is named: {text}");
    let sarif = sandbox.run(&["scan", ".", "--format", "sarif"]).stdout;
    let sarif: Value = serde_json::from_str(&sarif).expect("JSON");
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let result = results.iter().find(|result| result["ruleId"] == "aws-emailed-key").expect("the judgement");
    assert_eq!(result["level"], "error");
    assert!(result["message"]["text"].as_str().is_some_and(|text| text.contains("](1)")), "{result}");
    assert_eq!(result["relatedLocations"].as_array().map(Vec::len), Some(1));
    let errors: Vec<_> = crate::support::sarif_schema().iter_errors(&sarif).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let schema = crate::support::report_schema();
    let ours = jsonschema::validator_for(&schema).expect("the schema is valid");
    let errors: Vec<_> = ours.iter_errors(&sandbox.json(&["."])).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}
