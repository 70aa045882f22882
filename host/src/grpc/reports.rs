//! ReportService: counts by device, the inventory in numbers, changes to rules, the signal of a migration.
//!
//! It must not add anything up. Invariant: all pieces of a streamed answer are as of one moment.

use tokio_stream::Iter;
use tonic::{Request, Response, Status};
use weir_proto::v1::{self, report_service_server::ReportService};

use super::{
    convert::report::{self, Pieces},
    gate::Door,
    status::status,
};
use crate::pipeline::Handle;

/// The service.
pub struct Reports {
    door: Door,
    message_bytes_max: usize,
}

impl Reports {
    /// Gives answers in messages of at most `message_bytes_max` bytes.
    pub fn new(door: Door, message_bytes_max: usize) -> Self {
        Self { door, message_bytes_max }
    }
}

#[tonic::async_trait]
impl ReportService for Reports {
    type QueryDeviceCountsStream = Iter<Pieces>;

    async fn query_device_counts(
        &self,
        request: Request<v1::QueryDeviceCountsRequest>,
    ) -> Result<Response<Iter<Pieces>>, Status> {
        let handle = self.door.open(&request)?;
        let query = report::device_query(request.into_inner()).map_err(status)?;
        let counts = handle.scan(move |handle| handle.device_counts(&query)).await.map_err(status)?;
        Ok(Response::new(tokio_stream::iter(Pieces::new(counts, self.message_bytes_max))))
    }

    async fn query_inventory(
        &self,
        request: Request<v1::QueryInventoryRequest>,
    ) -> Result<Response<v1::QueryInventoryResponse>, Status> {
        let handle = self.door.open(&request)?;
        let query = report::inventory_query(request.into_inner()).map_err(status)?;
        let counts = handle.query(move |handle| handle.inventory(&query)).await.map_err(status)?;
        Ok(Response::new(report::inventory(counts, self.message_bytes_max).map_err(status)?))
    }

    async fn list_rule_changes(
        &self,
        request: Request<v1::ListRuleChangesRequest>,
    ) -> Result<Response<v1::ListRuleChangesResponse>, Status> {
        let handle = self.door.open(&request)?;
        let (query, room) = report::changes_query(request.into_inner(), self.message_bytes_max).map_err(status)?;
        let list = move |handle: &Handle| handle.rule_changes(&query).map(|found| report::changes(found, room));
        Ok(Response::new(handle.query(list).await.map_err(status)?))
    }

    async fn get_migration_signal(
        &self,
        request: Request<v1::GetMigrationSignalRequest>,
    ) -> Result<Response<v1::GetMigrationSignalResponse>, Status> {
        let handle = self.door.open(&request)?;
        let query = report::migration_query(request.into_inner()).map_err(status)?;
        let view = handle.query(move |handle| handle.migration_signal(&query)).await.map_err(status)?;
        Ok(Response::new(report::migration(view)))
    }
}
