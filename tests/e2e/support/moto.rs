//! `moto_server`: a store that answers `?policy` itself, for `handler = "forward"`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::cache;
use super::process::{Server, free_address, http_status};

pub(crate) struct Moto {
    pub(crate) address: SocketAddr,
    _server: Server,
}

impl Moto {
    pub(crate) fn start(directory: &Path) -> Self {
        let address = free_address();
        let mut command = Command::new(cache::python_tool("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        let server = Server::start("moto_server", directory, &mut command)
            .ready_when(|_| http_status(address, "/moto-api/data.json").is_some());
        Self { address, _server: server }
    }
}
