//! Offline proof that an id and a secret belong together: a request signed with the secret contains a signature that
//! can be recomputed.
//!
//! Sources: [Signature Version 4](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html),
//! [query strings for S3](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html),
//! [version 2 for S3](https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html),
//! [SMTP passwords](https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html).

use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::ops::Range;

/// Maximum length read of a URL or request, in bytes on either side of the id.
const MAX_LENGTH: usize = 8 << 10;

/// Characters that are encoded in a canonical query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Methods that a URL may have been signed for; it does not say which.
const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];

/// A request that was signed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedRequest {
    /// The id of the key that signed it.
    pub id: String,
    signature: Signature,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Signature {
    /// Version 4.
    V4 {
        date: String,
        region: String,
        service: String,
        /// Possible strings to sign.
        texts: Vec<String>,
        signature: Vec<u8>,
    },
    /// Version 2, of S3.
    V2 { texts: Vec<String>, signature: Vec<u8> },
}

impl SignedRequest {
    /// Reads the request around the key id at the bytes `id` of `text`.
    pub fn read(text: &[u8], id: &Range<usize>) -> Option<Self> {
        Self::read_url(text, id).or_else(|| Self::read_header(text, id))
    }

    /// How much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        let texts = match &self.signature {
            Signature::V4 { texts, .. } | Signature::V2 { texts, .. } => texts,
        };
        size_of::<Self>() + texts.iter().map(String::len).sum::<usize>()
    }

    /// True if `secret` made the signature.
    pub fn is_by(&self, secret: &str) -> bool {
        match &self.signature {
            Signature::V4 { date, region, service, texts, signature } => {
                let key = signing_key(secret, [date, region, service, "aws4_request"]);
                texts.iter().any(|text| hmac(&key, text.as_bytes()) == signature[..])
            }
            Signature::V2 { texts, signature } => texts.iter().any(|text| {
                let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("any length will do");
                mac.update(text.as_bytes());
                mac.finalize().into_bytes()[..] == signature[..]
            }),
        }
    }

    /// A pre-signed URL.
    fn read_url(text: &[u8], id: &Range<usize>) -> Option<Self> {
        let from = id.start.saturating_sub(MAX_LENGTH);
        let before = &text[from..id.start];
        let start = ["https://", "http://"]
            .iter()
            .filter_map(|scheme| memchr::memmem::rfind(before, scheme.as_bytes()))
            .max()?;
        let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'<' | b'>' | b'`' | b'|');
        if before[start..].iter().any(ends) {
            return None;
        }
        let rest = &text[id.start..text.len().min(id.start + MAX_LENGTH)];
        let end = id.start + rest.iter().position(ends).unwrap_or(rest.len());
        let url = std::str::from_utf8(&text[from + start..end]).ok()?;
        let url = url.replace("&amp;", "&").replace("\\u0026", "&").replace("\\/", "/");
        let (_, rest) = url.split_once("://")?;
        let (place, query) = rest.split_once('?')?;
        let (host, path) =
            place.split_once('/').map_or((place, "/".to_owned()), |(host, path)| (host, format!("/{path}")));
        let query = query.trim_end_matches(['\\', ')', ',', ';', '.']);
        let parameters: Vec<(String, String)> = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        let url = Url { host, path: &path, parameters: &parameters };
        if url.parameter("X-Amz-Credential").is_some() { Self::from_url_v4(&url) } else { Self::from_url_v2(&url) }
    }

    /// A URL that was signed with version 4.
    fn from_url_v4(url: &Url) -> Option<Self> {
        let Url { host, path, parameters } = url;
        let get = |name: &str| url.parameter(name);
        let scope = Scope::read(get("X-Amz-Credential")?)?;
        if get("X-Amz-SignedHeaders") != Some("host") {
            return None;
        }
        let mut canonical: Vec<(String, String)> = parameters
            .iter()
            .filter(|(name, _)| name != "X-Amz-Signature")
            .map(|(name, value)| (encoded(name), encoded(value)))
            .collect();
        canonical.sort();
        let canonical = canonical.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let time = get("X-Amz-Date")?;
        let empty = HEXLOWER.encode(&Sha256::digest(b""));
        let texts = METHODS.iter().flat_map(|method| {
            let text = |payload: &str| {
                let request =
                    format!("{method}\n{path}\n{canonical}\nhost:{}\n\nhost\n{payload}", host.to_ascii_lowercase());
                scope.text_to_sign(time, &request)
            };
            [text("UNSIGNED-PAYLOAD"), text(&empty)]
        });
        scope.request(texts.collect(), get("X-Amz-Signature")?)
    }

    /// A URL of S3 that was signed with version 2.
    fn from_url_v2(url: &Url) -> Option<Self> {
        let Url { host, path, .. } = url;
        let get = |name: &str| url.parameter(name);
        let id = get("AWSAccessKeyId")?;
        let host = host.split(':').next()?;
        let bucket = host.split_once(".s3").map(|(bucket, _)| format!("/{bucket}")).unwrap_or_default();
        let expires = get("Expires").filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
        let texts = METHODS.iter().map(|method| format!("{method}\n\n\n{expires}\n{bucket}{path}")).collect();
        let signature = BASE64.decode(get("Signature")?.as_bytes()).ok().filter(|bytes| bytes.len() == 20)?;
        Some(Self { id: id.to_owned(), signature: Signature::V2 { texts, signature } })
    }

    /// A request with an `Authorization` header: as sent over the wire, or as a curl command.
    fn read_header(text: &[u8], id: &Range<usize>) -> Option<Self> {
        let on_the_wire = HttpRequest::on_the_wire(text, id).and_then(|request| request.signed());
        on_the_wire.or_else(|| HttpRequest::from_curl(text, id)?.signed())
    }
}

/// A pre-signed URL, decoded.
struct Url<'a> {
    host: &'a str,
    path: &'a str,
    parameters: &'a [(String, String)],
}

impl Url<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A request, as far as it matters for its signature.
#[derive(Debug)]
struct HttpRequest {
    method: String,
    /// The path and the query.
    target: String,
    /// In the order given.
    headers: Vec<(String, String)>,
    body: String,
}

impl HttpRequest {
    /// The request whose `Authorization` header contains the id, as lines; `curl -v` prefixes them with `> `.
    fn on_the_wire(text: &[u8], id: &Range<usize>) -> Option<Self> {
        // Bounded: a minified file is one line, and this runs for each of its ids.
        let near = id.start.saturating_sub(MAX_LENGTH);
        let line_start = near + memchr::memrchr(b'\n', &text[near..id.start])? + 1;
        let from = line_start.saturating_sub(MAX_LENGTH);
        let before = String::from_utf8_lossy(&text[from..line_start]).into_owned();
        let plain = |line: &str| line.trim_end_matches('\r').trim_start_matches("> ").to_owned();
        let before: Vec<String> = before.split('\n').map(plain).collect();
        let first = before.iter().rposition(|line| line.contains(" HTTP/"))?;
        let mut request = before[first].split(' ').map(str::to_owned);
        let (method, target) = (request.next()?, request.next()?);
        let after = String::from_utf8_lossy(&text[line_start..text.len().min(id.end + MAX_LENGTH)]).into_owned();
        let (rest, body) = after.split_once("\r\n\r\n").or_else(|| after.split_once("\n\n")).unwrap_or((&after, ""));
        let lines = before[first + 1..].iter().cloned().chain(rest.lines().map(plain));
        let headers = lines.filter_map(|line| header(&line)).collect();
        Some(Self { method, target, headers, body: body.to_owned() })
    }

    /// A command as written by people, Postman and browsers: `curl -X PUT -H 'NAME: VALUE' --data BODY URL`, on one or
    /// more lines. Source: [curl(1)](https://curl.se/docs/manpage.html).
    fn from_curl(text: &[u8], id: &Range<usize>) -> Option<Self> {
        let from = id.start.saturating_sub(MAX_LENGTH);
        let start = from + memchr::memmem::rfind(&text[from..id.start], b"curl ")?;
        let rest = &text[start..text.len().min(id.end + MAX_LENGTH)];
        // A continued line ends with a backslash.
        let goes_on = |line: &[u8]| line.ends_with(b"\\") || line.ends_with(b"\\\r");
        let ends = |at: &usize| start + at >= id.end && !goes_on(&rest[..*at]);
        let end = memchr::memchr_iter(b'\n', rest).find(ends).unwrap_or(rest.len());
        let command = std::str::from_utf8(&rest[..end]).ok()?.replace("\\\r\n", " ").replace("\\\n", " ");
        let mut words = shlex::split(&command)?.into_iter().skip(1);
        let mut request = Self { method: String::new(), target: String::new(), headers: vec![], body: String::new() };
        let mut url = None;
        while let Some(word) = words.next() {
            // `--request=PUT`, `-XPUT` (other flags may precede the X), or the value as a separate word.
            let (option, own) = if let Some(long) = word.strip_prefix("--") {
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)))
            } else if let Some(at) = word.find(['X', 'H', 'd']).filter(|_| word.starts_with('-')) {
                (&word[at..=at], Some(&word[at + 1..]).filter(|rest| !rest.is_empty()))
            } else {
                // Other words may be values of irrelevant options, or another command.
                let is_url = word.contains("://") || url.is_none() && !word.starts_with('-');
                url = if is_url { Some(word) } else { url };
                continue;
            };
            let mut value = || own.map(str::to_owned).or_else(|| words.next());
            match option {
                "request" | "X" => request.method = value()?,
                "header" | "H" => request.headers.extend(header(&value()?)),
                "url" => url = Some(value()?),
                option if option == "d" || option.starts_with("data") => request.body += &value()?,
                _ => {}
            }
        }
        let url = url?;
        let (_, place) = url.split_once("://").unwrap_or(("", &url));
        let (host, path) = place.split_at(place.find(['/', '?']).unwrap_or(place.len()));
        request.target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        // An explicit Host header takes precedence.
        request.headers.push(("host".into(), host.to_owned()));
        if request.method.is_empty() {
            request.method = if request.body.is_empty() { "GET" } else { "POST" }.into();
        }
        Some(request)
    }

    fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The signed request, according to its `Authorization` header.
    fn signed(&self) -> Option<SignedRequest> {
        let authorization = self.header("authorization")?;
        let (_, rest) = authorization.split_once("AWS4-HMAC-SHA256")?;
        let field = |name: &str| {
            let value = rest.split([',', ' ']).find_map(|field| field.trim().strip_prefix(name))?;
            Some(value.trim_end_matches(['"', '\'', '\\']).trim())
        };
        let scope = Scope::read(field("Credential=")?)?;
        let signed: Vec<&str> = field("SignedHeaders=")?.split(';').collect();
        let values: Option<String> =
            signed.iter().map(|name| Some(format!("{name}:{}\n", self.header(name)?))).collect();
        let values = values?;
        let time = self.header("x-amz-date")?;
        let hash = |text: &str| HEXLOWER.encode(&Sha256::digest(text));
        let payloads = [self.header("x-amz-content-sha256"), Some(hash(&self.body)), Some(hash(""))];
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
        pairs.sort_unstable();
        let pairs: Vec<String> =
            pairs.iter().map(|pair| if pair.contains('=') { (*pair).to_owned() } else { format!("{pair}=") }).collect();
        let texts = payloads.into_iter().flatten().map(|payload| {
            let (method, query, names) = (&self.method, pairs.join("&"), signed.join(";"));
            scope.text_to_sign(&time, &format!("{method}\n{path}\n{query}\n{values}\n{names}\n{payload}"))
        });
        scope.request(texts.collect(), field("Signature=")?)
    }
}

/// `NAME: VALUE`.
fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

/// The scope of a version 4 signature: `ID/DATE/REGION/SERVICE/aws4_request`.
struct Scope {
    id: String,
    date: String,
    region: String,
    service: String,
}

impl Scope {
    fn read(credential: &str) -> Option<Self> {
        let mut parts = credential.split('/').map(str::to_owned);
        let scope = Self { id: parts.next()?, date: parts.next()?, region: parts.next()?, service: parts.next()? };
        (parts.next()? == "aws4_request").then_some(scope)
    }

    fn text_to_sign(&self, time: &str, request: &str) -> String {
        let Self { date, region, service, .. } = self;
        let hash = HEXLOWER.encode(&Sha256::digest(request));
        format!("AWS4-HMAC-SHA256\n{time}\n{date}/{region}/{service}/aws4_request\n{hash}")
    }

    fn request(&self, texts: Vec<String>, signature: &str) -> Option<SignedRequest> {
        let signature = HEXLOWER.decode(signature.get(..64)?.as_bytes()).ok()?;
        let Self { id, date, region, service } = self;
        let [id, date, region, service] = [id, date, region, service].map(String::clone);
        Some(SignedRequest { id, signature: Signature::V4 { date, region, service, texts, signature } })
    }
}

/// The region for which an SES SMTP password was derived from a secret.
pub fn region_of_smtp_password(password: &str, secret: &str) -> Option<&'static str> {
    /// Regions with an SES SMTP endpoint. Source: <https://docs.aws.amazon.com/general/latest/gr/ses.html>.
    const REGIONS: [&str; 24] = [
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
        "af-south-1",
        "ap-south-1",
        "ap-south-2",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ca-central-1",
        "eu-central-1",
        "eu-central-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "eu-south-1",
        "eu-north-1",
        "il-central-1",
        "sa-east-1",
        "me-south-1",
    ];
    let bytes = BASE64.decode(password.as_bytes()).ok()?;
    let (version, signature) = bytes.split_first()?;
    let is_of = |region: &&str| {
        let key = signing_key(secret, ["11111111", region, "ses", "aws4_request"]);
        hmac(&key, b"SendRawEmail")[..] == *signature
    };
    (*version == 4).then(|| REGIONS.into_iter().find(is_of)).flatten()
}

fn signing_key(secret: &str, scope: [&str; 4]) -> [u8; 32] {
    let first: [u8; 32] = hmac(format!("AWS4{secret}").as_bytes(), scope[0].as_bytes());
    scope[1..].iter().fold(first, |key, part| hmac(&key, part.as_bytes()))
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn decoded(text: &str) -> String {
    percent_decode(text.as_bytes()).decode_utf8_lossy().into_owned()
}

fn encoded(text: &str) -> String {
    percent_encode(text.as_bytes(), ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key pair in AWS's own examples.
    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn read(text: &str) -> SignedRequest {
        let at = text.find(ID).unwrap();
        SignedRequest::read(text.as_bytes(), &(at..at + ID.len())).unwrap()
    }

    #[test]
    fn the_example_of_a_presigned_url() {
        // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        let url = format!(
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ID}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
        for text in [url.clone(), format!("curl '{url}'\n"), format!("<a href=\"{}\">", url.replace('&', "&amp;"))] {
            let request = read(&text);
            assert_eq!(request.id, ID);
            assert!(request.is_by(SECRET), "{text}");
            assert!(!request.is_by(&SECRET.replace('w', "x")));
        }
    }

    #[test]
    fn the_example_of_a_signed_header() {
        // https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, the first example.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let request = format!(
            "> GET /test.txt HTTP/1.1\n> Host: examplebucket.s3.amazonaws.com\n> Authorization: AWS4-HMAC-SHA256 Credential={ID}/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\n> Range: bytes=0-9\n> x-amz-content-sha256: {empty}\n> x-amz-date: 20130524T000000Z\n\n"
        );
        assert!(read(&request).is_by(SECRET));
        assert!(!read(&request.replace("0-9", "0-8")).is_by(SECRET));
    }

    #[test]
    fn the_same_as_a_command() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let authorization = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={ID}/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let url = "https://examplebucket.s3.amazonaws.com/test.txt";
        let rest = format!("-H 'x-amz-content-sha256: {empty}' -H 'x-amz-date: 20130524T000000Z'");
        for command in [
            format!("curl -H 'Range: bytes=0-9' -H '{authorization}' {rest} {url}\n"),
            format!(
                "$ curl --location --request GET '{url}' \\\n--header \"{authorization}\" \\\n {rest} \\\r\n --header='Range: bytes=0-9'\necho done"
            ),
            format!("curl -sXGET -H'Range: bytes=0-9' {rest} -H '{authorization}' --url {url} | jq ."),
        ] {
            assert!(read(&command).is_by(SECRET), "{command}");
            assert!(!read(&command.replace("0-9", "0-8")).is_by(SECRET));
        }
        for command in [
            format!("curl -H '{authorization}"),
            format!("curl '{authorization}' -H"),
            format!("curl -H '{authorization}'"),
        ] {
            let at = command.find(ID).unwrap();
            assert_eq!(SignedRequest::read(command.as_bytes(), &(at..at + ID.len())), None, "{command}");
        }
    }

    #[test]
    fn the_example_of_version_two() {
        // https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html, query string request authentication.
        let url = format!(
            "http://awsexamplebucket1.s3.us-west-1.amazonaws.com/photos/puppy.jpg?AWSAccessKeyId={ID}&Signature=9NuJvPC2tkVt6%2BzSMBBjoQ6vtoU%3D&Expires=1175139620"
        );
        let request = read(&url);
        let Signature::V2 { texts, .. } = &request.signature else { panic!("version 2") };
        assert_eq!(texts[0], "GET\n\n\n1175139620\n/awsexamplebucket1/photos/puppy.jpg");
        let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(texts[1].as_bytes());
        let signature = BASE64.encode(&mac.finalize().into_bytes());
        let mine = url.replace("9NuJvPC2tkVt6%2BzSMBBjoQ6vtoU%3D", &encoded(&signature));
        assert!(read(&mine).is_by(SECRET), "a PUT");
        assert!(!read(&mine).is_by("x"));
    }

    #[test]
    fn an_smtp_password() {
        let password = ["BLBM/9hSUELfq8Gw+rU1", "YcBjkOxGbhT2XG763xVLGWL9"].concat();
        assert_eq!(region_of_smtp_password(&password, SECRET), Some("us-east-1"));
        assert_eq!(region_of_smtp_password(&password, "x"), None);
        assert_eq!(region_of_smtp_password("AAAA", SECRET), None);
    }

    #[test]
    fn what_is_no_request_is_none() {
        for text in [
            ID.to_owned(),
            format!("https://x/?a={ID}"),
            format!("https:// x?X-Amz-Credential={ID}/1/2/3/aws4_request"),
            format!("AWS4-HMAC-SHA256 Credential={ID}"),
        ] {
            let at = text.find(ID).unwrap();
            assert_eq!(SignedRequest::read(text.as_bytes(), &(at..at + ID.len())), None, "{text}");
        }
    }
}
