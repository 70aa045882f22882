//! The plugins of a store, loaded at the start.
//!
//! Invariant: whatever the machine does besides, a plugin that was taken is loaded again; only one that this version refuses
//! by itself keeps the host from starting, and then by name.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    config::{Config, ConfigError},
    domain::{Digest, FaultKind, Judge, PluginInfo, RuleFault},
    pipeline::{
        open::{Parts, StartError},
        progress::Progress,
        shared::Shared,
    },
    registry::{Registry, Source, Sources},
    store::Reader,
};

/// Plugins that are loaded at once: as many as are compiled at once.
const AT_ONCE: usize = 2;

pub(super) fn natives(parts: &Parts) -> Sources {
    parts.natives.iter().map(|native| (native.info().digest, native.clone())).collect()
}

/// Plugins that stand in the chain and are never called.
fn stand_ins(registry: &Registry) -> Sources {
    let fault = || RuleFault::new(FaultKind::Refused, "no plugin was loaded");
    let judge: Judge = Arc::new(move |_, _, _| Err(fault()));
    let stand_in = |info: &PluginInfo| {
        let judge = Arc::clone(&judge);
        Source::Native(Box::new(info.clone()), Arc::new(move |_| Arc::clone(&judge)))
    };
    registry.plugins().into_iter().map(|info| (info.digest, stand_in(info))).collect()
}

/// Plugins that are not run: those of the settings, and those that were revoked.
pub(super) fn barred(config: &Config, registry: &Registry) -> Result<BTreeSet<Digest>, ConfigError> {
    let mut barred = config.denied_digests()?;
    barred.extend(registry.plugins().into_iter().filter(|info| info.revoked.is_some()).map(|info| info.digest));
    Ok(barred)
}

/// Loads every plugin of the store: any of them may be named by a rule or by the log's tail.
pub(super) fn load_sources(
    parts: &Parts,
    shared: &Shared,
    registry: &Registry,
    reader: &Reader,
) -> Result<Sources, StartError> {
    if parts.config.without_plugins {
        return Ok(stand_ins(registry));
    }
    let mut sources = natives(parts);
    let denied = barred(&parts.config, registry)?;
    sources.extend(stand_ins(registry).into_iter().filter(|(digest, _)| denied.contains(digest)));
    let named: BTreeSet<Digest> =
        registry.revisions().filter_map(|entry| entry.rule.as_ref()).map(|rule| rule.plugin).collect();
    let wanted: Vec<&PluginInfo> =
        registry.plugins().into_iter().filter(|info| !denied.contains(&info.digest)).collect();
    let sandbox = &parts.sandbox;
    let load = |info: &PluginInfo| {
        let Some(bytes) = reader.plugin(&info.digest)? else { return Ok(None) };
        match sandbox.load_known(&bytes, info.uploaded_ms) {
            Ok(plugin) => Ok(Some((info.digest, Source::Component(plugin)))),
            Err(refusal) if named.contains(&info.digest) => Err(StartError::Plugin(info.digest, refusal)),
            Err(refusal) => {
                tracing::warn!(plugin = info.name, %refusal, "a plugin that no rule ever used is refused");
                Ok(None)
            }
        }
    };
    let report = |done| {
        shared.progress.send_replace(Progress::Loading { done, of: wanted.len() });
    };
    report(0);
    for loaded in each(&wanted, |info| load(info), report) {
        sources.extend(loaded?);
    }
    parts.sandbox.sweep();
    Ok(sources)
}

/// Does something with each of a list, a few at a time, and tells how many are done. After an error no other is begun.
fn each<T: Sync, D: Send, E: Send>(
    list: &[T],
    act: impl Fn(&T) -> Result<D, E> + Sync,
    report: impl Fn(usize) + Sync,
) -> Vec<Result<D, E>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(list.len()));
    let work = || {
        while let Some(one) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = act(one);
            if result.is_err() {
                next.store(list.len(), Ordering::Relaxed);
            }
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push(result);
            report(results.len());
        }
    };
    thread::scope(|scope| {
        (1..AT_ONCE.min(list.len())).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_done_once_and_none_after_an_error() {
        let list: Vec<u32> = (0..100).collect();
        let most = AtomicUsize::new(0);
        let mut done = each(
            &list,
            |one| Ok::<_, u32>(*one),
            |count| {
                most.fetch_max(count, Ordering::Relaxed);
            },
        );
        done.sort_unstable();
        assert_eq!(done, list.iter().copied().map(Ok).collect::<Vec<_>>());
        assert_eq!(most.into_inner(), 100);
        let done = each(&list, |one| if *one == 0 { Err(*one) } else { Ok(*one) }, |_| ());
        assert!(done.contains(&Err(0)) && done.len() <= 100);
        assert!(each(&[] as &[u32], |one| Ok::<_, u32>(*one), |_| ()).is_empty());
    }
}
