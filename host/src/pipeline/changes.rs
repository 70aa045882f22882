//! What the fold does beside judging: rules, plugins, devices, questions about its memory.
//!
//! It must not know what asked. Invariant: a change that is refused leaves no trace.

use crate::{
    domain::{
        AlertCode, AuditEvent, Balance, ClockMark, DeviceNo, Digest, Effects, Eui64, Identity, Millis, OperatorId,
        Rule, RuleRevision, StateKey, owner_of_rule,
    },
    near::euis,
    pipeline::{
        DeviceView, RuleRequest,
        clock::Shown,
        collect::{Command, Reply},
        engine::{Engine, PAGES_PER_COMMIT, Work},
        handle::{DENIED, WITHOUT_PLUGINS},
        plugins::check_revoked,
        refusal::{Refusal, no_such_device, no_such_rule},
    },
    registry::RuleView,
};

/// How far a time that is confirmed may be from what the clock shows, in milliseconds.
const CONFIRMED_WITHIN_MS: u64 = 60_000;

/// Step between the places of rules that were given none, so that others fit between.
const ORDER_STEP: u32 = 10;

impl Engine {
    /// Does what a command asks. `Err`: it asks to stop.
    pub fn change(&mut self, command: Command) -> Result<Work, Option<Reply<()>>> {
        Ok(match command {
            Command::Batch(submission, reply) => self.group(vec![(submission, reply)], 0),
            Command::AddPlugin(upload, who, reply) => settle(reply, self.add_plugin(*upload, &who)),
            Command::RemovePlugin(digest, who, reply) => settle(reply, self.remove_plugin(&digest, &who)),
            Command::RevokePlugin(digest, why, who, reply) => settle(reply, self.revoke_plugin(&digest, &why, &who)),
            Command::RevokeKey(key, why, who, reply) => settle(reply, self.revoke_key(key, &why, &who)),
            Command::SetRule(request, plugin, who, reply) => self.set_rule(*request, plugin, &who, reply),
            Command::PromoteRule(promotion, who, reply) => self.promote_rule(promotion, &who, reply),
            Command::ReleaseRule(name, why, who, reply) => self.release_rule(&name, why, &who, reply),
            Command::RemoveRule(name, why, who, reply) => settle(reply, self.remove_rule(&name, why, &who)),
            Command::CreateToken(token, reply) => settle(reply, self.create_token(*token)),
            Command::RevokeToken(name, who, reply) => settle(reply, self.revoke_token(&name, &who)),
            // Written with what comes next, or by itself where nothing does: denied calls cost no commits of their own.
            Command::Note(event) => {
                self.note(event);
                Work::default()
            }
            Command::Record(event, reply) => {
                self.note(event);
                settle(reply, Ok(((), Work { effects: Some(self.effects()), ..Work::default() })))
            }
            Command::OperatorsOf(devices, reply) => settle(reply, Ok((self.operators_of(&devices), Work::default()))),
            Command::KeepQuestion(kept, dropped, event, reply) => {
                event.into_iter().for_each(|event| self.note(event));
                let effects = Effects { questions: vec![*kept], questions_dropped: dropped, ..self.effects() };
                settle(reply, Ok(((), Work { effects: Some(effects), ..Work::default() })))
            }
            Command::OpenCursor(key, at, reply) => settle(reply, self.open_cursor(key, at)),
            Command::AdvanceCursor(key, to, reply) => {
                self.advance_cursor(&key, to, reply);
                Work::default()
            }
            Command::DropCursor(key, reply) => settle(reply, self.drop_cursor(&key)),
            Command::PutDevices(devices, terms, load, who, reply) => {
                settle(reply, self.put_devices(&devices, terms, *load, &who))
            }
            Command::AtPoint { mpxn, from, devices_max, operators, reply } => {
                settle(reply, Ok((self.at_point(mpxn, from, devices_max, &operators), Work::default())))
            }
            Command::ThereNow { points, own, reply } => {
                settle(reply, Ok((self.there_now(&points, own), Work::default())))
            }
            Command::Standings { pairs, own, reply } => {
                settle(reply, Ok((self.standings(&pairs, own), Work::default())))
            }
            Command::Device(eui, own, reply) => {
                settle(reply, self.device(eui, own).map(|view| (view, Work::default())))
            }
            Command::Producer(key, reply) => settle(reply, Ok((self.producers.standing(&key), Work::default()))),
            Command::Producers { holder, after, count, reply } => {
                settle(reply, Ok((self.list_producers(holder.as_deref(), after.as_ref(), count), Work::default())))
            }
            Command::RemoveProducer(key, who, reply) => settle(reply, self.remove_producer(&key, &who)),
            Command::Shutdown(reply) => return Err(Some(reply)),
            Command::ConfirmClock(seen_ms, who, reply) => settle(reply, self.confirm_clock(seen_ms, &who)),
            Command::Wake => Work { effects: self.state_wanted(PAGES_PER_COMMIT), ..Work::default() },
        })
    }

    fn set_rule(&mut self, request: RuleRequest, plugin: Digest, who: &Identity, reply: Reply<RuleView>) -> Work {
        match self.place(request, &plugin) {
            Ok((name, rule, why)) => self.change_rule(name, rule, (who, why), reply),
            Err(refusal) => settle::<RuleView>(reply, Err(refusal)),
        }
    }

    /// Changes a rule for somebody, who is shown it once the change is durable.
    pub fn change_rule(
        &mut self,
        name: String,
        rule: Rule,
        (who, why): (&Identity, String),
        reply: Reply<RuleView>,
    ) -> Work {
        if self.config.without_plugins && rule.mode.is_called() {
            return settle::<RuleView>(reply, Err(Refusal::Precondition(WITHOUT_PLUGINS.to_owned())));
        }
        if let Some(info) = self.registry.plugin(&rule.plugin).filter(|_| rule.mode.is_called())
            && let Err(refusal) = check_revoked(info)
        {
            return settle::<RuleView>(reply, Err(refusal));
        }
        if self.config.denied_digests().unwrap_or_default().contains(&rule.plugin) && rule.mode.is_called() {
            return settle::<RuleView>(reply, Err(Refusal::Precondition(format!("plugin {}: {DENIED}", rule.plugin))));
        }
        if let Err(refusal) = self.check_revisions(&name) {
            return settle::<RuleView>(reply, Err(refusal));
        }
        let entry = self.revise(name.clone(), Some(rule), &who.name, why);
        let mut work = self.changed(entry);
        work.acts.push(Box::new(move |shared| {
            let registry = shared.registry.read();
            let view = registry.rule(&name).and_then(|standing| shared.view(&registry, standing));
            let gone = || Refusal::Internal(format!("rule {name} vanished as it was set"));
            let _ = reply.send(view.ok_or_else(gone));
        }));
        work
    }

    /// The rule that a request, which was checked, asks for: its name, itself, and why. Which plugin its text means was
    /// settled with what the caller may see; here, where every plugin is seen, the text must not be read again.
    fn place(&mut self, request: RuleRequest, plugin: &Digest) -> Result<(String, Rule, String), Refusal> {
        let RuleRequest { name, plugin: _, parameters, scope, mode, order, why, until_ms } = request;
        let plugin = self.registry.plugin(plugin).cloned();
        let plugin = plugin.ok_or_else(|| Refusal::invalid("plugin", "was removed just now; upload it again"))?;
        let rules = self.registry.rules();
        let known = rules.iter().find(|standing| standing.revision.name == name);
        let max = self.config.plugins.rules_max;
        if known.is_none() && rules.len() >= max {
            return Err(Refusal::Exhausted(format!("rules_max ({max}) is reached")));
        }
        let max = self.config.plugins.operator.rules_max;
        let owner = owner_of_rule(&name);
        let own = rules.iter().filter(|standing| owner_of_rule(&standing.revision.name) == owner).count();
        if known.is_none() && owner.is_some() && own >= max {
            return Err(Refusal::Exhausted(format!("plugins.operator.rules_max ({max}) is reached")));
        }
        let last = rules.last().map_or(0, |standing| standing.rule.order);
        let order = order.or(known.map(|standing| standing.rule.order)).unwrap_or(last.saturating_add(ORDER_STEP));
        let revision = self.registry.next_revision();
        let namespace = self.registry.namespace(&name, &plugin, revision);
        let rule = Rule { plugin: plugin.digest, parameters, scope, mode, order, namespace, guard: None, until_ms };
        Ok((name, rule, why))
    }

    /// Refuses another change to a rule that has had as many as are kept, or whose owner's rules have.
    fn check_revisions(&self, name: &str) -> Result<(), Refusal> {
        let limits = &self.config.plugins;
        let refuse = |setting: &str, max: usize, way_out: &str| {
            let message = format!(
                "{name}: plugins.{setting} ({max}) revisions are kept, and the log needs them to say what it was judged \
                 by; {way_out}, or have the setting raised"
            );
            Err(Refusal::Exhausted(message))
        };
        let max = limits.rule_revisions_max;
        if self.registry.numbers(name).len() >= max {
            return refuse("rule_revisions_max", max, "remove the rule and go on with one of another name");
        }
        let (owner, max) = (owner_of_rule(name).unwrap_or(OperatorId::UNKNOWN), limits.operator.revisions_max);
        if owner != OperatorId::UNKNOWN && self.registry.revisions_of(owner) >= max {
            return refuse("operator.revisions_max", max, "change rules less often");
        }
        Ok(())
    }

    fn remove_rule(
        &mut self,
        name: &str,
        why: String,
        who: &Identity,
    ) -> Result<(crate::domain::Revision, Work), Refusal> {
        if self.registry.rule(name).is_none() {
            return Err(self.no_such_rule(name));
        }
        let entry = self.revise(name.to_owned(), None, &who.name, why);
        let (revision, mut work) = (entry.revision, self.changed(entry));
        if let (Some(_), Some(effects)) = (self.faults.remove(name), &mut work.effects) {
            effects.faults_dropped.push(name.to_owned());
            let name = name.to_owned();
            work.acts.push(Box::new(move |shared| shared.drop_fault(&name)));
        }
        Ok((revision, work))
    }

    /// Why a rule that is named is not there: the names that are, as far as they have the same owner.
    pub fn no_such_rule(&self, name: &str) -> Refusal {
        no_such_rule(&self.registry, name, owner_of_rule(name))
    }

    /// Has a change written and walks the rules as they now are.
    fn changed(&mut self, entry: RuleRevision) -> Work {
        let effects = Effects { revisions: vec![entry], ..self.effects() };
        let mut work = Work { effects: Some(effects), ..Work::default() };
        self.rules_changed(&mut work);
        work
    }

    /// Takes what the clock shows for the time, if it is within a minute of what somebody saw there.
    fn confirm_clock(&mut self, seen_ms: Millis, who: &Identity) -> Result<(ClockMark, Work), Refusal> {
        let mark = self.shared.time.confirmed_mark();
        let before = self.shared.time.now_ms();
        let shows = Shown(mark.latest_ms);
        if mark.latest_ms.abs_diff(seen_ms) > CONFIRMED_WITHIN_MS {
            let message = format!(
                "{seen_ms} ({}) is not within a minute of what the host's clock shows, {} ({shows}); one of the two is wrong",
                Shown(seen_ms),
                mark.latest_ms
            );
            return Err(Refusal::invalid("clock_ms", message));
        }
        let detail = format!("it shows {shows}; by what was before it would be about {}", Shown(before));
        self.note(AuditEvent::new(&who.name, "clock.confirm", "host", &detail));
        let effects = Effects { clock: Some(mark), ..self.effects() };
        let mut work = Work { effects: Some(effects), ..Work::default() };
        work.acts.push(Box::new(|shared| {
            shared.time.confirm();
            shared.check_clock();
        }));
        Ok((mark, work))
    }

    /// A device, to whoever may know of those of one operator, or of all.
    fn device(&self, eui: Eui64, own: Option<OperatorId>) -> Result<DeviceView, Refusal> {
        let is_own = |no: &DeviceNo| own.is_none_or(|own| self.inventory.get(*no).operator == own);
        let known = |eui: Eui64| self.inventory.number(eui).filter(is_own);
        let no = known(eui).ok_or_else(|| no_such_device(eui, euis(eui).find(|near| known(*near).is_some())))?;
        let device = *self.inventory.get(no);
        // What an operator is told of a device begins when it came to it.
        let handover = own.and_then(|_| self.handovers.get(&eui));
        let tally = self.state.tally(no);
        let tally = handover.map_or(tally, |handover| tally.since(handover.before));
        let told = |rule: &str| match (own, owner_of_rule(rule)) {
            (None, _) => true,
            (Some(own), Some(owner)) => own == owner,
            // What a rule of the host keeps is of the alerts of both.
            (Some(_), None) => handover.is_none(),
        };
        let rules = self.registry.rules();
        let states = self.state.entries(no).filter_map(|(namespace, code, words)| {
            let standing = rules.iter().find(|standing| standing.rule.namespace == namespace)?;
            if !told(&standing.revision.name) {
                return None;
            }
            let key = self.registry.plugin(&standing.rule.plugin)?.state_key;
            let code = (key == StateKey::DeviceAndCode).then_some(AlertCode(code));
            Some((standing.revision.name.clone(), code, words.to_vec()))
        });
        Ok(DeviceView {
            device,
            placement: self.inventory.placement(no),
            model: self.inventory.model_name(device.model).to_owned(),
            labels: self.labels.of(no),
            balance: Balance {
                forwarded: tally.forwarded.into(),
                suppressed: tally.suppressed.into(),
                duplicate: tally.duplicate.into(),
                rejected: 0,
            },
            states: states.collect(),
            counted_since_ms: handover.map(|handover| handover.since_ms),
            position: self.position,
        })
    }
}

/// What the audit log says of a change to a rule.
pub fn event_of(entry: &RuleRevision) -> AuditEvent {
    let number = entry.revision.0;
    let (action, detail) = match &entry.rule {
        Some(rule) => {
            let plugin = rule.plugin.to_string();
            let plugin = plugin.get(..12).unwrap_or_default();
            ("rule.set", format!("revision {number}: {}, plugin {plugin}, parameters {}", rule.mode, rule.parameters))
        }
        None => ("rule.remove", format!("revision {number}")),
    };
    let detail = if entry.why.is_empty() { detail } else { format!("{detail}; {}", entry.why) };
    AuditEvent::new(&entry.who, action, &entry.name, &detail)
}

/// Work that answers once what came before it is durable.
fn settle<T: Send + 'static>(reply: Reply<T>, done: Result<(T, Work), Refusal>) -> Work {
    let (answer, mut work) = match done {
        Ok((value, work)) => (Ok(value), work),
        Err(refusal) => (Err(refusal), Work::default()),
    };
    work.acts.push(Box::new(move |_| drop(reply.send(answer))));
    work
}
