//! `lingate login` and `lingate logout`: the token of a server, kept for the commands that ask it.

use std::io::{self, Write as _};

use bytes::Bytes;
use clap::Args;
use http::Request;

use crate::local::runtime;
use crate::remote::Token;
use crate::resource::{ask_secret, told};
use crate::{Failed, signed_in};

const EXAMPLES: &str = "\
Examples:
  lingate login --server https://ai.example
  lingate login --server https://ai.example < token.txt
  lingate logout --server https://ai.example

The token is asked for without echo, or read as a line of standard input: a personal access token, or a key of the kind `management` or
`read_only`. It is tried, and kept in lingate/tokens.json of the user's configuration folder, which nobody else can read. LINGATE_TOKEN
and --token count before it.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Where the gateway is.
    #[arg(long, value_name = "URL", env = "LINGATE_SERVER")]
    server: String,
}

pub(crate) fn login(options: &Options) -> Result<u8, Failed> {
    let token = ask_secret("token")?;
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = http::Uri::from_static("/api/v1/organizations?limit=1");
    let asked = Token::of(token.clone());
    let answer = runtime()?.block_on(asked.exchange(&options.server, request))?;
    if !answer.status().is_success() {
        return Err(serde_json::from_slice(answer.body()).map_or_else(
            |_| crate::remote::not_lingate(&options.server, answer.status().as_u16()),
            |problem| told(&problem),
        ));
    }
    let place = signed_in::keep(&options.server, &token)?;
    writeln!(
        io::stdout(),
        "signed in at {}; the token is in {}",
        options.server,
        place.display()
    )?;
    Ok(0)
}

pub(crate) fn logout(options: &Options) -> Result<u8, Failed> {
    if !signed_in::forget(&options.server)? {
        return Err(Failed::new(format!(
            "nobody is signed in at {}",
            options.server
        )));
    }
    writeln!(io::stdout(), "signed out of {}", options.server)?;
    Ok(0)
}
