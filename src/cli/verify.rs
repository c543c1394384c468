//! Arguments and consent for asking whether keys work.

use super::output;
use crate::verify::aws::{Client, Iam, OwnCredentials, Sts};
use crate::verify::{Announcement, Pace, Verifier, Verifying};
use anyhow::{Context, bail};
use clap::ValueEnum;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Arguments as typed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Verify")]
pub struct VerifyArgs {
    /// Ask AWS whether the keys work, after showing what will be asked: by one harmless request for each.
    ///
    /// On a terminal you are asked first; elsewhere, say --verify=yes. Without this, no connection is ever opened.
    #[arg(long, value_enum, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "ask")]
    verify: Option<When>,

    /// As whom to ask.
    #[arg(long, value_enum, value_name = "WHOM", default_value_t = As::Key, requires = "verify")]
    verify_as: As,

    /// With --verify-as owner: a role to assume, such as `arn:aws:iam::{account}:role/audit`, where `{account}` stands
    /// for the account of each key.
    #[arg(long, value_name = "ARN", requires = "verify")]
    assume_role: Option<String>,

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
        if when == When::Ask && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            anyhow::bail!("--verify asks on a terminal before it calls AWS, and there is none; use --verify=yes");
        }
        let file = CERTIFICATES.iter().find_map(std::env::var_os).filter(|file| !file.is_empty());
        let client = Client::new(file.map(PathBuf::from), self.endpoint_url.clone())?;
        let consent = move |announcement: &Announcement| {
            announce(announcement);
            when == When::Yes || announcement.questions == 0 || agrees()
        };
        let verifier: Arc<dyn Verifier> = match self.verify_as {
            As::Key => Arc::new(Sts::new(client)),
            As::Owner => {
                let own = own_credentials()?;
                Arc::new(Iam::new(client, own, self.assume_role.clone()).map_err(anyhow::Error::msg)?)
            }
        };
        Ok(Some(Verifying {
            verifiers: vec![verifier],
            consent: Arc::new(consent),
            foreign: self.verify_foreign,
            pace: Pace::default(),
        }))
    }
}

/// The user's own credentials: from the environment, or else whatever the AWS CLI would use (profiles, SSO, `aws login`,
/// roles), which it tells by itself.
fn own_credentials() -> anyhow::Result<OwnCredentials> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let (Some(id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        let token = variable("AWS_SESSION_TOKEN").map(Into::into);
        return Ok(OwnCredentials { id, secret: secret.into(), token });
    }
    let args = ["configure", "export-credentials", "--format", "process"];
    let output = Command::new("aws").args(args).stdin(Stdio::null()).stderr(Stdio::inherit()).output().context(
        "no credentials of your own: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or install the AWS CLI, which knows \
         your profiles",
    )?;
    if !output.status.success() {
        bail!(
            "`aws configure export-credentials` found no credentials of your own; run `aws configure` or `aws login`"
        );
    }
    let own: Exported = serde_json::from_slice(&output.stdout)
        .map_err(|_| anyhow::anyhow!("`aws configure export-credentials` did not write what it is known to write"))?;
    Ok(OwnCredentials {
        id: own.access_key_id,
        secret: own.secret_access_key.into(),
        token: own.session_token.map(Into::into),
    })
}

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
        output::notice(&format!("not asked about {count}: {reason}"));
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
