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
