/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What a node is known by, derived from the 32 bytes that its master keeps for it (TokenReply.identity, doc/wire.md): always the same, whatever machine plays
 * the node, whatever its root, with and without a state volume. Runs in init-line.
 *     machine-id      the first half of HMAC-SHA256(identity, "ssi-machine-id") as a random UUID (RFC 9562, version 4), 32 hexadecimal digits: machine-id(5)
 *     host key        Ed25519 (RFC 8032) from HMAC-SHA256(identity, "ssi-ssh-host-ed25519"), in OpenSSH's form (PROTOCOL.key): the one that it reads
 */
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/buf.h"
#include "libssi/base/err.h"

#define HOSTKEY_IDENTITY 32
/* The texts of the three files, with their last newline. 0 or -errno. */
int hostkey_machine_id(const uint8_t identity[HOSTKEY_IDENTITY], struct ssi_buf *ret);
int hostkey_ssh(const uint8_t identity[HOSTKEY_IDENTITY], const char *comment, struct ssi_buf *ret_secret, struct ssi_buf *ret_public, struct ssi_err *e);
