//! The section `[trace]`: which collector is told of requests, and of how many.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use super::settings::{Ratio, TraceSettings};
use super::upstream::{authorities, parse_http};
use crate::toml_reader::{Secret, Table, Zero};

/// Where collectors take spans over HTTP, by OpenTelemetry's protocol.
const PATH: &str = "/v1/traces";

/// Reads the section; none where no collector is named.
pub(super) fn read(mut table: Table<'_, '_>) -> Option<TraceSettings> {
    let value = table.take("otlp_endpoint").filter(|value| !value.is_text(""));
    let endpoint = value.as_ref().and_then(|value| value.parse(parse_endpoint));
    let is_https = endpoint.as_ref().map(|uri| uri.scheme_str() == Some("https"));
    let authorities = authorities(&mut table, is_https);
    let service_name = table.take("service_name").and_then(|value| value.parse(service_name));
    let sample_ratio = table.take("sample_ratio").and_then(|value| value.ratio()).and_then(Ratio::new);
    let timeout = table.duration("timeout", Zero::Refused, Duration::from_secs(10));
    let headers = match table.secret("headers", "headers_env", "headers_file") {
        Secret::Given(text) => match parse_headers(text.expose()) {
            Ok(headers) => headers,
            Err(message) => {
                table.problem("headers", message);
                Vec::new()
            }
        },
        Secret::Absent | Secret::Refused => Vec::new(),
    };
    if let Some(value) = &value
        && !cfg!(feature = "otlp")
    {
        value.problem("this build has no OpenTelemetry: build with `--features otlp`, or take the key out");
    }
    if let (Some(value), Some(4317)) = (&value, endpoint.as_ref().and_then(Uri::port_u16)) {
        value.warning("4317 is where collectors speak gRPC; over HTTP, which is spoken here, they listen on 4318");
    }
    if value.is_none() && !headers.is_empty() {
        table.warning("headers", "has no effect, since there is no `trace.otlp_endpoint`");
    }
    if is_https == Some(false) && !headers.is_empty() {
        table.warning("headers", "goes over the network as it is, since `trace.otlp_endpoint` is `http`");
    }
    table.finish();
    Some(TraceSettings {
        endpoint: endpoint?,
        authorities,
        headers,
        service_name: service_name.unwrap_or_else(|| "portcullis".to_owned()),
        sample_ratio: sample_ratio.unwrap_or_default(),
        timeout,
    })
}

/// A collector's URL, with the path for spans behind it where it has not.
fn parse_endpoint(text: &str) -> Result<Uri, String> {
    // What stands before an `@` may be a password, and in a query a key.
    let quoted = if text.contains(['@', '?', '#']) { String::new() } else { format!("`{text}` ") };
    let wrong = |what: &str| format!("{quoted}{what}: write it as `http://HOST:4318`");
    let uri = parse_http(text).map_err(wrong)?;
    if uri.query().is_some() || text.contains('#') {
        return Err(wrong("has a query or a fragment"));
    }
    let text = text.trim_end_matches('/');
    let path = if text.ends_with(PATH) { "" } else { PATH };
    format!("{text}{path}").parse().map_err(|_| wrong("is not a URL"))
}

fn service_name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// Reads `NAME=VALUE,NAME=VALUE`, values percent-encoded, as OpenTelemetry has it in its environment variables. What is wrong
/// is not quoted, since it may be a secret.
fn parse_headers(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, &'static str> {
    let header = |entry: &str| {
        let (name, value) = entry.split_once('=').ok_or("has an entry that is no `NAME=VALUE`")?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| "has a name that no header can have")?;
        let value: Vec<u8> = percent_decode_str(value.trim()).collect();
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| "has a value that no header can have")?;
        value.set_sensitive(true);
        Ok((name, value))
    };
    text.split(',').filter(|entry| !entry.trim().is_empty()).map(header).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    /// The problems of a `[trace]` section, one a line, or its warnings where it has none.
    fn said(section: &str) -> String {
        let text = format!("[trace]\n{section}\n[upstream]\nendpoint = \"embedded:data\"\n");
        let env = |name: &str| (name == "HEADERS").then(|| "no header".to_owned());
        match config::parse(&text, "proxy.toml", Path::new(""), &env) {
            Ok(loaded) => loaded.warnings.iter().map(|warning| format!("{warning}\n")).collect(),
            Err(invalid) => invalid.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_key_and_value() {
        for (section, expected) in [
            ("sample_ratio = 1.5", "proxy.toml:2:16: `trace.sample_ratio`: `1.5` is not a number from 0 to 1"),
            ("sample_ratio = nan", "proxy.toml:2:16: `trace.sample_ratio`: `nan` is not a number from 0 to 1"),
            ("sample_ratio = \"1\"", "proxy.toml:2:16: `trace.sample_ratio`: expected a number, found a string"),
            ("service_name = \" \"", "proxy.toml:2:16: `trace.service_name`: is empty"),
            ("timeout = \"0s\"", "proxy.toml:2:11: `trace.timeout`: must be more than zero"),
            ("headers_env = \"HEADERS\"", "proxy.toml:1:1: `trace.headers`: has an entry that is no `NAME=VALUE`"),
            (
                "otlp_endpoint = \"collector\"\nsample_ratio = 0.5",
                "proxy.toml:2:17: `trace.otlp_endpoint`: `collector` is not a URL: write it as `http://HOST:4318`",
            ),
        ] {
            assert_eq!(said(section).lines().next(), Some(expected), "{section}");
        }
        let warned = "`trace.headers`: has no effect, since there is no `trace.otlp_endpoint`";
        assert!(said("headers = \"a=b\"").contains(warned));
        assert!(!said("otlp_endpoint = \"\"\nsample_ratio = 0\nservice_name = \"gate\"").contains("trace"));
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn what_may_not_be_meant_is_warned_of() {
        let warned = said("otlp_endpoint = \"http://collector:4317\"\nheaders = \"a=b\"");
        assert!(warned.contains("`trace.otlp_endpoint`: 4317 is where collectors speak gRPC"), "{warned}");
        assert!(warned.contains("`trace.headers`: goes over the network as it is"), "{warned}");
    }

    #[cfg(not(feature = "otlp"))]
    #[test]
    fn a_build_without_it_says_how_to_build_one_with_it() {
        let expected = "proxy.toml:2:17: `trace.otlp_endpoint`: this build has no OpenTelemetry: build with `--features otlp`, \
                        or take the key out";
        assert_eq!(said("otlp_endpoint = \"http://collector:4318\"").trim_end(), expected);
    }

    #[test]
    fn a_collector_is_told_where_it_takes_spans() {
        for (text, expected) in [
            ("http://collector:4318", Ok("http://collector:4318/v1/traces")),
            ("http://collector:4318/", Ok("http://collector:4318/v1/traces")),
            ("https://[::1]/otlp/", Ok("https://[::1]/otlp/v1/traces")),
            ("http://collector:4318/v1/traces", Ok("http://collector:4318/v1/traces")),
            ("http://collector:4318/v1/traces/", Ok("http://collector:4318/v1/traces")),
            ("collector:4318", Err("is not a URL")),
            ("", Err("is not a URL")),
            ("grpc://collector:4317", Err("is neither `http` nor `https`")),
            ("http://me:secret@collector:4318", Err("has a user name in it")),
            ("http://collector:none", Err("has no host, or a port that is none")),
            ("http://collector:4318?api_key=secret", Err("has a query or a fragment")),
            ("http://collector:4318/#secret", Err("has a query or a fragment")),
        ] {
            let quoted = if text.contains("secret") { String::new() } else { format!("`{text}` ") };
            let wrong = |what| format!("{quoted}{what}: write it as `http://HOST:4318`");
            let expected = expected.map(str::to_owned).map_err(wrong);
            assert_eq!(parse_endpoint(text).map(|uri| uri.to_string()), expected, "{text}");
        }
    }

    #[test]
    fn headers_are_read_as_opentelemetry_writes_them() {
        let read = |text| {
            let headers = parse_headers(text)?;
            Ok(headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect::<Vec<_>>())
        };
        for (text, expected) in [
            ("authorization=Bearer%20abc=", Ok(&["authorization: Bearer abc="][..])),
            (" X-Scope-OrgID = a , x-b=c%2Cd,", Ok(&["x-scope-orgid: a", "x-b: c,d"])),
            ("", Ok(&[])),
            ("authorization", Err("has an entry that is no `NAME=VALUE`")),
            ("a b=c", Err("has a name that no header can have")),
            ("a=%0A", Err("has a value that no header can have")),
        ] {
            let expected = expected.map(|headers| headers.iter().map(ToString::to_string).collect());
            assert_eq!(read(text), expected, "{text}");
        }
        assert!(!format!("{:?}", parse_headers("authorization=secret")).contains("secret"));
    }
}
