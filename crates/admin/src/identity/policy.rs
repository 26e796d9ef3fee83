//! Which passwords are good enough, as NIST SP 800-63B §3.1.1.2 has it: long, and not among those that are tried first. No rules of
//! composition, no expiry, but for those that somebody else gives.

use lingate_metering::Millis;

use crate::problem::Problem;

/// How long a password is good that somebody else has given: over a weekend.
pub(crate) const TEMPORARY: Millis = 72 * 60 * 60 * 1000;

/// In characters.
const SHORTEST: usize = 12;
/// In bytes: what is hashed must have an end.
const LONGEST: usize = 1024;

/// Words that common passwords are made of, and those that are plain here.
const WORDS: &str = include_str!("common_words.txt");

/// `names`: what the account signs in with, and is called.
pub(crate) fn check<'a>(
    field: &str,
    password: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<(), Problem> {
    match weakness(password, names) {
        None => Ok(()),
        Some(why) => Err(Problem::invalid(field, why)
            .hint("a few words that do not belong together make a good password")),
    }
}

/// Why a password is refused.
pub(crate) fn weakness<'a>(
    password: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'static str> {
    if password.chars().count() < SHORTEST {
        return Some("a password has at least 12 characters");
    }
    if password.len() > LONGEST {
        return Some("a password has at most 1024 bytes");
    }
    let plain = plain(password);
    for name in names {
        let name = self::plain(name);
        let local = name.split('@').next().unwrap_or("").to_owned();
        for name in [name, local] {
            // What is left of the password without the name must be something by itself.
            if name.chars().count() >= 4 && rest(&plain, &name) < 6 {
                return Some("the password is what the account is called, or little more");
            }
        }
    }
    let mut distinct: Vec<char> = plain.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 5 || is_repeated(&plain) || is_sequence(&plain) || is_common(&plain) {
        return Some("the password is among those that are tried first");
    }
    None
}

/// Small letters, and what is written for letters taken for them.
fn plain(password: &str) -> String {
    password
        .to_lowercase()
        .chars()
        .map(|c| match c {
            '@' => 'a',
            '$' => 's',
            '!' => 'i',
            other => other,
        })
        .collect::<String>()
        .replace(char::is_whitespace, "")
}

/// With digits that stand for letters read as these.
fn unleet(plain: &str) -> String {
    plain
        .chars()
        .map(|c| match c {
            '0' => 'o',
            '1' => 'l',
            '3' => 'e',
            '4' => 'a',
            '5' => 's',
            '7' => 't',
            other => other,
        })
        .collect()
}

/// How many characters there are beside a word.
fn rest(password: &str, word: &str) -> usize {
    password.replace(word, "").chars().count()
}

/// A few characters again and again.
fn is_repeated(plain: &str) -> bool {
    let characters: Vec<char> = plain.chars().collect();
    (1..=characters.len() / 2).any(|length| {
        let (unit, _) = characters.split_at(length);
        length <= 6
            && characters
                .chunks(length)
                .all(|chunk| unit.starts_with(chunk))
    })
}

/// What lies beside each other in the alphabet, among the digits or on a keyboard.
fn is_sequence(plain: &str) -> bool {
    const ROWS: [&str; 8] = [
        "abcdefghijklmnopqrstuvwxyz",
        "01234567890123456789",
        "qwertyuiop",
        "asdfghjkl",
        "zxcvbnm",
        "qwertzuiop",
        "azertyuiop",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    ];
    let characters: Vec<char> = plain.chars().collect();
    let beside = |pair: &[char]| {
        let text: String = pair.iter().collect();
        let back: String = pair.iter().rev().collect();
        pair.first() == pair.last()
            || ROWS
                .iter()
                .any(|row| row.contains(&text) || row.contains(&back))
    };
    let pairs = characters.windows(2);
    let (all, steps) = (pairs.len(), pairs.filter(|pair| beside(pair)).count());
    // All but one jump in five, from a row to the next.
    steps * 5 >= all * 4
}

/// Made of common words, and of little besides.
fn is_common(plain: &str) -> bool {
    [plain.to_owned(), unleet(plain)].iter().any(|text| {
        let mut words: Vec<&str> = WORDS.lines().filter(|word| !word.is_empty()).collect();
        words.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
        let mut left = text.clone();
        for word in words {
            left = left.replace(word, " ");
        }
        let letters = left.chars().filter(|c| c.is_alphabetic()).count();
        let others = left.chars().filter(|c| !c.is_whitespace()).count();
        left.contains(' ') && letters <= 3 && others <= 7
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_first_is_refused() {
        let check = |password: &str, good: bool| {
            let why = weakness(password, ["ada@example.com", "Ada Lovelace", "operator"]);
            assert_eq!(why.is_none(), good, "{password}: {why:?}");
        };
        for good in [
            "correct horse battery staple",
            "violet-tractor-92-harbour",
            "Xk9#mQ2$vL7p",
            "ungewöhnliche Rübe",
            "很长的密码没有人知道的那一种",
            "   twelve blanks or so   ",
            &"long enough to be a poem ".repeat(40),
        ] {
            check(good, true);
        }
        for bad in [
            "",
            "short",
            "elevenchars",
            "passwordpassword",
            "Password1234",
            "P@ssw0rd1234",
            "p4ssw0rd!2024",
            "qwertyuiop123",
            "1q2w3e4r5t6y7u",
            "123456789012",
            "aaaaaaaaaaaa",
            "abababababab",
            "abcdefghijkl",
            "zyxwvutsrqpo",
            "iloveyou1234",
            "letmein letmein",
            "administrator",
            "welcome-2026!",
            "changeme1234",
            "lingate-admin",
            "operator1234",
            "ada@example.com",
            "ada@example.com1",
            "AdaLovelace12",
            &"x1y2z3w4v5u6".repeat(86),
        ] {
            check(bad, false);
        }
    }
}
