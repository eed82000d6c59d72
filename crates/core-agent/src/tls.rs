//! One choice of cryptography for every client in the process.

use std::sync::Once;

/// Makes ring the process's TLS provider. Every constructor of an HTTP client calls this first,
/// since building one without a provider panics.
pub fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that the embedding program chose a provider before us, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
