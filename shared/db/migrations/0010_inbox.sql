-- What the inbox is looked through by. A list is a page in the order of activity: filters that leave most of it walk that
-- order, those that leave little have an index of their own.

CREATE INDEX conversations_assignee ON conversations (company_id, assignee_id, updated_at DESC, id DESC)
    WHERE assignee_id IS NOT NULL;
CREATE INDEX conversations_department ON conversations (company_id, department_id, updated_at DESC, id DESC)
    WHERE department_id IS NOT NULL;
CREATE INDEX conversations_unread ON conversations (company_id, updated_at DESC, id DESC) WHERE unread_count > 0;
CREATE INDEX conversations_tags ON conversations USING gin (company_id, tags);
CREATE INDEX sessions_tabulations ON sessions USING gin (company_id, tabulations);
