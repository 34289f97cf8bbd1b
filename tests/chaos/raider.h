/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A peer that means ill: one TCP connection to a port of raider_target, with TLS or without, over which any bytes can be said. Every call is
 * bounded by RAIDER_WAIT_MS.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include "libssi/comm/tls.h"

#define RAIDER_WAIT_MS 10000

extern struct in_addr raider_target;                     /* 127.0.0.1 */

struct raider { int fd; struct ssi_tls *tls; };

/* Connect only: 0 or -errno. */
int raider_connect(struct raider *r, uint16_t port);
/* Connect and shake hands: 0, or what came of it (-EKEYREJECTED, -EKEYREVOKED, -ETIMEDOUT, …). Free it also then. */
int raider_enter(struct raider *r, uint16_t port, const struct ssi_identity *id, const uint8_t key[SSI_TLS_KEY]);
/* Say these bytes, in TLS when it has entered, else as they are. */
int raider_say(struct raider *r, const void *p, size_t n);
/* Say these bytes below TLS, whatever was agreed. */
int raider_spit(struct raider *r, const void *p, size_t n);
/* Hear n bytes: 0, -ECONNRESET, -ETIMEDOUT and the like. */
int raider_hear(struct raider *r, void *p, size_t n);
/* Hear until the other end ends it, and why: -ECONNRESET for any hang-up, -EKEYREVOKED and the like; -ETIMEDOUT: it did not. */
int raider_verdict(struct raider *r);
void raider_free(struct raider *r);                      /* without a word; the struct can be used again */
