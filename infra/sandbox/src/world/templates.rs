//! Message templates: a few that every account has, and those that businesses made.
//!
//! Those that were made are seen by the token that made them alone. Tests share one account's id, and none shall see another's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Templates that businesses made, by Meta's id.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    made: BTreeMap<String, Made>,
}

/// One that was made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    /// By whom.
    pub(crate) token: String,
    /// As Meta lists it.
    pub(crate) template: Value,
}

impl Templates {
    /// Everything that a token sees, in the order of Meta's ids.
    pub(crate) fn seen_by(&self, token: &str) -> Vec<Value> {
        let made = self.made.values().filter(|made| made.token == token).map(|made| made.template.clone());
        catalogue().into_iter().chain(made).collect()
    }

    /// One by name and language.
    pub(crate) fn named(&self, token: &str, name: &str, language: &str) -> Option<Value> {
        let mut all = self.seen_by(token).into_iter();
        all.find(|template| template["name"] == name && template["language"] == language)
    }

    /// One that was made, to be changed.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Made> {
        self.made.get_mut(id)
    }

    /// Keeps a new one; its id.
    pub(crate) fn insert(&mut self, token: &str, mut template: Value) -> String {
        let id = format!("91{:013}", rand::random_range(0..10_000_000_000_000_u64));
        template["id"] = json!(id);
        self.made.insert(id.clone(), Made { token: token.to_owned(), template });
        id
    }

    /// Forgets those of a name, or the one with this id; how many.
    pub(crate) fn remove(&mut self, token: &str, name: &str, id: Option<&str>) -> usize {
        let before = self.made.len();
        self.made.retain(|known, made| {
            let meant = made.token == token && made.template["name"] == name;
            !(meant && id.is_none_or(|id| id == known))
        });
        before - self.made.len()
    }
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
