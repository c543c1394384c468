//! Whose is a key that looks like AWS's? What the text around it says: AWS, another vendor, or nothing.
//!
//! Stores that speak S3's protocol have keys of the same form, and secrets of 40 characters are common elsewhere, too.

use crate::text::alphabet::SECRET_LEN;
use aho_corasick::{AhoCorasick, MatchKind};
use std::ops::Range;
use std::sync::LazyLock;

/// How far words are searched for before a value, in lines and bytes.
const LINES_BEFORE: usize = 10;
const REACH_BEFORE: usize = 800;

/// The same, after it.
const LINES_AFTER: usize = 6;
const REACH_AFTER: usize = 400;

/// Whose key it is, by the words around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// AWS is spoken of, and no other vendor nearer.
    Aws,
    /// Another vendor's.
    Other(&'static str),
    /// Nobody is spoken of.
    Unknown,
}

impl Whose {
    /// The vendor, if it is another than AWS.
    pub fn vendor(self) -> Option<&'static str> {
        match self {
            Self::Other(name) => Some(name),
            Self::Aws | Self::Unknown => None,
        }
    }
}

/// Words of AWS, each as part of a name or by itself.
const AWS: [&str; 19] = [
    "aws",
    "amazon",
    "amazonaws",
    "s3",
    "s3a",
    "s3n",
    "boto",
    "boto3",
    "botocore",
    "ec2",
    "sqs",
    "dynamodb",
    "dynamo",
    "kinesis",
    "cloudfront",
    "cloudwatch",
    "route53",
    "fargate",
    "bedrock",
];

/// Names of settings that AWS's tools have, and others that speak its protocol: less telling than a vendor's name.
const WEAK: [&str; 3] = ["region", "secretaccesskey", "accesskeyid"];

/// Words of stores that speak S3's protocol. If one is in an address, it is the one that the key is for.
const STORES: [(&str, &[&str]); 28] = [
    ("MinIO", &["minio", "min.io"]),
    ("Ceph", &["ceph", "rados", "radosgw", "rgw"]),
    ("DigitalOcean Spaces", &["digitaloceanspaces", "digitalocean", "dospaces"]),
    ("Wasabi", &["wasabi", "wasabisys"]),
    ("Backblaze B2", &["backblaze", "backblazeb2"]),
    ("Cloudflare R2", &["r2.cloudflarestorage", "cloudflarestorage", "cloudflare", "cloudflarer2"]),
    ("Linode Object Storage", &["linode", "linodeobjects"]),
    ("Scaleway", &["scaleway", "scw", "scw.cloud"]),
    ("Google Cloud Storage", &["storage.googleapis", "gcs", "googlecloud", "googlestorage"]),
    ("Alibaba Cloud", &["aliyun", "aliyuncs", "alibaba", "alicloud", "alioss"]),
    ("Tencent Cloud", &["tencent", "tencentcloud", "qcloud", "myqcloud", "tencentcos"]),
    ("Huawei Cloud", &["huawei", "huaweicloud", "myhuaweicloud", "obs"]),
    ("Baidu Cloud", &["baidu", "baidubce", "bcebos"]),
    ("Kingsoft Cloud", &["ksyun", "ksyuncs", "kingsoft"]),
    ("Volcengine", &["volcengine", "volces"]),
    ("JD Cloud", &["jdcloud"]),
    ("Qiniu", &["qiniu"]),
    ("Yandex Cloud", &["yandex", "yandexcloud"]),
    ("Naver Cloud", &["naver", "ncloud", "ncloudstorage"]),
    ("Vultr", &["vultr", "vultrobjects"]),
    ("OVHcloud", &["ovh", "ovhcloud"]),
    ("Exoscale", &["exoscale", "exo.io"]),
    ("IBM Cloud", &["ibmcloud", "softlayer", "appdomain.cloud"]),
    ("DreamHost", &["dreamhost", "dreamobjects", "dream.io"]),
    ("OpenStack", &["openstack", "swiftstack"]),
    ("Eucalyptus", &["eucalyptus", "walrus"]),
    ("Supabase", &["supabase"]),
    ("LocalStack", &["localstack"]),
];

/// What lakeFS is called. Its ids imitate AWS's, so that its name counts far from them.
const LAKEFS: &str = "lakeFS";
const WORDS_OF_LAKEFS: [&str; 4] = ["lakefs", "lakeFS", "LAKEFS", "lakectl"];

/// Words of vendors whose secrets may have 40 characters.
const VENDORS: [(&str, &[&str]); 51] = [
    ("Duo", &["duo", "duosecurity"]),
    ("reCAPTCHA", &["recaptcha", "captcha", "hcaptcha", "turnstile"]),
    ("Cohere", &["cohere"]),
    ("Airbrake", &["airbrake", "errbit"]),
    ("ZStack", &["zstack"]),
    ("Stripe", &["stripe"]),
    ("PayPal", &["paypal"]),
    ("Braintree", &["braintree"]),
    ("Razorpay", &["razorpay"]),
    ("Adyen", &["adyen"]),
    ("Mollie", &["mollie"]),
    ("Paystack", &["paystack"]),
    ("Flutterwave", &["flutterwave"]),
    ("Midtrans", &["midtrans"]),
    ("Xendit", &["xendit"]),
    ("Twitter", &["twitter"]),
    ("Facebook", &["facebook"]),
    ("LinkedIn", &["linkedin"]),
    ("GitHub", &["github"]),
    ("GitLab", &["gitlab"]),
    ("Bitbucket", &["bitbucket"]),
    ("Slack", &["slack"]),
    ("Discord", &["discord"]),
    ("Twilio", &["twilio"]),
    ("SendGrid", &["sendgrid"]),
    ("Mailgun", &["mailgun"]),
    ("Mailjet", &["mailjet"]),
    ("Mailchimp", &["mailchimp", "mandrill"]),
    ("Auth0", &["auth0"]),
    ("Okta", &["okta"]),
    ("Keycloak", &["keycloak"]),
    ("Azure", &["azure"]),
    ("Google", &["google", "gcp", "firebase"]),
    ("Binance", &["binance"]),
    ("Coinbase", &["coinbase"]),
    ("Kraken", &["kraken"]),
    ("OKX", &["okx", "okex"]),
    ("Bybit", &["bybit"]),
    ("Bittrex", &["bittrex"]),
    ("Datadog", &["datadog"]),
    ("Sentry", &["sentry"]),
    ("Algolia", &["algolia"]),
    ("Pusher", &["pusher"]),
    ("Cloudinary", &["cloudinary"]),
    ("Uploadcare", &["uploadcare"]),
    ("Shopify", &["shopify"]),
    ("Zoom", &["zoom"]),
    ("Dropbox", &["dropbox"]),
    ("Django", &["django"]),
    ("Laravel", &["laravel"]),
    ("Unsplash", &["unsplash"]),
];

/// Words of what signs or encrypts something of its own.
const NOBODY: [&str; 9] = ["jwt", "oauth", "oauth2", "session", "cookie", "csrf", "hmac", "webhook", "encryption"];

/// The vendor of a name, as [`Whose`] has it.
pub fn by_name(name: &str) -> Option<&'static str> {
    let known = STORES.iter().chain(&VENDORS).map(|(vendor, _)| *vendor);
    known.into_iter().find(|vendor| *vendor == name)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Aws,
    Weak,
    Store(&'static str),
    Vendor(&'static str),
    Nobody,
}

impl Word {
    fn whose(self) -> Option<Whose> {
        match self {
            Self::Aws => Some(Whose::Aws),
            Self::Store(name) | Self::Vendor(name) => Some(Whose::Other(name)),
            Self::Weak | Self::Nobody => None,
        }
    }
}

struct Words {
    automaton: AhoCorasick,
    meanings: Vec<Word>,
}

impl Words {
    /// The words in a text, in order, each with its start.
    fn of<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, Word)> + 'a {
        let found = self.automaton.find_iter(text).filter(|found| stands_alone(text, &found.range()));
        let words = found.map(|found| (found.start(), self.meanings[found.pattern().as_usize()]));
        // Links to pages of vendors are everywhere.
        words.filter(|(at, word)| !matches!(word, Word::Vendor(_)) || !is_in_link(text, *at))
    }
}

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let aws = AWS.iter().map(|word| (*word, Word::Aws));
    let weak = WEAK.iter().map(|word| (*word, Word::Weak));
    let stores = STORES.iter().flat_map(|(name, words)| words.iter().map(|word| (*word, Word::Store(name))));
    let vendors = VENDORS.iter().flat_map(|(name, words)| words.iter().map(|word| (*word, Word::Vendor(name))));
    let nobody = NOBODY.iter().map(|word| (*word, Word::Nobody));
    let all = aws.chain(weak).chain(stores).chain(vendors).chain(nobody);
    let (patterns, meanings): (Vec<&str>, Vec<Word>) = all.unzip();
    let automaton = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostLongest)
        .build(patterns)
        .expect("two hundred short words stay far below the automaton's limits");
    Words { automaton, meanings }
});

/// True if a word is one by itself or a part of an identifier: `duo_key`, `myDuoKey`, `awssecretkey`, not `duodecimal`.
fn stands_alone(text: &[u8], word: &Range<usize>) -> bool {
    let first = text[word.start];
    let last = text[word.end - 1];
    let starts = text[..word.start].last().is_none_or(|before| {
        !before.is_ascii_alphabetic() || before.is_ascii_lowercase() && first.is_ascii_uppercase()
    });
    let next = text[word.end..].get(..3).unwrap_or_default();
    let is_joined = || [b"sec", b"key", b"acc", b"cre"].iter().any(|start| next.eq_ignore_ascii_case(*start));
    let ends = next.first().is_none_or(|after| {
        !after.is_ascii_alphabetic() || after.is_ascii_uppercase() && last.is_ascii_lowercase() || is_joined()
    });
    starts && ends
}

/// Whose secret stands at `span` of `text`: its own line tells first, then the nearest word before it, then what follows.
pub fn of_secret(text: &[u8], span: &Range<usize>) -> Whose {
    let window = Window::around(text, span);
    let words = |part| WORDS.of(part).map(|(_, word)| word).collect::<Vec<_>>();
    let name = words(own_name(window.own));
    let says_aws = name.contains(&Word::Aws);
    if let Some(store) = window.endpoint(says_aws) {
        return store;
    }
    // Its own name tells first: of a store, of AWS (`GITLAB_AWS_SECRET_ACCESS_KEY`), of anybody else.
    let store = name.iter().find(|word| matches!(word, Word::Store(_)));
    let aws = says_aws.then_some(&Word::Aws);
    if let Some(word) = store.or(aws).or_else(|| name.iter().rev().find(|word| !matches!(word, Word::Weak))) {
        return word.whose().unwrap_or(Whose::Unknown);
    }
    let (own, before, after) = (words(window.own), words(window.before), words(window.after));
    let nearest = own.iter().rev().chain(before.iter().rev()).find_map(|word| word.whose());
    let next = || after.iter().filter(|word| !matches!(word, Word::Vendor(_))).find_map(|word| word.whose());
    nearest.or_else(next).unwrap_or_else(|| {
        let is_weak = [&own, &before, &after].into_iter().any(|words| words.contains(&Word::Weak));
        let is_weak = is_weak || is_named_as_aws_does(window.own);
        match is_weak {
            true if speaks_of_lakefs(text, span) => Whose::Other(LAKEFS),
            true => Whose::Aws,
            false => Whose::Unknown,
        }
    })
}

/// The vendor whose ids imitate AWS's, if this is one of them: those of lakeFS are `AKIAJ`, 14 characters of base32 and `Q`
/// (`GenAccessKeyID` in lakeFS's sources). One in two of AWS's ids that begin so ends so, too: the text around it must speak
/// of lakeFS, and its name not of AWS.
pub fn imitator(text: &[u8], id: &str, span: &Range<usize>) -> Option<&'static str> {
    let is_of_its_form = id.starts_with("AKIAJ") && id.ends_with('Q');
    let is_named_aws = || {
        let name = own_name(Window::around(text, span).own);
        WORDS.of(name).any(|(_, word)| word == Word::Aws)
    };
    (is_of_its_form && speaks_of_lakefs(text, span) && !is_named_aws()).then_some(LAKEFS)
}

/// True if the text around a value speaks of lakeFS, and not of what lakeFS stores its data in, which may be AWS.
fn speaks_of_lakefs(text: &[u8], span: &Range<usize>) -> bool {
    const REACH: usize = 8 << 10;
    const STORE: &[u8] = b"blockstore";
    let around = &text[span.start.saturating_sub(REACH)..text.len().min(span.end + REACH)];
    let has = |word: &[u8]| memchr::memmem::find(around, word).is_some();
    WORDS_OF_LAKEFS.iter().any(|word| has(word.as_bytes())) && !has(STORE)
}

/// The name that a value is given, at the end of the text before it: `aws_secret_access_key` in
/// `Session(id, aws_secret_access_key="`.
fn own_name(before: &[u8]) -> &[u8] {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let end = before.iter().rposition(is_name).map_or(0, |last| last + 1);
    let start = before[..end].iter().rposition(|b| !is_name(b)).map_or(0, |other| other + 1);
    &before[start..end]
}

/// Whose store the id at `span` of `text` is for, if its surroundings say so.
pub fn of_id(text: &[u8], span: &Range<usize>) -> Whose {
    let window = Window::around(text, span);
    if let Some(store) = window.endpoint(false) {
        return store;
    }
    let words = || [window.own, window.before, window.after].into_iter().flat_map(|part| WORDS.of(part));
    let store = words().find_map(|(_, word)| match word {
        Word::Store(name) => Some(Whose::Other(name)),
        _ => None,
    });
    let says_aws = || words().any(|(_, word)| word == Word::Aws);
    store.unwrap_or_else(|| if says_aws() { Whose::Aws } else { Whose::Unknown })
}

/// "Secret access key" is AWS's own word for it.
fn is_named_as_aws_does(own: &[u8]) -> bool {
    let letters: Vec<u8> = own.iter().filter(|b| b.is_ascii_alphabetic()).map(u8::to_ascii_lowercase).collect();
    memchr::memmem::find(&letters, b"secretaccesskey").is_some()
}

/// The text around a value.
struct Window<'a> {
    /// The line before the value, or what follows the value before it.
    own: &'a [u8],
    /// The lines before that.
    before: &'a [u8],
    /// The rest of its line, and the lines after it.
    after: &'a [u8],
}

impl<'a> Window<'a> {
    fn around(text: &'a [u8], span: &Range<usize>) -> Self {
        let from = span.start.saturating_sub(REACH_BEFORE);
        let start = memchr::memrchr_iter(b'\n', &text[from..span.start]).nth(LINES_BEFORE);
        let start = start.map_or(from, |newline| from + newline + 1);
        let line = memchr::memrchr(b'\n', &text[start..span.start]).map_or(start, |newline| start + newline + 1);
        // Of a line of many values, what belongs to this one.
        let line = line.max(span.start.saturating_sub(3 * SECRET_LEN));
        let to = text.len().min(span.end + REACH_AFTER);
        let end = memchr::memchr_iter(b'\n', &text[span.end..to]).nth(LINES_AFTER);
        let end = end.map_or(to, |newline| span.end + newline);
        Self { own: &text[line..span.start], before: &text[start..line], after: &text[span.end..end] }
    }

    /// Whose the store is, if an address of one is set. For a value that `says_aws`, only if the setting could be its own:
    /// `endpoint_url = https://play.min.io`, not `MINIO_URL = https://play.min.io`.
    fn endpoint(&self, says_aws: bool) -> Option<Whose> {
        let is_its_own = |part: &[u8], at: usize| {
            let line = &part[..host_span(part, at).start];
            let line = &line[memchr::memrchr(b'\n', line).map_or(0, |newline| newline + 1)..];
            !says_aws || !WORDS.of(line).any(|(_, word)| matches!(word, Word::Store(_)))
        };
        [self.own, self.before, self.after].into_iter().find_map(|part| {
            WORDS.of(part).find_map(|(at, word)| match word {
                Word::Store(name) if is_in_address(part, at) && is_its_own(part, at) => Some(Whose::Other(name)),
                _ => None,
            })
        })
    }
}

/// True if what starts at `at` is in a link, or the name of a host.
fn is_in_link(text: &[u8], at: usize) -> bool {
    let word = &text[host_span(text, at)];
    let has = |part: &str| memchr::memmem::find(word, part.as_bytes()).is_some();
    [":/", ".com", ".io", ".org", ".net"].into_iter().any(has)
}

/// The word that may be an address around `at`: `https://play.min.io:9000/bucket`.
fn host_span(text: &[u8], at: usize) -> Range<usize> {
    let is_of_host = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'/' | b'_');
    let start = text[..at].iter().rposition(|b| !is_of_host(b)).map_or(0, |before| before + 1);
    let end = text[at..].iter().position(|b| !is_of_host(b)).map_or(text.len(), |after| at + after);
    start..end
}

/// True if what starts at `at` is in the name of a host that is set: `https://play.min.io`, `host = play.min.io`, not
/// `minio_key`.
fn is_in_address(text: &[u8], at: usize) -> bool {
    let span = host_span(text, at);
    let word = &text[span.clone()];
    let is_url = memchr::memmem::find(word, b"://").is_some();
    let is_endpoint = || {
        let before = text[span.start.saturating_sub(24)..at].to_ascii_lowercase();
        ["endpoint", "host", "url"].iter().any(|name| memchr::memmem::find(&before, name.as_bytes()).is_some())
    };
    let is_aws = memchr::memmem::find(word, b"amazonaws.com").is_some();
    !is_aws && (is_url || word.contains(&b'.') && is_endpoint())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::example::expand;

    #[track_caller]
    fn assert_whose(template: &str, expected: Whose) {
        let text = expand(template);
        let value = text.values.iter().find(|value| value.kind == "secret").expect("a secret in the template");
        assert_eq!(of_secret(text.text.as_bytes(), &value.range), expected, "{template}");
    }

    #[test]
    fn aws_is_told() {
        for template in [
            "aws_secret_key = {{secret}}",
            "awssecretkey={{secret}}",
            "AWSSecretKey={{secret}}",
            "secret_access_key: {{secret}}",
            "s3:\n  bucket: x\n  secret_key: {{secret}}",
            "secret_key: {{secret}}\nregion: eu-west-1",
            "import boto3\n\nsecret_key = '{{secret}}'",
            "duo_key = 1\naws_secret_key = {{secret}}",
            "github.com/x\naws:\n  secret_key = {{secret}}",
            "endpoint: https://s3.amazonaws.com\nsecret_key = {{secret}}",
            "s = boto3.Session(aws_access_key_id=x, aws_secret_access_key=\"{{secret}}\")",
            "s = Session(aws_secret_access_key=\"{{secret}}\")",
            "GITLAB_AWS_SECRET_ACCESS_KEY={{secret}}",
            "AWS_SESSION_SECRET_ACCESS_KEY={{secret}}",
            "docker run -e SLACK_TOKEN=x -e AWS_SECRET_ACCESS_KEY={{secret}} img",
            "JWT_SECRET=abc; AWS_SECRET_ACCESS_KEY={{secret}}",
            "The GitHub secret AWS_SECRET_ACCESS_KEY is {{secret}}",
            "MINIO_URL=http://minio.local:9000\nAWS_SECRET_ACCESS_KEY={{secret}}",
        ] {
            assert_whose(template, Whose::Aws);
        }
    }

    #[test]
    fn other_vendors_are_told() {
        for (template, vendor) in [
            ("DUO_SECRET_KEY={{secret}}", "Duo"),
            ("recaptcha:\n  site_key: x\n  secret_key: {{secret}}", "reCAPTCHA"),
            ("NAVER_SECRET_KEY={{secret}}\nregion=KR", "Naver Cloud"),
            ("cohereSecretKey: {{secret}}", "Cohere"),
            ("airbrake.secret_key={{secret}}", "Airbrake"),
            ("HUAWEI_OBS_SECRET_ACCESS_KEY={{secret}}", "Huawei Cloud"),
            ("yandex:\n  secret_access_key: {{secret}}", "Yandex Cloud"),
            ("endpoint_url='https://play.min.io:9000',\naws_secret_access_key='{{secret}}'", "MinIO"),
            ("aws_secret_access_key='{{secret}}'\nendpoint = nyc3.digitaloceanspaces.com", "DigitalOcean Spaces"),
            ("aws = 1\n\n[duo]\nsecret_key = {{secret}}", "Duo"),
        ] {
            assert_whose(template, Whose::Other(vendor));
        }
    }

    #[test]
    fn nothing_is_told_by_chance() {
        for template in
            ["secret_key: {{secret}}", "draws=1\nsecret_key: {{secret}}", "duodecimal\nsecret_key: {{secret}}"]
        {
            assert_whose(template, Whose::Unknown);
        }
    }
}
