//! Every change to the rules, by its number.
//!
//! It must not know what a rule does. Invariant: a revision, once written, is never changed.

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{
    AlertCode, Digest, Generation, Guard, Mode, OperatorId, Position, Revision, Rule, RuleRevision, Scope,
};

pub(super) const TABLE: Table<u32> = Table::new("revision");
/// Version 1 had no `who`, version 2 no guard, version 3 no end.
const VERSION: u8 = 4;
/// Versions that are read.
const VERSIONS: [u8; 2] = [3, 4];

/// Adds revisions. A number that is taken is refused.
pub(super) fn write(txn: &Transaction, revisions: &[RuleRevision]) -> Result<(), Error> {
    if revisions.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    for revision in revisions {
        let number = revision.revision.0;
        if table.insert(number, &mut encode(revision))? {
            return Err(Error::Effects(format!("revision {number}: there is one of this number")));
        }
    }
    Ok(())
}

/// Every revision in order.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<RuleRevision>, Error> {
    TABLE.read(txn)?.all()?.decoded(|number, value| decode(*number, value)).collect()
}

pub(super) fn encode(revision: &RuleRevision) -> Writer {
    let mut out = Writer::new(VERSION);
    out.u64(revision.since.0);
    out.i64(revision.made_ms);
    out.text(&revision.name);
    out.text(&revision.who);
    out.text(&revision.why);
    out.u8(u8::from(revision.rule.is_some()));
    if let Some(rule) = &revision.rule {
        out.raw(&rule.plugin.0);
        out.text(&rule.parameters);
        encode_scope(&rule.scope, &mut out);
        out.u8(rule.mode as u8);
        out.u32(rule.order);
        out.u32(rule.namespace.0);
        out.u8(u8::from(rule.guard.is_some()));
        if let Some(guard) = &rule.guard {
            encode_guard(guard, &mut out);
        }
        // 0 for no end.
        out.i64(rule.until_ms.unwrap_or(0));
    }
    out
}

fn encode_guard(guard: &Guard, out: &mut Writer) {
    let Guard { suppressed_max_basis_points, alerts_min, until_ms, fallback } = *guard;
    out.u32(suppressed_max_basis_points);
    out.u32(alerts_min);
    out.i64(until_ms);
    out.u32(fallback.0);
}

fn encode_scope(scope: &Scope, out: &mut Writer) {
    out.count(scope.operators.len());
    scope.operators.iter().for_each(|operator| out.u8(operator.get()));
    out.count(scope.generations.len());
    scope.generations.iter().for_each(|generation| out.u8(*generation as u8));
    out.count(scope.codes.len());
    scope.codes.iter().for_each(|code| out.u16(code.0));
    out.count(scope.models.len());
    scope.models.iter().for_each(|model| out.text(model));
}

pub(super) fn decode(number: u32, bytes: &[u8]) -> Result<RuleRevision, Defect> {
    let (version, mut input) = Reader::of_versions(bytes, &VERSIONS)?;
    let since = Position(input.u64()?);
    let made_ms = input.i64()?;
    let name = input.text()?;
    let who = input.text()?;
    let why = input.text()?;
    let rule = if input.flag()? { Some(decode_rule(&mut input, version)?) } else { None };
    input.finish()?;
    Ok(RuleRevision { revision: Revision(number), since, made_ms, name, rule, who, why })
}

fn decode_rule(input: &mut Reader<'_>, version: u8) -> Result<Rule, Defect> {
    Ok(Rule {
        plugin: Digest(input.array()?),
        parameters: input.text()?,
        scope: decode_scope(input)?,
        mode: Mode::from_number(input.u8()?).ok_or(Defect("its mode is not known"))?,
        order: input.u32()?,
        namespace: Revision(input.u32()?),
        guard: if input.flag()? { Some(decode_guard(input)?) } else { None },
        until_ms: if version < 4 { None } else { Some(input.i64()?).filter(|until_ms| *until_ms != 0) },
    })
}

fn decode_guard(input: &mut Reader<'_>) -> Result<Guard, Defect> {
    Ok(Guard {
        suppressed_max_basis_points: input.u32()?,
        alerts_min: input.u32()?,
        until_ms: input.i64()?,
        fallback: Revision(input.u32()?),
    })
}

fn decode_scope(input: &mut Reader<'_>) -> Result<Scope, Defect> {
    Ok(Scope {
        operators: input.list(1, |input| {
            OperatorId::new(u32::from(input.u8()?)).ok_or(Defect("an operator of its scope is not known"))
        })?,
        generations: input.list(1, |input| {
            Generation::from_number(input.u8()?).ok_or(Defect("a generation of its scope is not known"))
        })?,
        codes: input.list(2, |input| input.u16().map(AlertCode))?,
        models: input.list(4, Reader::text)?,
    })
}
