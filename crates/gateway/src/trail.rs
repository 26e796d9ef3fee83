//! The attempts of a request, as callers and logs are told them.

use std::fmt::{self, Write as _};

use lingate_routing::Step;

/// How many of the attempts are written out; the count in front tells all of them.
const SHOWN: usize = 16;

/// A list of structured fields (RFC 9651): the number of attempts, then one string for each, `provider/model`, with parameters:
/// `key` (its last four characters), `why` it was chosen, `failed` with the class of the failure, its `status` and `code`, and `ms`
/// to the failure or to the first content.
pub(crate) fn header(attempts: u32, trail: &[Step]) -> String {
    let mut out = String::with_capacity(96 * trail.len().min(SHOWN) + 8);
    // Writing to a string cannot fail.
    let _ = write!(out, "{attempts}");
    if !trail.is_empty() {
        let _ = write!(out, ", {}", Line(trail));
    }
    out
}

/// The same for logs, without the number.
#[derive(Debug)]
pub(crate) struct Line<'a>(pub(crate) &'a [Step]);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().take(SHOWN).enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            string(f, [&*step.provider, "/", &*step.model], 160)?;
            f.write_str(";key=")?;
            string(f, step.key.split('…'), 16)?;
            f.write_str(";why=")?;
            f.write_str(step.chosen.name())?;
            if let Some(fault) = &step.fault {
                write!(f, ";failed={}", fault.class.name())?;
                if fault.status != 0 {
                    write!(f, ";status={}", fault.status)?;
                }
                if !fault.code.is_empty() {
                    f.write_str(";code=")?;
                    string(f, [&*fault.code], 64)?;
                }
            }
            write!(f, ";ms={}", step.took.as_millis())?;
        }
        Ok(())
    }
}

/// In quotes; what a string of structured fields cannot hold becomes a question mark.
fn string<'a>(
    f: &mut fmt::Formatter<'_>,
    parts: impl IntoIterator<Item = &'a str>,
    longest: usize,
) -> fmt::Result {
    f.write_char('"')?;
    let mut left = longest;
    for part in parts {
        let plain = |byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        if part.len() <= left && part.bytes().all(plain) {
            f.write_str(part)?;
            left -= part.len();
            continue;
        }
        for c in part.chars().take(left) {
            match c {
                '"' | '\\' => {
                    f.write_char('\\')?;
                    f.write_char(c)?;
                }
                ' '..='~' => f.write_char(c)?,
                _ => f.write_char('?')?,
            }
            left -= 1;
        }
    }
    f.write_char('"')
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
        assert!(!Line(&trail).to_string().starts_with('2'));
        let long = [step(&"é".repeat(200), Chosen::NextKey, None)];
        let name = Line(&long).to_string();
        let name = name.split(';').next().unwrap();
        assert_eq!(name.len(), 160 + 2);
        let plain = [step(&"e".repeat(200), Chosen::NextKey, None)];
        assert_eq!(Line(&plain).to_string().find(';'), Some(160 + 2));
    }
}
