//! A store with Portcullis in front of it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::garage::{self, Garage};
use super::moto::Moto;
use super::people::{ACME, GLOBEX, OPERATOR, PEOPLE, Person};
use super::portcullis::{Handler, Portcullis, Settings, TRUSTED_PROXY};
use super::recorder::Recorder;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Embedded,
    Garage,
    Moto,
    /// Writes down what reaches it, and says yes to everything.
    Recorder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    Preserve,
    Resign,
}

/// Everything a script needs, stopped and removed when dropped.
pub(crate) struct Stack {
    // Dropped in this order: the proxy before its store, the directory last.
    pub(crate) proxy: Portcullis,
    store: Store,
    directory: TempDir,
    auth: Auth,
}

enum Store {
    Embedded,
    Garage(Garage),
    Moto(Moto),
    Recorder(Recorder),
}

impl Stack {
    /// Starts both with the usual settings: `store` before stores without `?policy`, `forward` before `moto_server`, and
    /// enforcing.
    pub(crate) fn start(backend: Backend, auth: Auth) -> Self {
        Self::start_with(backend, auth, |_| {})
    }

    /// Starts both where nothing is decided but `?policy`.
    pub(crate) fn start_unenforced(backend: Backend, auth: Auth) -> Self {
        Self::start_with(backend, auth, |settings| settings.enforcement = "off")
    }

    pub(crate) fn start_with(backend: Backend, auth: Auth, adjust: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let (store, upstream, region) = match backend {
            Backend::Embedded => {
                let objects = path.join("objects");
                fs::create_dir(&objects).unwrap();
                (Store::Embedded, format!("embedded:{}", objects.display()), "us-east-1")
            }
            Backend::Garage => {
                let garage = Garage::start(path);
                let endpoint = format!("http://{}", garage.address);
                (Store::Garage(garage), endpoint, garage::REGION)
            }
            Backend::Moto => {
                let moto = Moto::start(path);
                let endpoint = format!("http://{}", moto.address);
                (Store::Moto(moto), endpoint, "us-east-1")
            }
            Backend::Recorder => {
                let recorder = Recorder::start(path);
                let endpoint = format!("http://{}", recorder.address);
                (Store::Recorder(recorder), endpoint, "us-east-1")
            }
        };
        let mut settings = Settings::new(upstream, region, auth.as_str());
        if backend == Backend::Moto {
            settings.handler = Handler::Forward;
        }
        adjust(&mut settings);
        if let (Store::Garage(garage), Some(place)) = (&store, settings.store.and_then(|url| url.strip_prefix("s3://")))
        {
            // To the store everybody may use it; who keeps them out is ours to show.
            garage.make_bucket(place.split('/').next().unwrap(), PEOPLE.iter().chain([&OPERATOR]));
        }
        let proxy = Portcullis::start(path, &settings);
        Self { proxy, store, directory, auth }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the store itself is, which must not be the embedded one.
    pub(crate) fn store_address(&self) -> SocketAddr {
        match &self.store {
            Store::Embedded => panic!("the embedded store is inside the proxy"),
            Store::Garage(garage) => garage.address,
            Store::Moto(moto) => moto.address,
            Store::Recorder(recorder) => recorder.address,
        }
    }

    /// What the scripts are told, as `py/harness.py` reads it.
    pub(crate) fn describe(&self) -> Value {
        let keys: serde_json::Map<_, _> = PEOPLE
            .iter()
            .chain([&OPERATOR])
            .map(|person| {
                (person.name.to_owned(), {
                    let Person { access_key_id, secret_access_key, session_token, .. } = person;
                    json!([access_key_id, secret_access_key, session_token])
                })
            })
            .collect();
        let (backend, store, region, cli) = match &self.store {
            Store::Embedded => ("embedded", Value::Null, "us-east-1", vec![]),
            Store::Garage(garage) => {
                ("garage", json!(format!("http://{}", garage.address)), garage::REGION, garage.cli.clone())
            }
            Store::Moto(moto) => ("moto", json!(format!("http://{}", moto.address)), "us-east-1", vec![]),
            Store::Recorder(recorder) => {
                ("recorder", json!(format!("http://{}", recorder.address)), "us-east-1", vec![])
            }
        };
        json!({
            "endpoint": format!("http://{}", self.proxy.address),
            "portcullis": format!("http://{}", self.proxy.address),
            "authz": self.proxy.authz.map(|address| address.to_string()),
            "front": Value::Null,
            "admin": format!("http://{}", self.proxy.admin),
            "backend": backend,
            "store": store,
            "region": region,
            "auth": self.auth.as_str(),
            "enforcement": self.proxy.enforcement,
            "garage": cli,
            "keys": keys,
            "trusted_proxy": TRUSTED_PROXY,
            "acme": ACME,
            "globex": GLOBEX,
            "aws": super::cache::python_tool("aws"),
            "binary": super::portcullis::binary().get_program().to_str(),
            "directory": self.directory(),
        })
    }
}

impl Auth {
    fn as_str(self) -> &'static str {
        match self {
            Self::Preserve => "preserve",
            Self::Resign => "resign",
        }
    }
}
