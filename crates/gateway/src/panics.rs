//! What a panic does: the request that met it fails, one line of the log says where it happened, and all others go on.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::Arc;
use std::task::Poll;
use std::thread;

thread_local! {
    /// The request that this thread works on at the moment.
    static REQUEST: Cell<Option<Arc<str>>> = const { Cell::new(None) };
    /// What a panic has left behind is being dropped.
    static CLEARING: Cell<bool> = const { Cell::new(false) };
}

/// Something has panicked, and the log says where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the gateway failed; the log says where")]
pub struct Panicked;

/// From now on a panic is one line of the log, and nothing on standard error beside it.
pub fn log_panics() {
    set_hook(Box::new(tell));
}

fn tell(panic: &PanicHookInfo<'_>) {
    let request_id = REQUEST.take();
    let at = panic.location().map(ToString::to_string);
    // A text that was put together may quote what somebody has sent; one that stands in the code does not.
    let why = panic.payload().downcast_ref::<&'static str>();
    tracing::error!(
        request_id = request_id.as_deref(),
        at,
        why,
        "a part of the gateway panicked"
    );
    REQUEST.set(request_id);
}

/// What the future comes to, which belongs to this request; a panic in it ends it alone. It is not asked again then.
pub async fn caught<T>(
    request_id: impl Into<Arc<str>>,
    mut future: impl Future<Output = T> + Unpin,
) -> Result<T, Panicked> {
    let mut own = Some(request_id.into());
    std::future::poll_fn(move |cx| {
        let around = REQUEST.replace(own.take());
        let polled = catch(|| std::pin::Pin::new(&mut future).poll(cx));
        own = REQUEST.replace(around);
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    })
    .await
}

/// What is worked on here is not looked at again where this fails, but for being dropped.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// Drops what a panic has left in whatever state.
pub(crate) fn clear<T>(left: T) {
    CLEARING.set(true);
    let _told = catch(|| drop(left));
    CLEARING.set(false);
}

/// Whether what is dropped now was lost by a panic, and not given up by whoever had it.
pub(crate) fn is_clearing() -> bool {
    thread::panicking() || CLEARING.get()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Full};
    use hyper::body::Incoming;
    use lingate_routing::Snapshot;
    use lingate_seal::Sealer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::{
        Answering, Audience, Beside, Body, CutShort, Face, Gateway, Governance, Origin, OtherBody,
        serve,
    };

    /// Panics over what it is asked, or over the answer to it.
    #[derive(Debug)]
    struct Panics;

    impl Beside for Panics {
        fn audience(&self, path: &str) -> Option<Audience> {
            path.starts_with("/test/").then_some(Audience::Both)
        }

        fn answer(self: Arc<Self>, request: Request<Incoming>, _: Origin) -> Answering {
            Box::pin(async move {
                let path = request.uri().path().to_owned();
                assert_ne!(path, "/test/head", "as it is meant");
                let body = if path == "/test/body" {
                    broken()
                } else {
                    let all = Full::from("good");
                    OtherBody::new(all.map_err(|never| match never {}))
                };
                Response::new(body)
            })
        }
    }

    fn broken() -> OtherBody {
        let stream = futures_util::stream::poll_fn(|_| -> Poll<Option<Result<_, CutShort>>> {
            let nothing: Option<http_body::Frame<Bytes>> = None;
            assert!(nothing.is_some(), "as it is meant");
            Poll::Ready(nothing.map(Ok))
        });
        OtherBody::new(http_body_util::StreamBody::new(stream))
    }

    async fn ask(connection: &mut TcpStream, path: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // An answer that has an end ends in its body, which is short here.
        loop {
            let mut piece = [0; 4096];
            let read = connection.read(&mut piece).await.unwrap();
            answer.extend_from_slice(&piece[..read]);
            let text = String::from_utf8_lossy(&answer).into_owned();
            if read == 0 || text.ends_with('}') || text.ends_with("good") {
                return text;
            }
        }
    }

    #[tokio::test]
    async fn a_request_that_panics_is_answered_and_others_go_on() {
        let folder = std::env::temp_dir().join(format!("lingate-panics-{}", std::process::id()));
        let seal = Arc::new(Sealer::new(&folder, None, None).unwrap());
        let gateway = Gateway::new(Snapshot::default(), &folder, seal, Governance::none());
        gateway.serve_beside(Arc::new(Panics));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(
            gateway,
            vec![(listener, Face::All)],
            std::future::pending(),
        ));
        let mut connection = TcpStream::connect(address).await.unwrap();
        for _ in 0..2 {
            let answer = ask(&mut connection, "/test/head").await;
            assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
            assert!(answer.contains("x-lingate-request-id: req_"), "{answer}");
            assert!(!answer.contains("meant"), "{answer}");
            let answer = ask(&mut connection, "/test/good").await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        // What has begun is not ended as if it were whole.
        let cut = ask(&mut connection, "/test/body").await;
        assert!(!cut.contains("\r\n0\r\n"), "{cut}");
        let mut connection = TcpStream::connect(address).await.unwrap();
        let answer = ask(&mut connection, "/test/good").await;
        assert!(answer.ends_with("good"), "{answer}");
        serving.abort();
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn a_body_that_panics_has_no_clean_end_by_whichever_way_it_goes_out() {
        let plain = Body::Other(broken());
        let pumped = crate::pump::pumped(Body::Other(broken()), std::time::Duration::from_mins(1));
        for body in [plain, pumped] {
            assert_eq!(body.collect().await.map(drop), Err(CutShort));
        }
    }

    struct Tells<'t>(&'t Cell<bool>);

    impl Drop for Tells<'_> {
        fn drop(&mut self) {
            self.0.set(is_clearing());
        }
    }

    #[tokio::test]
    async fn a_panic_is_the_end_of_its_future_alone() {
        let lost = Cell::new(false);
        let failing = pin!(async {
            let _held = Tells(&lost);
            tokio::task::yield_now().await;
            assert!(lost.get(), "as it is meant");
        });
        assert_eq!(caught("req_1", failing).await, Err(Panicked));
        assert!(lost.get());
        assert!(!is_clearing());
        let good = pin!(async {
            let request = REQUEST.take();
            let told = request.as_deref().map(str::to_owned);
            REQUEST.set(request);
            told
        });
        let inside = pin!(caught("req_3", good));
        let told = caught("req_2", inside).await.unwrap().unwrap();
        assert_eq!(told.as_deref(), Some("req_3"));
        assert!(REQUEST.take().is_none());
    }

    #[test]
    fn what_a_panic_left_knows_that_it_is_lost() {
        let lost = Cell::new(false);
        clear(Tells(&lost));
        assert!(lost.get());
        drop(Tells(&lost));
        assert!(!lost.get());
    }
}
