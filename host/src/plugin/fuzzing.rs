//! The check of what a plugin says of itself, for fuzzing.
//!
//! It must not know a component. Invariant: what passes is bounded and plain, as `describe` promises; so are the words
//! of what does not.

use super::{
    contract::{Columns, Description, StateKey},
    describe::{Origin, info},
    refusal::Refusal,
};
use crate::{
    config::PluginLimits,
    domain::{Digest, PluginInfo, is_unsafe},
};

/// A description as any guest may give it.
#[derive(Debug, Clone)]
pub struct Said {
    /// Name, version and summary.
    pub texts: [String; 3],
    /// The schema of the parameters.
    pub schema: String,
    /// One entry a device and code, not a device.
    pub by_code: bool,
    /// Words of a state entry, and their version.
    pub words: [u32; 2],
    /// Reasons to suppress.
    pub reasons: Vec<String>,
    /// Columns, as bits.
    pub reads: u8,
    /// Parameters to ask the schema about.
    pub parameters: String,
}

/// Checks a description, and asks the schema of one that passes.
///
/// # Panics
/// Where something passes that must not, or a message is not bounded and plain.
pub fn described(said: Said, limits: &PluginLimits) -> Result<PluginInfo, Refusal> {
    const COLUMNS: [Columns; 6] =
        [Columns::DEVICE, Columns::OCCURRED, Columns::MEASUREMENT, Columns::WEIGHT, Columns::OPERATOR, Columns::MODEL];
    let Said { texts: [name, version, summary], schema, by_code, words, reasons, reads, parameters } = said;
    let asked = COLUMNS.into_iter().enumerate().filter(|(bit, _)| reads >> bit & 1 != 0);
    let description = Description {
        name,
        version,
        summary,
        parameters_schema: schema,
        state_key: if by_code { StateKey::DeviceAndCode } else { StateKey::Device },
        state_words: words[0],
        state_version: words[1],
        reasons,
        reads: asked.fold(Columns::default(), |all, (_, column)| all | column),
    };
    let origin = Origin { digest: Digest([7; 32]), size_bytes: 1, uploaded_ms: 1 };
    let checked = info(description, origin, limits);
    if let Err(refusal) = &checked {
        plain(&refusal.to_string(), 2_000);
    }
    let (info, schema) = checked?;
    let texts = [&info.name, &info.version, &info.summary].into_iter().chain(&info.reasons);
    texts.for_each(|text| plain(text, limits.text_bytes_max));
    for mismatch in schema.mismatches(&parameters) {
        plain(&mismatch.pointer, 300);
        plain(&mismatch.message, 300);
    }
    Ok(info)
}

fn plain(text: &str, bytes_max: usize) {
    assert!(text.len() <= bytes_max, "a text of {} bytes", text.len());
    assert!(!text.chars().any(is_unsafe), "{text:?}");
}
