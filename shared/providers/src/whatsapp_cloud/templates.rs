//! Message templates of an account: what it has, and asking Meta for more.
//!
//! Meta has no idempotency keys here either, but a name has one template a language: who is not sure whether a creation
//! arrived looks for it. Refusals of a template's content come as code 100 with a subcode 2388xxx and a sentence for
//! people; the subcode stands in the fault's code.

use domain::template::{Category, ParameterFormat, TemplateStatus};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::client::WhatsAppCloud;
use super::error::SendError;
use super::lenient::{list, text};

/// The account has a template of this name and language already (subcode of code 100).
pub const EXISTS: &str = "2388024";

/// Templates of a page.
const PAGE: usize = 100;

/// Pages at most: an account has 6,000 templates at most.
const PAGES: usize = 100;

/// What is asked of each template.
const FIELDS: &str =
    "id,name,language,status,category,parameter_format,components,quality_score,rejected_reason";

/// The rights to one account. `Debug` shows no token.
#[derive(Clone, Debug)]
pub struct Account {
    /// Meta's id of the WhatsApp Business Account.
    pub waba_id: String,
    /// A system user's or business token.
    pub access_token: SecretString,
}

/// A template as Meta has it.
#[derive(Clone, Debug, PartialEq)]
pub struct MetaTemplate {
    /// Meta's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Where it stands; a word that we do not know is taken for one that does not let it be sent.
    pub status: TemplateStatus,
    /// Meta's word.
    pub category: String,
    /// How its variables are called.
    pub parameter_format: ParameterFormat,
    /// Its components.
    pub components: Value,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    pub quality: Option<String>,
    /// Why it was rejected; `NONE` is nothing.
    pub rejected_reason: Option<String>,
}

/// A template to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewMetaTemplate<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its language.
    pub language: &'a str,
    /// What it is for.
    pub category: &'a str,
    /// How its variables are called.
    pub parameter_format: ParameterFormat,
    /// Its components.
    pub components: &'a Value,
}

/// What Meta says when it took one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Meta's id.
    pub id: String,
    /// Where it stands.
    pub status: TemplateStatus,
    /// What Meta takes it for.
    pub category: Option<String>,
}

impl MetaTemplate {
    fn read(value: &Value) -> Option<Self> {
        Some(Self {
            id: text(value, "id")?,
            name: text(value, "name")?,
            language: text(value, "language")?,
            status: status(value),
            category: text(value, "category").unwrap_or_else(|| Category::Utility.as_str().to_owned()),
            parameter_format: ParameterFormat::from_provider(value["parameter_format"].as_str()),
            components: value
                .get("components")
                .filter(|it| it.is_array())
                .cloned()
                .unwrap_or_else(|| json!([])),
            quality: text(&value["quality_score"], "score"),
            rejected_reason: text(value, "rejected_reason").filter(|reason| reason != "NONE"),
        })
    }
}

fn status(value: &Value) -> TemplateStatus {
    let word = text(value, "status").unwrap_or_default();
    TemplateStatus::from_provider(&word).unwrap_or(TemplateStatus::Locked)
}

impl WhatsAppCloud {
    /// Lists all templates of an account.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again.
    pub async fn list_templates(&self, account: &Account) -> Result<Vec<MetaTemplate>, SendError> {
        self.templates(account, None).await
    }

    /// Finds the template of a name and language.
    ///
    /// # Errors
    /// As [`Self::list_templates`].
    pub async fn find_template(
        &self,
        account: &Account,
        name: &str,
        language: &str,
    ) -> Result<Option<MetaTemplate>, SendError> {
        // Meta looks for names that begin so, and may one day not look at all.
        let found = self.templates(account, Some(name)).await?;
        Ok(found.into_iter().find(|template| template.name == name && template.language == language))
    }

    async fn templates(&self, account: &Account, name: Option<&str>) -> Result<Vec<MetaTemplate>, SendError> {
        let path = format!("{}/message_templates", account.waba_id);
        let limit = PAGE.to_string();
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES {
            let mut query = vec![("fields", FIELDS), ("limit", limit.as_str())];
            query.extend(name.map(|name| ("name", name)));
            query.extend(after.as_deref().map(|after| ("after", after)));
            let request = self.authorised(Method::GET, &path, &account.access_token).query(&query);
            let body = self.call(request).await?.json()?;
            if !body["data"].is_array() {
                return Err(SendError::unreadable("no list of templates in it".to_owned()));
            }
            all.extend(list(&body, "data").iter().filter_map(MetaTemplate::read));
            let next =
                text(&body["paging"]["cursors"], "after").filter(|_| body["paging"].get("next").is_some());
            // A cursor that stands still would never end.
            if next.is_none() || next == after {
                return Ok(all);
            }
            after = next;
        }
        Err(Self::refused("more templates than an account can have"))
    }

    /// Has Meta take a template, and look at it.
    ///
    /// # Errors
    /// [`SendError`]; [`EXISTS`] is the code when there is one of this name and language. After an unknown outcome look for
    /// it before trying again.
    pub async fn create_template(
        &self,
        account: &Account,
        new: &NewMetaTemplate<'_>,
    ) -> Result<Created, SendError> {
        let path = format!("{}/message_templates", account.waba_id);
        let body = json!({
            "name": new.name,
            "language": new.language,
            "category": new.category,
            "parameter_format": new.parameter_format.as_str(),
            "components": new.components,
        });
        let request = self.authorised(Method::POST, &path, &account.access_token).json(&body);
        let answer = self.call(request).await?.json()?;
        let id =
            text(&answer, "id").ok_or_else(|| SendError::unreadable("no template id in it".to_owned()))?;
        let status = if answer["status"].is_string() { status(&answer) } else { TemplateStatus::Pending };
        Ok(Created { id, status, category: text(&answer, "category") })
    }

    /// Has Meta change a template, and look at it again; an approved one once a day and ten times a month.
    ///
    /// # Errors
    /// [`SendError`]; after an unknown outcome look at it before trying again.
    pub async fn edit_template(
        &self,
        account: &Account,
        id: &str,
        category: Option<&str>,
        components: &Value,
    ) -> Result<(), SendError> {
        let mut body = json!({ "components": components });
        if let Some(category) = category {
            body["category"] = json!(category);
        }
        self.call(self.authorised(Method::POST, id, &account.access_token).json(&body)).await?;
        Ok(())
    }

    /// Has Meta delete the template of an id and name, in its one language.
    ///
    /// # Errors
    /// [`SendError`]; an unknown outcome may be tried again. Meta refuses to delete what it has not, too: look for it.
    pub async fn delete_template(&self, account: &Account, id: &str, name: &str) -> Result<(), SendError> {
        let path = format!("{}/message_templates", account.waba_id);
        let request = self.authorised(Method::DELETE, &path, &account.access_token);
        self.call(request.query(&[("hsm_id", id), ("name", name)])).await?;
        Ok(())
    }
}
