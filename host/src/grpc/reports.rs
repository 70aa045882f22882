//! ReportService: counts by device, the inventory in numbers, changes to rules, the signal of a migration.
//!
//! It must not add anything up. Invariant: all pieces of a streamed answer are as of one moment.

use tokio_stream::Iter;
use tonic::{Request, Response, Status};
use weir_proto::v1::{self, report_service_server::ReportService};

use super::{
    convert::report::{self, Pieces},
    gate::Door,
    status::{blocking, status},
};

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
        let counts = blocking(move || handle.device_counts(&query)).await?;
        Ok(Response::new(tokio_stream::iter(Pieces::new(counts, self.message_bytes_max))))
    }

    async fn query_inventory(
        &self,
        request: Request<v1::QueryInventoryRequest>,
    ) -> Result<Response<v1::QueryInventoryResponse>, Status> {
        let handle = self.door.open(&request)?;
        let (operators, generations) = report::inventory_query(request.into_inner()).map_err(status)?;
        let counts = blocking(move || handle.inventory(&operators, &generations)).await?;
        Ok(Response::new(report::inventory(counts)))
    }

    async fn list_rule_changes(
        &self,
        request: Request<v1::ListRuleChangesRequest>,
    ) -> Result<Response<v1::ListRuleChangesResponse>, Status> {
        let handle = self.door.open(&request)?;
        let (since_ms, until_ms) = report::changes_query(request.into_inner());
        let changes = blocking(move || handle.rule_changes(since_ms, until_ms)).await?;
        Ok(Response::new(report::changes(changes)))
    }

    async fn get_migration_signal(
        &self,
        request: Request<v1::GetMigrationSignalRequest>,
    ) -> Result<Response<v1::GetMigrationSignalResponse>, Status> {
        let handle = self.door.open(&request)?;
        let query = report::migration_query(request.into_inner()).map_err(status)?;
        let view = blocking(move || handle.migration_signal(&query)).await?;
        Ok(Response::new(report::migration(view)))
    }
}
