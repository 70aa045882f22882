//! AlertService: alerts in, and what became of them.
//!
//! It must not judge anything. Invariant: an ack leaves only after the pipeline has given it.

use std::{sync::Arc, time::Duration};

use tokio::sync::{oneshot, watch};
use tonic::{Request, Response, Status, Streaming};
use weir_proto::v1::{self, alert_service_server::AlertService};

use super::{
    convert::{alert, explain, listing},
    gate::Door,
    peer::Peer,
    policy,
    status::status,
    stream, subscribe,
};
use crate::{
    config::{Config, IntakeLimits},
    domain::{Ack, Position},
    pipeline::{Batch, Handle, Refusal, Standing},
};

/// The call by which most alerts come.
const STREAM_ALERTS: &str = "/weir.v1.AlertService/StreamAlerts";

/// The service.
pub struct Alerts {
    door: Door,
    limits: IntakeLimits,
    retention_days_max: u32,
    terms: subscribe::Terms,
    stopping: watch::Receiver<bool>,
}

impl Alerts {
    /// Streams stop being read when `stopping` turns true.
    pub fn new(door: Door, config: &Config, stopping: watch::Receiver<bool>) -> Self {
        let terms = subscribe::Terms::new(&config.subscribe, &config.intake, stopping.clone());
        Self {
            door,
            limits: config.intake.clone(),
            retention_days_max: config.store.retention_days_max,
            terms,
            stopping,
        }
    }
}

/// Hands a batch over, and gives the future of its answer.
async fn submit(handle: Handle, batch: Batch) -> Result<impl Future<Output = Result<Ack, Refusal>>, Refusal> {
    let answer = handle.submit(batch).await?;
    Ok(answered(handle, answer))
}

async fn answered(handle: Handle, answer: oneshot::Receiver<Result<Ack, Refusal>>) -> Result<Ack, Refusal> {
    answer.await.unwrap_or_else(|_| Err(handle.no_answer()))
}

#[tonic::async_trait]
impl AlertService for Alerts {
    type StreamAlertsStream = stream::Answers;
    type SubscribeForwardedStream = subscribe::Forwarded;

    async fn stream_alerts(
        &self,
        request: Request<Streaming<v1::StreamAlertsRequest>>,
    ) -> Result<Response<Self::StreamAlertsStream>, Status> {
        let (handle, limits) = (self.door.open(&request)?, self.limits.clone());
        let terms = stream::Terms {
            in_flight_max: limits.batches_in_flight_max,
            batch_alerts_max: limits.batch_alerts_max,
            account: self.door.account(&request)?,
            unread_max: Duration::from_millis(limits.unread_answers_ms_max),
            peer: request.extensions().get::<Peer>().cloned(),
            stopping: self.stopping.clone(),
        };
        // The stream's producers are in use until it is no longer read.
        let sender = Arc::new(handle.sender());
        let submit = move |request| {
            let batch = alert::batch(request, &limits);
            let (handle, sender) = (handle.clone(), Arc::clone(&sender));
            async move { Ok(answered(handle, sender.submit(batch?).await?)) }
        };
        Ok(Response::new(stream::answers(request.into_inner(), terms, submit)))
    }

    async fn submit_alerts(
        &self,
        request: Request<v1::SubmitAlertsRequest>,
    ) -> Result<Response<v1::SubmitAlertsResponse>, Status> {
        let (handle, account) = (self.door.open(&request)?, self.door.account(&request)?);
        let batch = alert::single_batch(request.into_inner(), &self.limits).map_err(status)?;
        let _room = account.bytes(stream::bytes_of(batch.alerts.len())).await;
        let answer = submit(handle, batch).await.map_err(status)?;
        let ack = answer.await.map_err(status)?;
        Ok(Response::new(v1::SubmitAlertsResponse { ack: Some(alert::ack(ack)) }))
    }

    async fn get_producer(
        &self,
        request: Request<v1::GetProducerRequest>,
    ) -> Result<Response<v1::GetProducerResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::GetProducerRequest { producer_id } = request.into_inner();
        let producer = alert::producer(producer_id).map_err(status)?;
        let Standing { last, bookmark } = handle.producer(&producer).await.map_err(status)?;
        Ok(Response::new(v1::GetProducerResponse { last_sequence: last, bookmark }))
    }

    async fn get_intake_limits(
        &self,
        request: Request<v1::GetIntakeLimitsRequest>,
    ) -> Result<Response<v1::GetIntakeLimitsResponse>, Status> {
        let handle = self.door.open(&request)?;
        let can_send = policy::check(STREAM_ALERTS, handle.role()).is_ok();
        Ok(Response::new(v1::GetIntakeLimitsResponse {
            weight_max: self.limits.weight_max,
            future_s_max: self.limits.future_s_max,
            retention_days_max: self.retention_days_max,
            time_ms: handle.now_ms(),
            can_send: Some(can_send),
            put_devices_max: u32::try_from(self.limits.put_devices_max).unwrap_or(u32::MAX),
            message_bytes_max: self.limits.message_bytes_max as u64,
        }))
    }

    async fn list_alerts(
        &self,
        request: Request<v1::ListAlertsRequest>,
    ) -> Result<Response<v1::ListAlertsResponse>, Status> {
        let (handle, bytes_max) = (self.door.open(&request)?, self.limits.message_bytes_max);
        let mut query = listing::query(request.into_inner(), &self.limits).map_err(status)?;
        if let Some(point) = &mut query.point {
            point.devices = handle.devices_of_point(point.mpxn).await.map_err(status)?;
        }
        let list = move |handle: &Handle| handle.alerts(&query).map(|page| listing::page(page, bytes_max));
        Ok(Response::new(handle.query(list).await.map_err(status)?))
    }

    async fn subscribe_forwarded(
        &self,
        request: Request<v1::SubscribeForwardedRequest>,
    ) -> Result<Response<Self::SubscribeForwardedStream>, Status> {
        let handle = self.door.open(&request)?;
        let stream = subscribe::begin(handle, request.into_inner(), &self.terms).await.map_err(status)?;
        Ok(Response::new(stream))
    }

    async fn explain_alert(
        &self,
        request: Request<v1::ExplainAlertRequest>,
    ) -> Result<Response<v1::ExplainAlertResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::ExplainAlertRequest { position } = request.into_inner();
        let view = handle.explain(move |handle| handle.explain_alert(Position(position))).await.map_err(status)?;
        Ok(Response::new(explain::explanation(view)))
    }
}
