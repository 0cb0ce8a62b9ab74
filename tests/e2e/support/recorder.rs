//! A store that is none: `py/recorder.py` writes down what reaches it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache;
use super::process::{Server, free_address, http_status};

pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    _server: Server,
}

impl Recorder {
    /// What reaches it goes to `recorded.jsonl` in `directory`.
    pub(crate) fn start(directory: &Path) -> Self {
        let address = free_address();
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/py/recorder.py");
        let mut command = Command::new(cache::python_tool("python"));
        command.args(["-B", "-u"]).arg(script).arg(address.port().to_string()).arg(directory.join("recorded.jsonl"));
        let server =
            Server::start("recorder", directory, &mut command).ready_when(|_| http_status(address, "/ready").is_some());
        Self { address, _server: server }
    }
}
