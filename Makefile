# The only entry point. `make` alone says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
LINK := .ansible/collections/ansible_collections/taaraxtak/production
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# What every scenario of molecule shares lies in .config/molecule/config.yml.
export MOLECULE_GLOB := molecule/*/molecule.yml
# Whoever calls make may have settings of Python's that are meant for other programs.
unexport PYTHONPATH PYTHONHOME

# As root, packages are installed directly; else by sudo.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
SCENARIOS := $(notdir $(patsubst %/molecule.yml,%,$(wildcard molecule/*/molecule.yml)))

.PHONY: help stores fetch init doctor pinned adopt adopt-back up down status audit verify incident incidents incident-report rehearse approve carry-out undo local local-snapshot local-reset local-down restore test lint unit contract sanity integration molecule schema matrix check-panels export-dashboards import-dashboards changelog clean bench-access bench-audit bench-converge bench-dump bench-restore faults images \
        packages-python packages-containers packages-postgres packages-dumps packages-stores packages-browser venv venv-dev $(addprefix molecule-,$(SCENARIOS))

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  make molecule-NAME      One scenario: $(SCENARIOS)"

# --- A project of your own ----------------------------------------------------------------------------------------------
# PROJECT=FOLDER, on the command line alone, has the inventories, dashboards and incidents; without it this checkout's serve. In a project
# INVENTORY, FOLDER, INCIDENT, DASHBOARDS and OUTPUT are seen from it.
NAMED := $(filter command,$(firstword $(origin PROJECT)))
BASE := $(if $(NAMED),$(abspath $(PROJECT)))
ifneq ($(NAMED),)
  ifeq ($(BASE),)
    $(error PROJECT is empty: name the folder of your project, or leave PROJECT out for this checkout)
  endif
  ifneq ($(words $(BASE)),1)
    $(error PROJECT is one folder, without spaces in its path)
  endif
  ifeq ($(filter init,$(MAKECMDGOALS))$(wildcard $(BASE)/inventory),)
    $(error There is no project in $(BASE): make init PROJECT=$(PROJECT) begins one)
  endif
endif
# The settings of Ansible are the project's, but for where the collection is.
export ANSIBLE_CONFIG := $(or $(if $(BASE),$(wildcard $(BASE)/ansible.cfg)),$(CURDIR)/ansible.cfg)
ifneq ($(BASE),)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.ansible/collections
endif
export TAARAXTAK_PROJECT := $(BASE)
export TAARAXTAK_BASE := $(or $(BASE),$(CURDIR))
# $(call seen,PATH)
seen = $(if $(BASE),$(if $(1),$(if $(filter /%,$(firstword $(1))),,$(BASE)/)))$(1)

init: venv ## Begin a project of your own in the new folder PROJECT=FOLDER; the other targets then take PROJECT= too
	@ANSIBLE_LOCALHOST_WARNING=false ansible-playbook -i localhost, $(if $(CHECK),--check )playbooks/init.yml

# Without venv: it says, too, what is missing for that.
doctor: ## What PROJECT=FOLDER, and this machine, need for this version of the collection
	@python3 tools/doctor.py "$$TAARAXTAK_BASE"

# What changes something does it by the version that the project has written down, or not at all.
pinned: venv
	$(if $(BASE),@python tools/doctor.py --pin "$$TAARAXTAK_BASE",@:)

# --- The local production environment ---------------------------------------------------------------------------------
# Grafana comes from its package's file, where one is given: GRAFANA=grafana_12.3.0_amd64.deb
up status: export TAARAXTAK_GRAFANA = $(if $(GRAFANA),$(abspath $(GRAFANA)))
up: venv pinned images-trixie ## Provision production and its dump store in two containers, and show them
	@mkdir -p "$$TAARAXTAK_BASE/build"
	@rm -f "$$TAARAXTAK_BASE/build/site.log"
	ansible-playbook -i "$$TAARAXTAK_BASE/inventory/local" molecule/shared/create.yml
	ansible-playbook -i "$$TAARAXTAK_BASE/inventory/local" molecule/shared/prepare.yml
	ANSIBLE_LOG_PATH="$$TAARAXTAK_BASE/build/site.log" ansible-playbook -i "$$TAARAXTAK_BASE/inventory/local" playbooks/site.yml
	ansible-playbook -i "$$TAARAXTAK_BASE/inventory/local" playbooks/first_dump.yml
	ansible-playbook -i "$$TAARAXTAK_BASE/inventory/local" playbooks/restore_drill.yml -e restore_drill_only_new=true
	@$(MAKE) status
	@python tools/audit.py --brief --inventory "$$TAARAXTAK_BASE/inventory/local" --folder "$$TAARAXTAK_BASE/build/audit"

status: venv ## Show what runs where, who may do what, and the newest dump
	@mkdir -p "$$TAARAXTAK_BASE/build"
	@ANSIBLE_DISPLAY_OK_HOSTS=false ANSIBLE_DISPLAY_SKIPPED_HOSTS=false ANSIBLE_SHOW_PER_HOST_START=false \
	  ansible-playbook -i "$$TAARAXTAK_BASE/inventory/local" playbooks/status.yml > "$$TAARAXTAK_BASE/build/status.log" \
	  || { cat "$$TAARAXTAK_BASE/build/status.log"; exit 1; }
	@cat "$$TAARAXTAK_BASE/build/status.txt"

# Its own exit status (python tools/audit.py): 0 clean, 2 findings, 3 could not look. make says 2 for both of these.
audit: export TAARAXTAK_INVENTORY = $(call seen,$(or $(INVENTORY),inventory/local))
audit: venv ## Look at everything that the policy promises, and report it: INVENTORY=FOLDER, AUDIT_FAIL_ON=high
	@python tools/audit.py --inventory "$$TAARAXTAK_INVENTORY" --folder "$$TAARAXTAK_BASE/build/audit" $(if $(AUDIT_FAIL_ON),--fail-on "$(AUDIT_FAIL_ON)")

verify: export TAARAXTAK_VERIFY = $(call seen,$(or $(INVENTORY),inventory/local))
verify: venv-dev ## Try the same promises on running hosts, reading only: INVENTORY=FOLDER
	python -m pytest tests/live -q -n 4 --dist loadfile

# Without CONFIRM, which names the step once more, it is a report and nothing is changed.
adopt adopt-back: export TAARAXTAK_INVENTORY = $(call seen,$(or $(INVENTORY),inventory/production))
adopt adopt-back: export TAARAXTAK_STEP = $(STEP)
adopt: export TAARAXTAK_CONFIRM = $(CONFIRM)
adopt: venv pinned ## Adopt a host that runs already, step by step: INVENTORY=FOLDER, STEP=dumps, CONFIRM=dumps takes it
	ansible-playbook -i "$$TAARAXTAK_INVENTORY" playbooks/adopt.yml

adopt-back: venv pinned ## Take the last step of an adoption back: INVENTORY=FOLDER, STEP=dumps
	ansible-playbook -i "$$TAARAXTAK_INVENTORY" playbooks/adopt_back.yml

down: venv ## Remove the two containers and all that is in them
	ansible-playbook -i "$$TAARAXTAK_BASE/inventory/local" molecule/shared/destroy.yml

# --- Stores that only keep files (docs/stores.md) -----------------------------------------------------------------------
stores: export TAARAXTAK_INVENTORY = $(call seen,$(or $(INVENTORY),inventory/production))
stores: venv pinned ## Look after stores that only keep files: INVENTORY=FOLDER (PRUNE=1 removes what nothing keeps, CHECK=1 only says what)
	ansible-playbook -i "$$TAARAXTAK_INVENTORY" $(if $(CHECK),--check )$(if $(PRUNE),-e stores_prune=true )playbooks/stores.yml

fetch: export TAARAXTAK_STORE = $(STORE)
fetch: export TAARAXTAK_NAME = $(NAME)
fetch: export TAARAXTAK_TO = $(call seen,$(or $(TO),build/stores))
fetch: ## Bring a dump of such a store into the folder TO, after make stores: STORE=box (NAME=…), for DUMP=
	@python3 tools/carry.py --config="$$TAARAXTAK_BASE/build/stores/dump-carry.json" --store="$$TAARAXTAK_STORE" get --to="$$TAARAXTAK_TO" -- $(if $(NAME),"$$TAARAXTAK_NAME")

# --- A developer's own ------------------------------------------------------------------------------------------------
# Each word is given on the command line: make local DUMP=…  or  make local STORE=… KEY=… KNOWN_HOSTS=…
local local-snapshot local-reset: export TAARAXTAK_DUMP = $(DUMP)
local local-snapshot local-reset: export TAARAXTAK_STORE = $(STORE)
local local-snapshot local-reset: export TAARAXTAK_KEY = $(KEY)
local local-snapshot local-reset: export TAARAXTAK_KNOWN_HOSTS = $(KNOWN_HOSTS)
local: export TAARAXTAK_SIGNERS = $(SIGNERS)
local local-snapshot local-reset: export TAARAXTAK_INVENTORY = $(call seen,$(INVENTORY))
local local-snapshot local-reset: export TAARAXTAK_NAME = $(NAME)
local: export TAARAXTAK_PORT = $(PORT)
local: export TAARAXTAK_GRAFANA = $(if $(GRAFANA),$(abspath $(GRAFANA)))
local: export TAARAXTAK_GRAFANA_PORT = $(GRAFANA_PORT)
# How far a restore is stands in a log at once, too.
local: export PYTHONUNBUFFERED = 1
local-reset: export TAARAXTAK_STATE = restored
LOCAL := -i "$$TAARAXTAK_BASE/inventory/local" -e '{"containers_groups": ["developer_hosts"]}'

local: venv pinned images-trixie ## Your own production environment: DUMP=FILE, or STORE=HOST KEY=FILE KNOWN_HOSTS=FILE, or sample data
	@mkdir -p "$$TAARAXTAK_BASE/build"
	ansible-playbook $(LOCAL) playbooks/local_preflight.yml molecule/shared/create.yml playbooks/local.yml
	@cat "$$TAARAXTAK_BASE/build/taaraxtak-local/screen.txt"

local-snapshot: venv ## Keep the state of your own database as NAME=x
	ansible-playbook $(LOCAL) playbooks/local_states.yml

local-reset: venv pinned ## Bring the state NAME=x of your own database back
	ansible-playbook $(LOCAL) playbooks/local_states.yml

local-down: venv ## Remove your own environment and all that is in it
	ansible-playbook $(LOCAL) molecule/shared/destroy.yml
	@rm -rf "$$TAARAXTAK_BASE/build/taaraxtak-local"

# What of these stands on the command line; in the environment NAME, KEY and their like may be anybody's.
RESTORE_WORDS := DUMP STORE KEY KNOWN_HOSTS NAME DATABASE INTO OWNER SIGNERS TIMEZONE IDENTITY KEEP_PREVIOUS BINDIR UNPROVED CHECK
restore: export TAARAXTAK_RESTORE = $(foreach word,$(RESTORE_WORDS),$(if $(filter command,$(firstword $(origin $(word)))),$(word)))
restore: $(if $(shell command -v dpkg-query),venv) ## Into a server of your own: PGURL=postgresql://… DUMP=FILE, or STORE=USER@HOST KEY=FILE KNOWN_HOSTS=FILE
	@python3 tools/restore.py

# --- Corrective actions -------------------------------------------------------------------------------------------------
# FOLDER has the incidents, INCIDENT is the path of one in it. What is typed goes by the environment: no shell reads it.
export TAARAXTAK_FOLDER = $(call seen,$(or $(FOLDER),incidents))
rehearse carry-out undo approve incident-report: export TAARAXTAK_INCIDENT = $(call seen,$(INCIDENT))
incident undo: export TAARAXTAK_SLUG = $(SLUG)
approve rehearse: export TAARAXTAK_KEY = $(KEY)
rehearse: export TAARAXTAK_DUMP = $(DUMP)
rehearse: export TAARAXTAK_STORE = $(STORE)
rehearse: export TAARAXTAK_KNOWN_HOSTS = $(KNOWN_HOSTS)
rehearse: export TAARAXTAK_SIGNERS = $(SIGNERS)
incidents: export TAARAXTAK_APPROVERS = $(APPROVERS)
carry-out: export TAARAXTAK_DBA = $(DBA)
carry-out: export TAARAXTAK_CONFIRM = $(CONFIRM)
carry-out undo: export TAARAXTAK_HOSTS = $(call seen,$(or $(INVENTORY),inventory/local))
INCIDENTS := python tools/incidents.py --folder "$$TAARAXTAK_FOLDER"

incident: venv ## Begin an incident: SLUG=duplicate-rows writes incidents/DATE-duplicate-rows/before.yml
	@$(INCIDENTS) new -- "$$TAARAXTAK_SLUG"

incidents: venv ## Where each incident stands (APPROVERS=FILE verifies approvals; CHECK=1 fails where a report is overdue)
	@$(INCIDENTS) list $(if $(APPROVERS),--approvers="$$TAARAXTAK_APPROVERS") $(if $(CHECK),--check)

rehearse: venv pinned ## Try INCIDENT=incidents/… in your own environment, on a fresh copy: DUMP=FILE, or STORE=HOST KEY=FILE KNOWN_HOSTS=FILE
	ansible-playbook $(LOCAL) playbooks/rehearse.yml

approve: venv ## Sign INCIDENT=incidents/…, which somebody else wrote and rehearsed, with KEY=FILE
	@$(INCIDENTS) approve -- "$$TAARAXTAK_INCIDENT" "$$TAARAXTAK_KEY"

carry-out: venv pinned ## Carry INCIDENT=incidents/… out on a host of INVENTORY=FOLDER as DBA=you, with CONFIRM='NAME HASH' (CHECK=1: a dry run)
	ansible-playbook -i "$$TAARAXTAK_HOSTS" $(if $(CHECK),--check )playbooks/carry_out.yml

undo: venv pinned ## Begin an incident that undoes INCIDENT=incidents/…, by the rows that it saved, of INVENTORY=FOLDER (SLUG=other-words)
	ansible-playbook -i "$$TAARAXTAK_HOSTS" playbooks/undo.yml

incident-report: venv ## Write after.md of INCIDENT=incidents/… anew, once people have written into after.yml
	@$(INCIDENTS) report -- "$$TAARAXTAK_INCIDENT"

# --- Tests --------------------------------------------------------------------------------------------------------------
test: lint unit contract sanity integration molecule ## Run every test (parts have targets of their own)

lint: venv-dev ## Style of roles, playbooks, YAML and Python; types of the core
	yamllint --strict .
	ruff format --check .
	ruff check .
	mypy
	ansible-lint --strict
	antsibull-changelog lint

unit: venv-dev ## The core, by tables and properties
	python -m pytest tests/unit -n auto

contract: venv-dev ## What the parts promise each other and the README promises its readers
	python -m pytest tests/contract -n auto --dist loadfile

# They wait for servers and for each other's programs: with a worker for each core, a quarter of the cores is idle.
WORKERS = $(shell expr $$(nproc) '*' 3 / 2)
integration: venv-dev packages-postgres packages-browser build/openssh-server build/s3rver ## The modules against a real PostgreSQL; the audit's page in a browser
	python -m pytest tests/integration -n $(WORKERS) --dist worksteal

sanity: venv-dev ## ansible-test sanity, on a copy of what git tracks
	python tools/sanity.py

# Four to forty minutes each; grafana-real needs Grafana's package. Each has its target: make molecule-NAME.
# Of the others, the two longest begin.
FIRST := default bookworm
LONG := adopt drift existing host incident lifecycle linode restore split stores

molecule: venv-dev images packages-dumps build/openssh-server ## The scenarios that are short enough, and a dozen faults, on real systemd hosts, two or three at a time
	python tools/scenarios.py $(FIRST) $(filter-out $(FIRST) $(LONG) grafana-real,$(SCENARIOS)) faults

molecule-grafana-real: export GRAFANA := $(if $(GRAFANA),$(abspath $(GRAFANA)))
molecule-grafana-real: export GRAFANA_VERSION := $(GRAFANA_VERSION)
molecule-grafana-real: export GRAFANA_KEY := $(if $(GRAFANA_KEY),$(abspath $(GRAFANA_KEY)))
# LINODE_OPENAPI=FILE, the description of the API of Linode, has prism judge every call.
molecule-linode: export LINODE_OPENAPI := $(if $(LINODE_OPENAPI),$(abspath $(LINODE_OPENAPI)))
molecule-linode: packages-dumps build/openssh-server $(if $(LINODE_OPENAPI),build/prism)
molecule-stores: packages-dumps build/s3rver
# SUITE=bookworm: on Debian 12.
molecule-adopt: export SUITE := $(SUITE)
$(addprefix molecule-,$(SCENARIOS)): molecule-%: venv-dev images
	molecule test --scenario-name $*

# --- Everyday work ------------------------------------------------------------------------------------------------------
schema: export TAARAXTAK_APP = $(or $(APP),$(call seen,sample/collector))
schema: export TAARAXTAK_TO = $(call seen,$(or $(OUTPUT),inventory/production/group_vars/production_hosts/schema.sql))
schema: venv packages-postgres ## Make schema.sql by running the app's create_tables.py in a throw-away cluster
	python tools/make_schema.py --app "$$TAARAXTAK_APP" --output "$$TAARAXTAK_TO"

matrix: venv packages-postgres ## Write README's table of who may do what from a live catalogue
	python tools/permission_matrix.py "$$TAARAXTAK_BASE"

# Tests hold the repository's own dashboards to it; other folders: make check-panels DASHBOARDS=… INVENTORY=…
check-panels: export TAARAXTAK_TO = $(call seen,$(or $(DASHBOARDS),dashboards))
check-panels: export TAARAXTAK_INVENTORY = $(call seen,$(or $(INVENTORY),inventory/production))
check-panels: venv packages-postgres ## Say which panels of the dashboards would work in production, as grafanareader
	@python tools/check_panels.py --dashboards "$$TAARAXTAK_TO" --inventory "$$TAARAXTAK_INVENTORY"

# FROM=ARCHIVE.tar.gz reads an archive of the tool grafana-backup instead; make local says which Grafana, unless URL and TOKEN_FILE do.
export-dashboards import-dashboards: export TAARAXTAK_GRAFANA_URL = $(URL)
export-dashboards import-dashboards: export TAARAXTAK_TOKEN_FILE = $(TOKEN_FILE)
export-dashboards import-dashboards: export TAARAXTAK_FROM = $(FROM)
export-dashboards import-dashboards: export TAARAXTAK_TO = $(call seen,$(DASHBOARDS))
import-dashboards: export TAARAXTAK_INVENTORY = $(call seen,$(INVENTORY))
EXCHANGE := ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_CALLBACK_RESULT_FORMAT=yaml ansible-playbook -i localhost,

export-dashboards: venv pinned ## Write the dashboards of your own Grafana, or of an old archive (FROM=FILE.tar.gz), into the repository
	@$(EXCHANGE) $(if $(CHECK),--check --diff) playbooks/export_dashboards.yml

import-dashboards: venv pinned ## Bring the repository's dashboards, or those of an old archive (FROM=FILE.tar.gz), into your own Grafana
	@$(EXCHANGE) $(if $(CHECK),--check --diff) playbooks/import_dashboards.yml

changelog: venv-dev ## Make CHANGELOG.md from changelogs/fragments
	antsibull-changelog generate

bench-converge: venv images-trixie ## Tasks, seconds and CPU of a run that changes nothing (PEER=FOLDER: beside a checkout of geerlingguy.postgresql)
	python -m benchmarks.converge $(if $(PEER),"$(PEER)")

bench-access: venv packages-postgres ## pg_access beside its peers: time, memory, queries, rows rewritten, holes seen
	python -m benchmarks.access $(if $(QUICK),--quick)

bench-audit: venv packages-browser ## The audit's page of 10,000 tables and 200 roles: seconds, bytes, how soon it opens
	python -m benchmarks.audit $(if $(QUICK),--quick)

bench-dump: venv packages-dumps build/openssh-server ## A streamed dump beside the seed's pipeline and the limit: time, memory, bytes
	python -m benchmarks.dump $(if $(QUICK),--quick)

bench-restore: venv packages-dumps build/openssh-server ## A restore with its proofs beside zstd | psql: time, memory, bytes
	python -m benchmarks.restore $(if $(QUICK),--quick)

faults: venv images-trixie ## Every fault of a dump, injected into two running hosts, as a table (QUICK=1: a dozen; KEEP=1 leaves the hosts)
	python -m faults "$(ONLY)"

clean: ## Remove what make has made here (containers: make down)
	rm -rf build .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .ansible $(VENV)

# --- What the above needs -----------------------------------------------------------------------------------------------
# Installs the packages of PACKAGES that are missing; silent where all are there.
define install-packages
	@missing=$$(for package in $(1); do \
	  [ "$$(dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null)" = installed ] || echo $$package; done); \
	if [ -n "$$missing" ]; then echo "Installing" $$missing; \
	  $(SUDO) apt-get -qq update; \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get -qq install --yes --no-install-recommends $$missing; fi
endef

packages-python:
	$(call install-packages,python3 python3-venv)

packages-containers:
	$(call install-packages,podman runc crun conmon netavark aardvark-dns mmdebstrap uidmap slirp4netns iptables nftables debian-archive-keyring)

packages-postgres:
	$(call install-packages,postgresql)

packages-dumps: packages-postgres
	$(call install-packages,age gzip libwrap0 openssh-client zstd)

# For tests of stores that keep files alone; npm brings a server that speaks S3, for tests.
packages-stores:
	$(call install-packages,rclone $(if $(shell command -v npm),,nodejs npm))

# With a font: without any, headless pages have no text.
packages-browser:
	$(call install-packages,chromium fonts-dejavu-core)

# sshd for tests that start one of their own; installed, the package would let strangers knock at this machine.
build/openssh-server:
	@mkdir -p $@.new
	@[ -x /usr/sbin/sshd ] || { cd $@.new && apt-get -qq download openssh-server && dpkg-deb -x openssh-server_*.deb .; }
	@mv $@.new $@

build/s3rver: packages-stores
	@[ -d $@/node_modules/s3rver ] || { rm -rf $@.new $@; mkdir -p $@.new; npm install --prefix $@.new --no-audit --no-fund --silent s3rver@3.7.1; mv $@.new $@; }

build/prism:
	@mkdir -p $@.new
	npm install --prefix $@.new --no-audit --no-fund --silent @stoplight/prism-cli@5.14.2
	@mv $@.new $@

images: images-trixie images-bookworm

images-%: venv packages-containers
	@python molecule/images/build.py $*

$(LINK):
	@mkdir -p $(dir $@)
	@ln -sfn ../../../.. $@

venv: $(LINK) $(VENV)/.runtime

venv-dev: $(LINK) $(VENV)/.dev

# The newest Python from 3.12 on that really runs and can make a virtual environment, else 3.11.
$(VENV)/.runtime: requirements.txt tools/find_python.sh
	@$(MAKE) packages-python
	@python=$$(tools/find_python.sh); echo "Using $$($$python --version) ($$python)"; $$python -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ 
