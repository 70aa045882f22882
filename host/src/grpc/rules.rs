//! RuleService: rules set, listed, removed, restored and released, and what they were.
//!
//! It must not know what a rule does. Invariant: a rule is shown only as the pipeline says it stands.

use tonic::{Request, Response, Status};
use weir_proto::v1::{self, rule_service_server::RuleService};

use super::{
    convert::{
        page::{self, Room},
        rule,
    },
    gate::Door,
    status::status,
};
use crate::{domain::Revision, pipeline::Handle};

/// The service.
pub struct Rules {
    door: Door,
    message_bytes_max: usize,
}

impl Rules {
    /// Gives answers of at most `message_bytes_max` bytes.
    pub fn new(door: Door, message_bytes_max: usize) -> Self {
        Self { door, message_bytes_max }
    }
}

#[tonic::async_trait]
impl RuleService for Rules {
    async fn set_rule(&self, request: Request<v1::SetRuleRequest>) -> Result<Response<v1::SetRuleResponse>, Status> {
        let handle = self.door.open(&request)?;
        let wanted = rule::request(request.into_inner()).map_err(status)?;
        let view = handle.set_rule(wanted).await.map_err(status)?;
        Ok(Response::new(v1::SetRuleResponse { rule: Some(rule::view(view)) }))
    }

    async fn list_rules(
        &self,
        request: Request<v1::ListRulesRequest>,
    ) -> Result<Response<v1::ListRulesResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::ListRulesRequest { page_size, page_token } = request.into_inner();
        let (after, room) = (page::rule(&page_token).map_err(status)?, Room::new(page_size, self.message_bytes_max));
        let list = move |handle: &Handle| Ok(rule::rules(handle.rules(), after.as_ref(), room));
        Ok(Response::new(handle.query(list).await.map_err(status)?))
    }

    async fn remove_rule(
        &self,
        request: Request<v1::RemoveRuleRequest>,
    ) -> Result<Response<v1::RemoveRuleResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::RemoveRuleRequest { name, why } = request.into_inner();
        let revision = handle.remove_rule(&name, why).await.map_err(status)?;
        Ok(Response::new(v1::RemoveRuleResponse { revision: revision.0 }))
    }

    async fn list_rule_revisions(
        &self,
        request: Request<v1::ListRuleRevisionsRequest>,
    ) -> Result<Response<v1::ListRuleRevisionsResponse>, Status> {
        let handle = self.door.open(&request)?;
        let (name, before, revisions_max) = rule::history(request.into_inner()).map_err(status)?;
        let room = Room { rows_max: revisions_max, bytes_max: self.message_bytes_max };
        let list = move |handle: &Handle| handle.with_history(&name, before, |changes| rule::revisions(changes, room));
        Ok(Response::new(handle.query(list).await.map_err(status)?))
    }

    async fn restore_rule(
        &self,
        request: Request<v1::RestoreRuleRequest>,
    ) -> Result<Response<v1::RestoreRuleResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::RestoreRuleRequest { name, revision, why } = request.into_inner();
        let view = handle.restore_rule(&name, Revision(revision), &why).await.map_err(status)?;
        Ok(Response::new(v1::RestoreRuleResponse { rule: Some(rule::view(view)) }))
    }

    async fn release_rule(
        &self,
        request: Request<v1::ReleaseRuleRequest>,
    ) -> Result<Response<v1::ReleaseRuleResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::ReleaseRuleRequest { name, why } = request.into_inner();
        let view = handle.release_rule(&name, why).await.map_err(status)?;
        Ok(Response::new(v1::ReleaseRuleResponse { rule: Some(rule::view(view)) }))
    }
}
