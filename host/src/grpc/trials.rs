//! TrialService: shadow rules compared and promoted.
//!
//! It must not know what a rule does. Invariant: a sampled alert is shown as a listing shows it.

use tonic::{Request, Response, Status};
use weir_proto::v1::{self, trial_service_server::TrialService};

use super::{
    convert::{rule, trial},
    gate::Door,
    status::status,
};
use crate::pipeline::Handle;

/// The service.
pub struct Trials {
    door: Door,
    message_bytes_max: usize,
}

impl Trials {
    /// Gives answers of at most `message_bytes_max` bytes.
    pub fn new(door: Door, message_bytes_max: usize) -> Self {
        Self { door, message_bytes_max }
    }
}

#[tonic::async_trait]
impl TrialService for Trials {
    async fn compare_rule(
        &self,
        request: Request<v1::CompareRuleRequest>,
    ) -> Result<Response<v1::CompareRuleResponse>, Status> {
        let handle = self.door.open(&request)?;
        let query = trial::query(request.into_inner()).map_err(status)?;
        let compare = move |handle: &Handle| {
            let comparison = handle.compare(&query)?;
            let samples = handle.differences(&query.rule, &comparison.samples)?;
            Ok((comparison, samples))
        };
        let (comparison, samples) = handle.query(compare).await.map_err(status)?;
        Ok(Response::new(trial::comparison(comparison, samples, self.message_bytes_max)))
    }

    async fn promote_rule(
        &self,
        request: Request<v1::PromoteRuleRequest>,
    ) -> Result<Response<v1::PromoteRuleResponse>, Status> {
        let handle = self.door.open(&request)?;
        let view = handle.promote_rule(trial::promotion(request.into_inner())).await.map_err(status)?;
        Ok(Response::new(v1::PromoteRuleResponse { rule: Some(rule::view(view)) }))
    }
}
