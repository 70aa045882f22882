//! `weir cursor`: how far subscribers to forwarded alerts have come.
//!
//! It must not know how alerts are followed.

use weir_proto::v1::{self, cursor_service_client::CursorServiceClient};

use super::{
    Failure, Session,
    session::{Connection, MESSAGE_BYTES_MAX},
    view::cursor::{self, Cursor},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List your cursors: how far each has come, and how far it is behind.
    #[command(after_help = "Example:\n  weir cursor list")]
    List,
    /// Acknowledge everything before a log position: a cursor only moves forward.
    #[command(after_help = "Example:\n  weir cursor advance control-room 1200000")]
    Advance {
        /// Its name.
        name: String,
        /// The log position.
        position: u64,
    },
    /// Forget a cursor, and end its stream. A tail of that name begins anew.
    #[command(after_help = "Example:\n  weir cursor remove control-room")]
    Remove {
        /// Its name.
        name: String,
    },
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let mut client = client(session).await?;
    match command {
        Command::List => {
            let answer = client.list_cursors(v1::ListCursorsRequest {}).await;
            let v1::ListCursorsResponse { cursors } = answer.map_err(|status| session.failed(&status))?.into_inner();
            let rows: Vec<Cursor> = cursors.into_iter().map(Cursor::from).collect();
            session.list(&rows, cursor::table)
        }
        Command::Advance { name, position } => {
            let answer = client.advance_cursor(v1::AdvanceCursorRequest { name, position }).await;
            let v1::AdvanceCursorResponse { cursor } = answer.map_err(|status| session.failed(&status))?.into_inner();
            let cursor = cursor.map(Cursor::from);
            let cursor = cursor.ok_or_else(|| Failure::internal("cursor: missing in the server's answer"))?;
            session.show(&cursor, |cursor| cursor::table(std::slice::from_ref(cursor)))
        }
        Command::Remove { name } => {
            let answer = client.delete_cursor(v1::DeleteCursorRequest { name: name.clone() }).await;
            let v1::DeleteCursorResponse {} = answer.map_err(|status| session.failed(&status))?.into_inner();
            eprintln!("cursor {name} is forgotten");
            Ok(())
        }
    }
}

async fn client(session: &Session) -> Result<CursorServiceClient<Connection>, Failure> {
    Ok(CursorServiceClient::new(session.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
}
