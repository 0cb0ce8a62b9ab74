//! `?policy` calls on real sockets: bodies that stop, and the address that is written down.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use portcullis::auth::identity::{AccessKeyId, Credential, Identity, SecretKey};
use portcullis::identity::StaticCredentials;
use portcullis::identity::file::IdentityFile;
use portcullis::ownership::fixed::OneOwner;
use portcullis::policy::{Account, AccountId, CanonicalUserId, Principal};
use portcullis::s3::address::BucketName;
use portcullis::server::Server;
use portcullis::store::PolicyStore;
use portcullis::store::memory::MemoryStore;
use portcullis::{BucketPolicyLayer, Handler, config};
use tokio::sync::oneshot;

use crate::support::{Options, Proxy, Store, Wire, first_line, header, soon};

pub(crate) const KEY: (&str, &str) = ("ROOT", "root-secret");
/// A user of the same account, who has no rights but those that a bucket's policy gives.
pub(crate) const ALICE: (&str, &str) = ("ALICE", "alice-secret");
pub(crate) const ACCOUNT: &str = "111122223333";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::demo/*"}]}"#;

/// The head of a signed request of the owner's root, without the body's framing and the empty line.
pub(crate) fn head(method: &str, target: &str) -> String {
    head_by(KEY, method, target)
}

/// The same of whoever has this access key.
pub(crate) fn head_by(key: (&str, &str), method: &str, target: &str) -> String {
    head_with(key, method, target, &[])
}

/// The same with these headers, signed too.
pub(crate) fn head_with(key: (&str, &str), method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let identity = Credentials::new(key.0, key.1, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let all = std::iter::once(("host", "s3.localhost")).chain(headers.iter().copied());
    let url = format!("http://s3.localhost{target}");
    let signable = SignableRequest::new(method, url, all, SignableBody::UnsignedPayload).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let (added, _) = instructions.into_parts();
    let added = added.iter().map(|header| (header.name(), header.value()));
    headers
        .iter()
        .copied()
        .chain(added)
        .fold(format!("{method} {target} HTTP/1.1\r\nHost: s3.localhost\r\n"), |head, (name, value)| {
            head + name + ": " + value + "\r\n"
        })
}

/// A proxy that keeps policies where the test can look.
pub(crate) async fn keeper(options: Options) -> (Arc<MemoryStore>, Proxy) {
    let id = AccountId::parse(ACCOUNT).unwrap();
    let account = Account { id: id.clone(), canonical_id: CanonicalUserId::parse(&"ab".repeat(32)).unwrap() };
    let credential = |key: (&str, &str), principal| Credential {
        access_key_id: AccessKeyId::new(key.0),
        secret: SecretKey::new(key.1),
        session_token: None,
        identity: Arc::new(Identity { principal, policies: Vec::new() }),
    };
    let alice = Principal::user(account.clone(), "/", "alice", "AIDAALICE", [].into());
    let credentials: StaticCredentials =
        [credential(KEY, Principal::root(account)), credential(ALICE, alice)].into_iter().collect();
    let policies = Arc::new(MemoryStore::default());
    let handler = Handler::Store(Arc::clone(&policies) as _);
    let layer = BucketPolicyLayer::builder(Arc::new(credentials), Arc::new(OneOwner::new(id)), handler).build();
    let store = Store::start().await;
    (policies, Proxy::start_policies(store.address(), options, layer).await)
}

async fn is_stored(policies: &MemoryStore) -> bool {
    policies.get(&BucketName::parse("demo").unwrap()).await.unwrap().is_some()
}

const FRAMINGS: [(&str, &str); 2] =
    [("Content-Length: 100", r#"{"Version":"#), ("Transfer-Encoding: chunked", "b\r\n{\"Version\":\r\n")];

#[tokio::test]
async fn a_policy_whose_body_stops_is_a_request_timeout() {
    for (framing, begun) in FRAMINGS {
        let options = Options { body_idle_timeout: Duration::from_millis(50), ..Options::default() };
        let (policies, proxy) = keeper(options).await;
        let mut client = proxy.connect().await;
        client.send(format!("{}{framing}\r\n\r\n{begun}", head("PUT", "/demo?policy"))).await;
        let (head, body) = client.answer().await;
        assert_eq!(first_line(&head), "HTTP/1.1 400 Bad Request", "{framing}: {body}");
        assert!(body.contains("<Code>RequestTimeout</Code>"), "{framing}: {body}");
        assert!(header(&head, "x-amz-request-id").is_some(), "{head}");
        assert!(!is_stored(&policies).await, "{framing}");
    }
}

#[tokio::test]
async fn a_policy_whose_sender_goes_away_is_not_stored() {
    for (framing, begun) in FRAMINGS {
        let (policies, proxy) = keeper(Options::default()).await;
        let mut client = proxy.connect().await;
        client.send(format!("{}{framing}\r\n\r\n{begun}", head("PUT", "/demo?policy"))).await;
        // It still reads, so that it can be seen when the proxy has made up its mind.
        client.half_close().await;
        let (head, body) = client.answer().await;
        assert_eq!(first_line(&head), "HTTP/1.1 400 Bad Request", "{framing}: {body}");
        assert!(body.contains("<Code>IncompleteBody</Code>"), "{framing}: {body}");
        assert!(!is_stored(&policies).await, "{framing}");
    }
}

#[tokio::test]
async fn a_whole_policy_is_stored() {
    let (policies, proxy) = keeper(Options::default()).await;
    let mut client = proxy.connect().await;
    client.send(format!("{}Content-Length: {}\r\n\r\n{POLICY}", head("PUT", "/demo?policy"), POLICY.len())).await;
    assert_eq!(first_line(&client.head().await), "HTTP/1.1 204 No Content");
    assert!(is_stored(&policies).await);
}

/// The whole server, as `proxy.toml` builds it.
#[tokio::test]
async fn behind_a_trusted_proxy_the_audit_line_names_the_client() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("data/demo")).unwrap();
    let identities = directory.path().join("identities.toml");
    let keys = format!("root_keys = [{{ access_key_id = \"{}\", secret_access_key = \"{}\" }}]", KEY.0, KEY.1);
    std::fs::write(&identities, format!("[[account]]\nid = \"{ACCOUNT}\"\n{keys}\n")).unwrap();
    for (trusted, introduction, forwarded, expected) in [
        ("\"127.0.0.0/8\"", "", "198.51.100.7, 203.0.113.9", "203.0.113.9"),
        ("", "", "198.51.100.7, 203.0.113.9", "127.0.0.1"),
        ("\"127.0.0.0/8\"", "PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n", "198.51.100.7", "203.0.113.9"),
    ] {
        let text = format!(
            "[listen]\naddress = \"127.0.0.1:0\"\ntrusted_proxies = [{trusted}]\nproxy_protocol = {}\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [upstream]\nendpoint = \"embedded:data\"\n[ownership]\ndefault_account = \"{ACCOUNT}\"\n\
             [log]\nlevel = \"error\"\naudit = \"audit.jsonl\"\n",
            !introduction.is_empty()
        );
        let settings = config::parse(&text, "proxy.toml", directory.path(), &|_| None).unwrap().settings;
        let server = Server::bind(settings, Arc::new(IdentityFile::load(&identities).unwrap())).await.unwrap();
        let (address, admin) = (server.local_addrs()[0], server.admin_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));

        let mut client = Wire::connect(address).await;
        client.send(introduction).await;
        let head = head("PUT", "/demo?policy");
        let length = POLICY.len();
        client.send(format!("{head}X-Forwarded-For: {forwarded}\r\nContent-Length: {length}\r\n\r\n{POLICY}")).await;
        assert_eq!(first_line(&client.head().await), "HTTP/1.1 204 No Content", "{expected}");
        assert_eq!(last_line(&directory.path().join("audit.jsonl"))["source_ip"], expected);

        let mut probe = Wire::connect(admin).await;
        probe.send("GET /readyz HTTP/1.1\r\nHost: admin\r\n\r\n").await;
        assert_eq!(probe.answer().await.1, "ok\n");
        drop((client, probe));
        stop.send(()).unwrap();
        soon("end of the server", running).await.unwrap().unwrap();
    }
}

fn last_line(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}
