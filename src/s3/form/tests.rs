//! Forms whole and in pieces; the files in them.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const TYPE: &str = "Multipart/Form-Data; charset=utf-8; Boundary=x";

fn body(parts: &[(&str, &str)]) -> String {
    let part = |(parameters, value): &(&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; {parameters}\r\n\r\n{value}\r\n")
    };
    parts.iter().map(part).chain(["--x--\r\n".to_owned()]).collect()
}

fn form_of(parts: &[(&str, &str)]) -> Result<Form, String> {
    Form::parse(TYPE, body(parts).as_bytes()).map_err(|error| S3Error::from(error).code().to_string())
}

#[test]
fn the_key_has_the_files_name_filled_in() {
    for (key, file, found, certain) in [
        ("a/b", "name=\"file\"", "a/b", true),
        ("home/${filename}", "name=\"file\"; filename=\"cat.jpg\"", "home/cat.jpg", true),
        ("home/${filename}", "name=\"file\"; filename=\"100%.jpg\"", "home/100%.jpg", true),
        ("${filename}/${filename}", "name=\"File\"; filename=\"C:\\dir\\a.txt\"", "a.txt/a.txt", false),
        ("k${filename}", "filename=\"/x/y\" ; name=\"file\"", "ky", false),
        ("k${filename}", "filename=\"\" ; name=\"file\"", "k", false),
        ("k${filename}", "name=\"file\"", "k", false),
        ("k${filename}", "name=\"file\"; filename=\"${filename}\"", "k${filename}", false),
        ("k${filename}", "name=\"file\"; filename=\"a%22b\"", "ka%22b", false),
        ("a%2Fb+c", "name=\"file\"; filename=\"/x/y\"", "a%2Fb+c", true),
    ] {
        let form = form_of(&[("name=\"Key\"", key), (file, "data")]).unwrap();
        assert_eq!(form.key().as_str(), found, "{key} {file}");
        assert_eq!(form.check_sent_as_it_is().is_ok(), certain, "{key} {file}");
    }
}

#[test]
fn fields_count_up_to_the_file() {
    let parts = [
        ("name=\"key\"", "k"),
        ("name=\"ACL\"", "public-read"),
        ("name=\"x-amz-meta-name\"", "a ${filename}"),
        ("name=\"file\"; filename=\"f\"", "--y\r\n"),
        ("name=\"tagging\"", "x"),
    ];
    let whole = body(&parts).into_bytes();
    let form = Form::parse("multipart/form-data; boundary=\"x\"", &whole).unwrap();
    assert_eq!(form.iter().collect::<Vec<_>>(), [("key", "k"), ("acl", "public-read"), ("x-amz-meta-name", "a f")]);
    assert_eq!((form.get("acl"), form.get("tagging")), (Some("public-read"), None));
    assert_eq!(form.check_sent_as_it_is(), Ok(()));
    assert!(whole[form.file_offset()..].starts_with(b"--y\r\n"));
    let spans: Vec<&[u8]> = form.fields.iter().map(|field| &whole[field.span.clone()]).collect();
    assert_eq!([spans.concat(), whole[form.file_head.clone()].to_vec()].concat(), &whole[..form.file_offset()]);
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let file = ("name=\"file\"", "data");
    let key = ("name=\"key\"", "k");
    for (parts, code) in [
        (vec![file], "InvalidArgument"),
        (vec![file, key], "InvalidArgument"),
        (vec![key], "InvalidArgument"),
        (vec![key, ("name=\"KEY\"", "k"), file], "InvalidArgument"),
        (vec![key, ("name=\"X-Amz-Acl\"", "public-read"), file], "InvalidArgument"),
        (vec![key, ("name=\"x-amz-grant-read\"", "id=\"1\""), file], "InvalidArgument"),
        (vec![key, ("name=\"x-amz-tagging\"", "a=b"), file], "InvalidArgument"),
        (vec![key, ("name=\"_charset_\"", "utf-16"), file], "InvalidArgument"),
        (vec![("name=key", "k"), file], "MalformedPOSTRequest"),
        (vec![("name=\"key\"", "k\n--x\r\n"), file], "MalformedPOSTRequest"),
        (vec![("name=\"key\"", "\u{feff}k"), file], "MalformedPOSTRequest"),
        (vec![("name=\"key\"\r\nContent-Type: text/plain; charset=utf-16be", "kk"), file], "MalformedPOSTRequest"),
        (vec![("name=\"key\"", ""), file], "InvalidURI"),
        (vec![("name=\"key\"", "../k"), file], "InvalidURI"),
        (vec![("name=\"key\"", "${filename}"), ("name=\"file\"; filename=\"..\"", "")], "InvalidURI"),
    ] {
        assert_eq!(form_of(&parts).map(drop), Err(code.to_owned()), "{parts:?}");
    }
    assert!(form_of(&[key, ("name=\"_charset_\"", "UTF-8"), file]).is_ok());
    for (content_type, text) in [
        ("multipart/form-data; boundary=\"a b\"", "--a b\r\n"),
        ("multipart/form-data", "--x\r\n"),
        ("multipart/form-data; boundary=x; boundary=y", ""),
        ("multipart/form-data; boundary=x; boundary*=utf-8''y", ""),
        ("multipart/form-data; boundary=x; boundary*0=y", ""),
        ("multipart/form-datax; boundary=x", ""),
    ] {
        assert_eq!(Form::parse(content_type, text.as_bytes()), Err(FormError::NoBoundary), "{content_type}");
    }
    for text in ["", "x--x\r\n", "--xy\r\n", "--x-", "\r\r\n--x\r\n"] {
        assert!(Form::parse(TYPE, text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn no_more_is_read_than_a_form_may_have() {
    let with_key = |length: usize| body(&[("name=\"key\"", &"k".repeat(length)), ("name=\"file\"", "data")]);
    let error = |length| Form::parse(TYPE, with_key(length).as_bytes()).unwrap_err();
    assert_eq!(error(MAX_FORM_BYTES), FormError::TooLong);
    // The key is too long for one, but the form is not.
    assert!(matches!(error(MAX_FORM_BYTES / 2), FormError::Key(_)));
    let answer = S3Error::from(FormError::TooLong);
    assert_eq!((answer.code(), answer.status().as_u16()), (ErrorCode::MaxPostPreDataLengthExceeded, 400));
}

/// What comes out of a file, and how it ends.
fn scan(pieces: &[&[u8]], range: SizeRange) -> (Vec<u8>, Result<Bytes, FileFault>) {
    let mut scanner = FileScanner::new("x", range);
    let mut file = Vec::new();
    for piece in pieces {
        if let Err(fault) = scanner.push(Bytes::copy_from_slice(piece), |data| file.extend_from_slice(&data)) {
            return (file, Err(fault));
        }
    }
    let end = scanner.finish();
    (file, end)
}

const BUTTON: &str = "\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\nUpload";

#[test]
fn the_file_ends_with_the_form() {
    for (text, file) in [
        ("data\r\n--x--\r\n", Ok("data")),
        ("data\r\n--x--", Ok("data")),
        ("\r\n--x--\r\n", Ok("")),
        ("\r\n\r\n--x-- \t\r\n\r\n  \r\n", Ok("\r\n")),
        ("a\r\n-x\r\n--y--\r\n--\r\n--x--", Ok("a\r\n-x\r\n--y--\r\n--")),
        (&format!("data\r\n--x{BUTTON}\r\n--x--\r\n"), Ok("data")),
        (&format!("data\r\n--x{BUTTON}\r\n--x{}\r\n--x--\r\n", BUTTON.replace("submit", "X-Ignore-1")), Ok("data")),
        (&format!("data\r\n--x{}\r\n--x--\r\n", BUTTON.replace("submit", "key")), Err("InvalidArgument")),
        (&format!("data\r\n--x{}\r\n--x--\r\n", BUTTON.replace("submit", "file")), Err("InvalidArgument")),
        (&format!("data\r\n--x{BUTTON}\r\n"), Err("MalformedPOSTRequest")),
        (&format!("data\r\n--x{BUTTON}\n--x\r\n--x--\r\n"), Err("MalformedPOSTRequest")),
        (&format!("data\r\n--x--{}", "\r\n".repeat(MAX_TAIL_BYTES)), Err("MalformedPOSTRequest")),
        ("--x--\r\n", Err("MalformedPOSTRequest")),
        ("data\n--x--\r\n", Err("MalformedPOSTRequest")),
        ("data --x\r\n--x--\r\n", Err("MalformedPOSTRequest")),
        ("data\r\n--x--\r\n\r\n--x\r\n", Err("MalformedPOSTRequest")),
        ("data\r\n--x--more", Err("MalformedPOSTRequest")),
        ("data\r\n--xy--\r\n", Err("MalformedPOSTRequest")),
        ("data\r\n--x", Err("MalformedPOSTRequest")),
        ("data\r\n--x-", Err("MalformedPOSTRequest")),
        ("data", Err("MalformedPOSTRequest")),
        ("", Err("MalformedPOSTRequest")),
    ] {
        let (given, end) = scan(&[text.as_bytes()], SizeRange::ANY);
        let whole = [given.as_slice(), end.as_deref().unwrap_or_default()].concat();
        match file {
            Ok(file) => {
                assert_eq!(given, file.as_bytes(), "{text:?}");
                assert_eq!(whole, text.as_bytes(), "{text:?}");
            }
            Err(code) => {
                assert_eq!(S3Error::from(end.unwrap_err()).code().name(), code, "{text:?}");
                assert!(!given.windows(3).any(|window| window == b"--x"), "{text:?}");
            }
        }
    }
}

#[test]
fn the_size_is_judged_before_the_form_is_whole() {
    for (size, min, max, code) in [
        (5, 5, 10, None),
        (10, 5, 10, None),
        (4, 5, 10, Some("EntityTooSmall")),
        (11, 5, 10, Some("EntityTooLarge")),
        (0, 0, 0, None),
        (1, 0, 0, Some("EntityTooLarge")),
    ] {
        let text = format!("{}\r\n--x--\r\n", "d".repeat(size));
        let (given, end) = scan(&[text.as_bytes()], SizeRange { min, max });
        assert_eq!(end.map_err(|fault| S3Error::from(fault).code().name()).err(), code, "{size} of {min}-{max}");
        assert!(given.len() as u64 <= max);
    }
    // Long before the end is there.
    let mut scanner = FileScanner::new("x", SizeRange { min: 0, max: 10 });
    let fault = scanner.push(Bytes::from(vec![b'd'; 100]), |_| panic!("nothing of it is wanted")).unwrap_err();
    let error = S3Error::from(fault);
    assert_eq!((error.code(), error.fields()[1].1.as_str()), (ErrorCode::EntityTooLarge, "10"));
    assert_eq!(SizeRange { min: 1, max: 9 }.and(SizeRange { min: 0, max: 5 }), SizeRange { min: 1, max: 5 });
}

/// Texts of what a form's end is made of.
fn tail_like() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just("\r\n--x"),
        Just("--x"),
        Just("--"),
        Just("-"),
        Just("x"),
        Just("\r\n"),
        Just("\r"),
        Just("\n"),
        Just("data"),
        Just("\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\nok"),
    ];
    proptest::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat().into_bytes())
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_the_same_file_and_the_same_verdict(
        text in tail_like(),
        is_whole in any::<bool>(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        max in 0_u64..40,
    ) {
        let text = if is_whole { [&text[..], b"\r\n--x--\r\n"].concat() } else { text };
        let range = SizeRange { min: 2, max };
        let (whole, verdict) = scan(&[&text], range);
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).chain([0, text.len()]).collect();
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect();
        let (given, split_verdict) = scan(&pieces, range);
        match (&verdict, &split_verdict) {
            (Ok(end), Ok(split_end)) => {
                prop_assert_eq!(&whole, &given);
                prop_assert_eq!(end, split_end);
                prop_assert_eq!([&given[..], end].concat(), text);
            }
            // Sooner or later it is known, and of two faults either may be seen first.
            (Err(_), Err(_)) => prop_assert!(!given.windows(3).any(|window| window == b"--x")),
            (whole, split) => prop_assert!(false, "whole: {whole:?}, in pieces: {split:?}"),
        }
    }

    #[test]
    fn a_form_in_pieces_is_the_same_form(cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let text = body(&[
            ("name=\"key\"", "home/${filename}"),
            ("name=\"acl\"\r\nContent-Type: text/plain", "private\r\n--"),
            ("name=\"file\"; filename=\"f\"", "data"),
        ]);
        let form = Form::parse(TYPE, text.as_bytes()).unwrap();
        let mut reader = FormReader::new(TYPE).unwrap();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        at.sort_unstable();
        for cut in at.into_iter().filter(|&cut| cut < form.file_offset()) {
            prop_assert_eq!(reader.read(&text.as_bytes()[..cut]), Ok(None));
        }
        prop_assert_eq!(reader.read(&text.as_bytes()[..form.file_offset()]), Ok(Some(form)));
    }
}
