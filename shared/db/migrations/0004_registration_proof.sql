-- The SHA-256 of what the browser holds in which an account was registered whose address is not proved yet: who proves
-- the address must also be who chose the way in. Gone once the address is proved.
ALTER TABLE users ADD COLUMN registration_hash text COLLATE "C";
