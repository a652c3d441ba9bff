//! Embedded Signup: a code, a token for what was chosen, and what Meta counts.

use serde_json::{Value, json};

use crate::harness::{FACEBOOK, Stage, stage};

const WABA: &str = "300000000000001";
const NUMBER: &str = "300000000000002";

async fn choose(stage: &Stage, chosen: Value) -> String {
    let mut all = json!({ "waba_id": WABA, "numbers": [{ "phone_number_id": NUMBER, "display_phone": "5562988880001" }] });
    for (name, value) in chosen.as_object().unwrap() {
        all[name] = value.clone();
    }
    stage.control("signups", all).await["code"].as_str().unwrap().to_owned()
}

async fn exchange(stage: &Stage, code: &str) -> Value {
    let form = [("client_id", FACEBOOK.0), ("client_secret", FACEBOOK.1), ("code", code)];
    let url = format!("{}/graph/v23.0/oauth/access_token", stage.url);
    stage.http.post(url).form(&form).send().await.unwrap().json().await.unwrap()
}

async fn post(stage: &Stage, token: &str, path: &str, body: Value) -> Value {
    let request = stage.http.post(format!("{}/graph/v23.0/{path}", stage.url)).bearer_auth(token);
    request.json(&body).send().await.unwrap().json().await.unwrap()
}

async fn get(stage: &Stage, token: &str, path: &str) -> Value {
    let request = stage.http.get(format!("{}/graph/v23.0/{path}", stage.url)).bearer_auth(token);
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_code_works_once_and_for_half_a_minute() {
    let stage = stage().await;
    let code = choose(&stage, json!({})).await;
    let token = exchange(&stage, &code).await["access_token"].as_str().unwrap().to_owned();
    assert_eq!(exchange(&stage, &code).await["error"]["error_subcode"], 36009);
    let late = choose(&stage, json!({ "age_ms": 30_000 })).await;
    assert_eq!(exchange(&stage, &late).await["error"]["error_subcode"], 36007);
    let app = format!("{}|{}", FACEBOOK.0, FACEBOOK.1);
    let told = get(&stage, &app, &format!("debug_token?input_token={token}")).await;
    assert_eq!(told["data"]["app_id"], FACEBOOK.0);
    assert_eq!(told["data"]["granular_scopes"][1]["target_ids"], json!([WABA]));
    let other = get(&stage, &token, &format!("debug_token?input_token={token}")).await;
    assert_eq!(other["error"]["code"], 190, "only the app may ask");
    let numbers = get(&stage, &token, &format!("{WABA}/phone_numbers")).await;
    assert_eq!(numbers["data"][0]["platform_type"], "NOT_APPLICABLE");
}

#[tokio::test]
async fn a_number_is_registered_by_its_pin_ten_times_in_three_days() {
    let stage = stage().await;
    let numbers = json!([{ "phone_number_id": NUMBER, "display_phone": "5562988880001", "pin": "246810" }]);
    let code = choose(&stage, json!({ "numbers": numbers })).await;
    let token = exchange(&stage, &code).await["access_token"].as_str().unwrap().to_owned();
    let path = format!("{NUMBER}/register");
    let with = |pin: &str| json!({ "messaging_product": "whatsapp", "pin": pin });
    assert_eq!(post(&stage, &token, &path, with("000000")).await["error"]["code"], 133_005);
    assert_eq!(post(&stage, &token, &path, with("246810")).await, json!({ "success": true }));
    assert_eq!(get(&stage, &token, NUMBER).await["platform_type"], "CLOUD_API");
    for _ in 2..10 {
        let _again = post(&stage, &token, &path, with("246810")).await;
    }
    assert_eq!(post(&stage, &token, &path, with("246810")).await["error"]["code"], 133_016);
    let known: Value =
        stage.http.get(format!("{}/_sandbox/signups", stage.url)).send().await.unwrap().json().await.unwrap();
    assert_eq!(known["calls"][format!("register {NUMBER}")], 11);
}

#[tokio::test]
async fn the_phones_app_shares_once_what_it_knows() {
    let stage = stage().await;
    let numbers =
        json!([{ "phone_number_id": NUMBER, "display_phone": "5562988880001", "is_on_biz_app": true }]);
    let code = choose(&stage, json!({ "numbers": numbers })).await;
    let token = exchange(&stage, &code).await["access_token"].as_str().unwrap().to_owned();
    let path = format!("{NUMBER}/smb_app_data");
    for what in ["smb_app_state_sync", "history"] {
        let asked = json!({ "messaging_product": "whatsapp", "sync_type": what });
        assert!(post(&stage, &token, &path, asked.clone()).await["request_id"].is_string());
        assert_eq!(post(&stage, &token, &path, asked).await["error"]["code"], 2_593_107);
    }
    let register = json!({ "messaging_product": "whatsapp", "pin": "000000" });
    let refused = post(&stage, &token, &format!("{NUMBER}/register"), register).await;
    assert_eq!(refused["error"]["code"], 100);
}
