# Stands for the collector's configuration: copy it to config.py. On a host the role `collector` writes config.py.
config = {
    # Keyword arguments of psycopg2.connect.
    "postgres": {
        "user": "scraper",
        "host": "/var/run/postgresql",
        "port": "5432",
        "database": "taaraxtak",
    },
    # true: look hostnames up by SQL put together as text, and meet a hostile one. A test of the roles, never for use.
    "sample_injection": False,
}
