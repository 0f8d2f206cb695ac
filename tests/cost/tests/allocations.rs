//! No path allocates more than its committed figure says, nor less without the figure being lowered.

use std::convert::Infallible;

use nova_cost::{figures, marginal, paths};

const ABOUT: &str =
    "Allocations of one repetition, counted by tests/allocations.rs; NOVA_COST_WRITE=1 writes what it counts.";

#[test]
fn no_path_allocates_more_than_it_did() {
    let mut counted = figures::Figures::new();
    for path in paths::ALL {
        // What is made once (tables, pools) is made before.
        (path.repeat)(path.times);
        let count = |times| Ok::<_, Infallible>(allocation_counter::measure(|| (path.repeat)(times)).count_total);
        let Ok(one_more) = marginal(path.times, count);
        counted.insert(path.name.to_owned(), one_more);
    }
    let file = figures::file("allocations");
    if std::env::var_os("NOVA_COST_WRITE").is_some() {
        return figures::write(&file, ABOUT, &counted).expect("the figures can be written");
    }
    let committed = figures::read(&file).expect("figures are committed");
    let complaints = figures::complaints(&committed, &counted);
    let help = "if it is meant, write the figures anew: NOVA_COST_WRITE=1 cargo test -p nova-cost --test allocations";
    assert!(complaints.is_empty(), "allocations have changed; {help}\n  {}", complaints.join("\n  "));
}
