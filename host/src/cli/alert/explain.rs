//! `weir alert explain`.
//!
//! It must not know how an alert is explained.

use weir_proto::v1;

use crate::cli::{
    Failure, Session,
    arguments::NameFiles,
    view::explain::{Explanation, tables},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Its log position, as `weir alert list` shows it.
    position: u64,
    #[command(flatten)]
    names: NameFiles,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let names = args.names.of_host(session).await?;
    let request = v1::ExplainAlertRequest { position: args.position };
    let answer = super::client(session).await?.explain_alert(request).await;
    let explanation = Explanation::from(answer.map_err(|status| session.failed(&status))?.into_inner());
    session.show_all(&explanation, |explanation| tables(explanation, &names))
}
