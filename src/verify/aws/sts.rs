//! Asking as the key: `GetCallerIdentity`, which needs no permission and changes nothing.
//!
//! Source: AWS Security Token Service API Reference, `GetCallerIdentity` and "Common Errors".

use super::client::{Client, Failure, Response, Signer};
use super::xml;
use crate::credential::AccountId;
use crate::finding::Finding;
use crate::finding::verification::{KeyStatus, Verification};
use crate::text::alphabet;
use crate::verify::{Partition, Question, Reply, Verifier, pace};

/// AWS's service that says whose a key is.
#[derive(Debug)]
pub struct Sts {
    client: Client,
}

impl Sts {
    /// One that is reached by `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

const FORM: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// Why a temporary key without its token is not tried.
const NO_TOKEN: &str = "it is a temporary key, and its session token was not found beside it";

/// The host and the region of each partition's service.
const PLACES: [(&str, &str); 3] = [
    ("sts.amazonaws.com", "us-east-1"),
    ("sts.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ("sts.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
];

pub(super) fn place(partition: Partition) -> (&'static str, &'static str) {
    PLACES[partition as usize]
}

impl Verifier for Sts {
    fn knows(&self, finding: &Finding) -> bool {
        !finding.is_of_others() && finding.key_id().is_some_and(|id| alphabet::is_long_term(id) || is_temporary(id))
    }

    fn refusal(&self, question: &Question) -> Option<&'static str> {
        (is_temporary(&question.id) && question.token.is_none()).then_some(NO_TOKEN)
    }

    fn hosts(&self, question: &Question) -> Vec<String> {
        question.partitions.iter().map(|partition| self.client.route(place(*partition).0)).collect()
    }

    fn trace(&self) -> &'static str {
        "GetCallerIdentity is called with each key. Its owner sees the call in CloudTrail: the time, the address that it \
         comes from and the name keyspill."
    }

    fn ask(&self, question: &Question) -> Reply {
        let Some(secret) = &question.secret else { return Reply::Later("its secret is not known".into()) };
        let mut reply = Reply::Later("there is no partition to ask in".into());
        for partition in &question.partitions {
            let (host, region) = place(*partition);
            let token = question.token.as_ref();
            let signer = Signer { id: &question.id, secret, token, region, service: "sts" };
            reply = match self.client.post(host, FORM, &signer) {
                Ok(response) => read(&response, question, pace::now()),
                Err(Failure::Unreachable(words)) => Reply::Unreachable(words),
                Err(Failure::Broken(words)) => Reply::Later(words),
            };
            // Where the key is not known, another partition may know it.
            let is_unknown_there = |answer: &Verification| match answer.status {
                KeyStatus::Inactive => true,
                // With the token beside it.
                KeyStatus::Unknown => is_temporary(&question.id),
                _ => false,
            };
            if !matches!(&reply, Reply::Answer(answer) if is_unknown_there(answer)) {
                break;
            }
        }
        reply
    }
}

fn is_temporary(id: &str) -> bool {
    id.starts_with("ASIA")
}

/// How far two clocks may be apart, in seconds: AWS refuses signatures that are older than five minutes.
const MAX_CLOCK_ERROR: i64 = 5 * 60;

/// What an answer means, at a time in seconds since 1970.
fn read(response: &Response, question: &Question, now: i64) -> Reply {
    let unknown = |reason: &str| Reply::Answer(Verification::without_answer(KeyStatus::Unknown, now, reason));
    let text = |name| xml::text(&response.body, name);
    match response.status {
        200 => {
            let arn = text("Arn").filter(|arn| arn.starts_with("arn:aws"));
            let is_number = |digits: &String| digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
            let account = text("Account").filter(is_number);
            let account = account.and_then(|digits| digits.parse().ok()).and_then(AccountId::new);
            match (arn, account) {
                (Some(_), Some(other)) if question.account.is_some_and(|account| account != other) => {
                    unknown("the answer is about another account than the id's")
                }
                (Some(arn), Some(_)) => {
                    Reply::Answer(Verification { arn: Some(arn), account, ..Verification::new(KeyStatus::Active, now) })
                }
                _ => unknown("the answer is not one of AWS's"),
            }
        }
        201..400 => unknown("unexpected redirect"),
        429 | 500.. => Reply::Later(format!("the service is busy or has an error (status {})", response.status)),
        _ => {
            let (code, message) = (text("Code").unwrap_or_default(), text("Message").unwrap_or_default());
            match code.as_str() {
                "InvalidClientTokenId" if is_temporary(&question.id) => {
                    unknown("AWS does not accept it with the session token beside it, which may be another's")
                }
                "InvalidClientTokenId" if response.status == 403 => {
                    Reply::Answer(Verification::new(KeyStatus::Inactive, now))
                }
                "ExpiredToken" | "ExpiredTokenException" => Reply::Answer(Verification::new(KeyStatus::Expired, now)),
                "SignatureDoesNotMatch" if is_about_time(&message, response.date, now) => unknown(
                    "AWS refuses the time of the request: set this machine's clock, which is off by more than five minutes",
                ),
                "SignatureDoesNotMatch" if response.status == 403 => {
                    Reply::Answer(Verification::new(KeyStatus::WrongSecret, now))
                }
                "Throttling"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "TooManyRequestsException"
                | "ServiceUnavailable"
                | "InternalFailure" => Reply::Later(format!("AWS answers {code}")),
                code if xml::is_plain(code) => unknown(&format!("AWS answers {code}")),
                _ => unknown(&format!("the answer is not one of AWS's (status {})", response.status)),
            }
        }
    }
}

/// True if a signature was refused because of its time. Both messages are AWS's.
fn is_about_time(message: &str, date: Option<i64>, now: i64) -> bool {
    message.contains("Signature expired")
        || message.contains("Signature not yet current")
        || date.is_some_and(|date| date.abs_diff(now) > MAX_CLOCK_ERROR as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::strategy::Just;

    const NOW: i64 = 1_800_000_000;

    fn error(status: u16, code: &str, message: &str) -> Response {
        let body = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        );
        Response { status, body: body.into_bytes(), date: Some(NOW) }
    }

    fn identity(arn: &str, account: &str) -> Response {
        let body = format!(
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>X</UserId>\
             <Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        );
        Response { status: 200, body: body.into_bytes(), date: Some(NOW) }
    }

    /// What is made of an answer: the status, and whether it is asked again.
    fn meaning(response: &Response) -> String {
        let question = Question::about(crate::rule::example::expand("{{akia}}").text, AccountId::new(111_122_223_333));
        match read(response, &question, NOW) {
            Reply::Answer(answer) if answer.is_root() => "active, root".into(),
            Reply::Answer(answer) => answer.status.word().into(),
            Reply::Later(_) => "later".into(),
            Reply::Unreachable(_) => "unreachable".into(),
        }
    }

    #[test]
    fn each_partition_has_a_host_of_its_own() {
        let hosts = [Partition::Commercial, Partition::China, Partition::GovCloud].map(|partition| place(partition).0);
        assert_eq!(hosts, ["sts.amazonaws.com", "sts.cn-north-1.amazonaws.com.cn", "sts.us-gov-west-1.amazonaws.com"]);
    }

    proptest::proptest! {
        /// What is not AWS's own answer says nothing about a key.
        #[test]
        fn a_changed_answer_means_the_same_or_nothing(
            which in 0_usize..4,
            status in proptest::prop_oneof![Just(200_u16), Just(403), Just(400), Just(503)],
            at in 0_usize..400,
            byte in proptest::option::of(0_u8..),
        ) {
            let mut response = match which {
                0 => identity("arn:aws:iam::111122223333:user/ann", "111122223333"),
                1 => error(403, "InvalidClientTokenId", "x"),
                2 => error(403, "SignatureDoesNotMatch", "x"),
                _ => error(403, "ExpiredToken", "x"),
            };
            let whole = meaning(&response);
            response.status = status;
            let at = at.min(response.body.len() - 1);
            match byte {
                Some(byte) => response.body[at] = byte,
                None => response.body.truncate(at),
            }
            let meant = meaning(&response);
            proptest::prop_assert!(meant == whole || meant == "unknown" || meant == "later", "{whole}, then {meant}");
        }
    }

    #[test]
    fn every_answer_has_one_meaning() {
        let user = "arn:aws:iam::111122223333:user/ann";
        let cases = [
            (identity(user, "111122223333"), "active"),
            (identity("arn:aws:iam::111122223333:root", "111122223333"), "active, root"),
            (identity("arn:aws-cn:iam::111122223333:user/ann", "111122223333"), "active"),
            (identity("arn:aws:sts::111122223333:assumed-role/r/root", "111122223333"), "active"),
            (identity("", "111122223333"), "unknown"),
            (identity(user, "12"), "unknown"),
            (identity(user, "+11112222333"), "unknown"),
            (identity("arn:aws:iam::444455556666:user/ann", "444455556666"), "unknown"),
            (error(403, "InvalidClient<!-- x -->TokenId", ""), "unknown"),
            (error(403, "InvalidClient&x;TokenId", ""), "unknown"),
            (error(407, "InvalidClientTokenId", ""), "unknown"),
            (error(202, "InvalidClientTokenId", ""), "unknown"),
            (identity("you are root", "111122223333"), "unknown"),
            (Response { status: 200, body: b"{\"ok\": true}".to_vec(), date: None }, "unknown"),
            (Response { status: 200, body: vec![0xff; 100], date: None }, "unknown"),
            (error(403, "InvalidClientTokenId", "The security token included in the request is invalid."), "inactive"),
            (error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match"), "wrong-secret"),
            (error(403, "SignatureDoesNotMatch", "Signature expired: 20270115T080000Z is now earlier than"), "unknown"),
            (error(403, "SignatureDoesNotMatch", "Signature not yet current: 20270115T080000Z"), "unknown"),
            (Response { date: Some(NOW - 3600), ..error(403, "SignatureDoesNotMatch", "") }, "unknown"),
            (error(403, "ExpiredToken", "The security token included in the request is expired"), "expired"),
            (error(403, "AccessDenied", "explicit deny"), "unknown"),
            (error(400, "Throttling", "Rate exceeded"), "later"),
            (error(503, "ServiceUnavailable", ""), "later"),
            (error(500, "InvalidClientTokenId", "from a proxy"), "later"),
            (error(302, "InvalidClientTokenId", ""), "unknown"),
            (error(404, "InvalidClientTokenId<", ""), "unknown"),
            (Response { status: 403, body: b"<html>blocked</html>".to_vec(), date: None }, "unknown"),
            (Response { status: 429, body: vec![], date: None }, "later"),
        ];
        for (response, expected) in cases {
            assert_eq!(meaning(&response), expected, "{} {}", response.status, String::from_utf8_lossy(&response.body));
        }
    }
}
