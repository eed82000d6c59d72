//! Programs of the workspace as child processes.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A child process that is killed when the test ends, however it ends.
pub struct Child(std::process::Child);

/// A program that cargo built along with the tests.
pub fn built(program: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a file");
    let target = test.parent().and_then(std::path::Path::parent).expect("tests lie in target/PROFILE/deps");
    let path = target.join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "build it first: cargo build --workspace --bins");
    path
}

/// A port where nobody listens, for a server that is about to.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}

impl Child {
    /// Starts a server and waits until it takes connections at `port`.
    pub async fn listening(command: &mut Command, port: u16) -> Self {
        let started = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = Self(started.expect("the server starts"));
        super::eventually("the server listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()).await;
        child
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
