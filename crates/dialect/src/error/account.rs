//! Which account a key belongs to, as vendors name it beside their answers and in their errors.

/// Headers of answers that name the account.
const HEADERS: &[&str] = &[
    "openai-organization",
    "anthropic-organization-id",
    "x-organization-id",
    "x-goog-user-project",
];

/// What stands before the name of an account in a sentence, in lower case; the surest first.
const LEADS: &[&str] = &[
    "in organization ",
    "for organization ",
    "(org: ",
    "your organization (",
    "for team ",
    "your team ",
    "your account ",
    "project_number:",
];

/// Whether a header, in lower case, is one that names the account.
pub fn tells(header: &str) -> bool {
    HEADERS.contains(&header)
}

/// The account that the headers of an answer name.
pub fn named(headers: &[(&str, &str)]) -> Option<String> {
    HEADERS.iter().find_map(|name| {
        let (_, value) = headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        identifier(value.trim()).map(str::to_owned)
    })
}

/// The account that a message names.
pub(super) fn in_words(message: &str) -> Option<String> {
    let text = message.to_ascii_lowercase();
    LEADS.iter().find_map(|lead| {
        let at = text.find(lead)? + lead.len();
        let rest = message.get(at..)?.trim_start_matches(['`', '\'', '"']);
        let name = identifier(rest)?;
        // A word of the sentence is no name.
        let named = name.starts_with("org-")
            || name.starts_with("org_")
            || name.bytes().any(|byte| byte.is_ascii_digit());
        named.then(|| name.to_owned())
    })
}

/// What could be an identifier at the beginning of a text; six characters at least, so that no two accounts share it by chance.
fn identifier(text: &str) -> Option<&str> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .unwrap_or(text.len());
    text.get(..end)
        .filter(|name| (6..=128).contains(&name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_name_the_account() {
        for (headers, expect) in [
            (
                &[
                    ("x-request-id", "req_1"),
                    ("OpenAI-Organization", "user-a1b2c3"),
                ][..],
                Some("user-a1b2c3"),
            ),
            (
                &[(
                    "anthropic-organization-id",
                    "80162711-722b-4454-ae75-c6334e6796f2",
                )][..],
                Some("80162711-722b-4454-ae75-c6334e6796f2"),
            ),
            (&[("openai-organization", "")][..], None),
            (&[("server", "cloudflare")][..], None),
        ] {
            assert_eq!(named(headers).as_deref(), expect, "{headers:?}");
        }
    }

    #[test]
    fn words_of_a_sentence_are_no_accounts() {
        for message in [
            "This request would exceed the rate limit for your organization of 20,000 input tokens per minute.",
            "Rate limit reached in organization redacted on tokens per min",
            "Your team has either used all available credits",
            "Your account is not active, please check your billing details",
        ] {
            assert_eq!(in_words(message), None, "{message}");
        }
        assert_eq!(
            in_words("for consumer 'project_number:348715329010'.").as_deref(),
            Some("348715329010")
        );
    }
}
