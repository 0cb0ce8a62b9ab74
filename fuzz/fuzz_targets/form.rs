//! Forms: however a body is split the form is the same, and so are the file and what is said of it; what comes out is
//! what went in, and the form does not end unless all of it is right.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portcullis::s3::form::{FileFault, FileScanner, Form, FormReader, SizeRange};

const TYPE: &str = "multipart/form-data; boundary=x";

fuzz_target!(|input: (bool, u16, u16, &[u8])| {
    let (with_head, cut, max, text) = input;
    let head: &[u8] = if with_head {
        b"--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk${filename}\r\n\
          --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n"
    } else {
        b""
    };
    let body = [head, text].concat();
    let cut = usize::from(cut).min(body.len());

    let whole = Form::parse(TYPE, &body);
    let mut reader = FormReader::new(TYPE).expect("a boundary");
    let first = body.get(..cut).expect("within the body");
    let split = match reader.read(first) {
        Ok(None) => reader.read(&body),
        read => read,
    };
    let Ok(form) = whole else {
        assert!(!matches!(split, Ok(Some(_))), "whole: {whole:?}, split: {split:?}");
        return;
    };
    assert_eq!(split, Ok(Some(form.clone())));

    let file = body.get(form.file_offset()..).expect("the head is in the body");
    let range = SizeRange { min: 1, max: u64::from(max) };
    let (given, verdict) = scan(&[file], range);
    let (left, right) = file.split_at(cut.min(file.len()));
    let (split_given, split_verdict) = scan(&[left, right], range);
    assert!(given.len() as u64 <= range.max && split_given.len() as u64 <= range.max);
    match (verdict, split_verdict) {
        (Ok(end), Ok(split_end)) => {
            assert_eq!((&given, &end), (&split_given, &split_end));
            assert_eq!([given.as_slice(), &end].concat(), file);
            assert!(!given.is_empty());
        }
        (Err(_), Err(_)) => assert!(!split_given.windows(3).any(|window| window == b"--x")),
        (verdict, split) => panic!("whole: {verdict:?}, in two parts: {split:?}"),
    }
});

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
