//! Usage on its way into the database, and out of it when it is too old.

use std::path::PathBuf;
use std::time::Duration;

use lingate_config::Settings;
use lingate_journal::Reader;
use lingate_store::{Ages, Store, Writer, WriterHealth};
use tokio::sync::watch;

use crate::when;

/// How often it is looked what is too old.
const EXPIRE: Duration = Duration::from_mins(10);

/// How the writer fares, once there is a database to write to.
pub(super) type Written = Option<watch::Receiver<WriterHealth>>;

/// Takes what the journal holds to the database, once that is there, until the end is said.
pub(super) async fn write(
    mut store: watch::Receiver<Option<Store>>,
    reader: Reader,
    folder: PathBuf,
    written: watch::Sender<Written>,
    mut ended: watch::Receiver<bool>,
) {
    let store = tokio::select! {
        store = there(&mut store) => store,
        _ = ended.wait_for(|ended| *ended) => None,
    };
    let Some(store) = store else {
        return;
    };
    let writer = Writer::new(store, reader, folder);
    written.send_replace(Some(writer.health()));
    let stop = async move {
        // Whoever could say so is gone: that is the end, too.
        let _end = ended.wait_for(|ended| *ended).await;
    };
    writer.run(stop).await;
}

/// The database, once it is there; `None`: nobody will say.
pub(super) async fn there(store: &mut watch::Receiver<Option<Store>>) -> Option<Store> {
    let store = store.wait_for(Option::is_some).await.ok()?;
    store.clone()
}

/// How long usage is kept.
pub(super) fn ages(settings: &Settings) -> Ages {
    let usage = &settings.usage;
    Ages {
        records: usage.records,
        minutes: usage.minutes,
        hours: usage.hours,
        days: usage.days,
    }
}

/// Deletes what is too old, now and then.
pub(super) async fn expire(mut store: watch::Receiver<Option<Store>>, ages: Ages) {
    let Some(store) = there(&mut store).await else {
        return;
    };
    loop {
        match store.expire_usage(&ages, when::now()).await {
            Ok(expired) if expired.records + expired.sums > 0 => tracing::info!(
                records = expired.records,
                sums = expired.sums,
                "usage that is too old was deleted"
            ),
            Ok(_) => {}
            // The next time is soon enough.
            Err(error) => tracing::warn!(%error, "usage that is too old cannot be deleted"),
        }
        if let Err(error) = store.expire_claims(when::now()).await {
            tracing::warn!(%error, "Idempotency-Keys that are too old cannot be deleted");
        }
        tokio::time::sleep(EXPIRE).await;
    }
}
