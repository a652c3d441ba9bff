//! What browsers are told about every answer, good or bad.

use testkit::{Api, Stack};

#[tokio::test]
async fn every_answer_is_framed_by_nobody_and_sniffed_by_nobody() {
    let stack = Stack::load();
    let anonymous = Api::anonymous(&stack);
    let key = anonymous.with(&stack.demo.api_key);
    for answer in [
        key.get("company").await.expect_status(200),
        anonymous.get("company").await.expect_status(401),
        anonymous.get("no-such-route").await.expect_status(404),
        anonymous.get("/docs/index.html").await.expect_status(200),
    ] {
        let header = |name: &str| answer.headers[name].to_str().unwrap();
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert!(header("strict-transport-security").starts_with("max-age=63072000"));
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"));
    }
    let company = key.get("company").await;
    assert_eq!(company.headers["cache-control"], "no-store");
}
