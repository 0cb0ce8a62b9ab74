//! `portcullis sandbox`: proxy, store, demo accounts and a bucket in one process, and commands to paste.
//!
//! It writes an ordinary configuration into its directory and serves that, so what is tried here is what `serve` does.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use clap::Args;
use http::StatusCode;
use http::header::HOST;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use portcullis::server::Server;

use super::load::{Loaded, load};
use super::serve::with_causes;
use super::{Failure, signals, terminal};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Where the proxy listens; a loopback address, since everybody knows the demo keys
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Where buckets and policies are kept; otherwise in a temporary directory that goes when the sandbox ends
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// A key of the demo accounts.
struct DemoKey {
    access_key_id: &'static str,
    secret: &'static str,
}

const ACME_ROOT: DemoKey = DemoKey { access_key_id: "ACMEROOT", secret: "acme-root-demo-secret" };
const ALICE: DemoKey = DemoKey { access_key_id: "ALICE", secret: "alice-demo-secret" };
const BOB: DemoKey = DemoKey { access_key_id: "BOB", secret: "bob-demo-secret" };
const GLOBEX_ROOT: DemoKey = DemoKey { access_key_id: "GLOBEXROOT", secret: "globex-root-demo-secret" };
const CAROL: DemoKey = DemoKey { access_key_id: "CAROL", secret: "carol-demo-secret" };

const BUCKET: &str = "demo";
const REGION: &str = "us-east-1";

/// Serves until Ctrl-C.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if !arguments.listen.ip().is_loopback() {
        let message = format!(
            "--listen {}: the sandbox's keys are known to everybody, so it listens on loopback only",
            arguments.listen
        );
        return Err(Failure::Usage(message));
    }
    let directory = Directory::open(arguments.data.as_deref())
        .map_err(|error| Failure::Failed(format!("the sandbox's directory cannot be used: {error}")))?;
    let config = write_files(&directory.path, arguments.listen)
        .map_err(|error| Failure::Failed(format!("{}: cannot be written: {error}", directory.path.display())))?;
    let loaded = load(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(error.to_string()))?;
    runtime.block_on(serve(loaded, &directory, arguments.listen))?;
    terminal::print("\nStopped.");
    Ok(())
}

async fn serve(loaded: Loaded, directory: &Directory, listen: SocketAddr) -> Result<(), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::Failed(explain(error, listen));
    let stop = signals::stop().map_err(|error| failed(&error))?;
    // Whoever closes the terminal is done with it, and the temporary directory has to go.
    let hangup = signals::hangup().map_err(|error| failed(&error))?;
    let stop = async move {
        tokio::select! {
            () = stop => {}
            () = hangup => {}
        }
    };
    let identities = Arc::new(loaded.identities);
    let _watch = identities.watch().inspect_err(|error| terminal::warning(error)).ok();
    let server = Server::bind(loaded.settings, identities).await.map_err(|error| failed(&error))?;
    let address = server.local_addrs().first().copied().unwrap_or(listen);
    let running = server.run(stop);
    tokio::pin!(running);
    let prepared = tokio::select! {
        ended = &mut running => return ended.map_err(|error| failed(&error)),
        prepared = create_bucket(address) => prepared,
    };
    prepared.map_err(|reason| Failure::Failed(format!("the bucket `{BUCKET}` could not be created: {reason}")))?;
    terminal::print(banner(address, directory));
    running.await.map_err(|error| failed(&error))
}

/// The error, with a way out where the port is somebody else's.
fn explain(error: &(dyn std::error::Error + 'static), listen: SocketAddr) -> String {
    let taken = |error: &(dyn std::error::Error + 'static)| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    };
    if std::iter::successors(Some(error), |error| error.source()).any(taken) {
        format!(
            "{listen} is taken: choose another address, such as --listen 127.0.0.1:{}",
            listen.port().wrapping_add(100).max(1024)
        )
    } else {
        with_causes(error)
    }
}

/// Creates the demo bucket as a client of the proxy would, so that the proxy records who owns it.
async fn create_bucket(address: SocketAddr) -> Result<(), String> {
    let uri = format!("http://{address}/{BUCKET}");
    let identity = Credentials::new(ACME_ROOT.access_key_id, ACME_ROOT.secret, None, None, "sandbox").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let host = address.to_string();
    let signable =
        SignableRequest::new("PUT", &uri, std::iter::once(("host", host.as_str())), SignableBody::Bytes(b""))
            .map_err(|error| error.to_string())?;
    let (instructions, _) = sign(signable, &parameters).map_err(|error| error.to_string())?.into_parts();
    let mut request = http::Request::put(&uri)
        .header(HOST, &host)
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|error| error.to_string())?;
    instructions.apply_to_request_http1x(&mut request);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = tokio::time::timeout(Duration::from_secs(10), client.request(request))
        .await
        .map_err(|_| "no answer within ten seconds".to_owned())?
        .map_err(|error| with_causes(&error))?;
    match answer.status() {
        // Of a directory that was used before.
        StatusCode::OK | StatusCode::CONFLICT => Ok(()),
        status => {
            let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
            Err(format!("{status} {}", String::from_utf8_lossy(&body)))
        }
    }
}

/// The sandbox's directory.
struct Directory {
    path: PathBuf,
    temporary: bool,
}

impl Directory {
    fn open(given: Option<&Path>) -> io::Result<Self> {
        if let Some(path) = given {
            std::fs::create_dir_all(path)?;
            return Ok(Self { path: path.canonicalize()?, temporary: false });
        }
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let path = std::env::temp_dir().join(format!("portcullis-sandbox-{:016x}", u64::from_be_bytes(random)));
        // Not `create_dir_all`: a directory that is there already is not ours.
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700).create(&path)?;
        Ok(Self { path, temporary: true })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            terminal::warning(format_args!("{} is left behind: {error}", self.path.display()));
        }
    }
}

/// Writes the configuration, and the identities where there are none yet; answers the configuration's path.
fn write_files(directory: &Path, listen: SocketAddr) -> io::Result<PathBuf> {
    let identities = directory.join("identities.toml");
    if !identities.exists() {
        std::fs::write(&identities, demo_identities())?;
    }
    let config = directory.join("proxy.toml");
    std::fs::write(&config, configuration(listen))?;
    Ok(config)
}

fn configuration(listen: SocketAddr) -> String {
    format!(
        r#"# Written by `portcullis sandbox` at every start.
[listen]
address = "{listen}"

[admin]
address = ""

[upstream]
endpoint = "embedded:store"
region = "{REGION}"
auth = "resign"

[policy]
handler = "store"

[store]
url = "redb:policies.redb"

[identity]
file = "identities.toml"

[ownership]
sources = ["registry"]

[limits]
drain_timeout = "2s"
"#
    )
}

fn demo_identities() -> String {
    let key = |key: &DemoKey| {
        format!(r#"[{{ access_key_id = "{}", secret_access_key = "{}" }}]"#, key.access_key_id, key.secret)
    };
    format!(
        r#"# Written by `portcullis sandbox`; edit it while the sandbox runs, and the change counts at once.
[[account]]
id = "111122223333"
name = "acme"
root_keys = {acme_root}

[[account.user]]
name = "alice"
policies = ["policy-admin"]
keys = {alice}

[[account.user]]
name = "bob"
keys = {bob}

[[account]]
id = "444455556666"
name = "globex"
root_keys = {globex_root}

[[account.user]]
name = "carol"
policies = ["policy-admin"]
keys = {carol}

[[policy]]
name = "policy-admin"
document = '''{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:*BucketPolicy","Resource":"*"}}]}}'''
"#,
        acme_root = key(&ACME_ROOT),
        alice = key(&ALICE),
        bob = key(&BOB),
        globex_root = key(&GLOBEX_ROOT),
        carol = key(&CAROL),
    )
}

/// Lets everybody read what lies below `public/`, and bob do what he likes in a folder of his own.
fn demo_policy() -> String {
    let public = format!(
        r#"{{"Sid":"PublicRead","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{BUCKET}/public/*"}}"#
    );
    let home = format!(
        r#"{{"Sid":"Home","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:user/bob"}},"Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::{BUCKET}/home/${{aws:username}}/*"}}"#
    );
    format!(r#"{{"Version":"2012-10-17","Statement":[{public},{home}]}}"#)
}

/// A line to paste.
enum Step<'a> {
    Aws(&'a DemoKey, String),
    Anonymous(String),
}

fn banner(address: SocketAddr, directory: &Directory) -> String {
    use Step::{Anonymous, Aws};
    let policy = demo_policy();
    let put = || format!("s3api put-bucket-policy --bucket {BUCKET} --policy '{policy}'");
    let broken = format!(r#"s3api put-bucket-policy --bucket {BUCKET} --policy '{{"Version":"2012-10-17"}}'"#);
    let get = format!("s3api get-bucket-policy --bucket {BUCKET} --query Policy --output text");
    let delete = format!("s3api delete-bucket-policy --bucket {BUCKET}");
    let upload =
        |key: &str| format!("s3api put-object --bucket {BUCKET} --key {key} --body /etc/hostname --query ETag");
    let cat = || format!("{BUCKET}/public/cat");
    let steps: [(&str, Step<'_>); 14] = [
        ("200: the root user of acme, whose bucket it is, puts an object", Aws(&ACME_ROOT, upload("public/cat"))),
        ("403 AccessDenied: nobody else may read it", Anonymous(cat())),
        ("204 (prints nothing): until a policy says that everybody may", Aws(&ACME_ROOT, put())),
        ("200: and everybody may", Anonymous(cat())),
        ("403 AccessDenied: but not list the bucket", Anonymous(BUCKET.to_owned())),
        ("200: the policy gives bob of acme a folder of his own", Aws(&BOB, upload("home/bob/cat"))),
        ("403 AccessDenied: and no other", Aws(&BOB, upload("home/alice/cat"))),
        ("403 AccessDenied: nor the policy", Aws(&BOB, put())),
        ("204 (prints nothing): alice of acme has the permission to put it", Aws(&ALICE, put())),
        ("405 MethodNotAllowed: the root user of globex, another account", Aws(&GLOBEX_ROOT, put())),
        ("405 MethodNotAllowed: carol of globex has the permission, but in another account", Aws(&CAROL, put())),
        ("400 MalformedPolicy: no statement", Aws(&ALICE, broken)),
        ("the stored policy, byte for byte", Aws(&ALICE, get)),
        ("204 (prints nothing): and away with it", Aws(&ALICE, delete)),
    ];
    let kept = if directory.temporary { ", removed at the end" } else { "" };
    let mut text = format!(
        "
Portcullis sandbox

  proxy       http://{address}
  bucket      {BUCKET}, owned by acme (111122223333)
  directory   {}{kept}
              store/ (the embedded object store), policies.redb, proxy.toml, identities.toml

  Policies are enforced on every request.

Paste into another terminal:
",
        directory.path.display(),
    );
    for (what, step) in steps {
        // Writing to a string does not fail.
        let _ = match step {
            Aws(key, command) => write!(
                text,
                "\n# {what}\nAWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={} aws --endpoint-url http://{address} --region {REGION} \
                 {command}\n",
                key.access_key_id, key.secret,
            ),
            Anonymous(path) => write!(text, "\n# {what}\ncurl -sw '%{{http_code}}\\n' http://{address}/{path}\n"),
        };
    }
    text.push_str("\nCtrl-C stops it.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_it_writes_pass_the_check_and_know_the_keys_it_prints() {
        let directory = tempfile::tempdir().unwrap();
        let config = write_files(directory.path(), "127.0.0.1:9000".parse().unwrap()).unwrap();
        let loaded = load(&config).expect("no problems");
        assert_eq!(loaded.identities.counts(), (2, 5));
        let banner = banner(
            "127.0.0.1:9000".parse().unwrap(),
            &Directory { path: directory.path().to_owned(), temporary: false },
        );
        for key in loaded.identities.access_keys() {
            let pair =
                format!("\nAWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={} aws ", key.access_key_id, key.secret.expose());
            assert!(banner.contains(&pair), "{pair} in {banner}");
        }
    }

    #[test]
    fn the_policy_it_prints_is_one() {
        let policy = demo_policy();
        let validated = portcullis::policy::Policy::parse(policy.as_bytes(), BUCKET).unwrap();
        assert_eq!(validated.warnings, []);
    }

    #[test]
    fn a_temporary_directory_goes_and_a_given_one_stays() {
        let temporary = Directory::open(None).unwrap();
        let path = temporary.path.clone();
        assert!(path.is_dir());
        drop(temporary);
        assert!(!path.exists());
        let given = tempfile::tempdir().unwrap();
        drop(Directory::open(Some(given.path())).unwrap());
        assert!(given.path().is_dir());
    }

    #[test]
    fn a_taken_port_is_told_with_a_way_out() {
        let error = io::Error::from(io::ErrorKind::AddrInUse);
        let listen = "127.0.0.1:9000".parse().unwrap();
        assert_eq!(
            explain(&error, listen),
            "127.0.0.1:9000 is taken: choose another address, such as --listen 127.0.0.1:9100"
        );
    }
}
