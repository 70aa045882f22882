//! `weir producer`: who numbers batches, and how far each has come.
//!
//! It must not know how alerts are sent.

use weir_proto::v1::{self, producer_service_client::ProducerServiceClient};

use super::{
    Failure, Session,
    session::{Connection, MESSAGE_BYTES_MAX},
    view::producer::{self, Producer},
};

/// Producers that are asked for at once.
const PAGE: u32 = 1_000;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List producers: how far each has come, and how long it is still kept.
    ///
    /// An administrator, an auditor and a reader see those of all identities, everybody else their own.
    #[command(after_help = "Examples:\n  weir producer list\n  weir producer list --identity head-end --json")]
    List {
        /// Only those of this identity.
        #[arg(long, value_name = "NAME")]
        identity: Option<String>,
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Forget a producer, and what it was told of its batches.
    ///
    /// A batch that is sent again afterwards is taken again, so end its sender first. What sends under the id from then
    /// on begins with 1.
    #[command(
        after_help = "Examples:\n  weir producer remove head-end-1\n  weir producer remove november --identity north\n\n\
                            --identity '' names producers from before the host asked who sends."
    )]
    Remove {
        /// Its id.
        id: String,
        /// Whose it is, where it is not your own; for administrators.
        #[arg(long, value_name = "NAME")]
        identity: Option<String>,
    },
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let mut client = client(session).await?;
    match command {
        Command::List { identity, limit } => list(session, &mut client, identity, limit).await,
        Command::Remove { id, identity } => {
            remove(&mut client, &id, identity).await.map_err(|status| session.failed(&status))?;
            eprintln!("producer {id} is forgotten");
            Ok(())
        }
    }
}

async fn list(
    session: &Session,
    client: &mut ProducerServiceClient<Connection>,
    identity: Option<String>,
    limit: u32,
) -> Result<(), Failure> {
    let mut rows: Vec<Producer> = Vec::new();
    let mut page_token = String::new();
    loop {
        let page_size = PAGE.min(limit - rows.len() as u32);
        let request = v1::ListProducersRequest { page_size, page_token, identity: identity.clone() };
        let answer = client.list_producers(request).await;
        let v1::ListProducersResponse { producers, next_page_token } =
            answer.map_err(|status| session.failed(&status))?.into_inner();
        rows.extend(producers.into_iter().map(Producer::from));
        page_token = next_page_token;
        if page_token.is_empty() || rows.len() as u32 >= limit {
            break;
        }
    }
    session.list(&rows, producer::table)?;
    if !page_token.is_empty() {
        eprintln!("there may be more: --limit {}", limit.saturating_mul(2));
    }
    Ok(())
}

/// Has the server forget a producer.
pub(super) async fn remove(
    client: &mut ProducerServiceClient<Connection>,
    id: &str,
    identity: Option<String>,
) -> Result<(), tonic::Status> {
    let request = v1::DeleteProducerRequest { producer_id: id.to_owned(), identity };
    let v1::DeleteProducerResponse {} = client.delete_producer(request).await?.into_inner();
    Ok(())
}

/// Makes calls about producers.
pub(super) async fn client(session: &Session) -> Result<ProducerServiceClient<Connection>, Failure> {
    Ok(ProducerServiceClient::new(session.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
}
