//! The envelope: DSSE, version 1. <https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>
//!
//! What is signed is the pre-authentication encoding of type and payload, so that the bytes are never read before it is
//! known what they are. There is exactly one signature, by one key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use patchwright_domain::attestation::Fault;
use serde::{Deserialize, Serialize};

use super::key::{Key, PublicKey};

/// The type of the payload, by in-toto's name for it.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    keyid: String,
    sig: String,
}

/// An envelope whose form is right; whether its signature is, is asked for.
#[derive(Debug)]
pub struct Opened {
    /// The exact bytes that are signed, as far as anybody says so.
    pub payload: Vec<u8>,
    key_id: String,
    signature: [u8; ed25519_dalek::SIGNATURE_LENGTH],
}

/// Signs a payload: JSON in one line.
pub fn seal(payload: &[u8], key: &Key) -> String {
    let sig = STANDARD.encode(key.sign(&encoded(payload)));
    let envelope = Envelope {
        payload_type: PAYLOAD_TYPE.to_owned(),
        payload: STANDARD.encode(payload),
        signatures: vec![Signature { keyid: key.public().id(), sig }],
    };
    serde_json::to_string(&envelope).expect("an envelope holds only text")
}

/// DSSE's pre-authentication encoding.
fn encoded(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Reads an envelope. White space around its parts is nobody's; a field that is not known is refused.
///
/// # Errors
/// The first [`Fault`].
pub fn open(text: &[u8]) -> Result<Opened, Fault> {
    let envelope: Envelope = super::reading::parse(text, "envelope")?;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(Fault::new("payloadType", format!("is `{}`, and not `{PAYLOAD_TYPE}`", envelope.payload_type)));
    }
    let decode = |field: &str, text: &str| {
        STANDARD.decode(text).map_err(|error| Fault::new(field, format!("is no base64 as it is written here: {error}")))
    };
    let payload = decode("payload", &envelope.payload)?;
    let [Signature { keyid, sig }] = envelope.signatures.as_slice() else {
        return Err(Fault::new("signatures", format!("there are {}, and not exactly one", envelope.signatures.len())));
    };
    let signature = decode("signatures[0].sig", sig)?;
    let signature = signature.try_into().map_err(|_| Fault::new("signatures[0].sig", "is no signature of ed25519"))?;
    Ok(Opened { payload, key_id: keyid.clone(), signature })
}

impl Opened {
    /// Checks the signature over the exact bytes of the payload.
    ///
    /// # Errors
    /// A [`Fault`] where it is another key's, or not one over these bytes.
    pub fn check_signature(&self, key: &PublicKey) -> Result<(), Fault> {
        let id = key.id();
        if self.key_id != id {
            return Err(Fault::new("signatures[0].keyid", format!("is `{}`, and the key's is `{id}`", self.key_id)));
        }
        if !key.has_signed(&encoded(&self.payload), &self.signature) {
            return Err(Fault::new("signatures[0].sig", "is not this key's signature over this payload"));
        }
        Ok(())
    }
}
