-- Everything in a database that could mislead whoever reads its dump.
CREATE SCHEMA "Odd.schema";
CREATE TABLE plain (id serial PRIMARY KEY, t text);
INSERT INTO plain (t) SELECT 'row ' || i FROM generate_series(1, 1000) i;
CREATE TABLE empty (id int);
CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 7);
CREATE TABLE "Odd.schema"."a.b" (id int);
INSERT INTO "Odd.schema"."a.b" VALUES (1), (2);
CREATE TABLE "with ""quotes"" and 'more'" ("a ""col""" int, "x, y" int);
INSERT INTO "with ""quotes"" and 'more'" VALUES (1, 2);
CREATE TABLE "two
lines" ("c
d" text);
INSERT INTO "two
lines" VALUES ('x'), ('y'), ('z');
CREATE TABLE "evil (a) FROM stdin;" (a text);
INSERT INTO "evil (a) FROM stdin;" VALUES ('one');
CREATE TABLE "évènement" (a text);
INSERT INTO "évènement" VALUES ('1'), ('2');
CREATE TABLE "table" ("order" int);
INSERT INTO "table" VALUES (1), (2), (3), (4);
CREATE TABLE ends (a text);
INSERT INTO ends VALUES ('\.'), (E'\n\\.\n'), (E'tab\tcr\r'), (NULL), (''), ('COPY x FROM stdin;');
CREATE TABLE kinds (b bytea, j jsonb, a text[], g int GENERATED ALWAYS AS (n * 2) STORED, n int);
INSERT INTO kinds (b, j, a, n)
  SELECT sha256(i::text::bytea), jsonb_build_object('k', E'line\nbreak ' || i), ARRAY['a,b', E'c\n'], i
    FROM generate_series(1, 50) i;
CREATE UNLOGGED TABLE unlogged (a int);
INSERT INTO unlogged VALUES (1), (2);
CREATE TABLE parted (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE parted_25 PARTITION OF parted FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE parted_26 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO parted SELECT '2025-12-30'::date + i, i FROM generate_series(1, 10) i;
CREATE TYPE mood AS ENUM ('bad', 'fair', 'good');
CREATE TABLE moods (m mood, n int) PARTITION BY HASH (m);
CREATE TABLE moods_0 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE moods_1 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY RANGE (n);
CREATE TABLE moods_1a PARTITION OF moods_1 FOR VALUES FROM (0) TO (1000);
INSERT INTO moods SELECT (enum_range(NULL::mood))[1 + i % 3], i FROM generate_series(1, 90) i;
CREATE TABLE ancestor (a int);
CREATE TABLE heir (b int) INHERITS (ancestor);
INSERT INTO ancestor VALUES (1), (2);
INSERT INTO heir VALUES (3, 3), (4, 4), (5, 5);
CREATE FUNCTION speaks() RETURNS text LANGUAGE plpgsql AS $body$
BEGIN
  /* it's only words
COPY plain (id, t) FROM stdin;
1	one
\.
*/
  RETURN 'COPY plain FROM stdin;';
END
$body$;
CREATE FUNCTION modern(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT a; END;
CREATE VIEW words AS SELECT 'it''s
COPY public.plain (id) FROM stdin;
1
\.
' AS a, E'back\\slash''s' AS b, $$dollar$$ AS c;
COMMENT ON TABLE plain IS 'a comment''s
COPY public.plain (id) FROM stdin;
-- PostgreSQL database dump complete
';
CREATE SEQUENCE "odd 'one'" START 5;
SELECT nextval('"odd ''one''"'), nextval('"odd ''one''"');
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE far_away (a int) SERVER nowhere;
CREATE MATERIALIZED VIEW seen AS SELECT * FROM plain;
CREATE TABLE guarded (a int);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
INSERT INTO guarded VALUES (1), (2);
