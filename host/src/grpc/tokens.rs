//! TokenService: who may ask.
//!
//! It must not know how tokens are kept. Invariant: a token's text is in the answer that made it and in no other.

use tonic::{Request, Response, Status};
use weir_proto::v1::{self, token_service_server::TokenService};

use super::{convert::access, gate::Door, status::status};

/// The service.
pub struct Tokens {
    door: Door,
}

impl Tokens {
    /// Over a pipeline.
    pub fn new(door: Door) -> Self {
        Self { door }
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
        let v1::ListTokensRequest {} = request.into_inner();
        let tokens = handle.tokens().into_iter().map(access::token).collect();
        Ok(Response::new(v1::ListTokensResponse { tokens }))
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
