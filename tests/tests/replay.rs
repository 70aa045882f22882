//! Promise 3: live == replay. The log folded from its start gives the same verdicts, counts and state bytes, in groups
//! of any size and with the devices shared out over threads.

use std::{collections::HashMap, ops::Range, sync::Arc};

use weir_host::{
    books::Ledger,
    domain::{DevicePage, Fault, FaultKind, Group, Position, Shadow},
    evaluate::{Chain, Replay},
    pipeline::acks_kept,
    registry::{Registry, Source, Sources},
    store::Store,
};
use weir_tests::{
    disk::Disk,
    engine::{self, natives},
    workload::{Random, Size, seed, steps, together},
};

const SIZE: Size = Size { steps: 120, devices: 2600, batch: 400 };

/// What a run left: its log, its rules, and what it had in memory, as the last checkpoint wrote it.
struct Recorded {
    groups: Vec<Group>,
    registry: Registry,
    pages: Vec<DevicePage>,
    hours: Vec<weir_host::domain::HourPage>,
    position: Position,
}

fn record(stated: u64) -> Recorded {
    let seed = seed(stated);
    let disk = Disk::default();
    let steps = steps(seed, SIZE);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut config = engine::config();
        config.plugins.shadow_batches_waiting_max = 0;
        let (handle, runner, groups) = engine::start_grouped(&disk, config).unwrap();
        handle.set_rule(engine::rule("frail", 1, 2)).await.unwrap();
        handle.set_rule(engine::shadow("shade", "every", 2, 2)).await.unwrap();
        let mut random = Random::new(seed);
        for together in together(seed, &steps) {
            // In one group of four there is no time for the shadow.
            let waiting = usize::from(random.below(4) == 0);
            groups.perform(&handle, together, waiting).await.unwrap();
        }
        handle.shutdown().await.unwrap();
        runner.join();
    });
    let config = engine::config();
    let store = Store::with_backend(disk, &config.store, acks_kept(&config)).unwrap();
    let snapshot = store.load().unwrap();
    let reader = store.reader();
    let mut registry = Registry::load(snapshot.plugins, snapshot.revisions);
    natives().iter().for_each(|native| registry.add_plugin(native.info().clone()));
    Recorded {
        groups: reader.groups(Position(0)).unwrap().map(Result::unwrap).collect(),
        registry,
        pages: reader.pages().unwrap().map(Result::unwrap).collect(),
        hours: reader.hours(0..u32::MAX).unwrap().map(Result::unwrap).collect(),
        position: snapshot.position,
    }
}

fn sources() -> Sources {
    natives().into_iter().map(|native: Source| (native.info().digest, native)).collect()
}

fn chain_at(registry: &Registry, position: Position) -> Chain {
    let settings = engine::config().judging().unwrap();
    registry.chain_at(position, &sources(), &Arc::new(settings.into())).unwrap()
}

/// Folds groups from nothing; devices of one part only, where one is given.
fn fold(recorded: &Recorded, groups: &[Group], part: Option<(u32, u32)>) -> Replay {
    let mut replay = Replay { part, ..Replay::default() };
    for group in groups {
        let chain = chain_at(&recorded.registry, group.first);
        replay.fold(&chain, group).unwrap();
    }
    replay.state.retain(&recorded.registry.live_namespaces());
    replay
}

/// Pages without when they were written, and without what rules that are gone had kept: a page that nothing touched
/// since is not written again for that.
fn comparable(recorded: &Recorded, mut pages: Vec<DevicePage>) -> Vec<DevicePage> {
    let live = recorded.registry.live_namespaces();
    for page in &mut pages {
        page.as_of = Position(0);
        page.namespaces.retain(|kept| !kept.device.is_empty() && live.contains(&kept.namespace));
        page.namespaces.sort_by_key(|kept| kept.namespace);
    }
    pages
}

/// Says where pages differ, without printing all of them.
fn same(found: &[DevicePage], expected: &[DevicePage], context: &str) {
    assert_eq!(found.len(), expected.len(), "{context}: number of pages");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.tallies == expected.tallies, "{context}: tallies of page {}", found.no);
        assert!(found.series == expected.series, "{context}: series of page {}", found.no);
        for (a, b) in found.namespaces.iter().zip(&expected.namespaces) {
            assert!(a == b, "{context}: page {}, namespaces {:?} and {:?}", found.no, a.namespace, b.namespace);
        }
        assert_eq!(found.namespaces.len(), expected.namespaces.len(), "{context}: namespaces of page {}", found.no);
    }
}

/// Cuts groups into pieces of `rows`, faults with them, where no turn of the rules lies between.
fn cut(groups: &[Group], rows: usize) -> Vec<Group> {
    groups.iter().flat_map(|group| (0..group.rows.len()).step_by(rows).map(|from| piece(group, from, rows))).collect()
}

fn piece(group: &Group, from: usize, rows: usize) -> Group {
    let to = (from + rows).min(group.rows.len());
    let r = &group.rows;
    let overlap = |fault: &Fault| {
        let (first, last) = (fault.first_row.max(from as u32), (fault.first_row + fault.row_count).min(to as u32));
        (first < last).then(|| Fault { first_row: first - from as u32, row_count: last - first, ..fault.clone() })
    };
    Group {
        first: group.first.after(from),
        judged_ms: group.judged_ms,
        settings: group.settings,
        rows: weir_host::domain::Rows {
            device_no: r.device_no[from..to].to_vec(),
            device: r.device[from..to].to_vec(),
            recipient: r.recipient[from..to].to_vec(),
            counter: r.counter[from..to].to_vec(),
            code: r.code[from..to].to_vec(),
            occurred_ms: r.occurred_ms[from..to].to_vec(),
            received_ms: r.received_ms[from..to].to_vec(),
            measurement: r.measurement[from..to].to_vec(),
            weight: r.weight[from..to].to_vec(),
            flags: r.flags[from..to].to_vec(),
            operator: r.operator[from..to].to_vec(),
            model: r.model[from..to].to_vec(),
            dcc_ms: r.dcc_ms[from..to].to_vec(),
            remarks: r.remarks[from..to].to_vec(),
            sender: r.sender[from..to].to_vec(),
            instruction: r.instruction[from..to].to_vec(),
            digest: r.digest[from..to].to_vec(),
            time_status: r.time_status[from..to].to_vec(),
            details: r
                .details
                .iter()
                .filter(|(row, _)| (from..to).contains(&(*row as usize)))
                .map(|(row, details)| (row - from as u32, *details))
                .collect(),
        },
        marks: group.marks.clone(),
        mark: group.mark[from..to].to_vec(),
        withheld: group.withheld[from..to].to_vec(),
        rejected: if from == 0 { group.rejected.clone() } else { Vec::new() },
        faults: group.faults.iter().filter_map(overlap).collect(),
        shadows: group.shadows.iter().filter_map(|shadow| said(shadow, from..to)).collect(),
        remembered_from: group.remembered_from,
    }
}

/// What a shadow said of some rows; nothing where it was shown none of them.
fn said(shadow: &Shadow, rows: Range<usize>) -> Option<Shadow> {
    let said = shadow.said[rows].to_vec();
    said.iter().any(|said| *said > 0).then_some(Shadow { rule: shadow.rule, said })
}

#[test]
fn the_log_folded_from_its_start_gives_what_was_committed() {
    let recorded = record(1);
    let faults = recorded.groups.iter().flat_map(|group| &group.faults);
    assert!(faults.clone().any(|fault| fault.kind == FaultKind::Trap), "the frail rule must have failed");
    assert!(faults.clone().any(|fault| fault.kind == FaultKind::Shed), "the shadow must have been shed");
    let said = recorded.groups.iter().flat_map(|group| &group.shadows).flat_map(|shadow| &shadow.said);
    assert!(said.filter(|said| **said == 2).count() > 1_000, "the shadow must have wanted to suppress");
    assert!(recorded.registry.turning_points().len() > 5, "the rules must have changed midway");

    let replay = fold(&recorded, &recorded.groups, None);
    let folded = comparable(&recorded, replay.state.all_pages(recorded.position));
    same(&folded, &comparable(&recorded, recorded.pages.clone()), "from the start");

    let mut ledger = Ledger::default();
    recorded.groups.iter().for_each(|group| ledger.add(group));
    let cells = |pages: Vec<weir_host::domain::HourPage>| -> HashMap<u32, _> {
        pages.into_iter().map(|page| (page.hour, page.cells)).collect()
    };
    assert_eq!(cells(ledger.pages()), cells(recorded.hours));
}

#[test]
fn group_sizes_do_not_matter() {
    let recorded = record(2);
    let pages =
        |groups: &[Group]| comparable(&recorded, fold(&recorded, groups, None).state.all_pages(recorded.position));
    let whole = pages(&recorded.groups);
    for rows in [1, 7, 100, 5000] {
        let pieces = cut(&recorded.groups, rows);
        same(&pages(&pieces), &whole, &format!("groups of {rows}"));
    }
}

#[test]
fn threads_do_not_matter() {
    let recorded = record(3);
    let whole = fold(&recorded, &recorded.groups, None);
    for threads in [2, 3, 8] {
        let parts: Vec<Replay> = std::thread::scope(|scope| {
            let part = |which| {
                scope.spawn({
                    let recorded = &recorded;
                    move || fold(recorded, &recorded.groups, Some((which, threads)))
                })
            };
            let running: Vec<_> = (0..threads).map(part).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for device in 0..SIZE.devices as u32 {
            let no = weir_host::domain::DeviceNo(device);
            let part = &parts[(device % threads) as usize].state;
            assert_eq!(part.tally(no), whole.state.tally(no), "device {device} of {threads} threads");
            let words = |state: &weir_host::evaluate::State| -> Vec<(u32, u16, Vec<u64>)> {
                let mut entries: Vec<_> = state.entries(no).map(|(n, code, w)| (n.0, code, w.to_vec())).collect();
                entries.sort();
                entries
            };
            assert_eq!(words(part), words(&whole.state), "device {device} of {threads} threads");
        }
    }
}

#[test]
fn a_changed_record_is_found() {
    let mut recorded = record(4);
    let mut random = Random::new(seed(4));
    let group = loop {
        let at = random.below(recorded.groups.len() as u64) as usize;
        if recorded.groups[at].marks.len() > 1 {
            break at;
        }
    };
    let group = &mut recorded.groups[group];
    let row = group.rows.len() / 2;
    group.mark[row] = (group.mark[row] + 1) % group.marks.len() as u16;
    let position = group.first.after(row);

    let mut replay = Replay::default();
    let found = recorded.groups.iter().find_map(|group| {
        let chain = chain_at(&recorded.registry, group.first);
        replay.fold(&chain, group).err()
    });
    assert_eq!(found.map(|divergence| divergence.position), Some(position));
}

#[test]
fn a_changed_word_of_a_shadow_is_found() {
    let mut recorded = record(5);
    let with_shadow = |group: &&mut Group| group.shadows.iter().any(|shadow| shadow.said.iter().any(|said| *said > 0));
    let group = recorded.groups.iter_mut().rev().find(with_shadow).unwrap();
    let said = &mut group.shadows[0].said;
    let row = said.iter().position(|said| *said > 0).unwrap();
    said[row] = 3 - said[row];
    let expected = (group.first.after(row), group.shadows[0].rule);

    let mut replay = Replay::default();
    let found = recorded.groups.iter().find_map(|group| {
        let chain = chain_at(&recorded.registry, group.first);
        replay.fold(&chain, group).err()
    });
    assert_eq!(found.map(|divergence| (divergence.position, divergence.rule)), Some(expected));
}
