-- What happens to a person's account stands in the log of every company in which they are active.
CREATE POLICY of_own_account ON audit_log FOR INSERT TO mia_app WITH CHECK (
    object_kind = 'person' AND object_id = current_user_id() AND coalesce(actor_id, current_user_id()) = current_user_id()
    AND company_id IN (SELECT company_id FROM memberships WHERE user_id = current_user_id() AND deactivated_at IS NULL));
