//! Machine code that was made from plugins, kept so that a start need not compile them again.
//!
//! It must not know what is in an artefact. Invariant: what is read was written by this host for exactly this
//! component, engine version, configuration and processor, or it is not there. A file that somebody else made or
//! changed counts as not there.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    hash::{Hash, Hasher},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use hmac::{Hmac, Mac, digest::KeyInit};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

use crate::domain::Digest;

const KEY_FILE: &str = "key";
const KEY_BYTES: usize = 64;
const MAC_BYTES: usize = 32;
/// For the owner only: who can read the key can make code that this host would load.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// A folder of artefacts.
pub(super) struct Artefacts {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
    bytes_max: u64,
    /// Names of those that were read or written since the start.
    used: Mutex<HashSet<String>>,
}

impl Artefacts {
    /// Opens the folder, and makes it and its key where they are not there. Artefacts are up to `bytes_max` long.
    pub(super) fn open(folder: &Path, bytes_max: u64) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        let path = folder.join(KEY_FILE);
        let key = match read_key(&path)? {
            Some(key) => key,
            None => make_key(&path)?,
        };
        Ok(Self { folder: folder.to_owned(), key, bytes_max, used: Mutex::default() })
    }

    /// The name of what an engine makes of a component.
    pub(super) fn name(&self, engine: &Engine, component: &Digest) -> String {
        let mut all = Everything(Sha256::new());
        component.0.hash(&mut all);
        // The version, the configuration and the processor's features.
        engine.precompile_compatibility_hash().hash(&mut all);
        Digest(all.0.finalize().into()).to_string()
    }

    /// An artefact; `None` where there is none that this host has written.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let file = File::open(self.folder.join(name)).ok()?;
        let mut bytes = Vec::new();
        file.take(self.bytes_max + MAC_BYTES as u64 + 1).read_to_end(&mut bytes).ok()?;
        let (mac, code) = bytes.split_at_checked(MAC_BYTES)?;
        if self.mac(name, code).verify_slice(mac).is_err() {
            tracing::warn!(name, "a compiled plugin is not as this host has written it; it is compiled again");
            return None;
        }
        bytes.drain(..MAC_BYTES);
        self.lock().insert(name.to_owned());
        Some(bytes)
    }

    /// Keeps an artefact. It is not waited for: one that a power cut leaves in pieces counts as not there, and waiting
    /// for megabytes would hold up whoever has a commit to make on the same disk.
    pub(super) fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let mac = self.mac(name, code).finalize().into_bytes();
        put(&self.folder.join(name), &[&mac, code])?;
        self.lock().insert(name.to_owned());
        Ok(())
    }

    /// Removes an artefact. One that a kill or a failure leaves behind is swept at the next start.
    pub(super) fn remove(&self, name: &str) {
        self.lock().remove(name);
        match fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(name, %error, "the code of a plugin that was removed is still there");
            }
            _ => {}
        }
    }

    // A set is what it is, whoever panicked while holding it.
    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes every artefact that was neither read nor written since the start. One that cannot be removed stays.
    pub(super) fn sweep(&self) {
        let used = self.lock();
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let kept = name.to_str().is_some_and(|name| name == KEY_FILE || used.contains(name));
            if !kept && let Err(error) = fs::remove_file(entry.path()) {
                tracing::warn!(file = %entry.path().display(), %error, "a file that is of no use could not be removed");
            }
        }
    }

    /// Of the name as well: an artefact put in the place of another is a foreign one.
    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&self.key.into());
        mac.update(name.as_bytes());
        mac.update(code);
        mac
    }
}

/// The key, unless it is not there, not a key, or was within the reach of others.
fn read_key(path: &Path) -> io::Result<Option<[u8; KEY_BYTES]>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(file = %path.display(), "others could read this key: a new one is made, and plugins are compiled again");
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes.try_into().ok())
}

fn make_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    put(path, &[&key])?.sync_all()?;
    Ok(key)
}

/// Writes a file under another name and gives it its own at the end.
fn put(path: &Path, parts: &[&[u8]]) -> io::Result<File> {
    let aside = path.with_extension("new");
    // What a start that was cut short has left there.
    let _ = fs::remove_file(&aside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&aside)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    fs::rename(&aside, path)?;
    Ok(file)
}

/// A hasher that loses nothing: what is hashed goes into SHA-256.
struct Everything(Sha256);

impl Hasher for Everything {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.clone().finalize();
        hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests;
