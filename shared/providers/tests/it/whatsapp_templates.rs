//! Templates of an account: what is asked, page by page, and what refusals become.

use domain::template::{ParameterFormat, TemplateStatus};
use providers::whatsapp_cloud::client::WhatsAppCloud;
use providers::whatsapp_cloud::error::SendClass;
use providers::whatsapp_cloud::templates::{Account, EXISTS, NewMetaTemplate};
use serde_json::{Value, json};
use wiremock::matchers::{body_json, header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

const LIST: &str = "/v23.0/100000000000001/message_templates";

async fn meta() -> (MockServer, WhatsAppCloud, Account) {
    let server = MockServer::start().await;
    let client = WhatsAppCloud::new(&server.uri(), crate::http());
    let account = Account { waba_id: "100000000000001".to_owned(), access_token: "token".to_owned().into() };
    (server, client, account)
}

fn listed() -> Value {
    serde_json::from_str(&crate::fixture("whatsapp_cloud/api_templates_list.json")).unwrap()
}

#[tokio::test]
async fn every_page_is_read() {
    let (server, client, account) = meta().await;
    let mut last = listed();
    last["data"][0]["id"] = json!("2");
    last["data"][0]["status"] = json!("ECLIPSED");
    last["data"][0]["rejected_reason"] = json!("NONE");
    last["paging"].as_object_mut().unwrap().remove("next");
    let first = Mock::given(method("GET")).and(path(LIST)).and(header("authorization", "Bearer token"));
    first
        .and(query_param_is_missing("after"))
        .respond_with(ResponseTemplate::new(200).set_body_json(listed()))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(path(LIST))
        .and(query_param("after", "QVFIU1exemplo"))
        .respond_with(ResponseTemplate::new(200).set_body_json(last))
        .expect(1)
        .mount(&server)
        .await;
    let templates = client.list_templates(&account).await.unwrap();
    let [template, odd] = templates.as_slice() else { panic!("{templates:?}") };
    assert_eq!((template.id.as_str(), template.status), ("900000000000777", TemplateStatus::Approved));
    assert_eq!(template.parameter_format, ParameterFormat::Named);
    assert_eq!(odd.status, TemplateStatus::Locked, "what nobody knows is not sent");
    assert_eq!(odd.rejected_reason, None);
}

#[tokio::test]
async fn a_name_is_looked_for_to_the_letter() {
    let (server, client, account) = meta().await;
    let mut page = listed();
    page["data"][0]["name"] = json!("lembrete_consulta_2");
    page["paging"].as_object_mut().unwrap().remove("next");
    Mock::given(path(LIST))
        .and(query_param("name", "lembrete_consulta"))
        .respond_with(ResponseTemplate::new(200).set_body_json(page))
        .mount(&server)
        .await;
    assert_eq!(client.find_template(&account, "lembrete_consulta", "pt_BR").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_made_is_asked_in_metas_words() {
    let (server, client, account) = meta().await;
    let components = json!([{ "type": "BODY", "text": "Oi" }]);
    let expected = json!({
        "name": "oi", "language": "pt_BR", "category": "UTILITY", "parameter_format": "POSITIONAL",
        "components": components,
    });
    let created = crate::fixture("whatsapp_cloud/api_template_create_response.json");
    Mock::given(method("POST"))
        .and(path(LIST))
        .and(body_json(expected))
        .respond_with(ResponseTemplate::new(200).set_body_string(created))
        .mount(&server)
        .await;
    let new = NewMetaTemplate {
        name: "oi",
        language: "pt_BR",
        category: "UTILITY",
        parameter_format: ParameterFormat::Positional,
        components: &components,
    };
    let created = client.create_template(&account, &new).await.unwrap();
    assert_eq!((created.id.as_str(), created.status), ("900000000000777", TemplateStatus::Pending));

    Mock::given(method("POST"))
        .and(path("/v23.0/900000000000777"))
        .and(body_json(json!({ "category": "MARKETING", "components": components })))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "success": true })))
        .expect(1)
        .mount(&server)
        .await;
    client.edit_template(&account, &created.id, Some("MARKETING"), &components).await.unwrap();
    Mock::given(method("DELETE"))
        .and(path(LIST))
        .and(query_param("hsm_id", "900000000000777"))
        .and(query_param("name", "oi"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "success": true })))
        .expect(1)
        .mount(&server)
        .await;
    client.delete_template(&account, &created.id, "oi").await.unwrap();
}

#[tokio::test]
async fn a_refusal_says_what_metas_people_are_told() {
    let (server, client, account) = meta().await;
    let refusal = json!({ "error": {
        "message": "Invalid parameter", "type": "OAuthException", "code": 100, "error_subcode": 2_388_024,
        "is_transient": false, "error_user_title": "Content in this language already exists",
        "error_user_msg": "There is already content in this language for this template.", "fbtrace_id": "A1",
    } });
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(400).set_body_json(refusal))
        .mount(&server)
        .await;
    let components = json!([]);
    let new = NewMetaTemplate {
        name: "oi",
        language: "pt_BR",
        category: "UTILITY",
        parameter_format: ParameterFormat::Named,
        components: &components,
    };
    let error = client.create_template(&account, &new).await.unwrap_err();
    assert_eq!(error.class(), SendClass::Rejected);
    let fault = error.fault();
    assert_eq!(
        (fault.code.as_str(), fault.title.as_str()),
        (EXISTS, "Content in this language already exists")
    );
    assert!(fault.detail.as_deref().unwrap().starts_with("There is already content"));
}
