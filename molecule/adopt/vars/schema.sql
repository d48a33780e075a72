-- The tables of the app, made by tools/make_schema.py from create_tables.py: `make schema` makes it again.
-- On a host that has them already a change needs a migration: playbooks/migrate.yml -e migration=FILE.
-- schema: public
-- fingerprint: sha256:0ef1b4e0bdc4ff112af09e9dd513feb616e4b26876341b61f216594e351a34d6
-- relation: {"kind": "table", "name": "counted", "parts": {"column n": "bigint not null", "column written_at": "timestamp with time zone not null default now()", "constraint counted_pkey": "PRIMARY KEY (n)"}}
-- relation: {"kind": "table", "name": "ip_hostname_mapping", "parts": {"column hostname": "character varying not null", "column ip": "character varying not null", "column time": "timestamp with time zone not null"}}
-- relation: {"kind": "table", "name": "measurement", "parts": {"column anomaly": "boolean not null", "column time": "timestamp with time zone not null default now()", "column url": "character varying not null"}}

CREATE TABLE public.counted (
    n bigint NOT NULL,
    written_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.ip_hostname_mapping (
    hostname character varying NOT NULL,
    ip character varying NOT NULL,
    "time" timestamp with time zone NOT NULL
);

CREATE TABLE public.measurement (
    url character varying NOT NULL,
    anomaly boolean NOT NULL,
    "time" timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.counted
    ADD CONSTRAINT counted_pkey PRIMARY KEY (n);
