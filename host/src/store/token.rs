//! Tokens by name: who has one, and its hash.
//!
//! It must not know a token. Invariant: each name is there once.

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{OperatorId, ProducerPattern, Role, SenderLimits, Token};

pub(super) const TABLE: Table<&str> = Table::new("token");
/// Version 1 had neither issue nor limits, and one role for alerts and inventories.
const VERSION: u8 = 2;
const VERSION_BEFORE: u8 = 1;

/// Adds or replaces tokens.
pub(super) fn write(txn: &Transaction, tokens: &[Token]) -> Result<(), Error> {
    if tokens.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    for token in tokens {
        table.insert(token.name.as_str(), &mut encode(token))?;
    }
    Ok(())
}

/// Every token, in order of names.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<Token>, Error> {
    TABLE.read(txn)?.all()?.decoded(|name, value| decode(name, value)).collect()
}

pub(super) fn encode(token: &Token) -> Writer {
    let Token { name: _, role, hash, made_by, made_ms, expires_ms, revoked_ms, issue, sender } = token;
    let (number, operator) = match role {
        Role::Ingest => (1, 0),
        Role::Reader => (2, 0),
        Role::Operator(operator) => (3, operator.get()),
        Role::Auditor => (4, 0),
        Role::Admin => (5, 0),
        Role::Inventory => (6, 0),
    };
    let mut out = Writer::new(VERSION);
    out.u8(number);
    out.u8(operator);
    out.raw(hash);
    out.text(made_by);
    out.i64(*made_ms);
    out.i64(*expires_ms);
    out.u8(u8::from(revoked_ms.is_some()));
    out.i64(revoked_ms.unwrap_or(0));
    out.u32(*issue);
    let operators = sender.operators.listed();
    out.count(operators.len());
    operators.iter().for_each(|operator| out.u8(operator.get()));
    out.count(sender.producers.len());
    sender.producers.iter().for_each(|pattern| out.text(&pattern.to_string()));
    out
}

pub(super) fn decode(name: &str, bytes: &[u8]) -> Result<Token, Defect> {
    let (version, mut input) = Reader::of_versions(bytes, &[VERSION_BEFORE, VERSION])?;
    let (number, operator) = (input.u8()?, input.u8()?);
    let operator = OperatorId::new(u32::from(operator)).ok_or(Defect("its operator is not known"))?;
    let role = match (number, operator) {
        (1, OperatorId::UNKNOWN) => Role::Ingest,
        (2, OperatorId::UNKNOWN) => Role::Reader,
        (3, operator) if operator != OperatorId::UNKNOWN => Role::Operator(operator),
        (4, OperatorId::UNKNOWN) => Role::Auditor,
        (5, OperatorId::UNKNOWN) => Role::Admin,
        (6, OperatorId::UNKNOWN) => Role::Inventory,
        _ => return Err(Defect("its role is not known")),
    };
    let token = Token {
        name: name.to_owned(),
        role,
        hash: input.array()?,
        made_by: input.text()?,
        made_ms: input.i64()?,
        expires_ms: input.i64()?,
        revoked_ms: {
            let (is_revoked, at_ms) = (input.flag()?, input.i64()?);
            is_revoked.then_some(at_ms)
        },
        issue: if version == VERSION_BEFORE { 1 } else { input.u32()? },
        sender: if version == VERSION_BEFORE { SenderLimits::default() } else { decode_sender(&mut input)? },
    };
    input.finish()?;
    Ok(token)
}

fn decode_sender(input: &mut Reader<'_>) -> Result<SenderLimits, Defect> {
    let operators = input.list(1, |input| {
        OperatorId::new(u32::from(input.u8()?)).ok_or(Defect("an operator it may send for is not known"))
    })?;
    let producers = input.list(4, |input| {
        input.text()?.parse::<ProducerPattern>().map_err(|_| Defect("a producer it may send under has no id's form"))
    })?;
    Ok(SenderLimits { operators: operators.into_iter().collect(), producers: producers.into() })
}
