//! `/api/v1/payments`: what payment services tell. Another service is another file with a [`Service`], and a line in
//! [`endpoints`].

mod events;
mod stripe;
mod webhook;

use http::HeaderMap;
use lingate_config::Payments;
use lingate_metering::Millis;
use lingate_store::PaymentEvent;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Admin;
use crate::problem::Problem;
use crate::wallets::Owner;

pub(crate) fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(events::events))
        .routes(routes!(webhook::stripe))
}

/// A payment service: how it proves that an event is its own, and what the event says.
trait Service {
    /// In entries and tables.
    const NAME: &'static str;

    /// The service as it is configured; `None`: it is not.
    fn configured(payments: &Payments) -> Option<Self>
    where
        Self: Sized;

    /// Whether the service has sent this, lately.
    fn proves(&self, headers: &HeaderMap, body: &[u8], now: Millis) -> Result<(), Problem>;

    /// What it says. An event that is not ours to understand has no effect; one that cannot be read is a problem.
    fn read(&self, body: &[u8]) -> Result<Told, Problem>;
}

/// An event, and the organization that it names, which may not be there.
struct Told {
    event: PaymentEvent,
    organization: Option<String>,
}

/// The organization that a payment is for, by what its metadata says.
async fn payer(admin: &Admin, said: &str) -> Result<Option<Owner>, Problem> {
    let store = admin.store()?;
    // An id alone: names may change hands.
    match said.parse() {
        Ok(id) => Owner::find(admin, &store, id).await,
        Err(_) => Ok(None),
    }
}
