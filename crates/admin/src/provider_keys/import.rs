//! `POST /api/v1/provider-keys/import`

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use lingate_store::NewProviderKey;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, mpsc};
use utoipa::IntoParams;
use zeroize::Zeroizing;

use super::input;
use crate::Admin;
use crate::access::Allowed;
use crate::jobs::{self, Shown as Job, Work};
use crate::problem::Problem;

/// Of a body, in bytes.
const MOST: usize = 64 << 20;
/// Imports whose text is in memory at the same time.
static AT_ONCE: Semaphore = Semaphore::const_new(2);
/// Keys in one transaction.
const CHUNK: usize = 2_000;
/// Lines that are told to be wrong; of others it is told how many.
const TOLD: usize = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Into {
    /// Whose keys they are.
    provider: String,
}

/// Add many keys of a provider
///
/// One key on each line (`text/plain`), or a JSON array of texts; up to 64 MiB. Keys that are there already, or twice, are counted and
/// left out. Lines that are no key are told by their number.
#[utoipa::path(
    post,
    path = "/api/v1/provider-keys/import",
    operation_id = "import_provider_keys",
    tag = "provider keys",
    params(Into),
    request_body(content = String, content_type = "text/plain"),
    responses(
        (status = 202, description = "The job that adds them", body = Job),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn import(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(into): Query<Into>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Job>), Problem> {
    allowed.on_platform()?;
    input::known_provider(&admin, "provider", &into.provider).await?;
    admin
        .seal()
        .usable()
        .map_err(|error| input::unsealable(&error))?;
    let store = allowed.store(&admin)?;
    let permit = AT_ONCE.try_acquire().map_err(|_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "other imports are under way",
        )
        .hint("ask again when they are done; GET /api/v1/jobs lists them")
    })?;
    let text = read(body).await?;
    let kind = headers.get(header::CONTENT_TYPE);
    let is_json = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let object = into.provider.clone();
    jobs::begin(store.clone(), "import_provider_keys", &object, move |work| async move {
        let _permit = permit;
        let (send, mut chunks) = mpsc::channel(2);
        let inside = work.clone();
        let reading = tokio::task::spawn_blocking(move || {
            if is_json {
                from_json(&admin, &text, &send, &inside)
            } else {
                from_lines(&admin, &text, &send, &inside)
            }
        });
        let (mut added, mut doubles, mut bad) = (0_u64, 0_u64, Bad::default());
        let detail = "imported".to_owned();
        while let Some(chunk) = chunks.recv().await {
            let Chunk { total, done, keys, faults } = chunk;
            bad.take(faults);
            let fresh = loop {
                match store.add_provider_keys(&into.provider, &keys, Some(&detail)).await {
                    Err(error) if error.passes() && !work.is_cancelled() => {
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                    other => break other?.len(),
                }
            };
            added += fresh as u64;
            doubles += (keys.len() - fresh) as u64;
            let outcome = json!({"added": added, "doubles": doubles, "bad": bad.count, "bad_lines": bad.lines});
            work.tell(Some(total), done, outcome);
        }
        match reading.await {
            Ok(read) => read,
            Err(_) => Err(Problem::bad("the keys cannot be read")),
        }
    })
    .await
}

async fn read(body: Body) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut body = body;
    let mut text = Zeroizing::new(Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::bad("the body broke off"))?;
        if let Ok(data) = frame.into_data() {
            if text.len() + data.len() > MOST {
                return Err(Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too_large",
                    "the body is larger than 64 MiB",
                )
                .hint("send it in parts"));
            }
            text.extend_from_slice(&data);
        }
    }
    Ok(text)
}

/// What is added in one transaction.
struct Chunk {
    total: u64,
    done: u64,
    keys: Vec<NewProviderKey>,
    faults: Vec<(u64, &'static str)>,
}

#[derive(Default)]
struct Bad {
    count: u64,
    lines: Vec<serde_json::Value>,
}

impl Bad {
    fn take(&mut self, faults: Vec<(u64, &'static str)>) {
        self.count += faults.len() as u64;
        for (line, why) in faults {
            if self.lines.len() < TOLD {
                self.lines.push(json!({"line": line, "why": why}));
            }
        }
    }
}

struct Sender<'a> {
    admin: &'a Admin,
    send: &'a mpsc::Sender<Chunk>,
    work: &'a Work,
    chunk: Chunk,
}

impl Sender<'_> {
    /// `Ok(false)`: nobody wants more.
    fn take(
        &mut self,
        line: u64,
        text: Result<Zeroizing<String>, &'static str>,
    ) -> Result<bool, Problem> {
        let key = text.and_then(|text| match input::fault(&text) {
            Some(fault) => Err(fault),
            None if input::is_reference(&text) => Err("is a reference; those are added one by one"),
            None => Ok(text),
        });
        self.chunk.done = line;
        match key {
            Ok(text) => {
                let spec = json!({});
                let sealed = input::sealed(self.admin.seal(), &text, String::new(), spec, true);
                self.chunk
                    .keys
                    .push(sealed.map_err(|error| input::unsealable(&error))?);
            }
            Err(why) => self.chunk.faults.push((line, why)),
        }
        if self.chunk.keys.len() + self.chunk.faults.len() >= CHUNK {
            return Ok(self.flush());
        }
        Ok(true)
    }

    fn flush(&mut self) -> bool {
        let chunk = Chunk {
            total: self.chunk.total,
            done: self.chunk.done,
            keys: std::mem::take(&mut self.chunk.keys),
            faults: std::mem::take(&mut self.chunk.faults),
        };
        !self.work.is_cancelled() && self.send.blocking_send(chunk).is_ok()
    }
}

fn sender<'a>(
    admin: &'a Admin,
    send: &'a mpsc::Sender<Chunk>,
    work: &'a Work,
    total: usize,
) -> Sender<'a> {
    Sender {
        admin,
        send,
        work,
        chunk: Chunk {
            total: total as u64,
            done: 0,
            keys: Vec::new(),
            faults: Vec::new(),
        },
    }
}

fn from_lines(
    admin: &Admin,
    text: &[u8],
    send: &mpsc::Sender<Chunk>,
    work: &Work,
) -> Result<(), Problem> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let total = text.split(|byte| *byte == b'\n').count();
    let mut sender = sender(admin, send, work, total);
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let key = std::str::from_utf8(line)
            .map(|key| Zeroizing::new(key.to_owned()))
            .map_err(|_| "holds characters that a header cannot carry");
        if !sender.take(number, key)? {
            return Ok(());
        }
    }
    sender.chunk.done = sender.chunk.total;
    sender.flush();
    Ok(())
}

fn from_json(
    admin: &Admin,
    text: &[u8],
    send: &mpsc::Sender<Chunk>,
    work: &Work,
) -> Result<(), Problem> {
    // What is wrong is not told in the parser's words, which hold what it stumbled over.
    let entries: Vec<&RawValue> =
        serde_json::from_slice(text).map_err(|_| Problem::bad("the body is no JSON array"))?;
    let mut sender = sender(admin, send, work, entries.len());
    for (number, entry) in (1..).zip(entries) {
        let key = serde_json::from_str::<String>(entry.get());
        let key = key.map(Zeroizing::new).map_err(|_| "is no text");
        if !sender.take(number, key)? {
            return Ok(());
        }
    }
    sender.flush();
    Ok(())
}
