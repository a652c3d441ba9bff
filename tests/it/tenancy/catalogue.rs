//! Isolation by the database itself, read from its catalogue: a table that somebody adds is checked without being named
//! here.

use domain::message::MessageStatus;
use sqlx::{PgPool, Row as _};
use testkit::{Stack, Tenant, TenantOptions};

/// Tables with a `company_id`, as the migrations leave them. This list may only grow.
const TENANT_TABLES: &[&str] = &[
    "api_keys",
    "audit_log",
    "board_stages",
    "boards",
    "connection_obstacles",
    "connection_onboardings",
    "connections",
    "contact_addresses",
    "contact_consents",
    "contact_exports",
    "contact_fields",
    "contact_history",
    "contact_import_errors",
    "contact_imports",
    "contact_notes",
    "contact_merge_items",
    "contact_merges",
    "contacts",
    "conversation_terms",
    "conversations",
    "department_members",
    "departments",
    "embedded_signups",
    "erasures",
    "idempotency_keys",
    "inbound_events",
    "invitations",
    "lead_history",
    "leads",
    "media",
    "media_copies",
    "list_contacts",
    "lists",
    "memberships",
    "messages",
    "outbox",
    "personas",
    "quick_replies",
    "session_tags",
    "segments",
    "sessions",
    "tabulations",
    "template_syncs",
    "templates",
    "turns",
];

/// Policies that show or take more than one company's rows, as the catalogue has them. This list may only shrink.
const WIDER: &[&str] = &[
    "account_tokens.cleanup DELETE {mia_system} true",
    "account_tokens.cleanup_read SELECT {mia_system} true",
    "account_tokens.own ALL {mia_app} (user_id = current_user_id()) / (user_id = current_user_id())",
    "account_tokens.shown_account_token SELECT {mia_app} (token_hash = current_key_hash())",
    "api_keys.own_key SELECT {mia_app} (key_hash = current_key_hash())",
    "audit_log.of_own_account INSERT {mia_app} / ((object_kind = 'person'::text) AND (object_id = current_user_id()) AND (COALESCE(actor_id, current_user_id()) = current_user_id()) AND (company_id IN ( SELECT memberships.company_id FROM memberships WHERE ((memberships.user_id = current_user_id()) AND (memberships.deactivated_at IS NULL)))))",
    "companies.own_companies SELECT {mia_app} (id IN ( SELECT memberships.company_id FROM memberships WHERE (memberships.user_id = current_user_id())))",
    "connections.renewal ALL {mia_system} true / true",
    "contacts.searched SELECT {mia_owner} true",
    "embedded_signups.cleanup DELETE {mia_system} true",
    "embedded_signups.cleanup_read SELECT {mia_system} true",
    "idempotency_keys.cleanup DELETE {mia_system} true",
    "idempotency_keys.cleanup_read SELECT {mia_system} true",
    "invitations.shown_invitation SELECT {mia_app} (token_hash = current_key_hash())",
    "leads.searched SELECT {mia_owner} true",
    "login_sessions.cleanup DELETE {mia_system} true",
    "login_sessions.cleanup_read SELECT {mia_system} true",
    "login_sessions.ended_by_company ALL {mia_app} (active_company_id = current_company()) / (active_company_id = current_company())",
    "login_sessions.own ALL {mia_app} (user_id = current_user_id()) / (user_id = current_user_id())",
    "memberships.own_memberships SELECT {mia_app} (user_id = current_user_id())",
    "outbox.relay ALL {mia_system} true / true",
    "refresh_tokens.own ALL {mia_app} (user_id = current_user_id()) / (user_id = current_user_id())",
    "refresh_tokens.shown_refresh_token SELECT {mia_app} (token_hash = current_key_hash())",
    "sessions.silences ALL {mia_system} true / true",
    "template_syncs.upkeep SELECT {mia_system} true",
    "turns.rescue ALL {mia_system} true / true",
    "user_identities.own ALL {mia_app} (user_id = current_user_id()) / (user_id = current_user_id())",
    "user_identities.shown_identity SELECT {mia_app} (((provider || ':'::text) || subject) = current_key_hash())",
    "users.by_email SELECT {mia_app} (email = current_email())",
    "users.colleagues SELECT {mia_app} (id IN ( SELECT memberships.user_id FROM memberships WHERE (memberships.company_id = current_company())))",
    "users.own_user ALL {mia_app} (id = current_user_id()) / (id = current_user_id())",
];

/// Tables with a `company_id`, by their names.
pub(super) async fn tenant_tables(admin: &PgPool) -> Vec<String> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'company_id' AND NOT a.attisdropped
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname",
    )
    .fetch_all(admin)
    .await
    .unwrap();
    for known in TENANT_TABLES {
        assert!(names.iter().any(|name| name == known), "{known} is gone, or has no company_id any more");
    }
    names
}

#[tokio::test]
async fn every_table_with_a_company_forces_row_level_security() {
    let admin = Stack::load().admin();
    let bound: Vec<String> = sqlx::query_scalar(
        "SELECT tablename::text FROM pg_policies
         WHERE schemaname = 'public' AND policyname = 'tenant' AND cmd = 'ALL' AND permissive = 'PERMISSIVE'
           AND roles = '{public}' AND qual = '(company_id = current_company())' AND with_check = qual",
    )
    .fetch_all(&admin)
    .await
    .unwrap();
    for name in tenant_tables(&admin).await {
        assert!(bound.contains(&name), "{name}: no policy binds both what is read and what is written");
    }
    // Those that have no company, too: people, sessions, tokens.
    let tables = sqlx::query(
        "SELECT relname::text AS name, relrowsecurity, relforcerowsecurity FROM pg_class
         WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
           AND (has_table_privilege('mia_app', oid, 'SELECT') OR has_table_privilege('mia_system', oid, 'SELECT'))",
    )
    .fetch_all(&admin)
    .await
    .unwrap();
    assert!(tables.len() > TENANT_TABLES.len());
    for table in &tables {
        let name: String = table.get("name");
        assert!(table.get::<bool, _>("relrowsecurity"), "{name}: row-level security is off");
        assert!(table.get::<bool, _>("relforcerowsecurity"), "{name}: its owner is not bound");
    }
}

#[tokio::test]
async fn wider_policies_are_few_and_known() {
    let admin = Stack::load().admin();
    let policies: Vec<String> = sqlx::query_scalar(
        "SELECT tablename || '.' || policyname || ' ' || cmd || ' ' || roles::text || ' ' || coalesce(qual, '')
                || coalesce(' / ' || with_check, '')
         FROM pg_policies WHERE schemaname = 'public' AND NOT (policyname = 'tenant' AND tablename <> 'companies')
         ORDER BY 1",
    )
    .fetch_all(&admin)
    .await
    .unwrap();
    let own_company = "companies.tenant ALL {public} (id = current_company()) / (id = current_company())";
    let policies = policies.iter().map(|policy| policy.split_whitespace().collect::<Vec<_>>().join(" "));
    let wider: Vec<String> = policies.filter(|policy| policy != own_company).collect();
    for policy in &wider {
        let known = WIDER.contains(&policy.as_str());
        assert!(known, "this policy lets somebody see more than a company: {policy}");
    }
    for known in WIDER {
        assert!(wider.iter().any(|policy| policy == known), "there is no such policy any more: {known}");
    }
}

/// What the system role may do, to tables as a whole and to columns. This list may only shrink.
const SYSTEM_RIGHTS: &[&str] = &[
    "DELETE account_tokens",
    "DELETE embedded_signups",
    "DELETE idempotency_keys",
    "DELETE login_sessions",
    "DELETE outbox",
    "INSERT outbox (attempts, body, claimed_until, company_id, created_at, destination, due_at, id)",
    "SELECT account_tokens (expires_at, purpose, user_id)",
    "SELECT connections (access_token, app_secret, checked_at, company_id, deleted_at, id, kind, registration_pin, state, verify_token, waba_id)",
    "SELECT embedded_signups (code_hash, company_id, created_at)",
    "SELECT idempotency_keys (company_id, created_at, key)",
    "SELECT login_sessions (ended_at, expires_at, id)",
    "SELECT outbox (attempts, body, claimed_until, company_id, created_at, destination, due_at, id)",
    "SELECT sessions (ai_blocked_until, company_id, conversation_id, id)",
    "SELECT template_syncs (company_id, synced_at, waba_id)",
    "SELECT turns (company_id, due_at, id, state, updated_at, version)",
    "UPDATE connections (access_token, app_secret, registration_pin, verify_token)",
    "UPDATE outbox (attempts, body, claimed_until, company_id, created_at, destination, due_at, id)",
    "UPDATE sessions (ai_block_reason, ai_blocked_until, updated_at)",
    "UPDATE turns (updated_at)",
];

#[tokio::test]
async fn the_system_role_has_the_rights_that_its_schedules_need() {
    let mut rights: Vec<String> = sqlx::query_scalar(
        "SELECT privilege_type || ' ' || table_name || ' ('
                || string_agg(column_name, ', ' ORDER BY column_name) || ')'
         FROM information_schema.role_column_grants WHERE grantee = 'mia_system' AND table_schema = 'public'
         GROUP BY privilege_type, table_name
         UNION SELECT 'DELETE ' || table_name FROM information_schema.role_table_grants
         WHERE grantee = 'mia_system' AND privilege_type = 'DELETE'",
    )
    .fetch_all(&Stack::load().admin())
    .await
    .unwrap();
    rights.sort_unstable();
    assert_eq!(rights, SYSTEM_RIGHTS);
}

#[tokio::test]
async fn a_company_sees_no_row_of_another() {
    let stack = Stack::load();
    let options = TenantOptions { at_sandbox: false, ..TenantOptions::default() };
    let tenant = Tenant::seed(&stack, options).await;
    let admin = stack.admin();
    let mut tx = stack.application().begin().await.unwrap();
    sqlx::query("SELECT set_config('app.company_id', $1, true)")
        .bind(stack.demo.company_id.to_string())
        .execute(&mut *tx)
        .await
        .unwrap();
    for table in tenant_tables(&admin).await {
        let seen = format!("SELECT count(*) FROM {table} WHERE company_id <> current_company()");
        let seen: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(seen)).fetch_one(&mut *tx).await.unwrap();
        assert_eq!(seen, 0, "{table}");
        let there = format!("SELECT count(*) FROM {table} WHERE company_id = '{}'", tenant.company_id);
        let there: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(there)).fetch_one(&admin).await.unwrap();
        let seeded = ["api_keys", "connections", "memberships", "personas"].contains(&table.as_str());
        assert!(there > 0 || !seeded, "{table}: there was nothing to see");
    }
}

/// A view reads as its owner, whom a policy may let see more: each has the wall in itself.
#[tokio::test]
async fn a_view_shows_one_company() {
    let stack = Stack::load();
    let views: Vec<(String, String)> = sqlx::query_as(
        "SELECT viewname::text, definition FROM pg_views
         WHERE schemaname = 'public' AND has_table_privilege('mia_app', format('%I.%I', schemaname, viewname), 'SELECT')",
    )
    .fetch_all(&stack.admin())
    .await
    .unwrap();
    assert!(views.iter().any(|(name, _)| name == "searchable_contacts"));
    for (name, definition) in views {
        assert!(definition.contains("company_id = current_company()"), "{name}: {definition}");
        let application = stack.application();
        let all = format!("SELECT count(*) FROM {name}");
        let seen: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(all)).fetch_one(&application).await.unwrap();
        assert_eq!(seen, 0, "{name}: without a company there is nothing to see");
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
