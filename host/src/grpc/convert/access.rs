//! Tokens and the audit log: what is asked for in, what there is out.
//!
//! It must not know who may ask. Invariant: an operator is named in the role of an operator and in no other.

use weir_proto::v1;

use super::{
    each, operator,
    page::{Room, fill},
    page_at,
};
use crate::{
    audit::{Broken, Chain},
    domain::{AuditEntry, AuditEvent, AuditHash, IdError, OperatorId, Role, SenderLimits, Token},
    grpc::tls::CERTIFICATE_SCHEME,
    pipeline::{NewToken, Refusal},
};

/// Entries in one page of the audit log: as many as are given where none are asked for, and the most.
const ENTRIES: (usize, u32) = (100, 1_000);

/// Patterns of producer ids of one token.
const PRODUCERS_MAX: usize = 100;

/// A token to make.
pub fn new_token(request: &v1::CreateTokenRequest) -> Result<NewToken, Refusal> {
    let v1::CreateTokenRequest { name, role: number, operator, lifetime_ms, operators, producers } = request;
    let role = role(*number, *operator)?;
    let sender = sender(role, operators, producers)?;
    Ok(NewToken { name: name.clone(), role, lifetime_ms: *lifetime_ms, sender })
}

fn sender(role: Role, operators: &[u32], producers: &[String]) -> Result<SenderLimits, Refusal> {
    if producers.len() > PRODUCERS_MAX {
        let message = format!("{} are more than {PRODUCERS_MAX}", producers.len());
        return Err(Refusal::invalid("producers", message));
    }
    let limits = SenderLimits {
        operators: each("operators", operators.iter().copied(), operator)?.into_iter().collect(),
        producers: each("producers", producers, |text| text.parse().map_err(|error: IdError| error.to_string()))?
            .into(),
    };
    let wrong = |field: &str, roles: &str| {
        Err(Refusal::invalid(field, format!("limit a token in the role {roles}, and the role is {}", role.name())))
    };
    match role {
        Role::Ingest => Ok(limits),
        Role::Inventory if !limits.producers.is_empty() => wrong("producers", "ingest"),
        Role::Inventory => Ok(limits),
        _ if !operators.is_empty() => wrong("operators", "ingest or inventory"),
        _ if !producers.is_empty() => wrong("producers", "ingest"),
        _ => Ok(limits),
    }
}

fn role(number: i32, id: u32) -> Result<Role, Refusal> {
    let role = match v1::Role::try_from(number) {
        Ok(v1::Role::Ingest) => Role::Ingest,
        Ok(v1::Role::Inventory) => Role::Inventory,
        Ok(v1::Role::Reader) => Role::Reader,
        Ok(v1::Role::Operator) => {
            let operator = operator(id).map_err(|why| Refusal::invalid("operator", why))?;
            if operator == OperatorId::UNKNOWN {
                return Err(Refusal::invalid(
                    "operator",
                    "the role of an operator is that of one: give its distributor id",
                ));
            }
            return Ok(Role::Operator(operator));
        }
        Ok(v1::Role::Auditor) => Role::Auditor,
        Ok(v1::Role::Admin) => Role::Admin,
        Ok(v1::Role::Unspecified) => return Err(Refusal::invalid("role", "is not stated")),
        Err(_) => return Err(Refusal::invalid("role", format!("{number} is no role of this protocol"))),
    };
    if id != 0 {
        let message = format!("{id}: the role {} is not that of one operator; leave it out", role.name());
        return Err(Refusal::invalid("operator", message));
    }
    Ok(role)
}

/// A token that was made.
pub fn token(token: Token) -> v1::Token {
    let certificate_uri = format!("{CERTIFICATE_SCHEME}{}", token.certified_as());
    let Token { name, role, hash: _, made_by, made_ms, expires_ms, revoked_ms, issue: _, sender } = token;
    let (role, operator) = match role {
        Role::Ingest => (v1::Role::Ingest, 0),
        Role::Inventory => (v1::Role::Inventory, 0),
        Role::Reader => (v1::Role::Reader, 0),
        Role::Operator(operator) => (v1::Role::Operator, operator.get().into()),
        Role::Auditor => (v1::Role::Auditor, 0),
        Role::Admin => (v1::Role::Admin, 0),
    };
    v1::Token {
        name,
        role: role.into(),
        operator,
        made_by,
        made_at_ms: made_ms,
        expires_at_ms: expires_ms,
        revoked_at_ms: revoked_ms,
        certificate_uri,
        operators: sender.operators.listed().into_iter().map(|operator| operator.get().into()).collect(),
        producers: sender.producers.iter().map(ToString::to_string).collect(),
    }
}

/// A page of tokens, after one of them by its holder's name.
pub fn tokens(tokens: Vec<Token>, after: &str, room: Room) -> v1::ListTokensResponse {
    let tokens = tokens.into_iter().filter(|token| token.name.as_str() > after);
    let (tokens, next_page_token) = fill(tokens, room, token, |last| last.name.clone());
    v1::ListTokensResponse { tokens, next_page_token }
}

/// From which entry on, and how many.
pub fn audit_page(request: v1::ListAuditEntriesRequest) -> Result<(u64, usize), Refusal> {
    let v1::ListAuditEntriesRequest { page_size, page_token } = request;
    let (usual, max) = ENTRIES;
    let entries = match page_size {
        0 => usual,
        asked if asked <= max => asked as usize,
        asked => return Err(Refusal::invalid("page_size", format!("{asked} is more than {max}"))),
    };
    Ok((page_at(&page_token)?.unwrap_or(1), entries))
}

/// A page of entries. One that is full may not be all.
pub fn audit_entries(page: Vec<AuditEntry>, room: Room) -> v1::ListAuditEntriesResponse {
    let token = |number: u64| (number + 1).to_string();
    let full = page.last().filter(|_| page.len() == room.rows_max).map(|entry| token(entry.number));
    let (entries, next) = fill(page, room, audit_entry, |last| token(last.number));
    v1::ListAuditEntriesResponse {
        entries,
        next_page_token: if next.is_empty() { full.unwrap_or_default() } else { next },
    }
}

fn audit_entry(entry: AuditEntry) -> v1::AuditEntry {
    let AuditEntry { number, at_ms, event, hash } = entry;
    let AuditEvent { who, action, subject, detail } = event;
    v1::AuditEntry { number, at_ms, who, action, subject, detail, hash: hex(&hash) }
}

/// Whether the chain holds.
pub fn verified(chain: Chain, broken: Option<Broken>) -> v1::VerifyAuditResponse {
    let (broken_number, broken_why) = match broken {
        Some(Broken { number, why }) => (Some(number), why),
        None => (None, String::new()),
    };
    v1::VerifyAuditResponse { entry_count: chain.next - 1, last_hash: hex(&chain.last), broken_number, broken_why }
}

fn hex(hash: &AuditHash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
