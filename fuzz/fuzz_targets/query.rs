//! Queries: what parses has no empty parts that count, chooses one operation, and what a presigned URL carries for a
//! header is there as one, with no header lost or changed.

#![no_main]

use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use portcullis::s3::address::{Address, Domains};
use portcullis::s3::hoisted::effective_headers;
use portcullis::s3::operation::{Operation, Query, classify};

fuzz_target!(|input: (u8, &str, &[u8])| {
    let (choice, raw, value) = input;
    let Ok(query) = Query::parse(Some(raw)) else { return };
    assert_eq!(query.iter().count(), raw.split('&').filter(|part| !part.is_empty()).count(), "{raw}");
    assert_eq!(query.iter().map(|(name, _)| name).collect::<Vec<_>>(), query.names().collect::<Vec<_>>());

    let path = if choice & 1 == 0 { "/photos" } else { "/photos/key" };
    let (address, _) = Address::parse(None, path, &Domains::default()).expect("a bucket or an object");
    let method = match choice >> 1 & 3 {
        0 => Method::PUT,
        1 => Method::GET,
        2 => Method::DELETE,
        _ => Method::POST,
    };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert("x-amz-acl", value);
    }
    // Which operation it is, the target `operation` asks; here only that `?policy` is never overlooked.
    let names_policy = query.names().any(|name| name == "policy");
    if let Ok(operation) = classify(&method, &address, &query, &headers) {
        use Operation::{DeleteBucketPolicy, GetBucketPolicy, PutBucketPolicy};
        let on_policy = matches!(operation, PutBucketPolicy | GetBucketPolicy | DeleteBucketPolicy);
        assert_eq!(on_policy, names_policy, "{raw}: {operation}");
    }

    let Ok(all) = effective_headers(&headers, &query) else { return };
    for (name, value) in &headers {
        assert_eq!(all.get_all(name).iter().collect::<Vec<_>>(), [value], "{raw}");
    }
    for (name, value) in all.as_ref() {
        let hoisted =
            query.iter().any(|(n, v)| n.eq_ignore_ascii_case(name.as_str()) && v.as_bytes() == value.as_bytes());
        assert!(headers.contains_key(name) || hoisted, "{raw}: {name}");
    }
});
