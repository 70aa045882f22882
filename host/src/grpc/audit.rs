//! AuditService: who did what.
//!
//! It must not know what was done. Invariant: entries go out as they were written.

use tonic::{Request, Response, Status};
use weir_proto::v1::{self, audit_service_server::AuditService};

use super::{
    convert::access,
    gate::Door,
    status::{blocking, status},
};

/// The service.
pub struct Audit {
    door: Door,
}

impl Audit {
    /// Over a pipeline.
    pub fn new(door: Door) -> Self {
        Self { door }
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
        let entries = blocking(move || handle.audit(from, entries_max)).await?;
        Ok(Response::new(access::audit_entries(entries, entries_max)))
    }

    async fn verify_audit(
        &self,
        request: Request<v1::VerifyAuditRequest>,
    ) -> Result<Response<v1::VerifyAuditResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::VerifyAuditRequest {} = request.into_inner();
        let (chain, broken) = blocking(move || handle.verify_audit()).await?;
        Ok(Response::new(access::verified(chain, broken)))
    }
}
