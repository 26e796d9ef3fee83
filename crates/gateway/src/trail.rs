//! The attempts of a request, as callers and logs are told them.

use std::fmt::Write as _;

use lingate_routing::Step;

/// How many of the attempts are written out; the count in front tells all of them.
const SHOWN: usize = 16;

/// A list of structured fields (RFC 9651): the number of attempts, then one string for each, `provider/model`, with parameters:
/// `key` (its last four characters), `why` it was chosen, `failed` with the class of the failure, its `status` and `code`, and `ms`
/// to the failure or to the first content.
pub(crate) fn header(attempts: u32, trail: &[Step]) -> String {
    let mut out = attempts.to_string();
    for step in trail.iter().take(SHOWN) {
        out.push_str(", ");
        write_step(&mut out, step);
    }
    out
}

/// The same for logs, without the count.
pub(crate) fn line(trail: &[Step]) -> String {
    let mut out = String::new();
    for step in trail.iter().take(SHOWN) {
        if !out.is_empty() {
            out.push_str(", ");
        }
        write_step(&mut out, step);
    }
    out
}

fn write_step(out: &mut String, step: &Step) {
    write_string(out, &format!("{}/{}", step.provider, step.model), 160);
    let key: String = step.key.chars().filter(|c| *c != '…').collect();
    out.push_str(";key=");
    write_string(out, &key, 16);
    // Writing to a string cannot fail.
    let _ = write!(out, ";why={}", step.chosen.name());
    if let Some(fault) = &step.fault {
        let _ = write!(out, ";failed={}", fault.class.name());
        if fault.status != 0 {
            let _ = write!(out, ";status={}", fault.status);
        }
        if !fault.code.is_empty() {
            out.push_str(";code=");
            write_string(out, &fault.code, 64);
        }
    }
    let _ = write!(out, ";ms={}", step.took.as_millis());
}

/// In quotes; what a string of structured fields cannot hold becomes a question mark.
fn write_string(out: &mut String, text: &str, longest: usize) {
    out.push('"');
    for c in text.chars().take(longest) {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            _ => out.push('?'),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lingate_routing::{Chosen, Class, Fault, On};

    use super::*;

    #[test]
    fn a_trail_is_a_list_of_structured_fields() {
        let step = |model: &str, chosen, fault| Step {
            provider: "openai".to_owned(),
            model: model.to_owned(),
            key: "…1234".to_owned(),
            chosen,
            fault,
            took: Duration::from_millis(312),
        };
        let limited = Fault {
            status: 429,
            code: "rate \"limit\" 超".to_owned(),
            ..Fault::new(Class::RateLimited)
        };
        let trail = [
            step("gpt-4o", Chosen::Strategy("weighted"), Some(limited)),
            step("a/ü", Chosen::Fallback(On::Failure), None),
        ];
        assert_eq!(
            header(2, &trail),
            r#"2, "openai/gpt-4o";key="1234";why=weighted;failed=rate_limited;status=429;code="rate \"limit\" ?";ms=312, "openai/a/?";key="1234";why=fallback;ms=312"#
        );
        assert_eq!(header(0, &[]), "0");
        assert!(!line(&trail).starts_with('2'));
    }
}
