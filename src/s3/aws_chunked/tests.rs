use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;

use super::*;

/// The signatures of AWS's worked examples: key, date and scope are those of the documentation.
pub(super) struct Example {
    key: Vec<u8>,
    previous: String,
}

pub(super) const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
pub(super) const SEED_OF_TRAILER: &str = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";

impl Example {
    pub(super) fn new(seed: &str) -> Self {
        let secret = b"AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_vec();
        let key = ["20130524", "us-east-1", "s3", "aws4_request"].iter().fold(secret, |key, part| hmac(&key, part));
        Self { key, previous: seed.to_owned() }
    }

    fn sign(&mut self, kind: &str, hashes: &str) -> String {
        let text = format!(
            "AWS4-HMAC-SHA256-{kind}\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n{}\n{hashes}",
            self.previous
        );
        self.previous = hex(&hmac(&self.key, &text));
        self.previous.clone()
    }

    fn chunk_signature(&mut self, data_hash: &[u8]) -> String {
        self.sign("PAYLOAD", &format!("{}\n{}", hex(&Sha256::digest(b"")), hex(data_hash)))
    }
}

impl ChunkSignatures for Example {
    fn chunk(&mut self, sha256_of_data: [u8; 32], signature: &str) -> bool {
        self.chunk_signature(&sha256_of_data) == signature
    }

    fn trailer(&mut self, canonical: &[u8], signature: &str) -> bool {
        self.sign("TRAILER", &hex(&Sha256::digest(canonical))) == signature
    }
}

impl ChunkSigner for Example {
    fn chunk(&mut self, sha256_of_data: [u8; 32]) -> String {
        self.chunk_signature(&sha256_of_data)
    }

    fn trailer(&mut self, canonical: &[u8]) -> String {
        self.sign("TRAILER", &hex(&Sha256::digest(canonical)))
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unsigned(chunks: &[&[u8]], trailer: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in chunks {
        body.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    body.extend(format!("0\r\n{trailer}\r\n").into_bytes());
    body
}

pub(super) fn signed(seed: &str, chunks: &[&[u8]], trailer: Option<&str>) -> Vec<u8> {
    let mut signer = Example::new(seed);
    let mut body = Vec::new();
    for chunk in chunks.iter().chain([&&b""[..]]) {
        let signature = signer.chunk_signature(&Sha256::digest(chunk));
        body.extend(format!("{:x};chunk-signature={signature}\r\n", chunk.len()).into_bytes());
        if !chunk.is_empty() {
            body.extend([chunk, &b"\r\n"[..]].concat());
        }
    }
    if let Some(trailer) = trailer {
        let signature = signer.sign("TRAILER", &hex(&Sha256::digest(format!("{trailer}\n"))));
        body.extend(format!("{trailer}\r\nx-amz-trailer-signature:{signature}\r\n").into_bytes());
    }
    body.extend(b"\r\n");
    body
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

fn code(error: ChunkedError) -> &'static str {
    S3Error::from(error).code().name()
}

#[test]
fn the_signed_example_of_the_documentation_is_decoded() {
    let data = vec![b'a'; 66560];
    let body = signed(SEED, &[&data[..65536], &data[65536..]], None);
    assert_eq!(body.len(), 66824, "the documented Content-Length");
    for signature in [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ] {
        assert!(contains(&body, signature), "{signature}");
    }
    let decoded = decode(&body, Framing::Signed, 66560, Some(&mut Example::new(SEED))).unwrap();
    assert_eq!(decoded, Decoded { data: data.into(), trailers: vec![] });
}

#[test]
fn the_signed_trailer_example_of_the_documentation_is_decoded() {
    let data = vec![b'a'; 66560];
    let trailer = "x-amz-checksum-crc32c:sOO8/Q==";
    let body = signed(SEED_OF_TRAILER, &[&data[..65536], &data[65536..]], Some(trailer));
    assert_eq!(body.len(), 66946, "the documented Content-Length");
    assert!(contains(&body, "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"));
    let signatures = &mut Example::new(SEED_OF_TRAILER);
    let decoded = decode(&body, Framing::SignedTrailer, 66560, Some(signatures)).unwrap();
    assert_eq!(decoded.data, data);
    let expected = (HeaderName::from_static("x-amz-checksum-crc32c"), HeaderValue::from_static("sOO8/Q=="));
    assert_eq!(decoded.trailers, [expected]);
}

#[test]
fn unsigned_bodies_are_decoded_with_and_without_trailers() {
    type Row<'a> = (&'a [&'a [u8]], &'a str, &'a [u8], &'a [(&'a str, &'a str)]);
    let rows: [Row<'_>; 5] = [
        (&[b"hello", b" ", b"world"], "", b"hello world", &[]),
        (&[], "", b"", &[]),
        (&[b"\r\n0\r\n\r\n"], "", b"\r\n0\r\n\r\n", &[]),
        (&[b"a"], "x-amz-checksum-crc32:AAAAAA==\r\n", b"a", &[("x-amz-checksum-crc32", "AAAAAA==")]),
        (
            &[b"a"],
            "X-Amz-Checksum-CRC32: AAAAAA== \r\nb:\r\n",
            b"a",
            &[("x-amz-checksum-crc32", "AAAAAA=="), ("b", "")],
        ),
    ];
    for (chunks, trailer, data, trailers) in rows {
        let body = unsigned(chunks, trailer);
        let shown = String::from_utf8_lossy(&body).into_owned();
        let decoded = decode(&body, Framing::UnsignedTrailer, data.len() as u64, None).expect(&shown);
        assert_eq!(decoded.data, data, "{shown:?}");
        let came: Vec<_> = decoded.trailers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        assert_eq!(came, trailers, "{shown:?}");
    }
}

#[test]
fn bad_framing_has_its_own_error_wherever_it_stands() {
    let long = "1".repeat(17);
    let rows = [
        ("", 0, "IncompleteBody"),
        ("0", 0, "IncompleteBody"),
        ("0\r\n", 0, "IncompleteBody"),
        ("0\r\n\r", 0, "IncompleteBody"),
        ("5\r\nhell", 5, "IncompleteBody"),
        ("5\r\nhello\r\n", 5, "IncompleteBody"),
        ("0\r\n\r\n", 1, "IncompleteBody"),
        ("1\r\na\r\n0\r\n\r\n", 2, "IncompleteBody"),
        ("1\r\na\r\n0\r\n\r\n", 0, "IncompleteBody"),
        ("ffffffffffffffff\r\na", 1, "IncompleteBody"),
        ("1\r\na\r\nffffffffffffffff\r\na", 9, "IncompleteBody"),
        ("\r\n", 0, "InvalidRequest"),
        ("0\n\n", 0, "InvalidRequest"),
        ("+1\r\na\r\n0\r\n\r\n", 1, "InvalidRequest"),
        ("-0\r\n\r\n", 0, "InvalidRequest"),
        ("0x1\r\na\r\n0\r\n\r\n", 1, "InvalidRequest"),
        (" 1\r\na\r\n0\r\n\r\n", 1, "InvalidRequest"),
        ("1 \r\na\r\n0\r\n\r\n", 1, "InvalidRequest"),
        ("1;x=y\r\na\r\n0\r\n\r\n", 1, "InvalidRequest"),
        ("1;chunk-signature=\r\na\r\n0\r\n\r\n", 1, "InvalidRequest"),
        ("1\r\nab\r\n0\r\n\r\n", 1, "InvalidRequest"),
        ("1\r\na0\r\n\r\n", 1, "InvalidRequest"),
        ("{\"Version\":\"2012-10-17\"}\n", 1, "InvalidRequest"),
        (long.as_str(), 1, "IncompleteBody"),
        ("0\r\nx:y", 0, "MalformedTrailerError"),
        ("0\r\nx:y\r\n", 0, "MalformedTrailerError"),
        ("0\r\nx\r\n\r\n", 0, "MalformedTrailerError"),
        ("0\r\nx y:z\r\n\r\n", 0, "MalformedTrailerError"),
        ("0\r\n\r\n\r\n", 0, "MalformedTrailerError"),
        ("0\r\n\r\nx:y\r\n\r\n", 0, "MalformedTrailerError"),
        ("0\r\n\r\n1\r\na\r\n0\r\n\r\n", 0, "MalformedTrailerError"),
        ("0\r\nx-amz-trailer-signature:0\r\n\r\n", 0, "MalformedTrailerError"),
    ];
    for (body, length, expected) in rows {
        let error = decode(body.as_bytes(), Framing::UnsignedTrailer, length, None).expect_err(body);
        assert_eq!(code(error), expected, "{body:?}");
    }
}

#[test]
fn lines_and_trailers_are_bounded() {
    let line = "1".repeat(MAX_LINE + 3);
    let trailer = format!("0\r\nx:{}\r\n\r\n", "y".repeat(MAX_TRAILER_BYTES));
    for (body, expected) in [(line, "InvalidRequest"), (trailer, "MalformedTrailerError")] {
        let mut decoder = Decoder::new(Framing::UnsignedTrailer, 0, None::<Example>);
        let result = body.as_bytes().iter().try_for_each(|byte| decoder.push(&[*byte], |_| ()));
        assert_eq!(code(result.unwrap_err()), expected);
        assert_eq!(decoder.push(b"0\r\n\r\n", |_| ()), Err(ChunkedError::AfterError));
        assert_eq!(decoder.finish(), Err(ChunkedError::Truncated));
    }
}

#[test]
fn every_signature_counts() {
    let trailer = "x-amz-checksum-crc32:AAAAAA==";
    let plain = signed(SEED, &[b"hello", b"world"], None);
    let trailed = signed(SEED, &[b"hello", b"world"], Some(trailer));
    let run =
        |body: &[u8], framing| decode(body, framing, 10, Some(&mut Example::new(SEED))).map(|decoded| decoded.data);
    assert_eq!(run(&plain, Framing::Signed).as_deref(), Ok(&b"helloworld"[..]));
    assert_eq!(run(&trailed, Framing::SignedTrailer).as_deref(), Ok(&b"helloworld"[..]));

    for (body, framing) in [(&plain, Framing::Signed), (&trailed, Framing::SignedTrailer)] {
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1;
            assert!(run(&changed, framing).is_err(), "{framing:?} byte {at}");
            assert!(run(&body[..at], framing).is_err(), "{framing:?} cut at {at}");
        }
        assert_eq!(decode(body, framing, 10, None).unwrap_err(), ChunkedError::BadSignature, "{framing:?}");
        let other = decode(body, framing, 10, Some(&mut Example::new(SEED_OF_TRAILER)));
        assert_eq!(code(other.unwrap_err()), "SignatureDoesNotMatch", "{framing:?}");
    }

    let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
    let lone_lf = text(&trailed).replace("AAAAAA==\r\n", "AAAAAA==\n\r\n");
    assert!(run(lone_lf.as_bytes(), Framing::SignedTrailer).is_ok());
    let rows = [
        (text(&plain), Framing::SignedTrailer, "MalformedTrailerError"),
        (text(&trailed), Framing::Signed, "MalformedTrailerError"),
        (unsigned_text(), Framing::Signed, "InvalidRequest"),
        (text(&plain), Framing::UnsignedTrailer, "InvalidRequest"),
        (
            text(&trailed).replace(trailer, "x-amz-checksum-crc32:AAAAAQ=="),
            Framing::SignedTrailer,
            "SignatureDoesNotMatch",
        ),
        (text(&trailed).replace(&format!("{trailer}\r\n"), ""), Framing::SignedTrailer, "SignatureDoesNotMatch"),
        (text(&plain).to_uppercase().replace("CHUNK-SIGNATURE", "chunk-signature"), Framing::Signed, "InvalidRequest"),
    ];
    for (body, framing, expected) in rows {
        let error = run(body.as_bytes(), framing).expect_err(&body);
        assert_eq!(code(error), expected, "{framing:?} {body:?}");
    }
}

fn unsigned_text() -> String {
    String::from_utf8(unsigned(&[b"helloworld"], "")).unwrap()
}

#[test]
fn the_decoded_length_is_one_number() {
    let rows: [(&[&str], Result<u64, &str>); 7] = [
        (&["0"], Ok(0)),
        (&["20480"], Ok(20480)),
        (&[], Err("MissingContentLength")),
        (&[""], Err("InvalidRequest")),
        (&["+1"], Err("InvalidRequest")),
        (&["1", "1"], Err("InvalidRequest")),
        (&["18446744073709551616"], Err("InvalidRequest")),
    ];
    for (values, expected) in rows {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-amz-decoded-content-length", value.parse().unwrap());
        }
        assert_eq!(decoded_length(&headers).map_err(code), expected, "{values:?}");
    }
}

#[test]
fn framings_are_told_by_the_declared_hash() {
    for (value, framing) in [
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Some(Framing::Signed)),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Some(Framing::SignedTrailer)),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Some(Framing::UnsignedTrailer)),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", None),
        ("UNSIGNED-PAYLOAD", None),
    ] {
        assert_eq!(Framing::from_content_sha256(value), framing, "{value}");
    }
}

proptest! {
    #[test]
    fn what_was_framed_comes_back_however_it_is_split(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        framing in prop::sample::select(vec![Framing::Signed, Framing::SignedTrailer, Framing::UnsignedTrailer]),
    ) {
        let pieces: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let trailer = "x-amz-checksum-sha1:98O8HYCOBHMq32eZZczDTKeuNEE=";
        let body = match framing {
            Framing::Signed => signed(SEED, &pieces, None),
            Framing::SignedTrailer => signed(SEED, &pieces, Some(trailer)),
            Framing::UnsignedTrailer => unsigned(&pieces, &format!("{trailer}\r\n")),
        };
        let data = chunks.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();

        let mut decoder = Decoder::new(framing, data.len() as u64, Some(Example::new(SEED)));
        let mut came = Vec::new();
        for cut in cuts.windows(2) {
            decoder.push(&body[cut[0]..cut[1]], |piece| came.extend_from_slice(piece)).unwrap();
        }
        prop_assert_eq!(decoder.finish().unwrap().len(), usize::from(framing != Framing::Signed));
        prop_assert_eq!(came, data);
    }

    #[test]
    fn any_splitting_of_anything_gives_one_answer(
        body in "([0-9a-f]{1,2}|0)?(\r\n|\n)?[ -~\r\n]{0,30}(\r\n0\r\n)?(x:y\r\n)?(\r\n)?",
        cut: prop::sample::Index,
        length in 0_u64..40,
    ) {
        let body = body.as_bytes();
        let whole = decode(body, Framing::UnsignedTrailer, length, None);
        let (left, right) = body.split_at(cut.index(body.len() + 1));
        let mut decoder = Decoder::new(Framing::UnsignedTrailer, length, None::<Example>);
        let mut data = Vec::new();
        let pushed = decoder.push(left, |piece| data.extend_from_slice(piece))
            .and_then(|()| decoder.push(right, |piece| data.extend_from_slice(piece)));
        let parts = pushed.and_then(|()| decoder.finish()).map(|trailers| Decoded { data: data.into(), trailers });
        prop_assert_eq!(parts.is_ok(), whole.is_ok());
        if let (Ok(parts), Ok(whole)) = (parts, whole) {
            prop_assert_eq!(parts, whole);
        }
    }
}
