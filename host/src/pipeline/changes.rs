//! What the fold does beside judging: rules, plugins, devices, questions about its memory.
//!
//! It must not know what asked. Invariant: a change that is refused leaves no trace.

use crate::{
    admit::Change,
    domain::{AlertCode, Balance, Device, Effects, Eui64, ModelId, Rule, RuleRevision, StateKey},
    pipeline::{
        DeviceRequest, DeviceView, DevicesPut, RuleRequest,
        collect::{Command, Reply},
        engine::{Engine, Work},
        handle::{Refusal, WITHOUT_PLUGINS},
    },
    registry::{RuleView, Source},
};

/// Step between the places of rules that were given none, so that others fit between.
const ORDER_STEP: u32 = 10;

impl Engine {
    /// Does what a command asks. `Err`: it asks to stop.
    pub fn change(&mut self, command: Command) -> Result<Work, Option<Reply<()>>> {
        Ok(match command {
            Command::Batch(batch, reply) => self.group(vec![(batch, reply)], 0),
            Command::AddPlugin(source, bytes, reply) => settle(reply, self.add_plugin(*source, bytes)),
            Command::SetRule(request, reply) => self.set_rule(*request, reply),
            Command::PromoteRule(promotion, reply) => self.promote_rule(promotion, reply),
            Command::ReleaseRule(name, why, reply) => self.release_rule(&name, why, reply),
            Command::RemoveRule(name, why, reply) => settle(reply, self.remove_rule(&name, why)),
            Command::PutDevices(devices, reply) => settle(reply, self.put_devices(&devices)),
            Command::Device(eui, reply) => settle(reply, self.device(eui).map(|view| (view, Work::default()))),
            Command::Producer(id, reply) => settle(reply, Ok((self.producers.last(&id), Work::default()))),
            Command::Shutdown(reply) => return Err(Some(reply)),
            Command::Wake => Work::default(),
        })
    }

    fn add_plugin(&mut self, source: Source, bytes: Vec<u8>) -> Result<(crate::domain::PluginInfo, Work), Refusal> {
        let info = source.info().clone();
        if let Some(known) = self.registry.plugin(&info.digest) {
            return Ok((known.clone(), Work::default()));
        }
        let max = self.config.plugins.plugins_max;
        if self.registry.plugins().len() >= max {
            return Err(Refusal::Exhausted(format!("plugins_max ({max}) is reached")));
        }
        self.registry.add_plugin(info.clone());
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

    fn set_rule(&mut self, request: RuleRequest, reply: Reply<RuleView>) -> Work {
        match self.place(request) {
            Ok((name, rule, why)) => self.change_rule(name, rule, why, reply),
            Err(refusal) => settle::<RuleView>(reply, Err(refusal)),
        }
    }

    /// Changes a rule for somebody, who is shown it once the change is durable.
    pub fn change_rule(&mut self, name: String, rule: Rule, why: String, reply: Reply<RuleView>) -> Work {
        if self.config.without_plugins && rule.mode.is_called() {
            return settle::<RuleView>(reply, Err(Refusal::Precondition(WITHOUT_PLUGINS.to_owned())));
        }
        let entry = self.revise(name.clone(), Some(rule), "", why);
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
        let plugin = self.registry.resolve(&plugin).map_err(|why| Refusal::invalid("plugin", why))?.clone();
        let rules = self.registry.rules();
        let known = rules.iter().find(|standing| standing.revision.name == name);
        let max = self.config.plugins.rules_max;
        if known.is_none() && rules.len() >= max {
            return Err(Refusal::Exhausted(format!("rules_max ({max}) is reached")));
        }
        let last = rules.last().map_or(0, |standing| standing.rule.order);
        let order = order.or(known.map(|standing| standing.rule.order)).unwrap_or(last.saturating_add(ORDER_STEP));
        let revision = self.registry.next_revision();
        let namespace = self.registry.namespace(&name, &plugin, revision);
        let rule = Rule { plugin: plugin.digest, parameters, scope, mode, order, namespace, guard: None };
        Ok((name, rule, why))
    }

    fn remove_rule(&mut self, name: &str, why: String) -> Result<(crate::domain::Revision, Work), Refusal> {
        if self.registry.rule(name).is_none() {
            return Err(self.no_such_rule(name));
        }
        let entry = self.revise(name.to_owned(), None, "", why);
        Ok((entry.revision, self.changed(entry)))
    }

    /// Why a rule that is named is not there.
    pub fn no_such_rule(&self, name: &str) -> Refusal {
        let names: Vec<String> = self.registry.rules().iter().map(|s| s.revision.name.clone()).collect();
        let others =
            if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) };
        Refusal::NotFound(format!("no rule is named {name:?}; {others}"))
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
        let no = self.inventory.number(eui).ok_or_else(|| {
            Refusal::NotFound(format!("device {eui} is not in the inventory, and no alert has named it"))
        })?;
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

/// Work that answers once what came before it is durable.
fn settle<T: Send + 'static>(reply: Reply<T>, done: Result<(T, Work), Refusal>) -> Work {
    let (answer, mut work) = match done {
        Ok((value, work)) => (Ok(value), work),
        Err(refusal) => (Err(refusal), Work::default()),
    };
    work.acts.push(Box::new(move |_| drop(reply.send(answer))));
    work
}
