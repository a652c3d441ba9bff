//! A company of the test's own: owner, API key, persona, WhatsApp connection, and a number at the sandbox.

use app::demo::{Demo, DemoConnection};
use domain::persona::Persona;
use domain::{ApiKeyId, CompanyId, ConnectionId, PersonaId, UserId};
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use crate::{Api, Cloud, Sandbox, Stack, new_id, new_word};

/// What a test wants of its company.
#[derive(Clone, Debug)]
pub struct TenantOptions {
    /// The AI answers.
    pub persona: bool,
    /// The number's id at the Cloud API; a new one by default.
    pub phone_number_id: Option<String>,
    /// The sandbox knows the number and posts its webhooks to the connection.
    pub at_sandbox: bool,
}

impl Default for TenantOptions {
    fn default() -> Self {
        Self { persona: false, phone_number_id: None, at_sandbox: true }
    }
}

/// A company of the test's own.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id.
    pub company_id: Uuid,
    /// Its owner's address.
    pub email: String,
    /// Its owner's password.
    pub password: String,
    /// Its API key.
    pub api_key: String,
    /// Its WhatsApp connection.
    pub connection_id: Uuid,
    /// The connection's place in webhook addresses.
    pub slug: String,
    /// Where the connection's webhooks are posted to.
    pub webhook_url: String,
    /// The Cloud API's id of the number.
    pub phone_number_id: String,
    /// The WhatsApp Business Account.
    pub waba_id: String,
    /// Key of webhook signatures.
    pub app_secret: String,
    /// Token of the verification call.
    pub verify_token: String,
    /// A client that speaks with the company's API key.
    pub api: Api,
}

impl Tenant {
    /// Makes one.
    ///
    /// # Panics
    /// When the stack refuses.
    pub async fn seed(stack: &Stack, options: TenantOptions) -> Self {
        let cloud = Cloud::of(stack).await;
        Self::seed_with(stack, &cloud, options).await
    }

    /// Makes one, with a connection to the AWS side that is there already.
    ///
    /// # Panics
    /// When the stack refuses.
    pub async fn seed_with(stack: &Stack, cloud: &Cloud, options: TenantOptions) -> Self {
        let word = new_word("teste-");
        let slug = word.clone();
        let api_key = format!("mia_{}{}", new_id().simple(), new_id().simple());
        let tenant = Self {
            company_id: new_id(),
            email: format!("{word}@example.com"),
            password: new_word("senha-"),
            api: Api::anonymous(stack).with(&api_key),
            api_key,
            connection_id: new_id(),
            webhook_url: stack.meta_webhook(&slug),
            slug,
            phone_number_id: options.phone_number_id.clone().unwrap_or_else(|| {
                (200_000_000_000_000 + new_id().as_u128() % 99_999_999_999_999).to_string()
            }),
            waba_id: "100000000000001".to_owned(),
            app_secret: new_id().simple().to_string(),
            verify_token: new_word("verify-"),
        };
        let access_token = format!("EAA{}", new_id().simple());
        app::demo::seed(&cloud.app(stack), &tenant.demo(&access_token)).await.expect("a company is seeded");
        if !options.persona {
            sqlx::query("UPDATE connections SET persona_id = NULL WHERE id = $1")
                .bind(tenant.connection_id)
                .execute(&stack.admin())
                .await
                .expect("the connection is there");
        }
        if options.at_sandbox {
            let line = json!({
                "phone_number_id": tenant.phone_number_id,
                "waba_id": tenant.waba_id,
                "display_phone": "16505550100",
                "verified_name": "Loja de Teste",
                "access_token": access_token,
                "app_secret": tenant.app_secret,
                "verify_token": tenant.verify_token,
                "webhook_url": tenant.webhook_url,
            });
            Sandbox::of(stack).post("lines", &line).await;
        }
        tenant
    }

    fn demo(&self, access_token: &str) -> Demo {
        let secret = |text: &str| SecretString::from(text.to_owned());
        Demo {
            company_id: CompanyId(self.company_id),
            company_name: format!("Empresa {}", self.slug),
            user_id: UserId(new_id()),
            email: self.email.clone(),
            password: secret(&self.password),
            api_key: secret(&self.api_key),
            api_key_id: ApiKeyId(new_id()),
            persona: Persona {
                id: PersonaId(new_id()),
                name: "Lia".to_owned(),
                model: "gpt-4o-mini".to_owned(),
                instructions: "Você é Lia, atendente da loja. Responda em português, em poucas frases."
                    .to_owned(),
                temperature: None,
                max_completion_tokens: Some(400),
            },
            connection: DemoConnection {
                id: ConnectionId(self.connection_id),
                name: "WhatsApp de teste".to_owned(),
                slug: self.slug.clone(),
                phone_number_id: self.phone_number_id.clone(),
                waba_id: self.waba_id.clone(),
                app_secret: secret(&self.app_secret),
                verify_token: secret(&self.verify_token),
                access_token: secret(access_token),
            },
        }
    }
}
