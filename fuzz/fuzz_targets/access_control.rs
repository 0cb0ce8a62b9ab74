//! What a `PUT ?acl` or `PUT ?publicAccessBlock` says: a block that is read is written as one that reads the same; an ACL
//! is public in a header if it is in a body, and no grant to others makes a public one private.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::s3::acl::{body_grants_public_access, canned_is_public, grants_public_access};
use portcullis::s3::public_access_block::PublicAccessBlock;
use portcullis::s3::xml::MAX_ACL_BYTES;

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";

fuzz_target!(|input: (&[u8], &str, &str)| {
    let (body, value, other) = input;
    match PublicAccessBlock::parse(body) {
        Ok(block) => assert_eq!(PublicAccessBlock::parse(&block.to_xml()), Ok(block)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match body_grants_public_access(body) {
        // What follows the root says nothing, whatever that is.
        Ok(public) if !body.is_empty() && body.len() + 8 <= MAX_ACL_BYTES => {
            assert_eq!(body_grants_public_access(&[body, b"\n<!---->"].concat()), Ok(public));
        }
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    assert_eq!(canned_is_public(value), sent("x-amz-acl", value).unwrap_or(canned_is_public(value)), "{value:?}");

    for (kind, element) in [("id", "ID"), ("emailAddress", "EmailAddress"), ("uri", "URI")] {
        let Some(public) = sent("x-amz-grant-read", &format!("{kind}=\"{value}\"")) else { continue };
        // With these it may be a list of several.
        if !public && !value.contains([',', '"']) {
            assert_eq!(granted(&[(element, value)]), Ok(false), "{kind}={value}");
        }
        let list = format!("{kind}=\"{value}\",{other}");
        if let Some(both) = sent("x-amz-grant-write-acp", &list) {
            assert!(both || !public && sent("x-amz-grant-write-acp", other) != Some(true), "{list}");
        }
        assert_ne!(sent("x-amz-grant-read", &format!("{other},uri={ALL_USERS}")), Some(false), "{other}");
        assert_ne!(granted(&[(element, value), ("URI", ALL_USERS), ("ID", "75aa")]), Ok(false), "{value}");
    }
});

/// Whether one header grants to the public; `None` where no header has such a value.
fn sent(name: &'static str, value: &str) -> Option<bool> {
    let value = HeaderValue::from_str(value).ok()?;
    Some(grants_public_access(&HeaderMap::from_iter([(HeaderName::from_static(name), value)])))
}

/// Whether a body with these grants does.
fn granted(grantees: &[(&str, &str)]) -> Result<bool, String> {
    let mut body = "<AccessControlPolicy><AccessControlList>".to_owned();
    for (element, text) in grantees {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        body.push_str(&format!(
            "<Grant><Grantee><{element}>{text}</{element}></Grantee><Permission>READ</Permission></Grant>"
        ));
    }
    body.push_str("</AccessControlList></AccessControlPolicy>");
    body_grants_public_access(body.as_bytes()).map_err(|error| error.to_string())
}
