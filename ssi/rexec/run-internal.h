/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the run-*.c files share. */
#include "libssi/base/buf.h"
#include "libssi/comm/jobframe.h"
#include "libssi/model/wire.h"
#include "ssi/rexec/job.pb-c.h"
#include "ssi/rexec/pack.h"
#include "ssi/rexec/run.h"

/* Stream 0 or 3: what was given and is not acknowledged is kept. */
struct run_out {
	struct ssi_buf kept;
	uint64_t base, sent;                 /* offsets: of the first byte of kept; of the next to be sent */
	bool end, end_sent;                  /* nothing comes after kept */
	bool fresh;                          /* base is not known yet: the job was another's, and says what it has */
};
/* Stream 1, 2 or 4. */
struct run_in {
	uint64_t have, consumed, told;       /* offsets: delivered to the caller, dealt with by it, acknowledged */
	bool ended;                          /* its end was delivered */
	bool fresh;                          /* have is not known yet */
	bool gone;                           /* the caller can do nothing with it any more */
};

struct ssi_run {
	char *socket;
	struct ssi_jobhop hop;
	struct ssi_run_place place;
	const Ssi__Job__Spec *spec;
	struct ssi_pack *pack;
	const struct ssi_run_ops *ops;
	void *userdata;
	enum ssi_run_state state;
	bool started, away;                  /* away: its node cannot be reached now */
	bool have_record, had, over;         /* had: before a break; over: EXIT_ACK has been said */
	uint64_t again;                      /* monotonic, ms: when to connect anew; 0: there is a connection */
	unsigned wait;                       /* ms, of the last time */
	uint64_t lost;                       /* since when there is none */
	unsigned tries;                      /* of SPEC */

	/* BLOBs that are asked for */
	uint8_t (*need)[SSI_HASH_BYTES];
	size_t n_need, at_need;
	uint64_t blob_offset;                /* of the one at hand */
	uint64_t blob_sent, blob_acked;      /* bytes of data since the last NEED */
	bool held;                           /* none are sent: they come otherwise, or later */

	struct run_out out[2];               /* streams 0, 3 */
	struct run_in in[3];                 /* 1, 2, 4 */
	uint64_t ends[3];                    /* of the record: how much there is of each */
	uint64_t pending;                    /* signals for when there is a connection: bits */
	struct ssi_run_exit exit;
};

static inline struct run_out *run_out(struct ssi_run *r, unsigned stream) { return stream == 0 ? &r->out[0] : stream == 3 ? &r->out[1] : NULL; }
static inline struct run_in *run_in(struct ssi_run *r, unsigned stream)
{
	return stream == 1 || stream == 2 ? &r->in[stream - 1] : stream == 4 ? &r->in[2] : NULL;
}

int run_say(struct ssi_run *r, uint16_t type, const ProtobufCMessage *m);    /* lost where there is no connection */

/* run-stream.c */
void run_send(struct ssi_run *r);                            /* BLOBs, input and acknowledgements: as much as may go now */
int run_on_data(struct ssi_run *r, const uint8_t *body, size_t n);
int run_on_ack(struct ssi_run *r, const Ssi__Job__Ack *m);
int run_on_need(struct ssi_run *r, const Ssi__Job__Need *m);
void run_needs(struct ssi_run *r);                           /* run-carry.c: who started it is told, and may hold them back */
int run_on_gives(struct ssi_run *r, const Ssi__Job__Gives *m);
void run_rewind(struct ssi_run *r);                          /* all that is not acknowledged is sent again */
bool run_has_all(const struct ssi_run *r);                   /* of the output that the record tells of */
int run_say_gone(struct ssi_run *r);                         /* once more: which streams nobody reads */
void run_fail(struct ssi_run *r, int error, const char *text);       /* it cannot be started: that is its record */
