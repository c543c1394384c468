//! A rule file as written. The format is documented for users in `docs/rules.md`.

use super::severity::Severity;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A rule file in TOML: `[[rule]]` tables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// The rules, in file order.
    #[serde(default)]
    pub rule: Vec<RuleSyntax>,
}

/// One `[[rule]]` table.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuleSyntax {
    /// Kebab-case, permanently stable.
    pub id: String,
    /// What it finds, in a few words.
    pub name: String,
    /// What it finds, in a sentence or two.
    pub description: String,
    /// Why a finding matters.
    #[serde(default)]
    pub why: String,
    /// What to do about a finding.
    #[serde(default)]
    pub remedy: String,
    /// The severity of a finding.
    pub severity: Severity,
    /// 0.0 to 10.0, for GitHub.
    #[serde(default = "medium")]
    pub security_severity: f64,
    /// How often a finding is a true positive.
    #[serde(default)]
    pub precision: Precision,
    /// Links to further reading.
    #[serde(default)]
    pub references: Vec<String>,
    /// Literal bytes, one of which must occur in a blob before the regex or observer is tried. Those of names
    /// (`assigned`) are searched in any case.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// A regex of a token that begins with fixed text. What stands next to a match must not be of `[A-Za-z0-9_-]`.
    pub token: Option<String>,
    /// A regex of the end of a name, in any case, to which a secret is assigned.
    pub assigned: Option<String>,
    /// A regex of what is assigned: the secret.
    pub value: Option<String>,
    /// The regex (syntax of the crate `regex`). It reports its group `secret` (masked) or `id` (shown), else the whole
    /// match (masked).
    pub regex: Option<String>,
    /// A regex that the blob's path must match; path separators are `/`.
    pub path: Option<String>,
    /// Minimum Shannon entropy of the reported text, in bits per byte.
    #[serde(default)]
    pub min_entropy: f64,
    /// What a secret says about itself: a checksum, a date.
    pub check: Option<Check>,
    /// True if what the regex finds are requests signed with a key: they expire, and may be for other stores than AWS's.
    #[serde(default)]
    pub signed_request: bool,
    /// One of keyspill's own matchers, instead of a regex; only for built-in rules.
    pub finder: Option<Finder>,
    /// Texts in which the rule must match.
    #[serde(default)]
    pub positives: Vec<Example>,
    /// Texts in which it must not.
    #[serde(default)]
    pub negatives: Vec<Example>,
}

fn medium() -> f64 {
    5.0
}

/// What can be read in a secret without asking anyone. A secret that fails is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The last six characters are the CRC-32, in base 62, of those after the last `_`: GitHub, npm, NetBird, Polar.
    #[serde(rename = "crc32-base62")]
    Crc32Base62,
    /// … of all before: JSR.
    #[serde(rename = "crc32-base62-whole")]
    Crc32Base62Whole,
    /// The last eight digits are the CRC-32, in hexadecimal, of all before: Packagist, Atlassian.
    #[serde(rename = "crc32-hex")]
    Crc32Hex,
    /// The last eight digits are the bytes of the CRC-32 of what is before the last `_`, the lowest first.
    GrafanaToken,
    /// The last seven characters are the CRC-32 of all before, in base 36.
    GitlabRoutable,
    /// The last part is the CRC-32, in base 62, of the parts before.
    SynapseToken,
    /// The same with the lowest digit first.
    MasToken,
    /// The middle part is JSON in base64, with the organisation's address.
    SentryToken,
    /// JSON in base64, with the address to sign in.
    #[serde(rename = "1password-token")]
    OnePasswordToken,
    /// A token of a service account, with the claims of Kubernetes.
    KubernetesToken,
    /// The first part is the number of a bot in base64.
    DiscordToken,
    /// The middle part is JSON in base64, with a user.
    MapboxToken,
    /// An API key of an AWS service, which says whose it is or when it ends.
    AwsServiceKey,
    /// A JSON Web Token, which may say when it ends.
    Jwt,
    /// A private key in PEM that is there to its end; one that is encrypted is a note.
    PemKey,
    /// A user and a real password, in base64.
    BasicAuth,
    /// A real password, and a server that is no example: groups `secret` and `host`.
    UrlPassword,
    /// A real password.
    Password,
    /// A key in base 58 with a checksum.
    Base58,
    /// A key in bech32.
    Bech32,
}

/// keyspill's own matchers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finder {
    /// A long-term key id and its secret.
    AccessKeyPair,
    /// A key id alone.
    AccessKeyId,
    /// A secret alone.
    SecretAccessKey,
    /// A temporary key id, with its secret or alone.
    TemporaryKey,
    /// A key, or its id, of a store that speaks S3's protocol and is not AWS's.
    S3CompatibleKey,
    /// A secret of 40 characters that nothing says to be AWS's.
    #[serde(rename = "secret-key-40")]
    SecretKey40,
    /// An SES SMTP password.
    SesSmtpPassword,
    /// An inline `allow` comment without effect.
    UnusedAllow,
    /// A judgement: the key is a root user's.
    RootKey,
    /// A judgement: the key was sent by mail.
    EmailedKey,
    /// A judgement: more people have access to the key than should.
    SharedKey,
    /// A judgement: the key is in several files.
    CopiedKey,
    /// A judgement: another vendor's secret was sent by mail.
    EmailedSecret,
    /// A judgement: more people have access to another vendor's secret than should.
    SharedSecret,
    /// A judgement: another vendor's secret is in several files.
    CopiedSecret,
    /// A judgement: the key belongs to another organisation's account.
    ForeignKey,
    /// A judgement: commands that name no profile use the key.
    DefaultProfileKey,
    /// A judgement: others on the machine can read the file that holds the key.
    ReadableCredentials,
    /// A judgement: temporary keys lack their session token.
    MissingSessionToken,
    /// A judgement: a private key hands out credentials of a role.
    RolesAnywhereKey,
    /// A profile or command that gets credentials with a private key.
    RolesAnywhere,
    /// Code that sends a credential by mail or chat.
    MailsKey,
    /// A sign that the root user is used.
    RootUsage,
    /// In a credential report: the root user has an active key.
    ReportRootActiveKey,
    /// In a credential report: the root user has no MFA.
    ReportRootNoMfa,
    /// In a credential report: the root user was used recently.
    ReportRootRecentlyUsed,
    /// In a credential report: a key was not rotated for 90 days.
    #[serde(rename = "report-key-older-90d")]
    ReportKeyOlder90d,
    /// In a credential report: credentials were not used for 45 days.
    #[serde(rename = "report-unused-45d")]
    ReportUnused45d,
    /// In a credential report: a user has two active keys.
    ReportTwoActiveKeys,
    /// In a credential report: a user with a password has no MFA.
    ReportUserNoMfa,
}

/// Examines a whole text for evidence about keys, rather than for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Observer {
    /// Reads IAM's credential reports.
    CredentialReport,
    /// Looks for activity of the root user.
    RootUse,
    /// Looks for code that sends credentials.
    Mailer,
    /// Looks for commands that get credentials with a private key.
    RolesAnywhere,
}

impl Finder {
    /// True if it does not search text itself: it judges other findings, or reports comments.
    pub fn is_of_findings(self) -> bool {
        match self {
            Self::AccessKeyPair | Self::AccessKeyId | Self::SecretAccessKey => false,
            Self::S3CompatibleKey | Self::SecretKey40 => false,
            Self::TemporaryKey | Self::SesSmtpPassword => false,
            Self::UnusedAllow | Self::RootKey | Self::EmailedKey => true,
            Self::SharedKey | Self::CopiedKey | Self::ForeignKey => true,
            Self::EmailedSecret | Self::SharedSecret | Self::CopiedSecret => true,
            Self::DefaultProfileKey | Self::ReadableCredentials | Self::MissingSessionToken => true,
            Self::RolesAnywhereKey => true,
            _ => self.observer().is_none(),
        }
    }

    /// True if a finding may hold a secret access key.
    pub fn is_of_secret(self) -> bool {
        matches!(self, Self::AccessKeyPair | Self::SecretAccessKey | Self::TemporaryKey | Self::SecretKey40)
    }

    /// The judgement of a secret that is not AWS's that says the same, if there is one.
    pub fn of_any_secret(self) -> Option<Self> {
        match self {
            Self::EmailedKey => Some(Self::EmailedSecret),
            Self::SharedKey => Some(Self::SharedSecret),
            Self::CopiedKey => Some(Self::CopiedSecret),
            _ => None,
        }
    }

    /// True if it finds keys that are not AWS's, or not known to be.
    pub fn is_of_others(self) -> bool {
        matches!(self, Self::S3CompatibleKey | Self::SecretKey40)
    }

    /// The observer that finds it, if it is not a key.
    pub fn observer(self) -> Option<Observer> {
        match self {
            Self::MailsKey => Some(Observer::Mailer),
            Self::RolesAnywhere => Some(Observer::RolesAnywhere),
            Self::RootUsage => Some(Observer::RootUse),
            Self::ReportRootActiveKey | Self::ReportRootNoMfa | Self::ReportRootRecentlyUsed => {
                Some(Observer::CredentialReport)
            }
            Self::ReportKeyOlder90d | Self::ReportUnused45d | Self::ReportTwoActiveKeys | Self::ReportUserNoMfa => {
                Some(Observer::CredentialReport)
            }
            _ => None,
        }
    }
}

/// How often a finding of a rule is a true positive. The four names are those that SARIF consumers know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Sometimes wrong, even considering the context.
    Low,
    /// Usually right.
    #[default]
    Medium,
    /// Rarely wrong.
    High,
    /// A false positive is a bug.
    VeryHigh,
}

/// A text to test a rule on, with placeholders for keys (see [`super::example`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The path of the file, with `/` as separator; empty if it does not matter.
    pub path: String,
    /// The file's text.
    pub text: String,
}

/// In rule files, a text alone, or a table with the path of its file.
#[derive(Deserialize)]
#[serde(untagged)]
enum ExampleSyntax {
    Text(String),
    File { path: String, text: String },
}

impl<'de> Deserialize<'de> for Example {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let (path, text) = Deserialize::deserialize(deserializer)?;
            return Ok(Self { path, text });
        }
        Ok(match ExampleSyntax::deserialize(deserializer)? {
            ExampleSyntax::Text(text) => Self { path: String::new(), text },
            ExampleSyntax::File { path, text } => Self { path, text },
        })
    }
}

impl Serialize for Example {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.path, &self.text).serialize(serializer)
    }
}
