//! WebAssembly binaries put together by hand, where no text form has what is wanted or it would be too large for one.
//!
//! It must not know what a compiler makes of them. Invariant: lengths are those of what follows, unless a caller asks
//! for bytes as they are.

/// How a core module and a component begin.
const CORE: [u8; 8] = *b"\0asm\x01\0\0\0";
const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// Sections of a core module.
const CORE_TYPES: u8 = 1;
const CORE_FUNCTIONS: u8 = 3;
const CORE_CODE: u8 = 10;

/// Sections of a component.
const CUSTOM: u8 = 0;
const NESTED: u8 = 4;
/// The section of a component that holds a core module.
pub const MODULE: u8 = 1;

/// The instruction that ends a body or block.
pub const END: u8 = 0x0B;

/// A number as the format has it.
pub fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Bytes behind their length.
pub fn sized(bytes: &[u8]) -> Vec<u8> {
    [&number(bytes.len()), bytes].concat()
}

/// A section.
pub fn section(id: u8, body: &[u8]) -> Vec<u8> {
    [&[id], sized(body).as_slice()].concat()
}

/// A component of sections.
pub fn component(sections: &[u8]) -> Vec<u8> {
    [&COMPONENT, sections].concat()
}

/// A component whose one section is a core module: it is compiled, and is no plugin.
pub fn around(module: &[u8]) -> Vec<u8> {
    component(&section(MODULE, module))
}

/// A component with a section for debuggers of so many bytes.
pub fn with_custom_section(length: usize) -> Vec<u8> {
    component(&section(CUSTOM, &[sized(b"notes"), vec![b'x'; length]].concat()))
}

/// Components within each other.
pub fn nested(levels: usize) -> Vec<u8> {
    (0..levels).fold(component(&[]), |inner, _| component(&section(NESTED, &inner)))
}

/// A core module of functions that take and give nothing, each of these bodies: the locals as count and type, then
/// code without its end.
pub fn module(bodies: &[(usize, Vec<u8>)]) -> Vec<u8> {
    const I64: u8 = 0x7E;
    let body = |(locals, code): &(usize, Vec<u8>)| {
        let locals = if *locals == 0 { vec![0] } else { [vec![1], number(*locals), vec![I64]].concat() };
        sized(&[locals, code.clone(), vec![END]].concat())
    };
    let bodies_bytes: Vec<u8> = bodies.iter().flat_map(body).collect();
    let functions = [number(bodies.len()), vec![0; bodies.len()]].concat();
    [
        CORE.to_vec(),
        section(CORE_TYPES, &[1, 0x60, 0, 0]),
        section(CORE_FUNCTIONS, &functions),
        section(CORE_CODE, &[number(bodies.len()), bodies_bytes].concat()),
    ]
    .concat()
}

/// A core module of nothing but function types, each of another length.
pub fn module_of_types(count: usize) -> Vec<u8> {
    const I32: u8 = 0x7F;
    let of = |at: usize| [vec![0x60], sized(&vec![I32; at % 900]), vec![0]].concat();
    let types: Vec<u8> = (0..count).flat_map(of).collect();
    [CORE.to_vec(), section(CORE_TYPES, &[number(count), types].concat())].concat()
}
