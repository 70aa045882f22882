//! What is not taken as a plugin, each refusal by its name.

use super::{ALERTS, probe, refusal, sandbox};
use crate::{
    config::PluginLimits,
    domain::{FaultKind, Metering, OperatorId},
    plugin::{Refusal, Sandbox, SandboxError},
};

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[track_caller]
fn malformed(bytes: &[u8], part: &str) {
    let refusal = refusal(bytes);
    assert!(matches!(refusal, Refusal::Malformed { .. }), "{refusal:?}");
    assert!(refusal.to_string().contains(part), "{refusal}");
}

#[test]
fn what_is_not_webassembly_is_told_by_its_beginning() {
    for (bytes, start) in [(&b""[..], ""), (b"PK\x03\x04....", "PK\\x03\\x04...."), (b"(component)", "(compone")] {
        assert_eq!(refusal(bytes), Refusal::NotWasm { start: start.to_owned() });
    }
    malformed(b"\0asm", "invalid");
    malformed(b"\0asm\x0d\0\x01\0garbage", "invalid");
    malformed(b"\0asm\xff\xff\xff\xff", "invalid");
}

#[test]
fn a_component_that_was_cut_short_is_refused() {
    let bytes = probe(&[]);
    // One cut leaves all but the last section, which only has names for debuggers.
    let taken = (0..bytes.len()).filter(|end| sandbox().load(&bytes[..*end], 0).is_ok()).count();
    assert_eq!(taken, 1);
}

/// Most damage is refused, some makes another plugin; none may take the host along or go without a name.
#[test]
fn damaged_components_are_refused_or_run_under_limits() {
    const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut state = SEED;
    // Xorshift: any damage will do, as long as it is the same every time.
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let good = probe(&[]);
    let mut refused = 0;
    for round in 0..200 {
        let mut bytes = good.clone();
        for _ in 0..=random(3) {
            // Behind the preamble, which other tests damage.
            let at = 8 + random(good.len() - 8);
            bytes[at] = random(256) as u8;
        }
        match sandbox().load(&bytes, 0) {
            Ok(plugin) => drop(plugin.judge("v", OperatorId::UNKNOWN, PluginLimits::default().room())(
                &ALERTS,
                &[1, 2],
                Metering::Live,
            )),
            Err(Refusal::CompilerPanic { detail }) => panic!("seed {SEED:#x}, round {round}: {detail}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 100, "seed {SEED:#x}: only {refused} were refused");
}

#[test]
fn a_core_module_gets_told_how_to_become_a_component() {
    let refusal = refusal(&component("(module (func (export \"evaluate\")))"));
    assert_eq!(refusal, Refusal::CoreModule);
    assert!(refusal.to_string().contains("wasm-tools component new"));
}

#[test]
fn too_many_bytes_are_refused_unread() {
    let limits = PluginLimits { upload_bytes_max: 100, ..PluginLimits::default() };
    let sandbox = Sandbox::new(&limits).unwrap();
    assert_eq!(sandbox.load(&[0; 101], 0).unwrap_err(), Refusal::TooLarge { bytes: 101, bytes_max: 100 });
    assert!(matches!(sandbox.load(&[0; 100], 0).unwrap_err(), Refusal::NotWasm { .. }));
}

#[test]
fn imports_are_named_and_wasi_gets_its_advice() {
    let wasi = r#"(component (import "wasi:cli/environment@0.2.0" (instance
        (export "get-arguments" (func (result (list string)))))))"#;
    let refusal = super::refusal(&component(wasi));
    let names = vec!["wasi:cli/environment@0.2.0#get-arguments".to_owned()];
    assert_eq!(refusal, Refusal::Imports { names, more: 0 });
    assert!(refusal.to_string().contains("wasm32-unknown-unknown"), "{refusal}");

    let mixed = r#"(component
        (import "now" (func (result u64)))
        (import "m" (core module))
        (import "a:b/c" (instance
            (export "cell" (type (sub resource)))
            (export "n1" (func)) (export "n2" (func)) (export "n3" (func)))))"#;
    let refusal = super::refusal(&component(mixed));
    let names = ["now", "m", "a:b/c#cell", "a:b/c#n1", "a:b/c#n2"].map(str::to_owned).to_vec();
    assert_eq!(refusal, Refusal::Imports { names, more: 1 });
    assert!(!refusal.to_string().contains("wasm32"), "{refusal}");
}

#[test]
fn a_missing_export_is_named() {
    for (name, line) in [
        ("describe", "(export \"describe\" (func $describe))"),
        ("check", "(export \"check\" (func $check))"),
        ("evaluate", "(export \"evaluate\" (func $evaluate))"),
    ] {
        assert_eq!(refusal(&probe(&[(line, "")])), Refusal::MissingExport { name });
    }
}

#[test]
fn an_export_of_another_type_is_named_with_the_difference() {
    let other_field = probe(&[("(field \"weight\" (list u32))", "(field \"weights\" (list u32))")]);
    let Refusal::WrongExport { name: "evaluate", what } = refusal(&other_field) else { panic!("another refusal") };
    assert!(what.contains("weight"), "{what}");

    let other_key = probe(&[("\"device-and-code\"", "\"code\"")]);
    let Refusal::WrongExport { name: "describe", what } = refusal(&other_key) else { panic!("another refusal") };
    assert!(what.contains("device-and-code"), "{what}");

    let no_function = probe(&[("(export \"check\" (func $check))", "(export \"check\" (instance $types))")]);
    let Refusal::WrongExport { name: "check", what } = refusal(&no_function) else { panic!("another refusal") };
    assert_eq!(what, "it is an instance, not a function");
}

#[test]
fn features_that_are_off_are_refused() {
    let with = |text: &str| probe(&[("(;MORE;)", text)]);
    malformed(&with("(memory 1 1 shared)"), "threads");
    malformed(&with("(memory i64 1)"), "memory64");
    malformed(&with("(tag $t)"), "exceptions");
    malformed(&with("(type (struct))"), "gc");
    malformed(
        &with("(func (param v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))"),
        "relaxed",
    );
    // On: components of other toolchains need it.
    assert!(sandbox().load(&with("(memory 1) (memory 1)"), 0).is_ok());
}

#[test]
fn an_asynchronous_export_is_refused_and_never_called() {
    let lifted = probe(&[
        (
            "(canon lift (core func $i \"describe\") (memory $memory))",
            "(canon lift (core func $i \"describe\") (memory $memory) async)",
        ),
        ("(func $describe (result $description)", "(func $describe async (result $description)"),
    ]);
    malformed(&lifted, "async");
    let typed_only = probe(&[("(func $describe (result $description)", "(func $describe async (result $description)")]);
    malformed(&typed_only, "async");
}

#[test]
fn more_than_an_instance_may_have_is_refused_at_once() {
    let denied = |bytes: &[u8], what: &str| {
        let refusal = refusal(bytes);
        assert!(
            matches!(&refusal, Refusal::Describe { kind: FaultKind::Memory, detail } if detail.contains(what)),
            "{refusal:?}"
        );
    };
    denied(&probe(&[("(memory (export \"memory\") 1)", "(memory (export \"memory\") 1025)")]), "67174400");
    denied(&probe(&[("(table 1 funcref)", "(table 100001 funcref)")]), "100001");
    malformed(&probe(&[("(;MORE;)", &"(memory 0)".repeat(8))]), "memories");
    let instances = "(core instance (instantiate $probe))".repeat(32);
    malformed(
        &probe(&[(
            "(core instance $i (instantiate $probe))",
            &format!("(core instance $i (instantiate $probe)){instances}"),
        )]),
        "33 core module instances",
    );
}

#[test]
fn a_plugin_that_fails_before_it_describes_itself_is_refused() {
    let fault = |bytes: &[u8]| match refusal(bytes) {
        Refusal::Describe { kind, detail } => (kind, detail),
        other => panic!("another refusal: {other}"),
    };
    let (kind, detail) = fault(&probe(&[("(;DESCRIBE;)", "unreachable")]));
    assert_eq!((kind, detail.as_str()), (FaultKind::Trap, "wasm `unreachable` instruction executed"));
    assert_eq!(fault(&probe(&[("(;DESCRIBE;)", "(loop $l (br $l))")])).0, FaultKind::OutOfFuel);
    let start = "(func $start (loop $l (br $l))) (start $start)";
    assert_eq!(fault(&probe(&[("(;MORE;)", start)])).0, FaultKind::OutOfFuel);
    let two_memories = "(memory 600) (memory 600)";
    assert_eq!(fault(&probe(&[("(;MORE;)", two_memories)])).0, FaultKind::Memory);
    // A reason that is not UTF-8, and a list that begins past the end of memory.
    assert_eq!(fault(&probe(&[("\"first\"", "\"fir\\ff\\fe\"")])).0, FaultKind::BadOutput);
    assert_eq!(fault(&probe(&[("\\b0\\00\\00\\00\\02", "\\b0\\00\\00\\7f\\02")])).0, FaultKind::BadOutput);
}

/// Else whoever uploads could make one that is taken on a quiet day and keeps a busy host from starting.
#[test]
fn a_plugin_that_was_taken_once_has_room_to_describe_itself_again() {
    let slow = probe(&[(
        "(;DESCRIBE;)",
        "(local $n i32) (loop $l (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 10000))))",
    )]);
    let limits = PluginLimits { fuel_per_call: 1_000, ..PluginLimits::default() };
    let sandbox = Sandbox::new(&limits).unwrap();
    let refusal = sandbox.load(&slow, 0).unwrap_err();
    assert!(matches!(refusal, Refusal::Describe { kind: FaultKind::OutOfFuel, .. }), "{refusal}");
    assert!(sandbox.load_known(&slow, 0).is_ok());
}

#[test]
fn a_description_out_of_shape_is_refused_by_field() {
    let field = |bytes: &[u8]| match refusal(bytes) {
        Refusal::Description { field, .. } => field,
        other => panic!("another refusal: {other}"),
    };
    assert_eq!(field(&probe(&[("\"probe\"", "\"Probe\"")])), "name");
    assert_eq!(field(&probe(&[("\"1.2.3\"", "\"1\\1b[0m\"")])), "version");
    assert_eq!(field(&probe(&[("\"first\"", "\"f_rst\"")])), "reasons");
    assert_eq!(field(&probe(&[("\\01\\00\\00\\00\\02", "\\01\\00\\00\\00\\11")])), "state-words");
}

#[test]
fn a_sandbox_refuses_limits_it_cannot_hold() {
    let refused = |limits: PluginLimits| match Sandbox::new(&limits).unwrap_err() {
        SandboxError::Setting { field, .. } => field,
        other => panic!("another error: {other}"),
    };
    let limits = PluginLimits::default;
    assert_eq!(refused(PluginLimits { stack_bytes_max: 0, ..limits() }), "stack_bytes_max");
    assert_eq!(refused(PluginLimits { stack_bytes_max: 2 << 20, ..limits() }), "stack_bytes_max");
    assert_eq!(refused(PluginLimits { memory_bytes_max: 0, ..limits() }), "memory_bytes_max");
    assert_eq!(refused(PluginLimits { table_entries_max: 0, ..limits() }), "table_entries_max");
}
