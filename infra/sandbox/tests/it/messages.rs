//! `POST /{PNID}/messages` and media.

use serde_json::{Value, json};

use crate::harness::{CUSTOMER, TOKEN, WA_ID, fixture, shape, stage, text_to};

#[tokio::test]
async fn an_accepted_text_is_answered_as_documented_without_the_ninth_digit() {
    let stage = stage().await;
    let (status, answer) = stage.send(text_to(CUSTOMER, "Oi")).await;
    assert_eq!(status, 200);
    assert_eq!(shape(&answer), shape(&fixture("api_send_text_response")));
    assert_eq!(answer["contacts"][0], json!({ "input": CUSTOMER, "wa_id": WA_ID }));
    let found = stage.look("/_sandbox/messages?to=5562988880001").await;
    assert_eq!(found["items"][0]["id"], answer["messages"][0]["id"]);
    assert_eq!(found["items"][0]["biz_opaque_callback_data"], "outbox:1");
}

#[tokio::test]
async fn a_template_needs_its_parameters_and_no_window() {
    let stage = stage().await;
    let request = fixture("api_send_template_request_named");
    let (status, answer) = stage.send(request.clone()).await;
    assert_eq!(status, 200);
    assert_eq!(shape(&answer), shape(&fixture("api_send_template_response")));
    stage.receive(3).await;
    let id = answer["messages"][0]["id"].as_str().unwrap();
    let statuses = stage.statuses(id);
    let pricing = json!({
        "billable": true, "pricing_model": "PMP", "type": "regular", "category": "utility",
    });
    assert_eq!(statuses[0]["pricing"], pricing);

    let mut short = request.clone();
    short["template"]["components"][1]["parameters"] = json!([]);
    assert_eq!(stage.send(short).await.1["error"]["code"], 132_000);
    let mut unknown = request;
    unknown["template"]["language"]["code"] = json!("en_US");
    let (status, error) = stage.send(unknown).await;
    assert_eq!(status, 404);
    assert_eq!(shape(&error), shape(&fixture("api_error_132001")));
}

#[tokio::test]
async fn tokens_numbers_and_limits_are_checked() {
    let stage = stage().await;
    let address = format!("{}/graph/v23.0/100000000000002/messages", stage.url);
    let request = stage.http.post(&address).bearer_auth("other");
    let response = request.json(&text_to(CUSTOMER, "Oi")).send().await.unwrap();
    assert_eq!(response.status(), 401);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["error"]["code"], 190);

    let address = format!("{}/graph/v23.0/999/messages", stage.url);
    let request = stage.http.post(&address).bearer_auth(TOKEN);
    let response = request.json(&text_to(CUSTOMER, "Oi")).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["error"]["error_subcode"], 33);

    for (body, code) in [
        (text_to(CUSTOMER, &"ã".repeat(4097)), 100),
        (text_to(CUSTOMER, ""), 100),
        (text_to("nobody", "Oi"), 131_009),
        (json!({ "messaging_product": "whatsapp", "type": "text", "text": { "body": "Oi" } }), 100),
        (json!({ "to": CUSTOMER, "text": { "body": "Oi" } }), 100),
        (buttons(4), 100),
        (buttons(0), 100),
    ] {
        let (status, answer) = stage.send(body).await;
        assert_eq!((status, answer["error"]["code"].as_i64()), (400, Some(code)), "{answer}");
    }
    assert_eq!(stage.send(buttons(3)).await.0, 200);
    assert_eq!(stage.send(text_to(CUSTOMER, &"ã".repeat(4096))).await.0, 200);
}

fn buttons(count: usize) -> Value {
    let button =
        |n| json!({ "type": "reply", "reply": { "id": format!("b{n}"), "title": format!("Botão {n}") } });
    json!({
        "messaging_product": "whatsapp", "to": CUSTOMER, "type": "interactive",
        "interactive": {
            "type": "button", "body": { "text": "Qual?" },
            "action": { "buttons": (0..count).map(button).collect::<Vec<_>>() },
        },
    })
}

#[tokio::test]
async fn media_goes_up_and_comes_down_with_the_token_only() {
    let stage = stage().await;
    let part = reqwest::multipart::Part::bytes(b"\x89PNG".to_vec())
        .file_name("a.png")
        .mime_str("image/png")
        .unwrap();
    let form = reqwest::multipart::Form::new().text("messaging_product", "whatsapp").part("file", part);
    let address = format!("{}/graph/v23.0/100000000000002/media", stage.url);
    let response = stage.http.post(address).bearer_auth(TOKEN).multipart(form).send().await.unwrap();
    let uploaded: Value = response.json().await.unwrap();
    let address = format!("{}/graph/v23.0/{}", stage.url, uploaded["id"].as_str().unwrap());
    let get = |url: String| stage.http.get(url).bearer_auth(TOKEN).send();
    let found: Value = get(address.clone()).await.unwrap().json().await.unwrap();
    assert_eq!(shape(&found), shape(&fixture("api_media_get_response")));
    let url = found["url"].as_str().unwrap().to_owned();
    assert_eq!(get(url.clone()).await.unwrap().bytes().await.unwrap(), &b"\x89PNG"[..]);
    assert_eq!(stage.http.get(&url).send().await.unwrap().status(), 401);
    let forged = url.replace("ext=1", "ext=2");
    assert_eq!(get(forged).await.unwrap().status(), 404);
    let deleted = stage.http.delete(&address).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(deleted.json::<Value>().await.unwrap(), json!({ "success": true }));
    assert_eq!(get(address).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_customers_file_comes_down_until_it_is_forgotten() {
    let stage = stage().await;
    let kept = format!("{}/_sandbox/media", stage.url);
    let keep = stage.http.post(format!("{kept}?filename=a.pdf")).header("content-type", "application/pdf");
    let file: Value = keep.body("%PDF-1.7").send().await.unwrap().json().await.unwrap();
    let id = file["id"].as_str().unwrap();
    let inbound = json!({ "from": CUSTOMER, "type": "document", "media_id": id });
    stage.control("inbound", inbound).await;
    let webhook = stage.receive(1).await[0].json();
    let document = &webhook["entry"][0]["changes"][0]["value"]["messages"][0]["document"];
    assert_eq!((&document["id"], &document["filename"]), (&file["id"], &json!("a.pdf")));

    let rules = json!([{ "times": 1, "status": 503, "contains": format!("download {id}") }]);
    stage.control("script", json!({ "target": "graph.media", "rules": rules })).await;
    let get = |url: String| stage.http.get(url).bearer_auth(TOKEN).send();
    let address = format!("{}/graph/v23.0/{id}", stage.url);
    let found: Value = get(address.clone()).await.unwrap().json().await.unwrap();
    let url = found["url"].as_str().unwrap().to_owned();
    assert_eq!(get(url.clone()).await.unwrap().status(), 503, "the rule is for downloads of this file");
    assert_eq!(get(url.clone()).await.unwrap().bytes().await.unwrap(), "%PDF-1.7");
    assert_eq!(get(format!("{kept}/{id}")).await.unwrap().bytes().await.unwrap(), "%PDF-1.7");
    for expected in [204, 404] {
        assert_eq!(stage.http.delete(format!("{kept}/{id}")).send().await.unwrap().status(), expected);
    }
    assert_eq!(get(url).await.unwrap().status(), 404);
    assert_eq!(get(address).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_number_says_what_it_is() {
    let stage = stage().await;
    let address = format!(
        "{}/graph/v23.0/100000000000002?fields=verified_name,code_verification_status,\
         display_phone_number,quality_rating,platform_type,throughput,\
         whatsapp_business_manager_messaging_limit,webhook_configuration",
        stage.url
    );
    let response = stage.http.get(address).bearer_auth(TOKEN).send().await.unwrap();
    let info: Value = response.json().await.unwrap();
    let expected = fixture("api_phone_number_info");
    assert_eq!(shape(&info), shape(&expected));
    assert_eq!(info["display_phone_number"], expected["display_phone_number"]);
}
