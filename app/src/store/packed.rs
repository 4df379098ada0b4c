//! Bodies of deliveries as they are kept: compressed where that makes them smaller, as it does with nearly all.
//!
//! A payload of GitHub is JSON full of addresses and shrinks to a tenth. Compressing it takes ten microseconds and spares the
//! store writing it twice, which is most of what a delivery costs.

use std::cell::RefCell;
use std::io;

use jiff::Timestamp;
use patchwright_domain::event::{DeliveryId, RawDelivery};

use zstd::bulk::Compressor;

use super::{DELIVERY_BYTES_MAX, StoreError};

/// The fastest level; higher ones gain little on payloads.
const LEVEL: i32 = 1;

/// The largest delivery that is packed where it comes in, in bytes; packing a larger one keeps others waiting.
const PACKED_HERE_BYTES_MAX: usize = 256 * 1024;

/// As it came.
const PLAIN: i64 = 0;
/// Zstandard, RFC 8878.
const ZSTANDARD: i64 = 1;

/// A delivery that is to be stored, packed by who brings it: a writer has no time for that.
pub(super) struct New {
    pub(super) id: DeliveryId,
    pub(super) event: String,
    pub(super) received_at: Timestamp,
    /// How the body is kept, as the column `encoding` says it.
    pub(super) encoding: i64,
    pub(super) body: Vec<u8>,
}

impl New {
    /// Packs a delivery, a large one beside the threads that others wait for.
    pub(super) async fn of(delivery: &RawDelivery) -> Result<Self, StoreError> {
        if delivery.body.len() <= PACKED_HERE_BYTES_MAX {
            return Ok(Self::packed(delivery));
        }
        let delivery = delivery.clone();
        let packed = tokio::task::spawn_blocking(move || Self::packed(&delivery)).await;
        packed.map_err(|error| StoreError::Unavailable(format!("packing a delivery: {error}")))
    }

    fn packed(delivery: &RawDelivery) -> Self {
        let (encoding, body) = pack(&delivery.body);
        let RawDelivery { id, event, received_at, .. } = delivery;
        Self { id: id.clone(), event: event.clone(), received_at: *received_at, encoding, body }
    }
}

thread_local! {
    /// Its tables are larger than most payloads: making them anew costs as much as compressing.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// Makes a body as small as it quickly can be.
fn pack(body: &[u8]) -> (i64, Vec<u8>) {
    let packed = COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::new(LEVEL)?),
        };
        compressor.compress(body)
    });
    match packed {
        Ok(mut smaller) if smaller.len() < body.len() => {
            // Room was made for what cannot be compressed.
            smaller.shrink_to_fit();
            (ZSTANDARD, smaller)
        }
        // What cannot be compressed is kept all the same.
        Ok(_) | Err(_) => (PLAIN, body.to_vec()),
    }
}

/// The body that was kept.
///
/// # Errors
/// [`StoreError::Corrupt`] for what this program did not pack; it never becomes more than a delivery may have.
pub(super) fn unpack(encoding: i64, bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    let body = match encoding {
        PLAIN => Ok(bytes),
        ZSTANDARD => zstd::bulk::Decompressor::new().and_then(|mut decompressor| {
            let length = zstd::bulk::Decompressor::upper_bound(&bytes).unwrap_or(DELIVERY_BYTES_MAX);
            decompressor.decompress(&bytes, length.min(DELIVERY_BYTES_MAX))
        }),
        other => Err(io::Error::other(format!("nobody knows the encoding {other}"))),
    };
    body.map_err(|error| StoreError::Corrupt(format!("a delivery's body cannot be read: {error}")))
}
