//! A real etcd: Debian's, installed where it is missing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use etcd_client::{Permission, PermissionType};
use portcullis::store::EtcdStore;
use portcullis::store::etcd::EtcdStoreSettings;
use tempfile::TempDir;

use super::cache::{must_run, with_lock};
use super::process::{Server, free_address, http_status};

/// A member, with a directory of its own. It is all of its cluster, or one of several.
pub(crate) struct Etcd {
    name: String,
    /// All that the cluster begins with: `NAME=URL,NAME=URL`.
    cluster: String,
    process: Option<Server>,
    directory: TempDir,
    address: SocketAddr,
    peer: SocketAddr,
    health: SocketAddr,
    scheme: &'static str,
    flags: Vec<String>,
}

impl Etcd {
    pub(crate) fn start() -> Self {
        Self::start_with("http", Vec::new())
    }

    /// Clients come by `scheme`, and the process gets more flags.
    pub(crate) fn start_with(scheme: &'static str, flags: Vec<String>) -> Self {
        let mut etcd = Self::prepared(scheme, flags);
        etcd.start_again();
        etcd
    }

    /// One that does not run yet.
    pub(crate) fn prepared(scheme: &'static str, flags: Vec<String>) -> Self {
        Self::named("one", scheme, flags)
    }

    fn named(name: &str, scheme: &'static str, flags: Vec<String>) -> Self {
        let peer = free_address();
        Self {
            name: name.to_owned(),
            cluster: format!("{name}=http://{peer}"),
            process: None,
            directory: tempfile::tempdir().unwrap(),
            address: free_address(),
            peer,
            health: free_address(),
            scheme,
            flags,
        }
    }

    /// The three members of a cluster.
    pub(crate) fn three() -> [Self; 3] {
        let mut members = ["one", "two", "three"].map(|name| Self::named(name, "http", Vec::new()));
        let cluster = members.each_ref().map(|member| member.cluster.clone()).join(",");
        for member in &mut members {
            member.cluster.clone_from(&cluster);
            // None is ready before most of them run.
            member.run();
        }
        for member in &mut members {
            member.is_ready();
        }
        members
    }

    /// Starts it with the data and the addresses it had.
    pub(crate) fn start_again(&mut self) {
        self.run();
        self.is_ready();
    }

    /// The same, and does not wait for it to be of use.
    pub(crate) fn run(&mut self) {
        let Self { name, cluster, directory, address, peer, health, scheme, flags, .. } = self;
        let mut command = Command::new(program());
        let (clients, peer, health) =
            (format!("{scheme}://{address}"), format!("http://{peer}"), format!("http://{health}"));
        command.args(["--name", name, "--log-level", "error", "--logger", "zap"]);
        command.arg("--data-dir").arg(directory.path().join("data"));
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", cluster, "--listen-metrics-urls", &health]);
        command.args(flags);
        self.process = Some(Server::start("etcd", self.directory.path(), &mut command));
    }

    /// Waits until it answers, which it does not without most of its cluster.
    fn is_ready(&mut self) {
        let health = self.health;
        let ready = |process: Server| process.ready_when(|_| http_status(health, "/health") == Some(200));
        self.process = self.process.take().map(ready);
    }

    /// As a crash would.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Forgets all data.
    pub(crate) fn wipe(&mut self) {
        assert!(self.process.is_none(), "it runs");
        std::fs::remove_dir_all(self.directory.path().join("data")).unwrap();
    }

    /// Holds it, as a machine that hangs would: connections stay, and nobody answers.
    pub(crate) fn hold(&self) {
        self.process.as_ref().unwrap().signal("STOP");
    }

    pub(crate) fn go_on(&self) {
        self.process.as_ref().unwrap().signal("CONT");
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its own client.
    pub(crate) async fn client(&self) -> etcd_client::Client {
        etcd_client::Client::connect([self.address.to_string()], None).await.unwrap()
    }

    /// From now on it asks who one is: `root`, with that password, or `portcullis` with this one, who may do all below
    /// `prefix` and nothing else.
    pub(crate) async fn let_in(&self, prefix: &str, password: &str) {
        let mut client = self.client().await;
        client.user_add("root", "root", None).await.unwrap();
        client.user_grant_role("root", "root").await.unwrap();
        client.role_add("portcullis").await.unwrap();
        let permission = Permission::new(PermissionType::Readwrite, prefix).with_prefix();
        client.role_grant_permission("portcullis", permission).await.unwrap();
        client.user_add("portcullis", password, None).await.unwrap();
        client.user_grant_role("portcullis", "portcullis").await.unwrap();
        client.auth_enable().await.unwrap();
    }

    /// How a store of it is opened.
    pub(crate) fn settings(&self, prefix: &str) -> EtcdStoreSettings {
        EtcdStoreSettings {
            endpoints: vec![self.address.to_string()],
            prefix: prefix.to_owned(),
            tls: None,
            user: None,
            max_staleness: Duration::from_secs(30),
        }
    }

    pub(crate) async fn open(&self, prefix: &str) -> EtcdStore {
        let store = EtcdStore::open(self.settings(prefix)).await;
        store.check().await.unwrap();
        store
    }
}

fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let find = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|directory| directory.join("etcd")).find(|file| file.is_file())
    };
    let install = || {
        with_lock("etcd", || {
            if find().is_none() {
                let mut install = Command::new("apt-get");
                install.args(["-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends"]);
                install.arg("etcd-server").env("DEBIAN_FRONTEND", "noninteractive");
                must_run(&mut install, "these tests need etcd, Debian's package etcd-server");
            }
        });
        find().expect("etcd-server was installed, and there is no etcd")
    };
    PROGRAM.get_or_init(|| find().unwrap_or_else(install)).clone()
}
