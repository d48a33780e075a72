-- How the recipe makes a database, as the superuser. What it leaves out is what people then find out by themselves: since PostgreSQL 15
-- nobody makes a table in public without being let, and a table that comes later is nobody's to read.
CREATE ROLE scraper LOGIN PASSWORD 'planted-scraper';
CREATE ROLE grafanareader LOGIN PASSWORD 'planted-reader';
CREATE DATABASE taaraxtak;
GRANT ALL PRIVILEGES ON DATABASE taaraxtak TO scraper;
\connect taaraxtak
GRANT ALL ON SCHEMA public TO scraper;
GRANT USAGE ON SCHEMA public TO grafanareader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO grafanareader;
ALTER DEFAULT PRIVILEGES FOR ROLE scraper IN SCHEMA public GRANT SELECT ON TABLES TO grafanareader;
-- Somebody who has left, and a hole of a long night.
CREATE ROLE former LOGIN PASSWORD 'planted-former' SUPERUSER;
