//! Identity files, TOML and Zenko's `authdata.json`: one that is refused says why; in one that is taken every key has an
//! owner whose account is declared, and nobody's account is counted twice.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::identity::file::IdentityFile;

/// Alone in its directory, so that relative paths lead nowhere.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = std::env::temp_dir().join(format!("portcullis-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    directory.join("identities")
});

fuzz_target!(|content: &[u8]| {
    std::fs::write(&*FILE, content).expect("a file");
    match IdentityFile::load(&FILE) {
        Ok(file) => {
            let (_, keys) = file.counts();
            let mut found = 0;
            for credential in file.access_keys() {
                found += 1;
                let account = credential.identity.principal.account().expect("nobody's key");
                assert_eq!(file.account(&account.id).as_ref(), Some(account));
                // Zenko has canonical ids of other forms; those are found as they are written.
                let found = file.account_by_canonical_id(account.canonical_id.as_str());
                assert!(found.is_none_or(|found| found == *account));
            }
            assert_eq!(found, keys);
        }
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
});
