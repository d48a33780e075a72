-- The tables of the app, made by tools/make_schema.py from create_tables.py: `make schema` makes it again.
-- On a host that has them already a change needs a migration: playbooks/migrate.yml -e migration=FILE.
-- schema: public
-- fingerprint: sha256:14bc0a3a6b1ad55f0855b804891c665800f949496af549060f098f75007db7a4
-- relation: {"kind": "table", "name": "ip_hostname_mapping", "parts": {"column hostname": "character varying not null", "column ip": "character varying not null", "column time": "timestamp with time zone not null"}}
-- relation: {"kind": "table", "name": "ooni_web_connectivity_test", "parts": {"column anomaly": "boolean not null", "column blocking_type": "character varying", "column confirmed": "boolean not null", "column input_ip_alpha2": "character(2)", "column input_url": "character varying not null", "column measurement_start_time": "timestamp with time zone not null", "column probe_alpha2": "character(2) not null", "column report_id": "character varying not null", "column tld_jurisdiction_alpha2": "character(2)"}}
-- relation: {"kind": "table", "name": "pop_weighted_gini", "parts": {"column gini": "numeric not null", "column market": "character varying not null", "column measurement_scope": "character varying not null", "column time": "timestamp with time zone not null default now()"}}
-- relation: {"kind": "table", "name": "provider_marketshare", "parts": {"column jurisdiction_alpha2": "character(2)", "column market": "character varying not null", "column marketshare": "numeric not null", "column measurement_scope": "character varying not null", "column name": "character varying not null", "column time": "timestamp with time zone not null default now()", "column url": "character varying"}}

CREATE TABLE public.ip_hostname_mapping (
    hostname character varying NOT NULL,
    ip character varying NOT NULL,
    "time" timestamp with time zone NOT NULL
);

CREATE TABLE public.ooni_web_connectivity_test (
    blocking_type character varying,
    probe_alpha2 character(2) NOT NULL,
    input_url character varying NOT NULL,
    anomaly boolean NOT NULL,
    confirmed boolean NOT NULL,
    report_id character varying NOT NULL,
    input_ip_alpha2 character(2),
    tld_jurisdiction_alpha2 character(2),
    measurement_start_time timestamp with time zone NOT NULL
);

CREATE TABLE public.pop_weighted_gini (
    measurement_scope character varying NOT NULL,
    market character varying NOT NULL,
    gini numeric NOT NULL,
    "time" timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.provider_marketshare (
    name character varying NOT NULL,
    url character varying,
    jurisdiction_alpha2 character(2),
    measurement_scope character varying NOT NULL,
    market character varying NOT NULL,
    marketshare numeric NOT NULL,
    "time" timestamp with time zone DEFAULT now() NOT NULL
);
