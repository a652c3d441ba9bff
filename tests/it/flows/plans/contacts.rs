//! Lists of contacts, and of what there is of one contact.

use super::{AFTER, List};

pub(super) const LISTS: &[List] = &[
    List {
        name: "contacts",
        words: &["FROM contacts WHERE company_id = $1 AND merged_into_id IS NULL", "$9::timestamptz IS NULL"],
        parameters: 9,
        given: &[(1, "'$company'"), (4, "51")],
        filters: &[
            ("nothing", &[]),
            ("cursor", AFTER),
            ("ids", &[(5, "ARRAY['$contact']::uuid[]")]),
            ("source of few", &[(6, "'import'")]),
            ("opted_out", &[(7, "true")]),
            ("not opted_out", &[(7, "false")]),
            ("created_from", &[(8, "'2026-01-01T03:00:00Z'")]),
            ("created_to", &[(9, "'2026-01-01T01:00:00Z'")]),
        ],
    },
    List {
        // Of twelve thousand as many as five thousand are of a million: of half of them the planner may as well sort all.
        name: "contacts, the newest of them",
        words: &["FROM (SELECT * FROM searchable_contacts", "AS newest"],
        parameters: 12,
        given: &[(1, "'$company'"), (4, "51"), (12, "60")],
        filters: &[
            ("q of few", &[(11, "E'%clara%\\n%luiza%'")]),
            ("q of many", &[(11, "'%maria%'")]),
            ("tag", &[(10, "'raro'")]),
        ],
    },
    List {
        name: "contacts by parts",
        words: &["OFFSET 0) AS found"],
        parameters: 12,
        given: &[(1, "'$company'"), (4, "51"), (12, "0")],
        filters: &[
            ("q of few", &[(11, "'%1a2b3c%'"), (12, "1")]),
            ("q of two words", &[(11, "E'%clara%\\n%luiza%'"), (12, "2")]),
            ("tag of few", &[(10, "'raro'")]),
            ("tag and q", &[(10, "'raro'"), (11, "'%clara%'"), (12, "1")]),
        ],
    },
    List {
        name: "a contact by phone",
        words: &["ORDER BY wanted.place LIMIT 1"],
        parameters: 3,
        given: &[(1, "'$company'"), (2, "'{e164,wa_id}'"), (3, "'{+5562900000001,556200000001}'")],
        filters: &[("nothing", &[])],
    },
    List {
        name: "addresses of contacts",
        words: &[
            "FROM contact_addresses WHERE company_id = $1 AND contact_id = ANY($2) ORDER BY created_at, kind",
        ],
        parameters: 2,
        given: &[(1, "'$company'"), (2, "ARRAY['$contact']::uuid[]")],
        filters: &[("nothing", &[])],
    },
    List {
        name: "contacts that are one now",
        words: &["FROM contacts WHERE company_id = $1 AND merged_into_id = $2 ORDER BY"],
        parameters: 2,
        given: &[(1, "'$company'"), (2, "'$contact'")],
        filters: &[("nothing", &[])],
    },
    List {
        name: "timeline",
        words: &["'contact_created' AS kind"],
        parameters: 5,
        given: &[(1, "'$company'"), (2, "'$contact'"), (5, "51")],
        filters: &[("nothing", &[]), ("cursor", AFTER_OF_CONTACT)],
    },
    List {
        name: "notes on a contact",
        words: &["FROM contact_notes WHERE company_id = $1 AND contact_id = $2 AND (created_at, id) <"],
        parameters: 5,
        given: &[(1, "'$company'"), (2, "'$contact'"), (5, "51")],
        filters: &[("nothing", &[]), ("cursor", AFTER_OF_CONTACT)],
    },
    List {
        name: "what a contact said of being written to",
        words: &["FROM contact_consents WHERE company_id = $1 AND contact_id = $2 ORDER BY at, id"],
        parameters: 2,
        given: &[(1, "'$company'"), (2, "'$contact'")],
        filters: &[("nothing", &[])],
    },
    List {
        name: "what was changed of a contact",
        words: &["FROM contact_history WHERE company_id = $1 AND contact_id = $2 ORDER BY at, id"],
        parameters: 2,
        given: &[(1, "'$company'"), (2, "'$contact'")],
        filters: &[("nothing", &[])],
    },
    List {
        name: "contacts of a list",
        words: &["FROM list_contacts l JOIN contacts p"],
        parameters: 5,
        given: &[(1, "'$company'"), (2, "'$list'"), (5, "51")],
        filters: &[("nothing", &[]), ("cursor", AFTER_OF_CONTACT)],
    },
    List {
        name: "lists of a contact",
        words: &["FROM list_contacts c JOIN lists l"],
        parameters: 2,
        given: &[(1, "'$company'"), (2, "'$contact'")],
        filters: &[("nothing", &[])],
    },
    List {
        name: "contacts of an export",
        words: &["AND c.created_at <= $4", "ORDER BY c.created_at, c.id LIMIT $11"],
        parameters: 11,
        given: &[(1, "'$company'"), (4, "'2026-12-31T00:00:00Z'"), (11, "1000")],
        filters: &[
            ("nothing", &[]),
            ("cursor", AFTER),
            ("source of few", &[(6, "'import'")]),
            ("opted_out", &[(7, "true")]),
            ("created_from", &[(8, "'2026-01-01T03:00:00Z'")]),
            ("list_id", &[(10, "'$list'")]),
        ],
    },
    List {
        name: "leads",
        words: &["FROM (SELECT * FROM searchable_leads", "ORDER BY l.created_at DESC, l.id DESC"],
        parameters: 8,
        given: &[(1, "'$company'"), (4, "51")],
        filters: &[
            ("nothing", &[]),
            ("cursor", AFTER),
            ("board_id", &[(5, "'$board'")]),
            ("owner_id", &[(6, "'$member'")]),
            ("contact_id", &[(7, "'$contact'")]),
            ("q of few", &[(8, "'%raro%'")]),
        ],
    },
    List {
        name: "leads of a stage",
        words: &["FROM (SELECT * FROM searchable_leads", "ORDER BY l.place"],
        parameters: 8,
        given: &[(1, "'$company'"), (2, "'$stage'"), (4, "51")],
        filters: &[("nothing", &[]), ("cursor", &[(3, "'a000100'")])],
    },
    List {
        name: "history of a lead",
        words: &["FROM lead_history WHERE company_id = $1 AND lead_id = $2 AND (at, id) <"],
        parameters: 5,
        given: &[(1, "'$company'"), (2, "'$lead'"), (5, "51")],
        filters: &[("nothing", &[]), ("cursor", AFTER_OF_CONTACT)],
    },
];

/// A cursor behind what the list is of.
const AFTER_OF_CONTACT: &[(usize, &str)] =
    &[(3, "'2026-01-02T00:00:00Z'"), (4, "'00000000-0000-0000-0000-000000000000'")];

/// What the contacts of [`super::fill`] have: each an address and a place in one of twenty lists, half of them a lead, a tenth
/// notes, words about being written to, and merges that were taken back.
pub(super) const FILL: &str = "
    INSERT INTO contact_addresses (company_id, kind, value, contact_id, created_at)
    SELECT company_id, 'e164', phone, id, created_at FROM contacts WHERE company_id = '$company';

    INSERT INTO contact_notes (company_id, id, contact_id, text, created_at, updated_at)
    SELECT company_id, gen_random_uuid(), id, 'Prefere à tarde', created_at, created_at
    FROM contacts, generate_series(1, 3) WHERE company_id = '$company' AND phone LIKE '%0';

    INSERT INTO contact_consents (company_id, id, contact_id, kind, source, actor_kind, at, created_at)
    SELECT company_id, gen_random_uuid(), id, 'opt_in', 'site', 'person', created_at, created_at
    FROM contacts, generate_series(1, 3) WHERE company_id = '$company' AND phone LIKE '%0';

    INSERT INTO contact_history (company_id, id, contact_id, at, kind, actor_kind, was, became)
    SELECT company_id, gen_random_uuid(), id, created_at, 'contact_changed', 'person', '{}', '{}'
    FROM contacts, generate_series(1, 3) WHERE company_id = '$company' AND phone LIKE '%0';

    INSERT INTO contact_merges (company_id, id, contact_id, into_id, had, got, merged_at, undone_at)
    SELECT company_id, gen_random_uuid(), id, lag(id, 1, id) OVER (), '{}', '{}', created_at, created_at
    FROM contacts, generate_series(1, 3) WHERE company_id = '$company' AND phone LIKE '%0';

    INSERT INTO list_contacts (company_id, list_id, contact_id, added_at)
    SELECT p.company_id, l.id, p.id, p.created_at
    FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM contacts WHERE company_id = '$company') AS p
    JOIN (SELECT *, row_number() OVER (ORDER BY name) AS n FROM lists WHERE company_id = '$company') AS l
         ON l.n <= 20 AND (p.n + l.n) % 20 = 0;

    INSERT INTO leads (company_id, id, board_id, stage_id, place, title, owner_id, contact_id, created_at, updated_at)
    SELECT p.company_id, gen_random_uuid(), s.board_id, s.id, 'a' || lpad(p.n::text, 6, '0'),
           CASE WHEN p.n % 1000 = 0 THEN 'Negócio raro' ELSE 'Negócio ' || md5(p.n::text) END,
           CASE WHEN p.n % 80 = 0 THEN (SELECT user_id FROM memberships WHERE company_id = '$company') END, p.id, p.created_at,
           p.created_at
    FROM (SELECT *, row_number() OVER (ORDER BY created_at) AS n FROM contacts WHERE company_id = '$company') AS p
    JOIN (SELECT *, row_number() OVER (ORDER BY id) AS n FROM board_stages WHERE company_id = '$company') AS s
         ON s.n = 1 + p.n % 40
    WHERE p.n % 2 = 0;

    INSERT INTO lead_history (company_id, id, lead_id, at, kind, actor_kind)
    SELECT company_id, gen_random_uuid(), id, created_at + part * interval '1 min', 'moved', 'system'
    FROM leads, generate_series(1, 3) AS part WHERE company_id = '$company'";

/// What [`FILL`] writes to.
pub(super) const TABLES: &[&str] = &[
    "contact_addresses",
    "contact_notes",
    "contact_consents",
    "contact_history",
    "contact_merges",
    "list_contacts",
    "leads",
    "lead_history",
];
