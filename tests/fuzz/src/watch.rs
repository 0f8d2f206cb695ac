//! Watches over a process that hunts: one that dies or hangs has an input in hands.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::Context as _;
use nova_fuzz::targets::Target;

use crate::failed;

/// An input that is in hands for longer hangs: a hundred times what the slowest may take.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// The file in which a process that hunts leaves what it has in hands.
pub struct InHands(File);

impl InHands {
    /// Makes the file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        File::create(path).map(Self).with_context(|| format!("could not make {}", path.display()))
    }

    /// Takes an input into hands: its length, then itself, in place of the one before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn hold(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut held = (bytes.len() as u64).to_le_bytes().to_vec();
        held.extend_from_slice(bytes);
        self.0.write_all_at(&held, 0)
    }

    /// What was in hands.
    fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
        let held = std::fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
        let (length, bytes) = held.split_first_chunk::<8>().context("nothing was ever in hands")?;
        let length = usize::try_from(u64::from_le_bytes(*length))?;
        bytes.get(..length).map(<[u8]>::to_vec).context("what is in hands is cut off")
    }
}

/// Hunts for a target in a process of its own; says whether all went well.
///
/// # Errors
/// When the process cannot be started, or what it had in hands not be kept.
pub fn over(target: &Target, seed: u64, time: Duration) -> anyhow::Result<bool> {
    let folder = tempfile::tempdir().context("could not make a folder for what is in hands")?;
    let hands = folder.path().join("hands");
    let own = std::env::current_exe().context("the program does not know where it is")?;
    let mut child = Command::new(own)
        .args(["--target", target.name, "--seed", &seed.to_string(), "--secs", &time.as_secs().max(1).to_string()])
        .arg("--hands")
        .arg(&hands)
        .spawn()
        .context("could not start the process that hunts")?;
    let ended = wait(&mut child, &hands)?;
    let broken = match ended {
        Some(status) if status.success() => return Ok(true),
        // It has told of it itself.
        Some(status) if status.code().is_some() => return Ok(false),
        Some(status) => format!("it ends its process: {status}"),
        None => format!("it takes longer than {HANGS_AFTER:?}"),
    };
    failed(target, &InHands::read(&hands)?, &broken)?;
    Ok(false)
}

/// Waits for the end of the process; `None` when it hung and was ended.
fn wait(child: &mut Child, hands: &Path) -> anyhow::Result<Option<std::process::ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let held = std::fs::metadata(hands).and_then(|file| file.modified()).ok();
        if held.and_then(|held| held.elapsed().ok()).is_some_and(|since| since > HANGS_AFTER) {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "this process does nothing but look at another from time to time")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}
