//! The supervisor's ends of the command's input and output; none of them ever blocks it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

fn without_blocking(file: OwnedFd) -> io::Result<OwnedFd> {
    fcntl_setfl(&file, fcntl_getfl(&file)? | OFlags::NONBLOCK)?;
    Ok(file)
}

/// Standard input on its way to the command.
pub struct Input {
    file: Option<OwnedFd>,
    bytes: Vec<u8>,
    sent: usize,
}

impl Input {
    pub fn new(file: Option<OwnedFd>, bytes: Option<Vec<u8>>) -> io::Result<Self> {
        let mut input =
            Self { file: file.map(without_blocking).transpose()?, bytes: bytes.unwrap_or_default(), sent: 0 };
        input.drain();
        Ok(input)
    }

    /// The file to wait for, as long as there is something to write.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Writes as much as the pipe takes, and closes it at the end or when nobody reads.
    pub fn drain(&mut self) {
        let Some(file) = &self.file else { return };
        while self.sent < self.bytes.len() {
            match rustix::io::write(file, &self.bytes[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => break,
            }
        }
        self.file = None;
        self.bytes = Vec::new();
        self.sent = 0;
    }
}

/// One output of the command, kept up to its limit.
pub struct Output {
    file: Option<OwnedFd>,
    kept: Vec<u8>,
    limit: u64,
    total: u64,
}

impl Output {
    pub fn new(file: Option<OwnedFd>, limit: u64) -> io::Result<Self> {
        Ok(Self { file: file.map(without_blocking).transpose()?, kept: Vec::new(), limit, total: 0 })
    }

    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Reads what is there; stops once the limit is passed, for then the attempt is over anyway.
    pub fn fill(&mut self) {
        let mut buffer = [0; 64 << 10];
        while let Some(file) = &self.file {
            if self.total > self.limit {
                return;
            }
            match rustix::io::read(file, &mut buffer[..]) {
                Ok(0) => self.file = None,
                Ok(n) => {
                    let room = usize::try_from(self.limit.saturating_sub(self.total)).unwrap_or(usize::MAX);
                    self.kept.extend_from_slice(&buffer[..n.min(room)]);
                    self.total += n as u64;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.file = None,
            }
        }
    }

    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Bytes read, the ones not kept included.
    pub fn total(&self) -> u64 {
        self.total
    }
}
