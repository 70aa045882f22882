//! A loaded plugin and the instances that are called.
//!
//! It must not know where alerts come from or what becomes of verdicts. Invariant: every call of a judge runs in an
//! instance of its own, and what it returns has been checked.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use wasmtime::{
    Store,
    component::{self, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower},
};

use super::{
    contract::{
        CHECK, CheckParams, CheckResult, DESCRIBE, DescribeParams, DescribeResult, Description, EVALUATE,
        EvaluateParams, EvaluateResult,
    },
    engine::{Host, Purpose, Slot, WIDEST},
    fault,
    golden::{self, Report},
    meter::{Allowance, Growth},
    refusal::CheckError,
    schema::Schema,
    text::clean,
};
use crate::{
    config::PluginLimits,
    domain::{Columns, FaultKind, GuestRoom, Judge, Metering, OperatorId, Outcome, PluginInfo, RuleFault},
};

/// Names of imports and exports that are told, and bytes of each.
const NAMES_MAX: usize = 20;
const NAME_BYTES_MAX: usize = 100;

/// A plugin, compiled and described. A handle: cheap to clone.
#[derive(Clone)]
pub struct Plugin {
    compiled: Arc<Compiled>,
    info: Arc<PluginInfo>,
    schema: Arc<Schema>,
    report: Arc<OnceLock<Report>>,
}

/// What an instance of a plugin takes from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// What it imports: types alone. The first few names, cut and cleaned.
    pub imports: Vec<String>,
    /// What it exports, likewise.
    pub exports: Vec<String>,
    /// Linear memory, in bytes: the largest of its memories.
    pub memory_bytes: u64,
    /// Entries of its largest table.
    pub table_entries: u64,
}

/// How an instance is to be called, what for, and for whom: the unknown operator is the host itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) metering: Metering,
    pub(super) purpose: Purpose,
    pub(super) owner: OperatorId,
    /// What it may have where it is called once more.
    pub(super) recorded: GuestRoom,
}

impl Terms {
    /// For what is called today and never called again.
    pub(super) fn today(metering: Metering, purpose: Purpose, owner: OperatorId) -> Self {
        Self { metering, purpose, owner, recorded: WIDEST }
    }

    /// What the instance may have.
    fn room(&self, limits: &PluginLimits) -> GuestRoom {
        if self.metering == Metering::Replay { self.recorded } else { limits.room() }
    }
}

/// A component ready to be instantiated.
pub(super) struct Compiled {
    pub(super) host: Arc<Host>,
    pub(super) component: InstancePre<Growth>,
    /// Its code was read from where it is kept.
    pub(super) kept: bool,
    /// It may not be called any more.
    pub(super) revoked: AtomicBool,
    pub(super) describe: ComponentExportIndex,
    pub(super) check: ComponentExportIndex,
    pub(super) evaluate: ComponentExportIndex,
}

/// A running plugin, for whoever wants to time calls without instantiation. After a call failed, drop it: what the
/// guest left behind is undefined.
///
/// Only a few can live at once. A thread that holds them all and asks for another waits for ever.
pub struct Instance {
    // Before the slot: it has to be gone when the slot is given back.
    store: Store<Growth>,
    component: component::Instance,
    compiled: Arc<Compiled>,
    terms: Terms,
    reasons: usize,
    /// Fuel that the last call was given.
    granted: u64,
    _slot: Slot,
}

impl Plugin {
    pub(super) fn new(compiled: Arc<Compiled>, info: PluginInfo, schema: Schema) -> Self {
        Self { compiled, info: Arc::new(info), schema: Arc::new(schema), report: Arc::default() }
    }

    /// What it says of itself and what is known of its file.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// Keeps its code for the next start, where that is done. For a plugin that the host has taken: what is refused
    /// must leave nothing on the disk, however often it is uploaded.
    pub fn keep(&self) {
        let Compiled { host, component, kept, .. } = &*self.compiled;
        if !kept {
            host.compiler.keep(&self.info.digest, component.component());
        }
    }

    /// Removes its kept code.
    pub fn discard(&self) {
        let Compiled { host, component, .. } = &*self.compiled;
        host.compiler.discard(&self.info.digest, component.component());
    }

    /// Has every call from here on fail, whoever has it at hand.
    pub fn revoke(&self) {
        self.compiled.revoked.store(true, Ordering::Relaxed);
    }

    /// Asks its schema and then itself whether it takes these parameters (a JSON object), for a rule of `owner`.
    ///
    /// # Errors
    /// Too large, not as the schema has it, refused in the plugin's own words, or a fault of the plugin.
    pub fn check(&self, parameters: &str, owner: OperatorId) -> Result<(), CheckError> {
        let limits = self.compiled.host.limits.of(owner);
        if parameters.len() > limits.parameters_bytes_max {
            return Err(CheckError::TooLarge { bytes: parameters.len(), bytes_max: limits.parameters_bytes_max });
        }
        let mismatches = self.schema.mismatches(parameters);
        if !mismatches.is_empty() {
            return Err(CheckError::Mismatch(mismatches));
        }
        let terms = Terms::today(Metering::Live, Purpose::Check, owner);
        let answer = self.instance(terms)?.check(parameters)?;
        answer.map_err(|words| match clean(words.trim(), limits.text_bytes_max) {
            words if words.is_empty() => CheckError::Refused("the plugin gives no reason".to_owned()),
            words => CheckError::Refused(words),
        })
    }

    /// What an instance takes from the start.
    pub fn needs(&self) -> Needs {
        let component = self.compiled.component.component();
        let (required, ty) = (component.resources_required(), component.component_type());
        let engine = &self.compiled.host.engine;
        let few = |names: &mut dyn Iterator<Item = &str>| {
            names.take(NAMES_MAX).map(|name| clean(name, NAME_BYTES_MAX)).collect()
        };
        Needs {
            imports: few(&mut ty.imports(engine).map(|(name, _)| name)),
            exports: few(&mut ty.exports(engine).map(|(name, _)| name)),
            memory_bytes: required.as_ref().and_then(|it| it.max_initial_memory_size).unwrap_or(0),
            table_entries: required.as_ref().and_then(|it| it.max_initial_table_size).unwrap_or(0),
        }
    }

    /// What the golden run took. The first call makes the run, so do not call it where alerts wait.
    pub fn report(&self) -> &Report {
        self.report.get_or_init(|| golden::run(self))
    }

    /// A rule of `owner` made of this plugin and these parameters. Each call runs in a fresh instance, so nothing is
    /// carried from one call to the next. A replayed call has the room that is on record.
    pub fn judge(&self, parameters: &str, owner: OperatorId, recorded: GuestRoom) -> Judge {
        self.judge_metered(parameters, (owner, recorded), |_| {})
    }

    /// The same; `took` is told the fuel of each call.
    pub fn judge_metered(
        &self,
        parameters: &str,
        (owner, recorded): (OperatorId, GuestRoom),
        took: impl Fn(u64) + Send + Sync + 'static,
    ) -> Judge {
        let plugin = self.clone();
        let parameters = parameters.to_owned();
        Arc::new(move |columns, state, metering| {
            let terms = Terms { metering, purpose: Purpose::Judge, owner, recorded };
            let mut instance = plugin.instance(terms)?;
            let outcome = instance.call(&parameters, columns, state);
            took(instance.fuel_used());
            outcome
        })
    }

    /// A fresh instance for the host itself, whose calls are bounded as `metering` says. Waits while too many are alive.
    ///
    /// # Errors
    /// A fault of the guest's start functions, or memory it may not or cannot have.
    pub fn instantiate(&self, metering: Metering) -> Result<Instance, RuleFault> {
        self.instantiate_for(Purpose::Judge, metering)
    }

    pub(super) fn instantiate_for(&self, purpose: Purpose, metering: Metering) -> Result<Instance, RuleFault> {
        self.instance(Terms::today(metering, purpose, OperatorId::UNKNOWN))
    }

    fn instance(&self, terms: Terms) -> Result<Instance, RuleFault> {
        Instance::new(&self.compiled, terms, self.info.reasons.len())
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Instance {
    pub(super) fn new(compiled: &Arc<Compiled>, terms: Terms, reasons: usize) -> Result<Self, RuleFault> {
        if compiled.revoked.load(Ordering::Relaxed) {
            return Err(RuleFault::new(FaultKind::Refused, "the plugin was revoked"));
        }
        let Terms { metering, purpose, owner, recorded } = terms;
        let Host { engine, slots, .. } = &*compiled.host;
        let limits = compiled.host.limits.of(owner);
        let slot = slots.take(purpose);
        let room = terms.room(limits);
        let mut store = Store::new(engine, Growth::new(room));
        store.limiter(|growth| growth);
        // No result can be larger than the memory it was made in: this bounds what lists that overlap add up to.
        store.set_hostcall_fuel(usize::try_from(room.memory_bytes_max).unwrap_or(usize::MAX));
        let allowance = Allowance::new(limits, 0, metering, recorded);
        let component = grant(&mut store, allowance).and_then(|()| compiled.component.instantiate(&mut store));
        match component {
            Ok(component) => {
                let compiled = Arc::clone(compiled);
                Ok(Self { store, component, compiled, terms, reasons, granted: allowance.fuel, _slot: slot })
            }
            Err(error) => Err(fault::of_instantiation(&error, &store, allowance)),
        }
    }

    /// Judges one batch. `state` is the state table: the plugin's words per slot, for every slot `columns` names.
    ///
    /// # Errors
    /// A fault, never an outcome with wrong lengths or an unknown reason.
    pub fn call(&mut self, parameters: &str, columns: &Columns<'_>, state: &[u64]) -> Result<Outcome, RuleFault> {
        let arguments: EvaluateParams<'_> = (parameters, columns.into(), state);
        let (result,): EvaluateResult = self.invoke(|compiled| &compiled.evaluate, arguments, columns.len())?;
        let outcome: Outcome = result.map_err(|words| RuleFault::new(FaultKind::Refused, &words))?.into();
        outcome.checked(columns.len(), state.len(), self.reasons)
    }

    /// Fuel that the last call used.
    pub fn fuel_used(&self) -> u64 {
        self.granted.saturating_sub(self.store.get_fuel().unwrap_or(0))
    }

    /// Bytes of its linear memories.
    pub fn memory_bytes(&self) -> u64 {
        self.store.data().memory_bytes as u64
    }

    /// What the plugin says of itself, nothing checked.
    pub(super) fn describe(&mut self) -> Result<Description, RuleFault> {
        let (description,): DescribeResult = self.invoke(|compiled| &compiled.describe, (), 0)?;
        Ok(description)
    }

    /// The first function that is not of the contract's type, and how it differs.
    pub(super) fn mismatch(&mut self) -> Option<(&'static str, wasmtime::Error)> {
        let Self { store, component, compiled, .. } = self;
        let describe = component.get_typed_func::<DescribeParams, DescribeResult>(&mut *store, &compiled.describe);
        let check = component.get_typed_func::<CheckParams<'_>, CheckResult>(&mut *store, &compiled.check);
        let evaluate = component.get_typed_func::<EvaluateParams<'_>, EvaluateResult>(&mut *store, &compiled.evaluate);
        let errors = [(DESCRIBE, describe.err()), (CHECK, check.err()), (EVALUATE, evaluate.err())];
        errors.into_iter().find_map(|(name, error)| error.map(|error| (name, error)))
    }

    fn check(&mut self, parameters: &str) -> Result<Result<(), String>, RuleFault> {
        let (result,): CheckResult = self.invoke(|compiled| &compiled.check, (parameters,), 0)?;
        Ok(result)
    }

    fn invoke<Params, Results>(
        &mut self,
        export: impl FnOnce(&Compiled) -> &ComponentExportIndex,
        arguments: Params,
        alerts: usize,
    ) -> Result<Results, RuleFault>
    where
        Params: ComponentNamedList + Lower,
        Results: ComponentNamedList + Lift,
    {
        let Self { store, component, compiled, terms, granted, .. } = self;
        let Terms { metering, owner, recorded, .. } = *terms;
        let allowance = Allowance::new(compiled.host.limits.of(owner), alerts, metering, recorded);
        *granted = allowance.fuel;
        let answer = grant(store, allowance)
            .and_then(|()| component.get_typed_func::<Params, Results>(&mut *store, export(compiled)))
            .and_then(|function| function.call(&mut *store, arguments));
        let answer = answer.map_err(|error| fault::of_call(&error, store, allowance))?;
        // A guest that makes do with less would decide by a limit that may be another tomorrow.
        match &store.data().denied {
            Some(denied) => Err(RuleFault::new(FaultKind::Memory, denied)),
            None => Ok(answer),
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("metering", &self.terms.metering).finish_non_exhaustive()
    }
}

fn grant(store: &mut Store<Growth>, allowance: Allowance) -> wasmtime::Result<()> {
    store.set_epoch_deadline(allowance.ticks());
    store.set_fuel(allowance.fuel)
}
