//! Host and path: what parses prints to a path that parses to the same, and both styles agree on what they name.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::s3::address::{Address, AddressStyle, Domains, path_style_target};

fuzz_target!(|input: (Option<&str>, &str)| {
    let (host, path) = input;
    let domains = Domains::parse(["s3.example.com", "localhost"]).expect("two host names");
    let Ok((address, style)) = Address::parse(host, path, &domains) else { return };

    let printed = address.to_string();
    assert_eq!(Address::parse(None, &printed, &domains), Ok((address.clone(), AddressStyle::Path)), "{printed}");

    if let Some(bucket) = address.bucket() {
        let target = path_style_target(style, bucket, path);
        assert_eq!(Address::parse(None, &target, &domains), Ok((address, AddressStyle::Path)), "{target}");
    }
});
