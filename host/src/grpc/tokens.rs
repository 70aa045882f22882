//! TokenService: who may ask.
//!
//! It must not know how tokens are kept. Invariant: a token's text is in the answer that made it and in no other.

use tonic::{Request, Response, Status};
use weir_proto::v1::{self, token_service_server::TokenService};

use super::{
    convert::{access, page::Room},
    gate::Door,
    status::status,
};

/// The service.
pub struct Tokens {
    door: Door,
    message_bytes_max: usize,
}

impl Tokens {
    /// Gives answers of at most `message_bytes_max` bytes.
    pub fn new(door: Door, message_bytes_max: usize) -> Self {
        Self { door, message_bytes_max }
    }
}

#[tonic::async_trait]
impl TokenService for Tokens {
    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let handle = self.door.open(&request)?;
        let wanted = access::new_token(&request.into_inner()).map_err(status)?;
        let (secret, token) = handle.create_token(wanted).await.map_err(status)?;
        Ok(Response::new(v1::CreateTokenResponse { secret, token: Some(access::token(token)) }))
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::ListTokensRequest { page_size, page_token } = request.into_inner();
        let room = Room::new(page_size, self.message_bytes_max);
        Ok(Response::new(access::tokens(handle.tokens(), &page_token, room)))
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::RevokeTokenRequest { name } = request.into_inner();
        let token = handle.revoke_token(&name).await.map_err(status)?;
        Ok(Response::new(v1::RevokeTokenResponse { token: Some(access::token(token)) }))
    }
}
