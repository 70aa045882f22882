//! The sender against a service that answers in the ways a host may, on a real connection.

use std::pin::Pin;

use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming, transport::Server};
use weir_proto::v1::{
    Balance, ExplainAlertRequest, ExplainAlertResponse, GetIntakeLimitsRequest, GetIntakeLimitsResponse,
    GetProducerRequest, GetProducerResponse, ListAlertsRequest, ListAlertsResponse, StreamAlertsResponse,
    SubmitAlertsRequest, SubmitAlertsResponse, SubscribeForwardedRequest, SubscribeForwardedResponse,
    alert_service_server::{AlertService, AlertServiceServer},
};

use super::*;
use crate::generator::Plan;

/// What the service does with the third batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Third {
    Acknowledge,
    Skip,
    Miscount,
    End,
    Break,
}

struct Answering(Third);

impl Answering {
    fn answer(&self, request: &StreamAlertsRequest) -> Option<Result<StreamAlertsResponse, Status>> {
        let received = request.alerts.len() as u64;
        let mut balance = Balance { received, forwarded: received, ..Balance::default() };
        let mut sequence = request.sequence;
        if sequence == 3 {
            match self.0 {
                Third::Acknowledge => {}
                Third::Skip => sequence += 1,
                Third::Miscount => balance.received -= 1,
                Third::End => return None,
                Third::Break => return Some(Err(Status::unavailable("the store is full"))),
            }
        }
        let ack = BatchAck { sequence, balance: Some(balance), ..BatchAck::default() };
        Some(Ok(StreamAlertsResponse { ack: Some(ack) }))
    }
}

#[tonic::async_trait]
impl AlertService for Answering {
    type StreamAlertsStream = Pin<Box<dyn Stream<Item = Result<StreamAlertsResponse, Status>> + Send>>;
    type SubscribeForwardedStream = Pin<Box<dyn Stream<Item = Result<SubscribeForwardedResponse, Status>> + Send>>;

    async fn stream_alerts(
        &self,
        requests: Request<Streaming<StreamAlertsRequest>>,
    ) -> Result<Response<Self::StreamAlertsStream>, Status> {
        let service = Self(self.0);
        let answers = requests.into_inner().map_while(move |request| service.answer(&request.ok()?));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn submit_alerts(&self, _: Request<SubmitAlertsRequest>) -> Result<Response<SubmitAlertsResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_producer(&self, _: Request<GetProducerRequest>) -> Result<Response<GetProducerResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_intake_limits(
        &self,
        _: Request<GetIntakeLimitsRequest>,
    ) -> Result<Response<GetIntakeLimitsResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn subscribe_forwarded(
        &self,
        _: Request<SubscribeForwardedRequest>,
    ) -> Result<Response<Self::SubscribeForwardedStream>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn explain_alert(&self, _: Request<ExplainAlertRequest>) -> Result<Response<ExplainAlertResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn list_alerts(&self, _: Request<ListAlertsRequest>) -> Result<Response<ListAlertsResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}

fn day(alerts: u64) -> Day {
    Day::new(Plan { seed: 1, devices: 100, alerts, start_ms: 1_772_323_200_000 }).unwrap()
}

async fn client(third: Third) -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let connections = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let server = Server::builder().add_service(AlertServiceServer::new(Answering(third)));
    tokio::spawn(server.serve_with_incoming(connections));
    Client::connect(&address).await.unwrap()
}

/// Sends 10 batches; a sender that waits for ever fails the test.
async fn send_to(third: Third, alerts_per_s: Option<u32>) -> Result<(Day, Sent)> {
    let producer = "test".to_owned();
    let sending = Sending { producer, batch_alerts: 100, in_flight_max: 4, alerts_per_s, alerts_max: None };
    let client = client(third).await;
    let mut told = 0;
    let limit = Duration::from_secs(30);
    let sent = tokio::time::timeout(limit, send(&client, day(1_000), &sending, |alerts| told += alerts)).await;
    let sent = sent.expect("the sender ends in time");
    assert!(sent.is_err() || told == 1_000, "{told} of 1,000 alerts were told of");
    sent
}

#[tokio::test]
async fn a_day_is_sent_in_order_and_every_answer_taken() {
    let (day, sent) = send_to(Third::Acknowledge, None).await.unwrap();
    assert_eq!((sent.alerts, sent.ends, sent.latency_us.len()), (1_000, [1_000, 0, 0, 0], 10));
    assert_eq!(day.expected().total().received, 1_000);
}

#[tokio::test]
async fn a_part_of_a_day_is_sent_and_the_rest_is_left() {
    let client = client(Third::Acknowledge).await;
    let part = Sending { batch_alerts: 100, in_flight_max: 4, alerts_max: Some(250), ..Sending::flood() };
    let (mut rest, sent) = send(&client, day(1_000), &part, |_| ()).await.unwrap();
    assert_eq!((sent.alerts, sent.latency_us.len(), rest.expected().total().received), (250, 3, 250));
    assert_eq!(rest.batch(usize::MAX).len(), 750);
}

#[tokio::test]
async fn a_paced_day_takes_its_time() {
    let (_, sent) = send_to(Third::Acknowledge, Some(2_000)).await.unwrap();
    assert!(sent.elapsed >= Duration::from_millis(500), "1,000 alerts at 2,000/s took {:?}", sent.elapsed);
}

#[tokio::test]
async fn answers_that_do_not_fit_end_the_sending_with_the_reason() {
    let cases = [
        (Third::Skip, "batch 3 of 100 alerts was answered with batch 4 of 100"),
        (Third::Miscount, "batch 3 of 100 alerts was answered with batch 3 of 99"),
        (Third::End, "before every batch was acknowledged"),
        (Third::Break, "the store is full"),
    ];
    for (third, wanted) in cases {
        let error = format!("{:#}", send_to(third, None).await.unwrap_err());
        assert!(error.contains(wanted), "{third:?}: {error}");
    }
}
