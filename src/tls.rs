//! The cryptography behind HTTPS: one provider for the whole process.

/// Chooses `ring`; where another part of the process has chosen before, that serves as well.
pub fn choose_provider() {
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
}
