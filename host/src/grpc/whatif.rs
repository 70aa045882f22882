//! WhatIfService and VerifyService: questions over the past in, progress and answers out.
//!
//! It must not know how a log is folded. Invariant: a stream of progress ends when its question is over, when its reader
//! goes away, and when the server stops.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use weir_proto::v1::{self, verify_service_server::VerifyService, what_if_service_server::WhatIfService};

use super::{
    convert::{page::Room, page_at, plugin::Upload, whatif},
    gate::Door,
    status::status,
};
use crate::pipeline::{Handle, Refusal};

/// How often whoever follows a question is told of its progress.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Both services.
#[derive(Clone)]
pub struct WhatIfs {
    door: Door,
    message_bytes_max: usize,
    stopping: watch::Receiver<bool>,
}

impl WhatIfs {
    /// Takes and gives messages of at most `message_bytes_max` bytes. Streams end when `stopping` turns true.
    pub fn new(door: Door, message_bytes_max: usize, stopping: watch::Receiver<bool>) -> Self {
        Self { door, message_bytes_max, stopping }
    }
}

#[tonic::async_trait]
impl WhatIfService for WhatIfs {
    type WatchWhatIfStream = ReceiverStream<Result<v1::WatchWhatIfResponse, Status>>;

    async fn start_what_if(
        &self,
        request: Request<Streaming<v1::StartWhatIfRequest>>,
    ) -> Result<Response<v1::StartWhatIfResponse>, Status> {
        let handle = self.door.open(&request)?;
        let upload_bytes_max = handle.upload_bytes_max();
        // All of it at once, and before anything is read: a question that waits for its candidate is held, too.
        let room = upload_bytes_max.max(self.message_bytes_max);
        let _room = self.door.account(&request)?.bytes(room as u64).await;
        let mut messages = request.into_inner();
        let mut question = None;
        let mut upload = Upload::new(upload_bytes_max);
        let mut sent = false;
        while let Some(v1::StartWhatIfRequest { question: asked, chunk, signature }) = messages.message().await? {
            question = question.or(asked);
            sent |= !chunk.is_empty();
            upload.take(v1::UploadPluginRequest { chunk, signature }).map_err(status)?;
        }
        let missing = || status(Refusal::invalid("question", "is missing: the first message has it"));
        let asked = whatif::request(question.ok_or_else(missing)?).map_err(status)?;
        let component = sent.then(|| upload.finish()).transpose().map_err(status)?;
        let view = handle.start_what_if(asked, component).await.map_err(status)?;
        Ok(Response::new(v1::StartWhatIfResponse { what_if: Some(whatif::view(view)) }))
    }

    async fn get_what_if(
        &self,
        request: Request<v1::GetWhatIfRequest>,
    ) -> Result<Response<v1::GetWhatIfResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::GetWhatIfRequest { id } = request.into_inner();
        let (view, answer) = handle.query(move |handle| handle.what_if(id)).await.map_err(status)?;
        let answer = answer.map(whatif::answer);
        Ok(Response::new(v1::GetWhatIfResponse { what_if: Some(whatif::view(view)), answer }))
    }

    async fn list_what_ifs(
        &self,
        request: Request<v1::ListWhatIfsRequest>,
    ) -> Result<Response<v1::ListWhatIfsResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::ListWhatIfsRequest { page_size, page_token } = request.into_inner();
        let before = page_at(&page_token).map_err(status)?.unwrap_or(u64::MAX);
        let room = Room::new(page_size, self.message_bytes_max);
        let list = move |handle: &Handle| Ok(whatif::views(handle.questions(), before, room));
        Ok(Response::new(handle.query(list).await.map_err(status)?))
    }

    async fn cancel_what_if(
        &self,
        request: Request<v1::CancelWhatIfRequest>,
    ) -> Result<Response<v1::CancelWhatIfResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::CancelWhatIfRequest { id } = request.into_inner();
        let view = handle.cancel_what_if(id).await.map_err(status)?;
        Ok(Response::new(v1::CancelWhatIfResponse { what_if: Some(whatif::view(view)) }))
    }

    async fn watch_what_if(
        &self,
        request: Request<v1::WatchWhatIfRequest>,
    ) -> Result<Response<Self::WatchWhatIfStream>, Status> {
        let handle = self.door.open(&request)?;
        let v1::WatchWhatIfRequest { id } = request.into_inner();
        handle.question(id).map_err(status)?;
        let (sender, messages) = mpsc::channel(1);
        tokio::spawn(follow(handle, id, sender, self.stopping.clone()));
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

/// Tells of a question's progress until it is over.
async fn follow(
    handle: Handle,
    id: u64,
    messages: mpsc::Sender<Result<v1::WatchWhatIfResponse, Status>>,
    stopping: watch::Receiver<bool>,
) {
    let mut told = None;
    loop {
        let view = match handle.question(id) {
            Ok(view) => view,
            // Retention of answers may have overtaken it.
            Err(refusal) => {
                let _ = messages.send(Err(status(refusal))).await;
                return;
            }
        };
        let (stage, rows) = (view.head.stage, view.rows);
        if stage.is_over() || told != Some((stage, rows)) {
            let message = v1::WatchWhatIfResponse { what_if: Some(whatif::view(view)) };
            if messages.send(Ok(message)).await.is_err() || stage.is_over() {
                return;
            }
        }
        told = Some((stage, rows));
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = messages.closed() => return,
            () = super::stopped(stopping.clone()) => {
                let _ = messages.send(Err(status(handle.unavailable()))).await;
                return;
            }
        }
    }
}

#[tonic::async_trait]
impl VerifyService for WhatIfs {
    async fn start_verification(
        &self,
        request: Request<v1::StartVerificationRequest>,
    ) -> Result<Response<v1::StartVerificationResponse>, Status> {
        let handle = self.door.open(&request)?;
        let (since_ms, until_ms) = whatif::period(request.into_inner());
        handle.start_verification(since_ms, until_ms).map_err(status)?;
        Ok(Response::new(v1::StartVerificationResponse {}))
    }

    async fn get_verification(
        &self,
        request: Request<v1::GetVerificationRequest>,
    ) -> Result<Response<v1::GetVerificationResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::GetVerificationRequest {} = request.into_inner();
        let (verification, rows) = handle.verification().map_err(status)?;
        Ok(Response::new(whatif::verification(verification, rows)))
    }
}
