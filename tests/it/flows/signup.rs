//! Numbers that come by Meta's Embedded Signup: what a browser brings is checked with Meta, and what follows there happens
//! once, whoever dies meanwhile.

use axum::http::Method;
use chrono::TimeDelta;
use domain::job::Queue;
use serde_json::{Value, json};
use testkit::{Answer, Flow, Step, TenantOptions, at_answer, new_id, new_phone, new_word};

use crate::inbox::redacted;

const PATH: &str = "connections/whatsapp-cloud/embedded-signup";

/// An account at Meta with one number, and the code that its owner's browser was given.
struct Window {
    waba_id: String,
    number: String,
    /// As the sandbox has it.
    as_it_is: Value,
    code: String,
}

impl Window {
    /// A person chose an account whose number is so.
    async fn finish(flow: &Flow, number: Value) -> Self {
        let waba_id = new_account();
        let id = new_account();
        let mut as_it_is = json!({
            "phone_number_id": id, "display_phone": new_phone().trim_start_matches('+'), "verified_name": "Loja Exemplo",
        });
        for (name, value) in number.as_object().unwrap() {
            as_it_is[name] = value.clone();
        }
        let code = choose(flow, json!({ "waba_id": waba_id, "numbers": [as_it_is] })).await;
        Self { waba_id, number: id, as_it_is, code }
    }

    /// What the page sends.
    fn body(&self) -> Value {
        json!({ "code": self.code, "waba_id": self.waba_id, "phone_number_id": self.number })
    }

    /// Of coexistence Meta's window names no number.
    fn body_without_number(&self) -> Value {
        json!({ "code": self.code, "waba_id": self.waba_id })
    }

    /// How often Meta was asked for what.
    async fn calls(&self, flow: &Flow) -> Value {
        let all = flow.sandbox.get("signups").await["calls"].take();
        let of = |what: &str, id: &str| all[format!("{what} {id}")].as_u64().unwrap_or_default();
        json!({
            "exchange": of("exchange", &self.code),
            "phone_numbers": of("phone_numbers", &self.waba_id),
            "subscribe": of("subscribe", &self.waba_id),
            "register": of("register", &self.number),
            "contacts": of("smb_app_state_sync", &self.number),
            "history": of("history", &self.number),
        })
    }

    async fn at_meta(&self, flow: &Flow) -> Value {
        flow.sandbox.get("signups").await["numbers"][&self.number].take()
    }

    /// Meta fails at a step of this account as `rule` says.
    async fn script(&self, flow: &Flow, step: &str, mut rule: Value) {
        let of = match step {
            "exchange" => &self.code,
            "debug_token" | "phone_numbers" | "subscribe" => &self.waba_id,
            _ => &self.number,
        };
        rule["contains"] = json!(format!("{step} {of}"));
        flow.sandbox.script("graph.signup", json!([rule])).await;
    }

    /// Connects it; everything that follows has happened.
    async fn connect(&self, flow: &Flow) -> Connected {
        let made = flow.api(Method::POST, PATH, Some(&self.body())).await.expect_status(201).body;
        flow.pump().await;
        Connected::of(&made)
    }
}

/// Digits as Meta's ids have them.
fn new_account() -> String {
    (300_000_000_000_000 + new_id().as_u128() % 99_999_999_999_999).to_string()
}

/// A person agrees in Meta's window; the code.
async fn choose(flow: &Flow, chosen: Value) -> String {
    flow.sandbox.post("signups", &chosen).await["code"].as_str().unwrap().to_owned()
}

/// A connection.
struct Connected {
    path: String,
    id: uuid::Uuid,
}

impl Connected {
    fn of(made: &Value) -> Self {
        let id = made["id"].as_str().unwrap();
        Self { path: format!("connections/{id}"), id: id.parse().unwrap() }
    }

    async fn health(&self, flow: &Flow) -> Value {
        let shown = flow.api(Method::GET, &format!("{}/health", self.path), None).await;
        let shown = shown.expect_status(200).body;
        json!([shown["state"], shown["reason"]])
    }

    async fn check(&self, flow: &Flow) -> Value {
        let path = format!("{}/check", self.path);
        let shown = flow.api(Method::POST, &path, None).await.expect_status(200).body;
        json!([shown["state"], shown["reason"]])
    }

    /// The row, but for what changes with every write.
    async fn row(&self, flow: &Flow) -> Value {
        sqlx::query_scalar("SELECT to_jsonb(c) FROM connections c WHERE id = $1")
            .bind(self.id)
            .fetch_one(&flow.admin)
            .await
            .unwrap()
    }
}

/// An answer without what is new every time.
fn shape(answer: &Answer, window: &Window) -> Value {
    let mut body = redacted(&answer.body).to_string();
    let display = window.as_it_is["display_phone"].as_str().unwrap();
    for (known, name) in [(&window.waba_id, "[waba]"), (&window.number, "[number]")] {
        body = body.replace(known.as_str(), name);
    }
    body = body.replace(display, "[phone]");
    let mut body: Value = serde_json::from_str(&body).unwrap();
    for name in ["webhook_url", "state_since"] {
        if body[name].is_string() {
            body[name] = json!(format!("[{name}]"));
        }
    }
    json!({ "status": answer.status, "body": body })
}

async fn start() -> Flow {
    Flow::start(TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await
}

#[tokio::test]
async fn a_number_that_was_chosen_in_metas_window_works() {
    let flow = start().await;
    let window = Window::finish(&flow, json!({})).await;
    let key = new_word("chave-");
    let made = flow.api_once(Method::POST, PATH, &key, &window.body()).await;
    insta::assert_json_snapshot!("signup_made", shape(&made, &window));
    let made = made.expect_status(201);
    flow.pump().await;
    let connected = Connected::of(&made.body);
    let shown = flow.api(Method::GET, &connected.path, None).await;
    insta::assert_json_snapshot!("signup_connected", shape(&shown, &window));
    assert_eq!(
        window.calls(&flow).await,
        json!({
            "exchange": 1, "phone_numbers": 1, "subscribe": 1, "register": 1, "contacts": 0,
            "history": 0,
        })
    );
    let at_meta = window.at_meta(&flow).await;
    let pin = at_meta["pin"].as_str().unwrap();
    assert_eq!(pin.len(), 6);
    let row = connected.row(&flow).await;
    assert_eq!(row["app_id"], "100000000000099");
    assert!(!row["registration_pin"].as_str().unwrap().contains(pin), "sealed");
    assert!(!row.to_string().contains("EAA"), "sealed");

    // A customer writes to it, under the signature of the installation's app.
    flow.sandbox.customer_writes(&window.number, &new_phone(), "Ana Exemplo", "Oi pela janela").await;
    flow.until("the customer's message", async || {
        let path = format!("conversations?connection_id={}", connected.id);
        let all = flow.api(Method::GET, &path, None).await.expect_status(200).body;
        (all["items"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;

    // Whoever repeats it, with the key or without, has the same connection, and Meta's code is not asked for again.
    let again = flow.api_once(Method::POST, PATH, &key, &window.body()).await.expect_status(200);
    assert_eq!(again.body["id"], made.body["id"]);
    let mut other = window.body();
    other["pin"] = json!("000000");
    let reused = flow.api_once(Method::POST, PATH, &key, &other).await;
    let _problem = reused.expect_problem(409, "idempotency_key_reused");
    let again = flow.api(Method::POST, PATH, Some(&window.body())).await.expect_status(200);
    assert_eq!(again.body["id"], made.body["id"]);
    flow.pump().await;
    let calls = window.calls(&flow).await;
    assert_eq!((&calls["exchange"], &calls["register"]), (&json!(1), &json!(1)), "{calls:#}");
    assert_eq!(connected.health(&flow).await, json!(["connected", null]));
    let told = flow.events().await;
    let changed = told
        .iter()
        .filter(|event| event["type"] == "connection.changed" && event["connection_id"] == made.body["id"]);
    assert!(changed.count() >= 2, "made, and connected");
    let log = flow.api(Method::GET, "audit-log", None).await.expect_status(200).body;
    let acts: Vec<_> = log["items"].as_array().unwrap().iter().map(|item| item["action"].clone()).collect();
    assert_eq!(acts, ["connection.changed", "connection.created"]);
    flow.end().await;
}

#[tokio::test]
async fn another_token_replaces_the_one_that_was_known() {
    let flow = start().await;
    let window = Window::finish(&flow, json!({})).await;
    let connected = window.connect(&flow).await;
    let renamed = json!({ "name": "Vendas" });
    let named = flow.api(Method::PATCH, &connected.path, Some(&renamed)).await.expect_status(200).body;
    flow.pump().await;
    // The process of the webhook remembers the token before, and from here on is another than the one that writes routes.
    let stranger = testkit::http_client().get(named["webhook_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(stranger.status(), 403);
    let died = flow.unless(flow.api(Method::GET, &connected.path, None), async || true).await;
    assert!(died.is_none());
    let before = connected.row(&flow).await;
    let code = choose(&flow, json!({ "waba_id": window.waba_id })).await;
    let body = json!({ "code": code, "waba_id": window.waba_id, "phone_number_id": window.number });
    let again = flow.api(Method::POST, PATH, Some(&body)).await.expect_status(200).body;
    assert_eq!((&again["id"], &again["name"]), (&json!(connected.id), &json!("Vendas")));
    flow.pump().await;
    assert_eq!(connected.health(&flow).await, json!(["connected", null]));
    let after = connected.row(&flow).await;
    assert_ne!(before["access_token"], after["access_token"]);
    assert_eq!(before["registration_pin"], after["registration_pin"], "it is the number's");
    let calls = window.calls(&flow).await;
    assert_eq!((&calls["subscribe"], &calls["register"]), (&json!(2), &json!(1)), "{calls:#}");
    flow.end().await;
}

#[tokio::test]
async fn what_meta_does_not_confirm_is_refused() {
    let flow = start().await;
    let window = Window::finish(&flow, json!({})).await;
    let choose = async |chosen: Value| {
        let mut all = json!({ "waba_id": window.waba_id });
        for (name, value) in chosen.as_object().unwrap() {
            all[name] = value.clone();
        }
        choose(&flow, all).await
    };
    let asked =
        |code: &str| json!({ "code": code, "waba_id": window.waba_id, "phone_number_id": window.number });
    let spent = choose(json!({})).await;
    let form =
        [("client_id", "100000000000099"), ("client_secret", "sandbox-facebook-secret"), ("code", &spent)];
    let graph = format!("{}/graph/v23.0/oauth/access_token", flow.stack.sandbox_url.trim_end_matches('/'));
    let exchanged = testkit::http_client().post(graph).form(&form).send().await.unwrap();
    assert_eq!(exchanged.status(), 200);
    let mut other_number = asked(&choose(json!({})).await);
    other_number["phone_number_id"] = json!(new_account());
    let mut other_account = asked(&choose(json!({})).await);
    other_account["waba_id"] = json!(new_account());
    let wrong = |name: &str, value: Value| {
        let mut body = asked("AQB");
        body[name] = value;
        body
    };
    let cases = [
        ("a code that expired", asked(&choose(json!({ "age_ms": 31_000 })).await)),
        ("a code that was used", asked(&spent)),
        ("a code that is none", asked("AQBnada")),
        ("another app's token", asked(&choose(json!({ "app_id": "100000000000077" })).await)),
        (
            "without the right to send",
            asked(&choose(json!({ "scopes": ["whatsapp_business_management"] })).await),
        ),
        ("another account", other_account),
        ("another account's number", other_number),
        ("no code", wrong("code", json!(""))),
        ("an account that is no id", wrong("waba_id", json!("../me"))),
        ("a number that is no id", wrong("phone_number_id", json!("+5562"))),
        ("a PIN that is none", wrong("pin", json!("12345"))),
    ];
    let mut refused = json!({});
    for (case, body) in cases {
        let answer = flow.api(Method::POST, PATH, Some(&body)).await;
        refused[case] = json!([answer.status, answer.body["code"], answer.body["detail"]]);
    }
    let empty = new_account();
    let code = choose(json!({ "waba_id": empty })).await;
    let body = json!({ "code": code, "waba_id": empty });
    let answer = flow.api(Method::POST, PATH, Some(&body)).await;
    refused["an account without a number"] =
        json!([answer.status, answer.body["code"], answer.body["detail"]]);
    insta::assert_json_snapshot!("signup_refused", refused);

    let flow = flow.without_meta_app().await;
    let answer = flow.api(Method::POST, PATH, Some(&window.body())).await;
    let _problem = answer.expect_problem(409, "embedded_signup_unavailable");
    let made: i64 = sqlx::query_scalar("SELECT count(*) FROM connections WHERE company_id = $1")
        .bind(flow.tenant.company_id)
        .fetch_one(&flow.admin)
        .await
        .unwrap();
    assert_eq!(made, 1, "the company's own");
    flow.end().await;
}

#[tokio::test]
async fn which_of_several_numbers_may_be_said_afterwards() {
    let flow = start().await;
    let window = Window::finish(&flow, json!({})).await;
    let second = new_account();
    let number = |id: &str, phone: &str| json!({ "phone_number_id": id, "display_phone": phone });
    let numbers = [number(&window.number, "5562988880001"), number(&second, "5562988880002")];
    let code = choose(&flow, json!({ "waba_id": window.waba_id, "numbers": numbers })).await;
    let mut body = json!({ "code": code, "waba_id": window.waba_id });
    let several = flow.api(Method::POST, PATH, Some(&body)).await.expect_problem(409, "several_numbers");
    let detail = several["detail"].as_str().unwrap();
    assert!(detail.contains(&window.number) && detail.contains(&second), "{detail}");
    assert!(detail.contains("+55 62 98888-0002"), "{detail}");
    // The code was spent, and is good for each of them all the same.
    for id in [&window.number, &second] {
        body["phone_number_id"] = json!(id);
        let made = flow.api(Method::POST, PATH, Some(&body)).await.expect_status(201).body;
        assert_eq!(made["phone_number_id"], **id);
    }
    flow.pump().await;
    let all = flow.sandbox.get("signups").await["calls"].take();
    assert_eq!(all[format!("exchange {code}")], 1);

    // The only one is meant, and of several the only one that the phone's app shares.
    let only = Window::finish(&flow, json!({})).await;
    let made = flow.api(Method::POST, PATH, Some(&only.body_without_number())).await.expect_status(201).body;
    assert_eq!(made["phone_number_id"], only.number.as_str());
    let shared = new_account();
    let mut numbers = json!([number(&shared, "5562988880003"), number(&new_account(), "5562988880004")]);
    numbers[0]["is_on_biz_app"] = json!(true);
    let waba_id = new_account();
    let code = choose(&flow, json!({ "waba_id": waba_id, "numbers": numbers })).await;
    let body = json!({ "code": code, "waba_id": waba_id });
    let made = flow.api(Method::POST, PATH, Some(&body)).await.expect_status(201).body;
    assert_eq!(made["phone_number_id"], shared.as_str());
    flow.pump().await;
    assert_eq!(Connected::of(&made).health(&flow).await, json!(["connected", null]));
    flow.end().await;
}

#[tokio::test]
async fn what_failed_at_meta_may_be_repeated() {
    let flow = start().await;
    for (step, exchanges) in [("exchange", 2), ("debug_token", 1), ("phone_numbers", 1)] {
        let window = Window::finish(&flow, json!({})).await;
        window.script(&flow, step, json!({ "times": 1, "status": 503 })).await;
        let answer = flow.api(Method::POST, PATH, Some(&window.body())).await;
        let _problem = answer.expect_problem(502, "provider_failed");
        let connected = window.connect(&flow).await;
        assert_eq!(connected.health(&flow).await, json!(["connected", null]), "{step}");
        assert_eq!(window.calls(&flow).await["exchange"], exchanges, "{step}");
    }
    // The window was opened otherwise than this app is set up: nobody's repetition mends that.
    let window = Window::finish(&flow, json!({})).await;
    let error = json!({ "error": { "message": "redirect_uri", "type": "OAuthException", "code": 100, "error_subcode": 36008 } });
    window.script(&flow, "exchange", json!({ "times": 1, "status": 400, "body": error })).await;
    let answer = flow.api(Method::POST, PATH, Some(&window.body())).await;
    let _problem = answer.expect_problem(502, "provider_failed");
    // Meta took the code, and its answer was lost.
    let window = Window::finish(&flow, json!({})).await;
    window.script(&flow, "exchange", json!({ "times": 1, "drop": "after" })).await;
    let answer = flow.api(Method::POST, PATH, Some(&window.body())).await;
    let _problem = answer.expect_problem(502, "provider_failed");
    let answer = flow.api(Method::POST, PATH, Some(&window.body())).await;
    let _problem = answer.expect_problem(409, "signup_code_invalid");
    flow.end().await;
}

#[tokio::test]
async fn a_number_that_stays_in_the_phones_app_is_never_registered() {
    let flow = start().await;
    let shared = json!({ "is_on_biz_app": true });
    let window = Window::finish(&flow, shared.clone()).await;
    let made = flow.api(Method::POST, PATH, Some(&window.body_without_number())).await;
    let made = made.expect_status(201).body;
    assert_eq!(made["phone_number_id"], window.number.as_str());
    flow.pump().await;
    let connected = Connected::of(&made);
    assert_eq!(connected.health(&flow).await, json!(["connected", null]));
    let calls = window.calls(&flow).await;
    let asked = json!([calls["subscribe"], calls["register"], calls["contacts"], calls["history"]]);
    assert_eq!(asked, json!([1, 0, 1, 1]));

    // A job that comes again asks for nothing again.
    let renamed = json!({ "name": "Vendas" });
    let _named = flow.api(Method::PATCH, &connected.path, Some(&renamed)).await.expect_status(200);
    flow.pump().await;
    assert_eq!(window.calls(&flow).await, calls);

    // What somebody asked for who died is there; what Meta does not give any more is missed, and the number works.
    let mut outcomes = json!({});
    for (case, step, code) in [
        ("asked for before", "history", 2_593_107),
        ("too late for the history", "history", 2_593_108),
        ("too late for the contacts", "smb_app_state_sync", 2_593_108),
        ("not authorised", "smb_app_state_sync", 190),
    ] {
        let window = Window::finish(&flow, shared.clone()).await;
        window.script(&flow, step, json!({ "graph_code": code })).await;
        let connected = window.connect(&flow).await;
        outcomes[case] =
            json!({ "then": connected.health(&flow).await, "checked": connected.check(&flow).await });
        flow.pump().await;
    }
    let window = Window::finish(&flow, shared).await;
    let made = flow.api(Method::POST, PATH, Some(&window.body())).await.expect_status(201).body;
    flow.clock.pass(TimeDelta::hours(25));
    flow.pump().await;
    outcomes["a day later"] = Connected::of(&made).health(&flow).await;
    let calls = window.calls(&flow).await;
    assert_eq!(json!([calls["contacts"], calls["history"]]), json!([0, 0]));
    insta::assert_json_snapshot!("signup_shared", outcomes);
    flow.end().await;
}

#[tokio::test]
async fn what_meta_refuses_on_the_way_is_shown_and_gone_for_again() {
    let flow = start().await;
    let mut outcomes = json!({});
    for (case, step, code) in [
        ("a locked account", "register", 131_031),
        ("no rights", "register", 131_005),
        ("guessed too often", "register", 133_008),
        ("anything else", "register", 100),
        ("no rights to subscribe", "subscribe", 10),
        ("not to be subscribed", "subscribe", 100),
    ] {
        let window = Window::finish(&flow, json!({})).await;
        window.script(&flow, step, json!({ "times": 1, "graph_code": code })).await;
        let connected = window.connect(&flow).await;
        let refused = connected.health(&flow).await;
        // Nobody asks again before a person does.
        let renamed = json!({ "name": "Vendas" });
        let _named = flow.api(Method::PATCH, &connected.path, Some(&renamed)).await.expect_status(200);
        flow.pump().await;
        let asked = window.calls(&flow).await[step].clone();
        let checked = connected.check(&flow).await;
        flow.pump().await;
        outcomes[case] = json!({
            "refused": refused, "asked": asked, "checked": checked, "then": connected.health(&flow).await,
        });
    }
    // Meta called the connection's address, and was not answered as it should be.
    let unheard = Window::finish(&flow, json!({})).await;
    let message = "(#2200) Callback verification failed with the following errors: HTTP Status Code = 502";
    let error = json!({ "error": { "message": message, "type": "OAuthException", "code": 2200 } });
    unheard.script(&flow, "subscribe", json!({ "times": 1, "status": 400, "body": error })).await;
    let connected = unheard.connect(&flow).await;
    outcomes["webhook not reached"] = json!({ "refused": connected.health(&flow).await });
    let unverified = Window::finish(&flow, json!({ "unverified": true })).await;
    let connected = unverified.connect(&flow).await;
    let refused = connected.health(&flow).await;
    let numbers = json!([{ "phone_number_id": unverified.number }]);
    choose(&flow, json!({ "waba_id": unverified.waba_id, "numbers": numbers })).await;
    connected.check(&flow).await;
    flow.pump().await;
    outcomes["unverified"] = json!({ "refused": refused, "then": connected.health(&flow).await });

    // Two-step verification: the person who knows the PIN sends it, with the same code.
    let protected = Window::finish(&flow, json!({ "pin": "246810" })).await;
    let connected = protected.connect(&flow).await;
    let refused = connected.health(&flow).await;
    let mut body = protected.body();
    body["pin"] = json!("246810");
    let _known = flow.api(Method::POST, PATH, Some(&body)).await.expect_status(200);
    flow.pump().await;
    outcomes["another PIN"] = json!({ "refused": refused, "then": connected.health(&flow).await });
    insta::assert_json_snapshot!("signup_steps_refused", outcomes);
    flow.end().await;
}

#[tokio::test]
async fn a_number_that_was_registered_too_often_is_left_alone_for_three_days() {
    let flow = start().await;
    let window = Window::finish(&flow, json!({})).await;
    window.script(&flow, "register", json!({ "times": 1, "graph_code": 133_016 })).await;
    let connected = window.connect(&flow).await;
    let limited = json!(["down", "registration_limited"]);
    assert_eq!(connected.health(&flow).await, limited);
    flow.clock.pass(TimeDelta::hours(71));
    assert_eq!(connected.check(&flow).await, limited);
    flow.pump().await;
    assert_eq!(window.calls(&flow).await["register"], 1);
    flow.clock.pass(TimeDelta::hours(1));
    assert_eq!(connected.check(&flow).await, json!(["connecting", "setting_up"]));
    flow.pump().await;
    assert_eq!(connected.health(&flow).await, json!(["connected", null]));
    assert_eq!(window.calls(&flow).await["register"], 2);
    flow.end().await;
}

#[tokio::test]
async fn what_passes_at_meta_is_waited_for() {
    let flow = start().await;
    for (step, rule, calls) in [
        ("subscribe", json!({ "times": 2, "status": 503 }), 3),
        ("subscribe", json!({ "times": 1, "drop": "after" }), 2),
        ("register", json!({ "times": 2, "graph_code": 133_015 }), 3),
        // It was registered, which nobody heard: the number itself tells.
        ("register", json!({ "times": 1, "drop": "after" }), 1),
        ("register", json!({ "times": 1, "drop": "before" }), 2),
    ] {
        let window = Window::finish(&flow, json!({})).await;
        window.script(&flow, step, rule.clone()).await;
        let connected = window.connect(&flow).await;
        assert_eq!(connected.health(&flow).await, json!(["connected", null]), "{step} {rule}");
        assert_eq!(window.calls(&flow).await[step], calls, "{step} {rule}");
    }
    // One that does not answer for long is asked when a person wants to know.
    let window = Window::finish(&flow, json!({})).await;
    window.script(&flow, "register", json!({ "times": 4, "status": 503 })).await;
    let connected = window.connect(&flow).await;
    assert_eq!(connected.health(&flow).await, json!(["connecting", "setting_up"]));
    connected.check(&flow).await;
    flow.pump().await;
    assert_eq!(connected.health(&flow).await, json!(["connected", null]));
    flow.end().await;
}

#[tokio::test]
async fn whoever_dies_on_the_way_registers_no_number_twice() {
    let flow = start().await;
    for (number, at_least) in [(json!({}), 8), (json!({ "is_on_biz_app": true }), 8)] {
        let window = Window::finish(&flow, number.clone()).await;
        let made = flow.api(Method::POST, PATH, Some(&window.body())).await.expect_status(201).body;
        let connected = Connected::of(&made);
        let answers = flow.die_at_every_answer(Queue::Outbound).await;
        assert!(answers > at_least, "it came through after {answers} answers");
        flow.recover().await;
        assert_eq!(connected.health(&flow).await, json!(["connected", null]), "{number}");
        let calls = window.calls(&flow).await;
        let is_shared = number["is_on_biz_app"] == true;
        assert_eq!(calls["register"], u64::from(!is_shared), "{calls:#}");
        // Meta refuses the second time, which is how we know of the first.
        assert_eq!(
            window.at_meta(&flow).await["shared"].as_array().unwrap().len(),
            2 * usize::from(is_shared)
        );

        // Everything was done, and the queue did not hear of it.
        let renamed = json!({ "name": "Vendas" });
        let _named = flow.api(Method::PATCH, &connected.path, Some(&renamed)).await.expect_status(200);
        assert_eq!(flow.step_unheard(Queue::Outbound).await, Step::Died);
        flow.recover().await;
        assert_eq!(window.calls(&flow).await, calls, "nothing is asked again");
    }
    flow.end().await;
}

#[tokio::test]
async fn a_sign_up_that_dies_is_repeated() {
    let flow = start().await;
    let (mut answers, mut lost) = (1, 0);
    loop {
        let window = Window::finish(&flow, json!({})).await;
        let (key, body) = (new_word("chave-"), window.body());
        let done = flow.unless(flow.api_once(Method::POST, PATH, &key, &body), at_answer(answers)).await;
        let again = flow.api_once(Method::POST, PATH, &key, &body).await;
        if again.status == 409 {
            // Between Meta's answer and its record: nobody else has the token, and nothing was done with it.
            let _problem = again.expect_problem(409, "signup_code_invalid");
            let calls = flow.sandbox.get("signups").await["calls"].take();
            let used = calls.get(format!("debug_token {}", window.waba_id));
            assert!(used.is_none(), "only until it is written down: {calls:#}");
            lost += 1;
        } else {
            assert!([200, 201].contains(&again.status), "{}", again.body);
            flow.recover().await;
            let connected = Connected::of(&again.body);
            assert_eq!(connected.health(&flow).await, json!(["connected", null]), "after {answers} answers");
            let calls = window.calls(&flow).await;
            assert_eq!((&calls["exchange"], &calls["register"]), (&json!(1), &json!(1)), "{calls:#}");
        }
        if done.is_some() {
            break;
        }
        answers += 1;
    }
    assert!(answers > 8, "it came through after {answers} answers");
    assert!(lost > 0, "of {answers} answers");
    flow.end().await;
}

#[tokio::test]
async fn another_companys_connection_with_the_number_is_not_touched() {
    let (first, second) = (start().await, start().await);
    let window = Window::finish(&first, json!({})).await;
    let theirs = window.connect(&first).await;
    let before = theirs.row(&first).await;
    // The code is of the company that exchanged it.
    let answer = second.api(Method::POST, PATH, Some(&window.body())).await;
    let _problem = answer.expect_problem(409, "signup_code_invalid");
    let code = choose(&second, json!({ "waba_id": window.waba_id })).await;
    let body = json!({ "code": code, "waba_id": window.waba_id, "phone_number_id": window.number });
    let made = second.api(Method::POST, PATH, Some(&body)).await.expect_status(201).body;
    second.pump().await;
    let ours = Connected::of(&made);
    assert_ne!(ours.id, theirs.id);
    assert_eq!(ours.health(&second).await, json!(["connected", null]));
    assert_eq!(theirs.row(&first).await, before);
    assert_eq!(window.calls(&first).await["register"], 1, "it is registered");
    first.end().await;
    second.end().await;
}

#[tokio::test]
async fn an_account_goes_on_when_the_connection_that_hears_of_it_is_removed() {
    let flow = start().await;
    let window = Window::finish(&flow, json!({})).await;
    let second = new_account();
    let numbers = json!([window.as_it_is, { "phone_number_id": second, "display_phone": "5562988880002" }]);
    let code = choose(&flow, json!({ "waba_id": window.waba_id, "numbers": numbers })).await;
    let mut made = Vec::new();
    for id in [&window.number, &second] {
        let body = json!({ "code": code, "waba_id": window.waba_id, "phone_number_id": id });
        made.push(flow.api(Method::POST, PATH, Some(&body)).await.expect_status(201).body);
        flow.pump().await;
    }
    let heard_at = async || {
        let lines = flow.sandbox.get("lines").await;
        let mut lines = lines["items"].as_array().unwrap().iter();
        lines.find(|line| line["phone_number_id"] == *window.number).unwrap()["webhook_url"].clone()
    };
    assert_eq!(heard_at().await, made[1]["webhook_url"], "the last one");
    let path = Connected::of(&made[1]).path;
    assert_eq!(flow.api(Method::DELETE, &path, None).await.status, 204);
    flow.pump().await;
    assert_eq!(heard_at().await, made[0]["webhook_url"]);
    let pin: Option<String> = sqlx::query_scalar("SELECT registration_pin FROM connections WHERE id = $1")
        .bind(Connected::of(&made[1]).id)
        .fetch_one(&flow.admin)
        .await
        .unwrap();
    assert_eq!(pin, None, "its secrets are gone");
    assert_eq!(Connected::of(&made[0]).health(&flow).await, json!(["connected", null]));
    flow.end().await;
}

#[tokio::test]
async fn a_connection_by_token_has_our_app_hear_of_its_account() {
    let flow = start().await;
    for (refused, state) in
        [(false, json!(["connected", null])), (true, json!(["degraded", "not_subscribed"]))]
    {
        let (number, waba_id, token) = (new_account(), new_account(), new_word("EAA"));
        flow.sandbox
            .post(
                "lines",
                &json!({
                    "phone_number_id": number, "waba_id": waba_id, "display_phone": new_phone().trim_start_matches('+'),
                    "verified_name": "Loja", "access_token": token, "app_secret": "segredo", "verify_token": "verifica",
                }),
            )
            .await;
        if refused {
            let rule = json!({ "times": 1, "graph_code": 10, "contains": format!("subscribe {waba_id}") });
            flow.sandbox.script("graph.signup", json!([rule])).await;
        }
        let new = json!({
            "kind": "whatsapp_cloud", "name": "Cloud", "phone_number_id": number, "waba_id": waba_id,
            "access_token": token, "app_secret": "segredo", "verify_token": "verifica",
        });
        let made = flow.api(Method::POST, "connections", Some(&new)).await.expect_status(201).body;
        flow.pump().await;
        let connected = Connected::of(&made);
        assert_eq!(connected.health(&flow).await, state);
        let calls =
            async || flow.sandbox.get("signups").await["calls"][format!("subscribe {waba_id}")].clone();
        assert_eq!(calls().await, 1);
        connected.check(&flow).await;
        flow.pump().await;
        assert_eq!(connected.health(&flow).await, json!(["connected", null]));
        assert_eq!(calls().await, 1 + u64::from(refused));
    }
    flow.end().await;
}
