//! Asking as the owner: IAM tells an administrator of an account about its keys, and the leaked key itself is not used.
//!
//! Source: AWS Identity and Access Management API Reference, `GetAccessKeyLastUsed`, `ListAccessKeys` and
//! `GetAccountSummary`; AWS Security Token Service API Reference, `AssumeRole`.

use super::client::{Client, Failure, Response, Signer};
use super::{sts, xml};
use crate::credential::AccountId;
use crate::finding::Finding;
use crate::finding::verification::{KeyStatus, Usage, Verification};
use crate::text::alphabet;
use crate::verify::{Partition, Question, Reply, Verifier, pace};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

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

/// Finds credentials of one's own, when they are needed.
type FindOwn = dyn Fn() -> Result<OwnCredentials, String> + Send + Sync;

/// AWS's service that knows the keys of an account.
pub struct Iam {
    client: Client,
    find_own: Box<FindOwn>,
    /// What was found, and its account.
    own: Mutex<Option<Result<(OwnCredentials, AccountId), String>>>,
    /// A role to take, with `{account}` for the account that is asked about.
    role: Option<String>,
    /// That of one's own credentials, and of the role.
    partition: LazyLock<Partition, Box<dyn FnOnce() -> Partition + Send>>,
    roles: Mutex<BTreeMap<AccountId, Result<OwnCredentials, String>>>,
}

impl fmt::Debug for Iam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iam").field("role", &self.role).finish_non_exhaustive()
    }
}

const OTHER_ACCOUNT: &str = "it belongs to another account; name a role there with --assume-role";
const OTHER_ROLE: &str = "the role of --assume-role is in another account; write {account} where its number stands";
const OTHER_PARTITION: &str = "the text around it speaks of GovCloud or China, and your own credentials are not of that \
                               partition; with such credentials, set AWS_REGION to a region of it";
const NO_ACCOUNT: &str = "its id does not tell its account, so nobody can be asked as its owner";
const TEMPORARY: &str = "IAM does not know temporary keys";

impl Iam {
    /// Asks with the credentials that `find_own` finds, in the partition of the region that `find_region` finds; or with
    /// `role`, an ARN with `{account}` for the account of each key, in the partition of the ARN. Nothing is looked for
    /// before there is a question.
    pub fn new(
        client: Client,
        find_own: impl Fn() -> Result<OwnCredentials, String> + Send + Sync + 'static,
        find_region: impl FnOnce() -> String + Send + 'static,
        role: Option<String>,
    ) -> Self {
        let arn = role.clone();
        let find_partition = move || arn.as_deref().map_or_else(|| Partition::of(&find_region()), Partition::of);
        Self {
            client,
            find_own: Box::new(find_own),
            own: Mutex::default(),
            role,
            partition: LazyLock::new(Box::new(find_partition)),
            roles: Mutex::default(),
        }
    }

    fn iam(&self) -> Endpoint {
        IAM[*self.partition as usize]
    }

    fn sts(&self) -> Endpoint {
        sts::place(*self.partition)
    }

    /// One's own credentials, and their account. What may pass is tried again with the next question.
    fn own(&self) -> Result<(OwnCredentials, AccountId), Problem> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*own {
            return known.clone().map_err(Problem::Final);
        }
        let found = self.identify();
        match &found {
            Ok(found) => *own = Some(Ok(found.clone())),
            Err(Problem::Final(words)) => *own = Some(Err(words.clone())),
            Err(_) => {}
        }
        found
    }

    fn identify(&self) -> Result<(OwnCredentials, AccountId), Problem> {
        let own = (self.find_own)().map_err(Problem::Final)?;
        let form = "Action=GetCallerIdentity&Version=2011-06-15";
        let response = send(&self.client, self.sts(), form, &own, "sts")
            .map_err(|problem| problem.about("your own AWS credentials cannot be used"))?;
        let account = xml::text(&response.body, "Account").and_then(|digits| digits.parse().ok());
        let account = account.and_then(AccountId::new);
        let account = account.ok_or(Problem::Final("AWS does not say whose your own credentials are".into()))?;
        Ok((own, account))
    }

    /// What to sign with to ask about a key of an account.
    fn credentials(&self, account: AccountId) -> Result<OwnCredentials, Problem> {
        let (own, home) = self.own()?;
        let Some(role) = &self.role else {
            return if account == home { Ok(own) } else { Err(Problem::NotAsked(OTHER_ACCOUNT)) };
        };
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = roles.get(&account) {
            return known.clone().map_err(Problem::Final);
        }
        let assumed = self.assume(&role.replace("{account}", &account.to_string()), &own);
        match &assumed {
            Ok(assumed) => _ = roles.insert(account, Ok(assumed.clone())),
            Err(Problem::Final(words)) => _ = roles.insert(account, Err(words.clone())),
            Err(_) => {}
        }
        assumed
    }

    fn assume(&self, role: &str, own: &OwnCredentials) -> Result<OwnCredentials, Problem> {
        let role_arn = utf8_percent_encode(role, NON_ALPHANUMERIC);
        let form = format!("Action=AssumeRole&RoleArn={role_arn}&RoleSessionName=keyspill&Version=2011-06-15");
        let response = send(&self.client, self.sts(), &form, own, "sts")
            .map_err(|problem| problem.about(&format!("the role {role} cannot be assumed")))?;
        let text = |name| {
            xml::text(&response.body, name).ok_or(Problem::Final("AWS's answer to AssumeRole is not complete".into()))
        };
        let (id, secret, token) = (text("AccessKeyId")?, text("SecretAccessKey")?, text("SessionToken")?);
        Ok(OwnCredentials { id, secret: secret.into(), token: Some(token.into()) })
    }

    fn status(&self, question: &Question, own: &OwnCredentials) -> Result<Verification, Problem> {
        let ask = |form: &str| send(&self.client, self.iam(), form, own, "iam");
        let of = |status, usage| Verification {
            account: question.account,
            usage: Some(usage),
            ..Verification::new(status, pace::now())
        };
        let form = format!("Action=GetAccessKeyLastUsed&AccessKeyId={}&Version=2010-05-08", question.id);
        let last_use = match ask(&form) {
            Err(Problem::Final(words)) if words == NO_SUCH_ENTITY => {
                return Ok(of(KeyStatus::Inactive, Usage::default()));
            }
            other => of_kind(other?, "GetAccessKeyLastUsedResponse")?,
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
            let is_none = self.has_no_root_key(own)?;
            return if is_none { Ok(of(KeyStatus::Inactive, usage)) } else { Err(Problem::Final(ROOT_HAS_ONE.into())) };
        };
        let user = utf8_percent_encode(user, NON_ALPHANUMERIC);
        let listed = ask(&format!("Action=ListAccessKeys&UserName={user}&Version=2010-05-08"))?;
        let listed = of_kind(listed, "ListAccessKeysResponse")?;
        let keys = xml::records(&listed.body, "member");
        let own_record = keys.iter().find(|key| key.get("AccessKeyId") == Some(&question.id));
        usage.created = own_record.and_then(|key| key.get("CreateDate")).cloned();
        let is_whole = || xml::text(&listed.body, "IsTruncated").is_some_and(|text| text == "false");
        let status = match own_record.map(|key| key.get("Status").map(String::as_str)) {
            Some(Some("Active")) => KeyStatus::Active,
            Some(Some("Inactive" | "Expired")) => KeyStatus::Inactive,
            // Deleted.
            None if is_whole() => KeyStatus::Inactive,
            _ => return Err(Problem::Final("the answer of ListAccessKeys is not complete".into())),
        };
        Ok(of(status, usage))
    }

    /// True if the text around a key speaks of other partitions than one's own.
    fn is_elsewhere(&self, question: &Question) -> bool {
        match question.partitions.split_last() {
            Some((_, special)) => !special.is_empty() && !special.contains(&*self.partition),
            None => false,
        }
    }

    /// True if the account's root user has no key.
    fn has_no_root_key(&self, own: &OwnCredentials) -> Result<bool, Problem> {
        let summary = send(&self.client, self.iam(), "Action=GetAccountSummary&Version=2010-05-08", own, "iam")?;
        let summary = of_kind(summary, "GetAccountSummaryResponse")?;
        let entries = xml::records(&summary.body, "entry");
        let count = entries.iter().find(|entry| entry.get("key").is_some_and(|key| key == "AccountAccessKeysPresent"));
        match count.and_then(|entry| entry.get("value")).map(String::as_str) {
            Some("0") => Ok(true),
            Some(_) => Ok(false),
            None => Err(Problem::Final("no user has it, and AWS does not tell whether the root user has keys".into())),
        }
    }
}

const NO_SUCH_ENTITY: &str = "AWS answers NoSuchEntity";
const ROOT_HAS_ONE: &str = "no user has it, and the account's root user has a key: sign in as the root user to see whether it is \
                            this one";

/// The response, if it is a whole document of this kind.
fn of_kind(response: Response, kind: &str) -> Result<Response, Problem> {
    let is_it = xml::root(&response.body).is_some_and(|root| root == kind);
    if is_it { Ok(response) } else { Err(Problem::Final("the answer is not one of AWS's".into())) }
}

impl Verifier for Iam {
    fn knows(&self, finding: &Finding) -> bool {
        !finding.is_of_others()
            && finding.key_id().is_some_and(|id| alphabet::is_long_term(id) || id.starts_with("ASIA"))
    }

    fn uses_key(&self) -> bool {
        false
    }

    fn stays_at_home(&self) -> bool {
        self.role.is_none()
    }

    fn refusal(&self, question: &Question) -> Option<&'static str> {
        let role_account = self.role.as_ref().and_then(|role| role.split(':').nth(4));
        match question.account {
            _ if question.id.starts_with("ASIA") => Some(TEMPORARY),
            _ if self.is_elsewhere(question) => Some(OTHER_PARTITION),
            None => Some(NO_ACCOUNT),
            Some(account) => {
                let is_other = |own: &str| own != "{account}" && own != account.to_string();
                role_account.is_some_and(is_other).then_some(OTHER_ROLE)
            }
        }
    }

    fn hosts(&self, _: &Question) -> Vec<String> {
        [self.sts(), self.iam()].map(|(host, _)| self.client.route(host)).into()
    }

    fn trace(&self) -> &'static str {
        if self.role.is_some() {
            "The role is assumed with your own credentials (GetCallerIdentity, AssumeRole), and IAM is asked about each id with \
             it (GetAccessKeyLastUsed, ListAccessKeys, GetAccountSummary). The keys themselves are not used."
        } else {
            "IAM is asked about each id with your own credentials (GetCallerIdentity, GetAccessKeyLastUsed, ListAccessKeys, \
             GetAccountSummary). The keys themselves are not used."
        }
    }

    fn ask(&self, question: &Question) -> Reply {
        let unanswered = |status, words: &str| Reply::Answer(Verification::without_answer(status, pace::now(), words));
        let Some(account) = question.account else { return unanswered(KeyStatus::NotAsked, NO_ACCOUNT) };
        match self.credentials(account).and_then(|own| self.status(question, &own)) {
            Ok(answer) => Reply::Answer(answer),
            Err(Problem::Final(words)) => unanswered(KeyStatus::Unknown, &words),
            Err(Problem::NotAsked(words)) => unanswered(KeyStatus::NotAsked, words),
            Err(Problem::Later(words)) => Reply::Later(words),
            Err(Problem::Unreachable(words)) => Reply::Unreachable(words),
        }
    }
}

/// A host and the region that requests to it are signed for.
type Endpoint = (&'static str, &'static str);

/// IAM's in each partition. Source: AWS General Reference, endpoints of IAM.
const IAM: [Endpoint; 3] = [
    ("iam.amazonaws.com", "us-east-1"),
    ("iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ("iam.us-gov.amazonaws.com", "us-gov-west-1"),
];

/// Why there is no answer.
enum Problem {
    Final(String),
    Later(String),
    Unreachable(String),
    /// It turned out that it must not be asked.
    NotAsked(&'static str),
}

impl Problem {
    /// The same, of something that had to be done first.
    fn about(self, what: &str) -> Self {
        let about = |words: String| format!("{what}: {words}");
        match self {
            Self::Final(words) => Self::Final(about(words)),
            Self::Later(words) => Self::Later(about(words)),
            Self::Unreachable(words) => Self::Unreachable(about(words)),
            Self::NotAsked(words) => Self::NotAsked(words),
        }
    }
}

fn send(
    client: &Client,
    (host, region): Endpoint,
    form: &str,
    own: &OwnCredentials,
    service: &str,
) -> Result<Response, Problem> {
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
