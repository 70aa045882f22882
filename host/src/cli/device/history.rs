//! `weir device history`: which devices had a metering point.
//!
//! It must not know how that is settled.

use weir_proto::v1;

use crate::{
    cli::{
        Failure, Session,
        arguments::{self, NameFiles},
        view::point::{self, History},
    },
    domain::Mpxn,
};

pub(super) const HELP: &str = "Examples:
  weir device history 1312345678907
  weir device history 1312345678907 --json";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// MPAN or MPRN.
    #[arg(value_parser = arguments::metering_point)]
    mpxn: Mpxn,
    #[command(flatten)]
    names: NameFiles,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let names = args.names.read()?;
    let mpxn = args.mpxn.to_string();
    let request = v1::GetPointHistoryRequest { mpxn: mpxn.clone() };
    let answer = super::client(session).await?.get_point_history(request).await;
    let history = History::new(mpxn, answer.map_err(|status| session.failed(&status))?.into_inner());
    session.show(&history, |history| point::periods(history, &names))?;
    if session.json {
        return Ok(());
    }
    if history.is_cut {
        eprintln!("there were earlier ones, which are not kept");
    }
    if history.periods.iter().any(|period| period.is_undecided && period.until_ms.is_none()) {
        eprintln!(
            "nothing says which device came last: load the one that was taken away without the metering point and without a \
             column operator, which keeps its operator, and the other has the point"
        );
    }
    Ok(())
}
