-- Definitions of the graph, and what is kept aside.

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
