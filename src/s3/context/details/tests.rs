use http::HeaderValue;

use super::*;
use crate::policy::Action;
use crate::s3::action_map::possible_actions;
use crate::s3::error::S3Error;

type Pairs = Vec<(String, String)>;

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
}

fn read_all(
    operation: Operation,
    headers: &[(&'static str, &str)],
    fields: &[(&str, &str)],
    body: Option<&str>,
) -> Result<RequestDetails, &'static str> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let part = |(name, value): &(&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts: String = [("key", "k")].iter().chain(fields).chain(&[("file", "data")]).map(part).collect();
    let form = Form::parse("multipart/form-data; boundary=x", parts.as_bytes()).unwrap();
    RequestDetails::read(operation, &map, Some(&form), body.map(str::as_bytes)).map_err(|error| {
        assert!(!error.to_string().is_empty());
        S3Error::from(error).code().name()
    })
}

/// What is said under the keys of locks and the others that are texts, without `s3:`.
fn said(details: &RequestDetails) -> Pairs {
    details.values.iter().map(|(key, value)| (key.name().trim_start_matches("s3:").to_owned(), value.clone())).collect()
}

#[test]
fn the_header_of_tags_is_a_query() {
    for (tagging, expected) in [
        ("", vec![]),
        ("team=blue", vec![("team", "blue")]),
        ("a=1&b=2", vec![("a", "1"), ("b", "2")]),
        ("a=1&A=1&", vec![("a", "1"), ("A", "1")]),
        ("a+b=c%20d%26&%C3%BC=%3D=", vec![("a b", "c d&"), ("ü", "==")]),
        ("a=", vec![("a", "")]),
        ("a", vec![("a", "")]),
        ("s3:x/y@z.-_=+", vec![("s3:x/y@z.-_", " ")]),
    ] {
        let details = read_all(Operation::PutObject, &[(TAGGING, tagging)], &[], None).unwrap();
        assert_eq!(details.object_tags(), pairs(&expected), "{tagging}");
    }
    let many = (0..=MAX_TAGS).map(|i| format!("t{i}=v")).collect::<Vec<_>>().join("&");
    let most = many.rsplit_once('&').unwrap().0;
    assert_eq!(
        read_all(Operation::PutObject, &[(TAGGING, most)], &[], None).map(|details| details.object_tags.len()),
        Ok(MAX_TAGS)
    );
    for tagging in
        ["a=1&a=2", "a=1&a=1", "a=1&%61=2", "=1", "&=", "a=%", "a=%FF", "a=%zz", "a=1;b=2", "ü=1", many.as_str()]
    {
        let refused = read_all(Operation::PutObject, &[(TAGGING, tagging)], &[], None);
        assert_eq!(refused, Err("InvalidArgument"), "{tagging}");
    }
    let twice = |second| read_all(Operation::PutObject, &[(TAGGING, "a=1"), (TAGGING, second)], &[], None);
    assert_eq!(twice("a=2"), Err("InvalidArgument"));
    assert_eq!(twice("a=1").unwrap().object_tags(), pairs(&[("a", "1")]));
}

#[test]
fn tags_in_xml_are_the_same_in_body_and_form() {
    let tagging = |tags: &str| format!("<Tagging xmlns=\"x\">\n<TagSet>{tags}</TagSet></Tagging>");
    let tag = |key: &str, value: &str| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
    let many: String = (0..=MAX_TAGS).map(|i| tag(&format!("t{i}"), "")).collect();
    for (document, expected) in [
        (tagging(""), Ok(vec![])),
        (tagging(&tag("team", "blue")), Ok(vec![("team", "blue")])),
        (tagging(&(tag("a", "1") + " " + &tag("A", ""))), Ok(vec![("a", "1"), ("A", "")])),
        (tagging("<Tag><Value>&lt;</Value><Key>a%20+b</Key></Tag>"), Ok(vec![("a%20+b", "<")])),
        (tagging("<Tag><Key>a</Key></Tag>"), Ok(vec![("a", "")])),
        (tagging(&(tag("a", "1") + &tag("a", "2"))), Err("InvalidArgument")),
        (tagging(&many), Err("InvalidArgument")),
        (tagging("<Tag><Value>1</Value></Tag>"), Err("MalformedXML")),
        (tagging(&tag("", "1")), Err("MalformedXML")),
        (tagging(&tag(" a", "1")), Err("MalformedXML")),
        (tagging(&tag("a", "1<!-- -->2")), Err("MalformedXML")),
        (tagging("<Tag><Key>a</Key><Key>b</Key></Tag>"), Err("MalformedXML")),
        (tagging("<Tag><Key>a</Key><Other/></Tag>"), Err("MalformedXML")),
        ("<Tagging><TagSet/><TagSet/></Tagging>".to_owned(), Err("MalformedXML")),
        ("<Tagging/>".to_owned(), Err("MalformedXML")),
        ("<TagSet/>".to_owned(), Err("MalformedXML")),
        ("<Tagging><Tag><Key>a</Key></Tag><TagSet/></Tagging>".to_owned(), Err("MalformedXML")),
        ("a=1".to_owned(), Err("MalformedXML")),
        (String::new(), Err("MalformedXML")),
    ] {
        let expected = expected.map(|tags| pairs(&tags));
        let tags = |details: RequestDetails| details.object_tags;
        let by_body = read_all(Operation::PutObjectTagging, &[(TAGGING, "no=no")], &[], Some(&document)).map(tags);
        assert_eq!(by_body, expected, "{document}");
        let by_form = read_all(Operation::PostObject, &[], &[("tagging", &document)], None).map(tags);
        assert_eq!(by_form, expected, "{document}");
    }
    let long = format!("{}{}", tagging(""), " ".repeat(MAX_DETAILS_BODY));
    let refused = read_all(Operation::PutObjectTagging, &[], &[], Some(&long)).map(|_| ());
    assert_eq!(refused, Err("MaxMessageLengthExceeded"));
}

#[test]
fn locks_are_the_same_in_header_form_and_body() {
    let (mode, until) = ("x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date");
    let (legal, event) = ("x-amz-object-lock-legal-hold", "x-amz-object-lock-event-hold");
    let days = "x-amz-object-lock-event-hold-duration-days";
    let retention = |inner: &str| (Operation::PutObjectRetention, format!("<Retention>{inner}</Retention>"));
    let hold = |inner: &str| (Operation::PutObjectLegalHold, format!("<LegalHold>{inner}</LegalHold>"));
    let lasting = |inner: &str| retention(&format!("<EventHoldDuration>{inner}</EventHoldDuration>"));
    for (sent, (operation, body), expected) in [
        (vec![], retention(""), Some(vec![])),
        (
            vec![(mode, "GOVERNANCE")],
            retention("<Mode>GOVERNANCE</Mode>"),
            Some(vec![("object-lock-mode", "GOVERNANCE")]),
        ),
        (
            vec![(mode, "COMPLIANCE"), (until, "2027-01-01T00:00:00Z")],
            retention("<RetainUntilDate>2027-01-01T00:00:00Z</RetainUntilDate><Mode>COMPLIANCE</Mode>"),
            Some(vec![("object-lock-mode", "COMPLIANCE"), ("object-lock-retain-until-date", "2027-01-01T00:00:00Z")]),
        ),
        (vec![(event, "ON")], retention("<EventHold>ON</EventHold>"), Some(vec![("object-lock-event-hold", "ON")])),
        (vec![(days, "30")], lasting("<Days>30</Days>"), Some(vec![("object-lock-event-hold-duration-days", "30")])),
        (
            vec![(EVENT_HOLD_YEARS, "2")],
            lasting("<Years>2</Years>"),
            Some(vec![("object-lock-event-hold-duration-days", "730")]),
        ),
        (vec![(legal, "OFF")], hold("<Status>OFF</Status>"), Some(vec![("object-lock-legal-hold", "OFF")])),
        (vec![(mode, "governance")], retention("<Mode>governance</Mode>"), None),
        (vec![(mode, "")], retention("<Mode/>"), None),
        (vec![(until, "tomorrow")], retention("<RetainUntilDate>tomorrow</RetainUntilDate>"), None),
        (vec![(until, "1800000000")], retention("<RetainUntilDate>1800000000</RetainUntilDate>"), None),
        (
            vec![(until, "2027-01-01T00:00:00")],
            retention("<RetainUntilDate>2027-01-01T00:00:00</RetainUntilDate>"),
            None,
        ),
        (vec![(legal, "on")], hold("<Status>on</Status>"), None),
        (vec![(event, "yes")], retention("<EventHold>yes</EventHold>"), None),
        (vec![(days, "-1")], lasting("<Days>-1</Days>"), None),
        (vec![(days, "1e3")], lasting("<Days>1e3</Days>"), None),
        (vec![(EVENT_HOLD_YEARS, "")], lasting("<Years/>"), None),
        (vec![(EVENT_HOLD_YEARS, "999999999")], lasting("<Years>999999999</Years>"), None),
        (vec![(EVENT_HOLD_YEARS, "1"), (days, "1")], lasting("<Days>1</Days><Years>1</Years>"), None),
    ] {
        let sorted = |details: RequestDetails| {
            let mut said = said(&details);
            said.sort();
            said
        };
        let expected = expected.map(|expected| pairs(&expected));
        let refused = |code: &'static str| expected.clone().ok_or(code);
        let by_header = read_all(Operation::PutObject, &sent, &[], None).map(sorted);
        assert_eq!(by_header, refused("InvalidArgument"), "{sent:?}");
        let by_form = read_all(Operation::PostObject, &[(mode, "x")], &sent, None).map(sorted);
        assert_eq!(by_form, refused("InvalidArgument"), "{sent:?}");
        let by_body = read_all(operation, &[(mode, "x"), (legal, "x")], &[], Some(&body)).map(sorted);
        assert_eq!(by_body, refused("MalformedXML"), "{body}");
    }
    for body in
        ["", "<Retention><Status>ON</Status></Retention>", "<Retention><Days>1</Days></Retention>", "<LegalHold/>"]
    {
        assert_eq!(read_all(Operation::PutObjectRetention, &[], &[], Some(body)), Err("MalformedXML"), "{body}");
    }
    let twice = [(mode, "GOVERNANCE"), (mode, "COMPLIANCE")];
    assert_eq!(read_all(Operation::PutObject, &twice, &[], None), Err("InvalidArgument"));
}

#[test]
fn bodies_of_buckets_and_encryption_are_read_for_what_counts() {
    let bucket = |inner: &str| {
        let body = format!("<CreateBucketConfiguration xmlns=\"x\">{inner}</CreateBucketConfiguration>");
        let details = read_all(Operation::CreateBucket, &[], &[], Some(&body))?;
        Ok((said(&details), details.bucket_tags))
    };
    for (inner, expected) in [
        ("", Ok((vec![], vec![]))),
        ("<LocationConstraint/>", Ok((vec![], vec![]))),
        ("<LocationConstraint>EU</LocationConstraint>", Ok((vec![("locationconstraint", "EU")], vec![]))),
        ("<Bucket><Type>Directory</Type></Bucket><New><Key>x</Key></New><Tags/>", Ok((vec![], vec![]))),
        ("<Tags><Tag><Key>a</Key><Value>1</Value></Tag></Tags>", Ok((vec![], vec![("a", "1")]))),
        ("<LocationConstraint>a</LocationConstraint><LocationConstraint>b</LocationConstraint>", Err("MalformedXML")),
        ("<Location><LocationConstraint>a</LocationConstraint></Location>", Err("MalformedXML")),
        ("<locationConstraint>a</locationConstraint>", Err("MalformedXML")),
        ("<New><Tags/></New>", Err("MalformedXML")),
        ("<Tags><Tag/></Tags>", Err("MalformedXML")),
        ("<Tags><Tag><Key>a</Key></Tag><Tag><Key>a</Key></Tag></Tags>", Err("InvalidArgument")),
    ] {
        assert_eq!(bucket(inner), expected.map(|(said, tags)| (pairs(&said), pairs(&tags))), "{inner}");
    }
    let encryption = |inner: &str| {
        let body = format!("<ObjectEncryption>{inner}</ObjectEncryption>");
        read_all(Operation::UpdateObjectEncryption, &[], &[], Some(&body)).map(|details| said(&details))
    };
    let kms = "<SSE-KMS><KMSKeyArn>k</KMSKeyArn><BucketKeyEnabled>true</BucketKeyEnabled></SSE-KMS>";
    let (algorithm, key) = ("x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id");
    assert_eq!(encryption(kms), Ok(pairs(&[(algorithm, "aws:kms"), (key, "k")])));
    assert_eq!(encryption("<SSE-S3/>"), Ok(pairs(&[(algorithm, "AES256")])));
    for inner in ["", "<SSE-S3/><SSE-KMS/>", "<SSE-C/>", "<SSE-KMS><Key>k</Key></SSE-KMS>"] {
        assert_eq!(encryption(inner), Err("MalformedXML"), "{inner}");
    }
    let fields = |inner: &str| {
        let body = format!("<InventoryConfiguration>{inner}</InventoryConfiguration>");
        read_all(Operation::PutBucketInventoryConfiguration, &[], &[], Some(&body)).map(|details| details.values.len())
    };
    for (inner, expected) in [
        ("<Id>x</Id>", Ok(0)),
        ("<OptionalFields/>", Ok(0)),
        ("<OptionalFields><Field>Size</Field><Field>Size</Field></OptionalFields>", Ok(2)),
        ("<Filter><Prefix>Field</Prefix></Filter>", Ok(0)),
        ("<OptionalFields><Field> Size</Field></OptionalFields>", Err("MalformedXML")),
        ("<OptionalFields><Size/></OptionalFields>", Err("MalformedXML")),
        ("<Filter><OptionalFields/></Filter>", Err("MalformedXML")),
        ("<OptionalFields/><OptionalFields/>", Err("MalformedXML")),
    ] {
        assert_eq!(fields(inner), expected, "{inner}");
    }
}

#[test]
fn no_operation_with_details_is_overlooked() {
    use Operation as O;
    let of_details = |key: ConditionKey| {
        let by_name = ["s3:RequestObjectTag", "s3:RequestObjectTagKeys", "aws:RequestTag", "aws:TagKeys"];
        let texts = [INVENTORY_FIELDS, LOCATION_CONSTRAINT];
        by_name.contains(&key.name()) || texts.contains(&key) || locks().any(|(lock, _)| lock == key)
    };
    let has_details = |action: Action| ConditionKey::all().any(|key| of_details(key) && key.supports(action));
    for operation in Operation::ALL.iter().copied() {
        let without = matches!(
            operation,
            // What they belong to has set them.
            O::UploadPart | O::UploadPartCopy | O::CompleteMultipartUpload
                // They have the action for another reason: they delete, and pass over governance.
                | O::DeleteBucketInventoryConfiguration | O::DeleteObject | O::DeleteObjects | O::DeleteObjectAnnotation
        );
        // The keys of the last are those of headers elsewhere.
        let expected =
            possible_actions(operation).any(has_details) && !without || operation == O::UpdateObjectEncryption;
        assert_eq!(Reading::of(operation).is_some(), expected, "{operation}");
    }
    let in_bodies: Vec<_> = Operation::ALL.iter().copied().filter(|operation| needs_details(*operation)).collect();
    assert_eq!(
        in_bodies,
        [
            O::CreateBucket,
            O::PostObject,
            O::PutBucketInventoryConfiguration,
            O::PutObjectLegalHold,
            O::PutObjectRetention,
            O::PutObjectTagging,
            O::UpdateObjectEncryption,
        ]
    );
    for operation in in_bodies {
        let unread = RequestDetails::read(operation, &HeaderMap::new(), None, None);
        assert_eq!(unread, Err(DetailsError::BodyNotRead), "{operation}");
    }
}
