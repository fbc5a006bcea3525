-- Every statement of the PostgreSQL storage that does not depend on a question. `{g}` is a graph's key, `{writers}` and
-- `{structure}` are its locks: numbers of ours. All names are qualified: no search path is trusted.

-- name: version
SELECT (SELECT oid IS NOT NULL FROM pg_namespace WHERE nspname = 'intentstore'),
    to_regclass('intentstore.about') IS NOT NULL,
    to_regclass('intentstore.graphs') IS NOT NULL OR to_regclass('intentstore.intent_rows') IS NOT NULL;

-- name: version_known
SELECT max(version) FROM intentstore.about;

-- name: graph
SELECT name, base, cluster FROM intentstore.graphs WHERE graph = {g};

-- name: graph_add
INSERT INTO intentstore.graphs (graph, name, base, cluster)
VALUES ({g}, $1, 1 - 100 * (pg_current_xact_id()::text::bigint + 1), $2) ON CONFLICT DO NOTHING;

-- name: graph_base
UPDATE intentstore.graphs SET base = $1, cluster = $2 WHERE graph = {g};

-- name: graph_names
SELECT name FROM intentstore.graphs ORDER BY name;

-- name: revision
SELECT coalesce(max(revision), 0) FROM intentstore.commits WHERE graph = {g};

-- name: begin
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

-- name: write_among_others
SELECT pg_advisory_xact_lock_shared({writers});

-- name: write_alone
SELECT pg_advisory_xact_lock({writers});

-- name: hold_structure
SELECT pg_advisory_xact_lock({structure});

-- name: enter
-- Locks the intents to be written, in the order of their ids, and only then takes a transaction id: what was waited for
-- has a smaller one, so that the revisions along a chain grow.
WITH held AS MATERIALIZED (
    SELECT id, head, hash, body FROM intentstore.intent_rows
    WHERE graph = {g} AND id = ANY ($1::text[]) ORDER BY id FOR NO KEY UPDATE
)
SELECT 'intent', id, NULL, NULL, head, hash, body FROM held
UNION ALL
SELECT 'commit', id, NULL, NULL, NULL, NULL, body FROM intentstore.commits WHERE graph = {g} AND id = ANY ($2::text[])
UNION ALL
SELECT 'base', cluster, pg_current_xact_id()::text, (watched > now())::text, base, NULL, NULL
FROM intentstore.graphs WHERE graph = {g};

-- name: intent_rows
SELECT id, head, hash, body FROM intentstore.intent_rows WHERE graph = {g} AND id = ANY ($1::text[]);

-- name: intent_rows_shared
SELECT id, head, hash, body FROM intentstore.intent_rows WHERE graph = {g} AND id = ANY ($1::text[]) ORDER BY id
FOR SHARE;

-- name: edge_rows
SELECT e.source, e.type, e.target, e.head, e.hash, e.body
FROM unnest($1::text[], $2::text[], $3::text[]) AS k (source, type, target)
JOIN intentstore.edge_rows e ON e.graph = {g} AND e.source = k.source AND e.type = k.type AND e.target = k.target;

-- name: share_structure
SELECT pg_advisory_xact_lock_shared({structure});

-- name: hold_definitions
SELECT pg_advisory_xact_lock({meaning});

-- name: share_definitions
SELECT pg_advisory_xact_lock_shared({meaning});

-- name: definitions
-- Those taken away as well: who relies on there being none must come after the commit that took it away.
SELECT body, head FROM intentstore.definitions WHERE graph = {g} AND starts_with(name, $1) ORDER BY name;

-- name: definition_rows
SELECT name, head, hash, body FROM intentstore.definitions WHERE graph = {g} AND name = ANY ($1::text[]);

-- name: all_definitions
SELECT name, head, hash, body FROM intentstore.definitions WHERE graph = {g} ORDER BY name;

-- name: now
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

-- name: free
-- Active intents, most urgent first, for which nothing that they wait for is unsettled; without an open subgoal, or any.
SELECT i.body FROM intentstore.intents i WHERE i.graph = {g} AND i.status = 'active'
    AND ($1::bigint IS NULL OR i.priority < $1 OR (i.priority = $1 AND (i.created_at, i.id) > ($2::bigint, $3::text)))
    AND NOT EXISTS (
        SELECT 1 FROM intentstore.edges e JOIN intentstore.intents w ON w.graph = {g} AND w.id = e.target
        WHERE e.graph = {g} AND e.source = i.id AND e.type = 'depends_on' AND w.status NOT IN ('completed', 'archived'))
    AND NOT EXISTS (
        SELECT 1 FROM intentstore.edges e JOIN intentstore.intents w ON w.graph = {g} AND w.id = e.source
        WHERE e.graph = {g} AND e.target = i.id AND e.type = 'blocks' AND w.status NOT IN ('completed', 'archived'))
    AND ($4::boolean OR NOT EXISTS (
        SELECT 1 FROM intentstore.edges e JOIN intentstore.intents w ON w.graph = {g} AND w.id = e.source
        WHERE e.graph = {g} AND e.target = i.id AND e.type = 'is_subgoal_of'
            AND w.status IN ('active', 'executing', 'suspended')))
ORDER BY i.priority DESC, i.created_at, i.id LIMIT $5;

-- name: keep
INSERT INTO intentstore.aside (graph, space, key, value)
SELECT {g}, $1, v.key, v.value FROM unnest($2::text[], $3::bytea[]) AS v (key, value)
ON CONFLICT (graph, space, key) DO UPDATE SET value = excluded.value;

-- name: forget
DELETE FROM intentstore.aside WHERE graph = {g} AND space = $1 AND key = ANY ($2::text[]);

-- name: kept
SELECT key, encode(value, 'hex') FROM intentstore.aside WHERE graph = {g} AND space = $1;

-- name: kept_some
SELECT key, encode(value, 'hex') FROM intentstore.aside WHERE graph = {g} AND space = $1 AND key = ANY ($2::text[]);

-- name: fetch
SELECT body FROM intentstore.intent_rows WHERE graph = {g} AND id = $1;

-- name: fetch_many
SELECT id, body FROM intentstore.intents WHERE graph = {g} AND id = ANY ($1::text[]);

-- name: commit_by_id
SELECT body FROM intentstore.commits WHERE graph = {g} AND id = $1;

-- name: commits_at
SELECT revision, body FROM intentstore.commits WHERE graph = {g} AND revision = ANY ($1::bigint[]);

-- name: commits_after
SELECT revision, body FROM intentstore.commits WHERE graph = {g} AND revision > $1 AND revision <= $2
ORDER BY revision LIMIT 64;

-- name: horizon
-- Below `base + 100 * xmin` nothing is still to come: every transaction with a smaller id has ended.
SELECT g.base, g.cluster, pg_snapshot_xmin(s.now)::text::bigint, pg_snapshot_xmax(s.now)::text::bigint,
    (SELECT coalesce(max(revision), 0) FROM intentstore.commits WHERE graph = {g})
FROM intentstore.graphs g, (SELECT pg_current_snapshot() AS now) s WHERE g.graph = {g};

-- name: last_within
SELECT coalesce(max(revision), 0) FROM intentstore.commits WHERE graph = {g} AND revision <= $1;

-- name: writing_now
-- The transaction ids (32 bits of each) of those who write to this graph now; NULL for one that has none yet.
SELECT x.transactionid::text::bigint FROM pg_locks w
LEFT JOIN pg_locks x ON x.locktype = 'transactionid' AND x.granted AND x.mode = 'ExclusiveLock'
    AND x.virtualtransaction = w.virtualtransaction AND x.pid IS NOT DISTINCT FROM w.pid
WHERE w.locktype = 'advisory' AND w.granted AND w.objsubid = 1
    AND w.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND w.classid = ({writers}::bigint >> 32)::bigint::oid AND w.objid = ({writers}::bigint & 4294967295)::oid;

-- name: notify
NOTIFY intentstore_{g};

-- name: listen
LISTEN intentstore_{g};

-- name: watch
UPDATE intentstore.graphs SET watched = now() + interval '60 s' WHERE graph = {g};

-- name: arrived
SELECT EXISTS (SELECT 1 FROM intentstore.commits WHERE graph = {g} AND revision = $1);

-- name: subjects_at
SELECT id, '', '', head FROM intentstore.intent_rows WHERE graph = {g} AND id = $1
UNION ALL SELECT source, type, target, head FROM intentstore.edge_rows WHERE graph = {g} AND source = $1
UNION ALL SELECT source, type, target, head FROM intentstore.edge_rows WHERE graph = {g} AND target = $1;

-- name: all_intents
SELECT id, status, priority, created_at, updated_at, head, hash, session_id, triggered_by, owner, name, goal, folded,
    length, again::text, tokens, body
FROM intentstore.intent_rows WHERE graph = {g} ORDER BY id;

-- name: all_edges
SELECT source, type, target, head, hash, body,
    EXISTS (SELECT 1 FROM intentstore.intents i WHERE i.graph = {g} AND i.id = e.source),
    EXISTS (SELECT 1 FROM intentstore.intents i WHERE i.graph = {g} AND i.id = e.target)
FROM intentstore.edge_rows e WHERE graph = {g} ORDER BY source, type, target;

-- name: all_commits
SELECT revision, id, body FROM intentstore.commits WHERE graph = {g} ORDER BY revision;

-- name: sizes
SELECT pg_database_size(current_database()),
    (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'intentstore' AND c.relkind = 'r')::bigint;
