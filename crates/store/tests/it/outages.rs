//! The database goes away in the middle and comes back: what was acknowledged is there, and nobody has to be started again.

use std::sync::Arc;
use std::time::Duration;

use lingate_metering::tenant::Organization;
use lingate_store::{Replica, Store, StoreError};
use lingate_testkit::Postgres;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::bed::{Bed, organization};

/// What has not happened by then will not.
const LONG: Duration = Duration::from_mins(1);

/// Creates until it fails; what was acknowledged.
async fn create_until_it_fails(store: &Store, round: &str) -> (Vec<Organization>, StoreError) {
    let mut made = Vec::new();
    loop {
        let next = organization(&format!("{round} {}", made.len()));
        match store.create(&next).await {
            Ok(_) => made.push(next),
            Err(error) => return (made, error),
        }
    }
}

async fn create_until_it_works(store: &Store, name: &str) {
    let next = organization(name);
    timeout(LONG, async {
        while let Err(error) = store.create(&next).await {
            assert!(
                error.passes() || matches!(error, StoreError::Taken { .. }),
                "{error}"
            );
            if matches!(error, StoreError::Taken { .. }) {
                break;
            }
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_nothing_acknowledged() {
    let server = Arc::new(tokio::task::spawn_blocking(Postgres::start).await.unwrap());
    let bed = Bed::of(server.database());
    let store = bed.open().await;
    let watching = {
        let store = bed.open().await;
        tokio::spawn(async move {
            let mut replica = Replica::default();
            let mut watch = store.watch(0);
            let mut was_away = false;
            while !replica
                .declared()
                .organizations
                .iter()
                .any(|it| it.name == "the end")
            {
                replica.apply(watch.next().await);
                was_away |= store.absence().is_some();
            }
            assert!(!was_away, "nothing is told while the database is away");
            (store.absence(), replica)
        })
    };
    let mut acknowledged = Vec::new();
    for round in ["first", "second"] {
        let writing = {
            let store = store.clone();
            tokio::spawn(async move { create_until_it_fails(&store, round).await })
        };
        // Some are written before it ends.
        while store.revision().await.unwrap() < 20 {
            tokio::task::yield_now().await;
        }
        let ending = Arc::clone(&server);
        tokio::task::spawn_blocking(move || {
            if round == "first" {
                ending.kill();
            } else {
                ending.stop();
            }
        })
        .await
        .unwrap();
        let (made, error) = timeout(LONG, writing).await.unwrap().unwrap();
        assert!(error.passes(), "{error}");
        acknowledged.extend(made);
        let starting = Arc::clone(&server);
        tokio::task::spawn_blocking(move || starting.start_again())
            .await
            .unwrap();
        create_until_it_works(&store, &format!("{round} again")).await;
    }
    create_until_it_works(&store, "the end").await;

    let (absence, replica) = timeout(LONG, watching).await.unwrap().unwrap();
    assert_eq!(absence, None);
    let truth = store.declared().await.unwrap();
    assert_eq!(replica.declared(), truth);
    assert!(!acknowledged.is_empty());
    for organization in acknowledged {
        assert!(
            truth.organizations.contains(&organization),
            "{organization:?}"
        );
    }
}

/// A way to a server on which everything stops while the gate is shut, and nobody is told.
async fn gated(server: String, gate: watch::Receiver<bool>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(&server).await.unwrap();
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = far.into_split();
            tokio::spawn(pass(near_in, far_out, gate.clone()));
            tokio::spawn(pass(far_in, near_out, gate.clone()));
        }
    });
    address
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut gate: watch::Receiver<bool>,
) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut bytes = [0; 4096];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else {
            return;
        };
        if gate.wait_for(|open| *open).await.is_err() || to.write_all(&bytes[..read]).await.is_err()
        {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_everything_is_noticed_and_got_over() {
    let url = Postgres::shared().database();
    let (user, rest) = url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let (gate, is_open) = watch::channel(true);
    let way = gated(server.to_owned(), is_open).await;
    let here = Bed::of(url.clone()).open().await;
    let there = Bed::of(format!("{user}@{way}/{database}")).open().await;
    let mut watch = there.watch(there.revision().await.unwrap());

    gate.send(false).unwrap();
    let acme = organization("acme");
    here.create(&acme).await.unwrap();
    let mut told = tokio::spawn(async move { watch.next().await });
    timeout(LONG, async {
        while there.absence().is_none() {
            assert!(timeout(Duration::from_millis(20), &mut told).await.is_err());
        }
    })
    .await
    .unwrap();
    gate.send(true).unwrap();
    let changes = timeout(LONG, told).await.unwrap().unwrap();
    assert_eq!(changes.written.organizations, [acme]);
    assert_eq!(there.absence(), None);
}
