//! Which skills the fleet has: the built-in ones and the user's own file.

use std::path::{Path, PathBuf};

use nova_provision::{Catalogue, SkillFile};

use crate::connect::environment;
use crate::failure::Failure;

/// Where the user's own skills are.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SkillsArg {
    /// The file of your own skills [env: NOVA_SKILLS] [default: nova/skills.toml in your configuration folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) skills: Option<PathBuf>,
}

impl SkillsArg {
    /// The file, whether it exists or not; and whether it was named expressly.
    fn path(&self) -> Result<(PathBuf, bool), Failure> {
        if let Some(path) = self.skills.clone().or_else(|| environment("NOVA_SKILLS").map(PathBuf::from)) {
            return Ok((path, true));
        }
        let config = environment("XDG_CONFIG_HOME").map(PathBuf::from);
        let config = config.or_else(|| Some(Path::new(&environment("HOME")?).join(".config")));
        let config = config.ok_or_else(|| {
            Failure::usage("there is no place for your own skills: neither HOME nor XDG_CONFIG_HOME is set")
                .help("name the file: --skills FILE, or NOVA_SKILLS")
        })?;
        Ok((config.join("nova").join("skills.toml"), false))
    }

    /// The user's file, to be changed; empty when there is none yet.
    pub(crate) fn open(&self) -> Result<(SkillFile, PathBuf), Failure> {
        let (path, _) = self.path()?;
        Ok((SkillFile::open_or_new(&path)?, path))
    }

    /// The user's own skills; a file that was named must exist.
    pub(crate) fn own(&self) -> Result<Catalogue, Failure> {
        let (path, is_named) = match self.path() {
            Ok(found) => found,
            Err(_) if self.skills.is_none() => return Ok(Catalogue::default()),
            Err(failure) => return Err(failure),
        };
        let file = if is_named { SkillFile::open(path)? } else { SkillFile::open_or_new(path)? };
        Ok(file.catalogue().clone())
    }

    /// The built-in skills with the user's own over them.
    pub(crate) fn all(&self) -> Result<Catalogue, Failure> {
        Ok(Catalogue::built_in().with(self.own()?))
    }
}
