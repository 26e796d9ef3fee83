//! The seam between an answer that broke off and its continuation: what the second repeats of the first.

/// The longest repetition that is looked for, in characters.
pub(super) const LONGEST: usize = 200;

/// Repetitions of fewer characters are as likely to be the text's own.
const SHORTEST: usize = 12;

/// In prose, whole words that are said again are no accident either.
const SHORTEST_IN_WORDS: usize = 4;

/// How many bytes at the beginning of `next` are already at the end of `told`.
pub(super) fn repeated(told: &str, next: &str) -> usize {
    let in_code = in_code(told);
    let mut skipped = 0;
    if in_code && let Some(fence) = opening_fence(next) {
        // A fence that is open already is not opened again.
        skipped = fence;
    }
    let rest = next.get(skipped..).unwrap_or_default();
    if let Some(length) = overlap(told, rest, in_code) {
        return skipped + length;
    }
    let trimmed = rest.trim_start();
    let space = rest.len() - trimmed.len();
    match overlap(told, trimmed, in_code) {
        Some(length) if space > 0 => skipped + space + length,
        _ => skipped,
    }
}

/// The bytes of the longest beginning of `next` that `told` ends with, where it is long enough to be a repetition.
fn overlap(told: &str, next: &str, in_code: bool) -> Option<usize> {
    let ends: Vec<usize> = next
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .take(LONGEST)
        .collect();
    for (place, end) in ends.iter().enumerate().rev() {
        let characters = place + 1;
        if characters < SHORTEST_IN_WORDS {
            return None;
        }
        let head = next.get(..*end)?;
        let Some(before) = told.strip_suffix(head) else {
            continue;
        };
        if characters >= SHORTEST || !in_code && are_words(before, head) {
            return Some(*end);
        }
    }
    None
}

/// Whether `head` begins as a word does, holds more than signs, and does not follow upon itself already.
fn are_words(before: &str, head: &str) -> bool {
    let begins = before.chars().next_back().is_none_or(char::is_whitespace)
        && head.starts_with(char::is_alphanumeric);
    let letters = head.chars().filter(|c| c.is_alphabetic()).count();
    begins && letters + 1 >= SHORTEST_IN_WORDS && !before.ends_with(head)
}

/// Whether the text ends inside of a fenced block of code.
fn in_code(text: &str) -> bool {
    let fences = text
        .lines()
        .filter(|line| line.trim_start().starts_with("```"));
    fences.count() % 2 == 1
}

/// The bytes of a line at the beginning that opens a fence, white space before it included.
fn opening_fence(text: &str) -> Option<usize> {
    let trimmed = text.trim_start();
    let line = trimmed.strip_prefix("```")?;
    let end = line.find('\n')?;
    // A fence without a language closes the block.
    let language = line.get(..end)?.trim();
    let is_name = !language.is_empty() && !language.contains([' ', '`']);
    is_name.then(|| text.len() - trimmed.len() + 3 + end + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(told: &str, next: &str, expect: &str) {
        let rest = &next[repeated(told, next)..];
        assert_eq!(format!("{told}{rest}"), expect, "{told:?} and {next:?}");
    }

    #[test]
    fn what_is_said_twice_is_dropped_and_nothing_else() {
        check(
            "The quick brown fox",
            " jumps.",
            "The quick brown fox jumps.",
        );
        check(
            "The quick brown fox",
            "quick brown fox jumps.",
            "The quick brown fox jumps.",
        );
        check(
            "The quick brown fox",
            "\n\n quick brown fox jumps.",
            "The quick brown fox jumps.",
        );
        check(
            "I went to the store",
            "store and",
            "I went to the store and",
        );
        check("it was very ", "very nice", "it was very nice");
        check("it was haha haha ", "haha and", "it was haha haha haha and");
        check("1, 0, 0, ", "0, 0, 0", "1, 0, 0, 0, 0, 0");
        check("so", "so far", "soso far");
        check(
            "一二三四五六七八九十一二三",
            "八九十一二三四",
            "一二三四五六七八九十一二三八九十一二三四",
        );
        check(
            "零一二三四五六七八九十百千",
            "一二三四五六七八九十百千万",
            "零一二三四五六七八九十百千万",
        );
    }

    #[test]
    fn code_is_taken_at_its_word() {
        check(
            "```rust\nfn a() {\n    b();\n",
            "```rust\n    c();\n}\n```",
            "```rust\nfn a() {\n    b();\n    c();\n}\n```",
        );
        check("```\n    }\n", "    }\n}", "```\n    }\n    }\n}");
        check("```\nx\n", "```\ndone", "```\nx\n```\ndone");
        check("```c\nvoid main", "main()", "```c\nvoid mainmain()");
        check("text\n", "```rust\nx", "text\n```rust\nx");
    }

    proptest! {
        /// For a text cut anywhere whose continuation repeats some of it, nothing is lost, and what can be told for a repetition
        /// is dropped.
        #[test]
        fn a_text_cut_anywhere_is_whole_again(
            text in "[a-zA-Zäß文字🙂 .,]{1,400}",
            at in 0_usize..400,
            repeats in 0_usize..=64,
        ) {
            let characters: Vec<char> = text.chars().collect();
            let at = at.min(characters.len());
            let repeats = repeats.min(at);
            let told: String = characters[..at].iter().collect();
            let next: String = characters[at - repeats..].iter().collect();
            let rest = &next[repeated(&told, &next)..];
            let joined = format!("{told}{rest}");
            if repeats == 0 || repeats >= SHORTEST {
                prop_assert_eq!(joined, text);
            } else {
                // Too short to tell: it may stay.
                let kept = format!("{told}{next}");
                prop_assert!(joined == text || joined == kept, "{:?}", joined);
            }
        }
    }
}
