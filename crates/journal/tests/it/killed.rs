//! A process is killed while eight threads append: what it had been told was written is there.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use crate::{Folder, SMALL, draft, last, open, read};

/// Appends until it is killed; tells each record that is appended.
#[test]
#[ignore = "run by another test, which kills it"]
fn appends_until_it_is_killed() {
    let Ok(folder) = std::env::var("KILLED") else {
        return;
    };
    let opened = open(
        folder.as_ref(),
        lingate_journal::Settings {
            limit: 1 << 30,
            ..SMALL
        },
    );
    let journal = &opened.journal;
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            scope.spawn(move || {
                for number in (thread << 32).. {
                    journal.append(&draft(number)).unwrap();
                    journal.append(&last(number)).unwrap();
                    // One write, past the capture of the test's output, so that lines of threads do not mix.
                    let _ = std::io::stderr().write_all(format!("appended {number}\n").as_bytes());
                }
            });
        }
    });
}

#[test]
fn what_was_appended_before_a_kill_is_there() {
    for round in 0..5 {
        let folder = Folder::new();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "killed::appends_until_it_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env("KILLED", &folder.0)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BTreeSet::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let number = |line: &str| {
            line.strip_prefix("appended ")
                .and_then(|number| number.parse::<u64>().ok())
        };
        while told.len() < 200 + round * 321 {
            let line = lines.next().unwrap().unwrap();
            told.extend(number(&line));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        told.extend(lines.map_while(Result::ok).filter_map(|line| number(&line)));

        let mut opened = open(&folder.0, SMALL);
        assert!(opened.recovery.damaged.is_empty());
        assert!(
            opened.recovery.lost <= 8,
            "one draft of each thread: {:?}",
            opened.recovery
        );
        let found = read(&mut opened.reader);
        let all: BTreeSet<u64> = found.iter().map(|(number, _)| *number).collect();
        assert_eq!(all.len(), found.len(), "each once");
        let complete: BTreeSet<u64> = found
            .into_iter()
            .filter(|(_, outcome)| outcome == "complete")
            .map(|(number, _)| number)
            .collect();
        assert_eq!(
            told.difference(&complete).collect::<Vec<_>>(),
            Vec::<&u64>::new()
        );
    }
}
