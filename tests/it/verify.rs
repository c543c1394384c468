//! Asking whether keys work, against a server that answers as AWS does, or badly.

use crate::support::{Run, Sandbox, report_schema, skipped};
use keyspill::internals::rule::example::expand;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// A request as it arrived.
#[derive(Debug, Clone)]
struct Request {
    headers: BTreeMap<String, String>,
    body: String,
    at: Instant,
}

impl Request {
    /// The id of the key that signed it.
    fn id(&self) -> &str {
        let credential = self.headers["authorization"].split("Credential=").nth(1).expect("a signature");
        credential.split('/').next().expect("an id")
    }

    /// What is called.
    fn action(&self) -> &str {
        let action = self.body.split('&').find_map(|field| field.strip_prefix("Action="));
        action.expect("an action")
    }
}

/// A server on this machine. It answers as `answers` says, by what is called, or else by the id of the key that signs.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    /// Status and body.
    Http(u16, &'static str),
    Redirect,
    Cut,
    Huge,
    Silent,
}

impl Server {
    fn start(answers: &[(&str, Answer)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let answers: BTreeMap<String, Answer> =
            answers.iter().map(|(key, answer)| (expand(key).text, *answer)).collect();
        let (seen, own) = (requests.clone(), url.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, seen, own) = (answers.clone(), seen.clone(), own.clone());
                std::thread::spawn(move || serve(stream, &answers, &seen, &own));
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }
}

fn serve(mut stream: TcpStream, answers: &BTreeMap<String, Answer>, seen: &Mutex<Vec<Request>>, own: &str) {
    let Some(request) = read(&stream) else { return };
    let answer = answers
        .get(request.action())
        .or_else(|| answers.get(request.id()))
        .copied()
        .unwrap_or(Answer::Http(500, "a key that the test does not know"));
    seen.lock().expect("no panic").push(request);
    let head = |status: u16, more: &str| format!("HTTP/1.1 {status} x\r\nconnection: close\r\n{more}\r\n");
    _ = match answer {
        Answer::Http(status, body) => {
            write!(stream, "{}{body}", head(status, &format!("content-length: {}\r\n", body.len())))
        }
        Answer::Redirect => {
            write!(stream, "{}", head(307, &format!("location: {own}/elsewhere\r\ncontent-length: 0\r\n")))
        }
        Answer::Cut => write!(stream, "HTTP/1.1 200 OK\r\ncontent-le"),
        Answer::Huge => {
            _ = write!(stream, "{}", head(200, "content-length: 1073741824\r\n"));
            while stream.write_all(&[b'x'; 8192]).is_ok() {}
            Ok(())
        }
        Answer::Silent => {
            std::thread::sleep(std::time::Duration::from_secs(30));
            Ok(())
        }
    };
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request { headers, body: String::from_utf8(body).ok()?, at: Instant::now() })
}

const ACTIVE: Answer = Answer::Http(
    200,
    "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
     <Arn>arn:aws:iam::111122223333:user/ann</Arn><UserId>X</UserId><Account>111122223333</Account>\
     </GetCallerIdentityResult></GetCallerIdentityResponse>",
);
const ROOT: Answer = Answer::Http(
    200,
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:root</Arn>\
     <UserId>111122223333</UserId><Account>111122223333</Account></GetCallerIdentityResult>\
     </GetCallerIdentityResponse>",
);
const GONE: Answer =
    Answer::Http(403, "<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>");
const WRONG: Answer = Answer::Http(
    403,
    "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>no match</Message></Error></ErrorResponse>",
);
const CLOCK: Answer = Answer::Http(
    403,
    "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature expired: 20260101T000000Z</Message>\
     </Error></ErrorResponse>",
);
const EXPIRED: Answer = Answer::Http(403, "<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>");
const BUSY: Answer = Answer::Http(400, "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>");
const BROKEN: Answer = Answer::Http(200, "<html>sign in to the hotel's network</html>");

/// A folder with a file for each key, of an organisation whose account theirs is.
fn organisation(labels: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("keyspill.toml", "org_accounts = [\"111122223333\"]\n");
    for label in labels {
        let text = format!("aws_access_key_id={{{{akia {label}}}}}\naws_secret_access_key={{{{secret {label}}}}}\n");
        sandbox.write(&format!("{label}.env"), &text);
    }
    sandbox
}

fn verify(sandbox: &Sandbox, server: &Server, more: &[&str]) -> Run {
    let args = [&["scan", ".", "--verify=yes", "--endpoint-url", &server.url, "-f", "json"], more].concat();
    // What the machine is set to must not lead elsewhere.
    sandbox.run_in(&[("NO_PROXY", "127.0.0.1"), ("AWS_CA_BUNDLE", ""), ("SSL_CERT_FILE", "")], &args)
}

fn report(run: &Run) -> Value {
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("no report: {}", run.stderr));
    let schema = jsonschema::validator_for(&report_schema()).expect("a schema");
    assert!(schema.is_valid(&report), "{:?}", schema.iter_errors(&report).map(|error| error.to_string()).next());
    report
}

/// Of each file: the status, and the severity of the key's own finding.
fn statuses(report: &Value) -> BTreeMap<String, (String, String)> {
    let findings = report["findings"].as_array().expect("findings");
    let own = findings.iter().filter(|finding| finding["judgement"].is_null() && finding["id"].is_object());
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    own.map(|finding| {
        let file = text(&finding["path"]).trim_end_matches(".env").to_owned();
        (file, (text(&finding["verification"]["status"]), text(&finding["severity"])))
    })
    .collect()
}

#[test]
fn every_answer_is_understood() {
    let answers = [
        ("active", ACTIVE, "active", "error"),
        ("root", ROOT, "active", "error"),
        ("gone", GONE, "inactive", "note"),
        ("wrong", WRONG, "wrong-secret", "error"),
        ("clock", CLOCK, "unknown", "error"),
        ("expired", EXPIRED, "expired", "note"),
        ("busy", BUSY, "unknown", "error"),
        ("broken", BROKEN, "unknown", "error"),
        ("redirect", Answer::Redirect, "unknown", "error"),
        ("cut", Answer::Cut, "unknown", "error"),
        ("huge", Answer::Huge, "unknown", "error"),
    ];
    let labels: Vec<_> = answers.iter().map(|(label, ..)| *label).collect();
    let sandbox = organisation(&labels);
    let ids: Vec<_> = labels.iter().map(|label| format!("{{{{akia {label}}}}}")).collect();
    let of_server: Vec<_> = ids.iter().zip(&answers).map(|(id, (_, answer, ..))| (id.as_str(), *answer)).collect();
    let server = Server::start(&of_server);
    let run = verify(&sandbox, &server, &[]);
    let found = report(&run);
    let expected = answers
        .iter()
        .map(|(label, _, status, severity)| ((*label).to_owned(), ((*status).to_owned(), (*severity).to_owned())));
    assert_eq!(statuses(&found), expected.collect());
    // What could not be verified is a failure, and said.
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    for words in [
        "set this machine's clock",
        "AWS answers Throttling",
        "is not one of AWS's",
        "unexpected redirect",
        "longer than",
    ] {
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
    let requests = server.requests();
    let count = |label: &str| {
        let id = expand(&format!("{{{{akia {label}}}}}")).text;
        requests.iter().filter(|request| request.id() == id).count()
    };
    assert_eq!((count("active"), count("gone"), count("redirect"), count("busy")), (1, 1, 1, 3));
    assert!(requests.iter().all(|request| request.body == "Action=GetCallerIdentity&Version=2011-06-15"));
    assert!(requests.iter().all(|request| request.headers["user-agent"].starts_with("keyspill/")));
    // The root user's key is proven to be one.
    let judged =
        found["findings"].as_array().expect("findings").iter().find(|finding| finding["rule"] == "aws-root-key");
    let judged = judged.expect("a judgement");
    assert_eq!(judged["judgement"]["grade"], "critical");
    assert!(judged["judgement"]["reasons"].to_string().contains("arn:aws:iam::111122223333:root"), "{judged}");
    // No secret is in the output.
    for label in labels {
        let secret = expand(&format!("{{{{secret {label}}}}}")).text;
        assert!(!run.stdout.contains(&secret) && !run.stderr.contains(&secret), "{label}");
    }
}

/// What follows from each answer for each kind of key, in one table.
#[test]
fn every_answer_for_every_kind_of_key() {
    let answers = [
        ("active", ACTIVE, "active"),
        ("root", ROOT, "active"),
        ("gone", GONE, "inactive"),
        ("wrong", WRONG, "wrong-secret"),
        ("clock", CLOCK, "unknown"),
        ("expired", EXPIRED, "expired"),
        ("busy", BUSY, "unknown"),
        ("broken", BROKEN, "unknown"),
        ("redirect", Answer::Redirect, "unknown"),
        ("cut", Answer::Cut, "unknown"),
        ("huge", Answer::Huge, "unknown"),
    ];
    let own = "org_accounts = [\"111122223333\"]\n";
    let token = "aws_session_token=FwoGZXIvYXdz{{base64:200}}\n";
    // The configuration, the kind of id, what else the file says, and whether AWS is asked.
    let kinds = [
        ("pair", own.to_owned(), "akia", "", true),
        ("temporary", own.to_owned(), "asia", token, true),
        ("temporary without its token", own.to_owned(), "asia", "", false),
        ("of GovCloud", own.to_owned(), "akia", "region=us-gov-west-1\n", true),
        ("of China", own.to_owned(), "akia", "region=cn-north-1\n", true),
        ("of others", "org_accounts = [\"444455556666\"]\n".to_owned(), "akia", "", false),
        ("planted", format!("{own}canary_accounts = [\"111122223333\"]\n"), "akia", "", false),
    ];
    for (kind, config, prefix, more, is_asked) in kinds {
        let sandbox = Sandbox::new();
        sandbox.write("keyspill.toml", &config);
        let mut of_server = Vec::new();
        for (label, answer, _) in answers {
            let id = format!("{{{{{prefix} {label}}}}}");
            let text = format!("aws_access_key_id={id}\naws_secret_access_key={{{{secret {label}}}}}\n{more}");
            sandbox.write(&format!("{label}.env"), &text);
            of_server.push((id, answer));
        }
        let of_server: Vec<(&str, Answer)> = of_server.iter().map(|(id, answer)| (id.as_str(), *answer)).collect();
        let server = Server::start(&of_server);
        let run = verify(&sandbox, &server, &[]);
        let found = report(&run);
        let expected = answers.map(|(label, _, status)| {
            // Of a temporary key, the token may be another one's: that it is refused says nothing of the key.
            let status = if kind == "temporary" && label == "gone" { "unknown" } else { status };
            let severity = match (status, is_asked) {
                ("inactive" | "expired", true) => "note",
                _ => "error",
            };
            (label.to_owned(), (if is_asked { status } else { "not-asked" }.to_owned(), severity.to_owned()))
        });
        assert_eq!(statuses(&found), BTreeMap::from(expected), "{kind}");
        assert_eq!(run.code, Some(if is_asked { 2 } else { 1 }), "{kind}: {}", run.stderr);
        let requests = server.requests();
        assert_eq!(requests.is_empty(), !is_asked, "{kind}");
        let scope = match more {
            "region=us-gov-west-1\n" => "/us-gov-west-1/sts/",
            "region=cn-north-1\n" => "/cn-north-1/sts/",
            _ => "/us-east-1/sts/",
        };
        // A key that is not known where the text says is looked for in the other partitions, too.
        let is_there = |request: &Request| request.headers["authorization"].contains(scope);
        let gone = expand(&format!("{{{{{prefix} gone}}}}")).text;
        assert!(requests.iter().all(|request| is_there(request) || request.id() == gone), "{kind}");
        assert!(requests.iter().find(|request| request.id() == gone).is_none_or(is_there), "{kind}");
        let findings = found["findings"].as_array().expect("findings");
        let root = findings.iter().filter(|finding| finding["rule"] == "aws-root-key");
        let proven = root.filter(|finding| finding["judgement"]["grade"] == "critical").count();
        assert_eq!(proven, usize::from(is_asked), "{kind}: AWS says of one that it is the root user's");
    }
}

#[test]
fn what_is_asked_is_said_before() {
    let sandbox = organisation(&["a", "b"]);
    let server = Server::start(&[("{{akia a}}", ACTIVE), ("{{akia b}}", GONE)]);
    let run = verify(&sandbox, &server, &[]);
    assert_eq!(run.code, Some(1));
    let expected = format!(
        "keyspill: note: verifying 2 keys at {}\nkeyspill: note: accounts: 111122223333\nkeyspill: note: \
         GetCallerIdentity is called with each key. Its owner sees the call in CloudTrail: the time, the \
         address that it comes from and the name keyspill.\n",
        server.url
    );
    assert_eq!(run.stderr, expected);
    // Without a terminal nobody can agree.
    let run = sandbox.run(&["scan", ".", "--verify", "--endpoint-url", &server.url]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("use --verify=yes"), "{}", run.stderr);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn only_keys_of_the_organisation_are_tried() {
    let sandbox = organisation(&["a"]);
    let server = Server::start(&[("{{akia a}}", ACTIVE)]);
    // Another account's.
    sandbox.write("keyspill.toml", "org_accounts = [\"444455556666\"]\n");
    let run = verify(&sandbox, &server, &[]);
    assert_eq!(statuses(&report(&run))["a"].0, "not-asked");
    assert_eq!((run.code, server.requests().len()), (Some(1), 0), "{}", run.stderr);
    assert_eq!(statuses(&report(&verify(&sandbox, &server, &["--verify-foreign"])))["a"].0, "active");
    assert_eq!(server.requests().len(), 1);
    // A tripwire is never touched.
    sandbox.write("keyspill.toml", "org_accounts = [\"111122223333\"]\ncanary_accounts = [\"111122223333\"]\n");
    let run = verify(&sandbox, &server, &["--verify-foreign"]);
    assert_eq!(statuses(&report(&run))["a"].0, "not-asked");
    assert_eq!(server.requests().len(), 1);
    // What the team allows is not tried.
    sandbox.write(
        "keyspill.toml",
        "org_accounts = [\"111122223333\"]\n[[allow]]\npaths = [\"*.env\"]\nreason = \"test\"\n",
    );
    assert_eq!(verify(&sandbox, &server, &[]).code, Some(0));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_temporary_key_is_tried_with_its_token() {
    let sandbox = organisation(&[]);
    let token = "FwoGZXIvYXdz{{base64:200}}";
    sandbox.write(
        "with",
        &format!(
            "[a]\naws_access_key_id={{{{asia a}}}}\naws_secret_access_key={{{{secret a}}}}\naws_session_token={token}\n"
        ),
    );
    sandbox.write("without", "aws_access_key_id={{asia b}}\naws_secret_access_key={{secret b}}\n");
    let server = Server::start(&[("{{asia a}}", ACTIVE)]);
    let found = report(&verify(&sandbox, &server, &[]));
    let found = statuses(&found);
    assert_eq!((found["with"].0.as_str(), found["without"].0.as_str()), ("active", "not-asked"));
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].headers["x-amz-security-token"], expand(token).text);
}

/// What IAM answers about a key of `ann`, or about one that no user has.
fn owner(used: &'static str, listed: &'static str, summary: &'static str) -> Server {
    Server::start(&[
        ("GetCallerIdentity", ACTIVE),
        ("GetAccessKeyLastUsed", Answer::Http(200, used)),
        ("ListAccessKeys", Answer::Http(200, listed)),
        ("GetAccountSummary", Answer::Http(200, summary)),
    ])
}

#[test]
fn the_owner_is_told_without_using_the_key() {
    let sandbox = organisation(&["a"]);
    // An id alone is enough.
    sandbox.write("lone", "aws_access_key_id={{akia a}}\n");
    let id = expand("{{akia a}}").text;
    let used = "<GetAccessKeyLastUsedResponse><GetAccessKeyLastUsedResult><UserName>ann</UserName><AccessKeyLastUsed>\
                <LastUsedDate>2026-10-01T02:03:04Z</LastUsedDate><ServiceName>s3</ServiceName><Region>eu-west-1</Region>\
                </AccessKeyLastUsed></GetAccessKeyLastUsedResult></GetAccessKeyLastUsedResponse>";
    let listed: &'static str = format!(
        "<ListAccessKeysResponse><ListAccessKeysResult><AccessKeyMetadata>\
         <member><UserName>ann</UserName><AccessKeyId>AKIAOTHER</AccessKeyId><Status>Inactive</Status></member>\
         <member><UserName>ann</UserName><AccessKeyId>{id}</AccessKeyId><Status>Active</Status>\
         <CreateDate>2024-01-02T00:00:00Z</CreateDate></member>\
         </AccessKeyMetadata></ListAccessKeysResult></ListAccessKeysResponse>"
    )
    .leak();
    let own = [("AWS_ACCESS_KEY_ID", "AKIAOWN"), ("AWS_SECRET_ACCESS_KEY", "own"), ("NO_PROXY", "127.0.0.1")];
    let ask = |server: &Server, format: &str| {
        sandbox.run_in(
            &own,
            &["scan", ".", "--verify=yes", "--verify-as=owner", "--endpoint-url", &server.url, "-f", format],
        )
    };
    let server = owner(used, listed, "");
    let found = report(&ask(&server, "json"));
    let statuses: Vec<_> =
        found["findings"].as_array().expect("findings").iter().map(|it| &it["verification"]["status"]).collect();
    assert_eq!(statuses, ["active", "active"]);
    let usage = serde_json::json!({ "user": "ann", "created": "2024-01-02T00:00:00Z", "lastUsed": "2026-10-01T02:03:04Z",
        "service": "s3", "region": "eu-west-1" });
    assert_eq!(found["findings"][0]["verification"]["usage"], usage);
    assert!(server.requests().iter().all(|request| request.id() == "AKIAOWN"), "the leaked key is not used");
    let gitlab: Value = serde_json::from_str(&ask(&server, "gitlab").stdout).expect("JSON");
    let told: Vec<_> = gitlab["vulnerabilities"].as_array().expect("a list").iter().map(|it| &it["severity"]).collect();
    assert_eq!(told, ["Critical", "Medium"], "a key that works, and an id alone");
    assert!(ask(&server, "brief").stdout.contains("IAM said on"));
    let text = ask(&server, "text");
    let text = format!("{}{}", text.stdout, text.stderr);
    assert!(text.contains("of user ann, created 2024-01-02T00:00:00Z, last used 2026-10-01T02:03:04Z"), "{text}");
    // A key that no user has may be the root user's.
    let nobody = "<GetAccessKeyLastUsedResponse><GetAccessKeyLastUsedResult><AccessKeyLastUsed>\
                  <LastUsedDate>N/A</LastUsedDate></AccessKeyLastUsed></GetAccessKeyLastUsedResult></GetAccessKeyLastUsedResponse>";
    let root_keys = "<GetAccountSummaryResponse><GetAccountSummaryResult><SummaryMap><entry><key>Users</key><value>3</value>\
                     </entry><entry><key>AccountAccessKeysPresent</key><value>1</value></entry></SummaryMap>\
                     </GetAccountSummaryResult></GetAccountSummaryResponse>";
    let found = report(&ask(&owner(nobody, "", root_keys), "json"));
    assert!(found["findings"][0]["verification"]["reason"].to_string().contains("root user has a key"), "{found}");
    let found = report(&ask(&owner(nobody, "", root_keys.replace("<value>1<", "<value>0<").leak()), "json"));
    assert_eq!(found["findings"][0]["verification"]["status"], "inactive");
    // Another account's key is not asked about without a role in it.
    let server = Server::start(&[("GetCallerIdentity", ACTIVE_ELSEWHERE)]);
    let run = ask(&server, "json");
    let answer = &report(&run)["findings"][0]["verification"];
    assert_eq!(answer["status"], "not-asked");
    assert!(answer["reason"].to_string().contains("--assume-role"), "{answer}");
    // Credentials that do not work are said, and the report is there.
    sandbox.write("keyspill.toml", "org_accounts = [\"111122223333\"]\n");
    let run = ask(&Server::start(&[("GetCallerIdentity", GONE)]), "json");
    assert_eq!(run.code, Some(2));
    assert_eq!(report(&run)["findings"][0]["verification"]["status"], "unknown");
    assert!(
        run.stderr.contains("your own AWS credentials cannot be used: AWS answers InvalidClientTokenId"),
        "{}",
        run.stderr
    );
    let run = sandbox.run_in(&[("PATH", "")], &["scan", ".", "--verify=yes", "--verify-as=owner"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("no credentials of your own"), "{}", run.stderr);
}

/// The id of a secret may be in another file, with what makes it untouchable.
#[test]
fn what_is_known_of_an_id_holds_for_its_secret_elsewhere() {
    let sandbox = Sandbox::new();
    sandbox.write("id.txt", "PAYMENTS_PROD_AWS_ACCESS_KEY_ID={{akia}}\n");
    sandbox.write("secret.txt", "PAYMENTS_PROD_AWS_SECRET_ACCESS_KEY={{secret}}\n");
    let server = Server::start(&[("{{akia}}", GONE)]);
    sandbox.write("keyspill.toml", "canary_accounts = [\"111122223333\"]\n");
    verify(&sandbox, &server, &["--verify-foreign"]);
    assert_eq!(server.requests().len(), 0, "a canary");
    sandbox.write("keyspill.toml", "org_accounts = [\"111122223333\"]\n");
    let run = verify(&sandbox, &server, &[]);
    assert_eq!(server.requests().len(), 1, "a key of the organisation");
    // The link is a guess: the secret may belong to another id, which works.
    let found = report(&run);
    let of = |path: &str| found["findings"].as_array().expect("findings").iter().find(|it| it["path"] == path).cloned();
    assert_eq!(of("id.txt").expect("the id")["severity"], "note");
    assert_eq!(of("secret.txt").expect("the secret")["severity"], "error");
}

/// What is not wholly understood is not "inactive".
#[test]
fn as_the_owner_only_whole_answers_count() {
    let sandbox = organisation(&["a"]);
    let id = expand("{{akia a}}").text;
    let own = [("AWS_ACCESS_KEY_ID", "AKIAOWN"), ("AWS_SECRET_ACCESS_KEY", "own"), ("NO_PROXY", "127.0.0.1")];
    let ask = |used: &str, listed: &str| {
        let summary = "<GetAccountSummaryResponse><entry><key>AccountAccessKeysPresent</key><value>0</value></entry></GetAccountSummaryResponse>";
        let server = owner(used.to_owned().leak(), listed.to_owned().leak(), summary);
        let args = ["scan", ".", "--verify=yes", "--verify-as=owner", "--endpoint-url", &server.url, "-f", "json"];
        let run = sandbox.run_in(&own, &args);
        (report(&run)["findings"][0]["verification"]["status"].as_str().unwrap_or("none").to_owned(), run.code)
    };
    let used = "<GetAccessKeyLastUsedResponse><UserName>ann</UserName></GetAccessKeyLastUsedResponse>";
    let list = |member: &str, truncated: &str| {
        format!("<ListAccessKeysResponse>{member}<IsTruncated>{truncated}</IsTruncated></ListAccessKeysResponse>")
    };
    let member = format!("<member><AccessKeyId>{id}</AccessKeyId><Status>Inactive</Status></member>");
    for (used, listed, expected) in [
        (used, list(&member, "false"), "inactive"),
        (used, list("", "false"), "inactive"),
        (used, list("", "true"), "unknown"),
        (used, list(&member.replace("<Status>Inactive</Status>", ""), "false"), "unknown"),
        (used, list(&member.replace(&id, &format!("<![CDATA[{id}]]>")), "false"), "unknown"),
        (used, "<html>sign in</html>".into(), "unknown"),
        (used, String::new(), "unknown"),
        (used, list(&member, "false").replace("</ListAccessKeysResponse>", ""), "unknown"),
        (used, list(&member, "false")[..60].to_owned(), "unknown"),
        ("<html></html>", list(&member, "false"), "unknown"),
        ("<GetAccessKeyLastUsedResponse></GetAccessKeyLastUsedResponse>", String::new(), "inactive"),
    ] {
        let (status, code) = ask(used, &listed);
        assert_eq!(status, expected, "{used} {listed}");
        assert_eq!(code, Some(if expected == "unknown" { 2 } else { 0 }), "{used} {listed}");
    }
}

/// Whoever can place an id in a repository must not learn who scans it.
#[test]
fn roles_are_assumed_in_accounts_of_the_organisation_alone() {
    let sandbox = organisation(&["a"]);
    let own = [("AWS_ACCESS_KEY_ID", "AKIAOWN"), ("AWS_SECRET_ACCESS_KEY", "own"), ("NO_PROXY", "127.0.0.1")];
    let server = Server::start(&[("GetCallerIdentity", ACTIVE_ELSEWHERE), ("AssumeRole", GONE)]);
    let ask = |role: &str| {
        let args =
            ["scan", ".", "--verify=yes", "--verify-as=owner", "--assume-role", role, "--endpoint-url", &server.url];
        let run = sandbox.run_in(&own, &[&args[..], &["-f", "json"]].concat());
        let answer = report(&run)["findings"][0]["verification"].clone();
        (answer["status"].as_str().unwrap_or("none").to_owned(), server.requests().len())
    };
    sandbox.write("keyspill.toml", "org_accounts = [\"444455556666\"]\n");
    assert_eq!(ask("arn:aws:iam::{account}:role/audit"), ("not-asked".into(), 0));
    sandbox.write("keyspill.toml", "org_accounts = [\"111122223333\"]\n");
    assert_eq!(ask("arn:aws:iam::555566667777:role/audit"), ("not-asked".into(), 0));
    assert_eq!(ask("arn:aws:iam::{account}:role/audit"), ("unknown".into(), 2));
    // Whoever names a role does not mean to use the leaked key.
    let args = ["scan", ".", "--verify=yes", "--endpoint-url", &server.url, "--assume-role"];
    let before = server.requests().len();
    sandbox.run_in(&own, &[&args[..], &["arn:aws:iam::{account}:role/audit"]].concat());
    let actions: Vec<_> = server.requests()[before..].iter().map(|request| request.body.clone()).collect();
    assert!(actions.iter().any(|body| body.contains("AssumeRole")), "{actions:?}");
    let as_key = sandbox.run_in(&own, &[&args[..], &["arn:aws:iam::{account}:role/audit", "--verify-as=key"]].concat());
    assert!(
        as_key.code == Some(2) && as_key.stderr.contains("--assume-role is for --verify-as owner"),
        "{}",
        as_key.stderr
    );
    let no_role = sandbox.run_in(&own, &[&args[..], &["audit"]].concat());
    assert!(no_role.code == Some(2) && no_role.stderr.contains("expected the ARN of a role"), "{}", no_role.stderr);
}

/// What was asked for and is not known is no success.
#[test]
fn a_report_whose_keys_cannot_be_asked_about_is_not_verified() {
    let sandbox = organisation(&["a"]);
    let own = [("AWS_ACCESS_KEY_ID", "AKIAOWN"), ("AWS_SECRET_ACCESS_KEY", "own"), ("NO_PROXY", "127.0.0.1")];
    let server = Server::start(&[("GetCallerIdentity", ACTIVE_ELSEWHERE)]);
    let report = sandbox.run(&["scan", ".", "-f", "json"]).stdout;
    sandbox.write("report.json", &report);
    let verify = |more: &[&str]| {
        sandbox.run_in(&own, &[&["verify", "report.json", "--yes", "--endpoint-url", &server.url], more].concat())
    };
    let foreign = verify(&[]);
    assert_eq!(foreign.code, Some(2), "{}{}", foreign.stdout, foreign.stderr);
    let missing = verify(&["--key", "NOSUCH"]);
    assert!(missing.code == Some(2) && missing.stderr.contains("there is no key `NOSUCH` in it"), "{}", missing.stderr);
}

#[test]
fn a_key_of_govcloud_is_tried_there_first() {
    let sandbox = organisation(&[]);
    sandbox.write(
        "config",
        "[gov]\nregion = us-gov-west-1\n\naws_access_key_id = {{akia}}\naws_secret_access_key = {{secret}}\n",
    );
    let server = Server::start(&[("{{akia}}", GONE)]);
    assert_eq!(statuses(&report(&verify(&sandbox, &server, &[])))["config"].0, "inactive");
    let scopes =
        server.requests().into_iter().map(|request| request.headers["authorization"].clone()).collect::<Vec<_>>();
    assert!(
        scopes.len() == 2 && scopes[0].contains("/us-gov-west-1/") && scopes[1].contains("/us-east-1/"),
        "{scopes:?}"
    );
}

/// What could not be remembered is said where everything is that was not done.
#[test]
fn answers_that_cannot_be_remembered_are_told() {
    let labels: Vec<String> = (0..15).map(|number| format!("k{number}")).collect();
    let sandbox = organisation(&labels.iter().map(String::as_str).collect::<Vec<_>>());
    let ids: Vec<String> = labels.iter().map(|label| format!("{{{{akia {label}}}}}")).collect();
    let server = Server::start(&ids.iter().map(|id| (id.as_str(), GONE)).collect::<Vec<_>>());
    let state = tempfile::tempdir().expect("a folder");
    let file = state.path().join("answers.json");
    let (requests, folder) = (server.requests.clone(), state.path().to_owned());
    let remover = std::thread::spawn(move || {
        while requests.lock().expect("no panic").is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        std::fs::remove_dir_all(folder).expect("it is there");
    });
    let run = verify(&sandbox, &server, &["--verify-state", file.to_str().expect("text")]);
    remover.join().expect("no panic");
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("answers.json: the answers cannot be remembered: "), "{}", run.stderr);
    let report = report(&run);
    let told = statuses(&report);
    assert!(told.len() == 15 && told.values().all(|(status, _)| status == "inactive"), "{told:?}");
    assert_eq!(report["skipped"].as_array().map_or(0, Vec::len), 1, "{}", report["skipped"]);
}

/// As the owner, each partition has services of its own, and only the one of one's own credentials is asked.
#[test]
fn the_owner_is_asked_in_the_partition_of_the_credentials() {
    let sandbox = organisation(&["a"]);
    let server =
        owner("<GetAccessKeyLastUsedResponse></GetAccessKeyLastUsedResponse>", "", "<GetAccountSummaryResponse/>");
    let ask = |variable: (&'static str, &'static str), more: &[&str]| {
        let own =
            [("AWS_ACCESS_KEY_ID", "AKIAOWN"), ("AWS_SECRET_ACCESS_KEY", "own"), ("NO_PROXY", "127.0.0.1"), variable];
        let args = ["scan", ".", "--verify=yes", "--verify-as=owner", "--endpoint-url", &server.url, "-f", "json"];
        let run = sandbox.run_in(&own, &[&args[..], more].concat());
        let asked = server.requests().split_off(0);
        server.requests.lock().expect("no panic").clear();
        let scope = |request: &Request| {
            let credential =
                request.headers["authorization"].split("Credential=").nth(1).expect("a signature").to_owned();
            credential.split('/').skip(2).take(2).collect::<Vec<_>>().join("/")
        };
        let answer = report(&run)["findings"][0]["verification"].clone();
        (answer, asked.iter().map(scope).collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>())
    };
    for (region, home) in
        [("eu-west-1", "us-east-1"), ("us-gov-east-1", "us-gov-west-1"), ("cn-northwest-1", "cn-north-1")]
    {
        let (_, scopes) = ask(("AWS_REGION", region), &[]);
        assert_eq!(scopes, [format!("{home}/iam"), format!("{home}/sts")], "{region}");
    }
    let role = ["--assume-role", "arn:aws-us-gov:iam::{account}:role/audit"];
    assert_eq!(ask(("AWS_REGION", "us-east-1"), &role).1, ["us-gov-west-1/sts"]);
    // A key of another partition is not asked about: it would be called inactive.
    sandbox.write("a", "region = us-gov-west-1\naws_access_key_id={{akia a}}\naws_secret_access_key={{secret a}}\n");
    let (answer, scopes) = ask(("AWS_REGION", "us-east-1"), &[]);
    assert_eq!((answer["status"].as_str(), scopes.len()), (Some("not-asked"), 0), "{answer}");
    assert!(answer["reason"].to_string().contains("AWS_REGION"), "{answer}");
    assert_eq!(ask(("AWS_REGION", "us-gov-west-1"), &[]).1, ["us-gov-west-1/iam", "us-gov-west-1/sts"]);
}

/// Where it works, nobody else is asked.
#[test]
fn a_temporary_key_that_works_is_asked_about_once() {
    let sandbox = organisation(&[]);
    sandbox.write(
        "config",
        "[gov]\nregion = us-gov-west-1\naws_access_key_id = {{asia}}\naws_secret_access_key = {{secret}}\n\
         aws_session_token = FwoGZXIvYXdz{{base64:200}}\n",
    );
    let server = Server::start(&[("{{asia}}", ACTIVE)]);
    assert_eq!(statuses(&report(&verify(&sandbox, &server, &[])))["config"].0, "active");
    assert_eq!(server.requests().len(), 1);
}

/// A user's key in a file that looks like the root user's.
#[test]
fn an_arn_disproves_signs_of_root() {
    let sandbox = organisation(&[]);
    sandbox.write("rootkey.csv", "AWSAccessKeyId={{akia}}\nAWSSecretKey={{secret}}\n");
    let server = Server::start(&[("{{akia}}", ACTIVE)]);
    let run = verify(&sandbox, &server, &[]);
    assert!(!run.stdout.contains("aws-root-key"), "{}", run.stdout);
    let plan = sandbox.run_with_input(&["plan"], run.stdout.as_bytes()).stdout;
    assert!(plan.contains("--user-name 'ann'") && !plan.contains("assume-root"), "{plan}");
}

/// A proxy that is not understood is not passed by.
#[test]
fn unknown_proxies_are_refused() {
    let sandbox = organisation(&["a"]);
    for (name, value) in
        [("HTTPS_PROXY", "socks5://127.0.0.1:1"), ("all_proxy", "garbage://x"), ("HTTP_PROXY", "http://[")]
    {
        let run =
            sandbox.run_in(&[(name, value)], &["scan", ".", "--verify=yes", "--endpoint-url", "https://127.0.0.1:1"]);
        assert_eq!(run.code, Some(2), "{name}={value}");
        assert!(run.stderr.contains(&format!("{name}: expected the URL of an http or https proxy")), "{}", run.stderr);
    }
    // Where requests come from is said before, but for what hosts need no proxy.
    for (direct, words) in
        [("", "at https://127.0.0.1:1 through the proxy 127.0.0.1:2\n"), ("127.0.0.1", "at https://127.0.0.1:1\n")]
    {
        let variables = [("HTTPS_PROXY", "http://u:hunter2@127.0.0.1:2"), ("NO_PROXY", direct)];
        let run = sandbox.run_in(&variables, &["scan", ".", "--verify=yes", "--endpoint-url", "https://127.0.0.1:1"]);
        assert!(run.stderr.contains(words) && !run.stderr.contains("hunter2"), "{}", run.stderr);
    }
    // What is in clear stays on this machine.
    let server = Server::start(&[("{{akia a}}", ACTIVE)]);
    let args = ["scan", ".", "--verify=yes", "--endpoint-url", &server.url, "-f", "json"];
    let run = sandbox.run_in(&[("HTTP_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "")], &args);
    assert_eq!(statuses(&report(&run))["a"].0, "active");
    let run = sandbox.run(&["scan", ".", "--verify=yes", "--endpoint-url", "https://u:hunter2@x.example"]);
    assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
}

/// Without the AWS CLI, the keys of a profile are used, and its region says where to ask.
#[test]
fn the_owner_may_be_a_profile() {
    let sandbox = organisation(&["a"]);
    let elsewhere = Sandbox::new();
    elsewhere.write("config", "[default]\nregion = eu-west-1\n[profile china]\nregion = cn-north-1\n");
    elsewhere.write(
        "credentials",
        "[default]\nregion = x\n\n[china]\naws_access_key_id = AKIAOWN\naws_secret_access_key=own\n",
    );
    let path = |name: &str| elsewhere.path().join(name).display().to_string();
    let (config, credentials) = (path("config"), path("credentials"));
    let ask = |profile: &str, server: &Server| {
        let variables = [
            ("PATH", ""),
            ("AWS_CONFIG_FILE", &config),
            ("AWS_SHARED_CREDENTIALS_FILE", &credentials),
            ("AWS_PROFILE", profile),
            ("NO_PROXY", "127.0.0.1"),
        ];
        let args = ["scan", ".", "--verify=yes", "--verify-as=owner", "--endpoint-url", &server.url, "-f", "json"];
        sandbox.run_in(&variables, &args)
    };
    let server = owner("", "", "");
    ask("china", &server);
    let requests = server.requests();
    assert!(!requests.is_empty() && requests.iter().all(|request| request.id() == "AKIAOWN"), "{requests:?}");
    assert!(requests[0].headers["authorization"].contains("/cn-north-1/"), "{requests:?}");
    // Neither has keys.
    for profile in ["", "other"] {
        let run = ask(profile, &server);
        assert!(run.code == Some(2) && run.stderr.contains("choose a profile with keys"), "{}", run.stderr);
    }
    assert_eq!(server.requests().len(), requests.len());
}

/// A report or an inventory is enough to ask, and the answers make a better plan.
#[test]
fn the_keys_of_a_report_are_asked_about() {
    let sandbox = organisation(&["a", "b"]);
    let id = expand("{{akia a}}").text;
    let used = "<GetAccessKeyLastUsedResponse><GetAccessKeyLastUsedResult><UserName>ann</UserName><AccessKeyLastUsed>\
                <LastUsedDate>2020-10-01T02:03:04Z</LastUsedDate></AccessKeyLastUsed></GetAccessKeyLastUsedResult>\
                </GetAccessKeyLastUsedResponse>";
    let listed = format!(
        "<ListAccessKeysResponse><member><AccessKeyId>{id}</AccessKeyId><Status>Active</Status></member>\
         <IsTruncated>false</IsTruncated></ListAccessKeysResponse>"
    );
    let server = owner(used, listed.leak(), "");
    let own = [("AWS_ACCESS_KEY_ID", "AKIAOWN"), ("AWS_SECRET_ACCESS_KEY", "own"), ("NO_PROXY", "127.0.0.1")];
    let elsewhere = Sandbox::new();
    let file = |name: &str| elsewhere.path().join(name).display().to_string();
    let (report, inventory, answers) = (file("report.json"), file("inventory.json"), file("answers.json"));
    sandbox.run(&["scan", ".", "-f", "json", "-o", &report]);
    sandbox.run(&["audit", ".", "-f", "json", "-o", &inventory]);
    for known in [&report, &inventory] {
        let ask = |more: &[&str]| {
            let args = [&["verify", known, "--yes", "--endpoint-url", &server.url], more].concat();
            sandbox.run_in(&own, &args)
        };
        let run = ask(&["-f", "json", "-o", &answers]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let told: Value = serde_json::from_str(&std::fs::read_to_string(&answers).expect("answers")).expect("JSON");
        assert_eq!(told["answers"].as_object().map(serde_json::Map::len), Some(2));
        assert_eq!(told["answers"][&id]["status"], "active");
        assert_eq!(told["answers"][expand("{{akia b}}").text]["status"], "inactive");
        let plan = sandbox.run(&["plan", known, "--answers", &answers]).stdout;
        assert!(
            plan.contains(&format!("\n1. {id}, an IAM user's access key of account 111122223333: active\n")),
            "{plan}"
        );
        assert!(plan.contains("--user-name 'ann'") && plan.contains(": inactive\n"), "{plan}");
        let run = ask(&["--key", &id]);
        assert_eq!(run.stdout.lines().count(), 1);
        assert!(run.stdout.contains("IAM said on"), "{}", run.stdout);
        assert_eq!(ask(&["--key", "nobody"]).code, Some(2));
    }
    assert!(server.requests().iter().all(|request| request.id() == "AKIAOWN"));
    // What is known and recent is not asked again.
    let before = server.requests().len();
    let run = sandbox.run_in(
        &own,
        &["verify", &report, "--yes", "--endpoint-url", &server.url, "-f", "json", "-o", &answers, "--resume"],
    );
    assert_eq!((run.code, server.requests().len()), (Some(1), before), "{}", run.stderr);
    let mut told: Value = serde_json::from_str(&std::fs::read_to_string(&answers).expect("answers")).expect("JSON");
    told["answers"][&id]["checkedAt"] = "2020-01-01T00:00:00Z".into();
    std::fs::write(&answers, told.to_string()).expect("a file");
    sandbox.run_in(
        &own,
        &["verify", &report, "--yes", "--endpoint-url", &server.url, "-f", "json", "-o", &answers, "--resume"],
    );
    assert!(server.requests().len() > before);
    let told: Value = serde_json::from_str(&std::fs::read_to_string(&answers).expect("answers")).expect("JSON");
    assert_eq!(told["answers"].as_object().map(serde_json::Map::len), Some(2));
    assert_ne!(told["answers"][&id]["checkedAt"], "2020-01-01T00:00:00Z");
    // Nobody to ask for consent.
    let run = sandbox.run_in(&own, &["verify", &report, "--endpoint-url", &server.url]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("use --yes"), "{}", run.stderr);
    let run = sandbox.run(&["plan", &report, "--answers", &report]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("report.json: expected answers"), "{}", run.stderr);
}

/// Ctrl-C leaves the answers that there are, and the next run goes on from there.
#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on() {
    let labels: Vec<String> = (0..60).map(|number| format!("k{number}")).collect();
    let sandbox = organisation(&labels.iter().map(String::as_str).collect::<Vec<_>>());
    let used = "<GetAccessKeyLastUsedResponse><UserName>ann</UserName></GetAccessKeyLastUsedResponse>";
    let server = owner(used, "<ListAccessKeysResponse><IsTruncated>false</IsTruncated></ListAccessKeysResponse>", "");
    let elsewhere = Sandbox::new();
    let file = |name: &str| elsewhere.path().join(name).display().to_string();
    let (report, answers) = (file("report.json"), file("answers.json"));
    sandbox.run(&["scan", ".", "-f", "json", "-o", &report]);
    let args = ["verify", &report, "--yes", "--resume", "--endpoint-url", &server.url, "-f", "json", "-o", &answers];
    let command = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_keyspill"));
        command.args(args).current_dir(sandbox.path());
        command.env("AWS_ACCESS_KEY_ID", "AKIAOWN").env("AWS_SECRET_ACCESS_KEY", "own").env("NO_PROXY", "127.0.0.1");
        command
    };
    let mut child = command().stderr(std::process::Stdio::null()).spawn().expect("it starts");
    let count = || {
        let text = std::fs::read_to_string(&answers).unwrap_or_default();
        let told: Value = serde_json::from_str(&text).unwrap_or_default();
        told["answers"].as_object().map_or(0, serde_json::Map::len)
    };
    let started = Instant::now();
    while count() == 0 && started.elapsed().as_secs() < 30 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.expect("kill runs").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let (first, asked) = (count(), server.requests().len());
    assert!((1..60).contains(&first), "{first}");
    assert_eq!(command().output().expect("it ends").status.code(), Some(0));
    assert_eq!(count(), 60);
    // Two requests a key, and one for who asks.
    assert_eq!(server.requests().len() - asked, 2 * (60 - first) + 1);
}

const ACTIVE_ELSEWHERE: Answer = Answer::Http(
    200,
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::444455556666:user/eve</Arn><UserId>X</UserId>\
     <Account>444455556666</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
);

/// The id is known after the first answer; before that, AWS wants some seconds between two secrets.
#[test]
fn two_secrets_of_one_id_are_tried_one_after_the_other() {
    let sandbox = organisation(&[]);
    let pair = |label: &str| format!("aws_access_key_id={{{{akia}}}}\naws_secret_access_key={{{{secret {label}}}}}\n");
    sandbox.write("1", &pair("a"));
    sandbox.write("2", &pair("b"));
    let server = Server::start(&[("{{akia}}", WRONG)]);
    let found = statuses(&report(&verify(&sandbox, &server, &[])));
    assert_eq!((found["1"].0.as_str(), found["2"].0.as_str()), ("wrong-secret", "wrong-secret"));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].at.duration_since(requests[0].at).as_secs() >= 5);
    // Where one secret is right, the other is known to be wrong.
    let server = Server::start(&[("{{akia}}", ACTIVE)]);
    let found = statuses(&report(&verify(&sandbox, &server, &[])));
    let mut both = [found["1"].0.as_str(), found["2"].0.as_str()];
    both.sort_unstable();
    assert_eq!((both, server.requests().len()), (["active", "wrong-secret"], 1));
}

#[test]
fn a_mailed_key_that_is_gone_is_a_note() {
    let sandbox = organisation(&[]);
    sandbox.write("a.eml", "From: a@x.example\nTo: b@y.example\nSubject: key\n\n{{akia}} {{secret}}\n");
    let server = Server::start(&[("{{akia}}", GONE)]);
    let run = verify(&sandbox, &server, &[]);
    let found = report(&run);
    let judged = found["findings"].as_array().expect("findings").iter().find(|it| it["rule"] == "aws-emailed-key");
    assert_eq!(judged.expect("a judgement")["severity"], "note");
    assert_eq!(run.code, Some(0));
}

#[test]
fn what_is_wrong_with_the_network_is_said() {
    let sandbox = organisation(&["a", "b", "c", "d", "e"]);
    // Nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let server = Server { url: format!("http://127.0.0.1:{port}"), requests: Arc::default() };
    let run = verify(&sandbox, &server, &[]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("no connection"), "{}", run.stderr);
    assert_eq!(statuses(&report(&run)).values().filter(|(status, _)| status == "unknown").count(), 5);
    let bundle = sandbox.write_bytes("bundle.pem", b"no certificate").display().to_string();
    let args = ["scan", ".", "--verify=yes"];
    let run = sandbox.run_in(&[("AWS_CA_BUNDLE", &bundle)], &args);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("bundle.pem: expected certificates in PEM"), "{}", run.stderr);
    let run = sandbox.run_in(&[("AWS_CA_BUNDLE", "no/such")], &args);
    assert!(run.stderr.contains("no/such: cannot be read"), "{}", run.stderr);
    let run = sandbox.run(&["scan", ".", "--verify=yes", "--endpoint-url", "http://sts.example.com"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("expected an https URL"), "{}", run.stderr);
}

/// A service that accepts connections and says nothing.
#[test]
fn a_silent_service_is_given_up() {
    use keyspill::{AwsClient, Config, Pace, Scanner, Sts, Verifying};
    let server = Server::start(&[("{{akia}}", Answer::Silent)]);
    let second = std::time::Duration::from_secs(1);
    let client = AwsClient::new(None, Some(server.url.clone()), |_| None).expect("a client").timeout(second);
    let verifying = Verifying {
        verifiers: vec![Arc::new(Sts::new(client))],
        consent: Arc::new(|announcement| announcement.questions == 1),
        foreign: true,
        pace: Pace { patience: second / 10, ..Pace::default() },
        memory: None,
    };
    let text = expand("aws_access_key_id={{akia}}\naws_secret_access_key={{secret}}\n").text;
    let started = Instant::now();
    let report = Scanner::builder().bytes("keys", text).config(Config::default()).verify(verifying).run();
    assert!(started.elapsed().as_secs() < 20);
    let answer = report.findings.iter().find_map(|finding| finding.verification()).expect("an answer");
    assert_eq!(answer.status.word(), "unknown");
    assert_eq!(answer.reason.as_deref(), Some("no answer in time"));
    assert_eq!(server.requests().len(), 3);
}

/// A vendor of one's own, which counts.
#[derive(Debug, Default)]
struct Counting {
    at_once: AtomicUsize,
    most: AtomicUsize,
    asked: AtomicUsize,
    /// The numbers of questions after which there is no network any more.
    reachable: usize,
}

impl keyspill::Verifier for Counting {
    fn knows(&self, finding: &keyspill::Finding) -> bool {
        finding.rule.id.as_str() == "aws-access-key-pair"
    }

    fn refusal(&self, _: &keyspill::Question) -> Option<&'static str> {
        None
    }

    fn hosts(&self, _: &keyspill::Question) -> Vec<String> {
        vec!["https://vendor.example".into()]
    }

    fn trace(&self) -> &'static str {
        "It is counted."
    }

    fn ask(&self, question: &keyspill::Question) -> keyspill::Reply {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_micros(200));
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        assert!(question.secret.is_some());
        if number >= self.reachable {
            return keyspill::Reply::Unreachable("no connection".into());
        }
        let inactive = keyspill::finding::verification::KeyStatus::Inactive;
        keyspill::Reply::Answer(keyspill::finding::verification::Verification::new(inactive, 0))
    }
}

/// Ten thousand keys: few requests at a time, at the pace that was set, each asked about once; and without a network, not ten
/// thousand attempts.
#[test]
fn many_keys_are_asked_about_at_an_even_pace() {
    use keyspill::{Pace, Scanner, Severity, Verifying};
    use std::time::Duration;
    let run = |count: usize, reachable: usize, interval: Duration| {
        let vendor = Arc::new(Counting { reachable, ..Counting::default() });
        let verifying = Verifying {
            verifiers: vec![vendor.clone()],
            consent: Arc::new(move |announcement| announcement.questions == count),
            foreign: true,
            pace: Pace { interval, patience: Duration::from_millis(1), ..Pace::default() },
            memory: None,
        };
        let mut scanner = Scanner::builder();
        for number in 0..count {
            let pair =
                format!("aws_access_key_id={{{{akia {number}}}}}\naws_secret_access_key={{{{secret {number}}}}}\n");
            scanner = scanner.bytes(format!("{number}.env"), expand(&pair).text);
        }
        let started = Instant::now();
        let report = scanner.verify(verifying).run();
        (vendor, report, started.elapsed())
    };
    let (vendor, report, _) = run(10_000, usize::MAX, Duration::ZERO);
    assert_eq!(vendor.asked.load(Ordering::SeqCst), 10_000);
    assert!((2..=4).contains(&vendor.most.load(Ordering::SeqCst)), "{vendor:?}");
    assert!(report.findings.iter().all(|finding| finding.severity == Severity::Note));
    let (vendor, report, _) = run(1_000, 100, Duration::ZERO);
    assert!(vendor.asked.load(Ordering::SeqCst) < 130, "{vendor:?}");
    assert_eq!(report.coverage.failures().count(), 900);
    // Not a measurement: sooner would be too fast.
    let (_, _, elapsed) = run(20, usize::MAX, Duration::from_millis(50));
    assert!(elapsed >= Duration::from_millis(19 * 50), "{elapsed:?}");
}

/// Without `--verify` there is no connection and no name is looked up, whatever is scanned.
#[test]
fn nothing_else_opens_a_connection() {
    let sandbox = organisation(&["a"]);
    sandbox.init();
    sandbox.git(&["add", "."]);
    sandbox.commit(1, "keys");
    let trace = |args: &[&str]| -> Option<String> {
        let file = sandbox.path().join("trace");
        let mut command = std::process::Command::new("strace");
        command.args(["-f", "-q", "-e", "trace=socket,connect,sendto,sendmsg", "-o"]).arg(&file);
        command.arg(env!("CARGO_BIN_EXE_keyspill")).args(args).current_dir(sandbox.path());
        command.env("NO_PROXY", "127.0.0.1").output().ok()?;
        std::fs::read_to_string(file).ok()
    };
    let server = Server::start(&[("{{akia a}}", ACTIVE)]);
    let with = ["scan", ".", "--verify=yes", "--endpoint-url", &server.url];
    let Some(seen) = trace(&with).filter(|_| !server.requests().is_empty()) else {
        return skipped("strace cannot be used");
    };
    assert!(seen.contains("AF_INET"), "the trace shows connections: {seen}");
    for args in
        [&["scan", "."][..], &["scan", ".", "--history"], &["scan", "--staged"], &["audit", "."], &["rules", "list"]]
    {
        let seen = trace(args).expect("a trace");
        assert!(!seen.contains("socket(") && !seen.contains("connect("), "{args:?}: {seen}");
    }
}

/// IAM is asked about what an audit found, and the state of the audit remembers the answers, each with its time.
#[test]
fn an_audit_asks_and_remembers() {
    let sandbox = organisation(&["a", "b"]);
    let id = expand("{{akia a}}").text;
    let used = "<GetAccessKeyLastUsedResponse><GetAccessKeyLastUsedResult><UserName>ann</UserName><AccessKeyLastUsed>\
                <LastUsedDate>2020-10-01T02:03:04Z</LastUsedDate></AccessKeyLastUsed></GetAccessKeyLastUsedResult>\
                </GetAccessKeyLastUsedResponse>";
    let listed = format!(
        "<ListAccessKeysResponse><member><AccessKeyId>{id}</AccessKeyId><Status>Active</Status></member>\
         <IsTruncated>false</IsTruncated></ListAccessKeysResponse>"
    );
    let server = owner(used, listed.leak(), "");
    let own = [("AWS_ACCESS_KEY_ID", "AKIAOWN"), ("AWS_SECRET_ACCESS_KEY", "own"), ("NO_PROXY", "127.0.0.1")];
    let elsewhere = Sandbox::new();
    let state = elsewhere.path().join("state").display().to_string();
    let audit = |more: &[&str]| sandbox.run_in(&own, &[&["audit", ".", "--state", &state], more].concat());
    let asking = ["--verify=yes", "--endpoint-url", &server.url];
    let run = audit(&[&asking[..], &["-f", "json"]].concat());
    let inventory = |run: &Run| serde_json::from_str::<Value>(&run.stdout).expect("JSON");
    let told = inventory(&run);
    let answers = |told: &Value| {
        let keys = told["keys"].as_array().expect("keys").iter();
        keys.map(|key| {
            let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
            (text(&key["name"]), (text(&key["verification"]["status"]), text(&key["severity"])))
        })
        .collect::<BTreeMap<_, _>>()
    };
    let pair = |status: &str, severity: &str| (status.to_owned(), severity.to_owned());
    let expected =
        BTreeMap::from([(id.clone(), pair("active", "error")), (expand("{{akia b}}").text, pair("inactive", "note"))]);
    assert_eq!(answers(&told), expected, "{told}");
    let schema: Value = serde_json::from_str(include_str!("../../schemas/inventory-1.schema.json")).expect("JSON");
    let problems: Vec<_> =
        jsonschema::validator_for(&schema).expect("a schema").iter_errors(&told).map(|it| it.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?}");
    assert!(run.stderr.contains("verifying 2 keys at"), "{}", run.stderr);
    // The next audit knows, and asks nothing, whether it is to ask or not.
    let asked = server.requests().len();
    for more in [&asking[..], &[]] {
        assert_eq!(answers(&inventory(&audit(&[more, &["-f", "json"]].concat()))), expected);
    }
    assert_eq!(server.requests().len(), asked);
    for (format, words) in [
        ("text", "active; id and secret"),
        ("csv", ",active,20"),
        ("markdown", "- Verified: IAM said on"),
        ("html", "that it is active"),
    ] {
        let run = audit(&["-f", format]);
        assert!(run.stdout.contains(words), "{format}: {}", run.stdout);
    }
    let written = elsewhere.path().join("inventory.json");
    std::fs::write(&written, told.to_string()).expect("a file");
    let plan = sandbox.run(&["plan", &written.display().to_string()]).stdout;
    assert!(plan.contains(&format!("\n1. {id}")) && plan.contains(": inactive\n"), "{plan}");
    // What is older than a day is forgotten, and asked again.
    let file = elsewhere.path().join("state/answers.json");
    let mut stored: Value = serde_json::from_str(&std::fs::read_to_string(&file).expect("a file")).expect("JSON");
    stored["answers"][&id]["checked"] = 1_600_000_000.into();
    std::fs::write(&file, stored.to_string()).expect("a file");
    assert_eq!(answers(&inventory(&audit(&["-f", "json"])))[&id].0, "none");
    audit(&asking);
    assert!(server.requests().len() > asked);
    // Without an answer, the audit is incomplete, and nothing is remembered.
    std::fs::remove_file(&file).expect("it is there");
    let busy = Server::start(&[("GetCallerIdentity", Answer::Http(500, "busy"))]);
    let run = audit(&["--verify=yes", "--endpoint-url", &busy.url, "-f", "json"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("{id} was not verified: ")), "{}", run.stderr);
    assert_eq!(inventory(&run)["complete"], false);
    assert_eq!(answers(&inventory(&audit(&["-f", "json"])))[&id].0, "none");
    std::fs::write(&file, "{").expect("a file");
    let run = audit(&[]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("answers.json: it is damaged; delete the file"), "{}", run.stderr);
    // Nobody to ask for consent.
    let run = audit(&["--verify"]);
    assert!(run.code == Some(2) && run.stderr.contains("use --verify=yes"), "{}", run.stderr);
}

/// The results of an audit hold no secrets: what has them is read again, and nothing of them is kept.
#[test]
fn an_audit_asks_as_the_key() {
    let sandbox = organisation(&["a", "b"]);
    sandbox.write("other/id.txt", "{{akia c}}\n");
    let server = Server::start(&[("{{akia a}}", ACTIVE), ("{{akia b}}", GONE)]);
    let elsewhere = Sandbox::new();
    let state = elsewhere.path().join("state").display().to_string();
    let asking = [
        "audit",
        ".",
        "--verify=yes",
        "--verify-as",
        "key",
        "--endpoint-url",
        &server.url,
        "--config",
        "keyspill.toml",
    ];
    let clean = [("NO_PROXY", "127.0.0.1"), ("AWS_CA_BUNDLE", ""), ("SSL_CERT_FILE", "")];
    let audit = |more: &[&str]| sandbox.run_in(&clean, &[&asking[..], &["-f", "json"], more].concat());
    let statuses = |run: &Run| {
        let told: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("no inventory: {}", run.stderr));
        let keys = told["keys"].as_array().expect("keys").iter();
        let status = |key: &Value| key["verification"]["status"].as_str().unwrap_or("none").to_owned();
        keys.map(|key| (key["name"].as_str().expect("a name").to_owned(), status(key))).collect::<BTreeMap<_, _>>()
    };
    let name = |key: &str| expand(key).text;
    let expected = BTreeMap::from([
        (name("{{akia a}}"), "active".to_owned()),
        (name("{{akia b}}"), "inactive".to_owned()),
        (name("{{akia c}}"), "none".to_owned()),
    ]);
    let run = audit(&[]);
    assert_eq!(statuses(&run), expected, "{}", run.stderr);
    assert!(run.stderr.contains("reading 1 unit again"), "{}", run.stderr);
    assert!(run.stderr.contains("not asked about 1: id and secret are not together"), "{}", run.stderr);
    assert!(run.stderr.contains("verifying 2 keys at"), "{}", run.stderr);
    assert!(server.requests().iter().all(|request| request.action() == "GetCallerIdentity"));
    // With a state, the next audit knows, and nothing is read again.
    let asked = server.requests().len();
    assert_eq!(statuses(&audit(&["--state", &state])), expected);
    let run = audit(&["--state", &state]);
    assert_eq!(statuses(&run), expected);
    assert!(!run.stderr.contains("again"), "{}", run.stderr);
    assert_eq!(server.requests().len(), 2 * asked);
    let mut files = vec![std::path::PathBuf::from(&state)];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        let secret = name("{{secret a}}");
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", path.display());
    }
    // Keys of accounts that are not one's own are left out, unless asked for.
    sandbox.write("keyspill.toml", "");
    let run = audit(&[]);
    assert!(run.stderr.contains("no key can be verified") && run.stderr.contains("--verify-foreign"), "{}", run.stderr);
    assert_eq!(statuses(&audit(&["--verify-foreign"])), expected);
}

/// A scan that was interrupted while it asked goes on from there, if it may remember.
#[cfg(unix)]
#[test]
fn an_interrupted_scan_goes_on() {
    let labels: Vec<String> = (0..50).map(|number| format!("k{number}")).collect();
    let sandbox = organisation(&labels.iter().map(String::as_str).collect::<Vec<_>>());
    let ids: Vec<String> = labels.iter().map(|label| format!("{{{{akia {label}}}}}")).collect();
    let server = Server::start(&ids.iter().map(|id| (id.as_str(), GONE)).collect::<Vec<_>>());
    // Where it is scanned, too: its ids are no leak.
    let state = sandbox.path().join("answers.json");
    let args = ["--verify-state", "answers.json"];
    let count = || {
        let text = std::fs::read_to_string(&state).unwrap_or_default();
        let told: Value = serde_json::from_str(&text).unwrap_or_default();
        told["answers"].as_object().map_or(0, serde_json::Map::len)
    };
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_keyspill"))
        .args([
            "scan",
            ".",
            "--verify=yes",
            "--endpoint-url",
            &server.url,
            "-f",
            "json",
            "--verify-state",
            "answers.json",
        ])
        .current_dir(sandbox.path())
        .env("NO_PROXY", "127.0.0.1")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let started = Instant::now();
    while count() == 0 && started.elapsed().as_secs() < 30 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.expect("kill runs").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let (first, asked) = (count(), server.requests().len());
    assert!((1..50).contains(&first), "{first}");
    let run = verify(&sandbox, &server, &args);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let found = statuses(&report(&run));
    assert_eq!(found.len(), 50, "{found:?}");
    assert!(found.values().all(|(status, severity)| status == "inactive" && severity == "note"), "{found:?}");
    assert_eq!((count(), server.requests().len() - asked), (50, 50 - first));
    assert_eq!(verify(&sandbox, &server, &args).code, Some(0));
    assert_eq!(server.requests().len() - asked, 50 - first, "nothing is asked twice");
    let text = std::fs::read_to_string(&state).expect("a file");
    assert!(!text.contains(&expand("{{secret k1}}").text));
}
