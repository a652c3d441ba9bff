//! One line a step, with how long it took.

use std::fmt::Display;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Instant;

/// Does `work` and says on standard error what came of it: its own words when it succeeds.
///
/// # Errors
/// Those of `work`, named by the step.
pub async fn step<T>(
    name: &str,
    work: impl Future<Output = anyhow::Result<(T, String)>>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    let result = work.await;
    let seconds = start.elapsed().as_secs_f64();
    match result {
        Ok((value, words)) => {
            line("✓", name, &words, seconds);
            Ok(value)
        }
        Err(error) => {
            line("✗", name, &"failed", seconds);
            Err(error.context(name.to_owned()))
        }
    }
}

fn line(mark: &str, name: &str, words: &dyn Display, seconds: f64) {
    eprintln!("  {mark} {name:<12} {words}  ({seconds:.1} s)");
}

/// The last `count` lines of a log with its path, to be shown with an error.
pub fn tail(log: &Path, count: usize) -> String {
    const WINDOW: u64 = 16 * 1024;
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(WINDOW)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(count)..];
    if last.is_empty() {
        return format!("its log {} is empty", log.display());
    }
    format!("the end of {}:\n    {}", log.display(), last.join("\n    "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_has_the_last_lines_and_the_path() {
        let path = std::env::temp_dir().join(format!("tail-{}.log", std::process::id()));
        std::fs::write(&path, "one\ntwo\nthree\n").expect("writable");
        let text = tail(&path, 2);
        std::fs::remove_file(&path).expect("removable");
        assert!(text.contains(&path.display().to_string()));
        assert!(!text.contains("one") && text.contains("two") && text.contains("three"), "{text}");
        assert!(tail(&path, 2).contains("is empty"));
    }
}
