//! Corners that the reference has no example for, and the additions, from `testdata/cases.yaml`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use support::{Examples, check};

const CASES: &str = include_str!("../testdata/cases.yaml");

macro_rules! cases {
    ($($name:ident: $id:literal,)*) => {
        $(#[test]
        fn $name() {
            check(&Examples::read(CASES), $id);
        })*

        #[test]
        fn all_cases_are_tests() {
            assert_eq!(Examples::read(CASES).ids(), [$($id),*]);
        }
    };
}

cases! {
    json_corners: "json_corners",
    json_members_nobody_asks_for: "json_members_nobody_asks_for",
    guard: "guard",
    delimiter_corners: "delimiter_corners",
    chains: "chains",
    patch: "patch",
    array: "array",
    jsonpath: "jsonpath",
    ops: "ops",
    json_path_replace_without_a_place: "json_path_replace_without_a_place",
    dates: "dates",
    types: "types",
    filters: "filters",
    metadata: "metadata",
    row_output: "row_output",
    conditions: "conditions",
    routing: "routing",
    keys: "keys",
    masking: "masking",
    headers: "headers",
    shapes: "shapes",
    expressions: "expressions",
    sampling: "sampling",
    limits: "limits",
    templates: "templates",
    import: "import",
}
