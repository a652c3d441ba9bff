//! Where a search begins. Fixtures are read where they lie: what is added there is searched from, too.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Target;

/// A beginning, and what it is called.
pub type Seed = (String, Vec<u8>);

/// Everything that a target begins with: its seeds, and the inputs that once made it panic (`regressions/<target>/`).
///
/// # Panics
/// When a fixture cannot be read.
pub fn of(target: &Target) -> Vec<Seed> {
    let mut all = (target.seeds)();
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(target.name);
    if found.is_dir() {
        all.extend(files(&found).into_iter().map(|file| (name(&file), read(&file))));
    }
    all
}

/// The fixtures of a folder of the repository, as they came: their `body` where they say more, else all of them.
pub(crate) fn fixtures(folder: &str) -> Vec<Seed> {
    files(&root().join(folder))
        .iter()
        .filter(|file| is_fixture(file))
        .map(|file| (name(file), read(file)))
        .collect()
}

/// The forms of a folder of fixtures.
pub(crate) fn forms(folder: &str) -> Vec<Seed> {
    let of_file = |file: &PathBuf| {
        let fixture = json(file);
        let fields = fixture["fields"].as_object()?;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            form.append_pair(name, value.as_str().unwrap_or_default());
        }
        Some((name(file), form.finish().into_bytes()))
    };
    files(&root().join(folder)).iter().filter_map(of_file).collect()
}

/// A member of each vector of a file of signatures.
pub(crate) fn signed(file: &str, member: &str) -> Vec<Seed> {
    let vectors = json(&root().join(file));
    let vectors = vectors["vectors"].as_array().expect("there are vectors");
    let text = |vector: &Value, member: &str| vector[member].as_str().unwrap_or_default().to_owned();
    vectors.iter().map(|vector| (text(vector, "name"), text(vector, member).into_bytes())).collect()
}

/// Each seed behind four bytes that say what of it is changed, in several ways. (`targets::tampering`)
pub(crate) fn tampered(seeds: Vec<Seed>) -> Vec<Seed> {
    let ways = [[0, 0, 0, 1], [1, 0, 9, 32], [18, 0, 3, 7], [35, 0, 60, 128]];
    let each = |(number, (name, bytes)): (usize, Seed)| (name, [&ways[number % 4][..], &bytes].concat());
    seeds.into_iter().enumerate().map(each).collect()
}

/// JSON of a file of the repository.
pub(crate) fn json_of(file: &str) -> Value {
    json(&root().join(file))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Notes on fixtures and vectors are none.
fn is_fixture(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "json")
        && !["_meta.json", "signatures.json"].iter().any(|other| file.ends_with(other))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    files.sort();
    files
}

fn read(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&read(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
