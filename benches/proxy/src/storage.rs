//! The store behind the proxies that are asked for objects: nginx with files in memory.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::at;
use crate::contender::{OTHER_CORE, nginx_store};
use crate::process::{Server, free_address};
use crate::tools::Tools;
use crate::world::{BUCKET, FOLDER, HUGE, LARGE, SMALL};

/// A store and its files, which go with it.
#[derive(Debug)]
pub struct Storage {
    server: Server,
    _files: tempfile::TempDir,
}

impl Storage {
    /// Starts one with the objects `small`, `large` and `huge`; its configuration goes into `directory`.
    ///
    /// # Errors
    /// Where there is no room in memory, or nginx does not start.
    pub fn start(tools: &Tools, directory: &Path) -> io::Result<Self> {
        let files = tempfile::Builder::new().prefix("portcullis-bench-").tempdir_in("/dev/shm")?;
        // For the store's process, which may not be root's.
        let folder = files.path().join(BUCKET).join(FOLDER);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        for (name, size) in [("small", SMALL), ("large", LARGE)] {
            let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
            let file = folder.join(name);
            fs::write(&file, bytes).map_err(at(&file))?;
        }
        // A hole: it takes no room.
        let file = folder.join("huge");
        File::create(&file).and_then(|huge| huge.set_len(HUGE)).map_err(at(&file))?;

        let home = directory.join("store");
        fs::create_dir_all(&home).map_err(at(&home))?;
        let address = free_address()?;
        let config = home.join("nginx.conf");
        fs::write(&config, nginx_store(address, files.path(), &home)).map_err(at(&config))?;
        let arguments = ["-c", &config.to_string_lossy(), "-p", &home.to_string_lossy()];
        let server = Server::start(&tools.nginx, &arguments, OTHER_CORE, address, &home.join("log"))?;
        Ok(Self { server, _files: files })
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address
    }
}
