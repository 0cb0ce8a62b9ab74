//! What `deploy/kustomize` renders to, checked against itself and against the program: ports, probes, rights, and the
//! configuration in the ConfigMap.
#![cfg(feature = "proxy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking, and a missing YAML key should"
)]

#[path = "e2e/support/cache.rs"]
mod cache;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

const OVERLAYS: [&str; 3] = ["base", "overlays/ingress", "overlays/sidecar"];

#[test]
fn the_pod_runs_unprivileged_on_a_read_only_root() {
    for overlay in OVERLAYS {
        let objects = Rendered::new(overlay);
        let pod = objects.pod();
        let container = objects.container();
        let security = &container["securityContext"];
        let rows = [
            ("no token", &pod["automountServiceAccountToken"], Value::from(false)),
            ("seccomp", &pod["securityContext"]["seccompProfile"]["type"], Value::from("RuntimeDefault")),
            ("non-root", &security["runAsNonRoot"], Value::from(true)),
            ("the image's user", &security["runAsUser"], Value::from(65532)),
            ("read-only root", &security["readOnlyRootFilesystem"], Value::from(true)),
            ("no escalation", &security["allowPrivilegeEscalation"], Value::from(false)),
            ("no capabilities", &security["capabilities"]["drop"], Value::from(vec!["ALL"])),
        ];
        for (what, found, expected) in rows {
            assert_eq!(*found, expected, "{overlay}: {what}");
        }
        for amount in [&container["resources"]["requests"]["cpu"], &container["resources"]["limits"]["memory"]] {
            assert!(amount.is_string(), "{overlay}: resources are not bounded: {}", container["resources"]);
        }
        let account = objects.one("ServiceAccount");
        assert_eq!(pod["serviceAccountName"], account["metadata"]["name"], "{overlay}");
    }
}

#[test]
fn ports_and_probes_are_those_of_the_configuration() {
    for overlay in OVERLAYS {
        let objects = Rendered::new(overlay);
        let config = objects.proxy_toml();
        let container = objects.container();
        let port_of = |name: &str| {
            let ports = container["ports"].as_array().unwrap();
            ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"].as_u64().unwrap()
        };
        let port_in = |section: &str| -> u64 {
            let address = config[section]["address"].as_str().unwrap();
            address.rsplit_once(':').unwrap().1.parse().unwrap()
        };
        assert_eq!(port_of("s3"), port_in("listen"), "{overlay}");
        assert_eq!(port_of("admin"), port_in("admin"), "{overlay}");
        for (probe, path) in [("startupProbe", "/readyz"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
            let http = &container[probe]["httpGet"];
            assert_eq!(http["path"], path, "{overlay}: {probe}");
            assert_eq!(http["port"], "admin", "{overlay}: {probe}");
        }
        // The kubelet asks the pod's address.
        assert!(config["admin"]["address"].as_str().unwrap().starts_with("0.0.0.0:"), "{overlay}");

        let grace = objects.pod()["terminationGracePeriodSeconds"].as_u64().unwrap();
        let drain = config["limits"]["drain_timeout"].as_str().unwrap();
        let drain: u64 = drain.strip_suffix('s').unwrap().parse().unwrap();
        assert!(drain < grace, "{overlay}: {drain} s of draining in {grace} s of grace");
    }
}

#[test]
fn what_the_configuration_names_is_mounted() {
    for overlay in OVERLAYS {
        let objects = Rendered::new(overlay);
        let config = objects.proxy_toml();
        let container = objects.container();
        let mounted = |path: &str| {
            let mounts = container["volumeMounts"].as_array().unwrap();
            let mount = mounts.iter().find(|mount| path.starts_with(mount["mountPath"].as_str().unwrap()));
            let mount = mount.unwrap_or_else(|| panic!("{overlay}: nothing is mounted for {path}"));
            let volumes = objects.pod()["volumes"].as_array().unwrap();
            volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap().clone()
        };
        let arguments: Vec<_> = container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
        let ["serve", "--config", config_path] = arguments[..] else { panic!("{overlay}: {arguments:?}") };
        assert_eq!(
            mounted(config_path)["configMap"]["name"],
            objects.one("ConfigMap")["metadata"]["name"],
            "{overlay}"
        );
        assert!(mounted(config["identity"]["file"].as_str().unwrap())["secret"].is_object(), "{overlay}");
        let store = config["store"]["url"].as_str().unwrap().strip_prefix("redb:").unwrap();
        let claim = &mounted(store)["persistentVolumeClaim"]["claimName"];
        assert_eq!(*claim, objects.one("PersistentVolumeClaim")["metadata"]["name"], "{overlay}");
        let secret = config["upstream"]["secret_access_key_env"].as_str().unwrap();
        assert!(container["env"].as_array().unwrap().iter().any(|variable| variable["name"] == secret), "{overlay}");

        // One process may hold the file.
        let deployment = &objects.one("Deployment")["spec"];
        assert_eq!(deployment["replicas"], 1, "{overlay}");
        assert_eq!(deployment["strategy"]["type"], "Recreate", "{overlay}");
    }
}

#[test]
fn the_configuration_passes_the_programs_own_check() {
    for overlay in OVERLAYS {
        let objects = Rendered::new(overlay);
        let root = tempfile::tempdir().unwrap();
        let inside = |path: &str| format!("{}{path}", root.path().display());
        for directory in ["/etc/portcullis/identities", "/var/lib/portcullis"] {
            fs::create_dir_all(inside(directory)).unwrap();
        }
        let account = "[[account]]\nid = \"111122223333\"\nname = \"acme\"\n\
                       root_keys = [{ access_key_id = \"GK01\", secret_access_key = \"secret\" }]\n";
        fs::write(inside("/etc/portcullis/identities/identities.toml"), account).unwrap();
        let mut text = objects.proxy_toml_text();
        for path in ["/etc/portcullis", "/var/lib/portcullis"] {
            text = text.replace(path, &inside(path));
        }
        let file = inside("/etc/portcullis/proxy.toml");
        fs::write(&file, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["check", "--config", &file])
            .env("PORTCULLIS_UPSTREAM_SECRET", "secret")
            .output()
            .unwrap();
        assert!(output.status.success(), "{overlay}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn an_ingress_leads_to_the_container() {
    let objects = Rendered::new("overlays/ingress");
    let service = objects.one("Service");
    let config = objects.proxy_toml();
    let domains: Vec<_> = config["listen"]["domains"].as_array().unwrap().iter().map(|d| d.as_str().unwrap()).collect();
    let rules = objects.one("Ingress")["spec"]["rules"].as_array().unwrap();
    let hosts: Vec<_> = rules.iter().map(|rule| rule["host"].as_str().unwrap()).collect();
    for domain in domains {
        // Path style and virtual-hosted style.
        assert!(hosts.contains(&domain) && hosts.contains(&format!("*.{domain}").as_str()), "{domain}: {hosts:?}");
    }
    for rule in rules {
        let paths = rule["http"]["paths"].as_array().unwrap();
        assert_eq!(paths.len(), 1, "{rule}");
        assert_eq!((&paths[0]["path"], &paths[0]["pathType"]), (&"/".into(), &"Prefix".into()), "{rule}");
        let backend = &paths[0]["backend"]["service"];
        assert_eq!(backend["name"], service["metadata"]["name"], "{rule}");
        let port = service["spec"]["ports"].as_array().unwrap();
        let port = port.iter().find(|port| port["name"] == backend["port"]["name"]).unwrap();
        let ports = objects.container()["ports"].as_array().unwrap();
        let target = ports.iter().find(|candidate| candidate["name"] == port["targetPort"]).unwrap();
        assert_eq!(target["name"], "s3", "{rule}");
    }
    let labels = &objects.one("Deployment")["spec"]["template"]["metadata"]["labels"];
    for (name, value) in service["spec"]["selector"].as_object().unwrap() {
        assert_eq!(labels[name], *value, "the Service selects no pod");
    }
}

#[test]
fn no_service_exposes_the_admin_listener() {
    for overlay in OVERLAYS {
        for service in Rendered::new(overlay).all("Service") {
            let ports = service["spec"]["ports"].as_array().unwrap();
            assert!(ports.iter().all(|port| port["targetPort"] == "s3"), "{overlay}: {ports:?}");
        }
    }
}

#[test]
fn a_sidecar_is_up_before_its_application_which_alone_can_reach_it() {
    let objects = Rendered::new("overlays/sidecar");
    let pod = objects.pod();
    let sidecar = &pod["initContainers"][0];
    assert_eq!((&sidecar["name"], &sidecar["restartPolicy"]), (&"portcullis".into(), &"Always".into()));
    // Without it, the application would start as soon as the sidecar's process has.
    assert!(sidecar["startupProbe"].is_object());
    let applications = pod["containers"].as_array().unwrap();
    assert!(!applications.is_empty() && applications.iter().all(|container| container["name"] != "portcullis"));

    let config = objects.proxy_toml();
    let address = config["listen"]["address"].as_str().unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let variables = applications[0]["env"].as_array().unwrap();
    let endpoint = variables.iter().find(|variable| variable["name"] == "AWS_ENDPOINT_URL_S3").unwrap();
    assert_eq!(endpoint["value"], format!("http://{address}"));
    assert!(objects.all("Service").is_empty());
}

/// The objects of one kustomization.
struct Rendered(Vec<Value>);

impl Rendered {
    fn new(overlay: &str) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kustomize").join(overlay);
        let yaml = cache::must_run(
            Command::new(kubectl()).arg("kustomize").arg(&directory),
            "rendering failed; kubectl 1.21 or later is needed",
        );
        let objects: Vec<Value> = serde_json::from_str(&to_json(&yaml)).unwrap();
        assert!(objects.iter().all(Value::is_object), "{overlay}: not all documents are objects");
        Self(objects)
    }

    fn all(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    fn one(&self, kind: &str) -> &Value {
        let [object] = self.all(kind)[..] else { panic!("not one {kind}, but {}", self.all(kind).len()) };
        object
    }

    fn pod(&self) -> &Value {
        &self.one("Deployment")["spec"]["template"]["spec"]
    }

    /// Portcullis's own container, wherever in the pod it stands.
    fn container(&self) -> &Value {
        let lists = ["containers", "initContainers"].into_iter().filter_map(|list| self.pod()[list].as_array());
        lists.flatten().find(|container| container["name"] == "portcullis").unwrap()
    }

    fn proxy_toml_text(&self) -> String {
        self.one("ConfigMap")["data"]["proxy.toml"].as_str().unwrap().to_owned()
    }

    fn proxy_toml(&self) -> toml::Table {
        self.proxy_toml_text().parse().unwrap()
    }
}

/// Kustomize writes YAML only; the test tools' Python reads it.
fn to_json(yaml: &str) -> String {
    let script = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)";
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), yaml).unwrap();
    cache::must_run(
        Command::new(cache::python_tool("python")).args(["-c", script]).arg(file.path()),
        "kustomize wrote no YAML",
    )
}

/// The one on the PATH; Debian's where there is none.
fn kubectl() -> &'static Path {
    static KUBECTL: OnceLock<PathBuf> = OnceLock::new();
    KUBECTL.get_or_init(|| {
        cache::with_lock("apt", || {
            if !is_there() {
                cache::apt_get_install("kubernetes-client");
            }
        });
        PathBuf::from("kubectl")
    })
}

fn is_there() -> bool {
    let mut version = Command::new("kubectl");
    version.args(["version", "--client"]).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}
