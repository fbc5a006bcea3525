-- Every statement of the SQLite storage that does not depend on a question. `{g}` is a graph's integer key.
-- Times are microseconds since 1970; bodies are the codec's canonical JSON; `head` and `hash` end a subject's chain.

-- name: schema
CREATE TABLE graphs (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE intents (
    key INTEGER PRIMARY KEY, graph INTEGER NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL,
    priority INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    head INTEGER NOT NULL, hash TEXT NOT NULL, session_id TEXT, triggered_by TEXT, owner TEXT, name TEXT,
    goal TEXT NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX intents_by_id ON intents (graph, id);
CREATE INDEX intents_by_created ON intents (graph, status, created_at, id);
CREATE INDEX intents_by_updated ON intents (graph, status, updated_at, id);
CREATE INDEX intents_by_priority ON intents (graph, status, priority DESC, id);
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
CREATE TABLE commits (
    key INTEGER PRIMARY KEY, graph INTEGER NOT NULL, revision INTEGER NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX commits_by_revision ON commits (graph, revision);
CREATE UNIQUE INDEX commits_by_id ON commits (graph, id);

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
SELECT coalesce(max(revision), 0) FROM commits WHERE graph = {g};

-- name: fetch
SELECT body FROM intents WHERE graph = {g} AND id = ?1;

-- name: fetch_many
SELECT id, body FROM intents WHERE graph = {g} AND id IN (SELECT value FROM json_each(?1));

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
INSERT INTO commits (graph, revision, id, body) VALUES ({g}, ?1, ?2, ?3);

-- name: commit_by_id
SELECT body FROM commits WHERE graph = {g} AND id = ?1;

-- name: commit_by_revision
SELECT body FROM commits WHERE graph = {g} AND revision = ?1;

-- name: commits_after
SELECT revision, id, body FROM commits WHERE graph = {g} AND revision > ?1 AND revision <= ?2
ORDER BY revision LIMIT 64;

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
