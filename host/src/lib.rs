//! Weir: runs sandboxed rule plugins over a stream of smart-meter alerts and keeps exact books of what they held back.
//!
//! ```text
//!  StreamAlerts ──> bounded queue ──(full: stop reading; gRPC flow control pushes back)
//!    collect   a group of batches, up to limits of count and time
//!    admit     shape and time checks, dedup against the device's window, join with the inventory
//!    evaluate  rules in order over columns; a suppressed alert is not shown to later rules
//!    commit    log entry + producers + a slice of device state and of the books: ONE transaction
//!    act       acknowledge producers, publish counts: only now
//! ```
//!
//! The log is the truth; device state and the books are a fold of it, written a slice at a time. After a crash the
//! tail of the log is folded again over what was written last.
//!
//! Floors, upper ones know lower ones and never the reverse: `cli grpc metrics page web` > `pipeline rehearsal whatif` >
//! `evaluate registry books listing comparison migration reconciliation voltage` > `plugin store intake admit audit` >
//! `domain config near`. One module owns each foreign technology: `plugin` wasmtime, `store` redb, `grpc`, `cli` and `web`
//! tonic, `page` maud, `web` axum.

pub mod admit;
pub mod audit;
pub mod books;
pub mod cli;
pub mod comparison;
pub mod config;
pub mod domain;
pub mod evaluate;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod grpc;
pub mod intake;
pub mod listing;
pub mod metrics;
pub mod migration;
mod near;
mod page;
pub mod pipeline;
pub mod plugin;
pub mod reconciliation;
pub mod registry;
pub mod rehearsal;
pub mod store;
pub mod voltage;
mod web;
pub mod whatif;
