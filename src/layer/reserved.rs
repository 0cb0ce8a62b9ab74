//! The bucket that policies are kept in is nobody's but ours.
//!
//! Whoever reads it knows all policies, and whoever writes it makes them. So no request that names it passes, whoever
//! asks, whatever policies say, and also where nothing is enforced: not as the bucket, nor as the source of a copy, nor in
//! a body that tells a store where else to write. Where a request cannot be read for certain, it is refused for naming it
//! in any way that some store could read.

use std::borrow::Cow;

use http::HeaderMap;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use crate::s3::address::{Address, AddressError, AddressStyle, BucketName};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::operation::Operation;

/// Headers, which may be parameters too, that name an object to take or another path to go. The first two end the names
/// of Amazon's; the others are read by some store or server.
const PATHS: [&str; 9] = [
    "-copy-source",
    "-rename-source",
    "x-copy-from",
    "x-object-manifest",
    "x-symlink-target",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-forwarded-uri",
];

/// Refuses a request whose head names `reserved`.
///
/// # Errors
/// `AccessDenied`.
pub(super) fn check(
    parts: &Parts,
    host: Option<&str>,
    address: Result<&(Address, AddressStyle), &AddressError>,
    reserved: Option<&BucketName>,
) -> Result<(), S3Error> {
    let Some(reserved) = reserved else { return Ok(()) };
    let path = parts.uri.path();
    let is_named = match address {
        Ok((address, style)) => {
            address.bucket().is_some_and(|bucket| is_it(bucket.as_str(), reserved))
                || climbs_to(path, reserved)
                // The store may know base domains that we don't.
                || (*style == AddressStyle::Path && begins_with(host, reserved))
        }
        Err(_) => {
            readings(path).any(|path| segments(&path).any(|segment| is_it(segment, reserved)))
                || begins_with(host, reserved)
        }
    };
    if is_named || names_in_headers(&parts.headers, reserved) || names_in_query(parts.uri.query(), reserved) {
        return Err(ErrorCode::AccessDenied.into());
    }
    Ok(())
}

/// Whether the operation's body may tell the store of another bucket to write to.
pub(super) fn may_name_another(operation: Operation) -> bool {
    use Operation as O;
    matches!(
        operation,
        O::PutBucketAnalyticsConfiguration
            | O::PutBucketInventoryConfiguration
            | O::PutBucketLogging
            | O::PutBucketReplication
            | O::RestoreObject
    )
}

/// The same of a request that may be no operation for certain: whether one of its parameters is of these.
pub(super) fn may_be_such(query: Option<&str>) -> bool {
    const SUBRESOURCES: [&str; 5] = ["analytics", "inventory", "logging", "replication", "restore"];
    query.unwrap_or_default().split(['&', ';']).any(|pair| {
        let name = percent_decode_str(pair.split('=').next().unwrap_or_default()).decode_utf8_lossy();
        SUBRESOURCES.iter().any(|subresource| name.trim().eq_ignore_ascii_case(subresource))
    })
}

/// Refuses such a body that names `reserved`, or could.
///
/// # Errors
/// `AccessDenied`.
pub(super) fn check_body(body: &[u8], reserved: &BucketName) -> Result<(), S3Error> {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    // Letters may be written by their numbers.
    if text.contains(&reserved.as_str().to_ascii_lowercase()) || text.contains("&#") || text.contains("<!") {
        return Err(ErrorCode::AccessDenied.into());
    }
    Ok(())
}

/// Some stores do not tell upper case from lower.
fn is_it(name: &str, reserved: &BucketName) -> bool {
    name.eq_ignore_ascii_case(reserved.as_str())
}

/// Whether the host's first label is the bucket.
fn begins_with(host: Option<&str>, reserved: &BucketName) -> bool {
    let after = |host: &str| {
        let (name, rest) = host.split_at_checked(reserved.as_str().len())?;
        Some(is_it(name, reserved) && rest.starts_with('.'))
    };
    host.and_then(after).unwrap_or(false)
}

/// Whether a path, to somebody who resolves its dots, may lead to the bucket.
fn climbs_to(path: &str, reserved: &BucketName) -> bool {
    // Of nearly all there is nothing to decode and nothing to climb.
    if !path.contains("..") && !path.contains('%') {
        return false;
    }
    readings(path).any(|path| {
        segments(&path).any(|segment| segment == "..") && segments(&path).any(|segment| is_it(segment, reserved))
    })
}

/// Whether a path's bucket is the reserved one.
fn leads_to(path: &str, reserved: &BucketName) -> bool {
    let begins = |path: Cow<'_, str>| segments(&path).next().is_some_and(|segment| is_it(segment, reserved));
    readings(path.trim()).any(begins) || climbs_to(path, reserved)
}

fn names_in_headers(headers: &HeaderMap, reserved: &BucketName) -> bool {
    headers
        .iter()
        .filter(|(name, _)| is_path(name.as_str()))
        .any(|(_, value)| leads_to(&String::from_utf8_lossy(value.as_bytes()), reserved))
}

fn names_in_query(query: Option<&str>, reserved: &BucketName) -> bool {
    query.unwrap_or_default().split(['&', ';']).filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
        let name = percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase();
        is_path(&name) && leads_to(&percent_decode_str(value).decode_utf8_lossy(), reserved)
    })
}

fn is_path(name: &str) -> bool {
    PATHS.iter().any(|path| if path.starts_with('-') { name.ends_with(path) } else { name == *path })
}

/// A text as it is, decoded, and decoded once more.
fn readings(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let once = percent_decode_str(text).decode_utf8_lossy();
    let twice = percent_decode_str(&once).decode_utf8_lossy().into_owned();
    [Cow::Borrowed(text), once, Cow::Owned(twice)].into_iter()
}

/// The segments that are not empty, without what servlets forget.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split(['/', '\\', '?', '#']);
    parts.filter_map(|segment| segment.split([';', '\0']).next()).map(str::trim).filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::s3::address::Domains;

    fn refused(host: &str, target: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::get(target).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let domains = Domains::parse(["s3.example.com"]).unwrap();
        let address = Address::parse(Some(host), parts.uri.path(), &domains);
        let reserved = BucketName::parse("our-policies").unwrap();
        check(&parts, Some(host), address.as_ref(), Some(&reserved)).is_err()
    }

    #[test]
    fn whatever_could_be_read_as_the_bucket_is_refused() {
        let host = "s3.example.com";
        for target in [
            "/our-policies",
            "/our-policies/",
            "/our-policies/prod/buckets/photos",
            "/our%2Dpolicies/x",
            "/OUR-policies/x",
            "//our-policies/x",
            "/%2Four-policies/x",
            "/./our-policies/x",
            "/photos/../our-policies/x",
            "/photos/%2e%2e/our-policies/x",
            "/photos/%252e%252e/our-policies/x",
            "/photos/..;/our-policies/x",
            "/photos/..\\our-policies\\x",
            "/%zz/our-policies",
            "/photos/k?x-amz-copy-source=our-policies/x",
            "/photos/k?X-Amz-Copy-Source=%2Four-policies%2Fx",
            "/photos/k?x-id=CopyObject&x%2Damz-copy-source=%252Four-policies/x",
        ] {
            assert!(refused(host, target, &[]), "{target}");
        }
        for host in ["our-policies.s3.example.com", "Our-Policies.s3.example.com:9000", "our-policies.elsewhere"] {
            assert!(refused(host, "/prod/x", &[]), "{host}");
        }
        for (name, value) in [
            ("x-amz-copy-source", "our-policies/x"),
            ("x-amz-copy-source", "/our-policies/x?versionId=1"),
            ("x-amz-copy-source", " our%2Dpolicies%2Fx"),
            ("x-amz-copy-source", "photos/../our-policies/x"),
            ("x-amz-rename-source", "/our-policies/x"),
            ("x-copy-from", "our-policies/x"),
            ("x-object-manifest", "our-policies/prod"),
            ("x-original-url", "/our-policies/x"),
        ] {
            assert!(refused(host, "/photos/k", &[(name, value)]), "{name}: {value}");
        }
    }

    #[test]
    fn whatever_is_in_another_bucket_is_not() {
        for (host, target) in [
            ("s3.example.com", "/"),
            ("s3.example.com", "/photos/our-policies"),
            ("s3.example.com", "/photos/our-policies/x?prefix=our-policies/"),
            ("s3.example.com", "/our-policies-2/x"),
            ("s3.example.com", "/photos/a..b/our-policies"),
            ("photos.s3.example.com", "/our-policies/x"),
            ("our-policies-2.s3.example.com", "/x"),
        ] {
            let source = [("x-amz-copy-source", "photos/our-policies"), ("user-agent", "our-policies/1")];
            assert!(!refused(host, target, &source), "{host} {target}");
        }
    }

    #[test]
    fn a_body_that_names_it_is_refused() {
        let reserved = BucketName::parse("our-policies").unwrap();
        for (body, is_refused) in [
            ("<BucketLoggingStatus><TargetBucket>logs</TargetBucket></BucketLoggingStatus>", false),
            ("<TargetBucket>our-policies</TargetBucket>", true),
            ("<Bucket>arn:aws:s3:::Our-Policies</Bucket>", true),
            ("<Bucket>&#111;ur-policies</Bucket>", true),
            ("<Bucket><![CDATA[our-]]>policies</Bucket>", true),
        ] {
            assert_eq!(check_body(body.as_bytes(), &reserved).is_err(), is_refused, "{body}");
        }
    }
}
