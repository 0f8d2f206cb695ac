//! The TLS configuration: whose certificates are believed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

/// Certificate authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read as PEM.
    #[error("could not read {}", path.display())]
    File {
        /// The file of the configuration.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// A certificate in it cannot be used.
    #[error("{} holds a certificate that cannot be used", path.display())]
    Certificate {
        /// The file of the configuration.
        path: PathBuf,
        /// Why.
        #[source]
        source: Error,
    },
    /// The machine's own store failed in a way that leaves nothing.
    #[error("the cryptography offers no TLS version")]
    Versions(#[source] Error),
}

/// Trusts the machine's authorities and those in `ca_file`.
pub(super) fn tls_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TrustError> {
    let mut roots = RootCertStore::empty();
    // A machine without authorities can still call http; https then fails as untrusted, call by call.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TrustError::Versions)?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TrustError> {
    let unread = |source| TrustError::File { path: path.to_owned(), source };
    let mut found = 0;
    for certificate in CertificateDer::pem_file_iter(path).map_err(unread)? {
        let add = roots.add(certificate.map_err(unread)?);
        add.map_err(|source| TrustError::Certificate { path: path.to_owned(), source })?;
        found += 1;
    }
    if found == 0 {
        return Err(unread(pem::Error::Io(io::Error::other("it holds no certificate"))));
    }
    Ok(())
}
