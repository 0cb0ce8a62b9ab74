//! Who may do what.

use portcullis::s3::forward::{Resign, SignedPayload};

use super::super::support::stack::{OPEN, Stack};
use super::super::support::{Caller, OTHER, OWNER, presigned, request, signed};
use super::{DENIED, preserving, resigning};

#[tokio::test]
async fn without_a_policy_only_the_accounts_own_identities_may() {
    for stack in [preserving(), resigning()] {
        for (caller, verdict) in [
            ("root", "200"),
            // His own policy lets him do anything.
            ("dan", "200"),
            // Hers is on bucket policies alone.
            ("alice", DENIED),
            ("bob", DENIED),
            ("stranger", DENIED),
            ("carol", DENIED),
            ("anonymous", DENIED),
        ] {
            for (method, target) in [
                ("GET", "/photos/a"),
                ("HEAD", "/photos/a"),
                ("PUT", "/photos/a"),
                ("DELETE", "/photos/a"),
                ("GET", "/photos?list-type=2"),
                ("GET", "/photos?acl"),
                ("PUT", "/photos/a?uploadId=1&partNumber=1"),
                ("DELETE", "/photos/a?versionId=1"),
            ] {
                assert_eq!(stack.verdict(caller, method, target, &[]).await, verdict, "{caller} {method} {target}");
            }
        }
    }
}

#[tokio::test]
async fn a_public_prefix_is_readable_by_anybody_and_nothing_else_is() {
    let statement =
        r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/public/*"}"#;
    for stack in [preserving(), resigning()] {
        let stack = stack.with_policy(statement).await;
        for (method, target, verdict) in [
            ("GET", "/photos/public/cat.jpg", "200"),
            ("HEAD", "/photos/public/cat.jpg", "200"),
            ("GET", "/photos/public/cat.jpg?partNumber=1&x-id=GetObject", "200"),
            ("GET", "/photos/public/cat.jpg?versionId=1", DENIED),
            ("GET", "/photos/public/cat.jpg?acl", DENIED),
            ("GET", "/photos/public/cat.jpg?tagging", DENIED),
            ("GET", "/photos/private/cat.jpg", DENIED),
            ("GET", "/photos/Public/cat.jpg", DENIED),
            ("PUT", "/photos/public/cat.jpg", DENIED),
            ("DELETE", "/photos/public/cat.jpg", DENIED),
            ("GET", "/photos", DENIED),
            ("GET", "/photos?policy", DENIED),
            ("GET", "/", DENIED),
        ] {
            assert_eq!(stack.verdict("anonymous", method, target, &[]).await, verdict, "{method} {target}");
        }
    }
}

#[tokio::test]
async fn a_signature_is_verified_before_anything_is_granted() {
    let public = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}"#;
    let stack = preserving().with_policy(public).await;
    for (authorization, verdict) in [
        ("AWS4-HMAC-SHA256 Credential=GHOST/20260101/us-east-1/s3/aws4_request", "400 AuthorizationHeaderMalformed"),
        ("AWS AKIA:c2ln", "400 InvalidRequest"),
    ] {
        let asked = stack.ask("anonymous", "GET", "/photos/a", &[("authorization", authorization)]).await;
        assert_eq!(asked.verdict(), verdict);
    }
    let unknown = signed(Caller("ghost"), request("GET", "/photos/a", &[], "")).await;
    assert_eq!(stack.send(unknown).await.verdict(), "403 InvalidAccessKeyId");
    let mut tampered = signed(Caller("root"), request("GET", "/photos/a", &[], "")).await;
    *tampered.uri_mut() = "/photos/b".parse().unwrap();
    assert_eq!(stack.send(tampered).await.verdict(), "403 SignatureDoesNotMatch");
    assert_eq!(stack.seen(), 0);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_told_of() {
    for caller in ["root", "bob", "anonymous"] {
        assert_eq!(preserving().verdict(caller, "GET", "/nowhere/a", &[]).await, "404 NoSuchBucket", "{caller}");
    }
}

#[tokio::test]
async fn another_account_needs_both_sides() {
    let stack = resigning().with_policy(
        r#"{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}"#,
    );
    let stack = stack.await;
    for (caller, method, verdict) in [
        ("stranger", "GET", "200"),
        ("stranger", "PUT", DENIED),
        // Her own policies do not pass the grant on.
        ("carol", "GET", DENIED),
        ("bob", "GET", DENIED),
    ] {
        assert_eq!(stack.verdict(caller, method, "/photos/a", &[]).await, verdict, "{caller} {method}");
    }
}

#[tokio::test]
async fn every_action_of_a_request_must_be_granted() {
    let put = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":["s3:PutObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::photos/*"}"#;
    let stack = preserving().with_policy(put).await;
    for (method, target, header, verdict) in [
        ("PUT", "/photos/a", ("x-amz-meta-x", "1"), "200"),
        ("PUT", "/photos/a", ("x-amz-tagging", "a=b"), DENIED),
        ("PUT", "/photos/a", ("x-amz-acl", "private"), DENIED),
        ("PUT", "/photos/a", ("x-amz-grant-read", "id=1"), DENIED),
        ("PUT", "/photos/a", ("x-amz-object-lock-legal-hold", "ON"), DENIED),
        ("PUT", "/photos/a", ("x-amz-object-lock-mode", "GOVERNANCE"), DENIED),
        ("PUT", "/photos/a", ("if-match", "\"e\""), DENIED),
        ("POST", "/photos/a?uploads", ("x-amz-tagging", "a=b"), DENIED),
        ("DELETE", "/photos/a", ("x-amz-meta-x", "1"), "200"),
        ("DELETE", "/photos/a?versionId=null", ("x-amz-meta-x", "1"), DENIED),
        ("DELETE", "/photos/a", ("x-amz-bypass-governance-retention", "true"), DENIED),
    ] {
        assert_eq!(stack.verdict("bob", method, target, &[header]).await, verdict, "{method} {target} {header:?}");
    }
}

#[tokio::test]
async fn the_source_of_a_copy_is_decided_by_its_own_bucket() {
    let grant = |action: &str, bucket: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"AWS":["arn:aws:iam::111122223333:user/dan","444455556666"]}},
                "Action":"{action}","Resource":"arn:aws:s3:::{bucket}/*"}}}}"#
        )
    };
    for (source, theirs, verdict) in [
        ("photos/b", None, "200"),
        ("theirs/b", None, DENIED),
        ("/theirs/b", None, DENIED),
        ("theirs%2Fb", None, DENIED),
        ("theirs/b?versionId=1", Some("s3:GetObject"), DENIED),
        ("theirs/b?versionId=1", Some("s3:GetObjectVersion"), "200"),
        ("theirs/b", Some("s3:GetObjectVersion"), DENIED),
        ("theirs/b", Some("s3:GetObject"), "200"),
        ("nowhere/b", None, "404 NoSuchBucket"),
    ] {
        let stack = preserving();
        if let Some(action) = theirs {
            let put = request("PUT", "/theirs?policy", &[], grant(action, "theirs"));
            assert_eq!(stack.send(signed(Caller("stranger"), put).await).await.verdict(), "204");
        }
        // Nothing more has to be granted where the tags and annotations of the source are not copied.
        let headers = [
            ("x-amz-copy-source", source),
            ("x-amz-tagging-directive", "REPLACE"),
            ("x-amz-object-annotation-directive", "EXCLUDE"),
        ];
        assert_eq!(stack.verdict("dan", "PUT", "/photos/a", &headers).await, verdict, "{source} {theirs:?}");
    }
}

#[tokio::test]
async fn copied_tags_must_be_granted_where_there_are_any() {
    let statement = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},
        "Action":["s3:PutObject","s3:GetObject"],"Resource":"arn:aws:s3:::photos/*"}"#;
    let stack = preserving().with_policy(statement).await;
    let copy = [("x-amz-copy-source", "photos/b?versionId=x")];
    assert_eq!(stack.verdict("bob", "PUT", "/photos/a", &copy).await, DENIED, "a version is another action");
    let copy = [("x-amz-copy-source", "photos/b")];
    assert_eq!(stack.verdict("bob", "PUT", "/photos/a", &copy).await, "200");
    assert!(stack.facts.asked.lock().unwrap().contains(&"tags of photos/b now".to_owned()));
    stack.facts.tags.lock().unwrap().push(("a".to_owned(), "b".to_owned()));
    assert_eq!(stack.verdict("bob", "PUT", "/photos/a", &copy).await, DENIED);
    stack.facts.is_silent.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(stack.verdict("bob", "PUT", "/photos/a", &copy).await, "503 ServiceUnavailable");
    // He may do anything, so nobody needs to know.
    stack.facts.asked.lock().unwrap().clear();
    assert_eq!(stack.verdict("dan", "PUT", "/photos/a", &copy).await, "200");
    assert!(stack.facts.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn conditions_are_held_against_the_request() {
    const BOB: &str = r#""Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"}"#;
    for (action, condition, method, target, headers, verdict) in [
        (
            "s3:ListBucket",
            r#"{"StringLike":{"s3:prefix":"home/bob/*"}}"#,
            "GET",
            "/photos?prefix=home%2Fbob%2Fx",
            &[][..],
            "200",
        ),
        (
            "s3:ListBucket",
            r#"{"StringLike":{"s3:prefix":"home/bob/*"}}"#,
            "GET",
            "/photos?list-type=2&prefix=home/bob/+",
            &[],
            "200",
        ),
        ("s3:ListBucket", r#"{"StringLike":{"s3:prefix":"home/bob/*"}}"#, "GET", "/photos?prefix=home/", &[], DENIED),
        ("s3:ListBucket", r#"{"StringLike":{"s3:prefix":"home/bob/*"}}"#, "GET", "/photos", &[], DENIED),
        ("s3:ListBucket", r#"{"NumericLessThanEquals":{"s3:max-keys":10}}"#, "GET", "/photos?max-keys=10", &[], "200"),
        ("s3:ListBucket", r#"{"NumericLessThanEquals":{"s3:max-keys":10}}"#, "GET", "/photos?max-keys=11", &[], DENIED),
        (
            "s3:PutObject",
            r#"{"StringEquals":{"s3:x-amz-server-side-encryption":"AES256"}}"#,
            "PUT",
            "/photos/a",
            &[("x-amz-server-side-encryption", "AES256")],
            "200",
        ),
        (
            "s3:PutObject",
            r#"{"StringEquals":{"s3:x-amz-server-side-encryption":"AES256"}}"#,
            "PUT",
            "/photos/a",
            &[],
            DENIED,
        ),
        (
            "s3:PutObject",
            r#"{"Null":{"s3:if-none-match":"false"}}"#,
            "PUT",
            "/photos/a",
            &[("if-none-match", "*")],
            "200",
        ),
        ("s3:PutObject", r#"{"Null":{"s3:if-none-match":"false"}}"#, "PUT", "/photos/a", &[], DENIED),
        (
            "s3:PutObject",
            r#"{"StringEquals":{"s3:x-amz-storage-class":"STANDARD_IA"}}"#,
            "PUT",
            "/photos/a",
            &[("x-amz-storage-class", "STANDARD_IA")],
            "200",
        ),
        (
            "s3:GetObjectVersion",
            r#"{"StringEquals":{"s3:versionid":"v1"}}"#,
            "GET",
            "/photos/a?versionId=v1",
            &[],
            "200",
        ),
        (
            "s3:GetObjectVersion",
            r#"{"StringEquals":{"s3:versionid":"v1"}}"#,
            "GET",
            "/photos/a?versionId=v2",
            &[],
            DENIED,
        ),
        (
            "s3:GetObject",
            r#"{"StringEquals":{"aws:username":"bob","s3:ResourceAccount":"111122223333"}}"#,
            "GET",
            "/photos/a",
            &[],
            "200",
        ),
        ("s3:GetObject", r#"{"StringEquals":{"s3:authType":"REST-QUERY-STRING"}}"#, "GET", "/photos/a", &[], DENIED),
        ("s3:GetObject", r#"{"Bool":{"aws:SecureTransport":"true"}}"#, "GET", "/photos/a", &[], DENIED),
        ("s3:GetObject", r#"{"StringEquals":{"s3:ExistingObjectTag/team":"blue"}}"#, "GET", "/photos/a", &[], DENIED),
    ] {
        let resource = if action == "s3:ListBucket" { "photos" } else { "photos/*" };
        let statement = format!(
            r#"{{"Effect":"Allow",{BOB},"Action":"{action}","Resource":"arn:aws:s3:::{resource}","Condition":{condition}}}"#
        );
        let stack = preserving().with_policy(&statement).await;
        assert_eq!(stack.verdict("bob", method, target, headers).await, verdict, "{condition} {target} {headers:?}");
    }
}

#[tokio::test]
async fn who_may_not_list_does_not_hear_what_is_not_there() {
    let get = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}"#;
    let list = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::photos",
        "Condition":{"StringLike":{"s3:prefix":"home/bob/*"}}}"#;
    let mut stack = resigning().with_policy(&format!("{get},{list}")).await;
    stack.inner_status = 404;
    for (caller, method, target, verdict) in [
        ("anonymous", "GET", "/photos/a", 403),
        ("anonymous", "HEAD", "/photos/a", 403),
        ("alice", "GET", "/photos/a", 403),
        ("bob", "GET", "/photos/a", 403),
        // He could list this very key.
        ("bob", "GET", "/photos/home/bob/a", 404),
        ("dan", "GET", "/photos/a", 404),
        ("root", "HEAD", "/photos/a", 404),
    ] {
        assert_eq!(stack.ask(caller, method, target, &[]).await.status, verdict, "{caller} {method} {target}");
    }
    stack.inner_status = 200;
    assert_eq!(stack.ask("anonymous", "GET", "/photos/a", &[]).await.status, 200);
}

#[tokio::test]
async fn a_restore_writes_to_no_other_bucket() {
    let stack = preserving();
    for (body, verdict) in [
        ("<RestoreRequest><Days>1</Days></RestoreRequest>", "200"),
        (
            "<RestoreRequest><Type>SELECT</Type><OutputLocation><S3><BucketName>theirs</BucketName></S3></OutputLocation></RestoreRequest>",
            DENIED,
        ),
        ("<RestoreRequest", "400 MalformedXML"),
    ] {
        let sent = signed(Caller("root"), request("POST", "/photos/a?restore", &[], body)).await;
        assert_eq!(stack.send(sent).await.verdict(), verdict, "{body}");
    }
}

#[tokio::test]
async fn the_source_of_a_copy_goes_on_as_it_was_read() {
    let stack = resigning();
    for (sent, gone_on) in [
        ("photos/b", "/photos/b"),
        ("/photos/a+b%2Fc", "/photos/a%2Bb/c"),
        ("photos/%C3%BC?versionId=x%20y", "/photos/%C3%BC?versionId=x%20y"),
    ] {
        let copy = [("x-amz-copy-source", sent)];
        assert_eq!(stack.verdict("root", "PUT", "/photos/a", &copy).await, "200", "{sent}");
        let (seen, _) = stack.seen.lock().unwrap().pop().unwrap();
        assert_eq!(seen.headers()["x-amz-copy-source"], gone_on);
    }
}

#[tokio::test]
async fn nobody_unknown_begins_a_multipart_upload() {
    let stack = resigning()
        .with_policy(r#"{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*"}"#)
        .await;
    assert_eq!(stack.verdict("anonymous", "PUT", "/photos/a", &[]).await, "200");
    assert_eq!(stack.verdict("anonymous", "POST", "/photos/a?uploads", &[]).await, DENIED);
    assert_eq!(stack.verdict("bob", "POST", "/photos/a?uploads", &[]).await, "200");
}

#[tokio::test]
async fn what_was_asked_of_an_upload_is_not_asked_of_its_parts() {
    let stack = preserving()
        .with_policy(
            r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*",
                "Condition":{"StringEqualsIfExists":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"none"}}},
               {"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*",
                "Condition":{"StringNotEquals":{"s3:x-amz-server-side-encryption":"AES256"}}},
               {"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*",
                "Condition":{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}}"#,
        )
        .await;
    let encryption = ("x-amz-server-side-encryption", "AES256");
    let new = ("if-none-match", "*");
    for (method, target, headers, verdict) in [
        ("POST", "/photos/a?uploads", &[encryption][..], "200"),
        ("POST", "/photos/a?uploads", &[], DENIED),
        ("PUT", "/photos/a?uploadId=1&partNumber=1", &[], "200"),
        ("PUT", "/photos/a?uploadId=1&partNumber=1", &[("x-amz-server-side-encryption", "aws:kms")], DENIED),
        ("POST", "/photos/a?uploadId=1", &[new], "200"),
        // Not said when an upload begins, but when it ends.
        ("POST", "/photos/a?uploadId=1", &[], DENIED),
        ("PUT", "/photos/a", &[encryption, new], "200"),
        ("PUT", "/photos/a", &[new], DENIED),
    ] {
        assert_eq!(stack.verdict("bob", method, target, headers).await, verdict, "{method} {target} {headers:?}");
    }
    let acl = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":["s3:PutObject","s3:PutObjectAcl"],"Resource":"arn:aws:s3:::photos/*",
                 "Condition":{"StringEquals":{"s3:x-amz-acl":"private"}}}"#;
    let stack = preserving().with_policy(acl).await;
    assert_eq!(stack.verdict("bob", "POST", "/photos/a?uploads", &[("x-amz-acl", "private")]).await, "200");
    assert_eq!(stack.verdict("bob", "PUT", "/photos/a?uploadId=1&partNumber=1", &[]).await, DENIED, "as at Amazon");
}

#[tokio::test]
async fn the_store_is_asked_only_what_a_policy_asks() {
    let statement = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*",
        "Condition":{"StringEquals":{"s3:ExistingObjectTag/team":"blue"}}}"#;
    let stack = preserving().with_policy(statement).await;
    stack.facts.tags.lock().unwrap().push(("team".to_owned(), "blue".to_owned()));
    assert_eq!(stack.verdict("anonymous", "GET", "/photos/a%20b", &[]).await, "200");
    assert_eq!(*stack.facts.asked.lock().unwrap(), ["tags of photos/a b now"]);
    assert_eq!(stack.verdict("anonymous", "PUT", "/photos/a", &[]).await, DENIED);
    assert_eq!(stack.facts.asked.lock().unwrap().len(), 1, "PutObject has no such key");
    stack.facts.is_silent.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(stack.verdict("anonymous", "GET", "/photos/a", &[]).await, "503 ServiceUnavailable");
}

#[tokio::test]
async fn an_expected_owner_must_be_the_owner() {
    for (header, account, verdict) in [
        ("x-amz-expected-bucket-owner", OWNER, "200"),
        ("x-amz-expected-bucket-owner", OTHER, DENIED),
        ("x-amz-expected-bucket-owner", "me", "400 InvalidBucketOwnerAWSAccountID"),
    ] {
        let stack = resigning();
        assert_eq!(stack.verdict("root", "GET", "/photos/a", &[(header, account)]).await, verdict);
        if let Some((seen, _)) = stack.seen.lock().unwrap().pop() {
            assert!(!seen.headers().contains_key(header), "the store's accounts are others");
        }
    }
    let copy = [("x-amz-copy-source", "photos/b"), ("x-amz-source-expected-bucket-owner", OTHER)];
    assert_eq!(preserving().verdict("root", "PUT", "/photos/a", &copy).await, DENIED);
}

#[tokio::test]
async fn what_is_granted_is_signed_anew_in_the_owners_name() {
    let stack = resigning().with_policy(r#"{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::photos/*"}"#).await;
    let mut hosted = request("GET", "//a%2Fb+c?x=1&versionId=&x-id=a+b", &[], "");
    hosted.headers_mut().insert("host", "photos.s3.localhost".parse().unwrap());
    assert_eq!(stack.send(hosted).await.verdict(), "400 InvalidArgument", "an empty versionId");
    let mut hosted = request("GET", "//a%2Fb+c?x=1&x-id=a+b", &[("x-forwarded-host", "evil")], "");
    hosted.headers_mut().insert("host", "photos.s3.localhost".parse().unwrap());
    assert_eq!(stack.send(hosted).await.verdict(), "200");
    let (seen, _) = stack.seen.lock().unwrap().pop().unwrap();
    let resign = seen.extensions().get::<Resign>().unwrap();
    // What goes on says what was decided, and nothing besides.
    assert_eq!((resign.path.as_str(), seen.uri().query()), ("/photos//a/b%2Bc", Some("x-id=a%20b")));
    assert_eq!(resign.account.as_ref().map(|id| id.as_str()), Some(OWNER));
    assert_eq!(resign.payload, SignedPayload::Unsigned);
    assert!(!seen.headers().contains_key("x-forwarded-host"));
    let sent = stack.send(signed(Caller("carol"), request("GET", "/photos/a", &[], "")).await).await;
    assert_eq!(sent.verdict(), DENIED, "her own account has not let her");
    assert_eq!(stack.verdict("stranger", "GET", "/photos/a", &[]).await, "200");
    let (seen, _) = stack.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.extensions().get::<Resign>().unwrap().account.as_ref().map(|id| id.as_str()), Some(OWNER));
}

#[tokio::test]
async fn a_presigned_url_is_decided_with_the_headers_it_carries() {
    let stack = resigning().with_policy(
        r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*"}"#,
    );
    let stack = stack.await;
    let plain = presigned(Caller("bob"), "PUT", "/photos/a?x-id=PutObject", &[], "data");
    assert_eq!(stack.send(plain).await.verdict(), "200");
    let acl = presigned(Caller("bob"), "PUT", "/photos/a?x-id=PutObject", &[("x-amz-acl", "public-read")], "data");
    assert_eq!(stack.send(acl).await.verdict(), DENIED);
    let copy = presigned(Caller("bob"), "PUT", "/photos/a?x-id=x", &[("X-Amz-Copy-Source", "theirs%2Fb")], "");
    assert_eq!(stack.send(copy).await.verdict(), DENIED);
}

#[tokio::test]
async fn buckets_are_made_in_the_makers_own_account() {
    for (caller, target, verdict) in [
        ("root", "/fresh", "200"),
        ("dan", "/fresh", "200"),
        ("stranger", "/fresh", "200"),
        ("bob", "/fresh", DENIED),
        ("anonymous", "/fresh", DENIED),
        ("root", "/photos", "200"),
        ("stranger", "/photos", "409 BucketAlreadyExists"),
    ] {
        let stack = resigning();
        assert_eq!(stack.verdict(caller, "PUT", target, &[]).await, verdict, "{caller} {target}");
    }
}

#[tokio::test]
async fn who_deletes_a_bucket_must_be_granted_it() {
    let stack = Stack::deciding(portcullis::Enforcement::Enforce, portcullis::PassThrough::AsSent);
    stack.put(Caller("root"), OPEN).await;
    assert_eq!(stack.verdict("alice", "DELETE", "/photos", &[]).await, DENIED);
    assert_eq!(stack.verdict("bob", "DELETE", "/photos", &[]).await, "200");
    assert_eq!(stack.get(Caller("root")).await.verdict(), "404 NoSuchBucket");
}

#[tokio::test]
async fn a_preflight_passes_undecided_and_a_denial_can_be_read() {
    for stack in [preserving(), resigning()] {
        let preflight = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
        assert_eq!(stack.verdict("anonymous", "OPTIONS", "/photos/a?acl", &preflight).await, "200");
        let (seen, _) = stack.seen.lock().unwrap().pop().unwrap();
        assert!(seen.extensions().get::<Resign>().is_none(), "nobody signed it, and nobody does");
        let denied = stack.ask("anonymous", "GET", "/photos/a", &[("origin", "https://app.example")]).await;
        assert_eq!(
            (denied.verdict().as_str(), &denied.headers["access-control-allow-origin"]),
            (DENIED, &"https://app.example".parse().unwrap())
        );
        let denied = stack.ask("anonymous", "GET", "/photos/a", &[("origin", "https://evil.example")]).await;
        assert!(!denied.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn a_public_object_is_served_as_it_is() {
    for stack in [preserving(), resigning()] {
        let stack = stack
            .with_policy(
                r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}"#,
            )
            .await;
        let page = "/photos/a?response-content-type=text%2Fhtml";
        assert_eq!(stack.verdict("anonymous", "GET", page, &[]).await, "400 InvalidRequest");
        assert_eq!(stack.verdict("root", "GET", page, &[]).await, "200");
    }
}

/// A browser's upload of `photos/k`, with these fields.
fn form(fields: &[(&str, &str)], headers: &[(&str, &str)]) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let field = |(name, value): &(&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let fields: String = [("key", "k")].iter().chain(fields).map(field).collect();
    let file = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\ndata\r\n--x--\r\n";
    let mut request = request("POST", "/photos", headers, format!("{fields}{file}"));
    request.headers_mut().insert("content-type", "multipart/form-data; boundary=x".parse().unwrap());
    request
}

const UPLOADS: &str = r#"{"Effect":"Allow","Principal":"*","Action":["s3:PutObject","s3:PutObjectAcl"],"Resource":"arn:aws:s3:::photos/*"}"#;

#[tokio::test]
async fn of_a_form_the_store_sees_what_was_decided() {
    let stack = preserving().with_policy(UPLOADS).await;
    let headers = [("x-amz-acl", "public-read"), ("x-amz-tagging", "a=b"), ("x-amz-copy-source", "theirs/a")];
    assert_eq!(stack.send(form(&[], &headers)).await.verdict(), "200");
    let (seen, _) = stack.seen.lock().unwrap().pop().unwrap();
    let left: Vec<_> = seen.headers().keys().filter(|name| name.as_str().starts_with("x-amz-")).collect();
    assert!(left.is_empty(), "{left:?}");
    let hold = [("x-amz-object-lock-event-hold", "ON")];
    assert_eq!(stack.send(form(&hold, &[])).await.verdict(), DENIED, "a retention, which is not granted");
    assert_eq!(stack.seen(), 0);
}

#[tokio::test]
async fn the_tags_of_what_a_form_or_an_entry_names_are_asked_for() {
    let secret = r#"{"Effect":"Deny","Principal":"*","Action":["s3:PutObjectAcl","s3:GetObject"],"Resource":"arn:aws:s3:::photos/*",
        "Condition":{"StringEquals":{"s3:ExistingObjectTag/secret":"yes"}}}"#;
    let all = UPLOADS.replace("s3:PutObject\"", "s3:*Object\"");
    for (tag, verdict, denials) in [("no", "200", 0), ("yes", DENIED, 1)] {
        let stack = preserving().with_policy(&format!("{all},{secret}")).await;
        stack.facts.tags.lock().unwrap().push(("secret".to_owned(), tag.to_owned()));
        assert_eq!(stack.send(form(&[("acl", "private")], &[])).await.verdict(), verdict, "{tag}");
        let body = "<Delete><Object><Key>k</Key><VersionId>v</VersionId><ETag>e</ETag></Object></Delete>";
        let version = all.replace("s3:*Object", "s3:*Object*");
        let stack = preserving().with_policy(&format!("{version},{secret}")).await;
        stack.facts.tags.lock().unwrap().push(("secret".to_owned(), tag.to_owned()));
        stack.send(request("POST", "/photos?delete", &[], body)).await;
        assert_eq!(stack.denials.lock().unwrap().len(), denials, "{tag}");
        assert_eq!(*stack.facts.asked.lock().unwrap(), ["tags of photos/k v"]);
    }
}
