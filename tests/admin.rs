//! `portcullis policy list`, `get`, `put` and their like against a server that runs, as an operator would use them.
#![cfg(feature = "proxy")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do; clippy excuses only what is inside a `#[test]`"
)]

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use portcullis::config;
use portcullis::identity::file::IdentityFile;
use portcullis::server::Server;
use redb::ReadableTable;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const TOKEN: &str = "a-token-of-the-tests";
const ACCOUNT: &str = "111122223333";

/// A policy for `bucket`, told apart from others by its key; with white space that nobody has any business with.
fn policy(bucket: &str, key: &str) -> String {
    format!(
        "{{\"Version\": \"2012-10-17\",\r\n\t\"Statement\":[{{\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\"{ACCOUNT}\"}},\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::{bucket}/{key}\"}}]}}\n\n"
    )
}

/// A whole server with a directory of its own, the buckets `photos`, `videos` and `notes`, and no policy.
struct Running {
    directory: tempfile::TempDir,
    admin: SocketAddr,
    stop: oneshot::Sender<()>,
    run: JoinHandle<()>,
}

impl Running {
    async fn start() -> Self {
        Self::start_with("token_file = \"token\"").await
    }

    async fn start_with(admin: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), admin).await
    }

    async fn start_in(directory: tempfile::TempDir, admin: &str) -> Self {
        for bucket in ["photos", "videos", "notes"] {
            fs::create_dir_all(directory.path().join("data").join(bucket)).unwrap();
        }
        fs::write(directory.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let identities = directory.path().join("identities.toml");
        let keys = "root_keys = [{ access_key_id = \"ROOT\", secret_access_key = \"root-secret\" }]";
        fs::write(&identities, format!("[[account]]\nid = \"{ACCOUNT}\"\n{keys}\n")).unwrap();
        let text = format!(
            "[listen]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n{admin}\n\
             [upstream]\nendpoint = \"embedded:data\"\n[ownership]\ndefault_account = \"{ACCOUNT}\"\n\
             [log]\nlevel = \"error\"\naudit = \"audit.jsonl\"\n"
        );
        let settings = config::parse(&text, "proxy.toml", directory.path(), &|_| None).unwrap().settings;
        let server = Server::bind(settings, Arc::new(IdentityFile::load(&identities).unwrap())).await.unwrap();
        let admin = server.admin_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = tokio::spawn(async move {
            let ended = server.run(async move {
                let _ = stopped.await;
            });
            ended.await.unwrap();
        });
        Self { directory, admin, stop, run }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs `portcullis policy` with these arguments, and where the server is and its token.
    async fn policy(&self, arguments: &[&str]) -> Said {
        self.policy_with(arguments, "").await
    }

    async fn policy_with(&self, arguments: &[&str], input: &str) -> Said {
        let (url, token) = (format!("http://{}", self.admin), self.path("token").display().to_string());
        let all = [&["policy"], arguments, &["--admin", &url, "--token-file", &token]].concat();
        portcullis(self.directory.path(), &all, input).await
    }

    async fn stop(self) -> tempfile::TempDir {
        self.stop.send(()).unwrap();
        self.run.await.unwrap();
        self.directory
    }

    fn audited(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What a command said and how it ended.
#[derive(Debug)]
struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Said {
    /// What it wrote, where it succeeded.
    #[track_caller]
    fn out(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// What it complained of, where it failed with this code.
    #[track_caller]
    fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        self.err
    }

    #[track_caller]
    fn objects(self) -> Vec<Value> {
        self.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn portcullis(directory: &Path, arguments: &[&str], input: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).current_dir(directory);
    // Neither must ever see the token.
    command.env("HTTP_PROXY", "http://127.0.0.1:1").env("http_proxy", "http://127.0.0.1:1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let run = move || {
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that does not read its input may be gone before it is written.
        let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    Said {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_is_put_read_compared_and_taken_back() {
    let server = Running::start().await;
    assert_eq!(server.policy(&["list"]).await.out(), "");
    let first = policy("photos", "a");
    fs::write(server.path("a.json"), &first).unwrap();
    assert_eq!(server.policy(&["put", "photos", "a.json"]).await.out(), "photos: revision 1 is in force\n");
    assert_eq!(server.policy(&["get", "photos"]).await.out(), first, "byte for byte");
    let second = policy("photos", "b");
    let put = server.policy_with(&["put", "photos", "-", "--json"], &second).await.objects();
    assert_eq!((&put[0]["bucket"], &put[0]["revision"]), (&"photos".into(), &2.into()));
    assert_eq!(server.policy(&["get", "photos", "--revision", "1"]).await.out(), first);

    let listed = server.policy(&["list"]).await.out();
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["BUCKET", "REVISION", "SIZE", "PUBLIC", "BLOCKS", "CHANGED", "BY"]);
    let size = second.len().to_string();
    assert_eq!((&rows[1][..5], rows[1][6]), (&["photos", "2", &size, "no", "-"][..], "admin"));
    let listed = server.policy(&["list", "--json"]).await.objects();
    assert_eq!((&listed[0]["bucket"], &listed[0]["policy"]["revision"]), (&"photos".into(), &2.into()));

    let diff = server.policy(&["diff", "photos"]).await.out();
    assert!(diff.starts_with("--- photos, revision 1\n+++ photos, revision 2\n@@ "), "{diff}");
    assert!(diff.contains(
        "\n-      \"Resource\": \"arn:aws:s3:::photos/a\"\n+      \"Resource\": \"arn:aws:s3:::photos/b\"\n"
    ));
    assert_eq!(server.policy(&["diff", "photos", "2"]).await.out(), "", "2 is in force");
    assert_eq!(server.policy(&["diff", "photos", "2", "1", "--exit-code"]).await.code, Some(1));
    assert!(server.policy(&["diff", "photos", "7"]).await.failed(1).contains("revision 7 is not in its history"));

    assert_eq!(server.policy(&["rollback", "photos", "1"]).await.out(), "photos: revision 3 is in force\n");
    assert_eq!(server.policy(&["get", "photos"]).await.out(), first);
    assert_eq!(server.policy(&["delete", "photos"]).await.out(), "photos: the policy is deleted\n");
    assert_eq!(server.policy(&["delete", "photos"]).await.out(), "photos: there was no policy\n");
    assert!(server.policy(&["get", "photos"]).await.failed(1).contains("NoSuchBucketPolicy"));
    let history = server.policy(&["history", "photos", "--json"]).await.objects();
    let actions: Vec<_> = history.iter().map(|revision| revision["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["delete", "put", "put", "put"]);
    let table = server.policy(&["history", "photos"]).await.out();
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(
        server
            .policy(&["diff", "photos"])
            .await
            .out()
            .starts_with("--- photos, revision 3\n+++ photos, revision 4 (deleted)")
    );

    let audited = server.audited();
    let actions: Vec<_> = audited.iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["put", "put", "put", "delete"]);
    for line in &audited {
        assert_eq!((&line["principal"], &line["source_ip"]), (&"admin".into(), &"127.0.0.1".into()), "{line}");
        assert_eq!((&line["bucket"], &line["outcome"]), (&"photos".into(), &"stored".into()), "{line}");
    }
    assert_eq!(audited[0]["request_id"], history[3]["request_id"]);
    assert_eq!(audited[0]["sha256"], history[3]["sha256"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_rests_on_an_older_revision_is_refused() {
    let server = Running::start().await;
    for (key, name) in [("a", "a.json"), ("b", "b.json"), ("c", "c.json")] {
        fs::write(server.path(name), policy("photos", key)).unwrap();
    }
    server.policy(&["put", "photos", "a.json", "--if-none"]).await.out();
    assert!(server.policy(&["put", "photos", "b.json", "--if-none"]).await.failed(1).contains("PreconditionFailed"));
    server.policy(&["put", "photos", "b.json", "--if-revision", "1"]).await.out();
    for command in [
        &["put", "photos", "c.json", "--if-revision", "1"][..],
        &["rollback", "photos", "1", "--if-revision", "1"],
        &["delete", "photos", "--if-revision", "1"],
    ] {
        let told = server.policy(command).await.failed(1);
        assert!(told.starts_with("error: PreconditionFailed: ") && told.contains("revision 2"), "{told}");
    }
    assert_eq!(server.policy(&["get", "photos"]).await.out(), policy("photos", "b"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_told_in_the_words_of_the_api() {
    let server = Running::start().await;
    let told = server.policy_with(&["put", "photos", "-"], "{}").await.failed(1);
    let validated = portcullis(server.directory.path(), &["policy", "validate", "-b", "photos", "-"], "{}").await;
    assert_eq!(told, validated.failed(1));
    let told = server.policy_with(&["put", "nowhere", "-"], &policy("nowhere", "a")).await.failed(1);
    assert!(told.starts_with("error: NoSuchBucket: "), "{told}");
    assert!(server.policy(&["put", "photos", "none.json"]).await.failed(1).contains("none.json: cannot be read"));

    for (arguments, code, words) in [
        (&["get", "x"][..], 2, "`x` is not a bucket name"),
        (&["get", "a/../b"], 2, "is not a bucket name"),
        (&["rollback", "photos", "one"], 2, "invalid value 'one'"),
        (&["put", "photos", "-", "--if-none", "--if-revision", "1"], 2, "cannot be used with"),
        (&["rollback", "photos", "9"], 1, "NoSuchRevision"),
        (&["diff", "photos"], 1, "no policy was ever kept"),
    ] {
        let told = server.policy(arguments).await.failed(code);
        assert!(told.contains(words), "{arguments:?}: {told}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_token_opens_it() {
    let server = Running::start().await;
    let directory = server.directory.path();
    fs::write(server.path("wrong"), "another-token-of-the-tests").unwrap();
    fs::write(server.path("short"), "short").unwrap();
    let url = format!("http://{}", server.admin);
    let list = |more: &[&str]| {
        let all: Vec<String> = ["policy", "list"].iter().chain(more).map(|&text| text.to_owned()).collect();
        async move { portcullis(directory, &all.iter().map(String::as_str).collect::<Vec<_>>(), "").await }
    };
    let told = list(&["--admin", &url, "--token-file", "wrong"]).await.failed(1);
    assert!(told.starts_with("error: Unauthorized: ") && !told.contains("token-of-the-tests"), "{told}");
    assert!(list(&["--admin", &url, "--token-file", "short"]).await.failed(1).contains("short: the token has fewer"));
    assert!(list(&["--admin", &url, "--token-file", "none"]).await.failed(1).contains("none: cannot be read"));
    assert!(list(&["--admin", &url]).await.failed(2).contains("--token-file"));
    assert!(list(&["--admin", "localhost", "--token-file", "token"]).await.failed(2).contains("is not a URL"));

    let config = format!("[admin]\naddress = \"{}\"\ntoken_file = \"token\"\n", server.admin);
    fs::write(server.path("client.toml"), config).unwrap();
    list(&["--config", "client.toml"]).await.out();
    assert!(list(&["--config", "client.toml", "--token-file", "wrong"]).await.failed(1).contains("Unauthorized"));
    server.stop().await;

    let closed = Running::start_with("").await;
    assert!(closed.policy(&["list"]).await.failed(1).contains("is `[admin] token_file` set there?"));
    let url = closed.admin;
    drop(closed.stop().await);
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("token"), TOKEN).unwrap();
    let arguments = ["policy", "list", "--token-file", "token", "--admin", &format!("http://{url}")];
    assert!(portcullis(directory.path(), &arguments, "").await.failed(1).contains("Connection refused"));
}

/// The records of an archive, but for the numbers of revisions, which are their store's.
fn records(archive: &str) -> Vec<Value> {
    let mut lines: Vec<Value> = archive.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.remove(0)["portcullis_archive"], 1);
    assert_eq!(lines.pop().unwrap()["buckets"], lines.len());
    for revision in lines.iter_mut().flat_map(|line| line["revisions"].as_array_mut().into_iter().flatten()) {
        revision["revision"] = Value::Null;
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_kept_goes_from_one_server_to_another() {
    let old = Running::start().await;
    for (bucket, key) in [("photos", "a"), ("photos", "b"), ("videos", "a"), ("notes", "a")] {
        old.policy_with(&["put", bucket, "-"], &policy(bucket, key)).await.out();
    }
    old.policy(&["delete", "videos"]).await.out();
    assert!(old.policy(&["export", "all.jsonl"]).await.out().is_empty());
    let archive = fs::read_to_string(old.path("all.jsonl")).unwrap();
    assert_eq!(records(&old.policy(&["export", "-"]).await.out()), records(&archive));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(old.path("all.jsonl")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    old.stop().await;

    let new = Running::start().await;
    fs::write(new.path("all.jsonl"), &archive).unwrap();
    let dry = new.policy(&["import", "all.jsonl", "--dry-run"]).await.out();
    assert_eq!(dry, "3 buckets would be imported: 3 new, 0 replaced; 0 unchanged\n");
    assert_eq!(new.policy(&["list", "--all"]).await.out(), "");
    // From standard input, which is looked at three times.
    let done = new.policy_with(&["import", "-", "--json"], &archive).await.objects();
    let expected = r#"{"dry_run":false,"new":3,"replaced":0,"unchanged":0,"unreadable":0}"#;
    assert_eq!(done[0].to_string(), expected);
    assert_eq!(records(&new.policy(&["export", "-"]).await.out()), records(&archive));
    assert_eq!(new.policy(&["get", "photos"]).await.out(), policy("photos", "b"));
    assert_eq!(new.policy(&["history", "videos", "--json"]).await.objects().len(), 2);
    let told: Vec<_> = new.audited().iter().map(|line| line["action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, ["import"; 3]);

    let again = new.policy(&["import", "all.jsonl"]).await.out();
    assert_eq!(again, "0 buckets imported: 0 new, 0 replaced; 3 unchanged\n");
    new.policy_with(&["put", "notes", "-"], &policy("notes", "z")).await.out();
    let told = new.policy(&["import", "all.jsonl"]).await.failed(1);
    assert!(told.starts_with("error: notes: something else is kept for it (--replace"), "{told}");
    assert!(told.ends_with("error: nothing was imported\n"), "{told}");
    assert_eq!(new.policy(&["get", "notes"]).await.out(), policy("notes", "z"));
    let replaced = new.policy(&["import", "all.jsonl", "--replace"]).await.out();
    assert_eq!(replaced, "1 bucket imported: 0 new, 1 replaced; 2 unchanged\n");
    assert_eq!(new.policy(&["get", "notes"]).await.out(), policy("notes", "a"));
    new.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_with_a_fault_is_refused_before_anything_is_sent() {
    let server = Running::start().await;
    for bucket in ["notes", "photos"] {
        server.policy_with(&["put", bucket, "-"], &policy(bucket, "a")).await.out();
    }
    let archive = server.policy(&["export", "-"]).await.out();
    for bucket in ["notes", "photos"] {
        server.policy(&["delete", bucket]).await.out();
    }
    let lines: Vec<&str> = archive.lines().collect();
    let cut = lines[..3].join("\n");
    let altered = archive.replacen("photos/a", "photos/b", 1);
    let bad = archive.replacen("s3:GetObject", "s3:GetObjekt", 1);
    for (input, words) in [
        (cut.as_str(), "the archive is cut off"),
        (&altered, "line 4: the archive is not as it was written"),
        (&bad, "line 2: bucket \"notes\": its policy: Policy has invalid action"),
        (&policy("photos", "a"), "line 1: this is not an archive"),
        ("", "this is not an archive"),
    ] {
        let told = server.policy_with(&["import", "-", "--replace"], input).await.failed(1);
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(server.policy(&["list"]).await.out(), "");
    assert!(server.audited().iter().all(|line| line["action"] != "import"));
    server.stop().await;
}

/// Flips a bit of the bucket's first revision, in a file that nobody has open.
fn damage(path: &Path, bucket: &str) {
    let revisions = redb::TableDefinition::<(&str, u64), &[u8]>::new("revisions");
    let database = redb::Database::open(path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut table = write.open_table(revisions).unwrap();
        // Revisions are numbered across buckets, and each of these has one.
        let mut numbers = (1..=9).filter(|n| table.get((bucket, *n)).unwrap().is_some());
        let revision = numbers.next().unwrap();
        let mut record = table.get((bucket, revision)).unwrap().unwrap().value().to_vec();
        *record.last_mut().unwrap() ^= 1;
        table.insert((bucket, revision), record.as_slice()).unwrap();
    }
    write.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_read_is_named_and_costs_its_bucket_alone() {
    let server = Running::start().await;
    for bucket in ["notes", "photos"] {
        server.policy_with(&["put", bucket, "-"], &policy(bucket, "a")).await.out();
    }
    let archive = server.policy(&["export", "-"]).await.out();
    let directory = server.stop().await;
    damage(&directory.path().join("portcullis.redb"), "notes");
    let server = Running::start_in(directory, "token_file = \"token\"").await;

    let listed = server.policy(&["list"]).await;
    assert_eq!(listed.code, Some(1), "{listed:?}");
    assert!(listed.err.starts_with("error: notes: ") && listed.out.contains("\nphotos "), "{listed:?}");
    assert!(server.policy(&["get", "notes"]).await.failed(1).contains("checksum"));
    let exported = server.policy(&["export", "-"]).await;
    assert_eq!(exported.code, Some(1), "{exported:?}");
    assert!(exported.err.starts_with("error: notes: not exported: "), "{exported:?}");
    let without = records(&exported.out);
    assert!(without[0]["unreadable"].as_str().unwrap().contains("checksum"), "{without:?}");
    assert_eq!(without[1], records(&archive)[1]);

    // Its absence is no reason to leave the other behind.
    let fresh = Running::start().await;
    let imported = fresh.policy_with(&["import", "-"], &exported.out).await;
    assert!(imported.err.contains("notes: could not be read when it was exported"), "{imported:?}");
    assert_eq!(imported.out(), "1 bucket imported: 1 new, 0 replaced; 0 unchanged\n");
    fresh.stop().await;

    assert!(server.policy_with(&["import", "-"], &archive).await.failed(1).contains("notes: something else"));
    let repaired = server.policy_with(&["import", "-", "--replace"], &archive).await.out();
    assert_eq!(repaired, "1 bucket imported: 0 new, 1 replaced; 1 unchanged\n");
    assert_eq!(server.policy(&["get", "notes"]).await.out(), policy("notes", "a"));
    server.stop().await;
}
