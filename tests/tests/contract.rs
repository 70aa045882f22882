//! The contract with plugins, once released, stays as it is.

/// `wit/rule.wit` without its comments, as version 0.1.0 was released.
const RELEASED: &str = "\
package weir:rule@0.1.0;
interface types {
flags columns { device, occurred, measurement, weight, operator, model }
record batch {
device: list<u64>,
slot: list<u32>,
code: list<u16>,
occurred-ms: list<s64>,
measurement: list<s32>,
weight: list<u32>,
%flags: list<u8>,
operator: list<u8>,
model: list<u32>,
}
record outcome {
verdict: list<u8>,
withheld: list<u32>,
state: list<u64>,
}
enum state-key { device, device-and-code }
record description {
name: string,
version: string,
summary: string,
parameters-schema: string,
state-key: state-key,
state-words: u32,
state-version: u32,
reasons: list<string>,
reads: columns,
}
}
world rule {
use types.{batch, outcome, description};
export describe: func() -> description;
export check: func(parameters: string) -> result<_, string>;
export evaluate: func(parameters: string, alerts: batch, state: list<u64>) -> result<outcome, string>;
}";

/// Comments may be mended. A name, a type or an order that changes shuts out every plugin that operators have built.
#[test]
fn the_world_is_as_it_was_released() {
    let text = include_str!("../../wit/rule.wit");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    let world = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(
        world, RELEASED,
        "the contract of weir:rule@0.1.0 has changed. Plugins built against it must keep running: leave it as it is, \
         put the new one beside it under a new version of the package, let the host adapt what was built against the \
         old one, and add the new text to this test"
    );
}
