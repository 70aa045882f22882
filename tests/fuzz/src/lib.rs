//! What the targets share: examples to begin with, and sections of WebAssembly binaries changed so that what is around them
//! stays in order.
//!
//! It must not know what a file or a section means. Invariant: the result is never longer than it may be, and where the
//! input is sections, so is the output.

/// What a mutator does: puts an example where there is nothing to begin with, and now and then anyway, and has the
/// fuzzer change what is there. Gives the new size.
pub fn begin_with(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    example: impl FnOnce() -> Vec<u8>,
) -> usize {
    let mut size = size;
    if size < 4 || seed % 512 == 0 {
        let example = example();
        if example.len() <= max_size {
            data[..example.len()].copy_from_slice(&example);
            size = example.len();
        }
    }
    libfuzzer_sys::fuzzer_mutate(data, size, max_size)
}

/// Magic and version.
const HEADER_BYTES: usize = 8;

/// The section of a component that is a core module.
const CORE_MODULE: u8 = 1;

/// A section: its id and what is in it.
type Section = (u8, Vec<u8>);

/// Header and sections of a module or component; `None` where the bytes are not sections to their end.
fn split(bytes: &[u8]) -> Option<(Vec<u8>, Vec<Section>)> {
    let (header, mut rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let mut sections = Vec::new();
    while let Some((id, after)) = rest.split_first() {
        let (length, after) = read_length(after)?;
        let (body, after) = after.split_at_checked(length)?;
        sections.push((*id, body.to_vec()));
        rest = after;
    }
    Some((header.to_vec(), sections))
}

fn join(header: &[u8], sections: &[Section]) -> Vec<u8> {
    let mut bytes = header.to_vec();
    for (id, body) in sections {
        bytes.push(*id);
        write_length(body.len(), &mut bytes);
        bytes.extend_from_slice(body);
    }
    bytes
}

fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((length, &bytes[at + 1..]));
        }
    }
    None
}

fn write_length(mut length: usize, bytes: &mut Vec<u8>) {
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

/// Changes a binary: one section in place, sections moved, repeated or dropped, or a section of a core module within.
/// `change` changes bytes of one section, and may make them longer by as much as it is told.
pub fn change_sections(bytes: &[u8], chance: &mut Chance, change: &mut dyn FnMut(&mut Vec<u8>, usize)) -> Vec<u8> {
    let Some((header, mut sections)) = split(bytes).filter(|(_, sections)| !sections.is_empty()) else {
        let mut bytes = bytes.to_vec();
        change(&mut bytes, 64);
        return bytes;
    };
    let (at, other) = (chance.below(sections.len()), chance.below(sections.len()));
    match chance.below(12) {
        0 => sections.swap(at, other),
        1 => drop(sections.remove(at)),
        2 => sections.insert(other, sections[at].clone()),
        3 => sections[at].0 = chance.below(14) as u8,
        _ if sections[at].0 == CORE_MODULE && header[4] != 1 => {
            sections[at].1 = change_sections(&sections[at].1.clone(), chance, change);
        }
        _ => change(&mut sections[at].1, 64),
    }
    join(&header, &sections)
}

/// Xorshift: the fuzzer gives the seed, and wants the same for the same.
pub struct Chance(u64);

impl Chance {
    /// From a seed.
    pub fn new(seed: u32) -> Self {
        Self(u64::from(seed) << 1 | 1)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }
}
