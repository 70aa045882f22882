//! TLS: the server's certificate, and who a client's certificate says it is.
//!
//! It must not know roles. Invariant: a connection keeps the certificate it began with; files that cannot be used leave
//! what was read before in place.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
    server::TlsStream,
};

use crate::config::TlsFiles;

/// How a certificate names its holder: the URI `weir:NAME` among its subject's alternative names.
pub const CERTIFICATE_SCHEME: &str = "weir:";

/// A handshake takes a few round trips.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// What is spoken inside.
const ALPN: &[u8] = b"h2";

/// Why TLS is not spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or has not in it what it should.
    #[error("{field}: {}: {why}", path.display())]
    File {
        /// The setting that names it.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The files do not go together.
    #[error("tls_certificate and tls_key: {0}")]
    Mismatch(#[from] rustls::Error),
}

/// The server's side of TLS.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let current = RwLock::new(Arc::new(read(&files)?));
        Ok(Self { files, current })
    }

    /// Reads the files again, for the connections that come from here on.
    pub fn reload(&self) -> Result<(), TlsError> {
        let read = Arc::new(read(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// Shakes hands; says who the client's certificate names, if it has one.
    pub async fn accept(&self, stream: TcpStream) -> Result<(TlsStream<TcpStream>, Option<String>), String> {
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let shaking = timeout(HANDSHAKE_MAX, TlsAcceptor::from(current).accept(stream)).await;
        let stream = shaking
            .map_err(|_| format!("no handshake within {} s", HANDSHAKE_MAX.as_secs()))?
            .map_err(|error| error.to_string())?;
        let (_, session) = stream.get_ref();
        let name = session.peer_certificates().and_then(|chain| chain.first()).and_then(holder);
        Ok((stream, name))
    }
}

/// Whom a certificate names, that was verified before.
fn holder(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let mut names = certificate.valid_uri_names().filter_map(|uri| uri.strip_prefix(CERTIFICATE_SCHEME));
    names.next().map(str::to_owned)
}

fn read(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let TlsFiles { certificate, key, client_ca } = files;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let refused = |why: String| TlsError::File { field: "tls_client_ca", path: path.clone(), why };
            let mut roots = RootCertStore::empty();
            for root in certificates("tls_client_ca", path)? {
                roots.add(root).map_err(|error| refused(error.to_string()))?;
            }
            // A token will do as well, so a certificate need not be there. One that is there must be right.
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.allow_unauthenticated().build().map_err(|error| refused(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = certificates("tls_certificate", certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
        field: "tls_key",
        path: key.clone(),
        why: error.to_string(),
    })?;
    let mut config = builder.with_single_cert(chain, private)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

fn certificates(field: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refused = |why: String| TlsError::File { field, path: path.to_owned(), why };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| refused(error.to_string()))?;
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(|error| refused(error.to_string()))?;
    if found.is_empty() { Err(refused("there is no certificate in it (PEM)".to_owned())) } else { Ok(found) }
}
