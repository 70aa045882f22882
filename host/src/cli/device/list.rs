//! `weir device list`: lists the inventory page by page.
//!
//! Invariant: JSON is printed page by page, so memory holds one page.

use weir_proto::v1;

use super::labels::{self, LabelIs};
use crate::{
    cli::{
        Failure, Session,
        arguments::{self, Generation, NameFiles},
        listed::Listed,
        view::{
            device::{self, Device},
            label::UnknownLabel,
        },
    },
    domain::{LabelKey, Mpxn, OperatorId},
};

pub(super) const HELP: &str = "Examples:
  weir device list --operator LOND --generation smets1 --limit 50
  weir device list --mpxn 1312345678907
  weir device list --label 'substation=Ash Lane' --labels substation,feeder
  weir device list --json --limit 0 > devices.ndjson";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Only devices of these operators: distributor ids, four letters like LOND, or unknown.
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = arguments::operator)]
    operator: Vec<OperatorId>,
    /// Only these generations.
    #[arg(long, value_delimiter = ',')]
    generation: Vec<Generation>,
    /// Only this model; unknown for those without.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only devices at this metering point: an MPAN or MPRN, in whatever role.
    #[arg(long, value_name = "MPXN", value_parser = arguments::metering_point)]
    mpxn: Option<Mpxn>,
    /// Only devices with this value of a label; without a value, as in feeder=, those without the label. Of several values of
    /// one label any, of several labels all.
    #[arg(long, value_name = "KEY=VALUE", value_parser = labels::is)]
    label: Vec<LabelIs>,
    /// Show these labels, a column each. JSON has all of them.
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    labels: Vec<LabelKey>,
    /// Only devices that no inventory has named: they are known from alerts.
    #[arg(long, conflicts_with_all = ["mpxn", "model", "label"])]
    unlisted: bool,
    /// List so many and no more; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    names: NameFiles,
}

impl Args {
    fn admits(&self, device: &v1::Device, filters: &[v1::LabelFilter]) -> bool {
        let v1::Device { generation, model, labels, .. } = device;
        let is_listed = device::is_listed(device);
        let wanted_model = self.model.as_deref().map(|wanted| if wanted == "unknown" { "" } else { wanted });
        (!self.unlisted || !is_listed)
            && (self.generation.is_empty() || self.generation.iter().any(|wanted| wanted.wire() == *generation))
            && wanted_model.is_none_or(|wanted| wanted == model)
            && labels::admit(filters, labels)
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let (names, filters) = (args.names.read()?, labels::filters(&args.label));
    let mut client = super::client(session).await?;
    let mut request = v1::ListDevicesRequest {
        // As many as the host takes to be a page: its setting may be small.
        page_size: 0,
        page_token: String::new(),
        operators: arguments::operators(&args.operator),
        mpxn: args.mpxn.map(|mpxn| mpxn.to_string()).unwrap_or_default(),
        labels: filters.clone(),
    };
    labels::check_keys(session, &mut client, &args.labels).await?;
    let mut rows = Listed::new(args.limit);
    let table = |devices: &[Device]| device::list(devices, &args.labels, &names);
    loop {
        let answer = client.list_devices(request.clone()).await.map_err(|status| session.failed(&status))?;
        let v1::ListDevicesResponse { devices, next_page_token, unknown_labels } = answer.into_inner();
        if request.page_token.is_empty() {
            unknown_labels.into_iter().for_each(|unknown| eprintln!("{}", UnknownLabel::from(unknown).said()));
        }
        let admitted = devices.into_iter().filter(|device| args.admits(device, &filters));
        if !rows.take(session, admitted.map(Device::from), table)? || next_page_token.is_empty() {
            return rows.finish(session, table);
        }
        request.page_token = next_page_token;
    }
}
