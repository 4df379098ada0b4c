//! Signed statements about proofs: an in-toto Statement in a DSSE envelope, signed with the server's ed25519 key.
//!
//! What a statement says is `patchwright_domain::attestation`'s business. Here it is sealed, and read again by somebody who
//! trusts neither the file nor whoever sent it.

use patchwright_domain::attestation::{Deployment, Fault, Statement};

use self::key::Key;

pub mod check;
pub mod envelope;
pub mod key;
pub mod reading;
pub mod repository;

/// Who signs, and what it knows of itself.
#[derive(Debug)]
pub struct Attestor {
    /// The key.
    pub key: Key,
    /// What every statement says of this program.
    pub deployment: Deployment,
}

impl Attestor {
    /// Signs a statement that holds, and returns the envelope: JSON in one line.
    ///
    /// # Errors
    /// The first [`Fault`] of a statement that does not hold, or is larger than what is read again.
    pub fn seal(&self, statement: &Statement) -> Result<String, Fault> {
        statement.check()?;
        let envelope = envelope::seal(&statement.to_bytes(), &self.key);
        if envelope.len() > reading::ENVELOPE_BYTES_MAX {
            return Err(Fault::new("payload", format!("is larger than {} bytes", reading::ENVELOPE_BYTES_MAX)));
        }
        Ok(envelope)
    }
}
