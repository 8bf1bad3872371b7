-- Why a key was made, for those who are told when it takes the place of another one. NULL: the first of its app, or of an earlier version.
ALTER TABLE app_key ADD COLUMN cause text CHECK (cause IN ('interval', 'request', 'import'));
