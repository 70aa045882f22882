//! The tables of alert codes and of operators: data, built in, and corrected by an operator's own files.
//!
//! Nothing is judged by them, and a code or an operator without a row is as welcome as any other.
//!
//! Invariant: what an operator's file says of a row replaces what the built-in table says, and nothing else of it.

use super::{
    LineError, placeholder,
    record::{Record, Records},
    shown,
};

mod codes;
mod history;
mod operators;
mod overlay;

pub use codes::{Code, CodeTable, Edge, Source, sources};
pub use history::{CodeTableVersion, CodeTables};
pub use operators::{Operator, OperatorTable};

/// Bytes of one text of a table.
const TEXT_BYTES_MAX: usize = 200;

/// Reads a text of a table.
fn text(text: &str) -> Result<String, String> {
    check_is_value(text)?;
    if text.len() > TEXT_BYTES_MAX || text.chars().any(crate::domain::is_unsafe) {
        let found = shown(text);
        return Err(format!("expected at most {TEXT_BYTES_MAX} bytes without control characters, found {found}"));
    }
    Ok(text.to_owned())
}

/// Rejects what programs write where they have no value: it would become a name.
fn check_is_value(text: &str) -> Result<(), String> {
    if placeholder::is_one(text) { Err(format!("expected a value, found {}", shown(text))) } else { Ok(()) }
}
