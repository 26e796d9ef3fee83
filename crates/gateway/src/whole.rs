//! Whole answers, as the caller reads them.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lingate_dialect::framing::Framing;
use lingate_dialect::json::Node;
use lingate_dialect::stream::{End, Summary, Transcoder};
use lingate_dialect::{ApiError, BadAnswer, ErrorKind, Losses, meter};
use lingate_routing::LossPolicy;

use crate::allowance::Allowance;
use crate::attempt::{Answer, Content, Ear, Failure};
use crate::exchange::Exchange;
use crate::headers;
use crate::prepare::Prepared;

/// A whole answer, as the caller reads it.
pub(crate) fn whole_answer(
    exchange: &Exchange,
    ear: Ear<'_>,
    mut prepared: Prepared,
    upstream_headers: &HeaderMap,
    body: Bytes,
) -> Result<Answer, Failure> {
    let upstream = ear.endpoint.dialect;
    let bad = |bad: BadAnswer| {
        Failure::of_answer(match bad {
            BadAnswer::Error(error) => error,
            BadAnswer::Malformed(fault) => ApiError::new(
                ErrorKind::UpstreamMalformed,
                format!("the upstream's answer is not one of the {upstream} dialect: {fault}"),
            )
            .code("upstream_malformed"),
        })
    };
    if prepared.through && !exchange.stream {
        let mut summary = meter::read(upstream.dialect(), &body);
        // An answer of a kind that is not known here still goes through, as long as it is JSON.
        if let Some(error) = summary
            .error
            .take()
            .filter(|error| error.kind != ErrorKind::UpstreamMalformed || !is_json(&body))
        {
            return Err(Failure::of_answer(error));
        }
        ear.witness().tell(upstream, &body);
        let headers = headers::for_caller(upstream_headers);
        return Ok(Answer {
            through: true,
            status: StatusCode::OK,
            headers,
            content: Content::Whole {
                body,
                summary: Box::new(summary),
            },
            losses: prepared.losses,
            further: 0,
            allowance: Allowance::default(),
        });
    }
    let client = exchange.dialect.dialect();
    let reply = exchange.reply(prepared.through);
    if exchange.stream {
        // The caller wants a stream and the upstream was asked for a whole answer: it is told event by event.
        let mut transcoder = Transcoder::new(
            upstream.dialect(),
            client,
            &reply,
            Framing::Sse,
            exchange.framing,
            prepared.tools,
        )
        .with_sealer(ear.sealer(exchange));
        let mut out = Vec::new();
        // What cannot be read is the transcoder's to tell, below.
        let _told = transcoder.push(&body, &mut out);
        let summary = transcoder.end(End::Eof, &mut out);
        if let Some(error) = summary.error {
            return Err(Failure::of_answer(error));
        }
        let content = Content::Whole {
            body: Bytes::from(out),
            summary: Box::new(summary),
        };
        return Ok(Answer {
            through: false,
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            content,
            losses: prepared.losses,
            further: 0,
            allowance: Allowance::default(),
        });
    }
    let mut response = upstream.dialect().decode_response(&body).map_err(bad)?;
    if let Some(failure) = response.failure() {
        return Err(Failure::of_answer(failure));
    }
    response.restore_tools(&prepared.tools);
    ear.sealer(exchange).response(&mut response);
    let mut losses = Losses::default();
    let out = client.encode_response(&response, &reply, &mut losses);
    if exchange.snapshot.defaults.losses != LossPolicy::Ignore {
        // In the terms of the upstream, whose answer it was.
        let paths = losses.paths(upstream.dialect());
        prepared
            .losses
            .extend(paths.into_iter().map(|path| format!("answer.{path}")));
    }
    let content = Content::Whole {
        body: Bytes::from(out),
        summary: Box::new(Summary::of(&response)),
    };
    Ok(Answer {
        through: false,
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        content,
        losses: prepared.losses,
        further: 0,
        allowance: Allowance::default(),
    })
}

fn is_json(body: &[u8]) -> bool {
    Node::parse(body).is_ok_and(|body| body.is_object() || body.is_array())
}
