//! Bodies of deliveries as they are kept: compressed where that makes them smaller, as it does with nearly all.
//!
//! A payload of GitHub is JSON full of addresses and shrinks to a tenth. Compressing it takes ten microseconds and spares the
//! store writing it twice, which is most of what a delivery costs.

use std::borrow::Cow;
use std::io;

use super::{DELIVERY_BYTES_MAX, StoreError};

/// The fastest level; higher ones gain little on payloads.
const LEVEL: i32 = 1;

/// As it came.
const PLAIN: i64 = 0;
/// Zstandard, RFC 8878.
const ZSTANDARD: i64 = 1;

/// A body as it is kept.
pub(super) struct Packed<'a> {
    /// How, as the column `encoding` says it.
    pub(super) encoding: i64,
    pub(super) bytes: Cow<'a, [u8]>,
}

/// Makes a body as small as it quickly can be.
pub(super) fn pack(body: &[u8]) -> Packed<'_> {
    match zstd::bulk::compress(body, LEVEL) {
        Ok(smaller) if smaller.len() < body.len() => Packed { encoding: ZSTANDARD, bytes: smaller.into() },
        // What cannot be compressed is kept all the same.
        Ok(_) | Err(_) => Packed { encoding: PLAIN, bytes: body.into() },
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
