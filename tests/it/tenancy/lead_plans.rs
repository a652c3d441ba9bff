//! Lists of leads enter the indexes that are made for them, as the application's role: row-level security keeps some
//! conditions from it.

use sqlx::{PgPool, Row as _};
use testkit::{Stack, Tenant, TenantOptions, new_id};
use uuid::Uuid;

use crate::plan::{explain, query};

/// Three thousand leads on thirty stages of three boards; one of them.
async fn fill(admin: &PgPool, company_id: Uuid) -> sqlx::postgres::PgRow {
    let statements = [
        "INSERT INTO boards (company_id, id, name, created_at, updated_at)
         SELECT $1, gen_random_uuid(), 'Vendas ' || g, now(), now() FROM generate_series(1, 3) g",
        "INSERT INTO board_stages (company_id, id, board_id, name, colour, kind, position, created_at)
         SELECT $1, gen_random_uuid(), id, 'Etapa', '#64748b', 'open', g, now()
         FROM boards, generate_series(0, 9) g WHERE company_id = $1",
        "INSERT INTO contacts (company_id, id, source, created_at, updated_at)
         SELECT $1, gen_random_uuid(), 'api', now(), now() FROM generate_series(1, 300)",
        "INSERT INTO leads (company_id, id, board_id, stage_id, place, title, value, currency, owner_id, contact_id,
                            created_at, updated_at)
         SELECT $1, gen_random_uuid(), s.board_id, s.id, 'c' || lpad(g::text, 3, '0'), 'Plano ' || md5(g::text || s.id),
                g, 'BRL', CASE WHEN g = 1 THEN m.user_id END, c.id, now() - g * interval '1 minute', now()
         FROM (SELECT *, row_number() OVER () AS number FROM board_stages WHERE company_id = $1) s
         CROSS JOIN generate_series(1, 100) g
         JOIN (SELECT id, row_number() OVER () AS number FROM contacts WHERE company_id = $1) c
             ON c.number = (s.number * 100 + g) % 300 + 1
         JOIN memberships m ON m.company_id = $1",
        "INSERT INTO lead_history (company_id, id, lead_id, at, kind, actor_kind)
         SELECT $1, gen_random_uuid(), id, now(), 'created', 'system' FROM leads WHERE company_id = $1",
    ];
    for statement in statements {
        sqlx::query(statement).bind(company_id).execute(admin).await.unwrap();
    }
    // What was written last waits beside a GIN index, which looks dear until it is taken in.
    sqlx::raw_sql("VACUUM (ANALYZE) boards, board_stages, contacts, leads, lead_history")
        .execute(admin)
        .await
        .unwrap();
    let one = "SELECT id, board_id, stage_id, owner_id, contact_id FROM leads
               WHERE company_id = $1 AND owner_id IS NOT NULL LIMIT 1";
    sqlx::query(one).bind(company_id).fetch_one(admin).await.unwrap()
}

#[tokio::test]
async fn lists_of_leads_enter_their_indexes() {
    let stack = Stack::load();
    let tenant = Tenant::seed(&stack, TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    let lead = fill(&stack.admin(), tenant.company_id).await;
    let id = |name: &str| lead.get::<Uuid, _>(name);
    let (board, stage, owner) = (id("board_id"), id("stage_id"), id("owner_id"));
    let (contact, cursor) = (id("contact_id"), new_id());
    let newest = "ORDER BY created_at DESC, id DESC LIMIT $4) AS l";
    let in_stage = "ORDER BY place LIMIT $4) AS l";
    let application = stack.application();
    for (words, parameters, index, condition) in [
        (newest, "NULL, NULL, 51, NULL, NULL, NULL, NULL".to_owned(), "leads_newest", "created_at"),
        (
            newest,
            format!("now(), '{cursor}', 51, NULL, NULL, NULL, NULL"),
            "leads_newest",
            "ROW(created_at, id)",
        ),
        (
            newest,
            format!("now(), '{cursor}', 51, '{board}', NULL, NULL, NULL"),
            "leads_board",
            "ROW(created_at, id)",
        ),
        (newest, format!("NULL, NULL, 51, NULL, '{owner}', NULL, NULL"), "leads_owner", "owner_id ="),
        (newest, format!("NULL, NULL, 51, NULL, NULL, '{contact}', NULL"), "leads_contact", "contact_id ="),
        (
            newest,
            "NULL, NULL, 51, NULL, NULL, NULL, '%Pláno 7f3a9%'".to_owned(),
            "leads_search",
            "search ~~ '%plano 7f3a9%'",
        ),
        (in_stage, format!("'{stage}', NULL, 51, NULL, NULL, NULL, NULL"), "leads_place", "stage_id ="),
        (in_stage, format!("'{stage}', 'c050', 51, NULL, NULL, NULL, NULL"), "leads_place", "place > 'c050'"),
        ("AS sums ON true", format!("'{board}'"), "leads_sums", "stage_id ="),
        (
            "FROM lead_history WHERE company_id = $1 AND lead_id = $2",
            format!("'{}', now(), '{cursor}', 51", id("id")),
            "lead_history_lead",
            "lead_id =",
        ),
    ] {
        let values = format!("'{}', {parameters}", tenant.company_id);
        let plan =
            explain(&application, tenant.company_id, &query(&[words]), &values, "", &["seqscan"]).await;
        let entered = plan.split(&format!(" {index} ")).nth(1).or(plan.split(&format!(" {index}  ")).nth(1));
        let entered = entered.unwrap_or_else(|| panic!("{parameters}: {index} is not asked: {plan}"));
        let conditions = entered.lines().find(|line| line.trim_start().starts_with("Index Cond:"));
        let conditions = conditions.unwrap_or_else(|| panic!("{plan}"));
        assert!(conditions.contains("company_id =") && conditions.contains(condition), "{condition}: {plan}");
    }
}
