//! `weir token`: who may ask what.
//!
//! It must not know how a token is checked. Invariant: a token is printed once, when it is made, and to stdout alone.

use clap::ValueEnum;
use weir_proto::v1::{self, token_service_client::TokenServiceClient};

use super::{
    Failure, Session, arguments,
    session::{Connection, MESSAGE_BYTES_MAX},
    view::token::{self, Made, Token},
};
use crate::domain::OperatorId;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a token. It is shown now and never again.
    #[command(after_help = "Examples:
  weir token create head-end --role ingest --expires 90d
  weir token create head-end-lond --role ingest --operators 12,14 --producers 'head-end-*'
  weir token create assets --role inventory --expires 30d
  weir token create lond --role operator --operator LOND --expires 30d")]
    Create {
        /// Who is to have it: 1 to 64 lower-case letters, digits and hyphens.
        name: String,
        /// What they may do.
        #[arg(long)]
        role: Role,
        /// The one operator, in the role of an operator: distributor id or four letters like LOND.
        #[arg(long, value_name = "ID", value_parser = arguments::operator, required_if_eq("role", "operator"))]
        operator: Option<OperatorId>,
        /// In the roles ingest and inventory: the operators whose alerts and devices they may send, distributor ids or
        /// four letters like LOND, and `unknown` for devices that no inventory has. Left out: all.
        #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = arguments::operator)]
        operators: Vec<OperatorId>,
        /// In the role ingest: the producer ids they may send under, each whole or its beginning and an asterisk. Left
        /// out: any.
        #[arg(long, value_name = "ID", value_delimiter = ',')]
        producers: Vec<String>,
        /// How long it is good: like 12h or 30d; at most 366d.
        #[arg(long, value_name = "TIME", default_value = "30d", value_parser = lifetime)]
        expires: i64,
    },
    /// List the tokens that were made, those that are no longer good included.
    #[command(after_help = "Example:\n  weir token list")]
    List,
    /// Revoke a token: the next call made with it is refused.
    #[command(after_help = "Example:\n  weir token revoke head-end")]
    Revoke {
        /// Who has it.
        name: String,
    },
}

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Role {
    /// Sends alerts.
    Ingest,
    /// Loads inventories.
    Inventory,
    /// Reads alerts, counts, devices, rules and plugins.
    Reader,
    /// One operator: its own plugins, rules, alerts and counts.
    Operator,
    /// Reads everything, the audit log too; changes nothing.
    Auditor,
    /// Everything.
    Admin,
}

impl Role {
    fn wire(self) -> v1::Role {
        match self {
            Self::Ingest => v1::Role::Ingest,
            Self::Inventory => v1::Role::Inventory,
            Self::Reader => v1::Role::Reader,
            Self::Operator => v1::Role::Operator,
            Self::Auditor => v1::Role::Auditor,
            Self::Admin => v1::Role::Admin,
        }
    }
}

fn lifetime(text: &str) -> Result<i64, String> {
    arguments::length(text, 366)
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Create { name, role, operator, operators, producers, expires } => {
            let operator = operator.map_or(0, |operator| operator.get().into());
            let request = v1::CreateTokenRequest {
                name,
                role: role.wire().into(),
                operator,
                lifetime_ms: expires,
                operators: arguments::operators(&operators),
                producers,
            };
            create(session, request).await
        }
        Command::List => list(session).await,
        Command::Revoke { name } => revoke(session, name).await,
    }
}

async fn create(session: &Session, request: v1::CreateTokenRequest) -> Result<(), Failure> {
    // The answer carries one, also where the host asks for none.
    session.keep_secret("the new token")?;
    let answer = client(session).await?.create_token(request).await;
    let v1::CreateTokenResponse { secret, token } = answer.map_err(|status| session.failed(&status))?.into_inner();
    session.show(&Made { secret, token: present(token)? }, token::made_facts)
}

async fn list(session: &Session) -> Result<(), Failure> {
    let mut client = client(session).await?;
    let (mut rows, mut page_token): (Vec<Token>, String) = (Vec::new(), String::new());
    loop {
        let answer = client.list_tokens(v1::ListTokensRequest { page_size: 0, page_token }).await;
        let page = answer.map_err(|status| session.failed(&status))?.into_inner();
        rows.extend(page.tokens.into_iter().map(Token::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return session.list(&rows, token::table);
        }
    }
}

async fn revoke(session: &Session, name: String) -> Result<(), Failure> {
    let answer = client(session).await?.revoke_token(v1::RevokeTokenRequest { name }).await;
    let v1::RevokeTokenResponse { token } = answer.map_err(|status| session.failed(&status))?.into_inner();
    session.show(&present(token)?, token::facts)
}

fn present(token: Option<v1::Token>) -> Result<Token, Failure> {
    token.map(Token::from).ok_or_else(|| Failure::internal("token: missing in the server's answer"))
}

async fn client(session: &Session) -> Result<TokenServiceClient<Connection>, Failure> {
    Ok(TokenServiceClient::new(session.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
}
