//! An `Authorization` header that is accepted prints as one that reads the same, and so does its scope; its signed
//! headers come sorted, each once. One that is refused says why.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::auth::sigv4::{AuthorizationHeader, Kind, Scope};

fuzz_target!(|value: &str| {
    match AuthorizationHeader::parse(value) {
        Ok(header) => {
            let printed = header.to_string();
            assert_eq!(AuthorizationHeader::parse(&printed).as_ref(), Ok(&header), "{printed}");
            assert_eq!(Scope::parse(&header.scope.to_string(), Kind::Header), Ok(header.scope));
            assert!(header.signed_headers.is_sorted_by(|a, b| a.as_str() < b.as_str()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
