/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The boot dialogue (doc/wire.md, module 1), the master's side: bodies are decoded, bounded and made printable here; what they
 * mean for the store is the daemon's, through ops. All texts are NUL-terminated, printable, and borrowed for the call.
 */
#include <stddef.h>
#include <stdint.h>
#include "libssi/comm/ccm.h"
#include "ssi/boot/stage.h"

struct ssi_boot_ops {
	/* A token is presented, by someone who has proved to hold it. Mark it used for good and make the node's keys before returning 0;
	 * -EKEYREVOKED (and an intrusion of your own) if it was used by now; other errors: refused. */
	int (*token)(struct ssi_ccm_conn *c, const char *mac, uint64_t incarnation, struct ssi_boot_keys *ret, struct ssi_err *e, void *userdata);
	void (*stage)(struct ssi_ccm_conn *c, const struct ssi_boot_stage *s, void *userdata);
	void (*failed)(struct ssi_ccm_conn *c, const char *stage, const char *text, const char *next, uint32_t delay_s, void *userdata);
	void (*node_event)(struct ssi_ccm_conn *c, const char *kind, const char *text, void *userdata);
};
/* The caller's; outlives the endpoint. */
struct ssi_boot_master { const struct ssi_boot_ops *ops; void *userdata; };
/* Register the handlers. Who speaks: ssi_ccm_identity(c) (SSI_IDENTITY_BOOT: who is the MAC; SSI_IDENTITY_NODE: the node's name) and its
 * incarnation. */
int ssi_boot_master(struct ssi_ccm *m, struct ssi_boot_master *b);
