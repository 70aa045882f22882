//! Tokens.
//!
//! It must not know how tokens are asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{or, time};
use crate::cli::table::{Table, Value};

/// A token that was made.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Token {
    pub name: String,
    pub role: &'static str,
    pub operator: u32,
    pub made_by: String,
    pub made_at_ms: i64,
    pub expires_at_ms: i64,
    /// Absent where it is not revoked.
    pub revoked_at_ms: Option<i64>,
    pub certificate_uri: String,
    pub operators: Vec<u32>,
    pub producers: Vec<String>,
}

impl From<v1::Token> for Token {
    fn from(message: v1::Token) -> Self {
        let v1::Token {
            name,
            role,
            operator,
            made_by,
            made_at_ms,
            expires_at_ms,
            revoked_at_ms,
            certificate_uri,
            operators,
            producers,
        } = message;
        let role = match v1::Role::try_from(role) {
            Ok(v1::Role::Ingest) => "ingest",
            Ok(v1::Role::Inventory) => "inventory",
            Ok(v1::Role::Reader) => "reader",
            Ok(v1::Role::Operator) => "operator",
            Ok(v1::Role::Auditor) => "auditor",
            Ok(v1::Role::Admin) => "admin",
            Ok(v1::Role::Unspecified) | Err(_) => "unspecified",
        };
        Self {
            name,
            role,
            operator,
            made_by,
            made_at_ms,
            expires_at_ms,
            revoked_at_ms,
            certificate_uri,
            operators,
            producers,
        }
    }
}

impl Token {
    fn role(&self) -> String {
        if self.operator == 0 { self.role.to_owned() } else { format!("{} {}", self.role, self.operator) }
    }

    /// What its holder may send.
    fn sends(&self) -> String {
        if !["ingest", "inventory", "admin"].contains(&self.role) {
            return "nothing".to_owned();
        }
        let operator = |id: &u32| if *id == 0 { "unknown".to_owned() } else { id.to_string() };
        let operators: Vec<String> = self.operators.iter().map(operator).collect();
        match (operators.is_empty(), self.producers.is_empty()) {
            (true, true) => "any".to_owned(),
            (false, true) => format!("operator {}", operators.join(", ")),
            (true, false) => format!("as {}", self.producers.join(", ")),
            (false, false) => format!("operator {}, as {}", operators.join(", "), self.producers.join(", ")),
        }
    }

    fn revoked(&self) -> String {
        self.revoked_at_ms.map_or_else(|| "no".to_owned(), time)
    }
}

/// A token as it is shown the one time.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Made {
    pub secret: String,
    #[serde(flatten)]
    pub token: Token,
}

/// Tokens, a row each.
pub(in crate::cli) fn table(rows: &[Token]) -> Table {
    let mut table = Table::new(&["name", "role", "sends", "made by", "made", "good until", "revoked", "certificate"]);
    for row in rows {
        table.row([
            Value::text(&row.name),
            Value::text(row.role()),
            Value::text(row.sends()),
            Value::text(or(&row.made_by, "not known")),
            Value::text(time(row.made_at_ms)),
            Value::text(time(row.expires_at_ms)),
            Value::text(row.revoked()),
            Value::text(&row.certificate_uri),
        ]);
    }
    table
}

/// One token.
pub(in crate::cli) fn facts(token: &Token) -> Table {
    Table::facts([
        ("name", Value::text(&token.name)),
        ("role", Value::text(token.role())),
        ("good until", Value::text(time(token.expires_at_ms))),
        ("revoked", Value::text(token.revoked())),
    ])
}

/// A token that was just made.
pub(in crate::cli) fn made_facts(made: &Made) -> Table {
    Table::facts([
        ("token", Value::text(&made.secret)),
        ("", Value::text("it is not shown again; its holder sets WEIR_TOKEN to it")),
        ("name", Value::text(&made.token.name)),
        ("role", Value::text(made.token.role())),
        ("sends", Value::text(made.token.sends())),
        ("good until", Value::text(time(made.token.expires_at_ms))),
        ("certificate", Value::text(&made.token.certificate_uri)),
    ])
}
