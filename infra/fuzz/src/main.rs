//! The process `fuzz`: names the targets, writes where they begin, and runs one over files, as the engine does.
//!
//! ```text
//! fuzz targets                    their names, one a line
//! fuzz seeds <target> <folder>    writes its seeds, a file each
//! fuzz run <target> <file>…       runs it over files: a crash that the engine found, on the ordinary toolchain
//! ```

use std::fs;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["targets"] => fuzz::TARGETS.iter().for_each(|target| println!("{}", target.name)),
        ["seeds", name, folder] => seeds(named(name), Path::new(folder)),
        ["run", name, files @ ..] if !files.is_empty() => run(named(name), files),
        _ => {
            eprintln!("usage: fuzz targets | fuzz seeds <target> <folder> | fuzz run <target> <file>…");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn named(name: &str) -> &'static fuzz::Target {
    fuzz::find(name).unwrap_or_else(|| panic!("there is no target {name}: see `fuzz targets`"))
}

fn seeds(target: &fuzz::Target, folder: &Path) {
    fs::create_dir_all(folder).expect("the folder can be made");
    for (name, bytes) in fuzz::seeds::of(target) {
        fs::write(folder.join(name), bytes).expect("a seed can be written");
    }
}

fn run(target: &fuzz::Target, files: &[&str]) {
    for file in files {
        let bytes = fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let began = std::time::Instant::now();
        (target.run)(&bytes);
        println!("{file}: {} bytes, nothing found, {} ms", bytes.len(), began.elapsed().as_millis());
    }
}
