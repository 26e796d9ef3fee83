//! The journey of an operator: every command of `docs/operate.md`, word for word, in one folder and in order, beside a gateway that
//! runs; and what it prints is what the page shows.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Instant;

use lingate_testkit::Gateway;

use crate::world::{PATIENCE, program};

/// A piece of the page between fences.
#[derive(Debug)]
struct Block {
    language: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(language), None) => {
                open = Some(Block {
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Without what is another one each time: ids, moments, days, numbers of codes, the ends of secrets; and without the widths of columns.
fn plain(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let words = line.split(' ').filter(|word| !word.is_empty());
        let words: Vec<String> = words
            .map(|word| {
                let cells = word.split(',').map(cell);
                cells.collect::<Vec<_>>().join(",")
            })
            .collect();
        lines.push(words.join(" "));
    }
    lines.join("\n")
}

fn cell(text: &str) -> String {
    let digits = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_hexdigit() || b"-:TZ.".contains(&byte))
    };
    let is = |length: usize, mark: u8, place: usize| {
        text.len() == length && text.as_bytes()[place] == mark && digits(text)
    };
    if is(36, b'-', 8) {
        "ID".to_owned()
    } else if is(24, b'T', 10) {
        "MOMENT".to_owned()
    } else if is(10, b'-', 4) {
        "DAY".to_owned()
    } else if text.len() == 7 && text.as_bytes()[4] == b'-' && digits(text) {
        "MONTH".to_owned()
    } else if text.len() == 16 && digits(text) {
        "HASH".to_owned()
    } else if let Some(number) = text.strip_prefix("INV-") {
        format!("INV-{}", number.get(4..).unwrap_or_default())
    } else if text.starts_with('…') {
        "HINT".to_owned()
    } else {
        text.to_owned()
    }
}

/// This month and the one before, as invoices name them.
fn months() -> (String, String) {
    let today = jiff::tz::TimeZone::UTC
        .to_datetime(jiff::Timestamp::now())
        .date();
    let before = today.first_of_month().yesterday().unwrap();
    let month = |day: jiff::civil::Date| format!("{:04}-{:02}", day.year(), day.month());
    (month(today), month(before))
}

/// What runs again and again does no harm, and may have to wait for what is written a second later.
fn only_reads(block: &str) -> bool {
    let reads = [
        " list",
        " show",
        " stats ",
        " statement ",
        " draft ",
        "lingate stats",
    ];
    let mut lines = block.lines().filter(|line| line.contains("lingate "));
    lines.all(|line| reads.iter().any(|word| line.contains(word)))
}

async fn walk(page: &str) {
    let blocks = blocks(page);
    let configuration = blocks
        .iter()
        .find(|block| block.language == "yaml")
        .unwrap();
    let gateway = Gateway::start(program(), &configuration.text, &[])
        .await
        .unwrap();
    let folder = gateway.folder().to_owned();
    let programs = folder.join("programs");
    std::fs::create_dir_all(&programs).unwrap();
    symlink(program(), programs.join("lingate")).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let (this, before) = months();
    let address = gateway.url();
    let run = |script: String| {
        let (folder, path) = (folder.clone(), path.clone());
        tokio::task::spawn_blocking(move || {
            let script = format!("exec 2>&1\n{script}");
            let mut shell = Command::new("bash");
            shell
                .args(["-e", "-c", &script])
                .current_dir(folder)
                .env_clear();
            shell
                .env("PATH", path)
                .env("USER", "operator")
                .output()
                .unwrap()
        })
    };
    let mut walked = 0;
    for (place, block) in blocks.iter().enumerate() {
        if block.language != "sh" {
            continue;
        }
        walked += 1;
        // The page names a port and months that are another's.
        let script = block
            .text
            .replace("http://127.0.0.1:8080", &address)
            .replace("--month 2026-12", &format!("--month {this}"))
            .replace("--month 2026-11", &format!("--month {before}"));
        let expect = blocks.get(place + 1).filter(|next| next.language == "text");
        let begun = Instant::now();
        loop {
            let done = run(script.clone()).await.unwrap();
            let shown = String::from_utf8_lossy(&done.stdout).into_owned();
            let fits = expect.is_none_or(|expect| plain(&shown) == plain(&expect.text));
            if done.status.success() && fits {
                break;
            }
            let patient = only_reads(&block.text) && begun.elapsed() < PATIENCE;
            if !patient {
                let expect = expect.map_or("", |expect| &expect.text);
                panic!(
                    "{}\nprinted:\n{shown}\nexpected:\n{expect}\nlog:\n{}",
                    block.text,
                    gateway.log()
                );
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    assert!(walked >= 12, "{walked}");
    // What was written down of secrets and codes is for their owner alone.
    for file in ["acme.key", "shop.key", "codes.csv"] {
        let rights = std::fs::metadata(folder.join(file)).unwrap().permissions();
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&rights) & 0o077,
            0,
            "{file}"
        );
    }
}

#[tokio::test]
async fn the_guide_is_walked_word_for_word() {
    walk(include_str!("../../../../docs/operate.md")).await;
}

#[tokio::test]
async fn the_chinese_guide_is_walked_word_for_word() {
    walk(include_str!("../../../../docs/operate.zh-CN.md")).await;
}
