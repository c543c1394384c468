//! What the service that a key belongs to answered when it was asked about it. Data only; asking is `verify/`.

use crate::credential::AccountId;

/// An answer, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Verification {
    /// What is known now.
    pub status: KeyStatus,
    /// When it was asked, in seconds since 1970; when it was decided not to ask, if it was not.
    pub checked: i64,
    /// Whose key it is, as AWS names it (`arn:aws:iam::111122223333:user/ann`).
    pub arn: Option<String>,
    /// The account, as the service says.
    pub account: Option<AccountId>,
    /// What the owner's account knows of the key, if it was asked there.
    pub usage: Option<Usage>,
    /// Why nothing is known, as a part of a sentence.
    pub reason: Option<String>,
}

/// What an account knows of one of its keys. Dates are as AWS writes them, in ISO 8601.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Usage {
    /// The user it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// When it was last used; none if it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used: Option<String>,
    /// What it was used for then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// In which region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeyStatus {
    /// It works.
    Active,
    /// The service does not know the id: it was deleted or deactivated, or never existed.
    Inactive,
    /// The id is known, and the secret is not its secret.
    WrongSecret,
    /// It has expired.
    Expired,
    /// The service was asked, and its answer does not tell.
    Unknown,
    /// It was not asked.
    NotAsked,
}

impl KeyStatus {
    /// The word for it in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::WrongSecret => "wrong-secret",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::NotAsked => "not-asked",
        }
    }

    /// True if nobody can use the key any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Inactive | Self::Expired)
    }
}

impl Verification {
    /// Of a status alone, at a time in seconds since 1970.
    pub fn new(status: KeyStatus, checked: i64) -> Self {
        Self { status, checked, arn: None, account: None, usage: None, reason: None }
    }

    /// One without an answer, and why.
    pub fn without_answer(status: KeyStatus, checked: i64, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::new(status, checked) }
    }

    /// True if AWS says that it is the key of a user or role, and so not the root user's.
    pub fn is_of_user(&self) -> bool {
        let of_user = self.arn.as_ref().is_some_and(|arn| self.status == KeyStatus::Active && !arn.ends_with(":root"));
        of_user || self.usage.as_ref().is_some_and(|usage| usage.user.is_some())
    }

    /// True if AWS says that it is a root user's key.
    pub fn is_root(&self) -> bool {
        self.status == KeyStatus::Active && self.arn.as_ref().is_some_and(|arn| arn.ends_with(":root"))
    }
}
