use proptest::prelude::*;

use super::*;

const BODY: &[u8] = b"123456789";

/// The check values of the CRC catalogue, and those of `sha1sum` and `sha256sum`, in base64.
const KNOWN: [(&str, &str); 5] = [
    ("x-amz-checksum-crc32", "y/Q5Jg=="),
    ("x-amz-checksum-crc32c", "4waSgw=="),
    ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
    ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
    ("x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
];
const MD5: &str = "JfnnlDI7RTiF9RgfG2JNCw==";

fn headers(rows: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in rows {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn trailers(rows: &[(&'static str, &str)]) -> Vec<(HeaderName, HeaderValue)> {
    rows.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

#[test]
fn known_answers() {
    for (algorithm, (header, value)) in ChecksumAlgorithm::ALL.into_iter().zip(KNOWN) {
        assert_eq!(algorithm.header(), header);
        let mut hasher = Hasher::new(algorithm);
        hasher.update(BODY);
        let checksum = hasher.finish();
        assert_eq!(
            (BASE64_STANDARD.encode(&checksum).as_str(), checksum.len()),
            (value, algorithm.length()),
            "{header}"
        );
    }
}

#[test]
fn promises_that_are_kept_pass_and_others_are_told_apart() {
    for (header, value) in KNOWN {
        let checks = DigestChecks::from_headers(&headers(&[(header, value), ("content-md5", MD5)])).unwrap();
        assert_eq!(checks.verify(BODY), Ok(()), "{header}");
        let error = checks.verify(b"123456780").unwrap_err();
        assert_eq!(error.message(), "The Content-MD5 you specified did not match what we received.", "{header}");
        let checks = DigestChecks::from_headers(&headers(&[(header, value)])).unwrap();
        let error = checks.verify(b"").unwrap_err();
        let name = ChecksumAlgorithm::of_header(header).unwrap();
        assert_eq!(error.code(), ErrorCode::BadDigest);
        assert_eq!(error.message(), format!("The {name} you specified did not match the calculated checksum."));
    }
    assert_eq!(DigestChecks::from_headers(&HeaderMap::new()).unwrap().verify(BODY), Ok(()));
}

#[test]
fn what_is_no_promise_is_refused_before_the_body() {
    type Row = (&'static [(&'static str, &'static str)], &'static str, &'static str);
    let rows: [Row; 17] = [
        (&[("content-md5", "")], "InvalidDigest", ""),
        (&[("content-md5", "JfnnlDI7RTiF9RgfG2JNCw")], "InvalidDigest", ""),
        (&[("content-md5", "AAAA")], "InvalidDigest", ""),
        (&[("content-md5", MD5), ("content-md5", MD5)], "InvalidDigest", ""),
        (&[("x-amz-checksum-crc32", "y/Q5")], "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid."),
        (&[("x-amz-checksum-sha1", "y/Q5Jg==")], "InvalidRequest", "Value for x-amz-checksum-sha1 header is invalid."),
        (&[("x-amz-checksum-crc32", "not base64")], "InvalidRequest", ""),
        (&[("x-amz-checksum-crc32", "")], "InvalidRequest", ""),
        (
            &[KNOWN[0], KNOWN[4]],
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ),
        (&[KNOWN[0], KNOWN[0]], "InvalidRequest", ""),
        (
            &[("x-amz-checksum-md4", "AAAA")],
            "InvalidRequest",
            "The algorithm type you specified in x-amz-checksum- header is invalid.",
        ),
        (
            &[KNOWN[0], ("x-amz-sdk-checksum-algorithm", "SHA1")],
            "InvalidRequest",
            "Value for x-amz-sdk-checksum-algorithm header is invalid.",
        ),
        (&[KNOWN[0], ("x-amz-sdk-checksum-algorithm", "nonsense")], "InvalidRequest", ""),
        (&[("x-amz-sdk-checksum-algorithm", "CRC32"), ("content-md5", MD5)], "InvalidRequest", ""),
        (
            &[KNOWN[0], ("x-amz-trailer", "x-amz-checksum-crc32")],
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header",
        ),
        (
            &[("x-amz-trailer", "x-amz-meta-a")],
            "InvalidRequest",
            "The value specified in the x-amz-trailer header is not supported",
        ),
        (&[("x-amz-trailer", "x-amz-checksum-crc32,x-amz-checksum-sha1")], "InvalidRequest", ""),
    ];
    for (given, code, message) in rows {
        let error = DigestChecks::from_headers(&headers(given)).expect_err(code);
        assert_eq!(error.code().name(), code, "{given:?}");
        assert!(message.is_empty() || error.message() == message, "{given:?}: {}", error.message());
    }
}

#[test]
fn headers_about_checksums_are_not_checksums() {
    let given = [
        KNOWN[1],
        ("x-amz-sdk-checksum-algorithm", "crc32c"),
        ("x-amz-checksum-algorithm", "CRC32C"),
        ("x-amz-checksum-type", "FULL_OBJECT"),
        ("x-amz-checksum-mode", "ENABLED"),
    ];
    assert_eq!(DigestChecks::from_headers(&headers(&given)).unwrap().verify(BODY), Ok(()));
}

#[test]
fn trailers_must_be_those_that_were_declared() {
    let declared = [("x-amz-trailer", "X-Amz-Checksum-Crc32"), ("x-amz-sdk-checksum-algorithm", "CRC32")];
    let checks = DigestChecks::from_headers(&headers(&declared)).unwrap();
    assert_eq!(checks.trailer(), Some(ChecksumAlgorithm::Crc32));
    let kept = checks.clone().with_trailers(&trailers(&[KNOWN[0]])).unwrap();
    assert_eq!(kept.verify(BODY), Ok(()));
    assert_eq!(kept.verify(b"").unwrap_err().code(), ErrorCode::BadDigest);
    assert_eq!(checks.verify(BODY).unwrap_err().code(), ErrorCode::MalformedTrailerError);

    let rows: [(&[(&'static str, &str)], ErrorCode); 4] = [
        (&[], ErrorCode::MalformedTrailerError),
        (&[KNOWN[1]], ErrorCode::MalformedTrailerError),
        (&[KNOWN[0], KNOWN[0]], ErrorCode::MalformedTrailerError),
        (&[("x-amz-checksum-crc32", "AAAA")], ErrorCode::InvalidRequest),
    ];
    for (came, code) in rows {
        assert_eq!(checks.clone().with_trailers(&trailers(came)).unwrap_err().code(), code, "{came:?}");
    }
    let undeclared = DigestChecks::default().with_trailers(&trailers(&[KNOWN[0]]));
    assert_eq!(undeclared.unwrap_err().code(), ErrorCode::MalformedTrailerError);
}

#[test]
fn a_payload_hash_is_that_of_the_whole_body() {
    let declared = Sha256::digest(BODY).into();
    for (body, agrees) in [(BODY, true), (&b"1"[..], false), (b"", false)] {
        let mut payload = PayloadHash::new(declared);
        for byte in body {
            payload.update(&[*byte]);
        }
        let result = payload.verify();
        assert_eq!(result.is_ok(), agrees, "{body:?}");
        assert!(result.is_ok() || result.unwrap_err().code() == ErrorCode::XAmzContentSHA256Mismatch);
    }
    assert_eq!(hex(&Sha256::digest(b"")), EMPTY_SHA256);
}

proptest! {
    #[test]
    fn the_pieces_of_a_body_give_the_checksum_of_the_whole(body: Vec<u8>, at: prop::sample::Index) {
        let (left, right) = body.split_at(at.index(body.len() + 1));
        for algorithm in ChecksumAlgorithm::ALL {
            let (mut whole, mut pieces) = (Hasher::new(algorithm), Hasher::new(algorithm));
            whole.update(&body);
            pieces.update(left);
            pieces.update(right);
            prop_assert_eq!(whole.finish(), pieces.finish());
        }
    }
}
