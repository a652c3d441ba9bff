//! Building what is deployed.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::environment;
use crate::layout::Layout;

/// Where the built programs are.
pub fn folder(layout: &Layout) -> PathBuf {
    let target = environment::cargo_target_dir().unwrap_or_else(|| "target".into());
    layout.checkout.join(target).join("debug")
}

/// Builds every program of the workspace; cargo shows its own progress.
///
/// # Errors
/// When it does not compile.
pub async fn build(layout: &Layout) -> anyhow::Result<()> {
    let status = Command::new(environment::cargo())
        .args(["build", "--workspace", "--bins"])
        .current_dir(&layout.checkout)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("cannot start cargo")?;
    ensure!(status.success(), "cargo build failed");
    Ok(())
}

/// Makes sure that these programs are built.
///
/// # Errors
/// Names those that are not.
pub fn ensure_built(layout: &Layout, programs: &[String]) -> anyhow::Result<()> {
    let folder = folder(layout);
    let missing: Vec<&str> =
        programs.iter().map(String::as_str).filter(|program| !folder.join(program).is_file()).collect();
    ensure!(
        missing.is_empty(),
        "not in {}: {} (start without --no-build, or check the package's [[bin]] entries)",
        folder.display(),
        missing.join(", ")
    );
    Ok(())
}
