//! Who writes deliveries: a few tasks, each of which takes whatever waits and stores it by one statement.
//!
//! Under load many deliveries share one commit, alone a delivery waits for nobody, as on SQLite.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

use super::{StoreError, deliveries, whole};
use crate::store::Received;
use crate::store::packed::New;

/// How many there are: one prepares its statement while the server works on another one's.
const N_WRITERS: usize = 2;
/// How many deliveries may wait for them; more wait in their callers.
const QUEUE_LENGTH_MAX: usize = 1024;
/// How many deliveries share a statement, and about how many bytes of them.
const BATCH_LENGTH_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

type Answer = oneshot::Sender<Result<Received, StoreError>>;
type Queue = Arc<Mutex<mpsc::Receiver<(New, Answer)>>>;

/// The writers of a process; they end with it.
#[derive(Debug)]
pub(super) struct Writers {
    waiting: mpsc::Sender<(New, Answer)>,
    _writers: JoinSet<()>,
}

impl Writers {
    pub(super) fn start(pool: &PgPool) -> Self {
        let (waiting, queue) = mpsc::channel(QUEUE_LENGTH_MAX);
        let queue: Queue = Arc::new(Mutex::new(queue));
        let mut writers = JoinSet::new();
        for _ in 0..N_WRITERS {
            writers.spawn(write(pool.clone(), Arc::clone(&queue)));
        }
        Self { waiting, _writers: writers }
    }

    /// Stores a delivery, beside others that wait at this moment.
    pub(super) async fn receive(&self, new: New) -> Result<Received, StoreError> {
        let (answer, answered) = oneshot::channel();
        let ended = || StoreError::Unavailable("the writer of deliveries has ended".into());
        self.waiting.send((new, answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

async fn write(pool: PgPool, queue: Queue) {
    while let Some((batch, answers)) = next(&queue).await {
        match store(&pool, batch).await {
            Ok(received) => answers.into_iter().zip(received).for_each(|(answer, received)| drop(answer.send(Ok(received)))),
            Err(error) => {
                let told = match error {
                    StoreError::Unavailable(reason) => reason,
                    error @ (StoreError::LeaseLost { .. } | StoreError::Unknown { .. } | StoreError::Corrupt(_)) => {
                        error.to_string()
                    }
                };
                answers.into_iter().for_each(|answer| drop(answer.send(Err(StoreError::Unavailable(told.clone())))));
            }
        }
    }
}

/// Waits for a delivery, and takes those with it that wait too.
async fn next(queue: &Queue) -> Option<(Vec<New>, Vec<Answer>)> {
    let mut queue = queue.lock().await;
    let (first, answer) = queue.recv().await?;
    let mut n_bytes = first.body.len();
    let (mut batch, mut answers) = (vec![first], vec![answer]);
    while batch.len() < BATCH_LENGTH_MAX && n_bytes < BATCH_BYTES_MAX {
        let Ok((new, answer)) = queue.try_recv() else { break };
        n_bytes += new.body.len();
        batch.push(new);
        answers.push(answer);
    }
    Some((batch, answers))
}

/// Stores a batch, in a task of its own so that a fault in one takes no writer with it.
async fn store(pool: &PgPool, batch: Vec<New>) -> Result<Vec<Received>, StoreError> {
    let pool = pool.clone();
    whole(async move { deliveries::receive(&mut *pool.acquire().await?, &batch).await }).await
}
