//! The `portcullis` program: arguments in, an exit code out. What it does is in the library.

mod cli;

use std::process::ExitCode;

/// A request allocates some dozens of times, and bodies large pieces over and over: glibc's allocator took a sixth of a
/// request's processor time, and gave the large pieces back to the system each time (`benches/README.md`). Without huge pages,
/// of which a process with little in each has a lot resident.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
