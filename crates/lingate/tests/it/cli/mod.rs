//! The command line of the control plane, as people and scripts use it: on a machine's own database, and against a gateway that runs.

mod export_apply;
mod in_force;
mod jobs;
mod login;
mod verbs;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::world::program;

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Somebody's machine: a folder to work in, with their own configuration folder in it. Removed at the end.
pub(crate) struct Machine {
    pub(crate) folder: PathBuf,
    variables: Vec<(String, String)>,
}

impl Machine {
    /// With this `lingate.yml`.
    pub(crate) fn new(configuration: &str) -> Self {
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("lingate-machine-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("lingate.yml"), configuration).unwrap();
        let variables = vec![
            ("HOME".to_owned(), folder.display().to_string()),
            ("USER".to_owned(), "ann".to_owned()),
        ];
        Self { folder, variables }
    }

    /// The same machine, with this in its environment.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Runs a command; its words are separated by spaces, and quotes hold some together.
    pub(crate) fn run(&self, line: &str) -> Done {
        self.run_with(line, "")
    }

    /// With this on its standard input.
    pub(crate) fn run_with(&self, line: &str, input: &str) -> Done {
        let mut child = self.command(line).stdin(Stdio::piped()).spawn().unwrap();
        // A command that wants no input has closed its end already.
        let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let done = Done {
            line: line.to_owned(),
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!done.err.contains("panicked"), "{done:?}");
        assert!(
            !format!("{}{}", done.out, done.err).contains("canary"),
            "a secret: {done:?}"
        );
        assert!(!done.out.contains('\u{1b}'), "colours in a pipe: {done:?}");
        done
    }

    fn command(&self, line: &str) -> Command {
        let words = line.split('\'').enumerate().flat_map(|(place, piece)| {
            if place % 2 == 1 {
                vec![piece]
            } else {
                piece.split_whitespace().collect()
            }
        });
        let mut command = Command::new(program());
        command
            .args(words)
            .current_dir(&self.folder)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Interrupts a command as soon as it has told this; its exit code, and all that it told.
    pub(crate) fn interrupt(&self, line: &str, when: &str) -> (Option<i32>, String) {
        let mut child = self.command(line).spawn().unwrap();
        let mut told = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        while !told.contains(when) {
            assert_ne!(stderr.read_line(&mut told).unwrap(), 0, "{told}");
        }
        let id = child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status();
        assert!(sent.unwrap().success());
        stderr.read_to_string(&mut told).unwrap();
        (child.wait().unwrap().code(), told)
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Whatever remains in the folder of temporary files hurts nobody.
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) line: String,
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// It ended with this code, and these words stand in what it printed and told.
    #[track_caller]
    pub(crate) fn is(&self, code: i32, out: &str, err: &str) -> &Self {
        assert_eq!(self.code, code, "lingate {}: {self:?}", self.line);
        assert!(self.out.contains(out), "{out:?} is not printed: {self:?}");
        assert!(self.err.contains(err), "{err:?} is not told: {self:?}");
        self
    }
}
