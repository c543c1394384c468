//! Arguments and consent for asking whether keys work.

use super::output;
use super::session::Obeyed;
use crate::audit::answers::{Answers as RememberedAnswers, MAX_AGE};
use crate::audit::inventory::Inventory;
use crate::audit::state::StateError;
use crate::config::Config;
use crate::credential::{Account, AccountId};
use crate::file::describe;
use crate::finding::verification::{KeyStatus, Verification};
use crate::plan::{self, Answers, KeyFacts};
use crate::report::Verdict;
use crate::rule::RuleSet;
use crate::text::ini;
use crate::text::mask::hide_long_words;
use crate::text::sanitize::one_line;
use crate::verify::aws::{Client, Iam, OwnCredentials, Sts};
use crate::verify::{Announcement, Consent, Gatherer, Memory, Pace, Question, Verifier, Verifying};
use anyhow::bail;
use clap::ValueEnum;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Arguments as typed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Verify")]
pub struct VerifyArgs {
    /// Ask AWS whether the keys work, after showing what will be asked: by one harmless request for each.
    ///
    /// On a terminal you are asked first; elsewhere, say --verify=yes. Without this, no connection is ever opened.
    #[arg(long, value_enum, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "ask")]
    verify: Option<When>,

    /// Whose credentials to use [default: the key's own; with --assume-role, yours].
    #[arg(long, value_enum, value_name = "WHO", requires = "verify")]
    verify_as: Option<As>,

    /// With --verify-as owner: a role to assume, such as `arn:aws:iam::{account}:role/audit`, where `{account}` stands
    /// for the account of each key.
    #[arg(long, value_name = "ARN", value_parser = parse_role, requires = "verify")]
    assume_role: Option<String>,

    /// File that remembers answers for a day, so that an interrupted run resumes where it left off.
    #[arg(long, value_name = "FILE", requires = "verify")]
    verify_state: Option<PathBuf>,

    /// Also ask about keys whose account is unknown, or is not listed as `org_accounts` in keyspill.toml.
    #[arg(long, requires = "verify")]
    verify_foreign: bool,

    /// Address to ask instead of AWS's, for tests.
    #[arg(long, value_name = "URL", requires = "verify")]
    endpoint_url: Option<String>,
}

/// The value of `--verify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// After asking on the terminal.
    Ask,
    /// Without asking.
    Yes,
}

/// The value of `--verify-as`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum As {
    /// As the key itself: AWS STS says whose it is. Its owner sees that.
    Key,
    /// As you, with your own AWS credentials: IAM says whether the key is active, whose it is, and when it was last used. The
    /// key itself is not used.
    Owner,
}

/// The variables that name a file of certificates, as the AWS CLI and OpenSSL read them.
const CERTIFICATES: [&str; 2] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"];

impl VerifyArgs {
    /// How to verify, if that is wanted.
    ///
    /// # Errors
    /// Nobody can be asked for consent, or the settings of the network cannot be used.
    pub fn verifying(&self) -> anyhow::Result<Option<Verifying>> {
        let Some(when) = self.verify else { return Ok(None) };
        check_terminal(when)?;
        let own = if self.assume_role.is_some() { As::Owner } else { As::Key };
        let who = self.verify_as.unwrap_or(own);
        let verifier = verifier(who, self.endpoint_url.clone(), self.assume_role.clone())?;
        Ok(Some(Verifying {
            verifiers: vec![verifier],
            consent: consent(when),
            foreign: self.verify_foreign,
            pace: Pace::default(),
            memory: self.verify_state.clone().map(AnswerFile::open).transpose()?,
        }))
    }
}

/// Arguments of `keyspill audit` as typed: AWS is asked about the keys of its inventory.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Verify")]
pub struct AuditVerifyArgs {
    /// Ask AWS about the keys that were found, after showing what will be asked.
    ///
    /// On a terminal you are asked first; elsewhere, say --verify=yes. With --state, answers are remembered for a day.
    #[arg(long, value_enum, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "ask", conflicts_with_all = ["shard", "units", "worker", "plan"])]
    verify: Option<When>,

    /// Whose credentials to use. As the key: what holds its secret is read again, since results hold none.
    #[arg(long, value_enum, value_name = "WHO", default_value_t = As::Owner, requires = "verify")]
    verify_as: As,

    /// With --verify-as owner: a role to assume, such as `arn:aws:iam::{account}:role/audit`, where `{account}` stands
    /// for the account of each key.
    #[arg(long, value_name = "ARN", value_parser = parse_role, requires = "verify")]
    assume_role: Option<String>,

    /// With --verify-as key: also ask about keys whose account is unknown, or is not listed as `org_accounts` in keyspill.toml.
    #[arg(long, requires = "verify")]
    verify_foreign: bool,

    /// Address to ask instead of AWS's, for tests.
    #[arg(long, value_name = "URL", requires = "verify")]
    endpoint_url: Option<String>,
}

impl AuditVerifyArgs {
    /// How to verify, if that is wanted.
    ///
    /// # Errors
    /// As [`VerifyArgs::verifying`].
    pub fn verifying(&self) -> anyhow::Result<Option<Verifying>> {
        let Some(when) = self.verify else { return Ok(None) };
        check_terminal(when)?;
        let verifier = verifier(self.verify_as, self.endpoint_url.clone(), self.assume_role.clone())?;
        Ok(Some(Verifying {
            verifiers: vec![verifier],
            consent: consent(when),
            foreign: self.verify_foreign,
            pace: Pace::default(),
            memory: None,
        }))
    }
}

/// A file that remembers answers.
struct AnswerFile {
    file: PathBuf,
    answers: Mutex<(RememberedAnswers, Instant)>,
}

impl AnswerFile {
    fn open(file: PathBuf) -> anyhow::Result<Arc<dyn Memory>> {
        let mut answers = RememberedAnswers::read(file.clone())?;
        answers.forget_before(super::now() - MAX_AGE);
        answers.write()?;
        Ok(Arc::new(Self { file, answers: Mutex::new((answers, Instant::now())) }))
    }
}

impl Memory for AnswerFile {
    fn recall(&self, question: &str) -> Option<Verification> {
        let known = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        known.0.get(question).cloned()
    }

    fn keep(&self, question: &str, answer: &Verification) {
        let (answers, written) = &mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        keep(answers, written, question, answer);
    }

    fn finish(&self) -> Result<(), (PathBuf, String)> {
        let known = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        known.0.write().map_err(|error| {
            let reason = match error {
                StateError::Io { error, .. } => describe(&error),
                other => other.to_string(),
            };
            (self.file.clone(), reason)
        })
    }
}

/// Remembers an answer, and writes all of them if that was not done lately.
fn keep(answers: &mut RememberedAnswers, written: &mut Instant, question: &str, answer: &Verification) {
    answers.insert(question, answer);
    if written.elapsed() >= WRITE_EVERY {
        _ = answers.write();
        *written = Instant::now();
    }
}

/// Asks about the keys of an inventory that no answer is known of, and adds the answers. They are written while there are
/// more to come. If the keys themselves are used, `read_again` gets their secrets from the units with these names.
///
/// # Errors
/// The answers cannot be remembered, or units cannot be read again.
pub fn ask_about_inventory(
    verifying: &Verifying,
    answers: &mut RememberedAnswers,
    config: &Config,
    inventory: &Inventory,
    read_again: impl FnOnce(Verifying, BTreeSet<String>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    answers.forget_before(super::now() - MAX_AGE);
    let open = answers.open_questions(inventory);
    let mut pairs = None;
    if let Some(verifier) = verifying.verifiers.iter().find(|verifier| verifier.uses_key()) {
        let gatherer = Gatherer::new(verifier.clone());
        let units = answers.units_of_open_pairs(inventory);
        if !units.is_empty() {
            read_again(gatherer.verifying(), units)?;
        }
        let ids: BTreeSet<&str> = open.iter().map(|(id, _)| id.as_str()).collect();
        let is_open = |question: &Question| ids.contains(question.id.as_str());
        let open_pairs: Vec<Question> = gatherer.take().into_iter().filter(is_open).collect();
        let found: BTreeSet<&str> = open_pairs.iter().map(|question| question.id.as_str()).collect();
        if found.len() < ids.len() {
            let count = ids.len() - found.len();
            output::notice(&format!(
                "not asked about {count}: id and secret are not together in any repository or file"
            ));
        }
        pairs = Some(open_pairs);
    }
    let known = Mutex::new((answers, Instant::now()));
    let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
    let heard = |id: &str, answer: &Verification| {
        let (answers, written) = &mut *lock();
        keep(answers, written, id, answer);
    };
    let given = match pairs {
        Some(pairs) => verifying.run_on_pairs(pairs, config, &heard),
        None => verifying.run_on_ids(open, config, &heard),
    };
    let (answers, _) = &mut *lock();
    given.iter().for_each(|(id, answer)| answers.insert(id, answer));
    Ok(answers.write()?)
}

/// Checks that somebody can be asked, if somebody is to be.
fn check_terminal(when: When) -> anyhow::Result<()> {
    if when == When::Ask && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        bail!("--verify asks on a terminal before it calls AWS, and there is none; use --verify=yes");
    }
    Ok(())
}

fn client(endpoint: Option<String>) -> anyhow::Result<Client> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let file = CERTIFICATES.iter().find_map(|name| variable(name));
    Ok(Client::new(file.map(PathBuf::from), endpoint, variable)?)
}

fn verifier(who: As, endpoint: Option<String>, role: Option<String>) -> anyhow::Result<Arc<dyn Verifier>> {
    if who == As::Key && role.is_some() {
        bail!("--assume-role is for --verify-as owner: the key itself is asked without a role");
    }
    let client = client(endpoint)?;
    Ok(match who {
        As::Key => Arc::new(Sts::new(client)),
        As::Owner => Arc::new(iam(client, role)),
    })
}

/// Source: IAM User Guide, "IAM ARNs".
fn parse_role(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts[..] {
        ["arn", partition, "iam", "", account, resource]
            if !partition.is_empty() && !account.is_empty() && resource.starts_with("role/") =>
        {
            Ok(text.to_owned())
        }
        _ => Err("expected the ARN of a role, such as `arn:aws:iam::{account}:role/audit`".into()),
    }
}

fn consent(when: When) -> Arc<Consent> {
    Arc::new(move |announcement: &Announcement| {
        announce(announcement);
        when == When::Yes || announcement.questions == 0 || agrees()
    })
}

/// Arguments of `keyspill verify` as typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// JSON report of a scan or an audit; `-` means standard input.
    #[arg(default_value = "-")]
    report: PathBuf,

    /// Only ask about this key, by its id, or by the fingerprint of a finding. May be repeated.
    #[arg(long, visible_alias = "fingerprint", value_name = "KEY")]
    key: Vec<String>,

    /// A role to assume, such as `arn:aws:iam::{account}:role/audit`, where `{account}` stands for the account of each key.
    #[arg(long, value_name = "ARN", value_parser = parse_role)]
    assume_role: Option<String>,

    /// Address to ask instead of AWS's, for tests.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,

    /// Do not ask on the terminal whether to go on.
    #[arg(short, long)]
    yes: bool,

    /// Go on where an interrupted run with the same --output stopped: what it holds is not asked again, if it is less than a
    /// day old and tells whether the key works.
    #[arg(long, requires = "output")]
    resume: bool,

    /// Output format.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Form::Text)]
    format: Form,

    /// File for the answers [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How often answers are written while there are more to come.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// The form of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// For `keyspill plan --answers`.
    Json,
}

impl Args {
    /// Asks IAM about the keys of a report, as their owner.
    pub fn run(&self) -> anyhow::Result<Verdict> {
        let (name, report) = super::plan::read(&self.report)?;
        let keys = plan::read(&report, super::now()).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        let is = |key: &KeyFacts, wanted: &String| *wanted == key.name || key.fingerprints.contains(wanted);
        if let Some(missing) = self.key.iter().find(|wanted| !keys.iter().any(|key| is(key, wanted))) {
            let missing = hide_long_words(&one_line(missing));
            bail!("{name}: there is no key `{missing}` in it");
        }
        let is_wanted = |key: &KeyFacts| self.key.is_empty() || self.key.iter().any(|wanted| is(key, wanted));
        let wanted = keys.iter().filter(|key| is_wanted(key) && key.is_id() && !key.is_canary);
        let mut ids: Vec<(String, Option<AccountId>)> =
            wanted.map(|key| (key.name.clone(), Account::from_id(&key.name).known())).collect();
        if ids.is_empty() {
            bail!("{name}: there is no key to ask about: IAM knows AWS's keys by their ids, and no others");
        }
        let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
        let known = self.known()?;
        ids.retain(|(id, _)| !known.answers.contains_key(id));
        if !self.yes && !can_ask {
            bail!("keyspill asks on a terminal before it calls AWS, and there is none; use --yes");
        }
        let config = Obeyed::All
            .config(Path::new("."), &RuleSet::built_in())
            .map_err(|refused| anyhow::anyhow!("{}: {}", refused.file.display(), refused.problem))?;
        let iam = iam(client(self.endpoint_url.clone())?, self.assume_role.clone());
        let verifying = Verifying {
            verifiers: vec![Arc::new(iam)],
            consent: consent(if self.yes { When::Yes } else { When::Ask }),
            foreign: false,
            pace: Pace::default(),
            memory: None,
        };
        let known = Mutex::new((known, Instant::now()));
        let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
        // What is answered is kept if the rest is interrupted.
        let heard = |id: &str, answer: &Verification| {
            let (known, written) = &mut *lock();
            known.answers.insert(id.to_owned(), answer.into());
            if self.output.is_some() && written.elapsed() >= WRITE_EVERY {
                _ = self.write(known);
                *written = Instant::now();
            }
        };
        let answers = verifying.run_on_ids(ids, &config, &heard);
        let (known, _) = &mut *lock();
        known.answers.extend(answers.iter().map(|(id, answer)| (id.clone(), answer.into())));
        self.write(known)?;
        let has = |status| known.answers.values().any(|answer| answer.status() == status);
        Ok(match () {
            () if has(KeyStatus::Unknown) || has(KeyStatus::NotAsked) => Verdict::Incomplete,
            () if has(KeyStatus::Active) => Verdict::Findings,
            () => Verdict::Clean,
        })
    }

    /// What an earlier run has answered.
    fn known(&self) -> anyhow::Result<Answers> {
        let none = Answers { schema_version: 1, answers: BTreeMap::new() };
        let Some(file) = self.output.as_deref().filter(|file| self.resume && file.exists()) else { return Ok(none) };
        let (name, bytes) = super::plan::read(file)?;
        let mut known: Answers = serde_json::from_slice(&bytes)
            .map_err(|_| anyhow::anyhow!("{name}: expected answers of `keyspill verify --format json`"))?;
        let yesterday = super::now() - 24 * 60 * 60;
        known.answers.retain(|_, answer| answer.is_known_since(yesterday));
        Ok(known)
    }

    fn write(&self, answers: &Answers) -> anyhow::Result<()> {
        let write = |out: &mut dyn Write| -> io::Result<()> {
            if self.format == Form::Json {
                serde_json::to_writer_pretty(&mut *out, answers)?;
                return writeln!(out);
            }
            answers.answers.iter().try_for_each(|(id, answer)| writeln!(out, "{id}: {}", answer.words()))
        };
        match &self.output {
            Some(path) => output::file(path, write),
            None => match output::stdout_with(write) {
                Err(error) if output::is_broken_pipe(&error) => Ok(()),
                other => other,
            },
        }
    }
}

/// IAM, asked by the user.
fn iam(client: Client, role: Option<String>) -> Iam {
    Iam::new(client, own_credentials, own_region, role)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The region that the user works in, as the AWS CLI finds it. Empty if there is none.
fn own_region() -> String {
    if let Some(region) = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")) {
        return region;
    }
    if variable("AWS_ACCESS_KEY_ID").is_some() {
        return String::new();
    }
    match run_aws(&["configure", "get", "region"]) {
        Ok(region) => String::from_utf8_lossy(&region).trim().to_owned(),
        Err(NoAnswer::NoProgram) => {
            let of_profile = setting("AWS_CONFIG_FILE", "config", "region").unwrap_or_default();
            String::from_utf8_lossy(&of_profile).into_owned()
        }
        Err(NoAnswer::Failed(_)) => String::new(),
    }
}

/// What the user's profile sets `name` to, in the file that a variable names, or else that of this name.
///
/// Source: AWS CLI User Guide, "Configuration and credential file settings".
fn setting(variable_of_file: &str, file: &str, name: &str) -> Option<Vec<u8>> {
    /// The maximum size of the file, in bytes.
    const MAX_SIZE: u64 = 1 << 20;
    let usual = || super::environment::environment().home.as_ref().map(|home| home.join(".aws").join(file));
    let path = variable(variable_of_file).map(PathBuf::from).or_else(usual)?;
    let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let text = secrecy::zeroize::Zeroizing::new(crate::file::read(&path, MAX_SIZE).ok()?);
    ini::named(&text, &profile)?.value(name).map(<[u8]>::to_vec)
}

/// The keys in the user's profile, if it has any.
fn keys_of_profile() -> Option<OwnCredentials> {
    let get = |name| String::from_utf8(setting("AWS_SHARED_CREDENTIALS_FILE", "credentials", name)?).ok();
    Some(OwnCredentials {
        id: get("aws_access_key_id")?,
        secret: get("aws_secret_access_key")?.into(),
        token: get("aws_session_token").map(Into::into),
    })
}

/// The user's own credentials: from the environment, or else whatever the AWS CLI would use (profiles, SSO, `aws login`,
/// roles), which it tells by itself; without it, the keys of the profile.
fn own_credentials() -> Result<OwnCredentials, String> {
    if let (Some(id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        let token = variable("AWS_SESSION_TOKEN").map(Into::into);
        return Ok(OwnCredentials { id, secret: secret.into(), token });
    }
    let answer = match run_aws(&["configure", "export-credentials", "--format", "process"]) {
        Ok(answer) => answer,
        Err(problem) => {
            return keys_of_profile().ok_or_else(|| match problem {
                NoAnswer::NoProgram => "no credentials of your own: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, choose a \
                                        profile with keys by AWS_PROFILE, or install the AWS CLI, which knows roles and SSO"
                    .to_owned(),
                NoAnswer::Failed(problem) => problem,
            });
        }
    };
    let own: Exported =
        serde_json::from_slice(&answer).map_err(|_| "`aws configure export-credentials` printed unexpected output")?;
    let token = own.session_token.map(Into::into);
    Ok(OwnCredentials { id: own.access_key_id, secret: own.secret_access_key.into(), token })
}

/// How long the AWS CLI may take.
const AWS_TIMEOUT: Duration = Duration::from_mins(1);

/// Why the AWS CLI tells nothing.
enum NoAnswer {
    /// It cannot be run.
    NoProgram,
    Failed(String),
}

/// What the AWS CLI writes.
fn run_aws(args: &[&str]) -> Result<Vec<u8>, NoAnswer> {
    let failed = |words: &str| NoAnswer::Failed(words.to_owned());
    let mut command = Command::new("aws");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|_| NoAnswer::NoProgram)?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed("the AWS CLI cannot be read"));
    };
    let answer = read_all(stdout);
    let problem = read_all(stderr);
    let answer = answer.recv_timeout(AWS_TIMEOUT);
    if answer.is_err() {
        _ = child.kill();
    }
    let status = child.wait().map_err(|_| failed("the AWS CLI cannot be waited for"))?;
    match answer {
        Ok(Ok(answer)) if status.success() => Ok(answer),
        Err(_) => Err(NoAnswer::Failed(format!(
            "`aws {}` did not end within {} seconds",
            args.join(" "),
            AWS_TIMEOUT.as_secs()
        ))),
        _ => {
            let problem =
                problem.recv_timeout(Duration::from_secs(1)).unwrap_or_else(|_| Ok(vec![])).unwrap_or_default();
            Err(NoAnswer::Failed(complaint(args, &String::from_utf8_lossy(&problem))))
        }
    }
}

/// What a program writes, once it has ended.
fn read_all(mut from: impl Read + Send + 'static) -> Receiver<io::Result<Vec<u8>>> {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let read = (&mut from).take(MAX_AWS_ANSWER).read_to_end(&mut all);
        _ = send.send(read.map(|_| all));
    });
    receive
}

/// What to tell of the AWS CLI's complaint.
fn complaint(args: &[&str], problem: &str) -> String {
    let command = args.join(" ");
    let last = problem.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given");
    if problem.contains("nvalid choice") {
        return format!("the AWS CLI has no `aws {command}`: version 2.9 or later is needed for profiles without keys");
    }
    let last = hide_long_words(&one_line(last));
    format!(
        "`aws {command}` found no credentials of your own ({last}); run `aws configure`, `aws sso login` or `aws login`"
    )
}

/// The maximum length of what the AWS CLI writes, in bytes.
const MAX_AWS_ANSWER: u64 = 64 << 10;

/// What the AWS CLI tells of credentials. Source: AWS CLI User Guide, "Sourcing credentials with an external process".
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exported {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

fn announce(announcement: &Announcement) {
    let Announcement { questions, hosts, accounts, traces, left_out } = announcement;
    let list = |names: &std::collections::BTreeSet<String>| {
        const MAX_NAMES: usize = 10;
        let shown = names.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>().join(", ");
        match names.len().saturating_sub(MAX_NAMES) {
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    };
    let keys = if *questions == 1 { "1 key".into() } else { format!("{questions} keys") };
    match questions {
        0 => output::notice("no key can be verified"),
        _ => output::notice(&format!("verifying {keys} at {}", list(hosts))),
    }
    if !accounts.is_empty() {
        output::notice(&format!("accounts: {}", list(accounts)));
    }
    for trace in traces {
        output::notice(trace);
    }
    for (reason, count) in left_out {
        let keys = if *count == 1 { "1 key".into() } else { format!("{count} keys") };
        output::notice(&format!("not asked about {keys}: {reason}"));
    }
}

/// Asks on the terminal.
fn agrees() -> bool {
    _ = write!(io::stderr(), "Go on? [y/N] ");
    _ = io::stderr().flush();
    let mut answer = String::new();
    _ = io::stdin().lock().read_line(&mut answer);
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}
