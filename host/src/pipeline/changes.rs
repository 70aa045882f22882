//! What the fold does beside judging: rules, plugins, devices, questions about its memory.
//!
//! It must not know what asked. Invariant: a change that is refused leaves no trace.

use crate::{
    admit::Change,
    domain::{
        AlertCode, AuditEvent, Balance, Device, Effects, Eui64, Identity, ModelId, OperatorId, Rule, RuleRevision,
        StateKey, owner_of_rule,
    },
    pipeline::{
        DeviceRequest, DeviceView, DevicesPut, RuleRequest,
        collect::{Command, Reply},
        engine::{Engine, Work},
        handle::{DENIED, Refusal, WITHOUT_PLUGINS, no_such_device, plugins_left},
    },
    registry::{Registry, RuleView, Source},
};

/// Step between the places of rules that were given none, so that others fit between.
const ORDER_STEP: u32 = 10;

impl Engine {
    /// Does what a command asks. `Err`: it asks to stop.
    pub fn change(&mut self, command: Command) -> Result<Work, Option<Reply<()>>> {
        Ok(match command {
            Command::Batch(batch, reply) => self.group(vec![(batch, reply)], 0),
            Command::AddPlugin(source, bytes, who, reply) => settle(reply, self.add_plugin(*source, bytes, &who)),
            Command::SetRule(request, who, reply) => self.set_rule(*request, &who, reply),
            Command::PromoteRule(promotion, who, reply) => self.promote_rule(promotion, &who, reply),
            Command::ReleaseRule(name, why, who, reply) => self.release_rule(&name, why, &who, reply),
            Command::RemoveRule(name, why, who, reply) => settle(reply, self.remove_rule(&name, why, &who)),
            Command::CreateToken(token, reply) => settle(reply, self.create_token(*token)),
            Command::RevokeToken(name, who, reply) => settle(reply, self.revoke_token(&name, &who)),
            Command::Note(event) => {
                self.note(event);
                Work { effects: Some(self.effects()), ..Work::default() }
            }
            Command::KeepQuestion(kept, dropped, event, reply) => {
                event.into_iter().for_each(|event| self.note(event));
                let effects = Effects { questions: vec![*kept], questions_dropped: dropped, ..self.effects() };
                settle(reply, Ok(((), Work { effects: Some(effects), ..Work::default() })))
            }
            Command::PutDevices(devices, reply) => settle(reply, self.put_devices(&devices)),
            Command::Device(eui, reply) => settle(reply, self.device(eui).map(|view| (view, Work::default()))),
            Command::Producer(id, reply) => settle(reply, Ok((self.producers.standing(&id), Work::default()))),
            Command::Shutdown(reply) => return Err(Some(reply)),
            Command::Wake => Work::default(),
        })
    }

    fn add_plugin(
        &mut self,
        source: Source,
        bytes: Vec<u8>,
        who: &Identity,
    ) -> Result<(crate::domain::PluginInfo, Work), Refusal> {
        let owner = who.operator().unwrap_or(OperatorId::UNKNOWN);
        let known = self.registry.plugin(&source.info().digest);
        let mut info = known.unwrap_or(source.info()).clone();
        if info.owners.contains(&owner) {
            return Ok((info, Work::default()));
        }
        plugins_left(&self.registry, &info.digest, owner, &self.config.plugins)?;
        info.owners.push(owner);
        self.registry.add_plugin(info.clone());
        let detail = format!("{} {}, {} bytes", info.name, info.version, info.size_bytes);
        self.note(AuditEvent::new(&who.name, "plugin.upload", &info.digest.to_string(), &detail));
        let effects = Effects { plugin: Some((info.clone(), bytes)), ..self.effects() };
        let mut work = Work { effects: Some(effects), ..Work::default() };
        let registry = self.registry.clone();
        let digest = info.digest;
        work.acts.push(Box::new(move |shared| {
            shared.sources.write().insert(digest, source);
            *shared.registry.write() = registry;
        }));
        Ok((info, work))
    }

    fn set_rule(&mut self, request: RuleRequest, who: &Identity, reply: Reply<RuleView>) -> Work {
        match self.place(request) {
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
        if self.config.denied_digests().unwrap_or_default().contains(&rule.plugin) && rule.mode.is_called() {
            return settle::<RuleView>(reply, Err(Refusal::Precondition(format!("plugin {}: {DENIED}", rule.plugin))));
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

    /// The rule that a request, which was checked, asks for: its name, itself, and why.
    fn place(&mut self, request: RuleRequest) -> Result<(String, Rule, String), Refusal> {
        let RuleRequest { name, plugin, parameters, scope, mode, order, why } = request;
        let plugin = self.registry.resolve(&plugin, |_| true).map_err(|why| Refusal::invalid("plugin", why))?.clone();
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
        let rule = Rule { plugin: plugin.digest, parameters, scope, mode, order, namespace, guard: None };
        Ok((name, rule, why))
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
        Ok((entry.revision, self.changed(entry)))
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

    fn put_devices(&mut self, devices: &[DeviceRequest]) -> Result<(DevicesPut, Work), Refusal> {
        let models = self.learn_models(devices)?;
        let strangers = devices.iter().filter(|device| self.inventory.number(device.eui).is_none()).count();
        let max = self.config.intake.devices_max;
        if strangers as u64 + u64::from(self.inventory.len()) > u64::from(max) {
            self.inventory.forget_models(&models);
            return Err(Refusal::Exhausted(format!("devices: {strangers} are new, and devices_max is {max}")));
        }
        let mut put = DevicesPut::default();
        let mut effects = Effects { models, ..self.effects() };
        for request in devices {
            let device = Device {
                eui: request.eui,
                mpxn: request.mpxn,
                operator: request.operator,
                generation: request.generation,
                model: ModelId::of(&request.model),
                listed: true,
            };
            let (no, change) = self.inventory.put(device);
            *match change {
                Change::Added => &mut put.added,
                Change::Changed => &mut put.changed,
                Change::Unchanged => &mut put.unchanged,
            } += 1;
            if change != Change::Unchanged {
                effects.devices.push((no.0, device));
            }
        }
        let mut work = Work::default();
        if !effects.devices.is_empty() {
            let names = self.inventory.models().clone();
            if !effects.models.is_empty() {
                work.acts.push(Box::new(move |shared| *shared.models.write() = names));
            }
            work.effects = Some(effects);
        } else {
            // Names that no device took up are not kept.
            self.inventory.forget_models(&effects.models);
        }
        Ok((put, work))
    }

    /// Learns the models of some devices: all, or none and why.
    fn learn_models(&mut self, devices: &[DeviceRequest]) -> Result<Vec<String>, Refusal> {
        let mut learnt: Vec<String> = Vec::new();
        for (index, device) in devices.iter().enumerate() {
            match self.inventory.learn_model(&device.model, self.config.intake.models_max) {
                Ok(true) => learnt.push(device.model.clone()),
                Ok(false) => {}
                Err(why) => {
                    self.inventory.forget_models(&learnt);
                    return Err(Refusal::invalid(format!("devices[{index}]"), why.to_string()));
                }
            }
        }
        Ok(learnt)
    }

    fn device(&self, eui: Eui64) -> Result<DeviceView, Refusal> {
        let no = self.inventory.number(eui).ok_or_else(|| no_such_device(eui))?;
        let device = *self.inventory.get(no);
        let tally = self.state.tally(no);
        let rules = self.registry.rules();
        let states = self.state.entries(no).filter_map(|(namespace, code, words)| {
            let standing = rules.iter().find(|standing| standing.rule.namespace == namespace)?;
            let key = self.registry.plugin(&standing.rule.plugin)?.state_key;
            let code = (key == StateKey::DeviceAndCode).then_some(AlertCode(code));
            Some((standing.revision.name.clone(), code, words.to_vec()))
        });
        Ok(DeviceView {
            device,
            model: self.inventory.model_name(device.model).to_owned(),
            balance: Balance {
                forwarded: tally.forwarded.into(),
                suppressed: tally.suppressed.into(),
                duplicate: tally.duplicate.into(),
                rejected: 0,
            },
            states: states.collect(),
            position: self.position,
        })
    }
}

/// Why a rule that is named is not there, told to somebody who may know of the rules of one owner, or of all.
pub fn no_such_rule(registry: &Registry, name: &str, owner: Option<OperatorId>) -> Refusal {
    let rules = registry.rules();
    let told = rules.iter().map(|standing| standing.revision.name.as_str());
    let names: Vec<&str> = told.filter(|name| owner.is_none() || owner_of_rule(name) == owner).collect();
    let others = if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) };
    Refusal::NotFound(format!("no rule is named {name:?}; {others}"))
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
