//! How PostgreSQL goes about each list: by an index that is made for it, whatever it is filtered by. The queries are those
//! that the product is compiled with (`.sqlx`), planned as the application's role plans them, below row-level security, in
//! a company of some size beside others.
//!
//! A list of another resource is one more entry of [`LISTS`] and one more `INSERT` of [`fill`]. Rooms: [`contacts`] contacts
//! and what there is of one · [`company`] what a company sets up for itself; the inbox is here.

mod company;
mod contacts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;
use sqlx::PgPool;
use testkit::{Stack, Tenant, TenantOptions};

use crate::plan::{explain, query};

/// A list: its name, words that only its query has, how many parameters it has, which of them are given without a filter (the
/// others are NULL), and what each filter gives. `$company` and the like are ids of [`Filled`].
struct List {
    name: &'static str,
    words: &'static [&'static str],
    parameters: usize,
    given: &'static [(usize, &'static str)],
    filters: &'static [(&'static str, &'static [(usize, &'static str)])],
}

const AFTER: &[(usize, &str)] =
    &[(2, "'2026-01-02T00:00:00Z'"), (3, "'00000000-0000-0000-0000-000000000000'")];

const LISTS: &[List] = &[
    List {
        name: "conversations",
        words: &["FROM conversations c JOIN contacts p", "ORDER BY c.updated_at DESC, c.id DESC"],
        parameters: 22,
        given: &[
            (1, "'$company'"),
            (4, "51"),
            (9, "false"),
            (15, "false"),
            (16, "'{}'"),
            (17, "'{}'"),
            (18, "'{}'"),
            (21, "50000"),
        ],
        filters: &[
            ("nothing", &[]),
            ("cursor", AFTER),
            ("assigned", &[(22, "true")]),
            ("not assigned", &[(22, "false")]),
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
        parameters: 4,
        given: &[(1, "'$company'"), (2, "'{ped}'"), (3, "'{pee}'"), (4, "'{5001}'")],
        filters: &[("nothing", &[])],
    },
    List {
        name: "conversations by terms",
        words: &["SELECT DISTINCT t.conversation_id"],
        parameters: 3,
        given: &[(1, "'$company'"), (2, "'{=raro}'"), (3, "'{=rarp}'")],
        filters: &[("nothing", &[])],
    },
    List {
        name: "conversations by two terms",
        words: &["SELECT other.conversation_id"],
        parameters: 7,
        given: &[
            (1, "'$company'"),
            (2, "'@clara'"),
            (3, "'@clarb'"),
            (4, "'@luiza'"),
            (5, "'@luizb'"),
            (6, "50000"),
            (7, "5001"),
        ],
        filters: &[("nothing", &[])],
    },
    List {
        name: "messages",
        words: &["search_words(messages.text) @> $8"],
        parameters: 8,
        given: &[(1, "'$company'"), (4, "51"), (8, "'{}'")],
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
        parameters: 5,
        given: &[(1, "'$company'"), (4, "51"), (5, "'$conversation'")],
        filters: &[("nothing", &[]), ("cursor", AFTER)],
    },
    List {
        name: "messages of a session",
        words: &["company_id = $1 AND session_id = $5 AND (occurred_at, id) <"],
        parameters: 5,
        given: &[(1, "'$company'"), (4, "51"), (5, "'$session'")],
        filters: &[("nothing", &[]), ("cursor", AFTER)],
    },
    List {
        name: "messages of a contact",
        words: &["company_id = $1 AND contact_id = $5 AND (occurred_at, id) >"],
        parameters: 5,
        given: &[(1, "'$company'"), (4, "51"), (5, "'$contact'")],
        filters: &[("nothing", &[]), ("cursor", AFTER)],
    },
    List {
        name: "notes of a conversation",
        words: &["company_id = $1 AND conversation_id = $5 AND type = 'note'"],
        parameters: 5,
        given: &[(1, "'$company'"), (4, "51"), (5, "'$conversation'")],
        filters: &[("nothing", &[]), ("cursor", AFTER)],
    },
    List {
        name: "sessions",
        words: &["FROM sessions WHERE company_id = $1 AND (created_at, id) <"],
        parameters: 8,
        given: &[(1, "'$company'"), (4, "51")],
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
        parameters: 9,
        given: &[(1, "'$company'"), (4, "51"), (9, "'raro'")],
        filters: &[("nothing", &[]), ("cursor", AFTER), ("status", &[(5, "'PAUSED'")])],
    },
];

/// Ids of a company that has thousands of everything, by name.
struct Filled(BTreeMap<String, String>);

/// Fills a company: every fortieth conversation held by somebody, every hundredth by one department, one in a thousand with a
/// rare tag, every second with a common one. Half of the names have one word, half another, and one in a thousand both.
/// One contact in a thousand was imported and has a rare tag, one in five hundred wants no messages.
async fn fill(admin: &PgPool, tenant: &Tenant) -> Filled {
    let company = tenant.company_id;
    let mut tx = admin.begin().await.unwrap();
    for statement in [
        "INSERT INTO departments (company_id, id, name, created_at) VALUES ($1, gen_random_uuid(), 'Vendas', now())",
        "INSERT INTO contacts (company_id, id, name, phone, source, opted_out_at, tags, created_at, updated_at)
         SELECT $1, gen_random_uuid(),
                'Maria ' || CASE WHEN n % 1000 = 0 THEN 'Clara Luiza ' WHEN n % 2 = 0 THEN 'Clara ' ELSE 'Luiza ' END
                    || md5(n::text), '+5562' || (900000000 + n), CASE WHEN n % 1000 = 0 THEN 'import' ELSE 'api' END,
                CASE WHEN n % 500 = 0 THEN now() END, CASE WHEN n % 1000 = 0 THEN '{raro}'::text[] ELSE '{}' END,
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
    tidy(admin, &["contacts", "conversations", "conversation_terms", "sessions", "session_tags", "messages"])
        .await;
    ids(
        admin,
        tenant,
        "SELECT jsonb_build_object('company', m.company_id, 'connection', c.connection_id, 'member', m.user_id,
                                   'department', d.id, 'conversation', c.id, 'contact', c.contact_id, 'session', s.id)
         FROM memberships m, departments d, conversations c, sessions s
         WHERE m.company_id = $1 AND d.company_id = $1 AND c.company_id = $1 AND 'raro' = ANY(c.tags)
           AND NOT c.is_group AND s.company_id = $1 AND s.conversation_id = c.id
         ORDER BY c.created_at LIMIT 1",
    )
    .await
}

/// Adds what the company's contacts have, and what it has set up for itself.
async fn fill_all(admin: &PgPool, tenant: &Tenant) -> Filled {
    let mut filled = fill(admin, tenant).await;
    for statements in [company::FILL, contacts::FILL] {
        let statements = sqlx::AssertSqlSafe(filled.put_in(statements));
        sqlx::raw_sql(statements).execute(admin).await.unwrap();
    }
    tidy(admin, &[company::TABLES, contacts::TABLES].concat()).await;
    let more = ids(
        admin,
        tenant,
        "SELECT jsonb_build_object('list', l.list_id, 'board', d.board_id, 'stage', d.stage_id, 'lead', d.id,
                                   'import', e.import_id)
         FROM list_contacts l, leads d, contact_import_errors e
         WHERE l.company_id = $1 AND d.company_id = $1 AND e.company_id = $1 LIMIT 1",
    )
    .await;
    filled.0.extend(more.0);
    filled
}

/// Indexes of words wait in lists until they are tidied up; and a plan is made by what is known of the tables.
async fn tidy(admin: &PgPool, tables: &[&str]) {
    for table in tables {
        let vacuum = sqlx::AssertSqlSafe(format!("VACUUM (ANALYZE) {table}"));
        sqlx::query(vacuum).execute(admin).await.unwrap();
    }
}

/// The ids that a query gives as an object.
async fn ids(admin: &PgPool, tenant: &Tenant, query: &'static str) -> Filled {
    let found: Value = sqlx::query_scalar(query).bind(tenant.company_id).fetch_one(admin).await.unwrap();
    let found = found.as_object().unwrap().iter();
    Filled(found.map(|(name, id)| (name.clone(), id.as_str().unwrap().to_owned())).collect())
}

impl Filled {
    fn put_in(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("${name}"), id))
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

/// The indexes that a plan enters, and the tables that it reads without one. In which order and how they are joined
/// depends, for small pages, on what else is in the tables.
fn indexes(node: &Value, found: &mut BTreeSet<String>) {
    let word = |name: &str| node[name].as_str().map(str::to_owned);
    found.extend(word("Index Name"));
    found.extend(
        word("Relation Name")
            .filter(|_| node["Node Type"] == "Seq Scan")
            .map(|name| format!("Seq Scan on {name}")),
    );
    node["Plans"].as_array().into_iter().flatten().for_each(|below| indexes(below, found));
}

/// The plans of a list, each with its filter.
async fn plans(application: &PgPool, filled: &Filled, list: &List) -> Vec<(&'static str, Value)> {
    let query = query(list.words);
    let mut plans = Vec::new();
    for (filter, changed) in list.filters {
        let mut values = vec!["NULL".to_owned(); list.parameters];
        for (place, value) in list.given.iter().chain(*changed) {
            values[place - 1] = filled.put_in(value);
        }
        let values = values.join(", ");
        let plan = explain(application, &filled.0["company"], &query, &values, "(FORMAT JSON)", &[]).await;
        let mut plan: Value = serde_json::from_str(&plan).unwrap();
        plans.push((*filter, plan[0]["Plan"].take()));
    }
    plans
}

#[tokio::test]
async fn every_list_goes_by_an_index_whatever_it_is_filtered_by() {
    let stack = Stack::load();
    let tenant = Tenant::seed(&stack, TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    let filled = fill_all(&stack.admin(), &tenant).await;
    let application = stack.application();
    let mut outlines = String::new();
    for list in LISTS {
        for (filter, plan) in plans(&application, &filled, list).await {
            writeln!(outlines, "# {}: {filter}", list.name).unwrap();
            outline(&plan, 0, &mut outlines);
        }
    }
    let mut entered = String::new();
    for list in [contacts::LISTS, company::LISTS].into_iter().flatten() {
        for (filter, plan) in plans(&application, &filled, list).await {
            let mut found = BTreeSet::new();
            indexes(&plan, &mut found);
            let found = Vec::from_iter(found).join(", ");
            writeln!(entered, "{}: {filter}: {found}", list.name).unwrap();
        }
    }
    for list in company::SHORT {
        for (filter, plan) in plans(&application, &filled, list).await {
            let mut found = BTreeSet::new();
            indexes(&plan, &mut found);
            assert!(!found.is_empty(), "{}: {filter}: {plan:#}", list.name);
            assert!(!plan.to_string().contains("Seq Scan"), "{}: {filter}: {plan:#}", list.name);
        }
    }
    sqlx::raw_sql(company::TIDY).execute(&stack.admin()).await.unwrap();
    insta::assert_snapshot!("plans", outlines);
    insta::assert_snapshot!("indexes", entered);
    for text in [outlines, entered] {
        assert!(!text.contains("Seq Scan"), "a table is read from its beginning to its end");
    }
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
        assert_eq!(seen.contains(&filled.0["conversation"]), expected == 8, "{query}");
    }
}
