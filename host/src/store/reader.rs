//! Reading beside the writer.
//!
//! It must not know the writer. Invariant: each call sees the store as of one commit, whatever is committed meanwhile.

use std::{fmt, ops::Range, sync::Arc};

use super::{
    Place, Shared, audit, damage, device,
    error::{Damage, Error},
    handover, hour,
    log::{Groups, Heads},
    page, placement, plugin, question, tenure,
};
use crate::domain::{
    AuditEntry, Device, DevicePage, Digest, Eui64, Handover, HourPage, Mpxn, Placement, Position, Tenures,
};

/// A cheap handle to read with: clone it for every task. Once the store is closed it answers [`Error::Closed`].
///
/// What was deleted is kept on disk as long as an iterator from before lives: do not park one.
#[derive(Clone)]
pub struct Reader(pub(super) Arc<Shared>);

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("store::Reader")
    }
}

impl Reader {
    /// The pages of device state in order of their numbers; one is decoded at a time.
    pub fn pages(&self) -> Result<impl Iterator<Item = Result<DevicePage, Error>> + use<>, Error> {
        page::read(&self.0.begin_read()?)
    }

    /// The groups of the log in order. The first is the one that holds `from`, or the next.
    pub fn groups(&self, from: Position) -> Result<Groups, Error> {
        self.heads(from).map(Groups)
    }

    /// The heads of the same groups, to look before decoding: pass those of interest to [`Heads::read`].
    pub fn heads(&self, from: Position) -> Result<Heads, Error> {
        Heads::new(&self.0.begin_read()?, from, Arc::clone(&self.0))
    }

    /// The counts of the hours in a range, in order; hours without any are left out. One is decoded at a time.
    pub fn hours(&self, range: Range<u32>) -> Result<impl Iterator<Item = Result<HourPage, Error>> + use<>, Error> {
        hour::read(&self.0.begin_read()?, range)
    }

    /// The counts of one hour.
    pub fn hour(&self, hour: u32) -> Result<Option<HourPage>, Error> {
        hour::read_one(&self.0.begin_read()?, hour)
    }

    /// At most so many devices from a number on, each with its number.
    pub fn devices(&self, from: u32, devices_max: usize) -> Result<Vec<(u32, Device, Placement)>, Error> {
        let txn = self.0.begin_read()?;
        let devices = device::read_some(&txn, from, devices_max)?;
        let Some((last, _)) = devices.last() else { return Ok(Vec::new()) };
        let mut placements = placement::read_some(&txn, from..=*last)?.into_iter().peekable();
        let placed = devices.into_iter().map(|(no, device)| {
            let own = placements.next_if(|(placed, _)| *placed == no);
            (no, device, own.map_or_else(Placement::default, |(_, placement)| placement))
        });
        Ok(placed.collect())
    }

    /// Which devices were at a metering point; `None` where no load has spoken of it since that is kept.
    pub fn tenures(&self, mpxn: Mpxn) -> Result<Option<Tenures>, Error> {
        tenure::read_one(&self.0.begin_read()?, mpxn)
    }

    /// The last time that a device came to another operator; `None` where it never did after alerts of it were counted.
    pub fn handover(&self, device: Eui64) -> Result<Option<Handover>, Error> {
        handover::read_one(&self.0.begin_read()?, device)
    }

    /// Entries of the audit log from a number on, at most so many.
    pub fn audit(&self, from: u64, entries_max: usize) -> Result<Vec<AuditEntry>, Error> {
        audit::read(&self.0.begin_read()?, from, entries_max)
    }

    /// The answer to a question over the past, as it was kept.
    pub fn answer(&self, number: u64) -> Result<Option<String>, Error> {
        question::answer(&self.0.begin_read()?, number)
    }

    /// Reads the values of every table from a place on and returns what is damaged. It ends early, at another place, once
    /// `go_on` is false.
    pub fn examine(&self, place: &mut Place, go_on: &mut dyn FnMut() -> bool) -> Result<Vec<Damage>, Error> {
        damage::examine(&self.0.begin_read()?, place, go_on)
    }

    /// The EUI-64 of a device by its number; 0 where there is none.
    pub fn eui(&self, device_no: u32) -> u64 {
        self.0.euis().get(device_no as usize).copied().unwrap_or(0)
    }

    /// The bytes of a plugin.
    pub fn plugin(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        plugin::component(&self.0.begin_read()?, digest)
    }
}
