//! The proxies, each configured to do as little as it can: no access log, no headers of its own, one thread, bodies passed
//! on as they come.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use crate::at;
use crate::process::{Server, free_address};
use crate::request::{ALICE, Key, OWNER};
use crate::tools::Tools;
use crate::world::ACCOUNT;

/// The core that the measured proxy has for itself.
pub const PROXY_CORE: usize = 1;
/// The core of everything else.
pub const OTHER_CORE: usize = 0;

/// The store that a proxy is in front of.
#[derive(Clone, Copy, Debug)]
pub struct Upstream {
    pub address: SocketAddr,
    /// The key that it knows.
    pub key: Key,
}

impl Upstream {
    /// One that looks at no signature.
    pub fn lax(address: SocketAddr) -> Self {
        Self { address, key: ALICE }
    }
}

/// A proxy, or a way of running Portcullis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Portcullis, which passes everything on: `enforcement = "off"`.
    PassThrough,
    /// Portcullis: signatures verified and policies enforced, the caller's signature goes on: `auth = "preserve"`.
    Preserve,
    /// As [`Contender::Preserve`], and signed anew: `auth = "resign"`.
    Resign,
    Nginx,
    HaProxy,
    Envoy,
    /// No proxy: the store itself is asked.
    Direct,
}

impl Contender {
    pub const ALL: [Self; 6] =
        [Self::PassThrough, Self::Preserve, Self::Resign, Self::Nginx, Self::HaProxy, Self::Envoy];

    /// Those that are measured in front of Garage, and Garage by itself.
    pub const GARAGE: [Self; 4] = [Self::Direct, Self::Nginx, Self::Preserve, Self::Resign];

    /// The ways of running Portcullis.
    pub const OWN: [Self; 3] = [Self::PassThrough, Self::Preserve, Self::Resign];

    pub fn name(self) -> &'static str {
        match self {
            Self::PassThrough => "Portcullis, pass-through",
            Self::Preserve => "Portcullis, preserve, enforced",
            Self::Resign => "Portcullis, resign, enforced",
            Self::Nginx => "nginx",
            Self::HaProxy => "HAProxy",
            Self::Envoy => "Envoy",
            Self::Direct => "direct",
        }
    }

    /// As the command line names it.
    pub fn key(self) -> &'static str {
        match self {
            Self::PassThrough => "pass-through",
            Self::Preserve => "preserve",
            Self::Resign => "resign",
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Direct => "direct",
        }
    }

    /// The key that clients sign with: the store's, unless requests are signed anew on the way to it.
    pub fn client(self, upstream: &Upstream) -> Key {
        match self {
            Self::Resign => Key { region: upstream.key.region, ..ALICE },
            _ => upstream.key,
        }
    }

    /// Runs it in front of `upstream`, with its files in a new folder within `directory`.
    ///
    /// # Errors
    /// Where it does not start, or there is nothing to start.
    pub fn start(self, tools: &Tools, upstream: &Upstream, directory: &Path) -> io::Result<Server> {
        let address = free_address()?;
        let home = directory.join(address.port().to_string());
        fs::create_dir_all(&home).map_err(at(&home))?;
        let log = home.join("log");
        let write = |name: &str, text: &str| {
            let file = home.join(name);
            fs::write(&file, text).map_err(at(&file))?;
            file.into_os_string().into_string().map_err(|name| io::Error::other(format!("{name:?} is not UTF-8")))
        };
        let start = |program, arguments: &[&str]| Server::start(program, arguments, PROXY_CORE, address, &log);
        match self {
            Self::PassThrough | Self::Preserve | Self::Resign => {
                write("identities.toml", &identities(upstream.key))?;
                let config = write("proxy.toml", &self.portcullis(address, upstream))?;
                start(&tools.portcullis, &["serve", "--config", &config])
            }
            Self::Nginx => {
                let config = write("nginx.conf", &nginx_proxy(address, upstream.address, &home))?;
                start(&tools.nginx, &["-c", &config, "-p", &home.to_string_lossy()])
            }
            Self::HaProxy => {
                let config = write("haproxy.cfg", &haproxy(address, upstream.address))?;
                start(&tools.haproxy, &["-db", "-f", &config])
            }
            Self::Envoy => {
                let config = write("envoy.json", &envoy(address, upstream.address))?;
                let options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"];
                start(&tools.envoy, &[&["-c", &*config], &options[..]].concat())
            }
            Self::Direct => Err(io::Error::other("direct: there is no proxy to start")),
        }
    }

    fn portcullis(self, address: SocketAddr, upstream: &Upstream) -> String {
        let enforcement = if self == Self::PassThrough { "off" } else { "enforce" };
        let Upstream { address: store, key: Key { id, secret, region } } = upstream;
        let auth = match self {
            Self::Resign => {
                format!("auth = \"resign\"\naccess_key_id = \"{id}\"\nsecret_access_key = \"{secret}\"\n")
            }
            _ => String::new(),
        };
        format!(
            r#"[listen]
address = "{address}"
domains = ["s3.localhost"]
[admin]
address = ""
[upstream]
endpoint = "http://{store}"
region = "{region}"
{auth}[policy]
enforcement = "{enforcement}"
[ownership]
sources = ["default"]
default_account = "{ACCOUNT}"
[log]
level = "warn"
"#
        )
    }
}

/// The owner and a user, as `identities.toml` has them: the user has the store's key, too.
pub fn identities(store: Key) -> String {
    let key = |Key { id, secret, .. }| format!("{{ access_key_id = \"{id}\", secret_access_key = \"{secret}\" }}");
    let mut keys = vec![key(ALICE)];
    if store.id != ALICE.id {
        keys.push(key(store));
    }
    format!(
        r#"[[account]]
id = "{ACCOUNT}"
name = "acme"
root_keys = [{}]
[[account.user]]
name = "alice"
keys = [{}]
"#,
        key(OWNER),
        keys.join(", ")
    )
}

/// nginx with one process, and connections that last. What it would write to files goes below `home`.
fn nginx(home: &Path, http: &str) -> String {
    let home = home.display();
    format!(
        r"daemon off;
master_process off;
pid {home}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    tcp_nodelay on;
{http}}}
"
    )
}

/// As the stores' own manuals have it for what is in front of them: connections kept, nothing buffered whole.
fn nginx_proxy(address: SocketAddr, upstream: SocketAddr, home: &Path) -> String {
    let http = format!(
        r#"    upstream store {{
        server {upstream};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
    server {{
        listen {address} backlog=4096;
        client_max_body_size 0;
        location / {{
            proxy_pass http://store;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
"#
    );
    nginx(home, &http)
}

/// The store: files below `root`, and buckets that are there when they are asked for.
pub(crate) fn nginx_store(address: SocketAddr, root: &Path, home: &Path) -> String {
    let http = format!(
        r"    sendfile on;
    tcp_nopush on;
    open_file_cache max=64;
    server {{
        listen {address} backlog=4096;
        root {};
        location ~ ^/[^/]+/?$ {{ return 200; }}
    }}
",
        root.display()
    );
    nginx(home, &http)
}

fn haproxy(address: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
frontend clients
    bind {address} backlog 4096
    default_backend store
backend store
    http-reuse always
    server store {upstream}
"
    )
}

fn envoy(address: SocketAddr, upstream: SocketAddr) -> String {
    let socket = |address: SocketAddr| json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}});
    let typed = |name: &str| format!("type.googleapis.com/envoy.extensions.{name}");
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": typed("filters.http.router.v3.Router"), "suppress_envoy_headers": true},
    });
    let routes = json!({
        "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "store", "timeout": "0s"}}],
        }],
    });
    let manager = json!({
        "@type": typed("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "clients",
        "generate_request_id": false,
        "server_header_transformation": "PASS_THROUGH",
        "route_config": routes,
        "http_filters": [router],
    });
    let limits = json!({
        "thresholds": [{"max_connections": 16384, "max_pending_requests": 16384, "max_requests": 16384}],
    });
    json!({
        "static_resources": {
            "listeners": [{
                "name": "clients",
                "address": socket(address),
                "filter_chains": [{
                    "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
                }],
            }],
            "clusters": [{
                "name": "store",
                "connect_timeout": "5s",
                "type": "STATIC",
                "circuit_breakers": limits,
                "load_assignment": {
                    "cluster_name": "store",
                    "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(upstream)}}]}],
                },
            }],
        },
    })
    .to_string()
}
