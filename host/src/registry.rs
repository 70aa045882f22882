//! Plugins and rules by name: what the chain is, and was at any position.

use crate::domain::{Mode, PluginInfo, Position, Revision, Scope};

/// A rule as its users see it.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleView {
    /// Name.
    pub name: String,
    /// Its current revision.
    pub revision: Revision,
    /// The plugin.
    pub plugin: PluginInfo,
    /// A JSON object.
    pub parameters: String,
    /// Which alerts it sees.
    pub scope: Scope,
    /// Whether it judges.
    pub mode: Mode,
    /// Place in the chain.
    pub order: u32,
    /// It holds from here on.
    pub since: Position,
    /// Failed calls since the host started.
    pub fault_count: u64,
    /// The last failure.
    pub last_fault: String,
}
