//! How far a start has come, for whoever waits for it.

use std::fmt;

/// What a host that starts is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// The store is opened.
    #[default]
    Opening,
    /// Plugins are loaded; those that were not kept as machine code are compiled, which takes its time.
    Loading {
        /// Loaded so far.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// The end of the log is folded.
    Folding {
        /// Rows so far.
        rows: u64,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening => f.write_str("the store is being opened"),
            Self::Loading { done, of } => write!(f, "{done} of {of} plugins are loaded"),
            Self::Folding { rows } => write!(f, "the end of the log is being folded, {rows} rows so far"),
        }
    }
}
