/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What is inside the loop's face of ccm: for ccm.c, and for tests that bring sessions of their own. */
#include <sys/queue.h>
#include "libssi/base/buf.h"
#include "libssi/comm/ccm.h"

#define CCM_RULES_MAX 64

/* CLOSING: what was sent is on its way, nothing is heard. DEAD: closed() is due. */
enum conn_state { CONN_CONNECTING, CONN_OPEN, CONN_CLOSING, CONN_DEAD };

struct ssi_ccm_conn {
	struct ssi_ccm *m;
	TAILQ_ENTRY(ssi_ccm_conn) link;      /* of all, or of the dead */
	enum conn_state state;
	bool starved, ready;                 /* ready: connecting, to what is up */
	bool loose;                          /* a test's: it has no other end, what it is told waits in told */
	uint32_t node;                       /* of its peer, as the station knows it */
	struct ssi_identity id;              /* who is, or (outgoing) who we are */
	struct ssi_err *why;                 /* once it ends; NULL then too: there was no memory to say it */
	void *userdata;
	struct ssi_buf *told;
};
TAILQ_HEAD(conn_list, ssi_ccm_conn);

struct ssi_ccm {
	sd_event *event;
	const struct ssi_ccm_ops *ops;
	void *userdata;
	struct ssi_ccm_rule rules[CCM_RULES_MAX];
	size_t n_rules;
	struct ssi_ccm_station_ops station_ops;
	struct ssi_ccm_station *station;     /* NULL before the first session, or door */
	bool door;
	bool ready;                          /* some session is */
	struct conn_list conns, dead;
	sd_event_source *end;
};

/* A session that is open and goes nowhere, for tests of handlers. */
int ccm_conn_loose(struct ssi_ccm *m, const struct ssi_identity *id, struct ssi_ccm_conn **ret);
/* What it would have heard: by the rules. Negative: the session would end. */
int ccm_conn_hear(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, struct ssi_err *e);
