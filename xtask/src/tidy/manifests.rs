//! Every crate takes the lints of the workspace and is not published.

use super::Problem;
use super::files::TextFile;

pub(super) fn check(files: &[TextFile]) -> Vec<Problem> {
    let manifests = files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml") && !file.path.starts_with("fuzz/"));
    let mut problems = Vec::new();
    for file in manifests {
        let wants =
            ["[lints]\nworkspace = true", "publish.workspace = true", "version.workspace = true"];
        for want in wants.iter().filter(|want| !file.text.contains(**want)) {
            problems.push(Problem::new(
                &file.path,
                format!("{:?} is missing", want.replace('\n', " ")),
            ));
        }
    }
    problems
}
