/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What both ends of an iSCSI session (RFC 7143) know without telling each other: names, and the secret of CHAP (RFC 1994), which is derived from the key that a boot
 * was given for its token. So nobody has a secret before that, it is never sent, and it ends with the boot.
 */
#include <stdint.h>

#define SSI_ISCSI_NAME 224               /* an iSCSI name's bytes with its NUL */
#define SSI_ISCSI_PORT 3260
#define SSI_ISCSI_SECRET 33              /* 32 hexadecimal digits with the NUL */
#define SSI_ISCSI_SERIAL 33              /* of an image's disk: the first 32 digits of its generation's name, with the NUL */
#define SSI_ISCSI_LUN_IMAGE 0            /* what a node sees */
#define SSI_ISCSI_LUN_STATE 1

/* "iqn.2026-11.internal.ssi:SYSTEM", and with NODE and INCARNATION an initiator's. What an iSCSI name may not hold is written as ":xNN". -ENAMETOOLONG. */
int ssi_iscsi_target(const char *system, char ret[SSI_ISCSI_NAME]);
int ssi_iscsi_initiator(const char *system, const char *node, uint64_t incarnation, char ret[SSI_ISCSI_NAME]);
/* HMAC-SHA256(key, "ssi-iscsi-chap"), its first 16 bytes in hexadecimal. key: 32 bytes. 0 or -errno. The user's name is the node's. */
int ssi_iscsi_secret(const uint8_t key[32], char ret[SSI_ISCSI_SECRET]);
/* generation: "sha256-" and 64 digits. */
void ssi_iscsi_serial(const char *generation, char ret[SSI_ISCSI_SERIAL]);
