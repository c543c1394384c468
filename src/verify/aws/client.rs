//! HTTPS requests, signed as AWS wants them.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use secrecy::{ExposeSecret, SecretString};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// How long a request may take, with everything.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The maximum size of an answer, in bytes: real ones have a few hundred.
const MAX_ANSWER: u64 = 64 << 10;

/// Sends requests.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    timeout: Duration,
    endpoint: Option<String>,
}

/// Why requests cannot be sent as wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The file of certificates cannot be read.
    #[error("{}: cannot be read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is none.
    #[error("{}: expected certificates in PEM (-----BEGIN CERTIFICATE-----)", .0.display())]
    NoCertificates(PathBuf),
    /// The address is not one that may be asked.
    #[error(
        "the endpoint: expected an https URL without a path or password, such as https://sts.example.com; http is possible \
         to this machine alone"
    )]
    Endpoint,
    /// A variable names a proxy that cannot be used. Without it, requests would come from another address than intended.
    #[error("{0}: expected the URL of an http or https proxy, such as http://proxy.example.com:3128")]
    Proxy(&'static str),
}

/// Who signs a request.
pub(super) struct Signer<'a> {
    pub id: &'a str,
    pub secret: &'a SecretString,
    pub token: Option<&'a SecretString>,
    pub region: &'a str,
    pub service: &'a str,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub status: u16,
    pub body: Vec<u8>,
    /// The time that the other side's clock showed, in seconds since 1970.
    pub date: Option<i64>,
}

/// Why nothing came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody was reached: the reason.
    Unreachable(String),
    /// Somebody was, and did not answer in time, or not as HTTP wants it.
    Broken(String),
}

impl Client {
    /// A client that uses the proxy that the variables of an environment name (`HTTPS_PROXY`, `NO_PROXY`).
    ///
    /// `certificates` is a file of certificates in PEM, to be trusted instead of the system's; `endpoint` the address that is
    /// asked instead of AWS's.
    ///
    /// # Errors
    /// The file or the address cannot be used.
    pub fn new(
        certificates: Option<PathBuf>,
        endpoint: Option<String>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ClientError> {
        let roots = match certificates {
            Some(file) => read_certificates(file)?,
            None => RootCerts::PlatformVerifier,
        };
        if let Some(endpoint) = &endpoint {
            check_endpoint(endpoint)?;
        }
        // What is in clear stays on this machine.
        let is_here = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let proxy = if is_here { None } else { proxy(&variable)? };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A signature is for one host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(MAX_ANSWER as usize)
            .user_agent(USER_AGENT)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .proxy(proxy)
            .build();
        let endpoint = endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        Ok(Self { agent: config.new_agent(), timeout: TIMEOUT, endpoint })
    }

    /// The same, with another time limit for a whole request.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The address to ask instead of `usual`.
    pub fn address(&self, usual: &str) -> String {
        self.endpoint.clone().unwrap_or_else(|| format!("https://{usual}"))
    }

    /// The address, and the proxy that requests to it come from, if there is one.
    pub fn route(&self, usual: &str) -> String {
        let address = self.address(usual);
        let passes = |proxy: &&ureq::Proxy| address.parse().is_ok_and(|address| !proxy.is_no_proxy(&address));
        match self.agent.config().proxy().filter(passes) {
            Some(proxy) => format!("{address} through the proxy {}:{}", proxy.host(), proxy.port()),
            None => address,
        }
    }

    /// Sends a signed form to a host, or to the endpoint instead.
    pub(super) fn post(&self, host: &str, form: &str, signer: &Signer) -> Result<Response, Failure> {
        let url = format!("{}/", self.address(host));
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let signature = signature(&url, &headers, form, signer).map_err(Failure::Broken)?;
        let mut request = self.agent.post(&url).config().timeout_global(Some(self.timeout)).build();
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in &signature {
            request = request.header(name, value);
        }
        let mut response = request.send(form).map_err(failure)?;
        let date = response.headers().get("date").and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp().as_second());
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => Failure::Broken("its answer is longer than any of AWS's".into()),
            ureq::Error::Timeout(_) => Failure::Broken("no answer in time".into()),
            _ => Failure::Broken("the answer is cut off".into()),
        })?;
        Ok(Response { status, body, date })
    }
}

/// Who asks, for the logs of the asked.
const USER_AGENT: &str = concat!("keyspill/", env!("CARGO_PKG_VERSION"));

/// The headers that sign a request.
fn signature(
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
    signer: &Signer,
) -> Result<Vec<(String, String)>, String> {
    let not_signed = |_| "the request cannot be signed".to_owned();
    let token = signer.token.map(|token| token.expose_secret().to_owned());
    let identity = Credentials::new(signer.id, signer.secret.expose_secret(), token, None, "keyspill").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(signer.region)
        .name(signer.service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| "the request cannot be signed".to_owned())?
        .into();
    let body = SignableBody::Bytes(body.as_bytes());
    let request = SignableRequest::new("POST", url, headers.iter().copied(), body).map_err(not_signed)?;
    let (instructions, _) = sign(request, &parameters).map_err(not_signed)?.into_parts();
    Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Names the problem; the texts of errors never have the request in them.
fn failure(error: ureq::Error) -> Failure {
    match error {
        ureq::Error::HostNotFound => {
            Failure::Unreachable("no such host: there is no network, or no name server".into())
        }
        ureq::Error::Io(error) => Failure::Unreachable(format!("no connection: {error}")),
        ureq::Error::ConnectionFailed => Failure::Unreachable("no connection".into()),
        ureq::Error::Timeout(_) => Failure::Unreachable("no answer in time".into()),
        ureq::Error::Tls(words) => Failure::Unreachable(format!("no secure connection: {words}")),
        ureq::Error::Rustls(error) => Failure::Unreachable(format!("no secure connection: {error}")),
        ureq::Error::InvalidProxyUrl | ureq::Error::ConnectProxyFailed(_) => {
            Failure::Unreachable("the proxy refuses the connection, or its address is wrong".into())
        }
        _ => Failure::Broken("the answer is not HTTP".into()),
    }
}

/// The proxy that the environment names, in the order in which ureq looks for one.
fn proxy(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Option<ureq::Proxy>, ClientError> {
    const PROXIES: [&str; 6] = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
    let value = |name: &'static str| Some((name, variable(name).filter(|value| !value.is_empty())?));
    let Some((name, value)) = PROXIES.into_iter().find_map(value) else { return Ok(None) };
    let refused = || ClientError::Proxy(name);
    let text = value.to_str().ok_or_else(refused)?;
    let scheme = text.split_once("://").map_or("http", |(scheme, _)| scheme);
    let protocol = match scheme.to_ascii_lowercase().as_str() {
        "http" => ureq::ProxyProtocol::Http,
        "https" => ureq::ProxyProtocol::Https,
        _ => return Err(refused()),
    };
    let named = ureq::Proxy::new(text).map_err(|_| refused())?;
    let mut proxy = ureq::Proxy::builder(protocol).host(named.host()).port(named.port());
    if let Some(user) = named.username() {
        proxy = proxy.username(user);
    }
    if let Some(password) = named.password() {
        proxy = proxy.password(password);
    }
    let direct = variable("NO_PROXY").or_else(|| variable("no_proxy")).unwrap_or_default();
    proxy = direct.to_string_lossy().split(',').fold(proxy, |proxy, host| proxy.no_proxy(host.trim()));
    Ok(Some(proxy.build().map_err(|_| refused())?))
}

/// The maximum size of a file of certificates, in bytes.
const MAX_CERTIFICATES: u64 = 16 << 20;

fn read_certificates(file: PathBuf) -> Result<RootCerts, ClientError> {
    let pem = match crate::file::read(&file, MAX_CERTIFICATES) {
        Ok(pem) => pem,
        Err(source) => return Err(ClientError::Unreadable { file, source }),
    };
    let certificates: Result<Vec<Certificate>, _> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
        .collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(RootCerts::new_with_certs(&certificates)),
        _ => Err(ClientError::NoCertificates(file)),
    }
}

/// Credentials are proven to whoever is asked, so it is somebody with a certificate, or this machine.
fn check_endpoint(endpoint: &str) -> Result<(), ClientError> {
    let bare = endpoint.trim_end_matches('/');
    let is_allowed = bare.parse::<ureq::http::Uri>().is_ok_and(|uri| {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_here =
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        let is_safe = uri.scheme_str() == Some("https") || uri.scheme_str() == Some("http") && is_here;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        is_safe && !host.is_empty() && !authority.contains('@') && uri.path() == "/" && uri.query().is_none()
    });
    if is_allowed { Ok(()) } else { Err(ClientError::Endpoint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_safe_or_here() {
        for good in [
            "https://sts.example.com",
            "https://sts.example.com:8443/",
            "http://127.0.0.1:5000",
            "http://[::1]:1",
            "http://localhost:1",
        ] {
            assert!(check_endpoint(good).is_ok(), "{good}");
        }
        for bad in [
            "http://sts.example.com",
            "https://u:p@sts.example.com",
            "https://x/path",
            "https://x/?q",
            "ftp://x",
            "",
            "x",
        ] {
            assert!(check_endpoint(bad).is_err(), "{bad}");
        }
    }
}
