//! What a secret says about itself: checksums, structure, the time at which it ends; and whether a password is a real one.
//!
//! Nothing is asked of anyone. Sources are named at the rules.

use super::password;
use super::service_key::{self, ServiceKey};
use crate::credential::AccountId;
use crate::rule::Check;
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use serde_json::Value;

/// What is known of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// When it stops working, in seconds since 1970.
    pub expires: Option<i64>,
    /// The account that it belongs to, if it says so.
    pub account: Option<AccountId>,
    /// True if it is of no use alone, as an encrypted key.
    pub is_locked: bool,
}

const PROVEN: Proof = Proof { expires: None, account: None, is_locked: false };

/// What `secret` proves; `None` if it cannot be what the rule looks for. `host` is where it is used, if
/// the text says so; `whole` is the match that it is part of.
pub fn of(check: Check, secret: &[u8], host: Option<&[u8]>, whole: &[u8]) -> Option<Proof> {
    let proven = |holds: bool| holds.then_some(PROVEN);
    match check {
        Check::Crc32Base62 => proven(ends_with_base62(secret, |start| after_last(start, b'_'))),
        Check::Crc32Base62Whole => proven(ends_with_base62(secret, |start| start)),
        Check::SynapseToken => proven(ends_with_base62(secret, |start| start.strip_suffix(b"_").unwrap_or(start))),
        Check::MasToken => {
            let (start, sum) = split(secret, 6)?;
            let start = start.strip_suffix(b"_").unwrap_or(start);
            proven(base(crc32fast::hash(start), BASE62, 6).into_iter().rev().eq(sum.iter().copied()))
        }
        Check::Crc32Hex => {
            let (start, sum) = split(secret, 8)?;
            proven(format!("{:08x}", crc32fast::hash(start)).as_bytes().eq_ignore_ascii_case(sum))
        }
        Check::GrafanaToken => {
            let (start, sum) = split(secret, 8)?;
            let start = start.strip_suffix(b"_").unwrap_or(start);
            let hex = data_encoding::HEXLOWER.encode(&crc32fast::hash(start).to_le_bytes());
            proven(hex.as_bytes().eq_ignore_ascii_case(sum))
        }
        Check::GitlabRoutable => {
            let (start, sum) = split(secret, 7)?;
            proven(base(crc32fast::hash(start), &BASE62[..36], 7).eq_ignore_ascii_case(sum))
        }
        Check::SentryToken => proven(sentry(secret)),
        Check::OnePasswordToken => {
            let decoded = base64(secret.strip_prefix(b"ops_").unwrap_or(secret))?;
            proven(decoded.starts_with(b"{\"") && has(&decoded, b"\"signInAddress\":"))
        }
        Check::KubernetesToken => proven(has(&base64(secret.split(|b| *b == b'.').nth(1)?)?, b"\"kubernetes.io\":")),
        Check::DiscordToken => {
            let id = base64(secret.split(|b| *b == b'.').next()?)?;
            proven((17..=20).contains(&id.len()) && id.iter().all(u8::is_ascii_digit))
        }
        Check::MapboxToken => {
            let claims: Value = serde_json::from_slice(&base64(secret.split(|b| *b == b'.').nth(1)?)?).ok()?;
            proven(claims["u"].is_string())
        }
        Check::AwsServiceKey => {
            let ServiceKey { account, expires } = service_key::read(secret);
            Some(Proof { expires, account, ..PROVEN })
        }
        Check::Jwt => jwt(secret),
        Check::PemKey => pem(secret),
        Check::BasicAuth => {
            let decoded = base64(secret)?;
            let colon = decoded.iter().take(128).position(|b| *b == b':')?;
            let (user, password) = (&decoded[..colon], &decoded[colon + 1..]);
            let is_text = decoded.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
            let is_example = decoded == b"Aladdin:open sesame";
            proven(colon > 0 && password.len() >= 4 && is_text && !is_example && password::is_real(password, user))
        }
        Check::UrlPassword | Check::Password => {
            let decoded: Vec<u8> = percent_encoding::percent_decode(secret).collect();
            let is_told = |text: &[u8]| !text.is_empty() && decoded.eq_ignore_ascii_case(text);
            // Passwords that repeat what stands beside them, as in `app:app@db`.
            let words = || whole.split(|b| matches!(b, b'/' | b':' | b'@' | b'.' | b'=' | b'"' | b'\'' | b' '));
            let count = words().filter(|word| is_told(word)).count();
            let is_foreign = host.is_none_or(password::is_real_host);
            proven(is_foreign && count <= 1 && password::is_real(&decoded, b""))
        }
        Check::Base58 => {
            let text = std::str::from_utf8(secret).ok()?;
            proven(bs58::decode(text).with_check(None).into_vec().is_ok())
        }
        Check::Bech32 => {
            let text = std::str::from_utf8(secret).ok()?;
            proven(bech32::decode(text).is_ok())
        }
    }
}

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A number in the base of an alphabet, with leading zeros.
fn base(mut number: u32, alphabet: &[u8], width: usize) -> Vec<u8> {
    let mut digits = vec![alphabet[0]; width];
    for digit in digits.iter_mut().rev() {
        *digit = alphabet[number as usize % alphabet.len()];
        number /= alphabet.len() as u32;
    }
    digits
}

/// True if the last six characters are the CRC-32 of a part of those before.
fn ends_with_base62(secret: &[u8], part: impl Fn(&[u8]) -> &[u8]) -> bool {
    split(secret, 6).is_some_and(|(start, sum)| base(crc32fast::hash(part(start)), BASE62, 6) == sum)
}

fn split(secret: &[u8], last: usize) -> Option<(&[u8], &[u8])> {
    secret.split_at_checked(secret.len().checked_sub(last)?)
}

fn after_last(text: &[u8], mark: u8) -> &[u8] {
    &text[memchr::memrchr(mark, text).map_or(0, |at| at + 1)..]
}

fn has(text: &[u8], words: &[u8]) -> bool {
    memchr::memmem::find(text, words).is_some()
}

/// Decodes base64 of either alphabet, with or without padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = &text[..text.iter().rposition(|b| *b != b'=').map_or(0, |at| at + 1)];
    // What follows the last whole byte need not be zero.
    let text = if text.len() % 4 == 1 { &text[..text.len() - 1] } else { text };
    let lenient = |encoding: &data_encoding::Encoding| {
        let mut specification = encoding.specification();
        specification.check_trailing_bits = false;
        specification.encoding().ok()?.decode(text).ok()
    };
    lenient(&BASE64_NOPAD).or_else(|| lenient(&BASE64URL_NOPAD))
}

fn sentry(secret: &[u8]) -> bool {
    let mut parts = secret.split(|b| *b == b'_');
    let claims = parts.nth(1).and_then(base64).and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    claims.is_some_and(|claims| claims["iat"].is_number() && claims["url"].is_string())
}

/// A JSON Web Token (RFC 7519): its header and claims are JSON, and may say when it ends.
fn jwt(token: &[u8]) -> Option<Proof> {
    let mut parts = token.split(|b| *b == b'.');
    let mut object = || serde_json::from_slice::<Value>(&base64(parts.next()?)?).ok().filter(Value::is_object);
    let (header, claims) = (object()?, object()?);
    let is_signed = parts.next().is_some_and(|signature| signature.len() >= 20);
    let algorithm = header["alg"].as_str()?;
    let expires = claims["exp"].as_f64().map(|seconds| seconds as i64);
    (is_signed && algorithm != "none").then_some(Proof { expires, ..PROVEN })
}

/// A private key in PEM (RFC 7468): what it says must be there to its end. An encrypted one is locked.
fn pem(text: &[u8]) -> Option<Proof> {
    let text = String::from_utf8_lossy(text);
    let (head, rest) = text.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let body = rest.split("-----END").next()?;
    // Newlines may be written as `\n`, and lines quoted and joined.
    let body = body.replace("\\n", "\n").replace("\\r", "");
    // Lines may be quoted, joined with `+`, commented out, or in a mail or a diff; heads of old PEM (RFC 1421) have a colon.
    let is_around = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\' | ',' | '#' | '*' | '>' | '|' | ';');
    let trimmed = |line: &str| line.trim().trim_end_matches('+').trim_matches(is_around).to_owned();
    let mut lines: Vec<String> = body.lines().map(trimmed).filter(|line| !line.is_empty()).collect();
    // These may be of a line of base64, too, but hardly of each.
    for mark in ["+", "//"] {
        if lines.iter().all(|line| line.starts_with(mark)) {
            lines.iter_mut().for_each(|line| *line = line[mark.len()..].trim().to_owned());
        }
    }
    let packed: String =
        lines.iter().filter(|line| !line.contains(':')).flat_map(|line| line.split(is_around)).collect();
    let der = base64(packed.as_bytes())?;
    if head.starts_with("OPENSSH") {
        const MAGIC: &[u8] = b"openssh-key-v1\0";
        let rest = der.strip_prefix(MAGIC)?;
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let cipher = rest.get(4..)?.get(..length)?;
        return (der.len() > 100).then_some(Proof { is_locked: cipher != b"none", ..PROVEN });
    }
    let is_locked = head.starts_with("ENCRYPTED") || lines.iter().any(|line| line.contains("ENCRYPTED"));
    // What is encrypted as a whole is not DER outside.
    let is_whole = der_length(&der).is_some_and(|length| length == der.len());
    (der.len() >= 40 && (is_whole || is_locked && !head.starts_with("ENCRYPTED")))
        .then_some(Proof { is_locked, ..PROVEN })
}

/// The length of a DER sequence with its head (X.690, 8.1.3).
fn der_length(der: &[u8]) -> Option<usize> {
    match *der {
        [0x30, length @ ..=0x7f, ..] => Some(2 + usize::from(length)),
        [0x30, 0x81, length, ..] => Some(3 + usize::from(length)),
        [0x30, 0x82, high, low, ..] => Some(4 + (usize::from(high) << 8 | usize::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(check: Check, secret: &str) -> bool {
        of(check, secret.as_bytes(), None, secret.as_bytes()).is_some()
    }

    #[test]
    fn checksums_tell_tokens_from_others() {
        let random = "A".repeat(10) + "b2".repeat(10).as_str();
        let sum = String::from_utf8(base(crc32fast::hash(random.as_bytes()), BASE62, 6)).unwrap();
        assert!(holds(Check::Crc32Base62, &format!("ghp_{random}{sum}")));
        assert!(!holds(Check::Crc32Base62, &format!("ghp_{random}000000")));
        let start = format!("jsrp_{}", &random[..29]);
        let sum = String::from_utf8(base(crc32fast::hash(start.as_bytes()), BASE62, 6)).unwrap();
        assert!(holds(Check::Crc32Base62Whole, &(start.clone() + &sum)));
        let hex = format!("{:08X}", crc32fast::hash(start.as_bytes()));
        assert!(holds(Check::Crc32Hex, &(start.clone() + &hex)) && !holds(Check::Crc32Hex, &(start + "00000000")));
    }

    #[test]
    fn tokens_of_the_web_tell_when_they_end() {
        let part = |json: &str| BASE64URL_NOPAD.encode(json.as_bytes());
        let token = |claims: &str| format!("{}.{}.{}", part(r#"{"alg":"HS256"}"#), part(claims), "s".repeat(43));
        let proof = |token: &str| of(Check::Jwt, token.as_bytes(), None, b"");
        assert_eq!(proof(&token(r#"{"exp":1700000000}"#)), Some(Proof { expires: Some(1_700_000_000), ..PROVEN }));
        assert_eq!(proof(&token(r#"{"sub":"x"}"#)), Some(PROVEN));
        assert_eq!(proof(&token("[]")), None);
        assert_eq!(proof("a.b.c"), None);
    }

    #[test]
    fn keys_in_pem_are_whole() {
        let der = [&[0x30, 0x82, 0x00, 0x60][..], &[7; 0x60]].concat();
        let body = data_encoding::BASE64.encode(&der);
        let pem = |body: &str, head: &str| format!("-----BEGIN {head}-----{body}-----END {head}-----");
        let proof = |text: &str| of(Check::PemKey, text.as_bytes(), None, b"");
        let (first, second) = body.split_at(64);
        for text in [
            format!("\n{first}\n{second}\n"),
            format!("\\n{first}\\n{second}\\n"),
            format!("\" +\n\"{first}\" +\n  \"{second}\" +\n\""),
        ] {
            assert_eq!(proof(&pem(&text, "RSA PRIVATE KEY")), Some(PROVEN), "{text}");
        }
        assert_eq!(proof(&pem("\nMII...\n", "PRIVATE KEY")), None);
        assert_eq!(proof(&pem(first, "PRIVATE KEY")), None);
        let locked = format!("\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n{first}\n{second}\n");
        assert!(proof(&pem(&locked, "RSA PRIVATE KEY")).is_some_and(|proof| proof.is_locked));
        assert!(proof(&pem(&body, "ENCRYPTED PRIVATE KEY")).is_some_and(|proof| proof.is_locked));
    }
}
