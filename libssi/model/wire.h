/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What nodes and master say to each other, by number, and who they prove to be: doc/wire.md. Pure. */
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/err.h"

#define SSI_WIRE_PORT 7701

enum ssi_wire_module { SSI_MOD_BOOT = 1, SSI_MOD_MEMBERSHIP = 2, SSI_MOD_REXEC = 3, SSI_MOD_JOB = 4, SSI_MOD_PROCSPACE = 5 };
enum ssi_wire_boot { SSI_BOOT_TOKEN = 1, SSI_BOOT_TOKEN_REPLY, SSI_BOOT_STAGE, SSI_BOOT_FAILED, SSI_BOOT_NODE_EVENT };
enum ssi_wire_membership { SSI_MEMBER_JOIN = 1, SSI_MEMBER_JOIN_REPLY, SSI_MEMBER_HEARTBEAT, SSI_MEMBER_HEARTBEAT_REPLY,
	SSI_MEMBER_VIEW, SSI_MEMBER_LEAVE, SSI_MEMBER_ORDER };
enum ssi_wire_rexec { SSI_REXEC_EXEC = 1, SSI_REXEC_OUTPUT, SSI_REXEC_EXIT, SSI_REXEC_INPUT, SSI_REXEC_KILL, SSI_REXEC_CREDIT, SSI_REXEC_ERRORS };
enum ssi_wire_job { SSI_JOB_SPEC = 1, SSI_JOB_NEED, SSI_JOB_BLOB, SSI_JOB_STARTED, SSI_JOB_DATA, SSI_JOB_ACK, SSI_JOB_SIGNAL, SSI_JOB_WINDOW,
	SSI_JOB_EXIT, SSI_JOB_EXIT_ACK, SSI_JOB_ATTACH, SSI_JOB_GONE, SSI_JOB_STATE, SSI_JOB_HELD, SSI_JOB_ASK, SSI_JOB_PLACES,
	SSI_JOB_GIVE, SSI_JOB_GIVES, SSI_JOB_TAKE };
enum ssi_wire_procspace { SSI_PROCSPACE_LOAD = 1, SSI_PROCSPACE_PROCS, SSI_PROCSPACE_ACT, SSI_PROCSPACE_ACTED };

/* The PSK identities of doc/wire.md: "boot:<mac>:<incarnation>" and "node:<name>:<incarnation>". */
struct ssi_identity { enum { SSI_IDENTITY_BOOT = 1, SSI_IDENTITY_NODE = 2 } kind; char who[64]; uint64_t incarnation; };
int ssi_identity_parse(const char *s, struct ssi_identity *ret);                 /* 0 or -EINVAL */
int ssi_identity_format(const struct ssi_identity *id, char *buf, size_t n);     /* 0 or -ENOSPC */
