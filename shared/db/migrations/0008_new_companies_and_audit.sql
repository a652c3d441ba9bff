-- A company that somebody registers with an address that is proved, and has none: it is made when the link is followed.
ALTER TABLE account_tokens ADD COLUMN company_name text CHECK (length(company_name) BETWEEN 1 AND 200);
ALTER TABLE account_tokens
    DROP CONSTRAINT account_tokens_purpose_check,
    ADD CONSTRAINT account_tokens_purpose_check CHECK (purpose IN ('verify_email', 'reset_password', 'new_company')),
    ADD CONSTRAINT account_tokens_company_name CHECK ((purpose = 'new_company') = (company_name IS NOT NULL));

-- The log by who, what and to which object.
CREATE INDEX audit_log_actor ON audit_log (company_id, actor_id, at DESC, id DESC);
CREATE INDEX audit_log_action ON audit_log (company_id, action, at DESC, id DESC);
CREATE INDEX audit_log_object_kind ON audit_log (company_id, object_kind, at DESC, id DESC);
CREATE INDEX audit_log_object ON audit_log (company_id, object_id, at DESC, id DESC);
