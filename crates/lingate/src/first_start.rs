//! The first start makes an account to sign in with, and tells its password once.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use lingate_admin::{FirstOperator, first_operator};
use lingate_store::Store;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;

use crate::Failed;

/// The password that whoever starts the gateway wants the operator to have.
const GIVEN: &str = "LINGATE_ADMIN_PASSWORD";

fn given() -> Option<SecretString> {
    let given = std::env::var(GIVEN).ok()?;
    (!given.is_empty()).then(|| given.into())
}

/// Makes the operator, where the database is there; where it is away, once it is.
pub(crate) async fn prepare(
    mut store: watch::Receiver<Option<Store>>,
    address: Option<SocketAddr>,
) -> Result<(), Failed> {
    let there = store.borrow().clone();
    if let Some(there) = there {
        let made = first_operator(&there, given()).await.map_err(Failed::new)?;
        show(made.as_ref(), address);
        return Ok(());
    }
    tokio::spawn(async move {
        let there = match store.wait_for(Option::is_some).await {
            Ok(there) => there.clone(),
            Err(_) => return,
        };
        let Some(there) = there else { return };
        match first_operator(&there, given()).await {
            Ok(made) => show(made.as_ref(), address),
            Err(why) => tracing::error!("{why}"),
        }
    });
    Ok(())
}

/// Whoever has closed standard output is told how to get another password.
fn show(made: Option<&FirstOperator>, address: Option<SocketAddr>) {
    if let Err(error) = tell(made, address) {
        tracing::warn!(%error, "the operator's password could not be shown; `lingate accounts reset-password operator` gives another");
    }
}

/// On standard output alone: a log is kept.
fn tell(made: Option<&FirstOperator>, address: Option<SocketAddr>) -> io::Result<()> {
    let Some(made) = made else {
        return Ok(());
    };
    let mut out = io::stdout().lock();
    let login = made.login;
    if let Some(address) = address {
        writeln!(out, "  sign in        http://{address}/docs as `{login}`")?;
    }
    match &made.password {
        Some(password) => writeln!(
            out,
            "  password       {}   (shown this once)",
            password.expose_secret()
        )?,
        None => writeln!(out, "  password       the one in {GIVEN}")?,
    }
    out.flush()
}
