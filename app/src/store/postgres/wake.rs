//! Hears from other processes that there is a job. What is not heard is found by looking, a little later.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::{PgConnection, PgPool};

use super::super::Signals;

/// Where it is told that a job is ready.
const JOBS: &str = "patchwright_job";
/// How long to wait before listening is tried again.
const RECONNECT_PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn listener(pool: &PgPool) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(JOBS).await?;
    Ok(listener)
}

/// Tells every process, as soon as the transaction is committed.
pub(super) async fn tell(tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_notify($1, '')").bind(JOBS).execute(tx).await.map(drop)
}

/// Listens until the pool is closed or the task is ended.
pub(super) async fn listen(pool: PgPool, first: PgListener, signals: Arc<Signals>) {
    let mut listener = Some(first);
    loop {
        let heard = match &mut listener {
            Some(listener) => listener.try_recv().await.map(drop),
            None => Err(sqlx::Error::WorkerCrashed),
        };
        match heard {
            // Also where the connection was lost and is there again, for nobody knows what was told meanwhile.
            Ok(()) => signals.jobs.notify_one(),
            Err(sqlx::Error::PoolClosed) => return,
            Err(error) => {
                if listener.take().is_some() {
                    tracing::warn!(error = %error, "other processes are not heard; jobs are looked for every few seconds");
                }
                tokio::time::sleep(RECONNECT_PAUSE).await;
                listener = self::listener(&pool).await.ok();
                signals.jobs.notify_one();
            }
        }
    }
}
