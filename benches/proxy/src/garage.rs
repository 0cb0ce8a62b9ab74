//! A real store, Garage: asked itself, and through what can be put in front of it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::at;
use crate::contender::{Contender, OTHER_CORE, Upstream};
use crate::load::{Load, each};
use crate::measure::{Effort, Field, Series, block_on};
use crate::process::{Server, free_address, run};
use crate::request::{Key, Request};
use crate::tools::{self, Tools};
use crate::world::{BUCKET, LARGE, SMALL, target};

/// The one key that this Garage knows.
pub const KEY: Key = Key {
    id: "GKbe9c4be9c4be9c4be9c4be9c",
    secret: "be9c4be9c4be9c4be9c4be9c4be9c4be9c4be9c4be9c4be9c4be9c4be9c4be9c",
    region: "garage",
};

/// A single node with the objects `small` and `large`, and its files, which go with it.
#[derive(Debug)]
pub struct Garage {
    server: Server,
    _files: tempfile::TempDir,
}

/// What was measured in front of it, [`Contender::Direct`] first.
#[derive(Clone, Debug, Default)]
pub struct InFront {
    pub small: Vec<Series>,
    pub get: Vec<Series>,
    pub put: Vec<Series>,
}

impl InFront {
    /// Each operation by its name.
    pub fn operations(&self) -> [(&'static str, &[Series]); 3] {
        [
            ("1 KiB GET, 64 connections", &self.small),
            ("64 MiB GET, 4 connections", &self.get),
            ("64 MiB PUT, 4 connections", &self.put),
        ]
    }
}

impl Garage {
    /// Starts one on the core of the stores; its configuration and log go into `directory`.
    ///
    /// # Errors
    /// Where there is no room in memory, or Garage cannot be had, does not start or does not do what it is told.
    pub fn start(directory: &Path) -> io::Result<Self> {
        let program = tools::garage()?;
        let files = tempfile::Builder::new().prefix("portcullis-bench-").tempdir_in("/dev/shm")?;
        let home = directory.join("garage");
        fs::create_dir_all(&home).map_err(at(&home))?;
        let (address, rpc) = (free_address()?, free_address()?);
        let config = home.join("garage.toml");
        fs::write(&config, config_file(files.path(), address, rpc)).map_err(at(&config))?;
        let shown = config.to_string_lossy();
        // It starts what its commands talk to before what clients do.
        let server = Server::start(&program, &["-c", &shown, "server"], OTHER_CORE, address, &home.join("log"))?;
        let tell = |arguments: &[&str]| run(Command::new(&program).arg("-c").arg(&config).args(arguments));
        let node = tell(&["node", "id", "-q"])?;
        let node = node.split('@').next().unwrap_or_default();
        tell(&["layout", "assign", "-z", "here", "-c", "10G", node])?;
        tell(&["layout", "apply", "--version", "1"])?;
        tell(&["key", "import", "--yes", "-n", "alice", KEY.id, KEY.secret])?;
        tell(&["bucket", "create", BUCKET])?;
        tell(&["bucket", "allow", "--read", "--write", "--owner", BUCKET, "--key", KEY.id])?;
        let objects = [("small", SMALL), ("large", LARGE)];
        let objects: Vec<_> = objects
            .map(|(name, size)| Request::put_as(KEY, &target(name), size))
            .into_iter()
            .collect::<io::Result<_>>()?;
        block_on(async { Load::connect(address, 1).await?.run(each(objects)).await })?;
        Ok(Self { server, _files: files })
    }

    /// As what is put in front of it.
    pub fn upstream(&self) -> Upstream {
        Upstream { address: self.server.address, key: KEY }
    }

    /// Measures it by itself, and through those of the proxies that are compared here.
    ///
    /// # Errors
    /// Where a proxy does not start, or an answer is not what it should be.
    pub fn measure(
        &self,
        proxies: &[Contender],
        tools: &Tools,
        directory: &Path,
        effort: Effort,
    ) -> io::Result<InFront> {
        let mut compared = Contender::GARAGE.to_vec();
        compared.retain(|contender| *contender == Contender::Direct || proxies.contains(contender));
        let field = Field::start(&compared, tools, &self.upstream(), directory)?;
        // It takes much longer for a large object than a store that does nothing with it.
        let effort = Effort { large: effort.large.div_ceil(3), ..effort };
        Ok(InFront { small: field.small(effort)?, get: field.large(effort, false)?, put: field.large(effort, true)? })
    }
}

/// As the tests have it, and nothing compressed: what is stored is zeros.
fn config_file(files: &Path, s3: SocketAddr, rpc: SocketAddr) -> String {
    format!(
        r#"metadata_dir = "{files}/meta"
data_dir = "{files}/data"
db_engine = "sqlite"
replication_factor = 1
compression_level = "none"
rpc_bind_addr = "{rpc}"
rpc_public_addr = "{rpc}"
rpc_secret = "{secret}"

[s3_api]
s3_region = "{region}"
api_bind_addr = "{s3}"
root_domain = ".s3.localhost"
"#,
        files = files.display(),
        secret = "5e".repeat(32),
        region = KEY.region,
    )
}
