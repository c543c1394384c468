//! Asking as the owner: IAM tells an administrator of an account about its keys, and the leaked key itself is not used.
//!
//! Source: AWS Identity and Access Management API Reference, `GetAccessKeyLastUsed`, `ListAccessKeys` and
//! `GetAccountSummary`; AWS Security Token Service API Reference, `AssumeRole`.

use super::client::{Client, Failure, Response, Signer};
use super::xml;
use crate::credential::AccountId;
use crate::finding::Finding;
use crate::finding::verification::{KeyStatus, Usage, Verification};
use crate::text::alphabet;
use crate::verify::{Partition, Question, Reply, Verifier, pace};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Credentials of someone who may ask.
#[derive(Debug, Clone)]
pub struct OwnCredentials {
    /// The id of the key.
    pub id: String,
    /// The secret.
    pub secret: SecretString,
    /// The session token, if the key is temporary.
    pub token: Option<SecretString>,
}

/// AWS's service that knows the keys of an account.
#[derive(Debug)]
pub struct Iam {
    client: Client,
    own: OwnCredentials,
    /// The account of `own`.
    account: AccountId,
    /// A role to take, with `{account}` for the account that is asked about.
    role: Option<String>,
    roles: Mutex<BTreeMap<AccountId, Result<OwnCredentials, String>>>,
}

const OTHER_ACCOUNT: &str = "its account is another than yours; name a role in it with --assume-role";
const NO_ACCOUNT: &str = "its id does not tell its account, so nobody can be asked as its owner";
const TEMPORARY: &str = "IAM does not know temporary keys";

impl Iam {
    /// Asks whose the credentials are, and so learns whether they work.
    ///
    /// # Errors
    /// They do not work, or AWS cannot be asked: why.
    pub fn new(client: Client, own: OwnCredentials, role: Option<String>) -> Result<Self, String> {
        let form = "Action=GetCallerIdentity&Version=2011-06-15";
        let response = send(&client, STS, form, &own, "sts").map_err(|problem| match problem {
            Problem::Final(words) | Problem::Later(words) | Problem::Unreachable(words) => {
                format!("your own AWS credentials cannot be used: {words}")
            }
        })?;
        let account = xml::text(&response.body, "Account").and_then(|digits| digits.parse().ok());
        let account = account.and_then(AccountId::new).ok_or("AWS does not say whose your own credentials are")?;
        Ok(Self { client, own, account, role, roles: Mutex::default() })
    }

    /// What to sign with in an account.
    fn credentials(&self, account: AccountId) -> Result<OwnCredentials, String> {
        let Some(role) = &self.role else { return Ok(self.own.clone()) };
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        roles.entry(account).or_insert_with(|| self.assume(&role.replace("{account}", &account.to_string()))).clone()
    }

    fn assume(&self, role: &str) -> Result<OwnCredentials, String> {
        let role_arn = utf8_percent_encode(role, NON_ALPHANUMERIC);
        let form = format!("Action=AssumeRole&RoleArn={role_arn}&RoleSessionName=keyspill&Version=2011-06-15");
        let response = send(&self.client, STS, &form, &self.own, "sts").map_err(|problem| match problem {
            Problem::Final(words) | Problem::Later(words) | Problem::Unreachable(words) => {
                format!("the role {role} cannot be assumed: {words}")
            }
        })?;
        let text = |name| xml::text(&response.body, name).ok_or("AWS's answer to AssumeRole is not complete");
        let (id, secret, token) = (text("AccessKeyId")?, text("SecretAccessKey")?, text("SessionToken")?);
        Ok(OwnCredentials { id, secret: secret.into(), token: Some(token.into()) })
    }

    fn status(&self, question: &Question, own: &OwnCredentials) -> Result<Verification, Problem> {
        let now = pace::now();
        let ask = |form: &str| send(&self.client, IAM, form, own, "iam");
        let last_use = match ask(&format!("Action=GetAccessKeyLastUsed&AccessKeyId={}&Version=2010-05-08", question.id))
        {
            Err(Problem::Final(words)) if words.ends_with("NoSuchEntity") => {
                return Ok(Verification {
                    usage: Some(Usage::default()),
                    ..Verification::new(KeyStatus::Inactive, now)
                });
            }
            other => other?,
        };
        // Before its first use, AWS says `N/A`.
        let text = |name| xml::text(&last_use.body, name).filter(|text| !text.is_empty() && text != "N/A");
        let mut usage = Usage {
            user: text("UserName"),
            last_used: text("LastUsedDate"),
            service: text("ServiceName"),
            region: text("Region"),
            created: None,
        };
        let Some(user) = &usage.user else {
            return self.root_status(own, now);
        };
        let user = utf8_percent_encode(user, NON_ALPHANUMERIC);
        let listed = ask(&format!("Action=ListAccessKeys&UserName={user}&Version=2010-05-08"))?;
        let keys = xml::records(&listed.body, "member");
        let own_record = keys.iter().find(|key| key.get("AccessKeyId") == Some(&question.id));
        usage.created = own_record.and_then(|key| key.get("CreateDate")).cloned();
        let status = match own_record.and_then(|key| key.get("Status")).map(String::as_str) {
            Some("Active") => KeyStatus::Active,
            // Deleted, deactivated, or expired.
            _ => KeyStatus::Inactive,
        };
        Ok(Verification { account: Some(self.account), usage: Some(usage), ..Verification::new(status, now) })
    }

    /// Of a key that no user has.
    fn root_status(&self, own: &OwnCredentials, now: i64) -> Result<Verification, Problem> {
        let summary = send(&self.client, IAM, "Action=GetAccountSummary&Version=2010-05-08", own, "iam")?;
        let entries = xml::records(&summary.body, "entry");
        let count = entries.iter().find(|entry| entry.get("key").is_some_and(|key| key == "AccountAccessKeysPresent"));
        let reason = match count.and_then(|entry| entry.get("value")).map(String::as_str) {
            Some("0") => {
                return Ok(Verification {
                    usage: Some(Usage::default()),
                    ..Verification::new(KeyStatus::Inactive, now)
                });
            }
            Some(_) => {
                "no user has it, and the account's root user has a key: sign in as the root user to see whether it \
                        is this one"
            }
            None => "no user has it, and AWS does not tell whether the root user has keys",
        };
        Ok(Verification::without_answer(KeyStatus::Unknown, now, reason))
    }
}

impl Verifier for Iam {
    fn knows(&self, finding: &Finding) -> bool {
        !finding.is_of_others()
            && finding.key_id().is_some_and(|id| alphabet::is_long_term(id) || id.starts_with("ASIA"))
    }

    fn uses_key(&self) -> bool {
        false
    }

    fn refusal(&self, question: &Question) -> Option<&'static str> {
        match question.account {
            _ if question.id.starts_with("ASIA") => Some(TEMPORARY),
            None => Some(NO_ACCOUNT),
            Some(account) => (account != self.account && self.role.is_none()).then_some(OTHER_ACCOUNT),
        }
    }

    fn host(&self, question: &Question) -> String {
        self.client.address(place(IAM, question.partition).0)
    }

    fn trace(&self) -> &'static str {
        "IAM is asked about each id with your own credentials (GetAccessKeyLastUsed, ListAccessKeys). The keys themselves \
         are not used."
    }

    fn ask(&self, question: &Question) -> Reply {
        let account = question.account.unwrap_or(self.account);
        let answer = match self.credentials(account) {
            Ok(own) => self.status(question, &own),
            Err(words) => Err(Problem::Final(words)),
        };
        match answer {
            Ok(answer) => Reply::Answer(answer),
            Err(Problem::Final(words)) => {
                Reply::Answer(Verification::without_answer(KeyStatus::Unknown, pace::now(), words))
            }
            Err(Problem::Later(words)) => Reply::Later(words),
            Err(Problem::Unreachable(words)) => Reply::Unreachable(words),
        }
    }
}

/// Hosts and signing regions, by partition. Source: AWS General Reference, endpoints of IAM and STS.
type Places = [(&'static str, &'static str); 3];
const IAM: &Places = &[
    ("iam.amazonaws.com", "us-east-1"),
    ("iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ("iam.us-gov.amazonaws.com", "us-gov-west-1"),
];
const STS: &Places = super::sts::PLACES;

fn place(places: &Places, partition: Partition) -> (&'static str, &'static str) {
    places[partition as usize]
}

/// Why there is no answer.
enum Problem {
    Final(String),
    Later(String),
    Unreachable(String),
}

fn send(
    client: &Client,
    places: &Places,
    form: &str,
    own: &OwnCredentials,
    service: &str,
) -> Result<Response, Problem> {
    // The partition of one's own credentials is where everything is asked.
    let (host, region) = place(places, Partition::Commercial);
    let signer = Signer { id: &own.id, secret: &own.secret, token: own.token.as_ref(), region, service };
    let response = client.post(host, form, &signer).map_err(|failure| match failure {
        Failure::Unreachable(words) => Problem::Unreachable(words),
        Failure::Broken(words) => Problem::Later(words),
    })?;
    match response.status {
        200 => Ok(response),
        429 | 500.. => Err(Problem::Later(format!("the service is busy or has an error (status {})", response.status))),
        status => {
            let code = xml::text(&response.body, "Code").filter(|code| xml::is_plain(code)).unwrap_or_default();
            match code.as_str() {
                "Throttling" | "ThrottlingException" => Err(Problem::Later(format!("AWS answers {code}"))),
                "" => Err(Problem::Final(format!("the answer is not one of AWS's (status {status})"))),
                _ => Err(Problem::Final(format!("AWS answers {code}"))),
            }
        }
    }
}
