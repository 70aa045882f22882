//! Cursors: how far somebody has come with forwarded alerts.
//!
//! It must not know how alerts are given out. Invariant: a cursor is its holder's alone, so its name is unique beside the
//! name of who holds it.

use super::{Millis, Position};

/// Whose cursor, and which.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CursorKey {
    /// Name of the identity that holds it; empty where nobody has to say who they are.
    pub holder: String,
    /// Its own name.
    pub name: String,
}

/// How far the holder of a cursor has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Which.
    pub key: CursorKey,
    /// Everything before is acknowledged.
    pub position: Position,
    /// When it was made.
    pub made_ms: Millis,
    /// When it was last moved.
    pub advanced_ms: Millis,
}
