//! DeviceService: the inventory in, devices out.
//!
//! It must not know how devices are kept. Invariant: each message of an inventory is committed before the next is read,
//! so what a broken stream has done is a whole number of messages.

use tonic::{Request, Response, Status, Streaming};
use weir_proto::v1::{self, device_service_server::DeviceService};

use super::{convert::device, gate::Door, status::status};
use crate::pipeline::DevicesPut;

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
    async fn put_devices(
        &self,
        request: Request<Streaming<v1::PutDevicesRequest>>,
    ) -> Result<Response<v1::PutDevicesResponse>, Status> {
        let handle = self.door.open(&request)?;
        let mut messages = request.into_inner();
        let mut total = DevicesPut::default();
        while let Some(message) = messages.message().await? {
            let (devices, dry_run) = device::devices(message, self.put_devices_max).map_err(status)?;
            total.add(handle.load_devices(devices, dry_run).await.map_err(status)?);
        }
        Ok(Response::new(device::devices_put(total)))
    }

    async fn get_device(
        &self,
        request: Request<v1::GetDeviceRequest>,
    ) -> Result<Response<v1::GetDeviceResponse>, Status> {
        let handle = self.door.open(&request)?;
        let eui = device::wanted(request.into_inner()).map_err(status)?;
        let view = handle.device(eui).await.map_err(status)?;
        Ok(Response::new(device::view(view)))
    }

    async fn list_devices(
        &self,
        request: Request<v1::ListDevicesRequest>,
    ) -> Result<Response<v1::ListDevicesResponse>, Status> {
        let handle = self.door.open(&request)?;
        let (from, devices_max, operators) =
            device::listed(request.into_inner(), self.put_devices_max).map_err(status)?;
        let page = handle.query(move |handle| handle.devices(from, devices_max, &operators)).await.map_err(status)?;
        Ok(Response::new(device::page(page, self.message_bytes_max)))
    }
}
