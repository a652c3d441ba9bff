//! Isolation by the database itself, read from its catalogue: a table that somebody adds is checked without being named
//! here.

use domain::message::MessageStatus;
use sqlx::Row as _;
use testkit::Stack;

/// Tables with a `company_id`, as the migrations leave them. This list may only grow.
const TENANT_TABLES: [&str; 17] = [
    "api_keys",
    "audit_log",
    "connections",
    "contact_addresses",
    "contacts",
    "conversations",
    "department_members",
    "departments",
    "idempotency_keys",
    "inbound_events",
    "invitations",
    "memberships",
    "messages",
    "outbox",
    "personas",
    "sessions",
    "turns",
];

#[tokio::test]
async fn every_table_with_a_company_forces_row_level_security() {
    let admin = Stack::load().admin();
    let tables = sqlx::query(
        "SELECT c.oid::bigint AS oid, c.relname::text AS name, c.relrowsecurity, c.relforcerowsecurity
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'company_id' AND NOT a.attisdropped
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname",
    )
    .fetch_all(&admin)
    .await
    .unwrap();
    let names: Vec<String> = tables.iter().map(|table| table.get("name")).collect();
    for known in TENANT_TABLES {
        assert!(names.iter().any(|name| name == known), "{known} is gone, or has no company_id any more");
    }
    for (table, name) in tables.iter().zip(&names) {
        assert!(table.get::<bool, _>("relrowsecurity"), "{name}: row-level security is off");
        assert!(table.get::<bool, _>("relforcerowsecurity"), "{name}: its owner is not bound");
        let bound: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_policy WHERE polrelid = $1::oid AND polcmd = '*' AND polpermissive
                            AND pg_get_expr(polqual, polrelid) LIKE '%company_id = current_company()%'
                            AND pg_get_expr(polwithcheck, polrelid) LIKE '%company_id = current_company()%')",
        )
        .bind(table.get::<i64, _>("oid"))
        .fetch_one(&admin)
        .await
        .unwrap();
        assert!(bound, "{name}: no policy binds both what is read and what is written");
    }
}

#[tokio::test]
async fn wider_policies_are_few_and_known() {
    let admin = Stack::load().admin();
    let wider: Vec<String> = sqlx::query_scalar(
        "SELECT tablename || '.' || policyname FROM pg_policies WHERE schemaname = 'public' AND policyname <> 'tenant'
         ORDER BY 1",
    )
    .fetch_all(&admin)
    .await
    .unwrap();
    let known = [
        "account_tokens.own",
        "account_tokens.shown_account_token",
        "api_keys.own_key",
        "companies.own_companies",
        "invitations.shown_invitation",
        "login_sessions.ended_by_company",
        "login_sessions.own",
        "memberships.own_memberships",
        "outbox.relay",
        "refresh_tokens.own",
        "refresh_tokens.shown_refresh_token",
        "users.by_email",
        "users.colleagues",
        "users.own_user",
    ];
    for policy in &wider {
        assert!(known.contains(&policy.as_str()), "{policy} lets somebody see more than a company");
    }
}

#[tokio::test]
async fn the_application_role_cannot_leave_a_company() {
    let stack = Stack::load();
    let admin = stack.admin();
    for role in ["mia_app", "mia_system"] {
        let row = sqlx::query(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb,
                    (SELECT count(*) FROM pg_class WHERE relowner = r.oid) AS owned,
                    (SELECT count(*) FROM pg_auth_members WHERE member = r.oid) AS memberships
             FROM pg_roles r WHERE rolname = $1",
        )
        .bind(role)
        .fetch_one(&admin)
        .await
        .unwrap();
        for right in ["rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb"] {
            assert!(!row.get::<bool, _>(right), "{role} has {right}");
        }
        assert_eq!(row.get::<i64, _>("owned"), 0, "{role} owns tables");
        assert_eq!(row.get::<i64, _>("memberships"), 0, "{role} may become somebody else");
    }
    let application = stack.application();
    let who: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(&application).await.unwrap();
    assert_eq!(who, "mia_app");
    // Without a company there is nothing to see, in any table.
    for table in TENANT_TABLES {
        let query = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let seen: i64 = sqlx::query_scalar(query).fetch_one(&application).await.unwrap();
        assert_eq!(seen, 0, "{table}");
    }
}

#[tokio::test]
async fn a_row_for_another_company_is_refused() {
    let stack = Stack::load();
    let mut tx = stack.application().begin().await.unwrap();
    sqlx::query("SELECT set_config('app.company_id', $1, true)")
        .bind(stack.demo.company_id.to_string())
        .execute(&mut *tx)
        .await
        .unwrap();
    let seen: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT DISTINCT company_id FROM connections").fetch_all(&mut *tx).await.unwrap();
    assert_eq!(seen, [stack.demo.company_id]);
    let written = sqlx::query(
        "INSERT INTO contacts (company_id, id, source, created_at, updated_at) VALUES ($1, $2, 'x', now(), now())",
    )
    .bind(testkit::new_id())
    .bind(testkit::new_id())
    .execute(&mut *tx)
    .await;
    let error = written.expect_err("another company's row is refused").to_string();
    assert!(error.contains("row-level security"), "{error}");
}

/// Statuses are compared in SQL and in Rust; both must think alike.
#[tokio::test]
async fn sql_ranks_statuses_as_the_domain_does() {
    let admin = Stack::load().admin();
    let all = [
        MessageStatus::Received,
        MessageStatus::Queued,
        MessageStatus::Sending,
        MessageStatus::Unknown,
        MessageStatus::Sent,
        MessageStatus::Delivered,
        MessageStatus::Read,
        MessageStatus::Failed,
    ];
    for status in all {
        let name = serde_json::to_value(status).unwrap();
        let rank: Option<i16> = sqlx::query_scalar("SELECT message_status_rank($1)")
            .bind(name.as_str().unwrap())
            .fetch_one(&admin)
            .await
            .unwrap();
        assert_eq!(rank, Some(status.rank()), "{name}");
    }
    let unknown: Option<i16> =
        sqlx::query_scalar("SELECT message_status_rank('nonsense')").fetch_one(&admin).await.unwrap();
    assert_eq!(unknown, None, "what is no status is refused by the table");
}
