//! What is rendered, against itself and against the program.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::rendered::{ALL, ALONE, HELM_WITH_ALL, Rendered, Source};

#[test]
fn the_pod_runs_unprivileged_on_a_read_only_root() {
    for source in ALL {
        let objects = Rendered::new(source);
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
            assert_eq!(*found, expected, "{source:?}: {what}");
        }
        for amount in [&container["resources"]["requests"]["cpu"], &container["resources"]["limits"]["memory"]] {
            assert!(amount.is_string(), "{source:?}: resources are not bounded: {}", container["resources"]);
        }
        let account = objects.one("ServiceAccount");
        assert_eq!(pod["serviceAccountName"], account["metadata"]["name"], "{source:?}");
    }
}

#[test]
fn ports_and_probes_are_those_of_the_configuration() {
    for source in ALL {
        let objects = Rendered::new(source);
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
        assert_eq!(port_of("s3"), port_in("listen"), "{source:?}");
        assert_eq!(port_of("admin"), port_in("admin"), "{source:?}");
        for (probe, path) in [("startupProbe", "/readyz"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
            let http = &container[probe]["httpGet"];
            assert_eq!(http["path"], path, "{source:?}: {probe}");
            assert_eq!(http["port"], "admin", "{source:?}: {probe}");
        }
        // The kubelet asks the pod's address.
        assert!(config["admin"]["address"].as_str().unwrap().starts_with("0.0.0.0:"), "{source:?}");

        let grace = objects.pod()["terminationGracePeriodSeconds"].as_u64().unwrap();
        let before = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
        let drain = config["limits"]["drain_timeout"].as_str().unwrap();
        let drain: u64 = drain.strip_suffix('s').unwrap().parse().unwrap();
        // The last traces have three seconds after that.
        let needed = before + drain + 3;
        assert!(needed < grace, "{source:?}: {drain} s of draining after {before} s in {grace} s of grace");
    }
}

#[test]
fn what_the_configuration_names_is_mounted() {
    for source in ALL {
        let objects = Rendered::new(source);
        let config = objects.proxy_toml();
        let container = objects.container();
        let mounted = |path: &str| {
            let mounts = container["volumeMounts"].as_array().unwrap();
            let mount = mounts.iter().find(|mount| path.starts_with(mount["mountPath"].as_str().unwrap()));
            let mount = mount.unwrap_or_else(|| panic!("{source:?}: nothing is mounted for {path}"));
            let volumes = objects.pod()["volumes"].as_array().unwrap();
            volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap().clone()
        };
        let arguments: Vec<_> = container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
        let ["serve", "--config", config_path] = arguments[..] else { panic!("{source:?}: {arguments:?}") };
        assert_eq!(
            mounted(config_path)["configMap"]["name"],
            objects.one("ConfigMap")["metadata"]["name"],
            "{source:?}"
        );
        assert!(mounted(config["identity"]["file"].as_str().unwrap())["secret"].is_object(), "{source:?}");
        let is_secret = |variable: &str| {
            let variables = container["env"].as_array().unwrap();
            variables.iter().any(|found| found["name"] == variable && found["valueFrom"]["secretKeyRef"].is_object())
        };
        assert!(is_secret(config["upstream"]["secret_access_key_env"].as_str().unwrap()), "{source:?}");
        if config["store"]["url"].as_str().unwrap().starts_with("etcd:") {
            for key in ["ca_file", "client_cert", "client_key"] {
                assert!(mounted(config["store"][key].as_str().unwrap())["secret"].is_object(), "{source:?}: {key}");
            }
            assert!(is_secret(config["store"]["password_env"].as_str().unwrap()), "{source:?}");
        }

        let deployment = &objects.one("Deployment")["spec"];
        match config["store"]["url"].as_str().unwrap().strip_prefix("redb:") {
            // One process may hold the file.
            Some(file) => {
                let claim = &mounted(file)["persistentVolumeClaim"]["claimName"];
                assert_eq!(*claim, objects.one("PersistentVolumeClaim")["metadata"]["name"], "{source:?}");
                assert_eq!(deployment["replicas"], 1, "{source:?}");
                assert_eq!(deployment["strategy"]["type"], "Recreate", "{source:?}");
            }
            None => {
                assert!(objects.all("PersistentVolumeClaim").is_empty(), "{source:?}");
                assert!(!objects.pod()["volumes"].to_string().contains("persistentVolumeClaim"), "{source:?}");
                assert!(deployment["replicas"].as_u64().unwrap() > 1, "{source:?}");
                assert_eq!(deployment["strategy"]["rollingUpdate"]["maxUnavailable"], 0, "{source:?}");
            }
        }
    }
}

#[test]
fn the_configuration_passes_the_programs_own_check() {
    for source in ALL {
        let objects = Rendered::new(source);
        let root = tempfile::tempdir().unwrap();
        let inside = |path: &str| format!("{}{path}", root.path().display());
        for directory in ["/etc/portcullis/identities", "/etc/portcullis/etcd", "/var/lib/portcullis"] {
            fs::create_dir_all(inside(directory)).unwrap();
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["etcd".to_owned()]).unwrap().self_signed(&key).unwrap();
        for (name, text) in
            [("ca.crt", certificate.pem()), ("tls.crt", certificate.pem()), ("tls.key", key.serialize_pem())]
        {
            fs::write(inside(&format!("/etc/portcullis/etcd/{name}")), text).unwrap();
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
            .env("PORTCULLIS_ETCD_PASSWORD", "secret")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        if objects.proxy_toml_text().contains("etcd://") && !cfg!(feature = "etcd") {
            let errors: Vec<_> = told.lines().filter(|line| line.contains("error: ")).collect();
            let [error] = errors[..] else { panic!("{source:?}: {told}") };
            assert!(error.contains("this build has no etcd"), "{source:?}: {told}");
            continue;
        }
        assert!(output.status.success(), "{source:?}: {told}");
    }
}

#[test]
fn an_ingress_leads_to_the_container() {
    for source in [Source::Kustomize("overlays/ingress"), Source::Helm(&["ingress.enabled=true"])] {
        leads_to_the_container(&Rendered::new(source));
    }
}

fn leads_to_the_container(objects: &Rendered) {
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
    assert!(objects.is_chosen_by(&service["spec"]["selector"]), "the Service selects no pod");
}

#[test]
fn no_service_exposes_the_admin_listener() {
    for source in ALL {
        for service in Rendered::new(source).all("Service") {
            let ports = service["spec"]["ports"].as_array().unwrap();
            assert!(ports.iter().all(|port| port["targetPort"] == "s3"), "{source:?}: {ports:?}");
        }
    }
}

#[test]
fn a_sidecar_is_up_before_its_application_which_alone_can_reach_it() {
    let objects = Rendered::new(Source::Kustomize("overlays/sidecar"));
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
    for kind in ["Service", "NetworkPolicy", "PodDisruptionBudget"] {
        assert!(objects.all(kind).is_empty(), "{kind}");
    }
}

#[test]
fn metrics_are_reached_by_those_who_watch_and_by_nobody_else() {
    for source in [Source::Monitored, HELM_WITH_ALL] {
        let objects = Rendered::new(source);
        let services = objects.all("Service");
        let metrics = services.iter().find(|service| service["spec"]["clusterIP"] == "None").unwrap();
        assert!(objects.is_chosen_by(&metrics["spec"]["selector"]), "{source:?}");
        let port = &metrics["spec"]["ports"][0];
        assert_eq!(port["targetPort"], "admin", "{source:?}");

        let monitor = &objects.one("ServiceMonitor")["spec"];
        let wanted = monitor["selector"]["matchLabels"].as_object().unwrap();
        for service in &services {
            let labels = &service["metadata"]["labels"];
            let is_chosen = wanted.iter().all(|(name, value)| labels[name] == *value);
            assert_eq!(is_chosen, service == metrics, "{source:?}: {labels}");
        }
        assert_eq!(monitor["endpoints"][0]["port"], port["name"], "{source:?}");
        assert_eq!(monitor["endpoints"][0]["path"], "/metrics", "{source:?}");

        let rules = objects.one("NetworkPolicy")["spec"]["ingress"].as_array().unwrap();
        let admin: Vec<_> =
            rules.iter().filter(|rule| rule["ports"] == serde_json::json!([{"port": "admin"}])).collect();
        let [admin] = admin[..] else { panic!("{source:?}: {rules:?}") };
        let watchers = &admin["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
        assert_eq!(*watchers, "monitoring", "{source:?}");
    }
}

#[test]
fn the_network_is_closed_but_for_what_the_configuration_needs() {
    for source in ALONE {
        let objects = Rendered::new(source);
        let policy = &objects.one("NetworkPolicy")["spec"];
        assert!(objects.is_chosen_by(&policy["podSelector"]["matchLabels"]), "{source:?}: {policy}");
        assert_eq!(policy["policyTypes"], serde_json::json!(["Ingress", "Egress"]), "{source:?}");
        for rule in policy["ingress"].as_array().unwrap() {
            assert_eq!(rule["ports"], serde_json::json!([{"port": "s3"}]), "{source:?}: the admin listener is open");
            assert!(!rule["from"].as_array().unwrap().is_empty(), "{source:?}: open to the world");
        }

        let config = objects.proxy_toml();
        let is_allowed = |namespace: &str, port: u16| {
            policy["egress"].as_array().unwrap().iter().any(|rule| {
                let to = &rule["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
                *to == namespace && rule["ports"][0]["port"] == port
            })
        };
        // NAME.NAMESPACE.svc…, of a pod POD.NAME.NAMESPACE.svc…
        let namespace = |host: &str| host.split(".svc.").next().unwrap().rsplit('.').next().unwrap().to_owned();
        let upstream: http::Uri = config["upstream"]["endpoint"].as_str().unwrap().parse().unwrap();
        let store = namespace(upstream.host().unwrap());
        assert!(is_allowed(&store, upstream.port_u16().unwrap()), "{source:?}: the store is out of reach");
        let policies = config["store"]["url"].as_str().unwrap();
        let members = policies.strip_prefix("etcd://").map(|rest| rest.split('/').next().unwrap());
        for member in members.into_iter().flat_map(|members| members.split(',')) {
            let (host, port) = member.rsplit_once(':').unwrap();
            assert!(is_allowed(&namespace(host), port.parse().unwrap()), "{source:?}: {member} is out of reach");
        }
    }
}

#[test]
fn a_node_can_be_drained() {
    for source in ALONE {
        let objects = Rendered::new(source);
        let budget = &objects.one("PodDisruptionBudget")["spec"];
        assert!(objects.is_chosen_by(&budget["selector"]["matchLabels"]), "{source:?}");
        assert_eq!(budget["maxUnavailable"], 1, "{source:?}");
    }
}
