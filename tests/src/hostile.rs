//! Components that were made to harm whoever takes them, each with the name of what becomes of it.
//!
//! It must not know how an upload is sent. Invariant: every entry says exactly which refusal it meets; none is a plugin.

use std::fmt::Write;

use crate::binary::{END, around, component, module, module_of_types, nested, number, section, with_custom_section};

/// A plugin written by hand, which the host's own tests use too: pieces of it are replaced here.
const PROBE: &str = include_str!("../../host/src/plugin/tests/probe.wat");

/// Interfaces of WASI 0.2, all that there are.
const WASI: [&str; 29] = [
    "cli/environment",
    "cli/exit",
    "cli/run",
    "cli/stdin",
    "cli/stdout",
    "cli/stderr",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "cli/terminal-stderr",
    "clocks/monotonic-clock",
    "clocks/wall-clock",
    "filesystem/preopens",
    "filesystem/types",
    "http/incoming-handler",
    "http/outgoing-handler",
    "http/types",
    "io/error",
    "io/poll",
    "io/streams",
    "random/insecure",
    "random/insecure-seed",
    "random/random",
    "sockets/instance-network",
    "sockets/network",
    "sockets/ip-name-lookup",
    "sockets/tcp",
    "sockets/udp",
];

/// One component.
pub struct Hostile {
    /// What it does.
    pub name: String,
    /// The component.
    pub bytes: Vec<u8>,
    /// The refusal it meets, by its name in the host.
    pub refusal: &'static str,
    /// What the message has in it.
    pub words: &'static str,
    /// A name that the message has in it too; empty for none.
    pub named: &'static str,
}

fn entry(name: &str, bytes: Vec<u8>, refusal: &'static str, words: &'static str) -> Hostile {
    Hostile { name: name.to_owned(), bytes, refusal, words, named: "" }
}

fn text(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is WebAssembly")
}

/// A component around a core module in its text form.
fn core(fields: &str) -> Vec<u8> {
    text(&format!("(component (core module {fields}))"))
}

/// A small plugin that does as it is told, with pieces of its text replaced.
pub fn probe(replacements: &[(&str, &str)]) -> Vec<u8> {
    let mut wat = PROBE.to_owned();
    for (old, new) in replacements {
        assert!(wat.contains(old), "{old} is not in the probe");
        wat = wat.replace(old, new);
    }
    text(&wat)
}

/// All of them.
pub fn components() -> Vec<Hostile> {
    [against_the_compiler(), of_features(), with_imports(), that_run(), that_describe(), of_form()]
        .into_iter()
        .flatten()
        .collect()
}

/// Much work for whoever reads or compiles them.
fn against_the_compiler() -> Vec<Hostile> {
    const DEEP: usize = 100_000;
    const BLOCK: [u8; 2] = [0x02, 0x40];
    let code = |code: Vec<u8>| around(&module(&[(0, code)]));
    let drops = |count: usize| [0x41, 0, 0x1A].repeat(count);
    let targets = 200_000;
    let table = [BLOCK.to_vec(), vec![0x41, 0, 0x0E], number(targets), vec![0; targets + 1], vec![END]].concat();
    let tuples: String = (1..40).fold("(type $t0 (tuple u64 u64))".to_owned(), |mut types, at| {
        let before = at - 1;
        write!(types, "(type $t{at} (tuple $t{before} $t{before}))").expect("a String takes everything");
        types
    });
    vec![
        entry(
            "100,000 blocks in each other",
            code([BLOCK.repeat(DEEP), vec![END; DEEP]].concat()),
            "MissingExport",
            "export the function `describe`",
        ),
        entry("a function of 7 MB", code(drops(2_400_000)), "MissingExport", "export the function `describe`"),
        entry("a function of 9 MB", code(drops(3_000_000)), "Malformed", "function body size count exceeds limit"),
        entry(
            "50,000 locals",
            around(&module(&[(50_000, Vec::new())])),
            "MissingExport",
            "export the function `describe`",
        ),
        entry("50,001 locals", around(&module(&[(50_001, Vec::new())])), "Malformed", "too many locals"),
        entry("a branch to 200,000 places", code(table), "Malformed", "`br_table` has 200000 targets"),
        entry("3,000 types", around(&module_of_types(3_000)), "MissingExport", "export the function `describe`"),
        entry(
            "5,000 functions",
            around(&module(&vec![(0, Vec::new()); 5_000])),
            "MissingExport",
            "export the function `describe`",
        ),
        entry(
            "types that double 40 times",
            text(&format!("(component {tuples})")),
            "Malformed",
            "effective type size exceeds the limit",
        ),
        entry(
            "instances that double 16 times",
            text(&doubling(16)),
            "Malformed",
            "contains 65536 core module instances",
        ),
        entry("40 core instances", text(&many_instances(40)), "Malformed", "contains 40 core module instances"),
        entry(
            "30 MB of data",
            core(&format!("(memory 512) (data (i32.const 0) \"{}\")", "x".repeat(30 << 20))),
            "MissingExport",
            "export the function `describe`",
        ),
        entry(
            "a section for debuggers of 30 MB",
            with_custom_section(30 << 20),
            "MissingExport",
            "export the function `describe`",
        ),
        entry("1,000 components in each other", nested(1_000), "MissingExport", "export the function `describe`"),
        entry("20,000 components in each other", nested(20_000), "CompileMemory", "plugins.compile_memory_bytes_max"),
    ]
}

/// Components that each instantiate the one within twice.
fn doubling(levels: usize) -> String {
    let mut inner = "(component $c (core module $m) (core instance (instantiate $m)))".to_owned();
    for _ in 0..levels {
        inner = format!("(component $c {inner} (instance (instantiate $c)) (instance (instantiate $c)))");
    }
    inner
}

fn many_instances(count: usize) -> String {
    format!("(component (core module $m (memory 1)) {})", "(core instance (instantiate $m))".repeat(count))
}

/// What is off, or more than there may be.
fn of_features() -> Vec<Hostile> {
    let features = [
        ("a 64-bit memory", "(memory i64 1)", "memory64 must be enabled"),
        ("a shared memory", "(memory 1 1 shared)", "threads must be enabled"),
        ("a struct", "(type (struct (field i32)))", "without the gc feature"),
        ("an array", "(type (array i8))", "without the gc feature"),
        ("an exception", "(tag) (func (throw 0))", "exceptions proposal not enabled"),
        ("a continuation", "(type $f (func)) (type (cont $f))", "stack switching is disabled"),
        ("an atomic", "(memory 1 1) (func (drop (i32.atomic.load (i32.const 0))))", "threads support is not enabled"),
        (
            "relaxed SIMD",
            "(func (param v128 v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 1))))",
            "relaxed SIMD support is not enabled",
        ),
        ("a page of one byte", "(memory 1 (pagesize 1))", "custom page sizes proposal must be enabled"),
        ("a memory over every limit", "(memory 20000)", "memory index 0 is unsupported in this pooling allocator"),
        (
            "nine memories",
            "(memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1)",
            "defined memories count of 9 exceeds",
        ),
        ("a table over every limit", "(table 2000000 funcref)", "minimum element size of 2000000 which exceeds"),
    ];
    let lifted = "(component (core module $m (func (export \"f\") (result i32) i32.const 0) \
         (func (export \"c\") (param i32 i32 i32) (result i32) i32.const 0)) (core instance $i (instantiate $m)) \
         (func (export \"describe\") async (canon lift (core func $i \"f\") async (callback (core func $i \"c\")))))";
    let features = features.into_iter().map(|(name, fields, words)| entry(name, core(fields), "Malformed", words));
    features
        .chain([entry(
            "an asynchronous export",
            text(lifted),
            "Malformed",
            "require the component model async feature",
        )])
        .collect()
}

/// What wants something of the host.
fn with_imports() -> Vec<Hostile> {
    let interface = |name: &str| format!("(import \"wasi:{name}@0.2.0\" (instance (export \"f\" (func))))");
    let each = WASI.map(|name| {
        let bytes = text(&format!("(component {})", interface(name)));
        Hostile { named: name, ..entry(&format!("import of {name}"), bytes, "Imports", "wasm32-unknown-unknown") }
    });
    let all: String = WASI.iter().map(|name| interface(name)).collect();
    let preview1 =
        "(core module $m (import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i32 i32 i32 i32) (result i32))))";
    let long = "a".repeat(90_000);
    each.into_iter()
        .chain([
            entry(
                "imports of all WASI",
                text(&format!("(component {all})")),
                "Imports",
                "wasi:cli/stdout@0.2.0#f and 24 more",
            ),
            entry(
                "preview 1",
                text(&format!("(component {preview1} (core instance (instantiate $m)))")),
                "Malformed",
                "missing module instantiation argument named `wasi_snapshot_preview1`",
            ),
            entry(
                "preview 1 as a core module",
                text(&preview1.replace("(core module", "(module")),
                "CoreModule",
                "wit-component",
            ),
            entry(
                "import of a component",
                text("(component (import \"c\" (component)))"),
                "Malformed",
                "root-level component imports are not supported",
            ),
            entry("import of a module", text("(component (import \"m\" (core module)))"), "Imports", "imports m, and"),
            entry(
                "import of a name of 90 KB",
                text(&format!("(component (import \"{long}\" (func)))")),
                "Imports",
                "aaaa..., and",
            ),
            entry(
                "export of a name of 90 KB",
                text(&exporting(&long)),
                "MissingExport",
                "export the function `describe`",
            ),
            entry(
                "export of a name of 1 MB",
                text(&exporting(&"a".repeat(1 << 20))),
                "Malformed",
                "string size out of bounds",
            ),
        ])
        .collect()
}

fn exporting(name: &str) -> String {
    format!("(component (core module $m) (export \"{name}\" (core module $m)))")
}

/// What misbehaves as soon as it runs.
fn that_run() -> Vec<Hostile> {
    let start = |code: &str| probe(&[("(;MORE;)", &format!("(func $start {code}) (start $start)"))]);
    vec![
        entry(
            "a start that loops",
            start("(loop $l (br $l))"),
            "Describe",
            "(out-of-fuel: used up its fuel of 50000000)",
        ),
        entry(
            "a start that traps",
            start("unreachable"),
            "Describe",
            "(trap: wasm `unreachable` instruction executed)",
        ),
        entry(
            "a start that takes all memory",
            start("(loop $l (br_if $l (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable"),
            "Describe",
            "(memory: asked for 67174400 bytes of memory and may have 67108864)",
        ),
        entry(
            "recursion without end",
            probe(&[("(;DESCRIBE;)", "(drop (call $deep (i32.const 0)))")]),
            "Describe",
            "(trap: call stack exhausted)",
        ),
        entry(
            "filling memory without end",
            probe(&[
                ("(memory (export \"memory\") 1)", "(memory (export \"memory\") 1000)"),
                ("(;DESCRIBE;)", "(loop $l (memory.fill (i32.const 4096) (i32.const 1) (i32.const 65000000)) (br $l))"),
            ]),
            "Describe",
            "(out-of-fuel: used up its fuel of 50000000)",
        ),
        entry(
            "a branch through a null table",
            probe(&[("(;DESCRIBE;)", "(call_indirect (i32.const 0))")]),
            "Describe",
            "(trap: uninitialized element)",
        ),
    ]
}

/// What says of itself what nobody should print or keep.
fn that_describe() -> Vec<Hostile> {
    // The fields of the description as the probe lays them out: pointer and length.
    const NAME: &str = "\\10\\00\\00\\00\\05\\00\\00\\00\\20";
    const VERSION: &str = "\\20\\00\\00\\00\\05\\00\\00\\00\\30";
    const SUMMARY: &str = "\\30\\00\\00\\00\\14\\00\\00\\00\\50";
    const SCHEMA: &str = "\\50\\00\\00\\00\\11\\00\\00\\00\"";
    const REASONS: &str = "\\b0\\00\\00\\00\\02\\00\\00\\00\\05";
    const MEGABYTE: &str = "\\00\\00\\10\\00";
    let roomy = ("(memory (export \"memory\") 1)", "(memory (export \"memory\") 64)");
    // Length of a field, one megabyte from address 0x20000 on.
    let long = |field: &str| {
        let (_, rest) = field.split_at(24);
        let changed = format!("\\00\\00\\02\\00{MEGABYTE}{rest}");
        probe(&[roomy, (field, &changed)])
    };
    let overlapping = probe(&[
        roomy,
        (REASONS, "\\00\\00\\01\\00\\c8\\00\\00\\00\\05"),
        (
            "(;DESCRIBE;)",
            "(local $at i32) (local.set $at (i32.const 0x10000)) (loop $l
                (i32.store (local.get $at) (i32.const 0x20000)) (i32.store offset=4 (local.get $at) (i32.const 0x100000))
                (local.set $at (i32.add (local.get $at) (i32.const 8)))
                (br_if $l (i32.lt_u (local.get $at) (i32.const 0x10640))))",
        ),
    ]);
    vec![
        entry("a name that gives orders", probe(&[("\"probe\"", "\"pr\\1bbe\"")]), "Description", "name has "),
        entry("a name with NUL", probe(&[("\"probe\"", "\"pr\\00be\"")]), "Description", "name has "),
        entry(
            "a version that turns round",
            probe(&[("\"1.2.3\"", "\"1\\e2\\80\\ae3\"")]),
            "Description",
            "version has the control character \\u{202e}",
        ),
        entry(
            "a summary with NUL",
            probe(&[("does what it", "does\\00what it")]),
            "Description",
            "summary has the control character \\u{0}",
        ),
        entry(
            "a summary that turns round",
            probe(&[("does what it", "does\\e2\\80\\ae\\20\\20it")]),
            "Description",
            "summary has the control character \\u{202e}",
        ),
        entry(
            "a reason that turns round",
            probe(&[("\"first\"", "\"\\e2\\80\\aebe\"")]),
            "Description",
            "reasons has ",
        ),
        entry(
            "a schema that turns round",
            probe(&[("\"{\\\"type\\\":\\\"object\\\"}\"", "\"{\\\"type\\\":\\\"obj\\e2\\80\\ae\\\"}\"")]),
            "Description",
            "parameters-schema has the control character \\u{202e}",
        ),
        entry(
            "a schema that gives orders",
            probe(&[("\"{\\\"type\\\":\\\"object\\\"}\"", "\"{\\\"type\\\":\\\"obj\\1b[2J\\\"\"")]),
            "Description",
            "parameters-schema has the control character \\u{1b}",
        ),
        entry("a name of 1 MB", long(NAME), "Description", "name has a text of 1048576 bytes"),
        entry("a version of 1 MB", long(VERSION), "Description", "version has a text of 1048576 bytes"),
        entry("a summary of 1 MB", long(SUMMARY), "Description", "summary has a text of 1048576 bytes"),
        entry("a schema of 1 MB", long(SCHEMA), "Description", "parameters-schema has a text of 1048576 bytes"),
        entry(
            "262,144 reasons",
            probe(&[roomy, (REASONS, "\\00\\00\\02\\00\\00\\00\\04\\00\\05")]),
            "Description",
            "reasons has 262144 entries",
        ),
        entry("200 reasons in the same megabyte", overlapping, "Describe", "(bad-output: too much data"),
    ]
}

/// What is no binary of the format.
fn of_form() -> Vec<Hostile> {
    let mut truncated = around(&module(&[(0, Vec::new())]));
    truncated.truncate(truncated.len() - 3);
    let long_length = component(&[&[0], [0x86, 0x80, 0x80, 0x80, 0x80, 0].as_slice(), b"\x05notes"].concat());
    let high_bits = component(&[&[0], [0x86, 0x80, 0x80, 0x80, 0x7F].as_slice(), b"\x05notes"].concat());
    vec![
        entry("a section that ends early", truncated, "Malformed", "is out of bounds"),
        entry("a length of six bytes", long_length, "Malformed", "integer representation too long"),
        entry("a length with bits past the 32nd", high_bits, "Malformed", "integer too large"),
        entry(
            "a section of 4 GB that is not there",
            component(&[1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]),
            "Malformed",
            "section is too large",
        ),
        entry("a section of no kind", component(&section(99, b"x")), "Malformed", "malformed section id: 99"),
        entry("a name that is not UTF-8", component(&section(0, b"\x02\xC3\x28")), "Malformed", "malformed UTF-8"),
    ]
}
