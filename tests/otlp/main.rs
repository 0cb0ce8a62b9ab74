//! What a collector of traces is told, by the program as it is installed, over the wire: OTLP over HTTP, in protobuf.
//!
//! - `told`: spans, and what they say; and what they never say.
//! - `passed_on`: which trace the store is told that a request belongs to.
//! - `away`: a collector that is not there, or does not answer, is nobody's problem.
//!
//! `collector.rs` is a collector that keeps what it gets, for tests to look at.

#![cfg(feature = "otlp")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do; clippy excuses only what is inside a `#[test]`"
)]

mod away;
mod collector;
mod passed_on;
#[path = "../operating/store.rs"]
#[allow(dead_code, reason = "more of it is used elsewhere")]
mod store;
#[path = "../operating/support.rs"]
#[allow(dead_code, reason = "more of it is used elsewhere")]
mod support;
mod told;

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;

use self::collector::Collector;
use self::store::Store;
use self::support::Proxy;

/// The trace that requests of these tests are a part of.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// The span in it that they came from.
const CALLER: &str = "00f067aa0ba902b7";

/// `traceparent` of a request in [`TRACE`], of which a sample is taken.
fn traceparent() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

/// A proxy before `store` that tells `collector`, with this in `[trace]`.
fn proxy(store: &Store, collector: &Collector, auth: &str, trace: &str) -> Proxy {
    proxy_at(&store.url(), &format!("http://{}", collector.address), auth, trace)
}

fn proxy_at(store: &str, collector: &str, auth: &str, trace: &str) -> Proxy {
    Proxy::start(
        "",
        &format!(
            "[upstream]\nendpoint = \"{store}\"\nauth = \"{auth}\"\naccess_key_id = \"OURS\"\nsecret_access_key = \"ours\"\n\
             [trace]\notlp_endpoint = \"{collector}\"\n{trace}"
        ),
    )
}

/// A `GET` that `ROOT` signs, in its header or as a link, these headers with it: `host` too, where it is another.
fn signed_get(target: &str, location: SignatureLocation, headers: &[(&str, &str)]) -> String {
    let identity = Credentials::new("ROOT", "ROOT-secret", None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.signature_location = location;
    let body = match location {
        SignatureLocation::QueryParams => {
            settings.expires_in = Some(Duration::from_secs(600));
            SignableBody::UnsignedPayload
        }
        _ => {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            SignableBody::Bytes(b"")
        }
    };
    let builder = v4::SigningParams::builder().identity(&identity).region("us-east-1").name("s3");
    let params = builder.time(SystemTime::now()).settings(settings).build().unwrap().into();
    let host = headers.iter().find(|(name, _)| *name == "host");
    let default = [("host", "s3.localhost")];
    let url = format!("http://{}{target}", host.map_or("s3.localhost", |(_, host)| host));
    let all = || default.iter().filter(|_| host.is_none()).chain(headers).copied();
    let signable = SignableRequest::new("GET", &url, all(), body).unwrap();
    let (added, parameters) = sign(signable, &params).unwrap().into_parts().0.into_parts();
    let parameters: Vec<_> = parameters
        .iter()
        .map(|(name, value)| {
            format!("{name}={}", percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC))
        })
        .collect();
    let target = match (parameters.is_empty(), target.contains('?')) {
        (true, _) => target.to_owned(),
        (false, true) => format!("{target}&{}", parameters.join("&")),
        (false, false) => format!("{target}?{}", parameters.join("&")),
    };
    let head = format!("GET {target} HTTP/1.1\r\n");
    let head = all().fold(head, |head, (name, value)| format!("{head}{name}: {value}\r\n"));
    added.iter().fold(head, |head, header| head + header.name() + ": " + header.value() + "\r\n") + "\r\n"
}

/// The same request with these headers, which nobody signs.
fn with(request: &str, headers: &[(&str, &str)]) -> String {
    let (line, rest) = request.split_once("\r\n").unwrap();
    headers.iter().fold(format!("{line}\r\n"), |head, (name, value)| format!("{head}{name}: {value}\r\n")) + rest
}
