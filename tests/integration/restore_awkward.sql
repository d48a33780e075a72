-- What a server writes in other words once it has read it back, and what a reader of statements could trip over.
CREATE SCHEMA "Odd.schema; x";
CREATE EXTENSION pg_trgm; -- an extension's
CREATE EXTENSION btree_gist; -- an extension's
CREATE ROLE ddl_reader;
CREATE TYPE mood AS ENUM ('bad', 'so; so', 'it''s (good)');
CREATE TYPE pair AS (a int, "b; c" text);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE DOMAIN short AS varchar(9) DEFAULT 'a' CHECK (VALUE IN ('a', 'b', 'c') AND length(VALUE) < 5);
CREATE DOMAIN "Odd.schema; x"."Dom.ain" AS numeric(10, 2) NOT NULL CHECK (VALUE > 0 OR (VALUE < -1 AND VALUE > -9));
CREATE TABLE words (
  id bigint GENERATED ALWAYS AS IDENTITY (START 5 INCREMENT 3) PRIMARY KEY,
  old serial,
  kind varchar(20) DEFAULT 'x' CHECK (kind IN ('a', 'b', 'c')),
  codes varchar(4)[] DEFAULT ARRAY['a', 'b']::varchar(4)[] CHECK (codes <@ ARRAY['a', 'b', 'c']::varchar[]),
  letter "char" DEFAULT 'a' CHECK (letter NOT IN ('x', 'y')),
  m mood DEFAULT 'so; so' CHECK (m IN ('bad', 'so; so')),
  at timestamp(3) DEFAULT '2026-01-01' CHECK (at BETWEEN '2020-01-01' AND '2030-01-01'),
  atz timestamptz DEFAULT now() - interval '3 days',
  i interval day to second(3) DEFAULT '1 day' CHECK (i > '-1 day'::interval),
  n numeric(10, 2) DEFAULT -1.5 CHECK ((n + 1) * 2 > -100 AND n % 3 <> 7),
  d "Odd.schema; x"."Dom.ain" DEFAULT 3,
  b bit varying(5) DEFAULT B'101',
  f double precision GENERATED ALWAYS AS (n::float8 * 2 + length(kind)) STORED,
  j jsonb DEFAULT '{"a": "b  c"}' CHECK (j ->> 'a' LIKE 'b%' AND (j -> 'x') IS NULL),
  p pair DEFAULT ROW (1, 'x'),
  during tstzrange,
  s short,
  CONSTRAINT several CHECK (CASE WHEN kind = 'a' THEN n > 0 WHEN kind IN ('b', 'c') THEN n < 0 ELSE NOT (n = 1) END),
  CONSTRAINT "odd; (name" UNIQUE NULLS NOT DISTINCT (kind, n) INCLUDE (at) DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT apart EXCLUDE USING gist (during WITH &&) WHERE (kind <> 'c' AND n IS NOT NULL)
);
ALTER TABLE words ADD EXCLUDE USING gist (kind WITH =, during WITH &&) WHERE (kind IN ('a', 'b')); -- an extension's
CREATE INDEX words_partial ON words (lower(kind), (n * 2) DESC NULLS LAST) WHERE kind IN ('a', 'b') AND at > '2021-01-01';
CREATE INDEX words_trgm ON words USING gin ((kind || ' '::varchar) gin_trgm_ops); -- an extension's
CREATE UNIQUE INDEX "Words; odd" ON words ((CASE WHEN kind = 'a' THEN n ELSE 0 END), (kind::text) text_pattern_ops)
  WHERE n NOT IN (1, 2);
CREATE STATISTICS words_stats ON (n * 2), kind FROM words;
CREATE TABLE "Odd.schema; x"."t ""(q"" ;
-- lines" ("c ""1""; (" varchar(3) CHECK ("c ""1""; (" IN ('$$', E'\\'';', '--', '/*')), "E" text DEFAULT E'a\\b''; (');
ALTER TABLE words ADD CONSTRAINT again FOREIGN KEY (id) REFERENCES words (id) ON DELETE CASCADE;
ALTER TABLE words ADD CONSTRAINT later CHECK (kind <> ALL (ARRAY['q', 'r']) AND s = ANY ('{a,b}'::text[])) NOT VALID;
COMMENT ON TABLE words IS 'it''s; ( a
CREATE TABLE x ();
comment';
COMMENT ON COLUMN words.kind IS E'back\\slash "quoted"';
CREATE TABLE parted (at date, n int CHECK (n IN (1, 2, 3)), kind varchar) PARTITION BY RANGE (at, date_part('year', at));
CREATE TABLE parted_25 PARTITION OF parted (n DEFAULT 2) FOR VALUES FROM ('2025-01-01', MINVALUE) TO ('2026-01-01', MAXVALUE);
CREATE TABLE parted_default PARTITION OF parted DEFAULT;
CREATE INDEX parted_index ON parted (kind) WHERE kind IN ('a', 'b');
CREATE TABLE listed (k varchar, n int) PARTITION BY LIST (k);
CREATE TABLE listed_a PARTITION OF listed FOR VALUES IN ('a; (', 'b', NULL);
CREATE TABLE moods (m mood, n int, PRIMARY KEY (m, n)) PARTITION BY HASH (m);
CREATE TABLE moods_0 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE moods_1 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY RANGE (n);
CREATE TABLE moods_1a PARTITION OF moods_1 FOR VALUES FROM (0) TO (1000);
INSERT INTO moods SELECT (enum_range(NULL::mood))[1 + i % 3], i FROM generate_series(1, 90) i;
CREATE TABLE ancestor (a int DEFAULT 1 CHECK (a > 0), kind varchar(5) CHECK (kind IN ('x', 'y')));
CREATE TABLE heir (b int, a int DEFAULT 2) INHERITS (ancestor);
ALTER TABLE heir ADD CHECK (kind IN ('x'));
CREATE FUNCTION speaks(x varchar DEFAULT 'a; (', VARIADIC y int[] DEFAULT '{1}') RETURNS text LANGUAGE plpgsql
  SET search_path = public, pg_temp AS $body$
BEGIN
  /* it's only words
COPY x FROM stdin;
1	one
\.
\restrict x
*/
  RETURN 'COPY x FROM stdin;' || $$ ( $$;
END
$body$;
CREATE FUNCTION modern(a int, b varchar) RETURNS int LANGUAGE sql BEGIN ATOMIC
  INSERT INTO ancestor VALUES (a, b) ON CONFLICT DO NOTHING;
  SELECT CASE WHEN b IN ('a', 'b') THEN 1 ELSE 2 END;
  SELECT a WHERE b = 'c' OR (a > 1 AND b LIKE 'x;%');
END;
CREATE FUNCTION modern(a text) RETURNS text LANGUAGE sql IMMUTABLE RETURN upper(a)::varchar(5) || 'x';
CREATE PROCEDURE does(INOUT a int) LANGUAGE sql AS 'SELECT a; SELECT (1)';
CREATE AGGREGATE adds(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq, COMMUTATOR = ===);
CREATE FUNCTION cast_pair(pair) RETURNS int LANGUAGE sql AS 'SELECT $1.a';
CREATE CAST (pair AS int) WITH FUNCTION cast_pair(pair);
CREATE VIEW seen AS
  SELECT w.id, (w.p).a, w.kind::text || 'x' AS kx, w.codes[1:2] AS two, EXTRACT(year FROM w.at) AS y,
         w.kind IN ('a', 'b') AS isin, NOT (w.n > 1 OR w.n < 0) AS nor, - w.n AS minus, w.at AT TIME ZONE 'UTC' AS zoned,
         COALESCE(w.s, 'a') AS c, w.n::int::text AS twice, (SELECT max(old) FROM words x WHERE x.kind = w.kind) AS sub,
         'a;  b'::text AS q, row_number() OVER (PARTITION BY w.kind ORDER BY w.n DESC) AS r, w.letter = 'x' AS l,
         ROW(w.id, w.n) = ROW(1, 2) AS rows, w.kind BETWEEN 'a' AND 'c' AS between, w.atz + '1 day' AS tomorrow
    FROM words w LEFT JOIN parted USING (kind) WHERE (w.kind, w.n) IN (SELECT kind, n FROM parted) AND w.kind SIMILAR TO 'a%'
   GROUP BY GROUPING SETS ((w.id), ()), w.id HAVING count(*) > 1 OR bool_and(w.kind = ANY ('{a,b}')) ORDER BY 1;
CREATE VIEW "Odd.schema; x".checked WITH (security_barrier) AS
  WITH RECURSIVE r (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 5), v (x) AS (SELECT 'a'::varchar)
  SELECT n, x FROM r, v, LATERAL (SELECT 1) l WHERE x IN ('a', 'b') UNION (SELECT 1, 'y' EXCEPT SELECT 2, 'z' LIMIT 3);
CREATE VIEW simple AS SELECT a, kind FROM ancestor WHERE kind IN ('x', 'y') WITH CASCADED CHECK OPTION;
CREATE MATERIALIZED VIEW kept AS SELECT kind, count(*) AS n FROM words WHERE kind NOT IN ('a', 'b') GROUP BY kind;
CREATE UNIQUE INDEX kept_kind ON kept (kind);
CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER changes BEFORE UPDATE OF kind, n ON words FOR EACH ROW
  WHEN (OLD.kind IN ('a', 'b') AND NEW.n IS DISTINCT FROM OLD.n) EXECUTE FUNCTION fires('it''s; (', 'x');
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON heir DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fires();
ALTER TABLE words DISABLE TRIGGER changes;
CREATE RULE two AS ON INSERT TO simple WHERE NEW.kind IN ('x') DO INSTEAD (
  INSERT INTO ancestor VALUES (NEW.a, NEW.kind); UPDATE words SET kind = 'b' WHERE kind IN ('a', 'c'));
CREATE RULE simply AS ON DELETE TO simple DO INSTEAD NOTHING;
ALTER TABLE words ENABLE ROW LEVEL SECURITY;
CREATE POLICY partly ON words FOR SELECT TO ddl_reader USING (kind IN ('a', 'b') OR s = CURRENT_USER);
CREATE POLICY own ON words AS RESTRICTIVE FOR UPDATE USING (n > 0) WITH CHECK (kind = ANY (ARRAY['a', 'b']));
CREATE SEQUENCE "odd; 'one'" AS smallint START 5 CYCLE OWNED BY ancestor.a;
SELECT nextval('"odd; ''one''"');
GRANT SELECT (kind), INSERT ON words TO ddl_reader;
GRANT EXECUTE ON FUNCTION modern(text) TO ddl_reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO ddl_reader;
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
CREATE TEXT SEARCH CONFIGURATION searches (COPY = simple);
CREATE COLLATION "Odd.schema; x".coll (provider = libc, locale = 'C');
CREATE TABLE collated (a text COLLATE "Odd.schema; x".coll CHECK (a COLLATE "C" < 'b'));
CREATE PUBLICATION partly FOR TABLE words (id, kind) WHERE (id IN (1, 2));
ALTER TABLE words REPLICA IDENTITY FULL, ALTER COLUMN kind SET STATISTICS 5, ALTER j SET STORAGE EXTERNAL;
INSERT INTO words (kind, n, at) VALUES ('a', 1, '2025-01-01'), ('b', -2, NULL);
