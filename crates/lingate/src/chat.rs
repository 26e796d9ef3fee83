//! `lingate chat`: a conversation with a model, from a terminal, through a running gateway.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Method, Request, header};
use http_body_util::BodyExt as _;
use lingate_dialect::framing::{FrameReader, Framing};
use lingate_dialect::hub::{Delta, Event};
use lingate_dialect::json::Object;
use lingate_dialect::{ApiError, DialectId};
use secrecy::SecretString;

use crate::Failed;

const EXAMPLES: &str = "\
Examples:
  lingate chat
  lingate chat -m Hello
  lingate chat claude-sonnet-4-5 --system 'Answer in one sentence.'
  lingate chat --server http://gateway.example:8080 demo

A conversation ends with the end of input (Ctrl-D).";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The model, as any client of the gateway would name it; `GET /v1/models` lists them.
    #[arg(default_value = "demo")]
    model: String,
    /// Where the gateway is.
    #[arg(
        long,
        value_name = "URL",
        env = "LINGATE_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    server: String,
    /// A key that the gateway takes; it is better given as a variable, since others see the command line.
    #[arg(
        long,
        value_name = "KEY",
        env = "LINGATE_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// Instructions for the model.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Say this, print the answer and leave. Without it, each line of standard input is a turn of the conversation.
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<u8, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut talk = Talk {
        options,
        clients: lingate_upstream::Clients::new(Duration::from_secs(5)),
        said: Vec::new(),
    };
    if let Some(system) = &options.system {
        talk.said.push(("system", system.clone()));
    }
    if let Some(message) = &options.message {
        runtime.block_on(talk.turn(message.clone()))?;
        return Ok(0);
    }
    let terminal = io::stdin().is_terminal();
    let mut lines = io::stdin().lock().lines();
    loop {
        if terminal {
            write!(io::stdout(), "> ")?;
            io::stdout().flush()?;
        }
        let Some(line) = lines.next() else {
            return Ok(0);
        };
        let line = line?;
        if !line.trim().is_empty() {
            runtime.block_on(talk.turn(line))?;
        }
    }
}

struct Talk<'a> {
    options: &'a Options,
    clients: lingate_upstream::Clients,
    said: Vec<(&'static str, String)>,
}

impl Talk<'_> {
    /// Says one thing and prints the answer as it comes.
    async fn turn(&mut self, message: String) -> Result<(), Failed> {
        self.said.push(("user", message));
        let mut request = Request::new(lingate_upstream::Payload::from(self.body()));
        *request.method_mut() = Method::POST;
        let url = format!(
            "{}/v1/chat/completions",
            self.options.server.trim_end_matches('/')
        );
        *request.uri_mut() = url.parse().map_err(|_| {
            Failed::new(format!(
                "--server: '{}' is not an address such as http://127.0.0.1:8080",
                self.options.server
            ))
        })?;
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(token) = &self.options.token {
            let token = SecretString::from(token.clone());
            lingate_upstream::authorize(
                request.headers_mut(),
                "authorization",
                "Bearer {key}",
                &token,
            )
            .map_err(|error| Failed::new(error.to_string()))?;
        }
        let client = self
            .clients
            .get(None)
            .map_err(|error| Failed::new(error.to_string()))?;
        let sent = lingate_upstream::send(&client, request, Duration::from_mins(10)).await;
        let response = sent.map_err(|error| {
            Failed::new(format!(
                "{}: {error}; is `lingate serve` running there?",
                self.options.server
            ))
        })?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        if status != 200 {
            let body = body
                .collect()
                .await
                .map(http_body_util::Collected::to_bytes)
                .unwrap_or_default();
            return Err(Failed::new(ApiError::decode(status, &body).message));
        }
        let mut reader = FrameReader::new(Framing::Sse);
        let mut decoder = DialectId::Chat.dialect().decoder();
        let mut events = Vec::new();
        let mut answer = String::new();
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|_| Failed::new("the connection broke in the middle of the answer"))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let mut rest = &data[..];
            while let Some(frame) = reader
                .next_frame(&mut rest)
                .map_err(|error| Failed::new(error.to_string()))?
            {
                decoder
                    .frame(&frame, &mut events)
                    .map_err(|fault| Failed::new(fault.to_string()))?;
            }
            print(&mut events, &mut answer)?;
        }
        decoder.end(&mut events);
        print(&mut events, &mut answer)?;
        writeln!(io::stdout())?;
        self.said.push(("assistant", answer));
        Ok(())
    }

    fn body(&self) -> Bytes {
        let mut out = Vec::new();
        {
            let mut body = Object::new(&mut out);
            body.string("model", &self.options.model);
            body.bool("stream", true);
            let mut messages = body.array("messages");
            for (role, said) in &self.said {
                let mut message = messages.object();
                message.string("role", role);
                message.string("content", said);
            }
        }
        Bytes::from(out)
    }
}

/// Prints what the events say, and remembers the text.
fn print(events: &mut Vec<Event>, answer: &mut String) -> Result<(), Failed> {
    let mut stdout = io::stdout().lock();
    for event in events.drain(..) {
        match event {
            Event::Delta {
                delta: Delta::Text(text) | Delta::Refusal(text),
                ..
            } => {
                stdout.write_all(text.as_bytes())?;
                answer.push_str(&text);
            }
            Event::Error(error) => return Err(Failed::new(error.message)),
            Event::Delta { .. }
            | Event::Start { .. }
            | Event::Open { .. }
            | Event::Close { .. }
            | Event::Usage(_)
            | Event::ServiceTier(_)
            | Event::Logprobs { .. }
            | Event::Finish { .. } => {}
        }
    }
    stdout.flush()?;
    Ok(())
}
