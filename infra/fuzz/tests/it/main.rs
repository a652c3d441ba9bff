//! The targets on the ordinary toolchain: their seeds, and some thousand changes of them, the same every time.

use fuzz::mutate::{Random, mutate};
use fuzz::{Target, find, seeds};

/// Changes of seeds, of each target.
const CHANGES: usize = 1_500;

/// The most bytes of a seed that is changed: the larger ones have been read by then, and cost the time of many.
const SMALL: usize = 8 * 1024;

fn replay(name: &str) {
    let target = find(name).expect("it is a target");
    let seeds = seeds::of(target);
    assert!(!seeds.is_empty(), "{name} begins with nothing");
    for (seed, bytes) in &seeds {
        hold(target, bytes, || seed.clone());
    }
    let small: Vec<_> = seeds.iter().filter(|(_, bytes)| bytes.len() <= SMALL).collect();
    let mut random = Random::new(0x6d69_6120_6675_7a7a);
    for number in 0..CHANGES {
        let (seed, bytes) = small[number % small.len()];
        let (_, other) = small[random.below(small.len())];
        let changed = mutate(target.shape, bytes, other, &mut random);
        hold(target, &changed, || format!("change {number}, of {seed}: {}", changed.escape_ascii()));
    }
}

/// Says of which input a panic was.
fn hold(target: &Target, bytes: &[u8], what: impl Fn() -> String) {
    let read = std::panic::catch_unwind(|| (target.run)(bytes));
    assert!(read.is_ok(), "{}: {}", target.name, what());
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            let names: Vec<_> = fuzz::TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

replays! {
    meta meta_signature twilio twilio_signature evolution evolution_token uazapi id_token jwks csv media phone segment texts
}
