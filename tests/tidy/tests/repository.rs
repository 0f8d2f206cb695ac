//! Runs every law over this checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

use nova_tidy::laws::LAWS;
use nova_tidy::laws::generated::{GENERATED, stale};
use nova_tidy::{Finding, Tree};

fn root() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.ancestors().nth(2).expect("tests/tidy lies two folders below the root").to_owned()
}

fn report(law: &str, findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("  {finding}  [{law}]\n")).collect()
}

#[test]
fn the_repository_keeps_its_laws() {
    let tree = Tree::read(&root()).expect("a readable checkout");
    let broken: String = LAWS.iter().map(|(name, law)| report(name, &law(&tree))).collect();
    assert!(broken.is_empty(), "broken laws:\n{broken}");
}

#[test]
fn generated_files_are_fresh() {
    let tree = Tree::read(&root()).expect("a readable checkout");
    for generated in GENERATED {
        let (program, arguments) = generated.command.split_first().expect("a command names its program");
        let made = Command::new(program).args(arguments).current_dir(root()).output().expect("a generator that runs");
        assert!(made.status.success(), "{:?} failed: {}", generated.command, String::from_utf8_lossy(&made.stderr));
        let committed = tree.file(generated.file).map_or("", |file| file.text.as_str());
        let finding = stale(*generated, committed, &String::from_utf8_lossy(&made.stdout));
        assert!(finding.is_none(), "{}", report("generated files", &Vec::from_iter(finding)));
    }
}
