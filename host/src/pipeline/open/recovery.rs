//! The tail of the log folded over what was written last.
//!
//! It must not know how a store is opened. Invariant: what comes out is what the log says, or an error says where it is not.

use tokio::sync::watch;

use crate::{
    admit::{Horizon, KEPT_MS},
    books::Ledger,
    domain::{Position, Revision, SettingsNo},
    evaluate::{Chain, Divergence, Replay, SettingsByNo, State},
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
    pub(super) settings: &'a SettingsByNo,
    /// Who waits for it.
    pub(super) progress: &'a watch::Sender<Progress>,
    pub(super) copies_rows_max: u64,
    /// Rules the log is taken for from the start.
    pub(super) obeyed: Vec<Revision>,
}

/// Memory as it was.
pub(super) struct Recovered {
    pub(super) state: State,
    pub(super) horizon: Horizon,
    pub(super) ledger: Ledger,
    /// What rules did not do again.
    pub(super) diverged: Vec<Divergence>,
}

impl Recovery<'_> {
    /// Folds the tail, again and again while a rule diverges: each time it is left out and the log is taken for it, and for
    /// other revisions that go on with its state, which is not to be had any more.
    pub(super) fn run(&self) -> Result<Recovered, StartError> {
        let mut diverged: Vec<Divergence> = Vec::new();
        let mut obeyed = self.obeyed.clone();
        loop {
            match self.fold(obeyed.clone()) {
                Ok((state, horizon, ledger)) => return Ok(Recovered { state, horizon, ledger, diverged }),
                Err(StartError::Diverged(divergence)) if divergence.rule != Revision::NONE => {
                    tracing::error!(%divergence, "a rule does not do again what it did; the log is taken for it");
                    obeyed.push(divergence.rule);
                    obeyed.extend(self.registry.sharing_state(divergence.rule));
                    diverged.push(divergence);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn fold(&self, obeyed: Vec<Revision>) -> Result<(State, Horizon, Ledger), StartError> {
        let Snapshot { replay_from, position, .. } = *self.snapshot;
        let remembers_from = self.remembers_from()?;
        let mut replay = Replay { state: self.pages()?, obeyed, remembers_from, ..Replay::default() };
        let mut horizon = Horizon::new(remembers_from, self.copies_rows_max);
        for group in self.reader.groups(remembers_from)? {
            let group = group?;
            if group.first >= replay_from {
                break;
            }
            replay.remember(&group);
            horizon.note(group.first, group.judged_ms);
        }
        let mut ledger = Ledger::new(replay_from);
        let mut turns = self.registry.turning_points().into_iter().filter(|turn| *turn > replay_from).peekable();
        let mut settings = SettingsNo::UNKNOWN;
        let mut chain = self.chain_at(replay_from, settings)?;
        let mut rows: u64 = 0;
        for group in self.reader.groups(replay_from)? {
            let group = group?;
            let mut is_other = settings != group.settings;
            while turns.next_if(|turn| *turn <= group.first).is_some() {
                is_other = true;
            }
            if is_other {
                settings = group.settings;
                chain = self.chain_at(group.first, settings)?;
            }
            for hour in ledger.missing(&group) {
                ledger.restore(hour, self.reader.hour(hour)?);
            }
            replay.fold(&chain, &group)?;
            horizon.note(group.first, group.judged_ms);
            ledger.add(&group);
            rows += group.rows.len() as u64;
            self.progress.send_replace(Progress::Folding { rows });
        }
        ledger.go_on_at(position);
        tracing::info!(rows, from = replay_from.0, to = position.0, "recovered: the log's tail is folded");
        Ok((replay.state, horizon, ledger))
    }

    /// From where on messages are needed to tell the copies of the tail, and of what comes after it.
    fn remembers_from(&self) -> Result<Position, StartError> {
        let Snapshot { replay_from, position, .. } = *self.snapshot;
        let last = Position(position.0.saturating_sub(1));
        let Some(group) = self.reader.groups(replay_from.min(last))?.next().transpose()? else { return Ok(position) };
        let oldest = self.reader.heads(Position(0))?.next().transpose()?.map_or(position, |head| head.first);
        if let Some(from) = group.remembered_from {
            return Ok(from.max(oldest));
        }
        // It was told by counters alone: what would be remembered now is from here on.
        let from = Position(position.0.saturating_sub(self.copies_rows_max)).max(oldest);
        for head in self.reader.heads(from)? {
            let head = head?;
            if head.judged_ms >= group.judged_ms.saturating_sub(KEPT_MS) {
                return Ok(head.first);
            }
        }
        Ok(position)
    }

    fn chain_at(&self, position: Position, settings: SettingsNo) -> Result<Chain, MissingPlugin> {
        self.registry.chain_at(position, self.sources, self.settings.of(settings))
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
