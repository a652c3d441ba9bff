//! A few approved templates: `GET /{WABA}/message_templates`, and sends that use them.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::{Value, json};

use super::Shared;
use super::error::GraphError;

/// What became of a template with its parameters in it.
#[derive(Debug)]
pub(crate) struct Filled {
    /// Lower case, as pricing writes it.
    pub(crate) category: String,
    /// `{body, footer?, buttons[]}`, for the page.
    pub(crate) rendered: Value,
}

fn catalogue() -> Vec<Value> {
    let named = json!([
        { "param_name": "nome", "example": "Ana" },
        { "param_name": "dia", "example": "segunda" },
    ]);
    vec![
        json!({
            "id": "900000000000001", "name": "hello_world", "language": "en_US",
            "status": "APPROVED", "category": "UTILITY", "parameter_format": "POSITIONAL",
            "components": [{ "type": "BODY", "text": "Welcome and congratulations!" }],
        }),
        json!({
            "id": "900000000000777", "name": "lembrete_consulta", "language": "pt_BR",
            "status": "APPROVED", "category": "UTILITY", "parameter_format": "NAMED",
            "components": [
                {
                    "type": "BODY", "text": "Olá {{nome}}, sua consulta é {{dia}}.",
                    "example": { "body_text_named_params": named },
                },
                { "type": "BUTTONS", "buttons": [
                    { "type": "QUICK_REPLY", "text": "Confirmar" },
                    { "type": "URL", "text": "Remarcar", "url": "https://loja.example.com/agenda" },
                ] },
            ],
        }),
        json!({
            "id": "900000000000778", "name": "retomar_conversa", "language": "pt_BR",
            "status": "APPROVED", "category": "MARKETING", "parameter_format": "POSITIONAL",
            "components": [
                {
                    "type": "BODY", "text": "Oi, {{1}}! Podemos continuar de onde paramos?",
                    "example": { "body_text": [["Ana"]] },
                },
                { "type": "FOOTER", "text": "Responda SAIR para não receber mais." },
                { "type": "BUTTONS", "buttons": [
                    { "type": "QUICK_REPLY", "text": "Continuar" },
                    { "type": "QUICK_REPLY", "text": "Sair da lista" },
                ] },
            ],
        }),
        json!({
            "id": "900000000000779", "name": "retomar_pausado", "language": "pt_BR",
            "status": "PAUSED", "category": "MARKETING", "parameter_format": "POSITIONAL",
            "components": [{ "type": "BODY", "text": "Temos novidades." }],
        }),
    ]
}

pub(crate) async fn list(
    State(sandbox): Shared,
    Path((_, waba_id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let world = sandbox.world();
    if let Err(error) = super::token(&world, &headers) {
        return error.into_response();
    }
    if !world.lines.values().any(|line| line.waba_id == waba_id) {
        return GraphError::unknown_object("get", &waba_id).into_response();
    }
    let cursors = json!({ "before": "QVFIU0first", "after": "QVFIU1last" });
    Json(json!({ "data": catalogue(), "paging": { "cursors": cursors } })).into_response()
}

/// Finds the template of a send and fills its parameters in: 132001 when there is none, 132015
/// when it is paused, 132000 when their number is wrong.
pub(crate) fn fill(content: &Value) -> Result<Filled, GraphError> {
    let name = content["name"].as_str().unwrap_or_default();
    let language = content["language"]["code"].as_str().unwrap_or_default();
    let template = catalogue()
        .into_iter()
        .find(|template| template["name"] == name && template["language"] == language)
        .ok_or_else(|| {
            GraphError::of_code(132_001)
                .details(format!("template name ({name}) does not exist in {language}"))
        })?;
    if template["status"] != "APPROVED" {
        return Err(GraphError::of_code(132_015));
    }
    let body = component(&template, "BODY");
    let text = body["text"].as_str().unwrap_or_default();
    let rendered = json!({
        "body": render(text, &parameters(content))?,
        "footer": component(&template, "FOOTER")["text"],
        "buttons": component(&template, "BUTTONS")["buttons"],
    });
    let category = template["category"].as_str().unwrap_or_default();
    Ok(Filled { category: category.to_lowercase(), rendered })
}

fn component(template: &Value, kind: &str) -> Value {
    template["components"]
        .as_array()
        .and_then(|components| components.iter().find(|c| c["type"] == kind))
        .cloned()
        .unwrap_or_default()
}

/// Name (or position from 1) and value of the body's parameters.
fn parameters(content: &Value) -> Vec<(String, String)> {
    let body = content["components"].as_array().and_then(|components| {
        components.iter().find(|c| c["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case("body")))
    });
    let given = body.and_then(|body| body["parameters"].as_array());
    given
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, parameter)| {
            let name = parameter["parameter_name"].as_str();
            (
                name.map_or_else(|| (index + 1).to_string(), str::to_owned),
                parameter["text"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

fn render(text: &str, parameters: &[(String, String)]) -> Result<String, GraphError> {
    let expected = text.matches("{{").count();
    let mut rendered = text.to_owned();
    for (name, value) in parameters {
        rendered = rendered.replace(&format!("{{{{{name}}}}}"), value);
    }
    if parameters.len() != expected || rendered.contains("{{") {
        return Err(GraphError::of_code(132_000).details(format!(
            "body: number of localizable_params ({}) does not match the expected number of \
             params ({expected})",
            parameters.len()
        )));
    }
    Ok(rendered)
}
