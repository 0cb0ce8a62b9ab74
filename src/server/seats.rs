//! What each worker serves with: a stack of its own, around connections to the store of its own, exchanged in place when the
//! settings change.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::frontend::FrontendSettings;
use super::generation::Generation;
use super::stack::{DataService, Outbound, stack};
use super::swapped::Swapped;
use super::workers::Workers;
use crate::upstream::{ClientSettings, UpstreamClient};

/// Gives those who serve what a generation comes to, and its listeners' settings.
pub(super) type Exchange = Box<dyn Fn(&Generation, &FrontendSettings) + Send + Sync>;

/// One worker's.
struct Seat<S> {
    service: Swapped<S>,
    client: UpstreamClient<Outbound>,
    /// What the client was made of: while that is so, its connections are kept.
    settings: Arc<ClientSettings>,
}

/// Starts the workers, and tells how to exchange what they serve with.
///
/// # Errors
/// Where the system gives no thread, or no runtime for it.
pub(super) fn start(generation: &Generation) -> io::Result<(Workers<Swapped<impl DataService + use<>>>, Exchange)> {
    let seats = Arc::new(Mutex::new(Vec::new()));
    let client = clients(generation);
    let workers = Workers::start(generation.settings.limits.workers, || {
        let client = client();
        let service = Swapped::new(serve(generation, client.clone()));
        let seat = Seat { service: service.clone(), client, settings: Arc::clone(generation.client()) };
        seats.lock().unwrap_or_else(PoisonError::into_inner).push(seat);
        service
    })?;
    let exchange = move |generation: &Generation, _: &FrontendSettings| {
        let client = clients(generation);
        for seat in seats.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            if !Arc::ptr_eq(&seat.settings, generation.client()) {
                (seat.client, seat.settings) = (client(), Arc::clone(generation.client()));
            }
            seat.service.replace(serve(generation, seat.client.clone()));
        }
    };
    Ok((workers, Box::new(exchange)))
}

fn serve(generation: &Generation, client: UpstreamClient<Outbound>) -> impl DataService + use<> {
    stack(generation.stack(), generation.policies.clone(), client)
}

/// Makes each worker's client; one for all of them where the connections are bounded, which whoever keeps the bound must know
/// of.
fn clients(generation: &Generation) -> impl Fn() -> UpstreamClient<Outbound> + use<> {
    let settings = Arc::clone(generation.client());
    let shared = settings.max_connections.map(|_| UpstreamClient::new((*settings).clone()));
    move || shared.clone().unwrap_or_else(|| UpstreamClient::new((*settings).clone()))
}
