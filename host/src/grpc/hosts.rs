//! HostService: the host itself.
//!
//! It must not know how a clock is judged.

use tonic::{Request, Response, Status};
use weir_proto::v1::{self, host_service_server::HostService};

use super::{gate::Door, status::status};
use crate::pipeline::{self, HostView};

/// The service.
pub struct Hosts {
    door: Door,
}

impl Hosts {
    /// Over a pipeline.
    pub fn new(door: Door) -> Self {
        Self { door }
    }
}

#[tonic::async_trait]
impl HostService for Hosts {
    async fn get_host_status(
        &self,
        request: Request<v1::GetHostStatusRequest>,
    ) -> Result<Response<v1::GetHostStatusResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::GetHostStatusRequest {} = request.into_inner();
        let HostView { status, clock_ms, time_ms, retention_time_ms, log_bytes, free_bytes, readings_problem } =
            handle.host();
        let (state, why) = match status {
            pipeline::Status::Serving => (v1::HostState::Serving, String::new()),
            pipeline::Status::StoreFull => (v1::HostState::StoreFull, "the store has no room".to_owned()),
            pipeline::Status::ClockWrong(wrong) => (v1::HostState::ClockWrong, wrong.to_string()),
            pipeline::Status::Stopped(why) => (v1::HostState::Stopped, why),
        };
        Ok(Response::new(v1::GetHostStatusResponse {
            state: state.into(),
            why,
            clock_ms,
            time_ms,
            retention_time_ms,
            log_bytes,
            free_bytes,
            readings_problem,
        }))
    }

    async fn confirm_clock(
        &self,
        request: Request<v1::ConfirmClockRequest>,
    ) -> Result<Response<v1::ConfirmClockResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::ConfirmClockRequest { clock_ms } = request.into_inner();
        let clock_ms = handle.confirm_clock(clock_ms).await.map_err(status)?;
        Ok(Response::new(v1::ConfirmClockResponse { clock_ms }))
    }
}
