//! Requests: what is an operation satisfies its binding, in both addressing styles alike; what it needs, told from any
//! body, is on the bucket that is addressed or on the source of a copy.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use portcullis::s3::action_map::{Access, AccessSubject, Head, Requirement, needs_body, requirements};
use portcullis::s3::address::{Address, Domains};
use portcullis::s3::copy_source::CopySource;
use portcullis::s3::hoisted::effective_headers;
use portcullis::s3::operation::{Operation, Query, classify};

const METHODS: [&str; 8] = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "get"];
const HEADERS: [&str; 16] = [
    "x-amz-copy-source",
    "content-type",
    "authorization",
    "origin",
    "access-control-request-method",
    "x-amz-acl",
    "x-amz-grant-read",
    "x-amz-tagging",
    "x-amz-tagging-directive",
    "x-amz-bypass-governance-retention",
    "x-amz-bucket-object-lock-enabled",
    "if-match",
    "x-amz-request-route",
    "x-amz-request-token",
    "x-amz-object-lock-mode",
    "x-http-method-override",
];

fuzz_target!(|input: (u8, &str, &str, Vec<(u8, &[u8])>, &[u8])| {
    let (method, key, raw_query, sent, body) = input;
    let method: Method = METHODS[usize::from(method) % METHODS.len()].parse().expect("a method");
    let domains = Domains::parse(["s3.example.com"]).expect("a host name");
    let Ok((address, _)) = Address::parse(None, &format!("/photos/{key}"), &domains) else { return };
    let hosted = Address::parse(Some("photos.s3.example.com"), &format!("/{key}"), &domains);
    assert_eq!(hosted.map(|(hosted, _)| hosted), Ok(address.clone()), "{key}");

    let Ok(query) = Query::parse(Some(raw_query)) else { return };
    let mut headers = HeaderMap::new();
    for (name, value) in sent {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(HEADERS[usize::from(name) % HEADERS.len()]), value);
        }
    }
    let Ok(headers) = effective_headers(&headers, &query) else { return };
    let operation = match classify(&method, &address, &query, &headers) {
        Ok(operation) => operation,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(operation.fits(&method, &address, &query, &headers), "{operation}");
    assert_eq!(operation == Operation::CorsPreflight, method == Method::OPTIONS, "{operation}");

    let head = Head { address: &address, query: &query, headers: &headers };
    if !needs_body(operation) {
        assert_eq!(requirements(operation, head, None), requirements(operation, head, Some(body)), "{operation}");
    }
    let Ok(needed) = requirements(operation, head, Some(body)) else { return };
    let bucket = address.bucket().expect("a bucket is addressed").arn();
    let source = headers.get("x-amz-copy-source").and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let source = source.and_then(|value| CopySource::parse(value.trim_ascii()).ok());
    let source = source.map(|source| format!("{}/{}", source.bucket.arn(), source.key));
    let check = |Access { action, subject, resource }: &Access| {
        let behind = resource.strip_prefix(&bucket);
        let fits = match subject {
            AccessSubject::Service => false,
            AccessSubject::Bucket => behind == Some(""),
            AccessSubject::Object => behind.is_some_and(|rest| rest.starts_with('/')),
            AccessSubject::Source => Some(resource) == source.as_ref(),
        };
        assert!(fits, "{operation}: {action} on {resource}, {subject:?}");
    };
    for requirement in &needed {
        match requirement {
            Requirement::Access(access) | Requirement::AccessIf(_, access) => check(access),
            Requirement::Entry(_, all) => {
                assert!(!all.is_empty() && operation == Operation::DeleteObjects);
                all.iter().for_each(check);
            }
            Requirement::Foreign(_) => assert_eq!(needed.len(), 1, "{operation}"),
        }
    }
    assert_eq!(needed.is_empty(), operation == Operation::CorsPreflight, "{operation}");
});
