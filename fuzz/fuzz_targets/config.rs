//! `proxy.toml`: a file that is refused says what is wrong with it, in lines that it has, and one that is taken holds
//! what the server relies on having been checked.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use portcullis::config;
use portcullis::config::settings::Endpoint;
use portcullis::ownership::fixed::BucketPattern;
use portcullis::s3::address::Domains;

fuzz_target!(|text: &str| {
    // No such directory: relative paths lead nowhere.
    match config::parse(text, "proxy.toml", Path::new("/nowhere"), &|_| None) {
        Ok(loaded) => {
            let settings = loaded.settings;
            assert!(!settings.listen.addresses.is_empty() && settings.upstream.endpoints.len() == 1);
            Domains::parse(&settings.listen.domains).expect("base domains");
            for endpoint in &settings.upstream.endpoints {
                if let Endpoint::Http(uri) = endpoint {
                    portcullis::upstream::Endpoint::parse(&uri.to_string()).expect("an endpoint");
                }
            }
            for (name, _) in &settings.ownership.buckets {
                BucketPattern::parse(name).expect("a pattern");
            }
        }
        Err(invalid) => {
            let lines = text.lines().count().max(1);
            let mut count = 0;
            for problem in &invalid.problems {
                count += 1;
                assert!(!problem.to_string().is_empty());
                assert!(
                    problem.place.is_none_or(|place| (1..=lines + 1).contains(&place.line)),
                    "{problem} of {lines}"
                );
            }
            assert!(count > 0);
        }
    }
});
