//! What `infra/docs/security.md` names exists: every file, and every test.

use std::path::Path;

use testkit::stack::checkout;

use super::queries::rust_files;

/// What stands between backticks.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_test(name: &str) -> bool {
    name.matches('_').count() >= 2
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_file(name: &str) -> bool {
    let known = ["rs", "sql", "sh", "py", "toml", "yaml"];
    !name.contains(' ')
        && Path::new(name).extension().is_some_and(|is| known.iter().any(|known| is == *known))
}

#[test]
fn everything_that_the_threat_model_names_is_there() {
    let root = checkout();
    let text = std::fs::read_to_string(root.join("infra/docs/security.md")).unwrap();
    let mut sources = Vec::new();
    for folder in ["functions", "infra", "shared", "tests"] {
        rust_files(&root.join(folder), &mut sources);
    }
    let sources: Vec<_> = sources.into_iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let tests: Vec<_> = named(&text).filter(|name| is_test(name)).collect();
    for test in &tests {
        let function = format!("fn {test}(");
        assert!(sources.iter().any(|source| source.contains(&function)), "there is no test {test}");
    }
    let files: Vec<_> = named(&text).filter(|name| is_file(name)).collect();
    for file in &files {
        assert!(root.join(file).is_file(), "there is no {file}");
    }
    assert!(tests.len() >= 40 && files.len() >= 15, "{} tests, {} files", tests.len(), files.len());
}
