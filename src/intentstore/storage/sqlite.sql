-- Every statement of the SQLite storage that does not depend on a question. `{g}` is a graph's integer key.
-- Times are microseconds since 1970; bodies are the codec's canonical JSON; `head` and `hash` end a subject's chain.

-- name: schema
CREATE TABLE graphs (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE intents (
    key INTEGER PRIMARY KEY, graph INTEGER NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL,
    priority INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    head INTEGER NOT NULL, hash TEXT NOT NULL, session_id TEXT, triggered_by TEXT, owner TEXT, name TEXT,
    goal TEXT NOT NULL, body TEXT NOT NULL
, waits INTEGER NOT NULL DEFAULT 0, below INTEGER NOT NULL DEFAULT 0) STRICT; -- so written by ALTER TABLE, and here
CREATE UNIQUE INDEX intents_by_id ON intents (graph, id);
CREATE INDEX intents_by_created ON intents (graph, status, created_at, id);
CREATE INDEX intents_by_updated ON intents (graph, status, updated_at, id);
CREATE INDEX intents_by_priority ON intents (graph, status, priority DESC, id);
CREATE INDEX intents_free ON intents (graph, priority DESC, created_at, id, below) WHERE status = 'active' AND waits = 0;
CREATE TABLE labels (
    graph INTEGER NOT NULL, label TEXT NOT NULL, intent INTEGER NOT NULL, PRIMARY KEY (graph, label, intent)
) STRICT, WITHOUT ROWID;
CREATE TABLE edges (
    key INTEGER PRIMARY KEY, graph INTEGER NOT NULL, source TEXT NOT NULL, type TEXT NOT NULL, target TEXT NOT NULL,
    head INTEGER NOT NULL, hash TEXT NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX edges_by_source ON edges (graph, source, type, target);
CREATE INDEX edges_by_target ON edges (graph, target, type);
CREATE TABLE graves (
    graph INTEGER NOT NULL, source TEXT NOT NULL, type TEXT NOT NULL, target TEXT NOT NULL,
    head INTEGER NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (graph, source, type, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX graves_by_target ON graves (graph, target);
-- The key is the graph's in the upper bits and the revision in the lower 48: the log needs no index of its own.
CREATE TABLE commits (
    key INTEGER PRIMARY KEY, graph INTEGER NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX commits_by_id ON commits (graph, id);
CREATE TABLE definitions (
    graph INTEGER NOT NULL, name TEXT NOT NULL, head INTEGER NOT NULL, hash TEXT NOT NULL, body TEXT,
    PRIMARY KEY (graph, name)
) STRICT, WITHOUT ROWID;
-- No part of the graph and of no history: lease renewals, cursors, caches.
CREATE TABLE aside (
    key INTEGER PRIMARY KEY, graph INTEGER NOT NULL, space TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX aside_by_name ON aside (graph, space, name);

-- name: upgrade_1
ALTER TABLE commits RENAME TO commits_1;
DROP INDEX commits_by_revision;
DROP INDEX commits_by_id;
CREATE TABLE commits (
    key INTEGER PRIMARY KEY, graph INTEGER NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL
) STRICT;
INSERT INTO commits (key, graph, id, body) SELECT graph << 48 | revision, graph, id, body FROM commits_1 ORDER BY 1;
DROP TABLE commits_1;
CREATE UNIQUE INDEX commits_by_id ON commits (graph, id);
CREATE TABLE definitions (
    graph INTEGER NOT NULL, name TEXT NOT NULL, head INTEGER NOT NULL, hash TEXT NOT NULL, body TEXT,
    PRIMARY KEY (graph, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE aside (
    key INTEGER PRIMARY KEY, graph INTEGER NOT NULL, space TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX aside_by_name ON aside (graph, space, name);

ALTER TABLE intents ADD COLUMN waits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE intents ADD COLUMN below INTEGER NOT NULL DEFAULT 0;
UPDATE intents SET waits = c.waits, below = c.below FROM (
    SELECT graph, id, sum(waits) AS waits, sum(below) AS below FROM (
        SELECT e.graph, e.source AS id, 1 AS waits, 0 AS below FROM edges e
            JOIN intents w ON w.graph = e.graph AND w.id = e.target AND w.status NOT IN ('completed', 'archived')
            WHERE e.type = 'depends_on'
        UNION ALL SELECT e.graph, e.target, 1, 0 FROM edges e
            JOIN intents w ON w.graph = e.graph AND w.id = e.source AND w.status NOT IN ('completed', 'archived')
            WHERE e.type = 'blocks'
        UNION ALL SELECT e.graph, e.target, 0, 1 FROM edges e
            JOIN intents w ON w.graph = e.graph AND w.id = e.source
                AND w.status IN ('active', 'executing', 'suspended')
            WHERE e.type = 'is_subgoal_of'
    ) GROUP BY graph, id
) c WHERE c.graph = intents.graph AND c.id = intents.id;
CREATE INDEX intents_free ON intents (graph, priority DESC, created_at, id, below) WHERE status = 'active' AND waits = 0;

-- name: waits_of_dependants
UPDATE intents SET waits = waits + ?2 WHERE graph = {g} AND id IN (
    SELECT source FROM edges WHERE graph = {g} AND target = ?1 AND type = 'depends_on');

-- name: waits_of_blocked
UPDATE intents SET waits = waits + ?2 WHERE graph = {g} AND id IN (
    SELECT target FROM edges WHERE graph = {g} AND source = ?1 AND type = 'blocks');

-- name: below_of_parents
UPDATE intents SET below = below + ?2 WHERE graph = {g} AND id IN (
    SELECT target FROM edges WHERE graph = {g} AND source = ?1 AND type = 'is_subgoal_of');

-- name: waits_step
UPDATE intents SET waits = waits + ?2 WHERE graph = {g} AND id = ?1;

-- name: below_step
UPDATE intents SET below = below + ?2 WHERE graph = {g} AND id = ?1;

-- name: free
SELECT body FROM intents INDEXED BY intents_free
WHERE graph = {g} AND status = 'active' AND waits = 0 AND (?1 OR below = 0)
ORDER BY priority DESC, created_at, id LIMIT ?2;

-- name: free_behind
SELECT body FROM intents INDEXED BY intents_free
WHERE graph = {g} AND status = 'active' AND waits = 0 AND (?1 OR below = 0)
    AND priority <= ?3 AND (priority < ?3 OR (created_at, id) > (?4, ?5))
ORDER BY priority DESC, created_at, id LIMIT ?2;

-- name: edges_out
SELECT e.source, e.type, e.target, e.body FROM json_each(?1) j CROSS JOIN edges e INDEXED BY edges_by_source
    ON e.graph = {g} AND e.source = j.value AND (?2 IS NULL OR e.type IN (SELECT value FROM json_each(?2)));

-- name: edges_in
SELECT e.source, e.type, e.target, e.body FROM json_each(?1) j CROSS JOIN edges e INDEXED BY edges_by_target
    ON e.graph = {g} AND e.target = j.value AND (?2 IS NULL OR e.type IN (SELECT value FROM json_each(?2)));

-- name: children
SELECT e.target, e.source FROM json_each(?1) j CROSS JOIN edges e INDEXED BY edges_by_target
    ON e.graph = {g} AND e.target = j.value AND e.type = 'is_subgoal_of';

-- name: miscounted
-- From the edges to the other end: begun at the other ends, 4,000 intents take 4 s instead of 0.05 s.
SELECT i.id FROM intents i WHERE i.graph = {g} AND (i.waits != (
        SELECT count(*) FROM edges e INDEXED BY edges_by_source CROSS JOIN intents w ON w.graph = {g} AND w.id = e.target
            WHERE e.graph = {g} AND e.source = i.id AND e.type = 'depends_on'
            AND w.status NOT IN ('completed', 'archived')
    ) + (
        SELECT count(*) FROM edges e INDEXED BY edges_by_target CROSS JOIN intents w ON w.graph = {g} AND w.id = e.source
            WHERE e.graph = {g} AND e.target = i.id AND e.type = 'blocks'
            AND w.status NOT IN ('completed', 'archived')
    ) OR i.below != (
        SELECT count(*) FROM edges e INDEXED BY edges_by_target CROSS JOIN intents w ON w.graph = {g} AND w.id = e.source
            WHERE e.graph = {g} AND e.target = i.id AND e.type = 'is_subgoal_of'
            AND w.status IN ('active', 'executing', 'suspended')
    ));

-- name: graph_words
-- The words come casefolded and apart by blanks: for this tokenizer they are exactly `ground.query.words`.
CREATE VIRTUAL TABLE fts_{g} USING fts5(
    words, content='', contentless_delete=1, tokenize="ascii tokenchars '_'"
);
INSERT INTO fts_{g} (fts_{g}, rank) VALUES ('pgsz', 900); -- a leaf then fits a page; the default of 4050 does not

-- name: graph_key
SELECT key FROM graphs WHERE name = ?1;

-- name: graph_add
INSERT INTO graphs (name) VALUES (?1) ON CONFLICT DO NOTHING;

-- name: graph_names
SELECT name FROM graphs ORDER BY name;

-- name: revision
SELECT coalesce(max(key) & 0xffffffffffff, 0) FROM commits WHERE key BETWEEN {g} << 48 AND {g} << 48 | 0xffffffffffff;

-- name: fetch
-- A body that reads NULL is damage, not absence.
SELECT coalesce(body, '') FROM intents WHERE graph = {g} AND id = ?1;

-- name: fetch_many
SELECT id, coalesce(body, '') FROM intents WHERE graph = {g} AND id IN (SELECT value FROM json_each(?1));

-- name: intent_row
SELECT key, body, head, hash FROM intents WHERE graph = {g} AND id = ?1
UNION ALL
SELECT NULL, NULL, head, hash FROM graves WHERE graph = {g} AND source = ?1 AND type = '' AND target = '';

-- name: intent_insert
INSERT INTO intents (graph, id, status, priority, created_at, updated_at, head, hash, session_id, triggered_by, owner,
    name, goal, body) VALUES ({g}, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13);

-- name: intent_update
UPDATE intents SET status = ?2, priority = ?3, created_at = ?4, updated_at = ?5, head = ?6, hash = ?7,
    session_id = ?8, triggered_by = ?9, owner = ?10, name = ?11, goal = ?12, body = ?13
WHERE graph = {g} AND id = ?1;

-- name: intent_head
UPDATE intents SET head = ?2, hash = ?3 WHERE key = ?1;

-- name: intent_delete
DELETE FROM intents WHERE key = ?1;

-- name: label_add
INSERT INTO labels (graph, label, intent) VALUES ({g}, ?1, ?2);

-- name: label_drop
DELETE FROM labels WHERE graph = {g} AND label = ?1 AND intent = ?2;

-- name: words_add
INSERT INTO fts_{g} (rowid, words) VALUES (?1, ?2);

-- name: words_change
REPLACE INTO fts_{g} (rowid, words) VALUES (?1, ?2);

-- name: words_drop
DELETE FROM fts_{g} WHERE rowid = ?1;

-- name: words_optimize
INSERT INTO fts_{g} (fts_{g}) VALUES ('optimize');

-- name: edge_row
SELECT key, body, head, hash FROM edges WHERE graph = {g} AND source = ?1 AND type = ?2 AND target = ?3
UNION ALL
SELECT NULL, NULL, head, hash FROM graves WHERE graph = {g} AND source = ?1 AND type = ?2 AND target = ?3;

-- name: edge_put
INSERT INTO edges (graph, source, type, target, head, hash, body) VALUES ({g}, ?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (graph, source, type, target) DO UPDATE SET head = excluded.head, hash = excluded.hash,
    body = excluded.body;

-- name: edge_delete
DELETE FROM edges WHERE key = ?1;

-- name: grave_put
INSERT INTO graves (graph, source, type, target, head, hash) VALUES ({g}, ?1, ?2, ?3, ?4, ?5)
ON CONFLICT (graph, source, type, target) DO UPDATE SET head = excluded.head, hash = excluded.hash;

-- name: grave_drop
DELETE FROM graves WHERE graph = {g} AND source = ?1 AND type = ?2 AND target = ?3;

-- name: commit_insert
INSERT INTO commits (key, graph, id, body) VALUES ({g} << 48 | ?1, {g}, ?2, ?3);

-- name: commit_by_id
SELECT body FROM commits WHERE graph = {g} AND id = ?1;

-- name: commit_by_revision
SELECT body FROM commits WHERE key = ({g} << 48 | ?1);

-- name: commits_after
SELECT key & 0xffffffffffff, id, body FROM commits
WHERE key > ({g} << 48 | ?1) AND key <= ({g} << 48 | ?2) ORDER BY key LIMIT 64;

-- name: subjects_at
SELECT id, '', '', head FROM intents WHERE graph = {g} AND id = ?1
UNION ALL SELECT source, type, target, head FROM edges WHERE graph = {g} AND source = ?1
UNION ALL SELECT source, type, target, head FROM edges WHERE graph = {g} AND target = ?1
UNION ALL SELECT source, type, target, head FROM graves WHERE graph = {g} AND source = ?1
UNION ALL SELECT source, type, target, head FROM graves WHERE graph = {g} AND target = ?1;

-- name: all_intents
SELECT id, status, priority, created_at, updated_at, head, hash, session_id, triggered_by, owner, name, goal, body, key
FROM intents WHERE graph = {g};

-- name: all_edges
SELECT source, type, target, head, hash, body,
    EXISTS (SELECT 1 FROM intents WHERE graph = {g} AND id = source),
    EXISTS (SELECT 1 FROM intents WHERE graph = {g} AND id = target)
FROM edges WHERE graph = {g};

-- name: all_graves
SELECT source, type, target, head, hash FROM graves WHERE graph = {g};

-- name: labels_of
SELECT label FROM labels WHERE graph = {g} AND intent = ?1;

-- name: all_labels
SELECT label, intent FROM labels WHERE graph = {g};

-- name: words_count
SELECT count(*) FROM fts_{g}_docsize;

-- name: definition_row
SELECT CASE WHEN body IS NULL THEN NULL ELSE 1 END, NULL, head, hash FROM definitions WHERE graph = {g} AND name = ?1;

-- name: definition_put
INSERT INTO definitions (graph, name, head, hash, body) VALUES ({g}, ?1, ?2, ?3, ?4)
ON CONFLICT (graph, name) DO UPDATE SET head = excluded.head, hash = excluded.hash, body = excluded.body;

-- name: definitions
SELECT body FROM definitions WHERE graph = {g} AND substr(name, 1, length(?1)) = ?1 AND body IS NOT NULL ORDER BY name;

-- name: all_definitions
SELECT name, head, hash, body FROM definitions WHERE graph = {g};

-- name: clear
DELETE FROM intents WHERE graph = {g};
DELETE FROM labels WHERE graph = {g};
DELETE FROM edges WHERE graph = {g};
DELETE FROM graves WHERE graph = {g};
DELETE FROM definitions WHERE graph = {g};
DELETE FROM aside WHERE graph = {g};
DELETE FROM commits WHERE graph = {g};
INSERT INTO fts_{g} (fts_{g}) VALUES ('delete-all');

-- name: aside_put
INSERT INTO aside (graph, space, name, value) VALUES ({g}, ?1, ?2, ?3)
ON CONFLICT (graph, space, name) DO UPDATE SET value = excluded.value;

-- name: aside_drop
DELETE FROM aside WHERE graph = {g} AND space = ?1 AND name = ?2;

-- name: aside_all
SELECT name, value FROM aside WHERE graph = {g} AND space = ?1;

-- name: aside_some
SELECT name, value FROM aside WHERE graph = {g} AND space = ?1 AND name IN (SELECT value FROM json_each(?2));
