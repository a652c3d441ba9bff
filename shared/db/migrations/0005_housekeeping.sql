-- What the schedules may do for all companies: seal secrets anew, and throw away what has had its time.

GRANT SELECT (company_id, id, access_token, app_secret, verify_token),
      UPDATE (access_token, app_secret, verify_token) ON connections TO mia_system;
CREATE POLICY renewal ON connections TO mia_system USING (true) WITH CHECK (true);

GRANT SELECT (id, expires_at, ended_at), DELETE ON login_sessions TO mia_system;
CREATE POLICY cleanup_read ON login_sessions FOR SELECT TO mia_system USING (true);
CREATE POLICY cleanup ON login_sessions FOR DELETE TO mia_system USING (true);
CREATE INDEX login_sessions_over ON login_sessions (least(expires_at, ended_at));

GRANT SELECT (user_id, purpose, expires_at), DELETE ON account_tokens TO mia_system;
CREATE POLICY cleanup_read ON account_tokens FOR SELECT TO mia_system USING (true);
CREATE POLICY cleanup ON account_tokens FOR DELETE TO mia_system USING (true);
CREATE INDEX account_tokens_over ON account_tokens (expires_at);

GRANT SELECT (company_id, key, created_at), DELETE ON idempotency_keys TO mia_system;
CREATE POLICY cleanup_read ON idempotency_keys FOR SELECT TO mia_system USING (true);
CREATE POLICY cleanup ON idempotency_keys FOR DELETE TO mia_system USING (true);
CREATE INDEX idempotency_keys_over ON idempotency_keys (created_at);
