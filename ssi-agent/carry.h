/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the files of node-carry know of each other: carry.c (who is connected to whom), carry-talk.c (what they say). */
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/err.h"
#include "libssi/base/hash.h"
#include "libssi/comm/tls.h"

#define CARRY_WAIT_MS 10000              /* so long the other end may say nothing */

struct item { uint8_t digest[SSI_HASH_BYTES]; uint64_t size; };
struct carry { const char *blobs; uint8_t key[SSI_TLS_KEY]; struct item *items; size_t n; };

/* The giver's part of a connection, until its end: answers who has the key, about these items and no others. */
void carry_give(struct carry *c, int fd);
/* The taker's: 0 when all are here, else what went wrong. */
int carry_take(const struct carry *c, int fd, struct ssi_err *e);
