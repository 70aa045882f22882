//! ReadingService: voltages, thresholds and what is said of models, in and out.
//!
//! It must not know how they are kept. Invariant: what an answer counts as stored is on disk.

use tonic::{Request, Response, Status};
use weir_proto::v1::{self, reading_service_server::ReadingService};

use super::{
    convert::{reading, reading_coverage},
    gate::Door,
    status::status,
};

/// The service.
pub struct Readings {
    door: Door,
    message_bytes_max: usize,
}

impl Readings {
    /// Gives answers of at most `message_bytes_max` bytes.
    pub fn new(door: Door, message_bytes_max: usize) -> Self {
        Self { door, message_bytes_max }
    }
}

#[tonic::async_trait]
impl ReadingService for Readings {
    async fn put_readings(
        &self,
        request: Request<v1::PutReadingsRequest>,
    ) -> Result<Response<v1::PutReadingsResponse>, Status> {
        let handle = self.door.open(&request)?;
        let sent = reading::Sent::readings(request.into_inner(), handle.reading_limits()).map_err(status)?;
        let (readings, source, dry_run) = (sent.rows(), sent.source.clone(), sent.dry_run);
        let fates = handle.put_readings(readings, source, dry_run).await.map_err(status)?;
        Ok(Response::new(sent.readings_put(&fates, handle.reading_limits(), self.message_bytes_max)))
    }

    async fn list_readings(
        &self,
        request: Request<v1::ListReadingsRequest>,
    ) -> Result<Response<v1::ListReadingsResponse>, Status> {
        let handle = self.door.open(&request)?;
        let reading::ListedDevice { device, ends, after, count } =
            reading::listed(&request.into_inner()).map_err(status)?;
        // One more than a page has says whether there is another page.
        let listed = handle.list_readings(device, ends, after, count + 1).await.map_err(status)?;
        Ok(Response::new(reading::page(listed, count, self.message_bytes_max)))
    }

    async fn get_reading_status(
        &self,
        request: Request<v1::GetReadingStatusRequest>,
    ) -> Result<Response<v1::GetReadingStatusResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::GetReadingStatusRequest {} = request.into_inner();
        Ok(Response::new(reading::totals(handle.reading_status().await.map_err(status)?)))
    }

    async fn put_thresholds(
        &self,
        request: Request<v1::PutThresholdsRequest>,
    ) -> Result<Response<v1::PutThresholdsResponse>, Status> {
        let handle = self.door.open(&request)?;
        let sent = reading::Sent::thresholds(request.into_inner(), handle.reading_limits()).map_err(status)?;
        let fates = handle.put_thresholds(sent.rows(), sent.dry_run).await.map_err(status)?;
        Ok(Response::new(sent.thresholds_put(&fates, handle.reading_limits(), self.message_bytes_max)))
    }

    async fn list_thresholds(
        &self,
        request: Request<v1::ListThresholdsRequest>,
    ) -> Result<Response<v1::ListThresholdsResponse>, Status> {
        let handle = self.door.open(&request)?;
        let (device, after, count) = reading::listed_thresholds(&request.into_inner()).map_err(status)?;
        let listed = handle.list_thresholds(device, after, count + 1).await.map_err(status)?;
        Ok(Response::new(reading::threshold_page(listed, count, self.message_bytes_max)))
    }

    async fn set_reading_model(
        &self,
        request: Request<v1::SetReadingModelRequest>,
    ) -> Result<Response<v1::SetReadingModelResponse>, Status> {
        let handle = self.door.open(&request)?;
        let model = reading::model(request.into_inner()).map_err(status)?;
        let model = handle.set_reading_model(model).await.map_err(status)?;
        Ok(Response::new(v1::SetReadingModelResponse { model: Some(reading::wire_model(model)) }))
    }

    async fn list_reading_models(
        &self,
        request: Request<v1::ListReadingModelsRequest>,
    ) -> Result<Response<v1::ListReadingModelsResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::ListReadingModelsRequest {} = request.into_inner();
        let models = handle.reading_models().await.map_err(status)?;
        reading::models(models, self.message_bytes_max).map(Response::new).map_err(status)
    }

    async fn get_reading_coverage(
        &self,
        request: Request<v1::GetReadingCoverageRequest>,
    ) -> Result<Response<v1::GetReadingCoverageResponse>, Status> {
        let handle = self.door.open(&request)?;
        let query = reading_coverage::query(request.into_inner()).map_err(status)?;
        let coverage = handle.scan(move |handle| handle.reading_coverage(&query)).await.map_err(status)?;
        Ok(Response::new(reading_coverage::coverage(coverage)))
    }
}
