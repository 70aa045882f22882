//! Where a sending stands, so that one that was interrupted can be gone on with: the server keeps it with each batch.
//!
//! It must not know how alerts are read or sent. Invariant: two files have the same bookmark only if they begin with the
//! same alerts, and with lines that cannot be read at the same places.

use prost::Message;
use sha2::{Digest, Sha256};
use weir_proto::v1;

/// How a bookmark is written.
const VERSION: u8 = 1;
const DIGEST_BYTES: usize = 16;
const BYTES: usize = 1 + 8 + DIGEST_BYTES;

/// How many items of a file were taken, and what they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bookmark {
    /// Alerts, and lines that could not be read.
    pub(super) items: u64,
    digest: [u8; DIGEST_BYTES],
}

impl Bookmark {
    /// As a server keeps it; `None` where it is none of ours.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; BYTES] = bytes.try_into().ok()?;
        let (items, digest) = bytes[1..].split_at(8);
        let bookmark = Self { items: u64::from_be_bytes(items.try_into().ok()?), digest: digest.try_into().ok()? };
        (bytes[0] == VERSION).then_some(bookmark)
    }

    /// For a server to keep.
    pub(super) fn bytes(&self) -> Vec<u8> {
        [&[VERSION][..], &self.items.to_be_bytes(), &self.digest].concat()
    }
}

/// A bookmark that moves along while a file is read.
#[derive(Debug, Default)]
pub(super) struct Moving {
    items: u64,
    digest: Sha256,
    encoded: Vec<u8>,
}

impl Moving {
    /// Passes an alert, or a line that could not be read.
    pub(super) fn pass(&mut self, alert: Option<&v1::Alert>) {
        self.items += 1;
        self.encoded.clear();
        if let Some(alert) = alert {
            // A vector has room for all that there is.
            let _ = alert.encode_length_delimited(&mut self.encoded);
        } else {
            // No alert is of length 0: it has a device.
            self.encoded.push(0);
        }
        self.digest.update(&self.encoded);
    }

    /// Items that were passed.
    pub(super) fn items(&self) -> u64 {
        self.items
    }

    /// Where it stands.
    pub(super) fn here(&self) -> Bookmark {
        let digest = self.digest.clone().finalize();
        let mut short = [0; DIGEST_BYTES];
        short.copy_from_slice(&digest[..DIGEST_BYTES]);
        Bookmark { items: self.items, digest: short }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(devices: &[u64]) -> Bookmark {
        let mut moving = Moving::default();
        for device_id in devices {
            let alert = v1::Alert { device_id: *device_id, ..v1::Alert::default() };
            moving.pass(Some(&alert).filter(|alert| alert.device_id > 0));
        }
        moving.here()
    }

    #[test]
    fn it_tells_what_was_passed_and_is_read_as_it_was_written() {
        assert_eq!(after(&[1, 0, 2]), after(&[1, 0, 2]));
        for other in [&[1, 2, 0][..], &[1, 2], &[1, 0, 3], &[]] {
            assert_ne!(after(&[1, 0, 2]), after(other), "{other:?}");
        }
        let bookmark = after(&[1, 0, 2]);
        assert_eq!((bookmark.items, Bookmark::read(&bookmark.bytes())), (3, Some(bookmark)));
        let mut later = bookmark.bytes();
        later[0] += 1;
        assert_eq!((Bookmark::read(&later), Bookmark::read(b"")), (None, None));
    }
}
