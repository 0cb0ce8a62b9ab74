//! A PROXY header that is complete reads the same without what follows it, is partial without its last bytes, and is no
//! longer than it may be; one that is partial is shorter. One that is refused says why.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::server::proxy_protocol::{MAX_LENGTH, Reading, parse};

fuzz_target!(|bytes: &[u8]| {
    match parse(bytes) {
        Ok(complete @ Reading::Complete { length, .. }) => {
            assert!(length <= bytes.len() && length <= MAX_LENGTH);
            assert_eq!(parse(&bytes[..length]), Ok(complete));
            for end in 0..length {
                assert_eq!(parse(&bytes[..end]), Ok(Reading::Partial), "{end} of {length}");
            }
        }
        Ok(Reading::Partial) => assert!(bytes.len() < MAX_LENGTH),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
