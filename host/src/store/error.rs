//! What can go wrong with the store, by what the caller can do about it.
//!
//! It must not know what the stored values mean. Invariant: a full disk is always `Full`, wherever it showed.

use std::{fmt, io};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk or the quota is full, or the file may not grow. Nothing more is written until the store is opened
    /// again.
    #[error("no room on the store's disk ({0}): free some space there, or lower store.log_bytes_max")]
    Full(#[source] io::Error),
    /// An earlier commit or read failed, so it is not known what the disk holds.
    #[error("an earlier access to the store's file failed, nothing is written any more: restart to see what it holds")]
    Poisoned,
    /// The effects contradict what is stored. This is a fault of the program; nothing was written.
    #[error("effects refused: {0}")]
    Effects(String),
    /// A setting allows no more of something. Nothing was written.
    #[error("{setting} ({max}) is reached")]
    Over {
        /// The setting.
        setting: &'static str,
        /// Its value.
        max: u64,
    },
    /// A stored value cannot be read.
    #[error("the store is damaged at table {table}, key {key}: {what}; restore a copy of the file")]
    Corrupt {
        /// Name of the table.
        table: &'static str,
        /// The key, as text.
        key: String,
        /// What is wrong with the value.
        what: &'static str,
    },
    /// The file is damaged, and no value of a table says where.
    #[error("the store's file is damaged: {0}; restore a copy of it")]
    Damaged(String),
    /// Another version of the program wrote the file.
    #[error("the store has format {found}, this program reads format {wanted}: use the version that wrote it")]
    Format {
        /// The file's format.
        found: u64,
        /// Ours.
        wanted: u64,
    },
    /// Another process has the file open.
    #[error("another process has the store open: stop it first, or choose another data folder")]
    Locked,
    /// The store was closed while a reader was still asking.
    #[error("the store is closed")]
    Closed,
    /// The disk failed, or the file is not a store.
    #[error("the store's file: {0}")]
    Io(#[source] io::Error),
    /// The database under the store failed.
    #[error("the store's database: {0}")]
    Redb(#[source] Box<redb::Error>),
}

impl Error {
    /// True if the file is not as it was written.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Damaged(_))
    }

    /// A value of `table` that cannot be read.
    pub(super) fn corrupt(table: &'static str, key: impl fmt::Display, Defect(what): Defect) -> Self {
        Self::Corrupt { table, key: key.to_string(), what }
    }
}

/// What is wrong with the bytes of one value. Whoever knows the table and the key makes an [`Error`] of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Defect(pub(super) &'static str);

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(error),
            // The file names a page that it does not have, or is no store.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Self::Damaged(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

impl From<redb::Error> for Error {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => error.into(),
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Locked,
            redb::Error::DatabaseClosed => Self::Closed,
            // Nobody else makes or changes tables.
            redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::TypeDefinitionChanged { .. } => Self::Damaged(error.to_string()),
            redb::Error::PreviousIo => Self::Poisoned,
            other => Self::Redb(Box::new(other)),
        }
    }
}

/// The database has an error type for each operation; all of them fold into its general one.
macro_rules! through_redb_error {
    ($($operation:ty),*) => {
        $(impl From<$operation> for Error {
            fn from(error: $operation) -> Self {
                redb::Error::from(error).into()
            }
        })*
    };
}

through_redb_error!(
    redb::CommitError,
    redb::DatabaseError,
    redb::SetDurabilityError,
    redb::StorageError,
    redb::TableError,
    redb::TransactionError
);

/// Something that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Name of the table.
    pub table: &'static str,
    /// The key, as text.
    pub key: String,
    /// What is wrong there.
    pub what: &'static str,
    /// The key as it is stored, where there is a value to make again or to leave out.
    pub(super) stored_key: Option<Vec<u8>>,
}

impl From<Damage> for Error {
    fn from(Damage { table, key, what, .. }: Damage) -> Self {
        Self::Corrupt { table, key, what }
    }
}
