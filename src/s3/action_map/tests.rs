use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::*;
use crate::s3::address::Domains;
use crate::s3::error::S3Error;
use crate::s3::hoisted::effective_headers;
use crate::s3::operation::classify;

const ROWS: &str = include_str!("../../../tests/data/operations.txt");

/// What a request is and needs, one action after the other; or the code of its refusal.
fn run(
    method: &str,
    host: Option<&str>,
    path: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Result<(Operation, Vec<String>), String> {
    let refused = |error: S3Error| error.code().to_string();
    let domains = Domains::parse(["s3.example.com"]).unwrap();
    let (address, _) = Address::parse(host, path, &domains).map_err(|error| refused(error.into()))?;
    let query = Query::parse(Some(query)).map_err(|error| refused(error.into()))?;
    let sent: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
        .fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(name, value);
            all
        });
    let headers = effective_headers(&sent, &query).map_err(refused)?;
    let method: Method = method.parse().unwrap();
    let operation = classify(&method, &address, &query, &headers).map_err(|error| refused(error.into()))?;
    assert!(operation.fits(&method, &address, &query, &headers), "{operation}");
    let head = Head { address: &address, query: &query, headers: &headers };
    let needed = requirements(operation, head, body.map(str::as_bytes)).map_err(|error| refused(error.into()))?;
    let in_words = |access: &Access| {
        let subject = match (access.subject, access.resource.strip_prefix("arn:aws:s3:::")) {
            (AccessSubject::Service, None) => access.resource == "*",
            (AccessSubject::Bucket, Some(resource)) => Some(resource) == address.bucket().map(BucketName::as_str),
            (AccessSubject::Object, Some(resource)) => {
                let bucket = resource.split_once('/').map(|(bucket, _)| bucket);
                bucket.is_some() && bucket == address.bucket().map(BucketName::as_str)
            }
            (AccessSubject::Source, Some(resource)) => {
                let source = copy_source(operation, &headers).unwrap().unwrap();
                resource == format!("{}/{}", source.bucket, source.key)
            }
            (AccessSubject::Service, Some(_)) | (_, None) => false,
        };
        assert!(subject, "{operation}: {access:?}");
        let resource = access.resource.strip_prefix("arn:aws:s3:::").unwrap_or(&access.resource);
        format!("{} {resource}", access.action.name().trim_start_matches("s3:"))
    };
    let words = needed.iter().flat_map(|requirement| match requirement {
        Requirement::Access(access) => vec![in_words(access)],
        Requirement::AccessIf(fact, access) => vec![format!("{} if {fact}", in_words(access))],
        Requirement::Entry(_, all) => all.iter().map(in_words).collect(),
        Requirement::Foreign(action) => vec![format!("{} *", action.name())],
    });
    Ok((operation, words.collect()))
}

#[test]
fn every_operation_needs_what_amazon_says_in_both_styles() {
    let mut seen = BTreeSet::new();
    for row in ROWS.lines().filter(|row| !row.starts_with('#')) {
        let [request, headers, operation, needed] = row.split(" | ").collect::<Vec<_>>()[..] else { panic!("{row}") };
        let (request, query) = request.split_once(" ?").unwrap_or((request, ""));
        let (method, scope) = request.split_once(' ').unwrap();
        let headers: Vec<_> = headers.split("; ").filter_map(|header| header.split_once(": ")).collect();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, *value)).collect();
        let by_path = match scope {
            "service" => "/",
            "bucket" => "/photos",
            "object" => "/photos/a%2Fk",
            other => panic!("{other}"),
        };
        let resource = |needed: &str| {
            let (action, resource) = needed.split_once(' ').unwrap();
            let (resource, fact) = resource
                .split_once(' ')
                .map_or((resource, String::new()), |(resource, fact)| (resource, format!(" {fact}")));
            let resource = match resource {
                "b" => "photos",
                "o" => "photos/a/k",
                "s" => "source/s/k",
                "*" => "*",
                other => panic!("{other}"),
            };
            format!("{action} {resource}{fact}")
        };
        let needed: Vec<_> = needed.split(", ").filter(|needed| !needed.is_empty()).map(resource).collect();
        let body = (operation == "CreateBucket").then_some("");
        let (found, words) = run(method, None, by_path, query, &headers, body).unwrap_or_else(|e| panic!("{row}: {e}"));
        assert_eq!((found.name(), &words), (operation, &needed), "{row}");
        if let Some(hosted) = by_path.strip_prefix("/photos") {
            let path = if hosted.is_empty() { "/" } else { hosted };
            let host = Some("photos.s3.example.com");
            assert_eq!(run(method, host, path, query, &headers, body), Ok((found, words)), "{row}");
        }
        seen.insert(found);
    }
    use Operation as O;
    // These depend on bodies and hosts, and are told of below.
    seen.extend([O::DeleteObjects, O::PostObject, O::ListDirectoryBuckets, O::WriteGetObjectResponse]);
    let missing: Vec<_> = Operation::ALL.iter().filter(|operation| !seen.contains(operation)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn each_key_of_a_batch_is_needed_by_itself() {
    let body = "<Delete><Object><Key>a&amp;b</Key></Object><Object><Key>c</Key><VersionId>null</VersionId></Object>\
                <Object><Key>d</Key><ETag>\"e\"</ETag></Object><Object><Key>e</Key><ETag>*</ETag></Object></Delete>";
    let delete = |headers: &[(&str, &str)]| run("POST", None, "/photos", "delete", headers, Some(body)).unwrap();
    let plain = [
        "DeleteObject photos/a&b",
        "DeleteObjectVersion photos/c",
        "DeleteObject photos/d",
        "GetObject photos/d",
        "DeleteObject photos/e",
    ];
    assert_eq!(delete(&[]), (Operation::DeleteObjects, plain.map(str::to_owned).to_vec()));
    let (_, bypassing) = delete(&[("x-amz-bypass-governance-retention", "TRUE")]);
    assert_eq!(bypassing.iter().filter(|need| need.starts_with("BypassGovernanceRetention ")).count(), 4);
    let (_, not) = delete(&[("x-amz-bypass-governance-retention", "yes")]);
    assert_eq!(not, plain);
    let address = Address::Bucket(BucketName::parse("photos").unwrap());
    let (query, headers) = (Query::default(), HeaderMap::new());
    let head = Head { address: &address, query: &query, headers: &headers };
    let needed = requirements(Operation::DeleteObjects, head, Some(body.as_bytes())).unwrap();
    let entries = needed.iter().map(|requirement| match requirement {
        Requirement::Entry(object, _) => (object.key.as_str(), object.version_id.as_deref()),
        other => panic!("{other:?}"),
    });
    assert_eq!(entries.collect::<Vec<_>>(), [("a&b", None), ("c", Some("null")), ("d", None), ("e", None)]);
    assert_eq!(run("POST", None, "/photos", "delete", &[], Some("")), Err("MissingRequestBodyError".to_owned()));
    assert_eq!(run("POST", None, "/photos", "delete", &[], Some("<Delete/>")), Err("MalformedXML".to_owned()));
    assert_eq!(run("POST", None, "/photos", "delete", &[], None), Err("InternalError".to_owned()), "not read");
}

#[test]
fn a_bucket_made_with_tags_needs_leave_to_tag() {
    let root = |inner: &str| format!("<CreateBucketConfiguration xmlns=\"x\">{inner}</CreateBucketConfiguration>");
    for (body, tags) in [
        (String::new(), Ok(false)),
        (" \n".to_owned(), Ok(false)),
        (root("<LocationConstraint>eu</LocationConstraint>"), Ok(false)),
        (root("<Tags/>"), Ok(false)),
        (root("<Other><Tags><Tag/></Tags></Other><Tag/>"), Ok(false)),
        (root("<Tags><Tag><Key>a</Key></Tag></Tags>"), Ok(true)),
        (root("<LocationConstraint/><Tags><Tag/></Tags>"), Ok(true)),
        (root("<x:Tags><x:Tag/></x:Tags>"), Err("MalformedXML")),
        ("<Other/>".to_owned(), Err("MalformedXML")),
        ("<CreateBucketConfiguration><Tags><Tag>".to_owned(), Err("MalformedXML")),
        ("<!DOCTYPE a><CreateBucketConfiguration/>".to_owned(), Err("MalformedXML")),
        (" ".repeat(MAX_BUCKET_BODY) + "<a/>", Err("MaxMessageLengthExceeded")),
    ] {
        let found = run("PUT", None, "/photos", "", &[], Some(&body));
        let mut needed = vec!["CreateBucket photos".to_owned()];
        needed.extend(tags.unwrap_or(false).then(|| "TagResource photos".to_owned()));
        let expected = tags.map(|_| (Operation::CreateBucket, needed)).map_err(str::to_owned);
        assert_eq!(found, expected, "{:.60}", body);
    }
}

#[test]
fn a_form_needs_what_its_fields_ask_for() {
    let form = |fields: &[(&str, &str)]| {
        let field = |(name, value): &(&str, &str)| {
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let fields: String = fields.iter().map(field).collect();
        format!("{fields}--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\ndata\r\n--x--\r\n")
    };
    let post = |fields: &[(&str, &str)]| {
        let headers = [("content-type", "multipart/form-data; boundary=x"), ("x-amz-acl", "public-read")];
        run("POST", None, "/photos", "", &headers, Some(&form(fields))).map(|(operation, needed)| {
            assert_eq!(operation, Operation::PostObject);
            needed
        })
    };
    let put = "PutObject photos/up/f";
    for (field, more) in [
        ("x", None),
        ("Acl", Some("PutObjectAcl photos/up/f")),
        ("tagging", Some("PutObjectTagging photos/up/f")),
        ("X-Amz-Object-Lock-Mode", Some("PutObjectRetention photos/up/f")),
        ("x-amz-object-lock-retain-until-date", Some("PutObjectRetention photos/up/f")),
        ("x-amz-object-lock-legal-hold", Some("PutObjectLegalHold photos/up/f")),
    ] {
        let needed: Vec<_> = [put].into_iter().chain(more).map(str::to_owned).collect();
        assert_eq!(post(&[("key", "up/${filename}"), (field, "v")]), Ok(needed), "{field}");
    }
    assert_eq!(post(&[]), Err("InvalidArgument".to_owned()));
}

#[test]
fn what_belongs_to_another_service_is_told_as_such() {
    let signed = ("authorization", "x");
    let directory = ("host", "s3express-control.us-east-1.amazonaws.com");
    let (route, token) = (("x-amz-request-route", "r"), ("x-amz-request-token", "t"));
    for (method, path, headers, operation, needed) in [
        ("GET", "/", [signed, directory], Operation::ListDirectoryBuckets, "s3express:ListAllMyDirectoryBuckets *"),
        (
            "POST",
            "/WriteGetObjectResponse",
            [route, token],
            Operation::WriteGetObjectResponse,
            "s3-object-lambda:WriteGetObjectResponse *",
        ),
        (
            "POST",
            "/route/WriteGetObjectResponse",
            [route, token],
            Operation::WriteGetObjectResponse,
            "s3-object-lambda:WriteGetObjectResponse *",
        ),
    ] {
        assert_eq!(run(method, None, path, "", &headers, None), Ok((operation, vec![needed.to_owned()])), "{path}");
    }
}

#[test]
fn spellings_that_could_pass_for_something_else() {
    let put = |operation| Ok((operation, vec!["PutObject photos/k".to_owned()]));
    let refused = |code: &str| Err(code.to_owned());
    let signature = "X-Amz-Signature=0";
    let copied = |source: &str| {
        let query = format!("x-amz-copy-source={source}&{signature}");
        run(
            "PUT",
            None,
            "/photos/k",
            &query,
            &[("x-amz-tagging-directive", "REPLACE"), ("x-amz-object-annotation-directive", "exclude")],
            None,
        )
    };
    let copy = Ok((Operation::CopyObject, vec!["PutObject photos/k".to_owned(), "GetObject source/a b".to_owned()]));
    assert_eq!(copied("source/a%2520b"), copy, "decoded as a parameter, then as a source");
    assert_eq!(copied("%2Fsource%2Fa%2520b"), copy);
    assert_eq!(copied("source"), refused("InvalidArgument"));
    for (query, headers, expected) in [
        // Unsigned, a parameter is no header, and neither is one of another name.
        ("x-amz-copy-source=/a/b", vec![], put(Operation::PutObject)),
        (
            "",
            vec![("x-http-method-override", "DELETE"), ("x-forwarded-host", "other.s3.example.com")],
            put(Operation::PutObject),
        ),
        ("", vec![("x-amz-copy-source", "")], refused("InvalidArgument")),
        ("", vec![("x-amz-copy-source", "src/a"), ("x-amz-copy-source", "src/b")], refused("InvalidArgument")),
        ("", vec![("x-amz-acl", "private"), ("x-amz-acl", "public-read")], refused("InvalidArgument")),
        ("x-amz-acl=private&X-Amz-ACL=public-read&X-Amz-Signature=0", vec![], refused("InvalidArgument")),
        ("x-amz-acl=private&Signature=0", vec![("x-amz-acl", "public-read")], refused("InvalidArgument")),
        ("acl", vec![("x-amz-copy-source", "src/a")], refused("InvalidRequest")),
        ("torrent", vec![("x-amz-copy-source", "src/a")], refused("MethodNotAllowed")),
    ] {
        assert_eq!(run("PUT", None, "/photos/k", query, &headers, None), expected, "{query} {headers:?}");
    }
    let hoisted = run("PUT", None, "/photos/k", "X-Amz-Tagging=a&x-AMZ-acl=x&X-Amz-Signature=0", &[], None);
    let needed = ["PutObject", "PutObjectAcl", "PutObjectTagging"].map(|action| format!("{action} photos/k"));
    assert_eq!(hoisted, Ok((Operation::PutObject, needed.to_vec())));
}

#[test]
fn only_copies_have_a_source() {
    let headers = |values: &[&'static str]| {
        values.iter().map(|value| (COPY_SOURCE, HeaderValue::from_static(value))).fold(
            HeaderMap::new(),
            |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            },
        )
    };
    for (operation, values, expected) in [
        (Operation::CopyObject, &["/src/a%20b?versionId=1"][..], Ok(Some("src/a b"))),
        (Operation::UploadPartCopy, &["src/k", "src/k"], Ok(Some("src/k"))),
        (Operation::UploadPartCopy, &["src/k", "src/l"], Err("InvalidArgument")),
        (Operation::CopyObject, &["src"], Err("InvalidArgument")),
        (Operation::PutObject, &["src/k"], Ok(None)),
        (Operation::GetObject, &[], Ok(None)),
    ] {
        let found = copy_source(operation, &headers(values)).map_err(|error| S3Error::from(error).code().name());
        let found = found.map(|source| source.map(|source| format!("{}/{}", source.bucket, source.key)));
        assert_eq!(found.as_ref().map(Option::as_deref), expected.as_ref().copied(), "{operation} {values:?}");
    }
}

#[test]
fn what_depends_on_a_body_says_so() {
    let with: Vec<_> = Operation::ALL.iter().copied().filter(|operation| needs_body(*operation)).collect();
    assert_eq!(with, [Operation::CreateBucket, Operation::DeleteObjects, Operation::PostObject]);
}
