//! libFuzzer over the target that `FUZZ_TARGET` names. It has a `main` of its own, with flags of its own: see
//! infra/fuzz.sh, which compiles this with the instructions by which libFuzzer sees how far an input got.

#![no_main]

use std::cell::RefCell;
use std::sync::LazyLock;

use fuzz::Target;
use fuzz::mutate::{Random, mutate};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    fuzz::find(&name).unwrap_or_else(|| panic!("there is no target {name}"))
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));

/// The latest inputs, of which parts are taken for others.
const KEPT: usize = 64;

thread_local! {
    static LATEST: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

// libFuzzer's own changes, and by turns ours, which keep JSON what it is.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut random = Random::new(seed.into());
    if random.below(2) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    LATEST.with_borrow_mut(|latest| {
        let other = if latest.is_empty() { Vec::new() } else { latest[random.below(latest.len())].clone() };
        let changed = mutate(TARGET.shape, &data[..size], &other, &mut random);
        if latest.len() < KEPT {
            latest.push(data[..size].to_vec());
        } else {
            latest[random.below(KEPT)] = data[..size].to_vec();
        }
        let length = changed.len().min(max_size);
        data[..length].copy_from_slice(&changed[..length]);
        length
    })
});
