//! Opening the store and recovering: the tail of the log is folded over what was written last.
//!
//! It must not know threads. Invariant: what comes out equals what was committed, or an error says where it does not.
//! A rule that no longer does what the log says it did is set aside by name; it never keeps the host from starting.

use std::{
    fs::{self, File, Permissions},
    io::{self, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, clock_gettime};

use crate::{
    admit::{Inventory, Labels},
    books::Ledger,
    config::{Config, ConfigError},
    domain::{CodeTableChange, Digest, Millis, Position, Rule, RuleRevision},
    evaluate::{Divergence, SettingsByNo, Shares, Times},
    intake::{
        LineError,
        plausible::Ranges,
        tables::{CodeTable, CodeTables},
    },
    pipeline::{
        clock::Clock,
        collect::GroupSizing,
        commit::Committer,
        cursors::{Cursors, Moves},
        engine::Engine,
        faults::PassedOver,
        guards::Guards,
        producers::{Producers, RunClock},
        quarantine::Quarantine,
        shared::Shared,
        tokens::Tokens,
    },
    plugin::{self, OWN_PROGRAM, Sandbox, SandboxError},
    registry::{MissingPlugin, Registry, Source, Sources},
    store::{self, Damage, Reader, Snapshot, Store},
};

mod own_changes;
mod recovery;
mod sources;

use own_changes::{OwnChanges, Stop, own_changes};
use recovery::{Recovered, Recovery};
use sources::{barred, load_sources, natives};

/// Where compiled plugins are kept, in the data folder.
const COMPILED_FOLDER: &str = "compiled";

/// How to open the store; called again after it ran out of room.
pub type Opener = Box<dyn Fn() -> Result<Store, store::Error> + Send>;

/// What a pipeline is made of. Tests replace parts; [`Parts::new`] has the real ones.
pub struct Parts {
    /// Limits.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// The time that rules of operators share, and by which jumps of the clock are found.
    pub times: Times,
    /// The store.
    pub open: Opener,
    /// Folder whose free space is watched; `None` for a store that is no file.
    pub folder: Option<PathBuf>,
    /// Where plugins run.
    pub sandbox: Sandbox,
    /// Plugins of native code, there from the start.
    pub natives: Vec<Source>,
    /// How batches come together in groups, where that is not left to time.
    pub grouping: Option<GroupSizing>,
}

impl Parts {
    /// A store in the data folder, the system's clock.
    pub fn new(config: Config) -> Result<Self, StartError> {
        let sandbox =
            Sandbox::confined(&config.plugins, Path::new(OWN_PROGRAM), &config.data_dir.join(COMPILED_FOLDER))?;
        if let Some(missing) = sandbox.check_confinement()?.filter(|found| !found.is_whole()) {
            tracing::warn!(
                %missing,
                "plugins are compiled by processes that are not confined in every way; with plugins.confinement_required \
                 the host would not start"
            );
        }
        let path = config.data_dir.join(store::FILE_NAME);
        keep_private(&path);
        let (limits, acks_kept) = (config.store.clone(), acks_kept(&config));
        Ok(Self {
            folder: Some(config.data_dir.clone()),
            open: Box::new(move || Store::open(&path, &limits, acks_kept)),
            config: Arc::new(config),
            clock: Arc::new(system_clock),
            times: system_times(),
            sandbox,
            natives: Vec::new(),
            grouping: None,
        })
    }
}

/// Takes a store that others could read, made before or copied here, away from them.
pub fn keep_private(store: &Path) {
    let Ok(metadata) = fs::metadata(store) else { return };
    let mode = metadata.permissions().mode();
    if mode & 0o077 == 0 {
        return;
    }
    let file = store.display();
    match fs::set_permissions(store, Permissions::from_mode(0o600)) {
        Ok(()) => tracing::warn!(%file, "others could read the store (mode {:o}); its mode is 600 now", mode & 0o777),
        Err(error) => tracing::warn!(%file, %error, "others can read the store (mode {:o})", mode & 0o777),
    }
}

/// How many answers are kept of each producer: as many as a stream may have open.
pub fn acks_kept(config: &Config) -> u64 {
    config.intake.batches_in_flight_max as u64
}

fn system_clock() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// The time that passes, and that which the thread that asks has worked.
pub fn system_times() -> Times {
    fn time_of(clock: ClockId) -> Duration {
        let time = clock_gettime(clock);
        // Neither is negative; the second is less than a second.
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
    // Unlike the monotonic clock that one goes on while the machine sleeps, as the wall clock does: so waking is no jump.
    let passed = || time_of(ClockId::Boottime);
    Times { passed: Arc::new(passed), worked: Arc::new(|| time_of(ClockId::ThreadCPUTime)) }
}

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The sandbox cannot be set up on this machine.
    #[error("sandbox: {0}")]
    Sandbox(#[from] SandboxError),
    /// The store cannot be opened or read.
    #[error("store: {0}")]
    Store(#[from] store::Error),
    /// A page of device state does not fit the rules.
    #[error("store: {0}")]
    Page(String),
    /// A plugin of the store no longer passes the checks.
    #[error("plugin {0}: {1}; a host that is started with --no-plugins forwards everything instead")]
    Plugin(Digest, plugin::Refusal),
    /// A rule's plugin is gone.
    #[error(transparent)]
    Missing(#[from] MissingPlugin),
    /// The log does not follow from itself, and no rule is to blame.
    #[error(transparent)]
    Diverged(#[from] Divergence),
    /// A code of `protected_codes` cannot be read.
    #[error(transparent)]
    ProtectedCodes(#[from] ConfigError),
    /// A kept table of codes cannot be read.
    #[error("store: table \"code_table\", key {0}: {1}")]
    CodeTable(Position, LineError),
    /// The first admin's token could not be written.
    #[error("first-admin-token: {0}")]
    Token(io::Error),
    /// The pipeline's thread could not be started.
    #[error("pipeline: {0}")]
    Thread(std::io::Error),
}

/// An open store and the memory that goes with it.
pub struct Opened {
    /// The fold's side.
    pub engine: Engine,
    /// The committer's side.
    pub committer: Committer,
    /// The settings that the log names, and today's.
    pub settings: Arc<SettingsByNo>,
}

/// Opens the store and recovers.
pub fn open(parts: &Parts, shared: &Arc<Shared>) -> Result<Opened, StartError> {
    let config = &parts.config;
    let (code_table, plausible) = code_table_once(config, shared)?;
    let mut store = (parts.open)()?;
    let mut snapshot = store.load()?;
    shared.time.begin(snapshot.clock);
    shared.check_clock();
    let mut registry = Registry::load(snapshot.plugins.clone(), snapshot.revisions.clone());
    snapshot.revoked_keys.iter().for_each(|(key, revocation)| registry.revoke_key(*key, revocation.clone()));
    parts.natives.iter().for_each(|native| registry.add_plugin(native.info().clone()));
    let sources = load_sources(parts, shared, &registry, &store.reader())?;
    let without = config.without_plugins;
    let denied = barred(config, &registry)?;
    let idle = |rule: &Rule| without || denied.contains(&rule.plugin);
    let is_idle = |entry: &RuleRevision| entry.rule.as_ref().is_none_or(&idle);
    let settings = SettingsByNo::new(snapshot.settings.iter().cloned(), config.judging()?);
    let reader = store.reader();
    let recover = |snapshot: &Snapshot| -> Result<Recovered, StartError> {
        let recovery = Recovery {
            reader: &reader,
            snapshot,
            registry: &registry,
            sources: &sources,
            settings: &settings,
            copies_rows_max: config.intake.copies_rows_max,
            progress: &shared.progress,
            // What is not called is not verified: the log is taken for every rule.
            obeyed: registry.revisions().filter(|entry| is_idle(entry)).map(|entry| entry.revision).collect(),
        };
        recovery.run()
    };
    let recovered = match recover(&snapshot) {
        // What recovery reads follows from the log, and can be made again where the log still holds it.
        Err(StartError::Store(error)) if error.is_damage() => {
            tracing::error!(%error, "recovery met damage: looking for all of it");
            store.mend()?;
            snapshot = store.load()?;
            recover(&snapshot)
        }
        recovered => recovered,
    };
    let Recovered { state, horizon, ledger, diverged } = recovered?;
    for Damage { table, key, what, .. } in store.mended() {
        tracing::warn!(table, key, what, "a damaged value was made again from the log");
    }
    shared.figures.write().store_values_rebuilt += store.mended().len() as u64;

    let position = snapshot.position;
    let because =
        if without { "the host was started without plugins" } else { "its plugin is in denied_plugins or was revoked" };
    let stop = Stop { diverged: &diverged, settings: &settings, idle: &idle, because };
    let OwnChanges { effects, tokens, chain_of_audit } =
        own_changes((parts, shared.time.now_ms()), &mut snapshot, &mut registry, &stop)?;
    if let Some(effects) = effects {
        store.commit(&effects)?;
    }
    shared.desk.load(&snapshot.questions);
    let tokens = Tokens::load(tokens);
    *shared.tokens.write() = tokens.clone();
    let chain = registry.chain_at(position, &sources, settings.today())?;
    let is_new = snapshot.settings.iter().all(|(no, _)| *no != settings.today_no());
    let (code_tables, code_table_unwritten) = code_tables(&mut snapshot, code_table)?;
    let (devices, placements) = (std::mem::take(&mut snapshot.devices), std::mem::take(&mut snapshot.placements));
    let inventory = Inventory::load(devices, placements, std::mem::take(&mut snapshot.models));
    let labels = Labels::load(std::mem::take(&mut snapshot.labels), |no| inventory.get(no).operator);
    *shared.labels.write() = labels.table();
    let ran = RunClock::after(snapshot.ran_ms, Arc::clone(&parts.times.passed));
    let producers = Producers::load(std::mem::take(&mut snapshot.producers), &config.intake, ran);
    let cursors = Cursors::load(std::mem::take(&mut snapshot.cursors));
    *shared.cursors.write() = cursors.clone();
    snapshot.faults.iter().for_each(|(rule, fault)| shared.publish_fault(rule, fault.clone()));
    let sources = if without { natives(parts) } else { sources };
    publish(shared, &registry, sources, &inventory, ledger, store.reader());
    *shared.code_tables.write() = Some(Arc::new(code_tables));
    shared.log_end.send_replace(position);
    let committer = Committer {
        store,
        shared: Arc::clone(shared),
        limits: config.store.clone(),
        folder: parts.folder.clone(),
        looked: None,
        state_from: snapshot.replay_from,
        freed: true,
    };
    let time = Arc::clone(shared);
    let mut engine = Engine {
        config: Arc::clone(config),
        clock: Arc::new(move || time.time.now_ms()),
        plausible,
        inventory,
        labels,
        state,
        horizon,
        registry,
        chain,
        producers,
        producers_dropped: Vec::new(),
        position,
        shares: Shares::new(&config.plugins.operator, parts.times.clone()),
        quarantine: Quarantine::new(&config.plugins),
        faults: snapshot.faults.iter().cloned().collect(),
        handovers: snapshot.handovers.iter().copied().collect(),
        passed_over: PassedOver::default(),
        trial_at_ms: Millis::MAX,
        end_at_ms: Millis::MAX,
        code_table_unwritten,
        settings_unwritten: is_new.then(|| settings.today().kept.clone()),
        settings: settings.today_no(),
        guards: Guards::load(std::mem::take(&mut snapshot.guards)),
        tokens,
        cursors,
        moves: Moves::default(),
        chain_of_audit,
        audit_pending: Vec::new(),
        shared: Arc::clone(shared),
    };
    engine.fit_state();
    engine.plan_trials();
    engine.plan_ends();
    engine.guards.watch(&engine.registry.rules());
    Ok(Opened { engine, committer, settings: Arc::new(settings) })
}

/// The table of codes, and what is plausible by it: as they were read first.
fn code_table_once(config: &Config, shared: &Shared) -> Result<(CodeTable, Arc<Ranges>), ConfigError> {
    if let Some(known) = shared.code_table.get() {
        return Ok(known.clone());
    }
    let table = code_table(config)?;
    let ranges = Arc::new(table.ranges());
    Ok(shared.code_table.get_or_init(|| (table, ranges)).clone())
}

/// The tables that alerts were logged under, with today's. Where today's is another one than the last, it is to be written
/// with the first alerts that are logged under it.
fn code_tables(snapshot: &mut Snapshot, today: CodeTable) -> Result<(CodeTables, Option<CodeTableChange>), StartError> {
    let kept = std::mem::take(&mut snapshot.code_tables).into_iter().map(|(since, table)| {
        let read = CodeTable::default().with_file(table.as_bytes());
        read.map(|table| (since, table)).map_err(|error| StartError::CodeTable(since, error))
    });
    let mut kept: Vec<(Position, CodeTable)> = kept.collect::<Result<_, _>>()?;
    // A table under which the log has no alert any more.
    let over = kept.iter().skip(1).take_while(|(since, _)| *since <= snapshot.extent.oldest).count();
    let mut dropped: Vec<Position> = kept.drain(..over).map(|(since, _)| since).collect();
    // A group of which every alert was rejected writes a table under which nothing is logged: another one replaces it.
    dropped.extend(kept.iter().map(|(since, _)| *since).filter(|since| *since >= snapshot.position));
    let (tables, new) = CodeTables::new(kept, today, snapshot.position);
    let change = new.map(|new| {
        tracing::info!(since = new.since.0, "alerts are logged under another table of codes");
        CodeTableChange { since: new.since, table: new.table.to_csv(), dropped }
    });
    Ok((tables, change))
}

/// The table of alert codes that the host goes by.
pub fn code_table(config: &Config) -> Result<CodeTable, ConfigError> {
    let Some(path) = &config.code_table else { return Ok(CodeTable::builtin()) };
    let refused = |why: String| ConfigError::Value {
        field: "code_table".to_owned(),
        message: format!("{}: {why}", path.display()),
    };
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
    CodeTable::builtin().with_file(BufReader::new(file)).map_err(|error| refused(error.to_string()))
}

fn publish(
    shared: &Shared,
    registry: &Registry,
    sources: Sources,
    inventory: &Inventory,
    ledger: Ledger,
    reader: Reader,
) {
    *shared.registry.write() = registry.clone();
    *shared.sources.write() = sources;
    *shared.models.write() = Arc::new(inventory.models().clone());
    *shared.ledger.write() = ledger;
    *shared.reader.write() = Some(reader);
}
