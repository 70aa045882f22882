//! Plugins and rules by name: what the chain is, and what it was at any position of the log.
//!
//! It must not know the store or who asks. Invariant: revisions are only ever appended, and the chain at a position
//! follows from those that hold from there or before. A look-up of one rule takes no longer for the revisions of others.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use crate::{
    domain::{
        Digest, FaultKind, Guard, GuestRoom, Judge, Millis, Mode, OperatorId, PluginInfo, Position, Revision,
        Revocation, Rule, RuleRevision, Scope, SigningKey, listed, owner_of_rule,
    },
    evaluate::{Chain, ChainRule, ChainSettings, Filter},
    near::{did_you_mean, nearest},
    plugin::Plugin,
};

/// A rule as its users see it.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleView {
    /// Name.
    pub name: String,
    /// Its current revision.
    pub revision: Revision,
    /// The plugin.
    pub plugin: Arc<PluginInfo>,
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
    /// What it must keep to, where it was promoted.
    pub guard: Option<Guard>,
    /// When it ends.
    pub until_ms: Option<Millis>,
    /// Failed calls since the rule was first set.
    pub fault_count: u64,
    /// The last failure.
    pub last_fault: String,
    /// Its kind, which says nothing of the alerts in it.
    pub fault_kind: Option<FaultKind>,
    /// Alerts that passed it since the host started because there was no time to call it.
    pub passed_over: u64,
}

/// A change to a rule, as its users see it.
#[derive(Debug, Clone, PartialEq)]
pub struct RevisionView {
    /// Its number.
    pub revision: Revision,
    /// Name of the rule.
    pub name: String,
    /// It holds from here on.
    pub since: Position,
    /// When it was made.
    pub made_ms: Millis,
    /// Who made it.
    pub who: String,
    /// Why.
    pub why: String,
    /// The rule from then on; `None` where it was removed.
    pub rule: Option<RuleView>,
}

/// Where a rule's judge comes from.
#[derive(Clone)]
pub enum Source {
    /// A sandboxed component.
    Component(Plugin),
    /// Native code: what tests compare the sandbox with. The function makes a judge of parameters.
    Native(Box<PluginInfo>, Arc<dyn Fn(&str) -> Judge + Send + Sync>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.info().name).finish()
    }
}

impl Source {
    /// What it says of itself.
    pub fn info(&self) -> &PluginInfo {
        match self {
            Self::Component(plugin) => plugin.info(),
            Self::Native(info, _) => info,
        }
    }

    /// A judge that tells what fuel its calls take; native code takes none. `recorded` is the room that a guest had when the
    /// log was written: it is given no other where the log is folded again.
    pub fn judge_metered(
        &self,
        parameters: &str,
        (owner, recorded): (OperatorId, GuestRoom),
        took: impl Fn(u64) + Send + Sync + 'static,
    ) -> Judge {
        match self {
            Self::Component(plugin) => plugin.judge_metered(parameters, (owner, recorded), took),
            Self::Native(_, make) => make(parameters),
        }
    }

    fn judge(&self, parameters: &str, owner: OperatorId, recorded: GuestRoom) -> Judge {
        match self {
            Self::Component(plugin) => plugin.judge(parameters, owner, recorded),
            Self::Native(_, make) => make(parameters),
        }
    }
}

/// Plugins ready to be called, by digest.
pub type Sources = HashMap<Digest, Source>;

/// A rule of a plugin that is not at hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule}: its plugin {digest} is not in the store")]
pub struct MissingPlugin {
    /// The rule.
    pub rule: String,
    /// The plugin.
    pub digest: Digest,
}

/// One rule as it stood at a position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing<'a> {
    /// Its revision, with its name.
    pub revision: &'a RuleRevision,
    /// The rule.
    pub rule: &'a Rule,
}

/// All plugins and all revisions. A handle: cloning it copies nothing, and a change to one clone is not seen by others.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Entries>);

/// What is shared by clones of a registry. A change copies pointers to entries, never an entry.
#[derive(Debug, Clone, Default)]
struct Entries {
    plugins: BTreeMap<Digest, Arc<PluginInfo>>,
    revoked_keys: BTreeMap<SigningKey, Revocation>,
    /// In the order of their numbers.
    revisions: Vec<Arc<RuleRevision>>,
    /// The revisions of each name that a rule ever had, oldest first.
    by_name: BTreeMap<Arc<str>, Arc<Vec<Revision>>>,
    /// How many revisions the rules of each owner have had.
    by_owner: BTreeMap<OperatorId, usize>,
    /// The rules that stand now, by name.
    standing: BTreeMap<Arc<str>, Revision>,
}

impl Registry {
    /// From what a store kept; revisions in order.
    pub fn load(plugins: Vec<PluginInfo>, revisions: Vec<RuleRevision>) -> Self {
        let plugins = plugins.into_iter().map(|info| (info.digest, Arc::new(info))).collect();
        let mut entries = Entries { plugins, ..Entries::default() };
        revisions.into_iter().for_each(|entry| entries.append(entry));
        Self(Arc::new(entries))
    }

    /// The plugins, newest first.
    pub fn plugins(&self) -> Vec<&PluginInfo> {
        let mut plugins: Vec<&PluginInfo> = self.0.plugins.values().map(|info| &**info).collect();
        plugins.sort_by_key(|info| (std::cmp::Reverse(info.uploaded_ms), info.digest));
        plugins
    }

    /// One plugin.
    pub fn plugin(&self, digest: &Digest) -> Option<&PluginInfo> {
        self.0.plugins.get(digest).map(|info| &**info)
    }

    /// One plugin, to be kept without being copied: its schema can be large.
    pub fn shared_plugin(&self, digest: &Digest) -> Option<Arc<PluginInfo>> {
        self.0.plugins.get(digest).cloned()
    }

    /// Returns the plugin that a text means. Text that looks like a digest, or the first 8 digits or more of one, is never
    /// taken for a name, so no upload can take the place of another by what it calls itself. A name means the newest
    /// plugin of that name, the host's before those of operators; `user` restricts names to what a rule of that owner
    /// (the unknown operator stands for the host) may use without anybody naming a digest.
    ///
    /// Plugins that are not `allowed` are treated as absent. An error says why nothing is meant.
    pub fn resolve(
        &self,
        wanted: &str,
        allowed: impl Fn(&PluginInfo) -> bool,
        user: Option<OperatorId>,
    ) -> Result<&PluginInfo, String> {
        let plugins: Vec<&PluginInfo> = self.plugins().into_iter().filter(|info| allowed(info)).collect();
        if Digest::is_meant_by(wanted) {
            let mut found = plugins.iter().filter(|info| info.digest.begins_with(wanted));
            return match (found.next(), found.next()) {
                (Some(one), None) => Ok(one),
                (Some(_), Some(_)) => {
                    Err(format!("more than one plugin's digest begins with {wanted:?}; give more digits"))
                }
                (None, _) => Err(unknown(wanted, &plugins)),
            };
        }
        let named: Vec<&PluginInfo> = plugins.iter().copied().filter(|info| info.name == wanted).collect();
        let usable = |info: &&&PluginInfo| user.is_none_or(|user| info.is_for(user));
        let hosts = |info: &&&PluginInfo| usable(info) && info.is_for(OperatorId::UNKNOWN);
        match named.iter().find(hosts).or_else(|| named.iter().find(usable)) {
            Some(one) => Ok(one),
            None if named.is_empty() => Err(unknown(wanted, &plugins)),
            None => Err(of_others(wanted, &named)),
        }
    }

    /// Keeps a plugin.
    pub fn add_plugin(&mut self, info: PluginInfo) {
        Arc::make_mut(&mut self.0).plugins.insert(info.digest, Arc::new(info));
    }

    /// Forgets a plugin.
    pub fn remove_plugin(&mut self, digest: &Digest) {
        Arc::make_mut(&mut self.0).plugins.remove(digest);
    }

    /// Notes that a key is revoked that plugins were signed with.
    pub fn revoke_key(&mut self, key: SigningKey, revocation: Revocation) {
        Arc::make_mut(&mut self.0).revoked_keys.insert(key, revocation);
    }

    /// Why a key is revoked, if it is.
    pub fn revoked_key(&self, key: &SigningKey) -> Option<&Revocation> {
        self.0.revoked_keys.get(key)
    }

    /// One revision.
    pub fn revision(&self, revision: Revision) -> Option<&RuleRevision> {
        self.0.revision(revision)
    }

    /// The revisions of one rule before a number, newest first.
    pub fn history(&self, name: &str, before: Revision) -> impl Iterator<Item = &RuleRevision> {
        let numbers = self.0.numbers(name);
        let end = numbers.partition_point(|revision| *revision < before);
        numbers[..end].iter().rev().filter_map(|revision| self.revision(*revision))
    }

    /// The numbers of one rule's revisions, oldest first.
    pub fn numbers(&self, name: &str) -> &[Revision] {
        self.0.numbers(name)
    }

    /// Every name that a rule ever had.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.by_name.keys().map(|name| &**name)
    }

    /// How many revisions the rules of an owner have had; the unknown operator is the host itself.
    pub fn revisions_of(&self, owner: OperatorId) -> usize {
        self.0.by_owner.get(&owner).copied().unwrap_or(0)
    }

    /// All revisions in order.
    pub fn revisions(&self) -> impl DoubleEndedIterator<Item = &RuleRevision> {
        self.0.revisions.iter().map(|entry| &**entry)
    }

    /// The number that the next change gets.
    pub fn next_revision(&self) -> Revision {
        self.0.next_revision()
    }

    /// Appends a change. Its number is the next one.
    pub fn append(&mut self, entry: RuleRevision) {
        debug_assert_eq!(entry.revision, self.next_revision(), "revisions are numbered without gaps");
        Arc::make_mut(&mut self.0).append(entry);
    }

    /// The rules at a position, off ones included, in the order they judge.
    pub fn rules_at(&self, position: Position) -> Vec<Standing<'_>> {
        let last = |numbers: &Arc<Vec<Revision>>| {
            let mut newest = numbers.iter().rev().filter_map(|revision| self.revision(*revision));
            newest.find(|entry| entry.since <= position)
        };
        in_order(self.0.by_name.values().filter_map(last))
    }

    /// The rules as they stand now.
    pub fn rules(&self) -> Vec<Standing<'_>> {
        in_order(self.0.standing.values().filter_map(|revision| self.revision(*revision)))
    }

    /// One rule as it stands now.
    pub fn rule(&self, name: &str) -> Option<Standing<'_>> {
        standing(self.revision(*self.0.standing.get(name)?)?)
    }

    /// Every position at which the rules changed, ascending, each once.
    pub fn turning_points(&self) -> Vec<Position> {
        let mut points: Vec<Position> = self.revisions().map(|entry| entry.since).collect();
        points.sort_unstable();
        points.dedup();
        points
    }

    /// How a rule was called before the host stopped it.
    pub fn mode_before_stop(&self, name: &str) -> Mode {
        let modes = self.history(name, Revision(u32::MAX)).filter_map(|entry| Some(entry.rule.as_ref()?.mode));
        modes.into_iter().find(|mode| mode.is_called()).unwrap_or(Mode::Active)
    }

    /// The chain of rules that are called at a position, under the settings of then.
    pub fn chain_at(
        &self,
        position: Position,
        sources: &Sources,
        settings: &Arc<ChainSettings>,
    ) -> Result<Chain, MissingPlugin> {
        let called = self.rules_at(position).into_iter().filter(|standing| standing.rule.mode.is_called());
        let rules = called.map(|standing| chain_rule(standing, sources, settings)).collect::<Result<_, _>>()?;
        Ok(Chain { rules, settings: Arc::clone(settings) })
    }

    /// Whose state a new revision of a rule goes on with: the one before, if the words mean the same; else its own.
    pub fn namespace(&self, name: &str, plugin: &PluginInfo, own: Revision) -> Revision {
        let shape = |info: &PluginInfo| (info.name.clone(), info.state_key, info.state_words, info.state_version);
        self.rule(name)
            .filter(|before| self.plugin(&before.rule.plugin).is_some_and(|info| shape(info) == shape(plugin)))
            .map_or(own, |before| before.rule.namespace)
    }

    /// The namespaces whose state is kept now.
    pub fn live_namespaces(&self) -> Vec<Revision> {
        self.rules().into_iter().map(|standing| standing.rule.namespace).collect()
    }

    /// The other revisions that go on with the state of one, where it keeps any.
    pub fn sharing_state(&self, revision: Revision) -> impl Iterator<Item = Revision> {
        let namespace = self.state_of(revision);
        let others = self.revisions().map(|entry| entry.revision).filter(move |other| *other != revision);
        others.filter(move |other| namespace.is_some() && self.state_of(*other) == namespace)
    }

    /// Whose state a revision goes on with; `None` where it keeps none.
    pub fn state_of(&self, revision: Revision) -> Option<Revision> {
        let rule = self.revision(revision)?.rule.as_ref()?;
        self.plugin(&rule.plugin).filter(|info| info.state_words > 0).map(|_| rule.namespace)
    }

    /// The plugin a namespace's words belong to.
    pub fn namespace_plugin(&self, namespace: Revision) -> Option<&PluginInfo> {
        let rule = self.revision(namespace)?.rule.as_ref()?;
        self.plugin(&rule.plugin)
    }
}

impl Entries {
    fn append(&mut self, entry: RuleRevision) {
        let owner = owner_of_rule(&entry.name).unwrap_or(OperatorId::UNKNOWN);
        *self.by_owner.entry(owner).or_default() += 1;
        let known = self.by_name.get_key_value(entry.name.as_str()).map(|(name, _)| Arc::clone(name));
        let name = known.unwrap_or_else(|| entry.name.as_str().into());
        Arc::make_mut(self.by_name.entry(Arc::clone(&name)).or_default()).push(entry.revision);
        if entry.rule.is_some() {
            self.standing.insert(name, entry.revision);
        } else {
            self.standing.remove(&name);
        }
        self.revisions.push(Arc::new(entry));
    }

    fn revision(&self, revision: Revision) -> Option<&RuleRevision> {
        self.revisions.binary_search_by_key(&revision, |entry| entry.revision).ok().map(|at| &*self.revisions[at])
    }

    fn numbers(&self, name: &str) -> &[Revision] {
        self.by_name.get(name).map_or(&[], |numbers| numbers.as_slice())
    }

    fn next_revision(&self) -> Revision {
        Revision(self.revisions.last().map_or(0, |entry| entry.revision.0) + 1)
    }
}

/// The rule that a revision set; `None` where it removed it.
fn standing(revision: &RuleRevision) -> Option<Standing<'_>> {
    revision.rule.as_ref().map(|rule| Standing { revision, rule })
}

/// The rules that revisions set, in the order they judge.
fn in_order<'a>(revisions: impl Iterator<Item = &'a RuleRevision>) -> Vec<Standing<'a>> {
    let mut rules: Vec<Standing<'a>> = revisions.filter_map(standing).collect();
    rules.sort_by(|a, b| (a.rule.order, &a.revision.name).cmp(&(b.rule.order, &b.revision.name)));
    rules
}

/// A rule as the fold walks it.
pub fn chain_rule(
    standing: Standing<'_>,
    sources: &Sources,
    settings: &ChainSettings,
) -> Result<ChainRule, MissingPlugin> {
    let Standing { revision, rule } = standing;
    let source =
        sources.get(&rule.plugin).ok_or_else(|| MissingPlugin { rule: revision.name.clone(), digest: rule.plugin })?;
    let info = source.info();
    let owner = owner_of_rule(&revision.name).unwrap_or(OperatorId::UNKNOWN);
    Ok(ChainRule {
        revision: revision.revision,
        judge: source.judge(&rule.parameters, owner, settings.kept.room(owner)),
        reasons: u8::try_from(info.reasons.len()).unwrap_or(u8::MAX),
        filter: Filter::new(&rule.scope),
        reads: info.reads,
        shadow: rule.mode == Mode::Shadow,
        owner,
        namespace: (info.state_words > 0).then_some((rule.namespace, info.state_key, info.state_words)),
    })
}

/// Why a text means no plugin.
fn unknown(wanted: &str, plugins: &[&PluginInfo]) -> String {
    let mut names: Vec<&str> = plugins.iter().map(|info| info.name.as_str()).collect();
    let near = did_you_mean(nearest(wanted, names.iter().copied()));
    names.dedup();
    format!("no plugin has the name or digest {wanted:?}; there are: {}{near}", list(&names))
}

/// Why a name does not mean a plugin that only operators have, told to a caller who may see it.
fn of_others(wanted: &str, named: &[&PluginInfo]) -> String {
    let owned = |info: &&PluginInfo| {
        let owners: Vec<String> = info.owners.iter().map(ToString::to_string).collect();
        format!("{} of operator {}", info.digest, listed(&owners))
    };
    let owned: Vec<String> = named.iter().take(LISTED_MAX).map(owned).collect();
    format!(
        "{wanted:?} is a plugin of other operators alone: {}; give the digest to use it all the same, or upload it for \
         the host",
        owned.join(", ")
    )
}

/// Names in an error message.
const LISTED_MAX: usize = 10;

/// Names for an error message: at most ten of them.
fn list(names: &[&str]) -> String {
    match names {
        [] => "none yet".to_owned(),
        few if few.len() <= LISTED_MAX => few.join(", "),
        many => format!("{}, and {} more", many[..LISTED_MAX].join(", "), many.len() - LISTED_MAX),
    }
}

#[cfg(test)]
mod tests;
