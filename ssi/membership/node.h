/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The node's side of membership: connects to the master, joins, sends heartbeats, and begins again for ever when the connection
 * breaks. For the agent, which owns the endpoint and passes opened() and closed() on.
 */
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>
#include "libssi/comm/ccm.h"
#include "ssi/boot/stage.h"
#include "ssi/membership/inventory.h"
#include "ssi/membership/view.h"

struct ssi_member_config { struct in_addr master; uint16_t port; char node[64]; uint32_t number; uint64_t incarnation; uint8_t key[SSI_CCM_KEY]; };
enum ssi_member_order { SSI_MEMBER_REBOOT = 1, SSI_MEMBER_POWEROFF = 2 };

struct ssi_member_ops {
	void (*inventory)(struct ssi_inventory *ret, void *userdata);
	size_t (*stages)(struct ssi_boot_stage *ret, size_t max, void *userdata);
	/* At each heartbeat. true: what inventory() says has changed (a processor or memory came or went), as if ssi_member_update had been called. */
	bool (*vitals)(double *ret_load, uint64_t *ret_mem_free, void *userdata);
	void (*joined)(bool again, void *userdata);
	/* Not joined, or not any more; another try follows by itself. Called for every try that failed. */
	void (*lost)(const struct ssi_err *why, void *userdata);
	void (*view)(const struct ssi_view *v, void *userdata);
	void (*order)(enum ssi_member_order what, const char *reason, void *userdata);
	/* This incarnation is over, says the master, and it is the master: the node must reboot. Nothing is tried any more. */
	void (*over)(const char *why, void *userdata);
};

struct ssi_member;
/* Registers its rules with m. c is copied; ops is borrowed. */
int ssi_member_new(sd_event *event, struct ssi_ccm *m, const struct ssi_member_config *c, const struct ssi_member_ops *ops, void *userdata,
		   struct ssi_member **ret);
void ssi_member_free(struct ssi_member *s);
/* Begin. rejoin: this incarnation was joined before (an agent that was started again). */
int ssi_member_start(struct ssi_member *s, bool rejoin);
/* What inventory() says has changed: told by another JOIN on the same connection, while all goes on; joined() is not called. Nothing when not joined. */
void ssi_member_update(struct ssi_member *s);
/* Say goodbye; the connection closes when it is sent, and closed() comes within a second. -ENOTCONN when not joined. */
int ssi_member_leave(struct ssi_member *s, const char *reason);
struct ssi_ccm_conn *ssi_member_conn(const struct ssi_member *s);     /* joined: the connection; else NULL */
/* From the agent's ccm ops. */
void ssi_member_opened(struct ssi_member *s, struct ssi_ccm_conn *c);
void ssi_member_closed(struct ssi_member *s, struct ssi_ccm_conn *c, const struct ssi_err *why);
