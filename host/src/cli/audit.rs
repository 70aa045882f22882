//! `weir audit`: who did what, when, and whether the log still says so.
//!
//! It must not know how entries are kept. Invariant: a chain that does not hold is a failure of the command.

use std::io::{self, Write};

use weir_proto::v1::{self, audit_service_client::AuditServiceClient};

use super::{
    Failure, Session,
    session::{Connection, MESSAGE_BYTES_MAX},
    view::audit::{self, Entry, Verified},
};

/// Entries asked for at a time.
const PAGE: u32 = 1_000;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List entries, the oldest first.
    #[command(after_help = "Example:\n  weir audit list --from 1200")]
    List {
        /// From this entry on.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        from: u64,
        /// At most so many entries.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
    },
    /// Check that each entry follows from those before it; name the first that does not.
    ///
    /// Note the last hash elsewhere: that entries are missing at the end shows by nothing else.
    #[command(after_help = "Example:\n  weir audit verify")]
    Verify,
    /// Write every entry to stdout, one JSON object a line.
    #[command(after_help = "Example:\n  weir audit export")]
    Export,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::List { from, limit } => list(session, from, limit).await,
        Command::Verify => verify(session).await,
        Command::Export => export(session).await,
    }
}

async fn list(session: &Session, from: u64, limit: u32) -> Result<(), Failure> {
    let (rows, next) = page(session, &mut client(session).await?, from.to_string(), limit).await?;
    session.list(&rows, audit::table)?;
    if !next.is_empty() {
        eprintln!("there are more: --from {next}");
    }
    Ok(())
}

async fn verify(session: &Session) -> Result<(), Failure> {
    let answer = client(session).await?.verify_audit(v1::VerifyAuditRequest {}).await;
    let verified = Verified::from(answer.map_err(|status| session.failed(&status))?.into_inner());
    session.show(&verified, audit::verified_facts)?;
    match verified.broken_number {
        None => Ok(()),
        Some(number) => {
            Err(Failure::internal(format!("the audit log is broken at entry {number}: {}", verified.broken_why)))
        }
    }
}

async fn export(session: &Session) -> Result<(), Failure> {
    let mut client = client(session).await?;
    let mut token = String::new();
    loop {
        let (rows, next) = page(session, &mut client, token, PAGE).await?;
        let lines = rows.iter().map(super::session::json_line).collect::<Result<Vec<_>, _>>()?;
        let mut stdout = io::stdout().lock();
        lines.iter().try_for_each(|line| writeln!(stdout, "{line}")).map_err(|error| Failure::of_output(&error))?;
        if next.is_empty() {
            return Ok(());
        }
        token = next;
    }
}

async fn page(
    session: &Session,
    client: &mut AuditServiceClient<Connection>,
    page_token: String,
    page_size: u32,
) -> Result<(Vec<Entry>, String), Failure> {
    let answer = client.list_audit_entries(v1::ListAuditEntriesRequest { page_size, page_token }).await;
    let v1::ListAuditEntriesResponse { entries, next_page_token } =
        answer.map_err(|status| session.failed(&status))?.into_inner();
    Ok((entries.into_iter().map(Entry::from).collect(), next_page_token))
}

async fn client(session: &Session) -> Result<AuditServiceClient<Connection>, Failure> {
    Ok(AuditServiceClient::new(session.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
}
