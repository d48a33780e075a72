from __future__ import annotations

import os
import pwd

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster, newest_bindir


def test_the_cluster_answers_and_leaves_nothing(fresh_server):
    assert fresh_server.run("SELECT 1") == [(1,)]
    assert fresh_server.run("SHOW listen_addresses") == [("",)]


def test_the_folder_is_gone_afterwards():
    with ScratchCluster() as cluster:
        folder = cluster.folder
        assert (folder / "data" / "PG_VERSION").exists()
    assert not folder.exists()


def test_a_setting_that_the_server_refuses_is_said():
    with pytest.raises(ValueError, match="no_such_setting"), ScratchCluster(settings={"no_such_setting": "1"}):
        pass


def test_no_server_installed_is_said(tmp_path):
    with pytest.raises(ValueError, match="install the package postgresql"):
        newest_bindir(tmp_path)


def test_the_lines_that_are_given_say_who_may_log_in():
    caller = pwd.getpwuid(os.geteuid()).pw_name
    with ScratchCluster(hba=["local postgres postgres peer map=m"], ident=[f'm "{caller}" postgres']) as cluster:
        given = {"host": str(cluster.socket), "port": cluster.port, "user": "postgres"}
        psycopg2.connect(**given, dbname="postgres").close()
        with pytest.raises(psycopg2.OperationalError, match=r"no pg_hba\.conf entry"):
            psycopg2.connect(**given, dbname="template1")
        assert cluster.data.stat().st_mode & 0o077 == 0
