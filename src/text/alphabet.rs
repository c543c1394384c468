//! The characters, lengths and prefixes that AWS's keys are made of.

/// Length in bytes of an access key id: a 4-letter prefix and 16 characters of base32
/// ([IAM unique identifiers](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids)).
pub const ID_LEN: usize = 20;

/// Prefixes of ids that belong to a credential: long-term, temporary, bearer token, context-specific. Users, roles,
/// groups and policies have ids too, with other prefixes, which need not be hidden.
pub const PREFIXES: [&str; 4] = ["AKIA", "ASIA", "ABIA", "ACCA"];

/// True if `id` belongs to a long-term key: of a user or root user, or of an account from before there were users.
pub fn is_long_term(id: &str) -> bool {
    id.len() == ID_LEN && (id.starts_with("AKIA") || !PREFIXES.iter().any(|prefix| id.starts_with(prefix)))
}

/// Length in bytes of a secret access key.
pub const SECRET_LEN: usize = 40;

/// True for the 64 characters of standard base64, which are also those of a secret access key.
#[inline]
pub fn is_base64(byte: u8) -> bool {
    BASE64[usize::from(byte)]
}

/// True for letters, digits, `_` and `-`: what tokens are made of.
#[inline]
pub fn is_word(byte: u8) -> bool {
    WORD[usize::from(byte)]
}

static WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        table[i] = b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        i += 1;
    }
    table
};

static BASE64: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        table[i] = b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
        i += 1;
    }
    table
};
