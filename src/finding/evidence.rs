//! What is known of a key beyond its characters: gathered where it was found, so that judging needs nothing but findings.

use crate::credential::SpecialPartitions;
use crate::credential::signature::SignedRequest;
use secrecy::SecretString;
use std::borrow::Cow;
use std::sync::Arc;

/// What one place says about a key.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Evidence {
    /// The profile or user it belongs to, according to the file.
    pub owner: Option<Arc<Owner>>,
    /// What says that it is a root user's key, the strongest first.
    pub root_signs: Vec<RootSign>,
    /// The specific part of the name of a lone id or secret: `prod`. Empty if none.
    pub label: Option<Box<str>>,
    /// The request that it signed.
    pub request: Option<Arc<SignedRequest>>,
    /// The secret in clear, until it has been tried on signatures. It is never written anywhere, and wiped then.
    pub clear: Option<SecretString>,
    /// Likewise the session token near a temporary key.
    pub token: Option<SecretString>,
    /// The special partitions of AWS that the lines around it speak of.
    pub partitions: SpecialPartitions,
    /// The repository that the file is in.
    pub repository: Option<Arc<str>>,
    /// The same for all clones and worktrees of a repository; set if the key is in several.
    pub origin: Option<Arc<str>>,
    /// The permissions of the file, if it is one in which tools keep keys.
    pub file_mode: Option<u32>,
}

/// A profile or user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// True if it is a profile in a file that the AWS CLI and SDKs read.
    pub is_profile: bool,
    /// True if the session token that a temporary key needs is present, or if this is not a profile.
    pub has_token: bool,
}

/// The strength of a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Strength {
    /// It may be.
    Faint,
    /// Someone called it that.
    Weak,
    /// It looks the way only a root user's key does.
    Strong,
    /// AWS says so.
    Proof,
}

/// One sign that a key is a root user's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct RootSign {
    /// Its strength.
    pub strength: Strength,
    /// The sign, as a sentence.
    pub reason: Cow<'static, str>,
}

/// An id that belongs to a secret, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Link {
    /// The id of the key.
    pub id: String,
    /// How it is known, as a sentence.
    pub reason: String,
    /// True if a signature proves it.
    pub is_proven: bool,
}
