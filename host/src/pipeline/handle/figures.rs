//! What may be known of the host by whoever watches over it: figures, without a name of any client or device.
//!
//! It must not know how they are written down. Invariant: asking holds up neither the fold nor the committer for longer
//! than copying takes.

use std::time::Duration;

use super::{Handle, Refusal, Status};
use crate::{
    domain::{Mode, PluginInfo, Position},
    pipeline::{commit::free_bytes, figures::Figures},
    plugin::Confinement,
};

/// The host at one moment.
#[derive(Debug, Clone)]
pub struct Watched {
    /// What was counted.
    pub figures: Figures,
    /// The rules that there are, and their modes.
    pub rules: Vec<(String, Mode)>,
    /// Plugins that are kept.
    pub plugins: usize,
    /// Whether alerts are taken.
    pub status: Status,
    /// The position that counts are exact as of.
    pub position: Position,
    /// Commands that wait for the fold, batches nearly all of them.
    pub waiting: usize,
    /// Streams of forwarded alerts.
    pub subscribers: usize,
    /// Cursors, whoever holds them.
    pub cursors: usize,
    /// Log positions behind the one of them that is furthest behind.
    pub cursors_behind_max: u64,
    /// Processes that compile a plugin.
    pub compiling: usize,
    /// What confines them, where it is known.
    pub confinement: Option<Confinement>,
    /// Free space where the store is, in bytes; `None` where it is no file.
    pub free_bytes: Option<u64>,
    /// Readings that are stored.
    pub readings: u64,
    /// What their file takes of the disk, in bytes.
    pub readings_file_bytes: u64,
    /// Whether they are taken.
    pub are_readings_taken: bool,
}

impl Handle {
    /// The host as it is now.
    pub fn watched(&self) -> Watched {
        let registry = self.shared.registry.read();
        let rules = registry.rules().into_iter().map(|standing| (standing.revision.name.clone(), standing.rule.mode));
        let (rules, plugins) = (rules.collect(), registry.plugins().len());
        drop(registry);
        let end = *self.shared.log_end.borrow();
        let cursors = self.shared.cursors.read();
        let (cursors, last) = (cursors.count(), cursors.last().unwrap_or(end));
        Watched {
            figures: self.shared.figures.read().clone(),
            rules,
            plugins,
            status: self.shared.status.borrow().clone(),
            position: self.position(),
            waiting: self.queue.max_capacity() - self.queue.capacity(),
            subscribers: self.shared.seats.count(),
            cursors,
            cursors_behind_max: end.0.saturating_sub(last.0),
            compiling: self.sandbox.compiling(),
            confinement: self.sandbox.confinement().cloned(),
            free_bytes: self.folder.as_deref().and_then(free_bytes),
            readings: self.readings().stored(),
            readings_file_bytes: self.readings().file_bytes(),
            are_readings_taken: self.readings_problem().borrow().is_empty(),
        }
    }

    /// Takes an upload as [`add_plugin`](Self::add_plugin) does, and counts what became of it.
    pub async fn upload_plugin(&self, bytes: Vec<u8>, signature: &[u8]) -> Result<(PluginInfo, Duration), Refusal> {
        let done = self.add_plugin(bytes, signature).await;
        let result = match &done {
            Ok((_, Duration::ZERO)) => "known",
            Ok(_) => "taken",
            Err(Refusal::Exhausted(_) | Refusal::Busy(_)) => "exhausted",
            Err(Refusal::Internal(_) | Refusal::Unavailable(_)) => "failed",
            Err(_) => "refused",
        };
        *self.shared.figures.write().uploads.entry(result).or_default() += 1;
        done
    }
}
