//! How PostgreSQL goes about each list: by an index that is made for it, whatever it is filtered by. The queries are those
//! that the product is compiled with (`.sqlx`), planned as the application's role plans them, below row-level security, in
//! a company of some size beside others.
//!
//! A list of another resource is one more entry of [`LISTS`] and one more `INSERT` of [`fill`].

use std::fmt::Write as _;

use serde_json::Value;
use sqlx::{PgPool, Row as _};
use testkit::{Stack, Tenant, TenantOptions};

use crate::plan::{explain, query};

/// A list: its name, words that only its query has, its parameters from `$1` on as they are without a filter, and what each
/// filter puts in their place. `$company` and the like are ids of [`fill`].
struct List {
    name: &'static str,
    words: &'static [&'static str],
    parameters: &'static [&'static str],
    filters: &'static [(&'static str, &'static [(usize, &'static str)])],
}

const AFTER: &[(usize, &str)] =
    &[(2, "'2026-01-02T00:00:00Z'"), (3, "'00000000-0000-0000-0000-000000000000'")];

const LISTS: [List; 9] = [
    List {
        name: "conversations",
        words: &["FROM conversations c JOIN contacts p", "ORDER BY c.updated_at DESC, c.id DESC"],
        parameters: &[
            "'$company'",
            "NULL",
            "NULL",
            "51",
            "NULL",
            "NULL",
            "NULL",
            "NULL",
            "false",
            "NULL",
            "NULL",
            "NULL",
            "NULL",
            "NULL",
            "false",
            "'{}'",
            "'{}'",
            "'{}'",
            "NULL",
            "NULL",
            "50000",
        ],
        filters: &[
            ("nothing", &[]),
            ("cursor", AFTER),
            ("status", &[(5, "'closed'")]),
            ("connection_id", &[(6, "'$connection'")]),
            ("contact_id", &[(7, "'$contact'")]),
            ("unread", &[(8, "true")]),
            ("read", &[(8, "false")]),
            ("include_groups", &[(9, "true")]),
            ("assignee_id", &[(10, "'$member'")]),
            ("department_id", &[(11, "'$department'")]),
            ("channel of many", &[(13, "ARRAY['$connection']::uuid[]")]),
            ("channel of few", &[(13, "ARRAY['$contact']::uuid[]")]),
            ("tag of few", &[(12, "'raro'"), (14, "ARRAY['$conversation']::uuid[]")]),
            ("tag of many", &[(12, "'comum'")]),
            ("q of few", &[(14, "ARRAY['$conversation']::uuid[]")]),
            ("q of many", &[(15, "true"), (16, "'{ped}'"), (17, "'{(^|[^[:alnum:]])pedido}'")]),
            (
                "q of a name that some have",
                &[(15, "true"), (17, "'{(^|[^[:alnum:]])clara}'"), (19, "'@clara'"), (20, "'@clarb'")],
            ),
        ],
    },
    List {
        name: "terms of conversations, counted",
        words: &[
            "FROM conversation_terms t WHERE t.company_id = $1 AND t.term >= wanted.low",
            "LIMIT wanted.most",
        ],
        parameters: &["'$company'", "'{ped}'", "'{pee}'", "'{5001}'"],
        filters: &[("nothing", &[])],
    },
    List {
        name: "conversations by terms",
        words: &["SELECT DISTINCT t.conversation_id"],
        parameters: &["'$company'", "'{=raro}'", "'{=rarp}'"],
        filters: &[("nothing", &[])],
    },
    List {
        name: "conversations by two terms",
        words: &["SELECT other.conversation_id"],
        parameters: &["'$company'", "'@clara'", "'@clarb'", "'@luiza'", "'@luizb'", "50000", "5001"],
        filters: &[("nothing", &[])],
    },
    List {
        name: "messages",
        words: &["search_words(messages.text) @> $8"],
        parameters: &["'$company'", "NULL", "NULL", "51", "NULL", "NULL", "NULL", "'{}'"],
        filters: &[
            ("nothing", &[]),
            ("cursor", AFTER),
            ("conversation_id", &[(5, "'$conversation'")]),
            ("contact_id", &[(6, "'$contact'")]),
            ("q of few", &[(7, "ARRAY['$conversation']::uuid[]"), (8, "'{ped}'")]),
            ("q of many", &[(8, "'{ped}'")]),
        ],
    },
    List {
        name: "messages of a conversation",
        words: &["company_id = $1 AND conversation_id = $5 AND (occurred_at, id) <"],
        parameters: &["'$company'", "NULL", "NULL", "51", "'$conversation'"],
        filters: &[("nothing", &[]), ("cursor", AFTER)],
    },
    List {
        name: "notes of a conversation",
        words: &["company_id = $1 AND conversation_id = $5 AND type = 'note'"],
        parameters: &["'$company'", "NULL", "NULL", "51", "'$conversation'"],
        filters: &[("nothing", &[]), ("cursor", AFTER)],
    },
    List {
        name: "sessions",
        words: &["FROM sessions WHERE company_id = $1 AND (created_at, id) <"],
        parameters: &["'$company'", "NULL", "NULL", "51", "NULL", "NULL", "NULL", "NULL"],
        filters: &[
            ("nothing", &[]),
            ("cursor", AFTER),
            ("status", &[(5, "'PAUSED'")]),
            ("contact_id", &[(6, "'$contact'")]),
            ("agent_id", &[(7, "'$member'")]),
            ("department_id", &[(8, "'$department'")]),
        ],
    },
    List {
        name: "sessions with a tag",
        words: &["FROM session_tags t JOIN sessions s"],
        parameters: &["'$company'", "NULL", "NULL", "51", "NULL", "NULL", "NULL", "NULL", "'raro'"],
        filters: &[("nothing", &[]), ("cursor", AFTER), ("status", &[(5, "'PAUSED'")])],
    },
];

/// Ids of a company that has thousands of everything.
struct Filled {
    company: String,
    connection: String,
    member: String,
    department: String,
    contact: String,
    conversation: String,
}

/// Fills a company: every fortieth conversation held by somebody, every hundredth by one department, one in a thousand with a
/// rare tag, every second with a common one. Half of the names have one word, half another, and one in a thousand both.
async fn fill(admin: &PgPool, tenant: &Tenant) -> Filled {
    let company = tenant.company_id;
    let mut tx = admin.begin().await.unwrap();
    for statement in [
        "INSERT INTO departments (company_id, id, name, created_at) VALUES ($1, gen_random_uuid(), 'Vendas', now())",
        "INSERT INTO contacts (company_id, id, name, phone, source, created_at, updated_at)
         SELECT $1, gen_random_uuid(),
                'Maria ' || CASE WHEN n % 1000 = 0 THEN 'Clara Luiza ' WHEN n % 2 = 0 THEN 'Clara ' ELSE 'Luiza ' END
                    || md5(n::text), '+5562' || (900000000 + n), 'api',
                '2026-01-01'::timestamptz + n * interval '1 s', now()
         FROM generate_series(1, 12000) AS n",
        "INSERT INTO conversations (company_id, id, connection_id, thread_key, contact_id, channel, address_kind,
             address_value, created_at, updated_at, unread_count, status, is_group, tags, assignee_id, department_id)
         SELECT $1, gen_random_uuid(), n.id, p.id::text, p.id, 'whatsapp_cloud', 'e164', p.phone, p.created_at,
                p.created_at, (p.n % 50 = 0)::int, CASE WHEN p.n % 20 = 0 THEN 'closed' ELSE 'open' END, p.n % 30 = 0,
                CASE WHEN p.n % 1000 = 0 THEN '{raro}'::text[] WHEN p.n % 2 = 1 THEN '{comum}' ELSE '{}' END,
                CASE WHEN p.n % 40 = 0 THEN (SELECT user_id FROM memberships WHERE company_id = $1) END,
                CASE WHEN p.n % 100 = 0 THEN (SELECT id FROM departments WHERE company_id = $1) END
         FROM (SELECT *, row_number() OVER (ORDER BY created_at) AS n FROM contacts WHERE company_id = $1) AS p,
              (SELECT id FROM connections WHERE company_id = $1) AS n",
        "INSERT INTO sessions (company_id, id, conversation_id, contact_id, status, started_by, created_at, updated_at,
             assigned_agent_id, assigned_department_id, tabulations)
         SELECT $1, gen_random_uuid(), id, contact_id, CASE WHEN n % 25 = 0 THEN 'PAUSED' ELSE 'ACTIVE' END, 'CUSTOMER',
                created_at, created_at, assignee_id, department_id, tags
         FROM (SELECT *, row_number() OVER (ORDER BY created_at) AS n FROM conversations WHERE company_id = $1) AS c",
        "INSERT INTO messages (company_id, id, conversation_id, session_id, connection_id, contact_id, direction, author,
             type, text, status, occurred_at, created_at)
         SELECT $1, gen_random_uuid(), c.id, s.id, c.connection_id, c.contact_id, 'outbound', 'AGENT',
                CASE WHEN part = 4 AND c.unread_count > 0 THEN 'note' ELSE 'text' END,
                CASE WHEN part = 1 THEN 'Seu pedido' ELSE 'Mensagem ' || md5(c.id::text || part) END, 'sent',
                c.created_at + part * interval '1 min', now()
         FROM conversations c JOIN sessions s ON s.company_id = $1 AND s.conversation_id = c.id,
              generate_series(1, 4) AS part
         WHERE c.company_id = $1",
    ] {
        sqlx::query(statement).bind(company).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    // Indexes of words wait in lists until they are tidied up; and a plan is made by what is known of the tables.
    for table in ["contacts", "conversations", "conversation_terms", "sessions", "session_tags", "messages"] {
        let vacuum = sqlx::AssertSqlSafe(format!("VACUUM (ANALYZE) {table}"));
        sqlx::query(vacuum).execute(admin).await.unwrap();
    }
    let row = sqlx::query(
        "SELECT m.user_id::text AS member, d.id::text AS department, c.id::text AS conversation,
                c.contact_id::text AS contact
         FROM memberships m, departments d, conversations c
         WHERE m.company_id = $1 AND d.company_id = $1 AND c.company_id = $1 AND 'raro' = ANY(c.tags)
           AND NOT c.is_group
         ORDER BY c.created_at LIMIT 1",
    )
    .bind(company)
    .fetch_one(admin)
    .await
    .unwrap();
    let text = |name: &str| row.get::<String, _>(name);
    Filled {
        company: company.to_string(),
        connection: tenant.connection_id.to_string(),
        member: text("member"),
        department: text("department"),
        contact: text("contact"),
        conversation: text("conversation"),
    }
}

impl Filled {
    fn put_in(&self, text: &str) -> String {
        text.replace("$company", &self.company)
            .replace("$connection", &self.connection)
            .replace("$member", &self.member)
            .replace("$department", &self.department)
            .replace("$contact", &self.contact)
            .replace("$conversation", &self.conversation)
    }
}

/// The outline of a plan: kinds of nodes, and which index of which table. Whether an index is read alone, with its table or
/// by way of a bitmap depends on when the table was last cleaned: it is one kind here.
fn outline(node: &Value, depth: usize, text: &mut String) {
    let word = |name: &str| node[name].as_str().unwrap_or_default();
    let (kind, index) = match word("Node Type") {
        "Index Only Scan" => ("Index Scan", word("Index Name")),
        "Bitmap Heap Scan" if node["Plans"][0]["Node Type"] == "Bitmap Index Scan" => {
            ("Index Scan", node["Plans"][0]["Index Name"].as_str().unwrap())
        }
        "Bitmap Index Scan" => return,
        other => (other, word("Index Name")),
    };
    write!(text, "{}{kind}", "  ".repeat(depth)).unwrap();
    for (before, name) in [(" using ", index), (" on ", word("Relation Name"))] {
        if !name.is_empty() {
            write!(text, "{before}{name}").unwrap();
        }
    }
    text.push('\n');
    for below in node["Plans"].as_array().into_iter().flatten() {
        outline(below, depth + 1, text);
    }
}

#[tokio::test]
async fn every_list_goes_by_an_index_whatever_it_is_filtered_by() {
    let stack = Stack::load();
    let tenant = Tenant::seed(&stack, TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    let filled = fill(&stack.admin(), &tenant).await;
    let application = stack.application();
    let mut outlines = String::new();
    for list in LISTS {
        let query = query(list.words);
        for (filter, changed) in list.filters {
            let mut values: Vec<String> = list.parameters.iter().map(|value| filled.put_in(value)).collect();
            for (place, value) in *changed {
                values[place - 1] = filled.put_in(value);
            }
            writeln!(outlines, "# {}: {filter}", list.name).unwrap();
            let plan =
                explain(&application, &filled.company, &query, &values.join(", "), "(FORMAT JSON)", &[])
                    .await;
            let plan: Value = serde_json::from_str(&plan).unwrap();
            outline(&plan[0]["Plan"], 0, &mut outlines);
        }
    }
    insta::assert_snapshot!("plans", outlines);
    assert!(!outlines.contains("Seq Scan"), "a table is read from its beginning to its end");
}

/// What many conversations have is asked of each on the way, and a page has the same order and no row twice.
#[tokio::test]
async fn what_many_have_is_found_page_by_page() {
    let stack = Stack::load();
    let tenant = Tenant::seed(&stack, TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    let filled = fill(&stack.admin(), &tenant).await;
    let api = &tenant.api;
    let queries = [
        ("q=maria", 120),
        ("q=pedidos", 120),
        ("q=mar%20pedido", 0),
        ("q=clara%20luiza", 8),
        ("q=clara%20maria", 120),
        ("tag=comum", 120),
        ("tag=raro", 8),
        ("tag=raro&q=maria", 8),
        ("tag=raro&q=luiza%20clara", 8),
    ];
    for (query, expected) in queries {
        let mut seen = std::collections::BTreeSet::new();
        let mut last = String::from("9999");
        let mut cursor = String::new();
        for _ in 0..3 {
            let path = format!("conversations?{query}&limit=40{cursor}");
            let page = api.get(&path).await.expect_status(200).body;
            for item in page["items"].as_array().unwrap() {
                assert!(seen.insert(item["id"].as_str().unwrap().to_owned()), "{query}: a row twice");
                let at = item["updated_at"].as_str().unwrap().to_owned();
                assert!(at <= last, "{query}: out of order");
                last = at;
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), expected, "{query}");
        assert_eq!(seen.contains(&filled.conversation), expected == 8, "{query}");
    }
}
