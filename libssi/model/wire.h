/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The ccm frame header, as drawn in doc/wire.md. Pure: bytes in, struct out. */
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/err.h"

#define SSI_WIRE_HEADER 40
#define SSI_WIRE_BODY_MAX (1u << 20)
#define SSI_WIRE_PORT 7701

enum ssi_wire_module { SSI_MOD_BOOT = 1, SSI_MOD_MEMBERSHIP = 2, SSI_MOD_REXEC = 3 };
enum ssi_wire_boot { SSI_BOOT_TOKEN = 1, SSI_BOOT_TOKEN_REPLY, SSI_BOOT_STAGE, SSI_BOOT_FAILED, SSI_BOOT_NODE_EVENT };
enum ssi_wire_membership { SSI_MEMBER_JOIN = 1, SSI_MEMBER_JOIN_REPLY, SSI_MEMBER_HEARTBEAT, SSI_MEMBER_HEARTBEAT_REPLY,
	SSI_MEMBER_VIEW, SSI_MEMBER_LEAVE, SSI_MEMBER_ORDER };
enum ssi_wire_rexec { SSI_REXEC_EXEC = 1, SSI_REXEC_OUTPUT, SSI_REXEC_EXIT, SSI_REXEC_INPUT, SSI_REXEC_KILL, SSI_REXEC_CREDIT };
enum ssi_wire_flags { SSI_WIRE_REPLY = 1, SSI_WIRE_STDERR = 2 };

struct ssi_frame {
	uint8_t flags;
	uint16_t module, type;
	uint32_t source, destination;    /* node numbers; 0 is the master */
	uint64_t incarnation;
	uint64_t sequence;
	uint32_t size;                   /* of the body */
};
/* -EBADMSG with the reason when it is not a frame of ours. Needs SSI_WIRE_HEADER bytes. */
int ssi_wire_decode(const uint8_t *p, struct ssi_frame *ret, struct ssi_err *e);
void ssi_wire_encode(const struct ssi_frame *f, uint8_t *p);

/* The PSK identities of doc/wire.md: "boot:<mac>:<incarnation>" and "node:<name>:<incarnation>". */
struct ssi_identity { enum { SSI_IDENTITY_BOOT = 1, SSI_IDENTITY_NODE = 2 } kind; char who[64]; uint64_t incarnation; };
int ssi_identity_parse(const char *s, struct ssi_identity *ret);                 /* 0 or -EINVAL */
int ssi_identity_format(const struct ssi_identity *id, char *buf, size_t n);     /* 0 or -ENOSPC */
