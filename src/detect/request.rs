//! Signed requests: presigned URLs and signed headers. Whose store they go to, and until when they work.

use super::key_id;
use super::vendor::{self, Whose};
use crate::text::alphabet::PREFIXES;
use std::ops::Range;

/// How far from an id the rest of its request is searched for, in bytes.
const REACH: usize = 2048;

/// What a signed request says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// False if it is signed with a key that AWS has not made.
    pub is_of_aws: bool,
    /// The vendor of the store, if it is another's and known.
    pub vendor: Option<&'static str>,
    /// When it stops working, in seconds since 1970, if it says so.
    pub expires: Option<i64>,
}

/// Reads the request around the id at `id` of `text`.
pub fn judge(text: &[u8], id: &Range<usize>) -> SignedRequest {
    let url = url_around(text, id);
    let whose = vendor::of_id(text, id);
    let is_of_today = PREFIXES.iter().any(|prefix| text[id.clone()].starts_with(prefix.as_bytes()));
    let is_of_aws = is_of_today || key_id::is_legacy(&text[id.clone()]) && whose == Whose::Aws;
    SignedRequest {
        is_of_aws,
        vendor: whose.vendor().filter(|_| !is_of_aws),
        expires: expires_v4(url).or_else(|| expires_v2(url)),
    }
}

/// Until when the session token at `token` works, if it is a parameter of a signed request that says so.
pub fn expiry_of_token(text: &[u8], token: &Range<usize>) -> Option<i64> {
    let name = b"X-Amz-Security-Token=";
    let is_parameter = text[..token.start].ends_with(name);
    is_parameter.then(|| url_around(text, token)).and_then(expires_v4)
}

fn url_around<'a>(text: &'a [u8], id: &Range<usize>) -> &'a [u8] {
    let ends_url =
        |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'<' | b'>' | b'`' | b')' | b']' | b'}' | b'|');
    let (from, to) = (id.start.saturating_sub(REACH), text.len().min(id.end + REACH));
    let start = text[from..id.start].iter().rposition(ends_url).map_or(from, |before| from + before + 1);
    let end = text[id.end..to].iter().position(ends_url).map_or(to, |length| id.end + length);
    // Links may stand side by side in a row.
    let start = memchr::memmem::rfind(&text[start..id.start], b"://").map_or(start, |scheme| start + scheme);
    let end = memchr::memmem::find(&text[id.end..end], b"://").map_or(end, |next| id.end + next);
    &text[start..end]
}

/// The value of a query parameter.
fn parameter<'a>(url: &'a [u8], name: &str) -> Option<&'a [u8]> {
    memchr::memmem::find_iter(url, name.as_bytes()).find_map(|at| {
        let is_start = at == 0 || matches!(url[at - 1], b'?' | b'&' | b';' | b'6');
        let value = url[at + name.len()..].strip_prefix(b"=")?;
        let end = value.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(value.len());
        (is_start && end > 0).then_some(&value[..end])
    })
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `X-Amz-Date=20260101T000000Z&X-Amz-Expires=300`
/// ([query parameters](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html)).
pub fn expires_v4(url: &[u8]) -> Option<i64> {
    let date = std::str::from_utf8(parameter(url, "X-Amz-Date")?).ok()?;
    let seconds = number(parameter(url, "X-Amz-Expires")?)?;
    let made = date.parse::<jiff::Timestamp>().ok()?.as_second();
    // A week is the longest that AWS allows.
    (0..=7 * 86_400).contains(&seconds).then(|| made + seconds)
}

/// `AWSAccessKeyId=…&Expires=1735689600`, in seconds since 1970
/// ([signature version 2](https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html#RESTAuthenticationQueryStringAuth)).
fn expires_v2(url: &[u8]) -> Option<i64> {
    let digits = parameter(url, "Expires").filter(|digits| digits.len() == 10)?;
    parameter(url, "Signature")?;
    number(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::example::expand;

    fn of(template: &str) -> SignedRequest {
        let text = expand(template).text;
        let at = text.find("Credential=").map(|at| at + 11).or_else(|| text.find("KeyId=").map(|at| at + 6));
        let at = at.expect("a request in the template");
        judge(text.as_bytes(), &(at..at + 20))
    }

    #[test]
    fn the_end_of_a_link_is_computed() {
        let v4 = "https://b.s3.amazonaws.com/k?X-Amz-Credential={{akia}}%2F20260102%2Fx&X-Amz-Date=20260102T000000Z&X-Amz-Expires=300";
        let told = SignedRequest { is_of_aws: true, vendor: None, expires: Some(1_767_312_300) };
        assert_eq!(of(v4), told);
        assert_eq!(of(&v4.replace('&', "\\u0026")), told);
        assert_eq!(of(&v4.replace('&', "&amp;")), told);
        assert_eq!(of(&v4.replace("=300", "=9999999")).expires, None);
        assert_eq!(of(&v4.replace("T000000Z", "")).expires, None);
        let v2 = "https://b.s3.amazonaws.com/k?AWSAccessKeyId={{akia}}&Expires=1735689600&Signature=x%3D";
        assert_eq!(of(v2).expires, Some(1_735_689_600));
        assert_eq!(of(&format!("{v4} X-Amz-Expires=1")).expires, told.expires);
        let other = "https://b.s3.amazonaws.com/o?X-Amz-Date=20250101T000000Z&X-Amz-Expires=1,";
        assert_eq!(of(&format!("{other}{v4},{other}")).expires, told.expires);
    }

    #[test]
    fn a_token_ends_with_its_link() {
        let text = "https://b/k?X-Amz-Security-Token=TOKEN&X-Amz-Date=20260102T000000Z&X-Amz-Expires=300";
        let at = |text: &str| text.find("TOKEN").map(|at| at..at + 5).expect("a token");
        assert_eq!(expiry_of_token(text.as_bytes(), &at(text)), Some(1_767_312_300));
        let alone = text.replace("X-Amz-Security-Token", "token");
        assert_eq!(expiry_of_token(alone.as_bytes(), &at(&alone)), None);
    }

    #[test]
    fn ids_of_other_stores_are_told() {
        let url = "https://HOST/k?X-Amz-Credential=ID%2F20260102%2Fus-east-1%2Fs3";
        for (host, id, is_of_aws, vendor) in [
            ("b.s3.amazonaws.com", "0RX30HTGPKA2ZDK3RWG2", true, None),
            ("b.s3.amazonaws.com", "ZRX30HTGPKA2ZDK3RWG2", false, None),
            ("play.min.io:9000", "0RX30HTGPKA2ZDK3RWG2", false, Some("MinIO")),
            ("files.example.com", "ZRX30HTGPKA2ZDK3RWG2", false, None),
            ("play.min.io:9000", "{{akia}}", true, None),
        ] {
            let request = of(&url.replace("HOST", host).replace("ID", id));
            assert_eq!((request.is_of_aws, request.vendor), (is_of_aws, vendor), "{host} {id}");
        }
    }
}
