use std::time::Duration;

use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

use super::entry::MAX_PENDING;
use super::*;
use crate::config::source::{ConfigSource, SourceKind};
use crate::config::tls::Mapper;

/// Those of a context that is gone, which can make nothing of what comes.
fn on_demand(secrets: &Secrets, prefetch: &[&str]) -> Arc<OnDemand> {
    let config = OnDemandSecrets {
        source: ConfigSource { from: SourceKind::Ads, initial_fetch_timeout: Duration::ZERO },
        mapper: Mapper::Sni { default: "default".into() },
        prefetch: prefetch.iter().map(|&name| name.into()).collect(),
    };
    OnDemand::new(&Arc::new(config), &Weak::new(), &Registry::new(0), "listener.", secrets)
}

/// A handshake that asks for a secret.
fn ask(on_demand: &OnDemand, name: &str) -> Receiver<()> {
    let (answer, answered) = oneshot::channel();
    on_demand.follow(name, Some(answer));
    answered
}

fn waits(handshake: &mut Receiver<()>) -> bool {
    handshake.try_recv() == Err(TryRecvError::Empty)
}

#[test]
fn what_is_prefetched_is_asked_for_once() {
    let secrets = Secrets::default();
    let on_demand = on_demand(&secrets, &["early"]);
    on_demand.prefetch();
    let mut handshake = ask(&on_demand, "early");
    assert!(waits(&mut handshake));
    assert_eq!((secrets.slots().len(), on_demand.stats.cert_requested().value()), (1, 1));
}

#[test]
fn who_waits_for_a_secret_is_told_that_there_is_none_and_the_next_asks_anew() {
    let secrets = Secrets::default();
    let on_demand = on_demand(&secrets, &[]);
    let mut both = [ask(&on_demand, "none"), ask(&on_demand, "none")];
    assert!(both.iter_mut().all(waits));
    secrets.slots().iter().for_each(|slot| slot.remove());
    assert!(!both.iter_mut().any(waits));
    assert!(secrets.slots().is_empty() && on_demand.stats.cert_active().value() == 0);
    assert!(waits(&mut ask(&on_demand, "none")));
    assert_eq!(on_demand.stats.cert_requested().value(), 2);
}

#[test]
fn clients_cannot_have_any_number_of_names_asked_for() {
    let secrets = Secrets::default();
    let on_demand = on_demand(&secrets, &[]);
    let mut waiting: Vec<_> = (0..MAX_PENDING).map(|at| ask(&on_demand, &at.to_string())).collect();
    assert!(!waits(&mut ask(&on_demand, "another")));
    assert!(waits(&mut ask(&on_demand, "7")), "one that is asked for already can be waited for");
    waiting.truncate(1);
    assert!(waits(&mut ask(&on_demand, "another")));
    assert_eq!(secrets.slots().len(), 2, "what nobody waits for gave way");
    assert!(waits(&mut waiting[0]));
}

#[test]
fn a_listener_that_is_gone_asks_for_nothing() {
    let secrets = Secrets::default();
    let on_demand = on_demand(&secrets, &["a", "b"]);
    on_demand.prefetch();
    assert_eq!(secrets.slots().len(), 2);
    drop(on_demand);
    assert!(secrets.slots().is_empty());
}
