//! What a plugin says of itself, checked field by field.
//!
//! It must not know how the description was obtained. Invariant: what passes is safe to print, to store and to compare
//! by name, and its numbers are within the limits.

use std::collections::HashSet;

use super::{
    contract::{self, Description},
    refusal::Refusal,
    schema::Schema,
    text::clean,
};
use crate::{
    config::PluginLimits,
    domain::{self, Column, Digest, Millis, PluginInfo, StateKey},
};

/// Verdicts are bytes, and 0 is to forward.
const REASONS_MAX: usize = 255;

/// How much longer than other texts a schema may be.
const SCHEMA_TEXTS: usize = 16;

/// Columns as the contract and as the host name them.
const READS: [(contract::Columns, Column); 6] = [
    (contract::Columns::DEVICE, Column::Device),
    (contract::Columns::OCCURRED, Column::Occurred),
    (contract::Columns::MEASUREMENT, Column::Measurement),
    (contract::Columns::WEIGHT, Column::Weight),
    (contract::Columns::OPERATOR, Column::Operator),
    (contract::Columns::MODEL, Column::Model),
];

/// What is known of a component's file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) digest: Digest,
    pub(super) size_bytes: u64,
    pub(super) uploaded_ms: Millis,
}

/// Checks a description and puts it beside what is known of the file; gives the schema of its parameters apart.
pub(super) fn info(
    description: Description,
    origin: Origin,
    limits: &PluginLimits,
) -> Result<(PluginInfo, Schema), Refusal> {
    let Description {
        name,
        version,
        summary,
        parameters_schema,
        state_key,
        state_words,
        state_version,
        reasons,
        reads,
    } = description;
    let text_bytes_max = limits.text_bytes_max;
    check_name("name", &name, text_bytes_max)?;
    check_line("version", &version, text_bytes_max)?;
    if version.is_empty() {
        return refuse("version", "is empty: give the plugin a version, like 0.1.0");
    }
    check_line("summary", &summary, text_bytes_max)?;
    let schema = check_schema(&parameters_schema, text_bytes_max.saturating_mul(SCHEMA_TEXTS))?;
    if state_words > limits.state_words_max {
        let allowed = limits.state_words_max;
        return refuse("state-words", format!("is {state_words}, at most {allowed} are allowed"));
    }
    check_reasons(&reasons, text_bytes_max)?;
    let Origin { digest, size_bytes, uploaded_ms } = origin;
    let state_key = match state_key {
        contract::StateKey::Device => StateKey::Device,
        contract::StateKey::DeviceAndCode => StateKey::DeviceAndCode,
    };
    let info = PluginInfo {
        digest,
        name,
        version,
        summary,
        parameters_schema,
        state_key,
        state_words,
        state_version,
        reasons,
        reads: READS.into_iter().filter(|(asked, _)| reads.contains(*asked)).map(|(_, column)| column).collect(),
        size_bytes,
        uploaded_ms,
        // Whoever keeps it says whose it is.
        owners: Vec::new(),
        signed_by: Vec::new(),
        revoked: None,
    };
    Ok((info, schema))
}

/// Rejects a plugin whose name reads as a digest or as the beginning of one: where both may be written, nobody could
/// tell which is meant.
pub(super) fn check_tells_from_digests(info: &PluginInfo) -> Result<(), Refusal> {
    if !Digest::is_meant_by(&info.name) {
        return Ok(());
    }
    let (name, digits) = (quoted(&info.name), Digest::PREFIX_DIGITS_MIN);
    refuse("name", format!("is {name}, which reads as a digest: {digits} or more hex digits are no name; add a word"))
}

fn check_reasons(reasons: &[String], bytes_max: usize) -> Result<(), Refusal> {
    if reasons.len() > REASONS_MAX {
        return refuse("reasons", format!("has {} entries, at most {REASONS_MAX} are allowed", reasons.len()));
    }
    let mut seen = HashSet::new();
    for reason in reasons {
        check_name("reasons", reason, bytes_max)?;
        if !seen.insert(reason) {
            return refuse("reasons", format!("has {} twice: each must have a name of its own", quoted(reason)));
        }
    }
    Ok(())
}

/// Lower-case letters, digits and single hyphens between them, a letter first.
fn check_name(field: &'static str, name: &str, bytes_max: usize) -> Result<(), Refusal> {
    check_size(field, name, bytes_max)?;
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split('-').all(word) {
        return Ok(());
    }
    let found = quoted(name);
    refuse(
        field,
        format!("has {found}: allowed are lower-case letters, digits and single hyphens between them, a letter first"),
    )
}

fn check_line(field: &'static str, line: &str, bytes_max: usize) -> Result<(), Refusal> {
    check_size(field, line, bytes_max)?;
    domain::check_line(line, bytes_max).or_else(|wrong| refuse(field, wrong))
}

fn check_schema(schema: &str, bytes_max: usize) -> Result<Schema, Refusal> {
    const FIELD: &str = "parameters-schema";
    check_size(FIELD, schema, bytes_max)?;
    domain::check_block(schema).or_else(|wrong| refuse(FIELD, wrong))?;
    Schema::new(schema).or_else(|defect| refuse(FIELD, defect))
}

fn check_size(field: &'static str, text: &str, bytes_max: usize) -> Result<(), Refusal> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    refuse(field, format!("has a text of {} bytes, at most {bytes_max} are allowed", text.len()))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", clean(text, 60))
}

fn refuse<T>(field: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Description { field, message: message.into() })
}

#[cfg(test)]
mod tests;
