//! That the bench works, in seconds; its figures mean nothing then.

use std::process::Command;

#[test]
#[ignore = "needs every function, and `local`, built beside the bench"]
fn a_quick_run_measures_everything() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).arg("--quick").output().expect("it starts");
    let (report, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{report}\n{errors}");
    for section in ["## Cold start", "## Webhook", "## Inbound consumer", "## Import of contacts"] {
        assert!(report.contains(section), "{report}");
    }
}
