use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use proptest::prelude::*;

use super::super::tests::{Example, SEED, SEED_OF_TRAILER, signed, unsigned};
use super::super::{MAX_TRAILER_BYTES, decode};
use super::*;
use crate::s3::checksum::{ChecksumAlgorithm, Hasher};

/// Another seed than the caller's: that of our own signature.
const OURS: &str = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648";

/// A framed body, and what its head would say of it.
#[derive(Clone)]
struct Sent {
    framing: Framing,
    length: u64,
    checks: DigestChecks,
    body: Vec<u8>,
}

/// What came out: all that went on before the end was judged, and the end or what was wrong.
type Passed = (Vec<u8>, Result<Vec<u8>, RelayError>);

impl Sent {
    fn new(framing: Framing, algorithm: ChecksumAlgorithm, chunks: &[&[u8]], seed: &str) -> Self {
        let mut hasher = Hasher::new(algorithm);
        chunks.iter().for_each(|chunk| hasher.update(chunk));
        let trailer = format!("{}:{}", algorithm.header(), BASE64_STANDARD.encode(hasher.finish()));
        let mut headers = HeaderMap::new();
        if framing != Framing::Signed {
            headers.insert("x-amz-trailer", algorithm.header().parse().unwrap());
        }
        Self {
            framing,
            length: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            checks: DigestChecks::from_headers(&headers).unwrap(),
            body: match framing {
                Framing::Signed => signed(seed, chunks, None),
                Framing::SignedTrailer => signed(seed, chunks, Some(&trailer)),
                Framing::UnsignedTrailer => unsigned(chunks, &format!("{trailer}\r\n")),
            },
        }
    }

    fn relay(&self, anew: bool) -> Relay {
        let theirs = Box::new(Example::new(seed(self.framing)));
        let mut relay = Relay::new(self.framing, self.length, Some(theirs), self.checks.clone());
        if anew {
            relay.sign_anew(Box::new(Example::new(OURS)));
        }
        relay
    }

    fn pass<'a>(&self, anew: bool, pieces: impl IntoIterator<Item = &'a [u8]>) -> Passed {
        let mut relay = self.relay(anew);
        let (mut out, mut taken) = (Vec::new(), 0);
        for piece in pieces {
            match relay.push(Bytes::copy_from_slice(piece)) {
                Ok(passed) => out.extend(passed.unwrap_or_default()),
                Err(error) => return (out, Err(error)),
            }
            taken += piece.len();
            assert_eq!(out.len() + relay.held(), taken, "not a byte is lost or added");
        }
        let end = relay.finish().map(|end| end.to_vec());
        (out, end)
    }

    fn pass_whole(&self, anew: bool) -> Passed {
        self.pass(anew, [&self.body[..]])
    }

    /// Where the last byte of data is; all of the body where there is none.
    fn last_data(&self) -> usize {
        let mut decoder = Decoder::new(self.framing, self.length, Some(Example::new(seed(self.framing))));
        for (at, byte) in self.body.iter().enumerate() {
            decoder.push(std::slice::from_ref(byte), |_| {}).unwrap();
            if decoder.received == self.length {
                return at;
            }
        }
        self.body.len()
    }
}

fn seed(framing: Framing) -> &'static str {
    if framing == Framing::SignedTrailer { SEED_OF_TRAILER } else { SEED }
}

fn framing() -> impl Strategy<Value = Framing> {
    prop_oneof![Just(Framing::Signed), Just(Framing::SignedTrailer), Just(Framing::UnsignedTrailer)]
}

proptest! {
    #[test]
    fn whatever_the_pieces_only_signatures_change(
        framing in framing(),
        algorithm in prop::sample::select(&ChecksumAlgorithm::ALL[..]),
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..5),
        mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let sent = Sent::new(framing, algorithm, &chunks, seed(framing));
        let mut ends: Vec<usize> = cuts.drain(..).map(|cut| cut.index(sent.body.len() + 1)).collect();
        ends.extend([0, sent.body.len()]);
        ends.sort_unstable();
        let pieces: Vec<&[u8]> = ends.windows(2).map(|pair| &sent.body[pair[0]..pair[1]]).collect();
        // What somebody with our key would have sent in the first place.
        let ours = Sent::new(framing, algorithm, &chunks, OURS);
        for (anew, expected) in [(false, &sent.body), (true, &ours.body)] {
            let (out, end) = sent.pass(anew, pieces.iter().copied());
            prop_assert!(out.len() <= sent.last_data(), "the data is complete before it is judged");
            let whole = [out, end.expect("right")].concat();
            prop_assert_eq!(&whole, expected);
        }
    }

    #[test]
    fn a_wrong_bit_is_found_wherever_the_pieces_end(
        framing in framing(),
        algorithm in prop::sample::select(&ChecksumAlgorithm::ALL[..]),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
        size in 1..200_usize,
    ) {
        let chunks = [&b"0123456789abcdef"[..], b"hello, world", b"\r\n0\r\n\r\n"];
        let right = Sent::new(framing, algorithm, &chunks, seed(framing));
        let mut wrong = right.clone();
        let at = at.index(wrong.body.len());
        wrong.body[at] ^= 1_u8 << bit;
        for anew in [false, true] {
            let whole = wrong.pass_whole(anew).1.map_err(|error| S3Error::from(error).code());
            let pieces = wrong.pass(anew, wrong.body.chunks(size)).1.map_err(|error| S3Error::from(error).code());
            prop_assert_eq!(whole.is_ok(), pieces.is_ok());
            assert_found(&right, &wrong, anew);
        }
    }
}

/// Found; or it was none: hexadecimal digits and names of trailers have two cases, and white space is free there.
fn assert_found(right: &Sent, wrong: &Sent, anew: bool) {
    let (out, end) = wrong.pass_whole(anew);
    let Ok(end) = end else {
        assert!(out.len() <= right.last_data(), "the data went on before it was judged");
        return;
    };
    let read = |sent: &Sent, body: &[u8], seed: &str| {
        decode(body, sent.framing, sent.length, Some(&mut Example::new(seed))).unwrap()
    };
    let signed_by = if anew { OURS } else { seed(wrong.framing) };
    let whole = [out, end].concat();
    assert_eq!(read(wrong, &whole, signed_by), read(right, &right.body, seed(right.framing)), "{whole:?}");
}

#[test]
fn every_flipped_bit_is_found() {
    for framing in [Framing::Signed, Framing::SignedTrailer, Framing::UnsignedTrailer] {
        let right = Sent::new(framing, ChecksumAlgorithm::Crc64Nvme, &[b"some", b"data"], seed(framing));
        let mut found = 0;
        for at in 0..right.body.len() {
            for bit in 0..8 {
                let mut wrong = right.clone();
                wrong.body[at] ^= 1_u8 << bit;
                for anew in [false, true] {
                    assert_found(&right, &wrong, anew);
                    found += usize::from(wrong.pass_whole(anew).1.is_err());
                }
            }
        }
        assert!(found > right.body.len() * 15, "{framing:?}: {found} of {}", right.body.len() * 16);
    }
}

#[test]
fn a_body_that_is_cut_off_never_ends() {
    for framing in [Framing::Signed, Framing::SignedTrailer, Framing::UnsignedTrailer] {
        let sent = Sent::new(framing, ChecksumAlgorithm::Sha1, &[b"some", b"data"], seed(framing));
        for length in 0..sent.body.len() {
            for anew in [false, true] {
                let (first, second) = sent.body[..length].split_at(length / 2);
                let (out, end) = sent.pass(anew, [first, second]);
                assert!(out.len() < length.max(1), "all that came went on");
                let code = S3Error::from(end.expect_err("cut off")).code();
                let trailers = code == ErrorCode::MalformedTrailerError && framing != Framing::Signed;
                // Without its last line a trailer is malformed, or not there; LF is a line's end, but not the whole's.
                let without_end = code == ErrorCode::MalformedTrailerError && length + 1 == sent.body.len();
                assert!(code == ErrorCode::IncompleteBody || trailers || without_end, "{framing:?} {length}: {code}");
            }
        }
    }
}

#[test]
fn what_is_wrong_has_its_own_error() {
    let chunks: [&[u8]; 2] = [b"some", b"data"];
    let all = |framing| Sent::new(framing, ChecksumAlgorithm::Sha256, &chunks, seed(framing));
    let with = |framing, change: fn(&mut Sent)| {
        let mut sent = all(framing);
        change(&mut sent);
        sent
    };
    let other_checksum = |headers: &[(&'static str, &str)]| {
        let headers = headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        DigestChecks::from_headers(&headers.collect()).unwrap()
    };
    let mut other_md5 = all(Framing::Signed);
    other_md5.checks = other_checksum(&[("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")]);
    let mut not_announced = all(Framing::SignedTrailer);
    not_announced.checks = DigestChecks::default();
    let mut other_announced = all(Framing::UnsignedTrailer);
    other_announced.checks = other_checksum(&[("x-amz-trailer", "x-amz-checksum-sha1")]);
    for (what, sent, code) in [
        ("seed", with(Framing::Signed, |sent| sent.framing = Framing::SignedTrailer), ErrorCode::SignatureDoesNotMatch),
        ("one byte less", with(Framing::Signed, |sent| sent.length = 9), ErrorCode::IncompleteBody),
        ("one byte more", with(Framing::UnsignedTrailer, |sent| sent.length = 7), ErrorCode::IncompleteBody),
        ("md5", other_md5, ErrorCode::BadDigest),
        ("not announced", not_announced, ErrorCode::MalformedTrailerError),
        ("another announced", other_announced, ErrorCode::MalformedTrailerError),
        ("checksum", with(Framing::UnsignedTrailer, |sent| sent.body[4] ^= 1), ErrorCode::BadDigest),
        (
            "too many trailers",
            with(Framing::UnsignedTrailer, |sent| sent.body.extend(vec![b'x'; MAX_TRAILER_BYTES])),
            ErrorCode::MalformedTrailerError,
        ),
    ] {
        for anew in [false, true] {
            let (_, end) = sent.pass_whole(anew);
            assert_eq!(end.map_err(|error| S3Error::from(error).code()), Err(code), "{what}");
        }
    }
}

#[test]
fn chunks_that_must_be_held_are_bounded_and_others_are_not() {
    let line = |size: u64| Bytes::from(format!("{size:x};chunk-signature={}\r\n", "0".repeat(64)));
    for (size, anew, refused) in [
        (MAX_RELAYED_CHUNK, true, false),
        (MAX_RELAYED_CHUNK + 1, true, true),
        (u64::MAX, true, true),
        (u64::MAX, false, false),
    ] {
        let mut relay =
            Relay::new(Framing::Signed, u64::MAX, Some(Box::new(Example::new(SEED))), DigestChecks::default());
        if anew {
            relay.sign_anew(Box::new(Example::new(OURS)));
        }
        let pushed = relay.push(line(size));
        assert_eq!(pushed.is_err(), refused, "{size}");
        assert!(relay.held.capacity() < 1 << 20, "room is made for what comes, not for what is announced");
        if refused {
            assert_eq!(pushed, Err(RelayError::Framing(ChunkedError::ChunkTooLong(size))));
            assert_eq!(relay.push(line(1)), Err(RelayError::Framing(ChunkedError::AfterError)));
        } else {
            // Whatever goes on before it can be judged is not kept.
            let piece = Bytes::from_static(&[0; 4096]);
            let out = [piece.clone(), piece.clone()].map(|piece| relay.push(piece).unwrap());
            assert_eq!(out[1].is_none(), anew);
            assert_eq!(relay.held() > 4096, anew);
        }
    }
}

#[test]
fn a_long_chunk_takes_little_more_room_than_it_is_long() {
    let data = vec![b'x'; 5_000_000];
    let sent = Sent::new(Framing::Signed, ChecksumAlgorithm::Crc32, &[&data], SEED);
    let mut relay = sent.relay(true);
    for piece in sent.body.chunks(10_000) {
        assert_eq!(relay.push(Bytes::copy_from_slice(piece)), Ok(None));
        assert!(relay.held.capacity() <= (2 * relay.held() + ROOM_IN_ADVANCE).min(sent.body.len() + 5_000));
    }
    assert_eq!(relay.finish().unwrap().len(), sent.body.len());
}

#[test]
fn what_uploads_hold_together_is_bounded_and_given_back() {
    let chunk = vec![b'x'; 1_000_000];
    let sent = Sent::new(Framing::Signed, ChecksumAlgorithm::Crc32, &[&chunk, &chunk, &chunk], SEED);
    let room = HeldBytes::new(3_000_000);
    let relay = || {
        let mut relay = sent.relay(true);
        relay.hold_within(room.clone());
        relay
    };
    let (first, rest) = sent.body.split_at(900_000);
    let mut pieces = rest.chunks(50_000).map(Bytes::copy_from_slice);
    let mut one = relay();
    for piece in first.chunks(50_000) {
        assert_eq!(one.push(Bytes::copy_from_slice(piece)), Ok(None));
    }
    assert!((900_000..1_100_000).contains(&room.held()), "{}", room.held());
    let out = pieces.by_ref().find_map(|piece| one.push(piece).unwrap()).unwrap();
    assert!(room.held() >= out.len(), "also while the chunk is on its way out");

    // Another, whose chunks come as slowly, finds no room and from then on holds nothing.
    let mut waiting: Vec<Relay> = Vec::new();
    let refused = loop {
        let mut another = relay();
        if let Err(error) =
            first.chunks(50_000).try_for_each(|piece| another.push(Bytes::copy_from_slice(piece)).map(drop))
        {
            break (another, error);
        }
        waiting.push(another);
        assert!(room.held() <= 3_000_000 && waiting.len() < 3);
    };
    assert!(matches!(refused.1, RelayError::NoRoom(_)), "{:?}", refused.1);
    assert_eq!(S3Error::from(refused.1).code(), ErrorCode::SlowDown);
    let mut small = Sent::new(Framing::Signed, ChecksumAlgorithm::Crc32, &[b"small"], SEED).relay(true);
    small.hold_within(room.clone());
    assert!(small.push(signed(SEED, &[b"small"], None).into()).is_ok(), "ordinary chunks still pass");

    drop((refused.0, waiting, out));
    let mut passed = 0;
    for piece in pieces {
        passed += one.push(piece).unwrap().map_or(0, |out| out.len());
    }
    let end = one.finish().unwrap();
    assert!(passed + end.len() < sent.body.len(), "the first chunk went on before");
    drop((one, end));
    assert_eq!(room.held(), 0);
}

#[test]
fn without_the_callers_key_every_signature_is_wrong() {
    let sent = Sent::new(Framing::Signed, ChecksumAlgorithm::Crc32, &[b"data"], SEED);
    let mut relay = Relay::new(Framing::Signed, 4, None, DigestChecks::default());
    relay.sign_anew(Box::new(Example::new(OURS)));
    assert_eq!(relay.push(sent.body.into()), Err(RelayError::Framing(ChunkedError::BadSignature)));
}

#[test]
fn a_signer_that_gives_no_signature_is_not_believed() {
    struct Silent;
    impl ChunkSigner for Silent {
        fn chunk(&mut self, _: [u8; 32]) -> String {
            String::new()
        }

        fn trailer(&mut self, _: &[u8]) -> String {
            String::new()
        }
    }
    let sent = Sent::new(Framing::Signed, ChecksumAlgorithm::Crc32, &[b"data"], SEED);
    let mut relay = sent.relay(false);
    relay.sign_anew(Box::new(Silent));
    assert_eq!(relay.push(sent.body.into()), Err(RelayError::NotSigned));
}
