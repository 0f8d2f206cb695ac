//! The workers that are present, and asking one to take no more.

use std::time::Duration;

use nova_broker::{Bucket, Expect};
use nova_types::WorkerId;
use nova_wire::{WorkerRow, assets};

use crate::{Client, QueryError};

/// How long an order to drain stands: a worker of the same name started later than this takes tasks again.
const DRAIN_STANDS: Duration = Duration::from_secs(600);

impl Client {
    /// The workers that are present, by name.
    ///
    /// # Errors
    /// [`QueryError::Broker`]; safe to call again.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>, QueryError> {
        let bucket = Bucket::new(self.inner.broker.clone(), assets::WORKERS_BUCKET);
        let entries = bucket.entries().await.map_err(QueryError::broker("list the workers"))?;
        let mut rows: Vec<WorkerRow> =
            entries.iter().filter_map(|entry| serde_json::from_slice(&entry.value).ok()).collect();
        rows.sort_by(|a, b| a.worker.cmp(&b.worker));
        Ok(rows)
    }

    /// Asks a worker to finish what it runs, take no more and stop.
    ///
    /// The order is the key `drain.<worker>` of the bucket `nova-config`, value `1`; it stands for ten minutes.
    ///
    /// # Errors
    /// [`QueryError::UnknownWorker`] when it is not present, [`QueryError::Broker`], [`QueryError::Write`]; safe to call
    /// again.
    pub async fn drain_worker(&self, worker: &WorkerId) -> Result<(), QueryError> {
        let presence = Bucket::new(self.inner.broker.clone(), assets::WORKERS_BUCKET);
        let row = presence.get(worker.as_str()).await;
        if row.map_err(QueryError::broker(format!("look for worker `{worker}`")))?.is_none() {
            return Err(QueryError::UnknownWorker { worker: worker.to_string() });
        }
        let config = Bucket::new(self.inner.broker.clone(), assets::CONFIG_BUCKET);
        let put = config.put(&format!("drain.{worker}"), "1", Some(DRAIN_STANDS), Expect::Any).await;
        put.map(|_| ()).map_err(|source| QueryError::Write { what: format!("drain worker `{worker}`"), source })
    }
}
