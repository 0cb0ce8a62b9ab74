//! Ways around a decision that were found in other gateways, or could be thought of: none of them leads to the store.

use portcullis::{Enforcement, Handler, KeyRule, PassThrough};

use super::super::support::stack::Stack;
use super::super::support::{Caller, request, signed};
use super::{DENIED, preserving, resigning};

/// Bob may read and write below `home/bob/` and list it, and nothing else.
const HOME: &str = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":["s3:GetObject","s3:PutObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::photos/home/bob/*"},
    {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::photos","Condition":{"StringLike":{"s3:prefix":"home/bob/*"}}}"#;

#[tokio::test]
async fn no_spelling_of_a_path_leads_out_of_what_is_granted() {
    for stack in [preserving(), resigning()] {
        let stack = stack.with_policy(HOME).await;
        for (target, verdict) in [
            ("/photos/home/bob/a", "200"),
            ("/photos/home/bob/a/", "200"),
            ("/photos/home%2Fbob%2Fa", "200"),
            ("/photos/home/bob//a", "200"),
            ("/photos/%68ome/bob/a", "200"),
            // To S3 these are keys like any other, and to a store of files they are somebody else's.
            ("/photos/home/bob/../eve/a", "400 InvalidURI"),
            ("/photos/home/bob/%2e%2e/eve/a", "400 InvalidURI"),
            ("/photos/home/bob/.%2E/eve/a", "400 InvalidURI"),
            ("/photos/home/bob%2F..%2Feve/a", "400 InvalidURI"),
            ("/photos/home/bob/./../eve/a", "400 InvalidURI"),
            ("/photos/home/./bob/a", "400 InvalidURI"),
            ("/photos/home/bob/..", "400 InvalidURI"),
            ("/photos/../theirs/a", "400 InvalidURI"),
            ("/photos/%2e%2e/theirs/a", "400 InvalidURI"),
            // Decoded once: a key with a percent sign in it.
            ("/photos/home/bob/%252e%252e/eve", "200"),
            ("/photos/home%252Fbob/a", DENIED),
            ("//photos/home/bob/a", "400 InvalidBucketName"),
            ("/photos//home/bob/a", DENIED),
            ("/photos/Home/bob/a", DENIED),
            ("/photos/home/BOB/a", DENIED),
            ("/photos/home/bob", DENIED),
            ("/photos/home/bobby/a", DENIED),
            ("/photos/home\\bob\\a", DENIED),
            ("/photos/home/bob/%zz", "400 InvalidURI"),
            ("/photos/home/bob/%ff", "400 InvalidURI"),
            ("/photos%2Fhome/bob/a", "400 InvalidBucketName"),
            ("/photos%00/home/bob/a", "400 InvalidBucketName"),
        ] {
            assert_eq!(stack.verdict("bob", "GET", target, &[]).await, verdict, "{target}");
        }
    }
}

#[tokio::test]
async fn a_store_of_files_is_never_asked_for_a_key_that_is_another_file() {
    let store = std::sync::Arc::new(portcullis::store::MemoryStore::default());
    let handler = Handler::Store(store.clone());
    let stack = Stack::build(store, handler, PassThrough::AsSent, Enforcement::Enforce, KeyRule::OneFile);
    let stack = stack.with_policy(HOME).await;
    for (method, target, verdict) in [
        ("GET", "/photos/home/bob/a", "200"),
        ("GET", "/photos/home/bob//a", "400 InvalidURI"),
        ("GET", "/photos//home/bob/a", "400 InvalidURI"),
        ("GET", "/photos/home/bob/a/", "400 InvalidURI"),
        ("PUT", "/photos/home/bob/a/", "200"),
        ("DELETE", "/photos/home/bob/a/", "200"),
        ("PUT", "/photos/home/bob//", "400 InvalidURI"),
    ] {
        assert_eq!(stack.verdict("bob", method, target, &[]).await, verdict, "{method} {target}");
    }
}

#[tokio::test]
async fn no_parameter_of_a_path_makes_it_another_to_a_servlet() {
    let deny = r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::photos/secret"}"#;
    let preserved = preserving().with_policy(deny).await;
    assert_eq!(preserved.verdict("dan", "GET", "/photos/secret", &[]).await, DENIED);
    assert_eq!(preserved.verdict("dan", "GET", "/photos/secret;x", &[]).await, "400 InvalidURI");
    assert_eq!(preserved.verdict("dan", "GET", "/photos/secret%3Bx", &[]).await, "200");
    let anew = resigning().with_policy(deny).await;
    assert_eq!(anew.verdict("dan", "GET", "/photos/secret;x", &[]).await, "200");
    let (seen, _) = anew.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.extensions().get::<portcullis::s3::forward::Resign>().unwrap().path, "/photos/secret%3Bx");
}

#[tokio::test]
async fn no_spelling_of_a_query_asks_for_more_than_is_granted() {
    for stack in [preserving(), resigning()] {
        let stack = stack.with_policy(HOME).await;
        for (method, target, verdict) in [
            ("GET", "/photos?prefix=home/bob/", "200"),
            ("GET", "/photos?prefix=home/bob/&prefix=", "400 InvalidArgument"),
            ("GET", "/photos?prefix=&prefix=home/bob/", "400 InvalidArgument"),
            ("GET", "/photos?prefix=home/bob/;prefix=", "400 InvalidURI"),
            ("GET", "/photos?Prefix=home/bob/", DENIED),
            ("GET", "/photos?prefix=home%252Fbob%252F", DENIED),
            ("GET", "/photos?prefix=%68ome/bob/", "200"),
            ("GET", "/photos?prefix=home/bob/&versions", DENIED),
            ("GET", "/photos?prefix=home/bob/&uploads", DENIED),
            ("GET", "/photos?prefix=home/bob/&acl", DENIED),
            ("GET", "/photos?prefix=home/bob/&acl&cors", "400 InvalidArgument"),
            ("GET", "/photos/home/bob/a?acl", DENIED),
            ("GET", "/photos/home/bob/a?acl=", DENIED),
            ("GET", "/photos/home/bob/a?acl=x", "400 InvalidArgument"),
            ("GET", "/photos/home/bob/a?%61cl", DENIED),
            ("GET", "/photos/home/bob/a?x=1&acl", DENIED),
            ("GET", "/photos/home/bob/a?x=1;acl", "400 InvalidURI"),
            ("GET", "/photos/home/bob/a?ACL", "400 InvalidArgument"),
            ("GET", "/photos/home/bob/a?Acl=", "400 InvalidArgument"),
            ("GET", "/photos/home/bob/a?something-new", "400 InvalidArgument"),
            ("GET", "/photos/home/bob/a?versionId=1", DENIED),
            ("GET", "/photos/home/bob/a?versionId=1&versionId=2", "400 InvalidArgument"),
            ("GET", "/photos/home/bob/a?versionId=", "400 InvalidArgument"),
            ("GET", "/photos/home/bob/a?versionid=1", "200"),
            ("DELETE", "/photos/home/bob/a?tagging", DENIED),
            ("DELETE", "/photos/home/bob/a?uploadId=", "400 InvalidArgument"),
            ("DELETE", "/photos/home/bob/a?uploadId=1", DENIED),
            ("PUT", "/photos/home/bob/a?uploadId=1", "400 InvalidArgument"),
            ("PUT", "/photos/home/bob/a?x-amz-acl=public-read", "400 InvalidArgument"),
            ("PUT", "/photos/home/bob/a?X-Amz-Copy-Source=theirs/a", "400 InvalidArgument"),
            ("DELETE", "/photos?acl", "405 MethodNotAllowed"),
            ("DELETE", "/photos?policy=x&acl", "400 InvalidArgument"),
            ("PUT", "/photos?policy&policy", "400 InvalidArgument"),
            ("PUT", "/photos?Policy", "400 InvalidArgument"),
            ("PUT", "/photos?%70olicy", DENIED),
            ("GET", "/photos?prefix=%zz", "400 InvalidURI"),
        ] {
            assert_eq!(stack.verdict("bob", method, target, &[]).await, verdict, "{method} {target}");
        }
    }
}

#[tokio::test]
async fn no_header_makes_it_another_request() {
    for stack in [preserving(), resigning()] {
        let stack = stack.with_policy(HOME).await;
        for (method, headers, verdict) in [
            ("GET", &[("x-http-method-override", "DELETE")][..], "200"),
            ("GET", &[("x-original-url", "/photos/home/eve/a")], "200"),
            ("GET", &[("x-forwarded-host", "theirs.s3.localhost")], "200"),
            ("PUT", &[("x-amz-copy-source", "photos/home/eve/a")], DENIED),
            ("PUT", &[("x-amz-copy-source", "/photos/home/eve/a")], DENIED),
            ("PUT", &[("x-amz-copy-source", "photos%2Fhome%2Feve%2Fa")], DENIED),
            ("PUT", &[("x-amz-copy-source", "%2fphotos/home/eve/a")], DENIED),
            (
                "PUT",
                &[("X-Amz-Copy-Source", "photos/home/bob/a"), ("x-amz-copy-source", "photos/home/eve/a")],
                "400 InvalidArgument",
            ),
            ("PUT", &[("x-amz-copy-source", "photos/home/bob/../eve/a")], "400 InvalidURI"),
            ("PUT", &[("x-amz-copy-source", "photos/home/bob/%2e%2e/eve/a")], "400 InvalidURI"),
            ("PUT", &[("x-amz-copy-source", "photos/home/bob/a?versionId=1")], DENIED),
            ("PUT", &[("x-amz-copy-source", "photos/home/bob/a?versionid=1")], "400 InvalidArgument"),
            ("PUT", &[("x-amz-copy-source", "photos/home/bob/a#/../../eve")], "400 InvalidArgument"),
            ("PUT", &[("x-amz-copy-source", "http://theirs/a")], "400 InvalidArgument"),
            ("PUT", &[("x_amz_copy_source", "photos/home/eve/a")], "400 InvalidArgument"),
            ("PUT", &[("x-amz-acl", "private"), ("x-amz-acl", "public-read")], "400 InvalidArgument"),
            ("PUT", &[("x-amz-tagging", "a=b"), ("x-amz-tagging", "c=d")], "400 InvalidArgument"),
        ] {
            let verdict_of_it = stack.verdict("bob", method, "/photos/home/bob/a", headers).await;
            assert_eq!(verdict_of_it, verdict, "{method} {headers:?}");
            if let Some((seen, _)) = stack.seen.lock().unwrap().pop() {
                for name in ["x-http-method-override", "x-original-url", "x-forwarded-host"] {
                    assert!(!seen.headers().contains_key(name), "{name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_header_that_stops_on_the_way_is_not_decided_on() {
    let encrypted = r#"{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*",
        "Condition":{"StringEquals":{"s3:x-amz-server-side-encryption":"AES256"}}}"#;
    for stack in [preserving(), resigning()] {
        let stack = stack.with_policy(encrypted).await;
        let sse = ("x-amz-server-side-encryption", "AES256");
        for (connection, verdict) in [
            ("keep-alive", "200"),
            ("x-amz-server-side-encryption", "400 InvalidArgument"),
            ("close, X-Amz-Server-Side-Encryption", "400 InvalidArgument"),
        ] {
            let found = stack.verdict("anonymous", "PUT", "/photos/a", &[sse, ("connection", connection)]).await;
            assert_eq!(found, verdict, "{connection}");
        }
    }
}

#[tokio::test]
async fn orders_that_only_some_stores_know_do_not_reach_them() {
    for stack in [preserving(), resigning()] {
        for name in
            ["x-copy-from", "x_copy_from", "x-object-manifest", "x-minio-force-delete", "x_http_method_override"]
        {
            let mut sent = signed(Caller("root"), request("PUT", "/photos/a", &[], "")).await;
            sent.headers_mut().insert(name, "theirs/a".parse().unwrap());
            assert_eq!(stack.send(sent).await.verdict(), "200", "{name}");
            let (seen, _) = stack.seen.lock().unwrap().pop().unwrap();
            assert!(!seen.headers().contains_key(name), "{name}");
        }
        let unpacked = &[("x-amz-meta-snowball-auto-extract", "true")];
        assert_eq!(stack.verdict("root", "PUT", "/photos/a.tar", unpacked).await, "400 InvalidArgument");
    }
}

#[tokio::test]
async fn a_policy_call_that_goes_on_is_the_call_that_was_decided() {
    for pass_through in [PassThrough::AsSent, PassThrough::Verified] {
        let stack = Stack::forwarding(pass_through, None);
        let mut sent = signed(Caller("root"), request("GET", "/photos?policy", &[], "")).await;
        sent.headers_mut().insert("x-http-method-override", "DELETE".parse().unwrap());
        assert_eq!(stack.send(sent).await.verdict(), "200");
        let (seen, _) = stack.seen.lock().unwrap().pop().unwrap();
        assert!(!seen.headers().contains_key("x-http-method-override"));
    }
}

#[tokio::test]
async fn a_header_added_to_a_signed_request_is_refused() {
    let stack = preserving();
    for (name, value) in [
        ("x-amz-copy-source", "photos/home/eve/a"),
        ("x-amz-acl", "public-read"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-bypass-governance-retention", "true"),
        ("x-amz-server-side-encryption", "AES256"),
    ] {
        let mut sent = signed(Caller("root"), request("PUT", "/photos/a", &[], "")).await;
        sent.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(stack.send(sent).await.verdict(), "403 AccessDenied", "{name}");
    }
    assert_eq!(stack.seen(), 0);
}

#[tokio::test]
async fn the_host_that_is_decided_on_is_the_one_that_counts() {
    let stack = preserving().with_policy(HOME).await;
    for (target, host, verdict) in [
        ("/home/bob/a", "photos.s3.localhost", "200"),
        ("/home/bob/a", "photos.s3.localhost.", "200"),
        ("/home/bob/a", "PHOTOS.S3.localhost:9000", "200"),
        ("/home/bob/a", "photos.s3.localhost:x@theirs.s3.localhost", "400 InvalidRequest"),
        ("/home/bob/a", "photos.s3.localhost.evil.example", "404 NoSuchBucket"),
        ("http://photos.s3.localhost/home/bob/a", "photos.s3.localhost", "200"),
        ("http://photos.s3.localhost/home/bob/a", "theirs.s3.localhost", "400 InvalidRequest"),
        ("http://theirs.s3.localhost/home/bob/a", "theirs.s3.localhost", DENIED),
        ("/photos/home/bob/a", "theirs.s3.localhost", DENIED),
    ] {
        let mut sent = request("GET", target, &[], "");
        sent.headers_mut().insert("host", host.parse().unwrap());
        let before = stack.seen();
        let answer = stack.send(signed(Caller("bob"), sent).await).await;
        assert_eq!(answer.verdict(), verdict, "{target} {host}");
        assert_eq!(stack.seen() - before, usize::from(verdict == "200"), "{target} {host}");
    }
    let two = request("GET", "/photos/home/bob/a", &[("host", "theirs.s3.localhost")], "");
    assert_eq!(stack.send(two).await.verdict(), "400 InvalidRequest");
}

#[tokio::test]
async fn a_bucket_may_be_called_like_a_subresource() {
    let stack = preserving();
    for bucket in ["policy", "acl", "delete", "versions", "cors"] {
        assert_eq!(stack.verdict("root", "GET", &format!("/{bucket}/a"), &[]).await, "404 NoSuchBucket", "{bucket}");
        assert_eq!(stack.verdict("root", "PUT", &format!("/{bucket}"), &[]).await, "200", "{bucket}");
        assert_eq!(stack.verdict("root", "GET", &format!("/{bucket}/a"), &[]).await, "200", "{bucket}");
        assert_eq!(stack.verdict("bob", "GET", &format!("/{bucket}/a"), &[]).await, DENIED, "{bucket}");
        assert_eq!(stack.verdict("anonymous", "GET", &format!("/{bucket}?policy"), &[]).await, DENIED, "{bucket}");
    }
}

#[tokio::test]
async fn what_is_no_operation_never_passes() {
    for stack in [preserving(), resigning()] {
        for (method, target) in [
            ("PATCH", "/photos/a"),
            ("COPY", "/photos/a"),
            ("MOVE", "/photos/a"),
            ("PROPFIND", "/photos"),
            ("TRACE", "/photos/a"),
            ("get", "/photos/a"),
            ("OPTIONS", "/photos/a"),
            ("PUT", "/"),
            ("POST", "/"),
            ("DELETE", "/"),
            ("POST", "/photos"),
            ("POST", "/photos/a"),
            ("PUT", "/photos?uploads"),
            ("POST", "/photos/a?acl"),
            ("PUT", "/photos/a?delete"),
            ("GET", "/photos?delete"),
            ("DELETE", "/photos?location"),
            ("PUT", "/photos?something"),
            ("DELETE", "/photos?something"),
            ("PUT", "/photos/a?something="),
            ("GET", "/ph/a"),
            ("GET", "/%70h/a"),
            ("GET", "/photos?acl&policy"),
        ] {
            let answer = stack.ask("root", method, target, &[]).await;
            assert!((400..500).contains(&answer.status), "{method} {target}: {answer:?}");
            assert_eq!(stack.seen(), 0, "{method} {target}");
        }
    }
}

#[tokio::test]
async fn operations_of_other_kinds_of_buckets_are_granted_to_nobody() {
    let stack = preserving();
    for (method, target, headers) in
        [("GET", "/photos?session", &[][..]), ("PUT", "/photos/a?renameObject", &[("x-amz-rename-source", "b")])]
    {
        assert_eq!(stack.verdict("root", method, target, headers).await, DENIED, "{method} {target}");
    }
}
