//! The same question, typed by a person into the page that is a customer's phone.

use std::path::Path;
use std::process::Command;

use testkit::stack::checkout;
use testkit::{Stack, new_phone};

/// Drives the browser; the page's address and the rest come by the environment.
const PROGRAM: &str = "tests/it/deployed/phone.mjs";

#[test]
fn a_person_sees_the_answer_on_the_phone_page() {
    let stack = Stack::load();
    let root = checkout();
    let modules = root.join("target/phone");
    std::fs::create_dir_all(&modules).unwrap();
    let browser = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
        .into_iter()
        .find(|path| Path::new(path).is_file())
        .expect("no Chromium: install it (Debian: `apt-get install chromium`)");
    if !modules.join("node_modules/playwright-core").is_dir() {
        let arguments = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
        let status = Command::new("npm").args(arguments).arg(&modules).arg("playwright-core@1.65.1").status();
        assert!(
            status.expect("no npm: install Node 20 or newer").success(),
            "npm could not install playwright-core"
        );
    }
    let line = &stack.demo.connections.whatsapp_cloud.phone_number_id;
    let page = format!(
        "{}/?phone=%2B{}&name=Ana&phone_number_id={line}",
        stack.sandbox_url.trim_end_matches('/'),
        new_phone()
    );
    // The profile is the run's own: a browser that still runs elsewhere keeps its lock.
    let profile = modules.join(format!("profile-{}", testkit::new_id()));
    let output = Command::new("node")
        .arg(root.join(PROGRAM))
        .env("PLAYWRIGHT", modules.join("node_modules/playwright-core/index.mjs"))
        .env("CHROMIUM", browser)
        .env("PROFILE", &profile)
        .env("PAGE", page)
        .env("QUESTION", "Oi, vocês entregam em Goiânia?")
        .env("SCREENSHOT", root.join("target/phone/answer.png"))
        .output()
        .expect("no node: install Node 20 or newer");
    if profile.exists() {
        std::fs::remove_dir_all(&profile).unwrap();
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
}
