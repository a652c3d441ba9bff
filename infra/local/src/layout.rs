//! Where things are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The checkout and the state folder, both absolute.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The folder of `template.yaml`.
    pub checkout: PathBuf,
    /// Data, logs, and what is written for others.
    pub state: PathBuf,
}

impl Layout {
    /// Finds the checkout from the current folder upwards. A relative `state` is one from the current folder;
    /// `default` is inside the checkout.
    ///
    /// # Errors
    /// Outside a checkout, and when the state folder cannot be made.
    pub fn find(state: Option<&Path>, default: &str) -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("the current folder is gone")?;
        let checkout = here
            .ancestors()
            .find(|folder| folder.join("template.yaml").is_file() && folder.join("Cargo.toml").is_file())
            .with_context(|| {
                format!("{} is not inside a checkout (no template.yaml above it)", here.display())
            })?
            .to_owned();
        let state = match state {
            Some(state) => here.join(state),
            None => checkout.join(default),
        };
        fs::create_dir_all(&state).with_context(|| format!("cannot make {}", state.display()))?;
        let state = state.canonicalize().with_context(|| format!("cannot resolve {}", state.display()))?;
        let layout = Self { checkout, state };
        fs::create_dir_all(layout.logs()).context("cannot make the folder of the logs")?;
        Ok(layout)
    }

    /// What is fetched once and does not depend on the state.
    pub fn tools(&self) -> PathBuf {
        self.checkout.join(".local/tools")
    }

    /// The folder of the logs.
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The log of one process.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// Passwords and keys, made at the first start and kept.
    pub fn credentials(&self) -> PathBuf {
        self.state.join("credentials.json")
    }

    /// What runs, for `down` and for the next start.
    pub fn record(&self) -> PathBuf {
        self.state.join("processes.json")
    }

    /// What tests and scripts read.
    pub fn stack(&self) -> PathBuf {
        self.state.join("stack.json")
    }

    /// The scratch folder of the AWS emulator, made anew at each start.
    pub fn emulator(&self) -> PathBuf {
        self.state.join("emulator")
    }

    /// Puts the logs of the previous run aside.
    ///
    /// # Errors
    /// When a file cannot be renamed.
    pub fn rotate_logs(&self) -> anyhow::Result<()> {
        let previous = self.logs().join("previous");
        fs::create_dir_all(&previous)?;
        for entry in fs::read_dir(self.logs())? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::rename(entry.path(), previous.join(entry.file_name()))?;
            }
        }
        Ok(())
    }
}

/// Writes a file that only its owner may read, at once or not at all.
///
/// # Errors
/// When the folder is not writable.
pub fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let temporary = path.with_extension("new");
    if temporary.exists() {
        fs::remove_file(&temporary)?;
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(|| format!("cannot write {}", temporary.display()))?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path).with_context(|| format!("cannot write {}", path.display()))
}
