//! `lingate convert`: what the gateway would make of a body, without a gateway. Losses go to standard error.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use lingate_dialect::framing::Framing;
use lingate_dialect::stream::{End, Outcome, Transcoder};
use lingate_dialect::{BadAnswer, DialectId, Losses, Mint, Reply, Target, ToolChanges};
use uuid::Uuid;

use crate::Failed;

/// Exit code of a conversion that lost something.
const LOST: u8 = 3;

const EXAMPLES: &str = "\
Examples:
  lingate convert --from messages --to chat request.json
  lingate convert --from chat --to gemini --model gemini-3.5-flash request.json
  lingate convert --from gemini --to messages --kind response answer.json
  lingate convert --from chat --to messages --kind stream < stream.txt

The output goes to standard output. Losses go to standard error, a line each: the place in the input, and what became of it.

Exit codes: 0 converted · 1 failed · 2 wrong usage · 3 converted, but something was lost";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The dialect of the input: chat, responses, messages or gemini.
    #[arg(long, value_name = "DIALECT", value_parser = dialect)]
    from: DialectId,
    /// The dialect of the output.
    #[arg(long, value_name = "DIALECT", value_parser = dialect)]
    to: DialectId,
    /// What the input is.
    #[arg(long, value_enum, default_value_t = Kind::Request)]
    kind: Kind,
    /// The upstream's model; its known limits and quirks apply. Default: the model that the input names.
    #[arg(long)]
    model: Option<String>,
    /// The input is a Gemini stream as one JSON array instead of server-sent events.
    #[arg(long)]
    array: bool,
    /// The input; standard input when absent or `-`.
    file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Request,
    Response,
    Stream,
}

fn dialect(name: &str) -> Result<DialectId, String> {
    DialectId::from_name(name).ok_or_else(|| {
        format!(
            "unknown dialect; there are {}",
            DialectId::ALL.map(DialectId::name).join(", ")
        )
    })
}

pub(crate) fn run(options: &Options) -> Result<u8, Failed> {
    let mut input: Box<dyn io::Read> = match &options.file {
        Some(path) if path.as_os_str() != "-" => Box::new(
            File::open(path)
                .map_err(|error| Failed::new(format!("{}: {error}", path.display())))?,
        ),
        Some(_) | None => Box::new(io::stdin().lock()),
    };
    if options.kind == Kind::Stream {
        return stream(options, &mut *input);
    }
    let mut body = Vec::new();
    input.read_to_end(&mut body)?;
    let mut losses = Losses::default();
    let out = match options.kind {
        Kind::Request => request(options, &body, &mut losses)?,
        Kind::Response | Kind::Stream => response(options, &body, &mut losses)?,
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(&out)?;
    stdout.write_all(b"\n")?;
    let mut stderr = io::stderr().lock();
    for loss in losses.iter() {
        writeln!(
            stderr,
            "{}: {}",
            loss.path(options.from.dialect()),
            loss.note
        )?;
    }
    Ok(if losses.is_empty() { 0 } else { LOST })
}

fn request(options: &Options, body: &[u8], losses: &mut Losses) -> Result<Vec<u8>, Failed> {
    let (from, to) = (options.from.dialect(), options.to.dialect());
    let mut request = from
        .decode_request(body)
        .map_err(|fault| Failed::new(fault.to_string()))?;
    let model = options
        .model
        .clone()
        .unwrap_or_else(|| request.model.clone());
    if request.model.is_empty() {
        request.model.clone_from(&model);
    }
    let catalog = lingate_catalog::builtin();
    let provider = catalog
        .provider_of_model(&model)
        .map(|provider| provider.id.as_str());
    let quirks = catalog.quirks(provider, &model, options.to);
    let max_output = catalog.model(&model).and_then(|model| model.max_output);
    let target = Target {
        model: &model,
        quirks: &quirks,
        max_output,
        default_max_tokens: 8192,
    };
    let encoded = to
        .encode_request(&request, &target, losses)
        .map_err(|refusal| {
            let path = from.locate(&refusal.at);
            Failed::new(if path.is_empty() {
                refusal.message
            } else {
                format!("{path}: {}", refusal.message)
            })
        })?;
    Ok(encoded.body)
}

fn response(options: &Options, body: &[u8], losses: &mut Losses) -> Result<Vec<u8>, Failed> {
    let response = options
        .from
        .dialect()
        .decode_response(body)
        .map_err(|bad| match bad {
            BadAnswer::Malformed(fault) => Failed::new(fault.to_string()),
            BadAnswer::Error(error) => {
                Failed::new(format!("the input is an error: {}", error.message))
            }
        })?;
    let model = options
        .model
        .clone()
        .unwrap_or_else(|| response.model.clone());
    Ok(options
        .to
        .dialect()
        .encode_response(&response, &reply(model), losses))
}

fn stream(options: &Options, input: &mut dyn io::Read) -> Result<u8, Failed> {
    let framing = if options.array {
        Framing::JsonArray
    } else {
        Framing::Sse
    };
    let reply = reply(options.model.clone().unwrap_or_default());
    let mut transcoder = Transcoder::new(
        options.from.dialect(),
        options.to.dialect(),
        &reply,
        framing,
        Framing::Sse,
        ToolChanges::default(),
    );
    let mut stdout = io::stdout().lock();
    let mut chunk = vec![0; 64 << 10];
    let mut out = Vec::new();
    let mut failed = None;
    loop {
        let length = input.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        let pushed = transcoder.push(chunk.get(..length).unwrap_or_default(), &mut out);
        stdout.write_all(&out)?;
        out.clear();
        if let Err(error) = pushed {
            failed = Some(error);
            break;
        }
    }
    let summary = transcoder.end(End::Eof, &mut out);
    stdout.write_all(&out)?;
    stdout.flush()?;
    match (failed, summary.outcome) {
        (Some(error), _) => Err(Failed::new(error.to_string())),
        (None, Outcome::Truncated | Outcome::UpstreamError) => {
            Err(Failed::new("the stream ended without an ending"))
        }
        (
            None,
            Outcome::Complete
            | Outcome::Length
            | Outcome::Refusal
            | Outcome::ToolUse
            | Outcome::ClientGone
            | Outcome::Repaired,
        ) => Ok(0),
    }
}

/// Shows everything that the output's dialect can show.
fn reply(model: String) -> Reply {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        });
    let mint = Mint {
        now,
        id: Uuid::now_v7().as_u128(),
    };
    Reply {
        responses: None,
        model,
        mint,
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
    }
}
