//! The tail of the log folded over what was written last.
//!
//! It must not know how a store is opened. Invariant: what comes out is what the log says, or an error says where it is not.

use tokio::sync::watch;

use crate::{
    books::Ledger,
    domain::{Position, Revision},
    evaluate::{Chain, CodeSet, Divergence, Replay, State},
    pipeline::{open::StartError, progress::Progress},
    registry::{MissingPlugin, Registry, Sources},
    store::{Reader, Snapshot},
};

/// What recovery needs at hand.
pub(super) struct Recovery<'a> {
    pub(super) reader: &'a Reader,
    pub(super) snapshot: &'a Snapshot,
    pub(super) registry: &'a Registry,
    pub(super) sources: &'a Sources,
    pub(super) protected: CodeSet,
    /// Who waits for it.
    pub(super) progress: &'a watch::Sender<Progress>,
    pub(super) codes_per_device_max: usize,
    /// Rules the log is taken for from the start.
    pub(super) obeyed: Vec<Revision>,
}

/// The state, the books, and where rules did not do again what they did.
pub(super) type Recovered = (State, Ledger, Vec<Divergence>);

impl Recovery<'_> {
    /// Folds the tail, again and again while a rule diverges: each time it is left out and the log is taken for it.
    pub(super) fn run(&self) -> Result<Recovered, StartError> {
        let mut diverged: Vec<Divergence> = Vec::new();
        loop {
            let blamed = diverged.iter().map(|divergence| divergence.rule);
            match self.fold(self.obeyed.iter().copied().chain(blamed).collect()) {
                Ok((state, ledger)) => return Ok((state, ledger, diverged)),
                Err(StartError::Diverged(divergence)) if divergence.rule != Revision::NONE => {
                    tracing::error!(%divergence, "a rule does not do again what it did; the log is taken for it");
                    diverged.push(divergence);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn fold(&self, obeyed: Vec<Revision>) -> Result<(State, Ledger), StartError> {
        let Snapshot { replay_from, position, .. } = *self.snapshot;
        let mut replay = Replay { state: self.pages()?, obeyed, ..Replay::default() };
        let mut ledger = Ledger::new(replay_from);
        let mut turns = self.registry.turning_points().into_iter().filter(|turn| *turn > replay_from).peekable();
        let mut chain = self.chain_at(replay_from)?;
        let mut rows: u64 = 0;
        for group in self.reader.groups(replay_from)? {
            let group = group?;
            while turns.next_if(|turn| *turn <= group.first).is_some() {
                chain = self.chain_at(group.first)?;
            }
            for hour in ledger.missing(&group) {
                ledger.restore(hour, self.reader.hour(hour)?);
            }
            replay.fold(&chain, &group)?;
            ledger.add(&group);
            rows += group.rows.len() as u64;
            self.progress.send_replace(Progress::Folding { rows });
        }
        ledger.go_on_at(position);
        tracing::info!(rows, from = replay_from.0, to = position.0, "recovered: the log's tail is folded");
        Ok((replay.state, ledger))
    }

    fn chain_at(&self, position: Position) -> Result<Chain, MissingPlugin> {
        self.registry.chain_at(position, self.sources, &self.protected, self.codes_per_device_max)
    }

    fn pages(&self) -> Result<State, StartError> {
        let mut state = State::default();
        let shape = |namespace| {
            let info = self.registry.namespace_plugin(namespace)?;
            Some((info.state_key, info.state_words))
        };
        for page in self.reader.pages()? {
            state.restore(&page?, shape).map_err(StartError::Page)?;
        }
        Ok(state)
    }
}
