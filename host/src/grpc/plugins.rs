//! PluginService: components in, what is known of them out.
//!
//! It must not look into a component. Invariant: an upload holds no more bytes than the limit, those of one identity no
//! more than it may have in flight, and nothing is kept of one that did not end.

use tonic::{Request, Response, Status, Streaming};
use weir_proto::v1::{self, plugin_service_server::PluginService};

use super::{
    convert::{
        page::{self, Room},
        plugin,
    },
    gate::Door,
    status::status,
};
use crate::pipeline::Handle;

/// The service.
pub struct Plugins {
    door: Door,
    message_bytes_max: usize,
}

impl Plugins {
    /// Gives answers of at most `message_bytes_max` bytes.
    pub fn new(door: Door, message_bytes_max: usize) -> Self {
        Self { door, message_bytes_max }
    }
}

#[tonic::async_trait]
impl PluginService for Plugins {
    async fn upload_plugin(
        &self,
        request: Request<Streaming<v1::UploadPluginRequest>>,
    ) -> Result<Response<v1::UploadPluginResponse>, Status> {
        let handle = self.door.open(&request)?;
        // All of it at once: uploads that each had a part of their room would wait for each other.
        let _room = self.door.account(&request)?.bytes(handle.upload_bytes_max() as u64).await;
        let mut pieces = request.into_inner();
        let mut upload = plugin::Upload::new(handle.upload_bytes_max());
        while let Some(piece) = pieces.message().await? {
            upload.take(piece).map_err(status)?;
        }
        let (bytes, signature) = upload.finish().map_err(status)?;
        let kept = handle.upload_plugin(bytes, &signature).await.map_err(status)?;
        // An upload of known bytes may be of a plugin that rules use already.
        let rules = handle.plugin(&kept.0.digest.to_string()).map(|(_, rules)| rules).map_err(status)?;
        let view = handle.plugin_view(&kept.0.digest).await.map_err(status)?;
        Ok(Response::new(plugin::uploaded(kept, rules, view)))
    }

    async fn list_plugins(
        &self,
        request: Request<v1::ListPluginsRequest>,
    ) -> Result<Response<v1::ListPluginsResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::ListPluginsRequest { page_size, page_token } = request.into_inner();
        let (after, room) = (page::plugin(&page_token).map_err(status)?, Room::new(page_size, self.message_bytes_max));
        let list = move |handle: &Handle| Ok(plugin::plugins(handle.plugins(), after, room));
        Ok(Response::new(handle.query(list).await.map_err(status)?))
    }

    async fn get_plugin(
        &self,
        request: Request<v1::GetPluginRequest>,
    ) -> Result<Response<v1::GetPluginResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::GetPluginRequest { plugin: wanted } = request.into_inner();
        let found = handle.plugin(&wanted).map_err(status)?;
        let report = handle.plugin_view(&found.0.digest).await.map_err(status)?.map(plugin::report);
        Ok(Response::new(v1::GetPluginResponse { plugin: Some(plugin::plugin(found)), report }))
    }

    async fn remove_plugin(
        &self,
        request: Request<v1::RemovePluginRequest>,
    ) -> Result<Response<v1::RemovePluginResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::RemovePluginRequest { plugin: wanted } = request.into_inner();
        let (info, gone) = handle.remove_plugin(&wanted).await.map_err(status)?;
        let plugin = Some(plugin::plugin((info, Vec::new())));
        Ok(Response::new(v1::RemovePluginResponse { plugin, gone }))
    }

    async fn revoke_plugin(
        &self,
        request: Request<v1::RevokePluginRequest>,
    ) -> Result<Response<v1::RevokePluginResponse>, Status> {
        let handle = self.door.open(&request)?;
        let (revoke, why) = plugin::revoke(request.into_inner()).map_err(status)?;
        let revoked = match revoke {
            plugin::Revoke::Plugin(wanted) => handle.revoke_plugin(&wanted, why).await,
            plugin::Revoke::Key(key) => handle.revoke_key(key, why).await,
        };
        Ok(Response::new(plugin::revoked(revoked.map_err(status)?)))
    }
}
