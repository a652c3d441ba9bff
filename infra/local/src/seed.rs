//! The demo company.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::credentials::Credentials;
use crate::deploy::Deployment;
use crate::sandbox;

/// What a person or a script needs to know of the demo company; goes into `stack.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Demo {
    /// Its owner's address.
    pub email: String,
    /// Its owner's password.
    pub password: String,
    /// The company.
    pub company_id: Uuid,
    /// A key for `Authorization: Bearer`, with the owner's rights.
    pub api_key: String,
    /// Its connections.
    pub connections: Connections,
}

/// Connections of the demo company, by kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connections {
    /// To the Cloud API, for which the sandbox stands in.
    pub whatsapp_cloud: WhatsAppCloud,
}

/// A WhatsApp Cloud connection, with what it takes to play Meta's part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WhatsAppCloud {
    /// Its id.
    pub id: Uuid,
    /// Last part of its webhook address.
    pub slug: String,
    /// Its number at the Cloud API.
    pub phone_number_id: String,
    /// Key of the webhook signatures.
    pub app_secret: String,
    /// What is repeated when the webhook is subscribed.
    pub verify_token: String,
}

/// Its owner's address.
const EMAIL: &str = "dono@demo.local";

impl Demo {
    /// The one that belongs to these credentials.
    pub fn new(credentials: &Credentials) -> Self {
        let demo = credentials.demo.clone();
        Self {
            email: EMAIL.to_owned(),
            password: demo.password,
            company_id: demo.company_id,
            api_key: demo.api_key,
            connections: Connections {
                whatsapp_cloud: WhatsAppCloud {
                    id: demo.connection_id,
                    slug: demo.slug,
                    phone_number_id: sandbox::PHONE_NUMBER_ID.to_owned(),
                    app_secret: demo.app_secret,
                    verify_token: demo.verify_token,
                },
            },
        }
    }
}

/// Writes the demo company, unless it is there, and its webhook route, which the emulator forgets.
///
/// # Errors
/// When database or emulator refuse; in a build without the feature `seed`.
#[cfg(feature = "seed")]
pub async fn run(deployment: &Deployment, credentials: &Credentials) -> anyhow::Result<Demo> {
    use std::sync::Arc;

    let settings = app::Settings {
        database_secret: deployment.database_secret.clone(),
        master_key_secret: deployment.output("MasterKeySecretArn")?.to_owned(),
        webhook_routes_table: deployment.output("WebhookRoutesTableName")?.to_owned(),
        ..app::Settings::default()
    };
    let configuration = crate::deploy::configuration(&deployment.aws_endpoint_url).await;
    let app = app::App::new(Arc::new(SystemClock), settings, &cloud::Aws::with_config(configuration));
    app::demo::seed(&app, &company(credentials)).await?;
    Ok(Demo::new(credentials))
}

/// As above, of a build that only starts databases.
///
/// # Errors
/// Always.
#[cfg(not(feature = "seed"))]
pub async fn run(_deployment: &Deployment, _credentials: &Credentials) -> anyhow::Result<Demo> {
    anyhow::bail!("this build of `local` only starts databases: it lacks the feature `seed`")
}

#[cfg(feature = "seed")]
struct SystemClock;

#[cfg(feature = "seed")]
impl app::Clock for SystemClock {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        chrono::Utc::now()
    }

    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

#[cfg(feature = "seed")]
fn company(credentials: &Credentials) -> app::demo::Demo {
    use domain::{ApiKeyId, CompanyId, ConnectionId, PersonaId, UserId};

    let demo = &credentials.demo;
    app::demo::Demo {
        company_id: CompanyId(demo.company_id),
        company_name: "Loja Demo".to_owned(),
        user_id: UserId(demo.user_id),
        email: EMAIL.to_owned(),
        password: demo.password.clone().into(),
        api_key: demo.api_key.clone().into(),
        api_key_id: ApiKeyId(demo.api_key_id),
        persona: domain::persona::Persona {
            id: PersonaId(demo.persona_id),
            name: "Bia".to_owned(),
            model: "gpt-4.1-mini".to_owned(),
            instructions: INSTRUCTIONS.to_owned(),
            temperature: Some(0.4),
            max_completion_tokens: Some(400),
        },
        connection: app::demo::DemoConnection {
            id: ConnectionId(demo.connection_id),
            name: "WhatsApp da loja".to_owned(),
            slug: demo.slug.clone(),
            phone_number_id: sandbox::PHONE_NUMBER_ID.to_owned(),
            waba_id: sandbox::WABA_ID.to_owned(),
            app_secret: demo.app_secret.clone().into(),
            verify_token: demo.verify_token.clone().into(),
            access_token: demo.access_token.clone().into(),
        },
    }
}

/// What the demo company's AI is told.
#[cfg(feature = "seed")]
const INSTRUCTIONS: &str = "\
Você é a Bia, atendente virtual da Loja Demo, uma loja de roupas e acessórios em Goiânia.
Responda em português do Brasil, com simpatia e em poucas frases, como numa conversa de WhatsApp.
A loja entrega em Goiânia e Aparecida de Goiânia em até 2 dias úteis; frete grátis acima de R$ 200.
Horário de atendimento: segunda a sábado, das 9h às 19h. Pagamento por Pix, cartão ou boleto.
Trocas em até 30 dias, com a etiqueta. Se não souber algo, diga que vai chamar uma pessoa da equipe.";
