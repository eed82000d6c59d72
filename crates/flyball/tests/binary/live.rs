//! A program that runs, read line by line.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::eventually;

/// A program under watch. It is killed when it is dropped.
pub struct Live {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    stderr: Option<JoinHandle<String>>,
    started: Instant,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, if it had one.
    pub code: Option<i32>,
    /// What killed it, if something did.
    pub signal: Option<i32>,
    /// All of it.
    pub stdout: String,
    /// All of it.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

/// Runs a program to its end, which comes within `limit` or the test fails.
pub fn finish(command: &mut Command, limit: Duration) -> Ended {
    Live::start(command).end(limit)
}

impl Live {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the program starts");
        let (tell, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        std::thread::spawn(move || {
            // Whoever dropped the receiver wants no more lines.
            stdout.lines().map_while(Result::ok).take_while(|line| tell.send(line.clone()).is_ok()).for_each(drop);
        });
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let stderr = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self { child, lines, seen: Vec::new(), stderr: Some(stderr), started: Instant::now() }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of stdout that `wanted` likes; `None` if stdout ended or `limit` went by.
    pub fn line(&mut self, limit: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let deadline = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return Some(line);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// The next line that contains `text`, or the test fails and shows what there was.
    pub fn says(&mut self, text: &str) -> String {
        let line = self.line(super::LONG, |line| line.contains(text));
        line.unwrap_or_else(|| panic!("it did not say '{text}', but:\n{}", self.seen.join("\n")))
    }

    /// Kills it as the kernel would: it gets no chance to do anything more. Says whether it was
    /// still alive.
    pub fn kill9(&mut self) -> bool {
        let alive = self.child.try_wait().expect("a child can be asked").is_none();
        self.child.kill().expect("a child can be killed");
        let status = self.child.wait().expect("a child can be waited for");
        alive && status.signal() == Some(9)
    }

    /// Sends it a signal, such as `INT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Its end, which comes within `limit` or the test fails.
    pub fn end(mut self, limit: Duration) -> Ended {
        let status = eventually(limit, || self.child.try_wait().expect("a child can be asked"));
        let took = self.started.elapsed();
        if status.is_none() {
            let _ = self.child.kill();
        }
        self.line(limit, |_| false);
        let stderr = self.stderr.take().expect("it is taken once").join().expect("the reader ends");
        let stdout = self.seen.iter().map(|line| format!("{line}\n")).collect();
        let Some(status) = status else {
            panic!("it did not end within {limit:?}; stdout:\n{stdout}\nstderr:\n{stderr}");
        };
        Ended { code: status.code(), signal: status.signal(), stdout, stderr, took }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Fails the test, with all that was said, unless the program ended with this exit code and
    /// never panicked.
    pub fn with_code(self, code: i32) -> Self {
        let said = format!("stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert_eq!((self.code, self.signal), (Some(code), None), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        self
    }
}
