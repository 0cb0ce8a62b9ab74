use http::Request;
use proptest::prelude::*;

use super::*;

fn domains() -> Domains {
    Domains::parse(["s3.example.com", "EU.s3.example.com", "localhost"]).unwrap()
}

fn bucket(name: &str) -> Address {
    Address::Bucket(BucketName::parse(name).unwrap())
}

fn object(name: &str, key: &str) -> Address {
    Address::Object { bucket: BucketName::parse(name).unwrap(), key: ObjectKey::parse(key).unwrap() }
}

#[test]
fn the_host_decides_the_style() {
    use AddressStyle::{Path, VirtualHosted};
    let rows = [
        (None, "/photos/a", object("photos", "a"), Path),
        (Some(""), "/photos", bucket("photos"), Path),
        (Some("s3.example.com"), "/", Address::Service, Path),
        (Some("S3.Example.COM:9000"), "/photos", bucket("photos"), Path),
        (Some("s3.example.com."), "/photos", bucket("photos"), Path),
        (Some("eu.s3.example.com"), "/photos", bucket("photos"), Path),
        (Some("photos.s3.example.com"), "/", bucket("photos"), VirtualHosted),
        (Some("PHOTOS.s3.example.com.:443"), "/photos", object("photos", "photos"), VirtualHosted),
        (Some("a.b.c.s3.example.com"), "/k", object("a.b.c", "k"), VirtualHosted),
        (Some("photos.eu.s3.example.com"), "/k", object("photos", "k"), VirtualHosted),
        (Some("photos.localhost:9000"), "//k", object("photos", "/k"), VirtualHosted),
        (Some("xs3.example.com"), "/photos/k", object("photos", "k"), Path),
        (Some("s3.example.com.evil.org"), "/photos/k", object("photos", "k"), Path),
        (Some("127.0.0.1:9000"), "/photos/k", object("photos", "k"), Path),
        (Some("[::1]:9000"), "/photos/k", object("photos", "k"), Path),
        (Some("other.host"), "/photos/", bucket("photos"), Path),
    ];
    for (host, path, address, style) in rows {
        assert_eq!(Address::parse(host, path, &domains()), Ok((address, style)), "{host:?} {path}");
    }
}

#[test]
fn a_path_is_split_first_and_decoded_once_after() {
    let rows = [
        ("/photos/a//b", object("photos", "a//b")),
        ("/photos/a%2Fb", object("photos", "a/b")),
        ("/photos/../x", object("photos", "../x")),
        ("/photos/./..", object("photos", "./..")),
        ("/photos/a+b%20c", object("photos", "a+b c")),
        ("/photos/%2B%2b", object("photos", "++")),
        ("/photos/%252F", object("photos", "%2F")),
        ("/photos/%C3%BCn%c3%af", object("photos", "ünï")),
        ("/photos/ünï", object("photos", "ünï")),
        ("/photos/policy", object("photos", "policy")),
        ("/photos/a/", object("photos", "a/")),
        ("/photos//", object("photos", "/")),
        ("/photos/%00", object("photos", "\0")),
        ("/%70hotos/k", object("photos", "k")),
    ];
    for (path, address) in rows {
        assert_eq!(Address::parse(None, path, &Domains::default()), Ok((address, AddressStyle::Path)), "{path}");
    }
}

#[test]
fn what_cannot_exist_is_refused_with_s3s_code() {
    let long = format!("/photos/{}", "k".repeat(1025));
    let rows = [
        (None, "", "InvalidURI"),
        (None, "*", "InvalidURI"),
        (None, "photos/k", "InvalidURI"),
        (None, "/photos/%", "InvalidURI"),
        (None, "/photos/%2", "InvalidURI"),
        (None, "/photos/%zz", "InvalidURI"),
        (None, "/photos/%%32F", "InvalidURI"),
        (None, "/photos/%FF", "InvalidURI"),
        (None, "/photos/%C3", "InvalidURI"),
        (None, "/photos/%ED%A0%80", "InvalidURI"),
        (None, "/%", "InvalidURI"),
        (None, "/ab", "InvalidBucketName"),
        (None, "/5e0f5e0f5e0f5e0f5e0f5e0f5e0f5e0f5e0f5e0f5e0f5e0f5e0f5e0f5e0f5E0F/k", "InvalidBucketName"),
        (None, "//k", "InvalidBucketName"),
        (None, "/photos%2Fa", "InvalidBucketName"),
        (None, "/pho%20tos", "InvalidBucketName"),
        (Some(".s3.example.com"), "/k", "InvalidBucketName"),
        (Some("*.s3.example.com"), "/k", "InvalidBucketName"),
        (None, long.as_str(), "KeyTooLongError"),
    ];
    for (host, path, code) in rows {
        let error = Address::parse(host, path, &domains()).expect_err(path);
        assert_eq!(S3Error::from(error).code().name(), code, "{host:?} {path}");
    }
    let longest = format!("/photos/{}", "%C3%BC".repeat(512));
    assert!(Address::parse(None, &longest, &domains()).is_ok());
}

#[test]
fn a_virtual_hosted_path_is_rebuilt_without_touching_the_key() {
    let photos = BucketName::parse("photos").unwrap();
    let rows = [
        (AddressStyle::VirtualHosted, "/a%2Fb//c+%zz", "/photos/a%2Fb//c+%zz"),
        (AddressStyle::VirtualHosted, "/", "/photos/"),
        (AddressStyle::Path, "/photos/a%2fb", "/photos/a%2fb"),
    ];
    for (style, raw, target) in rows {
        assert_eq!(path_style_target(style, &photos, raw), target, "{style:?} {raw}");
    }
}

#[test]
fn the_authority_comes_from_the_target_or_the_only_host_and_both_agree() {
    type Row<'a> = (&'a str, &'a [&'a str], Result<Option<&'a str>, AddressError>);
    let rows: [Row<'_>; 10] = [
        ("/k", &[], Ok(None)),
        ("/k", &["a.org:1"], Ok(Some("a.org:1"))),
        ("http://b.org:2/k", &[], Ok(Some("b.org:2"))),
        ("http://b.org:2/k", &["B.org:2"], Ok(Some("b.org:2"))),
        ("http://b.org:2/k", &["a.org"], Err(AddressError::AmbiguousHost)),
        ("http://b.org/k", &["b.org", "b.org"], Err(AddressError::AmbiguousHost)),
        ("/k", &["a.org", "c.org"], Err(AddressError::AmbiguousHost)),
        ("/k", &["a.org", "a.org"], Err(AddressError::AmbiguousHost)),
        ("/k", &["ü"], Err(AddressError::AmbiguousHost)),
        ("http://user@b.org/k", &[], Err(AddressError::AmbiguousHost)),
    ];
    for (target, hosts, authority) in rows {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header("Host", host.as_bytes());
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.headers.insert("x-forwarded-host", "evil.org".parse().unwrap());
        assert_eq!(authority_of(&parts), authority, "{target} {hosts:?}");
    }
}

#[test]
fn domains_are_host_names_without_ports() {
    for text in ["", ".", "a.", ".a", "a..b", "a:9000", "http://a", "a/b", "10.0.0.1", "[::1]", "*.a", "ü.org"] {
        assert_eq!(Domains::parse(["ok.org", text]), Err(InvalidDomain(text.to_owned())), "{text}");
    }
    assert_eq!(Domains::parse(["A.org", "s3_x.1-2.net"]).unwrap().0, ["a.org", "s3_x.1-2.net"]);
}

proptest! {
    #[test]
    fn a_printed_address_parses_to_itself(name in "[A-Za-z0-9._-]{3,63}", key in any::<String>()) {
        let name = BucketName::parse(&name).unwrap();
        let address = match ObjectKey::parse(&key) {
            Ok(key) => Address::Object { bucket: name, key },
            Err(_) => Address::Bucket(name),
        };
        let printed = address.to_string();
        prop_assert_eq!(Address::parse(None, &printed, &domains()), Ok((address, AddressStyle::Path)));
    }

    #[test]
    fn both_styles_name_the_same_thing(name in "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", path in "/[ -~]{0,40}") {
        let host = format!("{name}.s3.example.com");
        // `x.eu` is a bucket of the inner domain; `eu` is that domain.
        prop_assume!(!name.ends_with(".eu") && name != "eu");
        let name = BucketName::parse(&name).unwrap();
        let target = path_style_target(AddressStyle::VirtualHosted, &name, &path);
        let hosted = Address::parse(Some(&host), &path, &domains()).map(|(address, _)| address);
        let by_path = Address::parse(None, &target, &domains()).map(|(address, _)| address);
        prop_assert_eq!(hosted, by_path);
    }
}
