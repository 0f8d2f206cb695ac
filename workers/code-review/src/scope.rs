//! Tells test code from the rest by the path of its file.

/// Folders whose files exist to test, measure or show other code.
const FOLDERS: [&str; 14] = [
    "tests",
    "test",
    "testdata",
    "testkit",
    "testing",
    "testutil",
    "testutils",
    "__tests__",
    "__mocks__",
    "spec",
    "benches",
    "examples",
    "fixtures",
    "e2e",
];
/// What file names of tests begin with, up to the extension.
const PREFIXES: [&str; 2] = ["test_", "conftest"];
/// What file names of tests end in, before the extension.
const SUFFIXES: [&str; 6] = ["_test", "_tests", ".test", ".tests", ".spec", "-test"];
/// Whole file names, without the extension.
const NAMES: [&str; 3] = ["tests", "test", "testing"];

/// Returns whether a path looks like test code.
pub(crate) fn is_test_path(path: &str) -> bool {
    let mut parts = path.split(['/', '\\']).rev();
    let name = parts.next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    NAMES.contains(&stem)
        || PREFIXES.iter().any(|prefix| stem.starts_with(prefix))
        || SUFFIXES.iter().any(|suffix| stem.ends_with(suffix))
        || parts.any(|folder| FOLDERS.contains(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_known_by_folder_or_name() {
        for path in [
            "tests/e2e/src/lib.rs",
            "src/engine/tests.rs",
            "pkg/server_test.go",
            "test_app.py",
            "app/conftest.py",
            "web/App.test.tsx",
            "web/app.spec.js",
            "benches\\queue.rs",
        ] {
            assert!(is_test_path(path), "{path}");
        }
        for path in ["src/attest.rs", "src/latest.py", "contest/main.go", "src/test_case/mod.ts", "src/lib.rs", ""] {
            assert!(!is_test_path(path), "{path}");
        }
    }
}
