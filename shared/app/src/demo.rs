//! The company that a new installation begins with: something to try everything on.

use cloud::routes::WebhookRoute;
use db::api_keys::ApiKey;
use db::connections::NewConnection;
use db::users::User;
use domain::connection::ConnectionKind;
use domain::persona::Persona;
use domain::user::{Locale, Permission, Role};
use domain::{ApiKeyId, CompanyId, CompanyScope, ConnectionId, UserId};
use secrecy::{ExposeSecret as _, SecretString};

use crate::App;
use crate::auth::{hash_secret, passwords};
use crate::error::{Result, internal};
use crate::sealed::{self, Place};
use crate::webhooks::meta;

/// What the demo company is made of. Ids are handed in: the same ones make the same company, once.
#[derive(Clone, Debug)]
pub struct Demo {
    /// The company.
    pub company_id: CompanyId,
    /// Its name.
    pub company_name: String,
    /// Its owner.
    pub user_id: UserId,
    /// The owner's address.
    pub email: String,
    /// The owner's password.
    pub password: SecretString,
    /// An API key with the owner's rights.
    pub api_key: SecretString,
    /// The key's id.
    pub api_key_id: ApiKeyId,
    /// Who answers.
    pub persona: Persona,
    /// The WhatsApp connection.
    pub connection: DemoConnection,
}

/// A WhatsApp Cloud connection with its secrets in the clear, to be sealed.
#[derive(Clone, Debug)]
pub struct DemoConnection {
    /// Its id.
    pub id: ConnectionId,
    /// What people call it.
    pub name: String,
    /// Its place in webhook addresses.
    pub slug: String,
    /// The Cloud API's id of the number.
    pub phone_number_id: String,
    /// The WhatsApp Business Account.
    pub waba_id: String,
    /// Key of webhook signatures.
    pub app_secret: SecretString,
    /// Token of the verification call.
    pub verify_token: SecretString,
    /// Token of API calls.
    pub access_token: SecretString,
}

/// Makes the demo company unless it is there. The webhook's route is written every time: the table may be new.
///
/// # Errors
/// Database and AWS errors.
pub async fn seed(app: &App, demo: &Demo) -> Result<()> {
    let scope = CompanyScope::assert_verified(demo.company_id);
    let slug_key = meta::route_key(&demo.connection.slug);
    let number_key = meta::number_key(demo.company_id, &demo.connection.phone_number_id);
    for route_key in [slug_key, number_key] {
        put_route(app, demo, route_key).await?;
    }
    let db = app.db().await?;
    let mut tx = db.begin_identity(&db::Principal::Email(demo.email.clone())).await?;
    if db::users::find_by_email(&mut tx, &demo.email).await?.is_some() {
        return Ok(());
    }
    drop(tx);
    let now = app.clock.now();
    let mut tx = db.begin(scope).await?;
    tx.act_as(demo.user_id).await?;
    let user = User {
        id: demo.user_id,
        email: demo.email.clone(),
        name: "Dona da Loja".to_owned(),
        password_hash: Some(passwords::hash(demo.password.clone()).await?),
        email_verified_at: Some(now),
        registration_hash: None,
        locale: Locale::Pt,
    };
    db::users::insert(&mut tx, &user).await?;
    db::companies::insert(&mut tx, &demo.company_name).await?;
    db::members::insert(&mut tx, demo.user_id, Role::Owner).await?;
    let key = demo.api_key.expose_secret();
    let for_keys = Permission::all().filter(|permission| permission.is_for_keys());
    let api_key = ApiKey {
        id: demo.api_key_id,
        name: "Demonstração".to_owned(),
        hint: key[key.len().saturating_sub(4)..].to_owned(),
        permissions: for_keys.map(|permission| permission.as_str().to_owned()).collect(),
        created_by: Some(demo.user_id),
        created_at: now,
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    db::api_keys::insert(&mut tx, &api_key, &hash_secret(key)).await?;
    db::personas::insert(&mut tx, &demo.persona).await?;
    let connection = sealed_connection(app, demo).await?;
    db::connections::insert(&mut tx, &connection, now).await?;
    Ok(tx.commit().await?)
}

async fn put_route(app: &App, demo: &Demo, route_key: String) -> Result<()> {
    let connection = &demo.connection;
    let seal = async |column, value: &SecretString| {
        sealed::seal(app, value, &Place::route(demo.company_id, &route_key, column)).await
    };
    let route = WebhookRoute {
        company_id: demo.company_id,
        connection_id: connection.id,
        provider_account: Some(connection.phone_number_id.clone()),
        app_secret: seal("app_secret", &connection.app_secret).await?,
        verify_token: seal("verify_token", &connection.verify_token).await?,
        updated_at: app.clock.now(),
        route_key: route_key.clone(),
    };
    app.routes.put(&route).await.map_err(internal)
}

async fn sealed_connection(app: &App, demo: &Demo) -> Result<NewConnection> {
    let connection = &demo.connection;
    let seal = async |column, value: &SecretString| {
        let place = Place::connection(demo.company_id, connection.id, column);
        Ok::<_, crate::Error>(String::from(sealed::seal(app, value, &place).await?))
    };
    Ok(NewConnection {
        id: connection.id,
        kind: ConnectionKind::WhatsappCloud,
        name: connection.name.clone(),
        slug: connection.slug.clone(),
        provider_account: connection.phone_number_id.clone(),
        waba_id: Some(connection.waba_id.clone()),
        settings: serde_json::json!({}),
        access_token: seal("access_token", &connection.access_token).await?,
        app_secret: seal("app_secret", &connection.app_secret).await?,
        verify_token: seal("verify_token", &connection.verify_token).await?,
        persona_id: Some(demo.persona.id),
    })
}
