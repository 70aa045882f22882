//! DeviceService: the inventory in, devices out.
//!
//! It must not know how devices are kept. Invariant: each message of an inventory is committed before the next is read,
//! so what a broken stream has done is a whole number of messages.

use tokio_stream::Iter;
use tonic::{Request, Response, Status, Streaming};
use weir_proto::v1::{self, device_service_server::DeviceService};

use super::{
    convert::{
        device::{self, Wanted},
        point::{self, ProposalPieces},
    },
    gate::Door,
    status::status,
};
use crate::pipeline::{DevicePart, DevicesPut, DevicesQuery, LoadState, LoadTerms};

/// The trailer that says how many devices are stored of a load that is refused: those of all messages before.
const DONE: &str = "weir-devices-done";

/// The service.
pub struct Devices {
    door: Door,
    put_devices_max: usize,
    message_bytes_max: usize,
}

impl Devices {
    /// Takes at most `put_devices_max` devices a message, and lists them in messages of at most `message_bytes_max` bytes.
    pub fn new(door: Door, put_devices_max: usize, message_bytes_max: usize) -> Self {
        Self { door, put_devices_max, message_bytes_max }
    }
}

#[tonic::async_trait]
impl DeviceService for Devices {
    type ListProposalsStream = Iter<ProposalPieces>;

    async fn put_devices(
        &self,
        request: Request<Streaming<v1::PutDevicesRequest>>,
    ) -> Result<Response<v1::PutDevicesResponse>, Status> {
        let handle = self.door.open(&request)?;
        let mut messages = request.into_inner();
        let mut total = DevicesPut::default();
        let (at_ms, mut done, mut load) = (handle.now_ms(), 0, LoadState::default());
        let with_done = |mut status: Status, done: usize| {
            status.metadata_mut().insert(DONE, done.into());
            status
        };
        while let Some(message) = messages.message().await.map_err(|status| with_done(status, done))? {
            let sent = message.devices.len();
            let refused = |refusal| with_done(status(refusal), done);
            let (devices, dry_run) = device::devices(message, self.put_devices_max).map_err(refused)?;
            let put;
            (put, load) = handle.load_devices(devices, LoadTerms { dry_run, at_ms }, load).await.map_err(refused)?;
            total.add(put);
            done += sent;
        }
        Ok(Response::new(device::devices_put(total)))
    }

    async fn get_device(
        &self,
        request: Request<v1::GetDeviceRequest>,
    ) -> Result<Response<v1::GetDeviceResponse>, Status> {
        let handle = self.door.open(&request)?;
        let (view, replaced) = match device::wanted(request.into_inner()).map_err(status)? {
            Wanted::Device(eui) => (handle.device(eui).await.map_err(status)?, Vec::new()),
            Wanted::Point(mpxn) => handle.device_at(mpxn).await.map_err(status)?,
        };
        Ok(Response::new(device::view(view, &replaced)))
    }

    async fn list_devices(
        &self,
        request: Request<v1::ListDevicesRequest>,
    ) -> Result<Response<v1::ListDevicesResponse>, Status> {
        let handle = self.door.open(&request)?;
        let (query, mpxn) = device::listed(request.into_inner(), self.put_devices_max).map_err(status)?;
        let page = match mpxn {
            Some(mpxn) => {
                let DevicesQuery { from, devices_max, operators, labels } = query;
                let at = handle.at_point(mpxn, from, devices_max, operators).await.map_err(status)?;
                match labels.is_empty() {
                    true => Ok(DevicePart { devices: at.devices, next: at.next, ..DevicePart::default() }),
                    false => handle.query(move |handle| handle.labelled(at, &labels)).await,
                }
            }
            None => handle.query(move |handle| handle.devices(&query)).await,
        };
        Ok(Response::new(device::page(page.map_err(status)?, self.message_bytes_max)))
    }

    async fn list_labels(
        &self,
        request: Request<v1::ListLabelsRequest>,
    ) -> Result<Response<v1::ListLabelsResponse>, Status> {
        let handle = self.door.open(&request)?;
        Ok(Response::new(device::labels(handle.label_uses())))
    }

    async fn get_point_history(
        &self,
        request: Request<v1::GetPointHistoryRequest>,
    ) -> Result<Response<v1::GetPointHistoryResponse>, Status> {
        let handle = self.door.open(&request)?;
        let mpxn = point::wanted(&request.into_inner().mpxn).map_err(status)?;
        Ok(Response::new(point::history(handle.point_history(mpxn).await.map_err(status)?)))
    }

    async fn list_point_tenures(
        &self,
        request: Request<v1::ListPointTenuresRequest>,
    ) -> Result<Response<v1::ListPointTenuresResponse>, Status> {
        let handle = self.door.open(&request)?;
        let points = point::wanted_points(request.into_inner()).map_err(status)?;
        let count = points.len();
        let found = handle.point_tenures(points).await.map_err(status)?;
        Ok(Response::new(point::tenures(count, found, self.message_bytes_max)))
    }

    async fn list_proposals(
        &self,
        request: Request<v1::ListProposalsRequest>,
    ) -> Result<Response<Iter<ProposalPieces>>, Status> {
        let handle = self.door.open(&request)?;
        let query = point::proposal_query(request.into_inner()).map_err(status)?;
        let proposals = handle.proposals(query).await.map_err(status)?;
        Ok(Response::new(tokio_stream::iter(ProposalPieces::new(proposals, self.message_bytes_max))))
    }
}
