//! The process `sandbox`: see the library for what it stands in for.

use anyhow::Context as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "sandbox=info".into()),
        )
        .init();
    let running = sandbox::start(sandbox::Config::from_env()?).await?;
    tracing::info!(address = %running.address(), "the sandbox listens");
    stop_signal().await?;
    running.stop();
    Ok(())
}

async fn stop_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        pressed = tokio::signal::ctrl_c() => pressed.context("listen for Ctrl-C"),
    }
}
