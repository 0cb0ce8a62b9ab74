//! Bucket policies of a running server, through its admin API: [`Connection`] says which, [`Client`] asks it.

pub(super) mod archive;
pub(super) mod changes;
pub(super) mod diff;
pub(super) mod listing;
pub(super) mod migrate;
mod places;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::uri::Scheme;
use http::{HeaderValue, Method, StatusCode, Uri};
use hyper_rustls::ConfigBuilderExt;
use portcullis::admin::wire::{ErrorAnswer, ErrorDocument, Notice};
use portcullis::auth::admin_token::AdminToken;
use portcullis::config;
use portcullis::s3::address::BucketName;
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::serve::with_causes;
use super::terminal::{self, Escaped};
use super::{Failure, policy};

/// Where an admin API is by default.
const DEFAULT: &str = "http://127.0.0.1:9001";
/// How long connecting may take, and a whole call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest answer that is read, in bytes: a page of an archive, every byte of which may need six.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Which server.
#[derive(Args, Debug)]
pub(crate) struct Connection {
    /// The server's admin listener [default: the configuration's, or http://127.0.0.1:9001]
    #[arg(long, value_name = "URL", help_heading = "Server")]
    admin: Option<String>,
    /// The file with the token that opens its admin API [default: the configuration's]
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    token_file: Option<PathBuf>,
    /// A configuration to take from what is not given: its [admin] address and token_file
    #[arg(long, short, value_name = "FILE", help_heading = "Server")]
    config: Option<PathBuf>,
}

/// What a change depends on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Condition {
    Nothing,
    /// The policy in force is this revision.
    Revision(u64),
    /// There is no policy.
    NoPolicy,
}

impl Connection {
    /// A client of that server. Nothing is sent yet.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let configured = match &self.config {
            Some(path) => config::load_admin(path).map_err(|problems| {
                for problem in &problems {
                    terminal::error(problem);
                }
                Failure::Reported
            })?,
            None => None,
        };
        let (address, configured_file) = configured.map(|admin| (admin.address, admin.token_file)).unzip();
        let base = match (&self.admin, address) {
            (Some(url), _) => base(url).map_err(|why| Failure::Usage(format!("--admin {}: {why}", Escaped(url))))?,
            (None, Some(address)) => url_of(address)?,
            (None, None) => DEFAULT.to_owned(),
        };
        let token_file = self.token_file.clone().or(configured_file.flatten()).ok_or_else(|| {
            let wanted = "give --token-file FILE, or --config FILE of a configuration with `[admin] token_file`";
            Failure::Usage(format!("the admin API opens to its token alone: {wanted}"))
        })?;
        let failed = |why: String| Failure::Failed(format!("{}: {why}", token_file.display()));
        let content = std::fs::read(&token_file).map(Zeroizing::new);
        let content = content.map_err(|error| failed(format!("cannot be read: {error}")))?;
        let token = AdminToken::parse(&content).map_err(|error| failed(error.to_string()))?;
        Client::new(base, &token)
    }
}

/// Asks one server, one call after the other.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: HeaderValue,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    fn new(base: String, token: &AdminToken) -> Result<Self, Failure> {
        let uri: Uri = base.parse().map_err(|_| Failure::Usage(format!("{base} is not a URL")))?;
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        if !is_https && !is_loopback(&uri) {
            terminal::warning(format_args!("{base} is neither https nor this machine: the token is sent in the clear"));
        }
        let failed = |error: &dyn std::error::Error| Failure::Failed(with_causes(error));
        let mut token = Zeroizing::new(format!("Bearer {}", token.expose()));
        // INVARIANT: a token is visible ASCII.
        let mut value = HeaderValue::from_str(&token).map_err(|error| failed(&error))?;
        value.set_sensitive(true);
        token.clear();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(is_https).map_err(|error| failed(&*error))?)
            // The token is for this server: for no proxy that the environment names, and no other host.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .build()
            .map_err(|error| failed(&error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { http, base, token: value, runtime: runtime.map_err(|error| failed(&error))? })
    }

    /// The body that answers a call without one.
    pub(super) fn call(&self, method: Method, path: &str, condition: Condition) -> Result<Bytes, Failure> {
        self.send(method, path, condition, Bytes::new())
    }

    /// The document that answers a call without a body.
    pub(super) fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        read(&self.call(Method::GET, path, Condition::Nothing)?)
    }

    /// The body that answers a call with one, of JSON.
    pub(super) fn send(&self, method: Method, path: &str, condition: Condition, body: Bytes) -> Result<Bytes, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = request.header(AUTHORIZATION, self.token.clone());
        request = match condition {
            Condition::Nothing => request,
            Condition::Revision(revision) => request.header(IF_MATCH, format!("\"{revision}\"")),
            Condition::NoPolicy => request.header(IF_NONE_MATCH, "*"),
        };
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let unreachable = |error: reqwest::Error| {
            let why = with_causes(&error.without_url());
            Failure::Failed(format!("{}: {why}", self.base))
        };
        self.runtime.block_on(async {
            let mut response = request.send().await.map_err(unreachable)?;
            let status = response.status();
            let mut body = BytesMut::new();
            while let Some(piece) = response.chunk().await.map_err(unreachable)? {
                if body.len() + piece.len() > MAX_ANSWER {
                    let message = format!("{}: the answer has more than {MAX_ANSWER} bytes", self.base);
                    return Err(Failure::Failed(message));
                }
                body.extend_from_slice(&piece);
            }
            let body = body.freeze();
            if status.is_success() { Ok(body) } else { Err(self.refused(status, &body)) }
        })
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        let Ok(ErrorAnswer { error }) = serde_json::from_slice(body) else {
            let hint = match status {
                StatusCode::NOT_FOUND => ": it has no admin API; is `[admin] token_file` set there?",
                _ => "",
            };
            return Failure::Failed(format!("{} answered {status}{hint}", self.base));
        };
        let ErrorDocument { code, message, detail, problems } = error;
        let told = Notice { message: format!("{code}: {message}"), detail };
        if problems.len() < 2 {
            return Failure::Failed(in_lines(&told));
        }
        terminal::error(in_lines(&told));
        for problem in problems.iter().skip(1) {
            terminal::error(format_args!("also: {}", in_lines(problem)));
        }
        Failure::Reported
    }
}

/// The path of something of a bucket's; `rest` begins with a slash.
pub(super) fn path_of(bucket: &str, rest: &str) -> Result<String, Failure> {
    let bucket = BucketName::parse(bucket).map_err(|error| Failure::Usage(Escaped(error.to_string()).to_string()))?;
    Ok(format!("/v1/buckets/{bucket}{rest}"))
}

/// Reads a document of the API's.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::Failed(format!("the answer is not understood: {error}; is the server of another version?"))
    })
}

/// Writes a document as one line of JSON.
pub(super) fn print_json(document: &impl serde::Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(document).map_err(|error| Failure::Failed(error.to_string()))?;
    terminal::print(line);
    Ok(())
}

/// What a server says, fit for a terminal, its detail on a line of its own.
pub(super) fn in_lines(notice: &Notice) -> String {
    match &notice.detail {
        Some(detail) => format!("{}\n  {}", Escaped(&notice.message), Escaped(detail)),
        None => Escaped(&notice.message).to_string(),
    }
}

/// Says what a server warns of.
pub(super) fn warn(warnings: &[Notice]) {
    for warning in warnings {
        terminal::warning(in_lines(warning));
    }
}

/// `http://HOST:PORT` of what was given, without a path.
fn base(url: &str) -> Result<String, String> {
    let wanted = || "is not a URL such as http://127.0.0.1:9001".to_owned();
    let uri: Uri = url.parse().map_err(|_| wanted())?;
    let scheme = uri.scheme().filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme)).ok_or_else(wanted)?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(wanted)?;
    if uri.path().len() > 1 || uri.query().is_some() {
        return Err("has a path: give scheme, host and port alone".to_owned());
    }
    Ok(format!("{scheme}://{authority}"))
}

/// How the listener of a configuration is reached from its own machine.
fn url_of(mut address: SocketAddr) -> Result<String, Failure> {
    if address.port() == 0 {
        return Err(Failure::Usage(
            "the configuration leaves the admin port to the system: give --admin URL".to_owned(),
        ));
    }
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            SocketAddr::V6(_) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        }
    }
    Ok(format!("http://{address}"))
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// The system's own roots for `https`; a plain connection needs none.
fn tls(is_https: bool) -> Result<ClientConfig, Box<dyn std::error::Error>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    let builder =
        if is_https { builder.with_native_roots()? } else { builder.with_root_certificates(RootCertStore::empty()) };
    Ok(builder.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_scheme_host_and_port() {
        for (url, expected) in [
            ("http://127.0.0.1:9001", Some("http://127.0.0.1:9001")),
            ("http://127.0.0.1:9001/", Some("http://127.0.0.1:9001")),
            ("https://[::1]:9001", Some("https://[::1]:9001")),
            ("https://portcullis.internal", Some("https://portcullis.internal")),
            ("127.0.0.1:9001", None),
            ("ftp://127.0.0.1", None),
            ("http://user:secret@host", None),
            ("http://host/v1", None),
            ("http://host/?x", None),
            ("", None),
        ] {
            assert_eq!(base(url).ok().as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_loopback() {
        for (address, expected) in [
            ("0.0.0.0:9001", Some("http://127.0.0.1:9001")),
            ("[::]:9001", Some("http://[::1]:9001")),
            ("10.0.0.1:9001", Some("http://10.0.0.1:9001")),
            ("127.0.0.1:0", None),
        ] {
            assert_eq!(url_of(address.parse().unwrap()).ok().as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (url, expected) in [
            ("http://127.0.0.1:1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:1", true),
            ("http://LocalHost:1", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
