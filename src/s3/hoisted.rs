//! Which headers does a request have, counting those its presigned URL carries?
//!
//! A presigned request may carry any `x-amz-*` header as a query parameter of that name, in any case: some SDKs move
//! (hoist) them there when they sign, and S3 takes them as if they were headers.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::{ErrorCode, S3Error};
use super::operation::Query;

/// The parameters that are the signature itself, in lower case.
const SIGNATURE: [&str; 7] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// The request's headers, and the `x-amz-*` parameters of a presigned URL beside them.
///
/// # Errors
/// `InvalidArgument` where a header and a parameter of its name disagree, or the parameter's value can't be a header's:
/// choosing one would be a guess.
pub fn effective_headers<'a>(headers: &'a HeaderMap, query: &Query<'_>) -> Result<Cow<'a, HeaderMap>, S3Error> {
    // Signature V2's own parameters have a case.
    let presigned = |name: &str| name.eq_ignore_ascii_case("x-amz-signature") || name == "Signature";
    if !query.names().any(presigned) {
        return Ok(Cow::Borrowed(headers));
    }
    let mut all = headers.clone();
    for (name, value) in query.iter() {
        let lower = name.to_ascii_lowercase();
        if !lower.starts_with("x-amz-") || SIGNATURE.contains(&lower.as_str()) {
            continue;
        }
        let disagree = || {
            S3Error::new(ErrorCode::InvalidArgument)
                .with_message("A header and a query string parameter of the same name do not agree.")
                .with_field("ArgumentName", name)
                .with_field("ArgumentValue", value)
        };
        let name = HeaderName::from_bytes(lower.as_bytes()).map_err(|_| disagree())?;
        let value = HeaderValue::from_str(value).map_err(|_| disagree())?;
        if all.get_all(&name).iter().any(|present| *present != value) {
            return Err(disagree());
        }
        all.insert(name, value);
    }
    Ok(Cow::Owned(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effective(headers: &[(&'static str, &'static str)], query: &str) -> Result<Vec<String>, S3Error> {
        let headers = headers.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
        let all = effective_headers(&headers, &Query::parse(Some(query)).unwrap())?;
        let mut lines: Vec<String> = all.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        lines.sort();
        Ok(lines)
    }

    #[test]
    fn parameters_of_a_presigned_url_count_as_headers() {
        let signed = "X-Amz-Signature=0&X-Amz-Date=1&X-Amz-Expected-Bucket-Owner=111122223333&policy";
        assert_eq!(effective(&[], signed).unwrap(), ["x-amz-expected-bucket-owner: 111122223333"]);
        let v2 = "AWSAccessKeyId=a&Signature=b&Expires=1&x-amz-acl=private";
        assert_eq!(effective(&[], v2).unwrap(), ["x-amz-acl: private"]);
        let same = effective(&[("x-amz-expected-bucket-owner", "111122223333")], signed).unwrap();
        assert_eq!(same, ["x-amz-expected-bucket-owner: 111122223333"]);
    }

    #[test]
    fn parameters_of_any_other_request_do_not() {
        assert!(effective(&[], "x-amz-expected-bucket-owner=1").unwrap().is_empty());
    }

    #[test]
    fn a_disagreement_is_refused() {
        let signed = "X-Amz-Signature=0&x-amz-expected-bucket-owner=111122223333";
        let error = effective(&[("x-amz-expected-bucket-owner", "444455556666")], signed).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        let twice = "X-Amz-Signature=0&x-amz-acl=private&X-Amz-Acl=public-read";
        assert_eq!(effective(&[], twice).unwrap_err().code(), ErrorCode::InvalidArgument);
    }
}
