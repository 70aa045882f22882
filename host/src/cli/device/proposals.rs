//! `weir device proposals`: what alerts say of the inventory that it lacks or contradicts.
//!
//! Invariants: nothing is loaded; a file of proposals has each device once, says of it what the inventory has but for what is
//! proposed, and moves none to another operator unless that is asked for, and none at all that is not the caller's.

use std::collections::HashMap;

use indicatif::ProgressBar;
use weir_proto::v1;

use crate::{
    cli::{
        Failure, Session,
        arguments::{self, NameFiles, Period},
        sheet::Sheet,
        table::thousands,
        view::{
            device::Device,
            point::{self, LeftOut, Proposal},
        },
    },
    domain::{Mpxn, OperatorId},
};

/// How often the spinner turns, in milliseconds.
const TURN_MS: u64 = 100;

/// Columns of `weir device load`.
const COLUMNS: [&str; 9] =
    ["eui", "mpxn", "generation", "model", "operator", "secondary_mpan", "export_mpan", "type", "hub"];

pub(super) const HELP: &str = "Examples:
  weir device proposals --since 2026-11-01
  weir device proposals --csv > proposals.csv
  weir device load proposals.csv --dry-run";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    period: Period,
    /// Only alerts of these operators: distributor ids, four letters like LOND, or unknown.
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = arguments::operator)]
    operator: Vec<OperatorId>,
    /// Print a file for weir device load.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Have devices in the file whose MPAN is of another operator than theirs: the load moves them to it.
    #[arg(long, requires = "csv")]
    other_operator: bool,
    /// Rows that are shown. CSV and JSON have all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    names: NameFiles,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let names = args.names.read()?;
    let (since_ms, until_ms) = args.period.wire()?;
    let request = v1::ListProposalsRequest { since_ms, until_ms, operators: arguments::operators(&args.operator) };
    let mut client = super::client(session).await?;
    let progress = ProgressBar::new_spinner().with_message("the host reads its log");
    progress.enable_steady_tick(std::time::Duration::from_millis(TURN_MS));
    let answer = client.list_proposals(request).await.map_err(|status| session.failed(&status));
    let mut pieces = answer.inspect_err(|_| progress.finish_and_clear())?.into_inner();
    let (mut proposals, mut kept_since_ms) = (Vec::<Proposal>::new(), None);
    while let Some(piece) = pieces.message().await.map_err(|status| session.failed(&status))? {
        kept_since_ms = piece.kept_since_ms;
        proposals.extend(piece.proposals.into_iter().map(Proposal::from));
    }
    progress.finish_and_clear();
    if args.csv {
        let (sheet, left_out) = file(&proposals, args.other_operator);
        session.print(sheet.trim_end_matches('\n'))?;
        left_out.told().iter().for_each(|told| eprintln!("{told}"));
        return Ok(());
    }
    if session.json {
        return session.list(&proposals, |proposals| point::proposals(proposals, &names));
    }
    let shown = &proposals[..proposals.len().min(args.limit)];
    session.list(shown, |proposals| point::proposals(proposals, &names))?;
    if shown.len() < proposals.len() {
        eprintln!("{} more: --limit, --csv or --json shows them", thousands((proposals.len() - shown.len()) as u64));
    }
    if let Some(since_ms) = kept_since_ms {
        let since = crate::cli::view::time(since_ms);
        eprintln!("the log has lost its beginning: what was received before {since} may be missing");
    }
    Ok(())
}

/// The file that takes proposals, and what is left out of it.
fn file(proposals: &[Proposal], other_operator: bool) -> (String, LeftOut) {
    let mut left_out = LeftOut::default();
    // The last proposal for each row of the inventory.
    let mut rows: HashMap<String, usize> = HashMap::new();
    for (index, proposal) in proposals.iter().enumerate() {
        let counted = match (proposal.is_older, proposal.is_superseded) {
            _ if proposal.kind == "not-own" => Some(&mut left_out.not_own),
            (true, _) => Some(&mut left_out.older),
            (_, true) => Some(&mut left_out.superseded),
            _ if proposal.is_other_operator && !other_operator => Some(&mut left_out.other_operator),
            _ if proposal.kind == "hub" && proposal.meter.is_none() => Some(&mut left_out.several),
            _ => None,
        };
        if let Some(count) = counted {
            *count += 1;
            continue;
        }
        let subject = if proposal.kind == "hub" { proposal.meter.as_ref() } else { None };
        let device = subject.map_or(&proposal.device_id, |meter| &meter.device_id).clone().unwrap_or_default();
        let kept = rows.entry(device).or_insert(index);
        if *kept != index {
            left_out.superseded += 1;
            if proposals[*kept].last_position < proposal.last_position {
                *kept = index;
            }
        }
    }
    let mut kept: Vec<usize> = rows.into_values().collect();
    kept.sort_unstable();
    let mut sheet = Sheet::new(&COLUMNS);
    kept.into_iter().for_each(|index| sheet.row_as_it_is(&row(&proposals[index])));
    (sheet.finish(), left_out)
}

/// The row of the inventory as a proposal has it.
fn row(proposal: &Proposal) -> [String; COLUMNS.len()] {
    let device = match (proposal.kind, &proposal.meter, &proposal.now) {
        ("hub", Some(meter), _) => Device { hub_id: proposal.device_id.clone(), ..meter.clone() },
        (_, _, Some(now)) => Device { mpxn: proposal.mpxn.clone(), ..now.clone() },
        _ => Device {
            device_id: proposal.device_id.clone(),
            mpxn: proposal.mpxn.clone(),
            generation: proposal.generation,
            ..Device::default()
        },
    };
    let of_hub = (proposal.kind != "hub" && proposal.is_hub).then_some("CHF");
    let by_mpan = proposal.mpxn.parse::<Mpxn>().ok().and_then(|mpxn| mpxn.distributor());
    let operator = if proposal.is_other_operator { by_mpan.map_or(0, |id| id.get().into()) } else { device.operator };
    [
        device.device_id.unwrap_or_default(),
        device.mpxn,
        device.generation.to_owned(),
        device.model,
        if operator == 0 { String::new() } else { operator.to_string() },
        device.secondary_mpan.unwrap_or_default(),
        device.export_mpan.unwrap_or_default(),
        device.r#type.or(of_hub).unwrap_or_default().to_owned(),
        device.hub_id.unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(eui: &str, mpxn: &str, operator: u32) -> Device {
        Device {
            device_id: Some(eui.to_owned()),
            mpxn: mpxn.to_owned(),
            generation: "smets2",
            model: "=Alder, \"3\"".to_owned(),
            operator,
            ..Device::default()
        }
    }

    fn proposal(eui: &str, mpxn: &str, kind: &'static str, last_position: u64) -> Proposal {
        Proposal {
            device_id: Some(eui.to_owned()),
            mpxn: mpxn.to_owned(),
            kind,
            alert_count: 1,
            last_position,
            last_received_ms: 1,
            generation: "unknown",
            is_hub: false,
            now: None,
            meter: None,
            is_other_operator: false,
            is_older: false,
            is_superseded: false,
        }
    }

    const A: &str = "00-DB-12-00-00-00-00-01";
    const B: &str = "00-DB-12-00-00-00-00-02";
    const POINT: &str = "1000000000012";
    const OTHER: &str = "1200000000011";

    #[test]
    fn a_file_has_each_device_once_and_says_what_the_inventory_has_beside_the_proposal() {
        let hub = Proposal { is_hub: true, meter: Some(device(B, POINT, 10)), ..proposal(A, POINT, "hub", 5) };
        let new = Proposal { is_hub: true, ..proposal(A, OTHER, "new-device", 9) };
        let moved = Proposal { now: Some(device(B, "", 10)), ..proposal(B, POINT, "no-point", 3) };
        let (text, left_out) = file(&[hub, new, moved], false);
        let expected = format!(
            "eui,mpxn,generation,model,operator,secondary_mpan,export_mpan,type,hub\n\
             {B},{POINT},smets2,\"=Alder, \"\"3\"\"\",10,,,,{A}\n\
             {A},{OTHER},unknown,,,,,CHF,\n"
        );
        assert_eq!(text, expected);
        assert_eq!(left_out, LeftOut { superseded: 1, ..LeftOut::default() });
    }

    #[test]
    fn what_would_move_a_device_to_another_operator_is_left_out_unless_asked_for() {
        let now = Some(device(A, "", 10));
        let other = Proposal { is_other_operator: true, now, ..proposal(A, OTHER, "no-point", 5) };
        let (text, left_out) = file(std::slice::from_ref(&other), false);
        assert_eq!((text.lines().count(), left_out.other_operator), (1, 1));
        let (text, left_out) = file(&[other], true);
        assert!(text.lines().last().unwrap().contains(",12,"), "{text}");
        assert_eq!(left_out, LeftOut::default());
        let older = Proposal { is_older: true, ..proposal(A, OTHER, "no-point", 5) };
        let several = proposal(B, OTHER, "hub", 5);
        let (text, left_out) = file(&[older, several], true);
        assert_eq!((text.lines().count(), left_out.older, left_out.several), (1, 1, 1));
        assert_eq!(
            left_out.told().unwrap(),
            "left out of the file: 1 older than the last load of the device, 1 of hubs at points with several meters"
        );
    }

    #[test]
    fn a_device_that_is_not_the_callers_and_a_superseded_pair_are_left_out_whatever_is_asked_for() {
        let not_own = proposal(A, OTHER, "not-own", 5);
        let superseded =
            Proposal { is_superseded: true, now: Some(device(B, "", 10)), ..proposal(B, POINT, "no-point", 3) };
        let (text, left_out) = file(&[not_own, superseded], true);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(
            left_out.told().unwrap(),
            "left out of the file: 1 of devices that are listed, but not as yours, 1 superseded by later alerts"
        );
    }
}
