//! The table of alert codes: the question in, the rows out.

use prost::Message;
use weir_proto::v1;

use super::{code, each, sorted};
use crate::{
    domain::{AlertCode, Position},
    intake::tables::{Code, CodeTable, Edge, sources},
    pipeline::{CodesView, Refusal},
};

/// Which codes of which table.
#[derive(Debug, Clone, PartialEq)]
pub struct CodesQuery {
    /// These codes; empty for every row.
    codes: Vec<AlertCode>,
    /// The table that alerts at this position were logged under; `None` for the one in force.
    pub position: Option<Position>,
}

/// Reads a question.
pub fn query(request: v1::ListCodesRequest) -> Result<CodesQuery, Refusal> {
    let v1::ListCodesRequest { codes, position } = request;
    Ok(CodesQuery { codes: sorted(each("codes", codes, code)?), position: position.map(Position) })
}

/// Returns the rows that are asked for. They are all of them or none: what does not fit a message of `bytes_max` bytes is
/// refused.
pub fn answer(
    query: &CodesQuery,
    view: &CodesView,
    is_protected: impl Fn(AlertCode) -> bool,
    bytes_max: usize,
) -> Result<v1::ListCodesResponse, Refusal> {
    let table = &view.table;
    let codes = match query.codes.as_slice() {
        [] => table.rows().map(|(code, row)| wire_code(table, code, Some(row), is_protected(code))).collect(),
        codes => codes.iter().map(|code| wire_code(table, *code, table.get(*code), is_protected(*code))).collect(),
    };
    let sources = sources().into_iter().map(|source| v1::CodeSource { name: source.name, what: source.what });
    let response = v1::ListCodesResponse {
        codes,
        since_position: view.since.0,
        until_position: view.until.map(|position| position.0),
        builtin_version: CodeTable::builtin_version(),
        sources: sources.collect(),
    };
    if response.encoded_len() > bytes_max {
        return Err(Refusal::Exhausted(format!(
            "the table has {} rows, more than a message of message_bytes_max ({bytes_max}) bytes holds; ask for some codes",
            response.codes.len()
        )));
    }
    Ok(response)
}

fn wire_code(table: &CodeTable, code: AlertCode, row: Option<&Code>, is_protected: bool) -> v1::Code {
    let is_known = row.is_some();
    let Code { name, family, owner, critical, unit, pair, edge, range, source, note } =
        row.cloned().unwrap_or_default();
    let edge = match edge {
        Some(Edge::Raise) => v1::CodeEdge::Raise,
        Some(Edge::Clear) => v1::CodeEdge::Clear,
        None => v1::CodeEdge::Unspecified,
    };
    v1::Code {
        code: code.0.into(),
        is_known,
        name,
        family,
        owner,
        is_critical: critical,
        unit: unit.map_or_else(String::new, |unit| unit.to_string()),
        plausible_min: range.min,
        plausible_max: range.max,
        pair: pair.map(|pair| pair.0.into()),
        edge: edge.into(),
        is_protected,
        source,
        note,
        descriptions: table.descriptions(code).map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_code_without_a_row_is_answered_and_one_that_is_none_is_refused() {
        let view = CodesView { table: Arc::new(CodeTable::builtin()), since: Position(7), until: Some(Position(9)) };
        let asked = v1::ListCodesRequest { codes: vec![0x8F36, 0x1234, 0x8F36], position: Some(8) };
        let query = query(asked).unwrap();
        assert_eq!(query.position, Some(Position(8)));
        let answer_in = |bytes_max| answer(&query, &view, |code| code.0 == 0x1234, bytes_max);
        let answer = answer_in(4 << 20).unwrap();
        let shown: Vec<_> = answer.codes.iter().map(|code| (code.code, code.is_known, code.is_protected)).collect();
        assert_eq!(shown, [(0x1234, false, true), (0x8F36, true, false)]);
        assert_eq!((answer.since_position, answer.until_position), (7, Some(9)));
        assert!(answer_in(100).unwrap_err().to_string().contains("message_bytes_max (100)"));
        let wrong = v1::ListCodesRequest { codes: vec![70_000], position: None };
        assert!(super::query(wrong).unwrap_err().to_string().starts_with("codes[0]"));
    }
}
