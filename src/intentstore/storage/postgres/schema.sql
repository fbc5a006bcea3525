-- The whole schema, as a new database gets it. One that is older is brought here by the files in `migrations`; a test
-- proves that both ways end at the same. Times are microseconds since 1970; bodies are the codec's canonical JSON.
-- Every table begins with `graph`, every key with it too, and nothing reaches across graphs, so that the tables can be
-- spread over servers by it as they stand. A subject that was deleted keeps its row, emptied, for the end of its chain.

CREATE TABLE intentstore.about (
    version integer PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE intentstore.graphs (
    graph bigint PRIMARY KEY, -- drawn from the name: the same in every database
    name text COLLATE "C" NOT NULL,
    base bigint NOT NULL, -- a commit's revision is this and 100 times its transaction's id, and its place in there
    cluster text COLLATE "C" NOT NULL, -- whose transaction ids they are
    watched timestamptz -- until then somebody waits to be notified
);

CREATE TABLE intentstore.intent_rows (
    graph bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    status text COLLATE "C",
    priority bigint,
    created_at bigint,
    updated_at bigint,
    head bigint NOT NULL, -- revision and hash that end the chain of this intent
    hash text COLLATE "C" NOT NULL,
    session_id text COLLATE "C",
    triggered_by text COLLATE "C",
    owner text COLLATE "C", -- of the claim
    name text COLLATE "C", -- case-folded
    goal text COLLATE "C",
    folded text COLLATE "C", -- the goal case-folded, where that makes a difference
    length bigint, -- in words
    again jsonb, -- the words that stand in it more than once, and how often
    tokens text[], -- what it is found by: its words, '=label', '@digest' of an entry of its metadata
    body text COLLATE "C", -- NULL: deleted
    PRIMARY KEY (graph, id)
) WITH (toast_tuple_target = 4080); -- a row has about 2 KB: compressing it would take as long as writing it
CREATE INDEX intents_by_created ON intentstore.intent_rows (graph, status, created_at, id) WHERE body IS NOT NULL;
CREATE INDEX intents_by_updated ON intentstore.intent_rows (graph, status, updated_at, id) WHERE body IS NOT NULL;
CREATE INDEX intents_by_priority ON intentstore.intent_rows (graph, status, priority DESC, id) WHERE body IS NOT NULL;
CREATE INDEX intents_by_token ON intentstore.intent_rows USING gin (tokens);
CREATE VIEW intentstore.intents AS SELECT * FROM intentstore.intent_rows WHERE body IS NOT NULL;

CREATE TABLE intentstore.edge_rows (
    graph bigint NOT NULL,
    source text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL,
    head bigint NOT NULL,
    hash text COLLATE "C" NOT NULL,
    body text COLLATE "C", -- NULL: deleted
    PRIMARY KEY (graph, source, type, target)
);
CREATE INDEX edges_by_target ON intentstore.edge_rows (graph, target, type);
CREATE VIEW intentstore.edges AS SELECT * FROM intentstore.edge_rows WHERE body IS NOT NULL;

CREATE TABLE intentstore.commits (
    graph bigint NOT NULL,
    revision bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    body text COLLATE "C" NOT NULL,
    PRIMARY KEY (graph, revision),
    UNIQUE (graph, id)
) WITH (toast_tuple_target = 4080);

CREATE TABLE intentstore.definitions (
    graph bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    head bigint NOT NULL,
    hash text COLLATE "C" NOT NULL,
    body text COLLATE "C", -- NULL: taken away
    PRIMARY KEY (graph, name)
);

-- No part of the graph and of no history: lease renewals, cursors, caches.
CREATE TABLE intentstore.aside (
    graph bigint NOT NULL,
    space text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (graph, space, key)
);

INSERT INTO intentstore.about (version) VALUES (2);
