//! Keys whose values stand in forms, bodies and the headers that set tags and locks.

use super::*;

#[test]
fn fields_of_a_form_count_and_its_headers_do_not() {
    let headers = [
        ("x-amz-acl", "private"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-tagging", "a=1"),
        ("x-amz-metadata-directive", "COPY"),
        ("x-amz-copy-source", "src/k"),
        ("if-match", "*"),
        ("if-none-match", "*"),
        ("user-agent", "browser"),
    ];
    let fields = [
        ("acl", "public-read"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:::key/1"),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-website-redirect-location", "/x"),
        ("x-amz-object-lock-legal-hold", "ON"),
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-object-lock-retain-until-date", "2026-11-24T10:00:00Z"),
        ("if-none-match", "*"),
        ("tagging", "<Tagging><TagSet><Tag><Key>team</Key><Value>blue</Value></Tag></TagSet></Tagging>"),
    ];
    let keys = [
        "s3:x-amz-acl",
        "s3:x-amz-grant-read",
        "s3:x-amz-storage-class",
        "s3:x-amz-server-side-encryption",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "s3:x-amz-server-side-encryption-customer-algorithm",
        "s3:x-amz-website-redirect-location",
        "s3:object-lock-legal-hold",
        "s3:object-lock-mode",
        "s3:object-lock-retain-until-date",
        "s3:object-lock-remaining-retention-days",
        "s3:RequestObjectTag/team",
        "s3:RequestObjectTag/a",
        "s3:RequestObjectTagKeys",
        "s3:x-amz-metadata-directive",
        "s3:x-amz-copy-source",
        "s3:if-match",
        "s3:if-none-match",
        "aws:UserAgent",
    ];
    check(vec![
        (
            Ask { headers: &headers, form: &fields, path: "/photos", ..upload(Operation::PostObject) },
            &keys,
            &[
                "s3:x-amz-acl=public-read",
                "s3:x-amz-server-side-encryption=aws:kms",
                "s3:x-amz-server-side-encryption-aws-kms-key-id=arn:aws:kms:::key/1",
                "s3:x-amz-server-side-encryption-customer-algorithm=AES256",
                "s3:x-amz-website-redirect-location=/x",
                "s3:object-lock-legal-hold=ON",
                "s3:object-lock-mode=COMPLIANCE",
                "s3:object-lock-retain-until-date=2026-11-24T10:00:00Z",
                "s3:object-lock-remaining-retention-days=1",
                "s3:RequestObjectTag/team=blue",
                "s3:RequestObjectTagKeys=team",
                "aws:UserAgent=browser",
            ],
        ),
        (
            Ask { headers: &headers, form: &[("x", "y")], ..upload(Operation::PostObject) },
            &keys,
            &["aws:UserAgent=browser"],
        ),
    ]);
}

#[test]
fn tags_and_locks_are_those_that_the_request_sets() {
    let keys = &[
        "s3:RequestObjectTag/team",
        "s3:RequestObjectTag/Team",
        "s3:RequestObjectTagKeys",
        "s3:object-lock-mode",
        "s3:object-lock-legal-hold",
        "s3:object-lock-event-hold",
        "s3:object-lock-event-hold-duration-days",
        "s3:object-lock-retain-until-date",
        "s3:object-lock-remaining-retention-days",
    ][..];
    let headers = [
        ("x-amz-tagging", "team=blue&cost=1"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-object-lock-legal-hold", "OFF"),
        ("x-amz-object-lock-event-hold", "ON"),
        ("x-amz-object-lock-event-hold-duration-days", "30"),
        ("x-amz-object-lock-retain-until-date", "2026-12-03T10:00:00.000Z"),
    ];
    let replacing: Vec<_> = headers.into_iter().chain([("x-amz-tagging-directive", "replace")]).collect();
    let of_tags = ["s3:RequestObjectTag/team=blue", "s3:RequestObjectTagKeys=team & cost"];
    let of_locks = [
        "s3:object-lock-mode=GOVERNANCE",
        "s3:object-lock-legal-hold=OFF",
        "s3:object-lock-event-hold=ON",
        "s3:object-lock-event-hold-duration-days=30",
        "s3:object-lock-retain-until-date=2026-12-03T10:00:00.000Z",
        "s3:object-lock-remaining-retention-days=10",
    ];
    let all: Vec<_> = of_tags.into_iter().chain(of_locks).collect();
    let on_object =
        |operation, action, body| Ask { operation, action, body: Some(body), headers: &headers, ..Ask::default() };
    let sets = "<Tagging><TagSet><Tag><Key>Team</Key><Value>red</Value></Tag></TagSet></Tagging>";
    let retains = "<Retention><RetainUntilDate>2027-11-23T10:00:01Z</RetainUntilDate></Retention>";
    check(vec![
        (Ask { headers: &headers, ..upload(Operation::PutObject) }, keys, &all),
        (Ask { headers: &headers, ..upload(Operation::CreateMultipartUpload) }, keys, &all),
        (Ask { headers: &headers, ..upload(Operation::UploadPart) }, keys, &[]),
        (Ask { headers: &headers, ..upload(Operation::CopyObject) }, keys, &of_locks),
        (Ask { headers: &replacing, ..upload(Operation::CopyObject) }, keys, &all),
        (Ask { action: Action::PutObjectTagging, headers: &headers, ..upload(Operation::PutObject) }, keys, &of_tags),
        (
            on_object(Operation::PutObjectTagging, Action::PutObjectVersionTagging, sets),
            keys,
            &["s3:RequestObjectTag/Team=red", "s3:RequestObjectTagKeys=Team"],
        ),
        (
            on_object(Operation::PutObjectRetention, Action::PutObjectRetention, retains),
            keys,
            &["s3:object-lock-retain-until-date=2027-11-23T10:00:01Z", "s3:object-lock-remaining-retention-days=366"],
        ),
        (
            on_object(
                Operation::PutObjectLegalHold,
                Action::PutObjectLegalHold,
                "<LegalHold><Status>ON</Status></LegalHold>",
            ),
            keys,
            &["s3:object-lock-legal-hold=ON"],
        ),
    ]);
}

#[test]
fn a_day_of_retention_that_has_begun_counts() {
    for (date, days) in [
        ("2026-11-23T10:00:00.5Z", "0"),
        ("2026-11-23T10:00:01Z", "1"),
        ("2026-11-24T10:00:00.5Z", "1"),
        ("2026-11-24T10:00:00.6Z", "2"),
        ("2026-11-24T11:00:00.500+01:00", "1"),
        ("2026-11-25", "2"),
        ("2026-11-23T10:00:00Z", "0"),
        ("2026-11-22T10:00:00Z", "-1"),
    ] {
        let headers = [("x-amz-object-lock-retain-until-date", date)];
        let ask = Ask { headers: &headers, ..upload(Operation::PutObject) };
        let expected = format!("s3:object-lock-remaining-retention-days={days}");
        assert_eq!(ask.has(&["s3:object-lock-remaining-retention-days"]), Ok(vec![expected]), "{date}");
    }
}

#[test]
fn what_a_body_says_is_asked_of_it_and_not_of_headers() {
    let new_bucket = |action, body| Ask {
        operation: Operation::CreateBucket,
        action,
        path: "/photos",
        subject: Subject::Bucket,
        body: Some(body),
        ..Ask::default()
    };
    let body = "<CreateBucketConfiguration><LocationConstraint>EU</LocationConstraint>\
                <Tags><Tag><Key>Team</Key><Value>a</Value></Tag><Tag><Key>team</Key><Value>b</Value></Tag></Tags>\
                </CreateBucketConfiguration>";
    let bucket_keys = &["s3:locationconstraint", "aws:RequestTag/TEAM", "aws:TagKeys"][..];
    let encryption = ["s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"];
    let update = |body| Ask {
        operation: Operation::UpdateObjectEncryption,
        action: Action::UpdateObjectEncryption,
        headers: &[
            ("x-amz-server-side-encryption", "aws:kms:dsse"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "mine"),
        ],
        body: Some(body),
        ..Ask::default()
    };
    check(vec![
        (
            new_bucket(Action::CreateBucket, body),
            bucket_keys,
            &["s3:locationconstraint=EU", "aws:RequestTag/TEAM=a & b", "aws:TagKeys=Team & team"],
        ),
        (new_bucket(Action::TagResource, body), bucket_keys, &["aws:RequestTag/TEAM=a & b", "aws:TagKeys=Team & team"]),
        (new_bucket(Action::PutBucketVersioning, body), bucket_keys, &[]),
        (new_bucket(Action::CreateBucket, " "), bucket_keys, &[]),
        (
            Ask {
                operation: Operation::PutBucketInventoryConfiguration,
                action: Action::PutInventoryConfiguration,
                path: "/photos",
                subject: Subject::Bucket,
                body: Some(
                    "<InventoryConfiguration><Destination><S3BucketDestination><Prefix>x</Prefix></S3BucketDestination>\
                     </Destination><OptionalFields><Field>Size</Field><Field>ETag</Field></OptionalFields>\
                     </InventoryConfiguration>",
                ),
                ..Ask::default()
            },
            &["s3:InventoryAccessibleOptionalFields"],
            &["s3:InventoryAccessibleOptionalFields=Size & ETag"],
        ),
        (
            update("<ObjectEncryption><SSE-KMS><KMSKeyArn>arn:1</KMSKeyArn></SSE-KMS></ObjectEncryption>"),
            &encryption,
            &["s3:x-amz-server-side-encryption=aws:kms", "s3:x-amz-server-side-encryption-aws-kms-key-id=arn:1"],
        ),
        (
            update("<ObjectEncryption><SSE-S3/></ObjectEncryption>"),
            &encryption,
            &["s3:x-amz-server-side-encryption=AES256"],
        ),
    ]);
}
