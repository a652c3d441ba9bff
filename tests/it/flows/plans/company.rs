//! Lists of what a company sets up for itself: a few hundred rows of each, beside those of many others.

use super::{AFTER, List};

/// A cursor of a list by name.
const AFTER_NAME: &[(usize, &str)] = &[(2, "'nome 150'"), (3, "'00000000-0000-0000-0000-000000000000'")];

/// A list by name without filters.
const fn by_name(name: &'static str, words: &'static [&'static str]) -> List {
    List {
        name,
        words,
        parameters: 4,
        given: &[(1, "'$company'"), (4, "51")],
        filters: &[("nothing", &[]), ("cursor", AFTER_NAME)],
    }
}

/// A list by time without filters.
const fn newest_first(name: &'static str, words: &'static [&'static str]) -> List {
    List {
        name,
        words,
        parameters: 4,
        given: &[(1, "'$company'"), (4, "51")],
        filters: &[("nothing", &[]), ("cursor", AFTER)],
    }
}

const QUICK_REPLIES: &[&str] =
    &["FROM quick_replies WHERE company_id = $1 AND (owner_id IS NULL OR owner_id = $2)", "LIMIT $7"];

const TEMPLATES: &[&str] = &["FROM templates t WHERE t.company_id = $1", "LIMIT $9"];

pub(super) const LISTS: &[List] = &[
    by_name("lists", &["FROM lists WHERE company_id = $1 AND ($2::text IS NULL"]),
    by_name("segments", &["FROM segments WHERE company_id = $1 AND ($2::text IS NULL"]),
    by_name("contact fields", &["FROM contact_fields WHERE company_id = $1 AND ($2::text IS NULL"]),
    by_name("boards", &["FROM boards WHERE company_id = $1 AND ($2::text IS NULL"]),
    List {
        name: "tabulations",
        words: &["FROM tabulations WHERE company_id = $1 AND ($2::text IS NULL"],
        parameters: 3,
        given: &[(1, "'$company'"), (3, "51")],
        filters: &[("nothing", &[]), ("cursor", &[(2, "'nome 150'")])],
    },
    List {
        name: "quick replies",
        words: QUICK_REPLIES,
        parameters: 7,
        given: &[(1, "'$company'"), (2, "'$member'"), (7, "51")],
        filters: &[
            ("nothing", &[]),
            ("cursor", &[(5, "'nome 150'"), (6, "'00000000-0000-0000-0000-000000000000'")]),
        ],
    },
    List {
        name: "templates",
        words: TEMPLATES,
        parameters: 9,
        given: &[(1, "'$company'"), (9, "51")],
        filters: &[
            ("nothing", &[]),
            ("cursor", &[(7, "'nome_150'"), (8, "'00000000-0000-0000-0000-000000000000'")]),
            ("connection_id", &[(2, "'$connection'")]),
        ],
    },
    newest_first("imports", &["FROM contact_imports WHERE company_id = $1 AND (created_at, id) <"]),
    List {
        name: "errors of an import",
        words: &["FROM contact_import_errors WHERE company_id = $1 AND import_id = $2 AND row_number > $3"],
        parameters: 4,
        given: &[(1, "'$company'"), (2, "'$import'"), (3, "0"), (4, "51")],
        filters: &[("nothing", &[]), ("cursor", &[(3, "100")])],
    },
    List {
        name: "audit log",
        words: &["FROM audit_log WHERE company_id = $1 AND (at, id) <"],
        parameters: 10,
        given: &[(1, "'$company'"), (3, "'ffffffff-ffff-ffff-ffff-ffffffffffff'"), (4, "51")],
        filters: &[
            ("nothing", &[]),
            ("cursor", AFTER),
            ("actor_id", &[(5, "'$member'")]),
            ("action", &[(6, "'board.create'")]),
            ("object_kind", &[(7, "'board'")]),
            ("object_id", &[(8, "'$board'")]),
            ("from", &[(9, "'2026-01-01T00:04:00Z'")]),
            ("to", &[(10, "'2026-01-01T00:01:00Z'")]),
        ],
    },
];

/// Lists that no index is made for, of what a company has a few hundred of at most: any index that begins with the company
/// will do, and it is by a hair that PostgreSQL takes the one or the other.
pub(super) const SHORT: &[List] = &[
    by_name("departments", &["FROM departments d WHERE d.company_id = $1 AND ($2::text IS NULL"]),
    List {
        name: "stages of boards",
        words: &["FROM board_stages WHERE company_id = $1 AND board_id = ANY($2) ORDER BY"],
        parameters: 2,
        given: &[(1, "'$company'"), (2, "ARRAY['$board']::uuid[]")],
        filters: &[("nothing", &[])],
    },
    newest_first("API keys", &["FROM api_keys WHERE company_id = $1 AND (created_at, id) <"]),
    newest_first(
        "invitations",
        &["FROM invitations WHERE company_id = $1 AND accepted_at IS NULL", "LIMIT $4"],
    ),
    List {
        name: "quick replies",
        words: QUICK_REPLIES,
        parameters: 7,
        given: &[(1, "'$company'"), (2, "'$member'"), (7, "51")],
        filters: &[("q", &[(3, "'nome 29'")]), ("tag", &[(4, "'raro'")])],
    },
    List {
        name: "templates",
        words: TEMPLATES,
        parameters: 9,
        given: &[(1, "'$company'"), (9, "51")],
        filters: &[
            ("status", &[(3, "'rejected'")]),
            ("category", &[(4, "'MARKETING'")]),
            ("language", &[(5, "'pt_BR'")]),
            ("q", &[(6, "'nome_29'")]),
        ],
    },
    List {
        name: "templates that may be sent",
        words: &["t.status IN ('approved', 'flagged') AND t.submission <> 'deleting'", "LIMIT $3"],
        parameters: 3,
        given: &[(1, "'$company'"), (2, "'$connection'"), (3, "51")],
        filters: &[("nothing", &[])],
    },
];

/// Three hundred rows of each for each of thirty companies, `$company` among them. Some are found by their owner, their status
/// or their tag.
pub(super) const FILL: &str = "
    CREATE TEMPORARY TABLE filled AS
    SELECT c.id AS company_id, n, gen_random_uuid() AS id, 'Nome ' || n AS name,
           '2026-01-01'::timestamptz + n * interval '1 s' AS at
    FROM (SELECT '$company'::uuid AS id UNION ALL SELECT gen_random_uuid() FROM generate_series(1, 29)) AS c,
         generate_series(1, 300) AS n;

    INSERT INTO companies (id, name) SELECT DISTINCT company_id, 'Outra' FROM filled WHERE company_id <> '$company';

    INSERT INTO lists (company_id, id, name, created_at, updated_at) SELECT company_id, id, name, at, at FROM filled;

    INSERT INTO segments (company_id, id, name, filter, created_at, updated_at)
    SELECT company_id, id, name, '{}', at, at FROM filled;

    INSERT INTO contact_fields (company_id, id, key, label, type, created_at, updated_at)
    SELECT company_id, id, 'campo_' || n, name, 'text', at, at FROM filled;

    INSERT INTO tabulations (company_id, id, name, created_at, updated_at)
    SELECT company_id, id, name, at, at FROM filled;

    INSERT INTO departments (company_id, id, name, created_at)
    SELECT company_id, id, repeat(name, 5), at FROM filled;

    INSERT INTO users (id, email, name, password_hash)
    SELECT id, id || '@example.com', name, '' FROM filled WHERE n = 1 AND company_id <> '$company';

    INSERT INTO memberships (company_id, user_id, role)
    SELECT company_id, id, 'owner' FROM filled WHERE n = 1 AND company_id <> '$company';

    INSERT INTO department_members (company_id, department_id, user_id)
    SELECT f.company_id, f.id, m.user_id FROM filled f JOIN memberships m ON m.company_id = f.company_id;

    INSERT INTO connections (company_id, id, kind, name, slug, provider_account, access_token, app_secret, verify_token,
                             settings)
    SELECT company_id, id, 'retell', name, id, id, '', '', '', jsonb_build_object('of', repeat(id::text, 10))
    FROM filled WHERE n <= 100;

    INSERT INTO boards (company_id, id, name, created_at, updated_at) SELECT company_id, id, name, at, at FROM filled;

    INSERT INTO board_stages (company_id, id, board_id, name, colour, kind, position, created_at)
    SELECT company_id, gen_random_uuid(), id, 'Etapa ' || place, '#000000', 'open', place, at
    FROM filled, generate_series(0, 3) AS place;

    INSERT INTO quick_replies (company_id, id, owner_id, shortcut, text, tags, created_at, updated_at)
    SELECT f.company_id, f.id, CASE WHEN n % 10 = 0 THEN m.user_id END, lower(name), 'Olá!',
           CASE WHEN n % 100 = 0 THEN '{raro}'::text[] ELSE '{}' END, at, at
    FROM filled f JOIN memberships m ON m.company_id = f.company_id;

    INSERT INTO templates (company_id, id, waba_id, name, language, category, parameter_format, components, status,
                           created_at, updated_at)
    SELECT company_id, id, '100000000000001', 'nome_' || n, 'pt_BR', 'MARKETING', 'POSITIONAL', '[]',
           CASE WHEN n % 100 = 0 THEN 'rejected' ELSE 'approved' END, at, at
    FROM filled;

    INSERT INTO media (company_id, id, purpose, state, mime_type, key, created_at)
    SELECT company_id, id, 'import', 'ready', 'text/csv', id, at FROM filled WHERE n = 1;

    INSERT INTO contact_imports (company_id, id, media_id, state, dry_run, delimiter, encoding, header, columns, fields,
                                 default_country, size, position, row_number, told_at, created_at, updated_at)
    SELECT f.company_id, f.id, m.id, 'done', false, ',', 'utf-8', true, '{nome}', '{name}', 'BR', 1, 1, 1, f.at, f.at, f.at
    FROM filled f JOIN filled m ON m.company_id = f.company_id AND m.n = 1;

    INSERT INTO contact_import_errors (company_id, import_id, row_number, field, code, reason, cells)
    SELECT company_id, id, line, 'phone', 'invalid', 'is no phone number', '{Ana}'
    FROM filled, generate_series(1, 200) AS line WHERE n <= 5;

    INSERT INTO api_keys (company_id, id, name, key_hash, created_at, revoked_at)
    SELECT company_id, id, name, id, at, at FROM filled;

    INSERT INTO invitations (company_id, id, email, role, locale, expires_at, created_at)
    SELECT company_id, id, n || '@example.com', 'agent', 'pt', at, at FROM filled;

    INSERT INTO audit_log (company_id, id, at, actor_kind, actor_id, action, object_kind, object_id)
    SELECT f.company_id, gen_random_uuid(), f.at + part * interval '1 ms', 'person', m.user_id,
           CASE WHEN part <= 3 THEN 'board.create' ELSE 'contact.update' END,
           CASE WHEN part <= 3 THEN 'board' ELSE 'contact' END, f.id
    FROM filled f LEFT JOIN memberships m ON m.company_id = f.company_id AND f.n % 4 = 0,
         generate_series(1, 10) AS part;

    DROP TABLE filled";

/// Connections whose secrets nobody can read are nothing for the tests that come after. Nothing refers to them, which no index
/// would tell PostgreSQL.
pub(super) const TIDY: &str = "
    BEGIN;
    SET LOCAL session_replication_role = replica;
    DELETE FROM connections WHERE kind = 'retell' AND settings ? 'of';
    COMMIT";

/// What [`FILL`] writes to.
pub(super) const TABLES: &[&str] = &[
    "lists",
    "segments",
    "contact_fields",
    "tabulations",
    "departments",
    "department_members",
    "connections",
    "boards",
    "board_stages",
    "quick_replies",
    "templates",
    "contact_imports",
    "contact_import_errors",
    "api_keys",
    "invitations",
    "audit_log",
];
