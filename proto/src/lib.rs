//! The `weir.v1` protocol: messages, client and server stubs as generated from `weir/v1/*.proto`.
//!
//! It must not know what a message means: checks and conversions belong to whoever receives one.
//! Invariant: nothing in here is written by hand but this file, the [`codec`] and the windows, which know no message.

pub mod codec;
mod windows;

pub use windows::Windows;

/// Version 1 of the protocol.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("weir.v1");

    /// Every message and service, for reflection and for tests that walk them.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weir.bin"));
}
