-- What keeps late news from undoing later ones.

-- When the customer's address was told: an older event brings no older address back. Nobody knows it of the
-- conversations that exist, so the next event tells it.
ALTER TABLE conversations ADD COLUMN address_at timestamptz;

-- How often the message was given to the provider anew by a person's will. The provider echoes it with the message's
-- id, so that a report on an earlier journey is not taken for one on this.
ALTER TABLE messages ADD COLUMN journey smallint NOT NULL DEFAULT 0;

-- When the customer last stopped or resumed marketing, by the provider's clock.
ALTER TABLE contacts ADD COLUMN marketing_changed_at timestamptz;
