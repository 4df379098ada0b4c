//! The rows of what is kept under its digest.

use jiff::Timestamp;
use patchwright_domain::journal::Digest;
use sqlx::PgConnection;

use super::super::records::milliseconds;
use super::StoreError;

pub(super) async fn put(tx: &mut PgConnection, bytes: Vec<u8>, now: Timestamp) -> Result<Digest, StoreError> {
    let digest = Digest::of(&bytes);
    let sql = "INSERT INTO artifact (digest, bytes, kept_at) VALUES ($1, $2, $3) \
               ON CONFLICT (digest) DO UPDATE SET kept_at = greatest(artifact.kept_at, excluded.kept_at)";
    sqlx::query(sql).bind(digest.to_string()).bind(bytes).bind(milliseconds(now)).execute(tx).await?;
    Ok(digest)
}

pub(super) async fn get(tx: &mut PgConnection, digest: Digest) -> Result<Vec<u8>, StoreError> {
    let row = sqlx::query_scalar("SELECT bytes FROM artifact WHERE digest = $1").bind(digest.to_string());
    let bytes: Option<Vec<u8>> = row.fetch_optional(tx).await?;
    let bytes = bytes.ok_or_else(|| StoreError::Unknown { what: format!("artifact {digest}") })?;
    if Digest::of(&bytes) == digest { Ok(bytes) } else { Err(StoreError::Corrupt(format!("artifact {digest}"))) }
}
