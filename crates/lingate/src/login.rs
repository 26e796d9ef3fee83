//! `lingate login`, `logout` and `whoami`: a token of a server, kept for the commands that ask it.
//!
//! A password opens a session, the session makes a personal access token, and the session ends: what stays on this machine can be
//! revoked by itself, and opens nothing that a password does.

use std::io::{self, IsTerminal as _, Write as _};

use bytes::Bytes;
use clap::{ArgMatches, Args};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::local::runtime;
use crate::remote::{exchange, not_lingate, segment};
use crate::resource::{Place, ask_line, ask_secret, shown, told};
use crate::{Failed, signed_in, when};

const EXAMPLES: &str = "\
Examples:
  lingate login --server https://ai.example --email ada@example.com
  lingate login --server https://ai.example --email operator --expires 7d
  lingate login --server https://ai.example --token < token.txt
  lingate whoami --server https://ai.example
  lingate logout --server https://ai.example

The password is asked for without echo, or taken from LINGATE_PASSWORD or a line of standard input; likewise the code of the second factor
(LINGATE_CODE), where there is one, and another password (LINGATE_NEW_PASSWORD), where one has to be chosen. The session that it opens makes a
personal access token, and ends. With --token it is the token itself that is asked for or read: a personal access token, or a key of the kind
`management` or `read_only`; it is tried first.

The token is kept in lingate/tokens.json of the user's configuration folder, which nobody else can read. LINGATE_TOKEN and --token of other
commands count before it.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Login {
    /// Where the gateway is.
    #[arg(long, value_name = "URL", env = "LINGATE_SERVER")]
    server: String,
    /// Who signs in: an address, or the login of an account that has none.
    #[arg(
        long,
        visible_alias = "login",
        value_name = "EMAIL",
        env = "LINGATE_LOGIN"
    )]
    email: Option<String>,
    /// Keep a token that there is already. It is asked for, and no argument: others see the command line.
    #[arg(long, conflicts_with_all = ["email", "expires", "name"])]
    token: bool,
    /// How long the token is good: 90d, 12h, a date, or never.
    #[arg(long, value_name = "TIME", default_value = "90d")]
    expires: String,
    /// What the token is called in the list of tokens; without it, after this machine.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Logout {
    /// Where the gateway is.
    #[arg(long, value_name = "URL", env = "LINGATE_SERVER")]
    server: String,
    /// Forget the token even if the gateway cannot be told that it is to be refused from now on.
    #[arg(long)]
    forget: bool,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WhoAmI {
    /// As JSON, for scripts: what the API answers.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

const SESSION: &str = "/api/v1/session";
const TOKENS: &str = "/api/v1/tokens";

pub(crate) fn login(options: &Login, matches: &ArgMatches) -> Result<u8, Failed> {
    let server = options.server.as_str();
    let said = |name| matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
    // Before there were passwords, a token was what came in.
    let piped = !io::stdin().is_terminal() && !said("email") && password_set().is_none();
    if options.token || piped {
        return keep_token(server);
    }
    if server.starts_with("http://") && !is_here(server) {
        drop(writeln!(
            io::stderr(),
            "note: {server} is not encrypted: whoever is on the way reads the password"
        ));
    }
    let login = match &options.email {
        Some(login) => login.clone(),
        None => ask_line("e-mail or login")?,
    };
    let expires_at = when::to_come(&options.expires, when::now())?;
    let before = signed_in::kept(server);
    let signed_in = runtime()?.block_on(async {
        let session = Session::open(server, &login).await?;
        let made = session
            .make_token(options, expires_at.map(when::shown))
            .await;
        // Whatever became of the token, the session is not needed any more.
        let ended = session.ask(&Method::DELETE, SESSION, None).await;
        let made = made?;
        ended?;
        Ok::<_, Failed>(made)
    })?;
    // What was kept for this server before is good for nothing else.
    if let Some(before) = before {
        drop(runtime()?.block_on(revoke(server, &before)));
    }
    let until = signed_in["expires_at"].as_str();
    let until = until.map_or_else(String::new, |until| format!(", good until {until}"));
    writeln!(
        io::stdout(),
        "signed in at {server} as {login}; the token `{}`{until} is in {}",
        shown::text(&signed_in["name"]),
        signed_in::place()?.display()
    )?;
    Ok(0)
}

fn keep_token(server: &str) -> Result<u8, Failed> {
    let token = ask_secret("token")?;
    let answer = runtime()?.block_on(async {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = http::Uri::from_static(SESSION);
        exchange(server, request, Some(token.clone())).await
    })?;
    told_of(server, &answer)?;
    let place = signed_in::keep(server, json!({"token": token}))?;
    writeln!(
        io::stdout(),
        "signed in at {server}; the token is in {}",
        place.display()
    )?;
    Ok(0)
}

pub(crate) fn logout(options: &Logout) -> Result<u8, Failed> {
    let server = options.server.as_str();
    let Some(kept) = signed_in::kept(server) else {
        return Err(Failed::new(format!("nobody is signed in at {server}")));
    };
    let revoked = runtime()?.block_on(revoke(server, &kept));
    let line = match revoked {
        Ok(true) => format!("signed out of {server}; the token is refused from now on"),
        Ok(false) => format!(
            "signed out of {server}; the token was not made by `lingate login`, and stays good until it is revoked"
        ),
        Err(_) if options.forget => {
            format!("signed out of {server}; the token stays good until it is revoked or ends")
        }
        Err(failed) => {
            return Err(Failed::new(format!(
                "{}\nhint: --forget forgets the token, which stays good until it ends",
                failed.message
            )));
        }
    };
    signed_in::forget(server)?;
    writeln!(io::stdout(), "{line}")?;
    Ok(0)
}

/// Makes the token worthless that `login` made; `Ok(false)`: it made none.
async fn revoke(server: &str, kept: &Value) -> Result<bool, Failed> {
    let (Some(id), Some(token)) = (kept["id"].as_str(), kept["token"].as_str()) else {
        return Ok(false);
    };
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::DELETE;
    let path = format!("{TOKENS}/{}", segment(id));
    *request.uri_mut() = path.parse().map_err(|_| Failed::new("no id of a token"))?;
    let answer = exchange(server, request, Some(token.to_owned())).await?;
    // What is refused already needs no revoking.
    let gone = [StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND];
    if gone.contains(&answer.status()) {
        return Ok(true);
    }
    told_of(server, &answer).map(|_| true)
}

pub(crate) fn whoami(options: &WhoAmI, matches: &ArgMatches) -> Result<u8, Failed> {
    let place = options.place.settled(matches)?;
    let answer = place.work(async |desk| desk.ask(&Method::GET, SESSION, None).await)?;
    let mut told = answer.json()?;
    if let Some(map) = told.as_object_mut() {
        map.remove("csrf_token");
    }
    if options.json {
        return shown::one(&told, true);
    }
    let mut short = json!({"name": told["name"], "kind": told["kind"]});
    if told["expires_at"].is_string() {
        short["expires_at"] = told["expires_at"].clone();
    }
    let roles = told["roles"].as_array().into_iter().flatten().map(|role| {
        let place = ["project", "organization"];
        let place = place.iter().find_map(|name| role[*name].as_str());
        let (role, scope) = (shown::text(&role["role"]), shown::text(&role["scope"]));
        match place {
            Some(id) => format!("{role} of the {scope} {id}"),
            None => format!("{role} of the {scope}"),
        }
    });
    short["roles"] = json!(roles.collect::<Vec<_>>());
    shown::one(&short, false)
}

/// A session of somebody, while it lasts.
struct Session<'s> {
    server: &'s str,
    cookie: HeaderValue,
    csrf: HeaderValue,
}

impl<'s> Session<'s> {
    async fn open(server: &'s str, login: &str) -> Result<Self, Failed> {
        let password = match password_set() {
            Some(password) => password,
            None => ask_secret("password")?,
        };
        let body = json!({"login": login, "password": password});
        let answer = send(
            server,
            &Method::POST,
            SESSION,
            Some(&body),
            HeaderMap::new(),
        )
        .await?;
        let mut told = told_of(server, &answer)?;
        let mut session = Self::of(server, &answer, &told)?;
        if told["state"] == "mfa_required" {
            let code = match set("LINGATE_CODE") {
                Some(code) => code,
                None => ask_secret("code of the second factor")?,
            };
            let body = json!({"code": code.trim()});
            let path = "/api/v1/session/totp";
            let answer = send(server, &Method::POST, path, Some(&body), session.headers()).await?;
            told = told_of(server, &answer)?;
            session = Self::of(server, &answer, &told)?;
        }
        if told["account"]["must_change_password"] == true {
            session = session.choose_password(&password).await?;
        }
        Ok(session)
    }

    /// Of an answer that signs in.
    fn of(server: &'s str, answer: &Response<Bytes>, told: &Value) -> Result<Self, Failed> {
        let no_session = || not_lingate(server, answer.status().as_u16());
        let cookies = answer.headers().get_all(header::SET_COOKIE).iter();
        let mut pairs = cookies
            .filter_map(|cookie| cookie.to_str().ok())
            .filter_map(|cookie| cookie.split(';').next())
            .filter(|pair| {
                let name = pair.strip_prefix("__Host-").unwrap_or(pair);
                name.starts_with("lingate_session=")
            });
        let cookie = pairs.next().ok_or_else(no_session)?;
        let csrf = told["csrf_token"].as_str().ok_or_else(no_session)?;
        let secret = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|_| no_session())?;
            value.set_sensitive(true);
            Ok::<_, Failed>(value)
        };
        Ok(Self {
            server,
            cookie: secret(cookie)?,
            csrf: secret(csrf)?,
        })
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, self.cookie.clone());
        headers.insert("x-lingate-csrf", self.csrf.clone());
        headers
    }

    async fn ask(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failed> {
        let answer = send(self.server, method, path, body, self.headers()).await?;
        told_of(self.server, &answer)
    }

    /// The first password of an account is good for this alone.
    async fn choose_password(self, old: &str) -> Result<Self, Failed> {
        let new = if let Some(new) = set("LINGATE_NEW_PASSWORD") {
            new
        } else {
            let new = ask_secret("new password")?;
            if io::stdin().is_terminal() && ask_secret("new password once more")? != new {
                return Err(Failed::new("these are two passwords; nothing was changed"));
            }
            new
        };
        let body = json!({"old_password": old, "new_password": new});
        let path = "/api/v1/me/password";
        let server = self.server;
        let answer = send(server, &Method::PUT, path, Some(&body), self.headers()).await?;
        Self::of(server, &answer, &told_of(server, &answer)?)
    }

    /// Makes a token and keeps it; what cannot be kept is not left behind.
    async fn make_token(
        &self,
        options: &Login,
        expires_at: Option<String>,
    ) -> Result<Value, Failed> {
        let name = options.name.clone().unwrap_or_else(named_here);
        let mut body = json!({"name": name});
        if let Some(expires_at) = expires_at {
            body["expires_at"] = json!(expires_at);
        }
        let mut made = self.ask(&Method::POST, TOKENS, Some(&body)).await?;
        let kept =
            json!({"token": made["token"], "id": made["id"], "expires_at": made["expires_at"]});
        if let Err(failed) = signed_in::keep(self.server, kept) {
            let path = format!("{TOKENS}/{}", segment(&shown::text(&made["id"])));
            self.ask(&Method::DELETE, &path, None).await?;
            return Err(failed);
        }
        if let Some(map) = made.as_object_mut() {
            map.remove("token");
        }
        Ok(made)
    }
}

/// `lingate on laptop, 2026-12-01`
fn named_here() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host
        .or_else(|| set("HOSTNAME"))
        .or_else(|| set("COMPUTERNAME"));
    let host = host
        .as_deref()
        .map(str::trim)
        .filter(|host| !host.is_empty());
    let day = Timestamp::now().strftime("%F");
    format!("lingate on {}, {day}", host.unwrap_or("a machine"))
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn password_set() -> Option<String> {
    set("LINGATE_PASSWORD")
}

/// What is sent there leaves no wire.
fn is_here(server: &str) -> bool {
    let rest = server.trim_start_matches("http://");
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|host| rest.starts_with(host))
}

async fn send(
    server: &str,
    method: &Method,
    path: &str,
    body: Option<&Value>,
    headers: HeaderMap,
) -> Result<Response<Bytes>, Failed> {
    let body = body.map(|body| Bytes::from(body.to_string()));
    let mut request = Request::new(body.unwrap_or_default());
    *request.method_mut() = method.clone();
    *request.uri_mut() = path.parse().map_err(|_| Failed::new("no path"))?;
    *request.headers_mut() = headers;
    exchange(server, request, None).await
}

/// What was answered, or the problem that it is.
fn told_of(server: &str, answer: &Response<Bytes>) -> Result<Value, Failed> {
    let read: Option<Value> = serde_json::from_slice(answer.body()).ok();
    if answer.status().is_success() {
        return Ok(read.unwrap_or_default());
    }
    match read {
        Some(problem) if problem["detail"].is_string() => Err(told(&problem)),
        Some(_) | None => Err(not_lingate(server, answer.status().as_u16())),
    }
}
