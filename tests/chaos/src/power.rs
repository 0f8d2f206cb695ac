//! A disk whose power can be cut and that can be filled: a file system in a file.
//!
//! Its power is cut by a shutdown, so that what was not synced is gone.
//! The shutdown is the file system's own (`EXT4_IOC_SHUTDOWN` with `NOLOGFLUSH`, of linux/fs/ext4/ext4.h): no write after it
//! reaches the disk, its journal is not flushed, and what was only in memory is lost when it is unmounted. It takes root and
//! loop devices.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// `EXT4_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)`.
const SHUTDOWN: rustix::ioctl::Opcode = 0x8004_587D;
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: the journal is lost, too.
const WITHOUT_FLUSH: u32 = 2;
/// The size of the file; only what is written takes space.
const SIZE: &str = "2G";

/// The file that takes up what is free.
const BALLAST: &str = "ballast";
/// The steps in which it grows, in bytes: each half of the one before, down to a block.
const LARGEST_STEP: u64 = 1 << 30;
const BLOCK: u64 = 4096;

/// The disk; unmounted and deleted when dropped.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
    is_mounted: bool,
}

impl Disk {
    /// Makes a disk below `dir` and mounts it.
    ///
    /// # Errors
    /// When that is not possible here: no root, no loop device, no `mkfs.ext4`.
    pub fn make(dir: &Path, name: &str) -> anyhow::Result<Self> {
        let (image, mount) = (dir.join(format!("{name}.img")), dir.join(name));
        std::fs::create_dir_all(&mount)?;
        call("truncate", &["-s", SIZE, path(&image)?])?;
        call("mkfs.ext4", &["-q", "-F", path(&image)?])?;
        let mut disk = Self { image, mount, is_mounted: false };
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Cuts the power: from now on nothing reaches the disk. Whoever uses it must be ended before [`restore`](Self::restore).
    ///
    /// # Errors
    /// When the file system does not take the order.
    pub fn cut(&self) -> anyhow::Result<()> {
        let root = File::open(&self.mount).context("could not open the disk")?;
        // SAFETY: the opcode reads one u32 through the pointer, which is what `Setter` passes.
        let order = unsafe { rustix::ioctl::Setter::<SHUTDOWN, u32>::new(WITHOUT_FLUSH) };
        // SAFETY: the shutdown touches no memory of this process.
        unsafe { rustix::ioctl::ioctl(&root, order) }.context("could not shut the file system down")
    }

    /// Unmounts and mounts it again, with what had reached it.
    ///
    /// # Errors
    /// When it is still in use or damaged.
    pub fn restore(&mut self) -> anyhow::Result<()> {
        self.unmount()?;
        self.mount()
    }

    /// Fills the disk to the last block, those kept for root among them.
    ///
    /// # Errors
    /// When the file that takes up the space cannot be made.
    pub fn fill(&self) -> anyhow::Result<()> {
        let ballast = File::create(self.mount.join(BALLAST)).context("could not make the ballast")?;
        let (mut held, mut step) = (0, LARGEST_STEP);
        while step >= BLOCK {
            match rustix::fs::fallocate(&ballast, rustix::fs::FallocateFlags::empty(), held, step) {
                Ok(()) => held += step,
                Err(rustix::io::Errno::NOSPC) => step /= 2,
                Err(why) => return Err(why).context("could not fill the disk"),
            }
        }
        Ok(())
    }

    /// Frees what [`fill`](Self::fill) took.
    ///
    /// # Errors
    /// When the file is not there.
    pub fn free(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.mount.join(BALLAST)).context("could not free the disk")
    }

    fn mount(&mut self) -> anyhow::Result<()> {
        call("mount", &["-o", "loop", path(&self.image)?, path(&self.mount)?])?;
        self.is_mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> anyhow::Result<()> {
        call("umount", &[path(&self.mount)?])?;
        self.is_mounted = false;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted && self.unmount().is_err() {
            // Somebody still holds it; it goes with the last one.
            let _ = path(&self.mount).and_then(|mount| call("umount", &["-l", mount]));
        }
        let _ = std::fs::remove_file(&self.image);
    }
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is no text")
}

fn call(program: &str, args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program).args(args).output().with_context(|| format!("could not run {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {} failed: {}", args.join(" "), said.trim());
    Ok(())
}

/// Why power cannot be cut here, if it cannot.
#[must_use]
pub fn is_impossible() -> Option<String> {
    let dir = match tempfile::tempdir() {
        Ok(dir) => dir,
        Err(error) => return Some(error.to_string()),
    };
    let tried = Disk::make(dir.path(), "trial").and_then(|mut disk| {
        std::fs::write(disk.path().join("lost"), "not synced")?;
        disk.cut()?;
        disk.restore()?;
        ensure!(!disk.path().join("lost").exists(), "what was not synced survived the cut");
        Ok(())
    });
    tried.err().map(|why| format!("{why:#}"))
}
