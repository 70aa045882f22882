//! CountService: counts that balance.
//!
//! It must not add anything up. Invariant: the numbers are the books', as of the position beside them.

use tonic::{Request, Response, Status};
use weir_proto::v1::{self, count_service_server::CountService};

use super::{
    convert::count,
    gate::Door,
    status::{blocking, status},
};

/// The service.
pub struct Counts {
    door: Door,
    message_bytes_max: usize,
}

impl Counts {
    /// Gives answers of at most `message_bytes_max` bytes.
    pub fn new(door: Door, message_bytes_max: usize) -> Self {
        Self { door, message_bytes_max }
    }
}

#[tonic::async_trait]
impl CountService for Counts {
    async fn query_counts(
        &self,
        request: Request<v1::QueryCountsRequest>,
    ) -> Result<Response<v1::QueryCountsResponse>, Status> {
        let (handle, bytes_max) = (self.door.open(&request)?, self.message_bytes_max);
        let query = count::query(request.into_inner()).map_err(status)?;
        let table = blocking(move || count::table(handle.counts(&query)?, bytes_max)).await?;
        Ok(Response::new(table))
    }
}
