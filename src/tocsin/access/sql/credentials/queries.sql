-- name: add_tenant
INSERT INTO tenant (name, created_ms) VALUES (:name, :created_ms)
-- name: tenant
SELECT created_ms FROM tenant WHERE name = :name
-- name: tenants
SELECT name FROM tenant ORDER BY name
-- name: add
INSERT INTO credential (key_id, tenant, kind, name, roles, devices, patterns, all_devices, created_ms,
                        created_by, expires_ms, revoked_ms, last_used_ms, secret_sha256)
VALUES (:key_id, :tenant, :kind, :name, :roles, :devices, :patterns, :all_devices, :created_ms,
        :created_by, :expires_ms, :revoked_ms, :last_used_ms, :secret_sha256)
-- name: find
SELECT key_id, tenant, kind, name, roles, devices, patterns, all_devices, created_ms, created_by,
       expires_ms, revoked_ms, last_used_ms, secret_sha256, hash
FROM credential WHERE key_id = :key_id
-- name: revoked
SELECT revoked_ms FROM credential WHERE key_id = :key_id
-- name: list
SELECT key_id, tenant, kind, name, roles, devices, patterns, all_devices, created_ms, created_by,
       expires_ms, revoked_ms, last_used_ms
FROM credential WHERE tenant = :tenant AND key_id > :after ORDER BY key_id LIMIT :limit
-- name: any
SELECT count(*) FROM (SELECT 1 FROM credential LIMIT 1)
-- name: revoke
UPDATE credential SET revoked_ms = coalesce(revoked_ms, :now_ms)
WHERE key_id = :key_id AND tenant = :tenant
RETURNING revoked_ms
-- name: used
UPDATE credential SET last_used_ms = max(coalesce(last_used_ms, 0), :ms) WHERE key_id = :key_id
-- name: all_tenants
SELECT name, created_ms, hash FROM tenant
-- name: all_credentials
SELECT key_id, tenant, kind, name, roles, devices, patterns, all_devices, created_ms, created_by,
       expires_ms, revoked_ms, last_used_ms, secret_sha256, hash
FROM credential
-- name: add_person
INSERT INTO person (person_id, tenant, name, display_name, roles, technician, disabled, one_time_until_ms,
                    revision, created_ms, created_by, signed_in_ms, password_hash)
VALUES (:person_id, :tenant, :name, :display_name, :roles, :technician, :disabled, :one_time_until_ms,
        :revision, :created_ms, :created_by, :signed_in_ms, :password_hash)
-- name: person
SELECT person_id, tenant, name, display_name, roles, technician, disabled, one_time_until_ms, revision,
       created_ms, created_by, signed_in_ms, password_hash, hash
FROM person WHERE person_id = :person_id AND tenant = :tenant
-- name: person_by_name
SELECT person_id, tenant, name, display_name, roles, technician, disabled, one_time_until_ms, revision,
       created_ms, created_by, signed_in_ms, password_hash, hash
FROM person WHERE tenant = :tenant AND name = :name
-- name: people
SELECT person_id, tenant, name, display_name, roles, technician, disabled, one_time_until_ms, revision,
       created_ms, created_by, signed_in_ms, password_hash, hash
FROM person WHERE tenant = :tenant AND name > :after ORDER BY name LIMIT :limit
-- name: put_person
UPDATE person SET display_name = :display_name, roles = :roles, technician = :technician,
                  disabled = :disabled, one_time_until_ms = :one_time_until_ms, revision = :revision,
                  signed_in_ms = :signed_in_ms, password_hash = :password_hash
WHERE person_id = :person_id
-- name: all_people
SELECT person_id, tenant, name, display_name, roles, technician, disabled, one_time_until_ms, revision,
       created_ms, created_by, signed_in_ms, password_hash, hash
FROM person
-- name: add_session
INSERT INTO session (session_id, tenant, holder, started_ms, used_ms, expires_ms, address, agent,
                     secret_sha256)
VALUES (:session_id, :tenant, :holder, :started_ms, :used_ms, :expires_ms, :address, :agent, :secret_sha256)
-- name: drop_oldest_sessions
DELETE FROM session WHERE holder = :holder AND session_id NOT IN (
    SELECT session_id FROM session WHERE holder = :holder ORDER BY started_ms DESC, rowid DESC LIMIT :most
)
-- name: session
SELECT session_id, tenant, holder, started_ms, used_ms, expires_ms, address, agent, secret_sha256, hash
FROM session WHERE session_id = :session_id
-- name: sessions_of
SELECT session_id, tenant, holder, started_ms, used_ms, expires_ms, address, agent, secret_sha256, hash
FROM session WHERE holder = :holder ORDER BY started_ms DESC, rowid DESC
-- name: end_session
DELETE FROM session WHERE session_id = :session_id AND holder = :holder AND tenant = :tenant
RETURNING session_id
-- name: end_sessions
DELETE FROM session WHERE holder = :holder AND session_id <> :but
-- name: sessions_over
SELECT 1 FROM session WHERE expires_ms <= :now_ms OR used_ms <= :idle_since_ms LIMIT 1
-- name: session_used
UPDATE session SET used_ms = max(used_ms, :ms) WHERE session_id = :session_id
-- name: drop_sessions_over
DELETE FROM session WHERE expires_ms <= :now_ms OR used_ms <= :idle_since_ms
-- name: all_sessions
SELECT session_id, tenant, holder, started_ms, used_ms, expires_ms, address, agent, secret_sha256, hash
FROM session
-- name: add_person_key
INSERT INTO person_key (key_id, tenant, person_id, name, scopes, created_ms, expires_ms, revoked_ms, last_used_ms,
                        secret_sha256)
VALUES (:key_id, :tenant, :person_id, :name, :scopes, :created_ms, :expires_ms, :revoked_ms, :last_used_ms,
        :secret_sha256)
-- name: person_key
SELECT key_id, tenant, person_id, name, scopes, created_ms, expires_ms, revoked_ms, last_used_ms, secret_sha256, hash
FROM person_key WHERE key_id = :key_id
-- name: keys_of_person
SELECT key_id, tenant, person_id, name, scopes, created_ms, expires_ms, revoked_ms, last_used_ms, secret_sha256, hash
FROM person_key WHERE tenant = :tenant AND person_id = :person_id ORDER BY created_ms DESC, key_id
-- name: keys_in_force
SELECT count(*) FROM person_key
WHERE person_id = :person_id AND revoked_ms IS NULL AND expires_ms > :now_ms
-- name: drop_old_person_keys
DELETE FROM person_key
WHERE person_id = :person_id AND (revoked_ms IS NOT NULL OR expires_ms <= :now_ms) AND key_id NOT IN (
    SELECT key_id FROM person_key WHERE person_id = :person_id ORDER BY created_ms DESC LIMIT :most
)
-- name: revoke_person_key
UPDATE person_key SET revoked_ms = coalesce(revoked_ms, :now_ms)
WHERE key_id = :key_id AND tenant = :tenant AND person_id = :person_id
RETURNING revoked_ms
-- name: person_key_used
UPDATE person_key SET last_used_ms = max(coalesce(last_used_ms, 0), :ms) WHERE key_id = :key_id
-- name: all_person_keys
SELECT key_id, tenant, person_id, name, scopes, created_ms, expires_ms, revoked_ms, last_used_ms, secret_sha256, hash
FROM person_key
