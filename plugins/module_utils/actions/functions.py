# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions of PostgreSQL by what a call may do. What is in none of these sets has to be declared in the plan."""

from __future__ import annotations

# Reads its arguments or the rows alone, and answers the same to the same within a transaction.
_HARMLESS = """
    abs acos age any_value array_agg array_append array_cat array_dims array_length array_lower array_ndims
    array_position array_positions array_prepend array_remove array_replace array_to_json array_to_string
    array_upper ascii asin atan atan2 avg bit_and bit_length bit_or bool_and bool_or broadcast btrim cardinality
    cbrt ceil ceiling char_length character_length chr coalesce concat concat_ws corr cos cot count covar_pop
    covar_samp cume_dist current_database current_schema current_setting date date_bin date_part date_trunc
    daterange decode degrees dense_rank div encode every exp extract factorial family first_value floor format
    format_type gcd generate_series generate_subscripts grouping host hostmask inet_merge inet_same_family
    initcap int4range int8range is_normalized isempty isfinite json_agg json_array_elements
    json_array_elements_text json_array_length json_build_array json_build_object json_each json_each_text
    json_extract_path json_extract_path_text json_object json_object_agg json_object_keys json_strip_nulls
    json_to_record json_to_recordset json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text
    jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path
    jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg jsonb_object_keys jsonb_path_exists
    jsonb_path_match jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_set
    jsonb_strip_nulls jsonb_typeof justify_days justify_hours justify_interval lag last_value lcm lead left
    length like_escape ln localtimestamp log log10 lower lower_inc lower_inf lpad ltrim make_date make_interval
    make_time make_timestamp make_timestamptz masklen max md5 min mod mode multirange netmask network normalize
    now nth_value ntile num_nonnulls num_nulls numrange octet_length overlaps overlay parse_ident percent_rank
    percentile_cont percentile_disc pg_column_size pg_get_serial_sequence pg_typeof pi position power
    quote_ident quote_literal quote_nullable radians range_agg rank regexp_count regexp_instr regexp_like
    regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr
    regr_slope repeat replace reverse right round row_number row_to_json rpad rtrim scale set_masklen sha224
    sha256 sha384 sha512 sign sin split_part sqrt starts_with statement_timestamp stddev stddev_pop stddev_samp
    string_agg string_to_array string_to_table strpos substr substring sum tan text timezone to_char to_date
    to_hex to_json to_jsonb to_number to_timestamp transaction_timestamp translate trim trim_scale trunc tsrange
    tstzrange unnest upper upper_inc upper_inf var_pop var_samp variance width_bucket
"""
HARMLESS = frozenset(_HARMLESS.split())
# Answers something else each time: which rows they choose can't be known beforehand.
VOLATILE = frozenset(["clock_timestamp", "gen_random_uuid", "random", "random_normal", "timeofday", "uuidv4", "uuidv7"])
# Moves a sequence, which no rollback moves back; a row that is added needs one.
SEQUENCE = frozenset(["nextval", "currval", "lastval"])

# Never, whatever a plan declares, and why. A name ends in * for all that begin so.
NEVER = {
    "set_config": "it changes the session, its role too",
    "setval": "a rollback does not undo it: write ALTER SEQUENCE RESTART with allow_ddl",
    "setseed": "it changes the session",
    "nextval_internal": "it is PostgreSQL's own",
    "dblink*": "it runs statements in another session, which no rollback reaches",
    "lo_*": "it reads and writes large objects and files",
    "loread": "it reads and writes large objects",
    "lowrite": "it reads and writes large objects",
    "query_to_xml*": "it runs a text as a statement",
    "cursor_to_xml*": "it runs a text as a statement",
    "table_to_xml*": "it runs a text as a statement",
    "schema_to_xml*": "it runs a text as a statement",
    "database_to_xml*": "it runs a text as a statement",
    "ts_stat": "it runs a text as a statement",
    "ts_rewrite": "it runs a text as a statement",
    "crosstab*": "it runs a text as a statement",
    "connectby": "it runs a text as a statement",
    "xpath_table": "it runs a text as a statement",
    "plpgsql_*": "it runs code",
    "exec*": "it runs a text as a statement",
    "http*": "it reaches out of the database, where no rollback reaches",
    "pg_read_*": "it reads files of the server",
    "pg_ls_*": "it reads folders of the server",
    "pg_stat_file": "it reads files of the server",
    "pg_file_*": "it writes files of the server",
    "pg_logfile_*": "it touches the server's log",
    "pg_rotate_logfile*": "it touches the server's log",
    "pg_sleep*": "it holds the locks for nothing",
    "pg_notify": "it tells other sessions",
    "pg_reload_conf": "it changes the server",
    "pg_cancel_backend": "it ends what other sessions do",
    "pg_terminate_backend": "it ends other sessions",
    "pg_advisory_*": "it takes locks of other programs",
    "pg_try_advisory_*": "it takes locks of other programs",
    "pg_backup_*": "it is for whoever makes backups",
    "pg_start_backup": "it is for whoever makes backups",
    "pg_stop_backup": "it is for whoever makes backups",
    "pg_switch_wal": "it changes the server",
    "pg_create_*": "it changes the server",
    "pg_drop_*": "it changes the server",
    "pg_copy_*": "it changes the server",
    "pg_promote": "it changes the server",
    "pg_wal_*": "it changes the server",
    "pg_replication_*": "it changes the server's replication",
    "pg_logical_*": "it changes the server's replication",
    "pg_export_snapshot": "it changes the session",
    "pg_stat_reset*": "it throws statistics away",
    "pg_import_*": "it changes the catalogue",
    "pg_extension_config_dump": "it changes the catalogue",
    "pg_nextoid": "it changes the catalogue",
    "binary_upgrade_*": "it changes the catalogue",
    "brin_*": "it changes an index",
    "gin_clean_pending_list": "it changes an index",
    "txid_current": "only a transaction that writes needs one: it is in the after-action report anyway",
    "pg_current_xact_id": "only a transaction that writes needs one: it is in the after-action report anyway",
}


def never(name: str) -> str:
    """Why the function *name* (without its schema) is never called by a plan; "" where it may be declared."""
    for pattern, why in NEVER.items():
        if name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1])):
            return why
    return ""
