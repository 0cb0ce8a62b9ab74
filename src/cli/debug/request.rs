//! Which request does a line tell of?

use std::borrow::Cow;

use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use portcullis::s3::action_map::{Head, Requirement, requirements};
use portcullis::s3::address::{Address, Domains, authority_of};
use portcullis::s3::error::{ErrorCode, S3Error};
use portcullis::s3::hoisted::effective_headers;
use portcullis::s3::operation::{Operation, Query, classify};
use serde_json::value::RawValue;

use crate::cli::fields::{Fields, expected, list, text};
use crate::cli::terminal::Shown;

const FIELDS: [&str; 6] = ["id", "method", "target", "host", "headers", "body"];

/// What was read from a line.
#[derive(Debug)]
pub(super) struct Line<'l> {
    /// As it is written; none where it is absent or cannot be read.
    pub(super) id: Option<&'l RawValue>,
    /// Fields that mean nothing here.
    pub(super) unknown: Vec<String>,
    /// The request, or why the line tells of none.
    pub(super) request: Result<Described<'l>, String>,
}

/// A request as a line describes it: it may be one that no server takes.
#[derive(Debug)]
pub(super) struct Described<'l> {
    method: Cow<'l, str>,
    target: Cow<'l, str>,
    host: Option<Cow<'l, str>>,
    headers: Vec<(String, Cow<'l, str>)>,
    body: Cow<'l, str>,
}

/// What a request is and needs.
#[derive(Debug)]
pub(super) struct Classified {
    pub(super) operation: Operation,
    pub(super) address: Address,
    pub(super) requirements: Vec<Requirement>,
}

/// Reads a line; none where it is blank.
pub(super) fn read(bytes: &[u8]) -> Option<Line<'_>> {
    if bytes.trim_ascii().is_empty() {
        return None;
    }
    let unreadable = |problem| Line { id: None, unknown: Vec::new(), request: Err(problem) };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Some(unreadable(format!("not UTF-8 (column {})", error.valid_up_to() + 1))),
    };
    Some(match Fields::parse(text) {
        Ok(fields) => {
            let names = fields.iter().map(|(name, _)| name);
            let unknown = names.filter(|name| !FIELDS.contains(name)).map(str::to_owned).collect();
            Line { id: fields.get("id"), unknown, request: described(&fields) }
        }
        Err(problem) => unreadable(format!("not a JSON object: {problem}")),
    })
}

fn described<'l>(fields: &Fields<'l>) -> Result<Described<'l>, String> {
    fields.distinct()?;
    Ok(Described {
        method: fields.text("method")?.ok_or("there is no `method`")?,
        target: fields.text("target")?.ok_or("there is no `target`")?,
        host: fields.text("host")?,
        headers: headers(fields)?,
        body: fields.text("body")?.unwrap_or_default(),
    })
}

fn headers<'l>(fields: &Fields<'l>) -> Result<Vec<(String, Cow<'l, str>)>, String> {
    let Some(given) = fields.object("headers")? else { return Ok(Vec::new()) };
    let mut headers = Vec::new();
    for (name, value) in given.iter() {
        let told = |problem: String| format!("`headers`: `{}`: {problem}", Shown(name));
        let values = match text(value) {
            Ok(value) => vec![value],
            Err(_) => {
                let values = list(value).map_err(|_| told(expected("a string or a list of strings", value)))?;
                values.into_iter().map(text).collect::<Result<_, _>>().map_err(told)?
            }
        };
        headers.extend(values.into_iter().map(|value| (name.to_owned(), value)));
    }
    Ok(headers)
}

impl Described<'_> {
    /// What the request is, read as the server and the Layer read it; or what it is answered.
    pub(super) fn classify(&self, domains: &Domains) -> Result<Classified, S3Error> {
        let (parts, ()) = self.request()?.into_parts();
        let (address, _) = Address::parse(authority_of(&parts)?, parts.uri.path(), domains)?;
        let query = Query::parse(parts.uri.query())?;
        let headers = effective_headers(&parts.headers, &query)?;
        let operation = classify(&parts.method, &address, &query, &headers)?;
        let head = Head { address: &address, query: &query, headers: &headers };
        let requirements = requirements(operation, head, Some(self.body.as_bytes()))?;
        Ok(Classified { operation, address, requirements })
    }

    /// The head that a server would make of it.
    fn request(&self) -> Result<Request<()>, S3Error> {
        // No server takes these; its answer has no body, and the status is the same.
        let refuse = || S3Error::new(ErrorCode::InvalidRequest);
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| refuse())?;
        let uri = self.target.parse::<Uri>().map_err(|_| ErrorCode::InvalidURI)?;
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let host = self.host.as_deref().map(|host| (HOST.as_str(), host));
        // A `Host` among the headers may be the same one, told twice.
        let is_host =
            |name: &str, value: &str| name.eq_ignore_ascii_case("host") && self.host.as_deref() == Some(value);
        let others = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref()));
        for (name, value) in host.into_iter().chain(others.filter(|(name, value)| !is_host(name, value))) {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse())?;
            let value = HeaderValue::from_bytes(value.trim_matches([' ', '\t']).as_bytes()).map_err(|_| refuse())?;
            request.headers_mut().append(name, value);
        }
        Ok(request)
    }
}
