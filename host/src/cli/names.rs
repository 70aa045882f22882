//! What codes and operators are called: the tables of the host that is asked, corrected by files of one's own.
//!
//! Invariant: an alert is named by the table that it was logged under.

use std::{
    fs::File,
    io::BufReader,
    ops::Range,
    path::{Path, PathBuf},
};

use tonic::Code as StatusCode;
use weir_proto::v1::{self, code_service_client::CodeServiceClient};

use super::{
    Failure, Session,
    session::{Link, MESSAGE_BYTES_MAX, link},
    view::clean,
};
use crate::{
    domain::{AlertCode, OperatorId},
    intake::{
        LineError,
        plausible::{self, Unit},
        tables::{Code, CodeTable, Edge, OperatorTable},
    },
};

/// What is shown of a code that has a row and no name.
const NO_NAME: &str = "(no public name)";
/// Tables that are asked for: each is there because somebody changed the table and started the host.
const TABLES_MAX: usize = 100;
/// Characters of an operator's letters that an error shows.
const NAME_CHARS_MAX: usize = 40;
const MARKET_ID_HINT: &str = "give each distributor id letters of its own";

/// Which tables give codes and operators their names. JSON has no names.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct NameFiles {
    /// CSV file that corrects the table of alert codes (columns: code, name, ...; see `weir code list --help`).
    #[arg(long, value_name = "FILE", env = "WEIR_CODE_TABLE")]
    code_table: Option<PathBuf>,
    /// CSV file that adds to or replaces operators (columns: id, market_id, ...).
    #[arg(long, value_name = "FILE", env = "WEIR_OPERATOR_TABLE")]
    operator_table: Option<PathBuf>,
}

impl NameFiles {
    /// Returns the file that corrects the table of codes, if one is given.
    pub(super) fn code_table(&self) -> Option<&Path> {
        self.code_table.as_deref()
    }

    /// Reads the files over the tables that come with the program, without asking a host.
    pub(super) fn read(&self) -> Result<Names, Failure> {
        let mut names = Names::builtin();
        names.codes = self.over(names.codes)?;
        if let Some(path) = &self.operator_table {
            names.operators = overlay(path, |file| names.operators.with_file(file))?;
            check_market_ids(&names.operators)
                .map_err(|why| Failure::usage(format!("{}: {why}", path.display())).with_hint(MARKET_ID_HINT))?;
        }
        Ok(names)
    }

    /// Reads the files over the tables that the host goes by.
    pub(super) async fn of_host(&self, session: &Session) -> Result<Names, Failure> {
        let mut names = self.read()?;
        let tables = tables_of(link(session.connect().await?)).await.map_err(|status| session.failed(&status))?;
        for KnownTable { positions, codes } in tables {
            names.known.push(KnownTable { positions, codes: self.over(codes)? });
        }
        if let Some(today) = names.known.first() {
            names.codes = today.codes.clone();
        }
        Ok(names)
    }

    /// Reads the files over the table that is in force on the host; the inner error is the host's.
    pub(super) async fn in_force(&self, session: &Session) -> Result<Result<Names, tonic::Status>, Failure> {
        let names = self.read()?;
        match list(link(session.connect().await?), Vec::new(), None).await {
            Ok(answer) => Ok(Ok(Names { codes: self.over(table(answer.codes))?, ..names })),
            Err(status) => Ok(Err(status)),
        }
    }

    fn over(&self, codes: CodeTable) -> Result<CodeTable, Failure> {
        match &self.code_table {
            Some(path) => overlay(path, |file| codes.with_file(file)),
            None => Ok(codes),
        }
    }
}

fn overlay<T>(path: &PathBuf, read: impl FnOnce(BufReader<File>) -> Result<T, LineError>) -> Result<T, Failure> {
    let file = File::open(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    read(BufReader::new(file)).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// Rejects a table in which four letters mean another operator than in the table of this program, or two of them: an option
/// like `--operator MANW` would then ask about one while the output names the other.
fn check_market_ids(operators: &OperatorTable) -> Result<(), String> {
    let builtin = OperatorTable::builtin();
    let ids = (10..=99).filter_map(OperatorId::new);
    let named = ids.filter_map(|id| operators.name(id).filter(|name| !name.is_empty()).map(|name| (id, name)));
    let named: Vec<(OperatorId, &str)> = named.collect();
    for (id, name) in &named {
        let (id, name) = (*id, *name);
        if let Some(other) = operators.find(name).filter(|other| *other != id) {
            return Err(format!("market_id: {} is that of {other} and of {id}", clean(name, NAME_CHARS_MAX)));
        }
    }
    for (id, name) in named {
        if let Some(other) = builtin.find(name).filter(|other| *other != id) {
            let name = clean(name, NAME_CHARS_MAX);
            return Err(format!(
                "market_id: {name} is given to {id}, and means {other} in options like --operator {name}"
            ));
        }
    }
    Ok(())
}

/// A table of codes, and the log positions of the alerts that were logged under it.
#[derive(Debug, Clone)]
struct KnownTable {
    positions: Range<u64>,
    codes: CodeTable,
}

/// What codes and operators are called.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// Alert codes, by the table that is in force.
    pub(crate) codes: CodeTable,
    /// Operators.
    pub(crate) operators: OperatorTable,
    /// The tables of a host, the one in force first.
    known: Vec<KnownTable>,
}

impl Names {
    /// Returns the names that come with the program.
    pub(crate) fn builtin() -> Self {
        Self { codes: CodeTable::builtin(), operators: OperatorTable::builtin(), known: Vec::new() }
    }

    /// Returns the names of a host that has gone by these tables, the one in force first.
    #[cfg(test)]
    pub(crate) fn with_tables(tables: Vec<(Range<u64>, CodeTable)>) -> Self {
        let known: Vec<KnownTable> =
            tables.into_iter().map(|(positions, codes)| KnownTable { positions, codes }).collect();
        let codes = known.first().map_or_else(CodeTable::builtin, |today| today.codes.clone());
        Self { codes, known, ..Self::builtin() }
    }

    /// Returns the names that a host goes by.
    pub(crate) async fn of_link(link: Link) -> Result<Self, tonic::Status> {
        let known = tables_of(link).await?;
        let codes = known.first().map_or_else(CodeTable::builtin, |today| today.codes.clone());
        Ok(Self { codes, known, ..Self::builtin() })
    }

    /// Returns the table that an alert at this position was logged under; the one in force where that is not known.
    pub(crate) fn codes_at(&self, position: u64) -> &CodeTable {
        let known = self.known.iter().find(|table| table.positions.contains(&position));
        known.map_or(&self.codes, |table| &table.codes)
    }

    /// Returns a code with its name, if it has one.
    pub(crate) fn code(&self, code: &str) -> String {
        named(&self.codes, code)
    }

    /// The same, of an alert that was logged at this position.
    pub(crate) fn code_at(&self, position: u64, code: &str) -> String {
        named(self.codes_at(position), code)
    }

    /// Returns a distributor id with its four letters, if it has them.
    pub(crate) fn operator(&self, id: u32) -> String {
        match OperatorId::new(id) {
            Some(OperatorId::UNKNOWN) => "unknown".to_owned(),
            Some(known) => self.operators.name(known).map_or_else(|| id.to_string(), |name| format!("{id} {name}")),
            None => id.to_string(),
        }
    }
}

fn named(table: &CodeTable, code: &str) -> String {
    let Ok(number) = code.parse::<AlertCode>() else { return code.to_owned() };
    match (table.name(number), table.get(number)) {
        (Some(name), _) => format!("{code} {name}"),
        (None, Some(_)) => format!("{code} {NO_NAME}"),
        (None, None) => code.to_owned(),
    }
}

/// Asks a host for the tables that alerts were logged under, the one in force first; at most [`TABLES_MAX`] of them. A host
/// that has none, or that keeps them from the caller, is taken to go by the table of this program.
async fn tables_of(link: Link) -> Result<Vec<KnownTable>, tonic::Status> {
    let mut tables: Vec<KnownTable> = Vec::new();
    let mut position = None;
    while tables.len() < TABLES_MAX {
        let answer = match list(link.clone(), Vec::new(), position).await {
            Err(status) if matches!(status.code(), StatusCode::Unimplemented | StatusCode::PermissionDenied) => break,
            answer => answer?,
        };
        let (since, until) = (answer.since_position, answer.until_position.unwrap_or(u64::MAX));
        // What lies before the oldest table has none of its own.
        if position.is_some_and(|position| since > position) {
            break;
        }
        tables.push(KnownTable { positions: since..until, codes: table(answer.codes) });
        match since.checked_sub(1) {
            Some(before) => position = Some(before),
            None => break,
        }
    }
    Ok(tables)
}

/// Asks a host for codes.
pub(super) async fn list(
    link: Link,
    codes: Vec<u32>,
    position: Option<u64>,
) -> Result<v1::ListCodesResponse, tonic::Status> {
    let mut client = CodeServiceClient::new(link).max_decoding_message_size(MESSAGE_BYTES_MAX);
    Ok(client.list_codes(v1::ListCodesRequest { codes, position }).await?.into_inner())
}

/// The rows of an answer as a table. What this program cannot read of a row is left out: a later host may say more.
fn table(codes: Vec<v1::Code>) -> CodeTable {
    CodeTable::from_rows(codes.into_iter().filter(|code| code.is_known).filter_map(|message| {
        let v1::Code { code, name, family, owner, is_critical, unit, plausible_min, plausible_max, .. } = message;
        let v1::Code { is_known: _, pair, edge, is_protected: _, source, note, descriptions, .. } = message;
        let number = |number: u32| u16::try_from(number).ok().map(AlertCode);
        let edge = match v1::CodeEdge::try_from(edge) {
            Ok(v1::CodeEdge::Raise) => Some(Edge::Raise),
            Ok(v1::CodeEdge::Clear) => Some(Edge::Clear),
            Ok(v1::CodeEdge::Unspecified) | Err(_) => None,
        };
        let row = Code {
            name,
            family,
            owner,
            critical: is_critical,
            unit: unit.parse::<Unit>().ok(),
            pair: pair.and_then(number),
            edge,
            range: plausible::Range { min: plausible_min, max: plausible_max },
            source,
            note,
        };
        Some((number(code)?, row, descriptions))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_shown_with_its_name_or_that_it_has_none() {
        let names = Names::builtin();
        assert_eq!(names.code("8F40"), "8F40 voltage alert (SMETS1)");
        assert_eq!(names.code("AD1"), "AD1 power outage seen through the comms hub");
        assert_eq!(names.code("N17"), "N17 (no public name)");
        assert_eq!((names.code("1234"), names.code("x")), ("1234".to_owned(), "x".to_owned()));
    }

    #[test]
    fn letters_that_mean_two_operators_are_refused_with_both() {
        let check = |rows: &str| {
            let file = format!("id,market_id\n{rows}");
            check_market_ids(&OperatorTable::builtin().with_file(file.as_bytes()).unwrap())
        };
        assert_eq!(check("40,NEWO\n13,MANX\n"), Ok(()));
        assert_eq!(check("12,manw\n").unwrap_err(), "market_id: MANW is that of 12 and of 13");
        assert_eq!(check("40,NEWO\n41,NEWO\n").unwrap_err(), "market_id: NEWO is that of 40 and of 41");
        let swapped = check("12,MANW\n13,LOND\n").unwrap_err();
        assert_eq!(swapped, "market_id: MANW is given to 12, and means 13 in options like --operator MANW");
    }

    #[test]
    fn an_alert_is_named_by_the_table_of_its_position() {
        let before = CodeTable::builtin().with_file("code,name,unit\nE001,old,s\n".as_bytes()).unwrap();
        let names = Names::with_tables(vec![(10..u64::MAX, CodeTable::builtin()), (0..10, before)]);
        assert_eq!((names.code_at(9, "E001"), names.code_at(10, "E001")), ("E001 old".to_owned(), "E001".to_owned()));
    }
}
