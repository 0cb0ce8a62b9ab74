//! Amazon's worked examples, and everything that is wrong with a claim.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::*;
use crate::auth::identity::Identity;
use crate::s3::error::S3Error;

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const REGION: &str = "us-east-1";
type Headers<'a> = &'a [(&'a str, &'a str)];
/// Headers to replace, or with `None` to take away.
type Changes<'a> = &'a [(&'a str, Option<&'a str>)];

/// 24 May 2013, midnight.
const SIGNED_AT: u64 = 1_369_353_600;

fn credential(token: Option<&str>) -> Credential {
    Credential {
        access_key_id: AccessKeyId::new(KEY),
        secret: SecretKey::new(SECRET),
        session_token: token.map(SecretKey::new),
        identity: Arc::new(Identity::anonymous()),
    }
}

fn at(offset: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(SIGNED_AT.checked_add_signed(offset).unwrap())
}

fn request(method: &str, uri: &str, headers: Headers<'_>) -> Parts {
    let mut request = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn verify_at(parts: &Parts, credential: &Credential, now: SystemTime) -> Result<Verified, AuthError> {
    let presented = Presented::parse(parts)?.expect("the request carries credentials");
    presented.verify(parts, credential, now, REGION, &SigningKeys::new())
}

fn verify(parts: &Parts) -> Result<Verified, AuthError> {
    verify_at(parts, &credential(None), at(0))
}

fn authorization(signed_headers: &str, signature: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed_headers},Signature={signature}"
    )
}

/// "GET Object", the first example of <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
fn get_object(changes: Changes<'_>) -> Parts {
    let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    let authorization = authorization("host;range;x-amz-content-sha256;x-amz-date", signature);
    let mut headers = vec![
        ("host", "examplebucket.s3.amazonaws.com"),
        ("authorization", authorization.as_str()),
        ("range", "bytes=0-9"),
        ("x-amz-content-sha256", EMPTY),
        ("x-amz-date", "20130524T000000Z"),
    ];
    for (name, value) in changes {
        headers.retain(|(n, _)| n != name);
        headers.extend(value.map(|value| (*name, value)));
    }
    request("GET", "/test.txt", &headers)
}

#[test]
fn amazons_header_examples_verify() {
    let host = ("host", "examplebucket.s3.amazonaws.com");
    let (hash, date) = (("x-amz-content-sha256", EMPTY), ("x-amz-date", "20130524T000000Z"));
    let put_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    let put = [
        host,
        ("date", "Fri, 24 May 2013 00:00:00 GMT"),
        ("x-amz-content-sha256", put_hash),
        date,
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    ];
    let get = [host, hash, date];
    let signed = "host;x-amz-content-sha256;x-amz-date";
    let rows: [(&str, &str, Headers, &str, &str); 3] = [
        (
            "PUT",
            "/test%24file.text",
            &put,
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        ("GET", "/?lifecycle", &get, signed, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            "GET",
            "/?max-keys=2&prefix=J",
            &get,
            signed,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ];
    verify(&get_object(&[])).unwrap();
    for (method, uri, headers, signed, signature) in rows {
        let authorization = authorization(signed, signature);
        let headers = [headers, &[("authorization", authorization.as_str())]].concat();
        verify(&request(method, uri, &headers)).unwrap_or_else(|e| panic!("{method} {uri}: {e}"));
    }
}

/// The example of <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>.
const PRESIGNED: &str = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
    &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
    &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
    &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

fn presigned(uri: &str) -> Parts {
    request("GET", uri, &[("host", "examplebucket.s3.amazonaws.com")])
}

#[test]
fn amazons_presigned_example_verifies() {
    let verified = verify(&presigned(PRESIGNED)).unwrap();
    assert_eq!(verified.payload(), PayloadMode::Unsigned);
    assert_eq!(verified.timestamp().as_str(), "20130524T000000Z");
    let http2 = request("GET", &format!("https://examplebucket.s3.amazonaws.com{PRESIGNED}"), &[]);
    verify(&http2).expect("the authority of HTTP/2 stands in for the Host header");
}

/// The examples of <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html> and
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>: 64 KiB and 1 KiB of `a`.
fn streaming(trailer: bool) -> Verified {
    let mut headers = vec![
        ("host", "s3.amazonaws.com"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
    ];
    let authorization = if trailer {
        headers.push(("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"));
        headers.push(("x-amz-trailer", "x-amz-checksum-crc32c"));
        authorization(
            "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;\
             x-amz-trailer",
            "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        )
    } else {
        headers.push(("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"));
        headers.push(("content-length", "66824"));
        authorization(
            "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
             x-amz-storage-class",
            "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        )
    };
    headers.push(("authorization", &authorization));
    verify(&request("PUT", "/examplebucket/chunkObject.txt", &headers)).unwrap()
}

fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

#[test]
fn amazons_chunked_example_verifies_chunk_by_chunk() {
    let verified = streaming(false);
    assert_eq!(verified.payload(), PayloadMode::StreamingSigned { trailer: false });
    let mut chunks = verified.chunk_verifier();
    let rows = [
        (65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (1_024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ];
    for (length, signature) in rows {
        let refused = chunks.chunk(sha256(&vec![b'b'; length + 1]), signature);
        assert_eq!(refused, Err(AuthError::ChunkSignature), "{length}");
        chunks.chunk(sha256(&vec![b'a'; length]), signature).unwrap_or_else(|e| panic!("{length}: {e}"));
    }
}

#[test]
fn amazons_trailer_example_verifies_to_the_trailer() {
    let verified = streaming(true);
    assert_eq!(verified.payload(), PayloadMode::StreamingSigned { trailer: true });
    let mut chunks = verified.chunk_verifier();
    let rows = [
        (65_536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
        (1_024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
        (0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
    ];
    for (length, signature) in rows {
        chunks.chunk(sha256(&vec![b'a'; length]), signature).unwrap_or_else(|e| panic!("{length}: {e}"));
    }
    let signature = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";
    let refused = chunks.trailer(b"x-amz-checksum-crc32c:AAAAAA==\n", signature);
    assert_eq!(refused, Err(AuthError::ChunkSignature));
    chunks.trailer(b"x-amz-checksum-crc32c:sOO8/Q==\n", signature).unwrap();
}

#[test]
fn chunks_cannot_change_places() {
    let mut chunks = streaming(false).chunk_verifier();
    let second = "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497";
    assert!(chunks.chunk(sha256(&[b'a'; 1024]), second).is_err());
}

#[test]
fn requests_without_credentials_are_anonymous() {
    let rows: [(&str, Headers); 5] = [
        ("/b?policy", &[]),
        ("/b?policy", &[("x-amz-date", "20130524T000000Z"), ("x-amz-content-sha256", EMPTY)]),
        // As on S3: an empty header, and parameters without the one that names the algorithm.
        ("/b?policy", &[("authorization", "")]),
        ("/b?X-Amz-Signature=00&X-Amz-Credential=x", &[]),
        ("/b?AWSAccessKeyId=AKID&Expires=1", &[]),
    ];
    for (uri, headers) in rows {
        assert!(Presented::parse(&request("GET", uri, headers)).unwrap().is_none(), "{uri} {headers:?}");
    }
}

/// Checks what a request is answered, by code, status and message.
fn assert_refused(parts: &Parts, code: &str, status: u16, message: &str, row: &str) {
    let error = S3Error::from(verify(parts).map(drop).expect_err(row));
    let answer = (error.code().name(), error.status().as_u16(), error.message());
    assert_eq!(answer, (code, status, message), "{row}");
    let secret = error.fields().iter().any(|(_, value)| value.contains("hunter2"));
    assert!(!secret && !error.to_string().contains("hunter2"), "{row}: {error:?}");
}

const MALFORMED: &str = "The authorization header is malformed; ";

#[test]
fn malformed_headers_are_told_which_part_is_wrong() {
    let valid = authorization("host;range;x-amz-content-sha256;x-amz-date", "00");
    let with = |from: &str, to: &str| valid.replace(from, to);
    let format = "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".";
    let three = "the authorization header requires three components: Credential, SignedHeaders, and Signature.";
    let rows = [
        (with(&format!("Credential={KEY}"), "Credential=a/b"), format),
        (with("/aws4_request", ""), format),
        (with(KEY, ""), "a non-empty Access Key (AKID) must be provided in the credential."),
        (
            with("20130524", "2013052"),
            "incorrect date format \"2013052\". This date in the credential must be in the format \"yyyyMMdd\".",
        ),
        (
            with("20130524", "20130532"),
            "incorrect date format \"20130532\". This date in the credential must be in the format \"yyyyMMdd\".",
        ),
        (with("20130524", "20130525"), "Invalid credential date. Date is not the same as X-Amz-Date."),
        (with("us-east-1", ""), "a non-empty region must be provided in the credential."),
        (with("us-east-1", "eu-west-1"), "the region 'eu-west-1' is wrong; expecting 'us-east-1'"),
        (with("/s3/", "/ec2/"), "incorrect service \"ec2\". This endpoint belongs to \"s3\"."),
        (
            with("aws4_request", "aws5_request"),
            "incorrect terminal \"aws5_request\". This endpoint uses \"aws4_request\".",
        ),
        (with(",Signature=00", ""), three),
        (with(",Signature=00", ",Signature=00,"), "the authorization component \"\" is malformed."),
        (with("Signature=00", "Signature=00,Signature=00"), "the authorization component \"Signature\" is malformed."),
        (with("Signature=00", "Sig=00"), "the authorization component \"Sig\" is malformed."),
        (with("Signature=00", "Signature"), "the authorization component \"Signature\" is malformed."),
        (with("Signature=00", "Signature="), "missing Signature."),
        (
            with("SignedHeaders=host", "SignedHeaders=host;"),
            "the authorization component \"SignedHeaders=host;;range;x-amz-content-sha256;x-amz-date\" is malformed.",
        ),
        ("AWS4-HMAC-SHA256 ".to_owned() + "x", "the authorization component \"x\" is malformed."),
    ];
    for (header, message) in &rows {
        let parts = get_object(&[("authorization", Some(header))]);
        assert_refused(&parts, "AuthorizationHeaderMalformed", 400, &format!("{MALFORMED}{message}"), header);
    }
}

#[test]
fn other_faults_of_signed_headers_are_answered_as_s3_does() {
    let unsigned = "There were headers present in the request which were not signed";
    let no_date = "AWS authentication requires a valid Date or x-amz-date header";
    let hash = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
        STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, \
        STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 \
        value.";
    let v2 = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
    let v4a = "A header you provided implies functionality that is not implemented";
    let space = "Authorization header is invalid -- one and only one ' ' (space) required";
    let missing_hash = "Missing required header for this request: x-amz-content-sha256";
    let token = "The provided token is malformed or otherwise invalid.";
    let no_host = authorization("range;x-amz-content-sha256;x-amz-date", "00");
    let no_amz_date = authorization("host;range;x-amz-content-sha256", "00");
    let with_token = authorization("host;range;x-amz-content-sha256;x-amz-date;x-amz-security-token", "00");
    let rows: [(Changes, &str, u16, &str); 17] = [
        (&[("x-amz-content-sha256", None)], "InvalidRequest", 400, missing_hash),
        (&[("x-amz-content-sha256", Some("garbage"))], "InvalidArgument", 400, hash),
        (&[("x-amz-content-sha256", Some("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"))], "NotImplemented", 501, v4a),
        (&[("x-amz-date", None)], "AccessDenied", 403, no_date),
        (&[("x-amz-date", Some("today"))], "AccessDenied", 403, no_date),
        (&[("authorization", Some(&no_host))], "AccessDenied", 403, unsigned),
        (&[("authorization", Some(&no_amz_date))], "AccessDenied", 403, unsigned),
        (&[("x-amz-acl", Some("public-read"))], "AccessDenied", 403, unsigned),
        (&[("x-amz-security-token", Some("hunter2"))], "AccessDenied", 403, unsigned),
        (
            &[("authorization", Some(&with_token)), ("x-amz-security-token", Some("hunter2"))],
            "InvalidToken",
            400,
            token,
        ),
        (&[("authorization", Some("AWS AKID:hunter2"))], "InvalidRequest", 400, v2),
        (&[("authorization", Some("AWS4-ECDSA-P256-SHA256 Credential=x"))], "NotImplemented", 501, v4a),
        (
            &[("authorization", Some("Basic aHVudGVyMg==hunter2"))],
            "InvalidArgument",
            400,
            "Unsupported Authorization Type",
        ),
        (
            &[("authorization", Some("Bearer hunter2")), ("x-amz-content-sha256", None)],
            "InvalidArgument",
            400,
            "Unsupported Authorization Type",
        ),
        (&[("authorization", Some("hunter2"))], "InvalidArgument", 400, space),
        (&[("authorization", Some("AWS4-HMAC-SHA256"))], "InvalidArgument", 400, space),
        (
            &[("range", Some("bytes=0-10"))],
            "SignatureDoesNotMatch",
            403,
            "The request signature we calculated does not match the signature you provided. Check your key and \
             signing method.",
        ),
    ];
    for (changes, code, status, message) in rows {
        assert_refused(&get_object(changes), code, status, message, &format!("{changes:?}"));
    }
}

#[test]
fn malformed_presigned_urls_are_told_which_parameter_is_wrong() {
    let malformed = "AuthorizationQueryParametersError";
    let required = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
        X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.";
    let week = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less \
        than 604800 seconds";
    let error = "Error parsing the X-Amz-Credential parameter; ";
    let region = format!("{error}the region 'eu-west-1' is wrong; expecting 'us-east-1'");
    let service = format!("{error}incorrect service \"ec2\". This endpoint belongs to \"s3\".");
    let format =
        format!("{error}the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
    let v2 = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
    let algorithm = "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\"";
    let mismatch = "The request signature we calculated does not match the signature you provided. Check your key and \
        signing method.";
    let without = |name: &str| {
        let (path, query) = PRESIGNED.split_once('?').unwrap();
        let kept: Vec<_> = query.split('&').filter(|pair| !pair.starts_with(name)).collect();
        format!("{path}?{}", kept.join("&"))
    };
    let with = |from: &str, to: &str| PRESIGNED.replace(from, to);
    let rows = [
        (without("X-Amz-Credential"), malformed, 400, required),
        (without("X-Amz-Date"), malformed, 400, required),
        (without("X-Amz-Expires"), malformed, 400, required),
        (without("X-Amz-SignedHeaders"), malformed, 400, required),
        (without("X-Amz-Signature"), malformed, 400, required),
        (with("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"), malformed, 400, algorithm),
        (
            with("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            "NotImplemented",
            501,
            "A query parameter you provided implies functionality that is not implemented.",
        ),
        (
            with("20130524T000000Z", "2013-05-24T00:00:00Z"),
            malformed,
            400,
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"",
        ),
        (
            with("Date=20130524T", "Date=20130525T"),
            malformed,
            400,
            "Invalid credential date \"20130524\". This date is not the same as X-Amz-Date: \"20130525\".",
        ),
        (with("=86400", "=1e3"), malformed, 400, "X-Amz-Expires should be a number"),
        (with("=86400", "="), malformed, 400, "X-Amz-Expires should be a number"),
        (with("=86400", "=-1"), malformed, 400, "X-Amz-Expires must be non-negative"),
        (with("=86400", "=604801"), malformed, 400, week),
        (with("=86400", "=99999999999999999999"), malformed, 400, week),
        (with("=86400", "=604800"), "SignatureDoesNotMatch", 403, mismatch),
        (with("us-east-1", "eu-west-1"), malformed, 400, &region),
        (with("%2Fs3%2F", "%2Fec2%2F"), malformed, 400, &service),
        (with("%2Faws4_request", ""), malformed, 400, &format),
        (
            with("SignedHeaders=host", "SignedHeaders="),
            malformed,
            400,
            "X-Amz-SignedHeaders must be a list of header names, and \"\" is not one",
        ),
        (
            with("SignedHeaders=host", "SignedHeaders=range"),
            "AccessDenied",
            403,
            "There were headers present in the request which were not signed",
        ),
        (format!("{PRESIGNED}&X-Amz-Expires=1"), malformed, 400, "The X-Amz-Expires parameter may be given only once"),
        (format!("{PRESIGNED}&X%2DAmz-Date=x"), malformed, 400, "The X-Amz-Date parameter may be given only once"),
        (
            format!("{PRESIGNED}&X-Amz-Security-Token=%FF"),
            malformed,
            400,
            "The X-Amz-Security-Token parameter is not valid UTF-8",
        ),
        (
            format!("{PRESIGNED}&X-Amz-Security-Token=hunter2"),
            "InvalidToken",
            400,
            "The provided token is malformed or otherwise invalid.",
        ),
        (format!("{PRESIGNED}&versionId=1"), "SignatureDoesNotMatch", 403, mismatch),
        ("/test.txt?AWSAccessKeyId=AKID&Expires=1&Signature=hunter2".to_owned(), "InvalidRequest", 400, v2),
    ];
    for (uri, code, status, message) in &rows {
        assert_refused(&presigned(uri), code, *status, message, uri);
    }
}

#[test]
fn two_mechanisms_at_once_are_refused() {
    let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
        parameter or the Authorization header should be specified";
    let rows = [
        (PRESIGNED.to_owned(), Some("AWS4-HMAC-SHA256 Credential=hunter2")),
        (PRESIGNED.to_owned(), Some("")),
        ("/test.txt?Signature=x".to_owned(), Some("Basic hunter2")),
        (format!("{PRESIGNED}&Signature=x"), None),
    ];
    for (uri, authorization) in &rows {
        let mut parts = presigned(uri);
        if let Some(value) = authorization {
            parts.headers.insert(AUTHORIZATION, value.parse().unwrap());
        }
        assert_refused(&parts, "InvalidArgument", 400, message, uri);
    }
}

#[test]
fn the_host_that_is_acted_upon_is_the_one_that_must_be_signed() {
    let absolute = format!("http://other.s3.amazonaws.com{PRESIGNED}");
    let parts = request("GET", &absolute, &[("host", "examplebucket.s3.amazonaws.com")]);
    let answer = verify(&parts).map(drop);
    assert!(matches!(answer, Err(AuthError::SignatureDoesNotMatch(_))), "{answer:?}");
    let absolute = format!("http://examplebucket.s3.amazonaws.com{PRESIGNED}");
    let answer = verify(&request("GET", &absolute, &[("host", "other.s3.amazonaws.com")])).map(drop);
    assert!(matches!(answer, Err(AuthError::SignatureDoesNotMatch(_))), "{answer:?}");
    verify(&request("GET", &absolute, &[("host", "examplebucket.s3.amazonaws.com")])).unwrap();
}

#[test]
fn what_must_come_once_may_not_come_twice() {
    for name in ["authorization", "host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"] {
        let mut parts = get_object(&[]);
        for value in ["a", "b"] {
            let value = parts.headers.get(name).cloned().unwrap_or_else(|| value.parse().unwrap());
            parts.headers.append(HeaderName::from_static(name), value);
        }
        let message = format!("The header {name} may be given only once");
        assert_refused(&parts, "InvalidRequest", 400, &message, name);
    }
}

#[test]
fn header_details_that_clients_differ_in_are_accepted() {
    let spaced = get_object(&[]).headers["authorization"].to_str().unwrap().replace(',', " ,  ");
    let shuffled = {
        let value = get_object(&[]).headers["authorization"].to_str().unwrap().to_owned();
        value.replace("host;range;x-amz-content-sha256", "x-amz-content-sha256;Range;HOST")
    };
    let rows: [Changes; 6] = [
        &[("authorization", Some(&spaced))],
        &[("authorization", Some(&shuffled))],
        &[("range", Some("  bytes=0-9 "))],
        &[("content-type", Some("text/plain"))],
        &[("content-md5", Some("1B2M2Y8AsgTpgAmY7PhCfg=="))],
        &[("x-amzn-trace-id", Some("Root=1"))],
    ];
    for changes in rows {
        verify(&get_object(changes)).unwrap_or_else(|e| panic!("{changes:?}: {e}"));
    }
}

#[test]
fn a_header_signature_counts_for_fifteen_minutes_either_way() {
    for (offset, accepted) in [(0, true), (900, true), (901, false), (-900, true), (-901, false)] {
        let answer = verify_at(&get_object(&[]), &credential(None), at(offset));
        assert_eq!(answer.is_ok(), accepted, "{offset}");
    }
    let late = S3Error::from(verify_at(&get_object(&[]), &credential(None), at(901)).unwrap_err());
    assert_eq!(late.code().name(), "RequestTimeTooSkewed");
    let fields = [
        ("RequestTime", "20130524T000000Z".to_owned()),
        ("ServerTime", "2013-05-24T00:15:01Z".to_owned()),
        ("MaxAllowedSkewMilliseconds", "900000".to_owned()),
    ];
    assert_eq!(late.fields(), fields);
}

#[test]
fn a_presigned_url_counts_until_it_expires() {
    let expired = "Request has expired";
    let early = "Request is not yet valid";
    let rows = [
        (0, None),
        (86_400, None),
        (86_401, Some(expired)),
        (1_000_000, Some(expired)),
        (-900, None),
        (-901, Some(early)),
    ];
    for (offset, refusal) in rows {
        let answer = verify_at(&presigned(PRESIGNED), &credential(None), at(offset));
        assert_eq!(answer.err().map(|e| e.to_string()).as_deref(), refusal, "{offset}");
    }
    let answer = S3Error::from(verify_at(&presigned(PRESIGNED), &credential(None), at(86_401)).unwrap_err());
    let fields = [
        ("X-Amz-Expires", "86400".to_owned()),
        ("Expires", "2013-05-25T00:00:00Z".to_owned()),
        ("ServerTime", "2013-05-25T00:00:01Z".to_owned()),
    ];
    assert_eq!((answer.code().name(), answer.fields()), ("AccessDenied", fields.as_slice()));
}

#[test]
fn a_session_needs_its_own_token() {
    let answer = verify_at(&get_object(&[]), &credential(Some("session")), at(0));
    assert_eq!(answer.err(), Some(AuthError::UnknownAccessKey(AccessKeyId::new(KEY))), "the token is missing");
}

#[test]
fn a_mismatch_shows_the_caller_what_was_compared() {
    let wrong = Credential { secret: SecretKey::new("wrong"), ..credential(None) };
    let error = S3Error::from(verify_at(&get_object(&[]), &wrong, at(0)).unwrap_err());
    let canonical = format!(
        "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\nx-amz-content-sha256:{EMPTY}\n\
         x-amz-date:20130524T000000Z\n\nhost;range;x-amz-content-sha256;x-amz-date\n{EMPTY}"
    );
    let fields = [
        ("AWSAccessKeyId", KEY.to_owned()),
        (
            "StringToSign",
            "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
             7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972"
                .to_owned(),
        ),
        ("SignatureProvided", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41".to_owned()),
        ("CanonicalRequest", canonical),
    ];
    assert_eq!(error.fields(), fields);
}

#[test]
fn the_order_of_refusals_is_s3s() {
    // Late, of the wrong region, with a wrong secret: the clock is looked at first, then the region.
    let header = authorization("host;range;x-amz-content-sha256;x-amz-date", "00").replace("us-east-1", "eu-west-1");
    let parts = get_object(&[("authorization", Some(&header))]);
    let answer = verify_at(&parts, &credential(None), at(10_000)).unwrap_err();
    assert!(matches!(answer, AuthError::TooSkewed { .. }), "{answer}");
    let answer = verify_at(&parts, &credential(Some("session")), at(0)).unwrap_err();
    assert!(matches!(answer, AuthError::Credential { .. }), "{answer}");
}

#[test]
fn a_key_of_somebody_else_is_no_proof() {
    let other = Credential { access_key_id: AccessKeyId::new("OTHER"), ..credential(None) };
    let answer = verify_at(&get_object(&[]), &other, at(0)).unwrap_err();
    assert_eq!(answer, AuthError::UnknownAccessKey(AccessKeyId::new(KEY)));
}

#[test]
fn remembered_keys_answer_as_derived_ones() {
    let keys = SigningKeys::new();
    let parts = get_object(&[]);
    let presented = Presented::parse(&parts).unwrap().unwrap();
    let wrong = Credential { secret: SecretKey::new("wrong"), ..credential(None) };
    for _ in 0..2 {
        assert!(presented.verify(&parts, &wrong, at(0), REGION, &keys).is_err());
        assert!(presented.verify(&parts, &credential(None), at(0), REGION, &keys).is_ok());
    }
}

#[test]
fn nothing_that_lets_one_in_is_printed() {
    let parts = presigned(PRESIGNED);
    let presented = Presented::parse(&parts).unwrap().unwrap();
    let verified = verify(&parts).unwrap();
    for text in [format!("{presented:?}"), format!("{verified:?}"), format!("{:?}", verified.chunk_verifier())] {
        assert!(!text.contains("aeeed9bb") && !text.contains(SECRET), "{text}");
    }
}
