//! What is inside the server: roles, the database, extensions, the schema.

use anyhow::{Context as _, ensure};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::credentials::Credentials;
use crate::layout::Layout;

/// The database's name.
pub const DATABASE: &str = "master_ia";

/// The extensions, which only a superuser may create.
const EXTENSIONS: &str = include_str!("../../extensions.sql");

/// The addresses of the database for each role.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DatabaseUrls {
    /// `mia_app`: what functions use; sees one company at a time.
    pub application: String,
    /// `mia_system`: schedules and the relay.
    pub system: String,
    /// `mia_owner`: owns the schema, runs migrations.
    pub owner: String,
    /// The superuser.
    pub admin: String,
}

impl DatabaseUrls {
    /// Those on the server of `superuser_url`.
    ///
    /// # Errors
    /// When it is no PostgreSQL URL.
    pub fn new(superuser_url: &str, credentials: &Credentials) -> anyhow::Result<Self> {
        let mut url = reqwest::Url::parse(superuser_url).context("DATABASE_URL is not a URL")?;
        ensure!(
            ["postgres", "postgresql"].contains(&url.scheme()) && url.has_host(),
            "DATABASE_URL must begin with postgres:// and name a host"
        );
        url.set_path(DATABASE);
        let with = |role: &str, password: &str| -> anyhow::Result<String> {
            let mut url = url.clone();
            let set = url.set_username(role).and_then(|()| url.set_password(Some(password)));
            set.map_err(|()| anyhow::anyhow!("DATABASE_URL takes no user"))?;
            Ok(url.into())
        };
        Ok(Self {
            application: with("mia_app", &credentials.app_password)?,
            system: with("mia_system", &credentials.system_password)?,
            owner: with("mia_owner", &credentials.owner_password)?,
            admin: url.to_string(),
        })
    }
}

/// Makes roles, database and extensions, as far as they are missing; `superuser_url` is of any existing database.
///
/// # Errors
/// When the server is unreachable, the user no superuser, or an extension not installed.
pub async fn bootstrap(
    superuser_url: &str,
    urls: &DatabaseUrls,
    credentials: &Credentials,
) -> anyhow::Result<()> {
    let mut server = PgConnection::connect(superuser_url)
        .await
        .context("cannot connect to PostgreSQL (to that of DATABASE_URL, if it is set)")?;
    let roles = [
        ("mia_owner", &credentials.owner_password),
        ("mia_app", &credentials.app_password),
        ("mia_system", &credentials.system_password),
    ];
    for (role, password) in roles {
        make_role(&mut server, role, password)
            .await
            .with_context(|| format!("cannot make the role {role}"))?;
    }
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(DATABASE)
        .fetch_one(&mut server)
        .await?;
    if !exists {
        let create = format!("CREATE DATABASE {DATABASE} OWNER mia_owner TEMPLATE template0 ENCODING 'UTF8'");
        execute(&mut server, create).await.context("cannot make the database")?;
    }
    server.close().await?;
    let mut inside = PgConnection::connect(&urls.admin).await?;
    execute(&mut inside, "ALTER SCHEMA public OWNER TO mia_owner".to_owned()).await?;
    execute(&mut inside, EXTENSIONS.to_owned()).await.context("cannot make the extensions")?;
    Ok(inside.close().await?)
}

/// A role that may log in and nothing else: row-level security binds it.
async fn make_role(server: &mut PgConnection, role: &str, password: &str) -> anyhow::Result<()> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
        .bind(role)
        .fetch_one(&mut *server)
        .await?;
    let verb = if exists { "ALTER" } else { "CREATE" };
    // Hexadecimal, so there is nothing to escape.
    ensure!(password.bytes().all(|byte| byte.is_ascii_hexdigit()), "the password is not ours");
    let statement = format!("{verb} ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '{password}'");
    execute(server, statement).await
}

async fn execute(connection: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// Brings the schema up to date, as its owner. Returns the number of migrations there are.
///
/// Reads the files of the checkout instead of what `db` has compiled in: this must also work while the queries of
/// `db` do not fit the schema yet, for it is how they are checked.
///
/// # Errors
/// When a migration fails or one that ran before was changed.
pub async fn migrate(layout: &Layout, owner_url: &str) -> anyhow::Result<usize> {
    let migrator = Migrator::new(layout.checkout.join("shared/db/migrations")).await?;
    let mut connection = PgConnection::connect(owner_url).await?;
    migrator.run(&mut connection).await.context("a migration failed")?;
    connection.close().await?;
    Ok(migrator.iter().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_its_url_on_the_same_server() {
        let folder = std::env::temp_dir().join(format!("database-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("writable");
        let layout = Layout { checkout: folder.clone(), state: folder.clone() };
        let (credentials, fresh) = Credentials::load_or_create(&layout).expect("writable");
        assert!(fresh);
        let urls = DatabaseUrls::new("postgres://root:secret@db.example:5433/postgres", &credentials)
            .expect("valid");
        assert_eq!(urls.admin, "postgres://root:secret@db.example:5433/master_ia");
        let expected = format!("postgres://mia_app:{}@db.example:5433/master_ia", credentials.app_password);
        assert_eq!(urls.application, expected);
        assert!(urls.system.contains("mia_system") && urls.owner.contains("mia_owner"));
        assert!(DatabaseUrls::new("mysql://root@x/y", &credentials).is_err());
        std::fs::remove_dir_all(&folder).expect("removable");
    }
}
