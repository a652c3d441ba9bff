-- The life of a session: silenced by a person, handed on, ended, begun again.

ALTER TABLE sessions ADD COLUMN ai_block_reason text;

CREATE INDEX sessions_conversation ON sessions (company_id, conversation_id, created_at DESC, id DESC);
CREATE INDEX sessions_status ON sessions (company_id, status, created_at DESC, id DESC);
CREATE INDEX sessions_agent ON sessions (company_id, assigned_agent_id, created_at DESC, id DESC)
    WHERE assigned_agent_id IS NOT NULL;
CREATE INDEX sessions_department ON sessions (company_id, assigned_department_id, created_at DESC, id DESC)
    WHERE assigned_department_id IS NOT NULL;

-- The schedule lifts silences that are over, and tells of it. What it lifts was over for every reader already.
CREATE INDEX sessions_silenced ON sessions (ai_blocked_until) WHERE ai_blocked_until IS NOT NULL;
GRANT SELECT (company_id, id, conversation_id, ai_blocked_until),
      UPDATE (ai_blocked_until, ai_block_reason, updated_at) ON sessions TO mia_system;
CREATE POLICY silences ON sessions TO mia_system USING (true) WITH CHECK (true);
GRANT INSERT ON outbox TO mia_system;
