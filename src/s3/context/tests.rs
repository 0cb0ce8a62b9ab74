mod of_details;

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue};

use super::table::ROWS;
use super::*;
use crate::s3::action_map::{Head, possible_actions};
use crate::s3::address::{Address, Domains, ObjectKey};
use crate::s3::form::Form;
use crate::s3::hoisted::effective_headers;
use crate::s3::operation::Query;

/// 2026-11-23T10:00:00Z and half a second.
const NOW: Duration = Duration::from_millis(1_795_428_000_500);

const SIGNED: SignatureFacts<'_> =
    SignatureFacts { auth_type: AuthType::Header, signed_at: 1_795_427_990, region: "eu-central-1", temporary: false };

/// A request, by default a plain one for an object.
struct Ask<'t> {
    operation: Operation,
    action: Action,
    path: &'t str,
    query: &'t str,
    headers: &'t [(&'t str, &'t str)],
    form: &'t [(&'t str, &'t str)],
    body: Option<&'t str>,
    subject: Subject<'t>,
    signature: Option<SignatureFacts<'t>>,
    connection: (Option<IpAddr>, bool, Option<&'t str>),
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self {
            operation: Operation::GetObject,
            action: Action::GetObject,
            path: "/photos/k",
            query: "",
            headers: &[],
            form: &[],
            body: None,
            subject: Subject::Object,
            signature: None,
            connection: (None, false, None),
        }
    }
}

fn tags(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    tags.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect()
}

impl Ask<'_> {
    /// Those of these keys, written as policies write them, that the request has, with what a variable would stand for.
    fn has(&self, keys: &[&str]) -> Result<Vec<String>, String> {
        let (address, _) = Address::parse(None, self.path, &Domains::default()).unwrap();
        let query = Query::parse(Some(self.query)).unwrap();
        let mut sent = HeaderMap::new();
        for (name, value) in self.headers {
            sent.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let headers = effective_headers(&sent, &query).unwrap();
        let form = (!self.form.is_empty()).then(|| form(self.form));
        let details = RequestDetails::read(self.operation, &headers, form.as_ref(), self.body.map(str::as_bytes))
            .map_err(|error| S3Error::from(error).code().name().to_owned())?;
        let (source_ip, secure_transport, tls_version) = self.connection;
        let request = RequestFacts {
            operation: self.operation,
            head: Head { address: &address, query: &query, headers: &headers },
            details: &details,
            source_ip,
            secure_transport,
            tls_version,
            now: SystemTime::UNIX_EPOCH + NOW,
            region: "us-east-1",
            signature: self.signature,
        };
        let owner = AccountId::parse("111122223333").unwrap();
        let (object_tags, bucket_tags) = (tags(&[("team", "red")]), tags(&[("Cost", "1"), ("cost", "2")]));
        let access = AccessFacts {
            action: self.action,
            owner: Some(&owner),
            subject: self.subject,
            object_tags: &object_tags,
            bucket_tags: &bucket_tags,
        };
        let named = keys.iter().map(|key| ConditionKey::named(key.split('/').next().unwrap()));
        let context = request.context(&access, named.collect());
        let all = request.context(&access, KeySet::all());
        let found = keys.iter().filter(|key| context.has(key)).map(|key| {
            assert_eq!(values(&context, key), values(&all, key), "what else is asked for does not count");
            format!("{key}={}", values(&context, key))
        });
        Ok(found.collect())
    }
}

fn values(context: &Context<'_>, key: &str) -> String {
    context.get(key).collect::<Vec<_>>().join(" & ")
}

fn form(fields: &[(&str, &str)]) -> Form {
    let part = |(name, value): &(&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts: String = [("key", "k")].iter().chain(fields).chain(&[("file", "data")]).map(part).collect();
    Form::parse("multipart/form-data; boundary=x", parts.as_bytes()).unwrap()
}

/// Asks each for its keys, and expects those with values that it has.
fn check(rows: Vec<(Ask<'_>, &[&str], &[&str])>) {
    for (ask, keys, expected) in rows {
        let what = format!("{} {} {:?} {:?}", ask.operation, ask.query, ask.headers, ask.body);
        let found = ask.has(keys).unwrap_or_else(|code| panic!("{what}: {code}"));
        assert_eq!(found, expected, "{what}");
    }
}

fn upload(operation: Operation) -> Ask<'static> {
    Ask { operation, action: Action::PutObject, ..Ask::default() }
}

#[test]
fn every_key_has_a_source() {
    // The compiler has seen that each has one row; here that the rows are of keys and not of texts alike.
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.key.name()).collect();
    assert_eq!(rows, ConditionKey::all().map(ConditionKey::name).collect());
    for row in ROWS {
        let tagged = matches!(
            row.source,
            Source::ExistingObjectTags | Source::BucketTags | Source::RequestObjectTags | Source::RequestBucketTags
        );
        let elsewhere = matches!(row.source, Source::Caller(_) | Source::Absent(_));
        assert!(elsewhere || tagged == row.key.has_tag(), "{}", row.key);
        assert_eq!(source(row.key), row.source, "{}", row.key);
    }
}

#[test]
fn the_circumstances_of_a_request_are_its_keys() {
    let circumstances = [
        "aws:SourceIp",
        "aws:SecureTransport",
        "s3:TlsVersion",
        "aws:CurrentTime",
        "aws:EpochTime",
        "aws:RequestedRegion",
        "aws:ResourceAccount",
        "s3:ResourceAccount",
        "aws:ViaAWSService",
        "aws:PrincipalIsAWSService",
        "aws:MultiFactorAuthPresent",
        "s3:authType",
        "s3:signatureversion",
        "s3:signatureAge",
        "aws:PrincipalArn",
        "aws:SourceVpce",
    ];
    let presigned = SignatureFacts { auth_type: AuthType::QueryString, temporary: true, ..SIGNED };
    let ahead = SignatureFacts { auth_type: AuthType::Post, signed_at: 1_795_428_060, ..SIGNED };
    check(vec![
        (
            Ask::default(),
            &circumstances,
            &[
                "aws:SecureTransport=false",
                "aws:CurrentTime=2026-11-23T10:00:00Z",
                "aws:EpochTime=1795428000",
                "aws:RequestedRegion=us-east-1",
                "aws:ResourceAccount=111122223333",
                "s3:ResourceAccount=111122223333",
                "aws:ViaAWSService=false",
            ],
        ),
        (
            Ask {
                connection: (Some("::ffff:192.0.2.7".parse().unwrap()), true, Some("1.3")),
                signature: Some(presigned),
                ..Ask::default()
            },
            &circumstances,
            &[
                "aws:SourceIp=192.0.2.7",
                "aws:SecureTransport=true",
                "s3:TlsVersion=1.3",
                "aws:CurrentTime=2026-11-23T10:00:00Z",
                "aws:EpochTime=1795428000",
                "aws:RequestedRegion=eu-central-1",
                "aws:ResourceAccount=111122223333",
                "s3:ResourceAccount=111122223333",
                "aws:ViaAWSService=false",
                "aws:PrincipalIsAWSService=false",
                "aws:MultiFactorAuthPresent=false",
                "s3:authType=REST-QUERY-STRING",
                "s3:signatureversion=AWS4-HMAC-SHA256",
                "s3:signatureAge=10500",
            ],
        ),
        (
            Ask {
                connection: (Some("2001:db8::1".parse().unwrap()), true, None),
                signature: Some(SIGNED),
                ..Ask::default()
            },
            &["aws:SourceIp", "s3:TlsVersion", "aws:MultiFactorAuthPresent", "s3:authType"],
            &["aws:SourceIp=2001:db8::1", "s3:authType=REST-HEADER"],
        ),
        (
            Ask { signature: Some(ahead), ..Ask::default() },
            &["s3:authType", "s3:signatureAge"],
            &["s3:authType=POST", "s3:signatureAge=0"],
        ),
    ]);
}

#[test]
fn headers_count_as_sent_for_the_actions_that_have_them() {
    let plain = [
        "x-amz-acl",
        "x-amz-grant-full-control",
        "x-amz-grant-read",
        "x-amz-grant-read-acp",
        "x-amz-grant-write",
        "x-amz-grant-write-acp",
        "x-amz-metadata-directive",
        "x-amz-object-annotation-directive",
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-storage-class",
        "x-amz-website-redirect-location",
        "if-match",
        "if-none-match",
    ];
    for name in plain {
        let (key, value) = (format!("s3:{name}"), format!("s3:{name}=\"v\""));
        let headers = [(name, "\"v\"")];
        let ask = Ask { headers: &headers, ..upload(Operation::PutObject) };
        assert_eq!(ask.has(&[&key]), Ok(vec![value]), "{name}");
        assert_eq!(Ask { headers: &headers, ..Ask::default() }.has(&[&key]), Ok(vec![]), "{name}");
        assert_eq!(upload(Operation::PutObject).has(&[&key]), Ok(vec![]), "{name}");
    }
    let twice = [("x-amz-acl", "private"), ("x-amz-acl", "public-read")];
    let bucket = Ask { path: "/photos", subject: Subject::Bucket, ..Ask::default() };
    check(vec![
        (
            Ask { headers: &twice, operation: Operation::PutObjectAcl, action: Action::PutObjectAcl, ..Ask::default() },
            &["s3:x-amz-acl"],
            &["s3:x-amz-acl=private & public-read"],
        ),
        (
            Ask {
                query: "X-Amz-Signature=0&X-Amz-ACL=private&X-Amz-Storage-Class=GLACIER",
                ..upload(Operation::PutObject)
            },
            &["s3:x-amz-acl", "s3:x-amz-storage-class"],
            &["s3:x-amz-acl=private", "s3:x-amz-storage-class=GLACIER"],
        ),
        (
            Ask { headers: &[("referer", "http://a/ü"), ("user-agent", "curl/8")], ..Ask::default() },
            &["aws:referer", "aws:UserAgent"],
            &["aws:referer=http://a/ü", "aws:UserAgent=curl/8"],
        ),
        (
            Ask {
                operation: Operation::CreateBucket,
                action: Action::CreateBucket,
                body: Some(""),
                headers: &[("x-amz-object-ownership", "ObjectWriter"), ("x-amz-bucket-namespace", "account-regional")],
                ..bucket
            },
            &["s3:x-amz-object-ownership", "s3:x-amz-bucket-namespace", "s3:locationconstraint"],
            &["s3:x-amz-object-ownership=ObjectWriter", "s3:x-amz-bucket-namespace=account-regional"],
        ),
        (
            Ask {
                operation: Operation::PutObjectAnnotation,
                action: Action::PutObjectAnnotation,
                headers: &[("x-amz-object-if-match", "\"e\"")],
                ..Ask::default()
            },
            &["s3:x-amz-object-if-match"],
            &["s3:x-amz-object-if-match=\"e\""],
        ),
    ]);
}

#[test]
fn what_the_signature_says_of_the_body_counts_as_sent() {
    let presigned = Some(SignatureFacts { auth_type: AuthType::QueryString, ..SIGNED });
    let sent = [("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")];
    let key = &["s3:x-amz-content-sha256"][..];
    let streaming = &["s3:x-amz-content-sha256=STREAMING-UNSIGNED-PAYLOAD-TRAILER"][..];
    let unsigned = &["s3:x-amz-content-sha256=UNSIGNED-PAYLOAD"][..];
    check(vec![
        (Ask { headers: &sent, signature: Some(SIGNED), ..Ask::default() }, key, streaming),
        (Ask { headers: &sent, signature: presigned, ..Ask::default() }, key, streaming),
        (Ask { headers: &sent, ..Ask::default() }, key, streaming),
        (Ask { signature: presigned, ..Ask::default() }, key, unsigned),
        (Ask::default(), key, &[]),
        (
            Ask {
                headers: &sent,
                form: &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")],
                signature: Some(SignatureFacts { auth_type: AuthType::Post, ..SIGNED }),
                ..upload(Operation::PostObject)
            },
            key,
            &[],
        ),
    ]);
}

#[test]
fn parameters_count_decoded_once() {
    let list = |query| Ask {
        operation: Operation::ListObjectsV2,
        action: Action::ListBucket,
        path: "/photos",
        subject: Subject::Bucket,
        query,
        ..Ask::default()
    };
    let annotations = |query| Ask {
        operation: Operation::ListObjectAnnotations,
        action: Action::ListObjectAnnotations,
        query,
        ..Ask::default()
    };
    let keys = &["s3:prefix", "s3:delimiter", "s3:max-keys"][..];
    check(vec![
        (list("list-type=2"), keys, &[]),
        (list("prefix=&delimiter=%2F"), keys, &["s3:prefix=", "s3:delimiter=/"]),
        (list("prefix=a+b%252F%2B&max-keys=007"), keys, &["s3:prefix=a b%2F+", "s3:max-keys=007"]),
        (list("prefix=a&prefix=a&max-keys=1&Prefix=b"), keys, &["s3:prefix=a", "s3:max-keys=1"]),
        (list("prefix=a&prefix=b&prefix=a"), keys, &["s3:prefix=a & b"]),
        (Ask { action: Action::ListBucketMultipartUploads, ..list("uploads&prefix=a&delimiter=b") }, keys, &[]),
        (
            annotations("annotation&annotation-prefix=x&max-annotation-results=5&prefix=p"),
            &["s3:annotation-prefix", "s3:max-annotation-results", "s3:prefix"],
            &["s3:annotation-prefix=x", "s3:max-annotation-results=5"],
        ),
    ]);
}

#[test]
fn version_etag_and_source_are_those_of_the_access() {
    let source = CopySource::parse("/src/a%20b%3F?versionId=v1").unwrap();
    let current = CopySource::parse("src/k").unwrap();
    let entry = |version_id: Option<&str>, etag: Option<&str>| ObjectToDelete {
        last_modified_time: None,
        size: None,
        key: ObjectKey::parse("k").unwrap(),
        version_id: version_id.map(str::to_owned),
        etag: etag.map(str::to_owned),
    };
    let (with, without) = (entry(Some("null"), Some("\"e\"")), entry(None, None));
    let versioned = |subject, action| Ask { query: "versionId=q", subject, action, ..Ask::default() };
    let copy = |operation, subject, action| Ask {
        operation,
        subject,
        action,
        query: "versionId=q",
        headers: &[("x-amz-copy-source", " /src/a%20b%3F?versionId=v1 "), ("if-match", "\"d\"")],
        ..Ask::default()
    };
    let batch = |subject, action| Ask {
        operation: Operation::DeleteObjects,
        path: "/photos",
        query: "delete&versionId=q",
        headers: &[("if-match", "\"h\"")],
        subject,
        action,
        ..Ask::default()
    };
    let keys = &["s3:versionid", "s3:x-amz-copy-source", "s3:if-match"][..];
    use Operation::{CopyObject, CreateMultipartUpload, UploadPartCopy};
    check(vec![
        (versioned(Subject::Object, Action::GetObjectVersion), keys, &["s3:versionid=q"]),
        (versioned(Subject::Object, Action::GetObject), keys, &[]),
        (copy(CopyObject, Subject::Source(&source), Action::GetObjectVersion), keys, &["s3:versionid=v1"]),
        (copy(CopyObject, Subject::Source(&current), Action::GetObject), keys, &[]),
        (
            copy(CopyObject, Subject::Object, Action::PutObject),
            keys,
            &["s3:x-amz-copy-source=src/a b?", "s3:if-match=\"d\""],
        ),
        (
            copy(UploadPartCopy, Subject::Object, Action::PutObject),
            keys,
            &["s3:x-amz-copy-source=src/a b?", "s3:if-match=\"d\""],
        ),
        (copy(CreateMultipartUpload, Subject::Object, Action::PutObject), keys, &["s3:if-match=\"d\""]),
        (batch(Subject::Entry(&with), Action::DeleteObjectVersion), keys, &["s3:versionid=null"]),
        (batch(Subject::Entry(&with), Action::DeleteObject), keys, &["s3:if-match=\"e\""]),
        (batch(Subject::Entry(&without), Action::DeleteObject), keys, &[]),
        (batch(Subject::Entry(&without), Action::DeleteObjectVersion), keys, &[]),
        (
            Ask {
                operation: Operation::DeleteObject,
                action: Action::DeleteObject,
                headers: &[("if-match", "*")],
                ..Ask::default()
            },
            keys,
            &["s3:if-match=*"],
        ),
    ]);
}

#[test]
fn uploads_say_whether_they_make_an_object() {
    use Operation as O;
    for operation in Operation::ALL.iter().copied() {
        // What else these must have is told of elsewhere; the answer is in the operation's name.
        let ask = Ask { form: &[("x", "y")], ..upload(operation) };
        let expected = match operation {
            O::PutObject | O::CopyObject | O::CompleteMultipartUpload | O::PostObject => Some(true),
            O::CreateMultipartUpload | O::UploadPart | O::UploadPartCopy => Some(false),
            _ => None,
        };
        assert_eq!(
            expected.is_some(),
            possible_actions(operation).any(|action| action == Action::PutObject),
            "{operation}"
        );
        if operation == O::PostObject || !needs_details(operation) {
            let line = expected.map(|makes| format!("s3:ObjectCreationOperation={makes}"));
            assert_eq!(ask.has(&["s3:ObjectCreationOperation"]), Ok(Vec::from_iter(line)), "{operation}");
        }
    }
}

#[test]
fn tags_of_object_and_bucket_are_there_for_the_actions_that_have_them() {
    let keys = &[
        "s3:ExistingObjectTag/team",
        "s3:ExistingObjectTag/Team",
        "s3:BucketTag/Cost",
        "s3:BucketTag/cost",
        "s3:BucketTag/COST",
        "aws:ResourceTag/COST",
    ][..];
    let of_bucket = ["s3:BucketTag/Cost=1", "s3:BucketTag/cost=2", "aws:ResourceTag/COST=1 & 2"];
    let of_both = ["s3:ExistingObjectTag/team=red", of_bucket[0], of_bucket[1], of_bucket[2]];
    check(vec![
        (Ask::default(), keys, &of_both),
        (
            Ask { action: Action::PutObjectTagging, operation: Operation::DeleteObjectTagging, ..Ask::default() },
            keys,
            &of_both,
        ),
        (upload(Operation::UploadPart), keys, &of_bucket),
        (Ask { action: Action::DeleteObject, operation: Operation::DeleteObject, ..Ask::default() }, keys, &of_bucket),
    ]);
}

#[test]
fn headers_have_a_limit() {
    let with = |bytes: usize| {
        HeaderMap::from_iter([(HeaderName::from_static("x-a"), HeaderValue::from_str(&"v".repeat(bytes - 3)).unwrap())])
    };
    assert_eq!(check_headers(&with(MAX_HEADERS)), Ok(()));
    let refused = S3Error::from(check_headers(&with(MAX_HEADERS + 1)).unwrap_err());
    assert_eq!(refused.code(), ErrorCode::RequestHeaderSectionTooLarge);
}
