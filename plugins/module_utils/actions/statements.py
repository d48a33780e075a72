# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of statements, by their names in PostgreSQL's parser: those that a step may be, and why the others not."""

from __future__ import annotations

CHANGES = ("InsertStmt", "UpdateStmt", "DeleteStmt", "TruncateStmt")
# With allow_ddl; each can be rolled back and runs nothing but itself.
DDL = (
    *("CreateStmt", "CreateTableAsStmt", "AlterTableStmt", "IndexStmt", "DropStmt", "RenameStmt", "CommentStmt"),
    *("CreateSeqStmt", "AlterSeqStmt", "ViewStmt", "RefreshMatViewStmt", "CreateStatsStmt"),
)
# What DROP, RENAME and ALTER TABLE may be about.
OBJECTS = frozenset(
    f"OBJECT_{word}" for word in ("TABLE", "INDEX", "SEQUENCE", "VIEW", "MATVIEW", "COLUMN", "TABCONSTRAINT")
)
# What ALTER TABLE may do: nothing about owners, triggers, rules, row security, storage.
ALTERATIONS = frozenset(
    f"AT_{word}"
    for word in (
        *("AddColumn", "ColumnDefault", "DropNotNull", "SetNotNull"),
        *("AddConstraint", "ValidateConstraint", "DropConstraint", "AddIndex", "AddIndexConstraint", "AlterConstraint"),
        *("AttachPartition", "DetachPartition", "AddIdentity", "SetIdentity", "DropIdentity", "SetStatistics"),
    )
)
# What ALTER TABLE does to the values that are there. A new type does so without USING too: float8 to int rounds.
LOSING = {
    "AT_DropColumn": "DROP COLUMN",
    "AT_AlterColumnType": "ALTER COLUMN TYPE",
    "AT_DropExpression": "DROP EXPRESSION",
}

_TRANSACTION = ("transaction", "the action is one transaction: leave this out")
_CODE = ("code", "it makes or runs code, which could do anything: migrate instead")
_DYNAMIC = ("dynamic", "it runs a text or a name in place of a statement: write the statement itself")
_ACCESS = ("access", "who may do what is the access policy's: write it there")
_SESSION = ("session", "it changes the session, which the plan's own keys set: leave it out")
_SERVER = ("server", "it changes the server or another database: do that by a playbook")
_MAINTENANCE = ("maintenance", "it is maintenance and no correction: leave it out")
_CURSOR = ("cursor", "a step needs no cursor: write the statement itself")
_SCHEMA = ("ddl-object", "an action may not make or change this: migrate instead")

UNKNOWN = ("unknown", "a step is one INSERT, UPDATE or DELETE; nothing is known of this statement")
REFUSED: dict[str, tuple[str, str]] = {
    "SelectStmt": ("changes-nothing", "a step changes something: put a query under assess or invariants"),
    "MergeStmt": ("merge", "which rows it changes is not known beforehand: make steps of UPDATE, DELETE and INSERT"),
    "CopyStmt": ("copy", "COPY reads or writes files and programs, or waits for rows: write INSERT with VALUES"),
    "TransactionStmt": _TRANSACTION,
    "ConstraintsSetStmt": _TRANSACTION,
    "VariableSetStmt": _SESSION,
    "VariableShowStmt": _SESSION,
    "DiscardStmt": _SESSION,
    "LockStmt": ("lock", "the rows are locked as they are saved: leave LOCK out"),
    "ListenStmt": _SESSION,
    "UnlistenStmt": _SESSION,
    "NotifyStmt": _SESSION,
    "LoadStmt": _SERVER,
    "DoStmt": _CODE,
    "CallStmt": _CODE,
    "PrepareStmt": _DYNAMIC,
    "ExecuteStmt": _DYNAMIC,
    "DeallocateStmt": _DYNAMIC,
    "ExplainStmt": ("explain", "EXPLAIN ANALYZE runs what it explains: leave it out"),
    "DeclareCursorStmt": _CURSOR,
    "FetchStmt": _CURSOR,
    "ClosePortalStmt": _CURSOR,
    "VacuumStmt": _MAINTENANCE,
    "ClusterStmt": _MAINTENANCE,
    "ReindexStmt": _MAINTENANCE,
    "CheckPointStmt": _MAINTENANCE,
    "AlterSystemStmt": _SERVER,
    "CreatedbStmt": _SERVER,
    "DropdbStmt": _SERVER,
    "AlterDatabaseStmt": _SERVER,
    "AlterDatabaseSetStmt": _SERVER,
    "AlterDatabaseRefreshCollStmt": _SERVER,
    "CreateTableSpaceStmt": _SERVER,
    "DropTableSpaceStmt": _SERVER,
    "AlterTableSpaceOptionsStmt": _SERVER,
    "AlterTableMoveAllStmt": _SERVER,
    "CreateExtensionStmt": _SERVER,
    "AlterExtensionStmt": _SERVER,
    "AlterExtensionContentsStmt": _SERVER,
    "CreatePLangStmt": _SERVER,
    "CreateSubscriptionStmt": _SERVER,
    "AlterSubscriptionStmt": _SERVER,
    "DropSubscriptionStmt": _SERVER,
    "CreatePublicationStmt": _SERVER,
    "AlterPublicationStmt": _SERVER,
    "CreateFdwStmt": _SERVER,
    "AlterFdwStmt": _SERVER,
    "CreateForeignServerStmt": _SERVER,
    "AlterForeignServerStmt": _SERVER,
    "CreateForeignTableStmt": _SERVER,
    "ImportForeignSchemaStmt": _SERVER,
    "CreateUserMappingStmt": _ACCESS,
    "AlterUserMappingStmt": _ACCESS,
    "DropUserMappingStmt": _ACCESS,
    "GrantStmt": _ACCESS,
    "GrantRoleStmt": _ACCESS,
    "CreateRoleStmt": _ACCESS,
    "AlterRoleStmt": _ACCESS,
    "AlterRoleSetStmt": _ACCESS,
    "DropRoleStmt": _ACCESS,
    "AlterDefaultPrivilegesStmt": _ACCESS,
    "ReassignOwnedStmt": _ACCESS,
    "DropOwnedStmt": _ACCESS,
    "AlterOwnerStmt": _ACCESS,
    "CreatePolicyStmt": _ACCESS,
    "AlterPolicyStmt": _ACCESS,
    "SecLabelStmt": _ACCESS,
    "CreateFunctionStmt": _CODE,
    "AlterFunctionStmt": _CODE,
    "CreateTrigStmt": _CODE,
    "CreateEventTrigStmt": _CODE,
    "AlterEventTrigStmt": _CODE,
    "RuleStmt": _CODE,
    "CreateCastStmt": _CODE,
    "CreateTransformStmt": _CODE,
    "CreateOpClassStmt": _CODE,
    "CreateOpFamilyStmt": _CODE,
    "AlterOpFamilyStmt": _CODE,
    "AlterOperatorStmt": _CODE,
    "CreateConversionStmt": _CODE,
    "CreateAmStmt": _CODE,
    "DefineStmt": _CODE,
    "CreateSchemaStmt": _SCHEMA,
    "CreateDomainStmt": _SCHEMA,
    "AlterDomainStmt": _SCHEMA,
    "CreateEnumStmt": _SCHEMA,
    "AlterEnumStmt": _SCHEMA,
    "CreateRangeStmt": _SCHEMA,
    "CompositeTypeStmt": _SCHEMA,
    "AlterTypeStmt": _SCHEMA,
    "AlterObjectSchemaStmt": _SCHEMA,
    "AlterObjectDependsStmt": _SCHEMA,
    "AlterCollationStmt": _SCHEMA,
    "AlterStatsStmt": _SCHEMA,
    "AlterTSDictionaryStmt": _SCHEMA,
    "AlterTSConfigurationStmt": _SCHEMA,
}
