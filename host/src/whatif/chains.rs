//! The chain as it was at a position, with a candidate in its place.
//!
//! It must not know groups. Invariant: what stands before both the candidate and the rule it replaces is taken from the
//! record; everything from there on is called.

use std::{collections::HashMap, sync::Arc};

use super::{Question, Variant, readings::Readings};
use crate::{
    domain::{Digest, Metering, Mode, ModelId, Position, Revision, Rule, RuleRevision, SettingsNo, owner_of_rule},
    evaluate::{Chain, ChainRule, ChainSettings, Filter, SettingsByNo},
    registry::{MissingPlugin, Registry, Sources, Standing, chain_rule},
};

/// The revision a candidate judges under, and whose state it goes on with. No rule ever has it.
pub const CANDIDATE: Revision = Revision(u32::MAX);

/// What the fold needs at hand, as of one moment.
pub struct Ground {
    /// Rules and plugins.
    pub registry: Registry,
    /// Plugins ready to be called, the candidates' among them.
    pub sources: Sources,
    /// The settings that groups were judged under.
    pub settings: Arc<SettingsByNo>,
    /// Names of models.
    pub models: Arc<HashMap<ModelId, String>>,
    /// What meters measured, where the question asks for it.
    pub readings: Option<Readings>,
}

/// A rule with its place in the chain.
type Placed = ((u32, String), ChainRule);

/// How one lane of the fold has the candidate's place filled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stand<'a> {
    /// With what the log has there.
    AsRecorded,
    /// With a variant.
    Candidate(&'a Variant, Digest, Undecided),
}

/// What becomes of alerts that readings do not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecided {
    /// No reading is asked.
    NotAsked,
    /// They are held back, or let pass, in this variant's place.
    Set {
        /// Index of the variant.
        variant: usize,
        /// Held back.
        held: bool,
    },
}

/// The rule that is replaced, as it stood.
pub(super) struct Replaced {
    /// Its revision.
    pub(super) revision: Revision,
    /// What the host had stopped it as; `None` where it was not the host.
    pub(super) stopped: Option<Mode>,
    /// Which alerts it saw.
    pub(super) filter: Filter,
}

/// The rules while they do not change.
pub(super) struct Stretch {
    /// Rules whose decisions are taken from the record.
    pub(super) before: Vec<Revision>,
    /// Whether one of them keeps state.
    pub(super) stateful_before: bool,
    /// The rule that is replaced, if it stood.
    pub(super) replaced: Option<Replaced>,
    /// The settings of then.
    settings: Arc<ChainSettings>,
    /// Active rules that are called, with the place of each.
    others: Vec<Placed>,
    /// The replaced rule as it judged, with its place, where it did.
    recorded: Option<Placed>,
}

impl Ground {
    /// The rules at a position, as a question cuts them, under the settings of then.
    pub(super) fn stretch(
        &self,
        question: &Question,
        position: Position,
        settings: SettingsNo,
    ) -> Result<Stretch, MissingPlugin> {
        let settings = Arc::clone(self.settings.of(settings));
        let standings = self.registry.rules_at(position);
        let named = standings.iter().find(|standing| standing.revision.name == question.rule);
        let judged = named.filter(|standing| standing.rule.mode == Mode::Active);
        let own = (question.order, question.rule.as_str());
        let theirs = judged.map(place);
        // As recorded, what matters is where the rule stood, or would have.
        let from = if question.as_recorded { theirs.unwrap_or(own) } else { theirs.map_or(own, |at| at.min(own)) };

        let active = standings.iter().filter(|standing| standing.rule.mode == Mode::Active);
        // Rules of other operators never see the alerts of one that is asked about alone, and are not named to it where
        // their plugin is missing.
        let own = owner_of_rule(&question.rule);
        let sees = |name: &str| !question.confined || [own, None].contains(&owner_of_rule(name));
        let rest = active.filter(|standing| standing.revision.name != question.rule && sees(&standing.revision.name));
        let (mut before, mut stateful_before, mut others) = (Vec::new(), false, Vec::new());
        for standing in rest {
            let at = place(standing);
            if at < from {
                before.push(standing.revision.revision);
                let plugin = self.sources.get(&standing.rule.plugin);
                stateful_before |= plugin.is_none_or(|source| source.info().state_words > 0);
            } else {
                others.push(((at.0, at.1.to_owned()), chain_rule(*standing, &self.sources, &settings)?));
            }
        }
        let recorded = judged.map(|standing| {
            let at = place(standing);
            Ok(((at.0, at.1.to_owned()), chain_rule(*standing, &self.sources, &settings)?))
        });
        let replaced = named.map(|standing| Replaced {
            revision: standing.revision.revision,
            stopped: Some(standing.rule.mode).filter(|mode| matches!(mode, Mode::Quarantined | Mode::SetAside)),
            filter: Filter::new(&standing.rule.scope),
        });
        Ok(Stretch { before, stateful_before, replaced, others, recorded: recorded.transpose()?, settings })
    }

    /// The rules that are called, with the candidate's place filled, and the revision in it.
    pub(super) fn chain(
        &self,
        question: &Question,
        stretch: &Stretch,
        stand: Stand<'_>,
    ) -> Result<(Chain, Option<Revision>), MissingPlugin> {
        let mut rules = stretch.others.clone();
        let candidate = match stand {
            Stand::AsRecorded => stretch.recorded.clone(),
            Stand::Candidate(variant, digest, _) => self.candidate(question, stretch, variant, digest)?,
        };
        let revision = candidate.as_ref().map(|(_, rule)| rule.revision);
        rules.extend(candidate);
        rules.sort_by(|(a, _), (b, _)| a.cmp(b));
        let rules = rules.into_iter().map(|(_, rule)| rule).collect();
        Ok((Chain { rules, settings: Arc::clone(&stretch.settings) }, revision))
    }

    fn candidate(
        &self,
        question: &Question,
        stretch: &Stretch,
        variant: &Variant,
        plugin: Digest,
    ) -> Result<Option<Placed>, MissingPlugin> {
        let (parameters, scope) = (variant.parameters.clone(), question.scope.scope());
        let standing = stretch.replaced.as_ref().and_then(|replaced| self.registry.revision(replaced.revision));
        let stood = standing.and_then(|entry| entry.rule.as_ref());
        let is_same = |rule: &&Rule| {
            let same_parameters = || json(&rule.parameters).is_some_and(|stood| Some(stood) == json(&parameters));
            (rule.plugin, &rule.scope, rule.order) == (plugin, &scope, question.order) && same_parameters()
        };
        let same = stood.filter(is_same);
        // What the host stopped, it would have stopped.
        if same.is_some_and(|rule| matches!(rule.mode, Mode::Quarantined | Mode::SetAside)) {
            return Ok(None);
        }
        let revision = match (same, standing) {
            (Some(rule), Some(entry)) if rule.mode == Mode::Active => entry.revision,
            _ => CANDIDATE,
        };
        let order = question.order;
        let rule = Rule {
            plugin,
            parameters,
            scope,
            mode: Mode::Active,
            order,
            namespace: CANDIDATE,
            guard: None,
            until_ms: None,
        };
        let entry = RuleRevision {
            revision,
            since: Position(0),
            made_ms: 0,
            name: question.rule.clone(),
            rule: None,
            who: String::new(),
            why: String::new(),
        };
        let standing = Standing { revision: &entry, rule: &rule };
        let mut placed = chain_rule(standing, &self.sources, &stretch.settings)?;
        if revision == CANDIDATE {
            let judge = placed.judge;
            placed.judge = Arc::new(move |columns, state, _| judge(columns, state, Metering::Trial));
        }
        Ok(Some(((order, question.rule.clone()), placed)))
    }

    /// Whether a rule that keeps state, of those that are called, is older than a position.
    pub(super) fn needs_state_from_before(&self, stretch: &Stretch, from: Position) -> bool {
        let called = stretch.others.iter().chain(&stretch.recorded);
        called.filter_map(|(_, rule)| rule.namespace).any(|(namespace, ..)| {
            let since = self.registry.revision(namespace).map_or(Position(0), |entry| entry.since);
            since < from
        })
    }
}

fn place<'a>(standing: &Standing<'a>) -> (u32, &'a str) {
    (standing.rule.order, standing.revision.name.as_str())
}

fn json(text: &str) -> Option<serde_json::Value> {
    serde_json::from_str(text).ok()
}
