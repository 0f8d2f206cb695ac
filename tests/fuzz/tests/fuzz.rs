//! The corpus and a bounded number of mutations hold; the machinery finds what does not.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use nova_fuzz::corpus::{self, Kept};
use nova_fuzz::hunt::Hunt;
use nova_fuzz::targets::{self, Bounds, Held, Taken, Target};
use nova_fuzz::trial;

/// The seed of `make test`: always the same, for a test must not fail by chance. `make fuzz` rolls one each time.
const SEED: u64 = 1;

/// Runs `each` for every target, two at a time. The threads bear the targets' names: should one overflow its stack, the
/// process ends and tells of its thread alone.
fn of_all(each: impl Fn(&'static Target) -> Result<(), String> + Sync) {
    let (each, failures) = (&each, std::sync::Mutex::new(Vec::new()));
    for pair in targets::ALL.chunks(2) {
        std::thread::scope(|scope| {
            for target in pair {
                let failures = &failures;
                let look = move || {
                    if let Err(broken) = each(target) {
                        let broken: String = broken.chars().take(2000).collect();
                        failures.lock().expect("nobody panics with it").push(format!("{}: {broken}", target.name));
                    }
                };
                std::thread::Builder::new().name(target.name.to_owned()).spawn_scoped(scope, look).expect("a thread");
            }
        });
    }
    let failures = failures.into_inner().expect("nobody panicked");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_corpus_holds_and_has_what_is_read_and_what_is_refused() {
    of_all(|target| {
        let mut ends = BTreeSet::new();
        for Kept { name, bytes } in corpus::of(target).map_err(|error| format!("{error:#}"))? {
            let taken = trial::run(target, &bytes).end.map_err(|broken| format!("{name}: {broken}"))?;
            // Seeds of what must be read say so: a change that refuses them is one of the contract.
            if name.starts_with("read-") && !taken.is_read {
                return Err(format!("{name} is refused: {}", taken.told));
            }
            if name.starts_with("refused-") && taken.is_read {
                return Err(format!("{name} is read: {}", taken.told));
            }
            ends.insert(taken.is_read);
        }
        if ends.len() == 2 {
            Ok(())
        } else {
            Err("the corpus needs an input that is read and one that is refused".into())
        }
    });
}

#[test]
fn mutations_hold() {
    of_all(|target| {
        let kept = corpus::of(target).map_err(|error| format!("{error:#}"))?;
        let mut hunt = Hunt::new(target, &kept, SEED);
        for _ in 0..target.tries {
            let turn = hunt.turn();
            if let Err(broken) = turn.trial.end {
                return Err(format!("{broken}\n  by seed {SEED}, input {}", escaped(&turn.bytes)));
            }
        }
        Ok(())
    });
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{}", std::ascii::escape_default(*byte)).expect("a string takes all");
        text
    })
}

#[test]
fn every_folder_of_the_corpus_has_its_target() {
    let folders = std::fs::read_dir(corpus::folder()).unwrap();
    for folder in folders {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(targets::ALL.iter().any(|target| target.name == name), "corpus/{name} has no target");
    }
}

#[test]
fn a_hunt_follows_from_its_seed() {
    let target = &targets::ALL[0];
    let inputs = |seed| {
        let mut hunt = Hunt::new(target, &corpus::of(target).unwrap(), seed);
        (0..300).map(|_| hunt.turn().bytes).collect::<Vec<_>>()
    };
    assert_eq!(inputs(7), inputs(7));
    assert_ne!(inputs(7), inputs(8));
}

/// A reader with bugs: it panics at a word, allocates what it is told to, and takes a step for each pair of bytes.
fn faulty(bytes: &[u8]) -> Held {
    if bytes.starts_with(b"panic") {
        panic!("the word was said");
    }
    if let Some(length) = bytes.strip_prefix(b"big") {
        let length = length.first().map_or(0, |byte| usize::from(*byte) << 20);
        drop(std::hint::black_box(Vec::<u8>::with_capacity(length)));
    }
    if bytes.starts_with(b"slow") {
        for _ in 0..bytes.len() * bytes.len() {
            drop(std::hint::black_box(Box::new(1_u8)));
        }
    }
    Ok(Taken { is_read: true, told: format!("`{}`", bytes.len()) })
}

const FAULTY: Target = Target {
    name: "faulty",
    about: "a reader with bugs",
    run: faulty,
    words: &["panic", "big", "slow"],
    longest: 256,
    tries: 0,
    bounds: Bounds { held: (4096, 64), steps: (64, 16) },
};

#[test]
fn each_kind_of_fault_is_told() {
    let told = |bytes: &[u8]| trial::run(&FAULTY, bytes).end.expect_err("it has that bug");
    assert!(told(b"panic!").contains("the word was said"), "{}", told(b"panic!"));
    assert!(told(b"big\xff").contains("bytes at once"));
    assert!(told(&[&b"slow"[..], &[0; 200]].concat()).contains("allocations"));
    assert!(trial::run(&FAULTY, b"fine").end.is_ok());
}

#[test]
fn a_hunt_finds_the_word_that_panics() {
    let mut hunt = Hunt::new(&FAULTY, &[], SEED);
    assert!((0..2000).any(|_| hunt.turn().trial.end.is_err_and(|broken| broken.contains("the word was said"))));
}
