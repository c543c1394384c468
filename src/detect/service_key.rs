//! API keys of AWS's services, which hold the account and the user they belong to, or the time when they end.

use super::request;
use crate::credential::{Account, AccountId};
use crate::text::alphabet::ID_LEN;
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};

/// What an API key of an AWS service says of itself: whose it is, and until when it works.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ServiceKey {
    pub account: Option<AccountId>,
    pub expires: Option<i64>,
}

/// How a token for a cluster of Amazon EKS begins.
const CLUSTER: &str = "k8s-aws-v1.";

/// Clusters accept a signed URL for 15 minutes, although it says one, in seconds.
/// Source: aws-iam-authenticator, "API Authorization from Outside a Cluster".
const LONGER_IN_CLUSTERS: i64 = 14 * 60;

/// Reads a key: after its prefix, a long-lived one is base64 of `alias-at-ACCOUNT:password`, and a short-lived one that of a
/// signed URL.
///
/// Source: Amazon Bedrock User Guide, "How API keys work", and keys made with AWS's token generator; both kinds were decoded.
pub fn read(secret: &[u8]) -> ServiceKey {
    let secret = std::str::from_utf8(secret).unwrap_or_default();
    let of_cluster = secret.strip_prefix(CLUSTER);
    let of_service =
        || secret.rsplit_once("-api-key-").map_or_else(|| secret.get(4..).unwrap_or_default(), |(_, it)| it);
    let encoded = of_cluster.unwrap_or_else(of_service);
    // Another prefix may be longer; the first whole group that decodes to text is where it ends.
    let decoded = (0..=4).filter_map(|skip| decode(encoded.get(skip..)?)).find(|text| is_text(text));
    let Some(decoded) = decoded else { return ServiceKey::default() };
    let digits_after = |mark: &str| {
        let at = decoded.find(mark)? + mark.len();
        decoded.get(at..at + 12).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let account = digits_after("-at-").and_then(|digits| AccountId::new(digits.parse().ok()?));
    let by_id = || {
        let at = decoded.find("X-Amz-Credential=")? + "X-Amz-Credential=".len();
        Account::from_id(decoded.get(at..at + ID_LEN)?).known()
    };
    let expires = request::expires_v4(decoded.as_bytes());
    let expires = if of_cluster.is_some() { expires.map(|expires| expires + LONGER_IN_CLUSTERS) } else { expires };
    ServiceKey { account: account.or_else(by_id), expires }
}

fn decode(encoded: &str) -> Option<String> {
    let whole = encoded.trim_end_matches('=').as_bytes();
    let whole = &whole[..whole.len() - usize::from(whole.len() % 4 == 1)];
    let bytes = BASE64_NOPAD.decode(whole).or_else(|_| BASE64URL_NOPAD.decode(whole)).ok()?;
    String::from_utf8(bytes).ok()
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::BASE64;

    #[test]
    fn service_keys_say_whose_they_are() {
        let long = |prefix: &str| {
            let inside = format!("BedrockAPIKey-ab12-at-111122223333:{}", "x".repeat(60));
            read(format!("{prefix}{}", BASE64.encode(inside.as_bytes())).as_bytes())
        };
        let account = AccountId::new(111_122_223_333);
        for prefix in ["ABSK", "ACWL", "AEAA", "APIAACWM"] {
            assert_eq!(long(prefix), ServiceKey { account, expires: None }, "{prefix}");
        }
        let id = crate::rule::example::expand("{{asia}}").text;
        let url = format!(
            "bedrock.amazonaws.com/?Action=CallWithBearerToken&X-Amz-Credential={id}%2F20260102%2Fus-east-1%2Fbedrock%2F\
             aws4_request&X-Amz-Date=20260102T000000Z&X-Amz-Expires=300&Version=1"
        );
        let short = format!("bedrock-api-key-{}", BASE64.encode(url.as_bytes()));
        assert_eq!(read(short.as_bytes()), ServiceKey { account, expires: Some(1_767_312_300) });
        let cluster = format!("k8s-aws-v1.{}", data_encoding::BASE64URL_NOPAD.encode(url.as_bytes()));
        assert_eq!(read(cluster.as_bytes()), ServiceKey { account, expires: Some(1_767_312_300 + 840) });
        assert_eq!(read(b"ABSK"), ServiceKey::default());
        assert_eq!(read("ABSKé".as_bytes()), ServiceKey::default());
    }
}
