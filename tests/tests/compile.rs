//! Components are compiled by processes of their own: a bomb is stopped and named, the host and its neighbours do not
//! notice, and no machine code is loaded but what this host has made.

use std::{fmt::Write, fs, path::Path, thread, time::Duration};

use weir_host::{
    config::PluginLimits,
    domain::OperatorId,
    plugin::{Refusal, Sandbox},
};
use weir_tests::host::Host;

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const NO_PROGRAM: &str = "/no/such/program";

fn confined(limits: &PluginLimits, program: &str, folder: &Path) -> Sandbox {
    Sandbox::confined(limits, Path::new(program), folder).unwrap()
}

fn threshold() -> Vec<u8> {
    fs::read(env!("WEIR_GUEST_THRESHOLD")).unwrap()
}

/// A valid component of one function that is much work to compile: `values` values that are all alive at once, through
/// a loop, so that each has to be kept somewhere.
fn bomb(values: usize) -> Vec<u8> {
    let mut body = String::new();
    for at in 0..values {
        let (a, b) = (at * 7 % 500, at * 13 % 500);
        writeln!(body, "(local.set {} (i64.add (local.get {a}) (i64.mul (local.get {b}) (i64.const {at}))))", at % 500)
            .unwrap();
    }
    let locals = "i64 ".repeat(500);
    let text = format!(
        "(component (core module (func (export \"f\") (local {locals}) (loop {body} (br_if 0 (i64.eqz (local.get 7)))))))"
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn a_worker_makes_what_this_process_would() {
    let folder = tempfile::tempdir().unwrap();
    let limits = PluginLimits::default();
    let here = Sandbox::new(&limits).unwrap().load(&threshold(), 7).unwrap();
    let there = confined(&limits, BINARY, folder.path()).load(&threshold(), 7).unwrap();
    assert_eq!(there.info(), here.info());
    let parameters = r#"{"codes":["8F40"],"below_dv":2580}"#;
    assert_eq!(there.check(parameters, OperatorId::UNKNOWN), Ok(()));
    assert_eq!(there.check("{}", OperatorId::UNKNOWN), here.check("{}", OperatorId::UNKNOWN));
}

#[test]
fn what_was_made_is_kept_and_nothing_else_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let limits = PluginLimits::default();
    let plugin = confined(&limits, BINARY, folder.path()).load(&threshold(), 7).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the key before it is taken");
    plugin.keep();
    // Without a program that compiles, only what is kept can be loaded.
    let kept = |limits: &PluginLimits| confined(limits, NO_PROGRAM, folder.path()).load(&threshold(), 7);
    assert!(kept(&limits).is_ok());

    let artefact = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let artefact = artefact.into_iter().find(|path| !path.ends_with("key")).expect("there is one");
    let mut bytes = fs::read(&artefact).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&artefact, bytes).unwrap();
    assert!(matches!(kept(&limits), Err(Refusal::Worker { .. })), "changed: it would have to be compiled again");
    confined(&limits, BINARY, folder.path()).load_known(&threshold(), 7).expect("and is");
    assert!(kept(&limits).is_ok());

    fs::remove_file(folder.path().join("key")).unwrap();
    assert!(matches!(kept(&limits), Err(Refusal::Worker { .. })), "of another host");
}

/// Whoever may upload could fill the disk with them.
#[test]
fn nothing_is_kept_of_a_component_that_is_no_plugin() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = confined(&PluginLimits::default(), BINARY, folder.path());
    sandbox.load(&small(), 0).expect_err("it is no plugin");
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["key"]);
}

#[test]
fn a_component_that_takes_too_long_is_stopped_by_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let limits = PluginLimits { compile_ms_max: 300, ..PluginLimits::default() };
    let sandbox = confined(&limits, BINARY, folder.path());
    let refusal = sandbox.load(&bomb(400_000), 0).unwrap_err();
    assert_eq!(refusal, Refusal::CompileTime { limit: "300 ms (plugins.compile_ms_max)".to_owned() });
    sandbox.load(&small(), 0).expect_err("it is no plugin");
}

/// A component that compiles in no time and is no plugin.
fn small() -> Vec<u8> {
    wat::parse_str("(component)").unwrap()
}

#[test]
fn a_component_that_takes_too_much_processor_time_is_stopped_by_the_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let limits = PluginLimits { compile_cpu_s_max: 1, ..PluginLimits::default() };
    let refusal = confined(&limits, BINARY, folder.path()).load(&bomb(400_000), 0).unwrap_err();
    let limit = "1 s of processor time (plugins.compile_cpu_s_max)".to_owned();
    assert_eq!(refusal, Refusal::CompileTime { limit });
}

#[test]
fn a_component_that_takes_too_much_memory_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let limits = PluginLimits { compile_memory_bytes_max: 256 << 20, ..PluginLimits::default() };
    let refusal = confined(&limits, BINARY, folder.path()).load(&bomb(400_000), 0).unwrap_err();
    let limit = "268435456 bytes (plugins.compile_memory_bytes_max)".to_owned();
    assert_eq!(refusal, Refusal::CompileMemory { limit });
}

#[test]
fn code_that_is_too_large_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let limits = PluginLimits { compiled_bytes_max: 10_000, ..PluginLimits::default() };
    let refusal = confined(&limits, BINARY, folder.path()).load(&threshold(), 0).unwrap_err();
    let limit = "10000 bytes (plugins.compiled_bytes_max)".to_owned();
    assert_eq!(refusal, Refusal::CompileMemory { limit });
}

#[test]
fn a_third_component_at_once_is_sent_away() {
    let folder = tempfile::tempdir().unwrap();
    let limits = PluginLimits { compile_ms_max: 4_000, ..PluginLimits::default() };
    let sandbox = confined(&limits, BINARY, folder.path());
    let bombs = [bomb(400_000), bomb(400_001)];
    thread::scope(|scope| {
        let two = bombs.each_ref().map(|bomb| scope.spawn(|| sandbox.load(bomb, 0)));
        thread::sleep(Duration::from_millis(1_000));
        assert_eq!(sandbox.load(&small(), 0).unwrap_err(), Refusal::Busy { at_once: 2 });
        for bomb in two {
            assert!(matches!(bomb.join().unwrap(), Err(Refusal::CompileTime { .. })));
        }
    });
    assert!(!matches!(sandbox.load(&small(), 0), Err(Refusal::Busy { .. })), "their turns are over");
}

#[test]
fn what_the_compiler_refuses_is_said_in_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = confined(&PluginLimits::default(), BINARY, folder.path());
    let mut broken = threshold();
    broken.truncate(broken.len() - 100);
    let here = Sandbox::new(&PluginLimits::default()).unwrap().load(&broken, 0).unwrap_err();
    assert!(matches!(here, Refusal::Malformed { .. }), "{here}");
    assert_eq!(sandbox.load(&broken, 0).unwrap_err(), here);
}

/// Through the real binary: the bomb is named, the plugin beside it works, and a second start finds it compiled.
#[test]
fn a_host_survives_a_bomb_and_starts_from_what_it_kept() {
    let folder = tempfile::tempdir().unwrap();
    let bomb_file = folder.path().join("bomb.wasm");
    fs::write(&bomb_file, bomb(400_000)).unwrap();
    let data = folder.path().join("data");
    // By processor time: a machine that is busy must not take the plugin for a bomb.
    let settings = [("WEIR_PLUGINS__COMPILE_MS_MAX", "60000"), ("WEIR_PLUGINS__COMPILE_CPU_S_MAX", "2")];
    let host = Host::start_with(BINARY, &data, &settings);
    let pushed = host.weir(["plugin", "push", bomb_file.to_str().unwrap()]);
    assert_eq!(pushed.status.code(), Some(64));
    let said = String::from_utf8_lossy(&pushed.stderr).into_owned();
    assert!(said.contains("compiling the component took more than") && said.contains("plugins.compile_"), "{said}");
    host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"]);
    assert_eq!(host.stop(), Some(0));

    let compiled = fs::read_dir(data.join("compiled")).unwrap().count();
    assert_eq!(compiled, 2, "the key, and the code of one plugin");
    let host = Host::start_with(BINARY, &data, &settings);
    assert_eq!(host.json(["plugin", "list", "--json"]).len(), 1);
    assert_eq!(host.stop(), Some(0));
}
