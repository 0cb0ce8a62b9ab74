//! Garage: a real store that answers `501 NotImplemented` to `PUT ?policy`.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::cache;
use super::people::{OPERATOR, PEOPLE, Person};
use super::process::{Server, free_address, http_status};

const VERSION: &str = "2.5.0";

/// The region its clients sign for.
pub(crate) const REGION: &str = "garage";

/// A single node with everybody's keys.
pub(crate) struct Garage {
    pub(crate) address: SocketAddr,
    /// The administration command, to be followed by its arguments.
    pub(crate) cli: Vec<String>,
    admin: SocketAddr,
    directory: PathBuf,
    server: Server,
}

impl Garage {
    pub(crate) fn start(directory: &Path) -> Self {
        let home = directory.join("garage");
        fs::create_dir(&home).unwrap();
        let [address, rpc, admin] = [free_address(), free_address(), free_address()];
        let config = home.join("garage.toml");
        fs::write(&config, config_file(&home, address, rpc, admin)).unwrap();
        let cli: Vec<String> = [executable().as_os_str(), OsStr::new("-c"), config.as_os_str()]
            .map(|part| part.to_str().unwrap().to_owned())
            .into();
        let server = serve(&cli, directory, admin);
        let garage = Self { address, cli, admin, directory: directory.to_owned(), server };
        let node = garage.admin(&["node", "id", "-q"]);
        let node = node.split('@').next().unwrap();
        garage.admin(&["layout", "assign", "-z", "here", "-c", "10G", node]);
        garage.admin(&["layout", "apply", "--version", "1"]);
        for Person { name, access_key_id, secret_access_key, .. } in PEOPLE.iter().chain([&OPERATOR]) {
            garage.admin(&["key", "import", "--yes", "-n", name, access_key_id, secret_access_key]);
            garage.admin(&["key", "allow", "--create-bucket", access_key_id]);
        }
        garage
    }

    /// Makes a bucket that all of these keys may use.
    pub(crate) fn make_bucket<'p>(&self, name: &str, for_whom: impl IntoIterator<Item = &'p Person>) {
        self.admin(&["bucket", "create", name]);
        for Person { access_key_id, .. } in for_whom {
            self.admin(&["bucket", "allow", "--read", "--write", "--owner", name, "--key", access_key_id]);
        }
    }

    /// Nobody answers from now on.
    pub(crate) fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts again at the same addresses, with all that was stored.
    pub(crate) fn restart(&mut self) {
        self.server = serve(&self.cli, &self.directory, self.admin);
    }

    fn admin(&self, arguments: &[&str]) -> String {
        let (program, first) = self.cli.split_first().unwrap();
        cache::must_run(Command::new(program).args(first).args(arguments), "Garage's administration command failed")
    }
}

fn serve(cli: &[String], directory: &Path, admin: SocketAddr) -> Server {
    let (program, arguments) = cli.split_first().unwrap();
    let mut command = Command::new(program);
    command.args(arguments).arg("server");
    Server::start("garage", directory, &mut command).ready_when(|_| http_status(admin, "/health").is_some())
}

fn config_file(home: &Path, s3: SocketAddr, rpc: SocketAddr, admin: SocketAddr) -> String {
    format!(
        r#"metadata_dir = "{home}/meta"
data_dir = "{home}/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "{rpc}"
rpc_public_addr = "{rpc}"
rpc_secret = "{secret}"

[s3_api]
s3_region = "{REGION}"
api_bind_addr = "{s3}"
root_domain = ".s3.localhost"

[admin]
api_bind_addr = "{admin}"
"#,
        home = home.display(),
        secret = "5e".repeat(32),
    )
}

fn executable() -> &'static Path {
    static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();
    EXECUTABLE.get_or_init(install)
}

/// Built once: about ten minutes on two cores.
fn install() -> PathBuf {
    let root = cache::directory().join(format!("garage-{VERSION}"));
    let executable = root.join("bin/garage");
    cache::with_lock("garage", || {
        if executable.is_file() {
            return;
        }
        let target = cache::directory().join("build/garage");
        let mut cargo = Command::new("cargo");
        // What `cargo test` set for us would steer the inner cargo: wrong target directory, wrong flags.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let ours = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC"].iter().any(|prefix| text.starts_with(prefix));
            let user = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_"];
            if ours && !user.iter().any(|prefix| text.starts_with(prefix)) {
                cargo.env_remove(name);
            }
        }
        cargo
            .current_dir(cache::directory())
            .env("CARGO_TARGET_DIR", &target)
            .args(["install", "garage", "--version", VERSION, "--locked", "--root"])
            .arg(&root);
        cache::must_run(&mut cargo, "Garage could not be built");
        // Only the program is kept: the build needs gigabytes.
        let _ = fs::remove_dir_all(&target);
    });
    executable
}
