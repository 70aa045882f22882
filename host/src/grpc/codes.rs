//! CodeService: the table of alert codes that the host goes by.

use tonic::{Request, Response, Status};
use weir_proto::v1::{self, code_service_server::CodeService};

use super::{convert::codes, gate::Door, status::status};

/// The service.
pub struct Codes {
    door: Door,
    message_bytes_max: usize,
}

impl Codes {
    /// Gives answers of at most `message_bytes_max` bytes.
    pub fn new(door: Door, message_bytes_max: usize) -> Self {
        Self { door, message_bytes_max }
    }
}

#[tonic::async_trait]
impl CodeService for Codes {
    async fn list_codes(
        &self,
        request: Request<v1::ListCodesRequest>,
    ) -> Result<Response<v1::ListCodesResponse>, Status> {
        let handle = self.door.open(&request)?;
        let query = codes::query(request.into_inner()).map_err(status)?;
        let view = handle.codes(query.position).map_err(status)?;
        let is_protected = |code| handle.is_protected(code);
        codes::answer(&query, &view, is_protected, self.message_bytes_max).map(Response::new).map_err(status)
    }
}
