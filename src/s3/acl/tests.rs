use http::{HeaderName, HeaderValue};

use super::*;

const ALL: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOGS: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

#[test]
fn canned_acls_are_public_unless_they_are_known_not_to_be() {
    for (value, public) in [
        ("private", false),
        ("aws-exec-read", false),
        ("bucket-owner-read", false),
        ("bucket-owner-full-control", false),
        ("log-delivery-write", false),
        ("", false),
        (" \t", false),
        (" private ", false),
        ("Private", false),
        ("public-read", true),
        ("public-read-write", true),
        ("authenticated-read", true),
        ("PUBLIC-READ", true),
        (" public-read\t", true),
        ("public-read-delivered", true),
        ("private,public-read", true),
        ("private\u{a0}", true),
        ("privat", true),
        ("*", true),
    ] {
        assert_eq!(canned_is_public(value), public, "{value:?}");
    }
}

#[test]
fn every_value_of_every_header_counts() {
    type Sent<'a> = &'a [(&'static str, &'a [u8])];
    let rows: [(Sent<'_>, bool); 14] = [
        (&[], false),
        (&[("x-amz-acl", b"private")], false),
        (&[("x-amz-acl", b"")], false),
        (&[("x-amz-acl", b"public-read")], true),
        (&[("x-amz-acl", b"private"), ("x-amz-acl", b"public-read")], true),
        (&[("x-amz-acl", b"private\xff")], true),
        (&[("x-amz-acl", b"private"), ("x-amz-grant-read", b"id=1")], false),
        (&[("x-amz-acl", b"private"), ("x-amz-grant-read-acp", b"uri=x")], true),
        (&[("x-amz-grant-write", b"id=1"), ("x-amz-grant-write", b"id=2"), ("x-amz-grant-write", b"uri=x")], true),
        (&[("x-amz-grant-write-acp", b"uri=x")], true),
        (&[("x-amz-grant-full-control", b"uri=x")], true),
        (&[("x-amz-grant-of-a-store-s-own", b"uri=x")], true),
        (&[("x-amz-grantee", b"uri=x"), ("x-amz-meta-acl", b"public-read"), ("acl", b"public-read")], false),
        (&[("x-amz-grant-read", b"id=\xff")], true),
    ];
    for (sent, public) in rows {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        assert_eq!(grants_public_access(&headers), public, "{sent:?}");
    }
}

#[test]
fn grants_in_headers_are_public_unless_they_are_known_not_to_be() {
    for (list, public) in [
        ("", false),
        (" , ", false),
        ("id=\"75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a\"", false),
        ("id=75aa", false),
        ("ID = \"75aa\" , Id=76bb,", false),
        ("emailAddress=\"xyz@example.com\"", false),
        ("emailaddress=allusers@example.com", false),
        ("id=\"75aa\", emailAddress=xyz@example.com", false),
        (&format!("uri=\"{LOGS}\""), false),
        ("URI=HTTPS://ACS.amazonaws.com/groups/S3/logdelivery", false),
        (&format!("uri=\"{ALL}\""), true),
        (&format!("uri={ALL}"), true),
        (&format!("URI=\"{AUTHENTICATED}\""), true),
        ("uri=\"https://acs.amazonaws.com/groups/global/AllUsers\"", true),
        ("uri=\"HTTP://ACS.AMAZONAWS.COM/GROUPS/GLOBAL/ALLUSERS\"", true),
        ("Uri = https://acs.amazonaws.com/groups/global/authenticatedusers", true),
        (&format!("id=\"75aa\",uri=\"{ALL}\""), true),
        (&format!("uri=\"{LOGS}\", uri=\"{ALL}\""), true),
        // A group of one store alone.
        ("uri=\"http://acs.amazonaws.com/groups/s3/AuthenticatedUsers\"", true),
        (&format!("uri=\"{LOGS}/\""), true),
        (&format!("uri=\"{LOGS}#{ALL}\""), true),
        ("uri=ftp://acs.amazonaws.com/groups/s3/LogDelivery", true),
        // Everybody by another name.
        (&format!("id=\"{ALL}\""), true),
        ("id=all-users", true),
        ("id=all_users", true),
        ("id=AuthenticatedUsers", true),
        ("id=anonymous", true),
        ("id=65a011a29cdf8ec533ec3d1ccaae921c", true),
        ("id=*", true),
        (&format!("emailAddress=\"{ALL}\""), true),
        (&format!("emailAddress=\"x@{ALL}\""), true),
        // What two may read differently.
        ("75aa", true),
        ("id:75aa", true),
        ("id=", true),
        ("id=\"\"", true),
        ("id=\"75aa", true),
        ("id=75aa\"", true),
        ("id='75aa'", true),
        ("id=\"75\\\"aa\"", true),
        ("id=\"75aa\"\"76bb\"", true),
        (&format!("id=\"75aa,uri={LOGS},76bb\""), true),
        ("id=75aa 76bb", true),
        ("id=75aa;uri=x", true),
        ("id==75aa", true),
        ("group=staff", true),
        ("=75aa", true),
        ("id=%41llUsers", true),
    ] {
        assert_eq!(grantees_are_public(list), public, "{list}");
    }
}

fn grant(grantee: &str) -> String {
    format!(
        "<Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"Group\">{grantee}</Grantee>\
         <Permission>READ</Permission></Grant>"
    )
}

fn policy(grants: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<AccessControlPolicy \
         xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n <Owner><ID>75aa</ID><DisplayName>me</DisplayName>\
         </Owner>\n <AccessControlList>{grants}</AccessControlList>\n</AccessControlPolicy>\n"
    )
}

#[test]
fn grants_in_bodies_are_public_unless_they_are_known_not_to_be() {
    let owner = grant("<ID>75aa</ID><DisplayName>AllUsers</DisplayName>");
    for (grants, public) in [
        (String::new(), false),
        (owner.clone(), false),
        (grant("<EmailAddress>xyz@example.com</EmailAddress>"), false),
        (grant(&format!("<URI>{LOGS}</URI>")), false),
        (grant(&format!("<URI>\n {LOGS} </URI>")), false),
        (format!("{owner}<!-- {} -->", grant(&format!("<URI>{ALL}</URI>"))), false),
        (grant(&format!("<URI>{ALL}</URI>")), true),
        (grant(&format!("<URI>\n  {AUTHENTICATED}\n</URI>")), true),
        (grant("<URI>https://acs.amazonaws.com/groups/global/allusers</URI>"), true),
        (grant("<URI>http://acs.amazonaws.com/groups/global/&#65;llUsers</URI>"), true),
        (grant(&format!("<URI><![CDATA[{ALL}]]></URI>")), true),
        (grant("<URI>http://example.com/staff</URI>"), true),
        (grant("<URI/>"), true),
        (grant(&format!("<ID>{ALL}</ID>")), true),
        (grant("<ID>anonymous</ID>"), true),
        (grant("<ID>ünï</ID>"), true),
        (grant(&format!("<ID>75aa</ID><URI>{ALL}</URI>")), true),
        (format!("{owner}{}{owner}", grant(&format!("<URI>{ALL}</URI>"))), true),
        (format!("<Grant><Permission>X</Permission> <Grantee><URI>{ALL}</URI></Grantee></Grant>"), true),
    ] {
        assert_eq!(body_grants_public_access(policy(&grants).as_bytes()), Ok(public), "{grants}");
    }
    assert_eq!(body_grants_public_access(b""), Ok(false));
}

#[test]
fn a_body_that_is_not_read_for_certain_is_refused() {
    let all = format!("<URI>{ALL}</URI>");
    for body in [
        " ".to_owned(),
        "private".to_owned(),
        "<AccessControlPolicy/>".to_owned(),
        "<AccessControlPolicy><Owner><ID>1</ID></Owner></AccessControlPolicy>".to_owned(),
        "<AccessControlList/>".to_owned(),
        policy("x"),
        policy("<Grant/>"),
        policy("<Grant><Permission>READ</Permission></Grant>"),
        policy("<Grant><Grantee><ID>1</ID></Grantee></Grant>"),
        policy(&grant("")),
        policy(&grant("<DisplayName>me</DisplayName>")),
        policy(&grant("1")),
        policy(&grant("<ID>1</ID><ID>2</ID>")),
        policy(&grant("<ID>1</ID><Uri>x</Uri>")),
        policy(&grant("<ID><URI>x</URI></ID>")),
        policy(&grant("<ID>1<!-- -->2</ID>")),
        policy(&grant(&format!("<s3:URI>{ALL}</s3:URI>"))),
        policy(&format!("<s3:Grant>{all}</s3:Grant>")),
        policy(&grant("<URI>&all;</URI>")),
        policy("<Grant><Grantee><ID>1</ID></Grantee><Grantee><ID>2</ID></Grantee><Permission/></Grant>"),
        policy("<Grant><Grantee><ID>1</ID></Grantee><Permission/><Permission/></Grant>"),
        policy("<Grants/>"),
        policy(&policy("")),
        policy("</AccessControlList><AccessControlList>"),
        policy("</AccessControlList><Owner/><AccessControlList>"),
        policy("").replace("UTF-8", "UTF-16"),
        policy("").replace("<AccessControlPolicy", "<!DOCTYPE a><AccessControlPolicy"),
        format!("{}{}", policy(""), policy("").replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "")),
        policy("").replace("</AccessControlPolicy>", ""),
    ] {
        let error = body_grants_public_access(body.as_bytes()).expect_err(&body);
        assert_eq!(S3Error::from(error).code(), ErrorCode::MalformedXML, "{body}");
    }
    assert!(body_grants_public_access(b"<AccessControlPolicy>\xff</AccessControlPolicy>").is_err());
    let padded = |bytes: usize| format!("{}{}", policy(""), " ".repeat(bytes - policy("").len()));
    assert_eq!(body_grants_public_access(padded(MAX_ACL_BYTES).as_bytes()), Ok(false));
    let error = body_grants_public_access(padded(MAX_ACL_BYTES + 1).as_bytes()).unwrap_err();
    assert_eq!(S3Error::from(error).code(), ErrorCode::MaxMessageLengthExceeded);
}
