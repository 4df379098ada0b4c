//! All that can be asked of an attestation, and the first field that does not hold.

use patchwright_domain::attestation::{Fault, Statement};

use super::key::PublicKey;
use super::reading;
use super::repository::{self, Presence};
use crate::workspace::{Checkout, WorkspaceError};

/// What became of the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// It is the key's, over the exact bytes of the payload.
    Holds,
    /// It is not.
    DoesNotHold,
    /// There was no key, or no signature to look at.
    NotChecked,
}

impl Signature {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "does_not_hold",
            Self::NotChecked => "not_checked",
        }
    }
}

/// What was found out about an attestation.
#[derive(Clone, Debug)]
pub struct Found {
    /// What became of the signature.
    pub signature: Signature,
    /// What it says, or the first field that does not hold.
    pub statement: Result<Box<Statement>, Fault>,
    /// Under which commit the checkout has its files; none where none was looked at, or it does not have them so.
    pub presence: Option<Presence>,
}

/// Checks an envelope: its form, its statement, the statement against a checkout if there is one, and the signature, which
/// must be this key's.
///
/// The signature covers the whole payload, so that one that does not hold says nothing of where. What else does not hold is
/// named first, because it is the narrower place; without a signature that holds, nothing holds.
///
/// # Errors
/// [`WorkspaceError`] where the checkout cannot be read.
pub fn check(envelope: &[u8], key: Option<&PublicKey>, checkout: Option<&Checkout>) -> Result<Found, WorkspaceError> {
    let (opened, statement) = match reading::open(envelope) {
        Ok(opened) => opened,
        Err(fault) => return Ok(Found { signature: Signature::NotChecked, statement: Err(fault), presence: None }),
    };
    let signed = key.map(|key| opened.check_signature(key));
    let signature = match &signed {
        None => Signature::NotChecked,
        Some(Ok(())) => Signature::Holds,
        Some(Err(_)) => Signature::DoesNotHold,
    };
    let signed = signed
        .unwrap_or_else(|| Err(Fault::new("signatures[0].sig", "was not checked, for want of a key: name one with `--key`")));
    let compared = match (&statement, checkout) {
        (Ok(statement), Some(checkout)) => repository::compare(statement, checkout)?.map(Some),
        (Ok(_), None) | (Err(_), _) => Ok(None),
    };
    let presence = compared.as_ref().ok().cloned().flatten();
    let statement = statement.and_then(|statement| compared.and(signed).map(|()| Box::new(statement)));
    Ok(Found { signature, statement, presence })
}
