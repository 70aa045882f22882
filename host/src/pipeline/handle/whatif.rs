//! Questions over the past: asked, worked on by threads of their own, looked at, cancelled.
//!
//! It must not know how a log is folded. Invariant: a question runs only after it is on disk, and what a caller may not
//! see or change cannot be asked about either: a candidate is one of its own rules, over its own alerts.

use std::{collections::HashMap, sync::Arc, thread};

use super::{
    DENIED, Handle, Refusal, WITHOUT_PLUGINS, check_name, internal,
    rules::{ORDERS, WHY_CHARS_MAX, check_parameters_text},
};
use crate::{
    domain::{
        AuditEvent, Column, KeptQuestion, Millis, Mode, ModelId, OperatorId, PluginInfo, Position, Rule, Scope,
        check_line, owner_of_rule, shown,
    },
    intake::times::told,
    pipeline::{
        Status,
        collect::Command,
        desk::{Head, Job, QuestionView, Stage},
        plugins::check_revoked,
        refusal::no_such_rule,
        retention::Pin,
        shared::{Audience, Shared},
        turns::stand_back,
    },
    registry::{Registry, Source, Sources},
    whatif::{self, Alerts, Answer, AskedOfReadings, Ground, Question, ReadingRole, Readings, Stopped, Variant},
};

/// What a candidate is called that stands beside the rules and was given no name.
const UNNAMED: &str = "candidate";

/// Characters of a label.
const LABEL_CHARS_MAX: usize = 100;

/// How long a warm-up may be: as long as anything is kept.
const WARM_UP_MS_MAX: Millis = 36_500 * 86_400_000;

/// One thing to try.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VariantRequest {
    /// What tells it from the others; empty: its parameters do.
    pub label: String,
    /// A plugin's digest, its beginning, or its name; `None`: the rule's, or the one that was sent along.
    pub plugin: Option<String>,
    /// A JSON object; `None`: the rule's.
    pub parameters: Option<String>,
}

/// A question as somebody asks it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WhatIfRequest {
    /// What it is called.
    pub name: String,
    /// The rule that the candidate stands for; empty for one beside the others.
    pub rule: String,
    /// What to try; none: the rule as it stands.
    pub variants: Vec<VariantRequest>,
    /// Which alerts it is about. For a candidate that stands for no rule: which alerts that sees, too.
    pub only: Scope,
    /// The candidate's place in the chain; `None`: the rule's, or after the last.
    pub order: Option<u32>,
    /// Received at or after.
    pub since_ms: Option<Millis>,
    /// Received before.
    pub until_ms: Option<Millis>,
    /// How long before the range state begins.
    pub warm_up_ms: Option<Millis>,
    /// Sampled alerts of each kind of change and variant.
    pub samples_max: usize,
    /// Devices listed for each variant.
    pub devices_max: usize,
    /// Chooses the sampled alerts.
    pub seed: u64,
    /// Ask this one again, over the log as it is now: the rest is not looked at.
    pub again: Option<u64>,
    /// What is asked of readings.
    pub readings: Option<AskedOfReadings>,
}

/// A component that is sent along with a question, and its signature.
pub type Component = (Vec<u8>, Vec<u8>);

impl Handle {
    /// Asks a question. It is kept, and worked on as soon as its turn comes.
    pub async fn start_what_if(
        &self,
        request: WhatIfRequest,
        component: Option<Component>,
    ) -> Result<QuestionView, Refusal> {
        if self.without_plugins {
            return Err(Refusal::Precondition(WITHOUT_PLUGINS.to_owned()));
        }
        let sent = match component {
            Some((bytes, signature)) => Some(self.load_candidate(bytes, &signature).await?),
            None => None,
        };
        let question = match request.again {
            Some(number) => self.question(number)?.head.question.clone(),
            None => self.settle(&request, sent.as_ref())?,
        };
        let candidates = self.check_variants(&question, sent).await?;
        let operator = self.who.operator().map_or(0, OperatorId::get);
        let head = Head {
            name: request.name,
            who: self.who.name.clone(),
            operator,
            question,
            asked_ms: (self.clock)(),
            ended_ms: None,
            stage: Stage::Waiting,
            why: String::new(),
            question_digest: String::new(),
            answer_digest: String::new(),
        };
        let (number, dropped) = self.shared.desk.take(&head, &self.whatif)?;
        let subject = if head.question.rule.is_empty() { UNNAMED } else { head.question.rule.as_str() };
        let event = AuditEvent::new(&head.who, "whatif.start", subject, &format!("question {number}"));
        let kept = KeptQuestion { number, head: text(&head)?, answer: None };
        let written = self.ask(|reply| Command::KeepQuestion(Box::new(kept), dropped, Some(event), reply)).await;
        written.inspect_err(|_| self.shared.desk.give_up(number))?;
        if self.shared.desk.queue(number, candidates, &self.whatif) {
            let handle = self.clone();
            let spawned = thread::Builder::new().name("weir-whatif".into()).spawn(move || handle.work());
            if let Err(error) = spawned {
                self.shared.desk.go_home();
                return Err(Refusal::Internal(format!("a question's thread: {error}")));
            }
        }
        self.question(number)
    }

    /// A question, and its answer where there is one. Blocks on the disk: call it from a blocking task.
    pub fn what_if(&self, number: u64) -> Result<(QuestionView, Option<Answer>), Refusal> {
        let view = self.question(number)?;
        let kept = self.shared.reader()?.answer(number).map_err(internal)?;
        let answer = kept.filter(|_| view.head.stage == Stage::Done).map(|text| Answer::read(&text));
        Ok((view, answer.transpose().map_err(Refusal::Internal)?))
    }

    /// A question, without its answer.
    pub fn question(&self, number: u64) -> Result<QuestionView, Refusal> {
        let view = self.shared.desk.view(number, self.who.operator());
        view.ok_or_else(|| {
            let message = format!("there is no question {number}; `weir whatif list` has them");
            Refusal::not_found("what-if", number, message)
        })
    }

    /// All questions, newest first.
    pub fn questions(&self) -> Vec<QuestionView> {
        self.shared.desk.views(self.who.operator())
    }

    /// Ends a question. One that is over stays as it is.
    pub async fn cancel_what_if(&self, number: u64) -> Result<QuestionView, Refusal> {
        self.question(number)?;
        if let Some(head) = self.shared.desk.cancel(number, (self.clock)()) {
            let kept = KeptQuestion { number, head: text(&head)?, answer: None };
            self.ask(|reply| Command::KeepQuestion(Box::new(kept), Vec::new(), None, reply)).await?;
        }
        self.question(number)
    }

    /// Checks and compiles a component as an upload is, without keeping it.
    async fn load_candidate(&self, bytes: Vec<u8>, signature: &[u8]) -> Result<Source, Refusal> {
        Ok(Source::Component(self.load_upload(bytes, signature).await?.plugin))
    }

    /// Settles every name and default of a question.
    fn settle(&self, request: &WhatIfRequest, sent: Option<&Source>) -> Result<Question, Refusal> {
        check_times(request)?;
        if let Some(AskedOfReadings { role: ReadingRole::Device { .. }, .. }) = &request.readings {
            return self.settle_as_device(request);
        }
        check_line(&request.name, WHY_CHARS_MAX).map_err(|wrong| Refusal::invalid("name", wrong))?;
        if let Some(order) = request.order.filter(|order| !ORDERS.contains(order)) {
            return Err(Refusal::invalid("position", format!("{order} is not 1 to 1,000,000")));
        }
        let own = self.who.operator();
        let mut only = request.only.clone();
        self.limit_operators(&mut only.operators)?;
        let registry = self.shared.registry.read();
        let rule = match (request.rule.as_str(), own) {
            ("", Some(own)) => format!("{own}-{UNNAMED}"),
            ("", None) => UNNAMED.to_owned(),
            (name, _) => name.to_owned(),
        };
        let standing = registry.rule(&rule).map(|standing| standing.rule);
        if !request.rule.is_empty() {
            check_name(&rule)?;
            self.check_own(&rule)?;
            // Without a plugin it can only be one of the rules that there are.
            if standing.is_none() && sent.is_none() && request.variants.iter().all(|variant| variant.plugin.is_none()) {
                return Err(no_such_rule(&registry, &rule, own));
            }
        }
        let scope = standing.map_or_else(|| only.clone(), |rule| rule.scope.clone());
        if owner_of_rule(&rule).is_some() {
            self.check_place(&rule, &scope)?;
        }
        let last = registry.rules().last().map_or(0, |standing| standing.rule.order);
        let order = request.order.or(standing.map(|rule| rule.order)).unwrap_or(last.saturating_add(10));
        let changes = |variant: &VariantRequest| variant.plugin.is_some() || variant.parameters.is_some();
        let as_recorded = standing.is_some_and(|rule| rule.mode == Mode::Active && rule.order == order)
            && sent.is_none()
            && request.readings.is_none()
            && !request.variants.iter().any(changes);
        Ok(Question {
            as_recorded,
            order,
            scope: Alerts::from(&scope),
            only: Alerts::from(&only),
            since_ms: request.since_ms,
            until_ms: request.until_ms,
            warm_up_ms: request.warm_up_ms,
            variants: self.settle_variants(request, &rule, &registry, standing, sent)?,
            seed: request.seed,
            samples_max: request.samples_max.min(self.whatif.samples_max),
            devices_max: request.devices_max.min(self.whatif.devices_max),
            confined: own.is_some(),
            readings: request.readings.clone(),
            rule,
        })
    }

    /// Settles a question about meters, of which no rule is part.
    fn settle_as_device(&self, request: &WhatIfRequest) -> Result<Question, Refusal> {
        let mut only = request.only.clone();
        self.limit_operators(&mut only.operators)?;
        if !only.codes.is_empty() {
            let message = "are of no use as the device: which alerts there would be follows from the threshold";
            return Err(Refusal::invalid("only.codes", message));
        }
        if !request.rule.is_empty() || !request.variants.is_empty() {
            let message = "is no part of a question as the device: meters would alert, whatever rules do with it";
            return Err(Refusal::invalid("rule", message));
        }
        Ok(Question {
            rule: String::new(),
            as_recorded: false,
            order: 0,
            scope: Alerts::default(),
            only: Alerts::from(&only),
            since_ms: request.since_ms,
            until_ms: request.until_ms,
            warm_up_ms: None,
            variants: Vec::new(),
            seed: request.seed,
            samples_max: request.samples_max.min(self.whatif.samples_max),
            devices_max: request.devices_max.min(self.whatif.devices_max),
            confined: self.who.operator().is_some(),
            readings: request.readings.clone(),
        })
    }

    fn settle_variants(
        &self,
        request: &WhatIfRequest,
        rule: &str,
        registry: &Registry,
        standing: Option<&Rule>,
        sent: Option<&Source>,
    ) -> Result<Vec<Variant>, Refusal> {
        let max = self.whatif.variants_max;
        if request.variants.len() > max {
            let message = format!("{} are more than whatif.variants_max ({max})", request.variants.len());
            return Err(Refusal::invalid("variants", message));
        }
        let none = [VariantRequest::default()];
        let asked = if request.variants.is_empty() { &none[..] } else { &request.variants };
        asked.iter().enumerate().map(|(at, asked)| self.variant(at, asked, (rule, standing), registry, sent)).collect()
    }

    fn variant(
        &self,
        at: usize,
        asked: &VariantRequest,
        (rule, standing): (&str, Option<&Rule>),
        registry: &Registry,
        sent: Option<&Source>,
    ) -> Result<Variant, Refusal> {
        let field = |part: &str| format!("variants[{at}].{part}");
        let info: &PluginInfo = match (&asked.plugin, sent, standing) {
            (Some(wanted), _, _) => {
                let found = self.plugin_for_rule(registry, wanted, rule);
                found.map_err(|why| Refusal::invalid(field("plugin"), why))?
            }
            (None, Some(sent), _) => sent.info(),
            (None, None, Some(rule)) => registry
                .plugin(&rule.plugin)
                .ok_or_else(|| Refusal::Internal(format!("plugin {} is not known", rule.plugin)))?,
            (None, None, None) => {
                let message = "is missing: name a plugin, send one along, or name a rule whose plugin it is";
                return Err(Refusal::invalid(field("plugin"), message));
            }
        };
        check_revoked(info)?;
        if self.denied.contains(&info.digest) {
            return Err(Refusal::Precondition(format!("plugin {}: {DENIED}", info.digest)));
        }
        let parameters = match (&asked.parameters, standing) {
            (Some(parameters), _) => parameters.clone(),
            (None, Some(rule)) => rule.parameters.clone(),
            (None, None) => "{}".to_owned(),
        };
        check_parameters_text(&parameters).map_err(|wrong| Refusal::invalid(field("parameters"), wrong))?;
        check_line(&asked.label, usize::MAX).map_err(|wrong| Refusal::invalid(field("label"), wrong))?;
        let label = if asked.label.is_empty() { parameters.as_str() } else { asked.label.as_str() };
        let label = shown(label, LABEL_CHARS_MAX);
        let (plugin_digest, plugin_name) = (info.digest.to_string(), info.name.clone());
        Ok(Variant { label, plugin_digest, plugin_name, parameters })
    }

    /// Has each plugin check the parameters it would be given; gives the plugins that the host has not kept.
    async fn check_variants(&self, question: &Question, sent: Option<Source>) -> Result<Sources, Refusal> {
        let candidates: Sources = sent.into_iter().map(|source| (source.info().digest, source)).collect();
        let owner = self.who.operator().unwrap_or(OperatorId::UNKNOWN);
        for (at, variant) in question.variants.iter().enumerate() {
            if variant.parameters.len() > self.limits.of(owner).parameters_bytes_max {
                let message = format!("{} bytes are more than parameters_bytes_max", variant.parameters.len());
                return Err(Refusal::invalid(format!("variants[{at}].parameters"), message));
            }
            let digest = variant.plugin();
            let find = |sources: &Sources| digest.and_then(|digest| sources.get(&digest).cloned());
            let source = find(&candidates).or_else(|| find(&self.shared.sources.read()));
            let source = source.ok_or_else(|| {
                let digest = &variant.plugin_digest;
                let why = format!("plugin {digest} was only sent along with its question; send it again (--candidate)");
                Refusal::Precondition(why)
            })?;
            if question.is_by_readings() {
                check_reads_voltages(source.info())
                    .map_err(|why| Refusal::invalid(format!("variants[{at}].plugin"), why))?;
            }
            if let Source::Component(plugin) = source {
                let parameters = variant.parameters.clone();
                let checked = self.check(move || plugin.check(&parameters, owner)).await?;
                checked.map_err(|why| Refusal::invalid(format!("variants[{at}].parameters"), why.to_string()))?;
            }
        }
        Ok(candidates)
    }

    /// Works on questions until none waits.
    fn work(&self) {
        stand_back();
        while let Some(job) = self.shared.desk.next(&self.whatif) {
            let number = job.number;
            let worked = || answer(self, &job);
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(worked));
            let done = done.unwrap_or_else(|_| Err(Stopped::Failed("working on it panicked".to_owned())));
            self.conclude(number, &job.question, done);
        }
    }

    /// Keeps what came of a question. Where the host is stopping it stays as it was, and is interrupted.
    fn conclude(&self, number: u64, question: &Question, done: Result<Answer, Stopped>) {
        let kept = done.and_then(|answer| answer.keep(question).map_err(Stopped::Failed));
        let now_ms = (self.clock)();
        let head = self.shared.desk.settle(number, |head| match &kept {
            Ok(kept) => {
                head.question_digest = kept.question_digest.to_string();
                head.answer_digest = kept.answer_digest.to_string();
                head.ended_ms = Some(now_ms);
            }
            Err(stopped) => {
                head.stage = match stopped {
                    Stopped::Cancelled => Stage::Cancelled,
                    Stopped::Interrupted => Stage::Interrupted,
                    Stopped::Overtaken | Stopped::Elsewhere | Stopped::TooLong(_) | Stopped::Failed(_) => Stage::Failed,
                };
                head.why = stopped.to_string();
                head.ended_ms = Some(now_ms);
            }
        });
        let Some(mut head) = head else { return };
        if kept.is_ok() {
            Arc::make_mut(&mut head).stage = Stage::Done;
        }
        let Ok(text) = text(&head) else { return };
        let question = KeptQuestion { number, head: text, answer: kept.ok().map(|kept| kept.text) };
        match self.keep_question(question) {
            // Nobody is shown an answer before it is on disk.
            Ok(()) => drop(self.shared.desk.settle(number, |settled| *settled = Arc::unwrap_or_clone(head))),
            Err(refusal) => {
                let why = format!("its answer could not be kept: {refusal}");
                self.shared.desk.settle(number, |head| (head.stage, head.why) = (Stage::Interrupted, why));
            }
        }
    }

    /// Has a question written, from a thread that may wait.
    pub(super) fn keep_question(&self, kept: KeptQuestion) -> Result<(), Refusal> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let command = Command::KeepQuestion(Box::new(kept), Vec::new(), None, reply);
        self.queue.blocking_send(command).map_err(|_| self.shared.unavailable(Audience::Changer))?;
        answer.blocking_recv().map_err(|_| self.shared.no_answer(Audience::Changer))?
    }

    /// The rules and plugins as of now, and the position that they are known up to.
    pub(super) fn ground(&self, candidates: &Sources) -> (Ground, Position) {
        // The position first: whatever changed before it is then in what is read after it.
        let end = self.position();
        let mut sources = self.shared.sources.read().clone();
        let barred = self.barred();
        sources.retain(|digest, _| !barred.contains(digest));
        sources.extend(candidates.iter().map(|(digest, source)| (*digest, source.clone())));
        let ground = Ground {
            registry: self.shared.registry.read().clone(),
            sources,
            settings: Arc::clone(&self.settings),
            models: self.shared.models.read().clone(),
            readings: None,
        };
        (ground, end)
    }
}

fn answer(handle: &Handle, job: &Job) -> Result<Answer, Stopped> {
    let barred = handle.barred();
    let _pin = handle.pin_log()?;
    let (mut ground, end) = handle.ground(&job.candidates);
    if job.question.readings.is_some() {
        let readings = handle.voltages(&ground.models).map_err(|refusal| Stopped::Failed(refusal.to_string()))?;
        ground.readings = Some(readings);
    }
    let answer =
        whatif::run(&job.question, &ground, &|| open(&handle.shared), end, (&job.pace, handle.whatif.threads_max))?;
    // The calls of one that was revoked meanwhile have failed: what they would have said is not known.
    if handle.barred() != barred {
        return Err(Stopped::Failed("a plugin was revoked while this was worked on; ask again".to_owned()));
    }
    Ok(answer)
}

/// Says why readings mean nothing to a candidate, where they do not.
fn check_reads_voltages(info: &PluginInfo) -> Result<(), String> {
    let PluginInfo { name, reads, state_words, .. } = info;
    if !reads.contains(Column::Measurement) {
        return Err(format!("{name} does not read the measurement of an alert, so readings say nothing to it"));
    }
    if *state_words > 0 {
        return Err(format!(
            "{name} keeps state, so what it says of one alert depends on others that readings may not decide; ask about a \
             rule without state, and rules behind it are run with theirs"
        ));
    }
    Ok(())
}

impl Handle {
    /// Returns what is known of voltages now.
    pub(super) fn voltages(&self, models: &HashMap<ModelId, String>) -> Result<Readings, Refusal> {
        let reader = self.readings_reader()?;
        let numbers: HashMap<&str, ModelId> = models.iter().map(|(number, name)| (name.as_str(), *number)).collect();
        Readings::new(reader, |name| numbers.get(name).copied()).map_err(internal)
    }

    /// Holds the log as it is, as far as retention lets itself be held up.
    pub(super) fn pin_log(&self) -> Result<Pin, Stopped> {
        // Everything first, so that nothing goes while the oldest entry is looked up.
        let all = self.shared.pins.pin(Position(0));
        let oldest = open(&self.shared)?.heads(Position(0)).map_err(|_| Stopped::Interrupted)?.next();
        let pin = oldest.and_then(Result::ok).map(|head| self.shared.pins.pin(head.first));
        Ok(pin.unwrap_or(all))
    }
}

/// A way to read the log, unless the host is stopping.
pub(super) fn open(shared: &Shared) -> Result<crate::store::Reader, Stopped> {
    if matches!(*shared.status.borrow(), Status::Stopped(_)) {
        return Err(Stopped::Interrupted);
    }
    shared.reader().map_err(|_| Stopped::Interrupted)
}

fn text(head: &Head) -> Result<String, Refusal> {
    serde_json::to_string(head).map_err(|error| Refusal::Internal(format!("JSON: {error}")))
}

fn check_times(request: &WhatIfRequest) -> Result<(), Refusal> {
    let WhatIfRequest { since_ms, until_ms, warm_up_ms, .. } = request;
    if let (Some(since), Some(until)) = (since_ms, until_ms)
        && until <= since
    {
        return Err(Refusal::invalid("until_ms", format!("{} is not after since_ms, {}", told(*until), told(*since))));
    }
    if let Some(warm_up) = warm_up_ms.filter(|warm_up| !(0..=WARM_UP_MS_MAX).contains(warm_up)) {
        return Err(Refusal::invalid("warm_up_ms", format!("{warm_up} is not 0 to {WARM_UP_MS_MAX} milliseconds")));
    }
    if warm_up_ms.is_some() && since_ms.is_none() {
        let message = "is of no use without since_ms: state begins at the oldest log entry, where the range does";
        return Err(Refusal::invalid("warm_up_ms", message));
    }
    Ok(())
}
