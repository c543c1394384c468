//! Asking AWS.

mod client;
mod iam;
mod sts;
mod xml;

pub use client::{Client, ClientError};
pub use iam::{Iam, OwnCredentials};
pub use sts::Sts;
