use super::super::error::S3Error;
use super::*;
use crate::s3::address::Domains;

fn run(method: &str, path: &str, query: &str) -> Result<Operation, S3Error> {
    let (address, _) = Address::parse(None, path, &Domains::default()).unwrap();
    let query = Query::parse(Some(query))?;
    Ok(classify(&method.parse().unwrap(), &address, &query, &HeaderMap::new())?)
}

#[test]
fn the_table_is_sorted() {
    assert!(SUBRESOURCES.is_sorted());
}

#[test]
fn method_scope_and_subresource_choose_the_operation() {
    use Operation::*;
    let rows = [
        ("PUT", "/photos", "policy", PutBucketPolicy),
        ("PUT", "/photos/", "policy=", PutBucketPolicy),
        ("PUT", "/photos", "policy=x&x-id=PutBucketPolicy", PutBucketPolicy),
        ("PUT", "/photos", "%70olicy", PutBucketPolicy),
        ("PUT", "/photos", "X-Amz-Signature=1&policy&X-Amz-Date=2", PutBucketPolicy),
        ("GET", "/photos", "policy", GetBucketPolicy),
        ("GET", "/photos", "policy&response-content-type=a&prefix=acl", GetBucketPolicy),
        ("DELETE", "/photos", "policy", DeleteBucketPolicy),
        ("PUT", "/photos", "", CreateBucket),
        ("PUT", "/photos", "Policy", CreateBucket),
        ("PUT", "/photos", "x-id=CreateBucket", CreateBucket),
        ("PUT", "/photos", "prefix=policy", CreateBucket),
        ("PUT", "/photos", "=policy", CreateBucket),
        ("DELETE", "/photos", "", DeleteBucket),
        ("DELETE", "/photos/", "&&", DeleteBucket),
        ("DELETE", "/photos", "x-id=DeleteBucket", DeleteBucket),
        ("GET", "/photos", "policy&list-type=2", GetBucketPolicy),
        ("PUT", "/photos", "publicAccessBlock", PutPublicAccessBlock),
        ("GET", "/photos", "policyStatus", GetBucketPolicyStatus),
        ("GET", "/photos", "", ListObjects),
        ("HEAD", "/photos", "", HeadBucket),
        ("POST", "/photos", "delete", DeleteObjects),
        ("PUT", "/photos/policy", "", PutObject),
        ("DELETE", "/photos/k", "versionId=1", DeleteObject),
        ("GET", "/", "", GetServiceRoot),
    ];
    for (method, path, query, operation) in rows {
        assert_eq!(run(method, path, query), Ok(operation), "{method} {path}?{query}");
    }
}

#[test]
fn what_is_no_operation_is_refused() {
    let rows = [
        ("PUT", "/photos", "policy&acl", "InvalidArgument", "Conflicting query string parameters: acl, policy"),
        ("GET", "/photos", "acl=&policy", "InvalidArgument", "Conflicting query string parameters: acl, policy"),
        ("GET", "/photos", "policy&policyStatus", "InvalidArgument", ""),
        ("GET", "/photos", "policy&uploadId=1", "InvalidArgument", ""),
        ("GET", "/photos/k", "policy&torrent", "InvalidArgument", ""),
        ("PUT", "/photos", "policy&policy", "InvalidArgument", "A query string parameter is given more than once."),
        ("PUT", "/photos", "policy&p%6Flicy=", "InvalidArgument", ""),
        ("PUT", "/photos/k", "policy", "MethodNotAllowed", ""),
        ("GET", "/", "policy", "MethodNotAllowed", ""),
        ("POST", "/photos", "policy", "MethodNotAllowed", ""),
        ("HEAD", "/photos", "policy", "MethodNotAllowed", ""),
        ("PATCH", "/photos", "policy", "MethodNotAllowed", ""),
        ("put", "/photos", "policy", "MethodNotAllowed", ""),
        ("OPTIONS", "/photos", "policy", "BadRequest", ""),
        ("DELETE", "/photos", "acl", "MethodNotAllowed", ""),
        ("DELETE", "/photos", "%61cl", "MethodNotAllowed", ""),
        ("DELETE", "/photos", "uploadId=1", "MethodNotAllowed", ""),
        ("PUT", "/photos", "acl&cors", "InvalidArgument", "Conflicting query string parameters: acl, cors"),
        ("OPTIONS", "/photos", "", "BadRequest", ""),
        ("PUT", "/photos", "policy&%", "InvalidURI", ""),
        ("PUT", "/photos", "%FF", "InvalidURI", ""),
    ];
    for (method, path, query, code, message) in rows {
        let error = run(method, path, query).expect_err(query);
        assert_eq!(error.code().name(), code, "{method} {path}?{query}");
        assert!(message.is_empty() || error.message() == message, "{query}: {}", error.message());
    }
    let conflict = run("PUT", "/photos", "policy&acl").unwrap_err();
    assert_eq!(conflict.fields(), [("ArgumentName", "ResourceType".to_owned()), ("ArgumentValue", "acl".to_owned())]);
    let method = run("POST", "/photos", "policy").unwrap_err();
    assert_eq!(method.fields(), [("Method", "POST".to_owned()), ("ResourceType", "BUCKETPOLICY".to_owned())]);
}

#[test]
fn a_preflight_about_policy_is_left_to_the_store() {
    let (address, _) = Address::parse(None, "/photos", &Domains::default()).unwrap();
    let query = Query::parse(Some("policy")).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(ORIGIN, "https://a.org".parse().unwrap());
    assert_eq!(classify(&Method::OPTIONS, &address, &query, &headers), Err(OperationError::NotPreflight));
    headers.insert(ACCESS_CONTROL_REQUEST_METHOD, "PUT".parse().unwrap());
    assert_eq!(classify(&Method::OPTIONS, &address, &query, &headers), Ok(Operation::CorsPreflight));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let rows = [
        // Two subresources, or one beside uploadId.
        ("GET", "/photos", "acl&cors", "InvalidArgument"),
        ("POST", "/photos/k", "uploads&uploadId=1", "InvalidArgument"),
        ("DELETE", "/photos/k", "tagging&uploadId=1", "InvalidArgument"),
        ("GET", "/photos", "versions&uploads", "InvalidArgument"),
        // Known to S3, but not with this method or not here.
        ("DELETE", "/photos", "acl", "MethodNotAllowed"),
        ("DELETE", "/photos/k", "acl", "MethodNotAllowed"),
        ("DELETE", "/photos", "versions", "MethodNotAllowed"),
        ("HEAD", "/photos/k", "acl", "MethodNotAllowed"),
        ("HEAD", "/photos", "versions", "MethodNotAllowed"),
        ("GET", "/photos/k", "uploads", "MethodNotAllowed"),
        ("GET", "/photos/k", "versions", "MethodNotAllowed"),
        ("GET", "/photos/k", "policy", "MethodNotAllowed"),
        ("PUT", "/photos/k", "torrent", "MethodNotAllowed"),
        ("PUT", "/photos/k", "delete", "MethodNotAllowed"),
        ("POST", "/photos", "uploads", "MethodNotAllowed"),
        ("POST", "/photos/k", "delete", "MethodNotAllowed"),
        ("GET", "/photos", "uploadId=1", "MethodNotAllowed"),
        ("PUT", "/photos", "uploadId=1&partNumber=1", "MethodNotAllowed"),
        ("HEAD", "/photos/k", "uploadId=1", "MethodNotAllowed"),
        ("GET", "/", "acl", "MethodNotAllowed"),
        ("GET", "/", "location", "MethodNotAllowed"),
        // A method that does not fit.
        ("POST", "/photos", "", "MethodNotAllowed"),
        ("POST", "/photos/k", "", "MethodNotAllowed"),
        ("PUT", "/", "", "MethodNotAllowed"),
        ("POST", "/", "", "MethodNotAllowed"),
        ("DELETE", "/", "", "MethodNotAllowed"),
        ("HEAD", "/", "", "MethodNotAllowed"),
        ("PATCH", "/photos/k", "", "MethodNotAllowed"),
        ("TRACE", "/photos/k", "", "MethodNotAllowed"),
        ("get", "/photos/k", "", "MethodNotAllowed"),
        ("OPTIONS", "/", "", "BadRequest"),
        ("OPTIONS", "/photos/k", "acl", "BadRequest"),
        // A partner is missing.
        ("PUT", "/photos/k", "uploadId=1", "InvalidArgument"),
        ("PUT", "/photos", "analytics", "InvalidArgument"),
        ("DELETE", "/photos", "inventory", "InvalidArgument"),
        ("PUT", "/photos/k", "annotation", "InvalidArgument"),
        ("POST", "/photos/k", "select", "InvalidArgument"),
        ("POST", "/photos/k", "select&select-type=1", "InvalidArgument"),
        // A version that is none.
        ("GET", "/photos/k", "versionId", "InvalidArgument"),
        ("GET", "/photos/k", "versionId=", "InvalidArgument"),
        ("PUT", "/photos/k", "acl&versionId=", "InvalidArgument"),
        ("DELETE", "/photos/k", "versionId=&versionId=", "InvalidArgument"),
        ("DELETE", "/photos/k", "uploadId=", "InvalidArgument"),
        ("DELETE", "/photos/k", "uploadId", "InvalidArgument"),
        ("PUT", "/photos/k", "uploadId=&partNumber=1", "InvalidArgument"),
        ("PUT", "/photos/k", "uploadId=1&partNumber=", "InvalidArgument"),
        ("PUT", "/photos", "analytics&id=", "InvalidArgument"),
        ("OPTIONS", "/photos/..%2Fk", "policy", "BadRequest"),
        // Two values for what decides.
        ("GET", "/photos/k", "versionId=1&versionId=2", "InvalidArgument"),
        ("GET", "/photos/k", "versionId=1&version%49d=2", "InvalidArgument"),
        ("GET", "/photos", "acl=1&acl=2", "InvalidArgument"),
        ("GET", "/photos", "list-type=2&list-type=1", "InvalidArgument"),
        ("GET", "/photos", "list-type=1&list-type=2", "InvalidArgument"),
        ("GET", "/photos", "prefix=home/me/&prefix=", "InvalidArgument"),
        ("GET", "/photos", "list-type=2&prefix=a&prefix=b", "InvalidArgument"),
        ("GET", "/photos", "versions&max-keys=1&max-keys=2", "InvalidArgument"),
        ("GET", "/photos", "delimiter=/&delimiter=", "InvalidArgument"),
        ("GET", "/photos", "metrics&id=1&id=2", "InvalidArgument"),
        ("PUT", "/photos/k", "uploadId=1&uploadId=2&partNumber=1", "InvalidArgument"),
        ("PUT", "/photos/k", "uploadId=1&partNumber=1&partNumber=2", "InvalidArgument"),
        ("POST", "/photos/k", "select&select-type=2&select-type=1", "InvalidArgument"),
        // Keys that leave their bucket.
        ("GET", "/photos/..", "", "InvalidURI"),
        ("GET", "/photos/../other/k", "", "InvalidURI"),
        ("GET", "/photos/%2e%2e/other/k", "", "InvalidURI"),
        ("GET", "/photos/%2E%2e%2Fother", "", "InvalidURI"),
        ("PUT", "/photos/a/../../other", "", "InvalidURI"),
        ("PUT", "/photos//..//x", "", "InvalidURI"),
        ("DELETE", "/photos/a/b/../../..", "", "InvalidURI"),
    ];
    for (method, path, query, code) in rows {
        let found = run(method, path, query).map_err(|error| error.code().name());
        assert_eq!(found, Err(code), "{method} {path}?{query}");
    }
}

#[test]
fn what_only_looks_odd_is_taken_literally() {
    use Operation::*;
    let rows = [
        ("GET", "/photos", "Policy", ListObjects),
        ("GET", "/photos", "ACL", ListObjects),
        ("GET", "/photos", "list-type=1", ListObjects),
        ("GET", "/photos", "list-type", ListObjects),
        ("GET", "/photos", "list-type=2&list-type=2", ListObjectsV2),
        ("GET", "/photos", "List-Type=2", ListObjects),
        ("GET", "/photos", "versionId=", ListObjects),
        ("GET", "/photos", "versions&list-type=2", ListObjectVersions),
        ("GET", "/photos", "acl&acl", GetBucketAcl),
        ("GET", "/photos", "x=1&x=2&prefix=", ListObjects),
        ("GET", "/photos", "uploads&prefix=a&prefix=b", ListMultipartUploads),
        ("GET", "/photos/acl", "", GetObject),
        ("GET", "/policy", "", ListObjects),
        ("GET", "/acl/policy", "", GetObject),
        ("GET", "/photos/%3Facl", "", GetObject),
        ("GET", "/photos/%253Facl", "", GetObject),
        ("GET", "/photos/k", "versionId=null", GetObject),
        ("GET", "/photos/k", "VersionId=", GetObject),
        ("GET", "/photos/k", "partNumber=1&partNumber=2", GetObject),
        ("PUT", "/photos/k", "partNumber=1", PutObject),
        ("PUT", "/photos/k", "uploadid=1&partNumber=1", PutObject),
        ("GET", "/photos/k", "uploadId=1&partNumber=1", ListParts),
        ("GET", "/photos/a/../b", "", GetObject),
        ("GET", "/photos/a/..", "", GetObject),
        ("GET", "/photos/./..", "", GetObject),
        ("GET", "/photos/...", "", GetObject),
        ("GET", "/photos//", "", GetObject),
        ("GET", "/photos/%252e%252e/x", "", GetObject),
        ("PUT", "/photos", "versionId=1&versionId=2", CreateBucket),
        ("POST", "/photos/k", "_method=DELETE&restore", RestoreObject),
    ];
    for (method, path, query, operation) in rows {
        assert_eq!(run(method, path, query), Ok(operation), "{method} {path}?{query}");
    }
}

#[test]
fn a_form_is_told_by_its_content_type_alone() {
    let (address, _) = Address::parse(None, "/photos", &Domains::default()).unwrap();
    for (content_type, fits) in [
        ("multipart/form-data; boundary=x", true),
        (" Multipart/Form-Data;boundary=x", true),
        ("multipart/form", false),
        ("text/plain", false),
        ("application/x-www-form-urlencoded", false),
    ] {
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, content_type.parse().unwrap())]);
        let found = classify(&Method::POST, &address, &Query::default(), &headers);
        assert_eq!(found == Ok(Operation::PostObject), fits, "{content_type}");
    }
}

/// What the rows of `tests/data/operations.txt`, which were not made from the bindings, know of an operation: methods and
/// scopes, and the one subresource it has.
fn known() -> std::collections::BTreeMap<&'static str, std::collections::BTreeSet<(String, Option<String>)>> {
    let mut known = std::collections::BTreeMap::<_, std::collections::BTreeSet<_>>::new();
    for row in include_str!("../../../tests/data/operations.txt").lines().filter(|row| !row.starts_with('#')) {
        let [request, _, operation, _] = row.split(" | ").collect::<Vec<_>>()[..] else { panic!("{row}") };
        let (place, query) = request.split_once(" ?").unwrap_or((request, ""));
        let query = Query::parse(Some(query)).unwrap();
        let subresource = query.names().find(|name| is_subresource(name)).filter(|_| operation != "CorsPreflight");
        known.entry(operation).or_default().insert((place.to_owned(), subresource.map(str::to_owned)));
    }
    known.insert("DeleteObjects", [("POST bucket".to_owned(), Some("delete".to_owned()))].into());
    known.insert("PostObject", [("POST bucket".to_owned(), None)].into());
    known.insert("ListDirectoryBuckets", [("GET service".to_owned(), None)].into());
    known
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4096))]

    #[test]
    fn a_request_is_an_operation_whose_binding_it_satisfies_or_none(
        method in proptest::sample::select(vec!["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"]),
        scope in proptest::sample::select(vec![("service", "/"), ("bucket", "/photos"), ("object", "/photos/a/k")]),
        named in proptest::sample::subsequence(SUBRESOURCES.to_vec(), 0..3),
        others in proptest::sample::subsequence(
            vec!["id=1", "partNumber=1", "annotationName=a", "select-type=2", "list-type=2", "versionId=1", "x=y"], 0..5),
        headers in proptest::sample::subsequence(
            vec![("x-amz-copy-source", "a/b"), ("content-type", "multipart/form-data"), ("authorization", "x"),
                 ("origin", "x"), ("access-control-request-method", "PUT"), ("host", "s3express-control.x"),
                 ("x-http-method-override", "DELETE")], 0..5),
    ) {
        let (scope, path) = scope;
        let (address, _) = Address::parse(None, path, &Domains::default()).unwrap();
        let raw = [named.as_slice(), others.as_slice()].concat().join("&");
        let query = Query::parse(Some(&raw)).unwrap();
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .collect();
        let method: Method = method.parse().unwrap();
        let found = classify(&method, &address, &query, &headers);
        let fitting: Vec<_> = Operation::ALL.iter().filter(|all| all.fits(&method, &address, &query, &headers)).collect();
        match found {
            Ok(operation) => {
                proptest::prop_assert!(fitting.contains(&&operation), "{operation}");
                let subresource = if method == Method::OPTIONS { None } else { named.first().map(|name| (*name).to_owned()) };
                let place = (format!("{method} {scope}"), subresource);
                proptest::prop_assert!(known()[operation.name()].contains(&place), "{operation} {place:?}");
                proptest::prop_assert!(method == Method::OPTIONS || named.len() < 2, "{operation}");
            }
            // Without a subresource to mistake, what fits an operation is not refused.
            Err(error) => proptest::prop_assert!(!named.is_empty() || fitting.is_empty(), "{error}: {fitting:?}"),
        }
    }
}
