//! A disk in memory that fails when told to, and forgets what was not synced when its power is cut.

use std::{
    io,
    sync::{Arc, Mutex},
};

use redb::StorageBackend;

#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What the running process sees.
    seen: Vec<u8>,
    /// What survives a power cut.
    synced: Vec<u8>,
    /// Changes and syncs still allowed, and the error after them.
    allowed: Option<(u64, io::ErrorKind)>,
}

impl State {
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.allowed {
            Some((0, kind)) => Err((*kind).into()),
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Disk {
    /// After `operations` more changes or syncs, every one fails with `kind`.
    pub(in crate::store) fn fail_after(&self, operations: u64, kind: io::ErrorKind) {
        self.0.lock().unwrap().allowed = Some((operations, kind));
    }

    /// A healthy disk with what a killed process leaves behind.
    pub(in crate::store) fn after_kill(&self) -> Self {
        Self::holding(self.0.lock().unwrap().seen.clone())
    }

    /// A healthy disk with what a power cut leaves behind.
    pub(in crate::store) fn after_power_cut(&self) -> Self {
        Self::holding(self.0.lock().unwrap().synced.clone())
    }

    /// All that is on it.
    pub(in crate::store) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().seen.clone()
    }

    /// Changes one bit.
    pub(in crate::store) fn flip(&self, bit: usize) {
        let mut state = self.0.lock().unwrap();
        state.seen[bit / 8] ^= 1 << (bit % 8);
        state.synced = state.seen.clone();
    }

    /// Where there is anything but zeros, and what is near it.
    pub(in crate::store) fn live_bytes(&self) -> Vec<usize> {
        let bytes = self.bytes();
        let live = |at: &usize| bytes[at / 64 * 64..].iter().take(64).any(|byte| *byte != 0);
        (0..bytes.len()).filter(live).collect()
    }

    fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { synced: bytes.clone(), seen: bytes, allowed: None })))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let start = offset as usize;
        let bytes = state.seen.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.spend()?;
        state.seen.resize(length as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.spend()?;
        state.synced = state.seen.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.spend()?;
        let start = offset as usize;
        state.seen.get_mut(start..start + data.len()).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        Ok(())
    }
}
