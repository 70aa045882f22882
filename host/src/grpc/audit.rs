//! AuditService: who did what.
//!
//! It must not know what was done. Invariant: entries go out as they were written.

use tonic::{Request, Response, Status};
use weir_proto::v1::{self, audit_service_server::AuditService};

use super::{
    convert::{access, page::Room},
    gate::Door,
    status::status,
};
use crate::pipeline::Handle;

/// The service.
pub struct Audit {
    door: Door,
    message_bytes_max: usize,
}

impl Audit {
    /// Gives answers of at most `message_bytes_max` bytes.
    pub fn new(door: Door, message_bytes_max: usize) -> Self {
        Self { door, message_bytes_max }
    }
}

#[tonic::async_trait]
impl AuditService for Audit {
    async fn list_audit_entries(
        &self,
        request: Request<v1::ListAuditEntriesRequest>,
    ) -> Result<Response<v1::ListAuditEntriesResponse>, Status> {
        let handle = self.door.open(&request)?;
        let (from, entries_max) = access::audit_page(request.into_inner()).map_err(status)?;
        let entries = handle.query(move |handle| handle.audit(from, entries_max)).await.map_err(status)?;
        let room = Room { rows_max: entries_max, bytes_max: self.message_bytes_max };
        Ok(Response::new(access::audit_entries(entries, room)))
    }

    async fn verify_audit(
        &self,
        request: Request<v1::VerifyAuditRequest>,
    ) -> Result<Response<v1::VerifyAuditResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::VerifyAuditRequest {} = request.into_inner();
        let (chain, broken) = handle.query(Handle::verify_audit).await.map_err(status)?;
        Ok(Response::new(access::verified(chain, broken)))
    }
}
