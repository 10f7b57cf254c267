//! The certificate for TLS on the port itself. It is read again when its files change.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    thread,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::ring,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::validity;
use crate::model::{format_seconds, now_ms};

/// Interval at which the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Time before the end of a certificate from which on it is warned of.
const NEAR_MS: i64 = 14 * 24 * 60 * 60 * 1000;

/// Reasons why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot read the certificate {path:?}: {reason}")]
    Certificate { path: PathBuf, reason: String },
    #[error("cannot read the private key {path:?}: {reason}")]
    Key { path: PathBuf, reason: String },
    #[error("the private key {key:?} is not that of the certificate {certificate:?}")]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("TLS cannot be prepared: {0}")]
    Settings(rustls::Error),
}

/// The server's certificate with its private key.
pub struct ServerCertificate {
    current: Arc<Current>,
    config: ServerConfig,
}

/// The files, and what was read of them last.
#[derive(Debug)]
struct Current {
    certificate: PathBuf,
    key: PathBuf,
    certified: ArcSwap<CertifiedKey>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certified.load_full())
    }
}

impl ServerCertificate {
    /// Reads the certificate (PEM, the server's first, then those that vouch for it) and its private
    /// key (PEM), and follows their changes from now on.
    ///
    /// # Errors
    /// [`CertificateError`] names the file.
    pub fn read(certificate: &Path, key: &Path) -> Result<Arc<Self>, CertificateError> {
        let read_at = modified(certificate, key);
        let current = Arc::new(Current {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            certified: ArcSwap::from_pointee(certified_key(certificate, key)?),
        });
        let resolver: Arc<dyn ResolvesServerCert> = current.clone();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Settings)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        follow(&current, read_at);
        Ok(Arc::new(Self { current, config }))
    }

    /// Returns the end of the certificate's validity in Unix milliseconds, if it can be read.
    #[must_use]
    pub fn end_ms(&self) -> Option<i64> {
        end_of(&self.current.certified.load())
    }

    /// Returns what is wrong with the end of the certificate, if it is past or near.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let end_ms = self.end_ms()?;
        let path = self.path().display();
        let end = format_seconds(end_ms);
        if end_ms <= now_ms() {
            return Some(format!(
                "the certificate {path} has expired at {end}: clients refuse it"
            ));
        }
        (end_ms - now_ms() < NEAR_MS).then(|| format!("the certificate {path} expires at {end}"))
    }

    pub(super) fn config(&self) -> ServerConfig {
        self.config.clone()
    }

    /// Returns the path of the certificate.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.current.certificate
    }
}

fn certified_key(certificate: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let no_certificate = |reason: String| CertificateError::Certificate {
        path: certificate.to_owned(),
        reason,
    };
    let no_key = |reason: String| CertificateError::Key {
        path: key.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| no_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(no_certificate("there is no certificate in it".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| no_key(error.to_string()))?;
    let signing =
        ring::sign::any_supported_type(&private).map_err(|error| no_key(error.to_string()))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        // A key that cannot say what its public half is may well be the right one.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(certified)
        }
        Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::Mismatch {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        }),
        Err(error) => Err(no_certificate(error.to_string())),
    }
}

fn end_of(certified: &CertifiedKey) -> Option<i64> {
    certified
        .cert
        .first()
        .and_then(|first| validity::end_ms(first))
}

fn is_past(certified: &CertifiedKey) -> bool {
    end_of(certified).is_some_and(|end_ms| end_ms <= now_ms())
}

/// Times at which the two files were changed last.
type Modified = [Option<SystemTime>; 2];

fn modified(certificate: &Path, key: &Path) -> Modified {
    [certificate, key].map(|path| path.metadata().and_then(|file| file.modified()).ok())
}

/// Looks at the files until nobody uses them. A certificate that cannot be used is reported once, and
/// the one before it stays.
fn follow(current: &Arc<Current>, mut read_at: Modified) {
    let current: Weak<Current> = Arc::downgrade(current);
    let followed = thread::Builder::new()
        .name("certificate".to_owned())
        .spawn(move || {
            loop {
                thread::sleep(LOOK_INTERVAL);
                let Some(current) = current.upgrade() else {
                    return;
                };
                let now = modified(&current.certificate, &current.key);
                if now == read_at {
                    continue;
                }
                read_at = now;
                match certified_key(&current.certificate, &current.key) {
                    Ok(certified) if is_past(&certified) && !is_past(&current.certified.load()) => {
                        log::error!(
                            "tls: the changed certificate has expired, the old one stays: path=\"{}\"",
                            current.certificate.display()
                        );
                    }
                    Ok(certified) => {
                        current.certified.store(Arc::new(certified));
                        let path = current.certificate.display();
                        log::info!("tls: read the changed certificate: path=\"{path}\"");
                    }
                    Err(error) => {
                        log::error!("tls: the changed certificate cannot be used, the old one stays: {error}");
                    }
                }
            }
        });
    if let Err(error) = followed {
        log::warn!("tls: changes of the certificate will not be noticed: {error}");
    }
}
