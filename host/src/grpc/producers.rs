//! ProducerService: which producers the host remembers.
//!
//! It must not know what they send.

use tonic::{Request, Response, Status};
use weir_proto::v1::{self, producer_service_server::ProducerService};

use super::{convert::producer, gate::Door, status::status};

/// The service.
pub struct Producers {
    door: Door,
}

impl Producers {
    /// Behind a door.
    pub fn new(door: Door) -> Self {
        Self { door }
    }
}

#[tonic::async_trait]
impl ProducerService for Producers {
    async fn list_producers(
        &self,
        request: Request<v1::ListProducersRequest>,
    ) -> Result<Response<v1::ListProducersResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::ListProducersRequest { page_size, page_token, identity } = request.into_inner();
        let after = producer::after(&page_token).map_err(status)?;
        let count = producer::page_size(page_size);
        let views = handle.producers(identity, after, count).await.map_err(status)?;
        Ok(Response::new(producer::page(views, count)))
    }

    async fn delete_producer(
        &self,
        request: Request<v1::DeleteProducerRequest>,
    ) -> Result<Response<v1::DeleteProducerResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::DeleteProducerRequest { producer_id, identity } = request.into_inner();
        handle.remove_producer(identity, producer_id).await.map_err(status)?;
        Ok(Response::new(v1::DeleteProducerResponse {}))
    }
}
