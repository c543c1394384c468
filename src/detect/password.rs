//! Tells passwords that people chose from those of examples, and servers from names in examples.

use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

/// What examples use for a password, without the digits and marks around it.
const USUAL: &str = "pass passwd passw password passwort pw pwd passphrase secret s3cret secretpassword mysecret topsecret \
    supersecret changeme changeit change_me changethis letmein admin administrator root toor user username login guest test \
    testing tester testpass demo dev develop development prod production staging local sample example dummy fake foo bar \
    baz foobar qwerty qwertz abc abcd asdf hello welcome default none null nil undefined true false redacted hidden \
    removed masked token key apikey postgres postgresql mysql mariadb mongo mongodb redis rabbitmq rabbit elastic \
    elasticsearch oracle mssql sa sql db dbpass dbuser database docker vagrant jenkins travis github gitlab ubuntu debian \
    android raspberry minio minioadmin keycloak airflow grafana kafka ldap hunter swordfish password_here opensesame";

/// What no chosen password contains.
const TELLING: [&str; 32] = [
    "password",
    "passwd",
    "passw0rd",
    "p@ssw",
    "secret",
    "changeme",
    "change_me",
    "example",
    "placeholder",
    "your",
    "dummy",
    "testpass",
    "xxx",
    "***",
    "...",
    "<",
    ">",
    "{",
    "}",
    "$(",
    "%s",
    "%(",
    "%d",
    "@@",
    "[[",
    "enc(",
    "12345678",
    "abcdefgh",
    "87654321",
    "insert",
    "auth_key",
    "asdfq",
];

/// True for a password that may be somebody's.
pub fn is_real(password: &[u8], user: &[u8]) -> bool {
    static WORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
        AhoCorasick::builder().ascii_case_insensitive(true).build(TELLING).expect("a few short words")
    });
    let is_mark = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'!' | b'@' | b'#' | b'?');
    let start = password.iter().position(|b| !is_mark(b)).unwrap_or(password.len());
    let end = password.iter().rposition(|b| !is_mark(b)).map_or(start, |at| at + 1);
    let bare = String::from_utf8_lossy(&password[start..end]).to_ascii_lowercase();
    let is_one_character = password.iter().all(|b| Some(b) == password.first());
    let is_usual = bare.is_empty() || USUAL.split_ascii_whitespace().any(|word| word == bare);
    !is_usual && !is_one_character && !password.eq_ignore_ascii_case(user) && !WORDS.is_match(password)
}

/// True for the name of a server that may exist, and that others may reach.
pub fn is_real_host(host: &[u8]) -> bool {
    const OWN: [&str; 7] = [
        "localhost",
        "localdomain",
        "host.docker.internal",
        "0.0.0.0",
        "10.0.2.2",
        "::1",
        "kubernetes.docker.internal",
    ];
    const NAMES: [&str; 20] = [
        "example",
        "host",
        "hostname",
        "server",
        "servername",
        "domain",
        "mydomain",
        "mysite",
        "mysql",
        "company",
        "acme",
        "foo",
        "bar",
        "test",
        "db",
        "some",
        "myserver",
        "mycompany",
        "site",
        "dbhost",
    ];
    const ENDS: [&str; 6] = ["example", "test", "invalid", "localhost", "local", "localdomain"];
    // `*` stands for any, in lists of passwords.
    if host == b"*" {
        return true;
    }
    let host = String::from_utf8_lossy(host).to_ascii_lowercase();
    let labels: Vec<&str> = host.split('.').collect();
    let second = labels.len().checked_sub(2).map_or("", |at| labels[at]);
    let is_documentation = ["127.", "192.0.2.", "198.51.100.", "203.0.113."].iter().any(|net| host.starts_with(net));
    let has_mark = host.contains(['<', '{', '$', '%', '*']) || host.contains("your") || host.contains("example");
    !(OWN.contains(&host.as_str())
        || is_documentation
        || has_mark
        || ENDS.contains(labels.last().unwrap_or(&""))
        || NAMES.contains(&second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_told() {
        for usual in [
            "password",
            "Password123!",
            "postgres",
            "hunter2",
            "s3cret",
            "aaaaaaaa",
            "12345678",
            "my-secret-pw",
            "${DB_PASS}",
            "app",
        ] {
            assert!(!is_real(usual.as_bytes(), b"app"), "{usual}");
        }
        for real in ["kT9wq2Lz", "correct-horse-7", "Vx!91bqa"] {
            assert!(is_real(real.as_bytes(), b"app"), "{real}");
        }
        for own in
            ["localhost", "127.0.0.1", "db.example.com", "203.0.113.9", "x.test", "myhost.local", "db.mydomain.com"]
        {
            assert!(!is_real_host(own.as_bytes()), "{own}");
        }
        for real in ["db1.prod-cluster.net", "10.20.30.40", "cluster0.ab1cd.mongodb.net"] {
            assert!(is_real_host(real.as_bytes()), "{real}");
        }
    }
}
