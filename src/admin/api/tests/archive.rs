use super::*;
use crate::store::{Change, Contents, PastRevision, REVISIONS_KEPT};

/// All pages of the archive.
async fn exported(desk: &Desk, limit: usize) -> Vec<Value> {
    let (mut records, mut after) = (Vec::new(), String::new());
    loop {
        let page = desk.ask("GET", &format!("/v1/archive?limit={limit}{after}"), "").await.json();
        records.extend(page["records"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return records,
        }
    }
}

/// What an archive holds of a bucket but for the numbers of its revisions.
fn unnumbered(mut records: Vec<Value>) -> Vec<Value> {
    for revision in records.iter_mut().flat_map(|record| record["revisions"].as_array_mut().into_iter().flatten()) {
        revision["revision"] = Value::Null;
    }
    records
}

#[tokio::test]
async fn an_archive_is_taken_out_and_brought_back() {
    let desk = Desk::new();
    for key in ["a", "b", "c"] {
        desk.put("photos", key).await;
    }
    desk.put("videos", "a").await;
    desk.ask("DELETE", "/v1/buckets/videos/policy", "").await;
    desk.ask("PUT", "/v1/buckets/blocked/public-access-block", r#"{"BlockPublicAcls":true}"#).await;
    let owned = json!({"records": [{"bucket": "owned", "owner": ACCOUNT}]}).to_string();
    let said = desk.ask("POST", "/v1/archive", &owned).await;
    assert_eq!(said.json()["buckets"], json!([{"bucket": "owned", "outcome": "new"}]), "{}", said.text);
    assert_eq!(desk.heard().last().unwrap().owner, AccountId::parse(ACCOUNT).ok());
    let records = exported(&desk, 1).await;
    assert_eq!(
        records.iter().map(|r| r["bucket"].as_str().unwrap()).collect::<Vec<_>>(),
        ["blocked", "owned", "photos", "videos"]
    );
    for limit in 2..=5 {
        assert_eq!(exported(&desk, limit).await, records, "by {limit}");
    }

    let fresh = Desk::new();
    let body = json!({ "records": records }).to_string();
    let outcomes = |said: &Said| {
        let buckets = said.json()["buckets"].as_array().unwrap_or_else(|| panic!("{}", said.text)).clone();
        buckets.iter().map(|bucket| bucket["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let rehearsed = fresh.ask("POST", "/v1/archive?dry_run=true", &body).await;
    assert_eq!(outcomes(&rehearsed), ["new"; 4]);
    assert_eq!((fresh.store.list(None, 10).await.unwrap(), fresh.heard()), (Vec::new(), Vec::new()));
    assert_eq!(outcomes(&fresh.ask("POST", "/v1/archive", &body).await), ["new"; 4]);
    assert_eq!(unnumbered(exported(&fresh, 10).await), unnumbered(records.clone()));
    assert_eq!(fresh.present("photos").await, Some(private("photos", "c")));
    let told = fresh.heard();
    assert!(told.iter().all(|change| change.kind == ChangeKind::Import && change.by.as_deref() == Some("admin")));
    assert_eq!(told.len(), 4);

    assert_eq!(
        outcomes(&fresh.ask("POST", "/v1/archive", &body).await),
        ["unchanged"; 4],
        "made again, it does nothing"
    );
    assert_eq!(fresh.heard(), []);

    fresh.put("photos", "d").await;
    let rehearsed = fresh.ask("POST", "/v1/archive?dry_run=true", &body).await;
    assert_eq!(outcomes(&rehearsed), ["unchanged", "unchanged", "in_the_way", "unchanged"]);
    let refused = fresh.ask("POST", "/v1/archive", &body).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "InTheWay"));
    assert_eq!(fresh.present("photos").await, Some(private("photos", "d")));
    let replaced = fresh.ask("POST", "/v1/archive?replace=true", &body).await;
    assert_eq!(outcomes(&replaced), ["unchanged", "unchanged", "replaced", "unchanged"]);
    assert_eq!(unnumbered(exported(&fresh, 10).await), unnumbered(records));
}

#[tokio::test]
async fn nothing_of_an_import_is_written_before_all_of_it_is_checked() {
    let desk = Desk::new();
    let good = |bucket: &str| {
        json!({"bucket": bucket, "revisions": [{"revision": 1, "time": "2026-11-24T09:00:00Z", "by": "x",
            "request_id": "y", "document": private(bucket, "a")}]})
    };
    let mut bad = good("zzz");
    bad["revisions"][0]["document"] = json!("{}");
    let said = desk.ask("POST", "/v1/archive", &json!({"records": [good("aaa"), bad]}).to_string()).await;
    assert_eq!((said.status, said.code().as_str()), (400, "MalformedPolicy"));
    assert!(said.json()["error"]["detail"].as_str().unwrap().contains("zzz"), "{}", said.text);
    let unknown = json!({"records": [good("aaa"), {"bucket": "zzz", "acl": "x"}]}).to_string();
    assert_eq!(desk.ask("POST", "/v1/archive", &unknown).await.code(), "InvalidArgument");
    desk.put("mmm", "other").await;
    desk.heard();
    let in_the_way = json!({"records": [good("aaa"), good("mmm")]}).to_string();
    assert_eq!(desk.ask("POST", "/v1/archive", &in_the_way).await.status, 409);
    assert_eq!(desk.store.list(None, 10).await.unwrap(), [BucketName::parse("mmm").unwrap()]);
    assert_eq!(desk.heard(), []);
}

#[tokio::test]
async fn a_page_of_long_documents_ends_early_and_none_is_left_out() {
    let desk = Desk::new();
    let change = || Change { at: std::time::SystemTime::UNIX_EPOCH, by: "x".to_owned(), request_id: "y".to_owned() };
    let long = PastRevision { document: Some(Bytes::from(vec![b'"'; crate::policy::MAX_BODY])), change: change() };
    let mut revisions = vec![long; REVISIONS_KEPT];
    // What is in force would have to be a policy.
    revisions[0].document = None;
    let names: Vec<_> = (1..=8).map(|n| BucketName::parse(&format!("long-{n}")).unwrap()).collect();
    for name in &names {
        let contents = Contents { revisions: revisions.clone(), ..Contents::default() };
        desk.store.restore(name, contents).await.unwrap();
    }
    let page = desk.ask("GET", "/v1/archive", "").await.json();
    assert_eq!((page["records"].as_array().unwrap().len(), &page["next"]), (4, &json!("long-4")));
    let records = exported(&desk, 8).await;
    assert_eq!(
        records.iter().map(|r| r["bucket"].as_str().unwrap()).collect::<Vec<_>>(),
        names.iter().map(BucketName::as_str).collect::<Vec<_>>()
    );
    let fresh = Desk::new();
    for four in records.chunks(4) {
        assert_eq!(fresh.ask("POST", "/v1/archive", &json!({ "records": four }).to_string()).await.status, 200);
    }
    assert_eq!(unnumbered(exported(&fresh, 8).await), unnumbered(records));
    let said = fresh.ask("POST", "/v1/archive", &" ".repeat(25 * 1024 * 1024)).await;
    assert_eq!((said.status, said.code().as_str()), (413, "EntityTooLarge"));
}
