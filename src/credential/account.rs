//! The AWS account that a key id belongs to, read from the id itself, offline.
//!
//! The 16 characters after the prefix are base32. In ids made since 2019 their first 45 bits are a 1, then the account
//! number shifted left by 4; in older ids the first bit is 0 and they hold no account. AWS does not document this; it
//! was published by researchers (Tal Be'ery, "A short note on AWS KEY ID", 2023), and `aws sts get-access-key-info`
//! gives the same answer online.

use crate::text::alphabet::is_base64;
use std::fmt;

/// A 12-digit AWS account number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct AccountId(u64);

impl AccountId {
    /// From a number; `None` if it has more than 12 digits.
    pub fn new(number: u64) -> Option<Self> {
        (number <= 999_999_999_999).then_some(Self(number))
    }

    /// True for the example account in AWS's documentation, and the one that `LocalStack` and similar tools use.
    pub fn is_example(self) -> bool {
        matches!(self.0, 0 | 123_456_789_012)
    }

    /// True if the account belongs to a service that hands out canary tokens: keys that are planted to be found, and
    /// raise an alarm when used.
    pub fn is_canary(self) -> bool {
        CANARY_ACCOUNTS.contains(&self.0)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an id says about its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// The account's number.
    Known(AccountId),
    /// The id contains none (made before 2019, or not a real id).
    Untold,
}

impl Account {
    /// Reads an id: a 4-letter prefix and at least 9 characters of base32.
    pub fn from_id(id: &str) -> Self {
        // Ids from before IAM have no prefix, and those of other stores none of AWS's.
        let Some(digits) = id.as_bytes().get(4..13).filter(|_| id.starts_with('A')) else { return Self::Untold };
        let decoded = digits.iter().try_fold(0u64, |bits, &b| {
            let value = match b {
                b'A'..=b'Z' => b - b'A',
                b'2'..=b'7' => b - b'2' + 26,
                _ => return None,
            };
            Some(bits << 5 | u64::from(value))
        });
        match decoded {
            Some(bits) if bits >> 44 == 1 => {
                AccountId::new(bits >> 4 & ((1 << 40) - 1)).map_or(Self::Untold, Self::Known)
            }
            _ => Self::Untold,
        }
    }

    /// The number, if known.
    pub fn known(self) -> Option<AccountId> {
        match self {
            Self::Known(id) => Some(id),
            Self::Untold => None,
        }
    }
}

/// Reads the account from a session token of the kind `IQoJb3JpZ2luX2Vj…`, or from a Bedrock key: both contain it in
/// plain text, as 12 digits, the token after a length byte, the key after `-at-`.
pub fn in_token(token: &str) -> Option<AccountId> {
    let body = token.strip_prefix("ABSK").unwrap_or(token);
    let length = body.bytes().take(2048).take_while(|&b| is_base64(b)).count();
    let whole = &body.as_bytes()[..length / 4 * 4];
    let bytes = data_encoding::BASE64.decode(whole).ok()?;
    [&b"\x1a\x0c"[..], b"-at-"].iter().find_map(|mark| {
        memchr::memmem::find_iter(&bytes, mark).find_map(|at| {
            let digits = bytes.get(at + mark.len()..at + mark.len() + 12)?;
            let number = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
            AccountId::new(number.parse().ok()?)
        })
    })
}

/// Accounts of canarytokens.org and similar services, collected by the authors of secret scanners.
const CANARY_ACCOUNTS: [u64; 29] = [
    44_858_866_125,
    52_310_077_262,
    171_436_882_533,
    251_535_659_677,
    266_735_846_894,
    344_043_088_457,
    351_906_852_752,
    390_477_818_340,
    426_127_672_474,
    427_150_556_519,
    439_872_796_651,
    445_142_720_921,
    465_867_158_099,
    528_757_803_018,
    534_261_010_715,
    538_784_191_382,
    595_918_472_158,
    637_958_123_769,
    693_412_236_332,
    717_712_589_309,
    729_780_141_977,
    730_335_385_048,
    732_624_840_810,
    735_421_457_923,
    819_147_034_852,
    893_192_397_702,
    959_235_150_393,
    982_842_642_351,
    992_382_622_183,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str) -> Option<String> {
        Account::from_id(id).known().map(|id| id.to_string())
    }

    #[test]
    fn published_vectors() {
        // Ids are put together here so that no scanner takes this file for a leak.
        for (prefix, rest, expected) in [
            ("ASIA", "Y34FZKBOKMUTVV7A", Some("609629065308")),
            ("ASIA", "QNZGKIQY56JQ7WML", Some("029608264753")),
            ("AKIA", "SP2TPHJSQH3FJRUX", Some("171436882533")),
            ("AKIA", "XYZDQCEN4B6JSJQI", Some("534261010715")),
            ("AKIA", "6RVFFB77RE7OLMKI", Some("999999999999")),
            ("AIDA", "UXAYGAAR7RIAHCQJS", Some("324320755747")),
            ("AKIA", "IOSFODNN7EXAMPLE", None),
            ("AKIA", "JSIE27KKMHXI3BJQ", None),
            ("AKIA", "I44QH8DHBEXAMPLE", None),
            ("AKIA", "RZPUZDIKAAAAAAAA", Some("123456789012")),
            ("AKIA", "RTX3GSDSQAAAAAAA", Some("111122223333")),
        ] {
            assert_eq!(account(&format!("{prefix}{rest}")).as_deref(), expected, "{prefix}{rest}");
        }
    }

    #[test]
    fn numbers_of_more_than_12_digits_are_no_accounts() {
        assert_eq!(account(&["AKIA", "7777777777777777"].concat()), None);
        assert_eq!(account("AKIA"), None);
        assert_eq!(account("AKIA1111111111111111"), None);
    }

    #[test]
    fn canaries_are_known() {
        let id = ["AKIA", "SP2TPHJSQH3FJRUX"].concat();
        assert!(Account::from_id(&id).known().is_some_and(AccountId::is_canary));
        assert!(!AccountId(111_122_223_333).is_canary());
    }

    #[test]
    fn tokens_hold_their_account() {
        let mut bytes = b"!\n\torigin_ec\x10\x05\x1a\tus-east-1\"G0E\x02 ".to_vec();
        bytes.extend(b"xxxx*\x05\x08s\x10\x03\x1a\x0c111122223333\"\x0cabcdef");
        let token = data_encoding::BASE64.encode(&bytes);
        assert!(token.starts_with("IQoJb3JpZ2luX2Vj"));
        assert_eq!(in_token(&token), AccountId::new(111_122_223_333));
        let key = data_encoding::BASE64.encode(b"BedrockAPIKey-dev1-at-111122223333:secretsecretsecret");
        assert_eq!(in_token(&format!("ABSK{key}")), AccountId::new(111_122_223_333));
        assert_eq!(in_token("ABSK"), None);
    }
}
