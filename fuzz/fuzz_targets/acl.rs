//! The answer to `GET ?acl`: an owner that is found is whole, trimmed text, and reads the same from a plain ACL.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::s3::xml::{MAX_ACL_BYTES, acl_owner_id};

fuzz_target!(|document: &[u8]| {
    match acl_owner_id(document) {
        Ok(Some(id)) => {
            assert!(!id.is_empty() && id.trim() == id && document.len() <= MAX_ACL_BYTES, "{id:?}");
            let text = id.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#13;");
            let plain = format!("<AccessControlPolicy><Owner><ID>{text}</ID></Owner></AccessControlPolicy>");
            if plain.len() <= MAX_ACL_BYTES {
                assert_eq!(acl_owner_id(plain.as_bytes()), Ok(Some(id)), "{plain}");
            }
        }
        Ok(None) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
